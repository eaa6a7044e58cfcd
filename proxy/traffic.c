#include "proxy/traffic.h"

#include "routing/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void traffic_init(struct traffic *t, struct log *log)
{
    *t = (struct traffic){ .log = log, .fd = -1 };
    pthread_mutex_init(&t->lock, NULL);
}

static void shut(struct traffic *t)
{
    atomic_store(&t->is_on, false);
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
}

void traffic_fini(struct traffic *t)
{
    shut(t);
    free(t->path);
    pthread_mutex_destroy(&t->lock);
}

static void fail(struct traffic *t, const char *what)
{
    if (!t->is_failing)
        log_event(t->log, EVENT_traffic_not_recorded, LOG_TEXT("file", t->path),
                  LOG_TEXT("what", what), LOG_TEXT("why", strerror(errno)), LOG_END);
    t->is_failing = true;
}

static bool reopen(struct traffic *t)
{
    struct stat now;
    shut(t);
    t->fd = open(t->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->fd < 0 || fstat(t->fd, &now)) {
        fail(t, "open");
        return false;
    }
    t->size = (uint64_t)now.st_size;
    t->is_failing = false;
    atomic_store(&t->is_on, true);
    return true;
}

void traffic_open(struct traffic *t, const struct config_routes *settings)
{
    pthread_mutex_lock(&t->lock);
    shut(t);
    free(t->path);
    t->path = settings->record ? strdup(settings->record) : NULL;
    t->cap_bytes = settings->record_size_bytes;
    t->per_second = settings->record_rate;
    t->second = -1; /* a new rate holds at once */
    if (t->path) reopen(t);
    pthread_mutex_unlock(&t->lock);
}

bool traffic_wants(struct traffic *t, int64_t now_s)
{
    if (!traffic_is_on(t)) return false;
    pthread_mutex_lock(&t->lock);
    if (t->second != now_s) {
        t->second = now_s;
        t->left = t->per_second;
    }
    bool wanted = t->left > 0;
    t->left -= wanted;
    pthread_mutex_unlock(&t->lock);
    return wanted;
}

/* Full: it becomes FILE.1, in place of the one before. */
static bool rotate(struct traffic *t)
{
    char *old;
    if (asprintf(&old, "%s.1", t->path) < 0) return false;
    bool ok = rename(t->path, old) == 0;
    if (!ok) fail(t, "rename");
    free(old);
    if (!ok) shut(t); /* or it would grow without end */
    return ok && reopen(t);
}

static void put(struct traffic *t, struct slice line)
{
    if (t->fd < 0 || (t->size && t->size + line.len > t->cap_bytes && !rotate(t))) return;
    ssize_t n = write(t->fd, line.at, line.len);
    if (n < 0)
        fail(t, "write");
    else
        t->size += (uint64_t)n;
}

void traffic_add(struct traffic *t, const struct route_facts *facts,
                 const struct route_statement *statement, uint64_t fingerprint)
{
    struct buf line = { 0 };
    char text[17] = "";
    if (statement) snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint);
    record_write(&line, facts, statement, slice_str(text));
    pthread_mutex_lock(&t->lock);
    if (!line.failed && line.len <= RECORD_LINE_BYTES) put(t, buf_slice(&line));
    pthread_mutex_unlock(&t->lock);
    buf_fini(&line);
}
