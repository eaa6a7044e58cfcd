#include "proxy/aws_identity.h"

#include "proxy/aws_feed.h"
#include "proxy/ops/env_file.h"
#include "proxy/random.h"

#include <stdio.h>
#include <stdlib.h>

extern char **environ;

enum { SEARCH_AGAIN_MS = 5000 };

/* ---- settings ------------------------------------------------------------------------------- */

struct config_aws aws_identity_settings(const struct config *config,
                                        const struct config_cluster *cluster, struct buf *region)
{
    struct config_aws all = config->aws;
    struct redshift_host host;
    if (!cluster) return all;
    const struct config_aws *own = &cluster->aws;
    if (own->profile) all.profile = own->profile;
    if (own->assume_role_arn) {
        /* An external id belongs to its role. */
        all.assume_role_arn = own->assume_role_arn;
        all.external_id = own->external_id;
    }
    if (own->session_name) all.session_name = own->session_name;
    if (own->region) {
        all.region = own->region;
    } else if (redshift_host_parse(slice_str(cluster->endpoint.host), &host)) {
        buf_add_slice(region, host.region);
        buf_add_u8(region, 0);
        if (!region->failed) all.region = region->at;
    }
    return all;
}

void aws_identity_key(const struct config_aws *settings, struct buf *out)
{
    const char *parts[] = { settings->region, settings->profile, settings->assume_role_arn,
                            settings->external_id.text, settings->session_name };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i]) buf_add_str(out, parts[i]);
        buf_add_u8(out, '\n');
    }
}

static bool read_external_id(struct aws_identity *id, const struct secret_ref *ref, struct err *err)
{
    struct problems problems = { 0 };
    id->external_id.secret = true;
    if (ref->kind == SECRET_ABSENT) return true;
    if (ref->kind == SECRET_PLAIN) {
        buf_add_str(&id->external_id, ref->text);
        return true;
    }
    const char *path = id->settings->env_file;
    struct env_file *env = path ? env_file_load(path, &problems) : NULL;
    bool ok = secret_resolve(ref, env, &id->external_id, err);
    env_file_free(env);
    problems_fini(&problems);
    return ok;
}

/* The role session name that CloudTrail shows: what is configured, or who we are. */
static void name_session(struct aws_identity *id, const struct config_aws *settings)
{
    const char *name = settings->session_name ? settings->session_name : id->settings->server_id;
    size_t len = 0;
    for (; name && *name && len < 64; name++) {
        char c = *name;
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("_+=,.@-", c);
        id->session_name[len++] = good ? c : '-';
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

struct aws_identity *aws_identity_new(uv_loop_t *uv, struct http *http, struct config *config,
                                      const struct config_aws *settings, struct slice key,
                                      struct err *err)
{
    struct aws_identity *id = calloc(1, sizeof *id);
    err_set(err, ERR_OUT_OF_MEMORY, "");
    if (!id) return NULL;
    id->uv = uv;
    id->http = http;
    id->settings = config_ref(config);
    id->quota = AWS_QUOTA_FULL;
    list_init(&id->waiting);
    aws_credentials_init(&id->keys);
    id->key = strndup(key.at, key.len);
    if (!id->key || !read_external_id(id, &settings->external_id, err)) {
        aws_identity_free(id);
        return NULL;
    }
    name_session(id, settings);
    /* The key is the identity's own copy of the texts' first: the region may be the caller's. */
    id->config = (struct aws_chain_config){
        .env = { (const char *const *)environ },
        .profile = slice_str(settings->profile),
        .region = { id->key, settings->region ? strlen(settings->region) : 0 },
        .role = { .role_arn = slice_str(settings->assume_role_arn),
                  .external_id = buf_slice(&id->external_id),
                  .session_name = slice_str(id->session_name) },
        .session_name = slice_str(id->session_name),
    };
    return id;
}

void aws_identity_free(struct aws_identity *id)
{
    if (id->search) aws_search_cancel(id->search);
    aws_credentials_fini(&id->keys);
    buf_fini(&id->external_id);
    config_unref(id->settings);
    free(id->key);
    free(id);
}

/* ---- searching ------------------------------------------------------------------------------ */

static void tell(struct aws_identity *id, const struct err *err)
{
    struct list waiting, *node;
    list_init(&waiting);
    while ((node = list_pop_front(&id->waiting))) list_push_back(&waiting, node);
    while ((node = list_pop_front(&waiting))) {
        struct aws_identity_wait *w = list_item(node, struct aws_identity_wait, node);
        w->ready(w, err);
    }
}

static void take_endpoints(struct aws_identity *id, const struct aws_chain *chain)
{
    const struct aws_settings *settings = aws_chain_settings(chain);
    struct slice region = slice_str(aws_chain_region(chain));
    for (int i = 0; i < AWS_SERVICE_COUNT; i++) {
        id->no_endpoint[i] = (struct err){ 0 };
        if (!settings)
            err_set(&id->no_endpoint[i], ERR_NO_CREDENTIALS, "no AWS settings");
        else
            aws_settings_endpoint(settings, (enum aws_service)i, region, &id->endpoints[i],
                                  &id->no_endpoint[i]);
    }
}

static void on_found(void *owner, const struct aws_chain *chain)
{
    struct aws_identity *id = owner;
    const struct aws_credentials *found = aws_chain_credentials(chain);
    struct aws_credentials keys;
    struct err err = { 0 };
    int64_t now_ms = aws_feed_now_ms();
    id->search = NULL;
    id->quota = aws_chain_quota(chain);
    id->skew_ms = aws_chain_skew_ms(chain);
    snprintf(id->report, sizeof id->report, "%.*s", SLICE_ARG(aws_chain_report(chain)));
    take_endpoints(id, chain); /* known without keys, too */
    if (found && aws_credentials_copy(&keys, found)) {
        aws_credentials_fini(&id->keys);
        id->keys = keys;
        id->has_keys = true;
        memcpy(id->source, keys.source, sizeof id->source);
        id->advisory_ms = aws_credentials_advisory_ms(&id->keys, random_u32());
        tell(id, NULL);
        return;
    }
    if (found)
        err_set(&err, ERR_OUT_OF_MEMORY, "");
    else
        err = *aws_chain_error(chain);
    err.code = ERR_NO_CREDENTIALS;
    id->blocked_until_ms = now_ms + SEARCH_AGAIN_MS;
    id->why = err;
    tell(id, &err);
}

static bool keys_are_good(const struct aws_identity *id, int64_t now_ms)
{
    return id->has_keys && now_ms < aws_credentials_mandatory_ms(&id->keys);
}

static void start_search(struct aws_identity *id)
{
    struct aws_chain_config config = id->config;
    if (id->search) return;
    config.quota = id->quota;
    config.skew_ms = id->skew_ms;
    id->search = aws_search_start(id->uv, id->http, &config, on_found, id);
}

bool aws_identity_use(struct aws_identity *id, struct aws_identity_wait *w)
{
    int64_t now_ms = aws_feed_now_ms();
    bool good = keys_are_good(id, now_ms), blocked = now_ms < id->blocked_until_ms;
    if (!blocked && (!good || now_ms >= id->advisory_ms)) start_search(id);
    if (good) return true;
    if (id->search) {
        list_push_back(&id->waiting, &w->node);
    } else {
        if (!blocked) err_set(&id->why, ERR_OUT_OF_MEMORY, "");
        w->ready(w, &id->why);
    }
    return false;
}

void aws_identity_drop_keys(struct aws_identity *id)
{
    id->has_keys = false;
    aws_credentials_fini(&id->keys);
    aws_credentials_init(&id->keys);
}

bool aws_identity_signer(const struct aws_identity *id, enum aws_service service,
                         struct aws_signer *out, struct err *err)
{
    if (id->no_endpoint[service].code) {
        *err = id->no_endpoint[service];
        return false;
    }
    *out = (struct aws_signer){ .endpoint = &id->endpoints[service],
                                .credentials = &id->keys,
                                .now_ms = aws_feed_now_ms(),
                                .skew_ms = id->skew_ms };
    return true;
}
