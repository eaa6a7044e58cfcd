/* The console's table: what is understood, who may, what the rows look like. */
#include "proxy/ops/admin_rows.h"

#include "protocol/wire.h"
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct admin_call read_one(const char *text, const char *left)
{
    struct slice s = slice_str(text);
    struct admin_call call;
    struct err err;
    assert_int_equal(admin_read(&s, &call, &err), ADMIN_READ_CALL);
    assert_true(slice_is(s, left));
    return call;
}

static struct err refuse(const char *text)
{
    struct slice s = slice_str(text);
    struct admin_call call;
    struct err err = { 0 };
    assert_int_equal(admin_read(&s, &call, &err), ADMIN_READ_BAD);
    return err;
}

/* Every command at every level: exactly those from its own on. SHOW, EXPLAIN and what drivers say
 * are for viewers, the rest is not (PgBouncer's CVE-2026-6667 was one verb that forgot to ask). */
static void every_command_at_every_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        const struct admin_command *c = &admin_commands[i];
        assert_int_equal(c->id, i);
        bool harmless = strncmp(c->words, "SHOW ", 5) == 0 ||
                        strncmp(c->words, "EXPLAIN ", 8) == 0 || c->argument == ADMIN_ANY ||
                        c->id == ADMIN_SELECT_1 || c->id == ADMIN_ROUTE_HISTORY;
        bool routes = strncmp(c->words, "ROUTE ", 6) == 0 && !harmless;
        assert_int_equal(c->level, harmless ? CONSOLE_VIEWER
                                   : routes ? CONSOLE_ROUTER
                                            : CONSOLE_OPERATOR);
        assert_false(admin_may(CONSOLE_NONE, c));
        assert_int_equal(admin_may(CONSOLE_VIEWER, c), harmless);
        assert_int_equal(admin_may(CONSOLE_OPERATOR, c), !routes);
        assert_true(admin_may(CONSOLE_ROUTER, c));
    }
}

static void every_command_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        char text[64];
        const char *argument = admin_commands[i].argument == ADMIN_ONE ? " 7" : "";
        snprintf(text, sizeof text, "%s%s; rest", admin_commands[i].words, argument);
        struct admin_call call = read_one(text, " rest");
        assert_ptr_equal(call.command, &admin_commands[i]);
        for (char *c = text; *c; c++) *c = ascii_lower(*c);
        call = read_one(text, " rest");
        assert_ptr_equal(call.command, &admin_commands[i]);
    }
}

static void arguments(void **state)
{
    (void)state;
    assert_string_equal(read_one("pause Dev", "").argument, "Dev");
    assert_string_equal(read_one("pause \"My DB\";", "").argument, "My DB");
    assert_string_equal(read_one("pause 'it''s'", "").argument, "it's");
    assert_string_equal(read_one("pause", "").argument, "");
    assert_string_equal(read_one("kill_client 42 -- that one", "").argument, "42");
    read_one("set extra_float_digits = 3", "");
    refuse("kill_client");
    refuse("pause a b");
    refuse("show pools a");
    refuse("pause (");
    refuse("reload now");
}

static void extended_in_both_spellings(void **state)
{
    (void)state;
    assert_true(read_one("SHOW EXTENDED POOLS", "").extended);
    assert_true(read_one("show pools_extended", "").extended);
    assert_false(read_one("show pools", "").extended);
    assert_int_equal(read_one("show extended clients;", "").command->id, ADMIN_SHOW_CLIENTS);
    refuse("SHOW EXTENDED");
    refuse("SHOW _EXTENDED");
}

static void nothing_at_all(void **state)
{
    (void)state;
    static const char *const blanks[] = { "", ";", "  \n", "/* nothing */", "-- nothing" };
    struct admin_call call;
    struct err err;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        struct slice s = slice_str(blanks[i]);
        assert_true(admin_is_blank(s));
        assert_int_equal(admin_read(&s, &call, &err), ADMIN_READ_NOTHING);
        assert_int_equal(s.len, 0);
    }
    assert_false(admin_is_blank(slice_str("; reload")));
}

static void unknown_commands_are_answered_with_the_nearest(void **state)
{
    (void)state;
    struct err err = refuse("SHOW POLS");
    assert_non_null(strstr(err.message, "SHOW POLS"));
    assert_non_null(strstr(err.hint, "SHOW POOLS"));
    assert_non_null(strstr(refuse("relod").hint, "RELOAD"));
    assert_non_null(strstr(refuse("DROP TABLE x").hint, "SHOW HELP"));
    refuse("SHOW");
    refuse("SELECT 2");
}

/* PgBouncer 1.25's columns, by heart: an API that tools break on. */
static void columns_are_pgbouncers(void **state)
{
    (void)state;
    static const struct {
        enum admin_id id;
        const char *columns;
    } wanted[] = {
        { ADMIN_SHOW_POOLS,
          "database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,"
          "sv_active_cancel,sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,"
          "maxwait_us,pool_mode,load_balance_hosts," },
        { ADMIN_SHOW_CLIENTS,
          "type,user,database,replication,state,addr,port,local_addr,local_port,connect_time,"
          "request_time,wait,wait_us,close_needed,ptr,link,remote_pid,tls,application_name,"
          "prepared_statements,id," },
        { ADMIN_SHOW_SERVERS,
          "type,user,database,replication,state,addr,port,local_addr,local_port,connect_time,"
          "request_time,wait,wait_us,close_needed,ptr,link,remote_pid,tls,application_name,"
          "prepared_statements,id," },
        { ADMIN_SHOW_STATS,
          "database,total_server_assignment_count,total_xact_count,total_query_count,"
          "total_received,total_sent,total_xact_time,total_query_time,total_wait_time,"
          "total_client_parse_count,total_server_parse_count,total_bind_count,"
          "avg_server_assignment_count,avg_xact_count,avg_query_count,avg_recv,avg_sent,"
          "avg_xact_time,avg_query_time,avg_wait_time,avg_client_parse_count,"
          "avg_server_parse_count,avg_bind_count," },
        { ADMIN_SHOW_STATS_TOTALS,
          "database,server_assignment_count,xact_count,query_count,bytes_received,bytes_sent,"
          "xact_time,query_time,wait_time,client_parse_count,server_parse_count,bind_count," },
        { ADMIN_SHOW_DATABASES,
          "name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool_size,"
          "server_lifetime,pool_mode,load_balance_hosts,max_connections,current_connections,"
          "max_client_connections,current_client_connections,paused,disabled," },
        { ADMIN_SHOW_USERS,
          "name,pool_size,reserve_pool_size,pool_mode,max_user_connections,current_connections,"
          "max_user_client_connections,current_client_connections," },
        { ADMIN_SHOW_LISTS, "list,items," },
        { ADMIN_SHOW_CONFIG, "key,value,default,changeable," },
        { ADMIN_SHOW_MEM, "name,size,used,free,memtotal," },
        { ADMIN_SHOW_STATE, "key,value," },
        { ADMIN_SHOW_VERSION, "version," },
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char names[1000] = "";
        size_t n;
        const struct admin_column *c = admin_columns(wanted[i].id, false, &n);
        for (size_t k = 0; k < n; k++) {
            assert_false(c[k].extra);
            strcat(strcat(names, c[k].name), ",");
        }
        assert_string_equal(names, wanted[i].columns);
    }
}

/* ---- rows ----------------------------------------------------------------------------------- */

static const struct map_seed SEED = { 1, 2 };

/* The DataRows of `out` as text, cells with | and rows with newlines. */
static void as_text(const struct buf *out, char *text)
{
    struct wire w = wire_of(buf_slice(out));
    text[0] = '\0';
    while (wire_left(&w)) {
        assert_int_equal(wire_u8(&w), 'D');
        wire_u32(&w);
        for (uint16_t n = wire_u16(&w); n; n--) {
            uint32_t len = wire_u32(&w);
            struct slice cell = len == UINT32_MAX ? slice_str("NULL") : wire_bytes(&w, len);
            strncat(text, cell.at, cell.len);
            strcat(text, n > 1 ? "|" : "\n");
        }
        assert_false(w.bad);
    }
}

static void pool_row(struct rows *r, const char *database, uint64_t clients, uint64_t wait_s,
                     uint64_t wait_us, const char *pool)
{
    rows_text(r, slice_str(database));
    rows_text(r, slice_str("ana"));
    for (int i = 0; i < 11; i++) rows_number(r, i == 0 ? clients : 0);
    rows_number(r, wait_s);
    rows_number(r, wait_us);
    rows_text(r, slice_str("transaction"));
    rows_null(r);
    rows_text(r, slice_str(pool));
    rows_text(r, slice_str("wh"));
    for (int i = 0; i < 3; i++) rows_number(r, 1);
    rows_text(r, slice_str(""));
    rows_number(r, 0);
}

static void pools_of_one_database_are_one_row(void **state)
{
    (void)state;
    struct rows parts[2] = { 0 };
    struct buf out = { 0 };
    char text[2000];
    pool_row(&parts[0], "dev", 3, 1, 900000, "a");
    pool_row(&parts[0], "prod", 5, 0, 0, "b");
    pool_row(&parts[1], "dev", 4, 2, 5, "c");
    struct rows_shape shape = { .id = ADMIN_SHOW_POOLS };
    assert_int_equal(rows_join(&shape, parts, 2, SEED, NULL, NULL, &out), 2);
    as_text(&out, text);
    assert_string_equal(text, "dev|ana|7|0|0|0|0|0|0|0|0|0|0|2|5|transaction|NULL\n"
                              "prod|ana|5|0|0|0|0|0|0|0|0|0|0|0|0|transaction|NULL\n");
    buf_truncate(&out, 0);
    shape.extended = true;
    assert_int_equal(rows_join(&shape, parts, 2, SEED, NULL, NULL, &out), 3);
    as_text(&out, text);
    assert_non_null(strstr(text, "|c|wh|1|1|1||0\n"));
    buf_fini(&out);
    rows_fini(&parts[0]);
    rows_fini(&parts[1]);
}

static void numbers_and_times(void **state)
{
    (void)state;
    struct rows r = { 0 };
    rows_number(&r, 0);
    rows_number(&r, UINT64_MAX);
    rows_time(&r, 0);
    rows_time(&r, 951826554);  /* 2000-02-29 */
    rows_time(&r, 1795239691); /* date -u -d @1795239691 */
    rows_handle(&r, 0x2a);
    static const char *const wanted[] = { "0",
                                          "18446744073709551615",
                                          "1970-01-01 00:00:00 UTC",
                                          "2000-02-29 12:15:54 UTC",
                                          "2026-11-21 05:41:31 UTC",
                                          "0x2a" };
    struct wire w = wire_of(buf_slice(&r.cells));
    for (size_t i = 0; i < 6; i++) {
        struct slice cell = wire_bytes(&w, wire_u32(&w));
        assert_true(slice_is(cell, wanted[i]));
    }
    assert_true(wire_is_done(&w));
    rows_fini(&r);
}

/* pgjdbc and asyncpg ask for binary; the bytes are PostgreSQL's own. */
static void binary_cells(void **state)
{
    (void)state;
    struct rows r = { 0 };
    struct buf out = { 0 };
    rows_text(&r, slice_str("dev"));
    for (int i = 0; i < 11; i++) rows_number(&r, i == 0 ? 123450067 : 0);
    struct rows_shape shape = { .id = ADMIN_SHOW_STATS_TOTALS, .binary = UINT64_MAX };
    assert_int_equal(rows_join(&shape, &r, 1, SEED, NULL, NULL, &out), 1);
    static const char numeric[] = "\0\0\0\x0e\0\3\0\2\0\0\0\0\0\1\x09\x29\0\x43";
    assert_memory_equal(out.at + 7 + 4 + 3, numeric, sizeof numeric - 1);
    buf_fini(&out);
    rows_fini(&r);
    r = (struct rows){ 0 };
    rows_text(&r, slice_str("pools"));
    rows_number(&r, 258);
    shape.id = ADMIN_SHOW_LISTS;
    rows_join(&shape, &r, 1, SEED, NULL, NULL, &out);
    assert_memory_equal(out.at + out.len - 8, "\0\0\0\4\0\0\1\2", 8);
    buf_fini(&out);
    rows_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_at_every_level),
        cmocka_unit_test(every_command_is_read),
        cmocka_unit_test(arguments),
        cmocka_unit_test(extended_in_both_spellings),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(unknown_commands_are_answered_with_the_nearest),
        cmocka_unit_test(columns_are_pgbouncers),
        cmocka_unit_test(pools_of_one_database_are_one_row),
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(binary_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
