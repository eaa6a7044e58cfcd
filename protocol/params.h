/* params: what a server has said of itself in ParameterStatus messages.
 *
 * A small ordered set of names and values, kept exactly as they came (Redshift
 * says "datestyle" where PostgreSQL says "DateStyle"), unknown ones included.
 * Replayed to clients as they came, but for one thing: client_encoding UNICODE
 * is shown as UTF8, PostgreSQL's name of the same, because drivers refuse to
 * work with anything they cannot name. standard_conforming_strings is never
 * invented: clients that do not see it escape safely.
 */
#ifndef SLUICE_PROTOCOL_PARAMS_H
#define SLUICE_PROTOCOL_PARAMS_H

#include "protocol/buf.h"

struct params {
    struct buf pairs; /* name NUL value NUL, in the order of arrival */
};

void params_fini(struct params *p);

/* Adds or replaces. False when memory ran out (nothing changed then). */
bool params_set(struct params *p, struct slice name, struct slice value);

/* The value, or a slice with at == NULL. Case as given. */
struct slice params_get(const struct params *p, const char *name);

/* Walks the pairs: *at = 0 to begin; false at the end. */
bool params_next(const struct params *p, uint32_t *at, struct slice *name, struct slice *value);

/* The value as clients are to see it. */
struct slice params_shown(struct slice name, struct slice value);

/* Whether a value of client_encoding means UTF-8. */
bool params_is_utf8(struct slice encoding);

/* Can a text in this client_encoding be read byte by byte, as PostgreSQL's own scanner does? In the
 * others the second byte of a character may be a backslash, a quote or a letter. Unknown: no. */
bool params_is_readable(struct slice encoding);

/* Appends one ParameterStatus message for each pair, as clients are to see them. */
void params_replay(const struct params *p, struct buf *out);

/* What clients settle on for as long as they are connected: two servers of one kind can take turns
 * for a client without its noticing. Not the settings, which are brought along. */
uint64_t params_kind(const struct params *p);

bool params_copy(struct params *to, const struct params *from);

#endif
