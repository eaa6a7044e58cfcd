/* io_cost: what proxy/io costs by itself, without PostgreSQL: CPU time and memory of the serving
 * side, the clients are another process.
 *
 *   io_cost idle CLIENTS plain|tls      bytes per idle client
 *   io_cost shake COUNT full|resumed    CPU per connection with a TLS handshake, P-256
 *   io_cost bulk MEGABYTES plain|tls    CPU per GB that a stream sends, and that it receives
 *   io_cost relay PORT BACKEND-PORT     runs a relay on two streams per client, until killed
 */
#include "proxy/io/listen.h"
#include "proxy/io/stream.h"
#include "proxy/io/tls.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct host {
    uv_loop_t uv;
    struct stream_loop loop;
    struct listen door;
    struct tls_context *tls;
    union socket_address backend; /* relay: where the other stream goes */
    unsigned secured, gone;
    bool relays;
    struct client *last;
    uint64_t to_send, received;
    unsigned sent_all;
};

struct client {
    struct stream s;
    struct host *host;
    struct client *peer; /* relay */
};

static void die(const char *what)
{
    fprintf(stderr, "io_cost: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the serving side ---------------------------------------------------------------------------
 */

static void on_bytes(struct stream *s, const char *at, size_t len)
{
    struct client *c = (struct client *)s;
    c->host->received += len;
    if (!c->peer) return;
    stream_write_slice(&c->peer->s, slice_of(at, len));
    if (stream_is_choked(&c->peer->s)) stream_pause(s);
}

/* bulk: as a relay would, in pieces of one recv. */
static void pour(struct client *c)
{
    static const char bytes[STREAM_RECEIVE_BYTES];
    struct host *h = c->host;
    while (h->to_send && !stream_is_choked(&c->s)) {
        h->to_send -= sizeof bytes;
        stream_write_slice(&c->s, slice_of(bytes, sizeof bytes));
    }
    h->sent_all = h->to_send == 0;
}

static void on_drained(struct stream *s)
{
    struct client *c = (struct client *)s;
    if (c->peer)
        stream_resume(&c->peer->s);
    else
        pour(c);
}

static void on_connected(struct stream *s, const struct err *err)
{
    if (err) stream_close(s);
}

static void on_secured(struct stream *s, const struct err *err)
{
    struct client *c = (struct client *)s;
    if (err) {
        fprintf(stderr, "io_cost: %s\n", err->message);
        stream_close(s);
    } else {
        c->host->secured++;
    }
}

static void on_end(struct stream *s, enum stream_end end, const struct err *err)
{
    (void)end, (void)err;
    stream_close(s);
}

static void on_closed(struct stream *s)
{
    struct client *c = (struct client *)s;
    if (c->peer) {
        c->peer->peer = NULL;
        stream_close(&c->peer->s);
    }
    c->host->gone++;
    free(c);
}

static const struct stream_events events = { on_bytes,   on_drained, on_connected,
                                             on_secured, on_end,     on_closed };

static void on_accept(struct listen *l, int fd, const union socket_address *peer)
{
    struct host *host = list_item(l, struct host, door);
    struct client *c = calloc(1, sizeof *c);
    struct err err;
    (void)peer;
    c->host = host;
    host->last = c;
    if (!stream_open(&c->s, &host->loop, &events, fd, &err)) die(err.message);
    if (host->tls && !stream_secure_server(&c->s, host->tls, slice_of(NULL, 0), &err))
        die(err.message);
    if (!host->tls) host->secured++;
    if (!host->relays) return;
    c->peer = calloc(1, sizeof *c->peer);
    c->peer->host = host;
    c->peer->peer = c;
    if (!stream_connect(&c->peer->s, &host->loop, &events, &host->backend, &err)) die(err.message);
}

static void on_trouble(struct listen *l, uint64_t refused, const struct err *err)
{
    (void)l;
    fprintf(stderr, "io_cost: %s (%lu refused)\n", err->message, (unsigned long)refused);
}

static void on_door_closed(struct listen *l) { (void)l; }

static const struct listen_events door_events = { on_accept, on_trouble, on_door_closed };

/* A self-signed P-256 certificate. */
static struct tls_context *context_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    char *certificate, *private;
    struct err err;
    X509_set_version(x509, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_sign(x509, key, EVP_sha256());
    BIO *crt = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(crt, x509);
    PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
    struct tls_server_options options = { 0 };
    options.certificate.name = options.key.name = "generated";
    options.certificate.pem.len = (size_t)BIO_get_mem_data(crt, &certificate);
    options.certificate.pem.at = certificate;
    options.key.pem.len = (size_t)BIO_get_mem_data(pem, &private);
    options.key.pem.at = private;
    struct tls_context *context = tls_context_server(&options, NULL, &err);
    if (!context) die(err.message);
    BIO_free(crt);
    BIO_free(pem);
    X509_free(x509);
    EVP_PKEY_free(key);
    return context;
}

static void host_open(struct host *h, bool tls, uint16_t port)
{
    struct listen_options options = { 0 };
    union socket_address address;
    struct err err;
    uv_loop_init(&h->uv);
    if (!stream_loop_init(&h->loop, &h->uv)) die("no memory");
    if (tls) h->tls = context_new();
    socket_address_parse(&address, slice_str("127.0.0.1"), port);
    if (!listen_open(&h->door, &h->uv, &address, &options, &door_events, &err)) die(err.message);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double pss_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    double kib = 0;
    while (f && fgets(line, sizeof line, f)) sscanf(line, "Pss: %lf", &kib);
    if (f) fclose(f);
    return kib * 1024;
}

/* ---- the clients --------------------------------------------------------------------------------
 */

static int knock(const union socket_address *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &to->any, sizeof to->v4) != 0) die("connect");
    return fd;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **last = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(*last);
    *last = session;
    return 1;
}

/* A client reads until the server's "ok", so that the ticket has come; NULL: plain. */
static SSL *shake(SSL_CTX *context, int fd, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (session) SSL_set_session(ssl, session);
    if (SSL_connect(ssl) != 1) die("SSL_connect");
    return ssl;
}

static SSL_CTX *client_context(SSL_SESSION **session)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_set_app_data(context, session);
    SSL_CTX_sess_set_new_cb(context, on_session);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* so that a read returns after a ticket */
    return context;
}

static void clients_hold(const union socket_address *to, unsigned count, bool tls)
{
    SSL_SESSION *session = NULL;
    SSL_CTX *context = client_context(&session);
    for (unsigned i = 0; i < count; i++) {
        int fd = knock(to);
        if (tls) shake(context, fd, NULL);
    }
    pause();
}

static void clients_storm(const union socket_address *to, unsigned count, bool resume)
{
    SSL_SESSION *session = NULL;
    SSL_CTX *context = client_context(&session);
    for (unsigned i = 0; i < count; i++) {
        char byte;
        int fd = knock(to);
        SSL *ssl = shake(context, fd, resume ? session : NULL);
        SSL_SESSION *used = session;
        while (session == used) SSL_read(ssl, &byte, 1); /* until the (next) ticket has come */
        if (resume && i && !SSL_session_reused(ssl)) die("not resumed");
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
    exit(0);
}

/* Reads `total` bytes, then sends as many. */
static void client_bulk(const union socket_address *to, uint64_t total, bool tls)
{
    static char bytes[STREAM_RECEIVE_BYTES];
    SSL_SESSION *session = NULL;
    int fd = knock(to);
    SSL *ssl = tls ? shake(client_context(&session), fd, NULL) : NULL;
    for (uint64_t got = 0; got < total;) {
        ssize_t n = ssl ? SSL_read(ssl, bytes, sizeof bytes) : read(fd, bytes, sizeof bytes);
        if (n > 0) got += (uint64_t)n;
    }
    for (uint64_t sent = 0; sent < total;) {
        ssize_t n = ssl ? SSL_write(ssl, bytes, sizeof bytes) : write(fd, bytes, sizeof bytes);
        if (n <= 0) die("write");
        sent += (uint64_t)n;
    }
    pause();
}

/* ---- measurements -------------------------------------------------------------------------------
 */

static void run_until(struct host *h, unsigned *counter, unsigned value)
{
    while (*counter < value) uv_run(&h->uv, UV_RUN_ONCE);
}

static void measure_idle(struct host *h, unsigned clients, bool tls)
{
    double before = pss_bytes();
    pid_t child = fork();
    if (child == 0) clients_hold(&h->door.address, clients, tls);
    run_until(h, &h->secured, clients);
    for (int i = 0; i < 100; i++) uv_run(&h->uv, UV_RUN_NOWAIT);
    struct mallinfo2 heap = mallinfo2();
    double after = pss_bytes();
    printf("%u idle %s clients: %.0f bytes each (PSS), heap in use %.0f each\n", clients,
           tls ? "TLS" : "plain", (after - before) / clients, (double)heap.uordblks / clients);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void measure_shake(struct host *h, unsigned count, bool resume)
{
    double before = cpu_us();
    pid_t child = fork();
    if (child == 0) clients_storm(&h->door.address, count, resume);
    run_until(h, &h->gone, count);
    printf("%u %s handshakes: %.0f us CPU per connection\n", count, resume ? "resumed" : "full",
           (cpu_us() - before) / count);
    waitpid(child, NULL, 0);
}

static void measure_bulk(struct host *h, uint64_t total, bool tls)
{
    double gigabytes = (double)total / 1e9, start;
    pid_t child = fork();
    if (child == 0) client_bulk(&h->door.address, total, tls);
    run_until(h, &h->secured, 1);
    start = cpu_us();
    h->to_send = total;
    pour(h->last);
    run_until(h, &h->sent_all, 1);
    while (stream_backlog(&h->last->s)) uv_run(&h->uv, UV_RUN_ONCE);
    printf("%s: sends at %.2f s/GB", tls ? "TLS" : "plain", (cpu_us() - start) / 1e6 / gigabytes);
    start = cpu_us();
    while (h->received < total) uv_run(&h->uv, UV_RUN_ONCE);
    printf(", receives at %.2f s/GB\n", (cpu_us() - start) / 1e6 / gigabytes);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    struct host *h = calloc(1, sizeof *h);
    if (argc == 4 && strcmp(argv[1], "idle") == 0) {
        bool tls = strcmp(argv[3], "tls") == 0;
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        host_open(h, tls, 0);
        measure_idle(h, (unsigned)atoi(argv[2]), tls);
    } else if (argc == 4 && strcmp(argv[1], "shake") == 0) {
        host_open(h, true, 0);
        measure_shake(h, (unsigned)atoi(argv[2]), strcmp(argv[3], "resumed") == 0);
    } else if (argc == 4 && strcmp(argv[1], "bulk") == 0) {
        bool tls = strcmp(argv[3], "tls") == 0;
        host_open(h, tls, 0);
        measure_bulk(h, (uint64_t)atoi(argv[2]) << 20, tls);
    } else if (argc == 4 && strcmp(argv[1], "relay") == 0) {
        h->relays = true;
        socket_address_parse(&h->backend, slice_str("127.0.0.1"), (uint16_t)atoi(argv[3]));
        host_open(h, false, (uint16_t)atoi(argv[2]));
        uv_run(&h->uv, UV_RUN_DEFAULT);
    } else {
        fprintf(stderr, "usage: io_cost idle|shake|bulk|relay ...; see the head of io_cost.c\n");
        return 2;
    }
    return 0;
}
