#include "proxy/passthrough.h"

#include "auth/hash.h"
#include "protocol/startup.h"
#include "proxy/guide.h"
#include "proxy/judge.h"
#include "proxy/shared.h"
#include "routing/match.h"

/* What tells the warehouse whose token it is; values as the client sent them. */
static const char *const context_keys[] = {
    "idp_type", "provider_name", "token_type", "identity_namespace", "idc_client_display_name",
};

enum { CONTEXT_KEYS = sizeof context_keys / sizeof *context_keys };

static bool is_passthrough(const struct realm_cluster *cluster)
{
    return cluster->config->credentials.source == CONFIG_SOURCE_PASSTHROUGH;
}

static bool refuse_unproven(const struct session *s, const struct realm_cluster *cluster,
                            struct err *err)
{
    struct slice user = s->client.user->name;
    log_event(s->client.env->log, EVENT_passthrough_nobody_judges, LOG_U64("conn", s->client.id),
              LOG_STR("user", user), LOG_TEXT("cluster", cluster->config->name),
              LOG_TEXT("why",
                       "this user is judged by the warehouse, but this cluster's credentials "
                       "are not \"passthrough\""),
              LOG_END);
    return err_set(err, ERR_LOGIN_FAILED, "authentication failed for user \"%.*s\"",
                   user.len < 64 ? (int)user.len : 64, user.at);
}

/* A key for the pool: who does not have the secret cannot have it, and it tells nothing of it. */
static bool make_id(const struct session *s, struct pool_given *given)
{
    const struct shared *shared = s->client.env->shared;
    uint8_t sum[SHA256_BYTES];
    /* Neither a password nor a token has a NUL inside. */
    struct slice kind = given->is_token ? slice_of("token", 6) : slice_of("password", 9);
    struct slice parts[] = { kind, secret_bytes(given->secret), slice_of("", 1), given->context };
    if (!hash_hmac(sum, slice_of((const char *)shared->user_key, sizeof shared->user_key), parts,
                   sizeof parts / sizeof *parts))
        return false;
    hex_encode(sum, sizeof given->id / 2, given->id);
    return true;
}

static void add_context(const struct session *s, struct buf *context)
{
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        struct slice value = startup_get(client_startup(&s->client), context_keys[i]);
        if (!value.at) continue;
        buf_add(context, context_keys[i], strlen(context_keys[i]) + 1);
        buf_add_slice(context, value);
        buf_add_u8(context, 0);
    }
}

bool passthrough_begin(const struct session *s, const struct realm_cluster *cluster,
                       struct pool_given *given, struct buf *context, struct err *err)
{
    const struct user *user = s->client.user;
    *given = (struct pool_given){ 0 };
    if (!is_passthrough(cluster)) return !s->client.unproven || refuse_unproven(s, cluster, err);
    given->secret = client_given(&s->client, &given->is_token);
    if (!given->secret) {
        err_set(err, ERR_ACCESS_DENIED,
                "this cluster wants the client's own password, and this login gave none");
        err_hint(err, "the user's auth must be \"passthrough\", \"cleartext\" or \"idp\"");
        return false;
    }
    if (given->is_token && s->restricted && user->idp_user_count == 0) {
        err_set(err, ERR_ACCESS_DENIED,
                "an identity provider's token does not make anybody a user with restricted rights");
        err_hint(err, "the configuration must say who: users.%.*s.idp_users",
                 user->name.len < 64 ? (int)user->name.len : 64, user->name.at);
        return false;
    }
    if (given->is_token) add_context(s, context);
    given->context = buf_slice(context);
    if (!context->failed && make_id(s, given)) return true;
    return err_set(err, ERR_OUT_OF_MEMORY, "");
}

static bool is_expected(const struct user *user, struct slice name)
{
    for (uint32_t i = 0; i < user->idp_user_count; i++)
        if (glob_matches(user->idp_users[i], name)) return true;
    return user->idp_user_count == 0;
}

bool passthrough_admits(struct session *s, const struct params *params, struct err *err)
{
    struct client *c = &s->client;
    bool is_token = false;
    if (!client_given(c, &is_token)) return true;
    if (is_token) {
        struct slice name = params_get(params, "session_authorization");
        bool ok = (name.len || !s->restricted) && is_expected(c->user, name);
        log_event(c->env->log, ok ? EVENT_client_identified : EVENT_client_not_the_user,
                  LOG_U64("conn", c->id), LOG_STR("db_user", name), LOG_END);
        if (!ok)
            return err_set(err, ERR_ACCESS_DENIED,
                           "the token's bearer is \"%.*s\", who may not be this user",
                           name.len < 100 ? (int)name.len : 100, name.at ? name.at : "");
        if (name.len && !client_identify(c, name)) return err_set(err, ERR_OUT_OF_MEMORY, "");
        if (!guide_identified(s, err)) return false;
    }
    client_proven(c);
    return true;
}

bool passthrough_is_stale(struct pool *p)
{
    if (!p->target.given || !p->welcomed) return false;
    if (env_now_ms(p->env) - p->proven_ms < PASSTHROUGH_PROOF_MS) return false;
    if (p->count[POOL_OPENING] == 0) pool_reconnect(p);
    return true;
}
