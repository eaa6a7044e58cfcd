/* explain: the reasons fit the decision, always. */
#include "unit/unit.h"

#include "protocol/json.h"
#include "routing/explain.h"
#include "routing/table.h"
#include "unit/routes.h"

static struct route_table *load(const char *text)
{
    struct problems p = { 0 };
    struct route_table *t = table_load(slice_str(text), NULL, &p);
    if (!t) fail_msg("%s", p.items[0].text);
    problems_fini(&p);
    return t;
}

static const char document[] =
    "{\"version\":3,\"rules\":[\n"
    "{\"id\":\"loads\",\"when\":{\"role\":[\"loader\",\"etl*\"]},\"to\":\"warehouse\"},\n"
    "{\"id\":\"heavy\",\"when\":{\"application\":\"Tab*\",\"tables\":\"mart.*\"},\"to\":\"bi\"},\n"
    "{\"id\":\"night\",\"when\":{\"hour\":\"22-06\",\"timezone\":\"+02:00\"},\"deny\":\"closed\"},"
    "\n"
    "{\"id\":\"office\",\"when\":{\"client\":\"10.0.0.0/8\",\"tls\":false},\"to\":\"warehouse\"},\n"
    "{\"id\":\"default\",\"to\":[\"warehouse\",\"bi\"],\"pool\":{\"size\":3}},\n"
    "{\"id\":\"never\",\"to\":\"bi\"}]}";

static struct route_facts ana(void)
{
    struct route_facts f = { .user = slice_str("ana"),
                             .role = slice_str("analyst"),
                             .database = slice_str("dev"),
                             .application = slice_str("Tableau"),
                             .db_user = slice_str("ana"),
                             .tls = true,
                             .at_s = 1767614400 };
    assert_true(address_parse(slice_str("192.0.2.7"), &f.client));
    return f;
}

static void a_person_can_read_it(void **state)
{
    (void)state;
    struct route_table *t = load(document);
    struct route_facts f = ana();
    struct buf out = { 0 };
    assert_true(explain_text(t, &f, NULL, 100, &out));
    buf_add_u8(&out, '\0');
    assert_string_equal(
        out.at, "  1  loads (line 2): no, role is \"analyst\", wanted \"loader\", \"etl*\"\n"
                "  2  heavy (line 3): decides at statements only\n"
                "  3  night (line 4): no, hour is \"mon 14:00\" in +02:00, wanted \"22:00-06:00\"\n"
                "  4  office (line 5): no, tls is true, wanted false\n"
                "> 5  default (line 6): matches\n"
                "rule:         default\n"
                "to:           warehouse, then bi\n"
                "database:     dev\n"
                "db_user:      ana\n"
                "pool:         {\"size\":3}\n");
    buf_truncate(&out, 0);
    struct slice table = slice_str("mart.x");
    struct route_statement s = { .verb = slice_str("SELECT"), .tables = &table, .table_count = 1 };
    assert_true(explain_text(t, &f, &s, 1, &out));
    buf_add_u8(&out, '\0');
    assert_string_equal(
        out.at, "  1  loads (line 2): no, role is \"analyst\", wanted \"loader\", \"etl*\"\n"
                "> 2  heavy (line 3): matches\n"
                "  ... 2 more that do not match\n"
                "> 5  default (line 6): matches, and decides what a login decides\n"
                "rule:         heavy\n"
                "to:           bi\n"
                "database:     dev\n"
                "db_user:      ana\n"
                "pool:         {\"size\":3}\n");
    buf_fini(&out);
    route_table_unref(t);
}

static struct slice text_at(const struct json_value *v, const char *key)
{
    return json_string(json_member(v, slice_str(key)));
}

static void a_program_can_read_it(void **state)
{
    (void)state;
    struct route_table *t = load(document);
    struct route_facts f = ana();
    f.application = slice_str("a \"quoted\"\n\x01 name");
    struct slice table = slice_str("public.x");
    struct route_statement s = { .verb = slice_str("SELECT"), .tables = &table, .table_count = 1 };
    struct buf out = { 0 };
    struct json_error error;
    assert_true(explain_json(t, &f, &s, 100, &out));
    struct json_doc *doc = json_parse(buf_slice(&out), out.len, &error);
    if (!doc) fail_msg("%s", error.text);
    const struct json_value *root = json_root(doc);
    assert_true(slice_is(text_at(root, "outcome"), "to"));
    assert_true(slice_is(text_at(root, "rule"), "default"));
    assert_true(slice_is(text_at(root, "login_rule"), "default"));
    const struct json_value *rows = json_member(root, slice_str("rules"));
    assert_int_equal(json_count(rows), 5);
    const struct json_value *heavy = json_next(json_first(rows));
    assert_true(slice_is(text_at(heavy, "verdict"), "fails"));
    assert_true(slice_is(text_at(heavy, "condition"), "application"));
    assert_true(slice_is(text_at(heavy, "wants"), "\"Tab*\""));
    json_free(doc);
    buf_fini(&out);
    route_table_unref(t);
}

/* Follows the explanation as a reader would, and must arrive at the decision. */
static void follow(const struct route_table *t, const struct situation *x, bool with_statement)
{
    struct explain e;
    struct explain_row row;
    struct route_decision d;
    const struct route_statement *s = with_statement ? &x->statement : NULL;
    uint32_t expected = 0, wins = ROUTE_NO_RULE, governs = ROUTE_NO_RULE;
    route_decide(t, &x->facts, s, &d);
    assert_true(explain_begin(&e, t, &x->facts, s));
    assert_int_equal(e.decision.rule, d.rule);
    assert_int_equal(e.decision.outcome, d.outcome);
    while (explain_next(&e, &row)) {
        assert_int_equal(row.rule, expected++);
        if (row.verdict == EXPLAIN_WINS) {
            assert_int_equal(wins, ROUTE_NO_RULE);
            wins = row.rule;
        } else if (row.verdict == EXPLAIN_GOVERNS) {
            assert_true(route_rule_is_login(t, row.rule)); /* else two rules would have matched */
            governs = row.rule;
        } else if (row.verdict == EXPLAIN_NOT_ASKED) {
            assert_false(route_rule_is_login(t, row.rule));
        }
    }
    assert_int_equal(wins, d.rule);
    assert_int_equal(governs, d.rule == d.login_rule ? ROUTE_NO_RULE : d.login_rule);
    explain_end(&e);
}

static void explain_and_decide_agree(void **state)
{
    (void)state;
    enum { TABLES = 200, TRIPLES = 250, MOST = 60 }; /* 100,000 with and without a statement */
    static struct spec specs[MOST];
    static struct situation x;
    struct dice dice = { 4242 };
    struct regex_scratch *scratch = regex_scratch_new();
    for (int i = 0; i < TABLES; i++) {
        struct err e;
        unsigned count = 1 + roll(&dice, MOST), spread = 1 + roll(&dice, 20);
        for (unsigned n = 0; n < count; n++)
            random_spec(&dice, &specs[n], n, spread, roll(&dice, 8));
        struct route_table *t = build_specs(specs, count, &e);
        assert_non_null(t);
        for (int n = 0; n < TRIPLES; n++) {
            random_situation(&dice, &x, spread);
            x.statement.scratch = scratch;
            follow(t, &x, false);
            follow(t, &x, true);
        }
        route_table_unref(t);
    }
    regex_scratch_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_can_read_it),
        cmocka_unit_test(a_program_can_read_it),
        cmocka_unit_test(explain_and_decide_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
