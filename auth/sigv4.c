#include "auth/sigv4.h"

#include "auth/uri.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* Headers that proxies and transports add, drop or change on the way: a signature over them would
 * break. `authorization` cannot sign itself. */
static const char *const never_signed[] = {
    "authorization",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "user-agent",
    "proxy-authorization",
    "proxy-connection",
    "upgrade",
    "transfer-encoding",
    "x-amzn-trace-id",
};

static bool is_signed(struct slice name)
{
    for (size_t i = 0; i < sizeof never_signed / sizeof *never_signed; i++)
        if (slice_is_nocase(name, never_signed[i])) return false;
    return true;
}

static int slice_order(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* A name and a value, kept as offsets into one buffer while that still grows. */
struct pair {
    uint32_t name, name_len, value, value_len;
};

struct pairs {
    struct buf text;
    struct pair at[SIGV4_MAX_PARAMETERS + 8];
    size_t count;
    bool failed;
};

static struct slice pair_name(const struct pairs *p, size_t i)
{
    return slice_of(p->text.at + p->at[i].name, p->at[i].name_len);
}

static struct slice pair_value(const struct pairs *p, size_t i)
{
    return slice_of(p->text.at + p->at[i].value, p->at[i].value_len);
}

static struct pair *pair_new(struct pairs *p)
{
    if (p->count == sizeof p->at / sizeof *p->at) {
        p->failed = true;
        return NULL;
    }
    p->at[p->count] = (struct pair){ .name = p->text.len };
    return &p->at[p->count++];
}

/* Insertion sort: stable, and the counts are small and bounded. */
static void pairs_sort(struct pairs *p, bool by_value_too)
{
    for (size_t i = 1; i < p->count; i++) {
        for (size_t k = i; k > 0; k--) {
            int order = slice_order(pair_name(p, k - 1), pair_name(p, k));
            if (order == 0 && by_value_too)
                order = slice_order(pair_value(p, k - 1), pair_value(p, k));
            if (order <= 0) break;
            struct pair swap = p->at[k];
            p->at[k] = p->at[k - 1];
            p->at[k - 1] = swap;
        }
    }
}

/* ---- the path ------------------------------------------------------------------------------ */

/* RFC 3986 section 5.2.4, and empty segments go as well; a trailing slash stays. */
static void remove_dot_segments(struct buf *out, struct slice path)
{
    struct slice rest = slice_after(path, 1), segment;
    bool directory = false;
    while (uri_next_piece(&rest, '/', &segment)) {
        directory = segment.len == 0 || slice_is(segment, ".") || slice_is(segment, "..");
        if (slice_is(segment, "..")) {
            uint32_t cut = out->len;
            while (cut > 0 && out->at[cut - 1] != '/') cut--;
            buf_truncate(out, cut ? cut - 1 : 0);
        } else if (!directory) {
            buf_add_u8(out, '/');
            buf_add_slice(out, segment);
        }
    }
    if (directory || out->len == 0) buf_add_u8(out, '/');
}

static void add_canonical_path(struct buf *out, struct slice path, bool keep)
{
    if (path.len == 0 || path.at[0] != '/') path = slice_str("/");
    if (keep) {
        uri_encode_path(out, path);
        return;
    }
    struct buf plain = { 0 };
    remove_dot_segments(&plain, path);
    uri_encode_path(out, buf_slice(&plain));
    out->failed |= plain.failed;
    buf_fini(&plain);
}

/* ---- the query ----------------------------------------------------------------------------- */

/* Decode and encode again, so that every spelling of a parameter signs alike. What is no
 * percent-encoding is taken as it stands. */
static uint32_t add_recoded(struct pairs *p, struct slice raw)
{
    uint32_t before = p->text.len;
    struct buf plain = { .secret = true };
    if (uri_decode(&plain, raw)) {
        uri_encode(&p->text, buf_slice(&plain));
    } else {
        uri_encode(&p->text, raw);
    }
    p->text.failed |= plain.failed;
    buf_fini(&plain);
    return p->text.len - before;
}

static void add_parameter(struct pairs *p, struct slice name, struct slice value)
{
    struct pair *pair = pair_new(p);
    if (!pair) return;
    pair->name_len = add_recoded(p, name);
    pair->value = p->text.len;
    pair->value_len = add_recoded(p, value);
}

/* A value of ours, not yet encoded. */
static void add_plain_parameter(struct pairs *p, const char *name, struct slice value)
{
    struct pair *pair = pair_new(p);
    if (!pair) return;
    buf_add_str(&p->text, name);
    pair->name_len = (uint32_t)strlen(name);
    pair->value = p->text.len;
    uri_encode(&p->text, value);
    pair->value_len = p->text.len - pair->value;
}

static void add_query(struct pairs *p, struct slice query)
{
    struct slice rest = query, piece;
    while (query.len && uri_next_piece(&rest, '&', &piece)) {
        if (piece.len == 0) continue;
        struct slice value = piece, name = { 0 };
        uri_next_piece(&value, '=', &name); /* the value keeps further '=' */
        add_parameter(p, name, value);
    }
}

static void add_canonical_query(struct buf *out, const struct pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (i) buf_add_u8(out, '&');
        buf_add_slice(out, pair_name(p, i));
        buf_add_u8(out, '=');
        buf_add_slice(out, pair_value(p, i));
    }
}

/* ---- the headers --------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Trimmed, and each run of white space (folded lines too) is one space. */
static void add_header_value(struct buf *out, struct slice value)
{
    uint32_t start = out->len;
    bool space = false;
    for (size_t i = 0; i < value.len; i++) {
        if (is_space(value.at[i])) {
            space = out->len > start;
            continue;
        }
        if (space) buf_add_u8(out, ' ');
        space = false;
        buf_add_u8(out, (uint8_t)value.at[i]);
    }
}

static void add_header(struct pairs *p, struct slice name, struct slice value)
{
    if (!is_signed(name)) return;
    struct pair *pair = pair_new(p);
    if (!pair) return;
    for (size_t i = 0; i < name.len; i++) buf_add_u8(&p->text, (uint8_t)ascii_lower(name.at[i]));
    pair->name_len = (uint32_t)name.len;
    pair->value = p->text.len;
    add_header_value(&p->text, value);
    pair->value_len = p->text.len - pair->value;
}

static void add_headers(struct pairs *p, const struct sigv4_request *request)
{
    if (request->header_count > SIGV4_MAX_HEADERS) p->failed = true;
    for (size_t i = 0; i < request->header_count && !p->failed; i++)
        add_header(p, request->headers[i].name, request->headers[i].value);
}

/* "host:...\nx-amz-date:...\n"; equal names become one line, in the order they were sent. */
static void add_canonical_headers(struct buf *out, const struct pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        bool again = i > 0 && slice_eq(pair_name(p, i - 1), pair_name(p, i));
        if (again) {
            buf_truncate(out, out->len - 1);
            buf_add_u8(out, ',');
        } else {
            buf_add_slice(out, pair_name(p, i));
            buf_add_u8(out, ':');
        }
        buf_add_slice(out, pair_value(p, i));
        buf_add_u8(out, '\n');
    }
}

static void add_signed_names(struct buf *out, const struct pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (i > 0 && slice_eq(pair_name(p, i - 1), pair_name(p, i))) continue;
        if (i > 0) buf_add_u8(out, ';');
        buf_add_slice(out, pair_name(p, i));
    }
}

/* ---- the signature ------------------------------------------------------------------------- */

/* Everything that both forms need while they are at work. */
struct signing {
    const struct sigv4_request *request;
    const struct sigv4_key *key;
    const struct sigv4_options *options;
    struct sigv4_signed *out;
    struct pairs headers, parameters; /* text.secret: they hold the session token */
    struct buf scope, names;
};

/* The derived key dies with its day, region and service; the secret itself signs nothing. */
static bool derive_and_sign(struct signing *s)
{
    uint8_t key[SHA256_BYTES];
    struct buf first = { .secret = true };
    buf_add_str(&first, "AWS4");
    buf_add_slice(&first, s->key->secret);
    bool ok = !first.failed && hmac_sha256(buf_slice(&first), slice_of(s->out->date, 8), key) &&
              hmac_sha256(slice_of(key, sizeof key), s->key->region, key) &&
              hmac_sha256(slice_of(key, sizeof key), s->key->service, key) &&
              hmac_sha256(slice_of(key, sizeof key), slice_str("aws4_request"), key) &&
              hmac_sha256(slice_of(key, sizeof key), buf_slice(&s->out->string_to_sign), key);
    if (ok) hex_encode(key, sizeof key, s->out->signature);
    OPENSSL_cleanse(key, sizeof key);
    buf_fini(&first);
    return ok;
}

static bool sign_canonical(struct signing *s, struct slice payload_hash)
{
    struct buf *canonical = &s->out->canonical_request;
    pairs_sort(&s->parameters, true);
    buf_add_slice(canonical, s->request->method);
    buf_add_u8(canonical, '\n');
    add_canonical_path(canonical, s->request->path, s->options->keep_path);
    buf_add_u8(canonical, '\n');
    add_canonical_query(canonical, &s->parameters);
    buf_add_u8(canonical, '\n');
    add_canonical_headers(canonical, &s->headers);
    buf_add_u8(canonical, '\n');
    buf_add_slice(canonical, buf_slice(&s->names));
    buf_add_u8(canonical, '\n');
    buf_add_slice(canonical, payload_hash);

    char hash[SHA256_HEX_BYTES];
    if (canonical->failed || !sha256_hex(buf_slice(canonical), hash)) return false;
    buf_addf(&s->out->string_to_sign, "AWS4-HMAC-SHA256\n%s\n%.*s\n%s", s->out->date,
             SLICE_ARG(buf_slice(&s->scope)), hash);
    return !s->out->string_to_sign.failed && derive_and_sign(s);
}

static struct signing *signing_new(const struct sigv4_request *request, const struct sigv4_key *key,
                                   const struct sigv4_options *options, struct sigv4_signed *out)
{
    *out = (struct sigv4_signed){ .authorization.secret = true,
                                  .query.secret = true,
                                  .canonical_request.secret = true };
    struct signing *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->request = request;
    s->key = key;
    s->options = options;
    s->out = out;
    s->headers.text.secret = s->parameters.text.secret = true;
    timestamp_to_amz(options->now_ms + options->skew_ms, out->date);
    buf_addf(&s->scope, "%.8s/%.*s/%.*s/aws4_request", out->date, SLICE_ARG(key->region),
             SLICE_ARG(key->service));
    add_headers(&s->headers, request);
    add_query(&s->parameters, request->query);
    return s;
}

static bool signing_end(struct signing *s, bool ok)
{
    ok = ok && !s->headers.failed && !s->headers.text.failed && !s->parameters.failed &&
         !s->parameters.text.failed && !s->scope.failed && !s->names.failed;
    buf_fini(&s->headers.text);
    buf_fini(&s->parameters.text);
    buf_fini(&s->scope);
    buf_fini(&s->names);
    free(s);
    return ok;
}

bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
                const struct sigv4_options *options, struct sigv4_signed *out)
{
    struct signing *s = signing_new(request, key, options, out);
    if (!s) return false;
    if (!sha256_hex(request->body, out->content_sha256)) return signing_end(s, false);
    add_header(&s->headers, slice_str("x-amz-date"), slice_str(out->date));
    if (key->token.len && !options->token_unsigned)
        add_header(&s->headers, slice_str("x-amz-security-token"), key->token);
    if (options->sign_body)
        add_header(&s->headers, slice_str("x-amz-content-sha256"), slice_str(out->content_sha256));
    pairs_sort(&s->headers, false);
    add_signed_names(&s->names, &s->headers);
    if (!sign_canonical(s, slice_str(out->content_sha256))) return signing_end(s, false);

    buf_add_str(&out->authorization, "AWS4-HMAC-SHA256 Credential=");
    buf_add_slice(&out->authorization, key->id);
    buf_add_u8(&out->authorization, '/');
    buf_add_slice(&out->authorization, buf_slice(&s->scope));
    buf_add_str(&out->authorization, ", SignedHeaders=");
    buf_add_slice(&out->authorization, buf_slice(&s->names));
    buf_add_str(&out->authorization, ", Signature=");
    buf_add_str(&out->authorization, out->signature);
    return signing_end(s, !out->authorization.failed);
}

/* X-Amz-Credential, -Date, ...: the parameters that make a URL a presigned one. */
static void add_presign_parameters(struct signing *s, uint32_t expires_s)
{
    struct pairs *p = &s->parameters;
    struct buf credential = { 0 };
    buf_add_slice(&credential, s->key->id);
    buf_add_u8(&credential, '/');
    buf_add_slice(&credential, buf_slice(&s->scope));
    struct buf number = { 0 };
    buf_addf(&number, "%u", expires_s);
    add_plain_parameter(p, "X-Amz-Algorithm", slice_str("AWS4-HMAC-SHA256"));
    add_plain_parameter(p, "X-Amz-Credential", buf_slice(&credential));
    add_plain_parameter(p, "X-Amz-Date", slice_str(s->out->date));
    add_plain_parameter(p, "X-Amz-Expires", buf_slice(&number));
    add_plain_parameter(p, "X-Amz-SignedHeaders", buf_slice(&s->names));
    p->failed |= credential.failed || number.failed;
    buf_fini(&credential);
    buf_fini(&number);
}

bool sigv4_presign(const struct sigv4_request *request, const struct sigv4_key *key,
                   const struct sigv4_options *options, uint32_t expires_s,
                   struct sigv4_signed *out)
{
    struct signing *s = signing_new(request, key, options, out);
    if (!s) return false;
    if (expires_s < 1 || expires_s > SIGV4_MAX_EXPIRES_S) return signing_end(s, false);
    if (!sha256_hex(request->body, out->content_sha256)) return signing_end(s, false);
    pairs_sort(&s->headers, false);
    add_signed_names(&s->names, &s->headers);
    add_presign_parameters(s, expires_s);
    bool with_token = key->token.len > 0;
    if (with_token && !options->token_unsigned)
        add_plain_parameter(&s->parameters, "X-Amz-Security-Token", key->token);
    if (!sign_canonical(s, slice_str(out->content_sha256))) return signing_end(s, false);

    add_canonical_query(&out->query, &s->parameters);
    if (with_token && options->token_unsigned) {
        buf_add_str(&out->query, "&X-Amz-Security-Token=");
        uri_encode(&out->query, key->token);
    }
    buf_addf(&out->query, "&X-Amz-Signature=%s", out->signature);
    return signing_end(s, !out->query.failed);
}

void sigv4_signed_fini(struct sigv4_signed *s)
{
    buf_fini(&s->authorization);
    buf_fini(&s->query);
    buf_fini(&s->canonical_request);
    buf_fini(&s->string_to_sign);
    OPENSSL_cleanse(s, sizeof *s);
}
