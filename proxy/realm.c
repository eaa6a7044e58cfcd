#include "proxy/realm.h"

#include "auth/secret.h"
#include "proxy/jwks.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/file.h"
#include "proxy/role.h"
#include "proxy/shared.h"
#include "proxy/shim.h"

#include <stdio.h>
#include <stdlib.h>

/* What is only needed while a realm is made. */
struct making {
    struct realm *realm;
    const struct realm *previous;
    struct shared *shared;
    struct problems *problems;
    struct env_file *env;
};

static bool no_memory(struct making *m)
{
    problem_error(m->problems, 0, "out of memory");
    return false;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* A key or certificate that is not a file is read here, so that tls_context gets its text. */
static bool pem_source(struct making *m, const struct secret_ref *ref, struct tls_source *source,
                       struct buf *pem)
{
    struct err err;
    if (ref->kind == SECRET_ABSENT) return true;
    source->name = ref->text;
    if (ref->kind == SECRET_FILE) return true;
    if (!secret_resolve(ref, m->env, pem, &err)) {
        problem_error(m->problems, ref->line, "%s", err.message);
        return false;
    }
    source->pem = buf_slice(pem);
    return true;
}

int realm_listen_at(const struct realm *r, const char *address)
{
    for (size_t i = 0; i < r->config->n_listen; i++)
        if (strcmp(r->config->listen[i].address.text, address) == 0) return (int)i;
    return -1;
}

static const struct tls_context *previous_listen_tls(const struct making *m, size_t i)
{
    const char *address = m->realm->config->listen[i].address.text;
    int before = m->previous ? realm_listen_at(m->previous, address) : -1;
    return before < 0 ? NULL : m->previous->listens[before].tls;
}

/* Sockets are opened at the start and stay: each still needs to know what is asked of its clients.
 */
static bool keeps_listeners(struct making *m)
{
    bool ok = true;
    for (size_t i = 0; m->previous && i < m->previous->config->n_listen; i++) {
        const char *address = m->previous->config->listen[i].address.text;
        if (realm_listen_at(m->realm, address) >= 0) continue;
        problem_error(m->problems, 0, "listen: %s is gone; restart to stop listening there",
                      address);
        ok = false;
    }
    return ok;
}

/* Sets `out` where there is a certificate. False: there should be one, and it cannot be used. */
static bool make_server_tls(struct making *m, const struct config_listen_tls *tls, const char *alpn,
                            const struct tls_context *previous, struct tls_context **out)
{
    struct buf pem = { 0 }, chain = { 0 };
    struct err err;
    if (!config_has_certificate(tls) || tls->mode == CONFIG_TLS_DISABLE) return true;
    struct tls_server_options options = {
        .certificate = { .name = tls->certificate },
        .client_ca = { .name = tls->client_ca },
        .min_version = tls->min_version == CONFIG_TLS_1_3 ? TLS_1_3 : TLS_1_2,
        .ciphers = tls->ciphers,
        .alpn = alpn,
    };
    if (pem_source(m, &tls->key, &options.key, &pem) &&
        pem_source(m, &tls->certificate_secret, &options.certificate, &chain)) {
        *out = tls_context_server(&options, previous, &err);
        if (!*out) problem_error(m->problems, tls->line, "%s", err.message);
    }
    buf_wipe(&pem);
    buf_wipe(&chain);
    return *out != NULL;
}

static bool make_listen(struct making *m, size_t i)
{
    return make_server_tls(m, &m->realm->config->listen[i].tls, "postgresql",
                           previous_listen_tls(m, i), &m->realm->listens[i].tls);
}

static bool make_admin_tls(struct making *m)
{
    return make_server_tls(m, &m->realm->config->admin.tls, "http/1.1",
                           m->previous ? m->previous->admin_tls : NULL, &m->realm->admin_tls);
}

static enum tls_verify verify_of(enum config_tls_mode mode)
{
    switch (mode) {
    case CONFIG_TLS_VERIFY_CA: return TLS_VERIFY_CA;
    case CONFIG_TLS_VERIFY_FULL: return TLS_VERIFY_FULL;
    default: return TLS_VERIFY_NONE;
    }
}

static bool make_cluster_tls(struct making *m, struct realm_cluster *c)
{
    const struct config_cluster_tls *tls = &c->config->tls;
    const char *ca = c->config->ca ? c->config->ca : tls->ca;
    struct buf pem = { 0 };
    struct err err;
    char peer[96], setting[96];
    if (tls->mode <= CONFIG_TLS_ALLOW || c->config->endpoint.is_unix) return true;
    snprintf(peer, sizeof peer, "cluster %s", c->config->name);
    snprintf(setting, sizeof setting, "clusters.%s.ca", c->config->name);
    struct tls_client_options options = {
        .ca = { .name = ca },
        .verify = verify_of(tls->mode),
        .certificate = { .name = tls->certificate },
        .min_version = tls->min_version == CONFIG_TLS_1_3 ? TLS_1_3 : TLS_1_2,
        .ciphers = tls->ciphers,
        .peer = peer,
        .ca_setting = setting,
    };
    if (pem_source(m, &tls->key, &options.key, &pem)) {
        c->tls = tls_context_client(&options, &err);
        if (!c->tls) problem_error(m->problems, c->config->line, "%s", err.message);
    }
    buf_wipe(&pem);
    return c->tls != NULL;
}

/* ---- clusters ------------------------------------------------------------------------------- */

static bool make_login(struct making *m, struct realm_login *login,
                       const struct config_secret *from)
{
    struct buf text = { 0 };
    struct err err;
    login->db_user = from->name;
    if (secret_resolve(&from->secret, m->env, &text, &err)) {
        login->password = secret_new(buf_slice(&text));
        if (!login->password) no_memory(m);
    } else {
        problem_error(m->problems, from->secret.line, "%s", err.message);
    }
    buf_wipe(&text);
    return login->password != NULL;
}

static bool make_cluster(struct making *m, size_t i)
{
    struct realm_cluster *c = &m->realm->clusters[i];
    c->config = &m->realm->config->clusters[i];
    c->budget = budgets_find(&m->shared->budgets, c->config->name);
    c->health = healths_find(&m->shared->healths, c->config->name);
    c->host = c->config->endpoint.host;
    c->tls_name = c->config->tls.server_name ? c->config->tls.server_name : c->host;
    c->port = c->config->endpoint.is_unix ? 0 : c->config->endpoint.port;
    const struct config_secrets *users = &c->config->credentials.users;
    c->logins = calloc(users->count + 1, sizeof *c->logins);
    if (!c->budget || !c->health || !c->logins) return no_memory(m);
    bool ok = make_cluster_tls(m, c);
    for (size_t u = 0; u < users->count; u++) {
        ok &= make_login(m, &c->logins[u], &users->items[u]);
        c->n_logins++;
    }
    return ok;
}

const struct realm_cluster *realm_cluster(const struct realm *r, const char *name)
{
    for (size_t i = 0; i < r->config->n_clusters; i++)
        if (strcmp(r->clusters[i].config->name, name) == 0) return &r->clusters[i];
    return NULL;
}

const struct secret *realm_password(const struct realm_cluster *c, const char *db_user)
{
    for (size_t i = 0; i < c->n_logins; i++)
        if (strcmp(c->logins[i].db_user, db_user) == 0) return c->logins[i].password;
    return NULL;
}

/* ---- roles ---------------------------------------------------------------------------------- */

static bool make_role(struct making *m, size_t i)
{
    const struct config *config = m->realm->config;
    struct realm_role *role = &m->realm->roles[i];
    struct err err;
    role->config = &config->roles[i];
    role->grants = role_compile(role->config, config->limits.statement_bytes, m->realm->generation,
                                m->shared->seed, &err);
    if (!role->grants)
        problem_error(m->problems, role->config->line, "roles.%s: %s", role->config->name,
                      err.message);
    return role->grants != NULL;
}

const struct realm_role *realm_role(const struct realm *r, const char *name)
{
    for (size_t i = 0; i < r->config->n_roles; i++)
        if (strcmp(r->roles[i].config->name, name) == 0) return &r->roles[i];
    return NULL;
}

/* ---- users ---------------------------------------------------------------------------------- */

static unsigned methods_of(uint32_t set)
{
    static const struct {
        enum config_auth config;
        enum auth_method method;
    } pairs[] = {
        { CONFIG_AUTH_IAM, AUTH_IAM },       { CONFIG_AUTH_SCRAM, AUTH_SCRAM },
        { CONFIG_AUTH_DIGEST, AUTH_DIGEST }, { CONFIG_AUTH_MD5, AUTH_MD5 },
        { CONFIG_AUTH_CERT, AUTH_CERT },     { CONFIG_AUTH_CLEARTEXT, AUTH_CLEARTEXT },
        { CONFIG_AUTH_TRUST, AUTH_TRUST },   { CONFIG_AUTH_PASSTHROUGH, AUTH_PASSTHROUGH },
        { CONFIG_AUTH_IDP, AUTH_IDP },
    };
    unsigned methods = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (set & (1u << pairs[i].config)) methods |= AUTH_BIT(pairs[i].method);
    return methods;
}

/* The slices of a list of strings; NULL when it is empty or memory ran out. */
static struct slice *slices_of(const struct config_list *list)
{
    struct slice *slices = list->count ? calloc(list->count, sizeof *slices) : NULL;
    for (size_t i = 0; slices && i < list->count; i++) slices[i] = slice_str(list->items[i]);
    return slices;
}

static uint32_t role_index(const struct config *config, const char *role)
{
    for (size_t i = 0; i < config->n_roles; i++)
        if (strcmp(config->roles[i].name, role) == 0) return (uint32_t)i;
    return UINT32_MAX;
}

static bool make_user(struct making *m, const struct config_user *from)
{
    struct buf password = { 0 };
    struct err err;
    bool ok = true;
    if (from->password.kind == SECRET_VERIFIER)
        buf_add_str(&password, from->password.text);
    else if (from->password.kind != SECRET_ABSENT)
        ok = secret_resolve(&from->password, m->env, &password, &err);
    struct slice text = buf_slice(&password);
    struct slice *arns = slices_of(&from->arns), *names = slices_of(&from->certificate_names);
    struct slice *functions = slices_of(&from->functions), *idp_users = slices_of(&from->idp_users);
    uint32_t kinds = from->iam_tokens; /* none: all */
    struct user_setup setup = {
        .name = slice_str(from->name),
        .methods = methods_of(from->auth),
        .console = (enum console_level)from->console,
        .role = slice_str(from->role),
        .db_user = slice_str(config_db_user(from)),
        .role_index = role_index(m->realm->config, from->role),
        .arns = arns,
        .arn_count = arns ? (uint32_t)from->arns.count : 0,
        .functions = functions,
        .function_count = functions ? (uint32_t)from->functions.count : 0,
        .idp_users = idp_users,
        .idp_user_count = idp_users ? (uint32_t)from->idp_users.count : 0,
        .no_sts_token = kinds && !(kinds & (1u << CONFIG_TOKEN_STS)),
        .no_web_identity = kinds && !(kinds & (1u << CONFIG_TOKEN_WEB_IDENTITY)),
        .certificate_names = names,
        .certificate_name_count = names ? (uint32_t)from->certificate_names.count : 0,
        .passwords = &text,
        .password_count = text.len ? 1 : 0,
    };
    if (ok && ((from->functions.count && !functions) || (from->idp_users.count && !idp_users)))
        ok = err_set(&err, ERR_OUT_OF_MEMORY, "");
    ok = ok && users_add(m->realm->users, &setup, &err);
    if (!ok)
        problem_error(m->problems, from->password.line ? from->password.line : from->line, "%s",
                      err.message);
    free(arns);
    free(functions);
    free(idp_users);
    free(names);
    buf_wipe(&password);
    return ok;
}

static bool make_users(struct making *m)
{
    const struct config *config = m->realm->config;
    m->realm->users =
        users_new(m->shared->seed, slice_of(m->shared->user_key, sizeof m->shared->user_key),
                  m->previous ? m->previous->users : NULL);
    if (!m->realm->users) return no_memory(m);
    bool ok = true;
    for (size_t i = 0; i < config->n_users; i++) ok &= make_user(m, &config->users[i]);
    return ok && (users_seal(m->realm->users) || no_memory(m));
}

/* ---- access --------------------------------------------------------------------------------- */

static bool make_access(struct making *m)
{
    const struct config *config = m->realm->config;
    struct err err;
    bool ok = true;
    m->realm->access = access_new();
    if (!m->realm->access) return no_memory(m);
    for (size_t i = 0; i < config->n_access; i++) {
        const struct config_access *from = &config->access[i];
        struct slice *networks = slices_of(&from->from), *users = slices_of(&from->users);
        struct access_setup setup = {
            .from = networks,
            .from_count = networks ? (uint32_t)from->from.count : 0,
            .users = users,
            .user_count = users ? (uint32_t)from->users.count : 0,
            .tls = from->tls ? ACCESS_TLS_ONLY : ACCESS_TLS_ANY,
            .unsafe = from->unsafe,
        };
        if (!access_add(m->realm->access, &setup, &err)) {
            problem_error(m->problems, from->line, "%s", err.message);
            ok = false;
        }
        free(networks);
        free(users);
    }
    if (ok && !access_seal(m->realm->access, &err)) {
        problem_error(m->problems, config->n_access ? config->access[0].line : 0, "%s",
                      err.message);
        ok = false;
    }
    return ok;
}

/* Whose PROXY header is believed. A Unix socket's file permissions say who may come by it. */
static bool make_fronts(struct making *m, size_t i)
{
    const struct config_listen *listen = &m->realm->config->listen[i];
    struct slice *networks, everybody = slice_str("*"), unix_socket = slice_str("unix");
    struct err err;
    if (listen->proxy_protocol == CONFIG_PROXY_OFF) return true;
    struct access *fronts = m->realm->listens[i].fronts = access_new();
    networks = slices_of(&listen->proxy_from);
    struct access_setup setup = {
        .from = listen->address.is_unix ? &unix_socket : networks,
        .from_count = listen->address.is_unix ? 1
                      : networks              ? (uint32_t)listen->proxy_from.count
                                              : 0,
        .users = &everybody,
        .user_count = 1,
    };
    bool ok = fronts && access_add(fronts, &setup, &err);
    if (!fronts)
        no_memory(m);
    else if (!ok)
        problem_error(m->problems, listen->line, "%s", err.message);
    free(networks);
    return ok;
}

const char *realm_turns_away(const struct realm *r, uint16_t listen, const struct address *from)
{
    struct access_question q = { .family = from->family, .bytes = from->bytes };
    const struct access *fronts = r->listens[listen].fronts;
    if (!fronts) return realm_lets_in(r, from) ? NULL : "no access rule";
    return access_admits(fronts, &q) ? NULL : "no load balancer of proxy_from";
}

bool realm_lets_in(const struct realm *r, const struct address *from)
{
    struct access_question q = { .family = from->family, .bytes = from->bytes };
    if (access_admits(r->access, &q)) return true;
    q.tls = true;
    return access_admits(r->access, &q);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void check_local_answers(struct making *m)
{
    const struct config_pool *pool = &m->realm->config->pool;
    for (size_t i = 0; i < pool->local_answers.count; i++)
        if (!shim_exists(slice_str(pool->local_answers.items[i])))
            problem_error(m->problems, pool->line, "pool.local_answers: there is no answer \"%s\"",
                          pool->local_answers.items[i]);
}

/* Keys of issuers that lie in files; the others are fetched, see jwks.h. */
static bool make_issuer(struct making *m, size_t i)
{
    const struct config_issuer *issuer = &m->realm->config->iam.issuers[i];
    const char *path = config_issuer_file(issuer);
    struct buf text = { 0 };
    struct err err;
    if (!path) return true;
    if (file_read(path, SIGNATURE_KEYS_MAX_BYTES, &text, &err))
        m->realm->issuer_keys[i] = jwks_set_new(buf_slice(&text), &err);
    buf_fini(&text);
    if (!m->realm->issuer_keys[i])
        problem_error(m->problems, issuer->line, "iam.issuers: %s: %s", path, err.message);
    return m->realm->issuer_keys[i] != NULL;
}

static bool make_issuers(struct making *m)
{
    const struct config_iam *iam = &m->realm->config->iam;
    bool ok = true;
    m->realm->issuer_keys = calloc(iam->n_issuers + 1, sizeof *m->realm->issuer_keys);
    if (!m->realm->issuer_keys) return no_memory(m);
    for (size_t i = 0; i < iam->n_issuers; i++) ok &= make_issuer(m, i);
    return ok;
}

static bool make_all(struct making *m)
{
    struct config *config = m->realm->config;
    m->realm->listens = calloc(config->n_listen, sizeof *m->realm->listens);
    m->realm->clusters = calloc(config->n_clusters, sizeof *m->realm->clusters);
    m->realm->roles = calloc(config->n_roles, sizeof *m->realm->roles);
    if (!m->realm->listens || !m->realm->clusters || !m->realm->roles) return no_memory(m);
    bool ok = true;
    for (size_t i = 0; i < config->n_listen; i++) {
        ok &= make_listen(m, i) || !config_has_certificate(&config->listen[i].tls);
        ok &= make_fronts(m, i);
    }
    ok &= keeps_listeners(m);
    ok &= make_admin_tls(m);
    for (size_t i = 0; i < config->n_clusters; i++) ok &= make_cluster(m, i);
    for (size_t i = 0; i < config->n_roles; i++) ok &= make_role(m, i);
    ok &= make_users(m);
    ok &= make_access(m);
    ok &= make_issuers(m);
    check_local_answers(m);
    return ok && m->problems->errors == 0;
}

struct realm *realm_new(struct config *config, const struct realm *previous, struct shared *shared,
                        struct problems *problems)
{
    struct making m = { .previous = previous, .shared = shared, .problems = problems };
    m.realm = calloc(1, sizeof *m.realm);
    if (!m.realm) {
        config_unref(config);
        no_memory(&m);
        return NULL;
    }
    atomic_init(&m.realm->refs, 1);
    m.realm->config = config;
    m.realm->generation = previous ? previous->generation + 1 : 1;
    if (config->env_file) m.env = env_file_load(config->env_file, problems);
    bool ok = make_all(&m);
    env_file_free(m.env);
    if (ok) return m.realm;
    realm_unref(m.realm);
    return NULL;
}

struct realm *realm_ref(struct realm *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void realm_unref(struct realm *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; r->listens && i < r->config->n_listen; i++) {
        tls_context_unref(r->listens[i].tls);
        access_free(r->listens[i].fronts);
    }
    tls_context_unref(r->admin_tls);
    for (size_t i = 0; r->clusters && i < r->config->n_clusters; i++) {
        struct realm_cluster *c = &r->clusters[i];
        for (size_t u = 0; u < c->n_logins; u++) secret_free(c->logins[u].password);
        free(c->logins);
        tls_context_unref(c->tls);
    }
    for (size_t i = 0; r->roles && i < r->config->n_roles; i++) grants_free(r->roles[i].grants);
    for (size_t i = 0; r->issuer_keys && i < r->config->iam.n_issuers; i++)
        jwks_set_unref(r->issuer_keys[i]);
    free(r->issuer_keys);
    free(r->listens);
    free(r->clusters);
    free(r->roles);
    users_unref(r->users);
    access_free(r->access);
    config_unref(r->config);
    free(r);
}
