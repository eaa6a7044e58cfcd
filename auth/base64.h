/* base64: RFC 4648 section 4, strictly.
 *
 * Padding must be there and right, no white space, no other alphabet, and the
 * bits that padding leaves over must be zero: one value has exactly one text, so
 * that two readers never see different bytes.
 */
#ifndef SLUICE_AUTH_BASE64_H
#define SLUICE_AUTH_BASE64_H

#include "protocol/buf.h"
#include "protocol/slice.h"

void base64_print(struct slice bytes, struct buf *out);

/* Decodes `text` into `out`, which has room for `cap` bytes. False when the text is not base64
 * or is longer than that; what `out` holds then is unspecified. */
bool base64_parse(struct slice text, uint8_t *out, size_t cap, size_t *len);

#endif
