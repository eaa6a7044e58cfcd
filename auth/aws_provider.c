#include "auth/aws_provider.h"

#include "protocol/json.h"

#include <stdio.h>

/* ---- saying why --------------------------------------------------------------------------------
 */

enum { WORDS_BYTES = 256 }; /* of one reason, with its NUL */

static void report(struct aws_run *run, const char *text)
{
    buf_addf(run->report, "%s: %s\n", run->place, text);
}

enum aws_found aws_not_here(struct aws_run *run, const char *format, ...)
{
    char text[WORDS_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report(run, text);
    return AWS_NOT_HERE;
}

static enum aws_found broken(struct aws_run *run, const char *format, va_list args)
{
    char text[WORDS_BYTES];
    vsnprintf(text, sizeof text, format, args);
    report(run, text);
    err_set(run->err, ERR_NO_CREDENTIALS, "%s", text);
    return AWS_BROKEN;
}

enum aws_found aws_broken(struct aws_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum aws_found found = broken(run, format, args);
    va_end(args);
    return found;
}

enum aws_found aws_broken_hint(struct aws_run *run, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum aws_found found = broken(run, format, args);
    va_end(args);
    err_hint(run->err, "%s", hint);
    return found;
}

enum aws_found aws_broken_as_said(struct aws_run *run)
{
    report(run, run->err->message);
    return AWS_BROKEN;
}

enum aws_found aws_broken_by(struct aws_run *run, const struct aws_error *e, const char *what)
{
    aws_error_to_err(e, what, run->err);
    return aws_broken_as_said(run);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

enum aws_found aws_read_file(struct aws_run *run, struct slice path, struct slice *text)
{
    struct aws_ask *ask = aws_script_ask(run->script, AWS_ASK_READ);
    if (ask) buf_add_slice(&ask->path, path);
    const struct aws_answer *answer = aws_script_answer(run->script);
    int n = path.len < 120 ? (int)path.len : 120;
    if (!answer) return AWS_PENDING;
    *text = buf_slice(&answer->text);
    switch (answer->outcome) {
    case AWS_DONE_WELL: return AWS_FOUND;
    case AWS_NOT_THERE: return AWS_NOT_HERE;
    case AWS_FORBIDDEN: return aws_broken(run, "%.*s: permission denied", n, path.at);
    case AWS_DONE_BADLY: break;
    }
    return aws_broken(run, "%.*s cannot be read, or is too large", n, path.at);
}

static enum aws_found wait_ms(struct aws_run *run, uint32_t delay_ms)
{
    struct aws_ask *ask = aws_script_ask(run->script, AWS_ASK_WAIT);
    if (ask) ask->until_ms = aws_script_now_ms(run->script) + delay_ms;
    return aws_script_answer(run->script) ? AWS_FOUND : AWS_PENDING;
}

static const struct aws_answer *send_once(struct aws_run *run, const struct aws_sending *sending)
{
    struct aws_ask *ask = aws_script_ask(run->script, AWS_ASK_HTTP);
    if (ask && !sending->build(run, sending->context, &ask->request)) {
        /* Without a request there is no answer to wait for: the script ends as failed. */
        aws_script_fail(run->script);
        return NULL;
    }
    return aws_script_answer(run->script);
}

enum { SKEW_MS = 240 * 1000 };

/* A clock that is off by four minutes and more, and AWS says so: sign again with its time, once. */
static bool correct_clock(struct aws_run *run, const struct aws_answer *answer,
                          const struct aws_error *error)
{
    int64_t skew;
    if (error->fault != AWS_FAULT_CLOCK) return false;
    if (aws_env_is_true(run->settings->env, "AWS_DISABLE_CLOCK_SKEW_CORRECTION")) return false;
    if (!aws_response_skew(&answer->response, answer->answered_ms,
                           answer->answered_ms - answer->asked_ms, &skew))
        return false;
    int64_t change = skew - run->skew_ms;
    if (change < SKEW_MS && change > -SKEW_MS) return false;
    run->skew_ms = skew;
    return true;
}

enum aws_found aws_send(struct aws_run *run, const struct aws_sending *sending,
                        struct aws_response *response, struct aws_error *error)
{
    bool corrected = false;
    struct aws_retry retry = { .quota = &run->quota,
                               .max_attempts =
                                   sending->attempts ? sending->attempts : AWS_RETRY_ATTEMPTS };
    for (;;) {
        const struct aws_answer *answer = send_once(run, sending);
        uint32_t delay_ms = sending->pause_ms;
        if (!answer) return AWS_PENDING;
        *response = answer->response;
        retry.attempts++;
        if (!aws_error_read(sending->protocol, response, error)) {
            if (!sending->pause_ms) aws_retry_done(&retry);
            return AWS_FOUND;
        }
        if (!corrected && correct_clock(run, answer, error)) {
            corrected = true;
            continue;
        }
        bool again = sending->pause_ms ? aws_fault_is_retriable(error->fault) &&
                                             retry.attempts < retry.max_attempts
                                       : aws_retry_again(&retry, error, response,
                                                         aws_script_random(run->script), &delay_ms);
        if (!again) return AWS_NOT_HERE;
        if (wait_ms(run, delay_ms) == AWS_PENDING) return AWS_PENDING;
    }
}

/* ---- reading keys ------------------------------------------------------------------------------
 */

static struct slice text_member(const struct json_value *object, const char *name)
{
    const struct json_value *v = name ? json_member(object, slice_str(name)) : NULL;
    return v ? json_string(v) : (struct slice){ 0 };
}

static bool read_expiry(const struct json_value *object, const struct aws_json_names *names,
                        struct aws_credentials *out)
{
    const struct json_value *v = json_member(object, slice_str(names->expiration));
    if (!v || json_type(v) == JSON_NULL) return true;
    if (names->epoch_ms) return json_integer(v, &out->expires_ms) && out->expires_ms > 0;
    return timestamp_from_iso(json_string(v), &out->expires_ms);
}

bool aws_credentials_from_json(const struct json_value *object, const struct aws_json_names *names,
                               int64_t now_ms, struct aws_credentials *out)
{
    struct slice key_id = text_member(object, names->key_id);
    struct slice secret = text_member(object, names->secret);
    struct slice account = text_member(object, names->account);
    if (key_id.len == 0 || secret.len == 0 || !read_expiry(object, names, out)) return false;
    if (!aws_credentials_set(out, key_id, secret, text_member(object, names->token))) return false;
    if (account.len == 12) snprintf(out->account, sizeof out->account, "%.12s", account.at);
    out->issued_ms = now_ms;
    return true;
}

enum aws_found aws_found_until(struct aws_run *run, struct aws_credentials *out)
{
    char when[TIMESTAMP_ISO_BYTES];
    if (out->expires_ms == 0 || out->expires_ms > aws_script_now_ms(run->script)) {
        buf_addf(run->report, "%s: found, %s\n", run->place, out->source);
        return AWS_FOUND;
    }
    timestamp_to_iso(out->expires_ms, when);
    return aws_broken(run, "%s: the credentials expired at %s", out->source, when);
}

/* ---- keys that just lie there ------------------------------------------------------------------
 */

enum aws_found aws_from_environment(struct aws_run *run, struct aws_credentials *out)
{
    const struct aws_env *env = run->settings->env;
    struct slice key_id = aws_env_get(env, "AWS_ACCESS_KEY_ID");
    struct slice secret = aws_env_get(env, "AWS_SECRET_ACCESS_KEY");
    struct slice token = aws_env_get(env, "AWS_SESSION_TOKEN");
    struct slice expires = aws_env_get(env, "AWS_CREDENTIAL_EXPIRATION");
    if (key_id.len == 0) return aws_not_here(run, "AWS_ACCESS_KEY_ID is not set");
    if (secret.len == 0)
        return aws_broken(run, "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not");
    if (token.len == 0) token = aws_env_get(env, "AWS_SECURITY_TOKEN");
    aws_credentials_set(out, key_id, secret, token);
    out->issued_ms = aws_script_now_ms(run->script);
    if (expires.len > 0 && !timestamp_from_iso(expires, &out->expires_ms))
        return aws_broken(run, "AWS_CREDENTIAL_EXPIRATION is not a date");
    snprintf(out->source, sizeof out->source, "environment variables");
    return aws_found_until(run, out);
}

enum aws_found aws_from_profile_keys(struct aws_run *run, struct slice profile,
                                     struct aws_credentials *out)
{
    const struct aws_profiles *p = run->settings->profiles;
    struct slice token = aws_profiles_get(p, AWS_PROFILE, profile, "aws_session_token");
    struct slice account = aws_profiles_get(p, AWS_PROFILE, profile, "aws_account_id");
    if (token.len == 0) token = aws_profiles_get(p, AWS_PROFILE, profile, "aws_security_token");
    aws_credentials_set(out, aws_profiles_get(p, AWS_PROFILE, profile, "aws_access_key_id"),
                        aws_profiles_get(p, AWS_PROFILE, profile, "aws_secret_access_key"), token);
    out->issued_ms = aws_script_now_ms(run->script);
    if (account.len == 12) snprintf(out->account, sizeof out->account, "%.12s", account.at);
    snprintf(out->source, sizeof out->source, "keys of profile %.*s (%s file)",
             profile.len < 64 ? (int)profile.len : 64, profile.at,
             aws_profiles_in_credentials(p, profile, "aws_access_key_id") ? "credentials"
                                                                          : "config");
    return aws_found_until(run, out);
}
