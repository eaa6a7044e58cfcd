/* survey: one question to all workers, one answer.
 *
 *   survey_start --mail--> worker 0: visit -.
 *                --mail--> worker 1: visit --+--last one--> home's mailbox: done
 *                --mail--> worker n: visit -'
 *
 * What lives on a worker is only ever read on its own thread: each worker fills its own
 * part, and the one that is last posts the whole back. A worker that has stopped is
 * passed over; its part stays empty.
 * Ownership: the survey's own until `done`, which receives it and frees it with
 * survey_free. Thread: survey_start and done, the asker's; visit, each worker's.
 */
#ifndef SLUICE_PROXY_SURVEY_H
#define SLUICE_PROXY_SURVEY_H

#include "proxy/io/mailbox.h"
#include "proxy/ops/admin_rows.h"
#include "proxy/shared.h"

#include <stdatomic.h>

struct survey;

enum { SURVEY_ARGUMENT_BYTES = ADMIN_NAME_BYTES }; /* no longer one goes to all workers */

struct survey_part {
    struct mail mail;
    struct survey *survey;
    struct rows rows;
    uint64_t number; /* a count, for questions that want no more */
};

struct survey {
    /* Set by the asker. */
    void (*visit)(struct worker *w, struct survey_part *part);
    void (*done)(struct survey *s);
    struct mailbox *home; /* where `done` is called */
    void *owner;          /* of the asker's thread alone: may be cleared while it is under way */
    uint64_t number;      /* arguments of the question */
    char text[SURVEY_ARGUMENT_BYTES];
    /* Its own. */
    struct mail answer;
    struct map_seed seed;
    atomic_uint pending;
    unsigned n_parts;
    struct survey_part parts[];
};

/* Room for a part of each worker; NULL: no memory. */
struct survey *survey_new(const struct shared *shared);

/* Asks. `done` comes later, once, unless home's mailbox has closed by then: then the survey is
 * freed. */
void survey_start(struct survey *s, const struct shared *shared);

/* The sum of all parts' numbers. */
uint64_t survey_sum(const struct survey *s);

/* All parts' rows as messages; see rows_join. */
uint64_t survey_join(const struct survey *s, const struct rows_shape *shape, rows_finish *finish,
                     void *context, struct buf *out);

void survey_free(struct survey *s);

#endif
