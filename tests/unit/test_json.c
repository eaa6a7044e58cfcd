/* json: positions, strictness, and that cJSON's leniency never shows. */
#include "unit/unit.h"

#include "protocol/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct json_doc *parse(const char *text)
{
    struct json_error error;
    struct json_doc *doc = json_parse(slice_str(text), 1 << 20, &error);
    if (!doc) print_error("%u:%u: %s\n", error.line, error.column, error.text);
    return doc;
}

static const struct json_value *member(const struct json_value *v, const char *key)
{
    return json_member(v, slice_str(key));
}

static void values_know_where_they_stand(void **state)
{
    (void)state;
    struct json_doc *doc = parse("// a comment\n"
                                 "{ \"a\": 1, /* two\n"
                                 "lines */ \"b\" :\n"
                                 "  [ true, {\"c\": null} ],\n"
                                 "\"d\": \"x\\u00e9\\ud83d\\ude00\\n\" }\n");
    assert_non_null(doc);
    const struct json_value *root = json_root(doc);
    assert_int_equal(json_type(root), JSON_OBJECT);
    assert_int_equal(json_line(root), 2);
    assert_int_equal(json_column(root), 1);
    assert_int_equal(json_count(root), 3);
    const struct json_value *b = member(root, "b");
    assert_int_equal(json_key_line(b), 3);
    assert_int_equal(json_line(b), 4);
    assert_int_equal(json_column(b), 3);
    assert_int_equal(json_offset(b), 47);
    const struct json_value *object = json_next(json_first(b));
    assert_int_equal(json_column(object), 11);
    assert_int_equal(json_type(json_first(object)), JSON_NULL);
    assert_null(json_next(object));
    assert_true(slice_is(json_string(member(root, "d")), "x\xc3\xa9\xf0\x9f\x98\x80\n"));
    assert_true(slice_is(json_key(json_first(root)), "a"));
    assert_null(member(root, "e"));
    assert_null(member(b, "a"));
    for (uint32_t i = 0; json_at(doc, i); i++)
        assert_int_equal(json_number_of(doc, json_at(doc, i)), i);
    json_free(doc);
}

static void integers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        int64_t value;
    } CASES[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "9007199254740993", true, 9007199254740993 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "\"1\"", false, 0 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct json_doc *doc = parse(CASES[i].text);
        int64_t n = 0;
        assert_non_null(doc);
        assert_int_equal(json_integer(json_root(doc), &n), CASES[i].fits);
        if (CASES[i].fits) assert_true(n == CASES[i].value);
        json_free(doc);
    }
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line, column;
        const char *says;
    } CASES[] = {
        { "", 1, 1, "end of the file" },
        { "{\"a\":1,\n\"b\":2,\n\"a\":3}", 3, 5, "\"a\" stands twice, first on line 1" },
        { "{\"a\":1,\"\\u0061\":2}", 1, 17, "stands twice" },
        { "[1,]", 1, 4, "a comma before ']'" },
        { "{\"a\":1,}", 1, 8, "a comma before '}'" },
        { "[1 2]", 1, 4, "',' or ']'" },
        { "{a:1}", 1, 2, "a key in quotes" },
        { "{\"a\" 1}", 1, 6, "':'" },
        { "[01]", 1, 2, "malformed number" },
        { "[1.]", 1, 4, "a digit" },
        { "[.5]", 1, 2, "a value" },
        { "[+1]", 1, 2, "a value" },
        { "[1e999]", 1, 2, "out of range" },
        { "[NaN]", 1, 2, "a value" },
        { "[nul]", 1, 2, "a value" },
        { "[1] x", 1, 5, "the end of the file" },
        { "[1]\n\n]", 3, 1, "the end of the file" },
        { "\"a\nb\"", 1, 1, "not closed on its line" },
        { "\"a\tb\"", 1, 3, "control byte 0x09" },
        { "\"\\x\"", 1, 2, "unknown escape" },
        { "\"\\u12g4\"", 1, 2, "four hexadecimal digits" },
        { "\"\\u0000\"", 1, 2, "NUL" },
        { "\"\\ud800\"", 1, 2, "high surrogate" },
        { "\"\\ud800\\u0041\"", 1, 2, "high surrogate" },
        { "\"\\udc00\"", 1, 2, "low surrogate" },
        { "\"\xff\"", 1, 2, "not UTF-8" },
        { "\"\xc0\x80\"", 1, 2, "not UTF-8" },
        { "\"\xed\xa0\x80\"", 1, 2, "not UTF-8" },
        { "[1, /* never\nclosed", 1, 5, "never ends" },
        { "[1, / 2]", 1, 5, "comment" },
        { "[", 1, 2, "end of the file" },
        { "\v[]", 1, 1, "byte 0x0b" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct json_error error;
        struct json_doc *doc = json_parse(slice_str(CASES[i].text), 1 << 20, &error);
        if (doc || error.line != CASES[i].line || error.column != CASES[i].column ||
            !strstr(error.text, CASES[i].says))
            fail_msg("%s\n-> %u:%u %s", CASES[i].text, error.line, error.column,
                     doc ? "accepted" : error.text);
    }
    struct json_error error;
    assert_null(json_parse(slice_of("[1]\0", 4), 100, &error)); /* a NUL behind it */
    assert_null(json_parse(slice_of("[\"a\0\"]", 6), 100, &error));
    assert_null(json_parse(slice_str("[1,2,3]"), 6, &error));
    assert_non_null(strstr(error.text, "more than 6"));
}

/* cJSON reads a number into 64 bytes; one of any length must be read whole or refused. */
static void long_numbers_are_not_cut(void **state)
{
    (void)state;
    for (size_t n = 55; n < 200; n++) {
        char text[256] = "[";
        memset(text + 1, '1', n);
        strcpy(text + 1 + n, ", 2]");
        struct json_error error;
        struct json_doc *doc = json_parse(slice_str(text), sizeof text, &error);
        assert_int_equal(doc != NULL, n <= 63);
        if (doc) assert_int_equal(json_count(json_root(doc)), 2);
        json_free(doc);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct json_error error;
    for (unsigned depth = 60; depth < 70; depth++) {
        char text[256] = "";
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct json_doc *doc = json_parse(slice_str(text), sizeof text, &error);
        assert_int_equal(doc != NULL, depth <= JSON_DEPTH_MAX);
        json_free(doc);
    }
    static char deep[1 << 20];
    memset(deep, '[', sizeof deep);
    assert_null(json_parse(slice_of(deep, sizeof deep), sizeof deep, &error));
    assert_int_equal(error.column, JSON_DEPTH_MAX + 1);
}

static void every_member_is_found(void **state)
{
    (void)state;
    struct buf text = { 0 };
    enum { MEMBERS = 5000 };
    buf_add_str(&text, "{");
    for (unsigned i = 0; i < MEMBERS; i++)
        buf_addf(&text, "%s\"k%u\": {\"v\": %u}", i ? "," : "", i * 7919 % MEMBERS, i);
    buf_add_str(&text, "}");
    struct json_error error;
    struct json_doc *doc = json_parse(buf_slice(&text), 1 << 20, &error);
    assert_non_null(doc);
    for (unsigned i = 0; i < MEMBERS; i++) {
        char key[16];
        int64_t n = -1;
        snprintf(key, sizeof key, "k%u", i * 7919 % MEMBERS);
        assert_true(json_integer(member(member(json_root(doc), key), "v"), &n));
        assert_int_equal(n, i);
    }
    assert_null(member(json_root(doc), "k"));
    json_free(doc);
    buf_fini(&text);
}

/* Whatever is quoted reads back, bytes that are not UTF-8 as U+FFFD. */
static void quoting_reads_back(void **state)
{
    (void)state;
    char bytes[255];
    for (int i = 0; i < 255; i++) bytes[i] = (char)(i + 1);
    struct buf quoted = { 0 };
    json_quote(&quoted, slice_of(bytes, sizeof bytes));
    struct json_error error;
    struct json_doc *doc = json_parse(buf_slice(&quoted), 1 << 16, &error);
    assert_non_null(doc);
    struct slice back = json_string(json_root(doc));
    assert_memory_equal(back.at, bytes, 127);
    for (size_t i = 127; i < back.len; i += 3) assert_memory_equal(back.at + i, "\xef\xbf\xbd", 3);
    for (uint32_t i = 0; i < quoted.len; i++) assert_true((unsigned char)quoted.at[i] >= 0x20);
    json_free(doc);
    buf_fini(&quoted);

    json_quote(&quoted, slice_str("\xc2\x9b"
                                  "2J \xc2\xa0")); /* CSI, and no control */
    buf_add_u8(&quoted, 0);
    assert_string_equal(quoted.at, "\"\\u009b2J \xc2\xa0\"");
    buf_fini(&quoted);

    json_quote(&quoted, slice_str("plain \"quoted\" \\ \xc3\xa9\n"));
    buf_add_u8(&quoted, 0);
    assert_string_equal(quoted.at, "\"plain \\\"quoted\\\" \\\\ \xc3\xa9\\n\"");
    buf_fini(&quoted);
}

static void numbers_have_fractions_and_exponents(void **state)
{
    (void)state;
    struct json_error error;
    struct json_doc *doc = json_parse(slice_str("[1.5, 1.795226561E9, -0, \"1\"]"), 100, &error);
    assert_non_null(doc);
    const struct json_value *v = json_first(json_root(doc));
    double number = 7;
    assert_true(json_number(v, &number) && number == 1.5);
    v = json_next(v);
    assert_true(json_number(v, &number) && number == 1795226561.0);
    v = json_next(v);
    assert_true(json_number(v, &number) && number == 0);
    number = 7;
    assert_false(json_number(json_next(v), &number));
    assert_true(number == 7);
    json_free(doc);
}

/* CVE-2025-11230: an exponent was multiplied out, one zero after the other. Here none takes longer
 * than its digits; what has no value as a number is no JSON, or is not read as an integer. */
static void exponents_take_no_time_CVE_2025_11230(void **state)
{
    (void)state;
    static const char *const texts[] = { "[1e10000000]", "[1e-10000000]",
                                         "[-1e99999999999999999999]", "[0e99999999999]",
                                         "[1E+2147483648]" };
    enum { DIGITS = 1 << 20 };
    char *digits = malloc(DIGITS);
    struct json_error error;
    assert_non_null(digits);
    memset(digits, '7', DIGITS);
    digits[0] = '[';
    digits[DIGITS - 1] = ']';
    const clock_t before = clock();
    for (size_t i = 0; i <= sizeof texts / sizeof *texts; i++) {
        const bool last = i == sizeof texts / sizeof *texts;
        struct json_doc *doc =
            json_parse(last ? slice_of(digits, DIGITS) : slice_str(texts[i]), 100, &error);
        int64_t integer = 7;
        if (doc && json_integer(json_first(json_root(doc)), &integer) && integer != 0)
            fail_msg("%zu: %lld", i, (long long)integer);
        json_free(doc);
    }
    assert_true(clock() - before < 5 * CLOCKS_PER_SEC);
    free(digits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_know_where_they_stand),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(numbers_have_fractions_and_exponents),
        cmocka_unit_test(exponents_take_no_time_CVE_2025_11230),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(long_numbers_are_not_cut),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(every_member_is_found),
        cmocka_unit_test(quoting_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
