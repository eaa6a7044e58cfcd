/* token: `sluice token --server-id ID [--region R] [--profile P]`.
 *
 * Prints a password for one login: the keys that this machine has already, and an
 * HMAC over them. Where the keys lie in the environment or in a file, as they do in
 * a Lambda function, no packet is sent.
 */
#include "proxy/command/command.h"

#include "auth/iam_token.h"
#include "proxy/aws_feed.h"
#include "proxy/random.h"

#include <stdio.h>
#include <unistd.h>

extern char **environ;

static int refuse(const struct err *err, struct slice report)
{
    fprintf(stderr, "sluice token: %s\n", err->message);
    if (err->hint[0]) fprintf(stderr, "  %s\n", err->hint);
    if (report.len > 0) fprintf(stderr, "looked at:\n%.*s", SLICE_ARG(report));
    return STATUS_NOT_FINE;
}

static int print_token(const struct options_token *options, const struct aws_chain *chain)
{
    const struct aws_settings *settings = aws_chain_settings(chain);
    struct iam_token_order order = { .server_id = slice_str(options->server_id),
                                     .region = slice_str(aws_chain_region(chain)),
                                     .fips = settings->fips,
                                     .dual_stack = settings->dual_stack,
                                     .now_ms = aws_feed_now_ms() };
    struct buf token = { .secret = true };
    struct err err = { 0 };
    if (!iam_token_mint(&order, aws_chain_credentials(chain), &token, &err)) {
        buf_fini(&token);
        return refuse(&err, (struct slice){ 0 });
    }
    buf_add_str(&token, "\n");
    return command_print(&token);
}

int command_token(int argc, char **argv)
{
    struct options_token options;
    if (command_parse(argc, argv, &options, 0) < 0) return STATUS_USAGE;
    if (!options.server_id) return command_misused(argv[0], "--server-id ID is missing");
    if (!iam_server_id_is_valid(slice_str(options.server_id)))
        return command_misused(argv[0], "a server id is %d to 128 visible characters",
                               IAM_SERVER_ID_MIN_BYTES);

    char host[65] = "host", session[100];
    gethostname(host, sizeof host - 1);
    snprintf(session, sizeof session, "sluice-%s-%d", host, (int)getpid());
    struct aws_chain_config config = { .env = { (const char *const *)environ },
                                       .profile = slice_str(options.profile),
                                       .region = slice_str(options.region),
                                       .session_name = slice_str(session),
                                       .quota = AWS_QUOTA_FULL };
    struct map_seed seed;
    random_bytes(&seed, sizeof seed);
    struct aws_chain *chain = aws_chain_new(&config, aws_feed_now_ms(), seed);
    struct aws_feed feed = { 0 };
    if (!chain) {
        fprintf(stderr, "sluice token: out of memory\n");
        return STATUS_NOT_FINE;
    }
    int status = aws_feed(chain, &feed) ? print_token(&options, chain)
                                        : refuse(aws_chain_error(chain), aws_chain_report(chain));
    aws_chain_free(chain);
    return status;
}
