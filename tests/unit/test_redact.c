/* redact and sql_normal: no secret is shown, no literal is left, equal statements are equal. */
#include "unit/unit.h"

#include "auth/redact.h"
#include "protocol/sql_normal.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_redacted(const char *sql, enum redact_form form, const char *shown)
{
    struct buf out = { 0 };
    redact_sql(slice_str(sql), form, 1000, &out);
    buf_add_u8(&out, 0);
    assert_string_equal(out.at, shown);
    buf_fini(&out);
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "select 1", "select 1" },
        { "COPY t FROM 's3://b/k' CREDENTIALS 'aws_secret_access_key=x' CSV",
          "COPY t FROM 's3://b/k' CREDENTIALS '***' CSV" },
        { "copy t from 's3://b' with credentials as\n 'x'",
          "copy t from 's3://b' with credentials as '***'" },
        { "copy t from 'a' access_key_id 'b' secret_access_key 'c' session_token 'd' iam_role 'e'",
          "copy t from 'a' access_key_id '***' secret_access_key '***' session_token '***' "
          "iam_role 'e'" },
        { "copy t from 'a' ENCRYPTED master_symmetric_key /* k */ 'b' delimiter '|'",
          "copy t from 'a' ENCRYPTED master_symmetric_key '***' delimiter '|'" },
        { "CREATE USER u PASSWORD 'p' CREATEDB; select 'q'",
          "CREATE USER u PASSWORD '***' CREATEDB; select 'q'" },
        { "alter user \"u\" encrypted password = $$p$$",
          "alter user \"u\" encrypted password = '***'" },
        { "alter user u password 'a'\n'b' 'c' valid until 'd'",
          "alter user u password '***' '***' valid until 'd'" },
        { "alter user u password \"p\"", "alter user u password '***'" },
        { "alter user u password 12345", "alter user u password '***'" },
        { "alter user u password disable; select 'x'",
          "alter user u password disable; select 'x'" },
        { "select 1 -- password 'x'\n, 2 /* 'y' */", "select 1 , 2" },
        { "create user mapping for x options (user 'u', password 'p')",
          "create user mapping for x options (user 'u', password '***')" },
        { "alter user u password E'p'", "alter user u password E'***'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_redacted(cases[i][0], REDACT_SECRETS, cases[i][1]);
    assert_redacted("copy t from 'a' iam_role 'b'", REDACT_SECRETS_AND_ROLES,
                    "copy t from 'a' iam_role '***'");
    assert_redacted("insert into t values (1, 'a', $$b$$, \"c\")", REDACT_LITERALS,
                    "insert into t values (?, '***', '***', \"c\")");
}

static void unreadable_text_is_not_shown(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "alter user u password 'secret",
        "alter user u password 'a\\'secret'",
        "/* /* */ secret */ select 1",
        "select 1; /* secret",
        "select \"secret",
        "select $a$ secret",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = { 0 };
        buf_add_str(&out, "query=");
        redact_sql(slice_str(cases[i]), REDACT_SECRETS, 1000, &out);
        char expected[80];
        snprintf(expected, sizeof expected, "query=(unreadable statement, %zu bytes, ",
                 strlen(cases[i]));
        assert_memory_equal(out.at, expected, strlen(expected));
        assert_null(memmem(out.at, out.len, "secret", 6));
        buf_fini(&out);
    }
}

static void what_is_shown_is_capped(void **state)
{
    (void)state;
    struct buf out = { 0 };
    redact_sql(slice_str("select a_long_name, b"), REDACT_SECRETS, 10, &out);
    assert_memory_equal(out.at, "select...", 9);
    assert_int_equal(out.len, 9);
    buf_fini(&out);
}

static void assert_normal(const char *sql, const char *normal)
{
    struct buf out = { 0 };
    assert_true(sql_normalize(slice_str(sql), 1000, &out));
    buf_add_u8(&out, 0);
    assert_string_equal(out.at, normal);
    assert_int_equal(sql_fingerprint(slice_str(sql)), sql_fingerprint(slice_str(normal)));
    buf_fini(&out);
}

static void statements_are_normalized(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "SELECT 1", "select ?" },
        { "INSERT INTO Events (id, kind) VALUES (1, 'a'), (-2, 'b') -- batch 7",
          "insert into events(id, kind) values(?)" },
        { "insert into events(id,kind)values(null,default)",
          "insert into events(id, kind) values(?)" },
        { "insert into t values (1, now()), ((select max(a) from u), 2) returning 3",
          "insert into t values(?, now()) returning ?" },
        { "select a, -1, b - 1, - b from t where c in (1, 2, - 3) and d is null",
          "select a, ?, b - ?, - b from t where c in(?) and d is null" },
        { "select x'1f', e'a', $1, $$b$$, 'a'\n'b', 1.5e3", "select x ?, e ?" },
        { "SELECT \"Col\" . a [ 1 ] FROM S . #Tmp ;", "select \"Col\".a[?] from s.#tmp;" },
        { "select '2024-01-01'::date", "select ? :: date" },
        { "set x = 1; set y to 'a', 'b'", "set x = ?; set y to ?" },
        { "alter user a PASSWORD \"secret\" valid until 'x'",
          "alter user a password ? valid until ?" },
        { "copy t from 's' credentials AS \"secret\" csv", "copy t from ? credentials as ? csv" },
        { "create user \"B\" password 'secret'", "create user \"B\" password ?" },
        { "select password, \"A\" from t", "select password, \"A\" from t" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_normal(cases[i][0], cases[i][1]);
}

static void fingerprints_are_of_the_shape(void **state)
{
    (void)state;
    uint64_t one = sql_fingerprint(slice_str("insert into t values (1, 'a')"));
    assert_int_equal(
        one, sql_fingerprint(slice_str("INSERT  INTO t\nVALUES (2,'it''s'),(3,'x') /* c */")));
    assert_int_not_equal(one, sql_fingerprint(slice_str("insert into u values (1, 'a')")));
    assert_int_not_equal(one, sql_fingerprint(slice_str("insert into \"T\" values (1, 'a')")));
    assert_int_not_equal(sql_fingerprint(slice_str("select 'a")),
                         sql_fingerprint(slice_str("select 'b")));
    /* Stable: this number may be in somebody's dashboard. */
    assert_int_equal(sql_fingerprint(slice_str("")), 0xcbf29ce484222325ULL);
}

/* Random texts of whole tokens: the word that stands only in literals and comments never comes out.
 */
static void no_literal_is_left(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "'SECRET'",
        "'it''s SECRET'",
        "$$SECRET '$$",
        "$a$'SECRET$$ $a$",
        "-- SECRET '\n",
        "/* SECRET ' */",
        "E'SECRET\\\\'",
        "'SECRET'\n'SECRET'",
        "1",
        "$1",
        "\"q'\"",
        "select",
        "values",
        "password",
        "as",
        "null",
        "t",
        ",",
        "(",
        ")",
        "-",
        ".",
        "::",
        ";",
        "[",
        "*",
        "U&",
        "#t",
        "=",
    };
    uint32_t x = 3;
    for (int round = 0; round < 50000; round++) {
        struct buf sql = { 0 }, out = { 0 };
        for (int left = 1 + round % 20; left; left--) {
            x = x * 1664525 + 1013904223;
            buf_add_str(&sql, pieces[(x >> 8) % (sizeof pieces / sizeof *pieces)]);
            buf_add_u8(&sql, ' ');
        }
        char *alone = malloc(sql.len);
        memcpy(alone, sql.at, sql.len);
        redact_sql(slice_of(alone, sql.len), REDACT_LITERALS, 1 + x % 700, &out);
        buf_add_u8(&out, '\n');
        sql_normalize(slice_of(alone, sql.len), 1000, &out);
        if (memmem(out.at, out.len, "SECRET", 6))
            print_error("%.*s\n%.*s\n", (int)sql.len, sql.at, (int)out.len, out.at);
        assert_null(memmem(out.at, out.len, "SECRET", 6));
        buf_fini(&out);
        buf_fini(&sql);
        free(alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(unreadable_text_is_not_shown),
        cmocka_unit_test(what_is_shown_is_capped),
        cmocka_unit_test(statements_are_normalized),
        cmocka_unit_test(fingerprints_are_of_the_shape),
        cmocka_unit_test(no_literal_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
