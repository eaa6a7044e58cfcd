/* routes: random routing tables, and a second opinion on what they decide.
 *
 * A `spec` is a rule as words. It is handed to the builder, and it is judged here by
 * a model that shares no code with routing/: recursion for globs, bit by bit for
 * networks, no index, no sets.
 */
#ifndef SLUICE_TESTS_ROUTES_H
#define SLUICE_TESTS_ROUTES_H

#include "routing/build.h"

#include <stdio.h>
#include <stdlib.h>

struct dice {
    uint64_t state;
};

/* splitmix64: any seed will do. */
static inline uint32_t roll(struct dice *d, uint32_t sides)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32) % sides;
}

enum { SPEC_VALUES = 3, SPEC_TEXT = 32, FACT_TABLES = 4 };

struct spec {
    char id[16];
    char values[ROUTE_CONDITIONS][SPEC_VALUES][SPEC_TEXT];
    unsigned count[ROUTE_CONDITIONS];
    char to[2][SPEC_TEXT], db_user[SPEC_TEXT], deny[SPEC_TEXT], query_group[SPEC_TEXT];
    unsigned to_count;
    bool is_login;
};

/* Facts with the bytes that they point to. */
struct situation {
    struct route_facts facts;
    struct route_statement statement;
    char text[8][SPEC_TEXT], tables[FACT_TABLES][SPEC_TEXT], sql[64], client[SPEC_TEXT];
    struct slice table_slices[FACT_TABLES];
};

/* ---- chance -----------------------------------------------------------------------------------
 */

static inline void random_name(struct dice *d, char *out, enum route_condition c, unsigned spread)
{
    static const char *const verbs[] = { "SELECT", "INSERT", "UPDATE", "COPY", "CREATE TABLE" };
    unsigned n = roll(d, spread), m = roll(d, 5);
    switch (c) {
    case ROUTE_USER: snprintf(out, SPEC_TEXT, "user%u", n); break;
    case ROUTE_ROLE: snprintf(out, SPEC_TEXT, "role%u", n % 7); break;
    case ROUTE_DATABASE: snprintf(out, SPEC_TEXT, "db%u", n % 11); break;
    case ROUTE_APPLICATION: snprintf(out, SPEC_TEXT, "%c%u app %u", "TPx"[m % 3], n % 13, n); break;
    case ROUTE_QUERY_GROUP: snprintf(out, SPEC_TEXT, "%s%u", m ? "qg" : "", n % 5); break;
    case ROUTE_CLIENT:
        if (m)
            snprintf(out, SPEC_TEXT, "10.%u.%u.%u", n % 3, n % 5, n % 251);
        else
            snprintf(out, SPEC_TEXT, "2001:db8:%x::%x", n % 3, n % 251);
        break;
    case ROUTE_STATEMENT: snprintf(out, SPEC_TEXT, "%s", verbs[m]); break;
    case ROUTE_TABLES: snprintf(out, SPEC_TEXT, "schema%u.table%u", n % 4, n); break;
    default: abort();
    }
}

static inline void random_value(struct dice *d, char *out, enum route_condition c, unsigned spread)
{
    static const char *const hours[] = { "08-18", "22-06", "00-24", "12:30-13", "6-7:15" };
    static const char *const days[] = { "mon-fri", "sat", "sun-tue", "wed", "fri-mon" };
    static const char *const expressions[] = { "mart", "^select", "from \\w+ where", "a|b",
                                               "[0-9]{3}" };
    unsigned k = roll(d, 5);
    switch (c) {
    case ROUTE_TLS: snprintf(out, SPEC_TEXT, "%s", k & 1 ? "true" : "false"); return;
    case ROUTE_HOUR: snprintf(out, SPEC_TEXT, "%s", hours[k]); return;
    case ROUTE_WEEKDAY: snprintf(out, SPEC_TEXT, "%s", days[k]); return;
    case ROUTE_PERCENT: snprintf(out, SPEC_TEXT, "%u.%u", roll(d, 100), roll(d, 10)); return;
    case ROUTE_QUERY: snprintf(out, SPEC_TEXT, "%s", expressions[k]); return;
    case ROUTE_CLIENT: {
        static const unsigned bits[] = { 32, 24, 16, 8, 20 };
        unsigned n = roll(d, spread);
        unsigned b = n % 251 & (bits[k] == 32 ? 0xffu : 0u);
        unsigned third = bits[k] > 20 ? n % 5 : 0;
        if (roll(d, 8) == 0)
            snprintf(out, SPEC_TEXT, "2001:db8:%x::/48", n % 3);
        else
            snprintf(out, SPEC_TEXT, "10.%u.%u.%u/%u", bits[k] > 8 ? n % 3 : 0, third, b, bits[k]);
        return;
    }
    default: break;
    }
    random_name(d, out, c, spread);
    size_t len = strlen(out);
    if (c == ROUTE_STATEMENT || k > 1 || len < 3) return;
    size_t cut = roll(d, (uint32_t)len);
    if (roll(d, 4)) {
        out[cut] = '*'; /* a head and a star */
        out[cut + 1] = '\0';
        if (roll(d, 3) == 0) snprintf(out + cut + 1, SPEC_TEXT - cut - 1, "%u", roll(d, 10));
    } else {
        out[0] = '*';
    }
}

/* A rule with up to three conditions; `statements` in ten are statement rules. */
static inline void random_spec(struct dice *d, struct spec *s, unsigned number, unsigned spread,
                               unsigned statements)
{
    memset(s, 0, sizeof *s);
    s->is_login = roll(d, 10) >= statements;
    snprintf(s->id, sizeof s->id, "rule%u", number);
    unsigned conditions = 1 + roll(d, 3);
    for (unsigned i = 0; i < conditions; i++) {
        unsigned c = roll(d, s->is_login ? ROUTE_STATEMENT : ROUTE_CONDITIONS);
        if (i == 0 && !s->is_login)
            c = ROUTE_STATEMENT + roll(d, ROUTE_CONDITIONS - ROUTE_STATEMENT);
        unsigned values = c == ROUTE_TLS || c == ROUTE_PERCENT ? 1 : 1 + roll(d, SPEC_VALUES);
        for (s->count[c] = 0; s->count[c] < values; s->count[c]++)
            random_value(d, s->values[c][s->count[c]], (enum route_condition)c, spread);
    }
    snprintf(s->to[0], SPEC_TEXT, "cluster%u", roll(d, 3));
    s->to_count = 1;
    if (roll(d, 3) == 0) {
        snprintf(s->to[1], SPEC_TEXT, "cluster%u", 3 + roll(d, 3));
        s->to_count = 2;
    }
    if (roll(d, 4) == 0) snprintf(s->query_group, SPEC_TEXT, "qg%u", roll(d, 5));
    if (s->is_login && roll(d, 6) == 0) snprintf(s->db_user, SPEC_TEXT, "dbu%u", roll(d, 3));
    if (s->is_login && roll(d, 12) == 0) {
        snprintf(s->deny, SPEC_TEXT, "closed");
        s->to_count = 0;
        s->query_group[0] = s->db_user[0] = '\0';
    }
}

static inline void random_situation(struct dice *d, struct situation *x, unsigned spread)
{
    static const struct slice allowed[] = { { "dbu0", 4 }, { "dbu1", 4 } };
    static const char *const sql[] = { "select a from mart.sales where x = ?",
                                       "insert into t values (?)", "copy b123 from ?",
                                       "update t set c = ?" };
    memset(x, 0, sizeof *x);
    struct route_facts *f = &x->facts;
    struct slice *const names[] = { &f->user, &f->role, &f->database, &f->application,
                                    &f->query_group };
    const enum route_condition which[] = { ROUTE_USER, ROUTE_ROLE, ROUTE_DATABASE,
                                           ROUTE_APPLICATION, ROUTE_QUERY_GROUP };
    for (int i = 0; i < 5; i++) {
        random_name(d, x->text[i], which[i], spread);
        if (roll(d, 20) == 0) x->text[i][0] = '\0';
        *names[i] = slice_str(x->text[i]);
    }
    random_name(d, x->client, ROUTE_CLIENT, spread);
    if (roll(d, 10)) address_parse(slice_str(x->client), &f->client);
    f->tls = roll(d, 2);
    f->at_s = 1700000000 + roll(d, 30 * 24 * 3600);
    f->db_user = slice_str("dbu9");
    f->db_users = allowed;
    f->db_user_count = 2;
    random_name(d, x->text[5], ROUTE_STATEMENT, spread);
    x->statement.verb = slice_str(x->text[5]);
    random_name(d, x->text[6], ROUTE_QUERY_GROUP, spread);
    x->statement.query_group = slice_str(x->text[6]);
    x->statement.at_s = f->at_s + roll(d, 100000);
    x->statement.table_count = roll(d, FACT_TABLES + 1);
    for (unsigned i = 0; i < x->statement.table_count; i++) {
        random_name(d, x->tables[i], ROUTE_TABLES, spread);
        x->table_slices[i] = slice_str(x->tables[i]);
    }
    x->statement.tables = x->table_slices;
    snprintf(x->sql, sizeof x->sql, "%s", sql[roll(d, 4)]);
    x->statement.text = slice_str(x->sql);
}

/* ---- the builder ------------------------------------------------------------------------------
 */

static inline bool build_spec(struct route_builder *b, const struct spec *s, struct err *e)
{
    if (!route_builder_rule(b, slice_str(s->id), 0, e)) return false;
    for (int c = 0; c < ROUTE_CONDITIONS; c++)
        for (unsigned i = 0; i < s->count[c]; i++)
            if (!route_builder_when(b, (enum route_condition)c, slice_str(s->values[c][i]), e))
                return false;
    for (unsigned i = 0; i < s->to_count; i++)
        if (!route_builder_to(b, slice_str(s->to[i]), e)) return false;
    const char *const texts[] = { s->db_user, "", s->query_group, s->deny };
    for (int i = 0; i < 4; i++)
        if (texts[i][0] && !route_builder_text(b, (enum route_text)i, slice_str(texts[i]), e))
            return false;
    return route_builder_end(b, e);
}

static inline struct route_table *build_specs(const struct spec *s, unsigned count, struct err *e)
{
    struct route_builder *b = route_builder_new((struct map_seed){ 1, 2 });
    for (unsigned i = 0; b && i < count; i++)
        if (!build_spec(b, &s[i], e)) {
            route_builder_free(b);
            return NULL;
        }
    return b ? route_builder_finish(b, 1, e) : NULL;
}

/* ---- the second opinion -----------------------------------------------------------------------
 */

static inline bool model_glob(const char *p, const char *t, const char *end)
{
    if (*p == '\0') return t == end;
    if (*p == '*') return model_glob(p + 1, t, end) || (t < end && model_glob(p, t + 1, end));
    return t < end && *t == *p && model_glob(p + 1, t + 1, end);
}

static inline bool model_text(const struct spec *s, int c, struct slice text)
{
    for (unsigned i = 0; i < s->count[c]; i++)
        if (model_glob(s->values[c][i], text.at, text.at + text.len)) return true;
    return false;
}

static inline bool model_network(const char *text, const struct match_address *a)
{
    struct match_address base;
    unsigned bits = 0;
    const char *slash = strchr(text, '/');
    if (!slash || !address_parse(slice_of(text, (size_t)(slash - text)), &base)) abort();
    sscanf(slash + 1, "%u", &bits);
    if (base.family != a->family) return false;
    for (unsigned i = 0; i < bits; i++)
        if ((base.at[i / 8] ^ a->at[i / 8]) >> (7 - i % 8) & 1) return false;
    return true;
}

static inline bool model_hour(const char *text, int64_t at_s)
{
    unsigned v[4] = { 0 }, now = (unsigned)(at_s / 60 % 1440);
    if (sscanf(text, "%u:%u-%u:%u", &v[0], &v[1], &v[2], &v[3]) < 3) {
        v[1] = v[3] = 0;
        sscanf(text, "%u-%u:%u", &v[0], &v[2], &v[3]);
    }
    unsigned from = v[0] * 60 + v[1], until = v[2] * 60 + v[3];
    for (unsigned m = from, n = 0; n < 1440; n++, m = (m + 1) % 1440) {
        if (m == until % 1440 && n > 0) break;
        if (m == now) return true;
    }
    return false;
}

static inline bool model_day(const char *text, int64_t at_s)
{
    static const char *const order[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    int now = (int)((at_s / 86400 + 3) % 7), from = 0, to = 0;
    for (int i = 0; i < 7; i++) {
        if (strncmp(text, order[i], 3) == 0) from = i;
        if (strcmp(text + strlen(text) - 3, order[i]) == 0) to = i;
    }
    for (int i = from;; i = (i + 1) % 7) {
        if (i == now) return true;
        if (i == to) return false;
    }
}

#endif
