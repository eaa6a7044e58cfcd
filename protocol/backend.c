#include "protocol/backend.h"

#include "protocol/message.h"
#include "protocol/wire.h"

#include <stdio.h>

/* ---- writing -------------------------------------------------------------------------------- */

/* A message whose length is filled in at its end. */
static uint32_t begin(struct buf *out, uint8_t type)
{
    uint32_t begun = out->len;
    buf_add_u8(out, type);
    buf_add_u32(out, 0);
    return begun;
}

static void end(struct buf *out, uint32_t begun)
{
    if (out->failed) return;
    uint32_t length = out->len - begun - 1;
    uint8_t bytes[4] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                         (uint8_t)length };
    memcpy(out->at + begun + 1, bytes, sizeof bytes);
}

static void string(struct buf *out, struct slice s)
{
    buf_add_slice(out, s);
    buf_add_u8(out, 0);
}

static void field(struct buf *out, char code, const char *text)
{
    if (!text[0]) return;
    buf_add_u8(out, (uint8_t)code);
    string(out, slice_str(text));
}

void backend_error(struct buf *out, const struct err *e)
{
    uint32_t begun = begin(out, BACKEND_ERROR);
    field(out, 'S', err_severity(e->code));
    field(out, 'V', err_severity(e->code));
    field(out, 'C', err_sqlstate(e->code));
    field(out, 'M', e->message[0] ? e->message : err_text(e->code));
    field(out, 'D', e->detail);
    field(out, 'H', e->hint);
    if (e->position) {
        char position[16];
        snprintf(position, sizeof position, "%u", e->position);
        field(out, 'P', position);
    }
    buf_add_u8(out, 0);
    end(out, begun);
}

void backend_notice(struct buf *out, const char *sqlstate, const char *message)
{
    uint32_t begun = begin(out, BACKEND_NOTICE);
    field(out, 'S', "NOTICE");
    field(out, 'V', "NOTICE");
    field(out, 'C', sqlstate);
    field(out, 'M', message);
    buf_add_u8(out, 0);
    end(out, begun);
}

void backend_auth_ok(struct buf *out)
{
    uint32_t begun = begin(out, BACKEND_AUTHENTICATION);
    buf_add_u32(out, 0);
    end(out, begun);
}

void backend_ready(struct buf *out, uint8_t status)
{
    uint32_t begun = begin(out, BACKEND_READY);
    buf_add_u8(out, status);
    end(out, begun);
}

void backend_key_data(struct buf *out, uint32_t pid, struct slice key)
{
    uint32_t begun = begin(out, BACKEND_KEY_DATA);
    buf_add_u32(out, pid);
    buf_add_slice(out, key);
    end(out, begun);
}

void backend_parameter_status(struct buf *out, struct slice name, struct slice value)
{
    uint32_t begun = begin(out, BACKEND_PARAMETER_STATUS);
    string(out, name);
    string(out, value);
    end(out, begun);
}

void backend_command_complete(struct buf *out, const char *tag)
{
    uint32_t begun = begin(out, BACKEND_COMMAND_COMPLETE);
    string(out, slice_str(tag));
    end(out, begun);
}

static void empty(struct buf *out, uint8_t type) { end(out, begin(out, type)); }

void backend_parse_complete(struct buf *out) { empty(out, BACKEND_PARSE_COMPLETE); }
void backend_close_complete(struct buf *out) { empty(out, BACKEND_CLOSE_COMPLETE); }
void backend_empty_query(struct buf *out) { empty(out, BACKEND_EMPTY_QUERY); }
void backend_bind_complete(struct buf *out) { empty(out, BACKEND_BIND_COMPLETE); }
void backend_no_data(struct buf *out) { empty(out, BACKEND_NO_DATA); }

void backend_parameter_description(struct buf *out)
{
    uint32_t begun = begin(out, BACKEND_PARAMETER_DESCRIPTION);
    buf_add_u16(out, 0);
    end(out, begun);
}

void backend_negotiate(struct buf *out, uint32_t minor, const struct slice *options, size_t count)
{
    uint32_t begun = begin(out, BACKEND_NEGOTIATE);
    buf_add_u32(out, minor);
    buf_add_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) string(out, options[i]);
    end(out, begun);
}

void backend_row_description(struct buf *out, const struct backend_column *columns, size_t count)
{
    uint32_t begun = begin(out, BACKEND_ROW_DESCRIPTION);
    buf_add_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        string(out, slice_str(columns[i].name));
        buf_add_u32(out, 0); /* of no table */
        buf_add_u16(out, 0); /* and no column */
        buf_add_u32(out, columns[i].type);
        buf_add_u16(out, columns[i].bytes);
        buf_add_u32(out, 0xffffffff); /* no modifier */
        buf_add_u16(out, columns[i].binary);
    }
    end(out, begun);
}

void backend_row_begin(struct buf *out, size_t columns, uint32_t *begun)
{
    *begun = begin(out, BACKEND_DATA_ROW);
    buf_add_u16(out, (uint16_t)columns);
}

void backend_row_text(struct buf *out, struct slice value)
{
    buf_add_u32(out, value.at ? (uint32_t)value.len : 0xffffffff);
    buf_add_slice(out, value);
}

void backend_row_end(struct buf *out, uint32_t begun) { end(out, begun); }

/* ---- reading -------------------------------------------------------------------------------- */

struct slice backend_field(struct slice body, char wanted)
{
    struct wire w = wire_of(body);
    for (;;) {
        char code = (char)wire_u8(&w);
        struct slice value = code ? wire_string(&w) : (struct slice){ NULL, 0 };
        if (w.bad || code == 0) return (struct slice){ NULL, 0 };
        if (code == wanted) return value;
    }
}

bool backend_read_parameter(struct slice body, struct slice *name, struct slice *value)
{
    struct wire w = wire_of(body);
    *name = wire_string(&w);
    *value = wire_string(&w);
    return wire_is_done(&w) && name->len > 0;
}

bool backend_read_key_data(struct slice body, uint32_t *pid, struct slice *key)
{
    struct wire w = wire_of(body);
    *pid = wire_u32(&w);
    *key = slice_of(w.at, wire_left(&w));
    return !w.bad && key->len >= 4;
}
