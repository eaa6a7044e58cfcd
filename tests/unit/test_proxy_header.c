/* proxy_header: both versions as the specification writes them, cut anywhere, and what must not
 * pass for one. */
#include "unit/unit.h"

#include "proxy/io/proxy_header.h"

#include <stdlib.h>

enum { BOTH = PROXY_HEADER_V1 | PROXY_HEADER_V2 };

#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

/* In memory of exactly its size, so that a byte too far is seen by ASan. */
static struct proxy_header read_bytes(struct slice in, unsigned kinds)
{
    char *copy = malloc(in.len + 1);
    memcpy(copy + 1, in.at, in.len);
    struct proxy_header h = proxy_header_read(slice_of(copy + 1, in.len), kinds);
    free(copy);
    return h;
}

/* Whole it is the result, cut it is MORE, and what follows is not looked at. */
static struct proxy_header whole(struct slice in, enum proxy_header_result expected)
{
    char followed[600];
    struct proxy_header h = read_bytes(in, BOTH);
    assert_int_equal(h.result, expected);
    assert_int_equal(h.size, in.len);
    for (size_t n = 0; n < in.len; n++)
        assert_int_equal(read_bytes(slice_of(in.at, n), BOTH).result, PROXY_HEADER_MORE);
    memcpy(followed, in.at, in.len);
    memset(followed + in.len, '\n', 16);
    assert_int_equal(read_bytes(slice_of(followed, in.len + 16), BOTH).size, in.len);
    return h;
}

static void lines_of_text(void **state)
{
    (void)state;
    struct proxy_header h =
        whole(BYTES("PROXY TCP4 203.0.113.7 10.0.0.1 56324 5439\r\n"), PROXY_HEADER_CLIENT);
    assert_false(h.is_v6);
    assert_memory_equal(h.address, "\xcb\x00\x71\x07", 4);
    assert_int_equal(h.port, 56324);
    h = whole(BYTES("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), PROXY_HEADER_CLIENT);
    assert_true(h.is_v6);
    assert_memory_equal(h.address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    whole(BYTES("PROXY UNKNOWN\r\n"), PROXY_HEADER_LOCAL);
    whole(BYTES("PROXY UNKNOWN ffff:: ffff:: 1 2 and more\r\n"), PROXY_HEADER_LOCAL);
}

static void bad_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY TCP4 203.0.113.7 10.0.0.1 56324 5439\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 56324 5439 \r\n",
        "PROXY  TCP4 203.0.113.7 10.0.0.1 56324 5439\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 056324 5439\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 65536 5439\r\n",
        "PROXY TCP4 203.0.113.7 10.0.0.1 -1 5439\r\n",
        "PROXY TCP4 203.0.113 10.0.0.1 1 5439\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 5439\r\n",
        "PROXY TCP6 203.0.113.7 10.0.0.1 1 5439\r\n",
        "PROXY UDP4 203.0.113.7 10.0.0.1 1 5439\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "proxy TCP4 203.0.113.7 10.0.0.1 1 5439\r\n",
        "GET / HTTP/1.1\r\n",
        "\r\nPROXY",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(read_bytes(slice_str(lines[i]), BOTH).result, PROXY_HEADER_BAD);
    char endless[200] = "PROXY ";
    memset(endless + 6, 'a', sizeof endless - 6);
    assert_int_equal(read_bytes(slice_of(endless, 106), BOTH).result, PROXY_HEADER_MORE);
    assert_int_equal(read_bytes(slice_of(endless, 107), BOTH).result, PROXY_HEADER_BAD);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void binary(void **state)
{
    (void)state;
    struct proxy_header h = whole(
        BYTES(SIGNATURE "\x21\x11\0\x0c\xcb\0\x71\7\x0a\0\0\1\xdc\4\x15\x3f"), PROXY_HEADER_CLIENT);
    assert_false(h.is_v6);
    assert_memory_equal(h.address, "\xcb\x00\x71\x07", 4);
    assert_int_equal(h.port, 56324);
    /* With an endpoint id behind the addresses, as a network load balancer of AWS sends it. */
    whole(BYTES(SIGNATURE "\x21\x11\0\x16\xcb\0\x71\7\x0a\0\0\1\xdc\4\x15\x3f\xea\0\7\1vpce-1"),
          PROXY_HEADER_CLIENT);
    h = whole(BYTES(SIGNATURE "\x21\x21\0\x24"
                              "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                              "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\x15\x3f"),
              PROXY_HEADER_CLIENT);
    assert_true(h.is_v6);
    assert_int_equal(h.address[15], 1);
    assert_int_equal(h.port, 1);
    whole(BYTES(SIGNATURE "\x20\0\0\0"), PROXY_HEADER_LOCAL);
    whole(BYTES(SIGNATURE "\x20\x11\0\x0c\xcb\0\x71\7\x0a\0\0\1\xdc\4\x15\x3f"),
          PROXY_HEADER_LOCAL);
    whole(BYTES(SIGNATURE "\x21\0\0\0"), PROXY_HEADER_LOCAL);
}

static void bad_binary(void **state)
{
    (void)state;
    static const struct slice all[] = {
        { SIGNATURE "\x11\x11\0\x0c............", 28 },   /* version 1 */
        { SIGNATURE "\x22\x11\0\x0c............", 28 },   /* an unknown command */
        { SIGNATURE "\x21\x12\0\x0c............", 28 },   /* UDP */
        { SIGNATURE "\x21\x31\0\x0c............", 28 },   /* a Unix socket */
        { SIGNATURE "\x21\x11\0\x0b...........", 27 },    /* too short for its addresses */
        { SIGNATURE "\x21\x21\0\x0c............", 28 },   /* likewise */
        { SIGNATURE "\x21\x11\xff\xff............", 28 }, /* larger than we hold */
        { "\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0", 16 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(read_bytes(all[i], BOTH).result, PROXY_HEADER_BAD);
}

static void only_the_kinds_that_are_accepted(void **state)
{
    (void)state;
    struct slice v1 = BYTES("PROXY UNKNOWN\r\n"), v2 = BYTES(SIGNATURE "\x20\0\0\0");
    assert_int_equal(read_bytes(v1, PROXY_HEADER_V1).result, PROXY_HEADER_LOCAL);
    assert_int_equal(read_bytes(v1, PROXY_HEADER_V2).result, PROXY_HEADER_BAD);
    assert_int_equal(read_bytes(v2, PROXY_HEADER_V2).result, PROXY_HEADER_LOCAL);
    assert_int_equal(read_bytes(v2, PROXY_HEADER_V1).result, PROXY_HEADER_BAD);
    /* A PostgreSQL client that comes without a load balancer. */
    assert_int_equal(read_bytes(BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), BOTH).result,
                     PROXY_HEADER_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(binary),
        cmocka_unit_test(bad_binary),
        cmocka_unit_test(only_the_kinds_that_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
