#include "routing/statement.h"

#include "protocol/sql_normal.h"
#include "protocol/sql_stmt.h"

struct reading {
    struct statement *statement;
    struct slice schema; /* of names without one */
    bool has_verb, wants_tables;
};

/* The first schema of a search_path, unquoted. "$user" names none that we could know. */
static struct slice first_schema(struct slice path)
{
    while (path.len) {
        const char *comma = memchr(path.at, ',', path.len);
        size_t n = comma ? (size_t)(comma - path.at) : path.len;
        struct slice word = slice_of(path.at, n);
        path = slice_after(path, n + (comma != NULL));
        while (word.len && word.at[0] == ' ') word = slice_after(word, 1);
        while (word.len && word.at[word.len - 1] == ' ') word.len--;
        if (word.len > 1 && word.at[0] == '"' && word.at[word.len - 1] == '"')
            word = slice_of(word.at + 1, word.len - 2);
        if (word.len && word.at[0] != '$') return word;
    }
    return slice_str("public");
}

static void add_folded(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) buf_add_u8(out, (uint8_t)ascii_lower(text.at[i]));
}

/* While names grow they may move: a table is its place in `names` until the reading is over. */
static void add_table(struct reading *r, const struct sql_name *name)
{
    struct statement *s = r->statement;
    uint32_t start = s->names.len;
    char part[512];
    if (name->count == 0 || s->table_count == STATEMENT_TABLES) return;
    if (name->count == 1) {
        add_folded(&s->names, name->temp ? slice_str("pg_temp") : r->schema);
    } else {
        size_t n = sql_name_part(name, name->count - 2u, SQL_CASE_FOLD, part, sizeof part);
        add_folded(&s->names, slice_of(part, n));
    }
    buf_add_u8(&s->names, '.');
    size_t n = sql_name_part(name, name->count - 1u, SQL_CASE_FOLD, part, sizeof part);
    add_folded(&s->names, slice_of(part, n));
    struct slice table = slice_after(buf_slice(&s->names), start);
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->table_count; i++) {
        if (slice_eq(slice_of(s->names.at + at, s->tables[i].len), table)) {
            buf_truncate(&s->names, start);
            return;
        }
        at += (uint32_t)s->tables[i].len;
    }
    s->tables[s->table_count++].len = table.len;
}

static bool comes_before(enum sql_kind kind)
{
    return kind == SQL_KIND_BEGIN || kind == SQL_KIND_START || kind == SQL_KIND_SET ||
           kind == SQL_KIND_RESET || kind == SQL_KIND_SHOW || kind == SQL_KIND_NONE;
}

static void take_verb(struct reading *r, enum sql_kind kind)
{
    if (r->has_verb) return;
    r->statement->verb = slice_str(sql_kind_name(kind));
    r->has_verb = !comes_before(kind);
}

static bool on_need(void *context, const struct sql_need *need)
{
    struct reading *r = context;
    if (need->what == SQL_NEED_OBJECT && r->wants_tables) add_table(r, &need->name);
    if (need->what == SQL_NEED_END) take_verb(r, need->kind);
    return true;
}

bool statement_read(struct statement *s, struct slice sql, struct slice search_path)
{
    return statement_read_needed(s, sql, search_path,
                                 ROUTE_NEEDS_VERB | ROUTE_NEEDS_TABLES | ROUTE_NEEDS_TEXT);
}

bool statement_read_needed(struct statement *s, struct slice sql, struct slice search_path,
                           uint8_t needs)
{
    memset(s, 0, sizeof *s);
    struct reading r = { .statement = s,
                         .schema = first_schema(search_path),
                         .wants_tables = needs & ROUTE_NEEDS_TABLES };
    const struct sql_policy policy = { &r, on_need, SQL_CASE_FOLD };
    struct sql_reading reading;
    s->is_read = sql_stmt_read(sql, &policy, &reading);
    if (!s->is_read) take_verb(&r, reading.kind);
    uint32_t at = 0;
    for (uint32_t i = 0; i < s->table_count; i++) {
        s->tables[i].at = s->names.at + at;
        at += (uint32_t)s->tables[i].len;
    }
    /* What cannot be normalised is cut short there. */
    if (needs & ROUTE_NEEDS_TEXT) sql_normalize(sql, REGEX_TEXT_BYTES, &s->text);
    return !s->names.failed && !s->text.failed;
}

void statement_fini(struct statement *s)
{
    buf_fini(&s->names);
    buf_fini(&s->text);
    s->table_count = 0;
}

struct route_statement statement_facts(const struct statement *s, struct slice query_group,
                                       int64_t at_s, struct regex_scratch *scratch)
{
    return (struct route_statement){ .verb = s->verb,
                                     .tables = s->tables,
                                     .table_count = s->table_count,
                                     .text = buf_slice(&s->text),
                                     .query_group = query_group,
                                     .at_s = at_s,
                                     .scratch = scratch };
}
