/* places: where the clusters are whose endpoint the configuration does not name.
 *
 * DescribeClusters or GetWorkgroup, asked when somebody wants to log in and nothing is known yet,
 * again once what is known is old; once at a time, however many wait. What was known stays in use
 * while AWS cannot be asked. A paused cluster, one that is being made and one that is gone are told
 * apart.
 *
 * Owner: creds. Thread: the control thread's.
 */
#ifndef SLUICE_PROXY_PLACES_H
#define SLUICE_PROXY_PLACES_H

#include "proxy/aws_errand.h"

struct place;

struct places {
    struct map by_key;
    struct wheel *wheel;
    struct log *log;
};

/* Somebody who waits; on no list: not waiting. */
struct place_wait {
    struct list node;
    /* `err` NULL: it is known now. `for_good`: waiting would not help. */
    void (*ready)(struct place_wait *w, const struct err *err, bool for_good);
};

void places_init(struct places *p, struct wheel *wheel, struct log *log, struct map_seed seed);
void places_fini(struct places *p);

/* The place of a cluster; NULL when memory ran out. The identity must outlive it. */
struct place *places_get(struct places *p, const struct config_cluster *cluster,
                         struct aws_identity *identity);

/* True: it is known. False: `w` is told, later or (an error) at once. */
bool place_use(struct place *place, struct place_wait *w);

/* How the asking stands, for somebody who will wait no longer. */
void place_explain(const struct place *place, struct err *err);

/* Nobody answers there any more: the next to want it makes us ask again. */
void place_doubt(struct place *place);

const char *place_host(const struct place *place);
uint16_t place_port(const struct place *place);

#endif
