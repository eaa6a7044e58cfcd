#include "proxy/deferred.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/wire.h"
#include "proxy/guide.h"
#include "proxy/local.h"
#include "proxy/prepared.h"
#include "proxy/worker.h"

#include <stdlib.h>

static enum take no_memory(struct session *s)
{
    struct err err;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    client_refuse(&s->client, &err);
    return TAKE_STOP;
}

void deferred_end(struct session *s)
{
    if (s->deferred) buf_fini(&s->deferred->error);
    free(s->deferred);
    s->deferred = NULL;
}

/* ---- what a message is ---------------------------------------------------------------------- */

/* A message about a transaction's boundary, or the unnamed portal of one. */
struct boundary {
    enum sql_boundary is;
    struct slice text;
};

/* Bind to a portal with a name, or with parameters that BEGIN does not have: the server's matter.
 */
static bool is_bare(const struct piece *p, const struct frontend_bind *bind)
{
    struct slice rest = slice_after(piece_body(p), bind->rest);
    if (bind->portal.len || rest.len < 2) return false;
    rest = slice_after(rest, 2 + 2 * (size_t)wire_be16(rest.at));
    return rest.len >= 2 && wire_be16(rest.at) == 0;
}

static struct boundary of_text(struct slice text)
{
    return (struct boundary){ sql_boundary(text), text };
}

static struct boundary of_kept(struct session *s, struct slice name)
{
    struct slice text;
    uint64_t *generation;
    if (prepared_text(s, name, &text, &generation)) return of_text(text);
    return (struct boundary){ SQL_BOUNDARY_NONE, { 0 } };
}

static struct boundary of_portal(const struct session *s, struct slice name)
{
    const struct deferred *d = s->deferred;
    if (!d || name.len) return (struct boundary){ SQL_BOUNDARY_NONE, { 0 } };
    return (struct boundary){ (enum sql_boundary)d->bound, slice_of(d->text, d->len) };
}

static struct boundary boundary_of(struct session *s, const struct piece *p)
{
    struct boundary none = { SQL_BOUNDARY_NONE, { 0 } };
    struct slice name;
    struct frontend_parse parse;
    struct frontend_bind bind;
    uint8_t target;
    if (!p->last) return none;
    switch (p->type) {
    case FRONTEND_QUERY: return frontend_read_query(piece_body(p), &name) ? of_text(name) : none;
    case FRONTEND_PARSE:
        return frontend_read_parse(piece_body(p), &parse) ? of_text(parse.text) : none;
    case FRONTEND_BIND:
        if (!frontend_read_bind(piece_body(p), &bind) || !is_bare(p, &bind)) return none;
        return of_kept(s, bind.statement);
    case FRONTEND_DESCRIBE:
        if (!frontend_read_target(piece_body(p), &target, &name)) return none;
        return target == 'S' ? of_kept(s, name) : of_portal(s, name);
    case FRONTEND_EXECUTE:
        return frontend_read_execute(piece_body(p), &name) ? of_portal(s, name) : none;
    default: return none;
    }
}

/* ---- answers -------------------------------------------------------------------------------- */

static void keep_text(struct deferred *d, struct slice text)
{
    d->len = (uint16_t)text.len;
    memmove(d->text, text.at, text.len);
}

/* It is done: what it says, and where it leads. */
static void execute(struct session *s, const struct boundary *b, struct buf *out)
{
    struct deferred *d = s->deferred;
    d->bound = SQL_BOUNDARY_NONE;
    if (sql_boundary_closes(b->is)) {
        const bool failed = d->state == DEFERRED_FAILED;
        backend_command_complete(out, failed ? "ROLLBACK" : sql_boundary_tag(b->is));
        d->state = DEFERRED_NOT;
        return;
    }
    if (d->state == DEFERRED_OPEN) {
        backend_notice(out, "25001", "there is already a transaction in progress");
    } else {
        keep_text(d, b->text);
        d->state = DEFERRED_OPEN;
        metrics_add(&s->client.env->metrics, METRIC_begins_deferred, 1);
    }
    backend_command_complete(out, sql_boundary_tag(b->is));
}

static enum take say(struct session *s, struct buf *out, bool ready)
{
    return local_say(s, out, ready) ? TAKE_DROP : no_memory(s);
}

static enum take answer(struct session *s, const struct piece *p, const struct boundary *b,
                        struct upstream *out)
{
    struct buf said = { 0 };
    if (!s->deferred) s->deferred = calloc(1, sizeof *s->deferred);
    if (!s->deferred) return no_memory(s);
    switch (p->type) {
    case FRONTEND_PARSE: return prepared_keep(s, p, out);
    case FRONTEND_DESCRIBE:
        if (piece_body(p).at[0] == 'S') backend_parameter_description(&said);
        backend_no_data(&said);
        break;
    case FRONTEND_BIND:
        s->deferred->bound = (uint8_t)b->is;
        if (s->deferred->state == DEFERRED_NOT) keep_text(s->deferred, b->text);
        backend_bind_complete(&said);
        break;
    case FRONTEND_QUERY:
        prepared_forget_unnamed(s);
        execute(s, b, &said);
        break;
    default: execute(s, b, &said); break;
    }
    return say(s, &said, p->type == FRONTEND_QUERY);
}

/* ---- what is taken -------------------------------------------------------------------------- */

/* Nothing is deferred: does this begin something that may be? */
static enum take take_first(struct session *s, const struct piece *p, const struct boundary *b,
                            struct upstream *out)
{
    const struct txn *t = s->server ? &s->server->txn : NULL;
    const bool is_busy = t && !txn_is_clean(t);
    if (!sql_boundary_opens(b->is) || !guide_defers(s, !is_busy)) return TAKE_SEND;
    if (!is_busy) return answer(s, p, b, out);
    /* Whether that is a transaction's end is known when it is answered. */
    return t->count && !t->open_batch && p->type != FRONTEND_EXECUTE ? TAKE_WAIT : TAKE_SEND;
}

static enum take take_close(struct session *s, const struct piece *p)
{
    if (slice_eq(piece_body(p), slice_of("P", 2))) s->deferred->bound = SQL_BOUNDARY_NONE;
    return prepared_drop(s, p);
}

static enum take take_open(struct session *s, const struct piece *p, const struct boundary *b,
                           struct upstream *out)
{
    /* Modes of a second BEGIN hold, so it is the first statement. */
    const bool changes = b->is == SQL_BOUNDARY_BEGIN_WITH || b->is == SQL_BOUNDARY_START_WITH;
    if (p->type == FRONTEND_CLOSE) return take_close(s, p);
    return b->is && !changes ? answer(s, p, b, out) : TAKE_SEND;
}

static enum take take_failed(struct session *s, const struct piece *p, const struct boundary *b,
                             struct upstream *out)
{
    struct err err;
    if (p->type == FRONTEND_CLOSE) return take_close(s, p);
    if (sql_boundary_closes(b->is)) return answer(s, p, b, out);
    err_set(&err, ERR_FAILED_TXN, "");
    return local_refuse(s, p->type, &err, out);
}

enum take deferred_take(struct session *s, const struct piece *p, struct upstream *out)
{
    const struct boundary b = boundary_of(s, p);
    enum take take;
    switch (deferred_state(s)) {
    case DEFERRED_OPEN: take = take_open(s, p, &b, out); break;
    case DEFERRED_FAILED: take = take_failed(s, p, &b, out); break;
    case DEFERRED_REFUSED:
        s->deferred->state = DEFERRED_FAILED;
        take = local_refuse_said(s, p->type, &s->deferred->error, out);
        break;
    default: take = take_first(s, p, &b, out);
    }
    /* Another portal, or none. */
    if (take == TAKE_SEND && s->deferred && (p->type == FRONTEND_BIND || p->type == FRONTEND_QUERY))
        s->deferred->bound = SQL_BOUNDARY_NONE;
    return take;
}

/* ---- the server ----------------------------------------------------------------------------- */

enum take deferred_send(struct session *s, struct upstream *out)
{
    struct deferred *d = s->deferred;
    struct buf message = { 0 };
    frontend_query(&message, slice_of(d->text, d->len));
    bool ok = !message.failed && txn_sent(&s->server->txn, FRONTEND_QUERY,
                                          TXN_SWALLOW | TXN_SWALLOW_ERROR, DEFERRED_TAG, 0);
    if (ok) upstream_say(out, buf_slice(&message));
    buf_fini(&message);
    if (!ok) return no_memory(s);
    s->server->shelf.unnamed_serial = 0;
    buf_truncate(&d->error, 0);
    d->state = DEFERRED_SENT;
    return TAKE_WAIT;
}

void deferred_error(struct session *s, const struct piece *p)
{
    struct buf *error = &s->deferred->error;
    buf_truncate(error, 0);
    if (p->last) buf_add_slice(error, p->bytes);
}

void deferred_answered(struct session *s)
{
    struct deferred *d = s->deferred;
    const bool begun = s->server->txn.status == TXN_BLOCK;
    d->state = begun ? DEFERRED_BEGUN : DEFERRED_REFUSED;
    s->resume = true;
    if (begun || d->error.len) return;
    struct err err;
    err_set(&err, ERR_FAILED_TXN, "the warehouse did not begin the transaction");
    backend_error(&d->error, &err);
}
