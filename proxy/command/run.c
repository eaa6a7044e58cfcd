#include "proxy/command/command.h"

#include "proxy/control.h"

#include <stdio.h>
#include <unistd.h>

static void print_problems(const struct problems *problems, const char *path)
{
    struct buf text = { 0 };
    problems_print(problems, path, &text);
    if (text.len) fwrite(text.at, 1, text.len, stderr);
    buf_fini(&text);
}

int command_run(int argc, char **argv)
{
    struct options_run options;
    struct problems problems = { 0 };
    struct log log;
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    struct config *config = config_load(options.config, &problems);
    problems_sort(&problems);
    print_problems(&problems, options.config);
    problems_fini(&problems);
    if (!config) return STATUS_NOT_FINE;
    log_init(&log, STDERR_FILENO);
    return control_run(config, &log) == 0 ? STATUS_FINE : STATUS_NOT_FINE;
}
