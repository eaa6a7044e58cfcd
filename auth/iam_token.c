#include "auth/iam_token.h"

#include "auth/aws_error.h"
#include "auth/aws_xml.h"
#include "auth/base64url.h"
#include "auth/uri.h"

#include <openssl/crypto.h>
#include <stdio.h>

static const char sts_prefix[] = "sluice-sts-v1.", eks_prefix[] = "k8s-aws-v1.";
static const char bound_header[] = "x-sluice-server-id", eks_header[] = "x-k8s-aws-id";
static const char api_version[] = "2011-06-15";

enum { URL_MAX_BYTES = 12288 };

static const char *header_of(enum iam_token_kind kind)
{
    return kind == IAM_TOKEN_EKS ? eks_header : bound_header;
}

static bool contains(struct slice text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; text.len >= n && i <= text.len - n; i++)
        if (memcmp(text.at + i, word, n) == 0) return true;
    return false;
}

enum iam_token_kind iam_token_kind_of(struct slice password)
{
    if (slice_starts(password, sts_prefix)) return IAM_TOKEN_STS;
    if (slice_starts(password, eks_prefix)) return IAM_TOKEN_EKS;
    /* A JOSE header is '{"', which is "eyJ" in base64url; and three parts. */
    if (slice_starts(password, "eyJ")) {
        size_t dots = 0;
        for (size_t i = 0; i < password.len; i++) dots += password.at[i] == '.';
        if (dots == 2) return IAM_TOKEN_JWT;
    }
    if (contains(password, "Action=connect") && contains(password, "X-Amz-Signature="))
        return IAM_TOKEN_RDS;
    return IAM_TOKEN_NONE;
}

bool iam_server_id_is_valid(struct slice server_id)
{
    if (server_id.len < IAM_SERVER_ID_MIN_BYTES || server_id.len > 128) return false;
    for (size_t i = 0; i < server_id.len; i++)
        if ((uint8_t)server_id.at[i] <= ' ' || (uint8_t)server_id.at[i] >= 0x7f) return false;
    return true;
}

/* ---- refusing ------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static bool refuse(struct iam_refusal *r, const char *format,
                                                         ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->reason, sizeof r->reason, format, args);
    va_end(args);
    err_set(&r->client, ERR_LOGIN_FAILED, "%s", err_text(ERR_LOGIN_FAILED));
    return false;
}

void iam_token_refuse_kind(enum iam_token_kind kind, struct slice server_id,
                           struct iam_refusal *refusal)
{
    int n = server_id.len < 100 ? (int)server_id.len : 100;
    if (kind == IAM_TOKEN_RDS) {
        refuse(refusal, "the password is an RDS IAM token");
        err_set(&refusal->client, ERR_LOGIN_FAILED,
                "this is an RDS IAM token, which only RDS itself can verify");
    } else {
        refuse(refusal, "the password is an EKS token, and EKS tokens are not enabled");
        err_set(&refusal->client, ERR_LOGIN_FAILED, "EKS tokens are not accepted here");
    }
    err_hint(&refusal->client, "run: sluice token --server-id %.*s", n, server_id.at);
}

/* Age is the one thing that the client is told: its token says it anyway, and an operator who
 * wonders at "authentication failed" on a thawed Lambda would look in the wrong place. */
static bool refuse_age(struct iam_refusal *r, const struct iam_token_rules *rules, int64_t age_ms,
                       uint32_t max_age_s)
{
    long long age_s = (long long)(age_ms / 1000);
    int n = rules->server_id.len < 100 ? (int)rules->server_id.len : 100;
    if (age_ms < 0) {
        refuse(r, "the token is from %lld s in the future", -age_s);
        err_set(&r->client, ERR_LOGIN_FAILED,
                "the IAM token's date is %lld seconds ahead of this server's clock", -age_s);
        err_hint(&r->client, "set the client's clock, then mint a new token");
        return false;
    }
    refuse(r, "the token is %lld s old, %u allowed", age_s, max_age_s);
    err_set(&r->client, ERR_LOGIN_FAILED,
            "the IAM token is %lld seconds old, at most %u are allowed", age_s, max_age_s);
    err_hint(&r->client, "mint a token for each connection: sluice token --server-id %.*s", n,
             rules->server_id.at);
    return false;
}

/* ---- taking apart -------------------------------------------------------------------------- */

/* The parameters of a presigned GetCallerIdentity URL, in the order in which we write them. */
enum parameter {
    P_ACTION,
    P_VERSION,
    P_ALGORITHM,
    P_CREDENTIAL,
    P_DATE,
    P_EXPIRES,
    P_SIGNED_HEADERS,
    P_TOKEN,
    P_SIGNATURE,
    P_COUNT
};

static const char *const parameter_names[P_COUNT] = {
    "Action",          "Version",       "X-Amz-Algorithm",     "X-Amz-Credential",
    "X-Amz-Date",      "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token",
    "X-Amz-Signature",
};

struct opening {
    const struct iam_token_rules *rules;
    struct iam_token *token;
    struct iam_refusal *refusal;
    struct buf url;             /* decoded */
    struct buf values[P_COUNT]; /* decoded; secret */
    bool present[P_COUNT];
};

/* Visible ASCII, and nothing that has two spellings: '+' might be a space to somebody. */
static bool decode_value(struct buf *out, struct slice raw)
{
    if (raw.len && memchr(raw.at, '+', raw.len)) return false;
    if (!uri_decode(out, raw)) return false;
    for (uint32_t i = 0; i < out->len; i++)
        if ((uint8_t)out->at[i] <= ' ' || (uint8_t)out->at[i] >= 0x7f) return false;
    return true;
}

/* Names are compared as raw bytes: "%41ction" and "action" are not "Action". */
static bool open_parameter(struct opening *o, struct slice piece)
{
    struct slice value = piece, name;
    uri_next_piece(&value, '=', &name);
    if (!value.at || (value.len && memchr(value.at, '=', value.len)))
        return refuse(o->refusal, "a parameter of the URL is not one name=value");
    for (size_t i = 0; i < P_COUNT; i++) {
        if (!slice_is(name, parameter_names[i])) continue;
        if (o->present[i])
            return refuse(o->refusal, "%s stands twice in the URL", parameter_names[i]);
        o->present[i] = true;
        o->values[i].secret = true;
        if (!decode_value(&o->values[i], value))
            return refuse(o->refusal, "%s has a malformed value", parameter_names[i]);
        return true;
    }
    return refuse(o->refusal, "the URL has a parameter that GetCallerIdentity does not have");
}

static bool open_query(struct opening *o, struct slice query)
{
    struct slice piece;
    while (uri_next_piece(&query, '&', &piece))
        if (!open_parameter(o, piece)) return false;
    for (size_t i = 0; i < P_COUNT; i++)
        if (!o->present[i] && i != P_TOKEN)
            return refuse(o->refusal, "the URL lacks %s", parameter_names[i]);
    return true;
}

/* Adds one of the names that STS has in a region, when it is the URL's host. */
static bool is_sts_host(struct opening *o, struct slice host, struct slice region, bool fips,
                        bool dual_stack)
{
    struct aws_endpoint endpoint;
    struct err ignored;
    struct aws_endpoint_options options = { .region = region,
                                            .fips = fips,
                                            .dual_stack = dual_stack };
    if (!aws_endpoint_resolve(AWS_STS, &options, &endpoint, &ignored)) return false;
    if (!slice_is(host, endpoint.url + strlen("https://"))) return false;
    struct iam_token *t = o->token;
    memcpy(t->region, endpoint.signing_region, sizeof t->region);
    snprintf(t->host, sizeof t->host, "%.*s", SLICE_ARG(host));
    snprintf(t->partition, sizeof t->partition, "%s", aws_partition_of(region)->id);
    return true;
}

/* The host must be one of a list that our configuration makes: no patterns, so nothing to trick. */
static bool open_host(struct opening *o, struct slice host)
{
    const struct iam_token_rules *rules = o->rules;
    for (size_t i = 0; i < rules->region_count; i++)
        for (unsigned form = 0; form < 4; form++) {
            bool fips = form & 1, dual_stack = form & 2;
            if ((fips && !rules->fips) || (dual_stack && !rules->dual_stack)) continue;
            if (is_sts_host(o, host, rules->regions[i], fips, dual_stack)) return true;
        }
    if (rules->global_sts && is_sts_host(o, host, slice_str("aws-global"), false, false)) {
        snprintf(o->token->partition, sizeof o->token->partition, "aws");
        return true;
    }
    return refuse(o->refusal, "the URL's host is no STS endpoint of a configured region");
}

static bool open_url(struct opening *o, struct slice url)
{
    for (size_t i = 0; i < url.len; i++)
        if ((uint8_t)url.at[i] <= ' ' || (uint8_t)url.at[i] >= 0x7f)
            return refuse(o->refusal, "the URL has a byte that no URL has");
    if (!slice_starts(url, "https://")) return refuse(o->refusal, "the URL is not an https URL");
    url = slice_after(url, 8);
    size_t n = 0;
    while (n < url.len && url.at[n] != '/') n++;
    if (!open_host(o, slice_of(url.at, n))) return false;
    url = slice_after(url, n);
    if (!slice_starts(url, "/?")) return refuse(o->refusal, "the URL has a path");
    return open_query(o, slice_after(url, 2));
}

/* ---- checking the values ------------------------------------------------------------------- */

static struct slice value_of(const struct opening *o, enum parameter p)
{
    return buf_slice(&o->values[p]);
}

static bool is_key_id(struct slice id)
{
    if (id.len < 16 || id.len > 128) return false;
    if (!slice_starts(id, "AKIA") && !slice_starts(id, "ASIA")) return false;
    for (size_t i = 0; i < id.len; i++)
        if (!((id.at[i] >= 'A' && id.at[i] <= 'Z') || (id.at[i] >= '0' && id.at[i] <= '9')))
            return false;
    return true;
}

/* AKID/20261121/us-east-1/sts/aws4_request, for the host's region and the URL's day. */
static bool check_credential(struct opening *o)
{
    struct slice rest = value_of(o, P_CREDENTIAL), id, day, region, service, end;
    bool five = uri_next_piece(&rest, '/', &id) && uri_next_piece(&rest, '/', &day) &&
                uri_next_piece(&rest, '/', &region) && uri_next_piece(&rest, '/', &service) &&
                uri_next_piece(&rest, '/', &end) && !rest.at;
    if (!five || !slice_is(service, "sts") || !slice_is(end, "aws4_request"))
        return refuse(o->refusal, "X-Amz-Credential is not for STS");
    if (!is_key_id(id)) return refuse(o->refusal, "X-Amz-Credential has no access key id");
    if (!slice_is(region, o->token->region))
        return refuse(o->refusal, "the token is signed for another region than its host's");
    if (day.len != 8 || memcmp(day.at, o->token->date, 8) != 0)
        return refuse(o->refusal, "the token is signed for another day than its date's");
    snprintf(o->token->key_id, sizeof o->token->key_id, "%.*s", SLICE_ARG(id));
    bool temporary = slice_starts(id, "ASIA");
    if (temporary != o->present[P_TOKEN] || (temporary && o->values[P_TOKEN].len == 0))
        return refuse(o->refusal, "key id and session token do not go together");
    return true;
}

static bool check_constants(struct opening *o)
{
    if (!slice_is(value_of(o, P_ACTION), "GetCallerIdentity"))
        return refuse(o->refusal, "the URL's action is not GetCallerIdentity");
    if (!slice_is(value_of(o, P_VERSION), api_version))
        return refuse(o->refusal, "the URL's API version is not %s", api_version);
    if (!slice_is(value_of(o, P_ALGORITHM), "AWS4-HMAC-SHA256"))
        return refuse(o->refusal, "the URL's algorithm is not AWS4-HMAC-SHA256");
    char headers[64];
    snprintf(headers, sizeof headers, "host;%s", header_of(o->token->kind));
    if (!slice_is(value_of(o, P_SIGNED_HEADERS), headers))
        return refuse(o->refusal, "the token is not bound to a server id (signed headers: not %s)",
                      headers);
    return true;
}

static bool check_signature(struct opening *o)
{
    struct slice signature = value_of(o, P_SIGNATURE);
    bool ok = signature.len == SHA256_HEX_BYTES - 1;
    for (size_t i = 0; ok && i < signature.len; i++)
        ok = strchr("0123456789abcdef", signature.at[i]) != NULL;
    if (!ok) return refuse(o->refusal, "X-Amz-Signature is not 64 hexadecimal digits");
    memcpy(o->token->signature, signature.at, signature.len);
    o->token->signature[signature.len] = 0;
    return true;
}

/* X-Amz-Expires is read for its form only: STS ignores it, so the age is ours to check. */
static bool check_time(struct opening *o, int64_t now_ms)
{
    struct slice expires = value_of(o, P_EXPIRES), date = value_of(o, P_DATE);
    uint32_t seconds = 0;
    bool ok = expires.len >= 1 && expires.len <= 3 && expires.at[0] != '0';
    for (size_t i = 0; ok && i < expires.len; i++) {
        ok = expires.at[i] >= '0' && expires.at[i] <= '9';
        seconds = seconds * 10 + (uint32_t)(expires.at[i] - '0');
    }
    if (!ok || seconds > IAM_TOKEN_MAX_AGE_S)
        return refuse(o->refusal, "X-Amz-Expires is not 1 to %d", IAM_TOKEN_MAX_AGE_S);
    o->token->expires_s = seconds;

    if (!timestamp_from_amz(date, &o->token->issued_ms))
        return refuse(o->refusal, "X-Amz-Date is not a date");
    memcpy(o->token->date, date.at, TIMESTAMP_AMZ_BYTES - 1);
    uint32_t max_age_s = o->rules->max_age_s ? o->rules->max_age_s : IAM_TOKEN_DEFAULT_AGE_S;
    if (max_age_s > IAM_TOKEN_MAX_AGE_S) max_age_s = IAM_TOKEN_MAX_AGE_S;
    int64_t age_ms = now_ms - o->token->issued_ms;
    if (age_ms < -(int64_t)IAM_TOKEN_AHEAD_S * 1000 || age_ms > (int64_t)max_age_s * 1000)
        return refuse_age(o->refusal, o->rules, age_ms, max_age_s);
    o->token->usable_until_ms = o->token->issued_ms + (int64_t)max_age_s * 1000;
    return true;
}

static bool open_values(struct opening *o, int64_t now_ms)
{
    if (!check_constants(o) || !check_time(o, now_ms) || !check_credential(o) ||
        !check_signature(o))
        return false;
    buf_add_slice(&o->token->session_token, value_of(o, P_TOKEN));
    if (o->token->session_token.failed) return refuse(o->refusal, "out of memory");
    return true;
}

static bool open_password(struct opening *o, struct slice password, int64_t now_ms)
{
    enum iam_token_kind kind = iam_token_kind_of(password);
    o->token->kind = kind;
    if (kind != IAM_TOKEN_STS && kind != IAM_TOKEN_EKS)
        return refuse(o->refusal, "the password is not an IAM token");
    if (kind == IAM_TOKEN_EKS && !o->rules->eks) {
        iam_token_refuse_kind(kind, o->rules->server_id, o->refusal);
        return false;
    }
    if (!iam_server_id_is_valid(o->rules->server_id))
        return refuse(o->refusal, "this server has no usable server_id");
    if (password.len > IAM_TOKEN_MAX_BYTES) return refuse(o->refusal, "the token is too long");
    if (!sha256_hex(password, o->token->hash)) return refuse(o->refusal, "out of memory");
    size_t prefix = strlen(kind == IAM_TOKEN_EKS ? eks_prefix : sts_prefix);
    if (!base64url_decode(&o->url, slice_after(password, prefix)))
        return refuse(o->refusal, "the token is not base64url");
    if (o->url.len > URL_MAX_BYTES) return refuse(o->refusal, "the token is too long");
    return open_url(o, buf_slice(&o->url)) && open_values(o, now_ms);
}

bool iam_token_open(const struct iam_token_rules *rules, struct slice password, int64_t now_ms,
                    struct iam_token *token, struct iam_refusal *refusal)
{
    *token = (struct iam_token){ .session_token.secret = true };
    *refusal = (struct iam_refusal){ 0 };
    struct opening o = { .rules = rules, .token = token, .refusal = refusal, .url.secret = true };
    bool ok = open_password(&o, password, now_ms);
    for (size_t i = 0; i < P_COUNT; i++) buf_fini(&o.values[i]);
    buf_fini(&o.url);
    return ok;
}

void iam_token_fini(struct iam_token *token)
{
    buf_fini(&token->session_token);
    OPENSSL_cleanse(token->signature, sizeof token->signature);
}

/* ---- rebuilding ---------------------------------------------------------------------------- */

static void add_parameter(struct buf *url, enum parameter p, struct slice value)
{
    buf_addf(url, "%s%s=", p == P_ACTION ? "?" : "&", parameter_names[p]);
    uri_encode(url, value);
}

static void add_query(struct buf *url, const struct iam_token *t)
{
    struct buf credential = { 0 }, expires = { 0 }, headers = { 0 };
    buf_addf(&credential, "%s/%.8s/%s/sts/aws4_request", t->key_id, t->date, t->region);
    buf_addf(&expires, "%u", t->expires_s);
    buf_addf(&headers, "host;%s", header_of(t->kind));
    add_parameter(url, P_ACTION, slice_str("GetCallerIdentity"));
    add_parameter(url, P_VERSION, slice_str(api_version));
    add_parameter(url, P_ALGORITHM, slice_str("AWS4-HMAC-SHA256"));
    add_parameter(url, P_CREDENTIAL, buf_slice(&credential));
    add_parameter(url, P_DATE, slice_str(t->date));
    add_parameter(url, P_EXPIRES, buf_slice(&expires));
    add_parameter(url, P_SIGNED_HEADERS, buf_slice(&headers));
    if (t->session_token.len > 0) add_parameter(url, P_TOKEN, buf_slice(&t->session_token));
    add_parameter(url, P_SIGNATURE, slice_str(t->signature));
    url->failed |= credential.failed || expires.failed || headers.failed;
    buf_fini(&credential);
    buf_fini(&expires);
    buf_fini(&headers);
}

bool iam_token_request(const struct iam_token_rules *rules, const struct iam_token *token,
                       struct slice connect_to, struct aws_request *request)
{
    if (connect_to.len > 0) {
        aws_request_init(request, "GET", connect_to);
    } else {
        aws_request_init(request, "GET", slice_str("https://"));
        buf_add_str(&request->url, token->host);
    }
    buf_add_u8(&request->url, '/');
    add_query(&request->url, token);
    request->timeout_ms = 5000;
    request->answer_cap_bytes = 65536;
    return !request->url.failed &&
           aws_request_add_header(request, "Host", slice_str(token->host)) &&
           aws_request_add_header(request, header_of(token->kind), rules->server_id) &&
           aws_request_add_header(request, "Accept", slice_str("application/xml"));
}

/* ---- judging ------------------------------------------------------------------------------- */

static enum iam_verdict unavailable(struct iam_refusal *refusal, const struct aws_error *e)
{
    refuse(refusal, "STS did not say: %s%s%s", e->code, e->message[0] ? ": " : "", e->message);
    err_set(&refusal->client, ERR_LOGIN_UNAVAILABLE, "%s", err_text(ERR_LOGIN_UNAVAILABLE));
    return IAM_UNAVAILABLE;
}

static bool read_identity(const struct aws_response *response, struct aws_xml_field *fields,
                          size_t count)
{
    return aws_xml_read(response->body, "GetCallerIdentityResponse",
                        "https://sts.amazonaws.com/doc/2011-06-15/", fields, count);
}

static bool accept(const struct iam_token *token, const struct aws_xml_field fields[4],
                   struct iam_identity *identity, struct iam_refusal *refusal)
{
    for (size_t i = 0; i < 4; i++)
        if (fields[i].count != 1)
            return refuse(refusal, "STS's answer has %u of %s", fields[i].count, fields[i].path);
    struct slice arn = buf_slice(&fields[1].value);
    if (!iam_identity_parse(arn, identity))
        return refuse(refusal, "%.*s is neither a role nor a user",
                      arn.len < 128 ? (int)arn.len : 128, arn.at);
    if (!slice_is(buf_slice(&fields[2].value), identity->account))
        return refuse(refusal, "STS's answer names two accounts");
    if (strcmp(identity->partition, token->partition) != 0)
        return refuse(refusal, "%s is of another partition than the STS asked", identity->arn);
    struct slice rest = buf_slice(&fields[3].value), unique = { 0 };
    uri_next_piece(&rest, ':', &unique); /* "AROA...:session" */
    if (unique.len == 0 || unique.len >= sizeof identity->unique_id)
        return refuse(refusal, "STS's answer has no usable UserId");
    memcpy(identity->unique_id, unique.at, unique.len);
    return true;
}

enum iam_verdict iam_token_judge(const struct iam_token *token, const struct aws_response *response,
                                 struct iam_identity *identity, struct iam_refusal *refusal)
{
    struct aws_error e;
    *identity = (struct iam_identity){ 0 };
    *refusal = (struct iam_refusal){ 0 };
    if (aws_error_read(AWS_QUERY, response, &e)) {
        if (response->status < 400 || aws_fault_is_retriable(e.fault))
            return unavailable(refusal, &e);
        refuse(refusal, "STS refused: %s%s%s%s%s", e.code, e.message[0] ? ": " : "", e.message,
               e.request_id[0] ? ", request " : "", e.request_id);
        return IAM_REFUSED;
    }
    bool xml = aws_response_is_type(response, "text/xml") ||
               aws_response_is_type(response, "application/xml");
    if (response->status != 200 || !xml) {
        refuse(refusal, "STS answered %d, and not with XML", response->status);
        return IAM_REFUSED;
    }
    struct aws_xml_field fields[4] = { { .path = "GetCallerIdentityResult" },
                                       { .path = "GetCallerIdentityResult/Arn" },
                                       { .path = "GetCallerIdentityResult/Account" },
                                       { .path = "GetCallerIdentityResult/UserId" } };
    bool ok = read_identity(response, fields, 4);
    if (!ok) {
        refuse(refusal, "STS's answer is not a GetCallerIdentityResponse");
    } else {
        ok = accept(token, fields, identity, refusal);
    }
    aws_xml_fields_fini(fields, 4);
    if (!ok) *identity = (struct iam_identity){ 0 };
    return ok ? IAM_ACCEPTED : IAM_REFUSED;
}

/* ---- minting ------------------------------------------------------------------------------- */

bool iam_token_mint(const struct iam_token_order *order, const struct aws_credentials *credentials,
                    struct buf *out, struct err *err)
{
    struct aws_endpoint endpoint;
    struct aws_endpoint_options options = { .region = order->region,
                                            .fips = order->fips,
                                            .dual_stack = order->dual_stack };
    if (!iam_server_id_is_valid(order->server_id))
        return err_set(err, ERR_CONFIG, "a server id is %d to 128 visible characters",
                       IAM_SERVER_ID_MIN_BYTES);
    if (!aws_endpoint_resolve(AWS_STS, &options, &endpoint, err)) return false;
    struct sigv4_header headers[] = {
        { slice_str("host"), slice_str(endpoint.url + strlen("https://")) },
        { slice_str(bound_header), order->server_id },
    };
    struct sigv4_request request = { .method = slice_str("GET"),
                                     .path = slice_str("/"),
                                     .query =
                                         slice_str("Action=GetCallerIdentity&Version=2011-06-15"),
                                     .headers = headers,
                                     .header_count = 2 };
    struct sigv4_key key =
        aws_credentials_key(credentials, slice_str(endpoint.signing_region), slice_str("sts"));
    struct sigv4_options signing = { .now_ms = order->now_ms };
    struct sigv4_signed signature;
    struct buf url = { .secret = true };
    bool ok = sigv4_presign(&request, &key, &signing, IAM_TOKEN_MAX_AGE_S, &signature);
    if (ok) {
        buf_addf(&url, "%s/?", endpoint.url);
        buf_add_slice(&url, buf_slice(&signature.query));
        buf_add_str(out, sts_prefix);
        base64url_encode(out, buf_slice(&url));
        ok = !url.failed && !out->failed;
    }
    buf_fini(&url);
    sigv4_signed_fini(&signature);
    return ok || err_set(err, ERR_OUT_OF_MEMORY, "%s", err_text(ERR_OUT_OF_MEMORY));
}
