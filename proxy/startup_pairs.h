/* startup_pairs: from a client's startup packet to a server's.
 *
 * Sorts the keys by startup_key.def and writes what may go to a server as pairs,
 * key NUL value NUL, in a fixed order, so that equal wishes give equal bytes.
 * `options` is taken apart (-c name=value) and its settings are treated as keys of
 * their own; anything else in it is left out. What a restricted role asks for in vain is told it in
 * a notice.
 */
#ifndef SLUICE_PROXY_STARTUP_PAIRS_H
#define SLUICE_PROXY_STARTUP_PAIRS_H

#include "protocol/buf.h"

enum { STARTUP_IGNORED_MAX = 8 };

struct startup_wishes {
    struct buf pairs;     /* FORWARD and VERSION keys; buf_fini by the caller */
    struct slice version; /* client_protocol_version; empty: none */
    struct slice ignored[STARTUP_IGNORED_MAX]; /* keys nobody knows, or that may not be; into the
                                                  packet */
    size_t n_ignored;
    const char *refused[STARTUP_IGNORED_MAX]; /* of these, what a restricted role may not set */
    size_t n_refused;
};

/* False when memory ran out. `parameters` as startup_next walks them. `restricted`: of a role whose
 * statements are judged; then only what it might SET (auth/grants_setting.def) goes further, and
 * the rest is ignored: search_path, client_encoding and what else changes the meaning of a text. */
bool startup_wishes(struct slice parameters, bool restricted, struct startup_wishes *out);

/* Takes a key out of pairs. */
void startup_pairs_remove(struct buf *pairs, struct slice name);

#endif
