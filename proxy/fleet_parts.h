/* fleet_parts: what the files of the fleet share; nobody else includes this. See fleet.h. */
#ifndef SLUICE_PROXY_FLEET_PARTS_H
#define SLUICE_PROXY_FLEET_PARTS_H

#include "auth/rate.h"
#include "proxy/cancel.h"
#include "proxy/fleet.h"
#include "proxy/fleet_message.h"
#include "proxy/io/redis.h"
#include "proxy/lease.h"
#include "proxy/ops/admin.h"
#include "proxy/route_store.h"
#include "proxy/shared.h"

#include <stdatomic.h>

enum {
    FLEET_MEMBERS_MAX = FLEET_SENDERS_MAX,
    FLEET_NAME_BYTES = 128,
    FLEET_CANCELS_MAX = 256, /* forwarded and not yet answered */
    FLEET_TICK_MS = LEASE_TICK_MS,
};

struct fleet_member {
    uint64_t from; /* 0: nobody */
    uint64_t seen_ms;
    uint32_t id;
    char name[FLEET_NAME_BYTES];
};

/* A forwarded cancel; `serial` of its message. */
struct fleet_cancel {
    uint64_t serial;
    uint64_t due_ms;
    struct cancel_wait *wait;
};

/* What this proxy may have of one cluster's connections. */
struct fleet_lease {
    struct fleet *fleet;
    char *name;
    struct budget *budget;
    struct lease lease;
    bool under_way, told;
};

/* A command that somebody here sent to all; order NULL: none. */
struct fleet_asked {
    struct control_order *order;
    uint64_t serial, due_ms;
    struct fleet_member awaited[FLEET_MEMBERS_MAX]; /* who has not answered */
};

/* One that is carried out here. */
struct fleet_run {
    bool is_used, again;
    struct fleet *fleet;
    uint64_t asker, serial, due_ms;
    struct admin_call call;
    char user[64];
};

enum { FLEET_ASKED_MAX = 4, FLEET_RUNS_MAX = 16 };

struct fleet {
    uv_loop_t *uv;
    struct log *log;
    struct shared *shared;
    void *control;
    struct config *config; /* held: in force */
    struct config *opened; /* held: what trust and connections were made for; NULL: none are */
    struct stream_loop streams;
    struct route_trust trust;
    bool has_trust;
    struct redis *redis, *listener; /* NULL: none */
    bool mints_keys;                /* there is a cache; a restart can change that */
    bool closing, told_lost;
    struct err lost_why;
    unsigned closings;
    atomic_bool is_up; /* both connections are ready */
    uint64_t from, serial;
    uint32_t id; /* 15 bits, in the keys it mints */
    char name[FLEET_NAME_BYTES];
    struct fleet_guard guard;
    struct fleet_member members[FLEET_MEMBERS_MAX];
    uint64_t hello_due_ms, reopen_due_ms; /* 0: it is not to be */
    struct wheel_node timer;
    struct rate rate; /* of cancels, by address */
    struct fleet_cancel cancels[FLEET_CANCELS_MAX];
    struct fleet_lease **leases; /* one for each cluster, if they are shared */
    size_t n_leases;
    struct list claims; /* that Redis was asked for */
    struct fleet_asked asked[FLEET_ASKED_MAX];
    struct fleet_run runs[FLEET_RUNS_MAX];
};

/* Says it to all, this one included, which does not hear itself. Returns the serial; 0: it could
 * not be sent. `cover`: that many bytes at the body's start are covered. */
uint64_t fleet_say(struct fleet *f, enum fleet_kind kind, struct slice body, size_t cover);

/* A moment by the loop's clock. */
uint64_t fleet_now_ms(const struct fleet *f);

/* Fields of a body: each ends with a NUL. False: there is none. */
bool fleet_field(struct slice *body, struct slice *field);
void fleet_add_field(struct buf *body, struct slice field);

/* Parts. Messages' bodies are uncovered. */
void fleet_on_cancel(struct fleet *f, struct fleet_message *m);
void fleet_on_cancelled(struct fleet *f, const struct fleet_message *m);
void fleet_cancel_tick(struct fleet *f, bool all);
void fleet_once_lost(struct fleet *f); /* its connection is gone: no answer comes */
bool fleet_is_there(const struct fleet *f, const struct fleet_member *m);
void fleet_on_order(struct fleet *f, const struct fleet_message *m);
void fleet_on_answer(struct fleet *f, const struct fleet_message *m);
void fleet_order_tick(struct fleet *f, bool all);
bool fleet_lease_reload(struct fleet *f); /* false: no memory */
void fleet_lease_tick(struct fleet *f);
void fleet_lease_free(struct fleet *f);

#endif
