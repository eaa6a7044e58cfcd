/* route_world: what a routing document is checked against: a configuration, as routing/ wants it.
 *
 * Users, roles, clusters, time zones from the system's files, and pool settings. Blocks
 * while it reads files: for commands and the control thread. The configuration must
 * outlive it and be the caller's alone (reading pool settings adds to it).
 */
#ifndef SLUICE_PROXY_ROUTE_WORLD_H
#define SLUICE_PROXY_ROUTE_WORLD_H

#include "proxy/ops/config.h"
#include "routing/table.h"

struct route_world {
    struct table_world table;
    struct config *config;
    struct slice *names; /* of database users, for roles and clusters */
    struct buf zone;     /* the file of the last time zone */
};

/* False when memory ran out; route_world_fini is due all the same. */
bool route_world_init(struct route_world *w, struct config *config);
void route_world_fini(struct route_world *w);

/* The routing document in a file: the table, or NULL and its problems. */
struct route_table *route_world_load(struct route_world *w, const char *path,
                                     struct problems *problems);

/* What a rule's `pool` says, on top of the configuration's; its list belongs to `keeper`. */
void route_world_pool(const struct config *config, struct config *keeper,
                      const struct json_value *object, struct config_pool *pool,
                      struct problems *problems);

/* The path of the configuration's routing document; NULL when it is not in a file. */
const char *route_world_path(const struct config *config);

#endif
