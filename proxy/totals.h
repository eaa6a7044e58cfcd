/* totals: the counters of all workers and of control, added up.
 *
 * They are read where they lie; ops/metrics.h says why that is fine. Thread: any.
 */
#ifndef SLUICE_PROXY_TOTALS_H
#define SLUICE_PROXY_TOTALS_H

#include "proxy/ops/metrics.h"
#include "proxy/shared.h"

uint64_t totals_metric(const struct shared *shared, enum metric m);
uint64_t totals_bucket(const struct shared *shared, enum histogram_name h, unsigned bucket);
uint64_t totals_sum_ms(const struct shared *shared, enum histogram_name h);

#endif
