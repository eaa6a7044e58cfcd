/* metrics_page: all metrics as Prometheus reads them.
 *
 *   overview_ask: each worker's pools;  metrics_page: pools and counters -> text
 *
 * Counters are read where they lie (metrics.h says why that is fine), pools are asked by
 * survey. Names and helps are metrics.def's. Labels never carry what clients choose beyond
 * a pool's name: cardinality is bounded by the configuration and the databases in use.
 * Source: Prometheus text-based exposition format 0.0.4.
 */
#ifndef SLUICE_PROXY_METRICS_PAGE_H
#define SLUICE_PROXY_METRICS_PAGE_H

#include "proxy/overview.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_page(const struct overview_answer *a, struct buf *out);

/* The same numbers under the names of Debian's prometheus-pgbouncer-exporter, so that dashboards
 * made for that go on working; appended by metrics_page with admin.pgbouncer_names. */
void metrics_page_pgbouncer(const struct overview_answer *a, struct buf *out);

/* A label's value, escaped. */
void metrics_label(struct buf *out, struct slice value);

#endif
