/* local: answers that we give ourselves, in their proper place.
 *
 * While a server still owes the client something, our answer waits in the ledger
 * until everything before it has been said; otherwise it is said at once.
 *
 * A refusal is an error like the server's own: in an extended batch everything up
 * to the Sync is dropped, and a transaction that is open on the server is made to
 * fail there too (by a statement that cannot be parsed), so that a COMMIT cannot
 * commit half a job. Outside a transaction the server hears nothing of it.
 */
#ifndef SLUICE_PROXY_LOCAL_H
#define SLUICE_PROXY_LOCAL_H

#include "proxy/outbox.h"
#include "proxy/request.h"

enum local_kind { LOCAL_PARSE_COMPLETE, LOCAL_CLOSE_COMPLETE };

/* ParseComplete for the book's entry `serial`, or CloseComplete. False: no memory. */
bool local_answer(struct session *s, enum local_kind kind, uint32_t serial);

/* Whole messages of our own making, which end with ReadyForQuery when `ready`. Takes `messages`
 * over. False: no memory. */
bool local_say(struct session *s, struct buf *messages, bool ready);

/* Refuses a message of `type` (its first piece has just been taken and is not sent). What has to
 * be told to the server goes into `out`. */
enum take local_refuse(struct session *s, uint8_t type, const struct err *err,
                       struct upstream *out);

/* The same with the ErrorResponse as it is to be said; takes `messages` over. Not while
 * local_must_wait. */
enum take local_refuse_said(struct session *s, uint8_t type, struct buf *messages,
                            struct upstream *out);

/* Not yet: whether a simple query's transaction is open is known when all before it is answered. */
bool local_must_wait(const struct session *s, uint8_t type);

/* Gives the answers whose turn has come; into `out`, or to the client at once when NULL. Asked
 * after every message, for which there is hardly ever one. */
void local_give(struct session *s, struct outbox *out);
static inline void local_tell(struct session *s, struct outbox *out)
{
    if (s->server && txn_local_is_due(&s->server->txn)) local_give(s, out);
}

/* A local answer in the ledger that will never be given. `s`: whose, or NULL. */
void local_drop(struct session *s, void *local);

#endif
