/* states: client.def and server.def as rows, for the reference and for the test that walks them. */
#ifndef SLUICE_PROXY_STATES_H
#define SLUICE_PROXY_STATES_H

#include <stddef.h>

struct state_row {
    const char *state, *event, *action, *next;
};

extern const struct state_row client_rows[];
extern const size_t n_client_rows;
extern const struct state_row server_rows[];
extern const size_t n_server_rows;

#endif
