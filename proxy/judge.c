#include "proxy/judge.h"

#include "auth/grants.h"
#include "protocol/frontend.h"
#include "protocol/sql_normal.h"
#include "proxy/local.h"
#include "proxy/ops/audit.h"
#include "proxy/prepared.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdio.h>
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

/* ---- recording ------------------------------------------------------------------------------ */

static void log_refusal(struct session *s, enum event event, const char *decision,
                        const struct verdict *v)
{
    char from[ADDRESS_TEXT_MAX];
    log_event(s->client.env->log, event, LOG_TEXT("decision", decision),
              LOG_U64("conn", s->client.id), LOG_STR("user", s->client.user->name),
              LOG_TEXT("role", session_role_name(s)),
              LOG_TEXT("from", address_text(&s->client.address, from)),
              LOG_TEXT("reason", grants_reason_code(v->reason)), LOG_TEXT("object", v->object),
              LOG_U64("statement", v->statement), LOG_U64("at", v->at), LOG_END);
}

/* False: it cannot be recorded, and must not happen. */
static bool record(struct session *s, enum audit_decision decision, const char *id,
                   const struct verdict *v)
{
    char from[ADDRESS_TEXT_MAX];
    struct audit_statement statement = {
        .who = { .conn = s->client.id,
                 .user = s->client.user->name,
                 .role = session_role_name(s),
                 .identity = client_identity(&s->client),
                 .from = address_text(&s->client.address, from),
                 .database = s->pool->target.database },
        .decision = decision,
        .id = id,
        .reason = grants_reason_code(v->reason),
        .kind = sql_kind_name(v->kind),
        .verb = sql_verb_name(v->verb),
        .object = v->object,
        .statements = v->statement,
        .fingerprint = sql_fingerprint(v->text),
    };
    return audit_statement(s->client.env->shared->audit, &statement);
}

static void name_decision(struct session *s, char decision[24])
{
    snprintf(decision, 24, "d-%llx-%x", (unsigned long long)s->client.id, ++s->decisions);
}

static void keep_sql(const struct session *s, struct slice text, struct refusal *r)
{
    struct buf normal = { 0 };
    if (s->client.env->realm->config->log.statements != CONFIG_TEXT_NORMALIZED) return;
    sql_normalize(text, sizeof r->sql - 1, &normal);
    refusal_text(r->sql, sizeof r->sql, buf_slice(&normal));
    buf_fini(&normal);
}

/* For SHOW DENIED and EXPLAIN DECISION. */
static void remember(struct session *s, const char *decision, const struct verdict *v,
                     const struct err *why, bool observed)
{
    char from[ADDRESS_TEXT_MAX];
    struct refusal *r = refusals_next(&s->client.env->worker->refusals);
    if (!r) return;
    r->at_s = (uint64_t)time(NULL);
    r->conn = s->client.id;
    r->observed = observed;
    r->reason = grants_reason_code(v->reason);
    r->kind = sql_kind_name(v->kind);
    r->verb = v->object[0] ? sql_verb_name(v->verb) : NULL;
    r->index = v->statement;
    r->fingerprint = sql_fingerprint(v->text);
    r->why = *why;
    refusal_text(r->id, sizeof r->id, slice_str(decision));
    refusal_text(r->user, sizeof r->user, s->client.user->name);
    refusal_text(r->role, sizeof r->role, s->client.user->role);
    refusal_text(r->database, sizeof r->database, slice_str(s->pool->target.database));
    refusal_text(r->pool, sizeof r->pool, slice_str(s->pool->key));
    refusal_text(r->from, sizeof r->from, slice_str(address_text(&s->client.address, from)));
    refusal_text(r->object, sizeof r->object, slice_str(v->object));
    keep_sql(s, v->text, r);
}

static bool refuse_unrecorded(const char *decision, struct err *err)
{
    err_set(err, ERR_DENIED, "permission denied by proxy: the audit record cannot be written");
    err_detail(err, "decision %s", decision);
    err_hint(err, "the operator's log says why");
    return false;
}

/* An allowed statement, where all are recorded; once, however often it is looked at. */
static bool record_allowed(struct session *s, const struct verdict *v, struct err *err)
{
    char decision[24];
    if (s->recorded || !audit_wants_all(s->client.env->shared->audit)) return true;
    name_decision(s, decision);
    if (record(s, AUDIT_ALLOW, decision, v)) return true;
    return refuse_unrecorded(decision, err);
}

/* What would be refused, but for the trial. */
static bool record_observed(struct session *s, const struct realm_role *role,
                            const struct verdict *v, struct err *err)
{
    char decision[24];
    struct err would;
    if (s->recorded) return true;
    name_decision(s, decision);
    metrics_add(&s->client.env->metrics, METRIC_observed, 1);
    log_refusal(s, EVENT_policy_would_deny, decision, v);
    grants_explain(role->grants, v, &would);
    remember(s, decision, v, &would, true);
    return record(s, AUDIT_OBSERVE, decision, v) || refuse_unrecorded(decision, err);
}

/* Into the log, the audit record, the metrics, and `err`, which says what was refused by now. */
static void record_refused(struct session *s, const struct verdict *v, struct err *err)
{
    char decision[24];
    name_decision(s, decision);
    metrics_add(&s->client.env->metrics, METRIC_denied, 1);
    log_refusal(s, EVENT_policy_denied, decision, v);
    remember(s, decision, v, err, false);
    record(s, AUDIT_DENY, decision, v);
    if (!err->detail[0])
        err_detail(err, "decision %s", decision);
    else
        snprintf(err->detail + strlen(err->detail), sizeof err->detail - strlen(err->detail),
                 "; decision %s", decision);
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
    record_refused(s, v, err);
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
    const bool records = q->executes && audit_wants_all(s->client.env->shared->audit);
    if (q->generation && *q->generation == grants_generation(role->grants) && !records)
        return TAKE_SEND;
    const bool allowed = decide(s, role, q->text, &verdict);
    if (!allowed && !is_observed(role)) {
        grants_explain(role->grants, &verdict, &err);
        return refuse(s, q, &verdict, &err, out);
    }
    const bool recorded = !allowed      ? record_observed(s, role, &verdict, &err)
                          : q->executes ? record_allowed(s, &verdict, &err)
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
