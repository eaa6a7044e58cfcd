#!/usr/bin/env bash
# moto.sh: no passwords anywhere, end to end, against moto's STS and Redshift and a real PostgreSQL.
#
#   psql (a token) -- TLS --> Sluice -- TLS, a login from GetClusterCredentials --> PostgreSQL
#                               |
#                               +--> moto: GetCallerIdentity (by presigned.py), GetClusterCredentials
#
# moto's password is random, so PostgreSQL trusts "IAM:loader" (over TLS); what is shown is that the
# call is made, once, that its user name is used verbatim, and that a role's token opens the door.
# Needs PyPI once: without it, skips.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
venv=$root/build/moto
[ -x "$binary" ] || die "no $binary: run make first"
if [ ! -x "$venv/bin/moto_server" ]; then
    if ! python3 -m venv "$venv" || ! "$venv/bin/pip" install -q 'moto[server]' boto3; then
        rm -rf "$venv"
        say '# SKIP moto.sh: moto cannot be installed from PyPI'
        exit 0
    fi
fi
kit_begin moto

pass=0
ok() {
    pass=$((pass + 1))
    say "ok $pass - $1"
}
wants() { # NAME EXPECTED TEXT
    case $3 in
    *"$2"*) ok "$1" ;;
    *) printf '%s: wanted "%s" in:\n%s\n' "$1" "$2" "$3" >&2 && tail -20 "$kit_dir/sluice.log" >&2 && exit 1 ;;
    esac
}

moto_port='' sts_port='' warehouse_port='' port=''
free_port moto_port
free_port sts_port
free_port warehouse_port
free_port port
start moto "$venv/bin/moto_server" -H 127.0.0.1 -p "$moto_port"
wait_port "$moto_port" "$started" || die 'moto did not start'

export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret AWS_REGION=us-east-1
export AWS_ENDPOINT_URL_STS=http://127.0.0.1:$moto_port AWS_ENDPOINT_URL_REDSHIFT=http://127.0.0.1:$moto_port
export AWS_EC2_METADATA_DISABLED=true HOME=$kit_dir
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_CA_BUNDLE https_proxy http_proxy HTTPS_PROXY

# The cluster, and the keys of a role for the client, as a Lambda function would have them.
"$venv/bin/python" - >"$kit_dir/role.env" <<'PY'
import boto3, os
boto3.client("redshift", region_name="us-east-1").create_cluster(
    ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Passw0rd!", DBName="dev")
keys = boto3.client("sts", region_name="us-east-1").assume_role(
    RoleArn="arn:aws:iam::123456789012:role/events-loader", RoleSessionName="lambda")["Credentials"]
print(f"AWS_ACCESS_KEY_ID={keys['AccessKeyId']} AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']} "
      f"AWS_SESSION_TOKEN={keys['SessionToken']}")
PY

# shellcheck disable=SC2046
(eval $(tr ' ' '\n' <"$kit_dir/role.env") && echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY" >"$kit_dir/secrets")
start sts "$venv/bin/python" "$root/tests/aws/presigned.py" "$sts_port" "$moto_port" "$kit_dir/secrets"
wait_port "$sts_port" "$started" || die 'the STS in front of moto did not start'
export AWS_ENDPOINT_URL_STS=http://127.0.0.1:$sts_port

"$support/certs.sh" "$kit_dir/certs"
cat >"$kit_dir/hba" <<'HBA'
local all all trust
hostssl all "IAM:loader" 127.0.0.1/32 trust
HBA
start_postgres "$kit_dir/warehouse" "$warehouse_port" --hba "$kit_dir/hba" --tls "$kit_dir/certs"
"$pg_bin/psql" -qX -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres \
    -c 'create database dev' -c 'create role "IAM:loader" login'

home=$kit_dir/sluice
mkdir -m 700 "$home"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/certs/ca.crt" "$home/"
write_config() { # CLUSTER-IDENTIFIER
    cat >"$home/sluice.json" <<JSON
{ "server_id": "sluice-moto-test",
  "workers": 2,
  "listen": [ { "address": "127.0.0.1:$port",
                "tls": { "mode": "allow", "certificate": "server.crt", "key": "file:server.key" } } ],
  "clusters": { "warehouse": { "endpoint": "localhost:$warehouse_port", "ca": "ca.crt",
      "credentials": { "source": "iam", "cluster_identifier": "$1" } } },
  "users": { "local": { "auth": ["trust"], "role": "all", "db_user": "loader" },
             "ghost": { "auth": ["trust"], "role": "all" },
             "events_loader": { "auth": ["iam"], "arns": ["arn:aws:iam::123456789012:role/events-loader"],
                                "role": "all", "db_user": "loader" },
             "other": { "auth": ["iam"], "arns": ["arn:aws:iam::123456789012:role/other"], "role": "all",
                        "db_user": "loader" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ],
  "pool": { "wait_timeout": "10s" },
  "limits": { "failed_logins": 0 },
  "log": { "level": "debug" } }
JSON
}
write_config c1
hand_over "$home"
start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
sluice=$started
wait_port "$port" "$sluice" || {
    cat "$kit_dir/sluice.log" >&2
    die 'Sluice did not start'
}

ask() { # USER [DATABASE]: who is it, at the warehouse?
    "$pg_bin/psql" -qXAt "host=localhost hostaddr=127.0.0.1 port=$port dbname=${2:-dev} user=$1 sslmode=verify-full sslrootcert=$kit_dir/certs/ca.crt" \
        -c 'select current_user' 2>&1 || true
}
calls() { grep -c 'Action=GetClusterCredentials\|"POST / HTTP/1.1"' "$kit_dir/moto.log" || true; }

wants 'the login is one that AWS made' 'IAM:loader' "$(ask local)"
before=$(calls)
clients=()
for _ in 1 2 3 4 5 6 7 8; do ask local >/dev/null & clients+=($!); done
wait "${clients[@]}"
[ "$(calls)" = "$before" ] || die "$(calls) calls, $before before: a login was fetched again"
ok 'eight more clients need no further call'

wants 'a user that the warehouse does not let in is told so' 'refused the login of "IAM:ghost"' "$(ask ghost)"
[ "$(calls)" = $((before + 2)) ] || die "$(calls) calls, $before before: not one login and one more"
ok 'after one more login from AWS, and no more than one'

wants 'credentials test says who we would be' '"said":"IAM:loader"' \
    "$("$binary" credentials test --config "$home/sluice.json" --json)"
wants 'iam-policy allows it' 'dbuser:c1/loader' "$("$binary" iam-policy --config "$home/sluice.json" 2>/dev/null)"

# ---- clients in, by IAM ------------------------------------------------------------------------------
role() { # COMMAND... with the role's keys, and no others
    # shellcheck disable=SC2046
    env $(cat "$kit_dir/role.env") "$@"
}
mint() { role "$binary" token --server-id "${1:-sluice-moto-test}"; }

token=$(mint)
wants 'a token of the role opens the door' 'IAM:loader' "$(PGPASSWORD=$token ask events_loader)"
wants 'in the same moment for a whole pool' 'IAM:loader' "$(PGPASSWORD=$token ask events_loader)"
sleep 3.1
wants 'then no more' 'used before' "$(PGPASSWORD=$token ask events_loader)"
wants 'another token does' 'IAM:loader' "$(PGPASSWORD=$(mint) ask events_loader)"
wants 'not as a user of another role' 'authentication failed for user "other"' "$(PGPASSWORD=$(mint) ask other)"
wants 'nor as nobody' 'authentication failed for user "nobody"' "$(PGPASSWORD=$(mint) ask nobody)"
wants 'not with a token for another server' 'authentication failed' "$(PGPASSWORD=$(mint sluice-elsewhere) ask events_loader)"
wants 'not with a password' 'authentication failed' "$(PGPASSWORD=secret ask events_loader)"
wants 'an RDS token is told what to run' 'sluice token' \
    "$(PGPASSWORD='h:1/?Action=connect&DBUser=u&X-Amz-Signature=00' ask events_loader)"
wants 'the log names the role' 'arn:aws:iam::123456789012:role/events-loader' "$(cat "$kit_dir/sluice.log")"

# ---- a cluster that AWS does not know ------------------------------------------------------------------
write_config no-such-cluster
kill -HUP "$sluice"
sleep 0.5
wants 'sessions that need no new login never notice' 'IAM:loader' "$(ask local)"
wants 'for the others, what AWS says' 'ClusterNotFound' "$(ask local postgres)"

# ---- secrets -------------------------------------------------------------------------------------------
# shellcheck disable=SC2013
for word in $(tr ' ' '\n' <"$kit_dir/role.env" | grep -v KEY_ID | cut -d= -f2-) not-a-secret "$token"; do
    ! grep -qF -- "$word" "$kit_dir/sluice.log" || die 'a secret stands in the log'
done
ok 'no secret in the log'

stop "$sluice"
wants 'it stopped in good order' 'stopped' "$(tail -3 "$kit_dir/sluice.log")"
! grep -E 'Sanitizer|runtime error' "$kit_dir/sluice.log" || die 'a sanitizer has something to say'
say "$pass of $pass steps held"
