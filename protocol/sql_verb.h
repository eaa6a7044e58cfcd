/* sql_verb: what may be done to an object, as grants call it. The list is sql_verb.def. */
#ifndef SLUICE_PROTOCOL_SQL_VERB_H
#define SLUICE_PROTOCOL_SQL_VERB_H

#include "protocol/slice.h"

enum sql_verb {
#define VERB(id, text) SQL_VERB_##id,
#include "protocol/sql_verb.def"
#undef VERB
    SQL_VERB_COUNT
};

/* A set of verbs is a uint32_t of 1 << verb. The word ALL is all of them and a bit of its own:
 * naming each does not make a role unrestricted. */
#define SQL_VERBS_ALL ((2U << SQL_VERB_COUNT) - 1)

const char *sql_verb_name(enum sql_verb verb); /* "INSERT" */

/* The set that a word of a grant stands for, in any case; ALL is all of them; 0 for another word.
 */
uint32_t sql_verb_find(struct slice word);

#endif
