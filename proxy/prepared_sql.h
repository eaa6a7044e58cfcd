/* prepared_sql: prepared statements as SQL speaks of them: PREPARE, EXECUTE, DEALLOCATE, DISCARD.
 *
 * A statement that the client made by a Parse message is known to servers by a name
 * of ours, so EXECUTE and DEALLOCATE of it are rewritten to that name, and the server
 * is given the statement first where it lacks it. One that was made by SQL's PREPARE
 * pins the session, and keeps its name. Any other name, and every name of the kind we
 * give, is one that the client does not have: 26000.
 */
#ifndef SLUICE_PROXY_PREPARED_SQL_H
#define SLUICE_PROXY_PREPARED_SQL_H

#include "protocol/frontend.h"
#include "protocol/sql_effects.h"
#include "proxy/outbox.h"
#include "proxy/request.h"

/* A Query whose effects have PREPARED. SEND: as it is; SENT: it was put into `out`, rewritten;
 * DROP, WAIT, STOP: it was refused. */
enum take prepared_sql_query(struct session *s, const struct sql_effects *e, struct slice text,
                             struct upstream *out);

/* The same for a Parse: SEND; or refused. When it was rewritten, `parse` points into `rewritten`
 * (of the caller, buf_fini), and *refers is what it refers to, the caller's; else it stays as it
 * is.
 */
enum take prepared_sql_parse(struct session *s, struct frontend_parse *parse, struct buf *rewritten,
                             struct stmt_reference *refers, struct upstream *out);

/* PREPARE, and DEALLOCATE of one statement, on the client's book. A restricted role's PREPARE
 * counts when it has been answered: prepared_settle. `deallocate` is true when the name was one of
 * ours: the server does not know it, and we answer. */
void prepared_by_sql(struct session *s, struct slice name, const struct sql_act *act);
void prepared_settle(struct session *s, bool ok);
bool prepared_deallocate(struct session *s, struct slice name);
void prepared_forget_all(struct session *s);

/* DEALLOCATE ALL or DISCARD ALL goes to the server: nobody's statement is there any more. */
void prepared_swept(struct session *s);

/* A name of the kind we give: no client has it. */
bool prepared_is_reserved(struct slice name);

#endif
