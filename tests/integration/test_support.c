/* The kit itself: servers start as asked, end with the kit, and the doubles misbehave as told.
 * Everything here runs without Sluice: what these tests say of a server, the others may rely on. */
#include "support/fixtures.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int kit_setup(void **state)
{
    *state = kit_new("support");
    return 0;
}

static int kit_teardown(void **state)
{
    kit_free(*state);
    return 0;
}

static bool can_login(int port, const char *user, const char *extra)
{
    PGconn *c = connect_to(port, user, extra);
    bool yes = PQstatus(c) == CONNECTION_OK;
    PQfinish(c);
    return yes;
}

static void postgres_asks_for_the_password_it_was_told_to(void **state)
{
    static const char *const methods[] = { "md5", "scram-sha-256", "password" };
    for (size_t at = 0; at < sizeof methods / sizeof *methods; at++) {
        struct postgres p;
        assert_true(postgres_start(*state, &p, &(struct postgres_options){ .auth = methods[at] }));
        assert_true(postgres_run(&p, "create user ana password 'right'"));
        assert_true(can_login(p.port, "ana", "password=right"));
        assert_false(can_login(p.port, "ana", "password=wrong"));
        assert_false(can_login(p.port, "ana", ""));
        postgres_stop(*state, &p);
        assert_false(can_login(p.port, "ana", "password=right"));
    }
}

static void certificates_are_good_and_bad_as_named(void **state)
{
    const char *dir = certs_make(*state, (const char *const[]){ "ana", "ben", NULL });
    assert_non_null(dir);
    struct postgres p;
    assert_true(
        postgres_start(*state, &p, &(struct postgres_options){ .auth = "cert", .certs = dir }));
    assert_true(postgres_run(&p, "create user ana"));

    char words[2000];
    const struct {
        const char *client, *ca;
        bool welcome;
    } cases[] = { { "ana", "ca", true },
                  { "ben", "ca", false },      /* another user's certificate */
                  { "stranger", "ca", false }, /* another CA's */
                  { "ana", "stranger-ca", false } };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        snprintf(words, sizeof words,
                 "sslmode=verify-full sslrootcert=%s/%s.crt sslcert=%s/%s.crt sslkey=%s/%s.key",
                 dir, cases[at].ca, dir, cases[at].client, dir, cases[at].client);
        assert_int_equal(can_login(p.port, "ana", words), cases[at].welcome);
    }
    postgres_stop(*state, &p);
}

static void redis_answers(void **state)
{
    struct redis r;
    assert_true(redis_start(*state, &r));
}

/* A test program dies by SIGKILL: its servers and its directory go all the same. */
static void nothing_survives_the_program(void **state)
{
    (void)state;
    int ends[2];
    char dir[300] = "", port[16] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (!pid) {
        struct kit *k = kit_new("doomed");
        struct postgres p;
        if (!postgres_start(k, &p, NULL)) _exit(1);
        dprintf(ends[1], "%s %d", kit_dir(k), p.port);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ends[1]);
    char line[400] = "";
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    close(ends[0]);
    assert_int_equal(sscanf(line, "%299s %15s", dir, port), 2);
    struct stat st;
    for (int tries = 0; tries < 300 && stat(dir, &st) == 0; tries++) kit_sleep_ms(20);
    assert_int_equal(stat(dir, &st), -1);
    assert_false(can_login(atoi(port), "postgres", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postgres_asks_for_the_password_it_was_told_to),
        cmocka_unit_test(certificates_are_good_and_bad_as_named),
        cmocka_unit_test(redis_answers),
        cmocka_unit_test(nothing_survives_the_program),
    };
    return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
