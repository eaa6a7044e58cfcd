#include "auth/security_groups.h"

#include "auth/aws_xml.h"

#include <stdio.h>
#include <stdlib.h>

/* What goes into a command line that somebody will copy: letters, digits and - . : / only. */
static bool copy_id(char *to, size_t size, struct slice text)
{
    if (text.len == 0 || text.len >= size) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!fine && (c == 0 || !strchr("-.:/", c))) return false;
    }
    memcpy(to, text.at, text.len);
    to[text.len] = 0;
    return true;
}

/* ---- the cluster's groups ----------------------------------------------------------------------
 */

struct group_ids {
    char (*at)[SECURITY_GROUP_ID_BYTES];
    size_t count;
};

static void on_cluster_element(void *context, const char *path, struct slice text)
{
    static const char wanted[] = "DescribeClustersResult/Clusters/Cluster/VpcSecurityGroups/"
                                 "VpcSecurityGroup/VpcSecurityGroupId";
    struct group_ids *ids = context;
    if (strcmp(path, wanted) != 0 || ids->count == SECURITY_GROUPS_MAX) return;
    if (copy_id(ids->at[ids->count], SECURITY_GROUP_ID_BYTES, text)) ids->count++;
}

size_t security_groups_of_cluster(struct slice body,
                                  char ids[SECURITY_GROUPS_MAX][SECURITY_GROUP_ID_BYTES])
{
    struct group_ids found = { .at = ids };
    return aws_xml_walk(body, "DescribeClustersResponse", on_cluster_element, &found) ? found.count
                                                                                      : 0;
}

bool security_groups_request(char ids[][SECURITY_GROUP_ID_BYTES], size_t count,
                             const struct aws_signer *s, struct aws_request *request)
{
    aws_query_begin(request, s->endpoint, "DescribeSecurityGroups");
    for (size_t i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "GroupId.%zu", i + 1);
        aws_query_add(request, name, slice_str(ids[i]));
    }
    return aws_request_sign(request, s->credentials, s->endpoint, s->now_ms, s->skew_ms);
}

/* ---- their rules
 * --------------------------------------------------------------------------------- */

struct rules {
    struct security_sources *out;
    uint16_t port;
    size_t group_begin, rule_begin; /* the first source of this group, of this rule */
    char group[SECURITY_GROUP_ID_BYTES], protocol[8];
    long from, to;
    bool broken;
};

static void add_source(struct rules *r, enum security_kind kind, struct slice text)
{
    struct security_sources *out = r->out;
    if (out->count == SECURITY_SOURCES_MAX) {
        out->more = true;
        return;
    }
    struct security_source *s = &out->items[out->count];
    *s = (struct security_source){ .kind = kind };
    if (copy_id(s->source, sizeof s->source, text))
        out->count++;
    else
        r->broken = true;
}

static long number_of(struct slice text)
{
    char digits[12] = "";
    if (text.len < sizeof digits) snprintf(digits, sizeof digits, "%.*s", SLICE_ARG(text));
    return strtol(digits, NULL, 10);
}

static bool covers(const struct rules *r)
{
    if (strcmp(r->protocol, "-1") == 0) return true;
    if (strcmp(r->protocol, "tcp") != 0 && strcmp(r->protocol, "6") != 0) return false;
    return r->from <= r->port && r->port <= r->to;
}

/* The order of a rule's members is AWS's business: what it says is applied when it ends. */
static void end_rule(struct rules *r)
{
    struct security_sources *out = r->out;
    if (!covers(r)) out->count = r->rule_begin;
    for (size_t i = r->rule_begin; i < out->count; i++) {
        struct security_source *s = &out->items[i];
        memcpy(s->protocol, r->protocol, sizeof s->protocol);
        s->from = (uint16_t)r->from;
        s->to = (uint16_t)r->to;
    }
    r->rule_begin = out->count;
    r->protocol[0] = 0;
    r->from = r->to = 0;
}

static void end_group(struct rules *r)
{
    for (size_t i = r->group_begin; i < r->out->count; i++)
        memcpy(r->out->items[i].group, r->group, sizeof r->group);
    r->group_begin = r->rule_begin = r->out->count;
    r->group[0] = 0;
}

static void on_element(void *context, const char *path, struct slice text)
{
    struct rules *r = context;
    static const char group[] = "securityGroupInfo/item", rule[] = "/ipPermissions/item";
    if (strncmp(path, group, strlen(group)) != 0) return;
    const char *rest = path + strlen(group);
    if (*rest == 0) {
        end_group(r);
    } else if (strcmp(rest, "/groupId") == 0) {
        r->broken |= !copy_id(r->group, sizeof r->group, text);
    } else if (strncmp(rest, rule, strlen(rule)) == 0) {
        rest += strlen(rule);
        if (*rest == 0) end_rule(r);
        if (strcmp(rest, "/ipProtocol") == 0) copy_id(r->protocol, sizeof r->protocol, text);
        if (strcmp(rest, "/fromPort") == 0) r->from = number_of(text);
        if (strcmp(rest, "/toPort") == 0) r->to = number_of(text);
        if (strcmp(rest, "/groups/item/groupId") == 0) add_source(r, SECURITY_GROUP, text);
        if (strcmp(rest, "/ipRanges/item/cidrIp") == 0) add_source(r, SECURITY_IPV4, text);
        if (strcmp(rest, "/ipv6Ranges/item/cidrIpv6") == 0) add_source(r, SECURITY_IPV6, text);
        if (strcmp(rest, "/prefixListIds/item/prefixListId") == 0)
            add_source(r, SECURITY_LIST, text);
    }
}

bool security_groups_answer(struct slice body, uint16_t port, struct security_sources *out)
{
    struct rules r = { .out = out, .port = port };
    *out = (struct security_sources){ 0 };
    return aws_xml_walk(body, "DescribeSecurityGroupsResponse", on_element, &r) && !r.broken;
}

/* ---- what to say of one
 * ---------------------------------------------------------------------------- */

bool security_source_is_wide(const struct security_source *s)
{
    return s->kind != SECURITY_GROUP || strcmp(s->source, s->group) == 0;
}

void security_source_revoke(const struct security_source *s, struct buf *out)
{
    static const char *const lists[] = { "UserIdGroupPairs=[{GroupId=", "IpRanges=[{CidrIp=",
                                         "Ipv6Ranges=[{CidrIpv6=",
                                         "PrefixListIds=[{PrefixListId=" };
    buf_addf(out,
             "aws ec2 revoke-security-group-ingress --group-id %s --ip-permissions "
             "'IpProtocol=%s,",
             s->group, s->protocol);
    if (strcmp(s->protocol, "-1") != 0) buf_addf(out, "FromPort=%u,ToPort=%u,", s->from, s->to);
    buf_addf(out, "%s%s}]'", lists[s->kind], s->source);
}
