#!/usr/bin/env bash
# drill.sh: servers are lost while 100 clients work, and every answer is checked. The only place that
# asserts times: nobody waits over 5 s, and the pool is full again within 1 s of the first possible connect.
# Prints `ok` and `not ok`; the last line is `N passed, N failed`.
#
#   DRILL_SECONDS=30   for each kind of loss      DRILL_MODE=transaction
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/behind.sh
. "$support/behind.sh"
kit_begin drill
passed=0 failed=0
seconds=${DRILL_SECONDS:-30} mode=${DRILL_MODE:-transaction} clients=100 servers=20

verdict() { # NAME HELD WHAT-WAS-SEEN
    if [ "$2" = 0 ]; then
        echo "ok - $1 ($3)"
        passed=$((passed + 1))
    else
        echo "not ok - $1 ($3)"
        failed=$((failed + 1))
    fi
}

number() { sed -n "s/.*\"$1\": \\([0-9.]*\\).*/\\1/p" <<<"$said"; }

# under LOSS COMMAND...: COMMAND loses a server (EACH: so many); it is run every 200 ms (EVERY) while the clients work
# (WITHOUT these operations).
under() {
    local name=$1 lost=0 clients_pid
    shift
    "$build/soak/crosstalk" -p "$port" -c $clients -t "$seconds" -l ${WITHOUT:+-x "$WITHOUT"} >"$kit_dir/said" 2>"$kit_dir/complained" &
    clients_pid=$!
    sleep 1
    while kill -0 "$clients_pid" 2>/dev/null; do
        "$@" >/dev/null 2>&1 && lost=$((lost + 1))
        sleep "${EVERY:-0.2}"
    done
    wait "$clients_pid"
    local status=$?
    said=$(cat "$kit_dir/said")
    [ "$status" = 0 ] || grep -E 'WRONG|HUNG' "$kit_dir/complained" | head -5
    echo "# $(sed -n 's/.*"sqlstates": {\([^}]*\)}.*/\1/p' <<<"$said")"
    verdict "$name: no wrong answer, nobody hung" "$status" "$(number verified) verified, $lost losses, $(number losses) seen by clients"
    verdict "$name: at most one error per loss" "$([ "$(number losses)" -le $(((lost + 2) * ${EACH:-1})) ]; echo $?)" \
        "$(number losses) of $lost${EACH:+ times $EACH}"
    verdict "$name: nobody waits over 5 s" "$(awk -v s="$(number slowest_s)" 'BEGIN { print !(s <= 5) }')" "slowest $(number slowest_s) s"
}

end_a_backend() {
    [ "$(superuser -c "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit 1")" = t ]
}

kill_a_socket() { # the kernel's own: both ends get an error
    local at
    at=$(ss -Htn state established "dport = :$pg_port" | awk '{ print $3 }' | shuf -n 1)
    [ -n "$at" ] && ss -K -tn "src $at" "dport = :$pg_port"
}

reset_all() { kill -USR1 "$faults"; }

end_all() { kill -HUP "$faults"; } # FIN both ways, wherever in a row that is

kill_a_process() { # with -9: nothing is said, the kernel closes
    local pid
    pid=$(pgrep -P "$fake" | shuf -n 1)
    [ -n "$pid" ] && kill -KILL "$pid"
}

hole() { # nothing passes for a second, and nothing is said
    kill -USR2 "$faults"
    sleep 1
    kill -USR2 "$faults"
}

restart_the_warehouse() {
    "$pg_bin/psql" -qXAt -h "$pg_dir" -p "$pg_port" -U postgres -c 'select 1' || return 1
    kill -INT "$(head -1 "$pg_dir/postmaster.pid")"
    while [ -e "$pg_dir/postmaster.pid" ]; do sleep 0.05; done
    start restarted unprivileged "$pg_bin/postgres" -D "$pg_dir"
    until "$pg_bin/pg_isready" -q -h "$pg_dir" -p "$pg_port"; do sleep 0.02; done
    [ -z "${counting:-}" ] || time_until_full "$clients_pid"
}

# How long after the first possible connect PostgreSQL sees all servers of the pool again, while there are clients.
time_until_full() { # PID-OF-CLIENTS
    local since count=0
    since=$(date +%s%N)
    for ((; $(date +%s%N) - since < 6000000000; )); do
        count=$(superuser -c "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")
        if [ "${count:-0}" -ge $servers ] || ! kill -0 "$1" 2>/dev/null; then break; fi
    done
    ! kill -0 "$1" 2>/dev/null || echo $((($(date +%s%N) - since) / 1000000)) >>"$kit_dir/full_ms"
}

start_behind "$mode" $servers 2
under 'pg_terminate_backend' end_a_backend
under 'sockets killed' kill_a_socket

since=$(date +%s%N)
restart_the_warehouse
until [ "$("$pg_bin/psql" -wqXAt "host=127.0.0.1 port=$port user=postgres" -c 'select 1' 2>/dev/null)" = 1 ]; do
    [ $(($(date +%s%N) - since)) -lt 20000000000 ] || break
    sleep 0.02
done
counting=1 EVERY=5 EACH=$servers under 'the warehouse restarts' restart_the_warehouse
slowest=$(sort -n "$kit_dir/full_ms" | tail -1)
verdict 'the pool is full again within 1 s' "$([ "$slowest" -le 1000 ]; echo $?)" \
    "$(tr '\n' ' ' <"$kit_dir/full_ms")ms after each restart"
stop_sluice
verdict 'it ends as it should' $? 'SIGTERM'

faults_port=''
free_port faults_port
start faults "$build/tools/faultproxy" -l "$faults_port" -t "$pg_port"
faults=$started
wait_port "$faults_port" "$faults" || die 'faultproxy did not start'
start_behind "$mode" $servers 2 "$faults_port"
EVERY=1 under 'black holes' hole
EACH=$servers under 'connections reset' reset_all
EACH=$servers under 'connections ended in the middle' end_all
stop_sluice
verdict 'it ends as it should, after black holes' $? 'SIGTERM'

# A server that is one process, since PostgreSQL restarts all of its own when one is killed.
fake_port=''
free_port fake_port
start fake "$build/tools/redshift" -l "$fake_port" -s "$pg_port" -a trust -q
fake=$started
wait_port "$fake_port" "$fake" || die 'the fake of Redshift did not start'
start_behind "$mode" $servers 2 "$fake_port"
# (Its tags of COPY have no count.)
WITHOUT="copy_in copy_out" under 'kill -9' kill_a_process
stop_sluice
verdict 'it ends as it should, after kill -9' $? 'SIGTERM'
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
