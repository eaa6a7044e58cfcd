/* sql_setting: one setting of a session: its name, its value, and the SQL that says them again.
 *
 * A value is kept raw: as it stands behind `SET name TO`. A raw value that is constant
 * (sql_setting_is_constant) can be repeated anywhere between statements: it cannot be read as
 * anything else. Pure text; no memory but the caller's buf.
 */
#ifndef SLUICE_PROTOCOL_SQL_SETTING_H
#define SLUICE_PROTOCOL_SQL_SETTING_H

#include "protocol/buf.h"

enum { SQL_SETTING_NAME_MAX = 127 };

/* Writes a setting's name in lower case and without quotes; settings' names fold even in quotes.
 * Returns its length; 0 when it is none: longer than SQL_SETTING_NAME_MAX, or with other
 * characters than letters, digits, _, $ and the dot between its parts. */
size_t sql_setting_name(struct slice raw, char out[SQL_SETTING_NAME_MAX]);

/* Only literals, names and numbers, separated by commas; means the same whatever the server's
 * string rule is. */
bool sql_setting_is_constant(struct slice raw);

/* Appends the raw value that means `text`, as it came in a startup packet or a set_config(): one
 * literal, or of a list of names (search_path) one for each. `escapes`: the server takes a
 * backslash in '...' for an escape, as Redshift always does. False, with nothing appended that
 * counts, when the list cannot be read or the text holds a NUL. */
bool sql_setting_write_value(struct buf *out, struct slice name, struct slice text, bool escapes);

/* Append a statement and its semicolon. `name` is folded, `raw` constant. */
void sql_setting_write_set(struct buf *out, struct slice name, struct slice raw);
void sql_setting_write_reset(struct buf *out, struct slice name);

#endif
