#include "proxy/request.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/carry.h"
#include "proxy/deferred.h"
#include "proxy/guide.h"
#include "proxy/heal.h"
#include "proxy/hoard.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/outbox.h"
#include "proxy/prepared.h"
#include "proxy/shim.h"
#include "proxy/slow.h"
#include "proxy/tally.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

enum {
    HELD_KEEP_BYTES = 512,        /* an empty buffer that is no larger is kept for the next wait */
    HELD_LARGE_BYTES = 64 * 1024, /* one that is larger is made smaller when little is left in it */
    FAIR_SHARE_MS = 20,
};

/* ---- answers of our own --------------------------------------------------------------------- */

/* To the client at once: only while no server owes it anything. */
static void answer(struct session *s, struct buf *out)
{
    client_write(&s->client, buf_slice(out));
    buf_fini(out);
}

static enum take answer_sync(struct session *s)
{
    struct buf out = { 0 };
    backend_ready(&out, deferred_status(s));
    deferred_synced(s);
    answer(s, &out);
    metrics_add(&s->client.env->metrics, METRIC_local_answers, 1);
    return TAKE_DROP;
}

/* ---- one message ---------------------------------------------------------------------------- */

/* A server for this message, or a place in the line. */
static enum take need_server(struct session *s, struct upstream *out)
{
    if (!s->server) {
        if (s->client.state == CLIENT_READY) client_step(&s->client, CLIENT_ON_REQUEST, NULL);
        if (!session_seek(s)) return s->client.state >= CLIENT_LEAVING ? TAKE_STOP : TAKE_WAIT;
    } else if (txn_is_clean(&s->server->txn)) {
        carry_attach(s, out); /* settings may have been reset to the startup packet's */
    }
    return s->settling ? TAKE_WAIT : TAKE_SEND;
}

static enum take book(struct session *s, const struct piece *p)
{
    if (txn_sent(&s->server->txn, p->type, 0, 0, 0)) return TAKE_SEND;
    struct err err;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    client_refuse(&s->client, &err);
    return TAKE_STOP;
}

static enum take malformed(struct session *s, const struct piece *p)
{
    char what[64];
    snprintf(what, sizeof what, "malformed %s message", frontend_specs[p->type].name);
    client_violation(&s->client, what);
    return TAKE_STOP;
}

/* The fields that can be checked without holding the message: a server must not read it otherwise
 * than we do. */
static bool is_well_formed(const struct piece *p)
{
    struct slice body = piece_body(p), name;
    struct frontend_bind bind;
    uint8_t target;
    switch (p->type) {
    case FRONTEND_BIND: return frontend_read_bind(body, &bind);
    case FRONTEND_CLOSE:
    case FRONTEND_DESCRIBE: return frontend_read_target(body, &target, &name);
    case FRONTEND_EXECUTE: return frontend_read_execute(body, &name);
    default: return true;
    }
}

/* A message that the server is to see, in a pooled session. */
static enum take take_pooled(struct session *s, const struct piece *p, struct upstream *out)
{
    switch (p->type) {
    case FRONTEND_PARSE: s->pool->stats.client_parses++; return prepared_parse(s, p, out);
    case FRONTEND_BIND: s->pool->stats.binds++; return prepared_bind(s, p, out);
    case FRONTEND_DESCRIBE: return prepared_describe(s, p, out);
    case FRONTEND_CLOSE: return prepared_close(s, p, out);
    case FRONTEND_QUERY: prepared_query(s); return book(s, p);
    default: return book(s, p);
    }
}

/* A Sync that needs no server: there is none, or what it ends was refused before it got there. */
static bool is_local_sync(const struct session *s, bool was_discarding)
{
    return !s->server || deferred_is_open(s) || (was_discarding && txn_is_clean(&s->server->txn));
}

/* The text of a Query, as far as it is there. */
static struct slice query_text(const struct piece *p)
{
    struct slice text = piece_body(p);
    if (p->last && text.len) text.len--; /* the NUL */
    return text;
}

/* In session mode a Parse goes through as it is; only what it will do is of interest. */
static bool read_parse(struct session *s, const struct piece *p)
{
    struct slice body = piece_body(p);
    const char *nul = memchr(body.at, 0, body.len);
    if (!nul) return false;
    struct slice text = slice_after(body, (size_t)(nul - body.at) + 1);
    nul = memchr(text.at, 0, text.len);
    if (nul) text.len = (size_t)(nul - text.at);
    if (body.at[0] != '\0') s->server->stained = true; /* a named statement stays behind */
    carry_query(s, text, nul == NULL, NULL);
    return true;
}

/* A client that pipelines without end would keep its server for ever. After a while, when others
 * wait, its next request is held until what it has under way is answered; then it stands in line.
 */
static bool must_yield(const struct session *s, const struct piece *p)
{
    if (!s->server || s->keeps_server || s->pinned || s->pool->n_line == 0) return false;
    const struct txn *t = &s->server->txn;
    if (t->count == 0 || t->status != TXN_IDLE || t->open_batch || t->copy) return false;
    if (p->type == FRONTEND_SYNC || p->type == FRONTEND_FLUSH) return false;
    return env_now_ms(s->client.env) - s->attached_ms >= FAIR_SHARE_MS;
}

/* After an error in a batch the server discards everything up to the Sync. Nothing of it needs to
 * be sent, and no answer of our own may be given in its place. */
static bool is_skipped(const struct session *s, uint8_t type)
{
    const struct txn *txn = s->server ? &s->server->txn : NULL;
    return txn && txn->skipping && !txn->doubtful && type != FRONTEND_SYNC &&
           type != FRONTEND_TERMINATE;
}

/* An orderly goodbye: what was asked for before it is still done and answered, and not cancelled if
 * the client does not stay for the answer. */
static enum take terminate(struct session *s)
{
    const struct txn *t = s->server ? &s->server->txn : NULL;
    s->terminated = true;
    if (t && t->count && t->copy != TXN_COPY_IN) return TAKE_WAIT;
    client_step(&s->client, CLIENT_ON_GONE, NULL);
    return TAKE_STOP;
}

/* No statement that a restricted role may send takes data; a trial (`observe`) may have let one. */
static bool is_copy_unheard_of(struct session *s)
{
    return s->restricted && !judge_only_observes(s);
}

/* Where to; or, of a BEGIN alone, not yet. */
static enum take route(struct session *s, const struct piece *p, struct upstream *out)
{
    const bool is_asked = guide_is_asked(s);
    enum take take = TAKE_SEND;
    if (is_asked || deferred_state(s)) take = deferred_take(s, p, out);
    if (take == TAKE_SEND && is_asked) take = guide_take(s, p, out);
    return take;
}

static enum take take_first(struct session *s, const struct piece *p, struct upstream *out)
{
    bool was_discarding = s->discarding;
    if (s->discarding && p->type != FRONTEND_TERMINATE) {
        if (p->type != FRONTEND_SYNC) return TAKE_DROP;
        s->discarding = false;
    }
    if (is_skipped(s, p->type)) return TAKE_DROP;
    switch (p->type) {
    case FRONTEND_TERMINATE: return terminate(s);
    case FRONTEND_PASSWORD:
        client_violation(&s->client, "password message after login");
        return TAKE_STOP;
    case FRONTEND_SYNC:
        if (is_local_sync(s, was_discarding)) return answer_sync(s);
        if (s->server->txn.status == TXN_IDLE) deferred_synced(s);
        break;
    case FRONTEND_COPY_DATA:
    case FRONTEND_COPY_DONE:
    case FRONTEND_COPY_FAIL:
        if (is_copy_unheard_of(s)) {
            client_violation(&s->client, "data for a COPY that was never begun");
            return TAKE_STOP;
        }
        if (!s->server) return TAKE_DROP;
        break;
    case FRONTEND_FLUSH:
        /* Without a server there is nothing to flush, and no COPY: PostgreSQL ignores both. */
        if (!s->server) return TAKE_DROP;
        break;
    default: break;
    }
    if (judge_is_stale(s) && !judge_goes_on(s)) return TAKE_STOP;
    if (!is_well_formed(p)) return TAKE_MALFORMED;
    if (must_yield(s, p)) return TAKE_WAIT;
    if (p->type == FRONTEND_QUERY && p->last && shim_answers(s, query_text(p))) {
        judge_forget(s); /* it may have waited under a table that did not answer it */
        return TAKE_DROP;
    }
    const bool was_routed = deferred_goes_on(s);
    enum take take = s->restricted ? judge_message(s, p, out) : TAKE_SEND;
    if (take == TAKE_SEND && !was_routed) take = route(s, p, out);
    if (take == TAKE_SEND) take = need_server(s, out);
    if (take == TAKE_SEND && deferred_state(s) == DEFERRED_OPEN) take = deferred_send(s, out);
    if (take == TAKE_SEND && p->type == FRONTEND_QUERY)
        take = carry_query(s, query_text(p), !p->last, out);
    s->recorded = take == TAKE_WAIT;
    if (take == TAKE_WAIT) judge_held(s);
    if (take != TAKE_SEND) return take;
    if (slow_is_on(s)) slow_asked(s, p);
    if (!session_is_plain(s)) return take_pooled(s, p, out);
    if (p->type == FRONTEND_PARSE && !read_parse(s, p)) return TAKE_MALFORMED;
    return book(s, p);
}

static enum take take_piece(struct session *s, const struct piece *p, struct upstream *out)
{
    if (!p->first) {
        carry_skim(s, p->bytes, p->last);
        if (s->restricted && s->sending) judge_rest(s, p);
        return s->sending ? TAKE_SEND : TAKE_DROP;
    }
    enum take take = take_first(s, p, out);
    if (take == TAKE_MALFORMED) return malformed(s, p);
    s->sending = take == TAKE_SEND || take == TAKE_SENT;
    return take;
}

/* ---- many ----------------------------------------------------------------------------------- */

static void bad_frame(struct session *s, enum frame_result result, struct slice left)
{
    char what[64];
    if (result == FRAME_BAD_TYPE)
        snprintf(what, sizeof what, "unknown message type 0x%02x", (uint8_t)left.at[0]);
    else
        snprintf(what, sizeof what, "impossible length of a message of type 0x%02x",
                 (uint8_t)left.at[0]);
    client_violation(&s->client, what);
}

/* Takes messages off *in until it is used up, or something has to be waited for. False: the
 * session is over, look no further. */
static bool take_all(struct session *s, struct slice *in, struct upstream *out)
{
    struct frame *frame = &s->client.frame;
    for (;;) {
        struct frame frame_before = *frame;
        struct slice before = *in;
        struct piece piece;
        enum frame_result result = frame_next(frame, in, &piece);
        if (result == FRAME_MORE) return true;
        if (result != FRAME_PIECE) {
            bad_frame(s, result, *in);
            return false;
        }
        enum take take = take_piece(s, &piece, out);
        if (take == TAKE_STOP) return false;
        if (take == TAKE_WAIT) {
            s->waits = true;
            *frame = frame_before;
            *in = before;
            return true;
        }
        if (take == TAKE_SEND) upstream_pass(out, judge_pass(s, piece.bytes));
    }
}

/* What a long statement needed is not kept for what stands behind it. */
static void shrink(struct buf *held)
{
    struct buf smaller = { .secret = held->secret };
    if (held->cap <= HELD_LARGE_BYTES || held->cap / 2 <= held->len) return;
    buf_add_slice(&smaller, buf_slice(held));
    if (smaller.failed) return;
    buf_fini(held);
    *held = smaller;
}

/* What could not be taken is kept. Backpressure: a client that goes on sending while it waits, or
 * faster than its server reads, is not read for a while. */
static void hold(struct session *s, struct slice left, bool was_held)
{
    struct buf *held = &s->client.held;
    const bool went_on = was_held && held->len > left.len;
    if (was_held)
        buf_drop(held, held->len - left.len);
    else
        buf_add_slice(held, left);
    if (held->len == 0 && held->cap > HELD_KEEP_BYTES) buf_fini(held);
    if (held->failed) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&s->client, &err);
        return;
    }
    if (held->len > s->client.env->streams.high_bytes && s->waits) stream_pause(&s->client.stream);
    if (went_on && held->len) {
        shrink(held);
        hoard_went_on(s, held->len);
    }
    if (held->len == 0)
        hoard_release(s);
    else if (s->waits)
        hoard_is_whole(s);
    else
        hoard_take(s, held->len, frame_wants(&s->client.frame, buf_slice(held)));
}

void request_take(struct session *s, const char *at, size_t len)
{
    struct client *c = &s->client;
    struct slice in = slice_of(at, len);
    bool was_held = c->held.len > 0;
    if (was_held) {
        buf_add(&c->held, at, len);
        in = buf_slice(&c->held);
    }
    /* In line: whatever comes now only makes the heap larger. */
    s->waits = c->state == CLIENT_WAITING || c->state == CLIENT_JOINING || s->settling ||
               s->greeting || deferred_state(s) == DEFERRED_SENT;
    if (s->waits) {
        hold(s, in, was_held);
        return;
    }
    struct upstream *out = &c->env->worker->to_server; /* attaching to a server begins it, too */
    if (s->server) {
        upstream_begin(out, &s->server->stream);
        tally_asked(s);
    }
    bool alive = take_all(s, &in, out);
    if (s->server && out->box.count) {
        if (s->server->leaning || s->server->kept.len) heal_keep(s, &out->box);
        metrics_add(&c->env->metrics, METRIC_server_bytes_sent, out->box.bytes);
        s->pool->stats.received_bytes += out->box.bytes;
        upstream_flush(out);
    }
    if (!alive) return;
    local_tell(s, NULL);
    hold(s, in, was_held);
    if (s->server && s->server->txn.count == 0) session_release(s);
    watch_session(s);
    if (session_is_choked(s)) stream_pause(&c->stream);
}
