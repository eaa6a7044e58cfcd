#include "routing/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, cap;
    alignas(max_align_t) char bytes[];
};

void arena_fini(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        free(c);
    }
    *a = (struct arena){ 0 };
}

static struct arena_chunk *chunk_new(struct arena *a, size_t cap)
{
    if (cap > SIZE_MAX - sizeof(struct arena_chunk)) return NULL;
    struct arena_chunk *c = calloc(1, sizeof *c + cap);
    if (!c) return NULL;
    c->cap = cap;
    a->bytes += sizeof *c + cap;
    return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    if (n == 0) n = 1;
    if (n > SIZE_MAX - align) {
        a->failed = true;
        return NULL;
    }
    n = (n + align - 1) / align * align;
    struct arena_chunk *c = a->chunks;
    if (!c || n > c->cap - c->used) {
        bool large = n > CHUNK_BYTES / 4;
        c = chunk_new(a, large ? n : CHUNK_BYTES);
        if (!c) {
            a->failed = true;
            return NULL;
        }
        /* A large piece gets a chunk of its own, behind the one that still has room. */
        if (large && a->chunks) {
            c->next = a->chunks->next;
            a->chunks->next = c;
        } else {
            c->next = a->chunks;
            a->chunks = c;
        }
    }
    void *at = c->bytes + c->used;
    c->used += n;
    return at;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        a->failed = true;
        return NULL;
    }
    return arena_alloc(a, n);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *at = arena_alloc(a, s.len + 1);
    if (!at) return (struct slice){ 0 };
    if (s.len) memcpy(at, s.at, s.len);
    return slice_of(at, s.len);
}
