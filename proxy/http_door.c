#include "proxy/http_door.h"

#include "auth/base64.h"
#include "auth/verify.h"
#include "proxy/address.h"
#include "proxy/io/offload.h"
#include "proxy/io/tls.h"
#include "proxy/random.h"
#include "proxy/totals.h"

#include <stdlib.h>

enum { BASIC_MAX_BYTES = 1024, CERTIFICATE_NAMES = 32 };

/* A password under examination. */
struct proof {
    struct list node;
    struct http_door *door;
    struct http_exchange *x;
    http_door_done *done;
    void *context;
    struct realm *realm; /* held: its users are pointed to */
    const struct user *user;
    struct verify *verify;
    struct offload derive;
    struct wheel_node timer; /* holds a refusal back */
    struct address from;
    bool deriving;
    char name[USER_NAME_MAX_BYTES + 1];
};

void http_door_init(struct http_door *d, struct overview *o, struct stream_loop *streams,
                    struct log *log)
{
    d->overview = o;
    d->streams = streams;
    d->log = log;
    list_init(&d->proofs);
}

static uint64_t now_ms(const struct http_door *d) { return uv_now(d->streams->uv); }

static void copy_name(char to[USER_NAME_MAX_BYTES + 1], struct slice name)
{
    size_t n = name.len < USER_NAME_MAX_BYTES ? name.len : USER_NAME_MAX_BYTES;
    if (n) memcpy(to, name.at, n);
    to[n] = '\0';
}

static struct http_caller known(const struct user *user)
{
    struct http_caller who = { .level = user->console };
    copy_name(who.user, user->name);
    return who;
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void proof_over(struct proof *p, unsigned refusal)
{
    struct http_caller who = { .refusal = refusal };
    /* He may have lost his rights while his password was examined. */
    const struct user *user =
        refusal ? NULL : users_find(p->door->overview->realm->users, slice_str(p->name));
    if (user)
        who = known(user);
    else if (!refusal)
        who.refusal = 401;
    wheel_cancel(&p->timer);
    list_remove(&p->node);
    p->door->n_proofs--;
    p->done(p->context, p->x, &who);
    verify_free(p->verify);
    realm_unref(p->realm);
    free(p);
}

static void on_held_back(struct wheel_node *node)
{
    proof_over(list_item(node, struct proof, timer), 401);
}

static void proof_failed(struct proof *p)
{
    struct http_door *d = p->door;
    char from[ADDRESS_TEXT_MAX];
    uint32_t delay_ms = shared_login_failed(d->overview->shared, &p->from, slice_str(p->name),
                                            &p->realm->config->limits, now_ms(d));
    metrics_add(&d->overview->shared->metrics, METRIC_admin_logins_failed, 1);
    log_event(d->log, EVENT_admin_login_failed, LOG_TEXT("from", address_text(&p->from, from)),
              LOG_TEXT("user", p->name), LOG_END);
    if (d->closing || delay_ms == 0)
        proof_over(p, 401);
    else
        wheel_set(&d->streams->wheel, &p->timer, delay_ms);
}

static void proof_judged(struct proof *p, enum verify_result result);

static void derive(struct offload *o) { verify_derive(((struct proof *)o->context)->verify); }

static void on_derived(struct offload *o)
{
    struct proof *p = o->context;
    struct err err;
    p->deriving = false;
    proof_judged(p, verify_derived(p->verify, &err));
}

static void proof_judged(struct proof *p, enum verify_result result)
{
    struct http_door *d = p->door;
    if (result == VERIFY_DERIVE) {
        p->deriving = true;
        p->derive = (struct offload){ .owner = p, .context = p };
        offload_run(d->streams->uv, &p->derive, derive, on_derived);
    } else if (result == VERIFY_OK && p->user) {
        shared_login_succeeded(d->overview->shared, &p->from, slice_str(p->name));
        proof_over(p, 0);
    } else {
        proof_failed(p);
    }
}

/* Whether the configuration lets this user come from there; on loopback the listener's own address
 * has decided. */
static bool is_admitted(const struct realm *realm, const struct address *from, struct slice user,
                        bool tls)
{
    struct access_question question = {
        .family = from->family, .bytes = from->bytes, .user = user, .tls = tls
    };
    return address_is_loopback(from) || access_allows(realm->access, &question);
}

/* Trust where the configuration says so; else a password, whatever challenge it is meant for. */
static struct verify *new_verify(struct proof *p, bool tls)
{
    const struct users *users = p->realm->users;
    const struct user *user = users_find(users, slice_str(p->name));
    bool local = address_is_loopback(&p->from);
    if (user && !is_admitted(p->realm, &p->from, user->name, tls)) user = NULL;
    bool trusted = user && local && (user->methods & AUTH_BIT(AUTH_TRUST));
    if (user && !trusted && !(user->methods & AUTH_PASSWORD_BITS)) user = NULL;
    p->user = user;
    struct verify_setup setup = {
        .method = trusted ? AUTH_TRUST : AUTH_CLEARTEXT,
        .user = user,
        .stranger = users_stranger(users),
        .user_name = slice_str(p->name),
        .mock_key = users_key(users),
        .tls = tls,
        .unix_socket = local, /* what stays on this machine may be sent plain, as there */
        .may_derive = true,
    };
    random_bytes(setup.random, sizeof setup.random);
    return verify_new(&setup);
}

static enum verify_result begin(struct proof *p, struct slice password)
{
    struct buf out = { 0 }, body = { .secret = true };
    struct err err;
    enum verify_result result = verify_begin(p->verify, &out);
    if (result == VERIFY_MORE) {
        buf_add_slice(&body, password);
        buf_add_u8(&body, 0);
        result = body.failed ? VERIFY_FAILED
                             : verify_message(p->verify, 'p', buf_slice(&body), &out, &err);
        buf_wipe(&body);
    }
    buf_fini(&out);
    return result;
}

static void refuse(struct http_exchange *x, unsigned status, http_door_done *done, void *context)
{
    struct http_caller who = { .refusal = status };
    done(context, x, &who);
}

void http_door_prove(struct http_door *d, struct http_exchange *x, struct slice user,
                     struct slice password, http_door_done *done, void *context)
{
    struct address from = address_of(&http_peer_address(x)->any);
    struct err err;
    if (user.len == 0 || user.len > USER_NAME_MAX_BYTES || memchr(user.at, 0, user.len) ||
        (password.len && memchr(password.at, 0, password.len))) {
        refuse(x, 401, done, context);
        return;
    }
    const struct config_limits *limits = &d->overview->realm->config->limits;
    if (!shared_may_log_in(d->overview->shared, &from, user, limits, now_ms(d), &err)) {
        refuse(x, 429, done, context);
        return;
    }
    struct proof *p = d->closing || d->n_proofs >= HTTP_PROOFS_MAX ? NULL : calloc(1, sizeof *p);
    if (!p) {
        refuse(x, 503, done, context);
        return;
    }
    p->door = d;
    p->x = x;
    p->done = done;
    p->context = context;
    p->from = from;
    p->realm = realm_ref(d->overview->realm);
    wheel_node_init(&p->timer, on_held_back);
    list_push_back(&d->proofs, &p->node);
    d->n_proofs++;
    copy_name(p->name, user);
    p->verify = new_verify(p, http_tls(x) != NULL);
    if (p->verify)
        proof_judged(p, begin(p, password));
    else
        proof_over(p, 503);
}

/* "Basic" and base64 of "user:password" (RFC 7617). */
static void prove_basic(struct http_door *d, struct http_exchange *x, struct slice encoded,
                        http_door_done *done, void *context)
{
    uint8_t text[BASIC_MAX_BYTES];
    size_t len = 0;
    const char *colon = NULL;
    if (base64_parse(encoded, text, sizeof text, &len)) colon = memchr(text, ':', len);
    if (colon) {
        size_t at = (size_t)(colon - (const char *)text);
        http_door_prove(d, x, slice_of(text, at), slice_of(colon + 1, len - at - 1), done, context);
    } else {
        refuse(x, 401, done, context);
    }
    explicit_bzero(text, sizeof text);
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* Over TLS the prefix keeps other hosts of the domain from setting it. */
static const char *cookie_name(struct http_exchange *x)
{
    return http_tls(x) ? "__Host-sluice" : "sluice";
}

/* The value of a cookie; empty: not there. (RFC 6265, 4.2) */
static struct slice cookie(struct slice all, const char *name)
{
    size_t n = strlen(name);
    while (all.len) {
        const char *end = memchr(all.at, ';', all.len);
        struct slice one = slice_of(all.at, end ? (size_t)(end - all.at) : all.len);
        all = slice_after(all, one.len + 1);
        while (all.len && all.at[0] == ' ') all = slice_after(all, 1);
        if (one.len > n && one.at[n] == '=' && memcmp(one.at, name, n) == 0)
            return slice_after(one, n + 1);
    }
    return (struct slice){ 0 };
}

static void add_cookie(struct http_exchange *x, const char *token, struct buf *header)
{
    buf_addf(header, "Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Strict%s%s\r\n", cookie_name(x),
             token, http_tls(x) ? "; Secure" : "", token[0] ? "" : "; Max-Age=0");
}

bool http_door_open_session(struct http_door *d, struct http_exchange *x, const char *user,
                            struct buf *header)
{
    uint8_t random[HTTP_TOKEN_RANDOM_BYTES];
    char token[HTTP_TOKEN_TEXT_BYTES];
    const struct user *known_user = users_find(d->overview->realm->users, slice_str(user));
    random_bytes(random, sizeof random);
    if (!known_user || !http_sessions_open(&d->sessions, known_user, now_ms(d), random, token))
        return false;
    add_cookie(x, token, header);
    explicit_bzero(token, sizeof token);
    return true;
}

void http_door_close_session(struct http_door *d, const struct http_head *head,
                             struct http_exchange *x, struct buf *header)
{
    http_sessions_close(&d->sessions, cookie(head->cookie, cookie_name(x)));
    add_cookie(x, "", header);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool is_named(const struct user *user, struct slice name)
{
    if (user->certificate_name_count == 0) return slice_eq(user->name, name);
    for (uint32_t i = 0; i < user->certificate_name_count; i++)
        if (slice_eq(user->certificate_names[i], name)) return true;
    return false;
}

/* The one user with console rights whom the certificate names. */
static const struct user *user_of_certificate(const struct http_door *d, struct http_exchange *x)
{
    struct tls *tls = http_tls(x);
    struct tls_name names[CERTIFICATE_NAMES];
    const struct user *user, *found = NULL;
    uint32_t at = 0;
    if (!tls || !tls_peer_is_verified(tls)) return NULL;
    struct slice common = tls_peer_common_name(tls);
    size_t n = tls_peer_names(tls, names, CERTIFICATE_NAMES);
    while ((user = users_next(d->overview->realm->users, &at))) {
        if (!(user->methods & AUTH_BIT(AUTH_CERT)) || user->console == CONSOLE_NONE) continue;
        bool named = common.len && is_named(user, common);
        for (size_t i = 0; i < n && !named; i++)
            named = names[i].kind == TLS_NAME_DNS && is_named(user, names[i].text);
        if (!named) continue;
        if (found) return NULL; /* which of the two? */
        found = user;
    }
    return found;
}

/* ---- who ------------------------------------------------------------------------------------- */

void http_door_identify(struct http_door *d, struct http_exchange *x, const struct http_head *head,
                        http_door_done *done, void *context)
{
    static const char basic[] = "basic ";
    struct address from = address_of(&http_peer_address(x)->any);
    struct slice token = cookie(head->cookie, cookie_name(x));
    const struct realm *realm = d->overview->realm;
    const struct user *user = http_sessions_find(&d->sessions, token, realm->users, now_ms(d));
    size_t n = sizeof basic - 1;
    if (!user && head->authorization.len > n &&
        slice_is_nocase(slice_of(head->authorization.at, n), basic)) {
        prove_basic(d, x, slice_after(head->authorization, n), done, context);
        return;
    }
    if (!user) user = user_of_certificate(d, x);
    if (user && is_admitted(realm, &from, user->name, http_tls(x) != NULL)) {
        struct http_caller who = known(user);
        done(context, x, &who);
        return;
    }
    refuse(x, 401, done, context);
}

void http_door_close(struct http_door *d)
{
    d->closing = true;
    if (!d->proofs.next) return;
    list_each(node, &d->proofs)
    {
        struct proof *p = list_item(node, struct proof, node);
        if (wheel_is_set(&p->timer)) proof_over(p, 401);
    }
}
