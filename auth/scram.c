#include "auth/scram.h"

#include "auth/base64.h"
#include "auth/saslprep.h"

#include <openssl/crypto.h>

static const char mechanism_plain[] = "SCRAM-SHA-256";
static const char mechanism_plus[] = "SCRAM-SHA-256-PLUS";
static const char gs2_plus[] = "p=tls-server-end-point,,";

void scram_nonce_make(struct scram_nonce *n, const uint8_t random[SCRAM_NONCE_BYTES])
{
    struct buf text = { 0 };
    base64_print(slice_of(random, SCRAM_NONCE_BYTES), &text);
    /* Without memory the nonce is empty, and an empty nonce is refused by whoever uses it. */
    memset(n->text, 0, sizeof n->text);
    if (text.len == sizeof n->text - 1) memcpy(n->text, text.at, text.len);
    buf_fini(&text);
}

/* ---- keys --------------------------------------------------------------------------------- */

static bool salt_set(struct scram_salt *to, struct slice salt)
{
    *to = (struct scram_salt){ .len = salt.len };
    if (salt.len < 1 || salt.len > sizeof to->bytes) return false;
    memcpy(to->bytes, salt.at, salt.len);
    return true;
}

static struct slice salt_slice(const struct scram_salt *s) { return slice_of(s->bytes, s->len); }

static struct slice key_slice(const uint8_t key[SHA256_BYTES])
{
    return slice_of(key, SHA256_BYTES);
}

static bool key_hmac(uint8_t out[SHA256_BYTES], const uint8_t key[SHA256_BYTES], struct slice text)
{
    return hash_hmac(out, key_slice(key), &text, 1);
}

bool scram_keys_derive(struct scram_keys *k, struct slice password, struct slice salt,
                       uint32_t iterations)
{
    *k = (struct scram_keys){ 0 };
    if (iterations < 1 || iterations > SCRAM_VERIFIER_ITERATIONS_MAX) return false;
    if (!salt_set(&k->salt, salt)) return false;

    uint8_t salted[SHA256_BYTES];
    struct buf prepared = { 0 };
    bool done = saslprep(password, &prepared) &&
                hash_pbkdf2(salted, buf_slice(&prepared), salt, iterations) &&
                key_hmac(k->client_key, salted, slice_str("Client Key")) &&
                key_hmac(k->server_key, salted, slice_str("Server Key"));
    buf_wipe(&prepared);
    OPENSSL_cleanse(salted, sizeof salted);
    if (done) k->iterations = iterations;
    return done;
}

bool scram_keys_fit(const struct scram_keys *k, const struct scram_salt *salt, uint32_t iterations)
{
    return k->iterations != 0 && k->iterations == iterations &&
           slice_eq(salt_slice(&k->salt), salt_slice(salt));
}

bool scram_verifier_make(struct scram_verifier *v, struct slice password, struct slice salt,
                         uint32_t iterations)
{
    struct scram_keys keys;
    struct slice client_key = key_slice(keys.client_key);
    bool done = scram_keys_derive(&keys, password, salt, iterations);
    *v = (struct scram_verifier){ .salt = keys.salt, .iterations = iterations };
    memcpy(v->server_key, keys.server_key, sizeof v->server_key);
    done = done && hash_sha256(v->stored_key, &client_key, 1);
    OPENSSL_cleanse(&keys, sizeof keys);
    return done;
}

bool scram_verifier_check(const struct scram_verifier *v, struct slice password)
{
    struct scram_verifier other;
    bool equal = scram_verifier_make(&other, password, salt_slice(&v->salt), v->iterations) &&
                 CRYPTO_memcmp(other.stored_key, v->stored_key, sizeof v->stored_key) == 0;
    OPENSSL_cleanse(&other, sizeof other);
    return equal;
}

/* HMAC(key, purpose, user). */
static bool sum_for(uint8_t sum[SHA256_BYTES], struct slice key, struct slice user)
{
    static const char purpose[] = "scram salt";
    struct slice parts[] = { slice_of(purpose, sizeof purpose), user };
    return hash_hmac(sum, key, parts, 2);
}

bool scram_stable_salt(uint8_t salt[SCRAM_SALT_BYTES], struct slice key, struct slice user)
{
    uint8_t sum[SHA256_BYTES];
    bool done = sum_for(sum, key, user);
    memcpy(salt, sum, SCRAM_SALT_BYTES);
    return done;
}

bool scram_verifier_mock(struct scram_verifier *v, struct slice key, struct slice user,
                         uint32_t iterations)
{
    uint8_t sum[SHA256_BYTES];
    *v = (struct scram_verifier){ .iterations = iterations, .salt.len = SCRAM_SALT_BYTES };
    bool done = sum_for(sum, key, user);
    /* One sum for all: half of it is never shown, and nobody has what hashes to it. */
    memcpy(v->salt.bytes, sum, SCRAM_SALT_BYTES);
    memcpy(v->stored_key, sum, sizeof v->stored_key);
    memcpy(v->server_key, sum, sizeof v->server_key);
    return done;
}

/* ---- the stored text ---------------------------------------------------------------------- */

/* Cuts what stands before the first `end` off `left`; false when there is none. */
static bool cut(struct slice *left, char end, struct slice *head)
{
    const char *at = left->len ? memchr(left->at, end, left->len) : NULL;
    if (!at) return false;
    *head = slice_of(left->at, (size_t)(at - left->at));
    *left = slice_after(*left, head->len + 1);
    return true;
}

/* 1..max in decimal, without sign, spaces or leading zeros. */
static bool iterations_parse(struct slice text, uint32_t max, uint32_t *iterations)
{
    uint32_t n = 0;
    if (text.len < 1 || text.len > 9 || text.at[0] == '0') return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    *iterations = n;
    return n >= 1 && n <= max;
}

static bool key_parse(struct slice text, uint8_t key[SHA256_BYTES])
{
    size_t len;
    return base64_parse(text, key, SHA256_BYTES, &len) && len == SHA256_BYTES;
}

static bool salt_parse(struct slice text, struct scram_salt *salt)
{
    return base64_parse(text, salt->bytes, sizeof salt->bytes, &salt->len) && salt->len > 0;
}

bool scram_verifier_parse(struct scram_verifier *v, struct slice text, struct err *err)
{
    struct slice left = text, scheme, iterations, salt, stored;
    *v = (struct scram_verifier){ 0 };
    if (!cut(&left, '$', &scheme) || !slice_is(scheme, mechanism_plain) ||
        !cut(&left, ':', &iterations) || !cut(&left, '$', &salt) || !cut(&left, ':', &stored))
        return err_set(err, ERR_CONFIG,
                       "a SCRAM verifier looks like SCRAM-SHA-256$iterations:salt$stored:server");
    if (!iterations_parse(iterations, SCRAM_VERIFIER_ITERATIONS_MAX, &v->iterations))
        return err_set(err, ERR_CONFIG, "the iterations of a SCRAM verifier are 1 to %d",
                       SCRAM_VERIFIER_ITERATIONS_MAX);
    if (!salt_parse(salt, &v->salt))
        return err_set(err, ERR_CONFIG, "the salt of a SCRAM verifier is base64 of 1 to %d bytes",
                       SCRAM_SALT_MAX_BYTES);
    if (!key_parse(stored, v->stored_key) || !key_parse(left, v->server_key))
        return err_set(err, ERR_CONFIG, "the keys of a SCRAM verifier are base64 of %d bytes each",
                       SHA256_BYTES);
    return true;
}

void scram_verifier_print(const struct scram_verifier *v, struct buf *out)
{
    buf_addf(out, "%s$%u:", mechanism_plain, v->iterations);
    base64_print(salt_slice(&v->salt), out);
    buf_add_u8(out, '$');
    base64_print(key_slice(v->stored_key), out);
    buf_add_u8(out, ':');
    base64_print(key_slice(v->server_key), out);
}

/* ---- messages ----------------------------------------------------------------------------- */

static bool bad(struct err *err, const char *what)
{
    return err_set(err, ERR_PROTOCOL, "malformed SCRAM message: %s", what);
}

/* A message that could be SCRAM at all: neither too long nor with a NUL in it. */
static bool message_begin(struct slice message, struct err *err)
{
    if (message.len > SCRAM_MESSAGE_MAX_BYTES) return bad(err, "too long");
    if (message.len && memchr(message.at, '\0', message.len)) return bad(err, "NUL byte");
    return true;
}

/* Reads "name=value" up to a comma or the end. What follows the comma stays in `left`; at the end
 * left->at turns NULL, which tells "a=b" from "a=b," with nothing behind it. */
static bool attribute(struct slice *left, char name, struct slice *value)
{
    if (left->len < 2 || left->at[0] != name || left->at[1] != '=') return false;
    struct slice rest = slice_after(*left, 2);
    if (cut(&rest, ',', value)) {
        *left = rest;
    } else {
        *value = rest;
        *left = slice_of(NULL, 0);
    }
    return true;
}

/* Extensions that we do not know may be there and are passed over (RFC 5802, section 5.1),
 * up to the attribute `until`, or to the end when that is 0. */
static bool skip_extensions(struct slice *left, char until)
{
    struct slice value;
    while (left->at) {
        char name = left->len ? left->at[0] : '\0';
        if (until && name == until) return true;
        bool is_letter = (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
        if (!is_letter || !attribute(left, name, &value)) return false;
    }
    return !until;
}

/* Printable ASCII but no comma: RFC 5802, section 7. */
static bool is_nonce(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < 0x21 || s.at[i] > 0x7e || s.at[i] == ',') return false;
    return s.len > 0;
}

/* The value of c=: the header that the client began with and, for PLUS, the hash. */
static void binding_print(char flag, struct slice channel_binding, struct buf *out)
{
    struct buf raw = { 0 };
    if (flag == 'p') {
        buf_add_str(&raw, gs2_plus);
        buf_add_slice(&raw, channel_binding);
    } else {
        buf_addf(&raw, "%c,,", flag);
    }
    base64_print(buf_slice(&raw), out);
    out->failed |= raw.failed;
    buf_fini(&raw);
}

static bool no_memory(struct err *err) { return err_set(err, ERR_OUT_OF_MEMORY, ""); }

/* ---- server role -------------------------------------------------------------------------- */

void scram_server_begin(struct scram_server *s, const struct scram_verifier *verifier,
                        struct slice channel_binding, struct slice nonce)
{
    *s = (struct scram_server){ .verifier = verifier,
                                .channel_binding = channel_binding,
                                .nonce = nonce };
}

void scram_server_fini(struct scram_server *s)
{
    buf_wipe(&s->auth_message);
    buf_wipe(&s->full_nonce);
}

void scram_server_offer(const struct scram_server *s, struct buf *out)
{
    if (s->channel_binding.len) buf_add(out, mechanism_plus, sizeof mechanism_plus);
    buf_add(out, mechanism_plain, sizeof mechanism_plain);
    buf_add_u8(out, 0);
}

/* The GS2 header: channel binding flag, then an authorization identity, which nobody may have.
 * (RFC 5802, section 6: what to do with each flag) */
static bool gs2_header(struct scram_server *s, bool is_plus, struct slice *left, struct err *err)
{
    struct slice flag, identity;
    if (!cut(left, ',', &flag) || !cut(left, ',', &identity))
        return bad(err, "no channel binding header");
    if (identity.len) return bad(err, "authorization identity is not supported");
    s->flag = flag.len ? flag.at[0] : '\0';
    if (s->flag == 'p') {
        if (!is_plus) return bad(err, "channel binding data without SCRAM-SHA-256-PLUS");
        if (!slice_is(flag, "p=tls-server-end-point"))
            return bad(err, "unsupported channel binding type");
        return true;
    }
    if (!slice_is(flag, "n") && !slice_is(flag, "y")) return bad(err, "channel binding flag");
    if (is_plus) return bad(err, "SCRAM-SHA-256-PLUS without channel binding data");
    if (s->flag == 'y' && s->channel_binding.len)
        return bad(err, "the client was told that channel binding is not offered, but it is");
    return true;
}

enum scram_result scram_server_first(struct scram_server *s, struct slice mechanism,
                                     struct slice client_first, struct buf *out, struct err *err)
{
    bool is_plus = slice_is(mechanism, mechanism_plus);
    if (!slice_is(mechanism, is_plus ? mechanism_plus : mechanism_plain) ||
        (is_plus && !s->channel_binding.len)) {
        bad(err, "mechanism was not offered");
        return SCRAM_BAD;
    }
    struct slice left = client_first, user, nonce;
    if (!message_begin(client_first, err) || !gs2_header(s, is_plus, &left, err)) return SCRAM_BAD;
    struct slice bare = left;
    if (!attribute(&left, 'n', &user) || !attribute(&left, 'r', &nonce) || !is_nonce(nonce) ||
        !skip_extensions(&left, 0)) {
        bad(err, "client-first-message");
        return SCRAM_BAD;
    }

    buf_add_slice(&s->full_nonce, nonce);
    buf_add_slice(&s->full_nonce, s->nonce);
    buf_add_slice(&s->auth_message, bare);
    buf_add_u8(&s->auth_message, ',');
    uint32_t server_first = s->auth_message.len;
    buf_add_str(&s->auth_message, "r=");
    buf_add_slice(&s->auth_message, buf_slice(&s->full_nonce));
    buf_add_str(&s->auth_message, ",s=");
    base64_print(salt_slice(&s->verifier->salt), &s->auth_message);
    buf_addf(&s->auth_message, ",i=%u", s->verifier->iterations);
    if (!s->nonce.len || s->auth_message.failed || s->full_nonce.failed) {
        no_memory(err);
        return SCRAM_BAD;
    }
    buf_add_slice(out, slice_after(buf_slice(&s->auth_message), server_first));
    return SCRAM_OK;
}

/* client-final: c= and r= must repeat what was said, p= is the proof. The length of what stands
 * before ",p=" is left in `unproved`. */
static bool client_final_parse(const struct scram_server *s, struct slice message,
                               uint8_t proof[SHA256_BYTES], size_t *unproved, struct err *err)
{
    struct slice left = message, binding, nonce, value;
    struct buf expected = { 0 };
    binding_print(s->flag, s->channel_binding, &expected);
    bool parsed = attribute(&left, 'c', &binding);
    bool is_bound = parsed && !expected.failed && slice_eq(binding, buf_slice(&expected));
    buf_fini(&expected);
    if (!parsed) return bad(err, "client-final-message");
    if (!is_bound) return bad(err, "channel binding does not match");
    if (!attribute(&left, 'r', &nonce) || !slice_eq(nonce, buf_slice(&s->full_nonce)))
        return bad(err, "nonce does not match");
    if (!skip_extensions(&left, 'p')) return bad(err, "no proof");
    *unproved = (size_t)(left.at - message.at) - 1;
    if (!attribute(&left, 'p', &value) || left.at || !key_parse(value, proof))
        return bad(err, "proof");
    return true;
}

enum scram_result scram_server_final(struct scram_server *s, struct slice client_final,
                                     struct buf *out, struct err *err)
{
    uint8_t proof[SHA256_BYTES] = { 0 }, signature[SHA256_BYTES] = { 0 };
    uint8_t stored_key[SHA256_BYTES];
    size_t unproved = 0;
    if (!message_begin(client_final, err) ||
        !client_final_parse(s, client_final, proof, &unproved, err))
        return SCRAM_BAD;
    buf_add_u8(&s->auth_message, ',');
    buf_add(&s->auth_message, client_final.at, unproved);
    struct slice said = buf_slice(&s->auth_message), client_key = key_slice(proof);

    /* The proof is client_key XOR HMAC(stored_key, all that was said). */
    bool computed = !s->auth_message.failed && key_hmac(signature, s->verifier->stored_key, said);
    for (size_t i = 0; i < sizeof proof; i++) proof[i] ^= signature[i];
    computed = computed && hash_sha256(stored_key, &client_key, 1) &&
               key_hmac(signature, s->verifier->server_key, said);
    OPENSSL_cleanse(proof, sizeof proof);
    if (!computed) {
        no_memory(err);
        return SCRAM_BAD;
    }
    if (CRYPTO_memcmp(stored_key, s->verifier->stored_key, sizeof stored_key) != 0)
        return SCRAM_FAILED;
    buf_add_str(out, "v=");
    base64_print(key_slice(signature), out);
    return SCRAM_OK;
}

/* ---- client role -------------------------------------------------------------------------- */

void scram_client_begin(struct scram_client *c, char flag, struct slice channel_binding,
                        struct slice user, struct slice nonce)
{
    *c = (struct scram_client){
        .flag = flag, .channel_binding = channel_binding, .user = user, .nonce = nonce
    };
}

void scram_client_fini(struct scram_client *c)
{
    buf_wipe(&c->auth_message);
    buf_wipe(&c->full_nonce);
    OPENSSL_cleanse(c->server_signature, sizeof c->server_signature);
}

const char *scram_client_mechanism(const struct scram_client *c)
{
    return c->flag == 'p' ? mechanism_plus : mechanism_plain;
}

void scram_client_first(struct scram_client *c, struct buf *out)
{
    buf_add_str(&c->auth_message, "n=");
    for (size_t i = 0; i < c->user.len; i++) {
        char letter = c->user.at[i];
        if (letter == ',' || letter == '=')
            buf_add_str(&c->auth_message, letter == ',' ? "=2C" : "=3D");
        else
            buf_add_u8(&c->auth_message, (uint8_t)letter);
    }
    buf_add_str(&c->auth_message, ",r=");
    buf_add_slice(&c->auth_message, c->nonce);

    if (c->flag == 'p')
        buf_add_str(out, gs2_plus);
    else
        buf_addf(out, "%c,,", c->flag);
    buf_add_slice(out, buf_slice(&c->auth_message));
    out->failed |= c->auth_message.failed;
}

bool scram_client_challenge(struct scram_client *c, struct slice server_first, struct err *err)
{
    struct slice left = server_first, nonce, salt, iterations;
    if (!message_begin(server_first, err)) return false;
    if (!attribute(&left, 'r', &nonce) || !is_nonce(nonce)) return bad(err, "server nonce");
    /* The server adds to our nonce. One that does not start with ours is an old answer. */
    if (!c->nonce.len || nonce.len <= c->nonce.len ||
        memcmp(nonce.at, c->nonce.at, c->nonce.len) != 0)
        return bad(err, "the server's nonce does not continue ours");
    if (!attribute(&left, 's', &salt) || !salt_parse(salt, &c->salt)) return bad(err, "salt");
    if (!attribute(&left, 'i', &iterations) || left.at ||
        !iterations_parse(iterations, SCRAM_ITERATIONS_MAX, &c->iterations))
        return bad(err, "iteration count out of range");

    buf_add_slice(&c->full_nonce, nonce);
    buf_add_u8(&c->auth_message, ',');
    buf_add_slice(&c->auth_message, server_first);
    return true;
}

bool scram_client_final(struct scram_client *c, const struct scram_keys *keys, struct buf *out,
                        struct err *err)
{
    uint8_t stored_key[SHA256_BYTES], proof[SHA256_BYTES] = { 0 };
    struct slice client_key = key_slice(keys->client_key);
    struct buf message = { 0 };
    buf_add_str(&message, "c=");
    binding_print(c->flag, c->channel_binding, &message);
    buf_add_str(&message, ",r=");
    buf_add_slice(&message, buf_slice(&c->full_nonce));

    buf_add_u8(&c->auth_message, ',');
    buf_add_slice(&c->auth_message, buf_slice(&message));
    struct slice said = buf_slice(&c->auth_message);
    bool done = scram_keys_fit(keys, &c->salt, c->iterations) &&
                hash_sha256(stored_key, &client_key, 1) && key_hmac(proof, stored_key, said) &&
                key_hmac(c->server_signature, keys->server_key, said);
    for (size_t i = 0; i < sizeof proof; i++) proof[i] ^= keys->client_key[i];
    buf_add_str(&message, ",p=");
    base64_print(key_slice(proof), &message);
    done = done && !c->auth_message.failed && !c->full_nonce.failed && !message.failed;
    if (done) buf_add_slice(out, buf_slice(&message));
    OPENSSL_cleanse(stored_key, sizeof stored_key);
    OPENSSL_cleanse(proof, sizeof proof);
    buf_wipe(&message);
    return done || no_memory(err);
}

bool scram_client_verify(struct scram_client *c, struct slice server_final, struct err *err)
{
    uint8_t signature[SHA256_BYTES];
    struct slice left = server_final, value;
    if (!message_begin(server_final, err)) return false;
    if (attribute(&left, 'e', &value))
        return err_set(err, ERR_SERVER_REJECTED, "the server refused our SCRAM proof");
    if (!attribute(&left, 'v', &value) || left.at || !key_parse(value, signature))
        return bad(err, "server-final-message");
    if (CRYPTO_memcmp(signature, c->server_signature, sizeof signature) != 0)
        return err_set(err, ERR_SERVER_REJECTED,
                       "the server did not prove that it knows our password");
    return true;
}
