#!/usr/bin/env bash
# run.sh: drivers, each through its scenarios. Prints a table; the last line is `N passed, N failed`.
#
#   DRIVERS="psql pgjdbc ..."   which (default: all)          SCENARIOS=login,cancel   which
#   TARGET=sluice               through Sluice, session mode (default)
#          sluice-transaction   through Sluice, transaction mode, two servers for all
#          postgres, pgbouncer  straight, or through Debian's pgbouncer (what the driver does without us)
#          redshift             Sluice before the fake of Redshift, clients log in by Redshift's digest
#          redshift-direct      straight to that fake
#
# Drivers are installed into build/drivers on first use: PyPI, npm, Maven, Go modules, Debian.
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
here=$root/tests/drivers
installed=$root/build/drivers
TARGET=${TARGET:-sluice}
all='psql pgbench psycopg2 psycopg3 asyncpg psqlodbc node-postgres postgres.js pgjdbc lib/pq pgx redshift-jdbc42' # redshift_connector wants server_version 8.0.2
case $TARGET in
redshift*) all='redshift_connector redshift-jdbc42' ;;
esac
DRIVERS=${DRIVERS:-$all}
tls=${DRIVER_TLS:-verify-full}

# ---- installing ------------------------------------------------------------------------------------
# once NAME COMMAND...: leaves a mark, so that the next run is quick.
once() {
    local mark=$installed/.$1
    shift
    [ -e "$mark" ] || { (set -e; "$@") >"$kit_dir/install.log" 2>&1 && touch "$mark"; } || {
        tail -5 "$kit_dir/install.log"
        return 1
    }
}

python_drivers() {
    python3 -m venv "$installed/venv"
    "$installed/venv/bin/pip" install -q -r "$here/requirements.txt"
}

node_drivers() {
    mkdir -p "$installed/node"
    cp "$here"/*.js "$here/package.json" "$installed/node/"
    cd "$installed/node" && npm install --no-package-lock --no-audit --no-fund
}

jar() {
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$1" -DoutputDirectory="$installed/jars"
}

java_drivers() {
    mkdir -p "$installed/java"
    jar org.postgresql:postgresql:42.7.7
    jar com.amazon.redshift:redshift-jdbc42:2.1.0.33
}

go_drivers() {
    mkdir -p "$installed/go"
    cp -r "$here/go/." "$installed/go/"
    cd "$installed/go" && GOFLAGS=-mod=mod go build -o "$installed/" ./pq ./pgx
}

# install DRIVER: what it needs, or the reason why not.
install() {
    mkdir -p "$installed"
    case $1 in
    psql | pgbench) ;;
    psqlodbc) once "python-$(cksum <"$here/requirements.txt" | cut -d' ' -f1)" python_drivers && "$support/packages.sh" odbc ;;
    psycopg* | asyncpg | redshift_connector) once "python-$(cksum <"$here/requirements.txt" | cut -d' ' -f1)" python_drivers ;;
    node-postgres | postgres.js) once "node-$(cat "$here"/*.js "$here/package.json" | cksum | cut -d' ' -f1)" node_drivers ;;
    pgjdbc | redshift-jdbc42) once java java_drivers && javac -d "$installed/java" "$here/java/Scenarios.java" ;;
    lib/pq | pgx) once "go-$(cat "$here"/go/*/*.go | cksum | cut -d' ' -f1)" go_drivers ;;
    *) die "unknown driver $1 (known: $all)" ;;
    esac
}

go_through() {
    local python=$installed/venv/bin/python
    # Trust our CA where a driver looks nowhere else.
    case $1 in
    psql | pgbench) "$here/$1.sh" ;;
    psycopg2 | psycopg3 | psqlodbc) "$python" "$here/dbapi.py" "$1" ;;
    redshift_connector) SSL_CERT_FILE=$PGSSLROOTCERT "$python" "$here/dbapi.py" "$1" ;;
    asyncpg) "$python" "$here/async_pg.py" ;;
    node-postgres) node "$installed/node/node_postgres.js" ;;
    postgres.js) node "$installed/node/postgres_js.js" ;;
    pgjdbc | redshift-jdbc42) DRIVER=$1 java -cp "$installed/java:$installed/jars/*" Scenarios ;;
    lib/pq) "$installed/pq" ;;
    pgx) "$installed/pgx" ;;
    esac
}

# ---- where to --------------------------------------------------------------------------------------
kit_begin drivers
certs=$kit_dir/certs
"$support/certs.sh" "$certs"
pg_port='' port=''
free_port pg_port
start_postgres "$kit_dir/pg" "$pg_port" --tls "$certs"
superuser() { "$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p "$pg_port" -U postgres "$@"; }
superuser -c "create user ana password 'secret'" -c 'create table driver_rows (driver text, n int)' \
    -c 'grant all on driver_rows to ana' -c 'grant all on schema public to ana'
"$pg_bin/pgbench" -q -i -h "$kit_dir/pg" -p "$pg_port" -U ana postgres >/dev/null 2>&1

# The config of Sluice: MODE, POOL SIZE, SERVER PORT, AUTH.
sluice_config() {
    cat <<JSON
{ "server_id": "drivers", "workers": 1, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "prefer", "certificate": "$certs/server.crt", "key": "file:$certs/server.key" } } ],
  "clusters": { "warehouse": { "endpoint": "localhost:$3", "tls": { "mode": "prefer", "ca": "$certs/ca.crt" },
                "credentials": { "source": "static", "users": { "ana": "env:ANA_DB_PASSWORD" } }, "max_connections": $2 } },
  "users": { "ana": { "auth": [$4], "password": "env:ANA_PASSWORD", "role": "owner", "db_user": "ana" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "pool": { "mode": "$1", "size": $2 } }
JSON
}
start_sluice() {
    export ANA_PASSWORD=secret ANA_DB_PASSWORD=secret
    mkdir -p "$kit_dir/sluice"
    sluice_config "$@" >"$kit_dir/sluice/sluice.json"
    hand_over "$certs"
    start sluice "$support/sluice.sh" "$kit_dir/sluice" "$build/sluice" run --config sluice.json
    wait_port "$port" "$started" || {
        cat "$kit_dir/sluice.log"
        die 'Sluice did not start'
    }
}
start_fake() { # METHOD PORT
    start redshift "$build/tools/redshift" -l "$2" -s "$pg_port" -a "$1" -u ana=secret -c "$certs"
    wait_port "$2" "$started" || die 'the fake of Redshift did not start'
}

free_port port
case $TARGET in
postgres) port=$pg_port ;;
pgbouncer)
    printf '"ana" "secret"\n' >"$kit_dir/users.txt"
    cat >"$kit_dir/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$pg_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $kit_dir/users.txt
pool_mode = ${POOL_MODE:-session}
ignore_startup_parameters = extra_float_digits
client_tls_sslmode = allow
client_tls_cert_file = $certs/server.crt
client_tls_key_file = $certs/server.key
INI
    hand_over "$kit_dir"
    start pgbouncer unprivileged /usr/sbin/pgbouncer -q "$kit_dir/pgbouncer.ini"
    wait_port "$port" "$started" || die 'pgbouncer did not start'
    ;;
redshift-direct) start_fake "${AUTH:-digest}" "$port" ;;
sluice) start_sluice session 40 "$pg_port" '"scram-sha-256"' ;;
sluice-transaction) start_sluice transaction 2 "$pg_port" '"scram-sha-256"' ;;
redshift)
    fake_port=''
    free_port fake_port
    start_fake "${AUTH:-digest}" "$fake_port"
    start_sluice "${POOL_MODE:-session}" 40 "$fake_port" '"digest", "cleartext"'
    ;;
*) die "unknown TARGET $TARGET" ;;
esac

export PGHOST=localhost PGPORT=$port PGUSER=ana PGPASSWORD=secret PGDATABASE=postgres PGSSLMODE=$tls PGSSLROOTCERT=$certs/ca.crt
export PATH=$pg_bin:$PATH

# ---- the drivers -----------------------------------------------------------------------------------
passed=0 failed=0
printf '%s (sslmode %s)\n' "$TARGET" "$tls"
for driver in $DRIVERS; do
    if ! why=$(install "$driver" 2>&1); then
        printf 'not ok - %-20s not installed: %s\n' "$driver" "$(tr '\n' ' ' <<<"$why" | cut -c1-200)"
        failed=$((failed + 1))
        continue
    fi
    timeout 180 bash -c "$(declare -f go_through); installed=$installed here=$here go_through $driver" >"$kit_dir/said" 2>"$kit_dir/complained" </dev/null
    status=$?
    ok=$(grep -c '^ok ' "$kit_dir/said")
    bad=$(grep -c '^not ok ' "$kit_dir/said")
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || {
        bad=1
        echo "not ok - ended with status $status: $(tail -3 "$kit_dir/complained" | tr '\n' ' ')" >>"$kit_dir/said"
    }
    word=ok
    [ "$bad" = 0 ] || word='not ok'
    printf '%s - %-20s %2d scenarios held, %d did not %s\n' "$word" "$driver" "$ok" "$bad" \
        "$(sed -n 's/^ok \([^ ]*\) # SKIP \(.*\)/(\1: \2)/p' "$kit_dir/said" | tr '\n' ' ')"
    [ "$bad" = 0 ] || grep '^not ok' "$kit_dir/said" | sed 's/^not ok/    not/'
    passed=$((passed + ok)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
