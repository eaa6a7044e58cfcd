/* pulse: do the workers' loops still turn?
 *
 * The control thread sends each worker a mail every second; a worker that has not
 * delivered it for long is stuck. Nothing is measured on a query's path.
 * Thread: control's; what a worker writes is atomic.
 */
#ifndef SLUICE_PROXY_PULSE_H
#define SLUICE_PROXY_PULSE_H

#include "protocol/buf.h"
#include "proxy/io/mailbox.h"
#include "proxy/io/wheel.h"

#include <stdatomic.h>

struct shared;

enum { PULSE_EVERY_MS = 1000, PULSE_LATE_MS = 5000 };

struct pulse_beat {
    struct mail mail;
    atomic_bool under_way;
    uint64_t sent_ms;
};

struct pulse {
    const struct shared *shared;
    struct wheel *wheel;
    uv_loop_t *uv;
    struct wheel_node timer;
    struct pulse_beat *beats; /* one for each worker */
    unsigned n_beats;
};

/* False: no memory. */
bool pulse_open(struct pulse *p, const struct shared *shared, struct wheel *wheel, uv_loop_t *uv);

/* No further beats. pulse_free: after the workers have ended. */
void pulse_stop(struct pulse *p);
void pulse_free(struct pulse *p);

/* True when all loops turn; otherwise `why` gets a line for each that does not. */
bool pulse_is_felt(const struct pulse *p, struct buf *why);

#endif
