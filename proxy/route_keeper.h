/* route_keeper: sees that the routing table in force is the one that its source has.
 *
 *      file changed, message from Redis, time is up (`refresh`, with jitter)
 *          |
 *          |--> source --look, fetch--> believe it? valid? --> in force, saved, recorded
 *          `--> cache  --look, fetch--> likewise
 *               cache <--put-- where it holds less than what is in force
 *
 * What to believe says routing/cache: nothing unsigned, nothing older, nothing twice. A document
 * that is refused is told to the log, each problem with its line, and the table in force stays.
 * Losing source and cache changes nothing but an age. At the start the last good table is taken
 * from the disk (`saved`) when the source is no file; without one, clients are told to come again
 * until a table arrives.
 *
 * Ownership: control's. Thread: control's.
 */
#ifndef SLUICE_PROXY_ROUTE_KEEPER_H
#define SLUICE_PROXY_ROUTE_KEEPER_H

#include "proxy/ops/audit.h"
#include "proxy/ops/config.h"
#include "routing/cache.h"

#include <uv.h>

struct http;
struct route_keeper;

/* For a control whose configuration and table are in force. Takes the saved table on, and begins
 * to look. `control` as in route_force.h. NULL: no memory. */
struct route_keeper *route_keeper_open(uv_loop_t *uv, struct http *http, struct log *log,
                                       struct audit *audit, void *control);

/* Another configuration is in force. */
void route_keeper_reload(struct route_keeper *k);

/* Stops; the loop needs further turns. route_keeper_free: after the loop has ended. */
void route_keeper_close(struct route_keeper *k); /* NULL is fine, here and below */
void route_keeper_free(struct route_keeper *k);

/* For metrics and health. */
struct route_keeper_state {
    bool is_kept; /* there is a source */
    bool cache_is_used, cache_is_up;
    const char *from;       /* "source", "cache", "disk", "nowhere" */
    uint64_t generation;    /* 0: it has none */
    int64_t age_s;          /* since it was last known to be up to date */
    const uint64_t *advice; /* by enum cache_advice, since the start */
    uint64_t refused;       /* documents that were not valid */
    uint64_t source_failures, cache_failures;
    const char *source_why; /* why the last look at the source failed; NULL: it did not */
};

void route_keeper_state(const struct route_keeper *k, struct route_keeper_state *out);

#endif
