#include "routing/dynamo_item.h"

static const struct json_value *typed(const struct json_value *value, const char *type)
{
    if (!value || json_type(value) != JSON_OBJECT || json_count(value) != 1) return NULL;
    const struct json_value *v = json_first(value);
    return slice_is(json_key(v), type) ? v : NULL;
}

const struct json_value *dynamo_attribute(const struct json_value *item, const char *name,
                                          const char *type)
{
    return typed(json_member(item, slice_str(name)), type);
}

struct slice dynamo_text(const struct json_value *item, const char *name)
{
    const struct json_value *v = dynamo_attribute(item, name, "S");
    return v ? json_string(v) : (struct slice){ 0 };
}

bool dynamo_number(const struct json_value *item, const char *name, uint64_t *out)
{
    /* Numbers travel as text. */
    const struct json_value *v = dynamo_attribute(item, name, "N");
    struct slice text = v ? json_string(v) : (struct slice){ 0 };
    uint64_t number = 0;
    if (text.len == 0 || text.len > 16) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        number = number * 10 + (uint64_t)(text.at[i] - '0');
    }
    *out = number;
    return true;
}

/* A number's text goes into a document unquoted: nothing but a number may. */
static bool is_number(struct slice s)
{
    struct json_error error;
    struct json_doc *doc = s.len && s.len <= 64 ? json_parse(s, 64, &error) : NULL;
    bool ok = doc && json_type(json_root(doc)) == JSON_NUMBER;
    json_free(doc);
    return ok;
}

static bool write_members(struct buf *out, const struct json_value *v)
{
    bool object = json_type(v) == JSON_OBJECT;
    buf_add_u8(out, object ? '{' : '[');
    for (const struct json_value *m = json_first(v); m; m = json_next(m)) {
        if (m != json_first(v)) buf_add_u8(out, ',');
        if (object) {
            json_quote(out, json_key(m));
            buf_add_u8(out, ':');
        }
        if (!dynamo_write(out, m)) return false;
    }
    buf_add_u8(out, object ? '}' : ']');
    return true;
}

static bool write_strings(struct buf *out, const struct json_value *set)
{
    buf_add_u8(out, '[');
    for (const struct json_value *m = json_first(set); m; m = json_next(m)) {
        if (json_type(m) != JSON_STRING) return false;
        if (m != json_first(set)) buf_add_u8(out, ',');
        json_quote(out, json_string(m));
    }
    buf_add_u8(out, ']');
    return true;
}

/* Depth is bounded by the parser's. */
bool dynamo_write(struct buf *out, const struct json_value *value)
{
    const struct json_value *v;
    if ((v = typed(value, "S")) && json_type(v) == JSON_STRING) {
        json_quote(out, json_string(v));
        return true;
    }
    if ((v = typed(value, "N")) && is_number(json_string(v))) {
        buf_add_slice(out, json_string(v));
        return true;
    }
    if ((v = typed(value, "BOOL")) && json_type(v) == JSON_BOOL) {
        buf_add_str(out, json_is_true(v) ? "true" : "false");
        return true;
    }
    if (typed(value, "NULL")) {
        buf_add_str(out, "null");
        return true;
    }
    if ((v = typed(value, "M")) && json_type(v) == JSON_OBJECT) return write_members(out, v);
    if ((v = typed(value, "L")) && json_type(v) == JSON_ARRAY) return write_members(out, v);
    if ((v = typed(value, "SS")) && json_type(v) == JSON_ARRAY) return write_strings(out, v);
    return false;
}
