#include "proxy/ops/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool file_read(const char *path, size_t cap_bytes, struct buf *out, struct err *err)
{
    if (!buf_reserve(out, cap_bytes + 1)) return err_set(err, ERR_OUT_OF_MEMORY, "out of memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(err, ERR_CONFIG, "%s", strerror(errno));
    uint32_t start = out->len;
    ssize_t n = 1;
    while (n > 0 && out->len - start <= cap_bytes) {
        n = read(fd, out->at + out->len, cap_bytes + 1 - (out->len - start));
        if (n > 0) out->len += (uint32_t)n;
    }
    bool ok = n >= 0 && out->len - start <= cap_bytes;
    if (n < 0)
        err_set(err, ERR_CONFIG, "%s", strerror(errno));
    else if (!ok)
        err_set(err, ERR_CONFIG, "more than %zu bytes", cap_bytes);
    close(fd);
    return ok;
}

static bool write_all(int fd, struct slice content)
{
    for (size_t at = 0; at < content.len;) {
        ssize_t n = write(fd, content.at + at, content.len - at);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) at += (size_t)n;
    }
    return fsync(fd) == 0;
}

static bool write_file(const char *path, struct slice content, int flags, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode);
    if (fd < 0) return false;
    bool ok = write_all(fd, content);
    return close(fd) == 0 && ok;
}

bool file_replace(const char *path, struct slice content, unsigned mode, struct err *err)
{
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.new", path);
    if (n < 0 || n >= (int)sizeof beside) return err_set(err, ERR_CONFIG, "the name is too long");
    if (write_file(beside, content, O_TRUNC, mode) && rename(beside, path) == 0) return true;
    return err_set(err, ERR_CONFIG, "%s", strerror(errno));
}

bool file_append(const char *path, struct slice piece, unsigned mode, struct err *err)
{
    if (write_file(path, piece, O_APPEND, mode)) return true;
    return err_set(err, ERR_CONFIG, "%s", strerror(errno));
}

bool file_is_exposed(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && (file.st_mode & S_IROTH) != 0;
}

int64_t file_age_s(const char *path)
{
    struct stat file;
    int64_t now = time(NULL);
    return stat(path, &file) == 0 && file.st_mtime < now ? now - file.st_mtime : 0;
}
