#include "auth/secret.h"

#include "auth/hash.h"

#include <openssl/crypto.h>

struct secret {
    size_t len;
    char bytes[];
};

struct secret *secret_new(struct slice bytes)
{
    if (bytes.len > SIZE_MAX - sizeof(struct secret)) return NULL;
    /* OpenSSL's secure heap, where there is one and as long as it has room: no core dump has it,
     * nothing pages it out. */
    struct secret *s = OPENSSL_secure_malloc(sizeof *s + bytes.len);
    if (!s) s = OPENSSL_malloc(sizeof *s + bytes.len);
    if (!s) return NULL;
    s->len = bytes.len;
    if (bytes.len) memcpy(s->bytes, bytes.at, bytes.len);
    return s;
}

void secret_free(struct secret *s)
{
    if (!s) return;
    OPENSSL_secure_clear_free(s, sizeof *s + s->len);
}

struct slice secret_bytes(const struct secret *s)
{
    return s ? slice_of(s->bytes, s->len) : slice_of(NULL, 0);
}

bool secret_equals(const struct secret *s, struct slice bytes)
{
    /* Comparing digests makes both sides equally long, so a length is not told either. */
    uint8_t ours[SHA256_BYTES], theirs[SHA256_BYTES];
    struct slice own = secret_bytes(s);
    bool hashed = hash_sha256(ours, &own, 1) && hash_sha256(theirs, &bytes, 1);
    bool equal = hashed && CRYPTO_memcmp(ours, theirs, sizeof ours) == 0;
    OPENSSL_cleanse(ours, sizeof ours);
    OPENSSL_cleanse(theirs, sizeof theirs);
    return equal;
}
