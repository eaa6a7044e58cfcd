/* aws_role_plan: where a profile's credentials come from, and through which roles.
 *
 *      [profile A] role_arn=RA source_profile=B      plan of A:  base: keys of C
 *      [profile B] role_arn=RB source_profile=C                  then assume RB (profile B)
 *      [profile C] aws_access_key_id=...                         then assume RA (profile A)
 *
 * Only reads the profiles; it fetches nothing. Pure; a plain value whose slices
 * point into the profiles.
 */
#ifndef SLUICE_AUTH_AWS_ROLE_PLAN_H
#define SLUICE_AUTH_AWS_ROLE_PLAN_H

#include "auth/aws_profile.h"

enum { AWS_ROLE_PLAN_MAX = 16 };

enum aws_base {
    AWS_BASE_NONE,         /* the profile has nothing to do with credentials */
    AWS_BASE_KEYS,         /* aws_access_key_id and aws_secret_access_key */
    AWS_BASE_SOURCE,       /* credential_source */
    AWS_BASE_WEB_IDENTITY, /* web_identity_token_file and role_arn */
    AWS_BASE_SSO,
    AWS_BASE_PROCESS, /* credential_process */
    AWS_BASE_LOGIN,   /* login_session: recognised, not supported */
};

struct aws_role_plan {
    enum aws_base base;
    struct slice base_profile; /* the profile that has it */
    struct slice source;       /* SOURCE: "Environment", "Ec2InstanceMetadata", "EcsContainer" */
    struct slice roles[AWS_ROLE_PLAN_MAX]; /* profiles whose role_arn to assume, in this order */
    size_t role_count;
};

/* False and `err` when a profile on the way is contradictory, incomplete or not there. */
bool aws_role_plan_make(const struct aws_profiles *profiles, struct slice profile,
                        struct aws_role_plan *plan, struct err *err);

#endif
