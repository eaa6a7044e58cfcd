/* resolve: a host's name, or what looks like an address, to addresses.
 *
 * Names go to getaddrinfo in libuv's thread pool, with a timeout of our own: a slow
 * DNS server holds one of the pool's threads, not the loop. (libuv lends half of its
 * UV_THREADPOOL_SIZE threads, 4 unless set, to such calls.) Addresses and unix:/path
 * are answered without the pool.
 * Ownership: a query is resolve's own; its owner holds a pointer until the answer.
 * Thread: the loop's.
 */
#ifndef SLUICE_PROXY_IO_RESOLVE_H
#define SLUICE_PROXY_IO_RESOLVE_H

#include "proxy/io/socket.h"

#include <uv.h>

enum { RESOLVE_ADDRESSES_MAX = 16, RESOLVE_NAME_BYTES = 253 /* RFC 1035, in text */ };

struct resolve_answer {
    uint32_t count; /* at least 1; in the order in which they should be tried */
    union socket_address at[RESOLVE_ADDRESSES_MAX];
};

struct resolve;

/* Exactly once, unless cancelled, and never from within resolve_start; answer or err is NULL.
 * The query is gone afterwards. */
typedef void resolve_done(void *owner, const struct resolve_answer *answer, const struct err *err);

/* NULL with `err`: the name is refused (longer than 253 bytes, not ASCII letters, digits, '-', '_'
 * and '.', a NUL in it, or a number that only some would read as an address: 0x7f000001, 127.1),
 * or there is no memory. `host` is copied. */
struct resolve *resolve_start(uv_loop_t *uv, struct slice host, uint16_t port, uint32_t timeout_ms,
                              resolve_done *done, void *owner, struct err *err);

/* No callback comes any more. (The thread finishes its work for nobody.) */
void resolve_cancel(struct resolve *r);

/* The rule for names that resolve_start obeys, for those who check configurations. */
bool resolve_name_is_good(struct slice host);

#endif
