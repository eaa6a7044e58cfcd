/* pass: bytes of a client that may go to a server.
 *
 * The only thing that puts a client's bytes into a server's outbox takes one of these
 * (outbox.h), and only the judge makes them (judge.h; `make lint` looks for others): so
 * sending what was not judged does not compile. A pass is the exact bytes that were
 * judged, and good for this turn; nothing in it: nothing may go.
 */
#ifndef SLUICE_PROXY_PASS_H
#define SLUICE_PROXY_PASS_H

#include "protocol/slice.h"

struct pass {
    struct slice bytes;
};

#endif
