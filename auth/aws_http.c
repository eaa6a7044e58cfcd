#include "auth/aws_http.h"

#include "auth/uri.h"

void aws_request_init(struct aws_request *r, const char *method, struct slice url)
{
    *r = (struct aws_request){ .method = method,
                               .url.secret = true,
                               .body.secret = true,
                               .connect_timeout_ms = AWS_CONNECT_TIMEOUT_MS,
                               .timeout_ms = AWS_TIMEOUT_MS,
                               .answer_cap_bytes = AWS_ANSWER_CAP_BYTES };
    buf_add_slice(&r->url, url);
}

void aws_request_fini(struct aws_request *r)
{
    buf_fini(&r->url);
    buf_fini(&r->body);
    for (size_t i = 0; i < r->header_count; i++) buf_fini(&r->headers[i].value);
    r->header_count = 0;
}

bool aws_request_add_header(struct aws_request *r, const char *name, struct slice value)
{
    if (r->header_count == AWS_REQUEST_MAX_HEADERS) return false;
    for (size_t i = 0; i < value.len; i++)
        if ((uint8_t)value.at[i] < ' ' && value.at[i] != '\t') return false;
    struct aws_header *h = &r->headers[r->header_count++];
    *h = (struct aws_header){ .name = name, .value.secret = true };
    buf_add_slice(&h->value, value);
    return !h->value.failed;
}

struct slice aws_request_header(const struct aws_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (slice_is_nocase(slice_str(r->headers[i].name), name))
            return buf_slice(&r->headers[i].value);
    return (struct slice){ 0 };
}

bool aws_request_add_host(struct aws_request *r)
{
    struct url url;
    return !r->url.failed && url_parse(buf_slice(&r->url), &url) &&
           aws_request_add_header(r, "Host", url_host_header(&url));
}

static bool add_signature(struct aws_request *r, const struct aws_credentials *credentials,
                          const struct sigv4_signed *signature)
{
    if (!aws_request_add_header(r, "X-Amz-Date", slice_str(signature->date))) return false;
    if (credentials->token &&
        !aws_request_add_header(r, "X-Amz-Security-Token", secret_bytes(credentials->token)))
        return false;
    return aws_request_add_header(r, "Authorization", buf_slice(&signature->authorization));
}

bool aws_request_sign(struct aws_request *r, const struct aws_credentials *credentials,
                      const struct aws_endpoint *endpoint, int64_t now_ms, int64_t skew_ms)
{
    struct url url;
    struct sigv4_header headers[AWS_REQUEST_MAX_HEADERS];
    if (!aws_request_add_host(r) || !url_parse(buf_slice(&r->url), &url) || r->body.failed)
        return false;
    for (size_t i = 0; i < r->header_count; i++)
        headers[i] =
            (struct sigv4_header){ slice_str(r->headers[i].name), buf_slice(&r->headers[i].value) };
    struct sigv4_request request = { slice_str(r->method), url.path,           url.query, headers,
                                     r->header_count,      buf_slice(&r->body) };
    struct sigv4_key key = aws_credentials_key(credentials, slice_str(endpoint->signing_region),
                                               slice_str(aws_service(endpoint->service)->signing));
    /* S3 names a path's bytes as they are, and wants the body's hash said. */
    bool is_s3 = endpoint->service == AWS_S3;
    struct sigv4_options options = {
        .now_ms = now_ms, .skew_ms = skew_ms, .keep_path = is_s3, .sign_body = is_s3
    };
    struct sigv4_signed signature;
    bool ok = sigv4_sign(&request, &key, &options, &signature) &&
              (!is_s3 || aws_request_add_header(r, "x-amz-content-sha256",
                                                slice_str(signature.content_sha256))) &&
              add_signature(r, credentials, &signature);
    sigv4_signed_fini(&signature);
    return ok;
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) s = slice_after(s, 1);
    while (s.len > 0 && (uint8_t)s.at[s.len - 1] <= ' ') s.len--;
    return s;
}

struct slice aws_response_header(const struct aws_response *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (slice_is_nocase(r->headers[i].name, name)) return trim(r->headers[i].value);
    return (struct slice){ 0 };
}

bool aws_response_is_type(const struct aws_response *r, const char *type)
{
    struct slice rest = aws_response_header(r, "content-type"), essence = { 0 };
    uri_next_piece(&rest, ';', &essence);
    return slice_is_nocase(trim(essence), type);
}

bool aws_response_skew(const struct aws_response *r, int64_t now_ms, int64_t round_trip_ms,
                       int64_t *skew_ms)
{
    int64_t theirs;
    if (round_trip_ms >= 15 * 60 * 1000 || aws_response_header(r, "age").len > 0) return false;
    if (!timestamp_from_http(aws_response_header(r, "date"), &theirs)) return false;
    *skew_ms = theirs - now_ms;
    return true;
}

const char *aws_http_failure_text(enum aws_http_failure failure)
{
    static const char *const texts[] = {
        [AWS_HTTP_OK] = "answered",
        [AWS_HTTP_CANNOT_RESOLVE] = "the host name does not resolve",
        [AWS_HTTP_CANNOT_CONNECT] = "cannot connect",
        [AWS_HTTP_TIMEOUT] = "no answer in time",
        [AWS_HTTP_TLS] = "TLS failed",
        [AWS_HTTP_BROKEN] = "the connection broke",
        [AWS_HTTP_TOO_LARGE] = "the answer is too large",
        [AWS_HTTP_OFFLINE] = "not asked, this command uses no network",
    };
    return texts[failure];
}

void aws_query_begin(struct aws_request *r, const struct aws_endpoint *endpoint, const char *action)
{
    aws_request_init(r, "POST", slice_str(endpoint->url));
    buf_add_str(&r->url, "/");
    aws_request_add_header(r, "Content-Type",
                           slice_str("application/x-www-form-urlencoded; charset=utf-8"));
    buf_addf(&r->body, "Action=%s&Version=%s", action, aws_service(endpoint->service)->version);
}

void aws_query_add(struct aws_request *r, const char *name, struct slice value)
{
    buf_addf(&r->body, "&%s=", name);
    uri_encode(&r->body, value);
}

void aws_json_begin(struct aws_request *r, const struct aws_endpoint *endpoint,
                    const char *operation)
{
    const struct aws_service_facts *service = aws_service(endpoint->service);
    struct buf target = { 0 };
    aws_request_init(r, "POST", slice_str(endpoint->url));
    buf_add_str(&r->url, "/");
    aws_request_add_header(r, "Content-Type",
                           slice_str(service->protocol == AWS_JSON_1_0
                                         ? "application/x-amz-json-1.0"
                                         : "application/x-amz-json-1.1"));
    buf_addf(&target, "%s.%s", service->version, operation);
    aws_request_add_header(r, "X-Amz-Target", buf_slice(&target));
    buf_fini(&target);
}
