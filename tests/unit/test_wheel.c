/* io/wheel: timeouts fire once, not early, at most a tick late; and the wheel sleeps. */
#include "unit/unit.h"

#include "proxy/io/wheel.h"

#include <stdio.h>
#include <stdlib.h>

/* Time is turned by hand: libuv's cached time is what the wheel reads, and the timer's callback is
 * called when its due time has come. So years pass in a moment. */
struct world {
    uv_loop_t uv;
    struct wheel wheel;
    unsigned wakes;
};

struct alarm {
    struct wheel_node node;
    struct world *world;
    uint64_t due_ms, fired_ms;
    unsigned fired;
    struct alarm *victim; /* cancelled when this one fires */
    uint64_t again_ms;    /* set again when it fires */
};

static void world_open(struct world *w)
{
    assert_int_equal(uv_loop_init(&w->uv), 0);
    wheel_init(&w->wheel, &w->uv);
    w->wakes = 0;
}

static void world_close(struct world *w)
{
    wheel_fini(&w->wheel);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->uv), 0);
}

/* Moves the loop's time on to `to_ms`, stopping wherever the wheel wants to be woken. */
static void world_turn(struct world *w, uint64_t to_ms)
{
    uv_timer_t *timer = &w->wheel.timer;
    while (uv_is_active((uv_handle_t *)timer) && timer->timeout <= to_ms) {
        if (timer->timeout > w->uv.time) w->uv.time = timer->timeout;
        w->wakes++;
        uv_timer_cb call = timer->timer_cb;
        uv_timer_stop(timer);
        call(timer);
    }
    w->uv.time = to_ms;
}

static void on_due(struct wheel_node *node)
{
    struct alarm *a = list_item(node, struct alarm, node);
    a->fired++;
    a->fired_ms = uv_now(&a->world->uv);
    if (a->victim) wheel_cancel(&a->victim->node);
    if (a->again_ms != UINT64_MAX) {
        a->due_ms = a->fired_ms + a->again_ms;
        wheel_set(&a->world->wheel, node, a->again_ms);
    }
}

static void alarm_init(struct alarm *a, struct world *w)
{
    *a = (struct alarm){ .world = w, .again_ms = UINT64_MAX };
    wheel_node_init(&a->node, on_due);
}

static void alarm_set(struct alarm *a, uint64_t after_ms)
{
    a->due_ms = uv_now(&a->world->uv) + after_ms;
    a->fired = 0;
    wheel_set(&a->world->wheel, &a->node, after_ms);
}

static void never_early_at_most_a_tick_late(void **state)
{
    (void)state;
    enum { ALARMS = 2000 };
    static struct alarm alarms[ALARMS];
    struct world w;
    world_open(&w);
    uint64_t x = 88172645463325252u, end = 0;
    for (int i = 0; i < ALARMS; i++) {
        alarm_init(&alarms[i], &w);
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        /* From nothing to months, each magnitude equally often. */
        alarm_set(&alarms[i], x % (UINT64_C(1) << (i % 34)));
        if (alarms[i].due_ms > end) end = alarms[i].due_ms;
        if (i % 16 == 0) world_turn(&w, uv_now(&w.uv) + x % 1000);
    }
    world_turn(&w, end + WHEEL_TICK_MS);
    for (int i = 0; i < ALARMS; i++) {
        assert_int_equal(alarms[i].fired, 1);
        assert_true(alarms[i].fired_ms >= alarms[i].due_ms);
        assert_true(alarms[i].fired_ms <= alarms[i].due_ms + WHEEL_TICK_MS);
        assert_false(wheel_is_set(&alarms[i].node));
    }
    assert_false(uv_is_active((uv_handle_t *)&w.wheel.timer));
    world_close(&w);
}

static void cancelled_and_moved_ones_do_not_fire(void **state)
{
    (void)state;
    struct world w;
    struct alarm a, b;
    world_open(&w);
    alarm_init(&a, &w);
    alarm_init(&b, &w);
    wheel_cancel(&a.node); /* never set: no harm */
    alarm_set(&a, 500);
    alarm_set(&b, 500);
    wheel_cancel(&a.node);
    alarm_set(&b, 5000);
    world_turn(&w, uv_now(&w.uv) + 4000);
    assert_int_equal(a.fired + b.fired, 0);
    world_turn(&w, uv_now(&w.uv) + 1200);
    assert_int_equal(a.fired, 0);
    assert_int_equal(b.fired, 1);
    world_close(&w);
}

static void callbacks_may_cancel_and_set(void **state)
{
    (void)state;
    struct world w;
    struct alarm killer, victim, again;
    world_open(&w);
    alarm_init(&killer, &w);
    alarm_init(&victim, &w);
    alarm_init(&again, &w);
    killer.victim = &victim; /* of the same slot, behind it */
    again.again_ms = 0;
    alarm_set(&killer, 1000);
    alarm_set(&victim, 1000);
    alarm_set(&again, 1000);
    world_turn(&w, uv_now(&w.uv) + 2150);
    assert_int_equal(killer.fired, 1);
    assert_int_equal(victim.fired, 0);
    /* 0 ms means the next tick, not this turn: a dozen times, not for ever. */
    assert_in_range(again.fired, 10, 13);
    wheel_cancel(&again.node);
    world_close(&w);
}

static void set_again_while_behind_is_not_this_turn(void **state)
{
    (void)state;
    struct world w;
    struct alarm again;
    world_open(&w);
    alarm_init(&again, &w);
    again.again_ms = 0;
    /* The loop was busy for a minute and comes back: one call, then the next tick. */
    alarm_set(&again, 100);
    w.uv.time += 60000 + 37;
    uint64_t now = w.uv.time;
    world_turn(&w, now);
    assert_int_equal(again.fired, 1);
    world_turn(&w, now + 2 * WHEEL_TICK_MS);
    assert_in_range(again.fired, 2, 3);
    wheel_cancel(&again.node);
    world_close(&w);
}

static void idle_clients_cost_no_ticking(void **state)
{
    (void)state;
    enum { CLIENTS = 10000 };
    struct alarm *clients = calloc(CLIENTS, sizeof *clients);
    struct world w;
    world_open(&w);
    for (int i = 0; i < CLIENTS; i++) {
        alarm_init(&clients[i], &w);
        alarm_set(&clients[i], 3600 * 1000);
    }
    /* Ten minutes in which nothing is due: the hour's slots are opened at most now and then. */
    world_turn(&w, uv_now(&w.uv) + 600 * 1000);
    assert_in_range(w.wakes, 0, 4);
    world_turn(&w, uv_now(&w.uv) + 3100 * 1000);
    for (int i = 0; i < CLIENTS; i++) assert_int_equal(clients[i].fired, 1);
    assert_in_range(w.wakes, 1, 12);
    world_close(&w);
    free(clients);
}

static void a_real_loop_turns_it(void **state)
{
    (void)state;
    struct world w;
    struct alarm a;
    world_open(&w);
    alarm_init(&a, &w);
    uv_update_time(&w.uv);
    alarm_set(&a, 150);
    /* The wheel does not keep the loop alive by itself. */
    assert_int_equal(uv_run(&w.uv, UV_RUN_NOWAIT), 0);
    uv_ref((uv_handle_t *)&w.wheel.timer);
    while (!a.fired) uv_run(&w.uv, UV_RUN_ONCE);
    assert_true(a.fired_ms >= a.due_ms && a.fired_ms < a.due_ms + 10 * WHEEL_TICK_MS);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_early_at_most_a_tick_late),
        cmocka_unit_test(cancelled_and_moved_ones_do_not_fire),
        cmocka_unit_test(callbacks_may_cancel_and_set),
        cmocka_unit_test(set_again_while_behind_is_not_this_turn),
        cmocka_unit_test(idle_clients_cost_no_ticking),
        cmocka_unit_test(a_real_loop_turns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
