/* zone: fixed offsets, and compiled zones against the C library's own reading of them. */
#include "unit/unit.h"

#include "routing/zone.h"
#include "unit/routes.h"

#include <time.h>

static int32_t fixed(const char *text)
{
    struct arena a = { 0 };
    const struct zone *z = zone_fixed(&a, slice_str(text));
    int32_t s = z ? zone_offset_s(z, 0) : -1;
    arena_fini(&a);
    return s;
}

static void fixed_offsets(void **state)
{
    (void)state;
    assert_int_equal(fixed("UTC"), 0);
    assert_int_equal(fixed("Z"), 0);
    assert_int_equal(fixed("+02"), 7200);
    assert_int_equal(fixed("+02:00"), 7200);
    assert_int_equal(fixed("-0530"), -19800);
    static const char *const bad[] = { "",     "+",     "+2",  "+15",     "+02:60",
                                       "+02:", "02:00", "CET", "+02:000", "+-1" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fixed(bad[i]) != -1) fail_msg("%s was taken", bad[i]);
}

static void names_are_no_paths(void **state)
{
    (void)state;
    assert_true(zone_is_name(slice_str("Europe/Berlin")));
    assert_true(zone_is_name(slice_str("America/Argentina/Buenos_Aires")));
    assert_true(zone_is_name(slice_str("Etc/GMT+5")));
    static const char *const bad[] = { "",     "/etc/passwd", "../x", "Europe/../x",
                                       "a//b", "a/",          "a b",  "." };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(zone_is_name(slice_str(bad[i])));
}

static void the_week_starts_on_monday(void **state)
{
    (void)state;
    struct arena a = { 0 };
    const struct zone *utc = zone_fixed(&a, slice_str("UTC"));
    assert_int_equal(zone_minute_of_week(utc, 1704067200), 0); /* Mon 2024-01-01 00:00 */
    assert_int_equal(zone_minute_of_week(utc, 1704067199), 7 * 1440 - 1);
    assert_int_equal(zone_minute_of_week(utc, -3 * 86400 - 1), 7 * 1440 - 1);
    assert_true(zone_minute_of_week(utc, INT64_MAX) < 7 * 1440);
    assert_true(zone_minute_of_week(utc, INT64_MIN) < 7 * 1440);
    arena_fini(&a);
}

static void agrees_with(const char *name, const char *content, size_t bytes, time_t since)
{
    struct arena a = { 0 };
    struct err e;
    const struct zone *z = zone_from_tzif(&a, slice_of(content, bytes), &e);
    if (!z) fail_msg("%s: %s", name, e.message);
    struct dice dice = { 77 };
    for (int i = 0; i < 20000; i++) {
        /* To 2100: recorded changes, and the rule that goes on after them. */
        time_t at = since + (time_t)roll(&dice, 4102444800u);
        struct tm tm;
        localtime_r(&at, &tm);
        if (zone_offset_s(z, at) != tm.tm_gmtoff)
            fail_msg("%s at %lld: %d, not %ld", name, (long long)at, zone_offset_s(z, at),
                     tm.tm_gmtoff);
    }
    arena_fini(&a);
}

static void agrees_with_the_c_library(void **state)
{
    (void)state;
    static const char *const names[] = { "Europe/Berlin",
                                         "America/New_York",
                                         "Asia/Kolkata",
                                         "Australia/Sydney",
                                         "America/Sao_Paulo",
                                         "Europe/Dublin",
                                         "Africa/Casablanca",
                                         "Asia/Tehran",
                                         "America/Nuuk",
                                         "Pacific/Auckland",
                                         "UTC" };
    static char content[1 << 16];
    unsigned tried = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", names[i]);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        size_t n = fread(content, 1, sizeof content, f);
        fclose(f);
        setenv("TZ", names[i], 1);
        tzset();
        agrees_with(names[i], content, n, -2208988800 /* 1900 */);
        tried++;
    }
    if (tried == 0) {
        print_message("SKIP: no time zones on this machine (package tzdata)\n");
        skip();
    }
}

/* Version 2, no transitions: all comes from the footer, as in zones compiled `-b slim`. */
static size_t slim(char *out, const char *footer)
{
    static const char type[6] = { 0 };
    size_t n = 0;
    for (int block = 0; block < 2; block++) {
        memset(out + n, 0, 44);
        memcpy(out + n, "TZif2", 5);
        out[n + 39] = 1; /* typecnt */
        out[n + 43] = 4; /* charcnt */
        n += 44;
        memcpy(out + n, type, 6);
        memcpy(out + n + 6, "UTC", 4);
        n += 10;
    }
    return n + (size_t)sprintf(out + n, "\n%s\n", footer);
}

static void footers_agree_with_the_c_library(void **state)
{
    (void)state;
    static const char *const rules[] = { "CET-1CEST,M3.5.0,M10.5.0/3",
                                         "EST5EDT,M3.2.0,M11.1.0",
                                         "AEST-10AEDT,M10.1.0,M4.1.0/3",
                                         "IST-5:30",
                                         "XXX3YYY,J60,J300/4",
                                         "XXX3YYY2,59/1,299",
                                         "<-03>3<-02>,M3.5.0/-1,M10.5.0/0" };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char content[256];
        size_t n = slim(content, rules[i]);
        setenv("TZ", rules[i], 1);
        tzset();
        agrees_with(rules[i], content, n, 0); /* the library has no rules before 1970 */
    }
}

static void malformed_files_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "C",
                                       "CET",
                                       "CET-1CEST",
                                       "CET-1CEST,M3.5.0",
                                       "CET-1CEST,M13.1.0,M1.1.1",
                                       "CET-1CEST,M3.6.0,M1.1.1",
                                       "CET-1,",
                                       "CET-99",
                                       "<CET-1" };
    char content[256];
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena a = { 0 };
        size_t n = slim(content, bad[i]);
        if (zone_from_tzif(&a, slice_of(content, n), &e)) fail_msg("%s was taken", bad[i]);
        arena_fini(&a);
    }
    size_t n = slim(content, "UTC0");
    for (size_t cut = 0; cut < n; cut++) {
        struct arena a = { 0 };
        char *exact = malloc(cut + 1); /* so that a read past the end is seen */
        memcpy(exact, content, cut);
        assert_null(zone_from_tzif(&a, slice_of(exact, cut), &e));
        free(exact);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_offsets),
        cmocka_unit_test(names_are_no_paths),
        cmocka_unit_test(the_week_starts_on_monday),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(footers_agree_with_the_c_library),
        cmocka_unit_test(malformed_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
