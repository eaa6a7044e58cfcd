#include "proxy/diagnosis.h"

#include <stdio.h>

enum {
    SLOW_FACTOR = 3, /* times the usual */
    SLOW_LEAST_MS = 200,
    SLOW_QUERIES = 5, /* fewer say nothing */
    LONG_MS = 60 * 1000,
    RULE_LEAST = 5,     /* refusals in a minute, */
    RULE_PERCENT = 10,  /* and of all statements, that are no accident */
    BRIEF_MS = 300,     /* a shorter wait for a server is how sharing works */
    DIALLING_MS = 1000, /* a connection that takes longer is worth a word */
};

static const struct {
    const char *word, *culprit;
} causes[DIAGNOSIS_CAUSES] = {
#define DIAGNOSIS(name, word, culprit) { word, culprit },
#include "proxy/diagnosis.def"
};

const char *diagnosis_word(enum diagnosis_cause cause) { return causes[cause].word; }
const char *diagnosis_culprit(enum diagnosis_cause cause) { return causes[cause].culprit; }

const char *severity_word(enum severity severity)
{
    static const char *const words[] = { "ok", "note", "warning", "critical" };
    return words[severity];
}

/* ---- numbers in words ------------------------------------------------------------------------ */

struct words {
    char text[48];
};

static struct words time_of(uint64_t ms)
{
    struct words w;
    if (ms < 1000)
        snprintf(w.text, sizeof w.text, "%u ms", (unsigned)ms);
    else if (ms < 100 * 1000)
        snprintf(w.text, sizeof w.text, "%u.%u s", (unsigned)(ms / 1000),
                 (unsigned)(ms % 1000 / 100));
    else
        snprintf(w.text, sizeof w.text, "%llu min", (unsigned long long)ms / 60000);
    return w;
}

static struct words count_of(uint64_t n, const char *one, const char *many)
{
    struct words w;
    snprintf(w.text, sizeof w.text, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
    return w;
}

#define CLIENTS_WAIT(n) count_of(n, "client waits", "clients wait").text

static uint64_t mean(uint64_t sum, uint64_t n) { return n ? sum / n : 0; }

/* ---- looking at the pools -------------------------------------------------------------------- */

static bool is_brief(const struct pool_facts *p)
{
    enum pool_why why = (enum pool_why)p->n[POOL_WHY];
    return why >= POOL_WHY_POOL_FULL && p->n[POOL_MAX_WAIT_MS] < BRIEF_MS;
}

/* Of the pools whose line waits for this: the one that has waited longest, and all their clients.
 */
struct those {
    const struct pool_facts *worst;
    uint64_t waiting, pools;
};

static struct those pools_that(const struct diagnosis_facts *f, enum pool_why why)
{
    struct those t = { 0 };
    for (size_t i = 0; i < f->n_pools; i++) {
        const struct pool_facts *p = &f->pools[i];
        if (p->n[POOL_WHY] != why || is_brief(p)) continue;
        t.pools++;
        t.waiting += p->n[POOL_CLIENTS_WAITING];
        if (!t.worst || p->n[POOL_MAX_WAIT_MS] > t.worst->n[POOL_MAX_WAIT_MS]) t.worst = p;
    }
    return t;
}

static uint64_t all_waiting(const struct diagnosis_facts *f)
{
    uint64_t n = 0;
    for (size_t i = 0; i < f->n_pools; i++) n += f->pools[i].n[POOL_CLIENTS_WAITING];
    return n;
}

static bool is_slow(const struct diagnosis_facts *f)
{
    uint64_t now_ms = mean(f->query_ms, f->queries);
    uint64_t usual_ms = mean(f->usual_query_ms, f->usual_queries);
    return f->queries >= SLOW_QUERIES && f->usual_queries >= SLOW_QUERIES &&
           now_ms >= usual_ms * SLOW_FACTOR && now_ms >= usual_ms + SLOW_LEAST_MS;
}

/* Somebody waits because everything is lent, and it is lent to statements that do not end. */
static bool is_held(const struct pool_facts *p) { return p && p->n[POOL_LONGEST_MS] >= LONG_MS; }

#define SAY(f, ...)    snprintf((f)->sentence, sizeof(f)->sentence, __VA_ARGS__)
#define ADVISE(f, ...) snprintf((f)->advice, sizeof(f)->advice, __VA_ARGS__)

/* ---- the causes: each says whether it holds, and how bad it is ------------------------------- */

static enum severity say_stuck(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->workers_stuck) return SEVERITY_OK;
    SAY(out, "The proxy: %s not answering.",
        count_of(f->workers_stuck, "worker thread is", "worker threads are").text);
    ADVISE(out, "take a core dump, then restart; the load balancer sends nobody here meanwhile");
    return SEVERITY_CRITICAL;
}

static enum severity say_credentials(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_CREDENTIALS);
    if (!t.worst && !f->credentials_cluster.len) return SEVERITY_OK;
    struct slice why = t.worst ? t.worst->failure : f->credentials_why;
    SAY(out, "AWS: no credentials for cluster %.*s: %.*s (%s).",
        SLICE_ARG(t.worst ? t.worst->cluster : f->credentials_cluster), SLICE_ARG(why),
        t.waiting ? CLIENTS_WAIT(t.waiting) : "who needs a new connection is refused");
    ADVISE(out, "SHOW CREDENTIALS; sluice credentials test; sluice iam-policy");
    return t.waiting ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_rejected(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_REJECTED);
    if (!t.worst) return SEVERITY_OK;
    SAY(out, "The database login: cluster %.*s refuses %.*s: %.*s.", SLICE_ARG(t.worst->cluster),
        SLICE_ARG(t.worst->db_user), SLICE_ARG(t.worst->failure));
    if (slice_starts(t.worst->failure, "3D000")) { /* a slip of one client, mostly */
        ADVISE(out, "which database do they ask for? SHOW POOLS");
        return SEVERITY_WARNING;
    }
    ADVISE(out, "check the credentials of that cluster, and the database user's privileges");
    return SEVERITY_CRITICAL;
}

static enum severity say_unreachable(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_UNREACHABLE);
    if (!t.worst) return SEVERITY_OK;
    SAY(out, "Redshift: cluster %.*s cannot be reached: %.*s (tried %s, %s).",
        SLICE_ARG(t.worst->cluster), SLICE_ARG(t.worst->failure),
        count_of(t.worst->n[POOL_FAILURES], "time", "times").text,
        t.waiting ? CLIENTS_WAIT(t.waiting) : "nobody waits");
    if (t.worst->n[POOL_ASLEEP])
        ADVISE(out, "resume it: aws redshift resume-cluster, or the console of AWS");
    else
        ADVISE(out, "is it resizing, or behind a security group? sluice doctor %.*s",
               SLICE_ARG(t.worst->cluster));
    return t.waiting ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_slow(const struct diagnosis_facts *f, struct finding *out)
{
    uint64_t waiting = all_waiting(f);
    if (!is_slow(f)) return SEVERITY_OK;
    SAY(out,
        "Redshift is slow: statements take %s on average over the last minute, %s before (%s).",
        time_of(mean(f->query_ms, f->queries)).text,
        time_of(mean(f->usual_query_ms, f->usual_queries)).text, CLIENTS_WAIT(waiting));
    ADVISE(out, "look at its queues (WLM) and locks; a larger pool would not help");
    return waiting ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_long(const struct diagnosis_facts *f, struct finding *out)
{
    struct those pool = pools_that(f, POOL_WHY_POOL_FULL);
    struct those cluster = pools_that(f, POOL_WHY_CLUSTER_FULL);
    const struct those *t = is_held(pool.worst) ? &pool : &cluster;
    if (!is_held(t->worst)) return SEVERITY_OK;
    SAY(out,
        "Redshift is busy with long statements: pool %.*s has lent all it has, one statement "
        "runs for %s; %s.",
        SLICE_ARG(t->worst->key), time_of(t->worst->n[POOL_LONGEST_MS]).text,
        CLIENTS_WAIT(t->waiting));
    ADVISE(out, "SHOW SERVERS names who holds them; pool.query_timeout would end them");
    return SEVERITY_CRITICAL;
}

static enum severity say_pool_full(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_POOL_FULL);
    if (!t.worst || is_held(t.worst)) return SEVERITY_OK;
    SAY(out,
        "The pool: %s of %.*s %s lent; %s, the first for %s; what has ended took %s on average.",
        t.worst->n[POOL_SIZE] == 1 ? "the one server"
                                   : count_of(t.worst->n[POOL_SIZE], "server", "servers").text,
        SLICE_ARG(t.worst->key), t.worst->n[POOL_SIZE] == 1 ? "is" : "are all",
        CLIENTS_WAIT(t.waiting), time_of(t.worst->n[POOL_MAX_WAIT_MS]).text,
        time_of(mean(f->query_ms, f->queries)).text);
    ADVISE(
        out,
        "raise pool.size (%llu), or find who keeps transactions open (SHOW CLIENTS); the longest "
        "statement runs for %s",
        (unsigned long long)t.worst->n[POOL_SIZE], time_of(t.worst->n[POOL_LONGEST_MS]).text);
    return SEVERITY_CRITICAL;
}

static enum severity say_cluster_full(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_CLUSTER_FULL);
    if (!t.worst || is_held(t.worst)) return SEVERITY_OK;
    SAY(out,
        "The pool: all connections that cluster %.*s may have are taken; %s, the first for %s.",
        SLICE_ARG(t.worst->cluster), CLIENTS_WAIT(t.waiting),
        time_of(t.worst->n[POOL_MAX_WAIT_MS]).text);
    ADVISE(out, "raise clusters.%.*s.max_connections, or shrink another pool: SHOW POOLS",
           SLICE_ARG(t.worst->cluster));
    return SEVERITY_CRITICAL;
}

static enum severity say_limit(const struct diagnosis_facts *f, struct finding *out)
{
    struct those user = pools_that(f, POOL_WHY_USER_FULL);
    struct those database = pools_that(f, POOL_WHY_DATABASE_FULL);
    const struct those *t = user.worst ? &user : &database;
    if (!t->worst) return SEVERITY_OK;
    SAY(out, "The pool: %s %.*s has all the servers it may have; %s, the first for %s.",
        user.worst ? "database user" : "database",
        SLICE_ARG(user.worst ? t->worst->db_user : t->worst->database), CLIENTS_WAIT(t->waiting),
        time_of(t->worst->n[POOL_MAX_WAIT_MS]).text);
    ADVISE(out, "raise %s", user.worst ? "pool.per_user" : "pool.per_database");
    return SEVERITY_CRITICAL;
}

static enum severity say_rule(const struct diagnosis_facts *f, struct finding *out)
{
    uint64_t all = f->requests > f->denied ? f->requests : f->denied;
    if (!f->denied) return SEVERITY_OK;
    uint64_t percent = f->denied * 100 / all;
    SAY(out, "Your rule: %s in the last minute (%llu%% of all requests)%s%.*s%s%.*s%s.",
        count_of(f->denied, "refusal", "refusals").text, (unsigned long long)percent,
        f->refusal.role.len ? "; the last one by role " : "", SLICE_ARG(f->refusal.role),
        f->refusal.reason.len ? " (" : "", SLICE_ARG(f->refusal.reason),
        f->refusal.reason.len ? ")" : "");
    ADVISE(out, "SHOW DENIED, EXPLAIN DECISION; sluice policy test");
    return f->denied >= RULE_LEAST && percent >= RULE_PERCENT ? SEVERITY_WARNING : SEVERITY_NOTE;
}

static enum severity say_redis(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->redis_why) return SEVERITY_OK;
    SAY(out, "Redis is gone: %s; routes stay as they are, open sessions go on%s.", f->redis_why,
        f->redis_refuses ? ", logins by IAM token are turned away" : "");
    ADVISE(out, "sluice doctor redis; is it up, is there a route to it, is the password right?");
    return f->redis_refuses ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_routes(const struct diagnosis_facts *f, struct finding *out)
{
    if (f->has_no_routes)
        SAY(out, "The routing table: none has come yet, nobody can be served%s%s.",
            f->routes_why ? ": " : "", f->routes_why ? f->routes_why : "");
    else if (f->routes_why)
        SAY(out, "The routing table: its source cannot be read, the last one stays in force: %s.",
            f->routes_why);
    else
        return SEVERITY_OK;
    ADVISE(out, "sluice doctor; sluice route history; routes.saved keeps one for the next start");
    return f->has_no_routes ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_paused(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_PAUSED);
    if (!t.worst) return SEVERITY_OK;
    SAY(out, "An operator: PAUSE holds for %s; %s.", count_of(t.pools, "pool", "pools").text,
        CLIENTS_WAIT(t.waiting));
    ADVISE(out, "RESUME ends it");
    return t.waiting ? SEVERITY_CRITICAL : SEVERITY_WARNING;
}

static enum severity say_dialling(const struct diagnosis_facts *f, struct finding *out)
{
    struct those t = pools_that(f, POOL_WHY_DIALLING);
    if (!t.worst || t.worst->n[POOL_MAX_WAIT_MS] < DIALLING_MS) return SEVERITY_OK;
    SAY(out, "Redshift: opening a connection to cluster %.*s takes long; %s, the first for %s.",
        SLICE_ARG(t.worst->cluster), CLIENTS_WAIT(t.waiting),
        time_of(t.worst->n[POOL_MAX_WAIT_MS]).text);
    ADVISE(out, "pool.min_size keeps some open");
    return SEVERITY_WARNING;
}

static enum severity say_draining(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->draining) return SEVERITY_OK;
    SAY(out, "An operator: this proxy drains, new clients go elsewhere.");
    return SEVERITY_WARNING;
}

static enum severity say_audit(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->audit_failing) return SEVERITY_OK;
    SAY(out, "The audit record cannot be written.");
    ADVISE(out, "is the disk full? The log says why; audit.on_failure says what happens now");
    return SEVERITY_WARNING;
}

static enum severity say_reload(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->reload_error) return SEVERITY_OK;
    SAY(out, "The configuration: the last reload failed, the one before stays in force: %s",
        f->reload_error);
    ADVISE(out, "sluice check; then RELOAD");
    return SEVERITY_WARNING;
}

static enum severity say_trial(const struct diagnosis_facts *f, struct finding *out)
{
    if (!f->trial_role) return SEVERITY_OK;
    SAY(out, "The configuration: role %s%s only observed: what would be refused goes through.",
        f->trial_role, f->trials > 1 ? " and others are" : " is");
    ADVISE(out, "SHOW DENIED says what; roles.NAME.observe.until says how long");
    return SEVERITY_NOTE;
}

static enum severity say_healthy(const struct diagnosis_facts *f, struct finding *out)
{
    uint64_t waiting = all_waiting(f);
    char who[64] = "nobody waits";
    if (waiting) snprintf(who, sizeof who, "%s briefly", CLIENTS_WAIT(waiting));
    if (f->queries)
        SAY(out, "All is well: %s, Redshift answers in %s on average.", who,
            time_of(mean(f->query_ms, f->queries)).text);
    else
        SAY(out, "All is well: %s, and nothing was asked in the last minute.", who);
    return SEVERITY_OK;
}

static enum severity (*const sayers[DIAGNOSIS_CAUSES])(const struct diagnosis_facts *,
                                                       struct finding *) = {
    [DIAGNOSIS_STUCK] = say_stuck,         [DIAGNOSIS_CREDENTIALS] = say_credentials,
    [DIAGNOSIS_REJECTED] = say_rejected,   [DIAGNOSIS_UNREACHABLE] = say_unreachable,
    [DIAGNOSIS_SLOW] = say_slow,           [DIAGNOSIS_LONG] = say_long,
    [DIAGNOSIS_POOL_FULL] = say_pool_full, [DIAGNOSIS_CLUSTER_FULL] = say_cluster_full,
    [DIAGNOSIS_LIMIT] = say_limit,         [DIAGNOSIS_RULE] = say_rule,
    [DIAGNOSIS_PAUSED] = say_paused,       [DIAGNOSIS_DIALLING] = say_dialling,
    [DIAGNOSIS_DRAINING] = say_draining,   [DIAGNOSIS_AUDIT] = say_audit,
    [DIAGNOSIS_REDIS] = say_redis,         [DIAGNOSIS_ROUTES] = say_routes,
    [DIAGNOSIS_RELOAD] = say_reload,       [DIAGNOSIS_TRIAL] = say_trial,
};

/* ---- all together ---------------------------------------------------------------------------- */

void diagnose(const struct diagnosis_facts *facts, struct diagnosis *out)
{
    out->count = 0;
    for (int wanted = SEVERITY_CRITICAL; wanted > SEVERITY_OK; wanted--) {
        for (unsigned cause = 0; cause < DIAGNOSIS_HEALTHY; cause++) {
            struct finding f = { .cause = (enum diagnosis_cause)cause };
            f.severity = sayers[cause](facts, &f);
            if (f.severity == (enum severity)wanted) out->findings[out->count++] = f;
        }
    }
    if (out->count) return;
    struct finding *well = &out->findings[out->count++];
    *well = (struct finding){ .cause = DIAGNOSIS_HEALTHY };
    say_healthy(facts, well);
}

void diagnosis_show(const struct diagnosis *d, struct rows *r)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        rows_text(r, slice_str(severity_word(f->severity)));
        rows_text(r, slice_str(diagnosis_word(f->cause)));
        rows_text(r, slice_str(diagnosis_culprit(f->cause)));
        rows_text(r, slice_str(f->sentence));
        rows_text(r, slice_str(f->advice));
    }
}
