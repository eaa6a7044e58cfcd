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

enum histogram_name {
#define HISTOGRAM(name, help) HISTOGRAM_##name,
#include "proxy/ops/metrics.def"
    HISTOGRAM_COUNT
};

/* Upper bounds of the buckets, milliseconds: 1, 2, 5, 10, ... 500 000; the last one has none. */
enum { HISTOGRAM_BOUNDS = 18 };
extern const uint32_t histogram_bounds_ms[HISTOGRAM_BOUNDS];

struct histogram {
    uint64_t bucket[HISTOGRAM_BOUNDS + 1]; /* not cumulative */
    uint64_t sum_ms;
};

struct metrics {
    uint64_t value[METRIC_COUNT];
    struct histogram histogram[HISTOGRAM_COUNT];
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

/* What is short, as most things are, is found at once. */
static inline void metrics_observe(struct metrics *m, enum histogram_name which, uint64_t ms)
{
    struct histogram *h = &m->histogram[which];
    unsigned i = 0;
    while (i < HISTOGRAM_BOUNDS && ms > histogram_bounds_ms[i]) i++;
    __atomic_store_n(&h->bucket[i], h->bucket[i] + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&h->sum_ms, h->sum_ms + ms, __ATOMIC_RELAXED);
}

struct metric_info {
    const char *name, *help;
    bool is_counter; /* otherwise a gauge */
};
extern const struct metric_info metric_infos[METRIC_COUNT];
extern const struct metric_info histogram_infos[HISTOGRAM_COUNT];

enum read_gauge {
#define READ_GAUGE(name, labels, help) READ_##name,
#include "proxy/ops/metrics.def"
    READ_COUNT
};
struct read_gauge_info {
    const char *name, *labels, *help; /* labels: "cluster, state" */
};
extern const struct read_gauge_info read_gauge_infos[READ_COUNT];

#endif
