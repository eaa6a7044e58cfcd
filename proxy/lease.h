/* lease: the arithmetic of connections that several proxies share (fleet.share_connections).
 *
 * Of `limit` = clusters.NAME.max_connections and `size` = fleet.size proxies, each has
 *
 *      share = limit / size          what it may have when it has long been alone
 *      sure  = share / 2             always, without asking
 *      lease                         what Redis gives it for a while, renewed five times in it
 *
 * Redis keeps  sum of max(lease, sure) of those who are there + share for each who is not <= limit,
 * so whoever cannot reach Redis finds its share kept free:
 *
 *      leased --not renewed--> min(lease, share): idle servers closed, at the end busy ones, too
 *             --two and a half leases after the last request: the others have made room--> share
 *
 * An entry is never lowered below what its proxy still holds: it is asked to hold less, does, and
 * then says so. A hash that is new (Redis was emptied) lets nobody grow until all earlier leases
 * have ended. A request that lay about (Redis was stopped) does nothing: it names the latest moment
 * at which it may be carried out, by Redis's own clock.
 *
 * The entries are not signed: whoever can write to Redis can take leases away, so that a proxy has
 * `sure` or `share`, or invent proxies, likewise; or say that there is more than there is. What a
 * proxy believes of that is at most `limit`, its own max_connections, so such a writer can throttle
 * each proxy down to `sure`, and can make all together hold up to `size` times `limit`, never more;
 * he chooses no route, no user and no statement.
 *
 * Pure but for the script, which runs in Redis. Times: milliseconds of the proxy's clock, but for
 * clock_ms. Not here: sending, closing servers (fleet_lease.c).
 */
#ifndef SLUICE_PROXY_LEASE_H
#define SLUICE_PROXY_LEASE_H

#include <stdbool.h>
#include <stdint.h>

enum { LEASE_TICK_MS = 200 }; /* so often lease_allowed is obeyed */

struct lease {
    uint32_t limit, size;
    uint64_t life_ms;
    uint32_t leased, target; /* as Redis said: granted; asked to hold no more than */
    uint32_t held;           /* as we said */
    uint64_t ends_ms;        /* of the lease; 0: there was none yet */
    uint64_t alone_ms;       /* since when nobody knows of us */
    uint64_t asked_ms, due_ms, excess_ms;
    int64_t clock_ms; /* Redis's clock, ahead of ours, at least */
    bool has_clock, must_shrink;
};

/* KEYS: the cluster's hash. ARGV: who, and struct lease_request's numbers in their order. */
extern const char lease_script[];

enum { LEASE_REQUEST = 6, LEASE_ANSWER = 4 };

/* Asks for a renewal now: what the script is to be told. `taken`: servers there are; `hungry`: how
 * many more somebody waited for. */
void lease_ask(struct lease *l, uint64_t now_ms, uint32_t taken, uint32_t hungry,
               int64_t request[LEASE_REQUEST]);

/* What it said. True: there is a lease. */
bool lease_answered(struct lease *l, uint64_t now_ms, const int64_t answer[LEASE_ANSWER]);

/* There was no answer. */
void lease_lost(struct lease *l);

/* How many servers there may be. */
uint32_t lease_allowed(const struct lease *l, uint64_t now_ms);

/* There are `taken`. 0: as many as there may be; else so many are to be closed: the idle ones, and
 * if `*force` those at work, too: only where the sum would be too large otherwise: at the end of
 * the lease, or when others have had to be given room for as long as half a lease. */
uint32_t lease_excess(struct lease *l, uint64_t now_ms, uint32_t taken, bool *force);

#endif
