#include "protocol/sql_skim.h"

#include "protocol/sql_block.h"

/* What a byte is, between tokens. Those before STOPS mean nothing by themselves in the middle of a
 * statement, but for a ( behind a function's name. IDENT, beside: it may go on an unquoted name. */
enum class {
    OTHER,
    SPACE,
    DIGIT,
    BRACKET, /* ] */
    HASH,
    OPEN, /* ( */
    LETTER,
    STOPS = LETTER,
    QUOTE,
    DOUBLE,
    HYPHEN,
    STROKE,
    SIGN, /* $ */
    SEMICOLON,
    ZERO,
    CLASS = 15,
    IDENT = 16,
};

static const uint8_t classes[256] = {
    [0] = ZERO,
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\f'] = SPACE,
    ['\r'] = SPACE,
    [' '] = SPACE,
    ['"'] = DOUBLE,
    ['#'] = HASH,
    ['$'] = SIGN | IDENT,
    ['\''] = QUOTE,
    ['('] = OPEN,
    ['-'] = HYPHEN,
    ['/'] = STROKE,
    ['0' ... '9'] = DIGIT | IDENT,
    [';'] = SEMICOLON,
    ['A' ... 'Z'] = LETTER | IDENT,
    [']'] = BRACKET,
    ['_'] = LETTER | IDENT,
    ['a' ... 'z'] = LETTER | IDENT,
    [0x80 ... 0xff] = LETTER | IDENT,
};

static inline enum class class_of(char c) { return (enum class)(classes[(uint8_t)c] & CLASS); }
static inline bool is_ident(char c) { return classes[(uint8_t)c] & IDENT; }

enum state {
    BETWEEN, /* tokens */
    WORD,
    NAME,       /* "... */
    NAME_QUOTE, /* "..." and perhaps one more quote */
    LITERAL,
    LITERAL_QUOTE,
    DASH, /* one was seen */
    LINE_COMMENT,
    SLASH,
    BLOCK_COMMENT,
    BLOCK_STAR,  /* a star inside of the comment */
    BLOCK_SLASH, /* a slash inside of the comment */
    DOLLAR,      /* $, and perhaps a tag */
    DOLLAR_BODY,
    UNICODE, /* U&, and perhaps a quoted name */
    UNREAD,  /* there is no telling any more */
};

/* When a word matters. */
enum when { CALLED, COPIED, INTO, UPDATED };

struct word {
    const char *word;
    uint8_t len, when;
    uint32_t effect;
};

static const struct word words[] = {
#define SQL_EFFECT_WORD(name, when, effect) { name, sizeof(name) - 1, when, SQL_EFFECT_##effect },
#include "protocol/sql_effect_word.def"
};

enum { WORD_COUNT = sizeof words / sizeof *words };

/* The lengths that occur among them. */
static const uint32_t lengths = 0
#define SQL_EFFECT_WORD(name, when, effect) | 1u << (sizeof(name) - 1)
#include "protocol/sql_effect_word.def"
    ;
#define SQL_EFFECT_WORD(name, when, effect)                                                        \
    _Static_assert(sizeof(name) - 1 < SQL_SKIM_WORD, "a word that is too long to be gathered");
#include "protocol/sql_effect_word.def"

/* Most words are told apart by their first letter and their length. */
static inline bool may_matter(char first, size_t len)
{
    const uint32_t letters = 1u << ('c' & 31) | 1u << ('d' & 31) | 1u << ('i' & 31) |
                             1u << ('l' & 31) | 1u << ('p' & 31) | 1u << ('s' & 31);
    if ((first | 32) == 'p' && len < sizeof "pg_settings" - 1) return false; /* "public" */
    return len < SQL_SKIM_WORD && lengths >> len & 1 && letters >> (first & 31) & 1;
}

static const char *unread(struct sql_skim *k, const char *end)
{
    k->effects |= SQL_EFFECT_UNREAD;
    k->state = UNREAD;
    return end;
}

/* Kinds in which INTO names a new table, and in which pg_settings is written. */
static bool is_query(enum sql_kind kind)
{
    return kind == SQL_KIND_SELECT || kind == SQL_KIND_WITH || kind == SQL_KIND_EXPLAIN ||
           kind == SQL_KIND_PREPARE;
}

static bool is_update(enum sql_kind kind)
{
    return kind == SQL_KIND_UPDATE || kind == SQL_KIND_EXPLAIN || kind == SQL_KIND_PREPARE;
}

static bool is_temporary(struct slice word)
{
    return slice_is_nocase(word, "temp") || slice_is_nocase(word, "temporary") ||
           slice_is_nocase(word, "local") || slice_is_nocase(word, "global") ||
           slice_is_nocase(word, "pg_temp");
}

/* A token has come whose text is none of the cases below: what was pending is not. */
static inline void on_other(struct sql_skim *k)
{
    k->pending = 0;
    if (k->kind != SQL_KIND_NONE) return;
    /* A number or an operator begins no statement. */
    k->kind = SQL_KIND_UNKNOWN;
    k->effects |= SQL_EFFECT_UNREAD;
}

static void on_open(struct sql_skim *k)
{
    if (k->kind == SQL_KIND_NONE) k->kind = SQL_KIND_SELECT;
    if (k->pending && words[k->pending - 1].when == CALLED)
        k->effects |= words[k->pending - 1].effect;
    k->pending = 0;
}

/* A word, or the text of a quoted name: Redshift folds those, too. */
static void on_word(struct sql_skim *k, struct slice word, bool quoted)
{
    if (k->kind == SQL_KIND_NONE && !quoted) {
        k->kind = (uint8_t)sql_kind_of(word);
        if (!k->head && !sql_kind_is_harmless((enum sql_kind)k->kind) &&
            k->kind != SQL_KIND_SELECT && k->kind != SQL_KIND_WITH)
            k->effects |= SQL_EFFECT_UNREAD;
        return;
    }
    if (k->pending && words[k->pending - 1].when == INTO) {
        if (slice_is_nocase(word, "table")) return;
        if (is_temporary(word) || (word.len && *word.at == '#'))
            k->effects |= SQL_EFFECT_TEMP_TABLE;
    }
    on_other(k);
    if (word.len == 0 || !may_matter(*word.at, word.len)) return;
    for (unsigned i = 0; i < WORD_COUNT; i++) {
        if (words[i].len != word.len || !slice_is_nocase(word, words[i].word)) continue;
        switch ((enum when)words[i].when) {
        case COPIED:
            if (k->kind == SQL_KIND_COPY) k->effects |= words[i].effect;
            return;
        case UPDATED:
            if (is_update((enum sql_kind)k->kind)) k->effects |= words[i].effect;
            return;
        case INTO:
            if (quoted || !is_query((enum sql_kind)k->kind)) return;
            k->effects |= words[i].effect;
            break;
        case CALLED: break;
        }
        k->pending = (uint8_t)(i + 1);
        return;
    }
}

/* An unquoted word has ended before the byte `next`. */
static inline void on_unquoted(struct sql_skim *k, struct slice word, char next)
{
    if (word.len == 1 && next == '\'')
        k->escapes = (*word.at | 32) == 'e';
    else if (word.len == 1 && next == '&' && (*word.at | 32) == 'u')
        k->state = UNICODE;
    if (k->kind != SQL_KIND_NONE && !k->pending && !may_matter(*word.at, word.len)) return;
    on_word(k, word, false);
}

/* Adds to the word that is not yet complete. Of a long one only the beginning is kept: that is
 * longer than any word that matters. */
static void gather(struct sql_skim *k, const char *at, size_t len)
{
    size_t room = sizeof k->word - k->len;
    size_t n = len < room ? len : room;
    memcpy(k->word + k->len, at, n);
    k->len = (uint8_t)(k->len + n);
}

static struct slice gathered(const struct sql_skim *k) { return slice_of(k->word, k->len); }

/* Inside of a literal: behind it, or `end`. */
static inline const char *pass_literal(struct sql_skim *k, const char *at, const char *end)
{
    for (;;) {
        const char *from = at;
        const char *quote = memchr(at, '\'', (size_t)(end - at));
        const char *run = quote ? quote : end;
        while (run > from && run[-1] == '\\') run--;
        bool odd = ((quote ? quote : end) - run) % 2;
        if (run == from) odd ^= k->odd;
        k->odd = odd && !quote;
        if (!quote) {
            k->state = LITERAL;
            return end;
        }
        at = quote + 1;
        if (odd) {
            if (!k->escapes) return unread(k, end); /* the two string rules part here */
            continue;
        }
        if (at == end) {
            k->state = LITERAL_QUOTE;
            return end;
        }
        if (*at != '\'') return at;
        at++;
    }
}

/* The rows of an INSERT, as far as they mean nothing. Nothing is pending here. */
static inline const char *pass_rows(struct sql_skim *k, const char *at, const char *end)
{
    bool in_literal;
    if (k->kind != SQL_KIND_INSERT || end - at < SQL_BLOCK_BYTES) return at;
    at += sql_block_pass(slice_of(at, (size_t)(end - at)), &in_literal);
    if (in_literal) k->state = LITERAL;
    return at;
}

/* Between tokens, until one that the piece cuts, or that needs a state; or behind a semicolon. */
static const char *pass_tokens(struct sql_skim *k, const char *at, const char *end)
{
    while (at < end) {
        const char *start = at;
        switch (class_of(*at++)) {
        case SPACE: break;
        case BRACKET: /* Redshift knows [set_config](... too */
            if (k->kind == SQL_KIND_NONE) on_other(k);
            break;
        case LETTER:
            while (at < end && is_ident(*at)) at++;
            if (at == end) {
                k->len = 0;
                gather(k, start, (size_t)(at - start));
                k->state = WORD;
                return end;
            }
            on_unquoted(k, slice_of(start, (size_t)(at - start)), *at);
            if (k->state == BETWEEN) break;
            return at + 1;
        case QUOTE:
            on_other(k);
            at = pass_literal(k, at, end);
            if (k->state != BETWEEN) return at;
            k->escapes = false;
            at = pass_rows(k, at, end);
            if (k->state != BETWEEN) return at;
            break;
        case OPEN: on_open(k); break;
        case SEMICOLON:
            k->pending = 0;
            k->kind = SQL_KIND_NONE;
            return at;
        case HASH:
            if (k->pending && words[k->pending - 1].when == INTO)
                k->effects |= SQL_EFFECT_TEMP_TABLE;
            on_other(k);
            break;
        case DOUBLE:
            k->len = 0;
            k->state = NAME;
            return at;
        case HYPHEN: k->state = DASH; return at;
        case STROKE: k->state = SLASH; return at;
        case SIGN:
            k->len = 0;
            k->state = DOLLAR;
            return at;
        case ZERO: return unread(k, end);
        default:
            on_other(k);
            /* What is left of a number or an operator, or the blanks behind a comma. */
            while (at < end && class_of(*at) < STOPS && class_of(*at) != OPEN) at++;
            at = pass_rows(k, at, end);
            if (k->state != BETWEEN) return at;
            break;
        }
    }
    return at;
}

static const char *pass_word(struct sql_skim *k, const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_ident(*at)) at++;
    gather(k, start, (size_t)(at - start));
    if (at == end) return end;
    k->state = BETWEEN;
    on_unquoted(k, gathered(k), *at);
    return k->state == UNICODE ? at + 1 : at;
}

static const char *pass_name(struct sql_skim *k, const char *at, const char *end)
{
    const char *quote = memchr(at, '"', (size_t)(end - at));
    gather(k, at, (size_t)((quote ? quote : end) - at));
    if (!quote) return end;
    k->state = NAME_QUOTE;
    return quote + 1;
}

static const char *pass_name_quote(struct sql_skim *k, const char *at)
{
    if (*at == '"') {
        gather(k, "\"", 1);
        k->state = NAME;
        return at + 1;
    }
    k->state = BETWEEN;
    on_word(k, gathered(k), true);
    return at;
}

static const char *pass_comment(struct sql_skim *k, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '*')
            /* A star behind a slash opens a comment in this one: some nest them, some do not. */
            if (k->state == BLOCK_SLASH)
                return unread(k, end);
            else
                k->state = BLOCK_STAR;
        else if (*at != '/')
            k->state = BLOCK_COMMENT;
        else if (k->state != BLOCK_STAR)
            k->state = BLOCK_SLASH;
        else {
            k->state = BETWEEN;
            return at + 1;
        }
    }
    return end;
}

static const char *pass_line_comment(struct sql_skim *k, const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r') at++;
    if (at < end) k->state = BETWEEN;
    return at;
}

/* Behind a $: a parameter, a tag that opens a dollar quote, or a word that does not. */
static const char *pass_dollar(struct sql_skim *k, const char *at, const char *end)
{
    const char *start = at;
    while (at < end && is_ident(*at) && *at != '$') {
        if (at == start && k->len == 0 && class_of(*at) == DIGIT) break;
        at++;
    }
    gather(k, start, (size_t)(at - start));
    if (at == end) return end;
    if (*at == '$') {
        on_other(k);
        if (k->len == sizeof k->word) return unread(k, end);
        k->state = DOLLAR_BODY;
        k->matched = 0;
        return at + 1;
    }
    k->state = BETWEEN;
    on_other(k);
    if (k->len) on_unquoted(k, gathered(k), *at);
    return k->state == UNICODE ? at + 1 : at;
}

static const char *pass_dollar_body(struct sql_skim *k, const char *at, const char *end)
{
    while (at < end) {
        if (k->matched == 0) {
            at = memchr(at, '$', (size_t)(end - at));
            if (!at) return end;
            at++;
            k->matched = 1;
        } else if (k->matched <= k->len && *at == k->word[k->matched - 1]) {
            at++;
            k->matched++;
        } else if (*at == '$' && k->matched == k->len + 1) {
            k->state = BETWEEN;
            return at + 1;
        } else {
            k->matched = 0; /* and a $ begins anew: tags have none inside */
        }
    }
    return end;
}

/* Until behind a semicolon, or the end of the piece. */
static const char *run(struct sql_skim *k, const char *at, const char *end)
{
    while (at < end) {
        switch ((enum state)k->state) {
        case BETWEEN:
            at = pass_tokens(k, at, end);
            if (k->kind == SQL_KIND_NONE && k->state == BETWEEN) return at;
            break;
        case WORD: at = pass_word(k, at, end); break;
        case NAME: at = pass_name(k, at, end); break;
        case NAME_QUOTE: at = pass_name_quote(k, at); break;
        case LITERAL_QUOTE:
            k->state = *at == '\'' ? LITERAL : BETWEEN;
            if (k->state == LITERAL)
                at++;
            else
                k->escapes = false;
            break;
        case LITERAL:
            k->state = BETWEEN;
            at = pass_literal(k, at, end);
            if (k->state == BETWEEN) k->escapes = false;
            break;
        case DASH:
            k->state = *at == '-' ? LINE_COMMENT : BETWEEN;
            if (k->state == BETWEEN) on_other(k);
            break;
        case LINE_COMMENT: at = pass_line_comment(k, at, end); break;
        case SLASH:
            k->state = *at == '*' ? BLOCK_COMMENT : BETWEEN;
            if (k->state == BETWEEN)
                on_other(k);
            else
                at++;
            break;
        case BLOCK_COMMENT:
        case BLOCK_STAR:
        case BLOCK_SLASH: at = pass_comment(k, at, end); break;
        case DOLLAR: at = pass_dollar(k, at, end); break;
        case DOLLAR_BODY: at = pass_dollar_body(k, at, end); break;
        case UNICODE:
            if (*at == '"') return unread(k, end);
            k->state = BETWEEN;
            break;
        case UNREAD: return end;
        }
    }
    return at;
}

void sql_skim_feed(struct sql_skim *k, struct slice piece)
{
    const char *at = piece.at, *end = piece.at + piece.len;
    if (k->torn && at < end) {
        k->torn = false;
        if (is_ident(*at)) unread(k, end);
    }
    while (at < end) at = run(k, at, end);
}

static void begin(struct sql_skim *k, enum sql_kind kind)
{
    *k = (struct sql_skim){ .kind = (uint8_t)kind };
}

void sql_skim_begin(struct sql_skim *k, struct slice head)
{
    begin(k, SQL_KIND_NONE);
    k->head = true;
    sql_skim_feed(k, head);
    k->head = false;
    if (k->state != UNREAD) k->effects = 0;
    k->torn = k->kind == SQL_KIND_EXPLAIN && k->state == WORD;
}

uint32_t sql_skim_end(struct sql_skim *k)
{
    switch ((enum state)k->state) {
    case WORD: on_unquoted(k, gathered(k), ' '); break;
    case NAME_QUOTE: on_word(k, gathered(k), true); break;
    case DASH:
    case SLASH:
    case DOLLAR: on_other(k); break;
    case NAME:
    case LITERAL:
    case BLOCK_COMMENT:
    case BLOCK_STAR:
    case BLOCK_SLASH:
    case DOLLAR_BODY: k->effects |= SQL_EFFECT_UNREAD; break;
    case BETWEEN:
    case LITERAL_QUOTE:
    case LINE_COMMENT:
    case UNICODE:
    case UNREAD: break;
    }
    return k->effects;
}

size_t sql_skim_statement(struct sql_skim *k, enum sql_kind kind, struct slice text, bool *ended)
{
    begin(k, kind);
    const char *at = text.at, *end = text.at + text.len;
    while (at < end && k->kind != SQL_KIND_NONE) at = run(k, at, end);
    *ended = k->kind == SQL_KIND_NONE;
    return (size_t)(at - text.at);
}
