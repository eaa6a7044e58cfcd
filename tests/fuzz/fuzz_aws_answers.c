/* What AWS answers, or whoever stands in its place: XML, JSON, errors, key sets.
 *
 * The first byte chooses the reader, the second the status. Property, beside no
 * crash: a reader that says no has filled its error and left no secret behind.
 */
#include "auth/aws_secret_store.h"
#include "auth/aws_xml.h"
#include "auth/iam_token.h"
#include "auth/redshift_credentials.h"
#include "auth/signature.h"

#include <stdlib.h>

static void read_login(enum redshift_api api, const struct aws_response *r)
{
    struct redshift_login login;
    struct aws_error error;
    if (redshift_login_answer(api, r, &login, &error)) {
        if (login.user.len == 0 || login.password.len == 0 || login.expires_ms <= 0) abort();
        redshift_login_fini(&login);
    } else if (login.password.at || error.fault == AWS_FAULT_NONE || !error.code[0]) {
        abort();
    }
}

static void read_endpoint(enum redshift_api api, const struct aws_response *r)
{
    struct redshift_endpoint endpoint;
    struct aws_error error;
    if (!redshift_endpoint_answer(api, r, &endpoint, &error) && !error.code[0]) abort();
    if (endpoint.host[0] && endpoint.port == 0) abort();
}

static void read_secret(bool ssm, const struct aws_response *r)
{
    struct buf value = { 0 };
    struct aws_error error;
    if (ssm ? ssm_parameter_answer(r, &value, &error)
            : secrets_manager_answer(r, (struct slice){ "password", 8 }, &value, &error)) {
        if (value.len == 0) abort();
    } else if (!error.code[0]) {
        abort();
    }
    buf_fini(&value);
}

static void read_identity(const struct aws_response *r)
{
    struct iam_token token = { .partition = "aws" };
    struct iam_identity who;
    struct iam_refusal refusal;
    enum iam_verdict verdict = iam_token_judge(&token, r, &who, &refusal);
    if ((verdict == IAM_ACCEPTED) != (who.arn[0] != 0)) abort();
    if (verdict != IAM_ACCEPTED && !refusal.reason[0]) abort();
}

static void read_keys(struct slice body)
{
    struct err err = { 0 };
    struct signature_keys *keys = signature_keys_parse(body, &err);
    if (!keys && err.code == ERR_NONE) abort();
    signature_keys_free(keys);
}

static void read_fields(struct slice body)
{
    struct aws_xml_field fields[] = { { .path = "a" }, { .path = "a/b" }, { .path = "c/d/e" } };
    aws_xml_read(body, NULL, NULL, fields, 3);
    for (size_t i = 0; i < 3; i++)
        if (fields[i].value.len > AWS_XML_MAX_FIELD_BYTES ||
            (fields[i].value.len && !fields[i].count))
            abort();
    aws_xml_fields_fini(fields, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = { 200, 200, 200, 400, 403, 404, 500, 302 };
    if (size < 2) return 0;
    struct sigv4_header headers[] = { { slice_str("Content-Type"), slice_str("text/xml") } };
    struct aws_response r = { AWS_HTTP_OK, statuses[data[1] % 8], headers, 1,
                              slice_of(data + 2, size - 2) };
    struct aws_error error;
    switch (data[0] % 12) {
    case 0: read_login(REDSHIFT_BY_USER, &r); break;
    case 1: read_login(REDSHIFT_WITH_IAM, &r); break;
    case 2: read_login(REDSHIFT_WORKGROUP, &r); break;
    case 3: read_endpoint(REDSHIFT_BY_USER, &r); break;
    case 4: read_endpoint(REDSHIFT_WORKGROUP, &r); break;
    case 5: read_secret(true, &r); break;
    case 6: read_secret(false, &r); break;
    case 7: read_identity(&r); break;
    case 8: read_keys(r.body); break;
    case 9: aws_error_read(AWS_QUERY, &r, &error); break;
    case 10: aws_error_read(AWS_JSON_1_1, &r, &error); break;
    default: read_fields(r.body);
    }
    return 0;
}
