/* redshift: plays the parts of Amazon Redshift that a proxy meets, around a real PostgreSQL.
 *
 *   redshift -l PORT -s SERVER_PORT [-a METHOD] [-u USER=PASSWORD]... [-c CERTS] [-v VERSION] [-q]
 *            [-p PROGRAM] [-t TABLE]
 *
 *   -a   how it asks for the password: trust, cleartext (code 3), md5 (5), digest (13, the
 * default), idp (14: the client must have spoken of an identity provider; the token alone says who
 * it is: the USER whose PASSWORD it is, whatever the startup packet says) -c   TLS with server.crt
 * and server.key of this directory -v   the highest client_protocol_version it grants (default 1)
 * -q   the startup only: no statement is refused or rewritten
 * -p   what serves s3:// for COPY and UNLOAD: "s3.py ENDPOINT" (redshift_s3.h)
 * -t   a table, OID=SCHEMA.NAME, that wide RowDescriptions name, with columns that are not null
 *
 * As Redshift does: the ParameterStatus set, `UNICODE`, lower-case datestyle, no
 * standard_conforming_strings (and backslashes that always escape), unknown startup keys are FATAL
 * 42704, server_protocol_version as negotiated and its wider RowDescription, `SELECT` tags without
 * a count, DISCARD, DEALLOCATE ALL, UNLISTEN, savepoints, COPY from STDIN and settings of
 * PostgreSQL's refused, settings of Redshift's accepted. Names like `IAM:loader` log in as
 * `loader`.
 *
 * What it is not: no Redshift SQL (no DISTKEY, SUPER, #tables; of COPY and UNLOAD what
 * redshift_s3.h says), no PortalSuspended restrictions, no binary formats of version 2, no WLM, no
 * limits, no PID changes, and wide RowDescriptions name no table but that of -t.
 * SQLSTATEs are those that users reported; where none is known it is 0A000. It was written from
 * Amazon's open-source drivers and bug reports, and never compared with a cluster.
 *
 * One process per client, so that one can be killed alone. The SQL is passed on, changed where it
 * must fail: PostgreSQL then says so itself, at the right place in the conversation.
 */
#include "fake/redshift_s3.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_CAP = 64 << 20, STARTUP_CAP = 10000, NONCE_BYTES = 32, USER_CAP = 32 };
enum method { TRUST = 0, CLEARTEXT = 3, MD5 = 5, DIGEST = 13, IDP = 14 };

struct options {
    int port, server_port, max_version, users;
    enum method method;
    bool startup_only;
    const char *user[USER_CAP]; /* NAME=PASSWORD */
    const char *program;        /* serves S3; NULL: none */
    unsigned table;             /* that wide RowDescriptions name */
    char schema[64], name[64];
    SSL_CTX *tls;
};

/* One side of a session: a socket, perhaps with TLS, and what was read but not yet understood. */
struct side {
    int fd;
    SSL *tls;
    char *at;
    size_t len, cap;
};

struct session {
    const struct options *o;
    struct side client, server;
    char user[256], login[256], database[256], application[256];
    bool asked_encoding, has_provider;
    int version;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "redshift: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- bytes ----------------------------------------------------------------- */

static uint32_t get_u32(const char *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return ntohl(v);
}

static void put_u32(char *at, size_t v)
{
    uint32_t net = htonl((uint32_t)v);
    memcpy(at, &net, 4);
}

/* A message that is being written. */
struct out {
    char *at;
    size_t len;
};

static void add(struct out *o, const void *bytes, size_t n)
{
    o->at = realloc(o->at, o->len + n + 1);
    if (!o->at) die("memory");
    if (n) memcpy(o->at + o->len, bytes, n);
    o->len += n;
}

static void add_text(struct out *o, const char *text) { add(o, text, strlen(text) + 1); }

static void add_u32(struct out *o, size_t v)
{
    char b[4];
    put_u32(b, v);
    add(o, b, 4);
}

static void begin(struct out *o, char type)
{
    *o = (struct out){ 0 };
    add(o, &type, 1);
    add(o, "\0\0\0\0", 4);
}

static void write_all(struct side *s, const char *at, size_t len)
{
    while (len) {
        ssize_t n;
        if (s->tls) {
            ERR_clear_error();
            n = SSL_write(s->tls, at, len < 1 << 30 ? (int)len : 1 << 30);
        } else
            n = send(s->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && !s->tls && errno == EINTR) continue;
        if (n <= 0) exit(0); /* the other side is gone: so are we */
        at += n;
        len -= (size_t)n;
    }
}

static void finish(struct side *to, struct out *o)
{
    put_u32(o->at + 1, o->len - 1);
    write_all(to, o->at, o->len);
    free(o->at);
    *o = (struct out){ 0 };
}

static void say(struct side *to, char type, const void *body, size_t n)
{
    struct out o;
    begin(&o, type);
    add(&o, body, n);
    finish(to, &o);
}

/* Reads what there is (blocking for the first byte). False: the end. */
static bool fill(struct side *s)
{
    if (s->cap - s->len < 65536) {
        s->cap = s->cap * 2 + 131072;
        s->at = realloc(s->at, s->cap);
        if (!s->at || s->cap > 2 * (size_t)MESSAGE_CAP) die("memory");
    }
    ssize_t n;
    do {
        ERR_clear_error();
        n = s->tls ? SSL_read(s->tls, s->at + s->len,
                              (int)(s->cap - s->len > 1 << 30 ? 1 << 30 : s->cap - s->len))
                   : recv(s->fd, s->at + s->len, s->cap - s->len, 0);
    } while (n < 0 && !s->tls && errno == EINTR);
    if (n <= 0) return false;
    s->len += (size_t)n;
    return true;
}

static void drop(struct side *s, size_t n)
{
    s->len -= n;
    memmove(s->at, s->at + n, s->len);
}

/* The whole first message, with its length (0: not there yet). Startup packets have no type byte.
 */
static size_t whole_message(const struct side *s, bool typed)
{
    size_t head = typed ? 5 : 4;
    if (s->len < head) return 0;
    size_t total = get_u32(s->at + head - 4) + head - 4;
    if (total < head || total > (typed ? MESSAGE_CAP : STARTUP_CAP)) exit(0);
    return s->len >= total ? total : 0;
}

static size_t read_message(struct side *s, bool typed)
{
    size_t total;
    while (!(total = whole_message(s, typed)))
        if (!fill(s)) exit(0);
    return total;
}

static _Noreturn __attribute__((format(printf, 3, 4))) void fatal(struct session *s,
                                                                  const char *sqlstate,
                                                                  const char *format, ...)
{
    struct out o;
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    begin(&o, 'E');
    add_text(&o, "SFATAL");
    add(&o, "C", 1);
    add_text(&o, sqlstate);
    add(&o, "M", 1);
    add_text(&o, text);
    add(&o, "", 1);
    finish(&s->client, &o);
    if (s->client.tls) SSL_shutdown(s->client.tls);
    exit(0);
}

/* ---- who is it ------------------------------------------------------------- */

static const char *password_of(const struct session *s)
{
    for (int at = 0; at < s->o->users; at++) {
        const char *mark = strchr(s->o->user[at], '=');
        size_t n = mark ? (size_t)(mark - s->o->user[at]) : 0;
        if (mark && n == strlen(s->user) && !strncmp(s->o->user[at], s->user, n)) return mark + 1;
    }
    return NULL;
}

static void hash(const EVP_MD *kind, uint8_t *to, const void *a, size_t an, const void *b,
                 size_t bn, const void *c, size_t cn)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || !EVP_DigestInit_ex(md, kind, NULL) || !EVP_DigestUpdate(md, a, an) ||
        !EVP_DigestUpdate(md, b, bn) || !EVP_DigestUpdate(md, c, cn) ||
        !EVP_DigestFinal_ex(md, to, NULL))
        die("hash");
    EVP_MD_CTX_free(md);
}

static void md5_of(char hex[33], const char *a, size_t an, const char *b, size_t bn)
{
    uint8_t d[16];
    hash(EVP_md5(), d, a, an, b, bn, "", 0);
    for (int at = 0; at < 16; at++) sprintf(hex + 2 * at, "%02x", d[at]);
}

static bool same(const char *a, size_t an, const char *b, size_t bn)
{
    return an == bn && CRYPTO_memcmp(a, b, an) == 0;
}

/* Code 13: 'd' with SHA256(SHA256(password, salt), our nonce, client's nonce), and that nonce. */
static bool digest_agrees(struct session *s, const char *password, const uint8_t *salt,
                          const uint8_t *nonce)
{
    uint8_t inner[32], want[32];
    size_t n = read_message(&s->client, true);
    const char *m = s->client.at;
    if (m[0] != 'd' || n < 5 + 4 + 32 + 4 || get_u32(m + 5) != 32) return false;
    size_t client_nonce = get_u32(m + 41);
    if (client_nonce < 1 || client_nonce > 1024 || n != 45 + client_nonce) return false;
    hash(EVP_sha256(), inner, password, strlen(password), salt, NONCE_BYTES, "", 0);
    hash(EVP_sha256(), want, inner, 32, nonce, NONCE_BYTES, m + 45, client_nonce);
    bool ok = same(m + 9, 32, (char *)want, 32);
    drop(&s->client, n);
    return ok;
}

/* Code 14: whose token is it? The user of the startup packet may be empty and does not matter. */
static bool token_agrees(struct session *s)
{
    size_t n = read_message(&s->client, true);
    const char *m = s->client.at;
    size_t have = n - 5;
    bool ok = false;
    /* JDBC and ODBC end a token with a NUL, the Python driver does not. */
    if (have && !m[5 + have - 1]) have--;
    for (int at = 0; m[0] == 'i' && have && !ok && at < s->o->users; at++) {
        const char *mark = strchr(s->o->user[at], '=');
        if (!mark || !same(m + 5, have, mark + 1, strlen(mark + 1))) continue;
        snprintf(s->user, sizeof s->user, "%.*s", (int)(mark - s->o->user[at]), s->o->user[at]);
        ok = true;
    }
    drop(&s->client, n);
    return ok;
}

static bool secret_agrees(struct session *s, const char *password, const char *salt)
{
    enum method how = s->o->method;
    char want[40] = "md5", inner[33];
    size_t n = read_message(&s->client, true);
    const char *m = s->client.at;
    size_t have = n - 5;
    bool ok = m[0] == 'p';
    if (have && !m[5 + have - 1]) have--;
    if (how == MD5) {
        md5_of(inner, password, strlen(password), s->user, strlen(s->user));
        md5_of(want + 3, inner, 32, salt, 4);
        password = want;
    }
    ok = ok && same(m + 5, have, password, strlen(password));
    drop(&s->client, n);
    return ok;
}

static void authenticate(struct session *s)
{
    const char *password = password_of(s), *known = password ? password : "";
    uint8_t random[2 * NONCE_BYTES];
    struct out o;
    bool ok = false;
    if (s->o->method == TRUST) return;
    if (s->o->method == IDP && !s->has_provider)
        fatal(s, "28000", "no identity provider in the startup packet");
    if (RAND_bytes(random, sizeof random) != 1) die("random");
    begin(&o, 'R');
    add_u32(&o, s->o->method);
    if (s->o->method == MD5) add(&o, random, 4);
    if (s->o->method == DIGEST) {
        add_u32(&o, 0); /* SHA-256 */
        add_u32(&o, NONCE_BYTES);
        add(&o, random, NONCE_BYTES);
        add_u32(&o, NONCE_BYTES);
        add(&o, random + NONCE_BYTES, NONCE_BYTES);
    }
    finish(&s->client, &o);
    if (s->o->method == IDP) {
        if (!token_agrees(s)) fatal(s, "28000", "the token is not valid");
        return;
    }
    if (s->o->method == DIGEST)
        ok = digest_agrees(s, known, random, random + NONCE_BYTES);
    else
        ok = secret_agrees(s, known, (char *)random);
    if (!ok || !password)
        fatal(s, "28000", "password authentication failed for user \"%s\"", s->user);
}

/* ---- the startup ----------------------------------------------------------- */

/* What Redshift knows in a startup packet. `pass`: PostgreSQL is told too. */
static const struct {
    const char *name;
    bool pass;
} startup_keys[] = {
    { "user", false },
    { "database", false },
    { "options", true },
    { "client_encoding", true },
    { "datestyle", true },
    { "timezone", true },
    { "extra_float_digits", true },
    { "application_name", true },
    { "search_path", true },
    { "statement_timeout", true },
    { "geqo", true },
    { "query_group", false },
    { "client_protocol_version", false },
    { "driver_version", false },
    { "driver_discovery_version", false },
    { "os_version", false },
    { "plugin_name", false },
    { "idp_type", false },
    { "provider_name", false },
    { "token_type", false },
    { "identity_namespace", false },
    { "idc_client_display_name", false },
};

static int dial_server(const struct options *o)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)o->server_port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("no PostgreSQL");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* SSLRequest, GSSENCRequest and CancelRequest are answered; what remains is the startup packet. */
static size_t read_startup(struct session *s)
{
    for (;;) {
        size_t n = read_message(&s->client, false);
        uint32_t code = n >= 8 ? get_u32(s->client.at + 4) : 0;
        if (code == 80877102) { /* our BackendKeyData is PostgreSQL's */
            s->server.fd = dial_server(s->o);
            write_all(&s->server, s->client.at, n);
            fill(&s->server); /* it closes when it is done */
            exit(0);
        }
        if (code != 80877103 && code != 80877104) return n;
        drop(&s->client, n);
        bool yes = code == 80877103 && s->o->tls && !s->client.tls;
        write_all(&s->client, yes ? "S" : "N", 1);
        if (!yes) continue;
        if (s->client.len) exit(0); /* nothing may precede the handshake */
        s->client.tls = SSL_new(s->o->tls);
        SSL_set_fd(s->client.tls, s->client.fd);
        ERR_clear_error();
        if (SSL_accept(s->client.tls) != 1) exit(0);
    }
}

/* "IAM:ana", "IAMA:ana:group" and "IAMR:ana" are ana. */
static void name_of(char *to, size_t cap, const char *user)
{
    const char *mark = strncmp(user, "IAM", 3) ? NULL : strchr(user, ':');
    const char *from = mark ? mark + 1 : user;
    snprintf(to, cap, "%.*s", mark ? (int)strcspn(from, ":") : (int)strlen(from), from);
}

static void startup(struct session *s)
{
    size_t n = read_startup(s);
    struct out packet = { 0 };
    const char *at = s->client.at + 8, *end = s->client.at + n;
    if (n < 9 || end[-1]) exit(0);
    if (get_u32(s->client.at + 4) >> 16 != 3) fatal(s, "0A000", "unsupported frontend protocol");
    strcpy(s->application, "unset");
    add(&packet, "\0\0\0\0\0\3\0\0", 8);
    while (at < end && *at) {
        const char *key = at, *value = key + strlen(key) + 1;
        if (value >= end) exit(0);
        at = value + strlen(value) + 1;
        bool known = !strncmp(key, "_pq_.", 5), pass = false;
        for (size_t k = 0; k < sizeof startup_keys / sizeof *startup_keys; k++)
            if (!strcasecmp(key, startup_keys[k].name)) {
                known = true;
                pass = startup_keys[k].pass;
            }
        if (!known) fatal(s, "42704", "unrecognized configuration parameter \"%s\"", key);
        if (!strcmp(key, "options") && strstr(value, "standard_conforming_strings"))
            fatal(s, "42704", "unrecognized configuration parameter \"%s\"",
                  "standard_conforming_strings");
        if (!strcmp(key, "user")) snprintf(s->user, sizeof s->user, "%s", value);
        if (!strcmp(key, "database")) snprintf(s->database, sizeof s->database, "%s", value);
        if (!strcmp(key, "application_name"))
            snprintf(s->application, sizeof s->application, "%s", value);
        if (!strcmp(key, "idp_type") && *value) s->has_provider = true;
        if (!strcmp(key, "client_encoding")) s->asked_encoding = true;
        if (!strcmp(key, "client_protocol_version")) s->version = atoi(value);
        if (pass) {
            add_text(&packet, key);
            add_text(&packet, value);
        }
    }
    if (s->version > s->o->max_version) s->version = s->o->max_version;
    drop(&s->client, n);
    authenticate(s);

    name_of(s->login, sizeof s->login, s->user);
    if (!*s->database) strcpy(s->database, s->login);
    const char *const more[] = { "user",
                                 s->login,
                                 "database",
                                 s->database,
                                 "standard_conforming_strings",
                                 "off",
                                 "escape_string_warning",
                                 "off" };
    for (size_t k = 0; k < sizeof more / sizeof *more; k++) add_text(&packet, more[k]);
    add(&packet, "", 1);
    put_u32(packet.at, packet.len);
    s->server.fd = dial_server(s->o);
    write_all(&s->server, packet.at, packet.len);
    free(packet.at);
}

/* ---- server to client ------------------------------------------------------ */

static void parameter(struct session *s, const char *name, const char *value)
{
    struct out o;
    begin(&o, 'S');
    add_text(&o, name);
    add_text(&o, value);
    finish(&s->client, &o);
}

/* Redshift's set; what it takes from PostgreSQL comes through by itself. */
static void parameters(struct session *s)
{
    char version[12];
    snprintf(version, sizeof version, "%d", s->version);
    const char *const set[][2] = {
        { "server_version", "8.0.2" },
        { "server_encoding", "UNICODE" },
        { "timezone_abbreviations", "Default" },
        { "integer_datetimes", "on" },
        { "padb_version", "1.0.12345" },
        { "padb_revision", "0123456789abcdef0123456789abcdef01234567" },
        { "server_protocol_version", version },
        { "max_numeric_precision", "38" },
        { "max_varchar_size", "65535" },
        { "datashare_enabled", "on" },
        { "external_database", "off" },
        { "case_sensitive", "on" },
        { "session_id", "00000000-0000-4000-8000-000000000000" },
    };
    for (size_t at = 0; at < sizeof set / sizeof *set; at++) parameter(s, set[at][0], set[at][1]);
}

static void on_parameter(struct session *s, const char *name, const char *value)
{
    static const char *const same_name[] = { "TimeZone", "is_superuser", "session_authorization" };
    if (!strcmp(name, "DateStyle")) parameter(s, "datestyle", value);
    if (!strcmp(name, "client_encoding"))
        parameter(s, name, !s->asked_encoding && !strcmp(value, "UTF8") ? "UNICODE" : value);
    if (!strcmp(name, "application_name")) parameter(s, name, *value ? value : s->application);
    for (size_t at = 0; at < sizeof same_name / sizeof *same_name; at++)
        if (!strcmp(name, same_name[at])) parameter(s, name, value);
}

/* Version 1 and above: schema, table, column, catalog and flags follow each field. */
static void wide_description(struct session *s, const char *m, size_t n)
{
    struct out o;
    const char *at = m + 7, *end = m + n;
    begin(&o, 'T');
    add(&o, m + 5, 2);
    while (at < end) {
        const char *name = at;
        size_t field = strlen(name) + 1 + 18;
        if (field > (size_t)(end - at)) die("RowDescription");
        bool known = s->o->table && get_u32(name + strlen(name) + 1) == s->o->table;
        const char flags[2] = { known ? 0x10 : 0, known ? 1 : 0 };
        add(&o, at, field);
        add_text(&o, known ? s->o->schema : "");
        add_text(&o, known ? s->o->name : "");
        add_text(&o, name);
        add_text(&o, s->database);
        add(&o, flags, 2); /* searchable, not null, in no case */
        at += field;
    }
    finish(&s->client, &o);
}

/* A COPY from S3, or an UNLOAD: PostgreSQL's tag is the same for both. */
static void copy_complete(struct session *s, const char *tag)
{
    char text[80];
    struct out o;
    snprintf(text, sizeof text, "MLoad completed, %.20s record(s) loaded successfully.", tag + 5);
    begin(&o, 'N');
    add_text(&o, "SINFO");
    add_text(&o, "C00000");
    add_text(&o, text);
    add(&o, "", 1);
    finish(&s->client, &o);
    say(&s->client, 'C', "COPY", 5);
}

/* The value of a field of an error or notice; NULL: it has none. */
static const char *field_of(const char *m, size_t n, char code)
{
    for (const char *at = m + 5; at < m + n && *at; at += strlen(at) + 1)
        if (*at == code) return at + 1;
    return NULL;
}

static bool s3_failed(struct session *s, const char *m, size_t n)
{
    const char *sqlstate = field_of(m, n, 'C'), *detail = field_of(m, n, 'D');
    struct out o;
    if (!s->o->program || !sqlstate || strcmp(sqlstate, "38000") != 0 || !detail) return false;
    begin(&o, 'E');
    add_text(&o, "SERROR");
    add_text(&o, "CXX000");
    add(&o, "M", 1);
    add_text(&o, s3_message(detail));
    add(&o, "D", 1);
    add_text(&o, s3_detail(detail));
    add(&o, "", 1);
    finish(&s->client, &o);
    return true;
}

static void on_server_message(struct session *s, const char *m, size_t n)
{
    if (m[0] == 'R' && n == 9 && get_u32(m + 5) == 0) {
        write_all(&s->client, m, n);
        parameters(s);
    } else if (m[0] == 'R')
        fatal(s, "XX000", "the PostgreSQL behind must trust");
    else if (m[0] == 'S')
        on_parameter(s, m + 5, m + 5 + strlen(m + 5) + 1);
    else if (m[0] == 'T' && s->version >= 1)
        wide_description(s, m, n);
    else if (m[0] == 'C' && !strncmp(m + 5, "SELECT ", 7))
        say(&s->client, 'C', "SELECT", 7);
    else if (m[0] == 'C' && !strncmp(m + 5, "COPY ", 5))
        copy_complete(s, m + 5);
    else if (m[0] == 'E' && s3_failed(s, m, n))
        return;
    else
        write_all(&s->client, m, n);
}

/* ---- client to server: the statements -------------------------------------- */

/* What Redshift refuses, by its first words (upper case, one blank between). */
static const struct {
    const char *words, *sqlstate, *message;
} refused[] = {
    { "DISCARD", "42601", "syntax error at or near \"DISCARD\"" },
    { "DEALLOCATE ALL", "42601", "syntax error at or near \"ALL\"" },
    { "DEALLOCATE PREPARE ALL", "42601", "syntax error at or near \"ALL\"" },
    { "CLOSE ALL", "42601", "syntax error at or near \"ALL\"" },
    { "LISTEN", "0A000", "SQL command \"LISTEN\" not supported." },
    { "UNLISTEN", "0A000", "SQL command \"UNLISTEN *\" not supported." },
    { "NOTIFY", "0A000", "SQL command \"NOTIFY\" not supported." },
    { "SAVEPOINT", "0A000", "SQL command \"SAVEPOINT\" not supported." },
    { "RELEASE", "0A000", "SQL command \"RELEASE\" not supported." },
    { "ROLLBACK TO", "0A000", "SQL command \"ROLLBACK TO\" not supported." },
    { "ROLLBACK WORK TO", "0A000", "SQL command \"ROLLBACK TO\" not supported." },
    { "BEGIN DEFERRABLE", "42601", "syntax error at or near \"DEFERRABLE\"" },
    { "SET STANDARD_CONFORMING_STRINGS", "42704",
      "unrecognized configuration parameter \"standard_conforming_strings\"" },
    { "SHOW STANDARD_CONFORMING_STRINGS", "42704",
      "unrecognized configuration parameter \"standard_conforming_strings\"" },
    { "SET BYTEA_OUTPUT", "42704", "unrecognized configuration parameter \"bytea_output\"" },
    { "SET INTERVALSTYLE", "42704", "unrecognized configuration parameter \"intervalstyle\"" },
    { "SET LOCK_TIMEOUT", "42704", "unrecognized configuration parameter \"lock_timeout\"" },
    { "SET IDLE_IN_TRANSACTION_SESSION_TIMEOUT", "42704",
      "unrecognized configuration parameter \"idle_in_transaction_session_timeout\"" },
    { "SHOW SERVER_VERSION_NUM", "42704",
      "unrecognized configuration parameter \"server_version_num\"" },
    { "SELECT PG_ADVISORY_", "42883", "function pg_advisory_lock does not exist" },
    { "SELECT PG_TRY_ADVISORY_", "42883", "function pg_try_advisory_lock does not exist" },
};

/* Settings that PostgreSQL does not have: there they get a prefix. */
static const char *const own_settings[] = {
    "query_group",
    "wlm_query_slot_count",
    "enable_result_cache_for_session",
    "enable_case_sensitive_identifier",
    "enable_case_sensitive_super_attribute",
    "downcase_delimited_identifier",
    "describe_field_name_in_uppercase",
    "readonly",
    "analyze_threshold_percent",
    "json_serialization_enable",
    "max_concurrency_scaling_clusters",
    "mv_enable_aqmv_for_session",
};

static const char *skip_blank(const char *p)
{
    for (;;) {
        while (isspace((unsigned char)*p)) p++;
        if (p[0] == '-' && p[1] == '-')
            p += strcspn(p, "\n");
        else if (p[0] == '/' && p[1] == '*' && strstr(p + 2, "*/"))
            p = strstr(p + 2, "*/") + 2;
        else
            return p;
    }
}

/* The end of the statement that starts here: its semicolon, or the end of the text. */
static const char *statement_end(const char *p)
{
    while (*p && *p != ';') {
        if (*p == '\'' || *p == '"') {
            char quote = *p++;
            while (*p && *p != quote) p += quote == '\'' && *p == '\\' && p[1] ? 2 : 1;
        }
        if (*p) p++;
    }
    return p;
}

/* The head of a statement in upper case, blanks and comments as one blank. */
static void head_of(char *to, size_t cap, const char *p, const char *end)
{
    size_t n = 0;
    while (p < end && n + 1 < cap) {
        const char *next = skip_blank(p);
        if (next > p && n) to[n++] = ' ';
        if ((p = next) < end && n + 1 < cap) to[n++] = (char)toupper((unsigned char)*p++);
    }
    to[n] = '\0';
}

static bool begins(const char *head, const char *words)
{
    size_t n = strlen(words);
    return !strncmp(head, words, n) &&
           (words[n - 1] == '_' || !(isalnum((unsigned char)head[n]) || head[n] == '_'));
}

/* A statement that PostgreSQL refuses just so; it holds no parameter and can be prepared. */
static void add_refusal(struct out *o, const char *sqlstate, const char *message)
{
    char text[600];
    snprintf(
        text, sizeof text,
        "DO $redshift$BEGIN RAISE EXCEPTION USING ERRCODE = '%s', MESSAGE = '%s'; END$redshift$",
        sqlstate, message);
    add(o, text, strlen(text));
}

static bool add_s3(struct out *o, const char *p, const char *end, const char *program)
{
    char sql[16384];
    const char *refusal;
    if (!s3_statement(sql, sizeof sql, skip_blank(p), end, program, &refusal)) return false;
    if (refusal)
        add_refusal(o, "0A000", refusal);
    else
        add(o, sql, strlen(sql));
    return true;
}

static void add_statement(struct session *s, struct out *o, const char *p, const char *end)
{
    char head[120];
    head_of(head, sizeof head, skip_blank(p), end);
    if (add_s3(o, p, end, s->o->program)) return;
    for (size_t at = 0; at < sizeof refused / sizeof *refused; at++)
        if (begins(head, refused[at].words)) {
            add_refusal(o, refused[at].sqlstate, refused[at].message);
            return;
        }
    if (begins(head, "COPY") && (strstr(head, " STDIN") || strstr(head, " STDOUT"))) {
        add_refusal(o, "42601", "syntax error at or near \"STDIN\"");
        return;
    }
    if (begins(head, "SET") || begins(head, "SHOW") || begins(head, "RESET"))
        for (size_t at = 0; at < sizeof own_settings / sizeof *own_settings; at++) {
            const char *name = strcasestr(p, own_settings[at]);
            if (!name || name >= end || name - p > 30) continue;
            add(o, p, (size_t)(name - p));
            add(o, "redshift.", 9);
            add(o, name, (size_t)(end - name));
            return;
        }
    add(o, p, (size_t)(end - p));
}

static void add_sql(struct session *s, struct out *o, const char *sql)
{
    for (;;) {
        const char *end = statement_end(sql);
        add_statement(s, o, sql, end);
        if (!*end) break;
        add(o, ";", 1);
        sql = end + 1;
    }
    add(o, "", 1);
}

static void on_client_message(struct session *s, const char *m, size_t n)
{
    struct out o;
    bool has_sql = (m[0] == 'Q' || m[0] == 'P') && n > 5 && !m[n - 1];
    const char *sql = m + 5;
    if (has_sql && m[0] == 'P') sql += strlen(sql) + 1;
    if (s->o->startup_only || !has_sql || !memchr(sql, 0, (size_t)(m + n - sql))) {
        write_all(&s->server, m, n);
        return;
    }
    const char *after = sql + strlen(sql) + 1;
    begin(&o, m[0]);
    add(&o, m + 5, (size_t)(sql - m - 5));
    add_sql(s, &o, sql);
    add(&o, after, (size_t)(m + n - after));
    finish(&s->server, &o);
}

/* ---- a session, and all of them -------------------------------------------- */

static void pass_messages(struct session *s, struct side *from,
                          void (*on_message)(struct session *, const char *, size_t))
{
    size_t used = 0;
    struct side rest = *from;
    for (size_t n; (n = whole_message(&rest, true)); rest.at += n, rest.len -= n, used += n)
        on_message(s, rest.at, n);
    drop(from, used);
}

static _Noreturn void serve(const struct options *o, int fd)
{
    static struct session s;
    s.o = o;
    s.client.fd = fd;
    startup(&s);
    pass_messages(&s, &s.client, on_client_message); /* what came with the startup */
    for (;;) {
        struct pollfd fds[2] = { { .fd = s.client.fd, .events = POLLIN },
                                 { .fd = s.server.fd, .events = POLLIN } };
        bool pending = s.client.tls && SSL_pending(s.client.tls) > 0;
        if (poll(fds, 2, pending ? 0 : -1) < 0 && errno != EINTR) die("poll");
        if (pending || fds[0].revents) {
            if (!fill(&s.client)) exit(0);
            pass_messages(&s, &s.client, on_client_message);
        }
        if (fds[1].revents) {
            if (!fill(&s.server)) exit(0);
            pass_messages(&s, &s.server, on_server_message);
        }
    }
}

static enum method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum method method;
    } all[] = { { "trust", TRUST },
                { "cleartext", CLEARTEXT },
                { "md5", MD5 },
                { "digest", DIGEST },
                { "idp", IDP } };
    for (size_t at = 0; at < sizeof all / sizeof *all; at++)
        if (!strcmp(name, all[at].name)) return all[at].method;
    fprintf(stderr, "redshift: unknown method %s\n", name);
    exit(2);
}

static SSL_CTX *tls_with(const char *dir)
{
    char certificate[1024], key[1024];
    snprintf(certificate, sizeof certificate, "%s/server.crt", dir);
    snprintf(key, sizeof key, "%s/server.key", dir);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die("certificate");
    return tls;
}

int main(int argc, char **argv)
{
    struct options o = { .method = DIGEST, .max_version = 1 };
    int option, one = 1;
    while ((option = getopt(argc, argv, "l:s:a:u:c:v:qp:t:")) != -1) switch (option) {
        case 'l': o.port = atoi(optarg); break;
        case 's': o.server_port = atoi(optarg); break;
        case 'a': o.method = method_of(optarg); break;
        case 'u':
            if (o.users < USER_CAP) o.user[o.users++] = optarg;
            break;
        case 'c': o.tls = tls_with(optarg); break;
        case 'v': o.max_version = atoi(optarg); break;
        case 'q': o.startup_only = true; break;
        case 'p': o.program = optarg; break;
        case 't':
            if (sscanf(optarg, "%u=%63[^.].%63s", &o.table, o.schema, o.name) != 3) return 2;
            break;
        default: return 2;
        }
    if (!o.port || !o.server_port) return 2;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)o.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024))
        die("listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            close(listener);
            serve(&o, fd);
        }
        close(fd);
    }
}
