/* sql_settings: what a client wants set on whatever server it gets.
 *
 * A set of (name, raw value). Sets are immutable, counted, and interned: in one table equal sets
 * are one, so that "does this server fit this client" is a comparison of pointers, and a thousand
 * clients with the same settings keep one copy.
 *
 *   client: {datestyle 'ISO', query_group 'etl'}     server: {datestyle 'ISO', timezone 'UTC'}
 *   settings_diff_sql:  SET query_group TO 'etl';RESET timezone;
 *
 * A reset setting is the server's own default, which RESET brings back, or what the client's
 * startup packet said.
 *
 * A table and its sets belong to one thread. Every function that returns a set returns a reference
 * of the caller's; those passed in stay the caller's.
 */
#ifndef SLUICE_PROTOCOL_SQL_SETTINGS_H
#define SLUICE_PROTOCOL_SQL_SETTINGS_H

#include "protocol/buf.h"
#include "protocol/err.h"
#include "protocol/map.h"
#include "protocol/sql_effects.h"

enum { SETTINGS_MAX = 64, SETTINGS_BYTES_MAX = 65536 }; /* names and values of one set together */

struct settings;       /* one set */
struct settings_table; /* all sets of a thread */

struct settings_table *settings_table_new(struct map_seed seed);

/* Every set must have been given back. */
void settings_table_free(struct settings_table *table);

/* The set of nothing; never fails. */
struct settings *settings_none(struct settings_table *table);

struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* NULL is fine */

/* `old` with `name` set to `raw`. The name may be as written; the value must be constant. NULL and
 * a filled `e`: a name or value that cannot be repeated (INVALID_VALUE), too many or too long
 * (TOO_LARGE), no memory. */
struct settings *settings_with(struct settings *old, struct slice name, struct slice raw,
                               struct err *e);

/* The same with a value that is plain text, see sql_setting_write_value. */
struct settings *settings_with_text(struct settings *old, struct slice name, struct slice text,
                                    bool escapes, struct err *e);

/* `old` without `name`. */
struct settings *settings_without(struct settings *old, struct slice name, struct err *e);

/* What a session with `old`, which began with `startup`, wants after `act` (SET, SET_CONFIG, RESET,
 * RESET_ALL, DISCARD ALL). Other acts and local ones change nothing: `old` again. */
struct settings *settings_after(struct settings *old, struct settings *startup,
                                const struct sql_act *act, bool escapes, struct err *e);

struct settings_pair {
    struct slice name, value;
};

/* The set that a startup packet's parameters ask for; `pairs` are those that are settings. */
struct settings *settings_from_startup(struct settings_table *table,
                                       const struct settings_pair *pairs, size_t count,
                                       bool escapes, struct err *e);

/* Appends the statements that make a server with `from` one with `to`: client_encoding first, then
 * by name. Nothing when they are the same. */
void settings_diff_sql(const struct settings *from, const struct settings *to, struct buf *out);

/* Raw value of a folded name; `at` NULL when it is not set. */
struct slice settings_get(const struct settings *s, struct slice name);

uint32_t settings_count(const struct settings *s);

/* The `i`th by name. */
struct settings_pair settings_at(const struct settings *s, uint32_t i);

#endif
