/* access: networks, order, the whole internet, and both questions. */
#include "unit/unit.h"

#include "auth/access.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool add(struct access *a, const char *from, const char *user, enum access_tls tls,
                bool unsafe, struct err *err)
{
    struct slice network = slice_str(from), name = slice_str(user);
    return access_add(a,
                      &(struct access_setup){ .from = &network,
                                              .from_count = 1,
                                              .users = &name,
                                              .user_count = 1,
                                              .tls = tls,
                                              .unsafe = unsafe },
                      err);
}

static struct access_question ask(const char *address, const char *user, bool tls, uint8_t *bytes)
{
    struct access_question q = { .bytes = bytes, .user = slice_str(user), .tls = tls };
    if (strcmp(address, "unix") == 0)
        q.family = ACCESS_UNIX;
    else if (inet_pton(AF_INET, address, bytes) == 1)
        q.family = ACCESS_V4;
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        q.family = ACCESS_V6;
    else
        fail_msg("%s", address);
    return q;
}

static int rule(const struct access *a, const char *address, const char *user, bool tls)
{
    uint8_t bytes[16];
    struct access_question q = ask(address, user, tls, bytes);
    int index = access_rule(a, &q);
    assert_int_equal(access_allows(a, &q), index >= 0);
    if (index >= 0) assert_true(access_admits(a, &q));
    return index;
}

static bool admits(const struct access *a, const char *address, bool tls)
{
    uint8_t bytes[16];
    struct access_question q = ask(address, "", tls, bytes);
    return access_admits(a, &q);
}

static void the_first_rule_that_fits(void **state)
{
    (void)state;
    struct access *a = access_new();
    struct err err;
    assert_true(add(a, "10.0.0.0/16", "*", ACCESS_TLS_ONLY, false, &err));
    assert_true(add(a, "203.0.113.7", "ana", ACCESS_TLS_ANY, false, &err));
    assert_true(add(a, "10.0.0.0/8", "batch_*", ACCESS_TLS_NEVER, false, &err));
    assert_true(add(a, "2001:db8::/33", "*", ACCESS_TLS_ANY, false, &err));
    assert_true(add(a, "unix", "root", ACCESS_TLS_ANY, false, &err));
    assert_true(access_seal(a, &err));

    assert_int_equal(rule(a, "10.0.255.1", "ana", true), 0);
    assert_int_equal(rule(a, "10.0.255.1", "batch_x", true), 0);
    assert_int_equal(rule(a, "10.0.255.1", "batch_x", false), 2);
    assert_int_equal(rule(a, "10.0.255.1", "ana", false), -1);
    assert_int_equal(rule(a, "10.1.0.0", "ana", true), -1);
    assert_int_equal(rule(a, "10.255.0.1", "batch_", false), 2);
    assert_int_equal(rule(a, "10.255.0.1", "batch", false), -1);
    assert_int_equal(rule(a, "11.0.0.0", "batch_x", false), -1);
    assert_int_equal(rule(a, "203.0.113.7", "ana", false), 1);
    assert_int_equal(rule(a, "203.0.113.6", "ana", false), -1);
    assert_int_equal(rule(a, "203.0.113.7", "eve", false), -1);
    assert_int_equal(rule(a, "2001:db8:7fff::1", "x", true), 3);
    assert_int_equal(rule(a, "2001:db8:8000::1", "x", true), -1);
    assert_int_equal(rule(a, "unix", "root", false), 4);
    assert_int_equal(rule(a, "unix", "ana", false), -1);

    /* Before anybody is named. */
    assert_true(admits(a, "203.0.113.7", false));
    assert_true(admits(a, "10.0.0.1", false)); /* a batch could */
    assert_false(admits(a, "10.1.0.1", true));
    assert_false(admits(a, "192.0.2.1", true));
    assert_true(admits(a, "unix", false));
    access_free(a);
}

static void nothing_is_allowed_by_default(void **state)
{
    (void)state;
    struct access *a = access_new();
    struct err err;
    assert_true(access_seal(a, &err));
    assert_int_equal(rule(a, "127.0.0.1", "ana", true), -1);
    assert_int_equal(rule(a, "::1", "ana", true), -1);
    assert_int_equal(rule(a, "unix", "ana", true), -1);
    access_free(a);
    access_free(NULL);
}

static void mapped_addresses_are_ipv4(void **state)
{
    (void)state;
    struct access *a = access_new();
    struct err err;
    assert_true(add(a, "10.0.0.0/8", "*", ACCESS_TLS_ANY, false, &err));
    assert_true(add(a, "::ffff:192.0.2.0/120", "*", ACCESS_TLS_ANY, false, &err));
    assert_int_equal(rule(a, "::ffff:10.1.2.3", "ana", true), 0);
    assert_int_equal(rule(a, "192.0.2.77", "ana", true), 1);
    assert_int_equal(rule(a, "192.0.3.77", "ana", true), -1);
    /* 10.0.0.0 in other corners of IPv6 is something else. */
    assert_int_equal(rule(a, "::10.1.2.3", "ana", true), -1);
    assert_int_equal(rule(a, "a01:203::", "ana", true), -1);
    access_free(a);
}

static void every_prefix_length_is_exact(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 32; bits++) {
        struct access *a = access_new();
        struct err err;
        char text[32], address[32];
        uint32_t base = 0xC0000000u | 0x5a5a5au, mask = ~0u << (32 - bits), in = base & mask;
        snprintf(text, sizeof text, "%u.%u.%u.%u/%u", in >> 24, in >> 16 & 255, in >> 8 & 255,
                 in & 255, bits);
        assert_true(add(a, text, "*", ACCESS_TLS_ANY, false, &err));
        uint32_t last = in | ~mask, flipped = in ^ (1u << (32 - bits));
        uint32_t probes[] = { in, last, flipped, flipped | ~mask };
        for (int i = 0; i < 4; i++) {
            snprintf(address, sizeof address, "%u.%u.%u.%u", probes[i] >> 24, probes[i] >> 16 & 255,
                     probes[i] >> 8 & 255, probes[i] & 255);
            assert_int_equal(rule(a, address, "ana", true), i < 2 ? 0 : -1);
        }
        access_free(a);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *expected;
    } cases[] = {
        { "10.1.0.0/8", "10.0.0.0/8" },
        { "10.0.0.1/31", "10.0.0.0/31" },
        { "192.168.1.255/25", "192.168.1.128/25" },
        { "2001:db8::1/64", "2001:db8::/64" },
        { "::ffff:10.0.0.1/104", "10.0.0.0/8" },
        { "10.0.0.0/33", "0 to 32" },
        { "2001:db8::/129", "0 to 128" },
        { "10.0.0.0/", "0 to 32" },
        { "10.0.0.0/-1", "0 to 32" },
        { "10.0.0.0/08", "0 to 32" },
        { "10.0.0.0/8 ", "0 to 32" },
        { "10.0.0.0/8/8", "0 to 32" },
        { "10.0.0.0/4294967304", "0 to 32" },
        { "10.0.0", "not an IPv4" },
        { "010.0.0.0/8", "not an IPv4" },
        { "", "not an IPv4" },
        { "/8", "not an IPv4" },
        { "*", "not an IPv4" },
        { "localhost", "not an IPv4" },
        { "fe80::1%eth0", "not an IPv4" },
        { "0.0.0.0/0", "unsafe" },
        { "::/0", "unsafe" },
        { "::ffff:0:0/96", "unsafe" },
        { "::/1", "unsafe" },
        { "2000::/3", "unsafe" },
        { "::/80", "unsafe" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct access *a = access_new();
        struct err err = { 0 };
        assert_false(add(a, cases[i].from, "*", ACCESS_TLS_ANY, false, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        if (!strstr(err.message, cases[i].expected)) fail_msg("%s: %s", cases[i].from, err.message);
        assert_int_equal(rule(a, "10.0.0.1", "x", true), -1);
        access_free(a);
    }
    struct access *a = access_new();
    struct err err;
    struct slice one = slice_str("10.0.0.1");
    assert_false(access_add(a, &(struct access_setup){ .from = &one, .from_count = 1 }, &err));
    assert_false(access_add(a, &(struct access_setup){ .users = &one, .user_count = 1 }, &err));
    access_free(a);
}

static void the_whole_internet_must_be_meant(void **state)
{
    (void)state;
    static const char *const whole[] = { "0.0.0.0/0", "::/0", "::ffff:0:0/96" };
    for (size_t i = 0; i < 3; i++) {
        struct access *a = access_new();
        struct err err;
        assert_true(add(a, whole[i], "*", ACCESS_TLS_ANY, true, &err));
        assert_true(access_seal(a, &err));
        assert_int_equal(rule(a, "203.0.113.9", "x", true), 0);
        assert_int_equal(rule(a, "2001:db8::9", "x", true), i == 1 ? 0 : -1);
        access_free(a);
    }
    /* In pieces. */
    static const char *const halves[][3] = { { "0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2" },
                                             { "2000::/4", "3000::/5", "3800::/5" } };
    for (size_t i = 0; i < 2; i++)
        for (int pieces = 2; pieces <= 3; pieces++)
            for (int unsafe = 0; unsafe < 2; unsafe++) {
                struct access *a = access_new();
                struct err err;
                for (int k = 0; k < pieces; k++)
                    assert_true(add(a, halves[i][k], "*", ACCESS_TLS_ANY, k == 0 && unsafe, &err));
                assert_int_equal(access_seal(a, &err), pieces == 2 || unsafe);
                access_free(a);
            }
}

static void stars_in_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool fits;
    } cases[] = {
        { "*", "", true },          { "*", "ana", true },       { "ana", "ana", true },
        { "ana", "anab", false },   { "a*a", "aa", true },      { "a*a", "a", false },
        { "a*b*c", "aXbYc", true }, { "a*b*c", "aXbY", false }, { "**x", "abx", true },
        { "*ab", "aaab", true },    { "", "", true },           { "", "a", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct access *a = access_new();
        struct err err;
        assert_true(add(a, "10.0.0.0/8", cases[i].pattern, ACCESS_TLS_ANY, false, &err));
        assert_int_equal(rule(a, "10.0.0.1", cases[i].name, true) == 0, cases[i].fits);
        access_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits),
        cmocka_unit_test(nothing_is_allowed_by_default),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(every_prefix_length_is_exact),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_whole_internet_must_be_meant),
        cmocka_unit_test(stars_in_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
