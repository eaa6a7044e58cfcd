#include "proxy/route_show.h"

#include "proxy/metrics_page.h"
#include "proxy/route_tally.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MISMATCHES_SHOWN = 50 };

static struct route_tally sum_of(const struct route_force *f, uint32_t rule)
{
    struct route_tally sum;
    route_stat_sum(f->stats ? f->stats[rule] : NULL, &sum);
    return sum;
}

static void rule_row(const struct route_force *f, uint32_t rule, uint64_t now_ms, struct rows *r)
{
    const struct route_table *t = f->table;
    const struct route_tally sum = sum_of(f, rule);
    uint64_t ago_s = now_ms > sum.last_ms ? (now_ms - sum.last_ms) / 1000 : 0;
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)route_rule_hash(t, rule));
    rows_number(r, rule + 1);
    rows_text(r, route_rule_id(t, rule));
    rows_text(r, slice_str(route_rule_is_login(t, rule) ? "login" : "statement"));
    rows_number(r, sum.logins + sum.transactions);
    if (sum.last_ms)
        rows_time(r, (uint64_t)time(NULL) - ago_s);
    else
        rows_null(r);
    rows_number(r, sum.errors);
    rows_number(r, route_tally_percentile(&sum, 50));
    rows_number(r, route_tally_percentile(&sum, 99));
    rows_number(r, route_rule_line(t, rule));
    rows_number(r, sum.logins);
    rows_number(r, sum.transactions);
    rows_number(r, sum.fallbacks);
    rows_number(r, sum.stays);
    rows_number(r, sum.limit_hits);
    rows_number(r, sum.mismatches);
    rows_text(r, slice_str(hash));
}

void route_show(const struct route_force *f, uint64_t now_ms, struct rows *r)
{
    uint32_t n = f->table ? route_table_count(f->table) : 0;
    for (uint32_t i = 0; i < n; i++) rule_row(f, i, now_ms, r);
}

/* ---- the shadow ------------------------------------------------------------------------------ */

struct route_shadow_counts route_shadow_count(const struct shared *shared)
{
    struct route_shadow_counts c = { 0 };
    for (unsigned i = 0; i < shared->n_workers; i++) {
        const struct metrics *m = &shared->workers[i]->env.metrics;
        c.decisions += metrics_get(m, METRIC_shadow_decisions);
        c.mismatches += metrics_get(m, METRIC_shadow_mismatches);
    }
    return c;
}

static void pair(struct rows *r, const char *key, uint64_t value)
{
    rows_text(r, slice_str(key));
    rows_number(r, value);
}

void route_show_shadow(const struct route_force *shadow, const struct route_force *in_force,
                       const struct route_shadow_counts *before, const struct shared *shared,
                       struct rows *r)
{
    if (!shadow || !shadow->table) return;
    const struct route_shadow_counts now = route_shadow_count(shared);
    uint32_t n = in_force->table ? route_table_count(in_force->table) : 0, shown = 0;
    pair(r, "version", route_table_version(shadow->table));
    pair(r, "rules", route_table_count(shadow->table));
    pair(r, "decisions", now.decisions - before->decisions);
    pair(r, "mismatches", now.mismatches - before->mismatches);
    for (uint32_t i = 0; i < n && shown < MISMATCHES_SHOWN; i++) {
        char key[ADMIN_NAME_BYTES];
        const struct route_tally sum = sum_of(in_force, i);
        if (!sum.mismatches) continue;
        struct slice id = route_rule_id(in_force->table, i);
        snprintf(key, sizeof key, "mismatches of rule %.*s", (int)(id.len < 80 ? id.len : 80),
                 id.at);
        pair(r, key, sum.mismatches);
        shown++;
    }
}

/* ---- metrics --------------------------------------------------------------------------------- */

static uint64_t number_of(const struct route_tally *t, enum route_number which)
{
    switch (which) {
    case ROUTE_NUMBER_HITS: return t->logins + t->transactions;
    case ROUTE_NUMBER_ERRORS: return t->errors;
    case ROUTE_NUMBER_MISMATCHES: return t->mismatches;
    }
    return 0;
}

struct rule_sample {
    uint32_t rule;
    uint64_t hits, number;
};

static int most_first(const void *a, const void *b)
{
    const struct rule_sample *x = a, *y = b;
    return x->hits < y->hits ? 1 : x->hits > y->hits ? -1 : x->rule < y->rule ? -1 : 1;
}

static void sample(struct buf *out, const char *name, struct slice rule, uint64_t value)
{
    buf_addf(out, "sluice_%s{rule=", name);
    metrics_label(out, rule);
    buf_addf(out, "} %llu\n", (unsigned long long)value);
}

void route_samples(const struct route_force *f, enum route_number which, const char *name,
                   struct buf *out)
{
    uint32_t n = f->table ? route_table_count(f->table) : 0, used = 0;
    struct rule_sample *samples = n ? calloc(n, sizeof *samples) : NULL;
    uint64_t rest = 0;
    for (uint32_t i = 0; samples && i < n; i++) {
        const struct route_tally t = sum_of(f, i);
        struct rule_sample one = { i, number_of(&t, ROUTE_NUMBER_HITS), number_of(&t, which) };
        if (one.hits || one.number) samples[used++] = one;
    }
    if (used) qsort(samples, used, sizeof *samples, most_first);
    for (uint32_t i = 0; i < used; i++) {
        if (i < ROUTE_RULES_SHOWN)
            sample(out, name, route_rule_id(f->table, samples[i].rule), samples[i].number);
        else
            rest += samples[i].number;
    }
    if (used > ROUTE_RULES_SHOWN) sample(out, name, slice_str(""), rest);
    free(samples);
}
