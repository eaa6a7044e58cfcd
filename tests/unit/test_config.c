/* config: the table, the reader, every problem with its line, sharing. */
#include "unit/unit.h"

#include "proxy/ops/config_table.h"

#include <stdio.h>
#include <stdlib.h>

/* 2026-11-21T00:00:00Z */
static const struct config_world WORLD = { .path = "etc/sluice.json", .now_s = 1795219200 };

static struct config *parse(const char *text, struct problems *problems)
{
    return config_parse(slice_str(text), &WORLD, problems);
}

static void print_problems(const struct problems *problems)
{
    struct buf out = { 0 };
    problems_print(problems, "FILE", &out);
    print_error("%.*s", (int)out.len, out.at ? out.at : "");
    buf_fini(&out);
}

/* The problems of `text` are exactly these lines. */
static void expect_problems(const char *text, const char *expected)
{
    struct problems problems = { 0 };
    struct config *config = parse(text, &problems);
    struct buf out = { 0 };
    problems_print(&problems, "f", &out);
    buf_add_u8(&out, 0);
    assert_string_equal(out.at, expected);
    assert_int_equal(config == NULL, problems.errors > 0);
    config_unref(config);
    buf_fini(&out);
    problems_fini(&problems);
}

static const char SMALL[] =
    "{ \"listen\": [ { \"address\": \"127.0.0.1:21200\" } ],\n"
    "  \"clusters\": { \"db\": { \"endpoint\": \"localhost\", \"tls\": { \"mode\": \"prefer\" },\n"
    "    \"credentials\": { \"source\": \"static\", \"users\": { \"ana\": \"env:PW\" } } } },\n"
    "  \"users\": { \"ana\": { \"auth\": \"scram-sha-256\", \"password\": \"file:pw\", \"role\": "
    "\"all\" } },\n"
    "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.0/8\" } ] }\n";

static void a_small_one_has_all_defaults(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct config *c = parse(SMALL, &problems);
    if (!c) print_problems(&problems);
    assert_non_null(c);
    assert_int_equal(problems.count, 0);
    assert_string_equal(c->name, "etc/sluice.json");
    assert_string_equal(c->server_id, "sluice");
    assert_int_equal(c->drain_timeout_ms, 60000);
    assert_int_equal(c->pool.mode, CONFIG_POOL_TRANSACTION);
    assert_int_equal(c->pool.size, 20);
    assert_int_equal(c->pool.server_lifetime_ms, 3600000);
    assert_int_equal(c->limits.statement_bytes, 16 << 20);
    assert_int_equal(c->limits.clients, 10000);
    assert_int_equal(c->pool.line, 0);
    assert_null(c->health.address.text);
    assert_int_equal(c->n_listen, 1);
    assert_int_equal(c->listen[0].address.port, 21200);
    assert_string_equal(c->listen[0].address.host, "127.0.0.1");
    assert_int_equal(c->listen[0].tls.mode, CONFIG_TLS_DISABLE);
    const struct config_cluster *db = config_cluster(c, slice_str("db"));
    assert_non_null(db);
    assert_int_equal(db->line, 2);
    assert_int_equal(db->endpoint.port, 5439);
    assert_int_equal(db->tls.mode, CONFIG_TLS_PREFER);
    assert_int_equal(db->duration_ms, 3600000);
    assert_int_equal(db->credentials.users.count, 1);
    assert_int_equal(db->credentials.users.items[0].secret.kind, SECRET_ENV);
    assert_string_equal(db->credentials.users.items[0].secret.text, "PW");
    const struct config_user *ana = config_user(c, slice_str("ana"));
    assert_int_equal(ana->auth, 1u << CONFIG_AUTH_SCRAM);
    assert_string_equal(ana->password.text, "etc/pw");
    assert_string_equal(config_db_user(ana), "ana");
    assert_true(config_role_is_unrestricted(config_role(c, slice_str("all"))));
    assert_string_equal(c->access[0].users.items[0], "*");
    assert_null(config_user(c, slice_str("an")));
    assert_ptr_equal(config_ref(c), c);
    config_unref(c);
    config_unref(c);
    problems_fini(&problems);
}

/* Each row of the table: its default and bounds must be what its type reads. */
static void check_rows(const struct config_section *section)
{
    assert_true(section->n_fields > 0);
    assert_int_equal(section->sentence[strlen(section->sentence) - 1], '.');
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        bool is_scalar = field->type == TYPE_INT || field->type == TYPE_DURATION ||
                         field->type == TYPE_SIZE || field->type == TYPE_DATE;
        uint64_t low = 0, high = UINT64_MAX, preset = 0;
        assert_true(field->offset < section->size);
        assert_int_equal(field->sentence[strlen(field->sentence) - 1], '.');
        if (field->low) assert_true(config_scalar(field->type, slice_str(field->low), &low));
        if (field->high) assert_true(config_scalar(field->type, slice_str(field->high), &high));
        if (is_scalar && field->default_text) {
            assert_true(config_scalar(field->type, slice_str(field->default_text), &preset));
            assert_true(preset >= low && preset <= high);
        }
        assert_true(is_scalar || (!field->low && !field->high));
        if (field->choices && field->default_text)
            assert_true(config_choice(field->choices, slice_str(field->default_text)) >= 0);
        if (field->type == TYPE_BOOL) assert_non_null(field->default_text);
        if (field->type == TYPE_SET) assert_true(field->choices->count <= 32);
        if (field->section) check_rows(field->section);
    }
}

static void every_row_is_sound(void **state)
{
    (void)state;
    check_rows(config_section_top);
}

static void all_problems_come_at_once_with_lines(void **state)
{
    (void)state;
    expect_problems(
        "{ \"listen\": [ { \"adress\": \"127.0.0.1:1\" } ],\n"
        "  \"pool\": { \"wait_timeout\": 30,\n"
        "            \"mode\": \"transactoin\",\n"
        "            \"size\": 0,\n"
        "            \"server_lifetime\": \"8d\",\n"
        "            \"waittimeout\": \"1s\" },\n"
        "  \"limits\": { \"statement\": \"16MB\" },\n"
        "  \"clusters\": {}, \"users\": {}, \"roles\": {}\n"
        "}\n",
        "f:1: error: listen[0].adress: unknown key; did you mean \"address\"?\n"
        "f:1: error: listen[0].address is missing: Where: `\"0.0.0.0:5439\"`, "
        "`\"[::]:5439\"` or `\"unix:/run/sluice/.s.PGSQL.5439\"`.\n"
        "f:1: error: access is missing: From where they may connect.\n"
        "f:2: error: pool.wait_timeout: a number has no unit; write \"90s\", \"10m\" or "
        "\"1h30m\"\n"
        "f:3: error: pool.mode: \"transactoin\" is unknown; session, transaction or "
        "statement\n"
        "f:4: error: pool.size: 0 is below the least, 1\n"
        "f:5: error: pool.server_lifetime: 8d is above the most, 7d\n"
        "f:6: error: pool.waittimeout: unknown key; did you mean \"wait_timeout\"?\n"
        "f:7: error: limits.statement: write \"64KiB\" or \"16MiB\"\n"
        "f:8: error: clusters: there must be one at least\n"
        "f:8: error: users: there must be one at least\n"
        "f:8: error: roles: there must be one at least\n");
}

static void broken_json_names_its_place(void **state)
{
    (void)state;
    expect_problems("{\n \"pool\": {},\n \"pool\": {} }",
                    "f:3: error: key \"pool\" stands twice, first on line 2 (column 10)\n");
    expect_problems("[]", "f:1: error: the document must be an object, not a list\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_one_has_all_defaults),
        cmocka_unit_test(every_row_is_sound),
        cmocka_unit_test(all_problems_come_at_once_with_lines),
        cmocka_unit_test(broken_json_names_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
