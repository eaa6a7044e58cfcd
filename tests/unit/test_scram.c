/* scram: the RFC's vector, PostgreSQL's verifiers, both roles against each other, hostile text. */
#include "unit/unit.h"

#include "auth/base64.h"
#include "auth/scram.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 7677, section 3: user "user", password "pencil". */
static const char rfc_client_nonce[] = "rOprNGfwEbeRWgbNEkqO";
static const char rfc_server_nonce[] = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char rfc_client_first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char rfc_server_first[] =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char rfc_client_final[] =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char rfc_server_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/* "correct horse battery staple", made by PostgreSQL 15.20. */
static const char postgres_verifier[] =
    "SCRAM-SHA-256$4096:2QmXRmBenKf81MsHn7cxlw==$Z9EpIhpibJuRhEuzP2sxT6yppTH1Cd7S2TBKT5M+yH0=:"
    "tfdtlq/yqOhxFMGkE9idCNfrMhmDysVnMlPfusn0HXA=";

static const char hash[32] = "certificate hash of 32 bytes....";

static struct scram_verifier rfc_verifier(void)
{
    uint8_t salt[SCRAM_SALT_MAX_BYTES];
    size_t len;
    struct scram_verifier v;
    assert_true(base64_parse(slice_str("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt, &len));
    assert_true(scram_verifier_make(&v, slice_str("pencil"), slice_of(salt, len), 4096));
    return v;
}

static void assert_text(const struct buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->at, text, b->len);
}

static void server_speaks_rfc_7677(void **state)
{
    (void)state;
    struct scram_verifier v = rfc_verifier();
    struct scram_server s;
    struct buf out = { 0 };
    struct err err;
    scram_server_begin(&s, &v, slice_str(""), slice_str(rfc_server_nonce));
    assert_int_equal(
        scram_server_first(&s, slice_str("SCRAM-SHA-256"), slice_str(rfc_client_first), &out, &err),
        SCRAM_OK);
    assert_text(&out, rfc_server_first);
    buf_truncate(&out, 0);
    assert_int_equal(scram_server_final(&s, slice_str(rfc_client_final), &out, &err), SCRAM_OK);
    assert_text(&out, rfc_server_final);
    buf_fini(&out);
    scram_server_fini(&s);
}

static void client_speaks_rfc_7677(void **state)
{
    (void)state;
    struct scram_client c;
    struct scram_keys keys;
    struct buf out = { 0 };
    struct err err;
    scram_client_begin(&c, 'n', slice_str(""), slice_str("user"), slice_str(rfc_client_nonce));
    scram_client_first(&c, &out);
    assert_text(&out, rfc_client_first);
    assert_true(scram_client_challenge(&c, slice_str(rfc_server_first), &err));
    assert_int_equal(c.iterations, 4096);
    assert_true(scram_keys_derive(&keys, slice_str("pencil"), slice_of(c.salt.bytes, c.salt.len),
                                  c.iterations));
    buf_truncate(&out, 0);
    assert_true(scram_client_final(&c, &keys, &out, &err));
    assert_text(&out, rfc_client_final);
    assert_true(scram_client_verify(&c, slice_str(rfc_server_final), &err));
    assert_false(
        scram_client_verify(&c, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="), &err));
    assert_false(
        scram_client_verify(&c, slice_str("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &err));
    assert_false(scram_client_verify(&c, slice_str("e=other-error"), &err));
    assert_false(scram_client_verify(&c, slice_str(""), &err));
    buf_fini(&out);
    scram_client_fini(&c);
}

/* ---- verifiers ---------------------------------------------------------------------------- */

static void postgres_verifier_is_understood(void **state)
{
    (void)state;
    struct scram_verifier v, again;
    struct err err;
    struct buf text = { 0 };
    assert_true(scram_verifier_parse(&v, slice_str(postgres_verifier), &err));
    assert_true(scram_verifier_check(&v, slice_str("correct horse battery staple")));
    assert_false(scram_verifier_check(&v, slice_str("correct horse battery stapl")));
    assert_false(scram_verifier_check(&v, slice_str("")));
    scram_verifier_print(&v, &text);
    assert_text(&text, postgres_verifier);
    assert_true(scram_verifier_make(&again, slice_str("correct horse battery staple"),
                                    slice_of(v.salt.bytes, v.salt.len), v.iterations));
    assert_memory_equal(again.stored_key, v.stored_key, sizeof v.stored_key);
    assert_memory_equal(again.server_key, v.server_key, sizeof v.server_key);
    buf_fini(&text);
}

static bool parses(const char *before, const char *part, const char *after)
{
    char text[32768];
    struct scram_verifier v;
    struct err err;
    snprintf(text, sizeof text, "%s%s%s", before, part, after);
    return scram_verifier_parse(&v, slice_str(text), &err);
}

/* CVE-2019-10164: a stored verifier with long parts overflowed the stack. */
static void cve_2019_10164_long_or_odd_verifiers_are_refused(void **state)
{
    (void)state;
    static const char keys[] = "$Z9EpIhpibJuRhEuzP2sxT6yppTH1Cd7S2TBKT5M+yH0=:"
                               "tfdtlq/yqOhxFMGkE9idCNfrMhmDysVnMlPfusn0HXA=";
    static const char scheme[] = "SCRAM-SHA-256$";
    char long_text[10001], after_count[256];
    memset(long_text, 'A', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    snprintf(after_count, sizeof after_count, ":2QmXRmBenKf81MsHn7cxlw==%s", keys);

    assert_true(parses(scheme, "4096", after_count));
    const char *counts[] = { "0",     "-1",    "2147483648", "4294967297", "1000001", "",
                             " 4096", "4096 ", "+1",         "04096",      "1e3",     long_text };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_false(parses(scheme, counts[i], after_count));
    assert_true(parses("SCRAM-SHA-256$4096:", "AAAA", keys));
    const char *salts[] = { "", "AAA", "AAA=A", "AA==AAAA", "AAAB====", "A A=", "AB==", long_text };
    for (size_t i = 0; i < sizeof salts / sizeof *salts; i++)
        assert_false(parses("SCRAM-SHA-256$4096:", salts[i], keys));
    assert_false(parses("SCRAM-SHA-256$4096:AAAA$", "AAAA", keys + 45));
    assert_false(parses("SCRAM-SHA-256$4096:AAAA$", long_text, keys + 45));
    const char *whole[] = { "",
                            "SCRAM-SHA-256",
                            "SCRAM-SHA-256$",
                            "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA",
                            "SCRAM-SHA-256$4096:AAAA$",
                            "$:$:",
                            long_text };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        assert_false(parses(whole[i], "", ""));
    for (size_t len = 0; len < sizeof postgres_verifier - 1; len++) {
        struct scram_verifier v;
        struct err err;
        assert_false(scram_verifier_parse(&v, slice_of(postgres_verifier, len), &err));
    }
}

static void mock_is_stable_and_fits_nobody(void **state)
{
    (void)state;
    struct scram_verifier a, b, c, d;
    uint8_t salt[SCRAM_SALT_BYTES];
    assert_true(scram_verifier_mock(&a, slice_str("key"), slice_str("ghost"), 4096));
    assert_true(scram_verifier_mock(&b, slice_str("key"), slice_str("ghost"), 4096));
    assert_true(scram_verifier_mock(&c, slice_str("key"), slice_str("ghos"), 4096));
    assert_true(scram_verifier_mock(&d, slice_str("kez"), slice_str("ghost"), 4096));
    assert_int_equal(a.salt.len, SCRAM_SALT_BYTES);
    assert_memory_equal(a.salt.bytes, b.salt.bytes, SCRAM_SALT_BYTES);
    assert_memory_not_equal(a.salt.bytes, c.salt.bytes, SCRAM_SALT_BYTES);
    assert_memory_not_equal(a.salt.bytes, d.salt.bytes, SCRAM_SALT_BYTES);
    assert_true(scram_stable_salt(salt, slice_str("key"), slice_str("ghost")));
    assert_memory_equal(salt, a.salt.bytes, sizeof salt);
    assert_false(scram_verifier_check(&a, slice_str("")));
    assert_false(scram_verifier_check(&a, slice_str("ghost")));
}

/* ---- both roles --------------------------------------------------------------------------- */

/* One exchange of our client with our server; what the server says in the end. */
static enum scram_result exchange(const char *password, char flag, const char *client_hash,
                                  const char *server_hash)
{
    struct scram_verifier v = rfc_verifier();
    struct scram_server s;
    struct scram_client c;
    struct scram_keys keys;
    struct buf to_server = { 0 }, to_client = { 0 };
    struct err err;
    scram_server_begin(&s, &v, slice_of(server_hash, server_hash ? sizeof hash : 0),
                       slice_str("3rfcNHYJY1ZVvWVs7j"));
    scram_client_begin(&c, flag, slice_of(client_hash, client_hash ? sizeof hash : 0),
                       slice_str("a,b=c"), slice_str("fyko+d2lbbFgONRv9qkxdawL"));
    scram_client_first(&c, &to_server);
    enum scram_result result = scram_server_first(&s, slice_str(scram_client_mechanism(&c)),
                                                  buf_slice(&to_server), &to_client, &err);
    if (result == SCRAM_OK) {
        assert_true(scram_client_challenge(&c, buf_slice(&to_client), &err));
        assert_true(scram_keys_derive(&keys, slice_str(password),
                                      slice_of(c.salt.bytes, c.salt.len), c.iterations));
        buf_truncate(&to_server, 0);
        buf_truncate(&to_client, 0);
        assert_true(scram_client_final(&c, &keys, &to_server, &err));
        result = scram_server_final(&s, buf_slice(&to_server), &to_client, &err);
        if (result == SCRAM_OK)
            assert_true(scram_client_verify(&c, buf_slice(&to_client), &err));
        else
            assert_int_equal(to_client.len, 0);
    }
    buf_fini(&to_server);
    buf_fini(&to_client);
    scram_server_fini(&s);
    scram_client_fini(&c);
    return result;
}

static void both_roles_agree(void **state)
{
    (void)state;
    char other[sizeof hash];
    memcpy(other, hash, sizeof other);
    other[31] ^= 1;
    assert_int_equal(exchange("pencil", 'n', NULL, NULL), SCRAM_OK);
    assert_int_equal(exchange("pencil", 'y', NULL, NULL), SCRAM_OK);
    assert_int_equal(exchange("pencil", 'n', NULL, hash), SCRAM_OK);
    assert_int_equal(exchange("pencil", 'p', hash, hash), SCRAM_OK);
    assert_int_equal(exchange("pencils", 'n', NULL, NULL), SCRAM_FAILED);
    assert_int_equal(exchange("pencils", 'p', hash, hash), SCRAM_FAILED);
    assert_int_equal(exchange("", 'n', NULL, NULL), SCRAM_FAILED);
    /* Somebody in the middle with another certificate, or who hid PLUS from the client. */
    assert_int_equal(exchange("pencil", 'p', other, hash), SCRAM_BAD);
    assert_int_equal(exchange("pencil", 'y', NULL, hash), SCRAM_BAD);
    assert_int_equal(exchange("pencil", 'p', hash, NULL), SCRAM_BAD);
}

static enum scram_result first(const char *mechanism, struct slice message, bool is_bound)
{
    struct scram_verifier v = rfc_verifier();
    struct scram_server s;
    struct buf out = { 0 };
    struct err err;
    scram_server_begin(&s, &v, slice_of(hash, is_bound ? sizeof hash : 0),
                       slice_str(rfc_server_nonce));
    enum scram_result result = scram_server_first(&s, slice_str(mechanism), message, &out, &err);
    assert_true((result == SCRAM_OK) == (out.len > 0));
    buf_fini(&out);
    scram_server_fini(&s);
    return result;
}

static void odd_client_first_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *message;
        bool is_bound;
        enum scram_result result;
    } cases[] = {
        { "SCRAM-SHA-256", "n,,n=,r=abc", false, SCRAM_OK },
        { "SCRAM-SHA-256", "n,,n=user,r=abc,x=later,Y=", false, SCRAM_OK },
        { "SCRAM-SHA-256", "n,,n=,r=abc", true, SCRAM_OK },
        { "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc", true, SCRAM_OK },
        { "SCRAM-SHA-256", "", false, SCRAM_BAD },
        { "SCRAM-SHA-256", ",,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,a=admin,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "nn,,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,r=abc,n=", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,m=ext,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=a c", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=a\x7f", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=a\xc3\xa9", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=abc,", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=abc,x", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "n,,n=,r=abc,=x", false, SCRAM_BAD },
        { "SCRAM-SHA-256", "y,,n=,r=abc", true, SCRAM_BAD },
        { "SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc", true, SCRAM_BAD },
        { "SCRAM-SHA-256-PLUS", "n,,n=,r=abc", true, SCRAM_BAD },
        { "SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=abc", true, SCRAM_BAD },
        { "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-1", "n,,n=,r=abc", false, SCRAM_BAD },
        { "SCRAM-SHA-256-PLU", "n,,n=,r=abc", true, SCRAM_BAD },
        { "", "n,,n=,r=abc", false, SCRAM_BAD },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(first(cases[i].mechanism, slice_str(cases[i].message), cases[i].is_bound),
                         cases[i].result);
    assert_int_equal(first("SCRAM-SHA-256", slice_of("n,,n=\0,r=abc", 12), false), SCRAM_BAD);

    char long_message[SCRAM_MESSAGE_MAX_BYTES + 2];
    int n = snprintf(long_message, sizeof long_message, "n,,n=,r=");
    memset(long_message + n, 'A', sizeof long_message - (size_t)n);
    assert_int_equal(first("SCRAM-SHA-256", slice_of(long_message, SCRAM_MESSAGE_MAX_BYTES), false),
                     SCRAM_OK);
    assert_int_equal(
        first("SCRAM-SHA-256", slice_of(long_message, SCRAM_MESSAGE_MAX_BYTES + 1), false),
        SCRAM_BAD);
}

static enum scram_result final(const char *message)
{
    struct scram_verifier v = rfc_verifier();
    struct scram_server s;
    struct buf out = { 0 };
    struct err err;
    scram_server_begin(&s, &v, slice_str(""), slice_str(rfc_server_nonce));
    assert_int_equal(
        scram_server_first(&s, slice_str("SCRAM-SHA-256"), slice_str(rfc_client_first), &out, &err),
        SCRAM_OK);
    enum scram_result result = scram_server_final(&s, slice_str(message), &out, &err);
    buf_fini(&out);
    scram_server_fini(&s);
    return result;
}

static void odd_client_final_is_refused(void **state)
{
    (void)state;
#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert_int_equal(final("c=biws,r=" NONCE ",p=" PROOF), SCRAM_OK);
    const char *failed[] = {
        /* An extension is part of what is proved, so this proof is for something else. */
        "c=biws,r=" NONCE ",x=1,p=" PROOF,
        "c=biws,r=" NONCE ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++)
        assert_int_equal(final(failed[i]), SCRAM_FAILED);
    const char *odd[] = {
        "",
        "c=biws",
        "c=eSws,r=" NONCE ",p=" PROOF,
        "c=,r=" NONCE ",p=" PROOF,
        "r=" NONCE ",c=biws,p=" PROOF,
        "c=biws,r=" NONCE "x,p=" PROOF,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF,
        "c=biws,r=" NONCE,
        "c=biws,r=" NONCE ",",
        "c=biws,r=" NONCE ",p=",
        "c=biws,r=" NONCE ",p=AAAA",
        "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=",
        "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",
        "c=biws,r=" NONCE ",p=" PROOF ",",
        "c=biws,r=" NONCE ",p=" PROOF ",x=1",
        "c=biws,r=" NONCE ",p=" PROOF " ",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(final(odd[i]), SCRAM_BAD);
#undef NONCE
#undef PROOF
}

/* ---- a hostile server --------------------------------------------------------------------- */

static bool challenge(const char *text)
{
    struct scram_client c;
    struct err err;
    scram_client_begin(&c, 'n', slice_str(""), slice_str(""), slice_str("ours"));
    bool taken = scram_client_challenge(&c, slice_str(text), &err);
    scram_client_fini(&c);
    return taken;
}

/* CVE-2026-42198: the server chose how much CPU its client burns. */
static void cve_2026_42198_iterations_are_capped(void **state)
{
    (void)state;
    assert_true(challenge("r=ours+,s=AAAA,i=1"));
    assert_true(challenge("r=ours+,s=AAAA,i=100000"));
    const char *counts[] = { "0",          "-1", "100001", "1000000000", "2147483648",
                             "4294967296", "",   "4k",     "4294967297", "18446744073709551617",
                             " 4096",      "+1", "1,",     "1,x=1",      "01" };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char text[64];
        snprintf(text, sizeof text, "r=ours+,s=AAAA,i=%s", counts[i]);
        assert_false(challenge(text));
    }
}

/* CVE-2026-6665: a server's long nonce overflowed the buffer of client-final. */
static void cve_2026_6665_long_nonces_are_refused(void **state)
{
    (void)state;
    for (size_t n = 1000; n <= 65536; n *= 2) {
        char *text = malloc(n + 64);
        int head = snprintf(text, 64, "r=ours");
        memset(text + head, 'A', n);
        snprintf(text + head + n, 32, ",s=AAAA,i=4096");
        assert_int_equal(challenge(text), strlen(text) <= SCRAM_MESSAGE_MAX_BYTES);
        free(text);
    }
    const char *odd[] = { "",
                          "r=ours,s=AAAA,i=4096",
                          "r=our+,s=AAAA,i=4096",
                          "r=theirs,s=AAAA,i=4096",
                          "r=,s=AAAA,i=4096",
                          "r=ours +,s=AAAA,i=4096",
                          "r=ours+,i=4096,s=AAAA",
                          "r=ours+,s=,i=4096",
                          "r=ours+,s=A,i=4096",
                          "r=ours+,s=AAAA",
                          "r=ours+,s=AAAA,",
                          "m=must,r=ours+,s=AAAA,i=4096",
                          "e=unknown-user" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) assert_false(challenge(odd[i]));
}

static void base64_is_strict(void **state)
{
    (void)state;
    uint8_t bytes[64], back[64];
    size_t len;
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct buf text = { 0 };
        for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 37 + n * 101);
        base64_print(slice_of(bytes, n), &text);
        assert_true(base64_parse(buf_slice(&text), back, sizeof back, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
        if (n) assert_false(base64_parse(buf_slice(&text), back, n - 1, &len));
        buf_fini(&text);
    }
    const char *odd[] = { "A",    "AA",   "AAA",  "AAA=AAAA", "====", "A===", "AA=A",
                          "AB==", "AAB=", "AA A", "AAA\n",    "AA-_", "AAAA=" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_false(base64_parse(slice_str(odd[i]), back, sizeof back, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_speaks_rfc_7677),
        cmocka_unit_test(client_speaks_rfc_7677),
        cmocka_unit_test(postgres_verifier_is_understood),
        cmocka_unit_test(cve_2019_10164_long_or_odd_verifiers_are_refused),
        cmocka_unit_test(mock_is_stable_and_fits_nobody),
        cmocka_unit_test(both_roles_agree),
        cmocka_unit_test(odd_client_first_is_refused),
        cmocka_unit_test(odd_client_final_is_refused),
        cmocka_unit_test(cve_2026_42198_iterations_are_capped),
        cmocka_unit_test(cve_2026_6665_long_nonces_are_refused),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
