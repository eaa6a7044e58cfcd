/* shared: what all workers share, and how.
 *
 * Few things are: each is either immutable, one atomic, or behind a lock that is
 * never taken on a query's path. Lives as long as the process.
 */
#ifndef SLUICE_PROXY_SHARED_H
#define SLUICE_PROXY_SHARED_H

#include "auth/rate.h"
#include "protocol/err.h"
#include "protocol/map.h"
#include "protocol/slice.h"
#include "proxy/address.h"
#include "proxy/budget.h"
#include "proxy/health.h"
#include "proxy/ops/metrics.h"
#include "proxy/route_tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct audit;
struct creds;
struct fleet;
struct iam_door;
struct mailbox;
struct sockets;
struct throttle;
struct traffic;
struct worker;

struct shared {
    pthread_mutex_t lock; /* throttle, login_rate */
    struct throttle *throttle;
    struct rate login_rate; /* by address */
    struct budgets budgets;
    struct healths healths;         /* of clusters */
    struct route_stats route_stats; /* the control thread's */
    struct traffic *traffic;        /* decisions on record; set before any worker runs */
    struct map_seed seed;
    uint8_t user_key[32]; /* of this process: makes the salts of users who do not exist */
    atomic_uint clients;
    atomic_uint logging_in;       /* of these, who have not logged in yet */
    atomic_ullong hoarded_bytes;  /* held statements of all clients: see hoard.h */
    atomic_ullong hoard_finisher; /* the client that may go over the limit; 0: nobody */
    atomic_uint hoard_waiting;    /* clients in the lines of all workers */
    atomic_ullong next_id;        /* connection ids, clients and servers alike */
    atomic_bool draining;
    atomic_bool handed_over;   /* the sockets are another process's by now */
    struct sockets *sockets;   /* while workers are made */
    int before;                /* to the binary before us (succession.h), for good; -1: none */
    atomic_uint running;       /* workers whose loop has not ended */
    struct creds *creds;       /* the control thread's; set before any worker runs */
    struct iam_door *iam_door; /* likewise */
    struct audit *audit;       /* likewise */
    struct fleet *fleet;       /* likewise */
    struct worker **workers;
    unsigned n_workers;
    uv_async_t *secret_refused; /* the control thread's: a cluster refused a static password */
    struct metrics metrics;     /* the control thread's own counters; see totals.h */
    struct mailbox *control;    /* the control thread's; see control_order.h */
    uint64_t started_ms;        /* monotonic */
};

struct shared *shared_new(void);
void shared_free(struct shared *s);

static inline uint64_t shared_next_id(struct shared *s)
{
    return atomic_fetch_add(&s->next_id, 1) + 1;
}

/* Failed logins slow their address down, and no address may begin more than so many a second. Any
 * thread. */
struct config_limits;
bool shared_may_log_in(struct shared *s, const struct address *from, struct slice user,
                       const struct config_limits *limits, uint64_t now_ms, struct err *err);
/* Returns how long to hold the answer back. */
uint32_t shared_login_failed(struct shared *s, const struct address *from, struct slice user,
                             const struct config_limits *limits, uint64_t now_ms);
void shared_login_succeeded(struct shared *s, const struct address *from, struct slice user);

#endif
