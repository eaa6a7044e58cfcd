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
    uint64_t lost;    /* since the last line that was written */
    time_t told_s;    /* when the log was last told of a failure */
    bool may_go_on;   /* on_failure: continue */
    _Atomic bool all; /* record: all */
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

bool audit_wants_all(const struct audit *a)
{
    return atomic_load_explicit(&a->all, memory_order_relaxed);
}

bool audit_is_failing(const struct audit *a) { return atomic_load(&a->failing); }

/* ---- a line --------------------------------------------------------------------------------- */

static void add_text(struct buf *line, const char *key, struct slice value)
{
    if (value.len == 0) return;
    buf_addf(line, ",\"%s\":", key);
    json_quote(line, value);
}

static void begin_line(struct buf *line, const struct audit *a, const char *event)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_addf(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"sequence\":%llu",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(now.tv_nsec / 1000000), (unsigned long long)(a->chain.sequence + a->lost + 1));
    if (a->lost) buf_addf(line, ",\"lost\":%llu", (unsigned long long)a->lost);
    buf_addf(line, ",\"event\":\"%s\"", event);
}

static void end_line(struct buf *line, const struct audit *a)
{
    char prev[SHA256_HEX_BYTES];
    hex_encode(a->chain.hash, sizeof a->chain.hash, prev);
    buf_addf(line, ",\"prev\":\"%.64s\"}\n", prev);
}

/* ---- writing it ----------------------------------------------------------------------------- */

/* A part of a line must not stay: the next one would be glued to it. */
static void take_back(const struct audit *a, ssize_t written)
{
    struct stat st;
    if (a->sink != SINK_FILE || fstat(a->fd, &st) || !S_ISREG(st.st_mode)) return;
    if (ftruncate(a->fd, st.st_size - written)) return; /* then the chain shows it */
}

static bool send_line(const struct audit *a, struct slice line)
{
    if (a->sink == SINK_SYSLOG) {
        char head[32];
        int n = snprintf(head, sizeof head, "<%d>sluice-audit: ", PRIORITY);
        struct iovec parts[] = { { head, (size_t)n },
                                 { (void *)(uintptr_t)line.at, line.len - 1 } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        return sendmsg(a->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    }
    ssize_t n;
    do n = write(a->fd, line.at, line.len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line.len) return true;
    if (n >= 0) errno = ENOSPC; /* what cut it short is not told otherwise */
    if (n > 0) take_back(a, n);
    return false;
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

/* Books a line that was sent, or its loss. */
static bool put(struct audit *a, const struct buf *line)
{
    errno = ENOMEM;
    if (!line->failed && send_line(a, buf_slice(line))) {
        audit_chain_add(&a->chain, slice_of(line->at, line->len - 1), a->lost);
        a->lost = 0;
        if (atomic_exchange(&a->failing, false)) log_event(a->log, EVENT_audit_writes, LOG_END);
        return true;
    }
    int why = errno;
    a->lost++;
    tell_failure(a, why);
    /* Syslog may have been started again, a file system mounted again: opened anew next time. */
    close_sink(a);
    return false;
}

/* The first line of whatever was opened: it says that a chain begins or goes on. */
static bool put_opened(struct audit *a)
{
    struct buf line = { 0 };
    char end[SHA256_HEX_BYTES];
    begin_line(&line, a, "opened");
    buf_addf(&line, ",\"chain\":\"%s\"", a->chain.sequence ? "continued" : "new");
    end_line(&line, a);
    bool ok = put(a, &line);
    buf_fini(&line);
    hex_encode(a->chain.hash, sizeof a->chain.hash, end);
    if (ok)
        log_event(a->log, EVENT_audit_opened, LOG_TEXT("file", a->path ? a->path : ""),
                  LOG_U64("sequence", a->chain.sequence), LOG_TEXT("chain", end), LOG_END);
    return ok;
}

static bool is_open(struct audit *a)
{
    if (a->fd >= 0) return true;
    if (open_sink(a)) return put_opened(a);
    a->lost++;
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
        ok = is_open(a);
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

struct act {
    enum audit_decision decision;
    const char *name;
    struct slice object;
};

static void add_act(struct buf *line, const void *what)
{
    const struct act *act = what;
    add_text(line, "decision", slice_str(decisions[act->decision]));
    add_text(line, "act", slice_str(act->name));
    add_text(line, "object", act->object);
}

static void add_statement(struct buf *line, const void *what)
{
    const struct audit_statement *s = what;
    add_text(line, "id", slice_str(s->id));
    add_text(line, "decision", slice_str(decisions[s->decision]));
    add_text(line, "reason", slice_str(s->reason));
    add_text(line, "kind", slice_str(s->kind));
    buf_addf(line, ",\"statements\":%u,\"objects\":[", s->statements);
    if (s->object && s->object[0]) {
        buf_add_str(line, "{\"name\":");
        json_quote(line, slice_str(s->object));
        add_text(line, "verb", slice_str(s->verb));
        buf_add_str(line, "}");
    }
    buf_addf(line, "],\"fingerprint\":\"%016llx\"", (unsigned long long)s->fingerprint);
}

/* What both records have in common: the lock, the frame of the line, and what a failure means. */
static bool record(struct audit *a, const struct audit_who *who, const char *event,
                   void (*add)(struct buf *line, const void *what), const void *what)
{
    struct buf line = { 0 };
    pthread_mutex_lock(&a->lock);
    bool ok = a->sink == SINK_NONE;
    if (!ok && is_open(a)) {
        begin_line(&line, a, event);
        add_who(&line, who);
        add(&line, what);
        end_line(&line, a);
        ok = put(a, &line);
    }
    ok = ok || a->may_go_on;
    pthread_mutex_unlock(&a->lock);
    buf_fini(&line);
    return ok;
}

bool audit_statement(struct audit *a, const struct audit_statement *s)
{
    return record(a, &s->who, "statement", add_statement, s);
}

bool audit_act(struct audit *a, const struct audit_who *who, enum audit_decision decision,
               const char *act, struct slice object)
{
    return record(a, who, "act", add_act, &(struct act){ decision, act, object });
}
