/* main: finds the command and runs it. The only place that ends the program. */
#include "protocol/nearest.h"
#include "proxy/command/command.h"
#include "proxy/sockets.h"

#include <stdio.h>

/* In the order of `commands`. */
static int (*const RUN[])(int argc, char **argv) = {
#define COMMAND(name, synopsis, sentence) command_##name,
#include "proxy/command/command.def"
};

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0) return true;
    return false;
}

static int print_usage(void)
{
    struct buf text = { 0 };
    command_usage(&text);
    return command_print(&text);
}

static int print_help(const struct command *command)
{
    struct buf text = { 0 };
    command_help(command, &text);
    return command_print(&text);
}

static int refuse(const char *name)
{
    struct nearest nearest = { .word = slice_str(name) };
    for (size_t i = 0; i < n_commands; i++) nearest_offer(&nearest, slice_str(commands[i].name));
    fprintf(stderr, "sluice: there is no command \"%s\"", name);
    if (nearest.best.len > 0) fprintf(stderr, "; did you mean \"%.*s\"?", SLICE_ARG(nearest.best));
    fprintf(stderr, "\n`sluice --help` lists them.\n");
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: sluice COMMAND [OPTION...]; `sluice --help` lists the commands.\n");
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) return print_usage();
    if (strcmp(argv[1], "--version") == 0) {
        printf("sluice %s\n", SLUICE_VERSION);
        return STATUS_FINE;
    }
    const struct command *command = command_find(slice_str(argv[1]));
    if (!command) return refuse(argv[1]);
    if (asks_for_help(argc - 1, argv + 1)) return print_help(command);
    sockets_remember(argv);
    return RUN[command - commands](argc - 1, argv + 1);
}
