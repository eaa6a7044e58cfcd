#include "routing/dynamo.h"

#include "routing/dynamo_item.h"

#include <stdlib.h>

/* The configuration table of aws-lambda-redshift-loader (its constants.js and setup.js): each item
 * is an S3 prefix with a list `loadClusters` of targets; before version 2 the item itself was the
 * one target. `connectPassword` and the keys beside it are left alone. */

struct target {
    struct slice user, database;
    const struct dynamo_cluster *cluster;
};

struct targets {
    struct target *items;
    size_t count, cap;
    bool failed;
};

static int slice_order(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int target_order(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    int order = slice_order(x->user, y->user);
    if (order == 0) order = slice_order(x->database, y->database);
    return order ? order : slice_order(x->cluster->name, y->cluster->name);
}

static bool same_login(const struct target *a, const struct target *b)
{
    return slice_eq(a->user, b->user) && slice_eq(a->database, b->database);
}

static const struct dynamo_cluster *cluster_at(const struct dynamo_cluster *clusters,
                                               uint32_t count, struct slice host, uint64_t port)
{
    for (uint32_t i = 0; i < count; i++)
        if (clusters[i].port == port && slice_is_nocase(clusters[i].host, host.at))
            return &clusters[i];
    return NULL;
}

static void read_target(struct targets *t, const struct json_value *v, struct slice prefix,
                        const struct dynamo_cluster *clusters, uint32_t count,
                        struct problems *problems)
{
    struct slice host = dynamo_text(v, "clusterEndpoint"), user = dynamo_text(v, "connectUser"),
                 database = dynamo_text(v, "clusterDB");
    uint64_t port = 5439;
    dynamo_number(v, "clusterPort", &port);
    /* A star would make a rule for more than it names. */
    if (user.len == 0 || database.len == 0 || host.len == 0 || memchr(user.at, '*', user.len) ||
        memchr(database.at, '*', database.len)) {
        problem_warning(problems, 0, "%.*s: names no endpoint, database or user that can be used",
                        SLICE_ARG(prefix));
        return;
    }
    const struct dynamo_cluster *cluster = cluster_at(clusters, count, host, port);
    if (!cluster) {
        problem_warning(problems, 0, "%.*s: no cluster of the configuration is at %.*s:%llu",
                        SLICE_ARG(prefix), SLICE_ARG(host), (unsigned long long)port);
        return;
    }
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct target *items = realloc(t->items, cap * sizeof *items);
        t->failed = t->failed || !items;
        if (!items) return;
        t->items = items;
        t->cap = cap;
    }
    t->items[t->count++] = (struct target){ user, database, cluster };
}

static void write_rule(struct buf *out, const struct target *t, bool first)
{
    struct buf id = { 0 };
    buf_addf(&id, "loader %.*s in %.*s", SLICE_ARG(t->user), SLICE_ARG(t->database));
    buf_add_str(out, first ? "\n{\"id\":" : ",\n{\"id\":");
    json_quote(out, buf_slice(&id));
    buf_add_str(out, ",\"when\":{\"user\":");
    json_quote(out, t->user);
    buf_add_str(out, ",\"database\":");
    json_quote(out, t->database);
    buf_add_str(out, "},\"to\":");
    json_quote(out, t->cluster->name);
    buf_add_u8(out, '}');
    out->failed = out->failed || id.failed;
    buf_fini(&id);
}

static void write_rules(struct buf *out, const struct targets *t, struct problems *problems)
{
    bool first = true;
    for (size_t i = 0, end; i < t->count; i = end) {
        bool one = true;
        for (end = i + 1; end < t->count && same_login(&t->items[i], &t->items[end]); end++)
            one = one && t->items[end].cluster == t->items[i].cluster;
        if (one) {
            write_rule(out, &t->items[i], first);
            first = false;
        } else {
            problem_warning(
                problems, 0,
                "user \"%.*s\" loads into database \"%.*s\" of several clusters: only a "
                "rule of your own can tell which",
                SLICE_ARG(t->items[i].user), SLICE_ARG(t->items[i].database));
        }
    }
}

bool dynamo_read_loader(const struct dynamo_pages *p, const struct dynamo_cluster *clusters,
                        uint32_t cluster_count, struct buf *out, struct problems *problems)
{
    struct targets t = { 0 };
    for (const struct dynamo_item *i = p->first; i; i = i->next) {
        struct slice prefix = dynamo_text(i->value, "s3Prefix");
        const struct json_value *list = dynamo_attribute(i->value, "loadClusters", "L");
        if (!list) read_target(&t, i->value, prefix, clusters, cluster_count, problems);
        for (const struct json_value *v = list ? json_first(list) : NULL; v; v = json_next(v)) {
            const struct json_value *members = json_member(v, slice_str("M"));
            if (members) read_target(&t, members, prefix, clusters, cluster_count, problems);
        }
    }
    if (t.count) qsort(t.items, t.count, sizeof *t.items, target_order);
    buf_add_str(out, "{\"rules\":[");
    write_rules(out, &t, problems);
    buf_add_str(out, "]}\n");
    free(t.items);
    return !t.failed && !out->failed;
}
