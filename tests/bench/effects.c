/* effects: what reading SQL costs the pooler. Prints one line per text: ns per text, GB/s. */
#include "protocol/sql_effects.h"
#include "protocol/sql_skim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t read_whole(struct slice text)
{
    struct sql_effects e;
    sql_effects(text, false, &e);
    return e.effects;
}

/* As the pooler does with a long one: the head read, the rest in pieces of 64 KiB. */
static uint32_t read_in_pieces(struct slice text)
{
    enum { HEAD = 16384, PIECE = 65536 };
    struct sql_effects e;
    struct sql_skim k;
    struct slice head = slice_of(text.at, text.len < HEAD ? text.len : HEAD);
    sql_effects(head, true, &e);
    sql_skim_begin(&k, head);
    for (size_t at = head.len; at < text.len; at += PIECE)
        sql_skim_feed(&k, slice_of(text.at + at, text.len - at < PIECE ? text.len - at : PIECE));
    return e.effects | sql_skim_end(&k);
}

static void measure(const char *name, struct slice text, uint32_t (*read)(struct slice))
{
    uint32_t seen = 0;
    double best_s = 1e9;
    unsigned rounds = (unsigned)(20000000 / (text.len + 100)) + 1;
    for (int repeat = 0; repeat < 5; repeat++) {
        double start = now_s();
        for (unsigned i = 0; i < rounds; i++) {
            __asm__ volatile("" : : "g"(text.at) : "memory");
            seen |= read(text);
        }
        double took = (now_s() - start) / rounds;
        if (took < best_s) best_s = took;
    }
    printf("%-24s %9zu bytes %12.1f ns %8.2f GB/s  effects %08x\n", name, text.len, best_s * 1e9,
           (double)text.len / best_s / 1e9, seen);
}

/* Rows of VALUES as a loader sends them. */
static size_t write_rows(char *out, size_t cap)
{
    static const char *const words[] = { "view", "purchase", "add_to_cart",
                                         "a longer text, of a name" };
    uint32_t x = 1;
    size_t n =
        (size_t)snprintf(out, cap, "INSERT INTO public.events (id, kind, at, price) VALUES ");
    while (n + 200 < cap) {
        x = x * 1664525 + 1013904223;
        n += (size_t)snprintf(
            out + n, cap - n, "(%u, '%s', '2024-03-%02u 12:%02u:00', %u.%02u, null), ", x >> 8,
            words[x >> 30], 1 + (x >> 9) % 28, (x >> 3) % 60, (x >> 12) % 10000, (x >> 5) % 100);
    }
    return n;
}

int main(void)
{
    enum { LONG = 1 << 20 };
    char *rows = malloc(LONG), *literal = malloc(LONG);
    size_t rows_len = write_rows(rows, LONG);
    memset(literal, 'x', LONG);
    memcpy(literal, "INSERT INTO t VALUES ('", 23);
    memcpy(literal + LONG - 2, "')", 2);

    struct slice select = slice_str("SELECT id, name FROM public.customers WHERE region = 'north'");
    struct slice one = slice_str("INSERT INTO public.events (id, kind, at) VALUES (42, 'view', "
                                 "'2024-03-01 12:00:00+00')");
    struct slice set = slice_str("SET search_path TO public, staging; SET query_group TO 'etl'");
    measure("select", select, read_whole);
    measure("insert, one row", one, read_whole);
    measure("set, set", set, read_whole);
    measure("insert, many rows", slice_of(rows, rows_len), read_whole);
    measure("the same in pieces", slice_of(rows, rows_len), read_in_pieces);
    measure("a long literal", slice_of(literal, LONG), read_in_pieces);
    free(rows);
    free(literal);
    return 0;
}
