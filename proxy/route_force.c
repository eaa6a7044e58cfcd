#include "proxy/route_force.h"

#include "proxy/ops/file.h"
#include "proxy/route_tally.h"
#include "proxy/route_world.h"

#include <stdlib.h>

/* The route_world first: its own callbacks get the same argument. */
struct making {
    struct route_world world;
    struct route_force *force;
};

static bool make_room(struct route_force *f, uint32_t rule)
{
    if (rule < f->n_pools) return true;
    struct config_pool *pools = realloc(f->pools, (rule + 1) * sizeof *pools);
    if (!pools) return false;
    f->pools = pools;
    while (f->n_pools <= rule) f->pools[f->n_pools++] = f->config->pool;
    return true;
}

static void on_rule_pool(void *arg, uint32_t rule, const struct json_value *object,
                         struct problems *problems)
{
    struct route_force *f = ((struct making *)arg)->force;
    if (make_room(f, rule))
        route_world_pool(f->config, f->keeper, object, &f->pools[rule], problems);
    else
        problem_error(problems, 0, "out of memory");
}

/* Without a document: all goes to the first cluster. */
static struct route_force *force_bare(struct config *config, struct problems *problems)
{
    struct route_force *f = calloc(1, sizeof *f);
    if (!f) {
        problem_error(problems, 0, "out of memory");
        return NULL;
    }
    atomic_init(&f->refs, 1);
    f->config = config_ref(config);
    return f;
}

static void load_table(struct route_force *f, uint64_t newest_version, struct problems *problems)
{
    struct making making = { .force = f };
    if (route_world_init(&making.world, f->config)) {
        making.world.table.pool = on_rule_pool;
        making.world.table.arg = &making;
        making.world.table.newest_version = newest_version;
        f->table = table_load(buf_slice(&f->document), &making.world.table, problems);
    } else {
        problem_error(problems, 0, "out of memory");
    }
    route_world_fini(&making.world);
}

/* Problems of a document within those of something larger: its name goes into the text. */
static void add_problems(const struct problems *from, const char *name, struct problems *to)
{
    for (size_t i = 0; i < from->count; i++)
        (from->items[i].is_error ? problem_error : problem_warning)(
            to, 0, "%s:%u: %s", name, from->items[i].line, from->items[i].text);
}

struct route_force *route_force_new(struct config *config, struct slice document, const char *name,
                                    uint64_t newest_version, struct problems *problems)
{
    struct problems own = { 0 };
    struct route_force *f = force_bare(config, problems);
    if (!f) return NULL;
    f->keeper = config_keeper_new();
    buf_add_slice(&f->document, document);
    if (f->keeper && !f->document.failed)
        load_table(f, newest_version, &own);
    else
        problem_error(&own, 0, "out of memory");
    add_problems(&own, name, problems);
    problems_fini(&own);
    if (f->table) return f;
    route_force_unref(f);
    return NULL;
}

static struct route_force *load_file(struct config *config, const char *path,
                                     struct problems *problems)
{
    struct buf text = { 0 };
    struct err e;
    struct route_force *f = NULL;
    if (file_read(path, TABLE_CAP_BYTES, &text, &e))
        f = route_force_new(config, buf_slice(&text), path, 0, problems);
    else
        problem_error(problems, 0, "%s: %s", path, e.message);
    buf_fini(&text);
    return f;
}

struct route_force *route_force_load(struct config *config, const struct route_force *before,
                                     struct problems *problems)
{
    const char *path = route_world_path(config);
    if (path) return load_file(config, path, problems);
    if (!config->routes.source || !before || !before->table) return force_bare(config, problems);
    return route_force_new(config, buf_slice(&before->document), config->routes.source, 0,
                           problems);
}

struct route_force *route_force_load_shadow(struct config *config, struct problems *problems)
{
    const char *path = config->routes.shadow;
    return path ? load_file(config, path, problems) : force_bare(config, problems);
}

bool route_force_count(struct route_force *f, struct route_stats *stats, uint64_t serial)
{
    uint32_t n = f->table ? route_table_count(f->table) : 0;
    bool ok = true;
    f->serial = serial;
    if (n == 0 || f->stats) return true;
    f->stats = calloc(n, sizeof(struct route_stat *));
    for (uint32_t i = 0; f->stats && i < n; i++) {
        f->stats[i] = route_stats_take(stats, route_rule_hash(f->table, i));
        ok &= f->stats[i] != NULL;
    }
    return ok && f->stats;
}

struct route_force *route_force_ref(struct route_force *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void route_force_unref(struct route_force *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    uint32_t n = f->stats ? route_table_count(f->table) : 0;
    for (uint32_t i = 0; i < n; i++) route_stat_put(f->stats[i]);
    free(f->stats);
    route_table_unref(f->table);
    buf_fini(&f->document);
    free(f->pools);
    config_unref(f->keeper);
    config_unref(f->config);
    free(f);
}

const struct config_pool *route_force_pool(const struct route_force *f, uint32_t rule)
{
    return rule < f->n_pools ? &f->pools[rule] : &f->config->pool;
}
