#include "auth/prove.h"

#include "auth/digest.h"
#include "auth/md5.h"
#include "protocol/backend.h"
#include "protocol/wire.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum state {
    STATE_NEW,         /* nothing was asked yet */
    STATE_ANSWERED,    /* our whole proof is sent; only AuthenticationOk may follow */
    STATE_SCRAM_FIRST, /* client-first is sent */
    STATE_SCRAM_DERIVE,
    STATE_SCRAM_FINAL, /* client-final is sent */
    STATE_DONE,
};

struct prove {
    struct prove_setup setup;
    enum state state;
    struct scram_nonce nonce;
    struct scram_client scram;
    struct scram_keys derived; /* iterations 0: not derived here */
};

enum {
    DIGEST_CLIENT_NONCE_BYTES = 16, /* as Amazon's ODBC driver */
    MECHANISMS_MAX = 64,
};

struct prove *prove_new(const struct prove_setup *setup)
{
    struct prove *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->setup = *setup;
    return p;
}

void prove_free(struct prove *p)
{
    if (!p) return;
    scram_client_fini(&p->scram);
    OPENSSL_cleanse(p, sizeof *p);
    free(p);
}

const struct scram_keys *prove_keys(const struct prove *p)
{
    if (p->derived.iterations) return &p->derived;
    return p->scram.iterations ? p->setup.keys : NULL;
}

static enum prove_result fail(struct prove *p, struct err *err, enum err_code code,
                              const char *what)
{
    p->state = STATE_DONE;
    err_set(err, code, "%s", what);
    return PROVE_FAILED;
}

static enum prove_result malformed(struct prove *p, struct err *err)
{
    return fail(p, err, ERR_SERVER_CONFUSED, "malformed authentication request from the server");
}

static bool has_password(const struct prove *p) { return secret_bytes(p->setup.password).len > 0; }

/* ---- messages ----------------------------------------------------------------------------- */

/* Room for a whole message is made first, so that a growing buffer leaves no copy of a password
 * behind in freed memory. */
static void message_begin(struct buf *out, char type, size_t body_bytes)
{
    buf_reserve(out, body_bytes + 5);
    buf_add_u8(out, (uint8_t)type);
    buf_add_u32(out, (uint32_t)body_bytes + 4);
}

static enum prove_result answered(struct prove *p, const struct buf *out, struct err *err)
{
    if (out->failed) return fail(p, err, ERR_OUT_OF_MEMORY, err_text(ERR_OUT_OF_MEMORY));
    p->state = STATE_ANSWERED;
    return PROVE_SEND;
}

static enum prove_result answer_with_secret(struct prove *p, char type, const struct secret *secret,
                                            struct buf *out, struct err *err)
{
    struct slice text = secret_bytes(secret);
    /* Cut at its NUL, it would be another password. */
    if (memchr(text.at, '\0', text.len))
        return fail(p, err, ERR_NO_CREDENTIALS, "the credential contains a NUL byte");
    message_begin(out, type, text.len + 1);
    buf_add_slice(out, text);
    buf_add_u8(out, 0);
    return answered(p, out, err);
}

static enum prove_result on_cleartext(struct prove *p, struct wire *w, struct buf *out,
                                      struct err *err)
{
    if (!wire_is_done(w)) return malformed(p, err);
    if (!p->setup.tls && !p->setup.unix_socket)
        return fail(p, err, ERR_SERVER_REJECTED,
                    "the server asked for the password in clear text without TLS");
    if (!has_password(p))
        return fail(p, err, ERR_NO_CREDENTIALS, "the server asked for a password; there is none");
    return answer_with_secret(p, 'p', p->setup.password, out, err);
}

static enum prove_result on_token(struct prove *p, struct wire *w, struct buf *out, struct err *err)
{
    if (!wire_is_done(w)) return malformed(p, err);
    if (!p->setup.tls && !p->setup.unix_socket)
        return fail(p, err, ERR_SERVER_REJECTED, "the server asked for a token without TLS");
    if (!secret_bytes(p->setup.token).len)
        return fail(p, err, ERR_NO_CREDENTIALS, "the server asked for a token; there is none");
    return answer_with_secret(p, 'i', p->setup.token, out, err);
}

static enum prove_result on_md5(struct prove *p, struct wire *w, struct buf *out, struct err *err)
{
    struct slice salt = wire_bytes(w, MD5_SALT_BYTES);
    if (!wire_is_done(w)) return malformed(p, err);
    if (!has_password(p))
        return fail(p, err, ERR_NO_CREDENTIALS, "the server asked for a password; there is none");
    struct md5_verifier verifier;
    char answer[MD5_TEXT_BYTES];
    bool done = md5_verifier_make(&verifier, secret_bytes(p->setup.password), p->setup.user) &&
                md5_respond(answer, &verifier, (const uint8_t *)salt.at);
    if (done) {
        message_begin(out, 'p', sizeof answer + 1);
        buf_add(out, answer, sizeof answer);
        buf_add_u8(out, 0);
    }
    OPENSSL_cleanse(&verifier, sizeof verifier);
    OPENSSL_cleanse(answer, sizeof answer);
    if (!done) return fail(p, err, ERR_SERVER_REJECTED, "MD5 is not available on this machine");
    return answered(p, out, err);
}

static enum prove_result on_digest(struct prove *p, struct wire *w, struct buf *out,
                                   struct err *err)
{
    uint32_t algorithm = wire_u32(w);
    struct slice salt = wire_bytes(w, wire_u32(w));
    struct slice server_nonce = wire_bytes(w, wire_u32(w));
    if (!wire_is_done(w) || salt.len < 1 || salt.len > DIGEST_SALT_MAX_BYTES ||
        server_nonce.len < 1 || server_nonce.len > DIGEST_NONCE_MAX_BYTES)
        return malformed(p, err);
    if (algorithm != DIGEST_SHA256)
        return fail(p, err, ERR_SERVER_REJECTED,
                    "the server asked for an unknown digest algorithm");
    if (!has_password(p))
        return fail(p, err, ERR_NO_CREDENTIALS, "the server asked for a password; there is none");
    struct slice client_nonce = slice_of(p->setup.random, DIGEST_CLIENT_NONCE_BYTES);
    struct digest_verifier verifier;
    uint8_t answer[SHA256_BYTES];
    bool done = digest_verifier_make(&verifier, secret_bytes(p->setup.password), salt) &&
                digest_respond(answer, &verifier, server_nonce, client_nonce);
    OPENSSL_cleanse(&verifier, sizeof verifier);
    if (!done) return fail(p, err, ERR_OUT_OF_MEMORY, err_text(ERR_OUT_OF_MEMORY));
    message_begin(out, 'd', 4 + sizeof answer + 4 + client_nonce.len);
    buf_add_u32(out, sizeof answer);
    buf_add(out, answer, sizeof answer);
    buf_add_u32(out, (uint32_t)client_nonce.len);
    buf_add_slice(out, client_nonce);
    return answered(p, out, err);
}

/* ---- SCRAM -------------------------------------------------------------------------------- */

/* Reads the offered mechanisms: NUL-terminated names, ended by an empty one. */
static bool read_mechanisms(struct wire *w, bool *has_plain, bool *has_plus)
{
    *has_plain = *has_plus = false;
    for (int i = 0; i < MECHANISMS_MAX; i++) {
        struct slice name = wire_string(w);
        if (w->bad) return false;
        if (!name.len) return wire_is_done(w);
        if (slice_is(name, "SCRAM-SHA-256")) *has_plain = true;
        if (slice_is(name, "SCRAM-SHA-256-PLUS")) *has_plus = true;
    }
    return false;
}

static enum prove_result on_sasl(struct prove *p, struct wire *w, struct buf *out, struct err *err)
{
    bool has_plain, has_plus;
    if (!read_mechanisms(w, &has_plain, &has_plus)) return malformed(p, err);
    bool can_bind = p->setup.tls && p->setup.channel_binding.len > 0;
    bool is_bound = can_bind && has_plus;
    /* Whoever stands between us and the server could take PLUS out of the list (CVE-2025-49146,
     * CVE-2026-54291); flag y lets an honest server notice, and `require` does not rely on it. */
    if (p->setup.require_channel_binding && !is_bound)
        return fail(p, err, ERR_SERVER_REJECTED,
                    can_bind ? "channel binding is required, but the server does not offer it"
                             : "channel binding is required, but this connection has none");
    if (!is_bound && !has_plain)
        return fail(p, err, ERR_SERVER_REJECTED,
                    "the server offers no SASL mechanism that we know");
    if (!has_password(p))
        return fail(p, err, ERR_NO_CREDENTIALS, "the server asked for a password; there is none");

    char flag = is_bound ? 'p' : can_bind ? 'y' : 'n';
    scram_nonce_make(&p->nonce, p->setup.random);
    scram_client_begin(&p->scram, flag, p->setup.channel_binding, slice_str(""),
                       slice_str(p->nonce.text));
    struct buf first = { 0 };
    scram_client_first(&p->scram, &first);
    const char *mechanism = scram_client_mechanism(&p->scram);
    message_begin(out, 'p', strlen(mechanism) + 1 + 4 + first.len);
    buf_add(out, mechanism, strlen(mechanism) + 1);
    buf_add_u32(out, first.len);
    buf_add_slice(out, buf_slice(&first));
    out->failed |= first.failed;
    buf_fini(&first);
    enum prove_result result = answered(p, out, err);
    if (result == PROVE_SEND) p->state = STATE_SCRAM_FIRST;
    return result;
}

static enum prove_result send_final(struct prove *p, const struct scram_keys *keys, struct buf *out,
                                    struct err *err)
{
    struct buf final = { 0 };
    bool done = scram_client_final(&p->scram, keys, &final, err);
    if (done) {
        message_begin(out, 'p', final.len);
        buf_add_slice(out, buf_slice(&final));
    }
    buf_wipe(&final);
    if (!done) {
        p->state = STATE_DONE;
        return PROVE_FAILED;
    }
    enum prove_result result = answered(p, out, err);
    if (result == PROVE_SEND) p->state = STATE_SCRAM_FINAL;
    return result;
}

/* What the parser calls a protocol violation is the server's here. */
static enum prove_result scram_failed(struct prove *p, struct err *err)
{
    p->state = STATE_DONE;
    if (err->code == ERR_PROTOCOL) err->code = ERR_SERVER_CONFUSED;
    return PROVE_FAILED;
}

static enum prove_result on_sasl_continue(struct prove *p, struct wire *w, struct buf *out,
                                          struct err *err)
{
    if (!scram_client_challenge(&p->scram, wire_bytes(w, wire_left(w)), err))
        return scram_failed(p, err);
    const struct scram_keys *keys = p->setup.keys;
    if (keys && scram_keys_fit(keys, &p->scram.salt, p->scram.iterations))
        return send_final(p, keys, out, err);
    p->state = STATE_SCRAM_DERIVE;
    return PROVE_DERIVE;
}

void prove_derive(struct prove *p)
{
    if (p->state != STATE_SCRAM_DERIVE) return;
    scram_keys_derive(&p->derived, secret_bytes(p->setup.password),
                      slice_of(p->scram.salt.bytes, p->scram.salt.len), p->scram.iterations);
}

enum prove_result prove_derived(struct prove *p, struct buf *out, struct err *err)
{
    if (p->state != STATE_SCRAM_DERIVE || !p->derived.iterations)
        return fail(p, err, ERR_OUT_OF_MEMORY, err_text(ERR_OUT_OF_MEMORY));
    return send_final(p, &p->derived, out, err);
}

static enum prove_result on_sasl_final(struct prove *p, struct wire *w, struct err *err)
{
    if (!scram_client_verify(&p->scram, wire_bytes(w, wire_left(w)), err))
        return scram_failed(p, err);
    p->state = STATE_ANSWERED;
    return PROVE_SEND;
}

/* ---- what was asked ----------------------------------------------------------------------- */

static enum prove_result on_ok(struct prove *p, struct wire *w, struct err *err)
{
    if (!wire_is_done(w)) return malformed(p, err);
    if (p->state != STATE_NEW && p->state != STATE_ANSWERED)
        return fail(p, err, ERR_SERVER_REJECTED,
                    "the server ended the login without proving that it knows our password");
    if (p->setup.require_channel_binding && p->scram.flag != 'p')
        return fail(p, err, ERR_SERVER_REJECTED,
                    "channel binding is required, but the server did not ask for it");
    p->state = STATE_DONE;
    return PROVE_OK;
}

enum prove_result prove_message(struct prove *p, struct slice body, struct buf *out,
                                struct err *err)
{
    struct wire w = wire_of(body.len ? body : slice_str(""));
    uint32_t code = wire_u32(&w);
    if (w.bad) return malformed(p, err);
    if (code == AUTHENTICATION_OK) return on_ok(p, &w, err);
    if (code == AUTHENTICATION_SASL_CONTINUE && p->state == STATE_SCRAM_FIRST)
        return on_sasl_continue(p, &w, out, err);
    if (code == AUTHENTICATION_SASL_FINAL && p->state == STATE_SCRAM_FINAL)
        return on_sasl_final(p, &w, err);
    if (p->state != STATE_NEW)
        return fail(p, err, ERR_SERVER_CONFUSED, "unexpected authentication request");
    /* Any other way of proving ourselves is one that a false server could ask for. */
    if (p->setup.require_channel_binding && code != AUTHENTICATION_SASL)
        return fail(p, err, ERR_SERVER_REJECTED,
                    "channel binding is required, but the server did not ask for it");
    switch (code) {
    case AUTHENTICATION_CLEARTEXT: return on_cleartext(p, &w, out, err);
    case AUTHENTICATION_MD5: return on_md5(p, &w, out, err);
    case AUTHENTICATION_SASL: return on_sasl(p, &w, out, err);
    case AUTHENTICATION_DIGEST: return on_digest(p, &w, out, err);
    case AUTHENTICATION_TOKEN: return on_token(p, &w, out, err);
    default: break;
    }
    p->state = STATE_DONE;
    err_set(err, ERR_SERVER_REJECTED, "the server asked for authentication method %u", code);
    return PROVE_FAILED;
}
