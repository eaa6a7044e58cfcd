#!/usr/bin/env bash
# exporter.sh: Debian's prometheus-pgbouncer-exporter against the console, the program as it is, with nothing set for
# it. It reads columns that PgBouncer has renamed; the console has them for whoever says no name (and nobody else).
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
exporter=/usr/bin/prometheus-pgbouncer-exporter
[ -x "$binary" ] || die "no $binary: run make first"
if [ ! -x "$exporter" ]; then
    say 'ok 1 # SKIP exporter.sh: no prometheus-pgbouncer-exporter (a Debian package)'
    exit 0
fi
kit_begin exporter
step=0
wants() { # NAME EXPECTED TEXT
    step=$((step + 1))
    if [[ $3 == *"$2"* ]]; then
        say "ok $step - $1"
    else
        say "not ok $step - $1" "wanted \"$2\" in: $3"
        cat "$kit_dir"/*.log
        exit 1
    fi
}

pg_port='' port='' http_port=''
for name in pg_port port http_port; do free_port "$name"; done
start_postgres "$kit_dir/pg" "$pg_port"
mkdir "$kit_dir/sluice"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "disable" } } ],
  "clusters": { "warehouse": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" },
                               "credentials": { "source": "static", "users": { "postgres": "env:NOTHING" } } } },
  "users": { "postgres": { "auth": ["trust"], "role": "owner" },
             "stats": { "auth": ["trust"], "role": "owner", "db_user": "postgres", "console": "viewer" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "pool": { "size": 7 } }
JSON
hand_over "$kit_dir/sluice"
NOTHING=x start sluice "$support/sluice.sh" "$kit_dir/sluice" "$binary" run --config sluice.json
wait_port "$port" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
ask() { "$pg_bin/psql" -qXAt "host=127.0.0.1 port=$port $1" -c "$2" 2>&1 || true; }
for n in 1 2 3; do
    [ "$(ask 'user=postgres dbname=postgres' "select $n")" = "$n" ] || die 'no session through Sluice'
done

start exporter "$exporter" --host 127.0.0.1 --port "$http_port" \
    --pgbouncer-host 127.0.0.1 --pgbouncer-port "$port" --pgbouncer-user stats
wait_port "$http_port" "$started" || die "the exporter did not start: $(cat "$kit_dir/exporter.log")"
page=$(curl -sS --noproxy '*' "http://127.0.0.1:$http_port/metrics" 2>&1 || true)
wants 'SHOW STATS, by the name of old' 'pgbouncer_requests_total{database="postgres"} 3.0' "$page"
wants 'SHOW POOLS' 'pgbouncer_active_clients{database="postgres",user="postgres"} 0.0' "$page"
wants 'SHOW DATABASES' 'pgbouncer_pool_size{database="postgres"} 7.0' "$page"
wants 'and its reserve_pool' 'pgbouncer_reserve_pool{database="postgres"} 0.0' "$page"
wants 'SHOW LISTS' 'pgbouncer_pools 1.0' "$page"
for show in STATS DATABASES; do
    head=$("$pg_bin/psql" -qXA "host=127.0.0.1 port=$port user=stats dbname=pgbouncer" -c "show $show" | head -1)
    wants "nobody else's SHOW $show has more than PgBouncer's columns" '|' "$head"
    [[ $head != *total_requests* && $head != *'|reserve_pool|'* && $head != *'|reserve_pool' ]] || die "old columns: $head"
done
say "1..$step"
