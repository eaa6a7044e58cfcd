/* doctor_advice: the same symptom, told apart by what else was seen. */
#include "unit/unit.h"

#include "proxy/command/doctor_advice.h"

static void expect(struct doctor_case c, const char *cause_has, const char *todo_has)
{
    struct buf cause = { 0 }, todo = { 0 };
    if (!c.region) c.region = "eu-west-1";
    if (!c.port) c.port = 443;
    doctor_advise(&c, &cause, &todo);
    buf_add_u8(&cause, 0);
    buf_add_u8(&todo, 0);
    if (!strstr(cause.at, cause_has)) fail_msg("\"%s\" not in: %s", cause_has, cause.at);
    if (!strstr(todo.at, todo_has)) fail_msg("\"%s\" not in: %s", todo_has, todo.at);
    buf_fini(&cause);
    buf_fini(&todo);
}

/* A Lambda's "Task timed out" at DynamoDB, and its four causes. */
static void the_silence_of_dynamodb(void **state)
{
    (void)state;
    struct doctor_case c = { .part = DOCTOR_DYNAMODB, .symptom = DOCTOR_SILENT };
    expect(c, "no VPC endpoint", "com.amazonaws.eu-west-1.dynamodb");
    c.internet = DOCTOR_INTERNET_NO;
    expect(c, "neither a VPC endpoint for this service nor a NAT gateway",
           "--vpc-endpoint-type Gateway");
    c.internet = DOCTOR_INTERNET_YES;
    expect(c, "prefix list", "IpPermissionsEgress");
    c.symptom = DOCTOR_NO_ROUTE;
    expect(c, "no route", "create-vpc-endpoint");
    c.symptom = DOCTOR_DENIED;
    expect(c, "permission", "sluice iam-policy");
}

static void interface_endpoints(void **state)
{
    (void)state;
    struct doctor_case c = { .part = DOCTOR_STS, .symptom = DOCTOR_SILENT };
    expect(c, "no VPC endpoint", "--vpc-endpoint-type Interface");
    c.is_private = true;
    expect(c, "endpoint's security group", "--port 443");
    c.region = "";
    c.is_private = false;
    expect(c, "", "com.amazonaws.REGION.sts");
}

static void clusters_and_caches(void **state)
{
    (void)state;
    struct doctor_case c = {
        .part = DOCTOR_CLUSTER, .symptom = DOCTOR_SILENT, .is_private = true, .port = 5439
    };
    expect(c, "cluster's security group", "--port 5439");
    expect(c, "", "paused");
    c.is_private = false;
    expect(c, "not publicly accessible", "authorize-security-group-ingress");
    c.symptom = DOCTOR_REFUSED;
    expect(c, "nothing listens on port 5439", "clusters.NAME.endpoint");
    c.symptom = DOCTOR_NO_NAME;
    expect(c, "DNS", "describe-clusters");
    c.symptom = DOCTOR_NO_TLS;
    expect(c, "certificate", "clusters.NAME.ca");
    c.part = DOCTOR_REDIS;
    expect(c, "certificate", "routes.cache_ca");
    c.symptom = DOCTOR_DENIED;
    expect(c, "login", "routes.cache_password");
}

/* Whatever is asked, there is a cause and something to do; but for a plain failure, whose own words
 * are all there is. */
static void every_case_has_advice(void **state)
{
    (void)state;
    for (int part = DOCTOR_STS; part <= DOCTOR_CLUSTER; part++)
        for (int symptom = DOCTOR_NO_NAME; symptom < DOCTOR_FAILED; symptom++)
            for (int net = DOCTOR_INTERNET_UNKNOWN; net <= DOCTOR_INTERNET_NO; net++)
                for (int private = 0; private < 2; private ++) {
                    struct buf cause = { 0 }, todo = { 0 };
                    struct doctor_case c = { (enum doctor_part)part,
                                             (enum doctor_symptom)symptom,
                                             private,
                                             (enum doctor_internet)net,
                                             "eu-west-1",
                                             443 };
                    doctor_advise(&c, &cause, &todo);
                    assert_true(cause.len > 20 && todo.len > 10);
                    buf_fini(&cause);
                    buf_fini(&todo);
                }
}

static void private_addresses(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[4];
        bool is_private;
    } v4[] = {
        { { 10, 0, 0, 1 }, true },     { { 172, 16, 0, 1 }, true }, { { 172, 32, 0, 1 }, false },
        { { 192, 168, 1, 1 }, true },  { { 127, 0, 0, 1 }, true },  { { 100, 64, 0, 1 }, true },
        { { 100, 128, 0, 1 }, false }, { { 52, 94, 0, 1 }, false },
    };
    for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
        assert_int_equal(doctor_is_private(v4[i].bytes, false), v4[i].is_private);
    assert_true(doctor_is_private((const uint8_t[16]){ 0xfd }, true));
    assert_true(doctor_is_private((const uint8_t[16]){ [15] = 1 }, true));
    assert_false(doctor_is_private((const uint8_t[16]){ 0x26, 0x00, [15] = 1 }, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_silence_of_dynamodb), cmocka_unit_test(interface_endpoints),
        cmocka_unit_test(clusters_and_caches),     cmocka_unit_test(every_case_has_advice),
        cmocka_unit_test(private_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
