/* io/resolve: which names are refused, answers that come later, timeouts, cancelling. */
#include "unit/unit.h"

#include "proxy/io/resolve.h"

#include <stdio.h>
#include <time.h>

struct asker {
    unsigned told;
    bool failed;
    struct err err;
    struct resolve_answer answer;
};

static void on_done(void *owner, const struct resolve_answer *answer, const struct err *err)
{
    struct asker *a = owner;
    a->told++;
    assert_true(!answer != !err);
    a->failed = err != NULL;
    if (err) a->err = *err;
    if (answer) a->answer = *answer;
}

static struct resolve *ask(struct asker *a, uv_loop_t *uv, struct slice host, uint32_t timeout_ms)
{
    memset(a, 0, sizeof *a);
    return resolve_start(uv, host, 5439, timeout_ms, on_done, a, &a->err);
}

static void addresses_and_paths(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "127.0.0.1", "127.0.0.1:5439" },
        { "[::1]", "[::1]:5439" },
        { "2001:db8::5", "[2001:db8::5]:5439" },
        { "unix:/run/postgresql/.s.PGSQL.5432", "unix:/run/postgresql/.s.PGSQL.5432" },
    };
    uv_loop_t uv;
    struct asker a;
    char text[SOCKET_TEXT_BYTES];
    uv_loop_init(&uv);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_non_null(ask(&a, &uv, slice_str(cases[i][0]), 1000));
        assert_int_equal(a.told, 0);
        uv_run(&uv, UV_RUN_DEFAULT);
        assert_int_equal(a.told, 1);
        assert_false(a.failed);
        assert_int_equal(a.answer.count, 1);
        assert_string_equal(socket_address_text(&a.answer.at[0], text), cases[i][1]);
    }
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void names(void **state)
{
    (void)state;
    uv_loop_t uv;
    struct asker a;
    uv_loop_init(&uv);
    for (int dot = 0; dot < 2; dot++) {
        assert_non_null(ask(&a, &uv, slice_str(dot ? "localhost." : "localhost"), 10000));
        uv_run(&uv, UV_RUN_DEFAULT);
        assert_int_equal(a.told, 1);
        assert_false(a.failed);
        assert_true(a.answer.count >= 1);
        for (uint32_t i = 0; i < a.answer.count; i++)
            assert_int_equal(a.answer.at[i].v4.sin_port, htons(5439)); /* v6: the same place */
    }
    assert_non_null(ask(&a, &uv, slice_str("no-such-host.invalid"), 10000));
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_true(a.failed);
    assert_non_null(strstr(a.err.message, "cannot resolve no-such-host.invalid: "));
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* CVE-2024-24806 and its like: what we take for one host must not be another one for libuv. */
static void bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           ".",          "..",         "a..b",       ".a",          "a b",
        "a/b",        "a%b",        "a@b",        "a:5439",     "h\303\266st", "0x7f000001",
        "0x7F.0.0.1", "127.1",      "2130706433", "0177.0.0.1", "1.2.3.4.5",   "example.0x1",
        "256.1.1.1",  "127.0.0.1.", "0",          "1.2.3.0x",   "unix:",       "unix:relative",
        "[::1",       "::1%lo\n",
    };
    static const char *const good[] = {
        "a",        "a.b.",     "x-1.example.com",       "_srv.example.com",
        "3com.com", "1.2.3.4a", "xn--bcher-kva.example", "0x7f.example"
    };
    static const int lengths[] = { 254, 255, 256, 257, 300, 10000 };
    char name[10000];
    uv_loop_t uv;
    struct asker a;
    uv_loop_init(&uv);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ask(&a, &uv, slice_str(bad[i]), 1000)) fail_msg("taken: %s", bad[i]);
    assert_non_null(strstr(a.err.hint, "253"));
    assert_null(ask(&a, &uv, slice_of("localhost\0.evil.org", 19), 1000));
    assert_null(ask(&a, &uv, slice_of("127.0.0.1\0", 10), 1000));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(resolve_name_is_good(slice_str(good[i])));
    for (int i = 0; i < 10000; i++) name[i] = i % 50 == 49 ? '.' : 'a';
    assert_true(resolve_name_is_good(slice_of(name, 253)));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_null(ask(&a, &uv, slice_of(name, (size_t)lengths[i]), 1000));
    memset(name, 'a', 64);
    assert_false(resolve_name_is_good(slice_of(name, 64)));
    assert_true(resolve_name_is_good(slice_of(name, 63)));
    assert_int_equal(a.told, 0);
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* ---- a pool that is busy, as with a DNS server that does not answer ---- */

static void sleep_ms(uv_work_t *work)
{
    (void)work;
    nanosleep(&(struct timespec){ 0, 400 * 1000000 }, NULL);
}

static void keep_pool_busy(uv_loop_t *uv, uv_work_t *works)
{
    for (int i = 0; i < 4; i++) uv_queue_work(uv, &works[i], sleep_ms, NULL);
}

static void timeouts_and_cancelling(void **state)
{
    (void)state;
    uv_loop_t uv;
    uv_work_t works[4];
    struct asker slow, numeric, cancelled, cancelled_numeric;
    uv_loop_init(&uv);
    keep_pool_busy(&uv, works);
    uint64_t start = uv_hrtime();
    assert_non_null(ask(&slow, &uv, slice_str("localhost"), 50));
    assert_non_null(ask(&numeric, &uv, slice_str("127.0.0.1"), 50));
    resolve_cancel(ask(&cancelled, &uv, slice_str("localhost"), 50));
    resolve_cancel(ask(&cancelled_numeric, &uv, slice_str("::1"), 50));
    while (!slow.told) uv_run(&uv, UV_RUN_ONCE);
    assert_true(uv_hrtime() - start > 40 * 1000000); /* libuv's clock is a turn old */
    assert_true(slow.failed);
    assert_non_null(strstr(slow.err.message, "no answer within 50 ms"));
    assert_int_equal(numeric.told, 1);
    assert_false(numeric.failed);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(slow.told, 1);
    assert_int_equal(cancelled.told + cancelled_numeric.told, 0);

    /* Cancelled while a thread is at it: it finishes for nobody. */
    struct resolve *r = ask(&cancelled, &uv, slice_str("no-such-host.invalid"), 10000);
    nanosleep(&(struct timespec){ 0, 2 * 1000000 }, NULL);
    resolve_cancel(r);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(cancelled.told, 0);
    assert_int_equal(uv_loop_close(&uv), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_paths),
        cmocka_unit_test(names),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(timeouts_and_cancelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
