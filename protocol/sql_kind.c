#include "protocol/sql_kind.h"

static const struct sql_effect_row effects[] = {
#define SQL_EFFECT(name, what, reason, sentence) { #name, SQL_EFFECT_IS_##what, reason, sentence },
#include "protocol/sql_effect.def"
};
_Static_assert(SQL_EFFECT_COUNT < 32, "a set of effects is a uint32_t of positive enumerators");

/* The table's rows, with a hole before each letter, so that a word is compared only with those
 * that share its first. */
enum {
    ROW_FIRST_HOLE,
#define SQL_LETTER(l, letter)             LETTER_##l,
#define SQL_KIND(name, word, how, effect) ROW_##name,
#include "protocol/sql_kind.def"
    ROWS
};

enum how { PLAIN, READ };

struct kind_row {
    const char *word; /* NULL: a hole */
    uint8_t len, kind, how;
};

static const struct kind_row rows[ROWS + 1] = {
#define SQL_KIND(name, word, how, effect)                                                          \
    [ROW_##name] = { word, sizeof(word) - 1, SQL_KIND_##name, how },
#include "protocol/sql_kind.def"
};

static const uint8_t letters[256] = {
#define SQL_LETTER(l, letter) [letter] = LETTER_##l, [letter - 'a' + 'A'] = LETTER_##l,
#include "protocol/sql_kind.def"
};

static const uint8_t row_of[SQL_KIND_COUNT] = {
#define SQL_KIND(name, word, how, effect) [SQL_KIND_##name] = ROW_##name,
#include "protocol/sql_kind.def"
};

static const uint32_t always[SQL_KIND_COUNT] = {
#define SQL_KIND(name, word, how, effect) [SQL_KIND_##name] = SQL_EFFECT_##effect,
#include "protocol/sql_kind.def"
};

static const char *const names[SQL_KIND_COUNT] = {
    [SQL_KIND_NONE] = "",
    [SQL_KIND_UNKNOWN] = "",
#define SQL_KIND(name, word, how, effect) [SQL_KIND_##name] = #name,
#include "protocol/sql_kind.def"
};

const struct sql_effect_row *sql_effect_row(unsigned bit) { return &effects[bit]; }

enum sql_kind sql_kind_of(struct slice word)
{
    if (word.len == 0) return SQL_KIND_UNKNOWN;
    unsigned hole = letters[(uint8_t)*word.at];
    if (hole == ROW_FIRST_HOLE) return SQL_KIND_UNKNOWN;
    for (const struct kind_row *row = &rows[hole + 1]; row->word; row++)
        if (row->len == word.len && slice_is_nocase(word, row->word))
            return (enum sql_kind)row->kind;
    return SQL_KIND_UNKNOWN;
}

const char *sql_kind_name(enum sql_kind kind) { return names[kind]; }

uint32_t sql_kind_effects(enum sql_kind kind) { return always[kind]; }

bool sql_kind_is_harmless(enum sql_kind kind)
{
    return kind > SQL_KIND_UNKNOWN && rows[row_of[kind]].how == PLAIN && always[kind] == 0;
}
