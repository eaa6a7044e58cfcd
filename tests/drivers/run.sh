#!/usr/bin/env bash
# run.sh: drivers, each through its scenarios. Prints a table; the last line is `N passed, N failed`.
#
#   DRIVERS="psql pgjdbc ..."   which (default: all)          SCENARIOS=login,cancel   which
#   TARGET=sluice               through Sluice, session mode (default)
#          sluice-transaction   through Sluice, transaction mode, two servers for all
#          sluice-routed        the same with a routing table that asks for statements, so that BEGIN waits for the next one
#          sluice-one           transaction mode, one server for all: only `two`, two clients that take turns on it
#          postgres, pgbouncer  straight, or through Debian's pgbouncer (what the driver does without us)
#          redshift             Sluice before the fake of Redshift, clients log in by Redshift's digest
#          redshift-direct      straight to that fake
#
# A row of the table also has: `refused`, a statement refused and then one that is not, by a user that may only insert;
# `md5`, `cleartext`, logins of users that have only that (`login` itself is SCRAM, or Redshift's digest before the
# fake); `tls`, which holds when a server of another CA is not believed.
#
# Drivers are installed into build/drivers on first use: PyPI, npm, Maven, Go modules, crates, Debian. What came of it
# stays in build/drivers/results; table.py makes the README's table of it.
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
here=$root/tests/drivers
installed=$root/build/drivers
TARGET=${TARGET:-sluice}
all='psql pgbench psycopg2 psycopg3 libpq18 sqlalchemy-redshift asyncpg psqlodbc node-postgres postgres.js knex pgjdbc lib/pq pgx
    tokio-postgres DBD::Pg ruby-pg PDO redshift-jdbc42' # redshift_connector wants server_version 8.0.2
case $TARGET in
redshift*) all='redshift_connector sqlalchemy-redshift awswrangler dbt-redshift redshift-jdbc42' ;;
esac
DRIVERS=${DRIVERS:-$all}
chosen=${SCENARIOS:-}
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

tool_drivers() {
    python3 -m venv "$installed/tools"
    "$installed/tools/bin/pip" install -q --only-binary :all: -r "$here/tools.txt"
}

rust_drivers() {
    CARGO_TARGET_DIR=$installed/rust cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml"
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
    libpq18 | sqlalchemy-redshift | awswrangler | dbt-redshift) once "tools-$(cksum <"$here/tools.txt" | cut -d' ' -f1)" tool_drivers ;;
    tokio-postgres) once "rust-$(cat "$here"/rust/src/* "$here"/rust/Cargo.* | cksum | cut -d' ' -f1)" rust_drivers ;;
    DBD::Pg) perl -e 'use DBD::Pg' ;;
    ruby-pg) ruby -e 'require "pg"' ;;
    PDO) php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);' ;;
    node-postgres | postgres.js | knex) once "node-$(cat "$here"/*.js "$here/package.json" | cksum | cut -d' ' -f1)" node_drivers ;;
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
    libpq18) "$installed/tools/bin/python" "$here/dbapi.py" psycopg3 ;;
    sqlalchemy-redshift) SSL_CERT_FILE=$PGSSLROOTCERT "$installed/tools/bin/python" "$here/sqlalchemy_core.py" ;;
    awswrangler) SSL_CERT_FILE=$PGSSLROOTCERT "$installed/tools/bin/python" "$here/awswrangler_redshift.py" ;;
    dbt-redshift) SSL_CERT_FILE=$PGSSLROOTCERT "$here/dbt.sh" "$installed/tools/bin/dbt" ;;
    tokio-postgres) "$installed/rust/debug/tokio_postgres_scenarios" ;;
    DBD::Pg) "$here/dbd_pg.pl" ;;
    ruby-pg) ruby "$here/ruby_pg.rb" ;;
    PDO) php "$here/pdo.php" ;;
    asyncpg) "$python" "$here/async_pg.py" ;;
    node-postgres) node "$installed/node/node_postgres.js" ;;
    postgres.js) node "$installed/node/postgres_js.js" ;;
    knex) node "$installed/node/knex.js" ;;
    pgjdbc | redshift-jdbc42) DRIVER=$1 java -cp "$installed/java:$installed/jars/*" Scenarios ;;
    lib/pq) "$installed/pq" ;;
    pgx) "$installed/pgx" ;;
    esac
}

# ---- where to --------------------------------------------------------------------------------------
kit_begin drivers
certs=$kit_dir/certs
"$support/certs.sh" "$certs"
"$support/certs.sh" "$kit_dir/other"
cp "$kit_dir/other/ca.crt" "$certs/other-ca.crt"
pg_port='' port=''
free_port pg_port
start_postgres "$kit_dir/pg" "$pg_port" --tls "$certs"
superuser() { "$pg_bin/psql" -qXAt -h "$kit_dir/pg" -p "$pg_port" -U postgres "$@"; }
for name in ana bea bob md cleo; do superuser -c "create user $name password 'secret'"; done
superuser -c 'create table driver_rows (driver text, n int)' \
    -c 'grant all on driver_rows to ana' -c 'grant insert on driver_rows to bea, bob' -c 'grant all on schema public to ana'
"$pg_bin/pgbench" -q -i -h "$kit_dir/pg" -p "$pg_port" -U ana postgres >/dev/null 2>&1

# The config of Sluice: MODE, POOL SIZE, SERVER PORT, AUTH.
sluice_config() {
    cat <<JSON
{ "server_id": "drivers", "workers": 1, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "prefer", "certificate": "$certs/server.crt", "key": "file:$certs/server.key" } } ],
  "clusters": { "warehouse": { "endpoint": "localhost:$3", "tls": { "mode": "prefer", "ca": "$certs/ca.crt" },
                "credentials": { "source": "static", "users": { "ana": "env:ANA_DB_PASSWORD", "bea": "env:ANA_DB_PASSWORD", "bob": "env:ANA_DB_PASSWORD", "md": "env:ANA_DB_PASSWORD", "cleo": "env:ANA_DB_PASSWORD" } }, "max_connections": $2 } },
  "users": { "ana": { "auth": [$4], "password": "env:ANA_PASSWORD", "role": "owner", "db_user": "ana" },
             "bea": { "auth": [$4], "password": "env:ANA_PASSWORD", "role": "insert", "db_user": "bea" },
             "bob": { "auth": [$4], "password": "env:ANA_PASSWORD", "role": "look", "db_user": "bob" },
             "md": { "auth": ["md5"], "password": "env:ANA_PASSWORD", "role": "owner", "db_user": "md" },
             "cleo": { "auth": ["cleartext"], "password": "env:ANA_PASSWORD", "role": "owner", "db_user": "cleo" } },
  "roles": { "insert": { "insert_only": ["public.driver_rows"], "search_path": "public" },
             "look": { "insert_only": ["public.driver_rows"], "search_path": "public", "catalog": true },
             "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  ${routes}"pool": { "mode": "$1", "size": $2 } }
JSON
}
routes=''
route_by_statement() {
    mkdir -p "$kit_dir/sluice"
    printf '%s\n' '{ "rules": [ { "id": "rows", "when": { "tables": ["*.driver_rows"] }, "to": "warehouse" },' \
        '  { "id": "all", "to": "warehouse" } ] }' >"$kit_dir/sluice/routes.json"
    routes='"routes": { "source": "file:routes.json" }, '
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
    start redshift "$build/tools/redshift" -l "$2" -s "$pg_port" -a "$1" -u ana=secret -u bea=secret -u bob=secret -u md=secret -u cleo=secret -c "$certs"
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
sluice-routed)
    route_by_statement
    start_sluice transaction 2 "$pg_port" '"scram-sha-256"'
    ;;
sluice-transaction) start_sluice transaction 2 "$pg_port" '"scram-sha-256"' ;;
sluice-one) start_sluice transaction 1 "$pg_port" '"scram-sha-256"' ;;
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

case $TARGET in redshift*) export DIALECT=redshift_connector ;; esac

# ---- the drivers -----------------------------------------------------------------------------------
drive() { timeout 600 bash -c "$(declare -f go_through); installed=$installed here=$here go_through $1" </dev/null; }

# as NAME SCENARIO DRIVER [VARIABLE=VALUE...]: that scenario, called NAME.
as() {
    local name=$1 scenario=$2 driver=$3 said
    shift 3
    said=$(# shellcheck disable=SC2163,SC2030 # NAME=VALUE words, for this driver alone
        export SCENARIOS="$scenario" "$@" && drive "$driver" 2>&1)
    if grep -q "^ok $scenario" <<<"$said"; then echo "ok $name"; else
        echo "not ok $name - $(sed -n 's/^not ok [^ ]* - //p' <<<"$said") $(tail -1 <<<"$said" | cut -c1-200)"
    fi
}
more() {
    local said by=bea
    case $1 in psqlodbc | sqlalchemy-redshift) by=bob ;; esac # they read pg_type as they connect
    case $1 in pgbench) return ;; esac
    case $1 in awswrangler | dbt-redshift) ;; *) as refused refused "$1" PGUSER=$by ;; esac
    case $TARGET in sluice* | redshift) as md5 login "$1" PGUSER=md && as cleartext login "$1" PGUSER=cleo ;; esac
    said=$(as tls login "$1" PGSSLROOTCERT="$certs/other-ca.crt")
    if [[ $said != ok* ]] && grep -Eqi 'certificate|x509|PKIX|issuer|TLS handshake' <<<"$said"; then echo "ok tls"; else
        echo "not ok tls - a server of another CA: $said"
    fi
}
results=$installed/results/$TARGET
mkdir -p "$installed/results"
[ -n "$chosen" ] || : >>"$results"

passed=0 failed=0
printf '%s (sslmode %s)\n' "$TARGET" "$tls"
for driver in $DRIVERS; do
    if ! why=$(install "$driver" 2>&1); then
        printf 'not ok - %-20s not installed: %s\n' "$driver" "$(tr '\n' ' ' <<<"$why" | cut -c1-200)"
        failed=$((failed + 1))
        continue
    fi
    if [ "$TARGET" = sluice-one ]; then
        case $driver in psql | pgbench) continue ;; esac # they are one client each
        as one-server two "$driver" >"$kit_dir/said" 2>"$kit_dir/complained"
        status=0
    else
        drive "$driver" >"$kit_dir/said" 2>"$kit_dir/complained"
        status=$?
        [ -n "$chosen" ] || more "$driver" >>"$kit_dir/said"
    fi
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
    [ -n "$chosen" ] || {
        sed -i "\\|^$driver\t|d" "$results"
        grep -E '^(ok|not ok) ' "$kit_dir/said" | sed "s|^|$driver\t|" >>"$results"
    }
    passed=$((passed + ok)) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
