/* traffic: routing decisions on record, to try the next table on.
 *
 *   guide --traffic_wants--> traffic_add --> FILE, a line each (routing/record.h)
 *                                            FILE.1 when that is full; what was there goes
 *   sluice route diff OLD NEW --traffic FILE
 *
 * A sample: so many decisions a second, so many bytes, and no more. No literals: of a statement
 * its verb, its tables, and its normalised text. Mode 0600, for it names users, addresses and
 * tables. What cannot be written is lost and counted, and stops nobody.
 * Thread: any; one mutex, one write(2) per line; traffic_wants costs an atomic load when nothing
 * is recorded.
 */
#ifndef SLUICE_PROXY_TRAFFIC_H
#define SLUICE_PROXY_TRAFFIC_H

#include "proxy/ops/config.h"
#include "proxy/ops/log.h"
#include "routing/route.h"

#include <pthread.h>
#include <stdatomic.h>

struct traffic {
    atomic_bool is_on;
    pthread_mutex_t lock; /* of all below */
    struct log *log;
    int fd;
    char *path;
    uint64_t size, cap_bytes;
    uint32_t per_second, left;
    int64_t second;
    bool is_failing;
};

void traffic_init(struct traffic *t, struct log *log);
void traffic_fini(struct traffic *t);

/* At start and at each reload: opens what the settings name, anew; NULL path: nothing. What cannot
 * be opened is told to the log, and tried again at the next reload. */
void traffic_open(struct traffic *t, const struct config_routes *settings);

static inline bool traffic_is_on(const struct traffic *t)
{
    return atomic_load_explicit(&t->is_on, memory_order_relaxed);
}

/* Whether a decision of this second is to be recorded; takes its place in the sample. */
bool traffic_wants(struct traffic *t, int64_t now_s);

/* `statement` NULL: a login; else `fingerprint` is of its whole text. */
void traffic_add(struct traffic *t, const struct route_facts *facts,
                 const struct route_statement *statement, uint64_t fingerprint);

#endif
