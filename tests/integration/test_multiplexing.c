/* Transaction mode where it is delicate: statements that servers lose or that SQL names, pins that
 * must or must not last, encodings, what restricted roles bring along, half-closed clients.
 */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct proxy one, two; /* with so many servers */
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("multiplexing");
    *state = w;
    return postgres_start(w->kit, &w->pg, NULL) &&
                   postgres_run(
                       &w->pg,
                       "create table t (i int, s text); create schema evil;"
                       "create table public.events (i int); create table evil.events (i int);"
                       "create user odd; grant all on public.events to odd; alter user odd set "
                       "client_encoding = 'SJIS';"
                       "create function lose() returns int language plpgsql as "
                       "'begin execute ''deallocate all''; return 1; end';"
                       "create function doubt() returns int language plpgsql as "
                       "'begin execute ''execute nothing''; return 1; end'") &&
                   before_start(w->kit, &w->one,
                                &(struct before){
                                    .server_port = w->pg.port,
                                    .logins = "\"postgres\": \"env:PG_PASSWORD\", "
                                              "\"odd\": \"env:PG_PASSWORD\"",
                                    .users = "\"postgres\": { \"auth\": [\"trust\"], \"role\": "
                                             "\"owner\" }, \"loader\": { \"auth\": [\"trust\"], "
                                             "\"role\": \"loader\", \"db_user\": \"postgres\" }, "
                                             "\"odd_loader\": { \"auth\": [\"trust\"], \"role\": "
                                             "\"loader\", \"db_user\": \"odd\" }",
                                    .roles = "\"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], "
                                             "\"on\": [\"*\"] } ] }, \"loader\": { "
                                             "\"insert_only\": [\"public.events\"], "
                                             "\"search_path\": \"public\", "
                                             "\"excess_privilege\": \"warn\" }",
                                    .pool = "{ \"size\": 1, \"wait_timeout\": \"3s\" }" }) &&
                   before_start(
                       w->kit, &w->two,
                       &(struct before){ .server_port = w->pg.port,
                                         .pool = "{ \"size\": 2, \"wait_timeout\": \"5s\" }" })
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

static PGconn *client_as(struct proxy *p, const char *user, const char *extra)
{
    PGconn *c = connect_to(p->port, user, extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

static PGconn *client(struct proxy *p) { return client_as(p, "postgres", ""); }

#define assert_says(c, sql, wanted) assert_string_equal(before_says(c, sql), wanted)

/* What a result says, as before_says; and clears it. */
static const char *says(PGresult *r)
{
    static char said[200];
    const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    snprintf(said, sizeof said, "%s",
             sqlstate                                ? sqlstate
             : PQntuples(r) > 0                      ? PQgetvalue(r, 0, 0)
             : PQresultStatus(r) == PGRES_COMMAND_OK ? PQcmdStatus(r)
                                                     : PQresStatus(PQresultStatus(r)));
    PQclear(r);
    return said;
}

static const char *prepare(PGconn *c, const char *name, const char *sql)
{
    return says(PQprepare(c, name, sql, 0, NULL));
}

static const char *execute(PGconn *c, const char *name)
{
    return says(PQexecPrepared(c, name, 0, NULL, NULL, NULL, 0));
}

/* By an unnamed Parse, in place of a simple Query. */
static const char *extended(PGconn *c, const char *sql)
{
    return says(PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 0));
}

/* ---- statements ----------------------------------------------------------------------------- */

static void lost_statements_are_parsed_again(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one), *b = client(&w->one);
    assert_string_equal(prepare(a, "s", "select 7"), "");
    assert_string_equal(prepare(b, "s", "select 8"), "");
    for (int round = 0; round < 3; round++) {
        assert_string_equal(execute(a, "s"), "7");
        assert_says(a, "select lose()", "1");
        assert_string_equal(execute(b, "s"), "8");
        assert_string_equal(execute(a, "s"), "7");
    }
    /* A Describe that comes first, likewise. */
    assert_says(b, "select lose()", "1");
    PGresult *r = PQdescribePrepared(a, "s");
    assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
    assert_int_equal(PQnfields(r), 1);
    PQclear(r);
    assert_string_equal(execute(a, "s"), "7");
    assert_int_equal(before_log_count(w->kit, &w->one, "server.lost_statements"), 4);
    /* In a transaction it is the client's to hear of. */
    assert_says(a, "begin", "BEGIN");
    assert_says(a, "select lose()", "1");
    assert_string_equal(execute(a, "s"), "26000");
    assert_says(a, "rollback", "ROLLBACK");
    PQfinish(a);
    PQfinish(b);
}

/* Something of the batch has run: then it is not sent again, and the error is told. */
static void what_has_run_is_never_sent_again(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one);
    assert_string_equal(prepare(a, "add", "insert into t values (1, 'healed')"), "");
    assert_string_equal(prepare(a, "ask", "select 5"), "");
    struct raw *r = raw_open(w->one.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_parse(r, "ask", "select 5");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 ZI");
    assert_says(a, "select lose()", "1");
    raw_parse(r, "", "insert into t values (1, 'twice')");
    raw_bind(r, "");
    raw_execute(r);
    raw_bind(r, "ask");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 2 C E26000 ZI");
    /* The error has told: from now on nobody trusts what was there. */
    raw_bind(r, "ask");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "2 D C ZI");
    assert_says(a, "select count(*) from t where s = 'twice'", "0");
    assert_string_equal(execute(a, "add"), "INSERT 0 1");
    assert_says(a, "select count(*) from t where s = 'healed'", "1");
    raw_close(r);
    PQfinish(a);
}

static void sql_executes_what_was_prepared_by_message(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->two), *b = client(&w->two);
    int pins = before_log_count(w->kit, &w->two, "session.pinned");
    PQclear(PQprepare(a, "sum", "select $1::int + $2::int", 2, NULL));
    PQclear(PQprepare(b, "sum", "select $1::int * $2::int", 2, NULL));
    for (int round = 0; round < 6; round++) {
        /* The other one holds a server, so that now this and now that one is used. */
        if (round % 2) assert_says(b, "begin", "BEGIN");
        assert_says(a, "execute sum(3, 4)", "7");
        assert_says(a, "/* twice */ EXECUTE \"sum\" (5, 4)", "9");
        assert_string_equal(extended(a, "execute sum(20, 1)"), "21");
        if (round % 2) assert_says(b, "commit", "COMMIT");
        assert_says(b, "execute sum(3, 4)", "12");
        assert_says(a, "begin; execute sum(1, 1); commit", "COMMIT");
    }
    /* A statement that executes one, executed elsewhere. */
    assert_string_equal(prepare(a, "outer", "execute sum(30, 1)"), "");
    assert_says(b, "begin", "BEGIN");
    assert_string_equal(execute(a, "outer"), "31");
    assert_says(b, "commit", "COMMIT");
    assert_string_equal(execute(a, "outer"), "31");
    assert_int_equal(before_log_count(w->kit, &w->two, "session.pinned"), pins);
    PQfinish(a);
    PQfinish(b);
}

static void sql_deallocates_what_was_prepared_by_message(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one), *b = client(&w->one);
    assert_string_equal(prepare(a, "s", "select 7"), "");
    assert_string_equal(prepare(b, "s", "select 7"), "");
    assert_says(a, "select 1; deallocate s", "DEALLOCATE");
    assert_string_equal(execute(a, "s"), "26000");
    assert_string_equal(execute(b, "s"), "7");
    /* psycopg does it in a pipeline, by message. */
    assert_string_equal(prepare(a, "s", "select 8"), "");
    assert_string_equal(extended(a, "deallocate s"), "DEALLOCATE");
    assert_string_equal(execute(a, "s"), "26000");
    assert_string_equal(prepare(a, "s", "select 9"), "");
    assert_string_equal(execute(a, "s"), "9");
    /* All of one's own, none of the others'. */
    assert_says(a, "select 1; deallocate all", "DEALLOCATE ALL");
    assert_string_equal(execute(a, "s"), "26000");
    assert_string_equal(execute(b, "s"), "7");
    assert_says(a, "discard all", "DISCARD ALL");
    assert_string_equal(execute(b, "s"), "7");
    PQfinish(a);
    PQfinish(b);
}

static void a_name_made_by_sql_is_bound_by_message(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->two), *b = client(&w->two);
    assert_says(a, "prepare p(int) as select $1 + 100", "PREPARE");
    for (int round = 0; round < 4; round++) {
        const char *five[1] = { "5" };
        assert_string_equal(says(PQexecPrepared(a, "p", 1, five, NULL, NULL, 0)), "105");
        assert_says(a, "execute p(6)", "106");
        assert_says(b, "select 1", "1");
        assert_string_equal(execute(b, "p"), "26000");
        assert_says(b, "execute p(1)", "26000");
    }
    assert_says(a, "deallocate p", "DEALLOCATE");
    assert_string_equal(execute(a, "p"), "26000");
    PQfinish(a);
    PQfinish(b);
}

/* Our own names for statements are nobody's: not even a pinned client reaches another's. */
static void names_of_ours_are_nobodys(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one), *b = client(&w->one);
    char name[32], sql[64];
    assert_string_equal(prepare(a, "s", "select 'mine'"), "");
    assert_string_equal(execute(a, "s"), "mine");
    assert_says(b, "listen x", "LISTEN"); /* pinned, to the server that has it */
    for (int n = 1; n < 60; n++) {
        snprintf(name, sizeof name, "sluice_%d", n);
        assert_string_equal(execute(b, name), "26000");
        PGresult *r = PQdescribePrepared(b, name);
        assert_string_equal(says(r), "26000");
        snprintf(sql, sizeof sql, "execute %s", name);
        assert_says(b, sql, "26000");
        assert_string_equal(extended(b, sql), "26000");
        snprintf(sql, sizeof sql, "deallocate %s", name);
        assert_says(b, sql, "26000");
    }
    PQfinish(b);
    assert_string_equal(execute(a, "s"), "mine");
    PQfinish(a);
}

/* ---- pins ----------------------------------------------------------------------------------- */

/* With one server: who is pinned keeps the other one waiting. */
static void what_fails_in_a_pipeline_does_not_pin(void **state)
{
    struct world *w = *state;
    static const char *const first[] = { NULL, "select 1", "select 1 / 0" };
    PGconn *b = client(&w->one);
    for (size_t at = 0; at < sizeof first / sizeof *first; at++) {
        PGconn *a = client(&w->one);
        assert_true(PQenterPipelineMode(a));
        if (first[at]) PQsendQueryParams(a, first[at], 0, NULL, NULL, NULL, NULL, 0);
        PQsendQueryParams(a, "frobnicate the table", 0, NULL, NULL, NULL, NULL, 0);
        PQpipelineSync(a);
        bool synced = false;
        for (PGresult *r; !synced;) {
            r = PQgetResult(a);
            synced = r && PQresultStatus(r) == PGRES_PIPELINE_SYNC;
            PQclear(r);
        }
        assert_true(PQexitPipelineMode(a));
        assert_says(b, "select 2", "2");
        /* And one that works pins as ever. */
        assert_string_equal(extended(a, "listen y"), "LISTEN");
        assert_says(b, "select 2", "53300");
        PQfinish(a);
        assert_says(b, "select 2", "2");
    }
    PQfinish(b);
}

/* 42601 is also raised when a part of the text has run: what that part did must not go on to the
 * next client. */
static void an_error_of_analysis_does_not_unpin(void **state)
{
    struct world *w = *state;
    PGconn *a = client(&w->one), *b;
    assert_says(a, "select pg_advisory_lock(99); insert into t (i) values (1, 'two')", "42601");
    PQfinish(a);
    b = client(&w->one);
    assert_says(b, "select count(*) from pg_locks where locktype = 'advisory'", "0");
    PQfinish(b);
}

/* ---- encodings and settings of restricted roles --------------------------------------------- */

static void encodings_that_cannot_be_read_pin(void **state)
{
    struct world *w = *state;
    static const char *const ways[] = { "set client_encoding to sjis", "set names 'BIG5'",
                                        "select set_config('client_encoding', 'GBK', false)" };
    PGconn *b = client(&w->one);
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
        PGconn *a = client(&w->one);
        before_says(a, ways[at]);
        assert_says(b, "select 2", "53300");
        PQfinish(a);
        assert_says(b, "select 2", "2");
        assert_says(b, "show client_encoding", "UTF8");
    }
    PGconn *c = client_as(&w->one, "postgres", "client_encoding=sjis");
    assert_says(c, "show client_encoding", "SJIS");
    PQfinish(c);
    assert_says(b, "set client_encoding to latin1", "SET");
    PGconn *a = client(&w->one);
    assert_says(a, "show client_encoding", "UTF8");
    assert_says(b, "show client_encoding", "LATIN1");
    PQfinish(a);
    PQfinish(b);
    assert_true(proxy_log_has(w->kit, &w->one, "client_encoding that cannot be read", 0));
}

/* A restricted role's statements are judged by its own search_path, and as UTF-8. */
static void restricted_roles_bring_only_what_they_may_set(void **state)
{
    struct world *w = *state;
    PGconn *c =
        client_as(&w->one, "loader", "options='-c search_path=evil,public -c timezone=Asia/Tokyo'");
    assert_string_equal(PQparameterStatus(c, "TimeZone"), "Asia/Tokyo");
    assert_says(c, "insert into events values (1)", "INSERT 0 1");
    assert_says(c, "set client_encoding to sjis", "42501");
    PQfinish(c);
    c = client_as(&w->one, "loader", "client_encoding=sjis");
    assert_string_equal(PQparameterStatus(c, "client_encoding"), "UTF8");
    assert_says(c, "insert into events values (1)", "INSERT 0 1");
    PQfinish(c);
    /* Nor by the database user's own default. */
    c = client_as(&w->one, "odd_loader", "");
    assert_string_equal(PQparameterStatus(c, "client_encoding"), "UTF8");
    assert_says(c, "insert into events values (1)", "INSERT 0 1");
    PQfinish(c);
    char *evil = postgres_ask(&w->pg, "select count(*) from evil.events"),
         *good = postgres_ask(&w->pg, "select count(*) from public.events");
    assert_string_equal(evil, "0");
    assert_string_equal(good, "3");
    free(evil);
    free(good);
}

/* ---- half-closed ---------------------------------------------------------------------------- */

static void a_half_closed_client_hears_the_answer(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->one.port, NULL), *late = raw_open(w->one.port, NULL);
    assert_true(raw_login(r, "postgres"));
    assert_true(raw_login(late, "postgres"));
    raw_query(r, "select pg_sleep(0.5)");
    raw_half_close(r);
    /* Also one that stands in line, with a batch. */
    raw_parse(late, "", "insert into t values (5, 'half')");
    raw_bind(late, "");
    raw_execute(late);
    raw_sync(late);
    raw_half_close(late);
    assert_string_equal(raw_answer(r), "T D C ZI");
    assert_int_equal(raw_byte(r), RAW_END);
    assert_string_equal(raw_answer(late), "1 2 C ZI");
    assert_int_equal(raw_byte(late), RAW_END);
    raw_close(r);
    raw_close(late);
    /* With nothing owed the end is the end. */
    r = raw_open(w->one.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_half_close(r);
    assert_int_equal(raw_byte(r), RAW_END);
    raw_close(r);
    PGconn *b = client(&w->one);
    assert_says(b, "select count(*) from t where s = 'half'", "1");
    PQfinish(b);
}

/* The same end of file from one that is really gone. */
static void a_client_that_died_waits_for_nothing(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->one.port, NULL), *line = raw_open(w->one.port, NULL);
    assert_true(raw_login(r, "postgres"));
    assert_true(raw_login(line, "postgres"));
    raw_query(r, "select pg_sleep(60)");
    kit_sleep_ms(100);
    raw_query(line, "insert into t values (6, 'dead')");
    raw_close(line);
    raw_close(r);
    PGconn *b = client(&w->one);
    assert_says(b, "select count(*) from t where s = 'dead'", "0");
    PQfinish(b);
}

/* A server that may have lost its statements is told to close each before it is sent again. An
 * error in front of the two makes it skip both, and then the old one is still there. */
static void what_was_skipped_is_still_in_doubt(void **state)
{
    struct world *w = *state;
    static const char batch[] = "P\0\0\0\22\0select 1/0\0\0\0"
                                "B\0\0\0\14\0\0\0\0\0\0\0\0"
                                "E\0\0\0\11\0\0\0\0\0"
                                "B\0\0\0\15\0s\0\0\0\0\0\0\0"
                                "E\0\0\0\11\0\0\0\0\0"
                                "S\0\0\0\4";
    struct raw *r = raw_open(w->one.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_parse(r, "s", "select 1");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 ZI");
    raw_query(r, "select doubt()");
    assert_string_equal(raw_answer(r), "T E26000 ZI");
    raw_send(r, batch, sizeof batch - 1);
    assert_non_null(strstr(raw_answer(r), "E22012 ZI"));
    for (int round = 0; round < 3; round++) {
        raw_bind(r, "s");
        raw_execute(r);
        raw_sync(r);
        assert_string_equal(raw_answer(r), "2 D C ZI");
    }
    raw_close(r);
}

/* Redshift has no DISCARD: a server is cleaned there by RESET ALL, and keeps its statements.
 * Clients that leave at any moment, each of whose answers is checked (tests/soak). */
static void a_cleaned_redshift_keeps_its_statements(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    char listen[16], server[16], at[16];
    const int port = kit_port(w->kit);
    assert_true(
        postgres_run(&w->pg, "create table crosstalk (client int, number int, filler text)"));
    snprintf(listen, sizeof listen, "%d", port);
    snprintf(server, sizeof server, "%d", w->pg.port);
    pid_t fake = kit_start(w->kit, "redshift.log",
                           (const char *[]){ kit_built(w->kit, "tools/redshift"), "-l", listen,
                                             "-s", server, "-a", "trust", "-q", NULL });
    assert_true(kit_wait_port(w->kit, fake, "redshift.log", port));
    assert_true(
        before_start(w->kit, &p,
                     &(struct before){ .server_port = port,
                                       .workers = 2,
                                       .pool = "{ \"size\": 20, \"wait_timeout\": \"20s\" }" }));
    snprintf(at, sizeof at, "%d", p.port);
    pid_t load =
        kit_start(w->kit, "crosstalk.log",
                  (const char *[]){ kit_built(w->kit, "soak/crosstalk"), "-p", at, "-c", "60", "-t",
                                    "5", "-a", "8", "-x", "copy_in copy_out cancel", NULL });
    while (kit_is_running(w->kit, load)) kit_sleep_ms(50);
    if (kit_stop(w->kit, load, 0, 0) != 0) {
        kit_print_log(w->kit, "crosstalk.log", stderr);
        fail_msg("crosstalk");
    }
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- floods --------------------------------------------------------------------------------- */

/* FLOODS=10 for ten times as much. */
static int times(int usual)
{
    const char *more = getenv("FLOODS");
    return usual * (more ? atoi(more) : 1);
}

static void syncs_without_end_are_answered(void **state)
{
    struct world *w = *state;
    PGconn *other = client(&w->one);
    struct raw *r = raw_open(w->one.port, NULL);
    static char syncs[5 * 1000];
    assert_true(raw_login(r, "postgres"));
    for (int n = 0; n < 1000; n++) memcpy(syncs + n * 5, "S\0\0\0\4", 5);
    long before = before_rss_kib(&w->one);
    for (int n = 0; n < times(100); n++) {
        raw_send(r, syncs, sizeof syncs);
        for (int at = 0; at < 1000; at++)
            if (raw_next(r) != 'Z') fail_msg("%d.%d", n, at);
    }
    /* With statements between them, so that a server is involved. */
    for (int n = 0; n < times(20); n++) {
        raw_parse(r, "", "select 1");
        raw_send(r, syncs, sizeof syncs);
        for (int at = 0, type; at < 1000; at += type == 'Z')
            if ((type = raw_next(r)) != 'Z' && type != '1') fail_msg("%d.%d %c", n, at, type);
        assert_says(other, "select 1", "1");
    }
    assert_in_range(before_rss_kib(&w->one) - before + 1, 0, 16 << 10);
    raw_close(r);
    PQfinish(other);
}

/* All of it is sent before anything is read. */
static void a_pipeline_of_statements_without_a_sync(void **state)
{
    struct world *w = *state;
    const int depth = times(10000);
    PGconn *other = client(&w->two);
    struct raw *r = raw_open(w->two.port, NULL);
    assert_true(raw_login(r, "postgres"));
    raw_parse(r, "p", "select 1");
    for (int n = 0; n < depth; n++) {
        raw_bind(r, "p");
        raw_execute(r);
    }
    raw_sync(r);
    int rows = 0;
    for (int type; (type = raw_next(r)) != 'Z';) {
        if (type < 0 || type == 'E') fail_msg("%d", type);
        rows += type == 'D';
    }
    assert_int_equal(rows, depth);
    assert_says(other, "select 1", "1");
    raw_close(r);
    PQfinish(other);
}

static void hear_nothing(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* (In a startup packet there is no room for it: test_login.) */
static void a_name_of_64_kib_is_harmless(void **state)
{
    struct world *w = *state;
    static char sql[70000];
    PGconn *a = client(&w->two), *b = client(&w->two);
    int n = snprintf(sql, sizeof sql, "set application_name to '");
    memset(sql + n, 'n', 65536);
    strcpy(sql + n + 65536, "'");
    PQsetNoticeProcessor(a, hear_nothing, NULL);
    /* Too long to be carried: it pins. */
    const char *said = before_says(a, sql);
    assert_true(!strcmp(said, "SET") || !strcmp(said, "54000"));
    assert_says(b, "select 1", "1");
    assert_says(a, "select 1", "1");
    assert_says(b, "show application_name", "");
    PQfinish(a);
    assert_says(b, "select 1", "1");
    PQfinish(b);
}

/* In the middle of a COPY, of a transaction, of a message: the server is clean or closed. */
static void who_leaves_in_the_middle_leaves_nothing(void **state)
{
    struct world *w = *state;
    static const char *const begins[] = { "copy t from stdin", "begin; lock table t",
                                          "begin; insert into t values (7, 'gone')",
                                          "copy (select generate_series(1, 100000)) to stdout",
                                          "begin; select 1 / 0" };
    PGconn *other = client(&w->one);
    for (size_t at = 0; at < sizeof begins / sizeof *begins; at++)
        for (int how = 0; how < 3; how++) {
            struct raw *r = raw_open(w->one.port, NULL);
            assert_true(raw_login(r, "postgres"));
            raw_query(r, begins[at]);
            while (at != 4 && raw_next(r) == 'N') continue;
            if (at == 0) raw_say(r, 'd', "7\tgone\n", 7);
            if (how == 2) raw_lie(r, at ? 'Q' : 'd', 5000, "half", 4);
            if (how)
                raw_close(r);
            else
                raw_abort(r);
            assert_says(other, "select count(*) from t where s = 'gone'", "0");
            assert_says(other, "select count(*) from pg_locks where mode = 'AccessExclusiveLock'",
                        "0");
        }
    PQfinish(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_statements_are_parsed_again),
        cmocka_unit_test(what_has_run_is_never_sent_again),
        cmocka_unit_test(sql_executes_what_was_prepared_by_message),
        cmocka_unit_test(sql_deallocates_what_was_prepared_by_message),
        cmocka_unit_test(a_name_made_by_sql_is_bound_by_message),
        cmocka_unit_test(names_of_ours_are_nobodys),
        cmocka_unit_test(what_fails_in_a_pipeline_does_not_pin),
        cmocka_unit_test(an_error_of_analysis_does_not_unpin),
        cmocka_unit_test(encodings_that_cannot_be_read_pin),
        cmocka_unit_test(restricted_roles_bring_only_what_they_may_set),
        cmocka_unit_test(a_half_closed_client_hears_the_answer),
        cmocka_unit_test(a_client_that_died_waits_for_nothing),
        cmocka_unit_test(what_was_skipped_is_still_in_doubt),
        cmocka_unit_test(a_cleaned_redshift_keeps_its_statements),
        cmocka_unit_test(syncs_without_end_are_answered),
        cmocka_unit_test(a_pipeline_of_statements_without_a_sync),
        cmocka_unit_test(a_name_of_64_kib_is_harmless),
        cmocka_unit_test(who_leaves_in_the_middle_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
