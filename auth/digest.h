/* digest: Redshift's own challenge and response (authentication code 13).
 *
 *     inner    = SHA256(password, salt)           what is stored
 *     response = SHA256(inner, server nonce, client nonce)
 *
 * The user's name does not go in, and there are no iterations. The stored `inner`
 * is as good as the password: it logs in wherever the salt is the same.
 * Layout and vectors: Amazon's drivers (redshift_connector, redshift-jdbc42) and
 * the Redshift developer guide, CREATE USER.
 */
#ifndef SLUICE_AUTH_DIGEST_H
#define SLUICE_AUTH_DIGEST_H

#include "auth/hash.h"
#include "protocol/err.h"

enum {
    DIGEST_SHA256 = 0,           /* the algorithm, as the challenge names it */
    DIGEST_SALT_BYTES = 32,      /* of the salts we make */
    DIGEST_SALT_MAX_BYTES = 128, /* of the salts we accept */
    DIGEST_NONCE_MAX_BYTES = 1024,
};

/* A plain value; wipe it with OPENSSL_cleanse when done. */
struct digest_verifier {
    uint8_t inner[SHA256_BYTES];
    uint8_t salt[DIGEST_SALT_MAX_BYTES];
    size_t salt_len;
};

/* `sha256|digest|salt`, both in hexadecimal, as CREATE USER takes it. False sets err. */
bool digest_verifier_parse(struct digest_verifier *v, struct slice text, struct err *err);
void digest_verifier_print(const struct digest_verifier *v, struct buf *out);

/* False when the salt is empty or too long, or hashing failed. */
bool digest_verifier_make(struct digest_verifier *v, struct slice password, struct slice salt);

/* Whether `password` is the one that `v` was made from; constant time. */
bool digest_verifier_check(const struct digest_verifier *v, struct slice password);

/* A salt that is stable per key and name: for users who are not there, and for plaintext passwords,
 * so that the two can not be told apart. `key` is a secret of this process. */
bool digest_stable_salt(uint8_t salt[DIGEST_SALT_BYTES], struct slice key, struct slice user);

/* A verifier with that salt that no password fits, for a user who is not there. */
bool digest_verifier_mock(struct digest_verifier *v, struct slice key, struct slice user);

/* The 32 bytes that answer a challenge. */
bool digest_respond(uint8_t out[SHA256_BYTES], const struct digest_verifier *v,
                    struct slice server_nonce, struct slice client_nonce);

#endif
