/* metrics_page: all metrics as Prometheus reads them.
 *
 *   metrics_visit: each worker's pools -> rows;  metrics_page: rows and counters -> text
 *
 * Counters are read where they lie (metrics.h says why that is fine), pools are asked by
 * survey. Names and helps are metrics.def's. Labels never carry what clients choose beyond
 * a pool's name: cardinality is bounded by the configuration and the databases in use.
 * Source: Prometheus text-based exposition format 0.0.4.
 */
#ifndef SLUICE_PROXY_METRICS_PAGE_H
#define SLUICE_PROXY_METRICS_PAGE_H

#include "proxy/realm.h"
#include "proxy/survey.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* A worker's part: its pools. */
void metrics_visit(struct worker *w, struct survey_part *part);

struct metrics_facts {
    const struct shared *shared;
    const struct realm *realm; /* in force */
    uint64_t now_ms;
    bool last_reload_ok;
};

/* `s`: the survey's parts, filled by metrics_visit. */
void metrics_page(const struct survey *s, const struct metrics_facts *facts, struct buf *out);

/* A label's value, escaped. */
void metrics_label(struct buf *out, struct slice value);

#endif
