#include "proxy/local.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/deferred.h"
#include "proxy/prepared.h"

#include <stdlib.h>

struct local {
    struct buf messages;
    uint32_t serial; /* of the book's entry that a ParseComplete confirms */
    bool ready;      /* ReadyForQuery follows, with the status of that moment */
};

static void local_free(struct local *local)
{
    if (!local) return;
    buf_fini(&local->messages);
    free(local);
}

void local_drop(struct session *s, void *arg)
{
    struct local *local = arg;
    prepared_named(s, local->serial, false);
    local_free(local);
}

static void give(struct session *s, struct local *local, struct outbox *out)
{
    if (local->ready) backend_ready(&local->messages, deferred_status(s));
    prepared_named(s, local->serial, true);
    if (out)
        outbox_copy(out, buf_slice(&local->messages));
    else
        client_write(&s->client, buf_slice(&local->messages));
    if (out && local->messages.len > OUTBOX_SCRATCH_BYTES) outbox_flush(out);
    local_free(local);
    metrics_add(&s->client.env->metrics, METRIC_local_answers, 1);
}

void local_give(struct session *s, struct outbox *out)
{
    struct txn_entry entry;
    while (s->server && txn_take_local(&s->server->txn, &entry)) give(s, entry.local, out);
}

static bool queue(struct session *s, struct local *local)
{
    if (!local || local->messages.failed) {
        local_free(local);
        return false;
    }
    if (!s->server || s->server->txn.count == 0) {
        give(s, local, NULL);
        return true;
    }
    if (txn_local(&s->server->txn, local)) return true;
    local_free(local);
    return false;
}

bool local_answer(struct session *s, enum local_kind kind, uint32_t serial)
{
    struct local *local = calloc(1, sizeof *local);
    if (!local) return false;
    local->serial = serial;
    if (kind == LOCAL_PARSE_COMPLETE)
        backend_parse_complete(&local->messages);
    else
        backend_close_complete(&local->messages);
    return queue(s, local);
}

bool local_say(struct session *s, struct buf *messages, bool ready)
{
    struct local *local = calloc(1, sizeof *local);
    if (!local) {
        buf_fini(messages);
        return false;
    }
    local->messages = *messages;
    local->ready = ready;
    *messages = (struct buf){ 0 };
    return queue(s, local);
}

/* ---- refusing ------------------------------------------------------------------------------- */

static const char POISON[] = "refused by the proxy";

/* Makes the server's transaction fail, by something that cannot be parsed; unseen by the client. */
static bool poison(struct session *s, bool simple, struct upstream *out)
{
    struct txn *txn = &s->server->txn;
    struct buf message = { 0 };
    if (simple)
        frontend_query(&message, slice_str(POISON));
    else
        frontend_parse(&message, (struct slice){ "", 0 }, slice_str(POISON), slice_of("\0\0", 2));
    bool ok = !message.failed && txn_sent(txn, simple ? FRONTEND_QUERY : FRONTEND_PARSE,
                                          TXN_SWALLOW | TXN_SWALLOW_ERROR, 0, 0);
    if (ok) upstream_say(out, buf_slice(&message));
    buf_fini(&message);
    s->server->shelf.unnamed_serial = 0;
    return ok;
}

static enum take no_memory(struct session *s)
{
    struct err err;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    client_refuse(&s->client, &err);
    return TAKE_STOP;
}

static bool is_simple(uint8_t type)
{
    return type == FRONTEND_QUERY || type == FRONTEND_FUNCTION_CALL;
}

bool local_must_wait(const struct session *s, uint8_t type)
{
    return is_simple(type) && s->server && s->server->txn.count;
}

enum take local_refuse_said(struct session *s, uint8_t type, struct buf *messages,
                            struct upstream *out)
{
    struct txn *txn = s->server ? &s->server->txn : NULL;
    bool simple = is_simple(type);
    bool open = txn && (txn->open_batch || txn->count || txn->status == TXN_BLOCK);
    if (!open) {
        deferred_fail(s);
        s->discarding = !simple;
        return local_say(s, messages, simple) ? TAKE_DROP : no_memory(s);
    }
    if (simple) {
        if (!poison(s, true, out) || !local_say(s, messages, true)) return no_memory(s);
        return TAKE_DROP;
    }
    /* The error first: what fails on the server after it is not shown. */
    s->discarding = true;
    if (!local_say(s, messages, false) || !poison(s, false, out)) return no_memory(s);
    return TAKE_DROP;
}

enum take local_refuse(struct session *s, uint8_t type, const struct err *err, struct upstream *out)
{
    struct buf messages = { 0 };
    if (local_must_wait(s, type)) return TAKE_WAIT;
    backend_error(&messages, err);
    return local_refuse_said(s, type, &messages, out);
}
