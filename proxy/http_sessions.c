#include "proxy/http_sessions.h"

#include <openssl/crypto.h>

static void end(struct http_session *one) { OPENSSL_cleanse(one, sizeof *one); }

static bool is_over(const struct http_session *one, uint64_t now_ms)
{
    return now_ms - one->used_ms >= HTTP_SESSION_IDLE_MS ||
           now_ms - one->opened_ms >= HTTP_SESSION_LIFE_MS;
}

static void add_part(struct slice *parts, size_t *n, const void *at, size_t len)
{
    parts[(*n)++] = slice_of(at, len);
}

bool http_proof_of(const struct user *user, uint8_t proof[SHA256_BYTES])
{
    struct slice parts[8];
    size_t n = 0;
    add_part(parts, &n, &user->methods, sizeof user->methods);
    add_part(parts, &n, user->name.at, user->name.len);
    if (user->scram) {
        add_part(parts, &n, user->scram->stored_key, sizeof user->scram->stored_key);
        add_part(parts, &n, user->scram->salt.bytes, user->scram->salt.len);
    }
    if (user->digest) add_part(parts, &n, user->digest->inner, sizeof user->digest->inner);
    if (user->md5) add_part(parts, &n, user->md5, sizeof *user->md5);
    return hash_sha256(proof, parts, n);
}

/* The slot for a new session of this user: his oldest when he has many, else a free one, else the
 * one used longest ago. */
static struct http_session *slot_for(struct http_sessions *s, struct slice user, uint64_t now_ms)
{
    struct http_session *idlest = NULL, *idlest_own = NULL, *spare = NULL;
    unsigned own = 0;
    for (size_t i = 0; i < HTTP_SESSIONS_MAX; i++) {
        struct http_session *one = &s->all[i];
        if (one->user[0] && is_over(one, now_ms)) end(one);
        if (!one->user[0]) {
            spare = one;
            continue;
        }
        if (!idlest || one->used_ms < idlest->used_ms) idlest = one;
        if (!slice_is(user, one->user)) continue;
        own++;
        if (!idlest_own || one->used_ms < idlest_own->used_ms) idlest_own = one;
    }
    if (own >= HTTP_SESSIONS_OF_USER_MAX) return idlest_own;
    return spare ? spare : idlest;
}

bool http_sessions_open(struct http_sessions *s, const struct user *user, uint64_t now_ms,
                        const uint8_t random[HTTP_TOKEN_RANDOM_BYTES],
                        char token[HTTP_TOKEN_TEXT_BYTES])
{
    struct http_session fresh = { .opened_ms = now_ms, .used_ms = now_ms };
    if (user->name.len == 0 || user->name.len > USER_NAME_MAX_BYTES) return false;
    for (size_t i = 0; i < HTTP_TOKEN_RANDOM_BYTES; i++) {
        token[2 * i] = "0123456789abcdef"[random[i] >> 4];
        token[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    token[HTTP_TOKEN_TEXT_BYTES - 1] = '\0';
    struct slice text = slice_str(token);
    if (!hash_sha256(fresh.token, &text, 1) || !http_proof_of(user, fresh.proof)) return false;
    memcpy(fresh.user, user->name.at, user->name.len);
    *slot_for(s, user->name, now_ms) = fresh;
    return true;
}

/* All are looked at, so that the time taken tells nothing. */
static struct http_session *find(struct http_sessions *s, struct slice token)
{
    uint8_t hash[SHA256_BYTES];
    struct http_session *found = NULL;
    if (token.len != HTTP_TOKEN_TEXT_BYTES - 1 || !hash_sha256(hash, &token, 1)) return NULL;
    for (size_t i = 0; i < HTTP_SESSIONS_MAX; i++)
        if (CRYPTO_memcmp(s->all[i].token, hash, sizeof hash) == 0 && s->all[i].user[0])
            found = &s->all[i];
    return found;
}

const struct user *http_sessions_find(struct http_sessions *s, struct slice token,
                                      const struct users *users, uint64_t now_ms)
{
    uint8_t proof[SHA256_BYTES];
    struct http_session *one = find(s, token);
    if (!one) return NULL;
    const struct user *user = users_find(users, slice_str(one->user));
    if (is_over(one, now_ms) || !user || !http_proof_of(user, proof) ||
        CRYPTO_memcmp(proof, one->proof, sizeof proof) != 0) {
        end(one);
        return NULL;
    }
    one->used_ms = now_ms;
    return user;
}

void http_sessions_close(struct http_sessions *s, struct slice token)
{
    struct http_session *one = find(s, token);
    if (one) end(one);
}
