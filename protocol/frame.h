/* frame: from a stream of bytes to pieces of messages.
 *
 *      bytes in, cut anywhere            pieces out
 *      ...|Q 0012 sel|ect 1\0|D 40000000 ....|....   (each with its type and place)
 *
 * Nothing is copied and nothing is held: a piece points into the caller's bytes.
 * A message whose table row wants more than has arrived yields MORE, and the
 * caller keeps what is left (at most `want` bytes) and offers it again with what
 * follows. The rest of a message that wants less is handed out as it comes, so
 * that a gigabyte row costs nothing.
 * Messages with a type byte only; before those: startup.h.
 */
#ifndef SLUICE_PROTOCOL_FRAME_H
#define SLUICE_PROTOCOL_FRAME_H

#include "protocol/message.h"
#include "protocol/slice.h"

struct frame {
    const struct message_spec *specs;
    uint32_t want_query, want_parse; /* in place of the table's want; 0: the table's */
    uint32_t cap_bytes; /* a statement beyond it is handed out at once, to be refused; 0: none */
    uint32_t passing;   /* body bytes of the message under way that are still to come */
    uint8_t type;       /* of that message */
};

enum frame_result {
    FRAME_PIECE,
    FRAME_MORE,       /* nothing to cut; what is left in `in` must be offered again */
    FRAME_BAD_TYPE,   /* no such message in this direction */
    FRAME_BAD_LENGTH, /* outside the row's bounds */
};

struct piece {
    uint8_t type;
    bool first;    /* bytes begin with the message's header */
    bool last;     /* the message ends with them */
    uint32_t size; /* of the whole message with its header; set when first */
    struct slice bytes;
};

static inline void frame_init(struct frame *f, const struct message_spec *specs)
{
    *f = (struct frame){ .specs = specs };
}

/* Cuts the next piece off the front of *in. After BAD the stream cannot be trusted any more:
 * close it, never look for the next message (CVE-2015-0244). */
enum frame_result frame_next(struct frame *f, struct slice *in, struct piece *piece);

/* After MORE: how many bytes must be there for the next piece, as far as can be told yet. */
uint32_t frame_wants(const struct frame *f, struct slice in);

/* The body of a piece that is first: what follows the header, as far as it is there. */
static inline struct slice piece_body(const struct piece *p)
{
    return slice_after(p->bytes, MESSAGE_HEADER);
}

/* True between messages. */
static inline bool frame_is_at_start(const struct frame *f) { return f->passing == 0; }

#endif
