/* security_groups: who a cluster's security groups let in.
 *
 * Written: EC2's DescribeSecurityGroups. Read: every source (group, network, prefix list) of an
 * inbound rule that covers one TCP port, and the command that takes it out of the rule.
 * Pure. Source: EC2 API reference, 2016-11-15.
 */
#ifndef SLUICE_AUTH_SECURITY_GROUPS_H
#define SLUICE_AUTH_SECURITY_GROUPS_H

#include "auth/redshift_credentials.h"

enum { SECURITY_GROUPS_MAX = 8, SECURITY_SOURCES_MAX = 64, SECURITY_GROUP_ID_BYTES = 48 };

enum security_kind { SECURITY_GROUP, SECURITY_IPV4, SECURITY_IPV6, SECURITY_LIST };

struct security_source {
    char group[SECURITY_GROUP_ID_BYTES]; /* the cluster's, whose rule it is */
    char source[SECURITY_GROUP_ID_BYTES];
    enum security_kind kind;
    char protocol[8]; /* "tcp", or "-1": all of them */
    uint16_t from, to;
};

struct security_sources {
    struct security_source items[SECURITY_SOURCES_MAX];
    size_t count;
    bool more; /* than there is room for */
};

/* The ids of a cluster's groups in an answer of DescribeClusters. Returns how many. */
size_t security_groups_of_cluster(struct slice body,
                                  char ids[SECURITY_GROUPS_MAX][SECURITY_GROUP_ID_BYTES]);

bool security_groups_request(char ids[][SECURITY_GROUP_ID_BYTES], size_t count,
                             const struct aws_signer *signer, struct aws_request *request);
/* False: the answer is none. */
bool security_groups_answer(struct slice body, uint16_t port, struct security_sources *out);

/* A source of networks or lists, or a group that refers to itself: nothing that could be the proxy
 * alone. */
bool security_source_is_wide(const struct security_source *s);
/* `aws ec2 revoke-security-group-ingress ...` */
void security_source_revoke(const struct security_source *s, struct buf *out);

#endif
