#include "proxy/judge.h"

#include "auth/grants.h"
#include "protocol/frontend.h"
#include "proxy/judge_record.h"
#include "proxy/local.h"
#include "proxy/prepared.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <time.h>

const struct realm_role *judge_role(struct session *s)
{
    struct realm *now = s->client.env->realm;
    if (s->role && s->role_realm == now->generation) return s->role;
    s->role = realm_role(now, session_role_name(s));
    s->role_realm = now->generation;
    return s->role;
}

bool judge_is_restricted(struct session *s)
{
    const struct realm_role *role = judge_role(s);
    return !role || !grants_is_unrestricted(role->grants);
}

static const char *path_of(const struct realm_role *role)
{
    const char *path = role ? role->config->search_path : NULL;
    return path ? path : "";
}

bool judge_goes_on(struct session *s)
{
    struct err err;
    const struct client *c = &s->client;
    const struct realm_role *before = realm_role(c->realm, session_role_name(s)),
                            *now = judge_role(s);
    const struct user *user = users_find(c->env->realm->users, c->user->name);
    const bool is_same_role = user && slice_is(user->role, session_role_name(s)) && now;
    /* A search path is set on servers at login, and names are judged by it. */
    if (is_same_role && (grants_is_unrestricted(now->grants) ||
                         (s->restricted && strcmp(path_of(before), path_of(now)) == 0)))
        return true;
    err_set(&err, ERR_TERMINATED, "what this user may do has changed");
    err_hint(&err, "connect again");
    client_refuse(&s->client, &err);
    return false;
}

/* ---- the question --------------------------------------------------------------------------- */

static bool is_observed(const struct realm_role *role)
{
    return role->config->observe.until_s > (uint64_t)time(NULL);
}

bool judge_only_observes(struct session *s)
{
    const struct realm_role *role = judge_role(s);
    return role && is_observed(role);
}

/* A statement that was judged under older rules: nothing new is sent, so nothing is recorded. */
static bool is_still_allowed(struct session *s, struct slice text, uint64_t *generation)
{
    const struct realm_role *role = judge_role(s);
    struct verdict verdict;
    if (!role) return false;
    if (*generation == grants_generation(role->grants)) return true;
    if (!grants_decide(role->grants, NULL, text, &verdict) && !is_observed(role)) return false;
    *generation = grants_generation(role->grants);
    return true;
}

static bool is_prepared(void *context, struct slice name)
{
    struct session *s = context;
    struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    return entry && (!entry->by_sql || entry->confirmed) &&
           is_still_allowed(s, entry->stmt->text, &entry->generation);
}

static bool is_cursor(void *context, struct slice name)
{
    const struct session *s = context;
    uint32_t at = 0;
    while (at < s->cursors.len) {
        struct slice known = slice_str(s->cursors.at + at);
        if (slice_eq(known, name)) return true;
        at += (uint32_t)known.len + 1;
    }
    return false;
}

static bool decide(struct session *s, const struct realm_role *role, struct slice text,
                   struct verdict *verdict)
{
    const struct grants_session known = { .context = s,
                                          .is_prepared = is_prepared,
                                          .is_cursor = is_cursor };
    return grants_decide(role->grants, &known, text, verdict);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* What is known of a message that is to be judged. */
struct question {
    const struct piece *piece;
    struct slice text;
    uint64_t *generation; /* of a kept statement, judged before; else NULL */
    bool executes;        /* now, not only later */
};

static enum take refuse(struct session *s, const struct question *q, const struct verdict *v,
                        struct err *err, struct upstream *out)
{
    if (local_must_wait(s, q->piece->type)) return TAKE_WAIT;
    judge_record_refused(s, v, err);
    return local_refuse(s, q->piece->type, err, out);
}

static enum take judge_text(struct session *s, const struct question *q, struct upstream *out)
{
    const struct realm_role *role = judge_role(s);
    struct verdict verdict;
    struct err err;
    if (!role) {
        err_set(&err, ERR_DENIED, "the role \"%s\" is gone", session_role_name(s));
        return local_refuse(s, q->piece->type, &err, out);
    }
    const bool records = q->executes && judge_records_all(s);
    if (q->generation && *q->generation == grants_generation(role->grants) && !records)
        return TAKE_SEND;
    const bool allowed = decide(s, role, q->text, &verdict);
    s->is_plain = verdict.is_plain && q->piece->type == FRONTEND_QUERY;
    if (!allowed && !is_observed(role)) {
        grants_explain(role->grants, &verdict, &err);
        return refuse(s, q, &verdict, &err, out);
    }
    const bool recorded = !allowed      ? judge_record_observed(s, role, &verdict, &err)
                          : q->executes ? judge_record_allowed(s, &verdict, &err)
                                        : true;
    if (!recorded) return local_refuse(s, q->piece->type, &err, out);
    if (q->generation) *q->generation = grants_generation(role->grants);
    return TAKE_SEND;
}

/* FunctionCall runs a function by number. */
static enum take refuse_call(struct session *s, const struct question *q, struct upstream *out)
{
    const struct verdict verdict = { .reason = GRANTS_FUNCTION };
    struct err err;
    err_set(&err, ERR_DENIED,
            "permission denied by proxy: function calls by number are not allowed");
    err_hint(&err, "call the function in a SELECT");
    return refuse(s, q, &verdict, &err, out);
}

/* Its head is all there is of it here. */
static enum take refuse_size(struct session *s, const struct question *q, struct upstream *out)
{
    const struct verdict verdict = { .reason = GRANTS_SIZE };
    struct err err;
    err_set(&err, ERR_TOO_LARGE, "statement longer than %llu bytes",
            (unsigned long long)s->client.realm->config->limits.statement_bytes);
    err_hint(&err, "use COPY");
    return refuse(s, q, &verdict, &err, out);
}

/* Of a statement that is kept: by name, or the unnamed one. One that is not there was never judged.
 */
static enum take judge_kept(struct session *s, struct question *q, bool executes,
                            struct upstream *out)
{
    struct slice name;
    struct err err;
    if (!prepared_named_by(q->piece, &name)) return TAKE_MALFORMED;
    if (prepared_text(s, name, &q->text, &q->generation)) {
        q->executes = executes;
        return judge_text(s, q, out);
    }
    err_set(&err, ERR_UNKNOWN_STMT, "prepared statement \"%.*s\" does not exist",
            (int)(name.len < 100 ? name.len : 100), name.at);
    return local_refuse(s, q->piece->type, &err, out);
}

static enum take judge_by_type(struct session *s, const struct piece *p, struct upstream *out)
{
    struct question q = { .piece = p };
    struct frontend_parse parse;
    switch (p->type) {
    case FRONTEND_FUNCTION_CALL: return refuse_call(s, &q, out);
    case FRONTEND_QUERY:
        if (!p->last) return refuse_size(s, &q, out);
        if (!frontend_read_query(piece_body(p), &q.text)) return TAKE_MALFORMED;
        q.executes = true;
        return judge_text(s, &q, out);
    case FRONTEND_PARSE:
        if (!p->last) return refuse_size(s, &q, out);
        if (!frontend_read_parse(piece_body(p), &parse)) return TAKE_MALFORMED;
        q.text = parse.text;
        return judge_text(s, &q, out);
    case FRONTEND_BIND: return judge_kept(s, &q, true, out);
    case FRONTEND_DESCRIBE:
        return piece_body(p).at[0] == 'S' ? judge_kept(s, &q, false, out) : TAKE_SEND;
    default: return TAKE_SEND;
    }
}

enum take judge_message(struct session *s, const struct piece *p, struct upstream *out)
{
    const bool known = s->held_generation && s->held_generation == judge_generation(s);
    s->held_generation = 0;
    s->judged = (struct slice){ 0 };
    if (!known) s->is_plain = false;
    const enum take take = known ? TAKE_SEND : judge_by_type(s, p, out);
    if (take == TAKE_SEND) s->judged = p->bytes;
    return take;
}

void judge_held(struct session *s)
{
    /* Only what stands in line: nothing else of the session is under way then, so that nothing but
     * the role can change what it may do; and what is held stays first until it is taken. */
    if (s->restricted && s->client.state == CLIENT_WAITING)
        s->held_generation = judge_generation(s);
}

void judge_rest(struct session *s, const struct piece *p)
{
    /* Statements come whole: the rest of one that does not was not read. */
    const bool is_read =
        p->type == FRONTEND_QUERY || p->type == FRONTEND_PARSE || p->type == FRONTEND_FUNCTION_CALL;
    struct slice nothing = { 0 };
    s->judged = is_read ? nothing : p->bytes;
}

/* ---- passes --------------------------------------------------------------------------------- */

/* Bytes that nobody judged are a fault in this program: the session ends before they go. */
static struct pass no_pass(struct session *s)
{
    struct err err;
    err_set(&err, ERR_INTERNAL, "bytes that were not judged");
    client_refuse(&s->client, &err);
    return (struct pass){ { 0 } };
}

struct pass judge_pass_judged(struct session *s, struct slice bytes)
{
    const struct slice judged = s->judged;
    const bool inside = bytes.at >= judged.at && bytes.len <= judged.len &&
                        (size_t)(bytes.at - judged.at) <= judged.len - bytes.len;
    struct pass pass = { bytes };
    return inside ? pass : no_pass(s);
}

struct pass judge_pass_kept(struct session *s, struct slice bytes, uint64_t generation)
{
    struct pass pass = { bytes };
    return generation == judge_generation(s) ? pass : no_pass(s);
}

uint64_t judge_generation(struct session *s)
{
    const struct realm_role *role = s->restricted ? judge_role(s) : NULL;
    return role ? grants_generation(role->grants) : 0;
}
