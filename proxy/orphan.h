/* orphan: a server whose client left, perhaps in the middle of something.
 *
 * The statement is cancelled and its answer drained; an open transaction is rolled
 * back; what the session left behind is cleared away; then the server goes back to
 * its pool, or is closed when it cannot be made clean in time. (Redshift does not
 * stop a query because its client is gone.)
 */
#ifndef SLUICE_PROXY_ORPHAN_H
#define SLUICE_PROXY_ORPHAN_H

#include "proxy/pool.h"

enum { ORPHAN_TAG = 2 }; /* the ledger's tag of the statement that cleans */

/* The server serves nobody any more. `half_sent`: a message to it was begun and will never end.
 * `cancel`: what it is doing is to be cancelled; otherwise it is finished for nobody. */
void orphan_adopt(struct server *server, bool half_sent, bool cancel);

/* The cleaning statement was carried out. */
void orphan_cleaned(struct server *server);

/* Bytes from an orphan. */
void orphan_take(struct server *server, const char *at, size_t len);

/* A cancel request that aimed at it is over. */
void orphan_settled(struct server *server);

#endif
