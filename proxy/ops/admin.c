#include "proxy/ops/admin.h"

#include "protocol/nearest.h"
#include "protocol/sql_lex.h"

#include <stdio.h>

const struct admin_command admin_commands[ADMIN_COUNT] = {
#define ADMIN(id, words, argument, level, sentence)                                                \
    { ADMIN_##id, words, ADMIN_##argument, CONSOLE_##level, sentence },
#include "proxy/ops/admin.def"
};

static const struct admin_column columns[] = {
#define COLUMN(id, name, type, merge) { ADMIN_##id, name, ADMIN_##type, MERGE_##merge, false },
#define EXTRA(id, name, type, merge)  { ADMIN_##id, name, ADMIN_##type, MERGE_##merge, true },
#include "proxy/ops/admin.def"
};

enum { COLUMNS = sizeof columns / sizeof *columns, TOKENS = 3 };

const struct admin_column *admin_columns(enum admin_id id, bool extended, size_t *count)
{
    const struct admin_column *first = NULL;
    *count = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (columns[i].id != id) continue;
        if (!first) first = &columns[i];
        if (extended || !columns[i].extra) (*count)++;
    }
    return first;
}

const char *admin_level_name(enum console_level level)
{
    static const char *const names[] = { "none", "viewer", "operator", "router" };
    return names[level];
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The first tokens of a statement, and how many there are. */
struct statement {
    struct slice token[TOKENS];
    uint8_t kind[TOKENS];
    size_t count;
    struct slice tail[2]; /* the last two, if they are words */
    const char *end;      /* of its text */
};

static void cut(struct slice *text, struct statement *s)
{
    struct sql_lex lex;
    struct slice all = *text;
    struct slice *last = &s->token[TOKENS - 1];
    *s = (struct statement){ 0 };
    for (sql_lex_init(&lex, all); lex.token.kind != SQL_END && lex.token.kind != ';';
         sql_lex_next(&lex)) {
        struct slice token = sql_token_text(&lex, lex.token);
        s->tail[0] = s->tail[1];
        s->tail[1] = lex.token.kind == SQL_WORD ? token : (struct slice){ 0 };
        /* What clings to a word is part of it: "d-2a-1" is one argument. */
        if (s->count == TOKENS && s->kind[TOKENS - 1] == SQL_WORD &&
            token.at == last->at + last->len) {
            last->len += token.len;
            continue;
        }
        if (s->count < TOKENS) {
            s->token[s->count] = token;
            s->kind[s->count] = lex.token.kind;
        }
        s->count++;
    }
    size_t end = lex.token.kind == ';' ? lex.token.at + 1 : all.len;
    s->end = all.at + (lex.token.kind == ';' ? lex.token.at : all.len);
    *text = slice_after(all, end);
}

/* SHOW EXTENDED POOLS, and SHOW POOLS_EXTENDED, as others spell it. */
static bool take_extended(struct statement *s)
{
    static const char suffix[] = "_extended";
    const size_t n = sizeof suffix - 1;
    if (s->count < 2 || !slice_is_nocase(s->token[0], "show")) return false;
    struct slice *second = &s->token[1];
    if (slice_is_nocase(*second, "extended") && s->count > 2) {
        *second = s->token[2];
        s->count--;
        return true;
    }
    if (second->len <= n || !slice_is_nocase(slice_after(*second, second->len - n), suffix))
        return false;
    second->len -= n;
    return true;
}

/* How many of the statement's tokens are the command's words; 0: it is another command. */
static size_t match(const struct statement *s, const char *words)
{
    struct slice rest = slice_str(words);
    size_t n = 0;
    while (rest.len) {
        const char *space = memchr(rest.at, ' ', rest.len);
        size_t len = space ? (size_t)(space - rest.at) : rest.len;
        char word[32];
        snprintf(word, sizeof word, "%.*s", (int)len, rest.at);
        if (n >= s->count || n >= TOKENS || !slice_is_nocase(s->token[n], word)) return 0;
        n++;
        rest = slice_after(rest, len + 1);
    }
    return n;
}

/* All that follows, as it is: the command reads it. */
static bool take_words(const struct statement *s, size_t words, struct admin_call *call,
                       struct err *err)
{
    const char *at = s->count > words ? s->token[words].at : s->end;
    size_t len = (size_t)(s->end - at);
    if (len >= sizeof call->argument)
        return err_set(err, ERR_SYNTAX, "%s: more than %zu bytes", call->command->words,
                       sizeof call->argument - 1);
    memcpy(call->argument, at, len);
    call->argument[len] = '\0';
    return true;
}

static bool take_argument(const struct statement *s, size_t words, struct admin_call *call,
                          struct err *err)
{
    const char *name = call->command->words;
    size_t given = s->count - words;
    call->argument[0] = '\0';
    if (call->command->argument == ADMIN_ANY) return true;
    if (call->command->argument == ADMIN_WORDS) return take_words(s, words, call, err);
    if (given == 0) {
        if (call->command->argument != ADMIN_ONE) return true;
        return err_set(err, ERR_SYNTAX, "%s needs an argument", name);
    }
    if (given > 1 || call->command->argument == ADMIN_NO)
        return err_set(err, ERR_SYNTAX, "%s takes %s", name,
                       call->command->argument == ADMIN_NO ? "no argument" : "one argument");
    struct slice token = s->token[words];
    size_t cap = ADMIN_NAME_BYTES - 1, len = 0;
    bool ok = true;
    switch (s->kind[words]) {
    /* A bare name keeps its case: databases are as clients named them. */
    case SQL_WORD:
    case SQL_NUMBER:
        ok = token.len <= cap;
        len = token.len;
        if (ok) memcpy(call->argument, token.at, len);
        break;
    case SQL_QUOTED: ok = (len = sql_token_name(token, call->argument, cap)) > 0; break;
    case SQL_STRING: ok = sql_token_literal(token, call->argument, cap, &len); break;
    default: ok = false;
    }
    call->argument[ok ? len : 0] = '\0';
    return ok || err_set(err, ERR_SYNTAX, "%s: that argument is no name", name);
}

static bool unknown(const struct statement *s, struct err *err)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s%s%.*s", s->token[0].len < 30 ? (int)s->token[0].len : 30,
             s->token[0].at, s->count > 1 ? " " : "",
             s->count < 2           ? 0
             : s->token[1].len < 30 ? (int)s->token[1].len
                                    : 30,
             s->count > 1 ? s->token[1].at : "");
    struct nearest nearest = { .word = slice_str(text) };
    for (size_t i = 0; i < ADMIN_COUNT; i++)
        nearest_offer(&nearest, slice_str(admin_commands[i].words));
    err_set(err, ERR_SYNTAX, "unknown command \"%s\"", text);
    if (nearest.best.len)
        err_hint(err, "did you mean %.*s? SHOW HELP lists all", SLICE_ARG(nearest.best));
    else
        err_hint(err, "SHOW HELP lists all commands");
    return false;
}

bool admin_is_for_all(enum admin_id id)
{
    return id == ADMIN_RELOAD || id == ADMIN_PAUSE || id == ADMIN_RESUME || id == ADMIN_RECONNECT ||
           id == ADMIN_CANCEL || id == ADMIN_KILL_CLIENT || id == ADMIN_KILL;
}

static bool take_on_all(struct statement *s, size_t words, enum admin_id id)
{
    if (!admin_is_for_all(id) || s->count < words + 2 || !slice_is_nocase(s->tail[0], "on") ||
        !slice_is_nocase(s->tail[1], "all"))
        return false;
    s->count -= 2;
    return true;
}

enum admin_read admin_read(struct slice *text, struct admin_call *call, struct err *err)
{
    struct statement s;
    cut(text, &s);
    *call = (struct admin_call){ 0 };
    if (s.count == 0) return ADMIN_READ_NOTHING;
    call->extended = take_extended(&s);
    size_t best = 0;
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        size_t n = match(&s, admin_commands[i].words);
        if (n <= best) continue;
        best = n;
        call->command = &admin_commands[i];
    }
    if (!call->command) {
        unknown(&s, err);
        return ADMIN_READ_BAD;
    }
    call->on_all = take_on_all(&s, best, call->command->id);
    return take_argument(&s, best, call, err) ? ADMIN_READ_CALL : ADMIN_READ_BAD;
}

bool admin_is_blank(struct slice text)
{
    struct sql_lex lex;
    for (sql_lex_init(&lex, text); lex.token.kind == ';';) sql_lex_next(&lex);
    return lex.token.kind == SQL_END;
}

/* ---- the reference -------------------------------------------------------------------------- */

static void describe_columns(const struct admin_command *command, struct buf *out)
{
    size_t count, all;
    const struct admin_column *c = admin_columns(command->id, true, &all);
    admin_columns(command->id, false, &count);
    for (size_t i = 0; i < all; i++)
        buf_addf(out, "%s%s", i == 0 ? "" : i == count ? "; EXTENDED: " : ", ", c[i].name);
}

void admin_describe(struct buf *out)
{
    static const char *const arguments[] = { "", " [DATABASE]", " ID", " ...", " ..." };
    buf_add_str(out, "| command | level | what it does | columns |\n|---|---|---|---|\n");
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        const struct admin_command *c = &admin_commands[i];
        buf_addf(out, "| `%s%s` | %s | %s | ", c->words, arguments[c->argument],
                 admin_level_name(c->level), c->sentence);
        describe_columns(c, out);
        buf_add_str(out, " |\n");
    }
}
