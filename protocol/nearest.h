/* nearest: what somebody probably meant to write. */
#ifndef SLUICE_PROTOCOL_NEAREST_H
#define SLUICE_PROTOCOL_NEAREST_H

#include "protocol/slice.h"

/* How many letters must be inserted, deleted, replaced or swapped with their neighbour to make
 * `b` of `a`, case aside; words beyond 64 bytes count as far apart. */
unsigned edit_distance(struct slice a, struct slice b);

/* Keeps the best of many: start with { .word = ... }, offer every candidate, read `best`
 * (empty: nothing was near enough to be worth a guess). */
struct nearest {
    struct slice word, best;
    unsigned distance;
};

void nearest_offer(struct nearest *n, struct slice candidate);

#endif
