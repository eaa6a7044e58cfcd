#!/usr/bin/env bash
# dbt.sh DBT: dbt-redshift, by Amazon's driver: connects, runs a model, twice; is stopped by a Ctrl-C in the middle of one.
set -uo pipefail
dbt=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
mkdir "$dir/models"
cat >"$dir/dbt_project.yml" <<'YML'
name: scenarios
version: "1.0.0"
profile: scenarios
model-paths: [models]
flags: { send_anonymous_usage_stats: false }
YML
cat >"$dir/profiles.yml" <<YML
scenarios:
  target: it
  outputs:
    it: { type: redshift, host: $PGHOST, port: $PGPORT, user: "$PGUSER", password: "$PGPASSWORD", dbname: $PGDATABASE,
          schema: public, threads: 2, sslmode: verify-full }
YML
echo "select 1 as n union all select 2" >"$dir/models/some.sql"
echo "{{ config(materialized='table') }} select sum(n) as total from {{ ref('some') }}" >"$dir/models/total.sql"
verdict() { # NAME WANTED GOT
    [ -z "${SCENARIOS:-}" ] || [[ ,$SCENARIOS, == *,$1,* ]] || return 0
    if [[ $3 == *"$2"* ]]; then echo "ok $1"; else
        echo "not ok $1 - $(tr '\n' ' ' <<<"$3" | sed 's/\x1b\[[0-9]*m//g' | tail -c 400)"
        bad=1
    fi
}
run() { (cd "$dir" && timeout 150 "$dbt" --no-use-colors "$@" --profiles-dir . 2>&1); }
verdict login 'All checks passed' "$(run debug)"
case ,${SCENARIOS:-simple}, in
*,simple,* | *,transaction,*)
    verdict simple 'PASS=2' "$(run run)"
    verdict transaction 'PASS=2' "$(run run)"
    ;;
esac
# Ctrl-C: dbt asks, on a connection of its own, that the other one's backend be terminated.
running() { psql -qXAt -c "select count(*) from pg_stat_activity where state = 'active' and query like '%slow_model%' and query not like '%pg_stat_activity%'" 2>&1; }
until_running() { # COUNT
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        [ "$(running)" != "$1" ] || return 0
        sleep 0.2
    done
    return 1
}
cancelled() {
    echo "{{ config(materialized='table') }} select count(*) as slow_model from generate_series(1, 1000000) a, generate_series(1, 1000000) b" >"$dir/models/slow.sql"
    (cd "$dir" && exec timeout -s KILL 150 "$dbt" --no-use-colors run --select slow --profiles-dir .) >"$dir/said" 2>&1 &
    local pid=$! said
    until_running 1 || { echo "it did not begin: $(running) $(tail -2 "$dir/said")"; return; }
    pkill -INT -P "$pid" || kill -INT "$pid"
    wait "$pid"
    until_running 0 || { echo "it goes on: $(running) $(tail -2 "$dir/said")"; return; }
    said=$(cat "$dir/said")
    [[ $said == *PASS=1* ]] && echo "it ran to its end: $said" || echo "stopped"
}
case ,${SCENARIOS:-cancel}, in
*,cancel,*) verdict cancel stopped "$(cancelled)" ;;
esac
exit $bad
