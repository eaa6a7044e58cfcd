#include "proxy/ops/config.h"

#include "auth/redshift_credentials.h"
#include "auth/secret.h"
#include "proxy/ops/config_table.h"
#include "proxy/ops/file.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* The directory part of a path; empty for a bare file name. */
static struct slice directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return slice_of(path, 0);
    return slice_of(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A cluster's own AWS settings, where absent, are the top level's; `ca` has two places. */
static void inherit(struct config_loaded *loaded)
{
    struct config *config = &loaded->config;
    for (size_t i = 0; i < config->n_clusters; i++) {
        struct config_cluster *cluster = &config->clusters[i];
        struct config_aws *own = &cluster->aws;
        const struct config_aws *top = &config->aws;
        /* The host name knows its region better than the top level. */
        struct redshift_host host;
        if (!own->region && redshift_host_parse(slice_str(cluster->endpoint.host), &host))
            own->region = config_copy(&loaded->arena, host.region);
        if (!own->region) own->region = top->region;
        if (!own->profile) own->profile = top->profile;
        if (!own->session_name) own->session_name = top->session_name;
        /* The external id belongs to the role, so the two go together. */
        if (!own->assume_role_arn && own->external_id.kind == SECRET_ABSENT) {
            own->assume_role_arn = top->assume_role_arn;
            own->external_id = top->external_id;
        }
        if (!cluster->ca) cluster->ca = cluster->tls.ca;
        if (!cluster->tls.ca) cluster->tls.ca = cluster->ca;
    }
}

bool config_has_certificate(const struct config_listen_tls *tls)
{
    return tls->certificate || tls->certificate_secret.kind != SECRET_ABSENT;
}

/* A listener with a certificate wants TLS, unless it says otherwise. */
static void choose_tls_mode(struct config_listen_tls *tls, const struct json_doc *doc)
{
    const struct json_value *object = tls->line ? json_at(doc, tls->node) : NULL;
    const struct json_value *mode = object ? json_member(object, slice_str("mode")) : NULL;
    bool is_said = mode && json_type(mode) != JSON_NULL;
    if (!is_said && config_has_certificate(tls)) tls->mode = CONFIG_TLS_REQUIRE;
}

static struct config_loaded *read_document(struct slice text, const struct json_doc *doc,
                                           const struct config_world *world,
                                           struct problems *problems)
{
    struct config_loaded *loaded = calloc(1, sizeof *loaded);
    if (!loaded) {
        problem_error(problems, 0, "out of memory");
        return NULL;
    }
    atomic_init(&loaded->references, 1);
    struct config *config = &loaded->config;
    struct config_reader reader = { .doc = doc,
                                    .arena = &loaded->arena,
                                    .problems = problems,
                                    .directory = world->directory ? slice_str(world->directory)
                                                                  : directory_of(world->path) };
    config_read_section(&reader, config_section_top, "", json_root(doc), false, config);
    config->name = config_copy(&loaded->arena, slice_str(world->path));
    if (world->directory)
        loaded->directory = config_copy(&loaded->arena, slice_str(world->directory));
    loaded->text = slice_of(config_copy(&loaded->arena, text), text.len);
    if (loaded->arena.failed) problem_error(problems, 0, "out of memory");
    return loaded;
}

struct config *config_parse(struct slice text, const struct config_world *world,
                            struct problems *problems)
{
    size_t errors_before = problems->errors;
    struct json_error error;
    struct json_doc *doc = json_parse(text, CONFIG_CAP_BYTES, &error);
    if (!doc) {
        problem_error(problems, error.line, "%s (column %u)", error.text, error.column);
        return NULL;
    }
    struct config_loaded *loaded = NULL;
    if (json_type(json_root(doc)) != JSON_OBJECT)
        problem_error(problems, json_line(json_root(doc)), "the document must be an object, not %s",
                      json_type_name(json_type(json_root(doc))));
    else
        loaded = read_document(text, doc, world, problems);
    if (loaded && !loaded->arena.failed) {
        struct config *config = &loaded->config;
        for (size_t i = 0; i < config->n_listen; i++) choose_tls_mode(&config->listen[i].tls, doc);
        choose_tls_mode(&config->admin.tls, doc);
        config_check(config, doc, world, problems);
        inherit(loaded);
    }
    json_free(doc);
    problems_sort(problems);
    if (problems->errors == errors_before && loaded) return &loaded->config;
    if (loaded) config_unref(&loaded->config);
    return NULL;
}

static struct config *load(const char *path, bool has_files, struct problems *problems)
{
    struct buf text = { 0 };
    struct config *config = NULL;
    struct config_world world = {
        .path = path,
        .now_s = (uint64_t)time(NULL),
        .has_files = has_files,
    };
    struct err err;
    if (file_read(path, CONFIG_CAP_BYTES, &text, &err))
        config = config_parse(buf_slice(&text), &world, problems);
    else
        problem_error(problems, 0, "cannot read: %s", err.message);
    buf_wipe(&text);
    return config;
}

struct config *config_load(const char *path, struct problems *problems)
{
    return load(path, true, problems);
}

struct config *config_look(const char *path, struct problems *problems)
{
    return load(path, false, problems);
}

/* ---- secrets ---------------------------------------------------------------------------------*/

struct visit {
    config_visit_secret *visit;
    void *arg;
    struct buf path;
};

static void visit_section(struct visit *v, const struct config_section *section, void *values);

/* The path is made longer for what is inside, and then as it was. */
__attribute__((format(printf, 2, 3))) static uint32_t enter(struct visit *v, const char *format,
                                                            ...)
{
    uint32_t before = v->path.len;
    va_list args;
    va_start(args, format);
    buf_vaddf(&v->path, format, args);
    va_end(args);
    return before;
}

static void leave(struct visit *v, uint32_t before) { buf_truncate(&v->path, before); }

static void visit_one(struct visit *v, struct secret_ref *ref)
{
    buf_add_u8(&v->path, 0);
    v->visit(v->arg, v->path.failed ? "" : v->path.at, ref);
    if (!v->path.failed) buf_truncate(&v->path, v->path.len - 1);
}

static void visit_items(struct visit *v, const struct config_field *field, void *values)
{
    char *items = *(char **)config_member(field, values);
    for (size_t i = 0; i < *config_member_count(field, values); i++) {
        void *item = items + i * field->section->size;
        const struct config_head *head = item;
        uint32_t before = head->name ? enter(v, ".%s", head->name) : enter(v, "[%zu]", i);
        visit_section(v, field->section, item);
        leave(v, before);
    }
}

static void visit_secrets(struct visit *v, struct config_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        uint32_t before = enter(v, ".%s", secrets->items[i].name);
        visit_one(v, &secrets->items[i].secret);
        leave(v, before);
    }
}

/* Sections nest three deep at most: config.def is the only source of depth. */
static void visit_section(struct visit *v, const struct config_section *section, void *values)
{
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        void *member = config_member(field, values);
        uint32_t before = enter(v, "%s%s", v->path.len ? "." : "", field->name);
        switch (field->type) {
        case TYPE_SECRET:
        case TYPE_SETTING: visit_one(v, member); break;
        case TYPE_SECRETS: visit_secrets(v, member); break;
        case TYPE_OBJECT: visit_section(v, field->section, member); break;
        case TYPE_OBJECTS:
        case TYPE_MAP: visit_items(v, field, values); break;
        default: break;
        }
        leave(v, before);
    }
}

void config_each_secret(struct config *config, config_visit_secret *visit, void *arg)
{
    struct visit v = { .visit = visit, .arg = arg };
    visit_section(&v, config_section_top, config);
    buf_fini(&v.path);
}

static void forget_secret(void *arg, const char *path, struct secret_ref *ref)
{
    (void)arg;
    (void)path;
    secret_free(ref->fetched);
    ref->fetched = NULL;
}

/* ---- sharing ---------------------------------------------------------------------------------*/

static struct config_loaded *loaded_of(struct config *config)
{
    return (struct config_loaded *)(void *)config;
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&loaded_of(config)->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (!config) return;
    struct config_loaded *loaded = loaded_of(config);
    /* Acquire and release: the last one must see what all others did before they let go. */
    if (atomic_fetch_sub_explicit(&loaded->references, 1, memory_order_acq_rel) != 1) return;
    if (!loaded->arena.failed) config_each_secret(config, forget_secret, NULL);
    config_arena_fini(&loaded->arena);
    free(loaded);
}

struct slice config_text(const struct config *config)
{
    return ((const struct config_loaded *)(const void *)config)->text;
}

struct config *config_again(const struct config *config, struct problems *problems)
{
    const struct config_loaded *loaded = (const struct config_loaded *)(const void *)config;
    struct config_world world = { .path = config->name,
                                  .directory = loaded->directory,
                                  .now_s = (uint64_t)time(NULL) };
    return config_parse(loaded->text, &world, problems);
}

struct config *config_keeper_new(void)
{
    struct config_loaded *loaded = calloc(1, sizeof *loaded);
    if (!loaded) return NULL;
    atomic_init(&loaded->references, 1);
    return &loaded->config;
}

bool config_read_pool(struct config *owner, const struct json_value *object,
                      struct config_pool *pool, struct problems *problems)
{
    size_t errors_before = problems->errors;
    struct config_arena *arena = &loaded_of(owner)->arena;
    struct config_reader reader = { .arena = arena, .problems = problems };
    if (json_type(object) != JSON_OBJECT)
        problem_error(problems, json_line(object), "pool: needs an object");
    else
        config_read_section(&reader, config_section_pool, "pool", object, true, pool);
    return problems->errors == errors_before && !arena->failed;
}
