#include "proxy/carry.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/scratch.h"
#include "protocol/sql_lex.h"
#include "protocol/startup.h"
#include "proxy/attribution.h"
#include "proxy/guide.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/prepared.h"
#include "proxy/prepared_sql.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>

enum { CURSORS_MAX_BYTES = 4096 };

static struct settings_table *table_of(const struct session *s)
{
    return s->client.env->worker->settings;
}

/* Whether a backslash in a plain literal escapes: always on Redshift, on PostgreSQL when it does
 * not say otherwise. */
static bool backslash_escapes(const struct session *s)
{
    const struct params *p = s->server ? &s->server->params : &s->pool->welcome;
    return !slice_is(params_get(p, "standard_conforming_strings"), "on");
}

static void replace(struct settings **at, struct settings *by)
{
    struct settings *before = *at;
    *at = by;
    settings_unref(before);
}

/* ---- begin and end -------------------------------------------------------------------------- */

/* One more startup setting, of ours: the route's query_group, so that WLM and Redshift's logs show
 * it; the client's address. */
static bool want(struct session *s, const char *name, struct slice text, struct err *err)
{
    struct settings *with =
        settings_with_text(s->startup, slice_str(name), text, backslash_escapes(s), err);
    if (!with) return false;
    replace(&s->startup, with);
    return true;
}

static bool name_the_host(struct session *s, struct err *err)
{
    char from[ADDRESS_TEXT_MAX], name[192];
    struct slice given = startup_get(client_startup(&s->client), "application_name");
    int n = snprintf(name, sizeof name, "%.*s%s%s", (int)(given.len < 100 ? given.len : 100),
                     given.at ? given.at : "", given.len ? " - " : "",
                     address_text(&s->client.address, from));
    return want(s, "application_name", slice_of(name, (size_t)n), err);
}

bool carry_begin(struct session *s, struct slice pairs, struct err *err)
{
    enum { PAIRS_MAX = 64 };
    struct settings_pair wanted[PAIRS_MAX];
    struct params as_params = { .pairs = { .at = (char *)(uintptr_t)pairs.at,
                                           .len = (uint32_t)pairs.len } };
    size_t n = 0;
    uint32_t at = 0;
    while (n < PAIRS_MAX && params_next(&as_params, &at, &wanted[n].name, &wanted[n].value)) n++;
    s->startup = settings_from_startup(table_of(s), wanted, n, backslash_escapes(s), err);
    if (!s->startup) return false;
    const struct realm_role *role = s->restricted ? judge_role(s) : NULL;
    const struct slice path = slice_str(role ? role->config->search_path : NULL);
    if (path.len && !want(s, "search_path", path, err)) return false;
    if (s->query_group && !want(s, "query_group", slice_str(s->query_group), err)) return false;
    if (guide_settings(s)->application_name_add_host && !name_the_host(s, err)) return false;
    s->settings = settings_ref(s->startup);
    s->tentative = settings_ref(s->startup);
    return true;
}

void carry_end(struct session *s)
{
    settings_unref(s->startup);
    settings_unref(s->settings);
    settings_unref(s->tentative);
    settings_unref(s->server_next);
    settings_unref(s->routed);
    s->routed = NULL;
    s->startup = s->settings = s->tentative = s->server_next = NULL;
    free(s->skim);
    s->skim = NULL;
}

/* ---- bringing settings to a server ---------------------------------------------------------- */

static struct settings *settings_of(const struct server *server)
{
    return server->settings ? server->settings : settings_none(server->env->worker->settings);
}

static bool send_sql(struct server *server, struct buf *sql, uint32_t tag, struct upstream *out)
{
    struct buf message = { 0 };
    frontend_query(&message, buf_slice(sql));
    bool ok = !sql->failed && !message.failed &&
              txn_sent(&server->txn, FRONTEND_QUERY, TXN_SWALLOW | TXN_SWALLOW_ERROR, tag, 0);
    if (ok) upstream_say(out, buf_slice(&message));
    server->shelf.unnamed_serial = 0; /* a Query makes an end of it */
    /* What follows a group leaves by itself: it may have to be sent again (heal.h), and this not.
     */
    if (ok && (message.len > OUTBOX_SCRATCH_BYTES || tag == CARRY_GROUP_TAG)) upstream_flush(out);
    buf_fini(&message);
    return ok;
}

static bool send_settings(struct server *server, struct settings *to, uint32_t tag,
                          struct upstream *out)
{
    struct buf sql = { 0 };
    settings_diff_sql(settings_of(server), to, &sql);
    bool ok = send_sql(server, &sql, tag, out);
    buf_fini(&sql);
    return ok;
}

/* What its server is to be set to. */
static struct settings *wanted(const struct session *s)
{
    return s->routed ? s->routed : s->settings;
}

bool carry_has_group(const struct session *s)
{
    struct slice name = slice_str("query_group");
    return s->settings &&
           !slice_eq(settings_get(s->settings, name), settings_get(s->startup, name));
}

bool carry_group(struct session *s, struct slice group, struct err *err)
{
    bool own =
        group.len == 0 || carry_has_group(s) || (s->query_group && slice_is(group, s->query_group));
    if (!s->settings) return true;
    settings_unref(s->routed);
    s->routed = NULL;
    s->attributed = false;
    if (own) return true;
    s->routed =
        settings_with_text(s->settings, slice_str("query_group"), group, backslash_escapes(s), err);
    return s->routed != NULL;
}

/* ---- whose it is ---------------------------------------------------------------------------- */

static const struct slice GROUP = { "query_group", 11 };

/* Without a rule's or the client's own, the group says who it is; PostgreSQL knows no groups. Not
 * before the welcome: who has only logged in has asked for nothing yet. */
static void attribute(struct session *s)
{
    struct buf text = { 0 };
    struct err err;
    if (s->routed && !s->attributed) return;
    settings_unref(s->routed);
    s->routed = NULL;
    s->attributed = false;
    if (!s->server->is_redshift || s->greeting || settings_get(s->settings, GROUP).at) return;
    if (attribution_default(&s->client, &text))
        s->routed = settings_with_text(s->settings, GROUP, buf_slice(&text), true, &err);
    s->attributed = s->routed != NULL;
    buf_fini(&text);
}

/* Redshift takes any query_group: when nothing else differs, the request follows at once. */
static bool is_only_group(const struct session *s)
{
    struct err err;
    struct settings *of_server, *of_session;
    if (!s->server->is_redshift || s->greeting) return false;
    of_server = settings_without(settings_of(s->server), GROUP, &err);
    of_session = settings_without(wanted(s), GROUP, &err);
    bool same = of_server && of_server == of_session;
    settings_unref(of_server);
    settings_unref(of_session);
    return same;
}

/* Session mode: the server belongs to the client, and may have belonged to another one before. */
static void say_group(struct session *s, struct upstream *out)
{
    struct server *server = s->server;
    struct settings *none = settings_none(table_of(s)), *group;
    struct params own = { .pairs = s->pairs };
    struct buf text = { 0 }, sql = { 0 };
    struct err err;
    if (s->group_said || s->greeting) return;
    s->group_said = true;
    bool is_own = params_get(&own, "query_group").at != NULL;
    if (!is_own && s->query_group)
        buf_add_str(&text, s->query_group);
    else if (!is_own && server->is_redshift)
        attribution_default(&s->client, &text);
    group = text.len ? settings_with_text(none, GROUP, buf_slice(&text), backslash_escapes(s), &err)
                     : NULL;
    if (group)
        settings_diff_sql(none, group, &sql);
    else if (server->has_group)
        buf_add_str(&sql, "RESET query_group");
    server->has_group = group != NULL;
    if (sql.len && !send_sql(server, &sql, CARRY_GROUP_TAG, out)) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&s->client, &err);
    }
    settings_unref(group);
    buf_fini(&text);
    buf_fini(&sql);
}

void carry_group_said(struct session *s)
{
    /* What came meanwhile may have had to wait until nothing else was under way. */
    if (s->client.held.len) s->resume = true;
}

/* Cancelled, most likely; or a PostgreSQL that a rule gives groups. Then nobody can say what the
 * group is, so that nobody else may have this server as it is. */
void carry_group_error(struct session *s, struct slice body)
{
    log_event(s->client.env->log, EVENT_session_setting_refused, LOG_U64("conn", s->client.id),
              LOG_STR("why", backend_field(body, 'M')), LOG_END);
    if (s->settings) s->server->stained = true;
}

void carry_attach(struct session *s, struct upstream *out)
{
    if (!s->settings) {
        say_group(s, out);
        return;
    }
    if (s->server->has_group) { /* its pool was one of session mode until now */
        struct buf sql = { 0 };
        buf_add_str(&sql, "RESET query_group");
        s->server->stained |= !send_sql(s->server, &sql, CARRY_GROUP_TAG, out);
        s->server->has_group = false;
        buf_fini(&sql);
    }
    attribute(s);
    replace(&s->server_next, settings_ref(settings_of(s->server)));
    if (wanted(s) == settings_of(s->server) || s->changing) return;
    bool is_group = is_only_group(s);
    metrics_add(&s->client.env->metrics, METRIC_settings_replayed, 1);
    if (!send_settings(s->server, wanted(s), is_group ? CARRY_GROUP_TAG : CARRY_TAG, out)) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&s->client, &err);
        return;
    }
    if (is_group) {
        replace(&s->server->settings, settings_ref(wanted(s)));
        replace(&s->server_next, settings_ref(wanted(s)));
        return;
    }
    s->settling = true;
    s->settle_failed = false;
}

/* The setting that an error message names in quotes, as in: invalid value for parameter "TimeZone".
 */
static bool drop_named(struct session *s, struct slice text)
{
    struct err err;
    for (uint32_t i = 0; i < settings_count(s->settings); i++) {
        struct settings_pair pair = settings_at(s->settings, i);
        char name[160];
        int n = snprintf(name, sizeof name, "\"%.*s\"", SLICE_ARG(pair.name));
        for (size_t at = 0; at + (size_t)n <= text.len; at++) {
            if (strncasecmp(text.at + at, name, (size_t)n) != 0) continue;
            if (slice_is(pair.name, "search_path") && s->restricted) return false;
            struct settings *fewer = settings_without(s->settings, pair.name, &err);
            if (!fewer) return false;
            replace(&s->settings, fewer);
            return true;
        }
    }
    return false;
}

/* What no client can do without. */
static struct settings *least_of(struct session *s)
{
    struct err err;
    struct settings *none = settings_none(table_of(s));
    const struct realm_role *role = s->restricted ? judge_role(s) : NULL;
    struct slice path = slice_str(role ? role->config->search_path : NULL);
    return path.len ? settings_with_text(none, slice_str("search_path"), path, backslash_escapes(s),
                                         &err)
                    : settings_ref(none);
}

void carry_settle_error(struct session *s, struct slice body)
{
    struct slice text = backend_field(body, 'M');
    s->settle_failed = true;
    log_event(s->client.env->log, EVENT_session_setting_refused, LOG_U64("conn", s->client.id),
              LOG_STR("why", text), LOG_END);
    /* A startup parameter must not keep a client out: without the one at fault, or without any but
     * its role's search_path, which must hold. */
    struct settings *least = least_of(s);
    bool again = s->greeting && least && s->settings != least;
    if (again && !drop_named(s, text)) replace(&s->settings, settings_ref(least));
    s->settle_hopeless = !again;
    settings_unref(least);
}

/* Redshift comes of a PostgreSQL whose plans keep the meaning that names had when they were made
 * (and nobody has written down that it is otherwise there). */
static void note_names(struct server *server, const struct settings *before,
                       const struct settings *after)
{
    static const char *const settings[] = { "search_path", "enable_case_sensitive_identifier",
                                            "downcase_delimited_identifier" };
    for (size_t i = 0; server->is_redshift && i < sizeof settings / sizeof *settings; i++)
        if (!slice_eq(settings_get(before, slice_str(settings[i])),
                      settings_get(after, slice_str(settings[i]))))
            stmt_shelf_doubt(&server->shelf);
}

void carry_settled(struct session *s)
{
    struct server *server = s->server;
    s->settling = false;
    s->moves = 0;
    if (!s->settle_failed) {
        note_names(server, settings_of(server), wanted(s));
        replace(&server->settings, settings_ref(wanted(s)));
        replace(&s->tentative, settings_ref(s->settings));
        replace(&s->server_next, settings_ref(wanted(s)));
        s->resume = true;
        return;
    }
    if (s->settle_hopeless) {
        struct err err;
        err_set(&err, ERR_SERVER_REJECTED,
                "the session's settings could not be brought to another server connection");
        err_hint(&err, "the log says which setting; connect again");
        client_refuse(&s->client, &err);
        return;
    }
    /* Once more with fewer. */
    struct upstream *out = &s->client.env->worker->to_server;
    upstream_begin(out, &server->stream);
    carry_attach(s, out);
    upstream_flush(out);
    if (s->settling) return;
    /* Nothing was left to be sent. */
    replace(&s->tentative, settings_ref(s->settings));
    s->resume = true;
}

bool carry_reset(struct server *server)
{
    struct settings *none = settings_none(server->env->worker->settings);
    if (!server->settings || server->settings == none) return false;
    struct upstream *out = &server->env->worker->to_server;
    upstream_begin(out, &server->stream);
    bool sent = send_settings(server, none, CARRY_TAG, out);
    upstream_flush(out);
    replace(&server->settings, NULL);
    return sent;
}

/* ---- reading what statements do ------------------------------------------------------------- */

static const struct {
    uint32_t bit;
    const char *why;
} pins[] = {
#define CARRY(bit, reason)
#define PIN(bit, reason) { bit, reason },
#define TXN(bit, reason)
#define NOTE(bit, reason)
#define SQL_EFFECT(name, what, reason, sentence) what(SQL_EFFECT_##name, reason)
#include "protocol/sql_effect.def"
#undef CARRY
#undef PIN
#undef TXN
#undef NOTE
};

/* A pin is undone when nothing of what it was for has run: a Query that cannot be parsed, a Parse
 * that fails or is skipped. */
enum pin_by { PIN_FOR_GOOD, PIN_BY_QUERY, PIN_BY_PARSE };

static void pin_by(struct session *s, const char *why, enum pin_by by)
{
    bool first = !s->pinned && !s->server->stained;
    s->pin_by = first ? (uint8_t)by : PIN_FOR_GOOD; /* a second reason makes it lasting */
    session_pin(s, why);
    s->server->stained = true;
}

static void pin(struct session *s, const char *why) { pin_by(s, why, PIN_FOR_GOOD); }

static void pin_for(struct session *s, uint32_t effects, enum pin_by by)
{
    if (effects == 0) return;
    for (size_t i = 0; i < sizeof pins / sizeof *pins; i++) {
        if (!(effects & pins[i].bit)) continue;
        pin_by(s, pins[i].why, by);
        return;
    }
}

static void undo_pin(struct session *s)
{
    s->pinned = NULL;
    s->pin_by = PIN_FOR_GOOD;
    s->server->stained = false;
}

static const char UNREADABLE[] = "client_encoding that cannot be read";

void carry_unreadable(struct session *s)
{
    if (!s->restricted) pin(s, UNREADABLE);
}

/* Before the server says so itself: the next statement may be in it already. */
static bool sets_unreadable(const struct sql_act *act)
{
    struct slice value = act->value;
    struct slice name = act->name;
    if (name.len > 2 && *name.at == '"') name = slice_of(name.at + 1, name.len - 2);
    if (!slice_is_nocase(name, "client_encoding") || value.len == 0) return false;
    if (value.len > 2 && (*value.at == '\'' || *value.at == '"'))
        value = slice_of(value.at + 1, value.len - 2);
    return !params_is_readable(value);
}

static void apply_setting(struct session *s, const struct sql_act *act)
{
    struct err err;
    if (sets_unreadable(act)) pin(s, UNREADABLE);
    if (act->local) return;
    struct settings *next =
        settings_after(s->tentative, s->startup, act, backslash_escapes(s), &err);
    if (!next) {
        pin(s, "setting that cannot be repeated");
        return;
    }
    s->changing = true;
    replace(&s->tentative, next);
    /* A reset brings back what the server began with, which need not be what the client did. */
    next =
        settings_after(s->server_next, settings_none(table_of(s)), act, backslash_escapes(s), &err);
    if (next) replace(&s->server_next, next);
}

static void apply(struct session *s, const struct sql_act *act)
{
    char name[SQL_NAME_BYTES + 1];
    switch ((enum sql_act_kind)act->kind) {
    case SQL_ACT_SET:
    case SQL_ACT_SET_CONFIG:
    case SQL_ACT_RESET:
    case SQL_ACT_RESET_ALL: apply_setting(s, act); break;
    case SQL_ACT_PREPARE:
        pin(s, "PREPARE");
        prepared_by_sql(s, slice_of(name, sql_token_name(act->name, name, sizeof name)), act);
        break;
    case SQL_ACT_DEALLOCATE:
        prepared_deallocate(s, slice_of(name, sql_token_name(act->name, name, sizeof name)));
        break;
    case SQL_ACT_DEALLOCATE_ALL: prepared_swept(s); break;
    case SQL_ACT_DISCARD:
        apply_setting(s, act);
        if (slice_is_nocase(act->name, "all")) prepared_swept(s);
        break;
    case SQL_ACT_ROLLBACK_TO:
        if (s->changing) pin(s, "settings inside a savepoint");
        break;
    default: break;
    }
}

/* DEALLOCATE of a statement that the client made by message: some drivers do. The server knows it
 * by another name, and others may need it. */
static bool answers_deallocate(struct session *s, const struct sql_act *act)
{
    char name[SQL_NAME_BYTES + 1];
    bool all = act->kind == SQL_ACT_DEALLOCATE_ALL;
    if (all && !s->pinned)
        prepared_forget_all(s);
    else if (act->kind != SQL_ACT_DEALLOCATE ||
             !prepared_deallocate(s, slice_of(name, sql_token_name(act->name, name, sizeof name))))
        return false;
    struct buf out = { 0 };
    backend_command_complete(&out, all ? "DEALLOCATE ALL" : "DEALLOCATE");
    return local_say(s, &out, true);
}

static void note_cursors(struct session *s, struct slice text)
{
    struct sql_lex lex;
    char name[SQL_NAME_BYTES + 1];
    bool declared = false;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        if (declared && s->cursors.len < CURSORS_MAX_BYTES) {
            buf_add(&s->cursors, name,
                    sql_token_name(sql_token_text(&lex, lex.token), name, sizeof name));
            buf_add_u8(&s->cursors, 0);
        }
        declared = lex.token.word == SQL_WORD_DECLARE;
    }
}

static bool changes_settings(const struct sql_effects *e)
{
    for (uint32_t i = 0; i < e->act_count; i++)
        if (e->acts[i].kind <= SQL_ACT_RESET_ALL && !e->acts[i].local) return true;
    return false;
}

static bool prepares(const struct sql_effects *e)
{
    for (uint32_t i = 0; i < e->act_count; i++)
        if (e->acts[i].kind == SQL_ACT_PREPARE) return true;
    return false;
}

/* In session mode only what is left behind matters. */
static void note(struct session *s, const struct sql_effects *e, enum pin_by by)
{
    pin_for(s, e->effects, by);
    if (e->act_count) s->server->dirty = true;
}

enum take carry_query(struct session *s, struct slice text, bool more, struct upstream *out)
{
    struct sql_effects e;
    if (s->is_plain && !more) return TAKE_SEND; /* the judge has read it */
    sql_effects(text, more, &e);
    if (more) {
        if (!s->skim) s->skim = malloc(sizeof *s->skim);
        if (s->skim)
            sql_skim_begin(s->skim, text);
        else
            e.effects |= SQL_EFFECT_UNREAD;
    }
    enum pin_by by = out && s->server->txn.count == 0 ? PIN_BY_QUERY : PIN_FOR_GOOD;
    if (session_is_plain(s)) {
        note(s, &e, by);
        return TAKE_SEND;
    }
    if (s->restricted && (e.effects & SQL_EFFECT_CURSOR)) note_cursors(s, text);
    /* Whether a setting came to hold is known from the answer, if nothing else is being answered.
     */
    if ((changes_settings(&e) || (s->restricted && prepares(&e))) && s->server->txn.count)
        return TAKE_WAIT;
    if (e.statements == 1 && e.act_count == 1 && answers_deallocate(s, &e.acts[0]))
        return TAKE_DROP;
    enum take take = TAKE_SEND;
    if (e.effects & SQL_EFFECT_PREPARED) take = prepared_sql_query(s, &e, text, out);
    if (take != TAKE_SEND && take != TAKE_SENT) return take;
    pin_for(s, e.effects, by);
    for (uint32_t i = 0; i < e.act_count; i++) apply(s, &e.acts[i]);
    return take == TAKE_SENT ? TAKE_DROP : TAKE_SEND; /* all of it has been sent */
}

uint32_t carry_effects(struct slice text)
{
    SCRATCH struct sql_effects e;
    sql_effects(text, false, &e);
    return e.effects;
}

void carry_bind(struct session *s, struct slice text, uint32_t effects, uint32_t tag,
                uint32_t serial)
{
    SCRATCH struct sql_effects e;
    if (effects == 0) return;
    pin_for(s, effects, PIN_BY_PARSE);
    s->pin_tag = tag;
    s->pin_serial = serial;
    if (s->restricted && (effects & SQL_EFFECT_CURSOR)) note_cursors(s, text);
    if (!(effects & (SQL_EFFECT_SETTING | SQL_EFFECT_PREPARED | SQL_EFFECT_DISCARD))) return;
    sql_effects(text, false, &e);
    for (uint32_t i = 0; i < e.act_count; i++) apply(s, &e.acts[i]);
}

void carry_discard(struct session *s)
{
    prepared_forget_all(s);
    replace(&s->settings, settings_ref(s->startup));
    replace(&s->tentative, settings_ref(s->startup));
}

void carry_skim(struct session *s, struct slice piece, bool last)
{
    if (!s->skim) return;
    sql_skim_feed(s->skim, piece);
    if (!last) return;
    if (s->server) pin_for(s, sql_skim_end(s->skim), PIN_FOR_GOOD);
    free(s->skim);
    s->skim = NULL;
}

/* ---- what came of them ---------------------------------------------------------------------- */

void carry_tag(struct session *s, struct slice tag) { s->rolled_back = slice_is(tag, "ROLLBACK"); }

/* Did the parser itself refuse the text? Then none of it has run, not even its first statement:
 * PostgreSQL parses a whole Query before it runs any. (42601 alone does not say so: analysis and
 * functions raise it, too, when statements before have run already.) */
static bool is_parsers(struct slice body)
{
    struct slice routine = backend_field(body, 'R'), end = slice_str("yyerror");
    return slice_is(backend_field(body, 'C'), "42601") && !backend_field(body, 'q').at &&
           backend_field(body, 'P').at && routine.len >= end.len &&
           slice_eq(slice_after(routine, routine.len - end.len), end);
}

void carry_failed(struct session *s, struct slice body)
{
    s->change_failed |= s->changing;
    s->prepare_failed |= s->preparing;
    if (s->pin_by == PIN_BY_QUERY && is_parsers(body)) undo_pin(s);
}

void carry_parse_failed(struct session *s, uint32_t tag, uint32_t serial)
{
    if (s->pin_by == PIN_BY_PARSE && s->pin_tag == tag && (tag || s->pin_serial == serial))
        undo_pin(s);
}

static void finish_change(struct session *s)
{
    bool failed = s->change_failed || s->rolled_back;
    if (s->change_failed && !s->rolled_back && s->change_cycles > 1) {
        /* Several requests were under way, and one failed: which of them set what? */
        pin(s, "settings in a failed pipeline");
    } else if (failed) {
        replace(&s->tentative, settings_ref(s->settings));
        replace(&s->server_next, settings_ref(settings_of(s->server)));
    } else {
        replace(&s->settings, settings_ref(s->tentative));
        note_names(s->server, settings_of(s->server), s->server_next);
        replace(&s->server->settings, settings_ref(s->server_next));
    }
    s->changing = s->change_failed = false;
    s->change_cycles = 0;
}

void carry_ready(struct session *s)
{
    const struct txn *t = &s->server->txn;
    s->pin_by = PIN_FOR_GOOD;
    if (t->status == TXN_IDLE && t->owed_ready == 0 && s->cursors.len) buf_fini(&s->cursors);
    if (s->preparing && t->owed_ready == 0) {
        prepared_settle(s, !s->prepare_failed);
        s->preparing = s->prepare_failed = false;
    }
    if (!s->changing) return;
    if (s->change_cycles < UINT8_MAX) s->change_cycles++;
    if (t->status == TXN_IDLE && t->owed_ready == 0) finish_change(s);
}
