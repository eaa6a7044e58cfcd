#!/usr/bin/env bash
# console_jdbc.sh: pgjdbc, which speaks the extended protocol only, at the admin console. Needs a JDK, and the driver
# from Maven as `make test-drivers` gets it; skips, loudly, where they cannot be had.
set -euo pipefail
# shellcheck source=tests/support/env.sh
. "$(dirname "$0")/../support/env.sh"

binary=${SLUICE:-$build/sluice}
[ -x "$binary" ] || die "no $binary: run make first"
jars=$root/build/drivers/jars
skip() {
    say "ok 1 # SKIP console_jdbc.sh: $*"
    exit 0
}
command -v javac >/dev/null || skip 'no JDK (default-jdk-headless)'
ls "$jars"/postgresql-*.jar >/dev/null 2>&1 ||
    timeout 120 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=org.postgresql:postgresql:42.7.7 \
        -DoutputDirectory="$jars" >/dev/null 2>&1 || skip 'pgjdbc cannot be had from Maven'
kit_begin console-jdbc
pg_port='' port=''
free_port pg_port
free_port port
start_postgres "$kit_dir/pg" "$pg_port"
mkdir "$kit_dir/sluice" "$kit_dir/java"
cat >"$kit_dir/sluice/sluice.json" <<JSON
{ "workers": 2, "listen": [ { "address": "127.0.0.1:$port", "tls": { "mode": "disable" } } ],
  "clusters": { "warehouse": { "endpoint": "127.0.0.1:$pg_port", "tls": { "mode": "disable" },
                               "credentials": { "source": "static", "users": { "postgres": "env:NOTHING" } } } },
  "users": { "ops": { "auth": ["trust"], "role": "owner", "db_user": "postgres", "console": "operator" },
             "eve": { "auth": ["trust"], "role": "owner", "db_user": "postgres", "console": "viewer" } },
  "roles": { "owner": { "grants": [ { "verbs": ["ALL"], "on": ["*"] } ] } },
  "access": [ { "from": "127.0.0.1/32", "users": ["*"] } ] }
JSON
hand_over "$kit_dir/sluice"
NOTHING=x start sluice "$support/sluice.sh" "$kit_dir/sluice" "$binary" run --config sluice.json
wait_port "$port" "$started" || die "Sluice did not start: $(cat "$kit_dir/sluice.log")"
javac -d "$kit_dir/java" "$root/tests/drivers/java/Console.java"
status=0
PGPORT=$port java -XX:TieredStopAtLevel=1 -cp "$kit_dir/java:$jars/*" Console >"$kit_dir/said" || status=$?
awk '{ bad = $1 == "not"; sub(/^(not )?ok /, ""); print (bad ? "not ok " : "ok ") NR " - " $0 } END { print "1.." NR }' "$kit_dir/said"
[ "$status" = 0 ] || tail -20 "$kit_dir/sluice.log"
if grep -E 'Sanitizer|runtime error' "$kit_dir/sluice.log"; then status=1; fi
exit $status
