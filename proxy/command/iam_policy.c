/* iam_policy: `sluice iam-policy --config FILE`. */
#include "proxy/command/command.h"

#include "auth/iam_policy.h"
#include "proxy/config_origin.h"
#include "proxy/ops/config.h"

#include <stdio.h>
#include <stdlib.h>

struct collected {
    struct iam_policy_facts facts;
    struct iam_policy_cluster *clusters;
    struct slice *db_users, *parameters, *secrets;
    size_t n_db_users, n_parameters, n_secrets;
};

static bool has(const struct slice *list, size_t n, struct slice text)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(list[i], text)) return true;
    return false;
}

static void add_secret(void *arg, const char *path, struct secret_ref *ref)
{
    struct collected *c = arg;
    struct slice name = slice_str(ref->text);
    (void)path;
    if (ref->kind == SECRET_SSM && !has(c->parameters, c->n_parameters, name))
        c->parameters[c->n_parameters++] = name;
    if (ref->kind != SECRET_SECRETSMANAGER) return;
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '#') name.len = i; /* behind it stands a key inside of the secret */
    if (!has(c->secrets, c->n_secrets, name)) c->secrets[c->n_secrets++] = name;
}

static void count_secret(void *arg, const char *path, struct secret_ref *ref)
{
    (void)path;
    (void)ref;
    ++*(size_t *)arg;
}

static void add_db_users(struct collected *c, const struct config *config)
{
    for (size_t i = 0; i < config->n_users; i++) {
        struct slice db_user = slice_str(config_db_user(&config->users[i]));
        if (!has(c->db_users, c->n_db_users, db_user)) c->db_users[c->n_db_users++] = db_user;
    }
}

static struct slice region_of_all(const struct config *config)
{
    const char *region = config->aws.region;
    if (!region) region = getenv("AWS_REGION");
    if (!region || !*region) region = getenv("AWS_DEFAULT_REGION");
    return slice_str(region && *region ? region : "*");
}

static struct slice region_of(const struct config *config, const struct config_cluster *cluster)
{
    struct redshift_host host;
    if (cluster->aws.region) return slice_str(cluster->aws.region);
    if (redshift_host_parse(slice_str(cluster->endpoint.host), &host)) return host.region;
    return region_of_all(config);
}

static bool api_of(const struct config_cluster *cluster, enum redshift_api *api)
{
    switch (cluster->credentials.source) {
    case CONFIG_SOURCE_IAM: *api = REDSHIFT_BY_USER; return true;
    case CONFIG_SOURCE_IAM_WITH_IAM: *api = REDSHIFT_WITH_IAM; return true;
    case CONFIG_SOURCE_IAM_SERVERLESS: *api = REDSHIFT_WORKGROUP; return true;
    default: return false;
    }
}

static void add_cluster(struct collected *c, const struct config *config,
                        const struct config_cluster *cluster)
{
    enum redshift_api api;
    if (!api_of(cluster, &api)) return;
    struct slice *groups = calloc(cluster->db_groups.count + 1, sizeof *groups);
    for (size_t i = 0; groups && i < cluster->db_groups.count; i++)
        groups[i] = slice_str(cluster->db_groups.items[i]);
    c->clusters[c->facts.cluster_count++] = (struct iam_policy_cluster){
        .api = api,
        .name = slice_str(api == REDSHIFT_WORKGROUP ? cluster->credentials.workgroup
                                                    : cluster->credentials.cluster_identifier),
        .region = region_of(config, cluster),
        .role_arn = slice_str(cluster->aws.assume_role_arn),
        .db_users = c->db_users,
        .db_user_count = c->n_db_users,
        .db_groups = groups,
        .db_group_count = groups ? cluster->db_groups.count : 0,
        .autocreate = cluster->autocreate,
        .discover = cluster->endpoint.text == NULL,
    };
}

static bool collect(struct collected *c, struct config *config)
{
    size_t refs = 1;
    config_each_secret(config, count_secret, &refs);
    c->clusters = calloc(config->n_clusters + 1, sizeof *c->clusters);
    c->db_users = calloc(config->n_users + 1, sizeof *c->db_users);
    c->parameters = calloc(refs, sizeof *c->parameters);
    c->secrets = calloc(refs, sizeof *c->secrets);
    if (!c->clusters || !c->db_users || !c->parameters || !c->secrets) return false;
    add_db_users(c, config);
    config_each_secret(config, add_secret, c);
    for (size_t i = 0; i < config->n_clusters; i++) add_cluster(c, config, &config->clusters[i]);
    c->facts.region = region_of_all(config);
    c->facts.clusters = c->clusters;
    c->facts.top_role_arn = slice_str(config->aws.assume_role_arn);
    c->facts.parameters = c->parameters;
    c->facts.parameter_count = c->n_parameters;
    c->facts.secrets = c->secrets;
    c->facts.secret_count = c->n_secrets;
    if (config->routes.source && slice_starts(slice_str(config->routes.source), "dynamodb:"))
        c->facts.table = slice_str(config->routes.source + strlen("dynamodb:"));
    return true;
}

static void free_collected(struct collected *c)
{
    for (size_t i = 0; i < c->facts.cluster_count; i++)
        free((void *)(uintptr_t)c->clusters[i].db_groups);
    free(c->clusters);
    free(c->db_users);
    free(c->parameters);
    free(c->secrets);
}

/* On a terminal and in a pipe alike: whose it is goes to stderr, documents alone to stdout. */
static int print_for(const struct collected *c, struct slice identity)
{
    struct buf text = { 0 };
    bool needed = iam_policy_write(&c->facts, identity, &text);
    if (identity.len)
        fprintf(stderr, "for %.*s:\n", SLICE_ARG(identity));
    else
        fprintf(stderr, "for the identity that Sluice runs as:%s\n", needed ? "" : " nothing");
    if (needed && (text.len == 0 || text.at[text.len - 1] != '\n')) buf_add_str(&text, "\n");
    fflush(stderr);
    return command_print(&text);
}

static int print_all(const struct collected *c)
{
    struct slice top = c->facts.top_role_arn;
    int status = print_for(c, (struct slice){ 0 });
    if (top.len) status |= print_for(c, top);
    for (size_t i = 0; i < c->facts.cluster_count; i++) {
        struct slice role = c->clusters[i].role_arn;
        bool said = role.len == 0 || slice_eq(role, top);
        for (size_t j = 0; j < i; j++) said |= slice_eq(role, c->clusters[j].role_arn);
        if (!said) status |= print_for(c, role);
    }
    return status;
}

int command_iam_policy(int argc, char **argv)
{
    struct options_iam_policy options;
    struct problems problems = { 0 };
    struct collected c = { 0 };
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    struct config *config = config_origin_look(options.config, &problems);
    if (!config) {
        struct buf text = { 0 };
        problems_print(&problems, options.config, &text);
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
    problems_fini(&problems);
    if (!config) return STATUS_NOT_FINE;
    c.facts.for_doctor = options.doctor != NULL;
    struct slice from = slice_str(options.config);
    if (slice_starts(from, "ssm:")) c.facts.config_parameter = slice_after(from, 4);
    if (slice_starts(from, "s3://")) c.facts.config_object = slice_after(from, 5);
    int status = collect(&c, config) ? print_all(&c) : STATUS_NOT_FINE;
    free_collected(&c);
    config_unref(config);
    return status;
}
