#include "auth/timestamp.h"

#include <stdio.h>

struct civil {
    unsigned year, month, day, hour, minute, second;
};

/* Days since 1970-01-01: Howard Hinnant's days_from_civil, for years of four digits. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month <= 2 ? year - 1 : year;
    unsigned era = y / 400, of_era = y % 400;
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool to_ms(const struct civil *c, int64_t *ms)
{
    if (c->year < 1970 || c->month < 1 || c->month > 12 || c->day < 1) return false;
    if (c->day > days_in(c->year, c->month)) return false;
    if (c->hour > 23 || c->minute > 59 || c->second > 60) return false;
    int64_t days = days_of(c->year, c->month, c->day);
    *ms = (((days * 24 + c->hour) * 60 + c->minute) * 60 + c->second) * 1000;
    return true;
}

static struct civil from_ms(int64_t ms)
{
    int64_t seconds = ms < 0 ? 0 : ms / 1000;
    int64_t days = seconds / 86400, rest = seconds % 86400;
    /* civil_from_days, the inverse of the above. */
    int64_t z = days + 719468, era = z / 146097;
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    struct civil c;
    c.day = of_year - (153 * shifted + 2) / 5 + 1;
    c.month = shifted < 10 ? shifted + 3 : shifted - 9;
    c.year = (unsigned)(year + era * 400) + (c.month <= 2);
    if (c.year > 9999) c.year = 9999;
    c.hour = (unsigned)(rest / 3600);
    c.minute = (unsigned)(rest / 60 % 60);
    c.second = (unsigned)(rest % 60);
    return c;
}

/* A text matched from the left; any mismatch makes it `bad` for good. */
struct reader {
    struct slice rest;
    bool bad;
};

static unsigned digits(struct reader *r, size_t count)
{
    unsigned value = 0;
    if (r->rest.len < count) r->bad = true;
    for (size_t i = 0; i < count && !r->bad; i++) {
        char c = r->rest.at[i];
        if (c < '0' || c > '9') r->bad = true;
        value = value * 10 + (unsigned)(c - '0');
    }
    if (!r->bad) r->rest = slice_after(r->rest, count);
    return r->bad ? 0 : value;
}

static bool take(struct reader *r, const char *text)
{
    if (r->bad || !slice_starts(r->rest, text)) return false;
    r->rest = slice_after(r->rest, strlen(text));
    return true;
}

static void expect(struct reader *r, const char *text)
{
    if (!take(r, text)) r->bad = true;
}

/* "hh:mm:ss". */
static void clock_time(struct reader *r, struct civil *c)
{
    c->hour = digits(r, 2);
    expect(r, ":");
    c->minute = digits(r, 2);
    expect(r, ":");
    c->second = digits(r, 2);
}

bool timestamp_from_amz(struct slice text, int64_t *ms)
{
    struct reader r = { text, false };
    struct civil c = { 0 };
    c.year = digits(&r, 4);
    c.month = digits(&r, 2);
    c.day = digits(&r, 2);
    expect(&r, "T");
    c.hour = digits(&r, 2);
    c.minute = digits(&r, 2);
    c.second = digits(&r, 2);
    expect(&r, "Z");
    return !r.bad && r.rest.len == 0 && to_ms(&c, ms);
}

void timestamp_to_amz(int64_t ms, char out[TIMESTAMP_AMZ_BYTES])
{
    struct civil c = from_ms(ms);
    snprintf(out, TIMESTAMP_AMZ_BYTES, "%04u%02u%02uT%02u%02u%02uZ", c.year % 10000, c.month % 100,
             c.day % 100, c.hour % 100, c.minute % 100, c.second % 100);
}

void timestamp_to_iso(int64_t ms, char out[TIMESTAMP_ISO_BYTES])
{
    struct civil c = from_ms(ms);
    snprintf(out, TIMESTAMP_ISO_BYTES, "%04u-%02u-%02uT%02u:%02u:%02uZ", c.year % 10000,
             c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100);
}

/* ".123456" in whole milliseconds; nothing is zero. */
static unsigned fraction_ms(struct reader *r)
{
    if (!take(r, ".")) return 0;
    unsigned value = 0, weight = 100, count = 0;
    while (r->rest.len > 0 && r->rest.at[0] >= '0' && r->rest.at[0] <= '9') {
        value += (unsigned)(r->rest.at[0] - '0') * weight;
        weight /= 10;
        count++;
        r->rest = slice_after(r->rest, 1);
    }
    if (count == 0) r->bad = true;
    return value;
}

static int64_t zone_ms(struct reader *r)
{
    if (take(r, "Z") || take(r, "UTC")) return 0;
    int64_t sign = take(r, "-") ? -1 : 1;
    if (sign > 0) expect(r, "+");
    unsigned hours = digits(r, 2);
    expect(r, ":");
    unsigned minutes = digits(r, 2);
    if (hours > 14 || minutes > 59) r->bad = true;
    return sign * (int64_t)(hours * 60 + minutes) * 60000;
}

bool timestamp_from_iso(struct slice text, int64_t *ms)
{
    struct reader r = { text, false };
    struct civil c = { 0 };
    c.year = digits(&r, 4);
    expect(&r, "-");
    c.month = digits(&r, 2);
    expect(&r, "-");
    c.day = digits(&r, 2);
    expect(&r, "T");
    clock_time(&r, &c);
    unsigned fraction = fraction_ms(&r);
    int64_t zone = zone_ms(&r);
    if (r.bad || r.rest.len != 0 || !to_ms(&c, ms)) return false;
    *ms += (int64_t)fraction - zone;
    return true;
}

bool timestamp_from_http(struct slice text, int64_t *ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct reader r = { text, false };
    struct civil c = { 0 };
    if (text.len != 29 || text.at[3] != ',') return false;
    r.rest = slice_after(r.rest, 4); /* the day's name says nothing that the date does not */
    expect(&r, " ");
    c.day = digits(&r, 2);
    expect(&r, " ");
    for (unsigned m = 0; m < 12; m++)
        if (r.rest.len >= 3 && memcmp(r.rest.at, months + (size_t)3 * m, 3) == 0) c.month = m + 1;
    r.rest = slice_after(r.rest, 3);
    expect(&r, " ");
    c.year = digits(&r, 4);
    expect(&r, " ");
    clock_time(&r, &c);
    expect(&r, " GMT");
    return !r.bad && r.rest.len == 0 && to_ms(&c, ms);
}
