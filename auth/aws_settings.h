/* aws_settings: what environment, files and configuration say about talking to AWS.
 *
 * The one place that knows which of them wins: an explicit setting of our
 * configuration, then the environment, then the profile.
 * Pure. Ownership: owns the parsed files; borrows the environment and the explicit texts.
 */
#ifndef SLUICE_AUTH_AWS_SETTINGS_H
#define SLUICE_AUTH_AWS_SETTINGS_H

#include "auth/aws_endpoint.h"

struct aws_settings {
    const struct aws_env *env;
    struct aws_profiles *profiles;
    struct slice profile; /* the selected one */
    bool
        profile_explicit; /* our configuration names it: then the environment's keys do not count */
    bool profile_exists;
    char region[AWS_REGION_BYTES]; /* empty: nobody said */
    bool fips, dual_stack;
};

/* `profile` and `region`: of our configuration, empty when it is silent. The two texts are the
 * files' contents, empty when there is no file. False and `err`: a malformed file or region, or a
 * profile that is asked for by name and is not there (the message names those that are). `out` is
 * to be fini'd in any case. */
bool aws_settings_read(struct aws_settings *out, const struct aws_env *env, struct slice profile,
                       struct slice region, struct slice config_text, struct slice credentials_text,
                       struct err *err);
void aws_settings_fini(struct aws_settings *s);

/* The environment's variable, else the profile's key; either name may be NULL. */
struct slice aws_setting(const struct aws_settings *s, const char *variable, const char *key);

/* The endpoint of a service; `region` empty: the settings' own. */
bool aws_settings_endpoint(const struct aws_settings *s, enum aws_service service,
                           struct slice region, struct aws_endpoint *out, struct err *err);

#endif
