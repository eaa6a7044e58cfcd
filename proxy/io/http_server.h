/* http_server: a small HTTP/1.1 server for a few known clients: load balancers, Prometheus, an
 * administrator.
 *
 *   accept -> head -> body -> on_request ... http_answer -> next request of the connection, or
 * close
 *
 * Plain, or TLS where the owner has a context for it. One request at a time per connection;
 * what is pipelined waits. A limit on connections, one on those of one address, and a time within
 * which a request must be there and its answer be taken, so that nobody who dribbles bytes holds
 * anything for long. Ownership: embedded in its owner, until on_closed. An exchange is the
 * server's; it is answered exactly once, also when its client has gone meanwhile. Thread: the
 * loop's.
 */
#ifndef SLUICE_PROXY_IO_HTTP_SERVER_H
#define SLUICE_PROXY_IO_HTTP_SERVER_H

#include "proxy/io/http_head.h"
#include "proxy/io/listen.h"
#include "proxy/io/stream.h"

enum {
    HTTP_CONNECTIONS_MAX = 128,
    HTTP_OF_ADDRESS_MAX = 32,
    HTTP_REQUEST_MS = 10000, /* for a request to arrive, and for an answer to be taken */
    HTTP_IDLE_MS = 60000,    /* between requests */
};

struct http_server;
struct http_exchange;

/* A request is there as a whole: its slices are valid until the answer. */
typedef void http_on_request(struct http_server *s, struct http_exchange *x,
                             const struct http_head *request, struct slice body);

struct http_server {
    struct listen listen;
    struct stream_loop *streams;
    http_on_request *on_request;
    void (*on_closed)(struct http_server *s);
    /* What new connections are secured with; NULL, or answering NULL: plain, unless that must not
     * be. May be set after http_server_open. */
    struct tls_context *(*secured_by)(struct http_server *s);
    bool must_secure;
    void *owner;
    struct list connections;
    unsigned n_connections;
    bool closing, listening;
};

bool http_server_open(struct http_server *s, struct stream_loop *streams,
                      const union socket_address *address, int fd, http_on_request *on_request,
                      void *owner, struct err *err);

/* Closes everything, answered or not; on_closed comes when the last exchange was answered, too. */
void http_server_close(struct http_server *s, void (*on_closed)(struct http_server *s));

/* "127.0.0.1:5000": who asked. Valid until the answer. */
const char *http_peer(const struct http_exchange *x);

const union socket_address *http_peer_address(const struct http_exchange *x);
struct tls *http_tls(struct http_exchange *x); /* NULL: plain, or gone meanwhile */

/* `type` NULL: plain text. `header`: further lines with CRLF, or NULL. */
void http_answer(struct http_exchange *x, unsigned status, const char *type, const char *header,
                 struct slice body);

#endif
