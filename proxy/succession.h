/* succession: between a process and the binary that takes over from it, cancel requests.
 *
 *      client --CancelRequest--> the new one: no key of mine --8 bytes--> the old one
 *
 * A cancel request comes by a connection of its own, and that is accepted by whoever listens: by
 * the new binary, which knows nothing of the sessions that the old one still has. So it is born
 * with a pair of sockets between them. What the old one does not know either it hands to the one
 * before it, or to the other proxies (fleet_cancel.h), as if it had been asked itself.
 *
 * Not the sockets that clients come by: sockets.h. Thread: control's, but for succession_cancel.
 */
#ifndef SLUICE_PROXY_SUCCESSION_H
#define SLUICE_PROXY_SUCCESSION_H

#include "protocol/slice.h"
#include "proxy/shared.h"

struct succession {
    uv_poll_t after; /* to the binary that we started */
    struct shared *shared;
    int fd; /* its descriptor; -1: there is none */
};

/* Makes the pair. Returns the end that the next binary is to inherit, for the caller to close; -1:
 * none could be made, and its cancel requests will find nobody here. */
int succession_open(struct succession *s, uv_loop_t *uv, struct shared *shared);

/* The next binary did not come to be, or we end. */
void succession_close(struct succession *s);

/* Hands a key that is nobody's here to the binary before us. False: there is none any more. Any
 * thread. */
bool succession_cancel(const struct shared *shared, uint32_t pid, struct slice key);

#endif
