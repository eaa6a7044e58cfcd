/* differential: what Sluice allows, judged again by somebody else.
 *
 *     POLICY_SECONDS=60 POLICY_SEED=1 differential [CASES.jsonl...]
 *
 * Random statements, and changed ones, for every role of the world. For each that is allowed:
 *   I1  PostgreSQL's parser, in both string modes, cannot read it, or reads only what the other
 *       policy (ast_policy) allows, too;
 *   I5  the pooler's reader of statements sees what the judge's does (readers.h);
 *   I2  literals, quoted names and comments are where PostgreSQL's scanner sees them, in both
 * modes; and for every text: I3  no byte outside of it is read (ASan; the text stands alone in
 * memory), and it takes no longer than its length warrants; I4  other blanks, comments and letters
 * between and in the same tokens change no verdict. Prints each finding with the seed that leads to
 * it; exit status 1 then.
 */
#include "policy/ast_policy.h"
#include "policy/readers.h"
#include "protocol/sql_lex.h"

#include <pg_query.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* libpg_query's copies of the two settings that its scanner obeys. */
extern __thread bool standard_conforming_strings;
extern __thread int backslash_quote;

enum { BACKSLASH_QUOTE_ON = 1, SPANS = 1000, FINDINGS_MAX = 10, SHOWN_MAX = 2000 };

struct tally {
    unsigned long texts, allowed, parsed, too_deep, disguised, findings;
};

static void set_string_mode(bool standard)
{
    standard_conforming_strings = standard;
    backslash_quote = BACKSLASH_QUOTE_ON;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void finding(struct tally *t, const struct world_role *role, uint64_t seed,
                    struct slice text, const char *what)
{
    t->findings++;
    printf("FINDING seed %llu, role %s: %s\n", (unsigned long long)seed, role->name, what);
    for (size_t i = 0; i < text.len && i < SHOWN_MAX; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 32 || c > 126)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\n');
}

/* ---- I2: where the literals are ------------------------------------------------------------ */

struct span {
    uint32_t from, to;
};

static uint64_t take_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t v = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    return v;
}

/* A ScanToken of pg_query.proto: start = 1, end = 2, token = 4. */
static void take_token(const uint8_t *at, const uint8_t *end, struct span *span, uint64_t *kind)
{
    *span = (struct span){ 0 };
    while (at < end) {
        uint64_t field = take_varint(&at, end) >> 3, value = take_varint(&at, end);
        if (field == 1) span->from = (uint32_t)value;
        if (field == 2) span->to = (uint32_t)value;
        if (field == 4) *kind = value;
    }
}

/* Literals and quoted names, and separately comments, as the scanner of PostgreSQL has them; false:
 * it cannot read the text. */
static bool scan(struct slice text, struct span *literals, int *literal_count,
                 struct span *comments, int *comment_count)
{
    enum { SCONST = 261, USCONST, BCONST, XCONST, SQL_COMMENT = 275, C_COMMENT };
    PgQueryScanResult result = pg_query_scan(text.at);
    const uint8_t *at = (const uint8_t *)result.pbuf.data, *end = at + result.pbuf.len;
    bool good = !result.error;
    *literal_count = *comment_count = 0;
    while (good && at < end) {
        uint64_t field = take_varint(&at, end), len = take_varint(&at, end), kind = 0;
        if (field != (2 << 3 | 2)) continue; /* the version is a varint, and taken */
        struct span span;
        take_token(at, at + len, &span, &kind);
        at += len;
        bool quoted = span.from < text.len && text.at[span.from] == '"';
        if ((quoted || (kind >= SCONST && kind <= XCONST)) && *literal_count < SPANS)
            literals[(*literal_count)++] = span;
        if ((kind == SQL_COMMENT || kind == C_COMMENT) && *comment_count < SPANS)
            comments[(*comment_count)++] = span;
    }
    pg_query_free_scan_result(result);
    return good;
}

/* NULL, or what is wrong. */
static const char *compare_spans(struct slice text)
{
    static struct span literals[SPANS], comments[SPANS];
    int literal_count, comment_count, l = 0, c = 0;
    if (!scan(text, literals, &literal_count, comments, &comment_count)) return NULL;
    struct sql_lex lex;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        uint32_t from = lex.token.at, to = from + lex.token.len;
        while (c < comment_count && comments[c].to <= from) c++;
        if (c < comment_count && comments[c].from < to) {
            /* Between literals that are joined a line comment may stand (PostgreSQL's scan.l,
             * horiz_whitespace); libpg_query, which reports comments, does not join them then. */
            return lex.token.bits & SQL_TOKEN_JOINED ? NULL : "I2: a comment within a token";
        }
        if (lex.token.kind != SQL_STRING && lex.token.kind != SQL_QUOTED) continue;
        if (l == literal_count) return "I2: a literal that PostgreSQL does not see";
        if (literals[l].from != from || literals[l].to != to)
            return "I2: a literal that ends elsewhere";
        l++;
    }
    return l == literal_count ? NULL : "I2: a literal that only PostgreSQL sees";
}

/* ---- I1: the other policy ------------------------------------------------------------------ */

static bool compare_policies(struct tally *t, struct slice text, const struct world_role *role,
                             char *why, size_t cap)
{
    PgQueryParseResult result = pg_query_parse(text.at);
    bool good = true;
    if (!result.error) {
        cJSON *tree = cJSON_Parse(result.parse_tree);
        t->parsed++;
        t->too_deep += !tree; /* cJSON reads a thousand levels */
        good = !tree || ast_allows(tree, role, why, cap);
        cJSON_Delete(tree);
    }
    pg_query_free_parse_result(result);
    return good;
}

/* ---- one text ------------------------------------------------------------------------------ */

static bool decide(const struct grants *grants, struct slice text)
{
    /* Alone, to the byte: I3. */
    char *alone = malloc(text.len ? text.len : 1);
    if (text.len) memcpy(alone, text.at, text.len);
    struct verdict verdict;
    bool allowed = grants_decide(grants, NULL, slice_of(alone, text.len), &verdict);
    free(alone);
    return allowed;
}

static void try_text(struct tally *t, struct generator *g, const struct world_role *role,
                     const struct grants *grants, uint64_t seed, struct buf *text)
{
    struct slice sql = buf_slice(text);
    bool allowed = decide(grants, sql);
    t->texts++;

    struct buf disguised = { 0 };
    g->out = &disguised;
    if (generate_disguise(g, sql)) {
        t->disguised++;
        if (decide(grants, buf_slice(&disguised)) != allowed) {
            finding(t, role, seed, sql, "I4: verdict changed by blanks, comments or letters:");
            finding(t, role, seed, buf_slice(&disguised), "I4: as this");
            t->findings--;
        }
    }
    buf_fini(&disguised);
    if (!allowed) return;

    t->allowed++;
    const char *differ = readers_differ(sql);
    if (differ) finding(t, role, seed, sql, differ);
    if (sql.len && memchr(sql.at, 0, sql.len)) {
        finding(t, role, seed, sql, "a NUL is allowed");
        return;
    }
    buf_add_u8(text, 0);
    sql = slice_of(text->at, sql.len);
    for (int standard = 0; standard < 2; standard++) {
        char why[200] = "", what[300];
        set_string_mode(standard);
        const char *wrong = compare_spans(sql);
        if (wrong) finding(t, role, seed, sql, wrong);
        if (!compare_policies(t, sql, role, why, sizeof why)) {
            snprintf(what, sizeof what, "I1, %s strings: %s", standard ? "standard" : "escape",
                     why);
            finding(t, role, seed, sql, what);
        }
    }
}

/* I3: a text twice as long takes about twice as long. Deep, wide, and with many of everything. */
static void try_long(struct tally *t, const struct world_role *role, const struct grants *grants)
{
    static const char *const units[] = { "(",
                                         "select (",
                                         "'a' ",
                                         "/* c */",
                                         "a.",
                                         "not ",
                                         "case when ",
                                         "(1),",
                                         "-",
                                         "\"q\" ",
                                         "with a as (",
                                         "\\",
                                         "select 1;",
                                         "[",
                                         "'",
                                         "''",
                                         "$",
                                         "$a$",
                                         "union select 1 ",
                                         "x as (" };
    static const char *const heads[] = { "", "insert into public.events values ", "select ",
                                         "insert into public.events values ('" };
    enum { LONG = 4 << 20 };
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
            struct buf text = { 0 };
            buf_add_str(&text, heads[h]);
            while (text.len < LONG) buf_add_str(&text, units[u]);
            double start = now_s();
            struct verdict verdict;
            grants_decide(grants, NULL, buf_slice(&text), &verdict);
            /* 4 MiB take some 20 ms; a sanitizer and a busy machine a hundred times that */
            if (now_s() - start > 4)
                finding(t, role, 0, slice_of(text.at, 80),
                        "I3: takes longer than its length warrants");
            buf_fini(&text);
        }
}

/* ---- running ------------------------------------------------------------------------------- */

/* The statements of a file of cases, one JSON object with "sql" in each line, to be changed. */
struct seeds {
    struct buf *at;
    size_t count;
};

static void load_seeds(struct seeds *seeds, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (!file) {
        printf("# SKIP %s: no such file, its statements are not tried\n", path);
        return;
    }
    while (getline(&line, &cap, file) > 0) {
        cJSON *object = cJSON_Parse(line);
        const char *sql = cJSON_GetStringValue(cJSON_GetObjectItem(object, "sql"));
        if (sql) {
            seeds->at = realloc(seeds->at, (seeds->count + 1) * sizeof *seeds->at);
            seeds->at[seeds->count] = (struct buf){ 0 };
            buf_add_str(&seeds->at[seeds->count++], sql);
        }
        cJSON_Delete(object);
    }
    free(line);
    fclose(file);
}

/* The other policy is one: it says no, too, and to the right things. */
static void check_oracle(struct tally *t)
{
    static const struct {
        const char *sql;
        unsigned role;
        bool allowed;
    } cases[] = {
        { "insert into public.events values (1)", 0, true },
        { "insert into public.customers values (1)", 0, false },
        { "insert into public.events select id from hr.salaries", 0, false },
        { "insert into public.events values ((select 1 from hr.salaries))", 0, false },
        { "insert into public.events values (1); drop table staging.raw", 0, false },
        { "insert into public.events values ('x\\'); drop table staging.raw; --')", 0, false },
        { "select * from events", 1, true },
        { "select * from hr.salaries", 1, false },
        { "select pg_sleep(1) from events", 1, false },
        { "select set_config('a', 'b', false)", 1, false },
        { "with salaries as (select 1) select * from salaries", 4, true },
        { "with absent as (select 1) select * from hr.absent", 4, true },
        { "with events as (select * from events) select * from events", 4, false },
        { "with recursive events as (select * from events) select * from events", 4, true },
        { "create temp table t as select * from staging.raw", 3, true },
        { "create table t as select * from staging.raw", 3, false },
        { "select 'hr.salaries'::regclass", 1, false },
        { "select 1 from events for update", 1, false },
        { "set search_path to hr", 1, false },
        { "truncate staging.raw", 2, true },
        { "truncate staging.raw cascade", 2, false },
    };
    set_string_mode(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[200] = "";
        const struct world_role *role = &world_roles[cases[i].role];
        struct slice sql = slice_str(cases[i].sql);
        if (compare_policies(t, sql, role, why, sizeof why) != cases[i].allowed)
            finding(t, role, 0, sql, "the oracle is wrong");
    }
}

int main(int argc, char **argv)
{
    const char *given = getenv("POLICY_SECONDS"), *begin = getenv("POLICY_SEED"),
               *root = getenv("SLUICE_ROOT");
    double seconds = given ? atof(given) : 60;
    uint64_t seed = begin ? strtoull(begin, NULL, 10) : (uint64_t)time(NULL) << 20, first = seed;
    struct seeds seeds = { 0 };
    struct tally tally = { 0 };
    for (int i = 1; i < argc; i++) load_seeds(&seeds, argv[i]);
    if (argc == 1) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/policy/corpus.jsonl", root ? root : ".");
        load_seeds(&seeds, path);
    }

    struct grants *grants[8];
    for (unsigned r = 0; r < world_role_count; r++) grants[r] = world_compile(&world_roles[r]);
    check_oracle(&tally);
    try_long(&tally, &world_roles[0], grants[0]);

    double end = now_s() + seconds;
    do {
        for (int i = 0; i < 100; i++, seed++) {
            unsigned r = (unsigned)(seed % world_role_count);
            struct generator g = generator_new(seed);
            struct buf text = { 0 };
            const struct buf *source =
                seeds.count ? &seeds.at[generator_below(&g, (uint32_t)seeds.count)] : NULL;
            g.out = &text;
            generate_text(&g, source ? buf_slice(source) : slice_of(NULL, 0));
            try_text(&tally, &g, &world_roles[r], grants[r], seed, &text);
            buf_fini(&text);
        }
    } while (now_s() < end && tally.findings < FINDINGS_MAX);

    printf(
        "%s 1 - policy by two readings: seeds %llu to %llu, %zu statements to change, %lu texts, "
        "%lu allowed, %lu trees of them (%lu too deep), %lu disguised, %lu findings\n",
        tally.findings ? "not ok" : "ok", (unsigned long long)first, (unsigned long long)seed,
        seeds.count, tally.texts, tally.allowed, tally.parsed, tally.too_deep, tally.disguised,
        tally.findings);
    for (unsigned r = 0; r < world_role_count; r++) grants_free(grants[r]);
    for (size_t i = 0; i < seeds.count; i++) buf_fini(&seeds.at[i]);
    free(seeds.at);
    return tally.findings > 0;
}
