/* zone: how far a place's clocks are from UTC, at any moment.
 *
 * Knows "UTC", fixed offsets ("+02:00", "-05:30") and the content of a compiled
 * time zone file (TZif, RFC 8536). It reads no file: whoever calls hands over the
 * bytes of, say, /usr/share/zoneinfo/Europe/Berlin, and from then on the same bytes
 * give the same hour on every proxy. Immutable once made.
 */
#ifndef SLUICE_ROUTING_ZONE_H
#define SLUICE_ROUTING_ZONE_H

#include "protocol/err.h"
#include "routing/arena.h"

struct zone;

/* "UTC", "GMT", "Z", "+02", "+02:00" or "+0200"; NULL when the text is none of these. */
const struct zone *zone_fixed(struct arena *a, struct slice text);

/* A name that may be looked up as a file: letters, digits, `_+-` and single slashes within, no
 * dots. Says nothing about whether the zone exists. */
bool zone_is_name(struct slice text);

/* From the bytes of a TZif file; copies what it needs. NULL and an error when they are malformed
 * or memory ran out. */
const struct zone *zone_from_tzif(struct arena *a, struct slice bytes, struct err *e);

/* Seconds to add to UTC, east positive. Logarithmic. */
int32_t zone_offset_s(const struct zone *z, int64_t at_s);

/* The minute of the local week, Monday 00:00 being 0. Any moment is fine, also before 1970. */
unsigned zone_minute_of_week(const struct zone *z, int64_t at_s);

#endif
