#include "proxy/console_show.h"

#include "proxy/pool_facts.h"
#include "proxy/worker.h"

#include "proxy/session.h"

#include <time.h>

/* ---- cells that several commands have -------------------------------------------------------- */

/* Where monotonic milliseconds lie in the calendar. */
struct calendar {
    uint64_t now_ms, now_s;
};

static struct calendar calendar_of(const struct worker *w)
{
    return (struct calendar){ env_now_ms(&w->env), (uint64_t)time(NULL) };
}

static void when(struct rows *r, const struct calendar *c, uint64_t at_ms)
{
    uint64_t ago_s = c->now_ms > at_ms ? (c->now_ms - at_ms) / 1000 : 0;
    rows_time(r, c->now_s > ago_s ? c->now_s - ago_s : 0);
}

/* addr and port; a unix socket has no port. */
static void peer(struct rows *r, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX];
    struct slice host = slice_str(address_text(a, text));
    const char *colon = memrchr(host.at, ':', host.len);
    if (colon) host.len = (size_t)(colon - host.at);
    if (host.len > 2 && host.at[0] == '[') host = slice_of(host.at + 1, host.len - 2);
    rows_text(r, host);
    rows_number(r, a->port);
}

static void tls_cell(struct rows *r, struct stream *s)
{
    char text[128];
    struct tls *tls = stream_tls(s);
    text[0] = '\0';
    if (tls) snprintf(text, sizeof text, "%s/%s", tls_version(tls), tls_cipher(tls));
    rows_text(r, slice_str(text));
}

static void wait_cells(struct rows *r, uint64_t since_ms, uint64_t now_ms)
{
    uint64_t ms = since_ms && now_ms > since_ms ? now_ms - since_ms : 0;
    rows_number(r, ms / 1000);
    rows_number(r, ms % 1000 * 1000);
}

static const char *mode_of(const struct pool *p) { return config_word_pool_mode(p->settings.mode); }

/* ---- SHOW CLIENTS --------------------------------------------------------------------------- */

/* A setting is kept as SQL, a startup parameter of session mode as it came. */
static struct slice application_of(const struct session *s)
{
    struct slice name = slice_str("application_name");
    if (s->settings) {
        struct slice value = settings_get(s->settings, name);
        bool quoted = value.len >= 2 && value.at[0] == '\'';
        return quoted ? slice_of(value.at + 1, value.len - 2) : value;
    }
    struct slice pairs = buf_slice(&s->pairs);
    while (pairs.len) {
        struct slice key = slice_str(pairs.at);
        pairs = slice_after(pairs, key.len + 1);
        struct slice value = slice_str(pairs.at);
        pairs = slice_after(pairs, value.len + 1);
        if (slice_eq(key, name)) return value;
    }
    return (struct slice){ 0 };
}

static const char *client_word(const struct session *s)
{
    if (s->console) return "active";
    switch ((enum client_state)s->client.state) {
    case CLIENT_JOINING:
    case CLIENT_WAITING: return "waiting";
    case CLIENT_ACTIVE: return "active";
    default: return "idle";
    }
}

static void client_row(struct rows *r, struct session *s, const struct calendar *c)
{
    struct client *client = &s->client;
    const struct config_address *local = &client->realm->config->listen[client->listen].address;
    bool waits = pool_ticket_waits(&s->ticket);
    uint64_t asked_ms = waits ? s->ticket.since_ms : s->attached_ms;
    rows_text(r, slice_str("C"));
    rows_text(r, client->user->name);
    rows_text(r, slice_str(s->pool ? s->pool->target.database : "sluice"));
    rows_text(r, slice_str("none"));
    rows_text(r, slice_str(client_word(s)));
    peer(r, &client->address);
    rows_text(r, slice_str(local->host));
    rows_number(r, local->port);
    when(r, c, client->opened_ms);
    when(r, c, asked_ms ? asked_ms : client->opened_ms);
    wait_cells(r, waits ? asked_ms : 0, c->now_ms);
    rows_number(r, 0);
    rows_handle(r, client->id);
    if (s->server)
        rows_handle(r, s->server->id);
    else
        rows_text(r, slice_str(""));
    rows_number(r, 0);
    tls_cell(r, &client->stream);
    rows_text(r, application_of(s));
    rows_number(r, s->book ? s->book->by_name.count : 0);
    rows_number(r, client->id);
}

static void client_extras(struct rows *r, const struct session *s, unsigned worker)
{
    rows_text(r, slice_str(s->pool ? s->pool->key : ""));
    rows_text(r, slice_str(s->pinned ? s->pinned : ""));
    rows_number(r, worker);
}

/* Is it past its login? */
static bool is_settled(const struct session *s)
{
    const struct client *c = &s->client;
    return !s->moved && c->user && c->state >= CLIENT_JOINING && c->state < CLIENT_LEAVING;
}

void console_visit_clients(struct worker *w, struct survey_part *part)
{
    struct calendar c = calendar_of(w);
    list_each(node, &w->sessions)
    {
        struct session *s = session_of(list_item(node, struct client, node));
        if (!is_settled(s)) continue;
        client_row(&part->rows, s, &c);
        client_extras(&part->rows, s, w->index);
    }
}

/* ---- SHOW SERVERS --------------------------------------------------------------------------- */

static const char *server_word(const struct server *s)
{
    switch ((enum pool_place)s->place) {
    case POOL_OPENING: return "new";
    case POOL_IDLE: return "idle";
    case POOL_BUSY: return s->cancels ? "being_canceled" : "active";
    default: return "closing";
    }
}

static void server_row(struct rows *r, struct server *s, const struct pool *p,
                       const struct calendar *c)
{
    struct address at = address_of(&s->address.any);
    const struct session *session = s->session;
    rows_text(r, slice_str("S"));
    rows_text(r, slice_str(p->target.db_user));
    rows_text(r, slice_str(p->target.database));
    rows_text(r, slice_str("none"));
    rows_text(r, slice_str(server_word(s)));
    peer(r, &at);
    rows_text(r, slice_str(""));
    rows_number(r, 0);
    when(r, c, s->opened_ms);
    when(r, c, session ? session->attached_ms : s->idle_since_ms ? s->idle_since_ms : s->opened_ms);
    wait_cells(r, 0, 0);
    rows_number(r, s->retiring || s->stained);
    rows_handle(r, s->id);
    if (session)
        rows_handle(r, session->client.id);
    else
        rows_text(r, slice_str(""));
    rows_number(r, s->pid);
    tls_cell(r, &s->stream);
    rows_text(r, session ? application_of(session) : slice_str(""));
    rows_number(r, s->shelf.by_id.count);
    rows_number(r, s->id);
}

static void server_extras(struct rows *r, const struct server *s, const struct pool *p,
                          unsigned worker)
{
    rows_text(r, slice_str(p->key));
    rows_text(r, slice_str(server_state_name(s->state)));
    rows_number(r, worker);
}

void console_visit_servers(struct worker *w, struct survey_part *part)
{
    struct calendar c = calendar_of(w);
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at)))
        for (int place = 0; place < POOL_PLACES; place++) list_each(node, &p->servers[place])
            {
                struct server *s = list_item(node, struct server, node);
                server_row(&part->rows, s, p, &c);
                server_extras(&part->rows, s, p, w->index);
            }
}

/* ---- SHOW SOCKETS --------------------------------------------------------------------------- */

/* Reads land in one scratch buffer of the loop: no socket has positions in one of its own. */
static void no_positions(struct rows *r)
{
    enum { POSITIONS = 7 };
    for (int i = 0; i < POSITIONS; i++) rows_number(r, 0);
}

static void show_sockets(struct worker *w, struct rows *r, bool only_active)
{
    struct calendar c = calendar_of(w);
    uint32_t at = 0;
    struct pool *p;
    list_each(node, &w->sessions)
    {
        struct session *s = session_of(list_item(node, struct client, node));
        if (!is_settled(s) || (only_active && strcmp(client_word(s), "active") != 0)) continue;
        client_row(r, s, &c);
        no_positions(r);
    }
    while ((p = map_next(&w->pools, &at)))
        for (int place = 0; place < POOL_PLACES; place++) list_each(node, &p->servers[place])
            {
                if (only_active && place != POOL_BUSY) continue;
                server_row(r, list_item(node, struct server, node), p, &c);
                no_positions(r);
            }
}

void console_visit_sockets(struct worker *w, struct survey_part *part)
{
    show_sockets(w, &part->rows, false);
}

void console_visit_active_sockets(struct worker *w, struct survey_part *part)
{
    show_sockets(w, &part->rows, true);
}

/* ---- SHOW POOLS, DATABASES ------------------------------------------------------------------- */

static uint64_t longest_wait(const struct pool *p)
{
    if (list_is_empty(&p->line)) return 0;
    return list_item(p->line.next, struct pool_ticket, node)->since_ms;
}

static uint32_t being_cancelled(const struct pool *p)
{
    uint32_t n = 0;
    list_each(node, &p->servers[POOL_BUSY]) n += list_item(node, struct server, node)->cancels > 0;
    return n;
}

static void pool_row(struct rows *r, const struct pool *p, uint64_t now_ms, unsigned worker)
{
    uint32_t cancelled = being_cancelled(p);
    rows_text(r, slice_str(p->target.database));
    rows_text(r, slice_str(p->target.db_user));
    rows_number(r, p->n_sessions - p->n_line);
    rows_number(r, p->n_line);
    rows_number(r, 0);
    rows_number(r, 0);
    rows_number(r, p->count[POOL_BUSY] - cancelled);
    rows_number(r, 0);
    rows_number(r, cancelled);
    rows_number(r, p->count[POOL_IDLE]);
    rows_number(r, 0);
    rows_number(r, 0);
    rows_number(r, p->count[POOL_OPENING]);
    wait_cells(r, longest_wait(p), now_ms);
    rows_text(r, slice_str(mode_of(p)));
    rows_null(r);
    rows_text(r, slice_str(p->key));
    rows_text(r, slice_str(p->target.cluster->config->name));
    rows_number(r, p->settings.size);
    rows_number(r, p->paused);
    rows_number(r, p->failures);
    rows_text(r, slice_str(p->failures ? p->last_failure.message : ""));
    rows_number(r, worker);
}

void console_visit_pools(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) pool_row(&part->rows, p, env_now_ms(&w->env), w->index);
}

static void database_row(struct rows *r, const struct pool *p)
{
    const struct config_cluster *cluster = p->target.cluster->config;
    rows_text(r, slice_str(p->target.database));
    if (cluster->endpoint.host)
        rows_text(r, slice_str(cluster->endpoint.host));
    else
        rows_null(r);
    rows_number(r, cluster->endpoint.port);
    rows_text(r, slice_str(p->target.database));
    rows_null(r);
    rows_number(r, p->settings.size);
    rows_number(r, p->settings.min_size);
    rows_number(r, 0);
    rows_number(r, p->settings.server_lifetime_ms / 1000);
    rows_text(r, slice_str(mode_of(p)));
    rows_null(r);
    rows_number(r, cluster->max_connections);
    rows_number(r, pool_total(p));
    rows_number(r, 0);
    rows_number(r, p->n_sessions);
    rows_number(r, p->paused);
    rows_number(r, 0);
    rows_number(r, 0); /* reserve_pool: the name of old */
    rows_number(r, budget_cap(p->target.cluster->budget, cluster->max_connections));
}

void console_visit_databases(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) database_row(&part->rows, p);
}

/* ---- SHOW PINS, WAITING ---------------------------------------------------------------------- */

void console_visit_pins(struct worker *w, struct survey_part *part)
{
    struct rows *r = &part->rows;
    list_each(node, &w->sessions)
    {
        const struct session *s = session_of(list_item(node, struct client, node));
        if (!s->pinned || !s->server || !is_settled(s)) continue;
        rows_number(r, s->client.id);
        rows_number(r, s->server->id);
        rows_text(r, s->client.user->name);
        rows_text(r, slice_str(s->pool->key));
        rows_text(r, slice_str(s->pinned));
    }
}

void console_visit_waiting(struct worker *w, struct survey_part *part)
{
    struct rows *r = &part->rows;
    uint64_t now = env_now_ms(&w->env);
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) {
        uint64_t position = 0;
        list_each(node, &p->line)
        {
            struct pool_ticket *t = list_item(node, struct pool_ticket, node);
            const struct session *s = list_item(t, struct session, ticket);
            rows_text(r, slice_str(p->key));
            rows_number(r, ++position);
            rows_number(r, s->client.id);
            rows_text(r, s->client.user->name);
            rows_number(r, now - t->since_ms);
            rows_number(r, p->paused);
            rows_text(r, slice_str(pool_why_words(pool_why(p))));
        }
    }
}

/* ---- SHOW USERS, LISTS, MEM ------------------------------------------------------------------ */

static void user_row(struct rows *r, struct slice name, uint64_t servers, uint64_t clients,
                     const struct config_user *user)
{
    rows_text(r, name);
    rows_text(r, slice_str(""));
    rows_text(r, slice_str(""));
    rows_null(r);
    rows_number(r, 0);
    rows_number(r, servers);
    rows_number(r, 0);
    rows_number(r, clients);
    rows_text(r, slice_str(user ? user->role : ""));
    rows_text(r, slice_str(user ? config_db_user(user) : ""));
    rows_text(r, slice_str(user ? config_word_console(user->console) : ""));
}

/* A row for each user, from the first worker, and one for each client, to be added up. */
void console_visit_users(struct worker *w, struct survey_part *part)
{
    const struct config *config = w->env.realm->config;
    for (size_t i = 0; w->index == 0 && i < config->n_users; i++) {
        const struct config_user *user = &config->users[i];
        user_row(&part->rows, slice_str(user->name), 0, 0, user);
    }
    list_each(node, &w->sessions)
    {
        const struct session *s = session_of(list_item(node, struct client, node));
        if (is_settled(s)) user_row(&part->rows, s->client.user->name, s->server != NULL, 1, NULL);
    }
}

static uint64_t logging_in(const struct worker *w)
{
    uint64_t n = 0;
    list_each(node, &w->sessions) n += list_item(node, struct client, node)->state < CLIENT_JOINING;
    return n;
}

void console_visit_lists(struct worker *w, struct survey_part *part)
{
    const struct config *config = w->env.realm->config;
    bool once = w->index == 0; /* what is the same everywhere */
    const struct {
        const char *name;
        uint64_t items;
    } lists[] = {
        { "databases", once ? config->n_clusters : 0 },
        { "users", once ? config->n_users : 0 },
        { "peers", 0 },
        { "pools", w->pools.count },
        { "peer_pools", 0 },
        { "free_clients", 0 },
        { "used_clients", metrics_get(&w->env.metrics, METRIC_clients) },
        { "login_clients", logging_in(w) },
        { "free_servers", metrics_get(&w->env.metrics, METRIC_servers_idle) },
        { "used_servers", metrics_get(&w->env.metrics, METRIC_servers) -
                              metrics_get(&w->env.metrics, METRIC_servers_idle) },
        { "dns_names", 0 },
        { "dns_zones", 0 },
        { "dns_queries", 0 },
        { "dns_pending", 0 },
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        rows_text(&part->rows, slice_str(lists[i].name));
        rows_number(&part->rows, lists[i].items);
    }
}

void console_visit_mem(struct worker *w, struct survey_part *part)
{
    const struct {
        const char *name;
        uint64_t size, used;
    } caches[] = {
        { "client_cache", sizeof(struct session), metrics_get(&w->env.metrics, METRIC_clients) },
        { "server_cache", sizeof(struct server), metrics_get(&w->env.metrics, METRIC_servers) },
        { "pool_cache", sizeof(struct pool), w->pools.count },
    };
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        rows_text(&part->rows, slice_str(caches[i].name));
        rows_number(&part->rows, caches[i].size);
        rows_number(&part->rows, caches[i].used);
        rows_number(&part->rows, 0);
        rows_number(&part->rows, caches[i].size * caches[i].used);
    }
}

/* PAUSE holds on all workers or on none: the first one's word is enough. */
void console_visit_state(struct worker *w, struct survey_part *part)
{
    const char *const state[][2] = {
        { "active", w->paused ? "no" : "yes" },
        { "paused", w->paused ? "yes" : "no" },
        { "suspended", "no" },
    };
    for (size_t i = 0; w->index == 0 && i < 3; i++)
        for (size_t k = 0; k < 2; k++) rows_text(&part->rows, slice_str(state[i][k]));
}

/* ---- SHOW STATS ------------------------------------------------------------------------------ */

enum { STATS = 11 }; /* numbers of PgBouncer's SHOW STATS_TOTALS */

static void stats_cells(struct rows *r, const struct pool *p)
{
    const struct pool_stats *s = &p->stats;
    rows_text(r, slice_str(p->target.database));
    const uint64_t numbers[STATS] = {
        s->assignments,   s->transactions,          s->queries,         s->received_bytes,
        s->sent_bytes,    s->transaction_ms * 1000, s->query_ms * 1000, s->wait_ms * 1000,
        s->client_parses, s->server_parses,         s->binds,
    };
    for (size_t i = 0; i < STATS; i++) rows_number(r, numbers[i]);
}

void console_visit_totals(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) stats_cells(&part->rows, p);
}

/* Averages cannot be added up: they are made of the sums, in the end. */
void console_visit_stats(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) {
        stats_cells(&part->rows, p);
        for (size_t i = 0; i < STATS; i++) rows_number(&part->rows, 0);
        rows_number(&part->rows, p->stats.queries); /* the name of old */
    }
}

/* Counts and bytes per second; times per transaction, per query and per server given out. The
 * averages come behind the totals or, when those are not shown, instead of them. */
void console_finish_stats(uint64_t *numbers, size_t columns, void *context)
{
    enum { ASSIGNMENTS = 1, XACTS, QUERIES, XACT_TIME = 6, QUERY_TIME, WAIT_TIME };
    uint64_t uptime_s = *(const uint64_t *)context;
    uint64_t *averages = numbers + (columns > 1 + STATS ? STATS : 0);
    for (size_t i = STATS; i >= 1; i--) { /* from behind: times need the counts before them */
        uint64_t per = i == XACT_TIME    ? numbers[XACTS]
                       : i == QUERY_TIME ? numbers[QUERIES]
                       : i == WAIT_TIME  ? numbers[ASSIGNMENTS]
                                         : uptime_s;
        averages[i] = per ? numbers[i] / per : 0;
    }
}
