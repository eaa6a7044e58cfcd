#include "auth/saslprep.h"

#include "auth/nfkc.h"

#include <stdlib.h>

struct range {
    uint32_t first, last;
};
#define RANGE(first, last) { 0x##first, 0x##last },

static const struct range spaces[] = {
#define SPACE RANGE
#include "auth/unicode.def"
};
static const struct range nothings[] = {
#define NOTHING RANGE
#include "auth/unicode.def"
};
static const struct range prohibited[] = {
#define PROHIBITED RANGE
#include "auth/unicode.def"
};
static const struct range unassigned[] = {
#define UNASSIGNED RANGE
#include "auth/unicode.def"
};
static const struct range right_to_left[] = {
#define RIGHT RANGE
#include "auth/unicode.def"
};
static const struct range left_to_right[] = {
#define LEFT RANGE
#include "auth/unicode.def"
};

static bool is_in(uint32_t code, const struct range *ranges, size_t count)
{
    while (count > 0) {
        const struct range *middle = ranges + count / 2;
        if (code >= middle->first && code <= middle->last) return true;
        if (code < middle->first) {
            count /= 2;
        } else {
            ranges = middle + 1;
            count -= count / 2 + 1;
        }
    }
    return false;
}
#define IS_IN(code, ranges) is_in(code, ranges, sizeof(ranges) / sizeof *(ranges))

/* ---- UTF-8 -------------------------------------------------------------------------------- */

/* One code point, strictly (RFC 3629: no overlong forms, no surrogates); false when it is none. */
static bool utf8_next(struct slice *left, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t head = (uint8_t)left->at[0];
    size_t n = head < 0x80 ? 1 : head < 0xc0 ? 0 : head < 0xe0 ? 2 : head < 0xf0 ? 3 : 4;
    if (n == 0 || head > 0xf4 || n > left->len) return false;
    *code = n == 1 ? head : head & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        uint8_t byte = (uint8_t)left->at[i];
        if ((byte & 0xc0) != 0x80) return false;
        *code = *code << 6 | (byte & 0x3f);
    }
    if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) return false;
    *left = slice_after(*left, n);
    return true;
}

static void utf8_print(uint32_t code, struct buf *out)
{
    if (code < 0x80) {
        buf_add_u8(out, (uint8_t)code);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    buf_add_u8(out, (uint8_t)(0xffu << (7 - more) | code >> (6 * more)));
    while (more--) buf_add_u8(out, (uint8_t)(0x80 | (code >> (6 * more) & 0x3f)));
}

/* ---- the profile -------------------------------------------------------------------------- */

/* RFC 4013, section 2.3 and 2.4, on what was mapped but, as in PostgreSQL, not yet normalised. */
static bool is_allowed(const uint32_t *codes, size_t count)
{
    bool has_right = false, has_left = false;
    for (size_t i = 0; i < count; i++) {
        if (IS_IN(codes[i], prohibited) || IS_IN(codes[i], unassigned)) return false;
        has_right |= IS_IN(codes[i], right_to_left);
        has_left |= IS_IN(codes[i], left_to_right);
    }
    /* RFC 3454, section 6. */
    return !has_right ||
           (!has_left && IS_IN(codes[0], right_to_left) && IS_IN(codes[count - 1], right_to_left));
}

/* Decodes and maps (RFC 4013, section 2.1). False: not UTF-8, or nothing is left. */
static bool map(struct slice password, uint32_t *codes, size_t *count)
{
    *count = 0;
    while (password.len) {
        uint32_t code;
        if (!utf8_next(&password, &code)) return false;
        if (IS_IN(code, spaces))
            codes[(*count)++] = ' ';
        else if (!IS_IN(code, nothings))
            codes[(*count)++] = code;
    }
    return *count > 0;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.at[i] >= 0x80) return false;
    return true;
}

bool saslprep(struct slice password, struct buf *out)
{
    buf_reserve(out, password.len);
    if (is_ascii(password)) {
        buf_add_slice(out, password);
        return !out->failed;
    }
    struct buf mapped = { 0 }, normal = { 0 };
    uint32_t *codes = buf_extend(&mapped, password.len * sizeof *codes);
    size_t count;
    bool done = codes != NULL;
    if (done && map(password, codes, &count) && is_allowed(codes, count)) {
        done = nfkc(codes, count, &normal);
        for (uint32_t at = 0; done && at < normal.len; at += (uint32_t)sizeof *codes) {
            uint32_t code;
            memcpy(&code, normal.at + at, sizeof code);
            utf8_print(code, out);
        }
    } else if (done) {
        buf_add_slice(out, password);
    }
    buf_wipe(&mapped);
    buf_wipe(&normal);
    return done && !out->failed;
}
