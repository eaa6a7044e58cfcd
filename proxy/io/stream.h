/* stream: one byte pipe, TLS or plain, and its water marks.
 *
 * Knows no PostgreSQL. Above it nobody says `uv_` or `SSL_`. A stream is embedded
 * in its owner (a client or a server); its owner gets callbacks, all on the
 * loop's thread and never from within a call that the owner makes:
 *
 *      socket --recv--> loop's 64 KiB receive buffer --(TLS)--> on_bytes
 *      stream_write --(TLS)--> the turn's post --> one send --> what the socket refused: `out`
 *
 * Ownership: bytes given to on_bytes live in the loop's buffers and are valid
 * during the call only. Bytes given to stream_write are sent or copied before it
 * returns. An idle stream owns no buffer.
 * Closing: whatever stream_open, stream_connect or stream_attach returned, the way
 * out is stream_close. It may be called at any time, also from within a callback;
 * no callback but on_closed follows, on_closed comes exactly once, and only then
 * may the owner free the memory.
 * Thread: the loop's; a stream moves to another with stream_detach, stream_attach.
 */
#ifndef SLUICE_PROXY_IO_STREAM_H
#define SLUICE_PROXY_IO_STREAM_H

#include "proxy/io/socket.h"
#include "proxy/io/wheel.h"

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/list.h"
#include "protocol/slice.h"

#include <sys/uio.h>
#include <uv.h>

struct stream;
struct tls_context;
struct tls;

enum {
    STREAM_RECEIVE_BYTES = 64 * 1024,
    /* One recv's worth decrypted, and the record that was cut off in the recv before. */
    STREAM_PLAIN_BYTES = STREAM_RECEIVE_BYTES + 17 * 1024,
    STREAM_RECORD_BYTES = 16 * 1024, /* what fits into one TLS record */
    STREAM_HIGH_BYTES =
        256 * 1024,      /* `out` beyond this: stream_is_choked; a loop may have another */
    STREAM_LOW_PART = 4, /* and below this part of it: on_drained */
    /* Of a loop's post: what is small enough for it, and how much of it waits at most. */
    STREAM_POST_SMALL = 1024,
    STREAM_POST_BYTES = 16 * 1024,
    STREAM_POST_LETTERS = 64,
};

/* Small writes of one turn of the loop, of all its streams, sent together at its end: twenty sends
 * in a row cost the kernel, and those who are woken by them, less than twenty between twenty
 * receives. */
struct stream_post {
    char *bytes; /* STREAM_POST_BYTES */
    uint32_t len, count;
    struct stream_letter {
        struct stream *to;
        uint32_t len;
    } letters[STREAM_POST_LETTERS];
    uv_prepare_t before_wait; /* what timers and the like wrote */
    uv_check_t after_events;
};

/* What a loop lends to all its streams. One per loop, not moved once initialised. */
struct stream_loop {
    uv_loop_t *uv;
    struct wheel wheel;                /* for the owners' timeouts as well */
    struct socket_keepalive keepalive; /* of sockets that stream_connect makes; may be changed */
    uint32_t high_bytes;               /* STREAM_HIGH_BYTES; may be changed, at least 16 KiB */
    char *receive;                     /* STREAM_RECEIVE_BYTES, raw bytes of one recv */
    char *plain;                       /* STREAM_PLAIN_BYTES, decrypted bytes */
    char *gather;                      /* STREAM_RECORD_BYTES, small parts of one write */
    struct buf cipher;                 /* TLS records of one write; empty between calls */
    struct stream_post post;
    struct list later; /* streams that have something to tell in the next turn */
    uv_idle_t idle;    /* active while `later` is not empty */
};

enum stream_end {
    STREAM_EOF,       /* the peer closed its side, cleanly */
    STREAM_TRUNCATED, /* TLS: the peer closed without close_notify */
    STREAM_ERROR,     /* reset, TLS alert, ...: see err */
};

/* All are set; on_connected may be NULL for streams that never connect, on_secured for streams
 * that are never secured. */
struct stream_events {
    /* Bytes arrived (plaintext). May write to, pause, detach or close any stream. */
    void (*on_bytes)(struct stream *s, const char *at, size_t len);
    /* `out` fell below the low mark after it had been above the high one. */
    void (*on_drained)(struct stream *s);
    /* A connect or a TLS handshake that was asked for is done; err: NULL or why it failed.
     * After a failure nothing but on_closed follows. */
    void (*on_connected)(struct stream *s, const struct err *err);
    void (*on_secured)(struct stream *s, const struct err *err);
    /* The peer is gone; the owner is expected to close (or to flush, then close). Once. err: NULL
     * unless STREAM_ERROR. After STREAM_EOF of a plain stream the peer may still be reading. */
    void (*on_end)(struct stream *s, enum stream_end end, const struct err *err);
    void (*on_closed)(struct stream *s);
};

/* Also has the process ignore SIGPIPE (libuv writes without MSG_NOSIGNAL). False: no memory. */
bool stream_loop_init(struct stream_loop *l, uv_loop_t *uv);

/* After the last stream's on_closed; the loop needs one more turn, `l` must live until then. */
void stream_loop_fini(struct stream_loop *l);

/* A TCP or unix stream around a connected, non-blocking socket; takes the fd over, also on
 * failure. The socket keeps its options (see socket_new). Reading starts. */
bool stream_open(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                 int fd, struct err *err);

/* Connects to `address`; on_connected tells, unless it fails at once: then false. */
bool stream_connect(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                    const union socket_address *address, struct err *err);

/* Turns a plain stream into a TLS one. Server side: context with a certificate. `early` is
 * raw bytes that were already received and belong to the handshake (direct TLS) or nothing:
 * whatever else the peer sent in the clear is the owner's to refuse. Client side: `server_name`
 * is sent as SNI (unless it is an IP address) and verified if the context says verify-full;
 * it may be NULL only if the context does not. on_secured tells, exactly once; until then
 * neither on_bytes nor on_end comes, and nothing can be written. False: out of memory or a bad
 * name; the stream is as before. */
bool stream_secure_server(struct stream *s, struct tls_context *context, struct slice early,
                          struct err *err);
bool stream_secure_client(struct stream *s, struct tls_context *context, const char *server_name,
                          struct err *err);

/* Sends the parts in order: a little with the turn's post, much at once as far as the socket takes
 * it; what it does not take is copied to `out` and sent later. False: the stream is broken (on_end
 * will say so, later). */
bool stream_write(struct stream *s, const struct iovec *parts, int count);

static inline bool stream_write_slice(struct stream *s, struct slice bytes)
{
    struct iovec part = { (void *)(uintptr_t)bytes.at, bytes.len };
    return stream_write(s, &part, 1);
}

/* Reading stops (no more on_bytes) and goes on. Never needed per transaction. While paused,
 * decrypted bytes that are already there wait too, and an orderly end goes unnoticed; a write that
 * fails is told all the same. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

bool stream_is_choked(const struct stream *s);   /* `out` is above the high mark */
uint32_t stream_backlog(const struct stream *s); /* bytes that the socket did not take yet */
bool stream_is_tls(const struct stream *s);
struct tls *stream_tls(struct stream *s); /* NULL: plain */

/* Closes at once; on_closed comes later in the loop. TLS: a close_notify is tried first. */
void stream_close(struct stream *s);

/* Sends what is in `out`, then tells the peer that no more comes, and closes when the peer has
 * closed too (a close with unread input would make the kernel throw the last message away), or
 * after `linger_ms`, whichever is first. Input is ignored; no callback but on_closed follows. */
void stream_close_flushed(struct stream *s, uint32_t linger_ms);

/* Moving to another loop. detach: stops everything on this loop and yields the socket and the TLS
 * state, with what it holds, into `moved`; on_closed is called when the old memory may go. Not
 * while connecting, in a handshake, broken, ended, or with a backlog: then false, and nothing
 * happened. attach: continues, on any thread, also in new memory; takes `moved` over, also on
 * failure. */
struct stream_moved {
    int fd;
    struct tls *tls;
};
bool stream_detach(struct stream *s, struct stream_moved *moved);
bool stream_attach(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                   struct stream_moved *moved, struct err *err);
void stream_moved_drop(struct stream_moved *moved); /* instead of attaching it */

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp; /* unix sockets too: libuv asks for a stream socket, no more */
    } uv;
    struct stream_loop *loop;
    const struct stream_events *events;
    struct tls *tls;
    struct stream_out *out; /* NULL while the socket takes everything */
    struct list later;      /* in the loop's `later` */
    int fd;                 /* libuv's, to write to */
    int16_t failure;        /* a negative UV_ code, once `broken` */
    bool paused : 1, choked : 1, closing : 1, flushing : 1, broken : 1, ended : 1, graced : 1,
        parted : 1, connecting : 1, securing : 1, posted : 1; /* (posted: in the loop's post) */
};

/* A write has failed, or the peer has reset the connection; on_end may have come before, at the
 * peer's end of file. */
static inline bool stream_is_broken(const struct stream *s) { return s->broken; }

#endif
