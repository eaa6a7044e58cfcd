/* credentials: `sluice credentials test --config FILE [--json]`.
 *
 * Does what the proxy would do, once, and says what came of it: every place where AWS keys can
 * come from, by itself; then a login for every cluster with an IAM source and every database user.
 * Nothing secret is printed.
 */
#include "proxy/command/command.h"

#include "protocol/json.h"
#include "proxy/aws_feed.h"
#include "proxy/aws_identity.h"
#include "proxy/creds.h"
#include "proxy/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 30 * 1000 };

struct testing {
    uv_loop_t loop;
    struct http *http;
    struct log log;
    struct shared *shared;
    struct realm *realm;
    struct creds *creds;
    struct mailbox mailbox;
    char what[160]; /* what is being tested */
    bool json, failed, answered;
};

/* ---- rows ----------------------------------------------------------------------------------- */

struct row {
    const char *status; /* "PASS", "FAIL", "SKIP" */
    const char *what, *said, *hint;
    int64_t expires_ms; /* 0: never, or nothing */
};

static void add_member(struct buf *out, const char *name, const char *text)
{
    if (!text || !*text) return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, slice_str(text));
}

static void print_row(struct testing *t, const struct row *row)
{
    struct buf out = { 0 };
    int64_t left_s = row->expires_ms ? (row->expires_ms - aws_feed_now_ms()) / 1000 : 0;
    if (strcmp(row->status, "FAIL") == 0) t->failed = true;
    if (t->json) {
        buf_addf(&out, "{\"status\":\"%s\"", row->status);
        add_member(&out, "what", row->what);
        add_member(&out, "said", row->said);
        add_member(&out, "hint", row->hint);
        if (row->expires_ms) buf_addf(&out, ",\"expires_in_s\":%lld", (long long)left_s);
        buf_add_str(&out, "}\n");
    } else {
        buf_addf(&out, "%s  %-28s %s", row->status, row->what, row->said);
        if (row->expires_ms) buf_addf(&out, ", for %lld s", (long long)left_s);
        buf_add_str(&out, "\n");
        if (row->hint && *row->hint) buf_addf(&out, "      %s\n", row->hint);
    }
    command_print(&out);
}

/* ---- AWS keys ------------------------------------------------------------------------------- */

static void on_searched(void *owner, const struct aws_chain *chain)
{
    struct testing *t = owner;
    const struct aws_credentials *keys = aws_chain_credentials(chain);
    const struct err *err = aws_chain_error(chain);
    char report[512];
    struct slice looked_at = aws_chain_report(chain);
    struct row row = { .what = t->what };
    t->answered = true;
    while (looked_at.len && looked_at.at[looked_at.len - 1] == '\n') looked_at.len--;
    snprintf(report, sizeof report, "%.*s", SLICE_ARG(looked_at));
    if (keys) {
        row.status = "PASS";
        row.said = keys->source;
        row.expires_ms = keys->expires_ms;
    } else if (looked_at.len && strcmp(err->message, "no AWS credentials found") == 0) {
        row.status = "SKIP"; /* not configured here */
        row.said = report;
    } else {
        row.status = "FAIL";
        row.said = err->message;
        row.hint = err->hint;
    }
    print_row(t, &row);
}

static void run_until_answered(struct testing *t)
{
    while (!t->answered) uv_run(&t->loop, UV_RUN_ONCE);
    t->answered = false;
}

static void test_keys(struct testing *t)
{
    struct buf ignored = { 0 }, key = { 0 };
    struct config_aws settings = aws_identity_settings(t->realm->config, NULL, &ignored);
    struct err err;
    aws_identity_key(&settings, &key);
    struct aws_identity *id =
        aws_identity_new(&t->loop, t->http, t->realm->config, &settings, buf_slice(&key), &err);
    for (int i = 0; id && aws_chain_place(i); i++) {
        struct aws_chain_config config = id->config;
        snprintf(t->what, sizeof t->what, "%s", aws_chain_place(i));
        config.only = i + 1;
        config.quota = AWS_QUOTA_FULL;
        if (aws_search_start(&t->loop, t->http, &config, on_searched, t)) run_until_answered(t);
    }
    if (id)
        aws_identity_free(id);
    else
        print_row(t, &(struct row){
                         .status = "FAIL", .what = "aws", .said = err.message, .hint = err.hint });
    buf_fini(&ignored);
    buf_fini(&key);
}

/* ---- clusters ------------------------------------------------------------------------------- */

static void on_login(void *owner, struct creds_login *login, const struct err *err)
{
    struct testing *t = owner;
    t->answered = true;
    print_row(t, &(struct row){ .status = login ? "PASS" : "FAIL",
                                .what = t->what,
                                .said = login ? login->user : err->message,
                                .hint = login ? "" : err->hint,
                                .expires_ms = login ? login->expires_ms : 0 });
    creds_login_unref(login);
}

static bool comes_first(const struct config *config, size_t user)
{
    for (size_t i = 0; i < user; i++)
        if (strcmp(config_db_user(&config->users[i]), config_db_user(&config->users[user])) == 0)
            return false;
    return true;
}

static void test_cluster(struct testing *t, const struct realm_cluster *cluster)
{
    const struct config *config = t->realm->config;
    snprintf(t->what, sizeof t->what, "clusters.%s", cluster->config->name);
    if (!creds_serves(cluster)) {
        print_row(t, &(struct row){ .status = "SKIP", .what = t->what, .said = "no IAM source" });
        return;
    }
    for (size_t i = 0; i < config->n_users; i++) {
        const char *db_user = config_db_user(&config->users[i]);
        if (!comes_first(config, i)) continue;
        snprintf(t->what, sizeof t->what, "clusters.%s as %s", cluster->config->name, db_user);
        if (creds_ask(t->creds, t->realm, cluster, "", db_user, PATIENCE_MS, &t->mailbox, on_login,
                      t))
            run_until_answered(t);
        /* The other sources do not ask for a user: once is enough. */
        if (cluster->config->credentials.source != CONFIG_SOURCE_IAM) return;
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void on_mailbox_closed(struct mailbox *m) { (void)m; }

static bool open_all(struct testing *t)
{
    log_init(&t->log, STDERR_FILENO);
    log_set_level(&t->log, LOG_ERROR); /* the rows say it all */
    t->http = aws_client_open(&t->loop);
    if (!t->http) return false;
    t->creds = creds_open(&t->loop, t->http, &t->log, t->shared->seed, &t->shared->metrics);
    return t->creds && mailbox_open(&t->mailbox, &t->loop, t);
}

static int test_all(struct testing *t)
{
    uv_loop_init(&t->loop);
    bool opened = open_all(t);
    if (opened) {
        test_keys(t);
        for (size_t i = 0; i < t->realm->config->n_clusters; i++)
            test_cluster(t, &t->realm->clusters[i]);
        mailbox_close(&t->mailbox, on_mailbox_closed);
    }
    creds_close(t->creds);
    http_close(t->http);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    creds_free(t->creds);
    uv_loop_close(&t->loop);
    return opened && !t->failed ? STATUS_FINE : STATUS_NOT_FINE;
}

int command_credentials(int argc, char **argv)
{
    struct options_credentials options;
    struct problems problems = { 0 };
    int words = command_parse(argc, argv, &options, 1);
    if (words < 0) return STATUS_USAGE;
    if (words != 1 || strcmp(argv[1], "test") != 0)
        return command_misused(argv[0], "\"test\" is the only thing it does");
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    struct testing t = { .json = options.json != NULL, .shared = shared_new() };
    struct config *config = t.shared ? config_load(options.config, &problems) : NULL;
    if (config) t.realm = realm_new(config, NULL, t.shared, &problems);
    int status = t.realm ? test_all(&t) : STATUS_NOT_FINE;
    if (!t.realm) {
        struct buf text = { 0 };
        problems_print(&problems, options.config, &text);
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
    problems_fini(&problems);
    realm_unref(t.realm);
    shared_free(t.shared);
    return status;
}
