/* aws_provider: one place where AWS credentials can come from. Internal to the aws_* modules.
 *
 * A provider is straight-line code over an aws_script (see there): whenever a
 * question is open it returns AWS_PENDING, and will be run again.
 */
#ifndef SLUICE_AUTH_AWS_PROVIDER_H
#define SLUICE_AUTH_AWS_PROVIDER_H

#include "auth/aws_chain.h"
#include "auth/aws_role_plan.h"
#include "protocol/json.h"

enum aws_found {
    AWS_FOUND,
    AWS_NOT_HERE, /* not configured; said why in the report */
    AWS_BROKEN,   /* configured, and no good; run->err says why */
    AWS_PENDING,
};

struct aws_run {
    const struct aws_chain_config *config;
    struct aws_script *script;
    struct aws_settings *settings;
    struct buf *report;
    struct err *err;
    const char *place; /* the provider at work, for the report */
    int32_t quota;
    int64_t skew_ms;
    char *region; /* AWS_REGION_BYTES: the settings' region, which EC2 metadata may fill in */
};

/* Say why, and return the value of the same name. */
enum aws_found aws_not_here(struct aws_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum aws_found aws_broken(struct aws_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum aws_found aws_broken_hint(struct aws_run *run, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum aws_found aws_broken_as_said(struct aws_run *run); /* run->err is set already */
enum aws_found aws_broken_by(struct aws_run *run, const struct aws_error *e, const char *what);

/* Reads a file. FOUND and the text, NOT_HERE (nothing reported: the caller knows better what that
 * means), BROKEN, PENDING. */
enum aws_found aws_read_file(struct aws_run *run, struct slice path, struct slice *text);

/* Sends a request with retries. `build` makes it anew for each attempt (a signature has a time);
 * false from it is "out of memory". FOUND: a 2xx answer; NOT_HERE (unreported): all attempts failed
 * with `error`, the last answer is in `response`. */
struct aws_sending {
    bool (*build)(struct aws_run *run, void *context, struct aws_request *request);
    void *context;
    enum aws_protocol protocol;
    uint32_t attempts; /* 0: AWS_RETRY_ATTEMPTS */
    uint32_t pause_ms; /* between attempts, fixed; 0: backoff, and the quota */
};
enum aws_found aws_send(struct aws_run *run, const struct aws_sending *sending,
                        struct aws_response *response, struct aws_error *error);

/* Key, secret and token from JSON with these member names, expiry as ISO text or (`epoch_ms`) as a
 * number; false and `what` when some are missing. */
struct aws_json_names {
    const char *key_id, *secret, *token, *expiration, *account;
    bool epoch_ms;
};
bool aws_credentials_from_json(const struct json_value *object, const struct aws_json_names *names,
                               int64_t now_ms, struct aws_credentials *out);

/* FOUND when the keys are good for longer than now; BROKEN when they have expired already. */
enum aws_found aws_found_until(struct aws_run *run, struct aws_credentials *out);

/* The providers. Each fills `out` (initialised by the caller) when FOUND. */
enum aws_found aws_from_environment(struct aws_run *run, struct aws_credentials *out);
enum aws_found aws_from_profile_keys(struct aws_run *run, struct slice profile,
                                     struct aws_credentials *out);
enum aws_found aws_from_process(struct aws_run *run, struct slice profile,
                                struct aws_credentials *out);
enum aws_found aws_from_sso(struct aws_run *run, struct slice profile, struct aws_credentials *out);
enum aws_found aws_from_web_identity(struct aws_run *run, struct slice profile, bool environment,
                                     struct aws_credentials *out);
enum aws_found aws_from_container(struct aws_run *run, struct aws_credentials *out);
enum aws_found aws_from_metadata(struct aws_run *run, struct aws_credentials *out);

/* Assumes a role with `source`, which may be the same object as `out`. */
enum aws_found aws_assume_role(struct aws_run *run, const struct aws_role_order *order,
                               const struct aws_credentials *source, struct aws_credentials *out);

/* The URL that container credentials come from; false and why. NOT configured: empty URL, true. */
bool aws_container_url(const struct aws_env *env, struct buf *url, struct err *err);

/* "http://169.254.169.254" or what is configured instead; false and why. */
bool aws_metadata_base(const struct aws_settings *settings, struct buf *url, struct err *err);

#endif
