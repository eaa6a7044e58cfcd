/* json: a strict reader of JSON documents, with positions.
 *
 * cJSON builds the tree and unescapes; it is mentioned nowhere else. It forgives
 * much and remembers no positions, so a scanner of our own goes first: it checks
 * every byte, blanks comments, and notes where each value stands. What it accepts
 * is RFC 8259, plus comments (two slashes, or slash-star) and a leading byte order mark.
 * Errors, always with line and column: anything else after the value, duplicate keys,
 * nesting beyond 64, numbers outside a double's range, raw control bytes, NUL
 * (written as \u0000 too), broken UTF-8 or surrogates, a document over the cap.
 *
 * A document owns all its values; values are read-only and may be read by many threads.
 */
#ifndef SLUICE_PROTOCOL_JSON_H
#define SLUICE_PROTOCOL_JSON_H

#include "protocol/buf.h"
#include "protocol/slice.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum { JSON_DEPTH_MAX = 64 };

struct json_doc;
struct json_value;

struct json_error {
    size_t offset;         /* in bytes from 0 */
    uint32_t line, column; /* from 1; columns count bytes */
    char text[160];        /* may quote the document: escape before it meets a terminal */
};

/* Reads `text`, at most `cap_bytes` of it; NULL and `*error` filled on failure. The text is not
 * needed afterwards. Linear time but for the members of an object, which are sorted. */
struct json_doc *json_parse(struct slice text, size_t cap_bytes, struct json_error *error);
void json_free(struct json_doc *doc);

const struct json_value *json_root(const struct json_doc *doc);

/* The value's number in document order, the root being 0, and back. Members and elements of a
 * value have higher numbers than the value. NULL beyond the last. */
uint32_t json_number_of(const struct json_doc *doc, const struct json_value *v);
const struct json_value *json_at(const struct json_doc *doc, uint32_t number);

enum json_type json_type(const struct json_value *v);
const char *json_type_name(enum json_type type); /* "a string", "an object", ... */

/* Where the value starts. */
size_t json_offset(const struct json_value *v);
uint32_t json_line(const struct json_value *v);
uint32_t json_column(const struct json_value *v);

/* The key a member stands under, unescaped, and its line; empty and the value's line otherwise. */
struct slice json_key(const struct json_value *v);
uint32_t json_key_line(const struct json_value *v);

/* What a value holds; of another type: false, the empty slice. Strings are valid UTF-8 without
 * NUL, and NUL-terminated behind their end. */
bool json_is_true(const struct json_value *v);
struct slice json_string(const struct json_value *v);

/* False unless the value is written as an integer (no fraction, no exponent) that fits. */
bool json_integer(const struct json_value *v, int64_t *out);

/* False unless the value is a number; one that is no double is rounded to the nearest. */
bool json_number(const struct json_value *v, double *out);

/* Elements or members, in document order: first, then next until NULL. */
size_t json_count(const struct json_value *v);
const struct json_value *json_first(const struct json_value *v);
const struct json_value *json_next(const struct json_value *v);

/* The member under `key`, in logarithmic time; NULL when there is none or `v` is no object. */
const struct json_value *json_member(const struct json_value *v, struct slice key);

/* Appends `s` as a JSON string with its quotes. NUL and bytes that are not UTF-8 become U+FFFD; DEL
 * and control bytes are escaped. */
void json_quote(struct buf *out, struct slice s);

/* The length of the UTF-8 sequence at the start of `s`: 1-4, or 0 when it is none (RFC 3629). */
unsigned utf8_length(struct slice s);

#endif
