/* match: the small languages of a rule's conditions.
 *
 * Globs, addresses, hours, weekdays and shares: each has a parser for the text of
 * the routing document and a predicate for the data path. Regular expressions are
 * in regex.h, time zones in zone.h. Predicates are linear in the text, allocate
 * nothing and fail on nothing; patterns borrow the text that they were made from.
 */
#ifndef SLUICE_ROUTING_MATCH_H
#define SLUICE_ROUTING_MATCH_H

#include "protocol/err.h"
#include "protocol/map.h"
#include "protocol/slice.h"

/* ---- globs ----------------------------------------------------------------------------------
 * `*` stands for any run of bytes, also an empty one and also across dots; every other byte
 * stands for itself, case counting. There is no escape: a literal star cannot be written. */
bool glob_matches(struct slice pattern, struct slice text);

/* Has a star at all. */
bool glob_is_pattern(struct slice pattern);

/* How many bytes stand before the first star, and behind the last; without a star, all. */
size_t glob_head_bytes(struct slice pattern);
size_t glob_tail_bytes(struct slice pattern);

/* Whatever `inner` matches, `outer` matches too. May say no to a true pair, never yes to a
 * false one. */
bool glob_covers(struct slice outer, struct slice inner);

/* ---- sets of names and globs ---------------------------------------------------------------- */
struct match_set {
    const struct slice *names; /* sorted by name_order, no star in them */
    const struct slice *globs;
    uint32_t name_count, glob_count;
};

/* Orders by length, then bytes: cheap, and all that a search needs. For qsort. */
int name_order(const void *a, const void *b);

/* The text is one of the names (logarithmic) or matches one of the globs. */
bool set_has(const struct match_set *set, struct slice text);

/* Each name and glob of `inner` is covered by `outer`. */
bool set_covers(const struct match_set *outer, const struct match_set *inner);

/* ---- addresses ------------------------------------------------------------------------------
 * IPv4 and IPv6; an IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address it maps, in
 * clients and rules alike. A Unix socket has no address and is in no network. */
enum match_family { FAMILY_NONE, FAMILY_V4 = 4, FAMILY_V6 = 6 };

struct match_address {
    enum match_family family;
    uint8_t at[16]; /* 4 or 16 bytes, network order */
};

struct match_cidr {
    struct match_address base;
    uint8_t bits;
};

enum { ADDRESS_TEXT_BYTES = 48 };

bool address_parse(struct slice text, struct match_address *out);
const char *match_address_text(const struct match_address *a, char out[ADDRESS_TEXT_BYTES]);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits set beyond the prefix are an error
 * that names the network meant. */
bool cidr_parse(struct slice text, struct match_cidr *out, struct err *e);
bool cidr_has(const struct match_cidr *c, const struct match_address *a);
bool cidr_covers(const struct match_cidr *outer, const struct match_cidr *inner);

/* ---- the clock ------------------------------------------------------------------------------
 * "08-18" holds from 08:00 until before 18:00; "22-06" goes over midnight; "08:30-17:45" likewise;
 * the end may be 24. A weekday is the day of the moment itself, so "mon" with "22-06" holds on
 * Monday before six and from ten. */
struct match_hours {
    uint16_t from_min, until_min; /* minutes of the day */
};

enum { DAY_MINUTES = 24 * 60, WEEK_MINUTES = 7 * DAY_MINUTES };

bool hours_parse(struct slice text, struct match_hours *out, struct err *e);
bool hours_has(struct match_hours h, unsigned minute_of_day);
bool hours_covers(struct match_hours outer, struct match_hours inner);

/* "mon", "mon-fri", "fri-mon"; bit 0 is Monday. */
bool weekdays_parse(struct slice text, uint8_t *mask, struct err *e);

/* ---- shares ---------------------------------------------------------------------------------
 * A user is in a share or is not, on every proxy and for as long as the seed stays; a larger share
 * contains each smaller one. "12.5" percent, to four decimals. */
enum { SHARE_WHOLE_PPM = 1000000 };

bool share_parse(struct slice text, uint32_t *ppm, struct err *e);
bool share_has(struct map_seed seed, uint32_t ppm, struct slice user);

#endif
