/* The command line from the outside: exit statuses, help, what wrong usage is told. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[256 * 1024];

/* Runs `sluice ARGS` in a shell, both outputs into `output`; the exit status. */
static int sluice(const char *args)
{
    const char *build = getenv("SLUICE_BUILD");
    char command[2048];
    snprintf(command, sizeof command, "%s/sluice %s 2>&1", build ? build : "build", args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(output, 1, sizeof output - 1, pipe);
    output[n] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(const char *args, int status, const char *says)
{
    int is = sluice(args);
    if (is != status || !strstr(output, says))
        fail_msg("sluice %s\nexit status %d, not %d, or it does not say: %s\n%s", args, is, status,
                 says, output);
}

static void help_is_there(void **state)
{
    (void)state;
    expect("--help", 0, "usage: sluice COMMAND");
    expect("--version", 0, "sluice 0.");
    expect("check --help", 0, "usage: sluice check --config FILE");
    expect("check --config x --help", 0, "--config FILE");
    expect("run --help", 0, "SIGHUP");
    expect("describe --help", 0, "--schema");
    expect("verifier --help", 0, "--method");
}

static void wrong_usage_is_2_and_helpful(void **state)
{
    (void)state;
    expect("", 2, "usage: sluice COMMAND");
    expect("chekc", 2, "did you mean \"check\"?");
    expect("qqqqqq", 2, "`sluice --help` lists them");
    expect("check", 2, "--config FILE is missing");
    expect("check --config", 2, "--config needs a FILE");
    expect("check --confg x", 2, "did you mean --config?");
    expect("check --config x --config y", 2, "given twice");
    expect("check --quiet=1 --config x", 2, "takes no argument");
    expect("check --config x y", 2, "unexpected \"y\"");
    expect("check -c x", 2, "unexpected \"-c\"");
    expect("describe", 2, "say which page");
    expect("describe conifg", 2, "did you mean config?");
    expect("describe errors --schema", 2, "--schema goes with config");
    expect("run --config", 2, "usage: sluice run");
}

static void check_tells_every_problem(void **state)
{
    (void)state;
    const char *root = getenv("SLUICE_ROOT");
    char args[512];
    snprintf(args, sizeof args, "check --config %s/tests/config/bad/references.json",
             root ? root : ".");
    expect(args, 1, "references.json:24: error: users.ana: role \"analist\" is not defined");
    expect("check --config /nonexistent", 1, "/nonexistent:0: error: cannot read: No such file");
}

/* A configuration whose files are all there, in a directory of its own. */
static void check_is_content(void **state)
{
    (void)state;
    char directory[] = "/tmp/sluice-test-XXXXXX", path[64], args[128];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/sluice.json", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(
        "{ \"listen\": [ { \"address\": \"127.0.0.1:21210\" } ],\n"
        "  \"clusters\": { \"db\": { \"endpoint\": \"127.0.0.1:5432\", \"tls\": null, "
        "\"credentials\":\n"
        "    { \"source\": \"static\", \"users\": { \"ana\": \"env:SLUICE_TEST_UNSET\" } } } },\n"
        "  \"users\": { \"ana\": { \"auth\": \"trust\", \"role\": \"all\" } },\n"
        "  \"roles\": { \"all\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
        "  \"access\": [ { \"from\": \"127.0.0.0/8\" } ] }\n",
        file);
    fclose(file);
    snprintf(args, sizeof args, "check --config=%s", path);
    expect(args, 0, "sluice.json:3: warning: the variable SLUICE_TEST_UNSET is not set");
    assert_non_null(strstr(output, "sluice.json: fine\n"));
    snprintf(args, sizeof args, "check --quiet --config %s", path);
    expect(args, 0, "");
    assert_null(strstr(output, "fine"));
    unlink(path);
    rmdir(directory);
}

static void pages_are_described(void **state)
{
    (void)state;
    expect("describe config", 0, "### `clusters.NAME.credentials`");
    expect("describe config --schema", 0, "draft-07");
    expect("describe errors", 0, "| LOGIN_FAILED | 28P01 | FATAL |");
    expect("describe routes", 0, "### `rules[].when`");
    expect("describe messages", 0, "| QUERY | `Q` |");
    expect("describe manual", 0, ".SS \"sluice iam\\-policy\"");
    expect("describe completion", 0, "complete -F _sluice sluice");
    expect("describe -- config", 0, "### Top level");
}

static void a_full_disk_is_not_fine(void **state)
{
    (void)state;
    struct stat full;
    if (stat("/dev/full", &full) != 0) skip();
    expect("describe config >/dev/full", 1, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_there),
        cmocka_unit_test(wrong_usage_is_2_and_helpful),
        cmocka_unit_test(check_tells_every_problem),
        cmocka_unit_test(check_is_content),
        cmocka_unit_test(pages_are_described),
        cmocka_unit_test(a_full_disk_is_not_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
