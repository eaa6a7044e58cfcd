/* outbox: what one turn wants to send one way, gathered so that it leaves in one call.
 *
 * Runs of bytes that lie side by side in the receive buffer become one part;
 * messages of our own are copied between them. Flushed when full and at the end
 * of the turn. Nothing is held across turns: stream_write copies what the socket
 * does not take.
 *
 * Towards a server it is a type of its own, `struct upstream`: what a client sent goes in
 * with a pass (pass.h), what we say ourselves by upstream_say.
 *
 * Owner: the env (one per direction and worker). Thread: the worker's.
 */
#ifndef SLUICE_PROXY_OUTBOX_H
#define SLUICE_PROXY_OUTBOX_H

#include "proxy/io/stream.h"
#include "proxy/pass.h"

enum { OUTBOX_PARTS = 64, OUTBOX_SCRATCH_BYTES = 16 * 1024 };

struct outbox {
    struct stream *to;
    int count;
    uint32_t used;  /* of scratch */
    uint64_t bytes; /* sent and waiting, in this turn */
    bool failed;    /* the stream is broken; its owner will hear of it */
    struct iovec parts[OUTBOX_PARTS];
    char scratch[OUTBOX_SCRATCH_BYTES];
};

static inline void outbox_begin(struct outbox *o, struct stream *to)
{
    o->to = to;
    o->count = 0;
    o->used = 0;
    o->bytes = 0;
    o->failed = false;
}

void outbox_flush(struct outbox *o);

/* Bytes that stay where they are until the flush. */
static inline void outbox_add(struct outbox *o, struct slice bytes)
{
    if (bytes.len == 0) return;
    o->bytes += bytes.len;
    if (o->count) {
        struct iovec *last = &o->parts[o->count - 1];
        if ((const char *)last->iov_base + last->iov_len == bytes.at) {
            last->iov_len += bytes.len;
            return;
        }
    }
    if (o->count == OUTBOX_PARTS) outbox_flush(o);
    o->parts[o->count++] = (struct iovec){ (void *)(uintptr_t)bytes.at, bytes.len };
}

/* Bytes that may go away before the flush. */
void outbox_copy(struct outbox *o, struct slice bytes);

/* ---- towards a server ----------------------------------------------------------------------- */

struct upstream {
    struct outbox box;
};

static inline void upstream_begin(struct upstream *u, struct stream *to)
{
    outbox_begin(&u->box, to);
}

static inline void upstream_flush(struct upstream *u) { outbox_flush(&u->box); }

/* A client's bytes, which stay where they are until the flush; or may go away before it. */
static inline void upstream_pass(struct upstream *u, struct pass p)
{
    outbox_add(&u->box, p.bytes);
}
static inline void upstream_pass_copy(struct upstream *u, struct pass p)
{
    outbox_copy(&u->box, p.bytes);
}

/* A message of our own making. */
static inline void upstream_say(struct upstream *u, struct slice message)
{
    outbox_copy(&u->box, message);
}

#endif
