#!/usr/bin/env bash
# change.sh: reloads, new certificates, PAUSE and RESUME, and new binaries, under load.
#
#   RELOADS, CERTIFICATES, PAUSES, RESTARTS   how many of each (short by default; `make drill` does more)
#
# Under the first three no statement fails and no idle session is dropped. Under a restart no
# connection is refused or lost in the queue, and no transaction that began is broken; a session that
# is between transactions is told 57P01, and whatever else is told is a failure.
# shellcheck disable=SC2154,SC2153 # ports are assigned by name (free_port), IDLE_PID by coproc
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
reloads=${RELOADS:-20} certificates=${CERTIFICATES:-4} pauses=${PAUSES:-3} restarts=${RESTARTS:-2}
kit_begin change
steps=0
ok() {
    steps=$((steps + 1))
    say "ok $steps - $1"
}
not_ok() {
    steps=$((steps + 1))
    say "not ok $steps - $1" "${2:-}"
    tail -25 "$kit_dir/sluice.log"
    exit 1
}
equals() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted \"$2\", got: $3"; fi; }
until_so() { # CMD...
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        ! "$@" || return 0
        sleep 0.05
    done
    return 1
}

free_port warehouse
free_port port
free_port health
start_postgres "$kit_dir/warehouse" "$warehouse" --set max_connections=60
admin() { "$pg_bin/psql" -qXAt -h "$kit_dir/warehouse" -p "$warehouse" -U postgres -d postgres -c "$1"; }
"$pg_bin/pgbench" -qi -s 1 -h "$kit_dir/warehouse" -p "$warehouse" -U postgres postgres >/dev/null 2>&1
home=$kit_dir/sluice
mkdir -m 700 "$home"
"$support/certs.sh" "$kit_dir/certs"
certificate() { # server|rsa: put in place, whole
    cp "$kit_dir/certs/$1.crt" "$home/next.crt" && cp "$kit_dir/certs/$1.key" "$home/next.key"
    hand_over "$home/next.crt" "$home/next.key"
    mv "$home/next.key" "$home/server.key" && mv "$home/next.crt" "$home/server.crt"
}
config() { # POOL-SIZE
    cat >"$home/next.json" <<JSON
{ "workers": 2, "drain_timeout": "20s",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "allow", "certificate": "server.crt", "key": "file:server.key" } } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$warehouse", "tls": { "mode": "disable" }, "max_connections": 40,
                       "credentials": { "source": "static", "users": { "postgres": "env:HOME" } } } },
  "users": { "postgres": { "auth": ["trust"], "role": "all", "console": "operator" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ],
  "pool": { "size": $1, "mode": "transaction" },
  "limits": { "logins_per_second": 0 },
  "log": { "slow_query": "500ms", "statements": "normalized" },
  "health": { "address": "127.0.0.1:$health" } }
JSON
    hand_over "$home/next.json"
    mv "$home/next.json" "$home/sluice.json"
}
certificate server
config 15
log=$kit_dir/sluice.log
start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
sluice=$started
wait_port "$port" "$sluice" || not_ok 'Sluice starts'
words="host=127.0.0.1 port=$port user=postgres sslmode=require"
ask() { "$pg_bin/psql" -qXAt "$words dbname=postgres" -c "$1"; }
console() { "$pg_bin/psql" -qXAt "$words dbname=sluice" -c "$1"; }
shown() { # the certificate that a client sees
    openssl s_client -starttls postgres -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256
}
said() { [ "$(grep -c -- "$1" "$log")" -ge "$2" ]; }

# ---- a session that says nothing all the while ---------------------------------------------------------
coproc IDLE { exec "$pg_bin/psql" -qXAt "$words dbname=postgres" 2>&1; }
idle_pid=$IDLE_PID
kit_pids+=("$idle_pid")
idle() {
    local line
    { printf '%s\n' "select 'still here'; " >&"${IDLE[1]}"; } 2>/dev/null || return 1
    read -r -t 10 line <&"${IDLE[0]}" || return 1
    [ "$line" = 'still here' ]
}
idle || not_ok 'an idle session'

# ---- statements without end -----------------------------------------------------------------------------
admin 'create table crosstalk (client int, number int, filler text)'
start bench "$pg_bin/pgbench" -n -c 6 -j 1 -T 600 -P 5 "$words dbname=postgres"
bench=$started
start crosstalk "$build/soak/crosstalk" -p "$port" -c 4 -t 600 -a 0 -n 100000000 -w "user=postgres dbname=postgres sslmode=disable"
crosstalk=$started
busy() { [ "$(admin 'select xact_commit > 200 from pg_stat_database where datname = current_database()')" = t ]; }
until_so busy || not_ok 'the load runs'

for ((i = 1; i <= reloads; i++)); do
    config $((15 + i % 5))
    kill -HUP "$sluice"
    until_so said config.reloaded "$i" || not_ok "reload $i"
done
ok "$reloads reloads"
done_before=$(grep -c config.reloaded "$log")
for ((i = 1; i <= certificates; i++)); do
    kind=rsa
    [ $((i % 2)) = 1 ] || kind=server
    certificate "$kind"
    kill -HUP "$sluice"
    until_so said config.reloaded $((done_before + i)) || not_ok "certificate $i"
    [ "$(shown)" = "$(openssl x509 -noout -fingerprint -sha256 -in "$kit_dir/certs/$kind.crt")" ] || not_ok "certificate $i is shown"
done
ok "$certificates certificates, each shown to the next client"
for ((i = 1; i <= pauses; i++)); do
    console pause >/dev/null || not_ok "PAUSE $i"
    sleep 0.3
    console resume >/dev/null || not_ok "RESUME $i"
    sleep 0.1
done
ok "$pauses times PAUSE and RESUME"
{ kill -0 "$bench" && kill -0 "$crosstalk"; } 2>/dev/null || not_ok 'the load ran on' "$(tail -3 "$kit_dir/bench.log" "$kit_dir/crosstalk.log")"
stop "$bench" INT
stop "$crosstalk" TERM
! grep -q 'aborted\|error\|FATAL' "$kit_dir/bench.log" || not_ok 'pgbench: no statement failed' "$(cat "$kit_dir/bench.log")"
ok 'pgbench: no statement failed'
! grep -qi 'wrong\|error\|lost' "$kit_dir/crosstalk.log" || not_ok 'cross-talk: no answer is wrong' "$(cat "$kit_dir/crosstalk.log")"
ok 'cross-talk: no answer is wrong'
idle || not_ok 'the idle session is still there'
ok 'the idle session is still there'

# ---- slow statements -------------------------------------------------------------------------------
ask "select pg_sleep(0.6), 'a literal'" >/dev/null
until_so said 'query.slow' 1 || not_ok 'a slow statement is logged'
ask "select pg_sleep(0.01), 'a literal'" >/dev/null
slow=$(grep query.slow "$log")
case $slow in
*'user=postgres'*'fingerprint='[0-9a-f]*'statement="select pg_sleep(?)'*) ok 'a slow statement is logged' ;;
*) not_ok 'a slow statement is logged, with fingerprint and text' "$slow" ;;
esac
! grep -q 'a literal' "$log" || not_ok 'without its literals' "$slow"
ok 'without its literals'
"$pg_bin/pgbench" -n -M prepared -t 2 -f <(echo 'select pg_sleep(0.6 + :n)') -D n=0.01 "$words dbname=postgres" >/dev/null 2>&1
equals 'so is one that is prepared, each time; a fast one is not' 3 \
    "$(grep -cE 'query.slow.*statement="select pg_sleep\(\?(\), \?| \+ \?\))"' "$log")" # (cross-talk sleeps, too)

# ---- a new binary ------------------------------------------------------------------------------------------
# Clients that come and go: each connects, runs one transaction, and leaves.
visit() {
    while [ -d "$kit_dir" ] && [ ! -e "$kit_dir/enough" ]; do
        if "$pg_bin/psql" -qXAt -v ON_ERROR_STOP=1 "$words dbname=postgres" -c 'begin; select pg_sleep(0.02); commit' >/dev/null 2>>"$kit_dir/visits.$1"; then
            echo 1 >>"$kit_dir/visited.$1"
        fi
    done
}
# pgbench, whose clients stay, or come for one transaction: each run ends when its clients were told.
bench_again() { # NAME ARGS...
    local name=$1
    shift
    while [ -d "$kit_dir" ] && [ ! -e "$kit_dir/enough" ]; do
        "$pg_bin/pgbench" -n -c 3 -j 1 -T 4 "$@" "$words dbname=postgres" >>"$kit_dir/benched.$name" 2>>"$kit_dir/bench_said.$name" || true
    done
}
"$pg_bin/pgbench" -qi -s 1 -h "$kit_dir/warehouse" -p "$warehouse" -U postgres postgres >/dev/null 2>&1
start under_restarts "$build/soak/crosstalk" -l -p "$port" -c 6 -t 600 -a 1 -n 100000000 -w "user=postgres dbname=postgres sslmode=require"
crosstalk=$started
visitors=()
bench_again simple &
visitors+=($!)
bench_again prepared -M prepared &
visitors+=($!)
bench_again connecting -C &
visitors+=($!)
for i in 1 2 3 4; do
    visit "$i" &
    visitors+=($!)
done
pid=$sluice
for ((n = 1; n <= restarts; n++)); do
    (ask "begin; select pg_sleep(1.5); commit; select 'whole'" >"$kit_dir/long.$n" 2>&1) &
    long=$!
    "$pg_bin/psql" -qXAt "$words dbname=postgres" -c 'select pg_sleep(30)' >"$kit_dir/cancelled.$n" 2>&1 &
    sleeper=$!
    sleep 0.4
    cp "$binary" "$home/sluice.next" && hand_over "$home/sluice.next" && mv "$home/sluice.next" "$home/sluice"
    kill -USR2 "$pid"
    until_so said takeover.taken "$n" || not_ok "restart $n: the next one listens"
    next=$(grep takeover.begun "$log" | tail -1 | sed 's/.* pid=\([0-9]*\).*/\1/')
    kit_pids+=("$next")
    # A cancel request arrives at the next one, which knows nothing of the session.
    kill -INT "$sleeper"
    wait "$sleeper" || true
    grep -q 'canceling statement due to user request' "$kit_dir/cancelled.$n" || not_ok "restart $n: Ctrl-C of a statement of the old one" "$(cat "$kit_dir/cancelled.$n")"
    wait "$long" || true
    grep -q whole "$kit_dir/long.$n" || not_ok "restart $n: a transaction that was under way ends well" "$(cat "$kit_dir/long.$n")"
    "$binary" health --ready --address "127.0.0.1:$health" >/dev/null || not_ok "restart $n: the next one is ready"
    gone() { [ ! -e "/proc/$pid" ] || [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" = Z ]; }
    until_so gone || not_ok "restart $n: the old one goes"
    pid=$next
done
ok "$restarts restarts into a new binary, transactions under way ended well"
sleep 0.3
touch "$kit_dir/enough"
wait "${visitors[@]}" || true
visited=$(cat "$kit_dir"/visited.* | wc -l)
[ "$visited" -ge 20 ] || not_ok 'clients came and went' "$visited"
told=$(cat "$kit_dir"/visits.* | grep -c 'shutting down' || true)
other=$(cat "$kit_dir"/visits.* | grep -v 'shutting down\|HINT:\|closed the connection unexpectedly\|terminated abnormally\|before or while\|connection to server was lost' | grep . || true)
[ "$told" != 0 ] || other=$(cat "$kit_dir"/visits.*)
equals "none of $visited visits was refused or lost; $told were told 57P01 between transactions" '' "$other"
# What pgbench counted is what is in its tables: no transaction was lost, half done, or done twice.
counted=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$kit_dir"/benched.* | awk "{ n += \$1 } END { print n + 0 }")
[ "$counted" -ge 20 ] || not_ok 'pgbench ran' "$(cat "$kit_dir"/bench*)"
equals "pgbench's $counted transactions were each done once" "$counted|0" \
    "$(admin "select count(*), abs(sum(delta) - (select sum(abalance) from pgbench_accounts)) + abs(sum(delta) - (select sum(tbalance) from pgbench_tellers)) from pgbench_history")"
equals 'its clients were told 57P01, and nothing else' '' \
    "$(cat "$kit_dir"/bench_said.* | grep -v 'shutting down\|HINT:\|Run was aborted\|closed the connection unexpectedly\|terminated abnormally\|before or while\|perhaps the backend died' | grep . || true)"
# Of its script command 4 is BEGIN: whoever was told, was told before it.
equals 'and were told between transactions' '' "$(cat "$kit_dir"/bench_said.* | grep 'aborted in command' | grep -v 'aborted in command 4 ' || true)"
say "# $(cat "$kit_dir"/bench_said.* | grep -c 'aborted in command 4 ' || true) of pgbench's clients were told, $(grep -c 'client.refused.*sqlstate=57P01' "$log" || true) of all"
kill -0 "$crosstalk" 2>/dev/null || not_ok 'cross-talk ran on' "$(tail -3 "$kit_dir/under_restarts.log")"
stop "$crosstalk" TERM
! grep -qi '"wrong": *[1-9]\|WRONG\|hung' "$kit_dir/under_restarts.log" || not_ok 'cross-talk under restarts: no answer is wrong' "$(cat "$kit_dir/under_restarts.log")"
ok 'cross-talk under restarts: no answer is wrong'
! idle || not_ok 'the idle session was told to go'
ok 'the idle session was told to go'

# ---- a binary that does not start -------------------------------------------------------------------------
sed 's/"workers"/"workerz"/' "$home/sluice.json" >"$home/bad" && cp "$home/sluice.json" "$home/good" && cp "$home/bad" "$home/sluice.json"
kill -USR2 "$pid"
until_so said takeover.failed 1 || not_ok 'a next one that does not start: told'
equals 'a next one that does not start: told, and this one goes on' 1 "$(ask 'select 1')"
cp "$home/good" "$home/sluice.json"
# The next one dies at once, again and again, and each time another is asked for: the death of the one and the signal
# for the next arrive together.
printf '#!/bin/sh\nexit 1\n' >"$home/sluice.next" && chmod 755 "$home/sluice.next" && hand_over "$home/sluice.next"
mv "$home/sluice.next" "$home/sluice"
failed=$(grep -c takeover.failed "$log")
for ((n = 0; n < 3000; n++)); do kill -USR2 "$pid" 2>/dev/null || break; done
until_so said takeover.failed $((failed + 1)) || not_ok 'a storm of SIGUSR2: some of it arrives' "$(tail -3 "$log")"
equals 'a storm of SIGUSR2, of which nothing comes: this one goes on' 1 "$(ask 'select 1')"
stop "$pid"
say "1..$steps"
