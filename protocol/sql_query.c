/* Queries: WITH, SELECT, set operations, FROM. Source: Redshift Developer Guide, SELECT; scoping of
 * WITH as PostgreSQL has it (7.8). */
#include "protocol/sql_reader.h"

static bool read_core(struct sql_reader *r, struct sql_level *query);
static bool read_table(struct sql_reader *r);

/* ---- levels -------------------------------------------------------------------------------- */

void sql_level_begin(struct sql_reader *r, struct sql_level *level, struct sql_level *outer)
{
    *level = (struct sql_level){ .outer = outer };
    r->level = level;
}

/* A bare name that no relation of this level explains may be a column of an outer one; else it
 * would be one of the functions that are called without brackets (rule F). */
bool sql_level_end(struct sql_reader *r, struct sql_level *level, struct sql_level *restore)
{
    r->level = restore;
    if (!level->bare || level->has_relation) return true;
    if (!level->outer) return refuse_at(r, SQL_REFUSED_BARE_COLUMN, level->bare_at);
    if (!level->outer->bare) {
        level->outer->bare = true;
        level->outer->bare_at = level->bare_at;
    }
    return true;
}

/* ---- common table expressions -------------------------------------------------------------- */

static bool refuses_capitals(struct sql_reader *r, bool quoted_capital, uint32_t at)
{
    if (!quoted_capital || r->policy->letters != SQL_CASE_UNKNOWN) return false;
    refuse_at(r, SQL_REFUSED_QUOTED_CAPITALS, at);
    return true;
}

static bool push_cte(struct sql_reader *r, struct sql_token name)
{
    if (r->cte_count == SQL_CTES) return refuse_at(r, SQL_REFUSED_CTE_LIMIT, name.at);
    r->cte[r->cte_count].at = name.at;
    r->cte[r->cte_count++].len = name.len;
    return true;
}

static bool is_cte(const struct sql_reader *r, const struct sql_name *name)
{
    if (name->count != 1 || name->temp) return false;
    for (uint32_t i = 0; i < r->cte_count; i++)
        if (sql_name_same(slice_of(r->lex.text + r->cte[i].at, r->cte[i].len), name->part[0],
                          r->policy->letters))
            return true;
    return false;
}

/* A name hides a table from its own body on only with RECURSIVE, and never in its earlier siblings.
 */
bool sql_read_with(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_WITH)) return false;
    const bool recursive = accept_word(r, SQL_WORD_RECURSIVE);
    do {
        const struct sql_token name = r->lex.token;
        if (!sql_read_label(r)) return false;
        if (refuses_capitals(r, name.bits & SQL_TOKEN_CAPITAL, name.at)) return false;
        if (recursive && !push_cte(r, name)) return false;
        if (at_kind(r, '(') && !sql_read_labels(r)) return false;
        if (!expect_word(r, SQL_WORD_AS) || !read_open(r)) return false;
        if (!sql_read_query(r, r->level->outer) || !read_close(r)) return false;
        if (!recursive && !push_cte(r, name)) return false;
    } while (accept(r, ','));
    return true;
}

/* ---- set operations ------------------------------------------------------------------------ */

static bool at_set_operator(const struct sql_reader *r)
{
    return at_word(r, SQL_WORD_UNION) || at_word(r, SQL_WORD_INTERSECT) ||
           at_word(r, SQL_WORD_EXCEPT) || at_word(r, SQL_WORD_MINUS);
}

static bool at_query_tail(const struct sql_reader *r)
{
    return at_set_operator(r) || at_word(r, SQL_WORD_ORDER) || at_word(r, SQL_WORD_LIMIT) ||
           at_word(r, SQL_WORD_OFFSET);
}

/* A SELECT or a query in brackets. What stands behind the latter sees its output: so does bare. */
static bool read_term(struct sql_reader *r, struct sql_level *query)
{
    if (at_word(r, SQL_WORD_SELECT)) return read_core(r, query);
    if (!at_kind(r, '(')) return refuse_syntax(r);
    r->into_allowed = false;
    query->has_relation = true;
    return read_open(r) && sql_read_query(r, query->outer) && read_close(r);
}

static bool read_limit(struct sql_reader *r)
{
    bool limit = false, offset = false;
    for (;;) {
        if (!limit && accept_word(r, SQL_WORD_LIMIT)) {
            limit = true;
            if (!accept_word(r, SQL_WORD_ALL) && !sql_read_expr(r)) return false;
        } else if (!offset && accept_word(r, SQL_WORD_OFFSET)) {
            offset = true;
            if (!sql_read_expr(r)) return false;
        } else {
            return true;
        }
    }
}

/* [UNION ... ] [ORDER BY ...] [LIMIT ...] [OFFSET ...] */
static bool read_query_tail(struct sql_reader *r, struct sql_level *query)
{
    while (at_set_operator(r)) {
        sql_lex_next(&r->lex);
        if (!accept_word(r, SQL_WORD_ALL)) accept_word(r, SQL_WORD_DISTINCT);
        query->has_relation = true; /* ORDER BY may name only columns of the output */
        if (!read_term(r, query)) return false;
    }
    if (accept_word(r, SQL_WORD_ORDER) && !sql_read_order_by(r)) return false;
    return read_limit(r);
}

bool sql_read_query(struct sql_reader *r, struct sql_level *outer)
{
    struct sql_level query, *const restore = r->level;
    const uint32_t ctes = r->cte_count;
    const bool into = r->into_allowed;
    sql_level_begin(r, &query, outer);
    r->into_allowed = false;
    if (at_word(r, SQL_WORD_WITH) && !sql_read_with(r)) return false;
    r->into_allowed = into;
    if (!read_term(r, &query) || !read_query_tail(r, &query)) return false;
    r->cte_count = ctes;
    return sql_level_end(r, &query, restore);
}

/* Goes on behind a query in brackets that turned out to be the first of a set. */
static bool read_rest_of_set(struct sql_reader *r, struct sql_level *outer)
{
    struct sql_level query, *const restore = r->level;
    sql_level_begin(r, &query, outer);
    query.has_relation = true;
    return read_query_tail(r, &query) && sql_level_end(r, &query, restore);
}

static enum sql_paren read_paren_inside(struct sql_reader *r)
{
    if (!read_open(r)) return SQL_PAREN_BAD;
    if (is_query_head(r->lex.token))
        return sql_read_query(r, r->level) && read_close(r) ? SQL_PAREN_QUERY : SQL_PAREN_BAD;
    if (at_kind(r, '(')) {
        const enum sql_paren first = read_paren_inside(r);
        if (first == SQL_PAREN_BAD) return first;
        if (first == SQL_PAREN_QUERY) {
            if (at_query_tail(r) && !read_rest_of_set(r, r->level)) return SQL_PAREN_BAD;
            if (at_kind(r, ')')) return read_close(r) ? SQL_PAREN_QUERY : SQL_PAREN_BAD;
        }
        if (!sql_read_expr_tail(r)) return SQL_PAREN_BAD;
        if (!accept(r, ',')) return read_close(r) ? SQL_PAREN_LIST : SQL_PAREN_BAD;
    }
    return sql_read_exprs(r) && read_close(r) ? SQL_PAREN_LIST : SQL_PAREN_BAD;
}

enum sql_paren sql_read_paren(struct sql_reader *r)
{
    const bool separates = r->in_separates;
    r->in_separates = false;
    const enum sql_paren paren = read_paren_inside(r);
    r->in_separates = separates;
    return paren;
}

/* ---- FROM ---------------------------------------------------------------------------------- */

/* A word that goes on the query rather than naming the table before it. */
static bool begins_clause(const struct sql_reader *r)
{
    switch ((int)r->lex.token.word) {
    case SQL_WORD_SET: return true;
    case SQL_WORD_START: return peek(r).word == SQL_WORD_WITH;
    case SQL_WORD_CONNECT: return peek(r).word == SQL_WORD_BY;
    default: return false;
    }
}

bool sql_read_alias(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_AS)) {
        if (!sql_read_label(r)) return false;
    } else if (sql_is_label(r) && !begins_clause(r)) {
        sql_lex_next(&r->lex);
    } else {
        return true;
    }
    return !at_kind(r, '(') || sql_read_labels(r);
}

bool sql_read_relation(struct sql_reader *r, enum sql_verb verb, struct sql_name *name)
{
    if (!sql_read_name(r, name)) return false;
    if (verb == SQL_VERB_SELECT && !refuses_capitals(r, name->quoted_capital, name->at) &&
        is_cte(r, name))
        return true;
    return sql_ask_object(r, verb, name);
}

/* [expression [AS alias], ...] of PIVOT, until `end`. */
static bool read_aliased_exprs(struct sql_reader *r)
{
    do {
        if (!sql_read_expr(r)) return false;
        if (accept_word(r, SQL_WORD_AS)) {
            if (!accept(r, SQL_STRING) && !sql_read_label(r)) return false;
        } else if (sql_is_label(r)) {
            sql_lex_next(&r->lex);
        }
    } while (accept(r, ','));
    return true;
}

/* FOR column IN (values), the second half of both. */
static bool read_pivot_for(struct sql_reader *r)
{
    return expect_word(r, SQL_WORD_FOR) && sql_read_label(r) && expect_word(r, SQL_WORD_IN) &&
           read_open(r) && read_aliased_exprs(r) && read_close(r) && read_close(r);
}

/* [PIVOT (...) | UNPIVOT (...)] [alias] */
static bool read_pivot(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_PIVOT))
        return read_open(r) && read_aliased_exprs(r) && read_pivot_for(r) && sql_read_alias(r);
    if (!accept_word(r, SQL_WORD_UNPIVOT)) return true;
    if ((accept_word(r, SQL_WORD_INCLUDE) || accept_word(r, SQL_WORD_EXCLUDE)) &&
        !expect_word(r, SQL_WORD_NULLS))
        return false;
    return read_open(r) && sql_read_label(r) && read_pivot_for(r) && sql_read_alias(r);
}

/* Joins and their conditions behind a first table. */
static bool read_joins(struct sql_reader *r)
{
    uint32_t open = 0; /* joins that still want their ON or USING */
    for (;;) {
        bool plain = true;
        if (open > 0 && accept_word(r, SQL_WORD_ON)) {
            open--;
            if (!sql_read_expr(r)) return false;
            continue;
        }
        if (open > 0 && accept_word(r, SQL_WORD_USING)) {
            open--;
            if (!sql_read_labels(r)) return false;
            continue;
        }
        if (accept_word(r, SQL_WORD_NATURAL) || accept_word(r, SQL_WORD_CROSS)) plain = false;
        if (accept_word(r, SQL_WORD_LEFT) || accept_word(r, SQL_WORD_RIGHT) ||
            accept_word(r, SQL_WORD_FULL))
            accept_word(r, SQL_WORD_OUTER);
        else if (!accept_word(r, SQL_WORD_INNER) && plain && !at_word(r, SQL_WORD_JOIN))
            return open == 0 || refuse_syntax(r);
        if (!expect_word(r, SQL_WORD_JOIN) || !read_table(r)) return false;
        if (plain) open++;
    }
}

/* Past `( ... )` in FROM: a query, or a table with its joins. */
static enum sql_paren read_table_paren(struct sql_reader *r)
{
    struct sql_level *const outer = r->level->outer; /* a table cannot see its neighbours */
    if (!read_open(r)) return SQL_PAREN_BAD;
    if (is_query_head(r->lex.token))
        return sql_read_query(r, outer) && read_close(r) ? SQL_PAREN_QUERY : SQL_PAREN_BAD;
    if (at_kind(r, '(')) {
        const enum sql_paren first = read_table_paren(r);
        if (first == SQL_PAREN_BAD) return first;
        if (first == SQL_PAREN_QUERY) {
            if (at_query_tail(r) && !read_rest_of_set(r, outer)) return SQL_PAREN_BAD;
            if (at_kind(r, ')')) return read_close(r) ? SQL_PAREN_QUERY : SQL_PAREN_BAD;
        }
        if (!sql_read_alias(r) || !read_pivot(r)) return SQL_PAREN_BAD;
    } else if (!read_table(r)) {
        return SQL_PAREN_BAD;
    }
    return read_joins(r) && read_close(r) ? SQL_PAREN_LIST : SQL_PAREN_BAD;
}

/* Behind its name in FROM: `(...)` of a function that pg_catalog is named for. It must be on both
 * lists, that of relations and that of functions. */
static bool read_table_function(struct sql_reader *r, const struct sql_name *name)
{
    const struct sql_name bare = { .at = name->at, .part = { name->part[1] }, .count = 1 };
    if (name->count != 2 || !slice_is_nocase(name->part[0], "pg_catalog"))
        return refuse_at(r, SQL_REFUSED_TABLE_FUNCTION, name->at);
    if (!sql_ask_name(r, SQL_NEED_FUNCTION, &bare) || !read_open(r)) return false;
    return (at_kind(r, ')') || sql_read_exprs(r)) && read_close(r);
}

/* One table, view or query with its alias. */
static bool read_table(struct sql_reader *r)
{
    r->level->has_relation = true;
    if (at_kind(r, '(')) {
        if (read_table_paren(r) == SQL_PAREN_BAD) return false;
    } else {
        struct sql_name name;
        if (!sql_is_label(r) && !at_kind(r, SQL_TEMP)) return refuse_syntax(r);
        if (!sql_read_relation(r, SQL_VERB_SELECT, &name)) return false;
        if (!at_kind(r, '('))
            accept(r, '*'); /* with its descendants: the default */
        else if (!read_table_function(r, &name))
            return false;
    }
    return sql_read_alias(r) && read_pivot(r);
}

bool sql_read_from_list(struct sql_reader *r)
{
    do {
        if (!read_table(r) || !read_joins(r)) return false;
    } while (accept(r, ','));
    return true;
}

/* ---- SELECT -------------------------------------------------------------------------------- */

/* TOP n */
static bool read_top(struct sql_reader *r)
{
    if (!accept_word(r, SQL_WORD_TOP)) return true;
    if (at_kind(r, '(')) return sql_read_paren(r) != SQL_PAREN_BAD;
    return accept(r, SQL_NUMBER) || expect(r, SQL_PARAM);
}

/* Behind a star: EXCLUDE column | (columns) */
static bool read_exclude(struct sql_reader *r)
{
    if (!at_word(r, SQL_WORD_EXCLUDE)) return true;
    const struct sql_token next = peek(r);
    if (next.kind == ',' || next.word == SQL_WORD_FROM) return true; /* an alias */
    sql_lex_next(&r->lex);
    return at_kind(r, '(') ? sql_read_labels(r) : sql_read_label(r);
}

/* What is selected, with its aliases. Only behind AS may an alias be any word. */
static bool read_targets(struct sql_reader *r)
{
    do {
        if (accept(r, '*')) {
            if (!read_exclude(r)) return false;
            continue;
        }
        if (!sql_read_expr(r) || !read_exclude(r)) return false;
        if (accept_word(r, SQL_WORD_AS)) {
            if (!at_kind(r, SQL_WORD) && !at_kind(r, SQL_QUOTED)) return refuse_syntax(r);
            sql_lex_next(&r->lex);
        } else if (sql_is_label(r)) {
            sql_lex_next(&r->lex);
        }
    } while (accept(r, ','));
    return true;
}

/* INTO [TEMP] [TABLE] name: makes a table. */
static bool read_into(struct sql_reader *r)
{
    struct sql_name name;
    const bool temp = accept_word(r, SQL_WORD_TEMP) || accept_word(r, SQL_WORD_TEMPORARY);
    accept_word(r, SQL_WORD_TABLE);
    if (!sql_read_name(r, &name)) return false;
    if (temp && name.count != 1) return refuse_at(r, SQL_REFUSED_TEMP_NAME, name.at);
    return sql_ask_object(r, temp || name.temp ? SQL_VERB_CREATE_TEMP : SQL_VERB_DDL, &name);
}

/* a, (a, b), (), ROLLUP (...), CUBE (...), GROUPING SETS (...) */
static bool read_groups(struct sql_reader *r)
{
    do {
        const bool sets = at_word(r, SQL_WORD_GROUPING) && peek(r).word == SQL_WORD_SETS;
        if (sets) sql_lex_next(&r->lex);
        if (sets ||
            ((at_word(r, SQL_WORD_ROLLUP) || at_word(r, SQL_WORD_CUBE)) && peek(r).kind == '(')) {
            sql_lex_next(&r->lex);
            if (!read_open(r) || !read_groups(r) || !read_close(r)) return false;
        } else if (at_kind(r, '(') && peek(r).kind == ')') {
            sql_lex_next(&r->lex);
            sql_lex_next(&r->lex);
        } else if (!sql_read_expr(r)) {
            return false;
        }
    } while (accept(r, ','));
    return true;
}

static bool read_group_by(struct sql_reader *r)
{
    return expect_word(r, SQL_WORD_BY) && (accept_word(r, SQL_WORD_ALL) || read_groups(r));
}

/* [START WITH x] CONNECT BY y, in either order */
static bool read_hierarchy(struct sql_reader *r)
{
    for (;;) {
        if (!begins_clause(r) || at_word(r, SQL_WORD_SET)) return true;
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
        if (!sql_read_expr(r)) return false;
    }
}

static bool read_clauses(struct sql_reader *r, bool into)
{
    if (!accept_word(r, SQL_WORD_ALL)) accept_word(r, SQL_WORD_DISTINCT);
    if (!read_top(r)) return false;
    if (!accept_word(r, SQL_WORD_ALL)) accept_word(r, SQL_WORD_DISTINCT);
    if (!read_targets(r)) return false;
    if (into && accept_word(r, SQL_WORD_INTO) && !read_into(r)) return false;
    if (accept_word(r, SQL_WORD_FROM) && !sql_read_from_list(r)) return false;
    if (accept_word(r, SQL_WORD_WHERE) && !sql_read_expr(r)) return false;
    if (!read_hierarchy(r)) return false;
    if (accept_word(r, SQL_WORD_GROUP) && !read_group_by(r)) return false;
    if (accept_word(r, SQL_WORD_HAVING) && !sql_read_expr(r)) return false;
    return !accept_word(r, SQL_WORD_QUALIFY) || sql_read_expr(r);
}

static bool read_core(struct sql_reader *r, struct sql_level *query)
{
    struct sql_level core, *const restore = r->level;
    const bool into = r->into_allowed;
    r->into_allowed = false;
    sql_level_begin(r, &core, query->outer);
    if (!expect_word(r, SQL_WORD_SELECT) || !read_clauses(r, into)) return false;
    if (core.has_relation) query->has_relation = true;
    return sql_level_end(r, &core, restore);
}
