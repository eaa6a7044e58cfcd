/* BEGIN alone, and where its transaction goes: by what comes behind it. */
#include "integration/routing_world.h"

#include <signal.h>

/* As psycopg2 and most drivers do it. */
static void begin_waits_for_the_statement_that_decides(void **state)
{
    struct world *w = *state;
    static const char *const users[] = { "ana", "reader" };
    static const char *const begins[][2] = {
        { "BEGIN", "BEGIN" },
        { "begin isolation level serializable read only;", "BEGIN" },
        { "start transaction", "START TRANSACTION" },
    };
    for (size_t at = 0; at < 6; at++) {
        PGconn *c = client(w, users[at % 2], "");
        for (int round = 0; round < 4; round++) {
            assert_says(c, begins[at / 2][0], begins[at / 2][1]);
            assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
            assert_says(c, round % 2 ? heavy_sql : light_sql, round % 2 ? "heavy" : "light");
            assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
            assert_says(c, "select 1", "1");
            assert_says(c, "show transaction_read_only", at / 2 == 1 ? "on" : "off");
            assert_says(c, round % 2 ? light_sql : heavy_sql, "25001");
            assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
            assert_says(c, "commit", "ROLLBACK");
            assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
        }
        PQfinish(c);
    }
}

/* It is a transaction: what is done in it comes with its end, and goes with it. */
static void what_a_waiting_begin_began_is_one_transaction(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, "insert into mart.sales values ('second')", "INSERT 0 1");
    assert_says(c, "rollback", "ROLLBACK");
    assert_says(c, "select count(*) from mart.sales", "1");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, "insert into public.events values ('second')", "INSERT 0 1");
    assert_says(c, "commit", "COMMIT");
    assert_says(c, "select count(*) from public.events", "2");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, "delete from public.events where name = 'second'", "DELETE 1");
    assert_says(c, "end", "COMMIT");
    /* A client that goes leaves nothing. */
    PGconn *gone = client(w, "ana", "");
    assert_says(gone, "begin", "BEGIN");
    PQfinish(gone);
    gone = client(w, "ana", "");
    assert_says(gone, "begin", "BEGIN");
    assert_says(gone, "delete from public.events", "DELETE 1");
    PQfinish(gone);
    assert_says(c, heavy_sql, "heavy");
    PQfinish(c);
}

static long servers_busy(struct world *w)
{
    long busy = 0;
    PGconn *c = client(w, "ops", "dbname=sluice");
    PGresult *r = PQexec(c, "show servers");
    for (int row = 0; row < PQntuples(r); row++)
        busy += strcmp(PQgetvalue(r, row, PQfnumber(r, "state")), "active") == 0;
    PQclear(r);
    PQfinish(c);
    return busy;
}

static void a_begin_that_waits_holds_no_server(void **state)
{
    struct world *w = *state;
    PGconn *c[12];
    const long deferred = metric(w, "sluice_begins_deferred_total");
    for (size_t at = 0; at < 12; at++) { /* the pool has four */
        c[at] = client(w, "ana", "");
        assert_says(c[at], "begin", "BEGIN");
    }
    assert_int_equal(servers_busy(w), 0);
    assert_int_equal(metric(w, "sluice_begins_deferred_total"), deferred + 12);
    /* One that has not begun yet is not one too many; what ends here is answered here. */
    for (size_t at = 0; at < 12; at++) {
        assert_says(c[at], "begin", "BEGIN"); /* and a warning */
        assert_says(c[at], "", "");
        assert_int_equal(PQtransactionStatus(c[at]), PQTRANS_INTRANS);
        assert_says(c[at], at % 2 ? "commit" : "rollback work", at % 2 ? "COMMIT" : "ROLLBACK");
        assert_int_equal(PQtransactionStatus(c[at]), PQTRANS_IDLE);
        PQfinish(c[at]);
    }
    assert_int_equal(servers_busy(w), 0);
}

/* What the server says to BEGIN is told, and nothing runs outside the transaction that was asked
 * for. (Redshift does not know DEFERRABLE.) */
static void a_begin_that_is_refused_is_told(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    for (int round = 0; round < 2; round++) {
        assert_says(c, "begin deferrable", "BEGIN");
        PGresult *r = PQexec(c, "insert into public.events values ('stray')");
        assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "42601");
        assert_non_null(strstr(PQresultErrorMessage(r), "DEFERRABLE"));
        PQclear(r);
        assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
        assert_says(c, "insert into public.events values ('stray')", "25P02");
        assert_int_equal(servers_busy(w), 0);
        assert_says(c, round ? "commit" : "rollback", "ROLLBACK");
        assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
        assert_says(c, "select count(*) from public.events", "1");
    }
    /* Prepared, likewise. */
    PQclear(PQprepare(c, "i", "insert into public.events values ('stray')", 0, NULL));
    assert_says(c, "begin deferrable", "BEGIN");
    assert_non_null(strstr(executed(c, "i"), "DEFERRABLE"));
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
    assert_non_null(strstr(executed(c, "i"), "current transaction is aborted"));
    assert_says(c, "rollback", "ROLLBACK");
    assert_says(c, "select count(*) from public.events", "1");
    PQfinish(c);
}

/* A refusal of ours is the transaction's first error, as the server's would be. */
static void a_refusal_fails_a_begin_that_waits(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "reader", "");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, "delete from public.events", "42501");
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
    assert_says(c, heavy_sql, "25P02");
    assert_says(c, "begin", "25P02");
    PGresult *r = PQprepare(c, "x", heavy_sql, 0, NULL);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "25P02");
    PQclear(r);
    assert_says(c, "commit", "ROLLBACK");
    assert_says(c, heavy_sql, "heavy");
    PQfinish(c);
}

/* In line for a server with its BEGIN, and cancelled: the transaction has failed. */
static void a_cancel_in_line_fails_a_begin_that_waits(void **state)
{
    struct world *w = *state;
    PGconn *busy[4], *c = client(w, "ana", "");
    char why[200];
    for (size_t at = 0; at < 4; at++) {
        busy[at] = client(w, "ana", "");
        assert_says(busy[at], "begin; select name from mart.sales", "light");
    }
    assert_says(c, "begin", "BEGIN");
    PGcancel *cancel = PQgetCancel(c);
    assert_true(PQsendQuery(c, light_sql));
    while (atol(before_says(busy[0], "select 1")) != 1) kit_sleep_ms(1);
    assert_true(PQcancel(cancel, why, sizeof why));
    PGresult *r = PQgetResult(c);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
    PQclear(r);
    assert_null(PQgetResult(c));
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
    assert_says(c, "rollback", "ROLLBACK");
    /* And one that gets its server in the end goes on as if nothing had been. */
    assert_says(c, "begin", "BEGIN");
    assert_true(PQsendQuery(c, light_sql));
    for (size_t at = 0; at < 4; at++) {
        assert_says(busy[at], "commit", "COMMIT");
        PQfinish(busy[at]);
    }
    r = PQgetResult(c);
    assert_string_equal(PQgetvalue(r, 0, 0), "light");
    PQclear(r);
    assert_null(PQgetResult(c));
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
    assert_says(c, "commit", "COMMIT");
    PQfreeCancel(cancel);
    PQfinish(c);
}

static void tell(struct world *w, const char *command)
{
    PGconn *c = client(w, "ops", "dbname=sluice");
    PGresult *r = PQexec(c, command);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) fail_msg("%s", PQresultErrorMessage(r));
    PQclear(r);
    PQfinish(c);
}

/* PAUSE has nothing to wait for, nor has the BEGIN; its statement waits for RESUME. */
static void a_begin_waits_through_a_pause(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ana", "");
    assert_says(c, "begin", "BEGIN");
    tell(w, "PAUSE");
    assert_says(c, "rollback", "ROLLBACK");
    assert_says(c, "begin", "BEGIN");
    assert_true(PQsendQuery(c, light_sql));
    kit_sleep_ms(200);
    PQconsumeInput(c);
    assert_true(PQisBusy(c));
    tell(w, "RESUME");
    PGresult *r = PQgetResult(c);
    assert_string_equal(PQgetvalue(r, 0, 0), "light");
    PQclear(r);
    assert_null(PQgetResult(c));
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INTRANS);
    assert_says(c, "commit", "COMMIT");
    PQfinish(c);
}

/* A table that comes meanwhile counts, also one that asks for no statement. */
static void a_new_table_counts_for_a_begin_that_waits(void **state)
{
    struct world *w = *state;
    static const char *const tables[] = {
        "{ \"rules\": [ { \"id\": \"all\", \"to\": \"light\" } ] }", routes
    };
    PGconn *c = client(w, "ana", "");
    for (size_t at = 0; at < 2; at++) {
        int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
        assert_says(c, "begin", "BEGIN");
        kit_file(w->kit, "routes.json", tables[at]);
        kill(w->proxy.pid, SIGHUP);
        assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", reloads + 1));
        /* The second BEGIN was sent at once, since no rule asked for statements: it stays there. */
        assert_says(c, heavy_sql, "light");
        assert_says(c, "commit", "COMMIT");
    }
    assert_says(c, heavy_sql, "heavy");
    PQfinish(c);
}

/* A candidate's rules asked for statements; the table that comes in its place does not, and decides
 * all the same. */
static void a_table_taken_up_at_a_begin_is_asked(void **state)
{
    struct world *w = *state;
    kit_file(w->kit, "next.json", routes);
    kit_file(w->kit, "routes.json", "{ \"rules\": [ { \"id\": \"all\", \"to\": \"heavy\" } ] }");
    configure(w, ", \"shadow\": \"next.json\"");
    PGconn *c = client(w, "ana", ""), *denied = client(w, "idler", "");
    assert_says(c, heavy_sql, "heavy");
    assert_says(denied, heavy_sql, "heavy");
    kit_file(w->kit, "routes.json",
             "{ \"rules\": [ { \"id\": \"no\", \"when\": { \"user\": \"idler\" }, \"deny\": "
             "\"no longer\" }, { \"id\": \"all\", \"to\": \"light\" } ] }");
    configure(w, "");
    assert_says(c, "begin", "BEGIN");
    assert_says(c, heavy_sql, "light");
    assert_says(c, "commit", "COMMIT");
    assert_says(c, heavy_sql, "light");
    assert_says(denied, "begin", "BEGIN");
    assert_refused(denied, heavy_sql, "no longer");
    kit_file(w->kit, "routes.json", routes);
    configure(w, "");
    PQfinish(denied);
    PQfinish(c);
}

static void explain_says_that_a_begin_waits(void **state)
{
    struct world *w = *state;
    PGconn *c = client(w, "ops", "dbname=sluice");
    static const char *const questions[] = {
        "explain route user ana database postgres for 'begin read only'",
        "explain route user ana database postgres for 'begin; select 1'",
        "explain route user keeper database postgres for 'begin'", /* session mode */
    };
    for (size_t at = 0; at < 3; at++) {
        PGresult *r = PQexec(c, questions[at]);
        const char *last = PQgetvalue(r, PQntuples(r) - 1, 0);
        assert_int_equal(strstr(last, "BEGIN alone waits") != NULL, at == 0);
        PQclear(r);
    }
    PQfinish(c);
}

static void a_begin_that_waits_too_long_ends(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "idler"));
    raw_query(r, "BEGIN");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_string_equal(raw_answer(r), "E25P03 end");
    raw_close(r);
}

/* The values of a DataRow's only column. */
static void assert_row(struct raw *r, const char *wanted)
{
    char value[40];
    assert_int_equal(raw_next(r), 'D');
    snprintf(value, sizeof value, "%.*s", (int)r->len - 6, (const char *)r->body + 6);
    assert_string_equal(value, wanted);
}

static void ask_for(struct raw *r, char what, const char *name)
{
    char body[100];
    body[0] = what;
    strcpy(body + 1, name);
    raw_say(r, 'D', body, strlen(name) + 2);
}

/* One batch without a Sync between, as of pgjdbc, and of psycopg3 in a pipeline. */
static void in_a_batch_the_statement_behind_begin_decides(void **state)
{
    struct world *w = *state;
    static const char *const users[] = { "ana", "reader" };
    for (int round = 0; round < 8; round++) {
        const bool named = round & 2, light = round & 1;
        struct raw *r = raw_open(w->proxy.port, NULL);
        assert_true(raw_login(r, users[round / 4]));
        for (int again = 0; again < 3; again++) {
            if (!named || again == 0) raw_parse(r, named ? "S_1" : "", "BEGIN");
            raw_bind(r, named ? "S_1" : "");
            raw_execute(r);
            raw_parse(r, "", light ? light_sql : heavy_sql);
            raw_bind(r, "");
            ask_for(r, 'P', "");
            raw_execute(r);
            raw_sync(r);
            if (!named || again == 0) assert_int_equal(raw_next(r), '1');
            assert_int_equal(raw_next(r), '2');
            assert_int_equal(raw_next(r), 'C');
            assert_string_equal((char *)r->body, "BEGIN");
            assert_int_equal(raw_next(r), '1');
            assert_int_equal(raw_next(r), '2');
            assert_int_equal(raw_next(r), 'T');
            assert_row(r, light ? "light" : "heavy");
            assert_string_equal(raw_answer(r), "C ZT");
            raw_parse(r, "", "COMMIT");
            raw_bind(r, "");
            raw_execute(r);
            raw_sync(r);
            assert_string_equal(raw_answer(r), "1 2 C ZI");
        }
        raw_close(r);
    }
}

/* Each step by itself, and statements that are prepared once: redshift_connector. */
static void begin_in_steps_waits_as_well(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "ana"));
    static const struct {
        const char *name, *sql;
    } statements[] = { { "s_begin", "begin transaction" }, { "s_commit", "commit" } };
    for (size_t at = 0; at < 2; at++) {
        raw_parse(r, statements[at].name, statements[at].sql);
        ask_for(r, 'S', statements[at].name);
        raw_sync(r);
        assert_string_equal(raw_answer(r), "1 t n ZI");
    }
    for (int round = 0; round < 4; round++) {
        raw_bind(r, "s_begin");
        raw_execute(r);
        raw_sync(r);
        assert_string_equal(raw_answer(r), "2 C ZT");
        if (round < 2) {
            assert_int_equal(servers_busy(w), 0);
            raw_parse(r, "", round ? heavy_sql : light_sql);
            ask_for(r, 'S', "");
            raw_sync(r);
            assert_string_equal(raw_answer(r), "1 t T ZT");
            raw_bind(r, "");
            raw_execute(r);
            raw_sync(r);
            assert_int_equal(raw_next(r), '2');
            assert_row(r, round ? "heavy" : "light");
            assert_string_equal(raw_answer(r), "C ZT");
        }
        raw_bind(r, "s_commit");
        ask_for(r, 'P', "");
        raw_execute(r);
        raw_sync(r);
        assert_string_equal(raw_answer(r), "2 n C ZI");
    }
    /* A portal is gone with its transaction. */
    raw_bind(r, "s_begin");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "2 ZI");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E34000 ZI");
    /* Likewise when the Sync is a server's to answer. */
    raw_parse(r, "s_other", light_sql);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 ZI");
    raw_bind(r, "s_begin");
    ask_for(r, 'S', "s_other");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "2 t T ZI");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E34000 ZI");
    raw_close(r);
}

/* The rest of what may come between BEGIN and its statement. */
static void odd_beginnings(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->proxy.port, NULL);
    assert_true(raw_login(r, "ana"));
    /* A simple BEGIN and an extended statement in one flight: npgsql. */
    raw_query(r, "BEGIN");
    raw_parse(r, "", light_sql);
    raw_bind(r, "");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "C ZT");
    assert_int_equal(raw_next(r), '1');
    assert_int_equal(raw_next(r), '2');
    assert_row(r, "light");
    assert_string_equal(raw_answer(r), "C ZT");
    /* Its end and the next one's beginning, all at once. */
    raw_query(r, "COMMIT");
    raw_query(r, "BEGIN");
    raw_query(r, heavy_sql);
    raw_query(r, "ROLLBACK");
    raw_query(r, "BEGIN");
    raw_query(r, "COMMIT");
    raw_query(r, "BEGIN");
    raw_query(r, light_sql);
    assert_string_equal(raw_answer(r), "C ZI");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_int_equal(raw_next(r), 'T');
    assert_row(r, "heavy");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_string_equal(raw_answer(r), "C ZI");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_string_equal(raw_answer(r), "C ZI");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_int_equal(raw_next(r), 'T');
    assert_row(r, "light");
    assert_string_equal(raw_answer(r), "C ZT");
    raw_query(r, "ROLLBACK");
    assert_string_equal(raw_answer(r), "C ZI");
    /* A Sync alone, Flush, Close, an empty statement: no server yet, and still in a transaction. */
    raw_query(r, "BEGIN");
    assert_string_equal(raw_answer(r), "C ZT");
    raw_sync(r);
    assert_string_equal(raw_answer(r), "ZT");
    raw_say(r, 'H', NULL, 0);
    raw_say(r, 'C', "Sx", 3);
    raw_say(r, 'C', "P", 2);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "3 3 ZT");
    raw_query(r, " ; ");
    assert_string_equal(raw_answer(r), "I ZT");
    assert_int_equal(servers_busy(w), 0);
    raw_query(r, light_sql);
    assert_int_equal(raw_next(r), 'T');
    assert_row(r, "light");
    assert_string_equal(raw_answer(r), "C ZT");
    raw_query(r, "ROLLBACK");
    assert_string_equal(raw_answer(r), "C ZI");
    /* Modes of a second BEGIN hold. */
    raw_query(r, "BEGIN");
    raw_query(r, "BEGIN READ ONLY");
    assert_string_equal(raw_answer(r), "C ZT");
    assert_string_equal(raw_answer(r), "C ZT");
    raw_query(r, "insert into public.events values ('stray')");
    assert_string_equal(raw_answer(r), "E25006 ZE");
    raw_query(r, "ROLLBACK");
    assert_string_equal(raw_answer(r), "C ZI");
    /* A failed batch is discarded to its Sync; the transaction is ended in a batch of its own. */
    raw_query(r, "BEGIN");
    assert_string_equal(raw_answer(r), "C ZT");
    raw_bind(r, "nobody");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E26000 ZE");
    raw_parse(r, "", light_sql);
    raw_bind(r, "");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "E25P02 ZE");
    raw_parse(r, "", "ROLLBACK");
    raw_bind(r, "");
    raw_execute(r);
    raw_sync(r);
    assert_string_equal(raw_answer(r), "1 2 C ZI");
    raw_query(r, heavy_sql);
    assert_int_equal(raw_next(r), 'T');
    assert_row(r, "heavy");
    assert_string_equal(raw_answer(r), "C ZI");
    raw_close(r);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin_waits_for_the_statement_that_decides),
        cmocka_unit_test(what_a_waiting_begin_began_is_one_transaction),
        cmocka_unit_test(a_begin_that_waits_holds_no_server),
        cmocka_unit_test(a_begin_that_is_refused_is_told),
        cmocka_unit_test(a_refusal_fails_a_begin_that_waits),
        cmocka_unit_test(a_cancel_in_line_fails_a_begin_that_waits),
        cmocka_unit_test(a_begin_waits_through_a_pause),
        cmocka_unit_test(a_new_table_counts_for_a_begin_that_waits),
        cmocka_unit_test(a_table_taken_up_at_a_begin_is_asked),
        cmocka_unit_test(explain_says_that_a_begin_waits),
        cmocka_unit_test(a_begin_that_waits_too_long_ends),
        cmocka_unit_test(in_a_batch_the_statement_behind_begin_decides),
        cmocka_unit_test(begin_in_steps_waits_as_well),
        cmocka_unit_test(odd_beginnings),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
