#include "proxy/orphan.h"

#include "protocol/frontend.h"
#include "proxy/cancel.h"
#include "proxy/reply.h"

static void give_up(struct server *server, const char *why)
{
    pool_discard(pool_of(server), server, why);
}

static void on_deadline(struct wheel_node *node)
{
    give_up(list_item(node, struct server, timer), "orphan: not clean in time");
}

static void roll_back(struct server *server)
{
    struct buf out = { 0 };
    frontend_query(&out, slice_str("ROLLBACK"));
    bool ok = txn_sent(&server->txn, FRONTEND_QUERY, TXN_SWALLOW | TXN_SWALLOW_ERROR, 0, 0) &&
              stream_write_slice(&server->stream, buf_slice(&out));
    buf_fini(&out);
    if (!ok) give_up(server, "orphan: cannot roll back");
}

/* Looks what is left to be done. */
static void settle(struct server *server)
{
    if (server->cancels) return;
    if (server->txn.unsure || server->txn.open_batch) {
        give_up(server, "orphan: cannot be made clean");
    } else if (txn_is_clean(&server->txn)) {
        wheel_cancel(&server->timer);
        server_step(server, SERVER_ON_SETTLED, NULL);
        if (server->orphan_reuse && !server->stained)
            pool_give_back(pool_of(server), server);
        else
            give_up(server, "orphan: session over");
    } else if (txn_is_quiet(&server->txn)) {
        roll_back(server);
    }
}

void orphan_settled(struct server *server)
{
    if (server->state == SERVER_SETTLING) settle(server);
}

void orphan_adopt(struct server *server, bool half_sent, bool reuse)
{
    server->session = NULL;
    server->orphan_reuse = reuse;
    if (half_sent || server->txn.copy == TXN_COPY_IN) {
        give_up(server, "orphan: half a message");
        return;
    }
    server_step(server, SERVER_ON_SETTLE, NULL);
    stream_resume(&server->stream);
    wheel_node_init(&server->timer, on_deadline);
    wheel_set(&server->env->streams.wheel, &server->timer,
              server->target->realm->config->pool.cancel_timeout_ms);
    if (server->txn.count && !server->cancels) cancel_send(server, orphan_settled);
    settle(server);
}

void orphan_take(struct server *server, const char *at, size_t len)
{
    if (reply_drain(server, at, len)) settle(server);
}
