#include "proxy/lease.h"

/* ARGV: who, the latest moment (0: what time is it?), held, wanted, limit, size, life in ms.
 * Returns: leased (-1: too late), asked to hold no more than, the time, whether that must be. */
const char lease_script[] =
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
    "local function read(entry)\n"
    "  local lease, want, ends, came = string.match(entry, '^(%d+) (%d+) (%d+) (%d+)$')\n"
    "  if lease and tonumber(ends) > now then\n"
    "    return tonumber(lease), tonumber(want), tonumber(came)\n"
    "  end\n"
    "end\n"
    "local all = redis.call('HGETALL', key)\n"
    "local n, taken, unmet, wants = 0, 0, 0, {}\n"
    "local _, _, since = read(redis.call('HGET', key, me) or '')\n"
    "local known = since ~= nil\n"
    "since = since or now\n"
    "for i = 1, #all, 2 do\n"
    "  if all[i] ~= 'born' then\n"
    "    local lease, want, came = read(all[i + 1])\n"
    "    if not lease then redis.call('HDEL', key, all[i])\n"
    "    elseif all[i] ~= me then\n"
    /* Who has just come may be in the place of one that died, whose entry is still there; then one
     * that has been cut off is not counted: with a share for it, all is well. */
    "      local fresh = math.max(came, since) + life > now\n"
    "      local has = math.max(lease, fresh and share or sure)\n"
    "      n, taken = n + 1, taken + has\n"
    "      unmet = unmet + math.max(0, want - has)\n"
    "      wants[n] = math.max(want, sure)\n"
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
    "redis.call('HSET', key, me, string.format('%d %d %.0f %.0f', lease, wanted, now + life, "
    "since))\n"
    "redis.call('PEXPIRE', key, life * 20)\n"
    "return { lease, target, now, must }\n";

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t most(uint32_t a, uint32_t b) { return a > b ? a : b; }

static uint32_t share_of(const struct lease *l) { return l->limit / l->size; }
static uint32_t sure_of(const struct lease *l) { return share_of(l) / 2; }

/* Without a lease: what is ours whatever the others do. */
static uint32_t allowed_alone(const struct lease *l, uint64_t now_ms)
{
    if (now_ms >= l->alone_ms + 5 * l->life_ms / 2) return share_of(l);
    /* Not more than before its end: of what was given back, Redis may know. */
    return most(least(least(l->leased, l->target), share_of(l)), sure_of(l));
}

uint32_t lease_allowed(const struct lease *l, uint64_t now_ms)
{
    uint32_t leased = most(least(l->leased, l->target), sure_of(l));
    if (!l->ends_ms || now_ms >= l->ends_ms) return allowed_alone(l, now_ms);
    /* It was not renewed for long: time to make room. */
    if (now_ms + l->life_ms / 2 >= l->ends_ms)
        return least(leased, most(least(l->leased, share_of(l)), sure_of(l)));
    return leased;
}

static bool must_force(struct lease *l, uint64_t now_ms)
{
    if (!l->excess_ms) l->excess_ms = now_ms;
    uint64_t half = l->excess_ms + l->life_ms / 2;
    bool ends =
        l->ends_ms ? now_ms + l->life_ms / 10 + LEASE_TICK_MS >= l->ends_ms : now_ms >= half;
    return ends || (l->must_shrink && now_ms >= half);
}

uint32_t lease_excess(struct lease *l, uint64_t now_ms, uint32_t taken, bool *force)
{
    uint32_t allowed = lease_allowed(l, now_ms);
    *force = false;
    if (taken <= allowed) {
        l->excess_ms = 0;
        return 0;
    }
    *force = must_force(l, now_ms);
    return taken - allowed;
}

void lease_ask(struct lease *l, uint64_t now_ms, uint32_t taken, uint32_t hungry,
               int64_t request[LEASE_REQUEST])
{
    l->held = most(lease_allowed(l, now_ms), taken);
    request[0] = l->has_clock ? (int64_t)(now_ms + (uint64_t)l->clock_ms + l->life_ms / 4) : 0;
    request[1] = l->held;
    request[2] = least(l->limit, taken + most(hungry, 1));
    request[3] = l->limit;
    request[4] = l->size;
    request[5] = (int64_t)l->life_ms;
    l->asked_ms = now_ms;
    l->due_ms = now_ms + l->life_ms / 5;
    /* Whether an answer comes or not: by this, Redis may count us with less than our share. */
    if (l->held < share_of(l)) l->alone_ms = now_ms;
}

void lease_lost(struct lease *l) { l->has_clock = false; }

/* What anybody may have written there: no more than there is. */
static uint32_t within(const struct lease *l, int64_t said)
{
    return said < 0 ? 0 : said > l->limit ? l->limit : (uint32_t)said;
}

bool lease_answered(struct lease *l, uint64_t now_ms, const int64_t answer[LEASE_ANSWER])
{
    int64_t leased = answer[0];
    /* It was no later there: else a request that lies about could be carried out too late. */
    l->clock_ms = (int64_t)((uint64_t)answer[2] - now_ms);
    l->due_ms = l->has_clock ? l->asked_ms + l->life_ms / 5 : 0;
    l->has_clock = true;
    if (leased < 0) return false;
    if (leased == 0 && answer[1] == 0 && sure_of(l) > 0) {
        /* As many as there should be are there; one of them may be gone without a word. */
        if (!l->ends_ms || l->asked_ms >= l->ends_ms) l->alone_ms = l->asked_ms;
        return false;
    }
    l->leased = within(l, leased);
    l->target = within(l, answer[1]);
    l->must_shrink = answer[3] != 0;
    l->ends_ms = l->alone_ms = l->asked_ms + l->life_ms;
    return true;
}
