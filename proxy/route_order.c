#include "proxy/route_order.h"

#include "protocol/sql_lex.h"
#include "proxy/route_change.h"

#include <stdlib.h>

enum { PATIENCE_MS = 20 * 1000 };

struct job {
    uv_work_t work;
    struct route_orders *all;
    struct control_order *order;
    struct route_change change;
    struct buf document;
    bool ok;
};

static void work(uv_work_t *work)
{
    struct job *j = work->data;
    j->ok = route_change_run(&j->change);
}

/* The error in the first place; notes about what did no harm behind it. */
static void explain(const struct job *j, struct err *err)
{
    struct slice said = buf_slice(&j->change.said), line = said;
    const char *end = NULL;
    for (struct slice left = said; left.len; left = slice_after(left, line.len + 1)) {
        end = memchr(left.at, '\n', left.len);
        line = slice_of(left.at, end ? (size_t)(end - left.at) : left.len);
        if (memmem(line.at, line.len, ": error: ", 9)) break;
        if (!end) break;
    }
    err_set(err, ERR_INVALID_VALUE, "%.*s", (int)(line.len < 400 ? line.len : 400),
            line.len ? line.at : "out of memory");
    if (line.len + 1 < said.len)
        err_detail(err, "%.*s", (int)(said.len < 400 ? said.len : 400), said.at);
    err_hint(err, "the table in force stays");
}

static void add_past(struct rows *r, const struct dynamo_active *h)
{
    rows_number(r, h->generation);
    const char *const cells[] = { h->time, h->action, h->author, h->hash, h->note };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) rows_text(r, slice_str(cells[i]));
}

static void answer(struct job *j)
{
    struct control_order *o = j->order;
    struct slice result = buf_slice(&j->change.result);
    o->ok = j->ok;
    if (!j->ok) explain(j, &o->err);
    for (uint32_t i = 0; i < j->change.past_count; i++) add_past(&o->rows, &j->change.past[i]);
    if (j->ok && result.len) rows_text(&o->rows, slice_of(result.at, result.len - 1));
    route_change_fini(&j->change);
    buf_fini(&j->document);
    free(j);
    control_order_answer(o);
}

static void on_done(uv_work_t *work, int status)
{
    struct job *j = work->data;
    j->all->busy = false;
    j->ok &= status == 0;
    answer(j);
}

/* The document: one literal. */
static bool read_document(struct slice words, struct buf *document, struct err *err)
{
    struct sql_lex lex;
    sql_lex_init(&lex, words);
    struct slice token = sql_token_text(&lex, lex.token);
    size_t len = 0;
    bool ok = buf_reserve(document, (uint32_t)token.len + 1);
    if (ok && lex.token.kind == SQL_STRING)
        ok = sql_token_literal(token, document->at, token.len, &len);
    else if (ok && lex.token.kind == SQL_DOLLAR)
        ok = sql_token_dollar(token, document->at, token.len, &len);
    else
        ok = false;
    document->len = (uint32_t)len;
    sql_lex_next(&lex);
    if (ok && lex.token.kind == SQL_END && !(lex.flags & SQL_LEX_DOUBTFUL)) return true;
    err_set(err, ERR_SYNTAX, "ROUTE PUBLISH takes the document as one literal");
    err_hint(err, "ROUTE PUBLISH $table$ { \"rules\": [ ... ] } $table$; larger ones by "
                  "`sluice route publish FILE`");
    return false;
}

static bool read_order(struct job *j, struct control_order *o)
{
    struct route_change *c = &j->change;
    switch (o->show) {
    case ADMIN_ROUTE_PUBLISH:
        c->kind = ROUTE_CHANGE_PUBLISH;
        if (!read_document(buf_slice(&o->words), &j->document, &o->err)) return false;
        c->document = buf_slice(&j->document);
        c->note = "by the console";
        return true;
    case ADMIN_ROUTE_ACTIVATE: c->kind = ROUTE_CHANGE_ACTIVATE; return true;
    case ADMIN_ROUTE_ROLLBACK:
        c->kind = ROUTE_CHANGE_ROLLBACK;
        buf_add_u8(&o->words, 0);
        if (o->words.len > 1) c->generation = o->words.at;
        return true;
    default: c->kind = ROUTE_CHANGE_HISTORY; return true;
    }
}

void route_order_take(struct route_orders *all, uv_loop_t *loop, struct config *config,
                      struct control_order *o)
{
    struct problems problems = { 0 };
    struct job *j = calloc(1, sizeof *j);
    if (!j) {
        err_set(&o->err, ERR_OUT_OF_MEMORY, "");
        control_order_answer(o);
        return;
    }
    j->order = o;
    j->all = all;
    j->work.data = j;
    j->change =
        (struct route_change){ .author = o->who, .name = "document", .patience_ms = PATIENCE_MS };
    bool ok = !all->busy;
    if (!ok) buf_add_str(&j->change.said, "another change is under way: try again\n");
    if (ok && !read_order(j, o)) {
        buf_fini(&j->document);
        free(j);
        control_order_answer(o);
        return;
    }
    if (ok) j->change.config = config_again(config, &problems);
    problems_fini(&problems);
    ok = ok && j->change.config;
    if (ok) all->busy = uv_queue_work(loop, &j->work, work, on_done) == 0;
    if (!ok || !all->busy) answer(j);
}
