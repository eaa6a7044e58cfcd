#include "proxy/console_reader.h"

#include "protocol/wire.h"

#include <stdlib.h>

void console_prepareds_init(struct console_prepareds *p)
{
    list_init(&p->all);
    p->count = 0;
}

static void drop(struct console_prepareds *p, struct console_prepared *one)
{
    list_remove(&one->node);
    p->count--;
    free(one->name);
    free(one);
}

void console_prepareds_fini(struct console_prepareds *p)
{
    list_each(node, &p->all) drop(p, list_item(node, struct console_prepared, node));
}

struct console_prepared *console_prepared_find(struct console_prepareds *p, uint8_t kind,
                                               struct slice name)
{
    list_each(node, &p->all)
    {
        struct console_prepared *one = list_item(node, struct console_prepared, node);
        if (one->kind == kind && slice_is(name, one->name)) return one;
    }
    return NULL;
}

void console_prepared_remove(struct console_prepareds *p, uint8_t kind, struct slice name)
{
    struct console_prepared *one = console_prepared_find(p, kind, name);
    if (one) drop(p, one);
}

bool console_prepared_add(struct console_prepareds *p, uint8_t kind, struct slice name,
                          const struct admin_call *call, uint64_t binary, struct err *err)
{
    /* Portals are replaced, too: nothing is ever suspended here. */
    if (name.len == 0 || kind == 'P') console_prepared_remove(p, kind, name);
    if (console_prepared_find(p, kind, name))
        return err_set(err, ERR_DUPLICATE_STMT, "prepared statement already exists");
    if (p->count >= CONSOLE_PREPARED_MAX)
        return err_set(err, ERR_TOO_LARGE, "the console keeps %d prepared statements",
                       CONSOLE_PREPARED_MAX);
    struct console_prepared *one = calloc(1, sizeof *one);
    char *copy = strndup(name.len ? name.at : "", name.len);
    if (!one || !copy) {
        free(one);
        free(copy);
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    }
    *one = (struct console_prepared){ .kind = kind, .name = copy, .call = *call, .binary = binary };
    list_push_back(&p->all, &one->node);
    p->count++;
    return true;
}

bool console_read_bind(struct slice body, struct console_bind *bind, struct err *err)
{
    struct wire w = wire_of(body);
    *bind = (struct console_bind){ 0 };
    bind->portal = wire_string(&w);
    bind->statement = wire_string(&w);
    uint16_t formats = wire_u16(&w);
    wire_bytes(&w, 2u * formats);
    if (wire_u16(&w) != 0)
        return err_set(err, ERR_UNSUPPORTED, "commands of the console take no parameters");
    uint16_t results = wire_u16(&w);
    for (uint16_t i = 0; i < results && !w.bad; i++) {
        uint16_t format = wire_u16(&w);
        if (format > 1) return err_set(err, ERR_BAD_MESSAGE, "unknown format in Bind");
        if (i < 64) bind->binary |= (uint64_t)format << i;
    }
    if (results == 1 && bind->binary) bind->binary = UINT64_MAX;
    return wire_is_done(&w) || err_set(err, ERR_BAD_MESSAGE, "malformed Bind");
}
