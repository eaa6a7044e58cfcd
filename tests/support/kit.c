#include "support/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILD_CAP = 64, TERM_GRACE_MS = 5000, START_WAIT_MS = 20000 };

struct child {
    pid_t pid;
    bool reaped;
    int status;
};

struct kit {
    char dir[256], root[PATH_MAX], build[PATH_MAX];
    char **paths; /* freed with the kit */
    int path_count, next_port, first_port, last_port;
    struct child children[CHILD_CAP];
    int child_count;
    int janitor; /* the pipe's end that we hold */
    pid_t janitor_pid;
};

static void die(const char *what)
{
    fprintf(stderr, "kit: %s: %s\n", what, strerror(errno));
    exit(99);
}

long long kit_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kit_sleep_ms(int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

/* ---- the janitor
 * --------------------------------------------------------------------------------- It reads one
 * pid_t per event: positive, a child began; negative, that child was reaped. */

static void janitor_main(int pipe_end, const char *dir)
{
    pid_t living[CHILD_CAP] = { 0 };
    pid_t event;
    setsid();
    /* Only the pipe's end of file ends the janitor. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    while (read(pipe_end, &event, sizeof event) == (ssize_t)sizeof event) {
        pid_t find = event > 0 ? 0 : -event;
        for (int at = 0; at < CHILD_CAP; at++)
            if (living[at] == find) {
                living[at] = event > 0 ? event : 0;
                break;
            }
    }
    bool left = false;
    for (int at = 0; at < CHILD_CAP; at++)
        if (living[at]) {
            left = true;
            kill(-living[at], SIGTERM);
            kill(living[at], SIGTERM);
        }
    if (left) kit_sleep_ms(300);
    for (int at = 0; at < CHILD_CAP; at++)
        if (living[at]) kill(-living[at], SIGKILL);
    execlp("rm", "rm", "-rf", dir, (char *)NULL);
    _exit(1);
}

static void janitor_tell(struct kit *k, pid_t event)
{
    if (write(k->janitor, &event, sizeof event) != (ssize_t)sizeof event) die("janitor");
}

/* ---- the kit
 * -------------------------------------------------------------------------------------
 */

struct kit *kit_new(const char *name)
{
    struct kit *k = calloc(1, sizeof *k);
    if (!k) die("memory");
    const char *tmp = getenv("TMPDIR"), *root = getenv("SLUICE_ROOT");
    const char *build = getenv("SLUICE_BUILD"), *ports = getenv("SLUICE_TEST_PORTS");
    if (!realpath(root ? root : ".", k->root)) die("source tree");
    if (!realpath(build ? build : "build", k->build)) die("build directory");
    snprintf(k->dir, sizeof k->dir, "%s/sluice-%s.XXXXXX", tmp ? tmp : "/tmp", name);
    if (!mkdtemp(k->dir) || chmod(k->dir, 0755)) die(k->dir);

    if (!ports || sscanf(ports, "%d-%d", &k->first_port, &k->last_port) != 2) {
        k->first_port = 27000;
        k->last_port = 31999;
    }
    k->next_port = k->first_port + getpid() * 7 % (k->last_port - k->first_port + 1);

    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) die("pipe");
    fflush(NULL);
    k->janitor_pid = fork();
    if (k->janitor_pid < 0) die("fork");
    if (!k->janitor_pid) {
        close(ends[1]);
        janitor_main(ends[0], k->dir);
    }
    close(ends[0]);
    k->janitor = ends[1];
    return k;
}

void kit_free(struct kit *k)
{
    if (!k) return;
    for (int at = k->child_count - 1; at >= 0; at--)
        if (!k->children[at].reaped) kit_stop(k, k->children[at].pid, SIGTERM, TERM_GRACE_MS);
    close(k->janitor); /* it removes the directory */
    waitpid(k->janitor_pid, NULL, 0);
    for (int at = 0; at < k->path_count; at++) free(k->paths[at]);
    free(k->paths);
    free(k);
}

const char *kit_dir(const struct kit *k) { return k->dir; }

static const char *remember(struct kit *k, char *path)
{
    char **grown = realloc(k->paths, (size_t)(k->path_count + 1) * sizeof *grown);
    if (!path || !grown) die("memory");
    k->paths = grown;
    k->paths[k->path_count++] = path;
    return path;
}

static const char *join(struct kit *k, const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0) die("memory");
    return remember(k, path);
}

const char *kit_path(struct kit *k, const char *format, ...)
{
    char name[512];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return join(k, k->dir, name);
}

const char *kit_source(struct kit *k, const char *path) { return join(k, k->root, path); }
const char *kit_built(struct kit *k, const char *path) { return join(k, k->build, path); }

const char *kit_file(struct kit *k, const char *name, const char *content)
{
    const char *path = join(k, k->dir, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(content, f) < 0 || fclose(f)) die(path);
    return path;
}

char *kit_read(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', f) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(f);
    return text;
}

/* ---- ports
 * ---------------------------------------------------------------------------------------
 */

static bool port_answers(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0) close(fd);
    return yes;
}

int kit_port(struct kit *k)
{
    for (int tries = k->first_port; tries <= k->last_port; tries++) {
        int port = k->next_port++;
        if (k->next_port > k->last_port) k->next_port = k->first_port;
        if (!port_answers(port)) return port;
    }
    errno = EADDRINUSE;
    die("ports");
    return 0;
}

/* ---- children
 * ------------------------------------------------------------------------------------
 */

static struct child *child_of(struct kit *k, pid_t pid)
{
    for (int at = 0; at < k->child_count; at++)
        if (k->children[at].pid == pid) return &k->children[at];
    errno = ECHILD;
    die("not a child of this kit");
    return NULL;
}

static struct child *child_slot(struct kit *k)
{
    for (int at = 0; at < k->child_count; at++)
        if (k->children[at].reaped) return &k->children[at];
    if (k->child_count == CHILD_CAP) {
        errno = EAGAIN;
        die("too many children");
    }
    return &k->children[k->child_count++];
}

pid_t kit_start(struct kit *k, const char *log_name, const char *const argv[])
{
    const char *log = kit_path(k, "%s", log_name);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) die("fork");
    if (!pid) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(99);
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666), in = open("/dev/null", O_RDONLY);
        if (out < 0 || in < 0) _exit(99);
        dup2(in, 0);
        dup2(out, 1);
        dup2(out, 2);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    setpgid(pid, pid); /* whoever is first */
    *child_slot(k) = (struct child){ .pid = pid };
    janitor_tell(k, pid);
    return pid;
}

static void reap(struct kit *k, struct child *c, int options)
{
    if (c->reaped || waitpid(c->pid, &c->status, options) != c->pid) return;
    c->reaped = true;
    janitor_tell(k, -c->pid);
}

bool kit_is_running(struct kit *k, pid_t pid)
{
    struct child *c = child_of(k, pid);
    reap(k, c, WNOHANG);
    return !c->reaped;
}

int kit_stop(struct kit *k, pid_t pid, int signal, int wait_ms)
{
    struct child *c = child_of(k, pid);
    long long until = kit_now_ms() + wait_ms;
    if (signal && kit_is_running(k, pid)) kill(pid, signal);
    while (kit_is_running(k, pid) && kit_now_ms() < until) kit_sleep_ms(10);
    if (!c->reaped) {
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        reap(k, c, 0);
    }
    return c->status;
}

int kit_run(struct kit *k, const char *log_name, const char *const argv[])
{
    pid_t pid = kit_start(k, log_name, argv);
    struct child *c = child_of(k, pid);
    reap(k, c, 0);
    return c->status;
}

void kit_print_log(struct kit *k, const char *log_name, FILE *to)
{
    char *text = kit_read(kit_path(k, "%s", log_name));
    size_t len = text ? strlen(text) : 0, from = len > 4000 ? len - 4000 : 0;
    fprintf(to, "---- %s\n%s----\n", log_name, text ? text + from : "(no log)\n");
    free(text);
}

bool kit_wait_port(struct kit *k, pid_t pid, const char *log_name, int port)
{
    long long until = kit_now_ms() + START_WAIT_MS;
    while (kit_is_running(k, pid) && kit_now_ms() < until) {
        if (port_answers(port)) return true;
        kit_sleep_ms(20);
    }
    fprintf(stderr, "kit: nothing answers on port %d (%s)\n", port,
            kit_is_running(k, pid) ? "in time" : "the process ended");
    kit_print_log(k, log_name, stderr);
    return false;
}
