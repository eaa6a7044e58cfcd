/* heal: a server that has lost prepared statements behind our back.
 *
 * A batch that leans on statements which the server is thought to have is kept while it
 * is under way, when it is small, went out whole in one turn, and nothing else is under
 * way. If the first answer to it is 26000, nothing of it has run, and nobody has heard
 * of it: the statements are parsed again and the batch is sent once more, unseen by the
 * client. Any other time the error is the client's.
 * Thread: the worker's.
 */
#ifndef SLUICE_PROXY_HEAL_H
#define SLUICE_PROXY_HEAL_H

#include "proxy/outbox.h"
#include "proxy/request.h"

/* The next message uses a statement that the server is thought to have. */
static inline void heal_lean(struct server *server)
{
    const struct txn *t = &server->txn;
    if (t->count == 0 && t->status == TXN_IDLE && !t->open_batch) server->leaning = true;
}

/* What is in `out` is about to leave for the session's server. */
void heal_keep(struct session *s, const struct outbox *out);

/* An error from the session's server, not yet told to the ledger; true: it was dealt with. */
bool heal_error(struct session *s, struct server *server, struct slice body);

#endif
