/* slice: bytes that somebody else owns.
 *
 * A pointer and a length, passed by value. Not NUL-terminated, never freed,
 * valid only as long as its owner says. Every parser here takes slices, so that
 * no length is ever found by looking for a NUL.
 */
#ifndef SLUICE_PROTOCOL_SLICE_H
#define SLUICE_PROTOCOL_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *at;
    size_t len;
};

/* printf("%.*s", SLICE_ARG(s)): for text that is known to be clean. */
#define SLICE_ARG(s) (int)(s).len, (s).at

static inline struct slice slice_of(const void *at, size_t len)
{
    return (struct slice){ at, len };
}

/* The bytes of a C string, without its NUL; NULL gives the empty slice. */
static inline struct slice slice_str(const char *text)
{
    return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_eq(a, slice_str(text));
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Equal but for the case of ASCII letters; no locale is consulted. */
static inline bool slice_is_nocase(struct slice a, const char *text)
{
    size_t i = 0;
    for (; i < a.len && text[i]; i++)
        if (ascii_lower(a.at[i]) != ascii_lower(text[i])) return false;
    return i == a.len && !text[i];
}

static inline bool slice_starts(struct slice a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.at, prefix, n) == 0;
}

/* What is left after the first `n` bytes; `n` beyond the end gives the empty slice. */
static inline struct slice slice_after(struct slice a, size_t n)
{
    return n >= a.len ? (struct slice){ a.at + a.len, 0 } : (struct slice){ a.at + n, a.len - n };
}

#endif
