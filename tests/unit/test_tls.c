/* io/stream over TLS, both sides ours: handshakes, names, bytes in any cut, ends, moving. */
#include "unit/certificates.h"
#include "unit/streams.h"

#include "proxy/io/tls.h"

struct pair {
    struct world w;
    struct side server, client;
};

static const struct slice nothing = { NULL, 0 };

/* A handshake between two contexts (which it consumes) up to its end, well or not. */
static void pair_open(struct pair *p, struct tls_context *server, struct tls_context *client,
                      const char *name)
{
    struct err err;
    world_open(&p->w);
    sides_open(&p->w, &p->server, &p->client);
    assert_true(stream_secure_server(&p->server.s, server, nothing, &err));
    assert_true(stream_secure_client(&p->client.s, client, name, &err));
    tls_context_unref(server);
    tls_context_unref(client);
    assert_int_equal(p->server.secured + p->client.secured, 0);
    assert_false(send_text(&p->client, "not yet"));
    UNTIL(&p->w, p->client.secured && (p->server.secured || p->client.failed));
}

static void pair_close(struct pair *p)
{
    side_close(&p->w, &p->client);
    side_close(&p->w, &p->server);
    world_close(&p->w);
}

/* With a CA and a server certificate made for it. */
struct makings {
    struct certificate *ca, *own;
};

static int makings_new(void **state)
{
    struct makings *m = calloc(1, sizeof *m);
    m->ca = ca_new("The CA");
    m->own = leaf_new(m->ca, "warehouse", "DNS:warehouse.example.com,IP:127.0.0.1,IP:::1");
    *state = m;
    return 0;
}

static int makings_free(void **state)
{
    struct makings *m = *state;
    certificate_free(m->ca);
    certificate_free(m->own);
    free(m);
    return 0;
}

static void echo(struct side *side, const char *at, size_t len)
{
    assert_true(stream_write_slice(&side->s, slice_of(at, len)));
}

static void bytes_go_both_ways(void **state)
{
    struct makings *m = *state;
    struct pair p;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_FULL, NULL, NULL), "warehouse.example.com");
    assert_false(p.client.failed || p.server.failed);
    assert_string_equal(tls_version(stream_tls(&p.server.s)), "TLSv1.3");
    assert_non_null(strstr(tls_cipher(stream_tls(&p.client.s)), "AES"));
    p.server.hook = echo;
    char hi[] = "hi ", there[] = "there";
    struct iovec parts[] = { { hi, 3 }, { hi, 0 }, { there, 5 } };
    assert_true(stream_write(&p.client.s, parts, 3));
    UNTIL(&p.w, p.client.got.len == 8);
    assert_memory_equal(p.client.got.at, "hi there", 8);
    assert_int_equal(p.server.deliveries, 1); /* three parts, one record, one call */
    assert_null(p.server.s.out);
    assert_false(tls_is_resumed(stream_tls(&p.server.s)));
    assert_false(tls_alpn_is_postgresql(stream_tls(&p.server.s)));
    pair_close(&p);
}

/* Any cut into parts, more than a socket takes, both protocol versions. */
static void much_in_any_parts(void **state)
{
    struct makings *m = *state;
    enum { TOTAL = 2 << 20 };
    char *text = pattern_new(TOTAL);
    for (int version = TLS_1_2; version <= TLS_1_3; version++) {
        for (size_t step = 700; step < TOTAL; step = step * 9 + 5) {
            struct pair p;
            struct tls_context *server = server_context(m->own, NULL, (enum tls_version)version);
            pair_open(&p, server, client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
            for (size_t sent = 0; sent < TOTAL;) {
                size_t n = step < TOTAL - sent ? step : TOTAL - sent;
                char *at = text + sent;
                struct iovec parts[3] = { { at, n / 5 }, { at + n / 5, n / 2 }, { 0 } };
                parts[2] = (struct iovec){ at + n / 5 + n / 2, n - n / 5 - n / 2 };
                assert_true(stream_write(&p.server.s, parts, 3));
                sent += n;
                if (stream_is_choked(&p.server.s)) UNTIL(&p.w, !stream_is_choked(&p.server.s));
            }
            UNTIL(&p.w, p.client.got.len == TOTAL);
            assert_memory_equal(p.client.got.at, text, TOTAL);
            pair_close(&p);
        }
    }
    free(text);
}

/* All records of one recv are delivered together. */
static void few_deliveries(void **state)
{
    struct makings *m = *state;
    static const char text[60000];
    struct pair p;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    turn(&p.w, 3);
    for (int i = 0; i < 60; i++)
        assert_true(stream_write_slice(&p.client.s, slice_of(text + i * 1000, 1000)));
    UNTIL(&p.w, p.server.got.len == 60000);
    assert_in_range(p.server.deliveries, 1, 2);
    pair_close(&p);
}

/* ---- bytes in any cut: the client is a tls without a socket ---- */

struct bare {
    struct tls *tls;
    struct buf out, in;
    int fd;
};

static void bare_open(struct bare *b, int fd, struct tls_context *context, const char *name)
{
    struct err err;
    *b = (struct bare){ .fd = fd, .tls = tls_new_client(context, name, &err) };
    assert_non_null(b->tls);
    tls_context_unref(context);
}

static void bare_close(struct bare *b)
{
    tls_free(b->tls);
    buf_fini(&b->in);
    buf_fini(&b->out);
    close(b->fd);
}

static void bare_receive(struct bare *b)
{
    char bytes[20000];
    ssize_t n = recv(b->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) buf_add(&b->in, bytes, (size_t)n);
}

/* Sends what there is in pieces of `piece` bytes, each in a turn of its own. */
static void bare_send(struct bare *b, struct world *w, size_t piece)
{
    for (size_t at = 0; at < b->out.len; at += piece) {
        size_t n = piece < b->out.len - at ? piece : b->out.len - at;
        fd_send(b->fd, b->out.at + at, n);
        uv_run(&w->uv, UV_RUN_NOWAIT);
    }
    b->out.len = 0;
}

/* One round of the handshake; true when complete. */
static bool bare_shake(struct bare *b)
{
    struct err err;
    bare_receive(b);
    struct tls_io io = { buf_slice(&b->in), &b->out };
    enum tls_status status = tls_handshake(b->tls, &io, &err);
    if (status == TLS_FAILED) fail_msg("%s", err.message);
    buf_drop(&b->in, b->in.len - io.in.len);
    return status == TLS_OK;
}

static void bare_write(struct bare *b, const char *at, size_t len)
{
    struct tls_io io = { .out = &b->out };
    assert_true(tls_write(b->tls, &io, at, len));
}

/* Decrypts what came into `text`. */
static size_t bare_read(struct bare *b, char *text, size_t cap)
{
    struct err err;
    size_t len;
    bare_receive(b);
    struct tls_io io = { buf_slice(&b->in), NULL };
    tls_read(b->tls, &io, text, cap, &len, &err);
    b->in.len = 0;
    return len;
}

static void every_cut_of_the_bytes(void **state)
{
    struct makings *m = *state;
    char *text = pattern_new(40000), *reply = malloc(50000);
    for (size_t piece = 1; piece < 30000; piece = piece * 2 + (piece > 3)) {
        struct world w;
        struct side server;
        struct bare client;
        struct err err;
        int fds[2];
        size_t got = 0, total = piece < 50 ? 2000 : 40000;
        world_open(&w);
        socket_pair(fds, false);
        side_open(&server, &w, fds[0]);
        server.hook = echo;
        struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
        assert_true(stream_secure_server(&server.s, context, nothing, &err));
        tls_context_unref(context);
        bare_open(&client, fds[1], client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
        while (!bare_shake(&client)) {
            bare_send(&client, &w, piece);
            turn(&w, 1);
        }
        bare_write(&client, text, 1); /* a record of one byte, in the same pieces */
        bare_write(&client, text + 1, total - 1);
        bare_send(&client, &w, piece);
        UNTIL(&w, server.got.len == total);
        assert_int_equal(server.secured, 1);
        assert_memory_equal(server.got.at, text, total);
        while (got < total) {
            got += bare_read(&client, reply + got, 50000 - got);
            turn(&w, 1);
        }
        assert_memory_equal(reply, text, total);
        side_close(&w, &server);
        bare_close(&client);
        world_close(&w);
    }
    free(text);
    free(reply);
}

static void every_record_size(void **state)
{
    struct makings *m = *state;
    static const char text[16384];
    struct pair p;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    for (uint32_t size = 1, total = 0; size <= 16384; size += size < 300 ? 1 : 397) {
        assert_true(stream_write_slice(&p.client.s, slice_of(text, size)));
        total += size;
        UNTIL(&p.w, p.server.got.len == total);
    }
    pair_close(&p);
}

/* ---- whom we trust ---- */

static void expect_failure(struct certificate *own, struct certificate *ca, enum tls_verify verify,
                           const char *name, const char *message, const char *hint)
{
    struct pair p;
    pair_open(&p, server_context(own, NULL, TLS_1_2), client_context(ca, verify, NULL, NULL), name);
    assert_true(p.client.failed);
    if (!strstr(p.client.err.message, message)) fail_msg("%s", p.client.err.message);
    if (!strstr(p.client.err.hint, hint)) fail_msg("%s", p.client.err.hint);
    assert_non_null(strstr(p.client.err.message, "cluster warehouse"));
    /* The server hears of it as well: before or after its own handshake was through. */
    UNTIL(&p.w, p.server.failed || p.server.ended);
    assert_int_equal(p.client.ended, 0);
    assert_false(send_text(&p.client, "x"));
    pair_close(&p);
}

static void expect_success(struct certificate *own, struct certificate *ca, enum tls_verify verify,
                           const char *name)
{
    struct pair p;
    pair_open(&p, server_context(own, NULL, TLS_1_2), client_context(ca, verify, NULL, NULL), name);
    if (p.client.failed) fail_msg("%s: %s", name, p.client.err.message);
    assert_int_equal(tls_peer_is_verified(stream_tls(&p.client.s)), verify != TLS_VERIFY_NONE);
    assert_true(tls_peer_not_after(stream_tls(&p.client.s)) > 0);
    pair_close(&p);
}

static void certificates_are_checked(void **state)
{
    struct makings *m = *state;
    struct certificate *other = ca_new("Another CA");
    const char *name = "warehouse.example.com";
    expect_success(m->own, m->ca, TLS_VERIFY_FULL, name);
    expect_success(m->own, m->ca, TLS_VERIFY_FULL, "WAREHOUSE.example.com.");
    expect_success(m->own, m->ca, TLS_VERIFY_FULL, "127.0.0.1");
    expect_success(m->own, m->ca, TLS_VERIFY_FULL, "::1");
    expect_success(m->own, m->ca, TLS_VERIFY_CA, "elsewhere.example.com");
    expect_success(m->own, other, TLS_VERIFY_NONE, "elsewhere.example.com");
    expect_failure(m->own, other, TLS_VERIFY_CA, name, "not signed by a known CA",
                   "clusters.warehouse.ca");
    expect_failure(m->own, NULL, TLS_VERIFY_FULL, name, "not signed by a known CA",
                   "clusters.warehouse.ca"); /* the bundled roots */
    expect_failure(m->own, m->ca, TLS_VERIFY_FULL, "elsewhere.example.com", "for another name",
                   "verify-ca");
    expect_failure(m->own, m->ca, TLS_VERIFY_FULL, "127.0.0.2", "for another name", "verify-ca");
    expect_failure(m->own, m->ca, TLS_VERIFY_FULL, "arehouse.example.com", "for another name", "");
    certificate_free(other);
}

/* CVE-2009-4034 and its like: a NUL in a name ends nothing. */
static void a_nul_in_a_name(void **state)
{
    struct makings *m = *state;
    static const char evil[] = "warehouse.example.com\0.evil.org";
    struct certificate *own = certificate_new(&(struct certificate_options){
        .common_name = "x", .raw_dns = { evil, sizeof evil - 1 }, .issuer = m->ca });
    expect_failure(own, m->ca, TLS_VERIFY_FULL, "warehouse.example.com", "for another name", "");
    certificate_free(own);
    own = certificate_new(&(struct certificate_options){
        .common_name = evil, .common_name_bytes = sizeof evil - 1, .issuer = m->ca });
    expect_failure(own, m->ca, TLS_VERIFY_FULL, "warehouse.example.com", "for another name", "");
    certificate_free(own);
}

static void verify_full_needs_a_name(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side a, b;
    struct err err;
    world_open(&w);
    sides_open(&w, &a, &b);
    struct tls_context *context = client_context(m->ca, TLS_VERIFY_FULL, NULL, NULL);
    assert_false(stream_secure_client(&a.s, context, NULL, &err));
    assert_false(stream_secure_client(&a.s, context, "", &err));
    assert_non_null(strstr(err.message, "cluster warehouse has no name"));
    tls_context_unref(context);
    assert_true(send_text(&a, "still plain"));
    UNTIL(&w, b.got.len == 11);
    side_close(&w, &a);
    side_close(&w, &b);
    world_close(&w);
}

/* ---- who the client is ---- */

static void client_certificates(void **state)
{
    struct makings *m = *state;
    struct pair p;
    struct tls_name names[4];
    struct certificate *ana = leaf_new(m->ca, "ana", "email:ana@example.com,DNS:ana,IP:10.0.0.1");
    pair_open(&p, server_context(m->own, m->ca, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, ana, NULL), NULL);
    UNTIL(&p.w, p.server.secured);
    struct tls *tls = stream_tls(&p.server.s);
    assert_true(tls_peer_is_verified(tls));
    assert_true(slice_is(tls_peer_common_name(tls), "ana"));
    assert_true(slice_is(tls_peer_common_name(tls), "ana"));
    assert_int_equal(tls_peer_names(tls, names, 4), 2);
    assert_int_equal(names[0].kind, TLS_NAME_EMAIL);
    assert_true(slice_is(names[0].text, "ana@example.com"));
    assert_int_equal(names[1].kind, TLS_NAME_DNS);
    assert_int_equal(tls_peer_names(tls, names, 1), 1);
    pair_close(&p);

    /* None is shown: in order, but nobody is verified. */
    pair_open(&p, server_context(m->own, m->ca, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    UNTIL(&p.w, p.server.secured);
    assert_false(p.server.failed);
    assert_false(tls_peer_is_verified(stream_tls(&p.server.s)));
    assert_int_equal(tls_peer_common_name(stream_tls(&p.server.s)).len, 0);
    assert_int_equal(tls_peer_names(stream_tls(&p.server.s), names, 4), 0);
    pair_close(&p);

    /* Nobody asks: what would be shown is not even sent. */
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, ana, NULL), NULL);
    UNTIL(&p.w, p.server.secured);
    assert_false(tls_peer_is_verified(stream_tls(&p.server.s)));
    assert_int_equal(tls_peer_not_after(stream_tls(&p.server.s)), 0);
    pair_close(&p);
    certificate_free(ana);
}

static void client_certificates_that_are_no_good(void **state)
{
    struct makings *m = *state;
    struct pair p;
    struct certificate *other = ca_new("Another CA");
    struct certificate *mallory = leaf_new(other, "ana", NULL);
    pair_open(&p, server_context(m->own, m->ca, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, mallory, NULL), NULL);
    UNTIL(&p.w, p.server.secured);
    assert_true(p.server.failed);
    assert_non_null(strstr(p.server.err.message, "client's certificate is not good"));
    assert_non_null(strstr(p.server.err.hint, "client_ca"));
    pair_close(&p);
    certificate_free(mallory);

    /* "ana\0.evil" signed by a careless CA is not ana. */
    struct certificate *nul =
        certificate_new(&(struct certificate_options){ .common_name = "ana\0.evil",
                                                       .common_name_bytes = 9,
                                                       .raw_dns = { "ana\0x", 5 },
                                                       .issuer = m->ca });
    struct tls_name names[2];
    pair_open(&p, server_context(m->own, m->ca, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, nul, NULL), NULL);
    UNTIL(&p.w, p.server.secured);
    assert_true(tls_peer_is_verified(stream_tls(&p.server.s)));
    assert_int_equal(tls_peer_common_name(stream_tls(&p.server.s)).len, 0);
    assert_int_equal(tls_peer_names(stream_tls(&p.server.s), names, 2), 0);
    pair_close(&p);
    certificate_free(nul);
    certificate_free(other);
}

/* Both sides must compute the same; the digest is the certificate's own, never below SHA-256. */
static void channel_binding(void **state)
{
    struct makings *m = *state;
    static const struct {
        enum key_kind ca_kind;
        const char *digest;
        size_t bytes;
        const char *hashed_with;
    } cases[] = {
        { KEY_P256, "sha256", 32, "sha256" }, { KEY_RSA, "sha384", 48, "sha384" },
        { KEY_P256, "sha512", 64, "sha512" }, { KEY_P256, "sha1", 32, "sha256" },
        { KEY_ED25519, NULL, 0, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p;
        uint8_t ours[TLS_END_POINT_BYTES], theirs[TLS_END_POINT_BYTES], want[64];
        unsigned len;
        struct certificate *own = certificate_new(&(struct certificate_options){
            .kind = cases[i].ca_kind, .common_name = "self", .digest = cases[i].digest });
        pair_open(&p, server_context(own, NULL, TLS_1_2),
                  client_context(m->ca, TLS_VERIFY_NONE, NULL, NULL), NULL);
        UNTIL(&p.w, p.server.secured);
        assert_int_equal(tls_server_end_point(stream_tls(&p.server.s), ours), cases[i].bytes);
        assert_int_equal(tls_server_end_point(stream_tls(&p.client.s), theirs), cases[i].bytes);
        if (cases[i].bytes) {
            X509_digest(own->x509, EVP_get_digestbyname(cases[i].hashed_with), want, &len);
            assert_memory_equal(ours, want, len);
            assert_memory_equal(theirs, want, len);
        }
        pair_close(&p);
        certificate_free(own);
    }
}

/* ---- direct TLS ---- */

static void direct_tls(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    struct err err;
    int fds[2];
    char reply[100];
    world_open(&w);
    socket_pair(fds, false);
    bare_open(&client, fds[1], client_context(m->ca, TLS_VERIFY_CA, NULL, "postgresql"), NULL);
    bare_shake(&client);
    bare_send(&client, &w, client.out.len);
    side_open(&server, &w, fds[0]);
    UNTIL(&w, server.got.len); /* the owner saw 0x16, and gives all of it back */
    assert_int_equal(server.got.at[0], 0x16);
    struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
    assert_true(stream_secure_server(&server.s, context, buf_slice(&server.got), &err));
    buf_truncate(&server.got, 0);
    tls_context_unref(context);
    assert_int_equal(server.secured, 0);
    while (!bare_shake(&client)) turn(&w, 1);
    bare_write(&client, "startup", 7); /* in one segment with the end of the handshake */
    bare_send(&client, &w, client.out.len);
    UNTIL(&w, server.got.len == 7);
    assert_true(tls_alpn_is_postgresql(stream_tls(&server.s)));
    send_text(&server, "welcome");
    turn(&w, 1);
    assert_int_equal(bare_read(&client, reply, sizeof reply), 7);
    side_close(&w, &server);
    bare_close(&client);
    world_close(&w);
}

static void another_protocol_is_refused(void **state)
{
    struct makings *m = *state;
    struct pair p;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, "http/1.1"), NULL);
    assert_true(p.client.failed);
    UNTIL(&p.w, p.server.secured);
    assert_true(p.server.failed);
    assert_non_null(strstr(p.server.err.message, "another protocol"));
    pair_close(&p);
}

/* CVE-2021-23222 and its like. What came in the clear with the SSLRequest is the owner's to refuse;
 * here it does not, and yet it becomes neither plaintext nor part of the handshake. */
static void on_ssl_request(struct side *side, const char *at, size_t len)
{
    struct err err;
    struct makings *m = side->context;
    assert_true(len > 8 && memcmp(at, "SSLREQST", 8) == 0);
    side->hook = NULL;
    assert_true(send_text(side, "S"));
    struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
    assert_true(stream_secure_server(&side->s, context, nothing, &err));
    tls_context_unref(context);
}

static void bytes_after_the_request_are_not_used(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    int fds[2];
    world_open(&w);
    socket_pair(fds, false);
    side_open(&server, &w, fds[0]);
    server.hook = on_ssl_request;
    server.context = m;
    fd_send(fds[1],
            "SSLREQST"
            "Q\0\0\0\15select 1",
            8 + 13);
    UNTIL(&w, server.deliveries);
    bare_open(&client, fds[1], client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    turn(&w, 2);
    char s;
    assert_int_equal(recv(fds[1], &s, 1, 0), 1);
    while (!bare_shake(&client)) {
        bare_send(&client, &w, 4096);
        turn(&w, 1);
    }
    buf_truncate(&server.got, 0);
    bare_write(&client, "inside", 6);
    bare_send(&client, &w, 4096);
    UNTIL(&w, server.got.len);
    assert_int_equal(server.got.len, 6);
    side_close(&w, &server);
    bare_close(&client);
    world_close(&w);
}

/* ---- ends ---- */

static void how_it_ends(void **state)
{
    struct makings *m = *state;
    enum { NOTIFIED, CUT, CUT_IN_RECORD, GARBAGE, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct pair p;
        uv_os_fd_t fd;
        pair_open(&p, server_context(m->own, NULL, TLS_1_2),
                  client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
        turn(&p.w, 3);
        assert_true(send_text(&p.client, "before"));
        turn(&p.w, 1);
        uv_fileno(&p.client.s.uv.handle, &fd);
        if (way == CUT_IN_RECORD) fd_send(fd, "\x17\3\3\0\x50half", 9);
        if (way == GARBAGE) fd_send(fd, "\x17\3\3\0\x1fgarbage garbage garbage garbage", 36);
        if (way == CUT || way == CUT_IN_RECORD) shutdown(fd, SHUT_WR);
        if (way == NOTIFIED) stream_close(&p.client.s);
        UNTIL(&p.w, p.server.ended);
        static const enum stream_end want[] = { STREAM_EOF, STREAM_TRUNCATED, STREAM_TRUNCATED,
                                                STREAM_ERROR };
        assert_int_equal(p.server.end, want[way]);
        assert_int_equal(p.server.failed, way == GARBAGE);
        assert_int_equal(p.server.got.len, 6);
        if (way == GARBAGE) { /* and the peer is told, by an alert */
            UNTIL(&p.w, p.client.ended);
            assert_int_equal(p.client.end, STREAM_ERROR);
        }
        pair_close(&p);
    }
}

/* The peer goes away or talks nonsense at each flight: on_secured says so, once. */
static void handshakes_that_fail(void **state)
{
    struct makings *m = *state;
    static const struct {
        const char *sends;
        const char *message;
    } cases[] = {
        { "", "closed the connection during the TLS handshake" },
        { "\x16\3\1\2\0\1\0", "closed the connection during the TLS handshake" },
        { "GET / HTTP/1.1\r\n\r\n", "HTTP" },
        { "Q: is this TLS at all?", "not TLS" },
        { "\x16\3\1\0\4\1\0\0\0", "TLS: " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        struct side server;
        struct err err;
        int fds[2];
        world_open(&w);
        socket_pair(fds, false);
        side_open(&server, &w, fds[0]);
        struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
        assert_true(stream_secure_server(&server.s, context, nothing, &err));
        tls_context_unref(context);
        size_t len = i == 1 ? 7 : i == 4 ? 9 : strlen(cases[i].sends);
        fd_send(fds[1], cases[i].sends, len);
        if (i < 2) shutdown(fds[1], SHUT_WR);
        UNTIL(&w, server.secured);
        assert_true(server.failed);
        if (!strstr(server.err.message, cases[i].message)) fail_msg("%s", server.err.message);
        close(fds[1]);
        turn(&w, 3);
        assert_int_equal(server.secured, 1);
        assert_int_equal(server.ended, 0);
        side_close(&w, &server);
        world_close(&w);
    }
}

/* seastar#3369, h2o#1448: the queue of errors is the thread's, and a connection that fails must
 * not be read as another one's failure. */
static void failures_do_not_spread(void **state)
{
    struct makings *m = *state;
    struct pair p;
    struct err err;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    p.server.hook = echo;
    struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
    for (uint32_t i = 1; i <= 200; i++) {
        struct side bad;
        int fds[2];
        socket_pair(fds, false);
        side_open(&bad, &p.w, fds[0]);
        assert_true(stream_secure_server(&bad.s, context, nothing, &err));
        fd_send(fds[1], "\x16\3\1\0\4garbage", 12);
        assert_true(send_text(&p.client, "ping"));
        UNTIL(&p.w, bad.secured && p.client.got.len == 4 * i);
        side_close(&p.w, &bad);
        close(fds[1]);
    }
    tls_context_unref(context);
    assert_int_equal(p.client.ended + p.server.ended, 0);
    pair_close(&p);
}

static void flush_over_tls(void **state)
{
    struct makings *m = *state;
    enum { LONG = 1 << 20 };
    char *text = pattern_new(LONG);
    struct pair p;
    pair_open(&p, server_context(m->own, NULL, TLS_1_2),
              client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    p.client.hook_end = (void (*)(struct side *))stream_close;
    stream_pause(&p.client.s);
    assert_true(stream_write_slice(&p.server.s, slice_of(text, LONG)));
    stream_close_flushed(&p.server.s, 10000);
    turn(&p.w, 3);
    assert_int_equal(p.server.closed, 0);
    stream_resume(&p.client.s);
    UNTIL(&p.w, p.server.closed && p.client.closed);
    assert_int_equal(p.client.end, STREAM_EOF); /* close_notify came after all of it */
    assert_int_equal(p.client.got.len, LONG);
    assert_memory_equal(p.client.got.at, text, LONG);
    buf_fini(&p.client.got);
    buf_fini(&p.server.got);
    world_close(&p.w);
    free(text);
}

/* ---- pausing and moving with bytes that were read already ---- */

static void pause_when_secured(struct side *side) { stream_pause(&side->s); }

/* The client's first request comes in one segment with the last bytes of its handshake. */
static void open_with_early_request(struct world *w, struct side *server, struct bare *client,
                                    struct makings *m, const char *request,
                                    void (*hook)(struct side *))
{
    struct err err;
    int fds[2];
    socket_pair(fds, false);
    side_open(server, w, fds[0]);
    server->hook_secured = hook;
    struct tls_context *context = server_context(m->own, NULL, TLS_1_2);
    assert_true(stream_secure_server(&server->s, context, nothing, &err));
    tls_context_unref(context);
    bare_open(client, fds[1], client_context(m->ca, TLS_VERIFY_CA, NULL, NULL), NULL);
    while (!bare_shake(client)) {
        bare_send(client, w, 9999);
        turn(w, 1);
    }
    bare_write(client, request, strlen(request));
    bare_send(client, w, 9999);
    UNTIL(w, server->secured);
}

static void pause_holds_what_is_there(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    world_open(&w);
    open_with_early_request(&w, &server, &client, m, "request", pause_when_secured);
    turn(&w, 5);
    assert_int_equal(server.got.len, 0);
    stream_resume(&server.s);
    assert_int_equal(server.got.len, 0); /* not from within the call */
    UNTIL(&w, server.got.len == 7);
    side_close(&w, &server);
    bare_close(&client);
    world_close(&w);
}

static void pause_on_bytes(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    stream_pause(&side->s);
}

/* The last word and close_notify in one segment, and the owner pauses at the word. */
static void an_end_waits_for_resume(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    world_open(&w);
    open_with_early_request(&w, &server, &client, m, "request", NULL);
    UNTIL(&w, server.got.len == 7);
    server.hook = pause_on_bytes;
    bare_write(&client, "bye", 3);
    struct tls_io io = { .out = &client.out };
    tls_shutdown(client.tls, &io);
    bare_send(&client, &w, 9999);
    UNTIL(&w, server.got.len == 10);
    turn(&w, 5);
    assert_int_equal(server.ended, 0);
    stream_resume(&server.s);
    UNTIL(&w, server.ended);
    assert_int_equal(server.end, STREAM_EOF);
    side_close(&w, &server);
    bare_close(&client);
    world_close(&w);
}

static struct stream_moved moved;

static void detach_when_secured(struct side *side) { assert_true(stream_detach(&side->s, &moved)); }

static void on_other_thread(void *argument)
{
    (void)argument;
    struct world w;
    struct side server = { 0 };
    struct err err;
    world_open(&w);
    assert_true(stream_attach(&server.s, &w.loop, &side_events, &moved, &err));
    UNTIL(&w, server.got.len == 7); /* without another byte from the socket */
    assert_true(stream_is_tls(&server.s));
    assert_string_equal(tls_version(stream_tls(&server.s)), "TLSv1.3");
    send_text(&server, "reply");
    UNTIL(&w, server.ended);
    assert_int_equal(server.end, STREAM_EOF);
    side_close(&w, &server);
    world_close(&w);
}

static void moving_with_bytes(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    uv_thread_t thread;
    char reply[100];
    size_t got = 0;
    world_open(&w);
    open_with_early_request(&w, &server, &client, m, "request", detach_when_secured);
    UNTIL(&w, server.closed);
    assert_int_equal(server.got.len, 0);
    assert_int_equal(uv_thread_create(&thread, on_other_thread, NULL), 0);
    while (!got) got = bare_read(&client, reply, sizeof reply);
    assert_memory_equal(reply, "reply", 5);
    struct tls_io io = { .out = &client.out };
    tls_shutdown(client.tls, &io);
    bare_send(&client, &w, 9999);
    uv_thread_join(&thread);
    bare_close(&client);
    world_close(&w);
}

static void close_inside_callbacks(void **state)
{
    struct makings *m = *state;
    struct world w;
    struct side server;
    struct bare client;
    world_open(&w);
    open_with_early_request(&w, &server, &client, m, "request",
                            (void (*)(struct side *))stream_close);
    UNTIL(&w, server.closed);
    assert_int_equal(server.got.len + server.ended, 0);
    bare_close(&client);
    world_close(&w);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways),
        TEST(much_in_any_parts),
        TEST(few_deliveries),
        TEST(every_cut_of_the_bytes),
        TEST(every_record_size),
        TEST(certificates_are_checked),
        TEST(a_nul_in_a_name),
        TEST(verify_full_needs_a_name),
        TEST(client_certificates),
        TEST(client_certificates_that_are_no_good),
        TEST(channel_binding),
        TEST(direct_tls),
        TEST(another_protocol_is_refused),
        TEST(bytes_after_the_request_are_not_used),
        TEST(how_it_ends),
        TEST(handshakes_that_fail),
        TEST(failures_do_not_spread),
        TEST(flush_over_tls),
        TEST(pause_holds_what_is_there),
        TEST(an_end_waits_for_resume),
        TEST(moving_with_bytes),
        TEST(close_inside_callbacks),
    };
    return cmocka_run_group_tests(tests, makings_new, makings_free);
}
