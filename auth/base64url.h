/* base64url: RFC 4648 section 5, without padding, and strict.
 *
 * One text for each byte string: no padding, no white space, no other alphabet,
 * and the unused bits of the last character are zero. A second spelling of a
 * token would be a second cache key for the same token.
 */
#ifndef SLUICE_AUTH_BASE64URL_H
#define SLUICE_AUTH_BASE64URL_H

#include "protocol/buf.h"

void base64url_encode(struct buf *out, struct slice bytes);

/* Appends the bytes; false when `text` is not the canonical form (nothing is appended then). */
bool base64url_decode(struct buf *out, struct slice text);

#endif
