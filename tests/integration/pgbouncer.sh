#!/usr/bin/env bash
# pgbouncer.sh: our console beside a real PgBouncer's (Debian's): the columns of every SHOW, by name and order,
# and every verb. Columns are those of PgBouncer 1.25: of an older one all must be there, in its order, and what is
# there beyond them must have come with a later one.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
[ -x "$binary" ] || die "no $binary: run make first"
pgbouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
if [ ! -x "$pgbouncer" ]; then
    say 'ok 1 # SKIP pgbouncer.sh: no pgbouncer (a Debian package)'
    exit 0
fi
kit_begin pgbouncer
step=0
verdict() { # NAME WHAT-IS-WRONG
    step=$((step + 1))
    if [ -z "$2" ]; then say "ok $step - $1"; else say "not ok $step - $1" "$2"; fi
}

pg_port='' port='' theirs=''
for name in pg_port port theirs; do free_port "$name"; done
start_postgres "$kit_dir/pg" "$pg_port"
mkdir "$kit_dir/sluice" "$kit_dir/pgbouncer"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "disable" } } ],
  "clusters": { "warehouse": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" },
                               "credentials": { "source": "static", "users": { "postgres": "env:NOTHING" } } } },
  "users": { "postgres": { "auth": ["trust"], "role": "owner", "console": "operator" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "pool": { "mode": "transaction", "size": 7 } }
JSON
cat >"$kit_dir/pgbouncer/pgbouncer.ini" <<INI
[databases]
postgres = host=127.0.0.1 port=$pg_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $theirs
auth_type = trust
auth_file = $kit_dir/pgbouncer/users
admin_users = postgres
unix_socket_dir =
pool_mode = transaction
INI
echo '"postgres" ""' >"$kit_dir/pgbouncer/users"
hand_over "$kit_dir/sluice" "$kit_dir/pgbouncer"
NOTHING=x start sluice "$support/sluice.sh" "$kit_dir/sluice" "$binary" run --config sluice.json
wait_port "$port" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
start pgbouncer unprivileged "$pgbouncer" "$kit_dir/pgbouncer/pgbouncer.ini"
wait_port "$theirs" "$started" || die "PgBouncer did not start: $(cat "$kit_dir/pgbouncer.log")"
psql_at() { # PORT DATABASE COMMAND OPTION...
    "$pg_bin/psql" -X "${@:4}" "host=127.0.0.1 port=$1 dbname=$2 user=postgres connect_timeout=10" -c "$3" 2>&1 || true
}
for at in "$port" "$theirs"; do # somebody stays there while we look
    start "held$at" psql_at "$at" postgres 'select pg_sleep(60)'
done
sleep 0.5
say "# beside $("$pgbouncer" --version | head -1)"

# ---- columns -----------------------------------------------------------------------------------------------
# Came after 1.18, or got another name then (theirs|ours).
later=' replication prepared_statements id load_balance_hosts server_lifetime max_client_connections current_client_connections
 pool_size reserve_pool_size max_user_connections current_connections max_user_client_connections
 total_server_assignment_count total_client_parse_count total_server_parse_count total_bind_count avg_server_assignment_count
 avg_client_parse_count avg_server_parse_count avg_bind_count server_assignment_count client_parse_count server_parse_count bind_count '
declare -A renamed=([reserve_pool]=reserve_pool_size)
heads() { psql_at "$1" pgbouncer "show $2" -qA | head -1; }
compare() { # SHOW: what is wrong, on stdout
    local -a wanted got
    local at=0 name
    IFS='|' read -ra wanted <<<"$(heads "$theirs" "$1")"
    IFS='|' read -ra got <<<"$(heads "$port" "$1")"
    for name in "${got[@]}"; do
        if [ "$at" -lt ${#wanted[@]} ]; then
            if [ "$name" = "${wanted[at]}" ] || [ "$name" = "${renamed[${wanted[at]}]:-}" ]; then
                at=$((at + 1))
                continue
            fi
        fi
        [[ $later == *[[:space:]]"$name"[[:space:]]* ]] || echo "$name is not PgBouncer's, or stands elsewhere; theirs: ${wanted[*]}"
    done
    [ "$at" = ${#wanted[@]} ] || echo "${wanted[at]} is missing, or stands elsewhere; ours: ${got[*]}"
}
for show in clients servers pools databases users stats stats_totals stats_averages lists config mem sockets active_sockets \
    dns_hosts dns_zones version; do
    verdict "SHOW ${show^^} has PgBouncer's columns" "$(compare "$show")"
done
rows() { psql_at "$1" pgbouncer "show lists" -qAt | cut -d'|' -f1 | sort | tr '\n' ' '; }
missing=''
for name in $(rows "$theirs"); do [[ " $(rows "$port") " == *" $name "* ]] || missing+=" $name"; done
verdict 'SHOW LISTS counts the same things' "${missing:+missing:$missing}"
verdict 'SHOW FDS, which would show passwords, is not there' "$(psql_at "$port" pgbouncer 'show fds' -q | grep -v 'unknown command\|HINT' || true)"

# ---- verbs: the same answer, word by word --------------------------------------------------------------------
for verb in RELOAD 'RECONNECT postgres' RECONNECT 'KILL postgres' 'RESUME postgres' 'WAIT_CLOSE postgres' WAIT_CLOSE PAUSE RESUME; do
    a=$(psql_at "$theirs" pgbouncer "$verb" | tail -1)
    b=$(psql_at "$port" pgbouncer "$verb" | tail -1)
    verdict "$verb: $a" "$([ "$a" = "$b" ] || echo "theirs: $a; ours: $b")"
done

# ---- KILL: everybody goes at once, who comes waits until RESUME ---------------------------------------------------
for at in "$theirs" "$port"; do
    whose=PgBouncer
    [ "$at" = "$theirs" ] || whose=ours
    start "victim$at" psql_at "$at" postgres "select pg_sleep(60), '$whose'"
    victim=$started
    sleep 0.5
    psql_at "$at" pgbouncer 'kill postgres' -q
    for ((i = 0; i < 50; i++)); do kill -0 "$victim" 2>/dev/null || break; sleep 0.1; done
    verdict "KILL ($whose): a statement under way ends at once" "$(! kill -0 "$victim" 2>/dev/null || echo 'it goes on')"
    start "waiter$at" psql_at "$at" postgres "select 'served'" -qAt
    waiter=$started
    sleep 0.7
    verdict "KILL ($whose): who comes then waits" "$(kill -0 "$waiter" 2>/dev/null || cat "$kit_dir/waiter$at.log")"
    psql_at "$at" pgbouncer 'resume postgres' -q
    for ((i = 0; i < 50; i++)); do kill -0 "$waiter" 2>/dev/null || break; sleep 0.1; done
    verdict "KILL ($whose): and is served after RESUME" "$(grep -qx served "$kit_dir/waiter$at.log" || cat "$kit_dir/waiter$at.log")"
done
gone=$("$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p "$pg_port" -U postgres -c "select count(*) from pg_stat_activity where query like '%pg_sleep(60), ''ours''%' and state = 'active' and pid <> pg_backend_pid()")
verdict 'KILL (ours): nothing goes on in the warehouse' "$([ "$gone" = 0 ] || echo "$gone statements")"
say "1..$step"
