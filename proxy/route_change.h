/* route_change: the table at the configured source, changed by an administrator.
 *
 *   publish        a document: checked as a proxy would (lint, its own tests), then in force; or,
 *                  where the configuration wants two people (routes.approval), a candidate
 *   activate       the candidate, by somebody else than its author
 *   rollback       the table of a generation again, as a new generation; without one that before
 *   history        who did what, when
 *
 * Each table that is put gets its generation as `version`. What changed is put into the cache at
 * once, so that every proxy has it in a moment; where the cache is away, they find it at their
 * next look. Blocks, on a loop of its own: for `sluice route` and for a thread of the pool
 * (route_order.h).
 */
#ifndef SLUICE_PROXY_ROUTE_CHANGE_H
#define SLUICE_PROXY_ROUTE_CHANGE_H

#include "proxy/ops/config.h"
#include "routing/dynamo.h"

enum route_change_kind {
    ROUTE_CHANGE_PUBLISH,
    ROUTE_CHANGE_ACTIVATE,
    ROUTE_CHANGE_ROLLBACK,
    ROUTE_CHANGE_HISTORY,
};

struct route_change {
    enum route_change_kind kind;
    struct config *config;  /* a reference, and nobody else's: its secrets are read, pools added */
    unsigned patience_ms;   /* for all of it */
    const char *author;     /* who is asking */
    const char *note;       /* NULL: none */
    const char *generation; /* rollback: which; NULL: the one before */
    const char *name;       /* publish: of the document, before each of its problems */
    struct slice document;
    /* What came of it. */
    struct buf said;            /* lines about problems, also about what did no harm */
    struct buf result;          /* a line: what is in force now */
    struct dynamo_active *past; /* history, newest first */
    uint32_t past_count;
};

/* True: it is done. */
bool route_change_run(struct route_change *asked);

/* Gives back what came of it, and the configuration. */
void route_change_fini(struct route_change *asked);

#endif
