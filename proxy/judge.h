/* judge: may this session's role send this message?
 *
 * For restricted roles every statement is read whole and judged (auth/grants) before
 * its first byte leaves; the verdict is kept with a prepared statement and asked for
 * again when the role has changed since. Unrestricted roles are not judged.
 * `observe` turns a refusal into a line in the log, until its date.
 * A refusal has a decision id, which the client's error, the log and the audit record carry.
 * What has to be recorded and cannot be is refused (see ops/audit.h).
 *
 * Nothing of a client's goes to a server without a pass, and passes are made here only:
 *
 *   judge_message --> s->judged, the bytes that may go --> judge_pass --> upstream_pass
 */
#ifndef SLUICE_PROXY_JUDGE_H
#define SLUICE_PROXY_JUDGE_H

#include "proxy/outbox.h"
#include "proxy/request.h"

/* The role's name in the session's own realm may have changed by a reload: it is looked up anew.
 * NULL: the role is gone. */
const struct realm_role *judge_role(struct session *s);

/* Whether its statements have to be judged. */
bool judge_is_restricted(struct session *s);

/* The role is on trial: nothing is refused. */
bool judge_only_observes(struct session *s);

/* After a reload: may the session go on? Not when its user is gone or has another role, nor when
 * what it was let do unread has to be read now. False: it has been told so, and ends. */
bool judge_goes_on(struct session *s);

static inline bool judge_is_stale(const struct session *s)
{
    return s->role_realm != s->client.env->realm->generation;
}

/* The first piece of a message of a restricted role. TAKE_SEND: it may go. TAKE_WAIT: come again
 * when what is under way is answered. Otherwise it was refused, recorded and answered. A message
 * that may go and then stands in line is not judged again when a server has come, unless the role
 * has changed meanwhile: judge_held, and judge_forget when it leaves the line otherwise. */
enum take judge_message(struct session *s, const struct piece *p, struct upstream *out);
void judge_held(struct session *s);
static inline void judge_forget(struct session *s)
{
    s->held_generation = 0;
    s->recorded = false;
}

/* A further piece of a message whose beginning went. */
void judge_rest(struct session *s, const struct piece *p);

/* ---- passes --------------------------------------------------------------------------------- */

struct pass judge_pass_judged(struct session *s, struct slice bytes);

/* Of an unrestricted session: anything. */
static inline struct pass judge_pass_unread(const struct session *s, struct slice bytes)
{
    struct pass pass = { { 0 } };
    if (!s->restricted) pass.bytes = bytes;
    return pass;
}

/* For bytes of the message under way. */
static inline struct pass judge_pass(struct session *s, struct slice bytes)
{
    return s->restricted ? judge_pass_judged(s, bytes) : judge_pass_unread(s, bytes);
}

/* For a statement that is kept, judged by the role of `generation`. */
struct pass judge_pass_kept(struct session *s, struct slice bytes, uint64_t generation);

/* Of the role in force; 0 for unrestricted ones. */
uint64_t judge_generation(struct session *s);

#endif
