/* pool_facts: what every pool has to say of itself, from all workers, for one reader.
 *
 *   worker: pool_facts_visit --> rows --survey--> pool_facts_next: one pool after the other
 *
 * The metrics, the diagnosis and the dashboard read this and nothing else of a pool, so
 * that they cannot disagree. One pass over a worker's pools and sessions.
 * Ownership: slices point into the survey's rows. Thread: visit, each worker's; the rest, the
 * asker's.
 */
#ifndef SLUICE_PROXY_POOL_FACTS_H
#define SLUICE_PROXY_POOL_FACTS_H

#include "protocol/wire.h"
#include "proxy/survey.h"

/* What the first in a pool's line waits for. */
#define POOL_WHY_LIST(X)                                                                           \
    X(NOTHING, "")                                                                                 \
    X(PAUSED, "paused")                                                                            \
    X(CREDENTIALS, "no credentials")                                                               \
    X(REJECTED, "the cluster refuses the login")                                                   \
    X(UNREACHABLE, "the cluster cannot be reached")                                                \
    X(POOL_FULL, "the pool is full")                                                               \
    X(CLUSTER_FULL, "the cluster's budget is spent")                                               \
    X(DATABASE_FULL, "the database's limit is reached")                                            \
    X(USER_FULL, "the user's limit is reached")                                                    \
    X(DIALLING, "a connection is being opened")

enum pool_why {
#define X(name, words) POOL_WHY_##name,
    POOL_WHY_LIST(X)
#undef X
        POOL_WHYS
};

enum pool_number {
    POOL_SERVERS_LOGIN,
    POOL_SERVERS_IDLE,
    POOL_SERVERS_ACTIVE, /* lent; those whose session is pinned included */
    POOL_SERVERS_CLOSING,
    POOL_SERVERS_PINNED,
    POOL_CLIENTS_ACTIVE,
    POOL_CLIENTS_WAITING,
    POOL_SIZE,
    POOL_PAUSED,
    POOL_MAX_WAIT_MS, /* of the first in line, so far */
    POOL_LONGEST_MS,  /* the statement that has run longest, so far */
    POOL_WHY,         /* enum pool_why */
    POOL_FAILURES,    /* dials in a row that came to nothing */
    POOL_ASLEEP,      /* the last one since AWS says that the cluster is paused */
    POOL_ASSIGNMENTS, /* these and the following: since the pool was made */
    POOL_TRANSACTIONS,
    POOL_QUERIES,
    POOL_RECEIVED_BYTES,
    POOL_SENT_BYTES,
    POOL_TRANSACTION_MS,
    POOL_QUERY_MS,
    POOL_WAIT_MS,
    POOL_NUMBERS
};

struct pool_facts {
    struct slice key, cluster, database, db_user, role;
    struct slice failure; /* why the last dial failed; empty: none did since the last success */
    uint64_t n[POOL_NUMBERS];
};

struct worker;
struct pool;

/* A worker's part. */
void pool_facts_visit(struct worker *w, struct survey_part *part);

/* The last statement that a rule refused; false: none was. */
struct last_refusal {
    struct slice role, reason, object;
    uint64_t at_s;
};
bool pool_facts_refusal(const struct survey *s, struct last_refusal *out);

/* Walks all pools of all parts; zero-initialised. False at the end. */
struct pool_facts_walk {
    unsigned part;
    size_t at;
};
bool pool_facts_next(const struct survey *s, struct pool_facts_walk *walk, struct pool_facts *out);

/* On the pool's own thread. */
enum pool_why pool_why(const struct pool *p);
const char *pool_why_words(enum pool_why why);

#endif
