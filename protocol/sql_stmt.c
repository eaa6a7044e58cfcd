#include "protocol/sql_stmt.h"
#include "protocol/sql_reader.h"

/* ---- one statement ------------------------------------------------------------------------- */

static const struct statement {
    enum sql_word word;
    enum sql_kind kind;
    bool (*read)(struct sql_reader *r);
} statements[] = {
    { SQL_WORD_INSERT, SQL_KIND_INSERT, sql_read_insert },
    { SQL_WORD_COPY, SQL_KIND_COPY, sql_read_copy },
    { SQL_WORD_BEGIN, SQL_KIND_BEGIN, sql_read_begin },
    { SQL_WORD_COMMIT, SQL_KIND_COMMIT, sql_read_end_txn },
    { SQL_WORD_SET, SQL_KIND_SET, sql_read_set },
    { SQL_WORD_UPDATE, SQL_KIND_UPDATE, sql_read_update },
    { SQL_WORD_DELETE, SQL_KIND_DELETE, sql_read_delete },
    { SQL_WORD_MERGE, SQL_KIND_MERGE, sql_read_merge },
    { SQL_WORD_TRUNCATE, SQL_KIND_TRUNCATE, sql_read_truncate },
    { SQL_WORD_UNLOAD, SQL_KIND_UNLOAD, sql_read_unload },
    { SQL_WORD_CALL, SQL_KIND_CALL, sql_read_call },
    { SQL_WORD_ANALYZE, SQL_KIND_ANALYZE, sql_read_analyze },
    { SQL_WORD_VACUUM, SQL_KIND_VACUUM, sql_read_vacuum },
    { SQL_WORD_CREATE, SQL_KIND_CREATE, sql_read_create },
    { SQL_WORD_ALTER, SQL_KIND_ALTER, sql_read_alter },
    { SQL_WORD_DROP, SQL_KIND_DROP, sql_read_drop },
    { SQL_WORD_PREPARE, SQL_KIND_PREPARE, sql_read_prepare },
    { SQL_WORD_EXECUTE, SQL_KIND_EXECUTE, sql_read_execute },
    { SQL_WORD_DEALLOCATE, SQL_KIND_DEALLOCATE, sql_read_deallocate },
    { SQL_WORD_DECLARE, SQL_KIND_DECLARE, sql_read_declare },
    { SQL_WORD_FETCH, SQL_KIND_FETCH, sql_read_fetch },
    { SQL_WORD_CLOSE, SQL_KIND_CLOSE, sql_read_close_cursor },
    { SQL_WORD_EXPLAIN, SQL_KIND_EXPLAIN, sql_read_explain },
    { SQL_WORD_START, SQL_KIND_START, sql_read_start },
    { SQL_WORD_END, SQL_KIND_END, sql_read_end_txn },
    { SQL_WORD_ROLLBACK, SQL_KIND_ROLLBACK, sql_read_end_txn },
    { SQL_WORD_ABORT, SQL_KIND_ABORT, sql_read_end_txn },
    { SQL_WORD_SHOW, SQL_KIND_SHOW, sql_read_show },
    { SQL_WORD_RESET, SQL_KIND_RESET, sql_read_reset },
};

static bool read_by_word(struct sql_reader *r)
{
    if (is_query_head(r->lex.token) || at_kind(r, '(')) return sql_read_select(r, true);
    const uint16_t word = r->lex.token.word;
    for (size_t i = 0; word && i < sizeof statements / sizeof *statements; i++) {
        if (statements[i].word != word) continue;
        r->kind = statements[i].kind;
        sql_lex_next(&r->lex);
        return statements[i].read(r);
    }
    r->kind = sql_kind_of(token_text(r));
    return refuse(r, at_kind(r, SQL_WORD) ? SQL_REFUSED_STATEMENT : SQL_REFUSED_SYNTAX);
}

static bool read_statement(struct sql_reader *r)
{
    struct sql_level root;
    r->cte_count = r->relations = r->depth = 0;
    r->into_allowed = false;
    sql_level_begin(r, &root, NULL);
    if (!read_by_word(r) || !sql_level_end(r, &root, NULL)) return false;
    if (!at_kind(r, ';') && !at_kind(r, SQL_END)) return refuse_syntax(r);
    struct sql_need n = { .what = SQL_NEED_END, .at = r->lex.token.at };
    return sql_ask(r, &n);
}

/* ---- the message --------------------------------------------------------------------------- */

bool sql_stmt_read(struct slice text, const struct sql_policy *policy, struct sql_reading *reading)
{
    SCRATCH struct sql_cte cte[SQL_CTES];
    struct sql_reader r = { .policy = policy, .cte = cte, .kind = SQL_KIND_NONE };
    struct sql_token first = { 0 };
    sql_lex_init(&r.lex, text);
    bool ok = sql_lex_check_bytes(&r.lex);
    while (ok && !at_kind(&r, SQL_END)) {
        if (accept(&r, ';')) continue;
        first = r.lex.token;
        r.statement++;
        ok = read_statement(&r);
    }
    /* A flag anywhere means that the text may not say what was read here. */
    if (r.lex.flags) {
        r.refusal = SQL_REFUSED_LEX;
        r.refused_at = r.lex.flag_at;
    }
    *reading = (struct sql_reading){ .refusal = r.refusal,
                                     .flag = (enum sql_lex_flag)r.lex.flag,
                                     .kind = r.kind,
                                     .statement = r.statement,
                                     .at = r.refusal ? r.refused_at : r.lex.token.at,
                                     .first = first.at,
                                     .first_len = first.len };
    return !r.refusal;
}

/* ---- names --------------------------------------------------------------------------------- */

static const char *const refusals[SQL_REFUSAL_COUNT][2] = {
    { "READ", "understood" },
#define REFUSAL(id, text) { #id, text },
#include "protocol/sql_refusal.def"
#undef REFUSAL
};

const char *sql_refusal_name(enum sql_refusal refusal) { return refusals[refusal][0]; }
const char *sql_refusal_text(enum sql_refusal refusal) { return refusals[refusal][1]; }
