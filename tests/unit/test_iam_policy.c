/* iam_policy: what is needed is there, what is not needed is not. */
#include "unit/unit.h"

#include "auth/iam_policy.h"
#include "protocol/json.h"

#include <stdlib.h>

static const struct slice users[] = { { "loader", 6 }, { "ana", 3 } };
static const struct slice databases[] = { { "dev", 3 } };
static const struct slice groups[] = { { "etl", 3 } };

static char *policy_of(const struct iam_policy_facts *facts, const char *identity)
{
    struct buf out = { 0 };
    struct json_error error;
    if (!iam_policy_write(facts, slice_str(identity), &out)) {
        assert_int_equal(out.len, 0);
        buf_fini(&out);
        return NULL;
    }
    struct json_doc *doc = json_parse(buf_slice(&out), 65536, &error);
    if (!doc) fail_msg("%s at line %u of\n%.*s", error.text, error.line, (int)out.len, out.at);
    json_free(doc);
    buf_add_u8(&out, 0);
    return out.at;
}

static void expect(const char *policy, const char *text)
{
    if (!strstr(policy, text)) fail_msg("no %s in\n%s", text, policy);
}

static void refuse(const char *policy, const char *text)
{
    if (strstr(policy, text)) fail_msg("%s in\n%s", text, policy);
}

static void a_cluster_needs_its_users_and_databases(void **state)
{
    (void)state;
    struct iam_policy_cluster cluster = { .name = slice_str("c1"),
                                          .region = slice_str("us-east-1"),
                                          .account = slice_str("123456789012"),
                                          .db_users = users,
                                          .db_user_count = 2,
                                          .databases = databases,
                                          .database_count = 1 };
    struct iam_policy_facts facts = { .region = slice_str("us-east-1"),
                                      .clusters = &cluster,
                                      .cluster_count = 1 };
    char *policy = policy_of(&facts, "");
    expect(policy, "\"redshift:GetClusterCredentials\"\n");
    expect(policy, "\"arn:aws:redshift:us-east-1:123456789012:dbuser:c1/loader\"");
    expect(policy, "\"arn:aws:redshift:us-east-1:123456789012:dbuser:c1/ana\"");
    expect(policy, "\"arn:aws:redshift:us-east-1:123456789012:dbname:c1/dev\"");
    refuse(policy, "CreateClusterUser");
    refuse(policy, "JoinGroup");
    refuse(policy, "DescribeClusters");
    refuse(policy, "*");
    refuse(policy, "ec2:");
    free(policy);
    facts.for_doctor = true; /* optional */
    policy = policy_of(&facts, "");
    expect(policy, "\"ec2:DescribeSecurityGroups\"\n");
    expect(policy, "\"arn:aws:redshift:us-east-1:123456789012:cluster:c1\"");
    refuse(policy, "dynamodb");
    free(policy);

    cluster.autocreate = cluster.discover = true;
    cluster.db_groups = groups;
    cluster.db_group_count = 1;
    policy = policy_of(&facts, "");
    expect(policy, "CreateClusterUser");
    expect(policy, "dbgroup:c1/etl");
    expect(policy, "cluster:c1\"");
    free(policy);
}

static void roles_get_documents_of_their_own(void **state)
{
    (void)state;
    static const char role[] = "arn:aws:iam::210987654321:role/redshift-access";
    struct iam_policy_cluster clusters[] = {
        { .api = REDSHIFT_WORKGROUP, .name = slice_str("bi"), .region = slice_str("cn-north-1") },
        { .name = slice_str("far"),
          .region = slice_str("us-east-1"),
          .account = slice_str("210987654321"),
          .role_arn = slice_str(role),
          .db_users = users,
          .db_user_count = 1 },
    };
    struct iam_policy_facts facts = { .region = slice_str("us-east-1"),
                                      .clusters = clusters,
                                      .cluster_count = 2 };
    char *own = policy_of(&facts, ""), *theirs = policy_of(&facts, role);
    expect(own, "sts:AssumeRole");
    expect(own, role);
    expect(own, "arn:aws-cn:redshift-serverless:cn-north-1:*:workgroup/*");
    refuse(own, "dbuser");
    expect(theirs, "arn:aws:redshift:us-east-1:210987654321:dbuser:far/loader");
    expect(theirs, "dbname:far/*");
    refuse(theirs, "sts:");
    refuse(theirs, "serverless");
    free(own);
    free(theirs);

    facts.top_role_arn = slice_str("arn:aws:iam::1:role/top");
    own = policy_of(&facts, "");
    char *top = policy_of(&facts, "arn:aws:iam::1:role/top");
    expect(own, "arn:aws:iam::1:role/top");
    refuse(own, "redshift");
    expect(top, role);
    expect(top, "workgroup/*");
    free(own);
    free(top);
}

static void secrets_and_the_table(void **state)
{
    (void)state;
    static const struct slice parameters[] = { { "/sluice/ana:3", 13 }, { "plain", 5 } };
    static const struct slice secrets[] = {
        { "warehouse", 9 }, { "arn:aws:secretsmanager:us-east-1:1:secret:a-AbCdEf", 50 }
    };
    struct iam_policy_facts facts = { .region = slice_str("us-east-1"),
                                      .account = slice_str("123456789012"),
                                      .parameters = parameters,
                                      .parameter_count = 2,
                                      .secrets = secrets,
                                      .secret_count = 2,
                                      .table = slice_str("sluice-routes") };
    char *policy = policy_of(&facts, "");
    expect(policy, "\"arn:aws:ssm:us-east-1:123456789012:parameter/sluice/ana\"");
    expect(policy, "\"arn:aws:ssm:us-east-1:123456789012:parameter/plain\"");
    expect(policy, "secret:warehouse-??????\"");
    expect(policy, "secret:a-AbCdEf\"");
    expect(policy, "\"kms:ViaService\": \"ssm.us-east-1.amazonaws.com\"");
    expect(policy, "table/sluice-routes");
    expect(policy, "dynamodb:Scan");
    refuse(policy, "dynamodb:PutItem");
    free(policy);
    facts.table_write = true;
    policy = policy_of(&facts, "");
    expect(policy, "dynamodb:PutItem");
    free(policy);
    struct iam_policy_facts nothing = { .region = slice_str("us-east-1") };
    assert_null(policy_of(&nothing, ""));
}

/* `--config ssm:...` and s3://...: for who reads it, not for the role that does the rest. */
static void where_the_configuration_is(void **state)
{
    (void)state;
    struct iam_policy_facts facts = { .region = slice_str("us-east-1"),
                                      .account = slice_str("123456789012"),
                                      .top_role_arn = slice_str("arn:aws:iam::1:role/top"),
                                      .config_parameter = slice_str("/sluice/config:7") };
    char *policy = policy_of(&facts, "");
    expect(policy, "\"ReadConfiguration\"");
    expect(policy, "\"arn:aws:ssm:us-east-1:123456789012:parameter/sluice/config\"");
    expect(policy, "kms:Decrypt");
    free(policy);
    assert_null(policy_of(&facts, "arn:aws:iam::1:role/top"));
    facts.config_parameter = (struct slice){ 0 };
    facts.config_object = slice_str("bucket/sluice.json");
    policy = policy_of(&facts, "");
    expect(policy, "s3:GetObject");
    expect(policy, "\"arn:aws:s3:::bucket/sluice.json\"");
    free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_needs_its_users_and_databases),
        cmocka_unit_test(roles_get_documents_of_their_own),
        cmocka_unit_test(secrets_and_the_table),
        cmocka_unit_test(where_the_configuration_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
