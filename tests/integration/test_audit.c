/* The audit record and the second line, before a real PostgreSQL: what is recorded and what never
 * is, what happens when it cannot be, rotation; and database users that could do more than their
 * role. */
#include "support/before.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct world {
    struct kit *kit;
    struct postgres pg;
};

static int start(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kit = kit_new("audit");
    *state = w;
    /* Sluice does not run as root; here it may write. */
    const char *dir = kit_path(w->kit, "audit");
    if (mkdir(dir, 0777) || chmod(dir, 0777)) return -1;
    return postgres_start(w->kit, &w->pg, NULL) &&
                   postgres_run(&w->pg, "create table public.events (id bigint, kind text);"
                                        "create table public.users (id bigint);"
                                        "create user loader; create user reader; create user owner;"
                                        "grant insert on public.events to loader, reader;"
                                        "grant select on public.events to reader;"
                                        "create table public.owned (id bigint);"
                                        "alter table public.owned owner to owner")
               ? 0
               : -1;
}

static int end(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

static const char logins[] = "\"postgres\": \"env:PG_PASSWORD\", \"loader\": \"env:PG_PASSWORD\","
                             "\"reader\": \"env:PG_PASSWORD\", \"owner\": \"env:PG_PASSWORD\"";

static const char users[] =
    "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\", \"console\": \"operator\" },"
    "\"loader\": { \"auth\": [\"trust\"], \"role\": \"loader\" },"
    "\"reader\": { \"auth\": [\"trust\"], \"role\": \"loader\" },"
    "\"owner\": { \"auth\": [\"trust\"], \"role\": \"keeper\" },"
    "\"super\": { \"auth\": [\"trust\"], \"role\": \"loader\", \"db_user\": \"postgres\" },"
    "\"lenient\": { \"auth\": [\"trust\"], \"role\": \"lenient\", \"db_user\": \"postgres\" }";

static const char roles[] =
    "\"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },"
    "\"loader\": { \"insert_only\": [\"public.events\", \"public.absent\", \"staging.*\"] },"
    "\"keeper\": { \"insert_only\": [\"public.owned\"] },"
    "\"lenient\": { \"insert_only\": [\"public.events\"], \"excess_privilege\": \"warn\" }";

static void run_proxy(struct world *w, struct proxy *p, const char *audit)
{
    struct before b = {
        .server_port = w->pg.port, .logins = logins, .users = users, .roles = roles, .more = audit
    };
    *p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, p, &b));
}

/* The audit record so far, or NULL; the caller frees. */
static char *record_of(struct world *w, const char *name)
{
    return kit_read(kit_path(w->kit, "%s", name));
}

static int verify(struct world *w, const char *first, const char *second)
{
    const char *argv[] = { kit_built(w->kit, "sluice"),
                           "audit",
                           "verify",
                           kit_path(w->kit, "%s", first),
                           second ? kit_path(w->kit, "%s", second) : NULL,
                           NULL };
    return kit_run(w->kit, "verify.log", argv);
}

static void assert_lacks(const char *text, const char *what)
{
    if (text && strstr(text, what)) fail_msg("\"%s\" is in: %s", what, text);
}

static void refusals_and_statements_are_recorded(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:audit/audit.jsonl\", \"record\": \"all\" },");
    PGconn *c = connect_to(p.port, "loader", NULL);
    assert_string_equal(before_says(c, "insert into public.events values (4711, 'hush')"),
                        "INSERT 0 1");
    PGresult *r = PQexec(c, "select id from public.users where id = 4711");
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42501");
    char *decision = strdup(PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL)), *id;
    PQclear(r);
    id = strstr(decision, "decision ");
    assert_non_null(id);
    char *text = record_of(w, "audit/audit.jsonl");
    assert_non_null(text);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "\"id\":\"%s\",\"decision\":\"deny\",\"reason\":\"read\"",
             id + strlen("decision "));
    assert_non_null(strstr(text, wanted));
    assert_true(proxy_log_has(w->kit, &p, id + strlen("decision "), 2000));
    assert_non_null(strstr(text, "\"objects\":[{\"name\":\"public.users\",\"verb\":\"SELECT\"}]"));
    assert_non_null(
        strstr(text, "\"user\":\"loader\",\"role\":\"loader\",\"client\":\"127.0.0.1:"));
    assert_non_null(
        strstr(text, "\"decision\":\"allow\",\"reason\":\"allowed\",\"kind\":\"INSERT\""));
    /* Once, although it waited for its server. */
    const char *first = strstr(text, "\"decision\":\"allow\"");
    assert_null(strstr(first + 1, "\"decision\":\"allow\""));
    assert_lacks(text, "4711");
    assert_lacks(text, "hush");
    free(text);
    free(decision);
    PQfinish(c);
    assert_int_equal(verify(w, "audit/audit.jsonl", NULL), 0);
    assert_true(proxy_stop(w->kit, &p));
}

static void what_administrators_do_is_recorded(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:audit/acts.jsonl\" },");
    PGconn *c = connect_to(p.port, "postgres", "dbname=sluice");
    assert_string_equal(before_says(c, "reconnect"), "RECONNECT");
    PQfinish(c);
    char *text = record_of(w, "audit/acts.jsonl");
    assert_non_null(strstr(text, "\"decision\":\"allow\",\"act\":\"RECONNECT\""));
    free(text);
    assert_true(proxy_stop(w->kit, &p));
}

static void a_moved_file_is_continued(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:audit/moved.jsonl\" },");
    PGconn *c = connect_to(p.port, "loader", NULL);
    assert_string_equal(before_says(c, "delete from public.events"), "42501");
    rename(kit_path(w->kit, "audit/moved.jsonl"), kit_path(w->kit, "audit/moved.1"));
    kill(p.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &p, "audit.opened", 2));
    assert_string_equal(before_says(c, "truncate public.events"), "42501");
    PQfinish(c);
    char *text = record_of(w, "audit/moved.jsonl");
    assert_non_null(strstr(text, "\"event\":\"opened\",\"chain\":\"continued\""));
    assert_non_null(strstr(text, "TRUNCATE"));
    assert_int_equal(verify(w, "audit/moved.1", "audit/moved.jsonl"), 0);
    assert_int_not_equal(verify(w, "audit/moved.jsonl", "audit/moved.1"), 0);
    /* One word changed in the first of three lines: the second says so. */
    char *chain = strstr(text, "continued");
    memcpy(chain, "CONTINUED", 9);
    kit_file(w->kit, "changed.jsonl", text);
    assert_int_not_equal(verify(w, "changed.jsonl", NULL), 0);
    char *said = record_of(w, "verify.log");
    assert_non_null(strstr(said, "changed.jsonl:2: broken here"));
    free(said);
    free(text);
    assert_true(proxy_stop(w->kit, &p));
}

static void what_cannot_be_recorded_is_refused(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:/dev/full\", \"record\": \"all\" },");
    PGconn *c = connect_to(p.port, "loader", NULL);
    PGresult *r = PQexec(c, "insert into public.events values (815, 'unrecorded')");
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42501");
    assert_non_null(strstr(PQresultErrorMessage(r), "audit record cannot be written"));
    PQclear(r);
    PQfinish(c);
    char *count = postgres_ask(&w->pg, "select count(*) from public.events where id = 815");
    assert_string_equal(count, "0");
    free(count);
    /* Who is not recorded goes on. */
    c = connect_to(p.port, "postgres", NULL);
    assert_string_equal(before_says(c, "select 1"), "1");
    PQfinish(c);
    assert_true(proxy_log_has(w->kit, &p, "audit.failed", 2000));
    assert_true(proxy_stop(w->kit, &p));

    /* Nor where it may not write. */
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:/proc/audit\", \"record\": \"all\" },");
    c = connect_to(p.port, "loader", NULL);
    assert_string_equal(before_says(c, "insert into public.events values (815, 'no')"), "42501");
    PQfinish(c);
    assert_true(proxy_stop(w->kit, &p));

    run_proxy(w, &p,
              "\"audit\": { \"to\": \"file:/dev/full\", \"record\": \"all\","
              " \"on_failure\": \"continue\" },");
    c = connect_to(p.port, "loader", NULL);
    assert_string_equal(before_says(c, "insert into public.events values (816, 'on')"),
                        "INSERT 0 1");
    PQfinish(c);
    assert_true(proxy_stop(w->kit, &p));
}

static void assert_refused(const struct proxy *p, const char *user)
{
    PGconn *c = connect_to(p->port, user, NULL);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_non_null(strstr(PQerrorMessage(c), "may do more than the role"));
    PQfinish(c);
}

static void a_user_that_may_more_is_refused(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, NULL);
    assert_refused(&p, "super");
    assert_refused(&p, "reader");
    assert_refused(&p, "owner");
    assert_true(proxy_log_has(w->kit, &p, "may=superuser", 2000));
    assert_true(proxy_log_has(w->kit, &p, "object=public.events may=SELECT", 2000));
    assert_true(
        proxy_log_has(w->kit, &p, "object=public.owned may=\"owner SELECT UPDATE DELETE\"", 2000));
    /* Who has what the role has, and no more. */
    PGconn *c = connect_to(p.port, "loader", NULL);
    assert_string_equal(before_says(c, "insert into public.events values (1, 'x')"), "INSERT 0 1");
    PQfinish(c);
    assert_int_equal(before_log_count(w->kit, &p, "db_user=loader"), 0);
    assert_true(proxy_stop(w->kit, &p));
}

static void or_the_log_warns(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, NULL);
    PGconn *c = connect_to(p.port, "lenient", NULL);
    assert_string_equal(before_says(c, "insert into public.events values (2, 'x')"), "INSERT 0 1");
    assert_string_equal(before_says(c, "delete from public.events"), "42501");
    PQfinish(c);
    assert_true(proxy_log_has(w->kit, &p, "may=superuser", 2000));
    assert_true(proxy_stop(w->kit, &p));
}

#define KEY    "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

/* What AWS's own examples of loaders send, in one message. */
static void no_secret_of_a_loader_is_anywhere(void **state)
{
    static const char *const messages[] = {
        "set statement_timeout to 600000; begin; copy public.events from 's3://b/k' credentials "
        "'aws_access_key_id=" KEY ";aws_secret_access_key=" SECRET "' csv; commit;",
        "set statement_timeout to 600000; begin; truncate public.events; copy public.events from "
        "'s3://b/k' credentials 'aws_access_key_id=" KEY ";aws_secret_access_key=" SECRET
        "' csv; commit;",
        "copy public.users from 's3://b/k' access_key_id '" KEY "' secret_access_key '" SECRET "'",
        "copy public.events from 's3://b/k' credentials 'aws_access_key_id=" KEY ";x=" SECRET,
    };
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p,
              "\"log\": { \"level\": \"debug\" },"
              "\"audit\": { \"to\": \"file:audit/secrets.jsonl\", \"record\": \"all\" },");
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        PGconn *c = connect_to(p.port, "loader", NULL);
        PQsetErrorVerbosity(c, PQERRORS_VERBOSE);
        PGresult *r = PQexec(c, messages[i]);
        /* The first one passes, and means nothing to PostgreSQL. */
        assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), i == 0 ? "42601" : "42501");
        for (const char *f = "SVCMDHPpqWR"; *f; f++) {
            const char *text = PQresultErrorField(r, *f);
            assert_lacks(text, KEY);
            assert_lacks(text, SECRET);
        }
        PQclear(r);
        PQfinish(c);
    }
    char *audit = record_of(w, "audit/secrets.jsonl"), *log = record_of(w, p.log_name);
    assert_non_null(strstr(audit, "\"decision\":\"allow\""));
    assert_non_null(strstr(audit, "\"decision\":\"deny\""));
    const char *const parts[] = { KEY, SECRET, "AKIA", "wJalr", "EXAMPLEKEY" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_lacks(audit, parts[i]);
        assert_lacks(log, parts[i]);
    }
    free(audit);
    free(log);
    assert_true(proxy_stop(w->kit, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_and_statements_are_recorded),
        cmocka_unit_test(what_administrators_do_is_recorded),
        cmocka_unit_test(a_moved_file_is_continued),
        cmocka_unit_test(what_cannot_be_recorded_is_refused),
        cmocka_unit_test(a_user_that_may_more_is_refused),
        cmocka_unit_test(or_the_log_warns),
        cmocka_unit_test(no_secret_of_a_loader_is_anywhere),
    };
    return cmocka_run_group_tests(tests, start, end);
}
