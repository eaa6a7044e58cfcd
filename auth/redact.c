#include "auth/redact.h"

#include "protocol/sql_lex.h"
#include "protocol/sql_normal.h"

/* The next literal of the statement is a secret, whatever stands in between. */
static bool announces_secret(struct slice word, enum redact_form form)
{
    return sql_announces_secret(word) ||
           (form == REDACT_SECRETS_AND_ROLES && slice_is_nocase(word, "iam_role"));
}

struct reader {
    enum redact_form form;
    bool armed;  /* a secret was announced, and has not come */
    bool fresh;  /* just now: nothing but AS or = has come since */
    bool secret; /* the last token was one: literals in a row are, perhaps, one */
};

static bool is_secret(const struct reader *r, uint8_t kind)
{
    switch (kind) {
    case SQL_STRING:
    case SQL_DOLLAR: return r->armed;
    /* Somebody forgot the quotes, or took the wrong ones. */
    case SQL_NUMBER:
    case SQL_QUOTED: return r->fresh;
    default: return false;
    }
}

/* What is shown for the token. */
static struct slice shown(struct reader *r, const struct sql_lex *lex)
{
    uint8_t kind = lex->token.kind;
    struct slice text = sql_token_text(lex, lex->token);
    bool secret = is_secret(r, kind);
    if ((r->secret && !secret) || kind == ';') r->armed = false;
    r->secret = secret;
    r->fresh = r->fresh && (kind == '=' || slice_is_nocase(text, "as"));
    if (kind == SQL_WORD && announces_secret(text, r->form)) r->armed = r->fresh = true;

    bool literal = kind == SQL_STRING || kind == SQL_DOLLAR;
    if (secret || (literal && r->form == REDACT_LITERALS)) return slice_str("'***'");
    if (kind == SQL_NUMBER && r->form == REDACT_LITERALS) return slice_str("?");
    return text;
}

void redact_sql(struct slice text, enum redact_form form, size_t cap, struct buf *out)
{
    struct reader r = { .form = form };
    struct sql_lex lex;
    uint32_t begin = out->len, end_of_last = 0;
    size_t left = cap;
    for (sql_lex_init(&lex, text);; sql_lex_next(&lex)) {
        if (lex.flags & SQL_LEX_DOUBTFUL) {
            buf_truncate(out, begin);
            buf_addf(out, "(unreadable statement, %zu bytes, %016llx)", text.len,
                     (unsigned long long)sql_fingerprint(text));
            return;
        }
        if (lex.token.kind == SQL_END) return;
        struct slice token = shown(&r, &lex);
        bool gap = end_of_last && lex.token.at > end_of_last;
        end_of_last = lex.token.at + lex.token.len;
        if (left < token.len + gap) {
            buf_add_str(out, "...");
            return;
        }
        if (gap) buf_add_u8(out, ' ');
        buf_add_slice(out, token);
        left -= token.len + gap;
    }
}
