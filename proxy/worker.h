/* worker: one thread, one loop, and everything that lives on it.
 *
 * Listeners, sessions, pools, buffers: all of a worker's are touched by its own
 * thread only. Other threads reach it through its mailbox.
 */
#ifndef SLUICE_PROXY_WORKER_H
#define SLUICE_PROXY_WORKER_H

#include "proxy/cancel.h"
#include "proxy/hoard.h"
#include "proxy/io/listen.h"
#include "proxy/io/mailbox.h"
#include "proxy/outbox.h"
#include "proxy/pool.h"
#include "proxy/realm.h"
#include "proxy/refusals.h"
#include "proxy/route_force.h"
#include "proxy/shared.h"

struct client;
struct session;
struct worker_listener;

struct worker {
    struct env env;
    uv_loop_t loop;
    uv_thread_t thread;
    unsigned index;
    struct mailbox mailbox;
    struct worker_listener *listeners;
    size_t n_listeners, n_listening; /* open; open or still closing */
    struct list cancelling;          /* connections that wait for the end of their cancel */
    struct hoard hoard;              /* memory for statements that arrive */
    struct wheel_node hoard_timer;
    struct list sessions;        /* clients, by client.node */
    struct map pools;            /* by key */
    struct buf paused_databases; /* PAUSE: names, each with its NUL */
    bool paused;                 /* all of them */
    struct map cancels;          /* sessions by cancel key */
    struct stmt_table stmts;
    struct settings_table *settings;
    struct regex_scratch *expressions; /* for the routing table's; NULL: not needed yet */
    uint64_t unnamed_serial;           /* counts unnamed statements */
    struct upstream to_server;
    struct outbox to_client;
    struct refusals refusals; /* the last ones, for SHOW DENIED */
    struct wheel_node tick;   /* while it stops */
    bool started, stopping, stopping_now, over;
    void (*on_over)(void *owner); /* its loop has ended; called on its thread */
    void *on_over_owner;
};

/* The descriptors that it listens with, from control's thread, before it is told to stop. */
size_t worker_sockets(const struct worker *w, int *fds, size_t cap);

/* Makes worker `index` of `parts` and opens its listeners; false with `err`. The thread is not
 * started yet. */
bool worker_init(struct worker *w, unsigned index, unsigned parts, struct shared *shared,
                 struct realm *realm, struct route_force *routes, struct route_force *shadow,
                 struct log *log, struct err *err);
bool worker_start(struct worker *w);

/* From another thread. stop: closes listeners, says goodbye to idle clients, and ends when the last
 * is gone, or at once when `now`. join: waits for the thread and frees everything. */
void worker_stop(struct worker *w, bool now);
void worker_reload(struct worker *w, struct realm *realm, struct route_force *routes,
                   struct route_force *shadow);
void worker_route(struct worker *w, struct route_force *routes, struct route_force *shadow);
void worker_join(struct worker *w);

/* The pool for a setup, made when it is new; NULL when memory ran out. */
struct pool *worker_pool(struct worker *w, const struct pool_setup *setup);

/* The pool will not be found any more; it closes itself. */
void worker_forget_pool(struct worker *w, struct pool *p);

/* The same as worker_pool if there is one already; else NULL. */
struct pool *worker_known_pool(struct worker *w, const struct pool_setup *setup);

/* Whether PAUSE holds for pools of this database. */
bool worker_is_paused(const struct worker *w, struct slice database);

/* The worker that such a pool belongs to. */
struct worker *worker_of_pool(struct worker *w, const struct pool_setup *setup);

/* Sends a session to another worker; see session_arrive. */
void worker_send(struct worker *to, struct session *s, struct stream_moved *moved);

/* A pool of this cluster found its budget spent: pools of all workers are asked to close an idle
 * server. */
void worker_ask_way(struct worker *w, const struct budget *cluster);

/* This cluster's servers are more than the fleet allows: workers close idle ones until nothing is
 * left of the budget's excess; with `force`, others, too. Any thread. */
void worker_shrink(struct worker *w, struct budget *cluster, bool force);

/* `c` has heard an answer. While the worker drains, a client that never pauses can be told to go
 * only then. */
void worker_replied(struct worker *w, struct client *c);

/* A CancelRequest from `c`: offered to all workers. `c` is closed when it has been delivered, or is
 * nobody's. */
void worker_cancel(struct worker *w, struct client *c, uint32_t pid, struct slice key);

/* The same for one that the binary after us was asked for, whose client is not here. Any thread. */
void worker_cancel_for_next(struct worker *w, uint32_t pid, struct slice key);

/* The same for a cancel that another proxy asks for; `wait` is held until it is carried out. Any
 * thread. */
void worker_offer_cancel(const struct shared *shared, struct cancel_wait *wait);

/* The connection that asked for a cancel may be closed; `unknown`: the key was nobody's. Any
 * thread. */
void worker_cancel_over(struct worker *w, uint64_t client, bool unknown);

#endif
