#include "proxy/control.h"

#include "proxy/aws_client.h"
#include "proxy/aws_feed.h"
#include "proxy/aws_secrets.h"
#include "proxy/config_origin.h"
#include "proxy/control_order.h"
#include "proxy/creds.h"
#include "proxy/fleet.h"
#include "proxy/history.h"
#include "proxy/http_admin.h"
#include "proxy/iam_door.h"
#include "proxy/ops/audit.h"
#include "proxy/ops/config_settings.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/file.h"
#include "proxy/ops/notify.h"
#include "proxy/random.h"
#include "proxy/realm.h"
#include "proxy/route_explain.h"
#include "proxy/route_force.h"
#include "proxy/route_keeper.h"
#include "proxy/route_show.h"
#include "proxy/shared.h"
#include "proxy/sockets.h"
#include "proxy/traffic.h"
#include "proxy/worker.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REFUSED_EVERY_MS = 10 * 1000 }; /* a refused password makes us look so often at most */

/* A configuration on its way: read, its secrets fetched from AWS, put in force. */
struct reload {
    char who[72];
    struct config *config;
    struct problems problems;
    struct control_order *order; /* who hears of the end; NULL: nobody */
    bool secrets_only;           /* the same configuration, with the secrets of today */
    bool is_poll;                /* no news are nothing to speak of */
    char version[CONFIG_ORIGIN_VERSION_BYTES];
};

struct control {
    uv_loop_t loop;
    uv_signal_t hup, term, interrupt, usr2;
    uv_timer_t deadline;
    uv_timer_t refresh; /* the next look at the secrets */
    uv_timer_t poll;    /* and at the configuration */
    uv_timer_t watchdog;
    uv_process_t next; /* the binary that takes over */
    int64_t next_pid;  /* 0: there is none */
    struct sockets sockets;
    uv_async_t all_gone;
    uv_async_t secret_refused;
    struct mailbox mailbox; /* orders from the console; answers from workers */
    struct shared *shared;
    struct http *http;
    struct overview overview;
    struct http_admin admin; /* health, metrics, the dashboard */
    struct realm *realm;
    struct route_force *routes, *shadow;
    struct route_keeper *keeper;
    uint64_t route_serial; /* of the last table in force */
    struct route_shadow_counts shadow_began;
    struct traffic traffic;
    struct log *log;
    struct aws_secrets *secrets;
    struct config_origin *source; /* NULL: the configuration is a file */
    const struct control_start *start;
    uint64_t seen[2];         /* what was found there last, good or bad */
    struct reload *reload;    /* NULL: none under way */
    struct mail *orders;      /* reloads that wait for it to end */
    int64_t secrets_asked_ms; /* when they were looked at last */
    bool reload_again;        /* SIGHUP came meanwhile */
    bool draining;
};

/* ---- what a reload changes ------------------------------------------------------------------ */

static void log_problems(struct control *c, const struct problems *problems, const char *path)
{
    for (size_t i = 0; i < problems->count; i++)
        log_event(c->log, problems->items[i].is_error ? EVENT_config_problem : EVENT_config_warning,
                  LOG_TEXT("file", path), LOG_U64("line", problems->items[i].line),
                  LOG_TEXT("text", problems->items[i].text), LOG_END);
}

static void log_restarts_needed(struct control *c, const struct config *before,
                                const struct config *after)
{
    struct config_changes changes;
    config_changes_init(&changes, before, after);
    for (size_t i = 0; i < changes.count; i++) {
        const struct config_change *change = &changes.items[i];
        if (config_change_needs_restart(change))
            log_event(c->log, EVENT_config_needs_restart,
                      LOG_TEXT("directive", (change->after ? change->after : change->before)->path),
                      LOG_END);
    }
    config_changes_fini(&changes);
}

static void apply_log_settings(struct control *c)
{
    const struct config_log *log = &c->realm->config->log;
    log_set_level(c->log, (enum log_level)log->level);
    log_set_format(c->log, log->format == CONFIG_LOG_JSON ? LOG_AS_JSON : LOG_AS_TEXT);
    log_set_rate(c->log, log->per_second);
}

static void warn_of_the_world(struct control *c)
{
    const struct config *config = c->realm->config;
    for (size_t i = 0; i < config->n_access; i++)
        if (config->access[i].unsafe)
            log_event(c->log, EVENT_access_unsafe, LOG_U64("line", config->access[i].line),
                      LOG_TEXT("why", "this access rule lets the whole world knock"), LOG_END);
}

static void take_routes(struct control *c, struct route_force *routes)
{
    route_force_count(routes, &c->shared->route_stats, ++c->route_serial);
    struct route_force *before = c->routes;
    c->routes = c->overview.routes = routes;
    route_force_unref(before);
}

/* The candidate and what it was compared with belong together: both begin anew. */
static void take_shadow(struct control *c, struct route_force *shadow)
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
    take_shadow(c, f);
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
    take_routes(c, f);
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

static const char *first_error(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].is_error) return problems->items[i].text;
    return "no memory";
}

enum reload_kind { RELOAD_ALL, RELOAD_SECRETS, RELOAD_POLL };

static void start_reload(struct control *c, const char *who, struct control_order *order,
                         enum reload_kind kind);

static void on_refresh(uv_timer_t *timer)
{
    start_reload(timer->data, "secret_refresh", NULL, RELOAD_SECRETS);
}

/* A tenth either way, so that many proxies do not ask at once. */
static uint64_t about(uint64_t ms) { return ms - ms / 10 + random_u32() % (ms / 5 + 1); }

static void schedule_refresh(struct control *c)
{
    uv_timer_stop(&c->refresh);
    c->secrets_asked_ms = aws_feed_now_ms();
    if (aws_secrets_needed(c->realm->config))
        uv_timer_start(&c->refresh, on_refresh, about(c->realm->config->secret_refresh_ms), 0);
}

static void on_poll(uv_timer_t *timer) { start_reload(timer->data, "poll", NULL, RELOAD_POLL); }

static void schedule_poll(struct control *c)
{
    uint64_t ms = about(c->realm->config->config_refresh_ms);
    uv_timer_stop(&c->poll);
    if (c->source && !c->draining) uv_timer_start(&c->poll, on_poll, ms, 0);
}

/* For a start while AWS cannot be reached. It holds references, no secrets. */
static void save_config(struct control *c)
{
    const char *path = c->start->saved;
    struct err err;
    if (!c->source || !path) return;
    if (!file_replace(path, config_text(c->realm->config), 0600, &err))
        log_event(c->log, EVENT_config_not_saved, LOG_TEXT("file", path),
                  LOG_TEXT("why", err.message), LOG_END);
}

/* A cluster refused a password that was given to us: AWS may have a newer one. */
static void on_secret_refused(uv_async_t *async)
{
    struct control *c = async->data;
    if (aws_feed_now_ms() - c->secrets_asked_ms < REFUSED_EVERY_MS) return;
    if (aws_secrets_needed(c->realm->config))
        start_reload(c, "a refused password", NULL, RELOAD_SECRETS);
}

static void put_in_force(struct control *c, struct realm *realm, struct route_force *routes,
                         struct route_force *shadow)
{
    struct realm *before = c->realm;
    log_restarts_needed(c, before->config, realm->config);
    c->realm = c->overview.realm = realm;
    take_routes(c, routes);
    take_shadow(c, shadow);
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        worker_reload(c->shared->workers[i], realm, routes, shadow);
    realm_unref(before);
    apply_log_settings(c);
    audit_open(c->shared->audit, &realm->config->audit);
    traffic_open(&c->traffic, &realm->config->routes);
    iam_door_prepare(c->shared->iam_door, realm);
    route_keeper_reload(c->keeper);
    fleet_reload(c->shared->fleet);
    warn_of_the_world(c);
    log_event(c->log, EVENT_config_reloaded, LOG_TEXT("file", realm->config->name),
              LOG_U64("generation", realm->generation), LOG_TEXT("version", c->reload->version),
              LOG_END);
    save_config(c);
}

static void not_reloaded(struct control *c, const struct reload *r)
{
    if (r->secrets_only) {
        log_event(c->log, EVENT_secrets_not_refreshed, LOG_TEXT("why", first_error(&r->problems)),
                  LOG_TEXT("hint", "the ones before stay in use"), LOG_END);
        return;
    }
    log_event(c->log, EVENT_config_not_reloaded,
              LOG_TEXT("why", "see the problems above; the old configuration stays"), LOG_END);
    /* The audit file may have been moved away, whatever is wrong with the configuration. */
    audit_open(c->shared->audit, &c->realm->config->audit);
}

/* All or nothing: a configuration with an error changes nothing. Listeners stay as they are. */
static bool enforce(struct control *c, struct reload *r)
{
    struct realm *realm = realm_new(config_ref(r->config), c->realm, c->shared, &r->problems);
    struct route_force *routes =
        realm ? route_force_load(realm->config, c->routes, &r->problems) : NULL;
    struct route_force *shadow =
        routes ? route_force_load_shadow(realm->config, &r->problems) : NULL;
    bool ok = shadow != NULL;
    history_add(&c->overview.history, r->who, (ok ? realm : c->realm)->generation, c->realm->config,
                ok ? realm->config : NULL, first_error(&r->problems));
    if (ok) {
        put_in_force(c, realm, routes, shadow);
    } else {
        route_force_unref(routes);
        realm_unref(realm);
    }
    return ok;
}

static void end_reload(struct control *c, bool ok)
{
    struct reload *r = c->reload;
    const char *path = c->realm->config->name;
    c->reload = NULL;
    if (!r->secrets_only && !r->is_poll && !c->draining) notify_send("READY=1");
    if (r->order) {
        problems_print(&r->problems, path, &r->order->problems);
        r->order->ok = ok;
        control_order_answer(r->order);
    }
    config_unref(r->config);
    problems_fini(&r->problems);
    free(r);
}

static void start_next_reload(struct control *c)
{
    struct mail *mail = c->orders;
    if (mail) {
        c->orders = mail->next;
        control_take_order(c, list_item(mail, struct control_order, mail));
    } else if (c->reload_again) {
        c->reload_again = false;
        start_reload(c, "SIGHUP", NULL, RELOAD_ALL);
    }
}

static void on_secrets(void *owner, bool ok)
{
    struct control *c = owner;
    struct reload *r = c->reload;
    bool is_same = ok && r->secrets_only && aws_secrets_equal(r->config, c->realm->config);
    if (ok && !is_same) ok = enforce(c, r);
    if (!r->secrets_only) log_problems(c, &r->problems, c->realm->config->name);
    if (!ok) not_reloaded(c, r);
    end_reload(c, ok);
    schedule_refresh(c);
    schedule_poll(c);
    start_next_reload(c);
}

/* Reads the secrets next, and then takes it. NULL: the problems say why not. */
static void take_config(struct control *c, struct config *config)
{
    struct reload *r = c->reload;
    r->config = config;
    if (config) {
        aws_secrets_fetch(c->secrets, config, &r->problems, on_secrets, c);
        return;
    }
    if (!r->secrets_only)
        history_add(&c->overview.history, r->who, c->realm->generation, c->realm->config, NULL,
                    first_error(&r->problems));
    on_secrets(c, false);
}

/* True: it is what it was when we looked last. */
static bool is_seen(struct control *c, struct slice text)
{
    uint64_t now[2] = { map_hash(c->shared->seed, text), text.len };
    bool same = memcmp(now, c->seen, sizeof now) == 0;
    memcpy(c->seen, now, sizeof now);
    return same;
}

static void drop_poll(struct control *c)
{
    end_reload(c, true);
    schedule_poll(c);
    start_next_reload(c);
}

static void on_config_text(void *owner, struct slice text, const char *version,
                           const struct err *err)
{
    struct control *c = owner;
    struct reload *r = c->reload;
    if (err) {
        metrics_add(&c->shared->metrics, METRIC_config_fetch_failures, 1);
        log_event(c->log, EVENT_config_not_fetched, LOG_TEXT("from", c->realm->config->name),
                  LOG_TEXT("why", err->message), LOG_TEXT("hint", err->hint), LOG_END);
        problem_error(&r->problems, 0, "cannot fetch: %s", err->message);
    } else if (is_seen(c, text) && r->is_poll) {
        drop_poll(c);
        return;
    }
    if (err && r->is_poll) {
        drop_poll(c);
        return;
    }
    snprintf(r->version, sizeof r->version, "%s", version);
    if (*version && r->is_poll) snprintf(r->who, sizeof r->who, "poll: version %.50s", version);
    take_config(c, err ? NULL : config_origin_parse(c->realm->config->name, text, &r->problems));
}

static void start_reload(struct control *c, const char *who, struct control_order *order,
                         enum reload_kind kind)
{
    if (c->reload && order) {
        struct mail **last = &c->orders;
        while (*last) last = &(*last)->next;
        order->mail.next = NULL;
        *last = &order->mail;
        return;
    }
    struct reload *r = c->reload ? NULL : calloc(1, sizeof *r);
    if (!r) {
        c->reload_again |= kind == RELOAD_ALL;
        if (kind == RELOAD_POLL) schedule_poll(c);
        if (order) control_order_answer(order);
        return;
    }
    c->reload = r;
    r->order = order;
    r->secrets_only = kind == RELOAD_SECRETS;
    r->is_poll = kind == RELOAD_POLL;
    snprintf(r->who, sizeof r->who, "%s", who);
    if (kind == RELOAD_ALL) notify_reloading();
    if (r->secrets_only)
        take_config(c, config_again(c->realm->config, &r->problems));
    else if (!c->source)
        take_config(c, config_load(c->realm->config->name, &r->problems));
    else if (!config_origin_fetch(c->source, on_config_text, c))
        on_secrets(c, false);
}

/* What is under way at the end comes to nothing. */
static void drop_reloads(struct control *c)
{
    struct mail *mail;
    aws_secrets_close(c->secrets);
    config_origin_close(c->source);
    if (c->reload) end_reload(c, false);
    while ((mail = c->orders)) {
        c->orders = mail->next;
        control_order_answer(list_item(mail, struct control_order, mail));
    }
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
    start_reload(signal->data, "SIGHUP", NULL, RELOAD_ALL);
}

/* ---- into a new binary ----------------------------------------------------------------------- */

static void on_next_gone(uv_process_t *process, int64_t status, int signal)
{
    struct control *c = process->data;
    if (!c->draining)
        log_event(c->log, EVENT_takeover_failed, LOG_I64("pid", c->next_pid),
                  LOG_I64("status", status), LOG_I64("signal", signal),
                  LOG_TEXT("hint", "this process goes on"), LOG_END);
    c->next_pid = 0;
    uv_close((uv_handle_t *)process, NULL);
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
    if (c->draining || c->next_pid) return;
    size_t n = all_sockets(c, fds);
    c->next.data = c;
    if (!sockets_hand_over(&c->loop, &c->next, fds, n, on_next_gone, &err)) {
        log_event(c->log, EVENT_takeover_failed, LOG_TEXT("why", err.message), LOG_END);
        if (c->next.loop) uv_close((uv_handle_t *)&c->next, NULL);
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
    if (kind == CONTROL_RELOAD) {
        char who[72];
        snprintf(who, sizeof who, "RELOAD: %s", o->who);
        start_reload(c, who, o, RELOAD_ALL);
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
    if (c->next_pid) uv_close((uv_handle_t *)&c->next, NULL);
    uv_close((uv_handle_t *)&c->deadline, NULL);
    uv_close((uv_handle_t *)&c->refresh, NULL);
    uv_close((uv_handle_t *)&c->poll, NULL);
    uv_close((uv_handle_t *)&c->all_gone, NULL);
    uv_close((uv_handle_t *)&c->secret_refused, NULL);
    http_admin_close(&c->admin);
    mailbox_close(&c->mailbox, on_mailbox_closed);
    drop_reloads(c);
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
    is_seen(c, config_text(config));
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
    c->shared->iam_door =
        iam_door_open(&c->loop, c->http, c->log, c->shared->seed, &c->shared->fleet);
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
    uv_async_init(&c->loop, &c->secret_refused, on_secret_refused);
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
    warn_of_the_world(c);
    audit_open(c->shared->audit, &c->realm->config->audit);
    bool started = start_aws(c) && start_workers(c) && start_http(c);
    if (started) {
        sockets_close_rest(&c->sockets);
        log_listening(c);
        announce(c);
        schedule_refresh(c);
        schedule_poll(c);
        if (!c->start->is_saved) save_config(c);
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
    struct problems problems = { 0 };
    widen_thread_pool();
    if (c.shared) c.shared->audit = audit_new(log);
    hide_memory(config);
    bool settled = c.shared && sockets_settle(&c.sockets, config, worker_count(config), log);
    if (settled) env_file_export_from(config->env_file);
    if (c.shared) c.shared->sockets = &c.sockets;
    bool ready = settled && c.shared && c.shared->audit && aws_secrets_load(config, &problems);
    if (ready) c.realm = realm_new(config_ref(config), NULL, c.shared, &problems);
    struct route_force *routes = c.realm ? route_force_load(config, NULL, &problems) : NULL;
    struct route_force *shadow = routes ? route_force_load_shadow(config, &problems) : NULL;
    log_problems(&c, &problems, config->name);
    config_unref(config);
    problems_fini(&problems);
    int status = 1;
    if (c.shared && shadow) {
        route_stats_init(&c.shared->route_stats, c.shared->seed, worker_count(c.realm->config));
        traffic_init(&c.traffic, log);
        traffic_open(&c.traffic, &c.realm->config->routes);
        c.shared->traffic = &c.traffic;
        take_routes(&c, routes);
        take_shadow(&c, shadow);
        history_add(&c.overview.history, "start", c.realm->generation, NULL, c.realm->config, "");
        apply_log_settings(&c);
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
