#include "protocol/map.h"

#include <stdlib.h>

static uint64_t rotl(uint64_t v, unsigned n) { return v << n | v >> (64 - n); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t map_hash(struct map_seed seed, struct slice bytes)
{
    uint64_t v[4] = { seed.k0 ^ 0x736f6d6570736575u, seed.k1 ^ 0x646f72616e646f6du,
                      seed.k0 ^ 0x6c7967656e657261u, seed.k1 ^ 0x7465646279746573u };
    const char *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = 0;
    if (left) memcpy(&last, at, left);
    last |= (uint64_t)bytes.len << 56;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, struct map_seed seed) { *m = (struct map){ .seed = seed }; }

void map_fini(struct map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->count = m->cap = 0;
}

/* The slot that holds `key`, or the free one where it would go. The map is never full. */
static struct map_slot *find(const struct map *m, uint64_t hash, struct slice key)
{
    uint32_t mask = m->cap - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];
        if (!s->key.at || (s->hash == hash && slice_eq(s->key, key))) return s;
    }
}

void *map_get(const struct map *m, struct slice key)
{
    if (m->count == 0) return NULL;
    struct map_slot *s = find(m, map_hash(m->seed, key), key);
    return s->key.at ? s->value : NULL;
}

static bool grow(struct map *m)
{
    struct map bigger = { .cap = m->cap ? m->cap * 2 : 8, .count = m->count, .seed = m->seed };
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots) return false;
    for (uint32_t i = 0; i < m->cap; i++)
        if (m->slots[i].key.at) *find(&bigger, m->slots[i].hash, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
    return true;
}

bool map_put(struct map *m, struct slice key, void *value)
{
    if ((m->count + 1) * 4 > m->cap * 3 && !grow(m)) return false;
    uint64_t hash = map_hash(m->seed, key);
    struct map_slot *s = find(m, hash, key);
    if (!s->key.at) m->count++;
    /* An empty key still marks its slot as taken. */
    if (!key.at) key.at = "";
    *s = (struct map_slot){ key, value, hash };
    return true;
}

void *map_remove(struct map *m, struct slice key)
{
    if (m->count == 0) return NULL;
    struct map_slot *s = find(m, map_hash(m->seed, key), key);
    if (!s->key.at) return NULL;
    void *value = s->value;
    uint32_t mask = m->cap - 1, hole = (uint32_t)(s - m->slots);
    /* Backward shift: no tombstones, so a map that lives for months stays fast. */
    for (uint32_t i = (hole + 1) & mask; m->slots[i].key.at; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){ 0 };
    m->count--;
    return value;
}

void *map_next(const struct map *m, uint32_t *at)
{
    while (*at < m->cap) {
        struct map_slot *s = &m->slots[(*at)++];
        if (s->key.at) return s->value;
    }
    return NULL;
}
