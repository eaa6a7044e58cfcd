#include "protocol/sql_effects.h"

#include "protocol/sql_lex.h"
#include "protocol/sql_setting.h"
#include "protocol/sql_skim.h"

/* Findings of the lexer after which the tokens cannot be relied on. Where servers merely refuse
 * what follows (control characters, bad UTF-8, long names), reading on does no harm. */
enum {
    FATAL = SQL_LEX_DOUBTFUL | 1 << SQL_LEX_PREFIXED_LITERAL | 1 << SQL_LEX_GLUED_NUMBER,
};

struct reader {
    struct sql_lex lex; /* its token is the next one */
    bool more;
    struct sql_effects *e;
};

/* ---- tokens -------------------------------------------------------------------------------- */

static void next(struct reader *r) { sql_lex_next(&r->lex); }

static struct slice text_of(const struct reader *r)
{
    return sql_token_text(&r->lex, r->lex.token);
}

static bool at_kind(const struct reader *r, int kind) { return r->lex.token.kind == kind; }

static bool at_word(const struct reader *r, const char *word)
{
    return at_kind(r, SQL_WORD) && slice_is_nocase(text_of(r), word);
}

static bool at_name(const struct reader *r)
{
    return at_kind(r, SQL_WORD) || at_kind(r, SQL_QUOTED);
}

static bool at_end(const struct reader *r) { return at_kind(r, ';') || at_kind(r, SQL_END); }

/* Passes over the word if it is next. */
static bool take_word(struct reader *r, const char *word)
{
    if (!at_word(r, word)) return false;
    next(r);
    return true;
}

static bool take_symbol(struct reader *r, char symbol)
{
    if (!at_kind(r, symbol)) return false;
    next(r);
    return true;
}

/* A bare or quoted name that says so. */
static bool at_name_of(const struct reader *r, const char *name)
{
    struct slice t = text_of(r);
    if (at_kind(r, SQL_QUOTED) && t.len >= 2) t = slice_of(t.at + 1, t.len - 2);
    return at_name(r) && slice_is_nocase(t, name);
}

static struct slice span(const struct reader *r, uint32_t from, uint32_t to)
{
    return slice_of(r->lex.text + from, to - from);
}

/* ---- findings ------------------------------------------------------------------------------ */

static void add(struct reader *r, uint32_t effects) { r->e->effects |= effects; }

static struct sql_act *act(struct reader *r, enum sql_act_kind kind)
{
    struct sql_effects *e = r->e;
    if (e->act_count == SQL_ACTS_MAX) {
        add(r, SQL_EFFECT_UNREAD);
        e->act_count--; /* which one is lost does not matter: the text counts as unread */
    }
    struct sql_act *a = &e->acts[e->act_count++];
    *a = (struct sql_act){ .kind = (uint8_t)kind, .statement = e->statements - 1 };
    return a;
}

/* The head ends within the word: what it will be is for the skim to see. */
static bool is_cut(const struct reader *r)
{
    const struct sql_token *t = &r->lex.token;
    return r->more && t->kind == SQL_WORD && t->at + t->len == r->lex.len;
}

/* The name that must come next; without one the text is unread. */
static struct slice take_name(struct reader *r)
{
    struct slice name = text_of(r);
    if (!at_name(r)) {
        add(r, SQL_EFFECT_UNREAD);
        return slice_of(name.at, 0);
    }
    next(r);
    return name;
}

static uint32_t end_of(struct slice s, const struct reader *r)
{
    return (uint32_t)(s.at + s.len - r->lex.text);
}

/* ---- the rest of a statement --------------------------------------------------------------- */

/* From `at` to behind the statement's end, looking only for words that matter anywhere. Returns
 * where the statement ended, without its semicolon. The first token behind it is next then. */
static uint32_t skim(struct reader *r, enum sql_kind kind, uint32_t at)
{
    struct sql_skim k;
    bool ended = false;
    struct slice rest = span(r, at, r->lex.len);
    size_t n = sql_skim_statement(&k, kind, rest, &ended);
    add(r, ended || r->more ? k.effects : sql_skim_end(&k));
    r->lex.pos = at + (uint32_t)n;
    r->lex.flags = 0;
    next(r);
    return at + (uint32_t)n - ended;
}

/* The next token is not looked at yet. */
static uint32_t skim_on(struct reader *r, enum sql_kind kind)
{
    return skim(r, kind, r->lex.token.at);
}

/* The grammar ends here: so must the statement. What is left is unread. */
static void finish(struct reader *r)
{
    bool complete = at_kind(r, ';') || (at_kind(r, SQL_END) && !r->more);
    if (!complete || r->lex.flags & FATAL) {
        add(r, SQL_EFFECT_UNREAD);
        if (!at_end(r)) skim_on(r, SQL_KIND_UNKNOWN);
        return;
    }
}

/* To the end, whatever comes; a statement that the head does not hold whole is unread. */
static uint32_t finish_any(struct reader *r)
{
    if (r->lex.flags & FATAL) add(r, SQL_EFFECT_UNREAD);
    uint32_t from = r->lex.token.at, end = at_end(r) ? from : skim_on(r, SQL_KIND_UNKNOWN);
    if (r->more && end == r->lex.len) add(r, SQL_EFFECT_UNREAD);
    return end;
}

/* ---- SET and RESET ------------------------------------------------------------------------- */

/* Settings that are more than a value to be repeated. */
static bool is_special(struct reader *r, struct slice name, bool local)
{
    static const struct {
        const char *name;
        uint32_t effect;
    } special[] = {
        { "role", SQL_EFFECT_IDENTITY },
        { "session_authorization", SQL_EFFECT_IDENTITY },
        { "seed", SQL_EFFECT_SEED },
        { "transaction_isolation", SQL_EFFECT_LOCAL_SETTING },
        { "transaction_read_only", SQL_EFFECT_LOCAL_SETTING },
        { "transaction_deferrable", SQL_EFFECT_LOCAL_SETTING },
    };
    char folded[SQL_SETTING_NAME_MAX];
    size_t len = sql_setting_name(name, folded);
    if (len == 0) {
        add(r, SQL_EFFECT_UNREAD);
        return true;
    }
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (slice_is(slice_of(folded, len), special[i].name)) {
            add(r, special[i].effect);
            return true;
        }
    add(r, local ? SQL_EFFECT_LOCAL_SETTING : SQL_EFFECT_SETTING);
    return false;
}

static void set(struct reader *r, enum sql_act_kind kind, struct slice name, struct slice value,
                bool local)
{
    if (is_special(r, name, local)) return;
    struct sql_act *a = act(r, kind);
    a->name = name;
    a->value = value;
    a->local = local;
}

/* The value, up to the statement's end; DEFAULT (and LOCAL, of a time zone) resets. */
static void read_value(struct reader *r, struct slice name, bool local)
{
    if (at_word(r, "default") || (at_word(r, "local") && slice_is(name, "timezone"))) {
        next(r);
        set(r, SQL_ACT_RESET, name, slice_of(NULL, 0), local);
        finish(r);
        return;
    }
    uint32_t from = r->lex.token.at, to = from;
    for (; !at_end(r); next(r)) to = r->lex.token.at + r->lex.token.len;
    struct slice value = span(r, from, to);
    if (sql_setting_is_constant(value))
        set(r, SQL_ACT_SET, name, value, local);
    else
        add(r, SQL_EFFECT_UNREAD);
    finish(r);
}

/* a, "a", a.b; empty when none is there. */
static struct slice read_setting_name(struct reader *r)
{
    uint32_t from = r->lex.token.at, to = from;
    while (at_name(r)) {
        to = r->lex.token.at + r->lex.token.len;
        next(r);
        if (!at_kind(r, '.')) break;
        next(r);
    }
    return span(r, from, to);
}

/* name TO value, name = value; `=-1` is a token. */
static void read_assignment(struct reader *r, bool local)
{
    struct slice name = read_setting_name(r);
    if (at_word(r, "to") || at_kind(r, '=')) {
        next(r);
        read_value(r, name, local);
    } else if (at_kind(r, SQL_OPERATOR) &&
               (slice_is(text_of(r), "=-") || slice_is(text_of(r), "=+"))) {
        r->lex.pos = r->lex.token.at + 1;
        next(r);
        read_value(r, name, local);
    } else {
        add(r, SQL_EFFECT_UNREAD);
        finish_any(r);
    }
}

/* AS TRANSACTION mode [,] ...: the session's defaults, by the names they have as settings. */
static void read_characteristics(struct reader *r)
{
    static const struct {
        const char *words[3], *name, *value;
    } modes[] = {
        { { "read", "only" }, "default_transaction_read_only", "on" },
        { { "read", "write" }, "default_transaction_read_only", "off" },
        { { "deferrable" }, "default_transaction_deferrable", "on" },
        { { "not", "deferrable" }, "default_transaction_deferrable", "off" },
        { { "level", "serializable" }, "default_transaction_isolation", "'serializable'" },
        { { "level", "repeatable", "read" }, "default_transaction_isolation", "'repeatable read'" },
        { { "level", "read", "committed" }, "default_transaction_isolation", "'read committed'" },
        { { "level", "read", "uncommitted" },
          "default_transaction_isolation",
          "'read uncommitted'" },
    };
    bool good = take_word(r, "as") && take_word(r, "transaction");
    while (good && !at_end(r)) {
        take_word(r, "isolation"); /* LEVEL follows */
        good = false;
        for (size_t m = 0; m < sizeof modes / sizeof *modes && !good; m++) {
            struct sql_lex before = r->lex;
            good = true;
            for (size_t w = 0; w < 3 && modes[m].words[w] && good; w++)
                good = take_word(r, modes[m].words[w]);
            if (good)
                set(r, SQL_ACT_SET, slice_str(modes[m].name), slice_str(modes[m].value), false);
            else
                r->lex = before;
        }
        if (at_kind(r, ',')) next(r);
    }
    if (!good) add(r, SQL_EFFECT_UNREAD);
    if (at_end(r))
        finish(r);
    else
        finish_any(r);
}

/* Is a word that may be part of SET's grammar here a setting's name? */
static bool is_assigned(const struct reader *r)
{
    struct reader ahead = *r;
    next(&ahead);
    return at_word(&ahead, "to") || at_kind(&ahead, '=') || at_kind(&ahead, '.') ||
           at_kind(&ahead, SQL_OPERATOR);
}

/* PostgreSQL 15, SET, SET TRANSACTION, SET ROLE, SET SESSION AUTHORIZATION, SET CONSTRAINTS. */
static void read_set(struct reader *r)
{
    bool local = false;
    next(r);
    if ((at_word(r, "session") || at_word(r, "local")) && !is_assigned(r)) {
        local = at_word(r, "local");
        next(r);
    }
    if (is_assigned(r)) {
        read_assignment(r, local);
    } else if (take_word(r, "time")) {
        if (take_word(r, "zone")) {
            read_value(r, slice_str("timezone"), local);
        } else {
            add(r, SQL_EFFECT_UNREAD);
            finish_any(r);
        }
    } else if (take_word(r, "names")) {
        read_value(r, slice_str("client_encoding"), local);
    } else if (take_word(r, "schema")) {
        read_value(r, slice_str("search_path"), local);
    } else if (take_word(r, "characteristics")) {
        read_characteristics(r);
    } else if (at_word(r, "transaction") || at_word(r, "constraints")) {
        add(r, SQL_EFFECT_LOCAL_SETTING);
        finish_any(r);
    } else if (at_word(r, "role") || at_word(r, "authorization")) {
        add(r, SQL_EFFECT_IDENTITY);
        finish_any(r);
    } else if (take_word(r, "xml") && take_word(r, "option")) {
        read_value(r, slice_str("xmloption"), local);
    } else {
        add(r, SQL_EFFECT_UNREAD);
        finish_any(r);
    }
}

static void read_reset(struct reader *r)
{
    next(r);
    if (take_word(r, "all")) {
        add(r, SQL_EFFECT_SETTING);
        act(r, SQL_ACT_RESET_ALL);
    } else if (take_word(r, "session")) {
        if (!take_word(r, "authorization")) add(r, SQL_EFFECT_UNREAD);
        add(r, SQL_EFFECT_IDENTITY);
    } else if (at_word(r, "transaction") && !is_assigned(r)) { /* ISOLATION LEVEL */
        add(r, SQL_EFFECT_LOCAL_SETTING);
        finish_any(r);
        return;
    } else if (take_word(r, "use")) {
        add(r, SQL_EFFECT_DATABASE);
    } else if (take_word(r, "time")) {
        if (!take_word(r, "zone")) add(r, SQL_EFFECT_UNREAD);
        set(r, SQL_ACT_RESET, slice_str("timezone"), slice_of(NULL, 0), false);
    } else {
        set(r, SQL_ACT_RESET, read_setting_name(r), slice_of(NULL, 0), false);
    }
    finish(r);
}

/* ---- SELECT set_config(...) ---------------------------------------------------------------- */

/* One argument: a single token, perhaps cast. */
static struct sql_token take_argument(struct reader *r)
{
    struct sql_token argument = r->lex.token;
    if (!at_end(r)) next(r);
    if (at_kind(r, SQL_CAST)) {
        next(r);
        if (at_name(r)) next(r); /* the type's */
    }
    return argument;
}

/* The inside of a literal that both string rules read as it is written. */
static bool is_plain(struct reader *r, struct sql_token t, struct slice *inside)
{
    struct slice s = sql_token_text(&r->lex, t);
    if (t.kind != SQL_STRING || s.len < 2) return false;
    *inside = slice_of(s.at + 1, s.len - 2);
    return !(t.bits & (SQL_TOKEN_BACKSLASH | SQL_TOKEN_JOINED));
}

static bool is_truth(struct slice s, const char *word, const char *letter)
{
    return slice_is_nocase(s, word) || slice_is_nocase(s, letter);
}

/* set_config(name, value, is_local), with the name and the last argument constant; the value too,
 * unless it is local. */
static bool read_set_config(struct reader *r)
{
    if (at_name_of(r, "pg_catalog")) {
        next(r);
        if (!take_symbol(r, '.')) return false;
    }
    if (!at_name_of(r, "set_config")) return false;
    next(r);
    if (!take_symbol(r, '(')) return false;
    struct sql_token name = take_argument(r);
    if (!take_symbol(r, ',')) return false;
    struct sql_token value = take_argument(r);
    if (!take_symbol(r, ',')) return false;
    struct sql_token local = take_argument(r);
    if (!take_symbol(r, ')')) return false;
    if (take_word(r, "as") || !at_kind(r, ','))
        if (at_name(r)) next(r);

    struct slice is_local = sql_token_text(&r->lex, local), inside;
    if (local.kind == SQL_STRING && !is_plain(r, local, &is_local)) return false;
    if (local.kind != SQL_STRING && local.kind != SQL_WORD) return false;
    if (is_truth(is_local, "true", "t")) {
        add(r, SQL_EFFECT_LOCAL_SETTING);
        return true;
    }
    if (!is_truth(is_local, "false", "f")) return false;
    if (!is_plain(r, name, &inside) || name.bits & SQL_TOKEN_DOUBLED) return false;
    struct slice none;
    if (value.kind == SQL_WORD && slice_is_nocase(sql_token_text(&r->lex, value), "null"))
        set(r, SQL_ACT_RESET, inside, slice_of(NULL, 0), false);
    else if (is_plain(r, value, &none))
        set(r, SQL_ACT_SET_CONFIG, inside, sql_token_text(&r->lex, value), false);
    else
        return false;
    return true;
}

/* Most SELECTs begin with something else. (With a comment, set_config is unread: so be it.) */
static bool may_be_set_config(const struct reader *r)
{
    uint32_t at = r->lex.pos;
    while (at < r->lex.len && (r->lex.text[at] == ' ' || r->lex.text[at] == '\n')) at++;
    return at < r->lex.len && strchr("sSpP\"", r->lex.text[at]);
}

/* A SELECT of nothing but such calls is carried; anywhere else set_config is unread. */
static void read_select(struct reader *r)
{
    uint32_t effects = r->e->effects, acts = r->e->act_count, from = r->lex.pos;
    if (!may_be_set_config(r)) {
        skim(r, SQL_KIND_SELECT, from);
        return;
    }
    struct reader before = *r;
    bool good = true, one = false;
    for (next(r); good && !at_end(r); one = true) {
        good = read_set_config(r);
        if (good && !at_end(r)) good = take_symbol(r, ',') && !at_end(r);
    }
    if (good && one && !(r->lex.flags & FATAL) && !(r->more && at_kind(r, SQL_END))) return;
    *r = before;
    r->e->effects = effects;
    r->e->act_count = acts;
    skim(r, SQL_KIND_SELECT, from);
}

/* ---- the other statements that have to be read ---------------------------------------------- */

static void read_statement(struct reader *r, bool inner);

/* PREPARE name [(types)] AS statement; PREPARE TRANSACTION 'id'. */
static void read_prepare(struct reader *r)
{
    next(r);
    if (at_word(r, "transaction")) {
        struct reader ahead = *r;
        next(&ahead);
        if (at_kind(&ahead, SQL_STRING)) {
            add(r, SQL_EFFECT_COMMIT);
            act(r, SQL_ACT_COMMIT);
            finish_any(r);
            return;
        }
    }
    add(r, SQL_EFFECT_PREPARED);
    struct sql_act *a = act(r, SQL_ACT_PREPARE);
    a->name = take_name(r);
    uint32_t from = end_of(a->name, r);
    while (!at_end(r) && !take_word(r, "as")) next(r);
    enum sql_kind kind = at_kind(r, '(') ? SQL_KIND_SELECT : sql_kind_of(text_of(r));
    if (kind != SQL_KIND_SELECT && kind != SQL_KIND_WITH && !sql_kind_is_harmless(kind))
        add(r, SQL_EFFECT_UNREAD);
    /* Its words that matter take effect when it is executed: as if it were now. */
    if (r->lex.flags & FATAL) add(r, SQL_EFFECT_UNREAD);
    uint32_t to = at_end(r) ? r->lex.token.at : skim(r, kind, r->lex.pos);
    if (r->more && to == r->lex.len) add(r, SQL_EFFECT_UNREAD);
    a->value = span(r, from, to);
}

static void read_execute(struct reader *r)
{
    next(r);
    struct sql_act *a = act(r, SQL_ACT_EXECUTE);
    a->name = take_name(r);
    uint32_t from = end_of(a->name, r);
    a->value = span(r, from, finish_any(r));
}

static void read_deallocate(struct reader *r)
{
    next(r);
    struct sql_lex before = r->lex;
    if (take_word(r, "prepare") && at_end(r)) r->lex = before; /* that is its name */
    if (at_word(r, "all")) {
        act(r, SQL_ACT_DEALLOCATE_ALL);
        next(r);
    } else {
        struct sql_act *a = act(r, SQL_ACT_DEALLOCATE);
        a->name = take_name(r);
    }
    finish(r);
}

static void read_discard(struct reader *r)
{
    next(r);
    struct sql_act *a = act(r, SQL_ACT_DISCARD);
    a->name = take_name(r);
    finish(r);
}

/* DECLARE name [...] CURSOR [{WITH | WITHOUT} HOLD] FOR query */
static void read_declare(struct reader *r)
{
    uint32_t effect = SQL_EFFECT_CURSOR;
    for (next(r); !at_end(r) && !at_word(r, "for");) {
        if (take_word(r, "with") && at_word(r, "hold"))
            effect = SQL_EFFECT_CURSOR_HOLD;
        else if (!at_end(r))
            next(r);
    }
    add(r, effect);
    if (at_end(r))
        finish_any(r);
    else
        skim_on(r, SQL_KIND_DECLARE);
}

/* CREATE [OR REPLACE] [GLOBAL | LOCAL] [TEMP] thing name: up to what cannot be its name. */
static void read_create(struct reader *r)
{
    next(r);
    while (take_word(r, "or") || take_word(r, "replace") || take_word(r, "global") ||
           take_word(r, "local"))
        ;
    if (at_word(r, "temp") || at_word(r, "temporary")) add(r, SQL_EFFECT_TEMP_TABLE);
    while (!at_end(r) && !at_kind(r, '(') && !at_kind(r, SQL_STRING) && !at_kind(r, SQL_DOLLAR) &&
           !at_word(r, "as")) {
        struct slice t = text_of(r);
        if (at_kind(r, SQL_TEMP) || at_name_of(r, "pg_temp") || slice_starts(t, "\"#"))
            add(r, SQL_EFFECT_TEMP_TABLE);
        next(r);
    }
    if (r->lex.flags & FATAL & ~(1u << SQL_LEX_UNTERMINATED)) add(r, SQL_EFFECT_UNREAD);
    if (at_end(r))
        finish(r);
    else
        skim_on(r, SQL_KIND_CREATE);
}

static bool is_explained(const struct reader *r)
{
    switch (sql_kind_of(text_of(r))) {
    case SQL_KIND_SELECT:
    case SQL_KIND_WITH:
    case SQL_KIND_VALUES:
    case SQL_KIND_TABLE:
    case SQL_KIND_INSERT:
    case SQL_KIND_UPDATE:
    case SQL_KIND_DELETE:
    case SQL_KIND_MERGE:
    case SQL_KIND_CREATE:
    case SQL_KIND_DECLARE:
    case SQL_KIND_EXECUTE:
    case SQL_KIND_REFRESH: return true;
    default: return at_kind(r, '(');
    }
}

/* EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement: may run it. */
static void read_explain(struct reader *r)
{
    next(r);
    while (take_word(r, "analyze") || take_word(r, "analyse") || take_word(r, "verbose"))
        ;
    if (at_kind(r, '(')) {
        struct reader ahead = *r;
        next(&ahead);
        bool options = at_kind(&ahead, SQL_WORD) && !at_word(&ahead, "select") &&
                       !at_word(&ahead, "with") && !at_word(&ahead, "values") &&
                       !at_word(&ahead, "table");
        if (at_end(&ahead) || is_cut(&ahead)) add(r, SQL_EFFECT_UNREAD);
        if (options) {
            while (!at_end(&ahead) && !take_symbol(&ahead, ')')) next(&ahead);
            *r = ahead;
        }
    }
    if (is_explained(r)) {
        read_statement(r, true);
    } else {
        add(r, SQL_EFFECT_UNREAD);
        finish_any(r);
    }
}

/* ABORT, ROLLBACK [WORK | TRANSACTION] [TO [SAVEPOINT] name] */
static void read_rollback(struct reader *r)
{
    next(r);
    if (!take_word(r, "work")) take_word(r, "transaction");
    act(r, at_word(r, "to") ? SQL_ACT_ROLLBACK_TO : SQL_ACT_ROLLBACK);
    finish_any(r);
}

/* The verb behind the WITH: the first one outside of parentheses. */
static enum sql_kind verb_behind(struct reader ahead)
{
    uint32_t depth = 0;
    for (next(&ahead); !at_kind(&ahead, SQL_END) && !(at_kind(&ahead, ';')); next(&ahead)) {
        if (at_kind(&ahead, '(')) depth++;
        if (at_kind(&ahead, ')') && depth) depth--;
        if (depth || !at_kind(&ahead, SQL_WORD)) continue;
        enum sql_kind kind = sql_kind_of(text_of(&ahead));
        if (kind == SQL_KIND_SELECT || kind == SQL_KIND_INSERT || kind == SQL_KIND_UPDATE ||
            kind == SQL_KIND_DELETE || kind == SQL_KIND_MERGE)
            return kind;
    }
    return SQL_KIND_SELECT;
}

/* One statement, whose first token is next. `inner`: of an EXPLAIN. */
static void read_statement(struct reader *r, bool inner)
{
    enum sql_kind kind = at_kind(r, '(')        ? SQL_KIND_SELECT
                         : at_kind(r, SQL_WORD) ? sql_kind_of(text_of(r))
                                                : SQL_KIND_UNKNOWN;
    if (r->e->statements == 1 && !inner)
        r->e->first = kind == SQL_KIND_WITH ? verb_behind(*r) : kind;
    add(r, sql_kind_effects(kind));
    switch (kind) {
    case SQL_KIND_SELECT:
        if (at_kind(r, '('))
            skim(r, kind, r->lex.pos);
        else
            read_select(r);
        break;
    case SQL_KIND_SET: read_set(r); break;
    case SQL_KIND_RESET: read_reset(r); break;
    case SQL_KIND_BEGIN:
    case SQL_KIND_START:
        act(r, SQL_ACT_BEGIN);
        finish_any(r);
        break;
    case SQL_KIND_COMMIT:
    case SQL_KIND_END:
        act(r, SQL_ACT_COMMIT);
        finish_any(r);
        break;
    case SQL_KIND_ABORT:
    case SQL_KIND_ROLLBACK: read_rollback(r); break;
    case SQL_KIND_PREPARE: read_prepare(r); break;
    case SQL_KIND_EXECUTE: read_execute(r); break;
    case SQL_KIND_DEALLOCATE: read_deallocate(r); break;
    case SQL_KIND_DISCARD: read_discard(r); break;
    case SQL_KIND_DECLARE: read_declare(r); break;
    case SQL_KIND_CREATE: read_create(r); break;
    case SQL_KIND_EXPLAIN: read_explain(r); break;
    case SQL_KIND_UNKNOWN:
        add(r, SQL_EFFECT_UNREAD);
        finish_any(r);
        break;
    default: skim(r, kind, r->lex.pos); break;
    }
}

void sql_effects(struct slice text, bool more, struct sql_effects *e)
{
    struct reader r = { .more = more, .e = e };
    e->effects = 0;
    e->statements = 0;
    e->first = SQL_KIND_NONE;
    e->act_count = 0;
    sql_lex_init(&r.lex, text);
    for (;;) {
        bool end = at_kind(&r, SQL_END);
        /* A comment that the head cuts is the skim's. */
        if (r.lex.flags & FATAL && !(end && more)) {
            add(&r, SQL_EFFECT_UNREAD);
            if (!end) e->statements++;
            break;
        }
        if (end || is_cut(&r)) break;
        if (at_kind(&r, ';')) {
            next(&r);
            continue;
        }
        e->statements++;
        read_statement(&r, false);
    }
    if (e->statements && e->first == SQL_KIND_NONE) e->first = SQL_KIND_UNKNOWN;
}
