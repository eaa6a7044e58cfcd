/* aws_caller: who one is to AWS, by its own word: sts GetCallerIdentity.
 *
 * Needs no permission, and works even where a policy denies it. Pure: request out, answer in.
 * (Clients' tokens are judged by iam_token, which trusts nobody; here we ask for ourselves.)
 */
#ifndef SLUICE_AUTH_AWS_CALLER_H
#define SLUICE_AUTH_AWS_CALLER_H

#include "auth/redshift_credentials.h"

struct aws_caller {
    char arn[512];
    char account[AWS_ACCOUNT_BYTES];
};

bool aws_caller_request(const struct aws_signer *signer, struct aws_request *request);

/* False and `error` when the answer does not say. */
bool aws_caller_answer(const struct aws_response *response, struct aws_caller *out,
                       struct aws_error *error);

#endif
