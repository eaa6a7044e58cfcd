/* http_admin: what we say over HTTP.
 *
 *   health.address   /livez  /readyz  /healthz             for load balancers; nothing else
 *   admin.address    the same, /metrics, POST /drain       for administrators
 *
 * /livez: every worker's loop turns. /readyz (and /healthz): we want connections: not draining, and
 * some cluster can be reached, or none was tried yet; the body says what fails, and what is worth
 * knowing besides.
 * The admin listener has no TLS and no login yet: it must be on loopback, and is refused
 * elsewhere. A browser on the same machine is no administrator: what changes something is not
 * taken from other sites' pages.
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_ADMIN_H
#define SLUICE_PROXY_HTTP_ADMIN_H

#include "proxy/io/http_server.h"
#include "proxy/ops/log.h"
#include "proxy/pulse.h"
#include "proxy/realm.h"

/* What the control thread knows; it keeps this up to date. */
struct http_admin_view {
    struct shared *shared;
    struct realm *realm; /* in force */
    struct log *log;
    bool last_reload_ok;
    struct mailbox *home;
    void (*drain)(void *owner);
    void *owner;
};

struct http_admin {
    struct http_admin_view view;
    struct stream_loop streams;
    struct pulse pulse;
    struct http_server health, admin;
    unsigned n_servers; /* open, or still closing */
    bool is_open;
};

/* Opens what the configuration names, after the workers were made. False with `err`; closing is
 * due all the same. */
bool http_admin_open(struct http_admin *h, const struct http_admin_view *view, uv_loop_t *uv,
                     struct err *err);

/* Stops; the loop needs further turns. http_admin_free: after the loop has ended. */
void http_admin_close(struct http_admin *h);
void http_admin_free(struct http_admin *h);

#endif
