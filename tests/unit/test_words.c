/* units, nearest, problem: what people write, meant and did wrong. */
#include "unit/unit.h"

#include "protocol/nearest.h"
#include "protocol/problem.h"
#include "protocol/units.h"

#include <stdlib.h>

typedef bool reader(struct slice text, uint64_t *out);
typedef void writer(struct buf *out, uint64_t value);

struct reading {
    const char *text;
    bool is_read;
    uint64_t value;
};

static void expect_readings(reader *read, const struct reading *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 4711;
        bool ok = read(slice_str(cases[i].text), &value);
        uint64_t expected = cases[i].is_read ? cases[i].value : 4711;
        if (ok != cases[i].is_read || value != expected)
            fail_msg("\"%s\": %s %llu", cases[i].text, ok ? "read as" : "refused",
                     (unsigned long long)value);
    }
}

#define EXPECT_READINGS(read, cases) expect_readings(read, cases, sizeof cases / sizeof *cases)

static void durations(void **state)
{
    (void)state;
    static const struct reading CASES[] = {
        { "0", true, 0 },
        { "0s", true, 0 },
        { "90s", true, 90000 },
        { "250ms", true, 250 },
        { "1h30m", true, 5400000 },
        { "2d", true, 172800000 },
        { "1d2h3m4s5ms", true, 93784005 },
        { "9007199254740992ms", true, 9007199254740992 },
        { "9007199254740993ms", false, 0 },
        { "9007199254740992s", false, 0 },
        { "104249991374d24h", false, 0 },
        { "99999999999999999999ms", false, 0 },
        { "", false, 0 },
        { "90", false, 0 },
        { "s", false, 0 },
        { "-1s", false, 0 },
        { "1.5s", false, 0 },
        { "1 s", false, 0 },
        { "1S", false, 0 },
        { "1m1h", false, 0 },
        { "1s1s", false, 0 },
        { "1s ", false, 0 },
        { "1week", false, 0 },
    };
    EXPECT_READINGS(units_duration, CASES);
}

static void sizes(void **state)
{
    (void)state;
    static const struct reading CASES[] = {
        { "0", true, 0 },
        { "512B", true, 512 },
        { "64KiB", true, 65536 },
        { "16MiB", true, 16777216 },
        { "1GiB", true, 1073741824 },
        { "8388608GiB", true, 9007199254740992 },
        { "8388609GiB", false, 0 },
        { "16MB", false, 0 },
        { "16mib", false, 0 },
        { "16", false, 0 },
        { "MiB", false, 0 },
        { "1MiB1KiB", false, 0 },
        { "", false, 0 },
    };
    EXPECT_READINGS(units_size, CASES);
}

static void dates(void **state)
{
    (void)state;
    static const struct reading CASES[] = {
        { "1970-01-01", true, 0 },
        { "2000-02-29", true, 951782400 },
        { "2026-11-21", true, 1795219200 },
        { "2026-11-21T08:30:01Z", true, 1795249801 },
        { "2100-02-29", false, 0 },
        { "2026-02-29", false, 0 },
        { "2026-13-01", false, 0 },
        { "2026-00-01", false, 0 },
        { "2026-01-00", false, 0 },
        { "1969-12-31", false, 0 },
        { "2026-11-21T24:00:00Z", false, 0 },
        { "2026-11-21T08:30:01", false, 0 },
        { "2026-11-21T08:30:01+01:00", false, 0 },
        { "2026-11-21 08:30:01Z", false, 0 },
        { "2026-1-1", false, 0 },
        { "", false, 0 },
    };
    EXPECT_READINGS(units_date, CASES);
}

static void expect_round_trip(reader *read, writer *write, uint64_t value)
{
    struct buf text = { 0 };
    uint64_t back = 0;
    write(&text, value);
    assert_true(read(buf_slice(&text), &back));
    assert_true(back == value);
    buf_fini(&text);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (int i = 0; i < 5000; i++) {
        value = value * 6364136223846793005u + 1442695040888963407u;
        uint64_t small = (value >> 11) >> i % 53; /* of all magnitudes up to 2^53 */
        expect_round_trip(units_duration, units_add_duration, small);
        expect_round_trip(units_size, units_add_size, small);
        expect_round_trip(units_date, units_add_date, small % 253402300800); /* year 10000 */
    }
}

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } CASES[] = {
        { "", "", 0 },         { "abc", "abc", 0 },        { "abc", "ABC", 0 },
        { "abc", "", 3 },      { "abc", "abd", 1 },        { "abc", "acb", 1 },
        { "abcd", "badc", 2 }, { "kitten", "sitting", 3 }, { "wait_timeout", "waittimeout", 1 },
        { "abc", "xabcy", 2 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(edit_distance(slice_str(CASES[i].a), slice_str(CASES[i].b)),
                         CASES[i].distance);
        assert_int_equal(edit_distance(slice_str(CASES[i].b), slice_str(CASES[i].a)),
                         CASES[i].distance);
    }
    char longer[100];
    memset(longer, 'a', sizeof longer);
    assert_true(edit_distance(slice_of(longer, 100), slice_of(longer, 100)) > 50);
}

static const char *guess(const char *word)
{
    static const char *const NAMES[] = { "size", "min_size", "wait_timeout", "wait_notice",
                                         "mode" };
    struct nearest nearest = { .word = slice_str(word) };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        nearest_offer(&nearest, slice_str(NAMES[i]));
    return nearest.best.len ? nearest.best.at : "";
}

static void guesses(void **state)
{
    (void)state;
    assert_string_equal(guess("sice"), "size");
    assert_string_equal(guess("minsize"), "min_size");
    assert_string_equal(guess("timeout"), "wait_timeout");
    assert_string_equal(guess("Mode"), "mode");
    assert_string_equal(guess("pool_mode"), "mode");
    assert_string_equal(guess("xyz"), "");
    assert_string_equal(guess(""), "");
}

static void problems_are_sorted_and_escaped(void **state)
{
    (void)state;
    struct problems p = { 0 };
    struct buf out = { 0 };
    problem_error(&p, 7, "seven %d", 7);
    problem_warning(&p, 2, "two \x1b[31m");
    problem_error(&p, 7, "seven again");
    problem_error(&p, 0, "all");
    problems_sort(&p);
    problems_print(&p, "a\nb", &out);
    buf_add_u8(&out, 0);
    assert_string_equal(out.at, "a\\x0ab:0: error: all\n"
                                "a\\x0ab:2: warning: two \\x1b[31m\n"
                                "a\\x0ab:7: error: seven 7\n"
                                "a\\x0ab:7: error: seven again\n");
    assert_int_equal(p.errors, 3);
    assert_int_equal(p.warnings, 1);
    buf_fini(&out);
    problems_fini(&p);
}

static void too_many_problems_are_counted(void **state)
{
    (void)state;
    struct problems p = { 0 };
    struct buf out = { 0 };
    for (uint32_t i = 0; i < 700; i++) problem_error(&p, i, "x");
    assert_int_equal(p.count, 500);
    assert_int_equal(p.errors, 700);
    problems_print(&p, "f", &out);
    buf_add_u8(&out, 0);
    assert_non_null(strstr(out.at, "and 200 more problems\n"));
    buf_fini(&out);
    problems_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(dates),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(distances),
        cmocka_unit_test(guesses),
        cmocka_unit_test(problems_are_sorted_and_escaped),
        cmocka_unit_test(too_many_problems_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
