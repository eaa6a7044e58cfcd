/* control: the main thread: starts the workers, hears signals, reloads, stops.
 *
 *   SIGHUP   reload: all or nothing; nobody who is in is dropped
 *   SIGTERM  drain: no new connections, clients leave between transactions, then stop;
 *            a second SIGTERM stops at once
 *   SIGINT   stop at once
 */
#ifndef SLUICE_PROXY_CONTROL_H
#define SLUICE_PROXY_CONTROL_H

#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

/* Runs until it is told to stop. Takes over the reference to `config`. Returns the exit status. */
int control_run(struct config *config, struct log *log);

#endif
