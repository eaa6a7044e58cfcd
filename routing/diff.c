#include "routing/diff.h"

#include "protocol/map.h"
#include "routing/arena.h"

#include <stdlib.h>

/* One kind of difference for one fingerprint. */
struct row {
    struct slice key; /* before, after, change and fingerprint, with NULs between */
    struct slice before, after, change, fingerprint;
    uint64_t count, group_count; /* group: all fingerprints together, set when reporting */
};

struct diff {
    const struct route_table *before, *after;
    struct regex_scratch *scratch;
    struct arena arena;
    struct map rows;
    struct diff_totals totals;
};

struct diff *diff_new(const struct route_table *before, const struct route_table *after)
{
    struct diff *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->before = route_table_ref(before);
    d->after = route_table_ref(after);
    d->scratch = regex_scratch_new();
    map_init(&d->rows, (struct map_seed){ 0 });
    if (d->scratch) return d;
    diff_free(d);
    return NULL;
}

void diff_free(struct diff *d)
{
    if (!d) return;
    route_table_unref(d->before);
    route_table_unref(d->after);
    regex_scratch_free(d->scratch);
    map_fini(&d->rows);
    arena_fini(&d->arena);
    free(d);
}

const struct diff_totals *diff_totals(const struct diff *d) { return &d->totals; }

/* ---- comparing --------------------------------------------------------------------------------
 */

static void add_clusters(struct buf *out, const struct route_decision *d)
{
    for (uint32_t i = 0; i < d->cluster_count; i++)
        buf_addf(out, "%s%.*s", i ? "," : "", SLICE_ARG(d->clusters[i]));
}

static void add_target(struct buf *out, const struct route_decision *d)
{
    switch (d->outcome) {
    case ROUTE_TO: add_clusters(out, d); break;
    case ROUTE_DENY: buf_addf(out, "refused (%.*s)", SLICE_ARG(d->deny)); break;
    case ROUTE_NONE: buf_add_str(out, "no route"); break;
    case ROUTE_UNSAFE: buf_addf(out, "refused (db_user %.*s)", SLICE_ARG(d->db_user)); break;
    }
}

static bool same_clusters(const struct route_decision *a, const struct route_decision *b)
{
    if (a->cluster_count != b->cluster_count) return false;
    for (uint32_t i = 0; i < a->cluster_count; i++)
        if (!slice_eq(a->clusters[i], b->clusters[i])) return false;
    return true;
}

static bool same_answers(const struct route_decision *a, const struct route_decision *b)
{
    if (a->local_answer_count != b->local_answer_count) return false;
    for (uint32_t i = 0; i < a->local_answer_count; i++)
        if (!slice_eq(a->local_answers[i], b->local_answers[i])) return false;
    return true;
}

static void add_change(struct buf *out, const char *name, struct slice before, struct slice after)
{
    const struct slice none = slice_str("none");
    if (slice_eq(before, after)) return;
    if (!before.len) before = none;
    if (!after.len) after = none;
    buf_addf(out, "%s%s %.*s -> %.*s", out->len ? "; " : "", name, SLICE_ARG(before),
             SLICE_ARG(after));
}

/* What differs, in words. */
static void describe(struct buf *out, const struct route_decision *a,
                     const struct route_decision *b)
{
    bool both_go = a->outcome == ROUTE_TO && b->outcome == ROUTE_TO;
    if (!both_go || !same_clusters(a, b)) {
        add_target(out, a);
        buf_add_str(out, " -> ");
        add_target(out, b);
    }
    if (!both_go) return;
    add_change(out, "db_user", a->db_user, b->db_user);
    add_change(out, "database", a->database, b->database);
    add_change(out, "query_group", a->query_group, b->query_group);
    add_change(out, "pool", a->pool, b->pool);
    if (!same_answers(a, b)) buf_addf(out, "%slocal_answers", out->len ? "; " : "");
}

/* ---- counting ---------------------------------------------------------------------------------
 */

static struct slice cut(struct slice *left)
{
    const char *end = memchr(left->at, '\0', left->len);
    size_t n = end ? (size_t)(end - left->at) : left->len;
    struct slice word = slice_of(left->at, n);
    *left = slice_after(*left, n + 1);
    return word;
}

static bool count(struct diff *d, struct slice key)
{
    struct row *row = map_get(&d->rows, key);
    if (row) {
        row->count++;
        return true;
    }
    if (d->rows.count == DIFF_ROWS_MAX) {
        d->totals.not_listed++;
        return true;
    }
    row = arena_alloc(&d->arena, sizeof *row);
    if (!row) return false;
    struct slice left = row->key = arena_copy(&d->arena, key);
    if (!left.at || !map_put(&d->rows, row->key, row)) return false;
    row->before = cut(&left);
    row->after = cut(&left);
    row->change = cut(&left);
    row->fingerprint = cut(&left);
    row->count = 1;
    return true;
}

bool diff_add(struct diff *d, const struct route_facts *facts,
              const struct route_statement *statement, struct slice fingerprint)
{
    struct route_statement with_scratch;
    struct route_decision a, b;
    struct buf change = { 0 }, key = { 0 };
    bool ok = true;
    if (statement) {
        with_scratch = *statement;
        with_scratch.scratch = d->scratch;
        statement = &with_scratch;
    }
    route_decide(d->before, facts, statement, &a);
    route_decide(d->after, facts, statement, &b);
    d->totals.decisions++;
    d->totals.regex_limit_hits += b.regex_limit_hits;
    if (!route_same_effect(&a, &b)) {
        describe(&change, &a, &b);
        d->totals.differ++;
        buf_addf(&key, "%.*s%c%.*s%c%.*s%c%.*s", SLICE_ARG(a.id), 0, SLICE_ARG(b.id), 0,
                 SLICE_ARG(buf_slice(&change)), 0, SLICE_ARG(fingerprint));
        ok = !change.failed && !key.failed && count(d, buf_slice(&key));
    } else if (slice_eq(a.id, b.id)) {
        d->totals.same++;
    } else {
        d->totals.other_rule++;
    }
    buf_fini(&change);
    buf_fini(&key);
    return ok;
}

bool diff_add_line(struct diff *d, struct slice line)
{
    struct record r;
    while (line.len && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r')) line.len--;
    if (line.len == 0) return true;
    if (!record_read(&r, line)) {
        d->totals.unreadable++;
        return true;
    }
    bool ok = diff_add(d, &r.facts, r.has_statement ? &r.statement : NULL, r.fingerprint);
    record_fini(&r);
    return ok;
}

/* ---- reporting --------------------------------------------------------------------------------
 */

static int slice_order(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int group_order(const struct row *a, const struct row *b)
{
    int order = slice_order(a->before, b->before);
    if (order == 0) order = slice_order(a->after, b->after);
    return order ? order : slice_order(a->change, b->change);
}

static int by_group(const void *a, const void *b) { return group_order(a, b); }

static int by_count(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->group_count != y->group_count) return x->group_count > y->group_count ? -1 : 1;
    int order = group_order(x, y);
    if (order) return order;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return slice_order(x->fingerprint, y->fingerprint);
}

/* Copies of all rows, groups together, the largest group first. NULL: none, or no memory. */
static struct row *sorted(const struct diff *d)
{
    struct row *rows = d->rows.count ? calloc(d->rows.count, sizeof *rows) : NULL;
    uint32_t at = 0, n = 0;
    if (!rows) return NULL;
    for (const struct row *r = map_next(&d->rows, &at); r; r = map_next(&d->rows, &at))
        rows[n++] = *r;
    qsort(rows, n, sizeof *rows, by_group);
    for (uint32_t i = 0, end; i < n; i = end) {
        uint64_t sum = 0;
        for (end = i; end < n && group_order(&rows[i], &rows[end]) == 0; end++)
            sum += rows[end].count;
        for (uint32_t j = i; j < end; j++) rows[j].group_count = sum;
    }
    qsort(rows, n, sizeof *rows, by_count);
    return rows;
}

static struct slice rule_text(struct slice id) { return id.len ? id : slice_str("(no rule)"); }

void diff_text(const struct diff *d, uint32_t most, struct buf *out)
{
    const struct diff_totals *t = &d->totals;
    struct row *rows = sorted(d);
    buf_addf(
        out,
        "%llu decisions: %llu the same, %llu by another rule to the same effect, %llu differ\n",
        (unsigned long long)t->decisions, (unsigned long long)t->same,
        (unsigned long long)t->other_rule, (unsigned long long)t->differ);
    if (t->unreadable)
        buf_addf(out, "%llu lines could not be read\n", (unsigned long long)t->unreadable);
    if (t->regex_limit_hits)
        buf_addf(out, "%llu expressions ran out of budget\n",
                 (unsigned long long)t->regex_limit_hits);
    uint32_t shown = 0;
    for (uint32_t i = 0; rows && i < d->rows.count; i++) {
        const struct row *r = &rows[i];
        bool begins = i == 0 || group_order(r, &rows[i - 1]) != 0;
        if (begins) {
            shown = 0;
            struct slice before = rule_text(r->before), after = rule_text(r->after);
            buf_addf(out, "%8llu  %.*s => %.*s: %.*s\n", (unsigned long long)r->group_count,
                     SLICE_ARG(before), SLICE_ARG(after), SLICE_ARG(r->change));
        }
        if (r->fingerprint.len && shown++ < most)
            buf_addf(out, "          %8llu  %.*s\n", (unsigned long long)r->count,
                     SLICE_ARG(r->fingerprint));
    }
    if (t->not_listed)
        buf_addf(out, "%8llu  more, not listed\n", (unsigned long long)t->not_listed);
    free(rows);
}

static void json_field(struct buf *out, const char *name, struct slice value)
{
    buf_addf(out, "\"%s\":", name);
    json_quote(out, value);
}

void diff_json(const struct diff *d, struct buf *out)
{
    const struct diff_totals *t = &d->totals;
    struct row *rows = sorted(d);
    buf_addf(out,
             "{\"decisions\":%llu,\"same\":%llu,\"other_rule\":%llu,\"differ\":%llu,"
             "\"unreadable\":%llu,\"regex_limit_hits\":%llu,\"not_listed\":%llu,\"differences\":[",
             (unsigned long long)t->decisions, (unsigned long long)t->same,
             (unsigned long long)t->other_rule, (unsigned long long)t->differ,
             (unsigned long long)t->unreadable, (unsigned long long)t->regex_limit_hits,
             (unsigned long long)t->not_listed);
    for (uint32_t i = 0; rows && i < d->rows.count; i++) {
        const struct row *r = &rows[i];
        buf_add_str(out, i ? ",{" : "{");
        json_field(out, "before", r->before);
        buf_add_u8(out, ',');
        json_field(out, "after", r->after);
        buf_add_u8(out, ',');
        json_field(out, "change", r->change);
        buf_add_u8(out, ',');
        json_field(out, "fingerprint", r->fingerprint);
        buf_addf(out, ",\"count\":%llu}", (unsigned long long)r->count);
    }
    buf_add_str(out, "]}\n");
    free(rows);
}
