/* signature: is this JWS signed by one of these keys (RFC 7515, 7517, 7518).
 *
 * RS256, ES256 and ES384, over OpenSSL's EVP. No "none", no HMAC: there is no
 * shared secret here, so the confusion of a public key with one cannot happen. A
 * key verifies one algorithm, its own, whatever a token's header says.
 * Pure. Ownership: a set owns its keys. Thread: immutable, any number may verify.
 */
#ifndef SLUICE_AUTH_SIGNATURE_H
#define SLUICE_AUTH_SIGNATURE_H

#include "protocol/err.h"
#include "protocol/slice.h"

enum signature_algorithm { SIGNATURE_RS256, SIGNATURE_ES256, SIGNATURE_ES384 };

enum { SIGNATURE_MAX_KEYS = 32, SIGNATURE_KEYS_MAX_BYTES = 262144 };

/* "RS256" and so on; false for any other name. */
bool signature_algorithm_parse(struct slice name, enum signature_algorithm *out);

struct signature_key;
struct signature_keys;

/* From a JWKS document. Keys that are not for signatures, or of another kind, are passed over. NULL
 * and `err`: no JSON, too many keys, a key of ours that is malformed or weak (RSA below 2048 bits,
 * a point that is not on its curve), a key id that stands twice, or none left. */
struct signature_keys *signature_keys_parse(struct slice jwks, struct err *err);
void signature_keys_free(struct signature_keys *keys);

/* The key with this id; NULL when there is none. */
const struct signature_key *signature_keys_find(const struct signature_keys *keys,
                                                struct slice key_id);

/* Whether `signature` (raw: for ES, r and s side by side) over `bytes` is the key's, by exactly
 * this algorithm. */
bool signature_verify(const struct signature_key *key, enum signature_algorithm algorithm,
                      struct slice bytes, struct slice signature);

#endif
