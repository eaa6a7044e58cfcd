/* The readers of messages. Byte 0: which; the rest: the body.
 *
 * Properties: nothing outside of the body; what is read, written again, is the body. */
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/message.h"
#include "protocol/params.h"
#include "protocol/wire.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds) abort();
}

static void must_be_in(struct slice part, struct slice body)
{
    must(part.at >= body.at && part.at + part.len <= body.at + body.len);
}

/* The message's body, written again. */
static void must_be_again(struct buf *out, struct slice body)
{
    must(!out->failed && slice_eq(slice_after(buf_slice(out), MESSAGE_HEADER), body));
    must(wire_be32(out->at + 1) == body.len + 4);
    buf_fini(out);
}

static void query(struct slice body)
{
    struct buf out = { 0 };
    struct slice text;
    if (!frontend_read_query(body, &text)) return;
    frontend_query(&out, text);
    must_be_again(&out, body);
}

static void parse(struct slice body)
{
    struct buf out = { 0 };
    struct frontend_parse p;
    if (!frontend_read_parse(body, &p)) return;
    must(p.types.len >= 2 && p.types.len == 2u + 4u * wire_be16(p.types.at));
    frontend_parse(&out, p.name, p.text, p.types);
    must_be_again(&out, body);
}

static void bind(struct slice body)
{
    struct frontend_bind b;
    if (!frontend_read_bind(body, &b)) return;
    must_be_in(b.portal, body);
    must_be_in(b.statement, body);
    must(b.rest == b.portal.len + b.statement.len + 2 && b.rest <= body.len);
}

static void target(struct slice body)
{
    struct buf out = { 0 };
    struct slice name;
    uint8_t what;
    if (!frontend_read_target(body, &what, &name)) return;
    frontend_close(&out, what, name);
    must_be_again(&out, body);
}

static void execute(struct slice body)
{
    struct slice portal;
    if (frontend_read_execute(body, &portal)) must(body.len == portal.len + 5);
}

static void fields(struct slice body)
{
    for (int code = 0; code < 256; code++) {
        struct slice value = backend_field(body, (char)code);
        if (!value.at) continue;
        must_be_in(value, body);
        must(code != 0 && value.at > body.at && (uint8_t)value.at[-1] == code);
        must(value.at[value.len] == 0);
    }
}

static void parameter(struct slice body)
{
    struct buf out = { 0 };
    struct params p = { 0 };
    struct slice name, value;
    if (!backend_read_parameter(body, &name, &value)) return;
    must(params_set(&p, slice_str("client_encoding"), slice_str("UNICODE")));
    must(params_set(&p, name, value));
    must(slice_eq(params_get(&p, name.at), value));
    params_fini(&p);
    backend_parameter_status(&out, name, value);
    must_be_again(&out, body);
}

static void key_data(struct slice body)
{
    struct buf out = { 0 };
    struct slice key;
    uint32_t pid;
    if (!backend_read_key_data(body, &pid, &key)) return;
    backend_key_data(&out, pid, key);
    must_be_again(&out, body);
}

/* Fields of any kind in any order, with lengths from the input itself. */
static void fields_of_wire(struct slice body)
{
    struct wire w = wire_of(body);
    while (!w.bad && wire_left(&w)) {
        struct slice s = { w.at, 0 };
        switch (wire_u8(&w) % 5) {
        case 0: wire_u16(&w); break;
        case 1: wire_u32(&w); break;
        case 2: s = wire_string(&w); break;
        case 3: s = wire_bytes(&w, wire_u32(&w)); break;
        default: s = wire_bytes(&w, wire_u8(&w)); break;
        }
        must_be_in(s, body);
        must(w.at >= body.at && w.at <= w.end);
    }
    must(w.bad || wire_is_done(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct slice body) = {
        query, parse, bind, target, execute, fields, parameter, key_data, fields_of_wire,
    };
    if (!size) return 0;
    /* In memory of exactly its size. */
    char *copy = malloc(size);
    memcpy(copy, data, size);
    readers[data[0] % (sizeof readers / sizeof *readers)](slice_of(copy + 1, size - 1));
    free(copy);
    return 0;
}
