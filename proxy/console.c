#include "proxy/console.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/startup.h"
#include "proxy/console_reader.h"
#include "proxy/console_way.h"
#include "proxy/control_order.h"
#include "proxy/fleet.h"
#include "proxy/worker.h"

#include <stdlib.h>

enum {
    STATEMENT_MAX = 64 * 1024,
    HELD_HIGH_BYTES = 256 * 1024, /* what may be sent ahead of a command under way */
    PAUSE_LOOK_MS = 100,          /* between two looks whether all servers are free */
};

struct console {
    struct session *session;
    struct console_prepareds prepareds;
    struct buf query; /* a simple Query under way: its text, */
    size_t query_at;  /* and how far it is */
    bool in_query;
    bool first;      /* no statement of it was found so far */
    bool discarding; /* after an error in a batch, up to its Sync */
    bool old_names;  /* an exporter that wants columns by their old names too */
    bool in_txn;     /* between BEGIN and COMMIT, which mean nothing here */
    bool going_on;
    /* The command under way. */
    struct admin_call call;
    uint64_t binary;
    bool described; /* its RowDescription is not to be sent again */
    struct survey *survey;
    struct control_order *order;
};

/* ---- the beginning -------------------------------------------------------------------------- */

bool console_is_wanted(const struct client *c)
{
    struct slice database = startup_get(client_startup(c), "database");
    return slice_is(database, "sluice") || slice_is(database, "pgbouncer");
}

/* Debian's exporter reads columns that PgBouncer has renamed since (total_requests, reserve_pool)
 * and fails without them, at PgBouncer itself, too. It does not say its name; so whoever asks the
 * database pgbouncer without one gets them behind today's. Everybody else: in SHOW EXTENDED. */
static bool wants_old_names(const struct client *c)
{
    const struct slice name = startup_get(client_startup(c), "application_name");
    return slice_is(startup_get(client_startup(c), "database"), "pgbouncer") && name.len == 0;
}

static void widen(const struct console *c, struct admin_call *call)
{
    enum admin_id id = call->command->id;
    if (c->old_names && (id == ADMIN_SHOW_STATS || id == ADMIN_SHOW_DATABASES))
        call->extended = true;
}

/* By the configuration in force, not by the one the client came in under. */
static enum console_level level_of(const struct console *c)
{
    const struct client *client = &c->session->client;
    const struct user *user = users_find(client->env->realm->users, client->user->name);
    return user ? user->console : CONSOLE_NONE;
}

static void say_welcome(struct session *s)
{
    static const char *const says[][2] = {
        /* Drivers take the number for what the server can do. */
        { "server_version", "15.0 (Sluice " SLUICE_VERSION ")" },
        { "server_encoding", "UTF8" },
        { "client_encoding", "UTF8" },
        { "DateStyle", "ISO, MDY" },
        { "TimeZone", "UTC" },
        { "integer_datetimes", "on" },
        { "standard_conforming_strings", "on" },
        { "is_superuser", "off" },
    };
    struct buf out = { 0 };
    backend_auth_ok(&out);
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        backend_parameter_status(&out, slice_str(says[i][0]), slice_str(says[i][1]));
    backend_key_data(&out, cancel_pid(&s->cancel), cancel_key(&s->cancel));
    backend_ready(&out, TXN_IDLE);
    client_write(&s->client, buf_slice(&out));
    buf_fini(&out);
}

static struct console *new_console(struct session *s)
{
    struct console *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->session = s;
    c->old_names = wants_old_names(&s->client);
    console_prepareds_init(&c->prepareds);
    return c;
}

void console_free(struct console *c)
{
    if (!c) return;
    if (c->survey) c->survey->owner = NULL;
    if (c->order) c->order->owner = NULL;
    console_prepareds_fini(&c->prepareds);
    buf_fini(&c->query);
    free(c);
}

void console_open(struct session *s)
{
    struct client *client = &s->client;
    char from[ADDRESS_TEXT_MAX];
    struct err err;
    s->console = new_console(s);
    if (!s->console || !cancel_list(&client->env->worker->cancels, &s->cancel,
                                    fleet_pid(client->env->shared->fleet), s)) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(client, &err);
        return;
    }
    if (level_of(s->console) == CONSOLE_NONE) {
        err_set(&err, ERR_ACCESS_DENIED, "this user may not use the admin console");
        err_hint(&err, "give it \"console\": \"viewer\" or more in the configuration");
        client_refuse(client, &err);
        return;
    }
    say_welcome(s);
    log_event(client->env->log, EVENT_client_login, LOG_U64("conn", client->id),
              LOG_TEXT("from", address_text(&client->address, from)),
              LOG_STR("user", client->user->name), LOG_TEXT("pool", "console"), LOG_END);
    client_login_done(client);
    client_step(client, CLIENT_ON_WELCOMED, NULL);
    client->frame.want_query = client->frame.want_parse = UINT32_MAX;
    client->frame.cap_bytes = STATEMENT_MAX;
    console_go_on(s->console);
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool is_alive(const struct console *c) { return c->session->client.state == CLIENT_READY; }

static void say(struct console *c, struct buf *out)
{
    if (out->failed) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&c->session->client, &err);
    } else if (is_alive(c)) {
        client_write(&c->session->client, buf_slice(out));
        metrics_add(&c->session->client.env->metrics, METRIC_client_bytes_sent, out->len);
    }
    buf_fini(out);
}

static void say_ready(struct console *c)
{
    struct buf out = { 0 };
    backend_ready(&out, c->in_txn ? TXN_BLOCK : TXN_IDLE);
    say(c, &out);
}

/* The rest of a Query, or of a batch, is not carried out. */
static void fail(struct console *c, const struct err *err)
{
    struct buf out = { 0 };
    backend_error(&out, err);
    say(c, &out);
    c->call.command = NULL;
    if (c->in_query)
        c->query_at = c->query.len;
    else
        c->discarding = true;
    c->first = false;
}

static struct rows_shape shape_of(const struct console *c)
{
    return (struct rows_shape){ admin_shape(&c->call), c->call.extended, c->binary, false };
}

/* SHOW for all that shows, else the command's first word. */
static void say_done(struct console *c, struct buf *out, uint64_t rows)
{
    const struct admin_command *command = c->call.command;
    char tag[64];
    if (command->id == ADMIN_SELECT_1)
        snprintf(tag, sizeof tag, "SELECT %llu", (unsigned long long)rows);
    else if (command->id == ADMIN_START_TRANSACTION)
        snprintf(tag, sizeof tag, "%s", command->words);
    else
        snprintf(tag, sizeof tag, "%.*s", (int)strcspn(command->words, " "), command->words);
    backend_command_complete(out, tag);
    c->call.command = NULL;
    c->first = false;
    say(c, out);
}

/* All rows of one part, made here. */
static void answer_rows(struct console *c, struct rows *r)
{
    struct rows_shape shape = shape_of(c);
    struct buf out = { 0 };
    if (!c->described) rows_describe(&shape, &out);
    uint64_t n = rows_join(&shape, r, 1, c->session->client.env->shared->seed, NULL, NULL, &out);
    rows_fini(r);
    say_done(c, &out, n);
}

/* ---- commands that ask all workers ------------------------------------------------------------
 */

static void on_survey_done(struct survey *s);

static bool ask_workers(struct console *c)
{
    struct env *env = c->session->client.env;
    struct survey *s = console_survey(&c->call, env->shared);
    struct err err;
    if (!s) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(&c->session->client, &err);
        return false;
    }
    s->done = on_survey_done;
    s->home = &env->worker->mailbox;
    s->owner = c;
    c->survey = s;
    survey_start(s, env->shared);
    return true;
}

/* PAUSE and WAIT_CLOSE answer when the last server is closed. */
static void on_look_again(struct wheel_node *node)
{
    struct session *s = session_of(list_item(node, struct client, timer));
    if (is_alive(s->console)) ask_workers(s->console);
}

static void look_again(struct console *c)
{
    struct client *client = &c->session->client;
    wheel_cancel(&client->timer);
    wheel_node_init(&client->timer, on_look_again);
    wheel_set(&client->env->streams.wheel, &client->timer, PAUSE_LOOK_MS);
}

static void answer_survey(struct console *c, struct survey *s)
{
    struct rows_shape shape = shape_of(c);
    struct buf out = { 0 };
    struct err err;
    uint64_t n = 0;
    if (!console_found(&c->call, s, &err)) {
        fail(c, &err);
        return;
    }
    if (admin_has_rows(&admin_commands[admin_shape(&c->call)])) {
        if (!c->described) rows_describe(&shape, &out);
        n = console_join(s, &shape, c->session->client.env->shared,
                         env_now_ms(c->session->client.env), &out);
    }
    say_done(c, &out, n);
}

static void on_survey_done(struct survey *s)
{
    struct console *c = s->owner;
    if (c) {
        c->survey = NULL;
        if (is_alive(c)) {
            bool waits = admin_is_waited_for(c->call.command->id) && survey_sum(s) > 0;
            if (waits)
                look_again(c);
            else
                answer_survey(c, s);
        }
    }
    survey_free(s);
    if (c) console_go_on(c);
}

/* ---- commands for control ---------------------------------------------------------------------
 */

static void on_order_done(struct control_order *o);

static void ask_control(struct console *c, enum control_order_kind kind)
{
    struct env *env = c->session->client.env;
    struct err err;
    struct control_order *o = control_order_new(kind);
    if (o) {
        o->done = on_order_done;
        o->home = &env->worker->mailbox;
        o->owner = c;
        o->show = c->call.command->id;
        buf_add_str(&o->words, c->call.argument);
        console_name(o->who, c->session->client.user->name);
    }
    c->order = o;
    if (o && control_order_post(o, env->shared)) return;
    c->order = NULL;
    err_set(&err, o ? ERR_SHUTTING_DOWN : ERR_OUT_OF_MEMORY, "");
    client_refuse(&c->session->client, &err);
}

static void on_order_done(struct control_order *o)
{
    struct console *c = o->owner;
    if (c) {
        c->order = NULL;
        struct err err;
        struct buf out = { 0 };
        if (is_alive(c) && o->ok && admin_has_rows(&admin_commands[admin_shape(&c->call)])) {
            answer_rows(c, &o->rows);
        } else if (is_alive(c) && o->ok) {
            say_done(c, &out, 0);
        } else if (is_alive(c)) {
            control_order_explain(o, &err);
            fail(c, &err);
        }
    }
    control_order_free(o);
    if (c) console_go_on(c);
}

/* ---- running ----------------------------------------------------------------------------------
 */

static bool is_allowed(struct console *c)
{
    const struct client *client = &c->session->client;
    char from[ADDRESS_TEXT_MAX];
    struct err err;
    struct audit_who who = { .conn = client->id,
                             .user = client->user->name,
                             .from = address_text(&client->address, from) };
    if (console_allows(client->env->log, client->env->shared->audit, &who, level_of(c), &c->call,
                       &err))
        return true;
    fail(c, &err);
    return false;
}

/* Carries out c->call; call.command is NULL again when it is done. */
static void run(struct console *c)
{
    enum admin_id id = c->call.command->id;
    const struct console_way *way = &console_ways[id];
    struct rows r = { 0 };
    struct buf out = { 0 };
    if (!is_allowed(c)) return;
    if (way->fill) {
        way->fill(c->session->client.env->realm, c->session->client.env->log, &r);
        answer_rows(c, &r);
    } else if (c->call.on_all) {
        ask_control(c, CONTROL_FLEET);
    } else if (way->visit) {
        ask_workers(c);
    } else if (way->for_control) {
        ask_control(c, way->order);
    } else {
        if (id == ADMIN_BEGIN || id == ADMIN_START_TRANSACTION) c->in_txn = true;
        if (id == ADMIN_COMMIT || id == ADMIN_END || id == ADMIN_ROLLBACK || id == ADMIN_ABORT)
            c->in_txn = false;
        say_done(c, &out, 0);
    }
}

/* The next statement of the Query under way. */
static void run_query(struct console *c)
{
    struct slice text = slice_after(buf_slice(&c->query), c->query_at);
    struct buf out = { 0 };
    struct err err;
    enum admin_read read = ADMIN_READ_NOTHING;
    while (text.len && read == ADMIN_READ_NOTHING) read = admin_read(&text, &c->call, &err);
    c->query_at = c->query.len - text.len;
    if (read == ADMIN_READ_CALL) {
        c->binary = 0;
        c->described = false;
        widen(c, &c->call);
        run(c);
        return;
    }
    if (read == ADMIN_READ_BAD) {
        fail(c, &err);
        return;
    }
    if (c->first) backend_empty_query(&out);
    if (out.len) say(c, &out);
    c->in_query = false;
    buf_fini(&c->query);
    say_ready(c);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void on_query(struct console *c, struct slice body)
{
    struct slice text;
    if (!frontend_read_query(body, &text)) {
        client_violation(&c->session->client, "malformed Query");
        return;
    }
    c->query_at = 0;
    buf_add_slice(&c->query, text);
    c->in_query = c->first = true;
}

static void on_parse(struct console *c, struct slice body)
{
    struct frontend_parse parse;
    struct admin_call call;
    struct buf out = { 0 };
    struct err err;
    if (!frontend_read_parse(body, &parse)) {
        client_violation(&c->session->client, "malformed Parse");
        return;
    }
    struct slice text = parse.text;
    enum admin_read read = ADMIN_READ_NOTHING;
    while (text.len && read == ADMIN_READ_NOTHING) read = admin_read(&text, &call, &err);
    if (read == ADMIN_READ_NOTHING) call = (struct admin_call){ 0 };
    if (read == ADMIN_READ_CALL) widen(c, &call);
    bool ok = read != ADMIN_READ_BAD;
    if (ok && !admin_is_blank(text))
        ok = err_set(&err, ERR_SYNTAX, "cannot insert multiple commands into a prepared statement");
    if (ok) ok = console_prepared_add(&c->prepareds, 'S', parse.name, &call, 0, &err);
    if (!ok) {
        fail(c, &err);
        return;
    }
    backend_parse_complete(&out);
    say(c, &out);
}

static bool find(struct console *c, uint8_t kind, struct slice name, struct console_prepared **one)
{
    struct err err;
    *one = console_prepared_find(&c->prepareds, kind, name);
    if (*one) return true;
    err_set(&err, kind == 'S' ? ERR_UNKNOWN_STMT : ERR_UNKNOWN_PORTAL, "");
    fail(c, &err);
    return false;
}

static void on_bind(struct console *c, struct slice body)
{
    struct console_bind bind;
    struct console_prepared *statement;
    struct buf out = { 0 };
    struct err err;
    if (!console_read_bind(body, &bind, &err)) {
        if (err_is_fatal(err.code))
            client_refuse(&c->session->client, &err);
        else
            fail(c, &err);
        return;
    }
    if (!find(c, 'S', bind.statement, &statement)) return;
    if (!console_prepared_add(&c->prepareds, 'P', bind.portal, &statement->call, bind.binary,
                              &err)) {
        fail(c, &err);
        return;
    }
    backend_bind_complete(&out);
    say(c, &out);
}

static void on_describe(struct console *c, struct slice body)
{
    struct slice name;
    uint8_t kind;
    struct console_prepared *one;
    struct buf out = { 0 };
    if (!frontend_read_target(body, &kind, &name)) {
        client_violation(&c->session->client, "malformed Describe");
        return;
    }
    if (!find(c, kind, name, &one)) return;
    if (kind == 'S') backend_parameter_description(&out);
    if (one->call.command && admin_has_rows(&admin_commands[admin_shape(&one->call)]))
        rows_describe(&(struct rows_shape){ admin_shape(&one->call), one->call.extended,
                                            kind == 'P' ? one->binary : 0, false },
                      &out);
    else
        backend_no_data(&out);
    say(c, &out);
}

static void on_close(struct console *c, struct slice body)
{
    struct slice name;
    uint8_t kind;
    struct buf out = { 0 };
    if (!frontend_read_target(body, &kind, &name)) {
        client_violation(&c->session->client, "malformed Close");
        return;
    }
    console_prepared_remove(&c->prepareds, kind, name);
    backend_close_complete(&out);
    say(c, &out);
}

static void on_execute(struct console *c, struct slice body)
{
    struct slice name;
    struct console_prepared *one;
    struct buf out = { 0 };
    if (!frontend_read_execute(body, &name)) {
        client_violation(&c->session->client, "malformed Execute");
        return;
    }
    if (!find(c, 'P', name, &one)) return;
    if (!one->call.command) {
        backend_empty_query(&out);
        say(c, &out);
        return;
    }
    c->call = one->call;
    c->binary = one->binary;
    c->described = true;
    run(c);
}

static void take_message(struct console *c, const struct piece *p)
{
    struct client *client = &c->session->client;
    struct slice body = piece_body(p);
    if (c->discarding && p->type != FRONTEND_SYNC && p->type != FRONTEND_TERMINATE) return;
    if (!p->last) {
        client_violation(client, "a message too large for the console");
        return;
    }
    switch (p->type) {
    case FRONTEND_QUERY: on_query(c, body); break;
    case FRONTEND_PARSE: on_parse(c, body); break;
    case FRONTEND_BIND: on_bind(c, body); break;
    case FRONTEND_DESCRIBE: on_describe(c, body); break;
    case FRONTEND_CLOSE: on_close(c, body); break;
    case FRONTEND_EXECUTE: on_execute(c, body); break;
    case FRONTEND_FLUSH: break;
    case FRONTEND_SYNC:
        c->discarding = false;
        say_ready(c);
        break;
    case FRONTEND_TERMINATE: client_step(client, CLIENT_ON_GONE, NULL); break;
    default: client_violation(client, "a message that the console does not take");
    }
}

/* ---- the loop ------------------------------------------------------------------------------- */

static bool is_busy(const struct console *c)
{
    return c->call.command || stream_is_choked(&c->session->client.stream);
}

/* The next message of what is held. False: there is none. */
static bool take_next(struct console *c)
{
    struct client *client = &c->session->client;
    struct slice in = buf_slice(&client->held);
    struct piece piece;
    switch (frame_next(&client->frame, &in, &piece)) {
    case FRAME_PIECE: break;
    case FRAME_MORE: return false;
    default: client_violation(client, "not a message"); return false;
    }
    size_t left = in.len;
    if (piece.first) take_message(c, &piece);
    if (!is_alive(c)) return false; /* and what was held is gone */
    buf_drop(&client->held, client->held.len - left);
    return true;
}

void console_go_on(struct console *c)
{
    struct client *client = &c->session->client;
    if (c->going_on) return; /* further up the stack */
    c->going_on = true;
    while (is_alive(c) && !is_busy(c)) {
        if (c->in_query)
            run_query(c);
        else if (!take_next(c))
            break;
    }
    c->going_on = false;
    if (!is_alive(c)) return;
    if (client->held.len == 0) buf_fini(&client->held);
    if (client->held.len > HELD_HIGH_BYTES && is_busy(c))
        stream_pause(&client->stream);
    else
        stream_resume(&client->stream);
}

void console_take(struct console *c, const char *at, size_t len)
{
    struct client *client = &c->session->client;
    buf_add(&client->held, at, len);
    if (client->held.failed) {
        struct err err;
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(client, &err);
        return;
    }
    console_go_on(c);
}
