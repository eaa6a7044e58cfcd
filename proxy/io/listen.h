/* listen: one listening socket of one loop.
 *
 * Accepts and hands over: no reading, no limits, no policy. TCP sockets share their
 * port with the other loops' (SO_REUSEPORT), the kernel spreads the connections; a
 * unix path can have one socket only.
 * When file descriptors run out, the waiting connection is accepted with a spare
 * one and closed at once, so that its client is not left hanging and the loop does
 * not spin.
 * Ownership: embedded in its owner. Thread: the loop's.
 */
#ifndef SLUICE_PROXY_IO_LISTEN_H
#define SLUICE_PROXY_IO_LISTEN_H

#include "proxy/io/socket.h"

#include <uv.h>

struct listen;

struct listen_events {
    /* A connection; `fd` (non-blocking, close-on-exec, with the listener's options) is the
     * callee's. May close the listener. */
    void (*on_accept)(struct listen *l, int fd, const union socket_address *peer);
    /* Connections had to be refused: `refused` of them since the last call. At most one call in
     * LISTEN_TROUBLE_MS. */
    void (*on_trouble)(struct listen *l, uint64_t refused, const struct err *err);
    void (*on_closed)(struct listen *l);
};

enum {
    LISTEN_BUDGET = 64, /* connections accepted in one go, then others have their turn */
    LISTEN_TROUBLE_MS = 1000,
    LISTEN_RETRY_MS = 100, /* pause after an error that closing the connection does not cure */
    LISTEN_BACKLOG = 4096,
};

struct listen_options {
    struct socket_keepalive keepalive;
    uint32_t backlog;   /* connections that wait for us in the kernel; 0: LISTEN_BACKLOG */
    uint32_t unix_mode; /* permissions of a unix socket's file; 0: 0700 */
    bool exclusive;     /* no SO_REUSEPORT: nobody else may listen there */
    int fd;             /* what listens there already, and becomes the listener's; 0: none */
    bool keep_file;     /* the unix socket's file is somebody else's to remove */
};

struct listen {
    uv_poll_t poll;
    uv_timer_t retry;
    const struct listen_events *events;
    int fd, spare_fd;
    uint8_t open_handles;
    bool closing, is_local;
    bool keep_file; /* may be set until it closes */
    uint64_t refused, told_ms;
    uint64_t file_device, file_number; /* of the unix socket's file, to remove no other's */
    union socket_address address;      /* with the port that the kernel chose for 0 */
};

/* Whether nobody listens there yet, no process of our own user either (which SO_REUSEPORT would let
 * share the port, with half of the clients each). `err` when somebody does. */
bool listen_is_free(const union socket_address *address, struct err *err);

/* Binds and listens, for a listener to come (options.fd). Returns the fd, or -1 with `err`. */
int listen_bind(const union socket_address *address, const struct listen_options *options,
                struct err *err);

/* Binds and listens. False: nothing is open, nothing will be called. A unix socket's file that
 * nobody listens on is replaced; any other file at that path is an error. IPv6 sockets take no
 * IPv4 connections. */
bool listen_open(struct listen *l, uv_loop_t *uv, const union socket_address *address,
                 const struct listen_options *options, const struct listen_events *events,
                 struct err *err);

/* For connections accepted from now on. */
void listen_tune(struct listen *l, const struct socket_keepalive *keepalive);

/* Stops at once, removes the unix socket's file; on_closed comes later, once, and then the memory
 * may go. Harmless when closing already. */
void listen_close(struct listen *l);

#endif
