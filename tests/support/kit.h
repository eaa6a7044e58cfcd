/* kit: what a test program needs of the world: a directory, ports, child processes.
 *
 * Everything is gone when the program is, however it ends: a janitor process holds
 * the other end of a pipe, knows the children by name, and cleans up at its end of
 * file. So an abort, a sanitizer's report or a SIGKILL leaves nothing behind.
 *
 * Not thread-safe; made for one test program, which owns one kit.
 */
#ifndef SLUICE_TESTS_KIT_H
#define SLUICE_TESTS_KIT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct kit;

/* A fresh directory with `name` in its name. Never NULL: exits the program when the machine
 * can not even do that. */
struct kit *kit_new(const char *name);

/* Ends the children (SIGTERM, then SIGKILL after 5 s) and removes the directory. */
void kit_free(struct kit *k);

/* The directory; and a path in it, printf-like, that lives as long as the kit. */
const char *kit_dir(const struct kit *k);
const char *kit_path(struct kit *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a file into the directory; its path. */
const char *kit_file(struct kit *k, const char *name, const char *content);

/* The whole of a file as a string, to be freed; NULL: there is none. */
char *kit_read(const char *path);

/* A port on 127.0.0.1 that nobody listens on; another one at each call. */
int kit_port(struct kit *k);

/* Starts argv[0] (a path, or found in PATH) with stdin from /dev/null and both outputs in
 * `log_name` in the directory. 0: it could not be started (said on stderr). */
pid_t kit_start(struct kit *k, const char *log_name, const char *const argv[]);

/* Until 127.0.0.1:port answers; false when the child ends first or after 20 s, which then says
 * the end of its log on stderr. */
bool kit_wait_port(struct kit *k, pid_t pid, const char *log_name, int port);

/* Sends `signal` (0: none), waits up to `wait_ms`, then SIGKILL. Returns wait's status. */
int kit_stop(struct kit *k, pid_t pid, int signal, int wait_ms);

/* Is the child still running? Once false, kit_stop yields the status. */
bool kit_is_running(struct kit *k, pid_t pid);

/* Runs to its end, with a log as above; wait's status. */
int kit_run(struct kit *k, const char *log_name, const char *const argv[]);

void kit_print_log(struct kit *k, const char *log_name, FILE *to);

/* A path in the source tree (SLUICE_ROOT, else the working directory) or the build directory
 * (SLUICE_BUILD, else build/ of the tree). */
const char *kit_source(struct kit *k, const char *path);
const char *kit_built(struct kit *k, const char *path);

/* Milliseconds of the monotonic clock; a pause. */
long long kit_now_ms(void);
void kit_sleep_ms(int ms);

#endif
