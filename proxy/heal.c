#include "proxy/heal.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/judge.h"
#include "proxy/prepared.h"
#include "proxy/worker.h"

enum { KEEP_MAX_BYTES = 16 * 1024 };

void heal_keep(struct session *s, const struct outbox *out)
{
    struct server *server = s->server;
    bool leaning = server->leaning;
    uint64_t bytes = 0;
    server->leaning = false;
    buf_truncate(&server->kept, 0);
    server->kept_generation = judge_generation(s);
    if (!leaning || out->bytes > KEEP_MAX_BYTES) return;
    for (int i = 0; i < out->count; i++) {
        bytes += out->parts[i].iov_len;
        buf_add(&server->kept, out->parts[i].iov_base, out->parts[i].iov_len);
    }
    /* Some of it may have left before; then it is not whole. */
    if (bytes != out->bytes || server->kept.failed) buf_fini(&server->kept);
}

/* The statement's name in a Bind or a Describe; `at` NULL: none. */
static struct slice statement_of(const struct piece *p)
{
    struct slice name = { 0 }, target;
    struct frontend_bind bind;
    uint8_t kind;
    if (p->type == FRONTEND_BIND && frontend_read_bind(piece_body(p), &bind))
        name = bind.statement;
    else if (p->type == FRONTEND_DESCRIBE && frontend_read_target(piece_body(p), &kind, &target) &&
             kind == 'S')
        name = target;
    return name;
}

static bool again(struct session *s, struct server *server, const struct piece *p,
                  struct upstream *out)
{
    struct slice name = statement_of(p);
    if (name.at && !prepared_restore(s, name, out)) return false;
    return txn_sent(&server->txn, p->type, 0, 0, 0);
}

static bool send_again(struct session *s, struct server *server, struct upstream *out)
{
    struct slice in = buf_slice(&server->kept);
    struct frame frame;
    struct piece piece;
    frame_init(&frame, frontend_specs);
    while (frame_next(&frame, &in, &piece) == FRAME_PIECE) {
        if (piece.first && !again(s, server, &piece, out)) return false;
        upstream_pass_copy(out, judge_pass_kept(s, piece.bytes, server->kept_generation));
    }
    return true;
}

bool heal_error(struct session *s, struct server *server, struct slice body)
{
    if (!slice_is(backend_field(body, 'C'), "26000") ||
        server->kept_generation != judge_generation(s) || !txn_repeat(&server->txn))
        return false;
    metrics_add(&server->env->metrics, METRIC_statements_healed, 1);
    log_event(server->env->log, EVENT_server_lost_statements, LOG_U64("server", server->id),
              LOG_U64("conn", s->client.id), LOG_END);
    stmt_shelf_doubt(&server->shelf);
    struct upstream *out = &server->env->worker->to_server;
    upstream_begin(out, &server->stream);
    bool sent = send_again(s, server, out);
    upstream_flush(out);
    buf_truncate(&server->kept, 0);
    if (!sent) server_fail(server, ERR_OUT_OF_MEMORY, "out of memory");
    return true;
}
