"""templates.py MOTO-URL: the templates as stacks in moto; prints TAP.

moto does not judge as CloudFormation does (tests/deploy/lint.sh has cfn-lint for that); what is seen here is that the
resources come to be, with which rules, and that no rule lets a client past the proxy.
"""
import json
import os
import sys

import boto3
import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "cloudformation")
OWN = dict(region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
cfn, ec2 = boto3.client("cloudformation", **OWN), boto3.client("ec2", **OWN)
# moto takes no listener of a network load balancer, so the service behind it neither.
LACKED = ("AWS::ElasticLoadBalancingV2::Listener", "AWS::ECS::Service")
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


def holds(what, conditions, parameters):
    (kind, value), = what.items()
    if kind == "Condition":
        return holds(conditions[value], conditions, parameters)
    if kind == "Fn::Equals":
        sides = [parameters[v["Ref"]] if isinstance(v, dict) else v for v in value]
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

    for name in [n for n, r in template["Resources"].items() if r["Type"] in LACKED]:
        del template["Resources"][name]
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
for shape, nats, interfaces in (("isolated", 0, 8), ("nat", 2, 0), ("endpoints", 0, 8)):
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
    private = set(out["PrivateSubnets"].split(","))
    tables = [t for t in of_vpc("describe_route_tables", "RouteTables", vpc)
              if private & {a.get("SubnetId") for a in t["Associations"]}]
    ways = [r for t in tables for r in t["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0"]
    check(f"{shape}: private subnets go out by {'a NAT gateway' if nats else 'no way'}, never by an internet gateway",
          len(ways) == nats and all(r.get("NatGatewayId") for r in ways), ways)

status, out = create("shared", "network.yaml", Shape="isolated", SharedGroup="yes")
shared = [g["GroupId"] for g in of_vpc("describe_security_groups", "SecurityGroups", out["VpcId"])
          if g["Description"].startswith("Self-referencing")]
check("the seed's shared group refers to itself, on the Redshift port only",
      len(shared) == 1 and ingress(shared[0]) == [(5439, 5439, shared[0])], [ingress(g) for g in shared])
check("and is not let in by the cluster's own group", ingress(out["ClusterGroup"]) == [(5439, 5439, out["ProxyGroup"])],
      ingress(out["ClusterGroup"]))

# ---- the service ----------------------------------------------------------------------------------------------------
net = networks["nat"]
common = dict(VpcId=net["VpcId"], PrivateSubnets=net["PrivateSubnets"], ClientGroup=net["ClientGroup"], ProxyGroup=net["ProxyGroup"],
              PolicyArn="arn:aws:iam::123456789012:policy/sluice",
              SigningKeySecret="arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-key-abcdef")
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
print(f"1..{count}")
sys.exit(1 if bad else 0)
