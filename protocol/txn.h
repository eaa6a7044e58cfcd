/* txn: the ledger of one conversation with a server.
 *
 * It is told of every message that goes to the server and of every message that
 * comes back, and knows from that alone: which replies are still owed and to
 * whom, whether the server is skipping to a Sync, whether a COPY is on, and
 * whether the server is clean enough to serve somebody else.
 *
 *   sent:      Parse   Bind   Execute   Sync   Query ...
 *                |       |       |        |      |
 *   ledger:   [PARSE] [BIND] [EXECUTE] [SYNC] [QUERY]     oldest first
 *                ^
 *   received: ParseComplete answers the oldest entry, and so on.
 *
 * Entries may be the proxy's own (injected: their answers are swallowed) or purely
 * local (no message was sent: the answer is written by us, in its turn).
 *
 * After an ErrorResponse in an extended batch the server discards everything up
 * to the next Sync; so does the ledger. Simple Query and FunctionCall end with
 * ReadyForQuery of their own.
 *
 * During COPY IN the server ignores Sync and Flush, up to CopyDone or CopyFail,
 * which may have been sent long before anybody knew of the COPY: they are marked
 * in the queue, so that the Syncs before them are forgotten when the COPY begins,
 * and those behind them are not. When a COPY IN fails, nobody but the server knows
 * which of those Syncs it had read by then: that many ReadyForQuery are `doubtful`
 * until an answer to something sent later tells; nothing is owed of them, but the
 * server is not quiet as long as they are.
 *
 * What the ledger cannot be sure of makes it `unsure`: bytes still flow, but the
 * server must not be given to anybody else meanwhile.
 *
 * Not here: what statements mean (sql_stmt), which names exist (stmt), sockets.
 * Source: PostgreSQL 15, 55.2.2 Simple Query, 55.2.3 Extended Query, 55.2.6 COPY.
 */
#ifndef SLUICE_PROTOCOL_TXN_H
#define SLUICE_PROTOCOL_TXN_H

#include "protocol/slice.h"

enum txn_kind {
    TXN_PARSE,
    TXN_BIND,
    TXN_DESCRIBE,
    TXN_EXECUTE,
    TXN_CLOSE,
    TXN_SYNC,
    TXN_QUERY,
    TXN_FUNCTION,
    TXN_LOCAL,    /* nothing was sent; `local` is what we answer in this place */
    TXN_COPY_END, /* the ledger's own mark, never handed out: `tag` CopyDones or CopyFails */
};

enum txn_flag {
    TXN_SWALLOW = 1,       /* injected: the client must not see the success answer */
    TXN_SWALLOW_ERROR = 2, /* nor an error */
    TXN_ERRED = 128,       /* the ledger's own: only ReadyForQuery is owed of it any more */
};

/* One owed reply. */
struct txn_entry {
    union {
        void *local;     /* TXN_LOCAL: handed back by txn_take_local or txn_take_dropped */
        uint32_t serial; /* otherwise a second tag */
    };
    uint32_t tag; /* the caller's, e.g. the number of a prepared statement */
    uint8_t kind, flags;
};

enum txn_status { TXN_UNKNOWN = 0, TXN_IDLE = 'I', TXN_BLOCK = 'T', TXN_FAILED = 'E' };
enum txn_copy { TXN_NO_COPY, TXN_COPY_IN, TXN_COPY_OUT, TXN_COPY_BOTH };

struct txn {
    struct txn_entry *ring;
    uint32_t head, count, cap; /* cap: 0 or a power of two */
    uint32_t owed_ready;       /* ReadyForQuery still to come */
    uint32_t dropping;         /* entries at the head that will never be answered */
    uint8_t status;            /* enum txn_status, of the last ReadyForQuery */
    uint8_t copy;              /* enum txn_copy */
    bool skipping;             /* the server discards what we send, until a Sync */
    bool open_batch;           /* extended messages were sent after the last Sync */
    bool copy_ended;           /* CopyDone or CopyFail was sent in this COPY IN */
    uint32_t copy_syncs;       /* Syncs that this COPY IN makes void, if it has read them */
    uint32_t doubtful;         /* ReadyForQuery that may come, or not, of a COPY IN that failed */
    bool unsure;               /* for good */
};

void txn_init(struct txn *t);

/* Frees the ring. Locals still inside are not freed: take them first. */
void txn_fini(struct txn *t);

/* A frontend message of `type` is about to be sent. False: too many answers are owed, or memory
 * ran out (nothing was booked); the connection must be closed then. */
bool txn_sent(struct txn *t, uint8_t type, uint8_t flags, uint32_t tag, uint32_t serial);

/* An answer of our own, to be given in its turn: see txn_take_local. While the server skips to a
 * Sync there is no such turn: then txn_take_dropped hands it back. False: as for txn_sent. */
bool txn_local(struct txn *t, void *local);

/* What an answer from the server meant. */
struct txn_answer {
    enum txn_kind kind; /* of the entry it belongs to; meaningless when async */
    uint32_t tag, serial;
    bool expected; /* false: the server said what it must not say now */
    bool async;    /* notice, parameter status, notification */
    bool swallow;  /* not for the client */
    bool done;     /* the entry is answered */
    bool failed;   /* ErrorResponse */
};

/* A backend message of `type` has come: *a says what it is. `status` is ReadyForQuery's byte, else
 * 0. Dropped entries and local answers whose turn it is must have been taken before. */
void txn_received(struct txn *t, uint8_t type, uint8_t status, struct txn_answer *a);

/* Is it the turn of a local answer? */
static inline bool txn_local_is_due(const struct txn *t)
{
    return t->count && !t->dropping && t->ring[t->head].kind == TXN_LOCAL;
}

/* The server has refused the first message of a batch: if all that is owed is that batch, of Bind,
 * Describe, Execute and Close and one Sync, with nothing behind it, outside a transaction, it is
 * forgotten, the Sync's ReadyForQuery will be swallowed, and the batch may be sent again (true).
 * The error is then not told to the ledger. */
bool txn_repeat(struct txn *t);

/* The local answer whose turn it is; false when there is none. */
bool txn_take_local(struct txn *t, struct txn_entry *entry);

/* After a failure: the entries that will never be answered, one at a time; false: no more.
 * Must be called until it says so, before anything else is told to the ledger. */
bool txn_take_dropped(struct txn *t, struct txn_entry *entry);

/* Nothing owed, nothing half-done, outside a transaction: the server may serve another. */
bool txn_is_clean(const struct txn *t);

/* Nothing owed and nothing half-done, in whatever transaction status. */
bool txn_is_quiet(const struct txn *t);

#endif
