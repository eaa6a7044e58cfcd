/* fuzz_http: heads of HTTP requests.
 *
 * Whatever comes: no byte outside of the input is read, what is read lies inside of it, and the
 * answer is the same however much follows the head. Cut short anywhere, a good head is incomplete
 * and never another request.
 */
#include "proxy/io/http_head.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void is_inside(struct slice part, struct slice all)
{
    check(!part.at || (part.at >= all.at && part.at + part.len <= all.at + all.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct http_head head, again;
    unsigned status = 0;
    enum http_read read = http_head_read(in, &head, &status);
    if (read == HTTP_BAD) check(status >= 400 && http_reason(status)[0]);
    if (read != HTTP_READ) return 0;
    struct slice text = slice_of(data, head.head_bytes);
    check(head.head_bytes <= size && head.head_bytes <= HTTP_HEAD_MAX);
    check(head.body_bytes <= HTTP_BODY_MAX);
    check(head.path.len > 0 && head.path.at[0] == '/');
    is_inside(head.path, text);
    is_inside(head.query, text);
    is_inside(head.host, text);
    is_inside(head.origin, text);
    is_inside(head.fetch_site, text);
    is_inside(head.authorization, text);
    check(http_head_read(text, &again, &status) == HTTP_READ);
    check(again.head_bytes == head.head_bytes && again.body_bytes == head.body_bytes &&
          again.method == head.method && again.keep_alive == head.keep_alive);
    for (size_t cut = 0; cut < head.head_bytes; cut += 1 + head.head_bytes / 64)
        check(http_head_read(slice_of(data, cut), &again, &status) == HTTP_MORE);
    return 0;
}
