#include "proxy/command/command.h"

#include "proxy/config_origin.h"
#include "proxy/control.h"
#include "proxy/ops/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_problems(struct problems *problems, const char *path)
{
    struct buf text = { 0 };
    problems_sort(problems);
    problems_print(problems, path, &text);
    if (text.len) fwrite(text.at, 1, text.len, stderr);
    buf_fini(&text);
}

/* Only what comes from AWS is kept: --saved, or in the directory that systemd gave us. */
static const char *saved_path(const struct options_run *options, char *room, size_t size)
{
    const char *state = getenv("STATE_DIRECTORY");
    if (!config_origin_is_remote(options->config)) return NULL;
    if (options->saved) return options->saved;
    if (!state || !*state) return NULL;
    int n = snprintf(room, size, "%.*s/config.json", (int)strcspn(state, ":"), state);
    return n > 0 && (size_t)n < size ? room : NULL;
}

/* The last good one, while the source is away or bad. */
static struct config *load_saved(const char *name, const char *saved, struct log *log)
{
    struct problems problems = { 0 };
    struct buf text = { .secret = true };
    struct err err;
    struct config *config = NULL;
    if (file_read(saved, CONFIG_CAP_BYTES, &text, &err))
        config = config_origin_parse(name, buf_slice(&text), &problems);
    else
        problem_error(&problems, 0, "cannot read: %s", err.message);
    buf_wipe(&text);
    print_problems(&problems, saved);
    problems_fini(&problems);
    if (config)
        log_event(log, EVENT_config_from_saved, LOG_TEXT("file", saved),
                  LOG_I64("age_s", file_age_s(saved)), LOG_TEXT("instead_of", name), LOG_END);
    return config;
}

int command_run(int argc, char **argv)
{
    struct options_run options;
    struct problems problems = { 0 };
    char room[4096];
    struct log log;
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    log_init(&log, STDERR_FILENO);
    struct control_start start = { .saved = saved_path(&options, room, sizeof room) };
    struct config *config = config_origin_load(options.config, NULL, &problems);
    print_problems(&problems, options.config);
    problems_fini(&problems);
    if (!config && start.saved) {
        config = load_saved(options.config, start.saved, &log);
        start.is_saved = true;
    }
    if (!config) return STATUS_NOT_FINE;
    return control_run(config, &start, &log) == 0 ? STATUS_FINE : STATUS_NOT_FINE;
}
