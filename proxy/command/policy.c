#include "auth/grants.h"
#include "proxy/command/command.h"
#include "proxy/command/policy_jsonl.h"
#include "proxy/command/policy_sql.h"
#include "proxy/config_origin.h"
#include "proxy/ops/config.h"
#include "proxy/role.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- policy test --jsonl ------------------------------------------------------------------- */

/* One answer per line, at once, so that a program can talk to us. */
static int test_lines(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int status = STATUS_FINE;
    struct buf out = { 0 };
    while ((len = getline(&line, &cap, stdin)) > 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
        if (!policy_jsonl_judge(slice_of(line, (size_t)len), &out)) status = STATUS_NOT_FINE;
        buf_add_u8(&out, '\n');
        fwrite(out.at, 1, out.len, stdout);
        fflush(stdout);
        buf_truncate(&out, 0);
    }
    buf_fini(&out);
    free(line);
    return ferror(stdin) || ferror(stdout) ? STATUS_NOT_FINE : status;
}

/* ---- with a configuration ------------------------------------------------------------------ */

/* Both are named and there, or it was said what is wrong. The configuration is the caller's. */
static const struct config_role *find_role(const struct options_policy *options,
                                           struct config **config)
{
    struct problems problems = { 0 };
    const struct config_role *role = NULL;
    *config = config_origin_look(options->config, &problems);
    if (*config) {
        role = config_role(*config, slice_str(options->role));
        if (!role) fprintf(stderr, "sluice policy: no role \"%s\"\n", options->role);
    } else {
        struct buf text = { 0 };
        problems_print(&problems, options->config, &text);
        fprintf(stderr, "%.*s", SLICE_ARG(buf_slice(&text)));
        buf_fini(&text);
    }
    problems_fini(&problems);
    return role;
}

static void read_stdin(struct buf *out)
{
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) buf_add(out, chunk, n);
}

static int print_verdict(const struct grants *grants, const struct verdict *verdict)
{
    struct buf text = { 0 };
    struct err err;
    if (verdict->allow) {
        buf_addf(&text, "allow: %s\n", grants_reason_sentence(verdict->reason));
        return command_print(&text);
    }
    grants_explain(grants, verdict, &err);
    buf_addf(&text, "deny: %s\n  sqlstate %s, reason %s", err.message, err_sqlstate(err.code),
             grants_reason_code(verdict->reason));
    if (err.position) buf_addf(&text, ", at character %u", err.position);
    buf_add_str(&text, "\n");
    if (err.hint[0]) buf_addf(&text, "  hint: %s\n", err.hint);
    command_print(&text);
    return STATUS_NOT_FINE;
}

static int test_statement(const struct config_role *role, struct slice sql)
{
    struct err err;
    struct verdict verdict;
    struct grants *grants = role_compile(role, 0, 0, (struct map_seed){ 0 }, &err);
    if (!grants) {
        fprintf(stderr, "sluice policy: %s\n", err.message);
        return STATUS_NOT_FINE;
    }
    grants_decide(grants, NULL, sql, &verdict);
    const int status = print_verdict(grants, &verdict);
    grants_free(grants);
    return status;
}

static int test_one(const struct options_policy *options, const char *sql)
{
    struct config *config;
    struct buf text = { 0 };
    int status = STATUS_NOT_FINE;
    const struct config_role *role = find_role(options, &config);
    if (role && !sql) read_stdin(&text);
    if (role) status = test_statement(role, sql ? slice_str(sql) : buf_slice(&text));
    buf_fini(&text);
    config_unref(config);
    return status;
}

static int print_grants(const struct options_policy *options)
{
    struct config *config;
    struct buf text = { 0 };
    int status = STATUS_NOT_FINE;
    const struct config_role *role = find_role(options, &config);
    if (role) {
        policy_sql(role, options->db_user, &text);
        status = command_print(&text);
    }
    config_unref(config);
    return status;
}

int command_policy(int argc, char **argv)
{
    struct options_policy options;
    const int words = command_parse(argc, argv, &options, 2);
    if (words < 0) return STATUS_USAGE;
    const struct slice what = slice_str(words > 0 ? argv[1] : "");
    const bool grants = slice_is(what, "grants");
    if (!grants && !slice_is(what, "test")) return command_misused(argv[0], "say test or grants");
    if (options.jsonl) {
        if (grants || words > 1 || options.config || options.role || options.db_user)
            return command_misused(argv[0], "--jsonl goes with test and nothing else");
        return test_lines();
    }
    if (!options.config) return command_misused(argv[0], "--config FILE is missing");
    if (!options.role) return command_misused(argv[0], "--role ROLE is missing");
    if (!grants && options.db_user) return command_misused(argv[0], "--db-user goes with grants");
    if (!grants) return test_one(&options, words > 1 ? argv[2] : NULL);
    if (words > 1) return command_misused(argv[0], "unexpected \"%s\"", argv[2]);
    if (!options.db_user) return command_misused(argv[0], "--db-user NAME is missing");
    return print_grants(&options);
}
