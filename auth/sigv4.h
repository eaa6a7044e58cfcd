/* sigv4: AWS Signature Version 4, in headers and in the query (presigned).
 *
 *      request --> canonical request --> string to sign --> signature
 *                  (what is signed)      (when, where)       (by whom)
 *
 * Pure: the time is an argument. Not a transport: the caller sends what it
 * signed, byte for byte. One chunk, hashed body: none of our services needs
 * chunked or unsigned payloads, or SigV4a.
 * Ownership: a `sigv4_signed` owns its buffers, fini it; it holds no secret but
 * `authorization` and `query` are bearer material and are wiped.
 * Source: AWS General Reference, "Signature Version 4 signing process".
 */
#ifndef SLUICE_AUTH_SIGV4_H
#define SLUICE_AUTH_SIGV4_H

#include "protocol/buf.h"

#include "auth/sha.h"
#include "auth/timestamp.h"

enum { SIGV4_MAX_HEADERS = 64, SIGV4_MAX_PARAMETERS = 64, SIGV4_MAX_EXPIRES_S = 604800 };

struct sigv4_header {
    struct slice name, value;
};

struct sigv4_request {
    struct slice method;
    struct slice path;                  /* as sent, up to '?'; empty is "/" */
    struct slice query;                 /* as sent, without the '?' */
    const struct sigv4_header *headers; /* as sent, with Host; hop-by-hop ones are not signed */
    size_t header_count;
    struct slice body;
};

struct sigv4_key {
    struct slice id, secret, token; /* token: empty for long-lived keys */
    struct slice region, service;
};

struct sigv4_options {
    int64_t now_ms;
    int64_t skew_ms;     /* added to now_ms: AWS's clock minus ours */
    bool keep_path;      /* do not remove "." and ".." and empty segments */
    bool sign_body;      /* add and sign x-amz-content-sha256 (header form) */
    bool token_unsigned; /* the token is sent, but not signed (some old services) */
};

struct sigv4_signed {
    char date[TIMESTAMP_AMZ_BYTES];        /* X-Amz-Date */
    char content_sha256[SHA256_HEX_BYTES]; /* of the body */
    char signature[SHA256_HEX_BYTES];
    struct buf authorization; /* header form: the Authorization header's value */
    struct buf query;         /* query form: the whole query, X-Amz-Signature last */
    struct buf canonical_request, string_to_sign; /* for tests, and for humans who look */
};

/* Signs in headers. The caller sends the request with X-Amz-Date, X-Amz-Security-Token (if the key
 * has a token), x-amz-content-sha256 (if `sign_body`) and Authorization added. False: too many
 * headers or parameters, or no memory; `out` is to be fini'd in any case. */
bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_key *key,
                const struct sigv4_options *options, struct sigv4_signed *out);

/* Signs in the query: who has the URL may make this one request until X-Amz-Date plus
 * `expires_s` (1 to SIGV4_MAX_EXPIRES_S). All given headers are bound: they must be sent with the
 * URL. The body is bound by its hash; most presigned requests have none. */
bool sigv4_presign(const struct sigv4_request *request, const struct sigv4_key *key,
                   const struct sigv4_options *options, uint32_t expires_s,
                   struct sigv4_signed *out);

/* Frees and wipes. */
void sigv4_signed_fini(struct sigv4_signed *s);

#endif
