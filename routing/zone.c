#include "routing/zone.h"

enum { DAY_S = 24 * 60 * 60, WEEK_S = 7 * DAY_S };

/* One end of daylight saving time, as POSIX.1 writes it in TZ. */
struct turn {
    char kind; /* 'M': week and weekday of a month; 'J': day 1-365, no 29 Feb; 'D': 0-365 */
    uint16_t month, week, day; /* day alone for J and D */
    int32_t time_s;            /* after local midnight; may be negative */
};

struct zone {
    const int64_t *moments; /* ascending */
    const int32_t *offsets; /* in force from that moment on */
    uint32_t count;
    int32_t before_s;               /* in force before the first moment */
    int32_t standard_s, daylight_s; /* after the last one */
    bool has_daylight;
    struct turn start, end;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

struct reader {
    struct slice left;
    bool bad; /* sticky: every later read gives zero */
};

static struct slice take(struct reader *r, size_t n)
{
    if (r->bad || r->left.len < n) {
        r->bad = true;
        return (struct slice){ 0 };
    }
    struct slice s = slice_of(r->left.at, n);
    r->left = slice_after(r->left, n);
    return s;
}

static uint64_t big_endian(struct slice s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) v = v << 8 | (uint8_t)s.at[i];
    return v;
}

static bool accept(struct reader *r, char c)
{
    if (r->bad || r->left.len == 0 || r->left.at[0] != c) return false;
    r->left = slice_after(r->left, 1);
    return true;
}

static bool is_digit(const struct reader *r)
{
    return r->left.len && r->left.at[0] >= '0' && r->left.at[0] <= '9';
}

static uint16_t digits(struct reader *r, unsigned low, unsigned high)
{
    unsigned v = 0;
    if (!is_digit(r)) r->bad = true;
    while (!r->bad && is_digit(r)) {
        v = v * 10 + (unsigned)(r->left.at[0] - '0');
        r->left = slice_after(r->left, 1);
        if (v > high) r->bad = true;
    }
    if (v < low) r->bad = true;
    return r->bad ? 0 : (uint16_t)v;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static int32_t clock_time(struct reader *r, unsigned hours_high)
{
    bool negative = accept(r, '-');
    if (!negative) accept(r, '+');
    int32_t s = digits(r, 0, hours_high) * 3600;
    if (accept(r, ':')) {
        s += digits(r, 0, 59) * 60;
        if (accept(r, ':')) s += digits(r, 0, 59);
    }
    return negative ? -s : s;
}

/* ---- the POSIX TZ string behind a TZif file (RFC 8536 §3.3, POSIX §8.3) -------------------- */

static void abbreviation(struct reader *r)
{
    bool quoted = accept(r, '<');
    size_t n = 0;
    while (n < r->left.len) {
        char c = r->left.at[n], lower = ascii_lower(c);
        bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'))) break;
        n++;
    }
    if (n < 3) r->bad = true;
    take(r, n);
    if (quoted && !accept(r, '>')) r->bad = true;
}

static struct turn turn_read(struct reader *r)
{
    struct turn t = { .kind = 'D', .time_s = 2 * 3600 };
    if (!accept(r, ',')) r->bad = true;
    if (accept(r, 'M')) {
        t.kind = 'M';
        t.month = digits(r, 1, 12);
        if (!accept(r, '.')) r->bad = true;
        t.week = digits(r, 1, 5);
        if (!accept(r, '.')) r->bad = true;
        t.day = digits(r, 0, 6);
    } else if (accept(r, 'J')) {
        t.kind = 'J';
        t.day = digits(r, 1, 365);
    } else {
        t.day = digits(r, 0, 365);
    }
    if (accept(r, '/')) t.time_s = clock_time(r, 167);
    return t;
}

static bool footer_read(struct zone *z, struct slice text)
{
    struct reader r = { text, false };
    abbreviation(&r);
    z->standard_s = -clock_time(&r, 24); /* POSIX counts west of Greenwich */
    if (r.left.len && !r.bad) {
        abbreviation(&r);
        z->daylight_s = z->standard_s + 3600;
        if (r.left.len && r.left.at[0] != ',') z->daylight_s = -clock_time(&r, 24);
        z->has_daylight = true;
        z->start = turn_read(&r);
        z->end = turn_read(&r);
    }
    return !r.bad && r.left.len == 0;
}

/* ---- making -----------------------------------------------------------------------------------
 */

const struct zone *zone_fixed(struct arena *a, struct slice text)
{
    struct reader r = { text, false };
    int32_t offset_s = 0;
    if (!slice_is_nocase(text, "UTC") && !slice_is_nocase(text, "GMT") && !slice_is(text, "Z")) {
        bool west = accept(&r, '-');
        if (!west && !accept(&r, '+')) return NULL;
        if (r.left.len != 2 && r.left.len != 4 && r.left.len != 5) return NULL;
        struct reader hours = { slice_of(r.left.at, 2), false };
        struct reader minutes = { slice_after(r.left, 2), false };
        offset_s = digits(&hours, 0, 14) * 3600;
        if (minutes.left.len == 3 && !accept(&minutes, ':')) return NULL;
        if (minutes.left.len) offset_s += digits(&minutes, 0, 59) * 60;
        if (hours.bad || minutes.bad || hours.left.len || minutes.left.len) return NULL;
        if (west) offset_s = -offset_s;
    }
    struct zone *z = arena_alloc(a, sizeof *z);
    if (z) z->standard_s = offset_s;
    return z;
}

bool zone_is_name(struct slice text)
{
    if (text.len == 0 || text.len > 64) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i], lower = ascii_lower(c);
        bool slash_within = c == '/' && i > 0 && i + 1 < text.len && text.at[i - 1] != '/';
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '+' &&
            c != '-' && !slash_within)
            return false;
    }
    return true;
}

struct counts {
    char version;
    uint32_t utc, standard, leap, time, type, chars;
};

static struct counts header_read(struct reader *r)
{
    struct counts n = { 0 };
    if (!slice_eq(take(r, 4), slice_of("TZif", 4))) r->bad = true;
    struct slice version = take(r, 1);
    if (!r->bad) n.version = version.at[0];
    take(r, 15);
    uint32_t *const fields[] = { &n.utc, &n.standard, &n.leap, &n.time, &n.type, &n.chars };
    for (size_t i = 0; i < 6; i++) *fields[i] = (uint32_t)big_endian(take(r, 4));
    /* Far more than any real zone has; keeps the sums below from overflowing. */
    if (n.time > 100000 || n.type == 0 || n.type > 256 || n.chars > 100000 || n.leap > 0 ||
        n.standard > 256 || n.utc > 256)
        r->bad = true;
    return n;
}

/* The data block: moments, the type of each, the types. `wide`: bytes of a moment. */
static void block_read(struct reader *r, const struct counts *n, size_t wide, struct arena *a,
                       struct zone *z)
{
    struct slice moments = take(r, n->time * wide), kinds = take(r, n->time);
    struct slice types = take(r, (size_t)n->type * 6);
    take(r, n->chars + n->standard + n->utc);
    if (r->bad) return;
    int32_t offsets[256] = { 0 };
    for (uint32_t i = 0; i < n->type; i++) {
        offsets[i] = (int32_t)big_endian(slice_of(types.at + (size_t)i * 6, 4));
        if (offsets[i] < -26 * 3600 || offsets[i] > 26 * 3600) r->bad = true;
    }
    int64_t *at = arena_array(a, n->time, sizeof *at);
    int32_t *offset = arena_array(a, n->time, sizeof *offset);
    if (!at || !offset) {
        r->bad = true;
        return;
    }
    for (uint32_t i = 0; i < n->time; i++) {
        uint64_t raw = big_endian(slice_of(moments.at + i * wide, wide));
        at[i] = wide == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        uint8_t kind = (uint8_t)kinds.at[i];
        if (kind >= n->type || (i && at[i] <= at[i - 1])) {
            r->bad = true;
            return;
        }
        offset[i] = offsets[kind];
    }
    z->moments = at;
    z->offsets = offset;
    z->count = n->time;
    z->before_s = offsets[0];
    z->standard_s = n->time ? offset[n->time - 1] : offsets[0];
}

const struct zone *zone_from_tzif(struct arena *a, struct slice bytes, struct err *e)
{
    struct reader r = { bytes, false };
    struct zone *z = arena_alloc(a, sizeof *z);
    if (!z) {
        err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    struct counts n = header_read(&r);
    if (n.version < '2') {
        block_read(&r, &n, 4, a, z);
    } else {
        /* The first block is for readers that know 32 bits only. */
        take(&r, n.time * 5 + n.type * 6 + n.chars + n.standard + n.utc);
        n = header_read(&r);
        block_read(&r, &n, 8, a, z);
        if (!accept(&r, '\n')) r.bad = true;
        const char *end = r.left.len ? memchr(r.left.at, '\n', r.left.len) : NULL;
        struct slice footer = take(&r, end ? (size_t)(end - r.left.at) : r.left.len + 1);
        if (footer.len && !r.bad && !footer_read(z, footer)) r.bad = true;
    }
    if (!r.bad) return z;
    err_set(e, ERR_INVALID_VALUE, "malformed time zone file");
    return NULL;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* Days from 1970-01-01 to the first of January. */
static int64_t year_start_days(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 719162;
}

static int64_t year_of_days(int64_t days)
{
    int64_t year = 1970 + floor_div(days * 400, 146097); /* at most one off */
    while (year_start_days(year) > days) year--;
    while (year_start_days(year + 1) <= days) year++;
    return year;
}

/* The day of the year (from 0) on which daylight saving turns. */
static int64_t turn_day(const struct turn *t, int64_t year)
{
    static const uint16_t starts[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    bool leap = is_leap(year);
    if (t->kind == 'D') return t->day;
    if (t->kind == 'J') return t->day - 1 + (leap && t->day >= 60);
    int64_t first = starts[t->month - 1] + (leap && t->month > 2);
    int64_t length = starts[t->month] - starts[t->month - 1] + (leap && t->month == 2);
    /* 1970-01-01 was a Thursday; POSIX counts days from Sunday. */
    int64_t weekday = (year_start_days(year) + first + 4) % 7;
    if (weekday < 0) weekday += 7;
    int64_t day = (t->day - weekday + 7) % 7 + (t->week - 1) * 7;
    return first + (day >= length ? day - 7 : day);
}

static int32_t offset_by_rule(const struct zone *z, int64_t at_s)
{
    if (!z->has_daylight) return z->standard_s;
    int64_t year = year_of_days(floor_div(at_s + z->standard_s, DAY_S));
    int64_t new_year_s = year_start_days(year) * DAY_S;
    int64_t start =
        new_year_s + turn_day(&z->start, year) * DAY_S + z->start.time_s - z->standard_s;
    int64_t end = new_year_s + turn_day(&z->end, year) * DAY_S + z->end.time_s - z->daylight_s;
    bool daylight = start < end ? start <= at_s && at_s < end : at_s < end || start <= at_s;
    return daylight ? z->daylight_s : z->standard_s;
}

/* Beyond these no calendar is meant, and sums of seconds could overflow. */
static int64_t clamp(int64_t at_s)
{
    const int64_t far = INT64_C(1) << 46;
    return at_s < -far ? -far : at_s > far ? far : at_s;
}

int32_t zone_offset_s(const struct zone *z, int64_t at_s)
{
    at_s = clamp(at_s);
    if (z->count == 0 || at_s >= z->moments[z->count - 1]) return offset_by_rule(z, at_s);
    if (at_s < z->moments[0]) return z->before_s;
    uint32_t low = 0, high = z->count - 1; /* moments[low] <= at_s < moments[high] */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (z->moments[middle] <= at_s)
            low = middle;
        else
            high = middle;
    }
    return z->offsets[low];
}

unsigned zone_minute_of_week(const struct zone *z, int64_t at_s)
{
    int64_t local = clamp(at_s) + zone_offset_s(z, at_s) + 3 * DAY_S; /* Thursday to Monday */
    int64_t second = local % WEEK_S;
    if (second < 0) second += WEEK_S;
    return (unsigned)(second / 60);
}
