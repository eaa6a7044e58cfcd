/* aws_endpoint: host names and overrides, against the published rule tests. */
#include "unit/vectors.h"

#include "auth/aws_endpoint.h"

static void names_are_made(void **state)
{
    (void)state;
    struct err err;
    struct aws_endpoint e;
    struct aws_endpoint_options o = { .region = slice_str("us-gov-west-1"), .fips = true };
    assert_true(aws_endpoint_resolve(AWS_REDSHIFT, &o, &e, &err));
    assert_string_equal(e.url, "https://redshift.us-gov-west-1.amazonaws.com");
    assert_true(aws_endpoint_resolve(AWS_REDSHIFT_SERVERLESS, &o, &e, &err));
    assert_string_equal(e.url, "https://redshift-serverless-fips.us-gov-west-1.amazonaws.com");
    o = (struct aws_endpoint_options){ .region = slice_str("eusc-de-east-1") };
    assert_true(aws_endpoint_resolve(AWS_STS, &o, &e, &err));
    assert_string_equal(e.url, "https://sts.eusc-de-east-1.amazonaws.eu");
    o.override = slice_str("http://127.0.0.1:5000/");
    assert_true(aws_endpoint_resolve(AWS_STS, &o, &e, &err));
    assert_string_equal(e.url, "http://127.0.0.1:5000");
    assert_string_equal(e.signing_region, "eusc-de-east-1");
    static const char *const bad[] = { "http://a/b", "a", "http://a?b", "http://u@a", "file:///a" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.override = slice_str(bad[i]);
        assert_false(aws_endpoint_resolve(AWS_STS, &o, &e, &err));
    }
}

static void a_region_cannot_smuggle_a_host(void **state)
{
    (void)state;
    static const char *const bad[] = { "us-east-1.evil.example",
                                       "us/../",
                                       "US-EAST-1",
                                       "us east",
                                       "-us",
                                       "us-",
                                       "a@b",
                                       "0123456789012345678901234567890123" };
    struct err err;
    struct aws_endpoint e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct aws_endpoint_options o = { .region = slice_str(bad[i]) };
        assert_false(aws_endpoint_resolve(AWS_STS, &o, &e, &err));
    }
    assert_string_equal(aws_partition_of(slice_str("us-isob-east-1"))->id, "aws-iso-b");
    assert_string_equal(aws_partition_of(slice_str("us-west-2"))->id, "aws");
    assert_string_equal(aws_partition_of(slice_str("mars-north-1"))->id, "aws");
    assert_string_equal(aws_partition_of(slice_str("cn-north-1"))->id, "aws-cn");
}

static bool flag(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static const char *expected_url(const cJSON *test)
{
    const cJSON *expect = cJSON_GetObjectItem(test, "expect");
    return vectors_text(cJSON_GetObjectItem(expect, "endpoint"), "url");
}

/* What DynamoDB's rules do beyond our need: account endpoints (decided against), search operations
 * (never called), and warnings about overrides that look like dual-stack names. */
static bool is_left_out(enum aws_service service, const cJSON *test, const cJSON *params)
{
    if (service != AWS_DYNAMODB) return false;
    const char *url = expected_url(test), *given = vectors_text(params, "Endpoint");
    if (flag(params, "IsSearchOperation")) return true;
    if (given) return !url && !flag(params, "UseFIPS") && !flag(params, "UseDualStack");
    if (!url) return vectors_text(params, "Region") != NULL; /* a required account id is missing */
    return strstr(url, ".ddb") != NULL;
}

static void expect_region(const cJSON *test, const struct aws_endpoint *e)
{
    const cJSON *expect = cJSON_GetObjectItem(test, "expect");
    const cJSON *properties =
        cJSON_GetObjectItem(cJSON_GetObjectItem(expect, "endpoint"), "properties");
    const cJSON *scheme = cJSON_GetArrayItem(cJSON_GetObjectItem(properties, "authSchemes"), 0);
    if (scheme) assert_string_equal(e->signing_region, vectors_text(scheme, "signingRegion"));
}

static int run_service(enum aws_service service, const char *file, int *left_out)
{
    char path[128];
    int count = 0;
    snprintf(path, sizeof path, "endpoints/%s.json", file);
    cJSON *vectors = vectors_json(path);
    const cJSON *test;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(vectors, "testCases"))
    {
        const cJSON *params = cJSON_GetObjectItem(test, "params");
        struct aws_endpoint_options o = { slice_str(vectors_text(params, "Region")),
                                          slice_str(vectors_text(params, "Endpoint")),
                                          flag(params, "UseFIPS"), flag(params, "UseDualStack"),
                                          flag(params, "UseGlobalEndpoint") };
        struct aws_endpoint e;
        struct err err = { 0 };
        if (is_left_out(service, test, params)) {
            ++*left_out;
            continue;
        }
        bool ok = aws_endpoint_resolve(service, &o, &e, &err);
        const char *url = expected_url(test);
        if (ok != (url != NULL) || (ok && strcmp(e.url, url) != 0))
            fail_msg("%s: %s: expected %s, got %s", file, vectors_text(test, "documentation"),
                     url ? url : "an error", ok ? e.url : err.message);
        if (ok) expect_region(test, &e);
        count++;
    }
    cJSON_Delete(vectors);
    return count;
}

/* EC2 is asked by `sluice doctor` alone: its names by its rule set, some of each kind. */
static void ec2_has_no_fips_name_in_govcloud(void **state)
{
    (void)state;
    static const struct {
        const char *region, *url;
        bool fips;
    } cases[] = { { "us-east-1", "https://ec2.us-east-1.amazonaws.com", false },
                  { "us-east-1", "https://ec2-fips.us-east-1.amazonaws.com", true },
                  { "us-gov-west-1", "https://ec2.us-gov-west-1.amazonaws.com", true },
                  { "cn-north-1", "https://ec2.cn-north-1.amazonaws.com.cn", false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_endpoint_options o = { .region = slice_str(cases[i].region),
                                          .fips = cases[i].fips };
        struct aws_endpoint e;
        struct err err = { 0 };
        assert_true(aws_endpoint_resolve(AWS_EC2, &o, &e, &err));
        assert_string_equal(e.url, cases[i].url);
    }
}

static void published_rules(void **state)
{
    (void)state;
    static const struct {
        enum aws_service service;
        const char *file;
    } files[] = {
        { AWS_STS, "sts" },
        { AWS_REDSHIFT, "redshift" },
        { AWS_REDSHIFT_SERVERLESS, "redshift-serverless" },
        { AWS_SSO, "sso" },
        { AWS_SSO_OIDC, "sso-oidc" },
        { AWS_SSM, "ssm" },
        { AWS_SECRETS_MANAGER, "secretsmanager" },
        { AWS_DYNAMODB, "dynamodb" },
    };
    int left_out = 0, count = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        count += run_service(files[i].service, files[i].file, &left_out);
    print_message("%d names as published; %d cases about DynamoDB account endpoints left out\n",
                  count, left_out);
    assert_true(count >= 400);
}

/* ---- configured-endpoint-urls.json ----------------------------------------------------------- */

static void write_section(struct buf *text, const char *kind, const cJSON *section)
{
    const cJSON *property, *nested;
    if (strcmp(section->string, "default") == 0) {
        buf_add_str(text, "[default]\n");
    } else {
        buf_addf(text, "[%s %s]\n", kind, section->string);
    }
    cJSON_ArrayForEach(property, section)
    {
        if (cJSON_IsString(property)) {
            buf_addf(text, "%s = %s\n", property->string, property->valuestring);
            continue;
        }
        buf_addf(text, "%s =\n", property->string);
        cJSON_ArrayForEach(nested, property)
            buf_addf(text, "  %s = %s\n", nested->string, nested->valuestring);
    }
}

static struct aws_profiles *suite_profiles(const cJSON *suite)
{
    struct buf text = { 0 };
    struct err err;
    const cJSON *section;
    cJSON_ArrayForEach(section, cJSON_GetObjectItem(suite, "profiles"))
        write_section(&text, "profile", section);
    cJSON_ArrayForEach(section, cJSON_GetObjectItem(suite, "services"))
        write_section(&text, "services", section);
    struct aws_profiles *p = aws_profiles_read(buf_slice(&text), slice_str(""), &err);
    assert_non_null(p);
    buf_fini(&text);
    return p;
}

static void upper_copy(const char *text, char *out)
{
    while ((*out++ = (char)(*text >= 'a' && *text <= 'z' ? *text - 32 : *text))) text++;
}

static void run_override(const cJSON *suite, const struct aws_profiles *p, const cJSON *test)
{
    const cJSON *client = cJSON_GetObjectItem(cJSON_GetObjectItem(suite, "client_configs"),
                                              vectors_text(test, "client_config"));
    const cJSON *var, *set = cJSON_GetObjectItem(cJSON_GetObjectItem(suite, "environments"),
                                                 vectors_text(test, "environment"));
    char lines[4][160], id[32];
    const char *vars[5] = { 0 };
    size_t count = 0;
    cJSON_ArrayForEach(var, set)
    {
        snprintf(lines[count], sizeof *lines, "%s=%s", var->string, var->valuestring);
        vars[count] = lines[count];
        count++;
    }
    struct aws_env env = { vars };
    upper_copy(vectors_text(test, "service"), id);
    /* What a client is told directly goes before everything; that is our config's business. */
    struct slice ours = slice_str(vectors_text(client, "endpoint_url"));
    if (ours.len == 0 && !flag(client, "ignore_configured_endpoint_urls"))
        ours = aws_endpoint_override(&env, p, slice_str(vectors_text(test, "profile")), id);
    const char *expected = vectors_text(cJSON_GetObjectItem(test, "output"), "endpointUrl");
    bool none = strcmp(expected, "https://s3.fake-region-10.amazonaws.com") == 0;
    if (!slice_is(ours, none ? "" : expected))
        fail_msg("%s: expected %s, got %.*s", vectors_text(test, "name"), expected,
                 SLICE_ARG(ours));
}

static void published_overrides(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("endpoints/configured-endpoint-urls.json");
    const cJSON *suite, *test;
    int count = 0;
    cJSON_ArrayForEach(suite, cJSON_GetObjectItem(vectors, "testSuites"))
    {
        struct aws_profiles *p = suite_profiles(suite);
        cJSON_ArrayForEach(test, cJSON_GetObjectItem(suite, "endpointUrlTests"))
        {
            run_override(suite, p, test);
            count++;
        }
        aws_profiles_free(p);
    }
    assert_true(count >= 39);
    cJSON_Delete(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made),      cmocka_unit_test(a_region_cannot_smuggle_a_host),
        cmocka_unit_test(published_rules),     cmocka_unit_test(ec2_has_no_fips_name_in_govcloud),
        cmocka_unit_test(published_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
