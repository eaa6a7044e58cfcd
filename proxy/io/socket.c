#include "proxy/io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

static bool parse_local(struct sockaddr_un *local, struct slice path)
{
    /* Absolute only: an empty or NUL-led path would be another name space (unix(7), abstract). */
    if (path.len < 2 || path.len >= sizeof local->sun_path || path.at[0] != '/') return false;
    if (memchr(path.at, '\0', path.len)) return false;
    *local = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(local->sun_path, path.at, path.len);
    return true;
}

bool socket_address_parse(union socket_address *address, struct slice text, uint16_t port)
{
    char host[INET6_ADDRSTRLEN];
    memset(address, 0, sizeof *address);
    if (slice_starts(text, "unix:")) return parse_local(&address->local, slice_after(text, 5));
    if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
        text = slice_of(text.at + 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof host || memchr(text.at, '\0', text.len)) return false;
    memcpy(host, text.at, text.len);
    host[text.len] = '\0';
    /* inet_pton takes neither hexadecimal nor octal nor short forms, unlike inet_aton. */
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        return true;
    }
    return false;
}

socklen_t socket_address_bytes(const union socket_address *address)
{
    switch (address->any.sa_family) {
    case AF_INET: return sizeof address->v4;
    case AF_INET6: return sizeof address->v6;
    case AF_UNIX: return sizeof address->local;
    default: return 0;
    }
}

const char *socket_address_text(const union socket_address *address, char text[SOCKET_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(text, SOCKET_TEXT_BYTES, "%s:%u", host, ntohs(address->v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
        snprintf(text, SOCKET_TEXT_BYTES, "[%s]:%u", host, ntohs(address->v6.sin6_port));
        break;
    case AF_UNIX:
        /* The far end of an accepted unix connection has no name. */
        snprintf(text, SOCKET_TEXT_BYTES, "unix:%.*s", (int)sizeof address->local.sun_path,
                 address->local.sun_path);
        break;
    default: snprintf(text, SOCKET_TEXT_BYTES, "unknown"); break;
    }
    return text;
}

bool socket_is_local(const union socket_address *address)
{
    return address->any.sa_family == AF_UNIX;
}

static bool set(int fd, int level, int option, uint32_t value)
{
    int v = (int)value;
    return setsockopt(fd, level, option, &v, sizeof v) == 0;
}

bool socket_keep_alive(int fd, const struct socket_keepalive *keepalive)
{
    if (!keepalive || !keepalive->idle_s) return set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    return set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
           set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive->idle_s) &&
           (!keepalive->interval_s || set(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive->interval_s)) &&
           (!keepalive->probes || set(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive->probes));
}

bool socket_tune(int fd, const struct socket_keepalive *keepalive)
{
    return set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && socket_keep_alive(fd, keepalive);
}

int socket_new(const union socket_address *address, const struct socket_keepalive *keepalive,
               struct err *err)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set(err, ERR_SERVER_UNREACHABLE, "cannot make a socket: %s", strerror(errno));
        return -1;
    }
    if (!socket_is_local(address) && !socket_tune(fd, keepalive)) {
        err_set(err, ERR_SERVER_UNREACHABLE, "cannot set a socket's keepalive: %s",
                strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}
