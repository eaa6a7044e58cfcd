#include "proxy/pool_facts.h"

#include "proxy/session.h"
#include "proxy/worker.h"

#include <stdlib.h>

enum { FAILURE_COUNTS_MS = 15 * 1000 };

const char *pool_why_words(enum pool_why why)
{
    static const char *const words[] = {
#define X(name, words) words,
        POOL_WHY_LIST(X)
#undef X
    };
    return words[why];
}

static bool is_spent(const struct budget *b, unsigned limit)
{
    return atomic_load(&b->taken) >= budget_cap(b, limit);
}

/* Nobody dials for nobody: what failed a while ago may be well by now. Else a proxy that is not
 * ready, to which a load balancer sends nobody, would never be ready again. */
static bool is_failing(const struct pool *p)
{
    bool lately = env_now_ms(p->env) - p->failed_ms < FAILURE_COUNTS_MS;
    return p->failures && p->count[POOL_IDLE] + p->count[POOL_BUSY] == 0 &&
           (lately || !list_is_empty(&p->line));
}

enum pool_why pool_why(const struct pool *p)
{
    bool fails = is_failing(p);
    if (p->paused) return POOL_WHY_PAUSED;
    if (fails && (p->last_failure.code == ERR_NO_CREDENTIALS ||
                  p->last_failure.code == ERR_CREDENTIALS_DENIED))
        return POOL_WHY_CREDENTIALS;
    if (fails &&
        (p->last_failure.code == ERR_SERVER_REJECTED || p->last_failure.code == ERR_ACCESS_DENIED))
        return POOL_WHY_REJECTED;
    if (fails) return POOL_WHY_UNREACHABLE;
    if (list_is_empty(&p->line)) return POOL_WHY_NOTHING;
    if (pool_total(p) >= p->settings.size && p->count[POOL_OPENING] == 0) return POOL_WHY_POOL_FULL;
    if (p->count[POOL_OPENING]) return POOL_WHY_DIALLING;
    if (is_spent(p->target.cluster->budget, p->target.cluster->config->max_connections))
        return POOL_WHY_CLUSTER_FULL;
    if (is_spent(p->of_database, p->settings.per_database)) return POOL_WHY_DATABASE_FULL;
    if (is_spent(p->of_user, p->settings.per_user)) return POOL_WHY_USER_FULL;
    return p->failures ? POOL_WHY_UNREACHABLE : POOL_WHY_DIALLING;
}

/* ---- a worker's part ------------------------------------------------------------------------- */

/* What only the sessions know of a pool. */
struct of_sessions {
    uint64_t pinned, longest_ms;
};

static void look_at_session(const struct session *s, uint64_t now_ms, struct of_sessions *sums)
{
    if (!s->server || !s->pool) return;
    struct of_sessions *sum = &sums[s->pool->rank];
    sum->pinned += s->pinned || s->keeps_server;
    if (s->server->txn.count == 0 || now_ms < s->asked_ms) return;
    if (now_ms - s->asked_ms > sum->longest_ms) sum->longest_ms = now_ms - s->asked_ms;
}

static void put_pool(struct rows *r, const struct pool *p, const struct of_sessions *sums,
                     uint64_t now_ms)
{
    const struct pool_ticket *first =
        list_is_empty(&p->line) ? NULL : list_item(p->line.next, struct pool_ticket, node);
    const struct pool_stats *stats = &p->stats;
    const uint64_t numbers[POOL_NUMBERS] = {
        [POOL_SERVERS_LOGIN] = p->count[POOL_OPENING],
        [POOL_SERVERS_IDLE] = p->count[POOL_IDLE],
        [POOL_SERVERS_ACTIVE] = p->count[POOL_BUSY],
        [POOL_SERVERS_CLOSING] = p->count[POOL_LEAVING],
        [POOL_SERVERS_PINNED] = sums ? sums->pinned : 0,
        [POOL_CLIENTS_ACTIVE] = p->n_sessions - p->n_line,
        [POOL_CLIENTS_WAITING] = p->n_line,
        [POOL_SIZE] = p->settings.size,
        [POOL_PAUSED] = p->paused,
        [POOL_MAX_WAIT_MS] = first ? now_ms - first->since_ms : 0,
        [POOL_LONGEST_MS] = sums ? sums->longest_ms : 0,
        [POOL_WHY] = pool_why(p),
        [POOL_FAILURES] = p->failures,
        [POOL_ASLEEP] = p->failures && p->last_failure.code == ERR_WAREHOUSE_PAUSED,
        [POOL_ASSIGNMENTS] = stats->assignments,
        [POOL_TRANSACTIONS] = stats->transactions,
        [POOL_QUERIES] = stats->queries,
        [POOL_RECEIVED_BYTES] = stats->received_bytes,
        [POOL_SENT_BYTES] = stats->sent_bytes,
        [POOL_TRANSACTION_MS] = stats->transaction_ms,
        [POOL_QUERY_MS] = stats->query_ms,
        [POOL_WAIT_MS] = stats->wait_ms,
    };
    rows_text(r, slice_str(p->key));
    rows_text(r, slice_str(p->target.cluster->config->name));
    rows_text(r, slice_str(p->target.database));
    rows_text(r, slice_str(p->target.db_user));
    rows_text(r, slice_str(p->role));
    rows_text(r, slice_str(p->failures ? p->last_failure.message : ""));
    rows_text(r, slice_of(numbers, sizeof numbers));
}

/* Comes first, once. */
static void put_refusal(struct rows *r, const struct refusals *refusals)
{
    const struct refusal *one = NULL;
    for (uint64_t back = 0; (one = refusals_at(refusals, back)); back++)
        if (!one->observed) break;
    uint64_t at_s = one ? one->at_s : 0;
    rows_text(r, slice_of(&at_s, sizeof at_s));
    rows_text(r, slice_str(one ? one->role : ""));
    rows_text(r, slice_str(one ? one->reason : ""));
    rows_text(r, slice_str(one ? one->object : ""));
}

/* Without memory for what the sessions know, the rest is told all the same. */
void pool_facts_visit(struct worker *w, struct survey_part *part)
{
    uint64_t now_ms = env_now_ms(&w->env);
    struct of_sessions *sums = calloc(w->pools.count + 1, sizeof *sums);
    uint32_t at = 0, rank = 0;
    struct pool *p;
    put_refusal(&part->rows, &w->refusals);
    while ((p = map_next(&w->pools, &at))) p->rank = rank++;
    if (sums)
        list_each(node, &w->sessions)
            look_at_session(session_of(list_item(node, struct client, node)), now_ms, sums);
    at = 0;
    while ((p = map_next(&w->pools, &at)))
        put_pool(&part->rows, p, sums ? &sums[p->rank] : NULL, now_ms);
    free(sums);
}

/* ---- the reader ------------------------------------------------------------------------------ */

static struct slice text(struct wire *in) { return wire_bytes(in, wire_u32(in)); }

static bool read_refusal(struct wire *in, struct last_refusal *out)
{
    struct slice at = text(in);
    out->role = text(in);
    out->reason = text(in);
    out->object = text(in);
    if (in->bad || at.len != sizeof out->at_s) return false;
    memcpy(&out->at_s, at.at, sizeof out->at_s);
    return out->at_s > 0;
}

bool pool_facts_refusal(const struct survey *s, struct last_refusal *out)
{
    struct last_refusal one;
    *out = (struct last_refusal){ 0 };
    for (unsigned i = 0; i < s->n_parts; i++) {
        struct wire in = wire_of(buf_slice(&s->parts[i].rows.cells));
        if (read_refusal(&in, &one) && one.at_s > out->at_s) *out = one;
    }
    return out->at_s > 0;
}

static bool read_pool(struct wire *in, struct pool_facts *out)
{
    if (wire_left(in) == 0) return false;
    out->key = text(in);
    out->cluster = text(in);
    out->database = text(in);
    out->db_user = text(in);
    out->role = text(in);
    out->failure = text(in);
    struct slice numbers = text(in);
    if (in->bad || numbers.len != sizeof out->n) return false;
    memcpy(out->n, numbers.at, sizeof out->n);
    return true;
}

bool pool_facts_next(const struct survey *s, struct pool_facts_walk *walk, struct pool_facts *out)
{
    for (; walk->part < s->n_parts; walk->part++, walk->at = 0) {
        struct slice cells = buf_slice(&s->parts[walk->part].rows.cells);
        struct wire in = wire_of(slice_after(cells, walk->at));
        struct last_refusal refusal;
        if (walk->at == 0) read_refusal(&in, &refusal);
        if (!read_pool(&in, out)) continue;
        walk->at = cells.len - wire_left(&in);
        return true;
    }
    return false;
}
