#!/usr/bin/env bash
# fleet_partition.sh: three proxies, each in a network namespace of its own, with a link to Redis and one to the
# warehouse; both in a namespace that is theirs. Links go down and up, a proxy is killed while it is cut off; the
# warehouse never sees more than twelve connections, and who can reach it goes on. Needs root; skips without.
#
#   PARTITION_LONG=1   also cut off from both at once
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
if [ -z "${SLUICE_TEST_HOUSE:-}" ]; then
    if ! is_root || ! unshare -n ip link add try0 type veth peer name try1 2>/dev/null; then
        echo '# SKIP network namespaces cannot be made here'
        exit 0
    fi
    SLUICE_TEST_HOUSE=1 exec unshare -n "$0" "$@"
fi
# shellcheck source=tests/support/routes.sh
. "$support/routes.sh"
# shellcheck source=tests/support/fleet_budget.sh
. "$support/fleet_budget.sh"

# ---- the houses: 10.78.N.1 is Redis for proxy N, 10.79.N.1 the warehouse ---------------------------------------
ip link set lo up
houses=()
build_house() { # N
    start "house$1" unshare -n sleep 3600
    houses[$1]=$started
    until [ "$(readlink "/proc/$started/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
    local net=78 link
    for link in redis warehouse; do
        ip link add "$link$1" type veth peer name "$link" netns "$started"
        ip address add "10.$net.$1.1/24" dev "$link$1"
        ip link set "$link$1" up
        in_house "$1" ip address add "10.$net.$1.2/24" dev "$link"
        in_house "$1" ip link set "$link" up
        net=$((net + 1))
    done
    in_house "$1" ip link set lo up
}
in_house() { nsenter -t "${houses[$1]}" -n -- "${@:2}"; }
cut() { ip link set "$2$1" down; }
mend() { ip link set "$2$1" up; }

# What routes.sh does here, done there.
metric() {
    in_house "$1" curl -s --max-time 5 "http://127.0.0.1:${admins[$1]}/metrics" | grep -F "sluice_$2" | grep -v '^#' | head -1 | sed 's/.* //'
}
database_of() {
    in_house "$1" "$pg_bin/psql" -qXAt "host=127.0.0.1 port=${ports[$1]} user=app dbname=x sslmode=disable connect_timeout=10" \
        -c 'select current_database()' 2>&1
}
route() { in_house 0 "$binary" route "$@" --config "$kit_dir/proxy0/sluice.json" 2>&1; }
eval "$(declare -f routes_config | sed '1s/.*/config_here ()/')"
routes_config() {
    config_here "$1" | sed -e "s/127.0.0.1:$warehouse_port/10.79.$1.1:$warehouse_port/" -e "s/127.0.0.1:$redis_port/10.78.$1.1:$redis_port/"
}
start_proxy() {
    local home=$kit_dir/proxy$1
    mkdir -p "$home"
    chmod 700 "$home"
    routes_config "$1" >"$home/sluice.json"
    hand_over "$home"
    start "sluice$1.$proxy_starts" nsenter -t "${houses[$1]}" -n -- "$support/sluice.sh" "$home" "$binary" run --config sluice.json
    proxies[$1]=$started
    proxy_logs[$1]=$kit_dir/sluice$1.$proxy_starts.log
    proxy_starts=$((proxy_starts + 1))
    until_so in_house "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/${ports[$1]}" 2>/dev/null || not_ok "proxy $1 did not start"
}
load() { # N CLIENTS
    start "want$1" bash -c "while :; do nsenter -t ${houses[$1]} -n -- '$pg_bin/pgbench' -n -f '$kit_dir/work.sql' -c $2 -j 1 -T 3600 \
        -h 127.0.0.1 -p ${ports[$1]} -U app x; sleep 0.2; done"
}

# ---- the world --------------------------------------------------------------------------------------------------
source=redis: count=3 limit=12 max_connections=12 pool_size=12
routes_extra=', "fleet": { "share_connections": true, "size": 3, "lease": "5s" }'
routes_kit
warehouse_port='' redis_port='' redis_starts=0 proxy_starts=0 PG_PASSWORD=none ROUTES_KEY=$(openssl rand -hex 24)
ports=() admins=() proxies=() proxy_logs=()
export PG_PASSWORD ROUTES_KEY
free_port warehouse_port
free_port redis_port
printf '%s\n' 'local all all trust' 'host all all 10.0.0.0/8 trust' >"$kit_dir/hba"
# A server whose client is cut off must be noticed within a lease: that is the warehouse's part of the bargain.
start_postgres "$kit_dir/warehouse" "$warehouse_port" --hba "$kit_dir/hba" --set 'listen_addresses=*' \
    --set tcp_keepalives_idle=1 --set tcp_keepalives_interval=1 --set tcp_keepalives_count=2 --set tcp_user_timeout=2000
"$pg_bin/psql" -qX -h "$kit_dir/warehouse" -p "$warehouse_port" -U postgres -d postgres -c 'create database one'
start redis "$support/redis.sh" "$kit_dir/redis" "$redis_port" --bind 0.0.0.0 --protected-mode no
wait_port "$redis_port" "$started" || die 'Redis did not start'
for n in 0 1 2; do
    free_port "ports[$n]"
    free_port "admins[$n]"
    build_house $n
    start_proxy $n
done
table one >"$kit_dir/one.json"
route publish "$kit_dir/one.json" >/dev/null
all_send_to one || not_ok 'the proxies begin'
ok 'three proxies in three namespaces'

# ---- cancels ----------------------------------------------------------------------------------------------------
all_have fleet_members 3 || not_ok 'three proxies have met'
for ask in 0 1 2; do
    wants "cancels through proxy $ask" 5 "$(python3 "$support/fleet_client.py" cancel "${ports[1]}@${houses[1]}" "${ports[$ask]}@${houses[$ask]}" 5 2>&1)"
done

printf 'select pg_sleep(0.02);\n' >"$kit_dir/work.sql"
start watch budget_watch
has_at_least() { [ "$(leased "$1")" -ge "$2" ]; }
has_at_most() { [ "$(leased "$1")" -le "$2" ]; }
serves() { [ "$(database_of "$1")" = one ]; }

load 0 12
until_so has_at_least 0 7 || not_ok "who alone wants more has more: $(leased 0)"
load 1 12
until_so has_at_least 1 5 || not_ok "another one wants some: $(leased 1)"
ok 'two of them want all, and share'

# ---- cut off from Redis alone -----------------------------------------------------------------------------------
cut 0 redis
until_so has_at_most 0 4 || not_ok "cut off from Redis: no more than its even part: $(leased 0)"
serves 0 || not_ok 'and it goes on'
ok 'cut off from Redis it gives back what is above its even part, and goes on'
sleep 2
has_at_most 0 4 || not_ok 'for as long as it is cut off'
mend 0 redis
until_so has_at_least 0 5 || not_ok "together again: $(leased 0)"
ok 'together again, it has a lease'

# ---- killed while it is cut off, and another beside it ------------------------------------------------------------
cut 0 redis
sleep 1
stop "${proxies[1]}" KILL
start_proxy 1
stop "${proxies[0]}" KILL
start_proxy 0
mend 0 redis
until_so serves 0 || not_ok 'killed while it was cut off: it serves again'
until_so has_at_least 0 5 || not_ok "and has its part again: $(leased 0)"
until_so has_at_least 1 5 || not_ok "and so has the other: $(leased 1)"
ok 'killed while one of them was cut off, both have their parts again'
if [ -n "${PARTITION_LONG:-}" ]; then # cut off from all
    cut 1 redis
    cut 1 warehouse
    until_so has_at_least 0 6 || not_ok "the others take what it leaves: $(leased 0)"
    serves 2 || not_ok 'and go on'
    sleep 4
    mend 1 redis
    mend 1 warehouse
    until_so serves 1 || not_ok 'together again, it serves'
    until_so has_at_least 1 5 || not_ok "and has its part: $(leased 1)"
    ok 'cut off from all: the others go on, and it comes back'
fi
[ "$(wc -l <"$kit_dir/counts")" -gt 100 ] || not_ok 'the warehouse was looked at'
[ "$(breaches)" = 0 ] || not_ok "twelve connections, but there were $(highest)"
ok "never more than twelve connections ($(highest) at a look, $(wc -l <"$kit_dir/counts") looks)"
routes_end
