#include "auth/aws_secret_store.h"

#include "protocol/json.h"

#include <stdio.h>

static bool sign(struct aws_request *r, const struct aws_signer *s)
{
    return aws_request_sign(r, s->credentials, s->endpoint, s->now_ms, s->skew_ms);
}

bool ssm_parameter_request(struct slice name, const struct aws_signer *signer,
                           struct aws_request *request)
{
    aws_json_begin(request, signer->endpoint, "GetParameter");
    buf_add_str(&request->body, "{\"Name\":");
    json_quote(&request->body, name);
    buf_add_str(&request->body, ",\"WithDecryption\":true}");
    return sign(request, signer);
}

bool secrets_manager_request(struct slice id, const struct aws_signer *signer,
                             struct aws_request *request)
{
    aws_json_begin(request, signer->endpoint, "GetSecretValue");
    buf_add_str(&request->body, "{\"SecretId\":");
    json_quote(&request->body, id);
    buf_add_str(&request->body, "}");
    return sign(request, signer);
}

static bool fail(struct aws_error *e, int status, enum aws_fault fault, const char *message)
{
    *e = (struct aws_error){ .fault = fault, .status = status };
    snprintf(e->code, sizeof e->code, "unusable answer");
    snprintf(e->message, sizeof e->message, "%s", message);
    return false;
}

/* Copies a string value; false when it is none. Numbers are taken as they are written, because
 * people store ports and PINs that way. */
static bool take_text(const struct json_value *v, struct buf *out)
{
    int64_t number;
    if (v && json_type(v) == JSON_STRING && json_string(v).len > 0) {
        buf_add_slice(out, json_string(v));
        return !out->failed;
    }
    if (v && json_type(v) == JSON_NUMBER && json_integer(v, &number)) {
        buf_addf(out, "%lld", (long long)number);
        return !out->failed;
    }
    return false;
}

bool ssm_parameter_answer(const struct aws_response *response, struct buf *value,
                          struct aws_error *error)
{
    struct json_error ignored;
    value->secret = true;
    if (aws_error_read(AWS_JSON_1_1, response, error)) return false;
    struct json_doc *doc = json_parse(response->body, AWS_ANSWER_CAP_BYTES, &ignored);
    if (!doc) return fail(error, response->status, AWS_FAULT_TRANSIENT, "the answer is not JSON");
    const struct json_value *parameter = json_member(json_root(doc), slice_str("Parameter"));
    bool ok = parameter && take_text(json_member(parameter, slice_str("Value")), value);
    json_free(doc);
    return ok || fail(error, response->status, AWS_FAULT_DENIED, "the parameter has no value");
}

int64_t ssm_parameter_version(const struct aws_response *response)
{
    struct json_error ignored;
    int64_t version = 0;
    struct json_doc *doc = json_parse(response->body, AWS_ANSWER_CAP_BYTES, &ignored);
    const struct json_value *parameter =
        doc ? json_member(json_root(doc), slice_str("Parameter")) : NULL;
    const struct json_value *v = parameter ? json_member(parameter, slice_str("Version")) : NULL;
    if (v && json_type(v) == JSON_NUMBER) json_integer(v, &version);
    json_free(doc);
    return version;
}

/* The secret's own text is JSON: {"username":"...","password":"..."}. */
static bool take_member(struct slice text, struct slice key, struct buf *value)
{
    struct json_error ignored;
    struct json_doc *doc = json_parse(text, AWS_ANSWER_CAP_BYTES, &ignored);
    if (!doc) return false;
    bool ok = json_type(json_root(doc)) == JSON_OBJECT &&
              take_text(json_member(json_root(doc), key), value);
    json_free(doc);
    return ok;
}

bool secrets_manager_answer(const struct aws_response *response, struct slice json_key,
                            struct buf *value, struct aws_error *error)
{
    struct json_error ignored;
    value->secret = true;
    if (aws_error_read(AWS_JSON_1_1, response, error)) return false;
    struct json_doc *doc = json_parse(response->body, AWS_ANSWER_CAP_BYTES, &ignored);
    if (!doc) return fail(error, response->status, AWS_FAULT_TRANSIENT, "the answer is not JSON");
    const struct json_value *text = json_member(json_root(doc), slice_str("SecretString"));
    bool ok = text && json_key.len ? take_member(json_string(text), json_key, value)
                                   : take_text(text, value);
    json_free(doc);
    if (ok) return true;
    if (!text)
        return fail(error, response->status, AWS_FAULT_DENIED, "the secret is binary, not text");
    return fail(error, response->status, AWS_FAULT_DENIED,
                json_key.len ? "the secret has no such JSON key" : "the secret is empty");
}
