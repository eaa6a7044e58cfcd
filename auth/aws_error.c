#include "auth/aws_error.h"

#include "auth/aws_xml.h"
#include "auth/uri.h"
#include "protocol/json.h"

#include <stdio.h>

static const struct {
    const char *code;
    enum aws_fault fault;
    const char *hint;
} codes[] = {
#define AWS_ERROR(code, fault, hint) { code, AWS_FAULT_##fault, hint },
#include "auth/aws_error.def"
#undef AWS_ERROR
};

enum { CODE_COUNT = sizeof codes / sizeof *codes };

/* The first line, without control bytes, cut at the size. */
static void copy_line(char *to, size_t size, struct slice from)
{
    size_t n = 0;
    for (; n < from.len && n + 1 < size; n++) {
        uint8_t c = (uint8_t)from.at[n];
        if (c == '\n' || c == '\r') break;
        to[n] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    to[n] = 0;
}

/* "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException:http://...": what is between '#' and
 * ':'. */
static struct slice trim_code(struct slice code)
{
    struct slice rest = code, name = { 0 };
    uri_next_piece(&rest, ':', &name);
    for (size_t i = name.len; i > 0; i--)
        if (name.at[i - 1] == '#') return slice_after(name, i);
    return name;
}

/* <ErrorResponse><Error>, the older <Response><Errors><Error>, and S3's bare <Error>. */
static void read_xml(struct slice body, struct aws_error *out)
{
    struct aws_xml_field fields[] = {
        { .path = "Error/Code" },
        { .path = "Error/Message" },
        { .path = "Errors/Error/Code" },
        { .path = "Errors/Error/Message" },
        { .path = "Code" },
        { .path = "Message" },
        { .path = "RequestId" },
        { .path = "RequestID" },
    };
    enum { COUNT = sizeof fields / sizeof *fields };
    if (aws_xml_read(body, NULL, NULL, fields, COUNT)) {
        size_t at = fields[0].count ? 0 : fields[2].count ? 2 : 4;
        copy_line(out->code, sizeof out->code, buf_slice(&fields[at].value));
        copy_line(out->message, sizeof out->message, buf_slice(&fields[at + 1].value));
        copy_line(out->request_id, sizeof out->request_id,
                  buf_slice(&fields[fields[6].count ? 6 : 7].value));
    }
    aws_xml_fields_fini(fields, COUNT);
}

static struct slice text_member(const struct json_value *object, const char *a, const char *b)
{
    const struct json_value *v = json_member(object, slice_str(a));
    if (!v) v = json_member(object, slice_str(b));
    return v ? json_string(v) : (struct slice){ 0 };
}

static void read_json(enum aws_protocol protocol, const struct aws_response *response,
                      struct aws_error *out)
{
    struct json_error ignored;
    struct slice code = aws_response_header(response, "x-amzn-errortype");
    struct json_doc *doc = json_parse(response->body, AWS_ANSWER_CAP_BYTES, &ignored);
    if (doc) {
        const struct json_value *root = json_root(doc);
        if (code.len == 0) code = text_member(root, "__type", "code");
        if (code.len == 0) code = text_member(root, "Code", "error");
        copy_line(out->message, sizeof out->message, text_member(root, "message", "Message"));
        if (!out->message[0] && protocol == AWS_REST)
            copy_line(out->message, sizeof out->message,
                      text_member(root, "error_description", "errorMessage"));
    }
    copy_line(out->code, sizeof out->code, trim_code(code));
    json_free(doc);
}

static enum aws_fault sort(const struct aws_error *e)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (strcmp(codes[i].code, e->code) == 0) return codes[i].fault;
    if (e->status == 429) return AWS_FAULT_THROTTLED;
    return e->status >= 500 ? AWS_FAULT_TRANSIENT : AWS_FAULT_DENIED;
}

bool aws_error_read(enum aws_protocol protocol, const struct aws_response *response,
                    struct aws_error *out)
{
    *out = (struct aws_error){ .status = response->status };
    if (response->failure != AWS_HTTP_OK) {
        snprintf(out->code, sizeof out->code, "%s", aws_http_failure_text(response->failure));
        bool hopeless =
            response->failure == AWS_HTTP_TOO_LARGE || response->failure == AWS_HTTP_OFFLINE;
        out->fault = hopeless ? AWS_FAULT_DENIED : AWS_FAULT_TRANSIENT;
        return true;
    }
    if (response->status >= 200 && response->status < 300) return false;
    if (protocol == AWS_QUERY) {
        read_xml(response->body, out);
    } else {
        read_json(protocol, response, out);
    }
    if (!out->request_id[0])
        copy_line(out->request_id, sizeof out->request_id,
                  aws_response_header(response, "x-amzn-requestid"));
    if (!out->code[0]) snprintf(out->code, sizeof out->code, "HTTP %d", response->status);
    out->fault = sort(out);
    return true;
}

bool aws_fault_is_retriable(enum aws_fault fault)
{
    return fault == AWS_FAULT_THROTTLED || fault == AWS_FAULT_TRANSIENT;
}

const char *aws_error_hint(const struct aws_error *e)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (strcmp(codes[i].code, e->code) == 0) return codes[i].hint;
    if (e->status == 0 && strcmp(e->code, aws_http_failure_text(AWS_HTTP_OFFLINE)) == 0)
        return "these keys have to be fetched: put them into the environment first "
               "(eval \"$(aws configure export-credentials --format env)\")";
    if (e->status == 0)
        return "check the route to AWS: a VPC endpoint, a NAT gateway or https_proxy";
    return NULL;
}

bool aws_error_to_err(const struct aws_error *e, const char *what, struct err *err)
{
    err_set(err, ERR_NO_CREDENTIALS, "%s: %s%s%s%s%s%s", what, e->code, e->message[0] ? ": " : "",
            e->message, e->request_id[0] ? " (request " : "", e->request_id,
            e->request_id[0] ? ")" : "");
    const char *hint = aws_error_hint(e);
    if (hint) err_hint(err, "%s", hint);
    return false;
}
