#include "proxy/reply.h"

#include "protocol/backend.h"
#include "protocol/scratch.h"
#include "proxy/carry.h"
#include "proxy/deferred.h"
#include "proxy/guide.h"
#include "proxy/heal.h"
#include "proxy/local.h"
#include "proxy/orphan.h"
#include "proxy/outbox.h"
#include "proxy/prepared.h"
#include "proxy/tally.h"
#include "proxy/worker.h"

enum { HELD_MAX_BYTES = 128 * 1024 };

/* ---- one message ---------------------------------------------------------------------------- */

/* What was judged as UTF-8 must not be read as anything else. */
static bool is_misread(const struct session *s, const struct piece *p)
{
    struct slice name, value;
    return s && s->restricted && backend_read_parameter(piece_body(p), &name, &value) &&
           slice_is(name, "client_encoding") && !params_is_utf8(value);
}

/* What a server says of itself is remembered; what clients cannot name is renamed. */
static void take_parameter(struct server *server, const struct piece *p, struct outbox *out)
{
    struct slice name, value;
    if (!backend_read_parameter(piece_body(p), &name, &value)) {
        if (out) outbox_add(out, p->bytes);
        return;
    }
    server_note(server, name, value);
    if (server->session && server->is_unreadable) carry_unreadable(server->session);
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

static void parse_failed(struct session *s, struct server *server, uint32_t tag, uint32_t serial)
{
    prepared_parsed(s, server, tag, serial, false);
    if (s) carry_parse_failed(s, tag, serial);
}

/* Entries that an error has made void: they will never be answered. */
static void drop_entries(struct session *s, struct server *server)
{
    struct txn_entry entry;
    while (txn_take_dropped(&server->txn, &entry)) {
        if (entry.kind == TXN_LOCAL)
            local_drop(s, entry.local);
        else if (entry.kind == TXN_PARSE)
            parse_failed(s, server, entry.tag, entry.serial);
    }
}

/* Local answers whose turn has come, and whose client has left. */
static void drop_locals(struct server *server)
{
    struct txn_entry entry;
    while (txn_take_local(&server->txn, &entry)) local_drop(NULL, entry.local);
}

/* A FATAL is the server's last word; we add none of our own. It is the client's to hear even when
 * it answers something of ours, unless nothing of the client's was sent yet: then another server
 * is.
 */
static bool take_farewell(struct session *s, struct server *server, const struct piece *p,
                          bool *pass)
{
    if (!server_hear_farewell(server, piece_body(p)) || !s) return false;
    *pass = !session_moves_on(s);
    s->farewell = *pass;
    if (*pass) guide_erred(s);
    return true;
}

/* The first piece of a message. False: the server has lost the thread. */
static bool take_first(struct session *s, struct server *server, const struct piece *p,
                       struct outbox *out, bool *pass)
{
    if (server->kept.len && s && p->type == BACKEND_ERROR && heal_error(s, server, piece_body(p))) {
        *pass = false;
        return true;
    }
    SCRATCH struct txn_answer a;
    txn_received(&server->txn, p->type, ready_status(p), &a);
    if (server->kept.len && !a.async) buf_truncate(&server->kept, 0); /* somebody has heard of it */
    *pass = !a.swallow;
    if (!a.expected) return false;
    switch (p->type) {
    case BACKEND_READY:
        /* Who goes on after its last word is not believed: least of all that settings hold. */
        if (server->last_words) return false;
        metrics_add(&server->env->metrics, METRIC_requests, 1);
        if (s && !a.swallow) tally_ready(s, server->txn.status);
        if (s && a.tag == CARRY_TAG)
            carry_settled(s);
        else if (s && a.tag == CARRY_GROUP_TAG)
            carry_group_said(s);
        else if (s && a.tag == DEFERRED_TAG)
            deferred_answered(s);
        else if (s)
            carry_ready(s);
        else if (a.tag == ORPHAN_TAG && !server->cleaning_failed)
            orphan_cleaned(server);
        break;
    case BACKEND_PARSE_COMPLETE: prepared_parsed(s, server, a.tag, a.serial, true); break;
    case BACKEND_COMMAND_COMPLETE:
        prepared_tag(server, slice_of(piece_body(p).at, piece_body(p).len - 1));
        if (s && !a.swallow) carry_tag(s, slice_of(piece_body(p).at, piece_body(p).len - 1));
        break;
    case BACKEND_PARAMETER_STATUS:
        if (is_misread(s, p)) return false;
        take_parameter(server, p, *pass ? out : NULL);
        *pass = false;
        break;
    case BACKEND_ERROR:
        drop_entries(s, server);
        if (take_farewell(s, server, p, pass)) break;
        if (slice_is(backend_field(piece_body(p), 'C'), "26000"))
            stmt_shelf_doubt(&server->shelf); /* lost, perhaps: the next time it is parsed again */
        if (s && a.kind == TXN_QUERY && a.tag == CARRY_TAG && !a.async)
            carry_settle_error(s, piece_body(p));
        else if (s && a.kind == TXN_QUERY && a.tag == CARRY_GROUP_TAG && !a.async)
            carry_group_error(s, piece_body(p));
        else if (s && a.kind == TXN_QUERY && a.tag == DEFERRED_TAG && !a.async)
            deferred_error(s, p);
        else if (s)
            carry_failed(s, piece_body(p));
        server->cleaning_failed |= a.tag == ORPHAN_TAG && a.kind == TXN_QUERY && !a.async;
        if (*pass && s) guide_erred(s);
        break;
    default: break;
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
        if (!piece.last) continue;
        if (s)
            local_tell(s, out);
        else
            drop_locals(server);
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
    pool_of(server)->stats.sent_bytes += out->bytes;
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
