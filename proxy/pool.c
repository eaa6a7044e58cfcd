#include "proxy/pool.h"

#include "auth/secret.h"
#include "proxy/excess.h"
#include "proxy/random.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 700, /* a cluster that is back is found within it, by one dial at a time */
    PROBE_MS = 1000,      /* so long that dial is waited for, before there is another */
    HUNGRY_RETRY_MS = 50, /* while the cluster's budget is spent */
    SWEEP_MS = 1000,
    WELCOMES_MAX = 64,
};

static void dial_as_needed(struct pool *p);
static void settle_line(struct pool *p);

/* ---- places --------------------------------------------------------------------------------- */

static void place(struct pool *p, struct server *s, enum pool_place where)
{
    list_remove(&s->node);
    p->count[s->place]--;
    if (s->place == POOL_IDLE) metrics_sub(&p->env->metrics, METRIC_servers_idle, 1);
    if (where == POOL_IDLE) metrics_add(&p->env->metrics, METRIC_servers_idle, 1);
    s->place = (uint8_t)where;
    p->count[where]++;
    list_push_front(&p->servers[where], &s->node);
}

static bool fits(const struct server *s, const struct pool_ticket *t)
{
    return slice_eq(buf_slice(&s->pairs), t->pairs);
}

/* ---- the line ------------------------------------------------------------------------------- */

static struct pool_ticket *first_in_line(const struct pool *p)
{
    return list_is_empty(&p->line) ? NULL : list_item(p->line.next, struct pool_ticket, node);
}

/* With wait_timeout 0 nobody waits for others, but for a server that is being dialled one does. */
static uint64_t patience_ms(const struct pool *p)
{
    if (p->settings.wait_timeout_ms) return p->settings.wait_timeout_ms;
    return p->count[POOL_OPENING] ? p->settings.server_connect_timeout_ms : 0;
}

/* Nobody's time runs out during a PAUSE, and after it everybody's begins anew. */
static uint64_t due_ms(const struct pool *p, const struct pool_ticket *t)
{
    return (t->since_ms > p->resumed_ms ? t->since_ms : p->resumed_ms) + patience_ms(p);
}

/* All wait equally long, so the first in line is the first whose time is up: one timer does. */
static void watch_line(struct pool *p)
{
    struct pool_ticket *t = first_in_line(p);
    if (!t || p->paused) {
        wheel_cancel(&p->line_timer);
        return;
    }
    if (wheel_is_set(&p->line_timer)) return;
    uint64_t due = due_ms(p, t), now = env_now_ms(p->env);
    wheel_set(&p->env->streams.wheel, &p->line_timer, due > now ? due - now : 0);
}

static void take_out_of_line(struct pool *p, struct pool_ticket *t)
{
    list_remove(&t->node);
    p->n_line--;
    metrics_sub(&p->env->metrics, METRIC_clients_waiting, 1);
    uint64_t waited_ms = env_now_ms(p->env) - t->since_ms;
    p->stats.wait_ms += waited_ms;
    metrics_observe(&p->env->metrics, HISTOGRAM_wait_seconds, waited_ms);
}

void pool_leave(struct pool *p, struct pool_ticket *t)
{
    if (!pool_ticket_waits(t)) return;
    take_out_of_line(p, t);
    watch_line(p);
}

static void refuse_line(struct pool *p, const struct err *err)
{
    struct pool_ticket *t;
    struct err why = *err; /* a refusal may lead to the pool's own last_failure being rewritten */
    while ((t = first_in_line(p))) {
        take_out_of_line(p, t);
        t->events->refused(t, &why);
    }
    watch_line(p);
}

static void explain_wait(const struct pool *p, struct err *err)
{
    if (p->failures && p->count[POOL_BUSY] == 0) {
        *err = p->last_failure;
        if (!err->hint[0])
            err_hint(err, "the proxy tried %u times and goes on while somebody waits", p->failures);
        return;
    }
    err_set(err, ERR_POOL_FULL,
            "no server connection became free within %llu ms (%u busy, size %u, %u waiting)",
            (unsigned long long)p->settings.wait_timeout_ms, p->count[POOL_BUSY], p->settings.size,
            p->n_line);
    err_hint(err, "try again, or raise pool.size, clusters.%s.max_connections or pool.wait_timeout",
             p->target.cluster->config->name);
}

static void on_line_due(struct wheel_node *node)
{
    struct pool *p = list_item(node, struct pool, line_timer);
    uint64_t now = env_now_ms(p->env);
    struct pool_ticket *t;
    while ((t = first_in_line(p)) && due_ms(p, t) <= now) {
        struct err err;
        metrics_add(&p->env->metrics, METRIC_wait_timeouts, 1);
        explain_wait(p, &err);
        take_out_of_line(p, t);
        t->events->refused(t, &err);
    }
    watch_line(p);
}

/* ---- opening -------------------------------------------------------------------------------- */

static void on_ready(struct server *s);
static void on_failed(struct server *s, const struct err *err);
static void on_closed(struct server *s);
static void on_checked(struct pool *p, struct server *s, enum excess_answer answer);
static void on_bytes(struct server *s, const char *at, size_t len)
{
    if (!s->excess) {
        pool_of(s)->events->on_bytes(s, at, len);
        return;
    }
    enum excess_answer answer = excess_take(s, at, len);
    if (answer != EXCESS_MORE) on_checked(pool_of(s), s, answer);
}
static void on_dropped(struct server *s, void *local) { pool_of(s)->events->on_dropped(local); }
static void on_drained(struct server *s) { pool_of(s)->events->on_drained(s); }

static const struct server_events server_events = {
    .on_dropped = on_dropped,
    .on_ready = on_ready,
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

static uint64_t backoff_ms(uint32_t failures)
{
    uint64_t ms = BACKOFF_FIRST_MS;
    for (uint32_t i = 1; i < failures && ms < BACKOFF_MAX_MS; i++) ms *= 2;
    if (ms > BACKOFF_MAX_MS) ms = BACKOFF_MAX_MS;
    return ms / 2 + random_u32() % (ms / 2 + 1);
}

/* `attempt`: how many failures there were when it was dialled. Those that were under way together
 * count once. */
static void note_failure(struct pool *p, uint32_t attempt, const struct err *err)
{
    const bool counts = attempt == p->failures;
    p->failures += counts;
    p->last_failure = *err;
    p->failed_ms = env_now_ms(p->env);
    metrics_add(&p->env->metrics, METRIC_servers_failed, 1);
    log_event(p->env->log, EVENT_server_failed, LOG_TEXT("pool", p->key),
              LOG_U64("failures", p->failures), LOG_TEXT("sqlstate", err_sqlstate(err->code)),
              LOG_TEXT("why", err->message), err->hint[0] ? LOG_TEXT("hint", err->hint) : LOG_END,
              err->detail[0] ? LOG_TEXT("detail", err->detail) : LOG_END, LOG_END);
    if (counts) wheel_set(&p->env->streams.wheel, &p->dial_timer, backoff_ms(p->failures));
}

static bool take_budgets(struct pool *p)
{
    struct budget *cluster = p->target.cluster->budget;
    if (!budget_take(cluster, p->target.cluster->config->max_connections)) {
        budget_lack(cluster, p->n_line);
        return false;
    }
    if (budget_take(p->of_database, p->settings.per_database)) {
        if (budget_take(p->of_user, p->settings.per_user)) return true;
        budget_put(p->of_database);
    }
    budget_put(cluster);
    return false;
}

static void put_budgets(struct pool *p)
{
    budget_put(p->target.cluster->budget);
    budget_put(p->of_database);
    budget_put(p->of_user);
}

static bool dial(struct pool *p, struct slice pairs)
{
    struct err err;
    if (!take_budgets(p)) {
        worker_ask_way(p->env->worker, p->target.cluster->budget);
        wheel_set(&p->env->streams.wheel, &p->dial_timer, HUNGRY_RETRY_MS);
        return false;
    }
    struct server *s = malloc(sizeof *s);
    if (!s || !server_open(s, p->env, &p->target, &server_events, pairs, p->failures, &err)) {
        if (!s) err_set(&err, ERR_OUT_OF_MEMORY, "");
        free(s);
        put_budgets(p);
        note_failure(p, p->failures, &err);
        return false;
    }
    /* While they fail it is one at a time: all of a line at once would be a storm. */
    if (p->failures) wheel_set(&p->env->streams.wheel, &p->dial_timer, PROBE_MS);
    s->place = POOL_OPENING;
    p->count[POOL_OPENING]++;
    list_push_front(&p->servers[POOL_OPENING], &s->node);
    return true;
}

/* How many servers under way would fit a ticket; those count as already dialled for it. */
static bool is_being_dialled(const struct pool *p, const struct pool_ticket *t, uint32_t rank)
{
    uint32_t fitting = 0;
    if (rank >= p->count[POOL_OPENING]) return false;
    list_each(node, &p->servers[POOL_OPENING])
    {
        fitting += fits(list_item(node, struct server, node), t);
        if (fitting > rank) return true;
    }
    return false;
}

/* An idle server whose startup parameters nobody in the line wants makes room for one they do. */
static bool make_room(struct pool *p)
{
    if (pool_total(p) < p->settings.size) return true;
    if (p->count[POOL_IDLE] == 0) return false;
    pool_discard(p, list_item(p->servers[POOL_IDLE].prev, struct server, node), "makes room");
    return true;
}

static void dial_for_line(struct pool *p)
{
    uint32_t rank = 0;
    list_each(node, &p->line)
    {
        struct pool_ticket *t = list_item(node, struct pool_ticket, node);
        if (is_being_dialled(p, t, rank++)) continue;
        if (wheel_is_set(&p->dial_timer) || !make_room(p) || !dial(p, t->pairs)) return;
    }
}

static void dial_to_keep_warm(struct pool *p)
{
    if (!p->welcomed) return;
    while (p->count[POOL_IDLE] + p->count[POOL_OPENING] < p->settings.min_size &&
           pool_total(p) < p->settings.size)
        if (!dial(p, buf_slice(&p->recent_pairs)) || wheel_is_set(&p->dial_timer)) return;
}

static void dial_as_needed(struct pool *p)
{
    if (p->paused || p->closing || wheel_is_set(&p->dial_timer)) return;
    dial_for_line(p);
    if (!wheel_is_set(&p->dial_timer)) dial_to_keep_warm(p);
}

static void on_dial_due(struct wheel_node *node)
{
    dial_as_needed(list_item(node, struct pool, dial_timer));
}

/* ---- servers come and go -------------------------------------------------------------------- */

static void on_sweep(struct wheel_node *node)
{
    struct pool *p = list_item(node, struct pool, sweep_timer);
    uint64_t now = env_now_ms(p->env);
    list_each(at, &p->servers[POOL_IDLE])
    {
        struct server *s = list_item(at, struct server, node);
        bool unused = now - s->idle_since_ms >= p->settings.server_idle_timeout_ms &&
                      p->settings.server_idle_timeout_ms &&
                      p->count[POOL_IDLE] > p->settings.min_size;
        if (s->retiring || now >= s->expires_ms)
            pool_discard(p, s, "lifetime");
        else if (unused)
            pool_discard(p, s, "idle");
    }
    if (p->count[POOL_IDLE]) wheel_set(&p->env->streams.wheel, &p->sweep_timer, SWEEP_MS);
}

/* The server is free and clean: to the first in line, or to rest. */
static void pass_on(struct pool *p, struct server *s)
{
    struct pool_ticket *t = p->paused ? NULL : first_in_line(p);
    if (t && fits(s, t)) {
        take_out_of_line(p, t);
        watch_line(p);
        if (s->place != POOL_BUSY) place(p, s, POOL_BUSY);
        t->events->served(t, s);
        return;
    }
    s->idle_since_ms = env_now_ms(p->env);
    place(p, s, POOL_IDLE);
    if (!wheel_is_set(&p->sweep_timer))
        wheel_set(&p->env->streams.wheel, &p->sweep_timer, SWEEP_MS);
    if (t) dial_as_needed(p);
}

void pool_is_alive(struct pool *p)
{
    if (!health_succeeded(p->target.cluster->health)) return;
    log_event(p->env->log, EVENT_cluster_up, LOG_TEXT("cluster", p->target.cluster->config->name),
              LOG_END);
}

/* The server is fit for clients. */
static void admit(struct pool *p, struct server *s)
{
    if (p->failures) wheel_cancel(&p->dial_timer);
    p->failures = 0;
    p->proven_ms = env_now_ms(p->env);
    pool_is_alive(p);
    p->welcomed = params_copy(&p->welcome, &s->params) || p->welcomed;
    p->kind = params_kind(&p->welcome);
    /* A tenth either way, so that servers dialled together do not all end together. */
    uint64_t life = p->settings.server_lifetime_ms;
    s->expires_ms =
        life ? env_now_ms(p->env) + life - life / 10 + random_u64() % (life / 5 + 1) : UINT64_MAX;
    if (p->closing) {
        pool_discard(p, s, "pool closed");
        return;
    }
    pass_on(p, s);
    dial_as_needed(p); /* now it is known what a welcome looks like: the warm ones */
}

static void on_check_due(struct wheel_node *node)
{
    struct server *s = list_item(node, struct server, timer);
    server_fail(s, ERR_SERVER_UNREACHABLE,
                "the question for the user's privileges was not answered in time");
}

/* Its database user may have to prove that it is no stronger than the role. */
static bool must_check(const struct pool *p, const struct realm_role **role)
{
    if (p->checked == p->target.realm->generation) return false;
    *role = realm_role(p->target.realm, p->role);
    return *role && !grants_is_unrestricted((*role)->grants);
}

static void on_checked(struct pool *p, struct server *s, enum excess_answer answer)
{
    const struct realm_role *role = realm_role(p->target.realm, p->role);
    bool refuse = !role || role->config->excess_privilege == CONFIG_EXCESS_REFUSE;
    uint64_t generation = excess_end(s);
    wheel_cancel(&s->timer);
    if (answer == EXCESS_GARBLED) {
        server_fail(s, ERR_SERVER_CONFUSED, "no answer to the question for the user's privileges");
        return;
    }
    if (answer == EXCESS_NONE || !refuse) {
        p->checked = generation;
        admit(p, s);
        return;
    }
    /* Servers that were let in by an earlier configuration go as well. */
    pool_reconnect(p);
    server_fail(s, ERR_ACCESS_DENIED, "%s \"%s\" may do more than the role \"%s\", see the log",
                answer == EXCESS_FOUND ? "database user" : "for all that can be told database user",
                p->target.db_user, p->role);
}

static void on_ready(struct server *s)
{
    struct pool *p = pool_of(s);
    const struct realm_role *role;
    char where[160];
    server_name(s, where, sizeof where);
    log_event(p->env->log, EVENT_server_opened, LOG_U64("server", s->id), LOG_TEXT("pool", p->key),
              LOG_TEXT("at", where), LOG_U64("pid", s->pid), LOG_END);
    if (p->closing || !must_check(p, &role)) {
        admit(p, s);
        return;
    }
    wheel_node_init(&s->timer, on_check_due);
    wheel_set(&p->env->streams.wheel, &s->timer, p->settings.server_connect_timeout_ms);
    if (!excess_ask(s, role)) server_fail(s, ERR_OUT_OF_MEMORY, "");
}

/* A startup parameter that the cluster does not know must not keep anybody out. */
static void drop_parameter(struct pool *p, const struct server *s)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(s->rejected));
    log_event(p->env->log, EVENT_server_parameter_rejected, LOG_TEXT("pool", p->key),
              LOG_TEXT("parameter", name), LOG_END);
    list_each(node, &p->line)
    {
        struct pool_ticket *t = list_item(node, struct pool_ticket, node);
        if (fits(s, t)) t->events->drop_parameter(t, slice_str(name));
    }
}

/* Who waits for a cluster that cannot be reached may go elsewhere, if his route has an elsewhere.
 */
static void show_detours(struct pool *p)
{
    uint64_t now = env_now_ms(p->env);
    if (health_failed(p->target.cluster->health, now)) {
        metrics_add(&p->env->metrics, METRIC_clusters_lost, 1);
        log_event(p->env->log, EVENT_cluster_down,
                  LOG_TEXT("cluster", p->target.cluster->config->name), LOG_END);
    }
    list_each(node, &p->line)
    {
        struct pool_ticket *t = list_item(node, struct pool_ticket, node);
        t->events->detour(t);
    }
}

/* Of a server that says no: it starts or stops (57P0x), or has too many connections (53xxx). Its
 * SQLSTATE stands in front of its text. */
static bool will_pass(const struct err *err)
{
    return strncmp(err->message, "57P0", 4) == 0 || strncmp(err->message, "53", 2) == 0;
}

static void note_loss(const struct pool *p, const struct server *s, enum pool_place was,
                      const struct err *err)
{
    log_event(p->env->log, EVENT_server_lost, LOG_U64("server", s->id), LOG_TEXT("pool", p->key),
              LOG_TEXT("state", was == POOL_IDLE ? "idle" : "busy"), LOG_TEXT("why", err->message),
              LOG_END);
}

static void on_failed(struct server *s, const struct err *err)
{
    struct pool *p = pool_of(s);
    enum pool_place was = (enum pool_place)s->place;
    place(p, s, POOL_LEAVING);
    if (was != POOL_OPENING) note_loss(p, s, was, err);
    if (was == POOL_BUSY && s->session) {
        p->events->on_lost(s, err);
        s->session = NULL;
    } else if (was == POOL_OPENING && s->rejected.at) {
        drop_parameter(p, s);
    } else if (was == POOL_OPENING) {
        note_failure(p, s->attempt, err);
        if (health_is_touched(err)) show_detours(p);
        /* Wrong credentials do not become right by waiting. */
        if ((err->code == ERR_SERVER_REJECTED && !will_pass(err)) ||
            err->code == ERR_ACCESS_DENIED || err->code == ERR_CREDENTIALS_DENIED ||
            err->code == ERR_WAREHOUSE_PAUSED || err->code == ERR_LOGIN_FAILED)
            refuse_line(p, err);
    }
}

/* ---- welcomes ------------------------------------------------------------------------------- */

const struct params *pool_recall(const struct pool *p, const struct settings *settings)
{
    if (p->welcomed && settings == settings_none(p->env->worker->settings)) return &p->welcome;
    for (uint32_t i = 0; i < p->n_welcomes; i++)
        if (p->welcomes[i].settings == settings) return &p->welcomes[i].params;
    return NULL;
}

static void forget_welcomes(struct pool *p)
{
    for (uint32_t i = 0; i < p->n_welcomes; i++) {
        settings_unref(p->welcomes[i].settings);
        params_fini(&p->welcomes[i].params);
    }
    free(p->welcomes);
    p->welcomes = NULL;
    p->n_welcomes = 0;
}

void pool_remember(struct pool *p, struct settings *settings, const struct params *params)
{
    if (pool_recall(p, settings)) return;
    /* Drivers have a handful of startup settings; who has thousands is not helped by a list. */
    if (p->n_welcomes == WELCOMES_MAX) forget_welcomes(p);
    if (!p->welcomes) p->welcomes = calloc(WELCOMES_MAX, sizeof *p->welcomes);
    if (!p->welcomes) return;
    struct pool_welcome *w = &p->welcomes[p->n_welcomes];
    if (!params_copy(&w->params, params)) return;
    w->settings = settings_ref(settings);
    p->n_welcomes++;
}

static void free_if_over(struct pool *p)
{
    if (!p->closing || pool_total(p) || p->count[POOL_LEAVING]) return;
    wheel_cancel(&p->line_timer);
    wheel_cancel(&p->dial_timer);
    wheel_cancel(&p->sweep_timer);
    realm_unref(p->target.realm);
    free(p->target.database);
    free(p->target.db_user);
    secret_free(p->target.given);
    buf_wipe(&p->target.context);
    free(p->role);
    buf_fini(&p->recent_pairs);
    params_fini(&p->welcome);
    forget_welcomes(p);
    free(p->key);
    free(p);
}

/* A pool for one secret that nobody uses: without end, strangers could make us keep what they made
 * up. */
static bool is_spent(const struct pool *p)
{
    return p->target.given && !p->closing && p->n_sessions == 0 && pool_total(p) == 0;
}

static void on_closed(struct server *s)
{
    struct pool *p = pool_of(s);
    list_remove(&s->node);
    p->count[s->place]--;
    excess_end(s);
    free(s);
    put_budgets(p);
    dial_as_needed(p);
    if (is_spent(p)) worker_forget_pool(p->env->worker, p);
    free_if_over(p);
}

void pool_left(struct pool *p)
{
    p->n_sessions--;
    if (!is_spent(p)) return;
    worker_forget_pool(p->env->worker, p);
    free_if_over(p);
}

void pool_discard(struct pool *p, struct server *s, const char *why)
{
    log_event(p->env->log, EVENT_server_closing, LOG_U64("server", s->id), LOG_TEXT("why", why),
              LOG_END);
    s->session = NULL;
    if (s->place != POOL_LEAVING) place(p, s, POOL_LEAVING);
    server_close(s);
}

void pool_give_back(struct pool *p, struct server *s)
{
    s->session = NULL;
    if (p->closing || s->retiring || pool_total(p) > p->settings.size ||
        env_now_ms(p->env) >= s->expires_ms || budget_take_excess(p->target.cluster->budget)) {
        pool_discard(p, s, "retired");
        return;
    }
    pass_on(p, s);
}

/* ---- joining -------------------------------------------------------------------------------- */

static struct server *idle_for(const struct pool *p, const struct pool_ticket *t)
{
    list_each(node, &p->servers[POOL_IDLE])
    {
        struct server *s = list_item(node, struct server, node);
        if (fits(s, t)) return s;
    }
    return NULL;
}

static void remember_pairs(struct pool *p, struct slice pairs)
{
    if (p->settings.min_size == 0 || slice_eq(buf_slice(&p->recent_pairs), pairs)) return;
    buf_truncate(&p->recent_pairs, 0);
    buf_add_slice(&p->recent_pairs, pairs);
}

static struct server *take_idle(struct pool *p, const struct pool_ticket *t)
{
    struct server *s = p->paused ? NULL : idle_for(p, t);
    if (s) place(p, s, POOL_BUSY);
    return s;
}

static void wait_in_line(struct pool *p)
{
    p->n_line++;
    metrics_add(&p->env->metrics, METRIC_waits, 1);
    metrics_add(&p->env->metrics, METRIC_clients_waiting, 1);
    dial_as_needed(p);
    watch_line(p);
}

struct server *pool_join(struct pool *p, struct pool_ticket *t)
{
    struct server *s = list_is_empty(&p->line) ? take_idle(p, t) : NULL;
    t->since_ms = env_now_ms(p->env);
    if (s) return s;
    remember_pairs(p, t->pairs);
    list_push_back(&p->line, &t->node);
    wait_in_line(p);
    return NULL;
}

struct server *pool_join_again(struct pool *p, struct pool_ticket *t)
{
    struct server *s = take_idle(p, t);
    if (s) return s;
    list_push_front(&p->line, &t->node);
    wheel_cancel(&p->line_timer); /* it was set for another */
    wait_in_line(p);
    return NULL;
}

/* ---- the life of a pool --------------------------------------------------------------------- */

void pool_key(const struct pool_setup *setup, struct buf *out)
{
    buf_addf(out, "%s/", setup->cluster->config->name);
    pool_family_key(setup, out);
}

void pool_family_key(const struct pool_setup *setup, struct buf *out)
{
    buf_addf(out, "%.*s/%.*s/%.*s", SLICE_ARG(setup->database), SLICE_ARG(setup->db_user),
             SLICE_ARG(setup->role));
    if (setup->given.secret) buf_addf(out, "/given:%s", setup->given.id);
    if (setup->protocol_version.len) buf_addf(out, "/v%.*s", SLICE_ARG(setup->protocol_version));
}

/* Of a database, or a database user, of the pool's cluster. A slash keeps them apart from clusters,
 * whose names have none. */
static struct budget *find_budget(struct pool *p, const char *what, const char *name)
{
    struct buf key = { 0 };
    if (!name) return NULL;
    buf_addf(&key, "%s/%s/%s", p->target.cluster->config->name, what, name);
    buf_add_u8(&key, 0);
    struct budget *budget = key.failed ? NULL : budgets_find(&p->env->shared->budgets, key.at);
    buf_fini(&key);
    return budget;
}

struct pool *pool_new(struct env *env, const struct pool_events *events,
                      const struct pool_setup *setup, struct slice key)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->env = env;
    p->events = events;
    p->settings = setup->settings;
    p->key = strndup(key.at, key.len);
    p->target = (struct server_target){
        .realm = realm_ref(setup->realm),
        .cluster = setup->cluster,
        .database = strndup(setup->database.at, setup->database.len),
        .db_user = strndup(setup->db_user.at, setup->db_user.len),
    };
    bool has_given = setup->given.secret != NULL;
    if (has_given) p->target.given = secret_new(secret_bytes(setup->given.secret));
    p->target.given_is_token = setup->given.is_token;
    buf_add_slice(&p->target.context, setup->given.context);
    p->role = strndup(setup->role.at, setup->role.len);
    for (int i = 0; i < POOL_PLACES; i++) list_init(&p->servers[i]);
    list_init(&p->line);
    wheel_node_init(&p->line_timer, on_line_due);
    wheel_node_init(&p->dial_timer, on_dial_due);
    wheel_node_init(&p->sweep_timer, on_sweep);
    p->of_database = find_budget(p, "database", p->target.database);
    p->of_user = find_budget(p, "user", p->target.db_user);
    if (!p->key || !p->role || (has_given && !p->target.given) || p->target.context.failed ||
        !p->of_database || !p->of_user) {
        p->closing = true;
        free_if_over(p);
        return NULL;
    }
    return p;
}

void pool_reconnect(struct pool *p)
{
    list_each(node, &p->servers[POOL_BUSY]) list_item(node, struct server, node)->retiring = true;
    list_each(node, &p->servers[POOL_OPENING]) list_item(node, struct server, node)->retiring =
        true;
    list_each(node, &p->servers[POOL_IDLE])
        pool_discard(p, list_item(node, struct server, node), "reconnect");
}

void pool_close(struct pool *p, const struct err *why)
{
    p->closing = true;
    refuse_line(p, why);
    list_each(node, &p->servers[POOL_OPENING])
        pool_discard(p, list_item(node, struct server, node), "pool closed");
    pool_reconnect(p);
    free_if_over(p);
}

void pool_retune(struct pool *p, struct realm *realm, const struct config_pool *settings)
{
    const struct realm_cluster *cluster = realm_cluster(realm, p->target.cluster->config->name);
    p->settings = *settings;
    if (p->target.given) p->settings.min_size = 0; /* it goes with who gave it */
    if (!cluster) return;
    struct realm *before = p->target.realm;
    p->target.realm = realm_ref(realm);
    p->target.cluster = cluster;
    realm_unref(before);
    dial_as_needed(p);
}

void pool_pause(struct pool *p)
{
    p->paused = true;
    watch_line(p);
}

static void settle_line(struct pool *p)
{
    struct pool_ticket *t;
    while (!p->paused && (t = first_in_line(p))) {
        struct server *s = idle_for(p, t);
        if (!s) break;
        pass_on(p, s);
    }
}

void pool_resume(struct pool *p)
{
    p->paused = false;
    p->resumed_ms = env_now_ms(p->env);
    watch_line(p);
    settle_line(p);
    dial_as_needed(p);
}

static struct server *last_of(struct pool *p, enum pool_place where)
{
    return p->count[where] ? list_item(p->servers[where].prev, struct server, node) : NULL;
}

bool pool_cut(struct pool *p)
{
    struct server *s = last_of(p, POOL_OPENING);
    if (s) {
        pool_discard(p, s, "the lease ends");
        return true;
    }
    s = last_of(p, POOL_BUSY);
    if (s)
        server_fail(s, ERR_SERVER_LOST,
                    "the proxy had to give this connection up: others may have "
                    "it now, and those who share them cannot be reached");
    return s != NULL;
}

bool pool_give_way(struct pool *p)
{
    if (p->count[POOL_IDLE] == 0) return false;
    pool_discard(p, list_item(p->servers[POOL_IDLE].prev, struct server, node), "gives way");
    return true;
}
