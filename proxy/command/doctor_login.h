/* doctor_login: logs in to a cluster as the proxy would, TLS and database credentials included, and
 * leaves again. Blocks while the loop runs, at most for pool.server_connect_timeout.
 */
#ifndef SLUICE_PROXY_COMMAND_DOCTOR_LOGIN_H
#define SLUICE_PROXY_COMMAND_DOCTOR_LOGIN_H

#include "proxy/realm.h"

#include <uv.h>

struct log;

struct doctor_login {
    bool ok;
    double ms;
    char said[520]; /* what the server says of itself, or the error and its hint */
    enum err_code code;
};

/* `shared` has creds. Fills `l`. */
void doctor_login(uv_loop_t *loop, struct shared *shared, struct log *log, struct realm *realm,
                  const struct realm_cluster *cluster, const char *db_user, const char *database,
                  struct doctor_login *l);

#endif
