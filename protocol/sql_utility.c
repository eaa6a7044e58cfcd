/* Statements about tables, plans and cursors: TRUNCATE, ANALYZE, VACUUM, CALL, PREPARE, EXECUTE,
 * DEALLOCATE, DECLARE, FETCH, CLOSE, EXPLAIN. */
#include "protocol/sql_reader.h"

/* ---- tables -------------------------------------------------------------------------------- */

/* [TABLE] t, ... */
bool sql_read_truncate(struct sql_reader *r)
{
    struct sql_name name;
    accept_word(r, SQL_WORD_TABLE);
    do {
        if (!sql_read_relation(r, SQL_VERB_TRUNCATE, &name)) return false;
    } while (accept(r, ','));
    return !at_word(r, SQL_WORD_CASCADE) || refuse(r, SQL_REFUSED_CASCADE);
}

/* [VERBOSE] t [(columns)] [PREDICATE COLUMNS | ALL COLUMNS]. ANALYZE COMPRESSION t is not this:
 * there two names stand in a row. */
bool sql_read_analyze(struct sql_reader *r)
{
    struct sql_name name;
    accept_word(r, SQL_WORD_VERBOSE);
    if ((!sql_is_label(r) && !at_kind(r, SQL_TEMP)) || at_word(r, SQL_WORD_PREDICATE))
        return refuse(r, SQL_REFUSED_NO_TABLE);
    if (at_word(r, SQL_WORD_COMPRESSION)) return refuse(r, SQL_REFUSED_STATEMENT);
    if (!sql_read_relation(r, SQL_VERB_MAINTAIN, &name)) return false;
    if (at_kind(r, '(') && !sql_read_labels(r)) return false;
    if (accept_word(r, SQL_WORD_PREDICATE) || accept_word(r, SQL_WORD_ALL))
        return expect_word(r, SQL_WORD_COLUMNS);
    return true;
}

/* [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] t [TO n PERCENT] [BOOST] */
bool sql_read_vacuum(struct sql_reader *r)
{
    struct sql_name name;
    if ((at_word(r, SQL_WORD_SORT) || at_word(r, SQL_WORD_DELETE)) &&
        peek(r).word == SQL_WORD_ONLY) {
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
    } else if (!accept_word(r, SQL_WORD_FULL) && !accept_word(r, SQL_WORD_REINDEX)) {
        accept_word(r, SQL_WORD_RECLUSTER);
    }
    if (!sql_is_label(r) && !at_kind(r, SQL_TEMP))
        return refuse(r, at_kind(r, '(') ? SQL_REFUSED_SYNTAX : SQL_REFUSED_NO_TABLE);
    if (at_word(r, SQL_WORD_BOOST)) return refuse(r, SQL_REFUSED_NO_TABLE);
    if (!sql_read_relation(r, SQL_VERB_MAINTAIN, &name)) return false;
    if (accept_word(r, SQL_WORD_TO) &&
        (!expect(r, SQL_NUMBER) || !expect_word(r, SQL_WORD_PERCENT)))
        return false;
    accept_word(r, SQL_WORD_BOOST);
    return true;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* (expressions), which read no relation. */
static bool read_arguments(struct sql_reader *r)
{
    const uint32_t before = r->relations;
    const uint32_t at = r->lex.token.at;
    if (!read_open(r)) return false;
    if (!at_kind(r, ')') && !sql_read_exprs(r)) return false;
    return read_close(r) && (r->relations == before || refuse_at(r, SQL_REFUSED_SYNTAX, at));
}

/* p (arguments) */
bool sql_read_call(struct sql_reader *r)
{
    struct sql_name name;
    if (!sql_read_relation(r, SQL_VERB_CALL, &name)) return false;
    return read_arguments(r);
}

/* ---- prepared statements ------------------------------------------------------------------- */

/* A name of one part that is no object. */
static bool read_plain_name(struct sql_reader *r, struct sql_name *name)
{
    if (!sql_read_name(r, name)) return false;
    return (name->count == 1 && !name->temp) || refuse_at(r, SQL_REFUSED_SYNTAX, name->at);
}

/* (type, ...) */
static bool read_types(struct sql_reader *r)
{
    if (!at_kind(r, '(')) return true;
    if (!read_open(r)) return false;
    do {
        if (!sql_read_type(r)) return false;
    } while (accept(r, ','));
    return read_close(r);
}

/* n [(types)] AS statement */
bool sql_read_prepare(struct sql_reader *r)
{
    struct sql_name name;
    if (!read_plain_name(r, &name) || !read_types(r)) return false;
    if (!expect_word(r, SQL_WORD_AS) || !sql_read_plannable(r)) return false;
    return sql_ask_name(r, SQL_NEED_PREPARE, &name);
}

/* n [(arguments)] */
bool sql_read_execute(struct sql_reader *r)
{
    struct sql_name name;
    if (!read_plain_name(r, &name) || !sql_ask_name(r, SQL_NEED_EXECUTE, &name)) return false;
    return !at_kind(r, '(') || read_arguments(r);
}

/* [PREPARE] { n | ALL } */
bool sql_read_deallocate(struct sql_reader *r)
{
    struct sql_name name = { .at = r->lex.token.at };
    if (at_word(r, SQL_WORD_PREPARE) && peek(r).kind != SQL_END && peek(r).kind != ';')
        sql_lex_next(&r->lex);
    if (!accept_word(r, SQL_WORD_ALL) && !read_plain_name(r, &name)) return false;
    return sql_ask_name(r, SQL_NEED_DEALLOCATE, &name);
}

/* [VERBOSE] statement; neither ANALYZE, which executes it, nor a list of options */
bool sql_read_explain(struct sql_reader *r)
{
    accept_word(r, SQL_WORD_VERBOSE);
    if (accept_word(r, SQL_WORD_EXECUTE)) return sql_read_execute(r);
    return at_kind(r, '(') ? refuse_syntax(r) : sql_read_plannable(r);
}

/* ---- cursors ------------------------------------------------------------------------------- */

/* c CURSOR FOR query */
bool sql_read_declare(struct sql_reader *r)
{
    struct sql_name name;
    if (!read_plain_name(r, &name) || !expect_word(r, SQL_WORD_CURSOR)) return false;
    if (!expect_word(r, SQL_WORD_FOR) || !sql_read_query(r, NULL)) return false;
    return sql_ask_name(r, SQL_NEED_DECLARE, &name);
}

/* [NEXT | ALL | FORWARD [n | ALL] | n] FROM c */
bool sql_read_fetch(struct sql_reader *r)
{
    struct sql_name name;
    if (accept_word(r, SQL_WORD_FORWARD)) {
        if (!accept(r, SQL_NUMBER)) accept_word(r, SQL_WORD_ALL);
    } else if (!accept_word(r, SQL_WORD_NEXT) && !accept_word(r, SQL_WORD_ALL)) {
        accept(r, SQL_NUMBER);
    }
    if (!accept_word(r, SQL_WORD_FROM) && !expect_word(r, SQL_WORD_IN)) return false;
    return read_plain_name(r, &name) && sql_ask_name(r, SQL_NEED_FETCH, &name);
}

/* c */
bool sql_read_close_cursor(struct sql_reader *r)
{
    struct sql_name name;
    return read_plain_name(r, &name) && sql_ask_name(r, SQL_NEED_CLOSE, &name);
}
