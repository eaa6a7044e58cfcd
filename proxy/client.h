/* client: one connection that somebody opened to us, until it has proven who it is.
 *
 * Owns the stream, TLS, the startup packet and the login. What comes after, and
 * everything about servers, is its session's: the client hands it the bytes. It
 * does not know that servers exist. States and events: client.def.
 *
 *   bytes -> startup packets -> (TLS) -> login -> on_proved -> on_bytes, on_bytes ...
 *
 * Owner: the session it is embedded in; on_closed says when the memory may go.
 * Thread: its worker's.
 */
#ifndef SLUICE_PROXY_CLIENT_H
#define SLUICE_PROXY_CLIENT_H

#include "auth/users.h"
#include "protocol/frame.h"
#include "proxy/address.h"
#include "proxy/env.h"

#define CLIENT_STATE_LIST(X)                                                                       \
    X(FRONTED)                                                                                     \
    X(ACCEPTED)                                                                                    \
    X(SECURING) X(SECURED) X(PROVING) X(JOINING) X(READY) X(WAITING) X(ACTIVE) X(LEAVING) X(CLOSED)

#define CLIENT_EVENT_LIST(X)                                                                       \
    X(HEADER)                                                                                      \
    X(SSL_REQUEST)                                                                                 \
    X(GSS_REQUEST)                                                                                 \
    X(DIRECT_TLS)                                                                                  \
    X(SECURE)                                                                                      \
    X(SECURED)                                                                                     \
    X(CANCEL)                                                                                      \
    X(STARTUP)                                                                                     \
    X(BEREFT)                                                                                      \
    X(UNGREETED)                                                                                   \
    X(PROOF) X(PROVED) X(WELCOMED) X(REQUEST) X(SERVED) X(WITHDRAWN) X(RELEASED) X(REFUSED) X(GONE)

enum client_state {
#define X(name) CLIENT_##name,
    CLIENT_STATE_LIST(X)
#undef X
        CLIENT_STATES
};

enum client_event {
#define X(name) CLIENT_ON_##name,
    CLIENT_EVENT_LIST(X)
#undef X
        CLIENT_EVENTS
};

struct client;
struct login;

/* The session's side. */
struct client_events {
    void (*on_cancel)(struct client *c, uint32_t pid, struct slice key);
    void (*on_proved)(struct client *c);
    void (*on_bytes)(struct client *c, const char *at, size_t len);
    void (*on_drained)(struct client *c);
    /* It says no more, but may still listen (no TLS). True: it is told what it waits for, and then
     * refused with no reason. */
    bool (*on_half_closed)(struct client *c);
    /* The client is lost or was refused: let go of everything that was done for it. */
    void (*on_leaving)(struct client *c);
    void (*on_closed)(struct client *c);
};

struct client {
    struct stream stream;
    struct env *env;
    const struct client_events *events;
    struct realm *realm; /* held: the configuration it came in under */
    const struct user *user;
    struct login *login; /* until the session has taken what it needs of it */
    struct list node;    /* the worker's list of clients */
    struct wheel_node timer;
    struct frame frame;
    struct buf held; /* the start of a message, or requests that wait for a server */
    struct address address;
    uint16_t listen; /* which of the configuration's listeners */
    uint8_t state;
    bool unproven;  /* the warehouse is to judge what it gave; until then it may do nothing */
    char *identity; /* what vouched for it said it is, see client_identity; NULL: its user's name */
    char *db_user;  /* made of that identity; NULL: its user's */
    uint64_t id;
    uint64_t opened_ms;
};

/* Takes over the socket, also on failure (false: it is closed, the client may be freed). */
bool client_open(struct client *c, struct env *env, const struct client_events *events, int fd,
                 const struct address *address, uint16_t listen, uint64_t id);

/* Moving to another worker, between login and welcome. detach: the connection leaves this loop;
 * `to` (zeroed memory) has all of it afterwards, and *c only waits for its on_closed. False:
 * nothing happened. attach: goes on, on the new worker's thread. */
bool client_detach(struct client *c, struct client *to, struct stream_moved *moved);
bool client_attach(struct client *c, struct env *env, struct stream_moved *moved);
/* Instead of attach: frees what it had. */
void client_abandon(struct client *c, struct shared *shared);

/* The one way to change state; see client.def. `arg` is what the row's action expects. */
void client_step(struct client *c, enum client_event event, void *arg);

/* Tells the client why and closes. Safe in any state. */
void client_refuse(struct client *c, const struct err *err);

/* Writes to the client; what it does not take is queued. */
static inline bool client_write(struct client *c, struct slice bytes)
{
    return stream_write_slice(&c->stream, bytes);
}

/* The client broke the protocol: FATAL 08P01, counted, logged. */
void client_violation(struct client *c, const char *what);

/* Who has logged in, for records: the ARN of a role or user that AWS vouched for, else the user's
 * name. Never a word that the client chose, such as a role session's name. */
struct slice client_identity(const struct client *c);
/* The database user of its sessions, unless a route says otherwise. */
struct slice client_db_user(const struct client *c);

const char *client_state_name(enum client_state state);

/* ---- what the session takes over from the login --------------------------------------------- */

/* The startup packet's parameters; valid until client_login_done. */
struct slice client_startup(const struct client *c);
uint16_t client_minor(const struct client *c);
/* Its password or token, when the warehouse may have it; else NULL. Valid until then. */
const struct secret *client_given(const struct client *c, bool *is_token);
/* What the warehouse said of it; after `disproven` the client is refused, in a while. */
void client_proven(struct client *c);
void client_disproven(struct client *c);
bool client_identify(struct client *c, struct slice identity); /* false: no memory */
void client_login_done(struct client *c);

#endif
