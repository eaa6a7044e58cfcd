/* route_order: ROUTE PUBLISH, ACTIVATE, ROLLBACK and HISTORY of the console: what `sluice route`
 * does (route_change.h), for the configuration in force, by the console's user.
 *
 *   console --control_order--> route_order --a thread of the pool--> route_change --> answer
 *
 * One after the other of these, so that two of one proxy do not meet; two proxies meet at the
 * source, where one of them is told that it came too late. What is in force is then found as it
 * always is (route_keeper.h). Thread: control's.
 */
#ifndef SLUICE_PROXY_ROUTE_ORDER_H
#define SLUICE_PROXY_ROUTE_ORDER_H

#include "proxy/control_order.h"
#include "proxy/ops/config.h"

#include <uv.h>

struct route_orders {
    bool busy; /* one is under way */
};

/* Carries the order out; it is answered in any case. */
void route_order_take(struct route_orders *all, uv_loop_t *loop, struct config *config,
                      struct control_order *o);

#endif
