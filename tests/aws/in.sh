#!/usr/bin/env bash
# in.sh: clients with nothing but an IAM role, end to end, against moto's STS and Redshift and a real PostgreSQL.
#
#   psql (sluice token), a Lambda handler (Node, pg, AWS's SDK), Python (boto3)
#        `-- TLS --> Sluice -- TLS, a login from GetClusterCredentials --> PostgreSQL
#                      `--> moto: GetCallerIdentity (by presigned.py), GetClusterCredentials
#
# Needs PyPI, and npm for the Lambda handler; skips what it cannot have, and says so.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/world.sh"

binary=${SLUICE:-$build/sluice}
[ -x "$binary" ] || die "no $binary: run make first"
ensure_venv
kit_begin aws-in

moto_port='' sts_port='' warehouse_port='' port=''
free_port sts_port
free_port warehouse_port
free_port port
start_moto
export AWS_REGION=us-east-1 HOME=$kit_dir

# ---- a cluster, and a role whose keys live for an hour: all that the clients have ---------------------------
AWS_ENDPOINT_URL=http://127.0.0.1:$moto_port "$venv/bin/python" - >"$kit_dir/role.env" <<'PY'
import boto3
own = dict(region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
boto3.client("redshift", **own).create_cluster(
    ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Passw0rd!", DBName="dev")
keys = boto3.client("sts", **own).assume_role(
    RoleArn="arn:aws:iam::123456789012:role/loader", RoleSessionName="function")["Credentials"]
print(f"AWS_ACCESS_KEY_ID={keys['AccessKeyId']} AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']} "
      f"AWS_SESSION_TOKEN={keys['SessionToken']}")
PY
sed -E 's/AWS_ACCESS_KEY_ID=([^ ]+) AWS_SECRET_ACCESS_KEY=([^ ]+) .*/\1 \2/' "$kit_dir/role.env" >"$kit_dir/secrets"
start sts "$venv/bin/python" "$root/tests/aws/presigned.py" "$sts_port" "$moto_port" "$kit_dir/secrets"
wait_port "$sts_port" "$started" || die 'the STS in front of moto did not start'

"$support/certs.sh" "$kit_dir/certs"
printf '%s\n' 'local all all trust' 'hostssl all "IAM:db_loader" 127.0.0.1/32 trust' >"$kit_dir/hba"
start_postgres "$kit_dir/warehouse" "$warehouse_port" --hba "$kit_dir/hba" --tls "$kit_dir/certs"
"$pg_bin/psql" -qX -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres \
    -c 'create database dev' -c 'create role "IAM:db_loader" login'

home=$kit_dir/sluice
mkdir -m 700 "$home"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/certs/ca.crt" "$home/"
cat >"$home/sluice.json" <<JSON
{ "server_id": "sluice-in-test",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "certificate": "server.crt", "key": "file:server.key" } } ],
  "clusters": { "warehouse": { "endpoint": "localhost:$warehouse_port", "ca": "ca.crt",
      "credentials": { "source": "iam", "cluster_identifier": "c1" } } },
  "users": { "function": { "auth": ["iam"], "arns": ["arn:aws:iam::123456789012:role/load*"], "role": "all",
                           "db_user": "db_{role}" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ],
  "log": { "level": "debug" } }
JSON
hand_over "$home"
start_sluice() { # NAME of its log
    AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret \
        AWS_ENDPOINT_URL_STS=http://127.0.0.1:$sts_port AWS_ENDPOINT_URL_REDSHIFT=http://127.0.0.1:$moto_port \
        start "$1" "$support/sluice.sh" "$home" "$binary" run --config sluice.json
    sluice=$started
    wait_port "$port" "$sluice" || die "Sluice did not start: $(cat "$kit_dir/$1.log")"
}
start_sluice sluice

as_role() { # COMMAND... with the role's keys, and nothing else of AWS
    # shellcheck disable=SC2046
    env $(cat "$kit_dir/role.env") "$@"
}
psql_says() { # TOKEN
    PGPASSWORD=$1 "$pg_bin/psql" -qXAt -c 'select current_user' \
        "host=localhost hostaddr=127.0.0.1 port=$port dbname=dev user=function sslmode=verify-full sslrootcert=$kit_dir/certs/ca.crt" 2>&1 || true
}

# ---- psql, Python ---------------------------------------------------------------------------------------------
equals 'psql, by sluice token: the short-lived user of the role' 'IAM:db_loader' \
    "$(psql_says "$(as_role "$binary" token --server-id sluice-in-test)")"
sleep 1
equals 'Python, by the helper on botocore, as on a laptop' 'IAM:db_loader' \
    "$(psql_says "$(as_role "$venv/bin/python" "$root/deploy/lambda/sluice_token.py" sluice-in-test us-east-1)")"
wants 'not with a token for another server' 'sluice token --server-id sluice-in-test' \
    "$(psql_says "$(as_role "$venv/bin/python" "$root/deploy/lambda/sluice_token.py" sluice-elsewhere us-east-1)")"

# ---- Lambda handlers: an environment is a process that is called, frozen, thawed --------------------------------
AWS_ENDPOINT_URL=http://127.0.0.1:$moto_port "$venv/bin/python" - <<'PY'
import boto3
own = dict(region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
dynamo = boto3.client("dynamodb", **own)
dynamo.create_table(TableName="jobs", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "job", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "job", "AttributeType": "S"}])
for language, mark in (("node", "$1"), ("python", "%s")):
    dynamo.put_item(TableName="jobs", Item={"job": {"S": language}, "statement": {"S": f"select {mark}::int + 1 as next"}})
PY
environment() { # CA COMMAND...: asked through $to, answers come from $from
    local ca=$1 one
    shift
    for one in to from; do
        rm -f "$kit_dir/$one"
        mkfifo "$kit_dir/$one"
    done
    # shellcheck disable=SC2046
    env $(cat "$kit_dir/role.env") AWS_DEFAULT_REGION=us-east-1 NODE_EXTRA_CA_CERTS="$ca" SLUICE_CA="$ca" SLUICE_HOST=localhost SLUICE_PORT="$port" \
        SLUICE_SERVER_ID=sluice-in-test SLUICE_USER=function JOBS_TABLE=jobs PROBE_AFTER_MS=500 PROBE_AFTER_S=0.5 \
        AWS_ENDPOINT_URL_DYNAMODB="${dynamo:-http://127.0.0.1:$moto_port}" "$@" <"$kit_dir/to" >"$kit_dir/from" 2>"$kit_dir/environment.log" &
    environment=$!
    kit_pids+=("$environment")
    exec {to}>"$kit_dir/to" {from}<"$kit_dir/from"
}
call() { # EVENT
    local said=''
    printf '%s\n' "$1" >&"$to"
    read -r -t 30 said <&"$from" || said="no answer: $(tail -3 "$kit_dir/environment.log")"
    printf '%s\n' "$said"
}
leave() {
    exec {to}>&- {from}<&-
    stop "$environment" # a proxy that was started meanwhile holds its input open
}
logins() { cat "$kit_dir"/sluice*.log | grep -c "user=function.*identity=\|identity=.*user=function" || true; }

through_life() { # LANGUAGE COMMAND...
    local language=$1 before who='{"sql": "select current_user::text as who"}'
    shift
    sleep 1
    before=$(logins)
    environment "$kit_dir/certs/ca.crt" "$@"
    wants "$language: a handler with nothing but its role" IAM:db_loader "$(call "$who")"
    wants "$language: the statement of a job, from DynamoDB" 42 "$(call "{\"job\": \"$language\", \"values\": [41]}")"
    wants "$language: a job that is not there" 'no job nothing' "$(call '{"job": "nothing"}')"
    wants "$language: a statement that fails" 'syntax error' "$(call '{"sql": "selekt"}')"
    sleep 0.7 # as frozen, for longer than PROBE_AFTER
    wants "$language: the connection is there after all that" IAM:db_loader "$(call "$who")"
    equals "$language: one login served five calls" $((before + 1)) "$(logins)"
    # Frozen for real; when it thaws, the proxy it knew is gone.
    kill -STOP "$environment"
    stop "$sluice"
    start_sluice "sluice-$language"
    kill -CONT "$environment"
    wants "$language: thawed, before another proxy: connects anew, with a fresh token" IAM:db_loader "$(call "$who")"
    equals "$language: which was one more login" $((before + 2)) "$(logins)"
    leave
    dynamo=http://127.0.0.1:1 environment "$kit_dir/certs/ca.crt" "$@"
    wants "$language: DynamoDB out of reach: says what is missing" 'gateway endpoint' "$(call "{\"job\": \"$language\"}")"
    leave
    sleep 1
    environment /etc/ssl/certs/ca-certificates.crt "$@"
    wants "$language: a certificate of a CA that it does not know" certificate "$(call "$who")"
    leave
}
mkdir "$kit_dir/python"
cp "$root"/deploy/lambda/*.py "$kit_dir/python/"
cat >"$kit_dir/python/environment.py" <<'PY'
import json, sys
from handler import handler
for line in sys.stdin:
    try:
        print(json.dumps(handler(json.loads(line), None)), flush=True)
    except Exception as e:
        print(f"{type(e).__name__}: {e}".replace("\n", " "), flush=True)
PY
if "$venv/bin/python" -c 'import psycopg, certifi' 2>/dev/null || "$venv/bin/pip" install -q -r "$root/deploy/lambda/requirements.txt"; then
    through_life python "$venv/bin/python" "$kit_dir/python/environment.py"
else
    steps=$((steps + 1))
    say "ok $steps # SKIP the Python handler: psycopg cannot be installed from PyPI"
fi

# ---- the same in Node -----------------------------------------------------------------------------------------
if ensure_npm; then
    mkdir "$kit_dir/function"
    cp "$root"/deploy/lambda/*.mjs "$kit_dir/function/"
    ln -s "$modules" "$kit_dir/function/node_modules"
    cat >"$kit_dir/function/environment.mjs" <<'JS'
import { createInterface } from "node:readline";
import { handler } from "./handler.mjs";
for await (const line of createInterface({ input: process.stdin }))
  console.log(await handler(JSON.parse(line)).then(JSON.stringify, (error) => String(error).replaceAll("\n", " ")));
process.exit(0);
JS
    through_life node node "$kit_dir/function/environment.mjs"

    # A loader that knows nothing of Sluice: its own connection string, an old password, TLS that verifies nothing.
    cat >"$kit_dir/function/loader.js" <<'JS'
const pg = require("pg");
(async () => {
  for (let i = 0; i < 2; i++) {
    const client = new pg.Client({ connectionString: process.env.STRING, ssl: { rejectUnauthorized: false } });
    await client.connect();
    console.log((await client.query("select current_user::text as who")).rows[0].who);
    await client.end();
    await new Promise((done) => setTimeout(done, 1100));
  }
})().catch((error) => console.log(error.message));
JS
    cp "$root/deploy/lambda/preload.cjs" "$kit_dir/function/"
    load() { # CA [NAME=VALUE ...]
        as_role env NODE_EXTRA_CA_CERTS="$1" STRING="postgres://function:old-password@localhost:$port/dev" SLUICE_HOST=localhost \
            SLUICE_SERVER_ID=sluice-in-test NODE_OPTIONS="--require $kit_dir/function/preload.cjs" "${@:2}" node "$kit_dir/function/loader.js" 2>&1 || true
    }
    sleep 1
    equals 'the preload layer gives an unchanged loader its tokens' $'IAM:db_loader\nIAM:db_loader' "$(load "$kit_dir/certs/ca.crt")"
    wants 'and TLS that verifies, which it had turned off' 'certificate' "$(load /dev/null)"
    wants 'connections elsewhere are as they were' 'authentication failed' "$(load "$kit_dir/certs/ca.crt" SLUICE_HOST=elsewhere.example.com)"
else
    steps=$((steps + 1))
    say "ok $steps # SKIP the Lambda handler: pg and the AWS SDK cannot be installed from npm"
fi

# ---- what is left behind --------------------------------------------------------------------------------------
wants 'the log names the role' 'identity=arn:aws:iam::123456789012:role/loader' "$(cat "$kit_dir/sluice.log")"
# shellcheck disable=SC2013
for word in $(tr ' ' '\n' <"$kit_dir/role.env" | grep -v KEY_ID | cut -d= -f2-) not-a-secret sluice-sts-v1; do
    ! grep -qF -- "$word" "$kit_dir"/sluice*.log || not_ok 'no secret in the log' "$word"
done
ok 'no secret, no token in the log'
stop "$sluice"
! grep -E 'Sanitizer|runtime error' "$kit_dir"/sluice*.log || not_ok 'no sanitizer has anything to say' ''
for helper in "$root"/deploy/lambda/sluice_token.*; do
    [ "$(wc -l <"$helper")" -lt 40 ] || not_ok "${helper##*/} is under 40 lines" "$(wc -l <"$helper")"
done
ok 'the helpers are under 40 lines each'
say "1..$steps"
