/* control: the main thread: starts the workers, hears signals, reloads, stops.
 *
 *   SIGHUP   reload: all or nothing; nobody who is in is dropped
 *   SIGTERM  drain: no new connections, clients leave between transactions, then stop;
 *            a second SIGTERM stops at once
 *   SIGINT   stop at once
 *   SIGUSR2  start the program's file, as it is now, with our sockets; once it listens, drain
 */
#ifndef SLUICE_PROXY_CONTROL_H
#define SLUICE_PROXY_CONTROL_H

#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

/* Where the configuration came from, when that is not a file. */
struct control_start {
    const char *saved; /* the file that keeps the last good one; NULL: none */
    bool is_saved;     /* it came from there: the source could not be used */
};

/* Runs until it is told to stop. Takes over the reference to `config`. Returns the exit status. */
int control_run(struct config *config, const struct control_start *start, struct log *log);

#endif
