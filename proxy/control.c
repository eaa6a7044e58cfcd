#include "proxy/control.h"

#include "proxy/aws_client.h"
#include "proxy/aws_feed.h"
#include "proxy/control_parts.h"
#include "proxy/creds.h"
#include "proxy/fleet.h"
#include "proxy/iam_door.h"
#include "proxy/ops/audit.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/notify.h"
#include "proxy/realm.h"
#include "proxy/route_explain.h"
#include "proxy/worker.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- tables --------------------------------------------------------------------------------- */

void control_force_routes(struct control *c, struct route_force *routes)
{
    route_force_count(routes, &c->shared->route_stats, ++c->route_serial);
    struct route_force *before = c->routes;
    c->routes = c->overview.routes = routes;
    route_force_unref(before);
}

/* The candidate and what it was compared with belong together: both begin anew. */
void control_force_shadow(struct control *c, struct route_force *shadow)
{
    struct route_force *before = c->shadow;
    shadow->serial = ++c->route_serial;
    c->shadow = shadow;
    c->shadow_began = route_shadow_count(c->shared);
    route_force_unref(before);
}

static void mail_routes(struct control *c)
{
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        worker_route(c->shared->workers[i], c->routes, c->shadow);
}

bool control_take_shadow(void *control, struct route_force *f)
{
    struct control *c = control;
    if (f->config != c->realm->config) {
        route_force_unref(f);
        return false;
    }
    control_force_shadow(c, f);
    mail_routes(c);
    return true;
}

bool control_take_routes(void *control, struct route_force *f)
{
    struct control *c = control;
    if (f->config != c->realm->config) {
        route_force_unref(f);
        return false;
    }
    control_force_routes(c, f);
    mail_routes(c);
    log_event(c->log, EVENT_routes_in_force,
              LOG_U64("version", f->table ? route_table_version(f->table) : 0),
              LOG_U64("rules", f->table ? route_table_count(f->table) : 0), LOG_END);
    return true;
}

const struct route_force *control_routes(const void *control)
{
    return ((const struct control *)control)->routes;
}

const struct realm *control_realm(const void *control)
{
    return ((const struct control *)control)->realm;
}

struct config *control_config(const void *control)
{
    return ((const struct control *)control)->realm->config;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void stop_workers(struct control *c, bool now)
{
    for (unsigned i = 0; i < c->shared->n_workers; i++) worker_stop(c->shared->workers[i], now);
}

static void on_deadline(uv_timer_t *timer)
{
    struct control *c = timer->data;
    log_event(c->log, EVENT_drain_deadline, LOG_END);
    stop_workers(c, true);
}

static void on_hup(uv_signal_t *signal, int number)
{
    (void)number;
    control_reload(signal->data, "SIGHUP", NULL, RELOAD_ALL);
}

/* ---- into a new binary ----------------------------------------------------------------------- */

/* Only now may the handle be used again: a signal for another may come in the turn of the death. */
static void on_next_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;
    c->next = (uv_process_t){ 0 };
}

static void on_next_gone(uv_process_t *process, int64_t status, int signal)
{
    struct control *c = process->data;
    if (!c->draining)
        log_event(c->log, EVENT_takeover_failed, LOG_I64("pid", c->next_pid),
                  LOG_I64("status", status), LOG_I64("signal", signal),
                  LOG_TEXT("hint", "this process goes on"), LOG_END);
    c->next_pid = 0;
    succession_close(&c->succession);
    uv_close((uv_handle_t *)process, on_next_closed);
}

static size_t all_sockets(const struct control *c, int fds[SOCKETS_MAX])
{
    size_t n = 0;
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        n += worker_sockets(c->shared->workers[i], fds + n, SOCKETS_MAX - n);
    return n + http_admin_sockets(&c->admin, fds + n, SOCKETS_MAX - n);
}

/* The program's file, as it is by now, is started with our sockets; when it is ready it tells us to
 * go. */
static void on_usr2(uv_signal_t *signal, int number)
{
    struct control *c = signal->data;
    int fds[SOCKETS_MAX];
    struct err err;
    (void)number;
    if (c->draining || c->next.loop) return;
    size_t n = all_sockets(c, fds);
    c->next.data = c;
    int to_us = succession_open(&c->succession, &c->loop, c->shared);
    bool ok = sockets_hand_over(&c->loop, &c->next, fds, n, to_us, on_next_gone, &err);
    if (to_us >= 0) close(to_us);
    if (!ok) {
        succession_close(&c->succession);
        log_event(c->log, EVENT_takeover_failed, LOG_TEXT("why", err.message), LOG_END);
        if (c->next.loop) uv_close((uv_handle_t *)&c->next, on_next_closed);
        return;
    }
    c->next_pid = c->next.pid;
    log_event(c->log, EVENT_takeover_begun, LOG_I64("pid", c->next_pid), LOG_U64("sockets", n),
              LOG_END);
}

/* The next binary listens where we do: what is asked there from now on is asked of it. */
static void let_go(struct control *c)
{
    if (!c->next_pid || c->draining) return;
    log_event(c->log, EVENT_takeover_done, LOG_I64("pid", c->next_pid), LOG_END);
    atomic_store(&c->shared->handed_over, true);
    notify_send("MAINPID=%lld", (long long)c->next_pid);
    http_admin_close(&c->admin);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct control *c = timer->data;
    struct buf body = { 0 };
    /* Only while every worker's loop turns; http_admin closed: the pulse is not taken any more. */
    if (!c->admin.is_open || pulse_is_felt(&c->overview.pulse, &body)) notify_send("WATCHDOG=1");
    buf_fini(&body);
}

/* Everything is open: whoever manages us may know, and the binary before us may go. */
static void announce(struct control *c)
{
    uint64_t every_ms = notify_watchdog_ms();
    notify_send("READY=1");
    if (every_ms) uv_timer_start(&c->watchdog, on_watchdog, every_ms, every_ms);
    if (!c->sockets.takes_over) return;
    log_event(c->log, EVENT_takeover_taken, LOG_I64("from", c->sockets.takes_over), LOG_END);
    if (getppid() == c->sockets.takes_over) kill(c->sockets.takes_over, SIGTERM);
}

/* `now`, or by draining first; whoever is told to drain twice stops. */
static void stop(struct control *c, bool now)
{
    uint64_t drain_ms = c->realm->config->drain_timeout_ms;
    now |= c->draining || drain_ms == 0;
    c->draining = true;
    atomic_store(&c->shared->draining, true);
    if (!atomic_load(&c->shared->handed_over)) notify_send("STOPPING=1");
    log_event(c->log, now ? EVENT_stop : EVENT_drain, LOG_END);
    stop_workers(c, now);
    if (!now) uv_timer_start(&c->deadline, on_deadline, drain_ms, 0);
}

static void on_term(uv_signal_t *signal, int number)
{
    (void)number;
    let_go(signal->data);
    stop(signal->data, false);
}

static void on_interrupt(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data, true);
}

static void on_diagnosed(struct overview_answer *a)
{
    struct control_order *o = a->owner;
    diagnosis_show(&a->diagnosis, &o->rows);
    control_order_answer(o);
}

/* A row for each line, as EXPLAIN does. */
static void explain_route(struct control *c, struct control_order *o)
{
    struct route_question q;
    struct buf texts = { 0 }, out = { 0 };
    enum route_explained result = ROUTE_EXPLAINED_FAILED;
    if (route_question_read(&q, buf_slice(&o->words), &texts, &o->err))
        result = route_explain(c->realm->config, c->routes->table, &q, &out, &o->err);
    o->ok = result <= ROUTE_EXPLAINED_NOWHERE;
    for (struct slice left = buf_slice(&out); o->ok && left.len;) {
        const char *end = memchr(left.at, '\n', left.len);
        size_t n = end ? (size_t)(end - left.at) : left.len;
        rows_text(&o->rows, slice_of(left.at, n));
        left = slice_after(left, n + (end != NULL));
    }
    buf_fini(&texts);
    buf_fini(&out);
}

static void show(struct control *c, struct control_order *o)
{
    if (o->show == ADMIN_SHOW_CREDENTIALS) creds_show(c->shared->creds, &o->rows);
    if (o->show == ADMIN_SHOW_HISTORY) history_show(&c->overview.history, &o->rows);
    if (o->show == ADMIN_SHOW_ROUTES) route_show(c->routes, uv_now(&c->loop), &o->rows);
    if (o->show == ADMIN_SHOW_SHADOW)
        route_show_shadow(c->shadow, c->routes, &c->shadow_began, c->shared, &o->rows);
    if (o->show == ADMIN_SHOW_FLEET) fleet_show(c->shared->fleet, &o->rows);
    if (o->show == ADMIN_EXPLAIN_ROUTE) explain_route(c, o);
}

void control_take_order(void *control, struct control_order *o)
{
    struct control *c = control;
    bool was_draining = c->draining;
    enum control_order_kind kind = o->kind;
    if (kind == CONTROL_SHOW && o->show == ADMIN_SHOW_DIAGNOSIS) {
        o->ok = overview_ask(&c->overview, on_diagnosed, o, 0);
        if (!o->ok) control_order_answer(o);
        return;
    }
    if (kind == CONTROL_FLEET) {
        fleet_ask(c->shared->fleet, o);
        return;
    }
    if (kind == CONTROL_ROUTE) {
        route_order_take(&c->route_orders, &c->loop, c->realm->config, o);
        return;
    }
    if (kind == CONTROL_RELOAD) {
        char who[72];
        snprintf(who, sizeof who, "RELOAD: %s", o->who);
        control_reload(c, who, o, RELOAD_ALL);
        return;
    }
    o->ok = true;
    if (kind == CONTROL_SHOW) show(c, o);
    control_order_answer(o); /* before a stop: the asker is still there to hear it */
    if (kind == CONTROL_STOP) stop(c, true);
    if (kind == CONTROL_DRAIN && !was_draining) stop(c, false);
}

static void on_mailbox_closed(struct mailbox *m) { (void)m; }

static void on_worker_over(void *owner)
{
    struct control *c = owner;
    uv_async_send(&c->all_gone);
}

static void on_all_gone(uv_async_t *async)
{
    struct control *c = async->data;
    if (atomic_load(&c->shared->running) > 0) return;
    uv_close((uv_handle_t *)&c->hup, NULL);
    uv_close((uv_handle_t *)&c->term, NULL);
    uv_close((uv_handle_t *)&c->interrupt, NULL);
    uv_close((uv_handle_t *)&c->usr2, NULL);
    uv_close((uv_handle_t *)&c->watchdog, NULL);
    if (c->next.loop && !uv_is_closing((uv_handle_t *)&c->next))
        uv_close((uv_handle_t *)&c->next, NULL);
    succession_close(&c->succession);
    uv_close((uv_handle_t *)&c->deadline, NULL);
    uv_close((uv_handle_t *)&c->refresh, NULL);
    uv_close((uv_handle_t *)&c->poll, NULL);
    uv_close((uv_handle_t *)&c->all_gone, NULL);
    uv_close((uv_handle_t *)&c->secret_refused, NULL);
    http_admin_close(&c->admin);
    mailbox_close(&c->mailbox, on_mailbox_closed);
    control_drop_reloads(c);
    creds_close(c->shared->creds);
    iam_door_close(c->shared->iam_door);
    route_keeper_close(c->keeper);
    fleet_close(c->shared->fleet);
    http_close(c->http);
}

static bool open_source(struct control *c)
{
    const struct config *config = c->realm->config;
    struct err err;
    if (!config_origin_is_remote(config->name)) return true;
    c->source = config_origin_open(&c->loop, c->http, config->name, &err);
    control_is_seen(c, config_text(config));
    if (c->source) return true;
    log_event(c->log, EVENT_start_failed, LOG_TEXT("why", err.message), LOG_END);
    return false;
}

/* What talks to AWS lives on this loop; workers reach it by mail. */
static bool start_aws(struct control *c)
{
    c->http = aws_client_open(&c->loop);
    c->secrets = c->http ? aws_secrets_open(&c->loop, c->http) : NULL;
    if (!c->secrets || !open_source(c)) return false;
    c->shared->creds = creds_open(&c->loop, c->http, c->log, c->shared->seed, &c->shared->metrics);
    c->shared->iam_door = iam_door_open(&c->loop, c->http, c->log, c->shared);
    if (c->shared->iam_door) iam_door_prepare(c->shared->iam_door, c->realm);
    c->keeper = route_keeper_open(&c->loop, c->http, c->log, c->shared->audit, c);
    c->shared->fleet = fleet_open(&c->loop, c->log, c->shared, c);
    return c->shared->creds && c->shared->iam_door && c->keeper && c->shared->fleet;
}

/* ---- starting ------------------------------------------------------------------------------- */

static void watch(struct control *c, uv_signal_t *signal, uv_signal_cb callback, int number)
{
    uv_signal_init(&c->loop, signal);
    signal->data = c;
    uv_signal_start(signal, callback, number);
}

static void raise_descriptor_limit(struct control *c)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t wanted = c->realm->config->limits.clients + 64;
    for (size_t i = 0; i < c->realm->config->n_clusters; i++)
        wanted += c->realm->config->clusters[i].max_connections;
    if (limit.rlim_cur < wanted)
        log_event(c->log, EVENT_limit_descriptors, LOG_U64("have", limit.rlim_cur),
                  LOG_U64("wanted", wanted),
                  LOG_TEXT("hint", "raise LimitNOFILE, or lower limits.clients"), LOG_END);
}

static unsigned worker_count(const struct config *config)
{
    if (config->workers) return config->workers;
    unsigned n = uv_available_parallelism();
    return n ? n : 1;
}

static bool start_workers(struct control *c)
{
    struct shared *shared = c->shared;
    unsigned n = worker_count(c->realm->config);
    struct err err;
    shared->workers = calloc(n, sizeof(struct worker *));
    if (!shared->workers) return false;
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = malloc(sizeof *w);
        if (!w) return false;
        shared->workers[shared->n_workers++] = w;
        if (!worker_init(w, i, n, shared, c->realm, c->routes, c->shadow, c->log, &err)) {
            log_event(c->log, EVENT_start_failed, LOG_TEXT("why", err.message),
                      LOG_TEXT("hint", err.hint), LOG_END);
            return false;
        }
        w->on_over = on_worker_over;
        w->on_over_owner = c;
    }
    for (unsigned i = 0; i < n; i++)
        if (!worker_start(shared->workers[i])) return false;
    return true;
}

static void drain_by_http(void *owner)
{
    struct control *c = owner;
    if (!c->draining) stop(c, false);
}

static bool start_http(struct control *c)
{
    struct err err;
    c->overview.shared = c->shared;
    c->overview.log = c->log;
    c->overview.home = &c->mailbox;
    c->overview.uv = &c->loop;
    c->overview.realm = c->realm;
    c->overview.keeper = c->keeper;
    struct http_admin_view view = {
        .overview = &c->overview,
        .log = c->log,
        .home = &c->mailbox,
        .sockets = &c->sockets,
        .drain = drain_by_http,
        .owner = c,
    };
    if (http_admin_open(&c->admin, &view, &c->loop, &err)) return true;
    log_event(c->log, EVENT_start_failed, LOG_TEXT("why", err.message), LOG_TEXT("hint", err.hint),
              LOG_END);
    return false;
}

static void join_workers(struct shared *shared)
{
    for (unsigned i = 0; i < shared->n_workers; i++) {
        worker_join(shared->workers[i]);
        free(shared->workers[i]);
    }
    free(shared->workers);
    shared->workers = NULL;
    shared->n_workers = 0;
}

static void log_listening(struct control *c)
{
    for (size_t i = 0; i < c->realm->config->n_listen; i++)
        log_event(c->log, EVENT_listening,
                  LOG_TEXT("address", c->realm->config->listen[i].address.text),
                  LOG_U64("workers", c->shared->n_workers), LOG_END);
}

static int serve(struct control *c)
{
    uv_loop_init(&c->loop);
    uv_timer_init(&c->loop, &c->deadline);
    uv_timer_init(&c->loop, &c->refresh);
    uv_timer_init(&c->loop, &c->poll);
    uv_timer_init(&c->loop, &c->watchdog);
    c->watchdog.data = c;
    uv_async_init(&c->loop, &c->all_gone, on_all_gone);
    uv_async_init(&c->loop, &c->secret_refused, control_on_secret_refused);
    c->deadline.data = c->refresh.data = c->poll.data = c->all_gone.data = c->secret_refused.data =
        c;
    c->shared->secret_refused = &c->secret_refused;
    if (!mailbox_open(&c->mailbox, &c->loop, c)) return 1;
    c->shared->control = &c->mailbox;
    c->shared->started_ms = uv_now(&c->loop);
    watch(c, &c->hup, on_hup, SIGHUP);
    watch(c, &c->term, on_term, SIGTERM);
    watch(c, &c->interrupt, on_interrupt, SIGINT);
    watch(c, &c->usr2, on_usr2, SIGUSR2);
    raise_descriptor_limit(c);
    control_warn_of_the_world(c);
    audit_open(c->shared->audit, &c->realm->config->audit);
    bool started = start_aws(c) && start_workers(c) && start_http(c);
    if (started) {
        sockets_close_rest(&c->sockets);
        log_listening(c);
        announce(c);
        control_schedule_refresh(c);
        control_schedule_poll(c);
        if (!c->start->is_saved) control_save_config(c);
    } else {
        stop_workers(c, true);
        uv_async_send(&c->all_gone);
    }
    uv_run(&c->loop, UV_RUN_DEFAULT);
    join_workers(c->shared);
    overview_free(&c->overview);
    aws_secrets_free(c->secrets);
    config_origin_free(c->source);
    route_keeper_free(c->keeper);
    fleet_free(c->shared->fleet);
    creds_free(c->shared->creds);
    iam_door_free(c->shared->iam_door);
    uv_loop_close(&c->loop);
    log_event(c->log, EVENT_stopped, LOG_END);
    return started ? 0 : 1;
}

static void widen_thread_pool(void)
{
    /* libuv lends half of it to DNS: two lookups that hang must not stall every other, nor PBKDF2.
     */
    setenv("UV_THREADPOOL_SIZE", "16", 0);
}

/* Keys, passwords and statements are for nobody who finds a core file. */
static void hide_memory(const struct config *config)
{
    enum { HEAP_BYTES = 4 << 20, SMALLEST_BYTES = 32 };
    if (!config->core_dumps) prctl(PR_SET_DUMPABLE, 0);
#ifndef __SANITIZE_ADDRESS__
    /* ASan does not look into that heap: what only it points to would count as leaked. */
    CRYPTO_secure_malloc_init(HEAP_BYTES, SMALLEST_BYTES);
#endif
}

int control_run(struct config *config, const struct control_start *start, struct log *log)
{
    struct control c = { .log = log, .start = start, .shared = shared_new() };
    c.succession.fd = -1;
    struct problems problems = { 0 };
    widen_thread_pool();
    if (c.shared) c.shared->audit = audit_new(log);
    hide_memory(config);
    bool settled = c.shared && sockets_settle(&c.sockets, config, worker_count(config), log);
    if (settled) env_file_export_from(config->env_file);
    if (c.shared) {
        c.shared->sockets = &c.sockets;
        c.shared->before = settled ? c.sockets.before : -1;
    }
    bool ready = settled && c.shared && c.shared->audit && aws_secrets_load(config, &problems);
    if (ready) c.realm = realm_new(config_ref(config), NULL, c.shared, &problems);
    struct route_force *routes = c.realm ? route_force_load(config, NULL, &problems) : NULL;
    struct route_force *shadow = routes ? route_force_load_shadow(config, &problems) : NULL;
    control_log_problems(&c, &problems, config->name);
    config_unref(config);
    problems_fini(&problems);
    int status = 1;
    if (c.shared && shadow) {
        route_stats_init(&c.shared->route_stats, c.shared->seed, worker_count(c.realm->config));
        traffic_init(&c.traffic, log);
        traffic_open(&c.traffic, &c.realm->config->routes);
        c.shared->traffic = &c.traffic;
        control_force_routes(&c, routes);
        control_force_shadow(&c, shadow);
        history_add(&c.overview.history, "start", c.realm->generation, NULL, c.realm->config, "");
        control_apply_log(&c);
        status = serve(&c);
        traffic_fini(&c.traffic);
    }
    if (!shadow) route_force_unref(routes);
    route_force_unref(c.routes);
    route_force_unref(c.shadow);
    realm_unref(c.realm);
    if (c.shared) audit_free(c.shared->audit);
    shared_free(c.shared);
    sockets_fini(&c.sockets);
    return status;
}
