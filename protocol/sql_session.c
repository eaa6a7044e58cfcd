/* Statements about the session: transactions, SHOW, SET, RESET. */
#include "protocol/sql_reader.h"

/* ---- transactions -------------------------------------------------------------------------- */

/* Behind ISOLATION. Every level means serializable. */
static bool read_isolation_level(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_LEVEL)) return false;
    if (accept_word(r, SQL_WORD_SERIALIZABLE)) return true;
    if (accept_word(r, SQL_WORD_REPEATABLE)) return expect_word(r, SQL_WORD_READ);
    return expect_word(r, SQL_WORD_READ) &&
           (accept_word(r, SQL_WORD_COMMITTED) || expect_word(r, SQL_WORD_UNCOMMITTED));
}

/* [ISOLATION LEVEL x] [READ WRITE | READ ONLY], a comma between them or none */
static bool read_modes(struct sql_reader *r)
{
    bool more = false;
    for (;;) {
        if (accept_word(r, SQL_WORD_ISOLATION)) {
            if (!read_isolation_level(r)) return false;
        } else if (accept_word(r, SQL_WORD_READ)) {
            if (!accept_word(r, SQL_WORD_WRITE) && !expect_word(r, SQL_WORD_ONLY)) return false;
        } else {
            return !more || refuse_syntax(r);
        }
        more = accept(r, ',');
    }
}

static void accept_noise(struct sql_reader *r)
{
    if (!accept_word(r, SQL_WORD_WORK)) accept_word(r, SQL_WORD_TRANSACTION);
}

/* [WORK | TRANSACTION] modes */
bool sql_read_begin(struct sql_reader *r)
{
    accept_noise(r);
    return read_modes(r);
}

/* TRANSACTION modes */
bool sql_read_start(struct sql_reader *r)
{
    return expect_word(r, SQL_WORD_TRANSACTION) && read_modes(r);
}

/* [WORK | TRANSACTION]: of COMMIT, END, ROLLBACK, ABORT */
bool sql_read_end_txn(struct sql_reader *r)
{
    accept_noise(r);
    return true;
}

/* ---- SHOW ---------------------------------------------------------------------------------- */

/* Parameters and metadata: a run of names and constants. Drivers put parameters in the place of
 * names: SHOW TABLES FROM SCHEMA $1.$2 LIKE $3. */
bool sql_read_show(struct sql_reader *r)
{
    const uint32_t depth = r->depth;
    uint8_t before = SQL_END;
    for (;; sql_lex_next(&r->lex)) {
        const uint8_t kind = r->lex.token.kind;
        switch (kind) {
        case SQL_WORD:
            if (is_query_head(r->lex.token) || at_word(r, SQL_WORD_VALUES) ||
                at_word(r, SQL_WORD_INTO))
                return refuse_syntax(r);
            break;
        case SQL_STRING:
            if (before == SQL_STRING) return refuse_syntax(r);
            break;
        case SQL_QUOTED:
        case SQL_NUMBER:
        case SQL_PARAM: break;
        case '.':
        case ',':
            if (before == SQL_END) return refuse_syntax(r);
            break;
        case '(':
            if (before == SQL_END || !enter(r)) return refuse_syntax(r);
            break;
        case ')':
            if (r->depth == depth) return refuse_syntax(r);
            leave(r);
            break;
        default: return (before != SQL_END && r->depth == depth) || refuse_syntax(r);
        }
        before = kind;
    }
}

/* ---- SET and RESET ------------------------------------------------------------------------- */

static bool ask_setting(struct sql_reader *r, const struct sql_name *name,
                        const struct sql_token *value)
{
    struct sql_need n = { .what = SQL_NEED_SETTING, .at = name->at, .name = *name };
    if (value) {
        n.value = sql_token_text(&r->lex, *value);
        n.value_bits = value->bits;
    }
    return sql_ask(r, &n);
}

static struct sql_name name_of(const char *text, uint32_t at)
{
    return (struct sql_name){ .part = { slice_str(text) }, .at = at, .count = 1 };
}

/* One constant: word, name, literal or number; DEFAULT is none. */
static bool read_constant(struct sql_reader *r, const struct sql_name *name)
{
    if (accept_word(r, SQL_WORD_DEFAULT)) return ask_setting(r, name, NULL);
    if (at_kind(r, SQL_OPERATOR)) {
        const struct slice sign = token_text(r);
        if (!slice_is(sign, "-") && !slice_is(sign, "+")) return refuse_syntax(r);
        sql_lex_next(&r->lex);
        if (!at_kind(r, SQL_NUMBER)) return refuse_syntax(r);
    }
    const struct sql_token value = r->lex.token;
    switch (value.kind) {
    case SQL_WORD:
        if (is_query_head(value)) return refuse_syntax(r);
        break;
    case SQL_QUOTED:
    case SQL_STRING:
    case SQL_NUMBER: break;
    default: return refuse_syntax(r);
    }
    sql_lex_next(&r->lex);
    return ask_setting(r, name, &value);
}

static bool read_constants(struct sql_reader *r, const struct sql_name *name)
{
    do {
        if (!read_constant(r, name)) return false;
    } while (accept(r, ','));
    return true;
}

/* Behind TIME ZONE: a constant, or INTERVAL 'x' [HOUR [TO MINUTE]] */
static bool read_time_zone(struct sql_reader *r, uint32_t at)
{
    const struct sql_name name = name_of("timezone", at);
    if (!accept_word(r, SQL_WORD_INTERVAL)) return read_constant(r, &name);
    if (!ask_setting(r, &name, &r->lex.token) || !expect(r, SQL_STRING)) return false;
    if (at_kind(r, SQL_WORD)) {
        sql_lex_next(&r->lex);
        if (accept_word(r, SQL_WORD_TO) && !sql_read_label(r)) return false;
    }
    return true;
}

/* At the word TRANSACTION: at least one mode. */
static bool read_set_transaction(struct sql_reader *r)
{
    if (!expect_word(r, SQL_WORD_TRANSACTION)) return false;
    if (!at_word(r, SQL_WORD_ISOLATION) && !at_word(r, SQL_WORD_READ)) return refuse_syntax(r);
    return read_modes(r);
}

/* [SESSION | LOCAL] name { TO | = } constants, and the forms with words of their own */
bool sql_read_set(struct sql_reader *r)
{
    struct sql_name name;
    const uint32_t at = r->lex.token.at;
    if (at_word(r, SQL_WORD_TRANSACTION)) return read_set_transaction(r);
    if (at_word(r, SQL_WORD_ROLE)) return refuse(r, SQL_REFUSED_STATEMENT);
    if (accept_word(r, SQL_WORD_NAMES)) {
        const struct sql_name encoding = name_of("client_encoding", at);
        return read_constant(r, &encoding);
    }
    if (accept_word(r, SQL_WORD_SESSION)) {
        if (accept_word(r, SQL_WORD_CHARACTERISTICS))
            return expect_word(r, SQL_WORD_AS) && read_set_transaction(r);
        if (at_word(r, SQL_WORD_AUTHORIZATION)) return refuse(r, SQL_REFUSED_STATEMENT);
    } else {
        accept_word(r, SQL_WORD_LOCAL);
    }
    if (at_word(r, SQL_WORD_TIME) && peek(r).word == SQL_WORD_ZONE) {
        sql_lex_next(&r->lex);
        sql_lex_next(&r->lex);
        return read_time_zone(r, at);
    }
    if (!sql_read_name(r, &name)) return false;
    if (!accept_word(r, SQL_WORD_TO) && !expect(r, '=')) return false;
    return read_constants(r, &name);
}

/* name | TIME ZONE */
bool sql_read_reset(struct sql_reader *r)
{
    struct sql_name name = name_of("timezone", r->lex.token.at);
    if (at_word(r, SQL_WORD_ALL)) return refuse(r, SQL_REFUSED_RESET_ALL);
    if (at_word(r, SQL_WORD_SESSION) || at_word(r, SQL_WORD_USE) || at_word(r, SQL_WORD_ROLE))
        return refuse(r, SQL_REFUSED_STATEMENT);
    if (accept_word(r, SQL_WORD_TIME)) {
        if (!expect_word(r, SQL_WORD_ZONE)) return false;
    } else if (!sql_read_name(r, &name)) {
        return false;
    }
    return ask_setting(r, &name, NULL);
}
