/* CREATE, ALTER and DROP of tables and views. Everything else that can be created is refused here:
 * it is code, access or another's data. Source: Redshift Developer Guide. */
#include "protocol/sql_reader.h"

static bool accept_text(struct sql_reader *r, const char *text)
{
    if (!at_kind(r, SQL_WORD) || !slice_is_nocase(token_text(r), text)) return false;
    sql_lex_next(&r->lex);
    return true;
}

static bool accept_temp(struct sql_reader *r)
{
    return accept_word(r, SQL_WORD_TEMP) || accept_word(r, SQL_WORD_TEMPORARY);
}

/* ---- columns and constraints --------------------------------------------------------------- */

/* REFERENCES t [(columns)] */
static bool read_references(struct sql_reader *r)
{
    struct sql_name name;
    if (!expect_word(r, SQL_WORD_REFERENCES) || !sql_read_relation(r, SQL_VERB_DDL, &name))
        return false;
    return !at_kind(r, '(') || sql_read_labels(r);
}

/* [(seed, step)] */
static bool read_identity(struct sql_reader *r)
{
    if (!at_kind(r, '(')) return true;
    return read_open(r) && expect(r, SQL_NUMBER) && expect(r, ',') && expect(r, SQL_NUMBER) &&
           read_close(r);
}

/* Behind GENERATED: BY DEFAULT AS IDENTITY (seed, step) */
static bool read_generated(struct sql_reader *r)
{
    return expect_word(r, SQL_WORD_BY) && expect_word(r, SQL_WORD_DEFAULT) &&
           expect_word(r, SQL_WORD_AS) && expect_word(r, SQL_WORD_IDENTITY) && read_identity(r);
}

/* One attribute or constraint of a column; *none when there is none. */
static bool read_attribute(struct sql_reader *r, bool *none)
{
    if (accept_word(r, SQL_WORD_DEFAULT)) return sql_read_expr(r);
    if (accept_word(r, SQL_WORD_IDENTITY)) return read_identity(r);
    if (accept_word(r, SQL_WORD_GENERATED)) return read_generated(r);
    if (accept_word(r, SQL_WORD_ENCODE) || accept_word(r, SQL_WORD_COLLATE))
        return sql_read_label(r);
    if (accept_word(r, SQL_WORD_NOT)) return expect_word(r, SQL_WORD_NULL);
    if (accept_word(r, SQL_WORD_PRIMARY)) return expect_word(r, SQL_WORD_KEY);
    if (at_word(r, SQL_WORD_REFERENCES)) return read_references(r);
    *none = !accept_word(r, SQL_WORD_NULL) && !accept_word(r, SQL_WORD_UNIQUE) &&
            !accept_word(r, SQL_WORD_DISTKEY) && !accept_word(r, SQL_WORD_SORTKEY);
    return true;
}

/* name type attributes */
static bool read_column(struct sql_reader *r)
{
    bool none = false;
    if (!sql_read_label(r) || !sql_read_type(r)) return false;
    while (!none)
        if (!read_attribute(r, &none)) return false;
    return true;
}

static bool begins_constraint(const struct sql_reader *r)
{
    return at_word(r, SQL_WORD_CONSTRAINT) || at_word(r, SQL_WORD_UNIQUE) ||
           at_word(r, SQL_WORD_PRIMARY) || at_word(r, SQL_WORD_FOREIGN);
}

/* [CONSTRAINT name] { UNIQUE | PRIMARY KEY | FOREIGN KEY } (columns) [REFERENCES ...] */
static bool read_constraint(struct sql_reader *r)
{
    if (accept_word(r, SQL_WORD_CONSTRAINT) && !sql_read_label(r)) return false;
    if (accept_word(r, SQL_WORD_FOREIGN))
        return expect_word(r, SQL_WORD_KEY) && sql_read_labels(r) && read_references(r);
    if (accept_word(r, SQL_WORD_PRIMARY)) {
        if (!expect_word(r, SQL_WORD_KEY)) return false;
    } else if (!expect_word(r, SQL_WORD_UNIQUE)) {
        return false;
    }
    return sql_read_labels(r);
}

/* Behind LIKE: t [{ INCLUDING | EXCLUDING } DEFAULTS]. Its columns are read. */
static bool read_like(struct sql_reader *r)
{
    struct sql_name name;
    if (!sql_read_name(r, &name) || !sql_ask_object(r, SQL_VERB_SELECT, &name)) return false;
    if (accept_text(r, "including") || accept_text(r, "excluding"))
        return accept_text(r, "defaults") || refuse_syntax(r);
    return true;
}

static bool read_elements(struct sql_reader *r)
{
    if (!read_open(r)) return false;
    do {
        if (accept_word(r, SQL_WORD_LIKE)) {
            if (!read_like(r)) return false;
        } else if (begins_constraint(r)) {
            if (!read_constraint(r)) return false;
        } else if (!read_column(r)) {
            return false;
        }
    } while (accept(r, ','));
    return read_close(r);
}

/* [COMPOUND | INTERLEAVED] SORTKEY { (columns) | AUTO | NONE } */
static bool read_sortkey(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_SORTKEY)) return false;
    return at_kind(r, '(') ? sql_read_labels(r) : sql_read_label(r);
}

/* BACKUP, DISTSTYLE, DISTKEY, SORTKEY, ENCODE AUTO */
static bool read_storage(struct sql_reader *r)
{
    for (;;) {
        if (accept_word(r, SQL_WORD_BACKUP)) {
            if (!accept_text(r, "yes") && !accept_word(r, SQL_WORD_NO)) return refuse_syntax(r);
        } else if (accept_word(r, SQL_WORD_DISTSTYLE)) {
            if (!accept_word(r, SQL_WORD_ALL) && !sql_read_label(r)) return false;
        } else if (accept_word(r, SQL_WORD_DISTKEY)) {
            if (at_kind(r, '(') ? !sql_read_labels(r) : !sql_read_label(r)) return false;
        } else if (at_word(r, SQL_WORD_SORTKEY) || accept_word(r, SQL_WORD_COMPOUND) ||
                   accept_word(r, SQL_WORD_INTERLEAVED)) {
            if (!read_sortkey(r)) return false;
        } else if (accept_word(r, SQL_WORD_ENCODE)) {
            if (!expect_word(r, SQL_WORD_AUTO)) return false;
        } else {
            return true;
        }
    }
}

/* ---- CREATE -------------------------------------------------------------------------------- */

static bool read_if_not_exists(struct sql_reader *r)
{
    if (!at_word(r, SQL_WORD_IF) || peek(r).word != SQL_WORD_NOT) return true;
    sql_lex_next(&r->lex);
    return expect_word(r, SQL_WORD_NOT) && expect_word(r, SQL_WORD_EXISTS);
}

/* Is the bracket behind a table's name one of names only, or of columns with types? */
static bool begins_definitions(const struct sql_reader *r)
{
    struct sql_lex ahead = r->lex;
    sql_lex_next(&ahead);
    if (ahead.token.word == SQL_WORD_LIKE) return true;
    sql_lex_next(&ahead);
    return ahead.token.kind != ',' && ahead.token.kind != ')';
}

/* Behind TABLE: [IF NOT EXISTS] t { (definitions) storage | [(columns)] storage AS query } */
static bool read_create_table(struct sql_reader *r, bool temp)
{
    struct sql_name name;
    if (!read_if_not_exists(r) || !sql_read_name(r, &name)) return false;
    if (temp && name.count != 1) return refuse_at(r, SQL_REFUSED_TEMP_NAME, name.at);
    if (!sql_ask_object(r, temp || name.temp ? SQL_VERB_CREATE_TEMP : SQL_VERB_DDL, &name))
        return false;
    if (at_kind(r, '(')) {
        if (begins_definitions(r)) return read_elements(r) && read_storage(r);
        if (!sql_read_labels(r)) return false;
    }
    if (!read_storage(r) || !expect_word(r, SQL_WORD_AS)) return false;
    return sql_read_query(r, NULL);
}

/* Behind VIEW: v [(columns)] AS query [WITH NO SCHEMA BINDING] */
static bool read_create_view(struct sql_reader *r)
{
    struct sql_name name;
    if (!sql_read_relation(r, SQL_VERB_DDL, &name)) return false;
    if (at_kind(r, '(') && !sql_read_labels(r)) return false;
    if (!expect_word(r, SQL_WORD_AS) || !sql_read_query(r, NULL)) return false;
    if (!accept_word(r, SQL_WORD_WITH)) return true;
    return expect_word(r, SQL_WORD_NO) && expect_word(r, SQL_WORD_SCHEMA) &&
           (accept_text(r, "binding") || refuse_syntax(r));
}

/* [LOCAL] TEMP TABLE ... | TABLE ... | [OR REPLACE] VIEW ... */
bool sql_read_create(struct sql_reader *r)
{
    const uint32_t at = r->lex.token.at;
    bool local = accept_word(r, SQL_WORD_LOCAL);
    if (accept_temp(r)) return expect_word(r, SQL_WORD_TABLE) && read_create_table(r, true);
    if (local) return refuse_syntax(r);
    if (accept_word(r, SQL_WORD_TABLE)) return read_create_table(r, false);
    if (accept_word(r, SQL_WORD_OR) && !expect_word(r, SQL_WORD_REPLACE)) return false;
    if (accept_word(r, SQL_WORD_VIEW)) return read_create_view(r);
    return refuse_at(r, SQL_REFUSED_STATEMENT, at);
}

/* ---- ALTER --------------------------------------------------------------------------------- */

/* Behind RENAME: TO name | [COLUMN] a TO b. The new name is an object of the same schema. */
static bool read_rename(struct sql_reader *r, const struct sql_name *table)
{
    struct sql_name renamed, fresh;
    if (!accept_word(r, SQL_WORD_TO)) {
        accept_word(r, SQL_WORD_COLUMN);
        return sql_read_label(r) && expect_word(r, SQL_WORD_TO) && sql_read_label(r);
    }
    if (!sql_read_name(r, &fresh) || fresh.count != 1 || fresh.temp) return refuse_syntax(r);
    renamed = *table;
    renamed.part[renamed.count - 1] = fresh.part[0];
    renamed.quoted_capital |= fresh.quoted_capital;
    renamed.at = fresh.at;
    return sql_ask_object(r, SQL_VERB_DDL, &renamed);
}

/* Behind ALTER, of a table: a column's type or encoding, or the table's storage */
static bool read_alter_part(struct sql_reader *r)
{
    if (at_word(r, SQL_WORD_DISTKEY) || at_word(r, SQL_WORD_DISTSTYLE) ||
        at_word(r, SQL_WORD_SORTKEY) || at_word(r, SQL_WORD_COMPOUND) ||
        at_word(r, SQL_WORD_ENCODE))
        return read_storage(r);
    accept_word(r, SQL_WORD_COLUMN);
    if (!sql_read_label(r)) return false;
    if (accept_word(r, SQL_WORD_TYPE)) return sql_read_type(r);
    return expect_word(r, SQL_WORD_ENCODE) && sql_read_label(r);
}

static void accept_cascade(struct sql_reader *r)
{
    if (!accept_word(r, SQL_WORD_CASCADE)) accept_word(r, SQL_WORD_RESTRICT);
}

/* Behind APPEND: FROM t [IGNOREEXTRA | FILLTARGET]. Moves the rows out of t. */
static bool read_append(struct sql_reader *r)
{
    struct sql_name source;
    if (!expect_word(r, SQL_WORD_FROM) || !sql_read_relation(r, SQL_VERB_DDL, &source))
        return false;
    if (!accept_text(r, "ignoreextra")) accept_text(r, "filltarget");
    return true;
}

/* Behind TABLE: t action. Neither OWNER TO nor row-level security: those are rights. */
static bool read_alter_table(struct sql_reader *r)
{
    struct sql_name name;
    if (!sql_read_relation(r, SQL_VERB_DDL, &name)) return false;
    if (accept_word(r, SQL_WORD_APPEND)) return read_append(r);
    if (accept_word(r, SQL_WORD_RENAME)) return read_rename(r, &name);
    if (accept_word(r, SQL_WORD_ALTER)) return read_alter_part(r);
    if (accept_word(r, SQL_WORD_ADD)) {
        if (begins_constraint(r)) return read_constraint(r);
        accept_word(r, SQL_WORD_COLUMN);
        return read_column(r);
    }
    if (!accept_word(r, SQL_WORD_DROP)) return refuse_syntax(r);
    if (!accept_word(r, SQL_WORD_CONSTRAINT)) accept_word(r, SQL_WORD_COLUMN);
    if (!sql_read_label(r)) return false;
    accept_cascade(r);
    return true;
}

/* TABLE t action | VIEW v RENAME TO w */
bool sql_read_alter(struct sql_reader *r)
{
    struct sql_name name;
    if (accept_word(r, SQL_WORD_TABLE)) return read_alter_table(r);
    if (!accept_word(r, SQL_WORD_VIEW)) return refuse(r, SQL_REFUSED_STATEMENT);
    return sql_read_relation(r, SQL_VERB_DDL, &name) && expect_word(r, SQL_WORD_RENAME) &&
           at_word(r, SQL_WORD_TO) && read_rename(r, &name);
}

/* ---- DROP ---------------------------------------------------------------------------------- */

/* { TABLE | VIEW } [IF EXISTS] t, ... [CASCADE | RESTRICT] */
bool sql_read_drop(struct sql_reader *r)
{
    struct sql_name name;
    if (!accept_word(r, SQL_WORD_TABLE) && !accept_word(r, SQL_WORD_VIEW))
        return refuse(r, SQL_REFUSED_STATEMENT);
    if (at_word(r, SQL_WORD_IF) && peek(r).word == SQL_WORD_EXISTS) {
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
    }
    do {
        if (!sql_read_relation(r, SQL_VERB_DDL, &name)) return false;
    } while (accept(r, ','));
    accept_cascade(r);
    return true;
}
