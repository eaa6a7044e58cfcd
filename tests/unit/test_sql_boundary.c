/* sql_boundary: what is a transaction's beginning or end, and what only looks like it. */
#include "unit/unit.h"

#include "protocol/sql_boundary.h"

#include <stdio.h>
#include <stdlib.h>

/* Alone in memory, so that a byte too many is seen. */
static enum sql_boundary of(const char *sql)
{
    size_t len = strlen(sql);
    char *alone = malloc(len ? len : 1);
    memcpy(alone, sql, len);
    enum sql_boundary b = sql_boundary(slice_of(alone, len));
    free(alone);
    return b;
}

static void beginnings(void **state)
{
    (void)state;
    static const char *const plain[] = { "begin", "BEGIN;", "Begin Work ; ;",
                                         "/* a tag */ begin transaction -- and so on",
                                         " \n begin" },
                             *const with[] = { "begin isolation level serializable",
                                               "begin transaction isolation level read committed",
                                               "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                               "begin read write, not deferrable",
                                               "begin work isolation level read uncommitted,"
                                               " read only, deferrable;" };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        assert_int_equal(of(plain[i]), SQL_BOUNDARY_BEGIN);
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        assert_int_equal(of(with[i]), SQL_BOUNDARY_BEGIN_WITH);
    assert_int_equal(of("start transaction"), SQL_BOUNDARY_START);
    assert_int_equal(of("start transaction read only"), SQL_BOUNDARY_START_WITH);
}

static void ends(void **state)
{
    (void)state;
    static const char *const commits[] = { "commit", "END", "end work;", "commit transaction",
                                           "commit and no chain" },
                             *const rollbacks[] = { "rollback", "ABORT", "rollback work",
                                                    "abort transaction and no chain ;" };
    for (size_t i = 0; i < sizeof commits / sizeof *commits; i++)
        assert_int_equal(of(commits[i]), SQL_BOUNDARY_COMMIT);
    for (size_t i = 0; i < sizeof rollbacks / sizeof *rollbacks; i++)
        assert_int_equal(of(rollbacks[i]), SQL_BOUNDARY_ROLLBACK);
}

static void all_else(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        ";",
        "select 1",
        "begin; select 1",
        "begin begin",
        "begin isolation level",
        "begin isolation level whatever",
        "begin isolation level snapshot",
        "begin isolation serializable",
        "begin read",
        "begin read only,",
        "begin , read only",
        "begin not",
        "begin work transaction",
        "begin 'x'",
        "begin \"work\"",
        "\"begin\"",
        "start",
        "start work",
        "start transaction; insert into t values (1)",
        "commit and chain",
        "commit and",
        "commit prepared 'x'",
        "rollback to savepoint a",
        "rollback to a",
        "rollback prepared 'x'",
        "abort 1",
        "end;commit",
        "savepoint a",
        "beginning",
        "begin /* never closed",
        "begin /* /* nested */ */ ",
        "begin $$",
        "begin \xc3",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (of(others[i]) != SQL_BOUNDARY_NONE) fail_msg("%s", others[i]);
    assert_int_equal(sql_boundary(slice_of("begin\0; x", 9)), SQL_BOUNDARY_NONE);
    char longer[SQL_BOUNDARY_BYTES + 10];
    memset(longer, ' ', sizeof longer);
    memcpy(longer, "begin", 5);
    assert_int_equal(sql_boundary(slice_of(longer, SQL_BOUNDARY_BYTES)), SQL_BOUNDARY_BEGIN);
    assert_int_equal(sql_boundary(slice_of(longer, sizeof longer)), SQL_BOUNDARY_NONE);
}

static void tags(void **state)
{
    (void)state;
    assert_string_equal(sql_boundary_tag(of("begin read only")), "BEGIN");
    assert_string_equal(sql_boundary_tag(of("start transaction")), "START TRANSACTION");
    assert_string_equal(sql_boundary_tag(of("end")), "COMMIT");
    assert_string_equal(sql_boundary_tag(of("abort")), "ROLLBACK");
    assert_true(sql_boundary_opens(of("begin")) && !sql_boundary_closes(of("begin")));
    assert_true(sql_boundary_closes(of("end")) && !sql_boundary_opens(of("end")));
    assert_false(sql_boundary_opens(SQL_BOUNDARY_NONE) || sql_boundary_closes(SQL_BOUNDARY_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginnings),
        cmocka_unit_test(ends),
        cmocka_unit_test(all_else),
        cmocka_unit_test(tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
