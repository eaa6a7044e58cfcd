/* route_show: what the console shows of the routing table in force and of its shadow.
 *
 * Rows for admin.def's SHOW ROUTES and SHOW SHADOW, and the per-rule lines of the metrics
 * page. Thread: control's.
 */
#ifndef SLUICE_PROXY_ROUTE_SHOW_H
#define SLUICE_PROXY_ROUTE_SHOW_H

#include "proxy/ops/admin_rows.h"
#include "proxy/route_force.h"

struct shared;

/* Every rule, in the table's order. `now_ms`: the monotonic clock that tallies are stamped with. */
void route_show(const struct route_force *f, uint64_t now_ms, struct rows *r);

/* Decisions and mismatches are those since the shadow came, `before` having been counted then. */
struct route_shadow_counts {
    uint64_t decisions, mismatches;
};
struct route_shadow_counts route_shadow_count(const struct shared *shared);
void route_show_shadow(const struct route_force *shadow, const struct route_force *in_force,
                       const struct route_shadow_counts *before, const struct shared *shared,
                       struct rows *r);

/* Samples of `name` for the rules that did most, ROUTE_RULES_SHOWN of them; all others together as
 * rule="". */
enum { ROUTE_RULES_SHOWN = 200 };
enum route_number { ROUTE_NUMBER_HITS, ROUTE_NUMBER_ERRORS, ROUTE_NUMBER_MISMATCHES };
void route_samples(const struct route_force *f, enum route_number which, const char *name,
                   struct buf *out);

#endif
