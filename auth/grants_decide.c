#include "auth/grants.h"
#include "auth/grants_role.h"
#include "protocol/sql_stmt.h"

/* What the message itself does to the names of plans and cursors, before anything of it has run. */
enum { LOCAL_NAMES = 32 };

struct local {
    struct slice token; /* as written */
    bool cursor, there;
};

struct decision {
    const struct grants *grants;
    const struct grants_session *session;
    struct verdict *verdict;
    struct local *local; /* LOCAL_NAMES of them, `locals` in use */
    uint32_t locals;
    bool all_deallocated; /* then what the session knew counts no more */
    bool calls;           /* some function */
};

static bool deny(struct decision *d, enum grants_reason reason)
{
    d->verdict->reason = reason;
    return false;
}

static void name_object(struct decision *d, const struct sql_need *n)
{
    sql_name_print(&n->name, d->grants->letters, d->verdict->object, sizeof d->verdict->object);
    d->verdict->verb = n->verb;
    d->verdict->parts = n->name.count;
}

/* ---- objects and functions ----------------------------------------------------------------- */

static bool judge_object(struct decision *d, const struct sql_need *n)
{
    SCRATCH char text[GRANTS_PARTS][SQL_NAME_BYTES + 1];
    SCRATCH struct slice parts[GRANTS_PARTS];
    for (unsigned i = 0; i < n->name.count; i++) {
        const size_t len = sql_name_part(&n->name, i, d->grants->letters, text[i], sizeof text[i]);
        parts[i] = slice_of(text[i], len);
        if (len == 0) return deny(d, GRANTS_TEXT);
    }
    const enum grants_reason reason =
        grants_allow(d->grants, n->verb, parts, n->name.count, n->name.temp);
    if (reason == GRANTS_ALLOWED) return true;
    name_object(d, n);
    return deny(d, reason);
}

/* `f` and `pg_catalog.f` are one; another schema must be listed with its name. */
static bool judge_function(struct decision *d, const struct sql_need *n)
{
    d->calls = true;
    SCRATCH char key[GRANTS_PARTS * (SQL_NAME_BYTES + 1)];
    size_t len = 0;
    for (unsigned i = 0; i < n->name.count; i++) {
        if (i > 0) key[len++] = '\0';
        len += sql_name_part(&n->name, i, SQL_CASE_KEEP, key + len, SQL_NAME_BYTES);
    }
    static const char system[] = "pg_catalog"; /* with its NUL: the separator */
    const size_t skip =
        n->name.count == 2 && len > sizeof system && memcmp(key, system, sizeof system) == 0
            ? sizeof system
            : 0;
    if (!n->name.temp && map_get(&d->grants->functions, slice_of(key + skip, len - skip)))
        return true;
    name_object(d, n);
    return deny(d, GRANTS_FUNCTION);
}

/* ---- settings ------------------------------------------------------------------------------ */

static bool is_utf8(const struct sql_need *n)
{
    struct slice value = n->value;
    if (value.len >= 2 && (*value.at == '\'' || *value.at == '"'))
        value = slice_of(value.at + 1, value.len - 2);
    return slice_is_nocase(value, "utf8") || slice_is_nocase(value, "unicode");
}

/* Servers compare the names of parameters without regard to case, quoted or not. */
static bool judge_setting(struct decision *d, const struct sql_need *n)
{
    static const char *const settings[] = {
#define SETTING(name) name,
#include "auth/grants_setting.def"
#undef SETTING
    };
    SCRATCH char text[SQL_NAME_BYTES];
    const size_t len = sql_name_part(&n->name, 0, SQL_CASE_FOLD, text, sizeof text);
    const struct slice name = slice_of(text, len);
    if (n->name.count == 1 && !n->name.temp) {
        if (slice_is(name, "client_encoding") && n->value.at && is_utf8(n)) return true;
        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
            if (slice_is(name, settings[i])) return true;
    }
    name_object(d, n);
    return deny(d, GRANTS_SETTING);
}

/* ---- plans and cursors --------------------------------------------------------------------- */

static bool is_known(const struct decision *d, const struct sql_need *n, bool cursor)
{
    for (uint32_t i = d->locals; i-- > 0;)
        if (d->local[i].cursor == cursor &&
            sql_name_same(d->local[i].token, n->name.part[0], SQL_CASE_KEEP))
            return d->local[i].there;
    const struct grants_session *session = d->session;
    if (!session || (!cursor && d->all_deallocated)) return false;
    bool (*const ask)(void *, struct slice) = cursor ? session->is_cursor : session->is_prepared;
    SCRATCH char name[SQL_NAME_BYTES];
    const size_t len = sql_name_part(&n->name, 0, SQL_CASE_KEEP, name, sizeof name);
    return ask && len > 0 && ask(session->context, slice_of(name, len));
}

/* When there is no room, what is gone must be remembered: then everything is gone. */
static void remember(struct decision *d, const struct sql_need *n, bool cursor, bool there)
{
    if (d->locals < LOCAL_NAMES)
        d->local[d->locals++] = (struct local){ n->name.part[0], cursor, there };
    else if (!there) {
        for (uint32_t i = 0; i < d->locals; i++)
            if (d->local[i].cursor == cursor) d->local[i].there = false;
        if (!cursor) d->all_deallocated = true;
    }
}

static bool judge_use(struct decision *d, const struct sql_need *n, bool cursor)
{
    if (is_known(d, n, cursor)) return true;
    name_object(d, n);
    return deny(d, cursor ? GRANTS_CURSOR : GRANTS_PREPARED);
}

static void deallocate(struct decision *d, const struct sql_need *n)
{
    if (n->name.count > 0) {
        remember(d, n, false, false);
        return;
    }
    d->all_deallocated = true;
    for (uint32_t i = 0; i < d->locals; i++)
        if (!d->local[i].cursor) d->local[i].there = false;
}

/* ---- COPY ---------------------------------------------------------------------------------- */

enum { LITERAL_BYTES = 4096 }; /* the longest literal that is compared with a list */

/* What a literal says, for comparing: one whose backslashes servers may read otherwise says
 * nothing. */
static bool literal_value(const struct sql_need *n, char out[static LITERAL_BYTES],
                          struct slice *value)
{
    size_t len = 0;
    if (n->value.len == 0 || *n->value.at != '\'') {
        *value = n->value; /* the word `default` */
        return true;
    }
    if ((n->value_bits & SQL_TOKEN_BACKSLASH) ||
        !sql_token_literal(n->value, out, LITERAL_BYTES, &len))
        return false;
    *value = slice_of(out, len);
    return true;
}

static bool is_listed(const struct grants_word *list, struct slice value)
{
    for (; list; list = list->next)
        if (grants_glob(list->text, value)) return true;
    return false;
}

/* Cuts *rest at the next `mark`, and takes blanks off what it returns. */
static struct slice next_field(struct slice *rest, char mark)
{
    const char *end = memchr(rest->at, mark, rest->len);
    struct slice field = slice_of(rest->at, end ? (size_t)(end - rest->at) : rest->len);
    *rest = slice_after(*rest, field.len + 1);
    while (field.len > 0 && *field.at == ' ') field = slice_after(field, 1);
    while (field.len > 0 && field.at[field.len - 1] == ' ') field.len--;
    return field;
}

/* `arn,arn` is a chain: the cluster takes the first, which takes the next. Each must be listed. */
static bool judge_roles(struct decision *d, struct slice chain)
{
    if (!d->grants->copy_roles) return true;
    char word[8];
    if (chain.len == 7 && slice_is_nocase(chain, "default")) {
        for (size_t i = 0; i < chain.len; i++) word[i] = ascii_lower(chain.at[i]);
        chain = slice_of(word, chain.len);
    }
    do {
        if (!is_listed(d->grants->copy_roles, next_field(&chain, ',')))
            return deny(d, GRANTS_COPY_ROLE);
    } while (chain.len > 0);
    return true;
}

/* `key=value;key=value`: roles and keys in one literal */
static bool judge_credentials(struct decision *d, struct slice rest)
{
    while (rest.len > 0) {
        struct slice value = next_field(&rest, ';');
        if (value.len == 0) continue;
        const struct slice key = next_field(&value, '=');
        if (slice_is_nocase(key, "aws_iam_role")) {
            if (!judge_roles(d, value)) return false;
        } else if (slice_is_nocase(key, "master_symmetric_key")) {
            continue;
        } else if (d->grants->no_access_keys || !(slice_is_nocase(key, "aws_access_key_id") ||
                                                  slice_is_nocase(key, "aws_secret_access_key") ||
                                                  slice_is_nocase(key, "token"))) {
            return deny(d, GRANTS_COPY_KEYS);
        }
    }
    return true;
}

static bool judge_copy(struct decision *d, const struct sql_need *n)
{
    const struct grants *g = d->grants;
    SCRATCH char text[LITERAL_BYTES];
    struct slice value;
    switch (n->what) {
    case SQL_NEED_COPY_FROM:
        return !g->copy_from ||
               (literal_value(n, text, &value) && is_listed(g->copy_from, value)) ||
               deny(d, GRANTS_COPY_SOURCE);
    case SQL_NEED_COPY_ROLE:
        if (!g->copy_roles) return true;
        return literal_value(n, text, &value) ? judge_roles(d, value) : deny(d, GRANTS_COPY_ROLE);
    case SQL_NEED_COPY_CREDENTIALS:
        if (!g->copy_roles && !g->no_access_keys) return true;
        return literal_value(n, text, &value) ? judge_credentials(d, value)
                                              : deny(d, GRANTS_COPY_KEYS);
    default: return !g->no_access_keys || deny(d, GRANTS_COPY_KEYS);
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool judge(void *context, const struct sql_need *n)
{
    struct decision *d = context;
    switch (n->what) {
    case SQL_NEED_OBJECT: return judge_object(d, n);
    case SQL_NEED_VERB:
        if (d->grants->anywhere & 1U << n->verb) return true;
        d->verdict->verb = n->verb;
        return deny(d, GRANTS_VERB);
    case SQL_NEED_FUNCTION: return judge_function(d, n);
    case SQL_NEED_SETTING: return judge_setting(d, n);
    case SQL_NEED_PREPARE: remember(d, n, false, true); return true;
    case SQL_NEED_EXECUTE: return judge_use(d, n, false);
    case SQL_NEED_DEALLOCATE: deallocate(d, n); return true;
    case SQL_NEED_DECLARE: remember(d, n, true, true); return true;
    case SQL_NEED_FETCH: return judge_use(d, n, true);
    case SQL_NEED_CLOSE:
        if (!judge_use(d, n, true)) return false;
        remember(d, n, true, false);
        return true;
    case SQL_NEED_COPY_FROM:
    case SQL_NEED_COPY_ROLE:
    case SQL_NEED_COPY_CREDENTIALS:
    case SQL_NEED_COPY_KEY: return judge_copy(d, n);
    case SQL_NEED_END: return true;
    }
    return deny(d, GRANTS_SYNTAX);
}

/* What the reader's refusals are called here; POLICY has its reason already. */
static const enum grants_reason reason_of[SQL_REFUSAL_COUNT] = {
    [SQL_READ] = GRANTS_ALLOWED,
    [SQL_REFUSED_LEX] = GRANTS_TEXT,
    [SQL_REFUSED_SYNTAX] = GRANTS_SYNTAX,
    [SQL_REFUSED_STATEMENT] = GRANTS_STATEMENT,
    [SQL_REFUSED_DEPTH] = GRANTS_DEPTH,
    [SQL_REFUSED_RETURNING] = GRANTS_RETURNING,
    [SQL_REFUSED_QUOTED_CAPITALS] = GRANTS_CAPITALS,
    [SQL_REFUSED_BARE_COLUMN] = GRANTS_COLUMN,
    [SQL_REFUSED_CTE_LIMIT] = GRANTS_DEPTH,
    [SQL_REFUSED_TYPE] = GRANTS_TYPE,
    [SQL_REFUSED_TABLE_FUNCTION] = GRANTS_FUNCTION,
    [SQL_REFUSED_NO_TABLE] = GRANTS_NO_TABLE,
    [SQL_REFUSED_CASCADE] = GRANTS_CASCADE,
    [SQL_REFUSED_TEMP_NAME] = GRANTS_SYNTAX,
    [SQL_REFUSED_COPY_SOURCE] = GRANTS_COPY_SOURCE,
    [SQL_REFUSED_COPY_OPTION] = GRANTS_COPY_OPTION,
    [SQL_REFUSED_UNLOAD_QUERY] = GRANTS_UNLOAD_QUERY,
    [SQL_REFUSED_RESET_ALL] = GRANTS_SETTING,
    [SQL_REFUSED_POLICY] = GRANTS_TABLE,
};

bool grants_decide(const struct grants *grants, const struct grants_session *session,
                   struct slice text, struct verdict *verdict)
{
    verdict->allow = verdict->is_plain = false;
    verdict->reason = GRANTS_ALLOWED;
    verdict->text = text;
    verdict->generation = grants->generation;
    verdict->kind = SQL_KIND_NONE;
    verdict->verb = SQL_VERB_SELECT;
    verdict->statement = verdict->at = verdict->first_at = verdict->first_len = 0;
    verdict->flag = verdict->refusal = verdict->parts = 0;
    verdict->object[0] = '\0';
    if (grants->unrestricted) {
        verdict->reason = GRANTS_UNRESTRICTED;
        return verdict->allow = true;
    }
    if (text.len > grants->statement_bytes) {
        verdict->reason = GRANTS_SIZE;
        return false;
    }
    SCRATCH struct local local[LOCAL_NAMES];
    struct decision d = {
        .grants = grants, .session = session, .verdict = verdict, .local = local
    };
    const struct sql_policy policy = { .context = &d, .need = judge, .letters = grants->letters };
    struct sql_reading reading;
    verdict->allow = sql_stmt_read(text, &policy, &reading);
    verdict->kind = reading.kind;
    verdict->statement = reading.statement;
    verdict->at = reading.at;
    verdict->first_at = reading.first;
    verdict->first_len = reading.first_len;
    verdict->is_plain =
        verdict->allow && !d.calls && reading.statement == 1 && reading.kind == SQL_KIND_INSERT;
    verdict->refusal = (uint8_t)reading.refusal;
    verdict->flag = (uint8_t)reading.flag;
    if (reading.refusal == SQL_REFUSED_LEX && reading.flag == SQL_LEX_AMBIGUOUS_QUOTE)
        verdict->reason = GRANTS_LITERAL;
    else if (reading.refusal != SQL_REFUSED_POLICY)
        verdict->reason = reason_of[reading.refusal];
    return verdict->allow;
}
