/* The file kind of route_store: the document is the file itself; NAME.kept/ beside it holds what
 * was put before: documents by hash, `history` (a line each), `candidate`. Blocks; files are small.
 */
#include "proxy/route_store.h"

#include "protocol/json.h"
#include "proxy/ops/file.h"
#include "proxy/route_world.h"
#include "routing/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, HISTORY_BYTES = 16 << 20 };

struct file_store {
    struct route_store store;
    struct config *config;
    const char *path;
    char seen[65]; /* hash of the document at the last look */
};

static struct file_store *file_of(struct route_store *s)
{
    return list_item(s, struct file_store, store);
}

static void fail(struct file_store *f, const char *what, const char *path)
{
    struct err err;
    err_set(&err, ERR_CONFIG, "%s: cannot %s: %s", path, what, strerror(errno));
    route_store_end(&f->store, &err);
}

static bool name_kept(const struct file_store *f, const char *name, char path[PATH_BYTES])
{
    int n = snprintf(path, PATH_BYTES, "%s.kept%s%s", f->path, *name ? "/" : "", name);
    if (n > 0 && n < PATH_BYTES) return true;
    errno = ENAMETOOLONG;
    return false;
}

/* The version that a document claims; 0: none, or no document. */
static uint64_t version_of(struct slice text)
{
    struct json_error error;
    struct json_doc *doc = json_parse(text, TABLE_CAP_BYTES, &error);
    int64_t version = 0;
    const struct json_value *v = doc ? json_member(json_root(doc), slice_str("version")) : NULL;
    if (!v || !json_integer(v, &version) || version < 0) version = 0;
    json_free(doc);
    return (uint64_t)version;
}

static bool read_document(struct file_store *f, const char *path)
{
    struct err err;
    buf_fini(&f->store.document);
    if (file_read(path, TABLE_CAP_BYTES, &f->store.document, &err)) return true;
    char message[sizeof err.message];
    memcpy(message, err.message, sizeof message);
    err_set(&err, ERR_CONFIG, "%s: %s", path, message);
    route_store_end(&f->store, &err);
    return false;
}

static void look(struct route_store *s)
{
    struct file_store *f = file_of(s);
    if (!read_document(f, f->path)) return;
    struct slice text = buf_slice(&s->document);
    s->verdict = CACHE_BELIEVED;
    s->has_document = true;
    s->bytes = text.len;
    s->active.generation = version_of(text);
    route_store_hash(s->active.hash, text);
    memcpy(f->seen, s->active.hash, sizeof f->seen);
    route_store_end(s, NULL);
}

static void fetch(struct route_store *s, const struct dynamo_active *which)
{
    struct file_store *f = file_of(s);
    char path[PATH_BYTES], name[72];
    snprintf(name, sizeof name, "%s.json", which->hash);
    if (!name_kept(f, name, path))
        fail(f, "read", f->path);
    else if (read_document(f, path))
        route_store_end(s, NULL);
}

/* ---- putting -------------------------------------------------------------------------------- */

static bool keep_document(const struct file_store *f, struct slice text)
{
    char path[PATH_BYTES], name[72], hash[65];
    struct err err;
    route_store_hash(hash, text);
    snprintf(name, sizeof name, "%s.json", hash);
    return name_kept(f, name, path) && file_replace(path, text, 0644, &err);
}

static bool put_record(const struct file_store *f, const char *name, bool is_list,
                       const struct dynamo_active *which)
{
    char path[PATH_BYTES];
    struct buf line = { 0 };
    struct err err;
    route_store_write_record(&line, which);
    bool ok = !line.failed && name_kept(f, name, path);
    if (ok && is_list) ok = file_append(path, buf_slice(&line), 0644, &err);
    if (ok && !is_list) ok = file_replace(path, buf_slice(&line), 0644, &err);
    buf_fini(&line);
    return ok;
}

static bool put_active(const struct file_store *f, struct slice document,
                       const struct dynamo_active *which)
{
    struct err err;
    char path[PATH_BYTES];
    struct dynamo_active found = f->store.active; /* made by hand: so that one can return to it */
    snprintf(found.action, sizeof found.action, "found");
    if (!name_kept(f, "history", path)) return false;
    if (access(path, F_OK) != 0 && found.hash[0] && !put_record(f, "history", true, &found))
        return false;
    return file_replace(f->path, document, 0644, &err) && put_record(f, "history", true, which);
}

/* One at a time, and only in place of what was looked at. -1 with errno or `changed`. */
static int lock(const struct file_store *f, bool *changed)
{
    char path[PATH_BYTES], hash[65];
    struct buf text = { 0 };
    struct err err;
    if (!name_kept(f, "", path) || (mkdir(path, 0755) != 0 && errno != EEXIST)) return -1;
    if (!name_kept(f, "lock", path)) return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) return fd;
    if (file_read(f->path, TABLE_CAP_BYTES, &text, &err)) {
        route_store_hash(hash, buf_slice(&text));
        *changed = strcmp(hash, f->seen) != 0;
        if (!*changed && !keep_document(f, buf_slice(&text))) *changed = true;
    }
    buf_fini(&text);
    return fd;
}

static void put(struct route_store *s, struct slice document, const struct dynamo_active *next,
                bool as_candidate)
{
    struct file_store *f = file_of(s);
    struct dynamo_active which = *next;
    struct err err;
    bool changed = false, ok = false;
    route_store_hash(which.hash, document);
    int fd = lock(f, &changed);
    if (fd >= 0 && !changed)
        ok = keep_document(f, document) && (as_candidate ? put_record(f, "candidate", false, &which)
                                                         : put_active(f, document, &which));
    if (fd >= 0) close(fd);
    if (ok) {
        route_store_end(s, NULL);
    } else if (changed) {
        err_set(&err, ERR_INVALID_VALUE, "%s has changed meanwhile", f->path);
        route_store_end(s, &err);
    } else {
        fail(f, "write", f->path);
    }
}

/* ---- candidate and history ------------------------------------------------------------------ */

static void candidate(struct route_store *s)
{
    struct file_store *f = file_of(s);
    char path[PATH_BYTES];
    struct buf text = { 0 };
    struct err err;
    if (name_kept(f, "candidate", path) && access(path, F_OK) == 0 &&
        file_read(path, HISTORY_BYTES, &text, &err) &&
        !route_store_read_record(buf_slice(&text), &s->candidate))
        s->candidate = (struct dynamo_active){ 0 };
    buf_fini(&text);
    route_store_end(s, NULL);
}

static void history(struct route_store *s)
{
    struct file_store *f = file_of(s);
    char path[PATH_BYTES];
    struct buf text = { 0 };
    struct dynamo_active line, *to;
    struct err err;
    if (name_kept(f, "history", path) && access(path, F_OK) == 0)
        file_read(path, HISTORY_BYTES, &text, &err);
    size_t end = text.len;
    while (end > 0) { /* from the end: the newest first */
        const char *before = memrchr(text.at, '\n', end - 1);
        size_t from = before ? (size_t)(before - text.at) + 1 : 0;
        if (route_store_read_record(slice_of(text.at + from, end - from), &line) &&
            (to = route_store_add_history(s)))
            *to = line;
        end = from;
    }
    buf_fini(&text);
    route_store_end(s, NULL);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void close_store(struct route_store *s)
{
    struct file_store *f = file_of(s);
    config_unref(f->config);
    route_store_fini(s);
    free(f);
}

static const struct route_store_kind kind = {
    look, fetch, put, candidate, history, close_store,
};

struct route_store *route_store_file(const struct route_store_setup *setup)
{
    struct file_store *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    route_store_init(&f->store, &kind);
    f->config = config_ref(setup->config);
    f->path = route_world_path(f->config);
    /* Alone, a file is right whatever version it claims; beside a cache the version decides. */
    f->store.has_order = setup->config->routes.cache != NULL;
    return &f->store;
}
