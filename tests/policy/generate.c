/* The grammar: of Redshift's and PostgreSQL's statements as much as may pass, and more that must
 * not. */
#include "policy/world.h"

#include "protocol/sql_lex.h"

enum { DEPTH = 4 };

struct generator generator_new(uint64_t seed)
{
    return (struct generator){ .state = (seed + 1) * 0x9E3779B97F4A7C15ULL };
}

uint32_t generator_below(struct generator *g, uint32_t n)
{
    /* xorshift64* */
    g->state ^= g->state >> 12;
    g->state ^= g->state << 25;
    g->state ^= g->state >> 27;
    return (uint32_t)((g->state * 0x2545F4914F6CDD1DULL >> 32) * n >> 32);
}

static bool maybe(struct generator *g, uint32_t in) { return generator_below(g, in) == 0; }

static void say(struct generator *g, const char *text)
{
    buf_add_str(g->out, text);
    buf_add_u8(g->out, ' ');
}

static void say_one_of(struct generator *g, const char *const list[], uint32_t n)
{
    say(g, list[generator_below(g, n)]);
}

#define SAY_ONE(g, ...)                                                                            \
    do {                                                                                           \
        static const char *const choices[] = { __VA_ARGS__ };                                      \
        say_one_of(g, choices, sizeof choices / sizeof *choices);                                  \
    } while (0)

static void query(struct generator *g);
static void expression(struct generator *g);

/* ---- names --------------------------------------------------------------------------------- */

static void relation(struct generator *g)
{
    if (maybe(g, 12)) {
        SAY_ONE(g, "pg_catalog.pg_class", "pg_class", "information_schema.tables",
                "\"public.events\"", "\"Public\".events", "dev.public.events", "pg_temp.t",
                "temp_t", "#t", "c1", "hr.salaries", "stl_query", "PUBLIC.Events",
                "\"public\".\"events\"", "only public.events");
        return;
    }
    SAY_ONE(g, "public.events", "public.customers", "staging.raw", "staging.parts", "mart.sales",
            "public.events", "staging.raw", "events", "customers", "raw", "sales", "hr.salaries",
            "c1", "c2", "parts");
}

static void column(struct generator *g)
{
    SAY_ONE(g, "id", "kind", "amount", "at", "id", "kind", "a.id", "b.kind", "\"id\"", "x", "*",
            "a.*");
}

/* ---- expressions --------------------------------------------------------------------------- */

static void literal(struct generator *g)
{
    SAY_ONE(g, "1", "2.5", "'a'", "'it''s'", "''", "'a\\\\'", "null", "true", "-3", "1e3", ".5",
            "'2024-01-01'", "'x' \n 'y'", "date '2024-01-01'", "interval '1 day'", "$1", "default",
            "'a\\'", "'\\''", "E'x'", "$$x$$", "1from", "0x1F", "U&'x'", "X'1f'");
}

static void list(struct generator *g, void (*item)(struct generator *), const char *separator)
{
    item(g);
    for (uint32_t n = generator_below(g, 3); n; n--) {
        say(g, separator);
        item(g);
    }
}

static void call(struct generator *g)
{
    SAY_ONE(g, "lower", "upper", "count", "sum", "coalesce", "now", "abs", "length", "nvl", "max",
            "pg_catalog.lower", "concat", "round", "current_database", "version", "listagg", "trim",
            "pg_sleep", "set_config", "current_setting", "public.lower", "query_to_xml", "nextval",
            "pg_read_file", "f_x", "\"lower\"", "has_table_privilege", "pg_terminate_backend");
    say(g, "(");
    if (maybe(g, 6)) say(g, "distinct");
    if (!maybe(g, 5)) list(g, expression, ",");
    say(g, ")");
    if (maybe(g, 8)) {
        say(g, "over ( partition by");
        expression(g);
        say(g, "order by");
        expression(g);
        say(g, ")");
    }
}

static void subquery(struct generator *g)
{
    say(g, "(");
    query(g);
    say(g, ")");
}

static void compound(struct generator *g)
{
    switch (generator_below(g, 16)) {
    case 0:
        say(g, "case when");
        expression(g);
        say(g, "then");
        expression(g);
        say(g, "else");
        expression(g);
        say(g, "end");
        break;
    case 1:
        say(g, "cast (");
        expression(g);
        SAY_ONE(g, "as int )", "as varchar(10) )", "as regclass )", "as numeric(10,2) )",
                "as text )");
        break;
    case 2:
        expression(g);
        SAY_ONE(g, ":: int", ":: text", ":: regclass", ":: date", ":: public.events", ":: \"Int\"");
        break;
    case 3:
        expression(g);
        SAY_ONE(g, "in", "not in", "= any", "> all");
        subquery(g);
        break;
    case 4:
        expression(g);
        say(g, "in (");
        list(g, expression, ",");
        say(g, ")");
        break;
    case 5:
        say(g, "exists");
        subquery(g);
        break;
    case 6:
        say(g, "extract ( year from");
        expression(g);
        say(g, ")");
        break;
    case 7:
        say(g, "substring (");
        expression(g);
        SAY_ONE(g, "from 1 for 2 )", ", 1 , 2 )", "from ( select 1 ) )");
        break;
    case 8:
        expression(g);
        SAY_ONE(g, "is null", "is not null", "is true", "isnull", "notnull", "between 1 and 2",
                "at time zone 'UTC'", "[ 1 ]", "[ id ]", ". x", "collate \"C\"",
                "collate pg_catalog.\"C\"", ":: regclass [ 1 ]");
        break;
    case 9:
        say(g, "(");
        list(g, expression, ",");
        say(g, ")");
        break;
    case 10:
        say(g, "array [");
        list(g, expression, ",");
        say(g, "]");
        break;
    case 11:
        if (maybe(g, 4)) say(g, "array");
        subquery(g);
        break;
    case 12:
        SAY_ONE(g, "not", "-", "+", "~", "operator ( pg_catalog.- )");
        expression(g);
        break;
    case 13:
        say(g, "position ( 'a' in");
        expression(g);
        say(g, ")");
        break;
    case 14:
        SAY_ONE(g, "trim ( both 'x' from", "trim ( leading from", "nullif ( 1 ,", "row (");
        expression(g);
        say(g, ")");
        break;
    default: call(g); break;
    }
}

static void expression(struct generator *g)
{
    if (++g->depth > DEPTH || maybe(g, 2)) {
        if (maybe(g, 2))
            literal(g);
        else if (maybe(g, 4))
            SAY_ONE(g, "current_user", "sysdate", "current_date", "session_user", "current_catalog",
                    "current_timestamp", "user", "current_schema");
        else
            column(g);
    } else if (maybe(g, 2)) {
        expression(g);
        SAY_ONE(g, "+", "-", "*", "/", "=", "<>", "<", ">=", "and", "or", "||", "like", "ilike",
                "similar to", "~", "%", "!=", "operator ( pg_catalog.+ )", "@@");
        expression(g);
    } else {
        compound(g);
    }
    g->depth--;
}

/* ---- queries ------------------------------------------------------------------------------- */

static void target(struct generator *g)
{
    expression(g);
    if (maybe(g, 3)) SAY_ONE(g, "as x", "as \"Y\"", "z", "as year");
}

static void from_item(struct generator *g)
{
    switch (++g->depth > DEPTH ? 9 : generator_below(g, 10)) {
    case 0:
        subquery(g);
        SAY_ONE(g, "as a", "b", "a ( id , kind )", "");
        break;
    case 1:
        say(g, "(");
        from_item(g);
        say(g, "cross join");
        from_item(g);
        say(g, ")");
        break;
    case 2:
        SAY_ONE(g, "generate_series ( 1 , 2 )", "pg_catalog.generate_series ( 1 , 2 )",
                "pg_catalog.unnest ( id )", "lateral ( select 1 ) l", "lower ( 'a' )",
                "rows from ( now ( ) )");
        break;
    default:
        relation(g);
        if (maybe(g, 2)) SAY_ONE(g, "a", "as b", "a ( id , kind )", "tablesample system ( 1 )");
        break;
    }
    if (maybe(g, 5) && g->depth <= DEPTH) {
        SAY_ONE(g, "join", "left join", "full outer join", "inner join", "natural join");
        from_item(g);
        if (!maybe(g, 4)) {
            say(g, "on");
            expression(g);
        } else {
            say(g, "using ( id )");
        }
    }
    g->depth--;
}

static void ctes(struct generator *g)
{
    say(g, "with");
    if (maybe(g, 3)) say(g, "recursive");
    for (uint32_t n = 1 + generator_below(g, 2); n; n--) {
        SAY_ONE(g, "c1", "c2", "events", "raw", "\"C1\"", "sales ( id )");
        say(g, "as");
        if (maybe(g, 10)) SAY_ONE(g, "materialized", "not materialized");
        if (maybe(g, 10)) {
            SAY_ONE(g, "( insert into public.events values ( 1 ) returning * )",
                    "( delete from staging.raw )",
                    "( update hr.salaries set id = 1 returning id )");
        } else {
            subquery(g);
        }
        if (n > 1) say(g, ",");
    }
}

static void select_core(struct generator *g)
{
    say(g, "select");
    if (maybe(g, 8)) SAY_ONE(g, "distinct", "all", "top 3", "distinct on ( id )");
    list(g, target, ",");
    if (maybe(g, 25)) SAY_ONE(g, "into temp t", "into public.t", "into #t");
    if (!maybe(g, 4)) {
        say(g, "from");
        list(g, from_item, ",");
    }
    if (maybe(g, 2)) {
        say(g, "where");
        expression(g);
    }
    if (maybe(g, 6)) {
        say(g, "group by");
        list(g, expression, ",");
        if (maybe(g, 2)) {
            say(g, "having");
            expression(g);
        }
    }
    if (maybe(g, 15)) {
        say(g, "window w as ( partition by");
        expression(g);
        say(g, ")");
    }
}

static void query(struct generator *g)
{
    if (++g->depth > DEPTH) {
        SAY_ONE(g, "select 1", "select id from public.events", "select * from staging.raw",
                "select kind from c1", "values ( 1 )", "table public.events");
        g->depth--;
        return;
    }
    if (maybe(g, 6)) ctes(g);
    if (maybe(g, 12))
        subquery(g);
    else
        select_core(g);
    if (maybe(g, 6)) {
        SAY_ONE(g, "union", "union all", "except", "intersect", "minus");
        if (maybe(g, 2))
            select_core(g);
        else
            subquery(g);
    }
    if (maybe(g, 6)) {
        say(g, "order by");
        list(g, expression, ",");
        SAY_ONE(g, "", "desc", "asc nulls first");
    }
    if (maybe(g, 6)) {
        SAY_ONE(g, "limit", "offset", "fetch first");
        if (maybe(g, 2))
            SAY_ONE(g, "1", "all", "1 rows only");
        else
            subquery(g);
    }
    if (maybe(g, 30)) SAY_ONE(g, "for update", "for share of a", "for update nowait");
    g->depth--;
}

/* ---- statements ---------------------------------------------------------------------------- */

static void row(struct generator *g)
{
    say(g, "(");
    list(g, expression, ",");
    say(g, ")");
}

static void insert(struct generator *g)
{
    say(g, "insert into");
    relation(g);
    if (maybe(g, 3)) SAY_ONE(g, "( id , kind )", "( id )", "as e", "( id , kind , amount , at )");
    switch (generator_below(g, 6)) {
    case 0: say(g, "default values"); break;
    case 1:
    case 2: query(g); break;
    default:
        say(g, "values");
        list(g, row, ",");
        break;
    }
    if (maybe(g, 12))
        SAY_ONE(g, "returning *", "on conflict do nothing", "returning ( select 1 )",
                "on conflict ( id ) do update set id = 1");
}

static void assignment(struct generator *g)
{
    SAY_ONE(g, "id =", "kind =", "( id , kind ) =", "amount =");
    expression(g);
}

static void change(struct generator *g)
{
    if (maybe(g, 8)) ctes(g);
    if (maybe(g, 2)) {
        SAY_ONE(g, "update", "update only", "update");
        relation(g);
        if (maybe(g, 4)) say(g, "a");
        say(g, "set");
        list(g, assignment, ",");
        if (maybe(g, 4)) {
            say(g, "from");
            list(g, from_item, ",");
        }
    } else {
        SAY_ONE(g, "delete from", "delete from", "delete", "delete from only");
        relation(g);
        if (maybe(g, 4)) say(g, "a");
        if (maybe(g, 4)) {
            say(g, "using");
            list(g, from_item, ",");
        }
    }
    if (maybe(g, 2)) {
        say(g, "where");
        expression(g);
    }
    if (maybe(g, 15)) say(g, "returning *");
}

static void merge(struct generator *g)
{
    say(g, "merge into");
    relation(g);
    say(g, "using");
    relation(g);
    SAY_ONE(g, "b on", "on", "as b on");
    expression(g);
    SAY_ONE(g, "when matched then update set id = 1 when not matched then insert values ( 1 )",
            "when matched then delete when not matched then insert ( id ) values ( ( select 1 ) )",
            "remove duplicates", "when matched and 1 = 1 then do nothing");
}

static void copy(struct generator *g)
{
    say(g, "copy");
    relation(g);
    SAY_ONE(g, "from 's3://b/k' iam_role default csv",
            "from 's3://b/k' iam_role 'arn:aws:iam::1:role/r'", "to stdout", "from stdin",
            "from program 'x'", "from '/etc/passwd'",
            "( id , kind ) from 's3://b' credentials 'aws_iam_role=x' gzip delimiter ','",
            "from 's3://b/k' iam_role default json 'auto' ; drop table t");
}

static void odd(struct generator *g)
{
    SAY_ONE(g, "begin", "commit", "rollback", "begin read only",
            "start transaction isolation level serializable", "end work", "abort transaction",
            "prepare transaction 'x'", "savepoint s", "show all", "show timezone",
            "reset query_group", "reset all", "deallocate all", "deallocate p", "discard all",
            "listen c", "do $$ begin end $$", "create table public.t ( a int )",
            "drop table public.events", "alter table public.events add c int",
            "grant select on public.events to public", "use dev", "lock table public.events",
            "vacuum", "analyze", "create user u", "declare c cursor for select 1",
            "fetch all from c", "close c", "call p ( 1 )", "execute p ( 1 )",
            "unload ( 'select 1' ) to 's3://b'", "set role x", "set session authorization x",
            "reindex table public.events", "comment on table x is 'y'",
            "refresh materialized view v", "cluster public.events", "copy ( select 1 ) to stdout",
            "table hr.salaries", "values ( 1 )", "explain ( analyze ) delete from hr.salaries",
            "security label on table x is 'y'");
}

static void setting(struct generator *g)
{
    SAY_ONE(g, "set", "set session", "set local", "reset", "show");
    SAY_ONE(g, "query_group to 'x'", "timezone = 'UTC'", "time zone local", "search_path to hr",
            "statement_timeout to 1", "client_encoding to 'SJIS'", "client_encoding to utf8",
            "names 'UTF8'", "names 'sjis'", "x.y to 1", "standard_conforming_strings to on",
            "datestyle to iso , mdy", "extra_float_digits to 3", "application_name to 'a' , 'b'",
            "characteristics as transaction read only", "role to x",
            "transaction isolation level serializable", "seed to .5");
}

static void with_relation(struct generator *g, const char *before, const char *after)
{
    say(g, before);
    relation(g);
    say(g, after);
}

static void statement(struct generator *g)
{
    g->depth = 0;
    switch (generator_below(g, 24)) {
    case 0 ... 5: query(g); break;
    case 6 ... 11: insert(g); break;
    case 12 ... 14: change(g); break;
    case 15: merge(g); break;
    case 16: copy(g); break;
    case 17: setting(g); break;
    case 18:
        SAY_ONE(g, "explain", "explain verbose", "explain analyze");
        query(g);
        break;
    case 19:
        SAY_ONE(g, "prepare p as", "prepare p ( int ) as", "declare c cursor for",
                "create temp table t as", "create temporary table t ( id ) as",
                "create table t as");
        query(g);
        break;
    case 20:
        if (maybe(g, 2))
            with_relation(g, "truncate", "");
        else
            with_relation(g, "truncate table", "cascade");
        break;
    case 21: with_relation(g, "create temp table t ( like", ")"); break;
    case 22:
        with_relation(g, "create temp table t ( id int default 1 , kind text ) ; insert into",
                      "values ( 1 )");
        break;
    default: odd(g); break;
    }
}

static void message(struct generator *g)
{
    if (maybe(g, 40)) SAY_ONE(g, ";", "/* c */", "-- c\n", "/* /* c */ */");
    statement(g);
    for (int n = 0; n < 3 && maybe(g, 8); n++) {
        say(g, ";");
        if (!maybe(g, 3)) statement(g);
    }
}

/* ---- changed texts ------------------------------------------------------------------------- */

enum { PIECES = 400 };

/* Cuts at the lexer's tokens: what lies between them stays with the one before. Returns how many.
 */
static uint32_t cut(struct slice text, struct slice pieces[PIECES])
{
    struct sql_lex lex;
    uint32_t n = 0, from = 0;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END && n < PIECES - 1;
         sql_lex_next(&lex)) {
        if (lex.token.at > from) pieces[n++] = slice_of(text.at + from, lex.token.at - from);
        from = lex.token.at;
    }
    if (from < text.len) pieces[n++] = slice_of(text.at + from, text.len - from);
    return n;
}

static void hostile(struct generator *g)
{
    static const struct {
        const char *text;
        uint8_t len;
    } words[] = {
#define WORD(text) { text, sizeof text - 1 }
        WORD("'"),
        WORD("\\"),
        WORD("\\'"),
        WORD("\""),
        WORD("--"),
        WORD("/*"),
        WORD("*/"),
        WORD("\r"),
        WORD("\n"),
        WORD("\0"),
        WORD("\xc2\xa0"),
        WORD("$$"),
        WORD("$a$"),
        WORD(";"),
        WORD("("),
        WORD(")"),
        WORD(","),
        WORD("."),
        WORD("::"),
        WORD("from hr.salaries"),
        WORD("select"),
        WORD("union select * from hr.salaries"),
        WORD("; drop table hr.salaries ;"),
        WORD("E"),
        WORD("U&"),
        WORD("e'"),
        WORD("[ 1 ]"),
        WORD("as"),
        WORD("in"),
        WORD("into"),
        WORD("( select id from hr.salaries )"),
        WORD("/**/"),
        WORD("'a'"),
        WORD("\"a\""),
        WORD("\x0b"),
        WORD("\f"),
        WORD("@"),
        WORD("lateral"),
        WORD("table hr.salaries"),
        WORD("join hr.salaries on true"),
        WORD("over"),
        WORD("filter ( where ( select true from hr.salaries ) )"),
        WORD("within group ( order by 1 )"),
        WORD("hr.tell ( )"),
        WORD("\xef\xbb\xbf"),
        WORD("#"),
        WORD("returning"),
        WORD("default"),
        WORD("only"),
#undef WORD
    };
    uint32_t i = generator_below(g, sizeof words / sizeof *words);
    buf_add_u8(g->out, ' ');
    buf_add(g->out, words[i].text, words[i].len);
    if (!maybe(g, 4)) buf_add_u8(g->out, ' ');
}

static void mutation(struct generator *g, struct slice text)
{
    struct slice pieces[PIECES];
    uint32_t n = cut(text, pieces);
    if (n == 0) return;
    for (uint32_t changes = generator_below(g, 3); changes; changes--) {
        uint32_t a = generator_below(g, n), b = generator_below(g, n);
        struct slice kept = pieces[a];
        if (maybe(g, 3)) pieces[a].len = 0;
        if (maybe(g, 3)) pieces[a] = pieces[b], pieces[b] = kept;
        if (maybe(g, 4)) pieces[a] = pieces[b];
    }
    uint32_t put_in = maybe(g, 2) ? generator_below(g, n + 1) : n + 1;
    for (uint32_t i = 0; i <= n; i++) {
        if (i == put_in) hostile(g);
        if (i == n || pieces[i].len == 0) continue;
        buf_add_slice(g->out, pieces[i]);
        if (maybe(g, 12)) buf_add_slice(g->out, pieces[i]);
        if (!maybe(g, 6)) buf_add_u8(g->out, ' ');
    }
}

void generate_text(struct generator *g, struct slice source)
{
    struct buf *out = g->out, first = { 0 };
    bool change = maybe(g, 3);
    if (change) g->out = &first;
    if (change && source.len && maybe(g, 2))
        buf_add_slice(&first, source);
    else
        message(g);
    g->out = out;
    if (change) mutation(g, buf_slice(&first));
    buf_fini(&first);
}

static void blank(struct generator *g)
{
    switch (generator_below(g, 6)) {
    case 0: buf_add_str(g->out, "\n"); break;
    case 1: buf_add_str(g->out, "\t"); break;
    case 2: buf_add_str(g->out, " /* ' \" ; */ "); break;
    case 3: buf_add_str(g->out, " -- ' ; select\n"); break;
    default: buf_add_str(g->out, " "); break;
    }
}

static void other_letters(struct generator *g, struct slice word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        buf_add_u8(g->out, (uint8_t)(letter && maybe(g, 2) ? c ^ 32 : c));
    }
}

bool generate_disguise(struct generator *g, struct slice text)
{
    struct sql_lex lex;
    uint32_t end = 0;
    bool string = false;
    sql_lex_init(&lex, text);
    if (!sql_lex_check_bytes(&lex)) return false;
    for (; lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        struct sql_token t = lex.token;
        /* Two literals side by side mean something by the blanks between them. */
        if (string && t.kind == SQL_STRING)
            buf_add(g->out, text.at + end, t.at - end);
        else if (t.at > end)
            blank(g);
        if (t.kind == SQL_WORD)
            other_letters(g, sql_token_text(&lex, t));
        else
            buf_add_slice(g->out, sql_token_text(&lex, t));
        string = t.kind == SQL_STRING;
        end = t.at + t.len;
    }
    return lex.flags == 0;
}
