#include "auth/md5.h"

#include <openssl/crypto.h>

/* out = "md5" + hex(MD5(a, b)) */
static bool md5_text(char out[MD5_TEXT_BYTES], struct slice a, struct slice b)
{
    uint8_t sum[MD5_BYTES];
    struct slice parts[] = { a, b };
    struct buf text = { 0 };
    bool done = hash_md5(sum, parts, 2);
    buf_add_str(&text, "md5");
    hex_print(slice_of(sum, sizeof sum), &text);
    done = done && !text.failed;
    if (done)
        memcpy(out, text.at, MD5_TEXT_BYTES);
    else
        memset(out, 0, MD5_TEXT_BYTES);
    buf_wipe(&text);
    OPENSSL_cleanse(sum, sizeof sum);
    return done;
}

bool md5_verifier_parse(struct md5_verifier *v, struct slice text, struct err *err)
{
    uint8_t sum[MD5_BYTES];
    if (!slice_starts(text, "md5") || !hex_parse(slice_after(text, 3), sum, sizeof sum))
        return err_set(err, ERR_CONFIG, "an md5 verifier is \"md5\" and 32 hexadecimal digits");
    for (size_t i = 0; i < sizeof v->text; i++) v->text[i] = ascii_lower(text.at[i]);
    OPENSSL_cleanse(sum, sizeof sum);
    return true;
}

bool md5_verifier_make(struct md5_verifier *v, struct slice password, struct slice user)
{
    return md5_text(v->text, password, user);
}

bool md5_verifier_check(const struct md5_verifier *v, struct slice password, struct slice user)
{
    struct md5_verifier other;
    bool equal = md5_verifier_make(&other, password, user) &&
                 CRYPTO_memcmp(other.text, v->text, sizeof v->text) == 0;
    OPENSSL_cleanse(&other, sizeof other);
    return equal;
}

bool md5_respond(char out[MD5_TEXT_BYTES], const struct md5_verifier *v,
                 const uint8_t salt[MD5_SALT_BYTES])
{
    return md5_text(out, slice_of(v->text + 3, 2 * MD5_BYTES), slice_of(salt, MD5_SALT_BYTES));
}
