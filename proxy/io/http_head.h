/* http_head: the head of an HTTP/1.x request.
 *
 * Strict where leniency has hurt others: CRLF only, no folded lines, no blanks before a
 * colon, one Content-Length at most, no Transfer-Encoding (nobody who talks to us needs one,
 * and two ways to say where a body ends is how requests are smuggled). What it does not
 * like it answers with a status and an end of the connection.
 * Pure: no I/O, no allocation. Linear time.
 * Source: RFC 9110, RFC 9112.
 */
#ifndef SLUICE_PROXY_IO_HTTP_HEAD_H
#define SLUICE_PROXY_IO_HTTP_HEAD_H

#include "protocol/slice.h"

enum {
    HTTP_HEAD_MAX = 8 * 1024,
    HTTP_BODY_MAX = 64 * 1024,
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

/* Slices point into what was read. */
struct http_head {
    enum http_method method;
    struct slice path, query;      /* "/metrics", as sent: nothing is decoded; query without ? */
    struct slice host, origin;     /* at == NULL: not sent */
    struct slice fetch_site;       /* Sec-Fetch-Site, likewise */
    struct slice authorization;    /* likewise */
    struct slice cookie;           /* likewise; the first such line */
    struct slice content_type;     /* likewise */
    size_t head_bytes, body_bytes; /* the request is as long as both */
    bool keep_alive;               /* the connection may be used again */
};

enum http_read { HTTP_MORE, HTTP_READ, HTTP_BAD };

/* Reads the head at the start of `in`. MORE: it is not all there. BAD: `status` is what to answer
 * (400, 413, 417, 431, 501, 505). */
enum http_read http_head_read(struct slice in, struct http_head *out, unsigned *status);

const char *http_reason(unsigned status); /* "Not Found" */

#endif
