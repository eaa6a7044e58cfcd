/* proxy_header: the PROXY protocol: what a load balancer says of whom it connects.
 *
 * Version 1 is a line of text, version 2 a binary header; either comes before the client's first
 * byte, and after it the connection is the client's. Additions of version 2 (TLVs, such as AWS's
 * endpoint id) are passed over. Reads one header; whether the sender may be believed is the
 * caller's business.
 * Source: HAProxy, "The PROXY protocol", sections 2.1 and 2.2. Pure: any thread.
 */
#ifndef SLUICE_PROXY_IO_PROXY_HEADER_H
#define SLUICE_PROXY_IO_PROXY_HEADER_H

#include "protocol/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PROXY_HEADER_V1 = 1, /* kinds to accept; both may be */
    PROXY_HEADER_V2 = 2,
    PROXY_HEADER_MAX = 4096, /* bytes; the specification asks for 536, AWS needs some hundred */
};

enum proxy_header_result {
    PROXY_HEADER_MORE,   /* not all there yet */
    PROXY_HEADER_BAD,    /* none of the accepted kinds, or malformed */
    PROXY_HEADER_LOCAL,  /* the load balancer itself, or whom it cannot name: use the peer's address
                          */
    PROXY_HEADER_CLIENT, /* `client` is the real address */
};

struct proxy_header {
    enum proxy_header_result result;
    uint32_t size; /* bytes of the header; LOCAL and CLIENT only */
    bool is_v6;
    uint8_t address[16]; /* v4: the first four */
    uint16_t port;
};

/* Reads the header at the start of `in`; `kinds`: PROXY_HEADER_V1, PROXY_HEADER_V2 or their sum. */
struct proxy_header proxy_header_read(struct slice in, unsigned kinds);

#endif
