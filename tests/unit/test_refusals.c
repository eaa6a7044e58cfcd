/* refusals: the newest first, the oldest overwritten, text cut where a character ends. */
#include "proxy/refusals.h"
#include "unit/unit.h"

#include <stdio.h>

static void the_newest_first(void **state)
{
    struct refusals r = { 0 };
    char id[24];
    (void)state;
    assert_null(refusals_at(&r, 0));
    assert_null(refusals_find(&r, "d-1-1"));
    for (unsigned i = 0; i < REFUSALS_KEPT + 50; i++) {
        struct refusal *one = refusals_next(&r);
        snprintf(id, sizeof id, "d-%x-1", i);
        refusal_text(one->id, sizeof one->id, slice_str(id));
    }
    assert_string_equal(refusals_at(&r, 0)->id, id);
    assert_non_null(refusals_find(&r, "d-32-1")); /* 50: the oldest that is left */
    assert_null(refusals_find(&r, "d-31-1"));
    assert_non_null(refusals_at(&r, REFUSALS_KEPT - 1));
    assert_null(refusals_at(&r, REFUSALS_KEPT));
    assert_int_equal(refusals_next(&r)->id[0], '\0'); /* nothing of the one before is left */
    refusals_fini(&r);
}

static void text_is_cut_where_a_character_ends(void **state)
{
    char text[8];
    (void)state;
    refusal_text(text, sizeof text, slice_str("short"));
    assert_string_equal(text, "short");
    refusal_text(text, sizeof text, slice_str("1234567"));
    assert_string_equal(text, "1234567");
    refusal_text(text, sizeof text, slice_str("123456\xc3\xa9"));
    assert_string_equal(text, "123456");
    refusal_text(text, sizeof text, slice_str("1234\xf0\x9f\x8c\x8a"));
    assert_string_equal(text, "1234");
    refusal_text(text, sizeof text, (struct slice){ 0 });
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_first),
        cmocka_unit_test(text_is_cut_where_a_character_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
