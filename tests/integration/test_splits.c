/* Recorded sessions through Sluice, with the client's bytes cut at every offset: the answers are
 * the same bytes as when they come in one piece, and those are PostgreSQL's own.
 *
 * What may differ is masked: process number, cancel key, and where in a source an error arose. Cut
 * sessions run a flock at a time, or else the pauses would take minutes.
 */
#include "protocol/backend.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "support/fixtures.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLOCK = 24, PAUSE_MS = 4, PATIENCE_MS = 20000 };

static struct postgres server;

/* ---- what clients said ---------------------------------------------------------------------- */

static void begin_session(struct buf *b, const char *application)
{
    uint32_t begun = frontend_startup_begin(b, 3, 0);
    frontend_startup_add(b, slice_str("user"), slice_str("postgres"));
    frontend_startup_add(b, slice_str("database"), slice_str("postgres"));
    frontend_startup_add(b, slice_str("application_name"), slice_str(application));
    frontend_startup_add(b, slice_str("client_encoding"), slice_str("UTF8"));
    frontend_startup_end(b, begun);
}

static void say(struct buf *b, char type, const void *body, size_t len)
{
    buf_add_u8(b, (uint8_t)type);
    buf_add_u32(b, (uint32_t)(len + 4));
    buf_add(b, body, len);
}

static void query(struct buf *b, const char *text) { frontend_query(b, slice_str(text)); }

static void parse(struct buf *b, const char *name, const char *text)
{
    frontend_parse(b, slice_str(name), slice_str(text), slice_of("\0\0", 2));
}

static void bind_portal(struct buf *b, const char *portal, const char *statement, const char *value)
{
    struct buf body = { 0 };
    buf_add(&body, portal, strlen(portal) + 1);
    buf_add(&body, statement, strlen(statement) + 1);
    buf_add_u16(&body, 0);
    buf_add_u16(&body, value != NULL);
    if (value) buf_add_u32(&body, (uint32_t)strlen(value));
    if (value) buf_add_str(&body, value);
    buf_add_u16(&body, 0);
    say(b, 'B', body.at, body.len);
    buf_fini(&body);
}

static void execute(struct buf *b, const char *portal, uint32_t rows)
{
    struct buf body = { 0 };
    buf_add(&body, portal, strlen(portal) + 1);
    buf_add_u32(&body, rows);
    say(b, 'E', body.at, body.len);
    buf_fini(&body);
}

static void record_psql(struct buf *b)
{
    begin_session(b, "psql");
    query(b, "select relname from pg_catalog.pg_class where relname = 'splits'");
    query(b, "");
    query(b, "begin");
    query(b, "select 1/0");
    query(b, "select 1");
    query(b, "rollback");
    query(b, "select 'a', generate_series(1, 3); select null::int");
    query(b, "do $$begin raise notice 'beware'; end$$");
    query(b, "selec");
    query(b, "select '\xc3\xa4', repeat('x', 70)");
}

static void record_extended(struct buf *b)
{
    begin_session(b, "driver");
    parse(b, "s1", "select $1::int + 1");
    say(b, 'D', "Ss1", 4);
    say(b, 'S', "", 0);
    bind_portal(b, "", "s1", "41");
    execute(b, "", 0);
    bind_portal(b, "", "s1", "x"); /* fails: the rest of the batch is skipped */
    execute(b, "", 0);
    say(b, 'S', "", 0);
    parse(b, "", "select generate_series(1, 5)");
    bind_portal(b, "p", "", NULL);
    say(b, 'D', "Pp", 3);
    execute(b, "p", 2);
    execute(b, "p", 2);
    say(b, 'H', "", 0);
    execute(b, "p", 2);
    say(b, 'S', "", 0);
    say(b, 'C', "Ss1", 4);
    bind_portal(b, "", "s1", "1"); /* gone */
    say(b, 'S', "", 0);
    say(b, 'S', "", 0);
    say(b, 'F',
        "\0\0\0\xb1\0\0\0\2\0\0\0\1"
        "4\0\0\0\1"
        "5\0\0",
        20);
    parse(b, "", "begin");
    bind_portal(b, "", "", NULL);
    execute(b, "", 0);
    query(b, "select 2");
    parse(b, "", "commit");
    bind_portal(b, "", "", NULL);
    execute(b, "", 0);
    say(b, 'S', "", 0);
}

static void record_copy(struct buf *b)
{
    begin_session(b, "loader");
    query(b, "copy splits from stdin");
    say(b, 'd', "1\n2\n", 4);
    say(b, 'd', "", 0);
    say(b, 'd', "3\n", 2);
    say(b, 'c', "", 0);
    query(b, "copy splits from stdin; select 1");
    say(b, 'd', "1\n", 2);
    say(b, 'f', "no", 3);
    query(b, "copy (select generate_series(1, 3)) to stdout");
    /* As libpq does it: a Sync that goes into the COPY, and one behind it. */
    parse(b, "", "copy splits from stdin");
    bind_portal(b, "", "", NULL);
    say(b, 'D', "P", 2);
    execute(b, "", 0);
    say(b, 'S', "", 0);
    say(b, 'd', "1\n", 2);
    say(b, 'c', "", 0);
    say(b, 'S', "", 0);
    query(b, "select 1");
}

static const struct {
    const char *name;
    void (*record)(struct buf *b);
} recordings[] = { { "psql", record_psql },
                   { "extended", record_extended },
                   { "copy", record_copy } };

enum { RECORDINGS = sizeof recordings / sizeof *recordings };

/* ---- playing them --------------------------------------------------------------------------- */

struct player {
    int fd;
    struct frame frame;
    struct buf in, answers;
    unsigned ready; /* ReadyForQuery received */
    bool greeted;
};

static void player_open(struct player *p, int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    *p = (struct player){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_int_equal(connect(p->fd, (struct sockaddr *)&at, sizeof at), 0);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    frame_init(&p->frame, backend_specs);
}

static void player_close(struct player *p)
{
    close(p->fd);
    buf_fini(&p->in);
    buf_fini(&p->answers);
}

static void player_send(struct player *p, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = send(p->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes = slice_after(bytes, (size_t)n);
    }
}

/* Without the places in a server's source: some errors are Sluice's own. */
static void add_error(struct buf *out, struct slice body)
{
    static const char told[] = "SVCMDHP";
    buf_add_str(out, "Error or Notice");
    for (const char *code = told; *code; code++) {
        struct slice value = backend_field(body, *code);
        if (value.at) buf_addf(out, " %c=%.*s", *code, SLICE_ARG(value));
    }
}

static void receive(struct player *p, const struct piece *piece)
{
    if (piece->type == BACKEND_KEY_DATA)
        buf_add_str(&p->answers, "KeyData");
    else if (piece->type == BACKEND_ERROR || piece->type == BACKEND_NOTICE)
        add_error(&p->answers, piece_body(piece));
    else
        buf_add_slice(&p->answers, piece->bytes);
    p->ready += piece->first && piece->type == BACKEND_READY;
}

/* Reads until so many ReadyForQuery have come; true at the end of file. */
static bool read_until(struct player *p, unsigned ready)
{
    char bytes[4096];
    while (p->ready < ready) {
        struct pollfd fd = { p->fd, POLLIN, 0 };
        if (poll(&fd, 1, PATIENCE_MS) != 1) {
            print_message("%u of %u ReadyForQuery came\n", p->ready, ready);
            return false;
        }
        ssize_t n = read(p->fd, bytes, sizeof bytes);
        if (n <= 0) return true;
        buf_add(&p->in, bytes, (size_t)n);
        struct slice in = buf_slice(&p->in);
        for (struct piece piece; frame_next(&p->frame, &in, &piece) == FRAME_PIECE;)
            receive(p, &piece);
        buf_drop(&p->in, p->in.len - (uint32_t)in.len);
    }
    return false;
}

/* The rest of the answers, Terminate, and nothing more. */
static void finish(struct player *p, unsigned ready)
{
    read_until(p, ready);
    player_send(p, slice_of("X\0\0\0\4", 5));
    read_until(p, UINT32_MAX);
}

struct answers {
    struct buf bytes;
    unsigned ready;
};

/* PostgreSQL itself answers all that came before a Terminate. */
static struct answers ask_postgres(struct slice said)
{
    struct player p;
    player_open(&p, server.port);
    player_send(&p, said);
    player_send(&p, slice_of("X\0\0\0\4", 5));
    assert_true(read_until(&p, UINT32_MAX));
    struct answers a = { p.answers, p.ready };
    p.answers = (struct buf){ 0 };
    player_close(&p);
    return a;
}

static void show(const char *what, struct slice bytes)
{
    print_message("%s: ", what);
    for (size_t i = 0; i < bytes.len && i < 400; i++)
        if (bytes.at[i] >= ' ')
            print_message("%c", bytes.at[i]);
        else
            print_message("\\%o", (uint8_t)bytes.at[i]);
    print_message("\n");
}

static void compare(struct player *p, const struct answers *expected, const char *what, size_t cut)
{
    struct slice got = buf_slice(&p->answers), wanted = buf_slice(&expected->bytes);
    size_t same = 0;
    if (slice_eq(got, wanted)) return;
    while (same < got.len && same < wanted.len && got.at[same] == wanted.at[same]) same++;
    show("got", slice_after(got, same > 40 ? same - 40 : 0));
    show("expected", slice_after(wanted, same > 40 ? same - 40 : 0));
    fail_msg("%s cut at %zu: %zu bytes of answers, not %zu; the same up to %zu", what, cut, got.len,
             wanted.len, same);
}

static void play_whole(int port, struct slice said, const struct answers *expected,
                       const char *what)
{
    struct player p;
    player_open(&p, port);
    player_send(&p, said);
    finish(&p, expected->ready);
    compare(&p, expected, what, 0);
    player_close(&p);
}

/* The offsets from `first` on, one player for each. */
static void play_flock(int port, struct slice said, const struct answers *expected,
                       const char *what, size_t first)
{
    struct player flock[FLOCK];
    size_t n = said.len - first < FLOCK ? said.len - first : FLOCK;
    for (size_t i = 0; i < n; i++) {
        player_open(&flock[i], port);
        player_send(&flock[i], slice_of(said.at, first + i));
    }
    kit_sleep_ms(PAUSE_MS);
    for (size_t i = 0; i < n; i++) player_send(&flock[i], slice_after(said, first + i));
    for (size_t i = 0; i < n; i++) {
        finish(&flock[i], expected->ready);
        compare(&flock[i], expected, what, first + i);
        player_close(&flock[i]);
    }
}

static void play_byte_by_byte(int port, struct slice said, const struct answers *expected,
                              const char *what)
{
    struct player p;
    player_open(&p, port);
    for (size_t i = 0; i < said.len; i++) {
        player_send(&p, slice_of(said.at + i, 1));
        if (i % 4 == 0) kit_sleep_ms(1);
    }
    finish(&p, expected->ready);
    compare(&p, expected, what, 1);
    player_close(&p);
}

/* A batch has failed, and the client knows: what it says up to the Sync is answered by nobody. */
static void play_skipped(int port)
{
    struct buf b = { 0 };
    struct player p;
    begin_session(&b, "skipping");
    parse(&b, "", "selec");
    say(&b, 'H', "", 0);
    uint32_t failed = b.len;
    bind_portal(&b, "", "nosuch", NULL);
    say(&b, 'C', "Sx", 3);
    parse(&b, "s", "select 1");
    query(&b, "select 2");
    say(&b, 'H', "", 0);
    uint32_t flushed = b.len;
    say(&b, 'S', "", 0);
    query(&b, "select 3");
    struct answers expected = ask_postgres(buf_slice(&b));
    player_open(&p, port);
    player_send(&p, slice_of(b.at, failed));
    kit_sleep_ms(200);
    player_send(&p, slice_of(b.at + failed, flushed - failed));
    kit_sleep_ms(100);
    player_send(&p, slice_of(b.at + flushed, b.len - flushed));
    finish(&p, expected.ready);
    compare(&p, &expected, "a failed batch", failed);
    player_close(&p);
    buf_fini(&expected.bytes);
    buf_fini(&b);
}

/* ---- Sluice --------------------------------------------------------------------------------- */

static const char config[] =
    "{ \"server_id\": \"splits\", \"workers\": 1, \"drain_timeout\": \"1s\","
    "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\" } ],"
    "  \"clusters\": { \"pg\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" "
    "},"
    "    \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"env:PG_PASSWORD\" "
    "} },"
    "    \"max_connections\": 40 } },"
    "  \"users\": { \"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\", \"db_user\": "
    "\"postgres\" } },"
    "  \"roles\": { \"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },"
    "  \"access\": [ { \"from\": \"127.0.0.1/32\", \"users\": [\"*\"] } ],"
    "  \"pool\": { \"mode\": \"%s\", \"size\": 40 } }";

static void every_cut(struct kit *k, const char *mode)
{
    struct proxy proxy = { 0 };
    char text[sizeof config + 32];
    snprintf(text, sizeof text, config, server.port, mode);
    assert_true(proxy_start(k, &proxy, text));
    for (size_t r = 0; r < RECORDINGS; r++) {
        struct buf b = { 0 };
        recordings[r].record(&b);
        struct slice said = buf_slice(&b);
        struct answers expected = ask_postgres(said);
        play_whole(proxy.port, said, &expected, recordings[r].name);
        play_byte_by_byte(proxy.port, said, &expected, recordings[r].name);
        for (size_t first = 1; first < said.len; first += FLOCK)
            play_flock(proxy.port, said, &expected, recordings[r].name, first);
        buf_fini(&expected.bytes);
        buf_fini(&b);
    }
    play_skipped(proxy.port);
    assert_true(proxy_stop(k, &proxy));
}

static void session_mode(void **state) { every_cut(*state, "session"); }
static void transaction_mode(void **state) { every_cut(*state, "transaction"); }

static int set_up(void **state)
{
    struct kit *k = kit_new("splits");
    *state = k;
    setenv("PG_PASSWORD", "none", 1);
    if (!postgres_start(k, &server, NULL)) return -1;
    return postgres_run(&server, "create table splits (x int)") ? 0 : -1;
}

static int tear_down(void **state)
{
    kit_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_mode),
        cmocka_unit_test(transaction_mode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
