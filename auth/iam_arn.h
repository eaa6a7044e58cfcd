/* iam_arn: who an AWS principal is, and whether that is somebody we were told about.
 *
 * Two shapes of the same role must meet: operators paste
 *   arn:aws:iam::123456789012:role/team/loader          (with its path)
 * and STS says
 *   arn:aws:sts::123456789012:assumed-role/loader/name  (without it, with a session)
 * Both become arn:aws:iam::123456789012:role/loader. That is safe: role names are
 * unique within an account, whatever their path. The session name is chosen by
 * whoever assumes the role: a label for humans, never part of a decision.
 *
 * Pure; plain values.
 */
#ifndef SLUICE_AUTH_IAM_ARN_H
#define SLUICE_AUTH_IAM_ARN_H

#include "protocol/err.h"
#include "protocol/slice.h"

enum {
    IAM_NAME_BYTES = 129,
    IAM_ARN_BYTES = 256,
    IAM_PARTITION_BYTES = 16,
    IAM_ACCOUNT_BYTES = 13
};

enum iam_kind { IAM_ROLE, IAM_USER };

/* A proven identity. */
struct iam_identity {
    enum iam_kind kind;
    char partition[IAM_PARTITION_BYTES]; /* "aws" */
    char account[IAM_ACCOUNT_BYTES];     /* 12 digits */
    char name[IAM_NAME_BYTES];           /* role: its name; user: with its path, "team/ana" */
    char session[65];                    /* role session: a label, chosen by the caller */
    char unique_id[IAM_NAME_BYTES]; /* "AROA...": survives no delete-and-recreate; may be empty */
    char arn[IAM_ARN_BYTES];        /* normalised, as above */
    char function[IAM_ARN_BYTES];   /* the Lambda function, where STS signed it; else empty */
};

/* From an STS answer's Arn (assumed-role, user) or a token's subject (role). False: root, federated
 * users and everything that is not exactly one of the three shapes. */
bool iam_identity_parse(struct slice arn, struct iam_identity *out);

/* An entry of a user's `arns`: an exact role or user, or a glob over role names. */
struct iam_pattern {
    enum iam_kind kind;
    char partition[IAM_PARTITION_BYTES];
    char account[IAM_ACCOUNT_BYTES];
    char name[IAM_NAME_BYTES]; /* may have '*' for roles: any characters */
    bool is_glob;
};

/* From configuration. A role's path is stripped; '*' may stand in a role's name only. False and
 * `err` (CONFIG) for anything else, and for a glob that has a path but no letter of a name: the
 * path cannot be seen at login, so that would mean every role of the account. */
bool iam_pattern_parse(struct slice text, struct iam_pattern *out, struct err *err);

/* Compares bytes; partition, account and kind must be equal. */
bool iam_pattern_matches(const struct iam_pattern *pattern, const struct iam_identity *identity);

/* A database user made of who somebody is: "{role}" is a role's name, "{user}" an IAM user's
 * without its path, "{function}" the name of a Lambda function that STS vouches for, "{account}"
 * the account. All of them are given by who administers the account; a session name is chosen by
 * the caller, and there is no word for it. has: whether there is a word in the text. check: every
 * word is known. expand: false when a word has no value here, or the outcome is no name of a
 * database user that AWS accepts: 1 to 64 of A-Z a-z 0-9 _ + . @ -, a letter first. */
bool iam_template_has_words(struct slice text);
bool iam_template_check(struct slice text, struct err *err);
bool iam_template_expand(struct slice text, const struct iam_identity *who, char *out, size_t size);

/* A glob over a Lambda function's ARN. */
bool iam_function_matches(struct slice pattern, const struct iam_identity *identity);

/* The role name of a role ARN (path stripped), for messages and policies; empty when it is none. */
struct slice iam_role_name(struct slice arn);

#endif
