/* aws_retry: whether to send a call again, and when.
 *
 * The rules that AWS's SDKs agreed on for 2026: exponential backoff with full
 * jitter, a quota shared by all calls so that an outage is not answered by a
 * storm, and the server's own wish where it states one.
 * Pure: randomness comes in. The quota is the caller's, shared by its calls.
 * Source: botocore's retries/standard.py and retries/quota.py.
 */
#ifndef SLUICE_AUTH_AWS_RETRY_H
#define SLUICE_AUTH_AWS_RETRY_H

#include "auth/aws_error.h"

enum { AWS_QUOTA_FULL = 500, AWS_RETRY_ATTEMPTS = 3 };

struct aws_retry {
    int32_t *quota;        /* starts at AWS_QUOTA_FULL; shared */
    uint32_t attempts;     /* made so far */
    uint32_t max_attempts; /* AWS_RETRY_ATTEMPTS */
    int32_t paid;          /* what this call's last retry took from the quota */
};

/* After attempt number `attempts` failed with `error`: true and the wait before the next one; false
 * when there is to be none. The clock and expired faults are not this module's: correct their
 * cause, then send again without asking here. */
bool aws_retry_again(struct aws_retry *retry, const struct aws_error *error,
                     const struct aws_response *response, uint32_t random, uint32_t *delay_ms);

/* After a success: what the retries took comes back. */
void aws_retry_done(struct aws_retry *retry);

#endif
