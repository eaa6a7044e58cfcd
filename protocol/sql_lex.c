#include "protocol/sql_lex.h"

#include <endian.h>

/* What a byte may do in unquoted text. */
enum {
    BLANK = 1,    /* the five that both servers skip; not 0x0B, which PostgreSQL takes from 16 on */
    HEAD = 2,     /* begins a name */
    DIGIT = 4,    /* goes on a name, begins a number */
    OP = 8,       /* part of an operator */
    SELF = 16,    /* a token by itself */
    CAPITAL = 32, /* folds */
    CONTROL = 64,
    TAIL = 128, /* `$`: goes on a name */
    NAME = HEAD | DIGIT,
};

static const uint8_t class_of[256] = {
    [0 ... 8] = CONTROL,
    ['\t'] = BLANK,
    ['\n'] = BLANK,
    [0x0B] = CONTROL,
    ['\f'] = BLANK,
    ['\r'] = BLANK,
    [0x0E ... 0x1F] = CONTROL,
    [' '] = BLANK,
    ['0' ... '9'] = DIGIT,
    ['a' ... 'z'] = HEAD,
    ['A' ... 'Z'] = HEAD | CAPITAL,
    ['_'] = HEAD,
    [0x7F] = CONTROL,
    [0x80 ... 0xFF] = HEAD,
    ['('] = SELF,
    [')'] = SELF,
    ['['] = SELF,
    [']'] = SELF,
    [','] = SELF,
    [';'] = SELF,
    ['+'] = OP,
    ['-'] = OP,
    ['*'] = OP,
    ['/'] = OP,
    ['<'] = OP,
    ['>'] = OP,
    ['='] = OP,
    ['~'] = OP,
    ['!'] = OP,
    ['@'] = OP,
    ['#'] = OP,
    ['%'] = OP,
    ['^'] = OP,
    ['&'] = OP,
    ['|'] = OP,
    ['?'] = OP,
    ['`'] = OP,
    ['$'] = TAIL,
};

static uint8_t byte_at(const struct sql_lex *lex, uint32_t at)
{
    return at < lex->len ? (uint8_t)lex->text[at] : 0;
}

static bool is(const struct sql_lex *lex, uint32_t at, uint8_t class)
{
    return at < lex->len && (class_of[(uint8_t)lex->text[at]] & class);
}

/* A name goes on with letters, digits and `$`. */
static bool is_name(const struct sql_lex *lex, uint32_t at) { return is(lex, at, NAME | TAIL); }

void sql_lex_flag(struct sql_lex *lex, enum sql_lex_flag flag, uint32_t at)
{
    if (!lex->flags) {
        lex->flag_at = at;
        lex->flag = (uint8_t)flag;
    }
    lex->flags |= 1U << flag;
}

/* ---- finding ------------------------------------------------------------------------------- */

#define EACH_BYTE 0x0101010101010101ULL

/* The high bit of every byte that is zero; exact up to the first one. */
static uint64_t zero_bytes(uint64_t w) { return (w - EACH_BYTE) & ~w & (EACH_BYTE << 7); }

static uint64_t load(const char *at)
{
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return le64toh(w);
}

/* Where the first `a` or `b` is at or after `from`; the text's end if there is none. Literals are
 * most of what a loader sends, so eight bytes at a time. */
static inline uint32_t find(const struct sql_lex *lex, uint32_t from, char a, char b)
{
    const uint64_t all_a = EACH_BYTE * (uint8_t)a, all_b = EACH_BYTE * (uint8_t)b;
    while (lex->len - from >= 8) {
        const uint64_t w = load(lex->text + from);
        const uint64_t found = zero_bytes(w ^ all_a) | zero_bytes(w ^ all_b);
        if (found) return from + ((uint32_t)__builtin_ctzll(found) >> 3);
        from += 8;
    }
    while (from < lex->len && lex->text[from] != a && lex->text[from] != b) from++;
    return from;
}

/* ---- blanks and comments ------------------------------------------------------------------- */

static uint32_t skip_line_comment(const struct sql_lex *lex, uint32_t at)
{
    return find(lex, at, '\n', '\r');
}

/* Comments nest in PostgreSQL; `/ *` and `/` opens one and does not close it. */
static uint32_t skip_comment(struct sql_lex *lex, uint32_t at)
{
    const uint32_t begin = at;
    uint32_t depth = 1;
    at += 2;
    for (;;) {
        at = find(lex, at, '*', '/');
        if (lex->len - at < 2) {
            sql_lex_flag(lex, SQL_LEX_UNTERMINATED, begin);
            return lex->len;
        }
        if (lex->text[at] == '*' && lex->text[at + 1] == '/') {
            at += 2;
            if (--depth == 0) return at;
        } else if (lex->text[at] == '/' && lex->text[at + 1] == '*') {
            sql_lex_flag(lex, SQL_LEX_NESTED_COMMENT, at);
            at += 2;
            depth++;
        } else {
            at++;
        }
    }
}

static bool is_line_comment(const struct sql_lex *lex, uint32_t at)
{
    return byte_at(lex, at) == '-' && byte_at(lex, at + 1) == '-';
}

static bool is_comment(const struct sql_lex *lex, uint32_t at)
{
    return byte_at(lex, at) == '/' && byte_at(lex, at + 1) == '*';
}

/* Out of line, so that the way to most tokens stays short. */
__attribute__((noinline)) static uint32_t skip_comments(struct sql_lex *lex, uint32_t at)
{
    for (;;) {
        if (is_line_comment(lex, at))
            at = skip_line_comment(lex, at);
        else if (is_comment(lex, at))
            at = skip_comment(lex, at);
        else
            return at;
        while (is(lex, at, BLANK)) at++;
    }
}

static uint32_t skip_blanks(struct sql_lex *lex, uint32_t at)
{
    while (is(lex, at, BLANK)) at++;
    const uint8_t c = byte_at(lex, at);
    return c == '-' || c == '/' ? skip_comments(lex, at) : at;
}

/* ---- Unicode ------------------------------------------------------------------------------- */

struct range {
    uint32_t first, last;
};

/* General categories Zs, Zl, Zp, Cc and Cf, and the letters and marks that show as nothing. To a
 * server they are letters of a name; to a reader they look like a blank or not at all. */
static const struct range invisible[] = {
    { 0x80, 0xA0 },       { 0xAD, 0xAD },       { 0x34F, 0x34F },     { 0x600, 0x605 },
    { 0x61C, 0x61C },     { 0x6DD, 0x6DD },     { 0x70F, 0x70F },     { 0x890, 0x891 },
    { 0x8E2, 0x8E2 },     { 0x115F, 0x1160 },   { 0x1680, 0x1680 },   { 0x180B, 0x180F },
    { 0x2000, 0x200F },   { 0x2028, 0x202F },   { 0x205F, 0x206F },   { 0x2800, 0x2800 },
    { 0x3000, 0x3000 },   { 0x3164, 0x3164 },   { 0xFE00, 0xFE0F },   { 0xFEFF, 0xFEFF },
    { 0xFFA0, 0xFFA0 },   { 0xFFF0, 0xFFFF },   { 0x110BD, 0x110BD }, { 0x110CD, 0x110CD },
    { 0x13430, 0x1343F }, { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
};

/* The code point at `at` and its length; 0 when the bytes are not UTF-8 (RFC 3629). */
static uint32_t decode(const struct sql_lex *lex, uint32_t at, uint32_t *point)
{
    const uint8_t c = byte_at(lex, at);
    const uint32_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (n == 0 || lex->len - at < n) return 0;
    *point = n == 1 ? c : c & (0x7FU >> n);
    for (uint32_t i = 1; i < n; i++) {
        const uint8_t next = (uint8_t)lex->text[at + i];
        if ((next & 0xC0) != 0x80) return 0;
        *point = *point << 6 | (next & 0x3F);
    }
    if (n == 3 && (*point < 0x800 || (*point >= 0xD800 && *point <= 0xDFFF))) return 0;
    if (n == 4 && (*point < 0x10000 || *point > 0x10FFFF)) return 0;
    return n;
}

static void check_visible(struct sql_lex *lex, uint32_t at, uint32_t end)
{
    while (at < end) {
        uint32_t point = 0;
        const uint32_t n = decode(lex, at, &point);
        if (n == 0) {
            sql_lex_flag(lex, SQL_LEX_INVALID_UTF8, at);
            return;
        }
        for (size_t i = 0; point >= 0x80 && i < sizeof invisible / sizeof *invisible; i++)
            if (point >= invisible[i].first && point <= invisible[i].last)
                sql_lex_flag(lex, SQL_LEX_UNICODE_SPACE, at);
        at += n;
    }
}

/* Past as much plain ASCII without NUL as can be told a block at a time. A borrow may make it stop
 * early, never late. */
static uint32_t skip_ascii(const struct sql_lex *lex, uint32_t at)
{
    for (; lex->len - at >= 32; at += 32) {
        uint64_t odd = 0;
        for (uint32_t i = 0; i < 32; i += 8) {
            const uint64_t w = load(lex->text + at + i);
            odd |= w | (w - EACH_BYTE);
        }
        if (odd & (EACH_BYTE << 7)) break;
    }
    for (; lex->len - at >= 8; at += 8) {
        const uint64_t w = load(lex->text + at);
        if ((w | (w - EACH_BYTE)) & (EACH_BYTE << 7)) break;
    }
    return at;
}

bool sql_lex_check_bytes(struct sql_lex *lex)
{
    for (uint32_t at = 0; at < lex->len;) {
        at = skip_ascii(lex, at);
        /* What stopped it is in the next eight bytes, or these are the last. */
        for (const uint32_t block = at; at < lex->len && at - block < 8;) {
            const uint8_t c = (uint8_t)lex->text[at];
            uint32_t point = c;
            const uint32_t n = c < 0x80 ? 1 : decode(lex, at, &point);
            if (n == 0 || point == 0) {
                sql_lex_flag(lex, n ? SQL_LEX_NUL : SQL_LEX_INVALID_UTF8, at);
                return false;
            }
            at += n;
        }
    }
    return true;
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* `E'`, `B'`, `X'`, `N'`, `U&'` and `U&"`: PostgreSQL reads another kind of literal there, Redshift
 * a name and a plain one. */
static bool is_prefix(const struct sql_lex *lex, uint32_t at)
{
    const char c = ascii_lower(lex->text[at]);
    const uint8_t next = byte_at(lex, at + 1);
    if (c == 'u') {
        const uint8_t quote = byte_at(lex, at + 2);
        return next == '&' && (quote == '\'' || quote == '"');
    }
    return next == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n');
}

static uint32_t read_word(struct sql_lex *lex, uint32_t at)
{
    const char *const text = lex->text, *const stop = text + lex->len, *p = text + at;
    uint8_t seen = 0;
    for (; p < stop && (class_of[(uint8_t)*p] & (NAME | TAIL)); p++) seen |= (uint8_t)*p;
    const uint32_t end = (uint32_t)(p - text), len = end - at;
    if (seen & 0x80)
        check_visible(lex, at, end);
    else if (len == 1 && is_prefix(lex, at))
        sql_lex_flag(lex, SQL_LEX_PREFIXED_LITERAL, at);
    else
        lex->token.word = (uint16_t)sql_word_find(slice_of(text + at, len));
    if (len > SQL_NAME_BYTES) sql_lex_flag(lex, SQL_LEX_LONG_NAME, at);
    lex->token.kind = SQL_WORD;
    return end;
}

static uint32_t read_quoted(struct sql_lex *lex, uint32_t at)
{
    uint32_t end = at + 1, doubled = 0;
    lex->token.kind = SQL_QUOTED;
    for (;; end++) {
        if (end >= lex->len) {
            sql_lex_flag(lex, SQL_LEX_UNTERMINATED, at);
            return lex->len;
        }
        const char c = lex->text[end];
        if (c == '"') {
            if (byte_at(lex, end + 1) != '"') break;
            lex->token.bits |= SQL_TOKEN_DOUBLED;
            doubled++;
            end++;
        } else if (is(lex, end, CAPITAL)) {
            lex->token.bits |= SQL_TOKEN_CAPITAL;
        } else if (is(lex, end, CONTROL)) {
            sql_lex_flag(lex, c ? SQL_LEX_CONTROL_CHAR : SQL_LEX_NUL, end);
        } else if (c == '\\') {
            sql_lex_flag(lex, SQL_LEX_BAD_CHAR, end);
        }
    }
    const uint32_t len = end - at - 1 - doubled;
    if (len == 0) sql_lex_flag(lex, SQL_LEX_EMPTY_NAME, at);
    if (len > SQL_NAME_BYTES) sql_lex_flag(lex, SQL_LEX_LONG_NAME, at);
    return end + 1;
}

/* Behind a literal's last quote: where the next literal begins that is joined to it, or 0. They are
 * joined over blanks and line comments with a line break among them (PostgreSQL 15, 4.1.2.1). */
static uint32_t find_joined(const struct sql_lex *lex, uint32_t at)
{
    bool line_break = false;
    for (;; at++) {
        if (is_line_comment(lex, at)) at = skip_line_comment(lex, at); /* to its line break */
        if (!is(lex, at, BLANK)) break;
        if (lex->text[at] == '\n' || lex->text[at] == '\r') line_break = true;
    }
    return line_break && byte_at(lex, at) == '\'' ? at : 0;
}

/* A plain literal, read with escapes, as Redshift does. Without escapes its end is the same unless
 * an active backslash stands directly before a quote: that is flagged, and then the readings agree.
 */
static uint32_t read_string(struct sql_lex *lex, uint32_t at)
{
    uint32_t end = at + 1;
    lex->token.kind = SQL_STRING;
    for (;;) {
        end = find(lex, end, '\'', '\\');
        if (end >= lex->len || (lex->text[end] == '\\' && lex->len - end < 2)) {
            sql_lex_flag(lex, SQL_LEX_UNTERMINATED, at);
            return lex->len;
        }
        if (lex->text[end] == '\\') {
            if (lex->text[end + 1] == '\'') sql_lex_flag(lex, SQL_LEX_AMBIGUOUS_QUOTE, end);
            lex->token.bits |= SQL_TOKEN_BACKSLASH;
            end += 2;
        } else if (byte_at(lex, end + 1) == '\'') {
            lex->token.bits |= SQL_TOKEN_DOUBLED;
            end += 2;
        } else {
            const uint32_t joined = is(lex, end + 1, BLANK) || byte_at(lex, end + 1) == '-'
                                        ? find_joined(lex, end + 1)
                                        : 0;
            if (!joined) return end + 1;
            lex->token.bits |= SQL_TOKEN_JOINED;
            end = joined + 1;
        }
    }
}

/* `$tag$ ... $tag$`; 0 when there is no such opening at `at`. */
static uint32_t read_dollar(struct sql_lex *lex, uint32_t at)
{
    uint32_t open = at + 1;
    if (is(lex, open, HEAD))
        while (is(lex, open, NAME)) open++;
    if (byte_at(lex, open) != '$') return 0;
    const uint32_t tag = ++open - at; /* with both signs */

    sql_lex_flag(lex, SQL_LEX_DOLLAR, at);
    lex->token.kind = SQL_DOLLAR;
    for (uint32_t end = find(lex, open, '$', '$'); lex->len - end >= tag;
         end = find(lex, end + 1, '$', '$'))
        if (memcmp(lex->text + end, lex->text + at, tag) == 0) return end + tag;
    sql_lex_flag(lex, SQL_LEX_UNTERMINATED, at);
    return lex->len;
}

/* What a number or parameter is glued to: the 2006 scanner cuts there, later ones refuse it. */
static uint32_t skip_glued(struct sql_lex *lex, uint32_t at)
{
    if (!is_name(lex, at)) return at;
    sql_lex_flag(lex, SQL_LEX_GLUED_NUMBER, at);
    while (is_name(lex, at)) at++;
    return at;
}

static uint32_t skip_digits(const struct sql_lex *lex, uint32_t at)
{
    while (is(lex, at, DIGIT)) at++;
    return at;
}

__attribute__((noinline)) static uint32_t read_number(struct sql_lex *lex, uint32_t at)
{
    lex->token.kind = SQL_NUMBER;
    at = skip_digits(lex, at);
    if (byte_at(lex, at) == '.') at = skip_digits(lex, at + 1);
    if (ascii_lower((char)byte_at(lex, at)) == 'e') {
        const uint8_t sign = byte_at(lex, at + 1);
        const uint32_t digits = at + (sign == '+' || sign == '-' ? 2 : 1);
        if (is(lex, digits, DIGIT)) at = skip_digits(lex, digits);
    }
    if (byte_at(lex, at) == '.') sql_lex_flag(lex, SQL_LEX_GLUED_NUMBER, at);
    return skip_glued(lex, at);
}

static uint32_t read_operator(struct sql_lex *lex, uint32_t at)
{
    uint32_t end = at;
    for (; is(lex, end, OP) && !is_comment(lex, end) && !is_line_comment(lex, end); end++) {
        const char c = lex->text[end];
        if (c == '?' || c == '`') sql_lex_flag(lex, SQL_LEX_BAD_CHAR, end);
    }
    const char c = lex->text[at];
    lex->token.kind = end - at == 1 && (c == '*' || c == '=') ? (uint8_t)c : SQL_OPERATOR;
    return end;
}

static uint32_t read_bad(struct sql_lex *lex, uint32_t at)
{
    const uint8_t c = byte_at(lex, at);
    lex->token.kind = SQL_BAD;
    sql_lex_flag(lex,
                 c == 0                  ? SQL_LEX_NUL
                 : class_of[c] & CONTROL ? SQL_LEX_CONTROL_CHAR
                                         : SQL_LEX_BAD_CHAR,
                 at);
    return at + 1;
}

/* What begins with a character that is neither a letter nor a token by itself. Returns its end. */
__attribute__((noinline)) static uint32_t read_other(struct sql_lex *lex, uint32_t at)
{
    const uint8_t next = byte_at(lex, at + 1);
    switch (lex->text[at]) {
    case '\'': return read_string(lex, at);
    case '"': return read_quoted(lex, at);
    case '.':
        if (class_of[next] & DIGIT) return read_number(lex, at);
        lex->token.kind = '.';
        return at + 1;
    case ':': lex->token.kind = next == ':' ? SQL_CAST : ':'; return next == ':' ? at + 2 : at + 1;
    case '#':
        if (!(class_of[next] & HEAD)) return read_operator(lex, at);
        at = read_word(lex, at + 1);
        lex->token.kind = SQL_TEMP;
        lex->token.word = SQL_WORD_NONE;
        return at;
    case '$':
        if (class_of[next] & DIGIT) {
            lex->token.kind = SQL_PARAM;
            return skip_glued(lex, skip_digits(lex, at + 1));
        }
        at = read_dollar(lex, at);
        return at ? at : read_bad(lex, lex->token.at);
    default: return is(lex, at, OP) ? read_operator(lex, at) : read_bad(lex, at);
    }
}

void sql_lex_next(struct sql_lex *lex)
{
    const uint32_t at = skip_blanks(lex, lex->pos);
    lex->token = (struct sql_token){ .at = at };
    if (at >= lex->len) {
        lex->pos = at;
        return; /* SQL_END */
    }
    const uint8_t c = (uint8_t)lex->text[at], class = class_of[c];
    if (class & SELF) {
        lex->token.kind = c;
        lex->pos = at + 1;
    } else if (class & HEAD) {
        lex->pos = read_word(lex, at);
    } else if (class & DIGIT) {
        lex->pos = read_number(lex, at);
    } else {
        lex->pos = read_other(lex, at);
    }
    lex->token.len = lex->pos - at;
}

/* ---- rows of constants --------------------------------------------------------------------- */

static uint32_t skip_plain_blanks(const struct sql_lex *lex, uint32_t at)
{
    while (is(lex, at, BLANK)) at++;
    return at;
}

/* Past a plain literal; 0 when it has to be looked at more closely. */
static uint32_t skip_plain_string(const struct sql_lex *lex, uint32_t at)
{
    for (at++;; at += 2) {
        at = find(lex, at, '\'', '\\');
        if (lex->len - at < 2) return 0;
        if (lex->text[at] == '\'' && lex->text[at + 1] != '\'') return at + 1;
        if (lex->text[at] == '\\' && lex->text[at + 1] == '\'') return 0; /* a flag to raise */
    }
}

static uint32_t skip_plain_number(const struct sql_lex *lex, uint32_t at)
{
    if (byte_at(lex, at) == '-') at++;
    if (!is(lex, at, DIGIT)) return 0;
    at = skip_digits(lex, at);
    return byte_at(lex, at) == '.' ? skip_digits(lex, at + 1) : at;
}

/* NULL, TRUE, FALSE, DEFAULT */
static uint32_t skip_plain_word(const struct sql_lex *lex, uint32_t at)
{
    uint32_t end = at;
    while (is_name(lex, end)) end++;
    switch ((int)sql_word_find(slice_of(lex->text + at, end - at))) {
    case SQL_WORD_NULL:
    case SQL_WORD_TRUE:
    case SQL_WORD_FALSE:
    case SQL_WORD_DEFAULT: return end;
    default: return 0;
    }
}

/* Past `(constant, ...)`; 0 when there is anything else in it. What ends a constant must be a
 * blank, a comma or the bracket: so nothing can be glued to it or joined with it. */
static uint32_t skip_row(const struct sql_lex *lex, uint32_t at)
{
    do {
        at = skip_plain_blanks(lex, at + 1);
        const uint8_t c = byte_at(lex, at);
        at = c == '\''                         ? skip_plain_string(lex, at)
             : class_of[c] & DIGIT || c == '-' ? skip_plain_number(lex, at)
                                               : skip_plain_word(lex, at);
        if (at == 0) return 0;
        at = skip_plain_blanks(lex, at);
    } while (byte_at(lex, at) == ',');
    return byte_at(lex, at) == ')' ? at + 1 : 0;
}

bool sql_lex_skip_rows(struct sql_lex *lex)
{
    uint32_t at = lex->token.at, end = 0;
    for (;;) {
        const uint32_t row = skip_row(lex, at);
        if (row == 0) break;
        end = row;
        at = skip_plain_blanks(lex, row);
        if (byte_at(lex, at) != ',') break;
        at = skip_plain_blanks(lex, at + 1);
        if (byte_at(lex, at) != '(') break;
    }
    if (end == 0) return false;
    lex->pos = end;
    sql_lex_next(lex);
    return true;
}

void sql_lex_init(struct sql_lex *lex, struct slice text)
{
    *lex = (struct sql_lex){ .text = text.at, .len = (uint32_t)text.len };
    if (text.len > INT32_MAX) { /* no message is that long; nothing of it is read */
        lex->len = 0;
        sql_lex_flag(lex, SQL_LEX_TOO_LONG, 0);
    }
    sql_lex_next(lex);
}

/* ---- what a token means -------------------------------------------------------------------- */

size_t sql_token_name(struct slice token, char *out, size_t cap)
{
    if (token.len >= 2 && token.at[0] == '"') {
        size_t n = 0;
        for (size_t i = 1; i < token.len - 1; i++) {
            if (n == cap) return 0;
            out[n++] = token.at[i];
            if (token.at[i] == '"') i++;
        }
        return n;
    }
    if (token.len > cap) return 0;
    for (size_t i = 0; i < token.len; i++) out[i] = ascii_lower(token.at[i]);
    return token.len;
}

bool sql_token_literal(struct slice token, char *out, size_t cap, size_t *len)
{
    struct sql_lex lex = { .text = token.at, .len = (uint32_t)token.len };
    size_t n = 0;
    for (uint32_t at = 1; at < lex.len;) {
        const char c = lex.text[at];
        if (c == '\'') {
            const uint32_t joined = byte_at(&lex, at + 1) == '\'' ? 0 : find_joined(&lex, at + 1);
            if (joined || at + 1 >= lex.len) {
                at = (joined ? joined : at) + 1;
                continue;
            }
            at++;
        } else if (c == '\\' && lex.len - at > 2) { /* what it escapes is not looked at */
            if (n == cap) return false;
            out[n++] = c;
            at++;
        }
        if (n == cap) return false;
        out[n++] = lex.text[at++];
    }
    *len = n;
    return true;
}

/* ---- tables -------------------------------------------------------------------------------- */

enum { FREE = 0, RESERVED = 1 };

static const char *const words[SQL_WORD_COUNT] = {
    "",
#define WORD(id, text, use) text,
#include "protocol/sql_word.def"
#undef WORD
};

static const uint8_t use_of[SQL_WORD_COUNT] = {
    FREE,
#define WORD(id, text, use) use,
#include "protocol/sql_word.def"
#undef WORD
};

static const uint8_t len_of[SQL_WORD_COUNT] = {
    0,
#define WORD(id, text, use) sizeof text - 1,
#include "protocol/sql_word.def"
#undef WORD
};

/* The first four letters as a number, small ones whatever they were: the order of the numbers is
 * that of the table. */
#define HEAD_OF(a, b, c, d)                                                                        \
    ((uint32_t)(uint8_t)(a) << 24 | (uint32_t)(uint8_t)(b) << 16 | (uint32_t)(uint8_t)(c) << 8 |   \
     (uint32_t)(uint8_t)(d) | 0x20202020U)

static const uint32_t head_of[SQL_WORD_COUNT + 1] = {
    0,
#define WORD(id, text, use)                                                                        \
    HEAD_OF((text)[0], (text)[1], (text)[2], sizeof text > 4 ? (text "  ")[3] : 0),
#include "protocol/sql_word.def"
#undef WORD
    UINT32_MAX,
};

/* The first word of each letter; of a letter that begins none, that of the next one. */
static const uint16_t first_word[26] = {
    SQL_WORD_ABORT,     SQL_WORD_BACKUP,    SQL_WORD_CALL,    SQL_WORD_DATE_DIFF, SQL_WORD_ELSE,
    SQL_WORD_FALSE,     SQL_WORD_GENERATED, SQL_WORD_HAVING,  SQL_WORD_IDENTITY,  SQL_WORD_JOB,
    SQL_WORD_KEY,       SQL_WORD_LAST,      SQL_WORD_MATCHED, SQL_WORD_NAMES,     SQL_WORD_OFF,
    SQL_WORD_PARTITION, SQL_WORD_QUALIFY,   SQL_WORD_RANGE,   SQL_WORD_SAVEPOINT, SQL_WORD_TABLE,
    SQL_WORD_UNBOUNDED, SQL_WORD_VACUUM,    SQL_WORD_WHEN,    SQL_WORD_ZONE,      SQL_WORD_ZONE,
    SQL_WORD_ZONE,
};

enum sql_word sql_word_find(struct slice name)
{
    uint32_t head = 0;
    if (name.len < 2) return SQL_WORD_NONE;
    memcpy(&head, name.at, name.len < 4 ? 2 : 4);
    head = be32toh(head);
    if (name.len == 3) head |= (uint32_t)(uint8_t)name.at[2] << 8;
    head |= HEAD_OF(0, 0, 0, 0);
    const uint32_t letter = (head >> 24) - 'a';
    if (letter >= 26) return SQL_WORD_NONE;
    uint32_t i = first_word[letter];
    while (head_of[i] < head) i++;
    for (; head_of[i] == head; i++)
        if (len_of[i] == name.len &&
            (name.len <= 4 || slice_is_nocase(slice_after(name, 4), words[i] + 4)))
            return (enum sql_word)i;
    return SQL_WORD_NONE;
}

bool sql_word_is_reserved(enum sql_word word)
{
    return word < SQL_WORD_COUNT && use_of[word] == RESERVED;
}

static const char *const flag_table[SQL_LEX_FLAG_COUNT][3] = {
#define FLAG(id, what, hint) { #id, what, hint },
#include "protocol/sql_lex_flag.def"
#undef FLAG
};

bool sql_token_dollar(struct slice token, char *out, size_t cap, size_t *len)
{
    const char *end = token.len > 1 ? memchr(token.at + 1, '$', token.len - 1) : NULL;
    const size_t tag = end ? (size_t)(end - token.at) + 1 : 0;
    if (tag == 0 || 2 * tag > token.len || token.len - 2 * tag > cap) return false;
    *len = token.len - 2 * tag;
    if (*len) memcpy(out, token.at + tag, *len);
    return true;
}

const char *sql_lex_flag_name(enum sql_lex_flag flag) { return flag_table[flag][0]; }
const char *sql_lex_flag_text(enum sql_lex_flag flag) { return flag_table[flag][1]; }
const char *sql_lex_flag_hint(enum sql_lex_flag flag) { return flag_table[flag][2]; }
