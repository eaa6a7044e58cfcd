/* The ledger, told of anything by both sides. The input is a list of steps of one or two bytes: a
 * message sent (with flags), a message received (with a status), a local answer.
 *
 * Properties: the ReadyForQuery that are owed are those of the entries; every local answer comes
 * back exactly once, either in its turn or dropped, and in the order they were given; the ledger's
 * own marks never come back, and are never the oldest; who is clean owes nothing; who was surprised
 * is not quiet; and a few honest answers bring any ledger that is not unsure back to quiet. */
#include "protocol/message.h"
#include "protocol/txn.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

struct book {
    struct txn txn;
    uintptr_t given, back; /* numbers of local answers */
};

static void local_back(struct book *b, const struct txn_entry *e)
{
    must((uintptr_t)e->local == ++b->back);
}

static void take(struct book *b)
{
    struct txn_entry e;
    while (txn_take_dropped(&b->txn, &e)) {
        must(e.kind != TXN_COPY_END && e.kind != TXN_SYNC);
        if (e.kind == TXN_LOCAL) local_back(b, &e);
    }
    while (txn_take_local(&b->txn, &e)) local_back(b, &e);
}

static void check(const struct book *b)
{
    const struct txn *t = &b->txn;
    uint32_t ready = 0, locals = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct txn_entry *e = &t->ring[(t->head + i) & (t->cap - 1)];
        ready += e->kind == TXN_SYNC || e->kind == TXN_QUERY || e->kind == TXN_FUNCTION;
        locals += e->kind == TXN_LOCAL;
        must(e->kind != TXN_COPY_END || (i > 0 && e->tag > 0));
        must(e->kind != TXN_LOCAL || i > 0);
    }
    must(t->owed_ready == ready && t->dropping == 0);
    must(b->given - b->back == locals);
    must(!txn_is_clean(t) || (txn_is_quiet(t) && t->status == TXN_IDLE));
    must(!txn_is_quiet(t) || (t->count == 0 && !t->unsure && !t->open_batch && !t->skipping &&
                              t->copy == TXN_NO_COPY && !t->doubtful));
    must(!t->skipping || t->count == 0);
}

static void send(struct book *b, uint8_t type, uint8_t flags)
{
    must(txn_sent(&b->txn, type, flags & (TXN_SWALLOW | TXN_SWALLOW_ERROR), 1, 2));
}

static bool receive(struct book *b, uint8_t type, uint8_t status)
{
    struct txn_answer a;
    txn_received(&b->txn, type, status, &a);
    if (!a.expected) must(b->txn.unsure && !txn_is_quiet(&b->txn));
    must(!a.done || (a.expected && !a.async));
    take(b);
    return a.expected;
}

/* A server in its senses answers what it was asked first. */
static void answer_oldest(struct book *b)
{
    static const uint8_t answers[] = {
        [TXN_PARSE] = '1', [TXN_BIND] = '2', [TXN_DESCRIBE] = 'n', [TXN_EXECUTE] = 'C',
        [TXN_CLOSE] = '3', [TXN_SYNC] = 'Z', [TXN_QUERY] = 'Z',    [TXN_FUNCTION] = 'Z'
    };
    struct txn_entry e = b->txn.ring[b->txn.head];
    if (e.kind == TXN_QUERY && !(e.flags & TXN_ERRED)) must(receive(b, BACKEND_EMPTY_QUERY, 0));
    if (e.kind == TXN_FUNCTION && !(e.flags & TXN_ERRED))
        must(receive(b, BACKEND_FUNCTION_RESULT, 0));
    must(receive(b, answers[e.kind], TXN_IDLE));
    check(b);
}

static void answer_all(struct book *b)
{
    struct txn *t = &b->txn;
    if (t->copy == TXN_COPY_IN) send(b, FRONTEND_COPY_DONE, 0);
    send(b, FRONTEND_SYNC, 0);
    while (t->count) answer_oldest(b);
    if (t->doubtful) send(b, FRONTEND_QUERY, 0);
    while (t->count) answer_oldest(b);
    must(txn_is_clean(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char said[] = "PBDECSQFHdcfXp", answered[] = "123CIsDdcGHTtnEZNSAVWR";
    struct book b = { 0 };
    txn_init(&b.txn);
    b.txn.status = TXN_IDLE;
    bool honest = true;
    for (size_t i = 0; i < size && honest; i++) {
        uint8_t what = data[i] & 0x3f, how = data[i] >> 6;
        if (what < sizeof said - 1)
            send(&b, (uint8_t)said[what], how);
        else if (what < 16)
            must(txn_local(&b.txn, (void *)++b.given));
        else if (what - 16u < sizeof answered - 1)
            honest = receive(&b, (uint8_t)answered[what - 16u], (uint8_t) "ITEX"[how]);
        take(&b);
        check(&b);
    }
    if (honest && !b.txn.unsure) answer_all(&b);
    /* As a server that is closed does it. */
    struct txn_entry e;
    for (b.txn.dropping = b.txn.count; txn_take_dropped(&b.txn, &e);)
        if (e.kind == TXN_LOCAL) local_back(&b, &e);
    must(b.given == b.back);
    txn_fini(&b.txn);
    return 0;
}
