/* http_admin: what we say over HTTP.
 *
 *   health.address   /livez  /readyz  /healthz             for load balancers; nothing else
 *   admin.address    the same, the dashboard at /, /api/... , /metrics, POST /drain
 *
 * /livez: every worker's loop turns. /readyz (and /healthz): we want connections: not draining, and
 * some cluster can be reached, or none was tried yet; the body says what fails, and ends with the
 * diagnosis.
 *
 * Who may: status and the dashboard's own files, everybody; /metrics, everybody on loopback, a
 * viewer elsewhere; all else needs a login (http_door.h), and what a command needs stands in
 * admin.def. Off loopback the admin listener needs TLS. What changes something is not taken
 * from other sites' pages.
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_ADMIN_H
#define SLUICE_PROXY_HTTP_ADMIN_H

#include "proxy/http_door.h"

/* What the control thread lends. */
struct http_admin_view {
    struct overview *overview;
    struct log *log;
    struct mailbox *home;
    struct sockets *sockets; /* while it opens */
    void (*drain)(void *owner);
    void *owner;
};

struct http_admin {
    struct http_admin_view view;
    struct stream_loop streams;
    struct http_door door;
    struct http_server health, admin;
    bool admin_is_local; /* on loopback */
    unsigned n_servers;  /* open, or still closing */
    bool is_open;
};

/* Opens what the configuration names, after the workers were made. False with `err`; closing is
 * due all the same. Opens the overview, too. */
bool http_admin_open(struct http_admin *h, const struct http_admin_view *view, uv_loop_t *uv,
                     struct err *err);

/* Stops; the loop needs further turns. */
void http_admin_close(struct http_admin *h);

/* The descriptors that it listens with. */
size_t http_admin_sockets(const struct http_admin *h, int *fds, size_t cap);

/* A request under way, and who asks. `head` and `body` are valid until the answer. */
struct admin_request {
    struct http_admin *admin;
    struct http_exchange *x;
    const struct http_head *head;
    struct slice body;
    const struct page *page;
    struct http_caller who;
};

#endif
