/* sql_block: what it passes is what one byte after another would pass. */
#include "unit/unit.h"

#include "protocol/sql_block.h"

#include <ctype.h>
#include <stdlib.h>

/* A byte that means something between tokens, but for the quote. */
static bool stops(uint8_t c)
{
    return c == 0 || c >= 0x80 || isalpha(c) || c == '_' || strchr("\"$-/;", c);
}

/* The same by one byte after another; it stops where a whole block must stop or end. */
static size_t pass_slowly(const char *text, size_t len, bool *in_literal)
{
    bool inside = false, filled = false;
    for (size_t at = 0; at < len; at++) {
        *in_literal = inside;
        if (at % SQL_BLOCK_BYTES == 0) {
            if (len - at < SQL_BLOCK_BYTES) return at;
            const bool fills = inside && !memchr(text + at, '\'', SQL_BLOCK_BYTES);
            if (fills && filled) return at;
            filled = fills;
        }
        if (text[at] == '\'')
            inside = !inside;
        else if (inside ? text[at] == '\\' : stops((uint8_t)text[at]))
            return at;
    }
    *in_literal = inside;
    return len;
}

/* Alone in memory, so that a byte too many is seen. */
static void check(const char *text, size_t len)
{
    char *alone = malloc(len + !len);
    bool in_literal = true, expected_in = false;
    memcpy(alone, text, len);
    size_t passed = sql_block_pass(slice_of(alone, len), &in_literal);
    size_t expected = pass_slowly(text, len, &expected_in);
    assert_int_equal(passed, expected);
    assert_int_equal(in_literal, expected_in);
    free(alone);
}

static bool is_of_use(void)
{
    char digits[SQL_BLOCK_BYTES];
    bool in_literal;
    memset(digits, '1', sizeof digits);
    return sql_block_pass(slice_of(digits, sizeof digits), &in_literal) > 0;
}

static void every_byte(void **state)
{
    (void)state;
    if (!is_of_use()) skip();
    for (int c = 0; c < 256; c++) {
        for (int at = 0; at < 2 * SQL_BLOCK_BYTES; at++) {
            char text[2 * SQL_BLOCK_BYTES];
            memset(text, ',', sizeof text);
            text[at] = (char)c;
            check(text, sizeof text);
            if (at == 0) continue;
            text[at - 1] = '\''; /* and within a literal */
            check(text, sizeof text);
        }
    }
}

static void anything(void **state)
{
    (void)state;
    if (!is_of_use()) skip();
    static const char some[] = "''''',,,, 0123().\\a-;\"$\xc3#]";
    unsigned seed = 1;
    char text[300];
    for (int round = 0; round < 200000; round++) {
        size_t len = (size_t)rand_r(&seed) % sizeof text;
        /* Mostly what is passed, so that long runs occur. */
        unsigned kinds = 6 + (unsigned)rand_r(&seed) % (sizeof some - 7);
        for (size_t i = 0; i < len; i++) text[i] = some[(unsigned)rand_r(&seed) % kinds];
        if (round % 3 == 0 && len > 80) memset(text + 5, 'x', (size_t)round % (len - 5));
        check(text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte),
        cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
