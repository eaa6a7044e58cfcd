#include "protocol/txn.h"

#include "protocol/message.h"

#include <stdlib.h>

enum { ENTRIES_MAX = 1 << 20 }; /* a client that never reads must not fill the memory: 16 MiB */

void txn_init(struct txn *t) { *t = (struct txn){ 0 }; }

void txn_fini(struct txn *t)
{
    free(t->ring);
    txn_init(t);
}

/* ---- the queue ---------------------------------------------------------------------------- */

static struct txn_entry *entry_at(const struct txn *t, uint32_t i)
{
    return &t->ring[(t->head + i) & (t->cap - 1)];
}

static struct txn_entry *oldest(const struct txn *t) { return t->count ? entry_at(t, 0) : NULL; }

static bool ends_with_ready(const struct txn_entry *e)
{
    return e->kind == TXN_SYNC || e->kind == TXN_QUERY || e->kind == TXN_FUNCTION;
}

static bool grow(struct txn *t)
{
    uint32_t cap = t->cap ? t->cap * 2 : 16;
    if (cap > ENTRIES_MAX) return false;
    struct txn_entry *ring = malloc(cap * sizeof *ring);
    if (!ring) return false;
    for (uint32_t i = 0; i < t->count; i++) ring[i] = *entry_at(t, i);
    free(t->ring);
    t->ring = ring;
    t->cap = cap;
    t->head = 0;
    return true;
}

static bool push(struct txn *t, struct txn_entry entry)
{
    if (t->count == t->cap && !grow(t)) return false;
    t->count++;
    *entry_at(t, t->count - 1) = entry;
    t->owed_ready += ends_with_ready(&entry);
    return true;
}

static struct txn_entry pop_one(struct txn *t)
{
    struct txn_entry entry = *entry_at(t, 0);
    t->head = (t->head + 1) & (t->cap - 1);
    t->count--;
    t->owed_ready -= ends_with_ready(&entry);
    return entry;
}

/* Takes the oldest entry, and the mark behind it: a mark is never the oldest. */
static struct txn_entry pop(struct txn *t)
{
    struct txn_entry entry = pop_one(t);
    if (t->count && oldest(t)->kind == TXN_COPY_END) pop_one(t);
    return entry;
}

/* ---- what is sent --------------------------------------------------------------------------- */

static bool sent_sync(struct txn *t, struct txn_entry entry)
{
    /* (With another request behind the COPY, either has failed, or the connection has.) */
    if (t->copy == TXN_COPY_IN && !t->copy_ended && t->count == 1) {
        t->copy_syncs++;
        return true;
    }
    t->skipping = false;
    t->open_batch = false;
    return push(t, entry);
}

/* While it skips, the server discards all but Sync, and so do we. */
static bool discard(struct txn *t)
{
    if (t->doubtful) t->unsure = true; /* or has a doubtful Sync ended the skipping? */
    return true;
}

static bool sent_extended(struct txn *t, struct txn_entry entry)
{
    t->open_batch = true;
    return t->skipping ? discard(t) : push(t, entry);
}

static bool sent_simple(struct txn *t, struct txn_entry entry)
{
    if (t->skipping) return discard(t);
    /* What was begun without a Sync is in the Query's transaction, and ends with it. */
    t->open_batch = false;
    return push(t, entry);
}

static bool sent_copy_end(struct txn *t)
{
    if (t->copy == TXN_COPY_IN && !t->copy_ended) {
        t->copy_ended = true;
        return true;
    }
    /* It may end a COPY that we have not heard of yet; with nothing owed it cannot. */
    if (t->count == 0) return true;
    struct txn_entry *newest = entry_at(t, t->count - 1);
    if (newest->kind == TXN_COPY_END) {
        newest->tag++;
        return true;
    }
    return push(t, (struct txn_entry){ .kind = TXN_COPY_END, .tag = 1 });
}

bool txn_sent(struct txn *t, uint8_t type, uint8_t flags, uint32_t tag, uint32_t serial)
{
    struct txn_entry e = { .flags = flags, .tag = tag, .serial = serial };
    switch (type) {
    case FRONTEND_PARSE: e.kind = TXN_PARSE; return sent_extended(t, e);
    case FRONTEND_BIND: e.kind = TXN_BIND; return sent_extended(t, e);
    case FRONTEND_DESCRIBE: e.kind = TXN_DESCRIBE; return sent_extended(t, e);
    case FRONTEND_EXECUTE: e.kind = TXN_EXECUTE; return sent_extended(t, e);
    case FRONTEND_CLOSE: e.kind = TXN_CLOSE; return sent_extended(t, e);
    case FRONTEND_SYNC: e.kind = TXN_SYNC; return sent_sync(t, e);
    case FRONTEND_QUERY: e.kind = TXN_QUERY; return sent_simple(t, e);
    case FRONTEND_FUNCTION_CALL: e.kind = TXN_FUNCTION; return sent_simple(t, e);
    case FRONTEND_COPY_DONE:
    case FRONTEND_COPY_FAIL: return sent_copy_end(t);
    default: return true; /* CopyData, Flush, Terminate: no answer of their own */
    }
}

bool txn_local(struct txn *t, void *local)
{
    if (!push(t, (struct txn_entry){ .local = local, .kind = TXN_LOCAL })) return false;
    if (t->skipping) t->dropping = t->count;
    return true;
}

/* ---- what comes back ------------------------------------------------------------------------ */

/* From here to the next Sync (which stays) nothing will be answered. */
static void skip_to_sync(struct txn *t)
{
    uint32_t n = 0;
    while (n < t->count && entry_at(t, n)->kind != TXN_SYNC) n++;
    t->dropping = n;
    /* No Sync is on its way yet: what is sent before one will be discarded as well. */
    t->skipping = n == t->count;
}

bool txn_take_dropped(struct txn *t, struct txn_entry *entry)
{
    while (t->dropping) {
        t->dropping--;
        *entry = pop_one(t);
        if (entry->kind != TXN_COPY_END) return true;
    }
    return false;
}

bool txn_take_local(struct txn *t, struct txn_entry *entry)
{
    if (!txn_local_is_due(t)) return false;
    *entry = pop(t);
    return true;
}

/* Nobody can tell any more what is owed. */
static struct txn_answer unexpected(struct txn *t)
{
    t->unsure = true;
    t->doubtful = 0;
    return (struct txn_answer){ .expected = false };
}

static struct txn_answer answer_of(const struct txn_entry *e, bool done)
{
    return (struct txn_answer){ .kind = (enum txn_kind)e->kind,
                                .tag = e->tag,
                                .serial = e->kind == TXN_LOCAL ? 0 : e->serial,
                                .expected = true,
                                .swallow = (e->flags & TXN_SWALLOW) != 0,
                                .done = done };
}

/* The server has answered something that was sent after whatever is in doubt. */
static void settle_doubts(struct txn *t) { t->doubtful = 0; }

/* The oldest entry, if it is one that the message at hand can be an answer to; else NULL. */
static struct txn_entry *answered(struct txn *t, enum txn_kind kind, bool in_query)
{
    struct txn_entry *e = oldest(t);
    if (!e || (e->flags & TXN_ERRED) || t->dropping) return NULL;
    if (e->kind != kind && !(e->kind == TXN_QUERY && in_query)) return NULL;
    settle_doubts(t);
    return e;
}

/* The oldest entry must be of `kind`, and is answered now; or a Query, when `in_query`, which
 * goes on. */
static struct txn_answer complete(struct txn *t, enum txn_kind kind, bool in_query)
{
    struct txn_entry *e = answered(t, kind, in_query);
    if (!e) return unexpected(t);
    struct txn_answer a = answer_of(e, e->kind != TXN_QUERY);
    if (a.done) pop(t);
    return a;
}

/* A part of an answer: rows, descriptions, COPY data. */
static struct txn_answer partial(struct txn *t, enum txn_kind kind, bool in_query)
{
    struct txn_entry *e = answered(t, kind, in_query);
    return e ? answer_of(e, false) : unexpected(t);
}

/* ---- COPY ----------------------------------------------------------------------------------- */

static void end_copy(struct txn *t)
{
    t->copy = TXN_NO_COPY;
    t->copy_ended = false;
    t->copy_syncs = 0;
}

/* Syncs that the server has read, or will read, inside the COPY that just began are ignored by
 * it. (55.2.6: "the backend will ignore Flush and Sync messages" in copy-in mode; libpq sends
 * one with each extended query, before it can know that the query is a COPY.) */
static void forget_syncs_behind_copy(struct txn *t)
{
    struct txn_entry copy = pop_one(t);
    while (t->count && oldest(t)->kind == TXN_SYNC) {
        pop_one(t);
        t->copy_syncs++;
    }
    if (t->count && oldest(t)->kind == TXN_COPY_END) {
        t->copy_ended = true;
        if (--oldest(t)->tag == 0) pop_one(t);
    }
    /* Without a Sync of its own, what was executed waits for one that is still to be sent. */
    if (copy.kind == TXN_EXECUTE && t->owed_ready == 0) t->open_batch = true;
    /* The slot that was just freed holds it again. */
    t->head = (t->head - 1) & (t->cap - 1);
    t->count++;
    *entry_at(t, 0) = copy;
    t->owed_ready += ends_with_ready(&copy);
}

static struct txn_answer received_copy(struct txn *t, enum txn_copy copy)
{
    if (t->copy != TXN_NO_COPY) return unexpected(t);
    struct txn_answer a = partial(t, TXN_EXECUTE, true);
    if (!a.expected) return a;
    t->copy = (uint8_t)copy;
    if (copy == TXN_COPY_IN) forget_syncs_behind_copy(t);
    if (copy == TXN_COPY_BOTH) t->unsure = true;
    return a;
}

static struct txn_answer received_copy_data(struct txn *t)
{
    bool due = t->copy == TXN_COPY_OUT || t->copy == TXN_COPY_BOTH;
    return due ? partial(t, TXN_EXECUTE, true) : unexpected(t);
}

/* ---- the ends ------------------------------------------------------------------------------- */

/* Will more be dropped than the failed entry itself? */
static bool drops_requests(const struct txn *t)
{
    for (uint32_t i = 1; i < t->dropping; i++)
        if (entry_at(t, i)->kind < TXN_LOCAL) return true;
    return false;
}

static struct txn_answer received_error(struct txn *t)
{
    struct txn_entry *e = oldest(t);
    if (!e) {
        /* Nobody asked: a last word before the server closes (shutdown, idle timeout), or
         * statement_timeout between the messages of a batch, which fails the batch. */
        t->skipping = t->open_batch;
        return (struct txn_answer){ .expected = true, .async = true, .failed = true };
    }
    struct txn_answer a = answer_of(e, false);
    a.failed = true;
    a.swallow = (e->flags & TXN_SWALLOW_ERROR) != 0;
    settle_doubts(t);
    if (t->copy == TXN_COPY_IN) t->doubtful = t->copy_syncs;
    end_copy(t);
    if (ends_with_ready(e))
        e->flags |= TXN_ERRED;
    else
        skip_to_sync(t);
    /* Did a doubtful Sync end the skipping, then what is dropped here will be answered. */
    if (t->doubtful && drops_requests(t)) t->unsure = true;
    return a;
}

/* ReadyForQuery of a Sync that was thought to have vanished in a COPY. */
static struct txn_answer doubtful_ready(struct txn *t, uint8_t status)
{
    t->status = status;
    if (t->count == 0) t->skipping = t->open_batch = false;
    t->doubtful--;
    return (struct txn_answer){ .kind = TXN_SYNC, .expected = true, .done = true };
}

static struct txn_answer received_ready(struct txn *t, uint8_t status)
{
    struct txn_entry *e = oldest(t);
    if (status != TXN_IDLE && status != TXN_BLOCK && status != TXN_FAILED) return unexpected(t);
    if (e && (e->kind == TXN_SYNC || (e->flags & TXN_ERRED) || !t->doubtful)) {
        if (!ends_with_ready(e) || t->dropping) return unexpected(t);
        struct txn_answer a = answer_of(e, true);
        pop(t);
        t->status = status;
        end_copy(t);
        return a;
    }
    return t->doubtful ? doubtful_ready(t, status) : unexpected(t);
}

static struct txn_answer described(struct txn *t)
{
    struct txn_entry *e = oldest(t);
    if (e && e->kind == TXN_EXECUTE) return partial(t, TXN_EXECUTE, false);
    return complete(t, TXN_DESCRIBE, true);
}

static struct txn_answer received_async(const struct txn *t, uint8_t type)
{
    const struct txn_entry *e = oldest(t);
    /* What an injected statement brings about is ours; a notification never is. */
    bool ours = e && (e->flags & TXN_SWALLOW) && type != BACKEND_NOTIFICATION;
    return (struct txn_answer){ .expected = true, .async = true, .swallow = ours };
}

struct txn_answer txn_received(struct txn *t, uint8_t type, uint8_t status)
{
    switch (type) {
    case BACKEND_NOTICE:
    case BACKEND_PARAMETER_STATUS:
    case BACKEND_NOTIFICATION: return received_async(t, type);
    case BACKEND_PARSE_COMPLETE: return complete(t, TXN_PARSE, false);
    case BACKEND_BIND_COMPLETE: return complete(t, TXN_BIND, false);
    case BACKEND_CLOSE_COMPLETE: return complete(t, TXN_CLOSE, false);
    /* RowDescription or NoData follows and completes the Describe. */
    case BACKEND_PARAMETER_DESCRIPTION: return partial(t, TXN_DESCRIBE, false);
    case BACKEND_ROW_DESCRIPTION: return described(t);
    case BACKEND_NO_DATA: return complete(t, TXN_DESCRIBE, false);
    case BACKEND_DATA_ROW: return partial(t, TXN_EXECUTE, true);
    case BACKEND_COPY_DATA:
    case BACKEND_COPY_DONE: return received_copy_data(t);
    case BACKEND_COPY_IN: return received_copy(t, TXN_COPY_IN);
    case BACKEND_COPY_OUT: return received_copy(t, TXN_COPY_OUT);
    case BACKEND_COPY_BOTH: return received_copy(t, TXN_COPY_BOTH);
    case BACKEND_COMMAND_COMPLETE: end_copy(t); return complete(t, TXN_EXECUTE, true);
    case BACKEND_EMPTY_QUERY: return complete(t, TXN_EXECUTE, true);
    case BACKEND_PORTAL_SUSPENDED: return complete(t, TXN_EXECUTE, false);
    case BACKEND_FUNCTION_RESULT: return partial(t, TXN_FUNCTION, false);
    case BACKEND_ERROR: return received_error(t);
    case BACKEND_READY: return received_ready(t, status);
    default: return unexpected(t);
    }
}

static bool is_repeatable(const struct txn_entry *e)
{
    return (e->kind == TXN_BIND || e->kind == TXN_DESCRIBE || e->kind == TXN_EXECUTE ||
            e->kind == TXN_CLOSE) &&
           e->flags == 0;
}

bool txn_repeat(struct txn *t)
{
    uint32_t last = t->count - 1;
    if (t->count < 2 || t->status != TXN_IDLE || t->open_batch || t->skipping || t->dropping ||
        t->doubtful || t->unsure || t->copy || entry_at(t, last)->kind != TXN_SYNC ||
        entry_at(t, last)->flags)
        return false;
    for (uint32_t i = 0; i < last; i++)
        if (!is_repeatable(entry_at(t, i))) return false;
    while (t->count > 1) pop_one(t);
    oldest(t)->flags = TXN_SWALLOW;
    return true;
}

bool txn_is_quiet(const struct txn *t)
{
    return t->count == 0 && !t->open_batch && !t->skipping && t->copy == TXN_NO_COPY &&
           !t->unsure && !t->doubtful;
}

bool txn_is_clean(const struct txn *t) { return txn_is_quiet(t) && t->status == TXN_IDLE; }
