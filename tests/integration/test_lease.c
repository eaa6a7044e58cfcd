/* lease: three to five proxies and the script in a real Redis, in a time of their own: requests and
 * answers are lost and late, proxies die and come again, Redis is cut off, emptied, stopped.
 * Whatever happens, and however greedy everybody is, all together never hold more than the limit.
 *
 *   LEASE_WORLDS=N   how many of them (60)     LEASE_SEED=N   which
 */
#include "support/fixtures.h"
#include "unit/unit.h"

#include "proxy/lease.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROXIES_MAX = 5, STEP_MS = 20, WORLD_MS = 90 * 1000, NEVER = 0x7fffffff };

static struct kit *kit;
static struct redis redis_server;
static int redis_fd = -1;
static FILE *redis_in;

/* ---- Redis ---------------------------------------------------------------------------------- */

static int world_setup(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    (void)state;
    kit = kit_new("lease");
    if (!redis_start(kit, &redis_server)) return -1;
    at.sin_port = htons((uint16_t)redis_server.port);
    redis_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(redis_fd, (struct sockaddr *)&at, sizeof at) != 0) return -1;
    redis_in = fdopen(dup(redis_fd), "r");
    return redis_in ? 0 : -1;
}

static int world_teardown(void **state)
{
    (void)state;
    if (redis_in) fclose(redis_in);
    close(redis_fd);
    kit_free(kit);
    return 0;
}

static void say(const char *const words[], size_t count)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) fprintf(f, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    fclose(f);
    for (size_t at = 0; at < len;) {
        ssize_t n = write(redis_fd, text + at, len - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    free(text);
}

static void hear(char line[256])
{
    assert_non_null(fgets(line, 256, redis_in));
    if (line[0] == '-') fail_msg("%s", line);
}

static void flush_all(void)
{
    const char *const words[] = { "FLUSHALL" };
    char line[256];
    say(words, 1);
    hear(line);
}

/* The script as it is, but for the clock, which is the test's. */
static const char *script_of_now(void)
{
    static char *text;
    static const char clock[] = "redis.call('TIME')";
    if (text) return text;
    const char *at = strstr(lease_script, clock);
    assert_non_null(at);
    if (asprintf(&text, "%.*s{ ARGV[8], ARGV[9] }%s", (int)(at - lease_script), lease_script,
                 at + strlen(clock)) < 0)
        abort();
    return text;
}

static void evaluate(unsigned who, const int64_t request[LEASE_REQUEST], int64_t now_ms,
                     int64_t answer[LEASE_ANSWER])
{
    enum { WORDS = 5 + LEASE_REQUEST + 2 };
    char me[24], number[LEASE_REQUEST + 2][24], line[256];
    const char *words[WORDS] = { "EVAL", script_of_now(), "1", "lease", me };
    snprintf(me, sizeof me, "%016x", who);
    for (size_t i = 0; i < LEASE_REQUEST; i++)
        snprintf(number[i], sizeof number[i], "%lld", (long long)request[i]);
    snprintf(number[LEASE_REQUEST], sizeof number[0], "%lld", (long long)(now_ms / 1000));
    snprintf(number[LEASE_REQUEST + 1], sizeof number[0], "%lld",
             (long long)(now_ms % 1000 * 1000));
    for (size_t i = 0; i < LEASE_REQUEST + 2; i++) words[5 + i] = number[i];
    say(words, WORDS);
    hear(line);
    assert_string_equal(line, "*4\r\n");
    for (size_t i = 0; i < LEASE_ANSWER; i++) {
        hear(line);
        answer[i] = strtoll(line + 1, NULL, 10);
    }
}

/* ---- a proxy -------------------------------------------------------------------------------- */

struct model {
    bool is_alive, under_way, is_executed, is_heard;
    unsigned id;
    struct lease lease;
    int64_t clock; /* its own is so far ahead of the world's */
    uint32_t taken, busy, allowed, wants;
    int64_t tick_at, arrives_at, returns_at, back_at; /* by the world's clock */
    int64_t cut_until;                                /* from Redis */
    int64_t request[LEASE_REQUEST], answer[LEASE_ANSWER];
};

struct world {
    unsigned count, next_id;
    uint32_t limit;
    uint64_t life_ms;
    int64_t now, stopped_until; /* Redis is stopped */
    bool in_peace; /* nothing is lost or late, and the first alone wants more than two */
    struct model proxies[PROXIES_MAX];
    uint32_t highest, most_of_one;
};

static unsigned below(unsigned n) { return n ? (unsigned)random() % n : 0; }
static bool once_in(unsigned n) { return below(n) == 0; }

static uint64_t now_of(const struct world *w, const struct model *m)
{
    return (uint64_t)(w->now + m->clock);
}

static void be_born(struct world *w, struct model *m)
{
    *m = (struct model){ .is_alive = true, .id = ++w->next_id };
    m->clock = 1000000 + (int64_t)below(100000000);
    m->wants = below(3) ? w->limit : below(w->limit + 1);
    m->lease.limit = w->limit;
    m->lease.size = w->count;
    m->lease.life_ms = w->life_ms;
    m->lease.alone_ms = now_of(w, m);
    m->tick_at = w->now + below(LEASE_TICK_MS);
}

/* A lost request or answer is a connection that broke; whoever waits for it hears of that. */
static void ask(struct world *w, struct model *m)
{
    const uint32_t hungry = m->wants > m->taken ? m->wants - m->taken : 0;
    lease_ask(&m->lease, now_of(w, m), m->taken, hungry, m->request);
    m->under_way = true;
    m->is_executed = false;
    m->is_heard = w->in_peace || !once_in(12);
    m->arrives_at = w->now + below(10);
    if (!w->in_peace && once_in(10)) m->arrives_at += below((unsigned)w->life_ms * 2);
    if (w->now < m->cut_until) /* what TCP sends again later, or never */
        m->arrives_at = once_in(2) ? m->cut_until + below(2000) : NEVER;
    m->returns_at = m->arrives_at == NEVER ? w->now + 1000 : 0;
}

static void move_requests(struct world *w, struct model *m)
{
    if (!m->under_way) return;
    if (!m->is_executed && w->now >= m->arrives_at && w->now >= w->stopped_until) {
        evaluate(m->id, m->request, 1700000000000 + w->now, m->answer);
        m->is_executed = true;
        m->returns_at = w->now + below(10);
        if (!w->in_peace && once_in(10)) m->returns_at += below((unsigned)w->life_ms * 2);
    }
    if (!m->returns_at || w->now < m->returns_at) return;
    m->under_way = false;
    if (m->is_executed && m->is_heard)
        lease_answered(&m->lease, now_of(w, m), m->answer);
    else
        lease_lost(&m->lease);
}

static void tick(struct world *w, struct model *m)
{
    bool force;
    if (w->now < m->tick_at) return;
    m->tick_at = w->now + LEASE_TICK_MS + below(60);
    m->allowed = lease_allowed(&m->lease, now_of(w, m));
    uint32_t excess = lease_excess(&m->lease, now_of(w, m), m->taken, &force);
    uint32_t idle = m->taken - m->busy;
    if (force)
        m->taken -= excess;
    else
        m->taken -= excess < idle ? excess : idle;
    if (m->busy > m->taken) m->busy = m->taken;
    if (!m->under_way && now_of(w, m) >= m->lease.due_ms) ask(w, m);
}

static void work(struct world *w, struct model *m)
{
    if (!w->in_peace && once_in(200)) m->wants = below(3) ? w->limit : below(w->limit + 1);
    while (m->taken < m->wants && m->taken < m->allowed) m->taken++;
    if (m->taken > m->wants && once_in(20)) m->taken = m->wants;
    if (once_in(10)) m->busy = below(m->taken + 1);
    if (m->busy > m->taken) m->busy = m->taken;
    if (m->taken > w->most_of_one) w->most_of_one = m->taken;
}

static void befall(struct world *w)
{
    if (once_in(1500)) flush_all();
    if (once_in(1500)) w->stopped_until = w->now + below((unsigned)w->life_ms * 5);
    for (unsigned i = 0; i < w->count; i++) {
        struct model *m = &w->proxies[i];
        if (m->is_alive && once_in(1500)) m->cut_until = w->now + below((unsigned)w->life_ms * 6);
        if (m->is_alive && once_in(2500)) {
            *m = (struct model){ .back_at = w->now + below((unsigned)w->life_ms * 3) };
        } else if (!m->is_alive && w->now >= m->back_at) {
            be_born(w, m);
        }
    }
}

static uint32_t sum_of(const struct world *w)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < w->count; i++) sum += w->proxies[i].taken;
    return sum;
}

static void live(struct world *w)
{
    flush_all();
    for (unsigned i = 0; i < w->count; i++) {
        be_born(w, &w->proxies[i]);
        if (w->in_peace) w->proxies[i].wants = i ? 2 : w->limit;
    }
    for (w->now = 0; w->now < WORLD_MS; w->now += STEP_MS) {
        if (!w->in_peace) befall(w);
        for (unsigned i = 0; i < w->count; i++) {
            struct model *m = &w->proxies[i];
            if (!m->is_alive) continue;
            move_requests(w, m);
            tick(w, m);
            work(w, m);
            const uint32_t sum = sum_of(w);
            if (sum > w->highest) w->highest = sum;
            if (sum > w->limit)
                fail_msg("%u of %u at %lld ms: proxy %u has %u, leased %u until %lld ms", sum,
                         w->limit, (long long)w->now, i, m->taken, m->lease.leased,
                         (long long)m->lease.ends_ms - m->clock);
        }
    }
}

static struct world some_world(void)
{
    struct world w = { .count = 2 + below(PROXIES_MAX - 1) };
    w.limit = w.count + below(40);
    w.life_ms = 5000 + below(6) * 1000;
    return w;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static unsigned number_of(const char *name, unsigned usual)
{
    const char *given = getenv(name);
    return given ? (unsigned)strtoul(given, NULL, 10) : usual;
}

static void never_more_than_the_limit(void **state)
{
    (void)state;
    const unsigned worlds = number_of("LEASE_WORLDS", 60), seed = number_of("LEASE_SEED", 1);
    unsigned filled = 0;
    for (unsigned i = 0; i < worlds; i++) {
        srandom(seed + i);
        struct world w = some_world();
        live(&w);
        filled += w.highest >= w.limit * 3 / 4;
    }
    /* And that is not because nobody had anything. */
    if (filled * 2 < worlds) fail_msg("only %u of %u worlds were ever filled", filled, worlds);
}

/* Without trouble, who wants gets what the others leave. */
static void what_nobody_wants_is_given(void **state)
{
    (void)state;
    srandom(7);
    struct world w = { .count = 3, .limit = 30, .life_ms = 5000, .in_peace = true };
    live(&w);
    /* The others have five for sure, whatever they want. */
    assert_int_equal(w.most_of_one, 20);
}

/* Whoever writes to Redis himself: nobody believes in more than there is. */
static void an_answer_that_is_too_good_is_not_believed(void **state)
{
    (void)state;
    static const int64_t lies[][LEASE_ANSWER] = { { 1000000, 1000000, 0, 0 },
                                                  { INT64_MAX, INT64_MAX, INT64_MAX, 1 },
                                                  { 5, -1, INT64_MIN, 0 },
                                                  { -7, 3, 0, 0 } };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct lease l = { .limit = 12, .size = 3, .life_ms = 5000, .alone_ms = 1000 };
        int64_t request[LEASE_REQUEST];
        lease_ask(&l, 2000, 0, 5, request);
        lease_answered(&l, 2010, lies[i]);
        assert_true(lease_allowed(&l, 2500) <= 12);
        assert_true(lease_allowed(&l, 2500) >= 2);
        assert_int_equal(lease_allowed(&l, 2000000), 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_than_the_limit),
        cmocka_unit_test(what_nobody_wants_is_given),
        cmocka_unit_test(an_answer_that_is_too_good_is_not_believed),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
