/* Framing: the whole and the cut agree. Byte 0: direction, wants; then the places of the cuts (a
 * count, and so many steps), then the stream.
 *
 * Properties: the same messages with the same bytes and the same end however the stream is cut; no
 * piece outside of what was given; what is held back is never more than the head that is wanted. */
#include "protocol/buf.h"
#include "protocol/frame.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

struct receiver {
    struct frame frame;
    struct buf held, got;
    enum frame_result end;
};

static void receive(struct receiver *r, const struct piece *p, struct slice from)
{
    must(p->bytes.len > 0 && p->bytes.at >= from.at &&
         p->bytes.at + p->bytes.len <= from.at + from.len);
    must(p->last == frame_is_at_start(&r->frame));
    must(!p->last || !p->first || p->bytes.len == p->size);
    if (p->first) buf_add(&r->got, &p->size, sizeof p->size);
    buf_add_slice(&r->got, p->bytes);
}

static void feed(struct receiver *r, struct slice bytes)
{
    struct piece p;
    if (r->end > FRAME_MORE) return;
    buf_add_slice(&r->held, bytes);
    struct slice in = buf_slice(&r->held), from = in;
    while ((r->end = frame_next(&r->frame, &in, &p)) == FRAME_PIECE) receive(r, &p, from);
    buf_drop(&r->held, r->held.len - (uint32_t)in.len);
    if (r->end == FRAME_MORE) must(r->held.len < frame_wants(&r->frame, buf_slice(&r->held)));
}

static void begin(struct receiver *r, uint8_t how)
{
    *r = (struct receiver){ .end = FRAME_MORE };
    frame_init(&r->frame, how & 1 ? backend_specs : frontend_specs);
    if (how & 2) r->frame.want_query = UINT32_MAX;
    if (how & 4) r->frame.want_parse = 40;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size < 2u + data[1] % 16) return 0;
    size_t cuts = data[1] % 16;
    struct slice stream = slice_of(data + 2 + cuts, size - 2 - cuts), left = stream;
    struct receiver whole, cut;
    begin(&whole, data[0]);
    begin(&cut, data[0]);
    feed(&whole, stream);
    for (size_t i = 0; i < cuts; i++) {
        size_t n = data[2 + i] < left.len ? data[2 + i] : left.len;
        feed(&cut, slice_of(left.at, n));
        left = slice_after(left, n);
    }
    for (; left.len; left = slice_after(left, 1)) feed(&cut, slice_of(left.at, 1));
    must(whole.end == cut.end);
    must(slice_eq(buf_slice(&whole.got), buf_slice(&cut.got)));
    if (whole.end == FRAME_MORE) must(slice_eq(buf_slice(&whole.held), buf_slice(&cut.held)));
    buf_fini(&whole.held);
    buf_fini(&whole.got);
    buf_fini(&cut.held);
    buf_fini(&cut.got);
    return 0;
}
