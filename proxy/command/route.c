#include "proxy/command/command.h"
#include "proxy/config_origin.h"
#include "proxy/ops/file.h"
#include "proxy/route_change.h"
#include "proxy/route_explain.h"
#include "proxy/route_world.h"
#include "routing/diff.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FINGERPRINTS_SHOWN = 5, PATIENCE_MS = 120 * 1000 };

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
};

static bool load_config(struct explaining *x)
{
    struct problems problems = { 0 };
    x->config = config_origin_look(x->options->config, &problems);
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

static int explain(const struct options_route *options, const char *sql)
{
    struct explaining x = { .options = options };
    struct route_question q = { .user = options->user,
                                .database = options->database,
                                .client = options->client,
                                .application = options->application,
                                .query_group = options->query_group,
                                .at = options->at,
                                .tls = options->tls != NULL,
                                .json = options->json,
                                .sql = sql };
    struct buf out = { 0 };
    struct err err;
    int status = STATUS_NOT_FINE;
    if (load_config(&x) && load_table(&x)) {
        switch (route_explain(x.config, x.table, &q, &out, &err)) {
        case ROUTE_EXPLAINED_TO: status = STATUS_FINE; break;
        case ROUTE_EXPLAINED_NOWHERE: break;
        case ROUTE_EXPLAINED_MISUSED: status = command_misused("route", "%s", err.message); break;
        case ROUTE_EXPLAINED_FAILED: status = failed(err.message); break;
        }
        int printed = command_print(&out);
        if (status == STATUS_FINE) status = printed;
    }
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

static bool is_change(struct slice what)
{
    return slice_is(what, "publish") || slice_is(what, "activate") || slice_is(what, "rollback") ||
           slice_is(what, "history");
}

static const char *author_of(const struct options_route *options)
{
    const struct passwd *user = getpwuid(getuid());
    if (options->author) return options->author;
    if (getenv("SUDO_USER")) return getenv("SUDO_USER");
    return user ? user->pw_name : "unknown";
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, slice_str(text));
}

static void add_past(struct buf *out, const struct dynamo_active *h, bool json)
{
    if (!json) {
        buf_addf(out, "%6llu  %-20s  %-9s  %-20s  %.12s  %s\n", (unsigned long long)h->generation,
                 h->time, h->action, h->author, h->hash, h->note);
        return;
    }
    buf_addf(out, "{\"generation\":%llu", (unsigned long long)h->generation);
    add_text(out, "time", h->time);
    add_text(out, "author", h->author);
    add_text(out, "action", h->action);
    add_text(out, "hash", h->hash);
    add_text(out, "note", h->note);
    buf_add_str(out, "}\n");
}

static int carry_out(struct route_change *c, const struct options_route *options)
{
    struct problems problems = { 0 };
    c->patience_ms = PATIENCE_MS;
    c->author = author_of(options);
    c->note = options->note;
    c->config = config_origin_load(options->config, NULL, &problems);
    bool ok = c->config != NULL;
    if (!ok) print_problems(&problems, options->config);
    problems_fini(&problems);
    ok = ok && route_change_run(c);
    fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&c->said)));
    for (uint32_t i = 0; i < c->past_count; i++) add_past(&c->result, &c->past[i], options->json);
    int status = command_print(&c->result);
    route_change_fini(c);
    return ok ? status : STATUS_NOT_FINE;
}

static int publish(const struct options_route *options, const char *path)
{
    struct buf text = { 0 };
    struct err err;
    if (!file_read(path, TABLE_CAP_BYTES, &text, &err)) {
        fprintf(stderr, "sluice route: %s: %s\n", path, err.message);
        return STATUS_NOT_FINE;
    }
    struct route_change c = { .kind = ROUTE_CHANGE_PUBLISH,
                              .name = path,
                              .document = buf_slice(&text) };
    int status = carry_out(&c, options);
    buf_fini(&text);
    return status;
}

static int change(const struct options_route *options, int words, char **argv)
{
    struct slice what = slice_str(argv[1]);
    struct route_change c = { .kind = ROUTE_CHANGE_HISTORY };
    if (!options->config) return command_misused(argv[0], "--config FILE is missing");
    if (slice_is(what, "publish")) {
        if (words != 2) return command_misused(argv[0], "one table: publish FILE");
        return publish(options, argv[2]);
    }
    if (slice_is(what, "rollback")) {
        c.kind = ROUTE_CHANGE_ROLLBACK;
        if (words == 2) c.generation = argv[2];
    }
    if (words > (c.generation ? 2 : 1))
        return command_misused(argv[0], "%s takes no more words", argv[1]);
    if (slice_is(what, "activate")) c.kind = ROUTE_CHANGE_ACTIVATE;
    return carry_out(&c, options);
}

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
    if (is_change(what)) return change(&options, words, argv);
    return command_misused(argv[0],
                           words ? "unknown: \"%s\""
                                 : "explain, diff, publish, activate, rollback or history?%s",
                           words ? argv[1] : "");
}
