/* startup: every packet that may come before the first message, and what must not pass for one. */
#include "unit/unit.h"

#include "protocol/buf.h"
#include "protocol/frontend.h"
#include "protocol/startup.h"

#include <stdio.h>
#include <stdlib.h>

enum { SSL = 80877103, GSS = 80877104, CANCEL = 80877102, VERSION_3 = 3 << 16 };

/* A packet in memory of exactly its size, so that a byte too far is seen by ASan. */
static struct startup read_bytes(const void *bytes, size_t len)
{
    char *copy = malloc(len + 1);
    memcpy(copy + 1, bytes, len);
    struct startup s = startup_read(slice_of(copy + 1, len));
    free(copy);
    return s;
}

static enum startup_kind kind_of(uint32_t size, uint32_t code, size_t there)
{
    struct buf b = { 0 };
    buf_add_u32(&b, size);
    buf_add_u32(&b, code);
    if (there > 8) memset(buf_extend(&b, there - 8), 0, there - 8);
    struct startup s = read_bytes(b.at, there < b.len ? there : b.len);
    buf_fini(&b);
    return s.kind;
}

static struct buf session_packet(uint16_t minor)
{
    struct buf b = { 0 };
    uint32_t begun = frontend_startup_begin(&b, 3, minor);
    frontend_startup_add(&b, slice_str("user"), slice_str("ana"));
    frontend_startup_add(&b, slice_str("database"), slice_str("dev"));
    frontend_startup_add(&b, slice_str("application_name"), slice_str(""));
    frontend_startup_end(&b, begun);
    return b;
}

static void a_session(void **state)
{
    (void)state;
    struct buf b = session_packet(2);
    uint32_t size = b.len;
    buf_add_str(&b, "p\0\0\0\5"); /* a client that does not wait */
    struct startup s = startup_read(buf_slice(&b));
    assert_int_equal(s.kind, STARTUP_SESSION);
    assert_int_equal(s.size, size);
    assert_true(s.major == 3 && s.minor == 2);
    struct slice at = s.parameters, key, value;
    assert_true(startup_next(&at, &key, &value));
    assert_true(slice_is(key, "user") && slice_is(value, "ana"));
    assert_true(startup_next(&at, &key, &value));
    assert_true(slice_is(key, "database") && slice_is(value, "dev"));
    assert_true(startup_next(&at, &key, &value));
    assert_true(slice_is(key, "application_name") && value.len == 0);
    assert_false(startup_next(&at, &key, &value));
    assert_true(slice_is(startup_get(s.parameters, "database"), "dev"));
    assert_non_null(startup_get(s.parameters, "application_name").at);
    assert_null(startup_get(s.parameters, "Database").at);
    assert_null(startup_get(s.parameters, "ana").at);
    buf_fini(&b);
}

static void one_byte_at_a_time(void **state)
{
    (void)state;
    struct buf b = session_packet(0);
    for (size_t n = 0; n < b.len; n++) assert_int_equal(read_bytes(b.at, n).kind, STARTUP_MORE);
    assert_int_equal(read_bytes(b.at, b.len).kind, STARTUP_SESSION);
    buf_fini(&b);
    frontend_ssl_request(&b);
    for (size_t n = 0; n < b.len; n++) assert_int_equal(read_bytes(b.at, n).kind, STARTUP_MORE);
    assert_int_equal(read_bytes(b.at, b.len).kind, STARTUP_SSL_REQUEST);
    buf_fini(&b);
}

static void encryption_requests(void **state)
{
    (void)state;
    assert_int_equal(kind_of(8, SSL, 8), STARTUP_SSL_REQUEST);
    assert_int_equal(kind_of(8, GSS, 8), STARTUP_GSS_REQUEST);
    assert_int_equal(kind_of(9, SSL, 9), STARTUP_BAD);
    assert_int_equal(kind_of(9, GSS, 9), STARTUP_BAD);
    assert_int_equal(read_bytes("\x16", 1).kind, STARTUP_DIRECT_TLS);
    assert_int_equal(read_bytes("\x16\3\1", 3).kind, STARTUP_DIRECT_TLS);
    assert_int_equal(read_bytes("GET / HTTP/1.1\r\n", 16).kind, STARTUP_BAD);
    assert_int_equal(read_bytes("\x80", 1).kind, STARTUP_BAD);
}

/* CVE-2021-3935, CVE-2021-23214: what came in one breath with the request must be seen to be
 * there, so that it is never taken for what was encrypted. */
static void cve_2021_23214_bytes_behind_an_ssl_request(void **state)
{
    (void)state;
    struct buf b = { 0 }, session = session_packet(0);
    frontend_ssl_request(&b);
    buf_add_slice(&b, buf_slice(&session));
    for (size_t n = 8; n <= b.len; n++) {
        struct startup s = read_bytes(b.at, n);
        assert_int_equal(s.kind, STARTUP_SSL_REQUEST);
        assert_int_equal(s.size, 8);
    }
    buf_fini(&b);
    buf_fini(&session);
}

static void lengths_that_lie(void **state)
{
    (void)state;
    static const uint32_t lies[] = { 0,          1,          3,          4,
                                     5,          6,          7,          STARTUP_MAX + 1,
                                     0x7fff,     0xffff,     0x00ffffff, 0x40000000,
                                     0x7fffffff, 0x80000000, 0xffffffff };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        assert_int_equal(kind_of(lies[i], VERSION_3, 8), STARTUP_BAD);
        assert_int_equal(kind_of(lies[i], SSL, 8), STARTUP_BAD);
        /* Told as soon as the length is there. */
        assert_int_equal(kind_of(lies[i], VERSION_3, 4), STARTUP_BAD);
    }
    assert_int_equal(kind_of(8, VERSION_3, 8), STARTUP_BAD); /* no end of the list */
    assert_int_equal(kind_of(9, VERSION_3, 9), STARTUP_SESSION);
}

static void ten_thousand_bytes_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(STARTUP_MAX, 10000);
    for (size_t size = STARTUP_MAX - 1; size <= STARTUP_MAX + 1; size++) {
        struct buf b = { 0 };
        buf_add_u32(&b, (uint32_t)size);
        buf_add_u32(&b, VERSION_3);
        buf_add(&b, "user", 5);
        memset(buf_extend(&b, size - b.len), 'u', size - b.len);
        b.at[size - 2] = b.at[size - 1] = 0;
        enum startup_kind expected = size > STARTUP_MAX ? STARTUP_BAD : STARTUP_SESSION;
        assert_int_equal(read_bytes(b.at, b.len).kind, expected);
        buf_fini(&b);
    }
}

static enum startup_kind kind_of_list(const char *list, size_t len)
{
    struct buf b = { 0 };
    buf_add_u32(&b, (uint32_t)(8 + len));
    buf_add_u32(&b, VERSION_3);
    buf_add(&b, list, len);
    struct startup s = read_bytes(b.at, b.len);
    buf_fini(&b);
    return s.kind;
}

#define LIST(text) kind_of_list(text, sizeof(text) - 1)

/* CVE-2023-25725 of HAProxy: PostgreSQL stops at an empty key; what hides behind it must not be
 * read by anybody else. */
static void cve_2023_25725_an_empty_key_in_the_middle(void **state)
{
    (void)state;
    assert_int_equal(LIST("user\0ana\0\0"), STARTUP_SESSION);
    assert_int_equal(LIST("\0"), STARTUP_SESSION);
    assert_int_equal(LIST("user\0x\0\0evil\0yes\0\0"), STARTUP_BAD);
    assert_int_equal(LIST("user\0x\0\0\0"), STARTUP_BAD);
    assert_int_equal(LIST("\0user\0x\0\0"), STARTUP_BAD);
}

static void lists_without_an_end(void **state)
{
    (void)state;
    assert_int_equal(LIST(""), STARTUP_BAD);
    assert_int_equal(LIST("user"), STARTUP_BAD);
    assert_int_equal(LIST("user\0"), STARTUP_BAD);
    assert_int_equal(LIST("user\0ana"), STARTUP_BAD);
    assert_int_equal(LIST("user\0ana\0"), STARTUP_BAD);
    assert_int_equal(LIST("user\0ana\0database\0"), STARTUP_BAD);
    assert_int_equal(LIST("user\0\0\0"), STARTUP_SESSION); /* an empty value is one */
}

static void other_protocols(void **state)
{
    (void)state;
    assert_int_equal(kind_of(296, 2 << 16, 296), STARTUP_OLD);
    assert_int_equal(kind_of(9, 4 << 16, 9), STARTUP_OLD);
    assert_int_equal(kind_of(8, 1234 << 16 | 5681, 8), STARTUP_OLD);
    assert_int_equal(kind_of(9, 0, 9), STARTUP_OLD);
}

static void cancel_keys_of_four_to_256_bytes(void **state)
{
    (void)state;
    char key[300];
    memset(key, 'k', sizeof key);
    for (size_t len = 0; len <= sizeof key; len++) {
        struct buf b = { 0 };
        frontend_cancel(&b, 0x01020304, slice_of(key, len));
        struct startup s = startup_read(buf_slice(&b));
        if (len < 4 || len > STARTUP_CANCEL_KEY_MAX) {
            assert_int_equal(s.kind, STARTUP_BAD);
        } else {
            assert_int_equal(s.kind, STARTUP_CANCEL);
            assert_int_equal(s.cancel_pid, 0x01020304);
            assert_true(slice_eq(s.cancel_key, slice_of(key, len)));
            assert_int_equal(s.size, 12 + len);
        }
        buf_fini(&b);
    }
    assert_int_equal(kind_of(16, CANCEL, 16), STARTUP_CANCEL);
    assert_int_equal(kind_of(16, CANCEL, 15), STARTUP_MORE);
}

/* "name=value|name=value|!" for what startup_next_option makes of it; "!": not understood. */
static void check_options(const char *options, const char *expected)
{
    struct buf got = { 0 };
    struct slice at = slice_str(options);
    struct startup_option option;
    bool bad;
    while (startup_next_option(&at, &option, &bad)) {
        if (got.len) buf_add_str(&got, "|");
        if (bad)
            buf_add_str(&got, "!");
        else
            buf_addf(&got, "%.*s=%.*s", SLICE_ARG(option.name), SLICE_ARG(option.value));
    }
    if (!slice_is(buf_slice(&got), expected))
        fail_msg("%s: %.*s, not %s", options, SLICE_ARG(buf_slice(&got)), expected);
    buf_fini(&got);
}

static void options(void **state)
{
    (void)state;
    check_options("", "");
    check_options(" \t ", "");
    check_options("-c search_path=a,b", "search_path=a,b");
    check_options("-csearch_path=a", "search_path=a");
    check_options("--search-path=a-b", "search_path=a-b");
    check_options("-c statement-timeout=5s", "statement_timeout=5s");
    check_options("  -c a=1   --b=2\t-cc=3 ", "a=1|b=2|c=3");
    check_options("-c a=x\\ y -c b=\\\\", "a=x y|b=\\");
    check_options("-c a=x\\", "a=x");
    check_options("-c a=", "a=");
    check_options("-c a=b=c", "a=b=c");
    check_options("-c", "!");
    check_options("--", "!");
    check_options("-c a", "!");
    check_options("-c =a", "!");
    check_options("--=a", "!");
    check_options("-e -c a=1", "!|a=1");
    check_options("-S 100", "!|!");
    check_options("a=1", "!");
    check_options("-c -c a=1", "!|!");
}

/* Cut short it would be another value; better none. */
static void an_option_too_long(void **state)
{
    (void)state;
    for (size_t len = 1015; len < 1040; len++) {
        struct buf b = { 0 };
        struct startup_option option;
        bool bad;
        buf_add_str(&b, "-c p=");
        memset(buf_extend(&b, len), 'v', len);
        buf_add_str(&b, " -c q=1");
        struct slice at = buf_slice(&b);
        assert_true(startup_next_option(&at, &option, &bad));
        assert_int_equal(bad, len + 2 > sizeof option.word);
        if (!bad) assert_int_equal(option.value.len, len);
        assert_true(startup_next_option(&at, &option, &bad));
        assert_true(!bad && slice_is(option.name, "q"));
        assert_false(startup_next_option(&at, &option, &bad));
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session),
        cmocka_unit_test(one_byte_at_a_time),
        cmocka_unit_test(encryption_requests),
        cmocka_unit_test(cve_2021_23214_bytes_behind_an_ssl_request),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(ten_thousand_bytes_and_no_more),
        cmocka_unit_test(cve_2023_25725_an_empty_key_in_the_middle),
        cmocka_unit_test(lists_without_an_end),
        cmocka_unit_test(other_protocols),
        cmocka_unit_test(cancel_keys_of_four_to_256_bytes),
        cmocka_unit_test(options),
        cmocka_unit_test(an_option_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
