/* fuzz_json: what the reader accepts it understands whole, and can say again. */
#include "protocol/json.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

/* Writes the value again, without comments and blanks. Recursion is as deep as the document. */
static void print(struct buf *out, const struct json_value *v, struct slice text)
{
    bool is_object = json_type(v) == JSON_OBJECT;
    int64_t n;
    switch (json_type(v)) {
    case JSON_NULL: buf_add_str(out, "null"); break;
    case JSON_BOOL: buf_add_str(out, json_is_true(v) ? "true" : "false"); break;
    case JSON_NUMBER:
        if (json_integer(v, &n))
            buf_addf(out, "%lld", (long long)n);
        else
            buf_add_str(out, "0.5");
        break;
    case JSON_STRING: json_quote(out, json_string(v)); break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        buf_add_u8(out, is_object ? '{' : '[');
        for (const struct json_value *m = json_first(v); m; m = json_next(m)) {
            if (m != json_first(v)) buf_add_u8(out, ',');
            require(json_offset(m) > json_offset(v) && json_offset(m) < text.len);
            require(json_line(m) >= json_line(v) && json_line(m) >= json_key_line(m));
            if (is_object) {
                require(json_member(v, json_key(m)) == m);
                json_quote(out, json_key(m));
                buf_add_u8(out, ':');
            }
            print(out, m, text);
        }
        buf_add_u8(out, is_object ? '}' : ']');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CAP_BYTES = 1 << 20 };
    struct json_error error;
    struct slice text = slice_of(data, size);
    struct json_doc *doc = json_parse(text, CAP_BYTES, &error);
    if (!doc) {
        require(error.text[0] && error.line > 0 && error.column > 0 && error.offset <= size);
        return 0;
    }
    struct buf once = { 0 }, twice = { 0 };
    print(&once, json_root(doc), text);
    struct json_doc *again = json_parse(buf_slice(&once), BUF_CAP_BYTES, &error);
    require(again != NULL);
    print(&twice, json_root(again), buf_slice(&once));
    require(slice_eq(buf_slice(&once), buf_slice(&twice)));
    for (uint32_t i = 0; json_at(doc, i) || json_at(again, i); i++)
        require(json_at(doc, i) && json_at(again, i) &&
                json_type(json_at(doc, i)) == json_type(json_at(again, i)));
    json_free(again);
    json_free(doc);
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
