/* samples: what all counters stood at, second by second, for the last ten minutes.
 *
 *   control's timer --samples_take--> ring --> rates, means, the dashboard's charts
 *
 * The counters are read where they lie (ops/metrics.h says why that is fine); the workers' CPU
 * time is read from their threads' clocks. Nothing is done on a query's path.
 * Ownership: embedded. Thread: control's.
 */
#ifndef SLUICE_PROXY_SAMPLES_H
#define SLUICE_PROXY_SAMPLES_H

#include "proxy/shared.h"

enum { SAMPLES_KEPT = 600, SAMPLES_EVERY_MS = 1000 };

struct sample {
    uint64_t at_ms, at_s;                      /* monotonic, Unix */
    uint64_t clients, waiting, servers, idle;  /* at that moment */
    uint64_t requests, denied, logins, failed; /* since the process began, as all that follows */
    uint64_t queries, query_ms;                /* Redshift's share */
    uint64_t waits, wait_ms;                   /* the line's */
    uint64_t busy_us;                          /* ours: CPU time of all workers */
    uint64_t received_bytes, sent_bytes;       /* from and to clients */
};

struct samples {
    struct sample ring[SAMPLES_KEPT];
    uint64_t count; /* of all that were ever taken */
};

/* What they stand at now. */
struct sample sample_now(const struct shared *shared, uint64_t now_ms);

void samples_take(struct samples *s, const struct shared *shared, uint64_t now_ms);

/* The newest, 0, to the oldest kept; NULL: there is none. */
const struct sample *samples_at(const struct samples *s, uint64_t back);

#endif
