/* message: the table of wire messages (message.def) as code. */
#ifndef SLUICE_PROTOCOL_MESSAGE_H
#define SLUICE_PROTOCOL_MESSAGE_H

#include <stdint.h>

enum {
    MESSAGE_MAX = (1 << 30) - 1, /* PostgreSQL refuses larger ones: MaxAllocSize */
    MESSAGE_HEADER = 5,          /* type byte and length */
    MESSAGE_HEAD = 16 * 1024,    /* what HEAD asks for */
};

enum frontend_type {
#define FRONTEND(name, byte, min, max, want) FRONTEND_##name = byte,
#include "protocol/message.def"
};

enum backend_type {
#define BACKEND(name, byte, min, max, want) BACKEND_##name = byte,
#include "protocol/message.def"
};

struct message_spec {
    const char *name;  /* NULL: no such message in this direction */
    uint32_t min, max; /* body, bytes */
    uint32_t want;     /* bytes needed before acting, header included; UINT32_MAX: all */
};

/* One row per type byte. */
extern const struct message_spec frontend_specs[256];
extern const struct message_spec backend_specs[256];

#endif
