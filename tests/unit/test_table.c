/* table: a document to a table, or to everything that is wrong with it, each with its line. */
#include "unit/unit.h"

#include "routing/table.h"
#include "unit/routes.h"

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct slice analyst_db_users[] = { NAME("ana"), NAME("reader") };
static const struct slice static_db_users[] = { NAME("dev") };
static const struct table_user users[] = {
    { NAME("events_loader"), NAME("loader"), NAME("loader") },
    { NAME("ana"), NAME("analyst"), NAME("ana") },
    { NAME("dev"), NAME("owner"), NAME("dev") },
};
static const struct table_role roles[] = {
    { NAME("loader"), NULL, 0 },
    { NAME("analyst"), analyst_db_users, 2 },
    { NAME("owner"), NULL, 0 },
};
static const struct table_cluster clusters[] = {
    { NAME("warehouse"), false, NULL, 0 },
    { NAME("serverless-bi"), false, NULL, 0 },
    { NAME("local"), true, static_db_users, 1 },
};

static struct slice no_zone(void *arg, struct slice name)
{
    (void)arg;
    (void)name;
    return (struct slice){ 0 };
}

static const struct table_world world = { .users = users,
                                          .roles = roles,
                                          .clusters = clusters,
                                          .user_count = 3,
                                          .role_count = 3,
                                          .cluster_count = 3,
                                          .newest_version = 100,
                                          .zone = no_zone };

/* The problems of a document, as `check` prints them. */
static const char *problems_of(const char *text, const struct table_world *w)
{
    static char printed[1 << 16];
    struct problems p = { 0 };
    struct buf out = { 0 };
    struct route_table *t = table_load(slice_str(text), w, &p);
    assert_int_equal(t == NULL, p.errors > 0);
    route_table_unref(t);
    problems_print(&p, "r", &out);
    buf_add_u8(&out, '\0');
    assert_true(out.len <= sizeof printed);
    memcpy(printed, out.at, out.len);
    buf_fini(&out);
    problems_fini(&p);
    return printed;
}

/* The example of the design, word for word. */
static const char example[] =
    "{ \"version\": 12,\n"
    "  \"rules\": [\n"
    "    { \"id\": \"loads\",    \"when\": { \"role\": \"loader\" },  // the loaders\n"
    "      \"to\": \"warehouse\", \"pool\": { \"mode\": \"transaction\" } },\n"
    "    { \"id\": \"bi-heavy\", \"when\": { \"application\": \"Tableau*\", \"statement\": "
    "[\"SELECT\"],\n"
    "      \"tables\": [\"mart.*\"] }, \"to\": \"serverless-bi\" },\n"
    "    { \"id\": \"office\",   \"when\": { \"client\": [\"10.0.0.0/8\"], \"database\": \"dev\" "
    "},\n"
    "      \"to\": \"warehouse\" },\n"
    "    { \"id\": \"default\", \"to\": [\"warehouse\", \"serverless-bi\"] } ],\n"
    "  \"tests\": [ { \"name\": \"loaders stay\", \"user\": \"events_loader\", \"database\": "
    "\"dev\",\n"
    "    \"expect\": { \"rule\": \"loads\", \"to\": \"warehouse\" } } ] }\n";

static void the_example_loads(void **state)
{
    (void)state;
    struct problems p = { 0 };
    struct route_table *t = table_load(slice_str(example), &world, &p);
    assert_int_equal(p.count, 0);
    assert_non_null(t);
    assert_int_equal(route_table_count(t), 4);
    assert_int_equal(route_table_version(t), 12);
    assert_int_equal(route_rule_line(t, 1), 5);
    assert_true(route_rule_is_login(t, 0));
    assert_false(route_rule_is_login(t, 1));

    struct route_facts f = { .application = slice_str("Tableau 2024"),
                             .database = slice_str("dev") };
    struct slice table = slice_str("mart.sales");
    struct route_statement s = { .verb = slice_str("SELECT"), .tables = &table, .table_count = 1 };
    struct route_decision d;
    assert_true(table_user_facts(&world, slice_str("ana"), &f));
    assert_true(route_decide(t, &f, &s, &d));
    assert_true(slice_is(d.id, "bi-heavy"));
    assert_true(slice_is(d.db_user, "ana"));
    assert_true(table_user_facts(&world, slice_str("events_loader"), &f));
    assert_true(route_decide(t, &f, &s, &d));
    assert_true(slice_is(d.id, "loads"));
    assert_true(slice_is(d.pool, "{\"mode\":\"transaction\"}"));
    route_table_unref(t);
}

static void everything_wrong_is_said_at_once(void **state)
{
    (void)state;
    const char *text = "{ \"version\": 0, \"rulez\": 1,\n"
                       "  \"rules\": [\n"
                       "    { \"id\": \"a\", \"when\": { \"rolle\": \"x\",\n"
                       "        \"client\": [\"10.0.0.1/8\", 5],\n"
                       "        \"tls\": \"yes\", \"percent\": 101,\n"
                       "        \"hour\": \"8\", \"query\": \"(a+)+$\" },\n"
                       "      \"to\": \"wharehouse\" },\n"
                       "    { \"id\": \"a\", \"to\": [\"warehouse\", \"local\", \"warehouse\"] },\n"
                       "    { \"to\": 1 },\n"
                       "    7,\n"
                       "    { \"id\": \"c\", \"when\": { \"user\": [] }, \"pool\": 3,\n"
                       "      \"deny\": \"\" },\n"
                       "    { \"id\": \"d\" } ] }\n";
    assert_string_equal(
        problems_of(text, &world),
        "r:1: error: routes: unknown key \"rulez\"; did you mean \"rules\"?\n"
        "r:1: error: version: must be a whole number from 1 up\n"
        "r:3: error: rule \"a\": unknown key \"rolle\"; did you mean \"role\"?\n"
        "r:4: error: rule \"a\": client \"10.0.0.1/8\": has bits beyond its prefix; the network is "
        "10.0.0.0/8\n"
        "r:4: error: rule \"a\": client: must be a string, not a number\n"
        "r:5: error: rule \"a\": tls \"yes\": must be true or false\n"
        "r:5: error: rule \"a\": percent: must be a number from 0 to 100\n"
        "r:6: error: rule \"a\": hour \"8\": hours are written \"08-18\" or \"08:30-17:45\"\n"
        "r:6: error: rule \"a\": query \"(a+)+$\": over budget: needs more than 2000000 steps for "
        "a "
        "few hundred characters (nested repeats?)\n"
        "r:7: error: there is no cluster \"wharehouse\"; did you mean \"warehouse\"?\n"
        "r:8: error: rule \"a\": the id stands already on line 3\n"
        "r:8: error: rule \"a\": to \"warehouse\": stands twice: the fallbacks would go in a "
        "circle\n"
        "r:9: error: rule: id: is missing\n"
        "r:10: error: a rule must be an object, not a number\n"
        "r:11: error: rule \"c\": user: an empty list can never match\n"
        "r:11: error: rule \"c\": pool: must be an object\n"
        "r:12: error: rule \"c\": deny \"\": must not be empty\n"
        "r:13: error: rule \"d\": leads nowhere: give it \"to\" or \"deny\"\n");
}

static void expect(const char *document, const char *problem)
{
    const char *found = problems_of(document, &world);
    if (!strstr(found, problem)) fail_msg("%s\nfound only: %s", problem, found);
}

static void from_the_future(void **state)
{
    (void)state;
    expect("{\"version\":101,\"rules\":[{\"id\":\"d\",\"to\":\"warehouse\"}]}",
           "r:1: error: version: 101 is from the future: the newest is 100");
    expect("{\"format\":2,\"rules\":[{\"id\":\"d\",\"to\":\"warehouse\"}]}",
           "r:1: error: format: 2 is from the future: this Sluice reads 1");
}

static void who_may_be_whom(void **state)
{
    (void)state;
    expect("{\"rules\":[{\"id\":\"d\",\"to\":\"warehouse\",\n\"db_user\":\"ana\"}]}",
           "r:2: error: rule \"d\": db_user \"ana\" is not allowed for user \"events_loader\"");
    expect("{\"rules\":[{\"id\":\"d\",\"when\":{\"role\":\"analyst\"},\"to\":\"warehouse\",\n"
           "\"db_user\":\"admin\"}]}",
           "db_user \"admin\" is not allowed for user \"ana\"");
    assert_string_equal(problems_of("{\"rules\":[{\"id\":\"d\",\"when\":{\"role\":\"analyst\"},"
                                    "\"to\":\"warehouse\",\"db_user\":\"reader\"}]}",
                                    &world),
                        "");
    expect("{\"rules\":[{\"id\":\"d\",\"to\":\"local\"}]}",
           "cluster \"local\" has no password for db_user \"loader\"");
    assert_string_equal(
        problems_of("{\"rules\":[{\"id\":\"d\",\"when\":{\"user\":\"dev\"},\"to\":\"local\"}]}",
                    &world),
        "");
}

static void who_is_sent_elsewhere_before_is_not_asked(void **state)
{
    (void)state;
    /* Only "dev" is left for "local" when the others have been sent to the warehouse. */
    assert_string_equal(problems_of("{\"rules\":[{\"id\":\"a\",\"when\":{\"role\":[\"loader\","
                                    "\"analyst\"]},\"to\":\"warehouse\"},"
                                    "{\"id\":\"d\",\"to\":\"local\"}]}",
                                    &world),
                        "");
    /* At some hours they are not. */
    expect("{\"rules\":[{\"id\":\"a\",\"when\":{\"role\":[\"loader\",\"analyst\"],\"hour\":\"8-9\"}"
           ",\"to\":\"warehouse\"},"
           "{\"id\":\"d\",\"to\":\"local\"}]}",
           "cluster \"local\" has no password for db_user \"loader\"");
}

static bool only_unlisten(struct slice name) { return slice_is(name, "unlisten"); }

static void an_answer_that_nobody_gives_is_an_error(void **state)
{
    (void)state;
    struct table_world knows = world;
    struct problems problems = { 0 };
    static const char text[] = "{\"rules\":[\n{\"id\":\"a\",\"to\":\"warehouse\",\n"
                               "\"local_answers\":[\"unlisten\",\n\"unlissten\"]}]}";
    knows.answer = only_unlisten;
    assert_null(table_load(slice_str(text), &knows, &problems));
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.items[0].line, 4);
    assert_non_null(strstr(problems.items[0].text, "there is no answer of that name"));
    problems_fini(&problems);
}

static void at_a_statement_little_can_change(void **state)
{
    (void)state;
    const char *const actions[] = { "\"db_user\":\"ana\"", "\"database\":\"x\"", "\"deny\":\"no\"",
                                    "\"pool\":{\"size\":1}", "\"local_answers\":\"x\"" };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        char text[256];
        snprintf(
            text, sizeof text,
            "{\"rules\":[{\"id\":\"s\",\"when\":{\"statement\":\"COPY\",\"user\":\"ana\"},%s%s},\n"
            "{\"id\":\"d\",\"to\":\"warehouse\"}]}",
            actions[i], i == 2 ? "" : ",\"to\":\"warehouse\"");
        expect(text, "is decided at login: a rule with statement, tables or query may only change");
    }
}

static void what_can_never_match_is_a_warning(void **state)
{
    (void)state;
    assert_string_equal(
        problems_of("{\"rules\":[\n"
                    "{\"id\":\"a\",\"when\":{\"user\":\"anna\"},\"to\":\"warehouse\"},\n"
                    "{\"id\":\"b\",\"when\":{\"role\":\"x*\"},\"to\":\"warehouse\"},\n"
                    "{\"id\":\"c\",\"when\":{\"statement\":\"SELEKT\",\"tables\":\"sales\"},\"to\":"
                    "\"warehouse\"},\n"
                    "{\"id\":\"d\",\"when\":{\"timezone\":\"+01:00\"},\"to\":\"warehouse\"},\n"
                    "{\"id\":\"e\",\"when\":{\"user\":\"ana\"},\"to\":\"warehouse\"}]}",
                    &world),
        "r:2: warning: there is no user \"anna\", so that this can never match; did you mean "
        "\"ana\"?\n"
        "r:3: warning: there is no role \"x*\", so that this can never match\n"
        "r:4: warning: no statement is called \"SELEKT\", so that this can never match; did you "
        "mean "
        "\"SELECT\"?\n"
        "r:4: warning: tables are matched as schema.table: \"sales\" can never match\n"
        "r:5: warning: rule \"d\": timezone without hour or weekday does nothing\n"
        "r:6: warning: rule \"e\" can never win: rule \"d\" on line 5 matches whatever it "
        "matches\n");
}

static void shadows_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *outer, *inner;
        bool shadowed;
    } rows[] = {
        { "\"application\":\"Tab*\"", "\"application\":\"Tableau*\"", true },
        { "\"application\":\"Tableau*\"", "\"application\":\"Tab*\"", false },
        { "\"application\":\"*au\"", "\"application\":\"Tableau\"", true },
        { "\"user\":[\"ana\",\"dev\"]", "\"user\":\"dev\",\"tls\":true", true },
        { "\"user\":\"ana\"", "\"user\":[\"ana\",\"dev\"]", false },
        { "\"client\":\"10.0.0.0/8\"", "\"client\":\"10.1.0.0/16\"", true },
        { "\"client\":\"10.0.0.0/8\"", "\"client\":[\"10.1.0.0/16\",\"11.0.0.0/8\"]", false },
        { "\"tls\":[true,false]", "\"database\":\"x\"", false }, /* true, but not seen */
        { "\"hour\":\"08-18\"", "\"hour\":\"09-12\"", true },
        { "\"hour\":\"08-18\"", "\"hour\":\"09-12\",\"timezone\":\"+01:00\"", false },
        { "\"percent\":50", "\"percent\":10", false }, /* other users */
        { "\"percent\":100", "\"percent\":10", true },
        { "\"database\":\"x\"", "\"database\":\"x\",\"statement\":\"COPY\"", true },
        { "\"statement\":\"copy\"", "\"statement\":[\"COPY\"],\"tables\":\"a.b\"", true },
        { "\"statement\":\"COPY\"", "\"database\":\"x\"", false }, /* not at login */
        { "\"query_group\":\"g\"", "\"query_group\":\"g\",\"tables\":\"a.*\"",
          false }, /* of another moment */
        { "\"tables\":\"A.*\"", "\"tables\":\"a.b\"", true },
        { "\"query\":\"x\"", "\"query\":\"x\",\"tables\":\"a.b\"", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"rules\":[{\"id\":\"o\",\"when\":{%s},\"to\":\"warehouse\"},\n"
                 "{\"id\":\"i\",\"when\":{%s},\"to\":\"warehouse\"},{\"id\":\"d\",\"to\":"
                 "\"warehouse\"}]}",
                 rows[i].outer, rows[i].inner);
        const char *found = problems_of(text, &world);
        bool shadowed = strstr(found, "rule \"i\" can never win") != NULL;
        if (shadowed != rows[i].shadowed)
            fail_msg("%s / %s: %s", rows[i].outer, rows[i].inner, found);
    }
}

static void a_table_that_fails_its_tests_is_refused(void **state)
{
    (void)state;
    const char *text =
        "{\"rules\":[{\"id\":\"night\",\"when\":{\"hour\":\"22-06\"},\"deny\":\"closed\"},\n"
        "{\"id\":\"big\",\"when\":{\"tables\":\"mart.*\"},\"to\":\"serverless-bi\"},\n"
        "{\"id\":\"d\",\"to\":[\"warehouse\",\"serverless-bi\"],\"query_group\":\"g\"}],\n"
        "\"tests\":[\n"
        "{\"user\":\"ana\",\"expect\":{\"rule\":\"d\",\"to\":[\"warehouse\",\"serverless-bi\"]}},\n"
        "{\"user\":\"ana\",\"at\":\"2026-01-01T23:00:00Z\",\"expect\":{\"deny\":true,\"rule\":"
        "\"night\"}},\n"
        "{\"user\":\"ana\",\"tables\":\"mart.x\",\"expect\":{\"to\":\"serverless-bi\",\"query_"
        "group\":\"g\"}},\n"
        "{\"name\":\"wrong\",\"user\":\"ana\",\"expect\":{\"rule\":\"big\"}},\n"
        "{\"user\":\"ana\",\"expect\":{\"deny\":true,\"query_group\":null}},\n"
        "{\"user\":\"ana\",\"expect\":{\"to\":[\"warehouse\"],\"too\":1}},\n"
        "{\"user\":\"anna\",\"expect\":{\"to\":\"warehouse\"}},\n"
        "{\"user\":\"ana\",\"client\":\"x\",\"expect\":{}},\n"
        "{\"user\":\"ana\"},\n"
        "3]}";
    assert_string_equal(problems_of(text, &world),
                        "r:8: error: test \"wrong\": expected rule \"big\", got \"d\"\n"
                        "r:9: error: test 5: expected query_group none, got \"g\"\n"
                        "r:9: error: test 5: expected a refusal, got none\n"
                        "r:10: error: test 6: unknown key \"too\"; did you mean \"to\"?\n"
                        "r:10: error: test 6: \"to\" has 2 clusters, or others than these\n"
                        "r:11: error: there is no user \"anna\"; did you mean \"ana\"?\n"
                        "r:12: error: test 8: client: must be an address\n"
                        "r:13: error: test 9: expect: must be an object that says what must come "
                        "out\n"
                        "r:14: error: test 10: must be an object\n");
}

static void malformed_documents(void **state)
{
    (void)state;
    assert_non_null(strstr(problems_of("{\n\"rules\": [\n", &world), "r:3: error"));
    assert_non_null(strstr(problems_of("[]", &world), "is an object, not"));
    assert_non_null(strstr(problems_of("{}", &world), "rules: must be a list"));
    assert_non_null(strstr(problems_of("{\"rules\":[]}", &world), "no rule decides at login"));
    assert_non_null(strstr(problems_of("", &world), "error"));
}

static void time_zones_come_from_the_caller(void **state)
{
    (void)state;
    const char *text =
        "{\"rules\":[{\"id\":\"d\",\"to\":\"warehouse\",\"when\":"
        "{\"hour\":\"8-9\",\"timezone\":\"Mars/Olympus\"}},{\"id\":\"e\",\"to\":\"warehouse\"}]}";
    expect(text, "timezone \"Mars/Olympus\": unknown time zone");
    assert_string_equal(problems_of(text, NULL), ""); /* without a world nobody can know */
}

static void without_a_world_names_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_string_equal(
        problems_of(
            "{\"rules\":[{\"id\":\"a\",\"when\":{\"user\":\"x\"},\"to\":\"y\",\"db_user\":\"z\"},"
            "{\"id\":\"b\",\"to\":\"q\"}],\"tests\":[{\"user\":\"x\",\"expect\":{\"rule\":\"c\"}}]"
            "}",
            NULL),
        "");
}

static void a_hundred_thousand_rules(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_add_str(&text, "{\"rules\":[");
    for (int i = 0; i < ROUTE_RULES_MAX - 1; i++)
        buf_addf(&text,
                 "{\"id\":\"r%d\",\"when\":{\"application\":\"app%d*\",\"role\":\"loader\"},\"to\":"
                 "\"warehouse\"},\n",
                 i, i);
    buf_add_str(&text, "{\"id\":\"d\",\"to\":\"warehouse\"}");
    struct buf more = { 0 };
    buf_add_slice(&more, buf_slice(&text));
    buf_add_str(&more, ",{\"id\":\"one too many\",\"to\":\"warehouse\"}]}");
    buf_add_str(&text, "]}");
    struct problems p = { 0 };
    struct route_table *t = table_load(buf_slice(&text), &world, &p);
    assert_non_null(t);
    assert_int_equal(route_table_count(t), ROUTE_RULES_MAX);
    /* app1* stands before app10* and whatever else begins so: seen without comparing all with all.
     */
    assert_true(p.warnings > 0);
    route_table_unref(t);
    problems_fini(&p);
    assert_null(table_load(buf_slice(&more), &world, &p));
    assert_int_equal(p.errors, 1);
    problems_fini(&p);
    buf_fini(&text);
    buf_fini(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_loads),
        cmocka_unit_test(everything_wrong_is_said_at_once),
        cmocka_unit_test(from_the_future),
        cmocka_unit_test(who_may_be_whom),
        cmocka_unit_test(who_is_sent_elsewhere_before_is_not_asked),
        cmocka_unit_test(an_answer_that_nobody_gives_is_an_error),
        cmocka_unit_test(at_a_statement_little_can_change),
        cmocka_unit_test(what_can_never_match_is_a_warning),
        cmocka_unit_test(shadows_are_seen),
        cmocka_unit_test(a_table_that_fails_its_tests_is_refused),
        cmocka_unit_test(malformed_documents),
        cmocka_unit_test(time_zones_come_from_the_caller),
        cmocka_unit_test(without_a_world_names_are_taken_as_they_are),
        cmocka_unit_test(a_hundred_thousand_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
