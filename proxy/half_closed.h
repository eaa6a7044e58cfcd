/* half_closed: a client that has said its last word and still waits for the answer.
 *
 * `printf ... | nc`, and whoever shuts down the writing side after the last query:
 * PostgreSQL still answers, and so do we. But an end of file is also all that is seen of a
 * client that died, whose query must not go on: so while something is owed the client is
 * written to now and then, a ParameterStatus that says nothing new, at which the kernel of
 * one that is gone answers with a reset.
 * Not with TLS: its end is a goodbye. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_HALF_CLOSED_H
#define SLUICE_PROXY_HALF_CLOSED_H

#include "proxy/session.h"

/* True: something is owed, and the session goes on until it is given. */
bool half_closed_begin(struct session *s);

/* After each turn of replies. */
void half_closed_replied(struct session *s);

#endif
