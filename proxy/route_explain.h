/* route_explain: the answer to "where would this go, and why": for the command line and the
 * console.
 *
 * The same question put the same way gets the same answer in both, since both ask here,
 * and here asks routing/. Blocks no longer than a walk over the rules takes; any thread.
 */
#ifndef SLUICE_PROXY_ROUTE_EXPLAIN_H
#define SLUICE_PROXY_ROUTE_EXPLAIN_H

#include "proxy/ops/config.h"
#include "routing/route.h"

/* Strings may be NULL: not given. */
struct route_question {
    const char *user, *database, *client, *application, *query_group, *at;
    const char *sql; /* NULL: at login */
    bool tls, json;
};

enum route_explained {
    ROUTE_EXPLAINED_TO,      /* it goes somewhere */
    ROUTE_EXPLAINED_NOWHERE, /* it is refused, and `out` says why */
    ROUTE_EXPLAINED_MISUSED, /* the question is wrong: `err` */
    ROUTE_EXPLAINED_FAILED,  /* there is no such user, or no memory: `err` */
};

/* `table` NULL: there is none, all goes to the first cluster. Appends text to `out`, lines that end
 * with a line feed. */
enum route_explained route_explain(struct config *config, const struct route_table *table,
                                   const struct route_question *q, struct buf *out,
                                   struct err *err);

/* Reads a question as the console gets it: USER u DATABASE d [CLIENT ip] [APPLICATION a] [TLS]
 * [QUERY_GROUP g] [AT 'time'] [FORMAT JSON] [FOR 'statement']. Its strings go into `texts`, which
 * the caller frees. False: `err` has what is wrong. */
bool route_question_read(struct route_question *q, struct slice words, struct buf *texts,
                         struct err *err);

#endif
