#include "protocol/units.h"

/* No value may leave what a double, and so any JSON reader, holds exactly. */
static const uint64_t VALUE_MAX = (uint64_t)1 << 53;

struct unit {
    const char *name;
    uint64_t worth;
};

/* The largest first: what is written must fall, too. */
static const struct unit DURATIONS[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit SIZES[] = {
    { "GiB", 1 << 30 },
    { "MiB", 1 << 20 },
    { "KiB", 1 << 10 },
    { "B", 1 },
};

enum {
    DURATION_COUNT = sizeof DURATIONS / sizeof *DURATIONS,
    SIZE_COUNT = sizeof SIZES / sizeof *SIZES
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c)
{
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

/* Takes digits off the front. */
static bool take_number(struct slice *text, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < text->len && is_digit(text->at[i]); i++) {
        n = n * 10 + (uint64_t)(text->at[i] - '0');
        if (n > VALUE_MAX) return false;
    }
    *text = slice_after(*text, i);
    *out = n;
    return i > 0;
}

/* Takes letters off the front: the unit's index, or -1. */
static int take_unit(struct slice *text, const struct unit *units, int count)
{
    size_t n = 0;
    while (n < text->len && is_letter(text->at[n])) n++;
    struct slice name = slice_of(text->at, n);
    *text = slice_after(*text, n);
    for (int i = 0; i < count; i++)
        if (slice_is(name, units[i].name)) return i;
    return -1;
}

static bool add_scaled(uint64_t *sum, uint64_t n, uint64_t worth)
{
    if (n > (VALUE_MAX - *sum) / worth) return false;
    *sum += n * worth;
    return true;
}

bool units_duration(struct slice text, uint64_t *out_ms)
{
    uint64_t sum = 0, n = 0;
    if (slice_is(text, "0")) {
        *out_ms = 0;
        return true;
    }
    for (int previous = -1; text.len > 0;) {
        if (!take_number(&text, &n)) return false;
        int unit = take_unit(&text, DURATIONS, DURATION_COUNT);
        if (unit <= previous || !add_scaled(&sum, n, DURATIONS[unit].worth)) return false;
        previous = unit;
        if (text.len == 0) {
            *out_ms = sum;
            return true;
        }
    }
    return false;
}

bool units_size(struct slice text, uint64_t *out_bytes)
{
    uint64_t sum = 0, n = 0;
    if (slice_is(text, "0")) {
        *out_bytes = 0;
        return true;
    }
    if (!take_number(&text, &n)) return false;
    int unit = take_unit(&text, SIZES, SIZE_COUNT);
    if (unit < 0 || text.len > 0 || !add_scaled(&sum, n, SIZES[unit].worth)) return false;
    *out_bytes = sum;
    return true;
}

static bool take_digits(struct slice *text, size_t count, unsigned *out)
{
    unsigned n = 0;
    if (text->len < count) return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->at[i])) return false;
        n = n * 10 + (unsigned)(text->at[i] - '0');
    }
    *text = slice_after(*text, count);
    *out = n;
    return true;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->at[0] != c) return false;
    *text = slice_after(*text, 1);
    return true;
}

static bool is_leap(unsigned year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && is_leap(year) ? 29 : DAYS[month - 1];
}

static uint64_t days_before_year(unsigned year)
{
    uint64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

bool units_date(struct slice text, uint64_t *out_s)
{
    unsigned year, month, day, hour = 0, minute = 0, second = 0;
    if (!take_digits(&text, 4, &year) || !take_char(&text, '-') || !take_digits(&text, 2, &month) ||
        !take_char(&text, '-') || !take_digits(&text, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    if (text.len > 0) {
        if (!take_char(&text, 'T') || !take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
            !take_digits(&text, 2, &minute) || !take_char(&text, ':') ||
            !take_digits(&text, 2, &second) || !take_char(&text, 'Z') || text.len > 0)
            return false;
        if (hour > 23 || minute > 59 || second > 59) return false;
    }
    uint64_t days = days_before_year(year) - days_before_year(1970) + day - 1;
    for (unsigned m = 1; m < month; m++) days += days_in(year, m);
    *out_s = days * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

void units_add_duration(struct buf *out, uint64_t ms)
{
    if (ms == 0) buf_add_str(out, "0");
    for (int i = 0; i < DURATION_COUNT; i++) {
        uint64_t n = ms / DURATIONS[i].worth;
        if (n > 0) buf_addf(out, "%llu%s", (unsigned long long)n, DURATIONS[i].name);
        ms %= DURATIONS[i].worth;
    }
}

void units_add_size(struct buf *out, uint64_t bytes)
{
    if (bytes == 0) {
        buf_add_str(out, "0");
        return;
    }
    int i = 0;
    while (bytes % SIZES[i].worth != 0) i++;
    buf_addf(out, "%llu%s", (unsigned long long)(bytes / SIZES[i].worth), SIZES[i].name);
}

void units_add_date(struct buf *out, uint64_t s)
{
    uint64_t days = s / 86400, rest = s % 86400;
    unsigned year = 1970, month = 1;
    while (days >= 365u + is_leap(year)) days -= 365u + is_leap(year++);
    while (days >= days_in(year, month)) days -= days_in(year, month++);
    buf_addf(out, "%04u-%02u-%02u", year, month, (unsigned)days + 1);
    if (rest > 0)
        buf_addf(out, "T%02u:%02u:%02uZ", (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60),
                 (unsigned)(rest % 60));
}
