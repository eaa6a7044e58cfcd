#include "proxy/ops/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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

bool file_is_exposed(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && (file.st_mode & S_IROTH) != 0;
}
