#include "routing/lint.h"

#include "routing/rule.h"

enum {
    COMPARISONS = 20000000, /* of two rules: a second or two, then the rest is not looked at */
    WARNINGS = 100,
};

struct covering {
    const struct route_table *table;
    const struct rule *inner;
    uint32_t comparisons;
};

static bool accept_covering(void *arg, uint32_t rule)
{
    struct covering *c = arg;
    return ++c->comparisons < COMPARISONS && rule_covers(&c->table->rules[rule], c->inner);
}

/* The first rule before `number` that matches whatever it matches, or `number`. The index is asked
 * as if the rule's own values were the facts: what covers it is found under one of them. */
static uint32_t covering_rule(const struct route_table *t, uint32_t number, uint32_t *comparisons)
{
    struct covering c = { t, &t->rules[number], *comparisons };
    struct keys keys;
    keys_of_rule(&keys, &t->lexicon, c.inner);
    uint32_t found = index_first(&t->login, &keys, number, accept_covering, &c);
    if (!c.inner->is_login) found = index_first(&t->statement, &keys, found, accept_covering, &c);
    *comparisons = c.comparisons;
    return found;
}

void lint_table(const struct route_table *t, struct problems *problems)
{
    uint32_t comparisons = 0, warnings = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        if (comparisons >= COMPARISONS || warnings == WARNINGS) continue;
        uint32_t by = covering_rule(t, i, &comparisons);
        if (by == i) continue;
        const struct rule *shadowed = &t->rules[i], *rule = &t->rules[by];
        problem_warning(problems, shadowed->line,
                        "rule \"%.*s\" can never win: rule \"%.*s\" on line %u matches whatever it "
                        "matches",
                        SLICE_ARG(shadowed->id), SLICE_ARG(rule->id), rule->line);
        warnings++;
    }
    if (comparisons >= COMPARISONS)
        problem_warning(problems, 0,
                        "not all rules were looked at for whether they can win: too many of them "
                        "name nothing exactly");
}
