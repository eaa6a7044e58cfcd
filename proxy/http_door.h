/* http_door: who is it that asks over HTTP?
 *
 *   cookie of a session                    at once
 *   Authorization: Basic                   a password, checked as at the SQL port (auth/verify)
 *   a client certificate (admin.tls)       names a user that may log in by "cert"
 *   nothing                                401
 *
 * Passwords are checked off the loop, a few at a time; an unknown user costs what a known one
 * costs; failures are throttled and held back together with those at the SQL port. Off loopback the
 * configuration's `access` holds here, too. What a user may is his `console` level in the
 * configuration in force.
 * Thread: control's.
 */
#ifndef SLUICE_PROXY_HTTP_DOOR_H
#define SLUICE_PROXY_HTTP_DOOR_H

#include "proxy/http_sessions.h"
#include "proxy/io/http_server.h"
#include "proxy/ops/log.h"
#include "proxy/overview.h"

enum { HTTP_PROOFS_MAX = 16 };

struct http_door {
    struct overview *overview;
    struct stream_loop *streams;
    struct log *log;
    struct http_sessions sessions;
    struct list proofs; /* under way */
    unsigned n_proofs;
    bool closing;
};

/* Who it is. A name without a level is somebody who proved himself, and may nothing. */
struct http_caller {
    char user[USER_NAME_MAX_BYTES + 1];
    enum console_level level;
    unsigned refusal; /* 0: known; else the status to answer: 401, 429, 503 */
};

/* `context` is the caller's. The exchange is still to be answered. */
typedef void http_door_done(void *context, struct http_exchange *x, const struct http_caller *who);

void http_door_init(struct http_door *d, struct overview *o, struct stream_loop *streams,
                    struct log *log);

/* `done` comes once, now or later. */
void http_door_identify(struct http_door *d, struct http_exchange *x, const struct http_head *head,
                        http_door_done *done, void *context);

/* The same with a name and a password given otherwise. */
void http_door_prove(struct http_door *d, struct http_exchange *x, struct slice user,
                     struct slice password, http_door_done *done, void *context);

/* A session for somebody who has proved himself; the Set-Cookie line, CRLF included. False: none.
 */
bool http_door_open_session(struct http_door *d, struct http_exchange *x, const char *user,
                            struct buf *header);
void http_door_close_session(struct http_door *d, const struct http_head *head,
                             struct http_exchange *x, struct buf *header);

/* Answers that are held back are given at once from now on. */
void http_door_close(struct http_door *d);

#endif
