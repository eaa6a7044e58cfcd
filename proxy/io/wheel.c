#include "proxy/io/wheel.h"

enum { SLOT_BITS = 6 };

/* The most that the levels can tell apart, two centuries of ticks: later is as good as never. */
static const uint64_t MAX_TICK = (UINT64_C(1) << (SLOT_BITS * WHEEL_LEVELS)) - 1;

static void on_timer(uv_timer_t *timer);

static uint64_t present_tick(const struct wheel *w)
{
    return uv_now(w->timer.loop) / WHEEL_TICK_MS;
}

/* Rounded up: never early. */
static uint64_t due_tick(const struct wheel_node *node)
{
    uint64_t tick = node->due_ms / WHEEL_TICK_MS + (node->due_ms % WHEEL_TICK_MS != 0);
    return tick < MAX_TICK ? tick : MAX_TICK;
}

/* Precondition: tick > w->tick, so that some bit differs. */
static void place(struct wheel *w, struct wheel_node *node, uint64_t tick)
{
    unsigned level = (63u - (unsigned)__builtin_clzll(tick ^ w->tick)) / SLOT_BITS;
    unsigned slot = (unsigned)(tick >> (level * SLOT_BITS)) % WHEEL_SLOTS;
    list_push_back(&w->slots[level][slot], &node->link);
    w->used[level] |= UINT64_C(1) << slot;
}

/* The lowest used level has what comes first, and there the lowest slot: slots that are past are
 * marked unused. False: the wheel is empty. */
static bool next_slot(const struct wheel *w, unsigned *level, unsigned *slot, uint64_t *tick)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        if (!w->used[l]) continue;
        unsigned shift = l * SLOT_BITS;
        *level = l;
        *slot = (unsigned)__builtin_ctzll(w->used[l]);
        *tick = (w->tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS)) | (uint64_t)*slot << shift;
        return true;
    }
    return false;
}

/* Sees to it that the timer fires at `tick` or earlier. */
static void wake_at(struct wheel *w, uint64_t tick)
{
    if (tick >= w->wake_tick) return;
    uint64_t at_ms = tick * WHEEL_TICK_MS, now_ms = uv_now(w->timer.loop);
    w->wake_tick = tick;
    uv_timer_start(&w->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void move_all(struct list *from, struct list *to)
{
    list_each(node, from)
    {
        list_remove(node);
        list_push_back(to, node);
    }
}

/* The nodes stay on a list all the while, so that a callback can cancel any of them. */
static void call_all(struct list *due)
{
    struct list *link;
    while ((link = list_pop_front(due))) {
        struct wheel_node *node = list_item(link, struct wheel_node, link);
        node->on_due(node);
    }
}

static void deal_out(struct wheel *w, struct list *nodes, struct list *due)
{
    list_each(link, nodes)
    {
        struct wheel_node *node = list_item(link, struct wheel_node, link);
        uint64_t tick = due_tick(node);
        list_remove(link);
        if (tick > w->tick)
            place(w, node, tick);
        else
            list_push_back(due, link);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct wheel *w = list_item(timer, struct wheel, timer);
    unsigned level, slot;
    uint64_t tick, now = present_tick(w);
    bool more;
    w->wake_tick = UINT64_MAX;
    while ((more = next_slot(w, &level, &slot, &tick)) && tick <= now) {
        struct list nodes, due;
        list_init(&nodes);
        list_init(&due);
        w->tick = tick;
        w->used[level] &= ~(UINT64_C(1) << slot);
        move_all(&w->slots[level][slot], &nodes);
        deal_out(w, &nodes, &due);
        call_all(&due);
    }
    if (now > w->tick) w->tick = now;
    if (more) wake_at(w, tick);
}

void wheel_init(struct wheel *w, uv_loop_t *uv)
{
    *w = (struct wheel){ .wake_tick = UINT64_MAX };
    uv_timer_init(uv, &w->timer);
    uv_unref((uv_handle_t *)&w->timer);
    w->tick = present_tick(w);
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WHEEL_SLOTS; slot++) list_init(&w->slots[level][slot]);
}

void wheel_fini(struct wheel *w)
{
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            while (list_pop_front(&w->slots[level][slot])) continue;
    uv_close((uv_handle_t *)&w->timer, NULL);
}

void wheel_node_init(struct wheel_node *node, void (*on_due)(struct wheel_node *node))
{
    list_init(&node->link);
    node->due_ms = 0;
    node->on_due = on_due;
}

void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t after_ms)
{
    uint64_t now_ms = uv_now(w->timer.loop), now = now_ms / WHEEL_TICK_MS, tick, next_tick;
    unsigned level, slot;
    list_remove(&node->link);
    /* After a sleep the wheel is behind; with nothing due it may jump. */
    if (now > w->tick && (!next_slot(w, &level, &slot, &next_tick) || next_tick > now))
        w->tick = now;
    node->due_ms = after_ms < UINT64_MAX - now_ms ? now_ms + after_ms : UINT64_MAX;
    tick = due_tick(node);
    /* Not in this turn, not even when the wheel is behind: a callback that sets itself again with
     * 0 ms must not hold the loop. */
    if (tick <= now) {
        tick = now + 1;
        node->due_ms = tick * WHEEL_TICK_MS;
    }
    place(w, node, tick);
    if (next_slot(w, &level, &slot, &next_tick)) wake_at(w, next_tick);
}

void wheel_cancel(struct wheel_node *node) { list_remove(&node->link); }
