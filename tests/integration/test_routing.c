/* Where sessions and transactions go: two clusters, each a Redshift double before a PostgreSQL of
 * its own, and a plain PostgreSQL that no client of the others fits. */
#include "integration/routing_world.h"

#include <signal.h>
#include <sys/stat.h>

/* ---- statements ----------------------------------------------------------------------------- */

static void the_first_statement_decides(void **state)
{
    struct world *w = *state;
    static const char *const users[] = { "ana", "reader" }; /* read in passing; judged */
    for (size_t at = 0; at < 2; at++) {
        PGconn *c = client(w, users[at], "");
        for (int round = 0; round < 3; round++) {
            assert_says(c, heavy_sql, "heavy");
            assert_says(c, light_sql, "light");
            assert_says(c, "select name as report_sales from public.events", "light");
            assert_says(c, "/* a */ select name from public.events /* report_x */", "heavy");
        }
        PQfinish(c);
    }
}

static void a_rule_names_the_query_group(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    assert_says(c, "show query_group", "usual");
    assert_says(c, "select name from mart.sales; show query_group", "bi");
    assert_says(c, "show query_group", "usual");
    /* Who has set his own has the last word, and is routed by it. */
    assert_says(c, "set query_group to 'nightly'", "SET");
    assert_says(c, "show query_group", "nightly");
    assert_says(c, "select name from mart.sales; show query_group", "nightly");
    assert_says(c, heavy_sql, "light");
    assert_says(c, "reset query_group", "RESET");
    assert_says(c, heavy_sql, "heavy");
    assert_says(c, "show query_group", "usual");
    PQfinish(c);
}

/* Redshift knows none of these. */
static void a_rule_has_statements_answered_here(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "idler", ""), *other = client(w, "ana", "");
    assert_says(c, "UNLISTEN *", "UNLISTEN");
    assert_says(c, "set bytea_output to 'hex'", "SET");
    assert_says(c, "close all", "CLOSE CURSOR ALL");
    assert_says(c, "discard all", "42601");
    assert_says(other, "unlisten *", "0A000");
    assert_says(other, "close all", "42601");
    PQfinish(c);
    PQfinish(other);
}

static void a_transaction_stays_where_it_began(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    assert_says(c, "begin; select name from mart.sales", "light");
    assert_says(c, "select 1", "1");
    assert_says(c, "select count(*) > 0 from pg_catalog.pg_class", "t");
    assert_says(c, "select name from mart.sales", "light");
    PGresult *r = PQexec(c, heavy_sql);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "25001");
    assert_non_null(strstr(PQresultErrorMessage(r), "needs cluster \"heavy\""));
    assert_non_null(strstr(PQresultErrorMessage(r), "on \"light\""));
    PQclear(r);
    /* As after any error, nothing of it is committed. */
    assert_says(c, "select 1", "25P02");
    assert_says(c, "commit", "ROLLBACK");
    assert_says(c, heavy_sql, "heavy");
    assert_says(c, "begin; select name from public.events", "heavy");
    assert_says(c, light_sql, "25001");
    assert_says(c, "rollback", "ROLLBACK");
    assert_says(c, light_sql, "light");
    assert_true(metric(w, "sluice_route_refusals_total") >= 2);
    PQfinish(c);
}

static void prepared_statements_follow(void **state)
{
    struct world *w = *state;
    static const char *const users[] = { "ana", "reader" };
    for (size_t at = 0; at < 2; at++) {
        PGconn *c = client(w, users[at], ""), *other = client(w, users[at], "");
        PQclear(PQprepare(c, "h", heavy_sql, 0, NULL));
        PQclear(PQprepare(c, "l", light_sql, 0, NULL));
        for (int round = 0; round < 3; round++) {
            assert_string_equal(executed(c, "h"), "heavy");
            assert_string_equal(executed(c, "l"), "light");
            assert_says(other, light_sql, "light");
        }
        assert_says(c, "begin; select name from mart.sales", "light");
        assert_non_null(strstr(executed(c, "h"), "needs cluster"));
        assert_says(c, "rollback", "ROLLBACK");
        PGresult *r = PQexecParams(c, light_sql, 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQgetvalue(r, 0, 0), "light");
        PQclear(r);
        PQfinish(c);
        PQfinish(other);
    }
}

/* What is pipelined is answered in order, wherever each part goes; what is in one batch stays
 * together. */
static void pipelines_go_where_each_belongs(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "ana"));
    for (int round = 0; round < 20; round++) raw_query(r, round % 2 ? heavy_sql : light_sql);
    for (int round = 0; round < 20; round++) {
        char wanted[20];
        assert_int_equal(raw_next(r), 'T');
        assert_int_equal(raw_next(r), 'D');
        snprintf(wanted, sizeof wanted, "%.*s", (int)r->len - 6, (const char *)r->body + 6);
        assert_string_equal(wanted, round % 2 ? "heavy" : "light");
        assert_int_equal(raw_next(r), 'C');
        assert_int_equal(raw_next(r), 'Z');
    }
    for (int round = 0; round < 4; round++) {
        raw_parse(r, "", round % 2 ? heavy_sql : light_sql);
        raw_bind(r, "");
        raw_execute(r);
        raw_sync(r);
    }
    for (int round = 0; round < 4; round++) assert_string_equal(raw_answer(r), "1 2 D C ZI");
    raw_parse(r, "", light_sql);
    raw_bind(r, "");
    raw_execute(r);
    raw_parse(r, "", heavy_sql);
    raw_bind(r, "");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 2 D C E25001 ZI");
    raw_close(r);
}

static void long_statements_are_decided_by_their_beginning(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    size_t n = 200000;
    char *sql = malloc(n + 100);
    memset(sql, ' ', n);
    memcpy(sql, "select name from mart.sales", 27);
    strcpy(sql + n, "; select 2");
    assert_says(c, sql, "2");
    PQfinish(c);
    c = client(w, "ana", "");
    /* Its table is beyond what is gathered. */
    memset(sql, ' ', n);
    memcpy(sql, "select name from", 16);
    strcpy(sql + n, "mart.sales");
    assert_says(c, sql, "heavy");
    free(sql);
    PQfinish(c);
}

/* ---- who does not go ------------------------------------------------------------------------ */

static void pinned_and_session_mode_stay(void **state)
{
    struct world *w = *state;
    long stays = metric(w, "sluice_route_stays_total");
    PGconn *keeper = client(w, "keeper", ""), *c = client(w, "ana", "");
    assert_says(keeper, light_sql, "heavy");
    assert_says(keeper, heavy_sql, "heavy");
    assert_int_equal(metric(w, "sluice_route_stays_total"), stays + 1);
    assert_says(c, "create temp table mine (i int)", "CREATE TABLE");
    assert_says(c, light_sql, "heavy");
    assert_int_equal(metric(w, "sluice_route_stays_total"), stays + 2);
    PQfinish(keeper);
    PQfinish(c);
}

static void a_cluster_of_another_kind_is_not_for_those_who_are_in(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    assert_refused(c, "select count(*) from odd.t", "does not fit");
    PQfinish(c);
    /* Now it is known before anybody is sent there. */
    c = client(w, "ana", "");
    assert_refused(c, "select count(*) from odd.t", "does not fit");
    PQfinish(c);
}

static void who_is_denied_is_told_so(void **state)
{
    struct world *w = *state;
    PGconn *c = connect_to(w->proxy.port, "banned", "");
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    assert_non_null(strstr(PQerrorMessage(c), "not today"));
    PQfinish(c);
}

/* ---- falling back --------------------------------------------------------------------------- */

static void a_cluster_that_is_down_is_left_out(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", ""), *in_line = client(w, "ana", "");
    assert_says(c, heavy_sql, "heavy");
    kit_stop(w->kit, w->double_pid[HEAVY], SIGKILL, 1000);
    before_terminate(&w->pg[HEAVY], "postgres");
    /* Both were welcomed by the one that is gone, and find out when they need a server. */
    for (int tries = 0; tries < 50 && before_log_count(w->kit, &w->proxy, "cluster.down") == 0;
         tries++) {
        const char *said = before_says(in_line, heavy_sql);
        if (strcmp(said, "light") == 0) break;
        if (strcmp(said, "lost") == 0 || strncmp(said, "08", 2) == 0) {
            PQfinish(in_line);
            in_line = client(w, "ana", "");
        }
    }
    assert_says(in_line, heavy_sql, "light");
    PGconn *newcomer = client(w, "ana", "");
    assert_says(newcomer, heavy_sql, "light");
    assert_true(metric(w, "sluice_route_fallbacks_total") > 0);
    assert_true(proxy_log_has(w->kit, &w->proxy, "route.fallback", 1000));
    /* And it comes back by itself. */
    assert_true(start_double(w, HEAVY));
    for (int tries = 0; tries < 300 && strcmp(before_says(newcomer, heavy_sql), "heavy") != 0;
         tries++)
        kit_sleep_ms(100);
    assert_says(newcomer, heavy_sql, "heavy");
    assert_true(proxy_log_has(w->kit, &w->proxy, "cluster.up", 1000));
    PQfinish(c);
    PQfinish(in_line);
    PQfinish(newcomer);
}

/* ---- a new table ---------------------------------------------------------------------------- */

static void put_routes(struct world *w, const char *text, const char *event, int times)
{
    kit_file(w->kit, "routes.json", text);
    kill(w->proxy.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &w->proxy, event, times));
}

static void a_new_table_moves_who_is_in(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", ""), *in_txn = client(w, "ana", "");
    int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
    int refusals = before_log_count(w->kit, &w->proxy, "config.not_reloaded");
    assert_says(c, heavy_sql, "heavy");
    assert_says(in_txn, "begin; select name from public.events", "heavy");
    put_routes(w, "{ \"version\": 2, \"rules\": [ { \"id\": \"all\", \"to\": \"light\" } ] }",
               "config.reloaded", reloads + 1);
    assert_says(c, heavy_sql, "light");
    assert_says(in_txn, heavy_sql, "heavy");
    assert_says(in_txn, "commit", "COMMIT");
    assert_says(in_txn, heavy_sql, "light");
    /* What is wrong changes nothing. */
    put_routes(w, "{ \"rules\": [ { \"id\": \"all\", \"to\": [\"light\", \"light\"] } ] }",
               "config.not_reloaded", refusals + 1);
    assert_says(c, heavy_sql, "light");
    /* Who is denied from now on goes at his next transaction. */
    put_routes(w,
               "{ \"rules\": [ { \"id\": \"no\", \"when\": { \"user\": \"ana\" }, \"deny\": \"no "
               "more\" }, { \"id\": \"all\", \"to\": \"heavy\" } ] }",
               "config.reloaded", reloads + 2);
    assert_refused(c, heavy_sql, "no more");
    put_routes(w, routes, "config.reloaded", reloads + 3);
    PQfinish(c);
    c = client(w, "ana", "");
    assert_says(c, heavy_sql, "heavy");
    PQfinish(c);
    PQfinish(in_txn);
}

/* ---- the console ---------------------------------------------------------------------------- */

static PGresult *ask(struct world *w, const char *command)
{
    PGconn *c = client(w, "ops", "dbname=sluice");
    PGresult *r = PQexec(c, command);
    PQfinish(c);
    return r;
}

static long number(PGresult *r, const char *rule, const char *column)
{
    for (int row = 0; row < PQntuples(r); row++)
        if (strcmp(PQgetvalue(r, row, PQfnumber(r, "rule")), rule) == 0)
            return atol(PQgetvalue(r, row, PQfnumber(r, column)));
    fail_msg("no rule %s", rule);
    return 0;
}

static void the_console_shows_what_rules_did(void **state)
{
    struct world *w = *state;
    PGresult *before = ask(w, "show extended routes");
    PGconn *c = client(w, "ana", "");
    for (int i = 0; i < 5; i++) assert_says(c, light_sql, "light");
    for (int i = 0; i < 3; i++) assert_says(c, heavy_sql, "heavy");
    assert_says(c, "select no_such_column from mart.sales", "42703");
    PGresult *after = ask(w, "show extended routes");
    assert_int_equal(PQntuples(after), 8);
    assert_int_equal(number(after, "bi", "transactions"), number(before, "bi", "transactions") + 6);
    assert_int_equal(number(after, "bi", "errors"), number(before, "bi", "errors") + 1);
    assert_int_equal(number(after, "default", "transactions"),
                     number(before, "default", "transactions") + 3);
    assert_int_equal(number(after, "default", "logins"), number(before, "default", "logins") + 1);
    assert_true(number(after, "bi", "p99_ms") >= number(after, "bi", "p50_ms"));
    PQclear(before);
    /* A reload with another rule in front forgets nothing of the rules that stay as they are. */
    int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
    char text[3000];
    snprintf(text, sizeof text,
             "%.*s{ \"id\": \"new\", \"when\": { \"user\": \"x*\" }, \"to\": "
             "\"light\" },%s",
             (int)(strchr(routes, '[') - routes + 1), routes, strchr(routes, '[') + 1);
    put_routes(w, text, "config.reloaded", reloads + 1);
    before = after;
    after = ask(w, "show extended routes");
    assert_int_equal(PQntuples(after), 9);
    assert_int_equal(number(after, "bi", "transactions"), number(before, "bi", "transactions"));
    assert_int_equal(number(after, "new", "hits"), 0);
    put_routes(w, routes, "config.reloaded", reloads + 2);
    PQclear(before);
    PQclear(after);
    char command[200];
    snprintf(command, sizeof command,
             "curl -s http://127.0.0.1:%d/metrics | grep -q 'sluice_route_hits_total{rule=\"bi\"}'",
             w->admin_port);
    assert_int_equal(system(command), 0);
    PQfinish(c);
}

/* All that a result says, as one text. */
static char *text_of(PGresult *r)
{
    char *all = strdup(""), *more;
    for (int row = 0; row < PQntuples(r); row++) {
        if (asprintf(&more, "%s%s\n", all, PQgetvalue(r, row, 0)) < 0) abort();
        free(all);
        all = more;
    }
    return all;
}

static void the_console_explains_like_the_command(void **state)
{
    struct world *w = *state;
    static const char *const questions[][2] = {
        { "user ana database dev at '2026-11-23T12:00:00Z' for 'select * from mart.sales'",
          "--user ana --database dev --at 2026-11-23T12:00:00Z 'select * from mart.sales'" },
        { "tls user ana database dev client '127.0.0.1' format json at '2026-11-23T12:00:00Z' for "
          "$q$select 'it''s' from t$q$",
          "--tls --user ana --database dev --client 127.0.0.1 --json --at 2026-11-23T12:00:00Z "
          "\"select 'it''s' from t\"" },
        { "user banned database dev at '2026-11-23T12:00:00Z'",
          "--user banned --database dev --at 2026-11-23T12:00:00Z" },
        { "user ana database dev query_group nightly at '2026-11-23T12:00:00Z' for 'select 1'",
          "--user ana --database dev --query-group nightly --at 2026-11-23T12:00:00Z 'select 1'" },
    };
    for (size_t at = 0; at < sizeof questions / sizeof *questions; at++) {
        char command[600], said[16000];
        snprintf(command, sizeof command, "explain route %s", questions[at][0]);
        PGresult *r = ask(w, command);
        if (PQresultStatus(r) != PGRES_TUPLES_OK) fail_msg("%s", PQresultErrorMessage(r));
        char *mine = text_of(r);
        snprintf(command, sizeof command, "%s route explain --config %s %s",
                 kit_built(w->kit, "sluice"), w->proxy.config, questions[at][1]);
        FILE *f = popen(command, "r");
        size_t n = fread(said, 1, sizeof said - 1, f);
        said[n] = '\0';
        pclose(f);
        assert_string_equal(mine, said);
        free(mine);
        PQclear(r);
    }
    PGresult *r = ask(w, "explain route user nobody database dev");
    assert_non_null(strstr(PQresultErrorMessage(r), "no user"));
    PQclear(r);
    r = ask(w, "explain route databaze dev");
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42601");
    PQclear(r);
}

/* ---- a candidate, and traffic on record ------------------------------------------------------ */

static const char *shown(PGresult *r, const char *key)
{
    for (int row = 0; row < PQntuples(r); row++)
        if (strcmp(PQgetvalue(r, row, 0), key) == 0) return PQgetvalue(r, row, 1);
    return "";
}

static void a_candidate_is_tried_beside_the_one_in_force(void **state)
{
    struct world *w = *state;
    kit_file(w->kit, "next.json",
             "{ \"version\": 9, \"rules\": [ { \"id\": \"all\", \"to\": [\"heavy\", \"light\"],"
             " \"query_group\": \"usual\" } ] }");
    /* The proxy may run as somebody else. */
    assert_int_equal(mkdir(kit_path(w->kit, "kept"), 0777), 0);
    assert_int_equal(chmod(kit_path(w->kit, "kept"), 0777), 0);
    configure(w, ", \"shadow\": \"next.json\", \"record\": \"kept/traffic.jsonl\"");
    PGconn *c = client(w, "ana", "");
    for (int i = 0; i < 4; i++)
        assert_says(c, "select name from mart.sales where name <> 'se' || 'cret'", "light");
    for (int i = 0; i < 3; i++) assert_says(c, heavy_sql, "heavy");
    PGresult *r = ask(w, "show shadow");
    assert_string_equal(shown(r, "version"), "9");
    assert_string_equal(shown(r, "decisions"), "8");
    assert_string_equal(shown(r, "mismatches"), "4");
    assert_string_equal(shown(r, "mismatches of rule bi"), "4");
    PQclear(r);
    assert_true(metric(w, "sluice_shadow_mismatches_total") >= 4);
    /* The same is told from the record, which has no literals in it. */
    char command[600], said[4000];
    const char *dir = kit_dir(w->kit);
    snprintf(command, sizeof command,
             "%s route diff %s/routes.json %s/next.json --traffic %s/kept/traffic.jsonl 2>&1",
             kit_built(w->kit, "sluice"), dir, dir, dir);
    FILE *f = popen(command, "r");
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    pclose(f);
    if (!strstr(said, "8 decisions: 0 the same, 4 by another rule to the same effect, 4 differ"))
        fail_msg("%s", said);
    char *traffic = kit_read(kit_path(w->kit, "kept/traffic.jsonl"));
    assert_non_null(strstr(traffic, "\"tables\":[\"mart.sales\"]"));
    assert_null(strstr(traffic, "cret"));
    free(traffic);
    /* What is recorded is bounded. */
    configure(w, ", \"record\": \"kept/traffic.jsonl\", \"record_size\": \"64KiB\", "
                 "\"record_rate\": 100000");
    for (int i = 0; i < 600; i++) assert_says(c, light_sql, "light");
    snprintf(
        command, sizeof command,
        "cd %s/kept && test $(stat -c %%s traffic.jsonl) -le 65536 && test -s traffic.jsonl.1 && "
        "test $(ls traffic.jsonl* | wc -l) = 2 && test $(stat -c %%a traffic.jsonl) = 600",
        kit_dir(w->kit));
    assert_int_equal(system(command), 0);
    configure(w, "");
    r = ask(w, "show shadow");
    assert_int_equal(PQntuples(r), 0);
    PQclear(r);
    PQfinish(c);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_statement_decides),
        cmocka_unit_test(a_rule_names_the_query_group),
        cmocka_unit_test(a_rule_has_statements_answered_here),
        cmocka_unit_test(a_transaction_stays_where_it_began),
        cmocka_unit_test(prepared_statements_follow),
        cmocka_unit_test(pipelines_go_where_each_belongs),
        cmocka_unit_test(long_statements_are_decided_by_their_beginning),
        cmocka_unit_test(pinned_and_session_mode_stay),
        cmocka_unit_test(a_cluster_of_another_kind_is_not_for_those_who_are_in),
        cmocka_unit_test(who_is_denied_is_told_so),
        cmocka_unit_test(a_cluster_that_is_down_is_left_out),
        cmocka_unit_test(a_new_table_moves_who_is_in),
        cmocka_unit_test(the_console_shows_what_rules_did),
        cmocka_unit_test(the_console_explains_like_the_command),
        cmocka_unit_test(a_candidate_is_tried_beside_the_one_in_force),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
