/* routing_world: two clusters, each a Redshift double before a PostgreSQL of its own, a plain
 * PostgreSQL that no client of the others fits, and Sluice with a table that leads to them.
 *
 * For the test programs about routing, each of which includes it once.
 */
#ifndef SLUICE_TESTS_ROUTING_WORLD_H
#define SLUICE_TESTS_ROUTING_WORLD_H

#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>

enum { HEAVY, LIGHT, CLUSTERS };

static const char *const names[CLUSTERS] = { "heavy", "light" };

struct world {
    struct kit *kit;
    struct postgres pg[CLUSTERS];
    pid_t double_pid[CLUSTERS];
    int double_port[CLUSTERS], admin_port;
    struct proxy proxy;
};

static const char routes[] =
    "{ \"version\": 1, \"rules\": [\n"
    "  { \"id\": \"bi\", \"when\": { \"statement\": [\"SELECT\"], \"tables\": [\"mart.*\"] },\n"
    "    \"to\": \"light\", \"query_group\": \"bi\" },\n"
    "  { \"id\": \"report\", \"when\": { \"query\": \"report_[a-z]+\" }, \"to\": \"light\" },\n"
    "  { \"id\": \"tagged\", \"when\": { \"query_group\": \"nightly\", \"statement\": [\"SELECT\"] "
    "},"
    " \"to\": \"light\" },\n"
    "  { \"id\": \"odd\", \"when\": { \"tables\": [\"odd.*\"] }, \"to\": \"plain\" },\n"
    "  { \"id\": \"kept\", \"when\": { \"user\": \"keeper\" }, \"to\": \"heavy\","
    " \"pool\": { \"mode\": \"session\" } },\n"
    "  { \"id\": \"idler\", \"when\": { \"user\": \"idler\" }, \"to\": \"heavy\","
    " \"local_answers\": [\"unlisten\", \"bytea_output\"],"
    " \"pool\": { \"idle_transaction_timeout\": \"1s\", \"local_answers\": [\"close_all\"] } },\n"
    "  { \"id\": \"no\", \"when\": { \"user\": \"banned\" }, \"deny\": \"not today\" },\n"
    "  { \"id\": \"default\", \"to\": [\"heavy\", \"light\"], \"query_group\": \"usual\" } ] }";

static const char config[] =
    "{ \"workers\": 2, \"drain_timeout\": \"1s\",\n"
    "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\" } ],\n"
    "  \"clusters\": {\n"
    "    \"heavy\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" },\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"file:none\" } },"
    " \"max_connections\": 10 },\n"
    "    \"light\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" },\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"file:none\" } },"
    " \"max_connections\": 10 },\n"
    "    \"plain\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" },\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"file:none\" } },"
    " \"max_connections\": 10 } },\n"
    "  \"users\": {\n"
    "    \"ana\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\" },\n"
    "    \"reader\": { \"auth\": [\"trust\"], \"role\": \"reader\", \"db_user\": \"postgres\" },\n"
    "    \"keeper\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\" },\n"
    "    \"idler\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\" },\n"
    "    \"banned\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\" },\n"
    "    \"ops\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\","
    " \"console\": \"operator\" } },\n"
    "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },\n"
    "    \"reader\": { \"grants\": [ { \"verbs\": [\"SELECT\"], \"on\": [\"*.*\"] } ],"
    " \"excess_privilege\": \"warn\" } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.1/32\" } ],\n"
    "  \"routes\": { \"source\": \"file:routes.json\"%s },\n"
    "  \"health\": { \"address\": \"127.0.0.1:%d\" }, \"admin\": { \"address\": \"127.0.0.1:%d\" "
    "},\n"
    "  \"pool\": { \"mode\": \"transaction\", \"size\": 4, \"wait_timeout\": \"3s\" } }\n";

/* Further keys of `routes`. */
static const char *world_more = "";

/* ---- the world ------------------------------------------------------------------------------ */

static inline bool start_double(struct world *w, int at)
{
    char port[16], server[16], log[32];
    snprintf(port, sizeof port, "%d", w->double_port[at]);
    snprintf(server, sizeof server, "%d", w->pg[at].port);
    snprintf(log, sizeof log, "%s.log", names[at]);
    const char *argv[] = {
        kit_built(w->kit, "tools/redshift"), "-l", port, "-s", server, "-a", "trust", NULL
    };
    w->double_pid[at] = kit_start(w->kit, log, argv);
    return kit_wait_port(w->kit, w->double_pid[at], log, w->double_port[at]);
}

static inline bool start_cluster(struct world *w, int at)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "create schema mart; create schema odd; create table mart.sales (name text);"
             "create table odd.t (i int); create table public.events (name text);"
             "insert into mart.sales values ('%s'); insert into public.events values ('%s')",
             names[at], names[at]);
    w->double_port[at] = kit_port(w->kit);
    return postgres_start(w->kit, &w->pg[at], NULL) && postgres_run(&w->pg[at], sql) &&
           start_double(w, at);
}

static inline int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char text[6000];
    w->kit = kit_new("routing");
    *state = w;
    kit_file(w->kit, "none", "none");
    kit_file(w->kit, "routes.json", routes);
    if (!start_cluster(w, HEAVY) || !start_cluster(w, LIGHT)) return -1;
    w->admin_port = kit_port(w->kit);
    snprintf(text, sizeof text, config, w->double_port[HEAVY], w->double_port[LIGHT],
             w->pg[LIGHT].port, world_more, kit_port(w->kit), w->admin_port);
    return proxy_start(w->kit, &w->proxy, text) ? 0 : -1;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    bool clean = !w->proxy.pid || proxy_stop(w->kit, &w->proxy);
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

static inline PGconn *client(struct world *w, const char *user, const char *extra)
{
    PGconn *c = connect_to(w->proxy.port, user, extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(c));
    return c;
}

#define assert_says(c, sql, wanted) assert_string_equal(before_says(c, sql), wanted)

/* FATAL: the first thing said, before that the connection is gone. */
static inline void assert_refused(PGconn *c, const char *sql, const char *words)
{
    PGresult *r;
    assert_true(PQsendQuery(c, sql));
    assert_non_null(r = PQgetResult(c));
    if (!strstr(PQresultErrorMessage(r), words)) fail_msg("%s", PQresultErrorMessage(r));
    PQclear(r);
    while ((r = PQgetResult(c))) PQclear(r);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
}

static const char heavy_sql[] = "select name from public.events",
                  light_sql[] = "select name from mart.sales";

/* A number of the proxy's metrics; -1: there is none of that name. */
static inline long metric(struct world *w, const char *name)
{
    char command[300], line[400];
    long value = -1;
    size_t n = strlen(name);
    snprintf(command, sizeof command, "curl -s http://127.0.0.1:%d/metrics", w->admin_port);
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ' ') value = atol(line + n + 1);
    if (f) pclose(f);
    return value;
}

/* What a prepared statement says: its first value, or why it failed. */
static inline const char *executed(PGconn *c, const char *name)
{
    static char said[100];
    PGresult *r = PQexecPrepared(c, name, 0, NULL, NULL, NULL, 0);
    snprintf(said, sizeof said, "%s",
             PQresultStatus(r) == PGRES_TUPLES_OK ? PQgetvalue(r, 0, 0) : PQresultErrorMessage(r));
    PQclear(r);
    return said;
}

/* The same configuration, with these further keys of `routes`. */
static inline void configure(struct world *w, const char *more)
{
    static const char source[] = "\"source\": \"file:routes.json\"";
    int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
    char *text = kit_read(w->proxy.config), *at = strstr(text, source), *whole;
    char *end = strchr(at, '}');
    if (asprintf(&whole, "%.*s%s%s %s", (int)(at - text), text, source, more, end) < 0) abort();
    kit_file(w->kit, strrchr(w->proxy.config, '/') + 1, whole);
    free(whole);
    free(text);
    kill(w->proxy.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", reloads + 1));
}

#endif
