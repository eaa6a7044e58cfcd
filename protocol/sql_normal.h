/* sql_normal: what a statement is, without what it says: its text with no literals in it.
 *
 *   INSERT INTO Events (id, kind) VALUES (1, 'a'), (2, 'b') -- batch 7
 *   insert into events(id, kind) values(?)
 *
 * Comments go, words fold, every literal, number and parameter becomes `?`, a list of them one
 * `?`, and of the rows of VALUES the first one stays: so that however many rows are sent and
 * whatever is in them, the normal text is the same. For statistics, routing rules and the audit
 * log; never for deciding whether a statement may run.
 */
#ifndef SLUICE_PROTOCOL_SQL_NORMAL_H
#define SLUICE_PROTOCOL_SQL_NORMAL_H

#include "protocol/buf.h"

/* Appends the normal text, at most `cap` bytes of it. False when the text cannot be read beyond
 * doubt (sql_lex): then what was appended may be cut short, but holds no literal still. */
bool sql_normalize(struct slice text, size_t cap, struct buf *out);

/* Words behind which a secret stands: PASSWORD, CREDENTIALS, ACCESS_KEY_ID, ... In normal text a
 * quoted name there counts as a literal: somebody took the wrong quotes. */
bool sql_announces_secret(struct slice word);

/* A hash of the whole normal text (FNV-1a, 64 bits), the same on every machine and in every
 * version that normalizes alike; of the text's length and first
 * 64 KiB when it cannot be read. */
uint64_t sql_fingerprint(struct slice text);

#endif
