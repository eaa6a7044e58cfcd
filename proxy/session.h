/* session: the mediator between one client and, while it holds one, its server.
 *
 * Client and server never know each other; the session knows both, and the pool
 * they meet in. A request's way, with the functions as arrows:
 *
 *   client bytes --request_take--> (judge) --session_seek--> pool_join
 *        `-- held while it waits --'                            |
 *   server <--outbox-- request_take <--session_attach-- served -'
 *   server bytes --reply_take--> client ... ReadyForQuery 'I', nothing owed
 *        `--session_detach--> pool_give_back
 *
 * In session mode the server is found at login and kept until the client leaves.
 * Owner: itself; freed when its client's stream is closed. Thread: its worker's.
 */
#ifndef SLUICE_PROXY_SESSION_H
#define SLUICE_PROXY_SESSION_H

#include "protocol/sql_settings.h"
#include "protocol/sql_skim.h"
#include "protocol/stmt.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/pool.h"

struct console;
struct deferred;
struct guide;
struct hoard_place;

/* In the order of their sizes within each part: ten thousand idle clients pay for every hole. */
struct session {
    struct client client; /* first: a client is its session */
    struct server *server;
    struct pool *pool;
    struct pool_ticket ticket;
    struct buf pairs;       /* startup parameters for its server */
    struct stmt_book *book; /* prepared statements; NULL: none yet */
    /* What it has set: see carry.h. NULL in session mode. */
    struct settings *startup, *settings, *tentative;
    struct sql_skim *skim;        /* of a statement that is arriving in pieces */
    struct settings *server_next; /* what its server is set to, with the open transaction */
    const char *pinned;           /* why it keeps its server; NULL: it does not */
    /* Its role, looked up again after a reload: see judge.h. */
    const struct realm_role *role;
    uint64_t role_realm;
    uint64_t held_generation;   /* see judge_message; 0: what is held was not judged */
    struct slice judged;        /* the bytes that may go, of a restricted role's client: likewise */
    struct buf cursors;         /* names of cursors that were declared, of restricted roles */
    struct deferred *deferred;  /* a BEGIN that waits, see deferred.h; NULL: never was one */
    struct guide *guide;        /* where it goes, and why: see guide.h */
    struct route_force *routes; /* held: the table that it goes by */
    struct slice rule;          /* that decided last; into that table */
    struct settings *routed;    /* what its server is set to for a rule, beside `settings` */
    char *query_group;          /* of its login's rule; NULL: none */
    uint64_t attached_ms, half_closed_ms;
    uint64_t asked_ms, began_ms; /* its query, its transaction: see tally.h */
    struct buf asked_text;       /* of what is under way; see slow.h */
    struct console *console;     /* it talks to us, not to a server: see console.h */
    struct hoard_place *hoard;   /* memory for what it gathers; NULL: nothing */
    uint32_t decisions;          /* refusals so far, for their ids */
    /* What would undo the pin, if it fails before anything has run: see carry.c. */
    uint32_t pin_tag, pin_serial;
    uint8_t pin_by;
    struct cancel_entry cancel;
    uint8_t moves; /* servers lost in a row before anything was sent: see session_moves_on */
    uint8_t change_cycles; /* carry: answers since a setting was changed */
    uint8_t watched;       /* enum watch_kind */
    bool changing : 1, change_failed : 1, rolled_back : 1; /* carry: a change is under way */
    bool settling : 1, settle_failed : 1;   /* carry: our own SET statements are under way */
    bool settle_hopeless : 1;               /* carry: nothing is left to try without */
    bool cancelled : 1;                     /* while settling: what is held is not to be sent */
    bool preparing : 1, prepare_failed : 1; /* carry: a PREPARE of a restricted role is under way */
    bool attributed : 1;   /* `routed` is no rule's, but names who it is: see attribution.h */
    bool group_said : 1;   /* session mode: its server has been told the query_group */
    bool greeting : 1;     /* its first server has come, the welcome has not been said */
    bool resume : 1;       /* something that was waited for has happened */
    bool waits : 1;        /* what is held waits for something, not for more bytes */
    bool is_watched : 1;   /* some timeout is set: see watch.h */
    bool recorded : 1;     /* its statement waits, and has been judged and recorded before */
    bool is_plain : 1;     /* the message under way: see struct verdict; of restricted roles */
    bool restricted : 1;   /* by its role: statements are gathered whole and judged */
    bool keeps_server : 1; /* session mode */
    bool terminated : 1;   /* the client has said Terminate */
    bool half_closed : 1;  /* it says no more, but still waits for answers: half_closed.h */
    bool discarding : 1;   /* our refusal: the client's messages are dropped up to a Sync */
    bool sending : 1;      /* the message under way goes to the server, rest included */
    bool moved : 1;        /* this memory only waits for the old stream to be closed */
    bool farewell : 1;     /* the server's FATAL has been passed on: say no more */
};

/* A new connection, already accepted. Closes the socket when there is no memory. */
void session_accept(struct env *env, int fd, const struct address *from, uint16_t listen);

/* A session that comes from another worker, after its login: attaches and joins its pool here. */
void session_arrive(struct session *s, struct env *env, struct stream_moved *moved);

/* It cannot arrive: that worker is gone. */
void session_lost(struct session *s, struct stream_moved *moved, struct shared *shared);

/* Finds a server for a request that is held: at once (true), or when the pool serves it. */
bool session_seek(struct session *s);

/* This is its pool from now on. */
void session_enter(struct session *s, struct pool *p);

/* Gives the server back, or lets it be cleaned first. */
void session_detach(struct session *s);

/* Tells the client of an error in its proper place and closes the connection if it is FATAL. */
void session_refuse(struct session *s, const struct err *err);

/* From now on the session keeps its server, which is closed in the end. The first reason stays. */
void session_pin(struct session *s, const char *why);

/* Whether the session gets another server if it loses the one it has, and nobody need hear of it:
 * its settings were being brought there, and nothing of the client's was sent yet. */
bool session_moves_on(const struct session *s);

/* After each turn of replies: gives the server back when it is free for others. */
void session_replied(struct session *s);

/* After requests that came to nothing on the server (refused, or answered by us): gives it back. */
void session_release(struct session *s);

/* Backpressure. Its client does not take the answers, or its server does not take the requests, as
 * fast as they come: no more requests are read until it does. */
bool session_is_choked(const struct session *s);

/* Nothing is under way: the client may be told to go without losing anything. */
bool session_is_idle(const struct session *s);

/* The query under way or in line is cancelled, as CancelRequest asks. */
void session_cancel(struct session *s, struct cancel_wait *wait);

const struct pool_events *session_pool_events(void);

/* Session mode of an unrestricted role: what the client sends goes to its server as it is. */
static inline bool session_is_plain(const struct session *s)
{
    return s->keeps_server && !s->restricted;
}

/* Of its user in the configuration that it came in under. */
static inline const char *session_role_name(const struct session *s)
{
    return s->client.user->role.at;
}

static inline struct session *session_of(struct client *c) { return (struct session *)c; }

#endif
