/* What went wrong in PgBouncer, libpq and their like, each under its number: here, where it takes a
 * server that lies, or a clock. The others of facts about such bugs are tests of the units, and of
 * the login (grep for CVE).
 */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    struct kit *kit;
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("cve");
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* ---- a server that says what it is told to -------------------------------------------------- */

struct liar {
    pid_t pid;
    int port;
    int heard; /* what it hears beyond requests for encryption goes into this pipe */
};

struct script {
    const char *greeting; /* to SSLRequest; NULL: not asked */
    size_t greeting_len;
    const char *login; /* in place of an orderly login */
    size_t login_len;
    const char *answer; /* to the first Query */
    size_t answer_len;
    int first_closed;  /* so many connections are closed as they come */
    int first_refused; /* so many hear `login`, and then it is orderly */
};

static size_t hear(int fd, char *at, size_t cap)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, 5000) <= 0) return 0;
    ssize_t n = read(fd, at, cap);
    return n > 0 ? (size_t)n : 0;
}

static void tell(int fd, const char *at, size_t len)
{
    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) return;
        at += n;
        len -= (size_t)n;
    }
}

static void serve(int fd, const struct script *s, int count, int heard)
{
    static const char orderly[] = "R\0\0\0\10\0\0\0\0S\0\0\0\31client_encoding\0UTF8\0"
                                  "K\0\0\0\14\0\0\0\7\0\0\0\7Z\0\0\0\5I";
    char in[70000];
    size_t n;
    if (s->greeting) {
        hear(fd, in, sizeof in);
        tell(fd, s->greeting, s->greeting_len);
        if (s->greeting_len == 1 || s->greeting[0] == 'E')
            while ((n = hear(fd, in, sizeof in))) (void)!write(heard, in, n);
        return;
    }
    hear(fd, in, sizeof in);
    if (s->login && (!s->first_refused || count < s->first_refused)) {
        tell(fd, s->login, s->login_len);
        usleep(100000);
        return;
    }
    tell(fd, orderly, sizeof orderly - 1);
    for (bool told = false; (n = hear(fd, in, sizeof in)); told = true)
        if (!told && s->answer) {
            tell(fd, s->answer, s->answer_len);
            shutdown(fd, SHUT_WR);
        }
}

static struct liar liar_start(const struct script *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), ends[2];
    if (bind(fd, (void *)&at, len) || listen(fd, 64) || pipe(ends)) abort();
    getsockname(fd, (void *)&at, &len);
    struct liar l = { .port = ntohs(at.sin_port), .heard = ends[0] };
    l.pid = fork();
    if (l.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int count = 0;; count++) {
            int c = accept(fd, NULL, NULL);
            if (count >= s->first_closed && fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve(c, s, count, ends[1]);
                _exit(0);
            }
            close(c);
        }
    }
    close(fd);
    close(ends[1]);
    return l;
}

static void liar_end(struct liar *l)
{
    kill(l->pid, SIGKILL);
    waitpid(l->pid, NULL, 0);
    close(l->heard);
}

static void start(struct world *w, struct proxy *p, const struct liar *l, const char *tls)
{
    char endpoint[40];
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", l->port);
    *p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, p,
                             &(struct before){ .server_port = l->port,
                                               .endpoint = endpoint,
                                               .cluster_tls = tls,
                                               .pool = "{ \"size\": 1, \"wait_timeout\": "
                                                       "\"700ms\" }" }));
}

/* ---- what is said before the encryption ----------------------------------------------------- */

/* CVE-2024-10977, CVE-2022-41862: text from before the encryption was shown, and read beyond its
 * end. */
static void words_before_tls_are_not_repeated_CVE_2024_10977_CVE_2022_41862(void **state)
{
    struct world *w = *state;
    char lie[4096] = "ESECRETWORDS";
    memset(lie + 12, 'x', sizeof lie - 12);
    struct liar l = liar_start(&(struct script){ .greeting = lie, .greeting_len = sizeof lie });
    struct proxy p;
    start(w, &p, &l, "{ \"mode\": \"require\" }");
    PGconn *c = connect_to(p.port, "postgres", "");
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_null(strstr(PQerrorMessage(c), "SECRETWORDS"));
    assert_false(proxy_log_has(w->kit, &p, "SECRETWORDS", 0));
    PQfinish(c);
    assert_true(proxy_stop(w->kit, &p));
    liar_end(&l);
}

/* CVE-2021-43766, CVE-2021-43767, CVE-2021-23222: what came in one segment with the server's `S`
 * was read as if it had been encrypted: here a whole login. */
static void bytes_behind_the_offer_of_tls_are_not_read_CVE_2021_43766_CVE_2021_43767(void **state)
{
    struct world *w = *state;
    static const char forged[] = "SR\0\0\0\10\0\0\0\0S\0\0\0\31client_encoding\0UTF8\0"
                                 "K\0\0\0\14\0\0\0\7\0\0\0\7Z\0\0\0\5I";
    static const size_t lengths[] = { 2, 10, sizeof forged - 1 };
    for (size_t at = 0; at < 3; at++)
        for (int required = 0; required < 2; required++) {
            struct liar l =
                liar_start(&(struct script){ .greeting = forged, .greeting_len = lengths[at] });
            struct proxy p;
            start(w, &p, &l, required ? "{ \"mode\": \"require\" }" : "{ \"mode\": \"prefer\" }");
            PGconn *c = connect_to(p.port, "postgres", "");
            assert_int_equal(PQstatus(c), CONNECTION_BAD);
            assert_true(proxy_log_has(w->kit, &p, "unexpected answer to SSLRequest", 2000));
            PQfinish(c);
            assert_true(proxy_stop(w->kit, &p));
            liar_end(&l);
        }
}

/* CVE-2018-10915, CVE-2020-25694: the second attempt forgot what the first had been asked for. */
static void dialling_again_keeps_its_security_CVE_2018_10915_CVE_2020_25694(void **state)
{
    struct world *w = *state;
    struct liar l =
        liar_start(&(struct script){ .greeting = "N", .greeting_len = 1, .first_closed = 2 });
    struct proxy p;
    start(w, &p, &l, "{ \"mode\": \"require\" }");
    PGconn *c = connect_to(p.port, "postgres", "");
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_non_null(strstr(PQerrorMessage(c), "TLS"));
    PQfinish(c);
    /* Not one byte was said to it in the clear. */
    struct pollfd heard = { .fd = l.heard, .events = POLLIN };
    assert_int_equal(poll(&heard, 1, 100), 0);
    assert_true(proxy_stop(w->kit, &p));
    liar_end(&l);
}

/* ---- what servers say ----------------------------------------------------------------------- */

/* CVE-2026-6666: an error or a notice without a code, without fields, without an end. */
static void errors_without_fields_CVE_2026_6666(void **state)
{
    struct world *w = *state;
    static char many[5 + 5000 * 3 + 1] = "E";
    uint32_t length = htonl(sizeof many - 1);
    memcpy(many + 1, &length, 4);
    for (int n = 0; n < 5000; n++) memcpy(many + 5 + n * 3, "\x81x", 3);
    const struct {
        const char *at;
        size_t len;
    } lies[] = { { "E\0\0\0\13SERR\0\0", 12 }, { "E\0\0\0\5\0", 6 }, { "E\0\0\0\4", 5 },
                 { "E\0\0\0\11SERR", 9 },      { "N\0\0\0\5\0", 6 }, { "E\0\0\0\10\x81zz\0", 9 },
                 { many, sizeof many } };
    for (size_t at = 0; at < sizeof lies / sizeof *lies; at++)
        for (int when = 0; when < 2; when++) {
            struct script s = { 0 };
            if (when)
                s.login = lies[at].at, s.login_len = lies[at].len;
            else
                s.answer = lies[at].at, s.answer_len = lies[at].len;
            struct liar l = liar_start(&s);
            struct proxy p;
            start(w, &p, &l, NULL);
            struct raw *r = raw_open(p.port, NULL);
            if (raw_login(r, "postgres")) {
                raw_query(r, "select 1");
                assert_null(strstr(raw_answer(r), "silence"));
            }
            raw_close(r);
            assert_true(proxy_stop(w->kit, &p));
            liar_end(&l);
        }
}

/* (No CVE.) A warehouse that starts, stops or is full says so at login: whoever stands in line has
 * sent nothing yet and is not told of it, but waits for it to pass. */
static void a_warehouse_that_starts_is_waited_for(void **state)
{
    struct world *w = *state;
    static const char *const states[] = { "57P03", "57P01", "53300" };
    for (size_t at = 0; at < 3; at++) {
        char no[] = "E\0\0\0\37SFATAL\0VFATAL\0C.....\0Mnot\0\0";
        memcpy(no + 20, states[at], 5);
        struct liar l = liar_start(
            &(struct script){ .login = no, .login_len = sizeof no - 1, .first_refused = 3 });
        char endpoint[40];
        struct proxy p = { 0 };
        snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", l.port);
        assert_true(
            before_start(w->kit, &p,
                         &(struct before){ .server_port = l.port,
                                           .endpoint = endpoint,
                                           .pool = "{ \"size\": 1, \"wait_timeout\": \"20s\" }" }));
        PGconn *c = connect_to(p.port, "postgres", "");
        if (PQstatus(c) != CONNECTION_OK) fail_msg("%s: %s", states[at], PQerrorMessage(c));
        PQfinish(c);
        assert_int_equal(before_log_count(w->kit, &p, "server.failed"), 3);
        assert_true(proxy_stop(w->kit, &p));
        liar_end(&l);
    }
}

/* (No CVE.) The settings of a session are being brought to a server, and the client has heard
 * nothing yet. A server that says FATAL to them and goes on is not believed to have taken them; and
 * of one that breaks off in a message which is the client's, no other server's answers may be the
 * rest. */
static void a_server_that_breaks_off_while_it_takes_settings(void **state)
{
    struct world *w = *state;
    static const char *const pairs[] = { "user",        "postgres",    "database", "postgres",
                                         "search_path", "information", NULL };
    static const char no[] = "E\0\0\0\37SFATAL\0VFATAL\0C57P01\0Mnot\0\0Z\0\0\0\5I";
    static const char half[] = "A\0\0\0\34\0\0\0\1tal";
    char heard[sizeof half - 1];
    struct liar l = liar_start(&(struct script){ .answer = no, .answer_len = sizeof no - 1 });
    struct proxy p;
    start(w, &p, &l, NULL);
    struct raw *r = raw_open(p.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0, pairs);
    assert_int_equal(raw_next(r), 'E');
    assert_string_equal(raw_field(r, 'C'), "08P01");
    assert_int_equal(raw_byte(r), RAW_END);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
    liar_end(&l);

    l = liar_start(&(struct script){ .answer = half, .answer_len = sizeof half - 1 });
    start(w, &p, &l, NULL);
    r = raw_open(p.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0, pairs);
    assert_true(raw_bytes(r, heard, sizeof heard));
    assert_memory_equal(heard, half, sizeof heard);
    assert_int_equal(raw_byte(r), RAW_END);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
    liar_end(&l);
}

/* CVE-2026-6477, CVE-2025-12818, CVE-2026-6473: sizes that were believed, or wrapped around. */
static void sizes_are_not_believed_CVE_2026_6477_CVE_2025_12818_CVE_2026_6473(void **state)
{
    struct world *w = *state;
    static const char *const lengths[] = { "\x40\0\0\0",       "\x7f\xff\xff\xff", "\x80\0\0\0",
                                           "\xff\xff\xff\xff", "\xff\xff\xff\xfb", "\0\0\0\3" };
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++)
        for (const char *type = "VTDCGdEt"; *type; type++) {
            char lie[15] = { *type };
            memcpy(lie + 1, lengths[at], 4);
            struct liar l = liar_start(&(struct script){ .answer = lie, .answer_len = sizeof lie });
            struct proxy p;
            if (*type != 'V' && at != 0 && at != 4) { /* all of them for V only */
                liar_end(&l);
                continue;
            }
            start(w, &p, &l, NULL);
            struct raw *r = raw_open(p.port, NULL);
            assert_true(raw_login(r, "postgres"));
            raw_query(r, "select 1");
            assert_null(strstr(raw_answer(r), "silence"));
            raw_close(r);
            assert_in_range(before_rss_kib(&p), 1, 600 << 10);
            assert_true(proxy_stop(w->kit, &p));
            liar_end(&l);
        }
}

/* ---- the clock ------------------------------------------------------------------------------ */

/* CVE-2015-3165: the login's timer fired at the wrong moment, and freed twice. */
static void the_login_timer_at_each_step_CVE_2015_3165(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    static const char verifier[] =
        "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    char users[300];
    snprintf(users, sizeof users,
             "\"ana\": { \"auth\": [\"scram-sha-256\"], \"password\": \"%s\", \"role\": \"owner\","
             " \"db_user\": \"postgres\" }",
             verifier);
    assert_true(before_start(w->kit, &p,
                             &(struct before){ .server_port = 1,
                                               .users = users,
                                               .limits = "{ \"login_timeout\": \"300ms\" }" }));
    static const char *const pairs[] = { "user", "ana", "database", "postgres", NULL };
    static const char initial[] = "SCRAM-SHA-256\0\0\0\0\31n,,n=,r=aaaaaaaaaaaaaaaaa";
    static const char final[] = "c=biws,r=aaaa,p=AAAA";
    for (int step = 0; step < 6; step++) {
        struct raw *r = raw_open(p.port, NULL);
        if (step == 1) raw_send(r, "\0\0\0", 3);
        if (step >= 2) raw_startup(r, RAW_PROTOCOL_3_0, pairs);
        if (step == 3) raw_send(r, "p\0\0", 3);
        if (step >= 4) raw_say(r, 'p', initial, sizeof initial - 1);
        if (step == 5) kit_sleep_ms(290);
        if (step == 5) raw_say(r, 'p', final, sizeof final - 1);
        assert_null(strstr(raw_answer(r), "silence"));
        raw_close(r);
    }
    assert_true(proxy_stop(w->kit, &p));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_before_tls_are_not_repeated_CVE_2024_10977_CVE_2022_41862),
        cmocka_unit_test(bytes_behind_the_offer_of_tls_are_not_read_CVE_2021_43766_CVE_2021_43767),
        cmocka_unit_test(dialling_again_keeps_its_security_CVE_2018_10915_CVE_2020_25694),
        cmocka_unit_test(errors_without_fields_CVE_2026_6666),
        cmocka_unit_test(sizes_are_not_believed_CVE_2026_6477_CVE_2025_12818_CVE_2026_6473),
        cmocka_unit_test(a_warehouse_that_starts_is_waited_for),
        cmocka_unit_test(a_server_that_breaks_off_while_it_takes_settings),
        cmocka_unit_test(the_login_timer_at_each_step_CVE_2015_3165),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
