/* health: can a cluster be reached?
 *
 *      up --dial failed--> down for a while --time is up--> one may try --dial failed--> down,
 * longer
 *       ^---------------- somebody logged in, or a query was answered ----'
 *
 * Learned from the dials that happen anyway; nothing is sent to find out. While a cluster
 * is down, sessions whose rule names another one to fall back to go there; those whose
 * rule does not go on waiting for this one. Lives as long as the process, by the
 * cluster's name, across configurations. Thread: any; a few atomics.
 */
#ifndef SLUICE_PROXY_HEALTH_H
#define SLUICE_PROXY_HEALTH_H

#include "protocol/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HEALTH_DOWN_FIRST_MS = 1000, /* after the first failure; doubled with each */
    HEALTH_DOWN_MAX_MS = 30000,
};

struct health {
    struct health *next;
    char *name;
    atomic_ullong down_until_ms; /* 0: up */
    atomic_uint failures;        /* in a row */
};

struct healths {
    pthread_mutex_t lock;
    struct health *first;
};

void healths_init(struct healths *h);
void healths_fini(struct healths *h);

/* The health of that cluster, made (up) when it is new; NULL when memory ran out. */
struct health *healths_find(struct healths *h, const char *cluster);

/* Up as far as is known; costs one load. */
static inline bool health_is_up(const struct health *h)
{
    return atomic_load_explicit(&h->down_until_ms, memory_order_relaxed) == 0;
}

/* Worth going to: up, or down for so long that it is this caller's turn to try. */
bool health_may_try(struct health *h, uint64_t now_ms);

/* Whether such an error says that the cluster cannot be reached, and not that one login is wrong.
 */
bool health_is_touched(const struct err *err);

/* True: it was up until now. */
bool health_failed(struct health *h, uint64_t now_ms);

/* True: it was down until now. */
bool health_succeeded(struct health *h);

#endif
