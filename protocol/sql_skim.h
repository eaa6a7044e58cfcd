/* sql_skim: reads SQL text that arrives in pieces, and keeps none of it.
 *
 * A megabyte of INSERT of somebody unrestricted flows to its server as it comes. Its first
 * kilobytes were read by sql_effects; the skim follows the rest: where literals, names, comments,
 * dollar quotes and statements end, and which of the words that matter (sql_effect_word.def) it
 * meets. It answers with effects only. What it cannot know is SQL_EFFECT_UNREAD: the lexer's
 * ambiguities (sql_lex_flag.def), and a further statement of a kind whose grammar has to be read.
 *
 *   head, read by sql_effects        pieces, read by the skim
 *   [INSERT INTO t VALUES (1, 'a'),][ (2, '][it''s'), (3,] ... [ 'z')]
 *
 * The same text gives the same effects however it is cut. Single pass, linear, a few bytes per
 * client: one thread, no memory of its own.
 */
#ifndef SLUICE_PROTOCOL_SQL_SKIM_H
#define SLUICE_PROTOCOL_SQL_SKIM_H

#include "protocol/sql_kind.h"

enum { SQL_SKIM_WORD = 28 }; /* all words that matter are shorter; a dollar quote's tag must be */

struct sql_skim {
    uint32_t effects; /* seen so far, when the text ends: sql_skim_end */
    uint8_t state;
    uint8_t pending; /* the row + 1 of the word that matters and stands before here, or 0 */
    uint8_t kind;    /* enum sql_kind; NONE: at the start of a statement */
    bool head;       /* what is read now was read by sql_effects, too */
    bool escapes;    /* the literal's prefix is E */
    bool torn;       /* a word after EXPLAIN, which tells what is explained, may go on */
    bool odd;        /* an odd number of backslashes stands before here */
    uint8_t len;     /* of word */
    uint8_t matched; /* bytes of a closing dollar quote */
    char word[SQL_SKIM_WORD];
};

/* After sql_effects has read `head`, the first bytes of a text: takes up where that stops. */
void sql_skim_begin(struct sql_skim *k, struct slice head);

void sql_skim_feed(struct sql_skim *k, struct slice piece);

/* The text is complete: what its pieces after the head did. */
uint32_t sql_skim_end(struct sql_skim *k);

/* For sql_effects: skims one statement of `kind`, whose first word is behind us, up to and
 * with its semicolon. Returns the bytes read; `*ended`: there was a semicolon. */
size_t sql_skim_statement(struct sql_skim *k, enum sql_kind kind, struct slice text, bool *ended);

#endif
