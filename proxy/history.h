/* history: which configurations were loaded, when, by whom, and with what result.
 *
 * Of this process, the last 50 loads, failed ones too; a ring of fixed size.
 * Ownership: control's. Thread: control's.
 */
#ifndef SLUICE_PROXY_HISTORY_H
#define SLUICE_PROXY_HISTORY_H

#include "proxy/ops/admin_rows.h"
#include "proxy/ops/config.h"

enum { HISTORY_KEPT = 50 };

struct history_load {
    uint64_t at_s, generation; /* the generation in force afterwards */
    bool ok;
    char who[72];      /* "start", "SIGHUP", "console: ops" */
    char result[256];  /* "loaded", or the first error */
    char changes[256]; /* "3 directives: pool.size, ..." */
};

struct history {
    struct history_load ring[HISTORY_KEPT];
    uint64_t count;
};

/* `before` NULL: there was none. `after` NULL: it came to nothing, and `why` says so. */
void history_add(struct history *h, const char *who, uint64_t generation,
                 const struct config *before, const struct config *after, const char *why);

/* The newest, or NULL. */
const struct history_load *history_last(const struct history *h);

/* Rows of SHOW HISTORY. */
void history_show(const struct history *h, struct rows *r);

#endif
