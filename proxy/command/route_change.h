/* route_change: `sluice route publish|activate|rollback|history`: the table at the configured
 * source, changed by an administrator.
 *
 *   publish FILE   checked as a proxy would (lint, its own tests), then in force; or, where the
 *                  configuration wants two people (routes.approval), a candidate
 *   activate       the candidate, by somebody else than its author
 *   rollback [N]   the table of generation N again, as a new generation; without N the one before
 *   history        who did what, when
 *
 * Each table that is put gets its generation as `version`. What changed is put into the cache at
 * once, so that every proxy has it in a moment; where the cache is away, they find it at their
 * next look. Blocks, on a loop of its own.
 */
#ifndef SLUICE_PROXY_COMMAND_ROUTE_CHANGE_H
#define SLUICE_PROXY_COMMAND_ROUTE_CHANGE_H

#include "proxy/command/command.h"

int route_publish(const struct options_route *options, const char *file);
int route_activate(const struct options_route *options);
int route_rollback(const struct options_route *options, const char *generation);
int route_history(const struct options_route *options);

#endif
