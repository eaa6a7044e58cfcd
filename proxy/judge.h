/* judge: may this session's role send this statement?
 *
 * For restricted roles every statement is read whole and judged (auth/grants) before
 * its first byte leaves; the verdict is kept with a prepared statement and asked for
 * again when the role has changed since. Unrestricted roles are not judged.
 * `observe` turns a refusal into a line in the log, until its date.
 * A refusal has a decision id, which the client's error, the log and the audit record carry.
 * What has to be recorded and cannot be is refused (see ops/audit.h).
 */
#ifndef SLUICE_PROXY_JUDGE_H
#define SLUICE_PROXY_JUDGE_H

#include "proxy/session.h"

/* The role's name in the session's own realm may have changed by a reload: it is looked up anew.
 * NULL: the role is gone. */
const struct realm_role *judge_role(struct session *s);

/* Whether its statements have to be judged. */
bool judge_is_restricted(struct session *s);

/* True: it may go. Otherwise `err` has the refusal, which is logged and counted. */
bool judge_statement(struct session *s, struct slice text, struct err *err);

/* The same for a statement that was judged before, by the role of `*generation`; sets it anew. */
bool judge_again(struct session *s, struct slice text, uint64_t *generation, struct err *err);

/* Of the role in force; 0 for unrestricted ones. */
uint64_t judge_generation(struct session *s);

/* FunctionCall runs a function by number: never for a restricted role. */
void judge_function_call(struct session *s, struct err *err);

#endif
