#include "proxy/route_world.h"

#include "proxy/ops/file.h"
#include "proxy/shim.h"

#include <stdio.h>
#include <stdlib.h>

enum { ZONE_FILE_BYTES = 1 << 20 };

/* The bytes of a compiled time zone; zone_is_name has seen to it that the name is no path. */
static struct slice find_zone(void *arg, struct slice name)
{
    struct route_world *w = arg;
    char path[128];
    struct err e;
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", SLICE_ARG(name));
    buf_fini(&w->zone);
    if (!file_read(path, ZONE_FILE_BYTES, &w->zone, &e)) return (struct slice){ 0 };
    return buf_slice(&w->zone);
}

void route_world_pool(const struct config *config, struct config *keeper,
                      const struct json_value *object, struct config_pool *pool,
                      struct problems *problems)
{
    *pool = config->pool;
    config_read_pool(keeper, object, pool, problems);
    for (size_t i = 0; i < pool->local_answers.count; i++)
        if (!shim_exists(slice_str(pool->local_answers.items[i])))
            problem_error(problems, json_line(object),
                          "pool.local_answers: there is no answer \"%s\"",
                          pool->local_answers.items[i]);
}

static void check_pool(void *arg, uint32_t rule, const struct json_value *object,
                       struct problems *problems)
{
    struct route_world *w = arg;
    struct config_pool pool;
    (void)rule;
    route_world_pool(w->config, w->config, object, &pool, problems);
}

static struct slice *add_list(struct slice *at, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) *at++ = slice_str(list->items[i]);
    return at;
}

static void fill_users(const struct config *config, struct table_user *users)
{
    for (size_t i = 0; i < config->n_users; i++) {
        const struct config_user *u = &config->users[i];
        users[i] = (struct table_user){ slice_str(u->name), slice_str(u->role),
                                        slice_str(config_db_user(u)) };
    }
}

static struct slice *fill_roles(const struct config *config, struct table_role *roles,
                                struct slice *names)
{
    for (size_t i = 0; i < config->n_roles; i++) {
        const struct config_role *r = &config->roles[i];
        roles[i] = (struct table_role){ slice_str(r->name), names, (uint32_t)r->db_users.count };
        names = add_list(names, &r->db_users);
    }
    return names;
}

static void fill_clusters(const struct config *config, struct table_cluster *clusters,
                          struct slice *names)
{
    for (size_t i = 0; i < config->n_clusters; i++) {
        const struct config_cluster *c = &config->clusters[i];
        const struct config_secrets *users = &c->credentials.users;
        bool is_static = c->credentials.source == CONFIG_SOURCE_STATIC;
        clusters[i] =
            (struct table_cluster){ slice_str(c->name), is_static, names, (uint32_t)users->count };
        for (size_t u = 0; u < users->count; u++) *names++ = slice_str(users->items[u].name);
    }
}

bool route_world_init(struct route_world *w, struct config *config)
{
    size_t names = 1;
    for (size_t i = 0; i < config->n_roles; i++) names += config->roles[i].db_users.count;
    for (size_t i = 0; i < config->n_clusters; i++)
        names += config->clusters[i].credentials.users.count;
    struct table_user *users = calloc(config->n_users + 1, sizeof *users);
    struct table_role *roles = calloc(config->n_roles + 1, sizeof *roles);
    struct table_cluster *clusters = calloc(config->n_clusters + 1, sizeof *clusters);
    *w = (struct route_world){ .config = config, .names = calloc(names, sizeof *w->names) };
    w->table = (struct table_world){ .users = users,
                                     .roles = roles,
                                     .clusters = clusters,
                                     .user_count = (uint32_t)config->n_users,
                                     .role_count = (uint32_t)config->n_roles,
                                     .cluster_count = (uint32_t)config->n_clusters,
                                     .zone = find_zone,
                                     .pool = check_pool,
                                     .answer = shim_exists,
                                     .arg = w };
    if (!users || !roles || !clusters || !w->names) return false;
    fill_users(config, users);
    fill_clusters(config, clusters, fill_roles(config, roles, w->names));
    return true;
}

void route_world_fini(struct route_world *w)
{
    free((void *)w->table.users);
    free((void *)w->table.roles);
    free((void *)w->table.clusters);
    free(w->names);
    buf_fini(&w->zone);
    *w = (struct route_world){ 0 };
}

struct route_table *route_world_load(struct route_world *w, const char *path,
                                     struct problems *problems)
{
    struct buf text = { 0 };
    struct err e;
    struct route_table *t = NULL;
    if (file_read(path, TABLE_CAP_BYTES, &text, &e))
        t = table_load(buf_slice(&text), &w->table, problems);
    else
        problem_error(problems, 0, "%s", e.message);
    buf_fini(&text);
    return t;
}

const char *route_world_path(const struct config *config)
{
    const char *source = config->routes.source;
    return source && strncmp(source, "file:", 5) == 0 ? source + 5 : NULL;
}
