/* The doubles that other tests lean on: the fake of Redshift says and refuses what it claims to,
 * the fault proxy spoils what it is told to spoil and nothing else. */
#include "support/fixtures.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg;
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("doubles");
    *state = w;
    return postgres_start(w->kit, &w->pg, NULL) && postgres_run(&w->pg, "create user ana") ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* Starts a tool before the PostgreSQL, with at most four more words; its port. */
static int tool_start(struct world *w, const char *tool, const char *flag, pid_t *pid,
                      const char *const words[])
{
    char listen[16], server[16], log[40];
    int port = kit_port(w->kit), n = 5;
    snprintf(listen, sizeof listen, "%d", port);
    snprintf(server, sizeof server, "%d", w->pg.port);
    snprintf(log, sizeof log, "tool%d.log", port);
    const char *argv[12] = { kit_built(w->kit, tool), "-l", listen, flag, server };
    for (int at = 0; words[at]; at++) argv[n++] = words[at];
    *pid = kit_start(w->kit, log, argv);
    assert_true(kit_wait_port(w->kit, *pid, log, port));
    return port;
}

static int fake_start(struct world *w, const char *method)
{
    pid_t pid;
    return tool_start(w, "tools/redshift", "-s", &pid,
                      (const char *const[]){ "-a", method, "-u", "ana=secret", NULL });
}

static void assert_says(PGconn *c, const char *sql, const char *wanted)
{
    PGresult *r = PQexec(c, sql);
    const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    assert_string_equal(sqlstate       ? sqlstate
                        : PQntuples(r) ? PQgetvalue(r, 0, 0)
                                       : PQcmdStatus(r),
                        wanted);
    PQclear(r);
}

static void the_fake_asks_for_a_password(void **state)
{
    static const char *const methods[] = { "cleartext", "md5" };
    for (int at = 0; at < 2; at++) {
        int port = fake_start(*state, methods[at]);
        PGconn *c = connect_to(port, "ana", "password=secret");
        assert_int_equal(PQstatus(c), CONNECTION_OK);
        PQfinish(c);
        c = connect_to(port, "ana", "password=wrong");
        assert_int_equal(PQstatus(c), CONNECTION_BAD);
        PQfinish(c);
        c = connect_to(port, "nobody", "password=secret");
        assert_int_equal(PQstatus(c), CONNECTION_BAD);
        PQfinish(c);
    }
    /* Code 13 is Redshift's own: libpq does not know it. (Amazon's drivers do: tests/drivers.) */
    PGconn *c = connect_to(fake_start(*state, "digest"), "ana", "password=secret");
    assert_non_null(strstr(PQerrorMessage(c), "authentication method 13 not supported"));
    PQfinish(c);
}

static void the_fake_has_redshifts_parameters(void **state)
{
    int port = fake_start(*state, "trust");
    PGconn *c = connect_to(port, "ana", "");
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    assert_int_equal(PQserverVersion(c), 80002);
    assert_string_equal(PQparameterStatus(c, "client_encoding"), "UNICODE");
    assert_string_equal(PQparameterStatus(c, "datestyle"), "ISO, MDY");
    assert_string_equal(PQparameterStatus(c, "server_protocol_version"), "0");
    assert_non_null(PQparameterStatus(c, "padb_version"));
    assert_null(PQparameterStatus(c, "DateStyle"));
    assert_null(PQparameterStatus(c, "standard_conforming_strings"));
    assert_null(PQparameterStatus(c, "IntervalStyle"));
    PQfinish(c);

    c = connect_to(port, "ana", "options='-c standard_conforming_strings=on'");
    assert_non_null(strstr(PQerrorMessage(c), "unrecognized configuration parameter"));
    PQfinish(c);
}

static void the_fake_refuses_what_redshift_refuses(void **state)
{
    PGconn *c = connect_to(fake_start(*state, "trust"), "ana", "");
    assert_says(c, "DISCARD ALL", "42601");
    assert_says(c, "deallocate /* all */ all", "42601");
    assert_says(c, "select 1; UNLISTEN *", "0A000");
    assert_says(c, "set standard_conforming_strings = on", "42704");
    assert_says(c, "copy pg_class to stdout", "42601");
    assert_says(c, "select pg_advisory_unlock_all()", "42883");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, "savepoint s", "0A000");
    assert_says(c, "select 1", "25P02");
    assert_says(c, "rollback", "ROLLBACK");
    /* and what it has, it has */
    assert_says(c, "set query_group to 'q'; show query_group", "q");
    assert_says(c, "select 'DISCARD ALL; it\\'s'", "DISCARD ALL; it's");
    assert_says(c, "reset all", "RESET");
    PGresult *r = PQexec(c, "select 1");
    assert_string_equal(PQcmdStatus(r), "SELECT"); /* no count */
    PQclear(r);
    PQfinish(c);
}

static void split_and_delayed_bytes_are_the_same_bytes(void **state)
{
    static const char *const ways[][3] = { { "both:split=1", NULL },
                                           { "both:delay=5", "down:split=7", NULL } };
    for (int at = 0; at < 2; at++) {
        pid_t pid;
        int port = tool_start(*state, "tools/faultproxy", "-t", &pid, ways[at]);
        PGconn *c = connect_to(port, "postgres", "");
        assert_says(c, "select md5(string_agg(n::text, ',')) from generate_series(1, 1000) n",
                    "feb66358dabff315c143aa14dcefd4c0");
        PQfinish(c);
    }
}

static void connections_break_where_they_shall(void **state)
{
    struct world *w = *state;
    pid_t pid;
    PGconn *c = connect_to(tool_start(w, "tools/faultproxy", "-t", &pid,
                                      (const char *const[]){ "down:rst=1000", NULL }),
                           "postgres", "");
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    PQclear(PQexec(c, "select repeat('x', 2000)"));
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);

    c = connect_to(tool_start(w, "tools/faultproxy", "-t", &pid, (const char *const[]){ NULL }),
                   "postgres", "");
    assert_says(c, "select 1", "1");
    kill(pid, SIGUSR1); /* all of them, now */
    PQclear(PQexec(c, "select 1"));
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);

    /* From another address: PostgreSQL's own rules do not know it. */
    c = connect_to(tool_start(w, "tools/faultproxy", "-t", &pid,
                              (const char *const[]){ "-a", "127.0.0.9", NULL }),
                   "postgres", "");
    assert_non_null(strstr(PQerrorMessage(c), "127.0.0.9"));
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fake_asks_for_a_password),
        cmocka_unit_test(the_fake_has_redshifts_parameters),
        cmocka_unit_test(the_fake_refuses_what_redshift_refuses),
        cmocka_unit_test(split_and_delayed_bytes_are_the_same_bytes),
        cmocka_unit_test(connections_break_where_they_shall),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
