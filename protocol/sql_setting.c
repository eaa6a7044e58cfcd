#include "protocol/sql_setting.h"

#include "protocol/sql_lex.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '.' ||
           (uint8_t)c >= 0x80;
}

size_t sql_setting_name(struct slice raw, char out[SQL_SETTING_NAME_MAX])
{
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < raw.len; i++) {
        char c = ascii_lower(raw.at[i]);
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (!is_name_byte(c) || n == SQL_SETTING_NAME_MAX) return 0;
        out[n++] = c;
    }
    return quoted ? 0 : n;
}

/* INTERVAL '...' [HOUR TO MINUTE], which SET TIME ZONE knows: where it ends. */
static uint32_t take_interval(struct sql_lex *lex, uint32_t end)
{
    if (lex->token.kind != SQL_STRING || lex->token.bits & SQL_TOKEN_BACKSLASH) return end;
    do {
        end = lex->pos;
        sql_lex_next(lex);
    } while (lex->token.kind == SQL_WORD);
    return end;
}

bool sql_setting_is_constant(struct slice raw)
{
    struct sql_lex lex;
    if (raw.len == 0 || memchr(raw.at, 0, raw.len)) return false;
    sql_lex_init(&lex, raw);
    for (;;) {
        bool sign = lex.token.kind == SQL_OPERATOR && lex.token.len == 1 &&
                    (raw.at[lex.token.at] == '-' || raw.at[lex.token.at] == '+');
        if (sign) sql_lex_next(&lex);
        bool interval = lex.token.kind == SQL_WORD &&
                        slice_is_nocase(sql_token_text(&lex, lex.token), "interval");
        switch (lex.token.kind) {
        case SQL_NUMBER: break;
        case SQL_STRING:
            if (lex.token.bits & (SQL_TOKEN_BACKSLASH | SQL_TOKEN_JOINED)) return false;
            if (sign) return false;
            break;
        case SQL_WORD:
        case SQL_QUOTED:
            if (sign) return false;
            break;
        default: return false;
        }
        uint32_t end = lex.pos;
        sql_lex_next(&lex);
        if (interval) end = take_interval(&lex, end);
        if (lex.token.kind == SQL_END) return lex.flags == 0 && end == raw.len; /* no comment */
        if (lex.token.kind != ',') return false;
        sql_lex_next(&lex);
    }
}

/* ---- writing ------------------------------------------------------------------------------- */

static void write_literal(struct buf *out, struct slice text, bool escapes)
{
    buf_add_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\'' || (c == '\\' && escapes)) buf_add_u8(out, (uint8_t)c);
        buf_add_u8(out, (uint8_t)c);
    }
    buf_add_u8(out, '\'');
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static size_t skip_space(struct slice s, size_t at)
{
    while (at < s.len && is_space(s.at[at])) at++;
    return at;
}

/* One element of a list, from `at`: its text goes to `out`. Returns where it ends; 0: no element.
 */
static size_t read_element(struct slice s, size_t at, struct buf *out)
{
    size_t start = at;
    if (at < s.len && s.at[at] == '"') {
        for (at++; at < s.len; at++) {
            if (s.at[at] == '"' && (at + 1 == s.len || s.at[at + 1] != '"')) return at + 1;
            buf_add_u8(out, (uint8_t)s.at[at]);
            if (s.at[at] == '"') at++;
        }
        return 0;
    }
    for (; at < s.len && s.at[at] != ',' && !is_space(s.at[at]); at++)
        buf_add_u8(out, (uint8_t)ascii_lower(s.at[at]));
    return at > start ? at : 0;
}

/* PostgreSQL 15, SplitIdentifierString(): names separated by commas, folded unless quoted. */
static bool write_list(struct buf *out, struct slice text, bool escapes)
{
    struct buf element = { 0 };
    size_t at = skip_space(text, 0);
    bool good = true;
    if (at == text.len) write_literal(out, slice_of(NULL, 0), escapes);
    while (good && at < text.len) {
        buf_truncate(&element, 0);
        at = read_element(text, at, &element);
        good = at != 0;
        if (!good) break;
        write_literal(out, buf_slice(&element), escapes);
        at = skip_space(text, at);
        if (at == text.len) break;
        good = text.at[at] == ',';
        at = skip_space(text, at + 1);
        if (at >= text.len) good = false; /* a comma, and nothing behind it */
        buf_add_str(out, ", ");
    }
    if (element.failed) out->failed = true;
    buf_fini(&element);
    return good;
}

bool sql_setting_write_value(struct buf *out, struct slice name, struct slice text, bool escapes)
{
    if (text.len && memchr(text.at, 0, text.len)) return false;
    if (slice_is(name, "search_path") || slice_is(name, "temp_tablespaces"))
        return write_list(out, text, escapes);
    write_literal(out, text, escapes); /* of datestyle, too: one literal may hold both its words */
    return true;
}

static void write_name(struct buf *out, struct slice name)
{
    /* set_config() takes names that SET does not know as bare words: keywords, also after a dot. */
    const char *dot = memchr(name.at, '.', name.len);
    bool bare = !dot && sql_word_find(name) == SQL_WORD_NONE;
    while (dot) {
        size_t len = (size_t)(dot - name.at);
        buf_add_u8(out, '"');
        buf_add(out, name.at, len);
        buf_add_str(out, "\".");
        name = slice_after(name, len + 1);
        dot = memchr(name.at, '.', name.len);
    }
    if (!bare) buf_add_u8(out, '"');
    buf_add_slice(out, name);
    if (!bare) buf_add_u8(out, '"');
}

void sql_setting_write_set(struct buf *out, struct slice name, struct slice raw)
{
    /* An interval can only be said in the standard's own statement. */
    bool interval = slice_is(name, "timezone") && raw.len > 8 &&
                    slice_is_nocase(slice_of(raw.at, 8), "interval");
    buf_add_str(out, interval ? "SET TIME ZONE " : "SET ");
    if (!interval) {
        write_name(out, name);
        buf_add_str(out, " TO ");
    }
    buf_add_slice(out, raw);
    buf_add_u8(out, ';');
}

void sql_setting_write_reset(struct buf *out, struct slice name)
{
    buf_add_str(out, "RESET ");
    write_name(out, name);
    buf_add_u8(out, ';');
}
