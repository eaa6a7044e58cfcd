#include "proxy/command/command.h"

#include "proxy/config_origin.h"
#include "proxy/ops/config.h"
#include "proxy/ops/env_file.h"
#include "proxy/route_world.h"

#include <stdio.h>
#include <stdlib.h>

struct look {
    const struct env_file *env;
    struct problems *problems;
};

/* A variable that is not set here may be set where the proxy runs: a warning. */
static void look_for_variable(void *arg, const char *path, struct secret_ref *ref)
{
    const struct look *look = arg;
    (void)path;
    if (ref->kind == SECRET_ENV && !env_file_get(look->env, ref->text))
        problem_warning(look->problems, ref->line, "the variable %s is not set", ref->text);
}

static void print(const struct problems *problems, const char *path)
{
    struct buf text = { 0 };
    problems_print(problems, path, &text);
    command_print(&text);
}

/* The problems of a routing document, when it is in a file. Returns the errors. */
static size_t check_routes(struct config *config, const char *path)
{
    struct problems problems = { 0 };
    struct route_world world;
    if (!path) return 0;
    if (route_world_init(&world, config))
        route_table_unref(route_world_load(&world, path, &problems));
    else
        problem_error(&problems, 0, "out of memory");
    route_world_fini(&world);
    print(&problems, path);
    size_t errors = problems.errors;
    problems_fini(&problems);
    return errors;
}

/* The problems of the configuration, then those of the files that it names. */
static size_t check(const char *path)
{
    struct problems problems = { 0 }, env_problems = { 0 };
    struct env_file *env = NULL;
    struct config *config = config_origin_load(path, NULL, &problems);
    if (config && config->env_file) env = env_file_load(config->env_file, &env_problems);
    struct look look = { env, &problems };
    if (config) config_each_secret(config, look_for_variable, &look);
    problems_sort(&problems);
    print(&problems, path);
    if (config && config->env_file) print(&env_problems, config->env_file);
    size_t errors = problems.errors + env_problems.errors;
    if (config) errors += check_routes(config, route_world_path(config));
    if (config) errors += check_routes(config, config->routes.shadow);
    env_file_free(env);
    config_unref(config);
    problems_fini(&env_problems);
    problems_fini(&problems);
    return errors;
}

int command_check(int argc, char **argv)
{
    struct options_check options;
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    if (check(options.config) > 0) return STATUS_NOT_FINE;
    if (!options.quiet) printf("%s: fine\n", options.config);
    return STATUS_FINE;
}
