/* log: escaping, cutting, levels, the limit on repeats, one write per line. */
#include "unit/unit.h"

#include "protocol/json.h"
#include "proxy/ops/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct log log;
    int ends[2];
};

static int open_log(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f || pipe(f->ends) != 0) return -1;
    log_init(&f->log, f->ends[1]);
    *state = f;
    return 0;
}

static int close_log(void **state)
{
    struct fixture *f = *state;
    close(f->ends[0]);
    close(f->ends[1]);
    free(f);
    return 0;
}

/* What was logged since, NUL-terminated; the caller frees. */
static char *read_all(struct fixture *f)
{
    close(f->ends[1]);
    char *text = calloc(1, 1 << 20);
    size_t used = 0;
    for (ssize_t n; (n = read(f->ends[0], text + used, (1 << 20) - 1 - used)) > 0;)
        used += (size_t)n;
    f->ends[1] = dup(f->ends[0]); /* something to close */
    return text;
}

static void a_line_of_text(void **state)
{
    struct fixture *f = *state;
    log_event(&f->log, EVENT_client_login, LOG_U64("conn", 7), LOG_TEXT("user", "ana"),
              LOG_STR("app", slice_str("my \"app\"\n\x1b[31m")), LOG_I64("n", -1),
              LOG_BOOL("tls", true), LOG_TEXT("none", NULL), LOG_TEXT("eq", "a=b"), LOG_END);
    char *text = read_all(f);
    assert_string_equal(
        text + strlen("2026-11-21T00:00:00.000Z"),
        " info client.login conn=7 user=ana app=\"my \\\"app\\\"\\n\\u001b[31m\" n=-1"
        " tls=true none=\"\" eq=\"a=b\"\n");
    free(text);
}

static void a_line_of_json(void **state)
{
    struct fixture *f = *state;
    log_set_format(&f->log, LOG_AS_JSON);
    log_event(&f->log, EVENT_start_failed, LOG_STR("bytes", slice_of("\xff\0\n", 3)), LOG_END);
    char *text = read_all(f);
    struct json_error error;
    struct json_doc *doc = json_parse(slice_str(text), 1 << 16, &error);
    assert_non_null(doc);
    const struct json_value *root = json_root(doc);
    assert_true(slice_is(json_string(json_member(root, slice_str("event"))), "start.failed"));
    assert_true(slice_is(json_string(json_member(root, slice_str("level"))), "error"));
    assert_int_equal(json_string(json_member(root, slice_str("time"))).len, 24);
    json_free(doc);
    free(text);
}

static void long_values_are_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char value[301] = "a";
    for (int i = 1; i < 299; i += 2) memcpy(value + i, "\xc3\xa9", 2);
    log_event(&f->log, EVENT_drain, LOG_TEXT("v", value), LOG_END);
    char *text = read_all(f);
    char *cut = strchr(text, '"');
    assert_int_equal(strlen(cut), 1 + 255 + 3 + 2);
    assert_string_equal(cut + 1 + 253, "\xc3\xa9...\"\n");
    free(text);
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

static void a_level_that_is_off_costs_nothing(void **state)
{
    struct fixture *f = *state;
    int evaluated = 0;
    log_event(&f->log, EVENT_client_gone, LOG_I64("n", ++evaluated), LOG_END);
    assert_int_equal(evaluated, 0);
    log_set_level(&f->log, LOG_DEBUG);
    log_event(&f->log, EVENT_client_gone, LOG_I64("n", ++evaluated), LOG_END);
    log_set_level(&f->log, LOG_ERROR);
    log_event(&f->log, EVENT_server_failed, LOG_I64("n", ++evaluated), LOG_END);
    log_event((struct log *)NULL, EVENT_start_failed, LOG_I64("n", ++evaluated), LOG_END);
    assert_int_equal(evaluated, 1);
    char *text = read_all(f);
    assert_int_equal(count_lines(text), 1);
    free(text);
}

static void repeats_are_counted_instead(void **state)
{
    struct fixture *f = *state;
    enum { LIMIT = 5, LINES = 100 };
    log_set_rate(&f->log, LIMIT);
    for (int i = 0; i < LINES; i++) log_event(&f->log, EVENT_client_refused, LOG_END);
    log_event(&f->log, EVENT_drain, LOG_END);
    usleep(1100 * 1000); /* the limit is per second of the clock */
    log_event(&f->log, EVENT_client_refused, LOG_END);
    char *text = read_all(f);
    /* The loop may have met one change of the second. */
    int lines = count_lines(text);
    assert_true(lines >= LIMIT + 2 && lines <= 2 * LIMIT + 2);
    assert_non_null(strstr(text, "drain\n"));
    assert_non_null(strstr(text, "unlogged="));
    free(text);
}

enum { THREADS = 4, THREAD_LINES = 100 };

static void *write_lines(void *arg)
{
    struct log *log = arg;
    for (uint64_t i = 0; i < THREAD_LINES; i++)
        log_event(log, EVENT_server_opened, LOG_TEXT("text", "0123456789"), LOG_U64("n", i),
                  LOG_END);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    log_set_rate(&f->log, 0);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, write_lines, &f->log);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    char *text = read_all(f);
    assert_int_equal(count_lines(text), THREADS * THREAD_LINES);
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        assert_non_null(strstr(line, " info server.opened text=0123456789 n="));
        assert_null(strstr(strstr(line, "server.opened") + 1, "server.opened"));
    }
    free(text);
}

static void what_cannot_be_written_is_counted(void **state)
{
    struct fixture *f = *state;
    f->log.fd = -1;
    log_event(&f->log, EVENT_drain, LOG_END);
    assert_int_equal(atomic_load(&f->log.dropped), 1);
}

/* Names are what people search for: each once, lower case with dots, and said what it means. */
static void the_table_is_sound(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        const struct event_info *e = &event_infos[i];
        assert_int_equal(strspn(e->name, "abcdefghijklmnopqrstuvwxyz._"), strlen(e->name));
        assert_true(e->meaning[0] != '\0');
        /* Who is warned must be told what to do. */
        if (e->level >= LOG_WARNING && i != EVENT_admin_act && !e->todo[0]) fail_msg("%s", e->name);
        for (unsigned j = 0; j < i; j++) assert_string_not_equal(e->name, event_infos[j].name);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        TEST(a_line_of_text),
        TEST(a_line_of_json),
        TEST(long_values_are_cut_between_characters),
        TEST(a_level_that_is_off_costs_nothing),
        TEST(repeats_are_counted_instead),
        TEST(lines_of_threads_do_not_mix),
        TEST(what_cannot_be_written_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
