#include "auth/iam_policy.h"

#include "protocol/json.h"

#include <stdio.h>

/* A policy being written: statements, and within one the resources that it has so far. */
struct writing {
    const struct iam_policy_facts *facts;
    struct slice identity;
    struct buf *out;
    struct buf resources; /* each with a NUL behind */
    size_t statements;
};

/* ---- the document ------------------------------------------------------------------------------
 */

static bool is_listed(const struct buf *list, struct slice text)
{
    for (uint32_t i = 0; i < list->len; i += (uint32_t)strlen(list->at + i) + 1)
        if (slice_is(text, list->at + i)) return true;
    return false;
}

__attribute__((format(printf, 2, 3))) static void add_resource(struct writing *w,
                                                               const char *format, ...)
{
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vaddf(&text, format, args);
    va_end(args);
    if (!is_listed(&w->resources, buf_slice(&text))) {
        buf_add_slice(&w->resources, buf_slice(&text));
        buf_add_u8(&w->resources, 0);
    }
    w->resources.failed |= text.failed;
    buf_fini(&text);
}

static void add_list(struct buf *out, const char *name, const struct buf *list)
{
    buf_addf(out, "      \"%s\": [", name);
    for (uint32_t i = 0; i < list->len; i += (uint32_t)strlen(list->at + i) + 1) {
        buf_add_str(out, i ? ",\n        " : "\n        ");
        json_quote(out, slice_str(list->at + i));
    }
    buf_add_str(out, "\n      ]");
}

/* Ends a statement: `actions` on the resources added since the last one; none: no statement.
 * `via`: only when this AWS service does it for us. */
static void end_statement(struct writing *w, const char *id, const char *actions, const char *via)
{
    struct buf list = { 0 };
    if (w->resources.len > 0) {
        buf_add_str(w->out, w->statements++ ? ",\n" : "\n");
        for (const char *at = actions; *at;) {
            size_t n = strcspn(at, " ");
            buf_add(&list, at, n);
            buf_add_u8(&list, 0);
            at += n + (at[n] == ' ');
        }
        buf_addf(w->out, "    {\n      \"Sid\": \"%s\",\n      \"Effect\": \"Allow\",\n", id);
        add_list(w->out, "Action", &list);
        buf_add_str(w->out, ",\n");
        add_list(w->out, "Resource", &w->resources);
        if (via)
            buf_addf(w->out,
                     ",\n      \"Condition\": {\n        \"%s\": { "
                     "\"kms:ViaService\": \"%s.%.*s.%s\" }\n      }",
                     slice_is(w->facts->region, "*") ? "StringLike" : "StringEquals", via,
                     SLICE_ARG(w->facts->region), aws_partition_of(w->facts->region)->suffix);
        buf_add_str(w->out, "\n    }");
    }
    w->out->failed |= w->resources.failed || list.failed;
    buf_fini(&list);
    buf_truncate(&w->resources, 0);
}

/* ---- ARNs --------------------------------------------------------------------------------------
 */

static struct slice or_any(struct slice text) { return text.len ? text : slice_str("*"); }

/* arn:aws:redshift:us-east-1:123456789012:<kind>:<cluster>/<name> */
static void add_redshift(struct writing *w, const struct iam_policy_cluster *c, const char *kind,
                         struct slice name)
{
    add_resource(w, "arn:%s:redshift:%.*s:%.*s:%s:%.*s%s%.*s", aws_partition_of(c->region)->id,
                 SLICE_ARG(c->region), SLICE_ARG(or_any(c->account)), kind, SLICE_ARG(c->name),
                 name.len ? "/" : "", (int)name.len, name.at ? name.at : "");
}

static void add_databases(struct writing *w, const struct iam_policy_cluster *c)
{
    for (size_t i = 0; i < c->database_count; i++) add_redshift(w, c, "dbname", c->databases[i]);
    if (c->database_count == 0) add_redshift(w, c, "dbname", slice_str("*"));
}

static void add_named(struct writing *w, const char *service, const char *kind, struct slice name,
                      const char *tail)
{
    if (slice_starts(name, "arn:")) {
        add_resource(w, "%.*s", SLICE_ARG(name));
        return;
    }
    add_resource(w, "arn:%s:%s:%.*s:%.*s:%s%.*s%s", aws_partition_of(w->facts->region)->id, service,
                 SLICE_ARG(w->facts->region), SLICE_ARG(or_any(w->facts->account)), kind,
                 SLICE_ARG(name), tail);
}

/* ---- what is needed ----------------------------------------------------------------------------
 */

/* Does this identity itself speak to the cluster's API? */
static bool is_mine(const struct writing *w, const struct iam_policy_cluster *c)
{
    struct slice speaker = c->role_arn.len ? c->role_arn : w->facts->top_role_arn;
    return slice_eq(w->identity, speaker);
}

/* Is this the identity that everything without a role of its own is done as? */
static bool is_base(const struct writing *w)
{
    return slice_eq(w->identity, w->facts->top_role_arn);
}

static void write_roles(struct writing *w)
{
    const struct iam_policy_facts *f = w->facts;
    if (w->identity.len == 0 && f->top_role_arn.len)
        add_resource(w, "%.*s", SLICE_ARG(f->top_role_arn));
    for (size_t i = 0; is_base(w) && i < f->cluster_count; i++)
        if (f->clusters[i].role_arn.len && !slice_eq(f->clusters[i].role_arn, w->identity))
            add_resource(w, "%.*s", SLICE_ARG(f->clusters[i].role_arn));
    end_statement(w, "AssumeRoles", "sts:AssumeRole", NULL);
}

static void write_logins(struct writing *w)
{
    const struct iam_policy_facts *f = w->facts;
    for (size_t i = 0; i < f->cluster_count; i++) {
        const struct iam_policy_cluster *c = &f->clusters[i];
        if (!is_mine(w, c) || c->api != REDSHIFT_BY_USER) continue;
        for (size_t k = 0; k < c->db_user_count; k++) add_redshift(w, c, "dbuser", c->db_users[k]);
        add_databases(w, c);
    }
    end_statement(w, "DatabaseLogins", "redshift:GetClusterCredentials", NULL);
    for (size_t i = 0; i < f->cluster_count; i++) {
        const struct iam_policy_cluster *c = &f->clusters[i];
        if (!is_mine(w, c) || c->api != REDSHIFT_BY_USER) continue;
        for (size_t k = 0; c->autocreate && k < c->db_user_count; k++)
            add_redshift(w, c, "dbuser", c->db_users[k]);
    }
    end_statement(w, "CreateDatabaseUsers", "redshift:CreateClusterUser", NULL);
    for (size_t i = 0; i < f->cluster_count; i++) {
        const struct iam_policy_cluster *c = &f->clusters[i];
        if (!is_mine(w, c) || c->api != REDSHIFT_BY_USER) continue;
        for (size_t k = 0; k < c->db_group_count; k++)
            add_redshift(w, c, "dbgroup", c->db_groups[k]);
    }
    end_statement(w, "JoinDatabaseGroups", "redshift:JoinGroup", NULL);
    for (size_t i = 0; i < f->cluster_count; i++)
        if (is_mine(w, &f->clusters[i]) && f->clusters[i].api == REDSHIFT_WITH_IAM)
            add_databases(w, &f->clusters[i]);
    end_statement(w, "DatabaseLoginsAsThisIdentity", "redshift:GetClusterCredentialsWithIAM", NULL);
}

static void write_endpoints(struct writing *w)
{
    const struct iam_policy_facts *f = w->facts;
    bool discover_workgroups = false;
    for (size_t i = 0; i < f->cluster_count; i++) {
        const struct iam_policy_cluster *c = &f->clusters[i];
        if (is_mine(w, c) && c->discover && c->api != REDSHIFT_WORKGROUP)
            add_redshift(w, c, "cluster", (struct slice){ 0 });
    }
    end_statement(w, "FindClusters", "redshift:DescribeClusters", NULL);
    for (size_t i = 0; f->for_doctor && i < f->cluster_count; i++)
        if (is_mine(w, &f->clusters[i]) && f->clusters[i].api != REDSHIFT_WORKGROUP)
            add_redshift(w, &f->clusters[i], "cluster", (struct slice){ 0 });
    bool clusters = w->resources.len > 0;
    end_statement(w, "DoctorFindsClusters", "redshift:DescribeClusters", NULL);
    if (clusters) add_resource(w, "*"); /* EC2 knows no finer one for it */
    end_statement(w, "DoctorSeesGroups", "ec2:DescribeSecurityGroups", NULL);
    /* A workgroup's ARN ends in an id of AWS's own, not in its name. */
    for (size_t i = 0; i < f->cluster_count; i++) {
        const struct iam_policy_cluster *c = &f->clusters[i];
        if (!is_mine(w, c) || c->api != REDSHIFT_WORKGROUP) continue;
        discover_workgroups |= c->discover;
        add_resource(w, "arn:%s:redshift-serverless:%.*s:%.*s:workgroup/*",
                     aws_partition_of(c->region)->id, SLICE_ARG(c->region),
                     SLICE_ARG(or_any(c->account)));
    }
    end_statement(w, "ServerlessLogins",
                  discover_workgroups
                      ? "redshift-serverless:GetCredentials redshift-serverless:GetWorkgroup"
                      : "redshift-serverless:GetCredentials",
                  NULL);
}

/* The name without ":version" or ":label" behind it. */
static struct slice bare_parameter(struct slice name)
{
    const char *colon = slice_starts(name, "arn:") ? NULL : memchr(name.at, ':', name.len);
    return slice_of(name.at, colon ? (size_t)(colon - name.at) : name.len);
}

static void add_keys(struct writing *w) { add_named(w, "kms", "key/", slice_str("*"), ""); }

static void add_parameter(struct writing *w, struct slice given)
{
    struct slice name = bare_parameter(given);
    if (name.len) add_named(w, "ssm", name.at[0] == '/' ? "parameter" : "parameter/", name, "");
}

static void write_config(struct writing *w)
{
    struct slice parameter = w->facts->config_parameter, object = w->facts->config_object;
    if (parameter.len) add_parameter(w, parameter);
    end_statement(w, "ReadConfiguration", "ssm:GetParameter", NULL);
    if (parameter.len) add_keys(w);
    end_statement(w, "DecryptConfiguration", "kms:Decrypt", "ssm");
    if (object.len)
        add_resource(w, "arn:%s:s3:::%.*s", aws_partition_of(w->facts->region)->id,
                     SLICE_ARG(object));
    end_statement(w, "ReadConfigurationObject", "s3:GetObject", NULL);
}

static void write_secrets(struct writing *w)
{
    const struct iam_policy_facts *f = w->facts;
    for (size_t i = 0; i < f->parameter_count; i++) add_parameter(w, f->parameters[i]);
    end_statement(w, "ReadParameters", "ssm:GetParameter", NULL);
    if (f->parameter_count) add_keys(w);
    end_statement(w, "DecryptParameters", "kms:Decrypt", "ssm");
    /* A secret's ARN ends in six characters of AWS's own. */
    for (size_t i = 0; i < f->secret_count; i++)
        if (f->secrets[i].len) add_named(w, "secretsmanager", "secret:", f->secrets[i], "-??????");
    end_statement(w, "ReadSecrets", "secretsmanager:GetSecretValue", NULL);
    if (f->secret_count) add_keys(w);
    end_statement(w, "DecryptSecrets", "kms:Decrypt", "secretsmanager");
}

static void write_table(struct writing *w)
{
    if (w->facts->table.len == 0) return;
    add_named(w, "dynamodb", "table/", w->facts->table, "");
    end_statement(w, "ReadRoutes",
                  "dynamodb:DescribeTable dynamodb:GetItem dynamodb:Query dynamodb:Scan", NULL);
    if (!w->facts->table_write) return;
    add_named(w, "dynamodb", "table/", w->facts->table, "");
    end_statement(w, "PublishRoutes",
                  "dynamodb:ConditionCheckItem dynamodb:PutItem dynamodb:UpdateItem", NULL);
}

bool iam_policy_write(const struct iam_policy_facts *facts, struct slice identity, struct buf *out)
{
    struct writing w = { .facts = facts, .identity = identity, .out = out };
    uint32_t start = out->len;
    buf_add_str(out, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [");
    if (identity.len == 0) write_config(&w);
    write_roles(&w);
    write_logins(&w);
    write_endpoints(&w);
    if (is_base(&w)) {
        write_secrets(&w);
        write_table(&w);
    }
    buf_add_str(out, "\n  ]\n}\n");
    buf_fini(&w.resources);
    if (w.statements == 0) buf_truncate(out, start);
    return w.statements > 0;
}
