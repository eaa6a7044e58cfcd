/* pool: the servers of one (cluster, database, database user, role, protocol version),
 * and the line of those who wait for one.
 *
 *      join --> an idle server now
 *          \-> the line --> a server given back, or a new one that logged in
 *                      \-> refused: waited too long, or nobody can be reached
 *
 * First come, first served. A server is dialled when somebody waits and both the
 * pool's size and the cluster's budget allow it; failures are retried with
 * growing pauses, so that a dead cluster is not stormed. The most recently used
 * idle server goes first, so that the others grow old and are closed.
 *
 * Servers are opened with startup parameters (`pairs`). In transaction mode all
 * servers of a pool have the same; in session mode each client brings its own, and
 * a server only goes to a client with equal ones. The limit counts them all.
 *
 * Where the warehouse judges what clients give (passthrough.h), there is a pool for each password
 * or token; it keeps it, and goes with its last session and server.
 *
 * A pool belongs to one worker and is touched by no other thread: its limit and
 * its line are exact. It knows sessions only as tickets.
 */
#ifndef SLUICE_PROXY_POOL_H
#define SLUICE_PROXY_POOL_H

#include "proxy/server.h"

struct pool;
struct pool_ticket;

struct pool_events {
    void (*on_bytes)(struct server *s, const char *at, size_t len);
    void (*on_drained)(struct server *s);
    /* A server that serves a session died; s->session is cleared afterwards. */
    void (*on_lost)(struct server *s, const struct err *err);
    void (*on_dropped)(void *local); /* as server's */
};

/* What becomes of a ticket. */
struct pool_ticket_events {
    void (*served)(struct pool_ticket *t, struct server *s);
    void (*refused)(struct pool_ticket *t, const struct err *err);
    /* The cluster does not accept this startup parameter: take it out of `pairs`. */
    void (*drop_parameter)(struct pool_ticket *t, struct slice name);
    /* The cluster cannot be reached. May leave the line for another pool's; true: it did. */
    bool (*detour)(struct pool_ticket *t);
};

struct pool_ticket {
    struct list node; /* on no list: not waiting */
    const struct pool_ticket_events *events;
    struct slice pairs; /* startup parameters wanted; the session's, must stay */
    uint64_t since_ms;
};

/* What a server says of itself when it is set to certain settings: so that a client that wants the
 * same need not wait for a server to be welcomed. */
struct pool_welcome {
    struct settings *settings;
    struct params params;
};

/* What was done for a pool since it was made. */
struct pool_stats {
    uint64_t assignments, transactions, queries;
    uint64_t received_bytes, sent_bytes; /* from and to clients */
    uint64_t transaction_ms, query_ms, wait_ms;
    uint64_t client_parses, server_parses, binds;
};

/* Where a server stands in its pool. */
enum pool_place { POOL_OPENING, POOL_IDLE, POOL_BUSY, POOL_LEAVING, POOL_PLACES };

struct pool {
    struct env *env;
    const struct pool_events *events;
    char *key;
    struct server_target target;
    char *role;
    uint64_t checked; /* the generation for which its user was found no stronger: see excess.h */
    struct config_pool settings;
    struct budget *of_database, *of_user; /* beside the cluster's own */
    struct list servers[POOL_PLACES];     /* idle: the most recently used first */
    uint32_t count[POOL_PLACES];
    struct list line;
    uint32_t n_line, n_sessions; /* who waits; all whose pool it is */
    uint32_t rank;               /* among its worker's: see pool_facts.h */
    uint64_t resumed_ms;         /* waiting began anew then */
    struct wheel_node line_timer, dial_timer, sweep_timer;
    struct buf recent_pairs; /* of the last client: what warm servers are opened with */
    struct params welcome;   /* what its servers say of themselves; known once one has logged in */
    bool welcomed;
    uint64_t proven_ms;            /* a server logged in last then */
    uint64_t kind;                 /* params_kind of the welcome */
    struct pool_welcome *welcomes; /* the same, once a client's settings are applied */
    uint32_t n_welcomes;
    bool paused, closing;
    uint32_t failures; /* dials in a row that came to nothing */
    struct err last_failure;
    uint64_t failed_ms;      /* and when that was */
    struct pool_stats stats; /* see tally.h */
};

/* What a client gave that the warehouse is to judge: see passthrough.h. */
struct pool_given {
    const struct secret *secret; /* NULL: the pool logs in with credentials of its own */
    struct slice context;        /* startup parameters that belong to it: key NUL value NUL ... */
    char id[33];                 /* one for each secret and context */
    bool is_token;               /* for code 14 */
};

/* What makes a pool; strings are copied. */
struct pool_setup {
    struct realm *realm;
    const struct realm_cluster *cluster;
    struct slice database, db_user, role, protocol_version;
    struct config_pool settings;
    struct pool_given given;
};

/* A session of the pool has left: a pool for one secret may go now. `p` may be gone afterwards. */
void pool_left(struct pool *p);

/* The key that tells pools apart, appended to `out`. */
void pool_key(const struct pool_setup *setup, struct buf *out);

/* The same without the cluster: pools that a session may be routed between, from one transaction to
 * the next, have the same, and live on the same worker. */
void pool_family_key(const struct pool_setup *setup, struct buf *out);

/* NULL when memory ran out. */
struct pool *pool_new(struct env *env, const struct pool_events *events,
                      const struct pool_setup *setup, struct slice key);

/* Refuses who waits, closes idle servers; busy ones are closed as they are given back. The pool
 * frees itself when its last server is closed. */
void pool_close(struct pool *p, const struct err *why);

/* A server now (returned), or a place in the line (NULL): then exactly one of `served` and
 * `refused` is called, later, unless pool_leave comes first. */
struct server *pool_join(struct pool *p, struct pool_ticket *t);

/* The same for one whose server was lost before it was asked anything: at the head of the line, and
 * its time goes on. */
struct server *pool_join_again(struct pool *p, struct pool_ticket *t);

/* The welcome for these settings; NULL: not known yet. */
const struct params *pool_recall(const struct pool *p, const struct settings *settings);
void pool_remember(struct pool *p, struct settings *settings, const struct params *params);

/* Leaves the line; harmless when not in it. */
void pool_leave(struct pool *p, struct pool_ticket *t);

static inline bool pool_ticket_waits(const struct pool_ticket *t)
{
    return !list_is_empty(&t->node);
}

/* The session is done with the server, and it is clean; it goes to whoever is next. */
void pool_give_back(struct pool *p, struct server *s);

/* The session is done with the server, and it is not fit for another. */
void pool_discard(struct pool *p, struct server *s, const char *why);

/* New settings after a reload: servers above the size are closed as they become free, servers of
 * an older realm likewise. */
void pool_retune(struct pool *p, struct realm *realm, const struct config_pool *settings);

/* PAUSE and RESUME: while paused nobody is served; running work goes on. */
void pool_pause(struct pool *p);
void pool_resume(struct pool *p);

/* RECONNECT: closes idle servers now, and busy ones when they are given back. */
void pool_reconnect(struct pool *p);

/* The cluster's budget is spent and another pool needs a connection: closes one idle server.
 * False: there was none to spare. */
bool pool_give_way(struct pool *p);

/* The same for one that is being opened or is at work: its client loses it. */
bool pool_cut(struct pool *p);

/* A server of it has answered: if its cluster was held to be down, it is not. */
void pool_is_alive(struct pool *p);

static inline struct pool *pool_of(const struct server *s)
{
    return (struct pool *)(void *)((char *)(uintptr_t)s->target - offsetof(struct pool, target));
}

/* Connections that count against the size. */
static inline uint32_t pool_total(const struct pool *p)
{
    return p->count[POOL_OPENING] + p->count[POOL_IDLE] + p->count[POOL_BUSY];
}

#endif
