/* verify: every method with right and wrong answers, unknown users, and messages nobody should
 * send. */
#include "unit/unit.h"

#include "auth/prove.h"
#include "auth/verify.h"
#include "protocol/wire.h"

#include <stdlib.h>

static const char key[USERS_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const char binding[32] = "certificate hash of 32 bytes....";

struct world {
    struct users *users;
};

static int set_up(void **state)
{
    static struct world w;
    struct err err;
    struct slice password = slice_str("se cret"), arn = slice_str("arn:aws:iam::1:user/ana");
    struct user_setup ana = { .name = slice_str("ana"),
                              .methods = AUTH_PASSWORD_BITS | AUTH_BIT(AUTH_IAM),
                              .arns = &arn,
                              .arn_count = 1,
                              .passwords = &password,
                              .password_count = 1 };
    struct user_setup guest = { .name = slice_str("guest"), .methods = AUTH_BIT(AUTH_TRUST) };
    w.users = users_new((struct map_seed){ 1, 2 }, slice_of(key, sizeof key), NULL);
    assert_true(users_add(w.users, &ana, &err));
    assert_true(users_add(w.users, &guest, &err));
    assert_true(users_seal(w.users));
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    users_unref(((struct world *)*state)->users);
    return 0;
}

static struct verify *begin(struct world *w, enum auth_method method, const char *user,
                            struct buf *out)
{
    struct verify_setup setup = { .method = method,
                                  .user = users_find(w->users, slice_str(user)),
                                  .stranger = users_stranger(w->users),
                                  .user_name = slice_str(user),
                                  .mock_key = users_key(w->users),
                                  .channel_binding = slice_of(binding, sizeof binding),
                                  .tls = true };
    for (int i = 0; i < VERIFY_RANDOM_BYTES; i++) setup.random[i] = (uint8_t)(i * 7);
    struct verify *v = verify_new(&setup);
    assert_non_null(v);
    assert_int_equal(verify_begin(v, out), VERIFY_MORE);
    return v;
}

/* The whole login of our own client side against our server side. `rounds`: messages we sent. */
static enum verify_result login(struct world *w, enum auth_method method, const char *user,
                                const char *password, bool is_bound, int *rounds)
{
    struct buf to_client = { 0 }, to_server = { 0 };
    struct err err;
    struct secret *secret = secret_new(slice_str(password));
    struct verify *v = begin(w, method, user, &to_client);
    struct prove *p = prove_new(
        &(struct prove_setup){ .user = slice_str(user),
                               .password = secret,
                               .tls = true,
                               .channel_binding = slice_of(binding, is_bound ? sizeof binding : 0),
                               .random = "client's randomness" });
    enum verify_result result = VERIFY_MORE;
    for (*rounds = 0; to_client.len; (*rounds)++) {
        assert_int_equal(to_client.at[0], 'R');
        assert_int_equal(wire_be32(to_client.at + 1), to_client.len - 1);
        enum prove_result proved =
            prove_message(p, slice_after(buf_slice(&to_client), 5), &to_server, &err);
        if (proved == PROVE_DERIVE) {
            prove_derive(p);
            proved = prove_derived(p, &to_server, &err);
        }
        assert_int_equal(proved, PROVE_SEND);
        buf_truncate(&to_client, 0);
        if (!to_server.len) break; /* server-final needs no answer */
        assert_int_equal(result, VERIFY_MORE);
        assert_int_equal(wire_be32(to_server.at + 1), to_server.len - 1);
        result = verify_message(v, (uint8_t)to_server.at[0], slice_after(buf_slice(&to_server), 5),
                                &to_client, &err);
        buf_truncate(&to_server, 0);
    }
    if (result == VERIFY_FAILED) {
        assert_int_equal(err.code, ERR_LOGIN_FAILED);
        assert_string_equal(err.message, err_text(ERR_LOGIN_FAILED));
        assert_int_equal(to_client.len, 0);
    }
    verify_free(v);
    prove_free(p);
    secret_free(secret);
    buf_wipe(&to_client);
    buf_wipe(&to_server);
    return result;
}

static void right_and_wrong_passwords(void **state)
{
    static const enum auth_method methods[] = { AUTH_SCRAM, AUTH_MD5, AUTH_DIGEST, AUTH_CLEARTEXT };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        int right, wrong, unknown;
        assert_int_equal(login(*state, methods[i], "ana", "se cret", false, &right), VERIFY_OK);
        assert_int_equal(login(*state, methods[i], "ana", "secret", false, &wrong), VERIFY_FAILED);
        assert_int_equal(login(*state, methods[i], "eve", "se cret", false, &unknown),
                         VERIFY_FAILED);
        assert_int_equal(wrong, unknown);
        /* A user who is there but holds no verifier of any kind is nobody special either. */
        assert_int_equal(login(*state, methods[i], "guest", "se cret", false, &unknown),
                         VERIFY_FAILED);
        assert_int_equal(wrong, unknown);
    }
    int rounds;
    assert_int_equal(login(*state, AUTH_SCRAM, "ana", "se cret", true, &rounds), VERIFY_OK);
    assert_int_equal(login(*state, AUTH_SCRAM, "ana", "secret", true, &rounds), VERIFY_FAILED);
    assert_int_equal(login(*state, AUTH_IAM, "ana", "a token", false, &rounds), VERIFY_TOKEN);
}

/* No CVE, PgBouncer 1.15 and 1.17: what an unknown user is asked looks like what a known one is
 * asked, twice the same. */
static void unknown_users_are_asked_alike(void **state)
{
    for (int m = AUTH_SCRAM; m < AUTH_METHOD_COUNT; m++) {
        struct buf known = { 0 }, unknown = { 0 }, again = { 0 };
        verify_free(begin(*state, (enum auth_method)m, "ana", &known));
        verify_free(begin(*state, (enum auth_method)m, "eve", &unknown));
        verify_free(begin(*state, (enum auth_method)m, "eve", &again));
        assert_int_equal(known.len, unknown.len);
        assert_true(slice_eq(buf_slice(&unknown), buf_slice(&again)));
        assert_memory_equal(known.at, unknown.at, 9);
        buf_fini(&known);
        buf_fini(&unknown);
        buf_fini(&again);
    }
    /* And the SCRAM challenge that follows, but for the salt. */
    const char *users[] = { "ana", "eve", "eve" };
    struct buf challenge[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        struct err err;
        struct verify *v = begin(*state, AUTH_SCRAM, users[i], &challenge[i]);
        buf_truncate(&challenge[i], 0);
        struct slice first = slice_of("SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc", 29);
        assert_int_equal(verify_message(v, 'p', first, &challenge[i], &err), VERIFY_MORE);
        verify_free(v);
    }
    assert_int_equal(challenge[0].len, challenge[1].len);
    assert_false(slice_eq(buf_slice(&challenge[0]), buf_slice(&challenge[1])));
    assert_true(slice_eq(buf_slice(&challenge[1]), buf_slice(&challenge[2])));
    for (int i = 0; i < 3; i++) buf_fini(&challenge[i]);
}

static void requests_have_their_bytes(void **state)
{
    struct buf out = { 0 };
    verify_free(begin(*state, AUTH_CLEARTEXT, "ana", &out));
    assert_memory_equal(out.at, "R\0\0\0\x08\0\0\0\x03", 9);
    buf_truncate(&out, 0);
    verify_free(begin(*state, AUTH_MD5, "ana", &out));
    assert_memory_equal(out.at, "R\0\0\0\x0c\0\0\0\x05\0\x07\x0e\x15", 13);
    buf_truncate(&out, 0);
    verify_free(begin(*state, AUTH_SCRAM, "ana", &out));
    assert_int_equal(out.len, 43);
    assert_memory_equal(out.at, "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 43);
    buf_truncate(&out, 0);
    verify_free(begin(*state, AUTH_DIGEST, "ana", &out));
    assert_int_equal(out.len, 1 + 0x54);
    assert_memory_equal(out.at, "R\0\0\0\x54\0\0\0\x0d\0\0\0\0\0\0\0\x20", 17);
    buf_fini(&out);
}

/* ---- clear text --------------------------------------------------------------------------- */

static enum verify_result answer(void *world, enum auth_method method, const char *user,
                                 uint8_t type, struct slice body)
{
    struct buf out = { 0 };
    struct err err;
    struct verify *v = begin(world, method, user, &out);
    buf_truncate(&out, 0);
    enum verify_result result = verify_message(v, type, body, &out, &err);
    assert_true(result == VERIFY_MORE || out.len == 0);
    verify_free(v);
    buf_fini(&out);
    return result;
}

/* CVE-2017-7546: an empty password was accepted by some methods. */
static void cve_2017_7546_empty_passwords_never_pass(void **state)
{
    const char *users[] = { "ana", "guest", "eve" };
    for (size_t i = 0; i < 3; i++) {
        int rounds;
        assert_int_equal(answer(*state, AUTH_CLEARTEXT, users[i], 'p', slice_of("", 1)),
                         VERIFY_FAILED);
        assert_int_equal(answer(*state, AUTH_IAM, users[i], 'p', slice_of("", 1)), VERIFY_FAILED);
        assert_int_equal(login(*state, AUTH_CLEARTEXT, users[i], " ", false, &rounds),
                         VERIFY_FAILED);
    }
    assert_int_equal(answer(*state, AUTH_MD5, "ana", 'p', slice_of("", 1)), VERIFY_FAILED);
}

static void odd_password_messages_are_refused(void **state)
{
    static const struct slice odd[] = {
        { "", 0 },           /* not even the NUL */
        { "se cret", 7 },    /* no NUL */
        { "se cret\0x", 9 }, /* something behind it */
        { "se cret\0", 9 },  /* two */
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_int_equal(answer(*state, AUTH_CLEARTEXT, "ana", 'p', odd[i]), VERIFY_BAD);
        assert_int_equal(answer(*state, AUTH_MD5, "ana", 'p', odd[i]), VERIFY_BAD);
        assert_int_equal(answer(*state, AUTH_IAM, "ana", 'p', odd[i]), VERIFY_BAD);
    }
    static char big[VERIFY_MESSAGE_MAX_BYTES + 1];
    memset(big, 'x', sizeof big - 1);
    assert_int_equal(answer(*state, AUTH_CLEARTEXT, "ana", 'p', slice_of(big + 1, sizeof big - 1)),
                     VERIFY_FAILED);
    assert_int_equal(answer(*state, AUTH_CLEARTEXT, "ana", 'p', slice_of(big, sizeof big)),
                     VERIFY_BAD);
}

static void cleartext_needs_a_private_connection(void **state)
{
    struct world *w = *state;
    for (int kind = 0; kind < 3; kind++) {
        struct buf out = { 0 };
        struct verify *v =
            verify_new(&(struct verify_setup){ .method = kind == 2 ? AUTH_IAM : AUTH_CLEARTEXT,
                                               .user = users_find(w->users, slice_str("ana")),
                                               .unix_socket = kind == 1 });
        assert_int_equal(verify_begin(v, &out), kind == 1 ? VERIFY_MORE : VERIFY_FAILED);
        assert_int_equal(out.len, kind == 1 ? 9 : 0);
        verify_free(v);
        buf_fini(&out);
    }
}

static void slow_hashes_can_be_done_elsewhere(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *user, *password;
        enum verify_result at_once, in_the_end;
    } cases[] = {
        { "ana", "se cret", VERIFY_OK, VERIFY_OK }, /* its digest is at hand */
        { "ana", "secret", VERIFY_DERIVE, VERIFY_FAILED },
        { "eve", "se cret", VERIFY_DERIVE, VERIFY_FAILED },
        { "guest", "se cret", VERIFY_DERIVE, VERIFY_FAILED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = { 0 };
        struct err err;
        struct verify *v = verify_new(
            &(struct verify_setup){ .method = AUTH_CLEARTEXT,
                                    .user = users_find(w->users, slice_str(cases[i].user)),
                                    .user_name = slice_str(cases[i].user),
                                    .mock_key = users_key(w->users),
                                    .tls = true,
                                    .may_derive = true });
        assert_int_equal(verify_begin(v, &out), VERIFY_MORE);
        struct slice body = slice_of(cases[i].password, strlen(cases[i].password) + 1);
        assert_int_equal(verify_message(v, 'p', body, &out, &err), cases[i].at_once);
        if (cases[i].at_once == VERIFY_DERIVE) {
            verify_derive(v);
            assert_int_equal(verify_derived(v, &err), cases[i].in_the_end);
        }
        assert_int_equal(verify_message(v, 'p', body, &out, &err), VERIFY_BAD);
        verify_free(v);
        buf_fini(&out);
    }
}

static void only_a_scram_verifier_is_enough_for_cleartext(void **state)
{
    (void)state;
    struct users *u = users_new((struct map_seed){ 1, 2 }, slice_of(key, sizeof key), NULL);
    struct slice verifier = slice_str(
        "SCRAM-SHA-256$4096:2QmXRmBenKf81MsHn7cxlw==$Z9EpIhpibJuRhEuzP2sxT6yppTH1Cd7S2TBKT5M+yH0=:"
        "tfdtlq/yqOhxFMGkE9idCNfrMhmDysVnMlPfusn0HXA=");
    struct err err;
    assert_true(users_add(u,
                          &(struct user_setup){ .name = slice_str("ana"),
                                                .methods = AUTH_BIT(AUTH_SCRAM),
                                                .passwords = &verifier,
                                                .password_count = 1 },
                          &err));
    assert_true(users_seal(u));
    struct world w = { u };
    int rounds;
    const char *right = "correct horse battery staple";
    assert_int_equal(login(&w, AUTH_CLEARTEXT, "ana", right, false, &rounds), VERIFY_OK);
    assert_int_equal(login(&w, AUTH_CLEARTEXT, "ana", "wrong", false, &rounds), VERIFY_FAILED);
    assert_int_equal(login(&w, AUTH_SCRAM, "ana", right, true, &rounds), VERIFY_OK);
    users_unref(u);
}

static void tokens_are_kept_for_the_caller(void **state)
{
    struct world *w = *state;
    const struct {
        const char *user, *text;
        enum verify_result as_password;
    } cases[] = { { "ana", "token", VERIFY_FAILED },
                  { "ana", "se cret", VERIFY_OK },
                  { "guest", "se cret", VERIFY_FAILED },
                  { "eve", "se cret", VERIFY_FAILED } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = { 0 };
        struct err err;
        struct verify *v = begin(w, AUTH_IAM, cases[i].user, &out);
        assert_null(verify_password(v));
        struct slice body = slice_of(cases[i].text, strlen(cases[i].text) + 1);
        assert_int_equal(verify_message(v, 'p', body, &out, &err), VERIFY_TOKEN);
        assert_true(secret_equals(verify_password(v), slice_str(cases[i].text)));
        assert_int_equal(verify_as_password(v, &err), cases[i].as_password);
        assert_int_equal(verify_as_password(v, &err), VERIFY_FAILED);
        verify_free(v);
        buf_fini(&out);
    }
}

/* ---- SCRAM and digest frames -------------------------------------------------------------- */

/* CVE-2026-6664: the length inside SASLInitialResponse was added before it was compared. */
static void cve_2026_6664_lying_lengths_are_refused(void **state)
{
    static const char first[] = "n,,n=,r=abc";
    const uint32_t real = sizeof first - 1;
    const uint32_t lengths[] = { 0xffffffff, 0xfffffff0, 0x80000000, 0x7fffffff,
                                 real + 1,   real - 1,   0,          0x100000b };
    for (size_t i = 0; i <= sizeof lengths / sizeof *lengths; i++) {
        struct buf body = { 0 };
        bool is_honest = i == sizeof lengths / sizeof *lengths;
        buf_add(&body, "SCRAM-SHA-256", 14);
        buf_add_u32(&body, is_honest ? real : lengths[i]);
        buf_add_str(&body, first);
        assert_int_equal(answer(*state, AUTH_SCRAM, "ana", 'p', buf_slice(&body)),
                         is_honest ? VERIFY_MORE : VERIFY_BAD);
        for (uint32_t cut = 0; is_honest && cut < body.len; cut++)
            assert_int_equal(answer(*state, AUTH_SCRAM, "ana", 'p', slice_of(body.at, cut)),
                             VERIFY_BAD);
        buf_fini(&body);
    }
}

static void odd_digest_messages_are_refused(void **state)
{
    struct buf body = { 0 };
    buf_add_u32(&body, 32);
    buf_extend(&body, 32);
    memset(body.at + 4, 'x', 32);
    buf_add_u32(&body, 3);
    buf_add_str(&body, "abc");
    assert_int_equal(answer(*state, AUTH_DIGEST, "ana", 'd', buf_slice(&body)), VERIFY_FAILED);
    assert_int_equal(answer(*state, AUTH_DIGEST, "eve", 'd', buf_slice(&body)), VERIFY_FAILED);
    assert_int_equal(answer(*state, AUTH_DIGEST, "ana", 'p', buf_slice(&body)), VERIFY_BAD);
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(answer(*state, AUTH_DIGEST, "ana", 'd', slice_of(body.at, cut)),
                         VERIFY_BAD);
    for (int field = 0; field < 2; field++) {
        static const uint32_t lengths[] = { 0, 1, 31, 33, 4, 1025, 0x7fffffff, 0xffffffff };
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct buf copy = { 0 };
            buf_add_slice(&copy, buf_slice(&body));
            for (int b = 0; b < 4; b++)
                copy.at[field * 36 + b] = (char)(lengths[i] >> (24 - 8 * b));
            assert_int_equal(answer(*state, AUTH_DIGEST, "ana", 'd', buf_slice(&copy)), VERIFY_BAD);
            buf_fini(&copy);
        }
    }
    buf_fini(&body);
}

/* CVE-2015-4054: a packet in an unexpected state dereferenced NULL. Every type byte in every state,
 * with bodies of 0, 1 and 64 bytes. */
static void cve_2015_4054_any_message_in_any_state(void **state)
{
    static const size_t sizes[] = { 0, 1, 64 };
    char body[64];
    memset(body, 'n', sizeof body);
    for (int m = AUTH_SCRAM; m < AUTH_METHOD_COUNT; m++)
        for (int type = 0; type < 256; type++)
            for (size_t i = 0; i < 3; i++) {
                /* Code 14 is answered by 'i', which has a test of its own. */
                if (type == (m == AUTH_DIGEST ? 'd' : m == AUTH_IDP ? 'i' : 'p')) continue;
                assert_int_equal(answer(*state, (enum auth_method)m, "ana", (uint8_t)type,
                                        slice_of(body, sizes[i])),
                                 VERIFY_BAD);
            }
    /* Before the beginning, and after the end. */
    struct buf out = { 0 };
    struct err err;
    struct verify *v = verify_new(&(struct verify_setup){ .method = AUTH_TRUST });
    assert_int_equal(verify_message(v, 'p', slice_of(NULL, 0), &out, &err), VERIFY_BAD);
    assert_int_equal(verify_begin(v, &out), VERIFY_FAILED);
    assert_int_equal(verify_message(v, 'p', slice_of(NULL, 0), &out, &err), VERIFY_BAD);
    verify_free(v);
    verify_free(NULL);
}

static void no_message_is_needed_for_trust_and_certificates(void **state)
{
    struct world *w = *state;
    struct buf out = { 0 };
    for (int m = AUTH_NONE; m <= AUTH_CERT; m++) {
        struct verify_setup setup = { .method = (enum auth_method)m,
                                      .user = users_find(w->users, slice_str("guest")) };
        struct verify *v = verify_new(&setup);
        assert_int_equal(verify_begin(v, &out), m == AUTH_NONE ? VERIFY_FAILED : VERIFY_OK);
        verify_free(v);
        setup.user = NULL;
        v = verify_new(&setup);
        assert_int_equal(verify_begin(v, &out), VERIFY_FAILED);
        verify_free(v);
    }
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_and_wrong_passwords),
        cmocka_unit_test(unknown_users_are_asked_alike),
        cmocka_unit_test(requests_have_their_bytes),
        cmocka_unit_test(cve_2017_7546_empty_passwords_never_pass),
        cmocka_unit_test(odd_password_messages_are_refused),
        cmocka_unit_test(cleartext_needs_a_private_connection),
        cmocka_unit_test(slow_hashes_can_be_done_elsewhere),
        cmocka_unit_test(only_a_scram_verifier_is_enough_for_cleartext),
        cmocka_unit_test(tokens_are_kept_for_the_caller),
        cmocka_unit_test(cve_2026_6664_lying_lengths_are_refused),
        cmocka_unit_test(odd_digest_messages_are_refused),
        cmocka_unit_test(cve_2015_4054_any_message_in_any_state),
        cmocka_unit_test(no_message_is_needed_for_trust_and_certificates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
