#include "proxy/route_explain.h"

#include "protocol/sql_boundary.h"
#include "protocol/sql_lex.h"
#include "protocol/units.h"
#include "proxy/route_world.h"
#include "routing/explain.h"
#include "routing/statement.h"

#include <stdlib.h>
#include <time.h>

/* Of rules that do not match, so many are shown; enough for a table that a person wrote. */
enum { ROWS_SHOWN = 1000 };

struct explaining {
    const struct route_question *q;
    struct config *config, *keeper;
    const struct route_table *table;
    struct route_world world;
    struct route_facts facts;
    struct statement statement;
};

/* ---- the facts ------------------------------------------------------------------------------- */

static enum route_explained read_facts(struct explaining *x, struct err *err)
{
    const struct route_question *q = x->q;
    uint64_t at_s = (uint64_t)time(NULL);
    if (!table_user_facts(&x->world.table, slice_str(q->user), &x->facts)) {
        err_set(err, ERR_INVALID_VALUE, "no user \"%.80s\"", q->user);
        return ROUTE_EXPLAINED_FAILED;
    }
    if (q->at && !units_date(slice_str(q->at), &at_s)) {
        err_set(err, ERR_INVALID_VALUE, "--at is a moment, as 2026-11-23T12:00:00Z");
        return ROUTE_EXPLAINED_MISUSED;
    }
    if (q->client && !address_parse(slice_str(q->client), &x->facts.client)) {
        err_set(err, ERR_INVALID_VALUE, "--client is an IP address");
        return ROUTE_EXPLAINED_MISUSED;
    }
    x->facts.database = slice_str(q->database);
    x->facts.application = slice_str(q->application);
    x->facts.query_group = slice_str(q->query_group);
    x->facts.tls = q->tls;
    x->facts.at_s = (int64_t)at_s;
    return ROUTE_EXPLAINED_TO;
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* The settings of the pool that the decision leads to. */
static struct config_pool pool_of(struct explaining *x, const struct route_decision *d)
{
    struct config_pool pool = x->config->pool;
    struct json_error error;
    struct problems problems = { 0 };
    struct json_doc *doc = d->pool.len ? json_parse(d->pool, d->pool.len, &error) : NULL;
    if (doc) config_read_pool(x->keeper, json_root(doc), &pool, &problems);
    json_free(doc);
    problems_fini(&problems);
    return pool;
}

static void add_pool(struct explaining *x, const struct route_decision *d, struct buf *out)
{
    if (d->outcome != ROUTE_TO) return;
    struct config_pool pool = pool_of(x, d);
    const char *mode = config_word_pool_mode(pool.mode);
    if (!x->q->json) {
        buf_addf(out, "servers of:   %.*s, %.*s, %.*s, %.*s (%s mode, at most %u)\n",
                 SLICE_ARG(d->clusters[0]), SLICE_ARG(d->database), SLICE_ARG(d->db_user),
                 SLICE_ARG(x->facts.role), mode, pool.size);
        return;
    }
    /* One more member, before the brace that ends the explanation. */
    const struct slice parts[] = { d->clusters[0], d->database, d->db_user, x->facts.role };
    static const char *const names[] = { "cluster", "database", "db_user", "role" };
    buf_truncate(out, out->len - 1);
    buf_add_str(out, ",\"servers\":{");
    for (size_t i = 0; i < 4; i++) {
        buf_addf(out, "\"%s\":", names[i]);
        json_quote(out, parts[i]);
        buf_add_u8(out, ',');
    }
    buf_addf(out, "\"mode\":\"%s\",\"size\":%u}}", mode, pool.size);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static enum route_explained without_table(struct explaining *x, struct buf *out)
{
    struct slice cluster = slice_str(x->config->clusters[0].name);
    struct route_decision d = { .outcome = ROUTE_TO,
                                .clusters = &cluster,
                                .cluster_count = 1,
                                .database = x->facts.database,
                                .db_user = x->facts.db_user };
    if (x->q->json)
        buf_add_str(out, "{\"outcome\":\"to\"}");
    else
        buf_add_str(out, "no routing table: every session goes to the first cluster\n");
    add_pool(x, &d, out);
    if (x->q->json) buf_add_u8(out, '\n');
    return ROUTE_EXPLAINED_TO;
}

/* A BEGIN that the data path answers without a server: see deferred.h. */
static bool waits(const struct explaining *x, const struct route_decision *d)
{
    return x->q->sql && !x->q->json && d->outcome == ROUTE_TO &&
           sql_boundary_opens(sql_boundary(slice_str(x->q->sql))) &&
           pool_of((struct explaining *)(uintptr_t)x, d).mode != CONFIG_POOL_SESSION &&
           route_needs(x->table, &x->facts, d->login_rule);
}

static enum route_explained with_table(struct explaining *x, struct buf *out)
{
    struct route_decision d;
    struct route_statement s =
        statement_facts(&x->statement, x->facts.query_group, x->facts.at_s, NULL);
    const struct route_statement *statement = x->q->sql ? &s : NULL;
    bool routed = route_decide(x->table, &x->facts, statement, &d);
    bool ok = x->q->json ? explain_json(x->table, &x->facts, statement, ROWS_SHOWN, out)
                         : explain_text(x->table, &x->facts, statement, ROWS_SHOWN, out);
    add_pool(x, &d, out);
    if (x->q->json) buf_add_u8(out, '\n');
    if (x->q->sql && !x->statement.is_read && !x->q->json)
        buf_add_str(out, "the statement was not understood to its end: tables may be missing\n");
    if (waits(x, &d))
        buf_add_str(out,
                    "BEGIN alone waits: the transaction's first statement decides, not this\n");
    if (!ok) out->failed = true;
    return routed ? ROUTE_EXPLAINED_TO : ROUTE_EXPLAINED_NOWHERE;
}

static enum route_explained explain(struct explaining *x, struct buf *out, struct err *err)
{
    enum route_explained result = read_facts(x, err);
    if (result != ROUTE_EXPLAINED_TO) return result;
    const struct config_role *role = config_role(x->config, x->facts.role);
    if (x->q->sql && !statement_read(&x->statement, slice_str(x->q->sql),
                                     slice_str(role ? role->search_path : NULL)))
        out->failed = true;
    else
        result = x->table ? with_table(x, out) : without_table(x, out);
    if (!out->failed) return result;
    err_set(err, ERR_OUT_OF_MEMORY, "");
    return ROUTE_EXPLAINED_FAILED;
}

enum route_explained route_explain(struct config *config, const struct route_table *table,
                                   const struct route_question *q, struct buf *out, struct err *err)
{
    struct explaining x = {
        .q = q, .config = config, .table = table, .keeper = config_keeper_new()
    };
    enum route_explained result = ROUTE_EXPLAINED_FAILED;
    if (route_world_init(&x.world, config) && x.keeper)
        result = explain(&x, out, err);
    else
        err_set(err, ERR_OUT_OF_MEMORY, "");
    statement_fini(&x.statement);
    route_world_fini(&x.world);
    config_unref(x.keeper);
    return result;
}

/* ---- the console's question ------------------------------------------------------------------ */

enum { WORDS_TEXT_BYTES = 8192 };

/* What follows a word: a name, a number or a literal, with its NUL in `texts`. */
static bool read_value(struct sql_lex *lex, struct buf *texts, const char **at)
{
    char text[WORDS_TEXT_BYTES];
    size_t len = 0;
    struct slice token = sql_token_text(lex, lex->token);
    bool ok = true;
    switch (lex->token.kind) {
    case SQL_WORD:
    case SQL_NUMBER:
        ok = token.len < sizeof text;
        if (ok) memcpy(text, token.at, len = token.len);
        break;
    case SQL_QUOTED: ok = (len = sql_token_name(token, text, sizeof text - 1)) > 0; break;
    case SQL_DOLLAR: ok = sql_token_dollar(token, text, sizeof text - 1, &len); break;
    case SQL_STRING: ok = sql_token_literal(token, text, sizeof text - 1, &len); break;
    default: ok = false;
    }
    ok = ok && !memchr(text, 0, len);
    if (!ok) return false;
    text[len] = '\0';
    *at = texts->at + texts->len;
    buf_add(texts, text, len + 1);
    sql_lex_next(lex);
    return !texts->failed;
}

bool route_question_read(struct route_question *q, struct slice words, struct buf *texts,
                         struct err *err)
{
    struct sql_lex lex;
    const char *format = NULL;
    const struct {
        const char *word;
        const char **at; /* NULL: TLS, which has no value */
    } known[] = { { "user", &q->user },
                  { "database", &q->database },
                  { "client", &q->client },
                  { "application", &q->application },
                  { "query_group", &q->query_group },
                  { "at", &q->at },
                  { "for", &q->sql },
                  { "format", &format },
                  { "tls", NULL } };
    *q = (struct route_question){ 0 };
    /* Never moves again, since all that goes into it comes out of `words`. */
    if (!buf_reserve(texts, (uint32_t)words.len + 16)) return err_set(err, ERR_OUT_OF_MEMORY, "");
    for (sql_lex_init(&lex, words); lex.token.kind != SQL_END;) {
        struct slice word = sql_token_text(&lex, lex.token);
        size_t i = 0;
        while (i < sizeof known / sizeof *known && !slice_is_nocase(word, known[i].word)) i++;
        if (i == sizeof known / sizeof *known)
            return err_set(err, ERR_SYNTAX, "EXPLAIN ROUTE does not know \"%.*s\"",
                           (int)(word.len < 40 ? word.len : 40), word.at);
        sql_lex_next(&lex);
        if (!known[i].at)
            q->tls = true;
        else if (!read_value(&lex, texts, known[i].at))
            return err_set(err, ERR_SYNTAX, "EXPLAIN ROUTE: %s needs a name or a 'text'",
                           known[i].word);
    }
    if (format && strcasecmp(format, "json") != 0)
        return err_set(err, ERR_SYNTAX, "EXPLAIN ROUTE: the only FORMAT is JSON");
    q->json = format != NULL;
    if (!q->user || !q->database)
        return err_set(err, ERR_SYNTAX, "EXPLAIN ROUTE needs USER and DATABASE");
    return true;
}
