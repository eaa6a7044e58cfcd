/* scram: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both roles (RFC 5802, RFC 7677).
 *
 *     client                                        server
 *     client-first   n,,n=,r=C            ------>
 *                    <------              server-first   r=CS,s=salt,i=4096
 *     client-final   c=biws,r=CS,p=proof  ------>
 *                    <------              server-final   v=signature
 *
 * What a password is turned into:
 *
 *     salted = PBKDF2(SASLprep(password), salt, i)        slow
 *     client_key = HMAC(salted, "Client Key")             proves the client
 *     stored_key = SHA256(client_key)                     checks that proof
 *     server_key = HMAC(salted, "Server Key")             proves the server
 *
 * PLUS binds the exchange to the TLS channel by the hash of the server's
 * certificate (tls-server-end-point, RFC 5929); the hash is handed in here.
 * Only the texts of the messages: how they travel in PostgreSQL's frames is the
 * business of verify and prove. Text from the other side is bounded, never
 * searched for a NUL, and parsed strictly.
 *
 * Ownership: the machines are embedded values and borrow whatever slices their
 * begin function was given. Fini wipes them.
 */
#ifndef SLUICE_AUTH_SCRAM_H
#define SLUICE_AUTH_SCRAM_H

#include "auth/hash.h"
#include "protocol/err.h"

enum {
    SCRAM_SALT_BYTES = 16,                   /* of the salts we make: PostgreSQL's length */
    SCRAM_SALT_MAX_BYTES = 128,              /* of the salts we accept */
    SCRAM_NONCE_BYTES = 18,                  /* of randomness in a nonce; 24 characters of base64 */
    SCRAM_ITERATIONS = 4096,                 /* PostgreSQL's default */
    SCRAM_ITERATIONS_MAX = 100000,           /* that a server may ask of us (CVE-2026-42198) */
    SCRAM_VERIFIER_ITERATIONS_MAX = 1000000, /* that a stored verifier may carry */
    SCRAM_MESSAGE_MAX_BYTES = 1024,          /* PG_MAX_SASL_MESSAGE_LENGTH */
    SCRAM_CHANNEL_BINDING_MAX_BYTES = 64,    /* the longest hash, SHA-512 */
};

/* Text that a nonce of ours may be made of: `random` in base64, NUL-terminated. */
struct scram_nonce {
    char text[SCRAM_NONCE_BYTES / 3 * 4 + 1];
};
void scram_nonce_make(struct scram_nonce *n, const uint8_t random[SCRAM_NONCE_BYTES]);

struct scram_salt {
    uint8_t bytes[SCRAM_SALT_MAX_BYTES];
    size_t len;
};

/* ---- what is stored ----------------------------------------------------------------------- */

/* Enough to check a client, not enough to be one. A plain value. */
struct scram_verifier {
    struct scram_salt salt;
    uint32_t iterations;
    uint8_t stored_key[SHA256_BYTES];
    uint8_t server_key[SHA256_BYTES];
};

/* `SCRAM-SHA-256$iterations:salt$stored:server`, as in pg_authid. False sets err. */
bool scram_verifier_parse(struct scram_verifier *v, struct slice text, struct err *err);
void scram_verifier_print(const struct scram_verifier *v, struct buf *out);

/* Slow. False when salt or iterations are out of range, or memory ran out. */
bool scram_verifier_make(struct scram_verifier *v, struct slice password, struct slice salt,
                         uint32_t iterations);

/* Whether `password` is the one that `v` was made from. Slow; constant time. */
bool scram_verifier_check(const struct scram_verifier *v, struct slice password);

/* A verifier that no password fits, for a user who is not there: the salt is stable per key and
 * name, so asking twice tells nothing. `key` is a secret of this process. */
bool scram_verifier_mock(struct scram_verifier *v, struct slice key, struct slice user,
                         uint32_t iterations);

/* The salt of such a verifier; also what plaintext passwords are salted with, so that the two can
 * not be told apart. */
bool scram_stable_salt(uint8_t salt[SCRAM_SALT_BYTES], struct slice key, struct slice user);

/* What a client derives from its password; as good as the password for this salt. */
struct scram_keys {
    struct scram_salt salt;
    uint32_t iterations; /* 0: nothing derived yet */
    uint8_t client_key[SHA256_BYTES];
    uint8_t server_key[SHA256_BYTES];
};

/* Slow. False: out of range, or memory ran out. */
bool scram_keys_derive(struct scram_keys *k, struct slice password, struct slice salt,
                       uint32_t iterations);
bool scram_keys_fit(const struct scram_keys *k, const struct scram_salt *salt, uint32_t iterations);

/* ---- server role -------------------------------------------------------------------------- */

enum scram_result {
    SCRAM_OK,
    SCRAM_FAILED, /* well formed, but the proof is wrong */
    SCRAM_BAD,    /* not the messages of SCRAM; err says why */
};

struct scram_server {
    const struct scram_verifier *verifier;
    struct slice channel_binding; /* empty: PLUS is not offered */
    struct slice nonce;           /* ours, printable */
    struct buf auth_message;      /* client-first-bare, server-first, client-final-without-proof */
    struct buf full_nonce;        /* the client's and ours */
    char flag;                    /* n, y or p: what the client said about channel binding */
};

/* Borrows verifier, channel_binding and nonce until fini. */
void scram_server_begin(struct scram_server *s, const struct scram_verifier *verifier,
                        struct slice channel_binding, struct slice nonce);
void scram_server_fini(struct scram_server *s);

/* The NUL-terminated list of mechanisms for AuthenticationSASL: PLUS first, if there is a binding.
 */
void scram_server_offer(const struct scram_server *s, struct buf *out);

/* Takes the chosen mechanism and client-first; appends server-first. OK or BAD. */
enum scram_result scram_server_first(struct scram_server *s, struct slice mechanism,
                                     struct slice client_first, struct buf *out, struct err *err);

/* Takes client-final; appends server-final when OK. */
enum scram_result scram_server_final(struct scram_server *s, struct slice client_final,
                                     struct buf *out, struct err *err);

/* ---- client role -------------------------------------------------------------------------- */

struct scram_client {
    struct slice user;            /* for n=; PostgreSQL ignores it, libpq sends none */
    struct slice channel_binding; /* for flag p */
    struct slice nonce;           /* ours, printable */
    char flag;
    struct buf auth_message;
    struct buf full_nonce;
    struct scram_salt salt; /* after scram_client_challenge */
    uint32_t iterations;
    uint8_t
        server_signature[SHA256_BYTES]; /* what the server must send, after scram_client_final */
};

/* `flag`: 'p' uses SCRAM-SHA-256-PLUS, 'y' says that we could but the server did not offer it,
 * 'n' that we can not. Borrows the slices until fini. */
void scram_client_begin(struct scram_client *c, char flag, struct slice channel_binding,
                        struct slice user, struct slice nonce);
void scram_client_fini(struct scram_client *c);

/* The mechanism's name that goes with the flag. */
const char *scram_client_mechanism(const struct scram_client *c);

/* Appends client-first. */
void scram_client_first(struct scram_client *c, struct buf *out);

/* Takes server-first; fills salt and iterations. False sets err. */
bool scram_client_challenge(struct scram_client *c, struct slice server_first, struct err *err);

/* Appends client-final; `keys` must fit salt and iterations. False sets err. */
bool scram_client_final(struct scram_client *c, const struct scram_keys *keys, struct buf *out,
                        struct err *err);

/* Takes server-final: true when the server has proved that it knows our verifier. */
bool scram_client_verify(struct scram_client *c, struct slice server_final, struct err *err);

#endif
