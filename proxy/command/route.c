#include "protocol/units.h"
#include "proxy/command/command.h"
#include "proxy/ops/file.h"
#include "proxy/route_world.h"
#include "routing/diff.h"
#include "routing/explain.h"
#include "routing/statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of rules that do not match, so many are shown; enough for a table that a person wrote. */
enum { ROWS_SHOWN = 1000, FINGERPRINTS_SHOWN = 5 };

static void print_problems(const struct problems *problems, const char *path)
{
    struct buf text = { 0 };
    problems_print(problems, path, &text);
    fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
    buf_fini(&text);
}

static int failed(const char *what)
{
    fprintf(stderr, "sluice route: %s\n", what);
    return STATUS_NOT_FINE;
}

/* ---- explain -------------------------------------------------------------------------------- */

struct explaining {
    const struct options_route *options;
    struct config *config;
    struct route_world world;
    struct route_table *table; /* NULL: there is none, and all goes to the first cluster */
    struct route_facts facts;
    struct statement statement;
    bool has_statement;
};

static bool load_config(struct explaining *x)
{
    struct problems problems = { 0 };
    x->config = config_load(x->options->config, &problems);
    if (!x->config) print_problems(&problems, x->options->config);
    problems_fini(&problems);
    return x->config && route_world_init(&x->world, x->config);
}

/* --routes, or the configured file. A table elsewhere cannot be looked at from here. */
static bool load_table(struct explaining *x)
{
    const char *path = x->options->routes ? x->options->routes : route_world_path(x->config);
    struct problems problems = { 0 };
    if (!path && !x->config->routes.source) return true;
    if (!path) {
        failed("the routing table is not in a file; name one with --routes");
        return false;
    }
    x->table = route_world_load(&x->world, path, &problems);
    if (!x->table) print_problems(&problems, path);
    problems_fini(&problems);
    return x->table != NULL;
}

/* Facts from the options; STATUS_FINE, or what the command ends with. */
static int read_facts(struct explaining *x)
{
    const struct options_route *o = x->options;
    uint64_t at_s = (uint64_t)time(NULL);
    if (!table_user_facts(&x->world.table, slice_str(o->user), &x->facts)) {
        fprintf(stderr, "sluice route: no user \"%s\"\n", o->user);
        return STATUS_NOT_FINE;
    }
    if (o->at && !units_date(slice_str(o->at), &at_s))
        return command_misused("route", "--at is a moment, as 2026-11-23T12:00:00Z");
    if (o->client && !address_parse(slice_str(o->client), &x->facts.client))
        return command_misused("route", "--client is an IP address");
    x->facts.database = slice_str(o->database);
    x->facts.application = slice_str(o->application);
    x->facts.query_group = slice_str(o->query_group);
    x->facts.tls = o->tls != NULL;
    x->facts.at_s = (int64_t)at_s;
    return STATUS_FINE;
}

/* The settings of the pool that the decision leads to. */
static struct config_pool pool_of(struct explaining *x, const struct route_decision *d)
{
    struct config_pool pool = x->config->pool;
    struct json_error error;
    struct problems problems = { 0 };
    struct json_doc *doc = d->pool.len ? json_parse(d->pool, d->pool.len, &error) : NULL;
    if (doc) config_read_pool(x->config, json_root(doc), &pool, &problems);
    json_free(doc);
    problems_fini(&problems);
    return pool;
}

static void add_pool(struct explaining *x, const struct route_decision *d, struct buf *out)
{
    if (d->outcome != ROUTE_TO) return;
    struct config_pool pool = pool_of(x, d);
    const char *mode = config_word_pool_mode(pool.mode);
    if (!x->options->json) {
        buf_addf(out, "servers of:   %.*s, %.*s, %.*s, %.*s (%s mode, at most %u)\n",
                 SLICE_ARG(d->clusters[0]), SLICE_ARG(d->database), SLICE_ARG(d->db_user),
                 SLICE_ARG(x->facts.role), mode, pool.size);
        return;
    }
    /* One more member, before the brace that ends the explanation. */
    const struct slice parts[] = { d->clusters[0], d->database, d->db_user, x->facts.role };
    static const char *const names[] = { "cluster", "database", "db_user", "role" };
    buf_truncate(out, out->len - 1);
    buf_add_str(out, ",\"servers\":{");
    for (size_t i = 0; i < 4; i++) {
        buf_addf(out, "\"%s\":", names[i]);
        json_quote(out, parts[i]);
        buf_add_u8(out, ',');
    }
    buf_addf(out, "\"mode\":\"%s\",\"size\":%u}}", mode, pool.size);
}

static int explain_without_table(struct explaining *x)
{
    struct slice cluster = slice_str(x->config->clusters[0].name);
    struct route_decision d = { .outcome = ROUTE_TO,
                                .clusters = &cluster,
                                .cluster_count = 1,
                                .database = x->facts.database,
                                .db_user = x->facts.db_user };
    struct buf out = { 0 };
    if (x->options->json)
        buf_add_str(&out, "{\"outcome\":\"to\"}");
    else
        buf_add_str(&out, "no routing table: every session goes to the first cluster\n");
    add_pool(x, &d, &out);
    if (x->options->json) buf_add_u8(&out, '\n');
    return command_print(&out);
}

static int explain_with_table(struct explaining *x)
{
    struct buf out = { 0 };
    struct route_decision d;
    struct route_statement s =
        statement_facts(&x->statement, x->facts.query_group, x->facts.at_s, NULL);
    const struct route_statement *statement = x->has_statement ? &s : NULL;
    bool routed = route_decide(x->table, &x->facts, statement, &d);
    bool ok = x->options->json ? explain_json(x->table, &x->facts, statement, ROWS_SHOWN, &out)
                               : explain_text(x->table, &x->facts, statement, ROWS_SHOWN, &out);
    add_pool(x, &d, &out);
    if (x->options->json) buf_add_u8(&out, '\n');
    if (x->has_statement && !x->statement.is_read && !x->options->json)
        buf_add_str(&out, "the statement was not understood to its end: tables may be missing\n");
    if (!ok) out.failed = true;
    int status = command_print(&out);
    return status == STATUS_FINE && !routed ? STATUS_NOT_FINE : status;
}

static int explain(const struct options_route *options, const char *sql)
{
    struct explaining x = { .options = options };
    int status = STATUS_NOT_FINE;
    if (load_config(&x) && load_table(&x) && (status = read_facts(&x)) == STATUS_FINE) {
        const struct config_role *role = config_role(x.config, x.facts.role);
        x.has_statement = sql != NULL;
        if (sql && !statement_read(&x.statement, slice_str(sql),
                                   slice_str(role ? role->search_path : NULL)))
            status = failed("out of memory");
        else
            status = x.table ? explain_with_table(&x) : explain_without_table(&x);
    }
    statement_fini(&x.statement);
    route_table_unref(x.table);
    route_world_fini(&x.world);
    config_unref(x.config);
    return status;
}

/* ---- diff ----------------------------------------------------------------------------------- */

/* A table away from its configuration: what it names is not checked. */
static struct route_table *load_alone(const char *path)
{
    struct buf text = { 0 };
    struct err e;
    struct problems problems = { 0 };
    struct route_table *t = NULL;
    if (file_read(path, TABLE_CAP_BYTES, &text, &e))
        t = table_load(buf_slice(&text), NULL, &problems);
    else
        fprintf(stderr, "sluice route: %s: %s\n", path, e.message);
    if (!t) print_problems(&problems, path);
    problems_fini(&problems);
    buf_fini(&text);
    return t;
}

static bool add_traffic(struct diff *d, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    bool ok = f != NULL;
    while (ok && (len = getline(&line, &cap, f)) > 0)
        ok = diff_add_line(d, slice_of(line, (size_t)len));
    if (!f || ferror(f)) {
        fprintf(stderr, "sluice route: cannot read %s\n", path);
        ok = false;
    }
    if (f && f != stdin) fclose(f);
    free(line);
    return ok;
}

static int diff_files(const struct options_route *options, const char *before, const char *after)
{
    struct route_table *tables[2] = { load_alone(before), load_alone(after) };
    struct diff *d = tables[0] && tables[1] ? diff_new(tables[0], tables[1]) : NULL;
    int status = STATUS_NOT_FINE;
    if (d && add_traffic(d, options->traffic)) {
        struct buf out = { 0 };
        if (options->json)
            diff_json(d, &out);
        else
            diff_text(d, FINGERPRINTS_SHOWN, &out);
        status = command_print(&out);
        if (diff_totals(d)->differ > 0) status = STATUS_NOT_FINE;
    }
    diff_free(d);
    route_table_unref(tables[0]);
    route_table_unref(tables[1]);
    return status;
}

/* ---- the command ---------------------------------------------------------------------------- */

int command_route(int argc, char **argv)
{
    struct options_route options;
    int words = command_parse(argc, argv, &options, 3);
    if (words < 0) return STATUS_USAGE;
    struct slice what = slice_str(words ? argv[1] : NULL);
    if (slice_is(what, "explain")) {
        if (words > 2) return command_misused(argv[0], "one statement: quote it");
        if (options.traffic) return command_misused(argv[0], "--traffic is for diff");
        if (!options.config) return command_misused(argv[0], "--config FILE is missing");
        if (!options.user) return command_misused(argv[0], "--user USER is missing");
        if (!options.database) return command_misused(argv[0], "--database DATABASE is missing");
        return explain(&options, words == 2 ? argv[2] : NULL);
    }
    if (slice_is(what, "diff")) {
        if (words != 3) return command_misused(argv[0], "two tables: OLD NEW");
        if (!options.traffic) return command_misused(argv[0], "--traffic FILE is missing");
        return diff_files(&options, argv[2], argv[3]);
    }
    return command_misused(argv[0], words ? "unknown: \"%s\"" : "explain or diff?%s",
                           words ? argv[1] : "");
}
