#include "proxy/orphan.h"

#include "protocol/frontend.h"
#include "proxy/cancel.h"
#include "proxy/reply.h"
#include "proxy/worker.h"

static void give_up(struct server *server, const char *why)
{
    pool_discard(pool_of(server), server, why);
}

static void on_deadline(struct wheel_node *node)
{
    give_up(list_item(node, struct server, timer), "orphan: not clean in time");
}

static void say(struct server *server, const char *sql, uint32_t tag)
{
    struct buf out = { 0 };
    frontend_query(&out, slice_str(sql));
    bool ok = !out.failed &&
              txn_sent(&server->txn, FRONTEND_QUERY, TXN_SWALLOW | TXN_SWALLOW_ERROR, tag, 0) &&
              stream_write_slice(&server->stream, buf_slice(&out));
    buf_fini(&out);
    if (!ok) give_up(server, "orphan: cannot be told to clean up");
}

/* What makes such a server as it was when it logged in; NULL: nothing does. Redshift has no
 * DISCARD, and whether its RESET ALL returns to the startup packet's values nobody has written
 * down: with such values it is closed. */
static const char *cleaning_sql(const struct server *server)
{
    if (!server->is_redshift) return "DISCARD ALL";
    return server->stained || server->pairs.len ? NULL : "RESET ALL";
}

static void clean(struct server *server)
{
    const char *sql = cleaning_sql(server);
    if (!sql || server->cleaning) {
        /* Or it has been tried, and failed. */
        give_up(server, "orphan: cannot be made clean");
        return;
    }
    server->cleaning = true;
    say(server, sql, ORPHAN_TAG);
}

void orphan_cleaned(struct server *server)
{
    server->stained = server->dirty = server->cleaning = server->has_group = false;
    /* RESET ALL leaves prepared statements where they are. */
    if (server->is_redshift)
        stmt_shelf_doubt(&server->shelf);
    else
        stmt_shelf_clear(&server->shelf, &server->env->worker->stmts);
    settings_unref(server->settings);
    server->settings = NULL;
}

/* Looks what is left to be done. */
static void settle(struct server *server)
{
    if (server->cancels) return;
    if (server->txn.unsure || server->txn.open_batch) {
        give_up(server, "orphan: in the middle of something");
    } else if ((txn_is_quiet(&server->txn) && server->txn.status != TXN_IDLE) ||
               (server->txn.count == 0 && server->txn.doubtful)) {
        say(server, "ROLLBACK", 0);
    } else if (txn_is_clean(&server->txn) && (server->stained || server->dirty)) {
        clean(server);
    } else if (txn_is_clean(&server->txn)) {
        wheel_cancel(&server->timer);
        server_step(server, SERVER_ON_SETTLED, NULL);
        pool_give_back(pool_of(server), server);
    }
}

void orphan_settled(struct server *server)
{
    if (server->state == SERVER_SETTLING) settle(server);
}

void orphan_adopt(struct server *server, bool half_sent, bool cancel)
{
    server->session = NULL;
    if (half_sent || server->txn.copy == TXN_COPY_IN) {
        give_up(server, "orphan: half a message");
        return;
    }
    server_step(server, SERVER_ON_SETTLE, NULL);
    stream_resume(&server->stream);
    wheel_node_init(&server->timer, on_deadline);
    wheel_set(&server->env->streams.wheel, &server->timer,
              server->target->realm->config->pool.cancel_timeout_ms);
    if (cancel && server->txn.count && !server->cancels) cancel_send(server, NULL, orphan_settled);
    settle(server);
}

void orphan_take(struct server *server, const char *at, size_t len)
{
    if (reply_drain(server, at, len)) settle(server);
}
