/* units: durations, sizes and dates as people write them. */
#ifndef SLUICE_PROTOCOL_UNITS_H
#define SLUICE_PROTOCOL_UNITS_H

#include "protocol/buf.h"
#include "protocol/slice.h"

/* "90s", "1h30m", "250ms", "2d", "0": numbers with ms, s, m, h, d, larger units first, each at most
 * once. False, *out untouched, for anything else or beyond 2^53 ms. */
bool units_duration(struct slice text, uint64_t *out_ms);

/* "64KiB", "16MiB", "1GiB", "512B", "0": one number with B, KiB, MiB or GiB. KB and MB are refused,
 * since they mean two things. */
bool units_size(struct slice text, uint64_t *out_bytes);

/* "2026-11-21" (midnight) or "2026-11-21T08:30:00Z", UTC: seconds since 1970. */
bool units_date(struct slice text, uint64_t *out_s);

/* The shortest text that reads back to the same value. */
void units_add_duration(struct buf *out, uint64_t ms);
void units_add_size(struct buf *out, uint64_t bytes);
void units_add_date(struct buf *out, uint64_t s);

#endif
