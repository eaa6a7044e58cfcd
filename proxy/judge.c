#include "proxy/judge.h"

#include "auth/grants.h"
#include "protocol/sql_normal.h"
#include "proxy/ops/audit.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <time.h>

const struct realm_role *judge_role(struct session *s)
{
    struct realm *now = s->client.env->realm;
    if (s->role && s->role_realm == now->generation) return s->role;
    s->role = realm_role(now, s->role_name);
    s->role_realm = now->generation;
    return s->role;
}

bool judge_is_restricted(struct session *s)
{
    const struct realm_role *role = judge_role(s);
    return !role || !grants_is_unrestricted(role->grants);
}

static bool is_prepared(void *context, struct slice name)
{
    struct session *s = context;
    struct err err;
    struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    return entry && entry->by_sql && judge_again(s, entry->stmt->text, &entry->generation, &err);
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

static bool is_observed(const struct realm_role *role)
{
    return role->config->observe.until_s > (uint64_t)time(NULL);
}

static void log_refusal(struct session *s, const char *event, const char *decision,
                        const struct verdict *v)
{
    char from[ADDRESS_TEXT_MAX];
    log_event(s->client.env->log, LOG_WARNING, event, LOG_TEXT("decision", decision),
              LOG_U64("conn", s->client.id), LOG_STR("user", s->client.user->name),
              LOG_TEXT("role", s->role_name),
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
                 .role = s->role_name,
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
    refusal_text(r->role, sizeof r->role, slice_str(s->role_name));
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

bool judge_statement(struct session *s, struct slice text, struct err *err)
{
    const struct realm_role *role = judge_role(s);
    struct grants_session known = { .context = s,
                                    .is_prepared = is_prepared,
                                    .is_cursor = is_cursor };
    struct verdict verdict;
    char decision[24];
    if (!role) return err_set(err, ERR_DENIED, "the role \"%s\" is gone", s->role_name);
    if (grants_decide(role->grants, &known, text, &verdict))
        return record_allowed(s, &verdict, err);
    if (is_observed(role) && s->recorded) return true;
    name_decision(s, decision);
    if (is_observed(role)) {
        metrics_add(&s->client.env->metrics, METRIC_observed, 1);
        log_refusal(s, "policy.would_deny", decision, &verdict);
        struct err would;
        grants_explain(role->grants, &verdict, &would);
        remember(s, decision, &verdict, &would, true);
        return record(s, AUDIT_OBSERVE, decision, &verdict) || refuse_unrecorded(decision, err);
    }
    metrics_add(&s->client.env->metrics, METRIC_denied, 1);
    log_refusal(s, "policy.denied", decision, &verdict);
    record(s, AUDIT_DENY, decision, &verdict);
    grants_explain(role->grants, &verdict, err);
    remember(s, decision, &verdict, err, false);
    if (!err->detail[0])
        err_detail(err, "decision %s", decision);
    else
        snprintf(err->detail + strlen(err->detail), sizeof err->detail - strlen(err->detail),
                 "; decision %s", decision);
    return false;
}

uint64_t judge_generation(struct session *s)
{
    const struct realm_role *role = s->restricted ? judge_role(s) : NULL;
    return role ? grants_generation(role->grants) : 0;
}

bool judge_again(struct session *s, struct slice text, uint64_t *generation, struct err *err)
{
    const struct realm_role *role = judge_role(s);
    uint64_t now = role ? grants_generation(role->grants) : 0;
    if (*generation == now && role) return true;
    if (!judge_statement(s, text, err)) return false;
    *generation = now;
    return true;
}

void judge_function_call(struct session *s, struct err *err)
{
    char decision[24];
    struct verdict verdict = { .reason = GRANTS_FUNCTION };
    name_decision(s, decision);
    metrics_add(&s->client.env->metrics, METRIC_denied, 1);
    log_refusal(s, "policy.denied", decision, &verdict);
    record(s, AUDIT_DENY, decision, &verdict);
    err_set(err, ERR_DENIED,
            "permission denied by proxy: function calls by number are not allowed");
    remember(s, decision, &verdict, err, false);
    err_hint(err, "call the function in a SELECT; decision %s", decision);
}
