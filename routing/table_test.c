#include "routing/table.h"

#include "protocol/units.h"
#include "routing/load.h"

#include <stdio.h>

/* `tests` of a routing document: facts, a decision, and what must come out of it. */

enum { TESTS_MAX = 10000, TABLES_MAX = 64 };

struct trial {
    struct load *load;
    const struct json_value *test;
    char name[96];
    bool ok; /* so far: complaints turn it off */
    struct route_facts facts;
    struct route_statement statement;
    bool has_statement;
    struct slice tables[TABLES_MAX];
};

static void __attribute__((format(printf, 3, 4)))
complain(struct trial *t, const struct json_value *v, const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    problem_error(t->load->problems, json_line(v ? v : t->test), "%s: %s", t->name, text);
    t->ok = false;
}

static const struct json_value *member(const struct json_value *v, const char *key)
{
    return json_member(v, slice_str(key));
}

static struct slice text_of(struct trial *t, const char *key, struct slice absent)
{
    const struct json_value *v = member(t->test, key);
    if (v && json_type(v) != JSON_STRING) complain(t, v, "%s: must be a string", key);
    return v ? json_string(v) : absent;
}

/* ---- the situation ----------------------------------------------------------------------------
 */

static void read_user(struct trial *t)
{
    const struct json_value *v = member(t->test, "user");
    struct slice user = text_of(t, "user", (struct slice){ 0 });
    if (v && !table_user_facts(t->load->world, user, &t->facts)) {
        load_unknown(t->load, v, true, "user", &t->load->users);
        t->ok = false;
    }
    t->facts.role = text_of(t, "role", t->facts.role);
}

static void read_session(struct trial *t)
{
    const struct slice none = { 0 };
    const struct json_value *tls = member(t->test, "tls"), *client = member(t->test, "client"),
                            *at = member(t->test, "at");
    read_user(t);
    t->facts.database = text_of(t, "database", none);
    t->facts.application = text_of(t, "application", none);
    t->facts.query_group = text_of(t, "query_group", none);
    t->facts.tls = !tls || json_is_true(tls);
    if (tls && json_type(tls) != JSON_BOOL) complain(t, tls, "tls: must be true or false");
    if (client && !address_parse(json_string(client), &t->facts.client))
        complain(t, client, "client: must be an address");
    uint64_t at_s = 1767614400; /* Monday 2026-01-05, 12:00 UTC */
    if (at && !units_date(json_string(at), &at_s))
        complain(t, at, "at: must be a moment, as \"2026-11-23T12:00:00Z\"");
    t->facts.at_s = (int64_t)at_s;
}

static void read_statement(struct trial *t)
{
    const struct slice none = { 0 };
    const struct json_value *tables = member(t->test, "tables");
    t->has_statement = tables || member(t->test, "statement") || member(t->test, "query");
    t->statement = (struct route_statement){ .verb = text_of(t, "statement", none),
                                             .tables = t->tables,
                                             .text = text_of(t, "query", none),
                                             .query_group = t->facts.query_group,
                                             .at_s = t->facts.at_s };
    const struct json_value *v =
        tables && json_type(tables) == JSON_ARRAY ? json_first(tables) : tables;
    for (; v; v = json_type(tables) == JSON_ARRAY ? json_next(v) : NULL) {
        if (json_type(v) != JSON_STRING) complain(t, v, "tables: must be strings");
        if (t->statement.table_count == TABLES_MAX) {
            complain(t, v, "tables: at most %d", TABLES_MAX);
            return;
        }
        t->tables[t->statement.table_count++] = json_string(v);
    }
}

/* ---- the expectation --------------------------------------------------------------------------
 */

/* A string, or null for none, against what came out. */
static void expect_text(struct trial *t, const struct json_value *expect, const char *key,
                        struct slice got)
{
    const struct json_value *v = member(expect, key);
    if (!v) return;
    bool none = json_type(v) == JSON_NULL;
    if (!none && json_type(v) != JSON_STRING)
        complain(t, v, "%s: must be a string or null", key);
    else if (none ? got.len > 0 : !slice_eq(json_string(v), got))
        complain(t, v, "expected %s %s%.*s%s, got %s%.*s%s", key, none ? "" : "\"",
                 SLICE_ARG(none ? slice_str("none") : json_string(v)), none ? "" : "\"",
                 got.len ? "\"" : "", SLICE_ARG(got.len ? got : slice_str("none")),
                 got.len ? "\"" : "");
}

static void expect_to(struct trial *t, const struct json_value *expect,
                      const struct route_decision *d)
{
    const struct json_value *to = member(expect, "to");
    if (!to || json_type(to) != JSON_ARRAY) {
        expect_text(t, expect, "to", d->cluster_count ? d->clusters[0] : (struct slice){ 0 });
        return;
    }
    bool same = json_count(to) == d->cluster_count;
    uint32_t i = 0;
    for (const struct json_value *v = json_first(to); v && same; v = json_next(v))
        same = slice_eq(json_string(v), d->clusters[i++]);
    if (!same) complain(t, to, "\"to\" has %u clusters, or others than these", d->cluster_count);
}

static void expect_deny(struct trial *t, const struct json_value *expect,
                        const struct route_decision *d)
{
    const struct json_value *v = member(expect, "deny");
    bool denied = d->outcome == ROUTE_DENY;
    if (!v) return;
    if (json_type(v) == JSON_STRING)
        expect_text(t, expect, "deny", d->deny);
    else if (json_type(v) != JSON_BOOL)
        complain(t, v, "deny: must be a text, true or false");
    else if (json_is_true(v) != denied)
        complain(t, v, "%s",
                 denied ? "expected no refusal, got one" : "expected a refusal, got none");
}

static void run(struct trial *t, const struct route_table *table)
{
    const struct json_value *expect = member(t->test, "expect");
    struct route_decision d;
    if (!expect || json_type(expect) != JSON_OBJECT || json_count(expect) == 0) {
        complain(t, expect, "expect: must be an object that says what must come out");
        return;
    }
    load_check_keys(t->load, KEY_expect, expect, t->name);
    route_decide(table, &t->facts, t->has_statement ? &t->statement : NULL, &d);
    if (d.outcome == ROUTE_UNSAFE)
        complain(t, NULL, "rule \"%.*s\" chooses db_user \"%.*s\", which the user may not have",
                 SLICE_ARG(d.id), SLICE_ARG(d.db_user));
    expect_text(t, expect, "rule", d.id);
    expect_to(t, expect, &d);
    expect_text(t, expect, "db_user", d.db_user);
    expect_text(t, expect, "database", d.database);
    expect_text(t, expect, "query_group", d.query_group);
    expect_deny(t, expect, &d);
}

static void run_one(struct load *l, const struct route_table *table, const struct json_value *test,
                    unsigned number)
{
    struct trial t = { .load = l, .test = test, .ok = true };
    snprintf(t.name, sizeof t.name, "test %u", number);
    if (json_type(test) != JSON_OBJECT) {
        complain(&t, test, "must be an object");
        return;
    }
    struct slice name = text_of(&t, "name", (struct slice){ 0 });
    if (name.len)
        snprintf(t.name, sizeof t.name, "test \"%.*s\"", (int)(name.len < 64 ? name.len : 64),
                 name.at);
    load_check_keys(l, KEY_test, test, t.name);
    read_session(&t);
    read_statement(&t);
    if (t.ok) run(&t, table);
}

void load_run_tests(struct load *l, const struct route_table *t, const struct json_value *tests)
{
    /* After an error the table is not the one that was meant. */
    bool broken = l->problems->errors != l->errors_before;
    unsigned number = 0;
    if (json_type(tests) != JSON_ARRAY || json_count(tests) > TESTS_MAX) {
        problem_error(l->problems, json_line(tests), "tests: must be a list of at most %d",
                      TESTS_MAX);
        return;
    }
    for (const struct json_value *v = json_first(tests); v && !broken; v = json_next(v))
        run_one(l, t, v, ++number);
}
