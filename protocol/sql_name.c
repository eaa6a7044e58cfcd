#include "protocol/sql_name.h"

/* The characters of a name token, one after the other. */
struct walk {
    struct slice token;
    size_t at;
    bool quoted, fold;
};

static struct walk walk_begin(struct slice token, enum sql_case mode)
{
    const bool quoted = token.len >= 2 && token.at[0] == '"';
    return (struct walk){ token, quoted ? 1 : 0, quoted, !quoted || mode == SQL_CASE_FOLD };
}

static bool walk_next(struct walk *w, char *c)
{
    if (w->at >= w->token.len - (w->quoted ? 1 : 0)) return false;
    *c = w->token.at[w->at++];
    if (w->quoted && *c == '"') w->at++; /* doubled */
    if (w->fold) *c = ascii_lower(*c);
    return true;
}

size_t sql_name_part(const struct sql_name *name, unsigned i, enum sql_case mode, char *out,
                     size_t cap)
{
    const struct slice token = name->part[i];
    struct walk w = walk_begin(token, mode);
    size_t n = 0;
    char c;
    if (!w.quoted) { /* nearly always */
        if (token.len > cap) return 0;
        for (; n < token.len; n++) out[n] = ascii_lower(token.at[n]);
        return n;
    }
    while (walk_next(&w, &c)) {
        if (n == cap) return 0;
        out[n++] = c;
    }
    return n;
}

bool sql_name_same(struct slice a, struct slice b, enum sql_case mode)
{
    struct walk left = walk_begin(a, mode), right = walk_begin(b, mode);
    char x, y;
    for (;;) {
        const bool more = walk_next(&left, &x);
        if (more != walk_next(&right, &y)) return false;
        if (!more) return true;
        if (x != y) return false;
    }
}

void sql_name_print(const struct sql_name *name, enum sql_case mode, char *out, size_t cap)
{
    size_t n = 0;
    for (unsigned i = 0; i < name->count; i++) {
        struct walk w = walk_begin(name->part[i], mode);
        char c;
        if (i > 0 && n + 1 < cap) out[n++] = '.';
        while (n + 1 < cap && walk_next(&w, &c)) out[n++] = c;
    }
    if (cap > 0) out[n] = 0;
}
