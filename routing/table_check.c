#include "routing/table.h"

#include "protocol/nearest.h"
#include "protocol/sql_kind.h"
#include "routing/load.h"
#include "routing/rule.h"

#include <stdlib.h>

/* The document against the world: names that do not exist, and who may be whom. */

void load_unknown(struct load *l, const struct json_value *v, bool is_error, const char *what,
                  const struct map *known)
{
    struct nearest nearest = { .word = json_string(v) };
    uint32_t at = 0;
    for (const struct slice *name = map_next(known, &at); name; name = map_next(known, &at))
        nearest_offer(&nearest, *name);
    bool guess = nearest.best.len > 0;
    struct slice word = nearest.word;
    if (word.len > 64) word.len = 64;
    (is_error ? problem_error : problem_warning)(
        l->problems, json_line(v), "there is no %s \"%.*s\"%s%s%.*s%s", what, SLICE_ARG(word),
        is_error ? "" : ", so that this can never match", guess ? "; did you mean \"" : "",
        SLICE_ARG(nearest.best), guess ? "\"?" : "");
}

static bool any_matches(const struct map *known, struct slice glob)
{
    uint32_t at = 0;
    for (const struct slice *name = map_next(known, &at); name; name = map_next(known, &at))
        if (glob_matches(glob, *name)) return true;
    return false;
}

static void check_verb(struct load *l, const struct json_value *v)
{
    struct nearest nearest = { .word = json_string(v) };
    for (int kind = 0; kind < SQL_KIND_COUNT; kind++) {
        const char *verb = sql_kind_name((enum sql_kind)kind);
        if (slice_is_nocase(nearest.word, verb)) return;
        nearest_offer(&nearest, slice_str(verb));
    }
    bool guess = nearest.best.len > 0;
    struct slice word = nearest.word;
    if (word.len > 64) word.len = 64;
    problem_warning(l->problems, json_line(v),
                    "no statement is called \"%.*s\", so that this can never match%s%.*s%s",
                    SLICE_ARG(word), guess ? "; did you mean \"" : "", SLICE_ARG(nearest.best),
                    guess ? "\"?" : "");
}

void load_check_value(struct load *l, enum route_condition c, const struct json_value *v)
{
    struct slice text = json_string(v);
    if (json_type(v) != JSON_STRING) return;
    if (c == ROUTE_STATEMENT) check_verb(l, v);
    if (c == ROUTE_TABLES && !memchr(text.at, '.', text.len) && !glob_is_pattern(text))
        problem_warning(l->problems, json_line(v),
                        "tables are matched as schema.table: \"%.*s\" can never match",
                        (int)(text.len < 64 ? text.len : 64), text.at);
    if (!l->world || (c != ROUTE_USER && c != ROUTE_ROLE)) return;
    const struct map *known = c == ROUTE_USER ? &l->users : &l->roles;
    bool found = glob_is_pattern(text) ? any_matches(known, text) : map_get(known, text) != NULL;
    if (!found) load_unknown(l, v, false, c == ROUTE_USER ? "user" : "role", known);
}

/* ---- database users ---------------------------------------------------------------------------
 */

static bool is_in(const struct slice *list, uint32_t count, struct slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_eq(list[i], name)) return true;
    return false;
}

static const struct match_set *set_of(const struct rule *r, enum route_condition c)
{
    for (uint32_t i = 0; i < r->when_count; i++)
        if (r->when[i].name == c) return &r->when[i].set;
    return NULL;
}

/* Of one user who may match: what the rule gives. False after a complaint. */
static bool check_user(struct load *l, const struct rule *r, uint32_t line,
                       const struct table_user *u)
{
    const struct table_role *role = map_get(&l->roles, u->role);
    struct slice db_user = r->db_user.len ? r->db_user : u->db_user;
    if (r->db_user.len && !slice_eq(db_user, u->db_user) &&
        !(role && is_in(role->db_users, role->db_user_count, db_user))) {
        problem_error(l->problems, line,
                      "rule \"%.*s\": db_user \"%.*s\" is not allowed for user \"%.*s\", who may "
                      "match: not the user's own, and not in db_users of role \"%.*s\"",
                      SLICE_ARG(r->id), SLICE_ARG(db_user), SLICE_ARG(u->name), SLICE_ARG(u->role));
        return false;
    }
    for (uint32_t i = 0; i < r->to_count; i++) {
        const struct table_cluster *c = map_get(&l->clusters, r->to[i]);
        if (!c || !c->is_static || is_in(c->db_users, c->db_user_count, db_user)) continue;
        problem_error(
            l->problems, line,
            "rule \"%.*s\": cluster \"%.*s\" has no password for db_user \"%.*s\" of user "
            "\"%.*s\", who may match",
            SLICE_ARG(r->id), SLICE_ARG(c->name), SLICE_ARG(db_user), SLICE_ARG(u->name));
        return false;
    }
    return true;
}

static bool needs_check(const struct load *l, const struct rule *r)
{
    if (r->db_user.len) return true;
    for (uint32_t i = 0; i < r->to_count; i++) {
        const struct table_cluster *c = map_get(&l->clusters, r->to[i]);
        if (c && c->is_static) return true;
    }
    return false;
}

/* Whether a rule asks for nothing but who it is: then it matches a user in every session. */
static bool is_about_users_only(const struct rule *r)
{
    for (uint32_t i = 0; i < r->when_count; i++)
        if (r->when[i].name != ROUTE_USER && r->when[i].name != ROUTE_ROLE) return false;
    return true;
}

static bool may_match(const struct rule *r, const struct table_user *u)
{
    const struct match_set *users = set_of(r, ROUTE_USER), *roles = set_of(r, ROUTE_ROLE);
    return (!users || set_has(users, u->name)) && (!roles || set_has(roles, u->role));
}

/* Numbers of rules, in order. */
struct numbers {
    uint32_t *at, count;
};

/* The rule behind which none is reached in this user's sessions: the first of `certain`, rules
 * about users only, that matches it. */
static uint32_t last_rule(const struct route_table *t, const struct numbers *certain,
                          const struct table_user *u)
{
    for (uint32_t i = 0; i < certain->count; i++)
        if (may_match(&t->rules[certain->at[i]], u)) return certain->at[i];
    return t->count;
}

static void check_users(struct load *l, const struct route_table *t, const struct numbers *certain,
                        struct numbers *checked)
{
    for (uint32_t n = 0; n < l->world->user_count; n++) {
        const struct table_user *u = &l->world->users[n];
        uint32_t last = last_rule(t, certain, u), kept = 0;
        for (uint32_t i = 0; i < checked->count; i++) {
            uint32_t number = checked->at[i], line = l->db_user_lines[number];
            const struct rule *r = &t->rules[number];
            bool ok =
                number > last || !may_match(r, u) || check_user(l, r, line ? line : r->line, u);
            if (ok) checked->at[kept++] = number; /* one complaint about a rule is enough */
        }
        checked->count = kept;
    }
}

/* Each user against the rules that may decide for it. */
void load_check_db_users(struct load *l, const struct route_table *t)
{
    if (!l->world) return;
    struct numbers certain = { calloc(t->count + 1u, sizeof(uint32_t)), 0 };
    struct numbers checked = { calloc(t->count + 1u, sizeof(uint32_t)), 0 };
    for (uint32_t i = 0; certain.at && checked.at && i < t->count && i < l->rules; i++) {
        if (is_about_users_only(&t->rules[i])) certain.at[certain.count++] = i;
        if (needs_check(l, &t->rules[i])) checked.at[checked.count++] = i;
    }
    if (certain.at && checked.at)
        check_users(l, t, &certain, &checked);
    else
        problem_error(l->problems, 0, "out of memory");
    free(certain.at);
    free(checked.at);
}

bool table_user_facts(const struct table_world *world, struct slice user, struct route_facts *facts)
{
    for (uint32_t i = 0; i < world->user_count; i++) {
        const struct table_user *u = &world->users[i];
        if (!slice_eq(u->name, user)) continue;
        facts->user = u->name;
        facts->role = u->role;
        facts->db_user = u->db_user;
        for (uint32_t r = 0; r < world->role_count; r++)
            if (slice_eq(world->roles[r].name, u->role)) {
                facts->db_users = world->roles[r].db_users;
                facts->db_user_count = world->roles[r].db_user_count;
            }
        return true;
    }
    return false;
}
