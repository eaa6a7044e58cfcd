#include "proxy/session.h"

#include "protocol/backend.h"
#include "protocol/startup.h"
#include "proxy/carry.h"
#include "proxy/console.h"
#include "proxy/deferred.h"
#include "proxy/fleet.h"
#include "proxy/guide.h"
#include "proxy/half_closed.h"
#include "proxy/hoard.h"
#include "proxy/judge.h"
#include "proxy/local.h"
#include "proxy/orphan.h"
#include "proxy/passthrough.h"
#include "proxy/prepared.h"
#include "proxy/reply.h"
#include "proxy/request.h"
#include "proxy/startup_pairs.h"
#include "proxy/tally.h"
#include "proxy/watch.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the welcome ---------------------------------------------------------------------------- */

/* What it asked for and does not get. Between AuthenticationOk and ReadyForQuery a notice may come
 * at any time (PostgreSQL 15, 55.2.1). */
static void add_notices(const struct session *s, struct buf *out)
{
    struct startup_wishes wishes;
    if (!startup_wishes(client_startup(&s->client), s->restricted, &wishes)) out->failed = true;
    for (size_t i = 0; i < wishes.n_refused; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "startup parameter \"%s\" is ignored by the proxy: role \"%.80s\" may not set it",
                 wishes.refused[i], session_role_name(s));
        backend_notice(out, "01000", text);
    }
    buf_fini(&wishes.pairs);
}

/* AuthenticationOk, what the server says of itself, the cancel key, ReadyForQuery: in one write,
 * since some drivers read them in one breath. */
static void welcome(struct session *s, const struct params *params)
{
    struct buf out = { 0 };
    guide_welcomed(s, params);
    backend_auth_ok(&out);
    params_replay(params, &out);
    backend_key_data(&out, cancel_pid(&s->cancel), cancel_key(&s->cancel));
    if (s->restricted) add_notices(s, &out);
    backend_ready(&out, TXN_IDLE);
    /* First its place among those who log in: whoever has read this may come again at once. */
    client_login_done(&s->client);
    client_write(&s->client, buf_slice(&out));
    bool failed = out.failed;
    buf_fini(&out);
    watch_begin(s);
    if (failed) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&s->client, &err);
    }
}

static bool list_key(struct session *s, uint32_t pid)
{
    if (cancel_list(&s->client.env->worker->cancels, &s->cancel, pid, s)) return true;
    struct err err;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    client_refuse(&s->client, &err);
    return false;
}

static void log_login(const struct session *s)
{
    char from[ADDRESS_TEXT_MAX];
    log_event(s->client.env->log, EVENT_client_login, LOG_U64("conn", s->client.id),
              LOG_TEXT("from", address_text(&s->client.address, from)),
              LOG_STR("user", s->client.user->name),
              LOG_STR("identity", client_identity(&s->client)), LOG_TEXT("pool", s->pool->key),
              LOG_TEXT("mode", s->keeps_server ? "session" : "transaction"),
              LOG_STR("rule", s->rule), LOG_END);
}

/* ---- attaching and detaching ---------------------------------------------------------------- */

/* It was asked for at login; a server that says nothing of it is taken at its word. */
static bool speaks_utf8(const struct server *server)
{
    const struct slice encoding = params_get(&server->params, "client_encoding");
    return !encoding.at || params_is_utf8(encoding);
}

static void attach(struct session *s, struct server *server)
{
    s->server = server;
    s->attached_ms = env_now_ms(s->client.env);
    server->session = s;
    metrics_add(&s->client.env->metrics, METRIC_attachments, 1);
    s->pool->stats.assignments++;
    tally_asked(s);
    server_step(server, SERVER_ON_TAKEN, NULL);
    client_step(&s->client, CLIENT_ON_SERVED, NULL);
    struct upstream *out = &s->client.env->worker->to_server;
    upstream_begin(out, &server->stream);
    if (server->is_unreadable) carry_unreadable(s);
    if (session_is_plain(s)) return;
    if (s->restricted && !speaks_utf8(server)) {
        struct err err;
        err_set(&err, ERR_SERVER_CONFUSED, "the warehouse does not speak UTF-8");
        client_refuse(&s->client, &err);
        return;
    }
    prepared_trim(server, out);
    carry_attach(s, out);
    upstream_flush(out);
}

void session_detach(struct session *s)
{
    struct server *server = s->server;
    s->server = NULL;
    client_step(&s->client, CLIENT_ON_RELEASED, NULL);
    watch_session(s);
    /* Neither was read while the other did not take what it was sent: that is over. */
    stream_resume(&server->stream);
    if (!stream_is_choked(&s->client.stream)) stream_resume(&s->client.stream);
    if (server->stained || server->cancels) {
        orphan_adopt(server, false, true);
        return;
    }
    server_step(server, SERVER_ON_RELEASED, NULL);
    pool_give_back(pool_of(server), server);
}

bool session_is_choked(const struct session *s)
{
    return stream_is_choked(&s->client.stream) ||
           (s->server && stream_is_choked(&s->server->stream));
}

void session_enter(struct session *s, struct pool *p)
{
    if (s->pool) pool_left(s->pool);
    s->pool = p;
    p->n_sessions++;
}

static void on_served(struct pool_ticket *t, struct server *server);

static void begin_work(struct session *s)
{
    stream_resume(&s->client.stream);
    if (s->client.held.len) request_resume(s);
}

/* What had to wait for an answer, or for somebody to take what was sent, does so no longer. */
static void go_on_reading(struct session *s)
{
    if (s->pool && s->client.state < CLIENT_LEAVING && !session_is_choked(s)) begin_work(s);
}

/* What nobody was asked yet is answered with an error, and the client goes on. */
static void answer_held(struct session *s, const struct err *err)
{
    struct buf out = { 0 };
    struct slice held = buf_slice(&s->client.held);
    struct piece piece;
    s->cancelled = false;
    judge_forget(s);
    if (frame_next(&s->client.frame, &held, &piece) != FRAME_PIECE) return;
    backend_error(&out, err);
    deferred_fail(s);
    if (piece.type == FRONTEND_QUERY || piece.type == FRONTEND_FUNCTION_CALL)
        backend_ready(&out, deferred_status(s));
    else
        s->discarding = true; /* up to the Sync, as after any error in a batch */
    client_write(&s->client, buf_slice(&out));
    buf_fini(&out);
    s->sending = false;
    buf_drop(&s->client.held, piece.bytes.len);
    begin_work(s);
}

static void answer_cancelled(struct session *s)
{
    struct err err;
    metrics_add(&s->client.env->metrics, METRIC_cancels_queued, 1);
    err_set(&err, ERR_CANCELLED, "");
    answer_held(s, &err);
}

static bool admit(struct session *s, const struct params *params)
{
    struct err err;
    if (passthrough_admits(s, params, &err)) return true;
    client_refuse(&s->client, &err);
    return false;
}

/* The first server of a session: it supplies the welcome. */
static void greet(struct session *s, struct server *server)
{
    if (!admit(s, &server->params)) return;
    if (!list_key(s, s->keeps_server ? server->pid : fleet_pid(s->client.env->shared->fleet)))
        return;
    if (s->settings) pool_remember(s->pool, s->settings, &server->params);
    welcome(s, &server->params);
    log_login(s);
    if (s->client.state != CLIENT_ACTIVE) return;
    /* In session mode it is the one whose pid the client was told: nobody else's from now on. */
    if (!s->keeps_server) session_detach(s);
    begin_work(s);
}

/* What was waited for has happened. */
static void go_on(struct session *s)
{
    s->resume = false;
    if (s->client.state != CLIENT_ACTIVE) return;
    if (s->greeting) {
        s->greeting = false;
        greet(s, s->server);
    } else if (s->cancelled) {
        answer_cancelled(s);
    } else {
        begin_work(s);
    }
}

/* The ticket is in no line any more. */
static void join_other_pool(struct session *s)
{
    struct server *server = pool_join(s->pool, &s->ticket);
    if (server) on_served(&s->ticket, server);
}

/* Its pool was a stranger to us until now, and what it has does not fit what the client was told.
 */
static void refuse_misfit(struct session *s, struct server *server)
{
    struct err err;
    pool_give_back(s->pool, server);
    if (guide_detour(s)) {
        join_other_pool(s);
        return;
    }
    err_set(&err, ERR_NO_ROUTE, "the route leads to a cluster that this connection does not fit");
    err_hint(&err, "connect again");
    client_refuse(&s->client, &err);
}

static bool on_detour(struct pool_ticket *t)
{
    struct session *s = list_item(t, struct session, ticket);
    struct pool *before = s->pool;
    if (!guide_detour(s)) return false;
    pool_leave(before, t);
    join_other_pool(s);
    return true;
}

static void on_served(struct pool_ticket *t, struct server *server)
{
    struct session *s = list_item(t, struct session, ticket);
    if (!guide_suits(s, server)) {
        refuse_misfit(s, server);
        return;
    }
    bool joining = s->client.state == CLIENT_JOINING;
    s->greeting = joining;
    attach(s, server);
    if (!s->settling) go_on(s);
}

static void on_refused(struct pool_ticket *t, const struct err *err)
{
    struct session *s = list_item(t, struct session, ticket);
    if (s->client.unproven && err->code == ERR_LOGIN_FAILED) {
        log_event(s->client.env->log, EVENT_client_not_accepted, LOG_U64("conn", s->client.id),
                  LOG_TEXT("why", err->message), LOG_END);
        client_disproven(&s->client);
        return;
    }
    session_refuse(list_item(t, struct session, ticket), err);
}

static void on_drop_parameter(struct pool_ticket *t, struct slice name)
{
    struct session *s = list_item(t, struct session, ticket);
    startup_pairs_remove(&s->pairs, name);
    t->pairs = buf_slice(&s->pairs);
}

bool session_seek(struct session *s)
{
    struct server *server = pool_join(s->pool, &s->ticket);
    if (!server) return false;
    attach(s, server);
    return s->server != NULL;
}

/* After each turn of replies: is the server free for others? */
/* Whether the server has done all it was asked to, and may serve others. */
static bool may_detach(const struct session *s)
{
    const struct server *server = s->server;
    if (s->keeps_server || s->pinned || s->settling) return false;
    if (!txn_is_clean(&server->txn) || !frame_is_at_start(&server->frame) || server->held.len)
        return false;
    return !s->sending || frame_is_at_start(&s->client.frame);
}

void session_release(struct session *s)
{
    if (s->server && may_detach(s)) session_detach(s);
}

void session_replied(struct session *s)
{
    if (s->resume) go_on(s);
    watch_session(s);
    if (!s->server) return;
    bool quiet = s->server->txn.count == 0;
    if (may_detach(s)) session_detach(s);
    /* Requests that had to wait for the answers before them, or for others' turn. */
    if (quiet && s->client.held.len) go_on_reading(s);
    if (s->half_closed) half_closed_replied(s);
    worker_replied(s->client.env->worker, &s->client);
}

/* ---- where to ------------------------------------------------------------------------------- */

static void log_ignored(const struct session *s, const struct startup_wishes *wishes)
{
    for (size_t i = 0; i < wishes->n_ignored; i++)
        log_event(s->client.env->log, EVENT_client_parameter_ignored, LOG_U64("conn", s->client.id),
                  LOG_STR("parameter", wishes->ignored[i]), LOG_END);
}

void session_pin(struct session *s, const char *why)
{
    if (s->pinned) return;
    s->pinned = why;
    metrics_add(&s->client.env->metrics, METRIC_pins, 1);
    log_event(s->client.env->log, EVENT_session_pinned, LOG_U64("conn", s->client.id),
              LOG_TEXT("why", why), LOG_END);
}

/* What the client asks for, and the pool that has it. `wishes` for the caller to free. */
static bool choose(struct session *s, struct startup_wishes *wishes, struct pool_setup *setup,
                   struct buf *context, struct err *err)
{
    struct client *c = &s->client;
    *wishes = (struct startup_wishes){ 0 };
    s->restricted = judge_is_restricted(s);
    if (!startup_wishes(client_startup(c), s->restricted, wishes))
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    if (!guide_login(s, wishes->version, setup, err)) return false;
    if (!passthrough_begin(s, setup->cluster, &setup->given, context, err)) return false;
    if (setup->given.secret) setup->settings.min_size = 0; /* the pool goes with who gave it */
    return true;
}

/* A pool lives on one worker; its sessions come to it. True: this one is on its way. */
static bool move_to(struct session *s, struct worker *to)
{
    struct session *fresh = calloc(1, sizeof *fresh);
    struct stream_moved moved;
    if (!fresh) return false;
    if (!client_detach(&s->client, &fresh->client, &moved)) {
        free(fresh);
        return false;
    }
    s->moved = true;
    worker_send(to, fresh, &moved);
    return true;
}

/* How much of a statement has to be there: all of it when it is judged, and of a Parse that may
 * have to be repeated elsewhere. */
static void gather_statements(struct session *s)
{
    struct frame *frame = &s->client.frame;
    frame->want_parse = PREPARED_HELD_MAX;
    if (!s->restricted) return;
    frame->want_query = frame->want_parse = UINT32_MAX;
    frame->cap_bytes =
        (uint32_t)s->client.realm->config->limits.statement_bytes + MESSAGE_HEADER + 1;
}

static void add_pair(struct buf *pairs, const char *name, struct slice value)
{
    buf_add(pairs, name, strlen(name) + 1);
    buf_add_slice(pairs, value);
    buf_add_u8(pairs, 0);
}

static void enter_pool(struct session *s, const struct pool_setup *setup,
                       struct startup_wishes *wishes)
{
    struct client *c = &s->client;
    struct err err;
    log_ignored(s, wishes);
    s->keeps_server = setup->settings.mode == CONFIG_POOL_SESSION;
    struct pool *pool = worker_pool(c->env->worker, setup);
    if (!pool) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(c, &err);
        return;
    }
    session_enter(s, pool);
    if (session_is_plain(s)) {
        s->pairs = wishes->pairs;
        wishes->pairs = (struct buf){ 0 };
    } else {
        gather_statements(s);
        startup_pairs_remove(&wishes->pairs, slice_str("client_protocol_version")); /* no setting */
        if (!carry_begin(s, buf_slice(&wishes->pairs), &err)) {
            client_refuse(c, &err);
            return;
        }
        if (wishes->version.len) add_pair(&s->pairs, "client_protocol_version", wishes->version);
        /* What is judged is judged as UTF-8. */
        if (s->restricted) add_pair(&s->pairs, "client_encoding", slice_str("UTF8"));
    }
    guide_entered(s);
    s->ticket.pairs = buf_slice(&s->pairs);
    bool must_ask = s->keeps_server || passthrough_is_stale(s->pool);
    const struct params *known = must_ask ? NULL : pool_recall(s->pool, s->settings);
    if (known) {
        if (!admit(s, known) || !list_key(s, fleet_pid(s->client.env->shared->fleet))) return;
        welcome(s, known);
        log_login(s);
        client_step(c, CLIENT_ON_WELCOMED, NULL);
        begin_work(s);
        return;
    }
    struct server *server = pool_join(s->pool, &s->ticket);
    if (server) on_served(&s->ticket, server);
}

static void join(struct session *s)
{
    struct startup_wishes wishes;
    struct pool_setup setup;
    struct buf context = { 0 };
    struct err err;
    struct worker *here = s->client.env->worker;
    if (choose(s, &wishes, &setup, &context, &err)) {
        struct worker *there = worker_of_pool(here, &setup);
        if (there == here || !move_to(s, there)) enter_pool(s, &setup, &wishes);
    } else {
        client_refuse(&s->client, &err);
    }
    buf_fini(&wishes.pairs);
    buf_fini(&context);
}

static void on_proved(struct client *c)
{
    if (console_is_wanted(c) && c->unproven) /* nobody would judge */
        client_disproven(c);
    else if (console_is_wanted(c))
        console_open(session_of(c));
    else
        join(session_of(c));
}

/* ---- the end -------------------------------------------------------------------------------- */

static void on_leaving(struct client *c)
{
    struct session *s = session_of(c);
    struct worker *w = c->env->worker;
    watch_end(s);
    hoard_release(s);
    cancel_unlist(&w->cancels, &s->cancel);
    if (s->pool) pool_leave(s->pool, &s->ticket);
    struct server *server = s->server;
    if (!server) return;
    s->server = NULL;
    /* What was booked in this turn must leave before the ledger is read. */
    if (w->to_server.box.to == &server->stream) upstream_flush(&w->to_server);
    bool half_sent = s->sending && !frame_is_at_start(&c->frame);
    /* Nobody hears any more whether what was being set came to hold. */
    if (s->changing || s->settling) server->dirty = true;
    orphan_adopt(server, half_sent, !s->terminated);
}

static void on_closed(struct client *c)
{
    struct session *s = session_of(c);
    if (s->moved) {
        guide_end(s);
        free(s);
        return;
    }
    atomic_fetch_sub(&c->env->shared->clients, 1);
    buf_fini(&s->pairs);
    carry_end(s);
    buf_fini(&s->cursors);
    buf_wipe(&s->asked_text);
    deferred_end(s);
    guide_end(s);
    console_free(s->console);
    stmt_book_free(s->book, &c->env->worker->stmts);
    if (s->pool) pool_left(s->pool);
    free(s);
}

/* The request in line is answered with an error, and the client goes on. */
static void answer_waiting(struct session *s, const struct err *err)
{
    client_step(&s->client, CLIENT_ON_WITHDRAWN, NULL);
    answer_held(s, err);
}

void session_refuse(struct session *s, const struct err *err)
{
    if (s->client.state != CLIENT_WAITING || err_is_fatal(err->code))
        client_refuse(&s->client, err);
    else
        answer_waiting(s, err);
}

bool session_is_idle(const struct session *s)
{
    switch ((enum client_state)s->client.state) {
    case CLIENT_FRONTED:
    case CLIENT_ACCEPTED:
    case CLIENT_SECURED:
    case CLIENT_READY: return s->client.held.len == 0 && !deferred_is_open(s);
    case CLIENT_ACTIVE: return txn_is_clean(&s->server->txn) && s->client.held.len == 0;
    default: return false;
    }
}

/* ---- cancel --------------------------------------------------------------------------------- */

/* A cancel that aimed at a server is over: if the session was about to let it go, it does now. */
static void on_cancel_settled(struct server *server)
{
    if (server->session)
        session_replied(server->session);
    else
        orphan_settled(server);
}

void session_cancel(struct session *s, struct cancel_wait *wait)
{
    if (s->client.state == CLIENT_WAITING) {
        pool_leave(s->pool, &s->ticket);
        client_step(&s->client, CLIENT_ON_WITHDRAWN, NULL);
        answer_cancelled(s);
    } else if (s->settling) {
        s->cancelled = true; /* not the server's business: it would stop what we say there */
    } else if (s->server && s->server->txn.count) {
        cancel_send(s->server, wait, on_cancel_settled);
    }
}

static void on_cancel(struct client *c, uint32_t pid, struct slice key)
{
    worker_cancel(c->env->worker, c, pid, key);
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_client_bytes(struct client *c, const char *at, size_t len)
{
    struct session *s = session_of(c);
    if (s->console)
        console_take(s->console, at, len);
    else
        request_take(s, at, len);
}

static void on_client_drained(struct client *c)
{
    struct session *s = session_of(c);
    if (s->server) stream_resume(&s->server->stream);
    if (s->console)
        console_go_on(s->console);
    else
        go_on_reading(s);
}

static bool on_half_closed(struct client *c) { return half_closed_begin(session_of(c)); }

static const struct client_events client_events = {
    .on_half_closed = on_half_closed,
    .on_cancel = on_cancel,
    .on_proved = on_proved,
    .on_bytes = on_client_bytes,
    .on_drained = on_client_drained,
    .on_leaving = on_leaving,
    .on_closed = on_closed,
};

static void on_server_bytes(struct server *server, const char *at, size_t len)
{
    if (server->session)
        reply_take(server, at, len);
    else if (server->state == SERVER_SETTLING)
        orphan_take(server, at, len);
    else
        reply_idle(server, at, len);
}

static void on_server_drained(struct server *server)
{
    if (server->session) go_on_reading(server->session);
}

/* A session whose settings end each server that they are brought to must come to an end. */
enum { MOVES_MAX = 8 };

bool session_moves_on(const struct session *s)
{
    return s->settling && !s->keeps_server && !s->pinned && s->client.state == CLIENT_ACTIVE &&
           s->moves < MOVES_MAX;
}

static void move_on(struct session *s)
{
    metrics_add(&s->client.env->metrics, METRIC_sessions_moved_on, 1);
    s->moves++;
    s->settling = s->resume = false;
    client_step(&s->client, s->greeting ? CLIENT_ON_UNGREETED : CLIENT_ON_BEREFT, NULL);
    s->greeting = false;
    if (s->cancelled) {
        client_step(&s->client, CLIENT_ON_WITHDRAWN, NULL);
        answer_cancelled(s);
        return;
    }
    struct server *server = pool_join_again(s->pool, &s->ticket);
    if (server) on_served(&s->ticket, server);
}

/* The server died under its session. The client hears of it once, and only where a message may
 * begin; in the middle of a row there is nothing left but to close. */
static void on_lost(struct server *server, const struct err *err)
{
    struct session *s = server->session;
    bool in_message = server->passing && !frame_is_at_start(&server->frame);
    s->server = NULL;
    if (err->code == ERR_SERVER_LOST && !s->farewell && !in_message && session_moves_on(s)) {
        move_on(s);
    } else if (s->farewell || in_message) {
        client_step(&s->client, CLIENT_ON_REFUSED, NULL);
    } else {
        client_refuse(&s->client, err);
    }
}

static void on_dropped(void *local) { local_drop(NULL, local); }

static const struct pool_events pool_events = {
    .on_dropped = on_dropped,
    .on_bytes = on_server_bytes,
    .on_drained = on_server_drained,
    .on_lost = on_lost,
};

const struct pool_events *session_pool_events(void) { return &pool_events; }

/* ---- the beginning -------------------------------------------------------------------------- */

static bool has_room(struct env *env)
{
    unsigned limit = env->realm->config->limits.clients;
    if (atomic_load(&env->shared->logging_in) >= env->realm->config->limits.logins_in_progress)
        return false;
    if (atomic_fetch_add(&env->shared->clients, 1) < limit) return true;
    atomic_fetch_sub(&env->shared->clients, 1);
    return false;
}

static const struct pool_ticket_events ticket_events = {
    .served = on_served,
    .refused = on_refused,
    .drop_parameter = on_drop_parameter,
    .detour = on_detour,
};

static void prepare_ticket(struct session *s)
{
    list_init(&s->ticket.node);
    s->ticket.events = &ticket_events;
}

void session_arrive(struct session *s, struct env *env, struct stream_moved *moved)
{
    prepare_ticket(s);
    bool attached = client_attach(&s->client, env, moved);
    list_push_back(&env->worker->sessions, &s->client.node);
    if (attached) join(s);
}

void session_lost(struct session *s, struct stream_moved *moved, struct shared *shared)
{
    atomic_fetch_sub(&shared->clients, 1);
    stream_moved_drop(moved);
    client_abandon(&s->client, shared);
    free(s);
}

void session_accept(struct env *env, int fd, const struct address *from, uint16_t listen)
{
    metrics_add(&env->metrics, METRIC_clients_accepted, 1);
    struct session *s = has_room(env) ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        metrics_add(&env->metrics, METRIC_clients_turned_away, 1);
        close(fd);
        return;
    }
    prepare_ticket(s);
    if (!client_open(&s->client, env, &client_events, fd, from, listen,
                     shared_next_id(env->shared))) {
        atomic_fetch_sub(&env->shared->clients, 1);
        free(s);
        return;
    }
    list_push_back(&env->worker->sessions, &s->client.node);
}
