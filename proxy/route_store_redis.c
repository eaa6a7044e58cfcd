/* The Redis kind of route_store. An entry is a signed head (routing/cache.h), then who put it there
 * and when, signed as well:
 *
 *      sluice-routes 1 <generation> <bytes> <hash of the document> <signature>
 *      sluice-routes 1 <generation> <bytes> <hash of the record> <signature, scope SCOPE/record>
 *      {"generation":...,"author":...}
 *
 * A candidate is signed with a scope of its own, so that nobody can move it to where the table in
 * force stands. */
#include "proxy/route_store.h"

#include <stdio.h>
#include <stdlib.h>

enum { DOCUMENT_KEPT_S = 24 * 3600 /* in a cache, after it was replaced */ };

struct redis_store {
    struct route_store store;
    struct redis *redis;
    const struct cache_trust *trust;
    struct buf candidate_scope, record_scope;
    struct cache_trust candidate_trust, record_trust;
    struct buf raw; /* what stood under the active key at the last look */
    struct cache_head head;
    bool keeps;
};

static struct redis_store *redis_of(struct route_store *s)
{
    return list_item(s, struct redis_store, store);
}

static struct slice scope_of(const struct redis_store *r) { return r->trust->scope; }

static void send_words(struct redis_store *r, const struct slice *words, int count,
                       redis_done *done)
{
    struct err err;
    if (!redis_send(r->redis, words, count, done, r, &err)) route_store_end(&r->store, &err);
}

static void get(struct redis_store *r, struct buf *key, redis_done *done)
{
    struct slice words[] = { slice_str("GET"), buf_slice(key) };
    send_words(r, words, 2, done);
    buf_fini(key);
}

static void record_head(struct dynamo_active *a, const struct cache_head *head)
{
    a->generation = head->generation;
    for (size_t i = 0; i < CACHE_HASH_BYTES; i++)
        snprintf(a->hash + 2 * i, 3, "%02x", head->hash[i]);
}

/* ---- entries -------------------------------------------------------------------------------- */

static void write_entry(const struct redis_store *r, const struct cache_head *head,
                        const struct cache_trust *trust, const struct dynamo_active *record,
                        struct buf *out)
{
    struct buf json = { 0 };
    struct cache_head own;
    route_store_write_record(&json, record);
    cache_head_of(&own, record->generation, buf_slice(&json));
    cache_head_write(out, head, trust);
    cache_head_write(out, &own, &r->record_trust);
    buf_add_slice(out, buf_slice(&json));
    out->failed |= json.failed;
    buf_fini(&json);
}

/* Cuts the first line off, with its line feed. */
static struct slice cut_line(struct slice *text)
{
    const char *end = text->len ? memchr(text->at, '\n', text->len) : NULL;
    struct slice line = { text->at, end ? (size_t)(end - text->at) + 1 : text->len };
    *text = slice_after(*text, line.len);
    return line;
}

/* The head's verdict; what is not believed of the record is as if nobody had said it. */
static enum cache_verdict read_entry(const struct redis_store *r, struct slice text,
                                     const struct cache_trust *trust, struct cache_head *head,
                                     struct dynamo_active *out)
{
    struct cache_head own;
    struct dynamo_active record = { 0 };
    *out = (struct dynamo_active){ 0 };
    enum cache_verdict verdict = cache_head_read(head, cut_line(&text), trust);
    if (verdict != CACHE_BELIEVED) return verdict;
    record_head(out, head);
    if (cache_head_read(&own, cut_line(&text), &r->record_trust) == CACHE_BELIEVED &&
        cache_document_check(&own, text) == CACHE_BELIEVED &&
        route_store_read_record(text, &record) && record.generation == out->generation &&
        strcmp(record.hash, out->hash) == 0)
        *out = record;
    return verdict;
}

/* ---- looking and fetching ------------------------------------------------------------------- */

static void on_active(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct redis_store *r = owner;
    struct slice text = reply ? reply->text : (struct slice){ 0 };
    bool is_other = err && strstr(err->message, "WRONGTYPE"); /* somebody put a list there */
    if (err && !is_other) {
        route_store_end(&r->store, err);
        return;
    }
    r->store.verdict =
        is_other ? CACHE_GARBAGE : read_entry(r, text, r->trust, &r->head, &r->store.active);
    buf_fini(&r->raw);
    buf_add_slice(&r->raw, text);
    if (r->store.verdict == CACHE_BELIEVED) r->store.bytes = r->head.bytes;
    route_store_end(&r->store, NULL);
}

static void look(struct route_store *s)
{
    struct redis_store *r = redis_of(s);
    struct buf key = { 0 };
    cache_key_active(&key, scope_of(r));
    get(r, &key, on_active);
}

static void on_document(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct redis_store *r = owner;
    struct err missing;
    err_set(&missing, ERR_CACHE_AWAY, "the document is not in Redis");
    if (reply && reply->type == REDIS_TEXT) route_store_set_document(&r->store, reply->text);
    route_store_end(&r->store, err ? err : reply && reply->type == REDIS_TEXT ? NULL : &missing);
}

static void add_document_key(struct buf *out, const struct redis_store *r, const char *hash)
{
    struct cache_head head = { 0 };
    cache_hash_parse(head.hash, slice_str(hash));
    cache_key_document(out, scope_of(r), &head);
}

static void fetch(struct route_store *s, const struct dynamo_active *which)
{
    struct redis_store *r = redis_of(s);
    struct buf key = { 0 };
    add_document_key(&key, r, which->hash);
    get(r, &key, on_document);
}

/* ---- putting -------------------------------------------------------------------------------- */

/* KEYS: active, document, the document before, history
 * ARGV: what was there, the head, the document, the channel, the line of history, seconds */
static const char put_script[] =
    "local now, kind = '', redis.call('TYPE', KEYS[1]).ok\n"
    "if kind == 'string' then now = redis.call('GET', KEYS[1])\n"
    "elseif kind ~= 'none' then redis.call('DEL', KEYS[1]) end\n"
    "if now ~= ARGV[1] then return 0 end\n"
    "redis.call('SET', KEYS[2], ARGV[3])\n"
    "redis.call('SET', KEYS[1], ARGV[2])\n"
    "if ARGV[5] ~= '' then\n"
    "  if redis.call('TYPE', KEYS[4]).ok ~= 'list' then redis.call('DEL', KEYS[4]) end\n"
    "  redis.call('LPUSH', KEYS[4], ARGV[5])\n"
    "  redis.call('LTRIM', KEYS[4], 0, 999)\n"
    "elseif KEYS[3] ~= KEYS[2] then redis.call('EXPIRE', KEYS[3], ARGV[6]) end\n"
    "redis.call('PUBLISH', ARGV[4], ARGV[2])\n"
    "return 1\n";

static void on_put(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct redis_store *r = owner;
    struct err late;
    err_set(&late, ERR_INVALID_VALUE, "somebody else has changed the table in force meanwhile");
    err_hint(&late, "Look at it (sluice route history) and try again.");
    bool quick = reply && reply->type == REDIS_INTEGER && reply->integer == 1;
    route_store_end(&r->store, err ? err : quick ? NULL : &late);
}

static void on_done(void *owner, const struct redis_reply *reply, const struct err *err)
{
    (void)reply;
    route_store_end(&((struct redis_store *)owner)->store, err);
}

static void add_candidate_key(struct buf *out, const struct redis_store *r)
{
    buf_addf(out, "sluice:{%.*s}:candidate", SLICE_ARG(scope_of(r)));
}

static void add_history_key(struct buf *out, const struct redis_store *r)
{
    buf_addf(out, "sluice:{%.*s}:history", SLICE_ARG(scope_of(r)));
}

static void put_candidate(struct redis_store *r, struct slice document,
                          const struct dynamo_active *next, struct buf *keys)
{
    struct cache_head head;
    struct buf value = { 0 };
    cache_head_of(&head, next->generation, document);
    write_entry(r, &head, &r->candidate_trust, next, &value);
    add_candidate_key(&keys[0], r);
    add_document_key(&keys[1], r, next->hash);
    struct slice words[] = { slice_str("MSET"), buf_slice(&keys[1]), document, buf_slice(&keys[0]),
                             buf_slice(&value) };
    send_words(r, words, 5, on_done);
    buf_fini(&value);
}

static void put_active(struct redis_store *r, struct slice document,
                       const struct dynamo_active *next, struct buf *keys)
{
    struct cache_head head;
    struct buf entry = { 0 }, channel = { 0 };
    char seconds[16];
    cache_head_of(&head, next->generation, document);
    write_entry(r, &head, r->trust, next, &entry);
    struct slice past = r->keeps ? buf_slice(&entry) : (struct slice){ 0 };
    cache_key_active(&keys[0], scope_of(r));
    cache_key_document(&keys[1], scope_of(r), &head);
    cache_key_document(&keys[2], scope_of(r), r->store.active.hash[0] ? &r->head : &head);
    add_history_key(&keys[3], r);
    cache_key_changed(&channel, scope_of(r));
    snprintf(seconds, sizeof seconds, "%d", DOCUMENT_KEPT_S);
    struct slice words[] = {
        slice_str("EVAL"),   slice_str(put_script),
        slice_str("4"),      buf_slice(&keys[0]),
        buf_slice(&keys[1]), buf_slice(&keys[2]),
        buf_slice(&keys[3]), buf_slice(&r->raw),
        buf_slice(&entry),   document,
        buf_slice(&channel), past,
        slice_str(seconds),
    };
    send_words(r, words, sizeof words / sizeof *words, on_put);
    buf_fini(&entry);
    buf_fini(&channel);
}

static void put(struct route_store *s, struct slice document, const struct dynamo_active *next,
                bool as_candidate)
{
    struct redis_store *r = redis_of(s);
    struct buf keys[4] = { 0 };
    struct dynamo_active which = *next;
    route_store_hash(which.hash, document); /* the record names what it is about */
    (as_candidate ? put_candidate : put_active)(r, document, &which, keys);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) buf_fini(&keys[i]);
}

/* ---- candidate and history ------------------------------------------------------------------ */

static void on_candidate(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct redis_store *r = owner;
    struct cache_head head;
    if (reply) read_entry(r, reply->text, &r->candidate_trust, &head, &r->store.candidate);
    route_store_end(&r->store, err);
}

static void candidate(struct route_store *s)
{
    struct redis_store *r = redis_of(s);
    struct buf key = { 0 };
    add_candidate_key(&key, r);
    get(r, &key, on_candidate);
}

static void on_history(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct redis_store *r = owner;
    struct dynamo_active line, *to;
    struct cache_head head;
    for (size_t i = 0; reply && i < reply->count; i++)
        if (read_entry(r, reply->elements[i].text, r->trust, &head, &line) == CACHE_BELIEVED &&
            (to = route_store_add_history(&r->store)))
            *to = line;
    route_store_end(&r->store, err);
}

static void history(struct route_store *s)
{
    struct redis_store *r = redis_of(s);
    struct buf key = { 0 };
    char last[16];
    add_history_key(&key, r);
    snprintf(last, sizeof last, "%d", ROUTE_STORE_HISTORY - 1);
    struct slice words[] = { slice_str("LRANGE"), buf_slice(&key), slice_str("0"),
                             slice_str(last) };
    send_words(r, words, 4, on_history);
    buf_fini(&key);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void close_store(struct route_store *s)
{
    struct redis_store *r = redis_of(s);
    buf_fini(&r->candidate_scope);
    buf_fini(&r->record_scope);
    buf_fini(&r->raw);
    route_store_fini(s);
    free(r);
}

static const struct route_store_kind kind = {
    look, fetch, put, candidate, history, close_store,
};

struct route_store *route_store_redis(const struct route_store_setup *setup, bool keeps)
{
    struct redis_store *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    route_store_init(&r->store, &kind);
    r->store.has_order = true;
    r->redis = setup->redis;
    r->trust = setup->trust;
    r->keeps = keeps;
    buf_addf(&r->candidate_scope, "%.*s/candidate", SLICE_ARG(r->trust->scope));
    buf_addf(&r->record_scope, "%.*s/record", SLICE_ARG(r->trust->scope));
    r->candidate_trust = r->record_trust = *r->trust;
    r->record_trust.scope = buf_slice(&r->record_scope);
    r->candidate_trust.scope = buf_slice(&r->candidate_scope);
    return &r->store;
}
