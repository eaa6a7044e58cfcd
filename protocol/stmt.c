#include "protocol/stmt.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- statements ----------------------------------------------------------------------------- */

void stmt_table_init(struct stmt_table *t, struct map_seed seed)
{
    *t = (struct stmt_table){ 0 };
    map_init(&t->by_tail, seed);
}

static void stmt_free(struct stmt *s)
{
    free((char *)(uintptr_t)s->tail.at);
    free(s);
}

void stmt_table_fini(struct stmt_table *t)
{
    uint32_t at = 0;
    struct stmt *s;
    while ((s = map_next(&t->by_tail, &at))) stmt_free(s);
    map_fini(&t->by_tail);
}

static struct stmt *stmt_new(struct slice tail, size_t text_len)
{
    struct stmt *s = calloc(1, sizeof *s);
    char *copy = malloc(tail.len);
    if (!s || !copy) {
        free(s);
        free(copy);
        return NULL;
    }
    memcpy(copy, tail.at, tail.len);
    s->tail = slice_of(copy, tail.len);
    s->text = slice_of(copy, text_len);
    return s;
}

struct stmt *stmt_intern(struct stmt_table *t, struct slice text, struct slice types, bool *is_new)
{
    /* In the Parse message the types follow the text's NUL: the tail is one run of bytes. */
    struct slice tail = slice_of(text.at, text.len + 1 + types.len);
    struct stmt *s = map_get(&t->by_tail, tail);
    *is_new = s == NULL;
    if (!s) {
        s = stmt_new(tail, text.len);
        if (!s) return NULL;
        s->id = ++t->last_id;
        if (!map_put(&t->by_tail, s->tail, s)) {
            stmt_free(s);
            return NULL;
        }
    }
    s->refs++;
    return s;
}

void stmt_unref(struct stmt_table *t, struct stmt *s)
{
    if (--s->refs) return;
    map_remove(&t->by_tail, s->tail);
    stmt_free(s);
}

size_t stmt_name(const struct stmt *s, char name[STMT_NAME_MAX])
{
    return (size_t)snprintf(name, STMT_NAME_MAX, "sluice_%u", s->id);
}

/* ---- a client's book ------------------------------------------------------------------------ */

struct stmt_book *stmt_book_new(struct map_seed seed)
{
    struct stmt_book *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    map_init(&b->by_name, seed);
    list_init(&b->used);
    return b;
}

void stmt_book_clear(struct stmt_book *b, struct stmt_table *t)
{
    list_each(node, &b->used) stmt_book_remove(b, t, list_item(node, struct stmt_entry, node));
    stmt_book_drop_unnamed(b, t);
    buf_fini(&b->unnamed);
}

void stmt_reference_drop(struct stmt_reference *r, struct stmt_table *t)
{
    if (r->stmt) stmt_unref(t, r->stmt);
    *r = (struct stmt_reference){ 0 };
}

void stmt_book_drop_unnamed(struct stmt_book *b, struct stmt_table *t)
{
    b->unnamed_serial = 0;
    stmt_reference_drop(&b->unnamed_refers, t);
}

void stmt_book_free(struct stmt_book *b, struct stmt_table *t)
{
    if (!b) return;
    stmt_book_clear(b, t);
    map_fini(&b->by_name);
    free(b);
}

static struct slice entry_name(const struct stmt_entry *e)
{
    return slice_of(e->name, e->name_len);
}

void stmt_book_remove(struct stmt_book *b, struct stmt_table *t, struct stmt_entry *e)
{
    map_remove(&b->by_name, entry_name(e));
    list_remove(&e->node);
    stmt_unref(t, e->stmt);
    stmt_reference_drop(&e->refers, t);
    free(e);
}

struct stmt_entry *stmt_book_enter(struct stmt_book *b, struct stmt_table *t, struct slice name,
                                   struct stmt *s, uint32_t cap)
{
    struct stmt_entry *e = malloc(sizeof *e + name.len);
    if (!e) {
        stmt_unref(t, s);
        return NULL;
    }
    *e = (struct stmt_entry){ .stmt = s,
                              .serial = ++b->last_serial,
                              .name_len = (uint32_t)name.len };
    memcpy(e->name, name.at, name.len);
    struct stmt_entry *before = map_get(&b->by_name, name);
    if (before) stmt_book_remove(b, t, before);
    if (!map_put(&b->by_name, entry_name(e), e)) {
        stmt_unref(t, s);
        free(e);
        return NULL;
    }
    list_push_back(&b->used, &e->node);
    while (b->by_name.count > cap && b->used.next != &e->node)
        stmt_book_remove(b, t, list_item(b->used.next, struct stmt_entry, node));
    return e;
}

struct stmt_entry *stmt_book_find(struct stmt_book *b, struct slice name)
{
    struct stmt_entry *e = map_get(&b->by_name, name);
    if (!e) return NULL;
    list_remove(&e->node);
    list_push_back(&b->used, &e->node);
    return e;
}

struct stmt_entry *stmt_book_serial(struct stmt_book *b, uint32_t serial)
{
    /* Those whose Parse is under way are among the last used. */
    for (struct list *node = b->used.prev; node != &b->used; node = node->prev) {
        struct stmt_entry *e = list_item(node, struct stmt_entry, node);
        if (e->serial == serial) return e;
    }
    return NULL;
}

/* ---- a server's shelf ----------------------------------------------------------------------- */

void stmt_shelf_init(struct stmt_shelf *shelf, struct map_seed seed)
{
    *shelf = (struct stmt_shelf){ 0 };
    map_init(&shelf->by_id, seed);
    list_init(&shelf->used);
}

static struct slice id_key(const struct stmt *s) { return slice_of(&s->id, sizeof s->id); }

void stmt_shelf_remove(struct stmt_shelf *shelf, struct stmt_table *t, struct stmt_copy *c)
{
    map_remove(&shelf->by_id, id_key(c->stmt));
    list_remove(&c->node);
    stmt_unref(t, c->stmt);
    free(c);
}

void stmt_shelf_clear(struct stmt_shelf *shelf, struct stmt_table *t)
{
    list_each(node, &shelf->used)
        stmt_shelf_remove(shelf, t, list_item(node, struct stmt_copy, node));
    shelf->unnamed_serial = 0;
}

void stmt_shelf_fini(struct stmt_shelf *shelf, struct stmt_table *t)
{
    if (!shelf->used.next) return;
    stmt_shelf_clear(shelf, t);
    map_fini(&shelf->by_id);
}

struct stmt_copy *stmt_shelf_id(struct stmt_shelf *shelf, uint32_t id)
{
    return map_get(&shelf->by_id, slice_of(&id, sizeof id));
}

struct stmt_copy *stmt_shelf_find(struct stmt_shelf *shelf, const struct stmt *s)
{
    struct stmt_copy *c = map_get(&shelf->by_id, id_key(s));
    if (!c) return NULL;
    list_remove(&c->node);
    list_push_back(&shelf->used, &c->node);
    return c;
}

struct stmt_copy *stmt_shelf_add(struct stmt_shelf *shelf, struct stmt *s)
{
    struct stmt_copy *c = malloc(sizeof *c);
    if (!c) return NULL;
    *c = (struct stmt_copy){ .stmt = s, .place = STMT_SENT };
    if (!map_put(&shelf->by_id, id_key(s), c)) {
        free(c);
        return NULL;
    }
    s->refs++;
    list_push_back(&shelf->used, &c->node);
    return c;
}

struct stmt_copy *stmt_shelf_surplus(struct stmt_shelf *shelf, uint32_t cap)
{
    if (shelf->by_id.count <= cap) return NULL;
    return list_item(shelf->used.next, struct stmt_copy, node);
}

void stmt_shelf_doubt(struct stmt_shelf *shelf)
{
    list_each(node, &shelf->used)
    {
        struct stmt_copy *c = list_item(node, struct stmt_copy, node);
        if (c->place == STMT_THERE) c->place = STMT_DOUBTFUL;
    }
    shelf->unnamed_serial = 0;
}
