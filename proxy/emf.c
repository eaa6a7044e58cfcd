#include "proxy/emf.h"

#include "protocol/json.h"
#include "proxy/overview.h"
#include "proxy/totals.h"

#include <time.h>

/* What a report is made of. */
struct report {
    const struct overview_answer *answer;
    const struct emf *emf;
    const struct sample *now;
    uint64_t counters[METRIC_COUNT];
};

/* ---- values: false, there is none ------------------------------------------------------------ */

typedef bool value(const struct report *r, uint64_t *out);

static bool clients(const struct report *r, uint64_t *out)
{
    *out = r->now->clients;
    return true;
}

static bool waiting(const struct report *r, uint64_t *out)
{
    *out = r->now->waiting;
    return true;
}

static bool servers(const struct report *r, uint64_t *out)
{
    *out = r->now->servers;
    return true;
}

static uint64_t since(const struct report *r, enum metric m)
{
    return r->counters[m] - r->emf->before[m];
}

static bool clients_closed(const struct report *r, uint64_t *out)
{
    uint64_t there = r->emf->sample.clients + since(r, METRIC_clients_accepted);
    *out = there > r->now->clients ? there - r->now->clients : 0;
    return true;
}

static bool sum(const struct report *r, enum pool_number n, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < r->answer->n_pools; i++) *out += r->answer->pools[i].n[n];
    return r->answer->survey != NULL;
}

static bool borrowed(const struct report *r, uint64_t *out)
{
    return sum(r, POOL_SERVERS_ACTIVE, out);
}

static bool pinned(const struct report *r, uint64_t *out)
{
    return sum(r, POOL_SERVERS_PINNED, out);
}

static bool allowed(const struct report *r, uint64_t *out)
{
    const struct config *config = r->answer->overview->realm->config;
    *out = 0;
    for (size_t i = 0; i < config->n_clusters; i++) *out += config->clusters[i].max_connections;
    return true;
}

/* A mean in microseconds, of what happened in the interval. */
static bool mean(uint64_t sum_ms, uint64_t count, uint64_t *out)
{
    *out = count ? sum_ms * 1000 / count : 0;
    return count > 0;
}

static uint64_t queries(const struct report *r) { return r->now->queries - r->emf->sample.queries; }

static uint64_t query_ms(const struct report *r)
{
    return r->now->query_ms - r->emf->sample.query_ms;
}

static uint64_t wait_ms(const struct report *r) { return r->now->wait_ms - r->emf->sample.wait_ms; }

static bool borrow_latency(const struct report *r, uint64_t *out)
{
    return mean(wait_ms(r), since(r, METRIC_attachments), out);
}

static bool database_latency(const struct report *r, uint64_t *out)
{
    return mean(query_ms(r), queries(r), out);
}

static bool response_latency(const struct report *r, uint64_t *out)
{
    return mean(query_ms(r) + wait_ms(r), queries(r), out);
}

static bool severity(const struct report *r, uint64_t *out)
{
    *out = r->answer->diagnosis.findings[0].severity;
    return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct row {
    const char *name, *unit;
    value *value; /* NULL: counted */
    enum metric metric;
} rows[] = {
#define EMF_COUNT(name, metric)         { #name, "Count", NULL, METRIC_##metric },
#define EMF_VALUE(name, unit, function) { #name, unit, function, METRIC_COUNT },
#include "proxy/emf.def"
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void begin(const struct report *r, const char *dimensions, struct buf *out)
{
    const struct config *config = r->answer->overview->realm->config;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    buf_addf(out, "{\"_aws\":{\"Timestamp\":%llu,\"CloudWatchMetrics\":[{\"Namespace\":",
             (unsigned long long)t.tv_sec * 1000 + (unsigned long long)t.tv_nsec / 1000000);
    json_quote(out, slice_str(config->log.emf_namespace));
    buf_addf(out, ",\"Dimensions\":[[%s]],\"Metrics\":[", dimensions);
}

static void end(const struct report *r, struct buf *out)
{
    buf_add_str(out, "]}]},\"ServerId\":");
    json_quote(out, slice_str(r->answer->overview->realm->config->server_id));
}

static void add_proxy(const struct report *r, struct buf *out)
{
    struct buf values = { 0 };
    const char *comma = "";
    begin(r, "\"ServerId\"", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t number = 0;
        if (rows[i].value && !rows[i].value(r, &number)) continue;
        if (!rows[i].value) number = since(r, rows[i].metric);
        buf_addf(out, "%s{\"Name\":\"%s\",\"Unit\":\"%s\"}", comma, rows[i].name, rows[i].unit);
        buf_addf(&values, ",\"%s\":%llu", rows[i].name, (unsigned long long)number);
        comma = ",";
    }
    end(r, out);
    buf_add_slice(out, buf_slice(&values));
    buf_add_str(out, "}\n");
    out->failed |= values.failed;
    buf_fini(&values);
}

static void add_cluster(const struct report *r, const struct realm_cluster *c, struct buf *out)
{
    begin(r, "\"ServerId\",\"Cluster\"", out);
    buf_add_str(out, "{\"Name\":\"DatabaseConnections\",\"Unit\":\"Count\"},"
                     "{\"Name\":\"MaxDatabaseConnectionsAllowed\",\"Unit\":\"Count\"}");
    end(r, out);
    buf_add_str(out, ",\"Cluster\":");
    json_quote(out, slice_str(c->config->name));
    buf_addf(out, ",\"DatabaseConnections\":%u,\"MaxDatabaseConnectionsAllowed\":%u}\n",
             atomic_load(&c->budget->taken), c->config->max_connections);
}

void emf_lines(struct emf *e, const struct overview_answer *a, struct buf *out)
{
    struct report r = { .answer = a, .emf = e, .now = samples_at(&a->overview->samples, 0) };
    const struct realm *realm = a->overview->realm;
    if (!r.now) return;
    for (unsigned m = 0; m < METRIC_COUNT; m++)
        r.counters[m] = totals_metric(a->overview->shared, (enum metric)m);
    add_proxy(&r, out);
    for (size_t i = 0; i < realm->config->n_clusters; i++)
        add_cluster(&r, &realm->clusters[i], out);
    memcpy(e->before, r.counters, sizeof e->before);
    e->sample = *r.now;
}
