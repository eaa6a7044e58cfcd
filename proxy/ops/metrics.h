/* metrics: numbers per worker, listed in metrics.def, summed by whoever reads.
 *
 * A worker adds without locks or atomics; a reader on another thread may see a
 * number a moment late, never torn (64-bit loads and stores are atomic here).
 */
#ifndef SLUICE_PROXY_OPS_METRICS_H
#define SLUICE_PROXY_OPS_METRICS_H

#include <stdbool.h>
#include <stdint.h>

enum metric {
#define METRIC(name, kind, help) METRIC_##name,
#include "proxy/ops/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics {
    uint64_t value[METRIC_COUNT];
};

/* One writer: the relaxed load and store compile to plain moves. */
static inline void metrics_add(struct metrics *m, enum metric which, uint64_t n)
{
    uint64_t v = __atomic_load_n(&m->value[which], __ATOMIC_RELAXED);
    __atomic_store_n(&m->value[which], v + n, __ATOMIC_RELAXED);
}

static inline void metrics_sub(struct metrics *m, enum metric which, uint64_t n)
{
    metrics_add(m, which, (uint64_t)0 - n);
}

static inline uint64_t metrics_get(const struct metrics *m, enum metric which)
{
    return __atomic_load_n(&m->value[which], __ATOMIC_RELAXED);
}

struct metric_info {
    const char *name, *help;
    bool is_counter; /* otherwise a gauge */
};
extern const struct metric_info metric_infos[METRIC_COUNT];

#endif
