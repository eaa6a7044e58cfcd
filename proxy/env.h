/* env: what an object on a loop may reach.
 *
 * One per worker. There are no mutable globals: whatever a client, server or pool
 * needs of its surroundings it finds through the env that it was born with (or
 * moved to). Thread: the worker's own.
 */
#ifndef SLUICE_PROXY_ENV_H
#define SLUICE_PROXY_ENV_H

#include "protocol/buf.h"
#include "proxy/io/stream.h"
#include "proxy/ops/log.h"
#include "proxy/ops/metrics.h"

struct realm;
struct route_force;
struct worker;
struct shared;

struct env {
    struct stream_loop streams;
    struct metrics metrics; /* this worker's own counters */
    struct log *log;
    struct realm *realm;        /* the configuration in force here; swapped by mailbox */
    struct route_force *routes; /* likewise the routing table, which also changes alone */
    struct route_force *shadow; /* a candidate, asked beside it; its table may be NULL */
    struct worker *worker;
    struct shared *shared; /* what all workers share: see shared.h */
};

/* The loop's cached monotonic time, milliseconds. */
static inline uint64_t env_now_ms(const struct env *env) { return uv_now(env->streams.uv); }

#endif
