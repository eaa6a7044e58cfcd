#include "proxy/control_parts.h"

#include "proxy/aws_feed.h"
#include "proxy/fleet.h"
#include "proxy/iam_door.h"
#include "proxy/ops/audit.h"
#include "proxy/ops/config_settings.h"
#include "proxy/ops/file.h"
#include "proxy/ops/notify.h"
#include "proxy/random.h"
#include "proxy/realm.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>

enum { REFUSED_EVERY_MS = 10 * 1000 }; /* a refused password makes us look so often at most */

void control_log_problems(struct control *c, const struct problems *problems, const char *path)
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

void control_apply_log(struct control *c)
{
    const struct config_log *log = &c->realm->config->log;
    log_set_level(c->log, (enum log_level)log->level);
    log_set_format(c->log, log->format == CONFIG_LOG_JSON ? LOG_AS_JSON : LOG_AS_TEXT);
    log_set_rate(c->log, log->per_second);
}

void control_warn_of_the_world(struct control *c)
{
    const struct config *config = c->realm->config;
    for (size_t i = 0; i < config->n_access; i++)
        if (config->access[i].unsafe)
            log_event(c->log, EVENT_access_unsafe, LOG_U64("line", config->access[i].line),
                      LOG_TEXT("why", "this access rule lets the whole world knock"), LOG_END);
}

static const char *first_error(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].is_error) return problems->items[i].text;
    return "no memory";
}

static void on_refresh(uv_timer_t *timer)
{
    control_reload(timer->data, "secret_refresh", NULL, RELOAD_SECRETS);
}

/* A tenth either way, so that many proxies do not ask at once. */
static uint64_t about(uint64_t ms) { return ms - ms / 10 + random_u32() % (ms / 5 + 1); }

void control_schedule_refresh(struct control *c)
{
    uv_timer_stop(&c->refresh);
    c->secrets_asked_ms = aws_feed_now_ms();
    if (aws_secrets_needed(c->realm->config))
        uv_timer_start(&c->refresh, on_refresh, about(c->realm->config->secret_refresh_ms), 0);
}

static void on_poll(uv_timer_t *timer) { control_reload(timer->data, "poll", NULL, RELOAD_POLL); }

void control_schedule_poll(struct control *c)
{
    uint64_t ms = about(c->realm->config->config_refresh_ms);
    uv_timer_stop(&c->poll);
    if (c->source && !c->draining) uv_timer_start(&c->poll, on_poll, ms, 0);
}

void control_save_config(struct control *c)
{
    const char *path = c->start->saved;
    struct err err;
    if (!c->source || !path) return;
    if (!file_replace(path, config_text(c->realm->config), 0600, &err))
        log_event(c->log, EVENT_config_not_saved, LOG_TEXT("file", path),
                  LOG_TEXT("why", err.message), LOG_END);
}

/* A cluster refused a password that was given to us: AWS may have a newer one. */
void control_on_secret_refused(uv_async_t *async)
{
    struct control *c = async->data;
    if (aws_feed_now_ms() - c->secrets_asked_ms < REFUSED_EVERY_MS) return;
    if (aws_secrets_needed(c->realm->config))
        control_reload(c, "a refused password", NULL, RELOAD_SECRETS);
}

static void put_in_force(struct control *c, struct realm *realm, struct route_force *routes,
                         struct route_force *shadow)
{
    struct realm *before = c->realm;
    log_restarts_needed(c, before->config, realm->config);
    c->realm = c->overview.realm = realm;
    control_force_routes(c, routes);
    control_force_shadow(c, shadow);
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        worker_reload(c->shared->workers[i], realm, routes, shadow);
    realm_unref(before);
    control_apply_log(c);
    audit_open(c->shared->audit, &realm->config->audit);
    traffic_open(&c->traffic, &realm->config->routes);
    iam_door_prepare(c->shared->iam_door, realm);
    route_keeper_reload(c->keeper);
    fleet_reload(c->shared->fleet);
    control_warn_of_the_world(c);
    log_event(c->log, EVENT_config_reloaded, LOG_TEXT("file", realm->config->name),
              LOG_U64("generation", realm->generation), LOG_TEXT("version", c->reload->version),
              LOG_END);
    control_save_config(c);
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
        control_reload(c, "SIGHUP", NULL, RELOAD_ALL);
    }
}

static void on_secrets(void *owner, bool ok)
{
    struct control *c = owner;
    struct reload *r = c->reload;
    bool is_same = ok && r->secrets_only && aws_secrets_equal(r->config, c->realm->config);
    if (ok && !is_same) ok = enforce(c, r);
    if (!r->secrets_only) control_log_problems(c, &r->problems, c->realm->config->name);
    if (!ok) not_reloaded(c, r);
    end_reload(c, ok);
    control_schedule_refresh(c);
    control_schedule_poll(c);
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

bool control_is_seen(struct control *c, struct slice text)
{
    uint64_t now[2] = { map_hash(c->shared->seed, text), text.len };
    bool same = memcmp(now, c->seen, sizeof now) == 0;
    memcpy(c->seen, now, sizeof now);
    return same;
}

static void drop_poll(struct control *c)
{
    end_reload(c, true);
    control_schedule_poll(c);
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
    } else if (control_is_seen(c, text) && r->is_poll) {
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

void control_reload(struct control *c, const char *who, struct control_order *order,
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
        if (kind == RELOAD_POLL) control_schedule_poll(c);
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

void control_drop_reloads(struct control *c)
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
