/* iam_policy: the least IAM policy that a configuration needs.
 *
 * One document for one identity: what it must be allowed, on which resources, and
 * nothing else. Clusters that are reached through a role need their permissions on
 * that role, so each such role gets a document of its own, and the identity that
 * assumes it gets sts:AssumeRole.
 * Pure: facts in, JSON text out.
 */
#ifndef SLUICE_AUTH_IAM_POLICY_H
#define SLUICE_AUTH_IAM_POLICY_H

#include "auth/redshift_credentials.h"

struct iam_policy_cluster {
    enum redshift_api api;
    struct slice name;            /* cluster identifier or workgroup */
    struct slice region, account; /* account empty: "*" */
    struct slice role_arn;        /* reached through this role; empty: directly */
    const struct slice *db_users, *databases, *db_groups; /* databases: none means any */
    size_t db_user_count, database_count, db_group_count;
    bool autocreate;
    bool discover; /* its endpoint is asked for (DescribeClusters, GetWorkgroup) */
};

struct iam_policy_facts {
    struct slice region, account; /* of the tables, parameters and secrets */
    const struct iam_policy_cluster *clusters;
    size_t cluster_count;
    struct slice top_role_arn; /* aws.assume_role_arn: everything is done as it; may be empty */
    const struct slice *parameters, *secrets; /* names or ARNs */
    size_t parameter_count, secret_count;
    /* Where the configuration itself is read from, as the identity that Sluice runs as: a
     * parameter, or "bucket/key" of S3; empty: from neither. */
    struct slice config_parameter, config_object;
    struct slice table; /* DynamoDB; empty: none */
    bool for_doctor;    /* optional: `sluice doctor` may see who else a cluster lets in */
    bool table_write;   /* `sluice route publish` and its like run as this identity */
};

/* Appends the document for `identity`: empty for the one that Sluice runs as, else one of the role
 * ARNs in the facts. False when it needs nothing at all (nothing is appended). */
bool iam_policy_write(const struct iam_policy_facts *facts, struct slice identity, struct buf *out);

#endif
