/* stmt: prepared statements, and who has which.
 *
 * Names are the clients' business and collide between them; what is shared is the
 * text. So:
 *
 *   client's book:  name -> stmt        (its own names, any number of clients)
 *   stmt:           text and types, one for all clients of a worker that sent the same
 *   server's shelf: stmt -> there, under a name of ours ("sluice_42"), oldest use first out
 *
 * A Bind finds its stmt in the client's book and, through the shelf, the name that
 * the server knows it by; a stmt that is not on the shelf is parsed there first.
 * So a Bind can never reach another client's statement.
 *
 * The unnamed statement is kept apart: it is replaced with every Parse, and only
 * needed again when a client binds it on another server, after a Sync.
 *
 * Books and shelves change when the server has answered, not when something was
 * sent: see stmt_confirm and stmt_withdraw. Thread: one worker's.
 */
#ifndef SLUICE_PROTOCOL_STMT_H
#define SLUICE_PROTOCOL_STMT_H

#include "protocol/buf.h"
#include "protocol/list.h"
#include "protocol/map.h"

enum { STMT_NAME_MAX = 32 };

/* ---- statements ----------------------------------------------------------------------------- */

struct stmt {
    uint32_t id; /* never used again while the worker lives */
    uint32_t refs;
    struct slice tail; /* of the Parse message: text NUL, count and types; owned */
    struct slice text; /* inside tail */
    uint32_t effects;  /* the caller's reading of the text */
};

struct stmt_table {
    struct map by_tail;
    uint32_t last_id;
};

void stmt_table_init(struct stmt_table *t, struct map_seed seed);
void stmt_table_fini(struct stmt_table *t);

/* The statement with this text and these types, one reference for the caller; made when it is new.
 * *is_new tells (its `effects` are then 0). NULL when memory ran out. */
struct stmt *stmt_intern(struct stmt_table *t, struct slice text, struct slice types, bool *is_new);
void stmt_unref(struct stmt_table *t, struct stmt *s);
static inline struct stmt *stmt_ref(struct stmt *s)
{
    s->refs++;
    return s;
}

/* The name that servers know it by; returns its length. */
size_t stmt_name(const struct stmt *s, char name[STMT_NAME_MAX]);

/* ---- a client's book ------------------------------------------------------------------------ */

/* What a text that is EXECUTE or DEALLOCATE (then `drops`) of a statement refers to, by the name
 * that servers know it by. */
struct stmt_reference {
    struct stmt *stmt;   /* a reference; NULL: of none */
    uint64_t generation; /* as its entry's */
    bool drops;
};

struct stmt_entry {
    struct list node; /* least recently used first */
    struct stmt *stmt;
    struct stmt_reference refers;
    uint32_t serial; /* identifies this entry while its Parse is under way */
    bool confirmed;
    bool by_sql;         /* made by PREPARE on the server that the session is pinned to */
    uint64_t generation; /* the caller's: of the role that judged it */
    uint32_t name_len;
    char name[];
};

struct stmt_book {
    struct map by_name;
    struct list used;
    uint32_t last_serial;
    /* The unnamed statement: the whole tail of its Parse, as long as it is one. */
    struct buf unnamed;
    uint64_t unnamed_serial; /* 0: there is none */
    uint64_t unnamed_generation;
    uint32_t unnamed_effects;
    struct stmt_reference unnamed_refers;
};

/* NULL when memory ran out. */
struct stmt_book *stmt_book_new(struct map_seed seed);
void stmt_book_free(struct stmt_book *b, struct stmt_table *t); /* NULL is fine */

/* Enters a name, not yet confirmed; an entry of that name is forgotten. Takes over the reference to
 * `s`, also on failure. Beyond `cap` names the least recently used one is forgotten. NULL when
 * memory ran out. */
struct stmt_entry *stmt_book_enter(struct stmt_book *b, struct stmt_table *t, struct slice name,
                                   struct stmt *s, uint32_t cap);

/* The entry, or NULL; it becomes the most recently used. */
struct stmt_entry *stmt_book_find(struct stmt_book *b, struct slice name);

/* By the serial that it had when its Parse was sent; NULL when it is gone since. */
struct stmt_entry *stmt_book_serial(struct stmt_book *b, uint32_t serial);

void stmt_book_remove(struct stmt_book *b, struct stmt_table *t, struct stmt_entry *e);
void stmt_book_clear(struct stmt_book *b, struct stmt_table *t);
/* There is no unnamed statement any more. */
void stmt_book_drop_unnamed(struct stmt_book *b, struct stmt_table *t);
void stmt_reference_drop(struct stmt_reference *r, struct stmt_table *t);

/* ---- a server's shelf ----------------------------------------------------------------------- */

enum stmt_place {
    STMT_SENT, /* Parse is under way */
    STMT_THERE,
    STMT_DOUBTFUL, /* perhaps: something happened that may have swept it away */
    STMT_REPLACED, /* a doubtful one was closed and sent again, not answered yet */
};

struct stmt_copy {
    struct list node; /* least recently used first */
    struct stmt *stmt;
    uint8_t place;
};

struct stmt_shelf {
    struct map by_id;
    struct list used;
    uint64_t unnamed_serial; /* of whose unnamed statement is there; 0: nobody's */
};

void stmt_shelf_init(struct stmt_shelf *shelf, struct map_seed seed);
void stmt_shelf_fini(struct stmt_shelf *shelf, struct stmt_table *t);

/* The copy of `s`, or NULL; it becomes the most recently used. */
struct stmt_copy *stmt_shelf_find(struct stmt_shelf *shelf, const struct stmt *s);
struct stmt_copy *stmt_shelf_id(struct stmt_shelf *shelf, uint32_t id);

/* Adds a copy, SENT; takes a reference of its own. NULL when memory ran out. */
struct stmt_copy *stmt_shelf_add(struct stmt_shelf *shelf, struct stmt *s);
void stmt_shelf_remove(struct stmt_shelf *shelf, struct stmt_table *t, struct stmt_copy *c);

/* Nothing is there any more. */
void stmt_shelf_clear(struct stmt_shelf *shelf, struct stmt_table *t);

/* The least recently used copy when there are more than `cap`; else NULL. */
struct stmt_copy *stmt_shelf_surplus(struct stmt_shelf *shelf, uint32_t cap);

/* What was there may not be there any more (DDL and ROLLBACK on Redshift). */
void stmt_shelf_doubt(struct stmt_shelf *shelf);

#endif
