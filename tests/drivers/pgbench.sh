#!/usr/bin/env bash
# pgbench.sh: its own transaction in the three protocols, several clients; the books must balance.
# Needs its tables: run.sh makes them. A thread for each client: pgbench prepares while its other clients wait,
# so that one in a transaction would wait for one that waits for its server.
set -uo pipefail
bad=0
for mode in simple extended prepared; do
    [ -z "${SCENARIOS:-}" ] || [[ ,$SCENARIOS, == *,$mode,* ]] || continue
    said=$(pgbench -n -M "$mode" -c 8 -j 8 -t 50 2>&1)
    sum=$(psql -wqXAt -c 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)' 2>&1)
    if [[ $said == *'actually processed: 400/400'* && $said == *'failed transactions: 0'* && $sum == t ]]; then
        echo "ok $mode"
    else
        echo "not ok $mode - $(tr '\n' ' ' <<<"$said $sum" | tail -c 300)"
        bad=1
    fi
done
exit $bad
