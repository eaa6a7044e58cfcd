#include "proxy/outbox.h"

void outbox_flush(struct outbox *o)
{
    if (o->count && !o->failed) o->failed = !stream_write(o->to, o->parts, o->count);
    o->count = 0;
    o->used = 0;
}

void outbox_copy(struct outbox *o, struct slice bytes)
{
    if (bytes.len > OUTBOX_SCRATCH_BYTES) {
        outbox_add(o, bytes);
        outbox_flush(o);
        return;
    }
    /* Before the bytes are copied: outbox_add must find room, since a flush within it would declare
     * the scratch free that they lie in. */
    if (o->count == OUTBOX_PARTS || bytes.len > OUTBOX_SCRATCH_BYTES - o->used) outbox_flush(o);
    memcpy(o->scratch + o->used, bytes.at, bytes.len);
    outbox_add(o, slice_of(o->scratch + o->used, bytes.len));
    o->used += (uint32_t)bytes.len;
}
