#include "proxy/metrics_page.h"

#include "protocol/wire.h"
#include "proxy/worker.h"

/* ---- what workers say of their pools -----------------------------------------------------------
 */

enum pool_number {
    POOL_SERVERS_LOGIN,
    POOL_SERVERS_IDLE,
    POOL_SERVERS_ACTIVE,
    POOL_SERVERS_CLOSING,
    POOL_CLIENTS_ACTIVE,
    POOL_CLIENTS_WAITING,
    POOL_SIZE,
    POOL_PAUSED,
    POOL_MAX_WAIT_MS,
    POOL_NUMBERS
};

/* On the way between threads a pool is its name and its numbers, 8 bytes each. */
void metrics_visit(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    uint64_t now = env_now_ms(&w->env);
    while ((p = map_next(&w->pools, &at))) {
        const struct pool_ticket *first =
            list_is_empty(&p->line) ? NULL : list_item(p->line.next, struct pool_ticket, node);
        const uint64_t numbers[POOL_NUMBERS] = {
            [POOL_SERVERS_LOGIN] = p->count[POOL_OPENING],
            [POOL_SERVERS_IDLE] = p->count[POOL_IDLE],
            [POOL_SERVERS_ACTIVE] = p->count[POOL_BUSY],
            [POOL_SERVERS_CLOSING] = p->count[POOL_LEAVING],
            [POOL_CLIENTS_ACTIVE] = p->n_sessions - p->n_line,
            [POOL_CLIENTS_WAITING] = p->n_line,
            [POOL_SIZE] = p->settings.size,
            [POOL_PAUSED] = p->paused,
            [POOL_MAX_WAIT_MS] = first ? now - first->since_ms : 0,
        };
        rows_text(&part->rows, slice_str(p->key));
        rows_text(&part->rows, slice_of(numbers, sizeof numbers));
    }
}

static bool next_pool(struct wire *in, struct slice *name, uint64_t numbers[POOL_NUMBERS])
{
    if (wire_left(in) == 0) return false;
    *name = wire_bytes(in, wire_u32(in));
    struct slice bytes = wire_bytes(in, wire_u32(in));
    if (in->bad || bytes.len != POOL_NUMBERS * sizeof *numbers) return false;
    memcpy(numbers, bytes.at, bytes.len);
    return true;
}

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
        uint64_t sum = 0;
        for (unsigned i = 0; i < shared->n_workers; i++)
            sum += metrics_get(&shared->workers[i]->env.metrics, (enum metric)m);
        head(out, info->name, suffix, info->is_counter ? "counter" : "gauge", info->help);
        buf_addf(out, "sluice_%s%s %llu\n", info->name, suffix, (unsigned long long)sum);
    }
}

static uint64_t bucket_of(const struct shared *shared, unsigned h, unsigned bucket)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < shared->n_workers; i++)
        sum += __atomic_load_n(&shared->workers[i]->env.metrics.histogram[h].bucket[bucket],
                               __ATOMIC_RELAXED);
    return sum;
}

static void add_seconds(struct buf *out, uint64_t ms)
{
    buf_addf(out, "%llu.%03u", (unsigned long long)ms / 1000, (unsigned)(ms % 1000));
}

static void add_histograms(const struct shared *shared, struct buf *out)
{
    for (unsigned h = 0; h < HISTOGRAM_COUNT; h++) {
        const struct metric_info *info = &histogram_infos[h];
        uint64_t seen = 0, sum_ms = 0;
        head(out, info->name, "", "histogram", info->help);
        for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++) {
            seen += bucket_of(shared, h, b);
            buf_addf(out, "sluice_%s_bucket{le=\"", info->name);
            if (b < HISTOGRAM_BOUNDS)
                buf_addf(out, "%g", histogram_bounds_ms[b] / 1000.0);
            else
                buf_add_str(out, "+Inf");
            buf_addf(out, "\"} %llu\n", (unsigned long long)seen);
        }
        for (unsigned i = 0; i < shared->n_workers; i++)
            sum_ms += __atomic_load_n(&shared->workers[i]->env.metrics.histogram[h].sum_ms,
                                      __ATOMIC_RELAXED);
        buf_addf(out, "sluice_%s_sum ", info->name);
        add_seconds(out, sum_ms);
        buf_addf(out, "\nsluice_%s_count %llu\n", info->name, (unsigned long long)seen);
    }
}

static void add_gauge_head(struct buf *out, enum read_gauge which)
{
    head(out, read_gauge_infos[which].name, "", "gauge", read_gauge_infos[which].help);
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
};

static void add_pool_gauge(const struct survey *s, const struct pool_gauge *g, struct buf *out)
{
    struct slice name;
    uint64_t numbers[POOL_NUMBERS];
    for (unsigned i = 0; i < s->n_parts; i++) {
        struct wire in = wire_of(buf_slice(&s->parts[i].rows.cells));
        while (next_pool(&in, &name, numbers)) {
            add_sample(out, g->gauge, "pool", name, g->state);
            if (g->number == POOL_MAX_WAIT_MS)
                add_seconds(out, numbers[g->number]);
            else
                buf_addf(out, "%llu", (unsigned long long)numbers[g->number]);
            buf_add_u8(out, '\n');
        }
    }
}

/* Samples of one name stand together, and one series appears once: a pool is of one worker. */
static void add_pools(const struct survey *s, struct buf *out)
{
    for (size_t i = 0; i < sizeof pool_gauges / sizeof *pool_gauges; i++) {
        const struct pool_gauge *g = &pool_gauges[i];
        if (i == 0 || pool_gauges[i - 1].gauge != g->gauge) add_gauge_head(out, g->gauge);
        add_pool_gauge(s, g, out);
    }
}

static void add_clusters(const struct realm *realm, struct buf *out)
{
    for (int max = 0; max < 2; max++) {
        enum read_gauge which = max ? READ_cluster_max_connections : READ_cluster_connections;
        add_gauge_head(out, which);
        for (size_t i = 0; i < realm->config->n_clusters; i++) {
            const struct realm_cluster *c = &realm->clusters[i];
            add_sample(out, which, "cluster", slice_str(c->config->name), NULL);
            buf_addf(out, "%u\n",
                     max ? c->config->max_connections : atomic_load(&c->budget->taken));
        }
    }
}

static void add_certificates(const struct realm *realm, struct buf *out)
{
    add_gauge_head(out, READ_tls_certificate_expiry_seconds);
    for (size_t i = 0; i < realm->config->n_listen; i++) {
        if (!realm->listens[i].tls) continue;
        add_sample(out, READ_tls_certificate_expiry_seconds, "listen",
                   slice_str(realm->config->listen[i].address.text), NULL);
        buf_addf(out, "%lld\n", (long long)tls_context_not_after(realm->listens[i].tls));
    }
}

void metrics_page(const struct survey *s, const struct metrics_facts *facts, struct buf *out)
{
    add_counters(facts->shared, out);
    add_histograms(facts->shared, out);
    add_pools(s, out);
    add_clusters(facts->realm, out);
    add_certificates(facts->realm, out);
    add_gauge(out, READ_config_generation, facts->realm->generation);
    add_gauge(out, READ_config_last_reload_success, facts->last_reload_ok);
    add_gauge(out, READ_draining, atomic_load(&facts->shared->draining));
    add_gauge_head(out, READ_uptime_seconds);
    buf_addf(out, "sluice_uptime_seconds ");
    add_seconds(out, facts->now_ms - facts->shared->started_ms);
    buf_add_u8(out, '\n');
    add_gauge_head(out, READ_build_info);
    buf_add_str(out, "sluice_build_info{version=\"" SLUICE_VERSION "\"} 1\n");
}
