/* fuzz_fleet_message: what stands in a channel of Redis that anybody may write to.
 *
 * Whatever comes: no byte outside of the input is read, and nothing is believed that does not say,
 * written again, what it said; the same with its signature put right, so that the fields are read.
 */
#include "auth/hash.h"
#include "proxy/fleet_message.h"

#include <stdlib.h>

static const struct slice keys[] = { { "a key that is long enough to sign with", 38 } };
static const struct cache_trust trust = { .scope = { "prod", 4 }, .keys = keys, .key_count = 1 };

static void take(struct slice line)
{
    struct fleet_message m;
    struct buf again = { 0 };
    if (fleet_message_read(&m, line, &trust)) {
        fleet_message_write(&again, &m, &trust);
        struct slice a = buf_slice(&again);
        /* Digits may have been capitals, which another signature goes with. */
        if (a.len != line.len || strncasecmp(a.at, line.at, a.len - 2 * (size_t)SHA256_BYTES) != 0)
            abort();
    }
    buf_fini(&again);
    buf_fini(&m.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t signature[SHA256_BYTES];
    struct buf line = { 0 };
    take(slice_of(data, size));
    struct slice parts[] = { slice_str("fleet "), trust.scope, slice_str(" "),
                             slice_of(data, size) };
    if (!hash_hmac(signature, keys[0], parts, 4)) return 0;
    buf_add(&line, (const char *)data, size);
    hex_print(slice_of((const char *)signature, sizeof signature), &line);
    take(buf_slice(&line));
    buf_fini(&line);
    return 0;
}
