/* Pass-through: the warehouse judges what clients give, passwords and identity providers' tokens.
 * What must never happen: somebody let in whom nobody has judged, or served by what another's proof
 * has opened. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    const char *certs;
    int redshift_port; /* the fake, which takes tokens */
    struct proxy proxy;
};

/* Database "elsewhere" is at a cluster with credentials of its own, "lake" before tokens. */
static const char routes[] =
    "{ \"version\": 1, \"rules\": ["
    "{ \"id\": \"lake\", \"when\": { \"user\": [\"idp_free\", \"idp_bound\"] }, \"to\": \"lake\", "
    "\"query_group\": \"lake {identity} {user} {conn}\" },"
    "{ \"id\": \"bare\", \"when\": { \"user\": \"idp_bare\" }, \"to\": \"lake\" },"
    "{ \"id\": \"stay\", \"when\": { \"user\": \"idp_stay\" }, \"to\": \"lake\", \"pool\": { "
    "\"mode\": \"session\" } },"
    "{ \"id\": \"named\", \"when\": { \"user\": \"idp_named\" }, \"to\": \"lake\", "
    "\"query_group\": \"named {user}\", \"pool\": { \"mode\": \"session\" } },"
    "{ \"id\": \"own\", \"when\": { \"database\": \"elsewhere\", \"user\": [\"ana\", \"local\"] }, "
    "\"to\": \"own\" },"
    "{ \"id\": \"all\", \"to\": \"warehouse\" } ] }";

static const char config[] =
    "{ \"server_id\": \"sluice-passthrough\", \"workers\": 2, \"drain_timeout\": \"1s\",\n"
    "  \"idp_user\": \"idp_free\",\n"
    "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\", \"tls\": { \"mode\": \"allow\",\n"
    "    \"certificate\": \"%s/server.crt\", \"key\": \"file:%s/proxy.key\" } } ],\n"
    "  \"clusters\": {\n"
    "    \"warehouse\": { \"endpoint\": \"localhost:%d\", \"ca\": \"%s/ca.crt\",\n"
    "      \"credentials\": { \"source\": \"passthrough\" } },\n"
    "    \"lake\": { \"endpoint\": \"localhost:%d\", \"ca\": \"%s/ca.crt\",\n"
    "      \"credentials\": { \"source\": \"passthrough\" } },\n"
    "    \"own\": { \"endpoint\": \"localhost:%d\", \"ca\": \"%s/ca.crt\",\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"ana\": \"env:ANA_PASSWORD\" } "
    "} } },\n"
    "  \"users\": {\n"
    "    \"ana\": { \"auth\": [\"passthrough\"], \"role\": \"all\" },\n"
    "    \"eva\": { \"auth\": [\"passthrough\"], \"role\": \"all\", \"db_user\": \"ana\" },\n"
    "    \"clear\": { \"auth\": [\"cleartext\"], \"password\": \"env:ANA_PASSWORD\", \"role\": "
    "\"all\",\n"
    "      \"db_user\": \"ana\" },\n"
    "    \"local\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"ana\" },\n"
    "    \"ops\": { \"auth\": [\"trust\"], \"role\": \"all\", \"db_user\": \"ana\", \"console\": "
    "\"viewer\" },\n"
    "    \"boss\": { \"auth\": [\"passthrough\"], \"role\": \"all\", \"db_user\": \"ana\",\n"
    "      \"console\": \"router\" },\n"
    "    \"idp_free\": { \"auth\": [\"idp\"], \"role\": \"all\" },\n"
    "    \"idp_bare\": { \"auth\": [\"idp\"], \"role\": \"all\" },\n"
    "    \"idp_stay\": { \"auth\": [\"idp\"], \"role\": \"all\" },\n"
    "    \"idp_named\": { \"auth\": [\"idp\"], \"role\": \"all\" },\n"
    "    \"idp_bound\": { \"auth\": [\"idp\"], \"role\": \"reader\",\n"
    "      \"idp_users\": [\"AWSIDC:*@example.com\"] } },\n"
    "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },\n"
    "    \"reader\": { \"grants\": [ { \"verbs\": [\"SELECT\"], \"on\": [\"public.*\"] } ],\n"
    "      \"excess_privilege\": \"warn\" } },\n"
    "  \"access\": [ { \"from\": [\"127.0.0.0/8\"], \"users\": [\"*\"] } ],\n"
    "  \"routes\": { \"source\": \"file:%s\" },\n"
    "  \"pool\": { \"mode\": \"transaction\", \"size\": 4, \"wait_timeout\": \"5s\" },\n"
    "  \"limits\": { \"failed_logins\": 0 },\n"
    "  \"log\": { \"level\": \"debug\", \"per_second\": 0 } }\n";

static bool fake_start(struct world *w)
{
    char listen[16], server[16];
    w->redshift_port = kit_port(w->kit);
    snprintf(listen, sizeof listen, "%d", w->redshift_port);
    snprintf(server, sizeof server, "%d", w->pg.port);
    pid_t pid = kit_start(w->kit, "redshift.log",
                          (const char *[]){ kit_built(w->kit, "tools/redshift"), "-l", listen, "-s",
                                            server, "-c", w->certs, "-a", "idp", "-u",
                                            "AWSIDC:ana@example.com=token-of-ana", "-u",
                                            "AWSIDC:eve@evil.example=token-of-eve", NULL });
    return kit_wait_port(w->kit, pid, "redshift.log", w->redshift_port);
}

static bool copy_key(struct world *w)
{
    char *copy;
    if (asprintf(&copy, "cp %s/server.key %s/proxy.key; chmod 644 %s/proxy.key", w->certs, w->certs,
                 w->certs) < 0)
        return false;
    int status = kit_run(w->kit, "copy.log", (const char *[]){ "sh", "-c", copy, NULL });
    free(copy);
    return status == 0;
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char *text;
    w->kit = kit_new("passthrough");
    *state = w;
    setenv("ANA_PASSWORD", "pearl", 1);
    w->certs = certs_make(w->kit, (const char *[]){ NULL });
    struct postgres_options options = {
        .hba = kit_file(
            w->kit, "hba",
            "local all all trust\n"
            "hostssl all ana 127.0.0.1/32 scram-sha-256\n"
            "host all \"AWSIDC:ana@example.com\",\"AWSIDC:eve@evil.example\" 127.0.0.1/32 trust\n"),
        .certs = w->certs,
    };
    if (!w->certs || !copy_key(w) || !postgres_start(w->kit, &w->pg, &options)) return -1;
    if (!postgres_run(&w->pg, "create user ana password 'pearl'; "
                              "create role \"AWSIDC:ana@example.com\" login; "
                              "create role \"AWSIDC:eve@evil.example\" login") ||
        !postgres_run(&w->pg, "create database elsewhere") || !fake_start(w))
        return -1;
    if (asprintf(&text, config, w->certs, w->certs, w->pg.port, w->certs, w->redshift_port,
                 w->certs, w->pg.port, w->certs, kit_file(w->kit, "routes.json", routes)) < 0)
        return -1;
    bool ok = proxy_start(w->kit, &w->proxy, text);
    free(text);
    return ok ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    bool clean = !w->proxy.pid || proxy_stop(w->kit, &w->proxy);
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

static void assert_refused(struct world *w, const char *user, const char *extra, const char *why)
{
    PGconn *c = connect_to(w->proxy.port, user, extra);
    if (PQstatus(c) == CONNECTION_OK) fail_msg("%s %s: let in", user, extra);
    if (!strstr(PQerrorMessage(c), why)) fail_msg("%s %s: %s", user, extra, PQerrorMessage(c));
    PQfinish(c);
}

static PGconn *enter(struct world *w, const char *user, const char *extra)
{
    PGconn *c = connect_to(w->proxy.port, user, extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s %s: %s", user, extra, PQerrorMessage(c));
    return c;
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void the_databases_password_opens(void **state)
{
    struct world *w = *state;
    PGconn *c = enter(w, "ana", "password=pearl sslmode=require");
    assert_string_equal(before_says(c, "select current_user"), "ana");
    /* The connection that ana's password has opened is idle now, and serves nobody who has not it.
     */
    for (int i = 0; i < 3; i++)
        assert_refused(w, "ana", "password=Pearl sslmode=require",
                       "authentication failed for user \"ana\"");
    assert_refused(w, "eva", "password=wrong sslmode=require",
                   "authentication failed for user \"eva\"");
    assert_refused(w, "nobody", "password=pearl sslmode=require",
                   "authentication failed for user \"nobody\"");
    assert_refused(w, "ana", "sslmode=require", "no password supplied");
    assert_string_equal(before_says(c, "select 42"), "42");
    PQfinish(c);
}

static void who_has_the_same_password_shares_its_servers(void **state)
{
    struct world *w = *state;
    PGconn *a = enter(w, "ana", "password=pearl sslmode=require");
    assert_string_equal(before_says(a, "select 1"), "1");
    int servers = before_servers(&w->pg, "ana");
    for (int i = 0; i < 3; i++) {
        PGconn *b = enter(w, "ana", "password=pearl sslmode=require");
        assert_string_equal(before_says(b, "select 2"), "2");
        PQfinish(b);
    }
    assert_true(before_servers(&w->pg, "ana") <= servers);
    PQfinish(a);
}

static void what_sluice_has_verified_is_passed_on_too(void **state)
{
    struct world *w = *state;
    PGconn *c = enter(w, "clear", "password=pearl sslmode=require");
    assert_string_equal(before_says(c, "select current_user"), "ana");
    PQfinish(c);
    assert_refused(w, "clear", "password=wrong sslmode=require", "authentication failed");
}

static void nothing_is_asked_for_without_tls(void **state)
{
    assert_refused(*state, "ana", "password=pearl sslmode=disable", "");
    struct raw *r = raw_open(((struct world *)*state)->proxy.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
    assert_int_not_equal(raw_next(r), 'R');
    raw_close(r);
}

static void who_gave_nothing_has_nothing_to_pass_on(void **state)
{
    assert_refused(*state, "local", "sslmode=require", "wants the client's own password");
}

/* The password is right, but at this cluster nobody would have looked at it. */
static void a_cluster_that_does_not_judge_lets_nobody_in(void **state)
{
    struct world *w = *state;
    assert_refused(w, "ana", "password=anything sslmode=require dbname=elsewhere",
                   "authentication failed for user \"ana\"");
    assert_refused(w, "ana", "password=pearl sslmode=require dbname=elsewhere",
                   "authentication failed for user \"ana\"");
    assert_true(proxy_log_has(w->kit, &w->proxy, "passthrough.nobody_judges", 2000));
    PGconn *c = enter(w, "local", "sslmode=require dbname=elsewhere");
    assert_string_equal(before_says(c, "select current_user"), "ana");
    PQfinish(c);
}

static void the_console_lets_nobody_in_who_is_not_proven(void **state)
{
    struct world *w = *state;
    assert_refused(w, "boss", "password=anything sslmode=require dbname=sluice",
                   "authentication failed for user \"boss\"");
    assert_refused(w, "boss", "password=pearl sslmode=require dbname=pgbouncer",
                   "authentication failed for user \"boss\"");
}

/* How many pools there are; all are for one secret each but those of "own". */
static int pools(struct world *w)
{
    PGconn *c = enter(w, "ops", "dbname=sluice");
    PGresult *r = PQexec(c, "show pools");
    int n = PQntuples(r);
    PQclear(r);
    PQfinish(c);
    return n;
}

struct guess {
    pthread_t thread;
    int port, number;
    char said[300];
};

static void *guess(void *arg)
{
    struct guess *g = arg;
    char extra[64];
    snprintf(extra, sizeof extra, "password=guess%d sslmode=require", g->number);
    PGconn *c = connect_to(g->port, "ana", extra);
    snprintf(g->said, sizeof g->said, "%s",
             PQstatus(c) == CONNECTION_OK ? "let in" : PQerrorMessage(c));
    PQfinish(c);
    return NULL;
}

static void made_up_passwords_leave_nothing_behind(void **state)
{
    struct world *w = *state;
    struct guess guesses[7]; /* the tenth would not be looked at */
    int before = pools(w), after = -1;
    /* At once: each is told no only after a while. */
    for (int i = 0; i < 7; i++) {
        guesses[i] = (struct guess){ .port = w->proxy.port, .number = i };
        assert_int_equal(pthread_create(&guesses[i].thread, NULL, guess, &guesses[i]), 0);
    }
    for (int i = 0; i < 7; i++) {
        pthread_join(guesses[i].thread, NULL);
        if (!strstr(guesses[i].said, "authentication failed")) fail_msg("%s", guesses[i].said);
    }
    for (int tries = 0; tries < 100 && after != before; tries++) {
        after = pools(w);
        if (after != before) kit_sleep_ms(50);
    }
    assert_int_equal(after, before);
}

static void a_new_password_is_the_warehouses_to_know(void **state)
{
    struct world *w = *state;
    assert_true(postgres_run(&w->pg, "alter user ana password 'onyx'"));
    PGconn *c = enter(w, "ana", "password=onyx sslmode=require");
    assert_string_equal(before_says(c, "select current_user"), "ana");
    PQfinish(c);
    assert_true(postgres_run(&w->pg, "alter user ana password 'pearl'"));
}

/* CVE-2025-2291: a password past its VALID UNTIL went on opening. Here the warehouse judges, so
 * what it calls expired is wrong; also with the pool still there that the same password has made.
 */
static void an_expired_password_opens_nothing_CVE_2025_2291(void **state)
{
    struct world *w = *state;
    assert_true(postgres_run(&w->pg, "alter user ana password 'agate' valid until 'yesterday'"));
    assert_refused(w, "ana", "password=agate sslmode=require",
                   "authentication failed for user \"ana\"");
    assert_true(postgres_run(&w->pg, "alter user ana valid until 'tomorrow'"));
    PGconn *c = enter(w, "ana", "password=agate sslmode=require");
    assert_string_equal(before_says(c, "select current_user"), "ana");
    assert_true(postgres_run(&w->pg, "alter user ana valid until 'yesterday'"));
    before_terminate(&w->pg, "ana");
    /* Its proof is fresh (PASSTHROUGH_PROOF_MS): the welcome may be said, but there is no server.
     */
    PGconn *d = connect_to(w->proxy.port, "ana", "password=agate sslmode=require");
    if (PQstatus(d) == CONNECTION_OK)
        assert_string_not_equal(before_says(d, "select current_user"), "ana");
    PQfinish(d);
    PQfinish(c);
    assert_true(postgres_run(&w->pg, "alter user ana password 'pearl' valid until 'infinity'"));
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* What redshift_connector does with a token (and, with `nul`, JDBC): the answer up to
 * ReadyForQuery. `user` NULL: none is named. */
static const char *token_login(struct world *w, struct raw **out, const char *user,
                               const char *token, bool nul)
{
    struct raw *r = *out = raw_open(w->proxy.port, NULL);
    raw_request(r, RAW_SSL_REQUEST);
    if (raw_byte(r) != 'S' || !raw_secure(r, NULL, NULL)) return "no TLS";
    const char *pairs[20] = { "database",
                              "postgres",
                              "driver_version",
                              "Redshift Python 2.1.5",
                              "client_protocol_version",
                              "2",
                              "idp_type",
                              "AwsIdc",
                              "token_type",
                              "ACCESS_TOKEN",
                              "provider_name",
                              "idc" };
    if (user) {
        pairs[12] = "user";
        pairs[13] = user;
    }
    raw_startup(r, RAW_PROTOCOL_3_0, pairs);
    int type = raw_next(r);
    if (type == 'E') return raw_field(r, 'C');
    if (type != 'R' || r->len != 4 || r->body[3] != 14) return "not asked for a token";
    raw_say(r, 'i', token, strlen(token) + nul);
    return raw_answer(r);
}

static void a_token_opens_with_or_without_its_nul(void **state)
{
    struct world *w = *state;
    for (int nul = 0; nul < 2; nul++) {
        struct raw *r;
        assert_string_equal(token_login(w, &r, "idp_free", "token-of-ana", nul), "R K ZI");
        raw_query(r, "select current_user");
        assert_string_equal(raw_answer(r), "T D C ZI");
        raw_close(r);
    }
    assert_true(proxy_log_has(w->kit, &w->proxy, "identity=AWSIDC:ana@example.com", 2000));
}

/* Redshift's own records name who it was, by what the warehouse said of the token. */
static void the_query_group_says_who_it_is(void **state)
{
    struct world *w = *state;
    struct raw *r;
    char text[200] = "";
    assert_string_equal(token_login(w, &r, "idp_free", "token-of-ana", true), "R K ZI");
    raw_query(r, "show query_group");
    for (int type; (type = raw_next(r)) > 0 && type != 'Z';)
        if (type == 'D' && r->len > 6 && r->len < sizeof text)
            memcpy(text, r->body + 6, r->len - 6);
    if (strncmp(text, "lake AWSIDC:ana@example.com idp_free ", 37) != 0) fail_msg("\"%s\"", text);
    assert_true(atoi(text + 37) > 0);
    raw_close(r);
}

/* The one cell of the answer. */
static const char *shown(struct raw *r, const char *sql)
{
    static char text[400];
    text[0] = '\0';
    raw_query(r, sql);
    for (int type; (type = raw_next(r)) > 0 && type != 'Z';) {
        if (type == 'E') snprintf(text, sizeof text, "error: %s", raw_field(r, 'M'));
        if (type != 'D' || r->len <= 6 || r->len - 6 >= sizeof text) continue;
        memcpy(text, r->body + 6, r->len - 6);
        text[r->len - 6] = '\0';
    }
    return text;
}

static struct raw *bearer(struct world *w, const char *user)
{
    struct raw *r;
    assert_string_equal(token_login(w, &r, user, "token-of-ana", true), "R K ZI");
    return r;
}

static int conn_in(const char *group)
{
    static const char who[] = "AWSIDC:ana@example.com ";
    if (strncmp(group, who, sizeof who - 1) != 0) fail_msg("\"%s\"", group);
    int conn = atoi(group + sizeof who - 1);
    assert_true(conn > 0);
    return conn;
}

/* Nobody has asked for it: two clients of one pool, each with its own mark, whatever server. */
static void without_a_rule_it_says_so_too(void **state)
{
    struct world *w = *state;
    struct raw *one = bearer(w, "idp_bare"), *two = bearer(w, "idp_bare");
    int first = conn_in(shown(one, "show query_group"));
    int second = conn_in(shown(two, "show query_group"));
    assert_int_not_equal(first, second);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(conn_in(shown(one, "show query_group")), first);
        assert_int_equal(conn_in(shown(two, "show query_group")), second);
    }
    /* Its own word is the last; other settings do not disturb it. */
    shown(one, "set query_group to 'mine'");
    assert_string_equal(shown(one, "show query_group"), "mine");
    assert_int_equal(conn_in(shown(two, "show query_group")), second);
    assert_string_equal(shown(one, "show query_group"), "mine");
    shown(one, "reset query_group");
    assert_int_equal(conn_in(shown(one, "show query_group")), first);
    shown(two, "set datestyle to 'German'");
    assert_int_equal(conn_in(shown(one, "show query_group")), first);
    assert_string_equal(shown(two, "select '2026-12-01'::date"), "01.12.2026");
    assert_int_equal(conn_in(shown(two, "show query_group")), second);
    raw_close(one);
    raw_close(two);
}

static void in_session_mode_likewise(void **state)
{
    struct world *w = *state;
    struct raw *r = bearer(w, "idp_stay");
    int conn = conn_in(shown(r, "show query_group"));
    shown(r, "set query_group to 'mine'");
    assert_string_equal(shown(r, "show query_group"), "mine");
    raw_close(r);
    for (int i = 0; i < 5; i++) { /* whoever's server it was before */
        r = bearer(w, "idp_stay");
        assert_int_not_equal(conn_in(shown(r, "show query_group")), conn);
        assert_int_equal(conn_in(shown(r, "show query_group")),
                         conn_in(shown(r, "show query_group")));
        raw_close(r);
    }
    /* A rule's group reaches it as well. */
    r = bearer(w, "idp_named");
    assert_string_equal(shown(r, "show query_group"), "named idp_named");
    shown(r, "set query_group to 'mine'");
    assert_string_equal(shown(r, "show query_group"), "mine");
    raw_close(r);
}

/* It knows no groups, and is not asked to. */
static void postgresql_hears_nothing_of_it(void **state)
{
    struct world *w = *state;
    int refused = before_log_count(w->kit, &w->proxy, "session.setting_refused");
    PGconn *c = connect_to(w->proxy.port, "ana", "password=pearl sslmode=require");
    assert_string_equal(
        before_says(c, "select coalesce(current_setting('query_group', true), '-')"), "-");
    PQfinish(c);
    assert_int_equal(before_log_count(w->kit, &w->proxy, "session.setting_refused"), refused);
}

static void it_can_be_switched_off(void **state)
{
    struct world *w = *state;
    char *text = kit_read(w->proxy.config), *with;
    char *at = strstr(text, "\"idp_user\"");
    int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
    assert_non_null(at);
    assert_true(asprintf(&with, "%.*s\"iam\": { \"attribution\": false }, %s", (int)(at - text),
                         text, at) > 0);
    FILE *f = fopen(w->proxy.config, "w");
    fputs(with, f);
    fclose(f);
    kill(w->proxy.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", reloads + 1));
    struct raw *r = bearer(w, "idp_bare");
    assert_string_equal(shown(r, "show query_group"), "");
    raw_close(r);
    r = bearer(w, "idp_stay");
    assert_string_equal(shown(r, "show query_group"), "");
    raw_close(r);
    f = fopen(w->proxy.config, "w");
    fputs(text, f);
    fclose(f);
    kill(w->proxy.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", reloads + 2));
    free(text);
    free(with);
}

static void who_names_no_user_is_the_configured_one(void **state)
{
    struct world *w = *state;
    struct raw *r;
    assert_string_equal(token_login(w, &r, NULL, "token-of-eve", true), "R K ZI");
    raw_close(r);
    assert_string_equal(token_login(w, &r, "", "token-of-eve", true), "R K ZI");
    raw_close(r);
    assert_true(proxy_log_has(w->kit, &w->proxy, "identity=AWSIDC:eve@evil.example", 2000));
}

static void a_token_that_the_warehouse_does_not_know_opens_nothing(void **state)
{
    struct world *w = *state;
    struct raw *r;
    assert_string_equal(token_login(w, &r, "idp_free", "token-of-nobody", true), "E28P01 end");
    raw_close(r);
    assert_string_equal(token_login(w, &r, "idp_free", "", true), "E28P01 end");
    raw_close(r);
    /* No such user, or one of another kind, is asked for something else or nothing. */
    token_login(w, &r, "nobody", "token-of-ana", true);
    assert_string_not_equal(r->answer, "R K ZI");
    raw_close(r);
}

/* A restricted role is for those whom the configuration names, whoever else has a good token. */
static void a_restricted_role_is_for_the_expected_bearer(void **state)
{
    struct world *w = *state;
    struct raw *r;
    for (int i = 0; i < 2; i++) { /* the second time the pool knows already */
        assert_string_equal(token_login(w, &r, "idp_bound", "token-of-eve", true), "E28000 end");
        raw_close(r);
    }
    assert_string_equal(token_login(w, &r, "idp_bound", "token-of-ana", true), "R K ZI");
    raw_query(r, "delete from pg_class");
    assert_string_equal(raw_answer(r), "E42501 ZI");
    raw_close(r);
}

static void without_a_rule_a_restricted_role_is_for_nobody(void **state)
{
    struct world *w = *state;
    char *text = kit_read(w->proxy.config), *at = strstr(text, ",\n      \"idp_users\"");
    assert_non_null(at);
    char *end = strchr(at, ']') + 1;
    memmove(at, end, strlen(end) + 1);
    const char *path = kit_file(w->kit, "unbound.json", text);
    free(text);
    int status =
        kit_run(w->kit, "check.log",
                (const char *[]){ kit_built(w->kit, "sluice"), "check", "--config", path, NULL });
    assert_int_not_equal(status, 0);
    char *said = kit_read(kit_path(w->kit, "check.log"));
    assert_non_null(strstr(said, "idp_users must say whom a token may prove"));
    free(said);
}

static void code_14_needs_tls(void **state)
{
    struct raw *r = raw_open(((struct world *)*state)->proxy.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", "idp_free", "database", "postgres", "driver_version",
                                  "Redshift Python 2.1.5", "idp_type", "AwsIdc", NULL });
    int type = raw_next(r);
    assert_false(type == 'R' && r->body[3] == 14);
    raw_close(r);
}

static void no_secret_is_in_the_log(void **state)
{
    struct world *w = *state;
    static const char *const secrets[] = { "pearl",  "Pearl",        "onyx",
                                           "guess3", "token-of-ana", "token-of-eve" };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        assert_int_equal(before_log_count(w->kit, &w->proxy, secrets[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_databases_password_opens),
        cmocka_unit_test(who_has_the_same_password_shares_its_servers),
        cmocka_unit_test(what_sluice_has_verified_is_passed_on_too),
        cmocka_unit_test(nothing_is_asked_for_without_tls),
        cmocka_unit_test(who_gave_nothing_has_nothing_to_pass_on),
        cmocka_unit_test(a_cluster_that_does_not_judge_lets_nobody_in),
        cmocka_unit_test(the_console_lets_nobody_in_who_is_not_proven),
        cmocka_unit_test(made_up_passwords_leave_nothing_behind),
        cmocka_unit_test(a_new_password_is_the_warehouses_to_know),
        cmocka_unit_test(an_expired_password_opens_nothing_CVE_2025_2291),
        cmocka_unit_test(a_token_opens_with_or_without_its_nul),
        cmocka_unit_test(the_query_group_says_who_it_is),
        cmocka_unit_test(without_a_rule_it_says_so_too),
        cmocka_unit_test(in_session_mode_likewise),
        cmocka_unit_test(postgresql_hears_nothing_of_it),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(who_names_no_user_is_the_configured_one),
        cmocka_unit_test(a_token_that_the_warehouse_does_not_know_opens_nothing),
        cmocka_unit_test(a_restricted_role_is_for_the_expected_bearer),
        cmocka_unit_test(without_a_rule_a_restricted_role_is_for_nobody),
        cmocka_unit_test(code_14_needs_tls),
        cmocka_unit_test(no_secret_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
