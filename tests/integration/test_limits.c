/* What strangers can make grow, seen from the outside: logins that are never finished, that come
 * too fast, that fail; and the keepalive on both sides. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct kit *kit;
    struct postgres pg;
};

static const char config[] =
    "{ \"listen\": [ { \"address\": \"127.0.0.1:@port@\" } ],\n"
    "  \"clusters\": { \"one\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" "
    "},\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"env:SECRET\" } "
    "} } },\n"
    "  \"users\": { \"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" },\n"
    "               \"ana\": { \"auth\": [\"scram-sha-256\"], \"password\": \"env:SECRET\",\n"
    "                        \"role\": \"owner\", \"db_user\": \"postgres\" } },\n"
    "  \"roles\": { \"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.0/8\" } ],\n"
    "  \"limits\": { %s } }";

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    setenv("SECRET", "right", 1);
    w->kit = kit_new("limits");
    return postgres_start(w->kit, &w->pg, NULL) ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

static struct proxy start(struct world *w, const char *limits)
{
    struct proxy p = { 0 };
    char *text;
    if (asprintf(&text, config, w->pg.port, limits) < 0) abort();
    assert_true(proxy_start(w->kit, &p, text));
    free(text);
    return p;
}

static const char *login(const struct proxy *p, const char *user, const char *password)
{
    static char state[6];
    char extra[64];
    snprintf(extra, sizeof extra, "password=%s dbname=postgres", password);
    PGconn *c = connect_to(p->port, user, extra);
    const char *message = PQerrorMessage(c);
    snprintf(state, sizeof state, "%s",
             PQstatus(c) == CONNECTION_OK        ? "00000"
             : strstr(message, "too many")       ? "53300"
             : strstr(message, "authentication") ? "28P01"
                                                 : "other");
    PQfinish(c);
    return state;
}

/* Who says nothing holds a place, and only a place. */
static void unfinished_logins_are_limited(void **state)
{
    struct world *w = *state;
    struct proxy p = start(w, "\"logins_in_progress\": 3");
    struct raw *silent[3];
    for (int i = 0; i < 3; i++) silent[i] = raw_open(p.port, NULL);
    int heard = RAW_SILENT; /* as long as the three have not all been accepted */
    for (int i = 0; i < 100 && heard == RAW_SILENT; i++) {
        struct raw *r = raw_open(p.port, NULL);
        r->wait_ms = 500;
        heard = raw_byte(r);
        raw_close(r);
    }
    assert_int_equal(heard, RAW_END);
    raw_close(silent[0]);
    for (int i = 0; i < 100 && strcmp(login(&p, "postgres", "none"), "00000"); i++)
        kit_sleep_ms(50);
    /* Who is in holds no place: many sessions, one after the other and at once. */
    PGconn *all[6];
    for (int i = 0; i < 6; i++) {
        all[i] = connect_to(p.port, "postgres", "dbname=postgres");
        assert_int_equal(PQstatus(all[i]), CONNECTION_OK);
    }
    for (int i = 0; i < 6; i++) PQfinish(all[i]);
    raw_close(silent[1]);
    raw_close(silent[2]);
    assert_true(proxy_stop(w->kit, &p));
}

static void logins_have_a_rate(void **state)
{
    struct world *w = *state;
    struct proxy p = start(w, "\"logins_per_second\": 1");
    int in = 0, out = 0;
    for (int i = 0; i < 8; i++) {
        const char *is = login(&p, "postgres", "none");
        in += strcmp(is, "00000") == 0;
        out += strcmp(is, "53300") == 0;
    }
    assert_int_equal(in + out, 8);
    assert_true(in >= 2 && out >= 1);
    assert_true(proxy_stop(w->kit, &p));
}

static void failed_logins_are_counted_as_configured(void **state)
{
    struct world *w = *state;
    struct proxy p = start(w, "\"failed_logins\": 2, \"failed_login_window\": \"1h\"");
    assert_string_equal(login(&p, "ana", "right"), "00000");
    assert_string_equal(login(&p, "ana", "wrong"), "28P01");
    assert_string_equal(login(&p, "ana", "wrong"), "28P01");
    assert_string_equal(login(&p, "ana", "right"), "53300");
    assert_string_equal(login(&p, "postgres", "none"), "00000"); /* nobody else */
    assert_true(proxy_stop(w->kit, &p));
}

/* Its locks go, its server goes on to others; it is told why. In both modes. */
static void a_transaction_that_sleeps_is_ended(void **state)
{
    struct world *w = *state;
    static const char *const modes[] = { "transaction", "session" };
    postgres_run(&w->pg, "create table if not exists sleeps (i int)");
    for (size_t at = 0; at < 2; at++) {
        struct proxy p = { 0 };
        char pool[160];
        snprintf(pool, sizeof pool,
                 "{ \"mode\": \"%s\", \"size\": 2, \"idle_transaction_timeout\": \"1s\" }",
                 modes[at]);
        assert_true(
            before_start(w->kit, &p, &(struct before){ .server_port = w->pg.port, .pool = pool }));
        struct raw *r = raw_open(p.port, NULL);
        assert_true(raw_login(r, "postgres"));
        raw_asks(r, "begin", "C ZT");
        raw_asks(r, "insert into sleeps values (1)", "C ZT");
        raw_asks(r, "lock table sleeps", "C ZT");
        PGconn *other = connect_to(p.port, "postgres", "dbname=postgres");
        assert_string_equal(before_says(other, "select count(*) from sleeps"), "0"); /* waits */
        raw_answers(r, "E25P03 end");
        raw_close(r);
        assert_true(proxy_log_has(w->kit, &p, "sqlstate=25P03", 0));
        assert_string_equal(before_says(other, "select count(*) from pg_stat_activity "
                                               "where state like 'idle in transaction%'"),
                            "0");
        PQfinish(other);
        assert_true(proxy_stop(w->kit, &p));
    }
}

/* EMFILE: who comes is turned away, who is in works on, a server that cannot be dialled is an error
 * in time, the log says what to do; and all is well when some are free again. */
static void without_descriptors_nobody_who_is_in_is_disturbed(void **state)
{
    enum { CROWD = 80 };
    struct world *w = *state;
    struct proxy p = { 0 };
    struct raw *crowd[CROWD];
    setenv("SLUICE_FILES", "60", 1);
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = w->pg.port,
                                               .pool = "{ \"size\": 4, \"wait_timeout\": "
                                                       "\"300ms\" }" }));
    unsetenv("SLUICE_FILES");
    assert_true(proxy_log_has(w->kit, &p, "limit.descriptors", 5000));
    PGconn *in = connect_to(p.port, "postgres", "dbname=postgres");
    assert_string_equal(before_says(in, "select 1"), "1");
    for (int at = 0; at < CROWD; at++) crowd[at] = raw_open(p.port, NULL);
    assert_int_equal(raw_byte(crowd[CROWD - 1]), RAW_END);
    assert_true(proxy_log_has(w->kit, &p, "Raise the limit of open files", 5000));
    assert_string_equal(before_says(in, "select 1"), "1");
    /* One is free, for a client; another pool's server has none. */
    raw_close(crowd[0]);
    bool is_told = false;
    for (int i = 0; i < 100 && !is_told; i++) {
        struct raw *r = raw_open(p.port, NULL);
        raw_startup(r, RAW_PROTOCOL_3_0,
                    (const char *[]){ "user", "postgres", "database", "template1", NULL });
        is_told = strcmp(raw_answer(r), "E08001 end") == 0;
        raw_close(r);
    }
    assert_true(is_told);
    assert_true(proxy_log_has(w->kit, &p, "server.failed", 0));
    assert_string_equal(before_says(in, "select 1"), "1");
    for (int at = 1; at < CROWD; at++) raw_close(crowd[at]);
    PGconn *late = NULL;
    for (int i = 0; i < 100 && PQstatus(late) != CONNECTION_OK; i++) {
        PQfinish(late);
        late = connect_to(p.port, "postgres", "dbname=template1");
    }
    assert_string_equal(before_says(late, "select 1"), "1");
    PQfinish(late);
    PQfinish(in);
    assert_true(proxy_stop(w->kit, &p));
}

/* Both sides of the proxy are probed before a load balancer forgets them. */
static void connections_are_kept_alive(void **state)
{
    struct world *w = *state;
    struct proxy p = start(w, "\"keepalive_idle\": \"100s\"");
    PGconn *c = connect_to(p.port, "postgres", "dbname=postgres");
    PQclear(PQexec(c, "select 1"));
    kit_sleep_ms(300); /* until nothing is unacknowledged, which has a timer of its own */
    char command[300];
    const char *out = kit_path(w->kit, "sockets");
    snprintf(command, sizeof command,
             "ss -Htno state established '( sport = :%d or dport = :%d )' > %s", p.port, w->pg.port,
             out);
    assert_int_equal(system(command), 0);
    char *said = kit_read(out);
    int kept = 0;
    for (char *at = said; (at = strstr(at, "timer:(keepalive,1min")); at++) kept++;
    if (kept < 2) fail_msg("keepalive on %d sockets only: %s", kept, said);
    free(said);
    PQfinish(c);
    assert_true(proxy_stop(w->kit, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unfinished_logins_are_limited),
        cmocka_unit_test(logins_have_a_rate),
        cmocka_unit_test(failed_logins_are_counted_as_configured),
        cmocka_unit_test(a_transaction_that_sleeps_is_ended),
        cmocka_unit_test(without_descriptors_nobody_who_is_in_is_disturbed),
        cmocka_unit_test(connections_are_kept_alive),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
