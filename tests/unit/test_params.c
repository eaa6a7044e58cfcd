/* params: what a server said of itself, kept as it came, shown as clients can bear it. */
#include "unit/unit.h"

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/params.h"

#include <stdio.h>
#include <stdlib.h>

static bool set(struct params *p, const char *name, const char *value)
{
    return params_set(p, slice_str(name), slice_str(value));
}

/* "name=value " for each pair. */
static void check(const struct params *p, const char *expected)
{
    struct buf got = { 0 };
    struct slice name, value;
    for (uint32_t at = 0; params_next(p, &at, &name, &value);)
        buf_addf(&got, "%.*s=%.*s ", SLICE_ARG(name), SLICE_ARG(value));
    if (!slice_is(buf_slice(&got), expected))
        fail_msg("%.*s, not %s", SLICE_ARG(buf_slice(&got)), expected);
    buf_fini(&got);
}

static void kept_in_order_and_replaced_in_place(void **state)
{
    (void)state;
    struct params p = { 0 };
    check(&p, "");
    assert_null(params_get(&p, "a").at);
    assert_true(set(&p, "a", "1") && set(&p, "b", "") && set(&p, "c", "3"));
    check(&p, "a=1 b= c=3 ");
    assert_true(set(&p, "b", "a longer one") && set(&p, "a", ""));
    check(&p, "a= b=a longer one c=3 ");
    assert_true(slice_is(params_get(&p, "b"), "a longer one"));
    assert_true(params_get(&p, "a").at && params_get(&p, "a").len == 0);
    /* Case is the server's business. */
    assert_null(params_get(&p, "B").at);
    assert_true(set(&p, "B", "2"));
    check(&p, "a= b=a longer one c=3 B=2 ");
    params_fini(&p);
    check(&p, "");
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    struct params p = { 0 }, copy = { 0 };
    assert_true(set(&p, "a", "1") && set(&copy, "old", "x"));
    assert_true(params_copy(&copy, &p));
    assert_true(set(&p, "a", "2"));
    check(&copy, "a=1 ");
    params_fini(&p);
    assert_true(params_copy(&copy, &p));
    check(&copy, "");
    params_fini(&copy);
}

/* Without memory nothing changes. */
static void a_failed_set_changes_nothing(void **state)
{
    (void)state;
    struct params p = { 0 };
    assert_true(set(&p, "a", "1"));
    static const char byte = 'x';
    assert_false(params_set(&p, slice_str("b"), slice_of(&byte, (size_t)BUF_CAP_BYTES + 1)));
    check(&p, "a=1 ");
    params_fini(&p);
}

static void clients_see_names_that_they_know(void **state)
{
    (void)state;
    assert_true(slice_is(params_shown(slice_str("client_encoding"), slice_str("UNICODE")), "UTF8"));
    assert_true(slice_is(params_shown(slice_str("Client_Encoding"), slice_str("unicode")), "UTF8"));
    assert_true(
        slice_is(params_shown(slice_str("client_encoding"), slice_str("LATIN1")), "LATIN1"));
    assert_true(slice_is(params_shown(slice_str("x"), slice_str("UNICODE")), "UNICODE"));
}

/* ProxySQL #1738: what a client is told must be true of its server, so nothing is invented: who
 * does not see standard_conforming_strings escapes safely. */
static void replayed_as_it_came(void **state)
{
    (void)state;
    struct params p = { 0 };
    struct buf out = { 0 };
    assert_true(set(&p, "datestyle", "ISO, MDY") && set(&p, "client_encoding", "UNICODE") &&
                set(&p, "padb_revision", "1234"));
    params_replay(&p, &out);
    struct frame f;
    struct piece piece;
    struct slice in = buf_slice(&out), name, value;
    frame_init(&f, backend_specs);
    static const char *const expected[] = { "datestyle", "ISO, MDY",      "client_encoding",
                                            "UTF8",      "padb_revision", "1234" };
    for (size_t i = 0; i < 6; i += 2) {
        assert_int_equal(frame_next(&f, &in, &piece), FRAME_PIECE);
        assert_int_equal(piece.type, BACKEND_PARAMETER_STATUS);
        assert_true(backend_read_parameter(piece_body(&piece), &name, &value));
        assert_true(slice_is(name, expected[i]) && slice_is(value, expected[i + 1]));
    }
    assert_int_equal(in.len, 0);
    buf_fini(&out);
    params_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_in_order_and_replaced_in_place),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(a_failed_set_changes_nothing),
        cmocka_unit_test(clients_see_names_that_they_know),
        cmocka_unit_test(replayed_as_it_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
