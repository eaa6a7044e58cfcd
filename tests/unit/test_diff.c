/* record and diff: what is written is read, and both tables are asked about it. */
#include "unit/unit.h"

#include "routing/diff.h"
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

static void same_slice(struct slice a, struct slice b) { assert_true(slice_eq(a, b)); }

static void records_are_read_back(void **state)
{
    (void)state;
    static struct situation x;
    struct dice dice = { 8 };
    for (int i = 0; i < 3000; i++) {
        struct buf line = { 0 };
        struct record r;
        random_situation(&dice, &x, 30);
        if (i % 7 == 0) x.facts.application = slice_str("a \"b\"\\\n\x01\xc3\xa4");
        bool with_statement = i % 2;
        record_write(&line, &x.facts, with_statement ? &x.statement : NULL, slice_str("f1"));
        assert_int_equal(line.at[line.len - 1], '\n');
        assert_null(memchr(line.at, '\n', line.len - 1));
        if (!record_read(&r, slice_of(line.at, line.len - 1))) fail_msg("%.*s", line.len, line.at);
        same_slice(r.facts.user, x.facts.user);
        same_slice(r.facts.role, x.facts.role);
        same_slice(r.facts.database, x.facts.database);
        same_slice(r.facts.application, x.facts.application);
        same_slice(r.facts.query_group, x.facts.query_group);
        same_slice(r.facts.db_user, x.facts.db_user);
        assert_memory_equal(&r.facts.client, &x.facts.client, sizeof r.facts.client);
        assert_int_equal(r.facts.tls, x.facts.tls);
        assert_int_equal(r.facts.at_s, x.facts.at_s);
        assert_int_equal(r.facts.db_user_count, 2);
        same_slice(r.fingerprint, slice_str("f1"));
        assert_int_equal(r.has_statement, with_statement);
        if (with_statement) {
            same_slice(r.statement.verb, x.statement.verb);
            same_slice(r.statement.text, x.statement.text);
            same_slice(r.statement.query_group, x.statement.query_group);
            assert_int_equal(r.statement.at_s, x.statement.at_s);
            assert_int_equal(r.statement.table_count, x.statement.table_count);
            for (uint32_t n = 0; n < r.statement.table_count; n++)
                same_slice(r.statement.tables[n], x.statement.tables[n]);
        }
        record_fini(&r);
        buf_fini(&line);
    }
    static const char *const bad[] = { "",
                                       "{}",
                                       "[]",
                                       "{\"at\":5}",
                                       "x",
                                       "{\"at\":\"2026-11-23\",\"client\":\"x\"}",
                                       "{\"at\":\"2026-11-23\",\"statement\":3}" };
    struct record r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (record_read(&r, slice_str(bad[i]))) fail_msg("%s was taken", bad[i]);
}

static void differences_are_counted(void **state)
{
    (void)state;
    struct route_table *before = load("{\"rules\":[{\"id\":\"a\",\"when\":{\"user\":\"ana\"},"
                                      "\"to\":\"x\"},{\"id\":\"d\",\"to\":\"x\"}]}");
    struct route_table *after =
        load("{\"rules\":[{\"id\":\"night\",\"when\":{\"hour\":\"22-06\"},\"deny\":\"closed\"},"
             "{\"id\":\"big\",\"when\":{\"tables\":\"mart.*\"},\"to\":\"y\",\"query_group\":\"g\"},"
             "{\"id\":\"d\",\"to\":\"x\"}]}");
    static const char *const lines[] = {
        "{\"at\":\"2026-11-23T12:00:00Z\",\"user\":\"bob\"}\n",   /* the same */
        "{\"at\":\"2026-11-23T12:00:00Z\",\"user\":\"ana\"}\r\n", /* another rule */
        "{\"at\":\"2026-11-23T23:00:00Z\",\"user\":\"bob\"}",
        "{\"at\":\"2026-11-23T12:00:00Z\",\"user\":\"bob\",\"fingerprint\":\"f1\","
        "\"statement\":{\"at\":\"2026-11-23T12:00:00Z\",\"verb\":\"SELECT\",\"tables\":[\"mart.a\"]"
        "}}",
        "{\"at\":\"2026-11-23T12:00:00Z\",\"user\":\"bob\",\"fingerprint\":\"f2\","
        "\"statement\":{\"at\":\"2026-11-23T12:00:00Z\",\"verb\":\"SELECT\",\"tables\":[\"mart.b\"]"
        "}}",
        "{\"at\":\"2026-11-23T12:00:00Z\",\"user\":\"bob\",\"fingerprint\":\"f2\","
        "\"statement\":{\"at\":\"2026-11-23T12:00:00Z\",\"verb\":\"SELECT\",\"tables\":[\"mart.b\"]"
        "}}",
        "\n",
        "junk\n"
    };
    struct diff *d = diff_new(before, after);
    assert_non_null(d);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_true(diff_add_line(d, slice_str(lines[i])));
    struct buf out = { 0 };
    diff_text(d, 10, &out);
    buf_add_u8(&out, '\0');
    assert_string_equal(out.at,
                        "6 decisions: 1 the same, 1 by another rule to the same effect, 4 differ\n"
                        "1 lines could not be read\n"
                        "       3  d => big: x -> y; query_group none -> g\n"
                        "                 2  f2\n"
                        "                 1  f1\n"
                        "       1  d => night: x -> refused (closed)\n");
    buf_truncate(&out, 0);
    diff_json(d, &out);
    struct json_error error;
    struct json_doc *doc = json_parse(buf_slice(&out), out.len, &error);
    assert_non_null(doc);
    assert_int_equal(json_count(json_member(json_root(doc), slice_str("differences"))), 3);
    json_free(doc);
    buf_fini(&out);
    diff_free(d);
    route_table_unref(before);
    route_table_unref(after);
}

static void a_table_does_not_differ_from_itself(void **state)
{
    (void)state;
    enum { RULES = 100 };
    static struct spec specs[RULES];
    static struct situation x;
    struct dice dice = { 31 };
    struct err e;
    for (unsigned i = 0; i < RULES; i++) random_spec(&dice, &specs[i], i, 10, 4);
    struct route_table *t = build_specs(specs, RULES, &e), *again = build_specs(specs, RULES, &e);
    struct diff *d = diff_new(t, again);
    for (int i = 0; i < 5000; i++) {
        random_situation(&dice, &x, 10);
        assert_true(diff_add(d, &x.facts, i % 2 ? &x.statement : NULL, slice_str("")));
    }
    assert_int_equal(diff_totals(d)->same, 5000);
    diff_free(d);
    route_table_unref(t);
    route_table_unref(again);
}

static void rows_are_bounded(void **state)
{
    (void)state;
    struct route_table *a = load("{\"rules\":[{\"id\":\"d\",\"to\":\"x\"}]}");
    struct route_table *b = load("{\"rules\":[{\"id\":\"d\",\"to\":\"y\"}]}");
    struct diff *d = diff_new(a, b);
    struct route_facts f = { 0 };
    for (int i = 0; i < DIFF_ROWS_MAX + 5; i++) {
        char print[16];
        snprintf(print, sizeof print, "%d", i);
        assert_true(diff_add(d, &f, NULL, slice_str(print)));
    }
    assert_int_equal(diff_totals(d)->not_listed, 5);
    assert_int_equal(diff_totals(d)->differ, DIFF_ROWS_MAX + 5);
    diff_free(d);
    route_table_unref(a);
    route_table_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_back),
        cmocka_unit_test(differences_are_counted),
        cmocka_unit_test(a_table_does_not_differ_from_itself),
        cmocka_unit_test(rows_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
