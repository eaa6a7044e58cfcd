/* sha: the three hashes that AWS asks for, over OpenSSL.
 *
 * Pure. Not the password schemes: those stand in scram, md5, digest.
 */
#ifndef SLUICE_AUTH_SHA_H
#define SLUICE_AUTH_SHA_H

#include "protocol/slice.h"

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 65, SHA1_HEX_BYTES = 41 };

/* The digest itself. Fails only when OpenSSL has no memory. */
bool sha256(struct slice bytes, uint8_t out[SHA256_BYTES]);

/* Lower-case hexadecimal with a NUL. */
bool sha256_hex(struct slice bytes, char out[SHA256_HEX_BYTES]);
bool sha1_hex(struct slice bytes, char out[SHA1_HEX_BYTES]);

/* HMAC-SHA-256 (RFC 2104). `out` may be the key's memory. */
bool hmac_sha256(struct slice key, struct slice bytes, uint8_t out[SHA256_BYTES]);

/* `n` bytes as 2n lower-case digits and a NUL. */
void hex_encode(const uint8_t *bytes, size_t n, char *out);

#endif
