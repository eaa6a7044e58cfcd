#include "auth/uri.h"

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void encode(struct buf *out, struct slice text, char keep)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (is_unreserved(c) || (keep && c == keep)) {
            buf_add_u8(out, (uint8_t)c);
        } else {
            char escaped[3] = { '%', digits[(uint8_t)c >> 4], digits[(uint8_t)c & 15] };
            buf_add(out, escaped, sizeof escaped);
        }
    }
}

void uri_encode(struct buf *out, struct slice text) { encode(out, text, 0); }

void uri_encode_path(struct buf *out, struct slice text) { encode(out, text, '/'); }

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool uri_decode(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '%') {
            buf_add_u8(out, (uint8_t)text.at[i]);
            continue;
        }
        if (text.len - i < 3) return false;
        int high = hex_value(text.at[i + 1]), low = hex_value(text.at[i + 2]);
        if (high < 0 || low < 0) return false;
        buf_add_u8(out, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return !out->failed;
}

bool uri_next_piece(struct slice *rest, char separator, struct slice *piece)
{
    if (!rest->at) return false;
    const char *cut = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
    if (!cut) {
        *piece = *rest;
        *rest = (struct slice){ 0 }; /* spent: told from an empty last piece by the NULL */
        return true;
    }
    piece->at = rest->at;
    piece->len = (size_t)(cut - rest->at);
    *rest = slice_after(*rest, piece->len + 1);
    return true;
}

/* Host names as the DNS knows them, and dotted quads: letters, digits, '-', '_', '.'. */
static bool is_host(struct slice host)
{
    if (host.len == 0 || host.len > 253) return false;
    for (size_t i = 0; i < host.len; i++)
        if (!is_unreserved(host.at[i]) || host.at[i] == '~') return false;
    return true;
}

static bool is_ipv6(struct slice host)
{
    if (host.len < 2 || host.len > 45) return false;
    for (size_t i = 0; i < host.len; i++)
        if (hex_value(host.at[i]) < 0 && host.at[i] != ':' && host.at[i] != '.') return false;
    return true;
}

static bool parse_port(struct slice digits, uint16_t *port)
{
    uint32_t value = 0;
    if (digits.len == 0 || digits.len > 5) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') return false;
        value = value * 10 + (uint32_t)(digits.at[i] - '0');
    }
    if (value == 0 || value > 65535) return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_authority(struct url *url)
{
    struct slice rest = url->authority;
    url->port = url->https ? 443 : 80;
    if (rest.len > 0 && rest.at[0] == '[') {
        const char *end = memchr(rest.at, ']', rest.len);
        if (!end) return false;
        url->host = slice_of(rest.at + 1, (size_t)(end - rest.at) - 1);
        if (!is_ipv6(url->host)) return false;
        rest = slice_after(rest, url->host.len + 2);
    } else {
        const char *colon = rest.len ? memchr(rest.at, ':', rest.len) : NULL;
        url->host = slice_of(rest.at, colon ? (size_t)(colon - rest.at) : rest.len);
        if (!is_host(url->host)) return false;
        rest = slice_after(rest, url->host.len);
    }
    if (rest.len == 0) return true;
    return rest.at[0] == ':' && parse_port(slice_after(rest, 1), &url->port);
}

bool url_parse(struct slice text, struct url *url)
{
    *url = (struct url){ 0 };
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.at[i] <= ' ' || (uint8_t)text.at[i] >= 0x7f || text.at[i] == '\\' ||
            text.at[i] == '#' || text.at[i] == '"' || text.at[i] == '<' || text.at[i] == '>')
            return false;
    if (slice_starts(text, "https://")) {
        url->https = true;
        text = slice_after(text, 8);
    } else if (slice_starts(text, "http://")) {
        text = slice_after(text, 7);
    } else {
        return false;
    }
    size_t n = 0;
    while (n < text.len && text.at[n] != '/' && text.at[n] != '?') n++;
    url->authority = slice_of(text.at, n);
    text = slice_after(text, n);
    n = 0;
    while (n < text.len && text.at[n] != '?') n++;
    url->path = slice_of(text.at, n);
    url->query = slice_after(text, n + 1);
    return parse_authority(url);
}

struct slice url_host_header(const struct url *url)
{
    bool brackets = url->authority.len > 0 && url->authority.at[0] == '[';
    if (url->port != (url->https ? 443 : 80)) return url->authority;
    return slice_of(url->authority.at, url->host.len + (brackets ? 2 : 0));
}
