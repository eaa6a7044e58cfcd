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

/* What becomes of a piece of a message. */
enum take {
    TAKE_SEND, /* to the server, as it is */
    TAKE_SENT, /* its beginning was sent already, the rest of the message follows as it is */
    TAKE_DROP, /* dealt with, or of no interest */
    TAKE_WAIT, /* keep it and come again: no server yet, or something has to be answered first */
    TAKE_STOP, /* the session has ended, or is about to */
    TAKE_MALFORMED,
};

/* Bytes from the client (held ones come first). */
void request_take(struct session *s, const char *at, size_t len);

/* Takes up what is held. */
static inline void request_resume(struct session *s) { request_take(s, NULL, 0); }

#endif
