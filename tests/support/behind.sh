# shellcheck shell=bash disable=SC2154 # sourced after env.sh, whose variables it uses
# behind: a PostgreSQL with Sluice before it, for scripts. Source it after env.sh.
#
#   start_behind MODE SERVERS WORKERS [SERVER_PORT]
#       $pg_port, $pg_dir: the PostgreSQL (started by the first call); $port: Sluice's, trust for user
#       postgres; $sluice: its pid. Sluice dials SERVER_PORT instead where one is given.
#   superuser ...       psql at the PostgreSQL itself
#   stop_sluice         SIGTERM; fails unless it ended with status 0 and no sanitizer spoke

superuser() { "$pg_bin/psql" -qXAt -h "$pg_dir" -p "$pg_port" -U postgres "$@"; }

start_behind() {
    local mode=$1 servers=$2 workers=$3
    if [ -z "${pg_port:-}" ]; then
        free_port pg_port
        pg_dir=$kit_dir/pg
        start_postgres "$pg_dir" "$pg_port"
        superuser -c 'create table crosstalk (client int, number int, filler text)'
    fi
    free_port port
    mkdir -p "$kit_dir/sluice"
    cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "server_id": "behind", "workers": $workers, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": { "pg": { "endpoint": "127.0.0.1:${4:-$pg_port}", "tls": { "mode": "disable" },
                "credentials": { "source": "static", "users": { "postgres": "env:PG_PASSWORD" } }, "max_connections": $servers } },
  "users": { "postgres": { "auth": ["trust"], "role": "owner", "db_user": "postgres" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "pool": { "mode": "$mode", "size": $servers } }
JSON
    export PG_PASSWORD=none
    start sluice "$support/sluice.sh" "$kit_dir/sluice" "$build/sluice" run --config sluice.json
    sluice=$started
    wait_port "$port" "$sluice" || {
        cat "$kit_dir/sluice.log" >&2
        die 'Sluice did not start'
    }
}

stop_sluice() {
    local status=0
    kill -TERM "$sluice" || echo 'Sluice had ended before'
    wait "$sluice" || status=$?
    [ -z "${SLUICE_LOG:-}" ] || cp "$kit_dir/sluice.log" "$SLUICE_LOG"
    if [ "$status" != 0 ] || grep -qE 'Sanitizer|runtime error:' "$kit_dir/sluice.log"; then
        echo "Sluice ended with status $status"
        tail -60 "$kit_dir/sluice.log"
        return 1
    fi
}
