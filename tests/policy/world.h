/* world: the tables, the roles and the statements that the policy's oracles are tried with.
 *
 * A statement is random from a seed: made by a grammar, or one so made with some tokens changed.
 */
#ifndef SLUICE_TESTS_POLICY_WORLD_H
#define SLUICE_TESTS_POLICY_WORLD_H

#include "auth/grants.h"
#include "protocol/buf.h"

/* ---- roles --------------------------------------------------------------------------------- */

struct world_grant {
    const char *pattern, *verbs; /* `schema.table`, `schema.*` or `*`; verbs with blanks between */
};

struct world_role {
    const char *name, *search_path;
    struct world_grant grants[6];
};

extern const struct world_role world_roles[];
extern const unsigned world_role_count;

/* The role compiled by the product. */
struct grants *world_compile(const struct world_role *role);

/* Read from the table above by other code than the product's: is `verb` granted on the relation?
 * A schema that is not given is every one of the search_path. */
bool world_allows(const struct world_role *role, const char *verb, const char *schema,
                  const char *relation);

/* The SQL that makes schemas, tables and, as users, the roles with exactly their grants. Every
 * table tells in a notice `touched SCHEMA.TABLE VERB` when it is changed; and definitions, `touched
 * ...`. */
void world_write_sql(struct buf *out);

/* ---- statements ---------------------------------------------------------------------------- */

struct generator {
    uint64_t state;
    struct buf *out;
    int depth;
};

struct generator generator_new(uint64_t seed);

/* A random number below `n`. */
uint32_t generator_below(struct generator *g, uint32_t n);

/* Writes a message of one statement, seldom of several; or such a message, or `source` (which may
 * be empty), with a few tokens taken out, doubled, exchanged, or put in. */
void generate_text(struct generator *g, struct slice source);

/* Writes `text` so that it must mean the same: other blanks and comments between tokens, other
 * letters in words. False: there is no telling where its tokens are. */
bool generate_disguise(struct generator *g, struct slice text);

#endif
