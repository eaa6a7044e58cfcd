#include "proxy/worker.h"

#include "proxy/fleet.h"

#include "proxy/hoard.h"
#include "proxy/session.h"
#include "proxy/sockets.h"
#include "proxy/succession.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct worker_listener {
    struct listen listen;
    struct worker *worker;
    uint16_t index; /* in config->listen */
};

/* ---- mail ----------------------------------------------------------------------------------- */

struct order {
    struct mail mail;
    enum {
        ORDER_STOP,
        ORDER_STOP_NOW,
        ORDER_RELOAD,
        ORDER_ROUTE,
        ORDER_WAY,
        ORDER_SHRINK,
        ORDER_CUT,
        ORDER_CANCEL,
        ORDER_CANCEL_OVER,
        ORDER_ARRIVE
    } kind;
    struct session *session;
    struct stream_moved moved;
    struct realm *realm;
    struct route_force *routes, *shadow;
    const struct budget *cluster;
    struct budget *shrinking;
    struct cancel_wait *wait;
    uint64_t client;
    bool unknown;
};

static void deliver(struct mail *mail, void *owner);

static struct order *new_order(int kind)
{
    struct order *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->mail.deliver = deliver;
    o->kind = kind;
    return o;
}

/* A worker that has stopped takes no orders any more, and needs none. */
static void post(struct worker *w, struct order *o)
{
    if (o && !mailbox_post(&w->mailbox, &o->mail)) {
        realm_unref(o->realm);
        route_force_unref(o->routes);
        route_force_unref(o->shadow);
        cancel_wait_unref(o->wait);
        if (o->session) session_lost(o->session, &o->moved, w->env.shared);
        free(o);
    }
}

/* ---- listening ------------------------------------------------------------------------------ */

static void on_accept(struct listen *l, int fd, const union socket_address *peer)
{
    struct worker_listener *listener = list_item(l, struct worker_listener, listen);
    struct env *env = &listener->worker->env;
    struct address from = address_of(&peer->any);
    const char *why = realm_turns_away(env->realm, listener->index, &from);
    if (why) {
        /* Nobody from there may enter: no byte is read, and none is written. */
        char text[ADDRESS_TEXT_MAX];
        metrics_add(&env->metrics, METRIC_clients_turned_away, 1);
        log_event(env->log, EVENT_client_turned_away, LOG_TEXT("from", address_text(&from, text)),
                  LOG_TEXT("why", why), LOG_END);
        close(fd);
        return;
    }
    session_accept(env, fd, &from, listener->index);
}

static void on_trouble(struct listen *l, uint64_t refused, const struct err *err)
{
    struct worker_listener *listener = list_item(l, struct worker_listener, listen);
    struct env *env = &listener->worker->env;
    metrics_add(&env->metrics, METRIC_clients_turned_away, refused);
    log_event(env->log, EVENT_listen_trouble, LOG_U64("refused", refused),
              LOG_TEXT("why", err->message), LOG_TEXT("hint", err->hint), LOG_END);
}

static void on_listen_closed(struct listen *l)
{
    struct worker_listener *listener = list_item(l, struct worker_listener, listen);
    listener->worker->n_listening--;
}

static const struct listen_events listen_events = {
    .on_accept = on_accept,
    .on_trouble = on_trouble,
    .on_closed = on_listen_closed,
};

static struct socket_keepalive keepalive_of(const struct config *config)
{
    return (struct socket_keepalive){
        .idle_s = (uint32_t)(config->limits.keepalive_idle_ms / 1000),
        .interval_s = (uint32_t)(config->limits.keepalive_interval_ms / 1000),
        .probes = config->limits.keepalive_count,
    };
}

/* What a loop does as the configuration says, for connections from now on. */
static void tune(struct worker *w)
{
    const struct config *config = w->env.realm->config;
    w->env.streams.keepalive = keepalive_of(config);
    w->env.streams.high_bytes = (uint32_t)config->limits.session_buffer_bytes;
    for (size_t i = 0; i < w->n_listeners; i++)
        listen_tune(&w->listeners[i].listen, &w->env.streams.keepalive);
}

/* Every one of the sockets that were handed to us for this address and fall to this worker, or a
 * new one. */
static bool open_listener(struct worker *w, uint16_t index, unsigned parts, struct err *err)
{
    const struct config *config = w->env.realm->config;
    const struct config_address *at = &config->listen[index].address;
    struct sockets *sockets = w->env.shared->sockets;
    /* A unix path can have one listener only: the first worker's. */
    if (at->is_unix && w->index > 0) return true;
    union socket_address address;
    if (!sockets_address(at, &address, err)) return false;
    struct listen_options options = {
        .keepalive = keepalive_of(config),
        .backlog = config->limits.backlog,
        .exclusive = at->is_unix,
        .keep_file = sockets->from_elsewhere,
    };
    if (at->is_unix) parts = 1;
    bool first = true;
    do {
        options.fd = sockets_take(sockets, &address, w->index, parts, first);
        if (options.fd < 0 && !first) break;
        struct worker_listener *l = &w->listeners[w->n_listening];
        l->worker = w;
        l->index = index;
        if (!listen_open(&l->listen, &w->loop, &address, &options, &listen_events, err))
            return false;
        w->n_listening++;
        w->n_listeners++;
        first = false;
    } while (options.fd > 0);
    return true;
}

static void stop_listening(struct worker *w)
{
    for (size_t i = 0; i < w->n_listeners; i++) {
        struct listen *l = &w->listeners[i].listen;
        l->keep_file |= atomic_load(&w->env.shared->handed_over);
        listen_close(l);
    }
    w->n_listeners = 0;
}

size_t worker_sockets(const struct worker *w, int *fds, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_listeners && n < cap; i++) fds[n++] = w->listeners[i].listen.fd;
    return n;
}

/* ---- pools ---------------------------------------------------------------------------------- */

bool worker_is_paused(const struct worker *w, struct slice database)
{
    struct slice names = buf_slice(&w->paused_databases);
    while (names.len) {
        struct slice name = slice_str(names.at);
        if (slice_eq(name, database)) return true;
        names = slice_after(names, name.len + 1);
    }
    return w->paused;
}

struct pool *worker_pool(struct worker *w, const struct pool_setup *setup)
{
    struct buf key = { 0 };
    pool_key(setup, &key);
    struct pool *p = key.failed ? NULL : map_get(&w->pools, buf_slice(&key));
    if (p) p->settings = setup->settings; /* the route's, as they are now */
    if (!p && !key.failed) {
        p = pool_new(&w->env, session_pool_events(), setup, buf_slice(&key));
        if (p && !map_put(&w->pools, slice_str(p->key), p)) {
            struct err err;
            err_set(&err, ERR_OUT_OF_MEMORY, "");
            pool_close(p, &err);
            p = NULL;
        }
        if (p && worker_is_paused(w, setup->database)) pool_pause(p);
    }
    buf_fini(&key);
    return p;
}

void worker_forget_pool(struct worker *w, struct pool *p)
{
    map_remove(&w->pools, slice_str(p->key));
    p->closing = true;
}

struct pool *worker_known_pool(struct worker *w, const struct pool_setup *setup)
{
    struct buf key = { 0 };
    pool_key(setup, &key);
    struct pool *p = key.failed ? NULL : map_get(&w->pools, buf_slice(&key));
    buf_fini(&key);
    return p;
}

struct worker *worker_of_pool(struct worker *w, const struct pool_setup *setup)
{
    struct shared *shared = w->env.shared;
    struct buf key = { 0 };
    if (shared->n_workers == 1) return w;
    pool_family_key(setup, &key);
    uint64_t hash = map_hash(shared->seed, buf_slice(&key));
    buf_fini(&key);
    return shared->workers[hash % shared->n_workers];
}

void worker_send(struct worker *to, struct session *s, struct stream_moved *moved)
{
    struct order *o = new_order(ORDER_ARRIVE);
    if (!o) {
        session_lost(s, moved, to->env.shared);
        return;
    }
    o->session = s;
    o->moved = *moved;
    post(to, o);
}

static void close_pools(struct worker *w)
{
    struct err err;
    err_set(&err, ERR_SHUTTING_DOWN, "");
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at))) pool_close(p, &err);
    struct map_seed seed = w->pools.seed;
    map_fini(&w->pools);
    map_init(&w->pools, seed);
}

void worker_ask_way(struct worker *w, const struct budget *cluster)
{
    struct shared *shared = w->env.shared;
    for (unsigned i = 0; i < shared->n_workers; i++) {
        struct order *o = new_order(ORDER_WAY);
        if (o) o->cluster = cluster;
        post(shared->workers[i], o);
    }
}

static void give_way(struct worker *w, const struct budget *cluster)
{
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at)))
        if (p->target.cluster->budget == cluster && pool_give_way(p)) return;
}

void worker_shrink(struct worker *w, struct budget *cluster, bool force)
{
    struct order *o = new_order(force ? ORDER_CUT : ORDER_SHRINK);
    if (o) o->shrinking = cluster;
    post(w, o);
}

/* As long as there is something left to close, here or on any worker. */
static void shrink_by(struct worker *w, struct budget *cluster, bool (*close_one)(struct pool *p))
{
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at))) {
        if (p->target.cluster->budget != cluster) continue;
        while (budget_take_excess(cluster)) {
            if (close_one(p)) continue;
            atomic_fetch_add(&cluster->excess, 1);
            break;
        }
    }
}

static void shrink(struct worker *w, struct budget *cluster, bool force)
{
    shrink_by(w, cluster, pool_give_way);
    if (force) shrink_by(w, cluster, pool_cut);
}

/* ---- cancel --------------------------------------------------------------------------------- */

static void cancel_here(struct worker *w, struct cancel_wait *wait)
{
    struct session *s = cancel_find(&w->cancels, wait->pid, slice_of(wait->key, sizeof wait->key));
    if (!s) return;
    atomic_store(&wait->found, true);
    session_cancel(s, wait);
}

void worker_offer_cancel(const struct shared *shared, struct cancel_wait *wait)
{
    for (unsigned i = 0; i < shared->n_workers; i++) {
        struct order *o = new_order(ORDER_CANCEL);
        if (!o) break;
        o->wait = cancel_wait_ref(wait);
        post(shared->workers[i], o);
    }
}

/* All workers have been asked, and who has the key is done with it. */
static void on_cancel_over(struct cancel_wait *wait)
{
    struct worker *w = wait->worker;
    const struct slice key = slice_of(wait->key, sizeof wait->key);
    bool found = atomic_load(&wait->found) || succession_cancel(w->env.shared, wait->pid, key);
    if (!found && fleet_forward(w->env.shared->fleet, wait)) return;
    worker_cancel_over(w, wait->client, !found);
    free(wait);
}

void worker_cancel(struct worker *w, struct client *c, uint32_t pid, struct slice key)
{
    struct cancel_wait *wait = cancel_wait_new(on_cancel_over);
    if (!wait) return; /* the login timeout closes it */
    wait->worker = w;
    wait->client = c->id;
    wait->from = c->address;
    wait->pid = pid;
    list_remove(&c->node);
    list_push_back(&w->cancelling, &c->node);
    if (key.len == CANCEL_KEY_BYTES) {
        memcpy(wait->key, key.at, CANCEL_KEY_BYTES);
        worker_offer_cancel(w->env.shared, wait);
    }
    cancel_wait_unref(wait);
}

void worker_cancel_for_next(struct worker *w, uint32_t pid, struct slice key)
{
    struct cancel_wait *wait = cancel_wait_new(on_cancel_over);
    if (!wait) return;
    wait->worker = w;
    wait->pid = pid;
    memcpy(wait->key, key.at, CANCEL_KEY_BYTES);
    worker_offer_cancel(w->env.shared, wait);
    cancel_wait_unref(wait);
}

void worker_cancel_over(struct worker *w, uint64_t client, bool unknown)
{
    struct order *o = new_order(ORDER_CANCEL_OVER);
    if (o) {
        o->client = client;
        o->unknown = unknown;
    }
    post(w, o);
}

static void cancel_over(struct worker *w, uint64_t id, bool unknown)
{
    if (unknown) metrics_add(&w->env.metrics, METRIC_cancels_unknown, 1);
    list_each(node, &w->cancelling)
    {
        struct client *c = list_item(node, struct client, node);
        if (c->id == id) client_step(c, CLIENT_ON_GONE, NULL);
    }
}

/* ---- reload and stop ------------------------------------------------------------------------ */

static void take_routes(struct worker *w, struct route_force *routes, struct route_force *shadow)
{
    struct route_force *before = w->env.routes, *shadow_before = w->env.shadow;
    w->env.routes = routes;
    w->env.shadow = shadow;
    route_force_unref(before);
    route_force_unref(shadow_before);
}

static void reload(struct worker *w, struct realm *realm)
{
    struct realm *before = w->env.realm;
    w->env.realm = realm;
    for (size_t i = 0; i < w->n_listeners; i++) {
        struct worker_listener *l = &w->listeners[i];
        const char *address = before->config->listen[l->index].address.text;
        l->index = (uint16_t)realm_listen_at(realm, address);
    }
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at))) pool_retune(p, realm, &realm->config->pool);
    tune(w);
    realm_unref(before);
}

/* Who came a moment ago may log in and say what it came for first. */
static bool may_be_told(const struct worker *w, struct client *c)
{
    enum { NEWCOMER_MS = 1000 };
    if (c->state >= CLIENT_LEAVING) return false;
    if (w->stopping_now) return true;
    return uv_now(&w->loop) - c->opened_ms >= NEWCOMER_MS && session_is_idle(session_of(c));
}

static void tell_to_go(const struct worker *w, struct client *c)
{
    struct err err;
    if (!may_be_told(w, c)) return;
    err_set(&err, ERR_SHUTTING_DOWN, "");
    err_hint(&err, "connect again");
    client_refuse(c, &err);
}

/* Clients between transactions are told to go; the others when they get there (worker_replied), or
 * at the deadline. */
static void say_goodbye(struct worker *w)
{
    list_each(node, &w->sessions) tell_to_go(w, list_item(node, struct client, node));
}

void worker_replied(struct worker *w, struct client *c)
{
    if (w->stopping) tell_to_go(w, c);
}

static void on_mailbox_closed(struct mailbox *m) { (void)m; }

static void close_mailbox(struct worker *w)
{
    w->over = true;
    mailbox_close(&w->mailbox, on_mailbox_closed);
}

static void maybe_over(struct worker *w)
{
    if (!w->stopping || !list_is_empty(&w->sessions) || !list_is_empty(&w->cancelling)) return;
    close_pools(w);
    if (metrics_get(&w->env.metrics, METRIC_servers) == 0 && w->n_listening == 0) close_mailbox(w);
}

static void on_tick(struct wheel_node *node)
{
    struct worker *w = list_item(node, struct worker, tick);
    say_goodbye(w);
    maybe_over(w);
    if (!w->over) wheel_set(&w->env.streams.wheel, &w->tick, WHEEL_TICK_MS);
}

static void stop(struct worker *w, bool now)
{
    stop_listening(w);
    w->stopping = true;
    w->stopping_now |= now;
    on_tick(&w->tick);
}

static void deliver(struct mail *mail, void *owner)
{
    struct worker *w = owner;
    struct order *o = list_item(mail, struct order, mail);
    switch (o->kind) {
    case ORDER_STOP: stop(w, false); break;
    case ORDER_STOP_NOW: stop(w, true); break;
    case ORDER_RELOAD:
        reload(w, o->realm);
        take_routes(w, o->routes, o->shadow);
        break;
    case ORDER_ROUTE: take_routes(w, o->routes, o->shadow); break;
    case ORDER_WAY: give_way(w, o->cluster); break;
    case ORDER_SHRINK: shrink(w, o->shrinking, false); break;
    case ORDER_CUT: shrink(w, o->shrinking, true); break;
    case ORDER_ARRIVE: session_arrive(o->session, &w->env, &o->moved); break;
    case ORDER_CANCEL: cancel_here(w, o->wait); break;
    case ORDER_CANCEL_OVER: cancel_over(w, o->client, o->unknown); break;
    }
    cancel_wait_unref(o->wait);
    free(o);
}

void worker_stop(struct worker *w, bool now)
{
    post(w, new_order(now ? ORDER_STOP_NOW : ORDER_STOP));
}

void worker_reload(struct worker *w, struct realm *realm, struct route_force *routes,
                   struct route_force *shadow)
{
    struct order *o = new_order(ORDER_RELOAD);
    if (o) {
        o->realm = realm_ref(realm);
        o->routes = route_force_ref(routes);
        o->shadow = route_force_ref(shadow);
    }
    post(w, o);
}

void worker_route(struct worker *w, struct route_force *routes, struct route_force *shadow)
{
    struct order *o = new_order(ORDER_ROUTE);
    if (o) {
        o->routes = route_force_ref(routes);
        o->shadow = route_force_ref(shadow);
    }
    post(w, o);
}

/* ---- life ----------------------------------------------------------------------------------- */

bool worker_init(struct worker *w, unsigned index, unsigned parts, struct shared *shared,
                 struct realm *realm, struct route_force *routes, struct route_force *shadow,
                 struct log *log, struct err *err)
{
    memset(w, 0, sizeof *w);
    w->index = index;
    uv_loop_init(&w->loop);
    w->env = (struct env){ .log = log, .worker = w, .shared = shared };
    if (!stream_loop_init(&w->env.streams, &w->loop)) return err_set(err, ERR_OUT_OF_MEMORY, "");
    w->env.realm = realm_ref(realm);
    w->env.routes = route_force_ref(routes);
    w->env.shadow = route_force_ref(shadow);
    tune(w);
    list_init(&w->sessions);
    hoard_begin(w);
    list_init(&w->cancelling);
    map_init(&w->pools, shared->seed);
    map_init(&w->cancels, shared->seed);
    stmt_table_init(&w->stmts, shared->seed);
    w->settings = settings_table_new(shared->seed);
    if (!w->settings) return err_set(err, ERR_OUT_OF_MEMORY, "");
    if (!mailbox_open(&w->mailbox, &w->loop, w))
        return err_set(err, ERR_INTERNAL, "no descriptor for the worker's mailbox");
    wheel_node_init(&w->tick, on_tick);
    size_t room = realm->config->n_listen + shared->sockets->count;
    w->listeners = calloc(room, sizeof *w->listeners);
    if (!w->listeners) return err_set(err, ERR_OUT_OF_MEMORY, "");
    for (size_t i = 0; i < realm->config->n_listen; i++)
        if (!open_listener(w, (uint16_t)i, parts, err)) return false;
    return true;
}

static void run(void *arg)
{
    struct worker *w = arg;
    uv_run(&w->loop, UV_RUN_DEFAULT);
    atomic_fetch_sub(&w->env.shared->running, 1);
    w->on_over(w->on_over_owner);
}

bool worker_start(struct worker *w)
{
    atomic_fetch_add(&w->env.shared->running, 1);
    w->started = uv_thread_create(&w->thread, run, w) == 0;
    if (!w->started) atomic_fetch_sub(&w->env.shared->running, 1);
    return w->started;
}

void worker_join(struct worker *w)
{
    if (w->started) {
        uv_thread_join(&w->thread);
    } else {
        stop_listening(w);
        close_mailbox(w);
    }
    stream_loop_fini(&w->env.streams);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    realm_unref(w->env.realm);
    route_force_unref(w->env.routes);
    route_force_unref(w->env.shadow);
    regex_scratch_free(w->expressions);
    map_fini(&w->pools);
    buf_fini(&w->paused_databases);
    map_fini(&w->cancels);
    stmt_table_fini(&w->stmts);
    if (w->settings) settings_table_free(w->settings);
    refusals_fini(&w->refusals);
    free(w->listeners);
}
