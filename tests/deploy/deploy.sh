#!/usr/bin/env bash
# deploy.sh: `make deploy` with what is wrong: parameters, keys, permissions, SSO; against moto, by the real aws command.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/../aws/world.sh"

ensure_venv
[ -x "$venv/bin/aws" ] || one_at_a_time "$venv/bin/pip" install -q awscli || {
    say 'ok 1 # SKIP deploy.sh: awscli cannot be installed from PyPI'
    exit 0
}
kit_begin deploy
moto_port=''
start_moto
export AWS_ENDPOINT_URL=http://127.0.0.1:$moto_port HOME=$kit_dir ENV_FILE=$kit_dir/env
mkdir "$kit_dir/bin"
ln -s "$venv/bin/aws" "$kit_dir/bin/aws"
keys=(AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret)
fine() {
    cat >"$ENV_FILE" <<'ENV'
AWS_REGION=us-east-1
SHAPE=nat
IMAGE=123456789012.dkr.ecr.us-east-1.amazonaws.com/sluice:0.1.0
POLICY_ARN=arn:aws:iam::123456789012:policy/sluice
SIGNING_KEY_SECRET=arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-key-abcdef
CERTIFICATE_SECRET=arn:aws:secretsmanager:us-east-1:123456789012:secret:sluice-tls
ENV
    chmod 600 "$ENV_FILE"
}
run() { # [NAME=VALUE...]
    env PATH="$kit_dir/bin:$PATH" DRY_RUN=1 "$@" "$root/deploy/deploy.sh" 2>&1 </dev/null || echo "status $?"
}

fine
said=$(run SHAPE=square IMAGE=sluice PROXIES=200 "${keys[@]}")
wants 'every wrong parameter at once' 'SHAPE=square is not of the form isolated' "$said"
wants 'an image without a tag' 'IMAGE=sluice is not' "$said"
wants 'too many' 'PROXIES=200' "$said"
wants 'wrong usage is 2' 'status 2' "$said"
said=$(run SCHEME=internet-facing SHAPE=isolated DNS_NAME=sluice.example.com RUNS_ON=ec2 DESKTOP_CIDR=0.0.0.0/0 "${keys[@]}")
wants 'the whole world is called unsafe' 'the whole world is UNSAFE_OPEN_TO_THE_WORLD=yes' "$said"
wants 'public without public subnets' 'needs public subnets, which SHAPE=isolated has not' "$said"
wants 'a name without its zone' 'DNS_NAME needs HOSTED_ZONE_ID' "$said"
wants 'EC2 without a machine image' 'IMAGE_ID is missing' "$said"
wants 'public for nobody' 'internet-facing needs DESKTOP_CIDR' "$(run SCHEME=internet-facing "${keys[@]}")"
wants 'half a key' 'AWS_SECRET_ACCESS_KEY is not' "$(run AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE)"
echo 'what is this' >>"$ENV_FILE"
wants 'a line that is none' 'env:7: not NAME=value' "$(run "${keys[@]}")"
fine
chmod 644 "$ENV_FILE"
wants 'a file that others can read is warned about' 'others can read' "$(run "${keys[@]}")"
fine
mkdir "$kit_dir/tools"
for tool in bash env dirname find git; do ln -s "$(command -v $tool)" "$kit_dir/tools/$tool"; done
wants 'no aws command: how to get one' "install AWS's CLI" "$(run "${keys[@]}" PATH="$kit_dir/tools")"

said=$(run "${keys[@]}")
wants 'a configuration that is not there yet' 'aws ssm put-parameter' "$said"
wants 'a certificate that is not there yet' 'deploy/certificate.sh' "$said"
wants 'a policy that is not there yet' 'sluice iam-policy' "$said"
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=x "$venv/bin/python" - <<'PY'
import boto3
boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name="sluice-tls", SecretString="{}")
boto3.client("ssm", region_name="us-east-1").put_parameter(Name="/sluice/config", Value="{}", Type="SecureString")
boto3.client("iam", region_name="us-east-1").create_policy(PolicyName="sluice",
    PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"redshift:DescribeClusters","Resource":"*"}}')
PY
said=$(run "${keys[@]}")
wants 'method 2, keys' 'by method 2 (keys in variables)' "$said"
wants 'the plan: the network' 'deploy --stack-name sluice-network --template-file cloudformation/network.yaml --parameter-overrides Shape=nat' "$said"
wants 'the plan: the proxies' 'Proxies=2' "$said"
wants 'the plan: the clients' 'sluice-clients --template-file cloudformation/clients.yaml' "$said"
said_ec2=$(run "${keys[@]}" RUNS_ON=ec2 IMAGE_ID=ami-0123456789abcdef0 SCHEME=internet-facing DESKTOP_CIDR=203.0.113.0/24 CLIENT_ROLES=no)
wants 'the plan on EC2, public' 'cloudformation/sluice-ec2.yaml' "$said_ec2"
wants 'with its parameters' 'Scheme=internet-facing PublicSubnets=<PublicSubnets of sluice-network> DesktopCidr=203.0.113.0/24' "$said_ec2"
case $said_ec2 in *clients.yaml*) not_ok 'no roles when none are wanted' "$said_ec2" ;; *) ok 'no roles when none are wanted' ;; esac
case $said in *status*) not_ok 'it is fine' "$said" ;; *) ok 'it is fine' ;; esac
wants 'nothing was made' '[]' "$(env "${keys[@]}" AWS_DEFAULT_REGION=us-east-1 "$venv/bin/aws" cloudformation list-stacks --query StackSummaries --output json)"

mkdir "$kit_dir/.aws"
cat >"$kit_dir/.aws/config" <<'INI'
[profile plain]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = not-a-secret
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = deployer
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://example.awsapps.com/start
INI
wants 'method 1, a profile' 'by method 1 (profile plain)' "$(run AWS_PROFILE=plain)"
said=$(run AWS_PROFILE=nobody)
wants 'method 1, one that is not there' 'tried method 1 (profile nobody)' "$said"
wants 'which ones are' 'plain sso' "$said"
wants 'method 3, a role' 'by method 3 (role arn:aws:iam::123456789012:role/deployer, by method 1' "$(run AWS_PROFILE=plain AWS_ASSUME_ROLE_ARN=arn:aws:iam::123456789012:role/deployer)"
wants 'method 4, no role here' 'tried method 4' "$(run)"
wants 'method 4, by the web identity of a CI job' "tried method 4 (the job's role arn:aws:iam::123456789012:role/ci, by web identity)" \
    "$(run AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent AWS_ROLE_ARN=arn:aws:iam::123456789012:role/ci)"
printf token >"$kit_dir/web-token"
wants 'with a token' "by method 4 (the job's role" \
    "$(run AWS_WEB_IDENTITY_TOKEN_FILE="$kit_dir/web-token" AWS_ROLE_ARN=arn:aws:iam::123456789012:role/ci)"
said=$(run AWS_PROFILE=sso)
wants 'method 5, SSO without a session' 'tried method 5 (SSO, profile sso)' "$said"
wants 'and what to run' 'aws sso login --profile sso' "$said"
mkdir -p "$kit_dir/.aws/sso/cache"
printf '{"startUrl": "https://example.awsapps.com/start", "region": "us-east-1", "accessToken": "gone", "expiresAt": "2020-01-01T00:00:00Z"}' \
    >"$kit_dir/.aws/sso/cache/$(printf corp | sha1sum | cut -d' ' -f1).json"
said=$(run AWS_PROFILE=sso)
wants 'method 5, an SSO session that has expired' 'tried method 5 (SSO, profile sso)' "$said"
wants 'says so' expired "$said"
wants 'and what to run, too' 'aws sso login --profile sso' "$said"

# ---- certificate.sh: a certificate of ACM, to where the proxies read it -----------------------------------------
certificate() { env PATH="$kit_dir/bin:$PATH" "${keys[@]}" "$root/deploy/certificate.sh" "$1" sluice-tls us-east-1 2>&1 || echo "status $?"; }
arn=$(env "${keys[@]}" "$venv/bin/python" - <<'PY'
import boto3
acm = boto3.client("acm", region_name="us-east-1")
print(acm.request_certificate(DomainName="sluice.example.com", CertificateAuthorityArn="arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/0")["CertificateArn"])
PY
)
wants 'a certificate of a private CA gets into the secret' 'CN = sluice.example.com' "$(certificate "$arn")"
env "${keys[@]}" AWS_DEFAULT_REGION=us-east-1 "$venv/bin/aws" secretsmanager get-secret-value --secret-id sluice-tls --query SecretString --output text >"$kit_dir/tls.json"
mkdir "$kit_dir/tls"
"$venv/bin/python" - "$kit_dir/tls.json" "$kit_dir/tls" <<'PY'
import json, sys
for name, text in json.load(open(sys.argv[1])).items():
    open(f"{sys.argv[2]}/{name}", "w").write(text)
PY
equals 'chain and key, which belong together' "$(openssl x509 -in "$kit_dir/tls/certificate" -noout -pubkey)" "$(openssl pkey -in "$kit_dir/tls/key" -pubout)"
wants 'one that cannot be had' 'ACM does not give it out' "$(certificate "${arn%?????}00000")"

moto_auth 0
wants 'keys that AWS does not know' 'tried method 2 (keys in variables)' "$(run "${keys[@]}")"
moto_auth 1000000
weak=$(AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=x "$venv/bin/python" - <<'PY'
import boto3
iam = boto3.client("iam", region_name="us-east-1")
iam.create_user(UserName="weak")
key = iam.create_access_key(UserName="weak")["AccessKey"]
print(f"AWS_ACCESS_KEY_ID={key['AccessKeyId']} AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}")
PY
)
moto_auth 0
# shellcheck disable=SC2086 # two words
said=$(run $weak)
wants 'a permission that is missing' 'may not cloudformation:DescribeStacks (method 2 (keys in variables))' "$said"
wants 'nothing is made then' 'status 1' "$said"
case $said in *not-a-secret* | *"${weak##*=}"*) not_ok 'no secret is printed' "$said" ;; *) ok 'no secret is printed' ;; esac
echo "$steps passed, 0 failed"
