/* prove: we prove ourselves to a server.
 *
 *     prove_message   <- R: what the server asks    -> our answer
 *
 * One machine per connection that is being opened, fed with the bodies of the
 * Authentication* messages (every R until AuthenticationOk). The server is not
 * trusted: it may ask once, only for what its TLS state allows, and a SCRAM
 * exchange that was begun must end with the server's own proof before
 * AuthenticationOk is believed.
 *
 *     code 0           Ok; only if no SCRAM exchange is open
 *     code 3           the password in clear text; only over TLS or a unix socket
 *     code 5           md5
 *     code 10, 11, 12  SCRAM-SHA-256, or -PLUS when there is a channel binding
 *     code 13          Redshift's digest
 *     code 14          an identity provider's token; only over TLS or a unix socket
 *
 *     message --+-- SEND    send `out` (it may be empty), wait for the next R
 *               +-- DERIVE  prove_derive on another thread, then prove_derived
 *               +-- OK      AuthenticationOk
 *               +-- FAILED  err says why; close
 *
 * Ownership: prove_new copies nothing of the setup's slices and pointers but
 * `random`; they must live until prove_free. Thread: one; prove_derive may run on
 * another while the owner waits (and must be over before prove_free).
 * Source: PostgreSQL 15, 55.2.1 and 55.3; Redshift's codes: Amazon's drivers.
 */
#ifndef SLUICE_AUTH_PROVE_H
#define SLUICE_AUTH_PROVE_H

#include "auth/scram.h"
#include "auth/secret.h"

enum prove_result { PROVE_SEND, PROVE_DERIVE, PROVE_OK, PROVE_FAILED };

enum { PROVE_RANDOM_BYTES = 32 };

struct prove_setup {
    struct slice user;             /* exactly as in our startup packet, with any IAM: before it */
    const struct secret *password; /* NULL: none */
    const struct secret *token;    /* for code 14; NULL: none */
    bool tls, unix_socket;
    struct slice channel_binding;       /* hash of the server's certificate; empty: none known */
    bool require_channel_binding;       /* nothing but SCRAM-SHA-256-PLUS will do */
    const struct scram_keys *keys;      /* derived earlier from this password, or NULL */
    uint8_t random[PROVE_RANDOM_BYTES]; /* fresh for every connection */
};

struct prove;

/* NULL: no memory. */
struct prove *prove_new(const struct prove_setup *setup);
void prove_free(struct prove *p); /* NULL is fine */

/* Takes the body of an R message and appends whole messages to `out`. */
enum prove_result prove_message(struct prove *p, struct slice body, struct buf *out,
                                struct err *err);

/* The work of PROVE_DERIVE, on any thread; then, on the owner's, its result: SEND or FAILED. */
void prove_derive(struct prove *p);
enum prove_result prove_derived(struct prove *p, struct buf *out, struct err *err);

/* After PROVE_OK by SCRAM: the keys that served, to be kept with the password and given to the next
 * login as setup.keys. NULL: there are none. Valid until prove_free. */
const struct scram_keys *prove_keys(const struct prove *p);

#endif
