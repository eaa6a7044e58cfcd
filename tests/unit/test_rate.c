/* rate: turns by name; and names of database users made of an identity. */
#include "unit/unit.h"

#include "auth/iam_arn.h"
#include "auth/rate.h"

#include <stdio.h>

static void a_name_has_two_seconds_worth_and_no_more(void **state)
{
    (void)state;
    struct rate r;
    rate_init(&r, (struct map_seed){ 1, 2 });
    for (int i = 0; i < 10; i++) assert_true(rate_take(&r, slice_str("a"), 5, 1000));
    assert_false(rate_take(&r, slice_str("a"), 5, 1000));
    assert_true(rate_take(&r, slice_str("b"), 5, 1000)); /* somebody else */
    assert_false(rate_take(&r, slice_str("a"), 5, 1199));
    assert_true(rate_take(&r, slice_str("a"), 5, 1200));
    assert_false(rate_take(&r, slice_str("a"), 5, 1200));
    assert_false(rate_take(&r, slice_str("a"), 5, 900)); /* a clock that went back gives nothing */
    assert_true(rate_take(&r, slice_str("a"), 0, 1200)); /* no limit */
    rate_fini(&r);
}

static void names_are_forgotten_and_bounded(void **state)
{
    (void)state;
    struct rate r;
    char name[16];
    rate_init(&r, (struct map_seed){ 1, 2 });
    for (int i = 0; i < RATE_NAMES_MAX + 10; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(rate_take(&r, slice_str(name), 1, 5000), i < RATE_NAMES_MAX);
    }
    for (int i = 0; i < RATE_NAMES_MAX / 256 + 2; i++)
        rate_take(&r, slice_str("late"), 1, 9000 + i);
    assert_true(r.names.count < 256);
    rate_fini(&r);
}

static const char *expanded(const char *text, const char *arn, const char *function)
{
    static char out[200];
    struct iam_identity who;
    assert_true(iam_identity_parse(slice_str(arn), &who));
    snprintf(who.function, sizeof who.function, "%s", function);
    return iam_template_expand(slice_str(text), &who, out, sizeof out) ? out : "none";
}

#define ROLE     "arn:aws:sts::123456789012:assumed-role/etl/chosen-by-the-caller"
#define FUNCTION "arn:aws:lambda:us-east-1:123456789012:function:load:7"

static void database_users_are_made_of_what_was_proven(void **state)
{
    (void)state;
    struct err err;
    assert_string_equal(expanded("iam_{role}", ROLE, ""), "iam_etl");
    assert_string_equal(expanded("f_{function}_{account}", ROLE, FUNCTION), "f_load_123456789012");
    assert_string_equal(expanded("{user}", "arn:aws:iam::123456789012:user/team/ana", ""), "ana");
    assert_string_equal(expanded("plain", ROLE, ""), "plain");
    assert_string_equal(expanded("{function}", ROLE, ""), "none");
    assert_string_equal(expanded("{user}", ROLE, ""), "none");
    assert_string_equal(expanded("{account}", ROLE, ""), "none"); /* begins with a digit */
    assert_string_equal(expanded("x{role", ROLE, ""), "none");
    assert_string_equal(expanded("a{role}", "arn:aws:sts::123456789012:assumed-role/e=t/s", ""),
                        "none");
    assert_string_equal(expanded("a{role}{role}{role}{role}{role}{role}{role}",
                                 "arn:aws:sts::123456789012:assumed-role/tenletters/s", ""),
                        "none"); /* 65 bytes and more */
    assert_true(iam_template_check(slice_str("x_{role}{account}"), &err));
    assert_false(iam_template_check(slice_str("x_{roll}"), &err));
    assert_false(iam_template_check(slice_str("x_{role"), &err));
    assert_false(iam_template_check(slice_str("{session}"), &err));
    assert_non_null(strstr(err.message, "chosen by whoever assumes the role"));
}

static void functions_match_by_their_whole_name(void **state)
{
    (void)state;
    struct iam_identity who = { 0 };
    assert_false(iam_function_matches(slice_str("*"), &who)); /* nobody vouches for one */
    snprintf(who.function, sizeof who.function, "%s", FUNCTION);
    assert_true(iam_function_matches(slice_str(FUNCTION), &who));
    assert_true(
        iam_function_matches(slice_str("arn:aws:lambda:*:123456789012:function:load:*"), &who));
    assert_false(
        iam_function_matches(slice_str("arn:aws:lambda:*:999999999999:function:load:*"), &who));
    assert_false(iam_function_matches(slice_str("function:load"), &who));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_two_seconds_worth_and_no_more),
        cmocka_unit_test(names_are_forgotten_and_bounded),
        cmocka_unit_test(database_users_are_made_of_what_was_proven),
        cmocka_unit_test(functions_match_by_their_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
