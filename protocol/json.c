#include "protocol/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The values in document order. A value's `span` counts itself and all that is inside it, so the
 * first element is the next in the array and the next sibling is `span` further: the array needs
 * no pointers, and nothing here ever recurses to walk it. */
struct json_value {
    const cJSON *item;
    const uint32_t *order; /* of an object: its members' distances from itself, sorted by key */
    size_t offset;
    uint32_t line, column, key_line;
    uint32_t span, count;
    bool is_last;    /* no sibling follows */
    bool is_integer; /* a number without fraction and exponent */
    uint8_t type;    /* enum json_type, as the scanner saw it */
    int64_t integer; /* when is_integer and it fits */
};

struct json_doc {
    cJSON *tree;
    struct json_value *values;
    uint32_t *orders;
    uint32_t count, cap;
};

/* ---- the scanner -----------------------------------------------------------------------------*/

struct scan {
    struct json_doc *doc;
    const char *text;
    char *plain; /* the same bytes with comments blanked: what cJSON reads */
    size_t len, at;
    size_t line_start;
    uint32_t line;
    struct json_error *error;
};

__attribute__((format(printf, 3, 4))) static bool refuse(struct scan *s, size_t offset,
                                                         const char *format, ...)
{
    s->error->offset = offset;
    s->error->line = s->line;
    s->error->column = (uint32_t)(offset - s->line_start) + 1;
    va_list args;
    va_start(args, format);
    vsnprintf(s->error->text, sizeof s->error->text, format, args);
    va_end(args);
    return false;
}

/* Says what stands at the cursor, for "expected X, found Y". */
static bool refuse_expected(struct scan *s, const char *expected)
{
    if (s->at == s->len)
        return refuse(s, s->at, "expected %s, found the end of the file", expected);
    unsigned char c = (unsigned char)s->text[s->at];
    if (c > 0x20 && c < 0x7f) return refuse(s, s->at, "expected %s, found '%c'", expected, c);
    return refuse(s, s->at, "expected %s, found byte 0x%02x", expected, c);
}

static bool at_end(const struct scan *s) { return s->at == s->len; }

static bool next_is(const struct scan *s, char c) { return s->at < s->len && s->text[s->at] == c; }

/* The comment at the cursor, which stands on its first slash. */
static bool skip_comment(struct scan *s)
{
    size_t start = s->at;
    char kind = s->len - s->at > 1 ? s->text[s->at + 1] : 0;
    if (kind != '/' && kind != '*') return refuse_expected(s, "a value or a comment");
    s->at += 2;
    if (kind == '/') {
        while (s->at < s->len && s->text[s->at] != '\n' && s->text[s->at] != '\r') s->at++;
    } else {
        uint32_t line = s->line;
        size_t line_start = s->line_start;
        while (s->len - s->at > 1 && !(s->text[s->at] == '*' && s->text[s->at + 1] == '/')) {
            if (s->text[s->at++] == '\n') {
                line++;
                line_start = s->at;
            }
        }
        if (s->len - s->at < 2) return refuse(s, start, "this comment never ends");
        s->at += 2;
        s->line = line;
        s->line_start = line_start;
    }
    memset(s->plain + start, ' ', s->at - start);
    return true;
}

static bool skip_space(struct scan *s)
{
    for (; s->at < s->len; s->at++) {
        switch (s->text[s->at]) {
        case '\n':
            s->line++;
            s->line_start = s->at + 1;
            break;
        case ' ':
        case '\t':
        case '\r': break;
        case '/':
            if (!skip_comment(s)) return false;
            s->at--; /* the loop steps once more */
            break;
        default: return true;
        }
    }
    return true;
}

unsigned utf8_length(struct slice s)
{
    if (s.len == 0) return 0;
    const unsigned char *p = (const unsigned char *)s.at;
    if (p[0] < 0x80) return 1;
    unsigned n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (n == 0 || s.len < n) return 0;
    for (unsigned i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF (RFC 3629 section 4). */
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0;
    if (p[0] == 0xed && p[1] > 0x9f) return 0;
    if (p[0] == 0xf0 && p[1] < 0x90) return 0;
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0;
    return n;
}

/* Four hex digits behind \u; -1 when they are not there. The cursor does not move. */
static int hex4(const struct scan *s, size_t at)
{
    if (s->len - at < 4) return -1;
    int value = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = ascii_lower(s->text[i]);
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The escape whose backslash is at the cursor. */
static bool scan_escape(struct scan *s)
{
    char kind = s->len - s->at > 1 ? s->text[s->at + 1] : 0;
    if (kind && strchr("\"\\/bfnrt", kind)) {
        s->at += 2;
        return true;
    }
    if (kind != 'u') return refuse(s, s->at, "unknown escape in a string");
    int unit = hex4(s, s->at + 2);
    if (unit < 0) return refuse(s, s->at, "\\u needs four hexadecimal digits");
    if (unit == 0) return refuse(s, s->at, "a string cannot hold NUL");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return refuse(s, s->at, "low surrogate without a high one");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        int low = -1;
        if (s->len - s->at >= 12 && s->text[s->at + 6] == '\\' && s->text[s->at + 7] == 'u')
            low = hex4(s, s->at + 8);
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(s, s->at, "high surrogate without a low one");
        s->at += 6;
    }
    s->at += 6;
    return true;
}

/* The string whose opening quote is at the cursor. */
static bool scan_string(struct scan *s)
{
    size_t start = s->at++;
    while (!at_end(s)) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\n' || c == '\r') break;
        if (c < 0x20)
            return refuse(s, s->at, "control byte 0x%02x in a string; write \\u%04x", c, c);
        if (c == '\\') {
            if (!scan_escape(s)) return false;
            continue;
        }
        unsigned n = utf8_length(slice_of(s->text + s->at, s->len - s->at));
        if (n == 0) return refuse(s, s->at, "not UTF-8 (byte 0x%02x)", c);
        s->at += n;
    }
    return refuse(s, start, "this string is not closed on its line");
}

static bool skip_digits(struct scan *s)
{
    size_t start = s->at;
    while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9') s->at++;
    return s->at > start;
}

/* Fits the digits into v->integer where they do fit. */
static void keep_integer(struct json_value *v, struct slice digits)
{
    bool negative = digits.at[0] == '-';
    int64_t n = 0;
    for (size_t i = negative; i < digits.len; i++) {
        /* Counting downward, since the range reaches one further below zero. */
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, digits.at[i] - '0', &n))
            return;
    }
    if (!negative && n == INT64_MIN) return;
    v->integer = negative ? n : -n;
    v->is_integer = true;
}

/* RFC 8259 section 6. */
static bool scan_number(struct scan *s, struct json_value *v)
{
    /* cJSON copies a number into 64 bytes and would silently go on in its middle. */
    enum { CJSON_NUMBER_BYTES = 63 };
    size_t start = s->at;
    bool is_integer = true;
    if (next_is(s, '-')) s->at++;
    if (next_is(s, '0'))
        s->at++;
    else if (!skip_digits(s))
        return refuse_expected(s, "a digit");
    if (next_is(s, '.')) {
        is_integer = false;
        s->at++;
        if (!skip_digits(s)) return refuse_expected(s, "a digit");
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        is_integer = false;
        s->at++;
        if (next_is(s, '+') || next_is(s, '-')) s->at++;
        if (!skip_digits(s)) return refuse_expected(s, "a digit");
    }
    if (s->at < s->len && strchr("+-.0123456789", s->text[s->at]) && s->text[s->at])
        return refuse(s, start, "malformed number");
    if (s->at - start > CJSON_NUMBER_BYTES) return refuse(s, start, "number out of range");
    if (is_integer) keep_integer(v, slice_of(s->text + start, s->at - start));
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    if (!slice_starts(slice_of(s->text + s->at, s->len - s->at), word))
        return refuse_expected(s, "a value");
    s->at += strlen(word);
    return true;
}

/* A new value at the cursor; its index, or UINT32_MAX when memory ran out. */
static uint32_t add_value(struct scan *s, enum json_type type)
{
    struct json_doc *doc = s->doc;
    if (doc->count == doc->cap) {
        uint32_t cap = doc->cap ? doc->cap * 2 : 64;
        struct json_value *values = realloc(doc->values, cap * sizeof *values);
        if (!values) {
            refuse(s, s->at, "out of memory");
            return UINT32_MAX;
        }
        doc->values = values;
        doc->cap = cap;
    }
    doc->values[doc->count] = (struct json_value){
        .offset = s->at,
        .line = s->line,
        .column = (uint32_t)(s->at - s->line_start) + 1,
        .key_line = s->line,
        .span = 1,
        .is_last = true,
        .type = (uint8_t)type,
    };
    return doc->count++;
}

static bool scan_value(struct scan *s, unsigned depth);

/* The inside of an array or object, whose opening bracket is at the cursor and whose value is
 * number `self`. */
static bool scan_inside(struct scan *s, uint32_t self, unsigned depth)
{
    bool is_object = s->text[s->at] == '{';
    char closing = is_object ? '}' : ']';
    uint32_t previous = 0, count = 0;
    if (depth == JSON_DEPTH_MAX) return refuse(s, s->at, "nested deeper than %d", JSON_DEPTH_MAX);
    s->at++;
    if (!skip_space(s)) return false;
    while (!next_is(s, closing)) {
        if (count > 0) {
            if (!next_is(s, ','))
                return refuse_expected(s, is_object ? "',' or '}'" : "',' or ']'");
            s->at++;
            if (!skip_space(s)) return false;
            if (next_is(s, closing)) return refuse(s, s->at, "a comma before '%c'", closing);
        }
        uint32_t key_line = 0;
        if (is_object) {
            if (!next_is(s, '"')) return refuse_expected(s, "a key in quotes");
            key_line = s->line;
            if (!scan_string(s) || !skip_space(s)) return false;
            if (!next_is(s, ':')) return refuse_expected(s, "':'");
            s->at++;
            if (!skip_space(s)) return false;
        }
        uint32_t element = s->doc->count;
        if (!scan_value(s, depth + 1) || !skip_space(s)) return false;
        if (is_object) s->doc->values[element].key_line = key_line;
        if (count > 0) s->doc->values[previous].is_last = false;
        previous = element;
        count++;
    }
    s->at++;
    s->doc->values[self].count = count;
    s->doc->values[self].span = s->doc->count - self;
    return true;
}

static bool scan_value(struct scan *s, unsigned depth)
{
    char c = at_end(s) ? 0 : s->text[s->at];
    enum json_type type = c == '{'                             ? JSON_OBJECT
                          : c == '['                           ? JSON_ARRAY
                          : c == '"'                           ? JSON_STRING
                          : c == 't' || c == 'f'               ? JSON_BOOL
                          : c == 'n'                           ? JSON_NULL
                          : c == '-' || (c >= '0' && c <= '9') ? JSON_NUMBER
                                                               : JSON_NULL;
    uint32_t self = add_value(s, type);
    if (self == UINT32_MAX) return false;
    switch (c) {
    case '{':
    case '[': return scan_inside(s, self, depth);
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default:
        if (type == JSON_NUMBER) return scan_number(s, &s->doc->values[self]);
        return refuse_expected(s, "a value");
    }
}

static bool scan_document(struct scan *s)
{
    if (slice_starts(slice_of(s->text, s->len), "\xef\xbb\xbf")) {
        memset(s->plain, ' ', 3);
        s->at = s->line_start = 3;
    }
    if (!skip_space(s) || !scan_value(s, 0) || !skip_space(s)) return false;
    return at_end(s) || refuse_expected(s, "the end of the file");
}

/* ---- cJSON's tree, hung into our array --------------------------------------------------------*/

static bool same_type(const cJSON *item, enum json_type type)
{
    switch (type) {
    case JSON_NULL: return cJSON_IsNull(item);
    case JSON_BOOL: return cJSON_IsBool(item);
    case JSON_NUMBER: return cJSON_IsNumber(item);
    case JSON_STRING: return cJSON_IsString(item);
    case JSON_ARRAY: return cJSON_IsArray(item);
    case JSON_OBJECT: return cJSON_IsObject(item);
    }
    return false;
}

static bool refuse_value(const struct json_value *v, struct json_error *error, const char *text)
{
    error->offset = v->offset;
    error->line = v->line;
    error->column = v->column;
    snprintf(error->text, sizeof error->text, "%s", text);
    return false;
}

/* Both orders are document order. Depth is at most 64, see scan_inside. */
static bool hang(struct json_doc *doc, const cJSON *item, uint32_t *at, struct json_error *error)
{
    struct json_value *self = &doc->values[*at < doc->count ? *at : 0];
    if (*at >= doc->count || !same_type(item, self->type))
        return refuse_value(self, error, "not understood");
    self->item = item;
    if (self->type == JSON_NUMBER && !isfinite(item->valuedouble))
        return refuse_value(self, error, "number out of range");
    ++*at;
    for (const cJSON *child = item->child; child; child = child->next)
        if (!hang(doc, child, at, error)) return false;
    return true;
}

/* qsort has no context argument: what is sorted carries its key. */
struct named {
    const char *key;
    uint32_t distance;
};

static int by_key(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->distance > y->distance) - (x->distance < y->distance);
}

/* Sorts an object's members for json_member, and finds the first key that stands twice. */
static bool order_members(struct json_value *object, struct named *names, uint32_t *order,
                          struct json_error *error)
{
    uint32_t n = 0, twice = UINT32_MAX, before = 0;
    for (const struct json_value *m = json_first(object); m; m = json_next(m), n++)
        names[n] = (struct named){ m->item->string, (uint32_t)(m - object) };
    qsort(names, n, sizeof *names, by_key);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = names[i].distance;
        if (i > 0 && strcmp(names[i - 1].key, names[i].key) == 0 && names[i].distance < twice) {
            twice = names[i].distance;
            before = names[i - 1].distance;
        }
    }
    object->order = order;
    if (twice == UINT32_MAX) return true;
    const struct json_value *again = object + twice;
    refuse_value(again, error, "");
    error->line = again->key_line;
    snprintf(error->text, sizeof error->text, "key \"%.80s\" stands twice, first on line %u",
             again->item->string, (object + before)->key_line);
    return false;
}

static bool order_all(struct json_doc *doc, struct json_error *error)
{
    /* Every member is a value other than the root, so `count` slots are enough. */
    struct named *names = malloc(doc->count * sizeof *names);
    doc->orders = malloc(doc->count * sizeof *doc->orders);
    bool ok = names && doc->orders;
    if (!ok) refuse_value(&doc->values[0], error, "out of memory");
    uint32_t used = 0;
    for (uint32_t i = 0; ok && i < doc->count; i++) {
        struct json_value *v = &doc->values[i];
        if (v->type != JSON_OBJECT) continue;
        ok = order_members(v, names, doc->orders + used, error);
        used += v->count;
    }
    free(names);
    return ok;
}

static bool build_tree(struct scan *s)
{
    struct json_doc *doc = s->doc;
    struct json_error *error = s->error;
    /* The length counts the NUL, which require_null_terminated looks for. */
    doc->tree = cJSON_ParseWithLengthOpts(s->plain, s->len + 1, NULL, true);
    if (!doc->tree) return refuse_value(&doc->values[0], error, "out of memory");
    uint32_t hung = 0;
    if (!hang(doc, doc->tree, &hung, error)) return false;
    return order_all(doc, error);
}

struct json_doc *json_parse(struct slice text, size_t cap_bytes, struct json_error *error)
{
    *error = (struct json_error){ .line = 1, .column = 1 };
    if (text.len > cap_bytes || text.len > BUF_CAP_BYTES) {
        snprintf(error->text, sizeof error->text, "document of %zu bytes, more than %zu", text.len,
                 cap_bytes);
        return NULL;
    }
    struct json_doc *doc = calloc(1, sizeof *doc);
    char *plain = malloc(text.len + 1);
    bool ok = false;
    if (doc && plain) {
        if (text.len > 0) memcpy(plain, text.at, text.len);
        plain[text.len] = '\0';
        struct scan scan = { .doc = doc,
                             .text = text.len > 0 ? text.at : plain,
                             .plain = plain,
                             .len = text.len,
                             .line = 1,
                             .error = error };
        ok = scan_document(&scan) && build_tree(&scan);
        explicit_bzero(plain, text.len); /* a document may hold verifiers */
    } else {
        snprintf(error->text, sizeof error->text, "out of memory");
    }
    free(plain);
    if (ok) return doc;
    json_free(doc);
    return NULL;
}

void json_free(struct json_doc *doc)
{
    if (!doc) return;
    for (uint32_t i = 0; i < doc->count; i++) {
        const cJSON *item = doc->values[i].item;
        if (item && item->valuestring) explicit_bzero(item->valuestring, strlen(item->valuestring));
    }
    cJSON_Delete(doc->tree);
    free(doc->values);
    free(doc->orders);
    free(doc);
}

/* ---- reading ----------------------------------------------------------------------------------*/

const struct json_value *json_root(const struct json_doc *doc) { return doc->values; }

uint32_t json_number_of(const struct json_doc *doc, const struct json_value *v)
{
    return (uint32_t)(v - doc->values);
}

const struct json_value *json_at(const struct json_doc *doc, uint32_t number)
{
    return number < doc->count ? &doc->values[number] : NULL;
}

enum json_type json_type(const struct json_value *v) { return v->type; }

const char *json_type_name(enum json_type type)
{
    switch (type) {
    case JSON_NULL: return "null";
    case JSON_BOOL: return "true or false";
    case JSON_NUMBER: return "a number";
    case JSON_STRING: return "a string";
    case JSON_ARRAY: return "a list";
    case JSON_OBJECT: return "an object";
    }
    return "?";
}

size_t json_offset(const struct json_value *v) { return v->offset; }

uint32_t json_line(const struct json_value *v) { return v->line; }

uint32_t json_column(const struct json_value *v) { return v->column; }

struct slice json_key(const struct json_value *v) { return slice_str(v->item->string); }

uint32_t json_key_line(const struct json_value *v) { return v->key_line; }

bool json_is_true(const struct json_value *v) { return cJSON_IsTrue(v->item); }

struct slice json_string(const struct json_value *v)
{
    return slice_str(v->type == JSON_STRING ? v->item->valuestring : NULL);
}

bool json_integer(const struct json_value *v, int64_t *out)
{
    if (v->is_integer) *out = v->integer;
    return v->is_integer;
}

bool json_number(const struct json_value *v, double *out)
{
    if (v->type != JSON_NUMBER) return false;
    *out = v->item->valuedouble;
    return true;
}

size_t json_count(const struct json_value *v) { return v->count; }

const struct json_value *json_first(const struct json_value *v) { return v->count ? v + 1 : NULL; }

const struct json_value *json_next(const struct json_value *v)
{
    return v->is_last ? NULL : v + v->span;
}

/* Like strcmp of a NUL-free slice with a C string. */
static int compare_key(struct slice key, const char *name)
{
    size_t n = strlen(name);
    size_t common = key.len < n ? key.len : n;
    int order = common ? memcmp(key.at, name, common) : 0;
    return order ? order : (key.len > n) - (key.len < n);
}

const struct json_value *json_member(const struct json_value *v, struct slice key)
{
    if (v->type != JSON_OBJECT) return NULL;
    uint32_t low = 0, high = v->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct json_value *member = v + v->order[middle];
        int order = compare_key(key, member->item->string);
        if (order == 0) return member;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- writing ----------------------------------------------------------------------------------*/

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return NULL;
    }
}

void json_quote(struct buf *out, struct slice s)
{
    buf_add_u8(out, '"');
    while (s.len > 0) {
        /* Runs that need nothing go in one piece. */
        size_t run = 0;
        while (run < s.len && (unsigned char)s.at[run] >= 0x20 && (unsigned char)s.at[run] < 0x7f &&
               s.at[run] != '"' && s.at[run] != '\\')
            run++;
        buf_add(out, s.at, run);
        s = slice_after(s, run);
        if (s.len == 0) break;
        unsigned char c = (unsigned char)s.at[0];
        unsigned n = utf8_length(s);
        if (short_escape(c))
            buf_add_str(out, short_escape(c));
        else if (n == 0 || c == 0)
            buf_add_str(out, "\\ufffd");
        else if (n == 1)
            buf_addf(out, "\\u%04x", c);
        else if (n == 2 && c == 0xc2 &&
                 (unsigned char)s.at[1] < 0xa0) /* a terminal's C1 controls */
            buf_addf(out, "\\u%04x", (unsigned char)s.at[1]);
        else
            buf_add(out, s.at, n);
        s = slice_after(s, n ? n : 1);
    }
    buf_add_u8(out, '"');
}
