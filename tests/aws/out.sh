#!/usr/bin/env bash
# out.sh: how Sluice gets its own credentials, against moto with signatures and policies checked.
#
#   clients (trusted) --> Sluice -- TLS, logins of minutes --> PostgreSQL, which really expires them
#                           |
#                           +--> front.py (faults, what moto lacks) --> moto: STS, Redshift, SSM, Secrets Manager
#
# STORM=10000 for the long form of the cold start (`make soak` does); LOAD_S for the load with short lives;
# CORE=1 looks through a memory image of the proxy as well (gdb's gcore).
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/world.sh"

binary=${SLUICE:-$build/sluice}
[ -x "$binary" ] || die "no $binary: run make first"
ensure_venv
kit_begin aws-out
start_world
free_port port

home=$kit_dir/sluice
mkdir -m 700 "$home" "$home/.aws"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/certs/ca.crt" "$home/"
export HOME=$home

# ---- an account: clusters, secrets, a user whose only right is to become a role -----------------------------
"$venv/bin/python" - "$home" <<'PY'
import boto3, json, os, sys
home, url = sys.argv[1], os.environ["AWS_ENDPOINT_URL"]
keys = dict(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
make = lambda service, **more: boto3.client(service, region_name="us-east-1", endpoint_url=url, **{**keys, **more})
iam, sts = make("iam"), make("sts")
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
cluster = dict(NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Passw0rd!", DBName="dev")
make("redshift").create_cluster(ClusterIdentifier="c1", **cluster)
make("ssm").put_parameter(Name="/sluice/static", Value="from-parameter-store", Type="SecureString")
make("secretsmanager").create_secret(Name="warehouse", SecretString=json.dumps({"username": "s2", "password": "from-secrets-manager"}))
iam.create_role(RoleName="sluice", AssumeRolePolicyDocument=trust)
iam.create_user(UserName="proxy")
iam.put_user_policy(UserName="proxy", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::123456789012:role/sluice"}]}))
key = iam.create_access_key(UserName="proxy")["AccessKey"]
iam.create_user(UserName="bare")  # may do nothing
bare = iam.create_access_key(UserName="bare")["AccessKey"]
# Another account, with a role of its own that lets us in.
there = sts.assume_role(RoleArn="arn:aws:iam::210987654321:role/setup", RoleSessionName="setup")["Credentials"]
other = dict(aws_access_key_id=there["AccessKeyId"], aws_secret_access_key=there["SecretAccessKey"], aws_session_token=there["SessionToken"])
make("iam", **other).create_role(RoleName="access", AssumeRolePolicyDocument=trust)
make("redshift", **other).create_cluster(ClusterIdentifier="c2", **cluster)
for profile, name in (("base", key), ("bare", bare)):
    with open(f"{home}/.aws/credentials", "a") as out:
        out.write(f"[{profile}]\naws_access_key_id = {name['AccessKeyId']}\naws_secret_access_key = {name['SecretAccessKey']}\n")
with open(f"{home}/secret-words", "w") as out:
    out.write("\n".join([key["SecretAccessKey"], bare["SecretAccessKey"], "from-parameter-store", "from-secrets-manager", "with-iam-password", "serverless-password"]) + "\n")
with open(f"{home}/other.env", "w") as out:
    out.write("\n".join(f"{k.upper()}={v}" for k, v in other.items()))
PY
cat >"$home/.aws/config" <<'INI'
[profile sluice]
role_arn = arn:aws:iam::123456789012:role/sluice
source_profile = base
region = us-east-1
INI
admin() { "$pg_bin/psql" -qXAt -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d dev -c "$1"; }
admin "create role s1 login password 'from-parameter-store'"
admin "create role s2 login password 'from-secrets-manager'"

write_config() { # AWS-SECTION [TOP-LEVEL-MORE]
    cat >"$home/sluice.json" <<JSON
{ "server_id": "sluice-out-test",
  "workers": 2,
  "aws": $1,${2:-}
  "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": {
    "found":      { "ca": "ca.crt", "credentials": { "source": "iam", "cluster_identifier": "c1" } },
    "named":      { "ca": "ca.crt", "endpoint": "localhost:$warehouse_port", "credentials": { "source": "iam", "cluster_identifier": "c1" },
                    "db_groups": ["g1", "g2"], "autocreate": true, "duration": "20m" },
    "abroad":     { "ca": "ca.crt", "credentials": { "source": "iam", "cluster_identifier": "c2" },
                    "aws": { "assume_role_arn": "arn:aws:iam::210987654321:role/access", "external_id": "ours-only", "session_name": "crossing" } },
    "as-itself":  { "ca": "ca.crt", "endpoint": "localhost:$warehouse_port", "credentials": { "source": "iam-with-iam", "cluster_identifier": "c1" } },
    "serverless": { "ca": "ca.crt", "credentials": { "source": "iam-serverless", "workgroup": "wg" } },
    "static":     { "ca": "ca.crt", "endpoint": "localhost:$warehouse_port",
                    "credentials": { "source": "static", "users": { "s1": "ssm:/sluice/static", "s2": "secretsmanager:warehouse#password" } } } },
  "users": { "found": { "auth": ["trust"], "role": "all", "db_user": "loader" },
             "named": { "auth": ["trust"], "role": "all", "db_user": "named" },
             "abroad": { "auth": ["trust"], "role": "all", "db_user": "roamer" },
             "as-itself": { "auth": ["trust"], "role": "all", "db_user": "x" },
             "serverless": { "auth": ["trust"], "role": "all", "db_user": "x" },
             "s1": { "auth": ["trust"], "role": "all" },
             "s2": { "auth": ["trust"], "role": "all" },
             "ops": { "auth": ["trust"], "role": "all", "db_user": "s1", "console": "router" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ],
  "routes": { "source": "file:routes.json" },
  "pool": { "size": 10, "wait_timeout": "${wait:-20s}", "server_connect_timeout": "${connect_timeout:-10s}", "server_lifetime": "${lifetime:-1h}" },
  "limits": { "clients": 20000, "logins_in_progress": 20000, "login_timeout": "60s" },
  "log": { "level": "debug" } }
JSON
}
cat >"$home/routes.json" <<'JSON'
{ "version": 1, "rules": [
    { "id": "f", "when": { "user": "found" }, "to": "found" }, { "id": "n", "when": { "user": "named" }, "to": "named" },
    { "id": "a", "when": { "user": "abroad" }, "to": "abroad" }, { "id": "i", "when": { "user": "as-itself" }, "to": "as-itself" },
    { "id": "w", "when": { "user": "serverless" }, "to": "serverless" }, { "id": "s", "to": "static" } ] }
JSON
write_config '{ "region": "us-east-1", "profile": "sluice" }'
hand_over "$home"
check() { "$binary" check --config "$home/sluice.json" 2>&1 || true; }
wants 'check needs no network' 'fine' "$(AWS_ENDPOINT_URL=http://127.0.0.1:1 check)"

# ---- the actions of the policy that we print are those that AWS asks for -----------------------------------------------------
"$binary" iam-policy --config "$home/sluice.json" >"$kit_dir/policies" 2>"$kit_dir/policies.for"
"$venv/bin/python" - "$kit_dir/policies" "$home/other.env" <<'PY'
import boto3, json, os, sys
url = os.environ["AWS_ENDPOINT_URL"]
text, documents, at = open(sys.argv[1]).read(), [], 0
while text[at:].strip():
    document, end = json.JSONDecoder().raw_decode(text[at:].lstrip())
    at += len(text[at:]) - len(text[at:].lstrip()) + end
    for statement in document["Statement"]:  # moto knows no resources but roles, and no conditions
        statement.pop("Condition", None)
        if statement["Action"] != ["sts:AssumeRole"]:
            statement["Resource"] = "*"
    documents.append(json.dumps(document))
own, abroad = documents
keys = dict(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
other = {k.lower(): v for k, v in (line.split("=", 1) for line in open(sys.argv[2]).read().split("\n"))}
boto3.client("iam", endpoint_url=url, region_name="us-east-1", **keys).put_role_policy(RoleName="sluice", PolicyName="p", PolicyDocument=own)
boto3.client("iam", endpoint_url=url, region_name="us-east-1", **other).put_role_policy(RoleName="access", PolicyName="p", PolicyDocument=abroad)
PY
wants 'iam-policy has a document for the role in the other account' 'role/access' "$(cat "$kit_dir/policies.for")"
moto_auth 0 # from here on every signature and every permission counts

start_sluice() {
    start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
    sluice=$started
    wait_port "$port" "$sluice" || not_ok 'Sluice starts' "$(cat "$kit_dir/sluice.log")"
}
stop_sluice() { stop "$sluice"; }
start_sluice
ask() { # USER [SQL]
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=$port dbname=dev user=$1 sslmode=disable" -c "${2:-select session_user}" 2>&1 || true
}

equals 'a cluster without endpoint is found, and a login made for it' IAM:loader "$(ask found)"
equals 'one with an endpoint; a user that is created' IAMA:named "$(ask named)"
wants 'the call has groups, autocreate and duration' '1 1 1' \
    "$(front_calls GetClusterCredentials DbGroups.DbGroup.2 g2) $(front_calls GetClusterCredentials AutoCreate true) $(front_calls GetClusterCredentials DurationSeconds 1200)"
equals 'a cluster in another account, by a role there' IAM:roamer "$(ask abroad)"
wants 'with the external id, and our name in CloudTrail' '1 2' \
    "$(front_calls AssumeRole ExternalId ours-only) $(front_calls AssumeRole RoleSessionName crossing)"
equals 'GetClusterCredentialsWithIAM' IAMR:proxy "$(ask as-itself)"
equals 'a serverless workgroup, found by its name' IAMR:proxy "$(ask serverless)"
equals 'a password from Parameter Store' s1 "$(ask s1)"
equals 'a password from Secrets Manager, one key of it' s2 "$(ask s2)"
wants 'the login at the warehouse is one that expires' 'f' "$(admin "select rolvaliduntil is null from pg_roles where rolname = 'IAM:loader'")"

# ---- what administrators see ----------------------------------------------------------------------------------
curl -sS --noproxy '*' "$AWS_ENDPOINT_URL/-/secrets" | grep . >>"$home/secret-words"
shows=0
# shellcheck disable=SC2016 # the quotes are Markdown's
"$binary" describe admin | sed -n 's/^| `\(SHOW [A-Z_]*\)`.*/\1/p' >"$kit_dir/shows"
while read -r show; do
    "$pg_bin/psql" -qXA "host=127.0.0.1 port=$port dbname=sluice user=ops sslmode=disable" -c "$show" -c "${show/SHOW/SHOW EXTENDED}" >>"$kit_dir/shown" 2>&1 ||
        not_ok "$show" "$(tail -3 "$kit_dir/shown")"
    shows=$((shows + 1))
done <"$kit_dir/shows"
[ "$shows" -ge 25 ] || not_ok 'every SHOW' "$shows"
for words in 's1: ssm:/sluice/static' 'IAM:loader' 'clusters.found'; do
    grep -qF "$words" "$kit_dir/shown" || not_ok "they show what there is" "no $words in: $(grep -F clusters.static "$kit_dir/shown")"
done
! grep -oFf "$home/secret-words" "$kit_dir/shown" >"$kit_dir/leaks" || not_ok 'no secret in what the console shows' "$(sort -u "$kit_dir/leaks")"
ok "no secret in what the console shows, by $shows commands"

# ---- a memory image of it --------------------------------------------------------------------------------
curl -sS --noproxy '*' "$AWS_ENDPOINT_URL/-/secrets" | grep . >>"$home/secret-words"
pid=$(pgrep -P "$sluice" sluice || echo "$sluice")
equals 'no core file would be written of it, nobody may trace it' root "$(stat -c %U "/proc/$pid/environ")"
if [ -z "${CORE:-}" ]; then
    say 'ok - # SKIP no memory image: CORE=1 makes one, of a gigabyte'
elif command -v gcore >/dev/null && gcore -o "$kit_dir/core" "$pid" >/dev/null 2>&1; then
    ! grep -aoFf "$home/secret-words" "$kit_dir/core.$pid" >"$kit_dir/leaks" || not_ok 'no secret in a memory image of it' "$(sort -u "$kit_dir/leaks")"
    ok 'no secret in a memory image of it'
    rm -f "$kit_dir/core.$pid"
else
    say 'ok - # SKIP no memory image: gcore (gdb) is not here, or may not'
fi

# ---- a secret changes ------------------------------------------------------------------------------------
end_s1() { # its servers, and until the proxy has heard of it
    admin "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 's1'" >/dev/null
    sleep 0.3
}
store() { # the new password, at AWS
    "$venv/bin/python" - "$1" <<'PY'
import boto3, os, sys
moto = os.environ["MOTO"]
boto3.client("ssm", region_name="us-east-1", endpoint_url=moto, aws_access_key_id="k", aws_secret_access_key="x").put_parameter(
    Name="/sluice/static", Value=sys.argv[1], Type="SecureString", Overwrite=True)
PY
}
export MOTO=http://127.0.0.1:$moto_port
moto_auth inf
store second-password
moto_auth 0
admin "alter role s1 password 'second-password'"
echo second-password >>"$home/secret-words"
equals 'sessions go on with the server they have' s1 "$(ask s1)"
kill -HUP "$sluice"
for ((i = 0; i < 50; i++)); do [ "$(grep -c config.reloaded "$kit_dir/sluice.log")" -lt 1 ] || break; sleep 0.1; done
end_s1
equals 'after a reload, the new password' s1 "$(ask s1)"

write_config '{ "region": "us-east-1", "profile": "sluice" }' ' "secret_refresh": "1s",'
kill -HUP "$sluice"
sleep 0.5
moto_auth inf
store third-password
moto_auth 0
echo third-password >>"$home/secret-words"
admin "alter role s1 password 'third-password'"
end_s1
for ((i = 0; i < 60; i++)); do [ "$(grep -c config.reloaded "$kit_dir/sluice.log")" -lt 3 ] || break; sleep 0.1; done
equals 'and by itself, after secret_refresh' s1 "$(ask s1)"

front '{"action": "GetParameter", "mode": "denied"}'
kill -HUP "$sluice"
for ((i = 0; i < 50; i++)); do ! grep -q config.not_reloaded "$kit_dir/sluice.log" || break; sleep 0.1; done
wants 'a reload that cannot have its secrets names the directive' 'clusters.static.credentials.users.s1: ssm:/sluice/static: ssm GetParameter: AccessDenied' \
    "$(grep config.problem "$kit_dir/sluice.log")"
equals 'and changes nothing' s1 "$(ask s1)"
stop_sluice
wants 'nor does it start' 'clusters.static.credentials.users.s1: ssm:/sluice/static' "$("$support/sluice.sh" "$home" "$binary" run --config sluice.json 2>&1 || true)"
front '{"action": "GetParameter", "mode": "none", "count": 0}'

# ---- many at once, cold --------------------------------------------------------------------------------
write_config '{ "region": "us-east-1", "profile": "sluice" }'
start_sluice
before=$(front_calls GetClusterCredentials)
wants "${STORM:-500} clients log in at once" "${STORM:-500} answers, 0 failures" "$(python3 "$root/tests/aws/storm.py" "$port" found dev "${STORM:-500}" || true)"
equals 'and GetClusterCredentials was called once' 1 $(($(front_calls GetClusterCredentials) - before))

# ---- logins that live for seconds, under load -------------------------------------------------------------
stop_sluice
front '{"life": 4}'
lifetime=1s write_config '{ "region": "us-east-1", "profile": "sluice" }'
start_sluice
before=$(front_calls GetClusterCredentials)
wants 'credentials rotate under load: no statement fails' ' 0 failures' "$(python3 "$root/tests/aws/storm.py" "$port" found dev 40 "${LOAD_S:-8}" || true)"
[ $(($(front_calls GetClusterCredentials) - before)) -ge 2 ] || not_ok 'they rotated' "$(front_calls GetClusterCredentials), $before before"
ok 'they rotated meanwhile'
stop_sluice
front '{"life": 0}'

# ---- AWS in trouble ------------------------------------------------------------------------------------
wait=2s connect_timeout=1s write_config '{ "region": "us-east-1", "profile": "sluice" }'
start_sluice
ask found >/dev/null
fault() { front "{\"action\": \"$1\", \"mode\": \"$2\", \"count\": ${3:-1000000}}"; }
quiet_fault() { fault "$1" none 0; }
fresh() { # a login that is not cached: for a database that is not there
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=$port dbname=none$RANDOM$RANDOM user=found sslmode=disable" -c 'select session_user' 2>&1 || true
}
fault GetClusterCredentials throttle 1
wants 'throttled once: a login all the same' 'does not exist' "$(fresh)"
fault GetClusterCredentials throttle
wants 'throttled for good: it says so' 'Throttling: Rate exceeded' "$(fresh)"
equals 'sessions that have a server never notice' IAM:loader "$(ask found)"
fault GetClusterCredentials hang
wants 'AWS hangs: it says so' 'no answer' "$(fresh)"
fault GetClusterCredentials fail
wants 'AWS fails: it says so' 'HTTP 503' "$(fresh)"
fault GetClusterCredentials denied
wants 'AWS refuses: the hint says what to look at' 'sluice iam-policy' "$(fresh)"
fault GetClusterCredentials bomb
wants 'an XML bomb is no login' 'the answer has no database credentials' "$(fresh)"
fault GetClusterCredentials huge
wants 'nor are ten megabytes' 'the answer is too large' "$(fresh)"
fault GetClusterCredentials redirect
wants 'a redirect is not followed' 'HTTP 302' "$(fresh)"
equals 'truly not' 0 "$(front_calls /elsewhere)"
fault GetClusterCredentials html
wants 'a web page is no login' 'the answer has no database credentials' "$(fresh)"
fault GetClusterCredentials expired 1
wants 'keys that AWS calls expired are fetched anew, once' 'does not exist' "$(fresh)"
fault GetClusterCredentials skew
wants 'a clock that is an hour off is corrected' 'does not exist' "$(fresh)"
quiet_fault GetClusterCredentials
equals 'and all is well again' IAM:loader "$(ask found)"
stop_sluice

wait=12s connect_timeout=10s write_config '{ "region": "us-east-1", "profile": "sluice" }'
start_sluice
fault AssumeRole throttle
wants 'STS throttles: who needs a login hears of it' 'Throttling: Rate exceeded' "$(ask found)"
quiet_fault AssumeRole
stop_sluice

# ---- what `sluice credentials test` says ---------------------------------------------------------------------
write_config '{ "region": "us-east-1", "profile": "sluice" }'
test_credentials() { "$binary" credentials test --json --config "$home/sluice.json" 2>&1 | tee -a "$kit_dir/said" || true; }
row() { grep -F "\"what\":\"$1" <<<"$said" || true; }
said=$(test_credentials)
wants 'credentials test: the identity that the proxy has' 'assumed-role/sluice/sluice-out-test","account":"123456789012","region":"us-east-1"' "$(row chosen)"
wants 'every secret' '"status":"PASS","what":"clusters.static.credentials.users.s2","said":"secretsmanager:warehouse#password"' "$said"
wants 'every cluster' '"status":"PASS","what":"clusters.abroad as roamer","said":"IAM:roamer"' "$said"
wants 'where nothing is configured, it is skipped' '"status":"SKIP","what":"container"' "$said"
wants 'all in all' '"failed":0' "$said"
sed -i 's/profile": "sluice"/profile": "bare"/' "$home/sluice.json"
said=$(test_credentials)
wants 'keys that may do nothing: who one is' 'user/bare' "$(row chosen)"
wants 'that they live for ever' 'rotate them' "$(row chosen)"
wants 'and what to do for each refusal' 'sluice iam-policy' "$(row clusters.named)"
sed -i 's/profile": "bare"/profile": "nobody"/' "$home/sluice.json"
said=$(test_credentials)
wants 'a profile that is not there: which are' 'profiles that are: sluice, base, bare' "$(row chosen)"

# The rest of the methods, each by itself; moto's metadata service, which no proxy may come between.
moto_auth inf
sed -i 's/, "profile": "nobody"//' "$home/sluice.json"
printf '[profile company]\nsso_start_url = https://corp/start\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = R\n' >>"$home/.aws/config"
mkdir -p "$home/.aws/sso/cache"
cache=$home/.aws/sso/cache/$(printf %s https://corp/start | sha1sum | cut -d' ' -f1).json
printf '{"startUrl":"https://corp/start","region":"us-east-1","accessToken":"A","expiresAt":"%s"}' 2099-01-01T00:00:00Z >"$cache"
said=$(AWS_PROFILE=company test_credentials)
wants 'SSO' '"status":"PASS","what":"SSO"' "$said"
printf '{"startUrl":"https://corp/start","region":"us-east-1","accessToken":"A","expiresAt":"%s"}' 2020-01-01T00:00:00Z >"$cache"
said=$(AWS_PROFILE=company test_credentials)
wants 'SSO that is over: what to run' 'run: aws sso login --profile company' "$(row SSO)"
said=$(AWS_CONTAINER_CREDENTIALS_FULL_URI="$AWS_ENDPOINT_URL/container" test_credentials)
wants 'a container' '"status":"PASS","what":"container"' "$said"
said=$(AWS_ENDPOINT_URL=http://localhost:$front_port no_proxy=localhost http_proxy=http://127.0.0.1:1 AWS_EC2_METADATA_DISABLED=false \
    AWS_EC2_METADATA_SERVICE_ENDPOINT=$MOTO test_credentials)
wants 'an instance, by its metadata service, past http_proxy' '"status":"PASS","what":"EC2 metadata"' "$said"
printf 'AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=from-the-env-file\n' >"$home/sluice.env"
chmod 644 "$home/sluice.env"
sed -i 's/"workers": 2,/"workers": 2, "env_file": "sluice.env",/' "$home/sluice.json"
said=$(test_credentials)
wants 'keys in env_file' '"status":"PASS","what":"environment"' "$said"
wants 'others can read it: check warns' 'everybody may read it' "$(check)"

# ---- real host names, through a proxy, whose certificates only AWS_CA_BUNDLE vouches for -----------------------
proxy_port=''
free_port proxy_port
start moto_proxy "$venv/bin/moto_proxy" -H 127.0.0.1 -p "$proxy_port"
wait_port "$proxy_port" "$started" || die 'moto_proxy did not start'
bundle=$(echo "$venv"/lib/python3*/site-packages/moto/moto_proxy/ca.crt)
through() { # COMMAND...
    env -u AWS_ENDPOINT_URL https_proxy="http://127.0.0.1:$proxy_port" AWS_CA_BUNDLE="$bundle" AWS_REGION=us-east-1 \
        AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=x "$@"
}
through "$venv/bin/python" - <<'PY'
import boto3
boto3.client("redshift", region_name="us-east-1").create_cluster(
    ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Passw0rd!", DBName="dev")
PY
wants 'through https_proxy, redshift.us-east-1.amazonaws.com' '"status":"PASS","what":"clusters.found as loader","said":"IAM:loader"' \
    "$(through "$binary" credentials test --json --config "$home/sluice.json" || true)"
printf '[default]\nca_bundle = %s\n' "$bundle" >"$home/trusting"
wants 'the profile may name that bundle instead' '"status":"PASS","what":"clusters.found as loader","said":"IAM:loader"' \
    "$(through env -u AWS_CA_BUNDLE AWS_CONFIG_FILE="$home/trusting" "$binary" credentials test --json --config "$home/sluice.json" || true)"
wants 'without AWS_CA_BUNDLE its certificate is not believed' 'TLS' \
    "$(through env -u AWS_CA_BUNDLE "$binary" credentials test --json --config "$home/sluice.json" | grep '"chosen"' || true)"
wants 'no_proxy is heard' 'resolve' \
    "$(through env no_proxy=.amazonaws.com "$binary" credentials test --json --config "$home/sluice.json" | grep '"chosen"' || true)"

# ---- secrets ---------------------------------------------------------------------------------------------
curl -sS --noproxy '*' "$AWS_ENDPOINT_URL/-/secrets" | grep . >>"$home/secret-words"
! grep -oFf "$home/secret-words" "$kit_dir/sluice.log" >"$kit_dir/leaks" || not_ok 'no secret in the log' "$(sort -u "$kit_dir/leaks")"
ok 'no secret in the log'
! grep -oFf "$home/secret-words" "$kit_dir/said" >"$kit_dir/leaks" || not_ok 'nor in what credentials test says' "$(sort -u "$kit_dir/leaks")"
ok 'nor in what credentials test says'
! grep -E 'Sanitizer|runtime error' "$kit_dir/sluice.log" || not_ok 'no sanitizer report' ''
