/* aws_secret_store: a secret from SSM Parameter Store or Secrets Manager.
 *
 * For references such as "ssm:/sluice/ana" and "secretsmanager:warehouse#password".
 * Pure: requests out, answers in. The value lands in a secret buf of the caller's.
 */
#ifndef SLUICE_AUTH_AWS_SECRET_STORE_H
#define SLUICE_AUTH_AWS_SECRET_STORE_H

#include "auth/redshift_credentials.h"

/* GetParameter, decrypted. `name` may be a path, an ARN, or have ":version" or ":label" behind. */
bool ssm_parameter_request(struct slice name, const struct aws_signer *signer,
                           struct aws_request *request);
bool ssm_parameter_answer(const struct aws_response *response, struct buf *value,
                          struct aws_error *error);

/* The version that came with a value; 0 when the answer does not say. */
int64_t ssm_parameter_version(const struct aws_response *response);

/* GetSecretValue, the current version. `id` is a name or an ARN. */
bool secrets_manager_request(struct slice id, const struct aws_signer *signer,
                             struct aws_request *request);

/* `json_key`: the member of the secret that is wanted ("password"), when the secret is a JSON
 * object; empty: the whole text. A binary secret is refused: what is kept here is text. */
bool secrets_manager_answer(const struct aws_response *response, struct slice json_key,
                            struct buf *value, struct aws_error *error);

#endif
