#include "auth/hash.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

static bool digest(const EVP_MD *type, uint8_t *out, size_t out_len, const struct slice *parts,
                   size_t count)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, type, NULL);
    for (size_t i = 0; done && i < count; i++)
        done = EVP_DigestUpdate(context, parts[i].at, parts[i].len);
    done = done && EVP_DigestFinal_ex(context, out, NULL);
    EVP_MD_CTX_free(context);
    if (!done) memset(out, 0, out_len);
    return done;
}

bool hash_sha256(uint8_t out[SHA256_BYTES], const struct slice *parts, size_t count)
{
    return digest(EVP_sha256(), out, SHA256_BYTES, parts, count);
}

bool hash_md5(uint8_t out[MD5_BYTES], const struct slice *parts, size_t count)
{
    return digest(EVP_md5(), out, MD5_BYTES, parts, count);
}

bool hash_hmac(uint8_t out[SHA256_BYTES], struct slice key, const struct slice *parts, size_t count)
{
    enum { BLOCK_BYTES = 64, PARTS_MAX = 4 };
    uint8_t pad[BLOCK_BYTES] = { 0 }, inner[SHA256_BYTES];
    struct slice all[PARTS_MAX + 1];
    bool done = count <= PARTS_MAX;

    if (key.len > sizeof pad)
        done = done && hash_sha256(pad, &key, 1);
    else if (key.len)
        memcpy(pad, key.at, key.len);

    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36;
    all[0] = slice_of(pad, sizeof pad);
    for (size_t i = 0; done && i < count; i++) all[i + 1] = parts[i];
    done = done && hash_sha256(inner, all, count + 1);

    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    all[1] = slice_of(inner, sizeof inner);
    done = done && hash_sha256(out, all, 2);

    OPENSSL_cleanse(pad, sizeof pad);
    OPENSSL_cleanse(inner, sizeof inner);
    if (!done) memset(out, 0, SHA256_BYTES);
    return done;
}

bool hash_pbkdf2(uint8_t out[SHA256_BYTES], struct slice password, struct slice salt,
                 uint32_t iterations)
{
    /* OpenSSL counts in int here. */
    bool done = password.len <= INT_MAX && salt.len <= INT_MAX && iterations >= 1 &&
                iterations <= INT_MAX &&
                PKCS5_PBKDF2_HMAC(password.len ? password.at : "", (int)password.len,
                                  (const unsigned char *)salt.at, (int)salt.len, (int)iterations,
                                  EVP_sha256(), SHA256_BYTES, out) == 1;
    if (!done) memset(out, 0, SHA256_BYTES);
    return done;
}

void hex_print(struct slice bytes, struct buf *out)
{
    if (bytes.len >= BUF_CAP_BYTES / 2) {
        out->failed = true;
        return;
    }
    char *at = buf_extend(out, bytes.len * 2 + 1);
    if (!at) return;
    hex_encode((const uint8_t *)bytes.at, bytes.len, at);
    buf_truncate(out, out->len - 1); /* its NUL */
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct slice text, uint8_t *out, size_t len)
{
    if (text.len / 2 != len || text.len % 2) return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
