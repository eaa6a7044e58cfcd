#include "proxy/prepared_sql.h"

#include "protocol/scratch.h"
#include "protocol/sql_lex.h"
#include "proxy/carry.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/prepared.h"
#include "proxy/worker.h"

static struct stmt_table *table_of(const struct session *s)
{
    return &s->client.env->worker->stmts;
}

static enum take no_memory(struct session *s)
{
    struct err err;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    client_refuse(&s->client, &err);
    return TAKE_STOP;
}

bool prepared_is_reserved(struct slice name) { return slice_starts(name, "sluice_"); }

/* ---- the client's book ---------------------------------------------------------------------- */

/* PREPARE again, alone: a text of its own, which can be judged again without what was around it. */
static struct stmt *intern_prepare(struct session *s, const struct sql_act *act)
{
    static const char head[] = "PREPARE ";
    struct buf text = { 0 };
    bool is_new;
    struct slice rest = slice_of(act->name.at, (size_t)(act->value.at - act->name.at));
    rest.len += act->value.len;
    buf_add_str(&text, head);
    buf_add_slice(&text, rest);
    buf_add_u8(&text, 0);
    struct stmt *stmt = text.failed ? NULL
                                    : stmt_intern(table_of(s), slice_of(text.at, text.len - 1),
                                                  slice_of(text.at + text.len, 0), &is_new);
    buf_fini(&text);
    return stmt;
}

void prepared_by_sql(struct session *s, struct slice name, const struct sql_act *act)
{
    struct stmt_book *book = prepared_book(s);
    if (!book || stmt_book_find(book, name)) return;
    struct stmt *stmt = intern_prepare(s, act);
    struct stmt_entry *entry =
        stmt ? stmt_book_enter(book, table_of(s), name, stmt,
                               s->client.realm->config->limits.prepared_per_client)
             : NULL;
    if (!entry) return;
    entry->by_sql = true;
    entry->confirmed = !s->restricted;
    entry->generation = judge_generation(s);
    s->preparing = s->restricted;
}

void prepared_settle(struct session *s, bool ok)
{
    if (!s->book) return;
    list_each(node, &s->book->used)
    {
        struct stmt_entry *entry = list_item(node, struct stmt_entry, node);
        if (!entry->by_sql || entry->confirmed) continue;
        if (ok)
            entry->confirmed = true;
        else
            stmt_book_remove(s->book, &s->client.env->worker->stmts, entry);
    }
}

bool prepared_deallocate(struct session *s, struct slice name)
{
    struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    if (!entry) return false;
    bool ours = !entry->by_sql;
    stmt_book_remove(s->book, table_of(s), entry);
    return ours;
}

void prepared_forget_all(struct session *s)
{
    if (s->book) stmt_book_clear(s->book, &s->client.env->worker->stmts);
}

void prepared_swept(struct session *s)
{
    prepared_forget_all(s);
    stmt_shelf_doubt(&s->server->shelf);
}

/* ---- the text ------------------------------------------------------------------------------- */

/* A text in which names of the client stand where the server's must, and the statements they are
 * of.
 */
struct translation {
    uint32_t count;
    struct slice names[SQL_ACTS_MAX]; /* in the text, in their order */
    struct stmt_reference refers[SQL_ACTS_MAX];
    bool unknown; /* it names a statement that the client does not have: */
    char name[SQL_NAME_BYTES + 1];
};

static void translation_fini(struct session *s, struct translation *t)
{
    for (uint32_t i = 0; i < t->count; i++) stmt_reference_drop(&t->refers[i], table_of(s));
}

static void translate_name(struct session *s, const struct sql_act *act, struct translation *t)
{
    size_t n = sql_token_name(act->name, t->name, sizeof t->name - 1);
    struct slice name = slice_of(t->name, n);
    struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    bool drops = act->kind == SQL_ACT_DEALLOCATE;
    t->name[n] = 0;
    if (entry && entry->by_sql) return;
    if (!entry) {
        /* A pinned session may have made it where we could not see it. */
        t->unknown |= prepared_is_reserved(name) || (!drops && !s->pinned);
        return;
    }
    t->names[t->count] = act->name;
    t->refers[t->count++] =
        (struct stmt_reference){ stmt_ref(entry->stmt), entry->generation, drops };
    if (drops) stmt_book_remove(s->book, table_of(s), entry);
}

static void translate(struct session *s, const struct sql_effects *e, struct translation *t)
{
    bool makes = false;
    for (uint32_t i = 0; i < e->act_count && !t->unknown; i++) {
        makes |= e->acts[i].kind == SQL_ACT_PREPARE;
        if (e->acts[i].kind == SQL_ACT_EXECUTE || e->acts[i].kind == SQL_ACT_DEALLOCATE)
            translate_name(s, &e->acts[i], t);
        /* What the text itself prepares is not in the book yet. */
        if (makes && !prepared_is_reserved(slice_str(t->name))) t->unknown = false;
    }
}

static enum take refuse_unknown(struct session *s, uint8_t type, const struct translation *t,
                                struct upstream *out)
{
    struct err err;
    err_set(&err, ERR_UNKNOWN_STMT, "prepared statement \"%s\" does not exist", t->name);
    return local_refuse(s, type, &err, out);
}

/* The text's pieces between the names: the `i`th, up to the name or the end. */
static struct slice piece_of(const struct translation *t, uint32_t i, struct slice text)
{
    const char *from = i ? t->names[i - 1].at + t->names[i - 1].len : text.at;
    const char *to = i < t->count ? t->names[i].at : text.at + text.len;
    return slice_of(from, (size_t)(to - from));
}

static struct slice known_name(const struct translation *t, uint32_t i, char name[STMT_NAME_MAX])
{
    return slice_of(name, stmt_name(t->refers[i].stmt, name));
}

/* ---- Query ---------------------------------------------------------------------------------- */

static bool send_sync(struct session *s, struct upstream *out)
{
    struct buf sync = { 0 };
    frontend_sync(&sync);
    bool ok = !sync.failed && txn_sent(&s->server->txn, FRONTEND_SYNC, TXN_SWALLOW, 0, 0);
    if (ok) upstream_say(out, buf_slice(&sync));
    buf_fini(&sync);
    return ok;
}

/* The statements that it names, before it. Redshift wants no Query between an extended message and
 * its Sync: what is brought gets its own. */
static bool bring_all(struct session *s, const struct translation *t, struct upstream *out)
{
    struct txn *txn = &s->server->txn;
    bool was_open = txn->open_batch;
    for (uint32_t i = 0; i < t->count; i++)
        if (!prepared_bring(s, out, t->refers[i].stmt, t->refers[i].generation)) return false;
    /* cppcheck-suppress incorrectLogicOperator ; bringing one opens a batch */
    return was_open || !txn->open_batch || send_sync(s, out);
}

/* `text` has its NUL behind it. */
static bool send_query(struct session *s, const struct translation *t, struct slice text,
                       struct upstream *out)
{
    char name[STMT_NAME_MAX];
    struct buf head = { 0 };
    size_t size = 4 + text.len + 1;
    text.len++;
    for (uint32_t i = 0; i < t->count; i++) size += known_name(t, i, name).len - t->names[i].len;
    buf_add_u8(&head, FRONTEND_QUERY);
    buf_add_u32(&head, (uint32_t)size);
    bool ok =
        bring_all(s, t, out) && !head.failed && txn_sent(&s->server->txn, FRONTEND_QUERY, 0, 0, 0);
    if (ok) upstream_say(out, buf_slice(&head));
    buf_fini(&head);
    for (uint32_t i = 0; i <= t->count && ok; i++) {
        upstream_pass(out, judge_pass(s, piece_of(t, i, text)));
        if (i < t->count) upstream_say(out, known_name(t, i, name));
    }
    for (uint32_t i = 0; i < t->count && ok; i++)
        if (t->refers[i].drops) prepared_doubt(s->server, t->refers[i].stmt);
    return ok;
}

enum take prepared_sql_query(struct session *s, const struct sql_effects *e, struct slice text,
                             struct upstream *out)
{
    struct translation t = { 0 };
    enum take take = TAKE_SEND;
    translate(s, e, &t);
    if (t.unknown)
        take = refuse_unknown(s, FRONTEND_QUERY, &t, out);
    else if (t.count)
        take = send_query(s, &t, text, out) ? TAKE_SENT : no_memory(s);
    for (uint32_t i = 0; i < t.count && take == TAKE_SENT; i++)
        if (!t.refers[i].drops)
            carry_bind(s, t.refers[i].stmt->text, t.refers[i].stmt->effects, 0, 0);
    if (take == TAKE_SENT) prepared_query(s);
    translation_fini(s, &t);
    return take;
}

/* ---- Parse ---------------------------------------------------------------------------------- */

/* EXECUTE, EXPLAIN, DEALLOCATE or a comment before them: most texts begin with another letter. */
static bool may_name_a_statement(struct slice text)
{
    while (text.len && (*text.at == ' ' || (*text.at >= '\t' && *text.at <= '\r')))
        text = slice_after(text, 1);
    switch (text.len ? *text.at : 0) {
    case 'e':
    case 'E':
    case 'd':
    case 'D':
    case '-':
    case '/': return true;
    default: return false;
    }
}

static bool rewrite(const struct translation *t, struct frontend_parse *parse, struct buf *to)
{
    char name[STMT_NAME_MAX];
    for (uint32_t i = 0; i <= t->count; i++) {
        buf_add_slice(to, piece_of(t, i, parse->text));
        if (i < t->count) buf_add_slice(to, known_name(t, i, name));
    }
    uint32_t len = to->len;
    buf_add_u8(to, 0);
    buf_add_slice(to, parse->types);
    if (to->failed) return false;
    parse->text = slice_of(to->at, len);
    parse->types = slice_of(to->at + len + 1, parse->types.len);
    return true;
}

static enum take translate_parse(struct session *s, struct frontend_parse *parse,
                                 struct buf *rewritten, struct stmt_reference *refers,
                                 struct upstream *out)
{
    struct translation t = { 0 };
    SCRATCH struct sql_effects e;
    enum take take = TAKE_SEND;
    sql_effects(parse->text, false, &e);
    /* (More than one statement is a syntax error in a Parse.) */
    if (!(e.effects & SQL_EFFECT_PREPARED) || e.statements != 1 || e.act_count != 1)
        return TAKE_SEND;
    translate(s, &e, &t);
    if (t.unknown) {
        take = refuse_unknown(s, FRONTEND_PARSE, &t, out);
    } else if (t.count && rewrite(&t, parse, rewritten)) {
        *refers = t.refers[0];
        t.count = 0;
    } else if (t.count) {
        take = no_memory(s);
    }
    translation_fini(s, &t);
    return take;
}

enum take prepared_sql_parse(struct session *s, struct frontend_parse *parse, struct buf *rewritten,
                             struct stmt_reference *refers, struct upstream *out)
{
    if (!may_name_a_statement(parse->text)) return TAKE_SEND;
    return translate_parse(s, parse, rewritten, refers, out);
}
