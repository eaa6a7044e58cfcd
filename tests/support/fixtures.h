/* fixtures: the servers of a test, each started in one line: PostgreSQL, Redis, Sluice, and the
 * certificates for them.
 *
 * They belong to the kit that they were started with and end with it. The work is done by the
 * scripts beside this file (postgres.sh, redis.sh, certs.sh, sluice.sh), which scripts use too.
 * A function that fails has said why on stderr.
 */
#ifndef SLUICE_TESTS_FIXTURES_H
#define SLUICE_TESTS_FIXTURES_H

#include "support/kit.h"

#include <libpq-fe.h>

/* A directory with the certificates that certs.sh lists, and one for each of the users (NULL ends
 * them, at most 8); NULL: failed. */
const char *certs_make(struct kit *k, const char *const users[]);

struct postgres {
    pid_t pid;
    int port;
    const char *dir;      /* its data; its socket is here too, and trusts everybody */
    const char *log_name; /* in the kit's directory */
};

struct postgres_options {
    const char *auth;            /* over TCP: trust (default) md5 scram-sha-256 password cert */
    const char *hba;             /* the whole pg_hba.conf instead */
    const char *certs;           /* TLS with these; NULL: none */
    const char *const *settings; /* "name=value", NULL ends them */
};

/* `options` may be NULL. */
bool postgres_start(struct kit *k, struct postgres *p, const struct postgres_options *options);

/* SIGQUIT: gone at once, sessions and all. */
void postgres_stop(struct kit *k, struct postgres *p);

/* Runs SQL as the superuser, over the socket; false: said on stderr. */
bool postgres_run(struct postgres *p, const char *sql);

/* The first value of the first row, to be freed; NULL: none, or failed. */
char *postgres_ask(struct postgres *p, const char *sql);

struct redis {
    pid_t pid;
    int port;
};

bool redis_start(struct kit *k, struct redis *r);

struct proxy {
    pid_t pid;
    int port;
    const char *config; /* the file's path */
    const char *log_name;
    int starts;
};

/* Writes `config` (in which @port@ stands for the port to listen on, and @dir@ for the kit's
 * directory) and starts `build/sluice run --config` on it. `p->port` 0: a free one. */
bool proxy_start(struct kit *k, struct proxy *p, const char *config);

/* SIGTERM, and waits; false when it did not end by itself with status 0 within 20 s, or when a
 * sanitizer has spoken. */
bool proxy_stop(struct kit *k, struct proxy *p);

/* Does the log say so by now, or within `wait_ms`? */
bool proxy_log_has(struct kit *k, const struct proxy *p, const char *text, int wait_ms);

/* A connection with libpq; `extra` are conninfo words. Never NULL; check PQstatus. */
PGconn *connect_to(int port, const char *user, const char *extra);

#endif
