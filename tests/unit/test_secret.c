/* secret, hash, digest, md5: what is stored, and the two simple challenges. */
#include "unit/unit.h"

#include "auth/digest.h"
#include "auth/md5.h"
#include "auth/secret.h"

static void secrets_compare_whole(void **state)
{
    (void)state;
    struct secret *s = secret_new(slice_of("pass\0word", 9)), *none = secret_new(slice_str(""));
    assert_true(secret_equals(s, slice_of("pass\0word", 9)));
    assert_false(secret_equals(s, slice_of("pass\0worD", 9)));
    assert_false(secret_equals(s, slice_str("pass")));
    assert_false(secret_equals(s, slice_str("")));
    assert_true(secret_equals(none, slice_str("")));
    assert_true(slice_eq(secret_bytes(s), slice_of("pass\0word", 9)));
    assert_int_equal(secret_bytes(NULL).len, 0);
    secret_free(s);
    secret_free(none);
    secret_free(NULL);
}

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    uint8_t expected[64];
    assert_true(hex_parse(slice_str(hex), expected, len));
    assert_memory_equal(bytes, expected, len);
}

/* RFC 4231, test cases 2 and 6 (a key longer than a block); RFC 7914, section 11. */
static void hmac_and_pbkdf2_have_their_rfc_values(void **state)
{
    (void)state;
    uint8_t sum[SHA256_BYTES];
    struct slice two[] = { slice_str("what do ya want "), slice_str("for nothing?") };
    assert_true(hash_hmac(sum, slice_str("Jefe"), two, 2));
    assert_hex(sum, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof key);
    struct slice six = slice_str("Test Using Larger Than Block-Size Key - Hash Key First");
    assert_true(hash_hmac(sum, slice_of(key, sizeof key), &six, 1));
    assert_hex(sum, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_true(hash_pbkdf2(sum, slice_str("passwd"), slice_str("salt"), 1));
    assert_hex(sum, 32, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    assert_false(hash_pbkdf2(sum, slice_str("passwd"), slice_str("salt"), 0));
}

static const char digest_text[] =
    "sha256|821708135fcc42eb3afda85286dee0ed15c2c461d000291609f77eb113073ec2|"
    "c721bff5d9042cf541ff7b9d48fa8a6e545c19a763e3710151f9513038b0f6c6";

/* Redshift developer guide, CREATE USER, and the drivers' formula on top of it. */
static void digest_has_redshifts_values(void **state)
{
    (void)state;
    struct digest_verifier v, made;
    struct err err;
    struct buf text = { 0 };
    assert_true(digest_verifier_parse(&v, slice_str(digest_text), &err));
    assert_int_equal(v.salt_len, 32);
    assert_true(
        digest_verifier_make(&made, slice_str("Mypassword1"), slice_of(v.salt, v.salt_len)));
    assert_memory_equal(made.inner, v.inner, sizeof v.inner);
    assert_true(digest_verifier_check(&v, slice_str("Mypassword1")));
    assert_false(digest_verifier_check(&v, slice_str("Mypassword2")));
    digest_verifier_print(&v, &text);
    assert_true(slice_is(buf_slice(&text), digest_text));
    buf_fini(&text);

    uint8_t nonce[32], response[SHA256_BYTES];
    for (int i = 0; i < 32; i++) nonce[i] = (uint8_t)i;
    assert_true(
        digest_respond(response, &v, slice_of(nonce, sizeof nonce), slice_str("1700000000000")));
    assert_hex(response, 32, "a84ad47047b6adc7ac3f67cca16a2d939230c157d71bd6bb79e3dd38979bf319");
}

static void odd_digest_verifiers_are_refused(void **state)
{
    (void)state;
    struct digest_verifier v;
    struct err err;
    for (size_t len = 0; len < 74; len++)
        assert_false(digest_verifier_parse(&v, slice_of(digest_text, len), &err));
    for (size_t len = 74; len < sizeof digest_text; len++)
        assert_int_equal(digest_verifier_parse(&v, slice_of(digest_text, len), &err), len % 2 == 0);
    char text[1024];
    memset(text, 'a', sizeof text);
    memcpy(text, digest_text, 72);
    assert_true(digest_verifier_parse(&v, slice_of(text, 72 + 2 * DIGEST_SALT_MAX_BYTES), &err));
    assert_false(digest_verifier_parse(&v, slice_of(text, 74 + 2 * DIGEST_SALT_MAX_BYTES), &err));
    text[80] = 'g';
    assert_false(digest_verifier_parse(&v, slice_of(text, 100), &err));
    assert_false(digest_verifier_make(&v, slice_str("x"), slice_str("")));
}

/* Redshift developer guide, CREATE USER: md5 of 'ez' and 'user1'. */
static void md5_has_redshifts_value(void **state)
{
    (void)state;
    struct md5_verifier v, parsed;
    struct err err;
    char response[MD5_TEXT_BYTES];
    assert_true(md5_verifier_make(&v, slice_str("ez"), slice_str("user1")));
    assert_memory_equal(v.text, "md5153c434b4b77c89e6b94f12c5393af5b", MD5_TEXT_BYTES);
    assert_true(md5_verifier_check(&v, slice_str("ez"), slice_str("user1")));
    assert_false(md5_verifier_check(&v, slice_str("ez"), slice_str("user2")));
    assert_true(
        md5_verifier_parse(&parsed, slice_str("md5153C434B4B77C89E6B94F12C5393AF5B"), &err));
    assert_memory_equal(parsed.text, v.text, sizeof v.text);
    assert_false(md5_verifier_parse(&v, slice_str("md5153c434b4b77c89e6b94f12c5393af5"), &err));
    assert_false(md5_verifier_parse(&v, slice_str("md5153c434b4b77c89e6b94f12c5393af5g"), &err));
    assert_false(md5_verifier_parse(&v, slice_str("md5153c434b4b77c89e6b94f12c5393af5bb"), &err));
    /* A salt with NUL bytes is four bytes all the same. */
    assert_true(md5_respond(response, &parsed, (const uint8_t *)"\0\1\0\2"));
    assert_memory_equal(response, "md516d1847b6bb8f8507cc822d87556127b", MD5_TEXT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_compare_whole),
        cmocka_unit_test(hmac_and_pbkdf2_have_their_rfc_values),
        cmocka_unit_test(digest_has_redshifts_values),
        cmocka_unit_test(odd_digest_verifiers_are_refused),
        cmocka_unit_test(md5_has_redshifts_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
