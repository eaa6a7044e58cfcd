/* sluice route, and the routes in sluice check: from the outside, on files. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[64 * 1024], directory[] = "/tmp/sluice-route-XXXXXX";

/* Runs `sluice ARGS` in the directory, both outputs into `output`, and looks for what it says. */
static void expect(const char *args, int status, const char *says)
{
    const char *build = getenv("SLUICE_BUILD");
    char command[2048];
    snprintf(command, sizeof command, "cd %s && PASSWORD=x %s/sluice %s 2>&1", directory,
             build ? build : "build", args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(output, 1, sizeof output - 1, pipe);
    output[n] = '\0';
    int is = WEXITSTATUS(pclose(pipe));
    if (is != status || !strstr(output, says))
        fail_msg("sluice %s\nexit status %d, not %d, or it does not say: %s\n%s", args, is, status,
                 says, output);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int put_files(void **state)
{
    (void)state;
    if (!mkdtemp(directory)) return -1;
    put("sluice.json",
        "{ \"listen\": [ { \"address\": \"127.0.0.1:21710\" } ],\n"
        "  \"clusters\": {\n"
        "    \"warehouse\": { \"endpoint\": \"127.0.0.1:21711\", \"tls\": null, \"credentials\":\n"
        "      { \"source\": \"static\", \"users\": { \"ana\": \"env:PASSWORD\", \"loader\": "
        "\"env:PASSWORD\" } } },\n"
        "    \"bi\": { \"endpoint\": \"127.0.0.1:21712\", \"tls\": null, \"credentials\":\n"
        "      { \"source\": \"static\", \"users\": { \"ana\": \"env:PASSWORD\" } } } },\n"
        "  \"users\": { \"ana\": { \"auth\": \"trust\", \"role\": \"analyst\" },\n"
        "    \"loader\": { \"auth\": \"trust\", \"role\": \"loader\" } },\n"
        "  \"roles\": { \"analyst\": { \"grants\": [ { \"verbs\": [\"SELECT\"], \"on\": [\"*.*\"] "
        "} ],\n"
        "      \"search_path\": \"mart\" }, \"loader\": { \"insert_only\": [\"public.events\"] } "
        "},\n"
        "  \"access\": [ { \"from\": \"127.0.0.0/8\" } ],\n"
        "  \"routes\": { \"source\": \"file:routes.json\" } }\n");
    put("routes.json",
        "{ \"version\": 12, \"rules\": [\n"
        "  { \"id\": \"loads\", \"when\": { \"role\": \"loader\" }, \"to\": \"warehouse\",\n"
        "    \"pool\": { \"mode\": \"session\", \"size\": 7 } },\n"
        "  { \"id\": \"heavy\", \"when\": { \"statement\": \"SELECT\", \"tables\": \"mart.*\" }, "
        "\"to\": \"bi\" },\n"
        "  { \"id\": \"summer\", \"when\": { \"hour\": \"08-09\", \"timezone\": \"Europe/Berlin\" "
        "},\n"
        "    \"to\": \"warehouse\" },\n"
        "  { \"id\": \"default\", \"to\": \"warehouse\" } ],\n"
        "  \"tests\": [ { \"user\": \"loader\", \"expect\": { \"rule\": \"loads\" } } ] }\n");
    put("bad.json",
        "{ \"rules\": [\n"
        "  { \"id\": \"a\", \"when\": { \"user\": \"ana\" }, \"to\": \"wharehouse\" },\n"
        "  { \"id\": \"b\", \"to\": \"bi\", \"pool\": { \"sice\": 7 } },\n"
        "  { \"id\": \"c\", \"to\": \"bi\" } ] }\n");
    put("new.json", "{ \"rules\": [ { \"id\": \"default\", \"to\": \"bi\" } ] }\n");
    put("traffic.jsonl",
        "{\"at\":\"2026-07-06T12:00:00Z\",\"user\":\"ana\",\"role\":\"analyst\",\"fingerprint\":"
        "\"f1\"}\n"
        "{\"at\":\"2026-07-06T12:00:00Z\",\"user\":\"ana\",\"role\":\"analyst\",\"statement\":\n");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    static const char *const names[] = { "sluice.json", "routes.json", "bad.json", "new.json",
                                         "traffic.jsonl" };
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

#define ANA "route explain --config sluice.json --user ana --database dev "

static void a_session_is_explained(void **state)
{
    (void)state;
    expect(
        ANA "--at 2026-07-06T12:00:00Z", 0,
        "  1  loads (line 2): no, role is \"analyst\", wanted \"loader\"\n"
        "  2  heavy (line 4): decides at statements only\n"
        "  3  summer (line 5): no, hour is \"mon 14:00\" in Europe/Berlin, wanted \"08:00-09:00\"\n"
        "> 4  default (line 7): matches\n");
    expect(ANA "--at 2026-07-06T06:30:00Z", 0, "> 3  summer"); /* 08:30 in summer there */
    expect(ANA "--at 2026-01-06T06:30:00Z", 0, "> 4  default");
    expect("route explain --config sluice.json --user loader --database dev", 0,
           "servers of:   warehouse, dev, loader, loader (session mode, at most 7)");
    expect(ANA "--json", 0, "\"servers\":{\"cluster\":\"warehouse\"");
}

static void a_statement_is_explained(void **state)
{
    (void)state;
    expect(ANA "'select * from sales'", 0, "> 2  heavy (line 4): matches\n");
    assert_non_null(strstr(output, "servers of:   bi, dev, ana, analyst"));
    expect(ANA "'select * from public.sales'", 0, "tables is \"public.sales\", wanted \"mart.*\"");
    expect(ANA "'select * from sales frobnicate me'", 0, "not understood to its end");
}

static void check_reads_the_routes(void **state)
{
    (void)state;
    expect("check --config sluice.json", 0, "fine");
    expect(ANA "--routes bad.json", 1,
           "bad.json:2: error: there is no cluster \"wharehouse\"; did you mean \"warehouse\"?");
    assert_non_null(
        strstr(output, "bad.json:3: error: pool.sice: unknown key; did you mean \"size\"?"));
    assert_non_null(strstr(output,
                           "bad.json:4: error: rule \"c\": cluster \"bi\" has no password for "
                           "db_user \"loader\""));
}

static void differences_are_told(void **state)
{
    (void)state;
    expect("route diff routes.json new.json --traffic traffic.jsonl", 1,
           "1 decisions: 0 the same, 0 by another rule to the same effect, 1 differ\n"
           "1 lines could not be read\n"
           "       1  default => default: warehouse -> bi\n");
    expect("route diff routes.json routes.json --traffic - < traffic.jsonl", 0, "1 the same");
    expect("route diff routes.json new.json --json --traffic traffic.jsonl", 1, "\"differ\":1");
    expect("route diff routes.json bad.json --traffic traffic.jsonl", 1, "the same");
    expect("route diff routes.json nowhere.json --traffic traffic.jsonl", 1, "nowhere.json: ");
    expect("route diff routes.json new.json --traffic nowhere", 1, "cannot read nowhere");
}

static void wrong_usage(void **state)
{
    (void)state;
    expect("route", 2, "explain, diff, publish, activate, rollback or history?");
    expect("route explian", 2, "unknown: \"explian\"");
    expect("route explain --config sluice.json --database dev", 2, "--user USER is missing");
    expect(ANA "--client nowhere", 2, "--client is an IP address");
    expect(ANA "--at noon", 2, "--at is a moment");
    expect("route diff routes.json --traffic t", 2, "two tables: OLD NEW");
    expect("route diff routes.json new.json", 2, "--traffic FILE is missing");
    expect("route explain --config sluice.json --user nobody --database dev", 1,
           "no user \"nobody\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_explained),
        cmocka_unit_test(a_statement_is_explained),
        cmocka_unit_test(check_reads_the_routes),
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(wrong_usage),
    };
    return cmocka_run_group_tests(tests, put_files, remove_files);
}
