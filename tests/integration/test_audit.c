/* The audit record and the second line, before a real PostgreSQL: what is recorded and what never
 * is, what happens when it cannot be, rotation; and database users that could do more than their
 * role. */
#include "support/before.h"
#include "support/raw.h"
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
                                        "create schema staging;"
                                        "create table staging.raw (id bigint);"
                                        "create user loader; create user reader; create user owner;"
                                        "grant insert on public.events to loader, reader;"
                                        "grant usage on schema staging to loader;"
                                        "grant insert on staging.raw to loader;"
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
                             "\"reader\": \"env:PG_PASSWORD\", \"owner\": \"env:PG_PASSWORD\","
                             "\"granted\": \"env:PG_PASSWORD\"";

static const char users[] =
    "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\", \"console\": \"operator\" },"
    "\"loader\": { \"auth\": [\"trust\"], \"role\": \"loader\" },"
    "\"reader\": { \"auth\": [\"trust\"], \"role\": \"loader\" },"
    "\"owner\": { \"auth\": [\"trust\"], \"role\": \"keeper\" },"
    "\"granted\": { \"auth\": [\"trust\"], \"role\": \"granted\" },"
    "\"super\": { \"auth\": [\"trust\"], \"role\": \"loader\", \"db_user\": \"postgres\" },"
    "\"lenient\": { \"auth\": [\"trust\"], \"role\": \"lenient\", \"db_user\": \"postgres\" }";

static const char roles[] =
    "\"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },"
    "\"loader\": { \"insert_only\": [\"public.events\", \"public.absent\", \"staging.*\"] },"
    "\"granted\": { \"insert_only\": [\"public.events\", \"staging.*\"],"
    " \"search_path\": \"public\" },"
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

/* The lines of the record from `from` on that have `id`, in their order, have these parts, and
 * there are no more of them. */
static void assert_lines(const char *text, const char *id, const char *const parts[], size_t n)
{
    size_t lines = 0;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        char *line = strndup(text, (size_t)(end - text));
        if (strstr(line, id)) {
            if (lines == n) fail_msg("one line more: %s", line);
            if (!strstr(line, parts[lines])) fail_msg("%s is not in %s", parts[lines], line);
            lines++;
        }
        free(line);
    }
    assert_int_equal(lines, n);
}

/* One line for each, of one decision, whatever becomes of the message. */
static void every_statement_of_a_message_is_recorded(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, "\"audit\": { \"to\": \"file:audit/message.jsonl\", \"record\": \"all\" },");
    PGconn *c = connect_to(p.port, "loader", NULL);
    /* The classic loader's; COPY from there means nothing to PostgreSQL, which is asked it all the
     * same. */
    assert_string_equal(
        before_says(c, "set statement_timeout to 600000; begin; copy public.events from 's3://b/k' "
                       "credentials 'aws_iam_role=arn:aws:iam::1:role/hush' csv; commit;"),
        "42601");
    assert_string_equal(before_says(c, "set statement_timeout to 600000; begin; "
                                       "truncate public.events; copy public.events from "
                                       "'s3://hush' iam_role default; commit;"),
                        "42501");
    assert_string_equal(before_says(c, "begin; insert into staging.raw values (4711004711); "
                                       "insert into staging.raw values (4711004711); commit"),
                        "COMMIT");
    assert_string_equal(before_says(c, "prepare p (bigint) as insert into staging.raw values ($1)"),
                        "PREPARE");
    assert_string_equal(before_says(c, "execute p(4711004711)"), "INSERT 0 1");
    PQfinish(c);
    char *text = record_of(w, "audit/message.jsonl");
    static const char *const passed[] = {
        "\"kind\":\"SET\",\"statement\":1,\"statements\":4,\"objects\":[],",
        "\"kind\":\"BEGIN\",\"statement\":2,\"statements\":4,\"objects\":[],",
        "\"decision\":\"allow\",\"reason\":\"allowed\",\"kind\":\"COPY\",\"statement\":3,"
        "\"statements\":4,\"objects\":[{\"name\":\"public.events\",\"verb\":\"COPY\"}],",
        "\"kind\":\"COMMIT\",\"statement\":4,\"statements\":4,\"objects\":[],",
    };
    static const char *const refused[] = {
        "\"decision\":\"deny\",\"reason\":\"message\",\"kind\":\"SET\"",
        "\"decision\":\"deny\",\"reason\":\"message\",\"kind\":\"BEGIN\"",
        "\"decision\":\"deny\",\"reason\":\"verb\",\"kind\":\"TRUNCATE\",\"statement\":3,"
        "\"statements\":5,\"objects\":[{\"name\":\"public.events\",\"verb\":\"TRUNCATE\"}],"
        "\"refused\":{\"name\":\"public.events\",\"verb\":\"TRUNCATE\"}",
        "\"decision\":\"deny\",\"reason\":\"message\",\"kind\":\"COPY\",\"statement\":4,"
        "\"statements\":5,\"objects\":[{\"name\":\"public.events\",\"verb\":\"COPY\"}]",
        "\"decision\":\"deny\",\"reason\":\"message\",\"kind\":\"COMMIT\"",
    };
    static const char *const alike[] = {
        "\"kind\":\"BEGIN\"",
        "\"kind\":\"INSERT\",\"statement\":2,\"statements\":4,\"times\":2,"
        "\"objects\":[{\"name\":\"staging.raw\",\"verb\":\"INSERT\"}]",
        "\"kind\":\"COMMIT\",\"statement\":4",
    };
    static const char *const prepared[] = {
        "\"kind\":\"PREPARE\",\"statement\":1,\"statements\":1,"
        "\"objects\":[{\"name\":\"staging.raw\",\"verb\":\"INSERT\"}]"
    };
    static const char *const executed[] = {
        "\"kind\":\"EXECUTE\",\"statement\":1,\"statements\":1,"
        "\"objects\":[{\"name\":\"staging.raw\",\"verb\":\"INSERT\"}]"
    };
    assert_lines(text, "-1\",\"decision\"", passed, sizeof passed / sizeof *passed);
    assert_lines(text, "-2\",\"decision\"", refused, sizeof refused / sizeof *refused);
    assert_lines(text, "-3\",\"decision\"", alike, sizeof alike / sizeof *alike);
    assert_lines(text, "-4\",\"decision\"", prepared, 1);
    assert_lines(text, "-5\",\"decision\"", executed, 1);
    assert_lacks(text, "hush");
    assert_lacks(text, "4711004711");
    free(text);
    assert_int_equal(verify(w, "audit/message.jsonl", NULL), 0);
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

/* `sluice policy grants`, given to a real server, makes a user who may do what the role may, and
 * whom the pool finds no stronger than the role. */
static void the_grants_it_prints_are_the_role(void **state)
{
    struct world *w = *state;
    struct proxy p;
    run_proxy(w, &p, NULL);
    const char *argv[] = { kit_built(w->kit, "sluice"),
                           "policy",
                           "grants",
                           "--config",
                           p.config,
                           "--role",
                           "granted",
                           "--db-user",
                           "granted",
                           NULL };
    assert_int_equal(kit_run(w->kit, "grants.log", argv), 0);
    char *sql = record_of(w, "grants.log"), *disable = strstr(sql, " PASSWORD DISABLE");
    assert_non_null(disable); /* Redshift's words for a user without a password */
    memset(disable, ' ', strlen(" PASSWORD DISABLE"));
    assert_true(postgres_run(&w->pg, sql));
    free(sql);
    PGconn *straight = connect_to(w->pg.port, "granted", NULL), *c;
    static const char *const statements[][2] = {
        { "insert into events values (3, 'x')", "INSERT 0 1" },
        { "insert into staging.raw values (1)", "INSERT 0 1" },
        { "select * from public.events", "42501" },
        { "delete from public.events", "42501" },
        { "truncate public.events", "42501" },
        { "insert into public.users values (1)", "42501" },
        { "select * from staging.raw", "42501" },
    };
    c = connect_to(p.port, "granted", NULL);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        assert_string_equal(before_says(straight, statements[i][0]), statements[i][1]);
        assert_string_equal(before_says(c, statements[i][0]), statements[i][1]);
    }
    PQfinish(straight);
    PQfinish(c);
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

/* A page of the proxy, head and all; valid until the next call. */
static const char *get_page(int port, const char *path)
{
    static char page[64 * 1024];
    struct raw *http = raw_open(port, NULL);
    char get[100];
    size_t n = 0;
    int byte, len = snprintf(get, sizeof get, "GET %s HTTP/1.0\r\n\r\n", path);
    raw_send(http, get, (size_t)len);
    while (n < sizeof page - 1 && (byte = raw_byte(http)) >= 0) page[n++] = (char)byte;
    page[n] = '\0';
    raw_close(http);
    return page;
}

/* All that a command of the console shows has none of these. */
static void assert_console_lacks(PGconn *c, const char *command, const char *const parts[],
                                 size_t n)
{
    PGresult *r = PQexec(c, command);
    assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
    for (int row = 0; row < PQntuples(r); row++)
        for (int column = 0; column < PQnfields(r); column++)
            for (size_t i = 0; i < n; i++) assert_lacks(PQgetvalue(r, row, column), parts[i]);
    PQclear(r);
}

static void a_trial_lets_through_and_says_so(void **state)
{
    struct world *w = *state;
    struct proxy p;
    char more[200], day[16];
    time_t until = time(NULL) + 5 * 86400;
    struct tm tm;
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&until, &tm));
    const int health = kit_port(w->kit);
    char *trial;
    if (asprintf(&trial,
                 "%s, \"trial\": { \"insert_only\": [\"public.events\"],"
                 " \"excess_privilege\": \"warn\", \"observe\": { \"until\": \"%s\" } }",
                 roles, day) < 0)
        abort();
    snprintf(more, sizeof more,
             "\"health\": { \"address\": \"127.0.0.1:%d\" },"
             "\"audit\": { \"to\": \"file:audit/trial.jsonl\" },",
             health);
    struct before b = { .server_port = w->pg.port,
                        .logins = logins,
                        .users = "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\","
                                 " \"console\": \"viewer\" },"
                                 "\"tried\": { \"auth\": [\"trust\"], \"role\": \"trial\","
                                 " \"db_user\": \"postgres\" }",
                        .roles = trial,
                        .more = more };
    p = (struct proxy){ 0 };
    assert_true(before_start(w->kit, &p, &b));
    PGconn *c = connect_to(p.port, "tried", NULL);
    assert_string_equal(before_says(c, "create table public.tried (id int)"), "CREATE TABLE");
    PQfinish(c);
    char *text = record_of(w, "audit/trial.jsonl");
    assert_non_null(strstr(text, "\"decision\":\"observe\""));
    free(text);
    c = connect_to(p.port, "postgres", "dbname=sluice");
    PGresult *r = PQexec(c, "show diagnosis");
    bool said = false;
    for (int row = 0; row < PQntuples(r); row++)
        for (int column = 0; column < PQnfields(r); column++)
            said |= strstr(PQgetvalue(r, row, column), "role trial is only observed") != NULL;
    assert_true(said);
    PQclear(r);
    PQfinish(c);
    const char *page = get_page(health, "/readyz");
    assert_non_null(strstr(page, "role trial only observes"));
    free(trial);
    assert_true(proxy_stop(w->kit, &p));
}

/* Nobody has to reload anything for it. */
static void a_trial_ends_by_itself(void **state)
{
    struct world *w = *state;
    struct proxy p = { 0 };
    char trial[400], until[32], more[60];
    time_t end_s = time(NULL) + 3;
    struct tm tm;
    const int health = kit_port(w->kit);
    strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end_s, &tm));
    snprintf(trial, sizeof trial,
             "\"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },"
             "\"trial\": { \"insert_only\": [\"public.events\"], \"excess_privilege\": \"warn\","
             " \"observe\": { \"until\": \"%s\" } }",
             until);
    snprintf(more, sizeof more, "\"health\": { \"address\": \"127.0.0.1:%d\" },", health);
    struct before b = { .server_port = w->pg.port,
                        .logins = logins,
                        .users = "\"tried\": { \"auth\": [\"trust\"], \"role\": \"trial\","
                                 " \"db_user\": \"postgres\" },"
                                 "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" }",
                        .roles = trial,
                        .more = more };
    assert_true(before_start(w->kit, &p, &b));
    PGconn *c = connect_to(p.port, "tried", NULL);
    bool refused = false;
    for (int i = 0; i < 200 && !refused; i++) {
        refused = strcmp(before_says(c, "select count(*) from public.events"), "42501") == 0;
        if (!refused) kit_sleep_ms(100);
    }
    assert_true(refused);
    assert_true(time(NULL) >= end_s);
    PQfinish(c);
    assert_null(strstr(get_page(health, "/readyz"), "only observes"));
    assert_true(proxy_stop(w->kit, &p));
}

#define KEY    "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

/* What AWS's own examples of loaders send, in one message. */
/* `shown`: how much of statements the log may show. */
static void assert_no_secret(struct world *w, const char *shown)
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
    struct proxy p;
    char more[300];
    const int admin = kit_port(w->kit);
    snprintf(more, sizeof more,
             "\"log\": { \"level\": \"debug\", \"statements\": \"%s\","
             " \"slow_query\": \"1ms\" },"
             "\"admin\": { \"address\": \"127.0.0.1:%d\" },"
             "\"audit\": { \"to\": \"file:audit/%s.jsonl\", \"record\": \"all\" },",
             shown, admin, shown);
    run_proxy(w, &p, more);
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
    /* Slow ones of somebody who may do it. */
    static const char *const slow[] = {
        "create user mallory password '" SECRET "'; select pg_sleep(0.02)",
        "alter user mallory with password '" SECRET "'; select pg_sleep(0.02)",
        "drop user mallory; select pg_sleep(0.02)",
    };
    PGconn *owner = connect_to(p.port, "postgres", NULL);
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) PQclear(PQexec(owner, slow[i]));
    PQfinish(owner);
    assert_true(before_log_counts(w->kit, &p, "query.slow", 3));
    char record[64];
    snprintf(record, sizeof record, "audit/%s.jsonl", shown);
    char *audit = record_of(w, record), *log = record_of(w, p.log_name);
    assert_non_null(strstr(log, "alter user mallory"));
    assert_non_null(strstr(audit, "\"decision\":\"allow\""));
    assert_non_null(strstr(audit, "\"decision\":\"deny\""));
    const char *const parts[] = { KEY, SECRET, "AKIA", "wJalr", "EXAMPLEKEY" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        assert_lacks(audit, parts[i]);
        assert_lacks(log, parts[i]);
    }
    free(audit);
    free(log);
    PGconn *console = connect_to(p.port, "postgres", "dbname=sluice");
    static const char *const commands[] = { "show denied",  "show extended denied", "show clients",
                                            "show servers", "show pools",           "show history",
                                            "show stats",   "show config" };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        assert_console_lacks(console, commands[i], parts, sizeof parts / sizeof *parts);
    PGresult *denied = PQexec(console, "show denied");
    assert_int_equal(PQntuples(denied), 3);
    for (int row = 0; row < PQntuples(denied); row++) {
        char explain[100];
        snprintf(explain, sizeof explain, "explain decision \"%s\"",
                 PQgetvalue(denied, row, PQfnumber(denied, "decision")));
        assert_console_lacks(console, explain, parts, sizeof parts / sizeof *parts);
    }
    PQclear(denied);
    PQfinish(console);
    const char *page = get_page(admin, "/metrics");
    assert_non_null(strstr(page, "denied"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_lacks(page, parts[i]);
    assert_true(proxy_stop(w->kit, &p));
}

static void no_secret_of_a_loader_is_anywhere(void **state)
{
    assert_no_secret(*state, "normalized");
}

static void nor_where_literals_are_shown(void **state) { assert_no_secret(*state, "redacted"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_and_statements_are_recorded),
        cmocka_unit_test(every_statement_of_a_message_is_recorded),
        cmocka_unit_test(what_administrators_do_is_recorded),
        cmocka_unit_test(a_moved_file_is_continued),
        cmocka_unit_test(what_cannot_be_recorded_is_refused),
        cmocka_unit_test(a_user_that_may_more_is_refused),
        cmocka_unit_test(the_grants_it_prints_are_the_role),
        cmocka_unit_test(a_trial_lets_through_and_says_so),
        cmocka_unit_test(a_trial_ends_by_itself),
        cmocka_unit_test(or_the_log_warns),
        cmocka_unit_test(no_secret_of_a_loader_is_anywhere),
        cmocka_unit_test(nor_where_literals_are_shown),
    };
    return cmocka_run_group_tests(tests, start, end);
}
