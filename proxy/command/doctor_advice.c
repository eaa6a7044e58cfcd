#include "proxy/command/doctor_advice.h"

#include <string.h>

bool doctor_is_private(const uint8_t *b, bool is_v6)
{
    static const uint8_t loopback[16] = { [15] = 1 };
    if (is_v6)
        return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
               memcmp(b, loopback, 16) == 0;
    return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
           (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64);
}

static bool is_service(enum doctor_part part) { return part <= DOCTOR_GROUPS; }

/* As it stands in the name of a VPC endpoint's service. */
static const char *service_name(enum doctor_part part)
{
    static const char *const names[] = {
        [DOCTOR_STS] = "sts",
        [DOCTOR_REDSHIFT] = "redshift",
        [DOCTOR_SERVERLESS] = "redshift-serverless",
        [DOCTOR_DYNAMODB] = "dynamodb",
        [DOCTOR_GROUPS] = "ec2",
    };
    return is_service(part) ? names[part] : "";
}

static void add_endpoint_command(const struct doctor_case *c, struct buf *todo)
{
    const char *region = c->region[0] ? c->region : "REGION";
    if (c->part == DOCTOR_DYNAMODB)
        buf_addf(todo,
                 "aws ec2 create-vpc-endpoint --vpc-id VPC --vpc-endpoint-type Gateway "
                 "--service-name com.amazonaws.%s.dynamodb --route-table-ids TABLE_OF_THIS_SUBNET "
                 "(free)",
                 region);
    else
        buf_addf(
            todo,
            "aws ec2 create-vpc-endpoint --vpc-id VPC --vpc-endpoint-type Interface "
            "--service-name com.amazonaws.%s.%s --subnet-ids SUBNETS --security-group-ids GROUP",
            region, service_name(c->part));
}

/* Nothing comes back from a public address of AWS. */
static void advise_silent_service(const struct doctor_case *c, struct buf *cause, struct buf *todo)
{
    if (c->internet == DOCTOR_INTERNET_YES) {
        buf_addf(cause,
                 "other services of AWS answer, so there is a way out; this one alone is blocked, "
                 "by the security group's outbound rules%s",
                 c->part == DOCTOR_DYNAMODB
                     ? " (they need the prefix list of the gateway endpoint) or by its policy"
                     : " or a network ACL");
        buf_addf(todo,
                 "aws ec2 describe-security-groups --group-ids GROUP_OF_THIS_HOST --query "
                 "'SecurityGroups[].IpPermissionsEgress' must allow port %u",
                 c->port);
        return;
    }
    buf_add_str(cause, c->internet == DOCTOR_INTERNET_NO
                           ? "no public address answers: there is neither a VPC endpoint for this "
                             "service nor a NAT gateway"
                           : "there is no VPC endpoint for this service in this subnet, and no NAT "
                             "gateway that would make up for it");
    add_endpoint_command(c, todo);
    buf_add_str(todo,
                ", or a NAT gateway in the subnet's route table, or https_proxy; `aws ec2 "
                "describe-route-tables` shows what there is (pl-... to vpce-..., 0.0.0.0/0 to "
                "nat-...)");
}

static void advise_silence(const struct doctor_case *c, struct buf *cause, struct buf *todo)
{
    if (is_service(c->part) && !c->is_private) {
        advise_silent_service(c, cause, todo);
        return;
    }
    const char *what = is_service(c->part)       ? "the VPC endpoint's"
                       : c->part == DOCTOR_REDIS ? "the cache's"
                                                 : "the cluster's";
    buf_addf(cause, "%s security group does not let this host in%s", what,
             c->is_private ? "" : ", or the cluster is not publicly accessible");
    buf_addf(
        todo,
        "aws ec2 authorize-security-group-ingress --group-id %s_GROUP --protocol tcp --port %u "
        "--source-group GROUP_OF_THIS_HOST",
        is_service(c->part)       ? "ENDPOINT"
        : c->part == DOCTOR_REDIS ? "CACHE"
                                  : "CLUSTER",
        c->port);
    if (c->part == DOCTOR_CLUSTER)
        buf_add_str(todo, "; a paused cluster is silent, too: aws redshift describe-clusters");
}

static void advise_name(const struct doctor_case *c, struct buf *cause, struct buf *todo)
{
    if (is_service(c->part)) {
        buf_add_str(cause, "DNS does not know the name: a region that does not exist, or a VPC "
                           "without DNS");
        buf_add_str(todo, "check aws.region; aws ec2 modify-vpc-attribute --vpc-id VPC "
                          "--enable-dns-support");
        return;
    }
    buf_add_str(cause, "DNS does not know the name: mistyped, deleted, or of a private zone that "
                       "this VPC is not part of");
    buf_add_str(todo,
                c->part == DOCTOR_CLUSTER
                    ? "aws redshift describe-clusters --query 'Clusters[].Endpoint' (or "
                      "redshift-serverless list-workgroups) shows the right one"
                    : "aws elasticache describe-replication-groups --query "
                      "'ReplicationGroups[].NodeGroups[].PrimaryEndpoint' shows the right one");
}

static void advise_denied(const struct doctor_case *c, struct buf *cause, struct buf *todo)
{
    if (is_service(c->part)) {
        buf_add_str(cause,
                    "the proxy's identity lacks the permission, or the VPC endpoint's policy "
                    "does not give it");
        buf_add_str(todo, "`sluice iam-policy --config FILE` prints the least policy; attach it to "
                          "the identity that `sluice doctor sts` names");
        return;
    }
    buf_add_str(cause, "it is reached, but does not take the login");
    buf_add_str(todo, c->part == DOCTOR_REDIS
                          ? "check routes.cache_user and routes.cache_password"
                          : "check the user and password in clusters.NAME.credentials; "
                            "with an IAM source: sluice credentials test --config FILE");
}

void doctor_advise(const struct doctor_case *c, struct buf *cause, struct buf *todo)
{
    switch (c->symptom) {
    case DOCTOR_NO_NAME: advise_name(c, cause, todo); break;
    case DOCTOR_NO_ROUTE:
        buf_add_str(cause, "this host has no route there: its subnet's route table has no way out");
        if (is_service(c->part))
            add_endpoint_command(c, todo);
        else
            buf_add_str(todo, "ip route; aws ec2 describe-route-tables");
        break;
    case DOCTOR_SILENT: advise_silence(c, cause, todo); break;
    case DOCTOR_REFUSED:
        buf_addf(cause, "the address answers, but nothing listens on port %u", c->port);
        buf_add_str(todo, c->part == DOCTOR_CLUSTER
                              ? "check the port in clusters.NAME.endpoint (5439 "
                                "unless it was changed)"
                          : c->part == DOCTOR_REDIS ? "check the port in routes.cache"
                                                    : "check AWS_ENDPOINT_URL, if it is set");
        break;
    case DOCTOR_NO_TLS:
        buf_add_str(cause,
                    "no TLS, or a certificate that is not believed: a middlebox, a wrong name, "
                    "or a private CA");
        buf_add_str(todo, c->part == DOCTOR_CLUSTER ? "check clusters.NAME.ca and tls.server_name"
                          : c->part == DOCTOR_REDIS
                              ? "check routes.cache_ca; rediss:// needs a cache "
                                "with encryption in transit"
                              : "AWS_CA_BUNDLE names a private CA");
        break;
    case DOCTOR_NO_KEYS:
        buf_add_str(cause, "the proxy has no AWS credentials here");
        buf_add_str(todo, "sluice credentials test --config FILE tells where it looked");
        break;
    case DOCTOR_DENIED: advise_denied(c, cause, todo); break;
    case DOCTOR_FAILED: break;
    }
}
