/* audit: the lines, their chain, what a failure does; and the check, which must see every change.
 */
#include "unit/unit.h"

#include "protocol/json.h"
#include "proxy/ops/audit.h"
#include "proxy/ops/audit_chain.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[32], path[64], to[80];
    struct audit *audit;
    struct config_audit settings;
};

static int open_audit(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    strcpy(f->dir, "/tmp/audit.XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->path, sizeof f->path, "%s/a.jsonl", f->dir);
    snprintf(f->to, sizeof f->to, "file:%s", f->path);
    f->settings = (struct config_audit){ .line = 1, .to = f->to };
    f->audit = audit_new(NULL);
    *state = f;
    return f->audit ? 0 : -1;
}

static int close_audit(void **state)
{
    struct fixture *f = *state;
    char moved[80];
    snprintf(moved, sizeof moved, "%s.1", f->path);
    audit_free(f->audit);
    unlink(f->path);
    unlink(moved);
    rmdir(f->dir);
    free(f);
    return 0;
}

static char *read_all(const char *path)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(path, "re");
    if (!file || !text) {
        free(text);
        return NULL;
    }
    text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* The number of the line that breaks the chain; 0: none does. */
static unsigned broken_at(const char *text)
{
    struct audit_walk walk = { 0 };
    unsigned number = 0;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        number++;
        if (!audit_walk_line(&walk, slice_of(text, (size_t)(end - text)))) return number;
    }
    return 0;
}

static bool record(struct fixture *f, const char *text, uint32_t refused, const char *object)
{
    const struct sql_trail_session session = { .context = NULL };
    struct sql_trail trail = { .count = 0 };
    sql_trail_read(&trail, slice_str(text), &session, refused);
    struct audit_message m = {
        .who = { .conn = 7, .user = slice_str("ana"), .role = "r", .from = "[::1]:5" },
        .decision = refused ? AUDIT_DENY : AUDIT_ALLOW,
        .id = "7-1",
        .reason = refused ? "table" : "allowed",
        .others = "message",
        .refused = refused,
        .verb = "INSERT",
        .object = object,
        .trail = &trail,
    };
    const bool ok = audit_message(f->audit, &m);
    sql_trail_fini(&trail);
    return ok;
}

static bool refuse(struct fixture *f, const char *object)
{
    return record(f, "insert into public.t values (1)", 1, object);
}

static void a_line_says_who_and_what(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    const char *nasty = "pub\"lic.\\x\n\x1b\xff";
    assert_true(audit_open(f->audit, &f->settings));
    assert_true(refuse(f, nasty));
    struct audit_who who = { .conn = 8, .user = slice_str("ops") };
    assert_true(audit_act(f->audit, &who, AUDIT_ALLOW, "PAUSE", slice_str("warehouse")));
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char *text = read_all(f->path);
    assert_non_null(strstr(text,
                           "\"sequence\":2,\"event\":\"statement\",\"user\":\"ana\",\"role\":\"r\","
                           "\"client\":\"[::1]:5\",\"conn\":7,\"id\":\"7-1\","
                           "\"decision\":\"deny\",\"reason\":\"table\",\"kind\":\"INSERT\","
                           "\"statement\":1,\"statements\":1,"
                           "\"objects\":[{\"name\":\"public.t\",\"verb\":\"INSERT\"}],"
                           "\"refused\":{\"name\":\"pub\\\"lic.\\\\x\\n\\u001b\\ufffd\","
                           "\"verb\":\"INSERT\"},\"fingerprint\":\""));
    assert_non_null(strstr(
        text,
        "\"event\":\"act\",\"user\":\"ops\",\"conn\":8,\"decision\":\"allow\",\"act\":\"PAUSE\","
        "\"object\":\"warehouse\""));
    assert_int_equal(broken_at(text), 0);
    struct json_error error;
    struct json_doc *doc = json_parse(slice_of(text, strcspn(text, "\n")), 1 << 16, &error);
    assert_non_null(doc);
    json_free(doc);
    free(text);
}

/* All statements of a message, each on a line of the chain. */
static void a_message_is_recorded_whole(void **state)
{
    struct fixture *f = *state;
    audit_open(f->audit, &f->settings);
    assert_true(record(f, "begin; insert into s.a select 'hush' from s.b; commit", 0, ""));
    assert_true(record(f, "begin; ; drop table s.a; insert into s.c values ('hush')", 2, "s.a"));
    char *text = read_all(f->path);
    static const char *const wanted[] = {
        "\"allow\",\"reason\":\"allowed\",\"kind\":\"BEGIN\",\"statement\":1,\"statements\":3,"
        "\"objects\":[],",
        "\"allow\",\"reason\":\"allowed\",\"kind\":\"INSERT\",\"statement\":2,\"statements\":3,"
        "\"objects\":[{\"name\":\"s.a\",\"verb\":\"INSERT\"},"
        "{\"name\":\"s.b\",\"verb\":\"SELECT\"}],\"fingerprint\"",
        "\"kind\":\"COMMIT\",\"statement\":3,\"statements\":3,\"objects\":[]",
        "\"deny\",\"reason\":\"message\",\"kind\":\"BEGIN\",\"statement\":1,\"statements\":3,",
        "\"deny\",\"reason\":\"table\",\"kind\":\"DROP\",\"statement\":2,\"statements\":3,"
        "\"objects\":[{\"name\":\"s.a\",\"verb\":\"DDL\"}],"
        "\"refused\":{\"name\":\"s.a\"",
        "\"deny\",\"reason\":\"message\",\"kind\":\"INSERT\",\"statement\":3,\"statements\":3,"
        "\"objects\":[{\"name\":\"s.c\",\"verb\":\"INSERT\"}],\"fingerprint\"",
    };
    const char *at = text;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *found = strstr(at, wanted[i]);
        if (!found) fail_msg("%s is not in %s", wanted[i], at);
        at = found;
    }
    assert_null(strstr(text, "hush"));
    assert_int_equal(broken_at(text), 0);
    free(text);
}

static void every_change_shows(void **state)
{
    struct fixture *f = *state;
    audit_open(f->audit, &f->settings);
    for (int i = 0; i < 5; i++) refuse(f, "public.t");
    char *text = read_all(f->path), *third = text;
    for (int i = 0; i < 2; i++) third = strchr(third, '\n') + 1;
    char *fourth = strchr(third, '\n') + 1;
    size_t len = strlen(text);
    assert_int_equal(broken_at(text), 0);
    for (char *at = third; at < fourth - 1; at++) {
        char was = *at;
        *at = was == '1' ? '2' : '1';
        unsigned broken = broken_at(text);
        *at = was;
        /* The line itself, where it can be told from it alone; otherwise the next one. */
        if (broken != 3 && broken != 4) print_error("a change at %td is not seen\n", at - third);
        assert_true(broken == 3 || broken == 4);
    }
    memmove(third, fourth, len - (size_t)(fourth - text) + 1);
    assert_int_equal(broken_at(text), 3);
    free(text);
}

static void the_chain_goes_on(void **state)
{
    struct fixture *f = *state;
    char moved[80], whole[4096];
    snprintf(moved, sizeof moved, "%s.1", f->path);
    audit_open(f->audit, &f->settings);
    refuse(f, "public.t");
    /* The same file again: nothing to say. Moved away: a new one, which continues the old one. */
    audit_open(f->audit, &f->settings);
    assert_int_equal(rename(f->path, moved), 0);
    refuse(f, "public.t");
    audit_open(f->audit, &f->settings);
    refuse(f, "public.t");
    /* Another process, as it were. */
    audit_free(f->audit);
    f->audit = audit_new(NULL);
    audit_open(f->audit, &f->settings);
    refuse(f, "public.t");
    char *old = read_all(moved), *new = read_all(f->path);
    assert_non_null(strstr(old, "\"event\":\"opened\",\"chain\":\"new\""));
    assert_non_null(strstr(new, "\"sequence\":4,\"event\":\"opened\",\"chain\":\"continued\""));
    snprintf(whole, sizeof whole, "%s%s", old, new);
    assert_int_equal(broken_at(whole), 0);
    assert_non_null(strstr(whole, "\"sequence\":7,"));
    free(old);
    free(new);
}

static void a_line_cut_short_shows(void **state)
{
    struct fixture *f = *state;
    audit_open(f->audit, &f->settings);
    refuse(f, "public.t");
    audit_free(f->audit);
    f->audit = audit_new(NULL);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(truncate(f->path, st.st_size - 9), 0);
    audit_open(f->audit, &f->settings);
    char *text = read_all(f->path);
    assert_int_equal(broken_at(text), 2);
    free(text);
}

static void what_is_lost_is_counted(void **state)
{
    struct fixture *f = *state;
    if (access("/dev/full", W_OK) != 0) skip();
    char to[] = "file:/dev/full";
    struct config_audit full = f->settings;
    full.to = to;
    audit_open(f->audit, &f->settings);
    assert_false(audit_is_failing(f->audit));
    assert_false(audit_open(f->audit, &full)); /* its first line is lost */
    assert_true(audit_is_failing(f->audit));
    assert_false(refuse(f, "public.t"));
    full.on_failure = CONFIG_ON_FAILURE_CONTINUE;
    audit_open(f->audit, &full);
    assert_true(refuse(f, "public.t"));
    assert_true(audit_open(f->audit, &f->settings));
    assert_false(audit_is_failing(f->audit));
    char *text = read_all(f->path);
    assert_non_null(strstr(text, "\"sequence\":8,\"lost\":6,"));
    assert_int_equal(broken_at(text), 0);
    free(text);
}

static void without_settings_nothing_is_written(void **state)
{
    struct fixture *f = *state;
    struct config_audit none = { 0 };
    assert_true(audit_open(f->audit, &none));
    assert_true(refuse(f, "public.t"));
    assert_false(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_AUDIT));
    assert_false(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_ALL));
    assert_int_not_equal(access(f->path, F_OK), 0);
}

static void a_role_may_ask_for_more_or_less(void **state)
{
    struct fixture *f = *state;
    audit_open(f->audit, &f->settings); /* record: refused */
    assert_false(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_AUDIT));
    assert_true(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_ALL));
    f->settings.record = CONFIG_RECORD_ALL;
    audit_open(f->audit, &f->settings);
    assert_true(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_AUDIT));
    assert_false(audit_wants_all(f->audit, CONFIG_ROLE_RECORD_REFUSED));
}

static void *refuse_many(void *state)
{
    for (int i = 0; i < 200; i++) refuse(state, "public.t");
    return NULL;
}

static void threads_share_one_chain(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    audit_open(f->audit, &f->settings);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, refuse_many, f);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    char *text = read_all(f->path);
    assert_non_null(strstr(text, "\"sequence\":801,"));
    assert_int_equal(broken_at(text), 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_says_who_and_what, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(a_message_is_recorded_whole, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(every_change_shows, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(the_chain_goes_on, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(a_line_cut_short_shows, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(what_is_lost_is_counted, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(without_settings_nothing_is_written, open_audit,
                                        close_audit),
        cmocka_unit_test_setup_teardown(a_role_may_ask_for_more_or_less, open_audit, close_audit),
        cmocka_unit_test_setup_teardown(threads_share_one_chain, open_audit, close_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
