/* PROXY headers.
 *
 * Properties: cut short it is MORE, or refused for what is already there; what follows it changes
 * nothing; the two kinds exclude each other. */
#include "proxy/io/proxy_header.h"

#include <stdlib.h>
#include <string.h>

static void must(bool holds)
{
    if (!holds) abort();
}

static bool is_same(const struct proxy_header *a, const struct proxy_header *b)
{
    return a->result == b->result && a->size == b->size && a->is_v6 == b->is_v6 &&
           a->port == b->port && memcmp(a->address, b->address, sizeof a->address) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct proxy_header h = proxy_header_read(in, PROXY_HEADER_V1 | PROXY_HEADER_V2);
    struct proxy_header v1 = proxy_header_read(in, PROXY_HEADER_V1);
    struct proxy_header v2 = proxy_header_read(in, PROXY_HEADER_V2);
    bool whole = h.result == PROXY_HEADER_LOCAL || h.result == PROXY_HEADER_CLIENT;
    must(whole ? h.size > 0 && h.size <= size && h.size <= PROXY_HEADER_MAX : h.size == 0);
    must(is_same(&h, &v1) || is_same(&h, &v2));
    must(!whole || v1.result == PROXY_HEADER_BAD || v2.result == PROXY_HEADER_BAD);
    for (size_t n = 0; n < size && n < 128; n++) {
        struct proxy_header part =
            proxy_header_read(slice_of(data, n), PROXY_HEADER_V1 | PROXY_HEADER_V2);
        if (whole && n < h.size) must(part.result == PROXY_HEADER_MORE);
        if (whole && n >= h.size) must(is_same(&part, &h));
        if (!whole) must(part.result == h.result || part.result == PROXY_HEADER_MORE);
    }
    return 0;
}
