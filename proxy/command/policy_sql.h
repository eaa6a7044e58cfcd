/* policy_sql: a role of the configuration as the statements that give a server the same rule.
 *
 * The second line of defence: what the proxy refuses, the database user cannot do
 * either. Redshift's dialect; what its GRANT cannot say stands there as a comment.
 */
#ifndef SLUICE_PROXY_COMMAND_POLICY_SQL_H
#define SLUICE_PROXY_COMMAND_POLICY_SQL_H

#include "protocol/buf.h"
#include "proxy/ops/config.h"

void policy_sql(const struct config_role *role, const char *db_user, struct buf *out);

#endif
