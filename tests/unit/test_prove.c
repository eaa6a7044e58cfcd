/* prove: right answers to every code, and servers that are not to be trusted. */
#include "unit/unit.h"

#include "auth/digest.h"
#include "auth/md5.h"
#include "auth/prove.h"
#include "protocol/wire.h"

#include <stdlib.h>

static const char binding[32] = "certificate hash of 32 bytes....";

struct login {
    struct secret *password, *token;
    struct prove *prove;
    struct buf out;
    struct err err;
};

static void begin_with(struct login *l, struct prove_setup setup, const char *password)
{
    *l = (struct login){ 0 };
    l->password = password ? secret_new(slice_str(password)) : NULL;
    l->token = secret_new(slice_str("to.ken"));
    setup.user = setup.user.len ? setup.user : slice_str("ana");
    setup.password = l->password;
    setup.token = l->token;
    for (int i = 0; i < PROVE_RANDOM_BYTES; i++) setup.random[i] = (uint8_t)(i * 5 + 1);
    l->prove = prove_new(&setup);
    assert_non_null(l->prove);
}

static void begin(struct login *l, bool tls)
{
    begin_with(l, (struct prove_setup){ .tls = tls }, "se cret");
}

static void end(struct login *l)
{
    prove_free(l->prove);
    secret_free(l->password);
    secret_free(l->token);
    buf_wipe(&l->out);
}

/* One R message: the code and what follows it. */
static enum prove_result asked(struct login *l, uint32_t code, struct slice rest)
{
    struct buf body = { 0 };
    buf_add_u32(&body, code);
    buf_add_slice(&body, rest);
    buf_truncate(&l->out, 0);
    enum prove_result result = prove_message(l->prove, buf_slice(&body), &l->out, &l->err);
    if (result == PROVE_FAILED) assert_int_equal(l->out.len, 0);
    buf_fini(&body);
    return result;
}

static const struct slice nothing = { "", 0 };

static void each_code_has_its_answer(void **state)
{
    (void)state;
    struct login l;
    begin(&l, true);
    assert_int_equal(asked(&l, 0, nothing), PROVE_OK);
    end(&l);

    begin(&l, true);
    assert_int_equal(asked(&l, 3, nothing), PROVE_SEND);
    assert_true(slice_eq(buf_slice(&l.out), slice_of("p\0\0\0\x0cse cret\0", 13)));
    assert_int_equal(asked(&l, 0, nothing), PROVE_OK);
    assert_null(prove_keys(l.prove));
    end(&l);

    begin(&l, true);
    assert_int_equal(asked(&l, 14, nothing), PROVE_SEND);
    assert_true(slice_eq(buf_slice(&l.out), slice_of("i\0\0\0\x0bto.ken\0", 12)));
    assert_int_equal(asked(&l, 0, nothing), PROVE_OK);
    end(&l);
}

/* md5 of 'ez' and 'user1' is in the Redshift developer guide, CREATE USER. */
static void md5_is_answered(void **state)
{
    (void)state;
    struct login l;
    struct md5_verifier v;
    char expected[MD5_TEXT_BYTES];
    begin_with(&l, (struct prove_setup){ .user = slice_str("user1") }, "ez");
    assert_int_equal(asked(&l, 5, slice_of("\0\1\0\2", 4)), PROVE_SEND);
    assert_int_equal(l.out.len, 1 + 4 + 36);
    assert_memory_equal(l.out.at,
                        "p\0\0\0\x28"
                        "md516d1847b6bb8f8507cc822d87556127b",
                        41);
    assert_true(md5_verifier_make(&v, slice_str("ez"), slice_str("user1")));
    assert_true(md5_respond(expected, &v, (const uint8_t *)"\0\1\0\2"));
    assert_memory_equal(l.out.at + 5, expected, sizeof expected);
    end(&l);
    for (size_t len = 0; len < 6; len++) {
        if (len == 4) continue;
        begin(&l, true);
        assert_int_equal(asked(&l, 5, slice_of("abcdef", len)), PROVE_FAILED);
        end(&l);
    }
}

static void digest_is_answered(void **state)
{
    (void)state;
    uint8_t salt[32], nonce[32], expected[SHA256_BYTES];
    struct digest_verifier v;
    struct buf body = { 0 };
    struct login l;
    assert_true(hex_parse(
        slice_str("c721bff5d9042cf541ff7b9d48fa8a6e545c19a763e3710151f9513038b0f6c6"), salt, 32));
    for (int i = 0; i < 32; i++) nonce[i] = (uint8_t)i;
    buf_add_u32(&body, 0);
    buf_add_u32(&body, 32);
    buf_add(&body, salt, 32);
    buf_add_u32(&body, 32);
    buf_add(&body, nonce, 32);
    begin_with(&l, (struct prove_setup){ 0 }, "Mypassword1");
    assert_int_equal(asked(&l, 13, buf_slice(&body)), PROVE_SEND);
    struct wire w = wire_of(slice_after(buf_slice(&l.out), 5));
    struct slice answer = wire_bytes(&w, wire_u32(&w)), client_nonce = wire_bytes(&w, wire_u32(&w));
    assert_true(wire_is_done(&w));
    assert_int_equal(l.out.at[0], 'd');
    assert_int_equal(wire_be32(l.out.at + 1), l.out.len - 1);
    assert_true(digest_verifier_make(&v, slice_str("Mypassword1"), slice_of(salt, 32)));
    assert_true(digest_respond(expected, &v, slice_of(nonce, 32), client_nonce));
    assert_true(slice_eq(answer, slice_of(expected, 32)));
    assert_int_equal(asked(&l, 0, nothing), PROVE_OK);
    end(&l);

    for (uint32_t cut = 0; cut < body.len; cut++) {
        begin(&l, true);
        assert_int_equal(asked(&l, 13, slice_of(body.at, cut)), PROVE_FAILED);
        end(&l);
    }
    static const uint32_t lies[] = { 0, 31, 33, 129, 1025, 0x7fffffff, 0x80000000, 0xffffffff };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        for (int field = 0; field < 2; field++) {
            struct buf copy = { 0 };
            buf_add_slice(&copy, buf_slice(&body));
            for (int b = 0; b < 4; b++)
                copy.at[4 + field * 36 + b] = (char)(lies[i] >> (24 - 8 * b));
            begin(&l, true);
            assert_int_equal(asked(&l, 13, buf_slice(&copy)), PROVE_FAILED);
            end(&l);
            buf_fini(&copy);
        }
    body.at[3] = 1; /* scrypt, which nobody implements */
    begin(&l, true);
    assert_int_equal(asked(&l, 13, buf_slice(&body)), PROVE_FAILED);
    end(&l);
    buf_fini(&body);
}

static void clear_text_stays_inside_tls(void **state)
{
    (void)state;
    struct login l;
    for (uint32_t code = 3; code <= 14; code += 11) {
        begin(&l, false);
        assert_int_equal(asked(&l, code, nothing), PROVE_FAILED);
        assert_int_equal(l.err.code, ERR_SERVER_REJECTED);
        end(&l);
        begin_with(&l, (struct prove_setup){ .unix_socket = true }, "se cret");
        assert_int_equal(asked(&l, code, nothing), PROVE_SEND);
        end(&l);
    }
}

static void no_password_is_said_so(void **state)
{
    (void)state;
    static const uint32_t codes[] = { 3, 5, 10, 13 };
    static const struct slice rests[] = {
        { "", 0 },
        { "salt", 4 },
        { "SCRAM-SHA-256\0", 15 },
        { "\0\0\0\0\0\0\0\1s\0\0\0\1n", 14 },
    };
    for (int i = 0; i < 4; i++)
        for (int empty = 0; empty < 2; empty++) {
            struct login l;
            begin_with(&l, (struct prove_setup){ .tls = true }, empty ? "" : NULL);
            assert_int_equal(asked(&l, codes[i], rests[i]), PROVE_FAILED);
            assert_int_equal(l.err.code, ERR_NO_CREDENTIALS);
            end(&l);
        }
}

static void other_codes_are_refused(void **state)
{
    (void)state;
    static const uint32_t codes[] = {
        1, 2, 4, 6, 7, 8, 9, 11, 12, 15, 255, 0x80000000, 0xffffffff
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct login l;
        begin(&l, true);
        assert_int_equal(asked(&l, codes[i], slice_str("xxxx")), PROVE_FAILED);
        assert_int_equal(asked(&l, 0, nothing), PROVE_FAILED);
        end(&l);
    }
    for (size_t len = 0; len < 4; len++) {
        struct login l;
        begin(&l, true);
        assert_int_equal(prove_message(l.prove, slice_of("\0\0\0\0", len), &l.out, &l.err),
                         PROVE_FAILED);
        end(&l);
    }
    struct login l;
    begin(&l, true);
    assert_int_equal(asked(&l, 0, slice_str("x")), PROVE_FAILED);
    end(&l);
}

/* A server gets one answer, not one in each method. */
static void nobody_asks_twice(void **state)
{
    (void)state;
    static const uint32_t codes[] = { 3, 5, 10, 13, 14 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct login l;
        begin(&l, true);
        assert_int_equal(asked(&l, 5, slice_str("salt")), PROVE_SEND);
        assert_int_equal(asked(&l, codes[i], slice_str(codes[i] == 5 ? "salt" : "")), PROVE_FAILED);
        end(&l);
    }
}

/* ---- SCRAM -------------------------------------------------------------------------------- */

static const struct slice plain = { "SCRAM-SHA-256\0", 15 };
static const struct slice both = { "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34 };

/* A server that knows the verifier of `password`; speaks through asked(). */
struct peer {
    struct scram_verifier verifier;
    struct scram_server scram;
};

static void peer_begin(struct peer *s, const char *password, bool is_bound)
{
    assert_true(scram_verifier_make(&s->verifier, slice_str(password),
                                    slice_str("16 bytes of salt"), 4096));
    scram_server_begin(&s->scram, &s->verifier, slice_of(binding, is_bound ? sizeof binding : 0),
                       slice_str("theirs"));
}

/* Up to the point where the client has sent client-final; server-final is left in `final`. */
static enum scram_result exchange(struct login *l, struct peer *s, struct slice mechanisms,
                                  bool expect_derive, struct buf *final)
{
    struct buf text = { 0 };
    assert_int_equal(asked(l, 10, mechanisms), PROVE_SEND);
    assert_int_equal(wire_be32(l->out.at + 1), l->out.len - 1);
    struct wire w = wire_of(slice_after(buf_slice(&l->out), 5));
    struct slice mechanism = wire_string(&w), first = wire_bytes(&w, wire_u32(&w));
    assert_true(wire_is_done(&w));
    enum scram_result result = scram_server_first(&s->scram, mechanism, first, &text, &l->err);
    if (result == SCRAM_OK) {
        enum prove_result proved = asked(l, 11, buf_slice(&text));
        assert_int_equal(proved, expect_derive ? PROVE_DERIVE : PROVE_SEND);
        if (expect_derive) {
            prove_derive(l->prove);
            assert_int_equal(prove_derived(l->prove, &l->out, &l->err), PROVE_SEND);
        }
        result = scram_server_final(&s->scram, slice_after(buf_slice(&l->out), 5), final, &l->err);
    }
    buf_fini(&text);
    scram_server_fini(&s->scram);
    return result;
}

static void scram_and_its_cached_keys(void **state)
{
    (void)state;
    struct scram_keys keys = { 0 };
    for (int round = 0; round < 4; round++) {
        struct login l;
        struct peer s;
        struct buf final = { 0 };
        bool is_bound = round >= 2, is_cached = round % 2;
        peer_begin(&s, "se cret", is_bound);
        begin_with(&l,
                   (struct prove_setup){ .tls = true,
                                         .channel_binding =
                                             slice_of(binding, is_bound ? sizeof binding : 0),
                                         .require_channel_binding = is_bound,
                                         .keys = is_cached ? &keys : NULL },
                   "se cret");
        assert_int_equal(exchange(&l, &s, is_bound ? both : plain, !is_cached, &final), SCRAM_OK);
        assert_int_equal(asked(&l, 12, buf_slice(&final)), PROVE_SEND);
        assert_int_equal(l.out.len, 0);
        assert_int_equal(asked(&l, 0, nothing), PROVE_OK);
        assert_non_null(prove_keys(l.prove));
        keys = *prove_keys(l.prove);
        buf_fini(&final);
        end(&l);
    }
    /* Keys of another salt do not fit and are not used. */
    keys.salt.bytes[0] ^= 1;
    struct login l;
    struct peer s;
    struct buf final = { 0 };
    peer_begin(&s, "se cret", false);
    begin_with(&l, (struct prove_setup){ .keys = &keys }, "se cret");
    assert_int_equal(exchange(&l, &s, plain, true, &final), SCRAM_OK);
    buf_fini(&final);
    end(&l);
}

/* A false server lets everybody in to be sent queries; it can not prove that it knows us. */
static void the_server_must_prove_itself(void **state)
{
    (void)state;
    for (int when = 0; when < 4; when++) {
        struct login l;
        struct peer s;
        struct buf final = { 0 };
        peer_begin(&s, "se cret", false);
        begin(&l, false);
        if (when == 0) assert_int_equal(asked(&l, 10, plain), PROVE_SEND);
        if (when > 0) assert_int_equal(exchange(&l, &s, plain, true, &final), SCRAM_OK);
        if (when == 2) {
            final.at[10] ^= 1;
            assert_int_equal(asked(&l, 12, buf_slice(&final)), PROVE_FAILED);
        }
        if (when == 3) assert_int_equal(asked(&l, 12, slice_str("e=invalid-proof")), PROVE_FAILED);
        assert_int_equal(asked(&l, 0, nothing), PROVE_FAILED);
        scram_server_fini(&s.scram);
        buf_fini(&final);
        end(&l);
    }
    struct login l;
    begin(&l, false);
    assert_int_equal(asked(&l, 10, plain), PROVE_SEND);
    assert_int_equal(asked(&l, 12, slice_str("v=AAAA")), PROVE_FAILED);
    end(&l);
}

static void odd_mechanism_lists_are_refused(void **state)
{
    (void)state;
    static const struct slice odd[] = {
        { "", 0 },
        { "\0", 1 },
        { "SCRAM-SHA-256", 13 },
        { "SCRAM-SHA-256\0", 14 }, /* the list does not end */
        { "SCRAM-SHA-256\0\0x", 16 },
        { "SCRAM-SHA-1\0", 13 },
        { "SCRAM-SHA-256-PLUS\0", 20 }, /* nothing to bind to */
        { "scram-sha-256\0", 15 },
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct login l;
        begin(&l, true);
        assert_int_equal(asked(&l, 10, odd[i]), PROVE_FAILED);
        end(&l);
    }
    char many[300];
    for (size_t i = 0; i < sizeof many; i++) many[i] = i % 2 ? '\0' : 'X';
    many[sizeof many - 2] = '\0';
    struct login l;
    begin(&l, true);
    assert_int_equal(asked(&l, 10, slice_of(many, sizeof many)), PROVE_FAILED);
    end(&l);
}

static void require(bool has_binding, bool tls, uint32_t code, struct slice rest,
                    enum prove_result expected)
{
    struct login l;
    begin_with(&l,
               (struct prove_setup){ .tls = tls,
                                     .require_channel_binding = true,
                                     .channel_binding =
                                         slice_of(binding, has_binding ? sizeof binding : 0) },
               "se cret");
    assert_int_equal(asked(&l, code, rest), expected);
    if (expected == PROVE_FAILED) assert_non_null(strstr(l.err.message, "channel binding"));
    end(&l);
}

/* CVE-2025-49146, CVE-2026-54291: required channel binding was given up in silence, when the
 * certificate had no usable hash (Ed25519) and when the server asked for something else. */
static void cve_2025_49146_cve_2026_54291_binding_is_not_given_up(void **state)
{
    (void)state;
    require(true, true, 10, both, PROVE_SEND);
    require(true, true, 10, plain, PROVE_FAILED);
    require(false, true, 10, both, PROVE_FAILED);
    require(true, false, 10, both, PROVE_FAILED);
    require(true, true, 0, nothing, PROVE_FAILED);
    require(true, true, 3, nothing, PROVE_FAILED);
    require(true, true, 5, slice_str("salt"), PROVE_FAILED);
    require(true, true, 14, nothing, PROVE_FAILED);

    /* Where it is only wanted, an honest server hears that its offer was taken out. */
    struct login l;
    struct peer s;
    struct buf final = { 0 };
    peer_begin(&s, "se cret", true);
    begin_with(
        &l,
        (struct prove_setup){ .tls = true, .channel_binding = slice_of(binding, sizeof binding) },
        "se cret");
    assert_int_equal(exchange(&l, &s, plain, true, &final), SCRAM_BAD);
    buf_fini(&final);
    end(&l);
}

/* What a hostile server-first does to the whole machine: the login fails, nothing is sent. */
static void challenge(const char *before, size_t filler, const char *after)
{
    struct login l;
    struct buf text = { 0 };
    begin(&l, true);
    assert_int_equal(asked(&l, 10, plain), PROVE_SEND);
    /* Our nonce is what follows "r=" in what was just sent. */
    struct slice sent = slice_after(buf_slice(&l.out), 5 + 14 + 4);
    buf_add_str(&text, "r=");
    buf_add_slice(&text, slice_after(sent, strlen("n,,n=,r=")));
    buf_add_str(&text, before);
    for (size_t i = 0; i < filler; i++) buf_add_u8(&text, 'A');
    buf_add_str(&text, after);
    assert_int_equal(asked(&l, 11, buf_slice(&text)), PROVE_FAILED);
    assert_int_equal(l.err.code, ERR_SERVER_CONFUSED);
    assert_int_equal(asked(&l, 0, nothing), PROVE_FAILED);
    buf_fini(&text);
    end(&l);
}

static void cve_2026_6665_a_long_nonce_fails_cleanly(void **state)
{
    (void)state;
    challenge("", 1000, ",s=AAAA,i=4096");
    challenge("", 4096, ",s=AAAA,i=4096");
    challenge("", 65536, ",s=AAAA,i=4096");
    challenge("x,s=", 512, ",i=4096");
}

static void cve_2026_42198_many_iterations_are_refused(void **state)
{
    (void)state;
    challenge("x,s=AAAA,i=0", 0, "");
    challenge("x,s=AAAA,i=-1", 0, "");
    challenge("x,s=AAAA,i=100001", 0, "");
    challenge("x,s=AAAA,i=2147483648", 0, "");
    challenge("x,s=AAAA,i=1000000000", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_answer),
        cmocka_unit_test(md5_is_answered),
        cmocka_unit_test(digest_is_answered),
        cmocka_unit_test(clear_text_stays_inside_tls),
        cmocka_unit_test(no_password_is_said_so),
        cmocka_unit_test(other_codes_are_refused),
        cmocka_unit_test(nobody_asks_twice),
        cmocka_unit_test(scram_and_its_cached_keys),
        cmocka_unit_test(the_server_must_prove_itself),
        cmocka_unit_test(odd_mechanism_lists_are_refused),
        cmocka_unit_test(cve_2025_49146_cve_2026_54291_binding_is_not_given_up),
        cmocka_unit_test(cve_2026_6665_a_long_nonce_fails_cleanly),
        cmocka_unit_test(cve_2026_42198_many_iterations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
