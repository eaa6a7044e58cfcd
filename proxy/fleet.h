/* fleet: the other proxies of this service, met through Redis (routes.cache).
 *
 *      fleet_message --PUBLISH--> sluice:{SCOPE}:fleet --> every proxy: signed? new? --> a part
 * below
 *
 *      hello     who is there; forgotten after MEMBER_MS of silence
 *      cancel    fleet_cancel: a CancelRequest that reached the wrong proxy
 *      order     fleet_order: a command with ON ALL, and each proxy's answer
 *      once      fleet_once: who is the first to claim something (IAM tokens)
 *      lease     fleet_lease: how many connections to each cluster this proxy may have
 *
 * Without a cache there is no fleet, and each proxy is on its own; with the cache lost, too, until
 * it is back. Nothing here is on a query's path.
 *
 * Ownership: control's. Thread: control's; fleet_pid, fleet_is_up and fleet_forward any.
 */
#ifndef SLUICE_PROXY_FLEET_H
#define SLUICE_PROXY_FLEET_H

#include "protocol/slice.h"
#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

#include <uv.h>

struct audit;
struct buf;
struct cancel_wait;
struct control_order;
struct fleet;
struct rows;
struct shared;

/* For a control whose configuration is in force; `control` as in route_force.h. Sets shared->fleet,
 * before any worker runs. NULL: no memory. */
struct fleet *fleet_open(uv_loop_t *uv, struct log *log, struct shared *shared, void *control);

/* Another configuration is in force. */
void fleet_reload(struct fleet *f);

/* Stops; the loop needs further turns. fleet_free: after the loop has ended. */
void fleet_close(struct fleet *f); /* NULL is fine, here and below */
void fleet_free(struct fleet *f);

/* A process id for a new cancel key: in a fleet it says which proxy minted it. 0: any will do. */
uint32_t fleet_pid(const struct fleet *f);

/* Nobody here has the key that `w` asks for: the others are asked. False: they are not, and `w`
 * stays the caller's. True: `w` goes when somebody has delivered it, or after a moment. */
bool fleet_forward(struct fleet *f, struct cancel_wait *w);

/* Whether there is a cache, up or not. */
bool fleet_is_used(const struct fleet *f);

/* Who is the first of all proxies to claim `hash`, for so long? `done` comes once, never from
 * within, unless fleet_claim_cancel comes first. NULL: nobody can say; `done` does not come.
 * Control thread. */
enum fleet_first { FLEET_FIRST, FLEET_NOT_FIRST, FLEET_UNSURE };
typedef void fleet_claimed(void *owner, enum fleet_first first);
struct fleet_claim;
struct fleet_claim *fleet_claim(struct fleet *f, struct slice hash, uint64_t life_ms,
                                fleet_claimed *done, void *owner);
void fleet_claim_cancel(struct fleet_claim *c);
/* Sends the command o->show to all, with the argument o->words, and answers `o` with a row for each
 * proxy, when all have answered or the time is up. */
void fleet_ask(struct fleet *f, struct control_order *o);

/* SHOW FLEET. */
void fleet_show(const struct fleet *f, struct rows *r);

/* For metrics. */
struct fleet_state {
    bool is_used, is_up;
    unsigned members;     /* this one included */
    const char *lost_why; /* Redis is gone; NULL: it is there, is being connected to, or unused */
};
void fleet_state(const struct fleet *f, struct fleet_state *out);

#endif
