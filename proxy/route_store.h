/* route_store: a place where routing tables are kept: a file, DynamoDB or Redis.
 *
 *      route_store_look     what is in force there, and by whom
 *      route_store_fetch    a document that look, candidate or history named
 *      route_store_put      another one, if nothing has changed there since the look
 *      route_store_candidate, _history
 *
 * One operation at a time; each ends with one `done`, possibly before the call returns. What was
 * asked for is then in the store's members. For the proxies, which look and fetch, and for the
 * commands of administrators, which do the rest. Decides nothing: what is to be believed says
 * routing/cache, what is valid routing/table.
 *
 *      file      the document itself; NAME.kept/ holds the earlier ones and the history
 *      dynamodb  see routing/dynamo.h; or the loader's table, which can only be read
 *      redis     the signed head, the documents by hash, the history as a list
 *
 * Thread: the loop's.
 */
#ifndef SLUICE_PROXY_ROUTE_STORE_H
#define SLUICE_PROXY_ROUTE_STORE_H

#include "proxy/io/redis.h"
#include "proxy/ops/config.h"
#include "routing/cache.h"
#include "routing/dynamo.h"

struct http;
struct route_store;

enum {
    ROUTE_STORE_HISTORY = 100, /* that are looked at */
    ROUTE_STORE_KEYS_MAX = 4,
};

/* Who may write tables: the scope and the keys, with what they point to. */
struct route_trust {
    struct cache_trust trust;
    struct slice keys[ROUTE_STORE_KEYS_MAX];
    struct buf text; /* the secret */
};

/* From routes.signing_key (several keys: one a line, the first one signs) and server_id. Blocks
 * while it reads. False with `err`. */
bool route_trust_init(struct route_trust *t, struct config *config, struct err *err);
void route_trust_fini(struct route_trust *t);

typedef void route_store_done(void *owner, const struct err *err);

struct route_store_kind {
    void (*look)(struct route_store *s);
    void (*fetch)(struct route_store *s, const struct dynamo_active *which);
    void (*put)(struct route_store *s, struct slice document, const struct dynamo_active *next,
                bool as_candidate);
    void (*candidate)(struct route_store *s);
    void (*history)(struct route_store *s);
    void (*close)(struct route_store *s);
};

struct route_store {
    const struct route_store_kind *kind;
    route_store_done *done; /* NULL: nothing is under way */
    void *owner;
    /* Of look: whether to believe it, what it says (generation 0: nothing is there), and the
     * document if that came with it. `has_order`: generations count changes there. */
    enum cache_verdict verdict;
    struct dynamo_active active;
    uint64_t bytes; /* of the document; 0: not known before it is there */
    bool has_document, has_order;
    struct buf document;            /* of look and fetch */
    struct problems problems;       /* of what was left out */
    struct dynamo_active candidate; /* generation 0: none */
    struct dynamo_active *history;  /* newest first */
    uint32_t history_count;
};

struct route_store_setup {
    uv_loop_t *uv;
    struct http *http;
    struct stream_loop *streams;
    struct config *config;           /* held */
    const struct cache_trust *trust; /* must outlive the store */
    struct redis *redis;             /* likewise, but is closed first; NULL: no cache */
};

/* A connection to the configured cache; with `channel`, one that listens. Blocks while it reads
 * secrets. NULL with `err`. */
struct redis *route_store_connect(struct stream_loop *streams, struct config *config,
                                  struct slice channel, const struct redis_events *events,
                                  void *owner, struct err *err);

/* The configured source. NULL with `err`. */
struct route_store *route_store_open(const struct route_store_setup *setup, struct err *err);

/* Redis as such, whatever the source is. `keeps`: it is the source, and documents do not expire. */
struct route_store *route_store_redis(const struct route_store_setup *setup, bool keeps);

/* No `done` comes any more. */
void route_store_close(struct route_store *s); /* NULL is fine */

void route_store_look(struct route_store *s, route_store_done *done, void *owner);
void route_store_fetch(struct route_store *s, const struct dynamo_active *which,
                       route_store_done *done, void *owner);

/* Puts a document, and makes it the one in force, or the candidate. `next->generation` is what look
 * said and one more. An error says so when somebody else was quicker. */
void route_store_put(struct route_store *s, struct slice document, const struct dynamo_active *next,
                     bool as_candidate, route_store_done *done, void *owner);
void route_store_candidate(struct route_store *s, route_store_done *done, void *owner);
void route_store_history(struct route_store *s, route_store_done *done, void *owner);

/* ---- for the kinds ------------------------------------------------------------------------- */

struct route_store *route_store_file(const struct route_store_setup *setup);
struct route_store *route_store_dynamo(const struct route_store_setup *setup, struct err *err);

void route_store_init(struct route_store *s, const struct route_store_kind *kind);
void route_store_fini(struct route_store *s);

/* Ends the operation. Last thing to do: the owner may start the next or close. */
void route_store_end(struct route_store *s, const struct err *err);

/* A new document in place of the one there. */
void route_store_set_document(struct route_store *s, struct slice text);

/* Room for one more in the history; NULL: there are enough. */
struct dynamo_active *route_store_add_history(struct route_store *s);

/* Hexadecimal SHA-256 of a document, as in dynamo_active. */
void route_store_hash(char hash[65], struct slice document);

/* A record as one line of JSON, and back: for files and lists. */
void route_store_write_record(struct buf *out, const struct dynamo_active *a);
bool route_store_read_record(struct slice line, struct dynamo_active *a);

#endif
