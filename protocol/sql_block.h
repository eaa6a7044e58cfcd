/* sql_block: runs over rows of VALUES 64 bytes at a time, where the processor can.
 *
 *      (1, 'it''s', 2.5), (-3, 'x'), (4, NULL)
 *      `---- passed ----'  ^ a hyphen may begin a comment: here the skim takes over
 *
 * Between tokens of a statement that is not an INSERT's rows nearly every byte is a letter, and
 * this is of no use. It knows literals without backslashes, and bytes that mean nothing to the skim
 * (classes before STOPS in sql_skim.c): digits, blanks, brackets, commas and the like. It decides
 * nothing; whatever else it meets, it stops at.
 * As simdjson finds JSON's strings: a mask of the quotes, and the sum of each bit with all before
 * it.
 */
#ifndef SLUICE_PROTOCOL_SQL_BLOCK_H
#define SLUICE_PROTOCOL_SQL_BLOCK_H

#include "protocol/slice.h"

enum { SQL_BLOCK_BYTES = 64 };

/* From between two tokens: how many bytes of `text` were passed; 0 where there is no whole block,
 * or this processor has no AVX2. `*in_literal`: they end within a literal. */
size_t sql_block_pass(struct slice text, bool *in_literal);

#endif
