/* route_force: the routing table in force, ready for the data path.
 *
 * A table with what its rules say of pools, and the document that it was made from.
 * Immutable once made, counted by reference (atomically), and swapped by itself: a new
 * table needs no new configuration, and nobody who is in is dropped by it.
 *
 *   a source has a new document          (control thread)
 *     route_force_new      checks it against the configuration in force; all problems, or a table
 *     control_take_routes  puts it in force: mailed to the workers, logged, counted
 *       worker: env.routes                what a session asks at login and for each transaction
 *
 *   a new configuration (SIGHUP, RELOAD)
 *     route_force_load     its file, read again; or the document in force, checked again
 *
 * A table that is refused changes nothing: the one in force stays. Not where tables come
 * from, nor what a session does with one (guide.h).
 */
#ifndef SLUICE_PROXY_ROUTE_FORCE_H
#define SLUICE_PROXY_ROUTE_FORCE_H

#include "proxy/ops/config.h"
#include "routing/route.h"

#include <stdatomic.h>

struct route_stat;
struct route_stats;

struct route_force {
    atomic_uint refs;
    const struct route_table *table; /* NULL: there is none, all goes to the first cluster */
    struct buf document;             /* its text; empty: as above */
    struct config *config;           /* what it was checked against */
    struct config *keeper;           /* of what `pools` point to */
    struct config_pool *pools;       /* by rule: what its sessions get */
    uint32_t n_pools;
    struct route_stat **stats; /* by rule; NULL until it was put in force */
    uint64_t serial;           /* tells tables apart that were in force; 0: it never was */
};

/* Makes one of a document. `name` stands before each problem, as in NAME:LINE (in the problem's
 * text, since the problems may be a configuration's). `newest_version`: no document may claim a
 * higher one; 0: nobody knows. NULL when there is an error. Keeps a reference to `config`. */
struct route_force *route_force_new(struct config *config, struct slice document, const char *name,
                                    uint64_t newest_version, struct problems *problems);

/* The table for a configuration that is about to be in force: from its file, or, where the source
 * is none, of `before`'s document (NULL: none). */
struct route_force *route_force_load(struct config *config, const struct route_force *before,
                                     struct problems *problems);

/* Control's, before it is in force: its rules go on counting where they left off. False when memory
 * ran out; then some rules are not counted. */
bool route_force_count(struct route_force *f, struct route_stats *stats, uint64_t serial);

/* The candidate that the configuration names: the same, with `table` NULL when there is none. */
struct route_force *route_force_load_shadow(struct config *config, struct problems *problems);

struct route_force *route_force_ref(struct route_force *f);
void route_force_unref(struct route_force *f); /* NULL is fine */

/* The pool settings of a login rule's sessions. */
const struct config_pool *route_force_pool(const struct route_force *f, uint32_t rule);

/* Control's side of it, on the control thread: puts a table in force, and takes over the reference.
 * `control` is its mailbox's owner, as in control_order.h. False, and nothing happened: the table
 * was made for a configuration that is not the one in force any more; make it again. */
bool control_take_routes(void *control, struct route_force *f);

/* The same for a candidate table that is asked beside the one in force: see SHOW SHADOW. One with
 * `table` NULL ends that. */
bool control_take_shadow(void *control, struct route_force *f);

/* The table and the configuration in force, on the control thread; borrowed. */
const struct route_force *control_routes(const void *control);
struct config *control_config(const void *control);
struct realm;
const struct realm *control_realm(const void *control);

#endif
