/* tally: what was done for a pool, counted where it happens.
 *
 * For SHOW STATS, per database, and for the histogram of query times. All times are the
 * loop's cached clock: nothing here asks the kernel what time it is, so what takes less
 * than a turn of the loop counts as nothing.
 * Thread: the pool's worker's.
 */
#ifndef SLUICE_PROXY_TALLY_H
#define SLUICE_PROXY_TALLY_H

#include "proxy/guide.h"
#include "proxy/slow.h"

/* The client begins to ask its server for something; what it asks while that is under way belongs
 * to the same query. */
static inline void tally_asked(struct session *s)
{
    if (s->server->txn.count) return;
    s->asked_ms = env_now_ms(s->client.env);
    if (s->server->txn.status == TXN_IDLE) s->began_ms = s->asked_ms;
}

/* The server is ready again; `status` as in ReadyForQuery. */
static inline void tally_ready(struct session *s, uint8_t status)
{
    struct pool_stats *stats = &s->pool->stats;
    uint64_t now = env_now_ms(s->client.env);
    stats->queries++;
    stats->query_ms += now - s->asked_ms;
    metrics_observe(&s->client.env->metrics, HISTOGRAM_query_seconds, now - s->asked_ms);
    if (slow_is_on(s) || s->asked_text.len) slow_answered(s, now - s->asked_ms);
    guide_answered(s, now - s->asked_ms);
    if (!health_is_up(s->pool->target.cluster->health)) pool_is_alive(s->pool);
    s->asked_ms = now;
    if (status != TXN_IDLE) return;
    stats->transactions++;
    stats->transaction_ms += now - s->began_ms;
    s->began_ms = now;
    guide_ended(s, now);
}

#endif
