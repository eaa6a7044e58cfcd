/* md5: PostgreSQL's old challenge and response (authentication code 5).
 *
 *     stored   = "md5", hex(MD5(password, user name))
 *     response = "md5", hex(MD5(hex of stored, 4 bytes of salt))
 *
 * Weak, and used only where a user's auth list names it. The stored form is as
 * good as the password. (PostgreSQL protocol, AuthenticationMD5Password)
 */
#ifndef SLUICE_AUTH_MD5_H
#define SLUICE_AUTH_MD5_H

#include "auth/hash.h"
#include "protocol/err.h"

enum { MD5_SALT_BYTES = 4, MD5_TEXT_BYTES = 3 + 2 * MD5_BYTES };

/* The stored form, "md5" and 32 lower-case hexadecimal digits, not NUL-terminated. */
struct md5_verifier {
    char text[MD5_TEXT_BYTES];
};

/* False sets err. */
bool md5_verifier_parse(struct md5_verifier *v, struct slice text, struct err *err);
bool md5_verifier_make(struct md5_verifier *v, struct slice password, struct slice user);

/* Whether `password` is the one that `v` was made from; constant time. */
bool md5_verifier_check(const struct md5_verifier *v, struct slice password, struct slice user);

/* The text that answers a challenge. */
bool md5_respond(char out[MD5_TEXT_BYTES], const struct md5_verifier *v,
                 const uint8_t salt[MD5_SALT_BYTES]);

#endif
