/* index: which rules are worth trying at all. Internal to routing/.
 *
 * What of a condition can be exact is a *term*: a whole name, the first or last
 * bytes of a glob, the leading bits of a network, a verb, a flag. A rule is filed under its
 * rarest term, and where that leaves it among many, under one or two more of its
 * conditions:
 *
 *      facts --lexicon--> terms --nodes--> rules filed under that term alone
 *                                    `---> groups: "and a role too" --hash--> rules
 *
 * So a decision costs a look-up for each term that the facts have, and grows with the
 * rules that share them, not with those that cannot match. What is found is tried in
 * full: terms are known by their hashes only, and a collision, or a head that is too
 * short, costs time and never changes the answer. (Terms come from the admin's
 * document, so nobody gains by making them collide.) Rules without a term (an
 * expression alone, hours alone, a glob between two stars) are tried one by one.
 */
#ifndef SLUICE_ROUTING_INDEX_H
#define SLUICE_ROUTING_INDEX_H

#include "routing/arena.h"
#include "routing/route.h"

struct rule;

enum {
    TERM_WHOLE,    /* the whole text */
    TERM_HEAD = 1, /* eight lengths of heads */
    TERM_TAIL = 9, /* and of tails */
    TERM_LENGTHS = 17,
    KEYS_MAX = 160,
    INDEX_DEPTH = 3, /* conditions that a rule is filed under, at most */
};

/* The terms of all conditions of a table, numbered from 1. */
struct lexicon {
    struct lexeme {
        uint64_t hash; /* 0: free */
        uint32_t id;
    } * slots;
    uint32_t count, cap;
    uint32_t lengths[ROUTE_CONDITIONS]; /* which are in use, bit by number */
};

/* The terms that hold for some facts, by condition. */
struct keys {
    uint32_t ids[KEYS_MAX];
    uint8_t from[ROUTE_CONDITIONS], count[ROUTE_CONDITIONS];
    uint8_t used;
    bool is_full; /* there were more terms than room: the index cannot be asked */
};

struct index_span {
    uint32_t from, count; /* in index.rules */
};

/* A combination of further conditions under which some rules of a node are filed. */
struct index_group {
    uint16_t mask; /* of conditions, bit by number */
    uint8_t depth, conditions[INDEX_DEPTH - 1];
};

struct index_node {
    struct index_span alone;
    uint32_t group_from, group_count;
};

struct index_bucket {
    uint64_t hash; /* 0: free */
    struct index_span span;
};

struct index {
    const struct index_node *nodes; /* by term */
    uint32_t node_count;
    const struct index_group *groups;
    const struct index_bucket *buckets;
    uint32_t bucket_mask;
    struct index_span termless;
    bool is_termless_cheap; /* to be tried first, not last */
    const uint32_t *rules;
    uint32_t rule_count; /* in all */
};

void lexicon_fini(struct lexicon *l);

/* Files the login rules, or the others. False when memory ran out. */
bool index_build(struct index *ix, struct lexicon *l, struct arena *a, const struct rule *rules,
                 uint32_t count, bool login);

/* The terms that hold for a session; then, on top, for a statement of it. */
void keys_of_session(struct keys *k, const struct lexicon *l, const struct route_facts *facts);
void keys_add_statement(struct keys *k, const struct lexicon *l, const struct route_statement *s);

/* The terms that one value of each of a rule's conditions has: what covers the rule needs no more.
 */
void keys_of_rule(struct keys *k, const struct lexicon *l, const struct rule *r);

/* The lowest-numbered rule below `before` that `accept` takes, or `before`. Rules are offered in no
 * particular order, and never one above the best so far. */
uint32_t index_first(const struct index *ix, const struct keys *k, uint32_t before,
                     bool (*accept)(void *arg, uint32_t rule), void *arg);

#endif
