/* cancel: from a CancelRequest to the right query, or to none.
 *
 * The keys are ours: a secret of our own goes to each client, never a server's.
 * Every worker keeps a table of its sessions' keys; a request that arrives
 * anywhere is offered to all workers, and the one that knows the whole key (pid
 * and secret) acts. Outgoing, a cancel is a connection of its own to the server's
 * address. While one is under way its server is given to nobody else: a cancel
 * that arrives late must not hit a stranger's query.
 * Source: PostgreSQL 15, 55.2.8 Canceling Requests in Progress.
 */
#ifndef SLUICE_PROXY_CANCEL_H
#define SLUICE_PROXY_CANCEL_H

#include "protocol/map.h"
#include "proxy/address.h"
#include "proxy/env.h"
#include "proxy/io/mailbox.h"

#include <stdatomic.h>

struct fleet;
struct server;
struct worker;

enum { CANCEL_KEY_BYTES = 4 };

/* pid and secret as they are on the wire: the name under which a session can be cancelled. */
struct cancel_entry {
    uint8_t name[4 + CANCEL_KEY_BYTES];
    bool listed;
};

/* Lists `owner` under a fresh secret; `pid` 0: a random one of our own; see fleet_pid. False: no
 * memory. */
bool cancel_list(struct map *table, struct cancel_entry *entry, uint32_t pid, void *owner);
void cancel_unlist(struct map *table, struct cancel_entry *entry);

/* Whose key this is; NULL: nobody's. */
void *cancel_find(const struct map *table, uint32_t pid, struct slice key);

static inline uint32_t cancel_pid(const struct cancel_entry *e)
{
    return (uint32_t)e->name[0] << 24 | (uint32_t)e->name[1] << 16 | (uint32_t)e->name[2] << 8 |
           e->name[3];
}

static inline struct slice cancel_key(const struct cancel_entry *e)
{
    return slice_of(e->name + 4, CANCEL_KEY_BYTES);
}

/* A cancel under way, and who waits for its end. Everybody who still works on it holds a reference;
 * the last to let go hands it to `over`, which frees it. Any thread. */
struct cancel_wait {
    struct mail mail; /* for whoever has it at the end */
    atomic_uint refs;
    atomic_bool found; /* a session has this key */
    void (*over)(struct cancel_wait *w);
    uint32_t pid;
    uint8_t key[CANCEL_KEY_BYTES];
    /* Who asked: a connection on some worker, */
    struct worker *worker;
    uint64_t client; /* its id */
    struct address from;
    /* or another proxy, with which of its messages. */
    struct fleet *fleet;
    uint64_t asker, serial;
};
struct cancel_wait *cancel_wait_new(void (*over)(struct cancel_wait *w)); /* NULL: no memory */
struct cancel_wait *cancel_wait_ref(struct cancel_wait *w); /* NULL is fine, for both */
void cancel_wait_unref(struct cancel_wait *w);

/* Asks the server to cancel what it is doing. `server->cancels` counts the requests under way;
 * `settled` is called (with the server) each time one is over, however it ended, unless the
 * server was closed meanwhile. `wait` (NULL: nobody waits) is held until then. */
void cancel_send(struct server *server, struct cancel_wait *wait,
                 void (*settled)(struct server *server));

/* The server is closing: requests under way no longer refer to it. */
void cancel_forget(struct server *server);

#endif
