/* diff: what a new table would change, counted over recorded traffic.
 *
 * Each record is decided by both tables. What differs is counted by the rules that
 * decided, by the change, and by the statement's fingerprint; a record that another rule
 * decides to the same effect is no difference, and is counted apart.
 */
#ifndef SLUICE_ROUTING_DIFF_H
#define SLUICE_ROUTING_DIFF_H

#include "routing/record.h"

struct diff;

enum { DIFF_ROWS_MAX = 10000 }; /* beyond these, differences are counted together */

struct diff_totals {
    uint64_t decisions, same, other_rule, differ, unreadable, regex_limit_hits;
    uint64_t not_listed; /* of `differ`: beyond DIFF_ROWS_MAX */
};

/* Takes a reference to each table. NULL when memory ran out. */
struct diff *diff_new(const struct route_table *before, const struct route_table *after);
void diff_free(struct diff *d);

/* Decides one situation twice. False when memory ran out. */
bool diff_add(struct diff *d, const struct route_facts *facts,
              const struct route_statement *statement, struct slice fingerprint);

/* The same from a line of record.h; an unreadable line is counted, an empty one is not. */
bool diff_add_line(struct diff *d, struct slice line);

const struct diff_totals *diff_totals(const struct diff *d);

/* The report, most frequent differences first; of fingerprints the `most` first of each. */
void diff_text(const struct diff *d, uint32_t most, struct buf *out);
void diff_json(const struct diff *d, struct buf *out);

#endif
