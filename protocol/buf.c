#include "protocol/buf.h"

#include <stdio.h>
#include <stdlib.h>

void buf_fini(struct buf *b)
{
    if (b->secret && b->at) explicit_bzero(b->at, b->cap);
    free(b->at);
    *b = (struct buf){ .secret = b->secret };
}

void buf_wipe(struct buf *b)
{
    if (b->at) explicit_bzero(b->at, b->cap);
    buf_fini(b);
}

bool buf_reserve(struct buf *b, size_t n)
{
    if (b->failed) return false;
    if (n <= b->cap - b->len) return true;
    if (n > BUF_CAP_BYTES - b->len) {
        b->failed = true;
        return false;
    }
    size_t want = b->len + n;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want) cap *= 2;
    char *at = b->secret ? malloc(cap) : realloc(b->at, cap);
    if (!at) {
        b->failed = true;
        return false;
    }
    if (b->secret && b->at) { /* realloc would leave a readable copy behind */
        memcpy(at, b->at, b->len);
        explicit_bzero(b->at, b->cap);
        free(b->at);
    }
    b->at = at;
    b->cap = (uint32_t)cap;
    return true;
}

void *buf_extend(struct buf *b, size_t n)
{
    if (!buf_reserve(b, n)) return NULL;
    void *room = b->at + b->len;
    b->len += (uint32_t)n;
    return room;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0) return;
    void *room = buf_extend(b, n);
    if (room) memcpy(room, bytes, n);
}

void buf_add_slice(struct buf *b, struct slice s) { buf_add(b, s.at, s.len); }

void buf_add_str(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

void buf_add_u8(struct buf *b, uint8_t v) { buf_add(b, &v, 1); }

void buf_add_u16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    buf_add(b, bytes, sizeof bytes);
}

void buf_add_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
    buf_add(b, bytes, sizeof bytes);
}

void buf_vaddf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && buf_reserve(b, (size_t)n + 1)) {
        vsnprintf(b->at + b->len, (size_t)n + 1, format, again);
        b->len += (uint32_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vaddf(b, format, args);
    va_end(args);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->at, b->at + n, b->len - n);
    b->len -= (uint32_t)n;
}

void buf_truncate(struct buf *b, uint32_t len)
{
    if (len < b->len) b->len = len;
}
