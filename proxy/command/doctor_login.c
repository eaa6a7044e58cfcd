#include "proxy/command/doctor_login.h"

#include "proxy/server.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>

/* A server wants a worker; this one has no thread, no listener and no pool. */
struct trying {
    struct worker worker;
    struct server server;
    struct server_target target;
    uv_async_t secret_refused;
    struct doctor_login *login;
    bool closed;
};

static struct trying *trying_of(struct server *s) { return list_item(s, struct trying, server); }

static void on_ready(struct server *s)
{
    struct doctor_login *l = trying_of(s)->login;
    struct slice version = params_get(&s->params, "server_version");
    l->ok = true;
    snprintf(l->said, sizeof l->said, "%s%s %.*s, %s", "logged in; ",
             s->is_redshift ? "Redshift" : "PostgreSQL", SLICE_ARG(version),
             stream_is_tls(&s->stream) ? "over TLS" : "without TLS");
    server_close(s);
}

static void on_failed(struct server *s, const struct err *err)
{
    struct doctor_login *l = trying_of(s)->login;
    l->code = err->code;
    snprintf(l->said, sizeof l->said, "%s%s%s", err->message, err->hint[0] ? "; " : "", err->hint);
}

static void on_closed(struct server *s) { trying_of(s)->closed = true; }

static void on_bytes(struct server *s, const char *at, size_t len)
{
    (void)s;
    (void)at;
    (void)len;
}

static void on_drained(struct server *s) { (void)s; }

static void on_dropped(struct server *s, void *local)
{
    (void)s;
    (void)local;
}

static const struct server_events events = {
    .on_ready = on_ready,
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_dropped = on_dropped,
    .on_closed = on_closed,
};

static void on_refused(uv_async_t *async) { (void)async; }

static void on_mailbox_closed(struct mailbox *m) { (void)m; }

static void try(struct trying *t, uv_loop_t *loop)
{
    struct err err;
    struct slice nothing = { 0 };
    if (!server_open(&t->server, &t->worker.env, &t->target, &events, nothing, 0, &err)) {
        on_failed(&t->server, &err);
        return;
    }
    while (!t->closed) uv_run(loop, UV_RUN_ONCE);
}

void doctor_login(uv_loop_t *loop, struct shared *shared, struct log *log, struct realm *realm,
                  const struct realm_cluster *cluster, const char *db_user, const char *database,
                  struct doctor_login *l)
{
    struct trying *t = calloc(1, sizeof *t);
    uint64_t begun = uv_hrtime();
    *l = (struct doctor_login){ .code = ERR_OUT_OF_MEMORY, .said = "out of memory" };
    if (!t) return;
    t->login = l;
    t->worker.env =
        (struct env){ .log = log, .realm = realm, .worker = &t->worker, .shared = shared };
    t->target = (struct server_target){
        .realm = realm,
        .cluster = cluster,
        .database = (char *)(uintptr_t)database,
        .db_user = (char *)(uintptr_t)db_user,
    };
    stmt_table_init(&t->worker.stmts, shared->seed);
    uv_async_init(loop, &t->secret_refused, on_refused);
    shared->secret_refused = &t->secret_refused;
    bool streams = stream_loop_init(&t->worker.env.streams, loop);
    if (streams && mailbox_open(&t->worker.mailbox, loop, t)) {
        try(t, loop);
        mailbox_close(&t->worker.mailbox, on_mailbox_closed);
    }
    if (streams) stream_loop_fini(&t->worker.env.streams);
    uv_close((uv_handle_t *)&t->secret_refused, NULL);
    uv_run(loop, UV_RUN_NOWAIT); /* closes what was closed */
    uv_run(loop, UV_RUN_NOWAIT);
    stmt_table_fini(&t->worker.stmts);
    l->ms = (double)(uv_hrtime() - begun) / 1e6;
    free(t);
}
