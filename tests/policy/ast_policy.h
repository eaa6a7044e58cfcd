/* ast_policy: the policy once more, over PostgreSQL's own parse tree.
 *
 * Written from the rules and not from the product: it walks the tree that libpg_query prints as
 * JSON, and knows nothing of text. Where PostgreSQL's grammar ends (COPY's options, UNLOAD,
 * #names), so does it. An oracle for tests.
 */
#ifndef SLUICE_TESTS_AST_POLICY_H
#define SLUICE_TESTS_AST_POLICY_H

#include "policy/world.h"

#include <cjson/cJSON.h>

/* May the role send these statements? When not, `why` says what is too much. */
bool ast_allows(const cJSON *tree, const struct world_role *role, char *why, size_t cap);

#endif
