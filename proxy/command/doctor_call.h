/* doctor_call: one signed call to a service of AWS, as the proxy would make it, and what came of
 * it.
 *
 * The least that proves a permission: STS GetCallerIdentity, Redshift DescribeClusters (of one
 * cluster, or any), Redshift Serverless GetWorkgroup, DynamoDB DescribeTable, EC2
 * DescribeSecurityGroups. Blocks while the loop runs; gives up after 10 s. Nothing secret is in its
 * words.
 */
#ifndef SLUICE_PROXY_COMMAND_DOCTOR_CALL_H
#define SLUICE_PROXY_COMMAND_DOCTOR_CALL_H

#include "auth/security_groups.h"
#include "proxy/aws_identity.h"
#include "proxy/command/doctor_advice.h"
#include "proxy/io/wheel.h"

struct doctor_call {
    enum doctor_part part;
    struct slice name; /* of the cluster, workgroup or table; empty: any */
    /* REDSHIFT fills the cluster's groups; GROUPS asks for them, and fills who they let in. */
    char groups[SECURITY_GROUPS_MAX][SECURITY_GROUP_ID_BYTES];
    size_t n_groups;
    uint16_t port; /* of the cluster */
    struct security_sources sources;
    bool ok;
    enum doctor_symptom symptom; /* unless ok */
    double ms;
    char said[520]; /* an ARN, a status; or the error */
};

/* Fills `c` from `ok` on. */
void doctor_call(uv_loop_t *loop, struct wheel *wheel, struct aws_identity *identity,
                 struct doctor_call *c);

/* The service that a part stands for. */
enum aws_service doctor_service(enum doctor_part part);

#endif
