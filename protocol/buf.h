/* buf: bytes that we own, growing at the end.
 *
 * An empty buf owns no memory, so that an idle connection costs nothing. When
 * memory runs out, or a length would pass 1 GiB, the buf turns `failed`, keeps
 * what it had and takes no more; check once, at the end.
 */
#ifndef SLUICE_PROTOCOL_BUF_H
#define SLUICE_PROTOCOL_BUF_H

#include "protocol/slice.h"

#include <stdarg.h>

struct buf {
    char *at;
    uint32_t len, cap;
    bool failed;
    bool secret; /* set it before the first byte: memory is overwritten before it is given back,
                  * also when the buf grows */
};

enum { BUF_CAP_BYTES = 1 << 30 };

/* Frees the memory; the buf is empty and usable again. */
void buf_fini(struct buf *b);

/* The same, overwriting the bytes first. For secrets. */
void buf_wipe(struct buf *b);

/* Room for `n` more bytes, uninitialised, already counted; NULL when failed. */
void *buf_extend(struct buf *b, size_t n);

/* Makes room for `n` more bytes without counting them; false when failed. */
bool buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *text);
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_u16(struct buf *b, uint16_t v); /* big endian, as on the wire */
void buf_add_u32(struct buf *b, uint32_t v);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *format, va_list args);

/* Removes the first `n` bytes (all, when there are fewer). */
void buf_drop(struct buf *b, size_t n);

/* Forgets bytes beyond `len`; the memory stays. */
void buf_truncate(struct buf *b, uint32_t len);

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){ b->at, b->len };
}

#endif
