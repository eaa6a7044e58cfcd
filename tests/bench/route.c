/* route: what a routing decision costs, by the number of rules.
 *
 * Mixed rules, as a large installation might have them (make_rule below says in what
 * proportion): most name a user, an application, a network, tables, or a role and a
 * database; some have hours, shares, expressions besides, or a star in front. The
 * default stands last and takes what is left, so that no wide rule on top makes the
 * rest cheap. Each situation is asked once: nothing is warm but the table itself.
 * Prints nanoseconds; a reading of the clock (about 25) is in each.
 */
#include "routing/build.h"
#include "unit/routes.h"

#include <time.h>

enum { SITUATIONS = 20000 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int order(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void print_costs(const char *what, uint32_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, order);
    printf("  %-10s median %5u ns   p90 %6u   p99 %6u", what, ns[count / 2], ns[count * 9 / 10],
           ns[count * 99 / 100]);
}

/* One more value for a condition: a number between two words; NONE: no number. */
enum { NONE = UINT32_MAX };

static void add(struct spec *s, enum route_condition c, const char *head, unsigned n,
                const char *tail)
{
    char *out = s->values[c][s->count[c]++];
    if (n == NONE)
        snprintf(out, SPEC_TEXT, "%s%s", head, tail);
    else
        snprintf(out, SPEC_TEXT, "%s%u%s", head, n, tail);
}

/* In percent. Numbers run to `spread`, the number of rules. */
static void make_rule(struct dice *d, struct spec *s, unsigned number, unsigned spread)
{
    unsigned kind = roll(d, 100);
    memset(s, 0, sizeof *s);
    snprintf(s->id, sizeof s->id, "rule%u", number);
    s->is_login = kind < 75;
    if (kind < 30) { /* 30: a user, half of them with something more */
        add(s, ROUTE_USER, "user", roll(d, spread), "");
        if (roll(d, 4) == 0) add(s, ROUTE_HOUR, "08-18", NONE, "");
        if (roll(d, 4) == 0) add(s, ROUTE_PERCENT, "", roll(d, 100), "");
    } else if (kind < 45) { /* 15: a role and a database */
        add(s, ROUTE_ROLE, "role", roll(d, 100), "");
        add(s, ROUTE_DATABASE, "db", roll(d, 200), "");
    } else if (kind < 58) { /* 13: an application by its head */
        add(s, ROUTE_APPLICATION, "app-", roll(d, spread), "*");
    } else if (kind < 70) { /* 12: a network, with or without TLS */
        add(s, ROUTE_CLIENT, "10.", roll(d, 250), ".0.0/16");
        add(s, ROUTE_TLS, roll(d, 2) ? "true" : "false", NONE, "");
        add(s, ROUTE_DATABASE, "db", roll(d, 200), "");
    } else if (kind < 74) { /* 4: a list of users in a database */
        for (int i = 0; i < 3; i++) add(s, ROUTE_USER, "user", roll(d, spread), "");
        add(s, ROUTE_DATABASE, "db", roll(d, 200), "");
    } else if (kind < 75) { /* 1: a tail */
        add(s, ROUTE_APPLICATION, "*-", roll(d, spread), "-suffix");
    } else if (kind < 95) { /* 20: a verb and tables */
        add(s, ROUTE_STATEMENT, "SELECT", NONE, "");
        add(s, ROUTE_TABLES, "mart", roll(d, spread), roll(d, 2) ? ".*" : ".sales");
    } else { /* 5: an expression, for one user */
        add(s, ROUTE_QUERY, "from\\s+mart", roll(d, spread), "");
        add(s, ROUTE_USER, "user", roll(d, spread), "");
    }
    snprintf(s->to[0], SPEC_TEXT, "cluster%u", roll(d, 5));
    s->to_count = 1;
}

static void make_situation(struct dice *d, struct situation *x, unsigned spread)
{
    random_situation(d, x, spread);
    snprintf(x->text[0], SPEC_TEXT, "user%u", roll(d, spread));
    snprintf(x->text[1], SPEC_TEXT, "role%u", roll(d, 100));
    snprintf(x->text[2], SPEC_TEXT, "db%u", roll(d, 200));
    snprintf(x->text[3], SPEC_TEXT, "app-%u worker %u", roll(d, spread), roll(d, 10));
    struct slice *const names[] = { &x->facts.user, &x->facts.role, &x->facts.database,
                                    &x->facts.application };
    for (int i = 0; i < 4; i++) *names[i] = slice_str(x->text[i]);
    x->statement.verb = slice_str("SELECT");
    x->statement.table_count = 1 + roll(d, 3);
    for (unsigned i = 0; i < x->statement.table_count; i++) {
        snprintf(x->tables[i], SPEC_TEXT, "mart%u.%s", roll(d, spread),
                 roll(d, 2) ? "sales" : "other");
        x->table_slices[i] = slice_str(x->tables[i]);
    }
}

static void measure(unsigned rules)
{
    struct dice dice = { rules };
    unsigned spread = rules < 100 ? 100 : rules;
    struct spec *specs = malloc(rules * sizeof *specs);
    struct situation *x = malloc(SITUATIONS * sizeof *x);
    uint32_t *ns = malloc(SITUATIONS * sizeof *ns);
    struct regex_scratch *scratch = regex_scratch_new();
    if (!specs || !x || !ns || !scratch) abort();
    for (unsigned i = 0; i + 1 < rules; i++) make_rule(&dice, &specs[i], i, spread);
    specs[rules - 1] =
        (struct spec){ .id = "default", .to = { "cluster0" }, .to_count = 1, .is_login = true };
    for (unsigned i = 0; i < SITUATIONS; i++) {
        make_situation(&dice, &x[i], spread);
        x[i].statement.scratch = scratch;
        for (unsigned n = 0; n < x[i].statement.table_count; n++)
            x[i].table_slices[n].at = x[i].tables[n];
    }
    struct err e;
    uint64_t start = now_ns();
    struct route_table *t = build_specs(specs, rules, &e);
    if (!t) {
        printf("%s\n", e.message);
        exit(1);
    }
    printf("%6u rules, made in %llu ms, %zu KiB\n", rules,
           (unsigned long long)((now_ns() - start) / 1000000), route_table_bytes(t) / 1024);
    for (int with_statement = 0; with_statement < 2; with_statement++) {
        unsigned matched = 0;
        for (unsigned i = 0; i < SITUATIONS; i++) {
            struct route_decision d;
            start = now_ns();
            route_decide(t, &x[i].facts, with_statement ? &x[i].statement : NULL, &d);
            ns[i] = (uint32_t)(now_ns() - start);
            matched += with_statement ? d.rule != d.login_rule : d.rule + 1 < rules;
        }
        print_costs(with_statement ? "statement" : "login", ns, SITUATIONS);
        printf("   (%u%% %s)\n", matched * 100 / SITUATIONS,
               with_statement ? "by a statement rule" : "not by the default");
    }
    route_table_unref(t);
    regex_scratch_free(scratch);
    free(specs);
    free(x);
    free(ns);
}

int main(void)
{
    static const unsigned sizes[] = { 10, 100, 1000, 10000, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) measure(sizes[i]);
    return 0;
}
