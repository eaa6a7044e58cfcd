/* INSERT, UPDATE, DELETE, MERGE, and SELECT as a statement. Source: Redshift Developer Guide. */
#include "protocol/sql_reader.h"

/* A value of INSERT or UPDATE: an expression, or DEFAULT. */
static bool read_value(struct sql_reader *r)
{
    return accept_word(r, SQL_WORD_DEFAULT) || sql_read_expr(r);
}

/* (value, ...) */
static bool read_row(struct sql_reader *r)
{
    if (!read_open(r)) return false;
    do {
        if (!read_value(r)) return false;
    } while (accept(r, ','));
    return read_close(r);
}

static bool read_rows(struct sql_reader *r)
{
    do {
        if (!at_kind(r, '(')) return refuse_syntax(r);
        if (!sql_lex_skip_rows(&r->lex) && !read_row(r)) return false;
    } while (accept(r, ','));
    return true;
}

/* INTO t [(columns)] { DEFAULT VALUES | VALUES rows | query } */
bool sql_read_insert(struct sql_reader *r)
{
    struct sql_name target;
    if (!expect_word(r, SQL_WORD_INTO) || !sql_read_relation(r, SQL_VERB_INSERT, &target))
        return false;
    if (at_kind(r, '(')) {
        const struct sql_token next = peek(r);
        const bool query = is_query_head(next) || next.kind == '(';
        if (!query && !sql_read_labels(r)) return false;
    }
    if (accept_word(r, SQL_WORD_DEFAULT)) return expect_word(r, SQL_WORD_VALUES);
    if (accept_word(r, SQL_WORD_VALUES)) return read_rows(r);
    return sql_read_query(r, NULL);
}

/* column = value, ... */
static bool read_assignments(struct sql_reader *r)
{
    do {
        if (!sql_read_label(r) || !expect(r, '=') || !read_value(r)) return false;
    } while (accept(r, ','));
    return true;
}

/* [WHERE ...]: to choose rows of the target is to read it. */
static bool read_where(struct sql_reader *r, const struct sql_name *target)
{
    if (!accept_word(r, SQL_WORD_WHERE)) return true;
    return sql_ask_object(r, SQL_VERB_SELECT, target) && sql_read_expr(r);
}

/* t [[AS] alias] SET assignments [FROM ...] [WHERE ...] */
bool sql_read_update(struct sql_reader *r)
{
    struct sql_name target;
    r->level->has_relation = true;
    if (!sql_read_relation(r, SQL_VERB_UPDATE, &target) || !sql_read_alias(r)) return false;
    if (!expect_word(r, SQL_WORD_SET) || !read_assignments(r)) return false;
    if (accept_word(r, SQL_WORD_FROM) && !sql_read_from_list(r)) return false;
    return read_where(r, &target);
}

/* [FROM] t [[AS] alias] [USING ...] [WHERE ...] */
bool sql_read_delete(struct sql_reader *r)
{
    struct sql_name target;
    r->level->has_relation = true;
    accept_word(r, SQL_WORD_FROM);
    if (!sql_read_relation(r, SQL_VERB_DELETE, &target) || !sql_read_alias(r)) return false;
    if (accept_word(r, SQL_WORD_USING) && !sql_read_from_list(r)) return false;
    return read_where(r, &target);
}

/* Behind WHEN: MATCHED THEN { UPDATE SET ... | DELETE }, NOT MATCHED THEN INSERT [(...)] VALUES
 * (...) */
static bool read_when(struct sql_reader *r)
{
    const bool absent = accept_word(r, SQL_WORD_NOT);
    if (!expect_word(r, SQL_WORD_MATCHED) || !expect_word(r, SQL_WORD_THEN)) return false;
    if (!absent) {
        if (accept_word(r, SQL_WORD_DELETE)) return true;
        return expect_word(r, SQL_WORD_UPDATE) && expect_word(r, SQL_WORD_SET) &&
               read_assignments(r);
    }
    if (!expect_word(r, SQL_WORD_INSERT)) return false;
    if (at_kind(r, '(') && !sql_read_labels(r)) return false;
    return expect_word(r, SQL_WORD_VALUES) && read_row(r);
}

static bool read_merge_source(struct sql_reader *r)
{
    struct sql_name source;
    if (!at_kind(r, '(')) return sql_read_relation(r, SQL_VERB_SELECT, &source);
    return read_open(r) && sql_read_query(r, NULL) && read_close(r);
}

/* INTO t USING s [[AS] alias] ON x { WHEN ... | REMOVE DUPLICATES } */
bool sql_read_merge(struct sql_reader *r)
{
    struct sql_name target;
    r->level->has_relation = true;
    if (!expect_word(r, SQL_WORD_INTO) || !sql_read_relation(r, SQL_VERB_MERGE, &target))
        return false;
    if (!sql_read_alias(r) || !expect_word(r, SQL_WORD_USING) || !read_merge_source(r))
        return false;
    if (!sql_read_alias(r) || !expect_word(r, SQL_WORD_ON) || !sql_read_expr(r)) return false;
    if (accept_word(r, SQL_WORD_REMOVE)) return expect_word(r, SQL_WORD_DUPLICATES);
    if (!at_word(r, SQL_WORD_WHEN)) return refuse_syntax(r);
    while (accept_word(r, SQL_WORD_WHEN))
        if (!read_when(r)) return false;
    return true;
}

/* ---- SELECT ------------------------------------------------------------------------------------
 */

/* UPDATE, DELETE and queries, the three that WITH may lead in. */
static bool read_with_body(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_UPDATE)) {
        r->kind = SQL_KIND_UPDATE;
        return sql_read_update(r);
    }
    if (accept_word(r, SQL_WORD_DELETE)) {
        r->kind = SQL_KIND_DELETE;
        return sql_read_delete(r);
    }
    return sql_read_query(r, NULL);
}

/* What WITH leads in is seen only behind it. */
bool sql_read_select(struct sql_reader *r, bool into)
{
    r->kind = SQL_KIND_SELECT;
    if (at_word(r, SQL_WORD_WITH) && !sql_read_with(r)) return false;
    r->into_allowed = into;
    return at_word(r, SQL_WORD_WITH) ? refuse_syntax(r) : read_with_body(r);
}

bool sql_read_plannable(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_INSERT)) return sql_read_insert(r);
    if (accept_word(r, SQL_WORD_UPDATE)) return sql_read_update(r);
    if (accept_word(r, SQL_WORD_DELETE)) return sql_read_delete(r);
    if (!is_query_head(r->lex.token) && !at_kind(r, '(')) return refuse(r, SQL_REFUSED_STATEMENT);
    const enum sql_kind kind = r->kind;
    const bool ok = sql_read_select(r, false);
    r->kind = kind;
    return ok;
}
