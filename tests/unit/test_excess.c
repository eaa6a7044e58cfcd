/* excess: what is asked of the server, for whatever names a role may hold. The answers are tested
 * before a PostgreSQL, in integration/test_audit.c. */
#include "unit/unit.h"

#include "proxy/excess.h"

/* The part of the question that names the tables; to be freed. */
static void tables_of(char *pattern, struct buf *out)
{
    char *items[] = { pattern };
    struct config_role role = { .insert_only = { .items = items, .count = 1 } };
    excess_query(&role, "dev", out);
    buf_add_u8(out, 0);
    assert_false(out->failed);
    char *from = strstr(out->at, "(1 = 0");
    assert_non_null(from);
    buf_drop(out, (size_t)(from - out->at));
}

static void only_exact_names_are_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *wanted;
    } cases[] = {
        { "public.events", "(1 = 0 OR (n.nspname = 'public' AND c.relname = 'events'))" },
        { "Public.EVENTS", "(1 = 0 OR (n.nspname = 'public' AND c.relname = 'events'))" },
        { "dev.public.t", "(1 = 0 OR (n.nspname = 'public' AND c.relname = 't'))" },
        { "\"a.b\".\"c\"\"d'e\"", "(1 = 0 OR (n.nspname = 'a.b' AND c.relname = 'c\"d''e'))" },
        { "\"a\".\"*\"", "(1 = 0 OR (n.nspname = 'a' AND c.relname = '*'))" },
        { "public.*", "(1 = 0)" },
        { "*", "(1 = 0)" },
        { "events", "(1 = 0)" },
        { "prod.public.t", "(1 = 0)" },
        { "a.b.c.d", "(1 = 0)" },
        { "\"a\\\".b", "(1 = 0)" },
        { "a.", "(1 = 0)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf question = { 0 };
        char pattern[64];
        snprintf(pattern, sizeof pattern, "%s", cases[i].pattern);
        tables_of(pattern, &question);
        assert_string_equal(question.at, cases[i].wanted);
        buf_fini(&question);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_exact_names_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
