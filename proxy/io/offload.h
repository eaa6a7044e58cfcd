/* offload: a slow computation off the loop, its result back on it.
 *
 * `work` runs on a thread of libuv's pool and may touch `context` only; `done` runs on the loop.
 * It cannot be stopped: an owner that goes away first sets `owner` to NULL and leaves `context`
 * to be freed by `done`.
 */
#ifndef SLUICE_PROXY_IO_OFFLOAD_H
#define SLUICE_PROXY_IO_OFFLOAD_H

#include <uv.h>

struct offload {
    uv_work_t request;
    void *owner, *context;
    void (*work)(struct offload *o);
    void (*done)(struct offload *o);
};

void offload_run(uv_loop_t *uv, struct offload *o, void (*work)(struct offload *o),
                 void (*done)(struct offload *o));

#endif
