#include "support/before.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char * or (const char *given, const char *usual) { return given ? given : usual; }

char *before_config(const struct before *b)
{
    char *text, endpoint[64];
    setenv("PG_PASSWORD", "none", 0);
    snprintf(endpoint, sizeof endpoint, "localhost:%d", b->server_port);
    int n = asprintf(
        &text,
        "{ \"server_id\": \"test\", \"workers\": %d, %s\n"
        "  \"listen\": [ { \"address\": \"127.0.0.1:@port@\"%s%s } ],\n"
        "  \"clusters\": { \"pg\": { \"endpoint\": \"%s\", \"tls\": %s,\n"
        "    \"credentials\": { \"source\": \"static\", \"users\": { %s } },\n"
        "    \"max_connections\": %d } },\n"
        "  \"users\": { %s },\n  \"roles\": { %s },\n  \"access\": [ %s ],\n"
        "  \"pool\": %s,\n  \"limits\": %s }\n",
        b->workers ? b->workers : 1, or (b->more, "\"drain_timeout\": \"1s\","),
        b->listen_tls ? ", \"tls\": " : "", or (b->listen_tls, ""), or (b->endpoint, endpoint),
        or (b->cluster_tls, "{ \"mode\": \"disable\" }"),
        or (b->logins, "\"postgres\": \"env:PG_PASSWORD\""),
        b->max_connections ? b->max_connections : 40,
        or (b->users, "\"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" },\n"
                      "    \"loader\": { \"auth\": [\"trust\"], \"role\": \"loader\","
                      " \"db_user\": \"postgres\" }"),
        or (b->roles, "\"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] },\n"
                      "    \"loader\": { \"insert_only\": [\"public.events\"],"
                      " \"excess_privilege\": \"warn\" }"),
        or (b->access, "{ \"from\": \"127.0.0.0/8\" }"),
        or (b->pool, "{ \"mode\": \"transaction\", \"size\": 4 }"), or (b->limits, "{}"));
    if (n < 0) abort();
    return text;
}

bool before_start(struct kit *k, struct proxy *p, const struct before *b)
{
    /* What is freed counts as long as ASan keeps it: a flood measures how much memory is needed. */
    if (getenv("FLOODS")) setenv("ASAN_OPTIONS", "quarantine_size_mb=4", 0);
    char *text = before_config(b);
    bool ok = proxy_start(k, p, text);
    free(text);
    return ok;
}

void before_reload(struct kit *k, struct proxy *p, const struct before *b)
{
    char name[64], port[16], *text = before_config(b), *at = strstr(text, "@port@"), *whole;
    snprintf(name, sizeof name, "sluice%d.json", p->port);
    snprintf(port, sizeof port, "%d", p->port);
    if (asprintf(&whole, "%.*s%s%s", (int)(at - text), text, port, at + strlen("@port@")) < 0)
        abort();
    kit_file(k, name, whole);
    free(whole);
    free(text);
    kill(p->pid, SIGHUP);
}

int before_log_count(struct kit *k, const struct proxy *p, const char *text)
{
    char *log = kit_read(kit_path(k, "%s", p->log_name));
    int count = 0;
    for (char *at = log; at && (at = strstr(at, text)); at += strlen(text)) count++;
    free(log);
    return count;
}

bool before_log_counts(struct kit *k, const struct proxy *p, const char *text, int times)
{
    for (int tries = 0; tries < 500; tries++) {
        if (before_log_count(k, p, text) >= times) return true;
        kit_sleep_ms(20);
    }
    return false;
}

int before_silent_port(struct kit *k)
{
    int port = kit_port(k), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64)) abort();
    return port;
}

const char *before_says(PGconn *c, const char *sql)
{
    static char said[400];
    PGresult *r = PQexec(c, sql);
    const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    bool failed = PQresultStatus(r) == PGRES_FATAL_ERROR;
    snprintf(said, sizeof said, "%s",
             sqlstate           ? sqlstate
             : failed || !r     ? "lost"
             : PQntuples(r) > 0 ? PQgetvalue(r, 0, 0)
                                : PQcmdStatus(r));
    PQclear(r);
    return said;
}

long before_rss_kib(const struct proxy *p)
{
    char path[64], line[200];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmRSS: %ld", &kib);
    if (f) fclose(f);
    return kib;
}

int before_servers(struct postgres *pg, const char *user)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "select count(*) from pg_stat_activity where usename = '%s' and pid <> "
             "pg_backend_pid()",
             user);
    char *count = postgres_ask(pg, sql);
    int n = count ? (int)strtol(count, NULL, 10) : -1;
    free(count);
    return n;
}

void before_terminate(struct postgres *pg, const char *user)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "select pg_terminate_backend(pid) from pg_stat_activity where usename = '%s' "
             "and pid <> pg_backend_pid()",
             user);
    postgres_run(pg, sql);
}
