"""templates.py MOTO-URL: the templates as stacks in moto; prints TAP.

moto does not judge as CloudFormation does (tests/deploy/lint.sh has cfn-lint for that); what is seen here is that the
resources come to be, with which rules, and that no rule lets a client past the proxy.
"""
import json
import os
import subprocess
import sys
import urllib.request

import boto3
import yaml
from botocore.exceptions import ClientError

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "cloudformation")
OWN = dict(region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
cfn, ec2 = boto3.client("cloudformation", **OWN), boto3.client("ec2", **OWN)
# moto takes no listener of a network load balancer, so the service behind it neither.
# Of gateways for a VPN it makes none from a template.
LACKED = ("AWS::ElasticLoadBalancingV2::Listener", "AWS::ECS::Service", "AWS::AutoScaling::AutoScalingGroup",
          "AWS::EC2::VPNGatewayRoutePropagation", "AWS::EC2::VPNConnectionRoute")
count = bad = 0


def check(name, ok, detail=""):
    global count, bad
    count += 1
    bad += not ok
    print(f"{'ok' if ok else 'not ok'} {count} - {name}")
    if not ok:
        print(f"    {detail}")


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, as the long form."""


def long_form(loader, suffix, node):
    value = (loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else
             loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else
             loader.construct_mapping(node, deep=True))
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


Loader.add_multi_constructor("!", long_form)


def value_of(node, parameters):
    if isinstance(node, dict) and "Fn::Join" in node:
        separator, parts = node["Fn::Join"]
        return separator.join([value_of(parts, parameters)] if isinstance(parts, dict) else parts)
    return parameters[node["Ref"]] if isinstance(node, dict) else node


def holds(what, conditions, parameters):
    (kind, value), = what.items()
    if kind == "Condition":
        return holds(conditions[value], conditions, parameters)
    if kind == "Fn::Equals":
        sides = [value_of(v, parameters) for v in value]
        return str(sides[0]) == str(sides[1])
    parts = [holds(v, conditions, parameters) for v in value]
    return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[kind]


def resolved(name, parameters):
    """The template without its conditions and without Fn::Cidr: moto knows neither well enough."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        template = yaml.load(f, Loader)
    given = {k: parameters.get(k, v.get("Default")) for k, v in template["Parameters"].items()}
    conditions = template.pop("Conditions", {})
    template.pop("Rules", None)
    true = {name: holds(what, conditions, given) for name, what in conditions.items()}

    def walk(node):
        if isinstance(node, list):
            return [walk(n) for n in node if n != {"Ref": "AWS::NoValue"}]
        if not isinstance(node, dict):
            return node
        if "Fn::If" in node:
            condition, yes, no = node["Fn::If"]
            return walk(yes if true[condition] else no)
        if "Fn::Select" in node and isinstance(node["Fn::Select"][1], dict) and "Fn::Cidr" in node["Fn::Select"][1]:
            return f"10.0.{node['Fn::Select'][0]}.0/24"
        return {k: v for k, v in ((k, walk(v)) for k, v in node.items()) if v != {"Ref": "AWS::NoValue"}}

    template["Resources"] = {n: r for n, r in template["Resources"].items() if r["Type"] not in LACKED}
    if name != "network.yaml" and name != "clients.yaml":
        template["Outputs"] = {}
    for part in ("Resources", "Outputs"):
        template[part] = {k: walk(v) for k, v in template[part].items() if true.get(v.pop("Condition", None), True)}
    return template


def create(stack, template, **parameters):
    body = json.dumps(resolved(template, parameters), default=str)
    cfn.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"],
                     Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])
    made = cfn.describe_stacks(StackName=stack)["Stacks"][0]
    return made["StackStatus"], {o["OutputKey"]: o["OutputValue"] for o in made.get("Outputs", [])}


def ingress(group):
    """(from port, to port, source) of every rule."""
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    return sorted((r.get("FromPort"), r.get("ToPort"), source)
                  for r in rules
                  for source in [p["GroupId"] for p in r["UserIdGroupPairs"]] + [i["CidrIp"] for i in r["IpRanges"]]
                  + [i["CidrIpv6"] for i in r.get("Ipv6Ranges", [])] + [i["PrefixListId"] for i in r.get("PrefixListIds", [])])


def egress(template, group):
    """moto has no SecurityGroupEgress: what the template says of a group's ways to other groups."""
    return [r["Properties"]["DestinationSecurityGroupId"]["Ref"] for r in template["Resources"].values()
            if r["Type"] == "AWS::EC2::SecurityGroupEgress" and r["Properties"]["GroupId"] == {"Ref": group}]


def of_vpc(call, key, vpc):
    return getattr(ec2, call)(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[key]


networks = {}
for shape, nats, interfaces in (("isolated", 0, 9), ("nat", 2, 0), ("endpoints", 0, 9)):
    status, out = create(shape, "network.yaml", Shape=shape)
    networks[shape] = out
    vpc = out["VpcId"]
    check(f"{shape}: the stack comes to be", status == "CREATE_COMPLETE", status)
    check(f"{shape}: the cluster lets in the proxy, on its port, and nobody else",
          ingress(out["ClusterGroup"]) == [(5439, 5439, out["ProxyGroup"])], ingress(out["ClusterGroup"]))
    check(f"{shape}: clients may go to the proxy, not to the cluster",
          egress(resolved("network.yaml", {"Shape": shape}), "ClientGroup") == ["ProxyGroup"])
    check(f"{shape}: the proxy lets in clients, on one port",
          ingress(out["ProxyGroup"]) == [(5439, 5439, out["ClientGroup"])], ingress(out["ProxyGroup"]))
    gateways = [g for g in of_vpc("describe_nat_gateways", "NatGateways", vpc) if g["State"] != "deleted"]
    check(f"{shape}: {nats} NAT gateways", len(gateways) == nats, gateways)
    endpoints = of_vpc("describe_vpc_endpoints", "VpcEndpoints", vpc)
    kinds = [e["VpcEndpointType"] for e in endpoints]
    check(f"{shape}: 2 gateway and {interfaces} interface endpoints",
          kinds.count("Gateway") == 2 and kinds.count("Interface") == interfaces, kinds)
    open_to_all = [(g["GroupName"], r) for g in of_vpc("describe_security_groups", "SecurityGroups", vpc)
                   if g["GroupName"] != "default" for r in ingress(g["GroupId"]) if r[2] in ("0.0.0.0/0", "::/0")]
    check(f"{shape}: nothing is open to the world", not open_to_all, open_to_all)
    # moto 5.2.5 makes the tables, but joins them to no subnet: which are whose is read from the template.
    made = resolved("network.yaml", {"Shape": shape})["Resources"]
    joined = {made[r]["Properties"]["SubnetId"]["Ref"]: made[r]["Properties"]["RouteTableId"]["Ref"]
              for r in made if made[r]["Type"] == "AWS::EC2::SubnetRouteTableAssociation"}
    private = {table for subnet, table in joined.items() if subnet.startswith("Private")}
    check(f"{shape}: each private subnet has a table of its own", len(private) == 2, joined)
    tables = [t for t in of_vpc("describe_route_tables", "RouteTables", vpc)
              if private & {tag["Value"] for tag in t["Tags"] if tag["Key"] == "aws:cloudformation:logical-id"}]
    ways = [r for t in tables for r in t["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0"]
    check(f"{shape}: private subnets go out by {'a NAT gateway' if nats else 'no way'}, never by an internet gateway",
          len(ways) == nats and all(r.get("NatGatewayId") for r in ways), ways)

status, out = create("shared", "network.yaml", Shape="isolated", SharedGroup="yes")
shared = [g["GroupId"] for g in of_vpc("describe_security_groups", "SecurityGroups", out["VpcId"])
          if g["Description"].startswith("Self-referencing")]
check("the seed's shared group refers to itself, on the Redshift port only",
      len(shared) == 1 and ingress(shared[0]) == [(5439, 5439, shared[0])], [ingress(g) for g in shared])
check("and is told", out.get("SharedRedshiftGroup") == shared[0], out)
check("and is not let in by the cluster's own group", ingress(out["ClusterGroup"]) == [(5439, 5439, out["ProxyGroup"])],
      ingress(out["ClusterGroup"]))

# ---- the service ----------------------------------------------------------------------------------------------------
net = networks["nat"]
common = dict(VpcId=net["VpcId"], PrivateSubnets=net["PrivateSubnets"], ClientGroup=net["ClientGroup"], ProxyGroup=net["ProxyGroup"],
              PolicyArn="arn:aws:iam::123456789012:policy/sluice",
              SigningKeySecret="arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-key-abcdef",
              CertificateSecret="arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-tls-abcdef")
boto3.client("iam", **OWN).create_policy(PolicyName="sluice", 
    PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"redshift:DescribeClusters","Resource":"*"}}')


def load_balancer_group(vpc):
    return [g["GroupId"] for g in of_vpc("describe_security_groups", "SecurityGroups", vpc)
            if g["Description"] == "The load balancer in front of Sluice"]


def service(stack, template, **more):
    status, _ = create(stack, template, **{**common, **more})
    check(f"{stack}: the stack comes to be", status == "CREATE_COMPLETE", status)
    group = load_balancer_group(net["VpcId"])
    check(f"{stack}: the load balancer lets in clients, and nobody else",
          bool(group) and all(ingress(g) == [(5439, 5439, net["ClientGroup"])] for g in group), [ingress(g) for g in group])
    check(f"{stack}: the cluster's group is as it was", ingress(net["ClusterGroup"]) == [(5439, 5439, net["ProxyGroup"])])


service("fargate", "sluice.yaml", Image="123456789012.dkr.ecr.us-east-1.amazonaws.com/sluice:0.1.0")
service("ec2", "sluice-ec2.yaml", ImageId=ec2.describe_images()["Images"][0]["ImageId"])

# ---- from outside: what each choice opens -----------------------------------------------------------------------------
def opened(**choice):
    rules = resolved("sluice.yaml", {**common, **choice})["Resources"]
    rules = [r["Properties"] for r in rules.values() if r["Type"] == "AWS::EC2::SecurityGroupIngress"]
    return sorted(str(choice.get(r["CidrIp"].get("Ref")) if isinstance(r["CidrIp"], dict) else r["CidrIp"]) for r in rules if "CidrIp" in r)


public = dict(Scheme="internet-facing", PublicSubnets="subnet-1,subnet-2")
check("internal: no address is let in", opened() == [])
check("internal: the network behind Direct Connect or a VPN, when it is named", opened(OnPremisesCidr="172.20.0.0/16") == ["172.20.0.0/16"])
check("public: the desktops' network", opened(**public, DesktopCidr="203.0.113.0/24") == ["203.0.113.0/24"])
check("public: everybody, only by the parameter named Unsafe", opened(**public, UnsafeOpenToTheWorld="yes") == ["0.0.0.0/0"])
check("internal: that parameter alone opens nothing", opened(UnsafeOpenToTheWorld="yes") == [])

# ---- the two services differ in where the proxies run, and in nothing else ---------------------------------------------
fargate, instances = (resolved(name, {}) for name in ("sluice.yaml", "sluice-ec2.yaml"))
own = {"TaskRole", "ExecutionRole", "Cluster", "Task", "ProxyRole", "ProxyProfile", "Machine", "Targets"}
differs = [n for n in {**fargate["Resources"], **instances["Resources"]}
           if n not in own and fargate["Resources"].get(n) != instances["Resources"].get(n)]
check("sluice.yaml and sluice-ec2.yaml share all but where the proxies run", not differs, differs)
task, proxy = ([p for p in t["Resources"][r]["Properties"]["Policies"] if p["PolicyName"] == "configuration"]
               for t, r in ((fargate, "TaskRole"), (instances, "ProxyRole")))
check("the proxies' roles may the same", task == proxy and len(task) == 1, (task, proxy))
machine = instances["Resources"]["Machine"]["Properties"]["LaunchTemplateData"]
check("instances: metadata by token only, encrypted disks, no key pair, no public address",
      machine["MetadataOptions"]["HttpTokens"] == "required" and all(d["Ebs"]["Encrypted"] for d in machine["BlockDeviceMappings"])
      and "KeyName" not in machine and "NetworkInterfaces" not in machine, machine)
script = machine["UserData"]["Fn::Base64"]["Fn::Sub"]
linted = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
check("instances: what they run at their start is shell", linted.returncode == 0 and "ssm:${ConfigParameter}" in script, linted.stderr)

# ---- roles of clients ---------------------------------------------------------------------------------------------------
status, out = create("clients", "clients.yaml", DesktopPrincipals="arn:aws:iam::123456789012:root")
check("clients: the stack comes to be", status == "CREATE_COMPLETE" and "FunctionRoleArn" in out and "DesktopRoleArn" in out, (status, out))
iam = boto3.client("iam", **OWN)
denied = iam.get_policy_version(PolicyArn=out["NoWayAroundPolicy"], VersionId="v1")["PolicyVersion"]["Document"]["Statement"]
check("clients: the policy denies, and allows nothing", [s["Effect"] for s in denied] == ["Deny"], denied)
roles = [r for r in resolved("clients.yaml", {"DesktopPrincipals": "arn:aws:iam::123456789012:root"})["Resources"].values()
         if r["Type"] == "AWS::IAM::Role"]
check("clients: each role has it", len(roles) == 2 and all({"Ref": "NoWayAround"} in r["Properties"]["ManagedPolicyArns"] for r in roles), roles)
no_way_around = out["NoWayAroundPolicy"]
trust = iam.get_role(RoleName=out["DesktopRoleArn"].rsplit("/", 1)[1])["Role"]["AssumeRolePolicyDocument"]["Statement"][0]
check("clients: desktops need MFA", trust["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, trust)
_, out = create("clients-none", "clients.yaml", FunctionRole="no")
check("clients: without roles there is the policy alone", sorted(out) == ["NoWayAroundPolicy"], out)

# ---- on premises ----------------------------------------------------------------------------------------------------------
status, out = create("vpn", "network.yaml", Shape="isolated", CustomerGatewayAddress="203.0.113.9", OnPremisesCidr="172.20.0.0/16")
check("a VPN: the stack comes to be, with a gateway to attach Direct Connect to", status == "CREATE_COMPLETE" and out.get("VpnGateway"), (status, out))
vpn = resolved("network.yaml", {"CustomerGatewayAddress": "203.0.113.9", "OnPremisesCidr": "172.20.0.0/16"})["Resources"]
check("a VPN: gateway, customer gateway, connection", {"VpnGateway", "VpnGatewayOfVpc", "CustomerGateway", "Vpn"} <= vpn.keys(), sorted(vpn))
check("Direct Connect alone: the gateway, no VPN",
      {"VpnGateway", "VpnGatewayOfVpc"} == {n for n in resolved("network.yaml", {"OnPremisesCidr": "172.20.0.0/16"})["Resources"] if "Vpn" in n or "Customer" in n} - {"Vpc"})

# ---- the deny, as moto judges it: of a user who is allowed everything ------------------------------------------------------
iam.create_user(UserName="client")
iam.put_user_policy(UserName="client", PolicyName="all", PolicyDocument=json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))
key = iam.create_access_key(UserName="client")["AccessKey"]
boto3.client("redshift", **OWN).create_cluster(ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin",
                                               MasterUserPassword="Passw0rd!", DBName="dev")
redshift = boto3.client("redshift", **{**OWN, "aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]})


def says(call, **arguments):
    try:
        return call(**arguments) and "yes"
    except ClientError as e:
        return e.response["Error"]["Code"]


ask = dict(DbUser="admin", DbName="dev", ClusterIdentifier="c1")
check("clients: who is allowed everything gets database credentials", says(redshift.get_cluster_credentials, **ask) == "yes")
iam.attach_user_policy(UserName="client", PolicyArn=no_way_around)
reset = urllib.request.Request(sys.argv[1] + "/moto-api/reset-auth", b"0", {"Content-Type": "application/octet-stream"})
urllib.request.urlopen(reset).read()
check("clients: not with the policy", says(redshift.get_cluster_credentials, **ask) == "AccessDenied", says(redshift.get_cluster_credentials, **ask))
check("clients: what else they may they still may", says(redshift.describe_clusters) == "yes", says(redshift.describe_clusters))
print(f"1..{count}")
sys.exit(1 if bad else 0)
