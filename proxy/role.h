/* role: from a role of the configuration to one that can judge. */
#ifndef SLUICE_PROXY_ROLE_H
#define SLUICE_PROXY_ROLE_H

#include "auth/grants.h"
#include "proxy/ops/config.h"

/* The configuration's set of verbs in the words of grants: 1 << enum sql_verb. */
uint32_t role_verbs(uint32_t set);

/* `statement_bytes`: the longest statement it may send; 0: the default. NULL and `err` when a grant
 * is wrong or memory ran out. */
struct grants *role_compile(const struct config_role *role, size_t statement_bytes,
                            uint64_t generation, struct map_seed seed, struct err *err);

#endif
