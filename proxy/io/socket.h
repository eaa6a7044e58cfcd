/* socket: addresses of sockets, and what we ask of the kernel for each.
 *
 * Values only: no loop, no callback. An address is numeric; names are resolved in
 * io/resolve. Thread: any.
 */
#ifndef SLUICE_PROXY_IO_SOCKET_H
#define SLUICE_PROXY_IO_SOCKET_H

#include "protocol/err.h"
#include "protocol/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/* 110 bytes where sockaddr_storage has 128; `any.sa_family` says which one it is. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

enum { SOCKET_TEXT_BYTES = 128 };

/* When a silent peer counts as dead: after idle_s seconds without a byte, `probes` probes that
 * are interval_s apart. idle_s 0: never. */
struct socket_keepalive {
    uint32_t idle_s, interval_s, probes;
};

/* `text` is an IPv4 address with all four parts in decimal, an IPv6 address (with or without
 * brackets), or unix:/path. False: it is none of these (a name, or an oddity such as 0x7f.1). */
bool socket_address_parse(union socket_address *address, struct slice text, uint16_t port);

/* How much of the union is in use; what bind() and connect() want. */
socklen_t socket_address_bytes(const union socket_address *address);

/* "192.0.2.1:5439", "[2001:db8::1]:5439", "unix:/path". Returns `text`. */
const char *socket_address_text(const union socket_address *address, char text[SOCKET_TEXT_BYTES]);

bool socket_is_local(const union socket_address *address); /* unix */

/* A non-blocking, close-on-exec stream socket for the address's family; TCP: no delay, and
 * keepalive. A listening socket's options are inherited by the sockets that it accepts, so that
 * nothing has to be set for each client. Returns the fd, or -1 with `err`. */
int socket_new(const union socket_address *address, const struct socket_keepalive *keepalive,
               struct err *err);

/* What socket_new does to a TCP socket, for one made elsewhere. */
bool socket_tune(int fd, const struct socket_keepalive *keepalive);

/* Changes a TCP socket's keepalive; false: errno says why. */
bool socket_keep_alive(int fd, const struct socket_keepalive *keepalive);

#endif
