/* match: globs, sets, addresses, hours, weekdays, shares. */
#include "unit/unit.h"

#include "routing/match.h"
#include "unit/routes.h"

#include <time.h>

#define S(text) slice_of(text, sizeof(text) - 1)

static void globs_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "anything.at all", true },
        { "a", "a", true },
        { "a", "A", false },
        { "Tableau*", "Tableau Desktop", true },
        { "Tableau*", "Tablea", false },
        { "*_ro", "ana_ro", true },
        { "*_ro", "_ro", true },
        { "*_ro", "ro", false },
        { "mart.*", "mart.a.b", true },
        { "*.*", "a", false },
        { "a*a", "a", false },
        { "a*a", "aa", true },
        { "a*b*c", "aXbYbZc", true },
        { "a*b*c", "acb", false },
        { "ab*ab", "ab", false },
        { "ab*ab", "abab", true },
        { "*ab*ab*", "xabyab", true },
        { "*ab*ab*", "xaby", false },
        { "**", "", true },
        { "a**b", "ab", true },
        { "a?c", "abc", false }, /* only the star is special */
        { "a?c", "a?c", true },
        { "[a]", "a", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (glob_matches(slice_str(rows[i].pattern), slice_str(rows[i].text)) != rows[i].matches)
            fail_msg("\"%s\" against \"%s\"", rows[i].pattern, rows[i].text);
    assert_false(glob_matches(S("a*"), (struct slice){ 0 }));
    assert_true(glob_matches(S("*"), (struct slice){ 0 }));
    assert_true(glob_matches(S("a\0*b"), S("a\0\0b")));
    assert_false(glob_matches(S("a\0*"), S("a")));
}

static void globs_agree_with_recursion(void **state)
{
    (void)state;
    struct dice dice = { 5 };
    for (int round = 0; round < 200000; round++) {
        char pattern[12], text[16];
        size_t p = roll(&dice, sizeof pattern - 1), t = roll(&dice, sizeof text - 1);
        for (size_t i = 0; i < p; i++) pattern[i] = "ab*"[roll(&dice, 3)];
        for (size_t i = 0; i < t; i++) text[i] = "ab"[roll(&dice, 2)];
        pattern[p] = text[t] = '\0';
        bool expected = model_glob(pattern, text, text + t);
        if (glob_matches(slice_of(pattern, p), slice_of(text, t)) != expected)
            fail_msg("\"%s\" against \"%s\"", pattern, text);
    }
}

static void a_hostile_glob_takes_linear_time(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20, STARS = 200 };
    char pattern[2 * STARS + 2];
    for (int i = 0; i < STARS; i++) memcpy(pattern + 2 * i, "*a", 2);
    memcpy(pattern + 2 * STARS, "*b", 2);
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'a', BYTES);
    clock_t before = clock();
    assert_false(glob_matches(slice_of(pattern, sizeof pattern), slice_of(text, BYTES)));
    /* A backtracking matcher would need longer than there is; linear is a millisecond. */
    assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
    free(text);
}

static void covering_globs(void **state)
{
    (void)state;
    assert_true(glob_covers(S("*"), S("a*b")));
    assert_true(glob_covers(S("Tab*"), S("Tableau*")));
    assert_true(glob_covers(S("Tab*"), S("Table")));
    assert_false(glob_covers(S("Tableau*"), S("Tab*")));
    assert_false(glob_covers(S("*a"), S("a*")));
    assert_true(glob_covers(S("*a*"), S("ba*c")));
}

static void sets_find_names_and_globs(void **state)
{
    (void)state;
    enum { NAMES = 1000 };
    static char text[NAMES][16];
    static struct slice names[NAMES];
    for (int i = 0; i < NAMES; i++) {
        snprintf(text[i], sizeof text[i], "n%d", i * 2);
        names[i] = slice_str(text[i]);
    }
    qsort(names, NAMES, sizeof *names, name_order);
    struct slice glob = S("x*");
    struct match_set set = { names, &glob, NAMES, 1 };
    for (int i = 0; i < 2 * NAMES; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(set_has(&set, slice_str(name)), i % 2 == 0);
    }
    assert_true(set_has(&set, S("xyz")));
    assert_false(set_has(&set, S("")));
    struct slice some[] = { S("n2"), S("x1") };
    struct match_set inner = { some, NULL, 2, 0 };
    assert_true(set_covers(&set, &inner));
    assert_false(set_covers(&inner, &set));
}

static void networks_parse(void **state)
{
    (void)state;
    static const char *const good[] = { "10.0.0.0/8",    "0.0.0.0/0",
                                        "192.168.1.7",   "192.168.1.7/32",
                                        "::/0",          "::1",
                                        "2001:db8::/33", "::ffff:10.0.0.0/104" };
    static const char *const bad[] = {
        "",          "10.0.0.0/33", "10.0.0.1/8",   "10.0.0/8",
        "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8 ",  "fe80::1%eth0",
        "::/129",    "localhost",   "10.0.0.0/08x", "1.2.3.4/00000"
    };
    struct match_cidr c;
    struct err e;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!cidr_parse(slice_str(good[i]), &c, &e)) fail_msg("%s: %s", good[i], e.message);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cidr_parse(slice_str(bad[i]), &c, &e)) fail_msg("%s was taken", bad[i]);
    assert_false(cidr_parse(S("10.1.2.3/12"), &c, &e));
    assert_non_null(strstr(e.message, "10.0.0.0/12"));
}

static bool in(const char *network, const char *client)
{
    struct match_cidr c;
    struct match_address a;
    struct err e;
    assert_true(cidr_parse(slice_str(network), &c, &e));
    assert_true(address_parse(slice_str(client), &a));
    return cidr_has(&c, &a);
}

static void networks_contain(void **state)
{
    (void)state;
    assert_true(in("10.0.0.0/8", "10.255.0.1"));
    assert_false(in("10.0.0.0/8", "11.0.0.1"));
    assert_true(in("10.0.16.0/20", "10.0.31.255"));
    assert_false(in("10.0.16.0/20", "10.0.32.0"));
    assert_true(in("0.0.0.0/0", "1.2.3.4"));
    assert_false(in("::/0", "1.2.3.4"));
    assert_false(in("0.0.0.0/0", "::1"));
    assert_true(in("10.0.0.0/8", "::ffff:10.1.2.3")); /* mapped is the same client */
    assert_true(in("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(in("::/0", "::ffff:0:1.2.3.4")); /* not a mapped address */
    assert_true(in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(in("2001:db8::/33", "2001:db8:8000::1"));
    struct match_cidr all;
    struct err e;
    assert_true(cidr_parse(S("0.0.0.0/0"), &all, &e));
    assert_false(cidr_has(&all, &(struct match_address){ 0 })); /* a Unix socket */
    char text[ADDRESS_TEXT_BYTES];
    struct match_address a;
    assert_true(address_parse(S("::ffff:1.2.3.4"), &a));
    assert_string_equal(match_address_text(&a, text), "1.2.3.4");
    assert_false(address_parse(S("1.2.3.4\0"), &a));
}

static void hours_wrap(void **state)
{
    (void)state;
    struct match_hours h, day;
    struct err e;
    assert_true(hours_parse(S("08-18"), &h, &e));
    assert_false(hours_has(h, 479));
    assert_true(hours_has(h, 480));
    assert_true(hours_has(h, 1079));
    assert_false(hours_has(h, 1080));
    assert_true(hours_parse(S("22:30-6"), &h, &e));
    assert_true(hours_has(h, 1350));
    assert_true(hours_has(h, 0));
    assert_false(hours_has(h, 360));
    assert_false(hours_has(h, 1349));
    assert_true(hours_parse(S("0-24"), &day, &e));
    assert_true(hours_has(day, 0) && hours_has(day, 1439));
    assert_true(hours_covers(day, h));
    assert_false(hours_covers(h, day));
    static const char *const bad[] = { "",       "8",     "-",      "25-3", "24-3", "8-8",
                                       "8:60-9", "8:5-9", "08-18x", "a-b",  "8--9", "8-24:01" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hours_parse(slice_str(bad[i]), &h, &e)) fail_msg("%s was taken", bad[i]);
    /* Covering, minute by minute. */
    struct dice dice = { 8 };
    for (int i = 0; i < 300; i++) {
        struct match_hours a = { (uint16_t)roll(&dice, 1440), (uint16_t)(1 + roll(&dice, 1440)) };
        struct match_hours b = { (uint16_t)roll(&dice, 1440), (uint16_t)(1 + roll(&dice, 1440)) };
        if (a.from_min == a.until_min || b.from_min == b.until_min) continue;
        bool all = true;
        for (unsigned m = 0; m < 1440; m++) all = all && (!hours_has(b, m) || hours_has(a, m));
        assert_int_equal(hours_covers(a, b), all);
    }
}

static void weekdays_wrap(void **state)
{
    (void)state;
    uint8_t days;
    struct err e;
    assert_true(weekdays_parse(S("mon-fri"), &days, &e));
    assert_int_equal(days, 0x1f);
    assert_true(weekdays_parse(S("Sat-mon"), &days, &e));
    assert_int_equal(days, 0x61);
    assert_true(weekdays_parse(S("wed"), &days, &e));
    assert_int_equal(days, 0x04);
    assert_false(weekdays_parse(S("monday"), &days, &e));
    assert_false(weekdays_parse(S("mon-"), &days, &e));
    assert_false(weekdays_parse(S(""), &days, &e));
}

static void shares_are_stable_and_fair(void **state)
{
    (void)state;
    uint32_t ppm;
    struct err e;
    assert_true(share_parse(S("12.5"), &ppm, &e));
    assert_int_equal(ppm, 125000);
    assert_true(share_parse(S("100"), &ppm, &e));
    assert_int_equal(ppm, SHARE_WHOLE_PPM);
    assert_true(share_parse(S("0.0001"), &ppm, &e));
    assert_int_equal(ppm, 1);
    static const char *const bad[] = {
        "", "101", "100.1", "-1", "1.", ".5", "1.00001", "1e1", "12 "
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (share_parse(slice_str(bad[i]), &ppm, &e)) fail_msg("%s was taken", bad[i]);

    struct map_seed seed = { 11, 12 }, other = { 13, 14 };
    int in_tenth = 0, in_both = 0;
    for (int i = 0; i < 10000; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", i);
        struct slice s = slice_str(user);
        bool tenth = share_has(seed, 100000, s);
        assert_true(share_has(seed, SHARE_WHOLE_PPM, s));
        assert_false(share_has(seed, 0, s));
        if (tenth) assert_true(share_has(seed, 200000, s)); /* growing a share moves nobody out */
        in_tenth += tenth;
        in_both += tenth && share_has(other, 100000, s);
    }
    assert_in_range(in_tenth, 900, 1100);
    assert_in_range(in_both, 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match),
        cmocka_unit_test(globs_agree_with_recursion),
        cmocka_unit_test(a_hostile_glob_takes_linear_time),
        cmocka_unit_test(covering_globs),
        cmocka_unit_test(sets_find_names_and_globs),
        cmocka_unit_test(networks_parse),
        cmocka_unit_test(networks_contain),
        cmocka_unit_test(hours_wrap),
        cmocka_unit_test(weekdays_wrap),
        cmocka_unit_test(shares_are_stable_and_fair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
