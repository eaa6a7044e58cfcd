/* slow: the log of statements that took long (`log.slow_query`).
 *
 * While it is on, the text of what is under way is kept, a part of it at most, and wiped with the
 * answer. What the log shows of it has no literals, and only as much as `log.statements` allows.
 * The time is the server's: from the moment that it was asked. A message sequence up to its Sync
 * is one statement here, the first.
 * Thread: the session's worker's.
 */
#ifndef SLUICE_PROXY_SLOW_H
#define SLUICE_PROXY_SLOW_H

#include "protocol/frontend.h"
#include "proxy/session.h"

static inline bool slow_is_on(const struct session *s)
{
    return s->client.env->realm->config->log.slow_query_ms > 0;
}

/* A message that goes to the server: Query, Parse or Bind (others say nothing new). */
void slow_asked(struct session *s, const struct piece *p);

/* It was answered after so long. */
void slow_answered(struct session *s, uint64_t ms);

#endif
