/* aws_profile: the shared config and credentials files (~/.aws/config, ~/.aws/credentials).
 *
 * The grammar is the one that the AWS SDKs share and test with common vectors,
 * not Python's RawConfigParser. Parsed, a pair of files is a flat list of
 * (section, key, value) in which the last word wins: duplicate sections merge,
 * and the credentials file, read second, overrides the config file key by key.
 *
 *      [default] [profile NAME]    config file       [NAME]   credentials file
 *      [sso-session NAME]          config file only
 *      [services NAME]             config file only
 *
 * Pure: the bytes of both files come in. Ownership: slices that come out point
 * into the `aws_profiles` and live as long as it does; aws_profiles_free wipes.
 */
#ifndef SLUICE_AUTH_AWS_PROFILE_H
#define SLUICE_AUTH_AWS_PROFILE_H

#include "auth/aws_env.h"
#include "protocol/err.h"

enum aws_section { AWS_PROFILE, AWS_SSO_SESSION, AWS_SERVICES };

enum { AWS_PROFILE_FILE_MAX_BYTES = 1 << 20 };

struct aws_profiles;

/* Parses both texts (empty for a file that is not there). NULL and `err` (with the line) when one
 * is malformed, larger than AWS_PROFILE_FILE_MAX_BYTES, or memory runs out. */
struct aws_profiles *aws_profiles_read(struct slice config, struct slice credentials,
                                       struct err *err);
void aws_profiles_free(struct aws_profiles *p);

/* Whether the section stands in one of the files, be it empty. */
bool aws_profiles_has(const struct aws_profiles *p, enum aws_section kind, struct slice name);

/* The value of a key (lower case); empty when it is absent or empty. */
struct slice aws_profiles_get(const struct aws_profiles *p, enum aws_section kind,
                              struct slice name, const char *key);

/* The same for a key in the block under `parent`: "s3 =\n  endpoint_url = ...". */
struct slice aws_profiles_get_nested(const struct aws_profiles *p, enum aws_section kind,
                                     struct slice name, const char *parent, const char *key);

/* Whether the value that aws_profiles_get gives comes from the credentials file. */
bool aws_profiles_in_credentials(const struct aws_profiles *p, struct slice name, const char *key);

/* The name of the n-th section heading of this kind, for "profiles that exist: ..."; a name that
 * stands twice is given twice. Empty after the last one. */
struct slice aws_profiles_name(const struct aws_profiles *p, enum aws_section kind, size_t n);

/* Where the two files are: AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, or ~/.aws/.... An
 * appended path is empty when it depends on HOME and there is none. */
void aws_profile_config_path(const struct aws_env *env, struct buf *path);
void aws_profile_credentials_path(const struct aws_env *env, struct buf *path);

/* The profile that the environment selects: AWS_DEFAULT_PROFILE, AWS_PROFILE (in botocore's
 * order), or "default"; `*named` tells whether somebody asked for it by name. */
struct slice aws_profile_selected(const struct aws_env *env, bool *named);

#endif
