#include "proxy/guide.h"

#include "protocol/frontend.h"
#include "protocol/sql_normal.h"
#include "protocol/startup.h"
#include "proxy/attribution.h"
#include "proxy/carry.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/worker.h"
#include "routing/statement.h"

#include <stdlib.h>
#include <time.h>

enum {
    DB_USERS_MAX = 64,
    HEAD_BYTES = 1024, /* of a statement whose verb alone is of interest */
};

/* ---- what is known ---------------------------------------------------------------------------
 */

/* A route's query_group with its words filled in; NULL: no memory. */
static char *filled_in(const struct session *s, struct slice group)
{
    struct buf text = { 0 };
    attribution_expand(&s->client, group, &text);
    buf_add_u8(&text, 0);
    if (!text.failed) return text.at;
    buf_fini(&text);
    return NULL;
}

static struct match_address match_address_of(const struct address *a)
{
    static const enum match_family families[] = {
        [ADDRESS_UNIX] = FAMILY_NONE, [ADDRESS_V4] = FAMILY_V4, [ADDRESS_V6] = FAMILY_V6
    };
    struct match_address m = { .family = families[a->family] };
    memcpy(m.at, a->bytes, sizeof m.at);
    return m;
}

/* The database users that a rule may choose for this role; `slices` has room for DB_USERS_MAX. */
static uint32_t db_users_of(const struct realm_role *role, struct slice *slices)
{
    uint32_t n = 0;
    for (; role && n < role->config->db_users.count && n < DB_USERS_MAX; n++)
        slices[n] = slice_str(role->config->db_users.items[n]);
    return n;
}

static struct slice text(const struct guide *g, enum guide_text which)
{
    const uint16_t from = which ? g->ends[which - 1] : 0;
    return slice_of(g->texts + from, g->ends[which] - from);
}

static struct route_facts facts_of(struct session *s, struct slice db_users[DB_USERS_MAX])
{
    const struct guide *g = s->guide;
    return (struct route_facts){
        .user = s->client.user->name,
        .role = s->client.user->role,
        .database = text(g, GUIDE_DATABASE),
        .application = text(g, GUIDE_APPLICATION),
        .query_group = text(g, GUIDE_QUERY_GROUP),
        .client = match_address_of(&s->client.address),
        .tls = stream_is_tls(&s->client.stream),
        .at_s = g->login_s,
        .db_user = client_db_user(&s->client),
        .db_users = db_users,
        .db_user_count = db_users_of(judge_role(s), db_users),
    };
}

/* Copies of what the startup packet says, which will be gone. */
static bool keep_facts(struct session *s, struct slice version)
{
    struct slice parameters = client_startup(&s->client);
    const struct slice database = startup_get(parameters, "database");
    const struct slice texts[GUIDE_TEXTS] = {
        [GUIDE_DATABASE] = database.len ? database : startup_get(parameters, "user"),
        [GUIDE_APPLICATION] = startup_get(parameters, "application_name"),
        [GUIDE_QUERY_GROUP] = startup_get(parameters, "query_group"),
        [GUIDE_VERSION] = version,
    };
    size_t sum = 0;
    _Static_assert(GUIDE_TEXTS * STARTUP_MAX <= UINT16_MAX, "see `ends`");
    for (size_t i = 0; i < GUIDE_TEXTS; i++) sum += texts[i].len;
    struct guide *g = calloc(1, sizeof *g + sum);
    if (!g) return false;
    s->guide = g;
    for (size_t i = 0, at = 0; i < GUIDE_TEXTS; i++) {
        if (texts[i].len) memcpy(g->texts + at, texts[i].at, texts[i].len);
        at += texts[i].len;
        g->ends[i] = (uint16_t)at;
    }
    g->login_s = time(NULL);
    g->rule = g->login_rule = ROUTE_NO_RULE;
    g->is_first = true;
    return true;
}

static void hold_routes(struct session *s)
{
    struct route_force *before = s->routes;
    s->routes = route_force_ref(s->client.env->routes);
    route_force_unref(before);
}

void guide_end(struct session *s)
{
    free(s->guide);
    s->guide = NULL;
    route_force_unref(s->routes);
    s->routes = NULL;
    free(s->query_group);
    s->query_group = NULL;
}

/* What a value in the session's settings says: `'etl'` is etl. Others are as they are. */
static struct slice unquoted(struct slice value)
{
    bool quoted = value.len >= 2 && value.at[0] == '\'' && value.at[value.len - 1] == '\'';
    return quoted ? slice_of(value.at + 1, value.len - 2) : value;
}

/* What the client wants, not what a rule has made of it. */
static struct slice group_in_force(const struct session *s)
{
    return carry_has_group(s) ? unquoted(settings_get(s->settings, slice_str("query_group")))
                              : text(s->guide, GUIDE_QUERY_GROUP);
}

/* ---- which cluster ---------------------------------------------------------------------------
 */

static const struct realm_cluster *cluster_named(const struct realm *realm, struct slice name)
{
    for (size_t i = 0; i < realm->config->n_clusters; i++)
        if (slice_is(name, realm->clusters[i].config->name)) return &realm->clusters[i];
    return NULL;
}

static struct pool_setup setup_for(const struct session *s, const struct realm_cluster *cluster)
{
    const struct guide *g = s->guide;
    const struct realm *realm = s->client.env->realm;
    const struct config_pool *settings =
        s->routes->table ? route_force_pool(s->routes, g->login_rule) : &realm->config->pool;
    return (struct pool_setup){
        .realm = s->client.env->realm,
        .cluster = cluster,
        .database = s->pool ? slice_str(s->pool->target.database) : (struct slice){ 0 },
        .db_user = s->pool ? slice_str(s->pool->target.db_user) : (struct slice){ 0 },
        .role = s->client.user->role,
        .protocol_version = text(g, GUIDE_VERSION),
        .settings = *settings,
    };
}

/* A pool that has shown what its servers say of themselves must say what the client was told; one
 * that nobody has seen yet is given a chance. */
static bool fits(struct session *s, const struct realm_cluster *cluster)
{
    const struct guide *g = s->guide;
    if (!g->kind) return true;
    struct pool_setup setup = setup_for(s, cluster);
    const struct pool *p = worker_known_pool(s->client.env->worker, &setup);
    return !p || !p->welcomed || p->kind == g->kind;
}

/* Whether a session that is in may go there: it brings no password of its own along, so not where
 * one is wanted, and a client must be able to go on believing what it was told. */
static bool may_enter(struct session *s, const struct realm_cluster *cluster)
{
    if (cluster->config == s->pool->target.cluster->config) return true;
    return cluster->config->credentials.source != CONFIG_SOURCE_PASSTHROUGH && fits(s, cluster);
}

struct picking {
    struct session *s;
    const struct realm_cluster *avoid, *found;
    bool whatever_its_health;
};

static bool is_usable(void *arg, struct slice name)
{
    struct picking *p = arg;
    const struct env *env = p->s->client.env;
    const struct realm_cluster *cluster = cluster_named(env->realm, name);
    if (!cluster || cluster == p->avoid) return false;
    if (p->s->pool && !may_enter(p->s, cluster)) return false;
    if (!p->whatever_its_health && !health_may_try(cluster->health, env_now_ms(env))) return false;
    p->found = cluster;
    return true;
}

/* The first that can be reached; when none can, the first, which then has to be waited for. With
 * `avoid` only others, and only if they can be reached. NULL: none. */
static const struct realm_cluster *pick(struct session *s, const struct route_decision *d,
                                        const struct realm_cluster *avoid)
{
    struct picking p = { .s = s, .avoid = avoid };
    if (route_pick(d, is_usable, &p).len == 0 && !avoid) {
        p.whatever_its_health = true;
        route_pick(d, is_usable, &p);
    }
    return p.found;
}

static void log_fallback(const struct session *s, const struct realm_cluster *cluster)
{
    const struct guide *g = s->guide;
    log_event(s->client.env->log, EVENT_route_fallback, LOG_U64("conn", s->client.id),
              LOG_STR("rule", s->rule), LOG_STR("from", g->clusters[0]),
              LOG_TEXT("to", cluster->config->name), LOG_END);
}

/* Told once per session and turn of events, counted always. */
static void note_choice(struct session *s, const struct realm_cluster *cluster)
{
    struct guide *g = s->guide;
    bool was_first = g->is_first;
    g->is_first = g->cluster_count == 0 || slice_is(g->clusters[0], cluster->config->name);
    if (g->is_first) return;
    metrics_add(&s->client.env->metrics, METRIC_route_fallbacks, 1);
    if (g->tally) route_count(&g->tally->fallbacks);
    if (was_first) log_fallback(s, cluster);
}

static bool enter(struct session *s, const struct realm_cluster *cluster)
{
    struct pool_setup setup = setup_for(s, cluster);
    struct pool *p = worker_pool(s->client.env->worker, &setup);
    if (!p) return false;
    session_enter(s, p);
    metrics_add(&s->client.env->metrics, METRIC_route_switches, 1);
    return true;
}

bool guide_detour(struct session *s)
{
    struct guide *g = s->guide;
    struct route_decision d = { .clusters = g->clusters, .cluster_count = g->cluster_count };
    const struct realm_cluster *other = g->cluster_count > 1 && !s->pool->target.given
                                            ? pick(s, &d, s->pool->target.cluster)
                                            : NULL;
    if (!other || !enter(s, other)) return false;
    note_choice(s, other);
    return true;
}

/* ---- deciding --------------------------------------------------------------------------------
 */

/* For SHOW DENIED and EXPLAIN DECISION; the client is told the id. */
static void remember_refusal(struct session *s, const struct route_decision *d, struct err *err)
{
    char from[ADDRESS_TEXT_MAX], id[24];
    struct refusal *r = refusals_next(&s->client.env->worker->refusals);
    if (!r) return;
    snprintf(id, sizeof id, "d-%llx-%x", (unsigned long long)s->client.id, ++s->decisions);
    r->at_s = (uint64_t)time(NULL);
    r->conn = s->client.id;
    r->reason = REFUSAL_BY_ROUTE;
    r->kind = s->pool ? "statement" : "login";
    r->why = *err;
    refusal_text(r->id, sizeof r->id, slice_str(id));
    refusal_text(r->user, sizeof r->user, s->client.user->name);
    refusal_text(r->role, sizeof r->role, s->client.user->role);
    if (s->pool) refusal_text(r->pool, sizeof r->pool, slice_str(s->pool->key));
    refusal_text(r->from, sizeof r->from, slice_str(address_text(&s->client.address, from)));
    refusal_text(r->object, sizeof r->object, d->outcome == ROUTE_DENY ? d->id : slice_str(""));
    if (!err->detail[0]) err_detail(err, "decision %s", id);
}

static bool no_route(struct session *s, const struct route_decision *d, struct err *err)
{
    struct metrics *metrics = &s->client.env->metrics;
    metrics_add(metrics, METRIC_route_none, 1);
    if (d->outcome == ROUTE_DENY) {
        err_set(err, ERR_ACCESS_DENIED, "%.*s", (int)(d->deny.len < 200 ? d->deny.len : 200),
                d->deny.at);
        remember_refusal(s, d, err);
        return false;
    }
    if (d->outcome == ROUTE_UNSAFE) {
        metrics_add(metrics, METRIC_route_unsafe, 1);
        log_event(s->client.env->log, EVENT_route_unsafe, LOG_U64("conn", s->client.id),
                  LOG_STR("user", s->client.user->name), LOG_STR("rule", d->id),
                  LOG_STR("db_user", d->db_user), LOG_END);
    }
    err_set(err, ERR_NO_ROUTE, "");
    err_hint(err, "ask your administrator: `sluice route explain` tells why");
    remember_refusal(s, d, err);
    return false;
}

static struct route_tally *tally_of(const struct session *s, uint32_t rule)
{
    if (!s->routes->stats || rule == ROUTE_NO_RULE) return NULL;
    return route_stat_tally(s->routes->stats[rule], s->client.env->worker->index);
}

/* Goes by this decision from now on. */
static void adopt(struct session *s, const struct route_decision *d)
{
    struct guide *g = s->guide;
    g->is_undecided = false;
    g->rule = d->rule;
    g->login_rule = d->login_rule;
    g->clusters = d->clusters;
    g->cluster_count = d->cluster_count;
    g->answers = d->local_answers;
    g->answer_count = d->local_answer_count;
    s->rule = d->id;
    g->tally = tally_of(s, d->rule);
    if (g->tally && d->regex_limit_hits) route_count(&g->tally->limit_hits);
    metrics_add(&s->client.env->metrics, METRIC_route_limit_hits, d->regex_limit_hits);
}

/* How much of a statement is looked at. */
static size_t gathered_bytes(const struct session *s)
{
    const struct config *config = s->client.env->realm->config;
    return (s->guide->needs | s->guide->shadow_needs) == ROUTE_NEEDS_VERB
               ? HEAD_BYTES
               : config->routes.statement_bytes;
}

/* So much of a Query is waited for, before anything of it is sent; restricted roles' statements are
 * there whole, and Parses to a length of their own. */
static void gather(struct session *s)
{
    if (session_is_plain(s) || s->restricted) return;
    s->client.frame.want_query = s->guide->needs | s->guide->shadow_needs
                                     ? (uint32_t)gathered_bytes(s) + MESSAGE_HEADER + 1
                                     : 0;
}

/* ---- the candidate ---------------------------------------------------------------------------
 */

/* What would the candidate table decide? Counted, and nothing more. */
static void ask_shadow(struct session *s, const struct route_facts *facts,
                       const struct route_statement *statement, const struct route_decision *d)
{
    const struct route_force *shadow = s->client.env->shadow;
    struct metrics *metrics = &s->client.env->metrics;
    struct route_decision other;
    if (!shadow->table) return;
    route_decide(shadow->table, facts, statement, &other);
    metrics_add(metrics, METRIC_shadow_decisions, 1);
    if (route_same_effect(d, &other)) return;
    metrics_add(metrics, METRIC_shadow_mismatches, 1);
    struct route_tally *tally = tally_of(s, d->rule);
    if (tally) route_count(&tally->mismatches);
}

/* What the candidate needs to know of this session's statements. */
static void meet_shadow(struct session *s, const struct route_facts *facts)
{
    struct guide *g = s->guide;
    const struct route_force *shadow = s->client.env->shadow;
    struct route_decision d;
    if (g->shadow_serial == shadow->serial) return;
    g->shadow_serial = shadow->serial;
    g->shadow_needs = 0;
    if (shadow->table && route_decide(shadow->table, facts, NULL, &d))
        g->shadow_needs = route_needs(shadow->table, facts, d.login_rule);
    gather(s);
}

bool guide_login(struct session *s, struct slice version, struct pool_setup *setup, struct err *err)
{
    const struct realm *realm = s->client.env->realm;
    struct slice db_users[DB_USERS_MAX];
    struct route_decision d;
    guide_end(s);
    hold_routes(s);
    if (!keep_facts(s, version)) return err_set(err, ERR_OUT_OF_MEMORY, "");
    struct guide *g = s->guide;
    struct route_facts facts = facts_of(s, db_users);
    *setup = (struct pool_setup){
        .realm = s->client.env->realm,
        .cluster = &realm->clusters[0],
        .database = facts.database,
        .db_user = facts.db_user,
        .role = facts.role,
        .protocol_version = text(g, GUIDE_VERSION),
        .settings = realm->config->pool,
    };
    if (!s->routes->table)
        return !realm->config->routes.source || err_set(err, ERR_NO_ROUTES_YET, "");
    bool found = route_decide(s->routes->table, &facts, NULL, &d);
    adopt(s, &d);
    if (!found) return no_route(s, &d, err);
    g->needs = route_needs(s->routes->table, &facts, d.login_rule);
    meet_shadow(s, &facts);
    free(s->query_group);
    s->query_group = NULL;
    g->group = d.query_group;
    if (d.query_group.len && !(s->query_group = filled_in(s, d.query_group)))
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    setup->db_user = d.db_user;
    setup->database = d.database;
    setup->settings = *route_force_pool(s->routes, d.login_rule);
    setup->cluster = pick(s, &d, NULL);
    /* The table was made for a configuration that is not quite in force here yet. */
    if (!setup->cluster) return no_route(s, &d, err);
    return true;
}

/* Only now, since a session that moves to its pool's worker is decided about twice. */
static void look_beside(struct session *s)
{
    struct slice db_users[DB_USERS_MAX];
    struct traffic *traffic = s->client.env->shared->traffic;
    struct route_facts facts = facts_of(s, db_users);
    struct route_decision d;
    if (!s->routes->table) return;
    const bool recorded = traffic_wants(traffic, s->guide->login_s);
    if (recorded) traffic_add(traffic, &facts, NULL, 0);
    if (!s->client.env->shadow->table) return;
    route_decide(s->routes->table, &facts, NULL, &d);
    ask_shadow(s, &facts, NULL, &d);
}

void guide_entered(struct session *s)
{
    struct guide *g = s->guide;
    look_beside(s);
    gather(s);
    note_choice(s, s->pool->target.cluster);
    if (!g->tally) return;
    route_count(&g->tally->logins);
    g->tally->last_ms = env_now_ms(s->client.env);
    if (s->keeps_server && g->needs) {
        /* Its transactions will not be asked about. */
        route_count(&g->tally->stays);
        metrics_add(&s->client.env->metrics, METRIC_route_stays, 1);
    }
}

void guide_welcomed(struct session *s, const struct params *params)
{
    s->guide->kind = params_kind(params);
}

bool guide_suits(const struct session *s, const struct server *server)
{
    return !s->guide->kind || s->guide->kind == params_kind(&server->params);
}

/* ---- statements ------------------------------------------------------------------------------
 */

/* The text of what a message is about, as far as it is there; false: of nothing in particular. */
static bool text_of(struct session *s, const struct piece *p, struct slice *text)
{
    struct slice body = piece_body(p), name = { 0 };
    struct frontend_bind bind;
    uint8_t target = 'S';
    switch (p->type) {
    case FRONTEND_QUERY: *text = body; break;
    case FRONTEND_PARSE: {
        const char *nul = body.len ? memchr(body.at, 0, body.len) : NULL;
        if (!nul) return false;
        *text = slice_after(body, (size_t)(nul - body.at) + 1);
        break;
    }
    case FRONTEND_BIND:
        if (!frontend_read_bind(body, &bind)) return false;
        name = bind.statement;
        break;
    case FRONTEND_DESCRIBE:
        if (!frontend_read_target(body, &target, &name) || target != 'S') return false;
        break;
    default: return false;
    }
    if (p->type == FRONTEND_QUERY || p->type == FRONTEND_PARSE) {
        const char *nul = text->len ? memchr(text->at, 0, text->len) : NULL;
        if (nul) text->len = (size_t)(nul - text->at);
        return true;
    }
    struct stmt_entry *entry = s->book && name.len ? stmt_book_find(s->book, name) : NULL;
    if (entry) *text = entry->stmt->text;
    if (entry) return true;
    if (name.len || !s->book || !s->book->unnamed_serial) return false;
    *text = slice_str(s->book->unnamed.at);
    return true;
}

/* The decision for a statement (NULL: of nothing in particular) that begins a transaction or not.
 * `read` for the caller to finish, whatever comes of it. */
static bool decide(struct session *s, const struct slice *text, uint8_t needs, bool begins,
                   struct statement *read, struct route_decision *d)
{
    struct slice db_users[DB_USERS_MAX];
    struct route_facts facts = facts_of(s, db_users);
    struct worker *w = s->client.env->worker;
    const struct realm_role *role = judge_role(s);
    struct slice path = slice_str(role ? role->config->search_path : NULL);
    struct route_statement known, *statement = NULL;
    struct traffic *traffic = s->client.env->shared->traffic;
    const int64_t now_s = time(NULL);
    const bool recorded = begins && traffic_wants(traffic, now_s);
    meet_shadow(s, &facts);
    needs |= s->guide->shadow_needs;
    if (recorded) needs = ROUTE_NEEDS_VERB | ROUTE_NEEDS_TABLES | ROUTE_NEEDS_TEXT;
    if (text && needs && statement_read_needed(read, *text, path, needs)) {
        if (!w->expressions) w->expressions = regex_scratch_new();
        known = statement_facts(read, group_in_force(s), now_s, w->expressions);
        statement = &known;
    }
    bool found = route_decide(s->routes->table, &facts, statement, d);
    if (begins) ask_shadow(s, &facts, statement, d);
    if (recorded) traffic_add(traffic, &facts, statement, text ? sql_fingerprint(*text) : 0);
    return found;
}

/* A table that came into force since: what it needs to know of this session's statements. */
static void adopt_table(struct session *s)
{
    struct guide *g = s->guide;
    struct slice db_users[DB_USERS_MAX];
    struct route_decision d;
    if (s->routes == s->client.env->routes) return;
    /* Nothing of the old one may be pointed to any more. */
    d = (struct route_decision){ .rule = ROUTE_NO_RULE, .login_rule = ROUTE_NO_RULE };
    hold_routes(s);
    adopt(s, &d);
    g->group = (struct slice){ 0 };
    g->needs = 0;
    g->is_first = true;
    if (!s->routes->table) return;
    /* A BEGIN may be deferred now: what comes behind it asks, whatever has changed by then. */
    g->is_undecided = true;
    struct route_facts facts = facts_of(s, db_users);
    if (route_decide(s->routes->table, &facts, NULL, &d))
        g->needs = route_needs(s->routes->table, &facts, d.login_rule);
    gather(s);
}

const struct config_pool *guide_settings(const struct session *s)
{
    const bool by_rule = s->routes && s->routes->table && s->guide->login_rule != ROUTE_NO_RULE;
    return by_rule ? route_force_pool(s->routes, s->guide->login_rule) : &s->pool->settings;
}

bool guide_defers(struct session *s, bool may_adopt)
{
    if (s->keeps_server || s->pinned || s->pool->target.given) return false;
    if (may_adopt) adopt_table(s);
    if (!s->routes->table) return false;
    /* A candidate is asked, and traffic recorded, about the statement that decides. */
    return s->guide->needs | s->guide->shadow_needs ||
           traffic_is_on(s->client.env->shared->traffic);
}

/* What a table decides for all the life of a session, and cannot be changed once it is in. */
static bool is_for_good(const struct session *s, const struct route_decision *d)
{
    const struct config_pool *pool = route_force_pool(s->routes, d->login_rule);
    return slice_is(d->db_user, s->pool->target.db_user) &&
           slice_is(d->database, s->pool->target.database) &&
           (pool->mode == CONFIG_POOL_SESSION) == s->keeps_server;
}

static void stay(struct session *s)
{
    metrics_add(&s->client.env->metrics, METRIC_route_stays, 1);
    if (s->guide->tally) route_count(&s->guide->tally->stays);
}

/* It cannot leave its server; only the query_group can follow the rule. */
static void guide_in_place(struct session *s, const struct route_decision *d)
{
    bool here = false;
    for (uint32_t i = 0; i < d->cluster_count; i++)
        here |= slice_is(d->clusters[i], s->pool->target.cluster->config->name);
    if (!here) stay(s);
}

static bool set_group(struct session *s, struct err *err)
{
    if (s->guide->group.len == 0) return carry_group(s, s->guide->group, err);
    char *group = filled_in(s, s->guide->group);
    bool ok = group ? carry_group(s, slice_str(group), err) : err_set(err, ERR_OUT_OF_MEMORY, "");
    free(group);
    return ok;
}

bool guide_identified(struct session *s, struct err *err) { return !s->guide || set_group(s, err); }

static bool follow(struct session *s, const struct route_decision *d, struct err *err)
{
    const struct realm_cluster *to = pick(s, d, NULL);
    if (!to) {
        err_set(err, ERR_NO_ROUTE,
                "the route leads to a cluster that this connection does not fit");
        err_hint(err, "connect again");
        return false;
    }
    if (strcmp(to->config->name, s->pool->target.cluster->config->name) != 0 && !enter(s, to))
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    note_choice(s, to);
    return true;
}

/* A transaction begins. False: it does not, `err` says why. */
static bool begin(struct session *s, const struct slice *text, struct err *err)
{
    struct statement read = { 0 };
    struct route_decision d;
    bool free_to_go = !s->keeps_server && !s->pinned && !s->pool->target.given, ok = true;
    adopt_table(s);
    if (!s->routes->table) return true;
    bool found = decide(s, text, s->guide->needs, true, &read, &d);
    adopt(s, &d);
    if (!found)
        ok = no_route(s, &d, err);
    else if (!is_for_good(s, &d))
        stay(s);
    else if (free_to_go)
        ok = follow(s, &d, err);
    else
        guide_in_place(s, &d);
    statement_fini(&read);
    s->guide->group = ok ? d.query_group : (struct slice){ 0 };
    return ok && set_group(s, err);
}

/* A table that every cluster has. */
static bool is_everywhere(struct slice table)
{
    static const char *const schemas[] = { "pg_catalog.", "information_schema.", "pg_temp." };
    static const char *const names[] = { "pg_", "stl_", "stv_", "svl_", "svv_", "svcs_", "sys_" };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
        if (slice_starts(table, schemas[i])) return true;
    const char *dot = memchr(table.at, '.', table.len);
    struct slice name = dot ? slice_after(table, (size_t)(dot - table.at) + 1) : table;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_starts(name, names[i])) return true;
    return false;
}

static bool leads_here(const struct session *s, const struct route_decision *d)
{
    const char *here = s->pool->target.cluster->config->name;
    const struct realm_cluster *first = cluster_named(s->client.env->realm, d->clusters[0]);
    bool listed = false;
    for (uint32_t i = 0; i < d->cluster_count; i++) listed |= slice_is(d->clusters[i], here);
    if (slice_is(d->clusters[0], here)) return true;
    /* Falling back is for when the first is away, or was when the transaction began. */
    return listed && (d->rule == s->guide->rule || !first || !health_is_up(first->health));
}

/* May a further statement go where its transaction is? One that names no table of its own does;
 * else its rule must lead there, too. */
static bool may_join(struct session *s, struct slice text, struct err *err)
{
    struct statement read = { 0 };
    struct route_decision d;
    const char *here = s->pool->target.cluster->config->name;
    bool found = decide(s, &text, s->guide->needs | ROUTE_NEEDS_TABLES, false, &read, &d);
    bool goes = !found || !is_for_good(s, &d) || leads_here(s, &d), has_tables = false;
    for (uint32_t i = 0; i < read.table_count; i++) has_tables |= !is_everywhere(read.tables[i]);
    goes |= d.rule == d.login_rule && !has_tables;
    if (!goes) {
        err_set(err, ERR_OTHER_CLUSTER,
                "by the routing rule \"%.*s\" this statement needs cluster \"%.*s\", but its "
                "transaction is on \"%s\"",
                (int)(d.id.len < 64 ? d.id.len : 64), d.id.at,
                (int)(d.clusters[0].len < 64 ? d.clusters[0].len : 64), d.clusters[0].at, here);
        err_hint(err, "the first statement of a transaction decides where all of it runs: end it "
                      "first, or run this statement first");
    }
    statement_fini(&read);
    return goes;
}

static enum take refuse(struct session *s, const struct piece *p, const struct err *err,
                        struct upstream *out)
{
    guide_erred(s);
    if (!err_is_fatal(err->code)) return local_refuse(s, p->type, err, out);
    client_refuse(&s->client, err);
    return TAKE_STOP;
}

/* The session has a server, and something is under way there. */
static enum take join_transaction(struct session *s, const struct piece *p, struct slice text,
                                  struct upstream *out)
{
    struct err err;
    const struct txn *t = &s->server->txn;
    if (t->status == TXN_FAILED && t->count == 0) return TAKE_SEND; /* and the server says no */
    if (s->keeps_server || s->pinned || s->pool->target.given || may_join(s, text, &err))
        return TAKE_SEND;
    /* Perhaps all that is under way ends first, and this is the start of something new. */
    if (t->count && !t->open_batch) return TAKE_WAIT;
    metrics_add(&s->client.env->metrics, METRIC_route_refusals, 1);
    return refuse(s, p, &err, out);
}

enum take guide_take(struct session *s, const struct piece *p, struct upstream *out)
{
    struct slice text = { 0 };
    struct err err;
    bool is_wanted =
        s->guide->needs | s->guide->shadow_needs || traffic_is_on(s->client.env->shared->traffic);
    bool has_text = is_wanted && text_of(s, p, &text);
    /* Not more than is always there, or it would depend on how the bytes were cut. */
    if (text.len > gathered_bytes(s)) text.len = gathered_bytes(s);
    if (s->server && !txn_is_clean(&s->server->txn))
        return has_text && s->guide->needs && s->routes->table ? join_transaction(s, p, text, out)
                                                               : TAKE_SEND;
    if (s->server && s->recorded && s->guide->is_decided) return TAKE_SEND; /* it has waited */
    const struct pool *before = s->pool;
    if (!begin(s, has_text ? &text : NULL, &err)) return refuse(s, p, &err, out);
    s->guide->is_decided = true;
    if (s->server && s->pool != before) session_detach(s);
    return TAKE_SEND;
}
