#include "proxy/hoard.h"

#include "proxy/session.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdlib.h>

enum {
    RETRY_MS = 20,      /* other workers' clients may have made room, and tell nobody */
    LOOK_MS = 250,      /* between looks for slow ones */
    STEP = 64 * 1024,   /* what the next read of one that leaves the line may bring */
    LEAST_PER_MS = 256, /* bytes that must arrive, on average, beyond the stall that is allowed */
};

struct hoard_place {
    struct list node;      /* in the line */
    struct list gathering; /* among those that arrive */
    struct session *session;
    uint64_t bytes, waiting; /* taken; wanted, while it stands in line */
    uint64_t there;
    uint64_t began_ms, last_ms; /* of its arriving, without the time in line */
    uint64_t in_line_ms;        /* since when */
};

static struct shared *shared_of(const struct session *s) { return s->client.env->shared; }

/* ---- places --------------------------------------------------------------------------------- */

static struct hoard_place *place_of(struct session *s)
{
    if (s->hoard) return s->hoard;
    struct hoard_place *p = calloc(1, sizeof *p);
    if (!p) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&s->client, &err);
        return NULL;
    }
    list_init(&p->node);
    list_init(&p->gathering);
    p->session = s;
    s->hoard = p;
    return p;
}

static bool is_finisher(const struct hoard_place *p)
{
    return atomic_load(&shared_of(p->session)->hoard_finisher) == p->session->client.id;
}

/* At most one of all workers. */
static bool become_finisher(const struct hoard_place *p)
{
    unsigned long long nobody = 0;
    return atomic_compare_exchange_strong(&shared_of(p->session)->hoard_finisher, &nobody,
                                          p->session->client.id);
}

static void stop_finishing(const struct hoard_place *p)
{
    unsigned long long it = p->session->client.id;
    atomic_compare_exchange_strong(&shared_of(p->session)->hoard_finisher, &it, 0);
}

/* Who is alone may have more than all there is. */
static bool try_to_take(struct hoard_place *p, uint64_t bytes)
{
    const uint64_t cap = p->session->client.env->realm->config->limits.memory_bytes;
    const uint64_t more = bytes > p->bytes ? bytes - p->bytes : 0;
    atomic_ullong *sum = &shared_of(p->session)->hoarded_bytes;
    const uint64_t before = atomic_fetch_add(sum, more);
    if (before + more > cap && before > p->bytes && !is_finisher(p)) {
        atomic_fetch_sub(sum, more);
        return false;
    }
    p->bytes += more;
    return true;
}

/* ---- the line ------------------------------------------------------------------------------- */

static void stand_in_line(struct hoard_place *p, uint64_t bytes)
{
    struct session *s = p->session;
    struct hoard *h = &s->client.env->worker->hoard;
    if (p->waiting == 0) {
        list_push_back(&h->line, &p->node);
        p->in_line_ms = env_now_ms(s->client.env);
        atomic_fetch_add(&shared_of(s)->hoard_waiting, 1);
        metrics_add(&s->client.env->metrics, METRIC_memory_waits, 1);
    }
    p->waiting = bytes;
    stream_pause(&s->client.stream);
}

static void leave_line(struct hoard_place *p)
{
    if (p->waiting == 0) return;
    list_remove(&p->node);
    p->waiting = 0;
    p->last_ms = env_now_ms(p->session->client.env);
    p->began_ms += p->last_ms - p->in_line_ms;
    atomic_fetch_sub(&shared_of(p->session)->hoard_waiting, 1);
}

static void go_on(struct hoard_place *p)
{
    leave_line(p);
    stream_resume(&p->session->client.stream);
}

/* Without room: one that has a part of its statement here, so that no part waits for ever. */
static void serve_finisher(struct hoard *h)
{
    for (struct list *at = h->line.next; at != &h->line; at = at->next) {
        struct hoard_place *p = list_item(at, struct hoard_place, node);
        if (p->bytes == 0) continue;
        if (become_finisher(p) && try_to_take(p, p->waiting)) go_on(p);
        return;
    }
}

static void watch(struct worker *w)
{
    const bool waits = !list_is_empty(&w->hoard.line);
    if (list_is_empty(&w->hoard.gathering) || wheel_is_set(&w->hoard_timer)) return;
    wheel_set(&w->env.streams.wheel, &w->hoard_timer, waits ? RETRY_MS : LOOK_MS);
}

static void serve(struct worker *w)
{
    struct hoard *h = &w->hoard;
    while (!list_is_empty(&h->line)) {
        struct hoard_place *p = list_item(h->line.next, struct hoard_place, node);
        if (!try_to_take(p, p->waiting)) {
            serve_finisher(h);
            break;
        }
        go_on(p);
    }
    watch(w);
}

/* ---- the slow ones -------------------------------------------------------------------------- */

static bool is_slow(const struct hoard_place *p, uint64_t now_ms)
{
    const uint64_t stall = p->session->client.env->realm->config->limits.statement_stall_ms;
    const uint64_t took = now_ms - p->began_ms;
    return p->waiting == 0 && (now_ms - p->last_ms > stall ||
                               (took > stall && p->there / LEAST_PER_MS < took - stall));
}

static void send_away(struct session *s)
{
    struct err err;
    metrics_add(&s->client.env->metrics, METRIC_memory_stalls, 1);
    err_set(&err, ERR_OUT_OF_MEMORY,
            "the statement arrives too slowly, and others wait for the memory");
    err_hint(&err, "limits.statement_stall, limits.memory");
    client_refuse(&s->client, &err);
}

static struct hoard_place *find_slow(struct hoard *h, uint64_t now_ms)
{
    for (struct list *at = h->gathering.next; at != &h->gathering; at = at->next) {
        struct hoard_place *p = list_item(at, struct hoard_place, gathering);
        if (is_slow(p, now_ms)) return p;
    }
    return NULL;
}

static void send_slow_away(struct worker *w)
{
    const uint64_t now_ms = env_now_ms(&w->env);
    struct hoard_place *p;
    if (atomic_load(&w->env.shared->hoard_waiting) == 0) return;
    if (now_ms - w->hoard.looked_ms < LOOK_MS) return;
    w->hoard.looked_ms = now_ms;
    while ((p = find_slow(&w->hoard, now_ms))) send_away(p->session);
}

static void on_timer(struct wheel_node *node)
{
    struct worker *w = list_item(node, struct worker, hoard_timer);
    send_slow_away(w);
    serve(w);
}

/* ---- for sessions --------------------------------------------------------------------------- */

void hoard_begin(struct worker *w)
{
    list_init(&w->hoard.line);
    list_init(&w->hoard.gathering);
    wheel_node_init(&w->hoard_timer, on_timer);
}

/* Who has begun goes before those who have not. */
static bool take_more(struct hoard_place *p, uint64_t there)
{
    const struct hoard *h = &p->session->client.env->worker->hoard;
    if (there <= p->bytes) return true;
    return (p->bytes > 0 || list_is_empty(&h->line)) && try_to_take(p, there);
}

void hoard_take(struct session *s, uint64_t there, uint64_t whole)
{
    struct worker *w = s->client.env->worker;
    struct hoard_place *p = place_of(s);
    if (!p) return;
    const uint64_t now_ms = env_now_ms(s->client.env);
    if (list_is_empty(&p->gathering)) {
        list_push_back(&w->hoard.gathering, &p->gathering);
        p->began_ms = now_ms;
    }
    p->last_ms = now_ms;
    p->there = there;
    if (take_more(p, there)) {
        watch(w);
    } else {
        stand_in_line(p, there + STEP < whole ? there + STEP : whole);
        serve(w);
    }
}

void hoard_is_whole(struct session *s)
{
    if (s->hoard) list_remove(&s->hoard->gathering);
}

void hoard_went_on(struct session *s, uint64_t there)
{
    struct hoard_place *p = s->hoard;
    if (!p) return;
    const uint64_t less = p->bytes > there ? p->bytes - there : 0;
    list_remove(&p->gathering);
    stop_finishing(p);
    p->bytes -= less;
    atomic_fetch_sub(&shared_of(s)->hoarded_bytes, less);
    if (less) serve(s->client.env->worker);
}

void hoard_release(struct session *s)
{
    struct hoard_place *p = s->hoard;
    if (!p) return;
    /* Who stands in line is not read, and need not be resumed here: either it leaves, or what it
     * held was taken by session.c's begin_work, which resumes it first. */
    leave_line(p);
    list_remove(&p->gathering);
    stop_finishing(p);
    atomic_fetch_sub(&shared_of(s)->hoarded_bytes, p->bytes);
    s->hoard = NULL;
    free(p);
    serve(s->client.env->worker);
}
