#include "proxy/route_tally.h"

#include <stdlib.h>

void route_stats_init(struct route_stats *s, struct map_seed seed, unsigned n_workers)
{
    map_init(&s->by_hash, seed);
    s->n_workers = n_workers;
}

static void stat_free(struct route_stat *s)
{
    for (unsigned i = 0; i < s->n_workers; i++) free(s->by_worker[i]);
    free(s);
}

void route_stats_fini(struct route_stats *s)
{
    uint32_t at = 0;
    struct route_stat *stat;
    while ((stat = map_next(&s->by_hash, &at))) stat_free(stat);
    map_fini(&s->by_hash);
}

static struct slice key_of(const uint64_t *hash) { return slice_of(hash, sizeof *hash); }

/* The map must not change while it is walked: those that stay go into a new one. */
static void forget_unused(struct route_stats *s)
{
    struct map kept;
    uint32_t at = 0;
    struct route_stat *stat;
    map_init(&kept, s->by_hash.seed);
    while ((stat = map_next(&s->by_hash, &at)))
        if (atomic_load(&stat->refs) && !map_put(&kept, key_of(&stat->hash), stat)) {
            map_fini(&kept);
            return;
        }
    at = 0;
    while ((stat = map_next(&s->by_hash, &at)))
        if (!map_get(&kept, key_of(&stat->hash))) stat_free(stat);
    map_fini(&s->by_hash);
    s->by_hash = kept;
}

struct route_stat *route_stats_take(struct route_stats *s, uint64_t rule_hash)
{
    struct route_stat *stat = map_get(&s->by_hash, key_of(&rule_hash));
    if (!stat) {
        if (s->by_hash.count && s->by_hash.count % ROUTE_STATS_KEPT == 0) forget_unused(s);
        stat = calloc(1, sizeof *stat + s->n_workers * sizeof stat->by_worker[0]);
        if (!stat) return NULL;
        stat->hash = rule_hash;
        stat->n_workers = s->n_workers;
        if (!map_put(&s->by_hash, key_of(&stat->hash), stat)) {
            free(stat);
            return NULL;
        }
    }
    atomic_fetch_add(&stat->refs, 1);
    return stat;
}

struct route_tally *route_stat_tally(struct route_stat *s, unsigned worker)
{
    if (!s) return NULL;
    struct route_tally *t = atomic_load_explicit(&s->by_worker[worker], memory_order_relaxed);
    if (t) return t;
    t = calloc(1, sizeof *t);
    atomic_store_explicit(&s->by_worker[worker], t, memory_order_release);
    return t;
}

void route_stat_sum(const struct route_stat *s, struct route_tally *sum)
{
    enum { NUMBERS = sizeof *sum / sizeof(uint64_t) };
    uint64_t *to = (uint64_t *)sum, last_ms = 0;
    *sum = (struct route_tally){ 0 };
    for (unsigned w = 0; s && w < s->n_workers; w++) {
        const struct route_tally *t = atomic_load_explicit(&s->by_worker[w], memory_order_acquire);
        const uint64_t *from = (const uint64_t *)t;
        if (!t) continue;
        uint64_t its_last_ms = __atomic_load_n(&t->last_ms, __ATOMIC_RELAXED);
        if (its_last_ms > last_ms) last_ms = its_last_ms;
        for (size_t i = 0; i < NUMBERS; i++) to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    sum->last_ms = last_ms;
}

uint64_t route_tally_percentile(const struct route_tally *t, unsigned percent)
{
    uint64_t all = 0, seen = 0;
    for (unsigned i = 0; i < ROUTE_TIMES; i++) all += t->time[i];
    for (unsigned i = 0; i < ROUTE_TIMES && all; i++) {
        seen += t->time[i];
        if (seen * 100 < all * percent) continue;
        if (i < 2) return i;
        /* The last millisecond of the bucket. */
        return ((uint64_t)(2 + (i & 1)) << (i / 2 - 1)) + ((uint64_t)1 << (i / 2 - 1)) - 1;
    }
    return 0;
}
