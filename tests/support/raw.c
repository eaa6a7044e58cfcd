#include "support/raw.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, READ_WAIT_MS = 5000 };

static void *need(void *memory)
{
    if (!memory) abort();
    return memory;
}

/* ---- opening and closing -------------------------------------------------------------------- */

struct raw *raw_open(int port, const char *source)
{
    struct raw *r = need(calloc(1, sizeof *r));
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in from = { .sin_family = AF_INET };
    int on = 1;
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    r->wait_ms = READ_WAIT_MS;
    r->body = need(calloc(1, 1));
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source && (inet_pton(AF_INET, source, &from.sin_addr) != 1 ||
                   bind(r->fd, (struct sockaddr *)&from, sizeof from)))
        perror(source);
    if (connect(r->fd, (struct sockaddr *)&to, sizeof to)) perror("raw: connect");
    return r;
}

void raw_close(struct raw *r)
{
    if (!r) return;
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    close(r->fd);
    free(r->body);
    free(r);
}

void raw_abort(struct raw *r)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    raw_close(r);
}

void raw_half_close(struct raw *r) { shutdown(r->fd, SHUT_WR); }

/* ---- saying --------------------------------------------------------------------------------- */

void raw_send(struct raw *r, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        int once = len > 1 << 20 ? 1 << 20 : (int)len;
        ssize_t n =
            r->ssl ? SSL_write(r->ssl, at, once) : send(r->fd, at, (size_t)once, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += n;
        len -= (size_t)n;
    }
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> (24 - 8 * i));
}

void raw_request(struct raw *r, uint32_t code)
{
    uint8_t packet[8];
    put_u32(packet, 8);
    put_u32(packet + 4, code);
    raw_send(r, packet, sizeof packet);
}

void raw_startup(struct raw *r, uint32_t version, const char *const pairs[])
{
    uint8_t packet[12000];
    size_t len = 8;
    for (int at = 0; pairs[at]; at++) {
        size_t size = strlen(pairs[at]) + 1;
        if (len + size >= sizeof packet) abort();
        memcpy(packet + len, pairs[at], size);
        len += size;
    }
    packet[len++] = 0;
    put_u32(packet, (uint32_t)len);
    put_u32(packet + 4, version);
    raw_send(r, packet, len);
}

void raw_lie(struct raw *r, char type, uint32_t length, const void *body, size_t len)
{
    uint8_t *message = need(malloc(5 + len));
    message[0] = (uint8_t)type;
    put_u32(message + 1, length);
    if (len) memcpy(message + 5, body, len);
    raw_send(r, message, 5 + len);
    free(message);
}

void raw_say(struct raw *r, char type, const void *body, size_t len)
{
    raw_lie(r, type, (uint32_t)len + 4, body, len);
}

void raw_query(struct raw *r, const char *sql) { raw_say(r, 'Q', sql, strlen(sql) + 1); }

void raw_parse(struct raw *r, const char *name, const char *sql)
{
    size_t n = strlen(name) + 1, m = strlen(sql) + 1;
    char *body = need(malloc(n + m + 2));
    memcpy(body, name, n);
    memcpy(body + n, sql, m);
    memset(body + n + m, 0, 2);
    raw_say(r, 'P', body, n + m + 2);
    free(body);
}

void raw_bind(struct raw *r, const char *statement)
{
    char body[300] = { 0 };
    int n = snprintf(body + 1, sizeof body - 8, "%s", statement);
    raw_say(r, 'B', body, 1 + (size_t)n + 1 + 6);
}

void raw_execute(struct raw *r) { raw_say(r, 'E', "\0\0\0\0", 5); }

void raw_sync(struct raw *r) { raw_say(r, 'S', NULL, 0); }

/* ---- TLS ------------------------------------------------------------------------------------ */

bool raw_secure(struct raw *r, const char *alpn, const char *certificate)
{
    char path[600];
    r->context = need(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(r->context, r->max_version);
    SSL_CTX_set_min_proto_version(r->context, TLS1_VERSION);
    SSL_CTX_set_security_level(r->context, 0);
    if (certificate) {
        snprintf(path, sizeof path, "%s.crt", certificate);
        if (SSL_CTX_use_certificate_chain_file(r->context, path) != 1) return false;
        snprintf(path, sizeof path, "%s.key", certificate);
        if (SSL_CTX_use_PrivateKey_file(r->context, path, SSL_FILETYPE_PEM) != 1) return false;
    }
    if (alpn) {
        uint8_t list[256];
        list[0] = (uint8_t)strlen(alpn);
        memcpy(list + 1, alpn, list[0]);
        SSL_CTX_set_alpn_protos(r->context, list, list[0] + 1u);
    }
    struct timeval limit = { .tv_sec = r->wait_ms / 1000, .tv_usec = r->wait_ms % 1000 * 1000 };
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    r->ssl = need(SSL_new(r->context));
    SSL_set_fd(r->ssl, r->fd);
    if (r->session) SSL_set_session(r->ssl, r->session);
    return SSL_connect(r->ssl) == 1;
}

/* ---- hearing -------------------------------------------------------------------------------- */

/* Some bytes; RAW_END or RAW_SILENT. */
static ssize_t take(struct raw *r, void *at, size_t len)
{
    struct pollfd ready = { .fd = r->fd, .events = POLLIN };
    if (!(r->ssl && SSL_pending(r->ssl)) && poll(&ready, 1, r->wait_ms) <= 0) return RAW_SILENT;
    ssize_t n =
        r->ssl ? SSL_read(r->ssl, at, len > 1 << 20 ? 1 << 20 : (int)len) : recv(r->fd, at, len, 0);
    return n > 0 ? n : RAW_END;
}

static int take_all(struct raw *r, void *at, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = take(r, (char *)at + got, len - got);
        if (n < 0) return (int)n;
        got += (size_t)n;
    }
    return 0;
}

int raw_byte(struct raw *r)
{
    uint8_t byte;
    int bad = take_all(r, &byte, 1);
    return bad ? bad : byte;
}

bool raw_bytes(struct raw *r, void *at, size_t len) { return take_all(r, at, len) == 0; }

int raw_next(struct raw *r)
{
    uint8_t head[5];
    int bad = take_all(r, head, sizeof head);
    if (bad) return bad;
    uint32_t size =
        (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
    if (size < 4 || size > BODY_MAX) return RAW_END;
    free(r->body);
    r->len = size - 4;
    r->body = need(calloc(1, r->len + 1));
    bad = take_all(r, r->body, r->len);
    return bad ? bad : head[0];
}

const char *raw_field(const struct raw *r, char field)
{
    const char *at = (const char *)r->body, *end = at + r->len;
    while (at < end && *at) {
        if (*at == field) return at + 1;
        at += strlen(at) + 1;
    }
    return "";
}

static void add(struct raw *r, int type, const char *more)
{
    size_t len = strlen(r->answer), left = sizeof r->answer - len;
    char letter[2] = { (char)type, '\0' };
    snprintf(r->answer + len, left, "%s%s%s", len ? " " : "", letter, more);
}

const char *raw_answer(struct raw *r)
{
    int before = 0;
    r->answer[0] = '\0';
    for (;;) {
        int type = raw_next(r);
        if (type == RAW_END || type == RAW_SILENT) {
            add(r, 0, type == RAW_END ? "end" : "silence");
            return r->answer;
        }
        if (type == 'S' || type == 'N' || (type == before && (type == 'D' || type == 'd')))
            continue;
        before = type;
        if (type == 'Z') {
            char status[2] = { (char)r->body[0], '\0' };
            add(r, type, status);
            return r->answer;
        }
        add(r, type, type == 'E' ? raw_field(r, 'C') : "");
    }
}

bool raw_login(struct raw *r, const char *user)
{
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", user, "database", "postgres", NULL });
    size_t len = strlen(raw_answer(r));
    return len >= 2 && strcmp(r->answer + len - 2, "ZI") == 0;
}
