/* manual: the manual page and the shell's completion, made of the table of commands. */
#ifndef SLUICE_PROXY_COMMAND_MANUAL_H
#define SLUICE_PROXY_COMMAND_MANUAL_H

#include "protocol/buf.h"

/* sluice(1), for man: troff with the man macros. */
void manual_page(struct buf *out);

/* A completion script for bash (and zsh with bashcompinit). */
void manual_completion(struct buf *out);

#endif
