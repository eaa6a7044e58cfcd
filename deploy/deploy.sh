#!/usr/bin/env bash
# deploy.sh: the network (unless there is one), the proxies, the roles of clients, as CloudFormation stacks. `make deploy` calls it.
#
# Reads deploy/.env (from .env.template; ENV_FILE= names another). Everything is checked before anything is made:
# parameters, who we are, what we may do. DRY_RUN=1 stops there and prints the plan.
# Exit status: 0 fine, 1 AWS said no, 2 the parameters are wrong.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

problems=0
problem() {
    printf 'deploy: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '        do: %s\n' "$2" >&2
    problems=$((problems + 1))
}
give_up() { # STATUS MESSAGE [WHAT TO DO]
    problem "$2" "${3:-}"
    exit "$1"
}

# ---- parameters -------------------------------------------------------------------------------------------
env_file=${ENV_FILE:-.env}
read_env() {
    local line name number=0
    [ -f "$env_file" ] || return 0
    [ -z "$(find "$env_file" -perm /077 2>/dev/null)" ] || printf 'deploy: warning: others can read %s: chmod 600 it\n' "$env_file" >&2
    ! git ls-files --error-unmatch "$env_file" >/dev/null 2>&1 ||
        give_up 2 "$env_file is in git" "git rm --cached $env_file, and rotate what stood in it"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=${line%$'\r'}
        case $line in '' | '#'*) continue ;; esac
        name=${line%%=*}
        if [[ ! $line == *=* || ! $name =~ ^[A-Z][A-Z0-9_]*$ ]]; then
            problem "$env_file:$number: not NAME=value"
        elif [ -z "${!name+set}" ] && [ -n "${line#*=}" ]; then
            export "$name=${line#*=}"
        fi
    done <"$env_file"
}
wants() { # NAME REGEX EXAMPLE
    local value=${!1:-}
    if [ -z "$value" ]; then
        problem "$1 is missing" "set it in $env_file, such as $3"
    elif [[ ! $value =~ $2 ]]; then
        problem "$1=$value is not of the form $3"
    fi
}
may_be() { # NAME REGEX EXAMPLE: like wants, if there is a value
    [ -z "${!1:-}" ] || wants "$@"
}

read_env
STACK=${STACK:-sluice} SHAPE=${SHAPE:-endpoints} PROXIES=${PROXIES:-2} CONFIG_PARAMETER=${CONFIG_PARAMETER:-/sluice/config}
RUNS_ON=${RUNS_ON:-fargate} SCHEME=${SCHEME:-internal} CLIENT_ROLES=${CLIENT_ROLES:-yes}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
if [ -z "$region" ] && command -v aws >/dev/null; then region=$(aws configure get region 2>/dev/null); fi
AWS_REGION=$region
wants AWS_REGION '^[a-z]{2}(-[a-z]+)+-[0-9]$' us-east-1
wants STACK '^[A-Za-z][A-Za-z0-9-]{0,100}$' sluice
wants SHAPE '^(isolated|nat|endpoints|none)$' 'isolated, nat, endpoints or none'
wants RUNS_ON '^(fargate|ec2)$' 'fargate or ec2'
wants SCHEME '^(internal|internet-facing)$' 'internal or internet-facing'
wants CLIENT_ROLES '^(yes|no)$' 'yes or no'
if [ "$RUNS_ON" = ec2 ]; then
    wants IMAGE_ID '^ami-[0-9a-f]+$' ami-0123456789abcdef0
else
    wants IMAGE '^[^:@ ]+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$' 123456789012.dkr.ecr.us-east-1.amazonaws.com/sluice:0.1.0
fi
wants POLICY_ARN '^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$' arn:aws:iam::123456789012:policy/sluice
wants SIGNING_KEY_SECRET '^arn:aws[a-z-]*:secretsmanager:.+$' arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-key-AbCdEf
wants CERTIFICATE_SECRET '^arn:aws[a-z-]*:secretsmanager:.+$' arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-tls-AbCdEf
may_be CERTIFICATE_ARN '^arn:aws[a-z-]*:acm:.+:certificate/.+$' arn:aws:acm:us-east-1:123456789012:certificate/0123
may_be DNS_NAME '^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$' sluice.example.com
may_be HOSTED_ZONE_ID '^Z[A-Z0-9]+$' Z0123456789ABCDEFGHIJ
may_be DESKTOP_CIDR '^[0-9.]+/([1-9]|[12][0-9]|3[0-2])$' '203.0.113.7/32; the whole world is UNSAFE_OPEN_TO_THE_WORLD=yes'
may_be ON_PREMISES_CIDR '^[0-9.]+/([1-9]|[12][0-9]|3[0-2])$' 172.20.0.0/16
may_be CUSTOMER_GATEWAY '^[0-9]+(\.[0-9]+){3}$' 203.0.113.9
may_be UNSAFE_OPEN_TO_THE_WORLD '^(yes|no)$' 'yes or no'
may_be ALARM_TOPIC '^arn:aws[a-z-]*:sns:.+$' arn:aws:sns:us-east-1:123456789012:alarms
may_be DESKTOP_PRINCIPALS '^arn:aws[a-z-]*:iam::.+$' arn:aws:iam::123456789012:root
[ -z "${DNS_NAME:-}" ] || [ -n "${HOSTED_ZONE_ID:-}" ] || problem 'DNS_NAME needs HOSTED_ZONE_ID' 'aws route53 list-hosted-zones'
[ -z "${CUSTOMER_GATEWAY:-}" ] || [ -n "${ON_PREMISES_CIDR:-}" ] || problem 'CUSTOMER_GATEWAY needs ON_PREMISES_CIDR'
if [ "$SCHEME" = internet-facing ]; then
    [ -n "${DESKTOP_CIDR:-}" ] || [ "${UNSAFE_OPEN_TO_THE_WORLD:-no}" = yes ] ||
        problem 'SCHEME=internet-facing needs DESKTOP_CIDR' 'say from where desktops come; for a demonstration, UNSAFE_OPEN_TO_THE_WORLD=yes'
    [ "$SHAPE" = nat ] || [ "$SHAPE" = none ] || problem "SCHEME=internet-facing needs public subnets, which SHAPE=$SHAPE has not" 'SHAPE=nat'
    [ "$SHAPE" != none ] || wants PUBLIC_SUBNETS '^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)+$' subnet-cccc,subnet-dddd
fi
wants CONFIG_PARAMETER '^/[A-Za-z0-9_./-]+$' /sluice/config
wants PROXIES '^([1-9]|1[0-9]|20)$' 2
if [ "$SHAPE" = none ]; then
    wants VPC_ID '^vpc-[0-9a-f]+$' vpc-0123456789abcdef0
    wants PRIVATE_SUBNETS '^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)+$' subnet-aaaa,subnet-bbbb
    wants CLIENT_GROUP '^sg-[0-9a-f]+$' sg-0123456789abcdef0
    wants PROXY_GROUP '^sg-[0-9a-f]+$' sg-0123456789abcdef1
fi
if [ -n "${AWS_ASSUME_ROLE_ARN:-}" ]; then
    wants AWS_ASSUME_ROLE_ARN '^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$' arn:aws:iam::123456789012:role/deployer
fi
if [ -n "${AWS_ACCESS_KEY_ID:-}" ] && [ -z "${AWS_SECRET_ACCESS_KEY:-}" ]; then
    problem 'AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not' 'set both, or neither and AWS_PROFILE'
fi
[ "$problems" = 0 ] || exit 2
command -v aws >/dev/null ||
    give_up 1 'there is no aws command here' "install AWS's CLI (Debian: apt-get install awscli; else see AWS's guide, \"Installing the AWS CLI\")"
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER=

profiles() {
    sed -nE 's/^\[(profile )?([^] ]+)\]$/\2/p' "${AWS_CONFIG_FILE:-$HOME/.aws/config}" "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}" \
        2>/dev/null | sort -u | paste -sd' ' -
}

# ---- who we are: which of the five ---------------------------------------------------------------------------
profile=${AWS_PROFILE:-default}
if [ -n "${AWS_ACCESS_KEY_ID:-}" ]; then
    method='2 (keys in variables)'
    todo='check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; keys that start with ASIA need AWS_SESSION_TOKEN, and expire'
elif aws configure get sso_session --profile "$profile" >/dev/null 2>&1 || aws configure get sso_start_url --profile "$profile" >/dev/null 2>&1; then
    method="5 (SSO, profile $profile)"
    todo="aws sso login --profile $profile"
elif [ -n "${AWS_PROFILE:-}" ]; then
    method="1 (profile $profile)"
    todo="aws configure --profile $profile; these profiles are there: $(profiles)"
elif [ -n "${AWS_WEB_IDENTITY_TOKEN_FILE:-}" ]; then
    unset AWS_PROFILE
    method="4 (the job's role ${AWS_ROLE_ARN:-}, by web identity)"
    todo='AWS_ROLE_ARN must be set, its trust policy must name this repository or project, the token be of this job'
else
    unset AWS_PROFILE
    method="4 (the machine's role, or profile default)"
    todo='set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role'
fi
[ -n "${AWS_PROFILE:-}" ] || unset AWS_PROFILE

said=
ask() { # aws ...; what it says is in $said
    said=$(timeout 60 aws "$@" 2>&1)
}
first_error() { printf '%s' "$said" | grep -v '^$' | head -1; }
ask sts get-caller-identity --query '[Account,Arn]' --output text ||
    give_up 1 "credentials, tried method $method: $(first_error)" "$todo"
if [ -n "${AWS_ASSUME_ROLE_ARN:-}" ]; then
    by=$said
    ask sts assume-role --role-arn "$AWS_ASSUME_ROLE_ARN" --role-session-name "sluice-deploy-${USER:-nobody}" \
        --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text ||
        give_up 1 "credentials, tried method 3 (role $AWS_ASSUME_ROLE_ARN, by method $method): $(first_error)" \
            "the role's trust policy must name ${by#*$'\t'}, which needs sts:AssumeRole on it"
    read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN <<<"$said"
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    unset AWS_PROFILE
    method="3 (role $AWS_ASSUME_ROLE_ARN, by method $method)"
    ask sts get-caller-identity --query '[Account,Arn]' --output text || give_up 1 "credentials, tried method $method: $(first_error)"
fi
account=${said%%$'\t'*} caller=${said#*$'\t'}
printf 'deploy: as %s, by method %s\n' "$caller" "$method"

# A user's key that is older than 90 days; who may not ask is not told.
if [[ $caller == *:user/* ]] && ask iam list-access-keys --query 'AccessKeyMetadata[].[AccessKeyId,CreateDate]' --output text; then
    limit=$(date -u -d '90 days ago' +%Y-%m-%d)
    while read -r key made; do
        if [[ ${made%%T*} < $limit ]]; then
            printf 'deploy: warning: key %s is of %s, more than 90 days old: rotate it, or use SSO or a role\n' "${key:0:4}...${key: -4}" "${made%%T*}" >&2
        fi
    done <<<"$said"
fi

# ---- what we may do -----------------------------------------------------------------------------------------
may() { # ACTION COMMAND...: denied is a problem; anything else it says is not ours
    local action=$1
    shift
    ask "$@" || case $said in
    *AccessDenied* | *UnauthorizedOperation* | *"not authorized"*)
        problem "$caller may not $action (method $method): $(first_error)" "attach a policy that allows $action"
        ;;
    *"does not exist"* | *NotFound* | *NoSuchEntity*) return 1 ;;
    *) problem "$action: $(first_error)" ;;
    esac
}
may cloudformation:DescribeStacks cloudformation describe-stacks --stack-name "$STACK"
may ec2:DescribeVpcs ec2 describe-vpcs --max-items 1
may ssm:GetParameter ssm get-parameter --name "$CONFIG_PARAMETER" --query Parameter.Version ||
    problem "there is no parameter $CONFIG_PARAMETER in $AWS_REGION" "aws ssm put-parameter --type SecureString --name $CONFIG_PARAMETER --value file://sluice.json"
may secretsmanager:DescribeSecret secretsmanager describe-secret --secret-id "$CERTIFICATE_SECRET" --query Name ||
    problem "there is no secret $CERTIFICATE_SECRET" 'deploy/certificate.sh CERTIFICATE-ARN sluice-tls; or: aws secretsmanager create-secret --name sluice-tls --secret-string file://tls.json ({"certificate": "...", "key": "..."})'
may iam:GetPolicy iam get-policy --policy-arn "$POLICY_ARN" ||
    problem "there is no policy $POLICY_ARN" 'sluice iam-policy --config sluice.json >policy.json; aws iam create-policy --policy-name sluice --policy-document file://policy.json'
[ "$problems" = 0 ] || exit 1

# ---- the plan, and doing it ------------------------------------------------------------------------------------
deploy_stack() { # NAME TEMPLATE PARAMETER=VALUE...
    local name=$1 template=$2
    shift 2
    printf 'deploy: aws cloudformation deploy --stack-name %s --template-file %s --parameter-overrides %s\n' "$name" "$template" "$*"
    [ -z "${DRY_RUN:-}" ] || return 0
    aws cloudformation deploy --no-fail-on-empty-changeset --capabilities CAPABILITY_IAM --stack-name "$name" \
        --template-file "$template" --parameter-overrides "$@" --tags "project=sluice" ||
        give_up 1 "stack $name was not made" "aws cloudformation describe-stack-events --stack-name $name --query 'StackEvents[?contains(ResourceStatus,\`FAILED\`)].[LogicalResourceId,ResourceStatusReason]'"
}
output() { # STACK KEY
    if [ -n "${DRY_RUN:-}" ]; then
        printf '<%s of %s>' "$2" "$1"
    else
        aws cloudformation describe-stacks --stack-name "$1" --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue" --output text
    fi
}
optional() { # TEMPLATE'S NAME=OURS...: those that have a value
    local pair ours
    for pair in "$@"; do
        ours=${pair#*=}
        [ -z "${!ours:-}" ] || printf '%s=%s\n' "${pair%%=*}" "${!ours}"
    done
}
printf 'deploy: into account %s, region %s%s\n' "$account" "$AWS_REGION" "${DRY_RUN:+; a plan, nothing is changed}"
if [ "$SHAPE" != none ]; then
    mapfile -t more < <(optional CustomerGatewayAddress=CUSTOMER_GATEWAY OnPremisesCidr=ON_PREMISES_CIDR)
    deploy_stack "$STACK-network" cloudformation/network.yaml "Shape=$SHAPE" "${more[@]}"
    VPC_ID=$(output "$STACK-network" VpcId) PRIVATE_SUBNETS=$(output "$STACK-network" PrivateSubnets)
    CLIENT_GROUP=$(output "$STACK-network" ClientGroup) PROXY_GROUP=$(output "$STACK-network" ProxyGroup)
    # shellcheck disable=SC2034 # used by its name, below
    [ "$SHAPE" != nat ] || PUBLIC_SUBNETS=$(output "$STACK-network" PublicSubnets)
fi
[ "$SCHEME" != internal ] || unset PUBLIC_SUBNETS DESKTOP_CIDR
if [ "$RUNS_ON" = ec2 ]; then
    template=cloudformation/sluice-ec2.yaml what=ImageId=$IMAGE_ID
else
    template=cloudformation/sluice.yaml what=Image=$IMAGE
fi
mapfile -t more < <(optional CertificateArn=CERTIFICATE_ARN DnsName=DNS_NAME HostedZoneId=HOSTED_ZONE_ID PublicSubnets=PUBLIC_SUBNETS \
    DesktopCidr=DESKTOP_CIDR UnsafeOpenToTheWorld=UNSAFE_OPEN_TO_THE_WORLD OnPremisesCidr=ON_PREMISES_CIDR AlarmTopic=ALARM_TOPIC)
deploy_stack "$STACK" "$template" "VpcId=$VPC_ID" "PrivateSubnets=$PRIVATE_SUBNETS" "ClientGroup=$CLIENT_GROUP" \
    "ProxyGroup=$PROXY_GROUP" "$what" "PolicyArn=$POLICY_ARN" "SigningKeySecret=$SIGNING_KEY_SECRET" \
    "CertificateSecret=$CERTIFICATE_SECRET" "ConfigParameter=$CONFIG_PARAMETER" "Proxies=$PROXIES" "Scheme=$SCHEME" "${more[@]}"
if [ "$CLIENT_ROLES" = yes ]; then
    mapfile -t more < <(optional DesktopPrincipals=DESKTOP_PRINCIPALS)
    deploy_stack "$STACK-clients" cloudformation/clients.yaml "FunctionRole=yes" "${more[@]}"
fi
[ -n "${DRY_RUN:-}" ] || printf 'deploy: clients connect to %s\n' "$(output "$STACK" Endpoint)"
