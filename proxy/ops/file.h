/* file: reading a whole file, once, without leaving copies of it about; writing one whole. */
#ifndef SLUICE_PROXY_OPS_FILE_H
#define SLUICE_PROXY_OPS_FILE_H

#include "protocol/buf.h"
#include "protocol/err.h"

/* Appends the file to `out`, whose room for `cap_bytes` and one is taken at once: growing would
 * leave copies behind, and so would stdio; whoever reads a secret wipes `out` and nothing is left.
 * Blocks; not for a loop's thread. False with err set (ERR_CONFIG: why, without the path); `out`
 * may then hold a part of it. */
bool file_read(const char *path, size_t cap_bytes, struct buf *out, struct err *err);

/* Writes a file that readers see whole, the old one or the new one, also after a crash: beside it,
 * then renamed. `mode` is that of a new file. Blocks. False with err set (ERR_CONFIG: why). */
bool file_replace(const char *path, struct slice content, unsigned mode, struct err *err);

/* Appends one piece, in one write. As above. */
bool file_append(const char *path, struct slice piece, unsigned mode, struct err *err);

/* Seconds since it was last written; 0 when it is not there. */
int64_t file_age_s(const char *path);

/* Whether it is there and others than its owner and group may read it. */
bool file_is_exposed(const char *path);

#endif
