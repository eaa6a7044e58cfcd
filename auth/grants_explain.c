#include "auth/grants.h"
#include "auth/grants_role.h"
#include "protocol/buf.h"
#include "protocol/sql_stmt.h"

#include <stdio.h>

static const char *const reasons[GRANTS_REASON_COUNT][2] = {
#define REASON(id, code, sentence) { code, sentence },
#include "auth/grants_reason.def"
#undef REASON
};

const char *grants_reason_code(enum grants_reason reason) { return reasons[reason][0]; }
const char *grants_reason_sentence(enum grants_reason reason) { return reasons[reason][1]; }

/* ---- where --------------------------------------------------------------------------------- */

/* Characters of UTF-8 before byte `at`, counted from 1 as the protocol does. */
static uint32_t position(struct slice text, uint32_t at)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < at && i < text.len; i++) n += (text.at[i] & 0xC0) != 0x80;
    return n;
}

/* How many statements a message has, empty ones not counted. */
static uint32_t count_statements(struct slice text)
{
    struct sql_lex lex;
    uint32_t n = 0;
    bool begun = false;
    for (sql_lex_init(&lex, text); lex.token.kind != SQL_END; sql_lex_next(&lex)) {
        if (lex.token.kind == ';')
            begun = false;
        else if (!begun) {
            begun = true;
            n++;
        }
    }
    return n;
}

/* "statement 2 of 3: ", or nothing when there is only one. */
static void print_statement(const struct verdict *v, char out[static 48])
{
    const uint32_t count = count_statements(v->text);
    out[0] = '\0';
    if (count > 1) snprintf(out, 48, "statement %u of %u: ", v->statement, count);
}

/* The first word of the refused statement, in capitals; it is a keyword or a name, never a literal.
 */
static void print_first(const struct verdict *v, char out[static 24])
{
    size_t n = 0;
    for (; n < v->first_len && n < 23; n++) {
        const char c = ascii_lower(v->text.at[v->first_at + n]);
        if (!((c >= 'a' && c <= 'z') || c == '_')) break;
        out[n] = (char)(c == '_' ? c : c - ('a' - 'A'));
    }
    out[n] = '\0';
}

/* ---- what ---------------------------------------------------------------------------------- */

/* What was refused, behind "permission denied by proxy: ". */
static void print_what(const struct grants *g, const struct verdict *v, struct buf *what)
{
    char first[24];
    print_first(v, first);
    /* These two verbs stand for several statements, and the client knows its own word. */
    const bool by_word = v->verb == SQL_VERB_DDL || v->verb == SQL_VERB_MAINTAIN;
    const char *verb = by_word ? first : sql_verb_name(v->verb);
    switch (v->reason) {
    case GRANTS_TABLE:
    case GRANTS_READ:
        if (v->reason == GRANTS_READ && v->kind != SQL_KIND_SELECT)
            buf_addf(what, "%s statement reads %s; SELECT is not granted to role \"%.*s\"", first,
                     v->object, SLICE_ARG(g->name));
        else
            buf_addf(what, "%s on %s is not granted to role \"%.*s\"", verb, v->object,
                     SLICE_ARG(g->name));
        break;
    case GRANTS_VERB:
        buf_addf(what, "%s is not allowed for role \"%.*s\"", verb, SLICE_ARG(g->name));
        break;
    case GRANTS_STATEMENT:
        buf_addf(what, "%s is not allowed for role \"%.*s\"", first, SLICE_ARG(g->name));
        break;
    case GRANTS_LITERAL:
    case GRANTS_TEXT:
        buf_addf(what, "%s at byte %u", sql_lex_flag_text((enum sql_lex_flag)v->flag), v->at + 1);
        break;
    case GRANTS_QUALIFY: buf_addf(what, "table \"%s\" is not schema-qualified", v->object); break;
    case GRANTS_FUNCTION:
        if (v->object[0])
            buf_addf(what, "function %s is not on the allowed list", v->object);
        else
            buf_addf(what, "%s", sql_refusal_text((enum sql_refusal)v->refusal));
        break;
    case GRANTS_SETTING:
        if (v->object[0])
            buf_addf(what, "%s %s is not allowed", first, v->object);
        else
            buf_addf(what, "%s", sql_refusal_text((enum sql_refusal)v->refusal));
        break;
    case GRANTS_PREPARED:
        buf_addf(what, "prepared statement \"%s\" was not prepared in this session", v->object);
        break;
    case GRANTS_CURSOR:
        buf_addf(what, "cursor \"%s\" was not declared in this session", v->object);
        break;
    case GRANTS_RETURNING: buf_addf(what, "%s", sql_refusal_text(SQL_REFUSED_RETURNING)); break;
    case GRANTS_COPY_ROLE:
    case GRANTS_COPY_KEYS:
    case GRANTS_COPY_SOURCE:
        buf_addf(what, "%s (role \"%.*s\")", grants_reason_sentence(v->reason), SLICE_ARG(g->name));
        break;
    default:
        buf_addf(what, "%s at byte %u", sql_refusal_text((enum sql_refusal)v->refusal), v->at + 1);
        break;
    }
}

static const char *hint_of(const struct verdict *v)
{
    switch (v->reason) {
    case GRANTS_LITERAL:
    case GRANTS_TEXT: return sql_lex_flag_hint((enum sql_lex_flag)v->flag);
    case GRANTS_CAPITALS: return "use lower case";
    case GRANTS_RETURNING: return "turn off generated keys in the driver";
    case GRANTS_SYNTAX: return "what is not recognised as Redshift's SQL is refused";
    case GRANTS_STATEMENT: return "no restricted role may send such a statement";
    case GRANTS_SIZE: return "use COPY";
    default: return "";
    }
}

/* A role that the catalogue is not granted to, and a name of the catalogue. */
static bool lacks_catalog(const struct grants *g, const struct verdict *v)
{
    const struct slice name = slice_str(v->object);
    return g->catalog.count == 0 &&
           (slice_starts(name, "pg_") || slice_starts(name, "information_schema."));
}

/* What whoever writes the configuration would have to change. */
static void hint_at_grant(const struct grants *g, const struct verdict *v, struct err *err)
{
    const char *verb = sql_verb_name(v->reason == GRANTS_READ ? SQL_VERB_SELECT : v->verb);
    if (lacks_catalog(g, v) && v->reason != GRANTS_VERB)
        err_hint(err, "desktop tools need \"catalog\": true in role \"%.*s\"", SLICE_ARG(g->name));
    else if (v->reason == GRANTS_FUNCTION && v->object[0])
        err_hint(err, "if it may be called, name it in \"functions\" of role \"%.*s\"",
                 SLICE_ARG(g->name));
    else if (v->reason == GRANTS_TABLE || v->reason == GRANTS_READ || v->reason == GRANTS_VERB)
        err_hint(err, "if it is meant, grant the verb %s in role \"%.*s\"", verb,
                 SLICE_ARG(g->name));
}

void grants_explain(const struct grants *g, const struct verdict *v, struct err *err)
{
    char statement[48];
    struct buf what = { 0 };
    if (v->reason == GRANTS_SIZE) {
        err_set(err, ERR_TOO_LARGE, "statement longer than %zu bytes", g->statement_bytes);
        err_hint(err, "%s", hint_of(v));
        return;
    }
    print_statement(v, statement);
    print_what(g, v, &what);
    err_set(err, ERR_DENIED, "permission denied by proxy: %s%.*s%s", statement,
            SLICE_ARG(buf_slice(&what)), statement[0] ? "; nothing was sent" : "");
    buf_fini(&what);
    err_detail(err, "reason: %s", grants_reason_code(v->reason));
    const bool is_name = v->reason == GRANTS_TABLE || v->reason == GRANTS_READ;
    if (v->reason == GRANTS_QUALIFY)
        err_hint(err, "write schema.%s, or give role \"%.*s\" a search_path", v->object,
                 SLICE_ARG(g->name));
    else if (is_name && v->parts > 2)
        err_hint(err, "a name of %u parts needs a grant of %u parts", v->parts, v->parts);
    else if (hint_of(v)[0])
        err_hint(err, "%s", hint_of(v));
    else
        hint_at_grant(g, v, err);
    err->position = position(v->text, v->at);
}
