/* explain: why a decision came out as it did, rule by rule.
 *
 * The verdict is route_decide's own. The rows before it come from trying the rules in
 * order with the very function that the decision uses, so that the two can only
 * differ if the index is wrong (a test asks both 100,000 times).
 *
 *      struct explain x;
 *      explain_begin(&x, table, &facts, &statement);
 *      while (explain_next(&x, &row)) ...
 *      explain_end(&x);
 *
 * Text shows the facts as they came: escape it where it meets a terminal or a page.
 */
#ifndef SLUICE_ROUTING_EXPLAIN_H
#define SLUICE_ROUTING_EXPLAIN_H

#include "routing/route.h"

struct view;

enum explain_verdict {
    EXPLAIN_WINS,      /* the rule that the decision names */
    EXPLAIN_GOVERNS,   /* the login rule, behind a statement rule that won */
    EXPLAIN_FAILS,     /* `condition` does not hold */
    EXPLAIN_NOT_ASKED, /* a statement rule, at login or behind one that won */
};

struct explain_row {
    uint32_t rule;
    enum explain_verdict verdict;
    enum route_condition condition; /* of EXPLAIN_FAILS: the first that failed */
};

struct explain {
    const struct route_table *table;
    const struct route_facts *facts;
    const struct route_statement *statement;
    struct route_decision decision;
    struct view *login_view, *statement_view;
    uint32_t next;
};

/* `statement` NULL: at login. What is pointed to must live until explain_end. False when memory
 * ran out; explain_end is due all the same. */
bool explain_begin(struct explain *x, const struct route_table *table,
                   const struct route_facts *facts, const struct route_statement *statement);

/* The next rule, in order, up to the login rule that decided. */
bool explain_next(struct explain *x, struct explain_row *row);
void explain_end(struct explain *x);

/* What a condition of a rule wants, and what the facts have: `"loader", "etl_*"` and `"ana"`. */
void explain_wants(const struct route_table *table, uint32_t rule, enum route_condition c,
                   struct buf *out);
void explain_has(const struct explain *x, uint32_t rule, enum route_condition c, struct buf *out);

/* The whole of it, for a person and for a program. Of rules that fail, the first `most` are shown
 * and the rest counted. False when memory ran out. */
bool explain_text(const struct route_table *table, const struct route_facts *facts,
                  const struct route_statement *statement, uint32_t most, struct buf *out);
bool explain_json(const struct route_table *table, const struct route_facts *facts,
                  const struct route_statement *statement, uint32_t most, struct buf *out);

#endif
