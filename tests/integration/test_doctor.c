/* `sluice doctor` before a real PostgreSQL and a real Redis: what is well, and each way of not
 * being well that one machine can show: refused, silent, no name, no TLS, no login. */
#include "support/before.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct redis redis;
};

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    w->kit = kit_new("doctor");
    setenv("RIGHT", "right", 1);
    setenv("WRONG", "wrong", 1);
    setenv("KEY", "a key of at least sixteen bytes", 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    return postgres_start(w->kit, &w->pg, &(struct postgres_options){ .auth = "scram-sha-256" }) &&
                   postgres_run(&w->pg, "create role dev login password 'right'") &&
                   redis_start(w->kit, &w->redis)
               ? 0
               : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    kit_free(w->kit);
    free(w);
    return 0;
}

/* The configuration has one cluster and one cache; returns the exit status, `said` to be freed. */
static int doctor(struct world *w, const char *endpoint, const char *tls, const char *password,
                  int redis_port, const char *words, char **said)
{
    char *text, *command;
    const char *out = kit_path(w->kit, "said");
    if (asprintf(
            &text,
            "{ \"listen\": [ { \"address\": \"127.0.0.1:1\" } ],\n"
            "  \"aws\": { \"region\": \"us-east-1\" },\n"
            "  \"clusters\": { \"house\": { \"endpoint\": \"%s\", \"tls\": { \"mode\": \"%s\" },\n"
            "    \"credentials\": { \"source\": \"static\", \"users\": { \"dev\": \"env:%s\" } } } "
            "},\n"
            "  \"users\": { \"dev\": { \"auth\": [\"trust\"], \"role\": \"owner\" } },\n"
            "  \"roles\": { \"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] "
            "} },\n"
            "  \"access\": [ { \"from\": \"127.0.0.1\" } ],\n"
            "  \"routes\": { \"source\": \"redis:\", \"cache\": \"redis://127.0.0.1:%d\",\n"
            "                \"signing_key\": \"env:KEY\" } }\n",
            endpoint, tls, password, redis_port) < 0)
        abort();
    const char *config = kit_file(w->kit, "doctor.json", text);
    if (asprintf(&command, "%s doctor --config %s --database postgres %s > %s 2>&1",
                 kit_built(w->kit, "sluice"), config, words, out) < 0)
        abort();
    int status = system(command);
    *said = kit_read(out);
    free(text);
    free(command);
    assert_true(WIFEXITED(status) && *said);
    return WEXITSTATUS(status);
}

static void expect(struct world *w, const char *endpoint, const char *tls, const char *password,
                   const char *words, int status, const char *says, const char *says_too)
{
    char *said;
    int is = doctor(w, endpoint, tls, password, w->redis.port, words, &said);
    if (is != status || !strstr(said, says) || !strstr(said, says_too))
        fail_msg("status %d; not said: \"%s\" or \"%s\" in:\n%s", is, says, says_too, said);
    free(said);
}

static const char *house(struct world *w)
{
    static char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%d", w->pg.port);
    return text;
}

static void all_is_well(void **state)
{
    struct world *w = *state;
    expect(w, house(w), "disable", "RIGHT", "", 0, "PASS  redis        login",
           "logged in; PostgreSQL 15");
    expect(w, house(w), "disable", "RIGHT", "house", 0, "PASS  house        connect",
           "database postgres");
    expect(w, house(w), "disable", "RIGHT", "redis --json", 0, "\"part\":\"redis\"",
           "\"step\":\"login\"");
}

static void wrong_passwords(void **state)
{
    struct world *w = *state;
    expect(w, house(w), "disable", "WRONG", "house", 1, "28P01", "sluice credentials test");
}

static void no_tls_where_it_is_wanted(void **state)
{
    struct world *w = *state;
    expect(w, house(w), "verify-full", "RIGHT", "house", 1, "TLS", "clusters.NAME.ca");
}

static void nobody_listens(void **state)
{
    struct world *w = *state;
    char text[64], *said;
    snprintf(text, sizeof text, "127.0.0.1:%d", kit_port(w->kit));
    expect(w, text, "disable", "RIGHT", "house", 1, "FAIL  house        connect", "check the port");
    int status = doctor(w, text, "disable", "RIGHT", kit_port(w->kit), "redis", &said);
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "check the port in routes.cache"));
    free(said);
}

static void names_that_are_none(void **state)
{
    struct world *w = *state;
    expect(w, "no-such-host.invalid:5439", "disable", "RIGHT", "house", 1,
           "FAIL  house        name", "describe-clusters");
    expect(w, house(w), "disable", "RIGHT", "huose", 2, "did you mean house?", "usage:");
}

/* A full queue of connections that nobody accepts: the kernel drops what more comes, as a security
 * group does. */
static void silence(void **state)
{
    struct world *w = *state;
    enum { FILL = 8 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    int fills[FILL], l = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(l, 0), 0);
    getsockname(l, (struct sockaddr *)&at, &size);
    for (int i = 0; i < FILL; i++) {
        fills[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fills[i], (struct sockaddr *)&at, size);
    }
    kit_sleep_ms(100);
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(at.sin_port));
    expect(w, text, "disable", "RIGHT", "house", 1, "no answer within 3 s",
           "authorize-security-group-ingress");
    for (int i = 0; i < FILL; i++) close(fills[i]);
    close(l);
}

/* No key is anywhere: said, and the way to DynamoDB is looked at all the same. */
static void no_keys(void **state)
{
    struct world *w = *state;
    expect(w, house(w), "disable", "RIGHT", "sts", 1, "FAIL  sts          keys",
           "sluice credentials test");
    expect(w, house(w), "disable", "RIGHT", "dynamodb", 0, "SKIP", "no DynamoDB table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(wrong_passwords),
        cmocka_unit_test(no_tls_where_it_is_wanted),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(silence),
        cmocka_unit_test(no_keys),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
