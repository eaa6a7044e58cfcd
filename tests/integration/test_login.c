/* Logging in, from the outside: every method, and what strangers send who mean no good. The names
 * of tests carry the numbers of the faults that others had there. After each of them the proxy must
 * be alive, silent about what it knows, and serving everybody else. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct proxy proxy;
    const char *certs;
    PGconn *bystander; /* logged in all the time, and never disturbed */
};

static const char users[] =
    "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" },\n"
    "\"ana\": { \"auth\": [\"scram-sha-256\"], \"password\": \"env:ANA_PASSWORD\", "
    "\"role\": \"owner\", \"db_user\": \"postgres\" },\n"
    "\"eva\": { \"auth\": [\"scram-sha-256\"], \"password\": \"env:ANA_PASSWORD\", "
    "\"role\": \"owner\", \"db_user\": \"postgres\" },\n"
    "\"old\": { \"auth\": [\"md5\"], \"password\": \"env:ANA_PASSWORD\", "
    "\"role\": \"owner\", \"db_user\": \"postgres\" },\n"
    "\"clear\": { \"auth\": [\"cleartext\"], \"password\": \"env:ANA_PASSWORD\", "
    "\"role\": \"owner\", \"db_user\": \"postgres\" },\n"
    "\"amazon\": { \"auth\": [\"digest\"], \"password\": \"env:ANA_PASSWORD\", "
    "\"role\": \"owner\", \"db_user\": \"postgres\" },\n"
    "\"ops\": { \"auth\": [\"cert\"], \"role\": \"owner\", \"db_user\": \"postgres\" }";

static char listen_tls[600];

static bool start(struct world *w, struct proxy *p, const char *limits)
{
    return before_start(w->kit, p,
                        &(struct before){ .server_port = w->pg.port,
                                          .users = users,
                                          .listen_tls = listen_tls,
                                          .limits = limits });
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("login");
    *state = w;
    setenv("ANA_PASSWORD", "pencil", 1);
    w->certs = certs_make(w->kit, (const char *[]){ "ops", "ana", "mallory", NULL });
    if (!w->certs || !postgres_start(w->kit, &w->pg, NULL)) return -1;
    /* The proxy runs as another user. */
    char *copy;
    if (asprintf(&copy, "cp %s/server.key %s/proxy.key; chmod 644 %s/proxy.key", w->certs, w->certs,
                 w->certs) < 0)
        return -1;
    int status = kit_run(w->kit, "copy.log", (const char *[]){ "sh", "-c", copy, NULL });
    free(copy);
    snprintf(listen_tls, sizeof listen_tls,
             "{ \"mode\": \"allow\", \"certificate\": \"%s/server.crt\", "
             "\"key\": \"file:%s/proxy.key\", \"client_ca\": \"%s/ca.crt\" }",
             w->certs, w->certs, w->certs);
    if (status || !start(w, &w->proxy, "{ \"login_timeout\": \"5s\" }")) return -1;
    w->bystander = connect_to(w->proxy.port, "postgres", "");
    return PQstatus(w->bystander) == CONNECTION_OK ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    PQfinish(w->bystander);
    bool clean = !w->proxy.pid || proxy_stop(w->kit, &w->proxy);
    kit_free(w->kit);
    free(w);
    return clean ? 0 : -1;
}

/* After each test: nobody else has noticed. */
static int undisturbed(void **state)
{
    struct world *w = *state;
    if (!kit_is_running(w->kit, w->proxy.pid)) {
        fprintf(stderr, "sluice ended: %x\n", (unsigned)kit_stop(w->kit, w->proxy.pid, 0, 0));
        kit_print_log(w->kit, w->proxy.log_name, stderr);
        return -1;
    }
    if (strcmp(before_says(w->bystander, "select 41 + 1"), "42") != 0) return -1;
    PGconn *c = connect_to(w->proxy.port, "postgres", "");
    bool ok = strcmp(before_says(c, "select 42"), "42") == 0;
    PQfinish(c);
    return ok ? 0 : -1;
}

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- methods -------------------------------------------------------------------------------- */

static void assert_enters(struct world *w, const char *user, const char *extra)
{
    PGconn *c = connect_to(w->proxy.port, user, extra);
    if (PQstatus(c) != CONNECTION_OK) fail_msg("%s %s: %s", user, extra, PQerrorMessage(c));
    assert_string_equal(before_says(c, "select current_user"), "postgres");
    PQfinish(c);
}

static void assert_turned_away(struct world *w, const char *user, const char *extra,
                               const char *why)
{
    PGconn *c = connect_to(w->proxy.port, user, extra);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    if (!strstr(PQerrorMessage(c), why)) fail_msg("%s: %s", user, PQerrorMessage(c));
    PQfinish(c);
}

static void passwords_open(void **state)
{
    struct world *w = *state;
    assert_enters(w, "ana", "password=pencil");
    assert_enters(w, "ana", "password=pencil sslmode=require channel_binding=disable");
    assert_enters(w, "ana", "password=pencil sslmode=require channel_binding=require");
    assert_enters(w, "old", "password=pencil");
    assert_enters(w, "clear", "password=pencil sslmode=require");
    assert_enters(w, "postgres", "");
}

static void a_cleartext_password_is_not_asked_for_without_tls(void **state)
{
    struct raw *r = raw_open(((struct world *)*state)->proxy.port, "127.0.0.20");
    /* He is asked what a stranger would be. */
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "clear", NULL });
    assert_int_equal(raw_next(r), 'R');
    assert_int_not_equal(be32(r->body), 3);
    raw_close(r);
}

static void a_certificate_opens(void **state)
{
    struct world *w = *state;
    char extra[700];
    snprintf(extra, sizeof extra, "sslmode=require sslcert=%s/ops.crt sslkey=%s/ops.key", w->certs,
             w->certs);
    assert_enters(w, "ops", extra);
    snprintf(extra, sizeof extra, "sslmode=require sslcert=%s/mallory.crt sslkey=%s/mallory.key",
             w->certs, w->certs);
    assert_turned_away(w, "ops", extra, "");
    assert_turned_away(w, "ops", "sslmode=require password=pencil", "");
}

static void sha256(const void *a, size_t a_len, const void *b, size_t b_len, const void *c,
                   size_t c_len, uint8_t out[32])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, a, a_len);
    EVP_DigestUpdate(md, b, b_len);
    EVP_DigestUpdate(md, c, c_len);
    EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
}

/* Redshift's own: what redshift_connector does, by hand. */
static const char *digest_login(struct raw *r, const char *user, const char *password)
{
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", user, "database", "postgres", "client_protocol_version",
                                  "2", NULL });
    if (raw_next(r) != 'R' || be32(r->body) != 13) return "not asked";
    uint32_t salt_len = be32(r->body + 8), nonce_len;
    const uint8_t *salt = r->body + 12, *nonce;
    if (salt_len > 1000 || 12 + salt_len + 4 > r->len) return "malformed";
    nonce_len = be32(salt + salt_len);
    nonce = salt + salt_len + 4;
    if (nonce_len != r->len - 16 - salt_len) return "malformed";
    uint8_t inner[32], reply[4 + 32 + 4 + 13] = { 0 };
    sha256(password, strlen(password), salt, salt_len, "", 0, inner);
    sha256(inner, 32, nonce, nonce_len, "1700000000000", 13, reply + 4);
    reply[3] = 32;
    reply[39] = 13;
    memcpy(reply + 40, "1700000000000", 13);
    raw_say(r, 'd', reply, sizeof reply);
    return raw_answer(r);
}

static void redshifts_digest_opens(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, "127.0.0.2");
    assert_string_equal(digest_login(r, "amazon", "pencil"), "R K ZI");
    raw_close(r);
    r = raw_open(w->proxy.port, "127.0.0.2");
    assert_string_equal(digest_login(r, "amazon", "Pencil"), "E28P01 end");
    raw_close(r);
}

static const char *own_address(char text[64])
{
    struct ifaddrs *all, *at;
    const char *found = NULL;
    if (getifaddrs(&all)) return NULL;
    for (at = all; at && !found; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
        const uint8_t *ip = (const uint8_t *)&((struct sockaddr_in *)at->ifa_addr)->sin_addr;
        if (ip[0] == 127) continue;
        snprintf(text, 64, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
        found = text;
    }
    freeifaddrs(all);
    return found;
}

static void trust_is_for_loopback_only(void **state)
{
    struct world *w = *state;
    char address[64], more[300], extra[200];
    if (!own_address(address)) skip();
    struct proxy p = { .port = kit_port(w->kit) };
    struct before b = { .server_port = w->pg.port,
                        .users = users,
                        .access = "{ \"from\": \"unix\" }, "
                                  "{ \"from\": \"0.0.0.0/0\", \"unsafe\": true }" };
    char *config = before_config(&b), *at = strstr(config, "127.0.0.1:@port@");
    /* The same, but listening on this machine's other address. */
    char *moved;
    assert_non_null(at);
    snprintf(more, sizeof more, "127.0.0.1:@port@\" }, { \"address\": \"%s:@port@", address);
    assert_true(asprintf(&moved, "%.*s%s%s", (int)(at - config), config, more,
                         at + strlen("127.0.0.1:@port@")) > 0);
    assert_true(proxy_start(w->kit, &p, moved));
    free(config);
    free(moved);
    snprintf(extra, sizeof extra, "host=%s hostaddr=%s", address, address);
    PGconn *c = connect_to(p.port, "postgres", extra);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);
    c = connect_to(p.port, "postgres", "");
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    PQfinish(c);
    assert_true(proxy_log_has(w->kit, &p, "access.unsafe", 0));
    assert_true(proxy_stop(w->kit, &p));
}

/* ---- what a stranger learns ----------------------------------------------------------------- */

/* The messages that the login of `user` with a wrong password exchanges, and the error. */
static void what_is_said(struct world *w, const char *user, const char *source, char *said,
                         size_t size)
{
    struct raw *r = raw_open(w->proxy.port, source);
    static const char first[] = "n,,n=,r=rOprNGfwEbeRWgbNEkqO";
    uint8_t body[200] = "SCRAM-SHA-256";
    size_t len = sizeof "SCRAM-SHA-256";
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", user, NULL });
    body[len + 3] = sizeof first - 1;
    memcpy(body + len + 4, first, sizeof first - 1);
    int asked = raw_next(r);
    uint32_t code = r->len >= 4 ? be32(r->body) : 0;
    raw_say(r, 'p', body, len + 4 + sizeof first - 1);
    int challenge = raw_next(r);
    size_t challenge_len = r->len;
    char final[300];
    const char *nonce = strstr((char *)r->body + 4, "r="), *comma = nonce ? strchr(nonce, ',') : "";
    snprintf(final, sizeof final, "c=biws,%.*s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
             nonce ? (int)(comma - nonce) : 0, nonce ? nonce : "");
    raw_say(r, 'p', final, strlen(final));
    int type = raw_next(r);
    snprintf(said, size, "%c%u %c%zu %c%s %s", asked, code, challenge, challenge_len, type,
             raw_field(r, 'C'), raw_field(r, 'M'));
    char *name = strstr(said, user);
    if (name) memset(name, '*', strlen(user));
    assert_int_equal(raw_byte(r), RAW_END);
    raw_close(r);
}

static void unknown_users_look_like_wrong_passwords(void **state)
{
    char known[400], unknown[400];
    what_is_said(*state, "eva", "127.0.0.3", known, sizeof known);
    what_is_said(*state, "nob", "127.0.0.3", unknown, sizeof unknown);
    assert_string_equal(known, unknown);
    assert_non_null(strstr(known, "28P01"));
    assert_non_null(strstr(known, "R10 R"));
}

static void empty_passwords_are_wrong_CVE_2017_7546(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, "127.0.0.4");
    assert_true(kit_is_running(w->kit, w->proxy.pid));
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "old", NULL });
    assert_int_equal(raw_next(r), 'R');
    raw_say(r, 'p', "", 1);
    assert_string_equal(raw_answer(r), "E28P01 end");
    raw_close(r);
    r = raw_open(w->proxy.port, "127.0.0.4");
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    assert_true(raw_secure(r, NULL, NULL));
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "clear", NULL });
    assert_int_equal(raw_next(r), 'R');
    assert_int_equal(be32(r->body), 3);
    raw_say(r, 'p', "", 1);
    assert_string_equal(raw_answer(r), "E28P01 end");
    raw_close(r);
}

/* Out-of-bounds reads of password messages (Odyssey): no NUL, no body, a body that is all NUL. */
static void password_messages_may_be_anything(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *body;
        size_t len;
    } bodies[] = { { "", 0 }, { "x", 1 }, { "\0\0\0\0", 4 }, { "md5", 3 }, { "pencil\0more", 12 } };
    for (size_t at = 0; at < sizeof bodies / sizeof *bodies; at++) {
        char source[20];
        snprintf(source, sizeof source, "127.0.1.%zu", at + 1);
        struct raw *r = raw_open(w->proxy.port, source);
        raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "old", NULL });
        assert_int_equal(raw_next(r), 'R');
        raw_say(r, 'p', bodies[at].body, bodies[at].len);
        const char *answer = raw_answer(r);
        if (strcmp(answer, "E28P01 end") != 0 && strcmp(answer, "E08P01 end") != 0)
            fail_msg("%zu: %s", at, answer);
        raw_close(r);
    }
}

/* ---- guessing ------------------------------------------------------------------------------- */

static void guessing_is_stopped_for_the_guesser_only(void **state)
{
    struct world *w = *state;
    struct raw *r[12];
    /* All at once: each answer is held back, longer each time. */
    for (int at = 0; at < 10; at++) {
        r[at] = raw_open(w->proxy.port, "127.0.0.5");
        raw_startup(r[at], RAW_PROTOCOL_3_0, (const char *[]){ "user", "old", NULL });
        assert_int_equal(raw_next(r[at]), 'R');
        raw_say(r[at], 'p', "md500000000000000000000000000000000", 36);
    }
    for (int at = 0; at < 10; at++) {
        assert_string_equal(raw_answer(r[at]), "E28P01 end");
        raw_close(r[at]);
    }
    r[0] = raw_open(w->proxy.port, "127.0.0.5");
    raw_startup(r[0], RAW_PROTOCOL_3_0, (const char *[]){ "user", "old", NULL });
    assert_string_equal(raw_answer(r[0]), "E53300 end");
    raw_close(r[0]);
    /* The same name from elsewhere, and another name from there. */
    r[0] = raw_open(w->proxy.port, "127.0.0.6");
    raw_startup(r[0], RAW_PROTOCOL_3_0, (const char *[]){ "user", "old", NULL });
    assert_int_equal(raw_next(r[0]), 'R');
    raw_close(r[0]);
    r[0] = raw_open(w->proxy.port, "127.0.0.5");
    assert_true(raw_login(r[0], "postgres"));
    raw_close(r[0]);
}

/* ---- startup packets ------------------------------------------------------------------------ */

static void a_byte_a_second_is_too_slow(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    assert_true(start(w, &p, "{ \"login_timeout\": \"1s\" }"));
    static const char packet[] = "\0\0\0\x17\0\3\0\0user\0postgres\0";
    struct raw *slow = raw_open(p.port, NULL), *proving = raw_open(p.port, NULL);
    raw_startup(proving, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
    assert_int_equal(raw_next(proving), 'R');
    long long begun = kit_now_ms();
    slow->wait_ms = 300;
    int at = 0, byte = RAW_SILENT;
    while (byte == RAW_SILENT && at < 20) {
        raw_send(slow, packet + at++, 1);
        byte = raw_byte(slow);
    }
    assert_int_equal(byte, RAW_END);
    assert_true(kit_now_ms() - begun < 5000);
    /* Who has named himself is told. */
    assert_string_equal(raw_answer(proving), "E08006 end");
    raw_close(slow);
    raw_close(proving);
    assert_true(proxy_stop(w->kit, &p));
}

/* What comes back of raw bytes as the first ones, until nothing more does. */
static const char *first_words(struct world *w, const void *bytes, size_t len)
{
    static char said[200];
    struct raw *r = raw_open(w->proxy.port, "127.0.0.7");
    r->wait_ms = 1000;
    raw_send(r, bytes, len);
    snprintf(said, sizeof said, "%s", raw_answer(r));
    raw_close(r);
    return said;
}

static void lengths_of_startup_packets_are_checked_CVE_2018_14645(void **state)
{
    static const uint32_t lengths[] = {
        0, 1, 3, 4, 5, 7, 10001, 0x7fffffff, 0x80000000, 0xffffffff
    };
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        uint32_t n = lengths[at];
        uint8_t packet[16] = {
            (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0, 3
        };
        assert_string_equal(first_words(*state, packet, sizeof packet), "end");
    }
}

static void long_names_are_names_CVE_2012_4575(void **state)
{
    static const size_t lengths[] = { 1, 63, 64, 127, 128, 1024, 9000, 9900 };
    struct world *w = *state;
    static char name[10001];
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        memset(name, "%sn\n\xff/"[at % 6], lengths[at]);
        name[lengths[at]] = '\0';
        struct raw *r = raw_open(w->proxy.port, "127.0.0.8");
        raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", name, "database", "x", NULL });
        int type = raw_next(r);
        assert_true(type == 'R' || type == 'E');
        raw_close(r);
        r = raw_open(w->proxy.port, "127.0.0.8");
        raw_startup(r, RAW_PROTOCOL_3_0,
                    (const char *[]){ "user", "postgres", "database", name, NULL });
        const char *answer = raw_answer(r);
        if (strcmp(answer, "E08004 end") != 0 && strcmp(answer, "E3D000 end") != 0 &&
            strcmp(answer, "R E3D000 end") != 0)
            fail_msg("%zu: %s", lengths[at], answer);
        raw_close(r);
    }
}

static void packets_of_10000_bytes_are_taken_and_no_longer_ones(void **state)
{
    struct world *w = *state;
    static uint8_t packet[10001];
    static const char head[] = "\0\0\x27\x10\0\3\0\0user\0postgres\0database\0postgres\0zzz";
    for (int extra = 0; extra < 2; extra++) {
        size_t size = 10000 + (size_t)extra;
        memset(packet, 'z', sizeof packet);
        memcpy(packet, head, sizeof head - 1);
        packet[3] = (uint8_t)(0x10 + extra);
        packet[1000] = '\0';
        packet[size - 2] = packet[size - 1] = '\0';
        const char *said = first_words(w, packet, size);
        assert_string_equal(said, extra ? "end" : "R K ZI");
    }
}

/* What hides behind an empty key (HAProxy CVE-2023-25725) must not be believed, nor handed on. */
static void nothing_is_smuggled_behind_an_empty_key_CVE_2023_25725(void **state)
{
    static const char hidden[] = "\0\0\0\x2e\0\3\0\0user\0ana\0\0user\0postgres\0database\0pg\0\0";
    assert_string_equal(first_words(*state, hidden, 0x2e), "end");
    static const char no_end[] = "\0\0\0\x15\0\3\0\0user\0postgres";
    assert_string_equal(first_words(*state, no_end, 0x15), "end");
    static const char no_value[] = "\0\0\0\x0e\0\3\0\0user\0\0";
    assert_string_equal(first_words(*state, no_value, 0x0e), "end");
}

static void junk_is_hung_up_on(void **state)
{
    static const char *const junk[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-x\r\n",
                                        "\x16\x03\x01garbage that is no ClientHello at all",
                                        "\x80\x2e\x01\x03\x01", "QUIT\r\n" };
    for (size_t at = 0; at < sizeof junk / sizeof *junk; at++) {
        struct raw *r = raw_open(((struct world *)*state)->proxy.port, "127.0.0.7");
        raw_send(r, junk[at], strlen(junk[at]));
        for (int byte = 0; byte >= 0;) { /* a TLS alert is fine */
            byte = raw_byte(r);
            assert_int_not_equal(byte, RAW_SILENT);
        }
        raw_close(r);
    }
}

static void three_hundred_unknown_keys_do_no_harm(void **state)
{
    struct world *w = *state;
    static char names[301][2][16];
    const char *pairs[610] = { "user", "postgres", "database", "postgres" };
    for (int at = 0; at < 300; at++) {
        snprintf(names[at][0], 16, "key_%d", at);
        snprintf(names[at][1], 16, "'%d", at);
        pairs[4 + 2 * at] = names[at][0];
        pairs[5 + 2 * at] = names[at][1];
    }
    struct raw *r = raw_open(w->proxy.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0, pairs);
    assert_string_equal(raw_answer(r), "R K ZI");
    raw_close(r);
}

static void a_newer_protocol_is_negotiated_only_where_asked_for(void **state)
{
    struct world *w = *state;
    static const char *const plain[] = { "user", "postgres", NULL };
    static const char *const option[] = { "user", "postgres", "_pq_.compression", "1", NULL };
    static const struct {
        uint32_t version;
        const char *const *pairs;
        const char *answer;
    } cases[] = { { 3 << 16, plain, "R K ZI" },        { 3 << 16, option, "R K ZI" },
                  { 3 << 16 | 2, plain, "R K ZI" },    { 3 << 16 | 2, option, "v R K ZI" },
                  { 3 << 16 | 99, plain, "v R K ZI" }, { 2 << 16, plain, "E0A000 end" },
                  { 4 << 16, plain, "E0A000 end" } };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct raw *r = raw_open(w->proxy.port, NULL);
        raw_startup(r, cases[at].version, cases[at].pairs);
        assert_string_equal(raw_answer(r), cases[at].answer);
        raw_close(r);
    }
}

/* ---- encryption requests -------------------------------------------------------------------- */

static void alternating_requests_are_answered_once_each_CVE_2026_6479(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 }; /* one without TLS, which says N to both */
    assert_true(before_start(w->kit, &p, &(struct before){ .server_port = w->pg.port }));
    struct raw *r = raw_open(p.port, NULL);
    int answers = 0;
    for (int at = 0; at < 20; at++) {
        raw_request(r, at % 2 ? RAW_GSS_REQUEST : RAW_SSL_REQUEST);
        int byte = raw_byte(r);
        if (byte == RAW_END) break;
        assert_int_equal(byte, 'N');
        answers++;
    }
    assert_int_equal(answers, 2);
    raw_close(r);
    /* Once each, and then plain: that is fine. */
    r = raw_open(p.port, NULL);
    raw_request(r, RAW_GSS_REQUEST);
    assert_int_equal(raw_byte(r), 'N');
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'N');
    assert_true(raw_login(r, "postgres"));
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
}

static void bytes_behind_an_encryption_request_end_it_CVE_2021_3935(void **state)
{
    static const char startup[] = "\0\0\0\x17\0\3\0\0user\0postgres\0";
    static const char query[] = "Q\0\0\0\x0dselect 1";
    static const uint8_t codes[] = { 0x2f, 0x30 };
    for (int what = 0; what < 2; what++)
        for (int whole = 0; whole < 2; whole++) {
            uint8_t sent[64] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, codes[what] };
            size_t len = 9;
            if (whole) {
                memcpy(sent + 8, startup, sizeof startup - 1);
                memcpy(sent + 8 + sizeof startup - 1, query, sizeof query);
                len = 8 + sizeof startup - 1 + sizeof query;
            }
            assert_string_equal(first_words(*state, sent, len), "end");
        }
}

static void a_handshake_must_be_one(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "postgres", NULL });
    for (int byte = 0; byte != RAW_END; byte = raw_byte(r)) {
        assert_int_not_equal(byte, RAW_SILENT);
        assert_int_not_equal(byte, 'R');
    }
    raw_close(r);
    /* TLS within TLS: a second SSLRequest behind the first handshake. */
    r = raw_open(w->proxy.port, NULL);
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    assert_true(raw_secure(r, NULL, NULL));
    raw_request(r, RAW_SSL_REQUEST);
    const char *answer = raw_answer(r);
    if (strcmp(answer, "end") != 0 && strcmp(answer, "E08P01 end") != 0) fail_msg("%s", answer);
    raw_close(r);
}

/* ---- SCRAM ---------------------------------------------------------------------------------- */

static void lengths_inside_scram_are_checked_CVE_2026_6664(void **state)
{
    static const uint32_t lies[] = { 0xffffffff, 0xfffffff0, 0x80000000, 0x7fffffff, 33, 31, 1 };
    static const char first[] = "n,,n=,r=rOprNGfwEbeRWgbNEkqOabcd";
    struct world *w = *state;
    for (size_t at = 0; at < sizeof lies / sizeof *lies; at++) {
        char source[20];
        snprintf(source, sizeof source, "127.0.2.%zu", at + 1);
        struct raw *r = raw_open(w->proxy.port, source);
        uint8_t body[64] = "SCRAM-SHA-256";
        size_t len = sizeof "SCRAM-SHA-256";
        for (int i = 0; i < 4; i++) body[len++] = (uint8_t)(lies[at] >> (24 - 8 * i));
        memcpy(body + len, first, 32);
        raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
        assert_int_equal(raw_next(r), 'R');
        raw_say(r, 'p', body, len + 32);
        assert_string_equal(raw_answer(r), "E08P01 end");
        raw_close(r);
    }
    /* The messages' own lengths. */
    static const uint32_t lengths[] = { 0, 3, 0xffffffff, 0x80000000, 0x7fffffff, 2000000 };
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        struct raw *r = raw_open(w->proxy.port, "127.0.2.30");
        raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
        assert_int_equal(raw_next(r), 'R');
        raw_lie(r, 'p', lengths[at], "xxxxxxxx", 8);
        assert_string_equal(raw_answer(r), "E08P01 end");
        raw_close(r);
    }
}

/* A client that says PLUS was offered to it and was not, or that mixes the two. */
static void channel_binding_is_not_downgraded_CVE_2025_49146(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, "127.0.0.9");
    raw_request(r, RAW_SSL_REQUEST);
    assert_int_equal(raw_byte(r), 'S');
    assert_true(raw_secure(r, NULL, NULL));
    raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
    assert_int_equal(raw_next(r), 'R');
    assert_memory_equal(r->body + 4, "SCRAM-SHA-256-PLUS", 19);
    /* "y": the client could bind, but was not offered it. It was: somebody in between took it out.
     */
    static const char body[] = "SCRAM-SHA-256\0\0\0\0\x20y,,n=,r=rOprNGfwEbeRWgbNEkqOabcd";
    raw_say(r, 'p', body, 14 + 4 + 32);
    const char *answer = raw_answer(r);
    if (strcmp(answer, "E28P01 end") != 0 && strcmp(answer, "E08P01 end") != 0)
        fail_msg("%s", answer);
    raw_close(r);
}

/* ---- every message at every time ------------------------------------------------------------ */

enum stage { FRESH, AFTER_SSL_REFUSED, ASKED, MID_SASL, STAGES };

static struct raw *reach(struct world *w, const struct proxy *plain, enum stage stage, int number)
{
    char source[20];
    snprintf(source, sizeof source, "127.1.%d.%d", number / 250, number % 250 + 1);
    struct raw *r = raw_open(stage == AFTER_SSL_REFUSED ? plain->port : w->proxy.port, source);
    if (stage == AFTER_SSL_REFUSED) {
        raw_request(r, RAW_SSL_REQUEST);
        assert_int_equal(raw_byte(r), 'N');
    }
    if (stage >= ASKED) {
        raw_startup(r, RAW_PROTOCOL_3_0, (const char *[]){ "user", "ana", NULL });
        assert_int_equal(raw_next(r), 'R');
    }
    if (stage == MID_SASL) {
        static const char body[] = "SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqOabcd";
        raw_say(r, 'p', body, 14 + 4 + 32);
        assert_int_equal(raw_next(r), 'R');
    }
    return r;
}

static void every_message_at_every_time_before_login_CVE_2015_4054(void **state)
{
    struct world *w = *state;
    static const size_t lengths[] = { 0, 1, 64 };
    static char body[64];
    struct proxy plain = { 0 };
    int number = 0;
    assert_true(before_start(w->kit, &plain,
                             &(struct before){ .server_port = w->pg.port, .users = users }));
    for (enum stage stage = FRESH; stage < STAGES; stage++)
        for (int type = 0; type < 256; type++)
            for (size_t at = 0; at < 3; at++) {
                struct raw *r = reach(w, &plain, stage, number++);
                raw_say(r, (char)type, body, lengths[at]);
                raw_half_close(r); /* so that waiting for more has an end */
                const char *answer = raw_answer(r);
                if (strcmp(answer, "end") != 0 && strcmp(answer, "E08P01 end") != 0 &&
                    strcmp(answer, "E28P01 end") != 0)
                    fail_msg("stage %d, type 0x%02x, %zu bytes: %s", stage, type, lengths[at],
                             answer);
                raw_close(r);
            }
    assert_true(proxy_stop(w->kit, &plain));
}

static void a_storm_of_connections_passes(void **state)
{
    struct world *w = *state;
    enum { STORM = 400 };
    struct raw *r[STORM];
    for (int at = 0; at < STORM; at++) r[at] = raw_open(w->proxy.port, NULL);
    for (int at = 0; at < STORM; at++)
        raw_startup(r[at], RAW_PROTOCOL_3_0,
                    (const char *[]){ "user", "postgres", "database", "postgres", NULL });
    for (int at = 0; at < STORM; at++) {
        r[at]->wait_ms = 20000;
        assert_string_equal(raw_answer(r[at]), "R K ZI");
    }
    for (int at = 0; at < STORM; at++) at % 2 ? raw_abort(r[at]) : raw_close(r[at]);
}

/* Passwords, verifiers and proofs are in no line of the log. */
static void no_secret_is_in_the_log(void **state)
{
    struct world *w = *state;
    char *log = kit_read(kit_path(w->kit, "%s", w->proxy.log_name));
    assert_non_null(log);
    assert_null(strstr(log, "pencil"));
    assert_null(strstr(log, "SCRAM-SHA-256$"));
    for (const char *at = log; *at; at++) assert_true((uint8_t)*at >= ' ' || *at == '\n');
    free(log);
}

#define test(name) cmocka_unit_test_teardown(name, undisturbed)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        test(passwords_open),
        test(a_cleartext_password_is_not_asked_for_without_tls),
        test(a_certificate_opens),
        test(redshifts_digest_opens),
        test(trust_is_for_loopback_only),
        test(unknown_users_look_like_wrong_passwords),
        test(empty_passwords_are_wrong_CVE_2017_7546),
        test(password_messages_may_be_anything),
        test(guessing_is_stopped_for_the_guesser_only),
        test(a_byte_a_second_is_too_slow),
        test(lengths_of_startup_packets_are_checked_CVE_2018_14645),
        test(long_names_are_names_CVE_2012_4575),
        test(packets_of_10000_bytes_are_taken_and_no_longer_ones),
        test(nothing_is_smuggled_behind_an_empty_key_CVE_2023_25725),
        test(junk_is_hung_up_on),
        test(three_hundred_unknown_keys_do_no_harm),
        test(a_newer_protocol_is_negotiated_only_where_asked_for),
        test(alternating_requests_are_answered_once_each_CVE_2026_6479),
        test(bytes_behind_an_encryption_request_end_it_CVE_2021_3935),
        test(a_handshake_must_be_one),
        test(lengths_inside_scram_are_checked_CVE_2026_6664),
        test(channel_binding_is_not_downgraded_CVE_2025_49146),
        test(every_message_at_every_time_before_login_CVE_2015_4054),
        test(a_storm_of_connections_passes),
        test(no_secret_is_in_the_log),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
