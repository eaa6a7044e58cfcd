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

static bool kind_ends_with_ready(uint8_t kind)
{
    return kind == TXN_SYNC || kind == TXN_QUERY || kind == TXN_FUNCTION;
}

static bool ends_with_ready(const struct txn_entry *e) { return kind_ends_with_ready(e->kind); }

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

static bool push(struct txn *t, uint8_t kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    if (t->count == t->cap && !grow(t)) return false;
    struct txn_entry *e = entry_at(t, t->count++);
    e->local = NULL; /* (all of the union) */
    e->serial = serial;
    e->tag = tag;
    e->kind = kind;
    e->flags = flags;
    t->owed_ready += kind_ends_with_ready(kind);
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

static bool sent_sync(struct txn *t, uint8_t kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    /* (With another request behind the COPY, either has failed, or the connection has.) */
    if (t->copy == TXN_COPY_IN && !t->copy_ended && t->count == 1) {
        t->copy_syncs++;
        return true;
    }
    t->skipping = false;
    t->open_batch = false;
    return push(t, kind, flags, tag, serial);
}

/* While it skips, the server discards all but Sync, and so do we. */
static bool discard(struct txn *t)
{
    if (t->doubtful) t->unsure = true; /* or has a doubtful Sync ended the skipping? */
    return true;
}

static bool sent_extended(struct txn *t, uint8_t kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    t->open_batch = true;
    return t->skipping ? discard(t) : push(t, kind, flags, tag, serial);
}

static bool sent_simple(struct txn *t, uint8_t kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    if (t->skipping) return discard(t);
    /* What was begun without a Sync is in the Query's transaction, and ends with it. */
    t->open_batch = false;
    return push(t, kind, flags, tag, serial);
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
    return push(t, TXN_COPY_END, 0, 1, 0);
}

bool txn_sent(struct txn *t, uint8_t type, uint8_t flags, uint32_t tag, uint32_t serial)
{
    switch (type) {
    case FRONTEND_PARSE: return sent_extended(t, TXN_PARSE, flags, tag, serial);
    case FRONTEND_BIND: return sent_extended(t, TXN_BIND, flags, tag, serial);
    case FRONTEND_DESCRIBE: return sent_extended(t, TXN_DESCRIBE, flags, tag, serial);
    case FRONTEND_EXECUTE: return sent_extended(t, TXN_EXECUTE, flags, tag, serial);
    case FRONTEND_CLOSE: return sent_extended(t, TXN_CLOSE, flags, tag, serial);
    case FRONTEND_SYNC: return sent_sync(t, TXN_SYNC, flags, tag, serial);
    case FRONTEND_QUERY: return sent_simple(t, TXN_QUERY, flags, tag, serial);
    case FRONTEND_FUNCTION_CALL: return sent_simple(t, TXN_FUNCTION, flags, tag, serial);
    case FRONTEND_COPY_DONE:
    case FRONTEND_COPY_FAIL: return sent_copy_end(t);
    default: return true; /* CopyData, Flush, Terminate: no answer of their own */
    }
}

bool txn_local(struct txn *t, void *local)
{
    if (!push(t, TXN_LOCAL, 0, 0, 0)) return false;
    entry_at(t, t->count - 1)->local = local;
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
static void unexpected(struct txn *t)
{
    t->unsure = true;
    t->doubtful = 0;
}

/* Answers and entries are filled in place, field by field: there is one for each message, and to
 * copy what was just written in pieces makes the processor wait. */
static void answer_of(const struct txn_entry *e, bool done, struct txn_answer *a)
{
    a->kind = (enum txn_kind)e->kind;
    a->tag = e->tag;
    if (e->kind != TXN_LOCAL) a->serial = e->serial;
    a->expected = true;
    a->swallow = (e->flags & TXN_SWALLOW) != 0;
    a->done = done;
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
static void complete(struct txn *t, enum txn_kind kind, bool in_query, struct txn_answer *a)
{
    struct txn_entry *e = answered(t, kind, in_query);
    if (!e) {
        unexpected(t);
        return;
    }
    answer_of(e, e->kind != TXN_QUERY, a);
    if (a->done) pop(t);
}

/* A part of an answer: rows, descriptions, COPY data. */
static void partial(struct txn *t, enum txn_kind kind, bool in_query, struct txn_answer *a)
{
    struct txn_entry *e = answered(t, kind, in_query);
    if (e)
        answer_of(e, false, a);
    else
        unexpected(t);
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

static void received_copy(struct txn *t, enum txn_copy copy, struct txn_answer *a)
{
    if (t->copy != TXN_NO_COPY)
        unexpected(t);
    else
        partial(t, TXN_EXECUTE, true, a);
    if (!a->expected) return;
    t->copy = (uint8_t)copy;
    if (copy == TXN_COPY_IN) forget_syncs_behind_copy(t);
    if (copy == TXN_COPY_BOTH) t->unsure = true;
}

static void received_copy_data(struct txn *t, struct txn_answer *a)
{
    if (t->copy == TXN_COPY_OUT || t->copy == TXN_COPY_BOTH)
        partial(t, TXN_EXECUTE, true, a);
    else
        unexpected(t);
}

/* ---- the ends ------------------------------------------------------------------------------- */

/* Will more be dropped than the failed entry itself? */
static bool drops_requests(const struct txn *t)
{
    for (uint32_t i = 1; i < t->dropping; i++)
        if (entry_at(t, i)->kind < TXN_LOCAL) return true;
    return false;
}

static void received_error(struct txn *t, struct txn_answer *a)
{
    struct txn_entry *e = oldest(t);
    if (!e) {
        /* Nobody asked: a last word before the server closes (shutdown, idle timeout), or
         * statement_timeout between the messages of a batch, which fails the batch. */
        t->skipping = t->open_batch;
        a->expected = a->async = a->failed = true;
        return;
    }
    answer_of(e, false, a);
    a->failed = true;
    a->swallow = (e->flags & TXN_SWALLOW_ERROR) != 0;
    settle_doubts(t);
    if (t->copy == TXN_COPY_IN) t->doubtful = t->copy_syncs;
    end_copy(t);
    if (ends_with_ready(e))
        e->flags |= TXN_ERRED;
    else
        skip_to_sync(t);
    /* Did a doubtful Sync end the skipping, then what is dropped here will be answered. */
    if (t->doubtful && drops_requests(t)) t->unsure = true;
}

/* ReadyForQuery of a Sync that was thought to have vanished in a COPY. */
static void doubtful_ready(struct txn *t, uint8_t status, struct txn_answer *a)
{
    t->status = status;
    if (t->count == 0) t->skipping = t->open_batch = false;
    t->doubtful--;
    a->kind = TXN_SYNC;
    a->expected = a->done = true;
}

static void received_ready(struct txn *t, uint8_t status, struct txn_answer *a)
{
    struct txn_entry *e = oldest(t);
    const bool known = status == TXN_IDLE || status == TXN_BLOCK || status == TXN_FAILED;
    const bool owed = e && (e->kind == TXN_SYNC || (e->flags & TXN_ERRED) || !t->doubtful);
    if (known && owed && ends_with_ready(e) && !t->dropping) {
        answer_of(e, true, a);
        pop(t);
        t->status = status;
        end_copy(t);
    } else if (known && !owed && t->doubtful) {
        doubtful_ready(t, status, a);
    } else {
        unexpected(t);
    }
}

static void described(struct txn *t, struct txn_answer *a)
{
    struct txn_entry *e = oldest(t);
    if (e && e->kind == TXN_EXECUTE)
        partial(t, TXN_EXECUTE, false, a);
    else
        complete(t, TXN_DESCRIBE, true, a);
}

static void received_async(const struct txn *t, uint8_t type, struct txn_answer *a)
{
    const struct txn_entry *e = oldest(t);
    /* What an injected statement brings about is ours; a notification never is. */
    a->swallow = e && (e->flags & TXN_SWALLOW) && type != BACKEND_NOTIFICATION;
    a->expected = a->async = true;
}

void txn_received(struct txn *t, uint8_t type, uint8_t status, struct txn_answer *a)
{
    *a = (struct txn_answer){ .expected = false };
    switch (type) {
    case BACKEND_NOTICE:
    case BACKEND_PARAMETER_STATUS:
    case BACKEND_NOTIFICATION: received_async(t, type, a); break;
    case BACKEND_PARSE_COMPLETE: complete(t, TXN_PARSE, false, a); break;
    case BACKEND_BIND_COMPLETE: complete(t, TXN_BIND, false, a); break;
    case BACKEND_CLOSE_COMPLETE: complete(t, TXN_CLOSE, false, a); break;
    /* RowDescription or NoData follows and completes the Describe. */
    case BACKEND_PARAMETER_DESCRIPTION: partial(t, TXN_DESCRIBE, false, a); break;
    case BACKEND_ROW_DESCRIPTION: described(t, a); break;
    case BACKEND_NO_DATA: complete(t, TXN_DESCRIBE, false, a); break;
    case BACKEND_DATA_ROW: partial(t, TXN_EXECUTE, true, a); break;
    case BACKEND_COPY_DATA:
    case BACKEND_COPY_DONE: received_copy_data(t, a); break;
    case BACKEND_COPY_IN: received_copy(t, TXN_COPY_IN, a); break;
    case BACKEND_COPY_OUT: received_copy(t, TXN_COPY_OUT, a); break;
    case BACKEND_COPY_BOTH: received_copy(t, TXN_COPY_BOTH, a); break;
    case BACKEND_COMMAND_COMPLETE:
        end_copy(t);
        complete(t, TXN_EXECUTE, true, a);
        break;
    case BACKEND_EMPTY_QUERY: complete(t, TXN_EXECUTE, true, a); break;
    case BACKEND_PORTAL_SUSPENDED: complete(t, TXN_EXECUTE, false, a); break;
    case BACKEND_FUNCTION_RESULT: partial(t, TXN_FUNCTION, false, a); break;
    case BACKEND_ERROR: received_error(t, a); break;
    case BACKEND_READY: received_ready(t, status, a); break;
    default: unexpected(t); break;
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
