#include "proxy/fleet.h"

#include "proxy/aws_feed.h"
#include "proxy/fleet_parts.h"
#include "proxy/random.h"
#include "proxy/route_force.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HELLO_MS = 2000,
    REOPEN_MS = 2000,
    MEMBER_MS = 7000, /* three hellos missed, and a bit */
    ID_BITS = 15,
};

uint64_t fleet_now_ms(const struct fleet *f) { return uv_now(f->uv); }

bool fleet_field(struct slice *body, struct slice *field)
{
    const char *end = body->len ? memchr(body->at, 0, body->len) : NULL;
    if (!end) return false;
    *field = slice_of(body->at, (size_t)(end - body->at));
    *body = slice_after(*body, field->len + 1);
    return true;
}

void fleet_add_field(struct buf *body, struct slice field)
{
    buf_add_slice(body, field);
    buf_add_u8(body, 0);
}

/* ---- speaking ------------------------------------------------------------------------------- */

static void add_channel(const struct fleet *f, struct buf *out)
{
    buf_addf(out, "sluice:{%.*s}:fleet", SLICE_ARG(f->trust.trust.scope));
}

static void on_said(void *owner, const struct redis_reply *reply, const struct err *err)
{
    (void)owner;
    (void)reply;
    (void)err; /* on_lost tells */
}

static bool cover(struct fleet_message *m, struct slice key, size_t n)
{
    uint8_t pad[FLEET_PAD_BYTES];
    if (n == 0) return true;
    if (n > sizeof pad || m->body.len < n || !fleet_message_pad(m, key, pad)) return false;
    for (size_t i = 0; i < n; i++) m->body.at[i] = (char)(m->body.at[i] ^ pad[i]);
    return true;
}

uint64_t fleet_say(struct fleet *f, enum fleet_kind kind, struct slice body, size_t n_cover)
{
    struct fleet_message m = {
        .kind = kind, .from = f->from, .serial = f->serial + 1, .time_ms = aws_feed_now_ms()
    };
    struct buf line = { 0 }, channel = { 0 };
    struct err err;
    bool ok = atomic_load(&f->is_up) && body.len <= FLEET_BODY_BYTES;
    buf_add_slice(&m.body, body);
    ok = ok && !m.body.failed && cover(&m, f->trust.trust.keys[0], n_cover);
    if (ok) {
        f->serial++;
        fleet_message_write(&line, &m, &f->trust.trust);
        add_channel(f, &channel);
        struct slice words[] = { slice_str("PUBLISH"), buf_slice(&channel), buf_slice(&line) };
        ok = !line.failed && !channel.failed && redis_send(f->redis, words, 3, on_said, f, &err);
    }
    buf_wipe(&m.body);
    buf_fini(&line);
    buf_fini(&channel);
    return ok ? m.serial : 0;
}

static void say_hello(struct fleet *f)
{
    struct buf body = { 0 };
    char id[16];
    snprintf(id, sizeof id, "%x", f->id);
    fleet_add_field(&body, slice_str(id));
    fleet_add_field(&body, slice_str(f->name));
    if (!body.failed) fleet_say(f, FLEET_HELLO, buf_slice(&body), 0);
    buf_fini(&body);
    f->hello_due_ms = fleet_now_ms(f) + HELLO_MS;
}

/* ---- members -------------------------------------------------------------------------------- */

bool fleet_is_there(const struct fleet *f, const struct fleet_member *m)
{
    return m->from && fleet_now_ms(f) - m->seen_ms < MEMBER_MS;
}

/* The member of that process, or room for it; NULL: there is none. */
static struct fleet_member *member_for(struct fleet *f, uint64_t from)
{
    struct fleet_member *room = NULL;
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++) {
        if (f->members[i].from == from) return &f->members[i];
        if (!fleet_is_there(f, &f->members[i])) room = &f->members[i];
    }
    return room;
}

static void on_hello(struct fleet *f, const struct fleet_message *m)
{
    struct slice body = buf_slice(&m->body), id, name;
    struct fleet_member *member = member_for(f, m->from);
    if (!member || !fleet_field(&body, &id) || !fleet_field(&body, &name)) return;
    bool is_new = member->from != m->from;
    *member = (struct fleet_member){ .from = m->from, .seen_ms = fleet_now_ms(f) };
    member->id = (uint32_t)strtoul(id.at, NULL, 16); /* ends with its NUL */
    snprintf(member->name, sizeof member->name, "%.*s", SLICE_ARG(name));
    if (!is_new) return;
    log_event(f->log, EVENT_fleet_met, LOG_TEXT("proxy", member->name), LOG_END);
    say_hello(f); /* so that it need not wait for the next */
}

/* ---- listening ------------------------------------------------------------------------------ */

static void hear(struct fleet *f, struct fleet_message *m)
{
    switch (m->kind) {
    case FLEET_HELLO: on_hello(f, m); break;
    case FLEET_CANCEL:
        if (cover(m, m->key, 4 + CANCEL_KEY_BYTES)) fleet_on_cancel(f, m);
        break;
    case FLEET_CANCELLED: fleet_on_cancelled(f, m); break;
    case FLEET_ORDER: fleet_on_order(f, m); break;
    case FLEET_ANSWER: fleet_on_answer(f, m); break;
    }
}

static void on_message(void *owner, struct slice payload)
{
    struct fleet *f = owner;
    struct fleet_message m;
    const char *why = NULL;
    if (!fleet_message_read(&m, payload, &f->trust.trust))
        why = "malformed, or not signed with our key";
    else if (m.from == f->from)
        ;
    else if (!fleet_guard_take(&f->guard, &m, aws_feed_now_ms()))
        why = "said before, or the clocks differ";
    else
        hear(f, &m);
    if (why) {
        metrics_add(&f->shared->metrics, METRIC_fleet_refused, 1);
        log_event(f->log, EVENT_fleet_refused, LOG_TEXT("why", why), LOG_END);
    }
    buf_wipe(&m.body);
}

static void on_ready(void *owner)
{
    struct fleet *f = owner;
    if (!redis_is_ready(f->redis) || !redis_is_ready(f->listener)) return;
    atomic_store(&f->is_up, true);
    if (f->told_lost) log_event(f->log, EVENT_fleet_back, LOG_END);
    f->told_lost = false;
    say_hello(f);
}

static void on_lost(void *owner, const struct err *why)
{
    struct fleet *f = owner;
    atomic_store(&f->is_up, false);
    f->lost_why = *why;
    if (!f->told_lost)
        log_event(f->log, EVENT_fleet_lost, LOG_TEXT("why", why->message),
                  LOG_TEXT("hint", why->hint), LOG_END);
    f->told_lost = true;
}

static const struct redis_events redis_events = { on_ready, on_lost, on_message };

/* ---- cancel keys ---------------------------------------------------------------------------- */

/* Half of all process ids that servers have look like 0 or 2^30 and a bit (Redshift's); ours never
 * do, so that the id of a key that is a server's own is not taken for a proxy's. */
static uint32_t draw_id(void)
{
    uint32_t id;
    do {
        id = random_u32() & ((1u << ID_BITS) - 1);
    } while ((id & 0x3fff) < 0x80);
    return id;
}

uint32_t fleet_pid(const struct fleet *f)
{
    if (!f || !f->mints_keys) return 0;
    return f->id << 16 | (random_u32() & 0xffff);
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void open_redis(struct fleet *f)
{
    struct buf channel = { 0 };
    struct err err;
    f->opened = config_ref(f->config);
    f->has_trust = f->config->routes.cache && route_trust_init(&f->trust, f->config, &err);
    if (f->has_trust) {
        add_channel(f, &channel);
        f->redis = route_store_connect(&f->streams, f->config, (struct slice){ 0 }, &redis_events,
                                       f, &err);
        if (f->redis)
            f->listener = route_store_connect(&f->streams, f->config, buf_slice(&channel),
                                              &redis_events, f, &err);
    } else if (f->config->routes.cache) {
        route_trust_fini(&f->trust);
    }
    if (f->config->routes.cache && !f->listener)
        log_event(f->log, EVENT_fleet_alone, LOG_TEXT("why", err.message),
                  LOG_TEXT("hint", err.hint), LOG_END);
    buf_fini(&channel);
    if (!fleet_lease_reload(f))
        log_event(f->log, EVENT_fleet_alone, LOG_TEXT("why", "out of memory"), LOG_END);
    if (f->listener || f->n_leases) wheel_set(&f->streams.wheel, &f->timer, FLEET_TICK_MS);
}

static void maybe_over(struct fleet *f)
{
    if (f->closing && f->closings == 0) stream_loop_fini(&f->streams);
}

static void on_redis_closed(void *owner)
{
    struct fleet *f = owner;
    f->closings--;
    maybe_over(f);
}

static void close_one(struct fleet *f, struct redis **redis)
{
    if (!*redis) return;
    f->closings++;
    redis_close(*redis, on_redis_closed, f);
    *redis = NULL;
}

static void close_redis(struct fleet *f)
{
    atomic_store(&f->is_up, false);
    wheel_cancel(&f->timer);
    fleet_cancel_tick(f, true);
    for (size_t i = 0; i < f->n_leases; i++) f->leases[i]->under_way = false;
    close_one(f, &f->redis);
    close_one(f, &f->listener);
    if (f->has_trust) route_trust_fini(&f->trust);
    f->has_trust = false;
    fleet_once_lost(f);
    if (f->opened) config_unref(f->opened);
    f->opened = NULL;
}

/* ---- time ----------------------------------------------------------------------------------- */

static void on_tick(struct wheel_node *node)
{
    struct fleet *f = list_item(node, struct fleet, timer);
    if (f->reopen_due_ms && fleet_now_ms(f) >= f->reopen_due_ms) {
        f->reopen_due_ms = 0;
        close_redis(f);
        open_redis(f);
        return;
    }
    fleet_cancel_tick(f, false);
    fleet_lease_tick(f);
    fleet_order_tick(f, false);
    if (fleet_now_ms(f) >= f->hello_due_ms) say_hello(f);
    wheel_set(&f->streams.wheel, &f->timer, FLEET_TICK_MS);
}

/* Where it runs and where it listens: what administrators call it. */
static void name_it(struct fleet *f)
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    snprintf(f->name, sizeof f->name, "%s/%s", host[0] ? host : "?",
             f->config->n_listen ? f->config->listen[0].address.text : "?");
}

/* The connections stay for a moment: a RELOAD ON ALL is still to be answered over them. */
void fleet_reload(struct fleet *f)
{
    struct config *before = f->config;
    f->config = config_ref(control_config(f->control));
    config_unref(before);
    if (f->config->fleet.share_connections) fleet_lease_reload(f);
    f->reopen_due_ms = fleet_now_ms(f) + REOPEN_MS;
    wheel_set(&f->streams.wheel, &f->timer, FLEET_TICK_MS);
}

struct fleet *fleet_open(uv_loop_t *uv, struct log *log, struct shared *shared, void *control)
{
    struct fleet *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    if (!stream_loop_init(&f->streams, uv)) {
        free(f);
        return NULL;
    }
    f->uv = uv;
    f->log = log;
    f->shared = shared;
    f->control = control;
    f->config = config_ref(control_config(control));
    list_init(&f->claims);
    do {
        f->from = random_u64();
    } while (f->from == 0);
    f->id = draw_id();
    atomic_init(&f->is_up, false);
    rate_init(&f->rate, shared->seed);
    wheel_node_init(&f->timer, on_tick);
    name_it(f);
    /* So that an id that SHOW CLIENTS shows means one client in the whole fleet. */
    f->mints_keys = f->config->routes.cache != NULL;
    if (f->mints_keys) atomic_store(&shared->next_id, (uint64_t)f->id << 32);
    open_redis(f);
    return f;
}

void fleet_close(struct fleet *f)
{
    if (!f || f->closing) return;
    f->closing = true;
    fleet_order_tick(f, true);
    close_redis(f);
    maybe_over(f);
}

void fleet_free(struct fleet *f)
{
    if (!f) return;
    config_unref(f->config);
    fleet_lease_free(f);
    rate_fini(&f->rate);
    free(f);
}

void fleet_state(const struct fleet *f, struct fleet_state *out)
{
    *out = (struct fleet_state){ .is_used = f->redis != NULL, .is_up = atomic_load(&f->is_up) };
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++)
        out->members += fleet_is_there(f, &f->members[i]);
    if (out->is_used && !out->is_up && f->told_lost) out->lost_why = f->lost_why.message;
    out->members++;
}
