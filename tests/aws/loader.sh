#!/usr/bin/env bash
# loader.sh: the archetypal client, end to end: a loader in Lambda that may load and nothing else.
#
#   loader.mjs (Node, pg) --> a bucket at moto: files, a manifest
#        `-- TLS, a token of its role --> Sluice -- TLS, a login from GetClusterCredentials --> the fake of Redshift
#                                           `--> moto: STS, Redshift        COPY from the bucket <--' `--> PostgreSQL
#
# Rows arrive, a SELECT is refused, the audit record says so, no secret is written anywhere.
# Needs PyPI (moto) and npm (pg, the AWS SDK's signer); skips where it cannot have them, and says so.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/world.sh"

binary=${SLUICE:-$build/sluice}
fake=$build/tools/redshift
for program in "$binary" "$fake"; do
    [ -x "$program" ] || die "no $program: run make integration-tests first"
done
ensure_venv
kit_begin loader
if ! ensure_npm; then
    say 'ok 1 # SKIP loader.sh: pg and the AWS SDK cannot be installed from npm'
    exit 0
fi

moto_port='' sts_port='' pg_port='' warehouse_port='' port=''
for name in sts_port pg_port warehouse_port port; do free_port "$name"; done
start_moto
export AWS_REGION=us-east-1 HOME=$kit_dir
moto=http://127.0.0.1:$moto_port

# ---- an account: a cluster, a bucket, a role whose keys live for an hour ------------------------------------
AWS_ENDPOINT_URL=$moto "$venv/bin/python" - >"$kit_dir/role.env" <<'PY'
import boto3
own = dict(region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
boto3.client("redshift", **own).create_cluster(
    ClusterIdentifier="c1", NodeType="ra3.large", MasterUsername="admin", MasterUserPassword="Passw0rd!", DBName="dev")
boto3.client("s3", **own).create_bucket(Bucket="loads")
keys = boto3.client("sts", **own).assume_role(
    RoleArn="arn:aws:iam::123456789012:role/loader", RoleSessionName="function")["Credentials"]
print(f"AWS_ACCESS_KEY_ID={keys['AccessKeyId']} AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']} "
      f"AWS_SESSION_TOKEN={keys['SessionToken']}")
PY
sed -E 's/AWS_ACCESS_KEY_ID=([^ ]+) AWS_SECRET_ACCESS_KEY=([^ ]+) .*/\1 \2/' "$kit_dir/role.env" >"$kit_dir/secrets"
start sts "$venv/bin/python" "$root/tests/aws/presigned.py" "$sts_port" "$moto_port" "$kit_dir/secrets"
wait_port "$sts_port" "$started" || die 'the STS in front of moto did not start'

# ---- a warehouse: the fake of Redshift before a real PostgreSQL ---------------------------------------------
"$support/certs.sh" "$kit_dir/certs"
mkdir "$kit_dir/s3"
cp "$root/tests/fake/s3.py" "$kit_dir/s3/"
chmod 755 "$kit_dir/s3" "$kit_dir/s3/s3.py"
start_postgres "$kit_dir/pg" "$pg_port"
warehouse() { "$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p "$pg_port" -U postgres "$@"; }
warehouse -d postgres -c 'create database dev' -c 'create role loader login' -c 'grant pg_execute_server_program to loader'
warehouse -d dev <<'SQL'
create table public.t1 (a int, b text);
create table public.stage (a int);
create table public.secrets (a int);
insert into t1 values (0, 'of yesterday');
insert into stage values (1);
alter table t1 owner to loader;
alter table stage owner to loader;
SQL
start warehouse "$fake" -l "$warehouse_port" -s "$pg_port" -a trust -c "$kit_dir/certs" -p "/usr/bin/python3 $kit_dir/s3/s3.py $moto"
wait_port "$warehouse_port" "$started" || die 'the fake of Redshift did not start'

# ---- Sluice -------------------------------------------------------------------------------------------------
home=$kit_dir/sluice
mkdir -m 700 "$home"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/certs/ca.crt" "$home/"
cat >"$home/sluice.json" <<JSON
{ "server_id": "sluice-loader-test",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "certificate": "server.crt", "key": "file:server.key" } } ],
  "clusters": { "warehouse": { "endpoint": "localhost:$warehouse_port", "ca": "ca.crt",
      "credentials": { "source": "iam", "cluster_identifier": "c1" } } },
  "users": { "report": { "auth": ["trust"], "role": "report", "db_user": "loader" },
             "function": { "auth": ["iam"], "arns": ["arn:aws:iam::123456789012:role/loader"], "role": "load",
                           "db_user": "loader" } },
  "roles": { "report": { "grants": [ { "verbs": ["SELECT", "UNLOAD"], "on": ["public.t1"] } ],
                         "search_path": "public", "excess_privilege": "warn" },
             "load": {
      "grants": [ { "verbs": ["COPY", "TRUNCATE", "MAINTAIN"], "on": ["public.t1"] }, { "verbs": ["DELETE"], "on": ["public.stage"] } ],
      "copy": { "from": ["s3://loads/*"] }, "search_path": "public", "excess_privilege": "warn" } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ],
  "audit": { "to": "file:audit.jsonl", "record": "all" },
  "log": { "level": "debug", "statements": "normalized" } }
JSON
hand_over "$home"
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret \
    AWS_ENDPOINT_URL_STS=http://127.0.0.1:$sts_port AWS_ENDPOINT_URL_REDSHIFT=$moto \
    start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
sluice=$started
wait_port "$port" "$sluice" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"

# ---- the loader ---------------------------------------------------------------------------------------------
mkdir "$kit_dir/function"
cp "$root/deploy/lambda/sluice_token.mjs" "$root/tests/aws/loader.mjs" "$kit_dir/function/"
ln -s "$modules" "$kit_dir/function/node_modules"
load() { # MODE
    sleep 1 # each login makes a token of its own, and tokens are made of the second
    # shellcheck disable=SC2046 # the keys, each a word
    env $(cat "$kit_dir/role.env") MODE="$1" S3="$moto" BUCKET=loads NODE_EXTRA_CA_CERTS="$kit_dir/certs/ca.crt" \
        SLUICE_HOST=localhost SLUICE_PORT="$port" SLUICE_SERVER_ID=sluice-loader-test SLUICE_USER=function \
        node "$kit_dir/function/loader.mjs" 2>&1 || true
}
rows() { warehouse -d dev -c "select string_agg(a || '=' || coalesce(b, 'null'), ', ' order by a) from t1"; }

said=$(load load)
wants 'seven statements in one message, each with its answer' \
    '"commands":["SET","BEGIN","DELETE","TRUNCATE","COPY","ANALYZE","COMMIT"]' "$said"
wants 'the load says how many rows it was' '3 record(s) loaded' "$said"
equals 'the rows of both files are in the warehouse, and only they' '1=one, 2=two|and more, 3=null' "$(rows)"
equals 'what precedes the COPY was done too' 0 "$(warehouse -d dev -c 'select count(*) from stage')"
said=$(load missing)
wants 'a manifest that is not there: the detail on which loaders retry' 'S3ServiceException:The specified key does not exist.,Status 404' "$said"
equals 'and nothing of that message is left' '1=one, 2=two|and more, 3=null' "$(rows)"
said=$(load read)
wants 'a SELECT by the same identity is refused' '"code":"42501"' "$said"
! grep -qF 'of yesterday' <<<"$said" || not_ok 'it read nothing' "$said"

# ---- UNLOAD, by somebody who may: into the bucket -----------------------------------------
unload() { # TO [OPTIONS [QUERY]]
    "$pg_bin/psql" -qX "host=localhost hostaddr=127.0.0.1 port=$port dbname=dev user=report sslmode=verify-full sslrootcert=$kit_dir/certs/ca.crt" \
        -c "UNLOAD ('${3:-select a, b from t1 order by a}') TO '$1' IAM_ROLE 'arn:aws:iam::123456789012:role/unload' ${2:-}" 2>&1 || true
}
object() { # KEY: what is there
    AWS_ENDPOINT_URL=$moto "$venv/bin/python" -c '
import boto3, gzip, sys
own = dict(region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x")
try:
    body = boto3.client("s3", **own).get_object(Bucket="loads", Key=sys.argv[1])["Body"].read()
    print((gzip.decompress(body) if sys.argv[1].endswith(".gz") else body).decode(), end="")
except Exception as e:
    print(type(e).__name__)' "$1"
}
said=$(unload s3://loads/out/plain_ 'FORMAT AS CSV HEADER')
equals 'UNLOAD puts the rows into the bucket' $'a,b\n1,one\n2,two|and more\n3,' "$(object out/plain_0000_part_00)"
wants 'not over what is there' 'is not empty' "$(unload s3://loads/out/plain_ CSV)"
unload s3://loads/out/packed_ 'CSV GZIP MANIFEST ALLOWOVERWRITE' >/dev/null
equals 'packed' $'1,one\n2,two|and more\n3,' "$(object out/packed_0000_part_00.gz)"
wants 'with a manifest' 's3://loads/out/packed_0000_part_00.gz' "$(object out/packed_manifest)"
wants 'a table that the role may not read' 'permission denied by proxy' "$(unload s3://loads/out/secret_ CSV 'select * from secrets')"
equals 'is not written' NoSuchKey "$(object out/secret_0000_part_00)"
wants 'two statements in its query' 'permission denied by proxy' "$(unload s3://loads/out/x_ CSV 'select 1; select * from t1')"

# ---- what is left behind ------------------------------------------------------------------------------------
denied=$(grep '"decision":"deny"' "$home/audit.jsonl" || true)
wants 'the audit record has it' '"objects":[{"name":"public.t1","verb":"SELECT"}]' "$denied"
wants 'with the role that asked' '"identity":"arn:aws:iam::123456789012:role/loader"' "$denied"
equals 'and of the loader nothing else was refused' 1 "$(grep -c role/loader <<<"$denied")"
# shellcheck disable=SC2013
for word in $(tr ' ' '\n' <"$kit_dir/role.env" | cut -d= -f2-) not-a-secret sluice-sts-v1; do
    ! grep -qF -- "$word" "$kit_dir/sluice.log" "$home/audit.jsonl" || not_ok 'no secret in log or audit record' "$word"
done
ok 'no secret, no token, no access key in the log or the audit record'
stop "$sluice"
! grep -E 'Sanitizer|runtime error' "$kit_dir/sluice.log" || not_ok 'no sanitizer has anything to say' ''
say "1..$steps"
