/* credentials: `sluice credentials test --config FILE [--json]`.
 *
 * Does what the proxy would do, once, and says what came of it: every place where AWS keys can
 * come from, by itself, and who one is with them; the one that the proxy would use; every secret
 * that AWS keeps; a login for every cluster with an IAM source and every database user.
 * Fine when what the proxy would use is: a place that is not chosen may fail. Nothing secret is
 * printed.
 */
#include "proxy/command/command.h"

#include "auth/aws_caller.h"
#include "auth/secret.h"
#include "protocol/json.h"
#include "proxy/aws_feed.h"
#include "proxy/aws_identity.h"
#include "proxy/aws_secrets.h"
#include "proxy/config_origin.h"
#include "proxy/creds.h"
#include "proxy/ops/env_file.h"
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
    struct aws_call call;
    struct aws_credentials keys; /* being asked about */
    struct aws_endpoint sts;
    char region[AWS_REGION_BYTES];
    size_t passed, failures, skipped;
    bool json, failed, answered;
    bool counts; /* what is being tested is what the proxy would use */
    bool needed; /* it would use AWS at all */
};

/* ---- rows ----------------------------------------------------------------------------------- */

struct row {
    const char *status; /* "PASS", "FAIL", "SKIP" */
    const char *what, *said, *hint;
    const char *identity, *account, *region;
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
    bool is_failure = strcmp(row->status, "FAIL") == 0;
    *(is_failure ? &t->failures : strcmp(row->status, "PASS") == 0 ? &t->passed : &t->skipped) += 1;
    t->failed |= is_failure && t->counts;
    if (t->json) {
        buf_addf(&out, "{\"status\":\"%s\"", row->status);
        add_member(&out, "what", row->what);
        add_member(&out, "said", row->said);
        add_member(&out, "identity", row->identity);
        add_member(&out, "account", row->account);
        add_member(&out, "region", row->region);
        add_member(&out, "hint", row->hint);
        if (row->expires_ms) buf_addf(&out, ",\"expires_in_s\":%lld", (long long)left_s);
        buf_add_str(&out, "}\n");
    } else {
        buf_addf(&out, "%s  %-28s %s", row->status, row->what, row->said);
        if (row->expires_ms) buf_addf(&out, ", for %lld s", (long long)left_s);
        if (row->region && *row->region) buf_addf(&out, ", in %s", row->region);
        buf_add_str(&out, "\n");
        if (row->identity && *row->identity) buf_addf(&out, "      as %s\n", row->identity);
        if (row->hint && *row->hint) buf_addf(&out, "      %s\n", row->hint);
    }
    command_print(&out);
}

/* ---- AWS keys ------------------------------------------------------------------------------- */

static void run_until_answered(struct testing *t)
{
    while (!t->answered) uv_run(&t->loop, UV_RUN_ONCE);
    t->answered = false;
}

/* Keys that live for ever ought not to. */
static const char *hint_of(const struct aws_credentials *keys)
{
    bool is_long_lived = slice_starts(buf_slice(&keys->key_id), "AKIA");
    return is_long_lived ? "these keys never expire: rotate them every 90 days, or use a role" : "";
}

/* Keys were found; are they good, and whose are they? */
static void on_caller(void *owner, const struct aws_response *response)
{
    struct testing *t = owner;
    struct aws_caller caller;
    struct aws_error error;
    struct err err = { 0 };
    bool known = aws_caller_answer(response, &caller, &error);
    if (!known) aws_error_to_err(&error, "sts GetCallerIdentity", &err);
    char said[sizeof t->keys.source + sizeof err.message + 4];
    snprintf(said, sizeof said, "%s%s%s", t->keys.source, known ? "" : "; ", err.message);
    t->answered = true;
    print_row(t, &(struct row){ .status = known ? "PASS" : "FAIL",
                                .what = t->what,
                                .said = said,
                                .hint = known ? hint_of(&t->keys) : err.hint,
                                .identity = caller.arn,
                                .account = caller.account,
                                .region = t->region,
                                .expires_ms = t->keys.expires_ms });
}

static void fail(struct testing *t, const char *what, const struct err *err)
{
    print_row(t, &(struct row){
                     .status = "FAIL", .what = what, .said = err->message, .hint = err->hint });
}

static bool ask_caller(struct testing *t, const struct aws_chain *chain, struct err *err)
{
    struct aws_request request = { 0 };
    const struct aws_settings *settings = aws_chain_settings(chain);
    snprintf(t->region, sizeof t->region, "%s", aws_chain_region(chain));
    aws_credentials_fini(&t->keys);
    bool ok = aws_settings_endpoint(settings, AWS_STS, slice_str(t->region), &t->sts, err) &&
              (aws_credentials_copy(&t->keys, aws_chain_credentials(chain)) ||
               err_set(err, ERR_OUT_OF_MEMORY, "out of memory"));
    if (!ok) return false;
    struct aws_signer signer = { &t->sts, &t->keys, aws_feed_now_ms(), aws_chain_skew_ms(chain) };
    ok = (aws_caller_request(&signer, &request) &&
          aws_call_send(&t->call, t->http, &request, on_caller, t)) ||
         err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    aws_request_fini(&request);
    return ok;
}

static void on_searched(void *owner, const struct aws_chain *chain)
{
    struct testing *t = owner;
    struct err err = *aws_chain_error(chain);
    struct slice looked_at = aws_chain_report(chain);
    if (aws_chain_credentials(chain) && ask_caller(t, chain, &err)) return;
    t->answered = true;
    bool is_absent = looked_at.len && strcmp(err.message, "no AWS credentials found") == 0;
    if (!is_absent || (t->counts && t->needed)) {
        fail(t, t->what, &err);
        return;
    }
    /* Not configured here: the report's last line says why. */
    while (looked_at.len && looked_at.at[looked_at.len - 1] == '\n') looked_at.len--;
    for (size_t i = looked_at.len; i > 0; i--)
        if (looked_at.at[i - 1] == '\n') {
            looked_at = slice_after(looked_at, i);
            break;
        }
    char report[256];
    size_t place = strlen(t->what);
    if (slice_starts(looked_at, t->what) && looked_at.len > place + 2)
        looked_at = slice_after(looked_at, place + 2);
    snprintf(report, sizeof report, "%.*s", looked_at.len < 250 ? (int)looked_at.len : 250,
             looked_at.at);
    print_row(t, &(struct row){ .status = "SKIP",
                                .what = t->what,
                                .said = t->counts ? "not needed" : report });
}

/* `only`: one place (aws_chain_place); 0: as the proxy does it. */
static void test_place(struct testing *t, const struct aws_identity *id, int only)
{
    struct aws_chain_config config = id->config;
    snprintf(t->what, sizeof t->what, "%s", only ? aws_chain_place(only - 1) : "chosen");
    config.only = only;
    config.quota = AWS_QUOTA_FULL;
    t->counts = only == 0;
    if (aws_search_start(&t->loop, t->http, &config, on_searched, t)) run_until_answered(t);
    t->counts = true;
}

static void test_keys(struct testing *t)
{
    struct buf ignored = { 0 }, key = { 0 };
    struct config_aws settings = aws_identity_settings(t->realm->config, NULL, &ignored);
    struct err err;
    aws_identity_key(&settings, &key);
    struct aws_identity *id =
        aws_identity_new(&t->loop, t->http, t->realm->config, &settings, buf_slice(&key), &err);
    for (int i = 0; id && aws_chain_place(i); i++) test_place(t, id, i + 1);
    if (id) {
        test_place(t, id, 0);
        aws_identity_free(id);
    } else {
        fail(t, "aws", &err);
    }
    aws_credentials_fini(&t->keys);
    buf_fini(&ignored);
    buf_fini(&key);
}

/* ---- secrets -------------------------------------------------------------------------------- */

struct telling {
    struct testing *testing;
    const struct problems *problems;
};

/* Without a value no realm could be made, and the clusters not be tested. */
static void fill_in(void *arg, const char *path, struct secret_ref *ref)
{
    (void)arg;
    (void)path;
    if (secret_needs_aws(ref) && !ref->fetched) ref->fetched = secret_new(slice_str("unknown"));
}

static void tell_secret(void *arg, const char *path, struct secret_ref *ref)
{
    const struct telling *telling = arg;
    struct err err = { 0 };
    char said[256];
    if (!secret_needs_aws(ref)) return;
    if (ref->fetched) {
        print_row(telling->testing,
                  &(struct row){ .status = "PASS",
                                 .what = path,
                                 .said = secret_describe(ref, said, sizeof said) });
        return;
    }
    err_set(&err, ERR_NO_CREDENTIALS, "%s", secret_describe(ref, said, sizeof said));
    for (size_t i = 0; i < telling->problems->count; i++) {
        struct slice text = slice_str(telling->problems->items[i].text);
        size_t n = strlen(path);
        if (slice_starts(text, path) && text.len > n + 2 && text.at[n] == ':')
            err_set(&err, ERR_NO_CREDENTIALS, "%s", text.at + n + 2);
    }
    fail(telling->testing, path, &err);
}

static void test_secrets(struct testing *t, struct config *config)
{
    struct problems problems = { 0 };
    struct telling telling = { t, &problems };
    aws_secrets_load(config, &problems);
    config_each_secret(config, tell_secret, &telling);
    config_each_secret(config, fill_in, NULL);
    problems_fini(&problems);
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

static void sum_up(const struct testing *t)
{
    struct buf out = { 0 };
    if (t->json)
        buf_addf(&out, "{\"passed\":%zu,\"failed\":%zu,\"skipped\":%zu}\n", t->passed, t->failures,
                 t->skipped);
    else
        buf_addf(&out, "%zu passed, %zu failed, %zu skipped\n", t->passed, t->failures, t->skipped);
    command_print(&out);
}

static int test_all(struct testing *t)
{
    const struct config *config = t->realm->config;
    for (size_t i = 0; i < config->n_clusters; i++)
        t->needed |= creds_serves(&t->realm->clusters[i]);
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
    sum_up(t);
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
    struct testing t = { .json = options.json != NULL, .counts = true, .shared = shared_new() };
    struct config *config = t.shared ? config_origin_load(options.config, NULL, &problems) : NULL;
    if (config) {
        env_file_export_from(config->env_file);
        t.needed = aws_secrets_needed(config);
        test_secrets(&t, config);
        t.realm = realm_new(config, NULL, t.shared, &problems);
    }
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
