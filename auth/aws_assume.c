/* STS: AssumeRole and AssumeRoleWithWebIdentity, as providers. */
#include "auth/aws_provider.h"

#include "auth/aws_xml.h"

#include <stdio.h>

/* What a call needs, for as many attempts as it takes. */
struct assuming {
    const struct aws_role_order *order;
    const struct aws_credentials *source; /* NULL: a web identity, which nobody signs */
    struct slice token;                   /* of the web identity */
    struct aws_endpoint endpoint;
};

/* RoleSessionName allows letters, digits and _ + = , . @ -, 2 to 64 of them. */
static void add_session_name(struct aws_request *r, struct slice wanted)
{
    char name[65];
    size_t n = 0;
    if (wanted.len < 2) wanted = slice_str("sluice");
    for (; n < wanted.len && n < sizeof name - 1; n++) {
        char c = wanted.at[n];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name[n] = plain || (c && strchr("_+=,.@-", c)) ? c : '-';
    }
    name[n] = 0;
    aws_query_add(r, "RoleSessionName", slice_str(name));
}

static bool build_assume(struct aws_run *run, void *context, struct aws_request *r)
{
    const struct assuming *a = context;
    const struct aws_role_order *o = a->order;
    char duration[16];
    aws_query_begin(r, &a->endpoint, a->source ? "AssumeRole" : "AssumeRoleWithWebIdentity");
    aws_query_add(r, "RoleArn", o->role_arn);
    add_session_name(r, o->session_name.len ? o->session_name : run->config->session_name);
    if (o->duration_s) {
        snprintf(duration, sizeof duration, "%u", o->duration_s);
        aws_query_add(r, "DurationSeconds", slice_str(duration));
    }
    if (!a->source) {
        aws_query_add(r, "WebIdentityToken", a->token);
        return aws_request_add_host(r);
    }
    if (o->external_id.len) aws_query_add(r, "ExternalId", o->external_id);
    return aws_request_sign(r, a->source, &a->endpoint, aws_script_now_ms(run->script),
                            run->skew_ms);
}

enum { F_KEY, F_SECRET, F_TOKEN, F_EXPIRATION, F_ARN, F_COUNT };

static bool read_answer(const struct assuming *a, struct slice body, int64_t now_ms,
                        struct aws_credentials *out)
{
#define PATHS(result)                                                                              \
    {                                                                                              \
        { .path = result "/Credentials/AccessKeyId" },                                             \
            { .path = result "/Credentials/SecretAccessKey" },                                     \
            { .path = result "/Credentials/SessionToken" },                                        \
            { .path = result "/Credentials/Expiration" },                                          \
            { .path = result "/AssumedRoleUser/Arn" },                                             \
    }
    struct aws_xml_field signed_fields[F_COUNT] = PATHS("AssumeRoleResult");
    struct aws_xml_field web_fields[F_COUNT] = PATHS("AssumeRoleWithWebIdentityResult");
#undef PATHS
    struct aws_xml_field *f = a->source ? signed_fields : web_fields;
    int64_t expires_ms = 0;
    bool ok =
        aws_xml_read(body, a->source ? "AssumeRoleResponse" : "AssumeRoleWithWebIdentityResponse",
                     NULL, f, F_COUNT) &&
        f[F_KEY].value.len && f[F_SECRET].value.len && f[F_TOKEN].value.len &&
        timestamp_from_iso(buf_slice(&f[F_EXPIRATION].value), &expires_ms);
    if (ok) {
        ok = aws_credentials_set(out, buf_slice(&f[F_KEY].value), buf_slice(&f[F_SECRET].value),
                                 buf_slice(&f[F_TOKEN].value));
        out->issued_ms = now_ms;
        out->expires_ms = expires_ms;
        struct slice arn = buf_slice(&f[F_ARN].value);
        if (arn.len > 26 && slice_starts(arn, "arn:aws:sts::"))
            snprintf(out->account, sizeof out->account, "%.12s", arn.at + 13);
    }
    aws_xml_fields_fini(f, F_COUNT);
    return ok;
}

static enum aws_found assume(struct aws_run *run, struct assuming *a, const char *action,
                             struct aws_credentials *out)
{
    struct aws_response response;
    struct aws_error error;
    char what[160];
    int n = a->order->role_arn.len < 100 ? (int)a->order->role_arn.len : 100;
    if (!aws_settings_endpoint(run->settings, AWS_STS, slice_str(run->region), &a->endpoint,
                               run->err))
        return aws_broken_as_said(run);
    struct aws_sending sending = { .build = build_assume, .context = a, .protocol = AWS_QUERY };
    snprintf(what, sizeof what, "sts %s %.*s", action, n, a->order->role_arn.at);
    enum aws_found found = aws_send(run, &sending, &response, &error);
    if (found == AWS_NOT_HERE) return aws_broken_by(run, &error, what);
    if (found != AWS_FOUND) return found;
    if (!read_answer(a, response.body, aws_script_now_ms(run->script), out))
        return aws_broken(run, "%s: the answer has no credentials", what);
    return AWS_FOUND;
}

enum aws_found aws_assume_role(struct aws_run *run, const struct aws_role_order *order,
                               const struct aws_credentials *source, struct aws_credentials *out)
{
    struct aws_credentials fresh;
    struct assuming a = { .order = order, .source = source };
    char via[80];
    int n = order->role_arn.len < 100 ? (int)order->role_arn.len : 100;
    snprintf(via, sizeof via, "%.79s", source->source);
    aws_credentials_init(&fresh);
    enum aws_found found = assume(run, &a, "AssumeRole", &fresh);
    if (found == AWS_FOUND) {
        aws_credentials_fini(out);
        *out = fresh;
        snprintf(out->source, sizeof out->source, "role %.*s via %s", n, order->role_arn.at, via);
        return aws_found_until(run, out);
    }
    aws_credentials_fini(&fresh);
    return found;
}

/* The token file is read at each refresh: whoever runs us replaces it before it expires. */
enum aws_found aws_from_web_identity(struct aws_run *run, struct slice profile, bool environment,
                                     struct aws_credentials *out)
{
    const struct aws_profiles *p = run->settings->profiles;
    const struct aws_env none = { 0 }, *env = environment ? run->settings->env : &none;
    struct aws_role_order order = { .role_arn = aws_env_get(env, "AWS_ROLE_ARN"),
                                    .session_name = aws_env_get(env, "AWS_ROLE_SESSION_NAME") };
    struct slice file = aws_env_get(env, "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (file.len == 0) file = aws_profiles_get(p, AWS_PROFILE, profile, "web_identity_token_file");
    if (file.len == 0) return aws_not_here(run, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    if (order.role_arn.len == 0)
        order.role_arn = aws_profiles_get(p, AWS_PROFILE, profile, "role_arn");
    if (order.session_name.len == 0)
        order.session_name = aws_profiles_get(p, AWS_PROFILE, profile, "role_session_name");
    if (order.role_arn.len == 0)
        return aws_broken(run, "a web identity token file is set, but AWS_ROLE_ARN is missing");

    struct assuming a = { .order = &order };
    enum aws_found found = aws_read_file(run, file, &a.token);
    int n = file.len < 120 ? (int)file.len : 120;
    if (found == AWS_NOT_HERE)
        return aws_broken(run, "the web identity token file %.*s is not there", n, file.at);
    if (found != AWS_FOUND) return found;
    while (a.token.len > 0 && (uint8_t)a.token.at[a.token.len - 1] <= ' ') a.token.len--;
    if (a.token.len < 4 || a.token.len > 20000)
        return aws_broken(run, "the web identity token file %.*s holds no token", n, file.at);
    found = assume(run, &a, "AssumeRoleWithWebIdentity", out);
    if (found != AWS_FOUND) return found;
    snprintf(out->source, sizeof out->source, "role %.*s by web identity",
             order.role_arn.len < 100 ? (int)order.role_arn.len : 100, order.role_arn.at);
    return aws_found_until(run, out);
}
