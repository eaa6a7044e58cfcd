#include "proxy/io/resolve.h"

#include "protocol/list.h"

#include <stdlib.h>

struct resolve {
    uv_getaddrinfo_t request;
    uv_timer_t timer; /* the timeout; for addresses: what makes the answer come later */
    resolve_done *done;
    void *owner;
    struct resolve_answer answer;
    uint32_t timeout_ms;
    uint16_t port;
    bool is_asked, is_answered; /* the request is libuv's in between */
    bool timer_closed;
    char name[RESOLVE_NAME_BYTES + 1];
};

/* ---- names --------------------------------------------------------------------------------------
 */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name_byte(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* inet_aton, and so getaddrinfo, would read these as an address in an old notation; so does no
 * rule of ours, and what is checked must be what is connected to. */
static bool is_number(struct slice label)
{
    size_t i = 0;
    if (label.len > 1 && label.at[0] == '0' && ascii_lower(label.at[1]) == 'x') return true;
    while (i < label.len && is_digit(label.at[i])) i++;
    return i == label.len;
}

bool resolve_name_is_good(struct slice host)
{
    size_t from = 0;
    if (host.len && host.at[host.len - 1] == '.') host.len--; /* fully qualified */
    if (host.len == 0 || host.len > RESOLVE_NAME_BYTES) return false;
    for (size_t i = 0; i <= host.len; i++) {
        if (i < host.len && host.at[i] != '.') {
            if (!is_name_byte(host.at[i])) return false;
            continue;
        }
        if (i == from || i - from > 63) return false;
        if (i < host.len) from = i + 1;
    }
    return !is_number(slice_after(host, from));
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void free_when_unused(struct resolve *r)
{
    if (r->timer_closed && r->is_asked == r->is_answered) free(r);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct resolve *r = list_item(handle, struct resolve, timer);
    r->timer_closed = true;
    free_when_unused(r);
}

/* From here on the query is libuv's leftovers. */
static resolve_done *finish(struct resolve *r)
{
    resolve_done *done = r->done;
    r->done = NULL;
    /* In vain if a thread is at it already. */
    if (r->is_asked && !r->is_answered) uv_cancel((uv_req_t *)&r->request);
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    return done;
}

static void tell(struct resolve *r, const struct err *err)
{
    struct resolve_answer answer = r->answer;
    void *owner = r->owner;
    finish(r)(owner, err ? NULL : &answer, err);
}

static void collect(struct resolve_answer *answer, const struct addrinfo *list, uint16_t port)
{
    for (; list && answer->count < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        union socket_address *address = &answer->at[answer->count];
        if (list->ai_family == AF_INET) {
            memcpy(&address->v4, list->ai_addr, sizeof address->v4);
            address->v4.sin_port = htons(port);
        } else if (list->ai_family == AF_INET6) {
            memcpy(&address->v6, list->ai_addr, sizeof address->v6);
            address->v6.sin6_port = htons(port);
        } else {
            continue;
        }
        answer->count++;
    }
}

static void explain(const struct resolve *r, int status, struct err *err)
{
    err_set(err, ERR_SERVER_UNREACHABLE, "cannot resolve %.120s: %s", r->name, uv_strerror(status));
    if (status == UV_EAI_NONAME || status == UV_EAI_NODATA)
        err_hint(err, "Check the name, and that this machine's DNS server knows it.");
    if (status == UV_EAI_AGAIN)
        err_hint(err, "The DNS server does not answer: check /etc/resolv.conf and the network.");
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct resolve *r = list_item(request, struct resolve, request);
    struct err err;
    r->is_answered = true;
    if (r->done) {
        collect(&r->answer, list, r->port);
        if (status == 0 && r->answer.count == 0) status = UV_EAI_NODATA;
        if (status != 0) explain(r, status, &err);
        tell(r, status != 0 ? &err : NULL);
    }
    uv_freeaddrinfo(list);
    free_when_unused(r);
}

static void on_timer(uv_timer_t *timer)
{
    struct resolve *r = list_item(timer, struct resolve, timer);
    struct err err;
    if (!r->is_asked) {
        tell(r, NULL);
        return;
    }
    err_set(&err, ERR_SERVER_UNREACHABLE, "cannot resolve %.120s: no answer within %u ms", r->name,
            r->timeout_ms);
    err_hint(&err, "The DNS server is slow or does not answer: check /etc/resolv.conf.");
    tell(r, &err);
}

/* ---- asking -------------------------------------------------------------------------------------
 */

static bool ask(struct resolve *r, uv_loop_t *uv, struct slice host, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    if (!resolve_name_is_good(host)) {
        err_set(err, ERR_SERVER_UNREACHABLE, "this is neither a host's name nor an address");
        err_hint(err, "Names have at most 253 letters, digits, '-' and '.'; addresses are written "
                      "192.0.2.1 or [2001:db8::1].");
        return false;
    }
    size_t len = host.at[host.len - 1] == '.' ? host.len - 1 : host.len;
    memcpy(r->name, host.at, len);
    int status = uv_getaddrinfo(uv, &r->request, on_answer, r->name, NULL, &hints);
    if (status != 0) explain(r, status, err);
    r->is_asked = status == 0;
    return status == 0;
}

struct resolve *resolve_start(uv_loop_t *uv, struct slice host, uint16_t port, uint32_t timeout_ms,
                              resolve_done *done, void *owner, struct err *err)
{
    struct resolve *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(err, ERR_OUT_OF_MEMORY, NULL);
        return NULL;
    }
    r->done = done;
    r->owner = owner;
    r->port = port;
    r->timeout_ms = timeout_ms;
    bool numeric = socket_address_parse(&r->answer.at[0], host, port);
    r->answer.count = numeric;
    if (!numeric && !ask(r, uv, host, err)) {
        free(r);
        return NULL;
    }
    uv_timer_init(uv, &r->timer);
    uv_timer_start(&r->timer, on_timer, numeric ? 0 : timeout_ms, 0);
    return r;
}

void resolve_cancel(struct resolve *r) { finish(r); }
