#include "auth/base64.h"

void base64_print(struct slice bytes, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (bytes.len > BUF_CAP_BYTES / 2) {
        out->failed = true;
        return;
    }
    char *to = buf_extend(out, (bytes.len + 2) / 3 * 4);
    if (!to) return;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t v = (uint32_t)(uint8_t)bytes.at[i] << 16;
        if (left > 1) v |= (uint32_t)(uint8_t)bytes.at[i + 1] << 8;
        if (left > 2) v |= (uint8_t)bytes.at[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[v & 63] : '=';
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_parse(struct slice text, uint8_t *out, size_t cap, size_t *len)
{
    *len = 0;
    if (text.len % 4) return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.at[text.len - 1 - padding] == '=') padding++;
    size_t n = text.len / 4 * 3 - padding;
    if (n > cap) return false;

    uint32_t bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool is_padding = i >= text.len - padding;
        int value = is_padding ? 0 : value_of(text.at[i]);
        if (value < 0) return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 3) continue;
        for (int shift = 16; shift >= 0; shift -= 8) {
            uint8_t byte = (uint8_t)(bits >> shift);
            if (*len < n)
                out[(*len)++] = byte;
            else if (byte)
                return false;
        }
        bits = 0;
    }
    return true;
}
