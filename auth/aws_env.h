/* aws_env: the environment as a value.
 *
 * What the AWS side reads of the process environment comes in as a list of
 * "NAME=value" strings (environ itself, or one read from an env file), so that a
 * test or another process can be asked "what would you do with this one".
 * Ownership: the strings are the caller's.
 */
#ifndef SLUICE_AUTH_AWS_ENV_H
#define SLUICE_AUTH_AWS_ENV_H

#include "protocol/buf.h"

struct aws_env {
    const char *const *vars; /* ends with NULL; NULL: an empty environment */
};

/* The variable's value. An empty value counts as unset, as it does in every SDK: the slice is
 * empty in both cases. When a name stands twice the first one counts, as for getenv. */
struct slice aws_env_get(const struct aws_env *env, const char *name);

/* "true" in any case, as the SDKs read switches. */
bool aws_env_is_true(const struct aws_env *env, const char *name);

/* Appends `path`, with a leading "~/" replaced by HOME. False when there is a "~/" and no HOME. */
bool aws_env_add_path(const struct aws_env *env, struct slice path, struct buf *out);

#endif
