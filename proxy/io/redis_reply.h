/* redis_reply: what a Redis answers, cut from its bytes, and bounded.
 *
 * hiredis' reader with an end to what it takes: of one answer at most so many bytes,
 * elements, levels. What breaks a bound breaks the connection: the rest could not be read
 * anyway. RESP2 only (nobody here says HELLO 3).
 *
 * Ownership: a reply is the caller's until redis_reply_free. Thread: one at a time.
 */
#ifndef SLUICE_PROXY_IO_REDIS_REPLY_H
#define SLUICE_PROXY_IO_REDIS_REPLY_H

#include "protocol/err.h"
#include "protocol/slice.h"

enum redis_type {
    REDIS_NIL,
    REDIS_TEXT,
    REDIS_STATUS, /* "OK" */
    REDIS_ERROR,  /* "READONLY You can't write ..." */
    REDIS_INTEGER,
    REDIS_ARRAY,
};

struct redis_reply {
    enum redis_type type;
    int64_t integer;
    struct slice text;
    struct redis_reply *elements;
    size_t count;
};

enum { REDIS_ELEMENTS_MAX = 1 << 16 };

void redis_reply_free(struct redis_reply *r); /* NULL is fine */

struct redis_reader;

/* NULL: no memory. */
struct redis_reader *redis_reader_new(uint32_t cap_bytes);
void redis_reader_free(struct redis_reader *r); /* NULL is fine */

/* False with `err`: no Redis, or too much. Nothing comes from the reader afterwards. */
bool redis_reader_feed(struct redis_reader *r, struct slice bytes, struct err *err);

/* The next complete reply, or NULL in `out` when there is none yet. False with `err` as above. */
bool redis_reader_next(struct redis_reader *r, struct redis_reply **out, struct err *err);

#endif
