#include "routing/table.h"

#include "protocol/nearest.h"
#include "protocol/sql_kind.h"
#include "routing/load.h"
#include "routing/rule.h"

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

/* Of one user who may match: what the rule gives. False after a complaint, to stop at one. */
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

static void check_rule(struct load *l, const struct rule *r, uint32_t line)
{
    const struct match_set *users = set_of(r, ROUTE_USER), *roles = set_of(r, ROUTE_ROLE);
    if (users && users->glob_count == 0) { /* look at those named, not at everybody */
        for (uint32_t i = 0; i < users->name_count; i++) {
            const struct table_user *u = map_get(&l->users, users->names[i]);
            if (u && (!roles || set_has(roles, u->role)) && !check_user(l, r, line, u)) return;
        }
        return;
    }
    for (uint32_t i = 0; i < l->world->user_count; i++) {
        const struct table_user *u = &l->world->users[i];
        if (users && !set_has(users, u->name)) continue;
        if (roles && !set_has(roles, u->role)) continue;
        if (!check_user(l, r, line, u)) return;
    }
}

void load_check_db_users(struct load *l, const struct route_table *t)
{
    if (!l->world) return;
    for (uint32_t i = 0; i < t->count && i < l->rules; i++) {
        const struct rule *r = &t->rules[i];
        uint32_t line = l->db_user_lines[i] ? l->db_user_lines[i] : r->line;
        if (needs_check(l, r)) check_rule(l, r, line);
    }
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
