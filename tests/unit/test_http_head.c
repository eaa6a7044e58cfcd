/* HTTP towards us: heads that are good, and all the ways in which they are not. */
#include "proxy/io/http_head.h"

#include "proxy/metrics_page.h"
#include "proxy/ops/metrics.h"
#include "unit/unit.h"

#include <stdlib.h>

static struct http_head good(const char *text)
{
    struct http_head head;
    unsigned status = 0;
    assert_int_equal(http_head_read(slice_str(text), &head, &status), HTTP_READ);
    return head;
}

static unsigned bad(const char *text)
{
    struct http_head head;
    unsigned status = 0;
    assert_int_equal(http_head_read(slice_str(text), &head, &status), HTTP_BAD);
    return status;
}

static void a_request(void **state)
{
    (void)state;
    const char *text = "POST /drain?now=1 HTTP/1.1\r\nHost: localhost:9439\r\n"
                       "content-length: 12\r\nOrigin:\thttp://evil \r\n\r\nhello";
    struct http_head h = good(text);
    assert_int_equal(h.method, HTTP_POST);
    assert_true(slice_is(h.path, "/drain"));
    assert_true(slice_is(h.query, "now=1"));
    assert_true(slice_is(h.host, "localhost:9439"));
    assert_true(slice_is(h.origin, "http://evil"));
    assert_null(h.fetch_site.at);
    assert_int_equal(h.body_bytes, 12);
    assert_int_equal(h.head_bytes, strlen(text) - 5);
    assert_true(h.keep_alive);
}

static void connections_that_go_on(void **state)
{
    (void)state;
    assert_true(good("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive);
    assert_false(good("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive);
    assert_false(good("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_int_equal(good("BREW / HTTP/1.0\r\n\r\n").method, HTTP_OTHER);
    assert_int_equal(good("HEAD / HTTP/1.0\r\n\r\n").method, HTTP_HEAD);
}

static void what_is_not_all_there(void **state)
{
    (void)state;
    const char *text = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_head h;
    unsigned status;
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_equal(http_head_read(slice_of(text, n), &h, &status), HTTP_MORE);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *text;
    } cases[] = {
        { 400, "GET / HTTP/1.1\r\n\r\n" },                       /* no Host */
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" }, /* two */
        { 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },           /* two blanks */
        { 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n" },           /* one too many */
        { 400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n" },    /* a proxy's form */
        { 400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n" },          /* a fragment */
        { 400, "GET /\r\n\r\n" },                                /* HTTP/0.9 */
        { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },            /* another version */
        { 400, "GET / http/1.1\r\nHost: a\r\n\r\n" },            /* case counts */
        { 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },           /* a blank before the colon */
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n" }, /* a folded line */
        { 400, "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n" },      /* LF alone */
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n" }, /* a control character */
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n" },     /* no name */
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n" },
        { 413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" },
        { 413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n" },
        { 501, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n" },
        { 400, "\x16\x03\x01\x02" }, /* TLS */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(bad(cases[i].text), cases[i].status);
}

static void a_head_has_an_end(void **state)
{
    (void)state;
    char *text = malloc(HTTP_HEAD_MAX + 10);
    struct http_head h;
    unsigned status = 0;
    memset(text, 'a', HTTP_HEAD_MAX + 10);
    assert_int_equal(http_head_read(slice_of(text, HTTP_HEAD_MAX), &h, &status), HTTP_MORE);
    assert_int_equal(http_head_read(slice_of(text, HTTP_HEAD_MAX + 1), &h, &status), HTTP_BAD);
    assert_int_equal(status, 431);
    free(text);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct buf out = { 0 };
    metrics_label(&out, slice_str("a\"b\\c\nd{}=é"));
    assert_true(slice_is(buf_slice(&out), "\"a\\\"b\\\\c\\nd{}=é\""));
    buf_fini(&out);
}

static void every_duration_has_a_bucket(void **state)
{
    (void)state;
    struct metrics m = { 0 };
    metrics_observe(&m, HISTOGRAM_wait_seconds, 0);
    metrics_observe(&m, HISTOGRAM_wait_seconds, 1);
    metrics_observe(&m, HISTOGRAM_wait_seconds, 3);
    metrics_observe(&m, HISTOGRAM_wait_seconds, 500000);
    metrics_observe(&m, HISTOGRAM_wait_seconds, 500001);
    const struct histogram *h = &m.histogram[HISTOGRAM_wait_seconds];
    assert_int_equal(h->bucket[0], 2);
    assert_int_equal(h->bucket[2], 1);
    assert_int_equal(h->bucket[HISTOGRAM_BOUNDS - 1], 1);
    assert_int_equal(h->bucket[HISTOGRAM_BOUNDS], 1);
    assert_int_equal(h->sum_ms, 1000005);
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_ms[i - 1] < histogram_bounds_ms[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request),
        cmocka_unit_test(connections_that_go_on),
        cmocka_unit_test(what_is_not_all_there),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_head_has_an_end),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(every_duration_has_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
