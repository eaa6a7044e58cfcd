/* jws: signed tokens and their public keys, for tests. For one program each: the functions are
 * static. */
#ifndef SLUICE_TESTS_JWS_H
#define SLUICE_TESTS_JWS_H

#include "auth/base64url.h"
#include "unit/unit.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>

/* A number of a key as base64url: RSA's "n" and "e" (bytes 0), a point's "qx" and "qy" (bytes 48).
 */
static void jws_add_number(struct buf *out, EVP_PKEY *key, const char *name, int bytes)
{
    BIGNUM *number = NULL;
    uint8_t raw[512];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    int n = bytes ? bytes : BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, raw, n), n);
    base64url_encode(out, slice_of(raw, (size_t)n));
    BN_free(number);
}

/* Appends '.' and the signature over what is in `token`: RS256, or ES384 for `ec`. */
static void jws_sign(struct buf *token, EVP_PKEY *key, bool ec)
{
    uint8_t signature[512];
    size_t n = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, NULL, ec ? EVP_sha384() : EVP_sha256(), NULL, key);
    assert_int_equal(EVP_DigestSign(context, signature, &n, (const uint8_t *)token->at, token->len),
                     1);
    EVP_MD_CTX_free(context);
    if (ec) { /* DER to r and s side by side */
        const uint8_t *der = signature;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)n);
        uint8_t raw[96];
        BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 48);
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 48, 48);
        ECDSA_SIG_free(pair);
        memcpy(signature, raw, n = sizeof raw);
    }
    buf_add_str(token, ".");
    base64url_encode(token, slice_of(signature, n));
}

#endif
