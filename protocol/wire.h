/* wire: reading the fields of one message, without ever reading past it.
 *
 * A reader walks a slice. The first field that does not fit makes it `bad`; from
 * then on every read gives zero or an empty slice, so that a parser may read all
 * its fields and check once. Writing is buf's business.
 * Source: PostgreSQL 15, 55.6 Message Data Types.
 */
#ifndef SLUICE_PROTOCOL_WIRE_H
#define SLUICE_PROTOCOL_WIRE_H

#include "protocol/slice.h"

struct wire {
    const char *at, *end;
    bool bad;
};

static inline struct wire wire_of(struct slice body)
{
    return (struct wire){ body.at, body.at + body.len, false };
}

static inline uint16_t wire_be16(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t wire_be32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline size_t wire_left(const struct wire *w) { return (size_t)(w->end - w->at); }

/* The next `n` bytes. */
static inline struct slice wire_bytes(struct wire *w, size_t n)
{
    if (w->bad || n > wire_left(w)) {
        w->bad = true;
        return (struct slice){ w->end, 0 };
    }
    struct slice s = { w->at, n };
    w->at += n;
    return s;
}

static inline uint8_t wire_u8(struct wire *w)
{
    struct slice s = wire_bytes(w, 1);
    return s.len ? (uint8_t)s.at[0] : 0;
}

static inline uint16_t wire_u16(struct wire *w)
{
    struct slice s = wire_bytes(w, 2);
    return s.len ? wire_be16(s.at) : 0;
}

static inline uint32_t wire_u32(struct wire *w)
{
    struct slice s = wire_bytes(w, 4);
    return s.len ? wire_be32(s.at) : 0;
}

/* A NUL-terminated string, without its NUL. */
static inline struct slice wire_string(struct wire *w)
{
    const char *nul = NULL;
    if (!w->bad && w->at != w->end) /* (most names are empty) */
        nul = *w->at == '\0' ? w->at : memchr(w->at, 0, wire_left(w));
    if (!nul) {
        w->bad = true;
        return (struct slice){ w->end, 0 };
    }
    struct slice s = { w->at, (size_t)(nul - w->at) };
    w->at = nul + 1;
    return s;
}

/* True when every field fitted and nothing is left over. */
static inline bool wire_is_done(const struct wire *w) { return !w->bad && w->at == w->end; }

#endif
