#include "auth/signature.h"

#include "auth/base64url.h"
#include "protocol/json.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

struct signature_key {
    EVP_PKEY *key;
    enum signature_algorithm algorithm;
    char id[256];
};

struct signature_keys {
    size_t count;
    struct signature_key at[SIGNATURE_MAX_KEYS];
};

/* ES: half the size of a raw signature, and of a coordinate. */
static const struct {
    const char *name, *curve, *group;
    size_t bytes;
} algorithms[] = {
    [SIGNATURE_RS256] = { "RS256", NULL, NULL, 0 },
    [SIGNATURE_ES256] = { "ES256", "P-256", "P-256", 32 },
    [SIGNATURE_ES384] = { "ES384", "P-384", "P-384", 48 },
};

enum { ALGORITHM_COUNT = sizeof algorithms / sizeof *algorithms };

bool signature_algorithm_parse(struct slice name, enum signature_algorithm *out)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (!slice_is(name, algorithms[i].name)) continue;
        *out = (enum signature_algorithm)i;
        return true;
    }
    return false;
}

/* ---- keys --------------------------------------------------------------------------------------
 */

static struct slice text_member(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, slice_str(name));
    return v ? json_string(v) : (struct slice){ 0 };
}

static bool decode_member(const struct json_value *jwk, const char *name, struct buf *out)
{
    struct slice text = text_member(jwk, name);
    return text.len > 0 && base64url_decode(out, text);
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

/* On the curve, and not at infinity; for RSA, an odd modulus of sane form. */
static bool is_sound(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool ok = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return ok;
}

static EVP_PKEY *rsa_key(const struct json_value *jwk)
{
    struct buf n = { 0 }, e = { 0 };
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = NULL, *exponent = NULL;
    if (builder && decode_member(jwk, "n", &n) && decode_member(jwk, "e", &e) && n.len <= 1024 &&
        e.len <= 8) {
        modulus = BN_bin2bn((const uint8_t *)n.at, (int)n.len, NULL);
        exponent = BN_bin2bn((const uint8_t *)e.at, (int)e.len, NULL);
    }
    if (modulus && exponent && BN_num_bits(modulus) >= 2048 && BN_is_odd(exponent) &&
        !BN_is_one(exponent) && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = key_from("RSA", builder);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(builder);
    buf_fini(&n);
    buf_fini(&e);
    return key;
}

static EVP_PKEY *ec_key(const struct json_value *jwk, enum signature_algorithm algorithm)
{
    size_t bytes = algorithms[algorithm].bytes;
    struct buf point = { 0 };
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    buf_add_u8(&point, 4); /* uncompressed: 04 x y (SEC 1, section 2.3.3) */
    bool ok = builder && decode_member(jwk, "x", &point) && point.len == 1 + bytes &&
              decode_member(jwk, "y", &point) && point.len == 1 + 2 * bytes;
    if (ok &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                        algorithms[algorithm].group, 0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len))
        key = key_from("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    buf_fini(&point);
    return key;
}

/* The algorithm that a key is for: by its kind, and its `alg` must not say otherwise. */
static bool algorithm_of(const struct json_value *jwk, enum signature_algorithm *out)
{
    struct slice kind = text_member(jwk, "kty"), curve = text_member(jwk, "crv");
    struct slice use = text_member(jwk, "use"), named = text_member(jwk, "alg");
    if (use.len > 0 && !slice_is(use, "sig")) return false;
    bool found = slice_is(kind, "RSA");
    if (found) *out = SIGNATURE_RS256;
    for (size_t i = SIGNATURE_ES256; i < ALGORITHM_COUNT && slice_is(kind, "EC"); i++) {
        if (!slice_is(curve, algorithms[i].curve)) continue;
        *out = (enum signature_algorithm)i;
        found = true;
    }
    return found && (named.len == 0 || slice_is(named, algorithms[*out].name));
}

static bool add_key(struct signature_keys *keys, const struct json_value *jwk, struct err *err)
{
    enum signature_algorithm algorithm;
    struct slice id = text_member(jwk, "kid");
    if (json_type(jwk) != JSON_OBJECT || !algorithm_of(jwk, &algorithm)) return true;
    if (keys->count == SIGNATURE_MAX_KEYS)
        return err_set(err, ERR_CONFIG, "the key set has more than %d keys", SIGNATURE_MAX_KEYS);
    struct signature_key *key = &keys->at[keys->count];
    if (id.len == 0 || id.len >= sizeof key->id)
        return err_set(err, ERR_CONFIG, "a key of the set has no usable kid");
    if (signature_keys_find(keys, id))
        return err_set(err, ERR_CONFIG, "a kid stands twice in the key set");
    memcpy(key->id, id.at, id.len);
    key->id[id.len] = 0;
    key->algorithm = algorithm;
    key->key = algorithm == SIGNATURE_RS256 ? rsa_key(jwk) : ec_key(jwk, algorithm);
    keys->count++;
    bool ok = key->key && is_sound(key->key);
    ERR_clear_error();
    return ok || err_set(err, ERR_CONFIG, "key %.*s of the set is malformed or weak",
                         id.len < 64 ? (int)id.len : 64, id.at);
}

struct signature_keys *signature_keys_parse(struct slice jwks, struct err *err)
{
    struct json_error position;
    struct json_doc *doc = json_parse(jwks, SIGNATURE_KEYS_MAX_BYTES, &position);
    struct signature_keys *keys = calloc(1, sizeof *keys);
    if (!doc || !keys) {
        err_set(err, ERR_CONFIG, "the key set is not JSON");
        goto fail;
    }
    const struct json_value *list = json_member(json_root(doc), slice_str("keys"));
    if (!list || json_type(list) != JSON_ARRAY) {
        err_set(err, ERR_CONFIG, "the key set has no array \"keys\"");
        goto fail;
    }
    for (const struct json_value *v = json_first(list); v; v = json_next(v))
        if (!add_key(keys, v, err)) goto fail;
    if (keys->count == 0) {
        err_set(err, ERR_CONFIG, "the key set has no RS256, ES256 or ES384 key");
        goto fail;
    }
    json_free(doc);
    return keys;
fail:
    json_free(doc);
    signature_keys_free(keys);
    return NULL;
}

void signature_keys_free(struct signature_keys *keys)
{
    if (!keys) return;
    for (size_t i = 0; i < keys->count; i++) EVP_PKEY_free(keys->at[i].key);
    free(keys);
}

const struct signature_key *signature_keys_find(const struct signature_keys *keys,
                                                struct slice key_id)
{
    for (size_t i = 0; i < keys->count; i++)
        if (slice_is(key_id, keys->at[i].id)) return &keys->at[i];
    return NULL;
}

/* ---- verifying ---------------------------------------------------------------------------------
 */

/* RFC 7518 section 3.4: r and s side by side; OpenSSL wants them as a DER sequence. */
static int der_of(struct slice raw, uint8_t **der)
{
    size_t half = raw.len / 2;
    int len = -1;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const uint8_t *)raw.at, (int)half, NULL);
    BIGNUM *s = BN_bin2bn((const uint8_t *)raw.at + half, (int)half, NULL);
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        r = s = NULL; /* the pair's now */
        len = i2d_ECDSA_SIG(pair, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len;
}

static bool verify(const struct signature_key *key, const EVP_MD *digest, struct slice bytes,
                   const uint8_t *signature, size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
              EVP_DigestVerify(context, signature, len, (const uint8_t *)bytes.at, bytes.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* a bad signature must not be taken for another connection's TLS error */
    return ok;
}

bool signature_verify(const struct signature_key *key, enum signature_algorithm algorithm,
                      struct slice bytes, struct slice signature)
{
    if (key->algorithm != algorithm) return false;
    if (algorithm == SIGNATURE_RS256) {
        if (signature.len != (size_t)EVP_PKEY_get_size(key->key)) return false;
        return verify(key, EVP_sha256(), bytes, (const uint8_t *)signature.at, signature.len);
    }
    if (signature.len != 2 * algorithms[algorithm].bytes) return false;
    uint8_t *der = NULL;
    int len = der_of(signature, &der);
    bool ok = len > 0 && verify(key, algorithm == SIGNATURE_ES384 ? EVP_sha384() : EVP_sha256(),
                                bytes, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}
