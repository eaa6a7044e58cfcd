#include "proxy/io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int spare_open(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static bool fail(struct err *err, const union socket_address *address, const char *what, int code)
{
    char text[SOCKET_TEXT_BYTES];
    err_set(err, ERR_CONFIG, "cannot listen on %s: %s: %s", socket_address_text(address, text),
            what, strerror(code));
    if (code == EADDRINUSE)
        err_hint(err, "Another process has this address; stop it first (a proxy that is to be "
                      "replaced gets SIGUSR2 instead).");
    if (code == EADDRNOTAVAIL) err_hint(err, "No interface of this machine has this address.");
    if (code == EACCES) err_hint(err, "Ports below 1024 and this path need more permissions.");
    return false;
}

/* ---- unix sockets -----------------------------------------------------------------------------
 */

/* True when the path is free now. A file left behind by a process that is gone refuses
 * connections; one that takes them has an owner. */
static bool clear_stale_file(const union socket_address *address, struct err *err)
{
    struct stat file;
    if (lstat(address->local.sun_path, &file) != 0)
        return errno == ENOENT ? true : fail(err, address, "stat", errno);
    if (!S_ISSOCK(file.st_mode)) return fail(err, address, "a file that is no socket", EEXIST);
    int fd = socket_new(address, NULL, err);
    if (fd < 0) return false;
    bool refused = connect(fd, &address->any, sizeof address->local) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused) return fail(err, address, "somebody listens there", EADDRINUSE);
    if (unlink(address->local.sun_path) != 0) return fail(err, address, "unlink", errno);
    return true;
}

/* Linux makes the file with the socket's own mode; so nobody ever sees it with another, and the
 * umask, which belongs to all threads, stays as it is. */
static bool bind_local(struct listen *l, uint32_t mode, struct err *err)
{
    if (!clear_stale_file(&l->address, err)) return false;
    if (fchmod(l->fd, mode ? mode : 0700) != 0) return fail(err, &l->address, "chmod", errno);
    if (bind(l->fd, &l->address.any, sizeof l->address.local) != 0)
        return fail(err, &l->address, "bind", errno);
    return true;
}

static void note_file(struct listen *l)
{
    struct stat file;
    if (!l->is_local || lstat(l->address.local.sun_path, &file) != 0) return;
    l->file_device = file.st_dev;
    l->file_number = file.st_ino;
}

static void remove_file(const struct listen *l)
{
    struct stat file;
    if (!l->is_local || l->keep_file || lstat(l->address.local.sun_path, &file) != 0) return;
    if (file.st_dev == l->file_device && file.st_ino == l->file_number)
        unlink(l->address.local.sun_path);
}

/* ---- TCP ---------------------------------------------------------------------------------------
 */

static bool bind_tcp(struct listen *l, bool exclusive, struct err *err)
{
    int on = 1;
    if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (!exclusive && setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (l->address.any.sa_family == AF_INET6 &&
         setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0))
        return fail(err, &l->address, "setsockopt", errno);
    if (bind(l->fd, &l->address.any, socket_address_bytes(&l->address)) != 0)
        return fail(err, &l->address, "bind", errno);
    socklen_t bytes = sizeof l->address;
    if (getsockname(l->fd, &l->address.any, &bytes) != 0)
        return fail(err, &l->address, "getsockname", errno);
    return true;
}

/* ---- accepting ---------------------------------------------------------------------------------
 */

static void tell_trouble(struct listen *l, int code)
{
    uint64_t now_ms = uv_now(l->poll.loop);
    if (l->told_ms && now_ms - l->told_ms < LISTEN_TROUBLE_MS) return;
    struct err err;
    char text[SOCKET_TEXT_BYTES];
    err_set(&err, ERR_TOO_MANY_CLIENTS, "cannot accept on %s: %s",
            socket_address_text(&l->address, text), strerror(code));
    if (code == EMFILE) err_hint(&err, "Raise the limit of open files (LimitNOFILE, ulimit -n).");
    uint64_t refused = l->refused;
    l->refused = 0;
    l->told_ms = now_ms;
    l->events->on_trouble(l, refused, &err);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void on_retry(uv_timer_t *timer)
{
    struct listen *l = timer->data;
    uv_poll_start(&l->poll, UV_READABLE, on_ready);
}

/* No descriptor is left: gives up the spare one for a moment. False: that did not help either
 * (another thread took it). */
static bool turn_away(struct listen *l)
{
    if (l->spare_fd < 0) l->spare_fd = spare_open();
    if (l->spare_fd < 0) return false;
    close(l->spare_fd);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int code = errno;
    if (fd >= 0) {
        l->refused++;
        close(fd);
    }
    l->spare_fd = spare_open();
    return fd >= 0 || code == EAGAIN;
}

/* The level-triggered poll would come back at once, for nothing. */
static void pause_accepting(struct listen *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->retry, on_retry, LISTEN_RETRY_MS, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct listen *l = poll->data;
    (void)events;
    if (status < 0) {
        tell_trouble(l, -status);
        if (!l->closing) pause_accepting(l);
        return;
    }
    for (int n = 0; n < LISTEN_BUDGET && !l->closing; n++) {
        union socket_address peer = { 0 };
        socklen_t bytes = sizeof peer;
        int fd = accept4(l->fd, &peer.any, &bytes, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            l->events->on_accept(l, fd, &peer);
            continue;
        }
        int code = errno;
        if (code == EAGAIN || code == EWOULDBLOCK) return;
        if (code == EINTR || code == ECONNABORTED || code == EPROTO) continue;
        /* Linux hands over network errors that wait on the new socket; see accept(2). */
        if (code == ENETDOWN || code == ENOPROTOOPT || code == EHOSTDOWN || code == ENONET ||
            code == EHOSTUNREACH || code == EOPNOTSUPP || code == ENETUNREACH)
            continue;
        bool helped = (code == EMFILE || code == ENFILE) && turn_away(l);
        tell_trouble(l, code);
        if (helped) continue;
        if (!l->closing) pause_accepting(l);
        return;
    }
}

/* ---- opening and closing -----------------------------------------------------------------------
 */

static void on_handle_closed(uv_handle_t *handle)
{
    struct listen *l = handle->data;
    if (--l->open_handles == 0) l->events->on_closed(l);
}

/* The socket in l->fd; false: it is closed. */
static bool bind_and_listen(struct listen *l, const struct listen_options *options, struct err *err)
{
    l->fd = socket_new(&l->address, &options->keepalive, err);
    if (l->fd < 0) return false;
    bool bound =
        l->is_local ? bind_local(l, options->unix_mode, err) : bind_tcp(l, options->exclusive, err);
    if (bound) note_file(l);
    if (bound && listen(l->fd, options->backlog ? (int)options->backlog : LISTEN_BACKLOG) == 0)
        return true;
    if (bound) fail(err, &l->address, "listen", errno);
    remove_file(l);
    close(l->fd);
    return false;
}

int listen_bind(const union socket_address *address, const struct listen_options *options,
                struct err *err)
{
    struct listen l = { .address = *address, .is_local = socket_is_local(address) };
    return bind_and_listen(&l, options, err) ? l.fd : -1;
}

bool listen_is_free(const union socket_address *address, struct err *err)
{
    struct listen l = { .address = *address };
    if (socket_is_local(address)) return true;
    l.fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l.fd < 0) return fail(err, address, "socket", errno);
    bool free = bind_tcp(&l, true, err);
    close(l.fd);
    return free;
}

/* What somebody else opened has no options of ours yet. */
static bool adopt(struct listen *l, const struct listen_options *options, struct err *err)
{
    l->fd = options->fd;
    note_file(l);
    if (l->is_local || socket_tune(l->fd, &options->keepalive)) return true;
    fail(err, &l->address, "setsockopt", errno);
    close(l->fd);
    return false;
}

bool listen_open(struct listen *l, uv_loop_t *uv, const union socket_address *address,
                 const struct listen_options *options, const struct listen_events *events,
                 struct err *err)
{
    *l = (struct listen){ .events = events, .address = *address, .spare_fd = -1 };
    l->is_local = socket_is_local(address);
    l->keep_file = options->keep_file;
    if (!(options->fd > 0 ? adopt : bind_and_listen)(l, options, err)) return false;
    int status = uv_poll_init(uv, &l->poll, l->fd);
    if (status != 0) {
        fail(err, &l->address, "poll", -status);
        remove_file(l);
        close(l->fd);
        return false;
    }
    uv_timer_init(uv, &l->retry);
    l->open_handles = 2;
    l->poll.data = l->retry.data = l;
    l->spare_fd = spare_open();
    uv_poll_start(&l->poll, UV_READABLE, on_ready);
    return true;
}

void listen_tune(struct listen *l, const struct socket_keepalive *keepalive)
{
    if (!l->closing && !l->is_local) socket_keep_alive(l->fd, keepalive);
}

void listen_close(struct listen *l)
{
    if (l->closing) return;
    l->closing = true;
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
    remove_file(l);
    close(l->fd);
    if (l->spare_fd >= 0) close(l->spare_fd);
}
