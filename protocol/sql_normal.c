#include "protocol/sql_normal.h"

#include "protocol/sql_lex.h"

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

enum { UNREADABLE_BYTES = 65536 };

/* What was written last: it says whether a blank follows, and whether a sign is one of a number. */
enum last { NOTHING, WORDLIKE, VALUE, OPENING, DOT, OTHER };

struct writer {
    struct buf *out; /* NULL: only hashed */
    size_t left;     /* of the cap */
    uint64_t hash;
    enum last last;
    bool comma;     /* held back: the next value may join the one before */
    char sign;      /* held back: it may belong to a number; 0: none */
    bool announced; /* a secret comes now */
};

/* ---- writing ------------------------------------------------------------------------------- */

static void put(struct writer *w, char c)
{
    w->hash = (w->hash ^ (uint8_t)c) * FNV_PRIME;
    if (w->left == 0) return;
    w->left--;
    if (w->out) buf_add_u8(w->out, (uint8_t)c);
}

static void put_token(struct writer *w, struct slice text, bool fold, enum last kind)
{
    bool glued = w->last == NOTHING || w->last == OPENING || w->last == DOT || kind == DOT;
    if (!glued && !(text.len == 1 && strchr(",;()[]", text.at[0]))) put(w, ' ');
    for (size_t i = 0; i < text.len; i++) put(w, fold ? ascii_lower(text.at[i]) : text.at[i]);
    w->last = kind;
}

static void release(struct writer *w)
{
    if (w->comma) put_token(w, slice_str(","), false, OTHER);
    w->comma = false;
    if (w->sign) put_token(w, slice_of(&w->sign, 1), false, OTHER);
    w->sign = 0;
}

static void put_value(struct writer *w)
{
    bool joins = w->comma;
    if (!joins) {
        w->sign = 0;
        put_token(w, slice_str("?"), false, VALUE);
    }
    w->comma = false;
    w->sign = 0;
}

/* NULL and its like are values where a value stands alone in a list. */
static bool is_constant_word(const struct writer *w, enum sql_word word)
{
    if (w->last != OPENING && !w->comma) return false;
    return word == SQL_WORD_NULL || word == SQL_WORD_TRUE || word == SQL_WORD_FALSE ||
           word == SQL_WORD_DEFAULT;
}

bool sql_announces_secret(struct slice word)
{
    static const char *const words[] = {
        "credentials", "access_key_id", "secret_access_key",    "session_token",
        "token",       "password",      "master_symmetric_key",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_is_nocase(word, words[i])) return true;
    return false;
}

/* Behind such a word, AS or = between. */
static bool is_announced(struct writer *w, const struct sql_lex *lex)
{
    const uint8_t kind = lex->token.kind;
    const struct slice text = sql_token_text(lex, lex->token);
    const bool was = w->announced;
    w->announced = kind == SQL_WORD
                       ? sql_announces_secret(text) || (was && slice_is_nocase(text, "as"))
                       : was && kind == '=';
    return was && kind == SQL_QUOTED;
}

static void put_lexed(struct writer *w, const struct sql_lex *lex)
{
    struct slice text = sql_token_text(lex, lex->token);
    if (is_announced(w, lex)) {
        put_value(w);
        return;
    }
    switch (lex->token.kind) {
    case SQL_STRING:
    case SQL_DOLLAR:
    case SQL_NUMBER:
    case SQL_PARAM: put_value(w); return;
    case SQL_WORD:
        if (is_constant_word(w, (enum sql_word)lex->token.word)) {
            put_value(w);
            return;
        }
        release(w);
        put_token(w, text, true, WORDLIKE);
        return;
    case ',':
        release(w);
        w->comma = w->last == VALUE;
        if (!w->comma) put_token(w, text, false, OTHER);
        return;
    case SQL_OPERATOR:
        if (text.len == 1 && (*text.at == '-' || *text.at == '+') && !w->sign &&
            (w->comma || w->last == OPENING || w->last == OTHER)) {
            w->sign = *text.at;
            return;
        }
        break;
    default: break;
    }
    release(w);
    enum last kind = lex->token.kind == '(' || lex->token.kind == '[' ? OPENING
                     : lex->token.kind == '.'                         ? DOT
                     : lex->token.kind == ')' || lex->token.kind == ']' ||
                             lex->token.kind == SQL_QUOTED || lex->token.kind == SQL_TEMP
                         ? WORDLIKE
                         : OTHER;
    put_token(w, text, lex->token.kind == SQL_TEMP, kind);
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Behind the first row of VALUES: passes over the others. */
static void skip_rows(struct sql_lex *lex)
{
    while (lex->token.kind == ',') {
        struct sql_lex before = *lex;
        sql_lex_next(lex);
        if (lex->token.kind != '(') {
            *lex = before;
            return;
        }
        uint32_t depth = 0;
        do {
            if (lex->token.kind == '(') depth++;
            if (lex->token.kind == ')') depth--;
            sql_lex_next(lex);
        } while (depth && lex->token.kind != SQL_END);
    }
}

static bool normalize(struct writer *w, struct slice text)
{
    struct sql_lex lex;
    uint32_t depth = 0, row_depth = 0; /* of the parenthesis that opened the row; 0: in no row */
    bool values = false;               /* VALUES came last */
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END;) {
        if (lex.flags & SQL_LEX_DOUBTFUL) return false;
        bool row_ends = false;
        if (lex.token.kind == '(') {
            depth++;
            if (values && !row_depth) row_depth = depth;
        } else if (lex.token.kind == ')' && depth) {
            row_ends = row_depth == depth--;
        }
        values = lex.token.kind == SQL_WORD && lex.token.word == SQL_WORD_VALUES;
        put_lexed(w, &lex);
        sql_lex_next(&lex);
        if (!row_ends) continue;
        row_depth = 0;
        skip_rows(&lex);
    }
    release(w);
    return !(lex.flags & SQL_LEX_DOUBTFUL);
}

bool sql_normalize(struct slice text, size_t cap, struct buf *out)
{
    struct writer w = { .out = out, .left = cap, .hash = FNV_START };
    return normalize(&w, text);
}

uint64_t sql_fingerprint(struct slice text)
{
    struct writer w = { .hash = FNV_START };
    if (normalize(&w, text)) return w.hash;
    /* Its length and its beginning: nobody should buy a long computation with a bad text. */
    uint64_t hash = FNV_START ^ text.len;
    for (size_t i = 0; i < text.len && i < UNREADABLE_BYTES; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * FNV_PRIME;
    return hash;
}
