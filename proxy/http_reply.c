#include "proxy/http_reply.h"

#include "protocol/json.h"

void http_no_memory(struct http_exchange *x)
{
    http_answer(x, 500, NULL, NULL, slice_str("out of memory\n"));
}

void http_answer_buf(struct http_exchange *x, unsigned status, const char *type, const char *header,
                     struct buf *body)
{
    if (body->failed)
        http_no_memory(x);
    else
        http_answer(x, status, type, header, buf_slice(body));
    buf_fini(body);
}

void http_answer_text(struct http_exchange *x, unsigned status, const char *header,
                      struct buf *body)
{
    http_answer_buf(x, status, NULL, header, body);
}

void http_answer_json(struct http_exchange *x, unsigned status, const char *header,
                      struct buf *body)
{
    http_answer_buf(x, status, "application/json", header, body);
}

static void add_member(struct buf *out, const char *key, const char *value)
{
    if (!value[0]) return;
    buf_addf(out, ",\"%s\":", key);
    json_quote(out, slice_str(value));
}

void http_answer_err(struct http_exchange *x, unsigned status, const struct err *err)
{
    struct buf out = { 0 };
    buf_addf(&out, "{\"error\":{\"sqlstate\":\"%s\"", err_sqlstate(err->code));
    add_member(&out, "message", err->message);
    add_member(&out, "detail", err->detail);
    add_member(&out, "hint", err->hint);
    buf_add_str(&out, "}}\n");
    http_answer_json(x, status, NULL, &out);
}
