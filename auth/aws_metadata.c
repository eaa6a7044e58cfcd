/* EC2 instance metadata, version 2, as a provider.
 *
 * Version 1 is never used: it answers anybody who can make this machine fetch a
 * URL. So the first request is the PUT for a session token, and where that fails
 * there is nothing here.
 */
#include "auth/aws_provider.h"

#include "auth/uri.h"

#include <stdio.h>

bool aws_metadata_base(const struct aws_settings *settings, struct buf *url, struct err *err)
{
    struct slice base =
        aws_setting(settings, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    struct slice mode = aws_setting(settings, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                    "ec2_metadata_service_endpoint_mode");
    struct url parsed;
    if (base.len > 0) {
        while (base.len > 0 && base.at[base.len - 1] == '/') base.len--;
        if (!url_parse(base, &parsed))
            return err_set(err, ERR_CONFIG, "the EC2 metadata endpoint is no http(s) URL");
        buf_add_slice(url, base);
    } else if (mode.len == 0 || slice_is_nocase(mode, "IPv4")) {
        buf_add_str(url, "http://169.254.169.254");
    } else if (slice_is_nocase(mode, "IPv6")) {
        buf_add_str(url, "http://[fd00:ec2::254]");
    } else {
        return err_set(err, ERR_CONFIG, "`%.*s` is not a valid EC2 metadata endpoint mode",
                       mode.len < 40 ? (int)mode.len : 40, mode.at);
    }
    return true;
}

struct metadata {
    struct buf base;
    struct slice token;
    const char *method, *path;
    struct slice role; /* behind the path */
    uint32_t timeout_ms, attempts;
};

static bool build(struct aws_run *run, void *context, struct aws_request *r)
{
    const struct metadata *m = context;
    (void)run;
    aws_request_init(r, m->method, buf_slice(&m->base));
    buf_add_str(&r->url, m->path);
    uri_encode(&r->url, m->role);
    r->connect_timeout_ms = r->timeout_ms = m->timeout_ms;
    r->answer_cap_bytes = 65536;
    r->direct = true;
    if (!aws_request_add_host(r)) return false;
    if (strcmp(m->method, "PUT") == 0)
        return aws_request_add_header(r, "x-aws-ec2-metadata-token-ttl-seconds",
                                      slice_str("21600"));
    return aws_request_add_header(r, "x-aws-ec2-metadata-token", m->token);
}

static enum aws_found ask(struct aws_run *run, struct metadata *m, const char *method,
                          const char *path, struct slice role, struct aws_response *response,
                          struct aws_error *error)
{
    struct aws_sending sending = { build, m, AWS_REST, m->attempts, 1000 };
    m->method = method;
    m->path = path;
    m->role = role;
    return aws_send(run, &sending, response, error);
}

/* A token, a role name, a region: one word of visible characters. */
static struct slice first_word(struct slice text)
{
    size_t n = 0;
    while (n < text.len && (uint8_t)text.at[n] > ' ' && (uint8_t)text.at[n] < 0x7f) n++;
    return slice_of(text.at, n);
}

static enum aws_found no_token(struct aws_run *run, const struct aws_error *e)
{
    if (e->status == 0 && strcmp(e->code, aws_http_failure_text(AWS_HTTP_TIMEOUT)) == 0)
        return aws_not_here(run,
                            "connected, but the token request timed out: in a container, raise "
                            "the instance's http-put-response-hop-limit to 2");
    if (e->status == 403 || e->status == 404 || e->status == 405)
        return aws_not_here(run,
                            "the metadata service refuses version 2 (%s), and version 1 is "
                            "never used",
                            e->code);
    return aws_not_here(run, "no metadata service (%s): not on EC2, or switched off", e->code);
}

/* During an outage of its source the service hands out keys that are past their date and that AWS
 * goes on accepting; use them, and look again after a while (botocore does the same). */
static void extend_stale(struct aws_run *run, struct aws_credentials *out)
{
    int64_t now_ms = aws_script_now_ms(run->script);
    if (out->expires_ms == 0 || out->expires_ms > now_ms) return;
    out->expires_ms = now_ms + 15 * 60000 + 120000 + aws_script_random(run->script) % 480000;
}

static enum aws_found read_keys(struct aws_run *run, struct slice body, struct slice role,
                                struct aws_credentials *out)
{
    static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "Token",
                                                 "Expiration",  "AccountId",       false };
    struct json_error ignored;
    struct json_doc *doc = json_parse(body, 65536, &ignored);
    if (!doc) return aws_not_here(run, "the metadata service's answer is not JSON");
    const struct json_value *code = json_member(json_root(doc), slice_str("Code"));
    struct slice word = code ? json_string(code) : (struct slice){ 0 };
    enum aws_found found = AWS_FOUND;
    if (!aws_credentials_from_json(json_root(doc), &names, aws_script_now_ms(run->script), out))
        found = aws_not_here(run, "the metadata service gives no keys for role %.*s (%.*s)",
                             role.len < 64 ? (int)role.len : 64, role.at,
                             word.len < 64 ? (int)word.len : 64, word.at ? word.at : "");
    json_free(doc);
    if (found != AWS_FOUND) return found;
    snprintf(out->source, sizeof out->source, "EC2 instance role %.*s",
             role.len < 64 ? (int)role.len : 64, role.at);
    extend_stale(run, out);
    return aws_found_until(run, out);
}

/* Nobody said where we are; the machine knows. */
static enum aws_found learn_region(struct aws_run *run, struct metadata *m)
{
    struct aws_response response;
    struct aws_error error;
    if (run->region[0]) return AWS_FOUND;
    enum aws_found found = ask(run, m, "GET", "/latest/meta-data/placement/region",
                               (struct slice){ 0 }, &response, &error);
    if (found == AWS_PENDING) return found;
    struct slice region = found == AWS_FOUND ? first_word(response.body) : (struct slice){ 0 };
    if (aws_region_is_valid(region))
        snprintf(run->region, AWS_REGION_BYTES, "%.*s", SLICE_ARG(region));
    return AWS_FOUND;
}

static enum aws_found fetch(struct aws_run *run, struct metadata *m, struct aws_credentials *out)
{
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";
    struct aws_response response;
    struct aws_error error;
    struct slice none = { 0 };
    enum aws_found found = ask(run, m, "PUT", "/latest/api/token", none, &response, &error);
    if (found == AWS_NOT_HERE) return no_token(run, &error);
    if (found != AWS_FOUND) return found;
    m->token = first_word(response.body);
    if (m->token.len == 0) return aws_not_here(run, "the metadata service gives no token");

    found = ask(run, m, "GET", roles, none, &response, &error);
    if (found == AWS_NOT_HERE && error.status == 404)
        return aws_not_here(run, "this instance has no IAM role");
    if (found == AWS_NOT_HERE) return aws_not_here(run, "the metadata service: %s", error.code);
    if (found != AWS_FOUND) return found;
    struct slice role = first_word(response.body);
    if (role.len == 0 || role.len > 128) return aws_not_here(run, "this instance has no IAM role");

    found = ask(run, m, "GET", roles, role, &response, &error);
    if (found == AWS_NOT_HERE) return aws_not_here(run, "the metadata service: %s", error.code);
    if (found != AWS_FOUND) return found;
    found = read_keys(run, response.body, role, out);
    return found == AWS_FOUND ? learn_region(run, m) : found;
}

/* A small whole number from the environment or the profile. */
static uint32_t number_setting(struct aws_run *run, const char *variable, const char *key,
                               uint32_t fallback, uint32_t most)
{
    struct slice text = aws_setting(run->settings, variable, key);
    uint32_t value = 0;
    if (text.len == 0 || text.len > 4) return fallback;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return fallback;
        value = value * 10 + (uint32_t)(text.at[i] - '0');
    }
    return value == 0 ? fallback : value < most ? value : most;
}

enum aws_found aws_from_metadata(struct aws_run *run, struct aws_credentials *out)
{
    struct metadata m = { 0 };
    enum aws_found found;
    if (aws_env_is_true(run->settings->env, "AWS_EC2_METADATA_DISABLED"))
        return aws_not_here(run, "AWS_EC2_METADATA_DISABLED is set");
    m.timeout_ms = 1000 * number_setting(run, "AWS_METADATA_SERVICE_TIMEOUT",
                                         "metadata_service_timeout", 1, 30);
    m.attempts = number_setting(run, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                "metadata_service_num_attempts", 1, 10);
    if (!aws_metadata_base(run->settings, &m.base, run->err)) {
        found = aws_broken_as_said(run);
    } else {
        found = fetch(run, &m, out);
    }
    buf_fini(&m.base);
    return found;
}
