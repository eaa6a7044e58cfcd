#include "proxy/server.h"

#include "auth/prove.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/cancel.h"
#include "proxy/creds.h"
#include "proxy/io/offload.h"
#include "proxy/io/resolve.h"
#include "proxy/random.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELD_MAX = 256 * 1024 };

/* What is needed until the server is ready. */
struct server_login {
    struct creds_ask *ask;       /* NULL: done, or not needed */
    struct creds_login *fetched; /* NULL: static credentials */
    struct resolve *resolve;     /* NULL: done */
    struct prove *prove;
    struct offload derive;
    uint8_t binding[TLS_END_POINT_BYTES];
    bool deriving;
};

/* ---- the table ------------------------------------------------------------------------------ */

static const char *const state_names[SERVER_STATES] = {
#define X(name) #name,
    SERVER_STATE_LIST(X)
#undef X
};

static const char *const event_names[SERVER_EVENTS] = {
#define X(name) #name,
    SERVER_EVENT_LIST(X)
#undef X
};

const char *server_state_name(enum server_state state) { return state_names[state]; }

typedef void action(struct server *s, const void *arg);

static action do_nothing, do_dial, do_greet, do_secure, do_log_in, do_prove, do_announce, do_fail,
    do_bury;

static const struct row {
    action *act;
    uint8_t next;
} table[SERVER_STATES][SERVER_EVENTS] = {
#define SERVER(state, event, action, next)                                                         \
    [SERVER_##state][SERVER_ON_##event] = { do_##action, SERVER_##next },
#include "proxy/server.def"
#undef SERVER
};

void server_step(struct server *s, enum server_event event, const void *arg)
{
    const struct row *row = &table[s->state][event];
    if (!row->act) {
        if (s->state < SERVER_CLOSING)
            server_fail(s, ERR_SERVER_CONFUSED, "%s while %s", event_names[event],
                        state_names[s->state]);
        return;
    }
    s->state = row->next;
    row->act(s, arg);
}

static void do_nothing(struct server *s, const void *arg)
{
    (void)s;
    (void)arg;
}

void server_name(const struct server *s, char *text, size_t size)
{
    const struct realm_cluster *c = s->target->cluster;
    if (s->found_host)
        snprintf(text, size, "%s:%u", s->found_host, s->found_port);
    else if (!c->host)
        snprintf(text, size, "%s", c->config->name);
    else if (c->port)
        snprintf(text, size, "%s:%u", c->host, c->port);
    else
        snprintf(text, size, "%s", c->host);
}

const char *server_tls_name(const struct server *s)
{
    const char *name = s->target->cluster->tls_name;
    return name ? name : s->found_host;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void login_free(struct server *s)
{
    struct server_login *l = s->login;
    if (!l) return;
    if (l->ask) creds_ask_cancel(l->ask);
    l->ask = NULL;
    if (l->resolve) resolve_cancel(l->resolve);
    l->resolve = NULL;
    /* A derivation under way cannot be stopped; it finds `login` gone from its owner. */
    if (l->deriving) {
        l->derive.owner = NULL;
        s->login = NULL;
        return;
    }
    prove_free(l->prove);
    creds_login_unref(l->fetched);
    free(l);
    s->login = NULL;
}

static void on_never_dialled(struct wheel_node *node)
{
    server_step(list_item(node, struct server, timer), SERVER_ON_CLOSED, NULL);
}

/* A stream that was never opened cannot call back; on_closed must come all the same, later. */
static void close_stream(struct server *s)
{
    if (s->dialled) {
        stream_close(&s->stream);
        return;
    }
    wheel_node_init(&s->timer, on_never_dialled);
    wheel_set(&s->env->streams.wheel, &s->timer, 0);
}

static void do_fail(struct server *s, const void *arg)
{
    const struct err *err = arg;
    wheel_cancel(&s->timer);
    cancel_forget(s);
    /* A cluster that was found by its name may be elsewhere by now. */
    if (err->code == ERR_SERVER_UNREACHABLE && s->found_host && s->login && s->login->fetched)
        creds_reject(s->env->shared->creds, s->login->fetched);
    login_free(s);
    s->events->on_failed(s, err);
    close_stream(s);
}

static void do_bury(struct server *s, const void *arg)
{
    struct txn_entry entry;
    (void)arg;
    for (s->txn.dropping = s->txn.count; txn_take_dropped(&s->txn, &entry);)
        if (entry.kind == TXN_LOCAL) s->events->on_dropped(s, entry.local);
    txn_fini(&s->txn);
    params_fini(&s->params);
    settings_unref(s->settings);
    stmt_shelf_fini(&s->shelf, &s->env->worker->stmts);
    buf_fini(&s->held);
    buf_fini(&s->kept);
    buf_fini(&s->pairs);
    free(s->last_words);
    free(s->found_host);
    metrics_sub(&s->env->metrics, METRIC_servers, 1);
    s->events->on_closed(s);
}

void server_fail(struct server *s, enum err_code code, const char *format, ...)
{
    struct err err;
    char text[sizeof err.message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err_set(&err, code, "%s", text);
    server_step(s, SERVER_ON_FAILED, &err);
}

void server_close(struct server *s)
{
    if (s->state >= SERVER_CLOSING) return;
    s->state = SERVER_CLOSING;
    wheel_cancel(&s->timer);
    cancel_forget(s);
    login_free(s);
    metrics_add(&s->env->metrics, METRIC_servers_closed, 1);
    if (s->pid) {
        struct buf out = { 0 };
        frontend_terminate(&out);
        stream_write_slice(&s->stream, buf_slice(&out));
        buf_fini(&out);
    }
    close_stream(s);
}

/* ---- connecting ----------------------------------------------------------------------------- */

static void on_timeout(struct wheel_node *node)
{
    struct server *s = list_item(node, struct server, timer);
    server_fail(s, ERR_SERVER_UNREACHABLE,
                "connecting and logging in took longer than server_connect_timeout (was %s)",
                state_names[s->state]);
}

static const struct stream_events stream_events;

static void on_resolved(void *owner, const struct resolve_answer *answer, const struct err *err)
{
    struct server *s = owner;
    s->login->resolve = NULL;
    if (err) {
        server_step(s, SERVER_ON_FAILED, err);
        return;
    }
    /* One address per attempt: a pool that tries again moves on to the next. */
    server_step(s, SERVER_ON_RESOLVED, &answer->at[s->attempt % answer->count]);
}

static void do_dial(struct server *s, const void *arg)
{
    struct err err;
    s->address = *(const union socket_address *)arg;
    s->dialled = true;
    if (!stream_connect(&s->stream, &s->env->streams, &stream_events, &s->address, &err))
        server_step(s, SERVER_ON_FAILED, &err);
}

static enum config_tls_mode tls_mode_of(const struct server *s)
{
    /* Unix sockets never ask for TLS, as in libpq. */
    bool is_unix = s->target->cluster->config->endpoint.is_unix;
    return is_unix ? CONFIG_TLS_DISABLE : s->target->cluster->config->tls.mode;
}

static void do_greet(struct server *s, const void *arg)
{
    (void)arg;
    if (tls_mode_of(s) <= CONFIG_TLS_ALLOW) {
        server_step(s, SERVER_ON_PLAIN, NULL);
        return;
    }
    struct buf out = { 0 };
    frontend_ssl_request(&out);
    stream_write_slice(&s->stream, buf_slice(&out));
    buf_fini(&out);
}

/* The answer to SSLRequest: one byte, alone. Whatever else a server (or somebody in between)
 * says before TLS is neither believed nor shown (CVE-2021-23222, CVE-2024-10977). */
static void take_greeting(struct server *s, const char *at, size_t len)
{
    if (len == 1 && at[0] == 'S') {
        server_step(s, SERVER_ON_TLS_OFFERED, NULL);
    } else if (len == 1 && at[0] == 'N' && tls_mode_of(s) == CONFIG_TLS_PREFER) {
        server_step(s, SERVER_ON_PLAIN, NULL);
    } else if (len == 1 && at[0] == 'N') {
        server_fail(s, ERR_SERVER_UNREACHABLE,
                    "the server offers no TLS; cluster \"%s\" requires it (clusters.%s.tls.mode)",
                    s->target->cluster->config->name, s->target->cluster->config->name);
    } else {
        server_fail(s, ERR_SERVER_CONFUSED, "unexpected answer to SSLRequest");
    }
}

static void do_secure(struct server *s, const void *arg)
{
    struct err err;
    (void)arg;
    if (!stream_secure_client(&s->stream, s->target->cluster->tls, server_tls_name(s), &err))
        server_step(s, SERVER_ON_FAILED, &err);
}

/* ---- login ---------------------------------------------------------------------------------- */

/* With credentials from AWS the user is the one that AWS names, "IAM:loader". */
static const char *login_user(const struct server *s)
{
    const struct creds_login *fetched = s->login ? s->login->fetched : NULL;
    return fetched ? fetched->user : s->target->db_user;
}

static const struct secret *login_password(const struct server *s)
{
    if (s->target->given) return s->target->given_is_token ? NULL : s->target->given;
    return s->login->fetched ? s->login->fetched->password
                             : realm_password(s->target->cluster, s->target->db_user);
}

static void send_startup(struct server *s)
{
    const struct server_target *t = s->target;
    struct buf out = { 0 };
    uint32_t begun = frontend_startup_begin(&out, 3, 0);
    frontend_startup_add(&out, slice_str("user"), slice_str(login_user(s)));
    frontend_startup_add(&out, slice_str("database"), slice_str(t->database));
    buf_add_slice(&out, buf_slice(&t->context));
    buf_add_slice(&out, buf_slice(&s->pairs));
    frontend_startup_end(&out, begun);
    stream_write_slice(&s->stream, buf_slice(&out));
    buf_fini(&out);
}

static void do_log_in(struct server *s, const void *arg)
{
    (void)arg;
    struct prove_setup setup = {
        .user = slice_str(login_user(s)),
        .password = login_password(s),
        .token = s->target->given_is_token ? s->target->given : NULL,
        .tls = stream_is_tls(&s->stream),
    };
    if (setup.tls)
        setup.channel_binding = slice_of(
            s->login->binding, tls_server_end_point(stream_tls(&s->stream), s->login->binding));
    random_bytes(setup.random, sizeof setup.random);
    s->login->prove = prove_new(&setup);
    if (!s->login->prove) {
        server_fail(s, ERR_OUT_OF_MEMORY, "out of memory");
        return;
    }
    send_startup(s);
}

static void proven(struct server *s, enum prove_result result, struct buf *out,
                   const struct err *err);

static void derive(struct offload *o) { prove_derive(((struct server_login *)o->context)->prove); }

static void on_derived(struct offload *o)
{
    struct server_login *l = o->context;
    struct server *s = o->owner;
    l->deriving = false;
    if (!s) {
        prove_free(l->prove);
        creds_login_unref(l->fetched);
        free(l);
        return;
    }
    struct buf out = { 0 };
    struct err err;
    proven(s, prove_derived(l->prove, &out, &err), &out, &err);
}

static void proven(struct server *s, enum prove_result result, struct buf *out,
                   const struct err *err)
{
    if (out->len) stream_write_slice(&s->stream, buf_slice(out));
    buf_wipe(out);
    switch (result) {
    case PROVE_SEND: break;
    case PROVE_DERIVE:
        /* PBKDF2 takes milliseconds: not on the loop. */
        s->login->deriving = true;
        s->login->derive = (struct offload){ .owner = s, .context = s->login };
        offload_run(s->env->streams.uv, &s->login->derive, derive, on_derived);
        break;
    case PROVE_OK: server_step(s, SERVER_ON_PROVED, NULL); break;
    case PROVE_FAILED: server_step(s, SERVER_ON_FAILED, err); break;
    }
}

static void do_prove(struct server *s, const void *arg)
{
    const struct piece *message = arg;
    struct buf out = { 0 };
    struct err err;
    if (s->login->deriving) {
        server_fail(s, ERR_SERVER_CONFUSED, "a second authentication request");
        return;
    }
    enum prove_result result = prove_message(s->login->prove, piece_body(message), &out, &err);
    proven(s, result, &out, &err);
}

/* The first of our startup parameters that the text names in quotes, as PostgreSQL and Redshift do:
 * unrecognized configuration parameter "x", invalid value for parameter "x", permission denied ...
 */
static struct slice parameter_in(const struct server *s, struct slice text)
{
    struct params sent = { .pairs = s->pairs };
    struct slice name, value;
    for (uint32_t at = 0; params_next(&sent, &at, &name, &value);) {
        char quoted[128];
        int n = snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)(name.len < 100 ? name.len : 100),
                         name.at);
        if (text.len && memmem(text.at, text.len, quoted, (size_t)n)) return name;
    }
    return (struct slice){ 0 };
}

/* An ErrorResponse during login: the server's own words, and its SQLSTATE in front. */
static void refused(struct server *s, struct slice body)
{
    struct slice state = backend_field(body, 'C'), text = backend_field(body, 'M');
    if (slice_starts(state, "42") || slice_starts(state, "22")) s->rejected = parameter_in(s, text);
    char where[160];
    server_name(s, where, sizeof where);
    /* A login from AWS may have become invalid: the next attempt gets another one, once. */
    struct creds_login *fetched = s->login ? s->login->fetched : NULL;
    bool unproven = slice_is(state, "28P01") || slice_is(state, "28000");
    bool stale = fetched && unproven;
    if (unproven && !fetched) uv_async_send(s->env->shared->secret_refused);
    if (stale) creds_reject(s->env->shared->creds, fetched);
    if (s->target->given && slice_starts(state, "28")) {
        /* Not ours: the client's. The words are for the log, see session.c. */
        server_fail(s, ERR_LOGIN_FAILED, "the warehouse does not accept this %s: %.*s",
                    s->target->given_is_token ? "token" : "password",
                    text.len < 150 ? (int)text.len : 150, text.at ? text.at : "");
        return;
    }
    server_fail(s, stale && !fetched->second ? ERR_NO_CREDENTIALS : ERR_SERVER_REJECTED,
                "%.*s %s refused the login of \"%s\": %.*s", state.len == 5 ? 5 : 0,
                state.at ? state.at : "", where, login_user(s),
                text.len < 150 ? (int)text.len : 150, text.at ? text.at : "");
}

static void do_announce(struct server *s, const void *arg)
{
    (void)arg;
    login_free(s);
    wheel_cancel(&s->timer);
    s->is_redshift = params_get(&s->params, "padb_version").at != NULL ||
                     slice_starts(params_get(&s->params, "server_version"), "8.0");
    s->txn.status = TXN_IDLE;
    s->opened_ms = s->idle_since_ms = env_now_ms(s->env);
    metrics_add(&s->env->metrics, METRIC_servers_opened, 1);
    s->events->on_ready(s);
}

bool server_note(struct server *s, struct slice name, struct slice value)
{
    if (slice_is_nocase(name, "client_encoding")) s->is_unreadable = !params_is_readable(value);
    return params_set(&s->params, name, value);
}

bool server_hear_farewell(struct server *s, struct slice body)
{
    struct slice severity = backend_field(body, 'V'), state = backend_field(body, 'C');
    struct slice text = backend_field(body, 'M');
    char words[200];
    if (!severity.at)
        severity = backend_field(body, 'S'); /* before 9.6, in the server's language */
    if (!slice_is(severity, "FATAL") && !slice_is(severity, "PANIC")) return false;
    snprintf(words, sizeof words, "%.*s %.*s", state.len == 5 ? 5 : 0, state.at ? state.at : "",
             text.len < 150 ? (int)text.len : 150, text.at ? text.at : "");
    free(s->last_words);
    s->last_words = strdup(words);
    return true;
}

static void take_key_data(struct server *s, struct slice body)
{
    struct slice key;
    if (!backend_read_key_data(body, &s->pid, &key) || key.len > sizeof s->key) {
        server_fail(s, ERR_SERVER_CONFUSED, "malformed BackendKeyData");
        return;
    }
    memcpy(s->key, key.at, key.len);
    s->key_len = (uint8_t)key.len;
}

/* A message between the startup packet and the first ReadyForQuery. */
static void take_login_message(struct server *s, const struct piece *p)
{
    struct slice name, value;
    switch (p->type) {
    case BACKEND_AUTHENTICATION: server_step(s, SERVER_ON_ASKED, p); break;
    case BACKEND_PARAMETER_STATUS:
        if (!backend_read_parameter(piece_body(p), &name, &value) || !server_note(s, name, value))
            server_fail(s, ERR_SERVER_CONFUSED, "malformed ParameterStatus");
        break;
    case BACKEND_KEY_DATA: take_key_data(s, piece_body(p)); break;
    case BACKEND_READY: server_step(s, SERVER_ON_READY, NULL); break;
    case BACKEND_ERROR: refused(s, piece_body(p)); break;
    case BACKEND_NOTICE:
    case BACKEND_NEGOTIATE: break;
    default: server_fail(s, ERR_SERVER_CONFUSED, "unexpected message '%c' during login", p->type);
    }
}

static void take_login_bytes(struct server *s, const char *at, size_t len)
{
    buf_add(&s->held, at, len);
    if (s->held.failed || s->held.len > HELD_MAX) {
        server_fail(s, ERR_SERVER_CONFUSED, "too much was said during login");
        return;
    }
    struct buf in = s->held;
    s->held = (struct buf){ 0 };
    struct slice left = buf_slice(&in);
    struct piece piece;
    enum frame_result result = FRAME_MORE;
    while (s->state < SERVER_IDLE && (result = frame_next(&s->frame, &left, &piece)) == FRAME_PIECE)
        if (piece.first) take_login_message(s, &piece);
    if (s->state < SERVER_IDLE && result > FRAME_MORE)
        server_fail(s, ERR_SERVER_CONFUSED, "malformed message during login");
    else if (s->state < SERVER_IDLE)
        buf_add_slice(&s->held, left);
    else if (left.len && s->state < SERVER_CLOSING)
        s->events->on_bytes(s, left.at, left.len);
    buf_fini(&in);
}

/* ---- the stream's events -------------------------------------------------------------------- */

static void on_connected(struct stream *stream, const struct err *err)
{
    struct server *s = (struct server *)stream;
    server_step(s, err ? SERVER_ON_FAILED : SERVER_ON_CONNECTED, err);
}

static void on_secured(struct stream *stream, const struct err *err)
{
    struct server *s = (struct server *)stream;
    server_step(s, err ? SERVER_ON_FAILED : SERVER_ON_SECURED, err);
}

static void on_bytes(struct stream *stream, const char *at, size_t len)
{
    struct server *s = (struct server *)stream;
    metrics_add(&s->env->metrics, METRIC_server_bytes_received, len);
    switch ((enum server_state)s->state) {
    case SERVER_GREETING: take_greeting(s, at, len); break;
    case SERVER_PROVING:
    case SERVER_STARTING: take_login_bytes(s, at, len); break;
    case SERVER_IDLE:
    case SERVER_BUSY:
    case SERVER_SETTLING: s->events->on_bytes(s, at, len); break;
    default: break;
    }
}

static void on_drained(struct stream *stream)
{
    struct server *s = (struct server *)stream;
    s->events->on_drained(s);
}

static void on_end(struct stream *stream, enum stream_end end, const struct err *err)
{
    struct server *s = (struct server *)stream;
    if (s->state >= SERVER_CLOSING) return;
    metrics_add(&s->env->metrics, METRIC_servers_lost, s->pid ? 1 : 0);
    server_fail(s, s->pid ? ERR_SERVER_LOST : ERR_SERVER_UNREACHABLE,
                "the warehouse closed the connection (%s)",
                s->last_words             ? s->last_words
                : err                     ? err->message
                : end == STREAM_TRUNCATED ? "TLS stream cut short"
                                          : "end of file");
}

static void on_stream_closed(struct stream *stream)
{
    struct server *s = (struct server *)stream;
    server_step(s, SERVER_ON_CLOSED, NULL);
}

static const struct stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

static struct resolve *start_resolve(struct server *s, struct err *err)
{
    const struct realm_cluster *c = s->target->cluster;
    uint16_t port = s->found_host ? s->found_port : c->port;
    char host[300];
    snprintf(host, sizeof host, "%s%s",
             port ? "" : "unix:", s->found_host ? s->found_host : c->host);
    return resolve_start(s->env->streams.uv, slice_str(host), port,
                         (uint32_t)s->target->realm->config->pool.server_connect_timeout_ms,
                         on_resolved, s, err);
}

static void on_login_fetched(void *owner, struct creds_login *login, const struct err *err)
{
    struct server *s = owner;
    struct err why;
    s->login->ask = NULL;
    s->login->fetched = login;
    if (login && login->host) {
        s->found_host = strdup(login->host);
        s->found_port = login->port;
        if (!s->found_host) {
            server_fail(s, ERR_OUT_OF_MEMORY, "out of memory");
            return;
        }
    }
    if (!err) s->login->resolve = start_resolve(s, &why);
    if (!s->login->resolve) server_step(s, SERVER_ON_FAILED, err ? err : &why);
}

/* The first step: a login from AWS where the cluster wants one, else the address. */
static bool start_login(struct server *s, struct err *err)
{
    const struct server_target *t = s->target;
    if (!creds_serves(t->cluster)) {
        s->login->resolve = start_resolve(s, err);
        return s->login->resolve != NULL;
    }
    /* Before our own timer ends it all: the answer says what AWS is at. */
    uint64_t patience_ms = t->realm->config->pool.server_connect_timeout_ms / 10 * 8;
    s->login->ask = creds_ask(s->env->shared->creds, t->realm, t->cluster, t->database, t->db_user,
                              patience_ms, &s->env->worker->mailbox, on_login_fetched, s);
    return s->login->ask || err_set(err, ERR_OUT_OF_MEMORY, "");
}

bool server_open(struct server *s, struct env *env, const struct server_target *target,
                 const struct server_events *events, struct slice pairs, uint32_t attempt,
                 struct err *err)
{
    *s = (struct server){ .env = env, .target = target, .events = events, .attempt = attempt };
    s->id = shared_next_id(env->shared);
    list_init(&s->node);
    list_init(&s->cancelling);
    frame_init(&s->frame, backend_specs);
    txn_init(&s->txn);
    stmt_shelf_init(&s->shelf, env->shared->seed);
    wheel_node_init(&s->timer, on_timeout);
    buf_add_slice(&s->pairs, pairs);
    s->login = calloc(1, sizeof *s->login);
    if (!s->login || s->pairs.failed) {
        free(s->login);
        buf_fini(&s->pairs);
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    }
    if (!start_login(s, err)) {
        free(s->login);
        buf_fini(&s->pairs);
        return false;
    }
    metrics_add(&env->metrics, METRIC_servers, 1);
    metrics_add(&env->metrics, METRIC_servers_dialled, 1);
    wheel_set(&env->streams.wheel, &s->timer,
              target->realm->config->pool.server_connect_timeout_ms);
    return true;
}
