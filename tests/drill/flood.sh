#!/usr/bin/env bash
# flood.sh: what statements feel while somebody floods the dashboard's and the health port's doors: connections that
# say nothing, heads sent byte by byte, bodies without end, wrong logins. pgbench before, during, after; TAP.
# `make drill`: FLOOD_SECONDS=15 for each.
# shellcheck disable=SC2154 # ports are assigned by name (free_port)
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
seconds=${FLOOD_SECONDS:-15}
kit_begin flood
steps=0
verdict() { # NAME WHAT-IS-WRONG
    steps=$((steps + 1))
    if [ -z "$2" ]; then say "ok $steps - $1"; else say "not ok $steps - $1" "$2"; fi
}
free_port pg_port
free_port port
free_port admin_port
free_port health_port
start_postgres "$kit_dir/pg" "$pg_port"
"$support/certs.sh" "$kit_dir/certs"
mkdir "$kit_dir/sluice"
cp "$kit_dir/certs/server.crt" "$kit_dir/certs/server.key" "$kit_dir/sluice/"
printf 'correct horse' >"$kit_dir/sluice/password"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "workers": 1, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "disable" } } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" }, "max_connections": 10,
                       "credentials": { "source": "static", "users": { "postgres": "env:NOTHING" } } } },
  "users": { "postgres": { "auth": ["trust"], "role": "owner" },
             "ops": { "auth": ["scram-sha-256"], "password": "file:password", "role": "owner", "db_user": "postgres", "console": "operator" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.0/8", "users": ["*"] } ],
  "health": { "address": "127.0.0.1:$health_port" },
  "admin": { "address": "127.0.0.1:$admin_port", "tls": { "certificate": "server.crt", "key": "file:server.key" } },
  "pool": { "mode": "transaction", "size": 4 } }
JSON
hand_over "$kit_dir/sluice"
NOTHING=x start sluice "$support/sluice.sh" "$kit_dir/sluice" "$binary" run --config sluice.json
sluice=$started
wait_port "$admin_port" "$sluice" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
echo 'select 1;' >"$kit_dir/one.sql"

# Four clients at a steady pace, far from what the machine can do, so that their latency tells.
measure() {
    "$pg_bin/pgbench" -n -c 4 -j 1 -R 400 -T "$seconds" -P 100 -M simple -f "$kit_dir/one.sql" --log --log-prefix="$kit_dir/latency.$1" \
        "host=127.0.0.1 port=$port user=postgres dbname=postgres sslmode=disable" >"$kit_dir/bench.$1" 2>&1 || true
    cat "$kit_dir/latency.$1".* | awk '{ print $3 }' | sort -n |
        awk '{ a[NR] = $1 } END { printf "%d statements, p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", NR, a[int(NR / 2)] / 1000, a[int(NR * .99)] / 1000, a[NR] / 1000 }'
}
failed() { grep -E 'ERROR|FATAL|aborted|number of failed transactions: [1-9]' "$kit_dir/bench.$1" || true; }
p99() {
    local from=${1#*p99 }
    say "${from%% ms*}"
}

quiet=$(measure quiet)
say "# without a flood: $quiet"
for kind in silent slow-heads huge-bodies wrong-logins floods-of-health; do
    start "$kind" python3 "$root/tests/drill/flood.py" "$kind" "$admin_port" "$health_port" "$((seconds + 1))"
    flood=$started
    sleep 0.5
    during=$(measure "$kind")
    wait "$flood" || true
    say "# $kind: $during; $(tail -1 "$kit_dir/$kind.log")"
    verdict "$kind: no statement fails" "$(failed "$kind")"
    # They share two cores with the flood itself: a loop that is kept would show in hundreds of milliseconds.
    verdict "$kind: the data path does not feel it" "$(awk -v q="$(p99 "$quiet")" -v d="$(p99 "$during")" 'BEGIN { if (d > 100 && d > 5 * q) print "p99 " d " ms, " q " ms without" }')"
    verdict "$kind: health answers" "$(curl -sS --noproxy '*' --max-time 5 "http://127.0.0.1:$health_port/livez" 2>&1 | grep -v '^live$' || true)"
done
kill -TERM "$sluice"
status=0
wait "$sluice" || status=$?
verdict 'it ends as it should' "$([ "$status" = 0 ] || echo "status $status")"
say "1..$steps"
