/* COPY and UNLOAD: no option takes an expression, so both are recognised exactly. */
#include "protocol/sql_reader.h"

enum { COPY = 1, UNLOAD = 2, BOTH = 3 };

enum form {
    NONE,
    TEXT,
    MAYBE_TEXT,
    COUNT,
    SWITCH,
    FORMAT,
    IAM_ROLE,
    WITH,
    CREDENTIALS,
    KEYS,
    MANIFEST,
    ENCRYPTED,
    SHAPEFILE,
    ENCODING,
    SIZE,
    PARTITION
};

static const struct option {
    char text[24];
    uint8_t of, form;
} options[] = {
#define OPTION(text, of, form) { text, of, form },
#include "protocol/sql_option.def"
#undef OPTION
};

static bool accept_text(struct sql_reader *r, const char *text)
{
    if (!at_kind(r, SQL_WORD) || !slice_is_nocase(token_text(r), text)) return false;
    sql_lex_next(&r->lex);
    return true;
}

static const struct option *find_option(const struct sql_reader *r, uint8_t of)
{
    if (!at_kind(r, SQL_WORD)) return NULL;
    const struct slice text = token_text(r);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if ((options[i].of & of) && slice_is_nocase(text, options[i].text)) return &options[i];
    return NULL;
}

/* ---- what options take --------------------------------------------------------------------- */

/* A literal or word that the policy is asked about. */
static bool read_asked(struct sql_reader *r, enum sql_need_kind what)
{
    struct sql_need n = {
        .what = what, .at = r->lex.token.at, .value = token_text(r), .value_bits = r->lex.token.bits
    };
    sql_lex_next(&r->lex);
    return sql_ask(r, &n);
}

static bool read_key(struct sql_reader *r)
{
    return at_kind(r, SQL_STRING) ? read_asked(r, SQL_NEED_COPY_KEY) : refuse_syntax(r);
}

/* Behind ACCESS_KEY_ID: 'id' SECRET_ACCESS_KEY 'key' [SESSION_TOKEN | TOKEN 'token'] */
static bool read_keys(struct sql_reader *r)
{
    if (!read_key(r)) return false;
    if (!accept_text(r, "secret_access_key")) return refuse_syntax(r);
    if (!read_key(r)) return false;
    return !(accept_text(r, "session_token") || accept_text(r, "token")) || read_key(r);
}

static bool read_credentials(struct sql_reader *r)
{
    accept_word(r, SQL_WORD_AS);
    return at_kind(r, SQL_STRING) ? read_asked(r, SQL_NEED_COPY_CREDENTIALS) : refuse_syntax(r);
}

static bool read_role(struct sql_reader *r)
{
    if (!at_kind(r, SQL_STRING) && !at_word(r, SQL_WORD_DEFAULT)) return refuse_syntax(r);
    return read_asked(r, SQL_NEED_COPY_ROLE);
}

static bool read_maybe_text(struct sql_reader *r)
{
    return accept_word(r, SQL_WORD_AS) ? expect(r, SQL_STRING) : (accept(r, SQL_STRING), true);
}

static bool read_encoding(struct sql_reader *r)
{
    accept_word(r, SQL_WORD_AS);
    return accept_text(r, "utf8") || accept_text(r, "utf16") || accept_text(r, "utf16le") ||
           accept_text(r, "utf16be") || refuse_syntax(r);
}

static bool read_switch(struct sql_reader *r, uint8_t of)
{
    if (accept_word(r, SQL_WORD_ON) || accept_word(r, SQL_WORD_OFF) ||
        accept_word(r, SQL_WORD_TRUE) || accept_word(r, SQL_WORD_FALSE))
        return true;
    if (of == COPY) accept_text(r, "preset");
    return true;
}

/* [SIMPLIFY [AUTO] ['tolerance']] */
static bool read_shapefile(struct sql_reader *r)
{
    if (!accept_text(r, "simplify")) return true;
    accept_word(r, SQL_WORD_AUTO);
    if (!accept(r, SQL_STRING)) accept(r, SQL_NUMBER);
    return true;
}

/* [AS] n [MB | GB] */
static bool read_size(struct sql_reader *r)
{
    accept_word(r, SQL_WORD_AS);
    if (!expect(r, SQL_NUMBER)) return false;
    if (!accept_text(r, "mb")) accept_text(r, "gb");
    return true;
}

/* BY (columns) [INCLUDE] */
static bool read_partition(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_BY) || !sql_read_labels(r)) return false;
    accept_word(r, SQL_WORD_INCLUDE);
    return true;
}

/* FORMAT [AS] format: what follows is an option by itself. */
static bool read_format(struct sql_reader *r, uint8_t of)
{
    static const char *const formats[] = { "csv",  "parquet",   "orc",        "json",
                                           "avro", "shapefile", "fixedwidth", "delimiter" };
    accept_word(r, SQL_WORD_AS);
    const struct option *option = find_option(r, of);
    for (size_t i = 0; option && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(option->text, formats[i]) == 0) return true;
    return refuse(r, SQL_REFUSED_COPY_OPTION);
}

static bool read_option(struct sql_reader *r, uint8_t of)
{
    const struct option *option = find_option(r, of);
    if (!option) return refuse(r, SQL_REFUSED_COPY_OPTION);
    sql_lex_next(&r->lex);
    switch (option->form) {
    case NONE: return true;
    case TEXT: accept_word(r, SQL_WORD_AS); return expect(r, SQL_STRING);
    case MAYBE_TEXT: return read_maybe_text(r);
    case COUNT: accept_word(r, SQL_WORD_AS); return expect(r, SQL_NUMBER);
    case SWITCH: return read_switch(r, of);
    case FORMAT: return read_format(r, of);
    case IAM_ROLE: return read_role(r);
    case WITH: return accept_text(r, "credentials") ? read_credentials(r) : refuse_syntax(r);
    case CREDENTIALS: return read_credentials(r);
    case KEYS: return read_keys(r);
    case MANIFEST:
        if (of == UNLOAD) accept_word(r, SQL_WORD_VERBOSE);
        return true;
    case ENCRYPTED:
        if (of == UNLOAD) accept_word(r, SQL_WORD_AUTO);
        return true;
    case SHAPEFILE: return read_shapefile(r);
    case ENCODING: return read_encoding(r);
    case SIZE: return read_size(r);
    default: return read_partition(r);
    }
}

static bool read_options(struct sql_reader *r, uint8_t of)
{
    while (!at_kind(r, ';') && !at_kind(r, SQL_END))
        if (!read_option(r, of)) return false;
    return true;
}

/* ---- the statements ------------------------------------------------------------------------ */

static bool has_scheme(struct slice literal, const char *scheme)
{
    return slice_starts(slice_after(literal, 1), scheme);
}

/* t [(columns)] FROM 'source' options */
bool sql_read_copy(struct sql_reader *r)
{
    struct sql_name target;
    if (!sql_read_relation(r, SQL_VERB_COPY, &target)) return false;
    if (at_kind(r, '(') && !sql_read_labels(r)) return false;
    if (!accept_word(r, SQL_WORD_FROM) || !at_kind(r, SQL_STRING))
        return refuse(r, SQL_REFUSED_COPY_SOURCE);
    const struct slice source = token_text(r);
    if (!has_scheme(source, "s3://") && !has_scheme(source, "emr://") &&
        !has_scheme(source, "dynamodb://"))
        return refuse(r, SQL_REFUSED_COPY_SOURCE);
    return read_asked(r, SQL_NEED_COPY_FROM) && read_options(r, COPY);
}

/* Reads `text`, the query without its quotes, as one SELECT with a reader of its own. */
static bool read_inner_query(struct sql_reader *r, struct slice text)
{
    SCRATCH struct sql_cte cte[SQL_CTES];
    struct sql_reader inner = { .policy = r->policy,
                                .cte = cte,
                                .kind = r->kind,
                                .statement = r->statement,
                                .depth = r->depth,
                                .unload = true,
                                .inner = true,
                                .inner_at = r->lex.token.at };
    sql_lex_init(&inner.lex, text);
    bool ok = is_query_head(inner.lex.token) || at_kind(&inner, '(');
    if (!ok) refuse(&inner, SQL_REFUSED_UNLOAD_QUERY);
    ok = ok && sql_read_query(&inner, NULL);
    while (ok && accept(&inner, ';')) {
    }
    if (ok && !at_kind(&inner, SQL_END)) ok = refuse(&inner, SQL_REFUSED_UNLOAD_QUERY);
    if (inner.lex.flags) sql_lex_flag(&r->lex, (enum sql_lex_flag)inner.lex.flag, inner.inner_at);
    if (!ok) return refuse(r, inner.refusal);
    if (inner.relations > 0) return true;
    struct sql_need n = { .what = SQL_NEED_VERB, .verb = SQL_VERB_UNLOAD, .at = inner.inner_at };
    return sql_ask(r, &n);
}

/* Looks into the query, which is a literal: unwrapped, it is read like any other. */
static bool read_unloaded(struct sql_reader *r)
{
    SCRATCH char query[SQL_UNLOAD_BYTES];
    size_t len = 0;
    if (!at_kind(r, SQL_STRING) || (r->lex.token.bits & SQL_TOKEN_BACKSLASH) ||
        !sql_token_literal(token_text(r), query, sizeof query, &len))
        return refuse(r, SQL_REFUSED_UNLOAD_QUERY);
    if (!read_inner_query(r, slice_of(query, len))) return false;
    sql_lex_next(&r->lex);
    return true;
}

/* ('query') TO 's3://...' options */
bool sql_read_unload(struct sql_reader *r)
{
    if (!read_open(r) || !read_unloaded(r) || !read_close(r)) return false;
    if (!expect_word(r, SQL_WORD_TO) || !at_kind(r, SQL_STRING)) return refuse_syntax(r);
    if (!has_scheme(token_text(r), "s3://")) return refuse_syntax(r);
    sql_lex_next(&r->lex);
    return read_options(r, UNLOAD);
}
