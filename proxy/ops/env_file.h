/* env_file: variables from a `.env` file, behind those of the environment.
 *
 *     # a comment
 *     NAME=value            what follows " #" is a comment; blanks around `=` and at the end are
 * dropped export NAME='value'   single quotes: every byte as it is NAME="a\nb"           double
 * quotes: \n \r \t \\ \" \$; nothing is expanded, anywhere
 *
 * The environment always wins, so that a deployment can override the file. The file's values
 * may be secrets: they are wiped in the end. Immutable once read; any thread may ask.
 */
#ifndef SLUICE_PROXY_OPS_ENV_FILE_H
#define SLUICE_PROXY_OPS_ENV_FILE_H

#include "protocol/problem.h"
#include "protocol/slice.h"

enum { ENV_FILE_CAP_BYTES = 1 << 20 };

struct env_file;

/* Reads the text; every line that is not understood is a problem with its line, the others count.
 * NULL only when memory ran out. A name that stands twice has its last value. */
struct env_file *env_file_parse(struct slice text, struct problems *problems);

/* Reads a file; NULL and a problem when that is not possible. That others can read it is a warning.
 */
struct env_file *env_file_load(const char *path, struct problems *problems);

/* The variable's value, from the environment or else from the file (NULL: no file); NULL when it
 * is in neither. Borrowed: until the file is freed, or the environment changed. */
const char *env_file_get(const struct env_file *file, const char *name);

/* Puts what AWS's tools and HTTP clients look for (AWS_..., https_proxy, http_proxy, no_proxy, in
 * either case) into the process's environment, where it is not there already. Before there are
 * threads. NULL is fine. */
void env_file_export(const struct env_file *file);

/* The same for the file at `path` (NULL is fine), whose problems others tell. */
void env_file_export_from(const char *path);

void env_file_free(struct env_file *file);

#endif
