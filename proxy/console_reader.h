/* console_reader: what a console client has prepared.
 *
 * Statements and portals by name, of the extended protocol. Few, so a list does.
 * Ownership: the console's. Pure. Thread: one at a time.
 */
#ifndef SLUICE_PROXY_CONSOLE_READER_H
#define SLUICE_PROXY_CONSOLE_READER_H

#include "protocol/list.h"
#include "proxy/ops/admin_rows.h"

enum { CONSOLE_PREPARED_MAX = 200 };

struct console_prepared {
    struct list node;
    uint8_t kind; /* 'S' or 'P', as in Describe and Close */
    char *name;
    struct admin_call call; /* command NULL: the empty statement */
    uint64_t binary;        /* of a portal: columns wanted in binary */
};

struct console_prepareds {
    struct list all;
    uint32_t count;
};

void console_prepareds_init(struct console_prepareds *p);
void console_prepareds_fini(struct console_prepareds *p);

struct console_prepared *console_prepared_find(struct console_prepareds *p, uint8_t kind,
                                               struct slice name);
void console_prepared_remove(struct console_prepareds *p, uint8_t kind, struct slice name);

/* Adds, replacing the unnamed one. False with `err`: the name is taken, or there are too many. */
bool console_prepared_add(struct console_prepareds *p, uint8_t kind, struct slice name,
                          const struct admin_call *call, uint64_t binary, struct err *err);

/* Reads a Bind: names, result formats. False with `err`: malformed, or with parameters. */
struct console_bind {
    struct slice portal, statement;
    uint64_t binary;
};
bool console_read_bind(struct slice body, struct console_bind *bind, struct err *err);

#endif
