/* fleet_lease: how many connections to each cluster this proxy may have, asked of Redis again and
 * again, and obeyed. The arithmetic is lease.h's. */
#include "proxy/fleet_parts.h"
#include "proxy/worker.h"

#include <stdlib.h>

static void apply(struct fleet_lease *l)
{
    uint64_t now = fleet_now_ms(l->fleet);
    uint32_t taken = atomic_load(&l->budget->taken);
    bool force;
    atomic_store(&l->budget->allowed, lease_allowed(&l->lease, now));
    uint32_t excess = lease_excess(&l->lease, now, taken, &force);
    atomic_store(&l->budget->excess, (int)excess);
    for (unsigned i = 0; excess && i < l->fleet->shared->n_workers; i++)
        worker_shrink(l->fleet->shared->workers[i], l->budget, force);
}

/* ---- renewing ------------------------------------------------------------------------------- */

static void on_renewed(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct fleet_lease *l = owner;
    struct fleet *f = l->fleet;
    int64_t answer[LEASE_ANSWER];
    l->under_way = false;
    if (!f->config->fleet.share_connections) return;
    if (err || reply->type != REDIS_ARRAY || reply->count != LEASE_ANSWER) {
        metrics_add(&f->shared->metrics, METRIC_leases_not_renewed, 1);
        if (err && !l->told)
            log_event(f->log, EVENT_fleet_no_lease, LOG_TEXT("cluster", l->name),
                      LOG_TEXT("why", err->message), LOG_END);
        l->told = true;
        lease_lost(&l->lease);
        return;
    }
    for (size_t i = 0; i < LEASE_ANSWER; i++) answer[i] = reply->elements[i].integer;
    l->told = false;
    if (lease_answered(&l->lease, fleet_now_ms(f), answer)) apply(l);
}

static void renew(struct fleet_lease *l)
{
    struct fleet *f = l->fleet;
    enum { WORDS = 5 + LEASE_REQUEST };
    char me[24], text[LEASE_REQUEST][24];
    int64_t request[LEASE_REQUEST];
    struct buf key = { 0 };
    struct err err;
    uv_update_time(f->uv);
    lease_ask(&l->lease, fleet_now_ms(f), atomic_load(&l->budget->taken),
              atomic_exchange(&l->budget->hungry, 0), request);
    snprintf(me, sizeof me, "%016llx", (unsigned long long)f->from);
    buf_addf(&key, "sluice:{%.*s}:lease:%s", SLICE_ARG(f->trust.trust.scope), l->name);
    struct slice words[WORDS] = { slice_str("EVAL"), slice_str(lease_script), slice_str("1"),
                                  buf_slice(&key), slice_str(me) };
    for (size_t i = 0; i < LEASE_REQUEST; i++) {
        snprintf(text[i], sizeof text[i], "%lld", (long long)request[i]);
        words[5 + i] = slice_str(text[i]);
    }
    l->under_way = !key.failed && redis_send(f->redis, words, WORDS, on_renewed, l, &err);
    buf_fini(&key);
}

void fleet_lease_tick(struct fleet *f)
{
    if (!f->config->fleet.share_connections) return; /* no longer: they are about to go */
    for (size_t i = 0; i < f->n_leases; i++) {
        struct fleet_lease *l = f->leases[i];
        apply(l);
        if (!l->under_way && f->redis && redis_is_ready(f->redis) &&
            fleet_now_ms(f) >= l->lease.due_ms)
            renew(l);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct fleet_lease *lease_for(struct fleet *f, const char *name)
{
    for (size_t i = 0; i < f->n_leases; i++)
        if (strcmp(f->leases[i]->name, name) == 0) return f->leases[i];
    struct fleet_lease **more = realloc(f->leases, (f->n_leases + 1) * sizeof *more);
    if (!more) return NULL;
    f->leases = more;
    struct fleet_lease *l = calloc(1, sizeof *l);
    struct budget *budget = budgets_find(&f->shared->budgets, name);
    if (!l || !budget || !(l->name = strdup(name))) {
        free(l);
        return NULL;
    }
    l->fleet = f;
    l->budget = budget;
    l->lease.alone_ms = fleet_now_ms(f);
    f->leases[f->n_leases++] = l;
    return l;
}

void fleet_lease_free(struct fleet *f)
{
    for (size_t i = 0; i < f->n_leases; i++) {
        free(f->leases[i]->name);
        free(f->leases[i]);
    }
    free(f->leases);
    f->leases = NULL;
    f->n_leases = 0;
}

bool fleet_lease_reload(struct fleet *f)
{
    const struct config *config = f->config;
    bool ok = true;
    if (!config->fleet.share_connections) {
        for (size_t i = 0; i < f->n_leases; i++)
            atomic_store(&f->leases[i]->budget->allowed, BUDGET_ALL);
        fleet_lease_free(f);
        return true;
    }
    for (size_t i = 0; i < config->n_clusters; i++) {
        struct fleet_lease *l = lease_for(f, config->clusters[i].name);
        ok = ok && l;
        if (!l) continue;
        l->lease.limit = config->clusters[i].max_connections;
        l->lease.size = config->fleet.size;
        l->lease.life_ms = config->fleet.lease_ms;
        l->lease.has_clock = false;
        l->lease.due_ms = 0;
        apply(l);
    }
    return ok;
}
