#include "proxy/aws_feed.h"

#include "proxy/ops/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    FILE_CAP_BYTES = 1 << 20,
    OUTPUT_CAP_BYTES = 64 * 1024,
    PROGRAM_LIMIT_MS = 60 * 1000,
    MAX_WORDS = 64,
};

int64_t aws_feed_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A question's path as a C string; NULL when it has a NUL inside, or no memory is left. */
static char *path_of(const struct aws_ask *ask)
{
    if (ask->path.len == 0 || memchr(ask->path.at, 0, ask->path.len)) return NULL;
    return strndup(ask->path.at, ask->path.len);
}

static enum aws_outcome outcome_of(int error)
{
    if (error == ENOENT || error == ENOTDIR) return AWS_NOT_THERE;
    return error == EACCES || error == EPERM ? AWS_FORBIDDEN : AWS_DONE_BADLY;
}

static enum aws_outcome read_path(const char *path, struct buf *text)
{
    struct err ignored;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return outcome_of(errno);
    close(fd);
    return file_read(path, FILE_CAP_BYTES, text, &ignored) ? AWS_DONE_WELL : AWS_DONE_BADLY;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes = slice_after(bytes, (size_t)n);
    }
    return true;
}

/* A reader sees the old file or the new one, never a half of it, also after a power cut. */
static enum aws_outcome replace_path(const char *path, struct slice content)
{
    struct buf temporary = { 0 };
    buf_addf(&temporary, "%s.XXXXXX", path);
    buf_add_u8(&temporary, 0);
    if (temporary.failed) return AWS_DONE_BADLY;
    int fd = mkostemp(temporary.at, O_CLOEXEC); /* creates with mode 0600 */
    enum aws_outcome outcome = fd < 0 ? outcome_of(errno) : AWS_DONE_WELL;
    if (fd >= 0) {
        bool ok = write_all(fd, content) && fsync(fd) == 0;
        ok = close(fd) == 0 && ok && rename(temporary.at, path) == 0;
        if (!ok) {
            outcome = AWS_DONE_BADLY;
            unlink(temporary.at);
        }
    }
    buf_fini(&temporary);
    return outcome;
}

/* ---- programs ---------------------------------------------------------------------------------*/

static bool split_argv(const struct buf *words, char *argv[MAX_WORDS + 1])
{
    size_t count = 0;
    for (uint32_t i = 0; i < words->len; i += (uint32_t)strlen(words->at + i) + 1) {
        if (count == MAX_WORDS) return false;
        argv[count++] = words->at + i;
    }
    argv[count] = NULL;
    return count > 0 && words->at[words->len - 1] == 0;
}

/* Until the end of the output, the cap, or the time: false for the last two. */
static bool read_output(int fd, struct buf *text)
{
    int64_t until_ms = monotonic_ms() + PROGRAM_LIMIT_MS;
    if (!buf_reserve(text, OUTPUT_CAP_BYTES + 1)) return false;
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        int64_t left_ms = until_ms - monotonic_ms();
        if (left_ms <= 0 || text->len > OUTPUT_CAP_BYTES) return false;
        if (poll(&ready, 1, (int)left_ms) <= 0) continue;
        ssize_t n = read(fd, text->at + text->len, text->cap - text->len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n == 0;
        text->len += (uint32_t)n;
    }
}

static enum aws_outcome run_program(const struct aws_ask *ask, struct buf *text)
{
    char *argv[MAX_WORDS + 1];
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (!split_argv(&ask->path, argv) || pipe2(ends, O_CLOEXEC) != 0) return AWS_DONE_BADLY;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1],
                                     1); /* stderr stays ours: it is for humans */
    int error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    bool ok = error == 0 && read_output(ends[0], text);
    close(ends[0]);
    if (error != 0) return outcome_of(error);
    int status = 0;
    if (!ok) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return ok && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? AWS_DONE_WELL : AWS_DONE_BADLY;
}

/* ---- answering
 * ----------------------------------------------------------------------------------*/

static void wait_until(int64_t until_ms)
{
    int64_t left_ms = until_ms - aws_feed_now_ms();
    struct timespec pause = { .tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000 };
    if (left_ms > 0)
        while (nanosleep(&pause, &pause) != 0 && errno == EINTR) continue;
}

enum aws_outcome aws_feed_do(const struct aws_ask *ask, struct buf *text)
{
    enum aws_outcome outcome = AWS_DONE_BADLY;
    char *path = ask->kind == AWS_ASK_READ || ask->kind == AWS_ASK_WRITE ? path_of(ask) : NULL;
    if (ask->kind == AWS_ASK_READ && path) outcome = read_path(path, text);
    if (ask->kind == AWS_ASK_WRITE && path) outcome = replace_path(path, buf_slice(&ask->content));
    if (ask->kind == AWS_ASK_RUN) outcome = run_program(ask, text);
    if (ask->kind == AWS_ASK_WAIT) {
        wait_until(ask->until_ms);
        outcome = AWS_DONE_WELL;
    }
    free(path);
    return outcome;
}

static void answer(struct aws_chain *chain, const struct aws_ask *ask)
{
    struct buf text = { .secret = true };
    enum aws_outcome outcome = aws_feed_do(ask, &text);
    aws_chain_answer_outcome(chain, outcome, buf_slice(&text), aws_feed_now_ms());
    buf_fini(&text);
}

static void refuse_http(struct aws_chain *chain)
{
    struct aws_response none = { .failure = AWS_HTTP_OFFLINE };
    aws_chain_answer_http(chain, &none, aws_feed_now_ms());
}

bool aws_feed(struct aws_chain *chain, const struct aws_feed *feed)
{
    const struct aws_ask *ask;
    while ((ask = aws_chain_step(chain))) {
        if (ask->kind != AWS_ASK_HTTP)
            answer(chain, ask);
        else if (feed->send)
            feed->send(feed->context, &ask->request, chain);
        else
            refuse_http(chain);
    }
    return aws_chain_credentials(chain) != NULL;
}
