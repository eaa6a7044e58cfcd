/* grants: roles, their options, and what a refused client is told. The rules themselves are in
 * test_policy_corpus. */
#include "unit/unit.h"

#include "auth/grants.h"

#include <stdio.h>
#include <stdlib.h>

#define VERB_BIT(v) (1U << SQL_VERB_##v)

static struct grants *role_of(struct grants_options options, const char *pattern, uint32_t verbs)
{
    const struct grants_rule rule = { slice_str(pattern), verbs };
    struct err err;
    options.name = slice_str("loader");
    options.rules = &rule;
    options.rule_count = 1;
    struct grants *g = grants_new(&options, &err);
    if (!g) fail_msg("%s", err.message);
    return g;
}

static struct grants *loader(struct grants_options options)
{
    return role_of(options, "public.events", VERB_BIT(INSERT));
}

/* The reason, and the role is given up. */
static enum grants_reason judge(struct grants *g, const struct grants_session *session,
                                const char *text)
{
    struct verdict v;
    grants_decide(g, session, slice_str(text), &v);
    assert_true(v.allow == (v.reason == GRANTS_ALLOWED || v.reason == GRANTS_UNRESTRICTED));
    grants_free(g);
    return v.reason;
}

static void patterns_are_checked(void **state)
{
    (void)state;
    struct err err;
    static const char *const good[] = { "*",       "a.b",       "*.*",    "a.*.b",
                                        "a.b.c.d", "\"a.b\".c", "a.\"*\"" };
    static const char *const bad[] = { "",          ".",   "a.",     ".a",   "a..b",
                                       "a.b.c.d.e", "\"a", "\"a\"b", "a\"b", "\"\"" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!grants_check_pattern(slice_str(good[i]), &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (grants_check_pattern(slice_str(bad[i]), &err)) fail_msg("taken: %s", bad[i]);
    const struct slice capitals = slice_str("public.Events"), bare = slice_str("events");
    assert_non_null(grants_why_never(capitals, VERB_BIT(INSERT), SQL_CASE_UNKNOWN));
    assert_null(grants_why_never(capitals, VERB_BIT(INSERT), SQL_CASE_KEEP));
    assert_non_null(grants_why_never(bare, VERB_BIT(INSERT), SQL_CASE_UNKNOWN));
    assert_null(grants_why_never(bare, VERB_BIT(CREATE_TEMP), SQL_CASE_UNKNOWN));
    assert_null(grants_why_never(slice_str("#events"), VERB_BIT(INSERT), SQL_CASE_UNKNOWN));
    assert_null(grants_why_never(slice_str("*"), VERB_BIT(INSERT), SQL_CASE_UNKNOWN));
}

static void a_wrong_rule_makes_no_role(void **state)
{
    (void)state;
    const struct grants_rule rules[] = { { slice_str("a.b"), VERB_BIT(INSERT) },
                                         { slice_str("a..b"), VERB_BIT(INSERT) } };
    const struct grants_options options = { .rules = rules, .rule_count = 2 };
    struct err err;
    assert_null(grants_new(&options, &err));
    assert_non_null(strstr(err.message, "a..b"));
}

static void quoted_parts_are_taken_as_they_stand(void **state)
{
    (void)state;
    const struct grants_options none = { 0 };
    assert_int_equal(judge(role_of(none, "s.\"a.b\"", VERB_BIT(INSERT)), NULL,
                           "INSERT INTO s.\"a.b\" VALUES (1)"),
                     GRANTS_ALLOWED);
    assert_int_equal(
        judge(role_of(none, "s.\"*\"", VERB_BIT(INSERT)), NULL, "INSERT INTO s.t VALUES (1)"),
        GRANTS_TABLE);
}

static void the_verdict_holds_what_was_judged(void **state)
{
    (void)state;
    struct grants *g = loader((struct grants_options){ .generation = 42 });
    const struct slice text = slice_str("BEGIN; INSERT INTO public.events VALUES (1)");
    struct verdict v;
    assert_true(grants_decide(g, NULL, text, &v));
    assert_ptr_equal(v.text.at, text.at);
    assert_int_equal(v.text.len, text.len);
    assert_int_equal(v.generation, 42);
    assert_int_equal(v.kind, SQL_KIND_INSERT);
    assert_int_equal(v.statement, 2);
    assert_int_equal(grants_generation(g), 42);
    assert_true(slice_is(grants_name(g), "loader"));
    assert_false(grants_is_unrestricted(g));
    grants_free(g);
}

static void all_on_everything_is_not_read(void **state)
{
    (void)state;
    const struct grants_options none = { 0 };
    struct grants *g = role_of(none, "*", SQL_VERBS_ALL);
    assert_true(grants_is_unrestricted(g));
    assert_int_equal(judge(g, NULL, "'no SQL at all"), GRANTS_UNRESTRICTED);
    assert_int_equal(judge(role_of(none, "*.*", SQL_VERBS_ALL), NULL, "CREATE USER x"),
                     GRANTS_STATEMENT);
    assert_int_equal(judge(role_of(none, "*", (1U << SQL_VERB_COUNT) - 1), NULL, "CREATE USER x"),
                     GRANTS_STATEMENT);
}

static void too_long_a_statement(void **state)
{
    (void)state;
    struct grants *g = loader((struct grants_options){ 0 });
    const size_t cap = GRANTS_STATEMENT_BYTES;
    char *text = malloc(cap + 1);
    memset(text, ' ', cap + 1);
    memcpy(text, "SELECT 1", 8);
    struct verdict v;
    struct err err;
    assert_true(grants_decide(g, NULL, slice_of(text, cap), &v));
    assert_false(grants_decide(g, NULL, slice_of(text, cap + 1), &v));
    grants_explain(g, &v, &err);
    assert_string_equal(err_sqlstate(err.code), "54000");
    assert_string_equal(err.message, "statement longer than 16777216 bytes");
    free(text);
    grants_free(g);
}

/* ---- options ------------------------------------------------------------------------------- */

#define COPY_OF(source, rest) "COPY public.events FROM '" source "' " rest

static void copy_can_be_narrowed(void **state)
{
    (void)state;
    const struct slice from[] = { slice_str("s3://bucket/in/*") };
    const struct slice roles[] = { slice_str("arn:aws:iam::1:role/copy*"), slice_str("default") };
    const struct grants_options narrow = { .copy_from = { from, 1 },
                                           .copy_roles = { roles, 2 },
                                           .no_access_keys = true };
    static const struct {
        const char *text;
        enum grants_reason reason;
    } cases[] = {
        { COPY_OF("s3://bucket/in/x", "IAM_ROLE default"), GRANTS_ALLOWED },
        { COPY_OF("s3://bucket/in/", "IAM_ROLE DEFAULT"), GRANTS_ALLOWED },
        { COPY_OF("s3://bucket/out/x", "IAM_ROLE default"), GRANTS_COPY_SOURCE },
        { COPY_OF("s3://bucket/inx", "IAM_ROLE default"), GRANTS_COPY_SOURCE },
        { COPY_OF("emr://bucket/in/x", "IAM_ROLE default"), GRANTS_COPY_SOURCE },
        { COPY_OF("s3://bucket/in/\\x", "IAM_ROLE default"), GRANTS_COPY_SOURCE },
        { COPY_OF("s3://bucket/in/x", "IAM_ROLE 'arn:aws:iam::1:role/copy-1'"), GRANTS_ALLOWED },
        { COPY_OF("s3://bucket/in/x", "IAM_ROLE 'arn:aws:iam::2:role/copy'"), GRANTS_COPY_ROLE },
        { COPY_OF("s3://bucket/in/x", "IAM_ROLE 'arn:aws:iam::1:role/copy,arn:aws:iam::2:role/x'"),
          GRANTS_COPY_ROLE },
        { COPY_OF("s3://bucket/in/x",
                  "IAM_ROLE 'arn:aws:iam::1:role/copy, arn:aws:iam::1:role/copy2'"),
          GRANTS_ALLOWED },
        { COPY_OF("s3://bucket/in/x", "CREDENTIALS 'aws_iam_role=arn:aws:iam::1:role/copy'"),
          GRANTS_ALLOWED },
        { COPY_OF("s3://bucket/in/x", "CREDENTIALS 'aws_iam_role=arn:aws:iam::2:role/copy'"),
          GRANTS_COPY_ROLE },
        { COPY_OF("s3://bucket/in/x", "CREDENTIALS 'aws_access_key_id=a;aws_secret_access_key=b'"),
          GRANTS_COPY_KEYS },
        { COPY_OF("s3://bucket/in/x", "CREDENTIALS 'what=a'"), GRANTS_COPY_KEYS },
        { COPY_OF("s3://bucket/in/x", "ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'"),
          GRANTS_COPY_KEYS },
        { "COPY public.events FROM 's3://bucket'\n'/in/x' IAM_ROLE default", GRANTS_ALLOWED },
        { "COPY public.events FROM 's3://bucket/'\n'out/x' IAM_ROLE default", GRANTS_COPY_SOURCE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const enum grants_reason reason = judge(loader(narrow), NULL, cases[i].text);
        if (reason != cases[i].reason)
            fail_msg("%s: %s", cases[i].text, grants_reason_code(reason));
    }
    assert_int_equal(judge(loader((struct grants_options){ 0 }), NULL,
                           COPY_OF("s3://x", "ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'")),
                     GRANTS_ALLOWED);
}

static void functions_can_be_added(void **state)
{
    (void)state;
    const struct slice names[] = { slice_str("f_geo"), slice_str("lib.f_hash") };
    const struct grants_options more = { .functions = { names, 2 } };
    assert_int_equal(judge(loader(more), NULL, "SELECT f_geo(1), lib.f_hash(2)"), GRANTS_ALLOWED);
    assert_int_equal(judge(loader(more), NULL, "SELECT f_hash(2)"), GRANTS_FUNCTION);
    assert_int_equal(judge(loader(more), NULL, "SELECT lib.f_geo(2)"), GRANTS_FUNCTION);
    assert_int_equal(judge(loader(more), NULL, "SELECT pg_sleep(2)"), GRANTS_FUNCTION);
}

static void the_catalogue_can_be_opened(void **state)
{
    (void)state;
    const char *const probe =
        "SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner) "
        "FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace";
    const struct grants_options open = { .catalog = true };
    assert_int_equal(judge(loader(open), NULL, probe), GRANTS_ALLOWED);
    assert_int_equal(judge(loader((struct grants_options){ 0 }), NULL, probe), GRANTS_FUNCTION);
    assert_int_equal(judge(loader(open), NULL, "SELECT * FROM information_schema.tables"),
                     GRANTS_ALLOWED);
    assert_int_equal(judge(loader(open), NULL, "SELECT * FROM pg_shadow"), GRANTS_READ);
    assert_int_equal(judge(loader(open), NULL, "SELECT * FROM stl_querytext"), GRANTS_READ);
    assert_int_equal(judge(loader(open), NULL, "INSERT INTO pg_catalog.pg_class VALUES (1)"),
                     GRANTS_TABLE);
    static const char *const more[] = {
        "SELECT 'pg_class'::regclass",
        "SELECT oid::pg_catalog.REGTYPE[] FROM pg_type",
        "SELECT current_catalog",
        "SELECT 1 FROM pg_class WHERE relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE "
        "pg_catalog.default",
        "SELECT ARRAY(SELECT oid FROM pg_class), conkey[conname] FROM pg_constraint",
        "SELECT n FROM pg_catalog.generate_series(1, 3) AS g(n)",
    };
    const struct grants_options closed = { 0 };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        assert_int_equal(judge(loader(open), NULL, more[i]), GRANTS_ALLOWED);
        assert_int_not_equal(judge(loader(closed), NULL, more[i]), GRANTS_ALLOWED);
    }
    static const char *const still_closed[] = {
        "SELECT 'a'::regconfig",
        "SELECT 1 OPERATOR(public.+) 1",
        "SELECT 1 OPERATOR(+) 1",
        "SELECT ARRAY(SELECT passwd FROM pg_shadow)",
        "SELECT * FROM generate_series(1, 3)",
        "SELECT * FROM public.generate_series(1, 3)",
        "SELECT * FROM pg_catalog.generate_series(1, pg_sleep(3))",
        "SELECT * FROM pg_catalog.pg_read_file('x')",
        "SELECT * FROM pg_catalog.lower('x')",
        "SELECT * FROM pg_catalog.pg_get_keywords((SELECT 1 FROM hr.pay))",
    };
    for (size_t i = 0; i < sizeof still_closed / sizeof *still_closed; i++)
        assert_int_not_equal(judge(loader(open), NULL, still_closed[i]), GRANTS_ALLOWED);
    /* A grant that names all of pg_catalog opens its relations, and no function. */
    const struct grants_options none = { 0 };
    assert_int_not_equal(judge(role_of(none, "pg_catalog.*", VERB_BIT(SELECT)), NULL,
                               "SELECT * FROM pg_catalog.pg_read_file('x')"),
                         GRANTS_ALLOWED);
}

static void letters_follow_the_setting(void **state)
{
    (void)state;
    const char *const text = "INSERT INTO \"PUBLIC\".\"Events\" VALUES (1)";
    const struct grants_options fold = { .letters = SQL_CASE_FOLD };
    const struct grants_options keep = { .letters = SQL_CASE_KEEP };
    assert_int_equal(judge(loader((struct grants_options){ 0 }), NULL, text), GRANTS_CAPITALS);
    assert_int_equal(judge(loader(fold), NULL, text), GRANTS_ALLOWED);
    assert_int_equal(judge(loader(keep), NULL, text), GRANTS_TABLE);
    assert_int_equal(judge(role_of(keep, "PUBLIC.Events", VERB_BIT(INSERT)), NULL, text),
                     GRANTS_ALLOWED);
}

static void paths_are_read_like_names(void **state)
{
    (void)state;
    const char *const text = "INSERT INTO events VALUES (1)";
    static const struct {
        const char *path;
        enum grants_reason reason;
    } cases[] = { { "public", GRANTS_ALLOWED },        { " PUBLIC ", GRANTS_ALLOWED },
                  { "\"public\"", GRANTS_ALLOWED },    { "\"Public\"", GRANTS_TABLE },
                  { "public,hr", GRANTS_TABLE },       { "", GRANTS_QUALIFY },
                  { "public, public", GRANTS_ALLOWED } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct grants_options options = { .search_path = slice_str(cases[i].path) };
        assert_int_equal(judge(loader(options), NULL, text), cases[i].reason);
    }
}

/* ---- the session --------------------------------------------------------------------------- */

static bool knows_s1(void *context, struct slice name)
{
    (*(unsigned *)context)++;
    return slice_is(name, "s1") || slice_is(name, "S 2");
}

static void the_session_knows_its_plans(void **state)
{
    (void)state;
    unsigned asked = 0;
    const struct grants_session session = { &asked, knows_s1, knows_s1 };
    const struct grants_options none = { 0 };
    static const struct {
        const char *text;
        enum grants_reason reason;
    } cases[] = {
        { "EXECUTE s1", GRANTS_ALLOWED },
        { "EXECUTE S1(1)", GRANTS_ALLOWED },
        { "EXECUTE \"S 2\"", GRANTS_ALLOWED },
        { "EXECUTE \"S1\"", GRANTS_PREPARED },
        { "EXECUTE s2", GRANTS_PREPARED },
        { "DEALLOCATE s1; EXECUTE s1", GRANTS_PREPARED },
        { "DEALLOCATE ALL; EXECUTE s1", GRANTS_PREPARED },
        { "DEALLOCATE s2; EXECUTE s1", GRANTS_ALLOWED },
        { "FETCH ALL FROM s1", GRANTS_ALLOWED },
        { "CLOSE s1; FETCH ALL FROM s1", GRANTS_CURSOR },
        { "DEALLOCATE ALL; FETCH ALL FROM s1", GRANTS_ALLOWED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const enum grants_reason reason = judge(loader(none), &session, cases[i].text);
        if (reason != cases[i].reason)
            fail_msg("%s: %s", cases[i].text, grants_reason_code(reason));
    }
    assert_true(asked > 0);
}

/* More names than are remembered: what was given up stays given up. */
static void many_plans_in_a_message(void **state)
{
    (void)state;
    char text[8192];
    size_t len = 0;
    unsigned asked = 0;
    const struct grants_session session = { &asked, knows_s1, NULL };
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "PREPARE p%d AS SELECT 1;", i);
    snprintf(text + len, sizeof text - len, "DEALLOCATE s1; EXECUTE s1");
    assert_int_equal(judge(loader((struct grants_options){ 0 }), &session, text), GRANTS_PREPARED);
    snprintf(text + len, sizeof text - len, "EXECUTE p1");
    assert_int_equal(judge(loader((struct grants_options){ 0 }), &session, text), GRANTS_ALLOWED);
}

/* ---- words --------------------------------------------------------------------------------- */

static void refusals_can_be_acted_on(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *hint;
        uint32_t position;
    } cases[] = {
        { "INSERT INTO public.users VALUES ('secret')",
          "INSERT on public.users is not granted to role \"loader\"",
          "if it is meant, grant the verb INSERT in role \"loader\"", 13 },
        { "INSERT INTO public.events SELECT * FROM hr.salaries",
          "INSERT statement reads hr.salaries; SELECT is not granted to role \"loader\"",
          "if it is meant, grant the verb SELECT in role \"loader\"", 41 },
        { "SELECT relname FROM pg_catalog.pg_class",
          "SELECT on pg_catalog.pg_class is not granted to role \"loader\"",
          "desktop tools need \"catalog\": true in role \"loader\"", 21 },
        { "DELETE FROM public.events", "DELETE is not allowed for role \"loader\"",
          "if it is meant, grant the verb DELETE in role \"loader\"", 13 },
        { "SELECT 'caf\xc3\xa9'; SELECT 2; DROP TABLE a.b",
          "statement 3 of 3: DROP is not allowed for role \"loader\"; nothing was sent",
          "if it is meant, grant the verb DDL in role \"loader\"", 37 },
        { "INSERT INTO public.events VALUES ('secret\\')",
          "ambiguous literal: backslash before a quote at byte 42",
          "write '' for a quote and \\\\ for a backslash", 42 },
        { "INSERT INTO events VALUES (1)", "table \"events\" is not schema-qualified",
          "write schema.events, or give role \"loader\" a search_path", 13 },
        { "INSERT INTO db.public.events VALUES (1)",
          "INSERT on db.public.events is not granted to role \"loader\"",
          "a name of 3 parts needs a grant of 3 parts", 13 },
        { "INSERT INTO public.\"Events\" VALUES (1)",
          "quoted name with capitals depends on a server setting at byte 13", "use lower case",
          13 },
        { "INSERT INTO public.events VALUES (1) RETURNING id",
          "RETURNING is not supported by Redshift", "turn off generated keys in the driver", 38 },
        { "SELECT f_x('secret')", "function f_x is not on the allowed list",
          "if it may be called, name it in \"functions\" of role \"loader\"", 8 },
        { "SET search_path TO secret", "SET search_path is not allowed", "", 5 },
        { "EXECUTE s1", "prepared statement \"s1\" was not prepared in this session", "", 9 },
        { "SELECT 1 'secret'", "statement not recognised at byte 10",
          "what is not recognised as Redshift's SQL is refused", 10 },
        { "GRANT SELECT ON a TO b", "GRANT is not allowed for role \"loader\"",
          "no restricted role may send such a statement", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grants *g = loader((struct grants_options){ 0 });
        struct verdict v;
        struct err err;
        char expected[300];
        assert_false(grants_decide(g, NULL, slice_str(cases[i].text), &v));
        grants_explain(g, &v, &err);
        snprintf(expected, sizeof expected, "permission denied by proxy: %s", cases[i].message);
        if (strcmp(err.message, expected) != 0) fail_msg("%s", err.message);
        assert_string_equal(err.hint, cases[i].hint);
        assert_int_equal(err.position, cases[i].position);
        assert_string_equal(err_sqlstate(err.code), "42501");
        assert_null(strstr(err.message, "secret"));
        grants_free(g);
    }
}

static void reasons_have_codes(void **state)
{
    (void)state;
    for (int i = 0; i < GRANTS_REASON_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(grants_reason_code((enum grants_reason)i),
                                    grants_reason_code((enum grants_reason)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(a_wrong_rule_makes_no_role),
        cmocka_unit_test(quoted_parts_are_taken_as_they_stand),
        cmocka_unit_test(the_verdict_holds_what_was_judged),
        cmocka_unit_test(all_on_everything_is_not_read),
        cmocka_unit_test(too_long_a_statement),
        cmocka_unit_test(copy_can_be_narrowed),
        cmocka_unit_test(functions_can_be_added),
        cmocka_unit_test(the_catalogue_can_be_opened),
        cmocka_unit_test(letters_follow_the_setting),
        cmocka_unit_test(paths_are_read_like_names),
        cmocka_unit_test(the_session_knows_its_plans),
        cmocka_unit_test(many_plans_in_a_message),
        cmocka_unit_test(refusals_can_be_acted_on),
        cmocka_unit_test(reasons_have_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
