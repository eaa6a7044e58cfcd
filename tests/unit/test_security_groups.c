/* security_groups: who is let in, by EC2's own XML, and the command that ends it. */
#include "unit/unit.h"

#include "auth/security_groups.h"

#define ANSWER(groups)                                                                             \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                                   \
    "<DescribeSecurityGroupsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"          \
    "<requestId>59dbff89</requestId><securityGroupInfo>" groups                                    \
    "</securityGroupInfo></DescribeSecurityGroupsResponse>"
#define GROUP(rules)                                                                               \
    "<item><ownerId>123456789012</ownerId><groupId>sg-c</groupId><groupName>cluster</groupName>"   \
    "<ipPermissions>" rules                                                                        \
    "</ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</ipProtocol>"                       \
    "<groups/><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges></item>"                 \
    "</ipPermissionsEgress></item>"
#define PORTS(protocol, from, to)                                                                  \
    "<ipProtocol>" protocol "</ipProtocol><fromPort>" from "</fromPort><toPort>" to "</toPort>"

static struct security_sources read_all(const char *text)
{
    struct security_sources s;
    if (!security_groups_answer(slice_str(text), 5439, &s)) fail_msg("refused: %s", text);
    return s;
}

static void expect_revoke(const struct security_source *s, const char *tail)
{
    struct buf out = { 0 };
    security_source_revoke(s, &out);
    buf_add_u8(&out, 0);
    if (!strstr(out.at, tail)) fail_msg("no %s in %s", tail, out.at);
    assert_non_null(strstr(out.at, "--group-id sg-c "));
    buf_fini(&out);
}

static void every_kind_of_source_is_seen(void **state)
{
    (void)state;
    struct security_sources s = read_all(ANSWER(GROUP("<item>" PORTS(
        "tcp", "5439",
        "5439") "<groups><item><userId>1</userId><groupId>sg-p</groupId>"
                "</item><item><groupId>sg-c</groupId></item></"
                "groups><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp>"
                "<description>all</description></item></ipRanges><ipv6Ranges><item><cidrIpv6>::/0</"
                "cidrIpv6>"
                "</item></ipv6Ranges><prefixListIds><item><prefixListId>pl-1</prefixListId></item>"
                "</prefixListIds></item>")));
    assert_int_equal(s.count, 5);
    assert_false(security_source_is_wide(&s.items[0]));
    for (size_t i = 1; i < 5; i++) assert_true(security_source_is_wide(&s.items[i]));
    expect_revoke(&s.items[0],
                  "'IpProtocol=tcp,FromPort=5439,ToPort=5439,UserIdGroupPairs=[{GroupId=sg-p}]'");
    expect_revoke(&s.items[2], "IpRanges=[{CidrIp=0.0.0.0/0}]'");
    expect_revoke(&s.items[3], "Ipv6Ranges=[{CidrIpv6=::/0}]'");
    expect_revoke(&s.items[4], "PrefixListIds=[{PrefixListId=pl-1}]'");
}

static void only_rules_of_the_port_count(void **state)
{
    (void)state;
    struct security_sources s = read_all(ANSWER(GROUP("<item>" PORTS(
        "tcp", "22",
        "5438") "<ipRanges><item><cidrIp>10.0.0.1/32</cidrIp></item></ipRanges></item>"
                "<item>" PORTS(
                    "udp", "0",
                    "65535") "<ipRanges><item><cidrIp>10.0.0.2/32</cidrIp></item></ipRanges></item>"
                             "<item><ipRanges><item><cidrIp>10.0.0.3/32</cidrIp></item></"
                             "ipRanges>" PORTS("tcp", "5000",
                                               "6000") "</item>"
                                                       "<item><ipProtocol>-1</"
                                                       "ipProtocol><ipRanges><item><cidrIp>10.0.0."
                                                       "4/32</cidrIp></item></ipRanges></item>")));
    assert_int_equal(s.count, 2);
    assert_string_equal(s.items[0].source, "10.0.0.3/32");
    expect_revoke(&s.items[0], "FromPort=5000,ToPort=6000,");
    assert_string_equal(s.items[1].source, "10.0.0.4/32");
    expect_revoke(&s.items[1], "'IpProtocol=-1,IpRanges=");
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "<Other/>",
        "<DescribeSecurityGroupsResponse>",
        ANSWER(
            GROUP("<item>" PORTS("tcp", "5439", "5439") "<ipRanges><item><cidrIp>0.0.0.0/0'; rm -r "
                                                        "x</cidrIp></item></ipRanges></item>")),
        "<!DOCTYPE x []><DescribeSecurityGroupsResponse/>",
    };
    struct security_sources s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(security_groups_answer(slice_str(bad[i]), 5439, &s));
}

static void more_than_there_is_room_for_is_said(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_add_str(&text,
                "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-c</groupId>"
                "<ipPermissions><item>" PORTS("tcp", "5439", "5439") "<ipRanges>");
    for (int i = 0; i < SECURITY_SOURCES_MAX + 3; i++)
        buf_addf(&text, "<item><cidrIp>10.0.0.%d/32</cidrIp></item>", i);
    buf_add_str(&text, "</ipRanges></item></ipPermissions></item></securityGroupInfo>"
                       "</DescribeSecurityGroupsResponse>");
    struct security_sources s;
    assert_true(security_groups_answer(buf_slice(&text), 5439, &s));
    assert_int_equal(s.count, SECURITY_SOURCES_MAX);
    assert_true(s.more);
    assert_string_equal(s.items[SECURITY_SOURCES_MAX - 1].group, "sg-c");
    buf_fini(&text);
}

static void a_cluster_names_its_groups(void **state)
{
    (void)state;
    char ids[SECURITY_GROUPS_MAX][SECURITY_GROUP_ID_BYTES];
    static const char text[] =
        "<DescribeClustersResponse><DescribeClustersResult><Clusters><Cluster><VpcSecurityGroups>"
        "<VpcSecurityGroup><VpcSecurityGroupId>sg-a</VpcSecurityGroupId><Status>active</Status>"
        "</VpcSecurityGroup><VpcSecurityGroup><VpcSecurityGroupId> sg-b </VpcSecurityGroupId>"
        "</VpcSecurityGroup></VpcSecurityGroups></Cluster></Clusters></DescribeClustersResult>"
        "</DescribeClustersResponse>";
    assert_int_equal(security_groups_of_cluster(slice_str(text), ids), 2);
    assert_string_equal(ids[0], "sg-a");
    assert_string_equal(ids[1], "sg-b");
    assert_int_equal(security_groups_of_cluster(slice_str("<x/>"), ids), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_source_is_seen),
        cmocka_unit_test(only_rules_of_the_port_count),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(more_than_there_is_room_for_is_said),
        cmocka_unit_test(a_cluster_names_its_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
