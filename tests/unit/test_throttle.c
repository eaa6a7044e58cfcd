/* throttle: ten failures in a minute, growing delays, and nobody else hurt. */
#include "unit/unit.h"

#include "auth/throttle.h"

#include <stdio.h>

static const struct slice here = { "\x0a\0\0\1", 4 }, there = { "\x0a\0\0\2", 4 };
static const struct throttle_rule usual = { 10, 60000 };
static const struct slice ana = { "ana", 3 }, bob = { "bob", 3 };

static struct throttle *fresh(void)
{
    struct throttle *t = throttle_new((struct map_seed){ 5, 6 });
    assert_non_null(t);
    return t;
}

static void ten_failures_in_a_minute_are_refused_for_two(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    uint64_t start = 1000000, now = start;
    for (int i = 0; i < 10; i++, now = start + (uint64_t)i * 6500) {
        assert_false(throttle_refuses(t, here, ana, now));
        throttle_failed(t, &usual, here, ana, now);
    }
    now = start + 9 * 6500;
    assert_true(throttle_refuses(t, here, ana, now));
    assert_true(throttle_refuses(t, here, ana, now + 119000));
    assert_false(throttle_refuses(t, here, ana, now + 121000));
    /* Others do not notice. */
    assert_false(throttle_refuses(t, here, bob, now));
    assert_false(throttle_refuses(t, there, ana, now));
    assert_false(throttle_refuses(t, slice_of(NULL, 0), ana, now));
    assert_false(throttle_refuses(t, here, slice_str(""), now));
    assert_int_equal(throttle_delay_ms(t, &usual, there, now), 0);
    /* Afterwards it takes ten again. */
    for (int i = 0; i < 10; i++) {
        assert_false(throttle_refuses(t, here, ana, now + 121000));
        throttle_failed(t, &usual, here, ana, now + 121000);
    }
    assert_true(throttle_refuses(t, here, ana, now + 121000));
    throttle_free(t);
}

static void the_minute_slides(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    /* One every 7 s is never ten within 60 s, however long it goes on. */
    for (uint64_t i = 0; i < 200; i++) {
        throttle_failed(t, &usual, here, ana, i * 7000);
        assert_false(throttle_refuses(t, here, ana, i * 7000));
    }
    throttle_free(t);
    /* Nine late in one minute and one early in the next are ten. */
    t = fresh();
    for (uint64_t i = 0; i < 9; i++) throttle_failed(t, &usual, here, ana, 55000 + i);
    throttle_failed(t, &usual, here, ana, 65000);
    assert_true(throttle_refuses(t, here, ana, 65000));
    throttle_free(t);
}

static void success_forgets_the_pair_but_not_the_address(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    for (int i = 0; i < 9; i++) throttle_failed(t, &usual, here, ana, 1000);
    throttle_succeeded(t, here, ana);
    throttle_succeeded(t, there, ana);
    throttle_failed(t, &usual, here, ana, 1000);
    assert_false(throttle_refuses(t, here, ana, 1000));
    assert_int_equal(throttle_delay_ms(t, &usual, here, 1000), THROTTLE_DELAY_MAX_MS);
    throttle_free(t);
}

static void delays_grow_and_fade(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    static const uint32_t expected[] = { 0, 0, 100, 200, 400, 800, 1600, 3200, 3200, 3200, 3200 };
    for (int i = 0; i <= 10; i++) {
        char name[8];
        assert_int_equal(throttle_delay_ms(t, &usual, here, 5000), expected[i]);
        snprintf(name, sizeof name, "u%d", i); /* one guess at each of many users */
        throttle_failed(t, &usual, here, slice_str(name), 5000);
    }
    assert_int_equal(throttle_delay_ms(t, &usual, here, 64900), THROTTLE_DELAY_MAX_MS);
    assert_int_equal(throttle_delay_ms(t, &usual, here, 65100), 0);
    assert_int_equal(throttle_delay_ms(t, &usual, there, 5000), 0);
    throttle_free(t);
}

/* limits.failed_logins and its window: three in an hour; and none at all. */
static void the_rule_is_configured(void **state)
{
    (void)state;
    static const struct throttle_rule strict = { 3, 3600000 }, lenient = { 0, 60000 };
    struct throttle *t = fresh();
    for (uint64_t i = 0; i < 3; i++) {
        assert_false(throttle_refuses(t, here, ana, 1000 + i * 1000000));
        throttle_failed(t, &strict, here, ana, 1000 + i * 1000000);
    }
    assert_true(throttle_refuses(t, here, ana, 2001000));
    for (int i = 0; i < 100; i++) throttle_failed(t, &lenient, there, ana, 1000);
    assert_false(throttle_refuses(t, there, ana, 1000));
    assert_int_equal(throttle_delay_ms(t, &lenient, there, 1000), THROTTLE_DELAY_MAX_MS);
    throttle_free(t);
}

static void ipv6_counts_by_64_bits(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    static const struct slice one = { "\x20\1\x0d\xb8\0\0\0\1\0\0\0\0\0\0\0\1", 16 };
    static const struct slice same = { "\x20\1\x0d\xb8\0\0\0\1\xff\0\0\0\0\0\0\2", 16 };
    static const struct slice next = { "\x20\1\x0d\xb8\0\0\0\2\0\0\0\0\0\0\0\1", 16 };
    for (int i = 0; i < 10; i++) throttle_failed(t, &usual, i % 2 ? one : same, ana, 1);
    assert_true(throttle_refuses(t, one, ana, 1));
    assert_true(throttle_refuses(t, same, ana, 1));
    assert_false(throttle_refuses(t, next, ana, 1));
    throttle_free(t);
}

/* G13: a hundred thousand addresses in 16 MiB (checked when it is compiled), and whoever is refused
 * stays refused through the flood. */
static void a_flood_neither_grows_nor_washes_out(void **state)
{
    (void)state;
    struct throttle *t = fresh();
    for (int i = 0; i < 10; i++) throttle_failed(t, &usual, here, ana, 1000);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint8_t address[4] = { 100, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
        throttle_failed(t, &usual, slice_of(address, 4), ana, 1000 + i / 50);
    }
    assert_true(throttle_refuses(t, here, ana, 21000));
    throttle_free(t);

    /* Of 10^5 addresses with ten failures each, nearly all are known to be refused. */
    t = fresh();
    uint32_t refused = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < 100000; i++) {
            uint8_t address[4] = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
            for (int k = 0; k < 10 && pass == 0; k++)
                throttle_failed(t, &usual, slice_of(address, 4), ana, 1000);
            if (pass) refused += throttle_refuses(t, slice_of(address, 4), ana, 1000);
        }
    assert_true(refused > 95000);
    throttle_free(t);
}

static void clocks_may_be_anywhere(void **state)
{
    (void)state;
    static const uint64_t starts[] = { 0, 1, 63, (1ull << 38) - 2000, ~0ull - 400000 };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct throttle *t = fresh();
        assert_false(throttle_refuses(t, here, ana, starts[i]));
        for (int k = 0; k < 10; k++) throttle_failed(t, &usual, here, ana, starts[i]);
        assert_true(throttle_refuses(t, here, ana, starts[i] + 100000));
        assert_false(throttle_refuses(t, here, ana, starts[i] + 125000));
        throttle_free(t);
    }
    char name[10000];
    memset(name, 'x', sizeof name);
    struct throttle *t = fresh();
    throttle_failed(t, &usual, here, slice_of(name, sizeof name), 1);
    throttle_free(t);
    throttle_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_failures_in_a_minute_are_refused_for_two),
        cmocka_unit_test(the_minute_slides),
        cmocka_unit_test(success_forgets_the_pair_but_not_the_address),
        cmocka_unit_test(delays_grow_and_fade),
        cmocka_unit_test(the_rule_is_configured),
        cmocka_unit_test(ipv6_counts_by_64_bits),
        cmocka_unit_test(a_flood_neither_grows_nor_washes_out),
        cmocka_unit_test(clocks_may_be_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
