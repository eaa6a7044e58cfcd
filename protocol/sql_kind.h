/* sql_kind: what the pooler calls things in SQL: kinds of statements and effects on a session.
 *
 * The names of two tables, sql_kind.def and sql_effect.def, and the way from a word to its row.
 */
#ifndef SLUICE_PROTOCOL_SQL_KIND_H
#define SLUICE_PROTOCOL_SQL_KIND_H

#include "protocol/slice.h"

/* By the first word; a leading WITH counts as the verb behind it, a parenthesis as SELECT. */
enum sql_kind {
    SQL_KIND_NONE, /* empty text */
    SQL_KIND_UNKNOWN,
#define SQL_KIND(name, word, how, effect) SQL_KIND_##name,
#include "protocol/sql_kind.def"
    SQL_KIND_COUNT
};

enum {
#define SQL_EFFECT(name, what, reason, sentence) SQL_EFFECT_BIT_##name,
#include "protocol/sql_effect.def"
    SQL_EFFECT_COUNT
};

/* A set of effects is a uint32_t of these. */
enum sql_effect {
    SQL_EFFECT_NONE = 0,
#define SQL_EFFECT(name, what, reason, sentence) SQL_EFFECT_##name = 1 << SQL_EFFECT_BIT_##name,
#include "protocol/sql_effect.def"
};

enum sql_effect_what {
    SQL_EFFECT_IS_CARRY,
    SQL_EFFECT_IS_PIN,
    SQL_EFFECT_IS_TXN,
    SQL_EFFECT_IS_NOTE
};

/* A row of sql_effect.def. */
struct sql_effect_row {
    const char *name;
    enum sql_effect_what what;
    const char *reason;
    const char *sentence;
};

/* All that pin. */
enum {
#define SQL_EFFECT_PIN_CARRY 0
#define SQL_EFFECT_PIN_TXN   0
#define SQL_EFFECT_PIN_NOTE  0
#define SQL_EFFECT_PIN_PIN   1
    SQL_EFFECTS_PIN = 0
#define SQL_EFFECT(name, what, reason, sentence) | SQL_EFFECT_PIN_##what << SQL_EFFECT_BIT_##name
#include "protocol/sql_effect.def"
};

/* `bit` below SQL_EFFECT_COUNT. */
const struct sql_effect_row *sql_effect_row(unsigned bit);

/* The kind whose first word this is, in either case; SQL_KIND_UNKNOWN when there is none. */
enum sql_kind sql_kind_of(struct slice word);

/* "SELECT"; "" for NONE and UNKNOWN. */
const char *sql_kind_name(enum sql_kind kind);

/* What every statement of the kind does: a set. */
uint32_t sql_kind_effects(enum sql_kind kind);

/* Nothing but the words that matter anywhere makes such a statement matter to its session. */
bool sql_kind_is_harmless(enum sql_kind kind);

#endif
