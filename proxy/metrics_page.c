#include "proxy/metrics_page.h"

#include "proxy/creds.h"
#include "proxy/fleet.h"
#include "proxy/route_show.h"
#include "proxy/totals.h"

/* ---- the page ----------------------------------------------------------------------------------
 */

void metrics_label(struct buf *out, struct slice value)
{
    buf_add_u8(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '\n') {
            buf_add_str(out, "\\n");
            continue;
        }
        if (c == '"' || c == '\\') buf_add_u8(out, '\\');
        buf_add_u8(out, (uint8_t)c);
    }
    buf_add_u8(out, '"');
}

/* HELP's text knows two escapes, of which our sentences need none. */
static void head(struct buf *out, const char *name, const char *suffix, const char *type,
                 const char *help)
{
    buf_addf(out, "# HELP sluice_%s%s %s\n# TYPE sluice_%s%s %s\n", name, suffix, help, name,
             suffix, type);
}

static void add_counters(const struct shared *shared, struct buf *out)
{
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct metric_info *info = &metric_infos[m];
        const char *suffix = info->is_counter ? "_total" : "";
        uint64_t sum = totals_metric(shared, (enum metric)m);
        head(out, info->name, suffix, info->is_counter ? "counter" : "gauge", info->help);
        buf_addf(out, "sluice_%s%s %llu\n", info->name, suffix, (unsigned long long)sum);
    }
}

static void add_seconds(struct buf *out, uint64_t ms)
{
    buf_addf(out, "%llu.%03u", (unsigned long long)ms / 1000, (unsigned)(ms % 1000));
}

static void add_histograms(const struct shared *shared, struct buf *out)
{
    for (unsigned h = 0; h < HISTOGRAM_COUNT; h++) {
        const struct metric_info *info = &histogram_infos[h];
        uint64_t seen = 0;
        head(out, info->name, "", "histogram", info->help);
        for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++) {
            seen += totals_bucket(shared, (enum histogram_name)h, b);
            buf_addf(out, "sluice_%s_bucket{le=\"", info->name);
            if (b < HISTOGRAM_BOUNDS)
                buf_addf(out, "%g", histogram_bounds_ms[b] / 1000.0);
            else
                buf_add_str(out, "+Inf");
            buf_addf(out, "\"} %llu\n", (unsigned long long)seen);
        }
        buf_addf(out, "sluice_%s_sum ", info->name);
        add_seconds(out, totals_sum_ms(shared, (enum histogram_name)h));
        buf_addf(out, "\nsluice_%s_count %llu\n", info->name, (unsigned long long)seen);
    }
}

static void add_gauge_head(struct buf *out, enum read_gauge which)
{
    const struct slice name = slice_str(read_gauge_infos[which].name);
    const bool is_counter = name.len > 6 && slice_is(slice_after(name, name.len - 6), "_total");
    head(out, name.at, "", is_counter ? "counter" : "gauge", read_gauge_infos[which].help);
}

static void add_gauge(struct buf *out, enum read_gauge which, uint64_t value)
{
    add_gauge_head(out, which);
    buf_addf(out, "sluice_%s %llu\n", read_gauge_infos[which].name, (unsigned long long)value);
}

/* One sample with up to two labels; `state` NULL: one. */
static void add_sample(struct buf *out, enum read_gauge which, const char *label,
                       struct slice value, const char *state)
{
    buf_addf(out, "sluice_%s{%s=", read_gauge_infos[which].name, label);
    metrics_label(out, value);
    if (state) buf_addf(out, ",state=\"%s\"", state);
    buf_add_str(out, "} ");
}

/* Which numbers of a pool make which gauge. */
static const struct pool_gauge {
    enum read_gauge gauge;
    enum pool_number number;
    const char *state;
} pool_gauges[] = {
    { READ_pool_servers, POOL_SERVERS_LOGIN, "login" },
    { READ_pool_servers, POOL_SERVERS_IDLE, "idle" },
    { READ_pool_servers, POOL_SERVERS_ACTIVE, "active" },
    { READ_pool_servers, POOL_SERVERS_CLOSING, "closing" },
    { READ_pool_clients, POOL_CLIENTS_ACTIVE, "active" },
    { READ_pool_clients, POOL_CLIENTS_WAITING, "waiting" },
    { READ_pool_size, POOL_SIZE, NULL },
    { READ_pool_paused, POOL_PAUSED, NULL },
    { READ_pool_max_wait_seconds, POOL_MAX_WAIT_MS, NULL },
    { READ_pool_pinned, POOL_SERVERS_PINNED, NULL },
    { READ_pool_longest_statement_seconds, POOL_LONGEST_MS, NULL },
};

static void add_pool_gauge(const struct overview_answer *a, const struct pool_gauge *g,
                           struct buf *out)
{
    for (size_t i = 0; i < a->n_pools; i++) {
        const struct pool_facts *pool = &a->pools[i];
        add_sample(out, g->gauge, "pool", pool->key, g->state);
        if (g->number == POOL_MAX_WAIT_MS || g->number == POOL_LONGEST_MS)
            add_seconds(out, pool->n[g->number]);
        else
            buf_addf(out, "%llu", (unsigned long long)pool->n[g->number]);
        buf_add_u8(out, '\n');
    }
}

/* Samples of one name stand together, and one series appears once: a pool is of one worker. */
static void add_pools(const struct overview_answer *a, struct buf *out)
{
    for (size_t i = 0; i < sizeof pool_gauges / sizeof *pool_gauges; i++) {
        const struct pool_gauge *g = &pool_gauges[i];
        if (i == 0 || pool_gauges[i - 1].gauge != g->gauge) add_gauge_head(out, g->gauge);
        add_pool_gauge(a, g, out);
    }
}

static void add_clusters(const struct realm *realm, struct buf *out)
{
    static const enum read_gauge gauges[] = { READ_cluster_connections,
                                              READ_cluster_max_connections,
                                              READ_cluster_leased_connections };
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++) {
        enum read_gauge which = gauges[g];
        add_gauge_head(out, which);
        for (size_t i = 0; i < realm->config->n_clusters; i++) {
            const struct realm_cluster *c = &realm->clusters[i];
            add_sample(out, which, "cluster", slice_str(c->config->name), NULL);
            unsigned limit = c->config->max_connections;
            buf_addf(out, "%u\n",
                     g == 0   ? atomic_load(&c->budget->taken)
                     : g == 1 ? limit
                              : budget_cap(c->budget, limit));
        }
    }
}

static void add_health(const struct realm *realm, struct buf *out)
{
    add_gauge_head(out, READ_cluster_up);
    for (size_t i = 0; i < realm->config->n_clusters; i++) {
        add_sample(out, READ_cluster_up, "cluster", slice_str(realm->clusters[i].config->name),
                   NULL);
        buf_addf(out, "%d\n", health_is_up(realm->clusters[i].health));
    }
}

static void add_routes(const struct route_force *routes, struct buf *out)
{
    static const struct {
        enum read_gauge gauge;
        enum route_number number;
    } numbers[] = { { READ_route_hits_total, ROUTE_NUMBER_HITS },
                    { READ_route_errors_total, ROUTE_NUMBER_ERRORS },
                    { READ_route_mismatches_total, ROUTE_NUMBER_MISMATCHES } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        add_gauge_head(out, numbers[i].gauge);
        route_samples(routes, numbers[i].number, read_gauge_infos[numbers[i].gauge].name, out);
    }
    add_gauge(out, READ_routes_version, routes->table ? route_table_version(routes->table) : 0);
}

static void add_certificates(const struct realm *realm, struct buf *out)
{
    add_gauge_head(out, READ_tls_certificate_expiry_seconds);
    if (realm->admin_tls) {
        add_sample(out, READ_tls_certificate_expiry_seconds, "listen",
                   slice_str(realm->config->admin.address.text), NULL);
        buf_addf(out, "%lld\n", (long long)tls_context_not_after(realm->admin_tls));
    }
    for (size_t i = 0; i < realm->config->n_listen; i++) {
        if (!realm->listens[i].tls) continue;
        add_sample(out, READ_tls_certificate_expiry_seconds, "listen",
                   slice_str(realm->config->listen[i].address.text), NULL);
        buf_addf(out, "%lld\n", (long long)tls_context_not_after(realm->listens[i].tls));
    }
}

static void add_diagnosis(const struct diagnosis *d, struct buf *out)
{
    add_gauge_head(out, READ_diagnosis);
    for (unsigned cause = 0; cause < DIAGNOSIS_CAUSES; cause++) {
        enum severity severity = SEVERITY_OK;
        for (size_t i = 0; i < d->count; i++)
            if (d->findings[i].cause == cause) severity = d->findings[i].severity;
        if (cause == DIAGNOSIS_HEALTHY) continue;
        add_sample(out, READ_diagnosis, "cause",
                   slice_str(diagnosis_word((enum diagnosis_cause)cause)), NULL);
        buf_addf(out, "%u\n", (unsigned)severity);
    }
}

static void add_credentials(const struct shared *shared, struct buf *out)
{
    struct rows rows = { 0 };
    add_gauge_head(out, READ_credential_expiry_seconds);
    creds_each(shared->creds, &rows);
    struct wire in = wire_of(buf_slice(&rows.cells));
    while (wire_left(&in) && !in.bad) {
        struct slice login = wire_bytes(&in, wire_u32(&in));
        struct slice expires = wire_bytes(&in, wire_u32(&in));
        add_sample(out, READ_credential_expiry_seconds, "login", login, NULL);
        buf_add_slice(out, expires);
        buf_add_u8(out, '\n');
    }
    rows_fini(&rows);
}

/* Where the table in force is from, and what became of what source and cache said. */
static void add_keeper(const struct route_keeper *keeper, struct buf *out)
{
    struct route_keeper_state s;
    route_keeper_state(keeper, &s);
    if (!s.is_kept) return;
    add_gauge(out, READ_routes_generation, s.generation);
    add_gauge(out, READ_routes_age_seconds, (uint64_t)s.age_s);
    add_gauge_head(out, READ_routes_from);
    add_sample(out, READ_routes_from, "from", slice_str(s.from), NULL);
    buf_add_str(out, "1\n");
    add_gauge(out, READ_routes_cache_up, s.cache_is_up);
    add_gauge_head(out, READ_routes_advice_total);
    for (int a = 0; a <= CACHE_VALIDATE; a++) {
        add_sample(out, READ_routes_advice_total, "advice",
                   slice_str(cache_advice_word((enum cache_advice)a)), NULL);
        buf_addf(out, "%llu\n", (unsigned long long)s.advice[a]);
    }
    add_gauge(out, READ_routes_refused_total, s.refused);
    add_gauge_head(out, READ_routes_failures_total);
    add_sample(out, READ_routes_failures_total, "at", slice_str("source"), NULL);
    buf_addf(out, "%llu\n", (unsigned long long)s.source_failures);
    add_sample(out, READ_routes_failures_total, "at", slice_str("cache"), NULL);
    buf_addf(out, "%llu\n", (unsigned long long)s.cache_failures);
}

static void add_fleet(const struct fleet *fleet, struct buf *out)
{
    struct fleet_state s;
    fleet_state(fleet, &s);
    if (!s.is_used) return;
    add_gauge(out, READ_fleet_up, s.is_up);
    add_gauge(out, READ_fleet_members, s.members);
}

void metrics_page(const struct overview_answer *a, struct buf *out)
{
    const struct overview *o = a->overview;
    const struct history_load *last = history_last(&o->history);
    add_counters(o->shared, out);
    add_histograms(o->shared, out);
    add_pools(a, out);
    add_clusters(o->realm, out);
    add_health(o->realm, out);
    add_routes(o->routes, out);
    add_keeper(o->keeper, out);
    add_fleet(o->shared->fleet, out);
    add_certificates(o->realm, out);
    add_credentials(o->shared, out);
    add_diagnosis(&a->diagnosis, out);
    add_gauge(out, READ_config_generation, o->realm->generation);
    add_gauge(out, READ_config_last_reload_success, !last || last->ok);
    add_gauge(out, READ_draining, atomic_load(&o->shared->draining));
    add_gauge_head(out, READ_worker_cpu_seconds);
    const struct sample *now = samples_at(&o->samples, 0);
    buf_add_str(out, "sluice_worker_cpu_seconds ");
    add_seconds(out, now ? now->busy_us / 1000 : 0);
    buf_add_u8(out, '\n');
    add_gauge_head(out, READ_uptime_seconds);
    buf_addf(out, "sluice_uptime_seconds ");
    add_seconds(out, uv_now(o->uv) - o->shared->started_ms);
    buf_add_u8(out, '\n');
    add_gauge_head(out, READ_build_info);
    buf_add_str(out, "sluice_build_info{version=\"" SLUICE_VERSION "\"} 1\n");
    if (o->realm->config->admin.pgbouncer_names) metrics_page_pgbouncer(a, out);
}
