#include "protocol/txn.h"

#include "protocol/message.h"

#include <stdlib.h>

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
    if (cap > 1u << 26) return false;
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

static struct txn_entry pop(struct txn *t)
{
    struct txn_entry entry = *entry_at(t, 0);
    t->head = (t->head + 1) & (t->cap - 1);
    t->count--;
    t->owed_ready -= ends_with_ready(&entry);
    return entry;
}

/* ---- what is sent --------------------------------------------------------------------------- */

static bool sent_sync(struct txn *t, uint8_t flags, uint32_t tag, uint32_t serial)
{
    if (t->copy == TXN_COPY_IN && !t->copy_ended) {
        /* The server will ignore it, unless it gives up the COPY first: then it will not. */
        t->sync_in_copy = true;
        return true;
    }
    t->skipping = false;
    t->open_batch = false;
    return push(t, (struct txn_entry){ .kind = TXN_SYNC, .flags = flags, .tag = tag, .serial = serial });
}

static bool sent_extended(struct txn *t, enum txn_kind kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    t->open_batch = true;
    if (t->skipping) return true;
    return push(t, (struct txn_entry){ .kind = kind, .flags = flags, .tag = tag, .serial = serial });
}

static bool sent_simple(struct txn *t, enum txn_kind kind, uint8_t flags, uint32_t tag, uint32_t serial)
{
    /* While it skips, the server discards a Query like anything else but Sync. */
    if (t->skipping) return true;
    return push(t, (struct txn_entry){ .kind = kind, .flags = flags, .tag = tag, .serial = serial });
}

bool txn_sent(struct txn *t, uint8_t type, uint8_t flags, uint32_t tag, uint32_t serial)
{
    switch (type) {
    case FRONTEND_PARSE: return sent_extended(t, TXN_PARSE, flags, tag, serial);
    case FRONTEND_BIND: return sent_extended(t, TXN_BIND, flags, tag, serial);
    case FRONTEND_DESCRIBE: return sent_extended(t, TXN_DESCRIBE, flags, tag, serial);
    case FRONTEND_EXECUTE: return sent_extended(t, TXN_EXECUTE, flags, tag, serial);
    case FRONTEND_CLOSE: return sent_extended(t, TXN_CLOSE, flags, tag, serial);
    case FRONTEND_SYNC: return sent_sync(t, flags, tag, serial);
    case FRONTEND_QUERY: return sent_simple(t, TXN_QUERY, flags, tag, serial);
    case FRONTEND_FUNCTION_CALL: return sent_simple(t, TXN_FUNCTION, flags, tag, serial);
    case FRONTEND_COPY_DONE:
    case FRONTEND_COPY_FAIL:
        if (t->copy == TXN_COPY_IN) t->copy_ended = true;
        return true;
    default: return true; /* CopyData, Flush, Terminate: no answer of their own */
    }
}

bool txn_local(struct txn *t, void *local, uint8_t flags)
{
    return push(t, (struct txn_entry){ .local = local, .kind = TXN_LOCAL, .flags = flags });
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
    if (t->dropping == 0) return false;
    t->dropping--;
    *entry = pop(t);
    return true;
}

bool txn_take_local(struct txn *t, struct txn_entry *entry)
{
    struct txn_entry *e = oldest(t);
    if (!e || e->kind != TXN_LOCAL || t->dropping) return false;
    *entry = pop(t);
    return true;
}

/* Syncs that the server has read, or will read, inside the COPY that just began are ignored by
 * it. (55.2.6: "the backend will ignore Flush and Sync messages" in copy-in mode; libpq sends
 * one with each extended query, before it can know that the query is a COPY.) */
static void forget_syncs_behind_copy(struct txn *t)
{
    struct txn_entry copy = pop(t);
    while (t->count && oldest(t)->kind == TXN_SYNC) pop(t);
    /* The slot that was just freed holds it again. */
    t->head = (t->head - 1) & (t->cap - 1);
    t->count++;
    *entry_at(t, 0) = copy;
    t->owed_ready += ends_with_ready(&copy);
}

static void end_copy(struct txn *t)
{
    t->copy = TXN_NO_COPY;
    t->copy_ended = t->sync_in_copy = false;
}

static struct txn_answer unexpected(struct txn *t)
{
    t->unsure = true;
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

/* The oldest entry must be of `kind` (or a Query, when `in_query`), and is answered now. */
static struct txn_answer complete(struct txn *t, enum txn_kind kind, bool in_query)
{
    struct txn_entry *e = oldest(t);
    if (!e) return unexpected(t);
    if (e->kind == TXN_QUERY && in_query) return answer_of(e, false);
    if (e->kind != kind) return unexpected(t);
    struct txn_answer a = answer_of(e, true);
    pop(t);
    return a;
}

/* A part of an answer: rows, descriptions, COPY data. */
static struct txn_answer partial(struct txn *t)
{
    struct txn_entry *e = oldest(t);
    if (!e || (e->kind != TXN_QUERY && e->kind != TXN_EXECUTE)) return unexpected(t);
    return answer_of(e, false);
}

static struct txn_answer received_error(struct txn *t)
{
    struct txn_entry *e = oldest(t);
    /* A last word before the server closes (shutdown, idle timeout): nobody asked. */
    if (!e) return (struct txn_answer){ .expected = true, .async = true, .failed = true };
    struct txn_answer a = answer_of(e, false);
    a.failed = true;
    a.swallow = (e->flags & TXN_SWALLOW_ERROR) != 0;
    if (t->copy == TXN_COPY_IN && t->sync_in_copy) t->unsure = true;
    end_copy(t);
    if (!ends_with_ready(e)) skip_to_sync(t);
    return a;
}

static struct txn_answer received_ready(struct txn *t, uint8_t status)
{
    struct txn_entry *e = oldest(t);
    if (!e || !ends_with_ready(e)) return unexpected(t);
    struct txn_answer a = answer_of(e, true);
    pop(t);
    t->status = status;
    end_copy(t);
    if (status != TXN_IDLE && status != TXN_BLOCK && status != TXN_FAILED) return unexpected(t);
    return a;
}

static struct txn_answer received_copy(struct txn *t, enum txn_copy copy)
{
    struct txn_answer a = partial(t);
    if (!a.expected) return a;
    t->copy = (uint8_t)copy;
    t->copy_ended = t->sync_in_copy = false;
    if (copy == TXN_COPY_IN) forget_syncs_behind_copy(t);
    if (copy == TXN_COPY_BOTH) t->unsure = true;
    return a;
}

static struct txn_answer described(struct txn *t)
{
    struct txn_entry *e = oldest(t);
    if (e && e->kind == TXN_EXECUTE) return answer_of(e, false);
    return complete(t, TXN_DESCRIBE, true);
}

static struct txn_answer parameters_described(struct txn *t)
{
    /* ParameterDescription; RowDescription or NoData follows and completes the Describe. */
    struct txn_entry *e = oldest(t);
    return e && e->kind == TXN_DESCRIBE ? answer_of(e, false) : unexpected(t);
}

struct txn_answer txn_received(struct txn *t, uint8_t type, uint8_t status)
{
    switch (type) {
    case BACKEND_NOTICE:
    case BACKEND_PARAMETER_STATUS:
    case BACKEND_NOTIFICATION: {
        struct txn_entry *e = oldest(t);
        return (struct txn_answer){ .expected = true,
                                    .async = true,
                                    .swallow = e && (e->flags & TXN_SWALLOW) };
    }
    case BACKEND_PARSE_COMPLETE: return complete(t, TXN_PARSE, false);
    case BACKEND_BIND_COMPLETE: return complete(t, TXN_BIND, false);
    case BACKEND_CLOSE_COMPLETE: return complete(t, TXN_CLOSE, false);
    case BACKEND_PARAMETER_DESCRIPTION: return parameters_described(t);
    case BACKEND_ROW_DESCRIPTION: return described(t);
    case BACKEND_NO_DATA: return complete(t, TXN_DESCRIBE, false);
    case BACKEND_DATA_ROW:
    case BACKEND_COPY_DATA:
    case BACKEND_COPY_DONE: return partial(t);
    case BACKEND_COPY_IN: return received_copy(t, TXN_COPY_IN);
    case BACKEND_COPY_OUT: return received_copy(t, TXN_COPY_OUT);
    case BACKEND_COPY_BOTH: return received_copy(t, TXN_COPY_BOTH);
    case BACKEND_COMMAND_COMPLETE: end_copy(t); return complete(t, TXN_EXECUTE, true);
    case BACKEND_EMPTY_QUERY:
    case BACKEND_PORTAL_SUSPENDED: return complete(t, TXN_EXECUTE, true);
    case BACKEND_FUNCTION_RESULT: {
        struct txn_entry *e = oldest(t);
        return e && e->kind == TXN_FUNCTION ? answer_of(e, false) : unexpected(t);
    }
    case BACKEND_ERROR: return received_error(t);
    case BACKEND_READY: return received_ready(t, status);
    default: return unexpected(t);
    }
}

bool txn_is_quiet(const struct txn *t)
{
    return t->count == 0 && !t->open_batch && !t->skipping && t->copy == TXN_NO_COPY && !t->unsure;
}

bool txn_is_clean(const struct txn *t) { return txn_is_quiet(t) && t->status == TXN_IDLE; }
