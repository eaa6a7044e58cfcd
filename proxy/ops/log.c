#include "proxy/ops/log.h"

#include "protocol/buf.h"
#include "protocol/json.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_MAX_BYTES = 256 };

const struct event_info event_infos[EVENT_COUNT] = {
#define EVENT(id, name, level, meaning, todo) { name, LOG_##level, meaning, todo },
#include "proxy/ops/events.def"
};

void log_init(struct log *log, int fd)
{
    memset(log, 0, sizeof *log);
    log->fd = fd;
    atomic_store(&log->level, LOG_INFO);
    atomic_store(&log->format, LOG_AS_TEXT);
    atomic_store(&log->per_second, 200);
}

enum log_level log_set_level(struct log *log, enum log_level level)
{
    return (enum log_level)atomic_exchange(&log->level, level);
}

void log_set_format(struct log *log, enum log_format format) { atomic_store(&log->format, format); }

void log_set_rate(struct log *log, uint32_t per_second)
{
    atomic_store(&log->per_second, per_second);
}

/* ---- how often -------------------------------------------------------------------------------*/

/* Counts this line; false when it is one too many in this second. `*unlogged`: how many were left
 * out before it, when it is the first after them. */
static bool is_within_rate(struct log *log, enum event event, uint64_t now_s, uint32_t *unlogged)
{
    enum { COUNT_BITS = 24 };
    const uint64_t COUNT_MASK = (1u << COUNT_BITS) - 1;
    uint32_t limit = atomic_load_explicit(&log->per_second, memory_order_relaxed);
    struct log_rate *rate = &log->rates[event];
    uint64_t was = atomic_load_explicit(&rate->second_and_count, memory_order_relaxed);
    uint64_t count;
    *unlogged = 0;
    if (limit == 0) return true;
    do {
        bool is_same_second = was >> COUNT_BITS == now_s;
        count = is_same_second ? was & COUNT_MASK : 0;
        if (count >= limit || count == COUNT_MASK) {
            atomic_fetch_add_explicit(&rate->unlogged, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&rate->second_and_count, &was,
                                                    now_s << COUNT_BITS | (count + 1),
                                                    memory_order_relaxed, memory_order_relaxed));
    if (count == 0) *unlogged = atomic_exchange_explicit(&rate->unlogged, 0, memory_order_relaxed);
    return true;
}

/* ---- how a line looks ------------------------------------------------------------------------*/

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG: return "debug";
    case LOG_INFO: return "info";
    case LOG_WARNING: return "warning";
    case LOG_ERROR: return "error";
    }
    return "?";
}

bool log_level_named(struct slice name, enum log_level *out)
{
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        if (!slice_is_nocase(name, log_level_name((enum log_level)level))) continue;
        *out = (enum log_level)level;
        return true;
    }
    return false;
}

static void add_time(struct buf *line, const struct timespec *now)
{
    struct tm tm;
    gmtime_r(&now->tv_sec, &tm);
    buf_addf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now->tv_nsec / 1000000));
}

/* Text shows a value bare when that cannot be misread. */
static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    }
    return s.len > 0;
}

static void add_str(struct buf *line, struct slice s, bool is_json)
{
    struct slice shown = s;
    if (s.len > VALUE_MAX_BYTES) {
        shown.len = VALUE_MAX_BYTES;
        /* Not in the middle of a character. */
        while (shown.len > VALUE_MAX_BYTES - 4 && ((unsigned char)s.at[shown.len] & 0xc0) == 0x80)
            shown.len--;
    }
    if (!is_json && s.len == shown.len && is_plain(s)) {
        buf_add_slice(line, s);
        return;
    }
    json_quote(line, shown);
    if (s.len == shown.len) return;
    if (!line->failed) buf_truncate(line, line->len - 1);
    buf_add_str(line, "...\"");
}

static void add_value(struct buf *line, const struct log_field *field, bool is_json)
{
    switch (field->kind) {
    case LOG_KIND_END: break;
    case LOG_KIND_STR: add_str(line, field->str, is_json); break;
    case LOG_KIND_U64: buf_addf(line, "%llu", (unsigned long long)field->u64); break;
    case LOG_KIND_I64: buf_addf(line, "%lld", (long long)field->i64); break;
    case LOG_KIND_BOOL: buf_add_str(line, field->boolean ? "true" : "false"); break;
    }
}

static void add_field(struct buf *line, const struct log_field *field, bool is_json)
{
    buf_addf(line, is_json ? ",\"%s\":" : " %s=", field->key);
    add_value(line, field, is_json);
}

void log_write(struct log *log, enum event event, const struct log_field *fields)
{
    const struct event_info *info = &event_infos[event];
    struct timespec now;
    uint32_t unlogged;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!is_within_rate(log, event, (uint64_t)now.tv_sec, &unlogged)) return;

    bool is_json = atomic_load_explicit(&log->format, memory_order_relaxed) == LOG_AS_JSON;
    struct buf line = { 0 };
    buf_add_str(&line, is_json ? "{\"time\":\"" : "");
    add_time(&line, &now);
    buf_addf(&line, is_json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %s %s",
             log_level_name(info->level), info->name);
    for (const struct log_field *field = fields; field->kind != LOG_KIND_END; field++)
        add_field(&line, field, is_json);
    if (unlogged > 0) add_field(&line, &LOG_U64("unlogged", unlogged), is_json);
    buf_add_str(&line, is_json ? "}\n" : "\n");

    /* A short write would leave half a line, and a retry could mix with another thread's: what a
     * full pipe did not take is lost, and counted. */
    if (line.failed || write(log->fd, line.at, line.len) != (ssize_t)line.len)
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    buf_fini(&line);
}
