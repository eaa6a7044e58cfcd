/* verify: a client proves itself to us.
 *
 *     verify_begin    -> R: what we ask for
 *     verify_message  <- p or d: its answer    -> R: the next question, or the verdict
 *
 * One machine per login, fed with whole messages. It writes every Authentication*
 * message but AuthenticationOk, which is the caller's to send. An unknown user
 * (setup.user == NULL) goes through the same messages and the same work as a known
 * one with a wrong password, and always fails.
 *
 *                    +-- OK, FAILED (trust, cert)
 *     begin ---------+                       +-- OK
 *                    +-- MORE --- message ---+-- FAILED   wrong password
 *                          ^        |        +-- BAD      not the protocol; err says what
 *                          +--------+        +-- TOKEN    iam: the caller decides
 *                                            +-- FORWARD  passthrough, idp: the warehouse decides
 *                                            +-- DERIVE   verify_derive, then verify_derived
 *
 * After anything but MORE and DERIVE the machine takes no further messages.
 * Ownership: verify_new copies nothing of the setup's slices and pointers but
 * `random`; they must live until verify_free. Thread: one; verify_derive may run
 * on another while the owner waits.
 */
#ifndef SLUICE_AUTH_VERIFY_H
#define SLUICE_AUTH_VERIFY_H

#include "auth/users.h"

enum verify_result {
    VERIFY_MORE,    /* send `out`, wait for the client's next message */
    VERIFY_OK,      /* proved */
    VERIFY_FAILED,  /* not proved */
    VERIFY_BAD,     /* protocol violation */
    VERIFY_TOKEN,   /* not proved yet: verify_password() is a token for the caller to judge, which
                     * for an unknown user (setup.user == NULL) must come out as a failure */
    VERIFY_FORWARD, /* not proved yet: verify_take_password() is for the warehouse to judge; never
                     * said of an unknown user */
    VERIFY_DERIVE,  /* only with setup.may_derive: a slow hash is wanted */
};

enum {
    VERIFY_RANDOM_BYTES = 32,
    /* A body longer than this is refused; the reader should refuse the header already.
     * IAM tokens make long passwords. */
    VERIFY_MESSAGE_MAX_BYTES = 16384,
};

struct verify_setup {
    enum auth_method method;
    const struct user *user;      /* NULL: unknown, go through the motions */
    const struct user *stranger;  /* users_stranger(): whose costs to go through then */
    struct slice user_name;       /* as the startup packet has it */
    struct slice mock_key;        /* users_key() */
    struct slice channel_binding; /* hash of our certificate, over TLS; empty: no SCRAM-PLUS */
    bool tls;
    bool unix_socket; /* cleartext is refused unless one of these two holds */
    bool may_derive;  /* the caller handles VERIFY_DERIVE; else PBKDF2 runs within verify_message */
    uint8_t random[VERIFY_RANDOM_BYTES]; /* fresh for every login */
};

struct verify;

/* NULL: no memory. */
struct verify *verify_new(const struct verify_setup *setup);
void verify_free(struct verify *v); /* NULL is fine */

/* Appends the first message, type byte and all. MORE; or OK or FAILED at once, with nothing
 * appended, when no message is needed (trust, cert) or the method is not possible here. */
enum verify_result verify_begin(struct verify *v, struct buf *out);

/* Takes the body of a message of type `type` and appends what is to be sent. FAILED and BAD set
 * err: FAILED always to the same words. */
enum verify_result verify_message(struct verify *v, uint8_t type, struct slice body,
                                  struct buf *out, struct err *err);

/* The work of VERIFY_DERIVE, on any thread; then, on the owner's, its result: OK or FAILED. */
void verify_derive(struct verify *v);
enum verify_result verify_derived(struct verify *v, struct err *err);

/* The password or token that the client sent in clear text, until verify_free; NULL if it did not.
 */
const struct secret *verify_password(const struct verify *v);

/* The same, and it is the caller's from now on. */
struct secret *verify_take_password(struct verify *v);

/* After VERIFY_TOKEN, when the text is no token: checks it as a password, if the user's list allows
 * one. OK, FAILED or DERIVE. */
enum verify_result verify_as_password(struct verify *v, struct err *err);

#endif
