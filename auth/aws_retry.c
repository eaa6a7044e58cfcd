#include "auth/aws_retry.h"

enum {
    RETRY_COST = 14,
    THROTTLE_COST = 5,
    SUCCESS_GAIN = 1,
    THROTTLE_SCALE_MS = 1000,
    SCALE_MS = 50,
    CAP_MS = 20000,
    WISH_SLACK_MS = 5000,
};

/* min(scale * 2^(attempt - 1), cap), times a random fraction. */
static uint32_t backoff_ms(uint32_t attempt, uint32_t scale_ms, uint32_t random)
{
    uint64_t most = scale_ms;
    for (uint32_t i = 1; i < attempt && most < CAP_MS; i++) most *= 2;
    if (most > CAP_MS) most = CAP_MS;
    return (uint32_t)(most * random >> 32);
}

/* x-amz-retry-after, in milliseconds: wait at least that, and not much more. */
static uint32_t obey_wish(const struct aws_response *response, uint32_t delay_ms)
{
    struct slice text = aws_response_header(response, "x-amz-retry-after");
    uint32_t wish = 0;
    if (text.len == 0 || text.len > 6) return delay_ms;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return delay_ms;
        wish = wish * 10 + (uint32_t)(text.at[i] - '0');
    }
    if (delay_ms < wish) return wish;
    return delay_ms > wish + WISH_SLACK_MS ? wish + WISH_SLACK_MS : delay_ms;
}

bool aws_retry_again(struct aws_retry *retry, const struct aws_error *error,
                     const struct aws_response *response, uint32_t random, uint32_t *delay_ms)
{
    if (!aws_fault_is_retriable(error->fault) || retry->attempts >= retry->max_attempts)
        return false;
    bool throttled = error->fault == AWS_FAULT_THROTTLED;
    int32_t cost = throttled ? THROTTLE_COST : RETRY_COST;
    if (*retry->quota < cost) return false;
    *retry->quota -= cost;
    retry->paid = cost;
    *delay_ms = obey_wish(
        response, backoff_ms(retry->attempts, throttled ? THROTTLE_SCALE_MS : SCALE_MS, random));
    return true;
}

void aws_retry_done(struct aws_retry *retry)
{
    int32_t back = retry->paid ? retry->paid : SUCCESS_GAIN;
    *retry->quota = *retry->quota + back > AWS_QUOTA_FULL ? AWS_QUOTA_FULL : *retry->quota + back;
    retry->paid = 0;
}
