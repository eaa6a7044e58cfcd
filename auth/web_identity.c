#include "auth/web_identity.h"

#include "auth/base64url.h"
#include "auth/uri.h"
#include "protocol/json.h"

#include <stdio.h>

/* A token being read. */
struct reading {
    const struct web_identity_rules *rules;
    struct iam_refusal *refusal;
    struct slice header_part, claims_part, signature_part;
    struct json_doc *header, *claims;
    enum signature_algorithm algorithm;
    size_t issuer;
    int64_t now_s;
};

static bool refuse(struct reading *r, const char *reason)
{
    snprintf(r->refusal->reason, sizeof r->refusal->reason, "%s", reason);
    return err_set(&r->refusal->client, ERR_LOGIN_FAILED, "%s", err_text(ERR_LOGIN_FAILED));
}

static struct slice text_member(const struct json_value *object, const char *name)
{
    const struct json_value *v = object ? json_member(object, slice_str(name)) : NULL;
    return v ? json_string(v) : (struct slice){ 0 };
}

static struct json_doc *decode_json(struct slice part)
{
    struct buf text = { 0 };
    struct json_error ignored;
    struct json_doc *doc = NULL;
    if (base64url_decode(&text, part))
        doc = json_parse(buf_slice(&text), WEB_IDENTITY_MAX_BYTES, &ignored);
    buf_fini(&text);
    if (doc && json_type(json_root(doc)) != JSON_OBJECT) {
        json_free(doc);
        doc = NULL;
    }
    return doc;
}

static bool split(struct reading *r, struct slice jwt)
{
    struct slice rest = jwt;
    if (jwt.len == 0 || jwt.len > WEB_IDENTITY_MAX_BYTES) return refuse(r, "the JWT is too long");
    if (!uri_next_piece(&rest, '.', &r->header_part) ||
        !uri_next_piece(&rest, '.', &r->claims_part) ||
        !uri_next_piece(&rest, '.', &r->signature_part) || rest.at)
        return refuse(r, "the JWT does not have three parts");
    r->header = decode_json(r->header_part);
    r->claims = decode_json(r->claims_part);
    if (!r->header || !r->claims) return refuse(r, "the JWT is not base64url of JSON objects");
    return true;
}

/* A header may choose among our keys, never bring its own, nor change how it is to be read. */
static bool check_header(struct reading *r)
{
    static const char *const forbidden[] = { "crit", "jku", "jwk", "x5u", "x5c", "b64" };
    const struct json_value *header = json_root(r->header);
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (json_member(header, slice_str(forbidden[i])))
            return refuse(r, "the JWT's header brings keys or extensions of its own");
    if (!signature_algorithm_parse(text_member(header, "alg"), &r->algorithm) ||
        r->algorithm == SIGNATURE_ES256)
        return refuse(r, "the JWT's algorithm is not RS256 or ES384");
    if (text_member(header, "kid").len == 0) return refuse(r, "the JWT's header has no kid");
    return true;
}

static bool find_issuer(struct reading *r)
{
    struct slice issuer = text_member(json_root(r->claims), "iss");
    for (r->issuer = 0; r->issuer < r->rules->issuer_count; r->issuer++)
        if (issuer.len && slice_eq(issuer, r->rules->issuers[r->issuer].issuer)) return true;
    return refuse(r, "the JWT's issuer is not configured");
}

static bool check_signature(struct reading *r, const struct signature_key *key)
{
    struct buf signature = { 0 };
    struct slice bytes = slice_of(r->header_part.at, r->header_part.len + 1 + r->claims_part.len);
    bool ok = base64url_decode(&signature, r->signature_part) &&
              signature_verify(key, r->algorithm, bytes, buf_slice(&signature));
    buf_fini(&signature);
    return ok || refuse(r, "the JWT's signature is not its issuer's");
}

/* ---- claims ------------------------------------------------------------------------------------
 */

/* NumericDate (RFC 7519 section 2): a number of seconds, fractions allowed. */
static bool date_claim(struct reading *r, const char *name, int64_t *seconds)
{
    const struct json_value *v = json_member(json_root(r->claims), slice_str(name));
    double number;
    if (!v || !json_number(v, &number) || number < 0 || number > 253402300800.0) return false;
    *seconds = (int64_t)number;
    return true;
}

static bool check_time(struct reading *r)
{
    int64_t issued, expires, not_before;
    if (!date_claim(r, "iat", &issued) || !date_claim(r, "exp", &expires))
        return refuse(r, "the JWT has no iat or no exp");
    if (expires - issued > WEB_IDENTITY_MAX_LIFE_S || expires <= issued)
        return refuse(r, "the JWT lives longer than an hour");
    bool early = issued > r->now_s + WEB_IDENTITY_LEEWAY_S;
    if (json_member(json_root(r->claims), slice_str("nbf")))
        early = early || !date_claim(r, "nbf", &not_before) ||
                not_before > r->now_s + WEB_IDENTITY_LEEWAY_S;
    if (early) return refuse(r, "the JWT is not valid yet");
    if (expires + WEB_IDENTITY_LEEWAY_S > r->now_s) return true;
    refuse(r, "the JWT has expired");
    err_set(&r->refusal->client, ERR_LOGIN_FAILED,
            "the web identity token expired %lld seconds ago", (long long)(r->now_s - expires));
    err_hint(&r->refusal->client, "get a token for each connection (sts:GetWebIdentityToken)");
    return false;
}

static bool check_audience(struct reading *r)
{
    const struct json_value *audience = json_member(json_root(r->claims), slice_str("aud"));
    bool ours = false;
    if (audience && json_type(audience) == JSON_ARRAY) {
        for (const struct json_value *v = json_first(audience); v; v = json_next(v))
            ours = ours || slice_eq(json_string(v), r->rules->audience);
    } else if (audience) {
        ours = slice_eq(json_string(audience), r->rules->audience);
    }
    if (r->rules->audience.len && ours) return true;
    return refuse(r, "the JWT is for another audience");
}

static void copy(char *to, size_t size, struct slice from)
{
    snprintf(to, size, "%.*s", from.len < size ? (int)from.len : (int)size - 1,
             from.at ? from.at : "");
}

/* The subject is a role or a user, without a session; what STS adds stands under its own name. */
static bool read_identity(struct reading *r, struct web_identity *out)
{
    const struct json_value *claims = json_root(r->claims);
    const struct json_value *more = json_member(claims, slice_str("https://sts.amazonaws.com/"));
    struct slice account = text_member(more, "aws_account");
    struct slice subject = text_member(claims, "sub"), function;
    if (!iam_identity_parse(subject, &out->who) || out->who.session[0])
        return refuse(r, "the JWT's subject is neither a role nor a user");
    if (account.len && !slice_is(account, out->who.account))
        return refuse(r, "the JWT names two accounts");
    function = text_member(more, "lambda_source_function_arn");
    if (function.len >= sizeof out->lambda_arn)
        return refuse(r, "the JWT names a strange function");
    copy(out->lambda_arn, sizeof out->lambda_arn, function);
    copy(out->source_region, sizeof out->source_region, text_member(more, "source_region"));
    copy(out->org_id, sizeof out->org_id, text_member(more, "org_id"));
    int64_t expires = 0;
    date_claim(r, "exp", &expires);
    out->usable_until_ms = expires * 1000;
    return true;
}

static enum web_identity_verdict verify(struct reading *r, struct slice jwt,
                                        struct web_identity *out)
{
    if (!split(r, jwt) || !check_header(r) || !find_issuer(r)) return WEB_IDENTITY_REFUSED;
    const struct signature_keys *keys = r->rules->issuers[r->issuer].keys;
    const struct signature_key *key =
        keys ? signature_keys_find(keys, text_member(json_root(r->header), "kid")) : NULL;
    if (!key) {
        refuse(r, "the JWT's key is not in the issuer's key set");
        return WEB_IDENTITY_UNKNOWN_KEY;
    }
    bool ok =
        check_signature(r, key) && check_audience(r) && check_time(r) && read_identity(r, out);
    return ok ? WEB_IDENTITY_ACCEPTED : WEB_IDENTITY_REFUSED;
}

enum web_identity_verdict web_identity_verify(const struct web_identity_rules *rules,
                                              struct slice jwt, int64_t now_ms,
                                              struct web_identity *out, size_t *issuer,
                                              struct iam_refusal *refusal)
{
    struct reading r = { .rules = rules, .refusal = refusal, .now_s = now_ms / 1000 };
    *out = (struct web_identity){ 0 };
    *refusal = (struct iam_refusal){ 0 };
    enum web_identity_verdict verdict = verify(&r, jwt, out);
    if (verdict != WEB_IDENTITY_ACCEPTED) *out = (struct web_identity){ 0 };
    if (verdict != WEB_IDENTITY_REFUSED) *issuer = r.issuer;
    json_free(r.header);
    json_free(r.claims);
    return verdict;
}

bool web_identity_keys_request(struct slice issuer, struct aws_request *request)
{
    struct url url;
    aws_request_init(request, "GET", issuer);
    if (!url_parse(issuer, &url) || !url.https || url.query.len > 0) return false;
    if (issuer.at[issuer.len - 1] == '/') buf_truncate(&request->url, request->url.len - 1);
    buf_add_str(&request->url, "/.well-known/jwks.json");
    request->answer_cap_bytes = SIGNATURE_KEYS_MAX_BYTES;
    return aws_request_add_host(request) &&
           aws_request_add_header(request, "Accept", slice_str("application/json"));
}
