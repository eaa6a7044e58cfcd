#include "auth/aws_role_plan.h"

struct planning {
    const struct aws_profiles *profiles;
    struct aws_role_plan *plan;
    struct err *err;
};

static struct slice get(const struct planning *p, struct slice profile, const char *key)
{
    return aws_profiles_get(p->profiles, AWS_PROFILE, profile, key);
}

static bool has(const struct planning *p, struct slice profile, const char *key)
{
    return get(p, profile, key).len > 0;
}

/* Profile names are short in sane files; in an error text they are cut. */
#define NAME_ARG(s) ((s).len < 64 ? (int)(s).len : 64), (s).at

static bool has_keys(const struct planning *p, struct slice profile)
{
    return has(p, profile, "aws_access_key_id") || has(p, profile, "aws_secret_access_key");
}

static bool is_role(const struct planning *p, struct slice profile)
{
    return has(p, profile, "role_arn") && !has(p, profile, "web_identity_token_file");
}

static bool use(struct planning *p, enum aws_base base, struct slice profile)
{
    p->plan->base = base;
    p->plan->base_profile = profile;
    return true;
}

static bool use_keys(struct planning *p, struct slice profile)
{
    const char *missing = !has(p, profile, "aws_access_key_id")       ? "aws_access_key_id"
                          : !has(p, profile, "aws_secret_access_key") ? "aws_secret_access_key"
                                                                      : NULL;
    if (!missing) return use(p, AWS_BASE_KEYS, profile);
    return err_set(p->err, ERR_CONFIG, "profile \"%.*s\": missing %s", NAME_ARG(profile), missing);
}

/* botocore's order within a profile. */
static bool plan_base(struct planning *p, struct slice profile)
{
    if (has(p, profile, "web_identity_token_file")) {
        if (has(p, profile, "role_arn")) return use(p, AWS_BASE_WEB_IDENTITY, profile);
        return err_set(p->err, ERR_CONFIG,
                       "profile \"%.*s\": web_identity_token_file is set but role_arn is missing",
                       NAME_ARG(profile));
    }
    if (has(p, profile, "sso_account_id") || has(p, profile, "sso_role_name"))
        return use(p, AWS_BASE_SSO, profile);
    bool keys = has_keys(p, profile);
    if (keys && (aws_profiles_in_credentials(p->profiles, profile, "aws_access_key_id") ||
                 aws_profiles_in_credentials(p->profiles, profile, "aws_secret_access_key")))
        return use_keys(p, profile);
    if (has(p, profile, "credential_process")) return use(p, AWS_BASE_PROCESS, profile);
    if (keys) return use_keys(p, profile);
    if (has(p, profile, "sso_session")) return use(p, AWS_BASE_SSO, profile);
    if (has(p, profile, "login_session")) return use(p, AWS_BASE_LOGIN, profile);
    return use(p, AWS_BASE_NONE, profile);
}

static bool plan_source(struct planning *p, struct slice profile, struct slice source)
{
    static const char *const known[] = { "Environment", "Ec2InstanceMetadata", "EcsContainer" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!slice_is(source, known[i])) continue;
        p->plan->source = source;
        return use(p, AWS_BASE_SOURCE, profile);
    }
    return err_set(p->err, ERR_CONFIG,
                   "profile \"%.*s\": credential_source is \"%.*s\", not one of "
                   "Environment, Ec2InstanceMetadata, EcsContainer",
                   NAME_ARG(profile), NAME_ARG(source));
}

static bool is_on_the_way(const struct aws_role_plan *plan, struct slice profile)
{
    for (size_t i = 0; i < plan->role_count; i++)
        if (slice_eq(plan->roles[i], profile)) return true;
    return false;
}

/* The profile that a role's source_profile names; false when the chain cannot go on there. */
static bool check_next(struct planning *p, struct slice profile, struct slice next)
{
    if (!aws_profiles_has(p->profiles, AWS_PROFILE, next))
        return err_set(p->err, ERR_CONFIG,
                       "could not find source profile %.*s referenced from %.*s", NAME_ARG(next),
                       NAME_ARG(profile));
    if (is_on_the_way(p->plan, next) && !(slice_eq(next, profile) && has_keys(p, profile)))
        return err_set(p->err, ERR_CONFIG, "the source_profile of \"%.*s\" leads back to itself",
                       NAME_ARG(profile));
    return true;
}

static bool walk(struct planning *p, struct slice profile)
{
    for (bool first = true;; first = false) {
        /* In a source profile, keys win over its own role. */
        if (!is_role(p, profile) || (!first && has_keys(p, profile))) break;
        struct slice next = get(p, profile, "source_profile");
        struct slice source = get(p, profile, "credential_source");
        if (next.len > 0 && source.len > 0)
            return err_set(p->err, ERR_CONFIG,
                           "profile \"%.*s\" has both source_profile and credential_source",
                           NAME_ARG(profile));
        if (next.len == 0 && source.len == 0)
            return err_set(p->err, ERR_CONFIG,
                           "profile \"%.*s\": role_arn needs source_profile or "
                           "credential_source",
                           NAME_ARG(profile));
        if (p->plan->role_count == AWS_ROLE_PLAN_MAX)
            return err_set(p->err, ERR_CONFIG, "more than %d roles in a row", AWS_ROLE_PLAN_MAX);
        p->plan->roles[p->plan->role_count++] = profile;
        if (source.len > 0) return plan_source(p, profile, source);
        if (!check_next(p, profile, next)) return false;
        profile = next;
    }
    if (!plan_base(p, profile)) return false;
    if (p->plan->base != AWS_BASE_NONE || p->plan->role_count == 0) return true;
    return err_set(p->err, ERR_CONFIG, "source profile \"%.*s\" has no credentials",
                   NAME_ARG(profile));
}

bool aws_role_plan_make(const struct aws_profiles *profiles, struct slice profile,
                        struct aws_role_plan *plan, struct err *err)
{
    struct planning p = { profiles, plan, err };
    *plan = (struct aws_role_plan){ .base_profile = profile };
    if (!aws_profiles_has(profiles, AWS_PROFILE, profile)) return true;
    if (!walk(&p, profile)) return false;
    /* Collected from the outside in, assumed from the inside out. */
    for (size_t i = 0; i < plan->role_count / 2; i++) {
        struct slice swap = plan->roles[i];
        plan->roles[i] = plan->roles[plan->role_count - 1 - i];
        plan->roles[plan->role_count - 1 - i] = swap;
    }
    return true;
}
