/* Session mode: a client must not be able to tell the proxy from the server. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct proxy proxy;
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("sessions");
    *state = w;
    return postgres_start(w->kit, &w->pg, NULL) &&
                   postgres_run(&w->pg, "create table t (i int, s text)") &&
                   before_start(w->kit, &w->proxy,
                                &(struct before){ .server_port = w->pg.port,
                                                  .pool = "{ \"mode\": \"session\", \"size\": 20, "
                                                          "\"wait_timeout\": \"10s\" }" })
               ? 0
               : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    bool clean = !w->proxy.pid || proxy_stop(w->kit, &w->proxy);
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

static PGconn *client(struct world *w, const char *extra)
{
    PGconn *c = connect_to(w->proxy.port, "postgres", extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

#define assert_says(c, sql, wanted) assert_string_equal(before_says(c, sql), wanted)

/* ---- as if it were the server --------------------------------------------------------------- */

static void startup_parameters_are_the_servers(void **state)
{
    PGconn *c = client(*state, "application_name=mine options='-c work_mem=3MB -c DateStyle=German "
                               "-c search_path=pg_catalog -c statement_timeout=55s'");
    assert_says(c, "show work_mem", "3MB");
    assert_says(c, "show application_name", "mine");
    assert_string_equal(PQparameterStatus(c, "DateStyle"), "German, DMY");
    assert_says(c, "set work_mem = '5MB'; set datestyle = 'ISO'; set application_name = 'other'",
                "SET");
    assert_string_equal(PQparameterStatus(c, "application_name"), "other");
    assert_string_equal(PQparameterStatus(c, "DateStyle"), "ISO, DMY");
    /* RESET returns to them, and not to what the proxy might have had in mind. */
    assert_says(c, "reset work_mem; show work_mem", "3MB");
    assert_says(c, "reset all", "RESET");
    assert_says(c, "show datestyle", "German, DMY");
    assert_says(c, "show application_name", "mine");
    assert_says(c, "show search_path", "pg_catalog");
    assert_says(c, "select source from pg_settings where name = 'work_mem'", "client");
    PQfinish(c);
}

static void the_pid_is_the_servers(void **state)
{
    PGconn *c = client(*state, "");
    char pid[20];
    snprintf(pid, sizeof pid, "%d", PQbackendPID(c));
    assert_says(c, "select pg_backend_pid()", pid);
    PQfinish(c);
}

/* From the login on, not from the first question: nobody else may get it, and its end is heard. */
static void the_server_is_the_clients_alone(void **state)
{
    struct world *w = *state;
    enum { CLIENTS = 5 };
    PGconn *c[CLIENTS];
    for (int at = 0; at < CLIENTS; at++) c[at] = client(w, "");
    for (int at = CLIENTS - 1; at >= 0; at--) {
        char pid[20];
        snprintf(pid, sizeof pid, "%d", PQbackendPID(c[at]));
        assert_says(c[at], "select pg_backend_pid()", pid);
    }
    for (int at = 0; at < CLIENTS; at++) PQfinish(c[at]);
}

static void keep_notice(void *seen, const PGresult *r)
{
    snprintf(seen, 100, "%s", PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
}

static void notices_and_notifications_pass(void **state)
{
    PGconn *a = client(*state, ""), *b = client(*state, "");
    char seen[100] = "";
    PQsetNoticeReceiver(a, keep_notice, seen);
    assert_says(a, "do $$ begin raise notice 'hear, hear'; end $$", "DO");
    assert_string_equal(seen, "hear, hear");
    assert_says(a, "listen news", "LISTEN");
    assert_says(b, "notify news, 'read all about it'", "NOTIFY");
    PGnotify *n = NULL;
    for (int tries = 0; !n && tries < 100; tries++) {
        kit_sleep_ms(20); /* a is idle: it comes unasked */
        PQconsumeInput(a);
        n = PQnotifies(a);
    }
    assert_non_null(n);
    assert_string_equal(n->extra, "read all about it");
    PQfreemem(n);
    PQfinish(a);
    PQfinish(b);
}

static void copy_goes_both_ways(void **state)
{
    PGconn *c = client(*state, "");
    char *line;
    int n, lines = 0;
    PQclear(PQexec(c, "copy t from stdin"));
    for (int at = 0; at < 20000; at++)
        assert_int_equal(PQputCopyData(c, "7\tseven seven seven\n", 20), 1);
    assert_int_equal(PQputCopyEnd(c, NULL), 1);
    PGresult *r = PQgetResult(c);
    assert_string_equal(PQcmdStatus(r), "COPY 20000");
    PQclear(r);
    assert_null(PQgetResult(c));
    PQclear(PQexec(c, "copy t to stdout"));
    while ((n = PQgetCopyData(c, &line, 0)) > 0) {
        assert_memory_equal(line, "7\tseven seven seven\n", n);
        lines++;
        PQfreemem(line);
    }
    assert_int_equal(lines, 20000);
    PQclear(PQgetResult(c));
    PQclear(PQexec(c, "copy t from stdin"));
    PQputCopyData(c, "8\teight\n", 8);
    PQputCopyEnd(c, "thought better of it");
    r = PQgetResult(c);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
    PQclear(r);
    PQclear(PQgetResult(c));
    assert_says(c, "select count(*) from t where i = 8", "0");
    assert_says(c, "truncate t", "TRUNCATE TABLE");
    PQfinish(c);
}

static void large_results_and_statements_pass(void **state)
{
    PGconn *c = client(*state, "");
    PGresult *r = PQexec(c, "select repeat('x', 30000000)");
    assert_int_equal(PQgetlength(r, 0, 0), 30000000);
    PQclear(r);
    r = PQexec(c, "select n, repeat('y', 100) from generate_series(1, 100000) n");
    assert_int_equal(PQntuples(r), 100000);
    for (int at = 0; at < 100000; at += 999)
        assert_int_equal(strtol(PQgetvalue(r, at, 0), NULL, 10), at + 1);
    PQclear(r);
    static char sql[1 << 20];
    int n = snprintf(sql, sizeof sql, "select length('");
    memset(sql + n, 'z', sizeof sql - 100);
    snprintf(sql + n + sizeof sql - 100, 20, "')");
    char wanted[20];
    snprintf(wanted, sizeof wanted, "%zu", sizeof sql - 100);
    for (int at = 0; at < 5; at++) assert_says(c, sql, wanted);
    PQfinish(c);
}

/* A pipe that closes its end when it has asked, as `echo | nc` does, still hears the answer. */
static void a_half_closed_client_hears_the_answer(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_query(r, "select pg_sleep(0.3)");
    raw_half_close(r);
    const char *answer = raw_answer(r);
    /* PostgreSQL itself answers; what must not be is a server that stays busy. */
    if (strcmp(answer, "T D C ZI") != 0 && strcmp(answer, "end") != 0) fail_msg("%s", answer);
    raw_close(r);
}

/* ---- when servers go ------------------------------------------------------------------------ */

static void terminate(struct world *w, PGconn *c)
{
    char sql[100];
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%d)", PQbackendPID(c));
    assert_true(postgres_run(&w->pg, sql));
}

static void the_servers_last_word_is_heard_once(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_query(r, "select pg_backend_pid()");
    assert_int_equal(raw_next(r), 'T');
    assert_int_equal(raw_next(r), 'D');
    char sql[100];
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%.*s)", (int)r->len - 6, r->body + 6);
    assert_string_equal(raw_answer(r), "C ZI");
    assert_true(postgres_run(&w->pg, sql));
    assert_string_equal(raw_answer(r), "E57P01 end");
    raw_close(r);
    /* The same while a query runs, by libpq. */
    PGconn *c = client(w, "");
    assert_int_equal(PQsendQuery(c, "select pg_sleep(10)"), 1);
    kit_sleep_ms(100);
    terminate(w, c);
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57P01");
    PQclear(result);
    result = PQgetResult(c);
    PQclear(result);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);
}

static int fault_start(struct world *w, pid_t *pid, const char *way)
{
    char listen[16], server[16], log[40];
    int port = kit_port(w->kit);
    snprintf(listen, sizeof listen, "%d", port);
    snprintf(server, sizeof server, "%d", w->pg.port);
    snprintf(log, sizeof log, "fault%d.log", port);
    *pid = kit_start(w->kit, log,
                     (const char *[]){ kit_built(w->kit, "tools/faultproxy"), "-l", listen, "-t",
                                       server, way, NULL });
    assert_true(kit_wait_port(w->kit, *pid, log, port));
    return port;
}

static void a_server_that_dies_in_a_row_leaves_no_half_message(void **state)
{
    struct world *w = *state;
    static const char *const ways[] = { "down:rst=3000", "down:fin=3000" };
    for (int at = 0; at < 2; at++) {
        struct proxy p = { 0 };
        pid_t pid;
        int port = fault_start(w, &pid, ways[at]);
        assert_true(before_start(
            w->kit, &p,
            &(struct before){ .server_port = port, .pool = "{ \"mode\": \"session\" }" }));
        struct raw *r = raw_open(p.port, NULL);
        assert_true(raw_login(r, "postgres"));
        raw_query(r, "select repeat('x', 10000)");
        const char *answer = raw_answer(r);
        /* In the middle of the row nothing may be said but the end. */
        assert_string_equal(answer, "T end");
        raw_close(r);
        assert_true(proxy_stop(w->kit, &p));
    }
}

static void no_server_there_is_08001_within_the_wait(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = kit_port(w->kit),
                                               .pool = "{ \"mode\": \"session\", "
                                                       "\"wait_timeout\": \"1s\" }" }));
    long long begun = kit_now_ms();
    struct raw *r = raw_open(p.port, NULL);
    assert_false(raw_login(r, "postgres"));
    assert_string_equal(r->answer, "E08001 end");
    assert_in_range(kit_now_ms() - begun, 500, 4000);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
    /* And one that says nothing: the same. */
    p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = before_silent_port(w->kit),
                                               .pool = "{ \"mode\": \"session\", "
                                                       "\"server_connect_timeout\": \"300ms\", "
                                                       "\"wait_timeout\": \"1s\" }" }));
    begun = kit_now_ms();
    r = raw_open(p.port, NULL);
    assert_false(raw_login(r, "postgres"));
    assert_string_equal(r->answer, "E08001 end");
    assert_in_range(kit_now_ms() - begun, 300, 4000);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
}

static void a_server_that_comes_back_is_used_at_once(void **state)
{
    struct world *w = *state;
    pid_t pid;
    struct proxy p = { 0 };
    int port = fault_start(w, &pid, NULL);
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = port,
                                               .pool = "{ \"mode\": \"session\", "
                                                       "\"wait_timeout\": \"10s\" }" }));
    struct raw *r = raw_open(p.port, NULL);
    assert_true(raw_login(r, "postgres"));
    kill(pid, SIGUSR1); /* all connections, by RST */
    assert_string_equal(raw_answer(r), "E08006 end");
    raw_close(r);
    PGconn *c = connect_to(p.port, "postgres", "");
    assert_says(c, "select 2", "2");
    PQfinish(c);
    assert_true(proxy_stop(w->kit, &p));
}

static bool servers_become(struct world *w, const char *user, int wanted)
{
    for (int tries = 0; tries < 250; tries++) {
        if (before_servers(&w->pg, user) == wanted) return true;
        kit_sleep_ms(20);
    }
    return false;
}

static void warm_servers_are_there_before_anybody_asks(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    assert_true(postgres_run(&w->pg, "create user warm"));
    assert_true(before_start(
        w->kit, &p,
        &(struct before){ .server_port = w->pg.port,
                          .users = "\"warm\": { \"auth\": [\"trust\"], \"role\": \"owner\" }",
                          .logins = "\"warm\": \"env:PG_PASSWORD\"",
                          .pool = "{ \"mode\": \"session\", \"size\": 6, \"min_size\": 4 }" }));
    PGconn *c = connect_to(p.port, "warm", "");
    assert_says(c, "select 1", "1");
    assert_true(servers_become(w, "warm", 5)); /* one is in use */
    PQfinish(c);
    /* And stay that many when they are taken away. */
    before_terminate(&w->pg, "warm");
    assert_true(servers_become(w, "warm", 4));
    assert_true(proxy_stop(w->kit, &p));
}

/* What one client leaves on its server is not there for the next. */
static void a_server_is_handed_on_clean(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = w->pg.port,
                                               .pool = "{ \"mode\": \"session\", "
                                                       "\"size\": 1 }" }));
    for (int round = 0; round < 2; round++) {
        PGconn *c = connect_to(p.port, "postgres", "");
        assert_says(c, "show work_mem", "4MB");
        assert_says(c, "select count(*) from pg_prepared_statements", "0");
        assert_says(c, "select to_regclass('pg_temp.x') is null", "t");
        assert_says(c, "select count(*) from pg_locks where locktype = 'advisory'", "0");
        assert_says(c, "select count(*) from pg_listening_channels()", "0");
        assert_says(c, "select current_user", "postgres");
        assert_says(c,
                    "set work_mem = '9MB'; prepare p as select 1; create temp table x (); "
                    "listen l; select pg_advisory_lock(1)",
                    "");
        PQclear(PQprepare(c, "q", "select 2", 0, NULL));
        assert_says(c, "set role pg_read_all_data", "SET");
        if (round == 0) assert_says(c, "begin; select 3", "3");
        PQfinish(c);
    }
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- cancel --------------------------------------------------------------------------------- */

static bool cancel(PGconn *c)
{
    char why[256];
    PGcancel *handle = PQgetCancel(c);
    bool ok = PQcancel(handle, why, sizeof why) == 1;
    PQfreeCancel(handle);
    return ok;
}

/* CANCELS=10000 for long ones. */
static int rounds(void)
{
    const char *wanted = getenv("CANCELS");
    return wanted ? atoi(wanted) : 250;
}

static void a_cancel_hits_the_right_query_or_none(void **state)
{
    enum { CLIENTS = 4 };
    struct world *w = *state;
    PGconn *c[CLIENTS];
    const int ROUNDS = rounds();
    int hits = 0, strays = 0;
    for (int at = 0; at < CLIENTS; at++) c[at] = client(w, "");
    for (int round = 0; round < ROUNDS; round++) {
        /* One is cancelled, at times when it may be over; the others must not notice. */
        int victim = round % CLIENTS;
        for (int at = 0; at < CLIENTS; at++)
            assert_int_equal(PQsendQuery(c[at], at != victim ? "select pg_sleep(0.002)"
                                                : round % 2  ? "select pg_sleep(0.3)"
                                                             : "select 1"),
                             1);
        if (round % 4 == 1) kit_sleep_ms(3);
        assert_true(cancel(c[victim]));
        for (int at = 0; at < CLIENTS; at++) {
            PGresult *r;
            while ((r = PQgetResult(c[at]))) {
                bool cancelled = PQresultStatus(r) == PGRES_FATAL_ERROR;
                if (cancelled)
                    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
                if (at == victim)
                    hits += cancelled;
                else
                    strays += cancelled;
                PQclear(r);
            }
        }
        /* The next query of the victim is not the one that was meant. */
        if (strcmp(before_says(c[victim], "select pg_sleep(0.001)"), "") != 0) strays++;
    }
    assert_int_equal(strays, 0);
    assert_in_range(hits, ROUNDS / 4, ROUNDS);
    for (int at = 0; at < CLIENTS; at++) PQfinish(c[at]);
}

/* Twelve clients on three servers: most cancels aim at queries that stand in line, or at those that
 * have just got a server, or given it back. */
static void cancels_of_queued_queries_never_stray(void **state)
{
    enum { CLIENTS = 12 };
    struct world *w = *state;
    struct proxy p = { 0 };
    PGconn *c[CLIENTS];
    int hits = 0;
    assert_true(
        before_start(w->kit, &p,
                     &(struct before){ .server_port = w->pg.port,
                                       .workers = 2,
                                       .pool = "{ \"mode\": \"transaction\", "
                                               "\"size\": 3, \"wait_timeout\": \"60s\" }" }));
    for (int at = 0; at < CLIENTS; at++) c[at] = connect_to(p.port, "postgres", "");
    for (int round = 0, left = rounds(); left > 0; round++) {
        bool aimed[CLIENTS] = { false };
        for (int at = 0; at < CLIENTS; at++)
            assert_int_equal(
                PQsendQuery(c[at], at % 3 ? "select pg_sleep(0.002)" : "select pg_sleep(0.01)"), 1);
        for (int n = 0; n < 4; n++, left--) {
            int at = (round * 5 + n * 7) % CLIENTS;
            aimed[at] = true;
            assert_true(cancel(c[at]));
        }
        for (int at = 0; at < CLIENTS; at++) {
            PGresult *r;
            while ((r = PQgetResult(c[at]))) {
                if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
                    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
                    assert_true(aimed[at]);
                    hits++;
                }
                PQclear(r);
            }
        }
    }
    assert_in_range(hits, rounds() / 4, rounds());
    for (int at = 0; at < CLIENTS; at++) PQfinish(c[at]);
    assert_true(proxy_stop(w->kit, &p));
}

static void a_wrong_key_cancels_nothing(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", "postgres", "database", "postgres", NULL });
    uint8_t key[8] = { 0 };
    for (int type = 0; type != 'Z';) {
        type = raw_next(r);
        assert_true(type > 0);
        if (type == 'K') memcpy(key, r->body, 8);
    }
    raw_query(r, "select pg_sleep(0.5)");
    kit_sleep_ms(50);
    for (int bit = 0; bit < 64; bit += 7) {
        uint8_t packet[16] = { 0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e };
        memcpy(packet + 8, key, 8);
        packet[8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct raw *wrong = raw_open(w->proxy.port, NULL);
        raw_send(wrong, packet, 16);
        assert_int_equal(raw_byte(wrong), RAW_END); /* and nobody is told */
        raw_close(wrong);
    }
    assert_string_equal(raw_answer(r), "T D C ZI");
    raw_close(r);
}

static void a_queued_query_is_cancelled_without_a_server(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = w->pg.port,
                                               .pool = "{ \"mode\": \"transaction\", "
                                                       "\"size\": 1 }" }));
    PGconn *a = connect_to(p.port, "postgres", ""), *b = connect_to(p.port, "postgres", "");
    assert_says(a, "begin", "BEGIN");
    assert_int_equal(PQsendQuery(b, "select 1"), 1);
    kit_sleep_ms(100);
    long long begun = kit_now_ms();
    assert_true(cancel(b));
    PGresult *r = PQgetResult(b);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
    assert_true(kit_now_ms() - begun < 1000);
    PQclear(r);
    assert_null(PQgetResult(b));
    assert_says(a, "commit", "COMMIT");
    assert_says(b, "select 2", "2");
    PQfinish(a);
    PQfinish(b);
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- clients that go ------------------------------------------------------------------------ */

static bool pg_is_idle(struct world *w)
{
    for (int tries = 0; tries < 250; tries++) {
        char *busy = postgres_ask(&w->pg, "select count(*) from pg_stat_activity where state <> "
                                          "'idle' and backend_type = 'client backend' "
                                          "and pid <> pg_backend_pid()");
        bool idle = busy && strcmp(busy, "0") == 0;
        free(busy);
        if (idle) return true;
        kit_sleep_ms(20);
    }
    return false;
}

static void clients_that_vanish_leave_nothing_running(void **state)
{
    struct world *w = *state;
    static const char *const doing[] = {
        "select pg_sleep(30)", "begin; lock table t", "copy t from stdin",
        "select repeat('x', 1000) from generate_series(1, 100000)"
    };
    for (int how = 0; how < 2; how++)
        for (size_t at = 0; at < sizeof doing / sizeof *doing; at++) {
            struct raw *r = raw_open(w->proxy.port, NULL);
            assert_true(raw_login(r, "postgres"));
            raw_query(r, doing[at]);
            kit_sleep_ms(50);
            how ? raw_abort(r) : raw_close(r);
            if (!pg_is_idle(w)) fail_msg("%s goes on", doing[at]);
        }
    /* In the middle of a message. */
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_lie(r, 'Q', 1000000, "select ", 7);
    kit_sleep_ms(50);
    raw_close(r);
    assert_true(pg_is_idle(w));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(startup_parameters_are_the_servers),
        cmocka_unit_test(the_pid_is_the_servers),
        cmocka_unit_test(the_server_is_the_clients_alone),
        cmocka_unit_test(notices_and_notifications_pass),
        cmocka_unit_test(copy_goes_both_ways),
        cmocka_unit_test(large_results_and_statements_pass),
        cmocka_unit_test(a_half_closed_client_hears_the_answer),
        cmocka_unit_test(the_servers_last_word_is_heard_once),
        cmocka_unit_test(a_server_that_dies_in_a_row_leaves_no_half_message),
        cmocka_unit_test(no_server_there_is_08001_within_the_wait),
        cmocka_unit_test(a_server_that_comes_back_is_used_at_once),
        cmocka_unit_test(warm_servers_are_there_before_anybody_asks),
        cmocka_unit_test(a_server_is_handed_on_clean),
        cmocka_unit_test(a_cancel_hits_the_right_query_or_none),
        cmocka_unit_test(cancels_of_queued_queries_never_stray),
        cmocka_unit_test(a_wrong_key_cancels_nothing),
        cmocka_unit_test(a_queued_query_is_cancelled_without_a_server),
        cmocka_unit_test(clients_that_vanish_leave_nothing_running),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
