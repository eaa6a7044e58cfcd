/* ECS task roles and EKS pod identity: keys from an endpoint beside the container. */
#include "auth/aws_provider.h"

#include "auth/uri.h"

#include <stdio.h>

/* 127.0.0.0/8, written as four numbers. */
static bool is_loopback_v4(struct slice host)
{
    struct slice rest = host, part;
    int parts = 0;
    while (uri_next_piece(&rest, '.', &part)) {
        if (part.len == 0 || part.len > 3) return false;
        unsigned value = 0;
        for (size_t i = 0; i < part.len; i++) {
            if (part.at[i] < '0' || part.at[i] > '9') return false;
            value = value * 10 + (unsigned)(part.at[i] - '0');
        }
        if (value > 255 || (parts == 0 && value != 127)) return false;
        parts++;
    }
    return parts == 4;
}

/* Where a token may be sent without TLS. No name is resolved for this: a name could change. */
static bool is_plain_allowed(struct slice host)
{
    static const char *const hosts[] = { "localhost", "::1", "169.254.170.2", "169.254.170.23",
                                         "fd00:ec2::23" };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (slice_is(host, hosts[i])) return true;
    return is_loopback_v4(host);
}

bool aws_container_url(const struct aws_env *env, struct buf *url, struct err *err)
{
    struct slice relative = aws_env_get(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct slice full = aws_env_get(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct url parsed;
    if (relative.len > 0) {
        buf_add_str(url, "http://169.254.170.2");
        if (relative.at[0] != '/') buf_add_u8(url, '/');
        buf_add_slice(url, relative);
        return url_parse(buf_slice(url), &parsed) ||
               err_set(err, ERR_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
    }
    if (full.len == 0) return true;
    if (!url_parse(full, &parsed))
        return err_set(err, ERR_CONFIG,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI is no http(s) URL with "
                       "a host");
    if (!parsed.https && !is_plain_allowed(parsed.host))
        return err_set(err, ERR_CONFIG,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI is plain http to "
                       "something that is neither loopback nor a container agent");
    buf_add_slice(url, full);
    return true;
}

struct container {
    struct buf url;
    struct slice token;
};

static bool build(struct aws_run *run, void *context, struct aws_request *r)
{
    const struct container *c = context;
    (void)run;
    aws_request_init(r, "GET", buf_slice(&c->url));
    r->connect_timeout_ms = r->timeout_ms = 2000;
    r->answer_cap_bytes = 65536;
    r->direct = true;
    return aws_request_add_host(r) &&
           aws_request_add_header(r, "Accept", slice_str("application/json")) &&
           (c->token.len == 0 || aws_request_add_header(r, "Authorization", c->token));
}

/* The token file goes before the variable, and is read anew each time: EKS rotates it. */
static enum aws_found read_token(struct aws_run *run, struct container *c)
{
    const struct aws_env *env = run->settings->env;
    struct slice file = aws_env_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    c->token = aws_env_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file.len > 0) {
        enum aws_found found = aws_read_file(run, file, &c->token);
        if (found == AWS_NOT_HERE)
            return aws_broken(run, "the container authorization token file %.*s is not there",
                              file.len < 120 ? (int)file.len : 120, file.at);
        if (found != AWS_FOUND) return found;
        if (c->token.len && c->token.at[c->token.len - 1] == '\n') c->token.len--;
    }
    for (size_t i = 0; i < c->token.len; i++)
        if ((uint8_t)c->token.at[i] < ' ')
            return aws_broken(run, "the container authorization token has a line break");
    return AWS_FOUND;
}

static enum aws_found fetch(struct aws_run *run, struct container *c, struct aws_credentials *out)
{
    static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "Token",
                                                 "Expiration",  "AccountId",       false };
    struct aws_response response;
    struct aws_error error;
    struct json_error ignored;
    struct aws_sending sending = { build, c, AWS_REST, 3, 1000 };
    enum aws_found found = read_token(run, c);
    if (found != AWS_FOUND) return found;
    found = aws_send(run, &sending, &response, &error);
    if (found == AWS_NOT_HERE) return aws_broken_by(run, &error, "container credentials");
    if (found != AWS_FOUND) return found;
    struct json_doc *doc = json_parse(response.body, 65536, &ignored);
    bool ok = doc && aws_credentials_from_json(json_root(doc), &names,
                                               aws_script_now_ms(run->script), out);
    json_free(doc);
    if (!ok) return aws_broken(run, "the container endpoint's answer has no credentials");
    snprintf(out->source, sizeof out->source, "container role");
    return aws_found_until(run, out);
}

enum aws_found aws_from_container(struct aws_run *run, struct aws_credentials *out)
{
    struct container c = { 0 };
    enum aws_found found;
    if (!aws_container_url(run->settings->env, &c.url, run->err)) {
        found = aws_broken_as_said(run);
    } else if (c.url.len == 0) {
        found =
            aws_not_here(run, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
    } else {
        found = fetch(run, &c, out);
    }
    buf_fini(&c.url);
    return found;
}
