/* redis: one connection to a Redis (or Valkey), kept up.
 *
 *      DOWN --pause--> RESOLVING --> CONNECTING --> SECURING --> GREETING --> READY
 *       ^                  |             |              |            |          |
 *       `--- dropped: who waits for an answer is told, on_lost says why --------'
 *
 * Greeting is AUTH, SELECT and, for a connection that listens, SUBSCRIBE. The pause
 * grows to 10 s and has jitter; the name is resolved anew each time, so a failover
 * that moves it is followed.
 * What a Redis says of itself is obeyed here: MOVED goes to the place named (at most
 * three times for one command), READONLY, LOADING, MASTERDOWN and CLUSTERDOWN drop the
 * connection, NOAUTH and WRONGPASS too, with a long pause. A command is never sent
 * twice but after MOVED, which says that it was not carried out.
 * A silent peer is found out by a PING.
 *
 * Knows no routing. Nothing of commands and answers is ever logged here.
 * Ownership: options are copied (the password wiped at the end), the TLS context is
 * counted. A reply is valid during `done`. Thread: the loop's.
 */
#ifndef SLUICE_PROXY_IO_REDIS_H
#define SLUICE_PROXY_IO_REDIS_H

#include "proxy/io/redis_reply.h"
#include "proxy/io/resolve.h"
#include "proxy/io/stream.h"

/* "redis://HOST[:PORT][/DATABASE]", "rediss://..." for TLS. Never with a password in it. */
struct redis_target {
    char host[RESOLVE_NAME_BYTES + 1];
    uint16_t port;
    uint32_t database;
    bool tls;
};

bool redis_target_parse(struct redis_target *t, struct slice url, struct err *err);

struct redis_options {
    struct redis_target target;
    struct tls_context *tls;     /* set if target.tls */
    struct slice user, password; /* empty: none */
    uint32_t connect_timeout_ms; /* from the name to READY */
    uint32_t command_timeout_ms; /* from sending to its answer */
    uint32_t ping_ms;            /* of silence, before a PING */
    uint32_t answer_cap_bytes;
    struct slice channel; /* to listen on; the connection is for nothing else then */
    uint64_t seed;        /* of the jitter */
};

struct redis_events {
    void (*on_ready)(void *owner); /* again after each loss */
    /* Once for each connection, or attempt at one, that failed. */
    void (*on_lost)(void *owner, const struct err *why);
    void (*on_message)(void *owner, struct slice payload); /* on `channel` */
};

struct redis;

enum { REDIS_WORDS_MAX = 24 }; /* of one command */

/* An answer, or NULL and why there is none; an error that Redis tells is a why. */
typedef void redis_done(void *owner, const struct redis_reply *reply, const struct err *err);

/* Begins to connect. NULL: no memory. Callbacks never come from within a call. */
struct redis *redis_open(struct stream_loop *loop, const struct redis_options *options,
                         const struct redis_events *events, void *owner);

/* No callback follows but `closed` (or NULL), in one of the loop's next turns: then it is gone, and
 * needs the stream_loop no more. */
void redis_close(struct redis *r, void (*closed)(void *owner), void *owner);

bool redis_is_ready(const struct redis *r);

/* Sends a command; `done` comes exactly once, unless redis_close comes first. False with `err`: not
 * connected now, or no memory; `done` does not come. */
bool redis_send(struct redis *r, const struct slice *words, int count, redis_done *done,
                void *owner, struct err *err);

#endif
