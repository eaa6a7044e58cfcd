#include "proxy/io/http.h"

#include "protocol/buf.h"
#include "protocol/list.h"
#include "proxy/io/amazon_roots.h"
#include "proxy/io/tls_context.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IDLE_CONNECTIONS = 8, /* that are kept for the next request */
};

struct http {
    uv_loop_t *uv;
    CURLM *multi;
    uv_timer_t timer;
    struct list calls;
    char *ca_bundle;
    unsigned open_handles; /* of libuv: the timer, and a poll for each socket */
};

/* A socket of libcurl's that is watched. */
struct watched {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t socket;
};

struct span {
    uint32_t at, len;
};

struct http_call {
    struct list node;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct buf request_body, head, body;
    struct span names[HTTP_MAX_HEADERS], values[HTTP_MAX_HEADERS];
    size_t header_count;
    uint32_t cap_bytes;
    bool too_large;
    http_done *done;
    void *owner;
};

/* ---- calls ---------------------------------------------------------------------------------- */

/* libcurl copied the lines; they may hold a signature or a session token. */
static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

static void call_free(struct http_call *c)
{
    list_remove(&c->node);
    if (c->easy) {
        curl_multi_remove_handle(c->http->multi, c->easy);
        curl_easy_cleanup(c->easy);
    }
    free_headers(c->headers);
    buf_fini(&c->request_body);
    buf_fini(&c->head);
    buf_fini(&c->body);
    free(c);
}

void http_cancel(struct http_call *call) { call_free(call); }

static enum http_failure failure_of(const struct http_call *c, CURLcode code)
{
    if (c->too_large) return HTTP_TOO_LARGE;
    switch (code) {
    case CURLE_OK: return c->head.failed || c->body.failed ? HTTP_BROKEN : HTTP_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return HTTP_CANNOT_RESOLVE;
    case CURLE_COULDNT_CONNECT: return HTTP_CANNOT_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: {
        /* The first is 0 as well on a connection that was there already. */
        curl_off_t connected_us = 0, asked_us = 0;
        curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
        curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &asked_us);
        return connected_us > 0 || asked_us > 0 ? HTTP_TIMEOUT : HTTP_CANNOT_CONNECT;
    }
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER: return HTTP_TLS;
    default: return HTTP_BROKEN;
    }
}

static void finish(struct http_call *c, CURLcode code)
{
    struct http_header headers[HTTP_MAX_HEADERS];
    struct http_answer answer = { .failure = failure_of(c, code) };
    if (answer.failure == HTTP_OK) {
        long status = 0;
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        for (size_t i = 0; i < c->header_count; i++)
            headers[i] = (struct http_header){
                { c->head.at + c->names[i].at, c->names[i].len },
                { c->head.at + c->values[i].at, c->values[i].len },
            };
        answer.status = (int)status;
        answer.headers = headers;
        answer.header_count = c->header_count;
        answer.body = buf_slice(&c->body);
    }
    /* Out of the list before anybody is told: who is told may close everything. */
    list_remove(&c->node);
    curl_multi_remove_handle(c->http->multi, c->easy);
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
    c->done(c->owner, &answer);
    call_free(c);
}

/* ---- what arrives --------------------------------------------------------------------------- */

static size_t take_body(char *at, size_t one, size_t len, void *owner)
{
    struct http_call *c = owner;
    (void)one;
    if (len > c->cap_bytes - c->body.len) {
        c->too_large = true;
        return 0;
    }
    buf_add(&c->body, at, len);
    return c->body.failed ? 0 : len;
}

static size_t take_header(char *at, size_t one, size_t len, void *owner)
{
    struct http_call *c = owner;
    (void)one;
    struct slice line = { at, (uint32_t)len };
    if (slice_starts(line, "HTTP/")) { /* an interim answer goes before the real one */
        buf_truncate(&c->head, 0);
        c->header_count = 0;
        return len;
    }
    const char *colon = memchr(at, ':', len);
    if (!colon || c->header_count == HTTP_MAX_HEADERS) return len;
    if (len > HTTP_HEAD_CAP_BYTES - c->head.len) {
        c->too_large = true;
        return 0;
    }
    const char *from = colon + 1, *to = at + len;
    while (from < to && (*from == ' ' || *from == '\t')) from++;
    while (to > from && (unsigned char)to[-1] <= ' ') to--;
    c->names[c->header_count] = (struct span){ c->head.len, (uint32_t)(colon - at) };
    buf_add(&c->head, at, (size_t)(colon - at));
    c->values[c->header_count] = (struct span){ c->head.len, (uint32_t)(to - from) };
    buf_add(&c->head, from, (size_t)(to - from));
    c->header_count++;
    return c->head.failed ? 0 : len;
}

/* ---- libcurl on libuv ----------------------------------------------------------------------- */

static void collect(struct http *h)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(h->multi, &left))) {
        struct http_call *c = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        finish(c, code);
        if (!h->multi) return; /* `done` closed it */
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watched *w = poll->data;
    struct http *h = w->http;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
    if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(h->multi, w->socket, flags, &running);
    collect(h);
}

static void on_time(uv_timer_t *timer)
{
    struct http *h = timer->data;
    int running;
    curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(h);
}

static int set_timer(CURLM *multi, long after_ms, void *owner)
{
    struct http *h = owner;
    (void)multi;
    if (after_ms < 0)
        uv_timer_stop(&h->timer);
    else
        uv_timer_start(&h->timer, on_time, (uint64_t)after_ms, 0);
    return 0;
}

static void free_if_over(struct http *h)
{
    if (--h->open_handles > 0) return;
    free(h->ca_bundle);
    free(h);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct watched *w = handle->data;
    free_if_over(w->http);
    free(w);
}

static void on_timer_closed(uv_handle_t *handle) { free_if_over(handle->data); }

static struct watched *watch(struct http *h, curl_socket_t socket)
{
    struct watched *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    if (uv_poll_init_socket(h->uv, &w->poll, socket) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->http = h;
    w->socket = socket;
    h->open_handles++;
    curl_multi_assign(h->multi, socket, w);
    return w;
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *owner, void *known)
{
    struct http *h = owner;
    struct watched *w = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (!w) return 0;
        curl_multi_assign(h->multi, socket, NULL);
        uv_poll_stop(&w->poll);
        uv_close((uv_handle_t *)&w->poll, on_poll_closed);
        return 0;
    }
    if (!w) w = watch(h, socket);
    if (!w) return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&w->poll, events, on_ready) == 0 ? 0 : -1;
}

/* ---- sending -------------------------------------------------------------------------------- */

static bool add_line(struct http_call *c, struct slice name, struct slice value)
{
    struct buf line = { .secret = true };
    /* ";" is libcurl's way to say: this header, and empty. */
    buf_addf(&line, "%.*s%s%.*s", SLICE_ARG(name), value.len ? ": " : ";", SLICE_ARG(value));
    buf_add_u8(&line, 0);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(c->headers, line.at);
    buf_fini(&line);
    if (longer) c->headers = longer;
    return longer != NULL;
}

static bool names_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (slice_is_nocase(request->headers[i].name, name)) return true;
    return false;
}

static bool set_headers(struct http_call *c, const struct http_request *request)
{
    static const char *const of_libcurl[] = { "Accept", "Expect", "User-Agent", "Content-Type" };
    for (size_t i = 0; i < request->header_count; i++)
        if (!add_line(c, request->headers[i].name, request->headers[i].value)) return false;
    for (size_t i = 0; i < sizeof of_libcurl / sizeof *of_libcurl; i++) {
        char line[32] = "";
        if (names_header(request, of_libcurl[i])) continue;
        snprintf(line, sizeof line, "%s:", of_libcurl[i]); /* nothing behind it: not to be sent */
        struct curl_slist *longer = curl_slist_append(c->headers, line);
        if (!longer) return false;
        c->headers = longer;
    }
    return curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK;
}

static bool set_target(struct http_call *c, const struct http_request *request)
{
    struct buf url = { .secret = true };
    buf_add_slice(&url, request->url);
    buf_add_u8(&url, 0);
    bool ok = !url.failed && !memchr(request->url.at, 0, request->url.len) &&
              curl_easy_setopt(c->easy, CURLOPT_URL, url.at) == CURLE_OK;
    buf_fini(&url);
    if (strcmp(request->method, "GET") != 0) {
        buf_add_slice(&c->request_body, request->body);
        ok = ok && !c->request_body.failed;
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)c->request_body.len);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->request_body.at ? c->request_body.at : "");
        curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    return ok;
}

static bool system_has_roots(void)
{
    const char *file = curl_version_info(CURLVERSION_NOW)->cainfo;
    return file && access(file, R_OK) == 0;
}

static void set_trust(struct http_call *c)
{
    struct curl_blob roots = { (void *)(uintptr_t)amazon_roots, strlen(amazon_roots),
                               CURL_BLOB_NOCOPY };
    if (c->http->ca_bundle)
        curl_easy_setopt(c->easy, CURLOPT_CAINFO, c->http->ca_bundle);
    else if (!system_has_roots())
        curl_easy_setopt(c->easy, CURLOPT_CAINFO_BLOB, &roots);
}

static CURLcode forget_plaintext(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    (void)arg;
    tls_forget_plaintext(ssl_ctx);
    return CURLE_OK;
}

static bool set_up(struct http_call *c, const struct http_request *request)
{
    CURL *easy = c->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, forget_plaintext);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    if (request->direct) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    set_trust(c);
    return set_target(c, request) && set_headers(c, request);
}

struct http_call *http_send(struct http *h, const struct http_request *request, http_done *done,
                            void *owner)
{
    struct http_call *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->http = h;
    c->done = done;
    c->owner = owner;
    c->cap_bytes = request->answer_cap_bytes;
    c->request_body.secret = c->head.secret = c->body.secret = true;
    list_push_back(&h->calls, &c->node);
    c->easy = curl_easy_init();
    if (!c->easy || !set_up(c, request) || curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
        call_free(c);
        return NULL;
    }
    return c;
}

/* ---- life ----------------------------------------------------------------------------------- */

/* What curl has read (keys, passwords) stands in its buffers: wiped when they go. */
static void wipe_and_free(void *at)
{
    if (at) explicit_bzero(at, malloc_usable_size(at));
    free(at);
}

static void *move_and_wipe(void *at, size_t bytes)
{
    size_t before = at ? malloc_usable_size(at) : 0;
    if (at && bytes <= before) return at;
    void *to = malloc(bytes);
    if (to && at) memcpy(to, at, before);
    if (to) wipe_and_free(at);
    return to;
}

struct http *http_open(uv_loop_t *uv, const char *ca_bundle)
{
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wipe_and_free, move_and_wipe, strdup, calloc);
    struct http *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->uv = uv;
    list_init(&h->calls);
    if (ca_bundle && *ca_bundle) h->ca_bundle = strdup(ca_bundle);
    h->multi = curl_multi_init();
    if (!h->multi || (ca_bundle && *ca_bundle && !h->ca_bundle)) {
        if (h->multi) curl_multi_cleanup(h->multi);
        free(h->ca_bundle);
        free(h);
        return NULL;
    }
    uv_timer_init(uv, &h->timer);
    h->timer.data = h;
    h->open_handles = 1;
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    return h;
}

void http_close(struct http *h)
{
    if (!h) return;
    list_each(node, &h->calls) call_free(list_item(node, struct http_call, node));
    curl_multi_cleanup(h->multi);
    h->multi = NULL;
    uv_timer_stop(&h->timer);
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}
