/* request: what a client sends, on its way to a server.
 *
 * Cuts the bytes into messages, books each in the server's ledger, and sends whole
 * runs of them in one call, straight from the receive buffer. A request that
 * finds no server is set aside in `client.held` and taken up again when there is
 * one. This and `injection` in session.c are the only ways to a server's socket.
 */
#ifndef SLUICE_PROXY_REQUEST_H
#define SLUICE_PROXY_REQUEST_H

#include "proxy/session.h"

/* Bytes from the client (held ones come first). */
void request_take(struct session *s, const char *at, size_t len);

/* Takes up what is held. */
static inline void request_resume(struct session *s) { request_take(s, NULL, 0); }

#endif
