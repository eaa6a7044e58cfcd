/* doctor_reach: can a host be reached from here: its name, then a TCP connection; each gives up
 * after 3 s. Blocks: for commands.
 */
#ifndef SLUICE_PROXY_COMMAND_DOCTOR_REACH_H
#define SLUICE_PROXY_COMMAND_DOCTOR_REACH_H

#include "proxy/command/doctor_advice.h"
#include "proxy/io/resolve.h"

struct doctor_reach {
    bool named, connected;
    enum doctor_symptom symptom; /* unless connected */
    bool is_private;
    union socket_address at; /* the one that was tried last */
    uint32_t n_addresses;
    double name_ms, connect_ms;
    char said[260]; /* why not */
};

/* Fills `r`; true when it is connected (the connection is closed again). */
bool doctor_reach(uv_loop_t *loop, const char *host, uint16_t port, struct doctor_reach *r);

#endif
