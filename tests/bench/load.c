/* load: makes load on a PostgreSQL server or proxy on 127.0.0.1, one thread, epoll.
 *
 *   load -p PORT -m MODE [-c CLIENTS] [-t SECONDS | -n REQUESTS] [-d DEPTH] [-q SQL] [-b BYTES]
 *        [-U USER] [-W PASSWORD] [-D DATABASE] [-s] [-r]
 *
 *   MODE   simple     Query
 *          extended   Parse, Bind, Describe, Execute, Sync, all unnamed
 *          prepared   the same, parsed once per connection under a name
 *          insert     an INSERT statement of -b bytes
 *          connect    a new connection for each request
 *          hold       connects, and does nothing
 *          stall      asks once, and never reads the answer
 *   -d     so many requests are written together, their answers awaited together
 *   -s     TLS (the certificate is not checked)       -r     with session resumption
 *
 * It prints READY when all are connected and waits for a line (so that the reader may look at the
 * clocks), makes the load, prints what it did as one line of JSON, and waits for the end of its
 * input.
 */
#include "bench/loop.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <time.h>

enum { HEAD_BYTES = 256, RECEIVE_BYTES = 256 * 1024, OPENING_CAP = 128, LATENCY_CAP = 1 << 20 };
enum mode { SIMPLE, EXTENDED, PREPARED, INSERT, CONNECT, HOLD, STALL };
enum state { DIALLING, ASKING_TLS, HANDSHAKING, LOGGING_IN, PREPARING, IDLE, BUSY, DEAD };

struct bytes {
    char *at;
    size_t len;
};

struct conn {
    int fd;
    enum state state;
    SSL *ssl;
    uint32_t events;
    char head[HEAD_BYTES]; /* of the message being read */
    size_t got, total;
    const struct bytes *sending;
    size_t sent;
    int owed; /* ReadyForQuery */
    uint64_t since_ns;
};

struct load {
    enum mode mode;
    int port, clients, depth, ep, opened, ready, resumed;
    const char *user, *password, *database;
    bool tls, resume, running, stopping;
    double seconds;
    uint64_t limit, done, errors, received_bytes, sent_bytes, began_ns, ended_ns, connects;
    struct bytes startup, request, preparation, secret, ask_tls;
    struct conn *conns;
    SSL_CTX *context;
    SSL_SESSION *session;
    char error[200];
    uint32_t *latency_us; /* the first LATENCY_CAP of them */
    size_t latencies;
    char receive[RECEIVE_BYTES];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what is sent: made once
 * ---------------------------------------------------------------------- */

static void add(struct bytes *b, const void *at, size_t len)
{
    b->at = realloc(b->at, b->len + len);
    if (!b->at) die("memory");
    memcpy(b->at + b->len, at, len);
    b->len += len;
}

static void add_text(struct bytes *b, const char *text) { add(b, text, strlen(text) + 1); }

static void add_message(struct bytes *b, char type, const struct bytes *body)
{
    char head[5] = { type };
    put_u32(head + 1, (uint32_t)body->len + 4);
    add(b, head, 5);
    if (body->len) add(b, body->at, body->len);
}

static void add_extended(struct bytes *b, const char *name, const char *sql, bool parse,
                         bool execute)
{
    struct bytes p = { 0 }, bind = { 0 };
    if (parse) {
        add_text(&p, name);
        add_text(&p, sql);
        add(&p, "\0", 2);
        add_message(b, 'P', &p);
    }
    if (execute) {
        add_text(&bind, "");
        add_text(&bind, name);
        add(&bind, "\0\0\0\0\0", 6);
        add_message(b, 'B', &bind);
        if (parse) add_message(b, 'D', &(struct bytes){ (char[]){ 'P', 0 }, 2 });
        add_message(b, 'E', &(struct bytes){ (char[5]){ 0 }, 5 });
    }
    add_message(b, 'S', &(struct bytes){ 0 });
    free(p.at);
    free(bind.at);
}

static void insert_of(struct bytes *sql, size_t size)
{
    static const char row[] =
        "('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'),";
    add(sql, "INSERT INTO public.bulk VALUES ", 31);
    while (sql->len + sizeof row < size) add(sql, row, sizeof row - 1);
    sql->at[sql->len - 1] = '\0'; /* the last comma */
}

static void compose(struct load *l, const char *sql, size_t size)
{
    struct bytes body = { 0 }, insert = { 0 };
    for (int at = 0; at < l->depth; at++) switch (l->mode) {
        case EXTENDED: add_extended(&l->request, "", sql, true, true); break;
        case PREPARED: add_extended(&l->request, "ps1", sql, false, true); break;
        case INSERT:
            if (!insert.len) insert_of(&insert, size);
            add_message(&l->request, 'Q', &insert);
            break;
        default:
            body.len = 0;
            add_text(&body, sql);
            add_message(&l->request, 'Q', &body);
        }
    if (l->mode == PREPARED) add_extended(&l->preparation, "ps1", sql, true, false);

    body.len = 0;
    add_text(&body, l->password);
    add_message(&l->secret, 'p', &body);

    add(&l->startup, "\0\0\0\0\0\3\0\0", 8);
    add_text(&l->startup, "user");
    add_text(&l->startup, l->user);
    add_text(&l->startup, "database");
    add_text(&l->startup, l->database);
    add(&l->startup, "", 1);
    put_u32(l->startup.at, (uint32_t)l->startup.len);

    add(&l->ask_tls, "\0\0\0\10\4\322\26\57", 8);
    free(body.at);
    free(insert.at);
}

/* ---- a connection
 * --------------------------------------------------------------------------------- */

static void want(struct load *l, struct conn *c, uint32_t events)
{
    if (c->events == events) return;
    watch(l->ep, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, events, c);
    c->events = events;
}

static void hang_up(struct conn *c)
{
    static const char goodbye[] = { 'X', 0, 0, 0, 4 };
    if (c->state >= IDLE && c->state != DEAD) {
        if (c->ssl) {
            ERR_clear_error();
            SSL_write(c->ssl, goodbye, sizeof goodbye);
            SSL_shutdown(c->ssl);
        } else
            (void)!send(c->fd, goodbye, sizeof goodbye, MSG_NOSIGNAL);
    }
    SSL_free(c->ssl);
    if (c->fd >= 0) close(c->fd);
    *c = (struct conn){ .fd = -1, .state = DEAD };
}

static void dial(struct load *l, struct conn *c)
{
    struct sockaddr_in to = loopback(l->port);
    *c = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
                        .since_ns = now_ns() };
    if (c->fd < 0) die("socket");
    no_delay(c->fd);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect");
    want(l, c, EPOLLOUT);
}

/* 1 all sent, 0 the socket is full, -1 broken */
static int push(struct load *l, struct conn *c)
{
    while (c->sending && c->sent < c->sending->len) {
        const char *at = c->sending->at + c->sent;
        size_t left = c->sending->len - c->sent;
        ssize_t n;
        if (c->ssl) {
            ERR_clear_error();
            n = SSL_write(c->ssl, at, (int)left);
            if (n <= 0) {
                int why = SSL_get_error(c->ssl, (int)n);
                if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ) return -1;
                want(l, c, why == SSL_ERROR_WANT_WRITE ? EPOLLIN | EPOLLOUT : EPOLLIN);
                return 0;
            }
        } else if ((n = send(c->fd, at, left, MSG_NOSIGNAL)) < 0) {
            if (errno != EAGAIN) return -1;
            want(l, c, EPOLLIN | EPOLLOUT);
            return 0;
        }
        l->sent_bytes += (uint64_t)n;
        c->sent += (size_t)n;
    }
    c->sending = NULL;
    want(l, c, EPOLLIN);
    return 1;
}

static bool send_now(struct load *l, struct conn *c, const struct bytes *b)
{
    c->sending = b;
    c->sent = 0;
    return push(l, c) >= 0;
}

static bool request(struct load *l, struct conn *c)
{
    c->state = IDLE;
    if (l->stopping || !l->running || l->mode == HOLD) return true;
    if (l->limit && l->done >= l->limit) {
        l->stopping = true;
        return true;
    }
    c->state = BUSY;
    c->owed = l->depth;
    if (l->mode != CONNECT) c->since_ns = now_ns();
    return send_now(l, c, &l->request);
}

static void keep_session(struct load *l, struct conn *c)
{
    if (!l->resume || !c->ssl) return;
    l->resumed += SSL_session_reused(c->ssl);
    SSL_SESSION *now = SSL_get1_session(c->ssl);
    if (now && SSL_SESSION_is_resumable(now)) {
        SSL_SESSION_free(l->session);
        l->session = now;
    } else
        SSL_SESSION_free(now);
}

static bool on_ready(struct load *l, struct conn *c)
{
    if (c->state == LOGGING_IN && l->mode == PREPARED) {
        c->state = PREPARING;
        return send_now(l, c, &l->preparation);
    }
    if (c->state != BUSY) { /* logged in */
        l->ready++;
        l->connects++;
        return request(l, c);
    }
    if (--c->owed) return true;
    l->done += (uint64_t)l->depth;
    if (l->latencies < LATENCY_CAP)
        l->latency_us[l->latencies++] = (uint32_t)((now_ns() - c->since_ns) / 1000);
    if (l->mode != CONNECT) return request(l, c);
    keep_session(l, c);
    c->state = IDLE;
    hang_up(c);
    if (!l->stopping) dial(l, c);
    return true;
}

static bool on_message(struct load *l, struct conn *c)
{
    const char *m = c->head;
    size_t have = c->total < HEAD_BYTES ? c->total : HEAD_BYTES;
    if (m[0] == 'Z') return on_ready(l, c);
    if (m[0] == 'R' && have >= 9) {
        uint32_t code = get_u32(m + 5);
        if (code == 3) return send_now(l, c, &l->secret);
        if (code == 0) return true;
        snprintf(l->error, sizeof l->error, "login method %u is not for this program", code);
        return false;
    }
    if (m[0] == 'E') {
        size_t at = 5;
        while (at < have && m[at] != 'M') at += strnlen(m + at, have - at) + 1;
        snprintf(l->error, sizeof l->error, "%.*s", at < have ? (int)(have - at - 1) : 0,
                 m + at + 1);
        l->errors++;
    }
    return true;
}

static bool take(struct load *l, struct conn *c, const char *at, size_t len)
{
    l->received_bytes += len;
    while (len && c->state != DEAD && c->state != DIALLING) {
        if (c->got < 5) {
            size_t n = 5 - c->got < len ? 5 - c->got : len;
            memcpy(c->head + c->got, at, n);
            c->got += n;
            at += n;
            len -= n;
            if (c->got < 5) break;
            c->total = get_u32(c->head + 1) + 1;
            if (c->total < 5) return false;
        }
        size_t n = c->total - c->got < len ? c->total - c->got : len;
        if (c->got < HEAD_BYTES)
            memcpy(c->head + c->got, at, HEAD_BYTES - c->got < n ? HEAD_BYTES - c->got : n);
        c->got += n;
        at += n;
        len -= n;
        if (c->got < c->total) break;
        c->got = 0;
        if (!on_message(l, c)) return false;
    }
    return true;
}

/* TCP stands: ask for TLS, or log in. */
static bool on_dialled(struct load *l, struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        snprintf(l->error, sizeof l->error, "connect: %s", strerror(error));
        return false;
    }
    c->state = l->tls ? ASKING_TLS : LOGGING_IN;
    return send_now(l, c, l->tls ? &l->ask_tls : &l->startup);
}

static bool handshake(struct load *l, struct conn *c)
{
    ERR_clear_error();
    int n = SSL_connect(c->ssl);
    if (n == 1) {
        c->state = LOGGING_IN;
        return send_now(l, c, &l->startup);
    }
    int why = SSL_get_error(c->ssl, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        snprintf(l->error, sizeof l->error, "TLS handshake failed");
        return false;
    }
    want(l, c, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    return true;
}

static bool on_tls_answer(struct load *l, struct conn *c)
{
    char answer;
    if (recv(c->fd, &answer, 1, 0) != 1 || answer != 'S') {
        snprintf(l->error, sizeof l->error, "no TLS here");
        return false;
    }
    c->ssl = SSL_new(l->context);
    SSL_set_fd(c->ssl, c->fd);
    if (l->session) SSL_set_session(c->ssl, l->session);
    c->state = HANDSHAKING;
    return handshake(l, c);
}

static bool on_event(struct load *l, struct conn *c, uint32_t events)
{
    if (c->state == DIALLING) return on_dialled(l, c);
    if (c->state == ASKING_TLS) return on_tls_answer(l, c);
    if (c->state == HANDSHAKING) return handshake(l, c);
    if (c->sending && push(l, c) < 0) return false;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return true;
    int fd = c->fd;
    do {
        ssize_t n;
        if (c->ssl) {
            ERR_clear_error();
            n = SSL_read(c->ssl, l->receive, sizeof l->receive);
            if (n <= 0) return SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ;
        } else {
            n = recv(c->fd, l->receive, sizeof l->receive, 0);
            if (n < 0) return errno == EAGAIN;
            if (n == 0) return false;
        }
        if (!take(l, c, l->receive, (size_t)n)) return false;
    } while (c->ssl && c->fd == fd && c->state != DEAD && c->state != DIALLING &&
             SSL_pending(c->ssl));
    return true;
}

/* ---- the run
 * -------------------------------------------------------------------------------------- */

static void turn(struct load *l)
{
    struct epoll_event events[512];
    int n = epoll_wait(l->ep, events, 512, 100);
    for (int at = 0; at < n && !l->stopping; at++) {
        struct conn *c = events[at].data.ptr;
        if (c->state == DEAD || on_event(l, c, events[at].events)) continue;
        l->errors++;
        if (!*l->error) snprintf(l->error, sizeof l->error, "connection lost");
        hang_up(c);
        if (l->mode == CONNECT && l->errors < 100) dial(l, c);
    }
}

/* All connections, a few at a time: no listen queue shall overflow. */
static bool open_all(struct load *l)
{
    uint64_t since = now_ns();
    while (l->ready < l->clients) {
        while (l->opened < l->clients && l->opened - l->ready < OPENING_CAP)
            dial(l, &l->conns[l->opened++]);
        turn(l);
        if (l->errors || now_ns() - since > 60000000000u) return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct load *l)
{
    double seconds = (double)(l->ended_ns - l->began_ns) / 1e9;
    qsort(l->latency_us, l->latencies, sizeof *l->latency_us, by_value);
    for (char *p = l->error; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ') *p = ' ';
    printf(
        "{\"requests\": %llu, \"seconds\": %.6f, \"received\": %llu, \"sent\": %llu, \"errors\": "
        "%llu, "
        "\"connects\": %llu, \"resumed\": %d, \"p50_us\": %u, \"p99_us\": %u, \"error\": \"%s\"}\n",
        (unsigned long long)l->done, seconds, (unsigned long long)l->received_bytes,
        (unsigned long long)l->sent_bytes, (unsigned long long)l->errors,
        (unsigned long long)l->connects, l->resumed,
        l->latencies ? l->latency_us[l->latencies / 2] : 0,
        l->latencies ? l->latency_us[l->latencies * 99 / 100] : 0, l->error);
    fflush(stdout);
}

/* Until every answer has begun, and no more comes for some seconds: all buffers on the way are
 * full. */
static void await_stall(struct load *l)
{
    enum { QUIET_S = 3, PATIENCE_S = 60 };
    long before = -1;
    int quiet = 0;
    l->stopping = true;
    for (int s = 0; s < PATIENCE_S && quiet < QUIET_S; s++) {
        long sum = 0;
        bool all = true;
        sleep(1);
        for (int at = 0; at < l->clients; at++) {
            int here = 0;
            if (ioctl(l->conns[at].fd, FIONREAD, &here) != 0 || here == 0) all = false;
            sum += here;
        }
        quiet = all && sum == before ? quiet + 1 : 0;
        before = sum;
    }
    if (quiet == QUIET_S) return;
    l->errors++;
    snprintf(l->error, sizeof l->error, "the answers did not come to a standstill");
}

static void run(struct load *l)
{
    char line[16];
    l->began_ns = l->ended_ns = now_ns();
    if (l->mode != CONNECT && !open_all(l)) return;
    printf("READY\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) exit(1);
    l->received_bytes = l->sent_bytes = 0;
    l->running = true;
    l->began_ns = now_ns();
    for (int at = 0; at < l->clients && l->mode != HOLD; at++) {
        if (l->mode == CONNECT)
            dial(l, &l->conns[at]);
        else if (!request(l, &l->conns[at]))
            l->errors++;
        if (l->mode == STALL) want(l, &l->conns[at], 0);
    }
    if (l->mode == STALL) await_stall(l);
    while (!l->stopping && l->mode != HOLD) {
        turn(l);
        if (l->seconds > 0 && (double)(now_ns() - l->began_ns) >= l->seconds * 1e9)
            l->stopping = true;
        if (l->errors >= 100) l->stopping = true;
    }
    l->ended_ns = now_ns();
}

static enum mode mode_of(const char *name)
{
    static const char *const names[] = { "simple",  "extended", "prepared", "insert",
                                         "connect", "hold",     "stall" };
    for (int at = 0; at < 7; at++)
        if (!strcmp(name, names[at])) return (enum mode)at;
    fprintf(stderr, "load: unknown mode %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct load l = {
        .clients = 1, .depth = 1, .user = "postgres", .password = "", .database = "postgres"
    };
    const char *sql = "select 1";
    size_t size = 1000000;
    int option;
    while ((option = getopt(argc, argv, "p:m:c:t:n:d:q:b:U:W:D:sr")) != -1) switch (option) {
        case 'p': l.port = atoi(optarg); break;
        case 'm': l.mode = mode_of(optarg); break;
        case 'c': l.clients = atoi(optarg); break;
        case 't': l.seconds = atof(optarg); break;
        case 'n': l.limit = strtoull(optarg, NULL, 10); break;
        case 'd': l.depth = atoi(optarg); break;
        case 'q': sql = optarg; break;
        case 'b': size = strtoull(optarg, NULL, 10); break;
        case 'U': l.user = optarg; break;
        case 'W': l.password = optarg; break;
        case 'D': l.database = optarg; break;
        case 's': l.tls = true; break;
        case 'r': l.tls = l.resume = true; break;
        default: return 2;
        }
    prepare_process();
    l.ep = epoll_create1(0);
    l.conns = calloc((size_t)l.clients, sizeof *l.conns);
    l.latency_us = calloc(LATENCY_CAP, sizeof *l.latency_us);
    if (!l.conns || !l.latency_us) die("memory");
    for (int at = 0; at < l.clients; at++) l.conns[at] = (struct conn){ .fd = -1, .state = DEAD };
    if (l.tls) {
        l.context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(l.context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    }
    compose(&l, sql, size);
    run(&l);
    report(&l);
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
    }
    for (int at = 0; at < l.clients; at++)
        if (l.conns[at].state != DEAD) hang_up(&l.conns[at]);
    return l.errors ? 1 : 0;
}
