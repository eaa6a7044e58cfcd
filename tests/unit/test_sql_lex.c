/* sql_lex: tokens as the servers cut them, and a flag wherever two readings part. */
#include "unit/unit.h"

#include "protocol/sql_effects.h"
#include "protocol/sql_lex.h"

#include <stdio.h>
#include <stdlib.h>

/* A heap copy of exact length, so that a read beyond the end is seen by ASan. */
static struct slice exact(struct slice text)
{
    char *copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.at, text.len);
    return slice_of(copy, text.len);
}

/* The tokens, one letter and the text each: `w:select n:1`. */
static const char *tokens_of(struct slice text, char *out, size_t cap, uint32_t *flags)
{
    static const char letter[] = { '$', 'w', 'q', 't', 's', 'd', 'n', 'p', 'c', 'o', 'b' };
    struct slice copy = exact(text);
    struct sql_lex lex;
    size_t n = 0;
    out[0] = 0;
    for (sql_lex_init(&lex, copy); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        const struct slice t = sql_token_text(&lex, lex.token);
        assert_true(t.len > 0);
        if (lex.token.kind < 32)
            n += (size_t)snprintf(out + n, cap - n, "%s%c:%.*s", n ? " " : "",
                                  letter[lex.token.kind], SLICE_ARG(t));
        else
            n += (size_t)snprintf(out + n, cap - n, "%s%c", n ? " " : "", lex.token.kind);
    }
    *flags = lex.flags;
    free((char *)copy.at);
    return out;
}

#define NO_FLAG 0U
#define F(name) (1U << SQL_LEX_##name)

static void tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tokens;
        uint32_t flags;
    } cases[] = {
        { "", "", NO_FLAG },
        { " \t\r\n\f", "", NO_FLAG },
        { "INSERT INTO a.b", "w:INSERT w:INTO w:a . w:b", NO_FLAG },
        { "\"a\"\"b\".c$1", "q:\"a\"\"b\" . w:c$1", NO_FLAG },
        { "#tmp # 3", "t:#tmp o:# n:3", NO_FLAG },
        { "'a''b' 'c'", "s:'a''b' s:'c'", NO_FLAG },
        { "'a'\n 'b'", "s:'a'\n 'b'", NO_FLAG },
        { "'a'\r'b'", "s:'a'\r'b'", NO_FLAG },
        { "'a'\f'b'", "s:'a' s:'b'", NO_FLAG },
        { "'a' -- x\n 'b'", "s:'a' -- x\n 'b'", NO_FLAG },
        { "'a' -- x\n -- y\r'b'", "s:'a' -- x\n -- y\r'b'", NO_FLAG },
        { "'a' /* x */\n'b'", "s:'a' s:'b'", NO_FLAG },
        { "'a'\n'b' 'c'\n'd'", "s:'a'\n'b' s:'c'\n'd'", NO_FLAG },
        { "'a\\\\' b", "s:'a\\\\' w:b", NO_FLAG },
        { "'a\\n'", "s:'a\\n'", NO_FLAG },
        { "'a\\'b' c", "s:'a\\'b' w:c", F(AMBIGUOUS_QUOTE) },
        { "'a\\\\''b'", "s:'a\\\\''b'", NO_FLAG },
        { "'a\\\\\\'b'", "s:'a\\\\\\'b'", F(AMBIGUOUS_QUOTE) },
        { "'a\\'", "s:'a\\'", F(AMBIGUOUS_QUOTE) | F(UNTERMINATED) },
        { "'a\\", "s:'a\\", F(UNTERMINATED) },
        { "'a", "s:'a", F(UNTERMINATED) },
        { "\"a", "q:\"a", F(UNTERMINATED) },
        { "\"\"", "q:\"\"", F(EMPTY_NAME) },
        { "a--b\rc--d\ne", "w:a w:c w:e", NO_FLAG },
        { "a/*b*/c", "w:a w:c", NO_FLAG },
        { "a/*b/*c*/d*/e", "w:a w:e", F(NESTED_COMMENT) },
        { "a/*/b*/c", "w:a w:c", NO_FLAG },
        { "a/*b", "w:a", F(UNTERMINATED) },
        { "a/**", "w:a", F(UNTERMINATED) },
        { "*/*x*/", "*", NO_FLAG },
        { "+--x", "o:+", NO_FLAG },
        { "<=- =*<>", "o:<=- o:=*<>", NO_FLAG },
        { "a=b", "w:a = w:b", NO_FLAG },
        { "a::int b:c", "w:a c::: w:int w:b : w:c", NO_FLAG },
        { "1 1.5 .5 1. 1.e5 1e+7", "n:1 n:1.5 n:.5 n:1. n:1.e5 n:1e+7", NO_FLAG },
        { "1e", "n:1e", F(GLUED_NUMBER) },
        { "1from", "n:1from", F(GLUED_NUMBER) },
        { "0x1F", "n:0x1F", F(GLUED_NUMBER) },
        { "1_000", "n:1_000", F(GLUED_NUMBER) },
        { "1..2", "n:1. n:.2", F(GLUED_NUMBER) },
        { "1.2.3", "n:1.2 n:.3", F(GLUED_NUMBER) },
        { "$1 $1abc", "p:$1 p:$1abc", F(GLUED_NUMBER) },
        { "$1.$2", "p:$1 . p:$2", NO_FLAG },
        { "a$$b", "w:a$$b", NO_FLAG },
        { "$$a'b$$c", "d:$$a'b$$ w:c", F(DOLLAR) },
        { "$t$a$$b$t$c", "d:$t$a$$b$t$ w:c", F(DOLLAR) },
        { "$t$a", "d:$t$a", F(DOLLAR) | F(UNTERMINATED) },
        { "$1$x$1$", "p:$1$x$1$", F(GLUED_NUMBER) },
        { "$ a", "b:$ w:a", F(BAD_CHAR) },
        { "E'a' e 'a' ae'a'", "w:E s:'a' w:e s:'a' w:ae s:'a'", F(PREFIXED_LITERAL) },
        { "e 'a' date'x'", "w:e s:'a' w:date s:'x'", NO_FLAG },
        { "b'1'", "w:b s:'1'", F(PREFIXED_LITERAL) },
        { "U&'a'", "w:U o:& s:'a'", F(PREFIXED_LITERAL) },
        { "u&\"a\"", "w:u o:& q:\"a\"", F(PREFIXED_LITERAL) },
        { "u&1", "w:u o:& n:1", NO_FLAG },
        { "a\vb", "w:a b:\v w:b", F(CONTROL_CHAR) },
        { "a\x7f", "w:a b:\x7f", F(CONTROL_CHAR) },
        { "'\v'", "s:'\v'", NO_FLAG },
        { "\"\v\"", "q:\"\v\"", F(CONTROL_CHAR) },
        { "\"a\\b\"", "q:\"a\\b\"", F(BAD_CHAR) },
        { "a \\ b", "w:a b:\\ w:b", F(BAD_CHAR) },
        { "a ? b", "w:a o:? w:b", F(BAD_CHAR) },
        { "`a`", "o:` w:a o:`", F(BAD_CHAR) },
        { "{a}", "b:{ w:a b:}", F(BAD_CHAR) },
        { "caf\xc3\xa9", "w:caf\xc3\xa9", NO_FLAG },
        { "a\xc2\xa0"
          "b",
          "w:a\xc2\xa0"
          "b",
          F(UNICODE_SPACE) },
        { "a\xe2\x80\x83"
          "b",
          "w:a\xe2\x80\x83"
          "b",
          F(UNICODE_SPACE) },
        { "\xef\xbb\xbfselect", "w:\xef\xbb\xbfselect", F(UNICODE_SPACE) },
        { "\"\xc2\xa0\" '\xc2\xa0' --\xc2\xa0", "q:\"\xc2\xa0\" s:'\xc2\xa0'", NO_FLAG },
        { "a\xc2", "w:a\xc2", F(INVALID_UTF8) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[256];
        uint32_t flags = 0;
        tokens_of(slice_str(cases[i].text), out, sizeof out, &flags);
        if (strcmp(out, cases[i].tokens) != 0 || flags != cases[i].flags)
            fail_msg("%s: read as %s, flags %#x", cases[i].text, out, flags);
    }
}

static void nul_is_a_bad_token(void **state)
{
    (void)state;
    char out[64];
    uint32_t flags = 0;
    tokens_of(slice_of("a\0b", 3), out, sizeof out, &flags);
    assert_int_equal(flags, F(NUL));
    tokens_of(slice_of("\"a\0b\"", 5), out, sizeof out, &flags);
    assert_int_equal(flags, F(NUL));
}

static void the_first_flag_keeps_its_place(void **state)
{
    (void)state;
    struct sql_lex lex;
    for (sql_lex_init(&lex, slice_str("a 1b $$c$$ 'd")); lex.token.kind; sql_lex_next(&lex)) {
    }
    assert_int_equal(lex.flag, SQL_LEX_GLUED_NUMBER);
    assert_int_equal(lex.flag_at, 3);
    assert_int_equal(lex.flags, F(GLUED_NUMBER) | F(DOLLAR) | F(UNTERMINATED));
}

static bool bytes_fine(const char *text, size_t len)
{
    struct sql_lex lex;
    struct slice copy = exact(slice_of(text, len));
    sql_lex_init(&lex, copy);
    const bool fine = sql_lex_check_bytes(&lex);
    free((char *)copy.at);
    return fine;
}

static void bytes_are_utf8_without_nul(void **state)
{
    (void)state;
    assert_true(bytes_fine("", 0));
    assert_true(bytes_fine("select 'gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80'", 24));
    assert_false(bytes_fine("select 'a\0b' from x", 19));
    static const char *const bad[] = { "'12345678\x95\x5c'",
                                       "\xc0\xaf",
                                       "\xed\xa0\x80",
                                       "\xf4\x90\x80\x80",
                                       "\xe0\x80\x80",
                                       "\xf0\x80\x80\x80",
                                       "\xff",
                                       "abcdefg\xe2\x82",
                                       "\x80" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (bytes_fine(bad[i], strlen(bad[i]))) fail_msg("taken for UTF-8: case %zu", i);
}

static void long_names(void **state)
{
    (void)state;
    char text[200];
    for (int quoted = 0; quoted < 2; quoted++)
        for (size_t n = 126; n < 130; n++) {
            memset(text, 'a', sizeof text);
            if (quoted) text[0] = text[n + 1] = '"';
            struct sql_lex lex;
            sql_lex_init(&lex, slice_of(text, quoted ? n + 2 : n));
            assert_int_equal(lex.flags, n > 127 ? F(LONG_NAME) : 0);
        }
}

/* Every word finds itself: this is what the table of first letters rests on. */
static void words_are_found(void **state)
{
    (void)state;
#define WORD(id, text, use)                                                                        \
    assert_int_equal(sql_word_find(slice_str(text)), SQL_WORD_##id);                               \
    assert_int_equal(sql_word_find(slice_str(text "x")), SQL_WORD_NONE);
#include "protocol/sql_word.def"
#undef WORD
    assert_int_equal(sql_word_find(slice_str("SeLeCt")), SQL_WORD_SELECT);
    assert_int_equal(sql_word_find(slice_str("a_very_long_name_indeed")), SQL_WORD_NONE);
    assert_true(sql_word_is_reserved(SQL_WORD_FROM));
    assert_false(sql_word_is_reserved(SQL_WORD_NONE));
}

static void names_and_literals_are_unwrapped(void **state)
{
    (void)state;
    char out[16];
    size_t len = 0;
    assert_int_equal(sql_token_name(slice_str("AbC"), out, sizeof out), 3);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(sql_token_name(slice_str("\"A\"\"b\""), out, sizeof out), 3);
    assert_memory_equal(out, "A\"b", 3);
    assert_int_equal(sql_token_name(slice_str("\"abc\""), out, 2), 0);
    static const char *const pairs[][2] = { { "'a''b'", "a'b" },
                                            { "'a'\n'b'", "ab" },
                                            { "''", "" },
                                            { "'a'--x\n'''b'", "a'b" },
                                            { "'a\\\\'", "a\\\\" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(sql_token_literal(slice_str(pairs[i][0]), out, sizeof out, &len));
        assert_int_equal(len, strlen(pairs[i][1]));
        assert_memory_equal(out, pairs[i][1], len);
    }
    assert_false(sql_token_literal(slice_str("'abc'"), out, 2, &len));
}

/* CVE-2025-4207, CVE-2026-2006: one byte was read beyond an incomplete character. Every text, cut
 * at every byte, in memory of just that size; ASan looks on. */
static void cut_characters_are_not_read_beyond_CVE_2025_4207_CVE_2026_2006(void **state)
{
    static const char *const texts[] = {
        "select '\xe3\x81\x82\xf0\x9f\x98\x80' as \"\xc3\xa4\"", /* UTF-8 */
        "insert into t values ('\x95\x5c', '\x83\x5c')",         /* SJIS */
        "select '\xbf\x5c', \x81\x30\x81\x30, $\xa4$x$\xa4$",    /* GBK, GB18030 */
        "/* \xa4\xa2 */ select e'\\\xa4' -- \xa4\xa2",           /* EUC_JP */
    };
    (void)state;
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++)
        for (size_t len = 0; len <= strlen(texts[at]); len++) {
            char *exact = malloc(len ? len : 1);
            memcpy(exact, texts[at], len);
            struct sql_lex lex;
            sql_lex_init(&lex, slice_of(exact, len));
            sql_lex_check_bytes(&lex);
            while (lex.token.kind != SQL_END) sql_lex_next(&lex);
            struct sql_effects e;
            sql_effects(slice_of(exact, len), false, &e);
            free(exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(nul_is_a_bad_token),
        cmocka_unit_test(the_first_flag_keeps_its_place),
        cmocka_unit_test(bytes_are_utf8_without_nul),
        cmocka_unit_test(long_names),
        cmocka_unit_test(words_are_found),
        cmocka_unit_test(names_and_literals_are_unwrapped),
        cmocka_unit_test(cut_characters_are_not_read_beyond_CVE_2025_4207_CVE_2026_2006),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
