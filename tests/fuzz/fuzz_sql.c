/* fuzz_sql: the reader of SQL and the grants, on anything.
 *
 *   - no byte is read that is not the text's; the answer is the same twice
 *   - the reading asks no more often than the text is long
 *   - a comment and a blank between any two tokens, and other letters for bare words, change
 * nothing
 *   - what begins or ends a transaction and nothing else is one statement of such a kind
 *   - a flag means a refusal; a refusal's place is within the text, its words never a literal's
 */
#include "auth/grants.h"
#include "protocol/buf.h"
#include "protocol/sql_boundary.h"
#include "protocol/sql_stmt.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static struct grants *role_new(uint8_t kind)
{
    static const uint32_t some = 1U << SQL_VERB_SELECT | 1U << SQL_VERB_INSERT |
                                 1U << SQL_VERB_UPDATE | 1U << SQL_VERB_DELETE |
                                 1U << SQL_VERB_UNLOAD;
    const struct grants_rule rules[] = {
        { slice_str("public.events"), 1U << SQL_VERB_INSERT },
        { slice_str("*.*"), kind & 1 ? SQL_VERBS_ALL : some },
        { slice_str("*"),
          kind & 2 ? SQL_VERBS_ALL & ~(1U << SQL_VERB_CALL) : 1U << SQL_VERB_CREATE_TEMP },
    };
    const struct slice from[] = { slice_str("s3://b/*") };
    const struct grants_options options = { .name = slice_str("r"),
                                            .rules = rules,
                                            .rule_count = kind & 4 ? 1 : 3,
                                            .search_path = slice_str(kind & 8 ? "a, b" : ""),
                                            .copy_from = { from, kind & 16 ? 1 : 0 },
                                            .no_access_keys = kind & 16,
                                            .catalog = kind & 32,
                                            .letters = (enum sql_case)(kind >> 6) % 3 };
    struct err err;
    return grants_new(&options, &err);
}

/* Alone in memory, so that a byte too many is seen. */
static bool decide(const struct grants *grants, struct slice text, struct verdict *verdict)
{
    char *alone = malloc(text.len ? text.len : 1);
    struct err err;
    if (text.len) memcpy(alone, text.at, text.len);
    const bool allow = grants_decide(grants, NULL, slice_of(alone, text.len), verdict);
    require(allow == verdict->allow && verdict->at <= text.len);
    if (!allow) grants_explain(grants, verdict, &err);
    free(alone);
    verdict->text = text;
    return allow;
}

/* The same text with more room in it, and with the words in other letters. False when it has a
 * flag. */
static bool rewrite(struct slice text, struct buf *spaced, struct buf *cased)
{
    struct sql_lex lex;
    uint32_t at = 0;
    for (sql_lex_init(&lex, text);; sql_lex_next(&lex)) {
        const struct sql_token t = lex.token;
        buf_add(spaced, text.at + at, t.at - at);
        buf_add(cased, text.at + at, t.at - at);
        if (t.kind == SQL_END) return lex.flags == 0;
        if (at > 0) buf_add_str(spaced, " /* - */\t");
        buf_add(spaced, text.at + t.at, t.len);
        for (uint32_t i = t.at; i < t.at + t.len; i++) {
            const char c = text.at[i], lower = ascii_lower(c);
            const bool letter = t.kind == SQL_WORD && lower >= 'a' && lower <= 'z';
            buf_add_u8(cased, (uint8_t)(letter ? c ^ 0x20 : c));
        }
        at = t.at + t.len;
    }
}

struct count {
    size_t needs, cap;
};

static bool count_needs(void *context, const struct sql_need *need)
{
    struct count *count = context;
    (void)need;
    require(++count->needs <= count->cap);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    const struct slice text = slice_of(data + 1, size - 1);
    static struct grants *roles[256]; /* made once: that is slower than judging */
    if (!roles[data[0]]) roles[data[0]] = role_new(data[0]);
    struct grants *const grants = roles[data[0]];
    struct buf spaced = { 0 }, cased = { 0 };
    struct verdict first, again;

    const bool allow = decide(grants, text, &first);
    require(decide(grants, text, &again) == allow && again.reason == first.reason);
    const bool clean = rewrite(text, &spaced, &cased);
    if (!clean) require(!allow);
    if (clean && first.reason != GRANTS_TEXT) {
        require(decide(grants, buf_slice(&spaced), &again) == allow);
        require(again.reason == first.reason);
        require(decide(grants, buf_slice(&cased), &again) == allow);
        require(again.reason == first.reason);
    }

    struct count count = { .cap = 2 * text.len + 2 };
    const struct sql_policy policy = { .context = &count, .need = count_needs };
    struct sql_reading reading;
    sql_stmt_read(text, &policy, &reading);

    const enum sql_boundary boundary = sql_boundary(text);
    const bool is_short = spaced.len <= SQL_BOUNDARY_BYTES;
    require(boundary == SQL_BOUNDARY_NONE || clean);
    if (clean && is_short) require(sql_boundary(buf_slice(&spaced)) == boundary);
    if (clean) require(sql_boundary(buf_slice(&cased)) == boundary);
    require((boundary != SQL_BOUNDARY_NONE) == (sql_boundary_tag(boundary)[0] != '\0'));

    buf_fini(&spaced);
    buf_fini(&cased);
    return 0;
}
