/* diagnosis: what is wrong is named, with its numbers, and nothing else is. */
#include "proxy/diagnosis.h"
#include "unit/unit.h"

enum { POOLS = 4 };

static struct pool_facts pools[POOLS];
static struct diagnosis_facts facts;
static struct diagnosis found;

static int fresh(void **state)
{
    (void)state;
    memset(pools, 0, sizeof pools);
    pools[0] = (struct pool_facts){ .key = slice_str("warehouse/dev/loader/etl"),
                                    .cluster = slice_str("warehouse"),
                                    .database = slice_str("dev"),
                                    .db_user = slice_str("loader"),
                                    .n = { [POOL_SIZE] = 20, [POOL_SERVERS_ACTIVE] = 20 } };
    facts = (struct diagnosis_facts){ .pools = pools,
                                      .n_pools = 1,
                                      .queries = 100,
                                      .query_ms = 2300,
                                      .usual_queries = 1000,
                                      .usual_query_ms = 20000,
                                      .requests = 100 };
    return 0;
}

static void wait_for(enum pool_why why, uint64_t clients, uint64_t ms)
{
    pools[0].n[POOL_WHY] = why;
    pools[0].n[POOL_CLIENTS_WAITING] = clients;
    pools[0].n[POOL_MAX_WAIT_MS] = ms;
}

static void expect_first(enum diagnosis_cause cause, enum severity severity, const char *words)
{
    diagnose(&facts, &found);
    const struct finding *f = &found.findings[0];
    if (f->cause != cause || f->severity != severity || !strstr(f->sentence, words))
        fail_msg("%s %s: %s", severity_word(f->severity), diagnosis_word(f->cause), f->sentence);
}

static void nothing_is_wrong(void **state)
{
    (void)state;
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "Redshift answers in 23 ms");
    assert_int_equal(found.count, 1);
    facts.queries = 0;
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "nothing was asked");
}

/* Forty connections for a thousand clients: somebody always waits a little. */
static void sharing_is_no_illness(void **state)
{
    (void)state;
    wait_for(POOL_WHY_POOL_FULL, 300, 120);
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "300 clients wait briefly");
}

static void the_pool(void **state)
{
    (void)state;
    wait_for(POOL_WHY_POOL_FULL, 12, 4200);
    expect_first(DIAGNOSIS_POOL_FULL, SEVERITY_CRITICAL,
                 "20 servers of warehouse/dev/loader/etl are all lent; 12 clients wait, the first "
                 "for 4.2 s; what has ended took 23 ms");
    assert_non_null(strstr(found.findings[0].advice, "pool.size (20)"));
    wait_for(POOL_WHY_CLUSTER_FULL, 1, 4200);
    expect_first(DIAGNOSIS_CLUSTER_FULL, SEVERITY_CRITICAL, "cluster warehouse may have are taken");
    assert_non_null(strstr(found.findings[0].sentence, "1 client waits"));
    wait_for(POOL_WHY_USER_FULL, 1, 4200);
    expect_first(DIAGNOSIS_LIMIT, SEVERITY_CRITICAL, "database user loader");
}

static void redshift(void **state)
{
    (void)state;
    pools[0].failure = slice_str("connection refused");
    pools[0].n[POOL_FAILURES] = 7;
    wait_for(POOL_WHY_UNREACHABLE, 3, 9000);
    expect_first(DIAGNOSIS_UNREACHABLE, SEVERITY_CRITICAL,
                 "cluster warehouse cannot be reached: connection refused (tried 7 times, 3 "
                 "clients wait)");
    wait_for(POOL_WHY_UNREACHABLE, 0, 0);
    expect_first(DIAGNOSIS_UNREACHABLE, SEVERITY_WARNING, "cannot be reached");
    wait_for(POOL_WHY_REJECTED, 1, 10);
    expect_first(DIAGNOSIS_REJECTED, SEVERITY_CRITICAL, "refuses loader");
}

/* A full pool is Redshift's doing when its statements have become slow, or do not end. */
static void a_full_pool_for_redshifts_sake(void **state)
{
    (void)state;
    wait_for(POOL_WHY_POOL_FULL, 12, 4200);
    facts.query_ms = 100 * 4200;
    expect_first(DIAGNOSIS_SLOW, SEVERITY_CRITICAL,
                 "take 4.2 s on average over the last minute, 20 ms before");
    fresh(NULL);
    wait_for(POOL_WHY_POOL_FULL, 12, 4200);
    pools[0].n[POOL_LONGEST_MS] = 12 * 60 * 1000;
    expect_first(DIAGNOSIS_LONG, SEVERITY_CRITICAL, "one statement runs for 12 min; 12 clients");
    for (size_t i = 0; i < found.count; i++)
        assert_int_not_equal(found.findings[i].cause, DIAGNOSIS_POOL_FULL);
}

/* A few slow ones, or a few milliseconds more, are no news. */
static void slow_needs_evidence(void **state)
{
    (void)state;
    facts.queries = 4;
    facts.query_ms = 4 * 9000;
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "All is well");
    facts.queries = 100;
    facts.query_ms = 100 * 150;
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "All is well");
    facts.query_ms = 100 * 250;
    expect_first(DIAGNOSIS_SLOW, SEVERITY_WARNING, "250 ms on average");
}

static void my_rule(void **state)
{
    (void)state;
    facts.denied = 1;
    facts.refusal = (struct last_refusal){ slice_str("etl"), slice_str("read"), slice_str("t"), 1 };
    expect_first(
        DIAGNOSIS_RULE, SEVERITY_NOTE,
        "1 refusal in the last minute (1% of all requests); the last one by role etl (read)");
    facts.denied = 42;
    expect_first(DIAGNOSIS_RULE, SEVERITY_WARNING, "42 refusals in");
    /* What keeps everybody waiting comes first; the rule is not forgotten. */
    wait_for(POOL_WHY_POOL_FULL, 12, 4200);
    expect_first(DIAGNOSIS_POOL_FULL, SEVERITY_CRITICAL, "The pool");
    assert_int_equal(found.count, 2);
    assert_int_equal(found.findings[1].cause, DIAGNOSIS_RULE);
    /* All were refused: no division by nothing. */
    facts.requests = 0;
    diagnose(&facts, &found);
    assert_non_null(strstr(found.findings[1].sentence, "100% of all requests"));
}

static void operators_and_the_rest(void **state)
{
    (void)state;
    wait_for(POOL_WHY_PAUSED, 5, 100);
    expect_first(DIAGNOSIS_PAUSED, SEVERITY_CRITICAL, "PAUSE holds for 1 pool; 5 clients wait");
    wait_for(POOL_WHY_PAUSED, 0, 0);
    expect_first(DIAGNOSIS_PAUSED, SEVERITY_WARNING, "PAUSE holds");
    fresh(NULL);
    facts.draining = true;
    expect_first(DIAGNOSIS_DRAINING, SEVERITY_WARNING, "drains");
    facts.reload_error = "unknown key \"workerz\"";
    facts.audit_failing = true;
    diagnose(&facts, &found);
    assert_int_equal(found.count, 3);
    assert_non_null(strstr(found.findings[2].sentence, "workerz"));
    facts.workers_stuck = 2;
    expect_first(DIAGNOSIS_STUCK, SEVERITY_CRITICAL, "2 worker threads are not answering");
}

static void what_it_lives_on(void **state)
{
    (void)state;
    facts.redis_why = "connection refused";
    expect_first(DIAGNOSIS_REDIS, SEVERITY_WARNING,
                 "Redis is gone: connection refused; routes stay");
    facts.redis_refuses = true;
    expect_first(DIAGNOSIS_REDIS, SEVERITY_CRITICAL, "logins by IAM token are turned away");
    facts.redis_why = NULL; /* there is none, or it is there */
    expect_first(DIAGNOSIS_HEALTHY, SEVERITY_OK, "All is well");
    facts.routes_why = "AccessDenied";
    expect_first(DIAGNOSIS_ROUTES, SEVERITY_WARNING, "the last one stays in force: AccessDenied");
    facts.has_no_routes = true;
    expect_first(DIAGNOSIS_ROUTES, SEVERITY_CRITICAL, "nobody can be served: AccessDenied");
}

static void credentials(void **state)
{
    (void)state;
    facts.credentials_cluster = slice_str("serverless");
    facts.credentials_why = slice_str("AccessDenied");
    expect_first(DIAGNOSIS_CREDENTIALS, SEVERITY_WARNING,
                 "no credentials for cluster serverless: AccessDenied");
    pools[0].failure = slice_str("not authorised");
    wait_for(POOL_WHY_CREDENTIALS, 2, 10);
    expect_first(DIAGNOSIS_CREDENTIALS, SEVERITY_CRITICAL,
                 "cluster warehouse: not authorised (2 clients wait)");
}

/* However long the names are, text is cut, not overrun; every cause at once fits. */
static void everything_at_once(void **state)
{
    (void)state;
    static char name[4000];
    memset(name, 'n', sizeof name - 1);
    facts = (struct diagnosis_facts){ .pools = pools,
                                      .n_pools = POOLS,
                                      .draining = true,
                                      .audit_failing = true,
                                      .reload_error = name,
                                      .workers_stuck = 1,
                                      .queries = 10,
                                      .query_ms = 1000000,
                                      .usual_queries = 10,
                                      .usual_query_ms = 10,
                                      .denied = 9,
                                      .refusal = { slice_str(name), slice_str(name),
                                                   slice_str(name), 1 } };
    for (size_t i = 0; i < POOLS; i++)
        pools[i] = (struct pool_facts){
            .key = slice_str(name),
            .cluster = slice_str(name),
            .failure = slice_str(name),
            .n = { [POOL_WHY] = POOL_WHY_PAUSED + i, [POOL_MAX_WAIT_MS] = 5000 }
        };
    diagnose(&facts, &found);
    assert_true(found.count >= 8);
    for (size_t i = 0; i < found.count; i++) {
        assert_true(strlen(found.findings[i].sentence) > 0);
        if (i) assert_true(found.findings[i].severity <= found.findings[i - 1].severity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_wrong, fresh),
        cmocka_unit_test_setup(sharing_is_no_illness, fresh),
        cmocka_unit_test_setup(the_pool, fresh),
        cmocka_unit_test_setup(redshift, fresh),
        cmocka_unit_test_setup(a_full_pool_for_redshifts_sake, fresh),
        cmocka_unit_test_setup(slow_needs_evidence, fresh),
        cmocka_unit_test_setup(my_rule, fresh),
        cmocka_unit_test_setup(operators_and_the_rest, fresh),
        cmocka_unit_test_setup(what_it_lives_on, fresh),
        cmocka_unit_test_setup(credentials, fresh),
        cmocka_unit_test_setup(everything_at_once, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
