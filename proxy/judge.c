#include "proxy/judge.h"

#include "auth/grants.h"
#include "proxy/shared.h"

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

static void name_decision(struct session *s, char decision[24])
{
    snprintf(decision, 24, "%llx-%x", (unsigned long long)s->client.id, ++s->decisions);
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
    if (grants_decide(role->grants, &known, text, &verdict)) return true;
    name_decision(s, decision);
    if (is_observed(role)) {
        metrics_add(&s->client.env->metrics, METRIC_observed, 1);
        log_refusal(s, "policy.would_deny", decision, &verdict);
        return true;
    }
    metrics_add(&s->client.env->metrics, METRIC_denied, 1);
    log_refusal(s, "policy.denied", decision, &verdict);
    grants_explain(role->grants, &verdict, err);
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
    err_set(err, ERR_DENIED,
            "permission denied by proxy: function calls by number are not allowed");
    err_hint(err, "call the function in a SELECT; decision %s", decision);
}
