#include "protocol/sql_boundary.h"

#include "protocol/sql_lex.h"

/* The word that stands there, if it is this one. */
static bool take(struct sql_lex *lex, const char *word)
{
    if (lex->token.kind != SQL_WORD || !slice_is_nocase(sql_token_text(lex, lex->token), word))
        return false;
    sql_lex_next(lex);
    return true;
}

static bool take_both(struct sql_lex *lex, const char *first, const char *second)
{
    const struct sql_lex before = *lex;
    if (take(lex, first) && take(lex, second)) return true;
    *lex = before;
    return false;
}

static bool take_level(struct sql_lex *lex)
{
    return take(lex, "serializable") || take_both(lex, "repeatable", "read") ||
           take_both(lex, "read", "committed") || take_both(lex, "read", "uncommitted");
}

static bool take_mode(struct sql_lex *lex)
{
    if (take_both(lex, "isolation", "level")) return take_level(lex);
    return take_both(lex, "read", "only") || take_both(lex, "read", "write") ||
           take(lex, "deferrable") || take_both(lex, "not", "deferrable");
}

/* Modes, with or without commas between. False: something else. */
static bool take_modes(struct sql_lex *lex, bool *any)
{
    *any = false;
    while (lex->token.kind == SQL_WORD) {
        if (!take_mode(lex)) return false;
        *any = true;
        if (lex->token.kind != ',') continue;
        sql_lex_next(lex);
        if (lex->token.kind != SQL_WORD) return false;
    }
    return true;
}

static void take_noise(struct sql_lex *lex)
{
    if (!take(lex, "work")) take(lex, "transaction");
}

static bool take_no_chain(struct sql_lex *lex)
{
    const struct sql_lex before = *lex;
    if (!take(lex, "and")) return true;
    if (take_both(lex, "no", "chain")) return true;
    *lex = before;
    return false;
}

static enum sql_boundary read_boundary(struct sql_lex *lex)
{
    bool modes;
    if (take(lex, "begin")) {
        take_noise(lex);
        if (!take_modes(lex, &modes)) return SQL_BOUNDARY_NONE;
        return modes ? SQL_BOUNDARY_BEGIN_WITH : SQL_BOUNDARY_BEGIN;
    }
    if (take_both(lex, "start", "transaction")) {
        if (!take_modes(lex, &modes)) return SQL_BOUNDARY_NONE;
        return modes ? SQL_BOUNDARY_START_WITH : SQL_BOUNDARY_START;
    }
    const bool commits = take(lex, "commit") || take(lex, "end");
    if (!commits && !take(lex, "rollback") && !take(lex, "abort")) return SQL_BOUNDARY_NONE;
    take_noise(lex);
    if (!take_no_chain(lex)) return SQL_BOUNDARY_NONE;
    return commits ? SQL_BOUNDARY_COMMIT : SQL_BOUNDARY_ROLLBACK;
}

enum sql_boundary sql_boundary(struct slice text)
{
    struct sql_lex lex;
    if (text.len < 3 || text.len > SQL_BOUNDARY_BYTES || memchr(text.at, 0, text.len))
        return SQL_BOUNDARY_NONE;
    sql_lex_init(&lex, text);
    enum sql_boundary found = read_boundary(&lex);
    while (lex.token.kind == ';') sql_lex_next(&lex);
    return lex.token.kind == SQL_END && lex.flags == 0 ? found : SQL_BOUNDARY_NONE;
}

const char *sql_boundary_tag(enum sql_boundary b)
{
    switch (b) {
    case SQL_BOUNDARY_BEGIN:
    case SQL_BOUNDARY_BEGIN_WITH: return "BEGIN";
    case SQL_BOUNDARY_START:
    case SQL_BOUNDARY_START_WITH: return "START TRANSACTION";
    case SQL_BOUNDARY_COMMIT: return "COMMIT";
    case SQL_BOUNDARY_ROLLBACK: return "ROLLBACK";
    default: return "";
    }
}
