/* sql_stmt: reads a message's statements and says what each of them needs.
 *
 * A recogniser of Redshift's dialect: it accepts what it knows to the last token
 * and refuses everything else. It decides nothing; whoever asks is told of every
 * object, function, setting, prepared name and place in S3 that the text uses, in
 * the order of the text, and may say no at each.
 *
 *     sql_stmt_read -> statement -> query -> expression -> name --> policy->need()
 *
 * A relation is reported as SQL_NEED_OBJECT wherever it stands: the grammar has one
 * door for subqueries. Names of common table expressions are not reported where
 * they hide a table (PostgreSQL's scoping). One pass, no allocation, bounded
 * recursion, no state beyond the call.
 *
 * Not here: which names are granted (auth/grants), what a statement leaves behind
 * in a session (sql_effects).
 */
#ifndef SLUICE_PROTOCOL_SQL_STMT_H
#define SLUICE_PROTOCOL_SQL_STMT_H

#include "protocol/sql_kind.h"
#include "protocol/sql_lex.h"
#include "protocol/sql_name.h"
#include "protocol/sql_verb.h"

enum {
    SQL_DEPTH = 128, /* nested brackets, CASEs and queries that are read; deeper is refused */
    SQL_CTES = 64,   /* common table expressions in scope at once */
    SQL_UNLOAD_BYTES = 65536, /* the longest query of UNLOAD that is looked into */
};

enum sql_need_kind {
    SQL_NEED_OBJECT,     /* `verb` on `name` */
    SQL_NEED_VERB,       /* `verb` on anything at all: UNLOAD of a query that reads no table */
    SQL_NEED_FUNCTION,   /* `name` is called */
    SQL_NEED_SETTING,    /* `name` is set to `value`; RESET or DEFAULT: value.at is NULL */
    SQL_NEED_PREPARE,    /* `name` is prepared, its body is fine */
    SQL_NEED_EXECUTE,    /* `name` is executed */
    SQL_NEED_DEALLOCATE, /* `name` is given up; no name: all */
    SQL_NEED_DECLARE,    /* cursor `name` is declared, its query is fine */
    SQL_NEED_FETCH,      /* and read */
    SQL_NEED_CLOSE,      /* and closed */
    SQL_NEED_COPY_FROM,  /* `value`: the literal that says where COPY reads */
    SQL_NEED_COPY_ROLE,  /* `value`: the literal of IAM_ROLE; `default` as a bare word */
    SQL_NEED_COPY_CREDENTIALS, /* `value`: the literal of CREDENTIALS */
    SQL_NEED_COPY_KEY, /* ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN: a key in plain text */
    SQL_NEED_END,      /* the statement is over: `kind` is known now */
};

struct sql_need {
    enum sql_need_kind what;
    enum sql_verb verb;
    enum sql_kind kind;
    uint32_t statement; /* of the message, from 1, empty ones not counted */
    uint32_t at;        /* byte of the text */
    struct sql_name name;
    struct slice value; /* a token: quotes included */
    uint8_t value_bits; /* SQL_TOKEN_BACKSLASH and so on */
};

/* Who is asked. `need` answers false to stop the reading (SQL_REFUSED_POLICY). What it is given
 * lives only as long as the call. */
struct sql_policy {
    void *context;
    bool (*need)(void *context, const struct sql_need *need);
    enum sql_case letters; /* how quoted names compare */
};

enum sql_refusal {
    SQL_READ, /* everything was understood, nobody said no */
#define REFUSAL(id, text) SQL_REFUSED_##id,
#include "protocol/sql_refusal.def"
#undef REFUSAL
    SQL_REFUSAL_COUNT
};

struct sql_reading {
    enum sql_refusal refusal;
    enum sql_lex_flag flag;    /* with SQL_REFUSED_LEX */
    enum sql_kind kind;        /* of the refused statement, or of the last one */
    uint32_t statement;        /* the refused one, or how many there are */
    uint32_t at;               /* the byte where the reading ended */
    uint32_t first, first_len; /* the first word of that statement */
};

/* Reads the whole message. True when it is understood and nobody said no; `reading` is filled in
 * either case. */
bool sql_stmt_read(struct slice text, const struct sql_policy *policy, struct sql_reading *reading);

const char *sql_refusal_name(enum sql_refusal refusal); /* "BARE_COLUMN" */
const char *sql_refusal_text(enum sql_refusal refusal); /* in words */

#endif
