#include "routing/match.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- globs ---------------------------------------------------------------------------------- */

bool glob_is_pattern(struct slice pattern)
{
    return pattern.len && memchr(pattern.at, '*', pattern.len) != NULL;
}

size_t glob_head_bytes(struct slice pattern)
{
    const char *star = pattern.len ? memchr(pattern.at, '*', pattern.len) : NULL;
    return star ? (size_t)(star - pattern.at) : pattern.len;
}

size_t glob_tail_bytes(struct slice pattern)
{
    const char *star = pattern.len ? memrchr(pattern.at, '*', pattern.len) : NULL;
    return star ? (size_t)(pattern.at + pattern.len - star) - 1 : pattern.len;
}

/* What stands before the first star must start the text, what stands after the last must end it,
 * and each piece between may take its leftmost place: taking a later one never helps. So every
 * byte of the text is passed once, and memmem is linear. */
bool glob_matches(struct slice pattern, struct slice text)
{
    size_t head = glob_head_bytes(pattern);
    if (head == pattern.len) return slice_eq(pattern, text);
    if (!text.at) text = slice_str("");
    if (text.len < head || memcmp(pattern.at, text.at, head) != 0) return false;
    text = slice_after(text, head);
    pattern = slice_after(pattern, head + 1);
    for (;;) {
        size_t piece = glob_head_bytes(pattern);
        if (piece == pattern.len) break;
        if (piece) {
            const char *found = text.len ? memmem(text.at, text.len, pattern.at, piece) : NULL;
            if (!found) return false;
            text = slice_after(text, (size_t)(found - text.at) + piece);
        }
        pattern = slice_after(pattern, piece + 1);
    }
    return text.len >= pattern.len && slice_eq(pattern, slice_after(text, text.len - pattern.len));
}

/* A star in `inner` is a byte that no literal of `outer` equals, so only a star of `outer` can
 * take it: matching the pattern as if it were text is sound. */
bool glob_covers(struct slice outer, struct slice inner) { return glob_matches(outer, inner); }

/* ---- sets ----------------------------------------------------------------------------------- */

int name_order(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return x->len ? memcmp(x->at, y->at, x->len) : 0;
}

static bool set_names(const struct match_set *set, struct slice text)
{
    /* Most sets are one name or two. */
    if (set->name_count <= 4) {
        for (uint32_t i = 0; i < set->name_count; i++)
            if (slice_eq(set->names[i], text)) return true;
        return false;
    }
    return bsearch(&text, set->names, set->name_count, sizeof text, name_order) != NULL;
}

bool set_has(const struct match_set *set, struct slice text)
{
    if (set_names(set, text)) return true;
    for (uint32_t i = 0; i < set->glob_count; i++)
        if (glob_matches(set->globs[i], text)) return true;
    return false;
}

static bool set_covers_one(const struct match_set *outer, struct slice pattern)
{
    for (uint32_t i = 0; i < outer->glob_count; i++)
        if (glob_covers(outer->globs[i], pattern)) return true;
    return !glob_is_pattern(pattern) && set_names(outer, pattern);
}

bool set_covers(const struct match_set *outer, const struct match_set *inner)
{
    for (uint32_t i = 0; i < inner->name_count; i++)
        if (!set_covers_one(outer, inner->names[i])) return false;
    for (uint32_t i = 0; i < inner->glob_count; i++)
        if (!set_covers_one(outer, inner->globs[i])) return false;
    return true;
}

/* ---- addresses ------------------------------------------------------------------------------ */

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void unmap(struct match_address *a)
{
    if (a->family != FAMILY_V6 || memcmp(a->at, mapped_prefix, sizeof mapped_prefix) != 0) return;
    memmove(a->at, a->at + 12, 4);
    memset(a->at + 4, 0, 12);
    a->family = FAMILY_V4;
}

/* As written, not yet unmapped: a prefix length counts from the form it was written in. */
static bool parse_written(struct slice text, struct match_address *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, '\0', text.len)) return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *out = (struct match_address){ 0 };
    if (inet_pton(AF_INET, copy, out->at) == 1)
        out->family = FAMILY_V4;
    else if (inet_pton(AF_INET6, copy, out->at) == 1)
        out->family = FAMILY_V6;
    return out->family != FAMILY_NONE;
}

bool address_parse(struct slice text, struct match_address *out)
{
    if (!parse_written(text, out)) return false;
    unmap(out);
    return true;
}

const char *match_address_text(const struct match_address *a, char out[ADDRESS_TEXT_BYTES])
{
    if (a->family == FAMILY_NONE ||
        !inet_ntop(a->family == FAMILY_V4 ? AF_INET : AF_INET6, a->at, out, ADDRESS_TEXT_BYTES))
        snprintf(out, ADDRESS_TEXT_BYTES, "local");
    return out;
}

static bool number_parse(struct slice text, unsigned high, unsigned *out)
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 4) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        value = value * 10 + (unsigned)(text.at[i] - '0');
    }
    *out = value;
    return value <= high;
}

static bool has_bits_beyond(const struct match_address *a, unsigned bits)
{
    for (unsigned i = bits; i < (a->family == FAMILY_V4 ? 32u : 128u); i++)
        if (a->at[i / 8] & 0x80u >> i % 8) return true;
    return false;
}

static void mask(struct match_address *a, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++) a->at[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
}

bool cidr_parse(struct slice text, struct match_cidr *out, struct err *e)
{
    const char *slash = text.len ? memchr(text.at, '/', text.len) : NULL;
    struct slice address = slice_of(text.at, slash ? (size_t)(slash - text.at) : text.len);
    struct match_address a;
    if (!parse_written(address, &a))
        return err_set(e, ERR_INVALID_VALUE, "not a network address (10.0.0.0/8, 2001:db8::/32)");
    unsigned high = a.family == FAMILY_V4 ? 32 : 128, bits = high;
    if (slash && !number_parse(slice_after(text, address.len + 1), high, &bits))
        return err_set(e, ERR_INVALID_VALUE, "the prefix length is a number from 0 to %u", high);
    if (has_bits_beyond(&a, bits)) {
        char meant[ADDRESS_TEXT_BYTES];
        mask(&a, bits);
        return err_set(e, ERR_INVALID_VALUE, "has bits beyond its prefix; the network is %s/%u",
                       match_address_text(&a, meant), bits);
    }
    if (a.family == FAMILY_V6 && bits >= 96) {
        unmap(&a);
        if (a.family == FAMILY_V4) bits -= 96;
    }
    *out = (struct match_cidr){ a, (uint8_t)bits };
    return true;
}

bool cidr_has(const struct match_cidr *c, const struct match_address *a)
{
    if (c->base.family != a->family) return false;
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (memcmp(c->base.at, a->at, whole) != 0) return false;
    return rest == 0 || ((c->base.at[whole] ^ a->at[whole]) & (0xff00u >> rest & 0xffu)) == 0;
}

bool cidr_covers(const struct match_cidr *outer, const struct match_cidr *inner)
{
    return outer->bits <= inner->bits && cidr_has(outer, &inner->base);
}

/* ---- the clock ------------------------------------------------------------------------------ */

/* "8", "08", "08:30"; 24:00 only as an end. */
static bool clock_parse(struct slice text, uint16_t *minutes)
{
    const char *colon = text.len ? memchr(text.at, ':', text.len) : NULL;
    struct slice hour = slice_of(text.at, colon ? (size_t)(colon - text.at) : text.len);
    unsigned h, m = 0;
    if (hour.len > 2 || !number_parse(hour, 24, &h)) return false;
    if (colon) {
        struct slice minute = slice_after(text, hour.len + 1);
        if (minute.len != 2 || !number_parse(minute, 59, &m)) return false;
    }
    *minutes = (uint16_t)(h * 60 + m);
    return *minutes <= DAY_MINUTES;
}

bool hours_parse(struct slice text, struct match_hours *out, struct err *e)
{
    const char *dash = text.len ? memchr(text.at, '-', text.len) : NULL;
    struct match_hours h = { 0 };
    if (!dash || !clock_parse(slice_of(text.at, (size_t)(dash - text.at)), &h.from_min) ||
        !clock_parse(slice_after(text, (size_t)(dash - text.at) + 1), &h.until_min) ||
        h.from_min == DAY_MINUTES)
        return err_set(e, ERR_INVALID_VALUE, "hours are written \"08-18\" or \"08:30-17:45\"");
    if (h.from_min == h.until_min)
        return err_set(e, ERR_INVALID_VALUE,
                       "starts and ends at the same time; leave it out for "
                       "the whole day");
    *out = h;
    return true;
}

bool hours_has(struct match_hours h, unsigned minute_of_day)
{
    if (h.from_min < h.until_min) return h.from_min <= minute_of_day && minute_of_day < h.until_min;
    return minute_of_day >= h.from_min || minute_of_day < h.until_min;
}

bool hours_covers(struct match_hours outer, struct match_hours inner)
{
    /* Seen from outer's start, inner must start and end before outer does. */
    const unsigned day = DAY_MINUTES;
    unsigned length = (outer.until_min + day - outer.from_min - 1) % day + 1;
    unsigned start = (inner.from_min + day - outer.from_min) % day;
    unsigned lasts = (inner.until_min + day - inner.from_min - 1) % day + 1;
    if (length == day) return true;
    return start + lasts <= length;
}

static bool day_parse(struct slice text, unsigned *day)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    for (*day = 0; *day < 7; ++*day)
        if (slice_is_nocase(text, names[*day])) return true;
    return false;
}

bool weekdays_parse(struct slice text, uint8_t *mask_out, struct err *e)
{
    const char *dash = text.len ? memchr(text.at, '-', text.len) : NULL;
    struct slice first = slice_of(text.at, dash ? (size_t)(dash - text.at) : text.len);
    struct slice last = dash ? slice_after(text, first.len + 1) : first;
    unsigned from, to;
    if (!day_parse(first, &from) || !day_parse(last, &to))
        return err_set(e, ERR_INVALID_VALUE, "weekdays are written \"mon\" or \"mon-fri\"");
    uint8_t mask_days = 0;
    for (unsigned d = from;; d = (d + 1) % 7) {
        mask_days |= (uint8_t)(1u << d);
        if (d == to) break;
    }
    *mask_out = mask_days;
    return true;
}

/* ---- shares --------------------------------------------------------------------------------- */

bool share_parse(struct slice text, uint32_t *ppm, struct err *e)
{
    const char *point = text.len ? memchr(text.at, '.', text.len) : NULL;
    struct slice whole = slice_of(text.at, point ? (size_t)(point - text.at) : text.len);
    unsigned percent, parts = 0;
    bool ok = number_parse(whole, 100, &percent);
    if (ok && point) {
        struct slice decimals = slice_after(text, whole.len + 1);
        ok = number_parse(decimals, 9999, &parts);
        for (size_t i = decimals.len; i < 4; i++) parts *= 10;
    }
    if (!ok || percent * 10000 + parts > SHARE_WHOLE_PPM)
        return err_set(e, ERR_INVALID_VALUE,
                       "a percentage is a number from 0 to 100 with at most four decimals");
    *ppm = percent * 10000 + parts;
    return true;
}

bool share_has(struct map_seed seed, uint32_t ppm, struct slice user)
{
    /* The hash as a fraction of one, times a million: no bias worth naming, no division. */
    uint64_t place = (map_hash(seed, user) >> 32) * SHARE_WHOLE_PPM >> 32;
    return place < ppm;
}
