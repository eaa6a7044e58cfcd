/* notify: tells the service manager how we are (sd_notify(3)), if it asks: NOTIFY_SOCKET.
 *
 * A datagram, written by hand: nothing of systemd is linked. Never blocks, never fails.
 * Thread: any.
 */
#ifndef SLUICE_PROXY_OPS_NOTIFY_H
#define SLUICE_PROXY_OPS_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "MAINPID=..."; several by line. */
__attribute__((format(printf, 1, 2))) void notify_send(const char *format, ...);

/* RELOADING=1 with the time that systemd wants beside it; READY=1 ends it. */
void notify_reloading(void);

/* How often it wants to hear WATCHDOG=1: half of what kills us; 0: not at all. */
uint64_t notify_watchdog_ms(void);

#endif
