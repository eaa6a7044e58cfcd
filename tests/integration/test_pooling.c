/* Transaction mode: many clients on few servers, of which nobody may notice anything but the wait.
 */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct proxy one, two; /* with so many servers */
};

static const char one_server[] = "{ \"size\": 1, \"wait_timeout\": \"5s\" }";

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("pooling");
    *state = w;
    /* What is freed counts as long as ASan keeps it, and memory is measured here. */
    setenv("ASAN_OPTIONS", "quarantine_size_mb=4", 0);
    return postgres_start(w->kit, &w->pg, NULL) &&
                   postgres_run(&w->pg, "create table t (i int, s text); create user pool;"
                                        "grant all on t to pool;"
                                        "create table arrivals (n serial, client int);"
                                        "create table crosstalk (client int, number int, "
                                        "filler text)") &&
                   before_start(
                       w->kit, &w->one,
                       &(struct before){ .server_port = w->pg.port, .pool = one_server }) &&
                   before_start(w->kit, &w->two,
                                &(struct before){ .server_port = w->pg.port,
                                                  .limits = "{ \"prepared_per_client\": 500 }",
                                                  .pool =
                                                      "{ \"size\": 2, \"wait_timeout\": \"5s\", "
                                                      "\"prepared_statements\": 50 }" })
               ? 0
               : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    bool clean =
        (!w->one.pid || proxy_stop(w->kit, &w->one)) & (!w->two.pid || proxy_stop(w->kit, &w->two));
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

static PGconn *client(struct proxy *p, const char *extra)
{
    PGconn *c = connect_to(p->port, "postgres", extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

static struct raw *raw_client(struct proxy *p)
{
    struct raw *r = raw_open(p->port, NULL);
    assert_true(raw_login(r, "postgres"));
    return r;
}

#define assert_says(c, sql, wanted) assert_string_equal(before_says(c, sql), wanted)

/* ---- the leak probe ------------------------------------------------------------------------- */

/* CVE-2018-1058, CVE-2024-10978 among them: a search_path, a role that stayed. */
static void nothing_of_one_client_is_seen_by_the_next(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *act, *ask, *wanted, *pin; /* NULL: carried, not pinned */
    } probes[] = {
        { "set search_path = pg_catalog", "show search_path", "\"$user\", public", NULL },
        { "set statement_timeout = '7s'", "show statement_timeout", "0", NULL },
        { "select set_config('work_mem', '7MB', false)", "show work_mem", "4MB", NULL },
        { "set role pg_read_all_data", "select current_user", "postgres", "SET ROLE" },
        { "set session authorization pool", "select session_user", "postgres", "SET ROLE" },
        { "create temp table leak (i int)", "select to_regclass('leak') is null", "t",
          "temporary table" },
        { "select 1 as i into temp leak", "select to_regclass('leak') is null", "t",
          "temporary table" },
        { "select pg_advisory_lock(4711)",
          "select count(*) from pg_locks where locktype = 'advisory'", "0", "advisory lock" },
        { "prepare leak as select 1", "execute leak", "26000", "PREPARE" },
        { "listen leak", "select count(*) from pg_listening_channels()", "0", "LISTEN" },
        { "begin; declare leak cursor with hold for select 1; commit", "fetch leak", "34000",
          "cursor WITH HOLD" },
        { "do $$ begin perform set_config('work_mem', '9MB', false); end $$", "show work_mem",
          "4MB", "CALL or DO" },
        { "select setseed(0.5)", "select 1", "1", "random seed" },
    };
    for (size_t at = 0; at < sizeof probes / sizeof *probes; at++) {
        int pins = before_log_count(w->kit, &w->one, "session.pinned");
        PGconn *a = client(&w->one, "");
        before_says(a, probes[at].act);
        if (probes[at].pin) {
            PQfinish(a);
            if (before_log_count(w->kit, &w->one, "session.pinned") != pins + 1 ||
                !proxy_log_has(w->kit, &w->one, probes[at].pin, 0))
                fail_msg("%s: not pinned for \"%s\"", probes[at].act, probes[at].pin);
            a = NULL;
        }
        PGconn *b = client(&w->one, "");
        for (int round = 0; round < 2; round++)
            if (strcmp(before_says(b, probes[at].ask), probes[at].wanted) != 0)
                fail_msg("%s leaks: %s", probes[at].act, before_says(b, probes[at].ask));
        /* And who set it still has it. */
        if (a) assert_string_not_equal(before_says(a, probes[at].ask), probes[at].wanted);
        assert_says(b, probes[at].ask, probes[at].wanted);
        PQfinish(a);
        PQfinish(b);
        if (!probes[at].pin)
            assert_int_equal(before_log_count(w->kit, &w->one, "session.pinned"), pins);
    }
}

/* ---- settings ------------------------------------------------------------------------------- */

static void settings_follow_their_client(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one, "application_name=first"), *b = client(&w->one, "");
#define both_see(mine, yours)                                                                      \
    assert_says(a, "show work_mem", mine);                                                         \
    assert_says(b, "show work_mem", yours);                                                        \
    assert_says(a, "show work_mem", mine)
    both_see("4MB", "4MB");
    assert_says(a, "set work_mem = '5MB'", "SET");
    both_see("5MB", "4MB");
    assert_says(b, "set work_mem to '6MB'", "SET");
    both_see("5MB", "6MB");
    assert_says(a, "begin; set work_mem = '7MB'", "SET");
    assert_says(a, "rollback", "ROLLBACK");
    both_see("5MB", "6MB");
    assert_says(a, "begin; set work_mem = '7MB'", "SET");
    assert_says(a, "select 1/0", "22012");
    assert_says(a, "commit", "ROLLBACK");
    both_see("5MB", "6MB");
    assert_says(a, "set work_mem = '8MB'; select 1/0", "22012"); /* one implicit transaction */
    both_see("5MB", "6MB");
    assert_says(a, "begin; set local work_mem = '9MB'; show work_mem", "9MB");
    assert_says(a, "commit", "COMMIT");
    both_see("5MB", "6MB");
    assert_says(a, "begin; set work_mem = '7MB'; commit", "COMMIT");
    both_see("7MB", "6MB");
    assert_says(a, "set work_mem = 'much'", "22023");
    both_see("7MB", "6MB");
    assert_says(a, "reset work_mem", "RESET");
    both_see("4MB", "6MB");
    assert_says(b, "set work_mem = default", "SET");
    both_see("4MB", "4MB");
    assert_says(a, "show application_name", "first");
    assert_says(b, "show application_name", "");
    assert_says(a, "set application_name = 'x''y'", "SET");
    assert_says(b, "show application_name", "");
    assert_says(a, "show application_name", "x'y");
    assert_says(a, "reset all", "RESET");
    assert_says(b, "show application_name", "");
    assert_says(a, "show application_name", "first");
    assert_says(a, "set time zone 'Europe/Paris'", "SET");
    assert_says(b, "show timezone", "Etc/UTC");
    assert_says(a, "show timezone", "Europe/Paris");
    PQfinish(a);
    PQfinish(b);
}

/* PgDog's (6fd1c960): what was replayed without being quoted. */
static void settings_are_quoted_when_they_are_replayed(void **state)
{
    struct world *w = *state;
    static const char *const names[] = { "x'; create table pwned(i int); --",
                                         "x\\'; create table pwned(i int); --",
                                         "\"; create table pwned(i int); --",
                                         "$$",
                                         "x\\",
                                         "''" };
    PGconn *b = client(&w->one, "");
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        struct raw *r = raw_open(w->one.port, NULL);
        raw_startup(r, RAW_PROTOCOL_3_0,
                    (const char *[]){ "user", "postgres", "database", "postgres",
                                      "application_name", names[at], NULL });
        assert_string_equal(raw_answer(r), "R K ZI");
        for (int round = 0; round < 2; round++) {
            assert_says(b, "show application_name", "");
            raw_query(r, "show application_name");
            assert_int_equal(raw_next(r), 'T');
            assert_int_equal(raw_next(r), 'D');
            assert_int_equal(r->len - 6, strlen(names[at]));
            assert_memory_equal(r->body + 6, names[at], strlen(names[at]));
            assert_string_equal(raw_answer(r), "C ZI");
        }
        raw_close(r);
    }
    assert_says(b, "select to_regclass('pwned') is null", "t");
    PQfinish(b);
}

static void startup_settings_are_welcomed_as_the_server_has_them(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 2; round++) { /* the second time the welcome is known */
        PGconn *a = client(&w->one, "options='-c datestyle=german -c timezone=Asia/Tokyo'");
        assert_string_equal(PQparameterStatus(a, "DateStyle"), "German, DMY");
        assert_string_equal(PQparameterStatus(a, "TimeZone"), "Asia/Tokyo");
        PGconn *b = client(&w->one, "");
        assert_string_equal(PQparameterStatus(b, "DateStyle"), "ISO, MDY");
        assert_says(b, "show datestyle", "ISO, MDY");
        assert_says(a, "show timezone", "Asia/Tokyo");
        assert_says(a, "select '2026-02-01'::date", "01.02.2026");
        PQfinish(a);
        /* What the server does not take keeps nobody out, and the rest holds. */
        a = client(&w->one, "options='-c timezone=Nowhere/Nothing -c work_mem=3MB'");
        assert_string_equal(PQparameterStatus(a, "TimeZone"), "Etc/UTC");
        assert_says(a, "show work_mem", "3MB");
        assert_says(b, "show work_mem", "4MB");
        PQfinish(a);
        PQfinish(b);
    }
}

/* ---- prepared statements -------------------------------------------------------------------- */

/* The client's next request goes to the other of two servers. */
static void take_away(PGconn *other) { assert_says(other, "begin; select 1", "1"); }
static void give_back(PGconn *other) { assert_says(other, "commit", "COMMIT"); }

static void statements_live_on_every_server(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_client(&w->two), *twin = raw_client(&w->two);
    PGconn *other = client(&w->two, "");
    raw_parse(r, "s", "select 'r'");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 ZI");
    raw_parse(twin, "s", "select 'twin'"); /* drivers' names are all alike */
    raw_sync(twin);
    assert_string_equal(raw_answer(twin), "1 ZI");
    for (int round = 0; round < 6; round++) {
        if (round % 2) take_away(other);
        struct raw *both[] = { r, twin };
        for (int at = 0; at < 2; at++) {
            raw_bind(both[at], "s");
            raw_execute(both[at]);
            raw_sync(both[at]);
            assert_int_equal(raw_next(both[at]), '2');
            assert_int_equal(raw_next(both[at]), 'D');
            assert_int_equal(both[at]->len - 6, at ? 4 : 1);
            assert_string_equal(raw_answer(both[at]), "C ZI");
        }
        if (round % 2) give_back(other);
    }
    /* The unnamed one too, over a Sync, as lib/pq does it. */
    for (int round = 0; round < 4; round++) {
        raw_parse(r, "", round % 2 ? "select 1" : "select 22");
        raw_say(r, 'D', "S", 2);
        raw_sync(r);
        assert_string_equal(raw_answer(r), "1 t T ZI");
        take_away(other);
        raw_bind(r, "");
        raw_execute(r);
        raw_sync(r);
        assert_int_equal(raw_next(r), '2');
        assert_int_equal(raw_next(r), 'D');
        assert_int_equal(r->len - 6, round % 2 ? 1 : 2);
        assert_string_equal(raw_answer(r), "C ZI");
        give_back(other);
    }
    /* A name twice is an error, also where the server knows nothing of it; an unknown one too. */
    raw_parse(r, "s", "select 3");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E42P05 ZI");
    raw_bind(r, "stranger");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E26000 ZI");
    raw_close(r);
    raw_close(twin);
    PQfinish(other);
}

static void sql_speaks_of_the_same_statements(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->two, ""), *other = client(&w->two, "");
    PQclear(PQprepare(a, "s", "select 7", 0, NULL));
    assert_says(a, "deallocate s", "DEALLOCATE");
    PGresult *r = PQexecPrepared(a, "s", 0, NULL, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "26000");
    PQclear(r);
    r = PQprepare(a, "s", "select 8", 0, NULL);
    assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
    PQclear(r);
    r = PQexecPrepared(a, "s", 0, NULL, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(r, 0, 0), "8");
    PQclear(r);
    assert_says(a, "deallocate all", "DEALLOCATE ALL");
    r = PQexecPrepared(a, "s", 0, NULL, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "26000");
    PQclear(r);
    /* Somebody else's is not there to be executed. */
    PQclear(PQprepare(other, "mine", "select 9", 0, NULL));
    assert_says(a, "execute mine", "26000");
    PQfinish(a);
    PQfinish(other);
}

/* Of the environment. */
static int number(const char *name, int usual)
{
    const char *text = getenv(name);
    return text ? atoi(text) : usual;
}

/* FLOODS=10 for a million. */
static void a_hundred_thousand_names_are_bounded(void **state)
{
    struct world *w = *state;
    enum { BATCH = 500 };
    const int names = 100000 * number("FLOODS", 1);
    struct raw *r = raw_client(&w->two);
    long before = before_rss_kib(&w->two);
    for (int at = 0; at < names; at += BATCH) {
        for (int n = at; n < at + BATCH; n++) {
            char name[32], sql[64];
            snprintf(name, sizeof name, "n%d", n);
            snprintf(sql, sizeof sql, "select %d", n);
            raw_parse(r, name, sql);
        }
        raw_sync(r);
        char last[8];
        const char *answer = raw_answer(r);
        snprintf(last, sizeof last, "%s", answer + strlen(answer) - 2);
        assert_string_equal(last, "ZI");
        if (strchr(answer, 'E')) fail_msg("%d: %s", at, strchr(answer, 'E'));
    }
    char name[32];
    snprintf(name, sizeof name, "n%d", names - 1);
    raw_bind(r, name);
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "2 D C ZI");
    raw_query(r, "select count(*) from pg_prepared_statements");
    assert_int_equal(raw_next(r), 'T');
    assert_int_equal(raw_next(r), 'D');
    assert_true(r->len - 6 <= 3); /* below 1000: pool.prepared_statements and a batch */
    assert_string_equal(raw_answer(r), "C ZI");
    const long more = before_rss_kib(&w->two) - before;
    print_message("# %d names: %ld KiB more\n", names, more);
    assert_in_range(more, 0, 300 << 10);
    raw_close(r);
}

static void pipelines_of_any_depth_are_answered_in_order(void **state)
{
    struct world *w = *state;
    enum { DEPTH = 10000 };
    struct raw *r = raw_client(&w->two);
    PGconn *other = client(&w->two, "");
    pid_t writer = fork();
    if (writer == 0) { /* writes, while we read */
        for (int n = 0; n < DEPTH; n++) {
            char sql[64];
            snprintf(sql, sizeof sql, "select %d", n);
            if (n % 3 == 0) {
                raw_query(r, sql);
            } else {
                raw_parse(r, "", sql);
                raw_bind(r, "");
                raw_execute(r);
                raw_sync(r);
            }
        }
        _exit(0);
    }
    for (int n = 0; n < DEPTH; n++) {
        if (n == 5000) assert_says(other, "select 1", "1"); /* nobody starves */
        int type;
        while ((type = raw_next(r)) != 'D')
            if (type < 0 || type == 'E') fail_msg("%d: %c", n, type < 0 ? '-' : type);
        r->body[r->len] = '\0';
        assert_int_equal(strtol((char *)r->body + 6, NULL, 10), n);
        assert_string_equal(raw_answer(r), "C ZI");
    }
    waitpid(writer, NULL, 0);
    raw_close(r);
    PQfinish(other);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void who_waits_too_long_is_told(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *pool;
        int low_ms, high_ms;
    } cases[] = { { "{ \"size\": 1, \"wait_timeout\": \"700ms\" }", 600, 3000 },
                  { "{ \"size\": 1, \"wait_timeout\": \"0\" }", 0, 500 } };
    for (int at = 0; at < 2; at++) {
        struct proxy p = { 0 };
        assert_true(before_start(
            w->kit, &p, &(struct before){ .server_port = w->pg.port, .pool = cases[at].pool }));
        PGconn *a = client(&p, ""), *b = client(&p, "");
        assert_says(a, "begin", "BEGIN");
        long long begun = kit_now_ms();
        assert_says(b, "select 1", "53300");
        assert_in_range(kit_now_ms() - begun, cases[at].low_ms, cases[at].high_ms);
        /* In a batch: one error, and then as if nothing had been. */
        PGresult *r = PQexecParams(b, "select 2", 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "53300");
        PQclear(r);
        assert_says(a, "commit", "COMMIT");
        assert_says(b, "select 3", "3");
        PQfinish(a);
        PQfinish(b);
        assert_true(proxy_stop(w->kit, &p));
    }
}

/* A thousand clients that connect, insert a row and leave; CROWD=1000 for all of them at once. */
static void nobody_is_lost_in_the_crowd(void **state)
{
    static const int workers[] = { 1, 2, 4 };
    const int crowd = number("CROWD", 50), servers = 20;
    char clients[16], times[16];
    struct world *w = *state;
    snprintf(clients, sizeof clients, "%d", crowd);
    snprintf(times, sizeof times, "%d", 1000 / crowd);
    const char *script =
        kit_file(w->kit, "arrive.sql", "insert into arrivals (client) values (:client_id);\n");
    assert_true(postgres_run(&w->pg, "grant all on arrivals to pool; "
                                     "grant all on sequence arrivals_n_seq to pool"));
    for (int at = 0; at < 3; at++) {
        struct proxy p = { 0 };
        char port[16];
        assert_true(before_start(
            w->kit, &p,
            &(struct before){ .server_port = w->pg.port,
                              .workers = workers[at],
                              .max_connections = servers,
                              .users = "\"pool\": { \"auth\": [\"trust\"], \"role\": \"owner\" }",
                              .logins = "\"pool\": \"env:PG_PASSWORD\"",
                              .pool = "{ \"size\": 30, \"wait_timeout\": \"60s\" }" }));
        assert_true(postgres_run(&w->pg, "truncate arrivals"));
        snprintf(port, sizeof port, "%d", p.port);
        pid_t bench = kit_start(w->kit, "pgbench.log",
                                (const char *[]){ "pgbench", "-n", "-C", "-c", clients, "-j", "2",
                                                  "-t", times, "-h", "127.0.0.1", "-p", port, "-U",
                                                  "pool", "-f", script, "postgres", NULL });
        int most = 0;
        while (kit_is_running(w->kit, bench)) {
            int now = before_servers(&w->pg, "pool");
            if (now > most) most = now;
        }
        if (kit_stop(w->kit, bench, 0, 0) != 0) {
            kit_print_log(w->kit, "pgbench.log", stderr);
            fail_msg("pgbench, %d workers", workers[at]);
        }
        char *rows = postgres_ask(&w->pg, "select count(*) from arrivals");
        assert_string_equal(rows, "1000");
        free(rows);
        print_message("# %d workers: at most %d servers\n", workers[at], most);
        assert_in_range(most, 1, servers);
        assert_true(proxy_stop(w->kit, &p));
    }
}

static void lost_servers_cost_one_error_each_and_no_wrong_answer(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    char port[16];
    assert_true(postgres_run(&w->pg, "grant all on crosstalk to pool"));
    assert_true(before_start(
        w->kit, &p,
        &(struct before){ .server_port = w->pg.port,
                          .workers = 2,
                          .users = "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\", "
                                   "\"db_user\": \"pool\" }",
                          .logins = "\"pool\": \"env:PG_PASSWORD\"",
                          .pool = "{ \"size\": 5, \"wait_timeout\": \"20s\" }" }));
    snprintf(port, sizeof port, "%d", p.port);
    pid_t load = kit_start(w->kit, "crosstalk.log",
                           (const char *[]){ kit_built(w->kit, "soak/crosstalk"), "-p", port, "-c",
                                             "40", "-t", "6", "-l", NULL });
    while (kit_is_running(w->kit, load)) {
        kit_sleep_ms(200);
        before_terminate(&w->pg, "pool");
    }
    int status = kit_stop(w->kit, load, 0, 0);
    if (status) {
        kit_print_log(w->kit, "crosstalk.log", stderr);
        kit_print_log(w->kit, p.log_name, stderr);
    }
    assert_int_equal(status, 0);
    /* Each that hit a client had its SQLSTATE from PostgreSQL, none from us. */
    assert_int_equal(before_log_count(w->kit, &p, "sqlstate=08006"), 0);
    assert_true(proxy_stop(w->kit, &p));
}

static pid_t only_server(struct world *w)
{
    char *pid = postgres_ask(&w->pg, "select pid from pg_stat_activity where usename = 'postgres' "
                                     "and backend_type = 'client backend' and pid <> "
                                     "pg_backend_pid()");
    pid_t server = (pid_t)atoi(pid);
    free(pid);
    assert_true(server > 1);
    return server;
}

/* The only server of w->one stands still while `ask` is on its way, and is ended before it goes on.
 */
static void lose_the_server_under(struct world *w, PGconn *c, const char *ask)
{
    pid_t server = only_server(w);
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_true(PQsendQuery(c, ask));
    kit_sleep_ms(200);
    before_terminate(&w->pg, "postgres");
    assert_int_equal(kill(server, SIGCONT), 0);
}

/* "": what the query says, or the SQLSTATE of its failure. */
static void assert_result(PGconn *c, const char *wanted)
{
    PGresult *result = PQgetResult(c);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        assert_string_equal(PQgetvalue(result, 0, 0), wanted);
    else
        assert_string_equal(state ? state : "none", wanted);
    PQclear(result);
    while ((result = PQgetResult(c))) PQclear(result);
}

/* Lost while it takes the settings of a client who has not asked it anything yet: another one does.
 * Lost after that: the client hears the warehouse's own SQLSTATE, once, and nothing is sent twice.
 */
static void a_server_lost_before_it_was_asked_costs_nothing(void **state)
{
    struct world *w = *state;
    struct proxy *p = &w->one;
    const char *lost = "state=busy why=\"the warehouse closed the connection (57P01";
    int losses = before_log_count(w->kit, p, lost);
    int refusals = before_log_count(w->kit, p, "session.setting_refused");
    PGconn *a = client(p, "application_name=a"), *b = client(p, "application_name=b");
    for (int round = 0; round < 3; round++) {
        assert_says(b, "show application_name", "b");
        lose_the_server_under(w, a, "show application_name");
        assert_result(a, "a");
    }
    assert_int_equal(before_log_count(w->kit, p, lost), losses + 3);
    assert_int_equal(before_log_count(w->kit, p, "session.setting_refused"), refusals);
    /* It has been asked. */
    assert_says(a, "show application_name", "a");
    lose_the_server_under(w, a, "insert into t values (5701, 'once')");
    assert_result(a, "57P01");
    assert_string_equal(before_says(a, "select 1"), "lost");
    PQfinish(a);
    assert_says(b, "select count(*) from t where i = 5701", "0");
    /* Pinned to what is gone, with settings that would have to be brought back to it. */
    a = client(p, "options='-c timezone=Asia/Tokyo'");
    assert_says(a, "create temp table mine (i int)", "CREATE TABLE");
    assert_says(a, "reset timezone", "RESET");
    lose_the_server_under(w, a, "show timezone");
    assert_result(a, "57P01");
    PQfinish(a);
    assert_says(b, "show application_name", "b");
    PQfinish(b);
}

/* Its statement is not with the server yet: it is refused here, and the settings come to hold. */
static void a_cancel_while_settings_are_brought_is_for_the_statement(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one, "application_name=a"), *b = client(&w->one, "application_name=b");
    PGcancel *cancel = PQgetCancel(a);
    for (int round = 0; round < 4; round++) {
        char why[256] = "";
        assert_says(b, "show application_name", "b");
        pid_t server = only_server(w);
        assert_int_equal(kill(server, SIGSTOP), 0);
        const char *sql = "insert into t values (5714, 'never')";
        assert_true(round % 2 ? PQsendQueryParams(a, sql, 0, NULL, NULL, NULL, NULL, 0)
                              : PQsendQuery(a, sql));
        kit_sleep_ms(200);
        bool sent = PQcancel(cancel, why, sizeof why);
        assert_int_equal(kill(server, SIGCONT), 0);
        if (!sent) fail_msg("%s", why);
        assert_result(a, "57014");
        assert_says(a, "show application_name", "a");
    }
    assert_says(b, "select count(*) from t where i = 5714", "0");
    PQfreeCancel(cancel);
    PQfinish(a);
    PQfinish(b);
}

/* ---- clients that misbehave ----------------------------------------------------------------- */

static void a_client_that_is_gone_has_its_query_cancelled(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_client(&w->one);
    raw_query(r, "select pg_sleep(30)");
    kit_sleep_ms(100);
    raw_close(r);
    long long begun = kit_now_ms();
    PGconn *c = client(&w->one, "");
    assert_says(c, "select 1", "1");
    assert_true(kit_now_ms() - begun < 3000);
    char *busy =
        postgres_ask(&w->pg, "select count(*) from pg_stat_activity "
                             "where query like 'select pg_sleep(30)%' and state = 'active'");
    assert_string_equal(busy, "0");
    free(busy);
    /* In a transaction, in a COPY, in a batch without its Sync, with half a message sent. */
    static const char *const left[] = { "begin; lock table t", "copy t from stdin",
                                        "copy t from stdin" };
    for (size_t at = 0; at < 5; at++) {
        r = raw_client(&w->one);
        if (at < 3) {
            raw_query(r, left[at]);
            raw_next(r);
        } else if (at == 3) {
            raw_parse(r, "", "insert into t values (1, 'never')");
            raw_bind(r, "");
            raw_execute(r);
            raw_say(r, 'H', NULL, 0);
            raw_next(r);
        } else {
            raw_lie(r, 'Q', 100000, "select 1", 8);
            kit_sleep_ms(50);
        }
        if (at == 2) raw_say(r, 'd', "1\tnever\n", 8);
        at % 2 ? raw_abort(r) : raw_close(r);
        assert_says(c, "begin; lock table t; select count(*) from t", "0");
        assert_says(c, "commit", "COMMIT");
    }
    PQfinish(c);
}

static void a_client_that_never_reads_costs_little(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_client(&w->two), *one_row = raw_client(&w->two);
    long before = before_rss_kib(&w->two);
    raw_query(r, "select repeat('x', 1000) from generate_series(1, 300000)");
    raw_query(one_row, "select repeat('x', 200000000)");
    long most = before;
    for (int at = 0; at < 20; at++) {
        kit_sleep_ms(100);
        long now = before_rss_kib(&w->two);
        if (now > most) most = now;
    }
    print_message("# %ld KiB more\n", most - before);
    assert_in_range(most - before, 0, 16 << 10);
    /* The slow one gets it all, when it reads at last. */
    size_t bytes = 0;
    int type = raw_next(r);
    assert_int_equal(type, 'T');
    while ((type = raw_next(r)) == 'D') bytes += r->len - 6;
    assert_int_equal(type, 'C');
    assert_int_equal(bytes, 300000000);
    raw_close(r);
    raw_abort(one_row);
    PGconn *c = client(&w->two, "");
    assert_says(c, "select 1", "1");
    PQfinish(c);
}

/* In the other direction: 100 MB of COPY against a server that waits for a lock. */
static void a_server_that_does_not_read_costs_little(void **state)
{
    struct world *w = *state;
    PGconn *lock = client(&w->two, "");
    struct raw *r = raw_client(&w->two);
    static char megabyte[1 << 20];
    memset(megabyte, 'z', sizeof megabyte);
    assert_says(lock,
                "begin; create or replace function slow() returns trigger language plpgsql as "
                "'begin perform pg_sleep(0.3); return null; end'",
                "CREATE FUNCTION");
    assert_says(lock,
                "create trigger slow before insert on t for each row execute function slow(); "
                "commit",
                "COMMIT");
    raw_query(r, "copy t (s) from stdin");
    assert_int_equal(raw_next(r), 'G');
    long before = before_rss_kib(&w->two), most = before;
    pid_t writer = fork();
    if (writer == 0) {
        for (int at = 0; at < 100; at++) {
            raw_say(r, 'd', megabyte, sizeof megabyte);
            raw_say(r, 'd', "\n", 1);
        }
        _exit(0);
    }
    for (int at = 0; at < 15; at++) {
        kit_sleep_ms(100);
        long now = before_rss_kib(&w->two);
        if (now > most) most = now;
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    print_message("# %ld KiB more\n", most - before);
    assert_in_range(most - before, 0, 16 << 10);
    raw_abort(r);
    assert_says(lock, "drop trigger slow on t", "DROP TRIGGER");
    PQfinish(lock);
}

static void assert_answer(struct raw *r, const char *types)
{
    for (; *types; types++) assert_int_equal(raw_next(r), *types);
}

/* Its answers are more than it takes, and one ends just there: the server is free for others, who
 * are answered; what it asks meanwhile waits, and is answered when it reads at last. */
static void a_client_that_falls_behind_holds_up_nobody(void **state)
{
    enum { ASKED = 1500, KIB_MOST = 4 << 10 };
    struct world *w = *state;
    struct raw *slow = raw_client(&w->one), *other = raw_client(&w->one);
    long before = before_rss_kib(&w->one);
    for (int at = 0; at < ASKED; at++) {
        raw_query(slow, "select repeat('x', 7000)"); /* one send of PostgreSQL's, its last too */
        raw_query(other, "select 1");
        assert_answer(other, "TDCZ");
    }
    assert_in_range(before_rss_kib(&w->one) - before, 0, KIB_MOST);
    for (int at = 0; at < ASKED; at++) assert_answer(slow, "TDCZ");
    raw_close(slow);
    raw_close(other);
}

/* What we answer ourselves, too, is not made for whom does not take it. */
static void a_client_that_only_asks_costs_little(void **state)
{
    enum { AT_ONCE = 200 * 1000, TIMES = 15 };
    struct world *w = *state;
    struct raw *r = raw_client(&w->two);
    char *syncs = malloc(5 * AT_ONCE);
    for (int at = 0; at < AT_ONCE; at++) memcpy(syncs + 5 * at, "S\0\0\0\4", 5);
    long before = before_rss_kib(&w->two), most = before;
    pid_t writer = fork();
    if (writer == 0) {
        for (int at = 0; at < TIMES; at++) raw_send(r, syncs, 5 * AT_ONCE);
        _exit(0);
    }
    for (int at = 0; at < 20; at++) {
        kit_sleep_ms(100);
        long now = before_rss_kib(&w->two);
        if (now > most) most = now;
    }
    print_message("# %ld KiB more\n", most - before);
    assert_in_range(most - before, 0, 4 << 10);
    for (int at = 0; at < AT_ONCE * TIMES; at++)
        if (raw_next(r) != 'Z') fail_msg("%d answers", at);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    raw_close(r);
    free(syncs);
}

static void messages_out_of_place_disturb_nobody(void **state)
{
    struct world *w = *state;
    PGconn *c = client(&w->one, "");
    static const size_t lengths[] = { 0, 1, 64 };
    static char body[64];
    for (int type = 0; type < 256; type++)
        for (size_t at = 0; at < 3; at++) {
            if (type == 'd' || type == 'f' || type == 'c') continue; /* ignored outside of a COPY */
            struct raw *r = raw_client(&w->one);
            raw_say(r, (char)type, body, lengths[at]);
            raw_sync(r);
            raw_half_close(r);
            const char *answer = raw_answer(r);
            if (strchr(answer, 'D') || strstr(answer, "silence"))
                fail_msg("0x%02x with %zu: %s", type, lengths[at], answer);
            raw_close(r);
        }
    /* A length that is a lie. */
    static const uint32_t lies[] = { 0, 3, 0x7fffffff, 0x80000000, 0xffffffff };
    for (size_t at = 0; at < 5; at++)
        for (const char *type = "QPBDECHSFdcfp"; *type; type++) {
            struct raw *r = raw_client(&w->one);
            raw_lie(r, *type, lies[at], "\0\0\0\0\0\0\0", 8);
            raw_half_close(r);
            assert_null(strstr(raw_answer(r), "silence"));
            raw_close(r);
        }
    assert_says(c, "select 1", "1");
    PQfinish(c);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_one_client_is_seen_by_the_next),
        cmocka_unit_test(settings_follow_their_client),
        cmocka_unit_test(settings_are_quoted_when_they_are_replayed),
        cmocka_unit_test(startup_settings_are_welcomed_as_the_server_has_them),
        cmocka_unit_test(statements_live_on_every_server),
        cmocka_unit_test(sql_speaks_of_the_same_statements),
        cmocka_unit_test(a_hundred_thousand_names_are_bounded),
        cmocka_unit_test(pipelines_of_any_depth_are_answered_in_order),
        cmocka_unit_test(who_waits_too_long_is_told),
        cmocka_unit_test(nobody_is_lost_in_the_crowd),
        cmocka_unit_test(a_server_lost_before_it_was_asked_costs_nothing),
        cmocka_unit_test(a_cancel_while_settings_are_brought_is_for_the_statement),
        cmocka_unit_test(lost_servers_cost_one_error_each_and_no_wrong_answer),
        cmocka_unit_test(a_client_that_is_gone_has_its_query_cancelled),
        cmocka_unit_test(a_client_that_never_reads_costs_little),
        cmocka_unit_test(a_server_that_does_not_read_costs_little),
        cmocka_unit_test(a_client_that_falls_behind_holds_up_nobody),
        cmocka_unit_test(a_client_that_only_asks_costs_little),
        cmocka_unit_test(messages_out_of_place_disturb_nobody),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
