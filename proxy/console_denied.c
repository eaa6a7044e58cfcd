#include "proxy/console_show.h"

#include "proxy/worker.h"

#include <stdio.h>

static void row(struct rows *r, const struct refusal *one)
{
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)one->fingerprint);
    rows_text(r, slice_str(one->id));
    rows_time(r, one->at_s);
    rows_number(r, one->conn);
    rows_text(r, slice_str(one->user));
    rows_text(r, slice_str(one->role));
    rows_text(r, slice_str(one->from));
    rows_text(r, slice_str(one->database));
    rows_text(r, slice_str(one->observed ? "observed" : "denied"));
    rows_text(r, slice_str(one->reason));
    rows_text(r, slice_str(one->kind));
    rows_text(r, slice_str(one->verb ? one->verb : ""));
    rows_text(r, slice_str(one->object));
    rows_text(r, slice_str(one->why.message));
    rows_text(r, slice_str(fingerprint));
    rows_text(r, slice_str(one->sql));
}

void console_visit_denied(struct worker *w, struct survey_part *part)
{
    const struct refusal *one;
    for (uint64_t back = 0; (one = refusals_at(&w->refusals, back)); back++) row(&part->rows, one);
}

/* ---- EXPLAIN DECISION ------------------------------------------------------------------------ */

static void line(struct rows *r, const char *key, const char *value)
{
    if (!value || !value[0]) return;
    rows_text(r, slice_str(key));
    rows_text(r, slice_str(value));
}

static void number_line(struct rows *r, const char *key, uint64_t value)
{
    rows_text(r, slice_str(key));
    rows_number(r, value);
}

/* What the role may, as its grants stand in force now; that may be more than at the decision. */
static void grant_lines(struct rows *r, const struct realm *realm, const char *name)
{
    const struct realm_role *role = realm_role(realm, name);
    if (!role) {
        line(r, "role today", "is gone");
        return;
    }
    const struct config_role *config = role->config;
    for (size_t i = 0; i < config->insert_only.count; i++)
        line(r, "granted", config->insert_only.items[i]);
    for (size_t i = 0; i < config->n_grants; i++)
        for (size_t k = 0; k < config->grants[i].on.count; k++)
            line(r, "granted", config->grants[i].on.items[k]);
}

static void explain(struct rows *r, const struct refusal *one, const struct realm *realm)
{
    char text[64];
    line(r, "decision", one->id);
    line(r, "outcome",
         one->observed ? "let through: the role only observes" : "refused, nothing was sent");
    rows_text(r, slice_str("at"));
    rows_time(r, one->at_s);
    line(r, "user", one->user);
    line(r, "role", one->role);
    line(r, "from", one->from);
    number_line(r, "client", one->conn);
    line(r, "pool", one->pool);
    line(r, "statement", one->kind);
    if (one->index > 1) number_line(r, "its place in the message", one->index);
    line(r, "wanted", one->verb);
    bool by_route = strcmp(one->reason, REFUSAL_BY_ROUTE) == 0;
    line(r, by_route ? "rule" : "on", one->object);
    line(r, "reason", one->reason);
    line(r, "message", one->why.message);
    line(r, "detail", one->why.detail);
    line(r, "what to do", one->why.hint);
    if (by_route) {
        line(r, "what to do", "EXPLAIN ROUTE says which rule decides, and why not another");
        return;
    }
    grant_lines(r, realm, one->role);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)one->fingerprint);
    line(r, "fingerprint", text);
    line(r, "text", one->sql[0] ? one->sql : "not shown: log.statements is not \"normalized\"");
}

void console_visit_decision(struct worker *w, struct survey_part *part)
{
    const struct refusal *one = refusals_find(&w->refusals, part->survey->text);
    if (!one) return;
    part->number = 1;
    explain(&part->rows, one, w->env.realm);
}
