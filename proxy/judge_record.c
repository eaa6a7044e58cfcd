#include "proxy/judge_record.h"

#include "protocol/sql_normal.h"
#include "proxy/judge.h"
#include "proxy/ops/audit.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <time.h>

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

/* ---- the audit record ----------------------------------------------------------------------- */

/* For EXECUTE of what was prepared in this session. */
static bool text_of_prepared(void *context, struct slice name, struct slice *text)
{
    const struct session *s = context;
    const struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    if (entry) *text = entry->stmt->text;
    return entry != NULL;
}

/* Of what the reason is about, the verb makes sense with objects only. */
static bool is_about_object(enum grants_reason reason)
{
    return reason == GRANTS_TABLE || reason == GRANTS_READ || reason == GRANTS_VERB ||
           reason == GRANTS_QUALIFY;
}

/* False: it cannot be recorded, and must not happen. */
static bool record(struct session *s, enum audit_decision decision, const char *id,
                   const struct verdict *v)
{
    char from[ADDRESS_TEXT_MAX];
    struct sql_trail trail = { .count = 0 };
    const struct sql_trail_session known = { .context = s, .prepared = text_of_prepared };
    const struct audit_message message = {
        .who = { .conn = s->client.id,
                 .user = s->client.user->name,
                 .role = session_role_name(s),
                 .identity = client_identity(&s->client),
                 .from = address_text(&s->client.address, from),
                 .database = s->pool->target.database },
        .decision = decision,
        .id = id,
        .reason = grants_reason_code(v->reason),
        .others = grants_reason_code(GRANTS_MESSAGE),
        .kind = sql_kind_name(v->kind),
        .refused = v->allow ? 0 : v->statement,
        .object = v->object,
        .verb = is_about_object(v->reason) ? sql_verb_name(v->verb) : NULL,
        .fingerprint = v->text.len > 0 ? sql_fingerprint(v->text) : 0,
        .trail = &trail,
    };
    sql_trail_read(&trail, v->text, &known, message.refused);
    const bool whole = !trail.failed;
    if (!whole) { /* out of memory: the message as one record, at least */
        sql_trail_fini(&trail);
        trail = (struct sql_trail){ .count = 0 };
    }
    const bool ok = audit_message(s->client.env->shared->audit, &message) && whole;
    sql_trail_fini(&trail);
    return ok;
}

static void name_decision(struct session *s, char decision[24])
{
    snprintf(decision, 24, "d-%llx-%x", (unsigned long long)s->client.id, ++s->decisions);
}

static void keep_sql(const struct session *s, struct slice text, struct refusal *r)
{
    struct buf normal = { 0 };
    const enum config_statement_text shown = s->client.env->realm->config->log.statements;
    if (shown != CONFIG_TEXT_NORMALIZED && shown != CONFIG_TEXT_REDACTED) return;
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

bool judge_records_all(struct session *s)
{
    const struct realm_role *role = judge_role(s);
    return role && audit_wants_all(s->client.env->shared->audit, role->config->record);
}

bool judge_record_allowed(struct session *s, const struct verdict *v, struct err *err)
{
    char decision[24];
    if (s->recorded || !judge_records_all(s)) return true;
    name_decision(s, decision);
    if (record(s, AUDIT_ALLOW, decision, v)) return true;
    return refuse_unrecorded(decision, err);
}

bool judge_record_observed(struct session *s, const struct realm_role *role,
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

void judge_record_refused(struct session *s, const struct verdict *v, struct err *err)
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
