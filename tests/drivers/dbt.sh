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
run() { (cd "$dir" && timeout 100 "$dbt" --no-use-colors "$@" --profiles-dir . 2>&1); }
verdict login 'All checks passed' "$(run debug)"
case ,${SCENARIOS:-simple}, in
*,simple,* | *,transaction,*)
    verdict simple 'PASS=2' "$(run run)"
    verdict transaction 'PASS=2' "$(run run)"
    ;;
esac
exit $bad
