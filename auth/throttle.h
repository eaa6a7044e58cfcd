/* throttle: guessing passwords must be slow, and must not slow anybody else.
 *
 * Remembers failed logins of the last while (a minute), per address and per address
 * with user name. Too many (ten) for one name from one address: that pair is refused
 * for two minutes, whatever it sends, without a look at the user or at any server.
 * Fewer, or spread over many names: the answer to each further failure is held back,
 * longer each time. Only failures wait; a right password never does.
 *
 *     throttle_refuses?  -- yes --> refuse at once
 *            | no
 *          login --+-- right --> throttle_succeeded
 *                  +-- wrong --> throttle_failed; answer after throttle_delay_ms
 *
 * Bounded: a table of fixed size; when it is full the oldest go, those under
 * refusal last. IPv6 counts by /64, which is what one subscriber gets. Names and
 * addresses are kept only as keyed hashes.
 *
 * Owner: whoever called throttle_new. Thread: one at a time (the caller locks).
 * `now_ms` is any monotonic clock.
 */
#ifndef SLUICE_AUTH_THROTTLE_H
#define SLUICE_AUTH_THROTTLE_H

#include "protocol/map.h"

enum {
    THROTTLE_FAILURES = 10, /* that are remembered, and the most that a rule may allow */
    THROTTLE_REFUSAL_MS = 120000,
    THROTTLE_DELAY_MIN_MS = 100, /* after the second failure; doubles with each further one */
    THROTTLE_DELAY_MAX_MS = 3200,
    THROTTLE_MEMORY_MAX_BYTES = 16 << 20,
};

struct throttle;

/* `failures` within `window_ms` for one address and name, and the pair is refused; 0: never. */
struct throttle_rule {
    uint32_t failures;
    uint64_t window_ms;
};

/* `seed` keeps strangers from choosing addresses and names that collide. NULL: no memory. */
struct throttle *throttle_new(struct map_seed seed);
void throttle_free(struct throttle *t); /* NULL is fine */

/* In all of these `address` is 4 bytes (IPv4) or 16 (IPv6), network order, or none (unix socket).
 */

/* Whether this login is to be refused before it begins. */
bool throttle_refuses(const struct throttle *t, struct slice address, struct slice user,
                      uint64_t now_ms);

/* A login that was tried came to nothing. Refused ones are not to be counted. */
void throttle_failed(struct throttle *t, const struct throttle_rule *rule, struct slice address,
                     struct slice user, uint64_t now_ms);

/* This user's failures from there are forgotten; those of the address are not, or one good account
 * would cover for guessing at others. */
void throttle_succeeded(struct throttle *t, struct slice address, struct slice user);

/* How long to hold back the answer to a login that has just failed. */
uint32_t throttle_delay_ms(const struct throttle *t, const struct throttle_rule *rule,
                           struct slice address, uint64_t now_ms);

#endif
