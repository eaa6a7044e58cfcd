/* watch: the timeouts of a session after login: one timer, four questions.
 *
 *   it stands in line        wait_notice               NOTICE, once for each wait
 *   a query is running       query_timeout             it is cancelled
 *   a transaction is idle    idle_transaction_timeout  FATAL 25P03
 *   nothing is going on      client_idle_timeout       FATAL 57P05
 *
 * Costs nothing where none of the four is set. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_WATCH_H
#define SLUICE_PROXY_WATCH_H

#include "proxy/session.h"

enum watch_kind { WATCH_NOTHING, WATCH_LINE, WATCH_QUERY, WATCH_TXN, WATCH_CLIENT };

/* After each turn in which the session did something. */
void watch_session(struct session *s);

/* At login, once the pool's settings are known; before it, nothing is watched. */
void watch_begin(struct session *s);
void watch_end(struct session *s);

#endif
