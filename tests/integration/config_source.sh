#!/usr/bin/env bash
# config_source.sh: a configuration in Parameter Store and in S3: fetched, looked at again, refused
# as a whole when it is bad, kept on disk; against moto. Skips where PyPI cannot be reached.
# shellcheck disable=SC2154 # ports are assigned by name (free_port)
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/../aws/world.sh"

binary=${SLUICE:-$build/sluice}
ensure_venv
kit_begin config-source
free_port port
free_port health
start_moto
moto=$started
export AWS_ENDPOINT_URL=http://127.0.0.1:$moto_port
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=x
home=$kit_dir/sluice
mkdir -m 700 "$home" "$home/state"

config() { # POOL-SIZE [USER]
    cat <<JSON
{ "workers": 1, "config_refresh": "1s",
  "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:1", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "u": "env:HOME" } } } },
  "users": { "${2:-u}": { "auth": ["trust"], "role": "all", "db_user": "u", "console": "operator" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ],
  "pool": { "size": $1 },
  "health": { "address": "127.0.0.1:$health" } }
JSON
}
store() { # the new text, on stdin
    "$venv/bin/python" -c '
import boto3, sys
text = sys.stdin.read()
boto3.client("ssm").put_parameter(Name="/sluice/config", Value=text, Type="SecureString", Tier="Advanced", Overwrite=True)
s3 = boto3.client("s3")
s3.create_bucket(Bucket="our.configs")
s3.put_object(Bucket="our.configs", Key="prod/sluice-1.json", Body=text)'
}
log=$kit_dir/sluice.log
until_logged() { # WORD COUNT
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [ "$(grep -c -- "$1" "$log")" -lt "$2" ] || return 0
        sleep 0.1
    done
    not_ok "the log has \"$1\" $2 times" ""
}
start_sluice() { # SOURCE
    start sluice env STATE_DIRECTORY="$home/state" "$support/sluice.sh" "$home" "$binary" run --config "$1"
    sluice=$started
    wait_port "$port" "$sluice" || not_ok "starts with $1" ""
    ok "starts with $1"
}
pool_size() {
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=$port dbname=sluice user=u sslmode=disable" -c 'show config' |
        grep '^pool.size|' | cut -d'|' -f2
}

for source in ssm:/sluice/config s3://our.configs/prod/sluice-1.json; do
    config 7 | store
    equals "$source: check" "$source: fine" "$("$binary" check --config "$source" 2>&1)"
    start_sluice "$source"
    equals 'its values are in force' 7 "$(pool_size)"
    wants 'health by address' live "$("$binary" health --address "127.0.0.1:$health" 2>&1 && echo live)"
    config 8 | store
    until_logged config.reloaded 1
    equals 'a new version is noticed' 8 "$(pool_size)"
    wants 'and told' version "$(grep config.reloaded "$log")"
    config 9 | sed 's/"workers"/"workerz"/' | store
    until_logged config.not_reloaded 1
    wants 'a bad one is refused as a whole' "${source}" "$(grep config.problem "$log")"
    equals 'and changes nothing' 8 "$(pool_size)"
    sleep 2.5
    equals 'and is complained of once' 1 "$(grep -c config.not_reloaded "$log")"
    kill -HUP "$sluice"
    until_logged config.not_reloaded 2
    ok 'SIGHUP looks at once'
    stop "$sluice"
    grep -q '"size": 8' "$home/state/config.json" || not_ok 'the last good one is kept' ""
    ok 'the last good one is kept'
    start_sluice "$source"
    equals 'a start with a bad one takes the one that was kept' 8 "$(pool_size)"
    wants 'and says so' "from_saved file=$home/state/config.json" "$(grep config.from_saved "$log")"
    config 10 | store
    until_logged config.reloaded 1
    equals 'until there is a good one' 10 "$(pool_size)"
    stop "$sluice"
done

# ---- a certificate and its key by reference: nothing on disk ----------------------------------------------------
certificate() { # a new one, into Secrets Manager
    rm -rf "$kit_dir/certs"
    "$support/certs.sh" "$kit_dir/certs"
    "$venv/bin/python" - "$kit_dir/certs" <<'PY'
import boto3, json, pathlib, sys
sm, at = boto3.client("secretsmanager"), pathlib.Path(sys.argv[1])
text = json.dumps({"certificate": (at / "server.crt").read_text(), "key": (at / "server.key").read_text()})
try:
    sm.create_secret(Name="sluice-tls", SecretString=text)
except sm.exceptions.ResourceExistsException:
    sm.put_secret_value(SecretId="sluice-tls", SecretString=text)
PY
}
verified() {
    "$pg_bin/psql" -qXAt -c 'show version' "host=localhost hostaddr=127.0.0.1 port=$port dbname=sluice user=u sslmode=verify-full sslrootcert=$kit_dir/certs/ca.crt" 2>&1 || true
}
certificate
config 7 | sed 's|"workers": 1|"workers": 1, "secret_refresh": "1s"|; s|"listen": .*|"listen": [ { "address": "127.0.0.1:'"$port"'", "tls": { "certificate_secret": "secretsmanager:sluice-tls#certificate", "key": "secretsmanager:sluice-tls#key" } } ],|' | store
start_sluice ssm:/sluice/config
wants 'TLS that verifies, by a certificate from Secrets Manager' Sluice "$(verified)"
cp "$kit_dir/certs/ca.crt" "$kit_dir/old-ca.crt"
certificate
until_logged config.reloaded 1
wants 'another one is in force when secret_refresh has seen it' Sluice "$(verified)"
cp "$kit_dir/old-ca.crt" "$kit_dir/certs/ca.crt"
wants 'and the one before is not' 'certificate verify failed' "$(verified)"
stop "$sluice"
config 10 | store
start_sluice ssm:/sluice/config
stop "$sluice"

# ---- signatures and permissions count ------------------------------------------------------------------------
keys=$("$venv/bin/python" -c '
import boto3, json
iam = boto3.client("iam")
iam.create_user(UserName="proxy")
iam.put_user_policy(UserName="proxy", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["ssm:GetParameter", "s3:GetObject"], "Resource": "*"}]}))
key = iam.create_access_key(UserName="proxy")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])')
moto_auth 0
for source in ssm:/sluice/config s3://our.configs/prod/sluice-1.json; do
    wants "$source: signed" "fine" "$(AWS_ACCESS_KEY_ID=${keys% *} AWS_SECRET_ACCESS_KEY=${keys#* } "$binary" check --config "$source" 2>&1 || true)"
    wants "$source: signed by somebody else" "cannot fetch: " "$(AWS_ACCESS_KEY_ID=${keys% *} "$binary" check --config "$source" 2>&1 || true)"
done
moto_auth inf

stop "$moto"
start_sluice ssm:/sluice/config
equals 'AWS is away: the one that was kept' 10 "$(pool_size)"
until_logged config.not_fetched 1
ok 'and it goes on asking'
stop "$sluice"
rm "$home/state/config.json"
code=0
"$support/sluice.sh" "$home" "$binary" run --config ssm:/sluice/config >"$log" 2>&1 || code=$?
equals 'with nothing kept, no start' 1 "$code"
wants 'and the reason' 'cannot fetch: ssm GetParameter' "$(cat "$log")"
for bad in 's3://bucket' 's3://bucket/../x' 's3:bucket/key' 's3://b/a%20b' 'ssm:'; do
    wants "refused: $bad" "is neither ssm:NAME nor s3://BUCKET/KEY" "$("$binary" check --config "$bad" 2>&1 || true)"
done
say "1..$steps"
