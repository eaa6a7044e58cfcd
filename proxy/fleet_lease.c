/* fleet_lease: how many connections to each cluster this proxy may have (fleet.share_connections).
 *
 * Of `limit` = clusters.NAME.max_connections and `size` = fleet.size proxies, each has
 *
 *      share = limit / size          what it may have when it has long been alone
 *      sure  = share / 2             always, without asking
 *      lease                         what Redis gives it for a while, renewed five times in it
 *
 * Redis keeps  sum of max(lease, sure) of those who are there + share for each who is not <= limit,
 * so whoever cannot reach Redis finds its share kept free:
 *
 *      leased --not renewed--> min(lease, share): idle servers closed, at the end busy ones, too
 *             --two leases later: the others have made room--> share
 *
 * An entry is never lowered below what its proxy still holds: it is asked to hold less, does, and
 * then says so. A hash that is new (Redis was emptied) lets nobody grow until all earlier leases
 * have ended. A request that lay about (Redis was stopped) does nothing: it names the latest moment
 * at which it may be carried out, by Redis's own clock.
 */
#include "proxy/fleet_parts.h"
#include "proxy/worker.h"

#include <stdlib.h>

/* KEYS: the cluster's hash. ARGV: who, the latest moment (0: what time is it?), held, wanted,
 * limit, size, life in ms. Returns: leased (-1: too late), asked to hold no more than, the time,
 * whether that must be. */
static const char script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local me, key = ARGV[1], KEYS[1]\n"
    "if now > tonumber(ARGV[2]) then return { -1, 0, now, 0 } end\n"
    "local held, wanted, limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local size, life = tonumber(ARGV[6]), tonumber(ARGV[7])\n"
    "local share = math.floor(limit / size)\n"
    "local sure = math.floor(share / 2)\n"
    "local kind = redis.call('TYPE', key).ok\n"
    "if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end\n"
    "local born = tonumber(redis.call('HGET', key, 'born') or '')\n"
    "if not born or born > now then\n"
    "  born = now\n"
    "  redis.call('HSET', key, 'born', string.format('%.0f', now))\n"
    "end\n"
    "local all = redis.call('HGETALL', key)\n"
    "local n, taken, unmet, known, wants = 0, 0, 0, false, {}\n"
    "for i = 1, #all, 2 do\n"
    "  if all[i] ~= 'born' then\n"
    "    local lease, want, ends = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')\n"
    "    if not lease or tonumber(ends) <= now then redis.call('HDEL', key, all[i])\n"
    "    elseif all[i] == me then known = true\n"
    "    else\n"
    "      local has = math.max(tonumber(lease), sure)\n"
    "      n, taken = n + 1, taken + has\n"
    "      unmet = unmet + math.max(0, tonumber(want) - has)\n"
    "      wants[n] = math.max(tonumber(want), sure)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if not known and n >= size then return { 0, 0, now, 0 } end\n"
    "local kept = math.max(0, size - n - 1) * share\n"
    "local free = limit - taken - kept\n"
    "local base = math.max(held, sure)\n"
    "local lease = math.max(base, math.min(wanted, free))\n"
    "if now < born + life then lease = base end\n"
    /* Who wants less than an even part leaves the rest to the others. */
    "local even, rest, greedy = math.floor((limit - kept) / (n + 1)), limit - kept, 1\n"
    "for i = 1, n do\n"
    "  if wants[i] < even then rest = rest - wants[i] else greedy = greedy + 1 end\n"
    "end\n"
    "local fair = math.floor(rest / greedy)\n"
    "local keep = math.max(sure, math.min(wanted, fair))\n"
    "local target = lease\n"
    "if lease > keep then\n"
    "  target = math.max(keep, lease - math.max(0, unmet - math.max(0, free - lease)))\n"
    "end\n"
    "local must = 0\n"
    "if target > free then target, must = math.max(free, sure), 1 end\n"
    "lease = math.max(base, target)\n"
    "redis.call('HSET', key, me, string.format('%d %d %.0f', lease, wanted, now + life))\n"
    "redis.call('PEXPIRE', key, life * 20)\n"
    "return { lease, target, now, must }\n";

static uint32_t share_of(const struct fleet_lease *l)
{
    return l->limit / l->fleet->config->fleet.size;
}

static uint32_t sure_of(const struct fleet_lease *l) { return share_of(l) / 2; }

static uint64_t life_ms(const struct fleet_lease *l) { return l->fleet->config->fleet.lease_ms; }

/* ---- what may be used ----------------------------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t most(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Without a lease: what is ours whatever the others do. */
static uint32_t allowed_alone(const struct fleet_lease *l, uint64_t now)
{
    if (now >= l->alone_ms + 2 * life_ms(l)) return share_of(l);
    return most(least(l->leased, share_of(l)), sure_of(l));
}

static uint32_t allowed_now(const struct fleet_lease *l, uint64_t now)
{
    uint32_t leased = most(least(l->leased, l->target), sure_of(l));
    if (!l->ends_ms || now >= l->ends_ms) return allowed_alone(l, now);
    /* It was not renewed for long: time to make room. */
    if (now + life_ms(l) / 2 >= l->ends_ms)
        return least(leased, most(least(l->leased, share_of(l)), sure_of(l)));
    return leased;
}

/* Servers that are at work are ended only where the sum would be too large otherwise: at the end of
 * the lease, or when others have had to be given room for as long as half a lease. */
static bool must_force(struct fleet_lease *l, uint64_t now)
{
    if (!l->excess_ms) l->excess_ms = now;
    uint64_t half = l->excess_ms + life_ms(l) / 2;
    bool ends = l->ends_ms ? now + life_ms(l) / 10 + FLEET_TICK_MS >= l->ends_ms : now >= half;
    return ends || (l->must_shrink && now >= half);
}

static void apply(struct fleet_lease *l)
{
    uint64_t now = fleet_now_ms(l->fleet);
    uint32_t allowed = allowed_now(l, now);
    atomic_store(&l->budget->allowed, allowed);
    uint32_t taken = atomic_load(&l->budget->taken);
    if (taken <= allowed) {
        atomic_store(&l->budget->excess, 0);
        l->excess_ms = 0;
        return;
    }
    bool force = must_force(l, now);
    atomic_store(&l->budget->excess, (int)(taken - allowed));
    for (unsigned i = 0; i < l->fleet->shared->n_workers; i++)
        worker_shrink(l->fleet->shared->workers[i], l->budget, force);
}

/* ---- renewing ------------------------------------------------------------------------------- */

static void on_renewed(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct fleet_lease *l = owner;
    struct fleet *f = l->fleet;
    l->under_way = false;
    if (!f->config->fleet.share_connections) return;
    if (err || reply->type != REDIS_ARRAY || reply->count != 4) {
        metrics_add(&f->shared->metrics, METRIC_leases_not_renewed, 1);
        if (err && !l->told)
            log_event(f->log, EVENT_fleet_no_lease, LOG_TEXT("cluster", l->name),
                      LOG_TEXT("why", err->message), LOG_END);
        l->told = true;
        l->has_clock = false;
        return;
    }
    const struct redis_reply *n = reply->elements;
    int64_t leased = n[0].integer;
    l->clock_ms = n[2].integer - (int64_t)l->asked_ms;
    l->told = false;
    l->due_ms = l->has_clock ? l->asked_ms + life_ms(l) / 5 : 0;
    l->has_clock = true;
    if (leased < 0) return;
    if (leased == 0 && n[1].integer == 0 && sure_of(l) > 0) {
        /* As many as there should be are there; one of them may be gone without a word. */
        if (!l->ends_ms || l->asked_ms >= l->ends_ms) l->alone_ms = l->asked_ms;
        return;
    }
    l->leased = (uint32_t)leased;
    l->target = (uint32_t)n[1].integer;
    l->must_shrink = n[3].integer != 0;
    l->ends_ms = l->alone_ms = l->asked_ms + life_ms(l);
    apply(l);
}

static void renew(struct fleet_lease *l)
{
    struct fleet *f = l->fleet;
    char me[24], text[6][24];
    struct buf key = { 0 };
    struct err err;
    uv_update_time(f->uv);
    uint64_t now = fleet_now_ms(f);
    uint32_t taken = atomic_load(&l->budget->taken);
    uint32_t hungry = atomic_exchange(&l->budget->hungry, 0);
    l->held = most(allowed_now(l, now), taken);
    snprintf(me, sizeof me, "%016llx", (unsigned long long)f->from);
    int64_t latest = l->has_clock ? (int64_t)now + l->clock_ms + (int64_t)life_ms(l) / 4 : 0;
    snprintf(text[0], sizeof text[0], "%lld", (long long)latest);
    snprintf(text[1], sizeof text[1], "%u", l->held);
    snprintf(text[2], sizeof text[2], "%u", least(l->limit, taken + most(hungry, 1)));
    snprintf(text[3], sizeof text[3], "%u", l->limit);
    snprintf(text[4], sizeof text[4], "%u", f->config->fleet.size);
    snprintf(text[5], sizeof text[5], "%llu", (unsigned long long)life_ms(l));
    buf_addf(&key, "sluice:{%.*s}:lease:%s", SLICE_ARG(f->trust.trust.scope), l->name);
    struct slice words[] = { slice_str("EVAL"),  slice_str(script),  slice_str("1"),
                             buf_slice(&key),    slice_str(me),      slice_str(text[0]),
                             slice_str(text[1]), slice_str(text[2]), slice_str(text[3]),
                             slice_str(text[4]), slice_str(text[5]) };
    l->asked_ms = now;
    l->due_ms = now + life_ms(l) / 5;
    l->under_way = !key.failed &&
                   redis_send(f->redis, words, sizeof words / sizeof *words, on_renewed, l, &err);
    buf_fini(&key);
}

void fleet_lease_tick(struct fleet *f)
{
    if (!f->config->fleet.share_connections) return; /* no longer: they are about to go */
    for (size_t i = 0; i < f->n_leases; i++) {
        struct fleet_lease *l = f->leases[i];
        apply(l);
        if (!l->under_way && f->redis && redis_is_ready(f->redis) && fleet_now_ms(f) >= l->due_ms)
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
    l->alone_ms = fleet_now_ms(f);
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
        l->limit = config->clusters[i].max_connections;
        l->has_clock = false;
        l->due_ms = 0;
        apply(l);
    }
    return ok;
}
