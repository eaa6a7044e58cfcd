/* guide: where a session goes, by the routing table in force: at login, and for each transaction.
 *
 * Gathers what is known of the session and of its statement, asks routing/ (the one
 * decision), and finds what the answer names among the clusters that can be reached and
 * fit what the client was welcomed with.
 *
 *   login        facts -----------------> rule -> cluster, database user, database, pool
 *   transaction  facts + first statement -> rule -> cluster, query_group; the rest stays
 *
 * A statement is read only where a rule of the table could send this session elsewhere for
 * it; for all others a transaction costs a few comparisons. A new table moves sessions
 * that are in to another cluster at their next transaction; never to another
 * database user, database or pool mode, for which they have to come again. A session that
 * keeps its server (session mode, pinned) stays with it, and that is counted.
 *
 * All pools that a session can reach lie on its worker (pool_family_key), so it never
 * moves between threads once it is welcomed.
 *
 * Not what statements may do (judge.h). Thread: the worker's.
 */
#ifndef SLUICE_PROXY_GUIDE_H
#define SLUICE_PROXY_GUIDE_H

#include "proxy/health.h"
#include "proxy/outbox.h"
#include "proxy/realm.h"
#include "proxy/request.h"
#include "proxy/route_force.h"
#include "proxy/route_tally.h"
#include "proxy/shared.h"
#include "proxy/traffic.h"

/* What the startup packet said. */
enum guide_text {
    GUIDE_DATABASE,
    GUIDE_APPLICATION,
    GUIDE_QUERY_GROUP,
    GUIDE_VERSION,
    GUIDE_TEXTS
};

struct guide {
    int64_t login_s;
    uint64_t kind; /* params_kind of what it was welcomed with; 0: it was not */
    /* The decision that it goes by. */
    uint32_t login_rule, rule;
    const struct slice *clusters; /* into the table */
    uint32_t cluster_count;
    uint8_t needs;        /* enum route_need: what of its statements is looked at */
    uint8_t shadow_needs; /* likewise for the candidate table */
    bool is_first;        /* on the first of the clusters */
    bool is_decided;      /* for the message under way, which may have to wait for a server */
    bool is_undecided;    /* a new table was taken up, and has not been asked yet */
    const struct slice *answers; /* what the rule has answered here; likewise into the table */
    uint32_t answer_count;
    struct slice group;         /* its query_group as the table has it, likewise */
    struct route_tally *tally;  /* of `rule`; NULL: none */
    uint64_t shadow_serial;     /* of the candidate table */
    uint16_t ends[GUIDE_TEXTS]; /* of each text in `texts` */
    char texts[];
};

/* At login: decides, and fills `setup`. `version`: client_protocol_version. False: nowhere, and
 * `err` has what to tell the client. */
bool guide_login(struct session *s, struct slice version, struct pool_setup *setup,
                 struct err *err);

/* The session is in the pool that guide_login chose: its statements are gathered as needed. */
void guide_entered(struct session *s);

/* The client was told this, and relies on it. */
void guide_welcomed(struct session *s, const struct params *params);

/* Whether this server may serve the client after what it was told. */
bool guide_suits(const struct session *s, const struct server *server);

/* The warehouse has said who the client is: its query_group may have to name somebody else. */
bool guide_identified(struct session *s, struct err *err);

/* Gives back what the session keeps for its routes. */
void guide_end(struct session *s);

/* The pool settings of its own rule, for what concerns the session alone: those of the pool, which
 * sessions by other rules share, are the last one's who came. */
const struct config_pool *guide_settings(const struct session *s);

/* Whether BEGIN alone is to wait for the statement that decides; `may_adopt`: nothing is under way,
 * so that a table that came into force since counts. */
bool guide_defers(struct session *s, bool may_adopt);

/* A message that needs a server, before it gets one: SEND: go on; WAIT, STOP, DROP (refused). */
enum take guide_take(struct session *s, const struct piece *p, struct upstream *out);

/* Its cluster cannot be reached, or does not suit: another one of the list; false: there is none.
 */
bool guide_detour(struct session *s);

/* Whether guide_take has something to say at all. */
static inline bool guide_is_asked(const struct session *s)
{
    const struct guide *g = s->guide;
    if (s->keeps_server) return false;
    if (g->needs || g->is_undecided) return true;
    if (s->server) return false;
    const struct env *env = s->client.env;
    if (env->shadow->table || traffic_is_on(env->shared->traffic)) return true;
    return s->routes != s->client.env->routes || !g->is_first ||
           !health_is_up(s->pool->target.cluster->health);
}

/* A statement was answered, within so many milliseconds; a transaction ended. */
static inline void guide_answered(struct session *s, uint64_t ms)
{
    struct route_tally *t = s->guide ? s->guide->tally : NULL;
    if (t) route_count(&t->time[route_time_bucket(ms)]);
}

static inline void guide_ended(struct session *s, uint64_t now_ms)
{
    struct route_tally *t = s->guide ? s->guide->tally : NULL;
    if (!t) return;
    route_count(&t->transactions);
    t->last_ms = now_ms;
}

static inline void guide_erred(struct session *s)
{
    struct route_tally *t = s->guide ? s->guide->tally : NULL;
    if (t) route_count(&t->errors);
}

#endif
