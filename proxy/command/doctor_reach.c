#include "proxy/command/doctor_reach.h"

#include "protocol/err.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 3000 };

struct answer {
    struct resolve_answer found;
    struct err err;
    bool came, ok;
};

static void on_resolved(void *owner, const struct resolve_answer *found, const struct err *err)
{
    struct answer *a = owner;
    a->came = true;
    a->ok = found != NULL;
    if (found) a->found = *found;
    if (err) a->err = *err;
}

static double ms_since(uint64_t begun_ns) { return (double)(uv_hrtime() - begun_ns) / 1e6; }

static bool find(uv_loop_t *loop, const char *host, uint16_t port, struct answer *a)
{
    *a = (struct answer){ 0 };
    if (!resolve_start(loop, slice_str(host), port, PATIENCE_MS, on_resolved, a, &a->err))
        return false;
    while (!a->came) uv_run(loop, UV_RUN_ONCE);
    return a->ok;
}

static bool is_private(const union socket_address *at)
{
    if (at->any.sa_family == AF_INET)
        return doctor_is_private((const uint8_t *)&at->v4.sin_addr, false);
    return at->any.sa_family != AF_INET6 ||
           doctor_is_private((const uint8_t *)&at->v6.sin6_addr, true);
}

/* 0, or errno: ETIMEDOUT when nobody answered. */
static int try_connect(const union socket_address *at, int patience_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (connect(fd, &at->any, socket_address_bytes(at)) != 0) error = errno;
    if (error == EINPROGRESS) {
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        error = poll(&p, 1, patience_ms) == 1 ? 0 : ETIMEDOUT;
        if (!error && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
    close(fd);
    return error;
}

static enum doctor_symptom symptom_of(int error)
{
    switch (error) {
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return DOCTOR_NO_ROUTE;
    case ETIMEDOUT:
    case EHOSTUNREACH: return DOCTOR_SILENT;
    case ECONNREFUSED: return DOCTOR_REFUSED;
    default: return DOCTOR_FAILED;
    }
}

bool doctor_reach(uv_loop_t *loop, const char *host, uint16_t port, struct doctor_reach *r)
{
    struct answer a;
    uint64_t begun = uv_hrtime();
    *r = (struct doctor_reach){ .symptom = DOCTOR_NO_NAME };
    r->named = find(loop, host, port, &a);
    r->name_ms = ms_since(begun);
    if (!r->named) {
        snprintf(r->said, sizeof r->said, "%s", a.err.message);
        return false;
    }
    r->n_addresses = a.found.count;
    begun = uv_hrtime();
    for (uint32_t i = 0; i < a.found.count && !r->connected; i++) {
        int left = PATIENCE_MS - (int)ms_since(begun);
        if (left <= 0) break;
        int error = try_connect(&a.found.at[i], left);
        r->at = a.found.at[i];
        r->is_private = is_private(&r->at);
        r->connected = error == 0;
        if (error == 0) break;
        r->symptom = symptom_of(error);
        snprintf(r->said, sizeof r->said, "%s",
                 error == ETIMEDOUT ? "no answer within 3 s" : strerror(error));
    }
    r->connect_ms = ms_since(begun);
    return r->connected;
}
