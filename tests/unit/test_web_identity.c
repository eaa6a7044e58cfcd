/* signature and web_identity: published JWS examples, and tokens signed with keys made here. */
#include "unit/unit.h"

#include "auth/base64url.h"
#include "auth/uri.h"
#include "auth/web_identity.h"
#include "unit/jws.h"

#include <openssl/rsa.h>
#include <stdlib.h>

/* ---- RFC 7515, appendix A -------------------------------------------------------------------- */

static const char rfc_keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":"
    "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4"
    "d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexM"
    "dbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK"
    "-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
    "{\"kty\":\"EC\",\"kid\":\"ec\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"use\":\"sig\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"oct\",\"kid\":\"passed over\",\"k\":\"AAAA\"},"
    "{\"kty\":\"RSA\",\"use\":\"enc\",\"kid\":\"passed over too\"}]}";

#define RFC_CLAIMS                                                                                 \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static const char rs256_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5ju"
    "jGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
    "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipU"
    "TI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char es256_signature[] =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

static bool verifies(const struct signature_keys *keys, const char *kid,
                     enum signature_algorithm algorithm, const char *bytes, struct slice signature)
{
    struct buf raw = { 0 };
    const struct signature_key *key = signature_keys_find(keys, slice_str(kid));
    assert_non_null(key);
    assert_true(base64url_decode(&raw, signature));
    bool ok = signature_verify(key, algorithm, slice_str(bytes), buf_slice(&raw));
    buf_fini(&raw);
    return ok;
}

static void published_signatures(void **state)
{
    (void)state;
    struct err err;
    struct signature_keys *keys = signature_keys_parse(slice_str(rfc_keys), &err);
    if (!keys) fail_msg("%s", err.message);
    static const char rs[] = "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS;
    static const char es[] = "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS;
    struct slice rs_signature = slice_str(rs256_signature),
                 es_signature = slice_str(es256_signature);
    assert_true(verifies(keys, "rsa", SIGNATURE_RS256, rs, rs_signature));
    assert_true(verifies(keys, "ec", SIGNATURE_ES256, es, es_signature));
    /* another text, another key, another algorithm, a cut or empty signature */
    assert_false(verifies(keys, "rsa", SIGNATURE_RS256, es, rs_signature));
    assert_false(verifies(keys, "ec", SIGNATURE_ES256, rs, es_signature));
    assert_false(verifies(keys, "ec", SIGNATURE_RS256, rs, rs_signature));
    assert_false(verifies(keys, "rsa", SIGNATURE_ES256, es, es_signature));
    assert_false(verifies(keys, "ec", SIGNATURE_ES384, es, es_signature));
    assert_false(verifies(keys, "ec", SIGNATURE_ES256, es, slice_of(es256_signature, 84)));
    assert_false(verifies(keys, "rsa", SIGNATURE_RS256, rs, slice_of(rs256_signature, 340)));
    assert_false(verifies(keys, "rsa", SIGNATURE_RS256, rs, slice_str("")));
    char zeros[87]; /* r = s = 0, CVE-2022-21449 */
    memset(zeros, 'A', 86);
    zeros[86] = 0;
    assert_false(verifies(keys, "ec", SIGNATURE_ES256, es, slice_str(zeros)));
    assert_null(signature_keys_find(keys, slice_str("passed over")));
    signature_keys_free(keys);
}

static void bad_key_sets(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", /* weak */
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]"
        "}",
        /* a point that is not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
        /* no kid */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
    };
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (signature_keys_parse(slice_str(bad[i]), &err)) fail_msg("accepted: %s", bad[i]);
}

/* ---- an issuer of our own -------------------------------------------------------------------- */

struct issuer {
    EVP_PKEY *rsa, *ec;
    struct signature_keys *keys;
    struct web_identity_issuer entry;
    struct web_identity_rules rules;
};

static const int64_t now_s = 1795226561;
#define ISSUER   "https://11112222-3333.tokens.sts.global.api.aws"
#define AUDIENCE "sluice-prod-us-east-1"

static struct issuer *issuer_new(void)
{
    struct issuer *i = calloc(1, sizeof *i);
    struct buf set = { 0 };
    struct err err;
    i->rsa = EVP_RSA_gen(2048);
    i->ec = EVP_EC_gen("P-384");
    buf_add_str(&set, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"RS256\",\"n\":\"");
    jws_add_number(&set, i->rsa, "n", 0);
    buf_add_str(&set, "\",\"e\":\"");
    jws_add_number(&set, i->rsa, "e", 0);
    buf_add_str(&set, "\"},{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-384\",\"x\":\"");
    jws_add_number(&set, i->ec, "qx", 48);
    buf_add_str(&set, "\",\"y\":\"");
    jws_add_number(&set, i->ec, "qy", 48);
    buf_add_str(&set, "\"}]}");
    i->keys = signature_keys_parse(buf_slice(&set), &err);
    if (!i->keys) fail_msg("%s", err.message);
    buf_fini(&set);
    i->entry = (struct web_identity_issuer){ slice_str(ISSUER), i->keys };
    i->rules = (struct web_identity_rules){ &i->entry, 1, slice_str(AUDIENCE) };
    return i;
}

static void issuer_free(struct issuer *i)
{
    signature_keys_free(i->keys);
    EVP_PKEY_free(i->rsa);
    EVP_PKEY_free(i->ec);
    free(i);
}

static const char *const good_header = "{\"alg\":\"ES384\",\"kid\":\"e\",\"typ\":\"JWT\"}";

#define CLAIMS(sub, aud, iat, exp, more)                                                           \
    "{\"iss\":\"" ISSUER "\",\"sub\":\"" sub "\",\"aud\":" aud ",\"iat\":" iat                     \
    ",\"exp\":" exp more "}"
#define ROLE "arn:aws:iam::123456789012:role/team/DataProcessingRole"
#define STS_CLAIMS                                                                                 \
    ",\"https://sts.amazonaws.com/\":{\"aws_account\":\"123456789012\",\"source_region\":"         \
    "\"us-east-1\",\"org_id\":\"o-abc\",\"lambda_source_function_arn\":"                           \
    "\"arn:aws:lambda:us-east-1:123456789012:function:load\"}"
#define GOOD_CLAIMS CLAIMS(ROLE, "\"" AUDIENCE "\"", "1795226500", "1795226800", STS_CLAIMS)

static enum web_identity_verdict verify(const struct issuer *i, const char *header,
                                        const char *claims, bool rsa, struct web_identity *out,
                                        struct iam_refusal *refusal)
{
    struct buf token = { 0 };
    size_t index;
    base64url_encode(&token, slice_str(header));
    buf_add_str(&token, ".");
    base64url_encode(&token, slice_str(claims));
    jws_sign(&token, rsa ? i->rsa : i->ec, !rsa);
    assert_int_equal(iam_token_kind_of(buf_slice(&token)), IAM_TOKEN_JWT);
    enum web_identity_verdict verdict =
        web_identity_verify(&i->rules, buf_slice(&token), now_s * 1000, out, &index, refusal);
    buf_fini(&token);
    return verdict;
}

static void good_tokens(void **state)
{
    (void)state;
    struct issuer *i = issuer_new();
    struct web_identity who;
    struct iam_refusal refusal;
    assert_int_equal(verify(i, good_header, GOOD_CLAIMS, false, &who, &refusal),
                     WEB_IDENTITY_ACCEPTED);
    assert_string_equal(who.who.arn, "arn:aws:iam::123456789012:role/DataProcessingRole");
    assert_string_equal(who.lambda_arn, "arn:aws:lambda:us-east-1:123456789012:function:load");
    assert_string_equal(who.org_id, "o-abc");
    assert_true(who.usable_until_ms == 1795226800000);
    assert_int_equal(
        verify(i, "{\"alg\":\"RS256\",\"kid\":\"r\"}",
               CLAIMS(ROLE, "[\"x\",\"" AUDIENCE "\"]", "1795226500", "1795226520", ""), true, &who,
               &refusal),
        WEB_IDENTITY_ACCEPTED);
    assert_string_equal(who.lambda_arn, "");
    issuer_free(i);
}

static const struct {
    const char *header, *claims;
    bool rsa;
    enum web_identity_verdict verdict;
    const char *reason;
} attacks[] = {
    { "{\"alg\":\"none\",\"kid\":\"e\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "algorithm" },
    { "{\"alg\":\"HS256\",\"kid\":\"r\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "algorithm" },
    { "{\"alg\":\"ES256\",\"kid\":\"e\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "algorithm" },
    { "{\"alg\":\"es384\",\"kid\":\"e\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "algorithm" },
    { "{\"kid\":\"e\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "algorithm" },
    { "{\"alg\":\"RS256\",\"kid\":\"e\"}", GOOD_CLAIMS, true, WEB_IDENTITY_REFUSED, "signature" },
    { "{\"alg\":\"ES384\",\"kid\":\"r\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "signature" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", GOOD_CLAIMS, true, WEB_IDENTITY_REFUSED, "signature" },
    { "{\"alg\":\"ES384\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED, "kid" },
    { "{\"alg\":\"ES384\",\"kid\":\"new\"}", GOOD_CLAIMS, false, WEB_IDENTITY_UNKNOWN_KEY,
      "key set" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\",\"jku\":\"https://evil\"}", GOOD_CLAIMS, false,
      WEB_IDENTITY_REFUSED, "of its own" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\",\"crit\":[]}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED,
      "of its own" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\",\"jwk\":{}}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED,
      "of its own" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\",\"x5u\":\"\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED,
      "of its own" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\",\"kid\":\"r\"}", GOOD_CLAIMS, false, WEB_IDENTITY_REFUSED,
      "JSON" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", "{\"iss\":\"https://evil\"}", false,
      WEB_IDENTITY_REFUSED, "issuer" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", "{\"iss\":\"" ISSUER "/\"}", false, WEB_IDENTITY_REFUSED,
      "issuer" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", "{}", false, WEB_IDENTITY_REFUSED, "issuer" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", "[]", false, WEB_IDENTITY_REFUSED, "JSON" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"another-server\"", "1795226500", "1795226800", ""), false,
      WEB_IDENTITY_REFUSED, "audience" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", CLAIMS(ROLE, "[]", "1795226500", "1795226800", ""),
      false, WEB_IDENTITY_REFUSED, "audience" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}", CLAIMS(ROLE, "{}", "1795226500", "1795226800", ""),
      false, WEB_IDENTITY_REFUSED, "audience" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"" AUDIENCE "\"", "1795226000", "1795226500", ""), false, WEB_IDENTITY_REFUSED,
      "expired" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"" AUDIENCE "\"", "1795226700", "1795226800", ""), false, WEB_IDENTITY_REFUSED,
      "not valid yet" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"" AUDIENCE "\"", "1795226500", "1795226800", ",\"nbf\":1795226700"), false,
      WEB_IDENTITY_REFUSED, "not valid yet" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"" AUDIENCE "\"", "1795226500", "1795230101", ""), false, WEB_IDENTITY_REFUSED,
      "longer" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS(ROLE, "\"" AUDIENCE "\"", "\"1795226500\"", "1795226800", ""), false,
      WEB_IDENTITY_REFUSED, "iat" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS("arn:aws:sts::123456789012:assumed-role/a/b", "\"" AUDIENCE "\"", "1795226500",
             "1795226800", ""),
      false, WEB_IDENTITY_REFUSED, "subject" },
    { "{\"alg\":\"ES384\",\"kid\":\"e\"}",
      CLAIMS("arn:aws:iam::999999999999:role/a", "\"" AUDIENCE "\"", "1795226500", "1795226800",
             STS_CLAIMS),
      false, WEB_IDENTITY_REFUSED, "two accounts" },
};

static void every_attack_is_refused(void **state)
{
    (void)state;
    struct issuer *i = issuer_new();
    struct web_identity who;
    struct iam_refusal refusal;
    for (size_t k = 0; k < sizeof attacks / sizeof *attacks; k++) {
        enum web_identity_verdict verdict =
            verify(i, attacks[k].header, attacks[k].claims, attacks[k].rsa, &who, &refusal);
        if (verdict != attacks[k].verdict || !strstr(refusal.reason, attacks[k].reason))
            fail_msg("attack %zu: %d, \"%s\"", k, (int)verdict, refusal.reason);
        assert_int_equal(who.who.arn[0], 0);
    }
    issuer_free(i);
}

static void malformed_tokens(void **state)
{
    (void)state;
    struct issuer *i = issuer_new();
    struct buf token = { 0 };
    struct web_identity who;
    struct iam_refusal refusal;
    size_t index;
    base64url_encode(&token, slice_str(good_header));
    buf_add_str(&token, ".");
    base64url_encode(&token, slice_str(GOOD_CLAIMS));
    jws_sign(&token, i->ec, true);
    for (uint32_t n = 0; n < token.len; n++) /* every cut */
        assert_int_equal(web_identity_verify(&i->rules, slice_of(token.at, n), now_s * 1000, &who,
                                             &index, &refusal),
                         WEB_IDENTITY_REFUSED);
    for (uint32_t n = 0; n < token.len; n++) { /* every flipped bit of some */
        token.at[n] ^= 1;
        assert_int_not_equal(
            web_identity_verify(&i->rules, buf_slice(&token), now_s * 1000, &who, &index, &refusal),
            WEB_IDENTITY_ACCEPTED);
        token.at[n] ^= 1;
    }
    buf_add_str(&token, ".");
    assert_int_equal(
        web_identity_verify(&i->rules, buf_slice(&token), now_s * 1000, &who, &index, &refusal),
        WEB_IDENTITY_REFUSED);
    buf_fini(&token);
    struct aws_request request;
    assert_true(web_identity_keys_request(slice_str(ISSUER), &request));
    assert_true(slice_is(buf_slice(&request.url), ISSUER "/.well-known/jwks.json"));
    aws_request_fini(&request);
    assert_false(web_identity_keys_request(slice_str("http://a"), &request));
    aws_request_fini(&request);
    issuer_free(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_signatures), cmocka_unit_test(bad_key_sets),
        cmocka_unit_test(good_tokens),          cmocka_unit_test(every_attack_is_refused),
        cmocka_unit_test(malformed_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
