/* aws_profile and aws_env: the shared files' grammar and where they are. */
#include "unit/vectors.h"

#include "auth/aws_profile.h"

static struct slice get(const struct aws_profiles *p, const char *name, const char *key)
{
    return aws_profiles_get(p, AWS_PROFILE, slice_str(name), key);
}

static void last_word_wins(void **state)
{
    (void)state;
    struct err err;
    struct aws_profiles *p = aws_profiles_read(
        slice_str("[default]\nregion = eu-west-1 ; home\nvoid = 1\n"
                  "[profile a]\nREGION=us-east-1\nrole_arn = x=y\n"
                  "[profile a]\nregion = us-west-2\r\n"
                  "[profile default]\nservices = local\n"
                  "[services local]\nsts =\n  endpoint_url = http://127.0.0.1:1\n"
                  "redshift =\n  endpoint_url = http://127.0.0.1:2\n  x = y\n"
                  "[sso-session s]\nsso_region = eu-central-1\n"
                  "[profile spaced out]\nregion = lost\n[typo b]\nregion = lost\n"),
        slice_str("[a]\nregion = eu-west-3\naws_secret_access_key = s#1\n[profile a]\nregion = no"),
        &err);
    assert_non_null(p);
    assert_true(slice_is(get(p, "a", "region"), "eu-west-3"));
    assert_true(aws_profiles_in_credentials(p, slice_str("a"), "region"));
    assert_true(slice_is(get(p, "a", "role_arn"), "x=y"));
    assert_false(aws_profiles_in_credentials(p, slice_str("a"), "role_arn"));
    assert_true(slice_is(get(p, "a", "aws_secret_access_key"), "s#1"));
    assert_int_equal(get(p, "default", "void").len, 0);
    struct slice local = slice_str("local");
    assert_true(
        slice_is(aws_profiles_get_nested(p, AWS_SERVICES, local, "redshift", "endpoint_url"),
                 "http://127.0.0.1:2"));
    assert_int_equal(aws_profiles_get_nested(p, AWS_SERVICES, local, "sts", "x").len, 0);
    assert_true(aws_profiles_has(p, AWS_SSO_SESSION, slice_str("s")));
    assert_false(aws_profiles_has(p, AWS_PROFILE, slice_str("s")));
    assert_false(aws_profiles_has(p, AWS_PROFILE, slice_str("b")));
    assert_true(slice_is(aws_profiles_name(p, AWS_PROFILE, 0), "a"));
    assert_true(slice_is(aws_profiles_name(p, AWS_PROFILE, 2), "default"));
    assert_true(slice_is(aws_profiles_name(p, AWS_PROFILE, 3), "a"));
    assert_int_equal(aws_profiles_name(p, AWS_PROFILE, 4).len, 0);
    aws_profiles_free(p);
}

static void errors_name_file_and_line(void **state)
{
    (void)state;
    struct err err;
    assert_null(aws_profiles_read(slice_str("[profile a]\n\nb : c\n"), slice_str(""), &err));
    assert_string_equal(err.message,
                        "AWS config file, line 3: Expected an '=' sign defining a property");
    assert_null(aws_profiles_read(slice_str(""), slice_str("a = b"), &err));
    assert_string_equal(err.message, "AWS credentials file, line 1: Expected a profile definition");
    struct buf large = { 0 };
    assert_non_null(buf_extend(&large, AWS_PROFILE_FILE_MAX_BYTES + 1));
    memset(large.at, '\n', large.len);
    assert_null(aws_profiles_read(buf_slice(&large), slice_str(""), &err));
    buf_fini(&large);
}

static void paths_follow_the_environment(void **state)
{
    (void)state;
    const char *const vars[] = { "HOME=/h",       "AWS_CONFIG_FILE=~/x/config", "AWS_PROFILE=a",
                                 "AWS_PROFILE=b", "AWS_DEFAULT_PROFILE=",       NULL };
    struct aws_env env = { vars }, none = { 0 };
    struct buf path = { 0 };
    aws_profile_config_path(&env, &path);
    assert_true(slice_is(buf_slice(&path), "/h/x/config"));
    buf_truncate(&path, 0);
    aws_profile_credentials_path(&env, &path);
    assert_true(slice_is(buf_slice(&path), "/h/.aws/credentials"));
    buf_truncate(&path, 0);
    aws_profile_credentials_path(&none, &path);
    assert_int_equal(path.len, 0);
    bool named;
    assert_true(slice_is(aws_profile_selected(&env, &named), "a") && named);
    assert_true(slice_is(aws_profile_selected(&none, &named), "default") && !named);
    buf_fini(&path);
}

/* ---- the published vectors ----------------------------------------------------------------- */

/* Every key that any of the cases mentions: absent where it is not expected. */
static const char *const all_keys[] = { "name", "name2", "name3", "secret", "s3", "in valid", "x" };
static const char *const all_names[] = { "foo",        "bar",        "default",
                                         "in valid",   "in valid 2", "sso-sessionfoo",
                                         "profilefoo", "foo!bar" };

static void expect_section(const char *test, const struct aws_profiles *p, enum aws_section kind,
                           const cJSON *section)
{
    struct slice name = slice_str(section->string);
    if (!aws_profiles_has(p, kind, name)) fail_msg("%s: no section %s", test, section->string);
    const cJSON *property;
    cJSON_ArrayForEach(property, section)
    {
        struct slice ours = aws_profiles_get(p, kind, name, property->string);
        if (!slice_is(ours, property->valuestring))
            fail_msg("%s: %s: '%.*s'", test, property->string, SLICE_ARG(ours));
    }
    for (size_t i = 0; i < sizeof all_keys / sizeof *all_keys; i++)
        if (!cJSON_GetObjectItemCaseSensitive(section, all_keys[i]) &&
            aws_profiles_get(p, kind, name, all_keys[i]).at)
            fail_msg("%s: unexpected %s", test, all_keys[i]);
}

static void expect_profiles(const char *test, const struct aws_profiles *p, const cJSON *config)
{
    const cJSON *section, *profiles = cJSON_GetObjectItem(config, "profiles");
    cJSON_ArrayForEach(section, profiles) expect_section(test, p, AWS_PROFILE, section);
    cJSON_ArrayForEach(section, cJSON_GetObjectItem(config, "sso_sessions"))
        expect_section(test, p, AWS_SSO_SESSION, section);
    for (size_t i = 0; i < sizeof all_names / sizeof *all_names; i++)
        if (!cJSON_GetObjectItemCaseSensitive(profiles, all_names[i]) &&
            aws_profiles_has(p, AWS_PROFILE, slice_str(all_names[i])))
            fail_msg("%s: unexpected profile %s", test, all_names[i]);
}

static void published_grammar(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("aws-config/profile-parser-tests.json");
    const cJSON *test, *tests = cJSON_GetObjectItem(vectors, "tests");
    cJSON_ArrayForEach(test, tests)
    {
        const char *name = vectors_text(test, "name");
        const cJSON *input = cJSON_GetObjectItem(test, "input");
        const cJSON *output = cJSON_GetObjectItem(test, "output");
        const char *expected = vectors_text(output, "errorContaining");
        struct err err = { 0 };
        struct aws_profiles *p =
            aws_profiles_read(slice_str(vectors_text(input, "configFile")),
                              slice_str(vectors_text(input, "credentialsFile")), &err);
        if (expected) {
            if (p || !strstr(err.message, expected)) fail_msg("%s: '%s'", name, err.message);
            continue;
        }
        if (!p) fail_msg("%s: %s", name, err.message);
        expect_profiles(name, p, cJSON_GetObjectItem(output, "config"));
        aws_profiles_free(p);
    }
    assert_true(cJSON_GetArraySize(tests) >= 65);
    cJSON_Delete(vectors);
}

static void published_locations(void **state)
{
    (void)state;
    cJSON *vectors = vectors_json("aws-config/file-location-tests.json");
    const cJSON *test, *var;
    int ran = 0;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(vectors, "tests"))
    {
        /* The cases for Windows speak of USERPROFILE and backslashes. */
        if (strcmp(vectors_text(test, "platform"), "linux") != 0) continue;
        char lines[8][256];
        const char *vars[9] = { 0 };
        size_t count = 0;
        cJSON_ArrayForEach(var, cJSON_GetObjectItem(test, "environment"))
        {
            snprintf(lines[count], sizeof *lines, "%s=%s", var->string, var->valuestring);
            vars[count] = lines[count];
            count++;
        }
        struct aws_env env = { vars };
        struct buf path = { 0 };
        aws_profile_config_path(&env, &path);
        assert_true(slice_is(buf_slice(&path), vectors_text(test, "configLocation")));
        buf_truncate(&path, 0);
        aws_profile_credentials_path(&env, &path);
        assert_true(slice_is(buf_slice(&path), vectors_text(test, "credentialsLocation")));
        buf_fini(&path);
        bool named;
        const char *profile = vectors_text(test, "profile");
        if (profile) assert_true(slice_is(aws_profile_selected(&env, &named), profile));
        ran++;
    }
    assert_int_equal(ran, 4);
    cJSON_Delete(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_word_wins),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(paths_follow_the_environment),
        cmocka_unit_test(published_grammar),
        cmocka_unit_test(published_locations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
