#include "auth/aws_object_store.h"

#include "auth/uri.h"

#include <stdio.h>

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* A part of a path that nobody on the way takes for something else. */
static bool is_part(struct slice part)
{
    if (part.len == 0 || slice_is(part, ".") || slice_is(part, "..")) return false;
    for (size_t i = 0; i < part.len; i++)
        if (!is_plain((uint8_t)part.at[i])) return false;
    return true;
}

bool s3_object_parse(struct slice text, struct s3_object *out)
{
    struct slice rest = text, part;
    if (!uri_next_piece(&rest, '/', &out->bucket) || !is_part(out->bucket)) return false;
    out->key = rest;
    if (out->key.len == 0) return false;
    while (uri_next_piece(&rest, '/', &part))
        if (!is_part(part)) return false;
    return true;
}

bool s3_object_request(const struct s3_object *object, const struct aws_signer *signer,
                       struct aws_request *request)
{
    struct buf url = { 0 };
    buf_addf(&url, "%s/%.*s/%.*s", signer->endpoint->url, SLICE_ARG(object->bucket),
             SLICE_ARG(object->key));
    aws_request_init(request, "GET", buf_slice(&url));
    bool ok = !url.failed && aws_request_sign(request, signer->credentials, signer->endpoint,
                                              signer->now_ms, signer->skew_ms);
    buf_fini(&url);
    return ok;
}

bool s3_object_answer(const struct aws_response *response, struct buf *value,
                      char version[S3_VERSION_BYTES], struct aws_error *error)
{
    if (aws_error_read(AWS_QUERY, response, error)) return false;
    struct slice id = aws_response_header(response, "x-amz-version-id");
    if (id.len == 0 || slice_is(id, "null")) id = aws_response_header(response, "etag");
    size_t n = 0;
    for (size_t i = 0; i < id.len && n + 1 < S3_VERSION_BYTES; i++)
        if (id.at[i] > ' ' && id.at[i] != '"' && id.at[i] < 0x7f) version[n++] = id.at[i];
    version[n] = 0;
    buf_add_slice(value, response->body);
    if (!value->failed) return true;
    *error = (struct aws_error){ .fault = AWS_FAULT_TRANSIENT };
    snprintf(error->code, sizeof error->code, "out of memory");
    return false;
}
