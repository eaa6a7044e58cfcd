/* sql_trail: every statement of a message with what it touches, whatever the text; bounded. */
#include "unit/unit.h"

#include "protocol/sql_trail.h"

#include <stdio.h>

/* "EXECUTE p" is an INSERT; p2 executes p; loop executes itself. */
static bool prepared(void *context, struct slice name, struct slice *text)
{
    (void)context;
    *text = slice_str(slice_is(name, "p")    ? "insert into s.t select a from s.u"
                      : slice_is(name, "p2") ? "execute p"
                                             : "execute loop");
    return slice_is(name, "p") || slice_is(name, "p2") || slice_is(name, "loop");
}

/* "1 INSERT INSERT:s.t SELECT:s.u | 2 COMMIT" */
static void print(const struct sql_trail *t, struct buf *out)
{
    for (uint32_t i = 0; i < t->entries; i++) {
        const struct sql_trail_statement *s = sql_trail_statement(t, i);
        buf_addf(out, "%s%u", i > 0 ? " | " : "", s->number);
        if (s->times > 1) buf_addf(out, "x%u", s->times);
        buf_addf(out, " %s", sql_kind_name(s->kind));
        for (uint32_t k = 0; k < s->objects; k++) {
            enum sql_verb verb;
            const struct slice name = sql_trail_object(t, s, k, &verb);
            buf_addf(out, " %s:%.*s", sql_verb_name(verb), SLICE_ARG(name));
        }
        if (s->objects_left_out) buf_addf(out, " +%u", s->objects_left_out);
    }
    buf_add_u8(out, 0);
}

static void assert_trail(const char *text, uint32_t apart, const char *wanted)
{
    const struct sql_trail_session session = { .prepared = prepared };
    struct sql_trail t = { .count = 0 };
    struct buf said = { 0 };
    sql_trail_read(&t, slice_str(text), &session, apart);
    assert_false(t.failed);
    print(&t, &said);
    assert_string_equal(said.at, wanted);
    buf_fini(&said);
    sql_trail_fini(&t);
}

static void each_statement_is_there(void **state)
{
    (void)state;
    assert_trail("", 0, "");
    assert_trail(" ; -- nothing\n;", 0, "");
    assert_trail("set statement_timeout to 5; begin; copy s.t from 's3://b' iam_role default; "
                 "commit;",
                 0, "1 SET | 2 BEGIN | 3 COPY COPY:s.t | 4 COMMIT");
    assert_trail("insert into s.t select x from a.b, c.d where y in (select z from a.b)", 0,
                 "1 INSERT INSERT:s.t SELECT:a.b SELECT:c.d");
    assert_trail("update s.t set a = 1 where b = 2; unload ('select * from s.t') to 's3://b' "
                 "iam_role default",
                 0, "1 UPDATE UPDATE:s.t SELECT:s.t | 2 UNLOAD SELECT:s.t UNLOAD:s.t");
    assert_trail("execute p(1); execute p2; execute nobody; execute loop", 0,
                 "1 EXECUTE INSERT:s.t SELECT:s.u | 2 EXECUTE INSERT:s.t SELECT:s.u | 3 EXECUTE | "
                 "4 EXECUTE");
    assert_trail("insert into \"T\" values (';'); /* ; */ drop table #x", 0,
                 "1 INSERT INSERT:T | 2 DROP DDL:#x");
}

static void what_is_not_understood_is_there_as_well(void **state)
{
    (void)state;
    assert_trail("insert into s.t values (1); grant all on s.t to public; delete from s.u", 2,
                 "1 INSERT INSERT:s.t | 2 GRANT | 3 DELETE DELETE:s.u");
    assert_trail("delete from s.u where ((; commit", 0,
                 "1 DELETE DELETE:s.u SELECT:s.u | 2 COMMIT");
    assert_trail("insert into s.t values ('x\\'); drop table s.t --'); commit", 0,
                 "1 INSERT INSERT:s.t | 2 COMMIT");
    assert_trail("select 1; insert into s.t values ('\xff')", 0, "1 SELECT | 2 INSERT");
}

static void those_alike_are_one_entry(void **state)
{
    (void)state;
    assert_trail("insert into s.t values (1); insert into s.t values (2),(3); insert into s.u "
                 "values (1)",
                 0, "1x2 INSERT INSERT:s.t | 3 INSERT INSERT:s.u");
    assert_trail("drop table s.t; drop table s.t; drop table s.t", 2,
                 "1 DROP DDL:s.t | 2 DROP DDL:s.t | 3 DROP DDL:s.t");
}

static void it_is_bounded(void **state)
{
    (void)state;
    const struct sql_trail_session session = { .prepared = NULL };
    enum { STATEMENTS = 5000, REFUSED = 3000 };
    struct sql_trail t = { .count = 0 };
    struct buf text = { 0 };
    for (int i = 0; i < STATEMENTS; i++)
        buf_addf(&text, i % 2 ? "insert into s.t%d values (1);" : "delete from s.t%d;", i % 300);
    sql_trail_read(&t, buf_slice(&text), &session, REFUSED);
    assert_int_equal(t.count, STATEMENTS);
    assert_true(t.entries <= SQL_TRAIL_STATEMENTS + 4);
    uint32_t times = 0, refused = 0;
    for (uint32_t i = 0; i < t.entries; i++) {
        const struct sql_trail_statement *s = sql_trail_statement(&t, i);
        assert_int_equal(s->number, times + 1);
        times += s->times;
        if (s->number == REFUSED) {
            refused++;
            assert_int_equal(s->times, 1);
            assert_int_equal(s->objects, 1);
        }
        assert_true(s->objects <= SQL_TRAIL_OBJECTS);
    }
    assert_int_equal(times, STATEMENTS);
    assert_int_equal(refused, 1);
    const struct sql_trail_statement *last = sql_trail_statement(&t, t.entries - 1);
    assert_int_equal(last->kind, SQL_KIND_NONE);
    assert_int_equal(last->objects, SQL_TRAIL_OBJECTS);
    assert_true(last->objects_left_out > 0);
    sql_trail_fini(&t);

    /* A thousand relations in one statement. */
    buf_truncate(&text, 0);
    buf_add_str(&text, "select 1 from s.t");
    for (int i = 0; i < 1000; i++) buf_addf(&text, ", s.t%d", i);
    sql_trail_read(&t, buf_slice(&text), &session, 0);
    assert_int_equal(t.entries, 1);
    last = sql_trail_statement(&t, 0);
    assert_int_equal(last->objects, SQL_TRAIL_OBJECTS);
    assert_int_equal(last->objects_left_out, 1001 - SQL_TRAIL_OBJECTS);
    sql_trail_fini(&t);
    buf_fini(&text);
}

static struct slice long_text;
static uint64_t times_asked;

static bool long_prepared(void *context, struct slice name, struct slice *text)
{
    (void)context;
    (void)name;
    *text = long_text;
    times_asked++;
    return true;
}

/* A short message that executes a long statement many times would take minutes otherwise. */
static void what_is_executed_is_not_read_for_ever(void **state)
{
    (void)state;
    enum { TIMES = 10000, BYTES = 1024 * 1024, FOLLOWED = 16 };
    const struct sql_trail_session session = { .prepared = long_prepared };
    struct sql_trail t = { .count = 0 };
    struct buf text = { 0 }, plan = { 0 };
    buf_add_str(&plan, "select 1 from s.t where '");
    while (plan.len < BYTES - 1) buf_add_u8(&plan, 'x');
    buf_add_u8(&plan, '\'');
    long_text = buf_slice(&plan);
    for (int i = 0; i < TIMES; i++) buf_add_str(&text, "execute p;");
    sql_trail_read(&t, buf_slice(&text), &session, 0);
    assert_false(t.failed);
    assert_int_equal(times_asked, TIMES);
    assert_int_equal(t.entries, 2);
    const struct sql_trail_statement *read = sql_trail_statement(&t, 0),
                                     *unread = sql_trail_statement(&t, 1);
    assert_int_equal(read->times, FOLLOWED);
    assert_int_equal(read->objects, 1);
    assert_int_equal(read->objects_left_out, 0);
    assert_int_equal(unread->times, TIMES - FOLLOWED);
    assert_int_equal(unread->objects, 0);
    assert_int_equal(unread->objects_left_out, 1);
    sql_trail_fini(&t);
    buf_fini(&text);
    buf_fini(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_statement_is_there),
        cmocka_unit_test(what_is_not_understood_is_there_as_well),
        cmocka_unit_test(those_alike_are_one_entry),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(what_is_executed_is_not_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
