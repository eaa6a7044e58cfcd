/* iam_token and web_identity: whatever stands in a password.
 *
 * Properties: nothing but a freshly minted token of ours opens (a fuzzer without the
 * keys cannot change what is in it and stay well-formed everywhere), what opens can
 * be rebuilt, and the rebuilt URL is built of safe bytes and goes to a configured host.
 */
#include "auth/base64url.h"
#include "auth/iam_token.h"
#include "auth/uri.h"
#include "auth/web_identity.h"

#include <stdlib.h>

static const struct slice regions[] = { { "us-east-1", 9 }, { "cn-north-1", 10 } };
static const int64_t now_ms = 1795226561000; /* 2026-11-21T02:02:41Z */

static void check_rebuilt(const struct iam_token_rules *rules, const struct iam_token *token)
{
    struct aws_request request;
    struct url url;
    if (!iam_token_request(rules, token, (struct slice){ 0 }, &request)) abort();
    if (!url_parse(buf_slice(&request.url), &url) || !url.https || url.port != 443) abort();
    if (!slice_is(url.host, "sts.us-east-1.amazonaws.com") &&
        !slice_is(url.host, "sts.cn-north-1.amazonaws.com.cn"))
        abort();
    if (!slice_starts(url.query, "Action=GetCallerIdentity&Version=2011-06-15&")) abort();
    aws_request_fini(&request);
}

static void try_password(struct slice password)
{
    struct iam_token_rules rules = {
        .server_id = { "sluice-prod", 11 }, .regions = regions, .region_count = 2, .eks = true
    };
    struct iam_token token;
    struct iam_refusal refusal;
    if (iam_token_open(&rules, password, now_ms, &token, &refusal))
        check_rebuilt(&rules, &token);
    else if (!refusal.reason[0] || refusal.client.code == ERR_NONE)
        abort();
    iam_token_fini(&token);
}

static void try_jwt(struct slice jwt)
{
    struct web_identity_issuer issuer = { { "https://i", 9 }, NULL };
    struct web_identity_rules rules = { &issuer, 1, { "sluice-prod", 11 } };
    struct web_identity who;
    struct iam_refusal refusal;
    size_t index;
    if (web_identity_verify(&rules, jwt, now_ms, &who, &index, &refusal) == WEB_IDENTITY_ACCEPTED)
        abort(); /* there is no key */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct buf password = { 0 };
    iam_token_kind_of(text);
    try_password(text);
    try_jwt(text);
    /* The same bytes as the URL within a token, where the interesting parser is. */
    buf_add_str(&password, "sluice-sts-v1.");
    base64url_encode(&password, text);
    try_password(buf_slice(&password));
    buf_fini(&password);

    struct iam_identity who;
    struct iam_pattern pattern;
    struct err err;
    if (iam_identity_parse(text, &who) && iam_pattern_parse(text, &pattern, &err) &&
        !pattern.is_glob && !iam_pattern_matches(&pattern, &who))
        abort(); /* a principal is itself */
    return 0;
}
