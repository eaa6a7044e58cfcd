/* io/http: exactly the headers that were given, the cap, both timeouts, no redirects, proxies, and
 * every way to stop; against a server of a screen's length. */
#include "unit/unit.h"

#include "proxy/io/http.h"

#include "protocol/buf.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct site {
    int listener;
    uint16_t port;
    pthread_t thread;
};

/* Reads a request: its head, and a body of at most a few bytes that came with it. */
static size_t read_request(int fd, char *text, size_t cap)
{
    size_t len = 0;
    while (len < cap - 1) {
        ssize_t n = recv(fd, text + len, cap - 1 - len, 0);
        if (n <= 0) break;
        len += (size_t)n;
        text[len] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        if (end && (!length || len >= (size_t)(end - text) + 4 + (size_t)atoi(length + 16))) break;
    }
    text[len] = 0;
    return len;
}

static void say(int fd, const char *head, const char *body, size_t len)
{
    char text[256];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nX-One: 1 \r\n\r\n",
                     head, len);
    send(fd, text, (size_t)n, MSG_NOSIGNAL);
    send(fd, body, len, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    struct site *site = arg;
    static char big[100000];
    for (;;) {
        char text[4096];
        int fd = accept(site->listener, NULL, NULL);
        if (fd < 0) return NULL;
        size_t len = read_request(fd, text, sizeof text);
        if (strstr(text, "/big"))
            say(fd, "200 OK", big, sizeof big);
        else if (strstr(text, "/cut"))
            send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 42, MSG_NOSIGNAL);
        else if (strstr(text, "/slow"))
            usleep(600 * 1000);
        else if (strstr(text, "/moved"))
            say(fd, "302 Found\r\nLocation: /echo", "", 0);
        else if (strstr(text, "/bad"))
            say(fd, "500 Oh", "no", 2);
        else
            say(fd, "200 OK", text, len);
        close(fd);
    }
}

static void open_site(struct site *site)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    site->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(site->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(site->listener, 8), 0);
    getsockname(site->listener, (struct sockaddr *)&at, &size);
    site->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&site->thread, NULL, serve, site), 0);
}

static void close_site(struct site *site)
{
    shutdown(site->listener, SHUT_RDWR);
    pthread_join(site->thread, NULL);
    close(site->listener);
}

struct asker {
    struct http *http;
    unsigned told;
    enum http_failure failure;
    int status;
    char one[16], body[4096];
};

static void on_done(void *owner, const struct http_answer *answer)
{
    struct asker *a = owner;
    a->told++;
    a->failure = answer->failure;
    a->status = answer->status;
    for (size_t i = 0; i < answer->header_count; i++)
        if (slice_is(answer->headers[i].name, "X-One"))
            snprintf(a->one, sizeof a->one, "%.*s", SLICE_ARG(answer->headers[i].value));
    snprintf(a->body, sizeof a->body, "%.*s", SLICE_ARG(answer->body));
    http_close(a->http); /* so that the loop ends */
}

static struct http_request request_to(const struct site *site, const char *path, char url[128])
{
    snprintf(url, 128, "http://127.0.0.1:%u%s", site->port, path);
    return (struct http_request){ .method = "GET",
                                  .url = slice_str(url),
                                  .connect_timeout_ms = 2000,
                                  .timeout_ms = 5000,
                                  .answer_cap_bytes = 10000 };
}

static struct asker ask(const struct http_request *request)
{
    uv_loop_t uv;
    struct asker a = { 0 };
    uv_loop_init(&uv);
    a.http = http_open(&uv, NULL);
    assert_non_null(http_send(a.http, request, on_done, &a));
    assert_int_equal(a.told, 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(a.told, 1);
    assert_int_equal(uv_loop_close(&uv), 0);
    return a;
}

static void sends_what_it_is_given(void **state)
{
    char url[128], expected[512];
    struct http_request r = request_to(*state, "/a%20b?x=%2F&y", url);
    r.method = "POST";
    r.body = slice_str("Action=X");
    r.headers[0] = (struct http_header){ slice_str("Host"), slice_str("sts.amazonaws.com") };
    r.headers[1] = (struct http_header){ slice_str("X-Amz-Date"), slice_str("today") };
    r.headers[2] = (struct http_header){ slice_str("X-Empty"), slice_str("") };
    r.header_count = 3;
    struct asker a = ask(&r);
    snprintf(expected, sizeof expected,
             "POST /a%%20b?x=%%2F&y HTTP/1.1\r\nHost: sts.amazonaws.com\r\nX-Amz-Date: today\r\n"
             "X-Empty:\r\nContent-Length: 8\r\n\r\nAction=X");
    assert_int_equal(a.failure, HTTP_OK);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.one, "1");
    assert_string_equal(a.body, expected);
}

static void other_methods(void **state)
{
    char url[128];
    struct http_request r = request_to(*state, "/echo", url);
    r.method = "PUT"; /* EC2 metadata: a PUT without a body */
    struct asker a = ask(&r);
    assert_non_null(strstr(a.body, "PUT /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(a.body, "Content-Length: 0\r\n"));
    assert_null(strstr(a.body, "Content-Type"));
    r = request_to(*state, "/bad", url);
    a = ask(&r);
    assert_int_equal(a.failure, HTTP_OK);
    assert_int_equal(a.status, 500);
    assert_string_equal(a.body, "no");
}

static void refuses(void **state)
{
    char url[128];
    struct http_request r = request_to(*state, "/big", url);
    assert_int_equal(ask(&r).failure, HTTP_TOO_LARGE);
    r = request_to(*state, "/cut", url);
    assert_int_equal(ask(&r).failure, HTTP_BROKEN);
    r = request_to(*state, "/moved", url);
    assert_int_equal(ask(&r).status, 302);
    r.url = slice_str("file:///etc/passwd");
    assert_int_equal(ask(&r).failure, HTTP_BROKEN);
    r.url = slice_str("http://127.0.0.1:1/");
    assert_int_equal(ask(&r).failure, HTTP_CANNOT_CONNECT);
    r.url = slice_str("http://name.invalid/");
    assert_int_equal(ask(&r).failure, HTTP_CANNOT_RESOLVE);
    r = request_to(*state, "/slow", url);
    r.timeout_ms = 100;
    assert_int_equal(ask(&r).failure, HTTP_TIMEOUT);
}

static void proxies(void **state)
{
    const struct site *site = *state;
    char proxy[64];
    struct http_request r;
    char url[128];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", site->port);
    setenv("http_proxy", proxy, 1);
    r = request_to(site, "", url);
    r.url = slice_str("http://name.invalid/echo");
    struct asker a = ask(&r);
    assert_int_equal(a.failure, HTTP_OK);
    assert_non_null(strstr(a.body, "GET http://name.invalid/echo HTTP/1.1"));
    r.direct = true;
    assert_int_equal(ask(&r).failure, HTTP_CANNOT_RESOLVE);
    r.direct = false;
    setenv("no_proxy", "name.invalid", 1);
    assert_int_equal(ask(&r).failure, HTTP_CANNOT_RESOLVE);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
}

static void stops(void **state)
{
    char url[128];
    struct http_request r = request_to(*state, "/slow", url);
    for (int cancel = 0; cancel < 2; cancel++) {
        uv_loop_t uv;
        struct asker a = { 0 };
        uv_loop_init(&uv);
        a.http = http_open(&uv, NULL);
        struct http_call *call = http_send(a.http, &r, on_done, &a);
        assert_non_null(call);
        for (int turn = 0; turn < 3; turn++) uv_run(&uv, UV_RUN_NOWAIT);
        if (cancel) http_cancel(call);
        http_close(a.http);
        uv_run(&uv, UV_RUN_DEFAULT);
        assert_int_equal(a.told, 0);
        assert_int_equal(uv_loop_close(&uv), 0);
    }
}

int main(void)
{
    struct site site;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(sends_what_it_is_given, &site),
        cmocka_unit_test_prestate(other_methods, &site),
        cmocka_unit_test_prestate(refuses, &site),
        cmocka_unit_test_prestate(proxies, &site),
        cmocka_unit_test_prestate(stops, &site),
    };
    open_site(&site);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    close_site(&site);
    return failed;
}
