#include "proxy/prepared.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/carry.h"
#include "proxy/heal.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/prepared_sql.h"
#include "proxy/worker.h"

#include <stdlib.h>

static struct stmt_table *table_of(const struct server *server)
{
    return &server->env->worker->stmts;
}

struct stmt_book *prepared_book(struct session *s)
{
    if (!s->book) s->book = stmt_book_new(s->client.env->shared->seed);
    return s->book;
}

static struct stmt_table *stmts_of(const struct session *s)
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

static enum take unknown(struct session *s, struct slice name, struct upstream *out)
{
    struct err err;
    err_set(&err, ERR_UNKNOWN_STMT, "prepared statement \"%.*s\" does not exist",
            (int)(name.len < 100 ? name.len : 100), name.at);
    return local_refuse(s, FRONTEND_BIND, &err, out);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* A Parse under `name`. A named statement's tail stays where it is as long as it is on the shelf;
 * the unnamed one's may be overwritten before the flush, and is copied. */
static bool send_parse(struct server *server, struct upstream *out, struct slice name,
                       struct pass tail, uint8_t flags, uint32_t tag, uint32_t serial)
{
    struct buf head = { 0 };
    buf_add_u8(&head, FRONTEND_PARSE);
    buf_add_u32(&head, (uint32_t)(4 + name.len + 1 + tail.bytes.len));
    buf_add_slice(&head, name);
    buf_add_u8(&head, 0);
    bool ok = !head.failed && txn_sent(&server->txn, FRONTEND_PARSE, flags, tag, serial);
    if (ok) {
        upstream_say(out, buf_slice(&head));
        if (tag)
            upstream_pass(out, tail);
        else
            upstream_pass_copy(out, tail);
    }
    buf_fini(&head);
    return ok;
}

static bool send_close(struct server *server, struct upstream *out, const struct stmt *stmt)
{
    char name[STMT_NAME_MAX];
    struct buf message = { 0 };
    frontend_close(&message, 'S', slice_of(name, stmt_name(stmt, name)));
    bool ok = !message.failed && txn_sent(&server->txn, FRONTEND_CLOSE, TXN_SWALLOW, 0, 0);
    if (ok) upstream_say(out, buf_slice(&message));
    buf_fini(&message);
    return ok;
}

/* Puts the statement, which was judged by the role of `generation`, on the server's shelf, by a
 * Parse. `flags`, `serial`: for whom. */
static bool shelve(struct session *s, struct upstream *out, struct stmt *stmt, uint64_t generation,
                   uint8_t flags, uint32_t serial)
{
    struct server *server = s->server;
    const struct pass tail = judge_pass_kept(s, stmt->tail, generation);
    if (tail.bytes.len == 0) return false;
    char name[STMT_NAME_MAX];
    struct stmt_copy *copy = stmt_shelf_find(&server->shelf, stmt);
    if (copy && copy->place == STMT_DOUBTFUL) {
        /* It may still be there, and a second Parse of the same name would fail. */
        if (!send_close(server, out, stmt)) return false;
        copy->place = STMT_REPLACED;
    } else if (!copy && !stmt_shelf_add(&server->shelf, stmt)) {
        return false;
    }
    pool_of(server)->stats.server_parses++;
    return send_parse(server, out, slice_of(name, stmt_name(stmt, name)), tail, flags, stmt->id,
                      serial);
}

static bool is_shelved(struct server *server, const struct stmt *stmt)
{
    struct stmt_copy *copy = stmt_shelf_find(&server->shelf, stmt);
    return copy && copy->place != STMT_DOUBTFUL;
}

bool prepared_bring(struct session *s, struct upstream *out, struct stmt *stmt, uint64_t generation)
{
    if (is_shelved(s->server, stmt)) {
        heal_lean(s->server);
        return true;
    }
    metrics_add(&s->client.env->metrics, METRIC_statements_prepared_again, 1);
    return shelve(s, out, stmt, generation, TXN_SWALLOW, 0);
}

void prepared_doubt(struct server *server, const struct stmt *stmt)
{
    struct stmt_copy *copy = stmt_shelf_find(&server->shelf, stmt);
    if (copy) copy->place = STMT_DOUBTFUL;
}

static bool bring_referred(struct session *s, struct upstream *out, const struct stmt_reference *r)
{
    return !r->stmt || prepared_bring(s, out, r->stmt, r->generation);
}

/* Before a Bind or Describe: the server must have it, and what it refers to. */
static bool bring(struct session *s, struct upstream *out, const struct stmt_entry *entry)
{
    return bring_referred(s, out, &entry->refers) &&
           prepared_bring(s, out, entry->stmt, entry->generation);
}

/* What EXECUTE or DEALLOCATE, just bound, does to the statement that it refers to. */
static void carry_referred(struct session *s, const struct stmt_reference *r)
{
    if (r->stmt && r->drops)
        prepared_doubt(s->server, r->stmt);
    else if (r->stmt)
        carry_bind(s, r->stmt->text, r->stmt->effects, 0, 0);
}

static bool bring_unnamed(struct session *s, struct upstream *out)
{
    struct stmt_book *book = s->book;
    if (!bring_referred(s, out, &book->unnamed_refers)) return false;
    if (s->server->shelf.unnamed_serial == book->unnamed_serial) {
        heal_lean(s->server);
        return true;
    }
    const struct pass tail =
        judge_pass_kept(s, buf_slice(&book->unnamed), book->unnamed_generation);
    if (tail.bytes.len == 0) return false;
    metrics_add(&s->client.env->metrics, METRIC_statements_prepared_again, 1);
    s->server->shelf.unnamed_serial = book->unnamed_serial;
    return send_parse(s->server, out, (struct slice){ "", 0 }, tail, TXN_SWALLOW, 0,
                      (uint32_t)book->unnamed_serial);
}

/* ---- Parse ---------------------------------------------------------------------------------- */

bool prepared_restore(struct session *s, struct slice name, struct upstream *out)
{
    struct stmt *stmt = NULL;
    char known[STMT_NAME_MAX];
    if (name.len == 0) {
        s->server->shelf.unnamed_serial = 0;
        return !s->book || !s->book->unnamed_serial || bring_unnamed(s, out);
    }
    /* A book has few names, and this is rare. */
    list_each(node, &s->book->used)
    {
        const struct stmt_entry *entry = list_item(node, struct stmt_entry, node);
        stmt = entry->stmt;
        if (!entry->by_sql && slice_eq(name, slice_of(known, stmt_name(stmt, known))))
            return bring(s, out, entry);
    }
    return true;
}

/* The text is read, unless it is the one before's: who sends rows one by one sends the same text.
 */
static bool keep_text(struct stmt_book *book, const struct frontend_parse *parse)
{
    const struct slice tail = slice_of(parse->text.at, parse->text.len + 1 + parse->types.len);
    if (slice_eq(buf_slice(&book->unnamed), tail)) return true;
    buf_truncate(&book->unnamed, 0);
    if (book->unnamed.cap > PREPARED_HELD_MAX / 16) buf_fini(&book->unnamed);
    buf_add_slice(&book->unnamed, tail);
    if (book->unnamed.failed) return false;
    book->unnamed_effects = carry_effects(parse->text);
    return true;
}

/* The unnamed statement is replaced; `refers` is taken over. False: no memory. */
static bool keep_unnamed(struct session *s, const struct frontend_parse *parse,
                         struct stmt_reference *refers)
{
    struct stmt_book *book = prepared_book(s);
    if (!book) return false;
    stmt_book_drop_unnamed(book, stmts_of(s));
    if (!keep_text(book, parse)) return false;
    book->unnamed_generation = judge_generation(s);
    book->unnamed_serial = ++s->client.env->worker->unnamed_serial;
    book->unnamed_refers = *refers;
    *refers = (struct stmt_reference){ 0 };
    return true;
}

static enum take parse_unnamed(struct session *s, const struct piece *p,
                               const struct frontend_parse *parse, struct stmt_reference *refers,
                               struct upstream *out)
{
    if (!keep_unnamed(s, parse, refers)) return no_memory(s);
    struct stmt_book *book = s->book;
    s->server->shelf.unnamed_serial = book->unnamed_serial;
    uint32_t serial = (uint32_t)book->unnamed_serial;
    if (!book->unnamed_refers.stmt)
        return txn_sent(&s->server->txn, p->type, 0, 0, serial) ? TAKE_SEND : no_memory(s);
    struct pass tail = judge_pass_kept(s, buf_slice(&book->unnamed), book->unnamed_generation);
    return send_parse(s->server, out, parse->name, tail, 0, 0, serial) ? TAKE_DROP : no_memory(s);
}

/* Too large to hold: it goes through as it is, and the session keeps its server. */
static enum take parse_large(struct session *s, const struct piece *p)
{
    session_pin(s, "statement too large to carry");
    s->server->stained = true;
    return txn_sent(&s->server->txn, p->type, 0, 0, 0) ? TAKE_SEND : no_memory(s);
}

/* SEND: *entry is in the book now; `refers` is taken over. Otherwise it was refused. */
static enum take keep_named(struct session *s, const struct frontend_parse *parse,
                            struct stmt_reference *refers, struct upstream *out,
                            struct stmt_entry **entry)
{
    struct stmt_book *book = prepared_book(s);
    struct err err;
    bool is_new;
    if (!book) return no_memory(s);
    if (stmt_book_find(book, parse->name)) {
        err_set(&err, ERR_DUPLICATE_STMT, "prepared statement \"%.*s\" already exists",
                (int)(parse->name.len < 100 ? parse->name.len : 100), parse->name.at);
        return local_refuse(s, FRONTEND_PARSE, &err, out);
    }
    struct stmt *stmt = stmt_intern(stmts_of(s), parse->text, parse->types, &is_new);
    if (!stmt) return no_memory(s);
    if (is_new) stmt->effects = carry_effects(parse->text);
    *entry = stmt_book_enter(book, stmts_of(s), parse->name, stmt,
                             s->client.realm->config->limits.prepared_per_client);
    if (!*entry) return no_memory(s);
    (*entry)->generation = judge_generation(s);
    (*entry)->refers = *refers;
    *refers = (struct stmt_reference){ 0 };
    return TAKE_SEND;
}

static enum take parse_named(struct session *s, const struct frontend_parse *parse,
                             struct stmt_reference *refers, struct upstream *out)
{
    struct stmt_entry *entry = NULL;
    enum take take = keep_named(s, parse, refers, out, &entry);
    if (take != TAKE_SEND || !entry) return take;
    bool ok = is_shelved(s->server, entry->stmt)
                  ? local_answer(s, LOCAL_PARSE_COMPLETE, entry->serial)
                  : shelve(s, out, entry->stmt, entry->generation, 0, entry->serial);
    return ok ? TAKE_DROP : no_memory(s);
}

enum take prepared_keep(struct session *s, const struct piece *p, struct upstream *out)
{
    struct frontend_parse parse;
    struct stmt_reference refers = { 0 };
    struct stmt_entry *entry = NULL;
    if (!frontend_read_parse(piece_body(p), &parse)) return TAKE_MALFORMED;
    enum take take = TAKE_SEND;
    if (parse.name.len)
        take = keep_named(s, &parse, &refers, out, &entry);
    else if (!keep_unnamed(s, &parse, &refers))
        take = no_memory(s);
    if (take != TAKE_SEND) return take;
    return local_answer(s, LOCAL_PARSE_COMPLETE, entry ? entry->serial : 0) ? TAKE_DROP
                                                                            : no_memory(s);
}

enum take prepared_parse(struct session *s, const struct piece *p, struct upstream *out)
{
    struct frontend_parse parse;
    if (!p->last) return parse_large(s, p);
    if (!frontend_read_parse(piece_body(p), &parse)) return TAKE_MALFORMED;
    struct buf rewritten = { 0 };
    struct stmt_reference refers = { 0 };
    enum take take = prepared_sql_parse(s, &parse, &rewritten, &refers, out);
    if (take == TAKE_SEND)
        take = parse.name.len ? parse_named(s, &parse, &refers, out)
                              : parse_unnamed(s, p, &parse, &refers, out);
    stmt_reference_drop(&refers, &s->client.env->worker->stmts);
    buf_fini(&rewritten);
    return take;
}

/* ---- Bind and Describe ---------------------------------------------------------------------- */

/* A name that is not in the client's book may still have been made by SQL, while pinned; but never
 * under a name of the kind that we give. */
static bool is_unknown(const struct session *s, const struct stmt_entry *entry, struct slice name)
{
    return !entry && (!s->pinned || prepared_is_reserved(name));
}

enum take prepared_bind(struct session *s, const struct piece *p, struct upstream *out)
{
    struct frontend_bind bind;
    struct slice body = piece_body(p);
    if (!frontend_read_bind(body, &bind)) return TAKE_MALFORMED;
    struct stmt_book *book = s->book;
    if (bind.statement.len == 0) {
        if (!s->pinned && (!book || !book->unnamed_serial)) return unknown(s, bind.statement, out);
        if (book && book->unnamed_serial && !bring_unnamed(s, out)) return no_memory(s);
        if (book && book->unnamed_effects)
            carry_bind(s, slice_str(book->unnamed.at), book->unnamed_effects, 0,
                       (uint32_t)book->unnamed_serial);
        if (book) carry_referred(s, &book->unnamed_refers);
        return txn_sent(&s->server->txn, p->type, 0, 0, 0) ? TAKE_SEND : no_memory(s);
    }
    struct stmt_entry *entry = book ? stmt_book_find(book, bind.statement) : NULL;
    if (!entry || entry->by_sql) {
        /* A pinned session may have made it by SQL. */
        if (is_unknown(s, entry, bind.statement)) return unknown(s, bind.statement, out);
        return txn_sent(&s->server->txn, p->type, 0, 0, 0) ? TAKE_SEND : no_memory(s);
    }
    char name[STMT_NAME_MAX];
    size_t name_len = stmt_name(entry->stmt, name);
    carry_bind(s, entry->stmt->text, entry->stmt->effects, entry->stmt->id, 0);
    if (!bring(s, out, entry) || !txn_sent(&s->server->txn, p->type, 0, 0, 0)) return no_memory(s);
    carry_referred(s, &entry->refers);
    struct buf head = { 0 };
    buf_add_u8(&head, FRONTEND_BIND);
    buf_add_u32(&head, (uint32_t)(p->size - 1 - bind.statement.len + name_len));
    buf_add(&head, bind.portal.at, bind.portal.len + 1);
    buf_add(&head, name, name_len + 1);
    upstream_say(out, buf_slice(&head));
    buf_fini(&head);
    upstream_pass(out, judge_pass(s, slice_after(body, bind.rest)));
    return TAKE_SENT;
}

enum take prepared_describe(struct session *s, const struct piece *p, struct upstream *out)
{
    uint8_t target;
    struct slice asked;
    if (!frontend_read_target(piece_body(p), &target, &asked)) return TAKE_MALFORMED;
    bool unnamed = target == 'S' && asked.len == 0;
    if (unnamed && !s->pinned && (!s->book || !s->book->unnamed_serial))
        return unknown(s, asked, out);
    if (unnamed && s->book && s->book->unnamed_serial && !bring_unnamed(s, out))
        return no_memory(s);
    struct stmt_entry *entry =
        target == 'S' && asked.len && s->book ? stmt_book_find(s->book, asked) : NULL;
    if (target == 'S' && asked.len && is_unknown(s, entry, asked)) return unknown(s, asked, out);
    if (entry && entry->by_sql) entry = NULL;
    if (entry && !bring(s, out, entry)) return no_memory(s);
    if (!txn_sent(&s->server->txn, p->type, 0, 0, 0)) return no_memory(s);
    if (!entry) return TAKE_SEND;
    char name[STMT_NAME_MAX];
    size_t name_len = stmt_name(entry->stmt, name);
    struct buf message = { 0 };
    buf_add_u8(&message, FRONTEND_DESCRIBE);
    buf_add_u32(&message, (uint32_t)(4 + 1 + name_len + 1));
    buf_add_u8(&message, 'S');
    buf_add(&message, name, name_len + 1);
    upstream_say(out, buf_slice(&message));
    buf_fini(&message);
    return TAKE_DROP;
}

/* ---- Close ---------------------------------------------------------------------------------- */

/* The name is the client's alone; the server keeps the statement for others. */
enum take prepared_close(struct session *s, const struct piece *p, struct upstream *out)
{
    uint8_t target;
    struct slice name;
    (void)out;
    if (!frontend_read_target(piece_body(p), &target, &name)) return TAKE_MALFORMED;
    struct stmt_entry *entry = target == 'S' && s->book ? stmt_book_find(s->book, name) : NULL;
    bool by_sql = entry && entry->by_sql;
    if (by_sql) stmt_book_remove(s->book, table_of(s->server), entry);
    if (target == 'P' || by_sql || (!entry && name.len && !is_unknown(s, entry, name)))
        return txn_sent(&s->server->txn, p->type, 0, 0, 0) ? TAKE_SEND : no_memory(s);
    if (entry) stmt_book_remove(s->book, table_of(s->server), entry);
    if (name.len == 0 && s->book) stmt_book_drop_unnamed(s->book, table_of(s->server));
    return local_answer(s, LOCAL_CLOSE_COMPLETE, 0) ? TAKE_DROP : no_memory(s);
}

enum take prepared_drop(struct session *s, const struct piece *p)
{
    uint8_t target;
    struct slice name;
    if (!frontend_read_target(piece_body(p), &target, &name)) return TAKE_MALFORMED;
    struct stmt_entry *entry = target == 'S' && s->book ? stmt_book_find(s->book, name) : NULL;
    if (entry) stmt_book_remove(s->book, stmts_of(s), entry);
    if (target == 'S' && name.len == 0 && s->book) stmt_book_drop_unnamed(s->book, stmts_of(s));
    return local_answer(s, LOCAL_CLOSE_COMPLETE, 0) ? TAKE_DROP : no_memory(s);
}

/* ---- by SQL --------------------------------------------------------------------------------- */

bool prepared_named_by(const struct piece *p, struct slice *name)
{
    struct frontend_bind bind;
    uint8_t target;
    if (p->type != FRONTEND_BIND) return frontend_read_target(piece_body(p), &target, name);
    if (!frontend_read_bind(piece_body(p), &bind)) return false;
    *name = bind.statement;
    return true;
}

bool prepared_text(struct session *s, struct slice name, struct slice *text, uint64_t **generation)
{
    struct stmt_book *book = s->book;
    if (!book) return false;
    if (name.len == 0) {
        if (!book->unnamed_serial) return false;
        *text = slice_str(book->unnamed.at);
        *generation = &book->unnamed_generation;
        return true;
    }
    struct stmt_entry *entry = stmt_book_find(book, name);
    if (!entry || (entry->by_sql && !entry->confirmed)) return false;
    *text = entry->stmt->text;
    *generation = &entry->generation;
    return true;
}

void prepared_forget_unnamed(struct session *s)
{
    if (!s->book) return;
    stmt_book_drop_unnamed(s->book, stmts_of(s));
    buf_fini(&s->book->unnamed);
}

void prepared_query(struct session *s)
{
    s->server->shelf.unnamed_serial = 0;
    prepared_forget_unnamed(s);
}

/* ---- what becomes of a Parse ---------------------------------------------------------------- */

void prepared_named(struct session *s, uint32_t serial, bool ok)
{
    struct stmt_entry *entry = s && s->book && serial ? stmt_book_serial(s->book, serial) : NULL;
    if (!entry) return;
    if (ok)
        entry->confirmed = true;
    else if (!entry->confirmed)
        stmt_book_remove(s->book, &s->client.env->worker->stmts, entry);
}

static void unnamed_failed(struct session *s, struct server *server, uint32_t serial)
{
    if ((uint32_t)server->shelf.unnamed_serial == serial) server->shelf.unnamed_serial = 0;
    if (s && s->book && (uint32_t)s->book->unnamed_serial == serial) s->book->unnamed_serial = 0;
}

void prepared_parsed(struct session *s, struct server *server, uint32_t tag, uint32_t serial,
                     bool ok)
{
    if (tag == 0) {
        if (!ok && serial) unnamed_failed(s, server, serial);
        return;
    }
    struct stmt_copy *copy = stmt_shelf_id(&server->shelf, tag);
    if (copy && ok) copy->place = STMT_THERE;
    if (copy && !ok && copy->place == STMT_SENT)
        stmt_shelf_remove(&server->shelf, table_of(server), copy);
    /* Perhaps an error before it kept the server from closing the old one as well. */
    else if (copy && !ok && copy->place == STMT_REPLACED)
        copy->place = STMT_DOUBTFUL;
    prepared_named(s, serial, ok);
}

void prepared_trim(struct server *server, struct upstream *out)
{
    uint32_t cap = pool_of(server)->settings.prepared_statements;
    struct stmt_copy *copy;
    bool closed = false;
    while ((copy = stmt_shelf_surplus(&server->shelf, cap))) {
        if (!send_close(server, out, copy->stmt)) return;
        stmt_shelf_remove(&server->shelf, table_of(server), copy);
        closed = true;
    }
    if (!closed || !txn_sent(&server->txn, FRONTEND_SYNC, TXN_SWALLOW, 0, 0)) return;
    struct buf sync = { 0 };
    frontend_sync(&sync);
    upstream_say(out, buf_slice(&sync));
    buf_fini(&sync);
}

void prepared_tag(struct server *server, struct slice tag)
{
    if (slice_is(tag, "DEALLOCATE ALL") || slice_is(tag, "DISCARD ALL"))
        stmt_shelf_doubt(&server->shelf);
    /* redshift_connector: "DDL and ROLLBACK invalidate all server-side prepared statements". */
    if (server->is_redshift && (slice_starts(tag, "ALTER") || slice_starts(tag, "CREATE") ||
                                slice_starts(tag, "DROP") || slice_starts(tag, "ROLLBACK")))
        stmt_shelf_doubt(&server->shelf);
}
