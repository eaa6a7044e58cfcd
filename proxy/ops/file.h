/* file: reading a whole file, once, without leaving copies of it about. */
#ifndef SLUICE_PROXY_OPS_FILE_H
#define SLUICE_PROXY_OPS_FILE_H

#include "protocol/buf.h"
#include "protocol/err.h"

/* Appends the file to `out`, whose room for `cap_bytes` and one is taken at once: growing would
 * leave copies behind, and so would stdio; whoever reads a secret wipes `out` and nothing is left.
 * Blocks; not for a loop's thread. False with err set (ERR_CONFIG: why, without the path); `out`
 * may then hold a part of it. */
bool file_read(const char *path, size_t cap_bytes, struct buf *out, struct err *err);

/* Whether it is there and others than its owner and group may read it. */
bool file_is_exposed(const char *path);

#endif
