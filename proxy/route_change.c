#include "proxy/route_change.h"

#include "auth/timestamp.h"
#include "protocol/json.h"
#include "proxy/aws_client.h"
#include "proxy/aws_feed.h"
#include "proxy/aws_secrets.h"
#include "proxy/route_store.h"
#include "proxy/route_world.h"

#include <stdio.h>
#include <stdlib.h>

struct change {
    struct route_change *asked;
    struct config *config;
    struct route_trust trust;
    uv_loop_t loop;
    uv_timer_t patience; /* also keeps the loop alive: a wheel alone does not */
    struct http *http;
    struct stream_loop streams;
    struct redis *redis;
    struct route_store *source, *cache; /* cache: NULL, or beside the source */
    struct buf document;
    struct err err;
    bool waiting, is_open, redis_lost;
};

static bool failed(struct change *c, const char *what)
{
    struct buf *said = &c->asked->said;
    buf_addf(said, "%s: %s\n", what, c->err.message);
    if (c->err.hint[0]) buf_addf(said, "  %s\n", c->err.hint);
    return false;
}

static bool refused(struct change *c, const char *why)
{
    buf_addf(&c->asked->said, "%s\n", why);
    return false;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void on_done(void *owner, const struct err *err)
{
    struct change *c = owner;
    c->waiting = false;
    if (err) c->err = *err;
}

static void on_patience(uv_timer_t *timer)
{
    struct change *c = timer->data;
    struct err err;
    err_set(&err, ERR_CACHE_AWAY, "no answer in %u s", c->asked->patience_ms / 1000);
    on_done(c, &err);
}

static void begin(struct change *c)
{
    c->waiting = true;
    c->err = (struct err){ 0 };
}

/* True: it went well. */
static bool wait_for(struct change *c)
{
    while (c->waiting) uv_run(&c->loop, UV_RUN_ONCE);
    return c->err.code == ERR_NONE;
}

static bool look(struct change *c, struct route_store *s)
{
    begin(c);
    route_store_look(s, on_done, c);
    return wait_for(c);
}

static bool fetch(struct change *c, const struct dynamo_active *which)
{
    begin(c);
    route_store_fetch(c->source, which, on_done, c);
    if (!wait_for(c)) return false;
    char hash[65];
    route_store_hash(hash, buf_slice(&c->source->document));
    if (strcmp(hash, which->hash) != 0)
        return err_set(&c->err, ERR_INVALID_VALUE, "the document is not the one that was put");
    buf_fini(&c->document);
    buf_add_slice(&c->document, buf_slice(&c->source->document));
    return true;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void on_ready(void *owner) { on_done(owner, NULL); }

static void on_lost(void *owner, const struct err *why)
{
    ((struct change *)owner)->redis_lost = true;
    on_done(owner, why);
}

static const struct redis_events redis_events = { on_ready, on_lost, NULL };

static bool open_redis(struct change *c)
{
    begin(c);
    c->redis =
        route_store_connect(&c->streams, c->config, (struct slice){ 0 }, &redis_events, c, &c->err);
    return c->redis && wait_for(c);
}

static bool load(struct change *c)
{
    struct problems problems = { 0 };
    bool ok = aws_secrets_load(c->config, &problems);
    if (!ok) problems_print(&problems, c->config->name, &c->asked->said);
    problems_fini(&problems);
    return ok;
}

static bool open_stores(struct change *c)
{
    struct route_store_setup setup = { .uv = &c->loop,
                                       .http = c->http,
                                       .streams = &c->streams,
                                       .config = c->config,
                                       .trust = &c->trust.trust };
    bool is_redis = slice_starts(slice_str(c->config->routes.source), "redis:");
    if (c->config->routes.cache && !open_redis(c)) {
        if (is_redis) return failed(c, "Redis");
        failed(c, "note: the cache is not told");
    }
    setup.redis = c->redis;
    c->source = route_store_open(&setup, &c->err);
    if (!c->source) return failed(c, "the source");
    if (c->redis && !c->redis_lost && !is_redis) c->cache = route_store_redis(&setup, false);
    return true;
}

static bool open_change(struct change *c)
{
    if (!load(c)) return false;
    if (!c->config->routes.source) return refused(c, "the configuration has no routes.source");
    if (!route_trust_init(&c->trust, c->config, &c->err)) return failed(c, "routes.signing_key");
    uv_loop_init(&c->loop);
    uv_timer_init(&c->loop, &c->patience);
    c->patience.data = c;
    uv_timer_start(&c->patience, on_patience, c->asked->patience_ms, 0);
    c->http = aws_client_open(&c->loop);
    c->is_open = stream_loop_init(&c->streams, &c->loop);
    return c->http && c->is_open && open_stores(c);
}

static void on_closed(void *owner) { ((struct change *)owner)->waiting = false; }

static bool close_change(struct change *c, bool ok)
{
    if (c->redis) {
        c->waiting = true;
        redis_close(c->redis, on_closed, c);
        while (c->waiting) uv_run(&c->loop, UV_RUN_ONCE);
    }
    route_store_close(c->source);
    route_store_close(c->cache);
    if (c->is_open) {
        stream_loop_fini(&c->streams);
        http_close(c->http);
        uv_close((uv_handle_t *)&c->patience, NULL);
        uv_run(&c->loop, UV_RUN_DEFAULT);
        uv_loop_close(&c->loop);
    }
    buf_fini(&c->document);
    route_trust_fini(&c->trust);
    return ok;
}

/* ---- the document --------------------------------------------------------------------------- */

/* Writes the generation in place of the version that the text has, or in front of all else. */
static bool set_version(struct change *c, const char *name, struct slice text, uint64_t generation)
{
    struct json_error error;
    struct json_doc *doc = json_parse(text, TABLE_CAP_BYTES, &error);
    if (!doc || json_type(json_root(doc)) != JSON_OBJECT) {
        buf_addf(&c->asked->said, "%s:%u: error: %s\n", name, doc ? 1 : error.line,
                 doc ? "the document is not an object" : error.text);
        json_free(doc);
        return false;
    }
    const struct json_value *v = json_member(json_root(doc), slice_str("version"));
    size_t at = v ? json_offset(v) : json_offset(json_root(doc)) + 1, end = at;
    while (v && end < text.len && strchr("+-.eE0123456789", text.at[end])) end++;
    buf_fini(&c->document);
    buf_add(&c->document, text.at, at);
    buf_addf(&c->document, v ? "%llu" : " \"version\": %llu", (unsigned long long)generation);
    if (!v && json_count(json_root(doc))) buf_add_str(&c->document, ",");
    buf_add_slice(&c->document, slice_after(text, end));
    json_free(doc);
    return !c->document.failed;
}

/* As a proxy would: names, lint, the document's own tests. Warnings are said and do no harm. */
static bool is_valid(struct change *c, const char *name)
{
    struct problems problems = { 0 };
    struct route_world world;
    struct route_table *t = NULL;
    if (route_world_init(&world, c->config))
        t = table_load(buf_slice(&c->document), &world.table, &problems);
    else
        problem_error(&problems, 0, "out of memory");
    route_world_fini(&world);
    problems_print(&problems, name, &c->asked->said);
    problems_fini(&problems);
    route_table_unref(t);
    return t != NULL;
}

/* ---- who and when --------------------------------------------------------------------------- */

/* Of source and cache: a source that was made anew has forgotten how far the proxies are, who would
 * take its first table for an old one. */
static uint64_t newest_generation(struct change *c)
{
    uint64_t source = c->source->active.generation;
    bool is_known = c->cache && look(c, c->cache) && c->cache->verdict == CACHE_BELIEVED;
    c->err = (struct err){ 0 };
    return is_known && c->cache->active.generation > source ? c->cache->active.generation : source;
}

static void describe_change(struct change *c, struct dynamo_active *next, const char *action)
{
    char iso[TIMESTAMP_ISO_BYTES];
    *next = (struct dynamo_active){ .generation = newest_generation(c) + 1 };
    timestamp_to_iso(aws_feed_now_ms(), iso);
    snprintf(next->author, sizeof next->author, "%s", c->asked->author);
    snprintf(next->time, sizeof next->time, "%s", iso);
    snprintf(next->action, sizeof next->action, "%s", action);
    if (c->asked->note) snprintf(next->note, sizeof next->note, "%s", c->asked->note);
}

/* So that no proxy has to wait for its next look. That it fails is no failure. */
static void tell_cache(struct change *c, const struct dynamo_active *next)
{
    if (!c->cache || !look(c, c->cache)) {
        if (c->cache) failed(c, "note: the cache is not told");
        return;
    }
    begin(c);
    route_store_put(c->cache, buf_slice(&c->document), next, false, on_done, c);
    if (!wait_for(c)) failed(c, "note: the cache is not told");
}

static bool put(struct change *c, const struct dynamo_active *next, bool as_candidate)
{
    begin(c);
    route_store_put(c->source, buf_slice(&c->document), next, as_candidate, on_done, c);
    if (!wait_for(c)) return failed(c, "nothing was changed");
    if (!as_candidate) tell_cache(c, next);
    buf_addf(&c->asked->result, "generation %llu is %s\n", (unsigned long long)next->generation,
             as_candidate ? "a candidate: somebody else activates it" : "in force");
    return true;
}

/* ---- the commands --------------------------------------------------------------------------- */

static bool publish(struct change *c)
{
    struct dynamo_active next;
    if (!look(c, c->source)) return failed(c, "the source");
    describe_change(c, &next, "publish");
    return set_version(c, c->asked->name, c->asked->document, next.generation) &&
           is_valid(c, c->asked->name) && put(c, &next, c->config->routes.approval);
}

static bool activate(struct change *c)
{
    struct dynamo_active next;
    if (!look(c, c->source)) return failed(c, "the source");
    begin(c);
    route_store_candidate(c->source, on_done, c);
    if (!wait_for(c)) return failed(c, "the candidate");
    const struct dynamo_active *candidate = &c->source->candidate;
    describe_change(c, &next, "activate");
    if (candidate->generation == 0) return refused(c, "there is no candidate");
    if (candidate->generation != next.generation)
        return refused(c, "the table in force has changed since the candidate was published: "
                          "publish it again");
    if (c->config->routes.approval && strcmp(candidate->author, next.author) == 0) {
        buf_addf(&c->asked->said, "%s has published it: somebody else activates it\n", next.author);
        return false;
    }
    if (!next.note[0]) snprintf(next.note, sizeof next.note, "published by %s", candidate->author);
    if (!fetch(c, candidate)) return failed(c, "the candidate");
    return is_valid(c, "candidate") ? put(c, &next, false) : false;
}

/* The generation asked for, or the newest other one. NULL: there is none. */
static const struct dynamo_active *find_past(const struct change *c, const char *generation)
{
    const struct route_store *s = c->source;
    unsigned long long wanted = generation ? strtoull(generation, NULL, 10) : 0;
    for (uint32_t i = 0; i < s->history_count; i++) {
        const struct dynamo_active *h = &s->history[i];
        if (!h->hash[0]) continue; /* rules that were items: nobody kept them */
        if (generation ? h->generation == wanted : h->generation < s->active.generation) return h;
    }
    return NULL;
}

static bool rollback(struct change *c)
{
    struct dynamo_active next;
    struct buf text = { 0 };
    if (!look(c, c->source)) return failed(c, "the source");
    begin(c);
    route_store_history(c->source, on_done, c);
    if (!wait_for(c)) return failed(c, "the history");
    const struct dynamo_active *past = find_past(c, c->asked->generation);
    if (!past) return refused(c, "the history has no such table");
    if (!fetch(c, past)) return failed(c, "the table of then");
    describe_change(c, &next, "rollback");
    if (!next.note[0])
        snprintf(next.note, sizeof next.note, "to generation %llu",
                 (unsigned long long)past->generation);
    buf_add_slice(&text, buf_slice(&c->document));
    bool ok = set_version(c, "the table of then", buf_slice(&text), next.generation) &&
              is_valid(c, "the table of then");
    buf_fini(&text);
    return ok ? put(c, &next, false) : false;
}

static bool history(struct change *c)
{
    begin(c);
    route_store_history(c->source, on_done, c);
    if (!wait_for(c)) return failed(c, "the history");
    struct route_change *asked = c->asked;
    asked->past_count = c->source->history_count;
    asked->past = calloc(asked->past_count + 1, sizeof *asked->past);
    if (!asked->past) return refused(c, "out of memory");
    if (asked->past_count)
        memcpy(asked->past, c->source->history, asked->past_count * sizeof *asked->past);
    return true;
}

/* ---- from outside --------------------------------------------------------------------------- */

static bool carry_out(struct change *c)
{
    switch (c->asked->kind) {
    case ROUTE_CHANGE_PUBLISH: return publish(c);
    case ROUTE_CHANGE_ACTIVATE: return activate(c);
    case ROUTE_CHANGE_ROLLBACK: return rollback(c);
    default: return history(c);
    }
}

bool route_change_run(struct route_change *asked)
{
    struct change c = { .asked = asked, .config = asked->config };
    return close_change(&c, open_change(&c) && carry_out(&c));
}

void route_change_fini(struct route_change *asked)
{
    free(asked->past);
    asked->past = NULL;
    buf_fini(&asked->said);
    buf_fini(&asked->result);
    config_unref(asked->config);
    asked->config = NULL;
}
