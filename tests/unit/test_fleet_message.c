/* fleet_message: what one proxy believes of what another is said to have said. */
#include "unit/unit.h"

#include "proxy/fleet_message.h"

#include <stdlib.h>

static const char *const key_texts[] = { "the first key, which is long enough to be one",
                                         "the second key, which is long enough, too" };
static const struct slice keys[] = { { "the first key, which is long enough to be one", 45 },
                                     { "the second key, which is long enough, too", 41 } };
static const struct cache_trust trust = { .scope = { "prod", 4 }, .keys = keys, .key_count = 2 };

static struct fleet_message message(enum fleet_kind kind, uint64_t serial, const char *body)
{
    struct fleet_message m = { .kind = kind, .from = 0x1234567890abcdef, .serial = serial };
    m.time_ms = 1700000000000;
    buf_add_str(&m.body, body);
    return m;
}

static struct buf written(const struct fleet_message *m, const struct cache_trust *by)
{
    struct buf line = { 0 };
    fleet_message_write(&line, m, by);
    assert_false(line.failed);
    return line;
}

/* Alone in memory, so that a byte too many is seen. */
static bool believes(struct slice line, const struct cache_trust *t, struct fleet_message *m)
{
    char *alone = malloc(line.len ? line.len : 1);
    if (line.len) memcpy(alone, line.at, line.len);
    bool ok = fleet_message_read(m, slice_of(alone, line.len), t);
    free(alone);
    return ok;
}

static bool is_believed(struct slice line, const struct cache_trust *t)
{
    struct fleet_message m;
    bool ok = believes(line, t, &m);
    buf_fini(&m.body);
    return ok;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const bodies[] = { "", "x", "a body with a space\n and \x01 bytes" };
    for (int kind = FLEET_HELLO; kind <= FLEET_ANSWER; kind++)
        for (size_t i = 0; i < 3; i++) {
            struct fleet_message m = message((enum fleet_kind)kind, i + 1, bodies[i]), got;
            struct buf line = written(&m, &trust);
            assert_null(memchr(line.at, '\n', line.len));
            assert_true(believes(buf_slice(&line), &trust, &got));
            assert_int_equal(got.kind, kind);
            assert_true(got.from == m.from && got.serial == i + 1 && got.time_ms == m.time_ms);
            assert_true(slice_eq(buf_slice(&got.body), buf_slice(&m.body)));
            buf_fini(&got.body);
            buf_fini(&line);
            buf_fini(&m.body);
        }
    struct fleet_message large = message(FLEET_ORDER, 1, ""), got;
    for (int i = 0; i < FLEET_BODY_BYTES; i++) buf_add_u8(&large.body, (uint8_t)i);
    struct buf line = written(&large, &trust);
    assert_true(believes(buf_slice(&line), &trust, &got));
    assert_int_equal(got.body.len, FLEET_BODY_BYTES);
    buf_fini(&got.body);
    buf_fini(&line);
    buf_add_u8(&large.body, 0);
    line = written(&large, &trust);
    assert_false(is_believed(buf_slice(&line), &trust));
    buf_fini(&line);
    buf_fini(&large.body);
}

static void any_change_is_noticed(void **state)
{
    (void)state;
    struct fleet_message m = message(FLEET_CANCEL, 7, "who");
    struct buf line = written(&m, &trust);
    assert_true(is_believed(buf_slice(&line), &trust));
    for (uint32_t at = 0; at < line.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            line.at[at] ^= (char)(1 << bit);
            /* Hexadecimal in capitals is the same number, but it was not what was signed. */
            const bool of_signature = at >= line.len - 64 && bit == 5;
            if (!of_signature && is_believed(buf_slice(&line), &trust)) fail_msg("byte %u", at);
            line.at[at] ^= (char)(1 << bit);
        }
    for (uint32_t len = 0; len < line.len; len++)
        assert_false(is_believed(slice_of(line.at, len), &trust));
    buf_add_u8(&line, ' ');
    assert_false(is_believed(buf_slice(&line), &trust));
    buf_fini(&line);
    buf_fini(&m.body);
}

static void keys_and_scopes(void **state)
{
    (void)state;
    struct fleet_message m = message(FLEET_HELLO, 1, "me"), got;
    const struct cache_trust second = { .scope = trust.scope, .keys = keys + 1, .key_count = 1 },
                             first = { .scope = trust.scope, .keys = keys, .key_count = 1 },
                             other = { .scope = { "test", 4 }, .keys = keys, .key_count = 2 },
                             none = { .scope = trust.scope };
    struct buf line = written(&m, &second);
    /* While keys change, both are believed; which one it was is told. */
    assert_true(believes(buf_slice(&line), &trust, &got));
    assert_true(slice_is(got.key, key_texts[1]));
    buf_fini(&got.body);
    assert_false(is_believed(buf_slice(&line), &first));
    assert_false(is_believed(buf_slice(&line), &other));
    assert_false(is_believed(buf_slice(&line), &none));
    buf_fini(&line);
    buf_fini(&m.body);
}

static void a_guard_hears_each_once(void **state)
{
    (void)state;
    struct fleet_guard *g = calloc(1, sizeof *g);
    struct fleet_message m = message(FLEET_HELLO, 5, "");
    const int64_t now = m.time_ms;
    assert_true(fleet_guard_take(g, &m, now));
    assert_false(fleet_guard_take(g, &m, now));
    m.serial = 4;
    assert_false(fleet_guard_take(g, &m, now));
    m.serial = 6;
    assert_false(fleet_guard_take(g, &m, now + FLEET_WINDOW_MS + 1));
    assert_false(fleet_guard_take(g, &m, now - FLEET_WINDOW_MS - 1));
    assert_true(fleet_guard_take(g, &m, now + FLEET_WINDOW_MS));
    m.from = 0;
    assert_false(fleet_guard_take(g, &m, now));
    free(g);
}

/* Whoever is forgotten for others cannot be played again. */
static void a_guard_is_never_made_to_forget(void **state)
{
    (void)state;
    struct fleet_guard *g = calloc(1, sizeof *g);
    struct fleet_message first = message(FLEET_CANCEL, 1, ""), m;
    assert_true(fleet_guard_take(g, &first, first.time_ms));
    for (uint64_t i = 1; i < FLEET_SENDERS_MAX; i++) {
        m = message(FLEET_HELLO, 1, "");
        m.from = i;
        assert_true(fleet_guard_take(g, &m, m.time_ms));
    }
    m.from = 1 << 20;
    assert_false(fleet_guard_take(g, &m, m.time_ms)); /* more than can be kept */
    assert_false(fleet_guard_take(g, &first, first.time_ms));
    /* Random senders, serials and times: nothing is taken twice. */
    memset(g, 0, sizeof *g);
    bool taken[64][16] = { { false } };
    int64_t now = first.time_ms;
    srandom(3);
    for (int i = 0; i < 200000; i++) {
        unsigned from = (unsigned)random() % 64, serial = (unsigned)random() % 16;
        now += random() % 40;
        m.from = from + 1;
        m.serial = serial + 1;
        m.time_ms = first.time_ms + (int64_t)serial * 1000 + (int64_t)from; /* as it was signed */
        if (!fleet_guard_take(g, &m, now)) continue;
        assert_false(taken[from][serial]);
        taken[from][serial] = true;
    }
    free(g);
}

static void a_pad_is_of_its_message(void **state)
{
    (void)state;
    struct fleet_message m = message(FLEET_CANCEL, 1, "");
    uint8_t a[FLEET_PAD_BYTES], b[FLEET_PAD_BYTES];
    assert_true(fleet_message_pad(&m, keys[0], a) && fleet_message_pad(&m, keys[0], b));
    assert_memory_equal(a, b, sizeof a);
    m.serial++;
    assert_true(fleet_message_pad(&m, keys[0], b));
    assert_memory_not_equal(a, b, sizeof a);
    m.serial--;
    assert_true(fleet_message_pad(&m, keys[1], b));
    assert_memory_not_equal(a, b, sizeof a);
    m.from++;
    assert_true(fleet_message_pad(&m, keys[0], b));
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(any_change_is_noticed),
        cmocka_unit_test(keys_and_scopes),
        cmocka_unit_test(a_guard_hears_each_once),
        cmocka_unit_test(a_guard_is_never_made_to_forget),
        cmocka_unit_test(a_pad_is_of_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
