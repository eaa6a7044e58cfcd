/* credential_process: a program that prints keys, as a provider. */
#include "auth/aws_provider.h"

#include <stdio.h>

/* What a backslash escapes within double quotes (POSIX, XCU 2.2.3). */
static bool is_special(char c) { return c == '"' || c == '\\' || c == '$' || c == '`'; }

/* Splits as a POSIX shell would, without being one: quotes and backslashes group, nothing expands.
 * Words go out with a NUL behind each. False: an open quote. */
static bool split_words(struct slice line, struct buf *out)
{
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.at[i];
        bool escapes = c == '\\' && quote != '\'' && i + 1 < line.len;
        if (escapes && quote == '"' && !is_special(line.at[i + 1])) escapes = false;
        if (escapes) {
            c = line.at[++i];
        } else if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
            in_word = true;
            continue;
        } else if (!quote && (c == ' ' || c == '\t' || c == '\n')) {
            if (in_word) buf_add_u8(out, 0);
            in_word = false;
            continue;
        }
        if (c == 0) return false;
        buf_add_u8(out, (uint8_t)c);
        in_word = true;
    }
    if (in_word) buf_add_u8(out, 0);
    return quote == 0 && out->len > 0 && !out->failed;
}

static const struct aws_answer *run_command(struct aws_run *run, struct slice line)
{
    struct aws_ask *ask = aws_script_ask(run->script, AWS_ASK_RUN);
    if (ask) split_words(line, &ask->path); /* checked before */
    return aws_script_answer(run->script);
}

static enum aws_found read_output(struct aws_run *run, struct slice text,
                                  struct aws_credentials *out)
{
    static const struct aws_json_names names = { "AccessKeyId", "SecretAccessKey", "SessionToken",
                                                 "Expiration",  "AccountId",       false };
    struct json_error ignored;
    struct json_doc *doc = json_parse(text, 65536, &ignored);
    if (!doc) return aws_broken(run, "credential_process did not print JSON");
    const struct json_value *version = json_member(json_root(doc), slice_str("Version"));
    int64_t number = 0;
    enum aws_found found = AWS_FOUND;
    if (!version || !json_integer(version, &number) || number != 1)
        found = aws_broken(run, "credential_process printed another Version than 1");
    else if (!aws_credentials_from_json(json_root(doc), &names, aws_script_now_ms(run->script),
                                        out))
        found = aws_broken(run, "credential_process printed no usable AccessKeyId, "
                                "SecretAccessKey or Expiration");
    json_free(doc);
    return found;
}

enum aws_found aws_from_process(struct aws_run *run, struct slice profile,
                                struct aws_credentials *out)
{
    struct slice line =
        aws_profiles_get(run->settings->profiles, AWS_PROFILE, profile, "credential_process");
    struct buf words = { 0 };
    bool ok = split_words(line, &words);
    buf_fini(&words);
    if (!ok) return aws_broken(run, "credential_process has an open quote, or no word");
    const struct aws_answer *answer = run_command(run, line);
    if (!answer) return AWS_PENDING;
    if (answer->outcome == AWS_NOT_THERE)
        return aws_broken(run, "the program of credential_process is not there");
    if (answer->outcome != AWS_DONE_WELL)
        return aws_broken(run, "credential_process failed (exit status, or more than 60 seconds)");
    enum aws_found found = read_output(run, buf_slice(&answer->text), out);
    if (found != AWS_FOUND) return found;
    snprintf(out->source, sizeof out->source, "credential_process of profile %.*s",
             profile.len < 64 ? (int)profile.len : 64, profile.at);
    return aws_found_until(run, out);
}
