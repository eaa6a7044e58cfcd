#include "support/fixtures.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENT_CAP = 40 };

const char *certs_make(struct kit *k, const char *const users[])
{
    const char *dir = kit_path(k, "certs");
    const char *argv[ARGUMENT_CAP] = { kit_source(k, "tests/support/certs.sh"), dir };
    for (int at = 0; users && users[at] && at < 8; at++) argv[2 + at] = users[at];
    if (kit_run(k, "certs.log", argv) == 0) return dir;
    kit_print_log(k, "certs.log", stderr);
    return NULL;
}

/* ---- PostgreSQL
 * ----------------------------------------------------------------------------------
 */

bool postgres_start(struct kit *k, struct postgres *p, const struct postgres_options *options)
{
    const struct postgres_options none = { 0 }, *o = options ? options : &none;
    char port[16];
    *p = (struct postgres){ .port = kit_port(k) };
    p->dir = kit_path(k, "pg%d", p->port);
    p->log_name = strrchr(kit_path(k, "pg%d.log", p->port), '/') + 1;
    snprintf(port, sizeof port, "%d", p->port);

    const char *argv[ARGUMENT_CAP] = { kit_source(k, "tests/support/postgres.sh"), p->dir, port };
    int n = 3;
    const struct {
        const char *name, *value;
    } flags[] = { { "--auth", o->auth }, { "--hba", o->hba }, { "--tls", o->certs } };
    for (size_t at = 0; at < sizeof flags / sizeof *flags; at++)
        if (flags[at].value) {
            argv[n++] = flags[at].name;
            argv[n++] = flags[at].value;
        }
    for (int at = 0; o->settings && o->settings[at] && n < ARGUMENT_CAP - 3; at++) {
        argv[n++] = "--set";
        argv[n++] = o->settings[at];
    }
    p->pid = kit_start(k, p->log_name, argv);
    if (!kit_wait_port(k, p->pid, p->log_name, p->port)) return false;
    char conninfo[600];
    snprintf(conninfo, sizeof conninfo, "host=%s port=%d", p->dir, p->port);
    while (PQping(conninfo) != PQPING_OK && kit_is_running(k, p->pid)) kit_sleep_ms(20);
    return kit_is_running(k, p->pid);
}

void postgres_stop(struct kit *k, struct postgres *p) { kit_stop(k, p->pid, SIGQUIT, 10000); }

static PGresult *postgres_query(struct postgres *p, const char *sql)
{
    char conninfo[600];
    PGresult *result = NULL;
    snprintf(conninfo, sizeof conninfo, "host=%s port=%d user=postgres dbname=postgres", p->dir,
             p->port);
    PGconn *c = PQconnectdb(conninfo);
    if (PQstatus(c) == CONNECTION_OK) result = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "postgres: %s: %s", sql, PQerrorMessage(c));
        PQclear(result);
        result = NULL;
    }
    PQfinish(c);
    return result;
}

bool postgres_run(struct postgres *p, const char *sql)
{
    PGresult *result = postgres_query(p, sql);
    PQclear(result);
    return result != NULL;
}

char *postgres_ask(struct postgres *p, const char *sql)
{
    PGresult *result = postgres_query(p, sql);
    char *value = NULL;
    if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
        value = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    return value;
}

/* ---- Redis
 * ---------------------------------------------------------------------------------------
 */

bool redis_start(struct kit *k, struct redis *r)
{
    char port[16];
    r->port = kit_port(k);
    snprintf(port, sizeof port, "%d", r->port);
    const char *name = strrchr(kit_path(k, "redis%d.log", r->port), '/') + 1;
    r->pid = kit_start(k, name,
                       (const char *const[]){ kit_source(k, "tests/support/redis.sh"),
                                              kit_path(k, "redis%d", r->port), port, NULL });
    return kit_wait_port(k, r->pid, name, r->port);
}

/* ---- Sluice
 * --------------------------------------------------------------------------------------
 */

static char *replace(char *text, const char *name, const char *value)
{
    char *found;
    while ((found = strstr(text, name))) {
        char *longer;
        if (asprintf(&longer, "%.*s%s%s", (int)(found - text), text, value, found + strlen(name)) <
            0)
            abort();
        free(text);
        text = longer;
    }
    return text;
}

bool proxy_start(struct kit *k, struct proxy *p, const char *config)
{
    char port[16];
    if (!p->port) p->port = kit_port(k);
    p->starts++;
    p->log_name = strrchr(kit_path(k, "sluice%d.%d.log", p->port, p->starts), '/') + 1;
    snprintf(port, sizeof port, "%d", p->port);
    char *text = replace(replace(strdup(config), "@port@", port), "@dir@", kit_dir(k));
    char name[64];
    snprintf(name, sizeof name, "sluice%d.json", p->port);
    p->config = kit_file(k, name, text);
    free(text);
    p->pid = kit_start(k, p->log_name,
                       (const char *const[]){ kit_source(k, "tests/support/sluice.sh"),
                                              kit_path(k, "sluice%d.%d", p->port, p->starts),
                                              kit_built(k, "sluice"), "run", "--config", p->config,
                                              NULL });
    return kit_wait_port(k, p->pid, p->log_name, p->port);
}

bool proxy_stop(struct kit *k, struct proxy *p)
{
    int status = kit_stop(k, p->pid, SIGTERM, 20000);
    char *log = kit_read(kit_path(k, "%s", p->log_name));
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0 && log &&
                 !strstr(log, "Sanitizer") && !strstr(log, "runtime error:");
    free(log);
    if (!clean) {
        fprintf(stderr, "sluice ended with %s %d\n", WIFEXITED(status) ? "status" : "signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        kit_print_log(k, p->log_name, stderr);
    }
    return clean;
}

bool proxy_log_has(struct kit *k, const struct proxy *p, const char *text, int wait_ms)
{
    long long until = kit_now_ms() + wait_ms;
    const char *path = kit_path(k, "%s", p->log_name);
    for (;;) {
        char *log = kit_read(path);
        bool found = log && strstr(log, text);
        free(log);
        if (found || kit_now_ms() >= until) return found;
        kit_sleep_ms(20);
    }
}

PGconn *connect_to(int port, const char *user, const char *extra)
{
    char conninfo[2000];
    snprintf(conninfo, sizeof conninfo,
             "host=localhost hostaddr=127.0.0.1 port=%d user=%s dbname=postgres connect_timeout=20 "
             "sslmode=disable gssencmode=disable %s",
             port, user, extra ? extra : "");
    return PQconnectdb(conninfo);
}
