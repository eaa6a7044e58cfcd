#include "auth/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct buf *out, struct slice bytes)
{
    const uint8_t *in = (const uint8_t *)bytes.at;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)in[i] << 16;
        if (have > 1) group |= (uint32_t)in[i + 1] << 8;
        if (have > 2) group |= in[i + 2];
        for (size_t k = 0; k <= have; k++)
            buf_add_u8(out, (uint8_t)alphabet[group >> (18 - 6 * k) & 63]);
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(struct buf *out, struct slice text)
{
    if (text.len % 4 == 1) return false;
    uint32_t start = out->len, bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = value_of(text.at[i]);
        if (v < 0) goto bad;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_u8(out, (uint8_t)(bits >> have));
            bits &= (1u << have) - 1;
        }
    }
    if (bits != 0) goto bad; /* left-over bits: another spelling of the same bytes */
    return !out->failed;
bad:
    buf_truncate(out, start);
    return false;
}
