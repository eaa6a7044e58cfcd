/* before: Sluice before a PostgreSQL, for integration tests: one configuration with the pieces that
 * a test wants otherwise.
 *
 * A piece is JSON; NULL takes what stands here behind it.
 */
#ifndef SLUICE_TESTS_BEFORE_H
#define SLUICE_TESTS_BEFORE_H

#include "support/fixtures.h"

struct before {
    int server_port;         /* of cluster "pg" at localhost */
    const char *endpoint;    /* "localhost:PORT" instead */
    const char *cluster_tls; /* { "mode": "disable" } */
    const char *logins;      /* "postgres": "env:PG_PASSWORD" */
    const char *listen_tls;  /* none */
    const char *users;       /* "postgres": trust, role owner; "loader": trust, role loader */
    const char *roles;   /* owner: everything; loader: insert_only public.events, excess: warn */
    const char *access;  /* { "from": "127.0.0.0/8" } */
    const char *pool;    /* { "mode": "transaction", "size": 4 } */
    const char *limits;  /* {} */
    const char *more;    /* further keys of the document, each with a comma behind it */
    int workers;         /* 1 */
    int max_connections; /* 40 */
};

/* To be freed. Sets PG_PASSWORD in the environment to "none" where it is not set. */
char *before_config(const struct before *b);

bool before_start(struct kit *k, struct proxy *p, const struct before *b);

/* Writes the file anew and sends SIGHUP; does not wait. */
void before_reload(struct kit *k, struct proxy *p, const struct before *b);

/* Until the log has `text` so many times; false after 10 s. */
bool before_log_counts(struct kit *k, const struct proxy *p, const char *text, int times);

/* How often the log has it by now. */
int before_log_count(struct kit *k, const struct proxy *p, const char *text);

/* The port of a listener that takes connections and never says a word; closed with the program. */
int before_silent_port(struct kit *k);

/* What a query says: its first value, or the SQLSTATE of its failure, or its command tag; "lost":
 * the connection is gone. Valid until the next call. */
const char *before_says(PGconn *c, const char *sql);

/* Resident memory in KiB of the proxy. */
long before_rss_kib(const struct proxy *p);

/* Sessions that the PostgreSQL has of a user; and ends them all. */
int before_servers(struct postgres *pg, const char *user);
void before_terminate(struct postgres *pg, const char *user);

#endif
