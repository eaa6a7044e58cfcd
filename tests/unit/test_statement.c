/* statement: verb, tables and text of what clients send. */
#include "unit/unit.h"

#include "routing/statement.h"

#include <stdio.h>

static void reads(const char *sql, const char *path, const char *verb, const char *tables)
{
    struct statement s;
    char list[1024] = "";
    assert_true(statement_read(&s, slice_str(sql), slice_str(path)));
    struct route_statement f = statement_facts(&s, slice_str("g"), 5, NULL);
    for (uint32_t i = 0; i < f.table_count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.*s", i ? " " : "",
                 SLICE_ARG(f.tables[i]));
    if (!slice_is(f.verb, verb)) fail_msg("%s: %.*s, not %s", sql, SLICE_ARG(f.verb), verb);
    if (strcmp(list, tables) != 0) fail_msg("%s: \"%s\", not \"%s\"", sql, list, tables);
    statement_fini(&s);
}

static void verbs_and_tables(void **state)
{
    (void)state;
    reads("select * from mart.sales s join dim on s.d = dim.id", "", "SELECT",
          "mart.sales public.dim");
    reads("SELECT 1 FROM Sales, sales", "etl, public", "SELECT", "etl.sales");
    reads("select 1 from t", "\"$user\", \"Mart\"", "SELECT", "mart.t");
    reads("insert into public.events values (1, 'x')", "", "INSERT", "public.events");
    reads("insert into a.b select * from c.d", "", "INSERT", "a.b c.d");
    reads("with w as (select * from m.t) select * from w", "", "SELECT", "m.t");
    reads("select * from dev.mart.sales", "", "SELECT", "mart.sales");
    reads("begin; select 1 from a.b; insert into c.d values (1); commit", "", "SELECT", "a.b c.d");
    reads("set statement_timeout to 50000; begin; copy x.y from 's3://b/k' iam_role 'r'", "",
          "COPY", "x.y");
    reads("begin", "", "BEGIN", "");
    reads("", "", "", "");
    reads("select 1", "", "SELECT", "");
}

static void what_cannot_be_read_still_has_a_verb(void **state)
{
    (void)state;
    struct statement s;
    assert_true(
        statement_read(&s, slice_str("select * from a.b frobnicate the 'rest"), slice_str("")));
    assert_false(s.is_read);
    assert_true(slice_is(s.verb, "SELECT"));
    assert_null(memmem(s.text.at, s.text.len, "rest", 4)); /* no literal, not even half of one */
    statement_fini(&s);
}

static void many_tables_are_cut_off(void **state)
{
    (void)state;
    struct buf sql = { 0 };
    struct statement s;
    buf_add_str(&sql, "select 1 from s.t0");
    for (int i = 1; i < 200; i++) buf_addf(&sql, ", s.t%d", i);
    assert_true(statement_read(&s, buf_slice(&sql), slice_str("")));
    assert_int_equal(s.table_count, STATEMENT_TABLES);
    assert_true(slice_is(s.tables[63], "s.t63"));
    statement_fini(&s);
    buf_fini(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_and_tables),
        cmocka_unit_test(what_cannot_be_read_still_has_a_verb),
        cmocka_unit_test(many_tables_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
