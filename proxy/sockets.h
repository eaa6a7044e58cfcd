/* sockets: the listening sockets that were there before us, or must outlive us.
 *
 *   handed by systemd       LISTEN_FDS, LISTEN_PID (socket activation)
 *   handed by the old one   LISTEN_FDS, SLUICE_TAKES_OVER: the binary before us, our parent
 *   opened while root       before privileges are dropped
 *
 * Whoever listens takes its socket from here, by address; what connected meanwhile waits in the
 * socket's queue and is not lost. Several threads may listen on one socket, by dup.
 * Thread: control's, before any worker runs; sockets_hand_over: control's.
 */
#ifndef SLUICE_PROXY_SOCKETS_H
#define SLUICE_PROXY_SOCKETS_H

#include "proxy/io/listen.h"
#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

enum { SOCKETS_MAX = 1024 };

struct socket_slot {
    int fd;
    union socket_address address;
    bool taken;
};

struct sockets {
    struct socket_slot *items;
    size_t count;
    pid_t takes_over;    /* who is to go once we are ready; 0: nobody */
    int before;          /* to that process (succession.h), for whoever takes it; -1: none */
    bool from_elsewhere; /* by systemd: a unix socket's file is its */
};

/* Takes what was handed to this process; as root, also opens what the configuration names and was
 * not handed, `workers` times each where clients arrive, and then becomes the configuration's
 * `user` before anything else is read. False: logged; the process must not go on. */
bool sockets_settle(struct sockets *s, const struct config *config, unsigned workers,
                    struct log *log);

/* One for part `part` of `parts` listeners at this address, -1: none (any more). A part that finds
 * none at all where others did gets one of theirs again (`first`: its first call). */
int sockets_take(struct sockets *s, const union socket_address *at, unsigned part, unsigned parts,
                 bool first);

/* Closes what nobody wanted. */
void sockets_close_rest(struct sockets *s);
void sockets_fini(struct sockets *s);

/* The numeric address of a directive. False with `err`. */
bool sockets_address(const struct config_address *at, union socket_address *out, struct err *err);

/* ---- the next binary ---- */

/* How this process was started, to start the next one likewise. Once, before anything changes the
 * environment. */
void sockets_remember(char **argv);

/* Starts the program's file, as it is now, with the sockets, and with `to_us` (-1: none). True:
 * `process` is its handle; `on_exit` comes when it ends. */
bool sockets_hand_over(uv_loop_t *uv, uv_process_t *process, const int *fds, size_t count,
                       int to_us, uv_exit_cb on_exit, struct err *err);

#endif
