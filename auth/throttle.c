#include "auth/throttle.h"

#include <stdlib.h>

/* A tick is 64 ms: 32 bits of them last eight years. */
enum {
    TICK_SHIFT = 6,
    REFUSAL_TICKS = THROTTLE_REFUSAL_MS >> TICK_SHIFT,
};

/* What is remembered of one address, or of one address and name. */
struct record {
    uint64_t hash; /* 0: free */
    uint32_t refused_until;
    uint32_t failures; /* how many were noted; the last THROTTLE_FAILURES are in `at` */
    uint32_t at[THROTTLE_FAILURES];
};

/* Sets of eight: a record lives in the set that its hash names, so that looking costs one place in
 * memory and the table never grows. 2^18 records hold 10^5 addresses with their names. */
enum { WAYS = 8, SETS = 1 << 15 };

struct throttle {
    struct map_seed seed;
    struct record records[SETS * WAYS];
};
_Static_assert(sizeof(struct throttle) <= THROTTLE_MEMORY_MAX_BYTES, "bounded memory");

struct throttle *throttle_new(struct map_seed seed)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (t) t->seed = seed;
    return t;
}

void throttle_free(struct throttle *t) { free(t); }

/* Ticks start at 1, so that a zeroed record lies in the past. */
static uint32_t tick_of(uint64_t now_ms) { return (uint32_t)(now_ms >> TICK_SHIFT) + 1; }

/* ---- finding ------------------------------------------------------------------------------ */

enum { ADDRESS_MAX_BYTES = 8, USER_MAX_BYTES = 256 };

/* One hash over the address's part that counts and, behind a mark, the name. A name that is too
 * long to be a user's is cut: it can not succeed anyway. */
static uint64_t hash_of(const struct throttle *t, struct slice address, const struct slice *user)
{
    char key[2 + ADDRESS_MAX_BYTES + USER_MAX_BYTES];
    size_t len = 0, address_len = address.len < ADDRESS_MAX_BYTES ? address.len : ADDRESS_MAX_BYTES;
    key[len++] = (char)address_len;
    if (address_len) memcpy(key + len, address.at, address_len);
    len += address_len;
    key[len++] = user ? 'u' : 'a';
    if (user && user->len) {
        size_t n = user->len < USER_MAX_BYTES ? user->len : USER_MAX_BYTES;
        memcpy(key + len, user->at, n);
        len += n;
    }
    uint64_t hash = map_hash(t->seed, slice_of(key, len));
    return hash ? hash : 1;
}

static size_t set_of(uint64_t hash) { return (size_t)(hash >> 32) % SETS * WAYS; }

static const struct record *find(const struct throttle *t, uint64_t hash)
{
    const struct record *set = &t->records[set_of(hash)];
    for (int i = 0; i < WAYS; i++)
        if (set[i].hash == hash) return &set[i];
    return NULL;
}

static uint32_t last_failure(const struct record *r)
{
    return r->failures ? r->at[(r->failures - 1) % THROTTLE_FAILURES] : 0;
}

static bool is_refused(const struct record *r, uint32_t tick)
{
    /* The difference is taken modulo 2^32, so that a clock that wraps does no harm. */
    return r->refused_until && (int32_t)(r->refused_until - tick) > 0;
}

/* Finds or makes; somebody has to go when the set is full: who is not refused before who is, then
 * whose last failure is longest ago. */
static struct record *take(struct throttle *t, uint64_t hash, uint32_t tick)
{
    struct record *set = &t->records[set_of(hash)], *victim = &set[0];
    for (int i = 0; i < WAYS; i++) {
        struct record *r = &set[i];
        if (r->hash == hash) return r;
        if (!victim->hash) continue;
        bool r_refused = is_refused(r, tick), victim_refused = is_refused(victim, tick);
        bool r_is_older = tick - last_failure(r) > tick - last_failure(victim);
        if (!r->hash || r_refused < victim_refused || (r_refused == victim_refused && r_is_older))
            victim = r;
    }
    *victim = (struct record){ .hash = hash };
    return victim;
}

/* ---- counting ----------------------------------------------------------------------------- */

/* How many of the remembered failures are within the window: 0..THROTTLE_FAILURES. */
static uint32_t recent(const struct record *r, const struct throttle_rule *rule, uint32_t tick)
{
    uint32_t n = r->failures < THROTTLE_FAILURES ? r->failures : THROTTLE_FAILURES, sum = 0;
    uint64_t window_ticks = rule->window_ms >> TICK_SHIFT;
    for (uint32_t i = 0; i < n; i++) sum += tick - r->at[i] <= window_ticks;
    return sum;
}

static void note(struct record *r, uint32_t tick)
{
    r->at[r->failures++ % THROTTLE_FAILURES] = tick;
    /* Kept from wrapping; which slot comes next stays the same. */
    if (r->failures == 2 * THROTTLE_FAILURES) r->failures = THROTTLE_FAILURES;
}

bool throttle_refuses(const struct throttle *t, struct slice address, struct slice user,
                      uint64_t now_ms)
{
    const struct record *r = find(t, hash_of(t, address, &user));
    return r && is_refused(r, tick_of(now_ms));
}

void throttle_failed(struct throttle *t, const struct throttle_rule *rule, struct slice address,
                     struct slice user, uint64_t now_ms)
{
    uint32_t tick = tick_of(now_ms);
    note(take(t, hash_of(t, address, NULL), tick), tick);
    struct record *r = take(t, hash_of(t, address, &user), tick);
    note(r, tick);
    if (rule->failures == 0 || recent(r, rule, tick) < rule->failures) return;
    r->failures = 0; /* after the refusal the count begins anew */
    r->refused_until = tick + REFUSAL_TICKS;
}

void throttle_succeeded(struct throttle *t, struct slice address, struct slice user)
{
    const struct record *r = find(t, hash_of(t, address, &user));
    if (r) t->records[r - t->records] = (struct record){ 0 };
}

uint32_t throttle_delay_ms(const struct throttle *t, const struct throttle_rule *rule,
                           struct slice address, uint64_t now_ms)
{
    const struct record *r = find(t, hash_of(t, address, NULL));
    uint32_t failures = r ? recent(r, rule, tick_of(now_ms)) : 0;
    /* The first is anybody's slip of the finger. */
    if (failures < 2) return 0;
    uint32_t delay = (uint32_t)THROTTLE_DELAY_MIN_MS << (failures - 2);
    return delay < THROTTLE_DELAY_MAX_MS ? delay : THROTTLE_DELAY_MAX_MS;
}
