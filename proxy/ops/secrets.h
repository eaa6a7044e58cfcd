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

struct secret_ref {
    enum secret_kind kind;
    uint32_t line; /* in the configuration */
    char *text;    /* owned by the configuration */
};

#endif
