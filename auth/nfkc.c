#include "auth/nfkc.h"

#include <stdlib.h>

/* ---- the tables --------------------------------------------------------------------------- */

/* All of them begin with the code point that they are sorted by. */
static const struct run {
    uint32_t first, last, to;
} runs[] = {
#define RUN(first, last, to) { 0x##first, 0x##last, 0x##to },
#include "auth/unicode.def"
};

static const struct pair {
    uint32_t code, a, b;
} pairs[] = {
#define PAIR(code, a, b) { 0x##code, 0x##a, 0x##b },
#include "auth/unicode.def"
};

static const struct class
{
    uint32_t first, last;
    uint8_t class;
} classes[] = {
#define CLASS(first, last, class) { 0x##first, 0x##last, 0x##class },
#include "auth/unicode.def"
};

static const uint32_t text_pool[] = {
#define TEXT(count, code, ...) __VA_ARGS__,
#include "auth/unicode.def"
};

/* Where each text lies in the pool: an enumerator counts on from the one before. */
enum {
#define TEXT(count, code, ...) TEXT_##code, TEXT_END_##code = TEXT_##code + (count)-1,
#include "auth/unicode.def"
};

static const struct text {
    uint32_t code;
    uint16_t at;
    uint8_t count;
} texts[] = {
#define TEXT(count, code, ...) { 0x##code, TEXT_##code, count },
#include "auth/unicode.def"
};

/* Hangul is arithmetic (The Unicode Standard, section 3.12). */
enum {
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11a7,
    S_BASE = 0xac00,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = L_COUNT * V_COUNT * T_COUNT,
};

/* The last row that does not begin behind `code`; NULL: none. */
static const void *row_before(uint32_t code, const void *rows, size_t count, size_t size)
{
    const char *at = rows;
    while (count > 0) {
        size_t half = count / 2;
        uint32_t first;
        memcpy(&first, at + half * size, sizeof first);
        if (first <= code) {
            at += (half + 1) * size;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return at == (const char *)rows ? NULL : at - size;
}
#define ROW_BEFORE(code, rows) row_before(code, rows, sizeof(rows) / sizeof *(rows), sizeof *(rows))

static uint8_t class_of(uint32_t code)
{
    const struct class *row = ROW_BEFORE(code, classes);
    return row && code <= row->last ? row->class : 0;
}

/* ---- taking apart ------------------------------------------------------------------------- */

struct letter {
    uint32_t code;
    uint32_t place; /* keeps the sort stable */
    uint8_t class;
};

static void put(struct buf *letters, uint32_t code)
{
    struct letter letter = { .code = code,
                             .place = letters->len / (uint32_t)sizeof letter,
                             .class = class_of(code) };
    buf_add(letters, &letter, sizeof letter);
}

/* Decompositions are nested, at most four deep in Unicode's data. */
static void take_apart(struct buf *letters, uint32_t code, int depth)
{
    enum { DEPTH_MAX = 8 };
    const struct run *run = ROW_BEFORE(code, runs);
    const struct pair *pair = ROW_BEFORE(code, pairs);
    const struct text *text = ROW_BEFORE(code, texts);
    if (depth == DEPTH_MAX || code < 0x80) {
        put(letters, code);
    } else if (code >= S_BASE && code < S_BASE + S_COUNT) {
        uint32_t s = code - S_BASE, t = s % T_COUNT;
        put(letters, L_BASE + s / (V_COUNT * T_COUNT));
        put(letters, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT);
        if (t) put(letters, T_BASE + t);
    } else if (run && code <= run->last) {
        take_apart(letters, run->to + (code - run->first), depth + 1);
    } else if (pair && code == pair->code) {
        take_apart(letters, pair->a, depth + 1);
        take_apart(letters, pair->b, depth + 1);
    } else if (text && code == text->code) {
        for (int i = 0; i < text->count; i++)
            take_apart(letters, text_pool[text->at + i], depth + 1);
    } else {
        put(letters, code);
    }
}

static int by_class(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Marks that follow each other are brought into the order of their classes. */
static void sort_marks(struct letter *letters, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && letters[end].class) end++;
        if (end - i > 1) qsort(letters + i, end - i, sizeof *letters, by_class);
        i = end + 1;
    }
}

/* ---- putting together --------------------------------------------------------------------- */

/* The one character for two; 0: there is none. Passwords are short: the pairs are just walked. */
static uint32_t compose(uint32_t a, uint32_t b)
{
    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE && b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a >= S_BASE && a < S_BASE + S_COUNT && (a - S_BASE) % T_COUNT == 0 && b > T_BASE &&
        b < T_BASE + T_COUNT)
        return a + (b - T_BASE);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].a == a && pairs[i].b == b) return pairs[i].code;
    return 0;
}

/* In place; returns how many are left. A letter composes with the last starter unless one of the
 * same or a higher class stands between (UAX #15, D115 and D117). */
static size_t put_together(struct letter *letters, size_t count)
{
    size_t kept = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        struct letter letter = letters[i];
        bool is_next = starter != SIZE_MAX && kept == starter + 1;
        bool is_blocked =
            starter == SIZE_MAX || (!is_next && letters[kept - 1].class >= letter.class);
        uint32_t together = is_blocked ? 0 : compose(letters[starter].code, letter.code);
        if (together) {
            letters[starter].code = together;
            continue;
        }
        if (!letter.class) starter = kept;
        letters[kept++] = letter;
    }
    return kept;
}

bool nfkc(const uint32_t *codes, size_t count, struct buf *out)
{
    struct buf letters = { 0 };
    /* Reserved for the worst that occurs in practice; growing would leave copies behind. */
    buf_reserve(&letters, (count * 4 + 18) * sizeof(struct letter));
    for (size_t i = 0; i < count; i++) take_apart(&letters, codes[i], 0);
    struct letter *all = (struct letter *)(void *)letters.at;
    size_t n = letters.len / sizeof *all;
    sort_marks(all, n);
    n = put_together(all, n);
    for (size_t i = 0; i < n; i++) buf_add(out, &all[i].code, sizeof all[i].code);
    bool done = !letters.failed && !out->failed;
    buf_wipe(&letters);
    return done;
}
