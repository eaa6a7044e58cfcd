/* rate: how often something may happen, by name: a token bucket for each.
 *
 * Not a memory of what went wrong (that is throttle), only of how much there was.
 * A name's bucket holds two seconds' worth and is forgotten once it is full again.
 * Bounded: when there are RATE_NAMES_MAX names at once, new ones get nothing.
 * Pure; thread: one at a time. `now_ms`: any clock that does not jump back far.
 */
#ifndef SLUICE_AUTH_RATE_H
#define SLUICE_AUTH_RATE_H

#include "protocol/map.h"

enum { RATE_NAMES_MAX = 65536 };

struct rate {
    struct map names;
    int64_t swept_ms;
};

void rate_init(struct rate *r, struct map_seed seed);
void rate_fini(struct rate *r);

/* Takes one for `name`; false: there is none at the moment. `per_second` 0: always true. */
bool rate_take(struct rate *r, struct slice name, uint32_t per_second, int64_t now_ms);

#endif
