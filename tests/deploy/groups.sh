#!/usr/bin/env bash
# groups.sh: `sluice doctor redshift` says who else a cluster's security group lets in; against moto's EC2 and Redshift.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/../aws/world.sh"

binary=${SLUICE:-$build/sluice}
[ -x "$binary" ] || die "no $binary: run make first"
ensure_venv
kit_begin groups
moto_port=''
start_moto
export AWS_ENDPOINT_URL=http://127.0.0.1:$moto_port AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret HOME=$kit_dir

aws() { # PYTHON: with ec2, proxy and cluster (ids of groups)
    "$venv/bin/python" - "$kit_dir/ids" <<PY
import boto3, os, sys
ec2 = boto3.client("ec2", region_name="us-east-1")
proxy, cluster = open(sys.argv[1]).read().split() if os.path.exists(sys.argv[1]) else (None, None)
def rule(**source):
    ec2.authorize_security_group_ingress(GroupId=cluster, IpPermissions=[dict(IpProtocol="tcp", FromPort=5439, ToPort=5439, **source)])
$1
PY
}
aws '
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
proxy, cluster = (ec2.create_security_group(GroupName=n, Description=n, VpcId=vpc)["GroupId"] for n in ("proxy", "cluster"))
open(sys.argv[1], "w").write(f"{proxy} {cluster}\n")
rule(UserIdGroupPairs=[{"GroupId": proxy}])
ec2.authorize_security_group_ingress(GroupId=cluster, IpPermissions=[dict(IpProtocol="tcp", FromPort=22, ToPort=22, IpRanges=[{"CidrIp": "0.0.0.0/0"}])])
boto3.client("redshift", region_name="us-east-1").create_cluster(ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin",
    MasterUserPassword="Passw0rd!", DBName="dev", VpcSecurityGroupIds=[cluster])'
cat >"$kit_dir/sluice.json" <<'JSON'
{ "listen": [ { "address": "127.0.0.1:5439", "tls": { "mode": "disable" } } ],
  "clusters": { "warehouse": { "endpoint": "c1.abc.us-east-1.redshift.amazonaws.com:5439",
      "credentials": { "source": "iam", "cluster_identifier": "c1" } } },
  "users": { "u": { "auth": ["trust"], "role": "all", "db_user": "loader" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ] }
JSON
doctor() { "$binary" doctor --config "$kit_dir/sluice.json" redshift 2>&1 || echo "status $?"; }
read -r proxy cluster <"$kit_dir/ids"

said=$(doctor)
wants 'a cluster that only the proxy may reach is as it should be' "PASS  groups       inbound  nobody but $proxy is let in" "$said"
case $said in *22*/0* | *WARN*) not_ok 'rules of other ports do not matter' "$said" ;; *) ok 'rules of other ports do not matter' ;; esac
aws 'rule(IpRanges=[{"CidrIp": "203.0.113.0/24"}])'
said=$(doctor)
wants 'a network is a warning' "WARN  groups       inbound  $cluster lets in 203.0.113.0/24" "$said"
wants 'with the command that ends it' "aws ec2 revoke-security-group-ingress --group-id $cluster --ip-permissions 'IpProtocol=tcp,FromPort=5439,ToPort=5439,IpRanges=[{CidrIp=203.0.113.0/24}]'" "$said"
case $said in *status*) not_ok 'a warning is no failure' "$said" ;; *) ok 'a warning is no failure' ;; esac
aws 'rule(UserIdGroupPairs=[{"GroupId": cluster}])'
wants 'so is a group that refers to itself' 'itself: all that are in it' "$(doctor)"
aws '
import shlex
for s in (dict(IpRanges=[{"CidrIp": "203.0.113.0/24"}]), dict(UserIdGroupPairs=[{"GroupId": cluster}])):
    ec2.revoke_security_group_ingress(GroupId=cluster, IpPermissions=[dict(IpProtocol="tcp", FromPort=5439, ToPort=5439, **s)])'
wants 'when they are gone, all is well' 'PASS  groups' "$(doctor)"
export AWS_ENDPOINT_URL_EC2=http://127.0.0.1:1
said=$(doctor)
wants 'where EC2 is not reached, that is said, and fails nothing' 'SKIP  groups       inbound  not asked who else is let in: EC2 is not reached' "$said"
echo "$steps passed, 0 failed"
