#include "proxy/history.h"

#include "proxy/ops/config_settings.h"

#include <stdio.h>
#include <time.h>

static void list_changes(const struct config *before, const struct config *after, char *out,
                         size_t size)
{
    struct config_changes changes;
    config_changes_init(&changes, before, after);
    int len =
        snprintf(out, size, changes.count == 1 ? "%zu directive" : "%zu directives", changes.count);
    for (size_t i = 0; i < changes.count && len > 0 && (size_t)len < size; i++) {
        const struct config_change *c = &changes.items[i];
        len += snprintf(out + len, size - (size_t)len, "%s%s", i ? ", " : ": ",
                        (c->after ? c->after : c->before)->path);
    }
    config_changes_fini(&changes);
}

void history_add(struct history *h, const char *who, uint64_t generation,
                 const struct config *before, const struct config *after, const char *why)
{
    struct history_load *l = &h->ring[h->count++ % HISTORY_KEPT];
    *l = (struct history_load){ .at_s = (uint64_t)time(NULL),
                                .generation = generation,
                                .ok = after != NULL };
    snprintf(l->who, sizeof l->who, "%s", who);
    snprintf(l->result, sizeof l->result, "%s", after ? "loaded" : why);
    if (before && after) list_changes(before, after, l->changes, sizeof l->changes);
}

const struct history_load *history_last(const struct history *h)
{
    return h->count ? &h->ring[(h->count - 1) % HISTORY_KEPT] : NULL;
}

void history_show(const struct history *h, struct rows *r)
{
    for (uint64_t back = 1; back <= h->count && back <= HISTORY_KEPT; back++) {
        const struct history_load *l = &h->ring[(h->count - back) % HISTORY_KEPT];
        rows_time(r, l->at_s);
        rows_number(r, l->generation);
        rows_text(r, slice_str(l->who));
        rows_text(r, slice_str(l->result));
        rows_text(r, slice_str(l->changes));
    }
}
