/* faultproxy: stands between two endpoints on loopback and spoils what passes, as told.
 *
 *   faultproxy -l PORT -t PORT [-a SOURCE] [RULE]...
 *
 *   RULE  WAY:WHAT=N     WAY: up (client to server), down (server to client), both
 *
 *     delay=MS     each piece that is read waits so long
 *     split=N      passes N bytes at a time, each in a send of its own
 *     gap=MS       with split: so long between two of them
 *     stall=N      after N bytes nothing passes any more, and nothing is said
 *     rst=N        after N bytes both connections are reset
 *     fin=N        after N bytes the receiver's connection is half-closed, orderly
 *     garble=N     the byte at offset N is inverted
 *
 *   -a SOURCE      dials the target from this address (127.0.0.2, ...)
 *
 * While it runs: SIGUSR1 resets every connection; SIGUSR2 turns the black hole on and off (nothing
 * passes, nothing is accepted, nothing is said); SIGHUP half-closes every connection both ways. One
 * thread, poll.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIR_CAP = 1024, CHUNK_BYTES = 64 * 1024 };

struct rules {
    int64_t delay_ms, split, gap_ms, stall, rst, fin, garble; /* -1: not so */
};

/* One way of a pair. */
struct way {
    int from, to;
    const struct rules *rules;
    char *at; /* CHUNK_BYTES, read and not passed on yet */
    size_t len, off;
    int64_t passed, due_ms;
    bool ended, closed; /* `from` said its end; `to` was told */
};

struct pair {
    bool used;
    struct way up, down;
};

struct faults {
    int listener, target;
    struct in_addr source;
    struct rules up, down;
    bool hole;
    struct pair pairs[PAIR_CAP];
};

static volatile sig_atomic_t wants_reset, wants_hole, wants_fin; /* set by the handlers alone */

static void on_signal(int which)
{
    if (which == SIGUSR1) wants_reset = 1;
    if (which == SIGUSR2) wants_hole = !wants_hole;
    if (which == SIGHUP) wants_fin = 1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void pair_close(struct pair *p, bool reset)
{
    struct linger now = { 1, 0 };
    int fds[2] = { p->up.from, p->up.to };
    for (int at = 0; at < 2; at++) {
        if (reset) setsockopt(fds[at], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fds[at]);
    }
    free(p->up.at);
    free(p->down.at);
    *p = (struct pair){ 0 };
}

static void accept_one(struct faults *f)
{
    int one = 1, a = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (a < 0) return;
    int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = loopback(f->target);
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = f->source };
    struct pair *p = f->pairs;
    while (p < f->pairs + PAIR_CAP && p->used) p++;
    if (b < 0 || p == f->pairs + PAIR_CAP ||
        (f->source.s_addr && bind(b, (struct sockaddr *)&from, sizeof from)) ||
        connect(b, (struct sockaddr *)&to, sizeof to)) {
        close(a);
        if (b >= 0) close(b);
        return;
    }
    setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *p = (struct pair){ .used = true,
                        .up = { .from = a, .to = b, .rules = &f->up, .at = malloc(CHUNK_BYTES) },
                        .down = {
                            .from = b, .to = a, .rules = &f->down, .at = malloc(CHUNK_BYTES) } };
    if (!p->up.at || !p->down.at) die("memory");
}

/* How many bytes may still pass before something happens; -1: no end. */
static int64_t allowed(const struct way *w)
{
    const struct rules *r = w->rules;
    int64_t least = -1;
    const int64_t limits[] = { r->stall, r->rst, r->fin };
    for (size_t at = 0; at < sizeof limits / sizeof *limits; at++)
        if (limits[at] >= 0 && (least < 0 || limits[at] < least)) least = limits[at];
    return least < 0 ? -1 : least > w->passed ? least - w->passed : 0;
}

static bool is_stalled(const struct way *w)
{
    return w->rules->stall >= 0 && w->passed >= w->rules->stall;
}

/* False: the pair shall be reset. */
static bool way_read(struct way *w)
{
    ssize_t n = recv(w->from, w->at, CHUNK_BYTES, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
        w->ended = true;
        return true;
    }
    if (w->closed) return true; /* who was told of the end gets nothing more */
    w->len = (size_t)n;
    w->off = 0;
    w->due_ms = w->rules->delay_ms > 0 ? now_ms() + w->rules->delay_ms : 0;
    int64_t garble = w->rules->garble - w->passed;
    if (w->rules->garble >= 0 && garble >= 0 && garble < n) w->at[garble] = (char)~w->at[garble];
    return true;
}

static bool way_write(struct way *w)
{
    int64_t may = allowed(w);
    size_t n = w->len - w->off;
    if (w->rules->split > 0 && n > (size_t)w->rules->split) n = (size_t)w->rules->split;
    if (may >= 0 && n > (size_t)may) n = (size_t)may;
    ssize_t sent = n ? send(w->to, w->at + w->off, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    w->off += (size_t)sent;
    w->passed += sent;
    if (w->off == w->len) w->len = w->off = 0;
    if (w->rules->gap_ms > 0) w->due_ms = now_ms() + w->rules->gap_ms;
    if (w->rules->rst >= 0 && w->passed >= w->rules->rst) return false;
    if (w->rules->fin >= 0 && w->passed >= w->rules->fin && !w->closed) {
        shutdown(w->to, SHUT_WR);
        w->closed = true;
    }
    return true;
}

static bool way_turn(struct way *w, short in, short out)
{
    if (!w->len && in & (POLLIN | POLLHUP | POLLERR) && !w->ended && !way_read(w)) return false;
    if (w->len && !is_stalled(w) && !w->closed && now_ms() >= w->due_ms && (out & POLLOUT || in) &&
        !way_write(w))
        return false;
    if (w->ended && !w->len && !w->closed && !is_stalled(w)) {
        shutdown(w->to, SHUT_WR);
        w->closed = true;
    }
    return true;
}

static short way_reads(const struct way *w)
{
    return !w->len && !w->ended && !is_stalled(w) ? POLLIN : 0;
}

static short way_writes(const struct way *w, int64_t now, int *wait_ms)
{
    if (!w->len || is_stalled(w) || w->closed) return 0;
    if (now >= w->due_ms) return POLLOUT;
    if (*wait_ms < 0 || w->due_ms - now < *wait_ms) *wait_ms = (int)(w->due_ms - now);
    return 0;
}

static void obey_signals(struct faults *f)
{
    for (struct pair *p = f->pairs; p < f->pairs + PAIR_CAP; p++) {
        if (!p->used) continue;
        if (wants_reset)
            pair_close(p, true);
        else if (wants_fin) {
            shutdown(p->up.to, SHUT_WR);
            shutdown(p->down.to, SHUT_WR);
            p->up.closed = p->down.closed = true;
            p->up.len = p->down.len = 0;
        }
    }
    wants_reset = wants_fin = 0;
    f->hole = wants_hole;
}

/* Signals come while it waits and at no other time, so that none comes too late to be obeyed. */
static int wait_for(struct pollfd *fds, nfds_t n, int wait_ms)
{
    const struct timespec limit = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
    sigset_t all_open;
    sigemptyset(&all_open);
    return ppoll(fds, n, wait_ms < 0 ? NULL : &limit, &all_open);
}

static void turn(struct faults *f)
{
    static struct pollfd fds[1 + 2 * PAIR_CAP];
    static struct pair *who[1 + 2 * PAIR_CAP];
    nfds_t n = 0;
    int wait_ms = -1;
    int64_t now = now_ms();
    fds[n++] = (struct pollfd){ .fd = f->listener, .events = POLLIN };
    for (struct pair *p = f->pairs; p < f->pairs + PAIR_CAP; p++) {
        if (!p->used) continue;
        who[n] = p;
        fds[n++] = (struct pollfd){ .fd = p->up.from,
                                    .events = (short)(way_reads(&p->up) |
                                                      way_writes(&p->down, now, &wait_ms)) };
        fds[n++] = (struct pollfd){ .fd = p->up.to,
                                    .events = (short)(way_reads(&p->down) |
                                                      way_writes(&p->up, now, &wait_ms)) };
    }
    if (f->hole) {
        wait_for(NULL, 0, 50);
        obey_signals(f);
        return;
    }
    /* A descriptor that asks for nothing must not wake us for its hang-up over and over. */
    for (nfds_t at = 1; at < n; at++)
        if (!fds[at].events) fds[at].fd = -1;
    if (wait_for(fds, n, wait_ms) < 0 && errno != EINTR) die("poll");
    obey_signals(f);
    if (fds[0].revents) accept_one(f);
    for (nfds_t at = 1; at < n; at += 2) {
        struct pair *p = who[at];
        if (!p->used) continue;
        short a = fds[at].revents, b = fds[at + 1].revents;
        bool due = now_ms() >= p->up.due_ms && p->up.len,
             back = now_ms() >= p->down.due_ms && p->down.len;
        if (!a && !b && !due && !back) continue;
        if (!way_turn(&p->up, a, b | (due ? POLLOUT : 0)) ||
            !way_turn(&p->down, b, a | (back ? POLLOUT : 0)))
            pair_close(p, true);
        else if (p->up.closed && p->down.closed && p->up.ended && p->down.ended)
            pair_close(p, false);
    }
}

static bool add_rule(struct faults *f, const char *text)
{
    char way[8], what[12];
    long long n;
    if (sscanf(text, "%7[a-z]:%11[a-z]=%lld", way, what, &n) != 3 || n < 0) return false;
    struct rules *all[2] = { &f->up, &f->down };
    for (int at = 0; at < 2; at++) {
        if (strcmp(way, "both") && strcmp(way, at ? "down" : "up")) continue;
        struct rules *r = all[at];
        int64_t *slot = !strcmp(what, "delay")    ? &r->delay_ms
                        : !strcmp(what, "split")  ? &r->split
                        : !strcmp(what, "gap")    ? &r->gap_ms
                        : !strcmp(what, "stall")  ? &r->stall
                        : !strcmp(what, "rst")    ? &r->rst
                        : !strcmp(what, "fin")    ? &r->fin
                        : !strcmp(what, "garble") ? &r->garble
                                                  : NULL;
        if (!slot) return false;
        *slot = n;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct faults f;
    int option, one = 1, port = 0;
    f.up = f.down = (struct rules){ -1, -1, -1, -1, -1, -1, -1 };
    while ((option = getopt(argc, argv, "l:t:a:")) != -1) switch (option) {
        case 'l': port = atoi(optarg); break;
        case 't': f.target = atoi(optarg); break;
        case 'a':
            if (inet_pton(AF_INET, optarg, &f.source) != 1) return 2;
            break;
        default: return 2;
        }
    for (int at = optind; at < argc; at++)
        if (!add_rule(&f, argv[at])) {
            fprintf(stderr, "faultproxy: bad rule %s\n", argv[at]);
            return 2;
        }
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGUSR2, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGUSR2);
    sigaddset(&ours, SIGHUP);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    f.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = loopback(port);
    setsockopt(f.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(f.listener, (struct sockaddr *)&at, sizeof at) || listen(f.listener, 512))
        die("listen");
    for (;;) turn(&f);
}
