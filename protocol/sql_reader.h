/* sql_reader: what the files of the SQL reader share. Nobody else includes this.
 *
 * Every read_ function starts at the current token, goes past what it read and
 * returns true, or refuses with a reason and returns false: then all return false.
 */
#ifndef SLUICE_PROTOCOL_SQL_READER_H
#define SLUICE_PROTOCOL_SQL_READER_H

#include "protocol/scratch.h"
#include "protocol/sql_stmt.h"

/* One SELECT, or a set of them, for the question: can a bare name here be a column? */
struct sql_level {
    struct sql_level *outer; /* whose columns are visible too */
    uint32_t bare_at;        /* the first bare name that no relation explains yet */
    bool bare, has_relation;
};

/* The name of a common table expression, in the text. */
struct sql_cte {
    uint32_t at, len;
};

struct sql_reader {
    struct sql_lex lex;
    const struct sql_policy *policy;
    struct sql_level *level;
    enum sql_refusal refusal;
    enum sql_kind kind;
    uint32_t refused_at;
    uint32_t statement;
    uint32_t depth;
    uint32_t relations;  /* read so far in this statement */
    bool unload;         /* whoever is read must be granted for UNLOAD as well */
    bool into_allowed;   /* the next SELECT may have INTO */
    bool in_separates;   /* IN is no operator here: POSITION(a IN b) */
    bool inner;          /* the text is UNLOAD's query: places are not those of the message */
    uint32_t inner_at;   /* but this one */
    struct sql_cte *cte; /* SQL_CTES of them, cte_count in scope */
    uint32_t cte_count;
};

/* ---- tokens -------------------------------------------------------------------------------- */

static inline bool refuse_at(struct sql_reader *r, enum sql_refusal why, uint32_t at)
{
    if (!r->refusal) {
        r->refusal = why;
        r->refused_at = at;
    }
    return false;
}

static inline bool refuse(struct sql_reader *r, enum sql_refusal why)
{
    return refuse_at(r, why, r->lex.token.at);
}

static inline bool refuse_syntax(struct sql_reader *r)
{
    return refuse(r, r->lex.token.word == SQL_WORD_RETURNING ? SQL_REFUSED_RETURNING
                                                             : SQL_REFUSED_SYNTAX);
}

static inline bool at_kind(const struct sql_reader *r, uint8_t kind)
{
    return r->lex.token.kind == kind;
}

static inline bool at_word(const struct sql_reader *r, enum sql_word word)
{
    return r->lex.token.word == word;
}

static inline bool accept(struct sql_reader *r, uint8_t kind)
{
    if (!at_kind(r, kind)) return false;
    sql_lex_next(&r->lex);
    return true;
}

static inline bool accept_word(struct sql_reader *r, enum sql_word word)
{
    if (!at_word(r, word)) return false;
    sql_lex_next(&r->lex);
    return true;
}

static inline bool expect(struct sql_reader *r, uint8_t kind)
{
    return accept(r, kind) || refuse_syntax(r);
}

static inline bool expect_word(struct sql_reader *r, enum sql_word word)
{
    return accept_word(r, word) || refuse_syntax(r);
}

/* The token after the current one. */
static inline struct sql_token peek(const struct sql_reader *r)
{
    struct sql_lex ahead = r->lex;
    sql_lex_next(&ahead);
    return ahead.token;
}

static inline bool is_query_head(struct sql_token token)
{
    return token.word == SQL_WORD_SELECT || token.word == SQL_WORD_WITH;
}

static inline struct slice token_text(const struct sql_reader *r)
{
    return sql_token_text(&r->lex, r->lex.token);
}

/* Every bracket that opens goes through here; the bound on recursion. */
static inline bool enter(struct sql_reader *r)
{
    return ++r->depth <= SQL_DEPTH || refuse(r, SQL_REFUSED_DEPTH);
}

static inline void leave(struct sql_reader *r) { r->depth--; }

static inline bool read_open(struct sql_reader *r) { return enter(r) && expect(r, '('); }

static inline bool read_close(struct sql_reader *r)
{
    leave(r);
    return expect(r, ')');
}

/* ---- sql_reader.c: what is needed ------------------------------------------------------------ */

/* Asks the policy; fills in statement and kind. */
bool sql_ask(struct sql_reader *r, struct sql_need *n);
bool sql_ask_name(struct sql_reader *r, enum sql_need_kind what, const struct sql_name *name);
/* Asks for `verb` on `name`, which refuses quoted capitals whose meaning is unknown. */
bool sql_ask_object(struct sql_reader *r, enum sql_verb verb, const struct sql_name *name);

/* ---- sql_expr.c ---------------------------------------------------------------------------- */

/* A name of any kind: parts with dots between. */
bool sql_read_name(struct sql_reader *r, struct sql_name *name);
/* One part, of something that is no object: column, alias, cursor. */
bool sql_read_label(struct sql_reader *r);
bool sql_read_labels(struct sql_reader *r); /* (a, b, c) */
bool sql_is_label(const struct sql_reader *r);
bool sql_read_type(struct sql_reader *r);
bool sql_read_expr(struct sql_reader *r);
bool sql_read_expr_tail(struct sql_reader *r); /* behind an operand in brackets */
bool sql_read_exprs(struct sql_reader *r);     /* a, b, c */
bool sql_read_order_by(struct sql_reader *r);  /* behind ORDER BY */

/* ---- sql_query.c --------------------------------------------------------------------------- */

/* SELECT in all its forms; `outer`: whose columns it sees, besides its own. */
bool sql_read_query(struct sql_reader *r, struct sql_level *outer);

enum sql_paren { SQL_PAREN_BAD, SQL_PAREN_QUERY, SQL_PAREN_LIST };
/* Past `( ... )` in an expression: a query, or a list of expressions. */
enum sql_paren sql_read_paren(struct sql_reader *r);

/* WITH and its expressions; the caller takes cte_count back at the end of what they are for. */
bool sql_read_with(struct sql_reader *r);
bool sql_read_from_list(struct sql_reader *r);
/* `name [[AS] alias [(columns)]]`; an alias is not taken from `SET`. */
bool sql_read_alias(struct sql_reader *r);
bool sql_read_relation(struct sql_reader *r, enum sql_verb verb, struct sql_name *name);

/* A level of its own around a part of a statement. */
void sql_level_begin(struct sql_reader *r, struct sql_level *level, struct sql_level *outer);
bool sql_level_end(struct sql_reader *r, struct sql_level *level, struct sql_level *restore);

/* ---- the statements, each behind its first word -------------------------------------------- */

bool sql_read_insert(struct sql_reader *r); /* sql_dml.c */
bool sql_read_update(struct sql_reader *r);
bool sql_read_delete(struct sql_reader *r);
bool sql_read_merge(struct sql_reader *r);
/* A query, or UPDATE or DELETE behind WITH; `into`: SELECT may make a table. */
bool sql_read_select(struct sql_reader *r, bool into);
/* SELECT, INSERT, UPDATE or DELETE, as PREPARE and EXPLAIN take them. */
bool sql_read_plannable(struct sql_reader *r);
bool sql_read_copy(struct sql_reader *r); /* sql_copy.c */
bool sql_read_unload(struct sql_reader *r);
bool sql_read_create(struct sql_reader *r); /* sql_ddl.c */
bool sql_read_alter(struct sql_reader *r);
bool sql_read_drop(struct sql_reader *r);
bool sql_read_truncate(struct sql_reader *r); /* sql_utility.c */
bool sql_read_analyze(struct sql_reader *r);
bool sql_read_vacuum(struct sql_reader *r);
bool sql_read_call(struct sql_reader *r);
bool sql_read_prepare(struct sql_reader *r);
bool sql_read_execute(struct sql_reader *r);
bool sql_read_deallocate(struct sql_reader *r);
bool sql_read_declare(struct sql_reader *r);
bool sql_read_fetch(struct sql_reader *r);
bool sql_read_close_cursor(struct sql_reader *r);
bool sql_read_explain(struct sql_reader *r);
bool sql_read_begin(struct sql_reader *r); /* sql_session.c */
bool sql_read_start(struct sql_reader *r);
bool sql_read_end_txn(struct sql_reader *r);
bool sql_read_show(struct sql_reader *r);
bool sql_read_set(struct sql_reader *r);
bool sql_read_reset(struct sql_reader *r);

#endif
