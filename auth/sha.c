#include "auth/sha.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void hex_encode(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = 0;
}

bool sha256(struct slice bytes, uint8_t out[SHA256_BYTES])
{
    return EVP_Digest(bytes.at, bytes.len, out, NULL, EVP_sha256(), NULL) == 1;
}

bool sha256_hex(struct slice bytes, char out[SHA256_HEX_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    if (!sha256(bytes, digest)) return false;
    hex_encode(digest, sizeof digest, out);
    return true;
}

bool sha1_hex(struct slice bytes, char out[SHA1_HEX_BYTES])
{
    uint8_t digest[20];
    if (EVP_Digest(bytes.at, bytes.len, digest, NULL, EVP_sha1(), NULL) != 1) return false;
    hex_encode(digest, sizeof digest, out);
    return true;
}

bool hmac_sha256(struct slice key, struct slice bytes, uint8_t out[SHA256_BYTES])
{
    uint8_t mac[SHA256_BYTES];
    bool ok = key.len <= INT32_MAX && HMAC(EVP_sha256(), key.at, (int)key.len,
                                           (const uint8_t *)bytes.at, bytes.len, mac, NULL) != NULL;
    if (ok) memcpy(out, mac, sizeof mac);
    OPENSSL_cleanse(mac, sizeof mac);
    return ok;
}
