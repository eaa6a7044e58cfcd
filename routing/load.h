/* load: what the parts of table.c share while they read one document. Internal to routing/. */
#ifndef SLUICE_ROUTING_LOAD_H
#define SLUICE_ROUTING_LOAD_H

#include "protocol/map.h"
#include "routing/build.h"
#include "routing/table.h"

struct load {
    const struct table_world *world; /* NULL: names are not checked */
    struct problems *problems;
    size_t errors_before; /* that were there already */
    struct route_builder *builder;
    struct map ids;                    /* of rules, to the value that says it */
    struct map users, roles, clusters; /* of the world; values begin with their name */
    uint32_t *db_user_lines;           /* by rule; 0: none */
    uint32_t line_cap;
    uint32_t rules; /* so far */
};

enum key_object { KEY_document, KEY_rule, KEY_when, KEY_test, KEY_expect };

/* Reports keys that are not known there, each with the nearest that is. `what` is put in front. */
void load_check_keys(struct load *l, enum key_object object, const struct json_value *v,
                     const char *what);

/* A name that the world does not have: an error if it could be used, else a warning. `known` maps
 * names to values that begin with their name. */
void load_unknown(struct load *l, const struct json_value *v, bool is_error, const char *what,
                  const struct map *known);

/* A value of a condition against the world. */
void load_check_value(struct load *l, enum route_condition c, const struct json_value *v);

/* Once all rules are read: who may have which db_user, and which clusters serve it. */
void load_check_db_users(struct load *l, const struct route_table *t);

/* Runs `tests` against the table. */
void load_run_tests(struct load *l, const struct route_table *t, const struct json_value *tests);

#endif
