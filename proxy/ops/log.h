/* log: one line per event, `event key=value` or a JSON object.
 *
 *     log_event(env->log, EVENT_client_login, LOG_U64("conn", id), LOG_STR("user", name), LOG_END);
 *
 * Events are those of events.def, with their names, levels and meaning; keys are short; values are
 * escaped and cut at 256 bytes, so whatever a client sends can be logged. Never a secret, never a
 * literal of a statement. When one event comes too often in one second, the rest is only counted,
 * and the next line of that event carries the number as `unlogged`.
 *
 * Thread: a log is shared by all; a line is one write(2), so lines never mix. A level that is
 * off costs a load and a comparison, its arguments are not evaluated. A line that cannot be
 * written is dropped and counted: logging never blocks longer than the kernel does, and never
 * fails.
 */
#ifndef SLUICE_PROXY_OPS_LOG_H
#define SLUICE_PROXY_OPS_LOG_H

#include "protocol/slice.h"

#include <stdatomic.h>

enum event {
#define EVENT(id, name, level, meaning, todo) EVENT_##id,
#include "proxy/ops/events.def"
    EVENT_COUNT
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct event_info {
    const char *name; /* "client.login" */
    enum log_level level;
    const char *meaning, *todo; /* Markdown; `todo` may be empty */
};
extern const struct event_info event_infos[EVENT_COUNT];

const char *log_level_name(enum log_level level); /* "debug" ... */
bool log_level_named(struct slice name, enum log_level *out);

enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64, LOG_KIND_BOOL };

struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        struct slice str;
        uint64_t u64;
        int64_t i64;
        bool boolean;
    };
};

#define LOG_STR(name, value)                                                                       \
    (struct log_field) { .key = (name), .kind = LOG_KIND_STR, .str = (value) }
#define LOG_TEXT(name, value) LOG_STR(name, slice_str(value))
#define LOG_U64(name, value)                                                                       \
    (struct log_field) { .key = (name), .kind = LOG_KIND_U64, .u64 = (value) }
#define LOG_I64(name, value)                                                                       \
    (struct log_field) { .key = (name), .kind = LOG_KIND_I64, .i64 = (value) }
#define LOG_BOOL(name, value)                                                                      \
    (struct log_field) { .key = (name), .kind = LOG_KIND_BOOL, .boolean = (value) }
#define LOG_END                                                                                    \
    (struct log_field) { .kind = LOG_KIND_END }

/* How often an event came lately. */
struct log_rate {
    _Atomic uint64_t second_and_count; /* the second << 24 | lines in it */
    _Atomic uint32_t unlogged;
};

struct log {
    int fd; /* not owned */
    _Atomic int level, format;
    _Atomic uint32_t per_second; /* of one event; 0: no limit */
    _Atomic uint64_t dropped;    /* lines that could not be written */
    struct log_rate rates[EVENT_COUNT];
};

/* Text, from info on, 200 lines of an event per second. */
void log_init(struct log *log, int fd);

/* At any time, from any thread. log_set_level returns what it was. */
enum log_level log_set_level(struct log *log, enum log_level level);
void log_set_format(struct log *log, enum log_format format);
void log_set_rate(struct log *log, uint32_t per_second);

static inline enum log_level log_level_of(const struct log *log)
{
    return (enum log_level)atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* False for a NULL log, too. */
static inline bool log_is_on(const struct log *log, enum log_level level)
{
    return log && (int)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* At runtime `event` may be any of several; its level is the table's. The fields end with LOG_END.
 */
#define log_event(log, event, ...)                                                                 \
    (log_is_on((log), event_infos[event].level)                                                    \
         ? log_write((log), (event), (const struct log_field[]){ __VA_ARGS__ })                    \
         : (void)0)

/* What log_event calls. */
void log_write(struct log *log, enum event event, const struct log_field *fields);

#endif
