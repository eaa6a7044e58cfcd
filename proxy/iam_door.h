/* iam_door: clients that come with an IAM token instead of a password.
 *
 *      worker: iam_ask: is it one, is it for us? ---- mail ----> control: the door
 *                                                   known already?      answer at once
 *                                                   too many lately?    not now (57P03)
 *                                                   else, in line: one question for each token
 *                                                   good, and single_use: claimed (iam_once)
 *         done(who it is) <------------------------- mail ----
 *
 * A token opens the door once (iam.single_use), until it would have expired anyway: whoever reads
 * one off a wire or a log comes too late. (Tokens made within one second with the same keys are
 * equal, so a pool that opens ten connections at once sends one token ten times: from the same
 * address it stays good for three seconds.) A refusal is remembered for some seconds; that nobody
 * can say never is.
 *
 * At most IAM_QUESTIONS_MAX are asked at once; the rest waits, as long as a login may take.
 * Thread: lives on the control thread; iam_ask from any worker. Tokens are wiped.
 */
#ifndef SLUICE_PROXY_IAM_DOOR_H
#define SLUICE_PROXY_IAM_DOOR_H

#include "auth/iam_token.h"
#include "auth/users.h"
#include "proxy/io/mailbox.h"
#include "proxy/realm.h"

struct http;
struct iam_ask;
struct iam_door;
struct log;
struct shared;

enum { IAM_QUESTIONS_MAX = 1024 };

/* Control thread. `http` and `shared` are the caller's and must outlive it; shared->fleet
 * may be set later. close: those who still ask hear that
 * it is unavailable; free: after the end of the loop. */
struct iam_door *iam_door_open(uv_loop_t *uv, struct http *http, struct log *log,
                               struct shared *shared);

/* A configuration that is going to be used: keys that it needs are fetched. */
void iam_door_prepare(struct iam_door *d, const struct realm *realm);
void iam_door_close(struct iam_door *d); /* NULL is fine, here and below */
void iam_door_free(struct iam_door *d);

/* `who` only when ACCEPTED, else `refusal`. */
typedef void iam_done(void *owner, enum iam_verdict verdict, const struct iam_identity *who,
                      const struct iam_refusal *refusal);

/* Asks who the bearer of a token is; `done` comes by `answer_to` (the asking thread's own mailbox),
 * once, unless iam_ask_cancel comes first. NULL and `refusal`: it is refused already. */
struct iam_ask *iam_ask(struct iam_door *d, struct realm *realm, struct slice password,
                        const struct address *from, struct mailbox *answer_to, iam_done *done,
                        void *owner, struct iam_refusal *refusal);
void iam_ask_cancel(struct iam_ask *ask);

/* Whether one of the user's arns is this identity, and if it must be one of certain functions, one
 * of them. */
bool iam_user_is(const struct user *user, const struct iam_identity *who);

#endif
