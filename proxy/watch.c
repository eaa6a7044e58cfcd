#include "proxy/watch.h"

#include "protocol/backend.h"
#include "proxy/deferred.h"
#include "proxy/guide.h"

#include <stdio.h>

static enum watch_kind kind_of(const struct session *s)
{
    if (s->client.state == CLIENT_WAITING) return WATCH_LINE;
    if (s->client.state == CLIENT_ACTIVE && s->server && s->server->txn.count) return WATCH_QUERY;
    if (s->client.state == CLIENT_ACTIVE && s->server && s->server->txn.status != TXN_IDLE)
        return WATCH_TXN;
    if (s->client.state == CLIENT_READY && deferred_is_open(s)) return WATCH_TXN;
    if (s->client.state == CLIENT_READY || s->client.state == CLIENT_ACTIVE) return WATCH_CLIENT;
    return WATCH_NOTHING;
}

static uint64_t limit_ms(const struct session *s, enum watch_kind kind)
{
    const struct config_pool *settings = guide_settings(s);
    switch (kind) {
    case WATCH_LINE: return settings->wait_notice_ms;
    case WATCH_QUERY: return settings->query_timeout_ms;
    case WATCH_TXN: return settings->idle_transaction_timeout_ms;
    case WATCH_CLIENT: return settings->client_idle_timeout_ms;
    default: return 0;
    }
}

static void refuse(struct session *s, enum err_code code, const char *directive)
{
    struct err err;
    err_set(&err, code, "");
    err_hint(&err, "the proxy's %s is %llu ms", directive,
             (unsigned long long)limit_ms(s, (enum watch_kind)s->watched));
    client_refuse(&s->client, &err);
}

/* To somebody who wonders why nothing happens. */
static void say_that_it_waits(struct session *s)
{
    struct buf out = { 0 };
    char text[128];
    snprintf(text, sizeof text, "waiting for a server connection: %u in line, %u busy",
             s->pool->n_line, s->pool->count[POOL_BUSY]);
    backend_notice(&out, "00000", text);
    client_write(&s->client, buf_slice(&out));
    buf_fini(&out);
}

static void on_due(struct wheel_node *node)
{
    struct session *s = session_of(list_item(node, struct client, timer));
    switch ((enum watch_kind)s->watched) {
    case WATCH_LINE: say_that_it_waits(s); break;
    case WATCH_QUERY:
        metrics_add(&s->client.env->metrics, METRIC_query_timeouts, 1);
        session_cancel(s, NULL);
        break;
    case WATCH_TXN: refuse(s, ERR_IDLE_TXN_TIMEOUT, "pool.idle_transaction_timeout"); break;
    case WATCH_CLIENT: refuse(s, ERR_IDLE_TIMEOUT, "pool.client_idle_timeout"); break;
    default: break;
    }
}

void watch_begin(struct session *s)
{
    const struct config_pool *settings = guide_settings(s);
    wheel_cancel(&s->client.timer);
    wheel_node_init(&s->client.timer, on_due);
    s->is_watched = settings->wait_notice_ms || settings->query_timeout_ms ||
                    settings->idle_transaction_timeout_ms || settings->client_idle_timeout_ms;
    watch_session(s);
}

void watch_end(struct session *s)
{
    s->is_watched = false;
    wheel_cancel(&s->client.timer);
}

void watch_session(struct session *s)
{
    if (!s->is_watched) return;
    enum watch_kind kind = kind_of(s);
    /* A query that goes on is measured from its beginning, idleness from the last sign of life. */
    if (kind == WATCH_QUERY && s->watched == WATCH_QUERY) return;
    uint64_t ms = limit_ms(s, kind);
    s->watched = (uint8_t)kind;
    if (ms)
        wheel_set(&s->client.env->streams.wheel, &s->client.timer, ms);
    else
        wheel_cancel(&s->client.timer);
}
