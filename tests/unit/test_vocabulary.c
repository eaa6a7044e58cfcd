/* slice, buf, list, map, err: the words everything else is written in. */
#include "unit/unit.h"

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/list.h"
#include "protocol/map.h"

#include <stdio.h>
#include <stdlib.h>

static void buf_grows_and_drops(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add_str(&b, "ab");
    buf_add_u32(&b, 0x01020304);
    buf_addf(&b, "%d", 42);
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.at,
                        "ab\1\2\3\4"
                        "42",
                        8);
    buf_drop(&b, 2);
    assert_memory_equal(b.at, "\1\2\3\4", 4);
    buf_drop(&b, 100);
    assert_int_equal(b.len, 0);
    assert_null(buf_extend(&b, (size_t)BUF_CAP_BYTES + 1));
    assert_true(b.failed);
    buf_fini(&b);
}

static void list_keeps_order(void **state)
{
    (void)state;
    struct item {
        int n;
        struct list node;
    } a = { 1, { 0 } }, b = { 2, { 0 } };
    struct list head;
    list_init(&head);
    list_init(&a.node);
    list_push_back(&head, &a.node);
    list_push_back(&head, &b.node);
    int sum = 0;
    list_each(node, &head)
    {
        sum = sum * 10 + list_item(node, struct item, node)->n;
        list_remove(node);
    }
    assert_int_equal(sum, 12);
    assert_true(list_is_empty(&head));
    list_remove(&a.node);
    assert_null(list_pop_front(&head));
}

static void siphash_is_siphash(void **state)
{
    (void)state;
    /* Property that a broken hash fails: 4096 short keys, no collision, seed matters. */
    struct map_seed seed = { 1, 2 }, other = { 1, 3 };
    char key[8];
    struct map seen;
    map_init(&seen, seed);
    static uint64_t hashes[4096];
    for (int i = 0; i < 4096; i++) {
        snprintf(key, sizeof key, "%d", i);
        hashes[i] = map_hash(seed, slice_str(key));
        assert_true(hashes[i] != map_hash(other, slice_str(key)));
        assert_null(map_get(&seen, slice_of(&hashes[i], 8)));
        assert_true(map_put(&seen, slice_of(&hashes[i], 8), &hashes[i]));
    }
    map_fini(&seen);
}

static void map_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 300 };
    static char names[KEYS][8];
    void *model[KEYS] = { 0 };
    struct map m;
    map_init(&m, (struct map_seed){ 7, 9 });
    for (int i = 0; i < KEYS; i++) snprintf(names[i], sizeof names[i], "k%d", i);
    uint32_t x = 1;
    for (int step = 0; step < 20000; step++) {
        x = x * 1664525 + 1013904223;
        int k = (int)(x >> 8) % KEYS;
        struct slice key = slice_str(names[k]);
        if (x & 0x40) {
            assert_true(map_put(&m, key, names[k]));
            model[k] = names[k];
        } else {
            assert_ptr_equal(map_remove(&m, key), model[k]);
            model[k] = NULL;
        }
    }
    uint32_t at = 0, walked = 0, expected = 0;
    while (map_next(&m, &at)) walked++;
    for (int k = 0; k < KEYS; k++) {
        assert_ptr_equal(map_get(&m, slice_str(names[k])), model[k]);
        expected += model[k] != NULL;
    }
    assert_int_equal(walked, expected);
    map_fini(&m);
}

static void errors_carry_their_sqlstate(void **state)
{
    (void)state;
    struct err e;
    assert_false(err_set(&e, ERR_DENIED, ""));
    assert_string_equal(e.message, "permission denied by proxy");
    err_hint(&e, "ask %s", "ana");
    assert_string_equal(e.hint, "ask ana");
    for (int c = 1; c < ERR_COUNT; c++) {
        assert_int_equal(strlen(err_sqlstate((enum err_code)c)), 5);
        assert_string_not_equal(err_sqlstate((enum err_code)c), "42704");
    }
    assert_false(err_is_fatal(ERR_DENIED));
    assert_true(err_is_fatal(ERR_LOGIN_FAILED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_drops),         cmocka_unit_test(list_keeps_order),
        cmocka_unit_test(siphash_is_siphash),          cmocka_unit_test(map_agrees_with_an_array),
        cmocka_unit_test(errors_carry_their_sqlstate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
