#include "routing/json_write.h"

static void write_number(struct buf *out, const struct json_value *v)
{
    int64_t whole;
    double number = 0;
    if (json_integer(v, &whole)) {
        buf_addf(out, "%lld", (long long)whole);
        return;
    }
    json_number(v, &number);
    buf_addf(out, "%.17g", number);
}

/* Depth is bounded by the parser's JSON_DEPTH_MAX. */
void json_write(struct buf *out, const struct json_value *v)
{
    enum json_type type = json_type(v);
    switch (type) {
    case JSON_NULL: buf_add_str(out, "null"); return;
    case JSON_BOOL: buf_add_str(out, json_is_true(v) ? "true" : "false"); return;
    case JSON_NUMBER: write_number(out, v); return;
    case JSON_STRING: json_quote(out, json_string(v)); return;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    buf_add_u8(out, type == JSON_ARRAY ? '[' : '{');
    for (const struct json_value *m = json_first(v); m; m = json_next(m)) {
        if (m != json_first(v)) buf_add_u8(out, ',');
        if (type == JSON_OBJECT) {
            json_quote(out, json_key(m));
            buf_add_u8(out, ':');
        }
        json_write(out, m);
    }
    buf_add_u8(out, type == JSON_ARRAY ? ']' : '}');
}
