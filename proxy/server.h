/* server: one connection that we opened to a cluster.
 *
 * Dials, secures, logs in with our own credentials, collects what the server says
 * of itself, and then hands bytes to its owner. Keeps the ledger of the
 * conversation. It does not know that clients exist. States and events: server.def.
 *
 * Owner: its pool. server_open -> on_ready, then server_close -> on_closed; on_failed
 * may come at any time in between (at most once; the connection is closing by then).
 * on_closed comes exactly once after a successful server_open; only then may the memory go.
 * Thread: its worker's.
 */
#ifndef SLUICE_PROXY_SERVER_H
#define SLUICE_PROXY_SERVER_H

#include "protocol/frame.h"
#include "protocol/params.h"
#include "protocol/sql_settings.h"
#include "protocol/stmt.h"
#include "protocol/txn.h"
#include "proxy/env.h"
#include "proxy/realm.h"

#define SERVER_STATE_LIST(X)                                                                       \
    X(NEW)                                                                                         \
    X(DIALING)                                                                                     \
    X(GREETING) X(SECURING) X(PROVING) X(STARTING) X(IDLE) X(BUSY) X(SETTLING) X(CLOSING) X(CLOSED)

#define SERVER_EVENT_LIST(X)                                                                       \
    X(RESOLVED)                                                                                    \
    X(CONNECTED)                                                                                   \
    X(TLS_OFFERED)                                                                                 \
    X(PLAIN)                                                                                       \
    X(SECURED)                                                                                     \
    X(ASKED) X(PROVED) X(READY) X(TAKEN) X(RELEASED) X(SETTLE) X(SETTLED) X(FAILED) X(CLOSED)

enum server_state {
#define X(name) SERVER_##name,
    SERVER_STATE_LIST(X)
#undef X
        SERVER_STATES
};

enum server_event {
#define X(name) SERVER_ON_##name,
    SERVER_EVENT_LIST(X)
#undef X
        SERVER_EVENTS
};

enum { SERVER_KEY_MAX = 32 };

/* Where to connect and as whom. Belongs to the pool and outlives its servers. */
struct server_target {
    struct realm *realm; /* held */
    const struct realm_cluster *cluster;
    char *database, *db_user;
    struct secret *given; /* what a client gave for the warehouse to judge; NULL: nothing */
    struct buf context;   /* startup parameters that belong to it: key NUL value NUL ... */
    bool given_is_token;  /* an identity provider's, for code 14 */
};

struct excess;
struct server;
struct server_login;

struct server_events {
    void (*on_ready)(struct server *s);
    void (*on_bytes)(struct server *s, const char *at, size_t len);
    void (*on_drained)(struct server *s);
    void (*on_failed)(struct server *s, const struct err *err);
    /* A local answer in the ledger (txn_local) that nobody will hear any more. */
    void (*on_dropped)(struct server *s, void *local);
    void (*on_closed)(struct server *s);
};

struct server {
    struct stream stream;
    struct env *env;
    const struct server_events *events;
    const struct server_target *target;
    struct server_login *login; /* until it is ready */
    struct excess *excess;      /* a question to it under way, see excess.h; NULL: none */
    struct buf pairs;           /* further startup parameters: key NUL value NUL ... */
    struct slice rejected;      /* after a failed login: the one of `pairs` that was at fault */
    void *session;              /* whom it serves; the owner's business */
    struct list node;           /* in its pool */
    struct list cancelling;     /* cancel requests under way that aim at it */
    struct wheel_node timer;
    struct frame frame;
    struct buf held; /* the start of a message that is wanted whole */
    struct txn txn;
    struct buf kept; /* the batch under way, judged by a role of this generation: heal.h */
    uint64_t kept_generation;
    struct params params;
    struct settings *settings; /* what it is set to; NULL: as it began */
    struct stmt_shelf shelf;   /* prepared statements that it has under our names */
    union socket_address address;
    char *last_words; /* of its FATAL, with the SQLSTATE in front; NULL: it said none */
    char *found_host; /* where AWS says that the cluster is; NULL: the configuration says it */
    uint16_t found_port;
    uint64_t id;
    uint64_t opened_ms, idle_since_ms, expires_ms;
    uint32_t pid, attempt;
    uint8_t key[SERVER_KEY_MAX];
    uint8_t key_len;
    uint8_t state, place; /* enum server_state; where it stands in its pool */
    uint8_t cancels;      /* cancel requests under way that aim at it */
    bool stained;         /* carries state that cannot be cleaned: close instead of reuse */
    bool dirty;           /* its settings are not known */
    bool retiring;        /* to be closed as soon as it is free */
    bool cleaning, cleaning_failed; /* an orphan that is told to clean up */
    bool has_group;                 /* a query_group that is in no `settings`: session mode */
    bool is_redshift;               /* by what it says of itself */
    bool is_unreadable;             /* its client_encoding is none that we can read text in */
    bool leaning;                   /* the batch leans on statements it should have: heal.h */
    bool dialled;                   /* the stream was opened */
    bool passing;                   /* the message under way goes on to the client */
};

/* Starts to connect; `pairs` (copied) go into the startup packet beside user and database;
 * `attempt` chooses among the host's addresses. False:
 * `err` says why, nothing was started and nothing will be called. */
bool server_open(struct server *s, struct env *env, const struct server_target *target,
                 const struct server_events *events, struct slice pairs, uint32_t attempt,
                 struct err *err);

/* Says goodbye and closes; on_closed comes. Harmless when it is closing already. */
void server_close(struct server *s);

/* It has said something of itself: kept in `params`, and understood. False: no memory. */
bool server_note(struct server *s, struct slice name, struct slice value);

/* It said FATAL or PANIC: its last word, remembered for the log. */
bool server_hear_farewell(struct server *s, struct slice body);

/* The one way to move; see server.def. */
void server_step(struct server *s, enum server_event event, const void *arg);

/* The server broke the protocol, or died: on_failed, then close. */
void server_fail(struct server *s, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *server_state_name(enum server_state state);

/* What its certificate must name. */
const char *server_tls_name(const struct server *s);

/* "host:port" of the peer, for logs. */
void server_name(const struct server *s, char *text, size_t size);

#endif
