#include "proxy/overview.h"

#include "proxy/creds.h"
#include "proxy/fleet.h"
#include "proxy/ops/audit.h"

#include <stdlib.h>
#include <unistd.h>

enum { RECENT_SAMPLES = 60, SURVEY_EVERY_MS = 100, TROUBLE_EVERY_MS = 2000 };

/* What somebody wants to know. */
struct question {
    struct list node;
    overview_done *done;
    void *owner;
    uint64_t number;
};

/* ---- every second ---------------------------------------------------------------------------- */

static void on_emf_known(struct overview_answer *a)
{
    struct buf lines = { 0 };
    struct overview *o = a->owner;
    emf_lines(&o->emf, a, &lines);
    if (!lines.failed && lines.len && write(STDOUT_FILENO, lines.at, lines.len) < 0)
        metrics_add(&o->shared->metrics, METRIC_emf_lost, 1);
    buf_fini(&lines);
}

/* The log names a cause once when it appears and once when it is gone: what is only a note, never.
 */
static void on_trouble_known(struct overview_answer *a)
{
    struct overview *o = a->owner;
    const struct finding *is[DIAGNOSIS_CAUSES] = { 0 };
    for (size_t i = 0; i < a->diagnosis.count; i++)
        if (a->diagnosis.findings[i].severity >= SEVERITY_WARNING)
            is[a->diagnosis.findings[i].cause] = &a->diagnosis.findings[i];
    for (unsigned cause = 0; cause < DIAGNOSIS_CAUSES; cause++) {
        const char *word = diagnosis_word((enum diagnosis_cause)cause);
        if (is[cause] && !o->is_trouble[cause])
            log_event(o->log, EVENT_trouble_found, LOG_TEXT("cause", word),
                      LOG_TEXT("severity", severity_word(is[cause]->severity)),
                      LOG_TEXT("what", is[cause]->sentence), LOG_TEXT("advice", is[cause]->advice),
                      LOG_END);
        if (!is[cause] && o->is_trouble[cause])
            log_event(o->log, EVENT_trouble_over, LOG_TEXT("cause", word), LOG_END);
        o->is_trouble[cause] = is[cause] != NULL;
    }
}

static void on_due(struct wheel_node *node)
{
    struct overview *o = list_item(node, struct overview, timer);
    uint64_t emf_ms = o->realm->config->log.emf_ms, now_ms = uv_now(o->uv);
    samples_take(&o->samples, o->shared, now_ms);
    if (emf_ms && now_ms - o->emf.told_ms >= emf_ms && overview_ask(o, on_emf_known, o, 0))
        o->emf.told_ms = now_ms;
    if (now_ms - o->looked_ms >= TROUBLE_EVERY_MS && overview_ask(o, on_trouble_known, o, 0))
        o->looked_ms = now_ms;
    wheel_set(o->wheel, &o->timer, SAMPLES_EVERY_MS);
}

static void on_next(struct wheel_node *node);
static void answer_all(struct overview *o, const struct survey *s);

bool overview_open(struct overview *o, struct wheel *wheel)
{
    o->wheel = wheel;
    list_init(&o->questions);
    wheel_node_init(&o->timer, on_due);
    wheel_node_init(&o->next, on_next);
    if (!pulse_open(&o->pulse, o->shared, wheel, o->uv)) return false;
    on_due(&o->timer);
    return true;
}

void overview_stop(struct overview *o)
{
    if (!o->wheel) return;
    pulse_stop(&o->pulse);
    wheel_cancel(&o->timer);
    wheel_cancel(&o->next);
    /* No worker is left to ask. */
    if (!o->surveying) answer_all(o, NULL);
}

void overview_free(struct overview *o) { pulse_free(&o->pulse); }

/* ---- what the diagnosis is made of ----------------------------------------------------------- */

static void add_rates(const struct overview *o, struct diagnosis_facts *f)
{
    const struct samples *s = &o->samples;
    uint64_t kept = s->count < SAMPLES_KEPT ? s->count : SAMPLES_KEPT;
    const struct sample now = sample_now(o->shared, uv_now(o->uv));
    const struct sample *recent = samples_at(s, kept > RECENT_SAMPLES ? RECENT_SAMPLES
                                                : kept                ? kept - 1
                                                                      : 0);
    const struct sample *oldest = samples_at(s, kept ? kept - 1 : 0);
    if (!recent) return;
    f->queries = now.queries - recent->queries;
    f->query_ms = now.query_ms - recent->query_ms;
    f->requests = now.requests - recent->requests;
    f->denied = now.denied - recent->denied;
    f->usual_queries = recent->queries - oldest->queries;
    f->usual_query_ms = recent->query_ms - oldest->query_ms;
}

static unsigned stuck(const struct overview *o)
{
    struct buf why = { 0 };
    unsigned n = 0;
    if (!pulse_is_felt(&o->pulse, &why))
        for (uint32_t i = 0; i < why.len; i++) n += why.at[i] == '\n';
    buf_fini(&why);
    return n;
}

static void add_trials(const struct config *config, struct diagnosis_facts *f)
{
    uint64_t now_s = (uint64_t)time(NULL);
    for (size_t i = 0; i < config->n_roles; i++) {
        const struct config_role *role = &config->roles[i];
        if (!role->observe.line || role->observe.until_s <= now_s) continue;
        if (f->trials++ == 0) f->trial_role = role->name;
    }
}

static bool has_single_use_tokens(const struct config *config)
{
    bool iam = false;
    for (size_t i = 0; i < config->n_users; i++) iam |= config->users[i].arns.count > 0;
    return iam && config->iam.single_use;
}

static void add_feeds(const struct overview *o, struct diagnosis_facts *f)
{
    struct fleet_state fleet = { 0 };
    struct route_keeper_state routes = { 0 };
    if (o->shared->fleet) fleet_state(o->shared->fleet, &fleet);
    if (o->keeper) route_keeper_state(o->keeper, &routes);
    f->redis_why = fleet.lost_why;
    f->redis_refuses = has_single_use_tokens(o->realm->config);
    f->routes_why = routes.source_why;
    f->has_no_routes = routes.is_kept && strcmp(routes.from, "nowhere") == 0;
}

static void add_the_rest(const struct overview *o, struct diagnosis_facts *f)
{
    const struct history_load *last = history_last(&o->history);
    f->draining = atomic_load(&o->shared->draining);
    f->audit_failing = audit_is_failing(o->shared->audit);
    f->reload_error = last && !last->ok ? last->result : NULL;
    f->workers_stuck = stuck(o);
    add_trials(o->realm->config, f);
    add_feeds(o, f);
    creds_failing(o->shared->creds, &f->credentials_cluster, &f->credentials_why);
}

static struct pool_facts *collect(const struct survey *s, size_t *count)
{
    struct pool_facts_walk walk = { 0 };
    struct pool_facts one, *all;
    size_t n = 0;
    while (pool_facts_next(s, &walk, &one)) n++;
    all = calloc(n + 1, sizeof *all);
    walk = (struct pool_facts_walk){ 0 };
    *count = 0;
    while (all && *count < n && pool_facts_next(s, &walk, &all[*count])) (*count)++;
    return all;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Those who came while the answer was on its way have it too. */
static void answer_all(struct overview *o, const struct survey *s)
{
    struct overview_answer a = { .overview = o, .survey = s };
    struct diagnosis_facts facts = { 0 };
    struct pool_facts *pools = s ? collect(s, &a.n_pools) : NULL;
    struct list waiting;
    a.pools = facts.pools = pools;
    facts.n_pools = a.n_pools;
    if (s) pool_facts_refusal(s, &facts.refusal);
    add_rates(o, &facts);
    add_the_rest(o, &facts);
    diagnose(&facts, &a.diagnosis);
    /* An answer may lead to the next question, which is not answered from this survey. */
    list_init(&waiting);
    list_each(node, &o->questions)
    {
        list_remove(node);
        list_push_back(&waiting, node);
    }
    list_each(node, &waiting)
    {
        struct question *q = list_item(node, struct question, node);
        list_remove(node);
        a.owner = q->owner;
        a.number = q->number;
        q->done(&a);
        free(q);
    }
    free(pools);
}

static void on_known(struct survey *s)
{
    struct overview *o = s->owner;
    o->surveying = false;
    o->surveyed_ms = uv_now(o->uv);
    answer_all(o, s);
    survey_free(s);
}

static void begin_survey(struct overview *o)
{
    struct survey *s = stuck(o) ? NULL : survey_new(o->shared);
    if (!s) {
        answer_all(o, NULL);
        return;
    }
    o->surveying = true;
    s->visit = pool_facts_visit;
    s->done = on_known;
    s->home = o->home;
    s->owner = o;
    survey_start(s, o->shared);
}

static void on_next(struct wheel_node *node)
{
    begin_survey(list_item(node, struct overview, next));
}

bool overview_ask(struct overview *o, overview_done *done, void *owner, uint64_t number)
{
    struct question *q = malloc(sizeof *q);
    if (!q) return false;
    *q = (struct question){ .done = done, .owner = owner, .number = number };
    list_push_back(&o->questions, &q->node);
    uint64_t ago_ms = uv_now(o->uv) - o->surveyed_ms;
    if (stuck(o))
        answer_all(o, NULL);
    else if (o->surveying || wheel_is_set(&o->next))
        return true;
    else if (o->surveyed_ms && ago_ms < SURVEY_EVERY_MS)
        wheel_set(o->wheel, &o->next, SURVEY_EVERY_MS - ago_ms);
    else
        begin_survey(o);
    return true;
}
