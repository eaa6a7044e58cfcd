#include "proxy/shim.h"

#include "protocol/backend.h"
#include "protocol/sql_lex.h"
#include "proxy/carry.h"
#include "proxy/guide.h"
#include "proxy/local.h"
#include "proxy/prepared.h"

enum { TEXT_MAX = 96, STATEMENT_MAX = 256 };

static const struct shim {
    const char *name, *text, *tag, *column, *value;
} shims[] = {
#define SHIM(name, text, tag, column, value) { #name, text, tag, column, value },
#include "proxy/shim.def"
#undef SHIM
};

enum { SHIMS = sizeof shims / sizeof *shims };

bool shim_exists(struct slice name)
{
    for (size_t i = 0; i < SHIMS; i++)
        if (slice_is(name, shims[i].name)) return true;
    return false;
}

/* The tokens in lower case, one space between them, without a last semicolon. False: too long, or
 * more than one statement. */
static bool normalise(struct slice text, char out[TEXT_MAX], size_t *len)
{
    struct sql_lex lex;
    bool ended = false;
    *len = 0;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        struct slice token = sql_token_text(&lex, lex.token);
        if (ended) return false;
        ended = token.len == 1 && token.at[0] == ';';
        if (ended) continue;
        if (token.len + 1 > TEXT_MAX - *len) return false;
        if (*len) out[(*len)++] = ' ';
        for (size_t i = 0; i < token.len; i++) out[(*len)++] = ascii_lower(token.at[i]);
    }
    return true;
}

static bool matches(const struct shim *shim, struct slice text)
{
    size_t n = strlen(shim->text);
    if (n > 3 && strcmp(shim->text + n - 3, "...") == 0)
        return text.len > n - 3 && memcmp(text.at, shim->text, n - 3) == 0;
    return slice_is(text, shim->text);
}

static bool is_wanted(const struct session *s, const char *name)
{
    const struct config_list *wanted = &guide_settings(s)->local_answers;
    const struct guide *g = s->guide;
    for (size_t i = 0; i < wanted->count; i++)
        if (strcmp(wanted->items[i], name) == 0) return true;
    for (uint32_t i = 0; i < g->answer_count; i++)
        if (slice_is(g->answers[i], name)) return true;
    return false;
}

static bool say(struct session *s, const struct shim *shim)
{
    struct buf out = { 0 };
    uint32_t begun;
    if (shim->column) {
        struct backend_column column = { shim->column, 25 /* text */, 0xffff, false };
        backend_row_description(&out, &column, 1);
        backend_row_begin(&out, 1, &begun);
        backend_row_text(&out, slice_str(shim->value));
        backend_row_end(&out, begun);
    }
    backend_command_complete(&out, shim->tag);
    return local_say(s, &out, true);
}

/* Comments and semicolons alone: a health check, answered without a server when there is none. */
static bool answers_empty(struct session *s)
{
    struct buf out = { 0 };
    if (s->server) return false;
    backend_empty_query(&out);
    return local_say(s, &out, true);
}

static bool answers(struct session *s, struct slice text)
{
    char normal[TEXT_MAX];
    size_t len;
    if (!normalise(text, normal, &len)) return false;
    if (len == 0) return answers_empty(s);
    for (size_t i = 0; i < SHIMS; i++) {
        if (!matches(&shims[i], slice_of(normal, len)) || !is_wanted(s, shims[i].name)) continue;
        if (strcmp(shims[i].name, "discard_all") == 0) carry_discard(s);
        return say(s, &shims[i]);
    }
    return false;
}

bool shim_answers(struct session *s, struct slice text)
{
    if (text.len > STATEMENT_MAX || session_is_plain(s)) return false;
    /* The common case costs one comparison: no list, no statement that could be empty. */
    bool may_be_empty =
        text.len == 0 || !((text.at[0] | 0x20) >= 'a' && (text.at[0] | 0x20) <= 'z');
    if (guide_settings(s)->local_answers.count + s->guide->answer_count == 0 && !may_be_empty)
        return false;
    return answers(s, text);
}
