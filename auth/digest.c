#include "auth/digest.h"

#include <openssl/crypto.h>

bool digest_verifier_parse(struct digest_verifier *v, struct slice text, struct err *err)
{
    enum { PREFIX = 7, HEX = 2 * SHA256_BYTES };
    struct slice rest = slice_after(text, PREFIX);
    struct slice salt = slice_after(rest, HEX + 1);
    *v = (struct digest_verifier){ .salt_len = salt.len / 2 };
    if (!slice_starts(text, "sha256|") || rest.len <= HEX || rest.at[HEX] != '|')
        return err_set(err, ERR_CONFIG, "a digest verifier looks like sha256|digest|salt");
    if (!hex_parse(slice_of(rest.at, HEX), v->inner, sizeof v->inner))
        return err_set(err, ERR_CONFIG, "the digest of a sha256 verifier is 64 hexadecimal digits");
    if (v->salt_len < 1 || v->salt_len > sizeof v->salt || !hex_parse(salt, v->salt, v->salt_len))
        return err_set(err, ERR_CONFIG,
                       "the salt of a sha256 verifier is 2 to %d hexadecimal digits",
                       2 * DIGEST_SALT_MAX_BYTES);
    return true;
}

void digest_verifier_print(const struct digest_verifier *v, struct buf *out)
{
    buf_add_str(out, "sha256|");
    hex_print(slice_of(v->inner, sizeof v->inner), out);
    buf_add_u8(out, '|');
    hex_print(slice_of(v->salt, v->salt_len), out);
}

bool digest_verifier_make(struct digest_verifier *v, struct slice password, struct slice salt)
{
    *v = (struct digest_verifier){ .salt_len = salt.len };
    if (salt.len < 1 || salt.len > sizeof v->salt) return false;
    memcpy(v->salt, salt.at, salt.len);
    struct slice parts[] = { password, salt };
    return hash_sha256(v->inner, parts, 2);
}

bool digest_verifier_check(const struct digest_verifier *v, struct slice password)
{
    struct digest_verifier other;
    bool equal = digest_verifier_make(&other, password, slice_of(v->salt, v->salt_len)) &&
                 CRYPTO_memcmp(other.inner, v->inner, sizeof v->inner) == 0;
    OPENSSL_cleanse(&other, sizeof other);
    return equal;
}

/* out = HMAC(key, purpose, NUL, user) */
static bool derive_for(uint8_t out[SHA256_BYTES], struct slice key, const char *purpose,
                       struct slice user)
{
    struct slice parts[] = { slice_of(purpose, strlen(purpose) + 1), user };
    return hash_hmac(out, key, parts, 2);
}

bool digest_stable_salt(uint8_t salt[DIGEST_SALT_BYTES], struct slice key, struct slice user)
{
    _Static_assert((int)DIGEST_SALT_BYTES == (int)SHA256_BYTES, "the salt is one whole sum");
    return derive_for(salt, key, "digest salt", user);
}

bool digest_verifier_mock(struct digest_verifier *v, struct slice key, struct slice user)
{
    *v = (struct digest_verifier){ .salt_len = DIGEST_SALT_BYTES };
    return digest_stable_salt(v->salt, key, user) && derive_for(v->inner, key, "digest", user);
}

bool digest_respond(uint8_t out[SHA256_BYTES], const struct digest_verifier *v,
                    struct slice server_nonce, struct slice client_nonce)
{
    struct slice parts[] = { slice_of(v->inner, sizeof v->inner), server_nonce, client_nonce };
    return hash_sha256(out, parts, 3);
}
