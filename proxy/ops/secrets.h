/* secrets: from a reference in the configuration to the secret itself.
 *
 * The configuration never holds a secret, only where to find it: `env:NAME`, `file:/path`,
 * `ssm:/name`, `secretsmanager:id#jsonkey`, or a verifier, which proves a password without
 * being one. The secret is read when it is needed, into a buf that the caller wipes.
 */
#ifndef SLUICE_PROXY_OPS_SECRETS_H
#define SLUICE_PROXY_OPS_SECRETS_H

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/slice.h"

enum secret_kind {
    SECRET_ABSENT,
    SECRET_ENV,            /* text: the variable's name */
    SECRET_FILE,           /* text: the path */
    SECRET_SSM,            /* text: the parameter's name */
    SECRET_SECRETSMANAGER, /* text: id or ARN, then perhaps #jsonkey */
    SECRET_VERIFIER,       /* text: the verifier, as PostgreSQL or Redshift stores it */
    SECRET_PLAIN, /* text: the value itself, where that is allowed (struct config: SETTING) */
};

struct secret;

struct secret_ref {
    enum secret_kind kind;
    uint32_t line;          /* in the configuration */
    char *text;             /* owned by the configuration */
    struct secret *fetched; /* what AWS said (aws_secrets.h), likewise; NULL: not asked */
};

struct env_file;

enum { SECRET_CAP_BYTES = 64 * 1024 };

/* Appends the secret to `out`, at most SECRET_CAP_BYTES, without the newline that ends a file; the
 * caller wipes `out`. `env` may be NULL: the environment alone. Reads files: not for a loop's
 * thread. False with err set (ERR_CONFIG, says what to do, never the secret): it is absent, not
 * set, unreadable, empty, or lies in AWS (secret_needs_aws) and was not fetched from there. */
bool secret_resolve(const struct secret_ref *ref, const struct env_file *env, struct buf *out,
                    struct err *err);

/* Whether only AWS can say it. */
bool secret_needs_aws(const struct secret_ref *ref);

/* "env:NAME", "file:/path", "a SCRAM-SHA-256 verifier": the reference for a log or SHOW, never the
 * secret. `text` is filled and returned. */
const char *secret_describe(const struct secret_ref *ref, char *text, size_t cap_bytes);

#endif
