/* sql_effects: what is carried, what pins, in which order, and never less than there is. */
#include "unit/unit.h"

#include "protocol/sql_effects.h"
#include "protocol/sql_setting.h"

#include <stdio.h>

#define E(name) SQL_EFFECT_##name

static struct sql_effects read_text(const char *sql)
{
    struct sql_effects e;
    sql_effects(slice_str(sql), false, &e);
    return e;
}

static void effects_of_statements(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        uint32_t effects;
    } cases[] = {
        { "", 0 },
        { ";;  /* nothing */ -- at all", 0 },
        { "SELECT 1", 0 },
        { "select a, b from t where c = 'it''s' -- set_config(", 0 },
        { "(select 1) union (select 2)", 0 },
        { "INSERT INTO temp VALUES (1, 'pg_backend_pid()', \"x(\")", 0 },
        { "COPY t FROM 's3://b/k' IAM_ROLE 'arn' CSV", 0 },
        { "copy t from stdin", E(COPY_IN) },
        { "COPY (SELECT 1) TO STDOUT WITH (FORMAT csv)", E(COPY_OUT) },
        { "select stdin from t", 0 },
        { "BEGIN", E(BEGIN) },
        { "start transaction read only", E(BEGIN) },
        { "commit work", E(COMMIT) },
        { "End", E(COMMIT) },
        { "ABORT", E(ROLLBACK) },
        { "rollback to savepoint s", E(ROLLBACK) },
        { "SAVEPOINT s", E(SAVEPOINT) },
        { "RELEASE s", E(SAVEPOINT) },
        { "LOCK t", E(LOCK) },
        { "SHOW ALL", E(SHOW) },
        { "DISCARD ALL", E(DISCARD) },
        { "USE other", E(DATABASE) },
        { "RESET USE", E(DATABASE) },
        { "LOAD 'plpgsql'", E(LIBRARY) },
        { "LISTEN c", E(LISTEN) },
        { "UNLISTEN *", E(NOTIFY) },
        { "NOTIFY c, 'x'", E(NOTIFY) },
        { "CALL p(1)", E(CODE) },
        { "DO $$ begin perform set_config('a', 'b', false); end $$", E(CODE) },
        { "CREATE TABLE t (temp int)", E(DDL) },
        { "create table temp (a int)", E(DDL) },
        { "CREATE TEMP TABLE t (a int)", E(DDL) | E(TEMP_TABLE) },
        { "create local temporary table t as select 1", E(DDL) | E(TEMP_TABLE) },
        { "CREATE OR REPLACE TEMP VIEW v AS SELECT 1", E(DDL) | E(TEMP_TABLE) },
        { "CREATE TABLE #t (a int)", E(DDL) | E(TEMP_TABLE) },
        { "CREATE TABLE IF NOT EXISTS \"#t\" (a int)", E(DDL) | E(TEMP_TABLE) },
        { "CREATE TABLE pg_temp.t (a int)", E(DDL) | E(TEMP_TABLE) },
        { "CREATE FUNCTION \"pg_temp\".f() RETURNS int AS '' LANGUAGE sql",
          E(DDL) | E(TEMP_TABLE) },
        { "CREATE TABLE t AS SELECT a # b FROM #x", E(DDL) },
        { "SELECT 1 INTO t", E(DDL) },
        { "SELECT a INTO TEMP t FROM b", E(DDL) | E(TEMP_TABLE) },
        { "SELECT a into /* x */ local temp table t FROM b", E(DDL) | E(TEMP_TABLE) },
        { "SELECT a INTO #t FROM b", E(DDL) | E(TEMP_TABLE) },
        { "SELECT a INTO TABLE \"#t\" FROM b", E(DDL) | E(TEMP_TABLE) },
        { "SELECT 1into temp t", E(DDL) | E(TEMP_TABLE) }, /* some servers cut it there */
        { "SELECT a, 1into temp t", E(DDL) | E(TEMP_TABLE) },
        { "WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a", E(DDL) | E(TEMP_TABLE) },
        { "EXPLAIN ANALYZE SELECT 1 INTO TEMP t", E(DDL) | E(TEMP_TABLE) },
        { "EXPLAIN (ANALYZE, FORMAT json) SELECT 1 INTO TEMP t", E(DDL) | E(TEMP_TABLE) },
        { "EXPLAIN (SELECT pg_backend_pid())", E(BACKEND_PID) },
        { "explain verbose insert into t values (1)", 0 },
        { "DROP TABLE t", E(DDL) },
        { "ALTER TABLE t ADD c int", E(DDL) },
        { "DECLARE c CURSOR FOR SELECT 1", E(CURSOR) },
        { "DECLARE c CURSOR WITH HOLD FOR SELECT 1", E(CURSOR_HOLD) },
        { "DECLARE c CURSOR WITHOUT HOLD FOR WITH hold AS (SELECT 1) SELECT * FROM hold",
          E(CURSOR) },
        { "FETCH 10 FROM c", E(CURSOR_USE) },
        { "CLOSE ALL", E(CURSOR_USE) },
        { "SELECT pg_advisory_lock(1)", E(ADVISORY_LOCK) },
        { "SELECT pg_catalog . \"PG_TRY_ADVISORY_LOCK_SHARED\" /* x */ (1)", E(ADVISORY_LOCK) },
        { "SELECT pg_advisory_xact_lock(1)", 0 },
        { "SELECT pg_advisory_unlock_all()", E(ADVISORY_UNLOCK) },
        { "SELECT pg_backend_pid", 0 },
        { "SELECT pg_backend_pid -- c\n ()", E(BACKEND_PID) },
        { "SELECT pg_backend_pid, (1)", 0 },
        { "SELECT * FROM pg_last_copy_count()", E(LAST) },
        { "SELECT currval('s')", E(SEQUENCE) },
        { "SELECT nextval('s')", 0 },
        { "SELECT setseed(.5)", E(SEED) },
        { "SET SEED TO .25", E(SEED) },
        { "SET ROLE x", E(IDENTITY) },
        { "SET LOCAL role TO x", E(IDENTITY) },
        { "SET SESSION AUTHORIZATION 'x'", E(IDENTITY) },
        { "SET \"session_authorization\" = x", E(IDENTITY) },
        { "RESET SESSION AUTHORIZATION", E(IDENTITY) },
        { "SELECT set_config('role', 'x', false)", E(IDENTITY) },
        { "SET TRANSACTION READ ONLY", E(LOCAL_SETTING) },
        { "SET transaction_read_only = on", E(LOCAL_SETTING) },
        { "SET CONSTRAINTS ALL DEFERRED", E(LOCAL_SETTING) },
        { "SET LOCAL a.b TO 1", E(LOCAL_SETTING) },
        { "SELECT set_config('search_path', $1, true)", E(LOCAL_SETTING) },
        { "SELECT set_config($1, $2, $3)", E(UNREAD) },
        { "SELECT set_config('a', 'b', false) FROM t", E(UNREAD) },
        { "SELECT set_config('a', 'x' || 'b', false)", E(UNREAD) },
        { "SELECT CASE WHEN x THEN set_config('a', 'b', false) END", E(UNREAD) },
        { "UPDATE pg_settings SET setting = 'x' WHERE name = 'y'", E(UNREAD) },
        { "SELECT * FROM pg_settings", 0 },
        { "EXECUTE p (1, pg_backend_pid())", E(PREPARED) | E(BACKEND_PID) },
        { "PREPARE p AS SELECT lastval()", E(PREPARED) | E(SEQUENCE) },
        { "PREPARE p AS CREATE TABLE t (a int)", E(PREPARED) | E(UNREAD) },
        { "PREPARE TRANSACTION 'x'", E(COMMIT) },
        { "DEALLOCATE PREPARE ALL", E(PREPARED) },
        { "SELECT $$ ' $$, 1", 0 },
        { "SELECT $a$ $b$ ; set x to 1 $a$", 0 },
        { "INSERT INTO t VALUES (E'it\\'s')", 0 },
        { "INSERT INTO t VALUES ('C:\\\\')", 0 },
        { "VACUUM", 0 },
        { "UNLOAD ('select 1') TO 's3://x'", 0 },
        /* unread */
        { "SELCT 1", E(UNREAD) },
        { "SET\xc2\xa0x TO 1", E(UNREAD) },
        { "\"set\" x to 1", E(UNREAD) },
        { "1", E(UNREAD) },
        { "SELECT 'it\\'s'", E(UNREAD) },
        { "SELECT 'abc", E(UNREAD) },
        { "SELECT \"abc", E(UNREAD) },
        { "SELECT \"", E(UNREAD) },
        { "SELECT $a$ abc", E(UNREAD) },
        { "SELECT 1 /* ", E(UNREAD) },
        { "/* /* */ */ SELECT 1", E(UNREAD) },
        { "SELECT 1; /* /* */ */", E(UNREAD) },
        { "SELECT /*/ 1 */ 2", 0 },
        { "SELECT U&\"\\0073et_config\"('a', 'b', false)", E(UNREAD) },
        { "SET x TO a b", E(SETTING) | E(UNREAD) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t got = read_text(cases[i].sql).effects;
        if (cases[i].effects & E(UNREAD) && got & E(UNREAD)) continue;
        if (got != cases[i].effects)
            print_error("%s: %08x, not %08x\n", cases[i].sql, got, cases[i].effects);
        assert_int_equal(got, cases[i].effects);
    }
}

/* "SET a=1 reset:b* ..." for comparing. A star: local. */
static void write_acts(const struct sql_effects *e, char *out, size_t cap)
{
    static const char *const names[] = { "set",        "config",  "reset",      "reset-all",
                                         "prepare",    "execute", "deallocate", "deallocate-all",
                                         "discard",    "begin",   "commit",     "rollback",
                                         "rollback-to" };
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < e->act_count; i++) {
        const struct sql_act *a = &e->acts[i];
        n += (size_t)snprintf(out + n, cap - n, "%s%u %s%s", i ? "; " : "", a->statement,
                              names[a->kind], a->local ? "*" : "");
        if (a->name.len) n += (size_t)snprintf(out + n, cap - n, " <%.*s>", SLICE_ARG(a->name));
        if (a->value.len) n += (size_t)snprintf(out + n, cap - n, " <%.*s>", SLICE_ARG(a->value));
    }
}

static void acts_are_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *acts;
    } cases[] = {
        { "SET a=1; SET B.\"C\" = 'x, y' , z ; ;select 1",
          "0 set <a> <1>; 1 set <B.\"C\"> <'x, y' , z>" },
        { "BEGIN; SET LOCAL a TO b; RESET a; ROLLBACK",
          "0 begin; 1 set* <a> <b>; 2 reset <a>; 3 rollback" },
        { "set session x = -1; set y=-1", "0 set <x> <-1>; 1 set <y> <-1>" },
        { "set session to 1; set local = 2", "0 set <session> <1>; 1 set <local> <2>" },
        { "SET x TO DEFAULT; RESET ALL", "0 reset <x>; 1 reset-all" },
        { "SET TIME ZONE 'UTC'; SET TIME ZONE LOCAL; set time zone -8",
          "0 set <timezone> <'UTC'>; 1 reset <timezone>; 2 set <timezone> <-8>" },
        { "SET client_min_messages TO warning;SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE;",
          "0 set <client_min_messages> <warning>; 1 set <timezone> <INTERVAL '+00:00' HOUR TO "
          "MINUTE>" },
        { "SET NAMES 'UTF8'", "0 set <client_encoding> <'UTF8'>" },
        { "SET SCHEMA 'x'", "0 set <search_path> <'x'>" },
        { "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
          "0 set <default_transaction_isolation> <'repeatable read'>; "
          "0 set <default_transaction_read_only> <on>" },
        { "SELECT pg_catalog.set_config('Search_Path', '', false) AS x, set_config('a', "
          "'it''s'::text, 'f')",
          "0 config <Search_Path> <''>; 0 config <a> <'it''s'>" },
        { "SELECT set_config('a', NULL, false)", "0 reset <a>" },
        { "select set_config('a', 'b', true)", "" },
        { "PREPARE p (int) AS SELECT $1; EXECUTE p(1); DEALLOCATE p; deallocate all",
          "0 prepare <p> < (int) AS SELECT $1>; 1 execute <p> <(1)>; 2 deallocate <p>; 3 "
          "deallocate-all" },
        { "DEALLOCATE PREPARE \"P q\"; deallocate prepare",
          "0 deallocate <\"P q\">; 1 deallocate <prepare>" },
        { "EXPLAIN EXECUTE p", "0 execute <p>" },
        { "DISCARD temp", "0 discard <temp>" },
        { "ROLLBACK WORK TO SAVEPOINT s; COMMIT AND CHAIN", "0 rollback-to; 1 commit" },
        { "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", "3 reset-all" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char acts[512];
        struct sql_effects e = read_text(cases[i].sql);
        write_acts(&e, acts, sizeof acts);
        assert_string_equal(acts, cases[i].acts);
        assert_int_equal(e.effects & E(UNREAD), 0);
    }
}

static void kinds_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum sql_kind first;
        uint32_t statements;
    } cases[] = {
        { "", SQL_KIND_NONE, 0 },
        { ";", SQL_KIND_NONE, 0 },
        { "-- c\n/* d */ insert into t values (1); select 2;;", SQL_KIND_INSERT, 2 },
        { "with a as (select 1) delete from t", SQL_KIND_DELETE, 1 },
        { "with a as (delete from t returning *) select 1", SQL_KIND_SELECT, 1 },
        { "((select 1))", SQL_KIND_SELECT, 1 },
        { "explain select 1", SQL_KIND_EXPLAIN, 1 },
        { "nonsense", SQL_KIND_UNKNOWN, 1 },
        { "select ';' ; select $$;$$ ; select \";\" ; /* ; */", SQL_KIND_SELECT, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_effects e = read_text(cases[i].sql);
        assert_int_equal(e.first, cases[i].first);
        assert_int_equal(e.statements, cases[i].statements);
    }
    assert_string_equal(sql_kind_name(SQL_KIND_INSERT), "INSERT");
    /* Every row is found by its word, in any case. */
    for (int kind = SQL_KIND_UNKNOWN + 1; kind < SQL_KIND_COUNT; kind++)
        assert_int_equal(sql_kind_of(slice_str(sql_kind_name((enum sql_kind)kind))), kind);
    assert_int_equal(sql_kind_of(slice_str("zap")), SQL_KIND_UNKNOWN);
    assert_int_equal(sql_kind_of(slice_str("selec")), SQL_KIND_UNKNOWN);
}

static void too_many_acts_are_unread(void **state)
{
    (void)state;
    char sql[1024];
    size_t n = 0;
    for (int i = 0; i < SQL_ACTS_MAX; i++)
        n += (size_t)snprintf(sql + n, sizeof sql - n, "SET a%d TO %d;", i, i);
    struct sql_effects e = read_text(sql);
    assert_int_equal(e.effects, E(SETTING));
    assert_int_equal(e.act_count, SQL_ACTS_MAX);
    snprintf(sql + n, sizeof sql - n, "SET last TO 1");
    e = read_text(sql);
    assert_int_equal(e.effects, E(SETTING) | E(UNREAD));
    assert_int_equal(e.act_count, SQL_ACTS_MAX);
    assert_int_equal(e.statements, SQL_ACTS_MAX + 1);
}

/* A head: what has to be known whole and is not, is unread; what has not, is not. */
static void heads(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        uint32_t effects;
    } cases[] = {
        { "INSERT INTO t VALUES ('abc", 0 },
        { "SELECT pg_backend_pid(), /* ", E(BACKEND_PID) },
        { "SET a TO 1", E(SETTING) | E(UNREAD) },
        { "SET a TO 1;", E(SETTING) },
        { "SET a TO 1; SE", E(SETTING) },
        { "CREATE TABLE t", E(DDL) | E(UNREAD) },
        { "CREATE TABLE t (", E(DDL) },
        { "PREPARE p AS SELECT", E(PREPARED) | E(UNREAD) },
        { "BEGIN", 0 },
        { "BEGIN ", E(BEGIN) | E(UNREAD) },
        { "SELECT set_config('a', 'b', false)", E(UNREAD) },
        { "SELECT set_config('a', 'b', true), 'cd", E(UNREAD) },
        { "SELECT 1; /* a comment that", 0 },
        { "SELECT 1; 'abc", E(UNREAD) },
        { "EXPLAIN ", E(UNREAD) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_effects e;
        sql_effects(slice_str(cases[i].sql), true, &e);
        if (e.effects != cases[i].effects) print_error("%s: %08x\n", cases[i].sql, e.effects);
        assert_int_equal(e.effects, cases[i].effects);
    }
}

static void names_and_values(void **state)
{
    (void)state;
    char name[SQL_SETTING_NAME_MAX];
    assert_int_equal(sql_setting_name(slice_str("Search_Path"), name), 11);
    assert_memory_equal(name, "search_path", 11);
    assert_int_equal(sql_setting_name(slice_str("\"App\".\"User\""), name), 8);
    assert_memory_equal(name, "app.user", 8);
    assert_int_equal(sql_setting_name(slice_str(""), name), 0);
    assert_int_equal(sql_setting_name(slice_str("a b"), name), 0);
    assert_int_equal(sql_setting_name(slice_str("a;b"), name), 0);
    assert_int_equal(sql_setting_name(slice_str("\"a"), name), 0);
    char longest[SQL_SETTING_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(sql_setting_name(slice_of(longest, SQL_SETTING_NAME_MAX), name),
                     SQL_SETTING_NAME_MAX);
    assert_int_equal(sql_setting_name(slice_of(longest, SQL_SETTING_NAME_MAX + 1), name), 0);

    static const char *const constant[] = {
        "1", "-1.5", "'a'", "a, 'b', \"C\"", "on", "interval '1' hour", "'it''s'", "a /* c */ , b"
    };
    static const char *const not_constant[] = {
        "",
        "a b",
        "a,",
        ",a",
        "f(x)",
        "'a\\b'",
        "1; drop table t",
        "- a",
        "$1",
        "a.b",
        "'a' 'b'",
        "'a'\n'b'",
        "E'a'",
        "$$a$$",
        "'a",
        "(select 1)",
        "a -- b",
        "interval '1' hour; x",
    };
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++)
        assert_true(sql_setting_is_constant(slice_str(constant[i])));
    for (size_t i = 0; i < sizeof not_constant / sizeof *not_constant; i++)
        assert_false(sql_setting_is_constant(slice_str(not_constant[i])));
}

static void the_table_says_what_pins(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < SQL_EFFECT_COUNT; bit++) {
        const struct sql_effect_row *row = sql_effect_row(bit);
        bool pins = row->what == SQL_EFFECT_IS_PIN;
        assert_int_equal(pins, (SQL_EFFECTS_PIN >> bit & 1));
        assert_int_equal(pins, row->reason[0] != 0);
        assert_true(row->sentence[0] != 0);
    }
    assert_string_equal(sql_effect_row(SQL_EFFECT_BIT_TEMP_TABLE)->name, "TEMP_TABLE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effects_of_statements),
        cmocka_unit_test(acts_are_in_order),
        cmocka_unit_test(kinds_and_counts),
        cmocka_unit_test(too_many_acts_are_unread),
        cmocka_unit_test(heads),
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(the_table_says_what_pins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
