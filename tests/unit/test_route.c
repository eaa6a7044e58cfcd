/* route: rules in order, login and statement, and an index that never changes the answer. */
#include "unit/unit.h"

#include "routing/rule.h"
#include "unit/routes.h"

/* ---- the second opinion, and the tables it is asked about -------------------------------------
 */

/* Shares and expressions are left to the library (test_match and test_regex know them). */
static bool model_condition(const struct route_table *t, unsigned number, const struct spec *s,
                            int c, struct view *v)
{
    const struct route_facts *f = v->facts;
    bool any = false;
    switch (c) {
    case ROUTE_TLS: return (strcmp(s->values[c][0], "true") == 0) == f->tls;
    case ROUTE_USER: return model_text(s, c, f->user);
    case ROUTE_ROLE: return model_text(s, c, f->role);
    case ROUTE_DATABASE: return model_text(s, c, f->database);
    case ROUTE_APPLICATION: return model_text(s, c, f->application);
    case ROUTE_QUERY_GROUP: return model_text(s, c, v->query_group);
    case ROUTE_STATEMENT: return model_text(s, c, v->statement->verb);
    case ROUTE_CLIENT:
        for (unsigned i = 0; i < s->count[c]; i++)
            any |= model_network(s->values[c][i], &f->client);
        return any;
    case ROUTE_HOUR:
        for (unsigned i = 0; i < s->count[c]; i++) any |= model_hour(s->values[c][i], v->at_s);
        return any;
    case ROUTE_WEEKDAY:
        for (unsigned i = 0; i < s->count[c]; i++) any |= model_day(s->values[c][i], v->at_s);
        return any;
    case ROUTE_TABLES:
        for (unsigned i = 0; i < v->statement->table_count; i++)
            any |= model_text(s, c, v->statement->tables[i]);
        return any;
    default: {
        struct rule alone = t->rules[number];
        while (alone.when_count && alone.when->name != (enum route_condition)c) {
            alone.when++;
            alone.when_count--;
        }
        alone.when_count = alone.when_count ? 1 : 0;
        return rule_failing(&alone, v) == NULL;
    }
    }
}

static uint32_t model_first(const struct route_table *t, const struct spec *specs, unsigned count,
                            const struct situation *x, bool login, uint32_t before)
{
    struct view v;
    view_init(&v, &x->facts, login ? NULL : &x->statement);
    uint32_t found = before;
    for (uint32_t i = 0; i < count && i < before && found == before; i++) {
        if (specs[i].is_login != login) continue;
        bool all = true;
        for (int c = 0; all && c < ROUTE_CONDITIONS; c++)
            if (specs[i].count[c]) all = model_condition(t, i, &specs[i], c, &v);
        if (all) found = i;
    }
    view_fini(&v);
    return found;
}

static void compare(const struct route_table *t, const struct spec *specs, unsigned count,
                    const struct situation *x)
{
    struct route_decision d;
    uint32_t login = model_first(t, specs, count, x, true, count);
    bool to = route_decide(t, &x->facts, NULL, &d);
    if (login == count) {
        assert_false(to);
        assert_int_equal(d.outcome, ROUTE_NONE);
        assert_int_equal(d.rule, ROUTE_NO_RULE);
        return;
    }
    const struct spec *s = &specs[login];
    assert_int_equal(d.rule, login);
    assert_true(slice_is(d.id, s->id));
    if (s->deny[0]) {
        assert_int_equal(d.outcome, ROUTE_DENY);
        assert_true(slice_is(d.deny, "closed"));
        return;
    }
    if (strcmp(s->db_user, "dbu2") == 0) {
        assert_int_equal(d.outcome, ROUTE_UNSAFE);
        return;
    }
    assert_int_equal(d.outcome, ROUTE_TO);
    assert_true(slice_is(d.db_user, s->db_user[0] ? s->db_user : "dbu9"));
    assert_true(slice_is(d.clusters[0], s->to[0]));

    uint32_t number = model_first(t, specs, count, x, false, login);
    assert_true(route_decide(t, &x->facts, &x->statement, &d));
    assert_int_equal(d.rule, number);
    assert_int_equal(d.login_rule, login);
    const struct spec *w = &specs[number];
    assert_int_equal(d.cluster_count, w->to_count);
    for (unsigned i = 0; i < w->to_count; i++) assert_true(slice_is(d.clusters[i], w->to[i]));
    assert_true(slice_is(d.query_group, w->query_group[0] ? w->query_group : s->query_group));
    assert_true(slice_is(d.db_user, s->db_user[0] ? s->db_user : "dbu9"));
}

static void index_agrees_with_trying_all_rules(void **state)
{
    (void)state;
    enum { MOST = 400 };
    static struct spec specs[MOST];
    static struct situation x;
    struct dice dice = { 20240601 };
    for (int round = 0; round < 120; round++) {
        struct err e;
        unsigned count = 1 + roll(&dice, round % 3 ? 40 : MOST);
        unsigned spread = 1 + roll(&dice, 60), statements = roll(&dice, 8);
        for (unsigned i = 0; i < count; i++) random_spec(&dice, &specs[i], i, spread, statements);
        struct route_table *t = build_specs(specs, count, &e);
        if (!t) fail_msg("%s", e.message);
        for (int i = 0; i < 250; i++) {
            random_situation(&dice, &x, spread);
            compare(t, specs, count, &x);
        }
        route_table_unref(t);
    }
}

/* ---- one by one -------------------------------------------------------------------------------
 */

static struct route_builder *begin(void)
{
    struct route_builder *b = route_builder_new((struct map_seed){ 3, 4 });
    assert_non_null(b);
    return b;
}

static void rule(struct route_builder *b, const char *id, enum route_condition c, const char *value,
                 const char *to)
{
    struct err e;
    assert_true(route_builder_rule(b, slice_str(id), 0, &e));
    if (c < ROUTE_CONDITIONS) assert_true(route_builder_when(b, c, slice_str(value), &e));
    assert_true(route_builder_to(b, slice_str(to), &e));
    assert_true(route_builder_end(b, &e));
}

static struct route_table *finish(struct route_builder *b)
{
    struct err e;
    struct route_table *t = route_builder_finish(b, 7, &e);
    assert_non_null(t);
    return t;
}

static void an_empty_table_routes_nobody(void **state)
{
    (void)state;
    struct route_table *t = finish(begin());
    struct route_facts f = { 0 };
    struct route_decision d;
    assert_false(route_decide(t, &f, NULL, &d));
    assert_int_equal(d.outcome, ROUTE_NONE);
    assert_int_equal(route_table_version(t), 7);
    route_table_unref(t);
}

static void a_statement_rule_changes_only_where_it_goes(void **state)
{
    (void)state;
    struct err e;
    struct route_builder *b = begin();
    rule(b, "heavy", ROUTE_TABLES, "mart.*", "bi");
    assert_true(route_builder_rule(b, slice_str("base"), 0, &e));
    assert_true(route_builder_to(b, slice_str("warehouse"), &e));
    assert_true(route_builder_text(b, ROUTE_TEXT_QUERY_GROUP, slice_str("etl"), &e));
    assert_true(route_builder_text(b, ROUTE_TEXT_DATABASE, slice_str("prod"), &e));
    assert_true(route_builder_end(b, &e));
    rule(b, "late", ROUTE_STATEMENT, "select", "never");
    struct route_table *t = finish(b);

    struct route_facts f = { .user = slice_str("ana"), .database = slice_str("dev") };
    struct route_decision d;
    assert_true(route_decide(t, &f, NULL, &d));
    assert_true(slice_is(d.id, "base"));
    assert_true(slice_is(d.database, "prod"));

    struct slice table = slice_str("mart.sales");
    struct route_statement s = { .verb = slice_str("SELECT"), .tables = &table, .table_count = 1 };
    assert_true(route_decide(t, &f, &s, &d));
    assert_true(slice_is(d.id, "heavy"));
    assert_true(slice_is(d.clusters[0], "bi"));
    assert_true(slice_is(d.query_group, "etl")); /* not given by "heavy": stays */
    assert_true(slice_is(d.database, "prod"));
    assert_int_equal(d.login_rule, 1);

    s.table_count = 0; /* behind the login rule, "late" has no say */
    assert_true(route_decide(t, &f, &s, &d));
    assert_true(slice_is(d.clusters[0], "warehouse"));
    struct buf why = { 0 };
    route_reason(t, &d, &why);
    buf_add_u8(&why, 0);
    assert_string_equal(why.at, "rule \"base\": no conditions");
    buf_fini(&why);
    route_table_unref(t);
}

static void more_tables_than_the_index_has_room_for(void **state)
{
    (void)state;
    enum { TABLES = 500 };
    static char names[TABLES][16];
    static struct slice tables[TABLES];
    struct route_builder *b = begin();
    for (int i = 0; i < TABLES; i++) {
        snprintf(names[i], sizeof names[i], "s.t%03d", i);
        tables[TABLES - 1 - i] = slice_str(names[i]);
        rule(b, names[i], ROUTE_TABLES, names[i], "x");
    }
    rule(b, "last", ROUTE_CONDITIONS, "", "y");
    struct route_table *t = finish(b);
    struct route_facts f = { 0 };
    /* The last of its tables is the one of the first rule that matches. */
    struct route_statement s = { .verb = slice_str("SELECT"),
                                 .tables = tables,
                                 .table_count = TABLES - 3 };
    struct route_decision d;
    assert_true(route_decide(t, &f, &s, &d));
    assert_int_equal(d.rule, 3);
    route_table_unref(t);
}

static void rules_that_share_their_terms(void **state)
{
    (void)state;
    enum { ROLES = 60, APPLICATIONS = 10 };
    struct route_builder *b = begin();
    struct err e;
    char role[16], application[32], id[48];
    /* For each role and application a name and a glob; for the later roles the glob alone. */
    for (unsigned i = 0; i < ROLES * APPLICATIONS * 2; i++) {
        unsigned r = i / 2 / APPLICATIONS, a = i / 2 % APPLICATIONS;
        if (i % 2 == 0 && r >= ROLES / 2) continue;
        snprintf(role, sizeof role, "role%u", r);
        snprintf(application, sizeof application, i % 2 ? "tool%02u*" : "tool%02u in use", a);
        snprintf(id, sizeof id, "%s %s", role, application);
        assert_true(route_builder_rule(b, slice_str(id), 0, &e));
        assert_true(route_builder_when(b, ROUTE_ROLE, slice_str(role), &e));
        assert_true(route_builder_when(b, ROUTE_APPLICATION, slice_str(application), &e));
        assert_true(route_builder_to(b, slice_str("x"), &e));
        assert_true(route_builder_end(b, &e));
    }
    struct route_table *t = finish(b);
    for (unsigned i = 0; i < ROLES * APPLICATIONS; i++) {
        unsigned r = i / APPLICATIONS, a = i % APPLICATIONS;
        struct route_decision d;
        snprintf(role, sizeof role, "role%u", r);
        snprintf(application, sizeof application, "tool%02u in use", a);
        snprintf(id, sizeof id, r < ROLES / 2 ? "%s tool%02u in use" : "%s tool%02u*", role, a);
        struct route_facts f = { .role = slice_str(role), .application = slice_str(application) };
        assert_true(route_decide(t, &f, NULL, &d));
        assert_true(slice_is(d.id, id));
    }
    route_table_unref(t);
}

static void a_db_user_that_is_not_allowed_is_never_handed_out(void **state)
{
    (void)state;
    struct err e;
    struct route_builder *b = begin();
    assert_true(route_builder_rule(b, slice_str("root"), 0, &e));
    assert_true(route_builder_to(b, slice_str("warehouse"), &e));
    assert_true(route_builder_text(b, ROUTE_TEXT_DB_USER, slice_str("admin"), &e));
    assert_true(route_builder_end(b, &e));
    struct route_table *t = finish(b);
    struct slice allowed = slice_str("admin");
    struct route_facts f = { .db_user = slice_str("ana") };
    struct route_decision d;
    assert_false(route_decide(t, &f, NULL, &d));
    assert_int_equal(d.outcome, ROUTE_UNSAFE);
    f.db_users = &allowed;
    f.db_user_count = 1;
    assert_true(route_decide(t, &f, NULL, &d));
    assert_true(slice_is(d.db_user, "admin"));
    route_table_unref(t);
}

static void actions_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct err e;
    struct route_builder *b = begin();
    assert_true(route_builder_rule(b, slice_str("a"), 0, &e));
    assert_false(route_builder_end(b, &e)); /* leads nowhere */
    assert_true(route_builder_rule(b, slice_str("b"), 0, &e));
    assert_true(route_builder_when(b, ROUTE_STATEMENT, slice_str("copy"), &e));
    assert_false(route_builder_end(b, &e)); /* does nothing */
    assert_true(route_builder_to(b, slice_str("x"), &e));
    assert_false(route_builder_to(b, slice_str("x"), &e)); /* a circle */
    assert_true(route_builder_pool(b, slice_str("{\"size\": 5}"), &e));
    assert_false(route_builder_end(b, &e)); /* only at login */
    assert_non_null(strstr(e.message, "\"pool\""));
    assert_true(route_builder_rule(b, slice_str("c"), 0, &e));
    assert_true(route_builder_to(b, slice_str("x"), &e));
    assert_true(route_builder_text(b, ROUTE_TEXT_DENY, slice_str("no"), &e));
    assert_false(route_builder_end(b, &e));
    assert_false(route_builder_rule(b, slice_str(""), 0, &e));
    assert_false(route_builder_rule(b, slice_str("a\nb"), 0, &e));
    assert_true(route_builder_rule(b, slice_str("d"), 0, &e));
    assert_false(route_builder_when(b, ROUTE_QUERY, slice_str("(a+)+$"), &e));
    assert_non_null(strstr(e.message, "budget"));
    route_builder_free(b);
}

static bool is_up(void *arg, struct slice cluster) { return slice_is(cluster, arg); }

static void falls_back_along_the_list(void **state)
{
    (void)state;
    struct slice clusters[] = { { "a", 1 }, { "b", 1 } };
    struct route_decision d = { .clusters = clusters, .cluster_count = 2 };
    assert_true(slice_is(route_pick(&d, is_up, (char *)"b"), "b"));
    assert_int_equal(route_pick(&d, is_up, (char *)"c").len, 0);
}

static void a_rules_hash_is_about_what_it_says(void **state)
{
    (void)state;
    struct route_builder *b = begin();
    rule(b, "a", ROUTE_USER, "ana", "x");
    rule(b, "a", ROUTE_USER, "ana", "x");
    rule(b, "a", ROUTE_USER, "bob", "x");
    rule(b, "a", ROUTE_ROLE, "ana", "x");
    rule(b, "b", ROUTE_USER, "ana", "x");
    struct route_table *t = finish(b);
    assert_true(route_rule_hash(t, 0) == route_rule_hash(t, 1));
    for (uint32_t i = 2; i < 5; i++) assert_true(route_rule_hash(t, 0) != route_rule_hash(t, i));
    route_table_unref(route_table_ref(t));
    assert_int_equal(route_table_count(t), 5);
    route_table_unref(t);
}

static void covering_is_sound(void **state)
{
    (void)state;
    enum { RULES = 120 };
    static struct spec specs[RULES];
    static struct situation x;
    struct dice dice = { 99 };
    unsigned pairs = 0;
    for (int round = 0; round < 20; round++) {
        struct err e;
        for (unsigned i = 0; i < RULES; i++) random_spec(&dice, &specs[i], i, 6, 4);
        struct route_table *t = build_specs(specs, RULES, &e);
        assert_non_null(t);
        for (int n = 0; n < 60; n++) {
            random_situation(&dice, &x, 6);
            bool matches[RULES];
            for (unsigned i = 0; i < RULES; i++) {
                struct view v;
                view_init(&v, &x.facts, t->rules[i].is_login ? NULL : &x.statement);
                matches[i] = rule_failing(&t->rules[i], &v) == NULL;
                view_fini(&v);
            }
            for (unsigned o = 0; o < RULES; o++)
                for (unsigned i = 0; i < RULES; i++) {
                    if (o == i || !rule_covers(&t->rules[o], &t->rules[i])) continue;
                    pairs++;
                    if (matches[i]) assert_true(matches[o]);
                }
        }
        route_table_unref(t);
    }
    assert_true(pairs > 10000); /* else nothing was tested */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_routes_nobody),
        cmocka_unit_test(a_statement_rule_changes_only_where_it_goes),
        cmocka_unit_test(more_tables_than_the_index_has_room_for),
        cmocka_unit_test(rules_that_share_their_terms),
        cmocka_unit_test(a_db_user_that_is_not_allowed_is_never_handed_out),
        cmocka_unit_test(actions_that_do_not_fit_are_refused),
        cmocka_unit_test(falls_back_along_the_list),
        cmocka_unit_test(a_rules_hash_is_about_what_it_says),
        cmocka_unit_test(covering_is_sound),
        cmocka_unit_test(index_agrees_with_trying_all_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
