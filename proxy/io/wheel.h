/* wheel: all timeouts of one loop, on one timer.
 *
 * Six levels of 64 slots. A level-0 slot is one tick; a slot of level n is 64 slots
 * of level n-1, and is dealt out to them when its time comes:
 *
 *      tick     63         ......      4   3   2   1   0     bits of the due tick
 *      level 2 [  |  |  |  ]  level 1 [  |  |  |  ]  level 0 [  |  |  |  ]
 *                    `-- dealt out --^      `-- dealt out --^    `-- on_due
 *
 * A node lies at the highest level at which its due tick differs from the present
 * one, so the first used slot of the lowest used level is what comes next, and
 * the loop sleeps until then: ten thousand idle timeouts of ten minutes cost
 * no ticking. Setting and cancelling are O(1).
 *
 * Coarse: a node is due up to one tick late, never early. Monotonic (uv_now).
 * Ownership: nodes are embedded in their owners, the wheel allocates nothing.
 * The wheel alone does not keep a loop alive. Thread: the loop's.
 */
#ifndef SLUICE_PROXY_IO_WHEEL_H
#define SLUICE_PROXY_IO_WHEEL_H

#include "protocol/list.h"

#include <stdint.h>
#include <uv.h>

enum { WHEEL_TICK_MS = 100, WHEEL_LEVELS = 6, WHEEL_SLOTS = 64 };

struct wheel_node {
    struct list link;
    uint64_t due_ms; /* in uv_now's time */
    void (*on_due)(struct wheel_node *node);
};

struct wheel {
    uv_timer_t timer;
    uint64_t tick;               /* everything due up to here has been called */
    uint64_t wake_tick;          /* when the timer will fire; UINT64_MAX: it sleeps */
    uint64_t used[WHEEL_LEVELS]; /* bit n: slot n may hold nodes */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uv_loop_t *uv);

/* Cancels all nodes and closes the timer; `w` must live until the loop has closed it (one more
 * turn). */
void wheel_fini(struct wheel *w);

/* Once, before the first wheel_set or wheel_cancel. */
void wheel_node_init(struct wheel_node *node, void (*on_due)(struct wheel_node *node));

/* Calls on_due once, `after_ms` from now; a node that is set already is moved. on_due may set or
 * cancel any node, its own as well, and may free the node. It never comes from within wheel_set. */
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t after_ms);

/* Harmless when the node is not set. */
void wheel_cancel(struct wheel_node *node);

static inline bool wheel_is_set(const struct wheel_node *node)
{
    return !list_is_empty(&node->link);
}

#endif
