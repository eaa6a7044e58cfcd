/* refusals: the last statements that were refused, for whoever asks why.
 *
 * One ring per worker, of fixed size: what is older is overwritten, so that a client that is
 * refused a thousand times a second costs nothing but its own history. The audit record is
 * the place where nothing gets lost. A statement is kept without its literals, and only where
 * log.statements lets a log line show as much.
 * Ownership: the worker's. Thread: its worker's; others ask by survey (SHOW DENIED).
 */
#ifndef SLUICE_PROXY_REFUSALS_H
#define SLUICE_PROXY_REFUSALS_H

#include "protocol/err.h"
#include "protocol/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { REFUSALS_KEPT = 200, REFUSAL_SQL_BYTES = 400 };

struct refusal {
    uint64_t at_s; /* Unix time */
    uint64_t conn, fingerprint;
    bool observed;                    /* the role only observes: it was let through */
    uint32_t index;                   /* the refused statement's place in its message, from 1 */
    const char *reason, *kind, *verb; /* constants; verb NULL: none */
    char id[24];
    char user[64], role[64], database[64], pool[128], from[64], object[160];
    char sql[REFUSAL_SQL_BYTES]; /* "": not to be shown */
    struct err why;              /* as the client was told */
};

/* The reason when a rule of the routing table refused, or none let it in: `object` is its id. */
#define REFUSAL_BY_ROUTE "route"

struct refusals {
    struct refusal *ring; /* NULL: none so far */
    uint64_t count;       /* of all that were ever noted */
};

/* The place of the next one, zeroed, for the caller to fill. NULL: no memory. */
struct refusal *refusals_next(struct refusals *r);

/* From the newest, 0, to the oldest kept; NULL: there is none. */
const struct refusal *refusals_at(const struct refusals *r, uint64_t back);

/* By its id, "d-2a-1"; NULL: it is not here, or not any more. */
const struct refusal *refusals_find(const struct refusals *r, const char *id);

void refusals_fini(struct refusals *r);

/* Cuts `from` to what fits, at a character's border. */
void refusal_text(char *to, size_t size, struct slice from);

#endif
