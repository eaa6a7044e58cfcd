#!/usr/bin/env bash
# run.sh: the dashboard in a headless Chromium: a PostgreSQL, Sluice before it with an admin listener
# over TLS, clients that wait and statements that are refused, and dashboard.js, which logs in, looks
# and acts. Screenshots in build/browser, to be looked at. TAP; skips where there is no browser.
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
# shellcheck source=tests/support/behind.sh
. "$support/behind.sh"
# shellcheck source=tests/support/browser.sh
. "$support/browser.sh"

skip() {
    echo "ok 1 # SKIP the dashboard goes unseen: $*"
    echo 1..1
    exit 0
}

browser_find || skip "$browser_lacks"

kit_begin browser
free_port pg_port
pg_dir=$kit_dir/pg
start_postgres "$pg_dir" "$pg_port"
superuser -c 'create table events (id int)'
port='' admin_port=''
free_port port
free_port admin_port
"$support/certs.sh" "$kit_dir/certs"
mkdir -p "$kit_dir/sluice"
cp "$kit_dir"/certs/server.* "$kit_dir/sluice/"
printf 'correct horse' >"$kit_dir/sluice/password"
printf none >"$kit_dir/sluice/none"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "server_id": "sluice-demo", "workers": 2, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$port" } ],
  "clusters": { "warehouse": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" },
      "credentials": { "source": "static", "users": { "postgres": "file:none" } }, "max_connections": 10 } },
  "users": {
    "app":    { "auth": ["trust"], "role": "owner", "db_user": "postgres" },
    "report": { "auth": ["trust"], "role": "owner", "db_user": "postgres" },
    "loader": { "auth": ["trust"], "role": "loader", "db_user": "postgres" },
    "ops":    { "auth": ["scram-sha-256"], "password": "file:password", "role": "owner", "db_user": "postgres", "console": "operator" },
    "eve":    { "auth": ["scram-sha-256"], "password": "file:password", "role": "owner", "db_user": "postgres", "console": "viewer" } },
  "roles": {
    "owner":  { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] },
    "loader": { "insert_only": ["public.events"], "excess_privilege": "warn" } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "admin": { "address": "127.0.0.1:$admin_port", "tls": { "certificate": "server.crt", "key": "file:server.key" } },
  "routes": { "source": "file:routes.json" },
  "log": { "statements": "normalized" },
  "pool": { "mode": "transaction", "size": 3, "wait_timeout": "5m" } }
JSON
cat >"$kit_dir/sluice/routes.json" <<JSON
{ "version": 12, "rules": [
  { "id": "loads", "when": { "role": "loader" }, "to": "warehouse" },
  { "id": "reports", "when": { "user": "report", "application": "nightly*" }, "to": "warehouse" },
  { "id": "default", "to": "warehouse" } ] }
JSON
chmod -R a+rX "$kit_dir/sluice"
hand_over "$kit_dir/sluice"
start sluice "$support/sluice.sh" "$kit_dir/sluice" "$build/sluice" run --config sluice.json
wait_port "$admin_port" "$started" || {
    cat "$kit_dir/sluice.log" >&2
    die 'Sluice did not start'
}

profile=$kit_dir/profile
mkdir -p "$profile"
DASHBOARD="https://127.0.0.1:$admin_port" CHROMIUM=$chromium SHOTS=$browser/shots PROFILE=$profile \
    PSQL="$pg_bin/psql" SQL_PORT=$port node "$browser/node/dashboard.js"
status=$?
[ $status = 0 ] || tail -20 "$kit_dir/sluice.log" >&2
exit $status
