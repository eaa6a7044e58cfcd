/* redshift_credentials and aws_secret_store: requests as the SDKs write them, answers good and bad.
 */
#include "unit/unit.h"

#include "auth/aws_secret_store.h"
#include "auth/redshift_credentials.h"

struct signing {
    struct aws_endpoint endpoint;
    struct aws_credentials credentials;
    struct aws_signer signer;
};

static void signing_init(struct signing *s, enum aws_service service)
{
    struct err err;
    struct aws_endpoint_options o = { .region = slice_str("us-east-1") };
    assert_true(aws_endpoint_resolve(service, &o, &s->endpoint, &err));
    aws_credentials_init(&s->credentials);
    aws_credentials_set(&s->credentials, slice_str("ASIAEXAMPLE"), slice_str("secret"),
                        slice_str("token"));
    s->signer = (struct aws_signer){ &s->endpoint, &s->credentials, 1795226561000, 0 };
}

static struct aws_response answer(int status, const char *body)
{
    return (struct aws_response){ .status = status, .body = slice_str(body) };
}

/* ---- logins ---------------------------------------------------------------------------------- */

static void cluster_request_is_as_the_sdk_writes_it(void **state)
{
    (void)state;
    struct signing s;
    signing_init(&s, AWS_REDSHIFT);
    struct slice groups[] = { slice_str("g1"), slice_str("g2") };
    struct redshift_order order = { .api = REDSHIFT_BY_USER,
                                    .name = slice_str("c1"),
                                    .database = slice_str("dev"),
                                    .db_user = slice_str("loader"),
                                    .db_groups = groups,
                                    .db_group_count = 2,
                                    .autocreate = true };
    struct aws_request r;
    struct err err;
    assert_true(redshift_login_request(&order, &s.signer, &r, &err));
    assert_true(slice_is(buf_slice(&r.url), "https://redshift.us-east-1.amazonaws.com/"));
    assert_true(slice_is(buf_slice(&r.body),
                         "Action=GetClusterCredentials&Version=2012-12-01&DbUser=loader&DbName=dev"
                         "&ClusterIdentifier=c1&DurationSeconds=3600&AutoCreate=true"
                         "&DbGroups.DbGroup.1=g1&DbGroups.DbGroup.2=g2"));
    assert_true(slice_starts(aws_request_header(&r, "authorization"),
                             "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/20261121/us-east-1/redshift/"
                             "aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                             "x-amz-security-token, Signature="));
    assert_true(slice_is(aws_request_header(&r, "x-amz-security-token"), "token"));
    aws_request_fini(&r);

    order = (struct redshift_order){ .api = REDSHIFT_WITH_IAM,
                                     .domain = slice_str("dwh.example.com"),
                                     .duration_s = 900 };
    assert_true(redshift_login_request(&order, &s.signer, &r, &err));
    assert_true(slice_is(buf_slice(&r.body),
                         "Action=GetClusterCredentialsWithIAM&Version=2012-12-01"
                         "&CustomDomainName=dwh.example.com&DurationSeconds=900"));
    aws_request_fini(&r);
    aws_credentials_fini(&s.credentials);
}

static void serverless_request_is_json(void **state)
{
    (void)state;
    struct signing s;
    signing_init(&s, AWS_REDSHIFT_SERVERLESS);
    struct redshift_order order = { .api = REDSHIFT_WORKGROUP,
                                    .name = slice_str("wg-1"),
                                    .database = slice_str("d\"v"),
                                    .duration_s = 900 };
    struct aws_request r;
    struct err err;
    assert_true(redshift_login_request(&order, &s.signer, &r, &err));
    assert_true(slice_is(buf_slice(&r.body), "{\"workgroupName\":\"wg-1\",\"dbName\":\"d\\\"v\","
                                             "\"durationSeconds\":900}"));
    assert_true(
        slice_is(aws_request_header(&r, "x-amz-target"), "RedshiftServerless.GetCredentials"));
    assert_true(slice_is(aws_request_header(&r, "content-type"), "application/x-amz-json-1.1"));
    aws_request_fini(&r);
    aws_credentials_fini(&s.credentials);
}

static void orders_that_break_the_rules(void **state)
{
    (void)state;
    struct signing s;
    signing_init(&s, AWS_REDSHIFT);
    static const char *const bad_users[] = {
        "",
        "1a",
        "a:b",
        "a b",
        "a/b",
        "a'b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };
    struct aws_request r;
    struct err err;
    struct redshift_order order = { .name = slice_str("c"), .db_user = slice_str("u") };
    for (size_t i = 0; i < sizeof bad_users / sizeof *bad_users; i++) {
        order.db_user = slice_str(bad_users[i]);
        assert_false(redshift_login_request(&order, &s.signer, &r, &err));
        aws_request_fini(&r);
    }
    order.db_user = slice_str("u");
    order.duration_s = 60;
    assert_false(redshift_login_request(&order, &s.signer, &r, &err));
    assert_non_null(strstr(err.message, "900 to 3600"));
    aws_request_fini(&r);
    order.duration_s = 0;
    order.name.len = 0;
    assert_false(redshift_login_request(&order, &s.signer, &r, &err));
    aws_request_fini(&r);
    aws_credentials_fini(&s.credentials);
}

#define LOGIN(user, password, expiration)                                                          \
    "<GetClusterCredentialsResponse xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\">"      \
    "<GetClusterCredentialsResult><DbUser>" user "</DbUser><DbPassword>" password                  \
    "</DbPassword><Expiration>" expiration "</Expiration></GetClusterCredentialsResult>"           \
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></"                              \
    "GetClusterCredentialsResponse>"

static void logins_are_read(void **state)
{
    (void)state;
    struct redshift_login login;
    struct aws_error error;
    struct aws_response r =
        answer(200, LOGIN("IAM:loader", "a&lt;b&amp;c", "2026-11-21T02:02:41Z"));
    assert_true(redshift_login_answer(REDSHIFT_BY_USER, &r, &login, &error));
    assert_true(slice_is(buf_slice(&login.user), "IAM:loader"));
    assert_true(slice_is(buf_slice(&login.password), "a<b&c"));
    assert_true(login.expires_ms == 1795226561000);
    redshift_login_fini(&login);
    r = answer(200, "{\"dbUser\":\"IAMR:role\",\"dbPassword\":\"p\","
                    "\"expiration\":1.795226561E9,\"nextRefreshTime\":1795226000.5}");
    assert_true(redshift_login_answer(REDSHIFT_WORKGROUP, &r, &login, &error));
    assert_true(slice_is(buf_slice(&login.user), "IAMR:role"));
    assert_true(login.expires_ms == 1795226561000);
    redshift_login_fini(&login);
}

static void answers_without_a_login(void **state)
{
    (void)state;
    static const char *const bad_xml[] = {
        "",
        "<html><body>captive portal</body></html>",
        LOGIN("", "p", "2026-11-21T02:02:41Z"),
        LOGIN("u", "", "2026-11-21T02:02:41Z"),
        LOGIN("u", "p", "soon"),
        LOGIN("u&#10;x", "p", "2026-11-21T02:02:41Z"),
        "<!DOCTYPE x>" LOGIN("u", "p", "2026-11-21T02:02:41Z"),
        "<GetClusterCredentialsResponse><GetClusterCredentialsResult><DbUser>u</DbUser>",
        "{\"dbUser\":\"u\"}",
    };
    static const char *const bad_json[] = {
        "",
        "[]",
        "{}",
        "{\"dbUser\":\"u\",\"dbPassword\":\"p\"}",
        "{\"dbUser\":\"u\",\"dbPassword\":\"p\",\"expiration\":\"soon\"}",
        "{\"dbUser\":\"u\",\"dbPassword\":\"p\",\"expiration\":-1}",
        "{\"dbUser\":\"u\",\"dbPassword\":\"p\",\"expiration\":1e300}",
        "{\"dbUser\":\"u\",\"dbPassword\":7,\"expiration\":1795226561}",
        "{\"dbUser\":\"u\",\"dbUser\":\"v\",\"dbPassword\":\"p\",\"expiration\":1795226561}",
        LOGIN("u", "p", "2026-11-21T02:02:41Z"),
    };
    struct redshift_login login;
    struct aws_error error;
    for (size_t i = 0; i < sizeof bad_xml / sizeof *bad_xml; i++) {
        struct aws_response r = answer(200, bad_xml[i]);
        if (redshift_login_answer(REDSHIFT_BY_USER, &r, &login, &error))
            fail_msg("accepted: %s", bad_xml[i]);
        assert_string_equal(error.code, "malformed answer");
        assert_int_equal(login.password.len, 0);
    }
    for (size_t i = 0; i < sizeof bad_json / sizeof *bad_json; i++) {
        struct aws_response r = answer(200, bad_json[i]);
        if (redshift_login_answer(REDSHIFT_WORKGROUP, &r, &login, &error))
            fail_msg("accepted: %s", bad_json[i]);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

#define FAILURE(code, message)                                                                     \
    "<ErrorResponse xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\"><Error><Type>Sender"   \
    "</Type><Code>" code "</Code><Message>" message "</Message></Error><RequestId>r-7</RequestId>" \
    "</ErrorResponse>"

static void errors_say_what_can_be_done(void **state)
{
    (void)state;
    static const struct {
        enum redshift_api api;
        int status;
        const char *body;
        enum aws_fault fault;
        const char *code;
    } cases[] = {
        { REDSHIFT_BY_USER, 400, FAILURE("Throttling", "Rate exceeded"), AWS_FAULT_THROTTLED,
          "Throttling" },
        { REDSHIFT_BY_USER, 404, FAILURE("ClusterNotFound", "Cluster c1 not found."),
          AWS_FAULT_DENIED, "ClusterNotFound" },
        { REDSHIFT_BY_USER, 403, FAILURE("AccessDenied", "not authorized to perform: x"),
          AWS_FAULT_DENIED, "AccessDenied" },
        { REDSHIFT_BY_USER, 403, FAILURE("ExpiredToken", ""), AWS_FAULT_EXPIRED, "ExpiredToken" },
        { REDSHIFT_BY_USER, 403, FAILURE("SignatureDoesNotMatch", ""), AWS_FAULT_CLOCK,
          "SignatureDoesNotMatch" },
        { REDSHIFT_BY_USER, 401,
          "<Response><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors>"
          "<RequestID>x</RequestID></Response>",
          AWS_FAULT_CLOCK, "AuthFailure" },
        { REDSHIFT_BY_USER, 502, "<html>Bad Gateway</html", AWS_FAULT_TRANSIENT, "HTTP 502" },
        { REDSHIFT_BY_USER, 400, "", AWS_FAULT_DENIED, "HTTP 400" },
        { REDSHIFT_BY_USER, 301, "", AWS_FAULT_DENIED, "HTTP 301" },
        { REDSHIFT_WORKGROUP, 400,
          "{\"__type\":\"com.amazon#ThrottlingException:http://x\",\"message\":\"slow\"}",
          AWS_FAULT_THROTTLED, "ThrottlingException" },
        { REDSHIFT_WORKGROUP, 400, "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"no\"}",
          AWS_FAULT_DENIED, "ResourceNotFoundException" },
        { REDSHIFT_WORKGROUP, 500, "{\"__type\":\"InternalServerException\"}", AWS_FAULT_TRANSIENT,
          "InternalServerException" },
        { REDSHIFT_WORKGROUP, 429, "nope", AWS_FAULT_THROTTLED, "HTTP 429" },
        { REDSHIFT_WORKGROUP, 400, "{\"__type\":[]}", AWS_FAULT_DENIED, "HTTP 400" },
    };
    struct redshift_login login;
    struct aws_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_response r = answer(cases[i].status, cases[i].body);
        assert_false(redshift_login_answer(cases[i].api, &r, &login, &error));
        if (error.fault != cases[i].fault || strcmp(error.code, cases[i].code) != 0)
            fail_msg("case %zu: %s, fault %d", i, error.code, (int)error.fault);
    }
    struct err err;
    struct aws_response r = answer(403, FAILURE("AccessDenied", "line one\nline two"));
    assert_false(redshift_login_answer(REDSHIFT_BY_USER, &r, &login, &error));
    assert_false(aws_error_to_err(&error, "redshift GetClusterCredentials", &err));
    assert_string_equal(err.message, "redshift GetClusterCredentials: AccessDenied: line one "
                                     "(request r-7)");
    assert_non_null(strstr(err.hint, "iam-policy"));
    r = (struct aws_response){ .failure = AWS_HTTP_CANNOT_CONNECT };
    assert_false(redshift_login_answer(REDSHIFT_BY_USER, &r, &login, &error));
    assert_int_equal(error.fault, AWS_FAULT_TRANSIENT);
    assert_non_null(strstr(aws_error_hint(&error), "VPC endpoint"));
}

/* ---- endpoints ------------------------------------------------------------------------------- */

#define CLUSTER(inside)                                                                            \
    "<DescribeClustersResponse><DescribeClustersResult><Clusters><Cluster>" inside                 \
    "</Cluster></Clusters></DescribeClustersResult></DescribeClustersResponse>"

static void endpoints_are_read(void **state)
{
    (void)state;
    struct redshift_endpoint e;
    struct aws_error error;
    struct aws_response r =
        answer(200, CLUSTER("<ClusterStatus>available</ClusterStatus><Endpoint><Address>c1.abc."
                            "us-east-1.redshift.amazonaws.com</Address><Port>5439</Port>"
                            "</Endpoint>"));
    assert_true(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    assert_string_equal(e.host, "c1.abc.us-east-1.redshift.amazonaws.com");
    assert_int_equal(e.port, 5439);
    assert_int_equal(e.state, REDSHIFT_AVAILABLE);
    r = answer(200, CLUSTER("<ClusterStatus>creating</ClusterStatus>"));
    assert_true(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    assert_string_equal(e.host, "");
    assert_int_equal(e.state, REDSHIFT_CREATING);
    r = answer(200, CLUSTER("<ClusterStatus>paused</ClusterStatus>"));
    assert_true(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    assert_int_equal(e.state, REDSHIFT_PAUSED);
    r = answer(200, CLUSTER("<ClusterStatus>available, prep-for-resize</ClusterStatus>"));
    assert_true(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    assert_int_equal(e.state, REDSHIFT_BUSY);
    r = answer(200, CLUSTER("<Endpoint><Address>evil host</Address><Port>1</Port></Endpoint>"));
    assert_false(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    r = answer(200, CLUSTER("<Endpoint><Address>a</Address><Port>65536</Port></Endpoint>"));
    assert_false(redshift_endpoint_answer(REDSHIFT_BY_USER, &r, &e, &error));
    r = answer(200,
               "{\"workgroup\":{\"status\":\"AVAILABLE\",\"endpoint\":{\"address\":\"wg-1.1.x\","
               "\"port\":5439}}}");
    assert_true(redshift_endpoint_answer(REDSHIFT_WORKGROUP, &r, &e, &error));
    assert_string_equal(e.host, "wg-1.1.x");
    assert_int_equal(e.state, REDSHIFT_AVAILABLE);
}

static void host_names_tell_their_cluster(void **state)
{
    (void)state;
    struct redshift_host h;
    assert_true(redshift_host_parse(
        slice_str("examplecluster.abc123.us-east-1.redshift.amazonaws.com"), &h));
    assert_true(slice_is(h.name, "examplecluster") && slice_is(h.region, "us-east-1"));
    assert_int_equal(h.api, REDSHIFT_BY_USER);
    assert_true(redshift_host_parse(
        slice_str("bi.123456789012.cn-north-1.redshift-serverless.amazonaws.com.cn"), &h));
    assert_int_equal(h.api, REDSHIFT_WORKGROUP);
    static const char *const bad[] = { "",
                                       "localhost",
                                       "a.b.us-east-1.redshiftXamazonaws.com",
                                       "a.b.us-east-1.redshift.amazonaws.com.evil",
                                       "a.b.us-east-1.rds.amazonaws.com",
                                       "b.us-east-1.redshift.amazonaws.com",
                                       "a.b.cn-north-1.redshift.amazonaws.com" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (redshift_host_parse(slice_str(bad[i]), &h)) fail_msg("accepted: %s", bad[i]);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void secrets_are_fetched(void **state)
{
    (void)state;
    struct signing s;
    struct aws_request r;
    struct aws_error error;
    struct buf value = { 0 };
    signing_init(&s, AWS_SSM);
    assert_true(ssm_parameter_request(slice_str("/a/b"), &s.signer, &r));
    assert_true(slice_is(buf_slice(&r.body), "{\"Name\":\"/a/b\",\"WithDecryption\":true}"));
    assert_true(slice_is(aws_request_header(&r, "x-amz-target"), "AmazonSSM.GetParameter"));
    aws_request_fini(&r);
    aws_credentials_fini(&s.credentials);
    struct aws_response a =
        answer(200, "{\"Parameter\":{\"Name\":\"/a/b\",\"Value\":\"s3cret\",\"Version\":1}}");
    assert_true(ssm_parameter_answer(&a, &value, &error));
    assert_true(slice_is(buf_slice(&value), "s3cret"));
    buf_fini(&value);
    a = answer(400, "{\"__type\":\"ParameterNotFound\"}");
    assert_false(ssm_parameter_answer(&a, &value, &error));
    assert_non_null(strstr(aws_error_hint(&error), "parameter's name"));

    static const char secret[] =
        "{\"SecretString\":\"{\\\"username\\\":\\\"ana\\\",\\\"password\\\":\\\"p\\\",\\\"port\\\":"
        "5439}\",\"VersionId\":\"v\"}";
    a = answer(200, secret);
    assert_true(secrets_manager_answer(&a, slice_str("password"), &value, &error));
    assert_true(slice_is(buf_slice(&value), "p"));
    buf_fini(&value);
    assert_true(secrets_manager_answer(&a, slice_str("port"), &value, &error));
    assert_true(slice_is(buf_slice(&value), "5439"));
    buf_fini(&value);
    assert_false(secrets_manager_answer(&a, slice_str("nope"), &value, &error));
    assert_true(secrets_manager_answer(&a, slice_str(""), &value, &error));
    assert_int_equal(value.at[0], '{');
    buf_fini(&value);
    a = answer(200, "{\"SecretBinary\":\"AAAA\"}");
    assert_false(secrets_manager_answer(&a, slice_str(""), &value, &error));
    assert_non_null(strstr(error.message, "binary"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_request_is_as_the_sdk_writes_it),
        cmocka_unit_test(serverless_request_is_json),
        cmocka_unit_test(orders_that_break_the_rules),
        cmocka_unit_test(logins_are_read),
        cmocka_unit_test(answers_without_a_login),
        cmocka_unit_test(errors_say_what_can_be_done),
        cmocka_unit_test(endpoints_are_read),
        cmocka_unit_test(host_names_tell_their_cluster),
        cmocka_unit_test(secrets_are_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
