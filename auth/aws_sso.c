/* IAM Identity Center (SSO): a browser login's token, exchanged for a role's keys, as a provider.
 *
 * The token lies in ~/.aws/sso/cache, written by `aws sso login`. One that hangs on
 * an [sso-session] can be refreshed without a browser; an older one, bound to a
 * start URL, cannot.
 */
#include "auth/aws_provider.h"

#include "auth/uri.h"

#include <stdio.h>

enum { REFRESH_BEFORE_MS = 15 * 60 * 1000 };

struct sso {
    struct slice profile;
    struct slice account, role, session, start_url, region;
    struct buf path;       /* of the cached token */
    struct json_doc *file; /* its content */
    struct slice token;    /* the access token to use: in `file`, or in `fresh` */
    struct json_doc *fresh;
    struct aws_endpoint endpoint;
};

#define NAME_ARG(s) ((s).len < 64 ? (int)(s).len : 64), ((s).at ? (s).at : "")

static struct slice text_member(const struct json_doc *doc, const char *name)
{
    const struct json_value *v = doc ? json_member(json_root(doc), slice_str(name)) : NULL;
    return v ? json_string(v) : (struct slice){ 0 };
}

/* ---- configuration -----------------------------------------------------------------------------
 */

/* A value that the [sso-session] has; the profile may repeat it, but not contradict it. */
static bool merge(struct aws_run *run, struct sso *s, const char *key, struct slice *value)
{
    const struct aws_profiles *p = run->settings->profiles;
    struct slice own = aws_profiles_get(p, AWS_PROFILE, s->profile, key);
    *value = own;
    if (s->session.len == 0) return true;
    *value = aws_profiles_get(p, AWS_SSO_SESSION, s->session, key);
    if (own.len == 0 || slice_eq(own, *value)) return true;
    aws_broken(run, "profile %.*s and its sso-session disagree about %s", NAME_ARG(s->profile),
               key);
    return false;
}

static enum aws_found read_config(struct aws_run *run, struct sso *s)
{
    const struct aws_profiles *p = run->settings->profiles;
    s->account = aws_profiles_get(p, AWS_PROFILE, s->profile, "sso_account_id");
    s->role = aws_profiles_get(p, AWS_PROFILE, s->profile, "sso_role_name");
    s->session = aws_profiles_get(p, AWS_PROFILE, s->profile, "sso_session");
    if (s->session.len > 0 && !aws_profiles_has(p, AWS_SSO_SESSION, s->session))
        return aws_broken(run, "sso-session %.*s of profile %.*s is not there",
                          NAME_ARG(s->session), NAME_ARG(s->profile));
    if (!merge(run, s, "sso_start_url", &s->start_url) || !merge(run, s, "sso_region", &s->region))
        return AWS_BROKEN;
    const char *missing = s->account.len == 0     ? "sso_account_id"
                          : s->role.len == 0      ? "sso_role_name"
                          : s->start_url.len == 0 ? "sso_start_url"
                          : s->region.len == 0    ? "sso_region"
                                                  : NULL;
    if (missing)
        return aws_broken(run, "SSO profile %.*s: missing %s", NAME_ARG(s->profile), missing);
    return AWS_FOUND;
}

/* ---- the cached token --------------------------------------------------------------------------
 */

static enum aws_found login_needed(struct aws_run *run, const struct sso *s, const char *why)
{
    char hint[128];
    snprintf(hint, sizeof hint, "run: aws sso login --profile %.*s", NAME_ARG(s->profile));
    return aws_broken_hint(run, hint, "%s (profile %.*s)", why, NAME_ARG(s->profile));
}

static enum aws_found read_token_file(struct aws_run *run, struct sso *s)
{
    char name[SHA1_HEX_BYTES];
    struct slice text;
    struct json_error ignored;
    if (!sha1_hex(s->session.len ? s->session : s->start_url, name))
        return aws_broken(run, "no memory");
    if (!aws_env_add_path(run->settings->env, slice_str("~/.aws/sso/cache/"), &s->path))
        return aws_broken(run, "HOME is not set, so there is no SSO token cache");
    buf_addf(&s->path, "%s.json", name);
    enum aws_found found = aws_read_file(run, buf_slice(&s->path), &text);
    if (found == AWS_NOT_HERE) return login_needed(run, s, "there is no SSO session");
    if (found != AWS_FOUND) return found;
    s->file = json_parse(text, 65536, &ignored);
    if (!s->file) return login_needed(run, s, "the cached SSO session is unreadable");
    s->token = text_member(s->file, "accessToken");
    if (s->token.len == 0) return login_needed(run, s, "the cached SSO session has no token");
    return AWS_FOUND;
}

/* ---- refreshing --------------------------------------------------------------------------------
 */

static void add_member(struct buf *out, const char *name, struct slice value)
{
    if (value.len == 0) return;
    buf_addf(out, "%s\"%s\": ", out->len > 1 ? ", " : "", name);
    json_quote(out, value);
}

static bool build_refresh(struct aws_run *run, void *context, struct aws_request *r)
{
    const struct sso *s = context;
    (void)run;
    aws_request_init(r, "POST", slice_str(s->endpoint.url));
    buf_add_str(&r->url, "/token");
    buf_add_str(&r->body, "{");
    add_member(&r->body, "clientId", text_member(s->file, "clientId"));
    add_member(&r->body, "clientSecret", text_member(s->file, "clientSecret"));
    add_member(&r->body, "grantType", slice_str("refresh_token"));
    add_member(&r->body, "refreshToken", text_member(s->file, "refreshToken"));
    buf_add_str(&r->body, "}");
    return aws_request_add_host(r) &&
           aws_request_add_header(r, "Content-Type", slice_str("application/json"));
}

/* Writes the cache file as `aws sso login` does, so that the command line tool goes on from it. */
static void write_token_file(struct aws_run *run, const struct sso *s, int64_t expires_ms)
{
    struct aws_ask *ask = aws_script_ask(run->script, AWS_ASK_WRITE);
    if (!ask) return;
    char when[TIMESTAMP_ISO_BYTES];
    struct slice refresh = text_member(s->fresh, "refreshToken");
    timestamp_to_iso(expires_ms, when);
    buf_add_slice(&ask->path, buf_slice(&s->path));
    buf_add_str(&ask->content, "{");
    add_member(&ask->content, "startUrl", s->start_url);
    add_member(&ask->content, "region", s->region);
    add_member(&ask->content, "accessToken", s->token);
    add_member(&ask->content, "expiresAt", slice_str(when));
    add_member(&ask->content, "clientId", text_member(s->file, "clientId"));
    add_member(&ask->content, "clientSecret", text_member(s->file, "clientSecret"));
    add_member(&ask->content, "registrationExpiresAt",
               text_member(s->file, "registrationExpiresAt"));
    add_member(&ask->content, "refreshToken",
               refresh.len ? refresh : text_member(s->file, "refreshToken"));
    buf_add_str(&ask->content, "}");
}

static bool can_refresh(const struct aws_run *run, const struct sso *s)
{
    int64_t registered_ms;
    return s->session.len > 0 && text_member(s->file, "refreshToken").len > 0 &&
           text_member(s->file, "clientId").len > 0 &&
           text_member(s->file, "clientSecret").len > 0 &&
           timestamp_from_iso(text_member(s->file, "registrationExpiresAt"), &registered_ms) &&
           registered_ms > aws_script_now_ms(run->script);
}

/* FOUND: a fresh token is in place. NOT_HERE: it could not be had; the old one may still do. */
static enum aws_found refresh(struct aws_run *run, struct sso *s)
{
    struct aws_response response;
    struct aws_error error;
    struct json_error ignored;
    struct aws_sending sending = { .build = build_refresh, .context = s, .protocol = AWS_REST };
    if (!aws_settings_endpoint(run->settings, AWS_SSO_OIDC, s->region, &s->endpoint, run->err))
        return AWS_NOT_HERE;
    enum aws_found found = aws_send(run, &sending, &response, &error);
    if (found == AWS_NOT_HERE)
        return aws_not_here(run, "refreshing the SSO session: %s", error.code);
    if (found != AWS_FOUND) return found;
    s->fresh = json_parse(response.body, 65536, &ignored);
    struct slice token = text_member(s->fresh, "accessToken");
    const struct json_value *life =
        s->fresh ? json_member(json_root(s->fresh), slice_str("expiresIn")) : NULL;
    int64_t seconds = 0;
    if (token.len == 0 || !life || !json_integer(life, &seconds) || seconds <= 0 ||
        seconds > 366 * 86400)
        return aws_not_here(run, "refreshing the SSO session: the answer has no token");
    s->token = token;
    write_token_file(run, s, aws_script_now_ms(run->script) + seconds * 1000);
    /* A read-only home directory costs the next process a refresh, nothing else. */
    return aws_script_answer(run->script) ? AWS_FOUND : AWS_PENDING;
}

static enum aws_found current_token(struct aws_run *run, struct sso *s)
{
    int64_t expires_ms;
    if (!timestamp_from_iso(text_member(s->file, "expiresAt"), &expires_ms))
        return login_needed(run, s, "the cached SSO session has no expiry");
    int64_t left_ms = expires_ms - aws_script_now_ms(run->script);
    if (left_ms < REFRESH_BEFORE_MS && can_refresh(run, s)) {
        enum aws_found found = refresh(run, s);
        if (found != AWS_NOT_HERE) return found;
        left_ms = expires_ms - aws_script_now_ms(run->script);
    }
    return left_ms > 0 ? AWS_FOUND : login_needed(run, s, "the SSO session has expired");
}

/* ---- the role's keys ---------------------------------------------------------------------------
 */

static bool build_role(struct aws_run *run, void *context, struct aws_request *r)
{
    const struct sso *s = context;
    (void)run;
    aws_request_init(r, "GET", slice_str(s->endpoint.url));
    buf_add_str(&r->url, "/federation/credentials?role_name=");
    uri_encode(&r->url, s->role);
    buf_add_str(&r->url, "&account_id=");
    uri_encode(&r->url, s->account);
    return aws_request_add_host(r) && aws_request_add_header(r, "x-amz-sso_bearer_token", s->token);
}

static bool read_role(struct aws_run *run, const struct sso *s, struct slice body,
                      struct aws_credentials *out)
{
    static const struct aws_json_names names = { "accessKeyId",  "secretAccessKey",
                                                 "sessionToken", "expiration",
                                                 NULL,           true };
    struct json_error ignored;
    struct json_doc *doc = json_parse(body, 65536, &ignored);
    const struct json_value *keys =
        doc ? json_member(json_root(doc), slice_str("roleCredentials")) : NULL;
    bool ok = keys && aws_credentials_from_json(keys, &names, aws_script_now_ms(run->script), out);
    json_free(doc);
    snprintf(out->account, sizeof out->account, "%.*s",
             s->account.len < 12 ? (int)s->account.len : 12, s->account.at);
    snprintf(out->source, sizeof out->source, "SSO role %.*s in account %.*s", NAME_ARG(s->role),
             NAME_ARG(s->account));
    return ok;
}

static enum aws_found fetch(struct aws_run *run, struct sso *s, struct aws_credentials *out)
{
    struct aws_response response;
    struct aws_error error;
    struct aws_sending sending = { .build = build_role, .context = s, .protocol = AWS_REST };
    enum aws_found found = read_config(run, s);
    if (found == AWS_FOUND) found = read_token_file(run, s);
    if (found == AWS_FOUND) found = current_token(run, s);
    if (found != AWS_FOUND) return found;
    if (!aws_settings_endpoint(run->settings, AWS_SSO, s->region, &s->endpoint, run->err))
        return aws_broken_as_said(run);
    found = aws_send(run, &sending, &response, &error);
    if (found == AWS_NOT_HERE && error.status == 401)
        return login_needed(run, s, "AWS no longer accepts the SSO session");
    if (found == AWS_NOT_HERE) return aws_broken_by(run, &error, "sso GetRoleCredentials");
    if (found != AWS_FOUND) return found;
    if (!read_role(run, s, response.body, out))
        return aws_broken(run, "sso GetRoleCredentials: the answer has no credentials");
    return aws_found_until(run, out);
}

enum aws_found aws_from_sso(struct aws_run *run, struct slice profile, struct aws_credentials *out)
{
    struct sso s = { .profile = profile };
    enum aws_found found = fetch(run, &s, out);
    json_free(s.file);
    json_free(s.fresh);
    buf_fini(&s.path);
    return found;
}
