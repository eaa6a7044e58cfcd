/* aws_chain: where do AWS credentials come from, here and now.
 *
 * Tries the places in the order of the AWS command line tool and stops at the
 * first that is configured: what is not configured is passed over, what is
 * configured and broken ends the search with its error, because silently going on
 * as somebody else would be worse. (EC2 metadata is the exception: it is tried
 * last, configured by nobody, and its absence is no error of its own.)
 *
 *      environment
 *      the profile's role    over keys, SSO, a process, a web identity, a credential_source, roles
 *      web identity          environment, or profile
 *      SSO                   the profile's
 *      the profile itself    keys, process
 *      container             ECS, EKS pod identity
 *      EC2 metadata          version 2 only
 *   then, on top: aws.assume_role_arn of our configuration, or AWS_ASSUME_ROLE_ARN
 *
 * Pure: a machine that asks (aws_script) and is answered.
 *
 *      while ((ask = aws_chain_step(chain)))  { do what it asks;  aws_chain_answer...(chain, ...);
 * }
 *
 * Ownership: everything in the config is borrowed until aws_chain_free; the result
 * is the chain's, copy it. Thread: one at a time.
 */
#ifndef SLUICE_AUTH_AWS_CHAIN_H
#define SLUICE_AUTH_AWS_CHAIN_H

#include "auth/aws_retry.h"
#include "auth/aws_script.h"
#include "auth/aws_settings.h"

struct aws_role_order {
    struct slice role_arn; /* empty: no role on top */
    struct slice external_id, session_name;
    uint32_t duration_s; /* 0: the API's default, an hour */
};

struct aws_chain_config {
    struct aws_env env;
    struct slice profile, region;       /* of our configuration; empty when it is silent */
    struct aws_role_order role;         /* of our configuration; goes before AWS_ASSUME_ROLE_ARN */
    struct slice session_name;          /* for roles that name none: "sluice-<host>-<pid>" */
    const struct aws_credentials *base; /* start from these instead of searching (cross-account) */
    int only;        /* 1 + the index of one place to try, nothing on top; 0: all */
    int32_t quota;   /* retry quota to start with: AWS_QUOTA_FULL */
    int64_t skew_ms; /* known clock offset */
};

struct aws_chain;

/* NULL when memory ran out. */
struct aws_chain *aws_chain_new(const struct aws_chain_config *config, int64_t now_ms,
                                struct map_seed seed);
void aws_chain_free(struct aws_chain *chain);

/* Goes on. The question that must be answered next, or NULL: the search is over. */
const struct aws_ask *aws_chain_step(struct aws_chain *chain);

/* The answers, one for each question. */
void aws_chain_answer_http(struct aws_chain *chain, const struct aws_response *r, int64_t now_ms);
void aws_chain_answer_outcome(struct aws_chain *chain, enum aws_outcome outcome, struct slice text,
                              int64_t now_ms);

/* After the end: the credentials, or NULL and why. */
const struct aws_credentials *aws_chain_credentials(const struct aws_chain *chain);
const struct err *aws_chain_error(const struct aws_chain *chain);

/* One line for each place that was looked at: "container: AWS_CONTAINER_... is not set". No
 * secrets. */
struct slice aws_chain_report(const struct aws_chain *chain);

/* What was learnt on the way: the region ("" when nobody told), quota left, clock offset. */
const char *aws_chain_region(const struct aws_chain *chain);
int32_t aws_chain_quota(const struct aws_chain *chain);
int64_t aws_chain_skew_ms(const struct aws_chain *chain);

/* The settings that were read on the way, for endpoints of further calls; NULL before. */
const struct aws_settings *aws_chain_settings(const struct aws_chain *chain);

/* The places' names, for `credentials test`: "environment", ...; NULL beyond the last. */
const char *aws_chain_place(int index);

#endif
