/* rule: a routing rule, compiled. Internal to routing/.
 *
 * What build.c makes, route.c tries, index.c files, and lint.c compares. Everything
 * hangs in the table's arena; nothing changes once the table is made.
 */
#ifndef SLUICE_ROUTING_RULE_H
#define SLUICE_ROUTING_RULE_H

#include "routing/index.h"
#include "routing/route.h"
#include "routing/zone.h"

enum condition_kind { FLAG, NAMES, NETWORKS, WEEKDAYS, HOURS, SHARE, VERBS, EXPRESSIONS };

enum { FLAG_FALSE = 1, FLAG_TRUE = 2 };

struct expression {
    struct regex *regex;
    struct slice pattern;
};

struct condition {
    enum route_condition name;
    union {
        uint8_t flags;        /* FLAG: which of the two will do */
        struct match_set set; /* NAMES, VERBS */
        uint8_t weekdays;     /* bit 0: Monday */
        struct {
            const struct match_cidr *at;
            uint32_t count;
        } networks;
        struct {
            const struct match_hours *at;
            uint32_t count;
        } hours;
        struct {
            struct map_seed seed;
            uint32_t ppm;
        } share;
        struct {
            const struct expression *at;
            uint32_t count;
        } expressions;
    };
};

struct rule {
    struct slice id;
    uint32_t line;
    bool is_login;
    uint64_t hash;
    const struct condition *when; /* in the order of condition.def */
    uint32_t when_count;
    const struct zone *zone;
    struct slice zone_name;

    const struct slice *to;
    uint32_t to_count;
    struct slice db_user, database, query_group, deny, pool;
    const struct slice *local_answers;
    uint32_t local_answer_count;
};

struct route_table {
    uint32_t references; /* atomic; the one thing that changes */
    struct arena arena;
    uint64_t version;
    const struct rule *rules;
    uint32_t count;
    struct lexicon lexicon;
    struct index login, statement;
};

/* What a rule is tried against: the session's facts with the time and query_group that count for
 * this kind of rule. Lives for one decision. */
struct view {
    const struct route_facts *facts;
    const struct route_statement *statement; /* NULL for login rules */
    struct slice query_group;
    int64_t at_s;
    struct regex_scratch *scratch, *own_scratch; /* own: made here, freed by view_fini */
    uint32_t regex_limit_hits;
    const struct zone *zone; /* the one that minute_of_week is for */
    unsigned minute_of_week;
};

void view_init(struct view *v, const struct route_facts *facts,
               const struct route_statement *statement);
void view_fini(struct view *v);

/* The first condition that does not hold; NULL when the rule matches. The data path and explain
 * both ask this, and nothing else decides whether a rule matches. */
const struct condition *rule_failing(const struct rule *r, struct view *v);

/* Whether it could match this session at some moment, with some statement and query_group. */
bool rule_may_match(const struct rule *r, struct view *v);

enum condition_kind condition_kind(enum route_condition c);

/* Whatever matches `inner` matches `outer` too, for all we can tell. Never true falsely. */
bool rule_covers(const struct rule *outer, const struct rule *inner);

#endif
