#include "protocol/nearest.h"

enum { WORD_MAX = 64 };

static unsigned min2(unsigned a, unsigned b) { return a < b ? a : b; }

/* Optimal string alignment: three rows of the usual table, since a swap looks two rows back. */
unsigned edit_distance(struct slice a, struct slice b)
{
    if (a.len > WORD_MAX || b.len > WORD_MAX) return WORD_MAX;
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) above[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = ascii_lower(a.at[i - 1]), y = ascii_lower(b.at[j - 1]);
            row[j] = min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == ascii_lower(b.at[j - 2]) && ascii_lower(a.at[i - 2]) == y)
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

static bool is_part(struct slice whole, struct slice part)
{
    if (part.len < 4) return false;
    for (size_t i = 0; i + part.len <= whole.len; i++)
        if (slice_eq(slice_of(whole.at + i, part.len), part)) return true;
    return false;
}

void nearest_offer(struct nearest *n, struct slice candidate)
{
    unsigned distance = edit_distance(n->word, candidate);
    /* A third of the letters wrong is still a typo; "timeout" for "wait_timeout" is one too. */
    unsigned worst = (unsigned)min2((unsigned)n->word.len, (unsigned)candidate.len) / 3 + 1;
    if (distance > worst) {
        if (!is_part(candidate, n->word) && !is_part(n->word, candidate)) return;
        distance = WORD_MAX + distance; /* after every real typo */
    }
    if (n->best.len > 0 && distance >= n->distance) return;
    n->best = candidate;
    n->distance = distance;
}
