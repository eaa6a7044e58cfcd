/* judge: what it costs to judge a statement under an insert_only role.
 *
 * The best of several runs (others use the machine too), in nanoseconds per judgement and in MB/s
 * of text. Gates: a one-row INSERT in at most 0.5 us, 1 MB of rows at 700 MB/s or more; with
 * BENCH_GATES=1 a missed gate is exit status 1.
 */
#include "auth/grants.h"
#include "protocol/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 9, RUN_NS = 60000000 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds per judgement: the best of the runs. */
static double measure(const struct grants *grants, struct slice text)
{
    double best = 1e18;
    struct verdict verdict;
    if (!grants_decide(grants, NULL, text, &verdict)) {
        fprintf(stderr, "refused: %s\n", grants_reason_code(verdict.reason));
        exit(1);
    }
    for (size_t i = 0; i < RUNS; i++) {
        uint64_t n = 0, begun = now_ns(), spent = 0;
        for (; spent < RUN_NS; spent = now_ns() - begun)
            for (size_t k = 0; k < 1 + 20000 / text.len; k++, n++)
                grants_decide(grants, NULL, text, &verdict);
        const double ns = (double)spent / (double)n;
        if (ns < best) best = ns;
    }
    return best;
}

static double report(const struct grants *grants, const char *what, struct slice text)
{
    const double ns = measure(grants, text);
    printf("judge  %-28s %8zu bytes %12.0f ns %8.0f MB/s\n", what, text.len, ns,
           (double)text.len * 1000 / ns);
    return ns;
}

static bool gate(const char *what, bool met)
{
    printf("judge  gate: %-40s %s\n", what, met ? "met" : "MISSED");
    return met;
}

/* Rows as loaders send them, or rows of one long literal, up to `bytes`. */
static void add_rows(struct buf *out, size_t bytes, size_t literal)
{
    buf_add_str(out, "INSERT INTO public.events (id, name, at, amount) VALUES ");
    for (unsigned i = 0; out->len < bytes; i++) {
        buf_addf(out, "%s(%u, '", i ? ", " : "", 100000 + i);
        for (size_t k = 0; k < literal; k++) buf_add_u8(out, (uint8_t)('a' + (i + k) % 26));
        buf_addf(out, "', '2025-01-01 00:00:%02u', %u.25)", i % 60, i % 1000);
    }
}

int main(void)
{
    const struct grants_rule rules[] = {
        { slice_str("public.events"), 1U << SQL_VERB_INSERT },
        { slice_str("staging.*"), 1U << SQL_VERB_INSERT },
    };
    const struct grants_options options = { .name = slice_str("loader"),
                                            .rules = rules,
                                            .rule_count = 2 };
    struct err err;
    struct grants *grants = grants_new(&options, &err);
    if (!grants) return 1;

    const double row = report(
        grants, "INSERT, one row",
        slice_str(
            "INSERT INTO public.events (id, name, at) VALUES (1, 'alpha', '2025-01-01 00:00:00')"));
    report(grants, "INSERT, parameters",
           slice_str("INSERT INTO public.events (id, name, at) VALUES ($1, $2, getdate())"));
    report(grants, "COPY",
           slice_str("COPY public.events FROM 's3://bucket/prefix' IAM_ROLE default "
                     "FORMAT AS CSV GZIP IGNOREHEADER 1 TIMEFORMAT 'auto'"));
    struct buf rows = { 0 }, text = { 0 };
    add_rows(&rows, 1 << 20, 12);
    const double many = report(grants, "INSERT, 1 MB of rows", buf_slice(&rows));
    add_rows(&text, 1 << 20, 2000);
    report(grants, "INSERT, 1 MB of long literals", buf_slice(&text));

    const bool met = gate("one-row INSERT <= 500 ns", row <= 500) &
                     gate("1 MB of rows >= 700 MB/s", (double)rows.len * 1000 / many >= 700);
    buf_fini(&rows);
    buf_fini(&text);
    grants_free(grants);
    return getenv("BENCH_GATES") && !met ? 1 : 0;
}
