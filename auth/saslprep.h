/* saslprep: passwords as SCRAM wants them (RFC 4013), the way PostgreSQL does it.
 *
 * ASCII stays as it is. Anything else is mapped and normalised (NFKC); a password
 * that is not UTF-8, or that the profile forbids, is taken as the bytes it is,
 * since that is what PostgreSQL and libpq do and what a stored verifier was made
 * from.
 */
#ifndef SLUICE_AUTH_SASLPREP_H
#define SLUICE_AUTH_SASLPREP_H

#include "protocol/buf.h"
#include "protocol/slice.h"

/* Appends the prepared password to `out`, which the caller wipes. False: memory ran out. */
bool saslprep(struct slice password, struct buf *out);

#endif
