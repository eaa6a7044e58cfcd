/* lint: what a table says that cannot be meant. */
#ifndef SLUICE_ROUTING_LINT_H
#define SLUICE_ROUTING_LINT_H

#include "protocol/problem.h"
#include "routing/route.h"

/* Warns of each rule that an earlier one leaves nothing to. Looks for one earlier rule that covers
 * it: two that do so together are not found. */
void lint_table(const struct route_table *t, struct problems *problems);

#endif
