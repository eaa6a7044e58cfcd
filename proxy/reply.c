#include "proxy/reply.h"

#include "protocol/backend.h"
#include "proxy/outbox.h"
#include "proxy/worker.h"

enum { HELD_MAX_BYTES = 128 * 1024 };

/* ---- one message ---------------------------------------------------------------------------- */

/* What a server says of itself is remembered; what clients cannot name is renamed. */
static void take_parameter(struct server *server, const struct piece *p, struct outbox *out)
{
    struct slice name, value;
    if (!backend_read_parameter(piece_body(p), &name, &value)) {
        if (out) outbox_add(out, p->bytes);
        return;
    }
    params_set(&server->params, name, value);
    if (!out) return;
    struct slice shown = params_shown(name, value);
    if (slice_eq(shown, value)) {
        outbox_add(out, p->bytes);
        return;
    }
    struct buf renamed = { 0 };
    backend_parameter_status(&renamed, name, shown);
    outbox_copy(out, buf_slice(&renamed));
    buf_fini(&renamed);
}

static uint8_t ready_status(const struct piece *p)
{
    return p->type == BACKEND_READY ? (uint8_t)piece_body(p).at[0] : 0;
}

/* The first piece of a message. False: the server has lost the thread. */
static bool take_first(struct session *s, struct server *server, const struct piece *p,
                       struct outbox *out, bool *pass)
{
    struct txn_answer a = txn_received(&server->txn, p->type, ready_status(p));
    struct txn_entry entry;
    while (txn_take_dropped(&server->txn, &entry)) continue;
    *pass = !a.swallow;
    if (!a.expected) return false;
    if (p->type == BACKEND_READY) metrics_add(&server->env->metrics, METRIC_requests, 1);
    if (p->type == BACKEND_PARAMETER_STATUS) {
        take_parameter(server, p, *pass ? out : NULL);
        *pass = false;
    }
    if (p->type == BACKEND_ERROR && *pass && s) {
        struct slice severity = backend_field(piece_body(p), 'S');
        s->farewell = slice_is(severity, "FATAL") || slice_is(severity, "PANIC");
    }
    return true;
}

/* ---- many ----------------------------------------------------------------------------------- */

static void lost_thread(struct server *server, const char *what)
{
    server_fail(server, ERR_SERVER_CONFUSED, "the warehouse sent an unexpected message (%s)", what);
}

/* Takes messages off *in. False: the server is no more. */
static bool take_all(struct session *s, struct server *server, struct slice *in, struct outbox *out)
{
    bool pass = server->passing;
    struct piece piece;
    enum frame_result result;
    while ((result = frame_next(&server->frame, in, &piece)) == FRAME_PIECE) {
        if (piece.first && !take_first(s, server, &piece, out, &pass)) {
            if (out) outbox_flush(out);
            lost_thread(server, backend_specs[piece.type].name);
            return false;
        }
        if (pass && out) outbox_add(out, piece.bytes);
    }
    server->passing = pass;
    if (result == FRAME_MORE) return true;
    if (out) outbox_flush(out);
    lost_thread(server, "malformed");
    return false;
}

/* The rest of the bytes: the start of a message that is wanted whole. */
static bool hold(struct server *server, struct slice left, bool was_held)
{
    if (was_held)
        buf_drop(&server->held, server->held.len - left.len);
    else
        buf_add_slice(&server->held, left);
    if (server->held.len == 0) buf_fini(&server->held);
    if (!server->held.failed && server->held.len <= HELD_MAX_BYTES) return true;
    lost_thread(server, "too large to hold");
    return false;
}

void reply_take(struct server *server, const char *at, size_t len)
{
    struct session *s = server->session;
    struct slice in = slice_of(at, len);
    bool was_held = server->held.len > 0;
    if (was_held) {
        buf_add(&server->held, at, len);
        in = buf_slice(&server->held);
    }
    struct outbox *out = &server->env->worker->to_client;
    outbox_begin(out, &s->client.stream);
    if (!take_all(s, server, &in, out)) return;
    metrics_add(&server->env->metrics, METRIC_client_bytes_sent, out->bytes);
    outbox_flush(out);
    if (!hold(server, in, was_held)) return;
    if (stream_is_choked(&s->client.stream)) stream_pause(&server->stream);
    session_replied(s);
}

bool reply_drain(struct server *server, const char *at, size_t len)
{
    struct slice in = slice_of(at, len);
    bool was_held = server->held.len > 0;
    if (was_held) {
        buf_add(&server->held, at, len);
        in = buf_slice(&server->held);
    }
    return take_all(NULL, server, &in, NULL) && hold(server, in, was_held);
}

void reply_idle(struct server *server, const char *at, size_t len)
{
    struct slice in = slice_of(at, len);
    struct piece piece;
    enum frame_result result;
    bool was_held = server->held.len > 0;
    if (was_held) {
        buf_add(&server->held, at, len);
        in = buf_slice(&server->held);
    }
    while ((result = frame_next(&server->frame, &in, &piece)) == FRAME_PIECE) {
        if (!piece.first) continue;
        if (piece.type == BACKEND_PARAMETER_STATUS) {
            take_parameter(server, &piece, NULL);
        } else if (piece.type == BACKEND_ERROR) {
            struct slice text = backend_field(piece_body(&piece), 'M');
            server_fail(server, ERR_SERVER_LOST, "the warehouse said goodbye: %.*s",
                        text.len < 150 ? (int)text.len : 150, text.at ? text.at : "");
            return;
        } else if (piece.type != BACKEND_NOTICE && piece.type != BACKEND_NOTIFICATION) {
            lost_thread(server, backend_specs[piece.type].name);
            return;
        }
    }
    if (result == FRAME_MORE)
        hold(server, in, was_held);
    else
        lost_thread(server, "malformed");
}
