/* frontend: reading and writing what clients say.
 *
 * Readers take a message's body and give slices into it. Writers append whole
 * messages to a buf. Trailing bytes and missing NULs are refused, because what
 * was judged must be what the server will read.
 * Source: PostgreSQL 15, 55.7 Message Formats.
 */
#ifndef SLUICE_PROTOCOL_FRONTEND_H
#define SLUICE_PROTOCOL_FRONTEND_H

#include "protocol/buf.h"
#include "protocol/slice.h"

/* Query: false unless the body is one string that ends exactly at the NUL. */
bool frontend_read_query(struct slice body, struct slice *text);

struct frontend_parse {
    struct slice name, text;
    struct slice types; /* the count and the type OIDs, as on the wire */
};
/* Needs the whole body. */
bool frontend_read_parse(struct slice body, struct frontend_parse *parse);

struct frontend_bind {
    struct slice portal, statement;
    size_t rest; /* where the formats and values begin, in the body */
};
/* Needs only the head of the body: the rest is data. */
bool frontend_read_bind(struct slice head, struct frontend_bind *bind);

/* Describe and Close: 'S' or 'P', and a name. */
bool frontend_read_target(struct slice body, uint8_t *target, struct slice *name);

/* Execute: the portal's name. */
bool frontend_read_execute(struct slice body, struct slice *portal);

void frontend_query(struct buf *out, struct slice text);
void frontend_parse(struct buf *out, struct slice name, struct slice text, struct slice types);
void frontend_close(struct buf *out, uint8_t target, struct slice name);
void frontend_sync(struct buf *out);
void frontend_terminate(struct buf *out);

void frontend_ssl_request(struct buf *out);
void frontend_cancel(struct buf *out, uint32_t pid, struct slice key);

/* A StartupMessage: begin, add pairs, end. */
uint32_t frontend_startup_begin(struct buf *out, uint16_t major, uint16_t minor);
void frontend_startup_add(struct buf *out, struct slice key, struct slice value);
void frontend_startup_end(struct buf *out, uint32_t begun);

#endif
