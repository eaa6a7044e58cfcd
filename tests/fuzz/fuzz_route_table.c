/* fuzz_route_table: a document is a table or has errors; a table decides as trying its rules one by
 * one does, and explains what it decided. */
#include "routing/explain.h"
#include "routing/rule.h"
#include "routing/table.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static uint32_t first(const struct route_table *t, struct view *v, bool login, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++)
        if (t->rules[i].is_login == login && !rule_failing(&t->rules[i], v)) return i;
    return before;
}

static void check_decision(const struct route_table *t, const struct route_facts *f,
                           const struct route_statement *s)
{
    struct view v;
    struct route_decision d;
    struct buf out = { 0 };
    view_init(&v, f, NULL);
    uint32_t login = first(t, &v, true, t->count), rule = login;
    view_fini(&v);
    route_decide(t, f, s, &d);
    if (login < t->count && d.outcome == ROUTE_TO) {
        view_init(&v, f, s);
        rule = first(t, &v, false, login);
        view_fini(&v);
    }
    require(d.login_rule == (login < t->count ? login : ROUTE_NO_RULE));
    require(d.rule == (login < t->count ? rule : ROUTE_NO_RULE));
    require((d.outcome == ROUTE_NONE) == (login == t->count));
    require(d.outcome != ROUTE_TO || d.cluster_count > 0);
    require(explain_json(t, f, s, 20, &out));
    struct json_error error;
    struct json_doc *doc = json_parse(buf_slice(&out), out.len, &error);
    require(doc);
    json_free(doc);
    buf_truncate(&out, 0);
    require(explain_text(t, f, s, 20, &out));
    buf_truncate(&out, 0);
    route_reason(t, &d, &out);
    buf_fini(&out);
}

/* A situation made of the table's own words, so that rules have something to match. */
static void ask(const struct route_table *t, const struct rule *r)
{
    struct route_facts f = { .tls = true, .at_s = 1767614400 };
    struct route_statement s = { .at_s = f.at_s };
    struct slice *const fields[ROUTE_CONDITIONS] = { [ROUTE_USER] = &f.user,
                                                     [ROUTE_ROLE] = &f.role,
                                                     [ROUTE_DATABASE] = &f.database,
                                                     [ROUTE_APPLICATION] = &f.application,
                                                     [ROUTE_QUERY_GROUP] = &f.query_group,
                                                     [ROUTE_STATEMENT] = &s.verb };
    struct slice table = { 0 };
    for (uint32_t i = 0; i < r->when_count; i++) {
        const struct condition *c = &r->when[i];
        enum condition_kind kind = condition_kind(c->name);
        if (kind == NAMES || kind == VERBS) {
            struct slice text = c->set.name_count ? c->set.names[0] : c->set.globs[0];
            *(fields[c->name] ? fields[c->name] : &table) = text;
        } else if (kind == NETWORKS) {
            f.client = c->networks.at[0].base;
        } else if (kind == EXPRESSIONS) {
            s.text = c->expressions.at[0].pattern;
        } else if (kind == FLAG) {
            f.tls = c->flags & FLAG_TRUE;
        }
    }
    s.query_group = f.query_group;
    s.tables = &table;
    s.table_count = table.len > 0;
    f.db_user = r->db_user;
    check_decision(t, &f, &s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems = { 0 };
    struct buf text = { 0 };
    struct route_table *t = table_load(slice_of(data, size), NULL, &problems);
    require((t == NULL) == (problems.errors > 0));
    problems_print(&problems, "f", &text);
    for (size_t i = 1; i < problems.count; i++)
        require(problems.items[i - 1].line <= problems.items[i].line);
    for (uint32_t i = 0; i < text.len; i++)
        require((unsigned char)text.at[i] >= 0x20 || text.at[i] == '\n');
    for (uint32_t i = 0; t && i < t->count && i < 8; i++) ask(t, &t->rules[i]);
    buf_fini(&text);
    problems_fini(&problems);
    route_table_unref(t);
    return 0;
}
