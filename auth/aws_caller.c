#include "auth/aws_caller.h"

#include "auth/aws_xml.h"

#include <stdio.h>

bool aws_caller_request(const struct aws_signer *signer, struct aws_request *request)
{
    aws_request_init(request, "POST", (struct slice){ 0 });
    aws_query_begin(request, signer->endpoint, "GetCallerIdentity");
    return aws_request_sign(request, signer->credentials, signer->endpoint, signer->now_ms,
                            signer->skew_ms);
}

/* What is shown on a terminal must be text, whoever answered. */
static void copy_text(char *to, size_t size, struct slice from)
{
    size_t n = 0;
    for (; n < from.len && n + 1 < size; n++) {
        uint8_t c = (uint8_t)from.at[n];
        to[n] = c < ' ' || c >= 0x7f ? '?' : (char)c;
    }
    to[n] = 0;
}

bool aws_caller_answer(const struct aws_response *response, struct aws_caller *out,
                       struct aws_error *error)
{
    struct aws_xml_field fields[] = { { .path = "GetCallerIdentityResult/Arn" },
                                      { .path = "GetCallerIdentityResult/Account" } };
    *out = (struct aws_caller){ 0 };
    if (aws_error_read(AWS_QUERY, response, error)) return false;
    bool ok = aws_xml_read(response->body, "GetCallerIdentityResponse", NULL, fields, 2) &&
              fields[0].count == 1;
    if (ok) {
        copy_text(out->arn, sizeof out->arn, buf_slice(&fields[0].value));
        copy_text(out->account, sizeof out->account, buf_slice(&fields[1].value));
    } else {
        *error = (struct aws_error){ .fault = AWS_FAULT_TRANSIENT, .status = response->status };
        snprintf(error->code, sizeof error->code, "malformed answer");
        snprintf(error->message, sizeof error->message, "the answer does not say who we are");
    }
    aws_xml_fields_fini(fields, 2);
    return ok;
}
