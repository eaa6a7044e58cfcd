#!/usr/bin/env bash
# causes.sh: what can go wrong at night is made to go wrong: the warehouse is paused, the pool is exhausted, a
# rule denies too much, Redis is gone, AWS denies credentials. For each, the dashboard (a real browser), /readyz,
# the log and the metrics name the cause, and all of them say when it is over. Screenshots in build/browser/shots.
#
#   clients --> Sluice --> PostgreSQL, its address and logins from moto (with front.py before it); Redis beside
#
# TAP. Without a browser that part is skipped, loudly; without moto all of it. `make drill`; NO_BROWSER=1: the rest.
# shellcheck disable=SC2154,SC2153 # ports are assigned by name (free_port), SEER_PID by coproc
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/browser.sh
. "$support/browser.sh"
# shellcheck source=tests/aws/world.sh
. "$root/tests/aws/world.sh"

binary=${SLUICE:-$build/sluice}
ensure_venv
has_browser=''
[ -n "${NO_BROWSER:-}" ] || { browser_find && has_browser=1; } || say "ok - # SKIP the dashboard goes unseen: $browser_lacks"
kit_begin causes
start_world
free_port port
free_port admin_port
free_port health_port
free_port redis_port
start_redis() {
    start redis "$support/redis.sh" "$kit_dir/redis" "$redis_port"
    redis=$started
    wait_port "$redis_port" "$redis" || die 'Redis did not start'
}
start_redis
front '{"life": 0}'
aws() { # STATEMENT: python, with `redshift`
    MOTO=http://127.0.0.1:$moto_port "$venv/bin/python" -c "
import boto3, os
redshift = boto3.client('redshift', region_name='us-east-1', endpoint_url=os.environ['MOTO'], aws_access_key_id='k', aws_secret_access_key='x')
$1"
}
aws "redshift.create_cluster(ClusterIdentifier='c1', NodeType='ra3.large', MasterUsername='admin', MasterUserPassword='Passw0rd!', DBName='dev')"
admin() { "$pg_bin/psql" -qXAt -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d dev -c "$1"; }
admin 'create table events (id int); create table salaries (name text)'

home=$kit_dir/sluice
mkdir -m 700 "$home"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/certs/ca.crt" "$home/"
printf 'correct horse' >"$home/password"
cat >"$home/sluice.json" <<JSON
{ "server_id": "causes", "workers": 2, "drain_timeout": "1s", "aws": { "region": "us-east-1" },
  "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": { "warehouse": { "ca": "ca.crt", "credentials": { "source": "iam", "cluster_identifier": "c1" }, "max_connections": 10 } },
  "users": {
    "report": { "auth": ["trust"], "role": "owner", "db_user": "report" },
    "fresh":  { "auth": ["trust"], "role": "owner", "db_user": "fresh" },
    "loader": { "auth": ["trust"], "role": "loader", "db_user": "report" },
    "lambda": { "auth": ["iam"], "arns": ["arn:aws:iam::123456789012:role/lambda"], "role": "loader", "db_user": "report" },
    "ops":    { "auth": ["scram-sha-256"], "password": "file:password", "role": "owner", "db_user": "report", "console": "operator" } },
  "roles": {
    "owner":  { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] },
    "loader": { "insert_only": ["public.events"], "excess_privilege": "warn" } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "admin": { "address": "127.0.0.1:$admin_port", "tls": { "certificate": "server.crt", "key": "file:server.key" } },
  "health": { "address": "127.0.0.1:$health_port" },
  "routes": { "source": "file:routes.json", "cache": "redis://127.0.0.1:$redis_port", "signing_key": "env:ROUTES_KEY" },
  "pool": { "mode": "transaction", "size": 2, "wait_timeout": "60s", "server_connect_timeout": "2s" } }
JSON
echo '{ "version": 1, "rules": [ { "id": "default", "to": "warehouse" } ] }' >"$home/routes.json"
hand_over "$home"
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret ROUTES_KEY=0123456789abcdef0123456789abcdef
start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
sluice=$started
log=$kit_dir/sluice.log
wait_port "$admin_port" "$sluice" || not_ok 'Sluice starts' "$(cat "$log")"

# ---- who asks, and who looks -----------------------------------------------------------------------------
ask() { # USER SQL
    "$pg_bin/psql" -wqXAt "host=127.0.0.1 port=$port dbname=dev user=$1 sslmode=disable" -c "$2" 2>&1 || true
}
asks() { start "ask$1$RANDOM" ask "$1" "$2"; } # in the background
readyz() { curl -sS --noproxy '*' --max-time 10 -o "$kit_dir/readyz" -w '%{http_code}\n' "http://127.0.0.1:$health_port/readyz" >"$kit_dir/status" || true; cat "$kit_dir/status" "$kit_dir/readyz"; }
metrics() { curl -sSk --noproxy '*' --max-time 10 "https://127.0.0.1:$admin_port/metrics"; }
until_says() { # NAME WORDS COMMAND...: for 20 s at the most
    local name=$1 words=$2 tries said
    shift 2
    for ((tries = 0; tries < 200; tries++)); do
        said=$("$@")
        [[ $said != *"$words"* ]] || break
        sleep 0.1
    done
    wants "$name" "$words" "$said"
}
seer=''
if [ -n "$has_browser" ]; then
    coproc SEER { DASHBOARD="https://127.0.0.1:$admin_port" CHROMIUM=$chromium SHOTS=$browser/shots exec node "$browser/node/causes.js" 2>&1; }
    seer=$SEER_PID
    kit_pids+=("$seer")
    read -r -t 60 said <&"${SEER[0]}" || said=nothing
    equals 'somebody looks at the dashboard' ready "$said"
fi
seen() { # NAME FIRST-LINE ELSEWHERE
    local said
    [ -n "$seer" ] || return 0
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >&"${SEER[1]}"
    read -r -t 120 said <&"${SEER[0]}" || said=nothing
    equals "$1: the dashboard shows it, on a desk, on a phone, in the dark" seen "$said"
}

# cause NAME WORD SENTENCE ELSEWHERE STATUS [IN-THE-LOG]: what is provoked now is named by all four.
cause() {
    until_says "$1: /readyz says so" "$3" readyz
    equals "$1: and its status is" "$5" "$(head -1 "$kit_dir/status")"
    until_says "$1: the log names it" "trouble.found cause=$2" cat "$log"
    wants "$1: in the same words" "${6:-$3}" "$(grep "trouble.found cause=$2" "$log" | tail -1 | sed 's/\\"/"/g')"
    wants "$1: the metrics name it" "$(printf 'sluice_diagnosis{cause="%s"} ' "$2")" "$(metrics | grep -v '^sluice_diagnosis{.*} [01]$' || true)"
    seen "$1" "$3" "$4"
}

over() { # NAME WORD
    until_says "$1: /readyz says when it is over" 'diagnosis: All is well' readyz
    until_says "$1: so does the log" "trouble.over cause=$2" cat "$log"
    seen "$1-over" 'All is well' ''
}

equals 'a statement goes through' 1 "$(ask report 'select 1')"
until_says 'all is well' 'diagnosis: All is well' readyz

# ---- AWS denies credentials: who has none yet waits; who has a session does not notice ----------------------
front '{"action": "GetClusterCredentials", "mode": "denied", "count": 1000000}'
asks fresh 'select 1'
waits=$started
cause credentials-denied credentials 'AWS: no credentials for cluster warehouse: redshift GetClusterCredentials: AccessDenied' 'AccessDenied' 200
equals 'credentials-denied: who has a server does not notice' 1 "$(ask report 'select 1')"
wants 'credentials-denied: its own event has the hint' 'sluice iam-policy' "$(grep credentials.failed "$log" | head -1)"
front '{"action": "GetClusterCredentials", "mode": "none", "count": 0}'
wait "$waits" || true
for ((i = 0; i < 60; i++)); do [ "$(ask fresh 'select 1')" != 1 ] || break; sleep 1; done # a refusal is remembered for a while
over credentials-denied credentials

# ---- the pool is exhausted -------------------------------------------------------------------------------
held=()
for i in 1 2; do
    asks report "begin; select pg_sleep(100 + $i)"
    held+=("$started")
done
sleep 0.5
for i in 1 2 3; do asks report "select $i"; done
cause pool-exhausted pool-full 'The pool: 2 servers of warehouse/dev/report/owner are all lent; 3 clients wait' 'the pool is full' 200
admin "select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(10%' and pid <> pg_backend_pid()" >/dev/null
over pool-exhausted pool-full

# ---- a rule denies too much --------------------------------------------------------------------------------
"$pg_bin/psql" -wqXAt "host=127.0.0.1 port=$port dbname=dev user=loader sslmode=disable" >/dev/null 2>&1 \
    < <(for i in {1..20}; do echo "select name from salaries where id = $i;"; done) || true
cause rule-denies rule 'Your rule: 20 refusals in the last minute' salaries 200
wants 'rule-denies: the role and the reason' 'the last one by role loader (read)' "$(grep diagnosis: "$kit_dir/readyz")"
wants 'rule-denies: each in the log, with its decision' 'policy.denied decision=d-' "$(grep policy.denied "$log" | head -1)"

# ---- Redis is gone ---------------------------------------------------------------------------------------
# (The refusals of a moment ago are still in the last minute: the worse cause stands first.)
stop "$redis" KILL
cause redis-gone redis 'Redis is gone' 'Your rule' 200
wants 'redis-gone: what it means' 'logins by IAM token are turned away' "$(grep diagnosis: "$kit_dir/readyz")"
equals 'redis-gone: statements go on' 1 "$(ask report 'select 1')"
start_redis
until_says 'redis-gone: the log says when it is over' 'trouble.over cause=redis' cat "$log"
for ((i = 0; i < 70; i++)); do ! grep -q 'trouble.over cause=rule' "$log" || break; sleep 1; done
over rule-denies rule

# ---- the warehouse is paused -------------------------------------------------------------------------------
aws "redshift.pause_cluster(ClusterIdentifier='c1')"
kill -INT "$(head -1 "$kit_dir/warehouse/postmaster.pid")"
while [ -e "$kit_dir/warehouse/postmaster.pid" ]; do sleep 0.05; done
asks report 'select 1'
waits=$started
cause warehouse-paused unreachable 'Redshift: cluster warehouse cannot be reached: cluster "warehouse" is paused' 'the cluster cannot be reached' 503 \
    'Redshift: cluster warehouse cannot be reached'
wants 'warehouse-paused: and what to do' 'resume it: aws redshift resume-cluster' "$("$pg_bin/psql" -wqXAt "host=127.0.0.1 port=$port dbname=sluice user=ops password='correct horse' sslmode=disable" -c 'show diagnosis' 2>&1 || true)"
wants 'warehouse-paused: its own event' 'is paused' "$(grep cluster.not_found "$log" | tail -1)"
start warehouse-again unprivileged "$pg_bin/postgres" -D "$kit_dir/warehouse"
aws "redshift.resume_cluster(ClusterIdentifier='c1')"
wait "$waits" || true
over warehouse-paused unreachable
for ((i = 0; i < 60; i++)); do [ "$(ask report 'select 1')" != 1 ] || break; sleep 1; done
equals 'and statements go through again' 1 "$(ask report 'select 1')"

! grep -E 'Sanitizer|runtime error' "$log" || not_ok 'no sanitizer report' ''
say "1..$steps"
