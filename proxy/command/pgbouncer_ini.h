/* pgbouncer_ini: a configuration of PgBouncer, told as one of Sluice.
 *
 * Text in, text out: what has an equal becomes a directive, everything else a comment that says why
 * not. A password in clear text is never written: it becomes a reference to a variable. The result
 * is a beginning; `sluice check` says what it still lacks. Pure. Source: PgBouncer's config
 * documentation, 1.18 to 1.24.
 */
#ifndef SLUICE_PROXY_COMMAND_PGBOUNCER_INI_H
#define SLUICE_PROXY_COMMAND_PGBOUNCER_INI_H

#include "protocol/buf.h"

/* `userlist` may be empty. */
void pgbouncer_translate(struct slice ini, struct slice userlist, struct buf *out);

#endif
