# shellcheck shell=bash disable=SC2154
# routes: what the tests and drills of routing tables' sources share. Source it after env.sh.
#
#   routes_begin SOURCE N   a PostgreSQL, a Redis, N proxies that take their table from SOURCE
#   routes_load_start       statements and logins through all of them, until routes_load_end, which
#                           fails if one failed
#   table NAME              a table that sends user app to database NAME, on stdout
#   route WORDS...          sluice route WORDS, with the proxies' configuration
#   metric N NAME           a metric of proxy N
#   total NAME              the sum of all proxies'
#   all_have NAME VALUE     until all proxies' metric is that; fails after 20 s
#   all_send_to DATABASE    until that is where all send app
#   says PATTERN            until some proxy's log has it
#   console N USER COMMAND  what the console of proxy N says
#   redis WORDS...          redis-cli
#   routes_moto             DynamoDB by moto, for what is started afterwards; fails, having said so,
#                           where that cannot be had. $moto: its pid
#   aws_python              a script on stdin, for which `table` is the table sluice-routes

pass=0
ok() {
    pass=$((pass + 1))
    say "ok $pass - $1"
}
not_ok() {
    say "not ok $((pass + 1)) - $1"
    tail -n 30 "$kit_dir"/sluice*.log "$kit_dir"/load*.log
    exit 1
}
wants() { # NAME EXPECTED TEXT
    case $3 in
    *"$2"*) ok "$1" ;;
    *)
        say "wanted \"$2\" in: $3"
        not_ok "$1"
        ;;
    esac
}

redis() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@" 2>&1; }

start_redis() {
    start "redis$redis_starts" "$support/redis.sh" "$kit_dir/redis" "$redis_port"
    redis_starts=$((redis_starts + 1))
    redis_pid=$started
    wait_port "$redis_port" "$redis_pid" || die 'Redis did not start'
}

routes_moto() {
    local venv=$root/build/moto
    one_at_a_time install_moto || {
        say '# SKIP moto cannot be installed from PyPI'
        return 1
    }
    routes_kit
    moto_python=$venv/bin/python moto_port=''
    free_port moto_port
    export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=not-a-secret AWS_REGION=us-east-1
    export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:$moto_port AWS_EC2_METADATA_DISABLED=true
    unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_CA_BUNDLE https_proxy http_proxy HTTPS_PROXY
    start moto "$venv/bin/moto_server" -H 127.0.0.1 -p "$moto_port"
    moto=$started
    wait_port "$moto_port" "$moto" || die 'moto did not start'
    "$moto_python" - <<'PY'
import boto3
key = lambda name, kind: {"AttributeName": name, "KeyType": kind}
boto3.client("dynamodb", region_name="us-east-1").create_table(
    TableName="sluice-routes", BillingMode="PAY_PER_REQUEST", KeySchema=[key("pk", "HASH"), key("sk", "RANGE")],
    AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")])
PY
}

aws_python() {
    {
        printf 'import boto3\ntable = boto3.resource("dynamodb", region_name="us-east-1").Table("sluice-routes")\n'
        cat
    } | "$moto_python" -
}

routes_config() { # N: its configuration
    cat <<JSON
{ "server_id": "routes-test", "workers": 1, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:${ports[$1]}" } ],
  "clusters": { "pg": { "endpoint": "127.0.0.1:$warehouse_port", "tls": { "mode": "disable" },
      "credentials": { "source": "static", "users": { "postgres": "env:PG_PASSWORD" } }, "max_connections": ${max_connections:-20} } },
  "users": { "app": { "auth": ["trust"], "role": "all", "db_user": "postgres" },
      "ops": { "auth": ["trust"], "role": "all", "db_user": "postgres", "console": "operator" },
      "rita": { "auth": ["trust"], "role": "all", "db_user": "postgres", "console": "router" },
      "rob": { "auth": ["trust"], "role": "all", "db_user": "postgres", "console": "router" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ], "db_users": ["postgres"] } },
  "access": [ { "from": ["127.0.0.1"], "users": ["*"] } ],
  "pool": { "mode": "transaction", "size": ${pool_size:-4} },
  "admin": { "address": "127.0.0.1:${admins[$1]}" },
  "audit": { "to": "file:audit.jsonl" },
  "aws": { "region": "us-east-1" },
  "routes": { "source": "$source", "refresh": "${refresh:-1s}", "saved": "saved.routes"${approval:+, \"approval\": true}
      ${routes_cache-, \"cache\": \"redis://127.0.0.1:$redis_port\", \"signing_key\": \"env:ROUTES_KEY\"} } ${routes_extra:-} }
JSON
}

start_proxy() { # N
    local home=$kit_dir/proxy$1
    mkdir -p "$home"
    chmod 700 "$home"
    routes_config "$1" >"$home/sluice.json"
    [ -z "${routes_first:-}" ] || cp "$routes_first" "$home/routes.json"
    hand_over "$home"
    start "sluice$1.$proxy_starts" "$support/sluice.sh" "$home" "$binary" run --config sluice.json
    proxies[$1]=$started
    proxy_logs[$1]=$kit_dir/sluice$1.$proxy_starts.log
    proxy_starts=$((proxy_starts + 1))
    wait_port "${ports[$1]}" "$started" || not_ok "proxy $1 did not start"
}

routes_kit() {
    [ -z "${kit_dir:-}" ] || return 0
    binary=${SLUICE:-$build/sluice}
    kit_begin routes
}

routes_begin() { # SOURCE N
    source=$1 count=$2
    routes_kit
    warehouse_port='' redis_port='' redis_starts=0 proxy_starts=0
    ports=() admins=() proxies=() proxy_logs=()
    free_port warehouse_port
    free_port redis_port
    PG_PASSWORD=none ROUTES_KEY=${ROUTES_KEY:-$(openssl rand -hex 24)}
    export PG_PASSWORD ROUTES_KEY
    start_postgres "$kit_dir/warehouse" "$warehouse_port"
    "$pg_bin/psql" -qX -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres \
        -c 'create database one' -c 'create database two' -c 'create database three'
    start_redis
    local n
    for ((n = 0; n < count; n++)); do
        free_port "ports[$n]"
        free_port "admins[$n]"
        start_proxy $n
    done
}

table() { # DATABASE
    printf '{ "rules": [ { "id": "r", "when": { "user": "app" }, "to": "pg", "database": "%s" } ],\n' "$1"
    printf '  "tests": [ { "name": "t", "user": "app", "database": "x", "expect": { "rule": "r" } } ] }\n'
}

large_table() { # DATABASE: of several pieces in DynamoDB
    local n
    printf '{ "rules": [\n'
    for ((n = 0; n < 3500; n++)); do
        printf '{ "id": "never-%d", "when": { "user": "app", "application": "nobody-%d" }, "to": "pg", "database": "two" },\n' $n $n
    done
    printf '{ "id": "r", "when": { "user": "app" }, "to": "pg", "database": "%s" } ] }\n' "$1"
}

route() { "$binary" route "$@" --config "$kit_dir/proxy0/sluice.json" 2>&1; }

metric() { # N NAME
    curl -s --max-time 5 "http://127.0.0.1:${admins[$1]}/metrics" | grep -F "sluice_$2" | grep -v '^#' | head -1 | sed 's/.* //'
}

until_so() { # COMMAND...: retried for 20 s
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}

total() {
    local n sum=0
    for ((n = 0; n < count; n++)); do sum=$((sum + $(metric $n "$1"))); done
    echo $sum
}

each_has() {
    local n
    for ((n = 0; n < count; n++)); do [ "$(metric $n "$1")" = "$2" ] || return 1; done
}
all_have() { until_so each_has "$@"; }

console() { # N USER COMMAND
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=${ports[$1]} user=$2 dbname=sluice sslmode=disable connect_timeout=30" -c "$3" 2>&1
}

database_of() { # N: where a new session of app lands
    "$pg_bin/psql" -qXAt "host=127.0.0.1 port=${ports[$1]} user=app dbname=x sslmode=disable connect_timeout=10" \
        -c 'select current_database()' 2>&1
}
each_sends_to() {
    local n
    for ((n = 0; n < count; n++)); do [ "$(database_of $n)" = "$1" ] || return 1; done
}
all_send_to() { until_so each_sends_to "$1"; }

logs_have() { grep -q -- "$1" "${proxy_logs[@]}"; } # (in a pipe, grep -q would end what feeds it)
says() { until_so logs_have "$1"; }

routes_load_start() {
    local n
    loads=()
    printf 'select 1;\n' >"$kit_dir/one.sql"
    printf 'select 1;\n\\sleep 40 ms\n' >"$kit_dir/slow.sql"
    for ((n = 0; n < count; n++)); do
        # Sessions that stay, and sessions that log in each time.
        start "load$n.stay" "$pg_bin/pgbench" -n -f "$kit_dir/slow.sql" -c 3 -T 3600 -h 127.0.0.1 -p "${ports[$n]}" -U app x
        loads+=("$started")
        start "load$n.come" "$pg_bin/pgbench" -n -C -f "$kit_dir/slow.sql" -c 1 -T 3600 -h 127.0.0.1 -p "${ports[$n]}" -U app x
        loads+=("$started")
    done
}

# A client of pgbench whose statement or login fails ends with a message.
routes_load_end() { # NAME
    local pid
    for pid in "${loads[@]}"; do
        kill -0 "$pid" 2>/dev/null || not_ok "$1: a client gave up"
    done
    ! grep -iE 'error|abort|fatal' "$kit_dir"/load*.log || not_ok "$1"
    for pid in "${loads[@]}"; do stop "$pid" INT; done
    ok "$1"
}

routes_end() {
    local n
    for ((n = 0; n < count; n++)); do stop "${proxies[$n]}"; done
    ! grep -E 'Sanitizer|runtime error' "$kit_dir"/sluice*.log || not_ok 'a sanitizer has something to say'
    ! grep -F -- "$ROUTES_KEY" "$kit_dir"/sluice*.log || not_ok 'the signing key stands in a log'
    say "# $pass steps held"
}
