#include "proxy/sockets.h"

#include "proxy/ops/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_HANDED = 3 }; /* sd_listen_fds(3) */

static struct {
    char file[4096]; /* of the program: what stands there later is the next one */
    char **argv, **environment;
} born;

/* ---- what is handed to us -------------------------------------------------------------------- */

static bool add(struct sockets *s, int fd, const union socket_address *address)
{
    struct socket_slot *items = realloc(s->items, (s->count + 1) * sizeof *items);
    if (!items) return false;
    s->items = items;
    s->items[s->count++] = (struct socket_slot){ .fd = fd, .address = *address };
    return true;
}

static bool adopt(struct sockets *s, int fd, struct err *err)
{
    union socket_address address = { 0 };
    socklen_t bytes = sizeof address, size = sizeof(int);
    int listens = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
        return err_set(err, ERR_CONFIG, "descriptor %d was handed to us and does not listen", fd);
    if (getsockname(fd, &address.any, &bytes) != 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return err_set(err, ERR_CONFIG, "descriptor %d: %s", fd, strerror(errno));
    return add(s, fd, &address) || err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
}

static long number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

/* The descriptor by which the binary before us hears of cancel requests; -1: none that is one. */
static int before_us(long fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (fd < FIRST_HANDED || fd > FIRST_HANDED + SOCKETS_MAX) return -1;
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
        return -1;
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}

static bool inherit(struct sockets *s, struct err *err)
{
    long count = number_of("LISTEN_FDS"), parent = number_of("SLUICE_TAKES_OVER"),
         before = number_of("SLUICE_BEFORE");
    bool by_parent = parent > 1 && parent == getppid();
    bool by_systemd = number_of("LISTEN_PID") == getpid();
    static const char *const names[] = { "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                                         "SLUICE_TAKES_OVER", "SLUICE_BEFORE" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    s->before = -1;
    if (!by_parent && !by_systemd) return true;
    if (count < 0 || count > SOCKETS_MAX)
        return err_set(err, ERR_CONFIG, "LISTEN_FDS is not a sane number");
    s->from_elsewhere = by_systemd;
    s->takes_over = by_parent ? (pid_t)parent : 0;
    if (by_parent) s->before = before_us(before);
    for (int fd = FIRST_HANDED; fd < FIRST_HANDED + count; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (int fd = FIRST_HANDED; fd < FIRST_HANDED + count; fd++)
        if (!adopt(s, fd, err)) return false;
    return true;
}

/* ---- what we open ---------------------------------------------------------------------------- */

bool sockets_address(const struct config_address *at, union socket_address *out, struct err *err)
{
    char text[SOCKET_TEXT_BYTES];
    snprintf(text, sizeof text, "%s%s", at->is_unix ? "unix:" : "", at->host);
    return socket_address_parse(out, slice_str(text), at->port) ||
           err_set(err, ERR_CONFIG, "\"%s\" is no numeric address", at->text);
}

static bool is_same(const union socket_address *a, const union socket_address *b)
{
    if (a->any.sa_family != b->any.sa_family) return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (a->any.sa_family == AF_INET6)
        return a->v6.sin6_port == b->v6.sin6_port &&
               memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
    return strcmp(a->local.sun_path, b->local.sun_path) == 0;
}

static bool open_at(struct sockets *s, const struct config_address *at, unsigned times,
                    uint32_t backlog, struct err *err)
{
    union socket_address address;
    struct listen_options options = { .exclusive = times == 1, .backlog = backlog };
    if (!at->text) return true;
    if (!sockets_address(at, &address, err)) return false;
    for (size_t i = 0; i < s->count; i++)
        if (is_same(&s->items[i].address, &address)) return true;
    for (unsigned i = 0; i < times; i++) {
        int fd = listen_bind(&address, &options, err);
        if (fd < 0) return false;
        if (!add(s, fd, &address)) {
            close(fd);
            return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
        }
    }
    return true;
}

static bool open_all(struct sockets *s, const struct config *config, unsigned workers,
                     struct err *err)
{
    for (size_t i = 0; i < config->n_listen; i++) {
        const struct config_address *at = &config->listen[i].address;
        if (!open_at(s, at, at->is_unix ? 1 : workers, config->limits.backlog, err)) return false;
    }
    return open_at(s, &config->health.address, 1, 0, err) &&
           open_at(s, &config->admin.address, 1, 0, err);
}

/* A unix socket's file belongs to who listens there. */
static bool give_files(const struct sockets *s, const char *user, struct err *err)
{
    for (size_t i = 0; i < s->count && !s->from_elsewhere; i++)
        if (socket_is_local(&s->items[i].address) &&
            !privilege_give(user, s->items[i].address.local.sun_path, err))
            return false;
    return true;
}

/* A second proxy at the same port would take half of the clients from the first, and nobody would
 * notice. Who takes over has the port with its parent, and a socket of systemd's is its own. */
static bool ports_are_free(const struct sockets *s, const struct config *config, struct err *err)
{
    union socket_address address;
    for (size_t i = 0; i < config->n_listen && !s->takes_over && !s->from_elsewhere; i++) {
        if (!sockets_address(&config->listen[i].address, &address, err)) return false;
        if (!listen_is_free(&address, err)) return false;
    }
    return true;
}

static bool leave_root(struct sockets *s, const struct config *config, unsigned workers,
                       struct err *err)
{
    if (!config->user) {
        err_set(err, ERR_CONFIG, "will not run as root");
        err_hint(err, "name a system user in the directive user, or start as one");
        return false;
    }
    return open_all(s, config, workers, err) && give_files(s, config->user, err) &&
           privilege_drop(config->user, err);
}

bool sockets_settle(struct sockets *s, const struct config *config, unsigned workers,
                    struct log *log)
{
    struct err err;
    bool is_root = privilege_is_root();
    bool ok = inherit(s, &err) && ports_are_free(s, config, &err) &&
              (!is_root || leave_root(s, config, workers, &err));
    if (!ok)
        log_event(log, EVENT_start_failed, LOG_TEXT("why", err.message), LOG_TEXT("hint", err.hint),
                  LOG_END);
    else if (is_root)
        log_event(log, EVENT_privilege_dropped, LOG_TEXT("user", config->user), LOG_END);
    return ok;
}

int sockets_take(struct sockets *s, const union socket_address *at, unsigned part, unsigned parts,
                 bool first)
{
    unsigned ordinal = 0;
    int any = -1;
    for (size_t i = 0; i < s->count; i++) {
        struct socket_slot *slot = &s->items[i];
        if (!is_same(&slot->address, at)) continue;
        any = slot->fd;
        if (ordinal++ % parts != part || slot->taken) continue;
        slot->taken = true;
        return slot->fd;
    }
    return first && any >= 0 ? fcntl(any, F_DUPFD_CLOEXEC, 0) : -1;
}

void sockets_close_rest(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->items[i].taken) close(s->items[i].fd);
    sockets_fini(s);
}

void sockets_fini(struct sockets *s)
{
    free(s->items);
    s->items = NULL;
    s->count = 0;
}

/* ---- the next binary ------------------------------------------------------------------------- */

static bool is_ours(const char *variable)
{
    static const char *const names[] = { "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=",
                                         "SLUICE_TAKES_OVER=", "SLUICE_BEFORE=" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
    return false;
}

void sockets_remember(char **argv)
{
    size_t n = 0, kept = 0;
    ssize_t bytes = readlink("/proc/self/exe", born.file, sizeof born.file - 1);
    born.file[bytes > 0 ? bytes : 0] = 0;
    born.argv = argv;
    while (environ[n]) n++;
    born.environment = calloc(n + 4, sizeof(char *));
    for (size_t i = 0; born.environment && i < n; i++)
        if (!is_ours(environ[i]) && (born.environment[kept] = strdup(environ[i]))) kept++;
}

/* `count` sockets to listen on, and behind them, if `has_before`, the one that leads to us. */
static bool spawn(uv_loop_t *uv, uv_process_t *process, uv_stdio_container_t *stdio, size_t count,
                  bool has_before, uv_exit_cb on_exit, struct err *err)
{
    char handed[32], parent[48], before[48];
    size_t n = 0;
    snprintf(handed, sizeof handed, "LISTEN_FDS=%zu", count);
    snprintf(parent, sizeof parent, "SLUICE_TAKES_OVER=%d", (int)getpid());
    snprintf(before, sizeof before, "SLUICE_BEFORE=%zu", FIRST_HANDED + count);
    while (born.environment[n]) n++;
    born.environment[n] = handed;
    born.environment[n + 1] = parent;
    born.environment[n + 2] = has_before ? before : NULL;
    uv_process_options_t options = {
        .file = born.file,
        .args = born.argv,
        .env = born.environment,
        .stdio = stdio,
        .stdio_count = (int)(FIRST_HANDED + count + has_before),
        .exit_cb = on_exit,
    };
    int status = uv_spawn(uv, process, &options);
    for (size_t i = 0; i < 3; i++) born.environment[n + i] = NULL;
    return status == 0 || err_set(err, ERR_INTERNAL, "%s: %s", born.file, uv_strerror(status));
}

bool sockets_hand_over(uv_loop_t *uv, uv_process_t *process, const int *fds, size_t count,
                       int to_us, uv_exit_cb on_exit, struct err *err)
{
    const size_t all = FIRST_HANDED + count + (to_us >= 0);
    uv_stdio_container_t *stdio = calloc(all, sizeof *stdio);
    if (!stdio || !born.environment || !born.file[0]) {
        free(stdio);
        return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < all; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = i < FIRST_HANDED           ? (int)i
                           : i < FIRST_HANDED + count ? fds[i - FIRST_HANDED]
                                                      : to_us;
    }
    bool ok = spawn(uv, process, stdio, count, to_us >= 0, on_exit, err);
    free(stdio);
    return ok;
}
