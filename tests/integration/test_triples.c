/* Random tables, sessions and statements, through all that may be asked: where the data path really
 * goes, what the console and the command say of it, and what the record of it says when two tables
 * are compared. (The library alone: a hundred thousand of them, tests/unit/test_agree.c.)
 *
 *   TRIPLES=N   pairs of tables (6), of 96 triples each      TRIPLES_SEED=N   which
 */
#include "integration/routing_world.h"

#include <signal.h>
#include <sys/stat.h>

enum { SESSIONS = 6, STATEMENTS = 8, SQL_BYTES = 200 };

struct session {
    const char *user, *application, *group;
    struct raw *raw;
    int sql[STATEMENTS];
};

static const char
    *const users[] = { "ana", "keeper", "idler", "ops" },
           *const applications[] = { "Tableau 9", "psql", "etl-nightly", "" },
           *const groups[] = { "g1", "nightly", "" },
           *const statements[] = {
               "select current_setting('port') from mart.sales limit 1",
               "select current_setting('port') from public.events limit 1",
               "SELECT current_setting('port') FROM Mart.Sales, events limit 1",
               "select current_setting('port') as report_x",
               "with w as (select name from mart.sales) select current_setting('port') from "
               "w limit 1",
               "insert into odd.t values (1) returning current_setting('port')",
               "insert into mart.sales select name from public.events limit 1 returning "
               "current_setting('port')",
               "update public.events set name = name returning current_setting('port')",
               "/* mart.sales */ select current_setting('port') from odd.t right join "
               "public.events on true limit 1",
           };

#define SOME(list) (list)[(size_t)random() % (sizeof(list) / sizeof *(list))]

/* ---- a table -------------------------------------------------------------------------------- */

static void add_condition(FILE *f, bool *any, const char *key, const char *values)
{
    fprintf(f, "%s\"%s\": %s", *any ? ", " : "", key, values);
    *any = true;
}

static void add_rule(FILE *f, int number)
{
    static const char *const who[] = { "\"ana\"", "[\"keeper\", \"ops\"]", "\"i*\"" },
                             *const what[] = { "\"Tableau*\"", "\"psql\"",
                                               "[\"*nightly\", \"psql\"]" },
                             *const group[] = { "\"nightly\"", "[\"g1\", \"g2\"]" },
                             *const verb[] = { "\"SELECT\"", "[\"INSERT\", \"UPDATE\"]",
                                               "\"UPDATE\"" },
                             *const table[] = { "\"mart.*\"", "[\"public.events\", \"odd.*\"]",
                                                "\"*.t\"" },
                             *const query[] = { "\"report_[a-z]\"", "\"(?i)right join\"",
                                                "\"returning\"" },
                             *const net[] = { "\"127.0.0.0/8\"", "\"10.0.0.0/8\"" };
    bool any = false;
    fprintf(f, "  { \"id\": \"r%d\", \"when\": { ", number);
    if (random() % 3 == 0) add_condition(f, &any, "user", SOME(who));
    if (random() % 3 == 0) add_condition(f, &any, "application", SOME(what));
    if (random() % 4 == 0) add_condition(f, &any, "query_group", SOME(group));
    if (random() % 3 == 0) add_condition(f, &any, "statement", SOME(verb));
    if (random() % 3 == 0) add_condition(f, &any, "tables", SOME(table));
    if (random() % 5 == 0) add_condition(f, &any, "query", SOME(query));
    if (random() % 6 == 0) add_condition(f, &any, "client", SOME(net));
    if (random() % 8 == 0) add_condition(f, &any, "percent", "50");
    if (!any) add_condition(f, &any, "user", "\"ana\"");
    fprintf(f, " }, \"to\": \"%s\" },\n", names[random() % CLUSTERS]);
}

/* To be freed. */
static char *some_table(int version)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "{ \"version\": %d, \"rules\": [\n", version);
    for (int i = 0, n = 3 + (int)(random() % 8); i < n; i++) add_rule(f, i);
    fprintf(f, "  { \"id\": \"rest\", \"to\": \"%s\" } ] }\n", names[random() % CLUSTERS]);
    fclose(f);
    return text;
}

static void put_in_force(struct world *w, const char *name, const char *text)
{
    int reloads = before_log_count(w->kit, &w->proxy, "config.reloaded");
    kit_file(w->kit, name, text);
    kit_file(w->kit, "routes.json", text);
    kill(w->proxy.pid, SIGHUP);
    assert_true(before_log_counts(w->kit, &w->proxy, "config.reloaded", reloads + 1));
}

/* ---- who is asked --------------------------------------------------------------------------- */

static void log_in(struct world *w, struct session *s)
{
    s->raw = raw_open(w->proxy.port, NULL);
    raw_startup(s->raw, RAW_PROTOCOL_3_0,
                (const char *[]){ "user", s->user, "database", "postgres", "application_name",
                                  s->application, s->group[0] ? "query_group" : NULL, s->group,
                                  NULL });
    const char *said = raw_answer(s->raw);
    if (!strstr(said, "ZI")) fail_msg("%s: %s", s->user, said);
}

/* The cluster whose PostgreSQL has run it: alone, or behind a BEGIN, simple or not. */
static int ran_at(struct world *w, struct session *s, const char *sql)
{
    const int how = (int)(random() % 4);
    int port = 0, type;
    if (how & 1) {
        raw_query(s->raw, "begin");
        assert_string_equal(raw_answer(s->raw), "C ZT");
    }
    if (how & 2) {
        raw_parse(s->raw, "", sql);
        raw_bind(s->raw, "");
        raw_execute(s->raw);
        raw_sync(s->raw);
    } else {
        raw_query(s->raw, sql);
    }
    while ((type = raw_next(s->raw)) != 'Z') {
        if (type < 0 || type == 'E') fail_msg("%s: %s", sql, raw_field(s->raw, 'M'));
        if (type == 'D') port = atoi((const char *)s->raw->body + 6);
    }
    if (how & 1) {
        raw_query(s->raw, "rollback");
        assert_string_equal(raw_answer(s->raw), "C ZI");
    }
    return port == w->pg[HEAVY].port ? HEAVY : port == w->pg[LIGHT].port ? LIGHT : CLUSTERS;
}

static int first_cluster(const char *json)
{
    const char *to = strstr(json, "\"to\":[\"");
    if (!to) fail_msg("%s", json);
    return strncmp(to + 7, "heavy\"", 6) == 0 ? HEAVY : LIGHT;
}

/* What the console says; and, for some, what the command says, which must be the same. */
static int explained(struct world *w, PGconn *console, const struct session *s, const char *sql,
                     bool ask_command)
{
    char command[900], said[16000];
    snprintf(command, sizeof command,
             "explain route user %s database postgres client '127.0.0.1' application '%s' "
             "query_group '%s' at '2026-11-23T12:00:00Z' format json%s%s%s",
             s->user, s->application, s->group, sql ? " for $q$" : "", sql ? sql : "",
             sql ? "$q$" : "");
    PGresult *r = PQexec(console, command);
    if (PQntuples(r) != 1) fail_msg("%s: %s", command, PQresultErrorMessage(r));
    int cluster = first_cluster(PQgetvalue(r, 0, 0));
    if (ask_command) {
        snprintf(command, sizeof command,
                 "%s route explain --config %s --json --user %s --database postgres --client "
                 "127.0.0.1 --application '%s' --query-group '%s' --at 2026-11-23T12:00:00Z %s%s%s",
                 kit_built(w->kit, "sluice"), w->proxy.config, s->user, s->application, s->group,
                 sql ? "\"" : "", sql ? sql : "", sql ? "\"" : "");
        FILE *f = popen(command, "r");
        said[fread(said, 1, sizeof said - 1, f)] = '\0';
        pclose(f);
        said[strcspn(said, "\n")] = '\0';
        assert_string_equal(said, PQgetvalue(r, 0, 0));
    }
    PQclear(r);
    return cluster;
}

/* ---- the test ------------------------------------------------------------------------------- */

static size_t lines_of(struct world *w)
{
    char *text = kit_read(kit_path(w->kit, "kept/traffic.jsonl"));
    size_t n = 0;
    for (const char *at = text; at && (at = strchr(at, '\n')); at++) n++;
    free(text);
    return n;
}

/* All sessions and statements under the table in force; where each went. */
static void go_through(struct world *w, struct session *sessions,
                       int where[SESSIONS][STATEMENTS + 1])
{
    PGconn *console = client(w, "ops", "dbname=sluice");
    for (int i = 0; i < SESSIONS; i++) {
        struct session *s = &sessions[i];
        log_in(w, s);
        where[i][STATEMENTS] = explained(w, console, s, NULL, i == 0);
        for (int j = 0; j < STATEMENTS; j++) {
            const char *sql = statements[s->sql[j]];
            where[i][j] = ran_at(w, s, sql);
            int said = explained(w, console, s, sql, i == j);
            if (where[i][j] != said)
                fail_msg("user %s application %s group %s: \"%s\" ran at %s, the console says %s",
                         s->user, s->application, s->group, sql, names[where[i][j]], names[said]);
        }
        raw_close(s->raw);
    }
    PQfinish(console);
}

/* What `route diff` says of the last `lines` of the record. */
static void compare(struct world *w, size_t lines, int wanted)
{
    char command[900], said[4000], words[60];
    const char *dir = kit_dir(w->kit);
    snprintf(command, sizeof command,
             "tail -n %zu %s/kept/traffic.jsonl | %s route diff %s/a.json %s/b.json --traffic - "
             "2>&1",
             lines, dir, kit_built(w->kit, "sluice"), dir, dir);
    FILE *f = popen(command, "r");
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    pclose(f);
    snprintf(words, sizeof words, "%zu decisions:", lines);
    assert_non_null(strstr(said, words));
    snprintf(words, sizeof words, ", %d differ", wanted);
    if (!strstr(said, words)) fail_msg("%d differ, but: %s", wanted, said);
}

static unsigned number_of(const char *name, unsigned usual)
{
    const char *given = getenv(name);
    return given ? (unsigned)strtoul(given, NULL, 10) : usual;
}

static void all_say_the_same(void **state)
{
    struct world *w = *state;
    const unsigned pairs = number_of("TRIPLES", 6), seed = number_of("TRIPLES_SEED", 1);
    for (unsigned pair = 0; pair < pairs; pair++) {
        struct session sessions[SESSIONS];
        int before[SESSIONS][STATEMENTS + 1], after[SESSIONS][STATEMENTS + 1], differ = 0;
        srandom(seed + pair);
        for (int i = 0; i < SESSIONS; i++) {
            sessions[i] = (struct session){ .user = SOME(users),
                                            .application = SOME(applications),
                                            .group = SOME(groups) };
            for (int j = 0; j < STATEMENTS; j++)
                sessions[i].sql[j] =
                    (int)((size_t)random() % (sizeof statements / sizeof *statements));
        }
        char *a = some_table(1), *b = some_table(2);
        put_in_force(w, "a.json", a);
        size_t lines = lines_of(w), due = lines + SESSIONS * (STATEMENTS + 1);
        go_through(w, sessions, before);
        for (int tries = 0; tries < 500 && lines_of(w) < due; tries++) kit_sleep_ms(10);
        assert_int_equal(lines_of(w), due);
        kit_file(w->kit, "b.json", b);
        put_in_force(w, "b.json", b);
        go_through(w, sessions, after);
        for (int tries = 0; tries < 500 && lines_of(w) < due + (due - lines); tries++)
            kit_sleep_ms(10);
        for (int i = 0; i < SESSIONS; i++)
            for (int j = 0; j <= STATEMENTS; j++) differ += before[i][j] != after[i][j];
        compare(w, SESSIONS * (STATEMENTS + 1), differ);
        free(a);
        free(b);
    }
}

static int setup(void **state)
{
    world_more = ", \"record\": \"kept/traffic.jsonl\", \"record_rate\": 100000";
    if (world_setup(state) != 0) return -1;
    struct world *w = *state;
    /* The proxy may run as somebody else. */
    return mkdir(kit_path(w->kit, "kept"), 0777) || chmod(kit_path(w->kit, "kept"), 0777);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_say_the_same) };
    return cmocka_run_group_tests(tests, setup, world_teardown);
}
