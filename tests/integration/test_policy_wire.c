/* What a restricted role sends, and every byte of it that a server sees: the protocol's 25 ways to
 * get a statement past a judge, and some more. The server is a recorder (support/recorder.h). */
#include "support/before.h"
#include "support/raw.h"
#include "support/recorder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK      "insert into public.events values (1)"
#define OK_2    "insert into public.events values (2)"
#define REFUSED "select secret from hr.salaries"

struct world {
    struct kit *kit;
    struct recorder *recorder;
    struct before before;
    struct proxy proxy;
};

static const char users[] =
    "\"loader\": { \"auth\": [\"trust\"], \"role\": \"loader\" },"
    "\"stager\": { \"auth\": [\"trust\"], \"role\": \"stager\", \"db_user\": \"loader\" },"
    "\"reader\": { \"auth\": [\"trust\"], \"role\": \"reader\", \"db_user\": \"loader\" },"
    "\"owner\": { \"auth\": [\"trust\"], \"role\": \"owner\", \"db_user\": \"loader\" }";

#define ROLES(loader, owner)                                                                       \
    "\"loader\": { " loader ", \"excess_privilege\": \"warn\" },"                                  \
    "\"stager\": { \"grants\": [ { \"verbs\": [\"INSERT\"], \"on\": [\"public.events\"] },"        \
    " { \"verbs\": [\"CREATE_TEMP\"], \"on\": [\"*\"] } ], \"excess_privilege\": \"warn\" },"      \
    "\"reader\": { \"grants\": [ { \"verbs\": [\"SELECT\"], \"on\": [\"public.*\"] } ],"           \
    " \"search_path\": \"public, mart\", \"excess_privilege\": \"warn\" },"                        \
    "\"owner\": { " owner " }"

#define INSERT_ONLY "\"insert_only\": [\"public.events\"]"
#define EVERYTHING  "\"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ]"

static const char roles[] = ROLES(INSERT_ONLY, EVERYTHING);
static const char roles_withdrawn[] =
    ROLES("\"insert_only\": [\"public.other\"]", "\"insert_only\": [\"public.events\"], "
                                                 "\"excess_privilege\": \"warn\"");

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("wire");
    const int port = kit_port(w->kit);
    w->recorder = recorder_start(port);
    w->before = (struct before){
        .server_port = port,
        .logins = "\"loader\": \"env:PG_PASSWORD\"",
        .users = users,
        .roles = roles,
        .pool = "{ \"mode\": \"transaction\", \"size\": 4, \"min_size\": 0 }",
    };
    *state = w;
    return before_start(w->kit, &w->proxy, &w->before) ? 0 : -1;
}

static int end(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* ---- words of the tests ---------------------------------------------------------------------- */

/* A client, logged in; nothing is on record. */
static struct raw *log_in(struct world *w, const char *user)
{
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, user));
    recorder_forget(w->recorder);
    return r;
}

static bool was_sent(struct world *w, const char *text)
{
    return recorder_has(w->recorder, text, strlen(text));
}

/* Parse, Bind, Describe, Execute; the Sync is the caller's. */
static void run(struct raw *r, const char *name, const char *sql)
{
    raw_parse(r, name, sql);
    raw_bind(r, name);
    raw_say(r, 'D', "P", 2);
    raw_execute(r);
}

/* The last answer, and that was all: nothing more comes, and nothing of the refused was sent. */
static void ends(struct world *w, struct raw *r, const char *wanted)
{
    if (wanted) raw_answers(r, wanted);
    r->wait_ms = 20;
    raw_answers(r, "silence");
    raw_close(r);
    assert_false(was_sent(w, "salaries"));
}

static void reload(struct world *w, const char *to)
{
    struct before now = w->before;
    int before = before_log_count(w->kit, &w->proxy, "config.reloaded");
    now.roles = to;
    before_reload(w->kit, &w->proxy, &now);
    assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", before + 1));
}

/* ---- simple queries -------------------------------------------------------------------------- */

static void an_allowed_statement_goes_byte_for_byte(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    static const char text[] = " /* c */ Insert  INTO public.EVENTS\tvalues ('\xc3\xa9', E) ;-- x";
    static const char good[] = " /* c */ Insert  INTO public.EVENTS\tvalues ('\xc3\xa9', 7) ;-- x";
    raw_asks(r, text, "E42501 ZI"); /* a column where there is no table */
    recorder_got_nothing(w->recorder);
    raw_asks(r, good, "C ZI");
    size_t len;
    char *bytes = recorder_bytes(w->recorder, &len);
    assert_int_equal(len, 5 + sizeof good);
    assert_memory_equal(bytes, "Q\0\0\0", 4);
    assert_int_equal((uint8_t)bytes[4], 4 + sizeof good);
    assert_memory_equal(bytes + 5, good, sizeof good);
    free(bytes);
    raw_close(r);
}

static void one_refused_statement_refuses_the_message(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_asks(r, OK "; " REFUSED, "E42501 ZI");
    raw_asks(r, REFUSED "; " OK, "E42501 ZI");
    raw_asks(r, OK "; /* */ begin; " OK_2 "; commit; drop table public.events", "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_asks(r, "", "I ZI");
    raw_close(r);
}

static void pipelined_answers_come_in_order(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_query(r, OK);
    raw_query(r, OK_2);
    raw_query(r, REFUSED);
    raw_query(r, OK);
    raw_answers(r, "C ZI");
    raw_answers(r, "C ZI");
    raw_answers(r, "E42501 ZI");
    raw_answers(r, "C ZI");
    assert_string_equal(recorder_types(w->recorder), "QQQ");
    /* While a COPY runs; and it is one refusal, however often it had to wait. */
    int before = before_log_count(w->kit, &w->proxy, "policy.denied");
    raw_query(r, "copy public.events from 's3://b/slow' iam_role default");
    raw_query(r, "delete from public.events");
    raw_answers(r, "C ZI");
    raw_answers(r, "E42501 ZI");
    assert_int_equal(before_log_count(w->kit, &w->proxy, "policy.denied"), before + 1);
    assert_false(was_sent(w, "delete"));
    ends(w, r, NULL);
}

static void sizes_have_a_limit(void **state)
{
    enum { CAP = 16 << 20 };
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    static const char head[] = "insert into public.events values ('";
    char *text = malloc(CAP + 2);
    memset(text, 'x', CAP + 1);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + CAP - 2, "')", 3);
    r->wait_ms = 60000;
    raw_asks(r, text, "C ZI");
    size_t len;
    free(recorder_bytes(w->recorder, &len));
    assert_int_equal(len, 5 + CAP + 1);
    recorder_forget(w->recorder);
    memcpy(text + CAP - 1, "')", 3);
    text[CAP - 2] = 'x';
    int before = before_log_count(w->kit, &w->proxy, "reason=size");
    raw_asks(r, text, "E54000 ZI");
    raw_parse(r, "", text);
    raw_sync(r);
    raw_answers(r, "E54000 ZI");
    recorder_got_nothing(w->recorder);
    assert_int_equal(before_log_count(w->kit, &w->proxy, "reason=size"), before + 2);
    raw_asks(r, OK, "C ZI");
    recorder_forget(w->recorder);

    memset(text, '(', 200000);
    memcpy(text, "select ", 7);
    text[200000] = '\0';
    raw_asks(r, text, "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_asks(r, OK, "C ZI");
    free(text);
    raw_close(r);
}

static void bytes_that_are_no_statement(void **state)
{
    struct world *w = *state;
    static const char *const texts[] = {
        "insert into public.events values ('\x95\\'); drop table public.events; --')", /* SJIS */
        "insert into public.events values ('\xff')",
        "insert into public.events\xc2\xa0values (1)",
        "insert into public.events values (1)\x0b",
        "insert into public.events values ('a\\')",
        "-- \rdrop table public.events",
    };
    struct raw *r = log_in(w, "loader");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) raw_asks(r, texts[i], "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_asks(r, "-- a comment\r" OK, "C ZI");
    raw_close(r);
}

/* ---- the extended protocol --------------------------------------------------------------------
 */

static void a_refused_parse_skips_to_the_sync(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    run(r, "", REFUSED);
    raw_sync(r);
    raw_answers(r, "E42501 ZI");
    recorder_got_nothing(w->recorder);

    raw_parse(r, "s1", OK);
    raw_sync(r);
    raw_answers(r, "1 ZI");
    recorder_forget(w->recorder);
    raw_parse(r, "s2", REFUSED);
    raw_sync(r);
    raw_answers(r, "E42501 ZI");
    raw_bind(r, "s2");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "E26000 ZI");
    raw_say(r, 'D', "Ss2", 4);
    raw_sync(r);
    raw_answers(r, "E26000 ZI");
    recorder_got_nothing(w->recorder);
    ends(w, r, NULL);
}

static void a_parse_that_the_server_skipped_never_was(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_parse(r, "s1", "insert into public.events values ('boom')");
    raw_parse(r, "s1", OK);
    raw_sync(r);
    raw_answers(r, "E42601 ZI");
    recorder_forget(w->recorder);
    raw_bind(r, "s1");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "E26000 ZI");
    recorder_got_nothing(w->recorder);
    raw_close(r);
}

static void a_name_that_is_used_again_has_its_new_verdict(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_parse(r, "s1", OK);
    raw_say(r, 'C', "Ss1", 4);
    raw_parse(r, "s1", OK_2);
    raw_bind(r, "s1");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "1 3 1 2 C ZI");
    recorder_forget(w->recorder);
    raw_say(r, 'C', "Ss1", 4);
    raw_parse(r, "s1", REFUSED);
    raw_bind(r, "s1");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "3 E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_bind(r, "s1");
    raw_sync(r);
    ends(w, r, "E26000 ZI");
}

static void a_portal_outlives_its_statement_but_not_a_refusal(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_parse(r, "", OK);
    raw_bind(r, "");
    raw_parse(r, "", REFUSED);
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "1 2 E42501 ZI");
    /* The batch is made to fail at the server, too: nothing of it is committed. */
    assert_null(strchr(recorder_types(w->recorder), 'E'));
    assert_true(was_sent(w, "refused by the proxy"));
    ends(w, r, NULL);
}

static void a_refusal_in_the_middle_of_pipelined_batches(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    run(r, "", OK);
    raw_sync(r);
    run(r, "", REFUSED);
    raw_sync(r);
    run(r, "", OK_2);
    raw_sync(r);
    raw_answers(r, "1 2 n C ZI");
    raw_answers(r, "E42501 ZI");
    raw_answers(r, "1 2 n C ZI");
    assert_true(was_sent(w, OK));
    assert_true(was_sent(w, OK_2));
    ends(w, r, NULL);
}

static void parameters_are_data(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    static const char bind[] = "\0\0\0\0\0\1\0\0\0\x2c'); drop table public.events; --\0\xff\xfe"
                               " select 1 from x\0\0";
    raw_parse(r, "", "insert into public.events values ($1)");
    raw_say(r, 'B', bind, sizeof bind - 1);
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "1 2 C ZI");
    assert_true(recorder_has(w->recorder, bind, sizeof bind - 1));
    raw_close(r);
}

static void function_calls_are_refused(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_say(r, 'F', "\0\0\x08\x1e\0\0\0\0\0\0", 10);
    raw_answers(r, "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_asks(r, OK, "C ZI");
    raw_close(r);
}

/* ---- names that SQL prepares, cursors ----------------------------------------------------------
 */

static void sql_prepares_and_executes_in_its_session(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader"), *other = raw_open(w->proxy.port, NULL);
    raw_asks(r, "prepare p (int) as insert into public.events values ($1)", "C ZI");
    raw_asks(r, "execute p (1)", "C ZI");
    raw_bind(r, "p");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "2 C ZI");
    /* A statement that was parsed by message, and judged, has another name on the server. */
    raw_parse(r, "q", OK);
    raw_sync(r);
    raw_answers(r, "1 ZI");
    raw_asks(r, "execute q", "C ZI");
    recorder_forget(w->recorder);
    raw_asks(r, "prepare x as " REFUSED, "E42501 ZI");
    raw_asks(r, "execute x", "E42501 ZI");
    raw_asks(r, "execute sluice_1", "E42501 ZI");
    /* What another session prepared, on whatever server. */
    assert_true(raw_login(other, "loader"));
    raw_asks(other, "execute p (1)", "E42501 ZI");
    raw_bind(other, "p");
    raw_sync(other);
    raw_answers(other, "E26000 ZI");
    recorder_got_nothing(w->recorder);
    /* One that failed is none; the name may mean something else there. */
    raw_asks(r, "prepare f as insert into public.events values ('boom')", "E42601 ZI");
    recorder_forget(w->recorder);
    raw_asks(r, "execute f", "E42501 ZI");
    raw_asks(r, "deallocate p; execute p (1)", "E42501 ZI");
    recorder_got_nothing(w->recorder);
    /* In one go, before anything is answered. */
    raw_query(r, "prepare g as " OK);
    raw_query(r, "execute g");
    raw_answers(r, "C ZI");
    raw_answers(r, "C ZI");
    raw_asks(r, "deallocate all", "C ZI");
    recorder_forget(w->recorder);
    raw_asks(r, "execute g", "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_close(other);
    ends(w, r, NULL);
}

static void cursors_are_read_when_declared(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "reader");
    raw_asks(r, "begin; declare c cursor for select * from public.t", "C C ZT");
    raw_asks(r, "fetch all from c", "C ZT");
    recorder_forget(w->recorder);
    raw_asks(r, "fetch 1 from d", "E42501 ZE");
    assert_false(was_sent(w, "fetch"));
    raw_asks(r, "commit", "C ZI");
    recorder_forget(w->recorder);
    raw_asks(r, "fetch all from c", "E42501 ZI");
    recorder_got_nothing(w->recorder);
    /* By message. */
    raw_asks(r, "begin", "C ZT");
    run(r, "", "declare e cursor for select * from public.t");
    raw_sync(r);
    raw_answers(r, "1 2 n C ZT");
    run(r, "", "fetch 10 from e");
    raw_sync(r);
    raw_answers(r, "1 2 n C ZT");
    raw_asks(r, "declare f cursor for " REFUSED, "E42501 ZE");
    raw_asks(r, "rollback", "C ZI");
    ends(w, r, NULL);
}

/* ---- transactions ------------------------------------------------------------------------------
 */

static void a_refusal_fails_the_transaction(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_asks(r, "begin", "C ZT");
    raw_asks(r, OK, "C ZT");
    raw_asks(r, REFUSED, "E42501 ZE");
    raw_asks(r, OK, "E25P02 ZE");
    raw_query(r, "commit");
    assert_int_equal(raw_next(r), 'C');
    assert_string_equal((const char *)r->body, "ROLLBACK");
    raw_answers(r, "ZI");
    /* By message, in one batch with what came before. */
    run(r, "", "begin");
    run(r, "", OK);
    run(r, "", REFUSED);
    run(r, "", "commit");
    raw_sync(r);
    raw_answer(r);
    assert_non_null(strstr(r->answer, "E42501"));
    assert_true(was_sent(w, "refused by the proxy"));
    raw_asks(r, "rollback", "C ZI");
    /* The whole in one pipeline of queries. */
    raw_query(r, "begin");
    raw_query(r, OK);
    raw_query(r, REFUSED);
    raw_query(r, "commit");
    raw_answers(r, "C ZT");
    raw_answers(r, "C ZT");
    raw_answers(r, "E42501 ZE");
    raw_answers(r, "C ZI");
    ends(w, r, NULL);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

/* CVE-2025-12819: a startup search_path was set where the proxy asks questions of its own. */
static void startup_parameters_do_not_reach_further(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    raw_startup(r, RAW_PROTOCOL_3_0,
                (const char *[]){
                    "user", "loader", "database", "others", "search_path", "hr_path", "options",
                    "-c search_path=hr_option -c enable_case_sensitive_identifier=on"
                    " -c statement_timeout=4711",
                    "client_encoding", "SJIS", "readonly", "true", "standard_conforming_strings",
                    "off", "unheard_of", "hr_unknown", "application_name", "etl_app", NULL });
    assert_non_null(strstr(raw_answer(r), "ZI"));
    raw_asks(r, OK, "C ZI");
    static const char *const gone[] = { "hr_path",  "hr_option",      "hr_unknown", "SJIS",
                                        "readonly", "case_sensitive", "conforming" };
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        if (was_sent(w, gone[i]) || recorder_startups_have(w->recorder, gone[i]))
            fail_msg("the server heard of %s", gone[i]);
    }
    assert_true(recorder_startups_have(w->recorder, "UTF8"));
    assert_true(was_sent(w, "etl_app"));
    assert_true(was_sent(w, "4711"));
    recorder_forget(w->recorder);
    static const char *const refused[] = {
        "set search_path to hr",
        "reset search_path",
        "reset all",
        "set client_encoding to 'SJIS'",
        "set names 'SJIS'",
        "set enable_case_sensitive_identifier to on",
        "select set_config('search_path', 'hr', false)",
        "set session authorization postgres",
        "use other",
        "discard all",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        raw_asks(r, refused[i], "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_close(r);
}

/* The notices between AuthenticationOk and ReadyForQuery, `|` between them. */
static const char *notices_of(struct raw *r)
{
    static char notices[2000];
    notices[0] = '\0';
    for (int type = 0; type != 'Z' && type != RAW_END && type != RAW_SILENT;) {
        type = raw_next(r);
        if (type == 'N') strcat(strcat(notices, raw_field(r, 'M')), "|");
        if (type == 'E' || type < 0) fail_msg("no login: %d %s", type, raw_field(r, 'M'));
    }
    return notices;
}

static void what_is_ignored_at_login_is_told(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *user, *key, *value, *ignored[4];
    } cases[] = {
        { "loader", "search_path", "hr", { "search_path" } },
        { "loader", "options", "-c search_path=hr", { "search_path" } },
        { "loader", "options", "-c row_security=off --x", { "options" } },
        { "loader", "options", "-c readonly=1 -c statement_timeout=1", { "readonly" } },
        { "loader", "client_encoding", "SJIS", { "client_encoding" } },
        { "loader", "client_encoding", "UTF8", { NULL } },
        { "loader", "application_name", "etl", { NULL } },
        { "loader", "driver_version", "libpq", { NULL } },
        { "loader", "options", "-c statement_timeout=1", { NULL } },
        { "owner", "search_path", "hr", { NULL } },
    };
    for (int round = 0; round < 2; round++) /* with a new server, then with one that is known */
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct raw *r = raw_open(w->proxy.port, NULL);
            raw_startup(r, RAW_PROTOCOL_3_0,
                        (const char *[]){ "user", cases[i].user, "database", "told", cases[i].key,
                                          cases[i].value, NULL });
            const char *notices = notices_of(r);
            for (size_t k = 0; cases[i].ignored[k]; k++) {
                char wanted[100];
                snprintf(wanted, sizeof wanted, "startup parameter \"%s\" is ignored",
                         cases[i].ignored[k]);
                if (!strstr(notices, wanted)) fail_msg("%s: %s", cases[i].value, notices);
            }
            if (!cases[i].ignored[0] && *notices) fail_msg("%s: %s", cases[i].value, notices);
            raw_close(r);
        }
    recorder_forget(w->recorder);
}

static void the_search_path_of_a_role_is_set(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    raw_startup(
        r, RAW_PROTOCOL_3_0,
        (const char *[]){ "user", "reader", "database", "paths", "search_path", "hr", NULL });
    assert_non_null(strstr(raw_answer(r), "ZI"));
    raw_asks(r, "select * from public.t", "C ZI");
    assert_true(was_sent(w, "search_path"));
    assert_true(was_sent(w, "mart"));
    assert_false(was_sent(w, "hr"));
    recorder_forget(w->recorder);
    raw_asks(r, "select * from t", "E42501 ZI"); /* it might be mart's */
    recorder_got_nothing(w->recorder);
    raw_close(r);
}

static void nobody_meets_a_temporary_table(void **state)
{
    struct world *w = *state;
    struct raw *a = log_in(w, "stager"), *b = raw_open(w->proxy.port, NULL);
    raw_asks(a, "create temp table events (secret int)", "C ZI");
    raw_asks(a, "insert into public.events values ('mine')", "C ZI");
    int first = recorder_connection(w->recorder, "secret int");
    assert_int_equal(recorder_connection(w->recorder, "'mine'"), first);
    raw_close(a);
    assert_true(raw_login(b, "stager"));
    for (int i = 0; i < 6; i++) raw_asks(b, "insert into public.events values ('others')", "C ZI");
    assert_int_not_equal(recorder_connection(w->recorder, "'others'"), first);
    raw_close(b);
}

static void a_server_that_changes_its_encoding_is_left(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader");
    raw_asks(r, "insert into public.events values ('sjis')", "E08P01 end");
    raw_close(r);
    r = log_in(w, "loader");
    raw_asks(r, OK, "C ZI");
    raw_close(r);
}

static void drivers_can_connect(void **state)
{
    struct world *w = *state;
    static const char *const probes[] = {
        "select current_schema()",
        "select pg_catalog.version()",
        "SELECT VERSION()",
        "show transaction isolation level",
        "show standard_conforming_strings",
        "SHOW DATABASES",
        "SHOW SCHEMAS FROM DATABASE dev",
        "SHOW TABLES FROM SCHEMA dev.public LIKE 'a%'",
        "SHOW COLUMNS FROM TABLE dev.public.events",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'",
        "SET client_encoding TO 'UTF8'",
        "SET DateStyle TO 'ISO'",
        "BEGIN; SELECT 1; COMMIT",
    };
    static const char *const refused[] = {
        "insert into public.events (id) values (1) returning \"id\"",
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','')",
        "select oid, typname from pg_type",
    };
    struct raw *r = log_in(w, "loader");
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        raw_query(r, probes[i]);
        if (strchr(raw_answer(r), 'E')) fail_msg("%s: %s", probes[i], r->answer);
    }
    raw_query(r, ";");
    raw_answers(r, "I ZI");
    recorder_forget(w->recorder);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        raw_asks(r, refused[i], "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_close(r);
}

/* ---- frames ------------------------------------------------------------------------------------
 */

static void frames_that_lie_end_the_session(void **state)
{
    static const struct {
        char type;
        uint32_t length;
        const char *body;
        size_t len;
    } frames[] = {
        { 'Q', 4 + 10, "select 1\0x", 10 }, /* bytes behind the NUL */
        { 'Q', 4 + 8, "select 1", 8 },      /* no NUL */
        { 'P', 4 + 8, "select 1", 8 },
        { 'P', 4 + 10, "\0select 1\0", 10 }, /* no types */
        { 'Q', 3, "", 0 },
        { 'Q', 0x7fffffff, OK, sizeof OK },
        { 'S', 5, "x", 1 },
        { '!', 4, "", 0 },
        { 'd', 4 + 4, "1\t2\n", 4 },
        { 'c', 4, "", 0 },
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct raw *r = log_in(w, "loader");
        raw_lie(r, frames[i].type, frames[i].length, frames[i].body, frames[i].len);
        raw_answer(r);
        if (strcmp(r->answer, "E08P01 end") != 0 && strcmp(r->answer, "E54000 end") != 0)
            fail_msg("frame %zu: %s", i, r->answer);
        recorder_got_nothing(w->recorder);
        raw_close(r);
    }
    /* Less than was said, and then nothing. */
    struct raw *r = log_in(w, "loader");
    raw_lie(r, 'Q', 1000, OK, sizeof OK);
    raw_half_close(r);
    raw_answer(r);
    recorder_got_nothing(w->recorder);
    raw_close(r);
}

/* ---- reloads -----------------------------------------------------------------------------------
 */

static void what_was_prepared_is_judged_by_the_rules_of_today(void **state)
{
    struct world *w = *state;
    struct raw *r = log_in(w, "loader"), *plain = log_in(w, "owner"), *by_sql = log_in(w, "loader");
    raw_parse(r, "s1", OK);
    raw_parse(r, "", OK_2);
    raw_sync(r);
    raw_answers(r, "1 1 ZI");
    raw_asks(by_sql, "prepare p as " OK, "C ZI");
    raw_asks(by_sql, "execute p", "C ZI");
    raw_asks(plain, REFUSED, "C ZI");
    reload(w, roles_withdrawn);
    recorder_forget(w->recorder);
    raw_bind(r, "s1");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "E42501 ZI");
    raw_bind(r, "");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "E42501 ZI");
    raw_say(r, 'D', "Ss1", 4);
    raw_sync(r);
    raw_answers(r, "E42501 ZI");
    raw_asks(r, OK, "E42501 ZI");
    raw_asks(by_sql, "execute p", "E42501 ZI");
    recorder_got_nothing(w->recorder);
    raw_asks(r, "insert into public.other values (1)", "C ZI");
    /* Who went unread has to come again. */
    recorder_forget(w->recorder);
    raw_asks(plain, REFUSED, "E57P01 end");
    recorder_got_nothing(w->recorder);
    reload(w, roles);
    raw_bind(r, "s1");
    raw_execute(r);
    raw_sync(r);
    raw_answers(r, "2 C ZI");
    raw_close(plain);
    raw_close(by_sql);
    raw_close(r);
}

/* Judged when it came, it stands in line: what comes behind it is judged by itself, and a reload
 * meanwhile makes its verdict void. */
static void what_waits_for_a_server_is_judged_by_the_rules_of_today(void **state)
{
    struct world *w = *state;
    struct raw *busy[4], *in_line = log_in(w, "loader"), *other = log_in(w, "loader");
    for (int i = 0; i < 4; i++) {
        busy[i] = log_in(w, "loader");
        raw_asks(busy[i], "begin", "C ZT");
    }
    recorder_forget(w->recorder);
    raw_query(in_line, OK);
    raw_query(in_line, REFUSED);
    raw_query(in_line, OK_2);
    in_line->wait_ms = 50;
    raw_answers(in_line, "silence");
    in_line->wait_ms = 5000;
    recorder_got_nothing(w->recorder);
    raw_asks(busy[0], "commit", "C ZI");
    raw_answers(in_line, "C ZI");
    raw_answers(in_line, "E42501 ZI");
    raw_answers(in_line, "C ZI");
    assert_false(was_sent(w, "salaries"));

    raw_asks(busy[0], "begin", "C ZT");
    recorder_forget(w->recorder);
    raw_query(other, OK);
    other->wait_ms = 50;
    raw_answers(other, "silence");
    other->wait_ms = 5000;
    reload(w, roles_withdrawn);
    raw_asks(busy[0], "commit", "C ZI");
    raw_answers(other, "E42501 ZI");
    assert_false(was_sent(w, "events"));
    reload(w, roles);
    raw_asks(other, OK, "C ZI");
    for (int i = 0; i < 4; i++) raw_close(busy[i]);
    raw_close(in_line);
    raw_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allowed_statement_goes_byte_for_byte),
        cmocka_unit_test(one_refused_statement_refuses_the_message),
        cmocka_unit_test(pipelined_answers_come_in_order),
        cmocka_unit_test(sizes_have_a_limit),
        cmocka_unit_test(bytes_that_are_no_statement),
        cmocka_unit_test(a_refused_parse_skips_to_the_sync),
        cmocka_unit_test(a_parse_that_the_server_skipped_never_was),
        cmocka_unit_test(a_name_that_is_used_again_has_its_new_verdict),
        cmocka_unit_test(a_portal_outlives_its_statement_but_not_a_refusal),
        cmocka_unit_test(a_refusal_in_the_middle_of_pipelined_batches),
        cmocka_unit_test(parameters_are_data),
        cmocka_unit_test(function_calls_are_refused),
        cmocka_unit_test(sql_prepares_and_executes_in_its_session),
        cmocka_unit_test(cursors_are_read_when_declared),
        cmocka_unit_test(a_refusal_fails_the_transaction),
        cmocka_unit_test(startup_parameters_do_not_reach_further),
        cmocka_unit_test(what_is_ignored_at_login_is_told),
        cmocka_unit_test(the_search_path_of_a_role_is_set),
        cmocka_unit_test(nobody_meets_a_temporary_table),
        cmocka_unit_test(a_server_that_changes_its_encoding_is_left),
        cmocka_unit_test(drivers_can_connect),
        cmocka_unit_test(frames_that_lie_end_the_session),
        cmocka_unit_test(what_was_prepared_is_judged_by_the_rules_of_today),
        cmocka_unit_test(what_waits_for_a_server_is_judged_by_the_rules_of_today),
    };
    return cmocka_run_group_tests(tests, start, end);
}
