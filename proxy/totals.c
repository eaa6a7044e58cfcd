#include "proxy/totals.h"

#include "proxy/worker.h"

uint64_t totals_metric(const struct shared *shared, enum metric m)
{
    uint64_t n = metrics_get(&shared->metrics, m);
    for (unsigned i = 0; i < shared->n_workers; i++)
        n += metrics_get(&shared->workers[i]->env.metrics, m);
    return n;
}

uint64_t totals_bucket(const struct shared *shared, enum histogram_name h, unsigned bucket)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < shared->n_workers; i++)
        n += __atomic_load_n(&shared->workers[i]->env.metrics.histogram[h].bucket[bucket],
                             __ATOMIC_RELAXED);
    return n;
}

uint64_t totals_sum_ms(const struct shared *shared, enum histogram_name h)
{
    uint64_t ms = 0;
    for (unsigned i = 0; i < shared->n_workers; i++)
        ms +=
            __atomic_load_n(&shared->workers[i]->env.metrics.histogram[h].sum_ms, __ATOMIC_RELAXED);
    return ms;
}
