/* users, choose: building the table of users, and what each client is asked. */
#include "unit/unit.h"

#include "auth/choose.h"

static const struct map_seed seed = { 3, 4 };
static const char key[USERS_KEY_BYTES] = "0123456789abcdef0123456789abcde";
static const char scram_text[] =
    "SCRAM-SHA-256$4096:2QmXRmBenKf81MsHn7cxlw==$Z9EpIhpibJuRhEuzP2sxT6yppTH1Cd7S2TBKT5M+yH0=:"
    "tfdtlq/yqOhxFMGkE9idCNfrMhmDysVnMlPfusn0HXA=";
static const char digest_text[] =
    "sha256|821708135fcc42eb3afda85286dee0ed15c2c461d000291609f77eb113073ec2|"
    "c721bff5d9042cf541ff7b9d48fa8a6e545c19a763e3710151f9513038b0f6c6";
static const char md5_text[] = "md5153c434b4b77c89e6b94f12c5393af5b";

static struct users *table(const struct users *previous)
{
    struct users *u = users_new(seed, slice_of(key, sizeof key), previous);
    assert_non_null(u);
    return u;
}

static bool add(struct users *u, const char *name, unsigned methods, const char *password,
                struct err *err)
{
    struct slice passwords[] = { slice_str(password) };
    struct slice arn = slice_str("arn:aws:iam::123456789012:role/x");
    return users_add(u,
                     &(struct user_setup){ .name = slice_str(name),
                                           .methods = methods,
                                           .role = slice_str("reader"),
                                           .db_user = slice_str("db"),
                                           .arns = &arn,
                                           .arn_count = methods & AUTH_BIT(AUTH_IAM) ? 1 : 0,
                                           .passwords = passwords,
                                           .password_count = password ? 1 : 0 },
                     err);
}

static void methods_have_the_configs_names(void **state)
{
    (void)state;
    const char *names[] = { "trust", "cert", "scram-sha-256", "md5", "digest", "cleartext", "iam" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        enum auth_method method = auth_method_of(slice_str(names[i]));
        assert_int_not_equal(method, AUTH_NONE);
        assert_string_equal(auth_method_text(method), names[i]);
    }
    assert_int_equal(auth_method_of(slice_str("none")), AUTH_NONE);
    assert_int_equal(auth_method_of(slice_str("scram")), AUTH_NONE);
    assert_int_equal(AUTH_NONE, 0);
}

static void everything_is_copied_and_found(void **state)
{
    (void)state;
    struct users *u = table(NULL);
    struct err err;
    char name[] = "ana", role[] = "analyst", arn[] = "arn:one", common[] = "Ana";
    struct slice arns[] = { slice_str(arn), slice_str("arn:two") };
    struct slice names[] = { slice_str(common) };
    assert_true(users_add(u,
                          &(struct user_setup){ .name = slice_str(name),
                                                .methods = AUTH_BIT(AUTH_IAM) | AUTH_BIT(AUTH_CERT),
                                                .console = CONSOLE_OPERATOR,
                                                .role = slice_str(role),
                                                .role_index = 7,
                                                .arns = arns,
                                                .arn_count = 2,
                                                .certificate_names = names,
                                                .certificate_name_count = 1 },
                          &err));
    name[0] = role[0] = arn[0] = common[0] = '?';
    assert_true(users_seal(u));
    const struct user *ana = users_find(u, slice_str("ana"));
    assert_non_null(ana);
    assert_true(slice_is(ana->name, "ana"));
    assert_true(slice_is(ana->role, "analyst"));
    assert_true(slice_is(ana->arns[0], "arn:one"));
    assert_true(slice_is(ana->arns[1], "arn:two"));
    assert_true(slice_is(ana->certificate_names[0], "Ana"));
    assert_int_equal(ana->console, CONSOLE_OPERATOR);
    assert_int_equal(ana->role_index, 7);
    assert_null(ana->scram);
    assert_null(users_find(u, slice_str("an")));
    assert_null(users_find(u, slice_str("anab")));
    assert_null(users_find(u, slice_str("")));
    assert_int_equal(users_count(u), 1);
    users_unref(users_ref(u));
    assert_non_null(users_find(u, slice_str("ana")));
    users_unref(u);
}

static void a_password_becomes_verifiers(void **state)
{
    (void)state;
    struct users *u = table(NULL);
    struct err err;
    unsigned all = AUTH_BIT(AUTH_SCRAM) | AUTH_BIT(AUTH_DIGEST) | AUTH_BIT(AUTH_MD5);
    assert_true(add(u, "ana", all, "se cret", &err));
    assert_true(users_seal(u));
    const struct user *ana = users_find(u, slice_str("ana"));
    assert_true(scram_verifier_check(ana->scram, slice_str("se cret")));
    assert_true(digest_verifier_check(ana->digest, slice_str("se cret")));
    assert_true(md5_verifier_check(ana->md5, slice_str("se cret"), slice_str("ana")));

    /* A reload keeps what did not change, and only that. */
    struct users *same = table(u), *other = table(u);
    assert_true(add(same, "ana", all, "se cret", &err));
    assert_true(add(other, "ana", all, "secret", &err));
    assert_true(users_seal(same));
    assert_true(users_seal(other));
    users_unref(u);
    ana = users_find(same, slice_str("ana"));
    assert_true(scram_verifier_check(ana->scram, slice_str("se cret")));
    ana = users_find(other, slice_str("ana"));
    assert_true(scram_verifier_check(ana->scram, slice_str("secret")));
    assert_false(scram_verifier_check(ana->scram, slice_str("se cret")));
    users_unref(same);
    users_unref(other);
}

static void stored_verifiers_are_told_apart(void **state)
{
    (void)state;
    struct users *u = table(NULL);
    struct err err;
    struct slice passwords[] = { slice_str(scram_text), slice_str(digest_text),
                                 slice_str(md5_text) };
    struct user_setup setup = { .name = slice_str("user1"),
                                .methods = AUTH_BIT(AUTH_SCRAM) | AUTH_BIT(AUTH_DIGEST) |
                                           AUTH_BIT(AUTH_MD5),
                                .passwords = passwords,
                                .password_count = 3 };
    assert_true(users_add(u, &setup, &err));
    assert_false(users_add(u, &setup, &err));
    assert_non_null(strstr(err.message, "user1"));
    assert_non_null(strstr(err.message, "twice"));
    const struct user *user = users_find(u, slice_str("user1"));
    assert_true(scram_verifier_check(user->scram, slice_str("correct horse battery staple")));
    assert_true(digest_verifier_check(user->digest, slice_str("Mypassword1")));
    assert_true(md5_verifier_check(user->md5, slice_str("ez"), user->name));
    passwords[1] = passwords[0];
    setup.name = slice_str("user2");
    assert_false(users_add(u, &setup, &err));
    assert_non_null(strstr(err.message, "same kind"));
    /* Not 32 digits: a password that happens to begin so. */
    assert_true(add(u, "odd", AUTH_BIT(AUTH_SCRAM), "md5 is my password", &err));
    users_unref(u);
}

static void mistakes_are_named_and_secrets_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned methods;
        const char *password;
        const char *expected;
    } cases[] = {
        { "", AUTH_BIT(AUTH_SCRAM), "canary", "name" },
        { "ana", 0, "canary", "no auth method" },
        { "ana", AUTH_BIT(AUTH_SCRAM), "", "empty" }, /* CVE-2017-7546 */
        { "ana", AUTH_BIT(AUTH_SCRAM), NULL, "SCRAM verifier" },
        { "ana", AUTH_BIT(AUTH_SCRAM), digest_text, "SCRAM verifier" },
        { "ana", AUTH_BIT(AUTH_DIGEST), scram_text, "sha256 verifier" },
        { "ana", AUTH_BIT(AUTH_MD5), scram_text, "md5 verifier" },
        { "ana", AUTH_BIT(AUTH_CLEARTEXT), NULL, "cleartext" },
        { "ana", AUTH_BIT(AUTH_SCRAM), "SCRAM-SHA-256$canary", "SCRAM verifier looks like" },
        { "ana", AUTH_BIT(AUTH_DIGEST), "sha256|canary", "digest verifier looks like" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct users *u = table(NULL);
        struct err err;
        assert_false(add(u, cases[i].name, cases[i].methods, cases[i].password, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.message, cases[i].expected));
        assert_null(strstr(err.message, "canary"));
        assert_int_equal(users_count(u), 0);
        users_unref(u);
    }
    struct users *u = table(NULL);
    struct err err;
    struct user_setup iam = { .name = slice_str("ana"), .methods = AUTH_BIT(AUTH_IAM) };
    assert_false(users_add(u, &iam, &err));
    assert_non_null(strstr(err.message, "ARN"));
    iam.name = slice_of("an\0a", 4);
    assert_false(users_add(u, &iam, &err));
    users_unref(u);
}

static void the_stranger_is_like_most(void **state)
{
    (void)state;
    struct users *u = table(NULL);
    struct err err;
    assert_true(add(u, "a", AUTH_BIT(AUTH_MD5), "x", &err));
    assert_true(add(u, "b", AUTH_BIT(AUTH_DIGEST), digest_text, &err));
    assert_true(add(u, "c", AUTH_BIT(AUTH_DIGEST), digest_text, &err));
    assert_true(users_seal(u));
    const struct user *stranger = users_stranger(u);
    assert_int_equal(stranger->methods, AUTH_BIT(AUTH_DIGEST));
    assert_int_equal(stranger->name.len, 0);
    assert_non_null(stranger->digest);
    assert_null(stranger->scram);
    users_unref(u);

    u = table(NULL);
    assert_true(users_seal(u));
    assert_int_equal(users_stranger(u)->methods, AUTH_BIT(AUTH_SCRAM));
    users_unref(u);
}

/* ---- choose ------------------------------------------------------------------------------- */

enum {
    AMAZON = 1,
    TLS = 2,
    LOOPBACK = 4,
    UNIX = 8,
    NAMED = 16, /* a certificate with the user's name */
    OTHER = 32, /* a certificate with another */
};

static struct auth_choice choose(unsigned methods, const char *password, unsigned where)
{
    struct users *u = table(NULL);
    struct err err;
    assert_true(add(u, "ana", methods, password, &err));
    assert_true(add(u, "x", AUTH_BIT(AUTH_SCRAM), "x", &err));
    assert_true(add(u, "y", AUTH_BIT(AUTH_SCRAM), "y", &err));
    assert_true(users_seal(u));
    struct slice named = slice_str("ana"), other = slice_of("ana\0.evil", 9);
    struct auth_circumstances how = {
        .redshift_driver = where & AMAZON,
        .tls = where & TLS,
        .loopback = where & LOOPBACK,
        .unix_socket = where & UNIX,
        .certificate_names = where & NAMED ? &named : &other,
        .certificate_name_count = where & (NAMED | OTHER) ? 1 : 0,
    };
    struct auth_choice choice =
        auth_choose(users_find(u, slice_str("ana")), users_stranger(u), &how);
    /* Only whether a user was chosen outlives the table. */
    static const struct user somebody;
    if (choice.user) choice.user = &somebody;
    users_unref(u);
    return choice;
}

#define BIT(m) AUTH_BIT(AUTH_##m)

static void each_driver_is_asked_what_it_speaks(void **state)
{
    (void)state;
    static const struct {
        unsigned methods;
        const char *password;
        unsigned where;
        enum auth_method method;
        bool is_mock;
    } cases[] = {
        { BIT(SCRAM) | BIT(DIGEST), "x", 0, AUTH_SCRAM, false },
        { BIT(SCRAM) | BIT(DIGEST), "x", AMAZON, AUTH_DIGEST, false },
        { BIT(SCRAM), scram_text, TLS, AUTH_SCRAM, false },
        { BIT(SCRAM), scram_text, TLS | AMAZON, AUTH_CLEARTEXT, false },
        { BIT(SCRAM), scram_text, AMAZON, AUTH_NONE, true }, /* never 3 without TLS */
        { BIT(SCRAM), scram_text, AMAZON | LOOPBACK, AUTH_NONE, true },
        { BIT(SCRAM), scram_text, AMAZON | UNIX, AUTH_CLEARTEXT, false },
        { BIT(DIGEST), digest_text, AMAZON, AUTH_DIGEST, false },
        { BIT(DIGEST), digest_text, TLS, AUTH_CLEARTEXT, false },
        { BIT(DIGEST), digest_text, 0, AUTH_SCRAM, true },
        { BIT(MD5), "x", 0, AUTH_MD5, false },
        { BIT(MD5) | BIT(SCRAM), "x", 0, AUTH_SCRAM, false },
        { BIT(MD5) | BIT(SCRAM), "x", AMAZON, AUTH_MD5, false },
        { BIT(CLEARTEXT), "x", TLS, AUTH_CLEARTEXT, false },
        { BIT(CLEARTEXT), "x", 0, AUTH_SCRAM, true },
        { BIT(IAM), NULL, TLS, AUTH_IAM, false },
        { BIT(IAM), NULL, 0, AUTH_SCRAM, true },
        { BIT(IAM) | BIT(SCRAM), "x", TLS, AUTH_IAM, false },
        { BIT(IAM) | BIT(SCRAM), "x", 0, AUTH_SCRAM, false },
        { BIT(CERT), NULL, TLS | NAMED, AUTH_CERT, false },
        { BIT(CERT), NULL, TLS | OTHER, AUTH_SCRAM, true }, /* "ana\0.evil" (CVE-2009-2408) */
        { BIT(CERT), NULL, TLS, AUTH_SCRAM, true },
        { BIT(CERT), NULL, NAMED, AUTH_SCRAM, true },
        { BIT(CERT) | BIT(SCRAM), "x", TLS | OTHER, AUTH_SCRAM, false },
        { BIT(SCRAM), "x", TLS | NAMED, AUTH_SCRAM, false }, /* cert is not listed */
        { BIT(TRUST), NULL, LOOPBACK, AUTH_TRUST, false },
        { BIT(TRUST), NULL, UNIX, AUTH_TRUST, false },
        { BIT(TRUST), NULL, TLS, AUTH_SCRAM, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct auth_choice choice = choose(cases[i].methods, cases[i].password, cases[i].where);
        assert_int_equal(choice.method, cases[i].method);
        assert_int_equal(choice.user == NULL, cases[i].is_mock);
    }
}

/* CVE-2015-6817: an unknown user came in as somebody else. */
static void cve_2015_6817_nobody_is_chosen_for_an_unknown_user(void **state)
{
    (void)state;
    struct slice name = slice_str("root");
    for (int m = AUTH_NONE + 1; m < AUTH_METHOD_COUNT; m++) {
        struct users *u = table(NULL);
        struct err err;
        assert_true(add(u, "ana", AUTH_BIT(m), "x", &err));
        assert_true(users_seal(u));
        struct auth_circumstances how = { .tls = true,
                                          .loopback = true,
                                          .unix_socket = true,
                                          .certificate_names = &name,
                                          .certificate_name_count = 1 };
        struct auth_choice choice = auth_choose(users_find(u, name), users_stranger(u), &how);
        assert_null(choice.user);
        users_unref(u);
    }
}

static void drivers_are_recognised(void **state)
{
    (void)state;
    assert_true(auth_is_redshift_driver(slice_str("Redshift JDBC Driver 2.1"), false));
    assert_true(auth_is_redshift_driver(slice_str(""), true));
    assert_false(auth_is_redshift_driver(slice_str(""), false));
    assert_false(auth_is_redshift_driver(slice_str("redshift"), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_have_the_configs_names),
        cmocka_unit_test(everything_is_copied_and_found),
        cmocka_unit_test(a_password_becomes_verifiers),
        cmocka_unit_test(stored_verifiers_are_told_apart),
        cmocka_unit_test(mistakes_are_named_and_secrets_are_not),
        cmocka_unit_test(the_stranger_is_like_most),
        cmocka_unit_test(each_driver_is_asked_what_it_speaks),
        cmocka_unit_test(cve_2015_6817_nobody_is_chosen_for_an_unknown_user),
        cmocka_unit_test(drivers_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
