#include "auth/verify.h"

#include "protocol/backend.h"
#include "protocol/wire.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum state {
    STATE_NEW,
    STATE_CLEARTEXT,
    STATE_MD5,
    STATE_DIGEST,
    STATE_IDP,
    STATE_SCRAM_FIRST,
    STATE_SCRAM_FINAL,
    STATE_TOKEN,  /* VERIFY_TOKEN was said */
    STATE_DERIVE, /* VERIFY_DERIVE was said */
    STATE_DONE,
};

struct verify {
    struct verify_setup setup;
    enum state state;
    struct secret *password;
    bool is_right; /* of a derivation */
    struct scram_nonce nonce;
    struct scram_server scram;
    const struct digest_verifier *digest; /* what the challenge was made from */
    const struct md5_verifier *md5;
    /* What an unknown user is measured against. */
    struct scram_verifier mock_scram;
    struct digest_verifier mock_digest;
    struct md5_verifier mock_md5;
};

struct verify *verify_new(const struct verify_setup *setup)
{
    struct verify *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    v->setup = *setup;
    return v;
}

void verify_free(struct verify *v)
{
    if (!v) return;
    scram_server_fini(&v->scram);
    secret_free(v->password);
    OPENSSL_cleanse(v, sizeof *v);
    free(v);
}

const struct secret *verify_password(const struct verify *v) { return v->password; }

struct secret *verify_take_password(struct verify *v)
{
    struct secret *password = v->password;
    v->password = NULL;
    return password;
}

/* ---- what there is to measure against ----------------------------------------------------- */

static uint32_t mock_iterations(const struct verify *v)
{
    const struct user *stranger = v->setup.stranger;
    return stranger && stranger->scram ? stranger->scram->iterations : SCRAM_ITERATIONS;
}

/* The mock is made also when it is not needed: a login costs the same whether its user is there. */
static const struct scram_verifier *scram_of(struct verify *v)
{
    const struct verify_setup *setup = &v->setup;
    bool made =
        scram_verifier_mock(&v->mock_scram, setup->mock_key, setup->user_name, mock_iterations(v));
    if (setup->user && setup->user->scram) return setup->user->scram;
    return made ? &v->mock_scram : NULL;
}

static const struct digest_verifier *digest_of(struct verify *v)
{
    const struct verify_setup *setup = &v->setup;
    bool made = digest_verifier_mock(&v->mock_digest, setup->mock_key, setup->user_name);
    if (setup->user && setup->user->digest) return setup->user->digest;
    return made ? &v->mock_digest : NULL;
}

static const struct md5_verifier *md5_of(struct verify *v)
{
    const struct verify_setup *setup = &v->setup;
    bool made = md5_verifier_make(&v->mock_md5, setup->mock_key, setup->user_name);
    if (setup->user && setup->user->md5) return setup->user->md5;
    return made ? &v->mock_md5 : NULL;
}

/* ---- verdicts ----------------------------------------------------------------------------- */

static enum verify_result done(struct verify *v, bool is_right, struct err *err)
{
    v->state = STATE_DONE;
    /* Whatever was computed: without a user nobody has logged in. */
    if (is_right && v->setup.user) return VERIFY_OK;
    err_set(err, ERR_LOGIN_FAILED, "");
    return VERIFY_FAILED;
}

static enum verify_result bad(struct verify *v, struct err *err, const char *what)
{
    v->state = STATE_DONE;
    err_set(err, ERR_PROTOCOL, "%s", what);
    return VERIFY_BAD;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* 'R', a length to be filled in, and the code. Returns where the length stands. */
static uint32_t request_begin(struct buf *out, uint32_t code)
{
    buf_add_u8(out, 'R');
    uint32_t length_at = out->len;
    buf_add_u32(out, 0);
    buf_add_u32(out, code);
    return length_at;
}

static void request_end(struct buf *out, uint32_t length_at)
{
    if (out->failed) return;
    uint32_t len = out->len - length_at;
    for (int i = 0; i < 4; i++) out->at[length_at + (uint32_t)i] = (char)(len >> (24 - 8 * i));
}

/* A login asks one question, so that its randomness serves one purpose. */
static struct slice nonce_of(const struct verify *v)
{
    return slice_of(v->setup.random, sizeof v->setup.random);
}

static enum verify_result ask(struct verify *v, enum state next)
{
    v->state = next;
    return VERIFY_MORE;
}

static enum verify_result ask_cleartext(struct verify *v, struct buf *out)
{
    if (!v->setup.tls && !v->setup.unix_socket) return VERIFY_FAILED;
    request_end(out, request_begin(out, AUTHENTICATION_CLEARTEXT));
    return ask(v, STATE_CLEARTEXT);
}

/* Code 14 has nothing behind it; what it is to be a token of stands in the startup packet. */
static enum verify_result ask_idp(struct verify *v, struct buf *out)
{
    if (!v->setup.tls) return VERIFY_FAILED;
    request_end(out, request_begin(out, AUTHENTICATION_TOKEN));
    return ask(v, STATE_IDP);
}

static enum verify_result ask_md5(struct verify *v, struct buf *out)
{
    v->md5 = md5_of(v);
    if (!v->md5) return VERIFY_FAILED;
    uint32_t at = request_begin(out, AUTHENTICATION_MD5);
    buf_add(out, v->setup.random, MD5_SALT_BYTES);
    request_end(out, at);
    return ask(v, STATE_MD5);
}

static enum verify_result ask_digest(struct verify *v, struct buf *out)
{
    v->digest = digest_of(v);
    if (!v->digest) return VERIFY_FAILED;
    uint32_t at = request_begin(out, AUTHENTICATION_DIGEST);
    buf_add_u32(out, DIGEST_SHA256);
    buf_add_u32(out, (uint32_t)v->digest->salt_len);
    buf_add(out, v->digest->salt, v->digest->salt_len);
    buf_add_u32(out, (uint32_t)nonce_of(v).len);
    buf_add_slice(out, nonce_of(v));
    request_end(out, at);
    return ask(v, STATE_DIGEST);
}

static enum verify_result ask_scram(struct verify *v, struct buf *out)
{
    const struct scram_verifier *verifier = scram_of(v);
    if (!verifier) return VERIFY_FAILED;
    scram_nonce_make(&v->nonce, v->setup.random);
    /* The binding is TLS's; without TLS there is none, whatever the caller said. */
    struct slice binding = v->setup.tls ? v->setup.channel_binding : slice_str("");
    scram_server_begin(&v->scram, verifier, binding, slice_str(v->nonce.text));
    uint32_t at = request_begin(out, AUTHENTICATION_SASL);
    scram_server_offer(&v->scram, out);
    request_end(out, at);
    return ask(v, STATE_SCRAM_FIRST);
}

enum verify_result verify_begin(struct verify *v, struct buf *out)
{
    v->state = STATE_DONE;
    switch (v->setup.method) {
    case AUTH_TRUST:
    case AUTH_CERT: return v->setup.user ? VERIFY_OK : VERIFY_FAILED;
    case AUTH_SCRAM: return ask_scram(v, out);
    case AUTH_MD5: return ask_md5(v, out);
    case AUTH_DIGEST: return ask_digest(v, out);
    case AUTH_IDP: return ask_idp(v, out);
    case AUTH_CLEARTEXT:
    case AUTH_PASSTHROUGH:
    case AUTH_IAM: return ask_cleartext(v, out);
    case AUTH_NONE:
    case AUTH_METHOD_COUNT: break;
    }
    return VERIFY_FAILED;
}

/* ---- clear text --------------------------------------------------------------------------- */

/* Whether a verifier that is checked in a microsecond fits. */
static bool fits_quickly(const struct user *user, struct slice password)
{
    bool fits_digest = user->digest && digest_verifier_check(user->digest, password);
    bool fits_md5 = user->md5 && md5_verifier_check(user->md5, password, user->name);
    return fits_digest || fits_md5;
}

void verify_derive(struct verify *v)
{
    const struct scram_verifier *verifier = scram_of(v);
    v->is_right = verifier && scram_verifier_check(verifier, secret_bytes(v->password));
    /* A user without a SCRAM verifier was measured against the mock, for the time it takes. */
    if (!v->setup.user || !v->setup.user->scram) v->is_right = false;
}

enum verify_result verify_derived(struct verify *v, struct err *err)
{
    return done(v, v->state == STATE_DERIVE && v->is_right, err);
}

/* Success may be quick. Failure costs one PBKDF2, whoever asks and whatever is stored, so that its
 * time says nothing about the user. */
static enum verify_result check_password(struct verify *v, struct err *err)
{
    const struct user *user = v->setup.user;
    if (user && fits_quickly(user, secret_bytes(v->password))) return done(v, true, err);
    v->state = STATE_DERIVE;
    if (v->setup.may_derive) return VERIFY_DERIVE;
    verify_derive(v);
    return verify_derived(v, err);
}

static enum verify_result keep(struct verify *v, struct slice password, struct err *err)
{
    v->password = secret_new(password);
    if (v->password) return VERIFY_MORE;
    v->state = STATE_DONE;
    err_set(err, ERR_OUT_OF_MEMORY, "");
    return VERIFY_BAD;
}

/* The warehouse will judge; but nobody whom we do not know is sent there. */
static enum verify_result forward(struct verify *v, struct err *err)
{
    v->state = STATE_DONE;
    return v->setup.user ? VERIFY_FORWARD : done(v, false, err);
}

/* 'i': JDBC and ODBC end the token with a NUL, the Python driver does not. */
static enum verify_result take_idp(struct verify *v, struct slice body, struct err *err)
{
    if (body.len && body.at[body.len - 1] == '\0') body.len--;
    if (body.len && memchr(body.at, '\0', body.len)) return bad(v, err, "malformed token message");
    if (!body.len) return done(v, false, err);
    enum verify_result kept = keep(v, body, err);
    return kept == VERIFY_MORE ? forward(v, err) : kept;
}

static enum verify_result take_cleartext(struct verify *v, struct wire *w, struct err *err)
{
    struct slice password = wire_string(w);
    if (!wire_is_done(w)) return bad(v, err, "malformed password message");
    /* As PostgreSQL: no user can have the empty password (CVE-2017-7546). */
    if (!password.len) return done(v, false, err);
    enum verify_result kept = keep(v, password, err);
    if (kept != VERIFY_MORE) return kept;
    if (v->setup.method == AUTH_PASSTHROUGH) return forward(v, err);
    if (v->setup.method != AUTH_IAM) return check_password(v, err);
    v->state = STATE_TOKEN;
    return VERIFY_TOKEN;
}

enum verify_result verify_as_password(struct verify *v, struct err *err)
{
    if (v->state != STATE_TOKEN) return done(v, false, err);
    const struct user *user = v->setup.user;
    if (user && !(user->methods & AUTH_PASSWORD_BITS)) v->setup.user = NULL;
    return check_password(v, err);
}

/* ---- the two simple challenges ------------------------------------------------------------ */

static enum verify_result take_md5(struct verify *v, struct wire *w, struct err *err)
{
    char expected[MD5_TEXT_BYTES];
    struct slice answer = wire_string(w);
    if (!wire_is_done(w)) return bad(v, err, "malformed password message");
    bool is_right = md5_respond(expected, v->md5, v->setup.random) &&
                    answer.len == sizeof expected &&
                    CRYPTO_memcmp(expected, answer.at, sizeof expected) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    return done(v, is_right && v->setup.user && v->setup.user->md5, err);
}

static enum verify_result take_digest(struct verify *v, struct wire *w, struct err *err)
{
    uint8_t expected[SHA256_BYTES];
    struct slice answer = wire_bytes(w, wire_u32(w));
    struct slice client_nonce = wire_bytes(w, wire_u32(w));
    if (!wire_is_done(w) || answer.len != sizeof expected || client_nonce.len < 1 ||
        client_nonce.len > DIGEST_NONCE_MAX_BYTES)
        return bad(v, err, "malformed digest message");
    bool is_right = digest_respond(expected, v->digest, nonce_of(v), client_nonce) &&
                    CRYPTO_memcmp(expected, answer.at, sizeof expected) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    return done(v, is_right && v->setup.user && v->setup.user->digest, err);
}

/* ---- SCRAM -------------------------------------------------------------------------------- */

/* SASLInitialResponse: the mechanism, a length, client-first. PostgreSQL allows the length -1 for
 * "nothing yet"; no SCRAM client sends that, and it is refused with every other length that is not
 * exactly what follows (CVE-2026-6664). */
static enum verify_result take_scram_first(struct verify *v, struct wire *w, struct buf *out,
                                           struct err *err)
{
    struct slice mechanism = wire_string(w);
    struct slice message = wire_bytes(w, wire_u32(w));
    if (!wire_is_done(w)) return bad(v, err, "malformed SASLInitialResponse message");
    uint32_t at = request_begin(out, AUTHENTICATION_SASL_CONTINUE);
    enum scram_result result = scram_server_first(&v->scram, mechanism, message, out, err);
    if (result != SCRAM_OK) {
        v->state = STATE_DONE;
        buf_truncate(out, at - 1);
        return VERIFY_BAD;
    }
    request_end(out, at);
    return ask(v, STATE_SCRAM_FINAL);
}

static enum verify_result take_scram_final(struct verify *v, struct wire *w, struct buf *out,
                                           struct err *err)
{
    struct slice message = wire_bytes(w, wire_left(w));
    uint32_t at = request_begin(out, AUTHENTICATION_SASL_FINAL);
    enum scram_result result = scram_server_final(&v->scram, message, out, err);
    bool is_right = result == SCRAM_OK && v->setup.user && v->setup.user->scram;
    if (is_right)
        request_end(out, at);
    else
        buf_truncate(out, at - 1);
    if (result == SCRAM_BAD) {
        v->state = STATE_DONE;
        return VERIFY_BAD;
    }
    return done(v, is_right, err);
}

enum verify_result verify_message(struct verify *v, uint8_t type, struct slice body,
                                  struct buf *out, struct err *err)
{
    uint8_t expected = v->state == STATE_DIGEST ? 'd' : v->state == STATE_IDP ? 'i' : 'p';
    if (type != expected) return bad(v, err, "message not expected during authentication");
    if (body.len > VERIFY_MESSAGE_MAX_BYTES) return bad(v, err, "authentication message too long");
    struct wire w = wire_of(body.len ? body : slice_str(""));
    switch (v->state) {
    case STATE_CLEARTEXT: return take_cleartext(v, &w, err);
    case STATE_IDP: return take_idp(v, body, err);
    case STATE_MD5: return take_md5(v, &w, err);
    case STATE_DIGEST: return take_digest(v, &w, err);
    case STATE_SCRAM_FIRST: return take_scram_first(v, &w, out, err);
    case STATE_SCRAM_FINAL: return take_scram_final(v, &w, out, err);
    case STATE_NEW:
    case STATE_TOKEN:
    case STATE_DERIVE:
    case STATE_DONE: break;
    }
    return bad(v, err, "message not expected during authentication");
}
