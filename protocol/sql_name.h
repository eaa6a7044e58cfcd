/* sql_name: the name of a table, function or procedure as it stands in a text.
 *
 * Parts are kept apart and as written (quotes included): `"a.b"` is one part. What
 * a part means depends, for quoted capitals, on a setting of the server that a
 * proxy may not know; hence enum sql_case. Plain value; the text is the caller's.
 */
#ifndef SLUICE_PROTOCOL_SQL_NAME_H
#define SLUICE_PROTOCOL_SQL_NAME_H

#include "protocol/slice.h"

enum { SQL_NAME_PARTS = 4 };

/* Redshift's enable_case_sensitive_identifier. */
enum sql_case {
    SQL_CASE_UNKNOWN, /* then a quoted name with capitals is refused */
    SQL_CASE_FOLD,    /* off: quoted names fold as well */
    SQL_CASE_KEEP     /* on: quoted names are kept */
};

struct sql_name {
    struct slice part[SQL_NAME_PARTS];
    uint32_t at;         /* in the text */
    uint8_t count;       /* of the parts; 0: no name */
    bool temp;           /* #name */
    bool quoted_capital; /* in some part */
};

/* Writes what part `i` names, folded as `mode` says, and returns its length: at most SQL_NAME_BYTES
 * for a name without a lexer's flag, 0 when it does not fit into `cap`. */
size_t sql_name_part(const struct sql_name *name, unsigned i, enum sql_case mode, char *out,
                     size_t cap);

/* Do two tokens name the same? */
bool sql_name_same(struct slice a, struct slice b, enum sql_case mode);

/* The whole name with dots, for people: cut when longer than `cap`, NUL-terminated. */
void sql_name_print(const struct sql_name *name, enum sql_case mode, char *out, size_t cap);

#endif
