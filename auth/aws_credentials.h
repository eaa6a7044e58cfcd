/* aws_credentials: a set of AWS keys, and when to get the next one.
 *
 * Immutable once made: whoever signs holds one set, so that a signature never
 * mixes two generations. Ownership: a set owns its text and is wiped by fini.
 *
 *      issued                      advisory        mandatory      expires
 *        |------- keys are good -------|--- refresh ---|--- wait ----|
 *                                      (old ones serve) (for new ones)
 */
#ifndef SLUICE_AUTH_AWS_CREDENTIALS_H
#define SLUICE_AUTH_AWS_CREDENTIALS_H

#include "protocol/buf.h"

#include "auth/secret.h"
#include "auth/sigv4.h"

enum { AWS_SOURCE_BYTES = 192, AWS_ACCOUNT_BYTES = 13 };

struct aws_credentials {
    struct buf key_id;
    struct secret *secret, *token;   /* token: NULL for long-lived keys */
    int64_t issued_ms, expires_ms;   /* expires_ms 0: never */
    char account[AWS_ACCOUNT_BYTES]; /* where the source told it; else empty */
    char source[AWS_SOURCE_BYTES];   /* for humans: "profile ana (~/.aws/credentials)" */
};

void aws_credentials_init(struct aws_credentials *c);
void aws_credentials_fini(struct aws_credentials *c);

/* Sets the three texts (copied). False when memory ran out. */
bool aws_credentials_set(struct aws_credentials *c, struct slice key_id, struct slice secret,
                         struct slice token);

/* A copy of its own; false when memory ran out. */
bool aws_credentials_copy(struct aws_credentials *to, const struct aws_credentials *from);

/* The key for a signature; its slices live as long as `c`, `region` and `service` do. */
struct sigv4_key aws_credentials_key(const struct aws_credentials *c, struct slice region,
                                     struct slice service);

/* From when on a background refresh is due: 15 minutes before expiry (a quarter of a shorter
 * life), a minute to and fro by `random` so that many processes do not ask at once.
 * INT64_MAX: never. */
int64_t aws_credentials_advisory_ms(const struct aws_credentials *c, uint32_t random);

/* From when on nobody should sign with them: 10 minutes before expiry (an eighth of a shorter
 * life). */
int64_t aws_credentials_mandatory_ms(const struct aws_credentials *c);

#endif
