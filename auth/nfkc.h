/* nfkc: Unicode's compatibility composition (UAX #15), for SASLprep.
 *
 * Knows the characters that Unicode 3.2 had, which are all that SASLprep lets
 * through; the others pass unchanged.
 */
#ifndef SLUICE_AUTH_NFKC_H
#define SLUICE_AUTH_NFKC_H

#include "protocol/buf.h"

/* Appends NFKC of `count` code points to `out` as uint32_t in the machine's order. The memory used
 * on the way is wiped. False: no memory. */
bool nfkc(const uint32_t *codes, size_t count, struct buf *out);

#endif
