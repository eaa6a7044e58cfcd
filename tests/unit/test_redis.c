/* io/redis: targets, replies however they are cut and whatever is wrong with them, and what a
 * connection does when Redis says MOVED, READONLY, LOADING, WRONGPASS, nothing, or goes away;
 * against a Redis of a screen's length that follows a script. */
#include "streams.h"

#include "proxy/io/redis.h"

#include <arpa/inet.h>
#include <pthread.h>

/* ---- targets -------------------------------------------------------------------------------- */

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        uint16_t port;
        uint32_t database;
        bool tls;
    } good[] = {
        { "redis://h", "h", 6379, 0, false },
        { "rediss://cache.example:6380/3", "cache.example", 6380, 3, true },
        { "redis://127.0.0.1:7000/", "127.0.0.1", 7000, 0, false },
        { "redis://[::1]:7000/15", "[::1]", 7000, 15, false },
        { "redis://[::1]", "[::1]", 6379, 0, false },
    };
    static const char *const bad[] = {
        "",
        "http://h",
        "redis://",
        "redis:///0",
        "redis://:1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://u:secret@h",
        "redis://h/x",
        "redis://h/65536",
        "redis://a b",
        "redis://h:99999999999999",
        "redis://h/1/2",
    };
    struct redis_target t;
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(redis_target_parse(&t, slice_str(good[i].url), &err));
        assert_string_equal(t.host, good[i].host);
        assert_int_equal(t.port, good[i].port);
        assert_int_equal(t.database, good[i].database);
        assert_int_equal(t.tls, good[i].tls);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(redis_target_parse(&t, slice_str(bad[i]), &err));
        assert_null(strstr(err.message, "secret"));
    }
}

/* ---- replies -------------------------------------------------------------------------------- */

static void print(const struct redis_reply *r, struct buf *out)
{
    static const char marks[] = { 'n', 't', 's', 'e', 'i', 'a' };
    buf_addf(out, "%c%lld,%.*s[", marks[r->type], (long long)r->integer, SLICE_ARG(r->text));
    for (size_t i = 0; i < r->count; i++) print(&r->elements[i], out);
    buf_add_u8(out, ']');
}

/* Reads `text`, at first `cut` bytes of it; false: it was refused. */
static bool read_all(const char *text, size_t len, size_t cut, uint32_t cap, struct buf *out)
{
    struct redis_reader *r = redis_reader_new(cap);
    struct redis_reply *reply;
    struct err err;
    bool ok = true;
    for (int part = 0; part < 2 && ok; part++) {
        struct slice bytes = part ? slice_of(text + cut, len - cut) : slice_of(text, cut);
        ok = redis_reader_feed(r, bytes, &err);
        while (ok && (ok = redis_reader_next(r, &reply, &err)) && reply) {
            print(reply, out);
            redis_reply_free(reply);
        }
    }
    redis_reader_free(r);
    return ok;
}

static void replies_however_cut(void **state)
{
    (void)state;
    static const char text[] = "+OK\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n-ERR no\r\n*0\r\n*-1\r\n"
                               "*3\r\n$1\r\nx\r\n*2\r\n:1\r\n$-1\r\n+y\r\n$0\r\n\r\n";
    struct buf whole = { 0 };
    assert_true(read_all(text, sizeof text - 1, 0, 1000, &whole));
    assert_true(whole.len > 0);
    for (size_t cut = 1; cut < sizeof text; cut++) {
        struct buf got = { 0 };
        assert_true(read_all(text, sizeof text - 1, cut, 1000, &got));
        assert_true(slice_eq(buf_slice(&got), buf_slice(&whole)));
        buf_fini(&got);
    }
    buf_fini(&whole);
}

static void replies_out_of_bounds(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "*2147483647\r\n", "*70000\r\n",
        "*-2\r\n",         "$-2\r\n",
        "%2\r\n",          "GET /\r\n",
        "\r\n\r\n",        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf got = { 0 };
        bool ok = read_all(bad[i], strlen(bad[i]), strlen(bad[i]) / 2, 1000, &got);
        if (ok && got.len == 0) continue; /* it waits for more, which the connection bounds */
        assert_false(ok);
        buf_fini(&got);
    }
    /* What is announced as too long is waited for until the cap. */
    struct redis_reader *r = redis_reader_new(1000);
    struct redis_reply *reply = NULL;
    struct err err;
    const char *head = "$9223372036854775806\r\n";
    char chunk[500] = { 0 };
    bool ok = redis_reader_feed(r, slice_str(head), &err);
    int chunks = 0;
    while (ok && chunks < 1000) {
        ok = redis_reader_next(r, &reply, &err) && redis_reader_feed(r, slice_of(chunk, 500), &err);
        assert_null(reply);
        chunks++;
    }
    assert_false(ok);
    assert_in_range(chunks, 1, 20);
    redis_reader_free(r);
    /* Many small ones in an answer add up. */
    struct buf many = { 0 }, got = { 0 };
    buf_add_str(&many, "*100\r\n");
    for (int i = 0; i < 100; i++) buf_add_str(&many, "$20\r\n01234567890123456789\r\n");
    assert_false(read_all(many.at, many.len, 3, 1000, &got));
    assert_true(read_all(many.at, many.len, 3, 4000, &got));
    buf_fini(&many);
    buf_fini(&got);
}

/* ---- a Redis that follows a script ------------------------------------------------------------
 */

enum { STEPS = 8, CONNECTIONS = 8 };

/* For each connection: what is answered to the first bytes, the second, ... NULL: closes. "": is
 * silent. */
struct script {
    const char *steps[CONNECTIONS][STEPS];
    int listener;
    uint16_t port;
    pthread_t thread;
    char heard[CONNECTIONS][1024];
    int connections;
};

static void follow_script(struct script *s, int fd, int number)
{
    const char *const *step = s->steps[number];
    size_t len = 0;
    char *heard = s->heard[number];
    for (; *step; step++) {
        ssize_t n = recv(fd, heard + len, sizeof s->heard[0] - 1 - len, 0);
        if (n <= 0) break;
        len += (size_t)n;
        heard[len] = 0;
        if (**step) send(fd, *step, strlen(*step), MSG_NOSIGNAL);
    }
}

static void *serve(void *arg)
{
    struct script *s = arg;
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0) return NULL;
        follow_script(s, fd, i);
        close(fd);
        s->connections++;
    }
    return NULL;
}

static void script_start(struct script *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    getsockname(s->listener, (struct sockaddr *)&at, &size);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void script_stop(struct script *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

/* ---- one who asks ---------------------------------------------------------------------------- */

struct asker {
    struct redis *redis;
    int ready, lost, told, failed, messages, closed;
    char text[64], message[64];
    struct err err, why;
    bool close_when_told, close_when_lost;
};

static void on_closed(void *owner) { ((struct asker *)owner)->closed++; }

static void on_ready(void *owner) { ((struct asker *)owner)->ready++; }

static void on_lost(void *owner, const struct err *why)
{
    struct asker *a = owner;
    a->lost++;
    a->why = *why;
    if (a->close_when_lost) redis_close(a->redis, on_closed, a);
}

static void on_message(void *owner, struct slice payload)
{
    struct asker *a = owner;
    a->messages++;
    snprintf(a->message, sizeof a->message, "%.*s", SLICE_ARG(payload));
}

static void on_done(void *owner, const struct redis_reply *reply, const struct err *err)
{
    struct asker *a = owner;
    assert_true(!reply != !err);
    a->told++;
    if (err) {
        a->failed++;
        a->err = *err;
    } else {
        snprintf(a->text, sizeof a->text, "%.*s", SLICE_ARG(reply->text));
    }
    if (a->close_when_told) redis_close(a->redis, on_closed, a);
}

static const struct redis_events events = { on_ready, on_lost, on_message };

static void open_to(struct asker *a, struct world *w, const struct script *s, const char *channel)
{
    struct redis_options o = {
        .target = { .host = "127.0.0.1", .port = s->port },
        .user = slice_str("u"),
        .password = slice_str("hush-hush"),
        .connect_timeout_ms = 1000,
        .command_timeout_ms = 300,
        .ping_ms = 60000,
        .answer_cap_bytes = 10000,
        .channel = slice_str(channel),
        .seed = 1,
    };
    memset(a, 0, sizeof *a);
    uv_ref((uv_handle_t *)&w->watchdog); /* a pause alone does not keep a loop alive */
    a->redis = redis_open(&w->loop, &o, &events, a);
    assert_non_null(a->redis);
}

static void close_and_end(struct asker *a, struct world *w, struct script *s)
{
    if (!a->closed && a->redis) redis_close(a->redis, on_closed, a);
    UNTIL(w, a->closed);
    assert_int_equal(a->closed, 1);
    script_stop(s);
    world_close(w);
}

static bool get(struct asker *a)
{
    return redis_send(a->redis, (struct slice[]){ slice_str("GET"), slice_str("k") }, 2, on_done, a,
                      &a->err);
}

#define GREETED "+OK\r\n+PONG\r\n"

static void a_command(void **state)
{
    (void)state;
    struct script s = { .steps = { { GREETED, "$1\r\nv\r\n", "-WRONGTYPE no\r\n", "" } } };
    struct world w;
    struct asker a;
    world_open(&w);
    script_start(&s);
    open_to(&a, &w, &s, NULL);
    assert_false(get(&a));
    UNTIL(&w, a.ready);
    assert_true(get(&a));
    assert_int_equal(a.told, 0);
    UNTIL(&w, a.told);
    assert_string_equal(a.text, "v");
    assert_true(get(&a));
    UNTIL(&w, a.told == 2);
    assert_int_equal(a.failed, 1);
    assert_non_null(strstr(a.err.message, "WRONGTYPE"));
    assert_int_equal(a.lost, 0);
    assert_string_equal(s.heard[0], "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$9\r\nhush-hush\r\n"
                                    "*1\r\n$4\r\nPING\r\n"
                                    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
                                    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    close_and_end(&a, &w, &s);
}

/* Each of these ends the connection, and the next one is as good as new. */
static void lost_and_found(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-NOAUTH Authentication required.\r\n",
        "", /* silence */
        "$1\r\nv\r\n$1\r\nw\r\n",
        "hello\r\n",
        "*2147483647\r\n",
        NULL,
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct script s = { .steps = { { GREETED, answers[i], NULL },
                                       { GREETED, "$1\r\nx\r\n", "" } } };
        struct world w;
        struct asker a;
        world_open(&w);
        script_start(&s);
        open_to(&a, &w, &s, NULL);
        UNTIL(&w, a.ready);
        assert_true(get(&a));
        UNTIL(&w, a.told && a.lost);
        assert_false(redis_is_ready(a.redis));
        assert_false(get(&a));
        if (i != 4) assert_int_equal(a.failed, 1);
        assert_null(strstr(a.why.message, "hush"));
        UNTIL(&w, a.ready == 2);
        assert_true(get(&a));
        UNTIL(&w, a.told == 2);
        assert_string_equal(a.text, "x");
        assert_int_equal(a.lost, 1);
        close_and_end(&a, &w, &s);
    }
}

static void refused_greetings(void **state)
{
    (void)state;
    struct script s = { .steps = {
                            { "-WRONGPASS invalid username-password pair\r\n+PONG\r\n", NULL } } };
    struct world w;
    struct asker a;
    world_open(&w);
    script_start(&s);
    open_to(&a, &w, &s, NULL);
    UNTIL(&w, a.lost);
    assert_int_equal(a.ready, 0);
    assert_non_null(strstr(a.why.message, "WRONGPASS"));
    assert_non_null(strstr(a.why.hint, "cache_password"));
    close_and_end(&a, &w, &s);
}

static void moved(void **state)
{
    (void)state;
    static char here[64], there[64];
    struct script first = { .steps = { { GREETED, here, "" } } };
    struct script second = { .steps = { { GREETED, "$4\r\nnext\r\n", there, "" },
                                        { GREETED, there, "" },
                                        { GREETED, there, "" },
                                        { GREETED, there, "" } } };
    struct world w;
    struct asker a;
    world_open(&w);
    script_start(&second);
    script_start(&first);
    snprintf(here, sizeof here, "-MOVED 3999 127.0.0.1:%u\r\n", second.port);
    snprintf(there, sizeof there, "-MOVED 3999 :%u\r\n", second.port);
    open_to(&a, &w, &first, NULL);
    UNTIL(&w, a.ready);
    assert_true(get(&a));
    UNTIL(&w, a.told);
    assert_string_equal(a.text, "next");
    assert_int_equal(a.failed + a.lost, 0);
    assert_non_null(strstr(second.heard[0], "GET"));
    /* In circles: an end. */
    assert_true(get(&a));
    UNTIL(&w, a.told == 2);
    assert_int_equal(a.failed, 1);
    assert_non_null(strstr(a.err.message, "MOVED"));
    redis_close(a.redis, on_closed, &a);
    UNTIL(&w, a.closed);
    script_stop(&second);
    close_and_end(&a, &w, &first);
}

static void listening(void **state)
{
    (void)state;
    struct script s = { .steps = { { "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
                                     "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n12\r\n"
                                     "*3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$2\r\n13\r\n",
                                     "" } } };
    struct world w;
    struct asker a;
    world_open(&w);
    script_start(&s);
    open_to(&a, &w, &s, "c");
    UNTIL(&w, a.messages);
    assert_int_equal(a.ready, 1);
    assert_int_equal(a.messages, 1);
    assert_string_equal(a.message, "12");
    close_and_end(&a, &w, &s);
}

/* Closing from within, and at any moment of the life of a connection. */
static void closing(void **state)
{
    (void)state;
    for (int turns = 0; turns < 14; turns++) {
        struct script s = { .steps = { { GREETED, "$1\r\nv\r\n-READONLY\r\n", "" },
                                       { GREETED, "" } } };
        struct world w;
        struct asker a;
        world_open(&w);
        script_start(&s);
        open_to(&a, &w, &s, NULL);
        if (turns < 10) {
            turn(&w, turns);
        } else {
            UNTIL(&w, a.ready);
            assert_true(get(&a));
            assert_true(get(&a));
            a.close_when_told = turns % 2;
            a.close_when_lost = !(turns % 2);
            UNTIL(&w, a.closed);
        }
        close_and_end(&a, &w, &s);
    }
    struct script nobody = { 0 };
    struct world w;
    struct asker a;
    world_open(&w);
    script_start(&nobody);
    shutdown(nobody.listener, SHUT_RDWR); /* refuses from now on */
    open_to(&a, &w, &nobody, NULL);
    a.close_when_lost = true;
    UNTIL(&w, a.closed);
    close_and_end(&a, &w, &nobody);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(replies_however_cut),
        cmocka_unit_test(replies_out_of_bounds),
        cmocka_unit_test(a_command),
        cmocka_unit_test(lost_and_found),
        cmocka_unit_test(refused_greetings),
        cmocka_unit_test(moved),
        cmocka_unit_test(listening),
        cmocka_unit_test(closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
