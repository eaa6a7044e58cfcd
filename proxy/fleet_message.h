/* fleet_message: what proxies say to each other over Redis, and what to believe of it.
 *
 *      sluice-fleet 1 <kind> <from> <serial> <time> <body> <hmac-sha256 of the scope and all that>
 *
 * One line; body and numbers in hexadecimal. Whoever can write to Redis can say anything there, so
 * only what is signed with a signing key of routes.signing_key is believed; only once, since a
 * sender's serials grow; and only for half a minute, so that one who has just begun to listen is
 * told nothing old. Proxies' clocks must agree that far.
 * What must not be read in Redis is covered by a pad made of the key and the serial.
 *
 * Pure. One owner, one thread.
 */
#ifndef SLUICE_PROXY_FLEET_MESSAGE_H
#define SLUICE_PROXY_FLEET_MESSAGE_H

#include "protocol/buf.h"
#include "routing/cache.h"

enum fleet_kind { FLEET_HELLO, FLEET_CANCEL, FLEET_CANCELLED, FLEET_ORDER, FLEET_ANSWER };

enum {
    FLEET_BODY_BYTES = 4096,
    FLEET_WINDOW_MS = 30 * 1000,
    FLEET_SENDERS_MAX = 256,
    FLEET_PAD_BYTES = 32,
};

struct fleet_message {
    enum fleet_kind kind;
    uint64_t from;   /* drawn by lot by each process */
    uint64_t serial; /* from 1 on, never twice by one sender */
    int64_t time_ms;
    struct buf body;
    struct slice key; /* that signed it */
};

/* Appends the line, signed with the first key, without a line feed. */
void fleet_message_write(struct buf *out, const struct fleet_message *m,
                         const struct cache_trust *trust);

/* False: malformed, or not signed by one of the keys. `m->body` is the caller's to free in any
 * case. */
bool fleet_message_read(struct fleet_message *m, struct slice line,
                        const struct cache_trust *trust);

/* Covers and uncovers: the same bytes for the same key, sender and serial. False: no memory. */
bool fleet_message_pad(const struct fleet_message *m, struct slice key,
                       uint8_t out[FLEET_PAD_BYTES]);

/* Who has said what up to which serial. Zero-initialised: nobody anything. */
struct fleet_guard {
    struct {
        uint64_t from, serial;
        int64_t seen_ms;
    } known[FLEET_SENDERS_MAX];
};

/* Whether this is new, and notes it. False: too old or too far ahead, heard before, or more senders
 * at once than can be kept. */
bool fleet_guard_take(struct fleet_guard *g, const struct fleet_message *m, int64_t now_ms);

#endif
