/* sql_settings: interned sets, the SQL between two of them, values as they arrive at startup. */
#include "unit/unit.h"

#include "protocol/sql_setting.h"
#include "protocol/sql_settings.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
    struct settings_table *table;
    struct settings *none;
    struct err err;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->table = settings_table_new((struct map_seed){ 1, 2 });
    w->none = settings_none(w->table);
    *state = w;
    return 0;
}

/* ASan says when a set was not given back. */
static int teardown(void **state)
{
    struct world *w = *state;
    settings_unref(w->none);
    settings_table_free(w->table);
    free(w);
    return 0;
}

/* `old`, given up, with one more. */
static struct settings *with(struct settings *old, const char *name, const char *raw)
{
    struct err e;
    struct settings *s = settings_with(old, slice_str(name), slice_str(raw), &e);
    assert_non_null(s);
    settings_unref(old);
    return s;
}

static void assert_diff(struct settings *from, struct settings *to, const char *sql)
{
    struct buf out = { 0 };
    settings_diff_sql(from, to, &out);
    buf_add_u8(&out, 0);
    assert_string_equal(out.at, sql);
    buf_fini(&out);
}

static void equal_sets_are_one(void **state)
{
    struct world *w = *state;
    struct settings *a = with(with(settings_ref(w->none), "A", "1"), "b", "'x'");
    struct settings *b = with(with(settings_ref(w->none), "\"B\"", "'x'"), "a", "1");
    struct settings *c = with(settings_ref(a), "b", "'y'");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    struct settings *d = with(settings_ref(c), "b", "'x'");
    assert_ptr_equal(a, d);
    struct settings *e = settings_without(a, slice_str("B"), &w->err);
    struct settings *f = settings_without(e, slice_str("a"), &w->err);
    assert_int_equal(settings_count(e), 1);
    assert_ptr_equal(f, w->none);
    assert_true(slice_is(settings_get(a, slice_str("b")), "'x'"));
    assert_null(settings_get(a, slice_str("c")).at);
    struct settings *all[] = { a, b, c, d, e, f };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) settings_unref(all[i]);
}

static void the_difference_is_said(void **state)
{
    struct world *w = *state;
    struct settings *a =
        with(with(with(settings_ref(w->none), "z", "1"), "a.user", "'2'"), "m", "x, 'y'");
    struct settings *b =
        with(with(settings_ref(w->none), "m", "x, 'z'"), "client_encoding", "'latin1'");
    struct settings *c = with(with(settings_ref(a), "timezone", "interval '1' hour"), "names", "1");
    assert_diff(w->none, a, "SET \"a\".\"user\" TO '2';SET m TO x, 'y';SET z TO 1;");
    assert_diff(a, w->none, "RESET \"a\".\"user\";RESET m;RESET z;");
    assert_diff(a, a, "");
    assert_diff(a, b,
                "SET client_encoding TO 'latin1';RESET \"a\".\"user\";SET m TO x, 'z';RESET z;");
    assert_diff(b, a,
                "RESET client_encoding;SET \"a\".\"user\" TO '2';SET m TO x, 'y';SET z TO 1;");
    assert_diff(a, c, "SET \"names\" TO 1;SET TIME ZONE interval '1' hour;");
    settings_unref(a);
    settings_unref(b);
    settings_unref(c);
}

static void what_cannot_be_repeated_is_refused(void **state)
{
    struct world *w = *state;
    static const char *const bad[][2] = {
        { "a", "1; DROP TABLE t" },
        { "a", "'x\\'" },
        { "a", "f()" },
        { "a", "" },
        { "a b", "1" },
        { "a;--", "1" },
        { "", "1" },
        { "a", "'x" },
        { "a", "1 -- " },
        { "a", "(select 1)" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(settings_with(w->none, slice_str(bad[i][0]), slice_str(bad[i][1]), &w->err));
        assert_int_equal(w->err.code, ERR_INVALID_VALUE);
    }
    assert_null(settings_with(w->none, slice_str("a"), slice_of("'a\0b'", 5), &w->err));
    assert_null(settings_with_text(w->none, slice_str("a"), slice_of("a\0b", 3), true, &w->err));
}

static void sets_are_bounded(void **state)
{
    struct world *w = *state;
    struct settings *s = settings_ref(w->none);
    for (int i = 0; i < SETTINGS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        s = with(s, name, "1");
    }
    assert_null(settings_with(s, slice_str("one_more"), slice_str("1"), &w->err));
    assert_int_equal(w->err.code, ERR_TOO_LARGE);
    s = with(s, "n7", "2"); /* replacing is no more */
    settings_unref(s);

    static char text[SETTINGS_BYTES_MAX];
    memset(text, 'x', sizeof text);
    assert_null(
        settings_with_text(w->none, slice_str("a"), slice_of(text, sizeof text), true, &w->err));
    assert_int_equal(w->err.code, ERR_TOO_LARGE);
    s = settings_with_text(w->none, slice_str("a"), slice_of(text, sizeof text - 5), true, &w->err);
    assert_non_null(s);
    settings_unref(s);
}

static void startup_values_are_text(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *name, *text;
        bool escapes;
        const char *sql;
    } cases[] = {
        { "application_name", "[main]O'Hara", true, "SET application_name TO '[main]O''Hara';" },
        { "application_name", "C:\\x\\'", true, "SET application_name TO 'C:\\\\x\\\\''';" },
        { "application_name", "C:\\x", false, "SET application_name TO 'C:\\x';" },
        { "application_name", "'; DROP TABLE t; --", true,
          "SET application_name TO '''; DROP TABLE t; --';" },
        { "DateStyle", "ISO, MDY", true, "SET datestyle TO 'ISO, MDY';" },
        { "search_path", "", true, "SET search_path TO '';" },
        { "search_path", "\"$user\", Public", true, "SET search_path TO '$user', 'public';" },
        { "search_path", " a ,\"B \"\"c, \" ,$user ", true,
          "SET search_path TO 'a', 'B \"c, ', '$user';" },
        { "search_path", "o'x", true, "SET search_path TO 'o''x';" },
        { "search_path", "a,", true, NULL },
        { "search_path", ",a", true, NULL },
        { "search_path", "a b", true, NULL },
        { "search_path", "\"a", true, NULL },
        { "search_path", "\"a\"\"", true, NULL },
        { "search_path", "\"a\"b", true, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings_pair pair = { slice_str(cases[i].name), slice_str(cases[i].text) };
        struct settings *s = settings_from_startup(w->table, &pair, 1, cases[i].escapes, &w->err);
        if (!cases[i].sql) {
            assert_null(s);
            assert_int_equal(w->err.code, ERR_INVALID_VALUE);
            continue;
        }
        assert_non_null(s);
        assert_diff(w->none, s, cases[i].sql);
        settings_unref(s);
    }
}

/* Follows the acts of a text. */
static struct settings *after_text(struct world *w, struct settings *startup, const char *sql)
{
    struct sql_effects e;
    struct settings *s = settings_ref(startup);
    sql_effects(slice_str(sql), false, &e);
    for (uint32_t i = 0; i < e.act_count && s; i++) {
        struct settings *next = settings_after(s, startup, &e.acts[i], true, &w->err);
        settings_unref(s);
        s = next;
    }
    return s;
}

static void acts_are_followed(void **state)
{
    struct world *w = *state;
    struct settings *startup = with(settings_ref(w->none), "timezone", "'Europe/Berlin'");
    static const struct {
        const char *sql, *diff; /* to the startup's */
    } cases[] = {
        { "SET a TO 1; SET LOCAL b TO 2; SET timezone TO UTC", "SET a TO 1;SET timezone TO UTC;" },
        { "SET timezone TO UTC; SET a = b; RESET TimeZone", "SET a TO b;" },
        { "SET timezone TO UTC; SET a = b; RESET ALL", "" },
        { "SET a = b; DISCARD ALL", "" },
        { "SET a = b; DISCARD PLANS", "SET a TO b;" },
        { "SELECT set_config('search_path', 'A, \"B\", it''s', false)",
          "SET search_path TO 'a', 'B', 'it''s';" },
        { "SELECT set_config('My.Order', 'it''s', false)", "SET \"my\".\"order\" TO 'it''s';" },
        { "SELECT set_config('a', '', false)", "SET a TO '';" },
        { "SET a TO 1; SELECT set_config('a', NULL, false)", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings *s = after_text(w, startup, cases[i].sql);
        assert_non_null(s);
        assert_diff(startup, s, cases[i].diff);
        settings_unref(s);
    }
    settings_unref(startup);
}

/* Walking from set to set by the statements between them ends where it should. */
static void differences_add_up(void **state)
{
    struct world *w = *state;
    struct settings *s = settings_ref(w->none);
    char model[8] = { 0 }; /* 0: not set */
    uint32_t x = 7;
    for (int step = 0; step < 3000; step++) {
        x = x * 1664525 + 1013904223;
        unsigned which = x >> 24 & 7, value = x >> 16 & 3;
        char name[2] = { (char)('a' + which), 0 }, raw[2] = { (char)('0' + value), 0 };
        struct settings *next = value ? settings_with(s, slice_str(name), slice_str(raw), &w->err)
                                      : settings_without(s, slice_str(name), &w->err);
        model[which] = value ? raw[0] : 0;

        char said[8];
        for (uint32_t i = 0; i < 8; i++) {
            char n[2] = { (char)('a' + i), 0 };
            struct slice v = settings_get(s, slice_str(n));
            said[i] = v.at ? *v.at : 0;
        }
        struct buf sql = { 0 };
        settings_diff_sql(s, next, &sql);
        for (uint32_t i = 0; i < sql.len;) {
            bool is_set = sql.at[i] == 'S';
            unsigned at = (unsigned)(sql.at[i + (is_set ? 4 : 6)] - 'a');
            said[at] = is_set ? sql.at[i + 9] : 0;
            while (sql.at[i++] != ';') {
            }
        }
        assert_memory_equal(said, model, sizeof model);
        assert_true((sql.len == 0) == (s == next));
        buf_fini(&sql);
        settings_unref(s);
        s = next;
    }
    settings_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_sets_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(the_difference_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_repeated_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(startup_values_are_text, setup, teardown),
        cmocka_unit_test_setup_teardown(acts_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(differences_add_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
