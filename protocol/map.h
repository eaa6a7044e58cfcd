/* map: from byte strings to pointers.
 *
 * Open addressing, SipHash-1-3 with a seed that the caller gives (names come
 * from strangers). The map owns neither keys nor values: a key must live as long
 * as its entry, so keep it inside the value.
 */
#ifndef SLUICE_PROTOCOL_MAP_H
#define SLUICE_PROTOCOL_MAP_H

#include "protocol/slice.h"

struct map_seed {
    uint64_t k0, k1;
};

struct map_slot {
    struct slice key; /* key.at == NULL: free */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    uint32_t count, cap; /* cap: 0 or a power of two */
    struct map_seed seed;
};

/* SipHash-1-3 of `bytes`. (J.-P. Aumasson, D. J. Bernstein, 2012) */
uint64_t map_hash(struct map_seed seed, struct slice bytes);

void map_init(struct map *m, struct map_seed seed);
void map_fini(struct map *m);

void *map_get(const struct map *m, struct slice key);

/* Adds or replaces; false when memory ran out (nothing changed then). `value` must not be NULL. */
bool map_put(struct map *m, struct slice key, void *value);

/* Takes the entry out and returns its value, or NULL. */
void *map_remove(struct map *m, struct slice key);

/* Walks all entries: start with *at = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *m, uint32_t *at);

#endif
