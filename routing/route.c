#include "routing/route.h"

#include "routing/rule.h"

#include <stdlib.h>

/* ---- deciding ---------------------------------------------------------------------------------
 */

struct attempt {
    const struct route_table *table;
    struct view *view;
};

static bool attempt_accept(void *arg, uint32_t rule)
{
    struct attempt *a = arg;
    return rule_failing(&a->table->rules[rule], a->view) == NULL;
}

/* The first rule of its kind below `before` that matches, or `before`. */
static uint32_t first_match(const struct route_table *t, const struct keys *keys, struct view *v,
                            bool login, uint32_t before)
{
    struct attempt a = { t, v };
    if (!keys->is_full)
        return index_first(login ? &t->login : &t->statement, keys, before, attempt_accept, &a);
    /* A statement over more tables than the index has room for: rare, so the plain way will do. */
    for (uint32_t i = 0; i < before; i++)
        if (t->rules[i].is_login == login && attempt_accept(&a, i)) return i;
    return before;
}

static bool may_have_db_user(const struct route_facts *f, struct slice name)
{
    if (slice_eq(name, f->db_user)) return true;
    for (uint32_t i = 0; i < f->db_user_count; i++)
        if (slice_eq(name, f->db_users[i])) return true;
    return false;
}

static void decide_login(struct route_decision *d, const struct rule *r,
                         const struct route_facts *f)
{
    d->outcome = r->deny.len ? ROUTE_DENY : ROUTE_TO;
    d->id = r->id;
    d->clusters = r->to;
    d->cluster_count = r->to_count;
    d->db_user = r->db_user.len ? r->db_user : f->db_user;
    d->database = r->database.len ? r->database : f->database;
    d->query_group = r->query_group;
    d->deny = r->deny;
    d->pool = r->pool;
    d->local_answers = r->local_answers;
    d->local_answer_count = r->local_answer_count;
    /* The table was checked against the users when it was loaded; they may have changed since. */
    if (r->db_user.len && !may_have_db_user(f, r->db_user)) d->outcome = ROUTE_UNSAFE;
}

static void decide_statement(struct route_decision *d, const struct rule *r, uint32_t number)
{
    d->rule = number;
    d->id = r->id;
    if (r->to_count) {
        d->clusters = r->to;
        d->cluster_count = r->to_count;
    }
    if (r->query_group.len) d->query_group = r->query_group;
}

bool route_decide(const struct route_table *t, const struct route_facts *facts,
                  const struct route_statement *statement, struct route_decision *d)
{
    struct view v;
    struct keys keys;
    *d = (struct route_decision){ .outcome = ROUTE_NONE,
                                  .rule = ROUTE_NO_RULE,
                                  .login_rule = ROUTE_NO_RULE };
    view_init(&v, facts, NULL);
    keys_of_session(&keys, &t->lexicon, facts);
    uint32_t login = first_match(t, &keys, &v, true, t->count);
    if (login == t->count) return false;
    d->rule = d->login_rule = login;
    decide_login(d, &t->rules[login], facts);
    if (!statement || d->outcome != ROUTE_TO) return d->outcome == ROUTE_TO;
    if (t->statement.rule_count == 0) return true;

    view_init(&v, facts, statement);
    keys_add_statement(&keys, &t->lexicon, statement);
    uint32_t number = first_match(t, &keys, &v, false, login);
    if (number < login) decide_statement(d, &t->rules[number], number);
    d->regex_limit_hits = v.regex_limit_hits;
    view_fini(&v);
    return true;
}

static uint8_t needs_of(const struct rule *r)
{
    uint8_t needs = 0;
    for (uint32_t i = 0; i < r->when_count; i++) switch (r->when[i].name) {
        case ROUTE_STATEMENT: needs |= ROUTE_NEEDS_VERB; break;
        case ROUTE_TABLES: needs |= ROUTE_NEEDS_TABLES; break;
        case ROUTE_QUERY: needs |= ROUTE_NEEDS_TEXT; break;
        default: break;
        }
    return needs;
}

uint8_t route_needs(const struct route_table *t, const struct route_facts *facts,
                    uint32_t login_rule)
{
    enum { ALL = ROUTE_NEEDS_VERB | ROUTE_NEEDS_TABLES | ROUTE_NEEDS_TEXT };
    uint8_t needs = 0;
    struct view v;
    if (t->statement.rule_count == 0) return 0;
    view_init(&v, facts, NULL);
    for (uint32_t i = 0; i < t->count && i < login_rule && needs != ALL; i++) {
        const struct rule *r = &t->rules[i];
        if (r->is_login || (needs_of(r) | needs) == needs) continue;
        if (rule_may_match(r, &v)) needs |= needs_of(r);
    }
    return needs;
}

static bool same_list(const struct slice *a, uint32_t a_count, const struct slice *b,
                      uint32_t b_count)
{
    if (a_count != b_count) return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (!slice_eq(a[i], b[i])) return false;
    return true;
}

bool route_same_effect(const struct route_decision *a, const struct route_decision *b)
{
    if (a->outcome != b->outcome) return false;
    switch (a->outcome) {
    case ROUTE_TO: break;
    case ROUTE_DENY: return slice_eq(a->deny, b->deny);
    case ROUTE_UNSAFE: return slice_eq(a->db_user, b->db_user);
    case ROUTE_NONE: return true;
    }
    return same_list(a->clusters, a->cluster_count, b->clusters, b->cluster_count) &&
           slice_eq(a->db_user, b->db_user) && slice_eq(a->database, b->database) &&
           slice_eq(a->query_group, b->query_group) && slice_eq(a->pool, b->pool) &&
           same_list(a->local_answers, a->local_answer_count, b->local_answers,
                     b->local_answer_count);
}

struct slice route_pick(const struct route_decision *d, bool (*usable)(void *arg, struct slice),
                        void *arg)
{
    for (uint32_t i = 0; i < d->cluster_count; i++)
        if (usable(arg, d->clusters[i])) return d->clusters[i];
    return (struct slice){ 0 };
}

static void reason_rule(const struct route_table *t, uint32_t number, struct buf *out)
{
    const struct rule *r = &t->rules[number];
    buf_addf(out, "rule \"%.*s\"", SLICE_ARG(r->id));
    if (r->line) buf_addf(out, " (line %u)", r->line);
    buf_add_str(out, r->when_count ? ": " : ": no conditions");
    for (uint32_t i = 0; i < r->when_count; i++)
        buf_addf(out, "%s%s", i ? ", " : "", route_condition_key(r->when[i].name));
}

void route_reason(const struct route_table *t, const struct route_decision *d, struct buf *out)
{
    if (d->rule == ROUTE_NO_RULE) {
        buf_add_str(out, "no rule matches");
        return;
    }
    reason_rule(t, d->rule, out);
    if (d->rule != d->login_rule) {
        buf_add_str(out, "; the rest from ");
        reason_rule(t, d->login_rule, out);
    }
    if (d->outcome == ROUTE_DENY) buf_add_str(out, "; denied");
    if (d->outcome == ROUTE_UNSAFE)
        buf_addf(out, "; refused: the session may not have db_user \"%.*s\"",
                 SLICE_ARG(d->db_user));
}

/* ---- the table --------------------------------------------------------------------------------
 */

const struct route_table *route_table_ref(const struct route_table *table)
{
    struct route_table *t = (struct route_table *)table;
    __atomic_fetch_add(&t->references, 1, __ATOMIC_RELAXED);
    return table;
}

void route_table_unref(const struct route_table *table)
{
    struct route_table *t = (struct route_table *)table;
    if (!t) return;
    /* Release what this thread read; the last one acquires all of it before it frees. */
    if (__atomic_fetch_sub(&t->references, 1, __ATOMIC_ACQ_REL) != 1) return;
    for (uint32_t i = 0; i < t->count; i++)
        for (uint32_t c = 0; c < t->rules[i].when_count; c++) {
            const struct condition *when = &t->rules[i].when[c];
            if (condition_kind(when->name) != EXPRESSIONS) continue;
            for (uint32_t n = 0; n < when->expressions.count; n++)
                regex_free(when->expressions.at[n].regex);
        }
    lexicon_fini(&t->lexicon);
    arena_fini(&t->arena);
    free(t);
}

uint64_t route_table_version(const struct route_table *t) { return t->version; }
uint32_t route_table_count(const struct route_table *t) { return t->count; }
size_t route_table_bytes(const struct route_table *t) { return t->arena.bytes; }

struct slice route_rule_id(const struct route_table *t, uint32_t rule) { return t->rules[rule].id; }
uint32_t route_rule_line(const struct route_table *t, uint32_t rule) { return t->rules[rule].line; }
uint64_t route_rule_hash(const struct route_table *t, uint32_t rule) { return t->rules[rule].hash; }

bool route_rule_is_login(const struct route_table *t, uint32_t rule)
{
    return t->rules[rule].is_login;
}

static const struct {
    const char *key;
    bool is_statement;
} conditions[ROUTE_CONDITIONS] = {
#define SESSION                                     false
#define STATEMENT                                   true
#define CONDITION(name, key, kind, level, sentence) [ROUTE_##name] = { key, level },
#include "routing/condition.def"
#undef CONDITION
#undef SESSION
#undef STATEMENT
};

const char *route_condition_key(enum route_condition c) { return conditions[c].key; }

enum route_condition route_condition_of(struct slice key)
{
    int c = 0;
    while (c < ROUTE_CONDITIONS && !slice_is(key, conditions[c].key)) c++;
    return (enum route_condition)c;
}

bool route_condition_is_statement(enum route_condition c) { return conditions[c].is_statement; }
