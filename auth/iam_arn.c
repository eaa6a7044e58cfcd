#include "auth/iam_arn.h"

#include "auth/aws_endpoint.h"
#include "auth/uri.h"

#include <stdio.h>

/* arn : partition : service : region : account : resource */
struct parts {
    struct slice partition, service, account, resource;
};

static bool is_account(struct slice text)
{
    if (text.len != 12) return false;
    for (size_t i = 0; i < 12; i++)
        if (text.at[i] < '0' || text.at[i] > '9') return false;
    return true;
}

static bool split(struct slice arn, struct parts *p)
{
    struct slice rest = arn, word;
    if (arn.len == 0 || arn.len > 2048) return false;
    if (!uri_next_piece(&rest, ':', &word) || !slice_is(word, "arn")) return false;
    if (!uri_next_piece(&rest, ':', &p->partition)) return false;
    if (!uri_next_piece(&rest, ':', &p->service)) return false;
    if (!uri_next_piece(&rest, ':', &word) || word.len != 0) return false; /* IAM has no region */
    if (!uri_next_piece(&rest, ':', &p->account) || !rest.at) return false;
    p->resource = rest;
    return aws_partition_named(p->partition) && is_account(p->account);
}

/* Names of roles, users and sessions: letters, digits and + = , . @ - _ (IAM's quotas page). */
static bool is_name(struct slice text, const char *also)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !(c && strchr("+=,.@-_", c)) && !(c && strchr(also, c))) return false;
    }
    return text.len > 0;
}

static void copy(char *to, size_t size, struct slice from)
{
    size_t n = from.len < size ? from.len : size - 1;
    memcpy(to, from.at, n);
    to[n] = 0;
}

static struct slice after_last_slash(struct slice text)
{
    size_t n = text.len;
    while (n > 0 && text.at[n - 1] != '/') n--;
    return slice_after(text, n);
}

static bool take_prefix(struct slice *text, const char *prefix)
{
    if (!slice_starts(*text, prefix)) return false;
    *text = slice_after(*text, strlen(prefix));
    return true;
}

/* "ROLE/SESSION": exactly two parts. */
static bool parse_assumed(struct slice rest, struct slice *role, struct slice *session)
{
    if (!uri_next_piece(&rest, '/', role) || !rest.at) return false;
    *session = rest;
    return is_name(*role, "") && role->len <= 64 && is_name(*session, "") && session->len <= 64;
}

bool iam_identity_parse(struct slice arn, struct iam_identity *out)
{
    struct parts p;
    struct slice name, session = { "", 0 };
    *out = (struct iam_identity){ 0 };
    if (!split(arn, &p)) return false;
    bool sts = slice_is(p.service, "sts"), iam = slice_is(p.service, "iam");
    if (sts && take_prefix(&p.resource, "assumed-role/")) {
        if (!parse_assumed(p.resource, &name, &session)) return false;
    } else if (iam && take_prefix(&p.resource, "role/")) {
        name = after_last_slash(p.resource);
        if (!is_name(p.resource, "/") || !is_name(name, "") || name.len > 64) return false;
    } else if (iam && take_prefix(&p.resource, "user/")) {
        name = p.resource;
        if (!is_name(name, "/") || name.len >= IAM_NAME_BYTES) return false;
        if (after_last_slash(name).len == 0) return false;
        out->kind = IAM_USER;
    } else {
        return false;
    }
    copy(out->partition, sizeof out->partition, p.partition);
    copy(out->account, sizeof out->account, p.account);
    copy(out->name, sizeof out->name, name);
    copy(out->session, sizeof out->session, session);
    snprintf(out->arn, sizeof out->arn, "arn:%s:iam::%s:%s/%s", out->partition, out->account,
             out->kind == IAM_ROLE ? "role" : "user", out->name);
    return true;
}

static bool pattern_fail(struct slice text, struct err *err, const char *why)
{
    int n = text.len < 120 ? (int)text.len : 120;
    return err_set(err, ERR_CONFIG, "\"%.*s\": %s", n, text.at, why);
}

bool iam_pattern_parse(struct slice text, struct iam_pattern *out, struct err *err)
{
    struct parts p;
    *out = (struct iam_pattern){ 0 };
    if (!split(text, &p) || !slice_is(p.service, "iam"))
        return pattern_fail(text, err,
                            "not an IAM ARN (arn:aws:iam::123456789012:role/NAME or user/NAME)");
    struct slice name;
    if (take_prefix(&p.resource, "role/")) {
        name = after_last_slash(p.resource);
        out->is_glob = name.len && memchr(name.at, '*', name.len);
        if (!is_name(p.resource, "/*") || !is_name(name, "*") || name.len > 64)
            return pattern_fail(text, err, "not a role name");
        bool has_path = name.len != p.resource.len, only_stars = true;
        for (size_t i = 0; i < name.len; i++) only_stars = only_stars && name.at[i] == '*';
        if (has_path && only_stars)
            return pattern_fail(text, err,
                                "a role's path is not visible at login, so this would "
                                "match every role of the account; give a name");
    } else if (take_prefix(&p.resource, "user/")) {
        name = p.resource;
        out->kind = IAM_USER;
        if (!is_name(name, "/") || name.len >= IAM_NAME_BYTES || after_last_slash(name).len == 0)
            return pattern_fail(text, err, "not a user name ('*' is for role names)");
    } else {
        return pattern_fail(text, err, "only roles and users can log in");
    }
    copy(out->partition, sizeof out->partition, p.partition);
    copy(out->account, sizeof out->account, p.account);
    copy(out->name, sizeof out->name, name);
    return true;
}

/* One backtracking point, the last star: at most pattern times name steps. */
static bool glob_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

bool iam_pattern_matches(const struct iam_pattern *pattern, const struct iam_identity *identity)
{
    if (pattern->kind != identity->kind || strcmp(pattern->partition, identity->partition) != 0 ||
        strcmp(pattern->account, identity->account) != 0)
        return false;
    if (pattern->is_glob) return glob_matches(pattern->name, identity->name);
    return strcmp(pattern->name, identity->name) == 0;
}

struct slice iam_role_name(struct slice arn)
{
    struct parts p;
    if (!split(arn, &p) || !slice_is(p.service, "iam") || !take_prefix(&p.resource, "role/"))
        return (struct slice){ 0 };
    return after_last_slash(p.resource);
}

/* ---- names made of an identity -------------------------------------------------------------- */

bool iam_function_matches(struct slice pattern, const struct iam_identity *identity)
{
    char text[IAM_ARN_BYTES];
    if (!identity->function[0] || pattern.len >= sizeof text) return false;
    memcpy(text, pattern.at, pattern.len);
    text[pattern.len] = '\0';
    return glob_matches(text, identity->function);
}

bool iam_template_has_words(struct slice text)
{
    return text.len && memchr(text.at, '{', text.len);
}

/* arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER] */
static struct slice function_name(const struct iam_identity *who)
{
    struct slice rest = slice_str(who->function), word = { 0 };
    for (int i = 0; i < 7; i++)
        if (!uri_next_piece(&rest, ':', &word)) return (struct slice){ 0 };
    return word;
}

static struct slice word_of(struct slice word, const struct iam_identity *who)
{
    struct slice none = { 0 };
    if (slice_is(word, "account")) return slice_str(who->account);
    if (slice_is(word, "role")) return who->kind == IAM_ROLE ? slice_str(who->name) : none;
    if (slice_is(word, "user"))
        return who->kind == IAM_USER ? after_last_slash(slice_str(who->name)) : none;
    if (slice_is(word, "function")) return function_name(who);
    return none;
}

/* Takes text up to the next word, and the word; false: it is malformed. */
static bool next_part(struct slice *text, struct slice *plain, struct slice *word)
{
    const char *open = text->len ? memchr(text->at, '{', text->len) : NULL;
    *word = (struct slice){ 0 };
    *plain = open ? slice_of(text->at, (size_t)(open - text->at)) : *text;
    *text = slice_after(*text, plain->len);
    if (!open) return true;
    const char *close = memchr(text->at, '}', text->len);
    if (!close) return false;
    *word = slice_of(text->at + 1, (size_t)(close - text->at) - 1);
    *text = slice_after(*text, word->len + 2);
    return true;
}

bool iam_template_check(struct slice text, struct err *err)
{
    static const char *const words[] = { "account", "role", "user", "function" };
    struct slice plain, word;
    while (text.len) {
        bool known = false;
        if (!next_part(&text, &plain, &word)) return err_set(err, ERR_CONFIG, "a '{' without '}'");
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            known = known || slice_is(word, words[i]);
        if (slice_is(word, "session"))
            return err_set(
                err, ERR_CONFIG,
                "a session name is chosen by whoever assumes the role: it decides nothing");
        if (word.at && !known)
            return err_set(err, ERR_CONFIG,
                           "there is no {%.*s}; {role}, {user}, {function}, {account}",
                           word.len < 64 ? (int)word.len : 64, word.at);
    }
    return true;
}

bool iam_template_expand(struct slice text, const struct iam_identity *who, char *out, size_t size)
{
    enum { DB_USER_MAX = 64 };
    struct slice plain, word;
    size_t n = 0;
    while (text.len) {
        if (!next_part(&text, &plain, &word)) return false;
        struct slice value = word.at ? word_of(word, who) : word;
        if (word.at && value.len == 0) return false;
        if (n + plain.len + value.len >= size) return false;
        if (plain.len) memcpy(out + n, plain.at, plain.len);
        if (value.len) memcpy(out + n + plain.len, value.at, value.len);
        n += plain.len + value.len;
    }
    if (size == 0) return false;
    out[n] = '\0';
    if (n == 0 || n > DB_USER_MAX) return false;
    bool ok = (out[0] >= 'A' && out[0] <= 'Z') || (out[0] >= 'a' && out[0] <= 'z');
    return ok && is_name(slice_of(out, n), "") && !strpbrk(out, "=,");
}
