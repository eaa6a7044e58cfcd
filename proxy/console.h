/* console: the admin console, spoken to in SQL: the virtual databases `sluice` and `pgbouncer`.
 *
 *   client bytes -> frame -> Query, or Parse/Bind/Describe/Execute -> admin_read -> admin_may
 *        -> answered here | survey of all workers | order to control  -> rows, tag, ReadyForQuery
 *
 * A session has a console in place of a pool; it lives on the worker that accepted it. One
 * command is under way at a time, what the client sends meanwhile is held. What a user may
 * is looked up for every command in the configuration in force, so that a reload takes a right
 * away from those who are already in.
 * Ownership: its session's. Thread: its worker's.
 */
#ifndef SLUICE_PROXY_CONSOLE_H
#define SLUICE_PROXY_CONSOLE_H

#include "proxy/session.h"

struct console;

/* Whether the startup packet names a database of ours. */
bool console_is_wanted(const struct client *c);

/* After the login: welcomes the client, or refuses it. Sets s->console. */
void console_open(struct session *s);

/* Bytes from the client. */
void console_take(struct console *c, const char *at, size_t len);

/* The client has read what was sent: goes on with what it asked meanwhile. */
void console_go_on(struct console *c);

void console_free(struct console *c); /* NULL is fine */

#endif
