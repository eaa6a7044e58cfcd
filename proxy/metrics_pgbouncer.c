#include "proxy/metrics_page.h"
#include "proxy/totals.h"
#include "proxy/worker.h"

/* Names, labels and meanings of the exporter's collectors.py, version 1.7 as in Debian. */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP pgbouncer_%s %s\n# TYPE pgbouncer_%s %s\n", name, help, name, type);
}

static void add_one(struct buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    buf_addf(out, "pgbouncer_%s %llu\n", name, (unsigned long long)value);
}

/* What is told per database, or per database and user; pools of one are added up. */
static const struct per_pool {
    const char *name, *type, *help;
    enum pool_number number;
    uint64_t times; /* milliseconds to microseconds */
    bool by_user, largest;
} per_pools[] = {
    { "requests_total", "counter", "SQL requests.", POOL_QUERIES, 1, false, false },
    { "received_bytes_total", "counter", "Bytes from clients.", POOL_RECEIVED_BYTES, 1, false,
      false },
    { "sent_bytes_total", "counter", "Bytes to clients.", POOL_SENT_BYTES, 1, false, false },
    { "query_microseconds_total", "counter", "Time of queries.", POOL_QUERY_MS, 1000, false,
      false },
    { "active_clients", "gauge", "Clients that do not wait.", POOL_CLIENTS_ACTIVE, 1, true, false },
    { "waiting_clients", "gauge", "Clients that wait for a server.", POOL_CLIENTS_WAITING, 1, true,
      false },
    { "pool_size", "gauge", "Servers that a pool may have.", POOL_SIZE, 1, false, true },
};

static bool is_same(const struct per_pool *m, const struct pool_facts *a,
                    const struct pool_facts *b)
{
    return slice_eq(a->database, b->database) && (!m->by_user || slice_eq(a->db_user, b->db_user));
}

/* The first of those that go together speaks for all. */
static bool is_first(const struct per_pool *m, const struct pool_facts *pools, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_same(m, &pools[k], &pools[i])) return false;
    return true;
}

static void add_sample(const struct overview_answer *a, const struct per_pool *m, size_t i,
                       struct buf *out)
{
    uint64_t value = 0;
    for (size_t k = i; k < a->n_pools; k++) {
        uint64_t one = a->pools[k].n[m->number] * m->times;
        if (!is_same(m, &a->pools[i], &a->pools[k])) continue;
        if (!m->largest)
            value += one;
        else if (one > value)
            value = one;
    }
    buf_addf(out, "pgbouncer_%s{database=", m->name);
    metrics_label(out, a->pools[i].database);
    if (m->by_user) {
        buf_add_str(out, ",user=");
        metrics_label(out, a->pools[i].db_user);
    }
    buf_addf(out, "} %llu\n", (unsigned long long)value);
}

static void add_lists(const struct overview_answer *a, struct buf *out)
{
    const struct shared *shared = a->overview->shared;
    const struct config *config = a->overview->realm->config;
    uint64_t idle = totals_metric(shared, METRIC_servers_idle);
    add_one(out, "databases", "Databases: clusters of the configuration.", config->n_clusters);
    add_one(out, "users", "Users of the configuration.", config->n_users);
    add_one(out, "pools", "Pools.", a->n_pools);
    add_one(out, "free_clients", "Always 0.", 0);
    add_one(out, "used_clients", "Clients.", totals_metric(shared, METRIC_clients));
    add_one(out, "free_servers", "Idle servers.", idle);
    add_one(out, "used_servers", "Other servers.", totals_metric(shared, METRIC_servers) - idle);
}

void metrics_page_pgbouncer(const struct overview_answer *a, struct buf *out)
{
    for (size_t i = 0; i < sizeof per_pools / sizeof *per_pools; i++) {
        const struct per_pool *m = &per_pools[i];
        head(out, m->name, m->type, m->help);
        for (size_t k = 0; k < a->n_pools; k++)
            if (is_first(m, a->pools, k)) add_sample(a, m, k, out);
    }
    add_lists(a, out);
}
