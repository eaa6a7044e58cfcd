/* route_tally: what each rule of the routing table has done.
 *
 * A rule's numbers belong to what it says (the hash over all of it), not to a table:
 * they go on through reloads, new versions and roll-backs for as long as the rule means
 * the same. Each worker counts in a tally of its own, without locks; readers on other
 * threads sum them, and may see a number a moment late, never torn.
 *
 * Thread: route_tallies_take, control's; tallies, their worker's; sums, any.
 */
#ifndef SLUICE_PROXY_ROUTE_TALLY_H
#define SLUICE_PROXY_ROUTE_TALLY_H

#include "protocol/map.h"

#include <stdatomic.h>

/* Times in milliseconds, two buckets to each doubling: 0 1 2 3 4-5 6-7 8-11 12-15 ... */
enum { ROUTE_TIMES = 40, ROUTE_STATS_KEPT = 20000 };

struct route_tally {
    uint64_t logins, transactions; /* that it decided */
    uint64_t errors;               /* answered to them, the proxy's own included */
    uint64_t fallbacks;            /* of its decisions: not to the first cluster */
    uint64_t stays;                /* not obeyed: the session cannot leave its server */
    uint64_t mismatches;           /* of its decisions: the shadow table decides otherwise */
    uint64_t limit_hits;           /* expressions that ran out of their budget meanwhile */
    uint64_t last_ms;              /* monotonic; 0: never */
    uint64_t time[ROUTE_TIMES];    /* of statements */
};

/* Of one rule. */
struct route_stat {
    uint64_t hash;
    atomic_uint refs; /* tables in memory that have it */
    unsigned n_workers;
    struct route_tally *_Atomic by_worker[];
};

struct route_stats {
    struct map by_hash;
    unsigned n_workers;
};

void route_stats_init(struct route_stats *s, struct map_seed seed, unsigned n_workers);
void route_stats_fini(struct route_stats *s);

/* The stat of a rule that says this, with one reference; NULL when memory ran out. Those that no
 * table has are forgotten when there are more than ROUTE_STATS_KEPT of them all. */
struct route_stat *route_stats_take(struct route_stats *s, uint64_t rule_hash);

static inline void route_stat_put(struct route_stat *s)
{
    if (s) atomic_fetch_sub(&s->refs, 1);
}

/* The worker's own; NULL when memory ran out, or for a NULL. */
struct route_tally *route_stat_tally(struct route_stat *s, unsigned worker);

/* The sum over all workers. */
void route_stat_sum(const struct route_stat *s, struct route_tally *sum);

/* The time within which `percent` of the statements were answered, in ms: the end of its bucket. */
uint64_t route_tally_percentile(const struct route_tally *t, unsigned percent);

/* One writer: relaxed loads and stores are plain moves. */
static inline void route_count(uint64_t *number)
{
    __atomic_store_n(number, *number + 1, __ATOMIC_RELAXED);
}

static inline unsigned route_time_bucket(uint64_t ms)
{
    if (ms < 2) return (unsigned)ms;
    unsigned log = 63 - (unsigned)__builtin_clzll(ms);
    unsigned bucket = 2 * log + (unsigned)(ms >> (log - 1) & 1);
    return bucket < ROUTE_TIMES ? bucket : ROUTE_TIMES - 1;
}

#endif
