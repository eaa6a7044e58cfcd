#include "auth/rate.h"

#include <stdlib.h>
#include <string.h>

enum { SECONDS_HELD = 2, SWEEP_MS = 1000 };

struct bucket {
    int64_t filled_ms;
    int64_t milli; /* thousandths of a turn */
    int64_t full_milli;
    size_t len;
    char name[];
};

void rate_init(struct rate *r, struct map_seed seed)
{
    *r = (struct rate){ 0 };
    map_init(&r->names, seed);
}

void rate_fini(struct rate *r)
{
    struct bucket *b;
    for (uint32_t at = 0; (b = map_next(&r->names, &at));) free(b);
    map_fini(&r->names);
}

static void fill(struct bucket *b, uint32_t per_second, int64_t now_ms)
{
    int64_t passed_ms = now_ms - b->filled_ms;
    b->filled_ms = now_ms;
    b->full_milli = (int64_t)per_second * 1000 * SECONDS_HELD;
    if (passed_ms < 0) passed_ms = 0;
    if (passed_ms > SECONDS_HELD * 1000) passed_ms = SECONDS_HELD * 1000;
    b->milli += passed_ms * per_second;
    if (b->milli > b->full_milli) b->milli = b->full_milli;
}

/* Buckets that are full by now are as good as new ones. One removal moves the map's slots, so the
 * walk begins anew behind it; SWEEP_MS keeps that rare. */
static void sweep(struct rate *r, int64_t now_ms)
{
    struct bucket *b, *full[256];
    size_t n = 0;
    if (now_ms - r->swept_ms < SWEEP_MS && now_ms >= r->swept_ms) return;
    r->swept_ms = now_ms;
    for (uint32_t at = 0; n < sizeof full / sizeof *full && (b = map_next(&r->names, &at));)
        if (now_ms - b->filled_ms >= SECONDS_HELD * 1000) full[n++] = b;
    for (size_t i = 0; i < n; i++) {
        map_remove(&r->names, slice_of(full[i]->name, full[i]->len));
        free(full[i]);
    }
    if (n == sizeof full / sizeof *full)
        r->swept_ms = 0; /* there are more: the next call goes on */
}

static struct bucket *bucket_new(struct rate *r, struct slice name, uint32_t per_second,
                                 int64_t now_ms)
{
    struct bucket *b = r->names.count < RATE_NAMES_MAX ? malloc(sizeof *b + name.len) : NULL;
    if (!b) return NULL;
    *b = (struct bucket){ .filled_ms = now_ms,
                          .milli = (int64_t)per_second * 1000 * SECONDS_HELD,
                          .len = name.len };
    memcpy(b->name, name.at, name.len);
    if (map_put(&r->names, slice_of(b->name, b->len), b)) return b;
    free(b);
    return NULL;
}

bool rate_take(struct rate *r, struct slice name, uint32_t per_second, int64_t now_ms)
{
    if (per_second == 0) return true;
    sweep(r, now_ms);
    struct bucket *b = map_get(&r->names, name);
    if (!b) b = bucket_new(r, name, per_second, now_ms);
    if (!b) return false;
    fill(b, per_second, now_ms);
    if (b->milli < 1000) return false;
    b->milli -= 1000;
    return true;
}
