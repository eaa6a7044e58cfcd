/* tls: one TLS connection, between two buffers.
 *
 * Knows no socket: raw bytes go in and come out through a `struct tls_io` that the
 * caller lends for one call (io/stream does), so a TLS connection can move between
 * threads. The only file that speaks OpenSSL's SSL_* is tls.c with its two helpers,
 * tls_context.c (what a side shows and trusts) and tls_explain.c (errors in words).
 *
 * Memory: about 15 KiB while idle; buffers exist only while a record is incomplete.
 * Thread: one at a time.
 */
#ifndef SLUICE_PROXY_IO_TLS_H
#define SLUICE_PROXY_IO_TLS_H

#include "proxy/io/tls_context.h"

#include "protocol/buf.h"

struct tls;

/* ---- the bytes; for io/stream ---- */

struct tls_io {
    struct slice in; /* raw bytes that arrived; what a call consumed is cut off */
    struct buf *out; /* raw bytes to send are added here */
};

enum tls_status {
    TLS_OK,     /* handshake: complete; read: the buffer is full, call again */
    TLS_MORE,   /* all input is consumed, more is needed */
    TLS_EOF,    /* the peer said close_notify */
    TLS_FAILED, /* and `err` is set; an alert may be in `out` */
};

/* NULL with `err`: out of memory, or verify-full without a name. The context may be unreferenced
 * by the caller afterwards. */
struct tls *tls_new_server(struct tls_context *context, struct err *err);
struct tls *tls_new_client(struct tls_context *context, const char *server_name, struct err *err);
void tls_free(struct tls *t); /* NULL is fine */

enum tls_status tls_handshake(struct tls *t, struct tls_io *io, struct err *err);

/* Decrypts into at[cap]; `len` bytes are there whatever the status. */
enum tls_status tls_read(struct tls *t, struct tls_io *io, char *at, size_t cap, size_t *len,
                         struct err *err);

/* At most 16 KiB make one record. False: the connection is unusable. */
bool tls_write(struct tls *t, struct tls_io *io, const char *at, size_t len);

/* Adds a close_notify to `out`. */
void tls_shutdown(struct tls *t, struct tls_io *io);

/* Raw bytes that wait for the next call travel with the connection. False: no memory. */
bool tls_hold(struct tls *t, struct slice raw);
struct buf tls_unhold(struct tls *t); /* the caller frees it */

/* ---- what is known of it, after the handshake; for everybody ---- */

const char *tls_version(const struct tls *t); /* "TLSv1.3" */
const char *tls_cipher(const struct tls *t);  /* "TLS_AES_256_GCM_SHA384" */
bool tls_is_resumed(const struct tls *t);
/* Both sides agreed on the protocol "postgresql"; direct TLS must not go on without. */
bool tls_alpn_is_postgresql(const struct tls *t);

/* Channel binding tls-server-end-point (RFC 5929 section 4): the hash of the server's certificate,
 * on both sides. Returns its length; 0: the certificate's signature names no hash (Ed25519). */
enum { TLS_END_POINT_BYTES = 64 };
size_t tls_server_end_point(struct tls *t, uint8_t hash[TLS_END_POINT_BYTES]);

/* The peer's certificate; all empty unless it showed one and it was verified against the CA. Names
 * with a NUL inside are left out. The slices live as long as `t`. */
enum tls_name_kind { TLS_NAME_DNS, TLS_NAME_EMAIL, TLS_NAME_URI };
struct tls_name {
    enum tls_name_kind kind;
    struct slice text;
};
bool tls_peer_is_verified(const struct tls *t);
struct slice tls_peer_common_name(struct tls *t); /* UTF-8; empty when there is not exactly one */
size_t tls_peer_names(struct tls *t, struct tls_name *names, size_t cap); /* subjectAltName */
int64_t tls_peer_not_after(const struct tls *t); /* Unix seconds; 0: no certificate */

#endif
