#include "proxy/ops/config_table.h"

#include "auth/access.h"
#include "auth/grants.h"
#include "auth/iam_arn.h"
#include "protocol/nearest.h"
#include "proxy/ops/file.h"
#include "proxy/role.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An error is what could do harm or fail when it is used; a warning is what can never match or
 * never work for anybody. */

struct check {
    struct config *config;
    const struct json_doc *doc;
    const struct config_world *world;
    struct problems *problems;
};

#define error(c, line, ...)   problem_error((c)->problems, line, __VA_ARGS__)
#define warning(c, line, ...) problem_warning((c)->problems, line, __VA_ARGS__)

/* The JSON under `key` of a section, NULL when it is not written. */
static const struct json_value *written(const struct check *c, const void *section, const char *key)
{
    const struct config_head *head = section;
    const struct json_value *object = head->line ? json_at(c->doc, head->node) : NULL;
    return object ? json_member(object, slice_str(key)) : NULL;
}

/* The line of a directive, or else of its section. */
static uint32_t line_of(const struct check *c, const void *section, const char *key)
{
    const struct json_value *value = written(c, section, key);
    return value ? json_line(value) : ((const struct config_head *)section)->line;
}

/* The line of a list's item. What was empty is no item, so this follows the JSON, not the list. */
static uint32_t item_line(const struct check *c, const void *section, const char *key,
                          const char *item)
{
    const struct json_value *value = written(c, section, key);
    for (const struct json_value *v = value ? json_first(value) : NULL; v; v = json_next(v))
        if (slice_is(json_string(v), item)) return json_line(v);
    return line_of(c, section, key);
}

/* ", did you mean X?", or nothing. */
struct hint {
    char text[160];
};

static struct hint hint_of(const struct nearest *nearest)
{
    struct hint hint = { "" };
    if (nearest->best.len > 0)
        snprintf(hint.text, sizeof hint.text, "; did you mean \"%.*s\"?", SLICE_ARG(nearest->best));
    return hint;
}

/* ---- files -----------------------------------------------------------------------------------*/

static void check_file(const struct check *c, const void *section, const char *key,
                       const char *path)
{
    if (!path || !c->world->has_files || access(path, R_OK) == 0) return;
    error(c, line_of(c, section, key), "%s: cannot read %s: %s", key, path, strerror(errno));
}

/* A secret that cannot be read here may be readable where the proxy runs: a warning. */
static void check_secret(const struct check *c, const struct secret_ref *ref, const char *key)
{
    if (!c->world->has_files || ref->kind != SECRET_FILE) return;
    if (access(ref->text, R_OK) != 0)
        warning(c, ref->line, "%s: cannot read %s: %s", key, ref->text, strerror(errno));
    else if (file_is_exposed(ref->text))
        warning(c, ref->line, "%s: everybody may read %s", key, ref->text);
}

/* What TLS needs at once. */
static bool check_pem(const struct check *c, const struct secret_ref *ref, const char *key)
{
    if (ref->kind == SECRET_VERIFIER) {
        error(c, ref->line, "%s: a verifier is no private key or certificate", key);
        return false;
    }
    if (!c->world->has_files || ref->kind != SECRET_FILE || access(ref->text, R_OK) == 0)
        return true;
    error(c, ref->line, "%s: cannot read %s: %s", key, ref->text, strerror(errno));
    return false;
}

static void check_key(const struct check *c, const struct secret_ref *ref)
{
    if (check_pem(c, ref, "key")) check_secret(c, ref, "key");
}

/* ---- addresses -------------------------------------------------------------------------------*/

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_any(const char *host) { return !strcmp(host, "0.0.0.0") || !strcmp(host, "::"); }

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. False: not one. */
static bool parse_network(const char *text, unsigned *prefix, unsigned *width)
{
    char host[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    if (n >= sizeof host) return false;
    memcpy(host, text, n);
    host[n] = '\0';
    *width = inet_pton(AF_INET, host, bytes) == 1    ? 32
             : inet_pton(AF_INET6, host, bytes) == 1 ? 128
                                                     : 0;
    *prefix = *width;
    uint64_t given;
    if (*width == 0) return false;
    if (!slash) return true;
    if (!config_scalar(TYPE_INT, slice_str(slash + 1), &given) || given > *width) return false;
    *prefix = (unsigned)given;
    /* Bits behind the prefix: the author meant one address, or another network. */
    for (unsigned bit = *prefix; bit < *width; bit++)
        if (bytes[bit / 8] & (0x80u >> bit % 8)) return false;
    return true;
}

/* ---- listeners -------------------------------------------------------------------------------*/

static void check_listen_tls(const struct check *c, const struct config_listen_tls *tls)
{
    if (!tls->line) return;
    bool has_key = tls->key.kind != SECRET_ABSENT, has_certificate = config_has_certificate(tls);
    if (has_certificate && !has_key)
        error(c, line_of(c, tls, tls->certificate ? "certificate" : "certificate_secret"),
              "tls: a certificate needs its key");
    if (tls->certificate && tls->certificate_secret.kind != SECRET_ABSENT)
        error(c, tls->certificate_secret.line, "tls: there is a certificate already");
    if (!has_certificate && has_key)
        error(c, line_of(c, tls, "key"), "tls: a key needs its certificate");
    if (tls->mode != CONFIG_TLS_DISABLE && !has_certificate)
        error(c, line_of(c, tls, "mode"), "tls.mode \"%s\" needs a certificate and a key",
              config_word_tls_mode(tls->mode));
    if (tls->mode >= CONFIG_TLS_VERIFY_CA && !tls->client_ca)
        error(c, line_of(c, tls, "mode"), "tls.mode \"%s\" needs a client_ca",
              config_word_tls_mode(tls->mode));
    if (tls->mode == CONFIG_TLS_DISABLE && has_certificate)
        warning(c, line_of(c, tls, "mode"), "tls.mode \"disable\": the certificate is never used");
    check_file(c, tls, "certificate", tls->certificate);
    check_file(c, tls, "client_ca", tls->client_ca);
    check_pem(c, &tls->certificate_secret, "certificate_secret");
    check_key(c, &tls->key);
}

static void check_listen(const struct check *c)
{
    const struct config *config = c->config;
    for (size_t i = 0; i < config->n_listen; i++) {
        const struct config_listen *listen = &config->listen[i];
        check_listen_tls(c, &listen->tls);
        for (size_t j = 0; j < i && listen->address.text; j++)
            if (config->listen[j].address.text &&
                !strcmp(config->listen[j].address.text, listen->address.text))
                error(c, line_of(c, listen, "address"), "address %s stands twice, first on line %u",
                      listen->address.text, line_of(c, &config->listen[j], "address"));
        if (listen->proxy_protocol != CONFIG_PROXY_OFF && listen->proxy_from.count == 0 &&
            !listen->address.is_unix)
            error(c, line_of(c, listen, "proxy_protocol"),
                  "proxy_protocol needs proxy_from: whoever may send the header may claim any "
                  "address");
        if (listen->proxy_protocol == CONFIG_PROXY_OFF && listen->proxy_from.count > 0)
            warning(c, line_of(c, listen, "proxy_from"), "proxy_from: proxy_protocol is off");
        for (size_t j = 0; j < listen->proxy_from.count; j++) {
            unsigned prefix, width;
            const char *network = listen->proxy_from.items[j];
            if (!parse_network(network, &prefix, &width))
                error(c, item_line(c, listen, "proxy_from", network),
                      "proxy_from: \"%s\" is no network such as \"10.0.0.0/8\"", network);
        }
    }
}

/* Whether some listener is such that a TLS session, a client certificate, a loopback client can
 * come in by it. */
static bool some_listen_has_tls(const struct config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].tls.mode != CONFIG_TLS_DISABLE) return true;
    return false;
}

static bool some_listen_asks_certificate(const struct config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].tls.client_ca) return true;
    return config->admin.tls.client_ca != NULL;
}

static bool some_listen_is_near(const struct config *config)
{
    for (size_t i = 0; i < config->n_listen; i++) {
        const struct config_address *address = &config->listen[i].address;
        if (!address->text || address->is_unix || is_loopback(address->host) ||
            is_any(address->host))
            return true;
    }
    return false;
}

static bool some_listen_is_unix(const struct config *config)
{
    for (size_t i = 0; i < config->n_listen; i++)
        if (config->listen[i].address.is_unix) return true;
    return false;
}

/* ---- clusters --------------------------------------------------------------------------------*/

static bool has_db_user(const struct config_cluster *cluster, const char *db_user)
{
    for (size_t i = 0; i < cluster->credentials.users.count; i++)
        if (!strcmp(cluster->credentials.users.items[i].name, db_user)) return true;
    return false;
}

static void check_credentials(const struct check *c, const struct config_cluster *cluster)
{
    const struct config_credentials *credentials = &cluster->credentials;
    const char *source = config_word_source(credentials->source);
    const struct json_value *given = written(c, credentials, "source");
    if (!given || !slice_is(json_string(given), source)) return; /* missing or unknown: was said */
    uint32_t line = line_of(c, credentials, "source");
    bool is_static = credentials->source == CONFIG_SOURCE_STATIC;
    bool is_iam = credentials->source == CONFIG_SOURCE_IAM ||
                  credentials->source == CONFIG_SOURCE_IAM_WITH_IAM;
    bool is_serverless = credentials->source == CONFIG_SOURCE_IAM_SERVERLESS;
    if (is_iam && !credentials->cluster_identifier)
        error(c, line, "source \"%s\" needs a cluster_identifier", source);
    if (is_serverless && !credentials->workgroup)
        error(c, line, "source \"%s\" needs a workgroup", source);
    bool is_findable =
        (is_iam && credentials->cluster_identifier) || (is_serverless && credentials->workgroup);
    if (!cluster->endpoint.text && !written(c, cluster, "endpoint") && !is_findable)
        error(c, cluster->line, "clusters.%s: endpoint is missing", cluster->name);
    if (is_static && credentials->users.count == 0)
        error(c, line, "source \"static\" needs users and their passwords");
    if (!is_static && credentials->users.count > 0)
        warning(c, line_of(c, credentials, "users"), "users: source \"%s\" does not use them",
                source);
    if (!is_iam && credentials->cluster_identifier)
        warning(c, line_of(c, credentials, "cluster_identifier"),
                "cluster_identifier: source \"%s\" does not use it", source);
    if (!is_serverless && credentials->workgroup)
        warning(c, line_of(c, credentials, "workgroup"), "workgroup: source \"%s\" does not use it",
                source);
    if (credentials->source != CONFIG_SOURCE_IAM && cluster->db_groups.count > 0)
        warning(c, line_of(c, cluster, "db_groups"), "db_groups: source \"%s\" does not use them",
                source);
    if (credentials->source != CONFIG_SOURCE_IAM && cluster->autocreate)
        warning(c, line_of(c, cluster, "autocreate"), "autocreate: source \"%s\" does not use it",
                source);
    if (!is_static && cluster->tls.mode < CONFIG_TLS_REQUIRE)
        error(c, cluster->tls.line ? line_of(c, &cluster->tls, "mode") : cluster->line,
              "source \"%s\" needs TLS: tls.mode \"%s\" could send its passwords in the clear",
              source, config_word_tls_mode(cluster->tls.mode));
    for (size_t i = 0; i < credentials->users.count; i++) {
        const struct config_secret *user = &credentials->users.items[i];
        if (user->secret.kind == SECRET_VERIFIER)
            error(c, user->secret.line,
                  "users: a verifier cannot log in as \"%s\"; the password itself is needed",
                  user->name);
        check_secret(c, &user->secret, user->name);
    }
}

static void check_clusters(const struct check *c)
{
    for (size_t i = 0; i < c->config->n_clusters; i++) {
        const struct config_cluster *cluster = &c->config->clusters[i];
        const struct config_cluster_tls *tls = &cluster->tls;
        check_credentials(c, cluster);
        if (cluster->ca && tls->ca)
            error(c, line_of(c, tls, "ca"),
                  "ca stands twice; it is the same as the cluster's own, on line %u",
                  line_of(c, cluster, "ca"));
        if (!tls->certificate != (tls->key.kind == SECRET_ABSENT))
            error(c, tls->line, "tls: certificate and key need each other");
        check_file(c, cluster, "ca", cluster->ca);
        check_file(c, tls, "ca", tls->ca);
        check_file(c, tls, "certificate", tls->certificate);
        check_key(c, &tls->key);
        check_secret(c, &cluster->aws.external_id, "external_id");
    }
}

/* ---- users -----------------------------------------------------------------------------------*/

#define METHOD(name) (1u << CONFIG_AUTH_##name)

/* What a stored verifier can be used for; cleartext can be checked against any. */
static uint32_t methods_of_verifier(const char *verifier)
{
    return METHOD(CLEARTEXT) | (slice_starts(slice_str(verifier), "SCRAM-") ? METHOD(SCRAM)
                                : slice_starts(slice_str(verifier), "md5")  ? METHOD(MD5)
                                                                            : METHOD(DIGEST));
}

/* Which of several identities a user may be, and what is made of it. */
static void check_token_rules(const struct check *c, const struct config_user *user)
{
    bool is_iam = user->auth & METHOD(IAM);
    bool web = !user->iam_tokens || user->iam_tokens & (1u << CONFIG_TOKEN_WEB_IDENTITY);
    struct slice db_user = slice_str(user->db_user);
    struct err err;
    for (size_t i = 0; i < user->arns.count; i++) {
        struct iam_pattern pattern;
        if (!iam_pattern_parse(slice_str(user->arns.items[i]), &pattern, &err))
            error(c, item_line(c, user, "arns", user->arns.items[i]), "users.%s: arns: %s",
                  user->name, err.message);
    }
    if (!is_iam && user->iam_tokens)
        warning(c, line_of(c, user, "iam_tokens"), "users.%s: iam_tokens: auth has no \"iam\"",
                user->name);
    if (user->functions.count > 0 && (!is_iam || !web || c->config->iam.n_issuers == 0))
        error(c, line_of(c, user, "functions"),
              "users.%s: functions are seen in web identity tokens only: that needs \"iam\" in "
              "auth, \"web-identity\" in iam_tokens, and iam.issuers",
              user->name);
    if (!iam_template_check(db_user, &err))
        error(c, line_of(c, user, "db_user"), "users.%s: db_user: %s", user->name, err.message);
    else if (iam_template_has_words(db_user) && user->auth != METHOD(IAM))
        error(c, line_of(c, user, "db_user"),
              "users.%s: db_user: only an IAM identity has a {role}, so auth must be \"iam\" alone",
              user->name);
}

static bool some_cluster_judges(const struct config *config)
{
    for (size_t i = 0; i < config->n_clusters; i++)
        if (config->clusters[i].credentials.source == CONFIG_SOURCE_PASSTHROUGH) return true;
    return config->n_clusters == 0;
}

/* Whoever is judged by the warehouse. */
static void check_forwarded(const struct check *c, const struct config_user *user)
{
    uint32_t forwarded = user->auth & (METHOD(PASSTHROUGH) | METHOD(IDP));
    const struct config_role *role =
        user->role ? config_role(c->config, slice_str(user->role)) : NULL;
    uint32_t line = line_of(c, user, "auth");
    if (user->idp_users.count > 0 && !(user->auth & METHOD(IDP)))
        warning(c, line_of(c, user, "idp_users"), "users.%s: idp_users: auth has no \"idp\"",
                user->name);
    if (!forwarded) return;
    const char *word = config_word_auth((enum config_auth)__builtin_ctz(forwarded));
    if (!some_cluster_judges(c->config))
        error(c, line, "users.%s: \"%s\": no cluster has credentials.source \"passthrough\"",
              user->name, word);
    if (user->auth & METHOD(PASSTHROUGH) &&
        user->auth & (METHOD(SCRAM) | METHOD(DIGEST) | METHOD(MD5) | METHOD(CLEARTEXT)))
        error(c, line,
              "users.%s: \"passthrough\" asks for the database's password, so there can be "
              "no password of ours beside it",
              user->name);
    if (user->auth & METHOD(IDP) && user->idp_users.count == 0 && role &&
        !config_role_is_unrestricted(role))
        error(
            c, line,
            "users.%s: \"idp\": role \"%s\" is restricted, so idp_users must say whom a token may "
            "prove",
            user->name, role->name);
    if (user->console != CONFIG_CONSOLE_NONE && user->auth == forwarded)
        warning(
            c, line_of(c, user, "console"),
            "users.%s: console: only the warehouse can judge this user, and the console does not "
            "ask it",
            user->name);
}

/* Without routes there is one cluster for everybody. */
static void check_judge(const struct check *c, const struct config_user *user)
{
    const struct config *config = c->config;
    uint32_t forwarded = user->auth & (METHOD(PASSTHROUGH) | METHOD(IDP));
    if (config->routes.source || config->n_clusters == 0 || !user->auth) return;
    const struct config_cluster *cluster = &config->clusters[0];
    bool judges = cluster->credentials.source == CONFIG_SOURCE_PASSTHROUGH;
    if (judges && user->console == CONFIG_CONSOLE_NONE &&
        !(user->auth & (METHOD(PASSTHROUGH) | METHOD(IDP) | METHOD(CLEARTEXT))))
        error(
            c, line_of(c, user, "auth"),
            "users.%s: cluster \"%s\" wants the client's own password; that takes \"passthrough\", "
            "\"cleartext\" or \"idp\"",
            user->name, cluster->name);
    if (!judges && forwarded && some_cluster_judges(config))
        error(c, line_of(c, user, "auth"),
              "users.%s: every session goes to cluster \"%s\", whose credentials.source is not "
              "\"passthrough\"",
              user->name, cluster->name);
}

static void check_methods(const struct check *c, const struct config_user *user)
{
    const struct config *config = c->config;
    uint32_t with_password =
        user->auth & (METHOD(SCRAM) | METHOD(DIGEST) | METHOD(MD5) | METHOD(CLEARTEXT));
    uint32_t line = line_of(c, user, "auth");
    bool has_password = user->password.kind != SECRET_ABSENT;
    if (with_password && !has_password && !written(c, user, "password"))
        error(c, line, "users.%s: \"%s\" needs a password", user->name,
              config_word_auth((enum config_auth)__builtin_ctz(with_password)));
    if (!with_password && has_password)
        warning(c, user->password.line, "users.%s: no way of auth uses the password", user->name);
    if (user->password.kind == SECRET_VERIFIER) {
        uint32_t lost = with_password & ~methods_of_verifier(user->password.text);
        if (lost)
            error(c, user->password.line, "users.%s: this verifier cannot be used for \"%s\"",
                  user->name, config_word_auth((enum config_auth)__builtin_ctz(lost)));
    }
    if (user->auth & METHOD(IAM) && user->arns.count == 0)
        error(c, line, "users.%s: \"iam\" needs arns", user->name);
    if (!(user->auth & METHOD(IAM)) && user->arns.count > 0)
        warning(c, line_of(c, user, "arns"), "users.%s: arns: auth has no \"iam\"", user->name);
    check_token_rules(c, user);
    if (!(user->auth & METHOD(CERT)) && user->certificate_names.count > 0)
        warning(c, line_of(c, user, "certificate_names"),
                "users.%s: certificate_names: auth has no \"cert\"", user->name);
    if (user->auth & METHOD(CERT) && !some_listen_asks_certificate(config))
        warning(c, line, "users.%s: \"cert\": no listener has a client_ca", user->name);
    if (user->auth & METHOD(TRUST) && !some_listen_is_near(config))
        warning(c, line,
                "users.%s: \"trust\" is for loopback and unix sockets, and no listener has one",
                user->name);
    if (user->auth &&
        !(user->auth &
          ~(METHOD(CLEARTEXT) | METHOD(IAM) | METHOD(CERT) | METHOD(PASSTHROUGH) | METHOD(IDP))) &&
        !some_listen_has_tls(config))
        warning(c, line,
                "users.%s: can never log in: all its ways need TLS, and no listener has it",
                user->name);
}

static void check_role_of(const struct check *c, const struct config_user *user)
{
    if (!user->role || config_role(c->config, slice_str(user->role))) return;
    struct nearest nearest = { .word = slice_str(user->role) };
    for (size_t i = 0; i < c->config->n_roles; i++)
        nearest_offer(&nearest, slice_str(c->config->roles[i].name));
    error(c, line_of(c, user, "role"), "users.%s: role \"%s\" is not defined%s", user->name,
          user->role, hint_of(&nearest).text);
}

/* Without routes, every session goes to the first cluster. */
static void check_db_user(const struct check *c, const struct config_user *user)
{
    const struct config *config = c->config;
    if (config->routes.source || config->n_clusters == 0) return;
    const struct config_cluster *cluster = &config->clusters[0];
    const char *db_user = config_db_user(user);
    if (cluster->credentials.source != CONFIG_SOURCE_STATIC ||
        cluster->credentials.users.count == 0 || has_db_user(cluster, db_user) ||
        iam_template_has_words(slice_str(db_user)))
        return;
    struct nearest nearest = { .word = slice_str(db_user) };
    for (size_t i = 0; i < cluster->credentials.users.count; i++)
        nearest_offer(&nearest, slice_str(cluster->credentials.users.items[i].name));
    error(c, line_of(c, user, "db_user"),
          "users.%s: cluster \"%s\" has no credentials for database user \"%s\"%s", user->name,
          cluster->name, db_user, hint_of(&nearest).text);
}

static void check_users(const struct check *c)
{
    for (size_t i = 0; i < c->config->n_users; i++) {
        const struct config_user *user = &c->config->users[i];
        check_methods(c, user);
        check_role_of(c, user);
        check_db_user(c, user);
        check_forwarded(c, user);
        check_judge(c, user);
        check_secret(c, &user->password, "password");
    }
}

/* ---- roles -----------------------------------------------------------------------------------*/

static bool is_used(const struct config *config, const struct config_role *role)
{
    for (size_t i = 0; i < config->n_users; i++)
        if (config->users[i].role && !strcmp(config->users[i].role, role->name)) return true;
    return false;
}

/* Patterns of objects that are good, and that something can match which needs one of the verbs. */
static void check_objects(const struct check *c, const void *section, const char *key,
                          const struct config_list *objects, uint32_t verbs)
{
    for (size_t i = 0; i < objects->count; i++) {
        const char *object = objects->items[i], *why;
        const uint32_t line = item_line(c, section, key, object);
        struct err err;
        if (!grants_check_pattern(slice_str(object), &err))
            error(c, line, "%s: %s", key, err.message);
        else if ((why = grants_why_never(slice_str(object), verbs, SQL_CASE_UNKNOWN)))
            warning(c, line, "%s: \"%s\" can never match: %s", key, object, why);
    }
}

static void check_functions(const struct check *c, const struct config_role *role)
{
    const uint32_t call = 1U << SQL_VERB_CREATE_TEMP; /* one part will do */
    check_objects(c, role, "functions", &role->functions, call | 1U << SQL_VERB_CALL);
}

/* What COPY may read and by which roles: what no statement can say is of no use. */
static void check_copy(const struct check *c, const struct config_role *role)
{
    static const char *const schemes[] = { "s3://", "emr://", "dynamodb://" };
    for (size_t i = 0; i < role->copy.from.count; i++) {
        const char *from = role->copy.from.items[i];
        bool fits = from[0] == '*';
        for (size_t k = 0; k < sizeof schemes / sizeof *schemes; k++)
            fits |= slice_starts(slice_str(from), schemes[k]);
        if (!fits)
            warning(c, item_line(c, &role->copy, "from", from),
                    "copy.from: \"%s\" can never match: it is not s3://, emr:// or dynamodb://",
                    from);
    }
    for (size_t i = 0; i < role->copy.iam_roles.count; i++) {
        const char *arn = role->copy.iam_roles.items[i];
        if (arn[0] != '*' && !slice_starts(slice_str(arn), "arn:") && strcmp(arn, "default") != 0)
            warning(c, item_line(c, &role->copy, "iam_roles", arn),
                    "copy.iam_roles: \"%s\" can never match: it is no ARN, nor default", arn);
    }
}

static bool some_cluster_serves(const struct config *config, const char *db_user)
{
    for (size_t i = 0; i < config->n_clusters; i++) {
        const struct config_cluster *cluster = &config->clusters[i];
        if (cluster->credentials.source != CONFIG_SOURCE_STATIC || has_db_user(cluster, db_user))
            return true;
    }
    return config->n_clusters == 0;
}

static void check_observe(const struct check *c, const struct config_role *role)
{
    enum { DAY_S = 86400, TRIAL_DAYS = 30 };
    const struct config_observe *observe = &role->observe;
    if (!observe->line || !observe->until_s) return;
    uint32_t line = line_of(c, observe, "until");
    if (observe->until_s <= c->world->now_s)
        warning(c, line, "roles.%s: the trial is over: refusals are real", role->name);
    else if (observe->until_s - c->world->now_s > (uint64_t)TRIAL_DAYS * DAY_S)
        error(c, line, "roles.%s: a trial lasts at most %d days", role->name, TRIAL_DAYS);
    else
        warning(c, line, "roles.%s: refuses nothing until the trial ends", role->name);
}

static void check_roles(const struct check *c)
{
    const struct config *config = c->config;
    for (size_t i = 0; i < config->n_roles; i++) {
        const struct config_role *role = &config->roles[i];
        if (role->insert_only.count > 0 && written(c, role, "grants"))
            error(c, line_of(c, role, "grants"), "roles.%s: insert_only means no other grants",
                  role->name);
        if (role->insert_only.count == 0 && role->n_grants == 0 && !written(c, role, "insert_only"))
            warning(c, role->line, "roles.%s: grants nothing", role->name);
        if (!is_used(config, role)) warning(c, role->line, "roles.%s: no user has it", role->name);
        check_objects(c, role, "insert_only", &role->insert_only, 1U << SQL_VERB_INSERT);
        for (size_t j = 0; j < role->n_grants; j++)
            check_objects(c, &role->grants[j], "on", &role->grants[j].on,
                          role_verbs(role->grants[j].verbs));
        check_functions(c, role);
        check_copy(c, role);
        for (size_t j = 0; j < role->db_users.count; j++)
            if (!some_cluster_serves(config, role->db_users.items[j]))
                error(c, item_line(c, role, "db_users", role->db_users.items[j]),
                      "roles.%s: no cluster has credentials for database user \"%s\"", role->name,
                      role->db_users.items[j]);
        check_observe(c, role);
    }
}

/* ---- access ----------------------------------------------------------------------------------*/

/* `*` stands for any run of bytes. Linear: after a star only the last one is ever retried. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static bool some_user_matches(const struct config *config, const char *pattern)
{
    for (size_t i = 0; i < config->n_users; i++)
        if (matches(pattern, config->users[i].name)) return true;
    return false;
}

static void check_from(const struct check *c, const struct config_access *rule, const char *from)
{
    unsigned prefix, width;
    uint32_t line = item_line(c, rule, "from", from);
    if (!strcmp(from, "unix")) {
        if (!some_listen_is_unix(c->config))
            warning(c, line, "from \"unix\": no listener is a unix socket");
    } else if (!parse_network(from, &prefix, &width)) {
        error(c, line, "from: \"%s\" is no network such as \"10.0.0.0/16\" (nor \"unix\")", from);
    } else if (prefix == 0 && !rule->unsafe) {
        error(c, line,
              "from \"%s\" lets the whole world in; if that is meant, say \"unsafe\": true", from);
    } else if (prefix == 0) {
        warning(c, line, "from \"%s\" lets the whole world in", from);
    }
}

/* What only the rules together show: networks that make up the whole internet between them. */
static void check_access_together(const struct check *c)
{
    const struct config *config = c->config;
    struct access *access = access_new();
    struct slice anybody = slice_str("*");
    struct err err;
    bool ok = access != NULL;
    for (size_t i = 0; ok && i < config->n_access; i++) {
        const struct config_access *rule = &config->access[i];
        struct slice *from = calloc(rule->from.count + 1, sizeof *from);
        for (size_t j = 0; from && j < rule->from.count; j++)
            from[j] = slice_str(rule->from.items[j]);
        struct access_setup setup = { .from = from,
                                      .from_count = (uint32_t)rule->from.count,
                                      .users = &anybody,
                                      .user_count = 1,
                                      .unsafe = rule->unsafe };
        ok = from && access_add(access, &setup, &err);
        if (from && !ok) error(c, line_of(c, rule, "from"), "access: %s", err.message);
        free(from);
    }
    if (ok && !access_seal(access, &err))
        error(c, line_of(c, config, "access"), "access: %s", err.message);
    access_free(access);
}

static void check_access(const struct check *c)
{
    size_t errors_before = c->problems->errors;
    for (size_t i = 0; i < c->config->n_access; i++) {
        const struct config_access *rule = &c->config->access[i];
        for (size_t j = 0; j < rule->from.count; j++) check_from(c, rule, rule->from.items[j]);
        for (size_t j = 0; j < rule->users.count; j++)
            if (!some_user_matches(c->config, rule->users.items[j]))
                warning(c, item_line(c, rule, "users", rule->users.items[j]),
                        "access: no user is called \"%s\"", rule->users.items[j]);
        if (rule->tls && !some_listen_has_tls(c->config))
            warning(c, line_of(c, rule, "tls"),
                    "access: this rule wants TLS, and no listener has it");
    }
    if (c->problems->errors == errors_before) check_access_together(c);
}

/* ---- the rest --------------------------------------------------------------------------------*/

static void check_pool(const struct check *c)
{
    const struct config_pool *pool = &c->config->pool;
    const struct config_limits *limits = &c->config->limits;
    if (pool->min_size > pool->size)
        error(c, line_of(c, pool, "min_size"), "pool.min_size %u is above pool.size %u",
              pool->min_size, pool->size);
    if (pool->wait_notice_ms > 0 && pool->wait_notice_ms >= pool->wait_timeout_ms)
        warning(c, line_of(c, pool, "wait_notice"), "pool.wait_notice: the wait is over before");
    if (limits->memory_bytes < limits->statement_bytes)
        error(c,
              line_of(c, limits,
                      limits->line && written(c, limits, "memory") ? "memory" : "statement"),
              "limits.memory holds not even one statement of limits.statement");
}

static void check_routes(const struct check *c)
{
    const struct config_routes *routes = &c->config->routes;
    if (!routes->line) return;
    struct slice source = slice_str(routes->source), cache = slice_str(routes->cache);
    if (routes->source && !slice_starts(source, "file:") && !slice_starts(source, "dynamodb:") &&
        !slice_is(source, "redis:"))
        error(c, line_of(c, routes, "source"),
              "routes.source is \"file:PATH\", \"dynamodb:TABLE\" or \"redis:\"");
    if (slice_is(source, "redis:") && !routes->cache)
        error(c, line_of(c, routes, "source"), "routes.source \"redis:\" needs a cache");
    if (routes->cache && !slice_starts(cache, "redis://") && !slice_starts(cache, "rediss://"))
        error(c, line_of(c, routes, "cache"),
              "routes.cache begins with \"rediss://\" or \"redis://\"");
    if (routes->cache && routes->signing_key.kind == SECRET_ABSENT &&
        !written(c, routes, "signing_key"))
        error(c, line_of(c, routes, "cache"), "routes.cache needs a signing_key");
    if (!routes->cache &&
        (routes->cache_password.kind != SECRET_ABSENT || routes->cache_user || routes->cache_ca))
        warning(c, routes->line,
                "routes: there is no cache that cache_user, cache_password and cache_ca are for");
    if (slice_starts(source, "file:"))
        check_file(c, routes, "source", routes->source + strlen("file:"));
    check_file(c, routes, "cache_ca", routes->cache_ca);
    check_secret(c, &routes->cache_password, "cache_password");
    check_secret(c, &routes->signing_key, "signing_key");
}

static void check_fleet(const struct check *c)
{
    const struct config_fleet *fleet = &c->config->fleet;
    if (!fleet->share_connections) return;
    if (!c->config->routes.cache)
        error(c, line_of(c, fleet, "share_connections"),
              "fleet.share_connections needs routes.cache: leases are kept there");
    if (fleet->size == 0)
        error(c, line_of(c, fleet, "share_connections"),
              "fleet.share_connections needs fleet.size: how many proxies there are at most");
    for (size_t i = 0; i < c->config->n_clusters; i++)
        if (c->config->clusters[i].max_connections < 2 * fleet->size)
            warning(c, c->config->clusters[i].line,
                    "clusters.%s.max_connections: less than two for each of %u proxies, so one "
                    "that starts may have to wait for a lease",
                    c->config->clusters[i].name, fleet->size);
}

/* Keys of strangers let strangers in: only from a file, over https, or from this machine. */
static void check_issuer(const struct check *c, const struct config_issuer *issuer)
{
    const char *file = config_issuer_file(issuer), *place = issuer->keys;
    const char *key = place ? "keys" : "issuer";
    if (!place) place = issuer->issuer;
    if (!place) return; /* was said */
    struct slice text = slice_str(place);
    if (file)
        check_file(c, issuer, key, file);
    else if (!slice_starts(text, "https://") && !slice_starts(text, "http://127.0.0.1") &&
             !slice_starts(text, "http://[::1]"))
        error(c, line_of(c, issuer, key),
              "iam.issuers: \"%s\" is no https URL, and \"keys\" names no file", place);
}

static void check_iam(const struct check *c)
{
    const struct config_iam *iam = &c->config->iam;
    for (size_t i = 0; i < iam->n_issuers; i++) {
        check_issuer(c, &iam->issuers[i]);
        for (size_t j = 0; j < i; j++)
            if (iam->issuers[i].issuer && iam->issuers[j].issuer &&
                !strcmp(iam->issuers[i].issuer, iam->issuers[j].issuer))
                error(c, iam->issuers[i].line, "iam.issuers: \"%s\" stands twice",
                      iam->issuers[i].issuer);
    }
    if (iam->audience && iam->n_issuers == 0)
        warning(c, line_of(c, iam, "audience"), "iam.audience: there are no issuers");
}

static void check_top(const struct check *c)
{
    const struct config *config = c->config;
    const struct config_admin *admin = &config->admin;
    struct slice audit = slice_str(config->audit.to);
    check_listen_tls(c, &admin->tls);
    if (admin->address.text && !admin->address.is_unix && !is_loopback(admin->address.host) &&
        admin->tls.mode < CONFIG_TLS_REQUIRE)
        error(c, line_of(c, admin, "address"),
              "admin.address %s is not on loopback, so it needs tls", admin->address.text);
    if (config->audit.to && !slice_starts(audit, "file:") && !slice_is(audit, "syslog") &&
        !slice_is(audit, "stdout"))
        error(c, line_of(c, &config->audit, "to"),
              "audit.to is \"file:PATH\", \"syslog\" or \"stdout\"");
    if (config->idp_user) {
        const struct config_user *user = config_user(config, slice_str(config->idp_user));
        if (!user || !(user->auth & METHOD(IDP)))
            error(c, line_of(c, config, "idp_user"),
                  "idp_user: \"%s\" is no user whose auth has \"idp\"", config->idp_user);
    }
    check_file(c, config, "env_file", config->env_file);
    check_secret(c, &config->aws.external_id, "external_id");
    if (secret_needs_aws(&config->aws.external_id))
        error(
            c, config->aws.external_id.line,
            "aws.external_id is needed before AWS can be asked for it; use \"env:\" or \"file:\"");
}

void config_check(struct config *config, const struct json_doc *doc,
                  const struct config_world *world, struct problems *problems)
{
    struct check check = { config, doc, world, problems };
    check_top(&check);
    check_iam(&check);
    check_listen(&check);
    check_clusters(&check);
    check_users(&check);
    check_roles(&check);
    check_access(&check);
    check_pool(&check);
    check_routes(&check);
    check_fleet(&check);
}
