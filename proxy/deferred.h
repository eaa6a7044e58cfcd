/* deferred: a BEGIN that waits for the statement that decides where its transaction goes.
 *
 * Most drivers send BEGIN alone and wait for its answer; it says nothing of what is to
 * come. Where a rule of the routing table could send this session elsewhere for a
 * statement (and only there), BEGIN is answered here, and is sent to the server that the
 * next statement leads to, before that statement. No server is held meanwhile.
 *
 *   NOT --BEGIN--> OPEN --statement: routed, served--> SENT --'T'--> BEGUN --> NOT
 *                   |                                    `--error--> REFUSED
 *                   |--COMMIT, ROLLBACK: answered--> NOT                |
 *                   `--a refusal of ours--------------------> FAILED <--' told as the
 *                          FAILED --COMMIT, ROLLBACK--> NOT     statement's own error
 *
 * The statement leaves only when the server has said that the transaction is open: else
 * what a BEGIN failed to protect would be committed at once. FAILED is a transaction
 * that no server knows of: as everywhere, it has to be ended by the client.
 * Of the extended protocol Parse, Bind, Describe, Execute and Close are answered in the same way,
 * one by one; so in a batch without a Sync between, the first real statement decides, too.
 * Not deferred: what a batch sends behind a statement of its own, a portal with a name, session
 * mode, pinned sessions, pools of a client's own password. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_DEFERRED_H
#define SLUICE_PROXY_DEFERRED_H

#include "protocol/sql_boundary.h"
#include "protocol/txn.h"
#include "proxy/outbox.h"
#include "proxy/request.h"

enum { DEFERRED_TAG = 3 }; /* the ledger's tag of the BEGIN (kind TXN_QUERY) */

enum deferred_state {
    DEFERRED_NOT,
    DEFERRED_OPEN,
    DEFERRED_SENT,
    DEFERRED_BEGUN,
    DEFERRED_REFUSED,
    DEFERRED_FAILED,
};

struct deferred {
    uint8_t state; /* enum deferred_state */
    uint8_t bound; /* enum sql_boundary: what the unnamed portal is, as far as we answered */
    uint16_t len;
    char text[SQL_BOUNDARY_BYTES]; /* of the BEGIN */
    struct buf error;              /* what the server said to it, as a message */
};

static inline enum deferred_state deferred_state(const struct session *s)
{
    return s->deferred ? (enum deferred_state)s->deferred->state : DEFERRED_NOT;
}

/* The client is in a transaction that no server has begun. */
static inline bool deferred_is_open(const struct session *s)
{
    enum deferred_state state = deferred_state(s);
    return state == DEFERRED_OPEN || state >= DEFERRED_REFUSED;
}

/* The status that ReadyForQuery has to say when we say it. */
static inline uint8_t deferred_status(const struct session *s)
{
    if (deferred_is_open(s)) return s->deferred->state == DEFERRED_OPEN ? TXN_BLOCK : TXN_FAILED;
    return s->server && s->server->txn.status ? s->server->txn.status : TXN_IDLE;
}

/* A message that may be sent, before it is routed. SEND: it is none of ours. */
enum take deferred_take(struct session *s, const struct piece *p, struct upstream *out);

/* OPEN, a message is to be sent, and the session has its server: BEGIN goes before it. */
enum take deferred_send(struct session *s, struct upstream *out);

/* The transaction is open on the server, and this is the statement that it was opened for: true
 * once. */
static inline bool deferred_goes_on(struct session *s)
{
    if (deferred_state(s) != DEFERRED_BEGUN) return false;
    s->deferred->state = DEFERRED_NOT;
    return true;
}

/* What the server says to BEGIN: an error, and ReadyForQuery. */
void deferred_error(struct session *s, const struct piece *p);
void deferred_answered(struct session *s);

/* Something was refused in a transaction that no server knows of: it has failed. */
static inline void deferred_fail(struct session *s)
{
    if (deferred_state(s) == DEFERRED_OPEN) s->deferred->state = DEFERRED_FAILED;
}

/* A Sync, whoever answers it: outside a transaction it is the end of the portal. */
static inline void deferred_synced(struct session *s)
{
    if (s->deferred && s->deferred->state == DEFERRED_NOT) s->deferred->bound = SQL_BOUNDARY_NONE;
}

void deferred_end(struct session *s);

#endif
