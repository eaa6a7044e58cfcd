#include "auth/aws_chain.h"

#include "auth/aws_provider.h"

#include <stdlib.h>

struct aws_chain {
    struct aws_chain_config config;
    struct aws_script *script;
    struct aws_settings settings; /* of the last run; parsed anew in each */
    struct aws_credentials credentials;
    struct buf report;
    struct err err;
    char region[AWS_REGION_BYTES];
    int32_t quota;
    int64_t skew_ms;
    enum aws_found found;
};

/* ---- the places, in order ----------------------------------------------------------------------
 */

static enum aws_found place_environment(struct aws_run *run, struct aws_credentials *out)
{
    if (run->settings->profile_explicit && run->config->only == 0)
        return aws_not_here(run, "not looked at, because aws.profile is set");
    return aws_from_environment(run, out);
}

static enum aws_found from_source(struct aws_run *run, struct slice source,
                                  struct aws_credentials *out)
{
    enum aws_found found = slice_is(source, "Environment")    ? aws_from_environment(run, out)
                           : slice_is(source, "EcsContainer") ? aws_from_container(run, out)
                                                              : aws_from_metadata(run, out);
    if (found != AWS_NOT_HERE) return found;
    return aws_broken(run, "credential_source %.*s has no credentials", SLICE_ARG(source));
}

static enum aws_found from_base(struct aws_run *run, const struct aws_role_plan *plan,
                                struct aws_credentials *out)
{
    switch (plan->base) {
    case AWS_BASE_KEYS: return aws_from_profile_keys(run, plan->base_profile, out);
    case AWS_BASE_SOURCE: return from_source(run, plan->source, out);
    case AWS_BASE_WEB_IDENTITY: return aws_from_web_identity(run, plan->base_profile, false, out);
    case AWS_BASE_SSO: return aws_from_sso(run, plan->base_profile, out);
    case AWS_BASE_PROCESS: return aws_from_process(run, plan->base_profile, out);
    case AWS_BASE_LOGIN:
        return aws_not_here(run, "login_session (aws login) is not supported: use SSO, or a role");
    case AWS_BASE_NONE: break;
    }
    return aws_not_here(run, run->settings->profile_exists
                                 ? "the profile has no credentials"
                                 : "there is no profile in ~/.aws/config and ~/.aws/credentials");
}

static uint32_t duration_of(struct slice text)
{
    uint32_t value = 0;
    if (text.len == 0 || text.len > 6) return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0; /* as botocore: no number, no duration */
        value = value * 10 + (uint32_t)(text.at[i] - '0');
    }
    return value;
}

static enum aws_found assume_profile(struct aws_run *run, struct slice profile,
                                     struct aws_credentials *credentials)
{
    const struct aws_profiles *p = run->settings->profiles;
    struct aws_role_order order = {
        .role_arn = aws_profiles_get(p, AWS_PROFILE, profile, "role_arn"),
        .external_id = aws_profiles_get(p, AWS_PROFILE, profile, "external_id"),
        .session_name = aws_profiles_get(p, AWS_PROFILE, profile, "role_session_name"),
        .duration_s = duration_of(aws_profiles_get(p, AWS_PROFILE, profile, "duration_seconds")),
    };
    if (aws_profiles_get(p, AWS_PROFILE, profile, "mfa_serial").len > 0)
        return aws_broken(run,
                          "profile %.*s wants an MFA code, and nobody is here to type one: use "
                          "a role without MFA, or SSO",
                          profile.len < 64 ? (int)profile.len : 64, profile.at);
    return aws_assume_role(run, &order, credentials, credentials);
}

static enum aws_found place_roles(struct aws_run *run, struct aws_credentials *out)
{
    struct aws_role_plan plan = { 0 };
    if (!aws_role_plan_make(run->settings->profiles, run->settings->profile, &plan, run->err) &&
        plan.role_count > 0)
        return aws_broken_as_said(run);
    if (plan.role_count == 0) return aws_not_here(run, "the profile has no role to assume");
    enum aws_found found = from_base(run, &plan, out);
    if (found == AWS_NOT_HERE)
        return aws_broken(run, "there are no credentials to assume the profile's role with");
    for (size_t i = 0; i < plan.role_count && found == AWS_FOUND; i++)
        found = assume_profile(run, plan.roles[i], out);
    return found;
}

static enum aws_found place_web_identity(struct aws_run *run, struct aws_credentials *out)
{
    bool environment = !run->settings->profile_explicit || run->config->only != 0;
    return aws_from_web_identity(run, run->settings->profile, environment, out);
}

static enum aws_found from_profile(struct aws_run *run, bool by_sso, struct aws_credentials *out)
{
    struct aws_role_plan plan = { 0 };
    if (!aws_role_plan_make(run->settings->profiles, run->settings->profile, &plan, run->err))
        return aws_broken_as_said(run);
    if (by_sso != (plan.base == AWS_BASE_SSO))
        return aws_not_here(run, by_sso ? "the profile does not log in by SSO"
                                        : "the profile logs in by SSO");
    return from_base(run, &plan, out);
}

static enum aws_found place_sso(struct aws_run *run, struct aws_credentials *out)
{
    return from_profile(run, true, out);
}

static enum aws_found place_profile(struct aws_run *run, struct aws_credentials *out)
{
    return from_profile(run, false, out);
}

static const struct {
    const char *name;
    enum aws_found (*look)(struct aws_run *run, struct aws_credentials *out);
} places[] = {
    { "environment", place_environment },   { "profile role", place_roles },
    { "web identity", place_web_identity }, { "SSO", place_sso },
    { "profile", place_profile },           { "container", aws_from_container },
    { "EC2 metadata", aws_from_metadata },
};

enum { PLACE_COUNT = sizeof places / sizeof *places };

const char *aws_chain_place(int index)
{
    return index >= 0 && index < PLACE_COUNT ? places[index].name : NULL;
}

/* ---- the search --------------------------------------------------------------------------------
 */

/* One of the two shared files. Not to be allowed to read one that nobody named is no reason to give
 * up: a service's HOME may be anywhere. */
static enum aws_found read_shared_file(struct aws_run *run, const struct aws_env *env, bool config,
                                       struct slice *text)
{
    struct buf path = { 0 };
    bool named =
        aws_env_get(env, config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE").len > 0;
    if (config) {
        aws_profile_config_path(env, &path);
    } else {
        aws_profile_credentials_path(env, &path);
    }
    enum aws_found found = AWS_NOT_HERE;
    if (path.len > 0) found = aws_read_file(run, buf_slice(&path), text);
    buf_fini(&path);
    if (found == AWS_BROKEN && !named) found = AWS_NOT_HERE; /* the report has it */
    if (found == AWS_NOT_HERE) *text = (struct slice){ 0 };
    return found == AWS_NOT_HERE ? AWS_FOUND : found;
}

static enum aws_found read_settings(struct aws_chain *c, struct aws_run *run)
{
    struct slice config_text, credentials_text;
    const struct aws_env *env = &c->config.env;
    run->place = "files";
    enum aws_found found = read_shared_file(run, env, true, &config_text);
    if (found == AWS_FOUND) found = read_shared_file(run, env, false, &credentials_text);
    if (found != AWS_FOUND) return found;
    if (!aws_settings_read(&c->settings, env, c->config.profile, c->config.region, config_text,
                           credentials_text, run->err)) {
        buf_addf(run->report, "files: %s\n", run->err->message);
        return AWS_BROKEN;
    }
    memcpy(c->region, c->settings.region, sizeof c->region);
    return AWS_FOUND;
}

static enum aws_found look_everywhere(struct aws_run *run, struct aws_credentials *out)
{
    for (int i = 0; i < PLACE_COUNT; i++) {
        if (run->config->only && run->config->only != i + 1) continue;
        run->place = places[i].name;
        enum aws_found found = places[i].look(run, out);
        if (found != AWS_NOT_HERE) return found;
        aws_credentials_fini(out);
    }
    err_set(run->err, ERR_NO_CREDENTIALS, "no AWS credentials found");
    err_hint(run->err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile "
                       "(AWS_PROFILE), or run where there is an IAM role");
    return AWS_BROKEN;
}

/* The role on top of whatever was found. */
static enum aws_found assume_on_top(struct aws_run *run, struct aws_credentials *out)
{
    const struct aws_env *env = &run->config->env;
    struct aws_role_order order = run->config->role;
    run->place = "role on top";
    if (order.role_arn.len == 0 && !run->config->base) {
        order.role_arn = aws_env_get(env, "AWS_ASSUME_ROLE_ARN");
        order.external_id = aws_env_get(env, "AWS_ASSUME_ROLE_EXTERNAL_ID");
        order.session_name = aws_env_get(env, "AWS_ASSUME_ROLE_SESSION_NAME");
        order.duration_s = duration_of(aws_env_get(env, "AWS_ASSUME_ROLE_DURATION"));
    }
    if (order.role_arn.len == 0 || run->config->only) return AWS_FOUND;
    return aws_assume_role(run, &order, out, out);
}

static enum aws_found search(struct aws_chain *c, struct aws_run *run)
{
    enum aws_found found = read_settings(c, run);
    if (found != AWS_FOUND) return found;
    if (c->config.base) {
        if (!aws_credentials_copy(&c->credentials, c->config.base)) {
            aws_script_fail(c->script);
            return AWS_PENDING;
        }
    } else {
        found = look_everywhere(run, &c->credentials);
    }
    return found == AWS_FOUND ? assume_on_top(run, &c->credentials) : found;
}

/* ---- the machine -------------------------------------------------------------------------------
 */

struct aws_chain *aws_chain_new(const struct aws_chain_config *config, int64_t now_ms,
                                struct map_seed seed)
{
    struct aws_chain *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->config = *config;
    c->found = AWS_PENDING;
    aws_credentials_init(&c->credentials);
    c->script = aws_script_new(now_ms, seed);
    if (c->script) return c;
    aws_chain_free(c);
    return NULL;
}

/* What a run leaves behind, so that the next one starts as the first did. */
static void forget(struct aws_chain *c)
{
    aws_settings_fini(&c->settings);
    aws_credentials_fini(&c->credentials);
    buf_truncate(&c->report, 0);
    c->err = (struct err){ 0 };
    c->region[0] = 0;
}

void aws_chain_free(struct aws_chain *c)
{
    if (!c) return;
    forget(c);
    buf_fini(&c->report);
    aws_script_free(c->script);
    free(c);
}

const struct aws_ask *aws_chain_step(struct aws_chain *c)
{
    if (c->found != AWS_PENDING) return NULL;
    forget(c);
    aws_script_rewind(c->script);
    struct aws_run run = { .config = &c->config,
                           .script = c->script,
                           .settings = &c->settings,
                           .report = &c->report,
                           .err = &c->err,
                           .quota = c->config.quota,
                           .skew_ms = c->config.skew_ms,
                           .region = c->region };
    c->found = search(c, &run);
    c->quota = run.quota;
    c->skew_ms = run.skew_ms;
    const struct aws_ask *ask = aws_script_pending(c->script);
    if (c->found == AWS_PENDING && ask) return ask;
    if (c->found == AWS_PENDING || aws_script_failed(c->script)) {
        c->found = AWS_BROKEN;
        err_set(&c->err, ERR_OUT_OF_MEMORY,
                "the search for AWS credentials cannot go on: no memory, or a malformed token");
    }
    if (c->found == AWS_FOUND) c->err = (struct err){ 0 };
    return NULL;
}

void aws_chain_answer_http(struct aws_chain *c, const struct aws_response *r, int64_t now_ms)
{
    aws_script_answer_http(c->script, r, now_ms);
}

void aws_chain_answer_outcome(struct aws_chain *c, enum aws_outcome outcome, struct slice text,
                              int64_t now_ms)
{
    aws_script_answer_outcome(c->script, outcome, text, now_ms);
}

const struct aws_credentials *aws_chain_credentials(const struct aws_chain *c)
{
    return c->found == AWS_FOUND ? &c->credentials : NULL;
}

const struct err *aws_chain_error(const struct aws_chain *c) { return &c->err; }

struct slice aws_chain_report(const struct aws_chain *c) { return buf_slice(&c->report); }

const char *aws_chain_region(const struct aws_chain *c) { return c->region; }

int32_t aws_chain_quota(const struct aws_chain *c) { return c->quota; }

int64_t aws_chain_skew_ms(const struct aws_chain *c) { return c->skew_ms; }

const struct aws_settings *aws_chain_settings(const struct aws_chain *c)
{
    return c->settings.profiles ? &c->settings : NULL;
}
