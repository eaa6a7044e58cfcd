/* fuzz_redis_reply: what a Redis, or whoever stands there, answers.
 *
 * Whatever comes: no byte outside of the input is read, replies are within their bounds, and the
 * same replies come out however the bytes are cut. The first byte says how they are.
 */
#include "protocol/buf.h"
#include "proxy/io/redis_reply.h"

#include <stdlib.h>

enum { CAP_BYTES = 4096, DEPTH_MAX = 64 };

static void check(bool ok)
{
    if (!ok) abort();
}

static void print(const struct redis_reply *r, unsigned depth, struct buf *out)
{
    check(depth < DEPTH_MAX && r->type <= REDIS_ARRAY && r->count <= REDIS_ELEMENTS_MAX);
    buf_addf(out, "%d %lld %zu ", (int)r->type, (long long)r->integer, r->count);
    if (r->type != REDIS_ARRAY) check(r->count == 0);
    check(r->text.len <= CAP_BYTES);
    buf_add_slice(out, r->text);
    for (size_t i = 0; i < r->count; i++) print(&r->elements[i], depth + 1, out);
}

/* Pieces of `step` bytes, each alone in memory. */
static void read_all(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    struct redis_reader *reader = redis_reader_new(CAP_BYTES);
    struct redis_reply *reply = NULL;
    struct err err;
    bool ok = reader != NULL;
    for (size_t at = 0; ok && at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        char *alone = malloc(n);
        memcpy(alone, data + at, n);
        ok = redis_reader_feed(reader, slice_of(alone, n), &err);
        free(alone);
        while (ok && (ok = redis_reader_next(reader, &reply, &err)) && reply) {
            print(reply, 0, out);
            buf_add_u8(out, '\n');
            redis_reply_free(reply);
        }
    }
    if (!ok && reader) check(err.message[0]);
    redis_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 }, cut = { 0 };
    if (size < 2 || size > 1 << 16) return 0;
    read_all(data + 1, size - 1, size, &whole);
    read_all(data + 1, size - 1, 1 + data[0] % 31u, &cut);
    /* What is too much is noticed sooner or later, depending on the pieces: one begins as the
     * other. */
    struct slice a = buf_slice(&whole), b = buf_slice(&cut);
    size_t n = a.len < b.len ? a.len : b.len;
    check(n == 0 || memcmp(a.at, b.at, n) == 0);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
