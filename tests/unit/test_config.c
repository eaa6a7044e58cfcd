/* config: the table, the reader, every problem with its line, sharing. */
#include "unit/unit.h"

#include "proxy/ops/config_settings.h"
#include "proxy/ops/config_table.h"
#include "proxy/ops/file.h"

#include <dirent.h>
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

/* Equal, or the first line that differs is told: cmocka cuts long strings. */
static void expect_lines(const char *is, const char *should)
{
    while (*is || *should) {
        size_t n = strcspn(is, "\n"), m = strcspn(should, "\n");
        if (n != m || memcmp(is, should, n) != 0)
            fail_msg("is:     %.*s\nshould: %.*s", (int)n, is, (int)m, should);
        is += n + (is[n] != 0);
        should += m + (should[m] != 0);
    }
}

/* The problems of `text` are exactly these lines. */
static void expect_problems(const char *text, const char *expected)
{
    struct problems problems = { 0 };
    struct config *config = parse(text, &problems);
    struct buf out = { 0 };
    problems_print(&problems, "f", &out);
    buf_add_u8(&out, 0);
    expect_lines(out.at, expected);
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

/* ---- files -----------------------------------------------------------------------------------*/

static struct buf read_test_file(const char *name)
{
    const char *root = getenv("SLUICE_ROOT");
    struct buf path = { 0 }, text = { 0 };
    struct err err;
    buf_addf(&path, "%s/tests/config/%s", root ? root : ".", name);
    buf_add_u8(&path, 0);
    if (!file_read(path.at, 1 << 20, &text, &err)) fail_msg("%s: %s", path.at, err.message);
    buf_fini(&path);
    return text;
}

/* Which directives the document mentions: a mark per row of each section, counted from its first.
 */
struct seen {
    const struct config_field *fields[512];
    size_t count;
};

static void see(struct seen *seen, const struct config_section *section,
                const struct json_value *object)
{
    for (const struct json_value *v = json_first(object); v; v = json_next(v)) {
        for (size_t i = 0; i < section->n_fields; i++) {
            const struct config_field *field = &section->fields[i];
            if (!slice_is(json_key(v), field->name)) continue;
            assert_true(seen->count < 512);
            seen->fields[seen->count++] = field;
            if (field->type == TYPE_OBJECT) see(seen, field->section, v);
            if (field->type != TYPE_OBJECTS && field->type != TYPE_MAP) continue;
            for (const struct json_value *item = json_first(v); item; item = json_next(item))
                see(seen, field->section, item);
        }
    }
}

static void expect_all_seen(const struct seen *seen, const struct config_section *section)
{
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        bool found = false;
        for (size_t j = 0; j < seen->count && !found; j++) found = seen->fields[j] == field;
        if (!found) fail_msg("full.json has no %s.%s", section->name, field->name);
        if (field->section) expect_all_seen(seen, field->section);
    }
}

static void the_full_example_uses_every_directive(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct buf text = read_test_file("full.json");
    struct config *c = config_parse(buf_slice(&text), &WORLD, &problems);
    if (!c) print_problems(&problems);
    assert_non_null(c);
    struct json_error error;
    struct json_doc *doc = json_parse(buf_slice(&text), 1 << 20, &error);
    struct seen *seen = calloc(1, sizeof *seen);
    assert_true(doc && seen);
    see(seen, config_section_top, json_root(doc));
    expect_all_seen(seen, config_section_top);
    free(seen);
    json_free(doc);

    assert_int_equal(problems.warnings, 2); /* the whole world, a trial under way */
    assert_string_equal(c->listen[0].tls.certificate, "etc/server.crt");
    assert_string_equal(c->listen[0].tls.client_ca, "/etc/ssl/clients.crt");
    assert_string_equal(c->listen[1].address.host, "::1");
    assert_int_equal(c->listen[1].tls.mode, CONFIG_TLS_DISABLE);
    assert_true(c->listen[2].address.is_unix);
    assert_string_equal(c->listen[2].address.host, "/run/sluice/.s.PGSQL.5439");
    assert_int_equal(c->admin.tls.mode, CONFIG_TLS_REQUIRE); /* by its certificate */
    assert_string_equal(c->routes.source, "file:etc/routes.json");
    assert_string_equal(c->audit.to, "file:/var/log/sluice/audit.jsonl");
    const struct config_cluster *warehouse = config_cluster(c, slice_str("warehouse"));
    const struct config_cluster *bi = config_cluster(c, slice_str("bi"));
    assert_string_equal(warehouse->aws.region, "eu-west-1");
    assert_string_equal(warehouse->aws.session_name, "sluice"); /* the top level's */
    assert_string_equal(warehouse->aws.external_id.text, "EXTERNAL_ID");
    assert_string_equal(bi->aws.region, "us-east-1");
    assert_int_equal(bi->aws.external_id.kind, SECRET_PLAIN);
    assert_string_equal(warehouse->tls.ca, "etc/amazon.pem");
    assert_string_equal(bi->ca, "etc/amazon.pem");
    assert_int_equal(bi->endpoint.port, 5439);
    const struct config_role *trial = config_role(c, slice_str("trial"));
    assert_int_equal(trial->observe.until_s, 1796126400);
    assert_false(config_role_is_unrestricted(trial));
    const struct config_role *analyst = config_role(c, slice_str("analyst"));
    assert_int_equal(analyst->grants[0].verbs,
                     1u << CONFIG_VERB_SELECT | 1u << CONFIG_VERB_CREATE_TEMP);
    assert_int_equal(c->pool.query_timeout_ms, 5400000);
    config_unref(c);
    problems_fini(&problems);
    buf_fini(&text);
}

static void the_example_of_the_design_is_right(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct buf text = read_test_file("design.json");
    struct config *c = config_parse(buf_slice(&text), &WORLD, &problems);
    if (!c || problems.count) print_problems(&problems);
    assert_non_null(c);
    assert_int_equal(problems.count, 0);
    config_unref(c);
    problems_fini(&problems);
    buf_fini(&text);
}

/* In tests/config/bad, the problems that are expected stand as comments on their lines. */
static struct buf marks_of(struct slice text)
{
    static const char MARK[] = "//! ";
    struct buf marks = { 0 };
    for (unsigned line = 1; text.len > 0; line++) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t n = end ? (size_t)(end - text.at) : text.len;
        struct slice rest = slice_of(text.at, n);
        while (rest.len > 0 && !slice_starts(rest, MARK)) rest = slice_after(rest, 1);
        while (rest.len > 0) {
            rest = slice_after(rest, strlen(MARK));
            struct slice next = rest;
            while (next.len > 0 && !slice_starts(next, MARK)) next = slice_after(next, 1);
            size_t length = (size_t)(next.at - rest.at) - (next.len > 0);
            buf_addf(&marks, "f:%u: %.*s\n", line, (int)length, rest.at);
            rest = next;
        }
        text = slice_after(text, end ? n + 1 : n);
    }
    buf_add_u8(&marks, 0);
    return marks;
}

static void expect_marks(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "bad/%s", name);
    struct buf text = read_test_file(path);
    struct buf marks = marks_of(buf_slice(&text));
    buf_add_u8(&text, 0);
    assert_true(marks.len > 1);
    expect_problems(text.at, marks.at);
    buf_fini(&marks);
    buf_fini(&text);
}

static void bad_files_have_their_problems_and_no_others(void **state)
{
    (void)state;
    const char *root = getenv("SLUICE_ROOT");
    char path[300];
    snprintf(path, sizeof path, "%s/tests/config/bad", root ? root : ".");
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        expect_marks(entry->d_name);
        files++;
    }
    closedir(directory);
    assert_true(files >= 4);
}

static void files_that_are_not_there_are_errors(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct config_world world = WORLD;
    world.path = "/nonexistent/sluice.json";
    world.has_files = true;
    struct buf text = read_test_file("design.json");
    assert_null(config_parse(buf_slice(&text), &world, &problems));
    struct buf out = { 0 };
    problems_print(&problems, "f", &out);
    buf_add_u8(&out, 0);
    assert_non_null(strstr(out.at, "f:6: error: certificate: cannot read /nonexistent/server.crt: "
                                   "No such file or directory\n"));
    assert_non_null(strstr(out.at, "f:6: error: client_ca: cannot read /nonexistent/ca.crt"));
    assert_non_null(strstr(out.at, "f:6: error: key: cannot read /nonexistent/server.key"));
    assert_non_null(strstr(out.at, "error: source: cannot read /nonexistent/routes.json"));
    assert_int_equal(problems.errors, 4);
    problems_fini(&problems);
    assert_null(config_load("/nonexistent/sluice.json", &problems));
    assert_int_equal(problems.items[0].line, 0);
    problems_fini(&problems);
    buf_fini(&out);
    buf_fini(&text);
}

/* ---- what is made of the table ---------------------------------------------------------------*/

static const struct config_setting *setting(const struct config_settings *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->items[i].path, path)) return &s->items[i];
    fail_msg("no setting %s", path);
    return NULL;
}

static void settings_show_what_was_written(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct buf text = read_test_file("full.json");
    struct config *c = config_parse(buf_slice(&text), &WORLD, &problems);
    struct config_settings s;
    config_settings_init(&s, c);
    config_unref(c); /* the list stands alone */
    assert_false(s.failed);
    static const char *const EXPECTED[][2] = {
        { "workers", "4" },
        { "drain_timeout", "2m" },
        { "listen[0].proxy_from", "10.0.1.0/24, 2001:db8:1::/64" },
        { "listen[1].tls.mode", "disable" },
        { "listen[1].tls.certificate", "" },
        { "aws.external_id", "(given)" },
        { "clusters.local.credentials.users", "dev: env:DEV_PASSWORD, loader: ssm:/sluice/loader" },
        { "users.ana.auth", "scram-sha-256, digest, md5, cleartext" },
        { "users.ana.password", "secretsmanager:sluice/ana#password" },
        { "roles.analyst.grants[1].verbs", "UNLOAD" },
        { "roles.trial.observe.until", "2026-12-01T12:00:00Z" },
        { "access[2].unsafe", "true" },
        { "limits.memory", "1GiB" },
        { "pool.query_timeout", "1h30m" },
        { "log.level", "debug" },
    };
    for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
        assert_string_equal(setting(&s, EXPECTED[i][0])->value, EXPECTED[i][1]);
    assert_string_equal(setting(&s, "pool.size")->default_value, "20");
    assert_true(setting(&s, "pool.size")->is_live);
    assert_false(setting(&s, "workers")->is_live);
    config_settings_fini(&s);
    problems_fini(&problems);
    buf_fini(&text);
}

static struct config *with(const char *from, const char *to)
{
    struct problems problems = { 0 };
    struct buf text = { 0 };
    const char *at = strstr(SMALL, from);
    assert_non_null(at);
    buf_addf(&text, "%.*s%s%s", (int)(at - SMALL), SMALL, to, at + strlen(from));
    struct config *c = config_parse(buf_slice(&text), &WORLD, &problems);
    if (!c) print_problems(&problems);
    assert_non_null(c);
    problems_fini(&problems);
    buf_fini(&text);
    return c;
}

/* The one change between two configurations. */
static void expect_change(struct config *before, struct config *after, const char *path,
                          const char *was, const char *is, bool needs_restart)
{
    struct config_changes changes;
    config_changes_init(&changes, before, after);
    assert_false(changes.failed);
    if (path) {
        const struct config_change *change = &changes.items[0];
        assert_int_equal(changes.count, 1);
        assert_string_equal((change->after ? change->after : change->before)->path, path);
        if (change->before) assert_string_equal(change->before->value, was);
        if (change->after) assert_string_equal(change->after->value, is);
        assert_int_equal(config_change_needs_restart(change), needs_restart);
        assert_int_equal(changes.need_restart, needs_restart);
    } else {
        assert_int_equal(changes.count, 0);
    }
    config_changes_fini(&changes);
    config_unref(before);
    config_unref(after);
}

static void a_reload_knows_what_changes(void **state)
{
    (void)state;
    expect_change(with("}", "}"), with("}", "}"), NULL, NULL, NULL, false);
    expect_change(with("prefer", "prefer"), with("prefer", "require"), "clusters.db.tls.mode",
                  "prefer", "require", false);
    expect_change(with("21200", "21200"), with("21200", "21201"), "listen[0].address",
                  "127.0.0.1:21200", "127.0.0.1:21201", true);
    expect_change(with("file:pw", "SCRAM-SHA-256$4096:a$b:c"), with("file:pw", "file:pw"),
                  "users.ana.password", "(SCRAM-SHA-256 verifier)", "file:etc/pw", false);
}

/* Two verifiers look the same in a list, and are not. */
static void a_new_verifier_is_a_change(void **state)
{
    (void)state;
    const char *method = "\"scram-sha-256\", \"password\": \"file:pw\"";
    expect_change(with(method, "\"md5\", \"password\": \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""),
                  with(method, "\"md5\", \"password\": \"md5bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\""),
                  "users.ana.password", "(md5 verifier)", "(md5 verifier)", false);
}

static void a_route_overrides_a_pool(void **state)
{
    (void)state;
    struct problems problems = { 0 };
    struct json_error error;
    struct config *c = with("}", "}");
    struct config_pool pool = c->pool;
    pool.wait_timeout_ms = 77;
    struct json_doc *doc =
        json_parse(slice_str("{\"mode\": \"session\",\n\"local_answers\": [\"a\"]}"), 1000, &error);
    assert_true(config_read_pool(c, json_root(doc), &pool, &problems));
    json_free(doc);
    assert_int_equal(pool.mode, CONFIG_POOL_SESSION);
    assert_int_equal(pool.wait_timeout_ms, 77);
    assert_int_equal(pool.size, 20);
    assert_string_equal(pool.local_answers.items[0], "a");
    doc = json_parse(slice_str("{\"mode\": \"session\",\n\"sice\": 1}"), 1000, &error);
    assert_false(config_read_pool(c, json_root(doc), &pool, &problems));
    assert_int_equal(problems.items[0].line, 2);
    json_free(doc);
    problems_fini(&problems);
    config_unref(c);
}

static void the_reference_has_every_directive(void **state)
{
    (void)state;
    struct buf out = { 0 };
    config_describe(&out);
    buf_add_u8(&out, 0);
    static const char *const GOLDEN[] = {
        "\n### `clusters.NAME.credentials`\n\nWhere database credentials come from.\n\n"
        "| key | value | default | changed by | |\n|---|---|---|---|---|\n"
        "| `source` | word | must be given | reload | The way to get them.<br>`iam`: "
        "GetClusterCredentials, for the session's database user; `iam-with-iam`: ",
        "\n### `health`\n\nHealth for load balancers: `/livez`, `/readyz`, `/healthz`, nothing "
        "else, "
        "plain HTTP.\n\n| key | value | default | changed by | |\n|---|---|---|---|---|\n"
        "| `address` | address | must be given | restart | Where to listen, for instance "
        "`\"0.0.0.0:8439\"`. |\n\n### `admin`\n",
        "| `size` | number | `20` | reload | Servers of one pool. From 1 to 5000. |\n",
        "TLS towards clients. Certificate, key and CA are read again on reload. The same at "
        "`admin.tls`.\n",
    };
    for (size_t i = 0; i < sizeof GOLDEN / sizeof *GOLDEN; i++)
        if (!strstr(out.at, GOLDEN[i])) fail_msg("not in the reference:\n%s", GOLDEN[i]);
    buf_fini(&out);
}

/* The schema is JSON, and names what the table names. */
static void expect_schema(const struct json_value *definitions,
                          const struct config_section *section)
{
    const struct json_value *one = json_member(definitions, slice_str(section->name));
    assert_non_null(one);
    const struct json_value *properties = json_member(one, slice_str("properties"));
    bool is_top = section == config_section_top; /* has $schema */
    assert_int_equal(json_count(properties), section->n_fields + is_top);
    for (size_t i = 0; i < section->n_fields; i++) {
        const struct config_field *field = &section->fields[i];
        assert_non_null(json_member(properties, slice_str(field->name)));
        if (field->section) expect_schema(definitions, field->section);
    }
}

static void the_schema_has_every_directive(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct json_error error;
    config_schema(&out);
    struct json_doc *doc = json_parse(buf_slice(&out), 1 << 20, &error);
    if (!doc) fail_msg("%u:%u: %s", error.line, error.column, error.text);
    expect_schema(json_member(json_root(doc), slice_str("definitions")), config_section_top);
    json_free(doc);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_one_has_all_defaults),
        cmocka_unit_test(every_row_is_sound),
        cmocka_unit_test(all_problems_come_at_once_with_lines),
        cmocka_unit_test(broken_json_names_its_place),
        cmocka_unit_test(the_full_example_uses_every_directive),
        cmocka_unit_test(the_example_of_the_design_is_right),
        cmocka_unit_test(bad_files_have_their_problems_and_no_others),
        cmocka_unit_test(files_that_are_not_there_are_errors),
        cmocka_unit_test(settings_show_what_was_written),
        cmocka_unit_test(a_reload_knows_what_changes),
        cmocka_unit_test(a_new_verifier_is_a_change),
        cmocka_unit_test(a_route_overrides_a_pool),
        cmocka_unit_test(the_reference_has_every_directive),
        cmocka_unit_test(the_schema_has_every_directive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
