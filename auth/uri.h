/* uri: percent-encoding and URLs, strictly (RFC 3986).
 *
 * Only what AWS needs: absolute http and https URLs with ASCII host names. Not a
 * browser's parser: what a browser would repair is refused here.
 */
#ifndef SLUICE_AUTH_URI_H
#define SLUICE_AUTH_URI_H

#include "protocol/buf.h"

/* Appends `text` with every byte but A-Z a-z 0-9 - _ . ~ as %XX (upper case). */
void uri_encode(struct buf *out, struct slice text);

/* The same, leaving '/' as it is. */
void uri_encode_path(struct buf *out, struct slice text);

/* Appends the decoded text. '+' is a plus. False when a '%' is not followed by two hexadecimal
 * digits (what came before it is appended). */
bool uri_decode(struct buf *out, struct slice text);

struct url {
    bool https;
    struct slice authority; /* host[:port] as written */
    struct slice host;      /* an IPv6 literal without its brackets */
    uint16_t port;          /* written, or 443 and 80 */
    struct slice path;      /* from '/' on; may be empty */
    struct slice query;     /* after '?'; may be empty */
};

/* Takes `text` apart; the slices point into it. False: not an absolute http(s) URL, user info, a
 * fragment, an empty host, a bad port, or a byte that no URL has. */
bool url_parse(struct slice text, struct url *url);

/* The authority as the Host header has it: without the scheme's own port. */
struct slice url_host_header(const struct url *url);

/* Splits off the text before the first `separator`; false when `*rest` is spent (its `at` is NULL).
 * "a&b" yields "a" and "b"; "a&" yields "a" and an empty piece, and so does "" yield one. */
bool uri_next_piece(struct slice *rest, char separator, struct slice *piece);

#endif
