/* regex: what is found, what is refused, and that nothing runs for long. */
#include "unit/unit.h"

#include "routing/regex.h"

#include <stdlib.h>
#include <time.h>

static enum regex_result run(const char *pattern, struct slice text)
{
    struct err e;
    struct regex *r = regex_new(slice_str(pattern), &e);
    if (!r) fail_msg("%s: %s", pattern, e.message);
    struct regex_scratch *s = regex_scratch_new();
    assert_non_null(s);
    enum regex_result found = regex_run(r, s, text);
    assert_int_equal(regex_run(r, s, text), found); /* the scratch keeps nothing */
    regex_scratch_free(s);
    regex_free(r);
    return found;
}

static void finds(void **state)
{
    (void)state;
    assert_int_equal(run("from\\s+mart\\.", slice_str("SELECT a FROM mart.x")), REGEX_YES);
    assert_int_equal(run("^copy", slice_str("select")), REGEX_NO);
    assert_int_equal(run("a", (struct slice){ 0 }), REGEX_NO);
    assert_int_equal(run("^$", (struct slice){ 0 }), REGEX_YES);
    assert_int_equal(run("(\\w+) as (?:x|y{1,99})", slice_str("one As yy")), REGEX_YES);
    assert_int_equal(run("from.*join.*where", slice_str("from a\njoin b\nwhere")), REGEX_YES);
    assert_int_equal(run("\xff", slice_str("\xff")), REGEX_YES); /* bytes, not characters */
}

static void looks_at_the_beginning_only(void **state)
{
    (void)state;
    char *text = malloc(REGEX_TEXT_BYTES + 1);
    assert_non_null(text);
    memset(text, ' ', REGEX_TEXT_BYTES);
    text[REGEX_TEXT_BYTES - 1] = 'x';
    text[REGEX_TEXT_BYTES] = 'y';
    assert_int_equal(run("x", slice_of(text, REGEX_TEXT_BYTES + 1)), REGEX_YES);
    assert_int_equal(run("y", slice_of(text, REGEX_TEXT_BYTES + 1)), REGEX_NO);
    free(text);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "(",
        "a{2,1}",
        "[z-a]",
        "\\",
        "*",
        "(a+)+$",
        "(a|aa)+$",
        "(.*)*x\\d",
        "(\\w+\\s?)*$",
        "\\C",
        "((a{1,100}){1,100}){1,100}",
        "(x+x+)+y[^x]",
        "(ab|a|b|)*c[d-f]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };
        struct regex *r = regex_new(slice_str(bad[i]), &e);
        if (r) fail_msg("%s was taken", bad[i]);
        assert_int_not_equal(strlen(e.message), 0);
    }
    char big[REGEX_PATTERN_BYTES + 1];
    memset(big, 'a', sizeof big);
    struct err e;
    assert_null(regex_new(slice_of(big, sizeof big), &e));
    assert_null(regex_new(slice_str("ab("), &e));
    assert_non_null(strstr(e.message, "at character 4"));
}

static void nothing_runs_for_long(void **state)
{
    (void)state;
    /* Some pass the probes; on a text that the admin did not think of they still end in time. */
    static const char *const slow[] = { "\\w*[;!]", "[a-z]*+[;!]", "(?=(\\w*))q*\\1[;!]",
                                        "\\w*\\w*[;!]", "(?:b?a)*[;!]" };
    char *text = malloc(1 << 20);
    assert_non_null(text);
    memset(text, 'a', 1 << 20);
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        struct err e;
        struct regex *r = regex_new(slice_str(slow[i]), &e);
        if (!r) continue;
        struct regex_scratch *s = regex_scratch_new();
        clock_t before = clock();
        enum regex_result found = regex_run(r, s, slice_of(text, 1 << 20));
        double ms = (double)(clock() - before) * 1000 / CLOCKS_PER_SEC;
        print_message("  %-24s %s in %.1f ms\n", slow[i], found == REGEX_LIMIT ? "limit" : "no",
                      ms);
        assert_int_not_equal(found, REGEX_YES);
        assert_true(ms < 1000); /* without the limits: hours. The figure itself is bench's */
        regex_scratch_free(s);
        regex_free(r);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(looks_at_the_beginning_only),
        cmocka_unit_test(refuses),
        cmocka_unit_test(nothing_runs_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
