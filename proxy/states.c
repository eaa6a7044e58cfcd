#include "proxy/states.h"

const struct state_row client_rows[] = {
#define CLIENT(state, event, action, next) { #state, #event, #action, #next },
#include "proxy/client.def"
#undef CLIENT
};
const size_t n_client_rows = sizeof client_rows / sizeof *client_rows;

const struct state_row server_rows[] = {
#define SERVER(state, event, action, next) { #state, #event, #action, #next },
#include "proxy/server.def"
#undef SERVER
};
const size_t n_server_rows = sizeof server_rows / sizeof *server_rows;
