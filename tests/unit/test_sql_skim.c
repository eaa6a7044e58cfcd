/* sql_skim: one answer however the text is cut, and the answer of sql_effects where both can tell.
 */
#include "unit/unit.h"

#include "protocol/sql_effects.h"
#include "protocol/sql_skim.h"

#include <stdio.h>
#include <stdlib.h>

#define E(name) SQL_EFFECT_##name

static uint32_t skim_tail(const char *head, const char *tail)
{
    struct sql_skim k;
    sql_skim_begin(&k, slice_str(head));
    sql_skim_feed(&k, slice_str(tail));
    return sql_skim_end(&k);
}

static void tails(void **state)
{
    (void)state;
    static const struct {
        const char *head, *tail;
        uint32_t effects;
    } cases[] = {
        { "INSERT INTO t VALUES ('a", "b'), ('it''s; set x to 1')", 0 },
        { "INSERT INTO t VALUES ('a\\", "'b')", E(UNREAD) },
        { "INSERT INTO t VALUES ('a\\\\", "'), (1)", 0 },
        { "INSERT INTO t VALUES ('a", "\\\\\\')", E(UNREAD) },
        { "INSERT INTO t VALUES (E'a\\", "'b')", 0 },
        { "INSERT INTO t VALUES (E", "'a\\'b')", 0 },
        { "INSERT INTO t VALUES (1); ", "INSERT INTO t VALUES (2); SELECT 3", 0 },
        { "INSERT INTO t VALUES (1); ", "SET x TO 1", E(UNREAD) },
        { "INSERT INTO t VALUES (1); CO", "MMIT", E(UNREAD) },
        { "INSERT INTO t VALUES (1)", "; ; -- ; set x\n/* set */ ;", 0 },
        { "SELECT pg_backend_pid(), ", "1", 0 }, /* sql_effects saw that one */
        { "SELECT pg_backend_", "pid()", E(BACKEND_PID) },
        { "SELECT pg_backend_pid", " (", E(BACKEND_PID) },
        { "SELECT pg_backend_pid /", "* x */ (", E(BACKEND_PID) },
        { "SELECT pg_backend_pid", "x()", 0 },
        { "SELECT \"pg_backend", "_pid\"()", E(BACKEND_PID) },
        { "SELECT 1, ", "set_config('a', 'b', false)", E(UNREAD) },
        { "SELECT 1 INTO ", "TEMP t", E(TEMP_TABLE) },
        { "SELECT 1 IN", "TO #t", E(DDL) | E(TEMP_TABLE) },
        { "SELECT 1 INTO \"", "#t\"", E(TEMP_TABLE) },
        { "COPY t FROM /* long */ ", "stdin", E(COPY_IN) },
        { "UPDATE ", "pg_settings SET setting = 1", E(UNREAD) },
        { "CREATE FUNCTION f() AS $bo", "dy$ ; set x $b$ '; $body", E(UNREAD) },
        { "CREATE FUNCTION f() AS $bo", "dy$ ; set x $b$ '; $body$", 0 },
        { "SELECT $", "$ ' $$", 0 },
        { "SELECT $", "1 ' '", 0 },
        { "SELECT U", "&\"x\"", E(UNREAD) },
        { "SELECT U&", "\"x\"", E(UNREAD) },
        { "SELECT U & ", "\"x\"", 0 },
        { "SELECT /", "* /", E(UNREAD) },
        { "SELECT /* /", "* */", E(UNREAD) },
        { "SELECT /*/", " */", 0 },
        { "SELECT 1 -", "- set x ' \" \n", 0 },
        { "SELECT 1 -", " 'a", E(UNREAD) },
        { "SELECT 'a", "", E(UNREAD) },
        { "SELECT 'a'", "", 0 },
        { "SELECT 1;", "1", E(UNREAD) },
        { "SELECT 1;", "\"set\"", E(UNREAD) },
        { "SELECT $averyveryverylongtagofmorethan28", "$ x", E(UNREAD) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t got = skim_tail(cases[i].head, cases[i].tail);
        if (got != cases[i].effects)
            print_error("%s|%s: %08x\n", cases[i].head, cases[i].tail, got);
        assert_int_equal(got, cases[i].effects);
    }
    assert_int_equal(sizeof(struct sql_skim) <= 64, 1);
}

/* Every word of the table is seen, quoted, in capitals, and cut anywhere. */
static void every_word_that_matters(void **state)
{
    (void)state;
    static const struct {
        const char *word, *when;
        uint32_t effect;
    } words[] = {
#define SQL_EFFECT_WORD(name, when, effect) { name, #when, E(effect) },
#include "protocol/sql_effect_word.def"
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *verb = strcmp(words[i].when, "UPDATED") == 0  ? "update"
                           : strcmp(words[i].when, "COPIED") == 0 ? "copy"
                                                                  : "select";
        char sql[128];
        snprintf(sql, sizeof sql, "%s x.%s(1)", verb, words[i].word);
        for (size_t cut = 0; cut <= strlen(sql); cut++) {
            struct sql_skim k;
            sql_skim_begin(&k, slice_of("", 0));
            sql_skim_feed(&k, slice_of(sql, cut));
            sql_skim_feed(&k, slice_str(sql + cut));
            assert_int_equal(sql_skim_end(&k), words[i].effect);
        }
    }
}

/* ---- random texts -------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t *x, uint32_t n)
{
    *x = *x * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(*x >> 8) * n >> 24);
}

static size_t write_text(uint32_t *x, char *out, size_t cap)
{
    static const char *const pieces[] = {
        "select",
        "insert into",
        "t",
        "values",
        "(",
        ")",
        ",",
        ";",
        ";",
        "'",
        "'",
        "''",
        "\\",
        "\"",
        "--",
        "\n",
        "\r",
        "/*",
        "*/",
        "/",
        "*",
        "-",
        "$$",
        "$a$",
        "$",
        "$1",
        "e",
        "E'",
        "U&",
        "U&\"",
        "set_config",
        "(",
        "pg_backend_pid",
        "pg_advisory_lock(1)",
        "\"pg_backend_pid\"",
        "into",
        "temp",
        "#t",
        "table",
        "create",
        "set",
        "x",
        "to",
        "=",
        "1",
        "1into",
        "update",
        "pg_settings",
        "with",
        "as",
        "copy",
        "stdin",
        "explain",
        "begin",
        "commit",
        "prepare p as",
        "execute p",
        "declare c cursor",
        "with hold for",
        "'a'",
        "'it''s'",
        "'b\\\\'",
        ".",
        "]",
        "[",
        "\xc3\xa9",
    };
    size_t n = 0;
    for (uint32_t left = 1 + random_below(x, 24); left; left--) {
        const char *piece = pieces[random_below(x, sizeof pieces / sizeof *pieces)];
        if (n + strlen(piece) + 1 > cap) break;
        memcpy(out + n, piece, strlen(piece));
        n += strlen(piece);
        if (random_below(x, 3)) out[n++] = ' ';
    }
    return n;
}

/* The bytes stand alone in memory, so that ASan sees one too many. */
static uint32_t feed_alone(struct sql_skim *k, const char *at, size_t len)
{
    char *alone = malloc(len ? len : 1);
    memcpy(alone, at, len);
    sql_skim_feed(k, slice_of(alone, len));
    free(alone);
    return k->effects;
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (int round = 0; round < 60000; round++) {
        char sql[512];
        size_t len = write_text(&x, sql, sizeof sql);
        size_t head = random_below(&x, (uint32_t)len + 1);
        struct sql_skim once, cut;
        sql_skim_begin(&once, slice_of(sql, head));
        feed_alone(&once, sql + head, len - head);
        sql_skim_begin(&cut, slice_of(sql, head));
        for (size_t at = head; at < len;) {
            size_t n = 1 + random_below(&x, 1 + random_below(&x, (uint32_t)(len - at)));
            feed_alone(&cut, sql + at, n);
            at += n;
        }
        uint32_t a = sql_skim_end(&once), b = sql_skim_end(&cut);
        if (a != b) print_error("%08x %08x, head %zu: %.*s\n", a, b, head, (int)len, sql);
        assert_int_equal(a, b);

        /* Head and tail together know what the whole is known for, or say that they do not. The
         * skim may see a new table where an EXPLAIN or PREPARE only inserts. */
        struct sql_effects whole, begun;
        sql_effects(slice_of(sql, len), false, &whole);
        sql_effects(slice_of(sql, head), true, &begun);
        uint32_t together = begun.effects | a;
        if (together & E(UNREAD)) continue;
        uint32_t missing = whole.effects & ~together, extra = together & ~whole.effects;
        if (missing || extra & ~(uint32_t)(E(DDL) | E(TEMP_TABLE)))
            print_error("%08x + %08x, not %08x: %.*s|%.*s\n", begun.effects, a, whole.effects,
                        (int)head, sql, (int)(len - head), sql + head);
        assert_int_equal(missing, 0);
        assert_int_equal(extra & ~(uint32_t)(E(DDL) | E(TEMP_TABLE)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tails),
        cmocka_unit_test(every_word_that_matters),
        cmocka_unit_test(cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
