/* overview: what the control thread knows of the whole proxy, and can find out.
 *
 *   every second: a sample of all counters, a beat to every worker; with log.emf, a line now and
 *   then; what is wrong is told to the log when it begins and when it ends
 *   overview_ask --survey--> all pools --> diagnosis --> done
 *
 * However many ask, one survey is under way at a time, and ten a second at the most: questions over
 * HTTP must not keep the workers busy. Feeds the metrics, the health, the dashboard and SHOW
 * DIAGNOSIS. A worker that is stuck does not keep the answer: it then comes at once, without pools,
 * and says so. Thread: control's.
 */
#ifndef SLUICE_PROXY_OVERVIEW_H
#define SLUICE_PROXY_OVERVIEW_H

#include "proxy/diagnosis.h"
#include "proxy/emf.h"
#include "proxy/history.h"
#include "proxy/pulse.h"
#include "proxy/realm.h"
#include "proxy/route_keeper.h"
#include "proxy/samples.h"

struct overview {
    struct shared *shared;
    struct log *log;
    struct mailbox *home;
    uv_loop_t *uv;
    struct wheel *wheel;
    struct wheel_node timer;
    struct pulse pulse;
    struct samples samples;
    struct emf emf;
    struct list questions; /* that wait for the survey under way, or for the next */
    struct wheel_node next;
    uint64_t surveyed_ms, looked_ms;
    bool is_trouble[DIAGNOSIS_CAUSES]; /* the log has been told */
    bool surveying;
    /* Kept up to date by control. */
    struct realm *realm;        /* in force */
    struct route_force *routes; /* likewise */
    const struct route_keeper *keeper;
    struct history history;
};

/* `wheel` must outlive it. False: no memory. */
bool overview_open(struct overview *o, struct wheel *wheel);
void overview_stop(struct overview *o); /* no further samples */
void overview_free(struct overview *o); /* after the workers have ended */

/* The answer; everything in it is valid during `done` only. */
struct overview_answer {
    const struct overview *overview;
    const struct survey *survey; /* NULL: a worker is stuck */
    const struct pool_facts *pools;
    size_t n_pools;
    struct diagnosis diagnosis;
    void *owner;
    uint64_t number; /* the asker's own */
};
typedef void overview_done(struct overview_answer *a);

/* Calls `done` once, now or later, unless the loop ends before. False: no memory. */
bool overview_ask(struct overview *o, overview_done *done, void *owner, uint64_t number);

#endif
