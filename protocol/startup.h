/* startup: the packets before the first message with a type byte.
 *
 * SSLRequest, GSSENCRequest, CancelRequest, StartupMessage 3.x, and the first
 * byte of a TLS ClientHello (direct TLS). Reads packets; deciding what is allowed
 * when is client's business.
 * Source: PostgreSQL 15, 55.2.1 Start-up, 55.2.10-11 SSL and GSSAPI encryption,
 * 55.7; PostgreSQL 18 for 3.2 and direct TLS.
 */
#ifndef SLUICE_PROTOCOL_STARTUP_H
#define SLUICE_PROTOCOL_STARTUP_H

#include "protocol/err.h"
#include "protocol/slice.h"

enum {
    STARTUP_MAX = 10000,     /* bytes; PostgreSQL's MAX_STARTUP_PACKET_LENGTH */
    STARTUP_TLS_BYTE = 0x16, /* TLS record type "handshake" */
    STARTUP_CANCEL_KEY_MAX = 256,
};

enum startup_kind {
    STARTUP_MORE, /* not all there yet */
    STARTUP_BAD,  /* lying length or no packet at all: close, say nothing */
    STARTUP_DIRECT_TLS,
    STARTUP_SSL_REQUEST,
    STARTUP_GSS_REQUEST,
    STARTUP_CANCEL,
    STARTUP_SESSION,
    STARTUP_OLD, /* protocol 2.0 or something unknown: refuse with 0A000 */
};

struct startup {
    enum startup_kind kind;
    uint32_t size;           /* bytes of the packet */
    uint16_t major, minor;   /* SESSION, OLD */
    uint32_t cancel_pid;     /* CANCEL */
    struct slice cancel_key; /* CANCEL: 4 bytes, up to 256 with protocol 3.2 */
    struct slice parameters; /* SESSION: walk with startup_next */
};

/* Reads the packet at the start of `in`. */
struct startup startup_read(struct slice in);

/* Walks key and value pairs: false at the end. `at` starts as startup.parameters. The list
 * was checked by startup_read: it ends with an empty key and nothing behind it. */
bool startup_next(struct slice *at, struct slice *key, struct slice *value);

/* The value of `key` (case as given), or a slice with at == NULL. */
struct slice startup_get(struct slice parameters, const char *key);

/* Walks the "-c name=value" and "--name=value" settings inside an `options` value, with
 * PostgreSQL's backslash escapes (pg_split_opts); the unescaped word is written to `word`.
 * False at the end. *bad is set, and name and value are empty, for an option that is none of
 * these or too long. */
struct startup_option {
    char word[1024];
    struct slice name, value; /* inside word */
};
bool startup_next_option(struct slice *at, struct startup_option *option, bool *bad);

#endif
