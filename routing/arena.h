/* arena: memory that is given back all at once.
 *
 * What a snapshot is made of lives and dies together: thousands of small pieces,
 * one owner, one free. Not for anything that shrinks. One thread while it grows;
 * afterwards read-only, so any thread may read what is in it.
 */
#ifndef SLUICE_ROUTING_ARENA_H
#define SLUICE_ROUTING_ARENA_H

#include "protocol/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t bytes; /* taken from the system so far */
    bool failed;  /* memory ran out once; check at the end */
};

/* Frees everything; the arena is empty and usable again. */
void arena_fini(struct arena *a);

/* `n` zeroed bytes, aligned for anything; NULL (and `failed`) when memory ran out. */
void *arena_alloc(struct arena *a, size_t n);

/* `count` zeroed items of `size` bytes each; NULL when the product overflows too. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* A copy that lives as long as the arena, with a NUL behind its end; the empty slice on failure. */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
