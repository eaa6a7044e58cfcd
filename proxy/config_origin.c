#include "proxy/config_origin.h"

#include "auth/aws_object_store.h"
#include "auth/aws_secret_store.h"
#include "proxy/aws_errand.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct config_origin {
    struct wheel wheel;
    struct aws_identity *identity;
    struct aws_errand errand;
    char *name;
    struct slice parameter;  /* SSM */
    struct s3_object object; /* S3 */
    bool is_s3, busy;
    struct buf text;
    char version[CONFIG_ORIGIN_VERSION_BYTES];
    config_origin_done *done;
    void *owner;
};

static const char *after(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

bool config_origin_is_remote(const char *name) { return after(name, "ssm:") || after(name, "s3:"); }

/* ---- one call -------------------------------------------------------------------------------- */

static struct config_origin *source_of(struct aws_errand *e)
{
    return list_item(e, struct config_origin, errand);
}

static bool build(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    const struct config_origin *s = source_of(e);
    bool ok = s->is_s3 ? s3_object_request(&s->object, signer, request)
                       : ssm_parameter_request(s->parameter, signer, request);
    return ok || err_set(err, ERR_OUT_OF_MEMORY, "");
}

static bool read_answer(struct aws_errand *e, const struct aws_response *response,
                        struct aws_error *error)
{
    struct config_origin *s = source_of(e);
    buf_wipe(&s->text);
    if (s->is_s3) return s3_object_answer(response, &s->text, s->version, error);
    if (!ssm_parameter_answer(response, &s->text, error)) return false;
    snprintf(s->version, sizeof s->version, "%lld", (long long)ssm_parameter_version(response));
    return true;
}

static void on_done(struct aws_errand *e, const struct err *err, bool for_good)
{
    struct config_origin *s = source_of(e);
    struct buf text = s->text;
    (void)for_good;
    s->text = (struct buf){ .secret = true };
    s->busy = false;
    s->done(s->owner, buf_slice(&text), s->version, err);
    buf_wipe(&text);
}

static const struct aws_errand_kind asking = { .build = build,
                                               .read = read_answer,
                                               .done = on_done };

/* ---- life ------------------------------------------------------------------------------------ */

static bool read_name(struct config_origin *s, const char *name, struct err *err)
{
    s->name = strdup(name);
    if (!s->name) return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    const char *parameter = after(s->name, "ssm:"), *object = after(s->name, "s3://");
    s->is_s3 = object != NULL;
    s->parameter = slice_str(parameter);
    if (object && s3_object_parse(slice_str(object), &s->object)) return true;
    if (parameter && *parameter) return true;
    err_set(err, ERR_CONFIG, "\"%s\" is neither ssm:NAME nor s3://BUCKET/KEY", name);
    return err_hint(err, "keys in S3 are of letters, digits and -_.~/ here"), false;
}

/* As a configuration without any `aws` has it: all comes from the environment. */
static bool take_identity(struct config_origin *s, uv_loop_t *uv, struct http *http,
                          struct err *err)
{
    struct buf key = { 0 }, region = { 0 };
    struct config *nothing = config_keeper_new();
    if (!nothing) return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    struct config_aws settings = aws_identity_settings(nothing, NULL, &region);
    settings.session_name = (char *)(uintptr_t) "sluice";
    aws_identity_key(&settings, &key);
    s->identity = aws_identity_new(uv, http, nothing, &settings, buf_slice(&key), err);
    config_unref(nothing);
    buf_fini(&key);
    buf_fini(&region);
    return s->identity || err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
}

struct config_origin *config_origin_open(uv_loop_t *uv, struct http *http, const char *name,
                                         struct err *err)
{
    struct config_origin *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    s->text.secret = true;
    if (!read_name(s, name, err) || !take_identity(s, uv, http, err)) {
        config_origin_free(s);
        return NULL;
    }
    wheel_init(&s->wheel, uv);
    aws_errand_init(&s->errand, &asking, s->identity, &s->wheel);
    return s;
}

void config_origin_close(struct config_origin *s)
{
    if (!s || !s->identity) return;
    aws_errand_stop(&s->errand);
    aws_identity_free(s->identity);
    s->identity = NULL;
    buf_wipe(&s->text);
    wheel_fini(&s->wheel);
}

void config_origin_free(struct config_origin *s)
{
    if (s) free(s->name);
    free(s);
}

bool config_origin_fetch(struct config_origin *s, config_origin_done *done, void *owner)
{
    if (s->busy) return false;
    s->busy = true;
    s->done = done;
    s->owner = owner;
    aws_errand_start(&s->errand, s->is_s3 ? AWS_S3 : AWS_SSM,
                     s->is_s3 ? "s3 GetObject" : "ssm GetParameter");
    return true;
}

/* ---- as a configuration ---------------------------------------------------------------------- */

static struct config *parse(const char *name, struct slice text, bool has_files,
                            struct problems *problems)
{
    struct config_world world = {
        .path = name,
        .directory = CONFIG_ORIGIN_DIRECTORY,
        .now_s = (uint64_t)time(NULL),
        .has_files = has_files,
    };
    return config_parse(text, &world, problems);
}

struct config *config_origin_parse(const char *name, struct slice text, struct problems *problems)
{
    return parse(name, text, true, problems);
}

struct loading {
    const char *name;
    char *version;
    bool has_files;
    struct problems *problems;
    struct config *config;
    bool over;
};

static void on_loaded(void *owner, struct slice text, const char *version, const struct err *err)
{
    struct loading *l = owner;
    l->over = true;
    if (err) {
        problem_error(l->problems, 0, "cannot fetch: %s%s%s", err->message,
                      err->hint[0] ? "; " : "", err->hint);
        return;
    }
    if (l->version) snprintf(l->version, CONFIG_ORIGIN_VERSION_BYTES, "%s", version);
    l->config = parse(l->name, text, l->has_files, l->problems);
}

static void load_on(uv_loop_t *loop, struct loading *l)
{
    struct err err;
    struct http *http = aws_client_open(loop);
    struct config_origin *s = NULL;
    if (!http)
        problem_error(l->problems, 0, "out of memory");
    else if (!(s = config_origin_open(loop, http, l->name, &err)))
        problem_error(l->problems, 0, "%s%s%s", err.message, err.hint[0] ? "; " : "", err.hint);
    else if (config_origin_fetch(s, on_loaded, l))
        while (!l->over) uv_run(loop, UV_RUN_ONCE);
    config_origin_close(s);
    http_close(http);
    uv_run(loop, UV_RUN_NOWAIT);
    config_origin_free(s);
}

static struct config *load(struct loading *l)
{
    uv_loop_t loop;
    uv_async_t alive; /* the wheel alone keeps no loop running */
    if (l->version) *l->version = 0;
    if (!config_origin_is_remote(l->name))
        return l->has_files ? config_load(l->name, l->problems) : config_look(l->name, l->problems);
    if (uv_loop_init(&loop) != 0 || uv_async_init(&loop, &alive, NULL) != 0) {
        problem_error(l->problems, 0, "no event loop for fetching the configuration");
        return NULL;
    }
    load_on(&loop, l);
    uv_close((uv_handle_t *)&alive, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return l->config;
}

struct config *config_origin_load(const char *name, char version[CONFIG_ORIGIN_VERSION_BYTES],
                                  struct problems *problems)
{
    return load(&(struct loading){
        .name = name, .version = version, .has_files = true, .problems = problems });
}

struct config *config_origin_look(const char *name, struct problems *problems)
{
    return load(&(struct loading){ .name = name, .problems = problems });
}
