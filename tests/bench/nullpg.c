/* nullpg PORT: a PostgreSQL that answers at once, so that the proxy before it is the bottleneck.
 *
 * Speaks enough of protocol 3 for poolers and drivers: startup (trust; no TLS), simple and extended
 * query, COPY FROM STDIN (eats the data), transactions. It knows no SQL:
 *
 *   SELECT repeat('x', SIZE) FROM generate_series(1, ROWS)     so many rows of that size
 *   any other SELECT, and any Execute                          one row: 1
 *   BEGIN, COMMIT, ROLLBACK                                    change the transaction status
 *   SET name TO 'value'                                        answers with a ParameterStatus
 *
 * Messages of any length pass: only the first HEAD_BYTES of one are kept.
 */
#include "bench/loop.h"

#include <ctype.h>
#include <strings.h>

enum { HEAD_BYTES = 512, RECEIVE_BYTES = 64 * 1024, OUT_BYTES = 1 << 20, BLOCK_BYTES = 256 * 1024 };

/* Rows of a bulk answer, made once per size. */
struct block {
    size_t row_bytes, rows, value_bytes;
    char *at;
    struct block *next;
};

struct conn {
    int fd;
    bool started, copying;
    char status;           /* I, T or E */
    char head[HEAD_BYTES]; /* of a message that is not here as a whole */
    size_t got, total;     /* of that message; total 0: header incomplete */
    char *held;            /* what the socket refused */
    size_t held_at, held_len;
    struct block *block; /* a bulk answer under way, and what of it is left */
    uint64_t left_bytes, rows;
    size_t block_at;
};

struct server {
    int ep, listener;
    size_t out_len;
    char receive[RECEIVE_BYTES], out[OUT_BYTES];
    struct block *blocks;
};

static void put(struct server *s, const void *bytes, size_t n)
{
    if (s->out_len + n > sizeof s->out) abort();
    memcpy(s->out + s->out_len, bytes, n);
    s->out_len += n;
}

static void message(struct server *s, char type, const void *body, size_t n)
{
    char head[5] = { type };
    put_u32(head + 1, (uint32_t)n + 4);
    put(s, head, 5);
    if (n) put(s, body, n);
}

static void tag(struct server *s, const char *text) { message(s, 'C', text, strlen(text) + 1); }
static void ready(struct server *s, struct conn *c) { message(s, 'Z', &c->status, 1); }

static void parameter(struct server *s, const char *name, const char *value)
{
    char body[200];
    int n = snprintf(body, sizeof body, "%s%c%s", name, 0, value);
    message(s, 'S', body, (size_t)n + 1);
}

/* One text column named c. */
static void description(struct server *s)
{
    message(s, 'T', "\0\1c\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0", 22);
}

static void one_row(struct server *s)
{
    message(s, 'D',
            "\0\1\0\0\0\1"
            "1",
            7);
    tag(s, "SELECT 1");
}

static struct block *block_of(struct server *s, size_t value_bytes)
{
    for (struct block *b = s->blocks; b; b = b->next)
        if (b->value_bytes == value_bytes) return b;
    struct block *b = calloc(1, sizeof *b);
    if (!b) die("memory");
    b->value_bytes = value_bytes;
    b->row_bytes = 11 + value_bytes;
    b->rows = BLOCK_BYTES / b->row_bytes + 1;
    b->at = malloc(b->rows * b->row_bytes);
    if (!b->at) die("memory");
    memset(b->at, 'x', b->rows * b->row_bytes);
    for (size_t row = 0; row < b->rows; row++) {
        char *at = b->at + row * b->row_bytes;
        memcpy(at, "D\0\0\0\0\0\1", 7);
        put_u32(at + 1, (uint32_t)b->row_bytes - 1);
        put_u32(at + 7, (uint32_t)value_bytes);
    }
    b->next = s->blocks;
    return s->blocks = b;
}

static bool starts(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

static void query(struct server *s, struct conn *c, const char *sql)
{
    char name[64], value[64];
    unsigned size, rows;
    while (isspace((unsigned char)*sql)) sql++;
    if (starts(sql, "select")) {
        description(s);
        if (sscanf(sql + 6, " repeat('x', %u) FROM generate_series(1, %u)", &size, &rows) == 2) {
            c->block = block_of(s, size);
            c->block_at = 0;
            c->rows = rows;
            c->left_bytes = (uint64_t)rows * c->block->row_bytes;
            return; /* the tag and ReadyForQuery follow the rows */
        }
        one_row(s);
    } else if (starts(sql, "copy")) {
        message(s, 'G', "\0\0\1\0\0", 5);
        c->copying = true;
        return;
    } else if (starts(sql, "begin")) {
        c->status = 'T';
        tag(s, "BEGIN");
    } else if (starts(sql, "commit") || starts(sql, "rollback")) {
        c->status = 'I';
        tag(s, starts(sql, "c") ? "COMMIT" : "ROLLBACK");
    } else if (starts(sql, "set")) {
        if (sscanf(sql + 3, " %63[^ =] %*[=TOto] '%63[^']'", name, value) == 2)
            parameter(s, name, value);
        tag(s, "SET");
    } else if (starts(sql, "insert"))
        tag(s, "INSERT 0 1");
    else if (starts(sql, "discard"))
        tag(s, "DISCARD ALL");
    else if (!*sql)
        message(s, 'I', NULL, 0);
    else
        tag(s, "OK");
    ready(s, c);
}

static void welcome(struct server *s, struct conn *c)
{
    static const char *const parameters[][2] = {
        { "server_version", "15.0" },
        { "server_encoding", "UTF8" },
        { "client_encoding", "UTF8" },
        { "application_name", "" },
        { "DateStyle", "ISO, MDY" },
        { "IntervalStyle", "postgres" },
        { "TimeZone", "UTC" },
        { "integer_datetimes", "on" },
        { "is_superuser", "on" },
        { "session_authorization", "postgres" },
        { "in_hot_standby", "off" },
        { "default_transaction_read_only", "off" },
        { "standard_conforming_strings", "on" },
    };
    c->started = true;
    c->status = 'I';
    message(s, 'R', "\0\0\0\0", 4);
    for (size_t at = 0; at < sizeof parameters / sizeof *parameters; at++)
        parameter(s, parameters[at][0], parameters[at][1]);
    message(s, 'K', "\0\0\20\222\0\0\3\11", 8);
    ready(s, c);
}

/* One message: its head, what is kept of it, and its whole length. False: goodbye. */
static bool handle(struct server *s, struct conn *c, const char *m, size_t have)
{
    if (!c->started) {
        uint32_t code = get_u32(m + 4);
        if (code == 80877103 || code == 80877104) /* SSLRequest, GSSENCRequest */
            put(s, "N", 1);
        else if (code == 80877102) /* CancelRequest */
            return false;
        else
            welcome(s, c);
        return true;
    }
    if (c->copying) {
        if (m[0] != 'c' && m[0] != 'f') return m[0] == 'd';
        c->copying = false;
        tag(s, "COPY 1");
        ready(s, c);
        return true;
    }
    char sql[HEAD_BYTES + 1];
    switch (m[0]) {
    case 'Q':
        memcpy(sql, m + 5, have - 5);
        sql[have - 5] = '\0';
        query(s, c, sql);
        break;
    case 'P': message(s, '1', NULL, 0); break;
    case 'B': message(s, '2', NULL, 0); break;
    case 'C': message(s, '3', NULL, 0); break;
    case 'D':
        if (have > 5 && m[5] == 'S') message(s, 't', "\0\0", 2);
        description(s);
        break;
    case 'E': one_row(s); break;
    case 'S': ready(s, c); break;
    case 'X': return false;
    default: break;
    }
    return true;
}

/* Takes as much as can be answered now; how much that was, -1: goodbye. */
static ssize_t feed(struct server *s, struct conn *c, const char *at, size_t len)
{
    size_t used = 0;
    while (used < len && !c->block && s->out_len < OUT_BYTES - 64 * 1024) {
        size_t head = c->started ? 5 : 4, left = len - used;
        const char *m = at + used;
        if (!c->got && left >= head) {
            size_t total = get_u32(m + head - 4) + head - 4;
            if (total <= left && total <= HEAD_BYTES) { /* here as a whole, and short */
                if (total < head || !handle(s, c, m, total)) return -1;
                used += total;
                continue;
            }
        }
        if (c->got < head) {
            while (c->got < head && used < len) c->head[c->got++] = at[used++];
            if (c->got < head) break;
            c->total = get_u32(c->head + head - 4) + head - 4;
            if (c->total < head) return -1;
        }
        size_t take = c->total - c->got;
        if (take > len - used) take = len - used;
        if (c->got < HEAD_BYTES) {
            size_t keep = HEAD_BYTES - c->got < take ? HEAD_BYTES - c->got : take;
            memcpy(c->head + c->got, at + used, keep);
        }
        c->got += take;
        used += take;
        if (c->got == c->total) {
            size_t have = c->total < HEAD_BYTES ? c->total : HEAD_BYTES;
            c->got = 0;
            if (!handle(s, c, c->head, have)) return -1;
        }
    }
    return (ssize_t)used;
}

/* Sends; what the socket refuses, or what must wait behind such, is held. False: the peer is gone.
 */
static bool send_or_hold(struct conn *c, const char *at, size_t len)
{
    ssize_t sent = c->held ? 0 : send(c->fd, at, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) sent = 0;
    size_t left = len - (size_t)sent;
    if (!left) return true;
    char *held = realloc(c->held, c->held_len + left);
    if (!held) return false;
    memcpy(held + c->held_len, at + sent, left);
    c->held = held;
    c->held_len += left;
    return true;
}

/* Everything that is owed, as far as the socket takes it. */
static bool flush(struct server *s, struct conn *c)
{
    if (s->out_len) {
        size_t n = s->out_len;
        s->out_len = 0;
        if (!send_or_hold(c, s->out, n)) return false;
    }
    while (c->block && !c->held) {
        size_t whole = c->block->rows * c->block->row_bytes - c->block_at;
        size_t n = whole < c->left_bytes ? whole : (size_t)c->left_bytes;
        ssize_t sent = send(c->fd, c->block->at + c->block_at, n, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        c->left_bytes -= (uint64_t)sent;
        c->block_at = (c->block_at + (size_t)sent) % (c->block->rows * c->block->row_bytes);
        if (c->left_bytes) continue;
        char text[40];
        snprintf(text, sizeof text, "SELECT %llu", (unsigned long long)c->rows);
        c->block = NULL;
        tag(s, text);
        ready(s, c);
        return flush(s, c);
    }
    return true;
}

/* While it can not be answered, a client is not read. */
static bool on_event(struct server *s, struct conn *c, uint32_t events)
{
    bool blocked = c->held || c->block;
    if (events & EPOLLOUT) {
        if (c->held) {
            ssize_t sent =
                send(c->fd, c->held + c->held_at, c->held_len - c->held_at, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) return false;
            if (sent > 0) c->held_at += (size_t)sent;
            if (c->held_at < c->held_len) return true;
            free(c->held);
            c->held = NULL;
            c->held_at = c->held_len = 0;
        }
        if (!flush(s, c)) return false;
    } else {
        ssize_t got = recv(c->fd, s->receive, sizeof s->receive, 0);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        for (size_t at = 0; at < (size_t)got;) {
            ssize_t used = feed(s, c, s->receive + at, (size_t)got - at);
            if (used < 0 || !flush(s, c)) return false;
            at += (size_t)used;
            /* A pipeline behind a bulk answer is not what this program is for. */
            if (!used && (c->held || c->block)) return false;
        }
    }
    bool is_blocked = c->held || c->block;
    if (is_blocked != blocked)
        watch(s->ep, EPOLL_CTL_MOD, c->fd, is_blocked ? EPOLLOUT : EPOLLIN, c);
    return true;
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event events[512];
    if (argc != 2) return 2;
    prepare_process();
    s.ep = epoll_create1(0);
    s.listener = listen_on(atoi(argv[1]));
    watch(s.ep, EPOLL_CTL_ADD, s.listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(s.ep, events, 512, -1);
        for (int at = 0; at < n; at++) {
            struct conn *c = events[at].data.ptr;
            if (!c) {
                int fd = accept4(s.listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                no_delay(fd);
                if (!(c = calloc(1, sizeof *c))) die("memory");
                c->fd = fd;
                watch(s.ep, EPOLL_CTL_ADD, fd, EPOLLIN, c);
            } else if (!on_event(&s, c, events[at].events)) {
                s.out_len = 0;
                close(c->fd);
                free(c->held);
                free(c);
            }
        }
    }
}
