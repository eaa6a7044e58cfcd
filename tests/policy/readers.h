/* readers: two of ours read each text, the judge's (sql_stmt) and the pooler's (sql_effects). What
 * the judge would let pass must mean the same to both: or a temporary table, a cursor, a prepared
 * name or a setting is judged as one thing and carried as another.
 */
#ifndef SLUICE_TESTS_POLICY_READERS_H
#define SLUICE_TESTS_POLICY_READERS_H

#include "protocol/sql_effects.h"
#include "protocol/sql_stmt.h"

struct readers_seen {
    bool temp, declares, settings, calls, functions;
    uint32_t prepares, executes, deallocates;
};

/* No other setting passes the judge, whoever asks. */
static bool readers_may_pass(const struct sql_name *name)
{
    static const char *const settings[] = {
#define SETTING(name) name,
#include "auth/grants_setting.def"
#undef SETTING
        "client_encoding",
    };
    char text[SQL_NAME_BYTES];
    const size_t len = sql_name_part(name, 0, SQL_CASE_FOLD, text, sizeof text);
    for (size_t i = 0; name->count == 1 && i < sizeof settings / sizeof *settings; i++)
        if (slice_is(slice_of(text, len), settings[i])) return true;
    return false;
}

static bool readers_note(void *context, const struct sql_need *n)
{
    struct readers_seen *seen = context;
    switch (n->what) {
    case SQL_NEED_OBJECT:
        seen->temp |= n->verb == SQL_VERB_CREATE_TEMP;
        seen->calls |= n->verb == SQL_VERB_CALL;
        break;
    case SQL_NEED_FUNCTION: seen->functions = true; break;
    case SQL_NEED_DECLARE: seen->declares = true; break;
    case SQL_NEED_SETTING: seen->settings |= readers_may_pass(&n->name); break;
    case SQL_NEED_PREPARE: seen->prepares++; break;
    case SQL_NEED_EXECUTE: seen->executes++; break;
    case SQL_NEED_DEALLOCATE: seen->deallocates++; break;
    default: break;
    }
    return true;
}

/* NULL: they agree, or the judge's refuses the text whoever asks. Otherwise what they differ in. */
static const char *readers_differ(struct slice sql)
{
    struct readers_seen seen = { 0 };
    const struct sql_policy policy = { .context = &seen, .need = readers_note };
    struct sql_reading reading;
    struct sql_effects e;
    if (!sql_stmt_read(sql, &policy, &reading)) return NULL;
    sql_effects(sql, false, &e);
    /* What the pooler takes from the judge unread: is_plain of struct verdict. */
    if (reading.kind == SQL_KIND_INSERT && reading.statement == 1 && !seen.functions &&
        (e.effects || e.act_count))
        return "what an INSERT leaves behind";
    if (e.effects & SQL_EFFECT_UNREAD) return NULL; /* pinned, whatever it was */
    uint32_t prepares = 0, executes = 0, deallocates = 0;
    for (uint32_t i = 0; i < e.act_count; i++) {
        prepares += e.acts[i].kind == SQL_ACT_PREPARE;
        executes += e.acts[i].kind == SQL_ACT_EXECUTE;
        deallocates +=
            e.acts[i].kind == SQL_ACT_DEALLOCATE || e.acts[i].kind == SQL_ACT_DEALLOCATE_ALL;
    }
    if (reading.statement != e.statements) return "the number of statements";
    if (seen.temp && !(e.effects & SQL_EFFECT_TEMP_TABLE)) return "a temporary table";
    if (seen.declares && !(e.effects & SQL_EFFECT_CURSOR)) return "a cursor";
    if (seen.calls && !(e.effects & SQL_EFFECT_CODE)) return "a call";
    if (seen.settings &&
        !(e.effects & (SQL_EFFECT_SETTING | SQL_EFFECT_LOCAL_SETTING | SQL_EFFECT_SEED)))
        return "a setting";
    if (seen.prepares != prepares) return "what is prepared";
    if (seen.executes != executes) return "what is executed";
    return seen.deallocates == deallocates ? NULL : "what is deallocated";
}

#endif
