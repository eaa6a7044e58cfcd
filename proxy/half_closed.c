#include "proxy/half_closed.h"

#include "protocol/backend.h"
#include "proxy/guide.h"
#include "proxy/watch.h"

enum { PROBE_FIRST_MS = 100, PROBE_MAX_MS = 5000 };

/* (A COPY from the client can never end well any more.) */
static bool is_owed(const struct session *s)
{
    const struct txn *t = s->server ? &s->server->txn : NULL;
    if (t && t->copy == TXN_COPY_IN) return false;
    return s->client.state == CLIENT_WAITING || s->waits || (t && t->count);
}

static void probe(struct session *s)
{
    const struct params *params = s->server ? &s->server->params : &s->pool->welcome;
    struct slice name = slice_str("client_encoding"), value = params_get(params, name.at);
    struct buf out = { 0 };
    /* Only where a message may begin. */
    if (s->server && !frame_is_at_start(&s->server->frame)) return;
    backend_parameter_status(&out, name, params_shown(name, value));
    client_write(&s->client, buf_slice(&out));
    buf_fini(&out);
}

static void on_due(struct wheel_node *node)
{
    struct session *s = session_of(list_item(node, struct client, timer));
    uint64_t waited_ms = env_now_ms(s->client.env) - s->half_closed_ms;
    uint64_t limit_ms = guide_settings(s)->query_timeout_ms;
    if (!is_owed(s)) {
        half_closed_replied(s);
        return;
    }
    if (limit_ms && waited_ms >= limit_ms && s->server) session_cancel(s, NULL);
    probe(s);
    if (stream_is_broken(&s->client.stream)) {
        client_step(&s->client, CLIENT_ON_GONE, NULL);
        return;
    }
    wheel_set(&s->client.env->streams.wheel, node,
              waited_ms < PROBE_FIRST_MS ? PROBE_FIRST_MS
              : waited_ms < PROBE_MAX_MS ? waited_ms
                                         : PROBE_MAX_MS);
}

bool half_closed_begin(struct session *s)
{
    if (s->console || !s->pool || !is_owed(s)) return false;
    s->half_closed = true;
    s->half_closed_ms = env_now_ms(s->client.env);
    watch_end(s);
    wheel_node_init(&s->client.timer, on_due);
    wheel_set(&s->client.env->streams.wheel, &s->client.timer, 0);
    return true;
}

void half_closed_replied(struct session *s)
{
    if (s->client.state >= CLIENT_LEAVING || is_owed(s)) return;
    client_step(&s->client, CLIENT_ON_REFUSED, NULL);
}
