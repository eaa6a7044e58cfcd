#!/usr/bin/env bash
# run.sh: SQL through Sluice must answer exactly as it does directly: psql's whole output,
# byte by byte.
#
#   REGRESS=own          the files in sql/ (default)
#   REGRESS=postgresql   PostgreSQL's own regression tests, in the order of its schedule: from
#                        REGRESS_SOURCE (its src/test/regress), or fetched with `apt-get source`
#   REGRESS_MODE=transaction   in place of session
#   PROXY=pgbouncer      through that instead (to see what the comparison says of others)
#   REGRESS_ONLY=word            files with that word in their name (and test_setup)
#
#   REGRESS_REUSE=no     a server of its own for each connection (its lifetime is a millisecond)
#
# Two equal clusters, one asked directly, one through the proxy. PostgreSQL's own tests are asked directly
# twice, and where these two differ already (clocks, sizes, chance) nothing is compared. Prints
# `ok NAME` or `not ok NAME` with the difference; the last line is `N passed, N failed`.
set -uo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
here=$root/tests/regress
REGRESS=${REGRESS:-own}
kit_begin regress

# The sources come by the machine's own package manager, with lists of our own: the machine's stay as they are.
source_of_postgresql() {
    local major at
    [ -z "${REGRESS_SOURCE:-}" ] || {
        echo "$REGRESS_SOURCE"
        return
    }
    major=$("$pg_bin/postgres" --version | grep -oE '[0-9]+' | head -1)
    at=$root/build/regress-source
    [ -d "$at/regress" ] || (
        mkdir -p "$at/parts" "$at/lists/partial"
        cd "$at" || exit
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types:.*/Types: deb-src/' >parts/here.sources
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >parts/here.list
        options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$at/parts" -o "Dir::State::lists=$at/lists" -o APT::Sandbox::User=root)
        apt-get "${options[@]}" update
        # The newest may not have reached every mirror.
        for version in '' $(apt-cache "${options[@]}" showsrc "postgresql-$major" | sed -n 's/^Version: */=/p' | sort -rV); do
            apt-get "${options[@]}" source --download-only "postgresql-$major$version" && break
        done
        tar xf postgresql-*.orig.tar.* --wildcards --strip-components=3 '*/src/test/regress'
    ) >"$at.log" 2>&1
    [ ! -d "$at/regress/sql" ] || echo "$at/regress"
}

names=() variables=()
if [ "$REGRESS" = postgresql ]; then
    source=$(source_of_postgresql)
    [ -n "$source" ] || {
        say "PostgreSQL's regression tests are not to be had here (see build/regress-source.log)"
        exit 1
    }
    mapfile -t names < <(sed -n 's/^test: *//p' "$source/parallel_schedule" | tr ' ' '\n' | grep -v '^$')
    sql=$source/sql
    variables=("PG_ABS_SRCDIR=$source" "PG_LIBDIR=$(dirname "$pg_bin")/lib" PG_DLSUFFIX=.so)
else
    sql=$here/sql
    mapfile -t names < <(cd "$sql" && printf '%s\n' *.sql | sed 's/\.sql$//')
fi

cluster() { # NAME VARIABLE-FOR-PORT
    free_port "$2"
    start_postgres "$kit_dir/$1" "${!2}" --set "max_prepared_transactions=2" --set "timezone=PST8PDT" --set "datestyle=Postgres, MDY"
    "$pg_bin/psql" -qXh "$kit_dir/$1" -p "${!2}" -U postgres -c 'create database regression template template0 lc_collate "C" lc_ctype "C"'
}
direct_port='' behind_port='' twin_port='' proxy_port=''
cluster direct direct_port
cluster behind behind_port
[ "$REGRESS" = own ] || cluster twin twin_port
free_port proxy_port
case ${PROXY:-sluice} in
sluice)
    mkdir -p "$kit_dir/proxy"
    lifetime=1h
    [ "${REGRESS_REUSE:-}" != no ] || lifetime=1ms
    cat >"$kit_dir/proxy/sluice.json" <<JSON
{ "server_id": "regress", "workers": 2, "drain_timeout": "1s",
  "listen": [ { "address": "127.0.0.1:$proxy_port" } ],
  "clusters": { "pg": { "endpoint": "127.0.0.1:$behind_port", "tls": { "mode": "disable" },
                "credentials": { "source": "static", "users": { "postgres": "env:PG_PASSWORD" } }, "max_connections": 50 } },
  "users": { "postgres": { "auth": ["trust"], "role": "owner", "db_user": "postgres" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ],
  "pool": { "mode": "${REGRESS_MODE:-session}", "size": 50, "server_lifetime": "$lifetime" } }
JSON
    export PG_PASSWORD=none
    start proxy "$support/sluice.sh" "$kit_dir/proxy" "$build/sluice" run --config sluice.json
    ;;
pgbouncer)
    printf '"postgres" ""\n' >"$kit_dir/users.txt"
    printf '%s\n' '[databases]' "* = host=127.0.0.1 port=$behind_port" '[pgbouncer]' 'listen_addr = 127.0.0.1' \
        "listen_port = $proxy_port" 'unix_socket_dir =' 'auth_type = trust' "auth_file = $kit_dir/users.txt" \
        'pool_mode = session' 'ignore_startup_parameters = options' >"$kit_dir/proxy.ini"
    hand_over "$kit_dir"
    start proxy unprivileged /usr/sbin/pgbouncer -q "$kit_dir/proxy.ini"
    ;;
*) proxy_port=$behind_port started=$$ ;; # PROXY=none: the comparison with itself
esac
wait_port "$proxy_port" "$started" || {
    cat "$kit_dir/proxy.log"
    die 'the proxy did not start'
}

ask() { # PORT FILE OUT
    (cd "$kit_dir" && env "${variables[@]}" LC_ALL=C.UTF-8 timeout 300 "$pg_bin/psql" -X -a -q -v HIDE_TABLEAM=on -v HIDE_TOAST_COMPRESSION=on \
        "host=127.0.0.1 port=$1 user=postgres dbname=regression sslmode=disable" <"$2" >"$3" 2>&1)
}
# What can not be the same: ports and process ids.
masked() { sed -E -e "s/\\b(${direct_port}|${behind_port}|${twin_port:-0}|${proxy_port})\\b/PORT/g" -e 's/(PID|pid)[ =:]+[0-9]+/\1 N/g' "$1"; }

passed=0 failed=0 odd=0
for name in "${names[@]}"; do
    [ -f "$sql/$name.sql" ] || continue
    [ -z "${REGRESS_ONLY:-}" ] || [[ $name == *"$REGRESS_ONLY"* || $name == test_setup ]] || continue
    out=$kit_dir/out.$name
    ask "$direct_port" "$sql/$name.sql" "$out.direct" &
    one=$!
    ask "$proxy_port" "$sql/$name.sql" "$out.proxy" &
    two=$!
    [ "$REGRESS" = own ] || ask "$twin_port" "$sql/$name.sql" "$out.twin"
    wait "$one" "$two"
    masked "$out.direct" >"$out.a"
    masked "$out.proxy" >"$out.b"
    if diff "$out.a" "$out.b" >"$out.diff"; then
        passed=$((passed + 1))
        echo "ok $name"
    elif [ "$REGRESS" != own ] && masked "$out.twin" >"$out.c" && ! diff "$out.a" "$out.c" >"$out.chance" &&
        [ "$(grep -c '^[<>]' "$out.diff")" -le $(($(grep -c '^[<>]' "$out.chance") * 2 + 2)) ]; then
        odd=$((odd + 1))
        echo "# $name: differs from itself as well; not compared"
    else
        failed=$((failed + 1))
        echo "not ok $name"
        head -"${DIFF_LINES:-20}" "$out.diff" | sed 's/^/    /'
    fi
    rm -f "$out".*
done
[ "$odd" = 0 ] || echo "# $odd were not compared"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
