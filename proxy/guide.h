/* guide: where a session goes, by the routing table in force.
 *
 * Gathers what is known of the session, asks routing/ (the one decision), and finds what
 * the answer names in the configuration in force. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_GUIDE_H
#define SLUICE_PROXY_GUIDE_H

#include "proxy/session.h"

struct guide_route {
    const struct realm_cluster *cluster;
    struct slice db_user, database;
    const struct config_pool *pool;
};

/* At login: where to, and s->rule and s->query_group. False: nowhere, and `err` has what to tell
 * the client. */
bool guide_login(struct session *s, struct guide_route *route, struct err *err);

/* Gives back what the session keeps for its routes. */
void guide_end(struct session *s);

#endif
