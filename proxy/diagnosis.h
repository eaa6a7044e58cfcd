/* diagnosis: is it the pool, Redshift or my rule?
 *
 * From what is known of all pools and of the last minute, one finding for each thing that is
 * wrong, the worst first; when nothing is, the one that says so. The first finding's sentence
 * is the top line of the dashboard, of /readyz and of SHOW DIAGNOSIS. Nowhere else is a cause
 * named.
 * Pure: no I/O, no clock. Ownership: findings own their text.
 */
#ifndef SLUICE_PROXY_DIAGNOSIS_H
#define SLUICE_PROXY_DIAGNOSIS_H

#include "proxy/pool_facts.h"

enum diagnosis_cause {
#define DIAGNOSIS(name, word, culprit) DIAGNOSIS_##name,
#include "proxy/diagnosis.def"
    DIAGNOSIS_CAUSES
};

enum severity { SEVERITY_OK, SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_CRITICAL };

/* What a cause is told from. */
struct diagnosis_facts {
    const struct pool_facts *pools;
    size_t n_pools;
    bool draining, audit_failing;
    const char *reload_error; /* NULL: the last load succeeded */
    const char *trial_role;   /* that only observes; NULL: none */
    unsigned trials;
    unsigned workers_stuck;
    const char *redis_why;  /* Redis is gone; NULL: it is there, or there is none */
    bool redis_refuses;     /* without it, logins by single-use token are turned away */
    bool has_no_routes;     /* there ought to be a table, and none has come yet */
    const char *routes_why; /* their source cannot be read; NULL: it can */
    struct slice credentials_cluster, credentials_why; /* a cluster whose logins cannot be had */
    /* Statements of the last minute, and of the time before that. */
    uint64_t queries, query_ms, usual_queries, usual_query_ms;
    uint64_t requests, denied; /* in the last minute */
    struct last_refusal refusal;
};

struct finding {
    enum diagnosis_cause cause;
    enum severity severity;
    char sentence[384]; /* what is wrong, with numbers */
    char advice[256];   /* what to do about it; may be empty */
};

struct diagnosis {
    struct finding findings[DIAGNOSIS_CAUSES]; /* at least one, the worst first */
    size_t count;
};

void diagnose(const struct diagnosis_facts *facts, struct diagnosis *out);

const char *diagnosis_word(enum diagnosis_cause cause);    /* "pool-full" */
const char *diagnosis_culprit(enum diagnosis_cause cause); /* "the pool" */
const char *severity_word(enum severity severity);         /* "ok", "note", "warning", "critical" */

/* Rows of SHOW DIAGNOSIS. */
void diagnosis_show(const struct diagnosis *d, struct rows *r);

#endif
