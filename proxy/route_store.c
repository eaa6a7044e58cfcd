#include "proxy/route_store.h"

#include "protocol/json.h"
#include "proxy/io/tls_context.h"
#include "proxy/ops/env_file.h"
#include "proxy/random.h"
#include "routing/table.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- trust ---------------------------------------------------------------------------------- */

enum {
    CONNECT_TIMEOUT_MS = 3000,
    COMMAND_TIMEOUT_MS = 3000,
    PING_MS = 5000,
    ANSWER_BYTES = TABLE_CAP_BYTES + (1 << 16),
    MESSAGE_BYTES = 1 << 16, /* of a connection that listens */
};

static bool resolve(const struct secret_ref *ref, struct config *config, struct buf *out,
                    struct err *err)
{
    struct problems problems = { 0 };
    struct env_file *env = config->env_file ? env_file_load(config->env_file, &problems) : NULL;
    bool ok = secret_resolve(ref, env, out, err);
    env_file_free(env);
    problems_fini(&problems);
    return ok;
}

static bool read_keys(struct route_trust *t, struct config *config, struct err *err)
{
    bool ok = resolve(&config->routes.signing_key, config, &t->text, err);
    struct slice rest = buf_slice(&t->text);
    while (ok && rest.len && t->trust.key_count < ROUTE_STORE_KEYS_MAX) {
        const char *end = memchr(rest.at, '\n', rest.len);
        struct slice line = { rest.at, end ? (size_t)(end - rest.at) : rest.len };
        rest = slice_after(rest, line.len + 1);
        if (line.len) t->keys[t->trust.key_count++] = line;
    }
    return ok;
}

bool route_trust_init(struct route_trust *t, struct config *config, struct err *err)
{
    const char *scope = config->server_id ? config->server_id : "sluice";
    *t = (struct route_trust){ .text = { .secret = true } };
    t->trust = (struct cache_trust){ .scope = slice_str(scope), .keys = t->keys };
    if (config->routes.signing_key.kind != SECRET_ABSENT && !read_keys(t, config, err))
        return false;
    if (config->routes.cache && t->trust.key_count == 0)
        return err_set(err, ERR_CONFIG, "routes.cache needs a signing_key");
    return cache_trust_check(&t->trust, err);
}

void route_trust_fini(struct route_trust *t) { buf_wipe(&t->text); }

/* ---- the cache ------------------------------------------------------------------------------ */

static struct tls_context *new_tls(const struct config *config, struct err *err)
{
    struct tls_client_options options = {
        .ca = { .name = config->routes.cache_ca },
        .system_ca = true,
        .verify = TLS_VERIFY_FULL,
        .peer = "the cache",
        .ca_setting = "routes.cache_ca",
    };
    return tls_context_client(&options, err);
}

struct redis *route_store_connect(struct stream_loop *streams, struct config *config,
                                  struct slice channel, const struct redis_events *events,
                                  void *owner, struct err *err)
{
    const struct config_routes *routes = &config->routes;
    struct buf password = { .secret = true };
    struct redis_options o = {
        .user = slice_str(routes->cache_user),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .command_timeout_ms = COMMAND_TIMEOUT_MS,
        .ping_ms = PING_MS,
        .answer_cap_bytes = channel.len ? MESSAGE_BYTES : ANSWER_BYTES,
        .channel = channel,
        .seed = random_u64(),
    };
    struct redis *redis = NULL;
    bool ok = redis_target_parse(&o.target, slice_str(routes->cache), err);
    if (ok && routes->cache_password.kind != SECRET_ABSENT)
        ok = resolve(&routes->cache_password, config, &password, err);
    if (ok && o.target.tls) ok = (o.tls = new_tls(config, err)) != NULL;
    o.password = buf_slice(&password);
    if (ok && !(redis = redis_open(streams, &o, events, owner)))
        err_set(err, ERR_OUT_OF_MEMORY, "");
    tls_context_unref(o.tls);
    buf_wipe(&password);
    return redis;
}

/* ---- what all kinds share ------------------------------------------------------------------- */

void route_store_init(struct route_store *s, const struct route_store_kind *kind)
{
    *s = (struct route_store){ .kind = kind };
}

void route_store_fini(struct route_store *s)
{
    buf_fini(&s->document);
    problems_fini(&s->problems);
    free(s->history);
}

void route_store_end(struct route_store *s, const struct err *err)
{
    route_store_done *done = s->done;
    s->done = NULL;
    if (done) done(s->owner, err);
}

void route_store_set_document(struct route_store *s, struct slice text)
{
    buf_fini(&s->document);
    buf_add_slice(&s->document, text);
}

struct dynamo_active *route_store_add_history(struct route_store *s)
{
    if (!s->history) s->history = calloc(ROUTE_STORE_HISTORY, sizeof *s->history);
    if (!s->history || s->history_count >= ROUTE_STORE_HISTORY) return NULL;
    return &s->history[s->history_count++];
}

void route_store_hash(char hash[65], struct slice document)
{
    struct cache_head head;
    cache_head_of(&head, 0, document);
    for (size_t i = 0; i < CACHE_HASH_BYTES; i++) snprintf(hash + 2 * i, 3, "%02x", head.hash[i]);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, slice_str(text));
}

void route_store_write_record(struct buf *out, const struct dynamo_active *a)
{
    buf_addf(out, "{\"generation\":%llu", (unsigned long long)a->generation);
    add_text(out, "hash", a->hash);
    add_text(out, "author", a->author);
    add_text(out, "time", a->time);
    add_text(out, "action", a->action);
    if (a->note[0]) add_text(out, "note", a->note);
    buf_add_str(out, "}\n");
}

static void read_text(const struct json_value *v, const char *name, char *out, size_t cap)
{
    const struct json_value *member = json_member(v, slice_str(name));
    struct slice text = member ? json_string(member) : (struct slice){ 0 };
    snprintf(out, cap, "%.*s", (int)(text.len < cap ? text.len : cap - 1), text.at ? text.at : "");
}

bool route_store_read_record(struct slice line, struct dynamo_active *a)
{
    struct json_error error;
    struct json_doc *doc = json_parse(line, 4096, &error);
    int64_t generation = 0;
    *a = (struct dynamo_active){ 0 };
    if (!doc) return false;
    const struct json_value *v = json_root(doc);
    const struct json_value *number = json_member(v, slice_str("generation"));
    bool ok = number && json_integer(number, &generation) && generation >= 0;
    a->generation = (uint64_t)generation;
    if (ok) {
        read_text(v, "hash", a->hash, sizeof a->hash);
        read_text(v, "author", a->author, sizeof a->author);
        read_text(v, "time", a->time, sizeof a->time);
        read_text(v, "action", a->action, sizeof a->action);
        read_text(v, "note", a->note, sizeof a->note);
        ok = strlen(a->hash) == 64 && strspn(a->hash, "0123456789abcdef") == 64;
    }
    json_free(doc);
    return ok;
}

/* ---- the operations ------------------------------------------------------------------------- */

static void begin(struct route_store *s, route_store_done *done, void *owner)
{
    s->done = done;
    s->owner = owner;
}

void route_store_look(struct route_store *s, route_store_done *done, void *owner)
{
    begin(s, done, owner);
    s->verdict = CACHE_MISSING;
    s->has_document = false;
    s->bytes = 0;
    s->active = (struct dynamo_active){ 0 };
    problems_fini(&s->problems);
    s->kind->look(s);
}

void route_store_fetch(struct route_store *s, const struct dynamo_active *which,
                       route_store_done *done, void *owner)
{
    begin(s, done, owner);
    s->kind->fetch(s, which);
}

void route_store_put(struct route_store *s, struct slice document, const struct dynamo_active *next,
                     bool as_candidate, route_store_done *done, void *owner)
{
    begin(s, done, owner);
    s->kind->put(s, document, next, as_candidate);
}

void route_store_candidate(struct route_store *s, route_store_done *done, void *owner)
{
    begin(s, done, owner);
    s->candidate = (struct dynamo_active){ 0 };
    s->kind->candidate(s);
}

void route_store_history(struct route_store *s, route_store_done *done, void *owner)
{
    begin(s, done, owner);
    s->history_count = 0;
    s->kind->history(s);
}

struct route_store *route_store_open(const struct route_store_setup *setup, struct err *err)
{
    struct slice source = slice_str(setup->config->routes.source);
    struct route_store *s = NULL;
    err_set(err, ERR_OUT_OF_MEMORY, "");
    if (slice_starts(source, "file:")) s = route_store_file(setup);
    if (slice_starts(source, "dynamodb:")) s = route_store_dynamo(setup, err);
    if (slice_starts(source, "redis:")) s = route_store_redis(setup, true);
    return s;
}

void route_store_close(struct route_store *s)
{
    if (!s) return;
    s->done = NULL;
    s->kind->close(s);
}
