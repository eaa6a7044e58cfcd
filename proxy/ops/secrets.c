#include "proxy/ops/secrets.h"

#include "proxy/ops/env_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool secret_needs_aws(const struct secret_ref *ref)
{
    return ref->kind == SECRET_SSM || ref->kind == SECRET_SECRETSMANAGER;
}

bool secret_file_is_exposed(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && (file.st_mode & S_IROTH) != 0;
}

/* Straight from the descriptor: stdio would keep a copy in a buffer that nobody wipes. */
static bool read_file(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(err, ERR_CONFIG, "file:%s: %s", path, strerror(errno));
    /* Room for one byte too many, taken at once: growing would leave a copy behind. */
    bool ok = buf_reserve(out, SECRET_CAP_BYTES + 1);
    uint32_t start = out->len;
    ssize_t n = 1;
    while (ok && n > 0 && out->len - start <= SECRET_CAP_BYTES) {
        n = read(fd, out->at + out->len, SECRET_CAP_BYTES + 1 - (out->len - start));
        if (n > 0) out->len += (uint32_t)n;
    }
    if (!ok)
        err_set(err, ERR_OUT_OF_MEMORY, "file:%s: out of memory", path);
    else if (n < 0)
        ok = err_set(err, ERR_CONFIG, "file:%s: %s", path, strerror(errno));
    else if (out->len - start > SECRET_CAP_BYTES)
        ok = err_set(err, ERR_CONFIG, "file:%s: more than %d bytes", path, SECRET_CAP_BYTES);
    close(fd);
    return ok;
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
    switch (ref->kind) {
    case SECRET_ABSENT: return err_set(err, ERR_CONFIG, "there is no secret");
    case SECRET_ENV:
        value = env_file_get(env, ref->text);
        if (!value) return err_set(err, ERR_CONFIG, "env:%s is not set", ref->text);
        buf_add_str(out, value);
        break;
    case SECRET_FILE:
        if (!read_file(ref->text, out, err)) return false;
        strip_newline(out, start);
        break;
    case SECRET_SSM:
        return err_set(err, ERR_CONFIG, "ssm:%s must be fetched from AWS first", ref->text);
    case SECRET_SECRETSMANAGER:
        return err_set(err, ERR_CONFIG, "secretsmanager:%s must be fetched from AWS first",
                       ref->text);
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
