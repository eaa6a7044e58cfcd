#include "proxy/refusals.h"

#include <stdlib.h>
#include <string.h>

struct refusal *refusals_next(struct refusals *r)
{
    if (!r->ring) r->ring = calloc(REFUSALS_KEPT, sizeof *r->ring);
    if (!r->ring) return NULL;
    struct refusal *next = &r->ring[r->count++ % REFUSALS_KEPT];
    memset(next, 0, sizeof *next);
    return next;
}

const struct refusal *refusals_at(const struct refusals *r, uint64_t back)
{
    if (back >= r->count || back >= REFUSALS_KEPT) return NULL;
    return &r->ring[(r->count - 1 - back) % REFUSALS_KEPT];
}

const struct refusal *refusals_find(const struct refusals *r, const char *id)
{
    const struct refusal *one;
    for (uint64_t back = 0; (one = refusals_at(r, back)); back++)
        if (strcmp(one->id, id) == 0) return one;
    return NULL;
}

void refusals_fini(struct refusals *r)
{
    free(r->ring);
    *r = (struct refusals){ 0 };
}

void refusal_text(char *to, size_t size, struct slice from)
{
    size_t n = from.len < size ? from.len : size - 1;
    if (n < from.len)
        while (n && ((unsigned char)from.at[n] & 0xc0) == 0x80) n--; /* in the middle of UTF-8 */
    if (n) memcpy(to, from.at, n);
    to[n] = '\0';
}
