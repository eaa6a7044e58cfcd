/* One decision, whoever asks: the data path (which reads of a statement only what a rule could
 * need), explain (and so the command and the console), the record of traffic, diff and the shadow,
 * on 100,000 random tables, sessions and statements. */
#include "routing/diff.h"
#include "routing/explain.h"
#include "routing/statement.h"
#include "unit/routes.h"
#include "unit/unit.h"

enum { TABLES = 200, TRIPLES = 500, MOST = 60 };

static void random_sql(struct dice *d, char *out, size_t cap, unsigned spread)
{
    char one[SPEC_TEXT], two[SPEC_TEXT];
    random_name(d, one, ROUTE_TABLES, spread);
    random_name(d, two, ROUTE_TABLES, spread);
    switch (roll(d, 9)) {
    case 0: snprintf(out, cap, "select a from %s join %s using (b) where x = 123", one, two); break;
    case 1: snprintf(out, cap, "insert into %s values (1, 'mart')", one); break;
    case 2: snprintf(out, cap, "update %s set a = 'b123' where c = %u", one, roll(d, 99)); break;
    case 3: snprintf(out, cap, "create table %s as select * from %s", one, two); break;
    case 4: snprintf(out, cap, "begin; /* mart */ select * from %s; commit", one); break;
    case 5: snprintf(out, cap, "select mart, b123 from %s", one); break;
    case 6: snprintf(out, cap, "copy %s from 's3://mart/x' iam_role 'y'", one); break;
    case 7: snprintf(out, cap, "show x; frobnicate %s (", one); break;
    default: snprintf(out, cap, "select 1"); break;
    }
}

static void assert_same(const struct route_decision *a, const struct route_decision *b)
{
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->rule, b->rule);
    assert_int_equal(a->login_rule, b->login_rule);
    assert_true(route_same_effect(a, b));
}

/* As guide.c does it. */
static void data_path(const struct route_table *t, const struct situation *x, struct slice sql,
                      struct regex_scratch *scratch, const struct route_decision *wanted)
{
    struct route_decision d;
    struct statement read = { 0 };
    route_decide(t, &x->facts, NULL, &d);
    if (d.outcome != ROUTE_TO) return;
    const uint8_t needs = route_needs(t, &x->facts, d.login_rule);
    if (needs) {
        assert_true(statement_read_needed(&read, sql, slice_str("schema1"), needs));
        const struct route_statement s =
            statement_facts(&read, x->statement.query_group, x->statement.at_s, scratch);
        route_decide(t, &x->facts, &s, &d);
    }
    assert_same(&d, wanted);
    statement_fini(&read);
}

static void explanation(const struct route_table *t, const struct situation *x,
                        const struct route_statement *s, const struct route_decision *wanted)
{
    struct explain e;
    struct explain_row row;
    uint32_t wins = ROUTE_NO_RULE;
    assert_true(explain_begin(&e, t, &x->facts, s));
    assert_same(&e.decision, wanted);
    while (explain_next(&e, &row))
        if (row.verdict == EXPLAIN_WINS) wins = row.rule;
    assert_int_equal(wins, wanted->rule);
    explain_end(&e);
}

static void replay(const struct route_table *t, struct diff *diff, struct slice line,
                   struct regex_scratch *scratch, const struct route_decision *wanted,
                   bool shadow_is_same)
{
    struct record r;
    struct route_decision d;
    const uint64_t differ = diff_totals(diff)->differ;
    assert_true(record_read(&r, line));
    assert_true(r.has_statement);
    r.statement.scratch = scratch;
    route_decide(t, &r.facts, &r.statement, &d);
    assert_same(&d, wanted);
    record_fini(&r);
    assert_true(diff_add_line(diff, line));
    assert_int_equal(diff_totals(diff)->differ, differ + !shadow_is_same);
}

static void all_who_ask_hear_the_same(void **state)
{
    (void)state;
    static struct spec specs[MOST];
    static struct situation x;
    struct dice dice = { 20261130 };
    struct regex_scratch *scratch = regex_scratch_new();
    struct route_table *before = NULL;
    unsigned asked = 0, by_statement = 0, differing = 0;
    for (int i = 0; i < TABLES; i++) {
        struct err e;
        const unsigned count = 1 + roll(&dice, MOST), spread = 1 + roll(&dice, 20);
        for (unsigned n = 0; n < count; n++)
            random_spec(&dice, &specs[n], n, spread, roll(&dice, 8));
        struct route_table *t = build_specs(specs, count, &e);
        struct diff *diff = diff_new(t, before ? before : t);
        assert_non_null(diff);
        for (int n = 0; n < TRIPLES; n++) {
            char sql[200];
            struct statement read;
            struct buf line = { 0 };
            struct route_decision d, shadow;
            random_situation(&dice, &x, spread);
            random_sql(&dice, sql, sizeof sql, spread);
            assert_true(statement_read(&read, slice_str(sql), slice_str("schema1")));
            const struct route_statement s =
                statement_facts(&read, x.statement.query_group, x.statement.at_s, scratch);
            route_decide(t, &x.facts, &s, &d);
            route_decide(before ? before : t, &x.facts, &s, &shadow);
            data_path(t, &x, slice_str(sql), scratch, &d);
            explanation(t, &x, &s, &d);
            record_write(&line, &x.facts, &s, slice_str("f"));
            replay(t, diff, buf_slice(&line), scratch, &d, route_same_effect(&d, &shadow));
            asked++;
            by_statement += d.rule != d.login_rule;
            differing += !route_same_effect(&d, &shadow);
            buf_fini(&line);
            statement_fini(&read);
        }
        diff_free(diff);
        route_table_unref(before);
        before = t;
    }
    route_table_unref(before);
    regex_scratch_free(scratch);
    assert_int_equal(asked, 100000);
    /* The dice are no good if all goes one way. */
    assert_in_range(by_statement, 1000, 99000);
    assert_in_range(differing, 1000, 99999);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_who_ask_hear_the_same) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
