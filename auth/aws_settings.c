#include "auth/aws_settings.h"

#include <stdio.h>

struct slice aws_setting(const struct aws_settings *s, const char *variable, const char *key)
{
    struct slice value = { 0 };
    if (variable) value = aws_env_get(s->env, variable);
    if (value.len == 0 && key && s->profiles)
        value = aws_profiles_get(s->profiles, AWS_PROFILE, s->profile, key);
    return value;
}

/* "a, b, c", each once, as many as fit. */
static void list_profiles(const struct aws_profiles *profiles, char *out, size_t size)
{
    size_t at = 0;
    struct slice name;
    out[0] = 0;
    for (size_t n = 0; (name = aws_profiles_name(profiles, AWS_PROFILE, n)).len > 0; n++) {
        bool seen = false;
        for (size_t k = 0; k < n && !seen; k++)
            seen = slice_eq(name, aws_profiles_name(profiles, AWS_PROFILE, k));
        if (seen) continue;
        if (name.len + 8 > size - at) {
            snprintf(out + at, size - at, ", ...");
            return;
        }
        at += (size_t)snprintf(out + at, size - at, "%s%.*s", at ? ", " : "", SLICE_ARG(name));
    }
}

static bool refuse_profile(const struct aws_settings *s, struct err *err)
{
    char names[160];
    int n = s->profile.len < 64 ? (int)s->profile.len : 64;
    list_profiles(s->profiles, names, sizeof names);
    err_set(err, ERR_CONFIG, "AWS profile \"%.*s\" is not there", n, s->profile.at);
    if (names[0]) {
        err_hint(err, "profiles that are: %s", names);
    } else {
        err_hint(err, "~/.aws/config and ~/.aws/credentials have no profiles: run aws configure");
    }
    return false;
}

static bool set_region(struct aws_settings *s, struct slice explicit, struct err *err)
{
    struct slice region = explicit;
    if (region.len == 0) region = aws_env_get(s->env, "AWS_REGION");
    if (region.len == 0) region = aws_setting(s, "AWS_DEFAULT_REGION", "region");
    if (region.len == 0) return true;
    if (!aws_region_is_valid(region))
        return err_set(err, ERR_CONFIG, "\"%.*s\" is not an AWS region",
                       region.len < 40 ? (int)region.len : 40, region.at);
    snprintf(s->region, sizeof s->region, "%.*s", SLICE_ARG(region));
    return true;
}

static bool is_true(struct slice value) { return slice_is_nocase(value, "true"); }

bool aws_settings_read(struct aws_settings *out, const struct aws_env *env, struct slice profile,
                       struct slice region, struct slice config_text, struct slice credentials_text,
                       struct err *err)
{
    bool named = true;
    *out = (struct aws_settings){ .env = env,
                                  .profile = profile,
                                  .profile_explicit = profile.len > 0 };
    if (profile.len == 0) out->profile = aws_profile_selected(env, &named);
    out->profiles = aws_profiles_read(config_text, credentials_text, err);
    if (!out->profiles) return false;
    out->profile_exists = aws_profiles_has(out->profiles, AWS_PROFILE, out->profile);
    if (!out->profile_exists && named) return refuse_profile(out, err);
    out->fips = is_true(aws_setting(out, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    out->dual_stack =
        is_true(aws_setting(out, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    return set_region(out, region, err);
}

void aws_settings_fini(struct aws_settings *s)
{
    aws_profiles_free(s->profiles);
    s->profiles = NULL;
}

bool aws_settings_endpoint(const struct aws_settings *s, enum aws_service service,
                           struct slice region, struct aws_endpoint *out, struct err *err)
{
    struct aws_endpoint_options o = { .fips = s->fips, .dual_stack = s->dual_stack };
    o.region = region.len ? region : slice_str(s->region);
    o.override = aws_endpoint_override(s->env, s->profiles, s->profile, aws_service(service)->id);
    struct slice mode = aws_setting(s, "AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints");
    o.sts_global = service == AWS_STS && slice_is_nocase(mode, "legacy");
    return aws_endpoint_resolve(service, &o, out, err);
}
