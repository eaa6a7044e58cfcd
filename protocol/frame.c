#include "protocol/frame.h"

#include "protocol/wire.h"

/* How much of a message of `size` bytes must be there before it is handed out. */
static uint32_t needed(const struct frame *f, uint8_t type, uint32_t size)
{
    bool statement = type == FRONTEND_QUERY || type == FRONTEND_PARSE;
    if (statement && f->cap_bytes && size > f->cap_bytes) return MESSAGE_HEADER;
    uint32_t want = f->specs[type].want;
    if (type == FRONTEND_QUERY && f->want_query) want = f->want_query;
    if (type == FRONTEND_PARSE && f->want_parse) want = f->want_parse;
    return want < size ? want : size;
}

uint32_t frame_wants(const struct frame *f, struct slice in)
{
    if (f->passing) return 1;
    if (in.len < MESSAGE_HEADER) return MESSAGE_HEADER;
    uint32_t size = wire_be32(in.at + 1) + 1;
    return needed(f, (uint8_t)in.at[0], size);
}

static enum frame_result pass(struct frame *f, struct slice *in, struct piece *piece)
{
    size_t n = f->passing < in->len ? f->passing : in->len;
    f->passing -= (uint32_t)n;
    *piece = (struct piece){ f->type, false, f->passing == 0, 0, { in->at, n } };
    *in = slice_after(*in, n);
    return FRAME_PIECE;
}

enum frame_result frame_next(struct frame *f, struct slice *in, struct piece *piece)
{
    if (in->len == 0) return FRAME_MORE;
    if (f->passing) return pass(f, in, piece);

    uint8_t type = (uint8_t)in->at[0];
    const struct message_spec *spec = &f->specs[type];
    if (!spec->name) return FRAME_BAD_TYPE;
    if (in->len < MESSAGE_HEADER) return FRAME_MORE;

    /* The length counts itself (4), not the type byte. Checked before it is used for anything. */
    uint32_t length = wire_be32(in->at + 1);
    if (length < 4 || length - 4 < spec->min || length - 4 > spec->max) return FRAME_BAD_LENGTH;
    uint32_t size = length + 1;
    if (in->len >= size) { /* all of it is there: what almost every message comes to */
        f->type = type;
        piece->type = type;
        piece->first = piece->last = true;
        piece->size = size;
        piece->bytes = slice_of(in->at, size);
        in->at += size;
        in->len -= size;
        return FRAME_PIECE;
    }
    if (in->len < needed(f, type, size)) return FRAME_MORE;

    f->type = type;
    f->passing = size - (uint32_t)in->len;
    *piece = (struct piece){ type, true, false, size, *in };
    *in = slice_after(*in, in->len);
    return FRAME_PIECE;
}
