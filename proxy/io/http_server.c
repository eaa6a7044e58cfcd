#include "proxy/io/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINGER_MS = 1000 };

/* A connection, and the exchange under way on it. */
struct http_exchange {
    struct stream stream;
    struct http_server *server;
    struct list node;
    struct wheel_node timer;
    struct buf in;
    struct http_head request;
    union socket_address from;
    char peer[SOCKET_TEXT_BYTES];
    bool taking;  /* take_requests is at work */
    bool asked;   /* on_request was called, the answer is still to come */
    bool closed;  /* the stream is */
    bool parting; /* no further request */
};

static void set_timer(struct http_exchange *x, uint64_t ms)
{
    wheel_set(&x->server->streams->wheel, &x->timer, ms);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void maybe_over(struct http_server *s)
{
    if (s->closing && !s->listening && s->n_connections == 0) s->on_closed(s);
}

static void maybe_free(struct http_exchange *x)
{
    struct http_server *s = x->server;
    if (!x->closed || x->asked) return;
    list_remove(&x->node);
    s->n_connections--;
    free(x);
    maybe_over(s);
}

static void hang_up(struct http_exchange *x)
{
    x->parting = true;
    wheel_cancel(&x->timer);
    stream_close(&x->stream);
}

static void on_stream_closed(struct stream *stream)
{
    struct http_exchange *x = list_item(stream, struct http_exchange, stream);
    wheel_cancel(&x->timer);
    if (!x->asked) buf_fini(&x->in);
    x->closed = true;
    maybe_free(x);
}

static void on_end(struct stream *stream, enum stream_end end, const struct err *err)
{
    (void)end;
    (void)err;
    hang_up(list_item(stream, struct http_exchange, stream));
}

/* ---- answers -------------------------------------------------------------------------------- */

static void take_requests(struct http_exchange *x);

static void send_answer(struct http_exchange *x, unsigned status, const char *type,
                        const char *header, struct slice body)
{
    struct buf head = { 0 };
    bool bodiless = x->request.method == HTTP_HEAD;
    buf_addf(&head,
             "HTTP/1.1 %u %s\r\n"
             "Content-Type: %s\r\n"
             "Content-Length: %zu\r\n"
             "Cache-Control: no-store\r\n"
             "X-Content-Type-Options: nosniff\r\n"
             "X-Frame-Options: DENY\r\n"
             "Referrer-Policy: no-referrer\r\n"
             "%s%s\r\n",
             status, http_reason(status), type ? type : "text/plain; charset=utf-8", body.len,
             x->parting ? "Connection: close\r\n" : "", header ? header : "");
    struct iovec parts[] = { { head.at, head.len }, { (void *)(uintptr_t)body.at, body.len } };
    if (head.failed)
        hang_up(x);
    else
        stream_write(&x->stream, parts, bodiless || body.len == 0 ? 1 : 2);
    buf_fini(&head);
}

static void part(struct http_exchange *x)
{
    wheel_cancel(&x->timer);
    stream_close_flushed(&x->stream, LINGER_MS);
}

/* A request that is none. */
static void refuse(struct http_exchange *x, unsigned status)
{
    char text[64];
    x->parting = true;
    snprintf(text, sizeof text, "%s\n", http_reason(status));
    send_answer(x, status, NULL, NULL, slice_str(text));
    part(x);
}

const char *http_peer(const struct http_exchange *x) { return x->peer; }

const union socket_address *http_peer_address(const struct http_exchange *x) { return &x->from; }

struct tls *http_tls(struct http_exchange *x) { return x->closed ? NULL : stream_tls(&x->stream); }

void http_answer(struct http_exchange *x, unsigned status, const char *type, const char *header,
                 struct slice body)
{
    size_t size = x->request.head_bytes + x->request.body_bytes;
    x->asked = false;
    if (x->closed) {
        buf_fini(&x->in);
        maybe_free(x);
        return;
    }
    if (!x->request.keep_alive || x->server->closing) x->parting = true;
    send_answer(x, status, type, header, body);
    buf_drop(&x->in, size);
    if (x->parting) {
        part(x);
        return;
    }
    set_timer(x, HTTP_REQUEST_MS); /* for the answer to be taken, or the next request to be there */
    stream_resume(&x->stream);
    take_requests(x);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Hands the next request over. False: it is not all there, or none is wanted. */
static bool take_request(struct http_exchange *x)
{
    unsigned status = 400;
    if (x->asked || x->parting || stream_is_choked(&x->stream)) return false;
    if (x->in.len == 0) {
        buf_fini(&x->in);
        set_timer(x, HTTP_IDLE_MS);
        return false;
    }
    switch (http_head_read(buf_slice(&x->in), &x->request, &status)) {
    case HTTP_BAD: refuse(x, status); return false;
    case HTTP_MORE: return false;
    case HTTP_READ: break;
    }
    if (x->in.len - x->request.head_bytes < x->request.body_bytes) return false;
    wheel_cancel(&x->timer);
    x->asked = true;
    x->server->on_request(x->server, x, &x->request,
                          slice_of(x->in.at + x->request.head_bytes, x->request.body_bytes));
    return true;
}

/* An answer may come at once, from within take_request: then the loop goes on, not the stack. */
static void take_requests(struct http_exchange *x)
{
    if (x->taking) return;
    x->taking = true;
    while (take_request(x)) {
    }
    x->taking = false;
    /* The request's slices point into what was read: nothing may be added to it meanwhile. */
    if (x->asked) stream_pause(&x->stream);
}

static void on_bytes(struct stream *stream, const char *at, size_t len)
{
    struct http_exchange *x = list_item(stream, struct http_exchange, stream);
    if (x->parting) return;
    if (x->in.len + len > HTTP_HEAD_MAX + HTTP_BODY_MAX + STREAM_PLAIN_BYTES) {
        hang_up(x); /* pipelines without end */
        return;
    }
    if (x->in.len == 0) set_timer(x, HTTP_REQUEST_MS);
    buf_add(&x->in, at, len);
    if (x->in.failed)
        hang_up(x);
    else
        take_requests(x);
}

static void on_drained(struct stream *stream)
{
    take_requests(list_item(stream, struct http_exchange, stream));
}

static void on_due(struct wheel_node *node)
{
    struct http_exchange *x = list_item(node, struct http_exchange, timer);
    if (x->in.len && !x->asked && stream_backlog(&x->stream) == 0)
        refuse(x, 408);
    else
        hang_up(x);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void on_secured(struct stream *stream, const struct err *err)
{
    if (err) hang_up(list_item(stream, struct http_exchange, stream));
}

static const struct stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_secured = on_secured,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

static bool is_same_host(const union socket_address *a, const union socket_address *b)
{
    if (a->any.sa_family != b->any.sa_family) return false;
    if (a->any.sa_family == AF_INET) return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (a->any.sa_family != AF_INET6) return true;
    /* One subscriber gets a /64. */
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 8) == 0;
}

static bool has_room(struct http_server *s, const union socket_address *peer)
{
    unsigned of_address = 0;
    if (s->n_connections >= HTTP_CONNECTIONS_MAX) return false;
    list_each(node, &s->connections) of_address +=
        is_same_host(&list_item(node, struct http_exchange, node)->from, peer);
    return of_address < HTTP_OF_ADDRESS_MAX;
}

static bool secure(struct http_server *s, struct http_exchange *x, struct err *err)
{
    struct tls_context *context = s->secured_by ? s->secured_by(s) : NULL;
    if (!context) return !s->must_secure;
    return stream_secure_server(&x->stream, context, (struct slice){ 0 }, err);
}

static void on_accept(struct listen *l, int fd, const union socket_address *peer)
{
    struct http_server *s = list_item(l, struct http_server, listen);
    struct err err;
    struct http_exchange *x = has_room(s, peer) ? calloc(1, sizeof *x) : NULL;
    if (!x) {
        close(fd);
        return;
    }
    x->server = s;
    x->from = *peer;
    socket_address_text(peer, x->peer);
    wheel_node_init(&x->timer, on_due);
    list_push_back(&s->connections, &x->node);
    s->n_connections++;
    if (stream_open(&x->stream, s->streams, &stream_events, fd, &err) && secure(s, x, &err))
        set_timer(x, HTTP_REQUEST_MS);
    else
        hang_up(x);
}

static void on_trouble(struct listen *l, uint64_t refused, const struct err *err)
{
    (void)l;
    (void)refused;
    (void)err;
}

static void on_listen_closed(struct listen *l)
{
    struct http_server *s = list_item(l, struct http_server, listen);
    s->listening = false;
    maybe_over(s);
}

static const struct listen_events listen_events = {
    .on_accept = on_accept,
    .on_trouble = on_trouble,
    .on_closed = on_listen_closed,
};

bool http_server_open(struct http_server *s, struct stream_loop *streams,
                      const union socket_address *address, int fd, http_on_request *on_request,
                      void *owner, struct err *err)
{
    struct listen_options options = { .exclusive = true, .fd = fd };
    *s = (struct http_server){ .streams = streams, .on_request = on_request, .owner = owner };
    list_init(&s->connections);
    s->listening = listen_open(&s->listen, streams->uv, address, &options, &listen_events, err);
    return s->listening;
}

void http_server_close(struct http_server *s, void (*on_closed)(struct http_server *s))
{
    s->closing = true;
    s->on_closed = on_closed;
    list_each(node, &s->connections) hang_up(list_item(node, struct http_exchange, node));
    listen_close(&s->listen);
}
