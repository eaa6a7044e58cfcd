#include "routing/explain.h"

#include "protocol/json.h"
#include "routing/rule.h"

#include <stdlib.h>

/* ---- the walk ---------------------------------------------------------------------------------
 */

bool explain_begin(struct explain *x, const struct route_table *table,
                   const struct route_facts *facts, const struct route_statement *statement)
{
    *x = (struct explain){ .table = table, .facts = facts, .statement = statement };
    x->login_view = malloc(sizeof *x->login_view);
    x->statement_view = malloc(sizeof *x->statement_view);
    if (x->login_view) view_init(x->login_view, facts, NULL);
    if (x->statement_view) view_init(x->statement_view, facts, statement);
    if (!x->login_view || !x->statement_view) return false;
    route_decide(table, facts, statement, &x->decision);
    return true;
}

void explain_end(struct explain *x)
{
    if (x->statement_view) view_fini(x->statement_view);
    free(x->login_view);
    free(x->statement_view);
    x->login_view = x->statement_view = NULL;
}

bool explain_next(struct explain *x, struct explain_row *row)
{
    const struct route_decision *d = &x->decision;
    uint32_t last = d->login_rule == ROUTE_NO_RULE ? x->table->count : d->login_rule + 1;
    if (x->next >= last) return false;
    const struct rule *r = &x->table->rules[x->next];
    *row = (struct explain_row){ .rule = x->next++ };
    /* Statement rules are asked after a login rule said where to, and up to the one that wins. */
    bool won = d->rule != d->login_rule && row->rule > d->rule;
    if (!r->is_login && (!x->statement || d->outcome != ROUTE_TO || won)) {
        row->verdict = EXPLAIN_NOT_ASKED;
        return true;
    }
    const struct condition *failing =
        rule_failing(r, r->is_login ? x->login_view : x->statement_view);
    if (failing) {
        row->verdict = EXPLAIN_FAILS;
        row->condition = failing->name;
    } else {
        row->verdict = row->rule == d->rule ? EXPLAIN_WINS : EXPLAIN_GOVERNS;
    }
    return true;
}

/* ---- conditions in words ----------------------------------------------------------------------
 */

static void add_quoted(struct buf *out, struct slice text, bool first)
{
    if (!first) buf_add_str(out, ", ");
    json_quote(out, text);
}

static void add_hours(struct buf *out, const struct match_hours *h)
{
    buf_addf(out, "\"%02u:%02u-%02u:%02u\"", h->from_min / 60, h->from_min % 60, h->until_min / 60,
             h->until_min % 60);
}

static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static void add_days(struct buf *out, uint8_t days)
{
    bool first = true;
    for (unsigned d = 0; d < 7; d++) {
        if (!(days >> d & 1)) continue;
        buf_addf(out, "%s\"%s\"", first ? "" : ", ", day_names[d]);
        first = false;
    }
}

static const struct condition *condition_of(const struct route_table *t, uint32_t rule,
                                            enum route_condition c)
{
    const struct rule *r = &t->rules[rule];
    for (uint32_t i = 0; i < r->when_count; i++)
        if (r->when[i].name == c) return &r->when[i];
    return NULL;
}

void explain_wants(const struct route_table *table, uint32_t rule, enum route_condition name,
                   struct buf *out)
{
    enum { SHOWN = 8 }; /* of a list */
    const struct condition *c = condition_of(table, rule, name);
    char text[ADDRESS_TEXT_BYTES];
    uint32_t count = 0, i;
    if (!c) return;
    switch (condition_kind(name)) {
    case FLAG:
        buf_add_str(out, c->flags == FLAG_TRUE ? "true" : c->flags == FLAG_FALSE ? "false" : "any");
        break;
    case NAMES:
    case VERBS:
        count = c->set.name_count + c->set.glob_count;
        for (i = 0; i < count && i < SHOWN; i++)
            add_quoted(
                out, i < c->set.name_count ? c->set.names[i] : c->set.globs[i - c->set.name_count],
                i == 0);
        break;
    case NETWORKS:
        count = c->networks.count;
        for (i = 0; i < count && i < SHOWN; i++)
            buf_addf(out, "%s\"%s/%u\"", i ? ", " : "",
                     match_address_text(&c->networks.at[i].base, text), c->networks.at[i].bits);
        break;
    case WEEKDAYS: add_days(out, c->weekdays); break;
    case HOURS:
        count = c->hours.count;
        for (i = 0; i < count && i < SHOWN; i++) {
            if (i) buf_add_str(out, ", ");
            add_hours(out, &c->hours.at[i]);
        }
        break;
    case SHARE: buf_addf(out, "%.6g", c->share.ppm / 10000.0); break;
    case EXPRESSIONS:
        count = c->expressions.count;
        for (i = 0; i < count && i < SHOWN; i++)
            add_quoted(out, c->expressions.at[i].pattern, i == 0);
        break;
    }
    if (count > SHOWN) buf_addf(out, ", and %u more", count - SHOWN);
}

static void add_local_time(struct buf *out, const struct rule *r, int64_t at_s)
{
    unsigned minute = zone_minute_of_week(r->zone, at_s);
    unsigned of_day = minute % DAY_MINUTES;
    buf_addf(out, "\"%s %02u:%02u\" in %.*s", day_names[minute / DAY_MINUTES], of_day / 60,
             of_day % 60, SLICE_ARG(r->zone_name));
}

void explain_has(const struct explain *x, uint32_t rule, enum route_condition c, struct buf *out)
{
    enum { SHOWN = 8, SHOWN_BYTES = 200 };
    const struct rule *r = &x->table->rules[rule];
    const struct route_facts *f = x->facts;
    const struct route_statement *s = x->statement;
    const struct view *v = r->is_login ? x->login_view : x->statement_view;
    char text[ADDRESS_TEXT_BYTES];
    struct slice sql = s ? s->text : (struct slice){ 0 };
    switch (c) {
    case ROUTE_TLS: buf_add_str(out, f->tls ? "true" : "false"); break;
    case ROUTE_USER: json_quote(out, f->user); break;
    case ROUTE_ROLE: json_quote(out, f->role); break;
    case ROUTE_DATABASE: json_quote(out, f->database); break;
    case ROUTE_APPLICATION: json_quote(out, f->application); break;
    case ROUTE_QUERY_GROUP: json_quote(out, v->query_group); break;
    case ROUTE_CLIENT: buf_addf(out, "\"%s\"", match_address_text(&f->client, text)); break;
    case ROUTE_WEEKDAY:
    case ROUTE_HOUR: add_local_time(out, r, v->at_s); break;
    case ROUTE_PERCENT:
        json_quote(out, f->user);
        buf_add_str(out, " is in another share");
        break;
    case ROUTE_STATEMENT: json_quote(out, s ? s->verb : (struct slice){ 0 }); break;
    case ROUTE_TABLES:
        for (uint32_t i = 0; s && i < s->table_count && i < SHOWN; i++)
            add_quoted(out, s->tables[i], i == 0);
        if (!s || s->table_count == 0)
            buf_add_str(out, "none");
        else if (s->table_count > SHOWN)
            buf_addf(out, ", and %u more", s->table_count - SHOWN);
        break;
    case ROUTE_QUERY:
        if (sql.len > SHOWN_BYTES) sql.len = SHOWN_BYTES;
        json_quote(out, sql);
        break;
    case ROUTE_CONDITIONS: break;
    }
}

/* ---- for a person -----------------------------------------------------------------------------
 */

static void text_row(const struct explain *x, const struct explain_row *row, struct buf *out)
{
    const struct rule *r = &x->table->rules[row->rule];
    bool decides = row->verdict == EXPLAIN_WINS || row->verdict == EXPLAIN_GOVERNS;
    buf_addf(out, "%c %u  %.*s", decides ? '>' : ' ', row->rule + 1, SLICE_ARG(r->id));
    if (r->line) buf_addf(out, " (line %u)", r->line);
    switch (row->verdict) {
    case EXPLAIN_WINS: buf_add_str(out, ": matches"); break;
    case EXPLAIN_GOVERNS: buf_add_str(out, ": matches, and decides what a login decides"); break;
    case EXPLAIN_NOT_ASKED:
        buf_add_str(out, x->statement ? ": not asked" : ": decides at statements only");
        break;
    case EXPLAIN_FAILS:
        buf_addf(out, ": no, %s is ", route_condition_key(row->condition));
        explain_has(x, row->rule, row->condition, out);
        buf_add_str(out, ", wanted ");
        explain_wants(x->table, row->rule, row->condition, out);
        break;
    }
    buf_add_u8(out, '\n');
}

static void text_field(struct buf *out, const char *name, struct slice value)
{
    if (value.len) buf_addf(out, "%-13s %.*s\n", name, SLICE_ARG(value));
}

static void text_decision(const struct explain *x, struct buf *out)
{
    const struct route_decision *d = &x->decision;
    if (d->outcome == ROUTE_NONE) {
        buf_add_str(out, "no rule matches: the client is refused\n");
        return;
    }
    text_field(out, "rule:", d->id);
    if (d->outcome == ROUTE_UNSAFE)
        buf_addf(out, "refused: the session may not have db_user \"%.*s\"\n",
                 SLICE_ARG(d->db_user));
    if (d->outcome == ROUTE_DENY) text_field(out, "denied:", d->deny);
    if (d->outcome != ROUTE_TO) return;
    buf_addf(out, "%-13s ", "to:");
    for (uint32_t i = 0; i < d->cluster_count; i++)
        buf_addf(out, "%s%.*s", i ? ", then " : "", SLICE_ARG(d->clusters[i]));
    buf_add_u8(out, '\n');
    text_field(out, "database:", d->database);
    text_field(out, "db_user:", d->db_user);
    text_field(out, "query_group:", d->query_group);
    text_field(out, "pool:", d->pool);
    for (uint32_t i = 0; i < d->local_answer_count; i++)
        text_field(out, "answers:", d->local_answers[i]);
    if (d->regex_limit_hits)
        buf_addf(out, "%u expressions ran out of budget and counted as no match\n",
                 d->regex_limit_hits);
}

/* The next row to show: `most` rules that do not match and all that decide. *left_out counts on. */
static bool shown_next(struct explain *x, struct explain_row *row, uint32_t *room,
                       uint32_t *left_out)
{
    while (explain_next(x, row)) {
        if (row->verdict == EXPLAIN_WINS || row->verdict == EXPLAIN_GOVERNS) return true;
        if (*room) {
            (*room)--;
            return true;
        }
        (*left_out)++;
    }
    return false;
}

static void text_left_out(struct buf *out, uint32_t *left_out)
{
    if (*left_out) buf_addf(out, "  ... %u more that do not match\n", *left_out);
    *left_out = 0;
}

bool explain_text(const struct route_table *table, const struct route_facts *facts,
                  const struct route_statement *statement, uint32_t most, struct buf *out)
{
    struct explain x;
    struct explain_row row;
    uint32_t left_out = 0;
    bool ok = explain_begin(&x, table, facts, statement);
    while (ok && shown_next(&x, &row, &most, &left_out)) {
        text_left_out(out, &left_out);
        text_row(&x, &row, out);
    }
    text_left_out(out, &left_out);
    if (ok) text_decision(&x, out);
    explain_end(&x);
    return ok && !out->failed;
}

/* ---- for a program ----------------------------------------------------------------------------
 */

static void json_field(struct buf *out, const char *name, struct slice value)
{
    if (!value.len) return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, value);
}

static void json_list(struct buf *out, const char *name, const struct slice *values, uint32_t count)
{
    if (!count) return;
    buf_addf(out, ",\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++) {
        if (i) buf_add_u8(out, ',');
        json_quote(out, values[i]);
    }
    buf_add_u8(out, ']');
}

static void json_row(const struct explain *x, const struct explain_row *row, struct buf *out)
{
    static const char *const verdicts[] = { "wins", "governs", "fails", "not asked" };
    const struct rule *r = &x->table->rules[row->rule];
    struct buf words = { 0 };
    buf_add_str(out, "{\"rule\":");
    json_quote(out, r->id);
    buf_addf(out, ",\"line\":%u,\"verdict\":\"%s\"", r->line, verdicts[row->verdict]);
    if (row->verdict == EXPLAIN_FAILS) {
        buf_addf(out, ",\"condition\":\"%s\"", route_condition_key(row->condition));
        explain_has(x, row->rule, row->condition, &words);
        json_field(out, "has", buf_slice(&words));
        buf_truncate(&words, 0);
        explain_wants(x->table, row->rule, row->condition, &words);
        json_field(out, "wants", buf_slice(&words));
    }
    if (words.failed) out->failed = true;
    buf_fini(&words);
    buf_add_u8(out, '}');
}

bool explain_json(const struct route_table *table, const struct route_facts *facts,
                  const struct route_statement *statement, uint32_t most, struct buf *out)
{
    static const char *const outcomes[] = { "to", "deny", "none", "unsafe" };
    struct explain x;
    struct explain_row row;
    uint32_t left_out = 0;
    bool ok = explain_begin(&x, table, facts, statement), first = true;
    const struct route_decision *d = &x.decision;
    buf_addf(out, "{\"outcome\":\"%s\",\"version\":%llu", outcomes[d->outcome],
             (unsigned long long)table->version);
    json_field(out, "rule", d->id);
    if (d->login_rule != ROUTE_NO_RULE)
        json_field(out, "login_rule", table->rules[d->login_rule].id);
    json_list(out, "to", d->clusters, d->cluster_count);
    json_field(out, "database", d->database);
    json_field(out, "db_user", d->db_user);
    json_field(out, "query_group", d->query_group);
    json_field(out, "deny", d->deny);
    json_list(out, "local_answers", d->local_answers, d->local_answer_count);
    if (d->pool.len) {
        buf_add_str(out, ",\"pool\":");
        buf_add_slice(out, d->pool); /* is JSON already */
    }
    buf_addf(out, ",\"regex_limit_hits\":%u,\"rules\":[", d->regex_limit_hits);
    while (ok && shown_next(&x, &row, &most, &left_out)) {
        if (!first) buf_add_u8(out, ',');
        first = false;
        json_row(&x, &row, out);
    }
    buf_addf(out, "],\"left_out\":%u}", left_out);
    explain_end(&x);
    return ok && !out->failed;
}
