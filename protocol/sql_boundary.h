/* sql_boundary: is this text a transaction's beginning or end, and nothing else?
 *
 * Only what PostgreSQL and Redshift read alike and what leaves no doubt: one statement, with
 * modes that every server knows. SAVEPOINT, AND CHAIN, PREPARE TRANSACTION and what has a
 * doubtful comment or quote are none of these; nor are several statements.
 *
 *     BEGIN | START TRANSACTION  [WORK | TRANSACTION] [ISOLATION LEVEL ... | READ ONLY | ...]
 *     COMMIT | END | ROLLBACK | ABORT  [WORK | TRANSACTION] [AND NO CHAIN]
 *
 * Pure; linear in the text, of which at most SQL_BOUNDARY_BYTES are looked at (longer: none).
 * Source: PostgreSQL 15, BEGIN, COMMIT, ROLLBACK; Redshift, BEGIN.
 */
#ifndef SLUICE_PROTOCOL_SQL_BOUNDARY_H
#define SLUICE_PROTOCOL_SQL_BOUNDARY_H

#include "protocol/slice.h"

enum { SQL_BOUNDARY_BYTES = 256 };

enum sql_boundary {
    SQL_BOUNDARY_NONE,
    SQL_BOUNDARY_BEGIN, /* without modes */
    SQL_BOUNDARY_BEGIN_WITH,
    SQL_BOUNDARY_START,
    SQL_BOUNDARY_START_WITH,
    SQL_BOUNDARY_COMMIT,
    SQL_BOUNDARY_ROLLBACK,
};

enum sql_boundary sql_boundary(struct slice text);

static inline bool sql_boundary_opens(enum sql_boundary b)
{
    return b >= SQL_BOUNDARY_BEGIN && b <= SQL_BOUNDARY_START_WITH;
}

static inline bool sql_boundary_closes(enum sql_boundary b) { return b >= SQL_BOUNDARY_COMMIT; }

/* The tag of its CommandComplete when all is well. */
const char *sql_boundary_tag(enum sql_boundary b);

#endif
