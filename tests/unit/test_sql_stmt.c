/* sql_stmt: what statements need, in the order of their text, and why a text is refused. */
#include "unit/unit.h"

#include "protocol/sql_stmt.h"

#include <stdio.h>
#include <stdlib.h>

/* Writes down every need; says no from the `limit`-th on. */
struct log {
    char text[1024];
    size_t len;
    unsigned needs, limit;
};

static const char *const what[] = {
    [SQL_NEED_OBJECT] = "",
    [SQL_NEED_VERB] = "any ",
    [SQL_NEED_FUNCTION] = "call ",
    [SQL_NEED_SETTING] = "set ",
    [SQL_NEED_PREPARE] = "prepare ",
    [SQL_NEED_EXECUTE] = "execute ",
    [SQL_NEED_DEALLOCATE] = "deallocate ",
    [SQL_NEED_DECLARE] = "declare ",
    [SQL_NEED_FETCH] = "fetch ",
    [SQL_NEED_CLOSE] = "close ",
    [SQL_NEED_COPY_FROM] = "from ",
    [SQL_NEED_COPY_ROLE] = "role ",
    [SQL_NEED_COPY_CREDENTIALS] = "credentials ",
    [SQL_NEED_COPY_KEY] = "key ",
    [SQL_NEED_END] = "end ",
};

static bool note(void *context, const struct sql_need *n)
{
    struct log *log = context;
    char name[256];
    const bool with_verb = n->what == SQL_NEED_OBJECT || n->what == SQL_NEED_VERB;
    sql_name_print(&n->name, SQL_CASE_KEEP, name, sizeof name);
    log->len += (size_t)snprintf(
        log->text + log->len, sizeof log->text - log->len, "%s%s%s%s%s%s%.*s", log->len ? "; " : "",
        what[n->what], with_verb ? sql_verb_name(n->verb) : "", with_verb && *name ? " " : "", name,
        n->what == SQL_NEED_END ? sql_kind_name(n->kind) : "", SLICE_ARG(n->value));
    assert_true(log->len < sizeof log->text);
    return ++log->needs < log->limit;
}

static bool read_as(const char *text, enum sql_case letters, struct log *log,
                    struct sql_reading *reading)
{
    *log = (struct log){ .limit = UINT32_MAX };
    const struct sql_policy policy = { .context = log, .need = note, .letters = letters };
    return sql_stmt_read(slice_str(text), &policy, reading);
}

static void needs_are_told_in_order(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "INSERT INTO a.b VALUES (1, now())", "INSERT a.b; call now; end INSERT" },
        { "insert into A.\"b c\" select x.y from S.T x, u",
          "INSERT a.b c; SELECT s.t; SELECT u; end INSERT" },
        { "INSERT INTO a VALUES (1, 'x'), (2, 'y'), ((SELECT z FROM b)), (3, NULL)",
          "INSERT a; SELECT b; end INSERT" },
        { "WITH x AS (SELECT * FROM x), y AS (SELECT * FROM x) SELECT * FROM y, z.x",
          "SELECT x; SELECT z.x; end SELECT" },
        { "WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x) DELETE FROM x USING x",
          "DELETE x; end DELETE" },
        { "UPDATE t SET a = b FROM s WHERE EXISTS (SELECT 1 FROM u)",
          "UPDATE t; SELECT s; SELECT t; SELECT u; end UPDATE" },
        { "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
          "MERGE t; SELECT s; end MERGE" },
        { "TRUNCATE a; VACUUM b; ANALYZE c.d",
          "TRUNCATE a; end TRUNCATE; MAINTAIN b; end VACUUM; MAINTAIN c.d; end ANALYZE" },
        { "SELECT a INTO #x FROM b", "CREATE_TEMP #x; SELECT b; end SELECT" },
        { "CREATE TABLE x AS SELECT a FROM b", "DDL x; SELECT b; end CREATE" },
        { "ALTER TABLE s.x RENAME TO y", "DDL s.x; DDL s.y; end ALTER" },
        { "UNLOAD ('SELECT a FROM b WHERE c = ''d''') TO 's3://x'",
          "SELECT b; UNLOAD b; end UNLOAD" },
        { "UNLOAD ('SELECT 1') TO 's3://x'", "any UNLOAD; end UNLOAD" },
        { "COPY t FROM 's3://x' IAM_ROLE default ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'",
          "COPY t; from 's3://x'; role default; key 'a'; key 'b'; end COPY" },
        { "COPY t FROM 's3://x' WITH CREDENTIALS AS 'k=v'",
          "COPY t; from 's3://x'; credentials 'k=v'; end COPY" },
        { "PREPARE p AS SELECT a FROM t; EXECUTE p(f()); DEALLOCATE p; DEALLOCATE ALL",
          "SELECT t; prepare p; end PREPARE; execute p; call f; end EXECUTE; deallocate p; "
          "end DEALLOCATE; deallocate ; end DEALLOCATE" },
        { "DECLARE c CURSOR FOR SELECT a FROM t; FETCH ALL FROM c; CLOSE c",
          "SELECT t; declare c; end DECLARE; fetch c; end FETCH; close c; end CLOSE" },
        { "SET a TO 'b'; SET x.y = 5; RESET c; SET TIME ZONE 'UTC'; SET NAMES 'z'",
          "set a'b'; end SET; set x.y5; end SET; set c; end RESET; set timezone'UTC'; end SET; "
          "set client_encoding'z'; end SET" },
        { "CALL s.p(1)", "CALL s.p; end CALL" },
        { "SELECT CURRENT_USER, (1).f, a[1].b FROM t",
          "call current_user; call f; SELECT t; end SELECT" },
        { "EXPLAIN SELECT a FROM t", "SELECT t; end EXPLAIN" },
        { "BEGIN; SHOW x; COMMIT", "end BEGIN; end SHOW; end COMMIT" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log log;
        struct sql_reading reading;
        const bool ok = read_as(cases[i][0], SQL_CASE_UNKNOWN, &log, &reading);
        if (!ok || strcmp(log.text, cases[i][1]) != 0)
            fail_msg("%s: %s at %u: %s", cases[i][0], sql_refusal_name(reading.refusal), reading.at,
                     log.text);
    }
}

static void refusals_have_a_reason_and_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sql_refusal refusal;
        uint32_t statement, at;
    } cases[] = {
        { "SELECT 1; DROP SCHEMA x", SQL_REFUSED_STATEMENT, 2, 15 },
        { ";; SELECT 1 1", SQL_REFUSED_SYNTAX, 1, 12 },
        { "INSERT INTO a VALUES ('\\'')", SQL_REFUSED_LEX, 1, 23 },
        { "SELECT 1; SELECT $$x$$; SELECT ) ", SQL_REFUSED_LEX, 2, 17 },
        { "INSERT INTO a VALUES (1) RETURNING b", SQL_REFUSED_RETURNING, 1, 25 },
        { "INSERT INTO \"A\" VALUES (1)", SQL_REFUSED_QUOTED_CAPITALS, 1, 12 },
        { "SELECT a", SQL_REFUSED_BARE_COLUMN, 1, 7 },
        { "SELECT 'x'::regconfig", SQL_REFUSED_TYPE, 1, 12 },
        { "SELECT 1 OPERATOR(public.+) 1", SQL_REFUSED_SYNTAX, 1, 18 },
        { "SELECT * FROM f(1)", SQL_REFUSED_TABLE_FUNCTION, 1, 14 },
        { "VACUUM", SQL_REFUSED_NO_TABLE, 1, 6 },
        { "TRUNCATE a CASCADE", SQL_REFUSED_CASCADE, 1, 11 },
        { "CREATE TEMP TABLE a.b (c int)", SQL_REFUSED_TEMP_NAME, 1, 18 },
        { "COPY a FROM STDIN", SQL_REFUSED_COPY_SOURCE, 1, 12 },
        { "COPY a FROM 's3://x' TURBO", SQL_REFUSED_COPY_OPTION, 1, 21 },
        { "UNLOAD ('DELETE FROM x') TO 's3://x'", SQL_REFUSED_UNLOAD_QUERY, 1, 8 },
        { "RESET ALL", SQL_REFUSED_RESET_ALL, 1, 6 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log log;
        struct sql_reading r;
        assert_false(read_as(cases[i].text, SQL_CASE_UNKNOWN, &log, &r));
        if (r.refusal != cases[i].refusal || r.statement != cases[i].statement ||
            r.at != cases[i].at)
            fail_msg("%s: %s, statement %u at %u", cases[i].text, sql_refusal_name(r.refusal),
                     r.statement, r.at);
    }
}

static void the_policy_ends_the_reading(void **state)
{
    (void)state;
    struct log log = { .limit = 2 };
    struct sql_reading reading;
    const struct sql_policy policy = { .context = &log, .need = note };
    assert_false(sql_stmt_read(slice_str("INSERT INTO a SELECT * FROM b, c"), &policy, &reading));
    assert_int_equal(reading.refusal, SQL_REFUSED_POLICY);
    assert_int_equal(reading.at, 28);
    assert_string_equal(log.text, "INSERT a; SELECT b");
}

static void quoted_capitals_follow_the_setting(void **state)
{
    (void)state;
    struct log log;
    struct sql_reading reading;
    const char *const text = "WITH \"X\" AS (SELECT 1) SELECT * FROM x";
    assert_false(read_as(text, SQL_CASE_UNKNOWN, &log, &reading));
    assert_true(read_as(text, SQL_CASE_FOLD, &log, &reading));
    assert_string_equal(log.text, "end SELECT");
    assert_true(read_as(text, SQL_CASE_KEEP, &log, &reading));
    assert_string_equal(log.text, "SELECT x; end SELECT");
}

/* `open` n times, and a text that is whole with it n times closed. */
static bool read_nested(const char *open, const char *middle, const char *close, unsigned n)
{
    const size_t cap = (strlen(open) + strlen(close)) * n + 64;
    char *text = malloc(cap);
    size_t len = (size_t)snprintf(text, cap, "SELECT ");
    for (unsigned i = 0; i < n; i++) len += (size_t)snprintf(text + len, cap - len, "%s", open);
    len += (size_t)snprintf(text + len, cap - len, "%s", middle);
    for (unsigned i = 0; i < n; i++) len += (size_t)snprintf(text + len, cap - len, "%s", close);
    struct log log;
    struct sql_reading reading;
    const bool ok = read_as(text, SQL_CASE_UNKNOWN, &log, &reading);
    if (!ok) assert_int_equal(reading.refusal, SQL_REFUSED_DEPTH);
    free(text);
    return ok;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const char *const forms[][3] = { { "(", "1", ")" },
                                            { "(SELECT ", "1", ")" },
                                            { "CASE WHEN ", "TRUE", " THEN 1 END" },
                                            { "1 IN (", "1", ")" },
                                            { "(1, ", "1", ")" } };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_true(read_nested(forms[i][0], forms[i][1], forms[i][2], 100));
        assert_true(read_nested(forms[i][0], forms[i][1], forms[i][2], SQL_DEPTH));
        assert_false(read_nested(forms[i][0], forms[i][1], forms[i][2], SQL_DEPTH + 1));
        assert_false(read_nested(forms[i][0], forms[i][1], forms[i][2], 200000));
    }
}

/* More names in scope than are kept must never let one hide a table unseen. */
static void too_many_ctes(void **state)
{
    (void)state;
    char text[4096] = "WITH ";
    size_t len = 5;
    for (int i = 0; i < SQL_CTES + 1; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sx%d AS (SELECT 1)", i ? ", " : "",
                                i);
    snprintf(text + len, sizeof text - len, " SELECT 1");
    struct log log;
    struct sql_reading reading;
    assert_false(read_as(text, SQL_CASE_UNKNOWN, &log, &reading));
    assert_int_equal(reading.refusal, SQL_REFUSED_CTE_LIMIT);
}

static void refusals_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < SQL_REFUSAL_COUNT; i++) {
        assert_true(sql_refusal_name((enum sql_refusal)i)[0] != 0);
        assert_true(sql_refusal_text((enum sql_refusal)i)[0] != 0);
    }
    assert_string_equal(sql_refusal_name(SQL_REFUSED_DEPTH), "DEPTH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_are_told_in_order),
        cmocka_unit_test(refusals_have_a_reason_and_a_place),
        cmocka_unit_test(the_policy_ends_the_reading),
        cmocka_unit_test(quoted_capitals_follow_the_setting),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(too_many_ctes),
        cmocka_unit_test(refusals_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
