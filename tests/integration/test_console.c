/* The admin console, the metrics and the health, from the outside. */
#include "proxy/ops/admin.h"
#include "support/fixtures.h"
#include "unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { WORKERS = 8 };

static const char config[] =
    "{ \"workers\": 2, \"drain_timeout\": \"2s\",\n"
    "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\" } ],\n"
    "  \"clusters\": { \"pg\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" "
    "},\n"
    "    \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"file:none\" } },\n"
    "    \"max_connections\": 6 } },\n"
    "  \"users\": {\n"
    "    \"ops\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\", "
    "\"console\": \"operator\" },\n"
    "    \"eve\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\", "
    "\"console\": \"viewer\" },\n"
    "    \"load\": { \"auth\": [\"trust\"], \"role\": \"loader\", \"db_user\": \"postgres\" },\n"
    "    \"app\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\" } },\n"
    "  \"roles\": { \"loader\": { \"insert_only\": [\"public.events\"], \"excess_privilege\": "
    "\"warn\" "
    "},\n"
    "    \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.1/32\", \"users\": [\"*\"] } ],\n"
    "  \"health\": { \"address\": \"127.0.0.1:%d\" }, \"admin\": { \"address\": "
    "\"127.0.0.1:%d\" },\n"
    "  \"log\": { \"statements\": \"normalized\" },\n"
    "  \"pool\": { \"mode\": \"transaction\", \"size\": 3, \"wait_timeout\": \"1s\" } }\n";

/* The warehouse's password, which nobody may ever see. */
#define SECRET "canary-c0ffee"

static struct kit *kit;
static struct postgres pg;
static struct proxy proxy;
static int health_port, admin_port;

static int start(void **state)
{
    char text[4000];
    (void)state;
    kit = kit_new("console");
    if (!postgres_start(kit, &pg, NULL)) return -1;
    kit_file(kit, "none", SECRET);
    health_port = kit_port(kit);
    admin_port = kit_port(kit);
    snprintf(text, sizeof text, config, pg.port, health_port, admin_port);
    return proxy_start(kit, &proxy, text) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    kit_free(kit);
    return 0;
}

/* ---- helpers -------------------------------------------------------------------------------- */

static PGconn *console(const char *user)
{
    PGconn *c = connect_to(proxy.port, user, "dbname=sluice");
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

static PGconn *client(void)
{
    PGconn *c = connect_to(proxy.port, "app", "");
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

static void expect_ok(PGresult *r, ExecStatusType status)
{
    if (PQresultStatus(r) != status) fail_msg("%s", PQresultErrorMessage(r));
}

static void tell(PGconn *c, const char *command)
{
    PGresult *r = PQexec(c, command);
    expect_ok(r, PGRES_COMMAND_OK);
    PQclear(r);
}

static void expect_refused(PGconn *c, const char *command, const char *sqlstate, const char *words)
{
    PGresult *r = PQexec(c, command);
    assert_int_equal(PQresultStatus(r), PGRES_FATAL_ERROR);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), sqlstate);
    if (!strstr(PQresultErrorMessage(r), words))
        fail_msg("\"%s\" not in: %s", words, PQresultErrorMessage(r));
    PQclear(r);
}

static const char *cell(PGresult *r, int row, const char *column)
{
    int n = PQfnumber(r, column);
    if (n < 0) fail_msg("no column %s", column);
    return PQgetvalue(r, row, n);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void only_users_of_the_console_get_in(void **state)
{
    (void)state;
    PGconn *c = connect_to(proxy.port, "app", "dbname=pgbouncer");
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_non_null(strstr(PQerrorMessage(c), "may not use the admin console"));
    PQfinish(c);
    c = console("eve");
    assert_string_equal(PQparameterStatus(c, "client_encoding"), "UTF8");
    PQfinish(c);
}

/* Every SHOW of the table, with its columns, in both protocols and both formats. */
static void every_show_in_both_protocols(void **state)
{
    (void)state;
    PGconn *c = console("eve"), *app = client();
    PQclear(PQexec(app, "select 1"));
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        const struct admin_command *command = &admin_commands[i];
        for (int extended = 0; extended < 2; extended++) {
            size_t n;
            const struct admin_column *columns = admin_columns(command->id, extended, &n);
            char text[80];
            if (strncmp(command->words, "SHOW ", 5) != 0) continue;
            snprintf(text, sizeof text, "SHOW %s%s", extended ? "EXTENDED " : "",
                     command->words + 5);
            PGresult *simple = PQexec(c, text);
            PGresult *unnamed = PQexecParams(c, text, 0, NULL, NULL, NULL, NULL, 0);
            PGresult *binary = PQexecParams(c, text, 0, NULL, NULL, NULL, NULL, 1);
            PGresult *const results[] = { simple, unnamed, binary };
            int rows = PQntuples(simple);
            for (size_t k = 0; k < 3; k++) {
                expect_ok(results[k], PGRES_TUPLES_OK);
                assert_int_equal(PQnfields(results[k]), n);
                assert_int_equal(PQntuples(results[k]), rows);
                for (size_t f = 0; f < n; f++)
                    assert_string_equal(PQfname(results[k], (int)f), columns[f].name);
                for (size_t cell = 0; cell < n * (size_t)rows; cell++)
                    assert_null(strstr(PQgetvalue(results[k], (int)(cell / n), (int)(cell % n)),
                                       SECRET)); /* CVE-2023-22332 */
                PQclear(results[k]);
            }
        }
    }
    PQfinish(app);
    PQfinish(c);
}

static void prepared_statements(void **state)
{
    (void)state;
    PGconn *c = console("eve");
    PGresult *r = PQprepare(c, "p", "show version", 0, NULL);
    expect_ok(r, PGRES_COMMAND_OK);
    PQclear(r);
    for (int i = 0; i < 3; i++) {
        r = PQexecPrepared(c, "p", 0, NULL, NULL, NULL, 0);
        expect_ok(r, PGRES_TUPLES_OK);
        assert_non_null(strstr(PQgetvalue(r, 0, 0), "Sluice"));
        PQclear(r);
    }
    r = PQdescribePrepared(c, "p");
    assert_int_equal(PQnfields(r), 1);
    PQclear(r);
    r = PQprepare(c, "p", "show lists", 0, NULL);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42P05");
    PQclear(r);
    r = PQprepare(c, "two", "show lists; show state", 0, NULL);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42601");
    PQclear(r);
    r = PQexecPrepared(c, "unknown", 0, NULL, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "26000");
    PQclear(r);
    const char *value = "1";
    r = PQexecParams(c, "show lists", 1, NULL, &value, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "0A000");
    PQclear(r);
    r = PQexecParams(c, "", 0, NULL, NULL, NULL, NULL, 0);
    expect_ok(r, PGRES_EMPTY_QUERY);
    PQclear(r);
    tell(c, "set extra_float_digits = 3");
    PQfinish(c);
}

static bool has_line(PGresult *r, const char *key, const char *words)
{
    for (int row = 0; row < PQntuples(r); row++)
        if (strcmp(cell(r, row, "key"), key) == 0 && strstr(cell(r, row, "value"), words))
            return true;
    return false;
}

/* The id in the client's error leads to the explanation. */
static void a_refusal_is_explained(void **state)
{
    (void)state;
    PGconn *c = console("eve"), *load = connect_to(proxy.port, "load", "");
    PGresult *r = PQexec(load, "select secret from salaries where name = 'ana'");
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42501");
    const char *id = strstr(PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL), "d-");
    char command[80], wanted[24];
    assert_non_null(id);
    snprintf(wanted, sizeof wanted, "%s", id);
    PQclear(r);
    r = PQexec(c, "SHOW DENIED");
    expect_ok(r, PGRES_TUPLES_OK);
    assert_string_equal(cell(r, 0, "decision"), wanted);
    assert_string_equal(cell(r, 0, "user"), "load");
    assert_string_equal(cell(r, 0, "outcome"), "denied");
    assert_non_null(strstr(cell(r, 0, "text"), "salaries where"));
    assert_null(strstr(cell(r, 0, "text"), "ana"));
    PQclear(r);
    snprintf(command, sizeof command, "EXPLAIN DECISION %s", wanted);
    r = PQexec(c, command);
    expect_ok(r, PGRES_TUPLES_OK);
    assert_true(has_line(r, "role", "loader"));
    assert_true(has_line(r, "reason", "read"));
    assert_true(has_line(r, "granted", "public.events"));
    PQclear(r);
    expect_refused(c, "EXPLAIN DECISION d-1-1000", "22023", "not known here");
    expect_refused(c, "EXPLAIN DECISION", "42601", "needs an argument");
    PQfinish(load);
    PQfinish(c);
}

/* Who loaded what, and what came of it. */
static void loads_are_remembered(void **state)
{
    (void)state;
    PGconn *c = console("eve");
    PGresult *r = PQexec(c, "SHOW HISTORY");
    expect_ok(r, PGRES_TUPLES_OK);
    int first = PQntuples(r) - 1;
    assert_true(first >= 2); /* a reload and a failed one came before */
    assert_string_equal(cell(r, first, "who"), "start");
    assert_string_equal(cell(r, first, "result"), "loaded");
    assert_string_equal(cell(r, first - 1, "who"), "RELOAD: ops");
    assert_non_null(strstr(cell(r, first - 1, "result"), "workerz"));
    PQclear(r);
    PQfinish(c);
}

static void several_statements_in_one_query(void **state)
{
    (void)state;
    PGconn *c = console("eve");
    assert_int_equal(
        PQsendQuery(c, "SET x = 1; SHOW VERSION;; SHOW STATE; SHOW NONSENSE; SHOW LISTS"), 1);
    static const ExecStatusType wanted[] = { PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_TUPLES_OK,
                                             PGRES_FATAL_ERROR };
    PGresult *r;
    for (size_t i = 0; i < 4; i++) {
        r = PQgetResult(c);
        assert_int_equal(PQresultStatus(r), wanted[i]);
        PQclear(r);
    }
    assert_null(PQgetResult(c)); /* after an error nothing more */
    r = PQexec(c, " ; -- nothing");
    expect_ok(r, PGRES_EMPTY_QUERY);
    PQclear(r);
    tell(c, "begin");
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
    tell(c, "commit");
    assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
    expect_refused(c, "SHOW POLS", "42601", "did you mean SHOW POOLS");
    PQfinish(c);
}

/* Everything that does something, as somebody who may only look. */
static void every_act_is_refused_to_a_viewer(void **state)
{
    (void)state;
    PGconn *c = console("eve");
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        char text[80], why[80];
        if (admin_commands[i].level <= CONSOLE_VIEWER) continue;
        snprintf(why, sizeof why, "needs the console level \"%s\"",
                 admin_level_name(admin_commands[i].level));
        snprintf(text, sizeof text, "%s%s", admin_commands[i].words,
                 admin_commands[i].argument == ADMIN_ONE ? " 1" : "");
        expect_refused(c, text, "42501", why);
        PGresult *r = PQexecParams(c, text, 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42501");
        PQclear(r);
    }
    assert_true(proxy_log_has(kit, &proxy, "allowed=false", 1000));
    PQfinish(c);
}

static void a_client_is_killed_by_its_id(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *app = client();
    char command[64] = "";
    PGresult *r = PQexec(c, "SHOW CLIENTS");
    for (int row = 0; row < PQntuples(r); row++)
        if (strcmp(cell(r, row, "user"), "app") == 0)
            snprintf(command, sizeof command, "KILL_CLIENT %s", cell(r, row, "id"));
    PQclear(r);
    tell(c, command);
    /* PQexec would give its own last word, that the connection is closed. */
    assert_int_equal(PQsendQuery(app, "select 1"), 1);
    r = PQgetResult(app);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57P01");
    PQclear(r);
    expect_refused(c, command, "22023", "there is no client");
    PQfinish(app);
    PQfinish(c);
}

/* Its statement ends, running or in line; the connection stays. */
static void a_statement_is_cancelled_by_its_clients_id(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *app = client();
    char command[64] = "";
    assert_int_equal(PQsendQuery(app, "select pg_sleep(60)"), 1);
    PQflush(app);
    for (int i = 0; i < 200 && !command[0]; i++) {
        PGresult *r = PQexec(c, "SHOW CLIENTS");
        for (int row = 0; row < PQntuples(r); row++)
            if (strcmp(cell(r, row, "user"), "app") == 0 &&
                strcmp(cell(r, row, "state"), "active") == 0)
                snprintf(command, sizeof command, "CANCEL %s", cell(r, row, "id"));
        PQclear(r);
        kit_sleep_ms(10);
    }
    /* It is under way; a cancel that comes to the PostgreSQL before it hits nothing. */
    for (int i = 0; i < 200 && (i == 0 || PQisBusy(app)); i++) {
        tell(c, command);
        kit_sleep_ms(20);
        assert_int_equal(PQconsumeInput(app), 1);
    }
    PGresult *r = PQgetResult(app);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
    PQclear(r);
    assert_null(PQgetResult(app));
    tell(c, command); /* nothing to cancel: no error */
    r = PQexec(app, "select 1");
    expect_ok(r, PGRES_TUPLES_OK);
    PQclear(r);
    expect_refused(c, "CANCEL 424242", "22023", "there is no client");
    PQfinish(app);
    PQfinish(c);
}

/* ---- PAUSE, under load ------------------------------------------------------------------------
 */

static atomic_bool enough;
static atomic_uint answers, failures;

static void *work(void *arg)
{
    PGconn *c = connect_to(proxy.port, "app", "");
    (void)arg;
    while (!atomic_load(&enough)) {
        PGresult *r = PQexec(c, "select 42");
        if (PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), "42") == 0)
            atomic_fetch_add(&answers, 1);
        else
            atomic_fetch_add(&failures, 1);
        PQclear(r);
    }
    PQfinish(c);
    return NULL;
}

/* While PAUSE holds no server is connected and nothing fails, for longer than wait_timeout; then
 * all go on. */
static void pause_and_resume_under_load(void **state)
{
    (void)state;
    PGconn *c = console("ops");
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int round = 0; round < 3; round++) {
        kit_sleep_ms(150);
        tell(c, round == 1 ? "PAUSE postgres" : "PAUSE");
        PGresult *r = PQexec(c, "SHOW SERVERS");
        assert_int_equal(PQntuples(r), 0);
        PQclear(r);
        unsigned before = atomic_load(&answers);
        kit_sleep_ms(round == 0 ? 1500 : 300); /* wait_timeout is 1 s */
        assert_int_equal(atomic_load(&answers), before);
        r = PQexec(c, "SHOW POOLS");
        assert_string_equal(cell(r, 0, "cl_waiting"), "8");
        PQclear(r);
        r = PQexec(c, "SHOW WAITING");
        assert_int_equal(PQntuples(r), WORKERS);
        PQclear(r);
        tell(c, round == 1 ? "RESUME postgres" : "RESUME");
        for (int i = 0; i < 200 && atomic_load(&answers) == before; i++) kit_sleep_ms(20);
        assert_true(atomic_load(&answers) > before);
        tell(c, "RECONNECT");
    }
    atomic_store(&enough, true);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    PQfinish(c);
}

/* PAUSE answers only when the last transaction has ended. */
static void pause_waits_for_transactions(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *app = client();
    PQclear(PQexec(app, "begin"));
    assert_int_equal(PQsendQuery(c, "PAUSE"), 1);
    kit_sleep_ms(400);
    PQconsumeInput(c);
    assert_true(PQisBusy(c));
    PQclear(PQexec(app, "commit"));
    PGresult *r = PQgetResult(c);
    expect_ok(r, PGRES_COMMAND_OK);
    PQclear(r);
    assert_null(PQgetResult(c));
    tell(c, "RESUME");
    PQfinish(app);
    PQfinish(c);
}

/* ---- RELOAD -----------------------------------------------------------------------------------
 */

static void write_config(const char *text)
{
    FILE *f = fopen(proxy.config, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_broken_configuration_is_told_to_the_caller(void **state)
{
    (void)state;
    PGconn *c = console("ops");
    char *good = kit_read(proxy.config);
    write_config("{ \"workerz\": 2 }");
    expect_refused(c, "RELOAD", "F0000", "workerz");
    PGresult *r = PQexec(c, "SHOW VERSION");
    expect_ok(r, PGRES_TUPLES_OK);
    PQclear(r);
    write_config(good);
    tell(c, "RELOAD");
    free(good);
    PQfinish(c);
}

/* A right is gone with the reload that takes it, also from those who are in. */
static void a_reload_takes_rights_away(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *eve = console("eve");
    char *good = kit_read(proxy.config), *less = strdup(good);
    char *level = strstr(less, "\"viewer\"");
    memcpy(level, "\"none\"  ", 8);
    write_config(less);
    tell(c, "RELOAD");
    for (int i = 0; i < 100; i++) { /* the other worker hears of it a moment later */
        PGresult *r = PQexec(eve, "SHOW VERSION");
        bool refused = PQresultStatus(r) == PGRES_FATAL_ERROR;
        PQclear(r);
        if (refused) break;
        kit_sleep_ms(10);
    }
    expect_refused(eve, "SHOW VERSION", "42501", "you have \"none\"");
    write_config(good);
    tell(c, "RELOAD");
    free(good);
    free(less);
    PQfinish(eve);
    PQfinish(c);
}

/* ---- over HTTP --------------------------------------------------------------------------------
 */

static char *fetch(int port, const char *path, const char *options)
{
    char command[600];
    const char *out = kit_path(kit, "answer");
    snprintf(command, sizeof command,
             "curl -s --max-time 5 -o %s -w '%%{http_code}' %s http://127.0.0.1:%d%s > %s.status",
             out, options, port, path, out);
    assert_int_equal(system(command), 0);
    return kit_read(out);
}

static void expect_status(int port, const char *path, const char *options, const char *status,
                          const char *words)
{
    char *body = fetch(port, path, options);
    char *got = kit_read(kit_path(kit, "answer.status"));
    assert_string_equal(got, status);
    if (words && (!body || !strstr(body, words))) fail_msg("\"%s\" not in: %s", words, body);
    free(body);
    free(got);
}

/* What a container asks. */
static void expect_health(const char *option, int status, const char *says)
{
    const char *out = kit_path(kit, "health");
    char command[600];
    snprintf(command, sizeof command, "%s health --config %s %s > %s 2>&1",
             kit_built(kit, "sluice"), proxy.config, option, out);
    int is = system(command);
    char *said = kit_read(out);
    assert_true(WIFEXITED(is));
    if (WEXITSTATUS(is) != status || !said || !strstr(said, says))
        fail_msg("sluice health %s: status %d, said: %s", option, WEXITSTATUS(is), said);
    free(said);
}

static void health_and_nothing_else(void **state)
{
    (void)state;
    expect_health("", 0, "live");
    expect_health("--ready", 0, "ready");
    expect_status(health_port, "/livez", "", "200", "live");
    expect_status(health_port, "/readyz", "", "200", "ready");
    expect_status(health_port, "/healthz", "", "200", "ready");
    expect_status(health_port, "/metrics", "", "404", NULL);
    expect_status(health_port, "/drain", "-X POST", "404", NULL);
    expect_status(health_port, "/livez/../livez", "--path-as-is", "404", NULL);
    expect_status(health_port, "/livez", "-X POST", "405", NULL);
    expect_status(health_port, "/livez", "-H 'Transfer-Encoding: chunked' -d x", "501", NULL);
    expect_status(admin_port, "/drain", "", "405", NULL);
    expect_status(admin_port, "/drain", "-X POST -H 'Origin: http://evil.example'", "403", NULL);
    expect_status(admin_port, "/drain", "-X POST -H 'Host: evil.example'", "403", NULL);
}

static void metrics_are_prometheus(void **state)
{
    (void)state;
    PGconn *app = client();
    PQclear(PQexec(app, "select 1"));
    char *page = fetch(admin_port, "/metrics", "");
    assert_non_null(page);
    assert_non_null(strstr(page, "sluice_pool_servers{pool=\"pg/postgres/postgres/all\",state=\""));
    assert_non_null(strstr(page, "sluice_query_seconds_count "));
    free(page);
    PQfinish(app);
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("promtool is not installed: the metrics' form goes unchecked\n");
        skip();
    }
    char command[400];
    snprintf(command, sizeof command, "promtool check metrics <%s", kit_path(kit, "answer"));
    assert_int_equal(system(command), 0);
}

static void a_listener_for_admins_off_loopback_is_refused(void **state)
{
    (void)state;
    struct proxy other = { 0 };
    char text[4000], *at;
    snprintf(text, sizeof text, config, pg.port, kit_port(kit), 1);
    at = strstr(text, "\"127.0.0.1:1\"");
    memcpy(at, "\"0.0.0.0:9\"  ", 13);
    other.port = kit_port(kit);
    const char *log_name = "other.log";
    /* It must end by itself, with status 1. */
    char name[64], port[16], *where;
    snprintf(port, sizeof port, "%d", other.port);
    where = strstr(text, "@port@");
    memmove(where + strlen(port), where + 6, strlen(where + 6) + 1);
    memcpy(where, port, strlen(port));
    snprintf(name, sizeof name, "other.json");
    const char *file = kit_file(kit, name, text);
    int status = kit_run(kit, log_name,
                         (const char *const[]){ kit_source(kit, "tests/support/sluice.sh"),
                                                kit_path(kit, "other"), kit_built(kit, "sluice"),
                                                "run", "--config", file, NULL });
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    char *log = kit_read(kit_path(kit, "%s", log_name));
    assert_non_null(strstr(log, "admin"));
    assert_non_null(strstr(log, "loopback"));
    free(log);
}

static void expect_level(PGconn *c, const char *level)
{
    PGresult *r = PQexec(c, "SHOW CONFIG");
    expect_ok(r, PGRES_TUPLES_OK);
    if (!has_line(r, "log.level", level)) fail_msg("log.level is not %s", level);
    PQclear(r);
}

/* SET holds at once and until the next RELOAD; a viewer may not. */
static void the_level_of_the_log_is_set(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *eve = console("eve");
    expect_refused(eve, "SET log_level = debug", "42501", "needs the console level");
    expect_refused(c, "SET log_level = loud", "22023", "no such level");
    expect_level(eve, "info");
    tell(c, "SET log_level = debug");
    expect_level(eve, "debug");
    assert_true(proxy_log_has(kit, &proxy, "log.level was=info is=debug", 1000));
    assert_true(proxy_log_has(kit, &proxy, "admin.act", 0));
    PGconn *app = client();
    PQclear(PQexec(app, "select 1"));
    tell(c, "RECONNECT"); /* what that closes is told on this level only */
    assert_true(proxy_log_has(kit, &proxy, "debug server.closing", 2000));
    PQfinish(app);
    tell(c, "set LOG_LEVEL to 'Warning'");
    expect_level(eve, "warning");
    tell(c, "RELOAD");
    expect_level(eve, "info");
    PQfinish(eve);
    PQfinish(c);
}

/* Last: it is over after this. */
static void shutdown_drains(void **state)
{
    (void)state;
    PGconn *c = console("ops"), *app = client();
    PQclear(PQexec(app, "begin"));
    tell(c, "SHUTDOWN WAIT_FOR_CLIENTS");
    expect_status(health_port, "/readyz", "", "503", "draining");
    expect_health("", 0, "live");
    expect_health("--ready", 1, "draining");
    PGresult *r = PQexec(app, "select 1");
    expect_ok(r, PGRES_TUPLES_OK);
    PQclear(r);
    PQclear(PQexec(app, "commit"));
    PQfinish(app);
    PQfinish(c);
    for (int i = 0; i < 500 && kit_is_running(kit, proxy.pid); i++) kit_sleep_ms(20);
    assert_false(kit_is_running(kit, proxy.pid));
    expect_health("", 1, "no answer");
    assert_true(proxy_stop(kit, &proxy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_users_of_the_console_get_in),
        cmocka_unit_test(every_show_in_both_protocols),
        cmocka_unit_test(prepared_statements),
        cmocka_unit_test(a_refusal_is_explained),
        cmocka_unit_test(several_statements_in_one_query),
        cmocka_unit_test(every_act_is_refused_to_a_viewer),
        cmocka_unit_test(a_client_is_killed_by_its_id),
        cmocka_unit_test(a_statement_is_cancelled_by_its_clients_id),
        cmocka_unit_test(pause_and_resume_under_load),
        cmocka_unit_test(pause_waits_for_transactions),
        cmocka_unit_test(a_broken_configuration_is_told_to_the_caller),
        cmocka_unit_test(a_reload_takes_rights_away),
        cmocka_unit_test(loads_are_remembered),
        cmocka_unit_test(the_level_of_the_log_is_set),
        cmocka_unit_test(health_and_nothing_else),
        cmocka_unit_test(metrics_are_prometheus),
        cmocka_unit_test(a_listener_for_admins_off_loopback_is_refused),
        cmocka_unit_test(shutdown_drains),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
