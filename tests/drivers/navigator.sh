#!/usr/bin/env bash
# navigator.sh: who looks about in the catalog: DBeaver's queries (java/Navigator.java) by pgjdbc before PostgreSQL and by
# redshift-jdbc42 before the fake of Redshift, and psql's \d family. An analyst who may do all, and one who may only insert but
# has `catalog: true`, see in transaction mode what they see without a proxy; the latter is refused rows, and no more. DBeaver
# itself is not run. After `make test-drivers`, which brings the drivers. TAP.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"
jars=$root/build/drivers/jars
if ! command -v javac >/dev/null || ! compgen -G "$jars/*.jar" >/dev/null; then
    say 'ok 1 # SKIP navigator.sh: no JDK or no drivers; run make test-drivers first'
    exit 0
fi
kit_begin navigator
pg_port='' fake_port='' port='' to_fake=''
for name in pg_port fake_port port to_fake; do free_port $name; done
start_postgres "$kit_dir/pg" "$pg_port"
# shellcheck disable=SC2016 # $1 is PostgreSQL's
"$pg_bin/psql" -qX -h "$kit_dir/pg" -p "$pg_port" -U postgres -c 'create user ana' -c 'create user bob' -c 'create user bea' \
    -c 'create table driver_rows (driver text not null, n int default 7 check (n > 0), primary key (driver, n))' \
    -c "comment on table driver_rows is 'rows'" -c 'grant all on driver_rows to ana' -c 'grant insert on driver_rows to bob, bea' \
    -c 'create view seen as select n from driver_rows' -c 'create function twice(int) returns int language sql as $$ select 2 * $1 $$'
start fake "$build/tools/redshift" -l "$fake_port" -s "$pg_port" -a trust
wait_port "$fake_port" "$started" || die 'the fake of Redshift did not start'
proxy() { # PORT SERVER_PORT
    mkdir -p "$kit_dir/sluice$1"
    cat >"$kit_dir/sluice$1/sluice.json" <<JSON
{ "workers": 1, "listen": [ { "address": "127.0.0.1:$1", "tls": { "mode": "disable" } } ],
  "clusters": { "w": { "endpoint": "127.0.0.1:$2", "tls": { "mode": "disable" },
                       "credentials": { "source": "static", "users": { "ana": "env:HOME", "bob": "env:HOME", "bea": "env:HOME" } } } },
  "users": { "ana": { "auth": ["trust"], "role": "all", "db_user": "ana" }, "bob": { "auth": ["trust"], "role": "look", "db_user": "bob" },
             "bea": { "auth": ["trust"], "role": "insert", "db_user": "bea" } },
  "roles": { "all": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] },
             "look": { "insert_only": ["public.driver_rows"], "search_path": "public", "catalog": true },
             "insert": { "insert_only": ["public.driver_rows"], "search_path": "public" } },
  "access": [ { "from": ["127.0.0.1"] } ], "pool": { "mode": "transaction", "size": 1 } }
JSON
    start "sluice$1" "$support/sluice.sh" "$kit_dir/sluice$1" "$build/sluice" run --config sluice.json
    wait_port "$1" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice$1.log")"
}
proxy "$port" "$pg_port"
proxy "$to_fake" "$fake_port"
javac -d "$kit_dir" "$root/tests/drivers/java/Navigator.java"
export PGPASSWORD=x
navigate() { # DRIVER PORT USER
    "$pg_bin/psql" -qX -h "$kit_dir/pg" -p "$pg_port" -U postgres -c 'truncate driver_rows'
    DRIVER=$1 PGPORT=$2 PGUSER=$3 java -XX:TieredStopAtLevel=1 -cp "$kit_dir:$jars/*" Navigator 2>&1
}

n=0 bad=0
verdict() { # NAME WANTED GOT
    n=$((n + 1))
    if [ "$2" = "$3" ]; then say "ok $n - $1"; else
        say "not ok $n - $1"
        diff <(echo "$2") <(echo "$3") | sed 's/^/    /' || true
        bad=$((bad + 1))
    fi
}

for driver in pgjdbc redshift-jdbc42; do
    at=$port directly=$pg_port
    # The JDBC driver's own: functions in FROM, settings; DBeaver does without. Then what `catalog` leaves out, and the rows.
    no='getPrimaryKeys|getImportedKeys|getIndexInfo|getTypeInfo|set path|settings|sessions|data|rows counted'
    if [ $driver = redshift-jdbc42 ]; then
        at=$to_fake directly=$fake_port
        no='getImportedKeys|getTypeInfo|set path|external schemas|sessions|data|rows counted' # the external ones by three names
    fi
    verdict "DBeaver's queries by $driver, who may do all" "$(navigate $driver "$directly" ana)" "$(navigate $driver "$at" ana)"
    verdict "the same, who may insert and look" "$(navigate $driver "$directly" bob | sed -E "s/^($no): .*/\1: 42501/")" "$(navigate $driver "$at" bob)"
    verdict 'who may only insert sees no tables, and inserts' "$(printf 'tables: 42501\ninsert: 0\nalive: true')" \
        "$(navigate $driver "$at" bea | grep -E '^(tables|insert|alive):')"
done

psql_says() { "$pg_bin/psql" -wqX -h 127.0.0.1 -p "$1" -U "$2" -d postgres -c "$3" 2>&1 | grep -v '^ *DETAIL' || true; }
commands=('\d' '\d driver_rows' '\d+ driver_rows' '\d seen' '\dt' '\dt+ driver*' '\dv+' '\di' '\ds' '\dn' '\du' '\dg' '\df' '\df twice' '\dT' '\dx' '\db'
    '\dL' '\do' '\dC' '\dc' '\dO' '\dD' '\d pg_class' '\sv seen')
for command in "${commands[@]}"; do
    verdict "psql $command, who may insert and look" "$(psql_says "$pg_port" bob "$command")" "$(psql_says "$port" bob "$command")"
done
for command in '\d' '\d driver_rows' '\d seen' '\dt' '\dv' '\dn' '\df twice'; do
    verdict "psql $command, a server of 8.0.2" "$(psql_says "$fake_port" bob "$command")" "$(psql_says "$to_fake" bob "$command")"
done
for command in '\l' '\dp' '\dn+'; do # they write E'\n', which no restricted role may
    verdict "psql $command, who may insert and look" 'literal with a prefix letter' "$(psql_says "$port" bob "$command" | grep -o 'literal with a prefix letter')"
done
verdict 'psql \d, who may only insert' 'permission denied by proxy' "$(psql_says "$port" bea '\d' | grep -o 'permission denied by proxy')"
say "1..$n" "$((n - bad)) passed, $bad failed"
[ "$bad" = 0 ]
