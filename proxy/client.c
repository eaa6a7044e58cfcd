#include "proxy/client.h"

#include "auth/choose.h"
#include "auth/verify.h"
#include "protocol/backend.h"
#include "protocol/startup.h"
#include "protocol/wire.h"
#include "proxy/admission.h"
#include "proxy/fronted.h"
#include "proxy/iam_door.h"
#include "proxy/io/offload.h"
#include "proxy/random.h"
#include "proxy/realm.h"
#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,                               /* for a goodbye to be read */
    LOGIN_MESSAGE_MAX = 16 * 1024 + MESSAGE_HEADER, /* an IAM token is the largest proof */
    LOGIN_WORTH_WORDS = 1024 * 1024,                /* a longer one is no token, but garbage */
    LOGIN_HELD_MAX = 64 * 1024,
};

/* What is needed between the first byte and the welcome, and not a moment longer. */
struct login {
    struct buf startup; /* a copy of the startup packet */
    struct slice parameters, user_name;
    struct verify *verify;
    struct offload derive;
    struct iam_ask *ask; /* about its token; NULL: none */
    bool web_identity;   /* the token is one */
    enum auth_method method;
    struct secret *given; /* a password or token that may be for the warehouse; NULL: none */
    struct err reason;    /* why it failed, where the client may know; code 0: it may not */
    uint8_t binding[TLS_END_POINT_BYTES];
    uint16_t minor;
    bool asked_ssl, asked_gss, direct, deriving, failed, announced;
};

/* ---- the table ------------------------------------------------------------------------------ */

static const char *const state_names[CLIENT_STATES] = {
#define X(name) #name,
    CLIENT_STATE_LIST(X)
#undef X
};

static const char *const event_names[CLIENT_EVENTS] = {
#define X(name) #name,
    CLIENT_EVENT_LIST(X)
#undef X
};

const char *client_state_name(enum client_state state) { return state_names[state]; }

typedef void action(struct client *c, void *arg);

static action do_nothing, do_answer_ssl, do_answer_gss, do_secure, do_secure_directly, do_cancel,
    do_log_in, do_check_proof, do_join, do_say_why, do_hang_up;

static const struct row {
    action *act;
    uint8_t next;
} table[CLIENT_STATES][CLIENT_EVENTS] = {
#define CLIENT(state, event, action, next)                                                         \
    [CLIENT_##state][CLIENT_ON_##event] = { do_##action, CLIENT_##next },
#include "proxy/client.def"
#undef CLIENT
};

void client_step(struct client *c, enum client_event event, void *arg)
{
    const struct row *row = &table[c->state][event];
    if (!row->act) {
        if (c->state == CLIENT_LEAVING || c->state == CLIENT_CLOSED) return;
        char what[96];
        snprintf(what, sizeof what, "%s while %s", event_names[event], state_names[c->state]);
        client_violation(c, what);
        return;
    }
    c->state = row->next;
    row->act(c, arg);
}

static void do_nothing(struct client *c, void *arg)
{
    (void)c;
    (void)arg;
}

/* ---- the end -------------------------------------------------------------------------------- */

static void forget_identity(struct client *c)
{
    free(c->identity);
    free(c->db_user);
    c->identity = c->db_user = NULL;
}

bool client_identify(struct client *c, struct slice identity)
{
    free(c->identity);
    c->identity = strndup(identity.at, identity.len);
    return c->identity != NULL;
}

struct slice client_identity(const struct client *c)
{
    if (c->identity) return slice_str(c->identity);
    return c->user ? c->user->name : (struct slice){ 0 };
}

struct slice client_db_user(const struct client *c)
{
    return c->db_user ? slice_str(c->db_user) : c->user->db_user;
}

static void login_free(struct login *l)
{
    if (!l) return;
    if (l->ask) iam_ask_cancel(l->ask);
    l->ask = NULL;
    if (l->deriving) {
        /* A derivation cannot be stopped; it frees the login when it is over. */
        l->derive.owner = NULL;
        return;
    }
    verify_free(l->verify);
    secret_free(l->given);
    buf_wipe(&l->startup);
    free(l);
}

void client_login_done(struct client *c)
{
    if (c->login) atomic_fetch_sub(&c->env->shared->logging_in, 1);
    login_free(c->login);
    c->login = NULL;
    wheel_cancel(&c->timer);
}

static void let_go(struct client *c)
{
    /* First the session, which may still have to send some of what is held. */
    c->events->on_leaving(c);
    client_login_done(c);
    buf_fini(&c->held);
}

static void do_say_why(struct client *c, void *arg)
{
    const struct err *err = arg;
    let_go(c);
    if (err) {
        struct buf out = { 0 };
        backend_error(&out, err);
        client_write(c, buf_slice(&out));
        buf_fini(&out);
    }
    stream_close_flushed(&c->stream, LINGER_MS);
}

static void do_hang_up(struct client *c, void *arg)
{
    (void)arg;
    let_go(c);
    stream_close(&c->stream);
}

void client_refuse(struct client *c, const struct err *err)
{
    char from[ADDRESS_TEXT_MAX];
    log_event(c->env->log, EVENT_client_refused, LOG_U64("conn", c->id),
              LOG_TEXT("from", address_text(&c->address, from)),
              LOG_TEXT("state", client_state_name(c->state)),
              LOG_TEXT("sqlstate", err_sqlstate(err->code)), LOG_TEXT("why", err->message),
              LOG_END);
    client_step(c, CLIENT_ON_REFUSED, (void *)(uintptr_t)err);
}

void client_violation(struct client *c, const char *what)
{
    struct err err;
    metrics_add(&c->env->metrics, METRIC_protocol_violations, 1);
    err_set(&err, ERR_PROTOCOL, "protocol violation: %s", what);
    client_refuse(c, &err);
}

static void drop(struct client *c, enum event event, const char *why)
{
    char from[ADDRESS_TEXT_MAX];
    log_event(c->env->log, event, LOG_U64("conn", c->id),
              LOG_TEXT("from", address_text(&c->address, from)), LOG_TEXT("why", why), LOG_END);
    client_step(c, CLIENT_ON_GONE, NULL);
}

/* Before the startup packet there is nobody who would understand an error message. */
static void drop_silently(struct client *c, const char *why)
{
    metrics_add(&c->env->metrics, METRIC_protocol_violations, 1);
    drop(c, EVENT_client_dropped, why);
}

/* ---- behind a load balancer ----------------------------------------------------------------- */

/* False when more bytes are needed, or none. */
static bool take_header(struct client *c, struct slice *in)
{
    switch (fronted_take(c->realm, c->listen, in, &c->address)) {
    case FRONTED_MORE: return false;
    case FRONTED_BAD:
        drop_silently(c, "no PROXY header, or not of the version that proxy_protocol names");
        return false;
    case FRONTED_SHUT:
        metrics_add(&c->env->metrics, METRIC_clients_turned_away, 1);
        drop(c, EVENT_client_turned_away, "no access rule");
        return false;
    case FRONTED_DONE: client_step(c, CLIENT_ON_HEADER, NULL); return true;
    }
    return false;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static struct tls_context *tls_of(const struct client *c)
{
    return c->realm->listens[c->listen].tls;
}

static void do_answer_ssl(struct client *c, void *arg)
{
    (void)arg;
    if (c->login->asked_ssl) {
        drop_silently(c, "a second SSLRequest");
        return;
    }
    c->login->asked_ssl = true;
    bool tls = tls_of(c) != NULL;
    client_write(c, slice_str(tls ? "S" : "N"));
    if (tls) client_step(c, CLIENT_ON_SECURE, NULL);
}

static void do_answer_gss(struct client *c, void *arg)
{
    (void)arg;
    if (c->login->asked_gss) {
        drop_silently(c, "a second GSSENCRequest");
        return;
    }
    c->login->asked_gss = true;
    client_write(c, slice_str("N"));
}

static void secure(struct client *c, struct slice early)
{
    struct err err;
    if (!stream_secure_server(&c->stream, tls_of(c), early, &err)) drop_silently(c, err.message);
}

static void do_secure(struct client *c, void *arg)
{
    (void)arg;
    secure(c, (struct slice){ 0 });
}

static void do_secure_directly(struct client *c, void *arg)
{
    struct slice *early = arg;
    c->login->direct = true;
    if (!tls_of(c))
        drop_silently(c, "direct TLS, but this listener has no certificate");
    else
        secure(c, *early);
}

static void on_secured(struct stream *s, const struct err *err)
{
    struct client *c = (struct client *)s;
    if (!err && c->login && c->login->direct && !tls_alpn_is_postgresql(stream_tls(s))) {
        metrics_add(&c->env->metrics, METRIC_tls_failures, 1);
        drop_silently(c, "direct TLS without ALPN \"postgresql\"");
        return;
    }
    if (err) {
        metrics_add(&c->env->metrics, METRIC_tls_failures, 1);
        drop_silently(c, err->message);
        return;
    }
    metrics_add(&c->env->metrics, METRIC_tls_handshakes, 1);
    if (tls_is_resumed(stream_tls(s))) metrics_add(&c->env->metrics, METRIC_tls_resumptions, 1);
    client_step(c, CLIENT_ON_SECURED, NULL);
}

/* ---- startup packets ------------------------------------------------------------------------ */

static void do_cancel(struct client *c, void *arg)
{
    const struct startup *packet = arg;
    metrics_add(&c->env->metrics, METRIC_cancels_received, 1);
    /* No answer, whatever comes of it. But the connection is closed only when the cancel has been
     * delivered: clients wait for that before they send their next query, which it must not hit. */
    c->events->on_cancel(c, packet->cancel_pid, packet->cancel_key);
}

static void refuse_old(struct client *c, const struct startup *packet)
{
    struct err err;
    err_set(&err, ERR_UNSUPPORTED_PROTOCOL,
            "unsupported frontend protocol %u.%u: this proxy speaks 3.0 to 3.2", packet->major,
            packet->minor);
    client_refuse(c, &err);
}

/* Acts on the packet at the front of `in`; false when more bytes are needed, or none. */
static bool take_packet(struct client *c, struct slice *in)
{
    struct startup packet = startup_read(*in);
    struct slice rest = slice_after(*in, packet.size);
    switch (packet.kind) {
    case STARTUP_MORE: return false;
    case STARTUP_BAD: drop_silently(c, "not a startup packet"); return false;
    case STARTUP_OLD: refuse_old(c, &packet); return false;
    case STARTUP_DIRECT_TLS: {
        /* Only as the very first byte: after a request that was answered in plain it is an
         * attempt to hide something. */
        struct slice early = *in;
        *in = slice_after(*in, in->len);
        if (c->state != CLIENT_ACCEPTED || c->login->asked_ssl || c->login->asked_gss)
            drop_silently(c, "TLS where a startup packet was due");
        else
            client_step(c, CLIENT_ON_DIRECT_TLS, &early);
        return false;
    }
    case STARTUP_SSL_REQUEST:
    case STARTUP_GSS_REQUEST:
        /* Nothing may come in one breath with the request: it would be taken for protected
         * (CVE-2021-3935, CVE-2021-23214). */
        if (rest.len) {
            drop_silently(c, "bytes behind an encryption request, sent before its answer");
            return false;
        }
        *in = rest;
        client_step(
            c, packet.kind == STARTUP_SSL_REQUEST ? CLIENT_ON_SSL_REQUEST : CLIENT_ON_GSS_REQUEST,
            NULL);
        return false;
    case STARTUP_CANCEL: client_step(c, CLIENT_ON_CANCEL, &packet); return false;
    case STARTUP_SESSION:
        buf_add(&c->login->startup, in->at, packet.size);
        *in = rest;
        client_step(c, CLIENT_ON_STARTUP, &packet);
        return true;
    }
    return false;
}

/* ---- login ---------------------------------------------------------------------------------- */

/* _pq_ options that the client asked for and we do not know; NegotiateProtocolVersion lists
 * them. Only for a minor version above 0: Amazon's drivers do not survive the message. */
static void negotiate(struct client *c, struct buf *out)
{
    enum { OPTIONS_MAX = 16, NEWEST_MINOR = 2 };
    struct slice options[OPTIONS_MAX], at = c->login->parameters, key, value;
    size_t n = 0;
    while (startup_next(&at, &key, &value))
        if (slice_starts(key, "_pq_.") && n < OPTIONS_MAX) options[n++] = key;
    if (c->login->minor == 0 || (c->login->minor <= NEWEST_MINOR && n == 0)) return;
    backend_negotiate(out, c->login->minor < NEWEST_MINOR ? c->login->minor : NEWEST_MINOR, options,
                      n);
    if (c->login->minor > NEWEST_MINOR) c->login->minor = NEWEST_MINOR;
}

static void say_failed(struct client *c)
{
    struct err err;
    char user[64];
    struct slice name = c->login->user_name;
    if (c->login->reason.code) {
        err = c->login->reason; /* the refusal frees the login */
        client_refuse(c, &err);
        return;
    }
    /* One sentence for every reason: it must not tell who exists. */
    snprintf(user, sizeof user, "%.*s", name.len < 63 ? (int)name.len : 63, name.at);
    err_set(&err, ERR_LOGIN_FAILED, "authentication failed for user \"%s\"", user);
    client_refuse(c, &err);
}

static void on_held_back(struct wheel_node *node)
{
    say_failed(list_item(node, struct client, timer));
}

/* The answer to a failure is held back, longer with each one. */
static void login_failed(struct client *c)
{
    metrics_add(&c->env->metrics, METRIC_logins_failed, 1);
    uint32_t delay_ms = shared_login_failed(c->env->shared, &c->address, c->login->user_name,
                                            &c->realm->config->limits, env_now_ms(c->env));
    c->login->failed = true;
    if (delay_ms == 0) {
        say_failed(c);
        return;
    }
    wheel_cancel(&c->timer);
    wheel_node_init(&c->timer, on_held_back);
    wheel_set(&c->env->streams.wheel, &c->timer, delay_ms);
}

static void count_success(struct client *c)
{
    metrics_add(&c->env->metrics, METRIC_logins, 1);
    shared_login_succeeded(c->env->shared, &c->address, c->login->user_name);
}

static void log_in_ok(struct client *c)
{
    count_success(c);
    if (c->login->method == AUTH_CLEARTEXT)
        c->login->given = verify_take_password(c->login->verify);
    client_step(c, CLIENT_ON_PROVED, NULL);
}

/* Nothing is proven yet, and nothing counted; see passthrough.h. */
static void log_in_for_now(struct client *c)
{
    c->login->given = verify_take_password(c->login->verify);
    c->unproven = true;
    client_step(c, CLIENT_ON_PROVED, NULL);
}

const struct secret *client_given(const struct client *c, bool *is_token)
{
    *is_token = c->login && c->login->method == AUTH_IDP;
    return c->login ? c->login->given : NULL;
}

void client_proven(struct client *c)
{
    if (c->unproven) count_success(c);
    c->unproven = false;
}

void client_disproven(struct client *c) { login_failed(c); }

static struct verify *new_verify(struct client *c)
{
    struct slice names[ADMISSION_NAMES];
    struct auth_circumstances how;
    struct tls *tls = stream_tls(&c->stream);
    admission_circumstances(c, c->login->parameters, names, &how);
    const struct user *stranger = users_stranger(c->realm->users);
    struct auth_choice choice =
        auth_choose(users_find(c->realm->users, c->login->user_name), stranger, &how);
    uint8_t *binding = c->login->binding;
    struct verify_setup setup = {
        .method = choice.method,
        .user = choice.user,
        .stranger = stranger,
        .user_name = c->login->user_name,
        .mock_key = users_key(c->realm->users),
        .tls = how.tls,
        .unix_socket = how.unix_socket,
        .may_derive = true,
    };
    c->user = choice.user;
    c->login->method = choice.method;
    if (tls) setup.channel_binding = slice_of(binding, tls_server_end_point(tls, binding));
    random_bytes(setup.random, sizeof setup.random);
    return verify_new(&setup);
}

static void verified(struct client *c, enum verify_result result, struct buf *out,
                     const char *what);
static void announce(struct client *c);

static void derive(struct offload *o) { verify_derive(((struct login *)o->context)->verify); }

static void on_derived(struct offload *o)
{
    struct login *l = o->context;
    struct client *c = o->owner;
    struct buf out = { 0 };
    struct err err;
    l->deriving = false;
    if (!c) {
        login_free(l);
        return;
    }
    verified(c, verify_derived(l->verify, &err), &out, "");
    announce(c);
}

/* ---- IAM tokens ----------------------------------------------------------------------------- */

static void token_refused(struct client *c, const struct iam_refusal *refusal)
{
    log_event(c->env->log, EVENT_client_token_refused, LOG_U64("conn", c->id),
              LOG_TEXT("why", refusal->reason), LOG_END);
    if (refusal->client.code == ERR_LOGIN_UNAVAILABLE) {
        client_refuse(c, &refusal->client);
        return;
    }
    /* Only words that say what to do; otherwise it fails like any other login. */
    if (refusal->client.hint[0]) c->login->reason = refusal->client;
    login_failed(c);
}

/* Who it is stays with the client: for records, and for a database user of its own where the user
 * has a template. */
static bool take_identity(struct client *c, const struct iam_identity *who)
{
    char db_user[128];
    if (!iam_user_is(c->user, who)) return false;
    if (c->login->web_identity ? c->user->no_web_identity : c->user->no_sts_token) return false;
    if (iam_template_has_words(c->user->db_user)) {
        if (!iam_template_expand(c->user->db_user, who, db_user, sizeof db_user)) return false;
        c->db_user = strdup(db_user);
        if (!c->db_user) return false;
    }
    return client_identify(c, slice_str(who->arn));
}

static void on_identified(void *owner, enum iam_verdict verdict, const struct iam_identity *who,
                          const struct iam_refusal *refusal)
{
    struct client *c = owner;
    c->login->ask = NULL;
    if (verdict != IAM_ACCEPTED) {
        token_refused(c, refusal);
        return;
    }
    bool is_user = take_identity(c, who);
    log_event(c->env->log, is_user ? EVENT_client_identified : EVENT_client_not_the_user,
              LOG_U64("conn", c->id), LOG_TEXT("arn", who->arn), LOG_TEXT("session", who->session),
              who->function[0] ? LOG_TEXT("function", who->function) : LOG_END, LOG_END);
    if (is_user)
        log_in_ok(c);
    else
        login_failed(c);
    announce(c);
}

static void judge_token(struct client *c)
{
    struct slice password = secret_bytes(verify_password(c->login->verify));
    struct iam_refusal refusal;
    struct buf out = { 0 };
    struct err err;
    enum iam_token_kind kind = iam_token_kind_of(password);
    c->login->web_identity = kind == IAM_TOKEN_JWT;
    if (kind == IAM_TOKEN_NONE) {
        verified(c, verify_as_password(c->login->verify, &err), &out, "");
        return;
    }
    c->login->ask = iam_ask(c->env->shared->iam_door, c->realm, password, &c->address,
                            &c->env->worker->mailbox, on_identified, c, &refusal);
    if (!c->login->ask) token_refused(c, &refusal);
}

/* What comes of a proof. */
static void verified(struct client *c, enum verify_result result, struct buf *out, const char *what)
{
    if (out->len) client_write(c, buf_slice(out));
    buf_wipe(out);
    switch (result) {
    case VERIFY_MORE: break;
    case VERIFY_OK: log_in_ok(c); break;
    case VERIFY_BAD: client_violation(c, what); break;
    case VERIFY_DERIVE:
        /* A slow hash takes milliseconds: not on the loop. */
        c->login->deriving = true;
        c->login->derive = (struct offload){ .owner = c, .context = c->login };
        offload_run(c->env->streams.uv, &c->login->derive, derive, on_derived);
        break;
    case VERIFY_TOKEN: judge_token(c); break;
    case VERIFY_FORWARD: log_in_for_now(c); break;
    case VERIFY_FAILED: login_failed(c); break;
    }
}

static void do_log_in(struct client *c, void *arg)
{
    const struct startup *packet = arg;
    struct login *l = c->login;
    struct err err;
    l->minor = packet->minor;
    l->parameters = slice_after(buf_slice(&l->startup), 8);
    l->user_name = startup_get(l->parameters, "user");
    /* Whoever has a token may leave it to the warehouse to say who it is. */
    if (l->user_name.len == 0 && c->realm->config->idp_user &&
        admission_has_idp_token(l->parameters))
        l->user_name = slice_str(c->realm->config->idp_user);

    struct buf out = { 0 };
    negotiate(c, &out);
    if (out.len) client_write(c, buf_slice(&out));
    buf_fini(&out);

    if (l->startup.failed) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(c, &err);
        return;
    }
    if (l->user_name.len == 0) {
        err_set(&err, ERR_ACCESS_DENIED, "no user name in the startup packet");
        client_refuse(c, &err);
        return;
    }
    if (!admission_allows(c, l->user_name, &err) ||
        !shared_may_log_in(c->env->shared, &c->address, l->user_name, &c->realm->config->limits,
                           env_now_ms(c->env), &err)) {
        metrics_add(&c->env->metrics, METRIC_logins_failed, 1);
        client_refuse(c, &err);
        return;
    }
    l->verify = new_verify(c);
    if (!l->verify) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        client_refuse(c, &err);
        return;
    }
    verified(c, verify_begin(l->verify, &out), &out, "");
}

static void do_check_proof(struct client *c, void *arg)
{
    const struct piece *message = arg;
    struct buf out = { 0 };
    struct err err;
    if (c->login->deriving || c->login->ask || c->login->failed) {
        client_violation(c, "a proof after the one that counted");
        return;
    }
    err_set(&err, ERR_BAD_MESSAGE, "");
    enum verify_result result =
        verify_message(c->login->verify, message->type, piece_body(message), &out, &err);
    verified(c, result, &out, err.message);
}

static void do_join(struct client *c, void *arg)
{
    (void)arg;
    verify_free(c->login->verify);
    c->login->verify = NULL;
    wheel_cancel(&c->timer);
    frame_init(&c->frame, frontend_specs);
}

/* Tells the session, when everything that came with the proof lies in `held`: the session may move
 * to another thread right away. */
static void announce(struct client *c)
{
    if (c->state != CLIENT_JOINING || c->login->announced) return;
    c->login->announced = true;
    c->events->on_proved(c);
}

struct slice client_startup(const struct client *c)
{
    return c->login ? c->login->parameters : (struct slice){ 0 };
}

uint16_t client_minor(const struct client *c) { return c->login ? c->login->minor : 0; }

/* Messages with a type byte, during login: 'p', or the digest form of 'd'. */
static bool take_proof(struct client *c, struct slice *in)
{
    if (in->len < MESSAGE_HEADER) return false;
    uint32_t size = wire_be32(in->at + 1);
    if (size >= LOGIN_MESSAGE_MAX && size <= LOGIN_WORTH_WORDS && in->at[0] == 'p') {
        struct err err;
        err_set(&err, ERR_LOGIN_FAILED, "the password or token is longer than 16 KiB");
        err_hint(&err, "a token of AWS credentials has some 2 KiB: sluice token --server-id %s",
                 c->realm->config->server_id);
        client_refuse(c, &err);
        return false;
    }
    if (size < 4 || size >= LOGIN_MESSAGE_MAX) {
        client_violation(c, "length of a login message");
        return false;
    }
    size++;
    if (in->len < size) return false;
    struct piece message = { (uint8_t)in->at[0], true, true, size, slice_of(in->at, size) };
    *in = slice_after(*in, size);
    client_step(c, CLIENT_ON_PROOF, &message);
    return true;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static bool is_before_welcome(const struct client *c) { return c->state < CLIENT_JOINING; }

/* Feeds login states until they want more bytes; what is left over stays in *in. */
static void feed_login(struct client *c, struct slice *in)
{
    for (;;) {
        bool more;
        switch ((enum client_state)c->state) {
        case CLIENT_FRONTED: more = take_header(c, in); break;
        case CLIENT_ACCEPTED:
        case CLIENT_SECURED: more = take_packet(c, in); break;
        /* What comes while a proof is being judged waits: some drivers flush behind it. */
        case CLIENT_PROVING:
            more = !c->login->deriving && !c->login->ask && !c->login->failed && take_proof(c, in);
            break;
        default: return;
        }
        if (!more) return;
    }
}

static void on_login_bytes(struct client *c, const char *at, size_t len)
{
    if (c->state == CLIENT_SECURING) {
        drop_silently(c, "plain bytes during the TLS handshake");
        return;
    }
    /* Login is not a hot path: everything goes through `held`. */
    struct buf in = c->held;
    c->held = (struct buf){ 0 };
    buf_add(&in, at, len);
    if (in.failed || in.len > LOGIN_HELD_MAX) {
        buf_fini(&in);
        client_violation(c, "too many bytes before login");
        return;
    }
    struct slice left = buf_slice(&in);
    feed_login(c, &left);
    if (c->state < CLIENT_LEAVING) buf_add_slice(&c->held, left);
    buf_wipe(&in);
    announce(c);
}

static void on_bytes(struct stream *s, const char *at, size_t len)
{
    struct client *c = (struct client *)s;
    metrics_add(&c->env->metrics, METRIC_client_bytes_received, len);
    if (c->state >= CLIENT_LEAVING) return;
    if (is_before_welcome(c))
        on_login_bytes(c, at, len);
    else
        c->events->on_bytes(c, at, len);
}

static void on_drained(struct stream *s)
{
    struct client *c = (struct client *)s;
    c->events->on_drained(c);
}

static void on_end(struct stream *s, enum stream_end end, const struct err *err)
{
    struct client *c = (struct client *)s;
    bool may_listen = end == STREAM_EOF && !stream_is_tls(s) && c->state < CLIENT_LEAVING;
    if (may_listen && c->state >= CLIENT_READY && c->events->on_half_closed(c)) return;
    if (c->state < CLIENT_LEAVING)
        log_event(c->env->log, EVENT_client_gone, LOG_U64("conn", c->id),
                  LOG_TEXT("state", client_state_name(c->state)),
                  LOG_TEXT("why", err ? err->message : "closed by the client"), LOG_END);
    client_step(c, CLIENT_ON_GONE, NULL);
}

static void on_stream_closed(struct stream *s)
{
    struct client *c = (struct client *)s;
    list_remove(&c->node);
    metrics_sub(&c->env->metrics, METRIC_clients, 1);
    c->state = CLIENT_CLOSED;
    forget_identity(c);
    realm_unref(c->realm); /* NULL when it has moved */
    c->events->on_closed(c);
}

static const struct stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_secured = on_secured,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

static void on_login_timeout(struct wheel_node *node)
{
    struct client *c = list_item(node, struct client, timer);
    struct err err;
    if (c->state == CLIENT_LEAVING) {
        client_step(c, CLIENT_ON_GONE, NULL);
        return;
    }
    if (c->state <= CLIENT_SECURING) {
        drop_silently(c, "login timeout");
        return;
    }
    err_set(&err, ERR_LOGIN_TIMEOUT, "");
    client_refuse(c, &err);
}

bool client_detach(struct client *c, struct client *to, struct stream_moved *moved)
{
    if (!stream_detach(&c->stream, moved)) return false;
    wheel_cancel(&c->timer);
    to->events = c->events;
    to->realm = c->realm;
    to->user = c->user;
    to->login = c->login;
    to->frame = c->frame;
    to->held = c->held;
    to->address = c->address;
    to->identity = c->identity;
    to->db_user = c->db_user;
    to->unproven = c->unproven;
    to->id = c->id;
    to->opened_ms = c->opened_ms;
    to->listen = c->listen;
    to->state = c->state;
    c->realm = NULL;
    c->login = NULL;
    c->identity = c->db_user = NULL;
    c->held = (struct buf){ 0 };
    c->state = CLIENT_CLOSED;
    return true;
}

void client_abandon(struct client *c, struct shared *shared)
{
    if (c->login) atomic_fetch_sub(&shared->logging_in, 1);
    forget_identity(c);
    login_free(c->login);
    buf_fini(&c->held);
    realm_unref(c->realm);
}

bool client_attach(struct client *c, struct env *env, struct stream_moved *moved)
{
    struct err err;
    c->env = env;
    list_init(&c->node);
    wheel_node_init(&c->timer, on_login_timeout);
    metrics_add(&env->metrics, METRIC_clients, 1);
    if (stream_attach(&c->stream, &env->streams, &stream_events, moved, &err)) return true;
    drop_silently(c, err.message);
    return false;
}

bool client_open(struct client *c, struct env *env, const struct client_events *events, int fd,
                 const struct address *address, uint16_t listen, uint64_t id)
{
    struct err err;
    c->env = env;
    c->events = events;
    c->address = *address;
    c->listen = listen;
    c->id = id;
    c->opened_ms = env_now_ms(env);
    list_init(&c->node);
    wheel_node_init(&c->timer, on_login_timeout);
    c->login = calloc(1, sizeof *c->login);
    if (!c->login) {
        close(fd);
        return false;
    }
    atomic_fetch_add(&env->shared->logging_in, 1);
    c->realm = realm_ref(env->realm);
    c->state = fronted_is_wanted(c->realm, listen) ? CLIENT_FRONTED : CLIENT_ACCEPTED;
    metrics_add(&env->metrics, METRIC_clients, 1);
    wheel_set(&env->streams.wheel, &c->timer, c->realm->config->limits.login_timeout_ms);
    if (!stream_open(&c->stream, &env->streams, &stream_events, fd, &err))
        drop_silently(c, err.message);
    return true;
}
