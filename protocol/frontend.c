#include "protocol/frontend.h"

#include "protocol/message.h"
#include "protocol/wire.h"

/* ---- reading -------------------------------------------------------------------------------- */

bool frontend_read_query(struct slice body, struct slice *text)
{
    struct wire w = wire_of(body);
    *text = wire_string(&w);
    return wire_is_done(&w);
}

bool frontend_read_parse(struct slice body, struct frontend_parse *parse)
{
    struct wire w = wire_of(body);
    parse->name = wire_string(&w);
    parse->text = wire_string(&w);
    parse->types = slice_of(w.at, wire_left(&w));
    uint16_t count = wire_u16(&w);
    wire_bytes(&w, (size_t)count * 4);
    return wire_is_done(&w);
}

bool frontend_read_bind(struct slice head, struct frontend_bind *bind)
{
    struct wire w = wire_of(head);
    bind->portal = wire_string(&w);
    bind->statement = wire_string(&w);
    bind->rest = (size_t)(w.at - head.at);
    return !w.bad;
}

bool frontend_read_target(struct slice body, uint8_t *target, struct slice *name)
{
    struct wire w = wire_of(body);
    *target = wire_u8(&w);
    *name = wire_string(&w);
    return wire_is_done(&w) && (*target == 'S' || *target == 'P');
}

bool frontend_read_execute(struct slice body, struct slice *portal)
{
    struct wire w = wire_of(body);
    *portal = wire_string(&w);
    wire_u32(&w);
    return wire_is_done(&w);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void header(struct buf *out, uint8_t type, size_t body)
{
    buf_add_u8(out, type);
    buf_add_u32(out, (uint32_t)(body + 4));
}

static void string(struct buf *out, struct slice s)
{
    buf_add_slice(out, s);
    buf_add_u8(out, 0);
}

void frontend_query(struct buf *out, struct slice text)
{
    header(out, FRONTEND_QUERY, text.len + 1);
    string(out, text);
}

void frontend_parse(struct buf *out, struct slice name, struct slice text, struct slice types)
{
    header(out, FRONTEND_PARSE, name.len + 1 + text.len + 1 + types.len);
    string(out, name);
    string(out, text);
    buf_add_slice(out, types);
}

void frontend_close(struct buf *out, uint8_t target, struct slice name)
{
    header(out, FRONTEND_CLOSE, 1 + name.len + 1);
    buf_add_u8(out, target);
    string(out, name);
}

void frontend_sync(struct buf *out) { header(out, FRONTEND_SYNC, 0); }

void frontend_terminate(struct buf *out) { header(out, FRONTEND_TERMINATE, 0); }

void frontend_ssl_request(struct buf *out)
{
    buf_add_u32(out, 8);
    buf_add_u32(out, 80877103);
}

void frontend_cancel(struct buf *out, uint32_t pid, struct slice key)
{
    buf_add_u32(out, (uint32_t)(12 + key.len));
    buf_add_u32(out, 80877102);
    buf_add_u32(out, pid);
    buf_add_slice(out, key);
}

uint32_t frontend_startup_begin(struct buf *out, uint16_t major, uint16_t minor)
{
    uint32_t begun = out->len;
    buf_add_u32(out, 0);
    buf_add_u16(out, major);
    buf_add_u16(out, minor);
    return begun;
}

void frontend_startup_add(struct buf *out, struct slice key, struct slice value)
{
    string(out, key);
    string(out, value);
}

void frontend_startup_end(struct buf *out, uint32_t begun)
{
    buf_add_u8(out, 0);
    if (out->failed) return;
    uint32_t size = out->len - begun;
    uint8_t bytes[4] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                         (uint8_t)size };
    memcpy(out->at + begun, bytes, sizeof bytes);
}
