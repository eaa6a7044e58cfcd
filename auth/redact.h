/* redact: a statement's text that may be shown to people who must not see its secrets.
 *
 * By the position of tokens, not by patterns in the text: what stands behind PASSWORD is a secret
 * whatever it looks like. Comments are left out, for a secret may stand in one, too. Text that
 * cannot be read beyond doubt is not shown at all.
 *
 *   COPY t FROM 's3://b/k' CREDENTIALS 'aws_access_key_id=...'  -- ask ana
 *   COPY t FROM 's3://b/k' CREDENTIALS '***'                       REDACT_SECRETS
 *   COPY t FROM '***' CREDENTIALS '***'                            REDACT_LITERALS
 *   (unreadable statement, 60 bytes, 9f86d081884c7d65)             when a quote is missing
 */
#ifndef SLUICE_AUTH_REDACT_H
#define SLUICE_AUTH_REDACT_H

#include "protocol/buf.h"

enum redact_form {
    REDACT_SECRETS,           /* literals behind CREDENTIALS, PASSWORD and their like */
    REDACT_SECRETS_AND_ROLES, /* and behind IAM_ROLE */
    REDACT_LITERALS,          /* every literal and number */
};

/* Appends the text so redacted. It ends with "..." when it would take more than `cap` bytes. */
void redact_sql(struct slice text, enum redact_form form, size_t cap, struct buf *out);

#endif
