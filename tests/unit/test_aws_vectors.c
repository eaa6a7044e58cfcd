/* The published vectors of role chains, container URLs and metadata endpoints. */
#include "unit/vectors.h"

#include "auth/aws_provider.h"

static void write_sections(struct buf *text, const char *kind, const cJSON *sections)
{
    const cJSON *section, *property;
    cJSON_ArrayForEach(section, sections)
    {
        buf_addf(text, "[%s %s]\n", kind, section->string);
        cJSON_ArrayForEach(property, section)
            buf_addf(text, "%s = %s\n", property->string, property->valuestring);
    }
}

static struct slice plan_value(const struct aws_profiles *p, struct slice profile, const char *key)
{
    return aws_profiles_get(p, AWS_PROFILE, profile, key);
}

/* One link of the expected chain: {"AssumeRole": {"role_arn": ...}}. */
static void expect_link(const char *docs, const struct aws_profiles *p,
                        const struct aws_role_plan *plan, const cJSON *link, size_t index)
{
    const cJSON *what = link->child, *property;
    const char *kind = what->string;
    struct slice profile = index ? plan->roles[index - 1] : plan->base_profile;
    enum aws_base base = strcmp(kind, "AccessKey") == 0          ? AWS_BASE_KEYS
                         : strcmp(kind, "NamedSource") == 0      ? AWS_BASE_SOURCE
                         : strcmp(kind, "WebIdentityToken") == 0 ? AWS_BASE_WEB_IDENTITY
                         : strcmp(kind, "Sso") == 0              ? AWS_BASE_SSO
                                                                 : AWS_BASE_NONE;
    if (index == 0 && plan->base != base) fail_msg("%s: base %d", docs, (int)plan->base);
    if (cJSON_IsString(what)) assert_true(slice_is(plan->source, what->valuestring));
    struct slice session = plan_value(p, profile, "sso_session");
    cJSON_ArrayForEach(property, what)
    {
        char key[64];
        bool bare = base == AWS_BASE_KEYS;
        snprintf(key, sizeof key, "%s%s", bare ? "aws_" : "", property->string);
        struct slice ours = plan_value(p, profile, key);
        if (ours.len == 0 && session.len) ours = aws_profiles_get(p, AWS_SSO_SESSION, session, key);
        if (!slice_is(ours, property->valuestring)) fail_msg("%s: %s", docs, key);
    }
}

/* What the plan leaves to the SSO provider: whether its settings are complete. */
static bool sso_is_complete(const struct aws_profiles *p, struct slice profile)
{
    struct slice session = plan_value(p, profile, "sso_session");
    static const char *const keys[] = { "sso_region", "sso_start_url" };
    bool account = plan_value(p, profile, "sso_account_id").len > 0;
    if (account != (plan_value(p, profile, "sso_role_name").len > 0)) return false;
    if (session.len && !aws_profiles_has(p, AWS_SSO_SESSION, session)) return false;
    for (size_t i = 0; i < 2; i++) {
        struct slice own = plan_value(p, profile, keys[i]);
        struct slice shared = aws_profiles_get(p, AWS_SSO_SESSION, session, keys[i]);
        if (session.len ? shared.len == 0 || (own.len && !slice_eq(own, shared)) : own.len == 0)
            return false;
    }
    return true;
}

static void run_plan(const cJSON *test)
{
    const char *docs = vectors_text(test, "docs");
    const cJSON *input = cJSON_GetObjectItem(test, "input");
    const cJSON *output = cJSON_GetObjectItem(test, "output");
    const cJSON *chain = cJSON_GetObjectItem(output, "ProfileChain"), *link;
    struct buf text = { 0 };
    struct err err = { 0 };
    write_sections(&text, "profile", cJSON_GetObjectItem(input, "profiles"));
    write_sections(&text, "sso-session", cJSON_GetObjectItem(input, "sso_sessions"));
    struct aws_profiles *p = aws_profiles_read(buf_slice(&text), slice_str(""), &err);
    assert_non_null(p);
    struct aws_role_plan plan = { 0 };
    struct slice selected = slice_str(vectors_text(input, "selected_profile"));
    bool ok = aws_role_plan_make(p, selected, &plan, &err) && plan.base != AWS_BASE_NONE;
    if (ok && plan.base == AWS_BASE_SSO) ok = sso_is_complete(p, plan.base_profile);
    if (ok != (chain != NULL)) fail_msg("%s: %s", docs, ok ? "a plan" : err.message);
    size_t index = 0;
    cJSON_ArrayForEach(link, chain) expect_link(docs, p, &plan, link, index++);
    if (chain) assert_int_equal(index, plan.role_count + 1);
    aws_profiles_free(p);
    buf_fini(&text);
}

static void published_role_chains(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("aws-config/assume-role-tests.json");
    const cJSON *test;
    cJSON_ArrayForEach(test, vectors) run_plan(test);
    assert_true(cJSON_GetArraySize(vectors) >= 28);
    cJSON_Delete(vectors);
}

static size_t set_vars(const cJSON *env, char lines[8][256], const char **vars)
{
    size_t count = 0;
    const cJSON *var;
    cJSON_ArrayForEach(var, env)
    {
        snprintf(lines[count], sizeof *lines, "%s=%s", var->string, var->valuestring);
        vars[count] = lines[count];
        count++;
    }
    return count;
}

static void published_container_urls(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("aws-config/ecs-tests.json");
    const cJSON *test;
    int count = 0;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(vectors, "tests"))
    {
        char lines[8][256];
        const char *vars[9] = { 0 };
        set_vars(cJSON_GetObjectItem(test, "env"), lines, vars);
        struct aws_env env = { vars };
        struct buf url = { 0 };
        struct err err;
        const char *expected = vectors_text(cJSON_GetObjectItem(test, "result"), "Ok");
        bool ok = aws_container_url(&env, &url, &err) && url.len > 0;
        if (ok != (expected != NULL) || (ok && !slice_is(buf_slice(&url), expected)))
            fail_msg("%s", vectors_text(test, "docs"));
        buf_fini(&url);
        count++;
    }
    assert_true(count >= 11);
    cJSON_Delete(vectors);
}

static void published_metadata_endpoints(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("aws-config/imds-endpoint-tests.json");
    const cJSON *test;
    int count = 0;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(vectors, "tests"))
    {
        char lines[8][256], override[256];
        const char *vars[9] = { 0 };
        size_t n = set_vars(cJSON_GetObjectItem(test, "env"), lines, vars);
        /* What a program says explicitly: we have no such setting but the environment. */
        const char *endpoint = vectors_text(test, "endpoint_override");
        const char *mode = vectors_text(test, "mode_override");
        if (endpoint) {
            snprintf(override, sizeof override, "AWS_EC2_METADATA_SERVICE_ENDPOINT=%s", endpoint);
        } else if (mode) {
            snprintf(override, sizeof override, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=%s", mode);
        }
        if (endpoint || mode) vars[n] = override;
        struct aws_env env = { vars };
        struct aws_settings settings;
        struct err err;
        struct buf url = { 0 };
        const char *config = vectors_text(cJSON_GetObjectItem(test, "fs"), "config");
        assert_true(aws_settings_read(&settings, &env, (struct slice){ 0 }, (struct slice){ 0 },
                                      slice_str(config), slice_str(""), &err));
        const char *expected = vectors_text(cJSON_GetObjectItem(test, "result"), "Ok");
        bool ok = aws_metadata_base(&settings, &url, &err);
        buf_add_str(&url, "/latest/api/token");
        if (ok != (expected != NULL) || (ok && !slice_is(buf_slice(&url), expected)))
            fail_msg("%s: %.*s", vectors_text(test, "docs"), SLICE_ARG(buf_slice(&url)));
        aws_settings_fini(&settings);
        buf_fini(&url);
        count++;
    }
    assert_true(count >= 14);
    cJSON_Delete(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_role_chains),
        cmocka_unit_test(published_container_urls),
        cmocka_unit_test(published_metadata_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
