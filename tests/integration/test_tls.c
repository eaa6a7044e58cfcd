/* TLS on both sides: who gets in by which mode, which servers are believed, and what the log says
 * to do when they are not; direct TLS, reload and resumption. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg, plain_pg; /* with TLS; without */
    const char *certs;
};

/* One user by password, so that every mode can be tried, and one by certificate. */
static const char users[] =
    "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" },\n"
    "\"ana\": { \"auth\": [\"cert\"], \"role\": \"owner\", \"db_user\": \"postgres\" }";

/* In the certificates' directory. */
static bool shell(struct world *w, const char *command)
{
    char *line;
    if (asprintf(&line, "cd %s && %s", w->certs, command) < 0) abort();
    int status = kit_run(w->kit, "shell.log", (const char *[]){ "sh", "-c", line, NULL });
    free(line);
    return status == 0;
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("tls");
    *state = w;
    w->certs = certs_make(w->kit, (const char *[]){ "ana", "postgres", NULL });
    return w->certs && postgres_start(w->kit, &w->plain_pg, NULL) &&
                   postgres_start(w->kit, &w->pg,
                                  &(struct postgres_options){ .certs = w->certs }) &&
                   /* The proxy runs as another user. */
                   shell(w,
                         "cp server.key proxy.key; cp server.crt proxy.crt; chmod 644 proxy.*") &&
                   /* A client's certificate of an authority that nobody trusts. */
                   shell(w, "cp stranger.crt mallory.crt; cp stranger.key mallory.key")
               ? 0
               : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* ---- clients -------------------------------------------------------------------------------- */

static const char *listen_tls(struct world *w, const char *mode, char text[600])
{
    snprintf(
        text, 600,
        "{ \"mode\": \"%s\", \"certificate\": \"%s/proxy.crt\", \"key\": \"file:%s/proxy.key\", "
        "\"client_ca\": \"%s/ca.crt\" }",
        mode, w->certs, w->certs, w->certs);
    return text;
}

static void start(struct world *w, struct proxy *p, const char *mode)
{
    char tls[600];
    *p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, p,
                             &(struct before){ .server_port = w->pg.port,
                                               .users = users,
                                               .listen_tls = listen_tls(w, mode, tls) }));
}

/* Does libpq get in? `certificate`: of which user; NULL: none. */
static bool enters(struct world *w, struct proxy *p, const char *user, const char *sslmode,
                   const char *certificate)
{
    char extra[1500] = "";
    int n = snprintf(extra, sizeof extra, "sslmode=%s sslrootcert=%s/ca.crt", sslmode, w->certs);
    if (certificate)
        snprintf(extra + n, sizeof extra - (size_t)n, " sslcert=%s/%s.crt sslkey=%s/%s.key",
                 w->certs, certificate, w->certs, certificate);
    else
        snprintf(extra + n, sizeof extra - (size_t)n, " sslcert=%s/none", w->certs);
    PGconn *c = connect_to(p->port, user, extra);
    bool in = PQstatus(c) == CONNECTION_OK && strcmp(before_says(c, "select 42"), "42") == 0;
    if (in) assert_int_equal(PQsslInUse(c), strcmp(sslmode, "disable") != 0);
    PQfinish(c);
    return in;
}

static void clients_get_in_as_the_mode_says(void **state)
{
    static const struct {
        const char *mode;
        bool plain, tls, any_certificate, own_certificate, strangers_certificate;
    } cases[] = {
        { "disable", true, false, false, false, false },
        { "allow", true, true, true, true, false },
        { "prefer", true, true, true, true, false },
        { "require", false, true, true, true, false },
        { "verify-ca", false, false, true, true, false },
        { "verify-full", false, false, false, true, false },
    };
    struct world *w = *state;
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct proxy p;
        start(w, &p, cases[at].mode);
        print_message("# %s\n", cases[at].mode);
        assert_int_equal(enters(w, &p, "postgres", "disable", NULL), cases[at].plain);
        assert_int_equal(enters(w, &p, "postgres", "verify-full", NULL), cases[at].tls);
        assert_int_equal(enters(w, &p, "postgres", "require", "ana"), cases[at].any_certificate);
        assert_int_equal(enters(w, &p, "postgres", "require", "postgres"),
                         cases[at].own_certificate);
        assert_int_equal(enters(w, &p, "postgres", "require", "mallory"),
                         cases[at].strangers_certificate);
        /* A certificate is a proof only where it names the user. */
        assert_int_equal(enters(w, &p, "ana", "require", "ana"), cases[at].own_certificate);
        assert_false(enters(w, &p, "ana", "require", "postgres"));
        assert_true(proxy_stop(w->kit, &p));
    }
}

static struct raw *secured(struct proxy *p, SSL_SESSION *session, int version)
{
    struct raw *r = raw_open(p->port, NULL);
    r->session = session;
    r->max_version = version;
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    assert_int_equal(raw_secure(r, NULL, NULL), version == 0 || version >= TLS1_2_VERSION);
    return r;
}

static void versions_before_1_2_are_refused(void **state)
{
    static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
    struct world *w = *state;
    struct proxy p;
    start(w, &p, "require");
    for (size_t at = 0; at < 4; at++) {
        struct raw *r = secured(&p, NULL, versions[at]);
        if (versions[at] >= TLS1_2_VERSION) assert_true(raw_login(r, "postgres"));
        raw_close(r);
    }
    assert_true(proxy_stop(w->kit, &p));
}

/* CVE-2009-3555, CVE-2011-1473. */
static void renegotiation_is_refused_CVE_2011_1473(void **state)
{
    struct world *w = *state;
    struct proxy p;
    start(w, &p, "require");
    struct raw *r = secured(&p, NULL, TLS1_2_VERSION);
    assert_true(raw_login(r, "postgres"));
    SSL_renegotiate(r->ssl);
    SSL_do_handshake(r->ssl);
    raw_query(r, "select 1");
    const char *answer = raw_answer(r);
    if (strcmp(answer, "T D C ZI") != 0 && strcmp(answer, "end") != 0) fail_msg("%s", answer);
    raw_close(r);
    assert_true(enters(w, &p, "postgres", "require", NULL));
    assert_true(proxy_stop(w->kit, &p));
}

static void direct_tls_needs_its_alpn(void **state)
{
    static const char *const wrong[] = { NULL, "http/1.1", "postgresql2", "p" };
    struct world *w = *state;
    struct proxy p;
    start(w, &p, "require");
    struct raw *r = raw_open(p.port, NULL);
    assert_true(raw_secure(r, "postgresql", NULL));
    assert_true(raw_login(r, "postgres"));
    raw_query(r, "select 1");
    assert_string_equal(raw_answer(r), "T D C ZI");
    raw_close(r);
    for (size_t at = 0; at < 4; at++) {
        r = raw_open(p.port, NULL);
        bool shaken = raw_secure(r, wrong[at], NULL);
        if (shaken) assert_false(raw_login(r, "postgres"));
        raw_close(r);
    }
    /* The ClientHello a byte at a time is still one: the first byte decides. */
    r = raw_open(p.port, NULL);
    raw_send(r, "\x16", 1);
    kit_sleep_ms(50);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
    /* And after a request that was answered N it is an attempt to hide something. */
    p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, &p, &(struct before){ .server_port = w->pg.port }));
    r = raw_open(p.port, NULL);
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'N');
    assert_false(raw_secure(r, "postgresql", NULL));
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- reload --------------------------------------------------------------------------------- */

static long serial_of(SSL *ssl)
{
    X509 *x = SSL_get1_peer_certificate(ssl);
    long hash = (long)X509_subject_name_hash(x);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    for (int at = 0; at < serial->length; at++) hash = hash * 31 + serial->data[at];
    X509_free(x);
    return hash;
}

static void certificates_are_read_again(void **state)
{
    struct world *w = *state;
    struct proxy p;
    char tls[600];
    start(w, &p, "require");
    struct before same = { .server_port = w->pg.port,
                           .users = users,
                           .listen_tls = listen_tls(w, "require", tls) };
    struct raw *before = secured(&p, NULL, 0);
    assert_true(raw_login(before, "postgres"));
    raw_query(before, "begin");
    assert_string_equal(raw_answer(before), "C ZT");

    assert_true(shell(w, "cp rsa.crt proxy.crt && cp rsa.key proxy.key"));
    before_reload(w->kit, &p, &same);
    assert_true(before_log_counts(w->kit, &p, "config.reloaded", 1));
    struct raw *after = secured(&p, NULL, 0);
    assert_true(raw_login(after, "postgres"));
    assert_true(serial_of(before->ssl) != serial_of(after->ssl));
    raw_query(before, "commit");
    assert_string_equal(raw_answer(before), "C ZI");

    /* A key that does not fit changes nothing, and the log says what is wrong. */
    assert_true(shell(w, "cp server.key proxy.key"));
    before_reload(w->kit, &p, &same);
    assert_true(before_log_counts(w->kit, &p, "config.not_reloaded", 1));
    assert_true(proxy_log_has(w->kit, &p, "proxy.key", 0) ||
                proxy_log_has(w->kit, &p, "proxy.crt", 0));
    struct raw *still = secured(&p, NULL, 0);
    assert_true(raw_login(still, "postgres"));
    assert_true(serial_of(still->ssl) == serial_of(after->ssl));

    /* Nor does one that is not there. */
    assert_true(shell(w, "rm proxy.key"));
    before_reload(w->kit, &p, &same);
    assert_true(before_log_counts(w->kit, &p, "config.not_reloaded", 2));
    raw_query(still, "select 1");
    assert_string_equal(raw_answer(still), "T D C ZI");
    assert_true(enters(w, &p, "postgres", "require", NULL));
    assert_true(shell(w, "cp server.key proxy.key; cp server.crt proxy.crt; chmod 644 proxy.*"));
    raw_close(before);
    raw_close(after);
    raw_close(still);
    assert_true(proxy_stop(w->kit, &p));
}

static bool resumes(struct proxy *p, SSL_SESSION **session, int version)
{
    struct raw *r = secured(p, *session, version);
    assert_true(raw_login(r, "postgres"));
    bool resumed = SSL_session_reused(r->ssl) == 1;
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(r->ssl);
    /* Who does not say goodbye has a session that is not to be used again. */
    raw_say(r, 'X', NULL, 0);
    SSL_shutdown(r->ssl);
    raw_close(r);
    return resumed;
}

static void sessions_resume_also_after_a_reload(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct world *w = *state;
    struct proxy p;
    char tls[600];
    start(w, &p, "require");
    struct before same = { .server_port = w->pg.port,
                           .users = users,
                           .listen_tls = listen_tls(w, "require", tls) };
    for (int at = 0; at < 2; at++) {
        SSL_SESSION *session = NULL;
        assert_false(resumes(&p, &session, versions[at]));
        assert_true(resumes(&p, &session, versions[at]));
        assert_true(resumes(&p, &session, versions[at]));
        before_reload(w->kit, &p, &same);
        assert_true(before_log_counts(w->kit, &p, "config.reloaded", at + 1));
        assert_true(resumes(&p, &session, versions[at]));
        SSL_SESSION_free(session);
    }
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- servers -------------------------------------------------------------------------------- */

/* Connects through a proxy whose cluster has `tls`: yes by TLS, no, or plain. */
static char reaches(struct world *w, int port, const char *tls, const char *log_says)
{
    struct proxy p = { 0 };
    assert_true(
        before_start(w->kit, &p,
                     &(struct before){ .server_port = port,
                                       .cluster_tls = tls,
                                       .pool = "{ \"size\": 2, \"wait_timeout\": \"400ms\" }" }));
    PGconn *c = connect_to(p.port, "postgres", "");
    char result = 'n';
    if (PQstatus(c) == CONNECTION_OK)
        result =
            before_says(c, "select ssl from pg_stat_ssl where pid = pg_backend_pid()")[0] == 't'
                ? 'y'
                : 'p';
    else if (!strstr(PQerrorMessage(c), "FATAL"))
        fail_msg("no error, but: %s", PQerrorMessage(c));
    PQfinish(c);
    if (log_says && !proxy_log_has(w->kit, &p, log_says, 0)) {
        kit_print_log(w->kit, p.log_name, stderr);
        fail_msg("the log does not say \"%s\"", log_says);
    }
    assert_true(proxy_stop(w->kit, &p));
    return result;
}

static void server_has(struct world *w, const char *certificate)
{
    char command[600];
    snprintf(command, sizeof command, "cat %s.crt >%s/server.crt; cat %s.key >%s/server.key",
             certificate, w->pg.dir, certificate, w->pg.dir);
    assert_true(shell(w, command));
    assert_true(postgres_run(&w->pg, "select pg_reload_conf()"));
    kit_sleep_ms(300); /* the postmaster reads them when it gets to it */
}

static void servers_are_used_as_the_mode_says(void **state)
{
    struct world *w = *state;
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"disable\" }", NULL), 'p');
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"allow\" }", NULL), 'p');
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"prefer\" }", NULL), 'y');
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"require\" }", NULL), 'y');
    assert_int_equal(
        reaches(w, w->pg.port, "{ \"mode\": \"verify-ca\", \"ca\": \"@dir@/certs/ca.crt\" }", NULL),
        'y');
    assert_int_equal(reaches(w, w->pg.port,
                             "{ \"mode\": \"verify-full\", \"ca\": \"@dir@/certs/ca.crt\" }", NULL),
                     'y');
    assert_int_equal(reaches(w, w->plain_pg.port, "{ \"mode\": \"prefer\" }", NULL), 'p');
    assert_int_equal(
        reaches(w, w->plain_pg.port, "{ \"mode\": \"require\" }", "clusters.pg.tls.mode"), 'n');
    assert_int_equal(reaches(w, w->plain_pg.port,
                             "{ \"mode\": \"verify-full\", \"ca\": \"@dir@/certs/ca.crt\" }",
                             "clusters.pg.tls.mode"),
                     'n');
}

static void wrong_servers_are_refused_and_the_log_says_what_to_do(void **state)
{
    struct world *w = *state;
    static const char full[] = "{ \"mode\": \"verify-full\", \"ca\": \"@dir@/certs/ca.crt\" }";
    static const char ca[] = "{ \"mode\": \"verify-ca\", \"ca\": \"@dir@/certs/ca.crt\" }";
    /* Amazon's roots, which did not sign this. */
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"verify-full\" }", "clusters.pg.ca"),
                     'n');
    server_has(w, "stranger");
    assert_int_equal(reaches(w, w->pg.port, full, "clusters.pg.ca"), 'n');
    assert_int_equal(reaches(w, w->pg.port, ca, "clusters.pg.ca"), 'n');
    assert_int_equal(reaches(w, w->pg.port, "{ \"mode\": \"require\" }", NULL), 'y');
    server_has(w, "othername");
    assert_int_equal(reaches(w, w->pg.port, full, "somewhere-else.example"), 'n');
    assert_int_equal(reaches(w, w->pg.port, ca, NULL), 'y');
    server_has(w, "expired");
    assert_int_equal(reaches(w, w->pg.port, full, "expired"), 'n');
    assert_int_equal(reaches(w, w->pg.port, ca, "expired"), 'n');
    server_has(w, "server");
    assert_int_equal(reaches(w, w->pg.port, full, NULL), 'y');
}

static void a_name_to_verify_can_be_given(void **state)
{
    struct world *w = *state;
    server_has(w, "othername");
    assert_int_equal(reaches(w, w->pg.port,
                             "{ \"mode\": \"verify-full\", \"ca\": \"@dir@/certs/ca.crt\", "
                             "\"server_name\": \"somewhere-else.example\" }",
                             NULL),
                     'y');
    server_has(w, "server");
    assert_int_equal(reaches(w, w->pg.port,
                             "{ \"mode\": \"verify-full\", \"ca\": \"@dir@/certs/ca.crt\", "
                             "\"server_name\": \"somewhere-else.example\" }",
                             NULL),
                     'n');
}

/* A stale error of one connection must not end another on the same thread (ProxySQL#5792). */
static void failed_handshakes_disturb_nobody(void **state)
{
    struct world *w = *state;
    struct proxy p;
    start(w, &p, "require");
    struct raw *good = secured(&p, NULL, 0);
    assert_true(raw_login(good, "postgres"));
    for (int at = 0; at < 60; at++) {
        struct raw *bad = raw_open(p.port, NULL);
        if (at % 3 == 0) {
            raw_send(bad, "\x16\x03\x01\x00\x05hello", 10);
        } else {
            raw_request(bad, RAW_SSL_REQUEST);
            assert_int_equal(raw_byte(bad), 'S');
            bad->max_version = at % 3 == 1 ? TLS1_1_VERSION : 0;
            char mallory[300];
            snprintf(mallory, sizeof mallory, "%s/mallory", w->certs);
            raw_secure(bad, NULL, mallory);
        }
        raw_close(bad);
        raw_query(good, "select 1");
        assert_string_equal(raw_answer(good), "T D C ZI");
    }
    raw_close(good);
    assert_true(proxy_stop(w->kit, &p));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_get_in_as_the_mode_says),
        cmocka_unit_test(versions_before_1_2_are_refused),
        cmocka_unit_test(renegotiation_is_refused_CVE_2011_1473),
        cmocka_unit_test(direct_tls_needs_its_alpn),
        cmocka_unit_test(certificates_are_read_again),
        cmocka_unit_test(sessions_resume_also_after_a_reload),
        cmocka_unit_test(servers_are_used_as_the_mode_says),
        cmocka_unit_test(wrong_servers_are_refused_and_the_log_says_what_to_do),
        cmocka_unit_test(a_name_to_verify_can_be_given),
        cmocka_unit_test(failed_handshakes_disturb_nobody),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
