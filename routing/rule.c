#include "routing/rule.h"

enum condition_kind condition_kind(enum route_condition c)
{
    static const enum condition_kind kinds[ROUTE_CONDITIONS] = {
#define CONDITION(name, key, kind, level, sentence) [ROUTE_##name] = kind,
#include "routing/condition.def"
#undef CONDITION
    };
    return kinds[c];
}

void view_init(struct view *v, const struct route_facts *facts,
               const struct route_statement *statement)
{
    *v = (struct view){ .facts = facts,
                        .statement = statement,
                        .query_group = statement ? statement->query_group : facts->query_group,
                        .at_s = statement ? statement->at_s : facts->at_s,
                        .scratch = statement ? statement->scratch : NULL };
}

void view_fini(struct view *v)
{
    regex_scratch_free(v->own_scratch);
    v->own_scratch = NULL;
}

static unsigned minute_of_week(struct view *v, const struct zone *z)
{
    /* Most tables have one zone or two: the last answer is nearly always the next one. */
    if (v->zone != z) {
        v->zone = z;
        v->minute_of_week = zone_minute_of_week(z, v->at_s);
    }
    return v->minute_of_week;
}

static bool networks_have(const struct condition *c, const struct match_address *a)
{
    for (uint32_t i = 0; i < c->networks.count; i++)
        if (cidr_has(&c->networks.at[i], a)) return true;
    return false;
}

static bool hours_have(const struct condition *c, unsigned minute)
{
    for (uint32_t i = 0; i < c->hours.count; i++)
        if (hours_has(c->hours.at[i], minute)) return true;
    return false;
}

/* One of the statement's tables is enough. */
static bool tables_have(const struct condition *c, const struct route_statement *s)
{
    for (uint32_t i = 0; i < s->table_count; i++)
        if (set_has(&c->set, s->tables[i])) return true;
    return false;
}

static bool expressions_find(const struct condition *c, struct view *v)
{
    if (!v->scratch) v->scratch = v->own_scratch = regex_scratch_new();
    if (!v->scratch) {
        v->regex_limit_hits++; /* no memory is no match, and counted likewise */
        return false;
    }
    for (uint32_t i = 0; i < c->expressions.count; i++) {
        enum regex_result found =
            regex_run(c->expressions.at[i].regex, v->scratch, v->statement->text);
        if (found == REGEX_YES) return true;
        v->regex_limit_hits += found == REGEX_LIMIT;
    }
    return false;
}

static bool condition_holds(const struct rule *r, const struct condition *c, struct view *v)
{
    const struct route_facts *f = v->facts;
    switch (c->name) {
    case ROUTE_TLS: return c->flags & (f->tls ? FLAG_TRUE : FLAG_FALSE);
    case ROUTE_USER: return set_has(&c->set, f->user);
    case ROUTE_ROLE: return set_has(&c->set, f->role);
    case ROUTE_DATABASE: return set_has(&c->set, f->database);
    case ROUTE_APPLICATION: return set_has(&c->set, f->application);
    case ROUTE_QUERY_GROUP: return set_has(&c->set, v->query_group);
    case ROUTE_CLIENT: return networks_have(c, &f->client);
    case ROUTE_WEEKDAY: return c->weekdays >> minute_of_week(v, r->zone) / DAY_MINUTES & 1;
    case ROUTE_HOUR: return hours_have(c, minute_of_week(v, r->zone) % DAY_MINUTES);
    case ROUTE_PERCENT: return share_has(c->share.seed, c->share.ppm, f->user);
    case ROUTE_STATEMENT: return v->statement && set_has(&c->set, v->statement->verb);
    case ROUTE_TABLES: return v->statement && tables_have(c, v->statement);
    case ROUTE_QUERY: return v->statement && expressions_find(c, v);
    case ROUTE_CONDITIONS: break;
    }
    return false;
}

const struct condition *rule_failing(const struct rule *r, struct view *v)
{
    for (uint32_t i = 0; i < r->when_count; i++)
        if (!condition_holds(r, &r->when[i], v)) return &r->when[i];
    return NULL;
}

bool rule_may_match(const struct rule *r, struct view *v)
{
    for (uint32_t i = 0; i < r->when_count; i++) {
        enum route_condition n = r->when[i].name;
        bool moves = n == ROUTE_QUERY_GROUP || n == ROUTE_HOUR || n == ROUTE_WEEKDAY;
        if (moves || route_condition_is_statement(n)) continue;
        if (!condition_holds(r, &r->when[i], v)) return false;
    }
    return true;
}

/* ---- covering ---------------------------------------------------------------------------------
 */

static bool networks_cover(const struct condition *outer, const struct condition *inner)
{
    for (uint32_t i = 0; i < inner->networks.count; i++) {
        bool covered = false;
        for (uint32_t o = 0; o < outer->networks.count && !covered; o++)
            covered = cidr_covers(&outer->networks.at[o], &inner->networks.at[i]);
        if (!covered) return false;
    }
    return true;
}

static bool hours_cover(const struct condition *outer, const struct condition *inner)
{
    for (uint32_t i = 0; i < inner->hours.count; i++) {
        bool covered = false;
        for (uint32_t o = 0; o < outer->hours.count && !covered; o++)
            covered = hours_covers(outer->hours.at[o], inner->hours.at[i]);
        if (!covered) return false;
    }
    return true;
}

static bool expressions_cover(const struct condition *outer, const struct condition *inner)
{
    for (uint32_t i = 0; i < inner->expressions.count; i++) {
        bool covered = false;
        for (uint32_t o = 0; o < outer->expressions.count && !covered; o++)
            covered = slice_eq(outer->expressions.at[o].pattern, inner->expressions.at[i].pattern);
        if (!covered) return false;
    }
    return true;
}

static bool condition_covers(const struct rule *outer, const struct condition *o,
                             const struct rule *inner, const struct condition *i)
{
    switch (condition_kind(o->name)) {
    case FLAG: return (i->flags & ~o->flags) == 0;
    case NAMES:
    case VERBS: return set_covers(&o->set, &i->set);
    case NETWORKS: return networks_cover(o, i);
    case WEEKDAYS: return outer->zone == inner->zone && (i->weekdays & ~o->weekdays) == 0;
    case HOURS: return outer->zone == inner->zone && hours_cover(o, i);
    case SHARE: return o->share.ppm == SHARE_WHOLE_PPM; /* each rule draws its own users */
    case EXPRESSIONS: return expressions_cover(o, i);
    }
    return false;
}

bool rule_covers(const struct rule *outer, const struct rule *inner)
{
    /* At login nothing is known of a statement, so a statement rule never decides there. */
    if (inner->is_login && !outer->is_login) return false;
    for (uint32_t o = 0; o < outer->when_count; o++) {
        const struct condition *match = NULL;
        for (uint32_t i = 0; i < inner->when_count && !match; i++)
            if (inner->when[i].name == outer->when[o].name) match = &inner->when[i];
        if (!match) return false;
        /* Login rules see the time and query_group of the login, statement rules those of the
         * statement: on these they cannot be compared. */
        enum route_condition n = outer->when[o].name;
        bool moves = n == ROUTE_QUERY_GROUP || n == ROUTE_HOUR || n == ROUTE_WEEKDAY;
        if (moves && outer->is_login != inner->is_login) return false;
        if (!condition_covers(outer, &outer->when[o], inner, match)) return false;
    }
    return true;
}
