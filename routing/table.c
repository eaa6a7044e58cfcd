#include "routing/table.h"

#include "protocol/nearest.h"
#include "routing/json_write.h"
#include "routing/lint.h"
#include "routing/load.h"
#include "routing/zone.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- keys -------------------------------------------------------------------------------------
 */

static const struct {
    enum key_object object;
    const char *key;
} keys[] = {
#define KEY(object, key, sentence) { KEY_##object, key },
#include "routing/document.def"
#undef KEY
#define CONDITION(name, key, kind, level, sentence) { KEY_when, key },
#include "routing/condition.def"
#undef CONDITION
};

void load_check_keys(struct load *l, enum key_object object, const struct json_value *v,
                     const char *what)
{
    for (const struct json_value *m = json_first(v); m; m = json_next(m)) {
        struct nearest nearest = { .word = json_key(m) };
        bool known = false;
        for (size_t i = 0; i < sizeof keys / sizeof *keys && !known; i++) {
            if (keys[i].object != object) continue;
            known = slice_is(nearest.word, keys[i].key);
            nearest_offer(&nearest, slice_str(keys[i].key));
        }
        if (known) continue;
        bool guess = nearest.best.len > 0;
        problem_error(l->problems, json_key_line(m), "%s: unknown key \"%.*s\"%s%.*s%s", what,
                      SLICE_ARG(nearest.word), guess ? "; did you mean \"" : "",
                      SLICE_ARG(nearest.best), guess ? "\"?" : "");
    }
}

/* ---- values -----------------------------------------------------------------------------------
 */

/* What the current rule is called in messages. */
struct place {
    struct load *load;
    char name[96];
};

static void complain(const struct place *p, const struct json_value *v, const char *key,
                     const char *why)
{
    struct slice value = json_string(v);
    if (value.len > 64) value.len = 64;
    bool quote = json_type(v) == JSON_STRING;
    problem_error(p->load->problems, json_line(v), "%s: %s%s%.*s%s: %s", p->name, key,
                  quote ? " \"" : "", SLICE_ARG(value), quote ? "\"" : "", why);
}

static const struct json_value *member(const struct json_value *v, const char *key)
{
    return json_member(v, slice_str(key));
}

/* A value that must be a string. */
static bool string_of(const struct place *p, const struct json_value *v, const char *key,
                      struct slice *out)
{
    *out = json_string(v);
    if (json_type(v) == JSON_STRING) return true;
    char why[64];
    snprintf(why, sizeof why, "must be a string, not %s", json_type_name(json_type(v)));
    complain(p, v, key, why);
    return false;
}

/* The first of a value or a list of values; NULL, and a complaint, for an empty list. */
static const struct json_value *first_of(const struct place *p, const struct json_value *v,
                                         const char *key)
{
    if (json_type(v) != JSON_ARRAY) return v;
    if (json_count(v) == 0) complain(p, v, key, "an empty list can never match");
    return json_first(v);
}

static const struct json_value *next_of(const struct json_value *list, const struct json_value *v)
{
    return json_type(list) == JSON_ARRAY ? json_next(v) : NULL;
}

/* A condition's value as text: flags and shares are not strings in the document. */
static bool condition_text(const struct place *p, enum route_condition c,
                           const struct json_value *v, char *scratch, size_t size,
                           struct slice *out)
{
    double number;
    const char *key = route_condition_key(c);
    if (c == ROUTE_TLS) {
        if (json_type(v) != JSON_BOOL) {
            complain(p, v, key, "must be true or false");
            return false;
        }
        *out = slice_str(json_is_true(v) ? "true" : "false");
        return true;
    }
    if (c == ROUTE_PERCENT) {
        if (!json_number(v, &number) || number < 0 || number > 100) {
            complain(p, v, key, "must be a number from 0 to 100");
            return false;
        }
        snprintf(scratch, size, "%.12g", number);
        *out = slice_str(scratch);
        return true;
    }
    return string_of(p, v, key, out);
}

/* ---- a rule -----------------------------------------------------------------------------------
 */

static void read_condition(const struct place *p, enum route_condition c,
                           const struct json_value *values)
{
    const char *key = route_condition_key(c);
    for (const struct json_value *v = first_of(p, values, key); v; v = next_of(values, v)) {
        char scratch[32];
        struct slice text;
        struct err e;
        if (!condition_text(p, c, v, scratch, sizeof scratch, &text)) continue;
        if (!route_builder_when(p->load->builder, c, text, &e)) complain(p, v, key, e.message);
        load_check_value(p->load, c, v);
    }
}

static void read_zone(const struct place *p, const struct json_value *v)
{
    const struct table_world *w = p->load->world;
    struct route_builder *b = p->load->builder;
    const struct slice none = { 0 };
    struct slice name, tzif = none;
    struct err e;
    if (!string_of(p, v, "timezone", &name) || route_builder_zone(b, name, none, &e)) return;
    if (zone_is_name(name)) {
        /* Without a world there are no files to look into; nor will anything be routed. */
        if (!w && route_builder_zone(b, slice_str("UTC"), none, &e)) return;
        if (w && w->zone) tzif = w->zone(w->arg, name);
        if (tzif.len && route_builder_zone(b, name, tzif, &e)) return;
    }
    complain(p, v, "timezone", e.message);
}

static void read_when(const struct place *p, const struct json_value *when)
{
    if (!when) return;
    if (json_type(when) != JSON_OBJECT) {
        complain(p, when, "when", "must be an object");
        return;
    }
    load_check_keys(p->load, KEY_when, when, p->name);
    const struct json_value *zone = member(when, "timezone");
    if (zone) read_zone(p, zone);
    if (zone && !member(when, "hour") && !member(when, "weekday"))
        problem_warning(p->load->problems, json_key_line(zone),
                        "%s: timezone without hour or weekday does nothing", p->name);
    for (const struct json_value *m = json_first(when); m; m = json_next(m)) {
        enum route_condition c = route_condition_of(json_key(m));
        if (c != ROUTE_CONDITIONS) read_condition(p, c, m);
    }
}

static void read_to(const struct place *p, const struct json_value *to)
{
    struct load *l = p->load;
    if (!to) return;
    if (json_type(to) == JSON_ARRAY && json_count(to) == 0)
        complain(p, to, "to", "an empty list leads nowhere");
    for (const struct json_value *v = json_type(to) == JSON_ARRAY ? json_first(to) : to; v;
         v = next_of(to, v)) {
        struct slice name;
        struct err e;
        if (!string_of(p, v, "to", &name)) continue;
        if (!route_builder_to(l->builder, name, &e)) complain(p, v, "to", e.message);
        if (l->world && !map_get(&l->clusters, name))
            load_unknown(l, v, true, "cluster", &l->clusters);
    }
}

static void read_texts(const struct place *p, const struct json_value *rule)
{
    static const struct {
        const char *key;
        enum route_text which;
    } texts[] = { { "db_user", ROUTE_TEXT_DB_USER },
                  { "database", ROUTE_TEXT_DATABASE },
                  { "query_group", ROUTE_TEXT_QUERY_GROUP },
                  { "deny", ROUTE_TEXT_DENY } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct json_value *v = member(rule, texts[i].key);
        struct slice text;
        struct err e;
        if (v && string_of(p, v, texts[i].key, &text) &&
            !route_builder_text(p->load->builder, texts[i].which, text, &e))
            complain(p, v, texts[i].key, e.message);
    }
}

static void read_pool(const struct place *p, const struct json_value *v)
{
    const struct table_world *w = p->load->world;
    struct buf text = { 0 };
    struct err e;
    if (!v) return;
    if (json_type(v) != JSON_OBJECT) {
        complain(p, v, "pool", "must be an object");
        return;
    }
    json_write(&text, v);
    if (text.failed)
        complain(p, v, "pool", "out of memory");
    else if (!route_builder_pool(p->load->builder, buf_slice(&text), &e))
        complain(p, v, "pool", e.message);
    buf_fini(&text);
    if (w && w->pool) w->pool(w->arg, p->load->rules, v, p->load->problems);
}

static void read_local_answers(const struct place *p, const struct json_value *values)
{
    if (!values) return;
    for (const struct json_value *v = json_type(values) == JSON_ARRAY ? json_first(values) : values;
         v; v = next_of(values, v)) {
        const struct table_world *w = p->load->world;
        struct slice name;
        struct err e;
        if (!string_of(p, v, "local_answers", &name)) continue;
        if (w && w->answer && !w->answer(name))
            complain(p, v, "local_answers", "there is no answer of that name");
        else if (!route_builder_local_answer(p->load->builder, name, &e))
            complain(p, v, "local_answers", e.message);
    }
}

/* Which rules choose a db_user, and where: judged when all rules are known. */
static bool note_db_user(struct load *l, const struct json_value *v)
{
    if (l->rules == l->line_cap) {
        uint32_t cap = l->line_cap ? l->line_cap * 2 : 64;
        uint32_t *lines = realloc(l->db_user_lines, cap * sizeof *lines);
        if (!lines) return false;
        l->db_user_lines = lines;
        l->line_cap = cap;
    }
    l->db_user_lines[l->rules] = v ? json_line(v) : 0;
    return true;
}

static bool read_id(struct place *p, const struct json_value *rule)
{
    struct load *l = p->load;
    const struct json_value *v = member(rule, "id");
    struct slice id;
    struct err e;
    snprintf(p->name, sizeof p->name, "rule");
    if (!v) {
        complain(p, rule, "id", "is missing");
        return false;
    }
    if (!string_of(p, v, "id", &id)) return false;
    snprintf(p->name, sizeof p->name, "rule \"%.*s\"", (int)(id.len < 64 ? id.len : 64), id.at);
    if (!route_builder_rule(l->builder, id, json_line(rule), &e)) {
        complain(p, v, "id", e.message);
        return false;
    }
    const struct json_value *before = map_get(&l->ids, id);
    if (before)
        problem_error(l->problems, json_line(v), "%s: the id stands already on line %u", p->name,
                      json_line(before));
    else if (!map_put(&l->ids, id, (void *)v))
        complain(p, v, "id", "out of memory");
    return true;
}

static void read_rule(struct load *l, const struct json_value *rule)
{
    struct place p = { .load = l };
    struct err e;
    if (json_type(rule) != JSON_OBJECT) {
        problem_error(l->problems, json_line(rule), "a rule must be an object, not %s",
                      json_type_name(json_type(rule)));
        return;
    }
    size_t errors = l->problems->errors;
    bool named = read_id(&p, rule);
    load_check_keys(l, KEY_rule, rule, p.name);
    if (!named) return;
    read_when(&p, member(rule, "when"));
    read_to(&p, member(rule, "to"));
    read_texts(&p, rule);
    read_pool(&p, member(rule, "pool"));
    read_local_answers(&p, member(rule, "local_answers"));
    /* What a broken value left out must not look like a rule that does nothing. */
    if (l->problems->errors != errors) return;
    if (!route_builder_end(l->builder, &e))
        problem_error(l->problems, json_line(rule), "%s: %s", p.name, e.message);
    else if (!note_db_user(l, member(rule, "db_user")))
        complain(&p, rule, "db_user", "out of memory");
    else
        l->rules++;
}

/* ---- the document -----------------------------------------------------------------------------
 */

static uint64_t read_number(struct load *l, const struct json_value *root, const char *key,
                            uint64_t absent, uint64_t newest, const char *future)
{
    const struct json_value *v = member(root, key);
    int64_t number;
    if (!v) return absent;
    if (!json_integer(v, &number) || number < 1 || number > INT64_C(1) << 53) {
        problem_error(l->problems, json_line(v), "%s: must be a whole number from 1 up", key);
        return absent;
    }
    if (newest && (uint64_t)number > newest)
        problem_error(l->problems, json_line(v), "%s: %lld is from the future: %s %llu", key,
                      (long long)number, future, (unsigned long long)newest);
    return (uint64_t)number;
}

static void read_rules(struct load *l, const struct json_value *root)
{
    const struct json_value *rules = member(root, "rules");
    if (!rules || json_type(rules) != JSON_ARRAY) {
        problem_error(l->problems, json_line(rules ? rules : root), "rules: must be a list");
        return;
    }
    if (json_count(rules) > ROUTE_RULES_MAX) {
        problem_error(l->problems, json_line(rules), "rules: %zu, and at most %d may be",
                      json_count(rules), ROUTE_RULES_MAX);
        return;
    }
    for (const struct json_value *v = json_first(rules); v; v = json_next(v)) read_rule(l, v);
}

static bool index_world(struct load *l)
{
    const struct table_world *w = l->world;
    bool ok = true;
    for (uint32_t i = 0; w && i < w->user_count; i++)
        ok = ok && map_put(&l->users, w->users[i].name, (void *)&w->users[i]);
    for (uint32_t i = 0; w && i < w->role_count; i++)
        ok = ok && map_put(&l->roles, w->roles[i].name, (void *)&w->roles[i]);
    for (uint32_t i = 0; w && i < w->cluster_count; i++)
        ok = ok && map_put(&l->clusters, w->clusters[i].name, (void *)&w->clusters[i]);
    return ok;
}

static void check_login(struct load *l, const struct route_table *t, const struct json_value *root)
{
    /* After an error the rule may be among those that were left out. */
    if (l->problems->errors != l->errors_before) return;
    for (uint32_t i = 0; i < route_table_count(t); i++)
        if (route_rule_is_login(t, i)) return;
    const struct json_value *rules = member(root, "rules");
    problem_error(l->problems, json_line(rules ? rules : root),
                  "no rule decides at login, so that nobody could connect: add one without "
                  "statement, tables and query");
}

static struct route_table *load_document(struct load *l, const struct json_value *root)
{
    struct err e;
    if (json_type(root) != JSON_OBJECT) {
        problem_error(l->problems, json_line(root), "a routing document is an object, not %s",
                      json_type_name(json_type(root)));
        return NULL;
    }
    load_check_keys(l, KEY_document, root, "routes");
    read_number(l, root, "format", TABLE_FORMAT, TABLE_FORMAT, "this Sluice reads");
    uint64_t version = read_number(l, root, "version", 0, l->world ? l->world->newest_version : 0,
                                   "the newest is");
    read_rules(l, root);
    struct route_table *t = route_builder_finish(l->builder, version, &e);
    l->builder = NULL;
    if (!t) {
        problem_error(l->problems, json_line(root), "%s", e.message);
        return NULL;
    }
    load_check_db_users(l, t);
    check_login(l, t, root);
    lint_table(t, l->problems);
    const struct json_value *tests = member(root, "tests");
    if (tests && l->world) load_run_tests(l, t, tests);
    if (l->problems->errors == l->errors_before) return t;
    route_table_unref(t);
    return NULL;
}

struct route_table *table_load(struct slice text, const struct table_world *world,
                               struct problems *problems)
{
    struct json_error error;
    struct json_doc *doc = json_parse(text, TABLE_CAP_BYTES, &error);
    if (!doc) {
        problem_error(problems, error.line, "%s", error.text);
        return NULL;
    }
    /* Ids come from the document, names from the configuration: no strangers here. */
    struct map_seed seed = world ? world->share_seed : (struct map_seed){ 0 };
    struct load l = { .world = world,
                      .problems = problems,
                      .errors_before = problems->errors,
                      .builder = route_builder_new(seed) };
    struct map *const maps[] = { &l.ids, &l.users, &l.roles, &l.clusters };
    for (size_t i = 0; i < 4; i++) map_init(maps[i], seed);
    struct route_table *t = NULL;
    if (!l.builder || !index_world(&l))
        problem_error(problems, 0, "out of memory");
    else
        t = load_document(&l, json_root(doc));
    route_builder_free(l.builder);
    for (size_t i = 0; i < 4; i++) map_fini(maps[i]);
    free(l.db_user_lines);
    json_free(doc);
    problems_sort(problems);
    return t;
}
