/* raw: a client that says exactly what it is told to, and shows exactly what comes back.
 *
 * For all that libpq would never send. It knows frames and nothing more: what a conversation
 * should look like is for the test to say, for instance
 *
 *     raw_query(r, "select 1");
 *     assert_string_equal(raw_answer(r), "T D C ZI");
 *
 * Blocking, with a limit on every read. Thread: the test's.
 */
#ifndef SLUICE_TESTS_RAW_H
#define SLUICE_TESTS_RAW_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAW_END = -1, RAW_SILENT = -2 }; /* instead of a byte or a type */

enum { RAW_PROTOCOL_3_0 = 3 << 16, RAW_SSL_REQUEST = 80877103, RAW_GSS_REQUEST = 80877104 };

struct raw {
    int fd;
    SSL *ssl;
    SSL_CTX *context;
    SSL_SESSION *session; /* the test's: to be resumed by raw_secure; NULL: none */
    int max_version;      /* TLS1_2_VERSION and so on, for raw_secure; 0: any */
    int wait_ms;          /* for a read; 5 s */
    /* The message that raw_next has read: the body only. */
    uint8_t *body;
    size_t len;
    char answer[2000]; /* of raw_answer */
};

/* Connects to 127.0.0.1:port, from `source` (NULL: any address). Never NULL; exits when memory is
 * out, and a connection that could not be made reads as one that has ended. */
struct raw *raw_open(int port, const char *source);
void raw_close(struct raw *r); /* NULL is fine */
void raw_abort(struct raw *r); /* the same, by RST */
void raw_half_close(struct raw *r);

/* All of the bytes; that the peer is gone is seen when reading. */
void raw_send(struct raw *r, const void *bytes, size_t len);

/* A startup packet's 8 bytes alone: SSLRequest and its like. */
void raw_request(struct raw *r, uint32_t code);

/* A startup packet; `pairs` end with NULL. */
void raw_startup(struct raw *r, uint32_t version, const char *const pairs[]);

/* A message with the length that belongs to it; and with one that may be a lie. */
void raw_say(struct raw *r, char type, const void *body, size_t len);
void raw_lie(struct raw *r, char type, uint32_t length, const void *body, size_t len);

void raw_query(struct raw *r, const char *sql);
void raw_parse(struct raw *r, const char *name, const char *sql);
void raw_bind(struct raw *r, const char *statement); /* no parameters, to the unnamed portal */
void raw_execute(struct raw *r);
void raw_sync(struct raw *r);

/* TLS from here on, ALPN as given (NULL: none), with the certificate in `certificate`.crt and .key
 * (NULL: none); any server is believed. False: the handshake failed. */
bool raw_secure(struct raw *r, const char *alpn, const char *certificate);

int raw_byte(struct raw *r);
/* Exactly so many; false: the end came first, or nothing. */
bool raw_bytes(struct raw *r, void *at, size_t len);
int raw_next(struct raw *r);

/* The field of the ErrorResponse that was read; "": it has none. */
const char *raw_field(const struct raw *r, char field);

/* Reads up to ReadyForQuery, the end or silence, and says in a line what came: a type per message,
 * "ZI" with its status, "E42501" with its SQLSTATE, "end", "silence". ParameterStatus and notices
 * are left out; several DataRows or CopyData in a row count as one. */
const char *raw_answer(struct raw *r);
#define raw_answers(r, wanted) assert_string_equal(raw_answer(r), wanted)

/* A Query, and its answer. */
#define raw_asks(r, sql, wanted) (raw_query(r, sql), raw_answers(r, wanted))

/* Startup as `user` on database postgres, to the first ReadyForQuery. False: it did not come. */
bool raw_login(struct raw *r, const char *user);

#endif
