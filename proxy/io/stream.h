/* stream: one byte pipe, TLS or plain, and its water marks.
 *
 * Knows no PostgreSQL. Above it nobody says `uv_` or `SSL_`. A stream is embedded
 * in its owner (a client or a server); its owner gets callbacks, all on the
 * loop's thread:
 *
 *      socket --recv--> loop's 64 KiB receive buffer --(TLS)--> on_bytes
 *      stream_write --(TLS)--> one send --> what the socket refused: `out`
 *
 * Ownership: bytes given to on_bytes live in the loop's buffer and are valid
 * during the call only. Bytes given to stream_write are sent or copied before it
 * returns. An idle stream owns no buffer.
 * Closing: stream_close may be called at any time, also from within a callback;
 * no callback but on_closed follows, on_closed comes exactly once, and only then
 * may the owner free the memory.
 * Thread: the loop's, except stream_detach/stream_attach, which move a stream.
 */
#ifndef SLUICE_PROXY_IO_STREAM_H
#define SLUICE_PROXY_IO_STREAM_H

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <uv.h>

struct stream;
struct tls_context;
struct tls;

/* What a loop lends to all its streams: buffers, and nothing else. One per loop. */
struct stream_loop {
    uv_loop_t *uv;
    char *receive;      /* STREAM_RECEIVE_BYTES, raw bytes of one recv */
    char *plain;        /* STREAM_RECEIVE_BYTES, decrypted bytes */
    char *cipher;       /* TLS records of one write, before they are sent */
    uint32_t plain_cap, cipher_cap;
};

enum {
    STREAM_RECEIVE_BYTES = 64 * 1024,
    STREAM_HIGH_BYTES = 256 * 1024, /* `out` beyond this: stream_is_choked */
    STREAM_LOW_BYTES = 64 * 1024,   /* and below this: on_drained */
};

enum stream_end {
    STREAM_EOF,       /* the peer closed its side, cleanly */
    STREAM_TRUNCATED, /* TLS: the peer closed without close_notify */
    STREAM_ERROR,     /* reset, TLS alert, ...: see err */
};

struct stream_events {
    /* Bytes arrived (plaintext). May write to, pause or close any stream. */
    void (*on_bytes)(struct stream *s, const char *at, size_t len);
    /* `out` fell below the low mark after it had been above the high one. */
    void (*on_drained)(struct stream *s);
    /* A connect or a TLS handshake that was asked for is done; err: NULL or why it failed. */
    void (*on_connected)(struct stream *s, const struct err *err);
    void (*on_secured)(struct stream *s, const struct err *err);
    /* The peer is gone; the owner is expected to close (or to flush, then close). */
    void (*on_end)(struct stream *s, enum stream_end end, const struct err *err);
    void (*on_closed)(struct stream *s);
};

bool stream_loop_init(struct stream_loop *l, uv_loop_t *uv);
void stream_loop_fini(struct stream_loop *l);

/* A TCP or unix stream around a connected, non-blocking socket; takes the fd over also on
 * failure. Sets TCP_NODELAY and keepalive (idle, interval seconds; 0: off). Reading starts. */
bool stream_open(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                 int fd, struct err *err);

/* Connects to `address`; on_connected tells. */
bool stream_connect(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                    const struct sockaddr *address, struct err *err);

/* Turns a plain stream into a TLS one. Server side: context with a certificate. `early` is
 * raw bytes that were already received and belong to the handshake (direct TLS) or nothing.
 * Client side: `server_name` is verified (verify-full) and sent as SNI; NULL: neither.
 * on_secured tells, exactly once. */
bool stream_secure_server(struct stream *s, struct tls_context *context, struct slice early,
                          struct err *err);
bool stream_secure_client(struct stream *s, struct tls_context *context, const char *server_name,
                          struct err *err);

/* Sends the parts in order, at once as far as the socket takes them; what it does not take is
 * copied to `out` and sent later. False: the stream is broken (on_end will say so, later). */
bool stream_write(struct stream *s, const struct iovec *parts, int count);

static inline bool stream_write_slice(struct stream *s, struct slice bytes)
{
    struct iovec part = { (void *)(uintptr_t)bytes.at, bytes.len };
    return stream_write(s, &part, 1);
}

/* Reading stops (no more on_bytes) and goes on. Never needed per transaction. While paused,
 * decrypted bytes that are already there wait too. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

bool stream_is_choked(const struct stream *s);  /* `out` is above the high mark */
uint32_t stream_backlog(const struct stream *s); /* bytes in `out` */
bool stream_is_tls(const struct stream *s);
struct tls *stream_tls(struct stream *s); /* NULL: plain */

/* Closes at once; on_closed comes later in the loop. TLS: a close_notify is tried first. */
void stream_close(struct stream *s);
/* The same once `out` is sent, or after `linger_ms`, whichever is first; input is ignored. */
void stream_close_flushed(struct stream *s, uint32_t linger_ms);

/* Moving to another loop. detach: stops everything on this loop and yields the socket and TLS
 * state into `moved` (on_closed is called when the old memory may go); nothing may be in `out`
 * (check stream_backlog first; false if there is, nothing happened then). attach: continues. */
struct stream_moved {
    int fd;
    struct tls *tls;
    bool is_unix;
};
bool stream_detach(struct stream *s, struct stream_moved *moved);
bool stream_attach(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                   struct stream_moved *moved, struct err *err);

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct stream_loop *loop;
    const struct stream_events *events;
    struct tls *tls;
    struct stream_out *out; /* NULL while the socket takes everything */
    uint8_t paused : 1, choked : 1, closing : 1, broken : 1, is_unix : 1, connecting : 1,
        securing : 1;
};

#endif
