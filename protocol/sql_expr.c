/* Expressions, loosely: operands and operators take turns, and nothing is known of precedence,
 * because what matters is only which names, functions and queries stand in them. Loose where it is
 * harmless; exact where a keyword of another clause (FROM, IN, AS, FOR) stands inside of brackets.
 */
#include "protocol/sql_reader.h"

/* ---- names --------------------------------------------------------------------------------- */

static bool is_part(const struct sql_reader *r)
{
    return at_kind(r, SQL_WORD) || at_kind(r, SQL_QUOTED);
}

bool sql_is_label(const struct sql_reader *r)
{
    return at_kind(r, SQL_QUOTED) ||
           (at_kind(r, SQL_WORD) && !sql_word_is_reserved(r->lex.token.word));
}

static bool add_part(struct sql_reader *r, struct sql_name *name)
{
    if (name->count == SQL_NAME_PARTS) return refuse_syntax(r);
    name->part[name->count++] = token_text(r);
    if (r->lex.token.bits & SQL_TOKEN_CAPITAL) name->quoted_capital = true;
    sql_lex_next(&r->lex);
    return true;
}

bool sql_read_name(struct sql_reader *r, struct sql_name *name)
{
    *name = (struct sql_name){ .at = r->lex.token.at };
    if (at_kind(r, SQL_TEMP)) {
        name->temp = true;
        return add_part(r, name);
    }
    if (!sql_is_label(r)) return refuse_syntax(r);
    if (!add_part(r, name)) return false;
    while (accept(r, '.')) /* behind a dot even a reserved word is a name */
        if (!is_part(r) || !add_part(r, name)) return refuse_syntax(r);
    return true;
}

bool sql_read_label(struct sql_reader *r)
{
    if (!sql_is_label(r)) return refuse_syntax(r);
    sql_lex_next(&r->lex);
    return true;
}

bool sql_read_labels(struct sql_reader *r)
{
    if (!read_open(r)) return false;
    do {
        if (!is_part(r)) return refuse_syntax(r);
        sql_lex_next(&r->lex);
    } while (accept(r, ','));
    return read_close(r);
}

/* ---- types --------------------------------------------------------------------------------- */

enum type_form { PLAIN, SIZED, VARYING, PRECISION, ZONED, INTERVAL, LOOKUP };

static const struct type {
    char text[16];
    enum type_form form;
} types[] = {
#define TYPE(text, form) { text, form },
#include "protocol/sql_type.def"
#undef TYPE
};

static const struct type *find_type(struct slice token)
{
    if (token.len > 2 && token.at[0] == '"') token = slice_of(token.at + 1, token.len - 2);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_is_nocase(token, types[i].text)) return &types[i];
    return NULL;
}

static bool at_text(const struct sql_reader *r, const char *text)
{
    return at_kind(r, SQL_WORD) && slice_is_nocase(token_text(r), text);
}

static bool accept_text(struct sql_reader *r, const char *text)
{
    if (!at_text(r, text)) return false;
    sql_lex_next(&r->lex);
    return true;
}

/* (n), (n, m), (max) */
static bool read_size(struct sql_reader *r)
{
    if (!at_kind(r, '(')) return true;
    if (!read_open(r)) return false;
    if (!accept_text(r, "max") && !expect(r, SQL_NUMBER)) return false;
    if (accept(r, ',') && !expect(r, SQL_NUMBER)) return false;
    return read_close(r);
}

static bool accept_field(struct sql_reader *r)
{
    static const char *const fields[] = { "year", "month", "day", "hour", "minute", "second" };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (accept_text(r, fields[i])) return true;
    return false;
}

/* YEAR TO MONTH, DAY TO SECOND (3), and none */
static bool read_fields(struct sql_reader *r)
{
    if (!accept_field(r)) return true;
    if (!read_size(r)) return false;
    if (!accept_word(r, SQL_WORD_TO)) return true;
    return (accept_field(r) || refuse_syntax(r)) && read_size(r);
}

/* [WITH | WITHOUT] TIME ZONE */
static bool read_zone(struct sql_reader *r)
{
    if (!at_word(r, SQL_WORD_WITHOUT) &&
        !(at_word(r, SQL_WORD_WITH) && peek(r).word == SQL_WORD_TIME))
        return true;
    sql_lex_next(&r->lex);
    return expect_word(r, SQL_WORD_TIME) && expect_word(r, SQL_WORD_ZONE);
}

bool sql_read_type(struct sql_reader *r)
{
    if (at_text(r, "pg_catalog") && peek(r).kind == '.') {
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
    }
    const struct type *type = is_part(r) ? find_type(token_text(r)) : NULL;
    if (!type) return refuse(r, SQL_REFUSED_TYPE);
    struct sql_name name = { .at = r->lex.token.at };
    if (!add_part(r, &name)) return false;
    switch (type->form) {
    case PLAIN: break;
    case LOOKUP:
        if (!sql_ask_name(r, SQL_NEED_FUNCTION, &name)) return false;
        break;
    case VARYING: accept_text(r, "varying"); break;
    case PRECISION:
        if (!accept_text(r, "precision")) return refuse_syntax(r);
        break;
    case INTERVAL:
        if (!read_fields(r)) return false;
        break;
    case SIZED:
    case ZONED: break;
    }
    if (type->form != PLAIN && type->form != LOOKUP && !read_size(r)) return false;
    if (type->form == ZONED && !read_zone(r)) return false;
    while (accept(r, '['))
        if (!(accept(r, SQL_NUMBER), expect(r, ']'))) return false;
    return true;
}

/* ---- functions with a grammar of their own ------------------------------------------------- */

/* EXTRACT (field FROM expression) */
static bool read_extract(struct sql_reader *r)
{
    if (!at_kind(r, SQL_WORD) && !at_kind(r, SQL_STRING)) return refuse_syntax(r);
    sql_lex_next(&r->lex);
    return expect_word(r, SQL_WORD_FROM) && sql_read_expr(r);
}

/* TRIM ([BOTH | LEADING | TRAILING] [characters] [FROM] text) */
static bool read_trim(struct sql_reader *r)
{
    if (!accept_word(r, SQL_WORD_BOTH) && !accept_word(r, SQL_WORD_LEADING))
        accept_word(r, SQL_WORD_TRAILING);
    if (!at_word(r, SQL_WORD_FROM) && !sql_read_expr(r)) return false;
    if (accept_word(r, SQL_WORD_FROM)) return sql_read_expr(r);
    return !accept(r, ',') || sql_read_expr(r);
}

/* SUBSTRING (text FROM n [FOR n]), SUBSTRING (text, n [, n]) */
static bool read_substring(struct sql_reader *r)
{
    if (!sql_read_expr(r)) return false;
    if (accept(r, ',')) return sql_read_exprs(r);
    if (accept_word(r, SQL_WORD_FROM) && !sql_read_expr(r)) return false;
    return !accept_word(r, SQL_WORD_FOR) || sql_read_expr(r);
}

/* POSITION (part IN text) */
static bool read_position(struct sql_reader *r)
{
    r->in_separates = true;
    const bool ok = sql_read_expr(r);
    r->in_separates = false;
    return ok && expect_word(r, SQL_WORD_IN) && sql_read_expr(r);
}

/* CAST (expression AS type) */
static bool read_cast(struct sql_reader *r)
{
    return sql_read_expr(r) && expect_word(r, SQL_WORD_AS) && sql_read_type(r);
}

/* CONVERT (type, expression) */
static bool read_convert(struct sql_reader *r)
{
    return sql_read_type(r) && expect(r, ',') && sql_read_expr(r);
}

/* DATEADD (day, ...): a bare date part is no column. */
static bool read_date_function(struct sql_reader *r)
{
    if (at_kind(r, SQL_WORD) && peek(r).kind == ',') {
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
    }
    return sql_read_exprs(r);
}

/* [DISTINCT | ALL] expressions, or one star; none is fine. */
static bool read_arguments(struct sql_reader *r)
{
    if (at_kind(r, ')') || accept(r, '*')) return true;
    if (!accept_word(r, SQL_WORD_DISTINCT)) accept_word(r, SQL_WORD_ALL);
    return sql_read_exprs(r);
}

static bool accept_nulls(struct sql_reader *r)
{
    if (!at_word(r, SQL_WORD_IGNORE) && !at_word(r, SQL_WORD_RESPECT)) return true;
    if (peek(r).word != SQL_WORD_NULLS) return true;
    sql_lex_next(&r->lex);
    sql_lex_next(&r->lex);
    return true;
}

/* ---- windows ------------------------------------------------------------------------------- */

static bool read_bound(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_CURRENT)) return expect_word(r, SQL_WORD_ROW);
    if (!accept_word(r, SQL_WORD_UNBOUNDED) && !accept(r, SQL_NUMBER) && !accept(r, SQL_PARAM))
        return refuse_syntax(r);
    return accept_word(r, SQL_WORD_PRECEDING) || expect_word(r, SQL_WORD_FOLLOWING);
}

static bool read_frame(struct sql_reader *r)
{
    if (!accept_word(r, SQL_WORD_ROWS) && !accept_word(r, SQL_WORD_RANGE)) return true;
    if (!accept_word(r, SQL_WORD_BETWEEN)) return read_bound(r);
    return read_bound(r) && expect_word(r, SQL_WORD_AND) && read_bound(r);
}

/* ([PARTITION BY ...] [ORDER BY ...] [frame]) */
static bool read_window(struct sql_reader *r)
{
    if (!read_open(r)) return false;
    if (accept_word(r, SQL_WORD_PARTITION) && (!expect_word(r, SQL_WORD_BY) || !sql_read_exprs(r)))
        return false;
    if (accept_word(r, SQL_WORD_ORDER) && !sql_read_order_by(r)) return false;
    return read_frame(r) && read_close(r);
}

/* What may stand behind the brackets of an aggregate or window function. */
static bool read_function_tail(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_WITHIN) &&
        (!expect_word(r, SQL_WORD_GROUP) || !read_open(r) || !expect_word(r, SQL_WORD_ORDER) ||
         !sql_read_order_by(r) || !read_close(r)))
        return false;
    accept_nulls(r);
    return !at_word(r, SQL_WORD_OVER) || peek(r).kind != '('
               ? true
               : accept_word(r, SQL_WORD_OVER) && read_window(r);
}

/* At the opening bracket. `word`: the function's name when it is one bare word. */
static bool read_call(struct sql_reader *r, const struct sql_name *name, enum sql_word word)
{
    if (!sql_ask_name(r, SQL_NEED_FUNCTION, name) || !read_open(r)) return false;
    const bool separates = r->in_separates;
    r->in_separates = false;
    bool ok;
    switch ((int)word) {
    case SQL_WORD_CAST: ok = read_cast(r); break;
    case SQL_WORD_CONVERT: ok = read_convert(r); break;
    case SQL_WORD_EXTRACT: ok = read_extract(r); break;
    case SQL_WORD_TRIM: ok = read_trim(r); break;
    case SQL_WORD_SUBSTRING: ok = read_substring(r); break;
    case SQL_WORD_POSITION: ok = read_position(r); break;
    case SQL_WORD_DATEADD:
    case SQL_WORD_DATEDIFF:
    case SQL_WORD_DATE_DIFF:
    case SQL_WORD_DATE_PART:
    case SQL_WORD_DATE_TRUNC: ok = read_date_function(r); break;
    default: ok = read_arguments(r) && accept_nulls(r); break;
    }
    r->in_separates = separates;
    return ok && read_close(r) && read_function_tail(r);
}

/* ---- operands ------------------------------------------------------------------------------ */

/* A bare name that is a column if anything: whether there is a relation to have it is known when
 * the level's FROM has been read. */
static void note_bare(struct sql_reader *r, uint32_t at)
{
    if (r->level->bare) return;
    r->level->bare = true;
    r->level->bare_at = at;
}

/* `(1).f` and `a[1].f` call f on PostgreSQL ("functional notation"); on Redshift they look into a
 * SUPER value. So behind brackets it is judged as a function, behind a subscript of a column it may
 * be anything but what looks like PostgreSQL's own. */
static bool read_field(struct sql_reader *r, bool of_column)
{
    struct sql_name name = { .at = r->lex.token.at };
    if (!is_part(r)) return refuse_syntax(r);
    const struct slice text = token_text(r);
    const size_t quote = text.at[0] == '"' ? 1 : 0;
    const struct slice bare = slice_after(text, quote);
    const bool suspect = bare.len >= 3 && (slice_is_nocase(slice_of(bare.at, 3), "pg_") ||
                                           slice_is_nocase(slice_of(bare.at, 3), "lo_"));
    if (!add_part(r, &name)) return false;
    return (of_column && !suspect) || sql_ask_name(r, SQL_NEED_FUNCTION, &name);
}

/* A subscript is a number, a parameter or a name, no more: Redshift also takes [ and ] for quotes
 * of a name, and then a literal between them would be none. A name is one either way. */
static bool read_subscript(struct sql_reader *r)
{
    if (at_kind(r, SQL_WORD) && r->lex.token.word == SQL_WORD_NONE) {
        note_bare(r, r->lex.token.at);
        sql_lex_next(&r->lex);
    } else if (!accept(r, SQL_NUMBER) && !expect(r, SQL_PARAM)) {
        return false;
    }
    return expect(r, ']');
}

/* [index], .field, ::type, as many as there are */
static bool read_postfix(struct sql_reader *r, bool of_column)
{
    for (;;) {
        if (accept(r, '[')) {
            if (!read_subscript(r)) return false;
        } else if (accept(r, '.')) {
            if (!read_field(r, of_column)) return false;
        } else if (accept(r, SQL_CAST)) {
            if (!sql_read_type(r)) return false;
            of_column = false;
        } else {
            return true;
        }
    }
}

/* `column(+)`: the old way to say which side of a join may be missing. No other server takes it. */
static bool at_outer_join(const struct sql_reader *r)
{
    struct sql_lex ahead = r->lex;
    if (!at_kind(r, '(')) return false;
    sql_lex_next(&ahead);
    if (ahead.token.kind != SQL_OPERATOR || !slice_is(sql_token_text(&ahead, ahead.token), "+"))
        return false;
    sql_lex_next(&ahead);
    return ahead.token.kind == ')';
}

static bool skip_outer_join(struct sql_reader *r)
{
    for (int i = 0; i < 3; i++) sql_lex_next(&r->lex);
    return true;
}

/* a, a.b, a.b.*, a(+), f(...), s.f(...) */
static bool read_name_operand(struct sql_reader *r)
{
    struct sql_name name = { .at = r->lex.token.at };
    enum sql_word word = (enum sql_word)r->lex.token.word;
    bool deep = false; /* into a SUPER value: more parts than a function's name can have */
    if (!add_part(r, &name)) return false;
    while (accept(r, '.')) {
        word = SQL_WORD_NONE;
        if (accept(r, '*')) {
            note_bare(r, name.at);
            return true;
        }
        if (!is_part(r)) return refuse_syntax(r);
        if (name.count < SQL_NAME_PARTS) {
            add_part(r, &name);
        } else {
            deep = true;
            sql_lex_next(&r->lex);
        }
    }
    if (at_outer_join(r)) {
        note_bare(r, name.at);
        return skip_outer_join(r);
    }
    if (deep && at_kind(r, '(')) return refuse_syntax(r);
    if (at_kind(r, '(')) return read_call(r, &name, word) && read_postfix(r, false);
    if (at_kind(r, SQL_STRING)) return refuse_at(r, SQL_REFUSED_TYPE, name.at);
    note_bare(r, name.at);
    return read_postfix(r, true);
}

/* The functions that are called without brackets; brackets are taken as well. */
static bool read_niladic(struct sql_reader *r, enum sql_word word, bool listed)
{
    struct sql_name name = { .at = r->lex.token.at };
    if (!add_part(r, &name)) return false;
    if (at_kind(r, '(')) return read_call(r, &name, word);
    if (!listed) return refuse_at(r, SQL_REFUSED_BARE_COLUMN, name.at);
    return sql_ask_name(r, SQL_NEED_FUNCTION, &name) && read_postfix(r, false);
}

/* CASE [x] WHEN ... THEN ... [ELSE ...] END */
static bool read_case(struct sql_reader *r)
{
    if (!enter(r) || !expect_word(r, SQL_WORD_CASE)) return false;
    if (!at_word(r, SQL_WORD_WHEN) && !sql_read_expr(r)) return false;
    do {
        if (!expect_word(r, SQL_WORD_WHEN) || !sql_read_expr(r) || !expect_word(r, SQL_WORD_THEN) ||
            !sql_read_expr(r))
            return false;
    } while (at_word(r, SQL_WORD_WHEN));
    if (accept_word(r, SQL_WORD_ELSE) && !sql_read_expr(r)) return false;
    leave(r);
    return expect_word(r, SQL_WORD_END);
}

static bool read_exists(struct sql_reader *r)
{
    sql_lex_next(&r->lex);
    if (!at_kind(r, '(')) return refuse_syntax(r);
    const enum sql_paren paren = sql_read_paren(r);
    return paren == SQL_PAREN_QUERY || (paren == SQL_PAREN_LIST && refuse_syntax(r));
}

/* INTERVAL 'x' [fields]; DATE 'x' and its like: a type before a literal is a cast. */
static bool read_typed_literal(struct sql_reader *r)
{
    const bool interval = at_word(r, SQL_WORD_INTERVAL);
    if (!sql_read_type(r) || !expect(r, SQL_STRING)) return false;
    return (!interval || read_fields(r)) && read_postfix(r, false);
}

/* ARRAY (SELECT ...); any other ARRAY (...) is a call. */
static bool at_array_of_query(const struct sql_reader *r)
{
    struct sql_lex ahead = r->lex;
    sql_lex_next(&ahead);
    sql_lex_next(&ahead);
    return ahead.token.word == SQL_WORD_SELECT;
}

static bool read_array_of_query(struct sql_reader *r)
{
    sql_lex_next(&r->lex);
    return (sql_read_paren(r) == SQL_PAREN_QUERY || refuse_syntax(r)) && read_postfix(r, false);
}

static bool begins_typed_literal(const struct sql_reader *r)
{
    const struct sql_token next = peek(r);
    if (next.kind == SQL_STRING) return true;
    switch ((int)r->lex.token.word) {
    case SQL_WORD_TIME:
    case SQL_WORD_TIMESTAMP: return next.word == SQL_WORD_WITH || next.word == SQL_WORD_WITHOUT;
    default:
        return at_text(r, "double") && slice_is_nocase(sql_token_text(&r->lex, next), "precision");
    }
}

static bool read_word_operand(struct sql_reader *r)
{
    switch ((int)r->lex.token.word) {
    case SQL_WORD_NULL:
    case SQL_WORD_TRUE:
    case SQL_WORD_FALSE: sql_lex_next(&r->lex); return read_postfix(r, false);
    case SQL_WORD_CASE: return read_case(r) && read_postfix(r, false);
    case SQL_WORD_EXISTS:
        if (peek(r).kind == '(') return read_exists(r);
        break;
    case SQL_WORD_CURRENT_USER:
    case SQL_WORD_SESSION_USER:
    case SQL_WORD_USER:
    case SQL_WORD_SYSDATE:
    case SQL_WORD_CURRENT_DATE:
    case SQL_WORD_CURRENT_TIME:
    case SQL_WORD_CURRENT_TIMESTAMP:
    case SQL_WORD_LOCALTIME:
    case SQL_WORD_LOCALTIMESTAMP:
    case SQL_WORD_CURRENT_CATALOG: return read_niladic(r, r->lex.token.word, true);
    case SQL_WORD_CURRENT_ROLE:
    case SQL_WORD_CURRENT_SCHEMA:
    case SQL_WORD_CURRENT_USER_ID:
    case SQL_WORD_SYSTEM_USER: return read_niladic(r, r->lex.token.word, false);
    case SQL_WORD_INTERVAL: return read_typed_literal(r);
    case SQL_WORD_LEFT:
    case SQL_WORD_RIGHT:
    case SQL_WORD_ISNULL:
    case SQL_WORD_CAST:
        if (peek(r).kind == '(') return read_name_operand(r);
        return refuse_syntax(r);
    case SQL_WORD_ARRAY:
        if (peek(r).kind != '(') return refuse_syntax(r);
        return at_array_of_query(r) ? read_array_of_query(r) : read_name_operand(r);
    case SQL_WORD_APPROXIMATE: /* APPROXIMATE COUNT (DISTINCT x) */
        if (peek(r).kind == SQL_WORD) sql_lex_next(&r->lex);
        break;
    default: break;
    }
    if (!sql_is_label(r)) return refuse_syntax(r);
    return begins_typed_literal(r) ? read_typed_literal(r) : read_name_operand(r);
}

static bool read_operand(struct sql_reader *r)
{
    switch (r->lex.token.kind) {
    case SQL_STRING:
    case SQL_NUMBER:
    case SQL_PARAM: sql_lex_next(&r->lex); return read_postfix(r, false);
    case SQL_WORD: return read_word_operand(r);
    case SQL_QUOTED: return read_name_operand(r);
    case '(': return sql_read_paren(r) != SQL_PAREN_BAD && read_postfix(r, false);
    default: return refuse_syntax(r);
    }
}

/* ---- operators ----------------------------------------------------------------------------- */

/* `=>` names an argument, `#` with others is JSON in PostgreSQL and a temporary table in Redshift.
 */
static bool is_operator(const struct sql_reader *r)
{
    if (at_kind(r, '=') || at_kind(r, '*')) return true;
    if (!at_kind(r, SQL_OPERATOR)) return false;
    const struct slice text = token_text(r);
    return !slice_is(text, "=>") && (text.len == 1 || !memchr(text.at, '#', text.len));
}

/* PRIOR column, in CONNECT BY; elsewhere a name like others. */
static bool begins_prior(const struct sql_reader *r)
{
    if (!at_word(r, SQL_WORD_PRIOR)) return false;
    const struct sql_token next = peek(r);
    return next.kind == SQL_QUOTED ||
           (next.kind == SQL_WORD && !sql_word_is_reserved((enum sql_word)next.word) &&
            next.word == SQL_WORD_NONE);
}

static bool read_prefix_operators(struct sql_reader *r)
{
    for (;;) {
        if (at_kind(r, SQL_OPERATOR)) {
            if (!is_operator(r)) return refuse_syntax(r);
            sql_lex_next(&r->lex);
        } else if (at_word(r, SQL_WORD_NOT) || begins_prior(r)) {
            sql_lex_next(&r->lex);
        } else {
            return true;
        }
    }
}

/* ANY (...), SOME (...), ALL (...), in the place of an operand. */
static bool read_right_operand(struct sql_reader *r)
{
    if ((at_word(r, SQL_WORD_ANY) || at_word(r, SQL_WORD_SOME) || at_word(r, SQL_WORD_ALL)) &&
        peek(r).kind == '(') {
        sql_lex_next(&r->lex);
        return sql_read_paren(r) != SQL_PAREN_BAD;
    }
    return read_prefix_operators(r) && read_operand(r);
}

/* Behind IS: [NOT] NULL | TRUE | FALSE | UNKNOWN | DISTINCT FROM x */
static bool read_is(struct sql_reader *r)
{
    accept_word(r, SQL_WORD_NOT);
    if (accept_word(r, SQL_WORD_NULL) || accept_word(r, SQL_WORD_TRUE) ||
        accept_word(r, SQL_WORD_FALSE) || accept_word(r, SQL_WORD_UNKNOWN))
        return true;
    return expect_word(r, SQL_WORD_DISTINCT) && expect_word(r, SQL_WORD_FROM) &&
           read_right_operand(r);
}

static bool read_in(struct sql_reader *r)
{
    if (!at_kind(r, '(')) return refuse_syntax(r);
    return sql_read_paren(r) != SQL_PAREN_BAD;
}

/* [pg_catalog.]name, as psql writes it */
static bool read_collation(struct sql_reader *r)
{
    if (!at_text(r, "pg_catalog") || peek(r).kind != '.') return sql_read_label(r);
    sql_lex_next(&r->lex);
    sql_lex_next(&r->lex);
    return accept_text(r, "default") || sql_read_label(r);
}

/* OPERATOR (pg_catalog.~): allowed to whom a function named operator is. */
static bool read_named_operator(struct sql_reader *r)
{
    struct sql_name name = { .at = r->lex.token.at };
    if (!add_part(r, &name) || !sql_ask_name(r, SQL_NEED_FUNCTION, &name)) return false;
    if (!read_open(r) || !accept_text(r, "pg_catalog") || !accept(r, '.') || !is_operator(r))
        return refuse_syntax(r);
    sql_lex_next(&r->lex);
    return read_close(r);
}

enum infix { INFIX_NONE, INFIX_READ, INFIX_BAD };

static enum infix after(bool ok) { return ok ? INFIX_READ : INFIX_BAD; }

/* Operator words behind which a whole construct stands, or nothing. */
static enum infix read_infix_word(struct sql_reader *r)
{
    struct sql_token next;
    switch ((int)r->lex.token.word) {
    case SQL_WORD_AND:
    case SQL_WORD_OR:
    case SQL_WORD_LIKE:
    case SQL_WORD_ILIKE:
    case SQL_WORD_OVERLAPS: sql_lex_next(&r->lex); return after(read_right_operand(r));
    case SQL_WORD_ESCAPE:
        if (peek(r).kind != SQL_STRING) return INFIX_NONE;
        sql_lex_next(&r->lex);
        return after(read_right_operand(r));
    case SQL_WORD_SIMILAR:
        sql_lex_next(&r->lex);
        return after(expect_word(r, SQL_WORD_TO) && read_right_operand(r));
    case SQL_WORD_BETWEEN:
        sql_lex_next(&r->lex);
        accept_word(r, SQL_WORD_SYMMETRIC);
        return after(read_right_operand(r));
    case SQL_WORD_IN:
        if (r->in_separates) return INFIX_NONE;
        sql_lex_next(&r->lex);
        return after(read_in(r));
    case SQL_WORD_NOT: /* NOT IN, NOT LIKE, ... */
        next = peek(r);
        if (next.word != SQL_WORD_IN && next.word != SQL_WORD_LIKE && next.word != SQL_WORD_ILIKE &&
            next.word != SQL_WORD_SIMILAR && next.word != SQL_WORD_BETWEEN)
            return INFIX_NONE;
        sql_lex_next(&r->lex);
        return read_infix_word(r);
    case SQL_WORD_IS: sql_lex_next(&r->lex); return after(read_is(r));
    case SQL_WORD_ISNULL:
    case SQL_WORD_NOTNULL: sql_lex_next(&r->lex); return INFIX_READ;
    case SQL_WORD_COLLATE: sql_lex_next(&r->lex); return after(read_collation(r));
    case SQL_WORD_OPERATOR: return after(read_named_operator(r) && read_right_operand(r));
    case SQL_WORD_AT:
        if (peek(r).word != SQL_WORD_TIME) return INFIX_NONE;
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
        return after(expect_word(r, SQL_WORD_ZONE) && read_right_operand(r));
    default: return INFIX_NONE;
    }
}

static bool read_operators(struct sql_reader *r)
{
    for (;;) {
        if (is_operator(r)) {
            sql_lex_next(&r->lex);
            if (!read_right_operand(r)) return false;
            continue;
        }
        if (!at_kind(r, SQL_WORD)) return true;
        switch (read_infix_word(r)) {
        case INFIX_NONE: return true;
        case INFIX_BAD: return false;
        case INFIX_READ: break;
        }
    }
}

bool sql_read_expr(struct sql_reader *r)
{
    return read_prefix_operators(r) && read_operand(r) && read_operators(r);
}

bool sql_read_expr_tail(struct sql_reader *r)
{
    return read_postfix(r, false) && read_operators(r);
}

bool sql_read_exprs(struct sql_reader *r)
{
    do {
        if (!sql_read_expr(r)) return false;
    } while (accept(r, ','));
    return true;
}

/* BY x [ASC | DESC] [NULLS FIRST | LAST], ... */
bool sql_read_order_by(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_BY)) return false;
    do {
        if (!sql_read_expr(r)) return false;
        if (!accept_word(r, SQL_WORD_ASC)) accept_word(r, SQL_WORD_DESC);
        if (accept_word(r, SQL_WORD_NULLS) && !accept_word(r, SQL_WORD_FIRST) &&
            !expect_word(r, SQL_WORD_LAST))
            return false;
    } while (accept(r, ','));
    return true;
}
