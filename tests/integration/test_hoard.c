/* Memory for statements that are gathered whole: its limit, and clients that begin and do not go
 * on. The server is a recorder (support/recorder.h). */
#include "support/before.h"
#include "support/raw.h"
#include "support/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK "insert into public.events values (1)"

struct world {
    struct kit *kit;
    struct recorder *recorder;
    struct before before;
};

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("hoard");
    const int port = kit_port(w->kit);
    w->recorder = recorder_start(port);
    w->before = (struct before){
        .server_port = port,
        .logins = "\"loader\": \"env:PG_PASSWORD\"",
        .users = "\"loader\": { \"auth\": [\"trust\"], \"role\": \"loader\" }",
        .roles = "\"loader\": { \"insert_only\": [\"public.events\"],"
                 " \"excess_privilege\": \"warn\" }",
        .pool = "{ \"mode\": \"transaction\", \"size\": 4, \"min_size\": 0 }",
    };
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* An INSERT of `len` bytes, NUL not counted. */
static char *long_insert(size_t len)
{
    static const char head[] = "insert into public.events values ('";
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + len - 2, "')", 3);
    return text;
}

/* Of a Query of LARGE bytes so many are sent. */
enum { LARGE = 900 * 1024 };

static struct raw *sends_a_part(struct proxy *p, const char *text, size_t part)
{
    struct raw *r = raw_open(p->port, NULL);
    assert_true(raw_login(r, "loader"));
    raw_lie(r, 'Q', 4 + LARGE + 1, text, part);
    return r;
}

static void memory_for_statements_has_a_limit(void **state)
{
    struct world *w = *state;
    struct before b = w->before;
    struct proxy p = { 0 };
    b.limits = "{ \"statement\": \"1MiB\", \"memory\": \"1MiB\", \"statement_stall\": \"1h\" }";
    assert_true(before_start(w->kit, &p, &b));
    char *text = long_insert(LARGE);
    const size_t part = LARGE - 1000;
    struct raw *third = raw_open(p.port, NULL), *small = raw_open(p.port, NULL);
    assert_true(raw_login(third, "loader"));
    assert_true(raw_login(small, "loader"));
    for (int round = 0; round < 2; round++) {
        /* One has nearly all its bytes here; a second one, of whom a part is here, may go over the
         * limit; a third one waits until one of them is through, or gone. */
        struct raw *first = sends_a_part(&p, text, part);
        kit_sleep_ms(50);
        struct raw *second = sends_a_part(&p, text, part);
        kit_sleep_ms(50);
        recorder_forget(w->recorder);
        raw_query(third, text);
        third->wait_ms = 50;
        raw_answers(third, "silence");
        recorder_got_nothing(w->recorder);
        raw_asks(small, OK, "C ZI"); /* it needs none */
        if (round == 0) {
            raw_send(first, text + part, LARGE + 1 - part);
            raw_answers(first, "C ZI");
            raw_send(second, text + part, LARGE + 1 - part);
            raw_answers(second, "C ZI");
        } else {
            raw_abort(first);
            raw_abort(second);
        }
        third->wait_ms = 5000;
        raw_answers(third, "C ZI");
        if (round == 0) raw_close(first);
        if (round == 0) raw_close(second);
    }
    free(text);
    raw_close(third);
    raw_close(small);
    assert_true(proxy_stop(w->kit, &p));
}

/* Those who announce and do not send take nothing; those who hold what others need are sent away.
 */
static void who_stalls_stops_nobody(void **state)
{
    enum { STALLERS = 60 };
    struct world *w = *state;
    struct before b = w->before;
    struct proxy p = { 0 };
    b.limits = "{ \"statement\": \"1MiB\", \"memory\": \"1MiB\", \"statement_stall\": \"300ms\" }";
    assert_true(before_start(w->kit, &p, &b));
    char *text = long_insert(LARGE);
    struct raw *stalls[STALLERS], *r = raw_open(p.port, NULL);
    assert_true(raw_login(r, "loader"));
    for (int i = 0; i < STALLERS; i++) stalls[i] = sends_a_part(&p, text, 100);
    recorder_forget(w->recorder);
    raw_asks(r, text, "C ZI");
    raw_asks(r, text, "C ZI");
    for (int i = 0; i < STALLERS; i++) { /* they did not stand in the way, and are still there */
        raw_send(stalls[i], text + 100, LARGE + 1 - 100);
        raw_answers(stalls[i], "C ZI");
        raw_close(stalls[i]);
    }
    /* Now with nearly all of it: there is room for one, and one more. */
    struct raw *first = sends_a_part(&p, text, LARGE - 1),
               *second = sends_a_part(&p, text, LARGE - 1);
    first->wait_ms = second->wait_ms = 10000;
    r->wait_ms = 10000;
    raw_asks(r, text, "C ZI");
    raw_asks(r, text, "C ZI");
    raw_answers(first, "E53200 end");
    raw_close(first);
    raw_close(second); /* sent away, or not needed any more */
    free(text);
    raw_close(r);
    assert_true(proxy_stop(w->kit, &p));
}

/* Of statements that follow each other without a pause each has its own time: who sends them,
 * always with a part of the next, is not slow. And what a long one took is given back behind it. */
static void who_pipelines_is_not_slow(void **state)
{
    enum { PART = 9 };
    struct world *w = *state;
    struct before b = w->before;
    struct proxy p = { 0 };
    b.limits = "{ \"statement\": \"1MiB\", \"memory\": \"1MiB\", \"statement_stall\": \"1s\" }";
    assert_true(before_start(w->kit, &p, &b));
    char *text = long_insert(LARGE), *message = malloc(5 + sizeof OK);
    message[0] = 'Q';
    memcpy(message + 1, (const char[]){ 0, 0, 0, 4 + sizeof OK }, 4);
    memcpy(message + 5, OK, sizeof OK);
    struct raw *piped = raw_open(p.port, NULL), *waits = NULL, *first = NULL, *second = NULL;
    assert_true(raw_login(piped, "loader"));
    raw_lie(piped, 'Q', 4 + LARGE + 1, text, LARGE);
    kit_sleep_ms(50);
    raw_send(piped, "", 1);
    raw_send(piped, message, PART);
    raw_answers(piped, "C ZI");
    for (int i = 0; i < 40; i++) {
        if (i == 30) {
            first = sends_a_part(&p, text, LARGE - 1);
            kit_sleep_ms(20);
            second = sends_a_part(&p, text, LARGE - 1);
            kit_sleep_ms(20);
            waits = sends_a_part(&p, text, LARGE - 1);
        }
        char rest[2 * (5 + sizeof OK)];
        memcpy(rest, message + PART, 5 + sizeof OK - PART);
        memcpy(rest + 5 + sizeof OK - PART, message, PART);
        raw_send(piped, rest, 5 + sizeof OK);
        raw_answers(piped, "C ZI");
        kit_sleep_ms(45);
    }
    raw_close(piped);
    raw_close(first);
    raw_close(second);
    raw_close(waits);
    free(message);
    free(text);
    assert_true(proxy_stop(w->kit, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_for_statements_has_a_limit),
        cmocka_unit_test(who_stalls_stops_nobody),
        cmocka_unit_test(who_pipelines_is_not_slow),
    };
    return cmocka_run_group_tests(tests, start, end);
}
