#include "proxy/io/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    V1_MAX = 107, /* bytes of the longest line, its CR LF included */
    V1_FIELDS = 6,
    V2_FIXED = 16, /* bytes before the addresses */
};

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";
enum { V2_SIGNATURE = sizeof v2_signature - 1 };

static const struct proxy_header more = { .result = PROXY_HEADER_MORE };
static const struct proxy_header bad = { .result = PROXY_HEADER_BAD };

/* Whether `in` could still become something that starts so. */
static bool may_start(struct slice in, const char *with, size_t len)
{
    return memcmp(in.at, with, in.len < len ? in.len : len) == 0;
}

/* ---- version 1: "PROXY TCP4 192.0.2.7 192.0.2.1 56324 5439\r\n"
 * ---------------------------------- */

/* One space between fields, no more. Returns how many there are; too many: V1_FIELDS + 1. */
static unsigned split(struct slice line, struct slice fields[V1_FIELDS])
{
    unsigned n = 0;
    for (;;) {
        const char *space = memchr(line.at, ' ', line.len);
        size_t len = space ? (size_t)(space - line.at) : line.len;
        if (n == V1_FIELDS) return n + 1;
        fields[n++] = slice_of(line.at, len);
        if (!space) return n;
        line = slice_after(line, len + 1);
    }
}

static bool read_address(struct slice text, bool is_v6, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, 0, text.len)) return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, out) == 1;
}

static bool read_port(struct slice text, uint16_t *out)
{
    uint32_t n = 0;
    if (text.len == 0 || text.len > 5 || (text.at[0] == '0' && text.len > 1)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    *out = (uint16_t)n;
    return n <= UINT16_MAX;
}

static struct proxy_header read_line(struct slice line, uint32_t size)
{
    struct proxy_header h = { .result = PROXY_HEADER_CLIENT, .size = size };
    struct slice fields[V1_FIELDS];
    uint8_t there[16];
    uint16_t port;
    unsigned n = split(line, fields);
    /* Behind UNKNOWN may stand anything: it is to be ignored. */
    if (n >= 2 && slice_is(fields[1], "UNKNOWN")) {
        h.result = PROXY_HEADER_LOCAL;
        return h;
    }
    if (n != V1_FIELDS) return bad;
    h.is_v6 = slice_is(fields[1], "TCP6");
    bool ok = (h.is_v6 || slice_is(fields[1], "TCP4")) &&
              read_address(fields[2], h.is_v6, h.address) &&
              read_address(fields[3], h.is_v6, there) && read_port(fields[4], &h.port) &&
              read_port(fields[5], &port);
    return ok ? h : bad;
}

static struct proxy_header read_v1(struct slice in)
{
    struct slice seen = slice_of(in.at, in.len < V1_MAX ? in.len : V1_MAX);
    const char *end = memchr(seen.at, '\n', seen.len);
    if (!end) return in.len >= V1_MAX ? bad : more;
    size_t size = (size_t)(end - seen.at) + 1;
    if (size < 2 || end[-1] != '\r') return bad;
    return read_line(slice_of(in.at, size - 2), (uint32_t)size);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static struct proxy_header read_v2(struct slice in)
{
    enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, TCP4_BYTES = 12, TCP6_BYTES = 36 };
    if (in.len < V2_FIXED) return more;
    const uint8_t *b = (const uint8_t *)in.at;
    uint32_t len = (uint32_t)b[14] << 8 | b[15];
    uint8_t command = b[12], family = b[13];
    struct proxy_header h = { .result = PROXY_HEADER_LOCAL, .size = V2_FIXED + len };
    if (h.size > PROXY_HEADER_MAX || (command != V2_LOCAL && command != V2_PROXY)) return bad;
    if (in.len < h.size) return more;
    if (command == V2_LOCAL || family == UNSPEC) return h;
    h.is_v6 = family == TCP6;
    if (!h.is_v6 && family != TCP4) return bad; /* UDP and Unix sockets never come to us */
    if (len < (h.is_v6 ? TCP6_BYTES : TCP4_BYTES)) return bad;
    size_t width = h.is_v6 ? 16 : 4;
    const uint8_t *port = b + V2_FIXED + 2 * width;
    memcpy(h.address, b + V2_FIXED, width);
    h.port = (uint16_t)(port[0] << 8 | port[1]);
    h.result = PROXY_HEADER_CLIENT;
    return h;
}

struct proxy_header proxy_header_read(struct slice in, unsigned kinds)
{
    if (in.len == 0) return more;
    if ((kinds & PROXY_HEADER_V2) && may_start(in, v2_signature, V2_SIGNATURE)) return read_v2(in);
    if ((kinds & PROXY_HEADER_V1) && may_start(in, "PROXY ", 6)) return read_v1(in);
    return bad;
}
