/* relay PORT SERVER_PORT: the yardstick. Moves bytes both ways between a client and a server of its
 * own, one thread, epoll, one receive buffer; looks at nothing, shares nothing, holds nothing but
 * what a full socket refused. No proxy with two sockets per client can cost much less. */
#include "bench/loop.h"

enum { RECEIVE_BYTES = 64 * 1024, READS_PER_TURN = 8, ACCEPTS_PER_TURN = 64 };

struct end {
    int fd;
    bool connecting;
    uint32_t events; /* as registered */
    char *held;      /* what this end must still be sent */
    size_t held_at, held_len;
    struct end *peer;
    struct pair *pair;
};

struct pair {
    struct end client, server;
    bool dead;
    struct pair *next_dead;
};

struct relay {
    int ep, listener, server_port;
    struct pair *dead; /* freed at the end of the turn: events for them may still be queued */
    char receive[RECEIVE_BYTES];
};

static void want(struct relay *r, struct end *e, uint32_t events)
{
    if (e->events == events) return;
    watch(r->ep, EPOLL_CTL_MOD, e->fd, events, e);
    e->events = events;
}

static void pair_end(struct relay *r, struct pair *p)
{
    if (p->dead) return;
    p->dead = true;
    close(p->client.fd);
    close(p->server.fd);
    free(p->client.held);
    free(p->server.held);
    p->next_dead = r->dead;
    r->dead = p;
}

static bool on_readable(struct relay *r, struct end *from)
{
    struct end *to = from->peer;
    for (int round = 0; round < READS_PER_TURN; round++) {
        ssize_t got = recv(from->fd, r->receive, sizeof r->receive, 0), sent = 0;
        if (got <= 0) return got < 0 && errno == EAGAIN;
        if (!to->connecting) sent = send(to->fd, r->receive, (size_t)got, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) sent = 0;
        if (sent < got) { /* hold the rest, and read no more until it is gone */
            to->held_len = (size_t)(got - sent);
            to->held_at = 0;
            to->held = malloc(to->held_len);
            if (!to->held) return false;
            memcpy(to->held, r->receive + sent, to->held_len);
            want(r, to, to->events | EPOLLOUT);
            want(r, from, from->events & ~(uint32_t)EPOLLIN);
            return true;
        }
        if ((size_t)got < sizeof r->receive) return true; /* drained: no second recv */
    }
    return true;
}

static bool on_writable(struct relay *r, struct end *e)
{
    if (e->connecting) {
        int error = 0;
        socklen_t len = sizeof error;
        getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) return false;
        e->connecting = false;
    }
    if (e->held) {
        ssize_t sent = send(e->fd, e->held + e->held_at, e->held_len - e->held_at, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        e->held_at += (size_t)sent;
        if (e->held_at < e->held_len) return true;
        free(e->held);
        e->held = NULL;
        want(r, e->peer, e->peer->events | EPOLLIN);
    }
    want(r, e, e->events & ~(uint32_t)EPOLLOUT);
    return true;
}

static void on_client(struct relay *r)
{
    struct sockaddr_in server = loopback(r->server_port);
    for (int n = 0; n < ACCEPTS_PER_TURN; n++) {
        int a = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK);
        if (a < 0) return;
        int b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct pair *p = calloc(1, sizeof *p);
        if (b < 0 || !p ||
            (connect(b, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)) {
            close(a);
            if (b >= 0) close(b);
            free(p);
            continue;
        }
        no_delay(a);
        no_delay(b);
        p->client = (struct end){ .fd = a, .events = EPOLLIN, .peer = &p->server, .pair = p };
        p->server = (struct end){
            .fd = b, .events = EPOLLIN | EPOLLOUT, .connecting = true, .peer = &p->client, .pair = p
        };
        watch(r->ep, EPOLL_CTL_ADD, a, p->client.events, &p->client);
        watch(r->ep, EPOLL_CTL_ADD, b, p->server.events, &p->server);
    }
}

int main(int argc, char **argv)
{
    static struct relay r;
    struct epoll_event events[512];
    if (argc != 3) return 2;
    prepare_process();
    r.ep = epoll_create1(0);
    r.listener = listen_on(atoi(argv[1]));
    r.server_port = atoi(argv[2]);
    watch(r.ep, EPOLL_CTL_ADD, r.listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(r.ep, events, 512, -1);
        for (int at = 0; at < n; at++) {
            struct end *e = events[at].data.ptr;
            if (!e) {
                on_client(&r);
                continue;
            }
            if (e->pair->dead) continue;
            bool ok = true;
            if (events[at].events & EPOLLOUT) ok = on_writable(&r, e);
            if (ok && events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ok = on_readable(&r, e);
            if (!ok) pair_end(&r, e->pair);
        }
        while (r.dead) {
            struct pair *p = r.dead;
            r.dead = p->next_dead;
            free(p);
        }
    }
}
