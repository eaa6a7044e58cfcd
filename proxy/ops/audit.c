#include "proxy/ops/audit.h"

#include "auth/sha.h"
#include "protocol/json.h"
#include "proxy/ops/audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PRIORITY = 10 << 3 | 5 }; /* authpriv.notice */

enum sink { SINK_NONE, SINK_FILE, SINK_STDOUT, SINK_SYSLOG };

struct audit {
    pthread_mutex_t lock; /* all of the rest, but for what is atomic */
    struct log *log;
    enum sink sink;
    char *path;
    int fd; /* -1: not open */
    struct audit_chain chain;
    uint64_t lost;        /* since the last line that was written */
    time_t told_s;        /* when the log was last told of a failure */
    bool may_go_on;       /* on_failure: continue */
    _Atomic bool all;     /* record: all */
    _Atomic bool is_kept; /* there is a sink */
    _Atomic bool failing;
};

struct audit *audit_new(struct log *log)
{
    struct audit *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    pthread_mutex_init(&a->lock, NULL);
    a->log = log;
    a->fd = -1;
    audit_chain_init(&a->chain);
    return a;
}

static void close_sink(struct audit *a)
{
    if (a->fd >= 0 && a->sink != SINK_STDOUT) close(a->fd);
    a->fd = -1;
}

void audit_free(struct audit *a)
{
    if (!a) return;
    close_sink(a);
    free(a->path);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

bool audit_wants_all(const struct audit *a, enum config_role_record of_role)
{
    if (of_role == CONFIG_ROLE_RECORD_AUDIT)
        return atomic_load_explicit(&a->all, memory_order_relaxed);
    return of_role == CONFIG_ROLE_RECORD_ALL &&
           atomic_load_explicit(&a->is_kept, memory_order_relaxed);
}

bool audit_is_failing(const struct audit *a) { return atomic_load(&a->failing); }

/* ---- a line --------------------------------------------------------------------------------- */

static void add_text(struct buf *line, const char *key, struct slice value)
{
    if (value.len == 0) return;
    buf_addf(line, ",\"%s\":", key);
    json_quote(line, value);
}

/* A line behind `chain`, before which `lost` others are missing. */
static void begin_line(struct buf *line, const struct audit_chain *chain, uint64_t lost,
                       const char *event)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_addf(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"sequence\":%llu",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(now.tv_nsec / 1000000), (unsigned long long)(chain->sequence + lost + 1));
    if (lost) buf_addf(line, ",\"lost\":%llu", (unsigned long long)lost);
    buf_addf(line, ",\"event\":\"%s\"", event);
}

/* It begins at `from`; the chain then ends with it. */
static void end_line(struct buf *lines, uint32_t from, struct audit_chain *chain, uint64_t lost)
{
    char prev[SHA256_HEX_BYTES];
    hex_encode(chain->hash, sizeof chain->hash, prev);
    buf_addf(lines, ",\"prev\":\"%.64s\"}\n", prev);
    if (!lines->failed)
        audit_chain_add(chain, slice_of(lines->at + from, lines->len - from - 1), lost);
}

/* ---- writing it ----------------------------------------------------------------------------- */

/* A part of what was written must not stay: the next line would be glued to it. */
static void take_back(const struct audit *a, ssize_t written)
{
    struct stat st;
    if (a->sink != SINK_FILE || fstat(a->fd, &st) || !S_ISREG(st.st_mode)) return;
    if (ftruncate(a->fd, st.st_size - written)) return; /* then the chain shows it */
}

/* A datagram for each line. */
static size_t send_to_syslog(const struct audit *a, struct slice lines)
{
    char head[32];
    const int n = snprintf(head, sizeof head, "<%d>sluice-audit: ", PRIORITY);
    struct slice rest = lines;
    while (rest.len > 0) {
        const char *end = memchr(rest.at, '\n', rest.len);
        const size_t len = (size_t)(end - rest.at);
        struct iovec parts[] = { { head, (size_t)n }, { (void *)(uintptr_t)rest.at, len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        if (sendmsg(a->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
        rest = slice_after(rest, len + 1);
    }
    return lines.len - rest.len;
}

/* How many bytes went, of whole lines; less than all: errno says why. */
static size_t send_lines(const struct audit *a, struct slice lines)
{
    if (a->sink == SINK_SYSLOG) return send_to_syslog(a, lines);
    ssize_t n;
    do n = write(a->fd, lines.at, lines.len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)lines.len) return lines.len;
    if (n >= 0) errno = ENOSPC; /* what cut it short is not told otherwise */
    if (n > 0) take_back(a, n);
    return 0;
}

static int connect_syslog(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static bool is_same_file(int fd, const char *path)
{
    struct stat open, named;
    return fstat(fd, &open) == 0 && stat(path, &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

/* A file that has lines already has its own chain: that one is continued. */
static bool open_file(struct audit *a)
{
    a->fd = open(a->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (a->fd < 0) return false;
    audit_chain_resume(&a->chain, a->fd);
    return true;
}

static bool open_sink(struct audit *a)
{
    switch (a->sink) {
    case SINK_NONE: return true;
    case SINK_STDOUT: a->fd = STDOUT_FILENO; return true;
    case SINK_SYSLOG: a->fd = connect_syslog(); return a->fd >= 0;
    case SINK_FILE: return open_file(a);
    }
    return false;
}

static void tell_failure(struct audit *a, int why)
{
    time_t now = time(NULL);
    atomic_store(&a->failing, true);
    if (now == a->told_s) return;
    a->told_s = now;
    char text[128];
    log_event(a->log, EVENT_audit_failed, LOG_TEXT("why", strerror_r(why, text, sizeof text)),
              LOG_U64("lost", a->lost), LOG_BOOL("refusing", !a->may_go_on), LOG_END);
}

/* The chain goes on with whole lines; returns how many they are. */
static uint32_t book_lines(struct audit *a, struct slice lines)
{
    uint32_t count = 0;
    for (; lines.len > 0; count++) {
        const size_t len = (size_t)((const char *)memchr(lines.at, '\n', lines.len) - lines.at);
        audit_chain_add(&a->chain, slice_of(lines.at, len), a->lost);
        a->lost = 0;
        lines = slice_after(lines, len + 1);
    }
    return count;
}

/* Books `count` lines that were sent, or their loss; with all of them the chain is `chain`. */
static bool put(struct audit *a, const struct buf *lines, uint32_t count,
                const struct audit_chain *chain)
{
    size_t sent = 0;
    errno = ENOMEM;
    if (!lines->failed) sent = send_lines(a, buf_slice(lines));
    if (sent == lines->len && !lines->failed) {
        a->chain = *chain;
        a->lost = 0;
        if (atomic_exchange(&a->failing, false)) log_event(a->log, EVENT_audit_writes, LOG_END);
        return true;
    }
    int why = errno;
    const uint32_t booked = book_lines(a, slice_of(lines->at, sent));
    a->lost += count - booked;
    tell_failure(a, why);
    /* Syslog may have been started again, a file system mounted again: opened anew next time. */
    close_sink(a);
    return false;
}

/* The first line of whatever was opened: it says that a chain begins or goes on. */
static bool put_opened(struct audit *a)
{
    struct buf line = { 0 };
    struct audit_chain chain = a->chain;
    char end[SHA256_HEX_BYTES];
    begin_line(&line, &chain, a->lost, "opened");
    buf_addf(&line, ",\"chain\":\"%s\"", a->chain.sequence ? "continued" : "new");
    end_line(&line, 0, &chain, a->lost);
    bool ok = put(a, &line, 1, &chain);
    buf_fini(&line);
    hex_encode(a->chain.hash, sizeof a->chain.hash, end);
    if (ok)
        log_event(a->log, EVENT_audit_opened, LOG_TEXT("file", a->path ? a->path : ""),
                  LOG_U64("sequence", a->chain.sequence), LOG_TEXT("chain", end), LOG_END);
    return ok;
}

/* For `count` records, which are lost otherwise. */
static bool is_open(struct audit *a, uint32_t count)
{
    if (a->fd >= 0) return true;
    if (open_sink(a)) {
        if (put_opened(a)) return true;
        a->lost += count;
        return false;
    }
    a->lost += count;
    tell_failure(a, errno);
    return false;
}

/* ---- settings ------------------------------------------------------------------------------- */

static bool take_settings(struct audit *a, const struct config_audit *settings)
{
    struct slice to = slice_str(settings->line ? settings->to : "");
    bool is_file = slice_starts(to, "file:");
    enum sink sink = is_file                  ? SINK_FILE
                     : slice_is(to, "stdout") ? SINK_STDOUT
                     : slice_is(to, "syslog") ? SINK_SYSLOG
                                              : SINK_NONE;
    char *path = is_file ? strdup(to.at + strlen("file:")) : NULL;
    if (is_file && !path) return false;
    bool is_same = a->sink == sink && a->fd >= 0 && (!is_file || is_same_file(a->fd, path));
    if (!is_same) close_sink(a);
    free(a->path);
    a->path = path;
    a->sink = sink;
    a->may_go_on = settings->on_failure == CONFIG_ON_FAILURE_CONTINUE;
    atomic_store(&a->is_kept, sink != SINK_NONE);
    atomic_store(&a->all, sink != SINK_NONE && settings->record == CONFIG_RECORD_ALL);
    return true;
}

bool audit_open(struct audit *a, const struct config_audit *settings)
{
    pthread_mutex_lock(&a->lock);
    bool ok = take_settings(a, settings);
    if (!ok) tell_failure(a, ENOMEM);
    if (a->sink == SINK_NONE)
        atomic_store(&a->failing, false);
    else if (ok)
        ok = is_open(a, 0);
    pthread_mutex_unlock(&a->lock);
    return ok;
}

/* ---- records -------------------------------------------------------------------------------- */

static void add_who(struct buf *line, const struct audit_who *who)
{
    add_text(line, "user", who->user);
    if (who->identity.len && !slice_eq(who->identity, who->user))
        add_text(line, "identity", who->identity);
    add_text(line, "role", slice_str(who->role));
    add_text(line, "client", slice_str(who->from));
    add_text(line, "database", slice_str(who->database));
    buf_addf(line, ",\"conn\":%llu", (unsigned long long)who->conn);
}

static const char *const decisions[] = {
    [AUDIT_ALLOW] = "allow", [AUDIT_DENY] = "deny", [AUDIT_OBSERVE] = "observe"
};

/* ---- acts ----------------------------------------------------------------------------------- */

struct act {
    enum audit_decision decision;
    const char *name;
    struct slice object;
};

static void add_act(struct buf *line, const void *what, uint32_t i)
{
    const struct act *act = what;
    (void)i;
    add_text(line, "decision", slice_str(decisions[act->decision]));
    add_text(line, "act", slice_str(act->name));
    add_text(line, "object", act->object);
}

/* ---- statements ----------------------------------------------------------------------------- */

static void add_object(struct buf *line, const char *verb, struct slice name)
{
    buf_add_str(line, "{\"name\":");
    json_quote(line, name);
    add_text(line, "verb", slice_str(verb));
    buf_add_str(line, "}");
}

static void add_objects(struct buf *line, const struct sql_trail *trail,
                        const struct sql_trail_statement *s)
{
    buf_add_str(line, ",\"objects\":[");
    for (uint32_t i = 0; i < s->objects; i++) {
        enum sql_verb verb;
        const struct slice name = sql_trail_object(trail, s, i, &verb);
        if (i > 0) buf_add_str(line, ",");
        add_object(line, sql_verb_name(verb), name);
    }
    buf_add_str(line, "]");
    if (s->objects_left_out) buf_addf(line, ",\"objects_left_out\":%u", s->objects_left_out);
}

static const char *kind_of(const struct audit_message *m, const struct sql_trail_statement *s)
{
    if (s->times > 1 && s->kind == SQL_KIND_NONE) return "several";
    return m->trail->entries > 0 ? sql_kind_name(s->kind) : m->kind;
}

static void add_statement(struct buf *line, const void *what, uint32_t i)
{
    const struct audit_message *m = what;
    const struct sql_trail *trail = m->trail;
    const struct sql_trail_statement none = { .fingerprint = m->fingerprint },
                                     *s =
                                         i < trail->entries ? sql_trail_statement(trail, i) : &none;
    const bool refused = m->refused == 0 || m->refused == s->number || trail->entries == 0;
    add_text(line, "id", slice_str(m->id));
    add_text(line, "decision", slice_str(decisions[m->decision]));
    add_text(line, "reason", slice_str(refused ? m->reason : m->others));
    add_text(line, "kind", slice_str(kind_of(m, s)));
    buf_addf(line, ",\"statement\":%u,\"statements\":%u", s->number, trail->count);
    if (s->times > 1) buf_addf(line, ",\"times\":%u", s->times);
    add_objects(line, trail, s);
    if (refused && m->object && m->object[0]) {
        buf_add_str(line, ",\"refused\":");
        add_object(line, m->verb, slice_str(m->object));
    }
    if (s->fingerprint)
        buf_addf(line, ",\"fingerprint\":\"%016llx\"", (unsigned long long)s->fingerprint);
}

/* ---- records -------------------------------------------------------------------------------- */

/* `count` lines about `what`, all or none. */
static bool put_records(struct audit *a, const struct audit_who *who, const char *event,
                        uint32_t count, void (*add)(struct buf *line, const void *what, uint32_t i),
                        const void *what)
{
    struct buf lines = { 0 };
    struct audit_chain chain = a->chain;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t from = lines.len;
        const uint64_t lost = i == 0 ? a->lost : 0;
        begin_line(&lines, &chain, lost, event);
        add_who(&lines, who);
        add(&lines, what, i);
        end_line(&lines, from, &chain, lost);
    }
    const bool ok = put(a, &lines, count, &chain);
    buf_fini(&lines);
    return ok;
}

/* What all records have in common: the lock, and what a failure means. */
static bool record(struct audit *a, const struct audit_who *who, const char *event, uint32_t count,
                   void (*add)(struct buf *line, const void *what, uint32_t i), const void *what)
{
    pthread_mutex_lock(&a->lock);
    const bool ok = a->sink == SINK_NONE ||
                    (is_open(a, count) && put_records(a, who, event, count, add, what)) ||
                    a->may_go_on;
    pthread_mutex_unlock(&a->lock);
    return ok;
}

bool audit_message(struct audit *a, const struct audit_message *m)
{
    const uint32_t count = m->trail->entries > 0 ? m->trail->entries : 1;
    return record(a, &m->who, "statement", count, add_statement, m);
}

bool audit_act(struct audit *a, const struct audit_who *who, enum audit_decision decision,
               const char *act, struct slice object)
{
    return record(a, who, "act", 1, add_act, &(struct act){ decision, act, object });
}
