/* iam_token and iam_arn: minting, and every attack that we know of. */
#include "unit/unit.h"

#include "auth/base64url.h"
#include "auth/iam_token.h"
#include "auth/uri.h"

#include <stdio.h>
#include <stdlib.h>

static const char server_id[] = "sluice/123456789012/us-east-1/prod";
static const struct slice regions[] = { { "us-east-1", 9 }, { "eu-west-1", 9 } };
static const int64_t minted_ms = 1795226561000; /* 2026-11-21T02:02:41Z */

static struct iam_token_rules rules(void)
{
    return (struct iam_token_rules){ .server_id = slice_str(server_id),
                                     .regions = regions,
                                     .region_count = 2 };
}

static void mint_for(struct buf *out, const char *id, const char *region, bool temporary)
{
    struct aws_credentials c;
    struct err err;
    aws_credentials_init(&c);
    aws_credentials_set(&c, slice_str(temporary ? "ASIAIOSFODNN7EXAMPLE" : "AKIAIOSFODNN7EXAMPLE"),
                        slice_str("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                        slice_str(temporary ? "to+ken/==" : ""));
    struct iam_token_order order = { slice_str(id), slice_str(region), .now_ms = minted_ms };
    assert_true(iam_token_mint(&order, &c, out, &err));
    aws_credentials_fini(&c);
}

/* The URL within a freshly minted token, as a C string. */
static char *minted_url(void)
{
    struct buf token = { 0 }, url = { 0 };
    mint_for(&token, server_id, "us-east-1", true);
    assert_true(base64url_decode(&url, slice_after(buf_slice(&token), 14)));
    buf_add_u8(&url, 0);
    buf_fini(&token);
    return url.at;
}

/* Opens "sluice-sts-v1." + base64url(url) some seconds after minting; the reason when refused. */
static bool opens(struct slice url, int64_t seconds_later, struct iam_refusal *refusal)
{
    struct buf token = { 0 };
    struct iam_token opened;
    struct iam_token_rules r = rules();
    buf_add_str(&token, "sluice-sts-v1.");
    base64url_encode(&token, url);
    bool ok =
        iam_token_open(&r, buf_slice(&token), minted_ms + seconds_later * 1000, &opened, refusal);
    iam_token_fini(&opened);
    buf_fini(&token);
    return ok;
}

static char *replaced(const char *text, const char *what, const char *with)
{
    const char *at = strstr(text, what);
    if (!at) fail_msg("no \"%s\" in %s", what, text);
    char *out = malloc(strlen(text) + strlen(with) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
    return out;
}

/* ---- the good case --------------------------------------------------------------------------- */

static void minted_token_opens(void **state)
{
    (void)state;
    for (int temporary = 0; temporary < 2; temporary++) {
        struct buf password = { 0 };
        struct iam_token token;
        struct iam_refusal refusal;
        struct iam_token_rules r = rules();
        mint_for(&password, server_id, "eu-west-1", temporary);
        assert_int_equal(iam_token_kind_of(buf_slice(&password)), IAM_TOKEN_STS);
        assert_true(iam_token_open(&r, buf_slice(&password), minted_ms + 299000, &token, &refusal));
        assert_string_equal(token.host, "sts.eu-west-1.amazonaws.com");
        assert_string_equal(token.region, "eu-west-1");
        assert_string_equal(token.partition, "aws");
        assert_string_equal(token.key_id,
                            temporary ? "ASIAIOSFODNN7EXAMPLE" : "AKIAIOSFODNN7EXAMPLE");
        assert_true(token.usable_until_ms == minted_ms + 300000);
        assert_true(slice_is(buf_slice(&token.session_token), temporary ? "to+ken/==" : ""));
        iam_token_fini(&token);
        buf_fini(&password);
    }
}

/* What goes to STS is what the client signed, to the byte: else STS would refuse it. */
static void rebuilt_request_is_what_was_signed(void **state)
{
    (void)state;
    char *url = minted_url();
    struct buf password = { 0 };
    struct iam_token token;
    struct iam_refusal refusal;
    struct iam_token_rules r = rules();
    mint_for(&password, server_id, "us-east-1", true);
    assert_true(iam_token_open(&r, buf_slice(&password), minted_ms, &token, &refusal));
    struct aws_request request;
    assert_true(iam_token_request(&r, &token, (struct slice){ 0 }, &request));
    assert_string_equal(request.method, "GET");
    struct slice ours = buf_slice(&request.url), theirs = slice_str(url), piece;
    assert_int_equal(ours.len, theirs.len);
    assert_memory_equal(ours.at, "https://sts.us-east-1.amazonaws.com/?", 37);
    struct slice rest = slice_after(ours, 37);
    while (uri_next_piece(&rest, '&', &piece)) { /* the same parameters, in our order */
        char *copy = strndup(piece.at, piece.len);
        assert_non_null(strstr(url, copy));
        free(copy);
    }
    assert_true(slice_is(aws_request_header(&request, "host"), "sts.us-east-1.amazonaws.com"));
    assert_true(slice_is(aws_request_header(&request, "x-sluice-server-id"), server_id));
    assert_true(slice_is(aws_request_header(&request, "accept"), "application/xml"));
    assert_int_equal(request.header_count, 3);
    assert_int_equal(request.body.len, 0);
    aws_request_fini(&request);

    /* Another place to connect to changes where, never what or for whom. */
    assert_true(iam_token_request(&r, &token, slice_str("http://127.0.0.1:21600"), &request));
    assert_memory_equal(request.url.at, "http://127.0.0.1:21600/?Action=GetCallerIdentity&", 49);
    assert_true(slice_is(aws_request_header(&request, "host"), "sts.us-east-1.amazonaws.com"));
    aws_request_fini(&request);
    iam_token_fini(&token);
    buf_fini(&password);
    free(url);
}

/* ---- facts about time ------------------------------------------------------------------------ */

static void age_is_ours_to_check(void **state)
{
    (void)state;
    char *url = minted_url();
    struct iam_refusal refusal;
    assert_true(opens(slice_str(url), 300, &refusal));
    assert_false(opens(slice_str(url), 301, &refusal));
    assert_string_equal(refusal.client.message,
                        "the IAM token is 301 seconds old, at most 300 are allowed");
    assert_non_null(strstr(refusal.client.hint, "sluice token --server-id sluice/1234"));
    assert_true(opens(slice_str(url), -300, &refusal));
    assert_false(opens(slice_str(url), -301, &refusal));
    assert_non_null(strstr(refusal.client.message, "ahead of this server's clock"));
    free(url);
}

/* ---- the attacks ----------------------------------------------------------------------------- */

/* Each line: a piece of the good URL, what takes its place, and a word of the reason. */
static const struct {
    const char *what, *with, *reason;
} attacks[] = {
    /* Vault, CVE-2020-16250: make STS do something else. */
    { "Action=GetCallerIdentity", "Action=AssumeRoleWithWebIdentity", "not GetCallerIdentity" },
    { "Action=GetCallerIdentity", "Action=GetSessionToken", "not GetCallerIdentity" },
    { "Action=GetCallerIdentity", "Action=getcalleridentity", "not GetCallerIdentity" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity&WebIdentityToken=x", "does not have" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity&RoleArn=x", "does not have" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity&Accept=application%2Fjson",
      "does not have" },
    { "Version=2011-06-15", "Version=2010-05-08", "API version" },
    { "Version=2011-06-15", "Version=2011-06-15%20", "malformed" },
    /* aws-iam-authenticator, CVE-2022-2385: names that differ in case, or stand twice. */
    { "X-Amz-SignedHeaders=", "x-amz-signedheaders=", "does not have" },
    { "&X-Amz-SignedHeaders=", "&X-Amz-SignedHeaders=host&X-Amz-SignedHeaders=", "twice" },
    { "&X-Amz-SignedHeaders=", "&x-amz-signedheaders=host&X-Amz-SignedHeaders=", "does not have" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity&Action=GetCallerIdentity", "twice" },
    { "Action=GetCallerIdentity", "action=GetCallerIdentity&Action=GetCallerIdentity",
      "does not have" },
    { "&X-Amz-Credential=",
      "&X-Amz-Credential=AKIAEVIL%2F1%2F2%2Fsts%2Faws4_request"
      "&X-Amz-Credential=",
      "twice" },
    { "&X-Amz-Date=", "&x-amz-date=20261121T020241Z&X-Amz-Date=", "does not have" },
    { "Action=", "%41ction=", "does not have" },
    { "Action=", "Acti%6Fn=", "does not have" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity%00", "malformed" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity%0A", "malformed" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity+", "malformed" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity%2", "malformed" },
    { "Action=GetCallerIdentity", "Action=GetCallerIdentity%zz", "malformed" },
    { "Action=GetCallerIdentity&", "Action=GetCallerIdentity;", "name=value" },
    { "Action=GetCallerIdentity&", "Action=GetCallerIdentity&&", "name=value" },
    { "Action=GetCallerIdentity&", "Action&", "name=value" },
    { "Action=GetCallerIdentity", "Action==GetCallerIdentity", "name=value" },
    /* Where the request would go (SSRF). */
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com.evil.example", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.evil.com", "host" },
    { "sts.us-east-1.amazonaws.com", "127.0.0.1", "host" },
    { "sts.us-east-1.amazonaws.com", "169.254.169.254", "host" },
    { "sts.us-east-1.amazonaws.com", "[::1]", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com@evil.example", "host" },
    { "sts.us-east-1.amazonaws.com", "a:b@sts.us-east-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com:8443", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com:443", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com.", "host" },
    { "sts.us-east-1.amazonaws.com", "STS.us-east-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts%2eus-east-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "xn--sts-9ea.us-east-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.ap-south-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.cn-north-1.amazonaws.com.cn", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts-fips.us-east-1.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "sts.us-east-1.api.aws", "host" },
    { "sts.us-east-1.amazonaws.com", "iam.amazonaws.com", "host" },
    { "sts.us-east-1.amazonaws.com", "", "host" },
    { "https://", "http://", "https" },
    { "https://", "HTTPS://", "https" },
    { "https://", "https:///", "host" },
    { "https://", "https:\\\\", "https" },
    { "https://", "gopher://", "https" },
    { "com/?", "com/../?", "path" },
    { "com/?", "com/x?", "path" },
    { "com/?", "com//?", "path" },
    { "com/?", "com?", "host" },
    { "com/?", "com/#?", "path" },
    { "com/?", "com/%3f?", "path" },
    /* Whom the token is for. */
    { "X-Amz-SignedHeaders=host%3Bx-sluice-server-id", "X-Amz-SignedHeaders=host", "not bound" },
    { "host%3Bx-sluice-server-id", "host%3Bx-k8s-aws-id", "not bound" },
    { "host%3Bx-sluice-server-id", "x-sluice-server-id%3Bhost", "not bound" },
    { "host%3Bx-sluice-server-id", "accept%3Bhost%3Bx-sluice-server-id", "not bound" },
    { "host%3Bx-sluice-server-id", "host%3Bx-sluice-server-id%3Bx-evil", "not bound" },
    { "host%3Bx-sluice-server-id", "Host%3BX-Sluice-Server-Id", "not bound" },
    /* When, where and who signed. */
    { "X-Amz-Date=20261121T020241Z", "X-Amz-Date=20261122T020241Z", "future" },
    { "X-Amz-Date=20261121T020241Z", "X-Amz-Date=20261120T020241Z", "old" },
    { "X-Amz-Date=20261121T020241Z", "X-Amz-Date=2026-11-21T02:02:41Z", "not a date" },
    { "X-Amz-Date=20261121T020241Z", "X-Amz-Date=", "not a date" },
    { "X-Amz-Date=20261121T020241Z", "X-Amz-Date=99999999T999999Z", "not a date" },
    { "%2F20261121%2F", "%2F20261120%2F", "another day" },
    { "%2Fus-east-1%2F", "%2Feu-west-1%2F", "another region" },
    { "%2Fsts%2F", "%2Fiam%2F", "not for STS" },
    { "%2Faws4_request", "%2Faws4_request%2Fx", "not for STS" },
    { "%2Faws4_request", "", "not for STS" },
    { "X-Amz-Credential=ASIA", "X-Amz-Credential=AROA", "key id" },
    { "X-Amz-Credential=ASIA", "X-Amz-Credential=AKIA", "go together" },
    { "X-Amz-Credential=ASIAIOSFODNN7EXAMPLE", "X-Amz-Credential=ASIA", "key id" },
    { "X-Amz-Credential=ASIAIOS", "X-Amz-Credential=ASIAios", "key id" },
    { "X-Amz-Credential=ASIA", "X-Amz-Credential=ASIA%2F", "" },
    { "X-Amz-Security-Token=to%2Bken%2F%3D%3D", "X-Amz-Security-Token=", "go together" },
    { "&X-Amz-Security-Token=to%2Bken%2F%3D%3D", "", "go together" },
    { "X-Amz-Expires=900", "X-Amz-Expires=604800", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=901", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=0", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=-1", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=1e2", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=0900", "X-Amz-Expires" },
    { "X-Amz-Expires=900", "X-Amz-Expires=", "X-Amz-Expires" },
    { "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256", "algorithm" },
    { "&X-Amz-Algorithm=AWS4-HMAC-SHA256", "", "lacks X-Amz-Algorithm" },
    { "X-Amz-Signature=", "X-Amz-Signature=0", "64 hex" },
    { "X-Amz-Signature=", "X-Amz-Signature=%0A", "malformed" },
    { "&X-Amz-Signature=", "&X-Amz-Signatur=", "does not have" },
    { "X-Amz-Signature=", "X-Amz-Signature=AB", "64 hex" },
    { "Action=", "Action\x01=", "byte" },
    { "Action=", " Action=", "byte" },
    { "Action=", "\xc3\xa9=", "byte" },
};

static void every_attack_is_refused(void **state)
{
    (void)state;
    char *url = minted_url();
    struct iam_refusal refusal;
    assert_true(opens(slice_str(url), 0, &refusal));
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        char *evil = replaced(url, attacks[i].what, attacks[i].with);
        if (opens(slice_str(evil), 0, &refusal)) fail_msg("accepted: %s", evil);
        if (!strstr(refusal.reason, attacks[i].reason))
            fail_msg("%s -> %s: refused for \"%s\"", attacks[i].what, attacks[i].with,
                     refusal.reason);
        /* What an attacker may learn: nothing, but a token's age. */
        if (!strstr(attacks[i].reason, "old") && !strstr(attacks[i].reason, "future"))
            assert_string_equal(refusal.client.message, "authentication failed");
        assert_null(strstr(refusal.reason, "to+ken"));
        free(evil);
    }
    free(url);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    char *url = minted_url();
    struct iam_refusal refusal;
    size_t n = strlen(url);
    for (size_t i = 0; i < n; i++) assert_false(opens(slice_of(url, i), 0, &refusal));
    struct buf longer = { 0 };
    buf_add_str(&longer, url);
    buf_add_str(&longer, "&a=b");
    assert_false(opens(buf_slice(&longer), 0, &refusal));
    buf_fini(&longer);
    free(url);
}

static void passwords_that_are_no_token(void **state)
{
    (void)state;
    struct iam_token_rules r = rules();
    struct iam_token token;
    struct iam_refusal refusal;
    struct buf large = { 0 };
    buf_add_str(&large, "sluice-sts-v1.");
    memset(buf_extend(&large, IAM_TOKEN_MAX_BYTES), 'A', IAM_TOKEN_MAX_BYTES);
    static const char *const bad[] = { "",
                                       "secret",
                                       "sluice-sts-v1.",
                                       "sluice-sts-v1.a",
                                       "sluice-sts-v1.aHR0cHM6Ly8=",
                                       "sluice-sts-v1. aHR0",
                                       "SLUICE-STS-V1.aHR0",
                                       "sluice-sts-v2.aHR0" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(iam_token_open(&r, slice_str(bad[i]), minted_ms, &token, &refusal));
        iam_token_fini(&token);
    }
    assert_false(iam_token_open(&r, buf_slice(&large), minted_ms, &token, &refusal));
    assert_string_equal(refusal.reason, "the token is too long");
    iam_token_fini(&token);
    buf_fini(&large);

    static const char rds[] = "db.example:5432/?Action=connect&DBUser=u&X-Amz-Algorithm=x"
                              "&X-Amz-Signature=00";
    assert_int_equal(iam_token_kind_of(slice_str(rds)), IAM_TOKEN_RDS);
    iam_token_refuse_kind(IAM_TOKEN_RDS, slice_str(server_id), &refusal);
    assert_non_null(strstr(refusal.client.message, "RDS"));
    assert_non_null(strstr(refusal.client.hint, "sluice token --server-id"));
    assert_int_equal(iam_token_kind_of(slice_str("eyJhbGciOiJub25lIn0.e30.")), IAM_TOKEN_JWT);
    assert_int_equal(iam_token_kind_of(slice_str("k8s-aws-v1.aHR0")), IAM_TOKEN_EKS);
    assert_false(iam_token_open(&r, slice_str("k8s-aws-v1.aHR0"), minted_ms, &token, &refusal));
    assert_non_null(strstr(refusal.client.message, "EKS"));
    iam_token_fini(&token);
}

/* A token for another server opens here (its header's value is not in the URL), but the request
 * that we send has our id, so that STS computes another signature and refuses. */
static void another_servers_token_is_sent_with_our_id(void **state)
{
    (void)state;
    struct buf ours = { 0 }, theirs = { 0 };
    mint_for(&ours, server_id, "us-east-1", true);
    mint_for(&theirs, "sluice/999999999999/us-east-1/other", "us-east-1", true);
    assert_false(slice_eq(buf_slice(&ours), buf_slice(&theirs)));
    struct iam_token_rules r = rules();
    struct iam_token token;
    struct iam_refusal refusal;
    struct aws_request request;
    assert_true(iam_token_open(&r, buf_slice(&theirs), minted_ms, &token, &refusal));
    assert_true(iam_token_request(&r, &token, (struct slice){ 0 }, &request));
    assert_true(slice_is(aws_request_header(&request, "x-sluice-server-id"), server_id));
    aws_request_fini(&request);
    iam_token_fini(&token);
    buf_fini(&ours);
    buf_fini(&theirs);
}

static void further_hosts_only_when_configured(void **state)
{
    (void)state;
    char *url = minted_url();
    char *global = replaced(url, "sts.us-east-1.amazonaws.com", "sts.amazonaws.com");
    char *fips = replaced(url, "sts.us-east-1", "sts-fips.us-east-1");
    struct iam_token_rules r = rules();
    r.global_sts = r.fips = true;
    const char *const urls[] = { global, fips };
    for (size_t i = 0; i < 2; i++) {
        struct buf password = { 0 };
        struct iam_token token;
        struct iam_refusal refusal;
        buf_add_str(&password, "sluice-sts-v1.");
        base64url_encode(&password, slice_str(urls[i]));
        assert_true(iam_token_open(&r, buf_slice(&password), minted_ms, &token, &refusal));
        assert_string_equal(token.region, "us-east-1");
        assert_string_equal(token.partition, "aws");
        iam_token_fini(&token);
        buf_fini(&password);
    }
    free(url);
    free(global);
    free(fips);
}

/* ---- what STS answers ------------------------------------------------------------------------ */

#define ANSWER(arn, account, id)                                                                   \
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"            \
    "  <GetCallerIdentityResult>\n    <Arn>" arn "</Arn>\n    <UserId>" id "</UserId>\n"           \
    "    <Account>" account "</Account>\n  </GetCallerIdentityResult>\n"                           \
    "  <ResponseMetadata><RequestId>01234567</RequestId></ResponseMetadata>\n"                     \
    "</GetCallerIdentityResponse>\n"
#define ROLE "arn:aws:sts::123456789012:assumed-role/events-loader/fn"
#define GOOD ANSWER(ROLE, "123456789012", "AROAEXAMPLE:fn")

static enum iam_verdict judge(int status, const char *type, struct slice body,
                              struct iam_identity *identity, struct iam_refusal *refusal)
{
    struct sigv4_header headers[] = { { slice_str("Content-Type"), slice_str(type) } };
    struct aws_response response = { AWS_HTTP_OK, status, headers, 1, body };
    struct iam_token token = { .partition = "aws" };
    return iam_token_judge(&token, &response, identity, refusal);
}

static void identity_is_read_from_a_good_answer(void **state)
{
    (void)state;
    struct iam_identity who;
    struct iam_refusal refusal;
    assert_int_equal(judge(200, "text/xml", slice_str(GOOD), &who, &refusal), IAM_ACCEPTED);
    assert_string_equal(who.arn, "arn:aws:iam::123456789012:role/events-loader");
    assert_string_equal(who.session, "fn");
    assert_string_equal(who.unique_id, "AROAEXAMPLE");
    assert_int_equal(judge(200, "application/xml; charset=utf-8",
                           slice_str("<?xml version=\"1.0\"?>" ANSWER(
                               "arn:aws:iam::123456789012:user/team/ana", "123456789012", "AIDA")),
                           &who, &refusal),
                     IAM_ACCEPTED);
    assert_int_equal(who.kind, IAM_USER);
    assert_string_equal(who.name, "team/ana");
}

static const struct {
    int status;
    const char *type, *body;
    enum iam_verdict verdict;
    const char *reason;
} answers[] = {
    /* Project Zero's trick: JSON that quotes an XML answer. */
    { 200, "application/json", "{\"x\":\"" GOOD "\"}", IAM_REFUSED, "not with XML" },
    { 200, "text/xml", "{\"x\":\"" GOOD "\"}", IAM_REFUSED, "not a GetCallerIdentityResponse" },
    { 200, "text/html", GOOD, IAM_REFUSED, "not with XML" },
    { 200, "", GOOD, IAM_REFUSED, "not with XML" },
    { 204, "text/xml", GOOD, IAM_REFUSED, "204" },
    { 200, "text/xml", " " GOOD, IAM_REFUSED, "not a Get" },
    { 200, "text/xml", "", IAM_REFUSED, "not a Get" },
    { 200, "text/xml", GOOD GOOD, IAM_REFUSED, "not a Get" },
    { 200, "text/xml", GOOD "x", IAM_REFUSED, "not a Get" },
    { 200, "text/xml", "<!DOCTYPE a>" GOOD, IAM_REFUSED, "not a Get" },
    { 200, "text/xml", "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]>" GOOD, IAM_REFUSED,
      "not a Get" },
    { 200, "text/xml", "<?xml-stylesheet href='x'?>" GOOD, IAM_REFUSED, "not a Get" },
    { 200, "text/xml", "<GetCallerIdentityResponse>x</GetCallerIdentityResponse>", IAM_REFUSED,
      "not a Get" },
    { 200, "text/xml",
      "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">" GOOD
      "</AssumeRoleWithWebIdentityResponse>",
      IAM_REFUSED, "not a Get" },
    { 200, "text/xml",
      "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<GetCallerIdentityResult><Arn>" ROLE "</Arn><Arn>" ROLE "</Arn><UserId>A</UserId>"
      "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
      IAM_REFUSED, "2 of GetCallerIdentityResult/Arn" },
    { 200, "text/xml",
      "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
      "<GetCallerIdentityResult><UserId>A</UserId><Account>123456789012</Account>"
      "</GetCallerIdentityResult></GetCallerIdentityResponse>",
      IAM_REFUSED, "0 of GetCallerIdentityResult/Arn" },
    { 200, "text/xml", ANSWER(ROLE, "999999999999", "A"), IAM_REFUSED, "two accounts" },
    { 200, "text/xml", ANSWER("arn:aws-cn:sts::123456789012:assumed-role/a/b", "123456789012", "A"),
      IAM_REFUSED, "another partition" },
    { 200, "text/xml", ANSWER("arn:aws:sts::123456789012:assumed-role/a/b/c", "123456789012", "A"),
      IAM_REFUSED, "neither" },
    { 200, "text/xml", ANSWER("arn:aws:sts::123456789012:assumed-role/a", "123456789012", "A"),
      IAM_REFUSED, "neither" },
    { 200, "text/xml", ANSWER("arn:aws:sts::123456789012:assumed-role/*/b", "123456789012", "A"),
      IAM_REFUSED, "neither" },
    { 200, "text/xml", ANSWER("arn:aws:iam::123456789012:root", "123456789012", "A"), IAM_REFUSED,
      "neither" },
    { 200, "text/xml", ANSWER("arn:aws:sts::123456789012:federated-user/x", "123456789012", "A"),
      IAM_REFUSED, "neither" },
    { 200, "text/xml", ANSWER(ROLE, "123456789012", ""), IAM_REFUSED, "UserId" },
    { 403, "text/xml",
      "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The "
      "request signature we calculated does not match.\n\nThe Canonical String was "
      "to+ken</Message></Error><RequestId>r-1</RequestId></ErrorResponse>",
      IAM_REFUSED,
      "SignatureDoesNotMatch: The request signature we calculated does not match., "
      "request r-1" },
    { 403, "text/xml", "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>",
      IAM_REFUSED, "ExpiredToken" },
    { 403, "text/xml",
      "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
      IAM_REFUSED, "InvalidClientTokenId" },
    { 400, "text/xml", "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
      IAM_UNAVAILABLE, "Throttling" },
    { 429, "text/plain", "slow down", IAM_UNAVAILABLE, "HTTP 429" },
    { 500, "text/html", "<html>", IAM_UNAVAILABLE, "HTTP 500" },
    { 503, "", "", IAM_UNAVAILABLE, "HTTP 503" },
    { 302, "text/xml", GOOD, IAM_UNAVAILABLE, "HTTP 302" },
};

static void every_odd_answer_is_no_login(void **state)
{
    (void)state;
    struct iam_identity who;
    struct iam_refusal refusal;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        enum iam_verdict verdict =
            judge(answers[i].status, answers[i].type, slice_str(answers[i].body), &who, &refusal);
        if (verdict != answers[i].verdict || !strstr(refusal.reason, answers[i].reason))
            fail_msg("answer %zu: %d, \"%s\"", i, (int)verdict, refusal.reason);
        assert_null(strstr(refusal.reason, "to+ken"));
        assert_int_equal(who.arn[0], 0);
        assert_int_equal(refusal.client.code,
                         verdict == IAM_UNAVAILABLE ? ERR_LOGIN_UNAVAILABLE : ERR_LOGIN_FAILED);
    }
    struct aws_response none = { .failure = AWS_HTTP_TIMEOUT };
    struct iam_token token = { .partition = "aws" };
    assert_int_equal(iam_token_judge(&token, &none, &who, &refusal), IAM_UNAVAILABLE);

    struct buf large = { 0 }; /* 10 MB of elements */
    buf_add_str(&large, "<a>");
    while (large.len < 10 << 20) buf_add_str(&large, "<b>cccccccccccccccccccccccccccccc</b>");
    assert_int_equal(judge(200, "text/xml", buf_slice(&large), &who, &refusal), IAM_REFUSED);
    buf_fini(&large);
    struct buf deep = { 0 };
    for (int i = 0; i < 10000; i++) buf_add_str(&deep, "<a>");
    assert_int_equal(judge(200, "text/xml", buf_slice(&deep), &who, &refusal), IAM_REFUSED);
    buf_fini(&deep);
}

/* ---- who is meant ---------------------------------------------------------------------------- */

static bool matches(const char *pattern, const char *arn)
{
    struct iam_pattern p;
    struct iam_identity who;
    struct err err;
    if (!iam_pattern_parse(slice_str(pattern), &p, &err)) fail_msg("%s", err.message);
    assert_true(iam_identity_parse(slice_str(arn), &who));
    return iam_pattern_matches(&p, &who);
}

static void patterns_match_whole_principals(void **state)
{
    (void)state;
    static const char role[] = "arn:aws:sts::123456789012:assumed-role/loader/anything";
    assert_true(matches("arn:aws:iam::123456789012:role/loader", role));
    assert_true(matches("arn:aws:iam::123456789012:role/team/a/loader", role));
    assert_true(matches("arn:aws:iam::123456789012:role/loader",
                        "arn:aws:iam::123456789012:role/team/loader"));
    assert_true(matches("arn:aws:iam::123456789012:role/load*", role));
    assert_true(matches("arn:aws:iam::123456789012:role/*", role));
    assert_true(matches("arn:aws:iam::123456789012:role/x/AWSReservedSSO_Data_*",
                        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Data_0a/ana"));
    assert_true(matches("arn:aws:iam::123456789012:user/team/ana",
                        "arn:aws:iam::123456789012:user/team/ana"));

    assert_false(matches("arn:aws:iam::999999999999:role/loader", role)); /* another account */
    assert_false(matches("arn:aws-cn:iam::123456789012:role/loader", role));
    assert_false(matches("arn:aws:iam::123456789012:role/Loader", role));
    assert_false(matches("arn:aws:iam::123456789012:role/loade", role));
    assert_false(matches("arn:aws:iam::123456789012:role/loader2", role));
    assert_false(matches("arn:aws:iam::123456789012:role/anything", role)); /* the session name */
    assert_false(matches("arn:aws:iam::123456789012:user/loader", role));
    assert_false(
        matches("arn:aws:iam::123456789012:user/ana", "arn:aws:iam::123456789012:user/team/ana"));
    assert_false(matches("arn:aws:iam::123456789012:role/*x", role));

    static const char *const bad[] = {
        "",
        "loader",
        "*",
        "arn:aws:iam::*:role/loader",
        "arn:*:iam::123456789012:role/loader",
        "arn:evil:iam::123456789012:role/loader",
        "arn:aws:iam::12345678901:role/loader",
        "arn:aws:iam:us-east-1:123456789012:role/loader",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/team/",
        "arn:aws:iam::123456789012:role/team/*",
        "arn:aws:iam::123456789012:role/team/**",
        "arn:aws:iam::123456789012:role/a b",
        "arn:aws:iam::123456789012:user/ana*",
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:group/a",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:assumed-role/a/b",
    };
    struct iam_pattern p;
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (iam_pattern_parse(slice_str(bad[i]), &p, &err)) fail_msg("accepted: %s", bad[i]);

    /* Time is bounded: many stars against a long name that does not match. */
    assert_false(matches("arn:aws:iam::123456789012:role/*a*a*a*a*a*a*a*a*a*a*a*a*b",
                         "arn:aws:sts::123456789012:assumed-role/"
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minted_token_opens),
        cmocka_unit_test(rebuilt_request_is_what_was_signed),
        cmocka_unit_test(age_is_ours_to_check),
        cmocka_unit_test(every_attack_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(passwords_that_are_no_token),
        cmocka_unit_test(another_servers_token_is_sent_with_our_id),
        cmocka_unit_test(further_hosts_only_when_configured),
        cmocka_unit_test(identity_is_read_from_a_good_answer),
        cmocka_unit_test(every_odd_answer_is_no_login),
        cmocka_unit_test(patterns_match_whole_principals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
