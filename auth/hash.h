/* hash: the digests that the login mechanisms are made of.
 *
 * As sha, but over several slices at a time, so that nobody has to concatenate
 * secrets in memory first; and MD5 and PBKDF2. A false return means that OpenSSL refused (no
 * memory, or a policy that forbids MD5); the output is all zero then and must not be used.
 */
#ifndef SLUICE_AUTH_HASH_H
#define SLUICE_AUTH_HASH_H

#include "auth/sha.h"
#include "protocol/buf.h"
#include "protocol/slice.h"

enum { MD5_BYTES = 16 };

/* Digest of the parts, one after the other. */
bool hash_sha256(uint8_t out[SHA256_BYTES], const struct slice *parts, size_t count);
bool hash_md5(uint8_t out[MD5_BYTES], const struct slice *parts, size_t count);

/* HMAC-SHA-256 (RFC 2104) of the parts, one after the other. */
bool hash_hmac(uint8_t out[SHA256_BYTES], struct slice key, const struct slice *parts,
               size_t count);

/* PBKDF2 with HMAC-SHA-256 and one block of output: Hi() of RFC 5802, section 2.2.
 * About a millisecond per 4096 iterations: keep large counts off an event loop. */
bool hash_pbkdf2(uint8_t out[SHA256_BYTES], struct slice password, struct slice salt,
                 uint32_t iterations);

/* Lower-case hexadecimal. */
void hex_print(struct slice bytes, struct buf *out);

/* Exactly `len` bytes from 2 * len hexadecimal digits of either case; false for anything else. */
bool hex_parse(struct slice text, uint8_t *out, size_t len);

#endif
