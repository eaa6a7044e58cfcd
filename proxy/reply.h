/* reply: what a server sends, on its way to the client it serves.
 *
 * Each message is shown to the ledger, which tells whether it is the client's, and
 * when the server is free again. Runs of messages leave in one call; rows are
 * never held.
 */
#ifndef SLUICE_PROXY_REPLY_H
#define SLUICE_PROXY_REPLY_H

#include "proxy/session.h"

/* Bytes from a server that serves a session. */
void reply_take(struct server *server, const char *at, size_t len);

/* Bytes from a server whose client has left: booked and thrown away. False: the server is no
 * more. */
bool reply_drain(struct server *server, const char *at, size_t len);

/* Bytes from a server that serves nobody: parameter changes, notices, last words. */
void reply_idle(struct server *server, const char *at, size_t len);

#endif
