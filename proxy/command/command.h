/* command: the command line as a table.
 *
 * command.def lists commands and options; this turns the list into structs, help and a parser.
 * A command is a function of its own file in this directory and writes to stdout and stderr.
 */
#ifndef SLUICE_PROXY_COMMAND_COMMAND_H
#define SLUICE_PROXY_COMMAND_COMMAND_H

#include "protocol/buf.h"
#include "protocol/slice.h"

enum { STATUS_FINE = 0, STATUS_NOT_FINE = 1, STATUS_USAGE = 2 };

struct option {
    const char *name;     /* "config", given as --config FILE or --config=FILE */
    const char *argument; /* "FILE"; NULL: a switch */
    const char *sentence;
};

struct command {
    const char *name, *synopsis, *sentence;
    const struct option *options;
    size_t n_options;
};

/* In the order of command.def. */
extern const struct command commands[];
extern const size_t n_commands;

/* What a command was given; NULL: not given; a switch that was given: "". */
#define COMMAND(name, synopsis, sentence)         struct options_##name {
#define OPTION(command, name, argument, sentence) const char *name;
#define END(command)                                                                               \
    }                                                                                              \
    ;
#include "proxy/command/command.def"

#define COMMAND(name, synopsis, sentence) int command_##name(int argc, char **argv);
#include "proxy/command/command.def"

/* NULL when there is no such command. */
const struct command *command_find(struct slice name);

/* Reads argv[1..] of the command argv[0]. `options` is its struct options_NAME. What is no option,
 * at most `max_words`, is moved to argv[1] and on, and its number returned. After wrong usage -1:
 * it was said on stderr, and the command returns STATUS_USAGE. */
int command_parse(int argc, char **argv, void *options, int max_words);

/* Says on stderr what is wrong with the usage of a command, and returns STATUS_USAGE. */
int command_misused(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --help of the program, of one command. */
void command_usage(struct buf *out);
void command_help(const struct command *command, struct buf *out);

/* Writes all of it to stdout: STATUS_FINE, or STATUS_NOT_FINE when that failed. Frees `text`. */
int command_print(struct buf *text);

#endif
