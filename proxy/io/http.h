/* http: requests to web services, on a loop.
 *
 *      http_send --> libcurl's multi handle <--> uv_poll, uv_timer --> done(answer)
 *
 * Sends exactly the headers it is given, Host among them, so that a signature over
 * them holds. Follows no redirects, speaks only HTTP and HTTPS, verifies
 * certificates, and cuts off what is longer than was asked for. Proxies come from
 * https_proxy, http_proxy and no_proxy, as for every AWS tool, but for `direct`.
 * Nothing of a request or an answer is ever logged: they hold keys.
 *
 * Ownership: a request is copied; an answer is valid during `done`, and wiped
 * afterwards. Thread: the loop's.
 */
#ifndef SLUICE_PROXY_IO_HTTP_H
#define SLUICE_PROXY_IO_HTTP_H

#include "protocol/slice.h"

#include <uv.h>

enum { HTTP_MAX_HEADERS = 16, HTTP_HEAD_CAP_BYTES = 32 * 1024 };

struct http_header {
    struct slice name, value;
};

struct http_request {
    const char *method; /* "GET", "POST", "PUT" */
    struct slice url, body;
    struct http_header headers[HTTP_MAX_HEADERS];
    size_t header_count;
    uint32_t connect_timeout_ms, timeout_ms; /* the second counts from the start */
    uint32_t answer_cap_bytes;
    bool direct; /* never through a proxy */
};

enum http_failure {
    HTTP_OK, /* an answer came, whatever its status */
    HTTP_CANNOT_RESOLVE,
    HTTP_CANNOT_CONNECT,
    HTTP_TIMEOUT,
    HTTP_TLS,
    HTTP_BROKEN,
    HTTP_TOO_LARGE,
};

struct http_answer {
    enum http_failure failure;
    int status; /* 0 unless HTTP_OK */
    const struct http_header *headers;
    size_t header_count; /* the first HTTP_MAX_HEADERS */
    struct slice body;
};

struct http;
struct http_call;

typedef void http_done(void *owner, const struct http_answer *answer);

/* `ca_bundle`: a PEM file that certificates must descend from; NULL or empty: the system's, or
 * where the system has none the roots of Amazon. NULL when memory ran out. */
struct http *http_open(uv_loop_t *uv, const char *ca_bundle);

/* Drops what is under way (no `done`), and frees itself in the loop's next turns. */
void http_close(struct http *h); /* NULL is fine */

/* `done` comes exactly once, never from within http_send, unless http_cancel comes first. NULL when
 * memory ran out: `done` does not come. */
struct http_call *http_send(struct http *h, const struct http_request *request, http_done *done,
                            void *owner);

/* The answer is not wanted any more. Not from within its own `done`. */
void http_cancel(struct http_call *call);

#endif
