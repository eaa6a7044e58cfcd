#include "proxy/io/http_head.h"

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool bad(unsigned *status, unsigned which)
{
    *status = which;
    return false;
}

/* The next line without its CRLF; only LF after CR ends one. False: there is none, or it holds what
 * no line may. */
static bool next_line(struct slice *in, struct slice *line)
{
    for (size_t i = 0; i + 1 < in->len; i++) {
        unsigned char c = (unsigned char)in->at[i];
        if (c == '\r' && in->at[i + 1] == '\n') {
            *line = slice_of(in->at, i);
            *in = slice_after(*in, i + 2);
            return true;
        }
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return false;
}

/* Up to the next blank; false when it is empty. */
static bool next_word(struct slice *line, struct slice *word)
{
    const char *blank = memchr(line->at, ' ', line->len);
    size_t n = blank ? (size_t)(blank - line->at) : line->len;
    *word = slice_of(line->at, n);
    *line = slice_after(*line, n + 1);
    return n > 0;
}

static bool read_target(struct slice target, struct http_head *out)
{
    if (target.at[0] != '/') return false;
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] == 0x7f || target.at[i] == '#') return false;
    const char *mark = memchr(target.at, '?', target.len);
    out->path = mark ? slice_of(target.at, (size_t)(mark - target.at)) : target;
    if (mark) out->query = slice_after(target, out->path.len + 1);
    return true;
}

static bool read_request_line(struct slice line, struct http_head *out, unsigned *status)
{
    struct slice method, target;
    if (!next_word(&line, &method) || !next_word(&line, &target)) return bad(status, 400);
    struct slice version = line;
    if (version.len == 0 || memchr(version.at, ' ', version.len)) return bad(status, 400);
    for (size_t i = 0; i < method.len; i++)
        if (!is_token(method.at[i])) return bad(status, 400);
    out->method = slice_is(method, "GET")    ? HTTP_GET
                  : slice_is(method, "HEAD") ? HTTP_HEAD
                  : slice_is(method, "POST") ? HTTP_POST
                                             : HTTP_OTHER;
    if (!read_target(target, out)) return bad(status, 400);
    if (slice_is(version, "HTTP/1.1"))
        out->keep_alive = true;
    else if (!slice_is(version, "HTTP/1.0"))
        return bad(status, slice_starts(version, "HTTP/") ? 505 : 400);
    return true;
}

static struct slice trimmed(struct slice s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t')) s = slice_after(s, 1);
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t')) s.len--;
    return s;
}

static bool read_length(struct slice value, struct http_head *out, unsigned *status)
{
    if (value.len == 0 || value.len > 18) return bad(status, value.len ? 413 : 400);
    uint64_t n = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') return bad(status, 400);
        n = n * 10 + (uint64_t)(value.at[i] - '0');
    }
    if (n > HTTP_BODY_MAX) return bad(status, 413);
    out->body_bytes = n;
    return true;
}

/* Connection: a list of words, of which two concern us. */
static void read_connection(struct slice value, struct http_head *out)
{
    while (value.len) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t n = comma ? (size_t)(comma - value.at) : value.len;
        struct slice word = trimmed(slice_of(value.at, n));
        if (slice_is_nocase(word, "close")) out->keep_alive = false;
        value = slice_after(value, n + 1);
    }
}

struct seen {
    bool length, host;
};

static bool read_field(struct slice line, struct http_head *out, struct seen *seen,
                       unsigned *status)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon || colon == line.at) return bad(status, 400);
    struct slice name = slice_of(line.at, (size_t)(colon - line.at));
    struct slice value = trimmed(slice_after(line, name.len + 1));
    for (size_t i = 0; i < name.len; i++)
        if (!is_token(name.at[i])) return bad(status, 400);
    if (slice_is_nocase(name, "transfer-encoding")) return bad(status, 501);
    if (slice_is_nocase(name, "expect")) return bad(status, 417);
    if (slice_is_nocase(name, "content-length")) {
        if (seen->length) return bad(status, 400);
        seen->length = true;
        return read_length(value, out, status);
    }
    if (slice_is_nocase(name, "host")) {
        if (seen->host) return bad(status, 400);
        seen->host = true;
        out->host = value;
    } else if (slice_is_nocase(name, "connection")) {
        read_connection(value, out);
    } else if (slice_is_nocase(name, "origin")) {
        out->origin = value;
    } else if (slice_is_nocase(name, "sec-fetch-site")) {
        out->fetch_site = value;
    } else if (slice_is_nocase(name, "authorization")) {
        if (out->authorization.at) return bad(status, 400);
        out->authorization = value;
    } else if (slice_is_nocase(name, "cookie")) {
        if (!out->cookie.at) out->cookie = value;
    } else if (slice_is_nocase(name, "content-type")) {
        out->content_type = value;
    }
    return true;
}

static bool read_lines(struct slice in, struct http_head *out, unsigned *status)
{
    struct slice line;
    struct seen seen = { 0 };
    if (!next_line(&in, &line)) return bad(status, 400);
    if (!read_request_line(line, out, status)) return false;
    bool is_11 = out->keep_alive;
    for (;;) {
        if (!next_line(&in, &line)) return bad(status, 400);
        if (line.len == 0) break;
        if (!read_field(line, out, &seen, status)) return false;
    }
    /* RFC 9112, 3.2: a server must answer 400 to a 1.1 request without Host. */
    return !is_11 || seen.host || bad(status, 400);
}

enum http_read http_head_read(struct slice in, struct http_head *out, unsigned *status)
{
    static const char end[] = "\r\n\r\n";
    struct slice head = in;
    *out = (struct http_head){ 0 };
    if (head.len > HTTP_HEAD_MAX) head.len = HTTP_HEAD_MAX;
    const char *at = head.len ? memmem(head.at, head.len, end, sizeof end - 1) : NULL;
    if (!at && in.len > HTTP_HEAD_MAX) {
        *status = 431;
        return HTTP_BAD;
    }
    /* Whoever does not even begin with letters speaks something else: TLS, say. */
    if (!at && in.len && !is_token(in.at[0])) {
        *status = 400;
        return HTTP_BAD;
    }
    if (!at) return HTTP_MORE;
    head.len = (size_t)(at - head.at) + sizeof end - 1;
    out->head_bytes = head.len;
    return read_lines(head, out, status) ? HTTP_READ : HTTP_BAD;
}

const char *http_reason(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
    }
}
