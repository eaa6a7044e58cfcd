/* admin: the commands of the console, as data.
 *
 * Reads a statement, finds its row of admin.def, says what it needs and what its
 * rows look like. Carries nothing out: that is the console's business. The table
 * is the only place where a command's level stands, and whoever runs a command asks
 * admin_may first, for every command anew.
 * Pure. Thread: any.
 */
#ifndef SLUICE_PROXY_OPS_ADMIN_H
#define SLUICE_PROXY_OPS_ADMIN_H

#include "auth/users.h"
#include "protocol/buf.h"
#include "protocol/err.h"

enum admin_id {
#define ADMIN(id, words, argument, level, sentence) ADMIN_##id,
#include "proxy/ops/admin.def"
    ADMIN_COUNT
};

enum admin_argument { ADMIN_NO, ADMIN_MAYBE, ADMIN_ONE, ADMIN_ANY, ADMIN_WORDS };
enum admin_type { ADMIN_TEXT, ADMIN_INT, ADMIN_BIGINT, ADMIN_NUMERIC };
enum admin_merge { MERGE_ANY, MERGE_KEY, MERGE_SUM, MERGE_MAX, MERGE_WITH };

struct admin_command {
    enum admin_id id;
    const char *words;
    enum admin_argument argument;
    enum console_level level;
    const char *sentence;
};

struct admin_column {
    enum admin_id id;
    const char *name;
    enum admin_type type;
    enum admin_merge merge;
    bool extra; /* only in SHOW EXTENDED */
};

enum { ADMIN_COLUMNS_MAX = 32, ADMIN_NAME_BYTES = 128, ADMIN_ARGUMENT_BYTES = 4096 };

extern const struct admin_command admin_commands[ADMIN_COUNT];

/* The command's columns; `count` with or without the extra ones. NULL, 0: it has no rows. */
const struct admin_column *admin_columns(enum admin_id id, bool extended, size_t *count);

static inline bool admin_has_rows(const struct admin_command *command)
{
    size_t n;
    return admin_columns(command->id, true, &n) != NULL;
}

/* The only gate. */
static inline bool admin_may(enum console_level level, const struct admin_command *command)
{
    return level >= command->level && level > CONSOLE_NONE;
}

const char *admin_level_name(enum console_level level); /* "viewer" */

/* One statement, understood. */
struct admin_call {
    const struct admin_command *command;
    bool extended;
    bool on_all;                         /* ON ALL: every proxy of the service is meant */
    char argument[ADMIN_ARGUMENT_BYTES]; /* "": none */
};

/* Whether it may be said with ON ALL. */
bool admin_is_for_all(enum admin_id id);

/* Whether it is asked again until nothing is left to be waited for. */
static inline bool admin_is_waited_for(enum admin_id id)
{
    return id == ADMIN_PAUSE || id == ADMIN_WAIT_CLOSE;
}

/* Whose columns the answer has: with ON ALL a row for each proxy. */
static inline enum admin_id admin_shape(const struct admin_call *call)
{
    return call->on_all ? ADMIN_SHOW_FLEET : call->command->id;
}

enum admin_read { ADMIN_READ_NOTHING, ADMIN_READ_CALL, ADMIN_READ_BAD };

/* Reads the first statement of `text` and cuts it off, its semicolon included. NOTHING: it was
 * empty. BAD: `err` says why, with the nearest command. */
enum admin_read admin_read(struct slice *text, struct admin_call *call, struct err *err);

/* Is there nothing but white space and comments? */
bool admin_is_blank(struct slice text);

/* The reference, as Markdown. */
void admin_describe(struct buf *out);

#endif
