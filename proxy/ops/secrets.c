#include "proxy/ops/secrets.h"

#include "auth/secret.h"
#include "proxy/ops/env_file.h"
#include "proxy/ops/file.h"

#include <stdio.h>
#include <string.h>

bool secret_needs_aws(const struct secret_ref *ref)
{
    return ref->kind == SECRET_SSM || ref->kind == SECRET_SECRETSMANAGER;
}

/* An editor ends a file with a newline, which no password has. */
static void strip_newline(struct buf *out, uint32_t start)
{
    if (out->len > start && out->at[out->len - 1] == '\n') out->len--;
    if (out->len > start && out->at[out->len - 1] == '\r') out->len--;
}

bool secret_resolve(const struct secret_ref *ref, const struct env_file *env, struct buf *out,
                    struct err *err)
{
    uint32_t start = out->len;
    const char *value;
    struct err why;
    switch (ref->kind) {
    case SECRET_ABSENT: return err_set(err, ERR_CONFIG, "there is no secret");
    case SECRET_ENV:
        value = env_file_get(env, ref->text);
        if (!value) return err_set(err, ERR_CONFIG, "env:%s is not set", ref->text);
        buf_add_str(out, value);
        break;
    case SECRET_FILE:
        if (!file_read(ref->text, SECRET_CAP_BYTES, out, &why))
            return err_set(err, ERR_CONFIG, "file:%s: %s", ref->text, why.message);
        strip_newline(out, start);
        break;
    case SECRET_SSM:
    case SECRET_SECRETSMANAGER:
        if (!ref->fetched)
            return err_set(err, ERR_CONFIG, "%s:%s must be fetched from AWS first",
                           ref->kind == SECRET_SSM ? "ssm" : "secretsmanager", ref->text);
        buf_add_slice(out, secret_bytes(ref->fetched));
        break;
    case SECRET_VERIFIER:
    case SECRET_PLAIN: buf_add_str(out, ref->text); break;
    }
    if (out->failed) return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    if (out->len == start) {
        char name[128];
        return err_set(err, ERR_CONFIG, "%s is empty", secret_describe(ref, name, sizeof name));
    }
    return true;
}

static const char *verifier_name(const char *verifier)
{
    struct slice text = slice_str(verifier);
    return slice_starts(text, "SCRAM") ? "SCRAM-SHA-256"
           : slice_starts(text, "md5") ? "md5"
                                       : "sha256";
}

const char *secret_describe(const struct secret_ref *ref, char *text, size_t cap_bytes)
{
    switch (ref->kind) {
    case SECRET_ABSENT: snprintf(text, cap_bytes, "(none)"); break;
    case SECRET_ENV: snprintf(text, cap_bytes, "env:%s", ref->text); break;
    case SECRET_FILE: snprintf(text, cap_bytes, "file:%s", ref->text); break;
    case SECRET_SSM: snprintf(text, cap_bytes, "ssm:%s", ref->text); break;
    case SECRET_SECRETSMANAGER: snprintf(text, cap_bytes, "secretsmanager:%s", ref->text); break;
    case SECRET_VERIFIER:
        snprintf(text, cap_bytes, "(%s verifier)", verifier_name(ref->text));
        break;
    case SECRET_PLAIN: snprintf(text, cap_bytes, "(given)"); break;
    }
    return text;
}
