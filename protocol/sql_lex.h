/* sql_lex: SQL text to tokens, as Redshift's scanner and PostgreSQL's cut it.
 *
 * Where the two part, or where one of them has two readings (a backslash before
 * a quote), the lexer goes on as Redshift would and raises a flag. Readers that
 * judge refuse a text with any flag; readers that only want to know may go on.
 * Length-based, no allocation, no locale, linear time. A lexer is a plain value:
 * copying it is saving it. The text is the caller's and must outlive the lexer.
 *
 *     for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) ...
 */
#ifndef SLUICE_PROTOCOL_SQL_LEX_H
#define SLUICE_PROTOCOL_SQL_LEX_H

#include "protocol/slice.h"

/* A token's kind is one of these, or the character itself: ( ) [ ] , ; . : = * */
enum sql_token_kind {
    SQL_END,      /* of the text; stays */
    SQL_WORD,     /* a bare name or keyword */
    SQL_QUOTED,   /* "name" */
    SQL_TEMP,     /* #name */
    SQL_STRING,   /* 'literal', with its continuations on later lines */
    SQL_DOLLAR,   /* $tag$literal$tag$ */
    SQL_NUMBER,   /* without a sign */
    SQL_PARAM,    /* $1 */
    SQL_CAST,     /* :: */
    SQL_OPERATOR, /* a run of operator characters, but for = and * */
    SQL_BAD       /* nothing that either server knows; a flag says why */
};

enum sql_word {
    SQL_WORD_NONE, /* no keyword */
#define WORD(id, text, use) SQL_WORD_##id,
#include "protocol/sql_word.def"
#undef WORD
    SQL_WORD_COUNT
};

/* More about literals and quoted names. */
enum {
    SQL_TOKEN_BACKSLASH = 1, /* holds a backslash */
    SQL_TOKEN_DOUBLED = 2,   /* holds a doubled quote */
    SQL_TOKEN_JOINED = 4,    /* several literals, joined over a line break */
    SQL_TOKEN_CAPITAL = 8    /* a quoted name with an ASCII capital */
};

enum sql_lex_flag {
#define FLAG(id, what, hint) SQL_LEX_##id,
#include "protocol/sql_lex_flag.def"
#undef FLAG
    SQL_LEX_FLAG_COUNT
};

/* The flags after which it is not certain where tokens begin and end. */
enum {
    SQL_LEX_DOUBTFUL = 1 << SQL_LEX_TOO_LONG | 1 << SQL_LEX_NUL | 1 << SQL_LEX_AMBIGUOUS_QUOTE |
                       1 << SQL_LEX_NESTED_COMMENT | 1 << SQL_LEX_UNTERMINATED,
};

enum { SQL_NAME_BYTES = 127 }; /* the longest name (Redshift, Names and identifiers) */

struct sql_token {
    uint32_t at, len; /* bytes of the text, quotes included */
    uint8_t kind;
    uint8_t bits;
    uint16_t word; /* enum sql_word, for SQL_WORD */
};

struct sql_lex {
    const char *text;
    uint32_t len, pos;      /* the next token is looked for at pos */
    struct sql_token token; /* the current one */
    uint32_t flags;         /* 1 << enum sql_lex_flag: all that was met */
    uint32_t flag_at;       /* where the first one was */
    uint8_t flag;           /* and which */
};

/* Begins, and reads the first token. */
void sql_lex_init(struct sql_lex *lex, struct slice text);

/* Reads the next token. */
void sql_lex_next(struct sql_lex *lex);

/* At the opening bracket of a row of VALUES: goes past this row and all after it, commas between,
 * that hold nothing but literals, numbers, NULL, TRUE, FALSE and DEFAULT. The token is then the one
 * behind the last of them. False, and nothing moved, when the first row holds anything else.
 * Loaders send little but such rows, and this is several times as fast as token by token; the
 * outcome is the same. */
bool sql_lex_skip_rows(struct sql_lex *lex);

/* Notes a finding; the first one keeps the place. */
void sql_lex_flag(struct sql_lex *lex, enum sql_lex_flag flag, uint32_t at);

/* Looks the whole text over for NUL and for what is not UTF-8: the lexer itself does not look into
 * literals and comments. False, and a flag, when there is such a byte. */
bool sql_lex_check_bytes(struct sql_lex *lex);

static inline struct slice sql_token_text(const struct sql_lex *lex, struct sql_token token)
{
    return slice_of(lex->text + token.at, token.len);
}

/* Keyword of a bare name; SQL_WORD_NONE for another. */
enum sql_word sql_word_find(struct slice name);
bool sql_word_is_reserved(enum sql_word word);

/* Writes what a name token names: unquoted, folded (ASCII only) unless quoted. Returns its length,
 * or 0 when it is longer than `cap`. */
size_t sql_token_name(struct slice token, char *out, size_t cap);

/* Writes what a literal says: unquoted, '' undone, joined; a backslash stays as it is. False when
 * it is longer than `cap`. */
bool sql_token_literal(struct slice token, char *out, size_t cap, size_t *len);

/* The same of $tag$ ... $tag$. */
bool sql_token_dollar(struct slice token, char *out, size_t cap, size_t *len);

const char *sql_lex_flag_name(enum sql_lex_flag flag); /* "AMBIGUOUS_QUOTE" */
const char *sql_lex_flag_text(enum sql_lex_flag flag); /* in words */
const char *sql_lex_flag_hint(enum sql_lex_flag flag); /* may be empty */

#endif
