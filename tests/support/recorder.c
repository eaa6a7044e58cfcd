#include "support/recorder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, SLOW_US = 300 * 1000, MESSAGES = 4096 };

struct record {
    size_t at, len;
    int connection;
};

struct recorder {
    pthread_mutex_t lock;
    int fd, connections;
    char *bytes, *startups;
    size_t len, startups_len;
    struct record records[MESSAGES];
    size_t count;
    char types[MESSAGES + 1];
};

/* One connection. */
struct line {
    struct recorder *recorder;
    int fd, number;
    char status; /* I, T, E */
    bool skipping;
    char *out;
    size_t out_len;
};

static void *need(void *memory)
{
    if (!memory) abort();
    return memory;
}

/* ---- writing down --------------------------------------------------------------------------- */

static void append(char **to, size_t *len, const void *bytes, size_t n)
{
    *to = need(realloc(*to, *len + n + 1));
    memcpy(*to + *len, bytes, n);
    *len += n;
}

static void write_down(struct line *l, const char *message, size_t len)
{
    struct recorder *r = l->recorder;
    pthread_mutex_lock(&r->lock);
    if (r->count == MESSAGES) abort();
    r->records[r->count++] = (struct record){ r->len, len, l->number };
    append(&r->bytes, &r->len, message, len);
    pthread_mutex_unlock(&r->lock);
}

/* ---- answering ------------------------------------------------------------------------------ */

static void put_u32(char *at, uint32_t v)
{
    v = htonl(v);
    memcpy(at, &v, 4);
}

static void say(struct line *l, char type, const void *body, size_t len)
{
    char head[5] = { type };
    put_u32(head + 1, (uint32_t)len + 4);
    append(&l->out, &l->out_len, head, 5);
    append(&l->out, &l->out_len, body, len);
}

static void flush(struct line *l)
{
    for (size_t at = 0; at < l->out_len;) {
        ssize_t n = send(l->fd, l->out + at, l->out_len - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += (size_t)n;
    }
    l->out_len = 0;
}

static void say_error(struct line *l, const char *sqlstate)
{
    char body[100];
    int n = snprintf(body, sizeof body, "SERROR%cC%s%cMno%c", 0, sqlstate, 0, 0);
    say(l, 'E', body, (size_t)n + 1);
    if (l->status == 'T') l->status = 'E';
}

static void say_ready(struct line *l) { say(l, 'Z', &l->status, 1); }

static void say_parameter(struct line *l, const char *name, const char *value)
{
    char body[100];
    int n = snprintf(body, sizeof body, "%s%c%s", name, 0, value);
    say(l, 'S', body, (size_t)n + 1);
}

static bool starts(const char *text, const char *word)
{
    return strncasecmp(text, word, strlen(word)) == 0;
}

/* One statement. False: it failed. */
static bool run(struct line *l, const char *text)
{
    char tag[16] = "";
    while (*text == ' ') text++;
    for (int i = 0; i < 15 && text[i] > ' ' && text[i] != ';'; i++) tag[i] = text[i] & ~0x20;
    const bool ends = starts(text, "commit") || starts(text, "rollback");
    if (strstr(text, "slow")) usleep(SLOW_US);
    if (strstr(text, "sjis")) say_parameter(l, "client_encoding", "SJIS");
    if (l->status == 'E' && !ends) {
        say_error(l, "25P02");
        return false;
    }
    if (strstr(text, "boom") || starts(text, "refused by")) {
        say_error(l, "42601");
        return false;
    }
    if (starts(text, "begin")) l->status = 'T';
    if (ends && l->status == 'E') strcpy(tag, "ROLLBACK");
    if (ends) l->status = 'I';
    say(l, 'C', tag, strlen(tag) + 1);
    return true;
}

static void run_query(struct line *l, char *text)
{
    char *rest = text;
    if (strlen(text) > 100000) {
        run(l, "insert");
    } else {
        for (char *one; (one = strsep(&rest, ";"));)
            if (one[strspn(one, " ")] && (*one != '-' || strchr(one, '\r')) && !run(l, one)) break;
    }
    say_ready(l);
}

/* A message of an extended batch. What is prepared is not remembered: everything succeeds but what
 * cannot be parsed. */
static void run_extended(struct line *l, char type, const char *body)
{
    const char *text = body + strlen(body) + 1;
    switch (type) {
    case 'P':
        if (!strstr(text, "boom") && !starts(text, "refused by"))
            say(l, '1', "", 0);
        else {
            say_error(l, "42601");
            l->skipping = true;
        }
        break;
    case 'B': say(l, '2', "", 0); break;
    case 'C': say(l, '3', "", 0); break;
    case 'D':
        if (*body == 'S') say(l, 't', "\0\0", 2);
        say(l, 'n', "", 0);
        break;
    default: say(l, 'C', "EXECUTED", 9); break;
    }
}

static void answer(struct line *l, char type, char *body)
{
    if (type == 'S') {
        l->skipping = false;
        say_ready(l);
    } else if (type == 'Q' && !l->skipping) {
        run_query(l, body);
    } else if (!l->skipping && strchr("PBDEC", type)) {
        run_extended(l, type, body);
    }
}

/* ---- connections ---------------------------------------------------------------------------- */

static bool take(int fd, char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);
        if (n <= 0) return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* The rest of a message behind its head, with a NUL behind it; NULL: the end. */
static char *take_message(int fd, char *head, size_t head_len, size_t *len)
{
    uint32_t size;
    memcpy(&size, head + head_len - 4, 4);
    size = ntohl(size);
    if (size < 4 || size > BODY_MAX) return NULL;
    *len = head_len + size - 4;
    char *message = need(calloc(1, *len + 1));
    memcpy(message, head, head_len);
    if (take(fd, message + head_len, size - 4)) return message;
    free(message);
    return NULL;
}

static bool greet(struct line *l)
{
    struct recorder *r = l->recorder;
    char head[4];
    size_t len;
    char *packet = take(l->fd, head, 4) ? take_message(l->fd, head, 4, &len) : NULL;
    if (!packet) return false;
    pthread_mutex_lock(&r->lock);
    append(&r->startups, &r->startups_len, packet, len);
    pthread_mutex_unlock(&r->lock);
    free(packet);
    say(l, 'R', "\0\0\0\0", 4);
    say_parameter(l, "server_version", "8.0.2");
    say_parameter(l, "client_encoding", "UTF8");
    say(l, 'K', "\0\0\0\7\0\0\0\7", 8);
    say_ready(l);
    flush(l);
    return true;
}

static bool is_about_privileges(const char *text)
{
    return strstr(text, "usesuper") || strstr(text, "has_table_privilege");
}

static void *serve(void *arg)
{
    struct line *l = arg;
    char head[5], *message;
    size_t len;
    bool more = greet(l);
    while (more && take(l->fd, head, 5) && (message = take_message(l->fd, head, 5, &len))) {
        const bool ours = head[0] == 'Q' && is_about_privileges(message + 5);
        if (!ours) write_down(l, message, len);
        if (ours) message[5] = '\0';
        answer(l, head[0], message + 5);
        if (strchr("QSH", head[0])) flush(l);
        more = head[0] != 'X';
        free(message);
    }
    close(l->fd);
    free(l->out);
    free(l);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct recorder *r = arg;
    for (;;) {
        struct line *l = need(calloc(1, sizeof *l));
        pthread_t thread;
        l->recorder = r;
        l->status = 'I';
        l->fd = accept(r->fd, NULL, NULL);
        l->number = ++r->connections;
        if (l->fd < 0 || pthread_create(&thread, NULL, serve, l)) abort();
        pthread_detach(thread);
    }
    return NULL;
}

struct recorder *recorder_start(int port)
{
    struct recorder *r = need(calloc(1, sizeof *r));
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    pthread_t thread;
    pthread_mutex_init(&r->lock, NULL);
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(r->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(r->fd, (struct sockaddr *)&at, sizeof at) || listen(r->fd, 64)) abort();
    if (pthread_create(&thread, NULL, accept_all, r)) abort();
    pthread_detach(thread);
    return r;
}

/* ---- asking --------------------------------------------------------------------------------- */

void recorder_forget(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    r->len = r->count = 0;
    pthread_mutex_unlock(&r->lock);
}

char *recorder_bytes(struct recorder *r, size_t *len)
{
    pthread_mutex_lock(&r->lock);
    char *copy = need(malloc(r->len + 1));
    if (r->len) memcpy(copy, r->bytes, r->len);
    *len = r->len;
    pthread_mutex_unlock(&r->lock);
    return copy;
}

bool recorder_has(struct recorder *r, const void *bytes, size_t len)
{
    pthread_mutex_lock(&r->lock);
    bool has = r->len && memmem(r->bytes, r->len, bytes, len);
    pthread_mutex_unlock(&r->lock);
    return has;
}

bool recorder_startups_have(struct recorder *r, const char *text)
{
    pthread_mutex_lock(&r->lock);
    bool has = r->startups_len && memmem(r->startups, r->startups_len, text, strlen(text));
    pthread_mutex_unlock(&r->lock);
    return has;
}

size_t recorder_count(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    size_t len = r->len;
    pthread_mutex_unlock(&r->lock);
    return len;
}

const char *recorder_types(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->count; i++) r->types[i] = r->bytes[r->records[i].at];
    r->types[r->count] = '\0';
    pthread_mutex_unlock(&r->lock);
    return r->types;
}

int recorder_connection(struct recorder *r, const char *text)
{
    int found = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->count && !found; i++)
        if (memmem(r->bytes + r->records[i].at, r->records[i].len, text, strlen(text)))
            found = r->records[i].connection;
    pthread_mutex_unlock(&r->lock);
    return found;
}
