/* The admin listener, from the outside: TLS, logins, what each may, what nobody may. */
#include "protocol/json.h"
#include "support/fixtures.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* On all addresses, so that nothing is given away for being local. */
static const char config[] =
    "{ \"server_id\": \"seen\", \"workers\": 2, \"drain_timeout\": \"2s\",\n"
    "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\" } ],\n"
    "  \"clusters\": { \"pg\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" "
    "},\n"
    "    \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"file:none\" } },\n"
    "    \"max_connections\": 6 } },\n"
    "  \"users\": {\n"
    "    \"ops\": { \"auth\": [\"scram-sha-256\", \"cert\"], \"password\": \"file:password\", "
    "\"role\": \"all\", \"db_user\": \"postgres\", \"console\": \"operator\" },\n"
    "    \"eve\": { \"auth\": [\"scram-sha-256\"], \"password\": \"file:password\", \"role\": "
    "\"all\", \"db_user\": \"postgres\", \"console\": \"viewer\" },\n"
    "    \"bob\": { \"auth\": [\"scram-sha-256\"], \"password\": \"file:password\", \"role\": "
    "\"all\", \"db_user\": \"postgres\" },\n"
    "    \"app\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"postgres\", "
    "\"console\": \"none\" } },\n"
    "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.0/8\", \"users\": [\"*\"] } ],\n"
    "  \"admin\": { \"address\": \"0.0.0.0:%d\", \"pgbouncer_names\": true,\n"
    "    \"tls\": { \"certificate\": \"@dir@/server.crt\", \"key\": "
    "\"file:@dir@/server.key\", \"client_ca\": \"@dir@/ca.crt\", \"mode\": "
    "\"require\" } },\n"
    "  \"routes\": { \"source\": \"file:routes.json\" },\n"
    "  \"log\": { \"emf\": \"1s\", \"emf_namespace\": \"Ware\\\"house\" },\n"
    "  \"pool\": { \"mode\": \"transaction\", \"size\": 1, \"wait_timeout\": \"30s\" } }\n";

static struct kit *kit;
static struct postgres pg;
static struct proxy proxy;
static const char *certs;
static int port;

/* Where the proxy, which is not root, may read it. */
static void lend(const char *name)
{
    char *text = kit_read(kit_path(kit, "certs/%s", name));
    kit_file(kit, name, text);
    free(text);
}

static int start(void **state)
{
    char text[6000];
    (void)state;
    kit = kit_new("dashboard");
    certs = certs_make(kit, (const char *[]){ "ops", "bob", NULL });
    if (!certs || !postgres_start(kit, &pg, NULL)) return -1;
    lend("server.crt");
    lend("server.key");
    lend("ca.crt");
    kit_file(kit, "routes.json",
             "{ \"version\": 1, \"rules\": [\n"
             "  { \"id\": \"no-bots\", \"when\": { \"application\": \"bot*\" }, \"deny\": \"no "
             "bots\" },\n"
             "  { \"id\": \"rest\", \"to\": \"pg\" } ] }\n");
    kit_file(kit, "none", "none");
    kit_file(kit, "password", "correct horse");
    port = kit_port(kit);
    snprintf(text, sizeof text, config, pg.port, port);
    return proxy_start(kit, &proxy, text) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    bool clean = proxy_stop(kit, &proxy);
    kit_free(kit);
    return clean ? 0 : -1;
}

/* ---- helpers -------------------------------------------------------------------------------- */

/* curl's options, a path; the status. The body is in "answer", the head in "head". */
static int fetch(const char *options, const char *path)
{
    char command[2000];
    snprintf(command, sizeof command,
             "curl -sk --max-time 20 --path-as-is -D %s -o %s -w '%%{http_code}' %s "
             "'https://127.0.0.1:%d%s' > %s",
             kit_path(kit, "head"), kit_path(kit, "answer"), options, port, path,
             kit_path(kit, "status"));
    kit_file(kit, "answer", "");
    if (system(command) == -1) abort();
    char *status = kit_read(kit_path(kit, "status"));
    int n = status ? atoi(status) : 0;
    free(status);
    return n;
}

static bool has(const char *file, const char *words)
{
    char *text = kit_read(kit_path(kit, "%s", file));
    bool found = text && strstr(text, words);
    if (!found) print_message("no \"%s\" in: %s\n", words, text ? text : "nothing");
    free(text);
    return found;
}

static void expect(const char *options, const char *path, int status, const char *words)
{
    int got = fetch(options, path);
    if (got != status) fail_msg("%s %s: %d, not %d", options, path, got, status);
    if (words) assert_true(has("answer", words));
}

#define JSON "-H 'Content-Type: application/json' "

static int ask(const char *options, const char *command)
{
    char all[600];
    snprintf(all, sizeof all, "%s " JSON "-d '{\"command\":\"%s\"}'", options, command);
    return fetch(all, "/api/command");
}

static const char eve[] = "-u 'eve:correct horse'", ops[] = "-u 'ops:correct horse'",
                  bob[] = "-u 'bob:correct horse'";

static char *change_config(const char *from, const char *to)
{
    char *before = kit_read(proxy.config), *at = strstr(before, from);
    assert_non_null(at);
    FILE *f = fopen(proxy.config, "w");
    fprintf(f, "%.*s%s%s", (int)(at - before), before, to, at + strlen(from));
    fclose(f);
    return before;
}

static void put_config_back(char *text)
{
    FILE *f = fopen(proxy.config, "w");
    fputs(text, f);
    fclose(f);
    free(text);
    assert_int_equal(ask(ops, "RELOAD"), 200);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void status_for_everybody_and_nothing_else(void **state)
{
    (void)state;
    expect("", "/livez", 200, "live");
    expect("", "/readyz", 200, "diagnosis: All is well");
    expect("", "/", 200, "<title>Sluice</title>");
    assert_true(has("head", "Content-Security-Policy: default-src 'none'; script-src 'self'"));
    assert_true(has("head", "frame-ancestors 'none'"));
    expect("", "/app.js", 200, "use strict");
    expect("", "/uplot.js", 200, "uPlot");
    expect("", "/metrics", 401, "a login is needed");
    assert_true(has("head", "WWW-Authenticate: Basic"));
    expect("", "/api/state", 401, NULL);
    expect("-X POST", "/drain", 401, NULL);
    assert_int_equal(ask("", "SHOW POOLS"), 401);
}

static void passwords(void **state)
{
    (void)state;
    expect(eve, "/metrics", 200, "sluice_clients ");
    expect("--interface 127.0.0.5 -u eve:wrong", "/metrics", 401, NULL);
    expect("--interface 127.0.0.6 -u nobody:wrong", "/metrics", 401, NULL);
    expect(bob, "/metrics", 403, "no console rights");
    expect("-H 'Authorization: Basic !!!'", "/metrics", 401, NULL);
    expect("-H 'Authorization: Basic ZXZl'", "/metrics", 401, NULL); /* no colon */
    expect("-H 'Authorization: Bearer x'", "/metrics", 401, NULL);
    expect("-H 'Authorization: Basic eA==' -H 'Authorization: Basic eA=='", "/metrics", 400, NULL);
}

/* Both families of names on one page, as Prometheus reads it. */
static void metrics_with_pgbouncers_names(void **state)
{
    (void)state;
    char command[400];
    expect(eve, "/metrics", 200, "\npgbouncer_");
    assert_true(has("answer", "\nsluice_pool_size{"));
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("promtool is not installed: the metrics' form goes unchecked\n");
        skip();
    }
    /* That exporter's microseconds are its own; nothing else may be found fault with. */
    snprintf(command, sizeof command,
             "promtool check metrics <%s 2>&1 | grep -v '^pgbouncer_.*_microseconds' >%s",
             kit_path(kit, "answer"), kit_path(kit, "complaints"));
    int status = system(command);
    char *complaints = kit_read(kit_path(kit, "complaints"));
    assert_int_not_equal(status, -1);
    assert_string_equal(complaints, "");
    free(complaints);
}

static void certificates(void **state)
{
    char options[400];
    (void)state;
    snprintf(options, sizeof options, "--cert %s/ops.crt --key %s/ops.key", certs, certs);
    expect(options, "/api/state", 200, "\"user\":\"ops\",\"level\":\"operator\"");
    snprintf(options, sizeof options, "--cert %s/bob.crt --key %s/bob.key", certs, certs);
    expect(options, "/api/state", 401, NULL);
}

static void levels(void **state)
{
    (void)state;
    assert_int_equal(ask(eve, "SHOW POOLS"), 200);
    assert_true(has("answer", "{\"columns\":[\"database\",\"user\",\"cl_active\""));
    assert_int_equal(ask(eve, "PAUSE"), 403);
    assert_true(has("answer", "needs the console level"));
    assert_int_equal(ask(eve, "KILL_CLIENT 1"), 403);
    expect("-X POST -u 'eve:correct horse'", "/drain", 403, "SHUTDOWN");
    assert_int_equal(ask(ops, "KILL_CLIENT 999999"), 404);
    assert_int_equal(ask(ops, "PAUSE; RESUME"), 400);
    assert_int_equal(ask(ops, "NONSENSE"), 400);
    assert_int_equal(ask(ops, ""), 400);
    assert_int_equal(ask(ops, "RELOAD"), 200);
    assert_true(has("answer", "\"done\":\"RELOAD\""));
    assert_true(
        proxy_log_has(kit, &proxy, "user=eve command=PAUSE argument=\"\" allowed=false", 1000));
}

/* ---- the session of the page ------------------------------------------------------------------
 */

static void log_in(const char *user, const char *jar)
{
    char options[400];
    snprintf(options, sizeof options,
             "-c %s " JSON "-d '{\"user\":\"%s\",\"password\":\"correct horse\"}'",
             kit_path(kit, "%s", jar), user);
    expect(options, "/api/login", 200, "\"level\":");
}

static const char *with_jar(const char *jar) { return kit_path(kit, "%s", jar); }

static void a_session(void **state)
{
    char options[300];
    (void)state;
    log_in("eve", "jar");
    assert_true(has("head", "Set-Cookie: __Host-sluice="));
    assert_true(has("head", "; Path=/; HttpOnly; SameSite=Strict; Secure"));
    snprintf(options, sizeof options, "-b %s", with_jar("jar"));
    expect(options, "/api/state?since=0", 200, "\"diagnosis\":[{\"severity\":\"ok\"");
    expect(options, "/api/state?since=x", 200, NULL);
    snprintf(options, sizeof options, "-b %s -X POST", with_jar("jar"));
    expect(options, "/api/logout", 200, NULL);
    assert_true(has("head", "Max-Age=0"));
    snprintf(options, sizeof options, "-b %s", with_jar("jar"));
    expect(options, "/api/state", 401, NULL);
    expect("-b '__Host-sluice=0000000000000000000000000000000000000000000000000000000000000000'",
           "/api/state", 401, NULL);
    /* A name in the console's database that has no rights here is not told apart. */
    expect(JSON "-d '{\"user\":\"bob\",\"password\":\"correct horse\"}'", "/api/login", 401,
           "wrong user or password");
    expect(JSON "-d '{\"user\":\"bob\"}'", "/api/login", 401, NULL);
    expect(JSON "-d '[]'", "/api/login", 400, "no JSON object");
}

static void a_reload_takes_rights_from_who_is_in(void **state)
{
    char options[300];
    (void)state;
    log_in("eve", "jar");
    snprintf(options, sizeof options, "-b %s", with_jar("jar"));
    expect(options, "/api/state", 200, NULL);
    char *before = change_config("\"console\": \"viewer\"", "\"console\": \"none\"");
    assert_int_equal(ask(ops, "RELOAD"), 200);
    expect(options, "/api/state", 403, NULL);
    put_config_back(before);
    expect(options, "/api/state", 200, NULL);
    kit_file(kit, "password", "another horse");
    assert_int_equal(ask(ops, "RELOAD"), 200);
    expect(options, "/api/state", 401, NULL);
    kit_file(kit, "password", "correct horse");
    assert_int_equal(ask("-u 'ops:another horse'", "RELOAD"), 200);
}

/* ---- what nobody may --------------------------------------------------------------------------
 */

static void other_sites_pages_steer_nothing(void **state)
{
    char options[400];
    static const char *const from[] = {
        "-H 'Origin: https://evil.example'", "-H 'Origin: null'",
        "-H 'Sec-Fetch-Site: cross-site'",   "-H 'Sec-Fetch-Site: same-site'",
        "-H 'Origin: http://127.0.0.1:1'",
    };
    (void)state;
    log_in("ops", "jar");
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        snprintf(options, sizeof options, "-b %s %s", with_jar("jar"), from[i]);
        assert_int_equal(ask(options, "PAUSE"), 403);
        assert_true(has("answer", "another site"));
    }
    /* What a form can send. */
    snprintf(options, sizeof options, "-b %s -d 'command=PAUSE'", with_jar("jar"));
    expect(options, "/api/command", 415, NULL);
    snprintf(options, sizeof options, "-b %s -H 'Origin: https://127.0.0.1:%d'", with_jar("jar"),
             port);
    assert_int_equal(ask(options, "SHOW STATE"), 200);
    assert_true(has("answer", "[\"paused\",\"no\"]"));
    expect(options, "/api/command", 405, NULL);
}

static void tricks(void **state)
{
    static const char *const paths[] = { "//",
                                         "/../etc/passwd",
                                         "/%2e%2e/app.js",
                                         "/app.js/",
                                         "/APP.JS",
                                         "/./app.js",
                                         "/app.js%00",
                                         "/index.html",
                                         "/api",
                                         "/api/state/",
                                         "/proxy/dashboard/app.js",
                                         "/metrics/" };
    char options[300];
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) expect(ops, paths[i], 404, NULL);
    char *big = malloc(70000);
    memset(big, 'x', 69999);
    big[69999] = '\0';
    snprintf(options, sizeof options, "%s " JSON "--data-binary @%s", ops,
             kit_file(kit, "big", big));
    expect(options, "/api/command", 413, NULL);
    big[9000] = '\0';
    snprintf(options, sizeof options, "-H @%s", kit_file(kit, "header", big));
    FILE *f = fopen(kit_path(kit, "header"), "w");
    fprintf(f, "X-Long: %s\n", big);
    fclose(f);
    free(big);
    expect(options, "/livez", 431, NULL);
    expect("-X DELETE", "/api/state", 405, NULL);
    /* Plain HTTP is not heard at all. */
    snprintf(options, sizeof options, "curl -s --max-time 5 -o /dev/null http://127.0.0.1:%d/livez",
             port);
    assert_int_not_equal(system(options), 0);
}

/* Guessing is slowed down, from its own address; others are not. */
static void guessing(void **state)
{
    (void)state;
    char command[400];
    /* All at once, since each answer is held back longer than the one before. */
    snprintf(command, sizeof command,
             "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -sk --max-time 20 -o /dev/null "
             "--interface 127.0.0.3 -u eve:guess https://127.0.0.1:%d/metrics & done; wait",
             port);
    assert_int_equal(system(command), 0);
    expect("--interface 127.0.0.3 -u 'eve:correct horse'", "/metrics", 429, NULL);
    expect(eve, "/metrics", 200, NULL);
    assert_true(proxy_log_has(kit, &proxy, "admin.login_failed from=127.0.0.3", 1000));
    char *text = kit_read(kit_path(kit, "%s", proxy.log_name));
    assert_null(strstr(text, "guess"));
    assert_null(strstr(text, "horse"));
    free(text);
}

/* Connections that say nothing hold no others up, and SQL does not notice. */
static void a_flood(void **state)
{
    enum { MANY = 100 };
    int fds[MANY];
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr("127.0.0.4") };
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = inet_addr("127.0.0.1") };
    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&from, sizeof from), 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    }
    expect("", "/livez", 200, "live");
    PGconn *c = connect_to(proxy.port, "app", "");
    PGresult *r = PQexec(c, "select 1");
    assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
    PQclear(r);
    PQfinish(c);
    int closed = 0;
    for (int i = 0; i < MANY; i++) {
        struct timeval patience = { .tv_usec = 20000 };
        char byte;
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        closed += recv(fds[i], &byte, 1, 0) == 0;
        close(fds[i]);
    }
    assert_true(closed >= MANY - 32);
}

/* The connection is closed while the head is still growing. */
static void a_head_byte_by_byte_is_ended(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command,
             "{ printf 'GET /livez HTTP/1.1\\r\\nX: '; while printf x; do sleep 0.3; done; } "
             "2>/dev/null | timeout 60 openssl s_client -quiet -connect 127.0.0.1:%d "
             ">/dev/null 2>&1; [ $? != 124 ]",
             port);
    assert_int_equal(system(command), 0);
    expect("", "/livez", 200, "live");
}

/* ---- the same cause everywhere ----------------------------------------------------------------
 */

static void the_cause_is_named_everywhere(void **state)
{
    (void)state;
    PGconn *holder = connect_to(proxy.port, "app", ""), *waiter = connect_to(proxy.port, "app", "");
    PQclear(PQexec(holder, "begin"));
    PQclear(PQexec(holder, "select 1"));
    assert_int_equal(PQsendQuery(waiter, "select 1"), 1);
    PQflush(waiter);
    for (int i = 0; i < 100; i++) {
        fetch("", "/readyz");
        char *text = kit_read(kit_path(kit, "answer"));
        bool named =
            strstr(text, "the one server of pg/postgres/postgres/all is lent; 1 client waits");
        free(text);
        if (named) break;
        kit_sleep_ms(50);
    }
    expect("", "/readyz", 200, "diagnosis: The pool: the one server of pg/postgres/postgres/all");
    expect(eve, "/api/state", 200, "\"cause\":\"pool-full\"");
    assert_true(has("answer", "\"why\":\"the pool is full\""));
    expect(eve, "/metrics", 200, "sluice_diagnosis{cause=\"pool-full\"} 3");
    assert_int_equal(ask(eve, "SHOW DIAGNOSIS"), 200);
    assert_true(has("answer", "[\"critical\",\"pool-full\",\"the pool\",\"The pool: the one"));
    assert_int_equal(ask(eve, "SHOW WAITING"), 200);
    assert_true(has("answer", "\"the pool is full\"]"));
    PQclear(PQexec(holder, "commit"));
    PGresult *r = PQgetResult(waiter);
    assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
    PQclear(r);
    PQfinish(holder);
    PQfinish(waiter);
    expect(eve, "/metrics", 200, "pgbouncer_requests_total{database=\"postgres\"} ");
    assert_true(
        has("answer", "pgbouncer_active_clients{database=\"postgres\",user=\"postgres\"} "));
    assert_true(has("answer", "pgbouncer_pool_size{database=\"postgres\"} 1"));
}

static void a_route_that_refuses_is_explained(void **state)
{
    char command[80];
    (void)state;
    PGconn *c = connect_to(proxy.port, "app", "application_name=bot7");
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    const char *id = strstr(PQerrorMessage(c), "decision d-");
    assert_non_null(id);
    snprintf(command, sizeof command, "EXPLAIN DECISION %.*s", (int)strcspn(id + 9, " \n"), id + 9);
    PQfinish(c);
    assert_int_equal(ask(eve, command), 200);
    assert_true(has("answer", "[\"rule\",\"no-bots\"]"));
    assert_true(has("answer", "[\"reason\",\"route\"]"));
    expect("", "/readyz", 200, "diagnosis: Your rule: 1 refusal in the last minute");
}

/* The last line on stdout that begins so, as JSON. */
static struct json_doc *last_report(const char *begins, const char *contains)
{
    char *text = kit_read(kit_path(kit, "%s", proxy.log_name)), *line, *at = text, *found = NULL;
    struct json_error error;
    while ((line = strsep(&at, "\n")))
        if (strncmp(line, begins, strlen(begins)) == 0 && strstr(line, contains)) found = line;
    assert_non_null(found);
    struct json_doc *doc = json_parse(slice_str(found), 1 << 20, &error);
    if (!doc) fail_msg("%s", error.text);
    free(text);
    return doc;
}

static const struct json_value *member(const struct json_value *v, const char *key)
{
    const struct json_value *found = json_member(v, slice_str(key));
    if (!found) fail_msg("no %s", key);
    return found;
}

static void reports_for_cloudwatch(void **state)
{
    (void)state;
    PGconn *c = connect_to(proxy.port, "app", "");
    PQclear(PQexec(c, "select 1"));
    for (int i = 0; i < 100 && !proxy_log_has(kit, &proxy, "\"ClientConnections\":1,", 50); i++) {
    }
    struct json_doc *doc = last_report("{\"_aws\"", "\"ClientConnections\":1,");
    const struct json_value *root = json_root(doc), *aws = member(root, "_aws");
    const struct json_value *set = json_first(member(aws, "CloudWatchMetrics"));
    assert_true(slice_is(json_string(member(set, "Namespace")), "Ware\"house"));
    assert_true(slice_is(json_string(member(root, "ServerId")), "seen"));
    const struct json_value *metrics = member(set, "Metrics");
    assert_true(json_count(metrics) > 10 && json_count(metrics) <= 100);
    for (const struct json_value *m = json_first(metrics); m; m = json_next(m)) {
        int64_t n;
        struct slice name = json_string(member(m, "Name"));
        assert_true(json_integer(json_member(root, name), &n) && n >= 0);
    }
    json_free(doc);
    doc = last_report("{\"_aws\"", "\"Cluster\":\"pg\"");
    int64_t allowed;
    assert_true(json_integer(member(json_root(doc), "MaxDatabaseConnectionsAllowed"), &allowed));
    assert_int_equal(allowed, 6);
    json_free(doc);
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_for_everybody_and_nothing_else),
        cmocka_unit_test(passwords),
        cmocka_unit_test(certificates),
        cmocka_unit_test(levels),
        cmocka_unit_test(a_session),
        cmocka_unit_test(a_reload_takes_rights_from_who_is_in),
        cmocka_unit_test(other_sites_pages_steer_nothing),
        cmocka_unit_test(tricks),
        cmocka_unit_test(a_flood),
        cmocka_unit_test(a_head_byte_by_byte_is_ended),
        cmocka_unit_test(the_cause_is_named_everywhere),
        cmocka_unit_test(metrics_with_pgbouncers_names),
        cmocka_unit_test(reports_for_cloudwatch),
        cmocka_unit_test(a_route_that_refuses_is_explained),
        cmocka_unit_test(guessing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
