#!/usr/bin/env bash
# soak.sh: the cross-talk detector, for long. 200 clients on 5 servers in transaction mode, 200 on 200 in
# session mode; two workers. Prints `ok` and `not ok`; the last line is `N passed, N failed`.
#
#   SOAK_SECONDS=600   for each mode       SOAK_MODES="transaction session"   SOAK_CLIENTS=200
#   SOAK_EACH=1000     until each kind of operation was seen so often, within SOAK_SECONDS
#   SOAK_ONLY_MODES=1  nothing but this
# shellcheck disable=SC2317 # a function is called by name
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/behind.sh
. "$support/behind.sh"
kit_begin soak
passed=0 failed=0
clients=${SOAK_CLIENTS:-200}

judge() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        echo "ok - $name"
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        failed=$((failed + 1))
    fi
}

# shellcheck disable=SC2317 # called by `judge`
# Nothing may stay behind: soon after the last client is gone (cancel_timeout is 10 s) no server is busy.
servers_are_idle() {
    local tries busy="state <> 'idle' and backend_type = 'client backend' and pid <> pg_backend_pid()"
    for ((tries = 0; tries < 60; tries++)); do
        [ "$(superuser -c "select count(*) from pg_stat_activity where $busy")" != 0 ] || {
            echo "# after $((tries / 4)) s"
            return
        }
        sleep 0.25
    done
    superuser -c "select pid, state, wait_event, left(query, 60) from pg_stat_activity where $busy"
    return 1
}

memory_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$sluice/status"; }

for mode in ${SOAK_MODES:-transaction session}; do
    servers=5
    [ "$mode" != session ] || servers=$clients
    start_behind "$mode" "$servers" 2
    "$build/soak/crosstalk" -p "$port" -c "$clients" -t 5 >/dev/null 2>&1 # warm
    before=$(memory_kib)
    judge "$mode: every answer is its client's own" "$build/soak/crosstalk" -p "$port" -c "$clients" -t "${SOAK_SECONDS:-600}" -k "${SOAK_EACH:-0}"
    judge "$mode: no server is left busy" servers_are_idle
    after=$(memory_kib)
    echo "# resident memory: $before KiB before, $after KiB after"
    judge "$mode: it ends as it should" stop_sluice
done
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}
[ -z "${SOAK_ONLY_MODES:-}" ] || finish

# The long forms of tests that are short in `make test`. What memory they take is asked of a build without
# sanitizers, which keep what was freed.
export SLUICE_ROOT=$root SLUICE_BUILD=$build
judge 'ten thousand cancels, also of queued queries' env CANCELS=10000 "$build/integration/test_sessions"
judge 'floods, ten times as large' env FLOODS=10 "$build/integration/test_multiplexing"
judge 'a million names; a thousand clients at once' env FLOODS=10 CROWD=1000 "$build/integration/test_pooling"
# Proxies that share connections, in a time of their own: losses, delays, deaths, in random worlds.
seed=$RANDOM$RANDOM
judge "the sum of leases is never above the limit, in 10,000 worlds from seed $seed" \
    env LEASE_WORLDS=10000 LEASE_SEED="$seed" SLUICE_ROOT="$root" SLUICE_BUILD="$build" "$build/integration/test_lease"
judge 'cut off from Redis and the warehouse at once' \
    env PARTITION_LONG=1 SLUICE_ROOT="$root" SLUICE_BUILD="$build" "$root/tests/integration/fleet_partition.sh"
# Ten thousand logins by IAM token in flight at once, while STS takes its time.
judge '10,000 logins by token block nobody' env IAM_STORM=10000 SLUICE_ROOT="$root" SLUICE_BUILD="$build" "$build/integration/test_iam"
finish
