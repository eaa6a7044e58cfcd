/* build: a routing table, rule by rule.
 *
 *      route_builder_new
 *        route_builder_rule            begins a rule; it must be finished with...
 *          route_builder_when          ...its conditions, value by value,
 *          route_builder_to, _set, ... its actions
 *      route_builder_finish            the table; or route_builder_free
 *
 * Checks what can be wrong with one value and with one rule; what needs the rest of
 * the world (do these clusters exist?) is table.h's. Everything is copied. A call that
 * fails leaves the rule without that value, and the builder usable. One thread.
 */
#ifndef SLUICE_ROUTING_BUILD_H
#define SLUICE_ROUTING_BUILD_H

#include "routing/route.h"

struct route_builder;

enum {
    ROUTE_RULES_MAX = 100000,
    ROUTE_EXPRESSIONS_MAX = 10000,
    ROUTE_POOL_BYTES = 8192,
    ROUTE_NAME_BYTES = 512, /* ids, names, globs, texts */
};

/* `share_seed` decides which users fall in a `percent`: the same on all proxies, for good. NULL
 * when memory ran out. */
struct route_builder *route_builder_new(struct map_seed share_seed);
void route_builder_free(struct route_builder *b);

/* Begins a rule. False when there are too many, or the id is empty, too long or not clean text.
 * Ids may repeat here. */
bool route_builder_rule(struct route_builder *b, struct slice id, uint32_t line, struct err *e);

/* Adds one value to a condition of the current rule; values of one condition are alternatives.
 * Flags are "true" and "false", a share is "12.5", all others as in the document. */
bool route_builder_when(struct route_builder *b, enum route_condition c, struct slice value,
                        struct err *e);

/* The zone for hour and weekday: a fixed one, or with `tzif` the content of its file. */
bool route_builder_zone(struct route_builder *b, struct slice name, struct slice tzif,
                        struct err *e);

/* The clusters, one by one, in the order of falling back; the same one twice is an error. */
bool route_builder_to(struct route_builder *b, struct slice cluster, struct err *e);

enum route_text {
    ROUTE_TEXT_DB_USER,
    ROUTE_TEXT_DATABASE,
    ROUTE_TEXT_QUERY_GROUP,
    ROUTE_TEXT_DENY
};

bool route_builder_text(struct route_builder *b, enum route_text which, struct slice value,
                        struct err *e);

/* The pool settings that the rule overrides, as the text of a JSON object; not looked into. */
bool route_builder_pool(struct route_builder *b, struct slice json, struct err *e);

bool route_builder_local_answer(struct route_builder *b, struct slice name, struct err *e);

/* Ends the current rule: false if it does nothing, does two things that exclude each other, or
 * changes at a statement what only a login can. Called once for each rule, before the next. */
bool route_builder_end(struct route_builder *b, struct err *e);

/* The table, with one reference, and the builder is gone; NULL when memory ran out at any time. */
struct route_table *route_builder_finish(struct route_builder *b, uint64_t version, struct err *e);

#endif
