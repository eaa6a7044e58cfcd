#!/usr/bin/env bash
# client_versions.sh: client protocol versions 0 to 3 before a fake of Redshift that takes 0, 1, 2, 3; through Sluice.
# Amazon's Python driver comes from PyPI; skips where that cannot be reached.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/aws/world.sh
. "$(dirname "$0")/../aws/world.sh"

binary=${SLUICE:-$build/sluice}
ensure_venv
"$venv/bin/python" -c 'import redshift_connector' 2>/dev/null || "$venv/bin/pip" install -q redshift_connector || {
    say 'ok 1 # SKIP client_versions.sh: redshift_connector cannot be installed from PyPI'
    exit 0
}
kit_begin versions
pg_port='' fake_port='' port=''
free_port pg_port
start_postgres "$kit_dir/pg" "$pg_port"
"$pg_bin/psql" -qX -h "$kit_dir/pg" -p "$pg_port" -U postgres -c 'create role u login'
for granted in 0 1 2 3; do
    free_port fake_port
    free_port port
    start "redshift-$granted" "$build/tools/redshift" -l "$fake_port" -s "$pg_port" -a trust -v "$granted"
    fake=$started
    wait_port "$fake_port" "$fake" || die 'the fake of Redshift did not start'
    mkdir -p "$kit_dir/sluice"
    cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "workers": 1, "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$fake_port", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "u": "env:HOME" } } } },
  "users": { "u": { "auth": ["trust"], "role": "all", "db_user": "u" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": ["127.0.0.1"] } ], "pool": { "size": 2, "mode": "transaction" } }
JSON
    start sluice "$support/sluice.sh" "$kit_dir/sluice" "$binary" run --config sluice.json
    sluice=$started
    wait_port "$port" "$sluice" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
    PORT=$port GRANTED=$granted "$venv/bin/python" "$root/tests/aws/versions.py" >"$kit_dir/said" 2>&1 || true
    while read -r line; do
        case $line in
        'ok '*) ok "${line#ok }" ;;
        *) not_ok "$granted" "$line" ;;
        esac
    done <"$kit_dir/said"
    stop "$sluice"
    stop "$fake"
    ! grep -E 'Sanitizer|runtime error' "$kit_dir/sluice.log" || not_ok 'no sanitizer has anything to say' ''
done
equals 'all were asked' 36 "$steps"
say "1..$steps"
