/* privilege: from root to a system user, for good. */
#ifndef SLUICE_PROXY_OPS_PRIVILEGE_H
#define SLUICE_PROXY_OPS_PRIVILEGE_H

#include "protocol/err.h"

/* Whether this process is root, really or effectively. */
bool privilege_is_root(void);

/* Gives a file to that user and its group. */
bool privilege_give(const char *user, const char *path, struct err *err);

/* Becomes `user`, with its groups; there is no way back, and none for programs that it starts.
 * Before any other thread runs. False with `err`: still root, and must not go on. */
bool privilege_drop(const char *user, struct err *err);

#endif
