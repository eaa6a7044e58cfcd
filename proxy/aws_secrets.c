#include "proxy/aws_secrets.h"

#include "auth/aws_secret_store.h"
#include "auth/hash.h"
#include "auth/secret.h"
#include "proxy/aws_errand.h"

#include <stdlib.h>

struct item {
    char *path; /* the directive, for messages */
    struct secret_ref *ref;
};

struct aws_secrets {
    uv_loop_t *uv;
    struct http *http;
    struct wheel wheel;
    struct aws_identity *identity; /* NULL: nothing was fetched yet */
    struct aws_errand errand;
    struct config *config; /* being filled; NULL: nothing is under way */
    struct problems *problems;
    struct item *items;
    size_t count, at;
    struct buf value; /* between the errand's read and its end */
    bool failed;
    aws_secrets_done *done;
    void *owner;
};

/* ---- references ----------------------------------------------------------------------------- */

static void see_need(void *arg, const char *path, struct secret_ref *ref)
{
    (void)path;
    *(bool *)arg |= secret_needs_aws(ref);
}

bool aws_secrets_needed(struct config *config)
{
    bool needed = false;
    config_each_secret(config, see_need, &needed);
    return needed;
}

/* A digest over every reference and what it was answered with. */
static void mix(void *arg, const char *path, struct secret_ref *ref)
{
    uint8_t *digest = arg;
    struct slice parts[] = { slice_of((const char *)digest, SHA256_BYTES), slice_str(path),
                             slice_str(ref->text), slice_of("", 1), secret_bytes(ref->fetched) };
    uint8_t next[SHA256_BYTES] = { 0 };
    hash_sha256(next, parts, sizeof parts / sizeof *parts);
    memcpy(digest, next, sizeof next);
}

bool aws_secrets_equal(struct config *a, struct config *b)
{
    uint8_t ours[SHA256_BYTES] = { 0 }, theirs[SHA256_BYTES] = { 0 };
    config_each_secret(a, mix, ours);
    config_each_secret(b, mix, theirs);
    return memcmp(ours, theirs, sizeof ours) == 0;
}

static void add_item(void *arg, const char *path, struct secret_ref *ref)
{
    struct aws_secrets *s = arg;
    if (!secret_needs_aws(ref) || ref->fetched || s->failed) return;
    struct item *items = realloc(s->items, (s->count + 1) * sizeof *items);
    char *copy = strdup(path);
    if (items) s->items = items;
    if (!items || !copy) {
        free(copy);
        s->failed = true;
        return;
    }
    s->items[s->count].path = copy;
    s->items[s->count++].ref = ref;
}

/* The same reference further up the list, whose value is there by now. */
static const struct secret *found_before(const struct aws_secrets *s, const struct secret_ref *ref)
{
    for (size_t i = 0; i < s->at; i++) {
        const struct secret_ref *other = s->items[i].ref;
        if (other->kind == ref->kind && other->fetched && strcmp(other->text, ref->text) == 0)
            return other->fetched;
    }
    return NULL;
}

/* ---- one of them ---------------------------------------------------------------------------- */

static struct aws_secrets *secrets_of(struct aws_errand *e)
{
    return list_item(e, struct aws_secrets, errand);
}

/* "id#key": the id, and the key (empty: there is none). */
static struct slice split_id(const struct secret_ref *ref, struct slice *key)
{
    struct slice id = slice_str(ref->text);
    const char *hash = memchr(id.at, '#', id.len);
    *key = hash ? slice_after(id, (size_t)(hash - id.at) + 1) : (struct slice){ 0 };
    if (hash) id.len = (size_t)(hash - id.at);
    return id;
}

static bool build(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    const struct aws_secrets *s = secrets_of(e);
    const struct secret_ref *ref = s->items[s->at].ref;
    struct slice key, id = split_id(ref, &key);
    bool ok = ref->kind == SECRET_SSM ? ssm_parameter_request(id, signer, request)
                                      : secrets_manager_request(id, signer, request);
    return ok || err_set(err, ERR_OUT_OF_MEMORY, "");
}

static bool read_answer(struct aws_errand *e, const struct aws_response *response,
                        struct aws_error *error)
{
    struct aws_secrets *s = secrets_of(e);
    const struct secret_ref *ref = s->items[s->at].ref;
    struct slice key;
    split_id(ref, &key);
    buf_wipe(&s->value);
    return ref->kind == SECRET_SSM ? ssm_parameter_answer(response, &s->value, error)
                                   : secrets_manager_answer(response, key, &s->value, error);
}

static void proceed(struct aws_secrets *s);

static void refuse(struct aws_secrets *s, const struct err *err)
{
    const struct item *item = &s->items[s->at];
    char name[256];
    s->failed = true;
    problem_error(s->problems, item->ref->line, "%s: %s: %s%s%s", item->path,
                  secret_describe(item->ref, name, sizeof name), err->message,
                  err->hint[0] ? "; " : "", err->hint);
}

static void on_done(struct aws_errand *e, const struct err *err, bool for_good)
{
    struct aws_secrets *s = secrets_of(e);
    struct secret_ref *ref = s->items[s->at].ref;
    struct err why;
    if (!err) {
        ref->fetched = secret_new(buf_slice(&s->value));
        if (!ref->fetched) {
            err_set(&why, ERR_OUT_OF_MEMORY, "out of memory");
            err = &why;
        }
    }
    buf_wipe(&s->value);
    if (err) refuse(s, err);
    s->at++;
    /* Where AWS cannot be reached, the others need not be tried; they fail alike. */
    for (; err && !for_good && s->at < s->count; s->at++) refuse(s, err);
    proceed(s);
}

static const struct aws_errand_kind asking = { .build = build,
                                               .read = read_answer,
                                               .done = on_done };

/* ---- all of them ---------------------------------------------------------------------------- */

static void clear(struct aws_secrets *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->items[i].path);
    free(s->items);
    s->items = NULL;
    s->count = s->at = 0;
    buf_wipe(&s->value);
    config_unref(s->config);
    s->config = NULL;
}

static void finish(struct aws_secrets *s)
{
    bool ok = !s->failed;
    clear(s);
    s->done(s->owner, ok);
}

static void proceed(struct aws_secrets *s)
{
    for (; s->at < s->count; s->at++) {
        struct secret_ref *ref = s->items[s->at].ref;
        const struct secret *known = found_before(s, ref);
        if (!known) break;
        ref->fetched = secret_new(secret_bytes(known));
        s->failed |= !ref->fetched;
    }
    if (s->at == s->count) {
        finish(s);
        return;
    }
    if (s->items[s->at].ref->kind == SECRET_SSM)
        aws_errand_start(&s->errand, AWS_SSM, "ssm GetParameter");
    else
        aws_errand_start(&s->errand, AWS_SECRETS_MANAGER, "secretsmanager GetSecretValue");
}

/* The identity is made anew when the settings are others. */
static bool take_identity(struct aws_secrets *s, struct err *err)
{
    struct buf key = { 0 }, region = { 0 };
    struct config_aws settings = aws_identity_settings(s->config, NULL, &region);
    aws_identity_key(&settings, &key);
    bool same = s->identity && slice_is(buf_slice(&key), s->identity->key);
    if (!same) {
        if (s->identity) aws_identity_free(s->identity);
        s->identity = aws_identity_new(s->uv, s->http, s->config, &settings, buf_slice(&key), err);
    }
    buf_fini(&key);
    buf_fini(&region);
    if (s->identity && !same) aws_errand_init(&s->errand, &asking, s->identity, &s->wheel);
    return s->identity != NULL;
}

void aws_secrets_fetch(struct aws_secrets *s, struct config *config, struct problems *problems,
                       aws_secrets_done *done, void *owner)
{
    struct err err;
    s->config = config_ref(config);
    s->problems = problems;
    s->done = done;
    s->owner = owner;
    s->failed = false;
    config_each_secret(config, add_item, s);
    if (s->failed) problem_error(problems, 0, "out of memory");
    if (s->failed || s->count == 0) {
        finish(s);
    } else if (!take_identity(s, &err)) {
        problem_error(problems, config->aws.line, "aws: %s", err.message);
        s->failed = true;
        finish(s);
    } else {
        proceed(s);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

struct aws_secrets *aws_secrets_open(uv_loop_t *uv, struct http *http)
{
    struct aws_secrets *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->uv = uv;
    s->http = http;
    s->value.secret = true;
    wheel_init(&s->wheel, uv);
    return s;
}

void aws_secrets_close(struct aws_secrets *s)
{
    if (!s) return;
    if (s->identity) {
        aws_errand_stop(&s->errand);
        aws_identity_free(s->identity);
        s->identity = NULL;
    }
    clear(s);
    wheel_fini(&s->wheel);
}

void aws_secrets_free(struct aws_secrets *s) { free(s); }

struct loading {
    bool over, ok;
};

static void on_loaded(void *owner, bool ok)
{
    *(struct loading *)owner = (struct loading){ true, ok };
}

bool aws_secrets_load(struct config *config, struct problems *problems)
{
    uv_loop_t loop;
    uv_async_t alive; /* the wheel alone keeps no loop running */
    struct loading loading = { 0 };
    if (!aws_secrets_needed(config)) return true;
    if (uv_loop_init(&loop) != 0) {
        problem_error(problems, 0, "no event loop for fetching secrets");
        return false;
    }
    bool is_alive = uv_async_init(&loop, &alive, NULL) == 0;
    struct http *http = is_alive ? aws_client_open(&loop) : NULL;
    struct aws_secrets *s = http ? aws_secrets_open(&loop, http) : NULL;
    if (s) {
        aws_secrets_fetch(s, config, problems, on_loaded, &loading);
        while (!loading.over) uv_run(&loop, UV_RUN_ONCE);
    } else {
        problem_error(problems, 0, "out of memory");
    }
    aws_secrets_close(s);
    http_close(http);
    if (is_alive) uv_close((uv_handle_t *)&alive, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    aws_secrets_free(s);
    uv_loop_close(&loop);
    return loading.ok;
}
