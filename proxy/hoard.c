#include "proxy/hoard.h"

#include "proxy/session.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

enum { RETRY_MS = 20 }; /* other workers' clients may have made room, and tell nobody */

static atomic_ullong *sum_of(struct session *s) { return &s->client.env->shared->hoarded_bytes; }

/* A place that is larger than all there is may be had by one at a time. */
static bool try_to_take(struct session *s, uint64_t bytes)
{
    const uint64_t cap = s->client.env->realm->config->limits.memory_bytes;
    const uint64_t more = bytes - s->hoard.bytes;
    const uint64_t before = atomic_fetch_add(sum_of(s), more);
    if (before + more > cap && before > s->hoard.bytes) {
        atomic_fetch_sub(sum_of(s), more);
        return false;
    }
    s->hoard.bytes = bytes;
    return true;
}

static void serve(struct worker *w)
{
    while (!list_is_empty(&w->hoarding)) {
        struct session *s = list_item(w->hoarding.next, struct session, hoard.node);
        if (!try_to_take(s, s->hoard.waiting)) {
            if (!wheel_is_set(&w->hoard_timer))
                wheel_set(&w->env.streams.wheel, &w->hoard_timer, RETRY_MS);
            return;
        }
        list_remove(&s->hoard.node);
        s->hoard.waiting = 0;
        stream_resume(&s->client.stream);
    }
}

static void on_retry(struct wheel_node *node)
{
    serve(list_item(node, struct worker, hoard_timer));
}

void hoard_begin(struct worker *w)
{
    list_init(&w->hoarding);
    wheel_node_init(&w->hoard_timer, on_retry);
}

void hoard_place_init(struct hoard_place *place)
{
    *place = (struct hoard_place){ 0 };
    list_init(&place->node);
}

void hoard_take(struct session *s, uint64_t bytes)
{
    struct worker *w = s->client.env->worker;
    if (bytes <= s->hoard.bytes) return;
    if (s->hoard.waiting == 0) {
        if (list_is_empty(&w->hoarding) && try_to_take(s, bytes)) return;
        list_push_back(&w->hoarding, &s->hoard.node);
        metrics_add(&s->client.env->metrics, METRIC_memory_waits, 1);
    }
    s->hoard.waiting = bytes;
    stream_pause(&s->client.stream);
    serve(w);
}

void hoard_release(struct session *s)
{
    if (s->hoard.bytes == 0 && s->hoard.waiting == 0) return;
    list_remove(&s->hoard.node);
    atomic_fetch_sub(sum_of(s), s->hoard.bytes);
    s->hoard.bytes = s->hoard.waiting = 0;
    serve(s->client.env->worker);
}
