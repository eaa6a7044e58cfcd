/* statement: what routing rules may ask of a statement, read from its text.
 *
 * The data path, `route explain` and the console all take the facts of a statement from
 * here. Of a message with several statements the verb is that of the first which is not
 * BEGIN, START, SET, RESET or SHOW (all of a message goes one way, and these come before
 * what is meant), the tables are those of all.
 *
 * A name without a schema gets the first of the search_path, or `public`; of a name with
 * a database the last two parts count. What cannot be read to its end has a verb all the
 * same, and the tables up to there: routing is no permission, so this may be a guess.
 */
#ifndef SLUICE_ROUTING_STATEMENT_H
#define SLUICE_ROUTING_STATEMENT_H

#include "routing/route.h"

enum { STATEMENT_TABLES = 64 }; /* that are looked at; more are not */

struct statement {
    struct slice verb;
    struct slice tables[STATEMENT_TABLES];
    uint32_t table_count;
    bool is_read; /* to its end */
    struct buf names, text;
};

/* Reads `sql`; `search_path` as in the configuration, comma-separated, or empty. The verb outlives
 * the statement, all else is freed by statement_fini. False when memory ran out. */
bool statement_read(struct statement *s, struct slice sql, struct slice search_path);

/* The same of what `needs` (enum route_need) asks for; the rest is left empty. */
bool statement_read_needed(struct statement *s, struct slice sql, struct slice search_path,
                           uint8_t needs);
void statement_fini(struct statement *s);

/* As facts; they point into the statement. */
struct route_statement statement_facts(const struct statement *s, struct slice query_group,
                                       int64_t at_s, struct regex_scratch *scratch);

#endif
