/* table: a routing document to a table, or to everything that is wrong with it.
 *
 *      document (JSON, comments allowed) --table_load--> struct route_table
 *                     |                        |
 *        what the configuration defines -------+--> problems: line, text, all at once
 *
 * Errors: what is malformed, unknown or circular; an id that stands twice; a db_user
 * that a session which may match is not allowed; a rule that decides at a statement
 * what only a login can; a `tests` entry that does not hold. Warnings: what can never
 * match. The document's keys are in document.def and condition.def.
 */
#ifndef SLUICE_ROUTING_TABLE_H
#define SLUICE_ROUTING_TABLE_H

#include "protocol/json.h"
#include "protocol/problem.h"
#include "routing/route.h"

enum {
    TABLE_CAP_BYTES = 64 << 20,
    TABLE_FORMAT = 1, /* of the document; a higher one is from a later Sluice */
};

struct table_user {
    struct slice name, role, db_user;
};

struct table_role {
    struct slice name;
    const struct slice *db_users; /* that a rule may choose */
    uint32_t db_user_count;
};

struct table_cluster {
    struct slice name;
    bool is_static; /* it serves these database users, and no others */
    const struct slice *db_users;
    uint32_t db_user_count;
};

/* What a document is checked against. Lives as long as the call. */
struct table_world {
    const struct table_user *users;
    const struct table_role *roles;
    const struct table_cluster *clusters;
    uint32_t user_count, role_count, cluster_count;
    /* The highest version that can exist, where somebody knows it; 0: nobody does. */
    uint64_t newest_version;
    /* The users who fall in a `percent`; the same on all proxies, for good. */
    struct map_seed share_seed;
    /* The compiled time zone of that name, as bytes that live until the next call; the empty slice
     * when there is none. NULL: only UTC and fixed offsets are known. */
    struct slice (*zone)(void *arg, struct slice name);
    /* Looks at a rule's `pool`; problems go where all go. Rules are numbered as in the table,
     * unless one of them has an error. NULL: not looked at. */
    void (*pool)(void *arg, uint32_t rule, const struct json_value *object,
                 struct problems *problems);
    /* Whether there is an answer of that name, for `local_answers`. NULL: not looked at. */
    bool (*answer)(struct slice name);
    void *arg;
};

/* A table with one reference, or NULL when there is any error. `world` NULL: for looking
 * at a table away from its configuration; names are not checked then, and `tests` not run. Problems
 * are added to those that are there, and all sorted by line: use one collection per document. */
struct route_table *table_load(struct slice text, const struct table_world *world,
                               struct problems *problems);

/* The facts of a user's session as the configuration has them: role, db_user and db_users. False
 * when there is no such user. */
bool table_user_facts(const struct table_world *world, struct slice user,
                      struct route_facts *facts);

#endif
