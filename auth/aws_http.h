/* aws_http: an HTTP exchange as two values: what to send, and what came back.
 *
 * Pure: it is proxy/ that sends. Rules for whoever does: send exactly these
 * headers (Host is among them) and this body; follow no redirects; verify TLS;
 * keep to the two timeouts and the cap; use no proxy when `direct` is set; never
 * log headers, body or query (they hold keys).
 * Ownership: a request owns its texts, fini wipes them. A response is borrowed
 * for the call that it is given to.
 */
#ifndef SLUICE_AUTH_AWS_HTTP_H
#define SLUICE_AUTH_AWS_HTTP_H

#include "auth/aws_credentials.h"
#include "auth/aws_endpoint.h"

enum {
    AWS_REQUEST_MAX_HEADERS = 12,
    AWS_ANSWER_CAP_BYTES = 1 << 20, /* no answer that we ask for comes near it */
    AWS_CONNECT_TIMEOUT_MS = 3000,
    AWS_TIMEOUT_MS = 10000,
};

struct aws_header {
    const char *name; /* a literal */
    struct buf value;
};

struct aws_request {
    const char *method; /* "GET", "POST", "PUT" */
    struct buf url;     /* scheme://host[:port]/path[?query] */
    struct aws_header headers[AWS_REQUEST_MAX_HEADERS];
    size_t header_count;
    struct buf body;
    uint32_t connect_timeout_ms, timeout_ms;
    uint32_t answer_cap_bytes; /* a longer answer is cut off and counts as AWS_HTTP_TOO_LARGE */
    bool direct;               /* a metadata address: never through a proxy */
};

void aws_request_init(struct aws_request *r, const char *method, struct slice url);
void aws_request_fini(struct aws_request *r);

/* Adds a header. False: there are too many, or the value has a line break. */
bool aws_request_add_header(struct aws_request *r, const char *name, struct slice value);

/* The value of a header that was added; empty when it was not. */
struct slice aws_request_header(const struct aws_request *r, const char *name);

/* Adds Host, X-Amz-Date, X-Amz-Security-Token and Authorization for url, headers and body as they
 * are now. False: the URL is malformed, or out of memory. */
bool aws_request_sign(struct aws_request *r, const struct aws_credentials *credentials,
                      const struct aws_endpoint *endpoint, int64_t now_ms, int64_t skew_ms);

/* Adds only the Host header, for requests that nobody signs. */
bool aws_request_add_host(struct aws_request *r);

enum aws_http_failure {
    AWS_HTTP_OK, /* an answer came, whatever its status */
    AWS_HTTP_CANNOT_RESOLVE,
    AWS_HTTP_CANNOT_CONNECT, /* refused, unreachable, or no answer to the connect in time */
    AWS_HTTP_TIMEOUT,        /* connected, but the answer did not come in time */
    AWS_HTTP_TLS,            /* the certificate or the handshake */
    AWS_HTTP_BROKEN,         /* reset or malformed in the middle */
    AWS_HTTP_TOO_LARGE,
    AWS_HTTP_OFFLINE, /* not tried: whoever drives has no network to offer */
};

struct aws_response {
    enum aws_http_failure failure;
    int status; /* 0 unless AWS_HTTP_OK */
    const struct sigv4_header *headers;
    size_t header_count;
    struct slice body;
};

/* The first header of this name (any case), trimmed; empty when there is none. */
struct slice aws_response_header(const struct aws_response *r, const char *name);

/* Whether Content-Type is `type`, parameters aside. */
bool aws_response_is_type(const struct aws_response *r, const char *type);

/* AWS's clock minus ours, from the Date header of an answer that came within `round_trip_ms`; false
 * when the answer does not tell (no Date, an Age, or the trip took 15 minutes). */
bool aws_response_skew(const struct aws_response *r, int64_t now_ms, int64_t round_trip_ms,
                       int64_t *skew_ms);

const char *aws_http_failure_text(enum aws_http_failure failure); /* "no answer in time" */

/* ---- the two ways of writing a call -----------------------------------------------------------
 */

/* Query protocol (Redshift, STS): POST with Action and Version; then one add for each parameter. */
void aws_query_begin(struct aws_request *r, const struct aws_endpoint *endpoint,
                     const char *action);
void aws_query_add(struct aws_request *r, const char *name, struct slice value);

/* JSON protocol: POST with X-Amz-Target; the body is the caller's to write. */
void aws_json_begin(struct aws_request *r, const struct aws_endpoint *endpoint,
                    const char *operation);

#endif
