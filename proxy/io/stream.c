#include "proxy/io/stream.h"

#include "proxy/io/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* What a stream needs only while it waits for its peer. libuv writes `sending` and wants it left
 * alone; later bytes gather in `waiting`. */
struct stream_out {
    struct stream *stream;
    struct buf sending, waiting;
    uv_write_t write;
    uv_connect_t connect;
    struct wheel_node linger;
};

static void connected(struct stream *s);
static void tls_progress(struct stream *s, struct slice raw);

/* ---- the loop's part ----------------------------------------------------------------------------
 */

static void on_idle(uv_idle_t *idle);
static void post_send(struct stream_loop *l);
static void on_before_wait(uv_prepare_t *prepare);
static void on_after_events(uv_check_t *check);

/* Owners are never called from within their own calls; what must be told is told from here, at
 * the start of the next turn. */
static void tell_later(struct stream *s)
{
    if (!list_is_empty(&s->later)) return;
    list_push_back(&s->loop->later, &s->later);
    uv_idle_start(&s->loop->idle, on_idle);
}

static void post_init(struct stream_post *post, uv_loop_t *uv)
{
    uv_prepare_init(uv, &post->before_wait);
    uv_check_init(uv, &post->after_events);
    uv_prepare_start(&post->before_wait, on_before_wait);
    uv_check_start(&post->after_events, on_after_events);
    /* Neither keeps a loop running, unless there is post. */
    uv_unref((uv_handle_t *)&post->before_wait);
    uv_unref((uv_handle_t *)&post->after_events);
}

/* Precondition: it is empty. */
static void post_fini(struct stream_post *post)
{
    uv_close((uv_handle_t *)&post->before_wait, NULL);
    uv_close((uv_handle_t *)&post->after_events, NULL);
    free(post->bytes);
}

bool stream_loop_init(struct stream_loop *l, uv_loop_t *uv)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    *l = (struct stream_loop){ .uv = uv, .high_bytes = STREAM_HIGH_BYTES };
    l->receive = malloc(STREAM_RECEIVE_BYTES);
    l->plain = malloc(STREAM_PLAIN_BYTES);
    l->gather = malloc(STREAM_RECORD_BYTES);
    l->post.bytes = malloc(STREAM_POST_BYTES);
    if (!l->receive || !l->plain || !l->gather || !l->post.bytes) {
        free(l->receive);
        free(l->plain);
        free(l->gather);
        free(l->post.bytes);
        return false;
    }
    sigaction(SIGPIPE, &ignore, NULL);
    list_init(&l->later);
    wheel_init(&l->wheel, uv);
    uv_idle_init(uv, &l->idle);
    post_init(&l->post, uv);
    return true;
}

void stream_loop_fini(struct stream_loop *l)
{
    wheel_fini(&l->wheel);
    uv_close((uv_handle_t *)&l->idle, NULL);
    post_fini(&l->post);
    free(l->receive);
    /* Both had plaintext, possibly passwords. */
    explicit_bzero(l->plain, STREAM_PLAIN_BYTES);
    explicit_bzero(l->gather, STREAM_RECORD_BYTES);
    free(l->plain);
    free(l->gather);
    buf_fini(&l->cipher);
}

/* ---- the ways a stream ends ---------------------------------------------------------------------
 */

static void describe(struct err *err, int code)
{
    err_set(err, ERR_SERVER_LOST, "connection lost: %s", uv_strerror(code));
}

/* Tells the owner, once, in whatever form it is waiting for. */
static void end(struct stream *s, enum stream_end how, const struct err *err)
{
    if (s->ended || s->closing) return;
    if (s->posted) post_send(s->loop); /* a TLS alert, perhaps */
    s->ended = true;
    if (how != STREAM_EOF) s->broken = true;
    uv_read_stop(&s->uv.stream);
    if (s->securing) {
        struct err cut;
        s->securing = false;
        s->broken = true;
        err_set(&cut, ERR_SERVER_LOST, "the peer closed the connection during the TLS handshake");
        s->events->on_secured(s, err ? err : &cut);
    } else {
        s->events->on_end(s, how, err);
    }
}

/* Writing failed. Returns false. */
static bool break_off(struct stream *s, int code)
{
    if (s->broken) return false;
    s->broken = true;
    s->failure = (int16_t)code;
    tell_later(s);
    return false;
}

/* What the peer said before it went may still be unread (a server's last words), so a broken
 * stream that reads gets one more turn, and then usually ends by itself. */
static void tell_broken(struct stream *s)
{
    struct err err;
    if (s->ended) return;
    if (!s->graced && !s->paused) {
        s->graced = true;
        tell_later(s);
        return;
    }
    describe(&err, s->failure);
    end(s, STREAM_ERROR, &err);
}

/* May on_bytes be called (again)? The owner may have done anything in its callback, also moved
 * the stream, TLS and all, to another thread. */
static bool is_reading(const struct stream *s)
{
    return !s->closing && !s->flushing && !s->ended && !s->paused;
}

static void on_idle(uv_idle_t *idle)
{
    struct stream_loop *l = list_item(idle, struct stream_loop, idle);
    struct list turn, *link;
    list_init(&turn);
    while ((link = list_pop_front(&l->later))) list_push_back(&turn, link);
    while ((link = list_pop_front(&turn))) {
        struct stream *s = list_item(link, struct stream, later);
        if (s->connecting) {
            connected(s);
        } else if (s->broken) {
            tell_broken(s);
        } else if (s->tls && is_reading(s)) {
            tls_progress(s, slice_of(NULL, 0));
        }
    }
    if (list_is_empty(&l->later)) uv_idle_stop(&l->idle);
}

static void out_free(struct stream *s)
{
    if (!s->out) return;
    buf_fini(&s->out->sending);
    buf_fini(&s->out->waiting);
    free(s->out);
    s->out = NULL;
}

static void on_uv_closed(uv_handle_t *handle)
{
    struct stream *s = (struct stream *)handle;
    tls_free(s->tls);
    s->tls = NULL;
    out_free(s);
    s->events->on_closed(s);
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static void part_ways(struct stream *s);
static void on_linger(struct wheel_node *node);
static void on_written(uv_write_t *write, int status);

static bool out_need(struct stream *s)
{
    if (s->out) return true;
    s->out = calloc(1, sizeof *s->out);
    if (!s->out) return false;
    s->out->stream = s;
    wheel_node_init(&s->out->linger, on_linger);
    return true;
}

/* New bytes must queue behind old ones. */
static bool out_is_busy(const struct stream *s)
{
    return s->connecting || (s->out && s->out->sending.len);
}

uint32_t stream_backlog(const struct stream *s)
{
    if (!s->out) return 0;
    return (uint32_t)uv_stream_get_write_queue_size(&s->uv.stream) + s->out->waiting.len;
}

/* Gives libuv what waits. Precondition: it has nothing of ours. */
static bool out_send(struct stream *s)
{
    struct stream_out *out = s->out;
    struct buf empty = out->sending;
    out->sending = out->waiting;
    out->waiting = empty;
    uv_buf_t bytes = uv_buf_init(out->sending.at, out->sending.len);
    int status = uv_write(&out->write, &s->uv.stream, &bytes, 1, on_written);
    if (status == 0) return true;
    buf_truncate(&out->sending, 0);
    return break_off(s, status);
}

static void on_written(uv_write_t *write, int status)
{
    struct stream *s = list_item(write, struct stream_out, write)->stream;
    buf_truncate(&s->out->sending, 0);
    if (s->closing) return;
    if (status < 0) break_off(s, status);
    if (s->broken) {
        if (s->flushing) stream_close(s);
        return;
    }
    if (s->out->waiting.len)
        out_send(s);
    else if (s->flushing)
        part_ways(s);
    else
        out_free(s);
    if (s->choked && !s->flushing && !s->broken &&
        stream_backlog(s) < s->loop->high_bytes / STREAM_LOW_PART) {
        s->choked = false;
        s->events->on_drained(s);
    }
}

/* Keeps what the socket did not take: all of the parts but their first `sent` bytes. */
static bool out_keep(struct stream *s, const struct iovec *parts, int count, size_t sent)
{
    bool busy = out_is_busy(s);
    if (!out_need(s)) return break_off(s, UV_ENOMEM);
    for (int i = 0; i < count; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skip;
        buf_add(&s->out->waiting, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
    }
    if (s->out->waiting.failed) return break_off(s, UV_ENOMEM);
    if (!busy && !out_send(s)) return false;
    if (stream_backlog(s) > s->loop->high_bytes) s->choked = true;
    return true;
}

static ssize_t send_parts(const struct stream *s, const struct iovec *parts, int count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts,
                              .msg_iovlen = (size_t)count };
    return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

/* What uv_try_write does, but for what we know already (nothing is queued); and send costs the
 * kernel less than write does. */
static ssize_t send_now(const struct stream *s, const struct iovec *parts, int count)
{
    ssize_t n;
    do
        n = count == 1 ? send(s->fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL)
                       : send_parts(s, parts, count);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS) return uv_translate_sys_error(errno);
    return n < 0 ? 0 : n;
}

static bool send_or_keep(struct stream *s, const struct iovec *parts, int count, size_t total)
{
    size_t sent = 0;
    if (!out_is_busy(s)) {
        ssize_t n = send_now(s, parts, count);
        if (n < 0) return break_off(s, (int)n);
        sent = (size_t)n;
    }
    return sent == total || out_keep(s, parts, count, sent);
}

/* Whoever must know that a stream's bytes have left, or write behind them, has all post sent. */
static void post_send(struct stream_loop *l)
{
    struct stream_post *post = &l->post;
    char *at = post->bytes;
    for (uint32_t i = 0; i < post->count; i++) {
        struct stream *s = post->letters[i].to;
        struct iovec part = { at, post->letters[i].len };
        at += part.iov_len;
        s->posted = false;
        if (!s->broken) send_or_keep(s, &part, 1, part.iov_len);
    }
    if (post->count) uv_unref((uv_handle_t *)&post->before_wait);
    explicit_bzero(post->bytes, post->len); /* it may have been a password */
    post->len = post->count = 0;
}

static void on_before_wait(uv_prepare_t *prepare)
{
    post_send(list_item(prepare, struct stream_loop, post.before_wait));
}

static void on_after_events(uv_check_t *check)
{
    post_send(list_item(check, struct stream_loop, post.after_events));
}

static void post_take(struct stream *s, const struct iovec *parts, int count, size_t total)
{
    struct stream_post *post = &s->loop->post;
    if (post->count == STREAM_POST_LETTERS || post->len + total > STREAM_POST_BYTES)
        post_send(s->loop);
    if (post->count == 0) uv_ref((uv_handle_t *)&post->before_wait);
    if (post->count == 0 || post->letters[post->count - 1].to != s)
        post->letters[post->count++] = (struct stream_letter){ .to = s };
    post->letters[post->count - 1].len += (uint32_t)total;
    for (int i = 0; i < count; i++) {
        memcpy(post->bytes + post->len, parts[i].iov_base, parts[i].iov_len);
        post->len += (uint32_t)parts[i].iov_len;
    }
    s->posted = true;
}

static bool send_raw(struct stream *s, const struct iovec *parts, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    if (total <= STREAM_POST_SMALL && !out_is_busy(s)) {
        post_take(s, parts, count, total);
        return true;
    }
    if (s->posted) post_send(s->loop);
    return !s->broken && send_or_keep(s, parts, count, total);
}

/* Sends the records that a TLS call left in the loop's buffer. */
static bool send_cipher(struct stream *s)
{
    struct buf *cipher = &s->loop->cipher;
    if (cipher->len == 0) return true;
    struct iovec part = { cipher->at, cipher->len };
    bool fine = send_raw(s, &part, 1);
    buf_truncate(cipher, 0);
    return fine;
}

static bool encrypt(struct stream *s, const char *at, size_t len)
{
    struct tls_io io = { .out = &s->loop->cipher };
    if (!tls_write(s->tls, &io, at, len)) {
        buf_truncate(&s->loop->cipher, 0);
        return break_off(s, UV_EPROTO);
    }
    return s->loop->cipher.len < STREAM_RECEIVE_BYTES || send_cipher(s);
}

/* Cuts the parts into full records: small ones are gathered first, large ones encrypted from
 * where they are. */
static bool write_tls(struct stream *s, const struct iovec *parts, int count)
{
    char *gather = s->loop->gather;
    size_t gathered = 0;
    for (int i = 0; i < count; i++) {
        const char *at = parts[i].iov_base;
        size_t len = parts[i].iov_len;
        while (len) {
            size_t n = STREAM_RECORD_BYTES - gathered;
            if (n > len) n = len;
            if (gathered == 0 && (n == STREAM_RECORD_BYTES || i == count - 1)) {
                if (!encrypt(s, at, n)) return false;
            } else {
                memcpy(gather + gathered, at, n);
                gathered += n;
                if (gathered == STREAM_RECORD_BYTES) {
                    if (!encrypt(s, gather, gathered)) return false;
                    gathered = 0;
                }
            }
            at += n;
            len -= n;
        }
    }
    return (gathered == 0 || encrypt(s, gather, gathered)) && send_cipher(s);
}

bool stream_write(struct stream *s, const struct iovec *parts, int count)
{
    if (s->closing || s->flushing || s->broken || s->securing) return false;
    return s->tls ? write_tls(s, parts, count) : send_raw(s, parts, count);
}

/* ---- reading ------------------------------------------------------------------------------------
 */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    *buf = uv_buf_init(((struct stream *)handle)->loop->receive, STREAM_RECEIVE_BYTES);
}

/* A round of the handshake. True: it is complete, and bytes may follow. */
static bool shake_hands(struct stream *s, struct tls_io *io)
{
    struct err err;
    enum tls_status status = tls_handshake(s->tls, io, &err);
    bool fine = send_cipher(s) && (io->in.len == 0 || tls_hold(s->tls, io->in));
    if (status == TLS_MORE && fine) return false;
    if (status == TLS_OK && fine) {
        s->securing = false;
        s->events->on_secured(s, NULL);
        return is_reading(s);
    }
    if (status != TLS_FAILED) describe(&err, s->broken ? s->failure : UV_ENOMEM);
    end(s, STREAM_ERROR, &err);
    return false;
}

/* Decrypts what came, delivers it in one call. True: there may be more to decrypt. */
static bool deliver(struct stream *s, struct tls_io *io)
{
    struct err err;
    size_t len;
    enum tls_status status = tls_read(s->tls, io, s->loop->plain, STREAM_PLAIN_BYTES, &len, &err);
    send_cipher(s); /* alerts, answers to key updates */
    /* Before the callback: after it, `tls` may be somebody else's. */
    if (io->in.len && !tls_hold(s->tls, io->in)) break_off(s, UV_ENOMEM);
    if (len) {
        s->events->on_bytes(s, s->loop->plain, len);
        if (s->closing || s->flushing || s->ended) return false;
    }
    if (status == TLS_FAILED) end(s, STREAM_ERROR, &err);
    if (status == TLS_EOF && !s->paused) end(s, STREAM_EOF, NULL);
    return status == TLS_OK && is_reading(s);
}

/* Takes what was held back and `raw`, as far as the owner wants it. */
static void tls_progress(struct stream *s, struct slice raw)
{
    bool more = true;
    while (more) {
        struct tls_io io = { .in = raw, .out = &s->loop->cipher };
        struct buf held = tls_unhold(s->tls);
        if (held.len) {
            buf_add_slice(&held, raw);
            io.in = buf_slice(&held);
        }
        more = s->securing ? shake_hands(s, &io) : deliver(s, &io);
        buf_fini(&held);
        raw = slice_of(NULL, 0);
    }
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = (struct stream *)handle;
    if (n == 0) return; /* libuv's EAGAIN */
    if (s->flushing) {
        if (n < 0) stream_close(s);
    } else if (n > 0) {
        if (s->tls)
            tls_progress(s, slice_of(buf->base, (size_t)n));
        else
            s->events->on_bytes(s, buf->base, (size_t)n);
    } else if (n == UV_EOF) {
        end(s, s->tls ? STREAM_TRUNCATED : STREAM_EOF, NULL);
    } else {
        struct err err;
        describe(&err, (int)n);
        end(s, STREAM_ERROR, &err);
    }
}

void stream_pause(struct stream *s)
{
    if (s->paused || s->closing || s->flushing) return;
    s->paused = true;
    uv_read_stop(&s->uv.stream);
}

void stream_resume(struct stream *s)
{
    if (!s->paused || s->closing || s->flushing) return;
    s->paused = false;
    if (s->ended) return;
    if (!s->connecting) uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (s->tls) tell_later(s); /* bytes, or an end, may have been held back */
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static void stream_init(struct stream *s, struct stream_loop *l, const struct stream_events *events)
{
    *s = (struct stream){ .loop = l, .events = events };
    list_init(&s->later);
    uv_tcp_init(l->uv, &s->uv.tcp);
}

static bool fail_open(struct stream *s, int fd, const char *what, int code, struct err *err)
{
    if (fd >= 0) close(fd);
    s->broken = s->ended = true;
    err_set(err, ERR_SERVER_UNREACHABLE, "%s: %s", what, uv_strerror(code));
    if (code == UV_ECONNREFUSED)
        err_hint(err, "Nothing listens there: check the port, and that it is running.");
    if (code == UV_ETIMEDOUT || code == UV_EHOSTUNREACH || code == UV_ENETUNREACH)
        err_hint(err, "The network does not lead there: check routes and security groups.");
    return false;
}

static bool adopt(struct stream *s, int fd, struct err *err)
{
    int status = uv_tcp_open(&s->uv.tcp, fd);
    if (status != 0) return fail_open(s, fd, "cannot use a socket", status, err);
    s->fd = fd;
    status = uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (status != 0) return fail_open(s, -1, "cannot read from a socket", status, err);
    return true;
}

bool stream_open(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                 int fd, struct err *err)
{
    stream_init(s, l, events);
    return adopt(s, fd, err);
}

static void connected(struct stream *s)
{
    s->connecting = false;
    if (s->out->waiting.len)
        out_send(s);
    else
        out_free(s);
    s->events->on_connected(s, NULL);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct stream *s = list_item(connect, struct stream_out, connect)->stream;
    struct err err;
    if (s->closing) return;
    if (status == 0 && !s->paused) status = uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (status != 0) {
        s->connecting = false;
        fail_open(s, -1, "cannot connect", status, &err);
        s->events->on_connected(s, &err);
        return;
    }
    connected(s);
}

/* A unix socket connects at once or not at all (EAGAIN: its queue is full). */
static bool connect_local(struct stream *s, int fd, const struct sockaddr_un *local,
                          struct err *err)
{
    if (connect(fd, (const struct sockaddr *)local, sizeof *local) != 0)
        return fail_open(s, fd, "cannot connect", uv_translate_sys_error(errno), err);
    if (!adopt(s, fd, err)) return false;
    s->connecting = true;
    tell_later(s);
    return true;
}

bool stream_connect(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                    const union socket_address *address, struct err *err)
{
    stream_init(s, l, events);
    int fd = socket_new(address, &l->keepalive, err);
    if (fd < 0) {
        s->broken = s->ended = true;
        return false;
    }
    if (!out_need(s)) return fail_open(s, fd, "cannot connect", UV_ENOMEM, err);
    if (socket_is_local(address)) return connect_local(s, fd, &address->local, err);
    int status = uv_tcp_open(&s->uv.tcp, fd);
    if (status != 0) return fail_open(s, fd, "cannot use a socket", status, err);
    s->fd = fd;
    status = uv_tcp_connect(&s->out->connect, &s->uv.tcp, &address->any, on_connect);
    if (status != 0) return fail_open(s, -1, "cannot connect", status, err);
    s->connecting = true;
    return true;
}

/* ---- TLS ----------------------------------------------------------------------------------------
 */

static bool can_secure(const struct stream *s, struct err *err)
{
    if (!s->tls && !s->closing && !s->flushing && !s->broken && !s->ended && !s->connecting)
        return true;
    return err_set(err, ERR_INTERNAL, "TLS cannot start on this stream now");
}

static bool secure(struct stream *s, struct tls *tls)
{
    if (!tls) return false;
    s->tls = tls;
    s->securing = true;
    return true;
}

bool stream_secure_server(struct stream *s, struct tls_context *context, struct slice early,
                          struct err *err)
{
    if (!can_secure(s, err)) return false;
    struct tls *tls = tls_new_server(context, err);
    if (tls && early.len && !tls_hold(tls, early)) {
        tls_free(tls);
        return err_set(err, ERR_OUT_OF_MEMORY, NULL);
    }
    if (!secure(s, tls)) return false;
    if (early.len) tell_later(s);
    return true;
}

bool stream_secure_client(struct stream *s, struct tls_context *context, const char *server_name,
                          struct err *err)
{
    if (!can_secure(s, err) || !secure(s, tls_new_client(context, server_name, err))) return false;
    tell_later(s); /* the first flight is ours */
    return true;
}

bool stream_is_choked(const struct stream *s) { return s->choked; }
bool stream_is_tls(const struct stream *s) { return s->tls != NULL; }
struct tls *stream_tls(struct stream *s) { return s->tls; }

/* ---- closing ------------------------------------------------------------------------------------
 */

/* close_notify, as far as the socket takes it. */
static void say_goodbye(struct stream *s)
{
    struct tls_io io = { .out = &s->loop->cipher };
    if (!s->tls || s->parted || s->securing || s->broken) return;
    s->parted = true;
    tls_shutdown(s->tls, &io);
    send_cipher(s);
}

void stream_close(struct stream *s)
{
    if (s->closing) return;
    if (!out_is_busy(s)) say_goodbye(s);
    if (s->posted) post_send(s->loop);
    s->closing = true;
    list_remove(&s->later);
    if (s->out) wheel_cancel(&s->out->linger);
    uv_close(&s->uv.handle, on_uv_closed);
}

static void on_linger(struct wheel_node *node)
{
    stream_close(list_item(node, struct stream_out, linger)->stream);
}

/* All is sent: says so, and waits for the peer to say the same. */
static void part_ways(struct stream *s)
{
    uv_os_fd_t fd;
    say_goodbye(s);
    if (s->posted) post_send(s->loop);
    if (s->broken || s->ended) {
        stream_close(s);
    } else if (!out_is_busy(s) && uv_fileno(&s->uv.handle, &fd) == 0) {
        shutdown(fd, SHUT_WR);
    }
}

void stream_close_flushed(struct stream *s, uint32_t linger_ms)
{
    if (s->closing || s->flushing) return;
    if (s->posted) post_send(s->loop);
    if (s->broken || s->connecting || s->securing || linger_ms == 0 || !out_need(s)) {
        stream_close(s);
        return;
    }
    s->flushing = true;
    list_remove(&s->later);
    wheel_set(&s->loop->wheel, &s->out->linger, linger_ms);
    if (s->paused && !s->ended) uv_read_start(&s->uv.stream, on_alloc, on_read);
    if (!out_is_busy(s)) part_ways(s);
}

/* ---- moving -------------------------------------------------------------------------------------
 */

bool stream_detach(struct stream *s, struct stream_moved *moved)
{
    uv_os_fd_t fd;
    if (s->posted) post_send(s->loop);
    if (s->closing || s->flushing || s->broken || s->ended || s->connecting || s->securing ||
        s->out || uv_fileno(&s->uv.handle, &fd) != 0)
        return false;
    /* libuv cannot let go of a descriptor, it can only close it; so it closes this one. */
    moved->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (moved->fd < 0) return false;
    moved->tls = s->tls;
    s->tls = NULL;
    stream_close(s);
    return true;
}

bool stream_attach(struct stream *s, struct stream_loop *l, const struct stream_events *events,
                   struct stream_moved *moved, struct err *err)
{
    int fd = moved->fd;
    stream_init(s, l, events);
    s->tls = moved->tls;
    *moved = (struct stream_moved){ .fd = -1 };
    if (s->tls) tell_later(s);
    return adopt(s, fd, err);
}

void stream_moved_drop(struct stream_moved *moved)
{
    if (moved->fd >= 0) close(moved->fd);
    tls_free(moved->tls);
    *moved = (struct stream_moved){ .fd = -1 };
}
