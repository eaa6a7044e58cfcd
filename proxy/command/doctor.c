/* doctor: `sluice doctor --config FILE [redis|dynamodb|sts|redshift|CLUSTER]`.
 *
 * Goes the way that the proxy goes, step by step (name, connection, TLS and a signed call or a
 * login), and where it ends says why it is likely to, and what to do. Every connect gives up within
 * 3 s. It changes nothing, and prints nothing secret.
 */
#include "proxy/command/command.h"

#include "protocol/json.h"
#include "protocol/nearest.h"
#include "proxy/aws_secrets.h"
#include "proxy/command/doctor_call.h"
#include "proxy/command/doctor_login.h"
#include "proxy/command/doctor_reach.h"
#include "proxy/command/doctor_redis.h"
#include "proxy/config_origin.h"
#include "proxy/creds.h"
#include "proxy/io/tls_context.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/secrets.h"
#include "proxy/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct doctor {
    uv_loop_t loop;
    struct http *http;
    struct log log;
    struct shared *shared;
    struct realm *realm;
    struct stream_loop streams;
    struct mailbox mailbox; /* keeps the loop waiting while only timers are set */
    enum doctor_internet internet;
    bool json, failed;
};

/* ---- rows ------------------------------------------------------------------------------------ */

struct row {
    const char *status; /* "PASS", "FAIL", "WARN", "SKIP" */
    const char *part, *step;
    const char *said;
    double ms; /* below 0: not measured */
    const struct doctor_case *why;
};

static void add_member(struct buf *out, const char *name, struct slice text)
{
    if (text.len == 0) return;
    buf_addf(out, ",\"%s\":", name);
    json_quote(out, text);
}

/* `advice`: what to do, without a case that says it. */
static void print_advice(struct doctor *d, const struct row *row, const char *advice)
{
    struct buf out = { 0 }, cause = { 0 }, todo = { 0 };
    if (strcmp(row->status, "FAIL") == 0) d->failed = true;
    if (row->why) doctor_advise(row->why, &cause, &todo);
    if (advice) buf_add_str(&todo, advice);
    if (d->json) {
        buf_addf(&out, "{\"status\":\"%s\"", row->status);
        add_member(&out, "part", slice_str(row->part));
        add_member(&out, "step", slice_str(row->step));
        add_member(&out, "said", slice_str(row->said));
        if (row->ms >= 0) buf_addf(&out, ",\"ms\":%.1f", row->ms);
        add_member(&out, "cause", buf_slice(&cause));
        add_member(&out, "do", buf_slice(&todo));
        buf_add_str(&out, "}\n");
    } else {
        buf_addf(&out, "%s  %-12s %-8s %s", row->status, row->part, row->step, row->said);
        if (row->ms >= 0) buf_addf(&out, " (%.0f ms)", row->ms);
        buf_add_str(&out, "\n");
        if (cause.len) buf_addf(&out, "      likely: %.*s\n", SLICE_ARG(buf_slice(&cause)));
        if (todo.len) buf_addf(&out, "      do:     %.*s\n", SLICE_ARG(buf_slice(&todo)));
    }
    command_print(&out);
    buf_fini(&cause);
    buf_fini(&todo);
}

static void print_row(struct doctor *d, const struct row *row) { print_advice(d, row, NULL); }

/* ---- name and connection --------------------------------------------------------------------- */

static void say_reached(struct doctor *d, const char *part, const char *host,
                        const struct doctor_reach *r, struct doctor_case *why)
{
    char said[620], at[SOCKET_TEXT_BYTES];
    socket_address_text(&r->at, at);
    why->is_private = r->is_private;
    why->symptom = r->symptom;
    if (!r->named) {
        snprintf(said, sizeof said, "%s: %s", host, r->said);
        print_row(d, &(struct row){ "FAIL", part, "name", said, r->name_ms, why });
        return;
    }
    snprintf(said, sizeof said, "%s: %u address%s, %s", host, r->n_addresses,
             r->n_addresses == 1 ? "" : "es",
             r->is_private ? "private (of a VPC or this machine)" : "public");
    print_row(d, &(struct row){ "PASS", part, "name", said, r->name_ms, NULL });
    snprintf(said, sizeof said, "%s%s%s", at, r->connected ? "" : ": ", r->said);
    print_row(d, &(struct row){ r->connected ? "PASS" : "FAIL", part, "connect", said,
                                r->connect_ms, r->connected ? NULL : why });
}

/* "https://host[:port]" */
static bool split_url(const char *url, char host[RESOLVE_NAME_BYTES + 1], uint16_t *port)
{
    const char *at = strstr(url, "://");
    if (!at) return false;
    *port = strncmp(url, "https", 5) == 0 ? 443 : 80;
    at += 3;
    size_t n = strcspn(at, ":/");
    if (n == 0 || n > RESOLVE_NAME_BYTES) return false;
    memcpy(host, at, n);
    host[n] = '\0';
    if (at[n] == ':') *port = (uint16_t)strtoul(at + n + 1, NULL, 10);
    return *port != 0;
}

/* ---- AWS ------------------------------------------------------------------------------------- */

struct keys {
    struct aws_identity_wait wait;
    struct err err;
    bool came, ok;
};

static void on_keys(struct aws_identity_wait *w, const struct err *err)
{
    struct keys *k = list_item(w, struct keys, wait);
    k->came = true;
    k->ok = err == NULL;
    if (err) k->err = *err;
}

/* Searches for keys; whether there are any, the endpoints are known afterwards. */
static bool has_keys(struct doctor *d, const char *part, struct aws_identity *id)
{
    struct keys k = { .wait.ready = on_keys };
    struct doctor_case why = { .symptom = DOCTOR_NO_KEYS, .region = "" };
    uint64_t begun = uv_hrtime();
    list_init(&k.wait.node);
    if (aws_identity_use(id, &k.wait)) return true;
    while (!k.came) uv_run(&d->loop, UV_RUN_ONCE);
    double ms = (double)(uv_hrtime() - begun) / 1e6;
    print_row(d, k.ok ? &(struct row){ "PASS", part, "keys", id->source, ms, NULL }
                      : &(struct row){ "FAIL", part, "keys", k.err.message, ms, &why });
    return k.ok;
}

static struct aws_identity *identity_of(struct doctor *d, const struct config_cluster *cluster,
                                        struct err *err)
{
    struct buf region = { 0 }, key = { 0 };
    struct config_aws settings = aws_identity_settings(d->realm->config, cluster, &region);
    aws_identity_key(&settings, &key);
    struct aws_identity *id =
        aws_identity_new(&d->loop, d->http, d->realm->config, &settings, buf_slice(&key), err);
    buf_fini(&region);
    buf_fini(&key);
    return id;
}

/* Whether any public address of AWS answers; asked once, and only when something does not. */
static enum doctor_internet internet(struct doctor *d, const struct aws_identity *id,
                                     enum doctor_part but)
{
    static const enum doctor_part others[] = { DOCTOR_STS, DOCTOR_DYNAMODB, DOCTOR_REDSHIFT };
    if (d->internet != DOCTOR_INTERNET_UNKNOWN) return d->internet;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        enum aws_service service = doctor_service(others[i]);
        char host[RESOLVE_NAME_BYTES + 1];
        uint16_t port;
        struct doctor_reach r;
        if (others[i] == but || id->no_endpoint[service].code) continue;
        if (!split_url(id->endpoints[service].url, host, &port)) continue;
        bool reached = doctor_reach(&d->loop, host, port, &r);
        if (!r.named || r.is_private) continue;
        d->internet = reached ? DOCTOR_INTERNET_YES : DOCTOR_INTERNET_NO;
        if (reached) break;
    }
    return d->internet;
}

static const char *https_proxy(void)
{
    const char *proxy = getenv("https_proxy");
    return proxy && *proxy ? proxy : getenv("HTTPS_PROXY");
}

static const char *region_of(const struct aws_identity *id)
{
    return id->endpoints[AWS_STS].signing_region;
}

static void check_call(struct doctor *d, const char *part, struct aws_identity *id,
                       struct doctor_call *call, struct doctor_case *why)
{
    doctor_call(&d->loop, &d->streams.wheel, id, call);
    why->symptom = call->symptom;
    print_row(d, &(struct row){ call->ok ? "PASS" : "FAIL", part, "call", call->said, call->ms,
                                call->ok ? NULL : why });
}

/* ---- who else gets to the cluster -------------------------------------------------------------
 */

static void print_source(struct doctor *d, const struct security_source *s, size_t groups)
{
    struct buf todo = { 0 };
    char said[320];
    bool itself = s->kind == SECURITY_GROUP && strcmp(s->group, s->source) == 0;
    snprintf(said, sizeof said, "%s lets in %s%s: whoever that is gets past the proxy", s->group,
             s->source,
             itself                      ? " (itself: all that are in it)"
             : s->kind == SECURITY_GROUP ? " (if it is not the proxy's)"
                                         : "");
    if (!security_source_is_wide(s) && groups > 1) buf_add_str(&todo, "unless it is the proxy's: ");
    security_source_revoke(s, &todo);
    buf_add_u8(&todo, 0);
    print_advice(d, &(struct row){ "WARN", "groups", "inbound", said, -1, NULL },
                 todo.failed ? NULL : todo.at);
    buf_fini(&todo);
}

/* One group is let in: the proxy's, as it should be. Anything more is a way around. */
static void print_sources(struct doctor *d, const struct security_sources *sources)
{
    size_t groups = 0, warned = 0;
    for (size_t i = 0; i < sources->count; i++)
        groups += !security_source_is_wide(&sources->items[i]);
    for (size_t i = 0; i < sources->count; i++) {
        if (!security_source_is_wide(&sources->items[i]) && groups < 2) continue;
        print_source(d, &sources->items[i], groups);
        warned++;
    }
    if (sources->more)
        print_row(d, &(struct row){ "WARN", "groups", "inbound",
                                    "there are more rules than are shown here", -1, NULL });
    if (warned) return;
    char said[160];
    snprintf(said, sizeof said, "nobody but %s is let in (is that the proxy's group?)",
             groups ? sources->items[0].source : "the cluster itself");
    print_row(d, &(struct row){ "PASS", "groups", "inbound", said, -1, NULL });
}

/* Asking is a courtesy: who may not ask, or cannot reach EC2 from there, is told and no worse off.
 */
static void check_groups(struct doctor *d, struct aws_identity *id, struct doctor_call *call)
{
    char host[RESOLVE_NAME_BYTES + 1], said[620];
    uint16_t port;
    struct doctor_reach r;
    struct doctor_call groups = *call;
    if (call->n_groups == 0 || call->port == 0 || id->no_endpoint[AWS_EC2].code) return;
    groups.part = DOCTOR_GROUPS;
    bool reached = https_proxy() || (split_url(id->endpoints[AWS_EC2].url, host, &port) &&
                                     doctor_reach(&d->loop, host, port, &r));
    if (reached) doctor_call(&d->loop, &d->streams.wheel, id, &groups);
    if (reached && groups.ok) {
        print_sources(d, &groups.sources);
        return;
    }
    snprintf(said, sizeof said, "not asked who else is let in: %s",
             reached ? groups.said : "EC2 is not reached from here");
    print_advice(d, &(struct row){ "SKIP", "groups", "inbound", said, -1, NULL },
                 "aws ec2 describe-security-groups, from where it may be asked "
                 "(ec2:DescribeSecurityGroups)");
}

static void check_service(struct doctor *d, const char *part, const struct config_cluster *cluster,
                          struct doctor_call *call)
{
    struct err err;
    struct aws_identity *id = identity_of(d, cluster, &err);
    enum aws_service service = doctor_service(call->part);
    bool signs = id && has_keys(d, part, id);
    if (id && id->no_endpoint[service].code) err = id->no_endpoint[service];
    if (!id || id->no_endpoint[service].code) {
        print_row(d, &(struct row){ "FAIL", part, "name", err.message, -1, NULL });
        if (id) aws_identity_free(id);
        return;
    }
    struct doctor_case why = { .part = call->part, .region = region_of(id) };
    char host[RESOLVE_NAME_BYTES + 1];
    bool reached = true;
    if (https_proxy()) {
        print_row(d, &(struct row){ "SKIP", part, "connect",
                                    "https_proxy is set: calls go through it", -1, NULL });
    } else if (split_url(id->endpoints[service].url, host, &why.port)) {
        struct doctor_reach r;
        reached = doctor_reach(&d->loop, host, why.port, &r);
        if (r.named && !reached && !r.is_private) why.internet = internet(d, id, call->part);
        say_reached(d, part, host, &r, &why);
    }
    if (reached && signs) check_call(d, part, id, call, &why);
    if (call->ok && call->part == DOCTOR_REDSHIFT) check_groups(d, id, call);
    aws_identity_free(id);
}

static void check_sts(struct doctor *d)
{
    struct doctor_call call = { .part = DOCTOR_STS };
    check_service(d, "sts", NULL, &call);
}

static void check_dynamodb(struct doctor *d)
{
    struct slice source = slice_str(d->realm->config->routes.source);
    struct doctor_call call = { .part = DOCTOR_DYNAMODB };
    if (!slice_starts(source, "dynamodb:")) {
        print_row(d, &(struct row){ "SKIP", "dynamodb", "", "routes.source is no DynamoDB table",
                                    -1, NULL });
        return;
    }
    call.name = slice_after(source, strlen("dynamodb:"));
    check_service(d, "dynamodb", NULL, &call);
}

/* The API that gives logins to a cluster, and where it is. */
static void check_api(struct doctor *d, const struct config_cluster *cluster)
{
    const struct config_credentials *credentials = &cluster->credentials;
    bool serverless = credentials->source == CONFIG_SOURCE_IAM_SERVERLESS;
    struct doctor_call call = {
        .part = serverless ? DOCTOR_SERVERLESS : DOCTOR_REDSHIFT,
        .name = slice_str(serverless ? credentials->workgroup : credentials->cluster_identifier),
    };
    check_service(d, serverless ? "serverless" : "redshift", cluster, &call);
}

static void check_redshift(struct doctor *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->realm->config->n_clusters; i++) {
        if (!creds_serves(&d->realm->clusters[i])) continue;
        check_api(d, &d->realm->config->clusters[i]);
        n++;
    }
    if (n == 0)
        print_row(
            d, &(struct row){ "SKIP", "redshift", "", "no cluster has an IAM source", -1, NULL });
}

/* ---- Redis ----------------------------------------------------------------------------------- */

static struct tls_context *redis_tls(const struct config_routes *routes, struct err *err)
{
    struct tls_client_options options = {
        .ca = { .name = routes->cache_ca },
        .system_ca = true,
        .verify = TLS_VERIFY_FULL,
        .peer = "the routing cache",
        .ca_setting = "routes.cache_ca",
    };
    return tls_context_client(&options, err);
}

static void greet_redis(struct doctor *d, struct redis_target *target, struct doctor_case *why)
{
    const struct config_routes *routes = &d->realm->config->routes;
    struct env_file *env = NULL;
    struct buf password = { 0 };
    struct doctor_redis redis = { .symptom = DOCTOR_FAILED };
    struct err err;
    struct redis_options options = {
        .target = *target,
        .user = slice_str(routes->cache_user),
        .connect_timeout_ms = 3000,
        .command_timeout_ms = 3000,
        .ping_ms = 60000,
        .answer_cap_bytes = 1 << 20,
    };
    struct problems ignored = { 0 };
    if (d->realm->config->env_file) env = env_file_load(d->realm->config->env_file, &ignored);
    bool ready = routes->cache_password.kind == SECRET_ABSENT ||
                 secret_resolve(&routes->cache_password, env, &password, &err);
    if (ready && target->tls) ready = (options.tls = redis_tls(routes, &err)) != NULL;
    options.password = buf_slice(&password);
    if (ready)
        doctor_redis(&d->streams, &options, &redis);
    else
        snprintf(redis.said, sizeof redis.said, "%s", err.message);
    why->symptom = redis.symptom;
    print_row(d, &(struct row){ redis.ok ? "PASS" : "FAIL", "redis", "login", redis.said, redis.ms,
                                redis.ok ? NULL : why });
    tls_context_unref(options.tls);
    buf_wipe(&password);
    env_file_free(env);
    problems_fini(&ignored);
}

static void check_redis(struct doctor *d)
{
    const char *url = d->realm->config->routes.cache;
    struct redis_target target;
    struct doctor_reach r;
    struct err err;
    if (!url) {
        print_row(d, &(struct row){ "SKIP", "redis", "", "there is no routes.cache", -1, NULL });
        return;
    }
    if (!redis_target_parse(&target, slice_str(url), &err)) {
        print_row(d, &(struct row){ "FAIL", "redis", "name", err.message, -1, NULL });
        return;
    }
    struct doctor_case why = { .part = DOCTOR_REDIS, .region = "", .port = target.port };
    bool reached = doctor_reach(&d->loop, target.host, target.port, &r);
    say_reached(d, "redis", target.host, &r, &why);
    if (reached) greet_redis(d, &target, &why);
}

/* ---- clusters -------------------------------------------------------------------------------- */

/* Somebody whose sessions go to that cluster: the first user that has a login there. */
static const char *some_db_user(const struct doctor *d, const struct realm_cluster *cluster)
{
    const struct config *config = d->realm->config;
    for (size_t i = 0; i < config->n_users; i++) {
        const char *db_user = config_db_user(&config->users[i]);
        if (creds_serves(cluster) || realm_password(cluster, db_user)) return db_user;
    }
    return NULL;
}

static void log_in(struct doctor *d, const struct realm_cluster *cluster, const char *database,
                   struct doctor_case *why)
{
    const char *db_user = some_db_user(d, cluster);
    struct doctor_login login;
    char said[720];
    if (!db_user) {
        print_row(d, &(struct row){ "SKIP", cluster->config->name, "login",
                                    "no user of ours has a login there by itself", -1, NULL });
        return;
    }
    doctor_login(&d->loop, d->shared, &d->log, d->realm, cluster, db_user, database, &login);
    why->symptom = login.code == ERR_SERVER_REJECTED  ? DOCTOR_DENIED
                   : login.code == ERR_NO_CREDENTIALS ? DOCTOR_NO_KEYS
                                                      : DOCTOR_FAILED;
    if (strstr(login.said, "TLS") || strstr(login.said, "certificate"))
        why->symptom = DOCTOR_NO_TLS;
    snprintf(said, sizeof said, "as %s, database %s: %s", db_user, database, login.said);
    print_row(d, &(struct row){ login.ok ? "PASS" : "FAIL", cluster->config->name, "login", said,
                                login.ms, login.ok ? NULL : why });
}

static void check_cluster(struct doctor *d, const struct realm_cluster *cluster,
                          const char *database)
{
    const struct config_address *endpoint = &cluster->config->endpoint;
    struct doctor_case why = { .part = DOCTOR_CLUSTER, .region = "", .port = cluster->port };
    bool reached = true;
    if (endpoint->text && !endpoint->is_unix) {
        struct doctor_reach r;
        reached = doctor_reach(&d->loop, cluster->host, cluster->port, &r);
        say_reached(d, cluster->config->name, cluster->host, &r, &why);
    }
    if (reached) log_in(d, cluster, database, &why);
}

/* ---- which of it ----------------------------------------------------------------------------- */

static const struct part {
    const char *name;
    void (*check)(struct doctor *d);
} parts[] = {
    { "sts", check_sts },
    { "redshift", check_redshift },
    { "dynamodb", check_dynamodb },
    { "redis", check_redis },
};

static int check_all(struct doctor *d, const char *database)
{
    const struct config *config = d->realm->config;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        bool aws = parts[i].check == check_sts;
        bool wanted = !aws;
        for (size_t c = 0; c < config->n_clusters; c++)
            wanted |= creds_serves(&d->realm->clusters[c]);
        if (wanted)
            parts[i].check(d);
        else
            print_row(d,
                      &(struct row){ "SKIP", parts[i].name, "", "nothing here uses it", -1, NULL });
    }
    for (size_t i = 0; i < config->n_clusters; i++)
        check_cluster(d, &d->realm->clusters[i], database);
    return STATUS_FINE;
}

static int check_named(struct doctor *d, const char *name, const char *database)
{
    struct nearest nearest = { .word = slice_str(name) };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(name, parts[i].name) == 0) {
            parts[i].check(d);
            return STATUS_FINE;
        }
        nearest_offer(&nearest, slice_str(parts[i].name));
    }
    const struct realm_cluster *cluster = realm_cluster(d->realm, name);
    if (cluster) {
        if (creds_serves(cluster)) check_api(d, cluster->config);
        check_cluster(d, cluster, database);
        return STATUS_FINE;
    }
    for (size_t i = 0; i < d->realm->config->n_clusters; i++)
        nearest_offer(&nearest, slice_str(d->realm->config->clusters[i].name));
    return command_misused("doctor",
                           "\"%s\" is neither a cluster of the configuration nor one of sts, "
                           "redshift, dynamodb, redis%s%.*s%s",
                           name, nearest.best.len ? "; did you mean " : "", SLICE_ARG(nearest.best),
                           nearest.best.len ? "?" : "");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void on_mailbox_closed(struct mailbox *m) { (void)m; }

static bool open_all(struct doctor *d)
{
    log_init(&d->log, STDERR_FILENO);
    log_set_level(&d->log, LOG_ERROR); /* the rows say it all */
    if (!stream_loop_init(&d->streams, &d->loop)) return false;
    d->http = aws_client_open(&d->loop);
    if (d->http)
        d->shared->creds =
            creds_open(&d->loop, d->http, &d->log, d->shared->seed, &d->shared->metrics);
    return d->shared->creds && mailbox_open(&d->mailbox, &d->loop, d);
}

static int run(struct doctor *d, const char *name, const char *database)
{
    uv_loop_init(&d->loop);
    bool opened = open_all(d);
    int status = STATUS_NOT_FINE;
    if (opened) {
        status = name ? check_named(d, name, database) : check_all(d, database);
        mailbox_close(&d->mailbox, on_mailbox_closed);
    }
    if (d->streams.uv) stream_loop_fini(&d->streams);
    creds_close(d->shared->creds);
    http_close(d->http);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    creds_free(d->shared->creds);
    uv_loop_close(&d->loop);
    return status == STATUS_FINE && d->failed ? STATUS_NOT_FINE : status;
}

int command_doctor(int argc, char **argv)
{
    struct options_doctor options;
    struct problems problems = { 0 };
    int words = command_parse(argc, argv, &options, 1);
    if (words < 0) return STATUS_USAGE;
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    struct doctor d = { .json = options.json != NULL, .shared = shared_new() };
    struct config *config = d.shared ? config_origin_load(options.config, NULL, &problems) : NULL;
    if (config && !aws_secrets_load(config, &problems)) {
        config_unref(config);
        config = NULL;
    }
    if (config) d.realm = realm_new(config, NULL, d.shared, &problems);
    int status = STATUS_NOT_FINE;
    if (d.realm) {
        status = run(&d, words == 1 ? argv[1] : NULL, options.database ? options.database : "dev");
    } else {
        struct buf text = { 0 };
        problems_print(&problems, options.config, &text);
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
    problems_fini(&problems);
    realm_unref(d.realm);
    shared_free(d.shared);
    return status;
}
