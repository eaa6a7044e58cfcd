#include "proxy/route_keeper.h"

#include "auth/timestamp.h"
#include "proxy/aws_feed.h"
#include "proxy/io/stream.h"
#include "proxy/ops/file.h"
#include "proxy/random.h"
#include "proxy/route_force.h"
#include "proxy/route_store.h"
#include "proxy/route_world.h"
#include "routing/table.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SOON_MS = 100,     /* after a change was noticed: the rest of it may still be written */
    ANXIOUS_MS = 1000, /* between looks while no table is in force */
    SOURCE_FIRST_MS = 2000,
    PROBLEMS_LOGGED = 20,
};

/* One of the two places that are looked at, each at its own pace: a source that hangs must not keep
 * what comes by the cache, nor the other way round. */
struct leg {
    struct route_keeper *keeper;
    struct route_store *store; /* NULL: there is none */
    enum cache_from from;
    bool under_way, again, tried;
    struct cache_head head; /* of what is being fetched */
    struct err err;         /* as it was last told */
    enum cache_advice told; /* likewise */
    struct cache_head told_head;
    uint64_t failures;
};

struct route_keeper {
    uv_loop_t *uv;
    struct http *http;
    struct log *log;
    struct audit *audit;
    void *control;
    struct config *config; /* held: what the members below were made for */
    struct stream_loop streams;
    struct route_trust trust;
    bool has_trust;
    struct redis *redis, *listener; /* NULL: none */
    struct leg source;              /* has no store when Redis is the source */
    struct leg shared;              /* Redis */
    struct cache cache;
    char author[128]; /* of the table in force, where the source knows */
    uv_fs_event_t watch;
    struct wheel_node timer;
    bool closing, shared_is_hollow; /* Redis has a head without its document */
    unsigned closings;              /* connections that are still closing */
    uint64_t opened_ms, refused;
};

static void leg_start(struct leg *l);

static int64_t now_s(void) { return aws_feed_now_ms() / 1000; }

static const char *source_name(const struct route_keeper *k) { return k->config->routes.source; }

/* Without a version there is no order, and nothing to share. */
static bool is_sharable(const struct route_keeper *k) { return k->cache.head.generation != 0; }

static const char *leg_name(const struct leg *l)
{
    const struct config_routes *routes = &l->keeper->config->routes;
    return l == &l->keeper->shared ? routes->cache : routes->source;
}

/* ---- the end of a look ---------------------------------------------------------------------- */

static void leg_end(struct leg *l)
{
    bool is_first = !l->tried;
    l->under_way = false;
    l->tried = true;
    buf_fini(&l->store->document);
    if (l->again) {
        l->again = false;
        leg_start(l);
    }
    /* At the start the source speaks first. */
    if (is_first && l == &l->keeper->source) leg_start(&l->keeper->shared);
}

static void tell_failure(struct leg *l, const struct err *err)
{
    struct route_keeper *k = l->keeper;
    l->failures++;
    if (strcmp(l->err.message, err->message) == 0) return; /* once, not at each look */
    l->err = *err;
    log_event(k->log, l == &k->source ? EVENT_routes_source_failed : EVENT_routes_cache_failed,
              LOG_TEXT("where", leg_name(l)), LOG_TEXT("why", err->message),
              LOG_TEXT("hint", err->hint), LOG_I64("age_s", cache_age_s(&k->cache, now_s())),
              LOG_END);
}

static void tell_recovery(struct leg *l)
{
    if (!l->err.message[0]) return;
    l->err = (struct err){ 0 };
    log_event(l->keeper->log,
              l == &l->keeper->source ? EVENT_routes_source_back : EVENT_routes_cache_back,
              LOG_TEXT("where", leg_name(l)), LOG_END);
}

static bool same_head(const struct cache_head *a, const struct cache_head *b)
{
    return a->generation == b->generation && memcmp(a->hash, b->hash, sizeof a->hash) == 0;
}

/* Advice that keeps the table, told when it is news and something is wrong. */
static void tell_advice(struct leg *l, enum cache_advice advice, enum cache_verdict verdict)
{
    struct route_keeper *k = l->keeper;
    bool is_news = l->told != advice || !same_head(&l->told_head, &l->head);
    l->told = advice;
    l->told_head = l->head;
    if (!is_news || advice == CACHE_KEEP_SAME || advice == CACHE_FETCH) return;
    /* An empty cache is no trouble: it is about to be filled. */
    if (advice == CACHE_KEEP_DOUBTED && verdict == CACHE_MISSING && l == &k->shared) return;
    log_event(k->log, EVENT_routes_not_taken, LOG_TEXT("from", leg_name(l)),
              LOG_TEXT("why", cache_advice_text(advice)),
              LOG_TEXT("verdict", cache_verdict_text(verdict)),
              LOG_U64("generation", l->head.generation),
              LOG_U64("in_force", k->cache.head.generation), LOG_END);
}

/* ---- taking a document ---------------------------------------------------------------------- */

static void save(struct route_keeper *k, struct slice document)
{
    const char *path = k->config->routes.saved;
    struct buf out = { 0 };
    struct err err;
    if (!path || !k->has_trust) return;
    cache_save(&out, &k->cache.head, &k->trust.trust, document);
    if (out.failed)
        err_set(&err, ERR_OUT_OF_MEMORY, "");
    else if (file_replace(path, buf_slice(&out), 0600, &err))
        err.code = ERR_NONE;
    if (err.code)
        log_event(k->log, EVENT_routes_not_saved, LOG_TEXT("file", path),
                  LOG_TEXT("why", err.message), LOG_END);
    buf_fini(&out);
}

static void tell_refused(struct route_keeper *k, const struct cache_head *head, const char *name,
                         const struct problems *problems)
{
    size_t told = 0;
    for (size_t i = 0; i < problems->count && told < PROBLEMS_LOGGED; i++) {
        if (!problems->items[i].is_error) continue;
        log_event(k->log, EVENT_routes_problem, LOG_TEXT("text", problems->items[i].text), LOG_END);
        told++;
    }
    log_event(k->log, EVENT_routes_refused, LOG_TEXT("from", name),
              LOG_U64("generation", head->generation), LOG_U64("errors", problems->errors),
              LOG_U64("in_force", k->cache.head.generation), LOG_END);
}

/* What takes effect is recorded, or does not take effect. */
static bool record(struct route_keeper *k, const struct cache_head *head, const char *name,
                   const char *author)
{
    char what[192];
    struct audit_who who = { .user = slice_str(author), .from = name };
    snprintf(what, sizeof what, "generation %llu", (unsigned long long)head->generation);
    return audit_act(k->audit, &who, AUDIT_ALLOW, "ROUTES", slice_str(what));
}

/* Valid, and in force. */
static bool enforce(struct route_keeper *k, const struct cache_head *head, struct slice document,
                    const char *name, const char *author)
{
    struct problems problems = { 0 };
    /* No document is of a later version than its head, where generations count (0: they do not). */
    struct route_force *f =
        route_force_new(control_config(k->control), document, name, head->generation, &problems);
    if (!f) {
        k->refused++;
        tell_refused(k, head, name, &problems);
        cache_refuse(&k->cache, head);
    } else if (!record(k, head, name, author)) {
        route_force_unref(f);
        f = NULL;
    }
    problems_fini(&problems);
    if (!f || !control_take_routes(k->control, f)) return false;
    snprintf(k->author, sizeof k->author, "%s", author);
    return true;
}

static void take_document(struct leg *l)
{
    struct route_keeper *k = l->keeper;
    struct slice document = buf_slice(&l->store->document);
    const struct problems *left_out = &l->store->problems;
    enum cache_advice advice = cache_on_document(&k->cache, &l->head, document);
    if (advice != CACHE_VALIDATE) {
        if (l == &k->shared) k->shared_is_hollow = true;
        tell_advice(l, advice, CACHE_MISMATCH);
        return;
    }
    /* It may have come by the other way meanwhile. */
    if (k->cache.from != CACHE_FROM_NOWHERE && same_head(&k->cache.head, &l->head)) return;
    for (size_t i = 0; i < left_out->count && i < PROBLEMS_LOGGED; i++)
        log_event(k->log, EVENT_routes_left_out, LOG_TEXT("text", left_out->items[i].text),
                  LOG_END);
    if (!enforce(k, &l->head, document, leg_name(l), l->store->active.author)) return;
    cache_accept(&k->cache, &l->head, l->from, now_s());
    log_event(k->log, EVENT_routes_taken, LOG_TEXT("from", leg_name(l)),
              LOG_U64("generation", l->head.generation), LOG_TEXT("author", k->author), LOG_END);
    save(k, document);
    if (l == &k->source) leg_start(&k->shared); /* for the others */
}

/* ---- a look --------------------------------------------------------------------------------- */

static void leg_done(struct leg *l);

static void on_fetched(void *owner, const struct err *err)
{
    struct leg *l = owner;
    struct route_keeper *k = l->keeper;
    if (err) {
        if (l == &k->shared) k->shared_is_hollow = true;
        tell_failure(l, err);
    } else {
        /* DynamoDB's hash says nothing of the length; the store has compared it. */
        if (l == &k->source)
            cache_head_of(&l->head, l->head.generation, buf_slice(&l->store->document));
        take_document(l);
    }
    leg_done(l);
}

/* The head of what a store has; false: it has no hash, and the document decides. */
static bool head_of(const struct route_keeper *k, const struct route_store *s,
                    struct cache_head *head)
{
    const struct cache_head *known[] = { &k->cache.head, &k->cache.refused };
    *head = (struct cache_head){ .generation = s->has_order ? s->active.generation : 0,
                                 .bytes = s->bytes };
    if (!cache_hash_parse(head->hash, slice_str(s->active.hash))) return false;
    for (size_t i = 0; i < 2 && !head->bytes; i++)
        if (memcmp(known[i]->hash, head->hash, sizeof head->hash) == 0)
            head->bytes = known[i]->bytes;
    return true;
}

/* Rules that are items have no hash; they are taken as they were when the generation changed. */
static void find_head_of_items(struct route_keeper *k, struct cache_head *head)
{
    if (k->cache.from != CACHE_FROM_NOWHERE && head->generation == k->cache.head.generation)
        *head = k->cache.head;
    else if (k->cache.has_refused && k->cache.refused.generation == head->generation)
        *head = k->cache.refused;
}

/* What a store says is in force there. True: a fetch is under way. */
static bool consider(struct leg *l)
{
    struct route_keeper *k = l->keeper;
    struct route_store *s = l->store;
    bool has_hash = head_of(k, s, &l->head);
    if (s->has_document)
        cache_head_of(&l->head, l->head.generation, buf_slice(&s->document));
    else if (!has_hash && s->verdict == CACHE_BELIEVED)
        find_head_of_items(k, &l->head);
    enum cache_advice advice = cache_on_head(&k->cache, s->verdict, &l->head, now_s());
    tell_advice(l, advice, s->verdict);
    if (advice != CACHE_FETCH) return false;
    if (!s->has_document) {
        route_store_fetch(s, &s->active, on_fetched, l);
        return true;
    }
    take_document(l);
    return false;
}

static void on_looked(void *owner, const struct err *err)
{
    struct leg *l = owner;
    if (err) {
        tell_failure(l, err);
        leg_end(l);
        return;
    }
    tell_recovery(l);
    if (!consider(l)) leg_done(l);
}

/* At the start the source is given a moment: who has no table yet could not tell that the cache's
 * is an old one. */
static bool should_wait(const struct route_keeper *k)
{
    return k->cache.from == CACHE_FROM_NOWHERE && k->source.store && !k->source.tried &&
           uv_now(k->uv) - k->opened_ms < SOURCE_FIRST_MS;
}

static void leg_start(struct leg *l)
{
    struct route_keeper *k = l->keeper;
    if (k->closing || !l->store) return;
    if (l == &k->shared && (!redis_is_ready(k->redis) || should_wait(k))) return;
    if (l->under_way) {
        l->again = true;
        return;
    }
    l->under_way = true;
    route_store_look(l->store, on_looked, l);
}

/* ---- what the cache gets from us --------------------------------------------------------------
 */

static void on_offered(void *owner, const struct err *err)
{
    struct leg *l = owner;
    if (err && err->code == ERR_CACHE_AWAY)
        tell_failure(l, err);
    else if (!err)
        log_event(l->keeper->log, EVENT_routes_shared,
                  LOG_U64("generation", l->keeper->cache.head.generation), LOG_END);
    leg_end(l);
}

/* Where the cache holds less than we do, it gets ours. */
static bool should_offer(const struct route_keeper *k)
{
    struct cache_head head;
    head_of(k, k->shared.store, &head);
    if (!is_sharable(k) || k->cache.from == CACHE_FROM_NOWHERE) return false;
    return cache_should_publish(&k->cache, k->shared.store->verdict, &head) ||
           (k->shared_is_hollow && head.generation == k->cache.head.generation);
}

static void leg_done(struct leg *l)
{
    struct route_keeper *k = l->keeper;
    const struct route_force *f = control_routes(k->control);
    if (l == &k->source || !should_offer(k) || !f->document.len) {
        leg_end(l);
        return;
    }
    struct dynamo_active next = { .generation = k->cache.head.generation };
    char iso[TIMESTAMP_ISO_BYTES];
    timestamp_to_iso(aws_feed_now_ms(), iso);
    snprintf(next.time, sizeof next.time, "%s", iso);
    snprintf(next.action, sizeof next.action, "restore");
    snprintf(next.author, sizeof next.author, "%s", k->author[0] ? k->author : "sluice");
    k->shared_is_hollow = false;
    route_store_put(l->store, buf_slice(&f->document), &next, false, on_offered, l);
}

/* ---- what wakes us --------------------------------------------------------------------------- */

static void schedule(struct route_keeper *k)
{
    uint64_t ms = k->cache.from == CACHE_FROM_NOWHERE ? ANXIOUS_MS : k->config->routes.refresh_ms;
    /* A quarter either way, so that many proxies do not ask at once. */
    wheel_set(&k->streams.wheel, &k->timer, ms - ms / 4 + random_u32() % (ms / 2 + 1));
}

static void look_around(struct route_keeper *k)
{
    schedule(k);
    leg_start(&k->source);
    leg_start(&k->shared);
}

static void on_due(struct wheel_node *node)
{
    look_around(list_item(node, struct route_keeper, timer));
}

static void on_ready(void *owner) { leg_start(&((struct route_keeper *)owner)->shared); }

static void on_lost(void *owner, const struct err *why)
{
    tell_failure(&((struct route_keeper *)owner)->shared, why);
}

static void on_message(void *owner, struct slice payload)
{
    (void)payload; /* anybody can say anything here: it only makes us look */
    leg_start(&((struct route_keeper *)owner)->shared);
}

/* A message may have been lost meanwhile. */
static const struct redis_events redis_events = { on_ready, on_lost, on_message };

static void on_file_event(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct route_keeper *k = watch->data;
    const char *path = route_world_path(k->config);
    const char *slash = path ? strrchr(path, '/') : NULL;
    (void)events;
    /* Names with two dots: how Kubernetes swaps what is mounted. */
    bool is_ours = status < 0 || !path || !name || strcmp(name, slash ? slash + 1 : path) == 0 ||
                   strncmp(name, "..", 2) == 0;
    if (is_ours) wheel_set(&k->streams.wheel, &k->timer, SOON_MS);
}

/* The directory, not the file: that is replaced, not written. Without a watch (too many, or a file
 * system that knows none) `refresh` is what is left. */
static void watch_file(struct route_keeper *k)
{
    const char *path = route_world_path(k->config);
    const char *slash = path ? strrchr(path, '/') : NULL;
    char *directory = !path   ? NULL
                      : slash ? strndup(path, (size_t)(slash - path) + 1)
                              : strdup(".");
    if (!directory) return;
    if (uv_fs_event_start(&k->watch, on_file_event, directory, 0) != 0)
        log_event(k->log, EVENT_routes_not_watched, LOG_TEXT("directory", directory),
                  LOG_TEXT("hint", "changes are noticed after routes.refresh"), LOG_END);
    free(directory);
}

/* ---- opening and closing -------------------------------------------------------------------- */

static void cannot(struct route_keeper *k, const char *what, const struct err *err)
{
    log_event(k->log, EVENT_routes_not_followed, LOG_TEXT("what", what),
              LOG_TEXT("why", err->message), LOG_TEXT("hint", err->hint), LOG_END);
}

static void open_cache(struct route_keeper *k)
{
    struct buf channel = { 0 };
    struct err err;
    if (!k->config->routes.cache || !k->has_trust) return;
    cache_key_changed(&channel, k->trust.trust.scope);
    k->redis =
        route_store_connect(&k->streams, k->config, (struct slice){ 0 }, &redis_events, k, &err);
    if (k->redis)
        k->listener = route_store_connect(&k->streams, k->config, buf_slice(&channel),
                                          &redis_events, k, &err);
    if (!k->redis || !k->listener) cannot(k, "routes.cache", &err);
    buf_fini(&channel);
}

static void open_stores(struct route_keeper *k)
{
    struct err err;
    if (!source_name(k)) return;
    if (!k->has_trust) k->has_trust = route_trust_init(&k->trust, k->config, &err);
    if (!k->has_trust) cannot(k, "routes.signing_key", &err);
    open_cache(k);
    struct route_store_setup setup = { .uv = k->uv,
                                       .http = k->http,
                                       .streams = &k->streams,
                                       .config = k->config,
                                       .trust = &k->trust.trust,
                                       .redis = k->redis };
    bool is_redis = slice_starts(slice_str(source_name(k)), "redis:");
    k->shared.from = is_redis ? CACHE_FROM_SOURCE : CACHE_FROM_REDIS;
    if (k->redis) k->shared.store = route_store_redis(&setup, is_redis);
    if (!is_redis && !(k->source.store = route_store_open(&setup, &err)))
        cannot(k, "routes.source", &err);
    watch_file(k);
}

static void maybe_over(struct route_keeper *k)
{
    if (k->closing && k->closings == 0) stream_loop_fini(&k->streams);
}

static void on_redis_closed(void *owner)
{
    struct route_keeper *k = owner;
    k->closings--;
    maybe_over(k);
}

static void close_redis(struct route_keeper *k, struct redis **redis)
{
    if (!*redis) return;
    k->closings++;
    redis_close(*redis, on_redis_closed, k);
    *redis = NULL;
}

static void close_stores(struct route_keeper *k)
{
    wheel_cancel(&k->timer);
    uv_fs_event_stop(&k->watch);
    close_redis(k, &k->redis); /* before the stores: no answer of theirs comes any more */
    close_redis(k, &k->listener);
    struct leg *legs[] = { &k->source, &k->shared };
    for (int i = 0; i < 2; i++) {
        route_store_close(legs[i]->store);
        legs[i]->store = NULL;
        legs[i]->under_way = legs[i]->again = legs[i]->tried = false;
    }
    if (k->has_trust) route_trust_fini(&k->trust);
    k->has_trust = false;
}

/* The table in force came from a file, with the configuration. */
static void take_file_on(struct route_keeper *k)
{
    const struct route_force *f = control_routes(k->control);
    struct cache_head head;
    uint64_t version = k->config->routes.cache && f->table ? route_table_version(f->table) : 0;
    if (!f->table || !route_world_path(k->config)) return;
    cache_head_of(&head, version, buf_slice(&f->document));
    cache_accept(&k->cache, &head, CACHE_FROM_SOURCE, now_s());
    save(k, buf_slice(&f->document));
}

static void take_saved_on(struct route_keeper *k)
{
    const char *path = k->config->routes.saved;
    struct buf file = { 0 };
    struct slice document;
    struct err err;
    if (!path || !k->has_trust || !source_name(k) || route_world_path(k->config)) return;
    if (!file_read(path, TABLE_CAP_BYTES + CACHE_HEAD_BYTES, &file, &err)) {
        log_event(k->log, EVENT_routes_none_saved, LOG_TEXT("file", path),
                  LOG_TEXT("why", err.message), LOG_END);
        buf_fini(&file);
        return;
    }
    struct cache_head head;
    enum cache_verdict verdict = cache_saved(buf_slice(&file), &k->trust.trust, &head, &document);
    if (verdict != CACHE_BELIEVED) {
        log_event(k->log, EVENT_routes_not_taken, LOG_TEXT("from", path),
                  LOG_TEXT("why", cache_verdict_text(verdict)), LOG_END);
    } else if (enforce(k, &head, document, path, "")) {
        cache_accept(&k->cache, &head, CACHE_FROM_DISK, now_s());
        /* Its age is that of the file, as far as anybody knows. */
        k->cache.confirmed_at_s = now_s() - file_age_s(path);
    }
    buf_fini(&file);
}

static bool same_source(const struct config *a, const struct config *b)
{
    const char *x = a->routes.source, *y = b->routes.source;
    return x && y && strcmp(x, y) == 0;
}

void route_keeper_reload(struct route_keeper *k)
{
    struct config *before = k->config;
    close_stores(k);
    k->config = config_ref(control_config(k->control));
    /* Generations of another source say nothing here. */
    if (!same_source(before, k->config)) k->cache = (struct cache){ 0 };
    config_unref(before);
    open_stores(k);
    take_file_on(k);
    look_around(k);
}

struct route_keeper *route_keeper_open(uv_loop_t *uv, struct http *http, struct log *log,
                                       struct audit *audit, void *control)
{
    struct route_keeper *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    if (!stream_loop_init(&k->streams, uv)) {
        free(k);
        return NULL;
    }
    k->uv = uv;
    k->http = http;
    k->log = log;
    k->audit = audit;
    k->control = control;
    k->config = config_ref(control_config(control));
    k->opened_ms = uv_now(uv);
    k->source = (struct leg){ .keeper = k, .from = CACHE_FROM_SOURCE };
    k->shared = (struct leg){ .keeper = k };
    wheel_node_init(&k->timer, on_due);
    uv_fs_event_init(uv, &k->watch);
    k->watch.data = k;
    open_stores(k);
    take_file_on(k);
    take_saved_on(k);
    look_around(k);
    return k;
}

void route_keeper_close(struct route_keeper *k)
{
    if (!k || k->closing) return;
    k->closing = true;
    close_stores(k);
    uv_close((uv_handle_t *)&k->watch, NULL);
    maybe_over(k);
}

void route_keeper_free(struct route_keeper *k)
{
    if (!k) return;
    config_unref(k->config);
    free(k);
}

/* ---- metrics -------------------------------------------------------------------------------- */

void route_keeper_state(const struct route_keeper *k, struct route_keeper_state *out)
{
    static const char *const from[] = {
        [CACHE_FROM_NOWHERE] = "nowhere",
        [CACHE_FROM_DISK] = "disk",
        [CACHE_FROM_REDIS] = "cache",
        [CACHE_FROM_SOURCE] = "source",
    };
    *out = (struct route_keeper_state){
        .is_kept = source_name(k) != NULL,
        .cache_is_used = k->redis != NULL,
        .cache_is_up = k->redis && redis_is_ready(k->redis) && redis_is_ready(k->listener),
        .from = from[k->cache.from],
        .generation = k->cache.head.generation,
        .age_s = cache_age_s(&k->cache, now_s()),
        .advice = k->cache.counts,
        .refused = k->refused,
        .source_failures = k->source.failures,
        .cache_failures = k->shared.failures,
        .source_why = k->source.err.message[0] ? k->source.err.message : NULL,
    };
}
