#!/usr/bin/env bash
# run.sh: Sluice on this machine, with all it needs: a PostgreSQL as the stand-in for the warehouse, a
# Redis, certificates, three users, a config. In the foreground until Ctrl-C; then nothing is left.
#
#   PORT=5439     where Sluice listens (127.0.0.1, TLS)
#   DEMO=1        walks through tour.sh instead, and exits 0 only if every step held
#
# `make run` installs what is missing (Debian, Ubuntu), builds, and calls this.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../../tests/support/env.sh"
here=$root/deploy/run
PORT=${PORT:-5439}
binary=${SLUICE:-$build/sluice}

[ -x "$binary" ] || die "no $binary: run make first"
! port_answers "$PORT" || die "port $PORT is taken; choose another: make run PORT=5440"
kit_begin run

secret() { openssl rand -hex 12; }

say 'Starting a warehouse (PostgreSQL) and a cache (Redis) ...'
certs=$kit_dir/certs
"$support/certs.sh" "$certs" ops
warehouse_port='' redis_port='' admin_port=''
free_port warehouse_port
free_port redis_port
free_port admin_port
warehouse=$kit_dir/warehouse
start_postgres "$warehouse" "$warehouse_port" --auth scram-sha-256 --tls "$certs"
start redis "$support/redis.sh" "$kit_dir/redis" "$redis_port"
wait_port "$redis_port" "$started" || die 'Redis did not start'

# Passwords: of the people (they know them) and of the database users (only Sluice does).
ana_password=$(secret) loader_password=$(secret) ops_password=$(secret)
LOADER_DB_PASSWORD=$(secret) ANA_DB_PASSWORD=$(secret)
ROUTES_KEY=$(secret)$(secret)$(secret)
export LOADER_DB_PASSWORD ANA_DB_PASSWORD ROUTES_KEY

superuser() { "$pg_bin/psql" -qXAt -v ON_ERROR_STOP=1 -h "$warehouse" -p "$warehouse_port" -U postgres "$@"; }
superuser -d postgres -c 'create database dev'
superuser -d dev -v loader="$LOADER_DB_PASSWORD" -v ana="$ANA_DB_PASSWORD" -f "$here/warehouse.sql"

# Sluice's own directory: its config, and its secrets in files that only its user can read.
home=$kit_dir/sluice
mkdir -m 700 "$home"
cp "$certs/server.crt" "$certs/server.key" "$certs/ca.crt" "$here/routes.json" "$home/"
(umask 077 && printf %s "$ana_password" >"$home/ana.password" &&
    printf %s "$loader_password" >"$home/loader.password" &&
    printf %s "$ops_password" >"$home/ops.password")
sed -e "s|@port@|$PORT|g" -e "s|@warehouse_port@|$warehouse_port|g" -e "s|@redis_port@|$redis_port|g" \
    -e "s|@admin_port@|$admin_port|g" \
    "$here/sluice.json" >"$home/sluice.json"

say 'Starting Sluice ...'
start sluice "$support/sluice.sh" "$home" "$binary" run --config sluice.json
sluice=$started
wait_port "$PORT" "$sluice" || {
    cat "$kit_dir/sluice.log" >&2
    die 'Sluice did not start'
}

tls="sslmode=verify-full sslrootcert=$certs/ca.crt"
as_ana="host=localhost port=$PORT dbname=dev user=ana password=$ana_password $tls"
as_loader="host=localhost port=$PORT dbname=dev user=events_loader password=$loader_password $tls"
# shellcheck disable=SC2034 # for the tour, and printed below
as_ops="host=localhost port=$PORT dbname=dev user=ops sslcert=$certs/ops.crt sslkey=$certs/ops.key $tls"

# The same for libpq, by name: psql service=ana
(
    umask 077
    for who in ana loader ops; do
        declare -n words=as_$who
        printf '[%s]\n%s\n' "$who" "$(tr ' ' '\n' <<<"$words")"
    done | sed '/^\[ops\]/,$s/dbname=dev/dbname=sluice/' >"$kit_dir/services"
)

if [ "${DEMO:-0}" != 0 ]; then
    # shellcheck source=deploy/run/tour.sh
    . "$here/tour.sh"
    take_the_tour || {
        say '---- what Sluice said:'
        tail -50 "$kit_dir/sluice.log"
        exit 1
    }
    exit 0
fi

cat <<TEXT

Sluice listens on 127.0.0.1:$PORT. Paste into another terminal:

  # an analyst: may read
  psql "$as_ana"

  # a loader
  psql "$as_loader"

  # the admin console, with a client certificate instead of a password: SHOW DIAGNOSIS; SHOW POOLS; ...
  psql "${as_ops/dbname=dev/dbname=sluice}"

  # the dashboard, in a browser; user ops, password $ops_password
  http://127.0.0.1:$admin_port/

  config   $home/sluice.json
  routes   $home/routes.json
  log      $kit_dir/sluice.log
  behind   psql -h $warehouse -p $warehouse_port -U postgres dev

Or by name, as in the README:

  export PGSERVICEFILE=$kit_dir/services DEMO=$home
  psql service=ana        psql service=loader        psql service=ops

Ctrl-C ends it all and removes it.
TEXT
wait "$sluice" || {
    status=$?
    tail -20 "$kit_dir/sluice.log" >&2
    die "Sluice ended with status $status"
}
