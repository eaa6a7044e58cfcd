/* io/tls_context: what is refused at load time, resumption across reloads, and peers that
 * misbehave after the handshake. The peer is OpenSSL itself, so that it can. */
#include "unit/certificates.h"
#include "unit/streams.h"

#include "proxy/io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* ---- loading ---- */

static void expect_error_with(const struct tls_server_options *options, const char *message,
                              const char *hint)
{
    struct err err = { 0 };
    assert_null(tls_context_server(options, NULL, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    if (!strstr(err.message, message)) fail_msg("%s", err.message);
    if (!strstr(err.hint, hint)) fail_msg("%s", err.hint);
}

static void expect_error(struct tls_source certificate, struct tls_source key, const char *message,
                         const char *hint)
{
    struct tls_server_options options = { .certificate = certificate, .key = key };
    expect_error_with(&options, message, hint);
}

static void errors_name_the_file(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    struct certificate *other = leaf_new(ca, "other", NULL);
    struct certificate *old = certificate_new(&(struct certificate_options){
        .common_name = "old", .issuer = ca, .from_s = -7200, .until_s = -3600 });
    struct certificate *young = certificate_new(&(struct certificate_options){
        .common_name = "young", .issuer = ca, .from_s = 3600, .until_s = 7200 });
    struct tls_source crt = pem_source("a.crt", own->pem), key = pem_source("a.key", own->key_pem);
    struct tls_source missing = { .name = "/nonexistent/x.crt" };
    struct tls_source directory = { .name = "/tmp" };

    expect_error(missing, key, "cannot open /nonexistent/x.crt: No such", "");
    expect_error(crt, missing, "cannot open /nonexistent/x.crt", "");
    expect_error(directory, key, "cannot read /tmp", "");
    expect_error(key, key, "a.key has no certificate", "BEGIN CERT");
    expect_error(crt, crt, "a.crt has no private key", "pkey");
    expect_error(crt, pem_source("b.key", other->key_pem),
                 "key b.key does not belong to certificate a.crt", "");
    expect_error(pem_source("old.crt", old->pem), pem_source("old.key", old->key_pem),
                 "certificate old.crt has expired on 20", "Renew");
    expect_error(pem_source("young.crt", young->pem), pem_source("young.key", young->key_pem),
                 "certificate young.crt is not valid before 20", "clock");
    struct tls_server_options options = { .certificate = crt, .key = key, .client_ca = missing };
    expect_error_with(&options, "cannot open /nonexistent/x.crt", "");
    options = (struct tls_server_options){ .certificate = crt, .key = key, .ciphers = "NO-SUCH" };
    expect_error_with(&options, "NO-SUCH", "openssl");

    /* Half a certificate behind a whole one is not overlooked. */
    char damaged[9000];
    snprintf(damaged, sizeof damaged, "%s%.200s\n-----END CERTIFICATE-----\n", own->pem, ca->pem);
    expect_error(pem_source("d.crt", damaged), key, "d.crt has no certificate in PEM, or a damaged",
                 "");

    /* A key with a password is an error, not a question on the terminal. */
    char locked[4096] = "";
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, own->key, EVP_aes_128_cbc(), "x", 1, NULL, NULL);
    assert_true(BIO_read(bio, locked, sizeof locked - 1) > 0);
    BIO_free(bio);
    expect_error(crt, pem_source("l.key", locked), "encrypted", "pkey");

    struct certificate *all[] = { ca, own, other, old, young };
    for (int i = 0; i < 5; i++) certificate_free(all[i]);
}

static void files_chains_and_dates(void **state)
{
    (void)state;
    struct certificate *root = ca_new("The root");
    struct certificate *middle = certificate_new(
        &(struct certificate_options){ .common_name = "middle", .issuer = root, .is_ca = true });
    struct certificate *own = leaf_new(middle, "own", "DNS:own");
    char path[] = "/tmp/sluice-chain-XXXXXX";
    int fd = mkstemp(path);
    assert_true(write(fd, own->pem, strlen(own->pem)) > 0);
    assert_true(write(fd, middle->pem, strlen(middle->pem)) > 0);
    close(fd);
    struct err err;
    struct tls_server_options options = { .certificate = { .name = path },
                                          .key = pem_source("own.key", own->key_pem) };
    struct tls_context *server = tls_context_server(&options, NULL, &err);
    assert_non_null(server);
    unlink(path);
    assert_in_range(tls_context_not_after(server) - time(NULL), 86390, 86400);

    /* The chain is sent: the client knows the root only. */
    struct world w;
    struct side a, b;
    world_open(&w);
    sides_open(&w, &a, &b);
    struct tls_context *client = client_context(root, TLS_VERIFY_FULL, NULL, NULL);
    assert_true(stream_secure_server(&a.s, server, slice_of(NULL, 0), &err));
    assert_true(stream_secure_client(&b.s, client, "own", &err));
    tls_context_unref(server);
    tls_context_unref(client);
    UNTIL(&w, b.secured);
    assert_false(b.failed);
    side_close(&w, &a);
    side_close(&w, &b);
    world_close(&w);
    certificate_free(root);
    certificate_free(middle);
    certificate_free(own);
}

static void the_bundled_roots_load(void **state)
{
    (void)state;
    tls_context_unref(client_context(NULL, TLS_VERIFY_FULL, NULL, NULL));
    struct err err;
    struct tls_client_options options = { .system_ca = true, .verify = TLS_VERIFY_FULL };
    struct tls_context *context = tls_context_client(&options, &err);
    assert_non_null(context);
    tls_context_unref(tls_context_ref(context));
    tls_context_unref(context);
}

/* ---- a client that is OpenSSL itself ---- */

struct raw {
    SSL_CTX *context;
    SSL *ssl;
    SSL_SESSION *session; /* the last one that the server offered */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct raw *raw = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(raw->session);
    raw->session = session;
    return 1;
}

static void raw_init(struct raw *raw, int version, const struct certificate *own)
{
    *raw = (struct raw){ .context = SSL_CTX_new(TLS_client_method()) };
    SSL_CTX_set_app_data(raw->context, raw);
    SSL_CTX_set_max_proto_version(raw->context, version);
    SSL_CTX_set_session_cache_mode(raw->context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(raw->context, on_session);
    if (!own) return;
    SSL_CTX_use_certificate(raw->context, own->x509);
    SSL_CTX_use_PrivateKey(raw->context, own->key);
}

static void raw_fini(struct raw *raw)
{
    SSL_SESSION_free(raw->session);
    SSL_CTX_free(raw->context);
}

/* Connects to a stream on `server`'s context; echoes one word, so that all tickets have come. */
static void raw_connect(struct raw *raw, struct world *w, struct side *server,
                        struct tls_context *context)
{
    int fds[2], n = -1;
    char reply[16];
    struct err err;
    socket_pair(fds, true);
    side_open(server, w, fds[0]);
    assert_true(stream_secure_server(&server->s, context, slice_of(NULL, 0), &err));
    raw->ssl = SSL_new(raw->context);
    SSL_set_fd(raw->ssl, fds[1]);
    if (raw->session) SSL_set_session(raw->ssl, raw->session);
    while (SSL_connect(raw->ssl) != 1) {
        ERR_clear_error();
        assert_false(server->failed);
        turn(w, 1);
    }
    assert_true(SSL_write(raw->ssl, "hello", 5) == 5);
    UNTIL(w, server->got.len == 5);
    assert_true(send_text(server, "reply"));
    turn(w, 1);
    while (n <= 0) n = SSL_read(raw->ssl, reply, sizeof reply);
    assert_memory_equal(reply, "reply", 5);
}

static void raw_disconnect(struct raw *raw, struct world *w, struct side *server)
{
    int fd = SSL_get_fd(raw->ssl);
    SSL_shutdown(raw->ssl);
    SSL_free(raw->ssl);
    close(fd);
    side_close(w, server);
}

/* One more connection of the same client; did it resume? */
static bool resumes(struct raw *raw, struct world *w, struct tls_context *context)
{
    struct side server;
    raw_connect(raw, w, &server, context);
    bool resumed = SSL_session_reused(raw->ssl);
    assert_int_equal(resumed, tls_is_resumed(stream_tls(&server.s)));
    raw_disconnect(raw, w, &server);
    return resumed;
}

static struct tls_context *reload(struct tls_context *old, const struct certificate *own,
                                  const struct certificate *client_ca)
{
    struct err err;
    struct tls_server_options options = { .certificate = pem_source("a.crt", own->pem),
                                          .key = pem_source("a.key", own->key_pem) };
    if (client_ca) options.client_ca = pem_source("ca.crt", client_ca->pem);
    struct tls_context *context = tls_context_server(&options, old, &err);
    assert_non_null(context);
    tls_context_unref(old);
    return context;
}

static void sessions_resume_across_reloads(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    struct certificate *next = leaf_new(ca, "own", NULL), *ana = leaf_new(ca, "ana", NULL);
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct raw raw;
        world_open(&w);
        raw_init(&raw, versions[i], NULL);
        struct tls_context *context = server_context(own, NULL, TLS_1_2);
        assert_false(resumes(&raw, &w, context));
        assert_true(resumes(&raw, &w, context));
        context = reload(context, own, NULL);
        assert_true(resumes(&raw, &w, context));
        context = reload(context, next, NULL); /* another certificate */
        assert_false(resumes(&raw, &w, context));
        context = reload(context, next, ca); /* other rules for clients */
        assert_false(resumes(&raw, &w, context));
        assert_true(resumes(&raw, &w, context));
        raw_fini(&raw);

        /* A certificate is looked at every time. */
        raw_init(&raw, versions[i], ana);
        assert_false(resumes(&raw, &w, context));
        assert_false(resumes(&raw, &w, context));
        raw_fini(&raw);
        tls_context_unref(context);
        world_close(&w);
    }
    struct certificate *all[] = { ca, own, next, ana };
    for (int i = 0; i < 4; i++) certificate_free(all[i]);
}

static void count_tickets(int sent, int version, int type, const void *at, size_t len, SSL *ssl,
                          void *count)
{
    (void)version, (void)ssl, (void)len;
    if (!sent && type == SSL3_RT_HANDSHAKE && *(const uint8_t *)at == SSL3_MT_NEWSESSION_TICKET)
        ++*(int *)count;
    if (!sent && type == SSL3_RT_HANDSHAKE && *(const uint8_t *)at == SSL3_MT_CERTIFICATE_REQUEST)
        *(int *)count += 100;
}

/* The second default ticket and a list of all CAs are what others spend their handshakes on. */
static void one_ticket_and_no_certificate_request(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    struct world w;
    struct raw raw;
    int count = 0;
    world_open(&w);
    raw_init(&raw, TLS1_3_VERSION, NULL);
    SSL_CTX_set_msg_callback(raw.context, count_tickets);
    SSL_CTX_set_msg_callback_arg(raw.context, &count);
    struct tls_context *context = server_context(own, NULL, TLS_1_2);
    resumes(&raw, &w, context);
    assert_int_equal(count, 1);
    context = reload(context, own, ca);
    resumes(&raw, &w, context);
    assert_int_equal(count, 102);
    tls_context_unref(context);
    raw_fini(&raw);
    world_close(&w);
    certificate_free(ca);
    certificate_free(own);
}

/* CVE-2011-1473: renegotiation is refused, the connection goes on or ends, the server is well. */
static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    struct world w;
    struct raw raw;
    struct side server;
    int client_hellos = 0;
    world_open(&w);
    raw_init(&raw, TLS1_2_VERSION, NULL);
    struct tls_context *context = server_context(own, NULL, TLS_1_2);
    raw_connect(&raw, &w, &server, context);
    SSL_renegotiate(raw.ssl);
    for (int i = 0; i < 10; i++) {
        client_hellos += SSL_do_handshake(raw.ssl) == 1;
        ERR_clear_error();
        turn(&w, 2);
    }
    assert_int_equal(client_hellos, 0);
    assert_false(SSL_get_state(raw.ssl) == TLS_ST_OK && SSL_num_renegotiations(raw.ssl) > 1);
    assert_int_equal(server.deliveries, 1);
    raw_disconnect(&raw, &w, &server);
    tls_context_unref(context);
    raw_fini(&raw);
    world_close(&w);
    certificate_free(ca);
    certificate_free(own);
}

static void key_update(struct raw *raw)
{
    assert_int_equal(SSL_key_update(raw->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(raw->ssl), 1);
}

static void key_updates_are_fine_but_not_a_storm(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    static const char text[100000];
    struct world w;
    struct raw raw;
    struct side server;
    world_open(&w);
    raw_init(&raw, TLS1_3_VERSION, NULL);
    struct tls_context *context = server_context(own, NULL, TLS_1_2);
    raw_connect(&raw, &w, &server, context);

    /* With data in between they are welcome, and answered. */
    for (int i = 0; i < 40; i++) {
        uint32_t before = server.got.len;
        size_t sent = 0;
        key_update(&raw);
        while (server.got.len < before + sizeof text) {
            int n = SSL_write(raw.ssl, text + sent, (int)(sizeof text - sent));
            if (n > 0) sent += (size_t)n;
            turn(&w, 1);
        }
    }
    assert_true(send_text(&server, "well"));
    turn(&w, 1);
    char reply[8];
    int n = -1;
    while (n <= 0) n = SSL_read(raw.ssl, reply, sizeof reply);
    assert_int_equal(server.ended, 0);

    /* Without, they are an attack. */
    for (int i = 0; i < 20; i++) key_update(&raw);
    UNTIL(&w, server.ended);
    assert_int_equal(server.end, STREAM_ERROR);
    assert_non_null(strstr(server.err.message, "changes its TLS keys"));
    raw_disconnect(&raw, &w, &server);
    tls_context_unref(context);
    raw_fini(&raw);
    world_close(&w);
    certificate_free(ca);
    certificate_free(own);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    struct certificate *ca = ca_new("The CA"), *own = leaf_new(ca, "own", NULL);
    for (int least = TLS_1_2; least <= TLS_1_3; least++) {
        struct world w;
        struct side server;
        struct raw raw;
        struct err err;
        int fds[2];
        world_open(&w);
        raw_init(&raw, least == TLS_1_2 ? TLS1_1_VERSION : TLS1_2_VERSION, NULL);
        SSL_CTX_set_security_level(raw.context, 0);
        socket_pair(fds, true);
        side_open(&server, &w, fds[0]);
        struct tls_context *context = server_context(own, NULL, (enum tls_version)least);
        assert_true(stream_secure_server(&server.s, context, slice_of(NULL, 0), &err));
        tls_context_unref(context);
        raw.ssl = SSL_new(raw.context);
        SSL_set_fd(raw.ssl, fds[1]);
        while (!server.secured) {
            SSL_connect(raw.ssl);
            ERR_clear_error();
            turn(&w, 1);
        }
        assert_true(server.failed);
        assert_non_null(strstr(server.err.message, "no TLS version that we allow"));
        assert_non_null(strstr(server.err.hint, "min_version"));
        raw_disconnect(&raw, &w, &server);
        raw_fini(&raw);
        world_close(&w);
    }
    certificate_free(ca);
    certificate_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_name_the_file),
        cmocka_unit_test(files_chains_and_dates),
        cmocka_unit_test(the_bundled_roots_load),
        cmocka_unit_test(sessions_resume_across_reloads),
        cmocka_unit_test(one_ticket_and_no_certificate_request),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(key_updates_are_fine_but_not_a_storm),
        cmocka_unit_test(old_versions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
