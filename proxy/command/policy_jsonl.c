#include "proxy/command/policy_jsonl.h"

#include "auth/grants.h"

#include <stdlib.h>

enum { LINE_BYTES = 64 << 20, RULES = 256 };

/* ---- what JSON can say and SQL cannot ------------------------------------------------------- */

static const char stand_in[] = "\xEF\xB7\x90"; /* U+FDD0, which is no character */

/* The four digits behind `\u` at `at`, or -1. */
static int32_t escaped_unit(struct slice text, size_t at)
{
    int32_t unit = 0;
    if (text.len - at < 6 || text.at[at] != '\\' || text.at[at + 1] != 'u') return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        const char c = ascii_lower(text.at[i]);
        if (c >= '0' && c <= '9')
            unit = unit * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            unit = unit * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

static bool is_high(int32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
static bool is_low(int32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

static void replace_escapes(struct slice line, struct buf *out)
{
    for (size_t i = 0; i < line.len;) {
        const int32_t unit = escaped_unit(line, i);
        size_t len = line.at[i] == '\\' && line.len - i >= 2 ? 2 : 1;
        if (is_high(unit) && line.len - i >= 12 && is_low(escaped_unit(line, i + 6)))
            len = 12;
        else if (unit >= 0)
            len = 6;
        if (len == 6 && (unit == 0 || is_high(unit) || is_low(unit)))
            buf_add_str(out, "\\ufdd0");
        else
            buf_add(out, line.at + i, len);
        i += len;
    }
}

struct json_doc *policy_jsonl_parse(struct slice line, struct json_error *error)
{
    struct buf clean = { 0 };
    replace_escapes(line, &clean);
    struct json_doc *doc = json_parse(buf_slice(&clean), LINE_BYTES, error);
    buf_fini(&clean);
    return doc;
}

static struct slice member(const struct json_doc *doc, const char *key)
{
    const struct json_value *value = json_member(json_root(doc), slice_str(key));
    return value ? json_string(value) : slice_str("");
}

struct slice policy_jsonl_sql(const struct json_doc *doc, struct buf *out)
{
    const struct slice sql = member(doc, "sql");
    for (size_t i = 0; i < sql.len;) {
        const bool replaced = slice_starts(slice_after(sql, i), stand_in);
        buf_add_u8(out, replaced ? 0 : (uint8_t)sql.at[i]);
        i += replaced ? 3 : 1;
    }
    return buf_slice(out);
}

/* ---- a case -------------------------------------------------------------------------------- */

/* One {"table", "verbs"}; false when it is none. */
static bool read_rule(const struct json_value *grant, struct grants_rule *rule)
{
    const struct json_value *verbs = json_member(grant, slice_str("verbs"));
    const struct json_value *table = json_member(grant, slice_str("table"));
    rule->pattern = table ? json_string(table) : slice_str("");
    rule->verbs = 0;
    if (!verbs || json_type(verbs) != JSON_ARRAY) return false;
    for (const struct json_value *v = json_first(verbs); v; v = json_next(v)) {
        const uint32_t set = sql_verb_find(json_string(v));
        if (!set) return false;
        rule->verbs |= set;
    }
    return true;
}

static struct grants *read_grants(const struct json_doc *doc, struct err *err)
{
    struct grants_rule rules[RULES];
    struct grants_options options = { .name = slice_str("test"),
                                      .rules = rules,
                                      .search_path = member(doc, "search_path") };
    const struct json_value *grants = json_member(json_root(doc), slice_str("grants"));
    const struct json_value *grant = grants ? json_first(grants) : NULL;
    for (; grant; grant = json_next(grant)) {
        if (options.rule_count == RULES || !read_rule(grant, &rules[options.rule_count])) {
            err_set(err, ERR_CONFIG, "grant %zu is not understood", options.rule_count + 1);
            return NULL;
        }
        options.rule_count++;
    }
    return grants_new(&options, err);
}

/* As it was given: a string or a whole number. */
static void add_id(struct buf *out, const struct json_doc *doc)
{
    const struct json_value *id = doc ? json_member(json_root(doc), slice_str("id")) : NULL;
    int64_t number;
    if (id && json_type(id) == JSON_NUMBER && json_integer(id, &number))
        buf_addf(out, "%lld", (long long)number);
    else
        json_quote(out, id ? json_string(id) : slice_str(""));
}

static void answer(struct buf *out, const struct json_doc *doc, bool allow, const char *sqlstate,
                   const char *code, const char *message)
{
    struct buf reason = { 0 };
    buf_addf(&reason, "%s%s%s", code, message[0] ? ": " : "", message);
    buf_add_str(out, "{\"id\":");
    add_id(out, doc);
    buf_addf(out, ",\"decision\":\"%s\",\"sqlstate\":\"%s\",\"reason\":", allow ? "allow" : "deny",
             sqlstate);
    json_quote(out, buf_slice(&reason));
    buf_add_str(out, "}");
    buf_fini(&reason);
}

static bool judge(const struct json_doc *doc, struct buf *out)
{
    struct err err;
    struct verdict verdict;
    struct buf text = { 0 };
    struct grants *grants = read_grants(doc, &err);
    if (!grants) {
        answer(out, doc, false, err_sqlstate(err.code), "grants", err.message);
        return false;
    }
    if (grants_decide(grants, NULL, policy_jsonl_sql(doc, &text), &verdict)) {
        answer(out, doc, true, "00000", grants_reason_code(verdict.reason), "");
    } else {
        grants_explain(grants, &verdict, &err);
        answer(out, doc, false, err_sqlstate(err.code), grants_reason_code(verdict.reason),
               err.message);
    }
    buf_fini(&text);
    grants_free(grants);
    return true;
}

bool policy_jsonl_judge(struct slice line, struct buf *out)
{
    struct json_error error;
    struct json_doc *doc = policy_jsonl_parse(line, &error);
    if (!doc) {
        answer(out, doc, false, err_sqlstate(ERR_SYNTAX), "json", error.text);
        return false;
    }
    const bool is_object = json_type(json_root(doc)) == JSON_OBJECT;
    const struct json_value *sql = is_object ? json_member(json_root(doc), slice_str("sql")) : NULL;
    bool ok = sql && json_type(sql) == JSON_STRING;
    if (ok)
        ok = judge(doc, out);
    else
        answer(out, doc, false, err_sqlstate(ERR_SYNTAX), "json", "no case");
    json_free(doc);
    return ok;
}
