/* passthrough: logging in to the warehouse with what the client gave.
 *
 *      client: a password or a token, over TLS --> kept until its pool is found
 *      pool:   one for each (password or token, its context), so that nobody is served by a
 *              connection that somebody else's proof has opened
 *      the warehouse judges: the first server that logs in is the proof, and what it calls its user
 *              (for a token) must be what the configuration expects
 *
 * A user whose methods are `passthrough` or `idp` has proven nothing before that: it is refused by
 * clusters with credentials of their own, by the console, and everywhere that is not below.
 * A proof holds for PASSTHROUGH_PROOF_MS; then the next login opens a new server connection.
 *
 * Thread: the worker's.
 */
#ifndef SLUICE_PROXY_PASSTHROUGH_H
#define SLUICE_PROXY_PASSTHROUGH_H

#include "proxy/session.h"

enum { PASSTHROUGH_PROOF_MS = 5 * 60 * 1000 };

/* What is handed on, in a pool's setup: see pool.h. `context` to be freed by the caller. False,
 * with what to tell the client: this login cannot be passed on to this cluster, or has proven
 * nothing to a cluster that does not judge. */
bool passthrough_begin(const struct session *s, const struct realm_cluster *cluster,
                       struct pool_given *given, struct buf *context, struct err *err);

/* Before the welcome: may somebody be this session's user whom the warehouse calls by the name that
 * stands in `params`? Then the session is proven. */
bool passthrough_admits(struct session *s, const struct params *params, struct err *err);

/* Whether what a pool knows is too old to let somebody in without asking the warehouse again; idle
 * servers are given up then, so that a new one must log in. */
bool passthrough_is_stale(struct pool *p);

#endif
